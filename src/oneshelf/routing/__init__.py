"""Which location sends what.

In: an order's lines, levels, the merchant's policy and what is known of his locations. Out: a decision with its reasons, stored.
Tables it owns: location_profile, routing_policy, route.
Never: moves stock or a fulfilment order (orders and imports carry a decision out); keeps a buyer's address; guesses a place.
Read next: core/routing.py, then deciding.py.
"""
