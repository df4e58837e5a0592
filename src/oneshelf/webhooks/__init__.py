"""What happened, told to other people's programs by webhook.

In: events, which every room writes beside what they tell of (db/events). Out: signed calls to endpoints that the merchant named, tried
again until they are taken. Tables it owns: webhook_endpoint, webhook_delivery.
Never: sends anything about a person; calls a private address unless told that it may; keeps a secret in the clear; forgets an event that
an endpoint waits for.
Read next: endpoints.py, deliveries.py, worker.py.
"""
