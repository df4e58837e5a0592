"""What we have.

In: entries (facts and decisions). Out: levels, `available`, dirty marks for every listing of a moved SKU.
Tables it owns: ledger_entry, stock_level, location, item.
Never: changes or deletes an entry; moves a level without one; refuses a fact.
Read next: ledger.py, levels.py.
"""
