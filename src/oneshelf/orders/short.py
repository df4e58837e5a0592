"""A short line: grace, then a cancel or a person's word (SEMANTICS 7).

1. SHORT for GRACE_S, and every channel heard past its purchase.  2. Behind unpaid orders only: wait for those.  3. `auto` → X with an
intent `cancel`; `ask` → M with a task.  What the merchant took off a hub copy goes the same way (S5.5).
Never: cancels what is unpaid, released, shipped or covered; cancels a line twice; calls a channel (shipping carries intents out).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from oneshelf.channels.abilities import CancelAbility
from oneshelf.core import coverage
from oneshelf.core.instants import SECOND
from oneshelf.core.order import LineEvent, LineState, order_state, transition
from oneshelf.core.plan import Capability
from oneshelf.db.journal import close_task, note, open_task
from oneshelf.db.tx import Tx
from oneshelf.tenants.plan import allows

from . import claims, covering
from .accounts import Account, load_accounts
from .cancel_rate import rate_of
from .copies import entity
from .rows import LineRow, OrderRow, load_lines, load_open_lines, load_orders_by_no, save_lines, save_orders

#: S7.1: restock, found pieces, another cancel may still cover it.
GRACE_S = 15 * 60
#: S7.1: a line short only behind unpaid ones waits so long for them, and not past ship-by less PENDING_BEFORE_SHIP_BY_S.
PENDING_WAIT_S = 6 * 3600
PENDING_BEFORE_SHIP_BY_S = 24 * 3600
#: S7.2: `auto` never cancels an order older than this, or worth more than VALUE_MAX, by itself.
OLD_S = 24 * 3600
VALUE_MAX_MINOR = 10_000

#: Account settings. Modes: "ask" [default] or "auto". The value in minor units of the order's currency.
MODE_SHORT = "cancel_short"
MODE_REMOVED = "cancel_removed"
VALUE_SETTING = "cancel_short_value_max_minor"

TASK = "short_decision"
#: A cancel can't be taken back once it is sent, so it waits so long, and may be revoked until then.
REVOKE_S = 10
_NEVER_AGAIN = ("SENDING", "UNKNOWN", "DONE", "TASK", "WAITING")


class Channels(msgspec.Struct):
    """What decides about cancels needs of the connectors: abilities by account, and where a person cancels an order."""

    abilities: Mapping[int, CancelAbility]
    link: Callable[[int, str], str] = lambda account_id, order_id: ""


def decide(tx: Tx, tenant_id: int, channels: Channels, now: int) -> set[int]:
    """Look at every short line. Returns the accounts that have a cancel to ask for.

    A plan without conflict detection decides nothing: the lines stay short, in sight.
    """
    accounts = load_accounts(tx, tenant_id)
    asked = _tell_removals(tx, tenant_id, accounts, channels, now)
    if not allows(tx, tenant_id, Capability.CONFLICT_DETECTION):
        return asked
    rows = tx.all(
        # Neither DISTINCT nor an order is asked for: SQLite would take all lines, which lie so, for the few that are short.
        "SELECT order_no FROM order_line WHERE tenant_id = :t AND coverage = 'SHORT' AND state IN ('O', 'M') AND short_since <= :bound",
        t=tenant_id,
        bound=now - GRACE_S * SECOND,
    )
    for order in load_orders_by_no(tx, tenant_id, sorted({no for (no,) in rows})).values():
        account = accounts.get(order.account_id)
        if account is None or account.state != "LIVE" or order.standing != "live":
            continue
        ripe = [
            line_id
            for line_id in short_lines(tx, tenant_id, order)
            if _is_ripe(tx, tenant_id, order, line_id, accounts, now)
        ]
        if ripe and _choose(tx, tenant_id, account, order, ripe, channels, now):
            asked.add(account.account_id)
    return asked


def _lines(tx: Tx, tenant_id: int, order: OrderRow) -> dict[str, list[LineRow]]:
    """The linked lines of an order by line id; a bundle has a row a part."""
    found: dict[str, list[LineRow]] = {}
    for line in load_lines(tx, tenant_id, [order.order_no]).get(order.order_no, {}).values():
        if line.sku:
            found.setdefault(line.line_id, []).append(line)
    return found


def short_lines(tx: Tx, tenant_id: int, order: OrderRow) -> list[str]:
    """Lines of an order that are short and wait for stock or a word."""
    return [
        line_id
        for line_id, parts in sorted(_lines(tx, tenant_id, order).items())
        if any(part.coverage == "SHORT" for part in parts) and all(part.state in ("O", "M") for part in parts)
    ]


def _is_ripe(tx: Tx, tenant_id: int, order: OrderRow, line_id: str, accounts: Mapping[int, Account], now: int) -> bool:
    """Past grace, settled, not waiting for unpaid orders ahead of it, and not put off by a person."""
    decided = _decision(tx, tenant_id, order.order_no, line_id)
    if decided is not None and (decided[0] == "backorder" or (decided[1] or 0) > now):
        return False
    if not is_settled(tx, tenant_id, order, accounts):
        return False
    return is_past_grace(tx, tenant_id, order, line_id, now)


def is_past_grace(tx: Tx, tenant_id: int, order: OrderRow, line_id: str, now: int) -> bool:
    """S7.1, for every part of the line that is short."""
    parts = _lines(tx, tenant_id, order)[line_id]
    return all(_past_grace(tx, tenant_id, order, part, now) for part in parts if part.coverage == "SHORT")


def _past_grace(tx: Tx, tenant_id: int, order: OrderRow, line: LineRow, now: int) -> bool:
    since = line.short_since if line.short_since is not None else now
    if now < since + GRACE_S * SECOND:
        return False
    until = since + PENDING_WAIT_S * SECOND
    if order.ship_by_at is not None:
        until = min(until, order.ship_by_at - PENDING_BEFORE_SHIP_BY_S * SECOND)
    return now >= until or not _fits_without(tx, tenant_id, line, lambda other: other.state == LineState.PENDING)


def _fits_without(tx: Tx, tenant_id: int, line: LineRow, drop: Callable[[LineRow], bool]) -> bool:
    """Whether the line would be COVERED if these others were not there."""
    others = [one for one in load_open_lines(tx, tenant_id, [line.sku]) if one.key == line.key or not drop(one)]
    return covering.would_cover(tx, tenant_id, line, others)


def heard_through(tx: Tx, tenant_id: int) -> dict[int, int | None]:
    """Return {account: through which instant its orders are complete, by its own clock}."""
    return dict(
        tx.all("SELECT account_id, complete_through_at FROM feed WHERE tenant_id = :t AND name = 'orders'", t=tenant_id)
    )


def is_settled(
    tx: Tx,
    tenant_id: int,
    order: OrderRow,
    accounts: Mapping[int, Account],
    heard: Mapping[int, int | None] | None = None,
) -> bool:
    """S6.5: every channel has been heard through the second of this purchase, so that nobody earlier can still come. `heard`: through
    when each was, for who asks of many orders."""
    heard = heard_through(tx, tenant_id) if heard is None else heard
    return coverage.is_settled(
        order.placed_at, [(heard.get(account_id) or 0, account.skew_s) for account_id, account in accounts.items()]
    )


def _choose(
    tx: Tx, tenant_id: int, account: Account, order: OrderRow, ripe: list[str], channels: Channels, now: int
) -> bool:
    """`auto`: write the intent and go to X. Otherwise go to M and say why."""
    why_not = _why_not_by_itself(tx, tenant_id, account, order, ripe, channels, now)
    if not why_not:
        want_cancel(tx, tenant_id, order, ripe, "short", now)
        return True
    for line_id in ripe:
        ask(tx, tenant_id, account, order, line_id, why_not, channels, now)
    return False


def _why_not_by_itself(
    tx: Tx, tenant_id: int, account: Account, order: OrderRow, ripe: list[str], channels: Channels, now: int
) -> str:
    """Return why a person must decide, or '' if the merchant left it to us."""
    settings = _settings(tx, tenant_id, account.account_id)
    if settings.get(MODE_SHORT, "ask") != "auto":
        return f"{account.label} is set to ask before it cancels"
    if now - order.placed_at > OLD_S * SECOND:
        return "the order is older than a day"
    try:
        value_max = int(settings.get(VALUE_SETTING, VALUE_MAX_MINOR))
    except ValueError:
        value_max = VALUE_MAX_MINOR
    if order.total_minor is None or order.total_minor > value_max:
        return "the order is worth more than what is cancelled without asking"
    if any(part.state == LineState.MERCHANT for line_id in ripe for part in _lines(tx, tenant_id, order)[line_id]):
        return "it waits for your word already"
    return why_not_at_all(tx, tenant_id, account, order, ripe, channels)


def why_not_at_all(
    tx: Tx, tenant_id: int, account: Account, order: OrderRow, line_ids: list[str], channels: Channels
) -> str:
    """Return why these lines can't be cancelled by a call, or ''."""
    ability = channels.abilities.get(account.account_id)
    if ability is None or ability.how == "person":
        return f"{account.label} lets no program cancel"
    if any(line_id in sent_before(tx, tenant_id, order) for line_id in line_ids):
        return "its cancel was asked for before, and a line is sent to cancel once"
    still_open = {
        line_id for line_id, parts in _lines(tx, tenant_id, order).items() if any(p.counts.open for p in parts)
    }
    if not ability.lines and (still_open != set(line_ids) or _partly_shipped(tx, tenant_id, order)):
        return f"{account.label} cancels whole orders only, and the rest of this one can be delivered"
    if any(part.told_shipped for line_id in line_ids for part in _lines(tx, tenant_id, order)[line_id]):
        return f"a part of it is shipped by {account.label}'s word"
    return ""


