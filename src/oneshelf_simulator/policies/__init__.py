"""Which rule for numbers costs least: a day of sales at four channels under each policy, decided by the engine's own functions.

In: a scenario, a policy, a seed. Out: oversold pieces by cause, pieces that found no buyer, writes; the same seed gives the same table.
`market.py` and `scenarios.py` are the world and the count, and import nothing of the product; `keeper.py` asks the product what to do.
Never: opens a database or a socket, asks the machine for time or chance.
Read next: scenarios.py, day.py, keeper.py.
"""
