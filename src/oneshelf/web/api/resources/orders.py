"""Orders: what was bought, what is short, what only a person decides, what left."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query

from oneshelf.channels.abilities import Cancels
from oneshelf.db.tx import Tx
from oneshelf.watch.conflicts import Conflict, conflicts
from oneshelf.watch.listing import OrderOfList, Parcel, order_rows, parcels
from oneshelf.watch.short_lines import ShortLine, short_lines
from oneshelf.watch.time_travel import OrderThen, order_at

from ..paging import LIMIT, CursorText, Limit, Page
from ..route import Asked, Body, Call, DryCall, Routes, found
from ..shapes import AtQuery, MaybeText, Number, Text, moment_of

routes = Routes("orders", "What was bought, what is short, decisions, parcels.")


@routes.reads("/orders")
async def list_orders(
    call: Call,
    channel: MaybeText = None,
    state: Annotated[str | None, Query(max_length=255, description="PENDING, OPEN, SHIPPED, CANCELLED …")] = None,
    short: Annotated[bool, Query(description="Only orders that nothing on hand stands behind.")] = False,
    cursor: CursorText = "",
    limit: Limit = LIMIT,
) -> Page[OrderOfList]:
    """What was bought, the newest first, without the copies of marketplace orders in the shop. Names nobody."""

    def look(tx: Tx, after: list[Any] | None, n: int) -> list[OrderOfList]:
        before = after[0] if after else None
        return order_rows(tx, call.tenant_id, channel=channel, state=state, short=short, after=before, limit=n)

    return await call.page(cursor, limit, look, key=lambda row: (row.order_no,))


@routes.reads("/orders/short")
async def list_short_lines(call: Call) -> list[ShortLine]:
    """The lines that nothing on hand stands behind, the oldest first, and what a cancel would do to your rate there."""
    able = {n: one.channel.cancels for n, one in call.service.running.items() if isinstance(one.channel, Cancels)}
    return await call.read(lambda tx: short_lines(tx, call.tenant_id, able, call.now))


@routes.reads("/orders/conflicts")
async def list_conflicts(
    call: Call, sku: Annotated[str, Query(max_length=255, description="Only this SKU.")] = ""
) -> list[Conflict]:
    """Lines that get nothing, the oldest purchase first: who got the pieces, both clocks, why, the ways out, what a cancel costs."""
    able = call.service.cancel_channels().abilities
    return await call.read(lambda tx: conflicts(tx, call.tenant_id, able, call.now, sku=sku))


@routes.reads("/orders/parcels")
async def list_parcels(
    call: Call,
    every: Annotated[bool, Query(description="Those that their marketplace has confirmed, too.")] = False,
    cursor: CursorText = "",
    limit: Limit = LIMIT,
) -> Page[Parcel]:
    """Parcels that left, and whether their marketplace was told."""
    return await call.page(
        cursor,
        limit,
        lambda tx, after, n: parcels(tx, call.tenant_id, every=every, after=after, limit=n),
        key=lambda row: (row.order_no, row.parcel, row.line_id),
    )


class OrderShown(msgspec.Struct, frozen=True):
    """One order, and what left of it."""

    order: OrderOfList
    parcels: list[Parcel]


def _order(tx: Tx, tenant_id: int, order: int) -> OrderOfList:
    rows = order_rows(tx, tenant_id, order_no=order)
    return found(rows[0] if rows else None, f"There is no order {order}")


@routes.reads("/orders/{order}")
async def show_order(call: Call, order: Number) -> OrderShown:
    """One order by our number."""
    return await call.read(
        lambda tx: OrderShown(
            _order(tx, call.tenant_id, order), parcels(tx, call.tenant_id, every=True, order_no=order)
        )
    )


@routes.reads("/orders/{order}/then")
async def show_order_then(call: Call, order: Number, at: AtQuery) -> OrderThen:
    """What we had done with an order by a moment: pieces, happenings."""

    def look(tx: Tx) -> OrderThen:
        row = _order(tx, call.tenant_id, order)
        return order_at(tx, call.tenant_id, row.order_id, moment_of(at), account_id=row.account_id)

    return await call.read(look)


async def _command(call: Asked, name: str, order: int, payload: dict[str, Any]) -> dict[str, Any]:
    """Carry out a command about an order; the commands know it by its channel's id and account."""
    row = await call.read(lambda tx: _order(tx, call.tenant_id, order))
    done: dict[str, Any] = await call.command(name, {**payload, "order": row.order_id, "account_id": row.account_id})
    return done


class Said(msgspec.Struct, frozen=True):
    """What happens now, in words."""

    said: str


class DecisionIn(Body):
    """A word on a short line; `line` may be left out where only one waits for it."""

    word: Literal["wait", "backorder", "cancel"]
    line: Text | None = None


@routes.writes("/orders/{order}/decision")
async def decide_line(call: DryCall, order: Number, body: DecisionIn) -> Said:
    """Say what happens to a short line: it waits a day, is kept as a backorder, or is cancelled at its channel."""
    return Said((await _command(call, "decide", order, body.model_dump(exclude_none=True)))["said"])


LineQuery = Annotated[str, Query(max_length=255, description="May be left out where it concerns one line only.")]


@routes.writes("/orders/{order}/decision", method="DELETE")
async def undo_decision(call: DryCall, order: Number, line: LineQuery = "") -> Said:
    """Take back "wait" or "backorder": a person is asked again."""
    return Said((await _command(call, "conflict_undo", order, {"line": line}))["said"])


@routes.writes("/orders/{order}/cancel", method="DELETE")
async def revoke_cancel(call: DryCall, order: Number, line: LineQuery = "") -> Said:
    """Take back a cancel of a short line within its ten seconds, before it is sent."""
    return Said((await _command(call, "conflict_revoke", order, {"line": line}))["said"])


class AnswerIn(Body):
    """What an order from before its account went live is."""

    word: Literal["new", "off-count"]


class Answered(msgspec.Struct, frozen=True):
    """The order and the word that was taken."""

    order: str
    account_id: int
    word: str


@routes.writes("/orders/{order}/answer")
async def answer_order(call: DryCall, order: Number, body: AnswerIn) -> Answered:
    """Say what an order from before its account went live is: new (as any order), or off the count already."""
    return msgspec.convert(await _command(call, "answer", order, body.model_dump()), Answered)


class PinIn(Body):
    """first: it gets pieces before all that are not pinned; last: after all others; none: its time of purchase decides."""

    place: Literal["first", "last", "none"]
    line: Text | None = None


@routes.writes("/orders/{order}/pin")
async def pin_line(call: DryCall, order: Number, body: PinIn) -> Said:
    """Give a line its pieces before the others, or after them. What is released or shipped keeps its own."""
    word = {"first": 1, "last": -1, "none": 0}[body.place]
    return Said((await _command(call, "pin", order, {"word": word, "line": body.line or ""}))["said"])
