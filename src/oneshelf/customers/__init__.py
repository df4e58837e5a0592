"""What we keep of people, for how long, and how it goes away (SEMANTICS 11.5).

In: a platform's request, the age of an order. Out: orders without persons, messages without bodies, an export for the merchant.
Tables it owns: privacy_request.
Never: touches an order's lines, money or keys; deletes a row that a number is explained by; erases in Shopify, which is the merchant's.
Read next: privacy.py, retention.py.
"""
