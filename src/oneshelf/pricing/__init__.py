"""What a marketplace listing ought to ask.

In: the hub's prices, links, the merchant's switch of each account. Out: a price with its terms or the reason why there is none; marks of
outlets that may owe the world a price.
Tables it owns: price_policy, price_mark.
Never: tells a price (that is publish); writes the hub's own, which are the source; lets an account's prices be told that the merchant has
not switched on.
Read next: core/price.py (the decision), levels.py, marks.py.
"""
