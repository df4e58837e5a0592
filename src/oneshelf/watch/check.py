"""The audit that a person can ask for at any time (SEMANTICS 9.7, I1, I4, I13): our books against the channels' own word.

1. Levels = sum of entries; entries = what order lines hold; customers' counters = the orders that count.  2. Orders at each channel = orders stored.  3. Every offer = what is shown.  4. Where prices follow the shop:
every price = what is asked.
A channel's answer and our books are never of one moment: what differs is looked at again, and is a breach when it differs each time.
Reads only; what differs elsewhere is told, and left to the rules that repair it; our own books a person may have put right
(orders/repairing).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from oneshelf.channels.abilities import Prices
from oneshelf.channels.batches import read_batches
from oneshelf.channels.contract import Channel, Http, NoAnswer, Outlet
from oneshelf.core.errors import Park, Retry
from oneshelf.core.instants import to_us
from oneshelf.core.money import in_words
from oneshelf.core.price import NoPrice, Priced
from oneshelf.customers import counting
from oneshelf.db.tx import Tx
from oneshelf.orders import repairing
from oneshelf.pricing.levels import prices_of
from oneshelf.pricing.policy import policy_of
from oneshelf.publish.numbers import numbers_of
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer
from oneshelf.stock import ledger

from .channel_orders import complete_through, orders_there

#: Stored orders that are counted again in one transaction.
ORDERS_A_STEP = 500
#: How often a number that differs is looked at, and how long is waited before it is looked at again, seconds: time moves numbers at its
#: steps, and the tick that says so, or the write, may come between the channel's answer and our books.
LOOKS = 3
LOOK_AGAIN_S = 2.0


#: A listing as it is compared: outlet, external id, write unit, extra.
_Row = tuple[Any, ...]
#: {outlet: (right | on its way | parked | differs, in words what differs)}.
_Found = dict[int, tuple[str, str]]


class Breach(msgspec.Struct, frozen=True):
    """One thing that is not as it should be. `rule`: the invariant; `channel` "" for our own books."""

    rule: str
    channel: str
    what: str


class ChannelCount(msgspec.Struct):
    """What was compared at one account."""

    account_id: int
    channel: str
    orders_there: int = 0
    orders_stored: int = 0
    outlets_read: int = 0
    outlets_right: int = 0
    on_their_way: int = 0
    prices_read: int = 0
    prices_right: int = 0
    prices_on_their_way: int = 0
    prices_parked: int = 0
    problem: str = ""


class Audit(msgspec.Struct):
    """The whole check. `breaches` empty: everything that could be read is right. `repaired`: what was put right in our books before it."""

    levels: int
    entries: int
    channels: list[ChannelCount]
    breaches: list[Breach]
    repaired: list[str] = []


class Checked(msgspec.Struct):
    """One account to check."""

    account_id: int
    channel: Channel
    http: Http
    connected_at: int


async def check(tenant_id: int, checked: list[Checked], writer: Writer, clock: Clock) -> Audit:
    """Compare everything. A channel that can't be read is named in its count, and is a breach of its own."""
    audit = await writer.do(lambda tx: _own_books(tx, tenant_id))
    await _customers(tenant_id, writer, audit)
    for one in checked:
        count = ChannelCount(one.account_id, str(one.channel.name))
        audit.channels.append(count)
        try:
            await _orders(tenant_id, one, writer, clock, audit, count)
            if one.channel.can.write == "absolute":
                await _offers(tenant_id, one, writer, clock, audit, count)
                await _prices(tenant_id, one, writer, clock, audit, count)
        except (NoAnswer, Retry, Park) as error:
            count.problem = str(error) or type(error).__name__
            audit.breaches.append(Breach("unread", count.channel, f"could not be read: {count.problem}"))
    return audit


def _own_books(tx: Tx, tenant_id: int) -> Audit:
    levels = tx.one("SELECT COUNT(*) FROM stock_level WHERE tenant_id = :t", t=tenant_id)
    entries = tx.one("SELECT COUNT(*) FROM ledger_entry WHERE tenant_id = :t", t=tenant_id)
    assert levels is not None and entries is not None
    breaches = [
        Breach("I1", "", f"{sku} at {location}: {bucket} is {level}, its entries make {total}")
        for sku, location, bucket, level, total in ledger.differences(tx, tenant_id)
    ]
    drifts = repairing.drifted(tx, tenant_id)
    names = repairing.order_names(tx, tenant_id, drifts)
    breaches += [Breach("I3", "", one.in_words(names.get(one.order_no, str(one.order_no)))) for one in drifts]
    return Audit(int(levels[0]), int(entries[0]), [], breaches)


