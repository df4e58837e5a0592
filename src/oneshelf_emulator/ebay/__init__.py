"""eBay's Sell, Commerce, Post-Order and (a little) Trading APIs, by a stranger.

In: HTTP requests as `https://api.ebay.com` and `https://apiz.ebay.com` receive them; a buyer's checkout; the seller's hand.
Out: eBay's answers, its error numbers, its signed notifications.
Owns: one application and one seller: items, offers, listings, orders, cancellations, tokens and day counters.
Never: imports the product; accepts what the OpenAPI documents or their prose forbid.
Read next: emulator.py, then seller.py and orders.py (the truth), and wire.py (the gates).
"""

from .emulator import Ebay

__all__ = ["Ebay"]
