"""Stock: what is there, why, what was, and counts."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Query
from pydantic import Field

from oneshelf.core.errors import NotThere
from oneshelf.db.tx import Tx
from oneshelf.watch import explain as why
from oneshelf.watch import history
from oneshelf.watch.listing import StockRow, stock_rows

from ..paging import LIMIT, CursorText, Limit, Page
from ..route import Body, Call, DryCall, Routes
from ..shapes import BulkDone, Items, MaybeText, Moment, Text, TextQuery, each, moment

routes = Routes("stock", "What is there, why a number is what it is, what was, counts.")


@routes.reads("/stock/levels")
async def list_levels(
    call: Call,
    sku: Annotated[str | None, Query(max_length=255, description="Only this SKU.")] = None,
    prefix: Annotated[str, Query(max_length=255, description="Only SKUs that begin with this.")] = "",
    as_of: Annotated[Moment | None, Query(description="As they were at this moment, by the ledger.")] = None,
    cursor: CursorText = "",
    limit: Limit = LIMIT,
) -> Page[StockRow]:
    """Levels by SKU and location: on hand, committed, reserved, unavailable, incoming, available, in pieces."""
    at = moment(as_of)

    def look(tx: Tx, after: list[Any] | None, n: int) -> list[StockRow]:
        if at is None:
            return stock_rows(tx, call.tenant_id, sku=sku, prefix=prefix, after=after, limit=n)
        return history.stock_rows_at(tx, call.tenant_id, at, sku=sku, prefix=prefix, after=after, limit=n)

    return await call.page(cursor, limit, look, key=lambda row: (row.sku, row.location_id))


@routes.reads("/stock/explanation")
async def explain_sku(
    call: Call, sku: TextQuery, channel: Annotated[str | None, Query(description="Only this channel's number.")] = None
) -> why.Explanation:
    """Why a SKU's numbers are what they are: the equation, its entries, each listing's terms, orders, tries, tasks."""

    def look(tx: Tx) -> why.Explanation:
        try:
            return why.explain(tx, call.tenant_id, sku, channel, now=call.now, can=call.service.capabilities)
        except LookupError:
            raise NotThere(f"There is no SKU {sku} on the shelf.") from None

    return await call.read(look)


@routes.reads("/stock/entries")
async def list_entries(
    call: Call, sku: MaybeText = None, cursor: CursorText = "", limit: Limit = LIMIT
) -> Page[history.Entry]:
    """Entries of the ledger, the newest first: what changed the levels, and why."""
    return await call.page(
        cursor,
        limit,
        lambda tx, after, n: history.entries(tx, call.tenant_id, sku=sku, before=after[0] if after else None, limit=n),
        key=lambda row: (row.entry_no,),
    )


class CountIn(Body):
    """A count: so many pieces lie there. `location` may be left out where there is one only."""

    sku: Text
    quantity: Annotated[int, Field(ge=0, le=1_000_000_000)]
    location: Text | None = None


class CountsIn(Body):
    """Up to 1,000 counts, each taken up or refused by itself."""

    items: Items[CountIn]


class CountTaken(msgspec.Struct, frozen=True):
    """A count that was taken up. It counts when the shop has taken it."""

    count: int
    sku: str
    quantity: int


@routes.writes("/stock/counts")
async def enter_count(call: DryCall, body: CountIn) -> CountTaken:
    """Enter a count of one SKU at one location."""
    return msgspec.convert(await call.command("count", body), CountTaken)


@routes.writes("/stock/counts/bulk", status=207)
async def enter_counts(call: DryCall, body: CountsIn) -> BulkDone:
    """Enter many counts."""
    return await each(body.items, CountIn, lambda item: call.command("count", item))
