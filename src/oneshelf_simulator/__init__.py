"""A world for the engine to fail in: the real service and the emulated marketplaces in one thread, on a virtual clock, by one seed.

In: a seed and a profile. Out: a report; the same seed gives the same bytes.
It may import the product and the emulator; neither imports it. `auditor.py` and `shelf.py` import nothing of the product.
Never: opens a socket, starts a thread, asks the machine for time or chance.
Read next: world.py, then auditor.py.
"""
