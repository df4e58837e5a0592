"""Cancels of what we can't deliver, carried out: asked for once, then followed by reading (SEMANTICS 7.3).

1. The intent and state X are durable (orders/short).  2. Asked once; pieces that came meanwhile withdraw it before.  3. No answer, or
"asked": read how far it is.  4. Done → C by the way of any cancelled order; refused, or never to be known → M with a task.
Never: asks a second time (I10); puts anything back on sale: the outlet is read again (S7.4).
"""

from __future__ import annotations

import msgspec

from oneshelf.channels.abilities import CancelState, CancelWish
from oneshelf.core.errors import Park
from oneshelf.core.facts import OrderSeen
from oneshelf.core.instants import SECOND
from oneshelf.core.order import LineEvent, LineState
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Unknown
from oneshelf.db.journal import note, open_task
from oneshelf.db.tx import Tx
from oneshelf.orders import claims, covering, decisions, intents, short
from oneshelf.orders.accounts import load_accounts
from oneshelf.orders.batch import Heard
from oneshelf.orders.book import book
from oneshelf.orders.intents import Intent
from oneshelf.orders.rows import LineRow, OrderRow, load_lines, load_open_lines, load_orders_by_no

from .telling import known_of

KIND = "cancel"
#: How long after it was asked for a cancel that its channel does not know counts as never taken.
NOT_FOUND_AFTER_S = 60.0
#: The same where a cancel is a job: one that was taken and not answered may still be at work (Amazon's feeds take minutes).
JOB_NOT_FOUND_AFTER_S = 1800.0
#: A cancel that is under way at its channel is looked at again after so long.
RUNNING_WAIT_S = 15.0
#: An account that is not live is looked at again so often.
ACCOUNT_WAIT_S = 60


class CancelCall(msgspec.Struct):
    """Ask for this cancel, once."""

    intent: Intent
    wish: CancelWish


class FollowCall(msgspec.Struct):
    """Read how far it is."""

    intent: Intent
    wish: CancelWish
    reference: str | None


def due_at(tx: Tx, tenant_id: int, account_id: int) -> int | None:
    """When `plan` may have something at the earliest: a cheap look."""
    return intents.next_due_at(tx, tenant_id, (KIND,), entity=f"{account_id}/%")


def plan(tx: Tx, tenant_id: int, account_id: int, now: int) -> CancelCall | FollowCall | None:
    """Return the account's next cancel to ask for or to follow, or None."""
    for intent in intents.due(tx, tenant_id, (KIND,), now, 20, entity=f"{account_id}/%"):
        order = load_orders_by_no(tx, tenant_id, [intent.payload["order_no"]])[intent.payload["order_no"]]
        if intent.state == "UNKNOWN":
            return FollowCall(intent, _wish(tx, tenant_id, order, intent), intent.payload.get("reference"))
        account = load_accounts(tx, tenant_id).get(account_id)
        if account is None or account.state != "LIVE":
            due_at = now + ACCOUNT_WAIT_S * SECOND
            intents.settle(tx, tenant_id, intent, "WAITING", now, reason="its account is not live", due_at=due_at)
            continue
        if _still_wanted(tx, tenant_id, order, intent, now):
            wish = _wish(tx, tenant_id, order, intent)
            intents.sending(tx, tenant_id, intent, now)
            return CancelCall(intent, wish)
    return None


def _lines(tx: Tx, tenant_id: int, order: OrderRow) -> list[LineRow]:
    return [line for line in load_lines(tx, tenant_id, [order.order_no]).get(order.order_no, {}).values() if line.sku]


def _wish(tx: Tx, tenant_id: int, order: OrderRow, intent: Intent) -> CancelWish:
    lines = _lines(tx, tenant_id, order)
    wanted = intent.payload["lines"]
    open_ids = {line.line_id for line in lines if line.counts.open}
    return CancelWish(
        order_id=order.order_id,
        lines=dict(wanted),
        whole=open_ids <= set(wanted) and not any(line.shipped or line.told_shipped for line in lines),
        key=intent.idempotency_key,
        known=known_of(order),
    )


