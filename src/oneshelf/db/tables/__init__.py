"""The data model, a page a room. Every key begins with tenant_id, so that it can be partitioned by tenant (DESIGN D6).

Instants are UTC, stored as microseconds since 1970 (one form on both databases, exact, sortable). Quantities are whole pieces
unless a column says units or listings. Money is integer minor units with its currency beside it. JSON is text that we only read
whole. The room that writes a table stands over it; others read.

Read next: form.py, then tenants, intake, orders, customers, routing, stock, listings, publish, shipping, pricing, watch, web, webhooks.
"""

from . import (
    customers,
    intake,
    listings,
    orders,
    pricing,
    publish,
    routing,
    shipping,
    stock,
    tenants,
    watch,
    web,
    webhooks,
)
from .form import metadata

__all__ = [
    "metadata",
    "customers",
    "intake",
    "listings",
    "orders",
    "pricing",
    "publish",
    "routing",
    "shipping",
    "stock",
    "tenants",
    "watch",
    "web",
    "webhooks",
]
