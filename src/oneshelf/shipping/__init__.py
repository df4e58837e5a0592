"""What left the shelf, told back to the marketplaces; and what we can't deliver, cancelled there.

In: rows of `shipment` and intents `cancel` (written by orders). Out: calls to a marketplace and what came of them; tasks.
Tables it owns: shipment's state and result, once orders wrote the row.
Never: tells a parcel again before it has read what the last call did; tells more units than the line has; cancels a line twice;
un-ships anything.
Read next: telling.py, looking.py, cancelling.py, worker.py.
"""
