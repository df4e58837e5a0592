"""The four marketplaces, by a stranger.

In: HTTP requests as Shopify, Amazon, eBay and Etsy receive them; commands at the control door `/_emulator/`.
Out: their answers, their webhooks and queue messages.
Owns: the world (what each marketplace believes, buyers, orders, time).
Never: imports the product, nor is imported by it; accepts what the official specification forbids.
Read next: world.py.
"""
