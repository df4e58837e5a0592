"""Where it is kept: the data model, its migrations, the writer's connection on SQLite and PostgreSQL.

In: statements of the rooms above. Out: rows. Tables it owns: none (tables/ has a page a room).
Never: decides anything. Read next: tables/ (the data model), tx.py, store.py.
"""