def _partly_shipped(tx: Tx, tenant_id: int, order: OrderRow) -> bool:
    return any(p.shipped or p.told_shipped for parts in _lines(tx, tenant_id, order).values() for p in parts)


def sent_before(tx: Tx, tenant_id: int, order: OrderRow) -> set[str]:
    """Lines that a cancel was sent, or is to be sent, for (I10)."""
    rows = tx.all(
        "SELECT payload FROM intent WHERE tenant_id = :t AND kind = 'cancel' AND entity = :e AND state {in:states}",
        t=tenant_id,
        e=entity(order),
        states=list(_NEVER_AGAIN),
    )
    return {line_id for (payload,) in rows for line_id in json.loads(payload)["lines"]}


def want_cancel(tx: Tx, tenant_id: int, order: OrderRow, line_ids: list[str], why: str, now: int) -> None:
    """S7.3, first step: the lines are X, and the intent is durable. `why`: short | merchant | removed."""
    units = {line_id: _units_to_cancel(parts, why) for line_id, parts in _lines(tx, tenant_id, order).items()}
    row = tx.one(
        "SELECT COUNT(*) FROM intent WHERE tenant_id = :t AND kind = 'cancel' AND entity = :e",
        t=tenant_id,
        e=entity(order),
    )
    payload = {"order_no": order.order_no, "lines": {line_id: units[line_id] for line_id in line_ids}, "why": why}
    version, due_at = int(row[0]) + 1 if row else 1, now + REVOKE_S * SECOND
    claims.add_intent(tx, tenant_id, "cancel", entity(order), version, payload, now, due_at=due_at, priority=3)
    if why != "removed":
        for line_id in line_ids:
            move(tx, tenant_id, order.order_no, line_id, now, LineEvent.CANCEL_WANTED)
            close_tasks(tx, tenant_id, order, line_id, now)
    note(tx, tenant_id, now, "orders", "A cancel is wanted", f"order:{order.order_no}", lines=payload["lines"], why=why)


