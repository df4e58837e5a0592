"""From stored messages to booked facts: one transaction, no network.

1. Take new rows in order of arrival.  2. Parse; what can't be read is parked in sight.  3. Book the orders, set-based.
4. Hints become reads.  5. Provisionals whose feed is complete are settled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
import structlog

from oneshelf.channels.contract import RawMessage
from oneshelf.core.errors import Park
from oneshelf.core.facts import (
    AccessLost,
    CatalogueHint,
    ErasureAsked,
    Fact,
    Ignored,
    LocationsHint,
    OrderHint,
    OrderSeen,
    OutletHint,
)
from oneshelf.core.instants import from_us
from oneshelf.customers import privacy
from oneshelf.db.journal import open_task
from oneshelf.db.tx import Tx
from oneshelf.listings import dirty, hints
from oneshelf.orders import claims, intents, provisional, shipments
from oneshelf.orders.accounts import Account, load_accounts
from oneshelf.orders.batch import Heard
from oneshelf.orders.book import book
from oneshelf.tenants.accounts import set_state

log = structlog.get_logger()

#: Rows one call takes at most.
HANDLE_MAX = 256
#: Longest reason that is kept with a message, characters.
REASON_MAX = 500


class Parses(Protocol):
    """The part of a connector that handling needs."""

    def parse(self, message: RawMessage) -> list[Fact]: ...


class Row(msgspec.Struct, frozen=True):
    seq: int
    account_id: int
    topic: str
    source: str
    headers: str
    body: bytes
    received_at: int
    delivery_key: str


class Handled(msgspec.Struct):
    """What one call did: how many rows, which accounts now have numbers (`tell`) or parcels (`ship`) to tell, whom to poll or read at
    once."""

    rows: int = 0
    parked: int = 0
    orders: int = 0
    wake_hub: bool = False
    tell: set[int] = set()
    ship: set[int] = set()
    poll: set[int] = set()
    catalogue: set[int] = set()
    privacy: bool = False


def handle(tx: Tx, tenant_id: int, parsers: Mapping[int, Parses], now: int, limit: int = HANDLE_MAX) -> Handled:
    """Handle the oldest new rows of a tenant. Nothing is handled before the hub's first levels are posted (S0.4), nor rows of an account
    whose connector is not up yet: at a start the queue is there first."""
    accounts = load_accounts(tx, tenant_id)
    done = Handled()
    hub = next((a for a in accounts.values() if a.is_hub), None)
    if hub is None or hub.opened_at is None:
        return done
    rows = [
        Row(*row)
        for row in tx.all(
            "SELECT seq, account_id, topic, source, headers, body, received_at, delivery_key FROM inbox "
            "WHERE tenant_id = :t AND state = 'NEW' AND account_id NOT IN "
            "(SELECT account_id FROM account WHERE tenant_id = :t AND (state = 'DISCONNECTED' OR NOT account_id {in:up})) "
            "ORDER BY seq LIMIT :limit",
            t=tenant_id,
            up=list(parsers),
            limit=limit,
        )
    ]
    if rows:
        _handle_rows(tx, tenant_id, accounts, parsers, rows, now, done)
    _settle_provisionals(tx, tenant_id, accounts, now)
    done.tell, done.ship = set(dirty.accounts_marked(tx, tenant_id)), set(shipments.accounts_due(tx, tenant_id, now))
    return done


def _handle_rows(
    tx: Tx,
    tenant_id: int,
    accounts: dict[int, Account],
    parsers: Mapping[int, Parses],
    rows: list[Row],
    now: int,
    done: Handled,
) -> None:
    ends: dict[int, tuple[str, str]] = {}  # seq → state, note
    orders: list[tuple[Row, Heard]] = []
    hints: list[tuple[Row, Fact]] = []
    for row in rows:
        facts = _parse(accounts, parsers, row, ends)
        for fact in facts:
            if isinstance(fact, OrderSeen):
                orders.append((row, Heard(row.account_id, fact, row.received_at, row.received_at, row.source)))
            elif isinstance(fact, Ignored):
                ends[row.seq] = ("DONE", fact.reason)
            else:
                hints.append((row, fact))
    moved_by_hub: set[str] = set()
    for row, reason in _book(tx, tenant_id, orders, now, moved_by_hub):
        ends[row.seq] = ("PARKED", reason)
    done.wake_hub |= bool(moved_by_hub)
    for row, fact in hints:
        reason = _try_hint(tx, tenant_id, accounts[row.account_id], row, fact, now, done)
        if reason:
            ends[row.seq] = ("PARKED", reason)
    ends = {seq: (state, words(reason)) for seq, (state, reason) in ends.items()}
    tx.many(
        "UPDATE inbox SET state = ?, note = ?, handled_at = ? WHERE tenant_id = ? AND seq = ?",
        [(*ends.get(row.seq, ("DONE", "")), now, tenant_id, row.seq) for row in rows],
    )
    for row in rows:
        state, reason = ends.get(row.seq, ("DONE", ""))
        if state == "PARKED":
            done.parked += 1
            channel = accounts[row.account_id].label if row.account_id in accounts else "an unknown account"
            open_task(
                tx,
                tenant_id,
                now,
                "parked_message",
                str(row.seq),
                f"Look at a message from {channel} that we can't use",
                f"{reason}. Then: oneshelf inbox retry {row.seq}, or set-aside {row.seq}",
            )
    done.rows, done.orders = len(rows), len(orders)


def _parse(
    accounts: dict[int, Account], parsers: Mapping[int, Parses], row: Row, ends: dict[int, tuple[str, str]]
) -> list[Fact]:
    """Parse one row; one that can't be read is parked and stops nothing else (FC-B15)."""
    parser = parsers.get(row.account_id)
    if row.account_id not in accounts or parser is None:
        ends[row.seq] = ("PARKED", "its account is no longer connected")
        return []
    message = RawMessage(
        topic=row.topic,
        body=bytes(row.body),
        headers=json.loads(row.headers),
        delivery_key=row.delivery_key,
        fetched_at=from_us(row.received_at),
    )
    try:
        facts = parser.parse(message)
        return _without_nul(facts) if rb"\u0000" in message.body else facts
    except Park as error:
        ends[row.seq] = ("PARKED", str(error))
    except (
        Exception
    ) as error:  # a parser that breaks is our mistake: the message is kept, in sight, and the others go on
        log.exception("parse_failed", topic=row.topic, seq=row.seq)
        ends[row.seq] = ("PARKED", f"our parser failed on it: {type(error).__name__}")
    return []


