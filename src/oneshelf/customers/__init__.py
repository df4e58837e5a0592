"""Who buys, across channels, and how often; what we keep of people, for how long, and how it goes away (SEMANTICS 11).

In: booked orders, a person's word, a platform's request, the clock. Out: whose each order is, counters, stages, suggestions; orders without
persons, an export for a customer.
Tables it owns: customer, customer_sign, customer_order, customer_suggestion, customer_rule, stage_change, privacy_request.
Never: touches an order's lines, money or keys; keeps a name, address, e-mail or phone of its own; merges two people by itself; erases in
Shopify, which is the merchant's.
Read next: matching.py (core/person decides), counting.py, merging.py, profiles.py, privacy.py.
"""
