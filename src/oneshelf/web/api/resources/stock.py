"""Stock: what is there, why, what was, and counts."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Query
from pydantic import Field

from oneshelf.core.errors import NotThere
from oneshelf.core.instants import iso
from oneshelf.db.tx import Tx
from oneshelf.orders.manual_holds import ManualHold, list_holds
from oneshelf.watch import explain as why
from oneshelf.watch import history
from oneshelf.watch.listing import StockRow, stock_rows
from oneshelf.watch.time_travel import StockThen, stock_at

from ..paging import LIMIT, CursorText, Limit, Page
from ..route import Body, Call, DryCall, Routes
from ..shapes import AtQuery, BulkDone, Items, MaybeText, Moment, Number, Text, TextQuery, each, moment, moment_of

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


@routes.reads("/stock/then")
async def show_stock_then(call: Call, sku: TextQuery, at: AtQuery) -> StockThen:
    """A SKU as the ledger had it at a moment."""
    return await call.read(lambda tx: stock_at(tx, call.tenant_id, sku, moment_of(at)))


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


class Hold(msgspec.Struct, frozen=True):
    """Pieces that are held by hand. `state`: OPEN RELEASED EXPIRED GAVE_WAY. Instants as ISO 8601, UTC."""

    hold: int
    sku: str
    location: str
    pieces: int
    until: str
    state: str
    by: str
    why: str


def _hold(held: ManualHold) -> Hold:
    until = iso(held.until_at) or ""
    return Hold(held.hold_no, held.sku, held.location_id, held.pieces, until, held.state, held.actor, held.why)


@routes.reads("/stock/holds")
async def list_manual_holds(
    call: Call, every: Annotated[bool, Query(description="Those that are over, too.")] = False
) -> list[Hold]:
    """Pieces that are held by hand, those that end first before the others."""
    return [_hold(held) for held in await call.read(lambda tx: list_holds(tx, call.tenant_id, every=every))]


class HoldIn(Body):
    """Hold pieces of a SKU until a moment. `location` may be left out where there is one only."""

    sku: Text
    pieces: Annotated[int, Field(ge=1, le=1_000_000_000)]
    until: Moment
    why: Annotated[str, Field(max_length=200)] = ""
    location: Text | None = None


@routes.writes("/stock/holds")
async def hold_stock(call: DryCall, body: HoldIn) -> Hold:
    """Hold pieces by hand for a while: no channel offers them. A sale that was made all the same comes first."""
    asked = {**body.model_dump(exclude_none=True), "until_at": moment(body.until, "/until")}
    return _hold(msgspec.convert(await call.command("hold", asked), ManualHold))


@routes.writes("/stock/holds/{hold}", method="DELETE")
async def release_hold(call: DryCall, hold: Number) -> Hold:
    """End a hold before its time."""
    return _hold(msgspec.convert(await call.command("release_hold", {"hold_no": hold}), ManualHold))
