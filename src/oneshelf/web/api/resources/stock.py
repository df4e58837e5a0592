"""Stock: what is there, why, and counts."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Path, Query
from pydantic import Field

from oneshelf.watch.listing import StockRow, stock_rows

from ..paging import LIMIT, CursorText, Limit, Page
from ..route import Body, Call, DryCall, Routes

routes = Routes("stock", "What is there, why a number is what it is, counts.")

Sku = Annotated[str, Path(min_length=1, max_length=255)]
SkuQuery = Annotated[str | None, Query(max_length=255)]


@routes.reads("/stock/levels")
async def list_levels(
    call: Call,
    sku: Annotated[str | None, Query(max_length=255, description="Only this SKU.")] = None,
    prefix: Annotated[str, Query(max_length=255, description="Only SKUs that begin with this.")] = "",
    cursor: CursorText = "",
    limit: Limit = LIMIT,
) -> Page[StockRow]:
    """Levels by SKU and location: on hand, committed, reserved, unavailable, incoming, available, in pieces."""
    return await call.page(
        cursor,
        limit,
        lambda tx, after, n: stock_rows(tx, call.tenant_id, sku=sku, prefix=prefix, after=after, limit=n),
        key=lambda row: (row.sku, row.location_id),
    )


class CountIn(Body):
    """A count: so many pieces lie there. `location` may be left out where there is one only."""

    sku: Annotated[str, Field(min_length=1, max_length=255)]
    quantity: Annotated[int, Field(ge=0, le=1_000_000_000)]
    location: Annotated[str, Field(min_length=1, max_length=255)] | None = None


class CountTaken(msgspec.Struct, frozen=True):
    """A count that was taken up. It counts when the shop has taken it."""

    count: int
    sku: str
    quantity: int


@routes.writes("/stock/counts")
async def enter_count(call: DryCall, body: CountIn) -> CountTaken:
    """Enter a count of one SKU at one location."""
    done: dict[str, Any] = await call.command("count", body)
    return msgspec.convert(done, CountTaken)
