"""Decides, never acts.

In: facts, levels, policies, the present instant; all as arguments.
Out: decisions as values (entries, states, offers, explained values).
Tables it owns: none.
Never: imports anything that can act (clock, socket, SQL, log, randomness).
Read next: facts.py, order.py, stock.py, offer.py.
"""
