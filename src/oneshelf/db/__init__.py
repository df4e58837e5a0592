"""Where it is kept: the data model, its migrations, the writer's connection on SQLite and PostgreSQL.

In: statements of the rooms above. Out: rows. Tables it owns: none (each table names its room in tables.py).
Never: decides anything. Read next: tables.py (the data model on one page), tx.py, store.py.
"""
