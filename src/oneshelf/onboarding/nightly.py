"""The nightly audit of one account (SEMANTICS 9.7): is what is kept still what is there?

1. The hub: levels = sum of entries, customers' counters = the orders that count, and every level was read within the day (the export brings on_hand and committed).
2. A marketplace: every outlet was read within the day (the sweep does that; what it missed is asked for), and shows its offer.
3. Every open order is read again by its id.  4. A line in the journal says what was looked at and what differed.

In: the clock. Out: marks, stored messages, the report. Tables: upkeep (its own row of each account); reads the others.
Never: repairs anything itself: what differs goes to the rules that judge every read; takes budget before numbers (priority 6); begins
anew what was interrupted.
"""

from __future__ import annotations

import asyncio
import json
from functools import partial

import msgspec
import structlog

from oneshelf.channels.contract import Channel, Http, NoAnswer, RawMessage
from oneshelf.core.errors import Park, Retry, Stop
from oneshelf.core.ids import HUB
from oneshelf.core.instants import SECOND, to_us
from oneshelf.customers import counting
from oneshelf.db.journal import close_task, note, open_task
from oneshelf.db.tx import Tx
from oneshelf.intake.inbox import Raw, keep
from oneshelf.listings import dirty
from oneshelf.reconcile.sweep import audit_offers
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer
from oneshelf.stock import ledger

log = structlog.get_logger()

#: The `upkeep` row of an account.
NAME = "audit"
DAY = 86_400 * SECOND
#: When it begins, UTC.
HOUR = 3 * 3_600 * SECOND
#: Orders read between two records of how far it is.
ORDERS_A_STEP = 20
#: Stored orders counted again for their customers in one transaction.
COUNTED_A_STEP = 500
#: After a failure it goes on so much later.
FAILED_WAIT_S = 300.0
#: Differences that the task names.
NAMED_MAX = 5
#: States of an order of which something is still owed.
_OPEN = ("PENDING", "OPEN", "PARTIAL", "RELEASED", "MERCHANT", "CANCEL_WANTED", "UNLINKED")


class Night(msgspec.Struct):
    """How far one audit is, and what it has found. Instants in microseconds."""

    started_at: int
    looked: bool = False
    after_order: int = 0
    levels: int = 0
    books_differ: int = 0
    outlets: int = 0
    not_read: int = 0
    beside_offer: int = 0
    orders: int = 0
    unknown_orders: int = 0
    counted_to: int | None = 0
    customers_differ: int = 0


def next_at(now: int) -> int:
    """Return the next time an audit begins: HOUR of this day or the next."""
    today = now // DAY * DAY + HOUR
    return today if today > now else today + DAY


async def run(
    tenant_id: int, account_id: int, channel: Channel, http: Http, writer: Writer, clock: Clock, stop: asyncio.Event
) -> None:
    """Audit once a night until `stop` is set; one that was interrupted goes on where it was."""
    pause = Bell()
    while not stop.is_set():
        due_at = await writer.do(lambda tx: due(tx, tenant_id, account_id, to_us(clock.now())))
        await pause.wait(max(0.0, (due_at - to_us(clock.now())) / SECOND), stop)
        if stop.is_set():
            return
        try:
            await audit(tenant_id, account_id, channel, http, writer, clock)
        except Stop:
            raise
        except (NoAnswer, Retry, Park) as error:
            wait_s = error.wait_s if isinstance(error, Retry) and error.wait_s is not None else FAILED_WAIT_S
            await pause.wait(wait_s, stop)
        except Exception:
            log.exception("audit_failed", account_id=account_id)
            await pause.wait(FAILED_WAIT_S, stop)


def due(tx: Tx, tenant_id: int, account_id: int, now: int) -> int:
    """Return when the next audit is due. An account's first night is the one after it was connected."""
    row = tx.one(
        "SELECT due_at FROM upkeep WHERE tenant_id = :t AND account_id = :a AND name = :n",
        t=tenant_id,
        a=account_id,
        n=NAME,
    )
    if row is None:
        _save(tx, tenant_id, account_id, None, next_at(now), None)
        return next_at(now)
    return int(row[0])


