"""Marketplace orders written into the hub, and everything else that we mean to do there.

In: intents (written by orders). Out: calls to the hub and what came of them.
Tables it owns: intent's state and result, once orders wrote the row.
Never: calls before the intent is durable; calls again before it has read what the last call did (orders), or without the same
idempotency key (moves).
Read next: draft.py, moves.py, copy_orders.py, worker.py.
"""
