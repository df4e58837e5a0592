"""Shopify, emulated: the shop where the merchant works.

In: HTTP on Shopify's own paths; purchases; the merchant's hand.
Out: answers, webhooks.
Never: imports the product.
Read next: shop.py, README.md.
"""

from .shop import SWITCHES, Shopify

__all__ = ["SWITCHES", "Shopify"]
