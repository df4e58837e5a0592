"""What the API shows, a module an area: each route is a few lines over a function that the command line calls too.

In: a call. Out: structs. Never: SQL (that is the owning room's), decisions.
"""

from __future__ import annotations

from ..route import Routes
from . import stock

#: In the order of the document.
ALL: tuple[Routes, ...] = (stock.routes,)