def _still_wanted(tx: Tx, tenant_id: int, order: OrderRow, intent: Intent, now: int) -> bool:
    """Whether it is still to be sent; what ended or was covered meanwhile is not cancelled."""
    wanted = set(intent.payload["lines"])
    mine = [line for line in _lines(tx, tenant_id, order) if line.line_id in wanted]
    if intent.payload["why"] == "removed":
        if all(line.removed > line.told_cancelled for line in mine):
            return True
        intents.settle(tx, tenant_id, intent, "REFUSED", now, reason="its channel cancelled it already")
        return False
    if any(line.line_state is not LineState.CANCEL_WANTED for line in mine):
        _withdraw(tx, tenant_id, order, intent, mine, "it ended meanwhile", now)
        return False
    short_still = [line for line in mine if not _fits_now(tx, tenant_id, line)]
    if {line.line_id for line in short_still} != wanted:
        _withdraw(tx, tenant_id, order, intent, mine, "pieces came before it was sent", now)
        return False
    return True


def _fits_now(tx: Tx, tenant_id: int, line: LineRow) -> bool:
    as_open = msgspec.structs.replace(line, state=str(LineState.OPEN))
    others = [one for one in load_open_lines(tx, tenant_id, [line.sku]) if one.key != line.key]
    return covering.would_cover(tx, tenant_id, as_open, [*others, as_open])


def _withdraw(
    tx: Tx, tenant_id: int, order: OrderRow, intent: Intent, mine: list[LineRow], reason: str, now: int
) -> None:
    """Nothing was sent: lines still in X go to M, where coverage finds them; one that is short there is asked about."""
    intents.settle(tx, tenant_id, intent, "REFUSED", now, reason=reason)
    for line_id in {line.line_id for line in mine if line.line_state is LineState.CANCEL_WANTED}:
        short.move(tx, tenant_id, order.order_no, line_id, now, LineEvent.CANCEL_REFUSED)
    note(
        tx,
        tenant_id,
        now,
        "shipping",
        "A cancel was withdrawn before it was sent",
        f"order:{order.order_no}",
        why=reason,
    )


class NotRevoked(Park):
    """There is no cancel that could be taken back."""


def revoke(tx: Tx, tenant_id: int, order_name: str, line_id: str, now: int, *, by: str, account_id: int = 0) -> str:
    """Take back a cancel of a short line that was not sent yet; its merchant is asked again. Returns what happens, in words.

    `line_id` '': whatever of the order waits; `account_id` 0: of any account. A cancel of a whole order is taken back whole. Raises NotRevoked, NotDecided.
    """
    order, account = decisions.order_of(tx, tenant_id, order_name, account_id)
    for intent in intents.of_entity(tx, tenant_id, KIND, short.entity(order)):
        wanted = sorted(intent.payload["lines"])
        if intent.state != "WAITING" or intent.attempts or intent.payload["why"] == "removed":
            continue
        if line_id and line_id not in wanted:
            continue
        mine = [line for line in _lines(tx, tenant_id, order) if line.line_id in wanted]
        _withdraw(tx, tenant_id, order, intent, mine, f"revoked by {by}", now)
        tx.run(
            "DELETE FROM decision WHERE tenant_id = :t AND order_no = :o AND line_id {in:lines}",
            t=tenant_id,
            o=order.order_no,
            lines=wanted,
        )
        return f"The cancel of {', '.join(wanted)} of order {order.order_id} is taken back; {account.label} hears nothing of it."
    raise NotRevoked(
        f"No cancel of order {order.order_id} waits any more: it was sent, or there was none. `oneshelf conflicts list` shows how far it is."
    )


def settle(tx: Tx, tenant_id: int, call: CancelCall, outcome: Outcome, how: str, link: str, now: int) -> None:
    """Record what the channel said. `how`: CancelAbility.how; a job that was taken is followed until it ends."""
    intent = call.intent
    if isinstance(outcome, Accepted) and how == "call":
        _done(tx, tenant_id, intent, now)
    elif isinstance(outcome, Accepted):
        intent.payload["reference"] = outcome.reference
        due_at = now + int(RUNNING_WAIT_S * SECOND)
        intents.settle(tx, tenant_id, intent, "UNKNOWN", now, reason="asked for", due_at=due_at)
    elif isinstance(outcome, Rejected):
        _to_person(tx, tenant_id, intent, f"it was refused: {outcome.reason}", link, now)
    else:
        intents.put_off(tx, tenant_id, intent, outcome, now)


