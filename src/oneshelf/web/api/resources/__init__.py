"""What the API shows, a module an area: each route is a few lines over a function that the command line calls too.

In: a call. Out: structs. Never: SQL (that is the owning room's), decisions.
"""

from __future__ import annotations

from ..route import Routes
from . import (
    accounts,
    customers,
    inbox,
    listings,
    offer_rules,
    orders,
    price_rules,
    privacy,
    sheets,
    status,
    stock,
    tasks,
    webhooks,
)

#: In the order of the document.
ALL: tuple[Routes, ...] = (
    sheets.counts,
    sheets.links,
    stock.routes,
    listings.routes,
    orders.routes,
    accounts.routes,
    offer_rules.routes,
    price_rules.routes,
    customers.routes,
    tasks.routes,
    inbox.routes,
    privacy.routes,
    status.routes,
    webhooks.routes,
)