async def audit(tenant_id: int, account_id: int, channel: Channel, http: Http, writer: Writer, clock: Clock) -> Night:
    """One audit to its end; raises what the channel's reads raise, and then goes on from there at the next call."""
    night = await writer.do(lambda tx: _begin(tx, tenant_id, account_id, channel, to_us(clock.now())))
    while channel.name is HUB and night.counted_to is not None:
        await writer.do(lambda tx: _count_again(tx, tenant_id, account_id, night, to_us(clock.now())))
    while True:
        orders = await writer.do(
            partial(_open_orders, tenant_id=tenant_id, account_id=account_id, after=night.after_order)
        )
        for order_no, order_id in orders:
            message = await channel.fetch_order(http, order_id)
            night.after_order = order_no
            night.orders += 1
            night.unknown_orders += int(message is None)
            now = to_us(clock.now())
            step = partial(_keep, tenant_id=tenant_id, account_id=account_id)
            await writer.do(partial(step, night=night, message=message, now=now))
        if len(orders) < ORDERS_A_STEP:
            break
    await writer.do(lambda tx: _report(tx, tenant_id, account_id, night, to_us(clock.now())))
    return night


def _begin(tx: Tx, tenant_id: int, account_id: int, channel: Channel, now: int) -> Night:
    row = tx.one(
        "SELECT state FROM upkeep WHERE tenant_id = :t AND account_id = :a AND name = :n",
        t=tenant_id,
        a=account_id,
        n=NAME,
    )
    stored = {} if row is None else json.loads(row[0])
    night = msgspec.convert(stored["night"], Night) if stored.get("night") else Night(now)
    if night.looked:
        return night
    if channel.name is HUB:
        _look_at_hub(tx, tenant_id, night, now)
    else:
        _look_at_outlets(tx, tenant_id, account_id, channel, night, now)
    night.looked = True
    _save(tx, tenant_id, account_id, night, now, None)
    return night


def _look_at_hub(tx: Tx, tenant_id: int, night: Night, now: int) -> None:
    """I1, and levels that no export has brought for a day."""
    found = ledger.differences(tx, tenant_id)
    night.books_differ = len(found)
    if found:
        named = "; ".join(
            f"{sku} at {location}: {bucket} is {level}, its entries make {total}"
            for sku, location, bucket, level, total in found[:NAMED_MAX]
        )
        open_task(
            tx,
            tenant_id,
            now,
            "books_differ",
            "",
            "The ledger's sums are not its entries: oneshelf check --repair",
            named,
        )
    else:
        close_task(tx, tenant_id, now, "books_differ", "")
    row = tx.one("SELECT COUNT(*) FROM hub_level WHERE tenant_id = :t", t=tenant_id)
    night.levels = int(row[0]) if row else 0
    night.not_read = tx.run(
        "UPDATE hub_level SET wanted = 1 WHERE tenant_id = :t AND read_at < :old", t=tenant_id, old=now - DAY
    )


def _count_again(tx: Tx, tenant_id: int, account_id: int, night: Night, now: int) -> None:
    """I23: a page of the stored orders, counted again for their customers; after the last one the customers' sums."""
    assert night.counted_to is not None
    found, night.counted_to = counting.differing_orders(tx, tenant_id, night.counted_to, COUNTED_A_STEP)
    if night.counted_to is None:
        found += counting.differing_sums(tx, tenant_id)
    night.customers_differ += len(found)
    if found:
        what = "Customers' counters are not what their orders make: run oneshelf check, restore a backup"
        open_task(tx, tenant_id, now, "customers_differ", "", what, "; ".join(found[:NAMED_MAX]))
    elif night.counted_to is None and not night.customers_differ:
        close_task(tx, tenant_id, now, "customers_differ", "")
    _save(tx, tenant_id, account_id, night, now, None)


