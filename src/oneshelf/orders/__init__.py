"""What was bought.

In: facts about orders, in order of arrival. Out: orders, lines, their entries in the ledger, coverage, claims and intents for the hub.
Tables it owns: orders, order_line, pace, release, provisional, claim, intent (written here, carried out by imports).
Never: refuses a sale; acts on the network; reads a wire format.
Read next: book.py (one batch of facts), batch.py, lines.py, parcels.py, provisional.py, claims.py.
"""