def settle_look(
    tx: Tx,
    tenant_id: int,
    call: FollowCall,
    state: CancelState | None,
    problem: str,
    link: str,
    now: int,
    not_found_after_s: float = NOT_FOUND_AFTER_S,
) -> None:
    """Record how far it is; `state` None: the read had no answer, `problem` says why."""
    intent = call.intent
    if state is None:
        intent.attempts += 1
        intents.put_off(tx, tenant_id, intent, Unknown(problem), now)
    elif state.state == "done":
        _done(tx, tenant_id, intent, now)
    elif state.state == "refused":
        _to_person(tx, tenant_id, intent, f"it was refused: {state.reason}", link, now)
    elif state.state == "running":
        intent.not_found = 0
        due_at = now + int(RUNNING_WAIT_S * SECOND)
        intents.settle(tx, tenant_id, intent, "UNKNOWN", now, reason="under way", due_at=due_at)
    else:
        intent.not_found += 1
        may_count_at = (intent.first_sent_at or now) + int(not_found_after_s * SECOND)
        if intent.not_found >= 2 and now >= may_count_at:
            why = "its channel knows of no such cancel, and a line is sent to cancel once"
            _to_person(tx, tenant_id, intent, why, link, now)
        else:
            due_at = max(may_count_at, now + SECOND)
            intents.settle(tx, tenant_id, intent, "UNKNOWN", now, reason="not found yet", due_at=due_at)


def _done(tx: Tx, tenant_id: int, intent: Intent, now: int) -> None:
    """The channel accepts: X → C by the way of any cancelled order, and the order is read back."""
    intents.settle(tx, tenant_id, intent, "DONE", now)
    order = load_orders_by_no(tx, tenant_id, [intent.payload["order_no"]])[intent.payload["order_no"]]
    seen = msgspec.json.decode(order.document, type=OrderSeen)
    lines = tuple(
        line
        if line.line_id not in intent.payload["lines"]
        else msgspec.structs.replace(
            line, cancelled=min(line.ordered - line.shipped, line.cancelled + intent.payload["lines"][line.line_id])
        )
        for line in seen.lines
    )
    heard = Heard(
        account_id=order.account_id,
        order=msgspec.structs.replace(seen, lines=lines),
        received_at=order.received_at,
        fetched_at=order.fetched_at or order.received_at,
        source=order.source,
        again=True,
    )
    book(tx, tenant_id, [heard], now)
    # The versions of reads that messages ask for are small numbers of arrival; an instant is none of them.
    entity = f"{order.account_id}/{order.order_id}"
    claims.add_intent(tx, tenant_id, "fetch_order", entity, now, {"order_id": order.order_id}, now, priority=3)
    note(tx, tenant_id, now, "shipping", "The channel cancelled what we can't deliver", f"order:{order.order_no}")


def _to_person(tx: Tx, tenant_id: int, intent: Intent, why: str, link: str, now: int) -> None:
    """M: only a person can go on, with the channel's own words and where to do it."""
    intents.settle(tx, tenant_id, intent, "TASK", now, reason=why)
    order = load_orders_by_no(tx, tenant_id, [intent.payload["order_no"]])[intent.payload["order_no"]]
    account = load_accounts(tx, tenant_id, disconnected=True)[order.account_id]
    parts = [line for line in _lines(tx, tenant_id, order) if line.line_id in intent.payload["lines"]]
    for line_id in sorted({line.line_id for line in parts if line.line_state is LineState.CANCEL_WANTED}):
        short.move(tx, tenant_id, order.order_no, line_id, now, LineEvent.CANCEL_REFUSED)
    words = f"Oneshelf asked {account.label} to cancel it, but {why}.{f' By hand: {link}' if link else ''}"
    for line in parts:
        what = (
            f"Cancel {line.counts.open or line.removed} × {line.sku} of {account.label} order {order.order_id} by hand"
        )
        kind = short.TASK if intent.payload["why"] != "removed" else "tell_marketplace"
        open_task(tx, tenant_id, now, kind, line.key, what, words, order.ship_by_at)