def _units_to_cancel(parts: list[LineRow], why: str) -> int:
    """Units of the listing that nobody will ship: what is open, or what the merchant took off the copy."""
    if why == "removed":
        return min((part.removed - part.told_cancelled) // part.units_per_listing for part in parts)
    return max(-(-part.counts.open // part.units_per_listing) for part in parts)


def move(tx: Tx, tenant_id: int, order_no: int, line_id: str, now: int, *events: LineEvent) -> None:
    """Take one line (all parts of a bundle) through events of ours. Raises Refused if the table does not have them."""
    stored = load_lines(tx, tenant_id, [order_no]).get(order_no, {})
    mine = [line for (of_line, sku), line in stored.items() if of_line == line_id and sku]
    for line in mine:
        for event in events:
            line.state = str(transition(line.line_state, event))
        if line.line_state is LineState.CANCEL_WANTED:  # it holds nothing in the walk (S6.1)
            line.coverage, line.short_since = "", None
        elif line.reserved + line.committed:  # until the walk says otherwise
            line.coverage = line.coverage or "COVERED"
    save_lines(tx, tenant_id, mine)
    order = load_orders_by_no(tx, tenant_id, [order_no])[order_no]
    order.state = order_state([line.in_order for line in stored.values()])
    save_orders(tx, tenant_id, [order])
    covering.recompute(tx, tenant_id, {line.sku for line in mine}, now)


def ask(
    tx: Tx,
    tenant_id: int,
    account: Account,
    order: OrderRow,
    line_id: str,
    why: str,
    channels: Channels,
    now: int,
) -> None:
    """The line is M: a person decides, with what a cancel would cost before his eyes (S7.2, S7.5)."""
    parts = _lines(tx, tenant_id, order)[line_id]
    if all(part.state == LineState.OPEN for part in parts):  # by the table's own way: we want it, and may not
        move(tx, tenant_id, order.order_no, line_id, now, LineEvent.CANCEL_WANTED, LineEvent.CANCEL_REFUSED)
    short = [part for part in parts if part.coverage == "SHORT"] or parts
    close_tasks(tx, tenant_id, order, line_id, now, but=TASK)
    names = ", ".join(f"{part.counts.open} × {part.sku}" for part in short)
    link = channels.link(account.account_id, order.order_id)
    words = [
        f"Others bought it first, and {why}.",
        f"Wait, move stock, backorder or cancel: oneshelf orders decide {order.order_id} {line_id} wait|backorder|cancel.",
        cost_of_cancel(tx, tenant_id, account, channels.abilities.get(account.account_id), now),
        f"By hand: {link}" if link else "",
    ]
    what = f"Decide about {account.label} order {order.order_id}: {names} short"
    open_task(tx, tenant_id, now, TASK, parts[0].key, what, " ".join(filter(None, words)), order.ship_by_at)


def cost_of_cancel(tx: Tx, tenant_id: int, account: Account, ability: CancelAbility | None, now: int) -> str:
    """S7.5: what it counts against the seller, and the rate now, after, and the limit."""
    return "" if ability is None else rate_of(tx, tenant_id, account.account_id, ability, now).words()


def _tell_removals(tx: Tx, tenant_id: int, accounts: Mapping[int, Account], channels: Channels, now: int) -> set[int]:
    """S5.5: what the merchant took off the copy is cancelled at its marketplace where he left that to us; else his task stays."""
    rows = tx.all(
        "SELECT l.order_no FROM order_line l CROSS JOIN task k WHERE l.tenant_id = :t AND l.removed > l.told_cancelled "
        "AND k.tenant_id = l.tenant_id AND k.kind = 'tell_marketplace' AND k.closed_at IS NULL "
        "AND k.subject = CAST(l.account_id AS TEXT) || '/' || l.order_id || '/' || l.line_id || '/' || l.sku",
        t=tenant_id,
    )
    asked: set[int] = set()
    for order in load_orders_by_no(tx, tenant_id, sorted({no for (no,) in rows})).values():
        account = accounts.get(order.account_id)
        if account is None or account.state != "LIVE":
            continue
        if _settings(tx, tenant_id, account.account_id).get(MODE_REMOVED, "ask") != "auto":
            continue
        removed = removed_lines(tx, tenant_id, order)
        if removed and not why_not_removed(tx, tenant_id, account, order, removed, channels):
            want_cancel(tx, tenant_id, order, removed, "removed", now)
            asked.add(account.account_id)
    return asked


def removed_lines(tx: Tx, tenant_id: int, order: OrderRow) -> list[str]:
    """Lines of which the merchant took whole units off the copy that the marketplace still expects."""
    return [
        line_id
        for line_id, parts in sorted(_lines(tx, tenant_id, order).items())
        if _units_to_cancel(parts, "removed") > 0
    ]


def why_not_removed(
    tx: Tx, tenant_id: int, account: Account, order: OrderRow, line_ids: list[str], channels: Channels
) -> str:
    """Return why a removal can't be told by a call, or ''. Whole orders only: everything of it must be gone."""
    ability = channels.abilities.get(account.account_id)
    if ability is None or ability.how == "person":
        return f"{account.label} lets no program cancel"
    if set(line_ids) & sent_before(tx, tenant_id, order):
        return "its cancel was asked for before, and a line is sent to cancel once"
    lines = _lines(tx, tenant_id, order)
    if not ability.lines and (
        _partly_shipped(tx, tenant_id, order) or any(p.counts.open for parts in lines.values() for p in parts)
    ):
        return f"{account.label} cancels whole orders only, and a part of this one is still to be delivered"
    return ""


def _decision(tx: Tx, tenant_id: int, order_no: int, line_id: str) -> tuple[str, int | None] | None:
    row = tx.one(
        "SELECT word, until_at FROM decision WHERE tenant_id = :t AND order_no = :o AND line_id = :l",
        t=tenant_id,
        o=order_no,
        l=line_id,
    )
    return None if row is None else (row[0], row[1])


def close_tasks(tx: Tx, tenant_id: int, order: OrderRow, line_id: str, now: int, *, but: str = "") -> None:
    """End what is asked of a person about this line."""
    for part in _lines(tx, tenant_id, order).get(line_id, []):
        for kind in ("short_line", TASK):
            if kind != but:
                close_task(tx, tenant_id, now, kind, part.key)


def _settings(tx: Tx, tenant_id: int, account_id: int) -> dict[str, Any]:
    row = tx.one("SELECT settings FROM account WHERE tenant_id = :t AND account_id = :a", t=tenant_id, a=account_id)
    return dict(json.loads(row[0])) if row else {}
