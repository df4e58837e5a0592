"""Etsy Open API v3, by a stranger.

In: HTTP requests as `https://api.etsy.com` receives them; a buyer's checkout; the seller's hand in the site.
Out: Etsy's answers, its rate headers, its webhooks.
Owns: one shop: its listings, receipts, tokens and counters.
Never: imports the product; accepts what the OpenAPI document or its prose forbids.
Read next: emulator.py, then shop.py (the truth) and wire.py (the paths).
"""

from .emulator import Etsy

__all__ = ["Etsy"]