async def _customers(tenant_id: int, writer: Writer, audit: Audit) -> None:
    """I23: what customers bought, counted again from the stored orders."""
    found = await writer.do(lambda tx: counting.differing_sums(tx, tenant_id))
    after_no: int | None = 0
    while after_no is not None:
        step = partial(counting.differing_orders, tenant_id=tenant_id, after_no=after_no, limit=ORDERS_A_STEP)
        more, after_no = await writer.do(step)
        found += more
    audit.breaches += [Breach("I23", "", what) for what in found]


async def _orders(
    tenant_id: int, one: Checked, writer: Writer, clock: Clock, audit: Audit, count: ChannelCount
) -> None:
    """I4: every order that the channel's feed shows since we are connected is stored."""
    there = await orders_there(one.channel, one.http, one.connected_at, clock)
    stored = await writer.do(
        lambda tx: {
            order_id
            for (order_id,) in tx.all(
                "SELECT order_id FROM orders WHERE tenant_id = :t AND account_id = :a", t=tenant_id, a=one.account_id
            )
        }
    )
    through = await writer.do(lambda tx: complete_through(tx, tenant_id, one.account_id))
    # An order of the last moments, which our own poll has not had its turn to hear of, is no breach yet.
    missing = {order_id for order_id, placed_at in there.items() if order_id not in stored and placed_at <= through}
    count.orders_there, count.orders_stored = len(there), len(there.keys() & stored)
    audit.breaches += [
        Breach("I4", count.channel, f"order {order_id} stands there and is not stored") for order_id in sorted(missing)
    ]


async def _offers(
    tenant_id: int, one: Checked, writer: Writer, clock: Clock, audit: Audit, count: ChannelCount
) -> None:
    """I13: every linked outlet shows its offer, or owes a write that is on its way; one that is parked owes it to a person."""
    rows = await writer.do(
        lambda tx: tx.all(
            "SELECT DISTINCT o.outlet_id, o.external_id, o.write_unit, o.extra FROM outlet o "
            "JOIN link k ON k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id "
            "WHERE o.tenant_id = :t AND o.account_id = :a AND o.fulfilled_by_channel = 0 "
            "AND o.state NOT IN ('ended', 'draft', 'gone') ORDER BY o.write_unit, o.outlet_id",
            t=tenant_id,
            a=one.account_id,
        )
    )
    batches = list(read_batches([(row[2], row) for row in rows], one.channel.can))
    found = await _look(batches, partial(_offers_of, tenant_id, one, writer, clock))
    count.outlets_read = len(found)
    count.outlets_right = sum(state == "right" for state, _ in found.values())
    count.on_their_way = sum(state == "on its way" for state, _ in found.values())
    audit.breaches += [Breach("I13", count.channel, what) for state, what in found.values() if state == "differs"]


async def _look(batches: Sequence[Sequence[_Row]], compare: Callable[[Sequence[_Row]], Awaitable[_Found]]) -> _Found:
    """Compare every batch; what differs again, up to LOOKS times."""
    found: _Found = {}
    for rows in batches:
        found |= await compare(rows)
    for _ in range(LOOKS - 1):
        again = [[row for row in rows if found[row[0]][0] == "differs"] for rows in batches]
        if not any(again):
            break
        await asyncio.sleep(LOOK_AGAIN_S)
        for rows in filter(None, again):
            found |= await compare(rows)
    return found


async def _offers_of(tenant_id: int, one: Checked, writer: Writer, clock: Clock, rows: Sequence[_Row]) -> _Found:
    seen = await one.channel.read(one.http, [Outlet(row[1], row[2], json.loads(row[3])) for row in rows])
    shown = {s.external_id: s.quantity for s in seen}
    ids = [row[0] for row in rows]
    numbers, moving = await writer.do(partial(_numbers, tenant_id=tenant_id, one=one, ids=ids, now=to_us(clock.now())))
    found: _Found = {}
    for outlet_id, external_id, _, _ in rows:
        is_now, ought = shown.get(external_id), numbers.get(outlet_id)
        if is_now is not None and is_now == ought:
            found[outlet_id] = ("right", "")
        elif outlet_id in moving or ought is None:  # None: unlinked meanwhile
            found[outlet_id] = ("on its way", "")
        else:
            what = f"{external_id} shows {is_now}, it should be {ought}"
            found[outlet_id] = ("differs", what)
    return found


