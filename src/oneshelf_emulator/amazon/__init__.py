"""Amazon's Selling Partner API, emulated.

In: requests, checkouts, the seller's own hands. Out: answers, messages in a queue.
Owns: what Amazon believes of listings, quantities and orders.
Never: imports the product. Read next: marketplace.py.
"""

from .marketplace import SWITCHES, Amazon

__all__ = ["SWITCHES", "Amazon"]