_decoder = msgspec.json.Decoder(list[Fact])
#: An escaped NUL, not an escaped backslash before "u0000".
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


def _without_nul(facts: list[Fact]) -> list[Fact]:
    """Return the facts without NUL characters: PostgreSQL keeps none, and a sale is not parked for a title (S1.10)."""
    return _decoder.decode(_NUL.sub(rb"\1", msgspec.json.encode(facts)))


def words(reason: str) -> str:
    """Return a reason as it can be stored: it may quote what the channel sent."""
    return reason.encode(errors="replace").decode().replace("\0", "")[:REASON_MAX]


#: What a database says about one row that it can't keep (a number too large, a character it doesn't know), by its DB-API name.
_ROW_ERRORS = {"DataError", "IntegrityError"}
_OUR_ERRORS = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    msgspec.MsgspecError,
)


def is_about_one(error: Exception) -> bool:
    """Whether the message itself can't be booked; else (disk full, connection lost) it would be wrong to park it."""
    return isinstance(error, _OUR_ERRORS) or any(kind.__name__ in _ROW_ERRORS for kind in type(error).__mro__)


def _book(
    tx: Tx, tenant_id: int, orders: list[tuple[Row, Heard]], now: int, moved_by_hub: set[str]
) -> list[tuple[Row, str]]:
    """Book all; if that fails, one by one, so that the one which fails is parked alone. Returns the failures."""
    if not orders:
        return []
    try:
        with tx.savepoint():
            book(tx, tenant_id, [heard for _, heard in orders], now, moved_by_hub=moved_by_hub)
        return []
    except Exception as error:
        if not is_about_one(error):
            raise
        if len(orders) == 1:
            log.warning("booking_failed", seq=orders[0][0].seq, problem=type(error).__name__)
            return [(orders[0][0], f"it could not be booked: {type(error).__name__}: {error}")]
    middle = len(orders) // 2
    first = _book(tx, tenant_id, orders[:middle], now, moved_by_hub)
    return first + _book(tx, tenant_id, orders[middle:], now, moved_by_hub)


def _try_hint(tx: Tx, tenant_id: int, account: Account, row: Row, fact: Any, now: int, done: Handled) -> str:
    """Take one hint; return why that is not possible, or ''."""
    try:
        with tx.savepoint():
            _take_hint(tx, tenant_id, account, row, fact, now, done)
        return ""
    except Exception as error:
        if not is_about_one(error):
            raise
        return f"its hint could not be taken: {type(error).__name__}: {error}"


