"""What we knew at a moment: of a SKU, a listing, an order, a customer. Never what we learnt later.

In: a name and an instant. Out: levels, numbers, happenings up to then. Tables: reads ledger_entry, attempt, orders, journal, intent,
shipment, customer, customer_order, stage_change. Never: changes a row; guesses: what was not kept then is "not known".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from oneshelf.core.errors import NotThere
from oneshelf.core.instants import SECOND, iso
from oneshelf.db.tx import Tx

#: Happenings that an answer shows, the newest.
HAPPENED_MAX = 200


class NotThen(NotThere):
    """There is no such thing, or there was not then."""


class LevelThen(msgspec.Struct, frozen=True):
    """The buckets of one location at a moment, in pieces. `counts`: whether the location counts today (what counted then is not kept)."""

    location_id: str
    counts: bool
    on_hand: int
    committed: int
    reserved: int
    unavailable: int
    incoming: int
    available: int


class StockThen(msgspec.Struct, frozen=True):
    """A SKU at a moment. `available`: K over the locations that count. `last_entry`: the newest entry of then, `next_entry`: what came next."""

    sku: str
    at: str
    available: int
    levels: list[LevelThen]
    entries: int
    last_entry: str | None
    next_entry: str | None


class ListingThen(msgspec.Struct, frozen=True):
    """A listing at a moment, in listings. `seen`: the last number that had been read there by then, None: none had; `sold_since`: units of
    own orders placed after that read (so it showed about seen − sold_since); `told`: the last number sent by then, and how far that was."""

    outlet_id: int
    account_id: int
    external_id: str
    at: str
    seen: int | None
    seen_at: str | None
    sold_since: int
    told: int | None
    told_at: str | None
    told_state: str
    why: dict[str, Any]


class Happened(msgspec.Struct, frozen=True):
    """One thing that had happened by then."""

    at: str
    what: str


class OrderThen(msgspec.Struct, frozen=True):
    """An order at a moment. `pieces`: {SKU: {"reserved", "committed", "shipped"}} by the ledger of then."""

    account_id: int
    order_id: str
    at: str
    pieces: dict[str, dict[str, int]]
    hub_order_id: str | None
    happened: list[Happened]


class SpentThen(msgspec.Struct, frozen=True):
    """What had been bought in one currency, minor units, refunds known today taken off."""

    currency: str
    purchases: int
    spend_minor: int


class CustomerThen(msgspec.Struct, frozen=True):
    """A customer at a moment. `profiles`: those that were one person by then, as far as they still are. `purchases`: of orders known by then
    (one that was cancelled since counts no more). `stage`: as it stood then, "" before the first purchase."""

    customer_no: int
    at: str
    profiles: list[int]
    purchases: int
    per_channel: dict[str, int]
    money: list[SpentThen]
    stage: str
    stage_why: str
    stage_at: str | None


def stock_at(tx: Tx, tenant_id: int, sku: str, at: int) -> StockThen:
    """Return the levels of a SKU as the ledger had them at `at` (microseconds). Raises NotThen for a SKU without an entry by then."""
    rows = tx.all(
        """SELECT e.location_id, CAST(SUM(e.on_hand) AS BIGINT), CAST(SUM(e.committed) AS BIGINT), CAST(SUM(e.reserved) AS BIGINT),
                  CAST(SUM(e.unavailable) AS BIGINT), CAST(SUM(e.incoming) AS BIGINT), COUNT(*), MAX(e.posted_at),
                  MAX(CASE WHEN l.active = 1 AND l.in_scope = 1 THEN 1 ELSE 0 END)
             FROM ledger_entry e LEFT JOIN location l ON l.tenant_id = e.tenant_id AND l.location_id = e.location_id
            WHERE e.tenant_id = :t AND e.sku = :s AND e.posted_at <= :at GROUP BY e.location_id ORDER BY e.location_id""",
        t=tenant_id,
        s=sku,
        at=at,
    )
    later = tx.one(
        "SELECT MIN(posted_at) FROM ledger_entry WHERE tenant_id = :t AND sku = :s AND posted_at > :at",
        t=tenant_id,
        s=sku,
        at=at,
    )
    next_at = None if later is None else later[0]
    if not rows:
        known = f"; its first entry is of {iso(next_at)}" if next_at is not None else ", and none since"
        raise NotThen(f"{sku}: nothing was on the books at {iso(at)}{known}.")
    levels = [
        LevelThen(
            location_id=row[0],
            counts=bool(row[8]),
            on_hand=int(row[1]),
            committed=int(row[2]),
            reserved=int(row[3]),
            unavailable=int(row[4]),
            incoming=int(row[5]),
            available=int(row[1]) - int(row[2]) - int(row[3]) - int(row[4]),
        )
        for row in rows
    ]
    return StockThen(
        sku,
        iso(at) or "",
        sum(level.available for level in levels if level.counts),
        levels,
        sum(int(row[6]) for row in rows),
        iso(max(int(row[7]) for row in rows)),
        iso(next_at),
    )


def listing_at(tx: Tx, tenant_id: int, outlet_id: int, at: int) -> ListingThen:
    """Return what a listing was told and had been seen to show by `at`. Raises NotThen."""
    outlet = tx.one(
        "SELECT account_id, external_id, found_at FROM outlet WHERE tenant_id = :t AND outlet_id = :o",
        t=tenant_id,
        o=outlet_id,
    )
    if outlet is None or outlet[2] > at:
        since = f" before {iso(outlet[2])}" if outlet is not None else ""
        raise NotThen(f"Listing {outlet_id} was not known{since}. `oneshelf listings list --all` shows their numbers.")
    seen = tx.one(
        "SELECT quantity, seen_at FROM attempt WHERE tenant_id = :t AND outlet_id = :o AND seen_at <= :at "
        "ORDER BY seen_at DESC, attempt_no DESC LIMIT 1",
        t=tenant_id,
        o=outlet_id,
        at=at,
    )
    told = tx.one(
        "SELECT quantity, started_at, accepted_at, seen_at, why FROM attempt WHERE tenant_id = :t AND outlet_id = :o "
        "AND started_at <= :at ORDER BY started_at DESC, attempt_no DESC LIMIT 1",
        t=tenant_id,
        o=outlet_id,
        at=at,
    )
    sold = (
        0
        if seen is None
        else sum(
            int(row[0])
            for row in tx.all(
                """SELECT MAX(l.ordered - l.cancelled) / MAX(l.units_per_listing) FROM order_line l
                     JOIN orders o ON o.tenant_id = l.tenant_id AND o.order_no = l.order_no
                    WHERE l.tenant_id = :t AND l.outlet_id = :o AND l.placed_s >= :from_s AND o.placed_at > :seen AND o.placed_at <= :at
                    GROUP BY l.order_no, l.line_id""",
                t=tenant_id,
                o=outlet_id,
                from_s=seen[1] // SECOND,
                seen=seen[1],
                at=at,
            )
        )
    )
    return ListingThen(
        outlet_id,
        outlet[0],
        outlet[1],
        iso(at) or "",
        None if seen is None else seen[0],
        None if seen is None else iso(seen[1]),
        sold,
        None if told is None else told[0],
        None if told is None else iso(told[1]),
        _how_far(told, at),
        {} if told is None else msgspec.json.decode(told[4]),
    )


def _how_far(told: tuple[object, ...] | None, at: int) -> str:
    """Sent, accepted, visible: the furthest that was proved by then."""
    if told is None:
        return ""
    accepted, seen = told[2], told[3]
    if isinstance(seen, int) and seen <= at:
        return "visible"
    return "accepted" if isinstance(accepted, int) and accepted <= at else "sent"


def order_at(tx: Tx, tenant_id: int, name: str, at: int, *, account_id: int = 0) -> OrderThen:
    """Return an order, by its id or number, as it stood with us at `at`. Raises NotThen if it was not heard by then."""
    rows = tx.all(
        "SELECT order_no, account_id, order_id, placed_at, received_at, decided_at, imported_at, hub_order_id, closed_at "
        "FROM orders WHERE tenant_id = :t AND (order_id = :n OR number = :n) AND (account_id = :a OR :a = 0) ORDER BY account_id",
        t=tenant_id,
        n=name,
        a=account_id,
    )
    if len(rows) > 1:
        raise NotThen(f"Several accounts have an order {name}. Say whose: {', '.join(str(row[1]) for row in rows)}.")
    if not rows or rows[0][4] > at:
        heard = f"; it was first heard of at {iso(rows[0][4])}" if rows else ""
        raise NotThen(f"Order {name} was not known at {iso(at)}{heard}.")
    order_no, whose, order_id, placed, received, decided, imported, hub_order_id, closed = rows[0]
    pieces = {
        sku: {"reserved": int(reserved), "committed": int(committed), "shipped": -int(on_hand)}
        for sku, reserved, committed, on_hand in tx.all(
            """SELECT sku, CAST(SUM(reserved) AS BIGINT), CAST(SUM(committed) AS BIGINT),
                      CAST(SUM(CASE WHEN entry_key LIKE 'ship:%' THEN on_hand ELSE 0 END) AS BIGINT)
                 FROM ledger_entry WHERE tenant_id = :t AND order_no = :no AND posted_at <= :at GROUP BY sku ORDER BY sku""",
            t=tenant_id,
            no=order_no,
            at=at,
        )
    }
    moments = [
        (placed, "placed"),
        (received, "first heard of"),
        (decided, "booked"),
        (imported, "stood in Shopify"),
        (closed, "shipped or cancelled whole"),
        *_intents(tx, tenant_id, f"{whose}/{order_id}"),
        *_shipments(tx, tenant_id, order_no),
        *_journal(tx, tenant_id, order_no),
    ]
    happened = sorted((when, what) for when, what in moments if when is not None and when <= at)
    return OrderThen(
        whose,
        order_id,
        iso(at) or "",
        pieces,
        hub_order_id if imported is not None and imported <= at else None,
        [Happened(iso(when) or "", what) for when, what in happened[-HAPPENED_MAX:]],
    )


def _intents(tx: Tx, tenant_id: int, entity: str) -> Iterable[tuple[int | None, str]]:
    for kind, created_at, settled_at, state in tx.all(
        "SELECT kind, created_at, settled_at, state FROM intent WHERE tenant_id = :t AND entity = :e ORDER BY intent_no",
        t=tenant_id,
        e=entity,
    ):
        words = kind.replace("_", " ")
        yield created_at, f"{words}: meant"
        yield settled_at, f"{words}: {str(state).lower()}"


def _shipments(tx: Tx, tenant_id: int, order_no: int) -> Iterable[tuple[int | None, str]]:
    for line_id, shipped_at, settled_at, state in tx.all(
        "SELECT line_id, shipped_at, settled_at, state FROM shipment WHERE tenant_id = :t AND order_no = :no",
        t=tenant_id,
        no=order_no,
    ):
        yield shipped_at, f"line {line_id}: left"
        yield settled_at, f"line {line_id}: its parcel {str(state).lower()}"


def _journal(tx: Tx, tenant_id: int, order_no: int) -> Iterable[tuple[int | None, str]]:
    rows = tx.all(
        "SELECT at, what, actor FROM journal WHERE tenant_id = :t AND subject = :s ORDER BY line_no",
        t=tenant_id,
        s=f"order:{order_no}",
    )
    return [(at, f"{what} ({actor})") for at, what, actor in rows]


def customer_at(tx: Tx, tenant_id: int, customer_no: int, at: int) -> CustomerThen:
    """Return what a customer had bought by `at`, and where they stood. Names nobody. Raises NotThen."""
    row = tx.one(
        "SELECT root_no, made_at FROM customer WHERE tenant_id = :t AND customer_no = :c", t=tenant_id, c=customer_no
    )
    if row is None or row[1] > at:
        since = f"; they were first known at {iso(row[1])}" if row is not None else ""
        raise NotThen(f"Customer {customer_no} was not known at {iso(at)}{since}.")
    profiles = [
        number
        for (number,) in tx.all(
            "SELECT customer_no FROM customer WHERE tenant_id = :t AND root_no = :r AND made_at <= :at "
            "AND (customer_no = :r OR merged_at <= :at) ORDER BY customer_no",
            t=tenant_id,
            r=row[0],
            at=at,
        )
    ]
    bought = tx.all(
        """SELECT channel, currency, COUNT(*), CAST(SUM(spend_minor - refunded_minor) AS BIGINT) FROM customer_order
            WHERE tenant_id = :t AND customer_no {in:nos} AND counted = 1 AND matched_at <= :at AND placed_at <= :at
            GROUP BY channel, currency ORDER BY channel, currency""",
        t=tenant_id,
        nos=profiles,
        at=at,
    )
    per_channel: dict[str, int] = {}
    money: dict[str, SpentThen] = {}
    for channel, currency, purchases, spend in bought:
        per_channel[channel] = per_channel.get(channel, 0) + int(purchases)
        had = money.get(currency, SpentThen(currency, 0, 0))
        money[currency] = SpentThen(currency, had.purchases + int(purchases), had.spend_minor + int(spend))
    stood = tx.one(
        "SELECT after, why, changed_at FROM stage_change WHERE tenant_id = :t AND customer_no = :r AND changed_at <= :at "
        "ORDER BY changed_at DESC, change_no DESC LIMIT 1",
        t=tenant_id,
        r=row[0],
        at=at,
    )
    stage, why, stage_at = ("", "", None) if stood is None else stood
    spent = [money[currency] for currency in sorted(money) if currency]
    return CustomerThen(
        row[0], iso(at) or "", profiles, sum(per_channel.values()), per_channel, spent, stage, why, iso(stage_at)
    )