def _numbers(tx: Tx, tenant_id: int, one: Checked, ids: list[int], now: int) -> tuple[dict[int, int], set[int]]:
    numbers = {
        outlet_id: number.offer
        for outlet_id, number in numbers_of(tx, tenant_id, one.account_id, ids, one.channel.can, now).items()
    }
    moving = tx.all(
        "SELECT outlet_id FROM slot WHERE tenant_id = :t AND outlet_id {in:ids} AND state <> 'QUIET' AND state <> 'PARKED' "
        "UNION SELECT d.outlet_id FROM dirty_listing d WHERE d.tenant_id = :t AND d.outlet_id {in:ids} AND NOT EXISTS "
        "(SELECT 1 FROM slot s WHERE s.tenant_id = d.tenant_id AND s.outlet_id = d.outlet_id AND s.state = 'PARKED')",
        t=tenant_id,
        ids=ids,
    )
    return numbers, {outlet_id for (outlet_id,) in moving}


async def _prices(
    tenant_id: int, one: Checked, writer: Writer, clock: Clock, audit: Audit, count: ChannelCount
) -> None:
    """P5: every listing of an account that follows asks its price, is on its way there, or stands in sight with a reason."""
    channel = one.channel
    if not isinstance(channel, Prices):
        return
    rows = await writer.do(
        lambda tx: tx.all(
            "SELECT o.outlet_id, o.external_id, o.write_unit, o.extra FROM outlet o "
            "JOIN price_policy p ON p.tenant_id = o.tenant_id AND p.account_id = o.account_id AND p.mode = 'follow' "
            "JOIN price_slot s ON s.tenant_id = o.tenant_id AND s.outlet_id = o.outlet_id "
            "WHERE o.tenant_id = :t AND o.account_id = :a AND o.fulfilled_by_channel = 0 "
            "AND o.state NOT IN ('ended', 'draft', 'gone') ORDER BY o.write_unit, o.outlet_id",
            t=tenant_id,
            a=one.account_id,
        )
    )
    size = channel.prices.read_batch
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    found = await _look(batches, partial(_prices_of, tenant_id, one, channel, writer, clock))
    count.prices_read = len(found)
    count.prices_right = sum(state == "right" for state, _ in found.values())
    count.prices_parked = sum(state == "parked" for state, _ in found.values())
    count.prices_on_their_way = sum(state == "on its way" for state, _ in found.values())
    audit.breaches += [Breach("P5", count.channel, what) for state, what in found.values() if state == "differs"]


async def _prices_of(
    tenant_id: int, one: Checked, channel: Prices, writer: Writer, clock: Clock, rows: Sequence[_Row]
) -> _Found:
    seen = await channel.read_prices(one.http, [Outlet(row[1], row[2], json.loads(row[3])) for row in rows])
    asked = {s.external_id: s.price for s in seen}
    currencies = {row[0]: money.currency for row in rows if (money := asked.get(row[1])) is not None}
    wanted, states = await writer.do(
        partial(_wanted, tenant_id=tenant_id, one=one, currencies=currencies, some=rows, at=to_us(clock.now()))
    )
    found: _Found = {}
    for outlet_id, external_id, _, _ in rows:
        price, state = wanted[outlet_id], states[outlet_id]
        if isinstance(price, Priced) and asked.get(external_id) == price.price:
            found[outlet_id] = ("right", "")
        elif state == "PARKED":
            found[outlet_id] = ("parked", "")
        elif state != "QUIET" or isinstance(price, NoPrice):
            found[outlet_id] = ("on its way", "")
        else:
            now = asked.get(external_id)
            is_now = in_words(now.minor, now.currency) if now is not None else "no price"
            what = f"{external_id} asks {is_now}, it should be {in_words(price.price.minor, price.price.currency)}"
            found[outlet_id] = ("differs", what)
    return found


def _wanted(
    tx: Tx, tenant_id: int, one: Checked, currencies: dict[int, str], some: Sequence[_Row], at: int
) -> tuple[dict[int, Priced | NoPrice], dict[int, str]]:
    ids = [row[0] for row in some]
    states = dict(
        tx.all(
            "SELECT outlet_id, state FROM price_slot WHERE tenant_id = :t AND outlet_id {in:ids}", t=tenant_id, ids=ids
        )
    )
    marked = tx.all(
        "SELECT outlet_id FROM price_mark WHERE tenant_id = :t AND outlet_id {in:ids}", t=tenant_id, ids=ids
    )
    states |= {outlet_id: "WAITING" for (outlet_id,) in marked if states[outlet_id] == "QUIET"}
    return prices_of(tx, tenant_id, ids, currencies, policy_of(tx, tenant_id, one.account_id), at), states
