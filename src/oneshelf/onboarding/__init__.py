"""Brings an account from credentials to live: CONNECTED → MATCHED → PREVIEWED → LIVE (SEMANTICS 0.4 to 0.7).

In: credentials that a person entered. Out: an account with its catalogue, links, first numbers, and a preview to accept.
Tables it owns: none (each room writes its own).
Never: lets a number leave before the preview is accepted; touches stock at a marketplace.
Read next: connect.py, hub.py, marketplace.py.
"""