def _look_at_outlets(tx: Tx, tenant_id: int, account_id: int, channel: Channel, night: Night, now: int) -> None:
    rows = tx.all(
        """SELECT DISTINCT o.outlet_id, COALESCE(s.believed_at, 0) FROM outlet o
             JOIN link k ON k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id
             LEFT JOIN slot s ON s.tenant_id = o.tenant_id AND s.outlet_id = o.outlet_id
            WHERE o.tenant_id = :t AND o.account_id = :a AND o.fulfilled_by_channel = 0
              AND o.state NOT IN ('ended', 'draft', 'gone') ORDER BY o.outlet_id""",
        t=tenant_id,
        a=account_id,
    )
    old = [outlet_id for outlet_id, read_at in rows if read_at < now - DAY]
    dirty.mark_outlets(tx, tenant_id, old, now, "nightly audit", reread=True)
    night.outlets, night.not_read = len(rows), len(old)
    night.beside_offer = audit_offers(tx, tenant_id, account_id, channel.can, now).wrong_in_all


def _open_orders(tx: Tx, tenant_id: int, account_id: int, after: int) -> list[tuple[int, str]]:
    """The next orders of which something is still owed; of the hub's copies those whose marketplace order is open."""
    return [
        (row[0], row[1])
        for row in tx.all(
            """SELECT o.order_no, o.order_id FROM orders o WHERE o.tenant_id = :t AND o.account_id = :a AND o.order_no > :after
                  AND (o.state {in:open} OR EXISTS (SELECT 1 FROM orders m WHERE m.tenant_id = o.tenant_id
                                                       AND m.order_no = o.copy_of_order_no AND m.state {in:open}))
                ORDER BY o.order_no LIMIT :n""",
            t=tenant_id,
            a=account_id,
            after=after,
            open=list(_OPEN),
            n=ORDERS_A_STEP,
        )
    ]


def _keep(tx: Tx, tenant_id: int, account_id: int, night: Night, message: RawMessage | None, now: int) -> None:
    """The order and how far the audit is are durable together. An order that is as it was is known already and changes nothing."""
    if message is not None:
        raw = Raw(
            tenant_id, account_id, message.topic, message.delivery_key, "read", message.headers, message.body, now
        )
        keep(tx, [raw])
    _save(tx, tenant_id, account_id, night, now, None)


def _report(tx: Tx, tenant_id: int, account_id: int, night: Night, now: int) -> None:
    drift = tx.one(
        "SELECT COUNT(*) FROM journal WHERE tenant_id = :t AND actor = 'reconcile' AND at >= :since AND what LIKE 'Drift%'",
        t=tenant_id,
        since=now - DAY,
    )
    said = {name: value for name, value in msgspec.to_builtins(night).items() if isinstance(value, int) and value}
    for name in ("started_at", "looked", "after_order", "counted_to"):
        said.pop(name, None)
    note(
        tx,
        tenant_id,
        now,
        "audit",
        "The nightly audit ended",
        f"account:{account_id}",
        **said,
        drift_of_the_day=int(drift[0]) if drift else 0,
    )
    _save(tx, tenant_id, account_id, None, next_at(now), now)


def _save(tx: Tx, tenant_id: int, account_id: int, night: Night | None, due_at: int, done_at: int | None) -> None:
    tx.run(
        """INSERT INTO upkeep (tenant_id, account_id, name, state, started_at, done_at, due_at)
           VALUES (:t, :a, :n, :s, :started, :done, :due)
           ON CONFLICT (tenant_id, account_id, name) DO UPDATE SET state = excluded.state, started_at = excluded.started_at,
               done_at = COALESCE(excluded.done_at, upkeep.done_at), due_at = excluded.due_at""",
        t=tenant_id,
        a=account_id,
        n=NAME,
        s=json.dumps({"night": msgspec.to_builtins(night)} if night is not None else {}),
        started=night.started_at if night is not None else None,
        done=done_at,
        due=due_at,
    )