def _take_hint(tx: Tx, tenant_id: int, account: Account, row: Row, fact: Any, now: int, done: Handled) -> None:
    """A hint is never a command: it becomes a read (S9.1)."""
    match fact:
        case OrderHint(order_id=order_id):
            entity = f"{account.account_id}/{order_id}"
            # A read that is under way may have been answered before this happened: only one that is still to begin will do.
            if not claims.has_open_intent(tx, tenant_id, ("fetch_order",), entity, states=("WAITING", "UNKNOWN")):
                claims.add_intent(
                    tx, tenant_id, "fetch_order", entity, row.seq, {"order_id": order_id}, now, priority=3
                )
            done.poll.add(account.account_id)
        case OutletHint(external_id=external_id) if account.is_hub:
            want_hub_read(tx, tenant_id, external_id)
            done.wake_hub = True
        case OutletHint(external_id=external_id):
            outlet_ids = tx.all(
                "SELECT outlet_id FROM outlet WHERE tenant_id = :t AND account_id = :a AND (external_id = :e OR write_unit = :e)",
                t=tenant_id,
                a=account.account_id,
                e=external_id,
            )
            dirty.mark_outlets(
                tx, tenant_id, [o for (o,) in outlet_ids], now, "the channel says it changed", reread=True
            )
        case CatalogueHint(external_id=external_id):
            hints.want(tx, tenant_id, account.account_id, external_id, now)
            done.catalogue.add(account.account_id)
        case LocationsHint():
            hints.want(tx, tenant_id, account.account_id, hints.LOCATIONS, now)
            done.catalogue.add(account.account_id)
        case AccessLost(reason=reason):
            if account.state == "LIVE":
                set_state(tx, tenant_id, account.account_id, "PAUSED", now)
            open_task(
                tx, tenant_id, now, "connect_again", str(account.account_id), f"Connect {account.label} again", reason
            )
        case ErasureAsked(kind=kind, subject=subject, order_ids=order_ids):
            privacy.ask(tx, tenant_id, account.account_id, kind, subject, row.seq, now, order_ids)
            done.privacy = True


def want_hub_read(tx: Tx, tenant_id: int, external_id: str) -> None:
    """Ask for a fresh read of a hub level; `external_id` is item id + "|" + location id, or an item id alone."""
    item_id, _, location_id = external_id.partition("|")
    tx.run(
        """INSERT INTO hub_level (tenant_id, sku, location_id, read_at, wanted)
           SELECT i.tenant_id, i.sku, l.location_id, 0, 1 FROM item i
             JOIN location l ON l.tenant_id = i.tenant_id AND (CAST(:loc AS TEXT) = '' OR l.location_id = :loc)
            WHERE i.tenant_id = :t AND i.item_id = :item AND i.tracked = 1
           ON CONFLICT (tenant_id, sku, location_id) DO UPDATE SET wanted = 1""",
        t=tenant_id,
        item=item_id,
        loc=location_id,
    )


def _settle_provisionals(tx: Tx, tenant_id: int, accounts: dict[int, Account], now: int) -> None:
    """S9.2: only when every message of the account that has arrived is also booked."""
    rows = tx.all(
        """SELECT f.account_id, f.complete_through_at FROM feed f
            WHERE f.tenant_id = :t AND f.name = 'orders' AND f.complete_through_at IS NOT NULL
              AND EXISTS (SELECT 1 FROM provisional p WHERE p.tenant_id = f.tenant_id AND p.state = 'OPEN'
                             AND p.account_id = f.account_id AND p.outlet_id <> 0)
              AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.tenant_id = f.tenant_id AND i.state = 'NEW'
                                 AND i.account_id = f.account_id)
              AND NOT EXISTS (SELECT 1 FROM intent n WHERE n.tenant_id = f.tenant_id AND n.kind = 'fetch_order'
                                 AND n.entity LIKE CAST(f.account_id AS TEXT) || '/%' AND n.not_found < :most
                                 AND n.state IN ('WAITING', 'SENDING', 'UNKNOWN'))""",
        t=tenant_id,
        most=intents.NOT_KNOWN_MAX,
    )
    for account_id, complete_through_at in rows:
        if account_id in accounts:
            provisional.settle_due(tx, tenant_id, account_id, complete_through_at, accounts[account_id].skew_s, now)
