"""Later changes of a marketplace order, carried to its hub copy (SEMANTICS 10.6, 14.7).

1. What is owed is looked up when the call goes: many changes, one call.  2. A change is safe to repeat: no answer → the same again.
3. A fulfilment is not: no answer → the copy is read, and only what it still does not show is fulfilled.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from oneshelf.channels.abilities import CopyChange, Parcel
from oneshelf.core.facts import Money, OrderSeen, ShipmentSeen
from oneshelf.core.instants import SECOND, from_us
from oneshelf.core.money import decimals
from oneshelf.core.outcome import Accepted, Outcome, Rejected
from oneshelf.core.shipment import ShipmentState, same_number
from oneshelf.db.journal import close_task
from oneshelf.db.tx import Tx
from oneshelf.orders import claims, intents, keeping_up
from oneshelf.orders.accounts import load_accounts
from oneshelf.orders.intents import Intent
from oneshelf.orders.rows import OrderRow, load_lines, load_orders_by_no
from oneshelf.orders.shipments import load_shipments

from .copy_orders import whole_order

#: Our own parcels of the order are still unsettled, or the copy was not read since the call: look again after so long.
WAIT_S = 10


#: What stands for a hub whose connector lacks the ability: a person does it (never a silent pile of what is owed).
NO_ABILITY = Rejected("Oneshelf can't do this in the shop", "no_ability")


class ChangeCall(msgspec.Struct):
    """Change this copy."""

    intent: Intent
    hub_order_id: str
    change: CopyChange


class FulfilCall(msgspec.Struct):
    """Fulfil these pieces of this copy."""

    intent: Intent
    hub_order_id: str
    parcel: Parcel


def plan(tx: Tx, tenant_id: int, now: int) -> ChangeCall | None:
    """Return the next change to carry to a copy, or None."""
    for intent in intents.due(tx, tenant_id, (keeping_up.CHANGE,), now, 20):
        order = _order(tx, tenant_id, intent)
        told = keeping_up.load_told(tx, tenant_id, [order.order_no]).get(order.order_no, {})
        fields = keeping_up.changed(order, told)
        if not fields or order.hub_order_id is None or order.state == "CANCELLED":
            intents.settle(tx, tenant_id, intent, "DONE", now, reason="nothing is owed any more")
            continue
        now_said = keeping_up.said(order)
        intent.payload["sent"] = {name: now_said[name] for name in fields}
        change = _change(order, fields, load_accounts(tx, tenant_id, disconnected=True)[order.account_id].label)
        intents.sending(tx, tenant_id, intent, now)
        return ChangeCall(intent, order.hub_order_id, change)
    return None


def _order(tx: Tx, tenant_id: int, intent: Intent) -> OrderRow:
    order_no = intent.payload["order_no"]
    return load_orders_by_no(tx, tenant_id, [order_no])[order_no]


def _change(order: OrderRow, fields: list[str], label: str) -> CopyChange:
    seen = whole_order(order)
    notes: list[str] = []
    tags: list[str] = []
    if "note" in fields:
        notes.append(f"{label}: {seen.note}")
    if "cancel_asked" in fields:
        notes.append(f"{label}: the buyer asks to cancel ({seen.cancel_asked})")
        tags.append("buyer asks to cancel")
    if "refunded" in fields and seen.refunded is not None:
        notes.append(f"{label}: {_in_words(seen.refunded)} refunded there in all")
    buyer = seen.buyer
    return CopyChange(
        ship_to=seen.ship_to if "ship_to" in fields else None,
        email=buyer.email if buyer and "email" in fields else None,
        phone=buyer.phone if buyer and "phone" in fields else None,
        notes=tuple(notes),
        tags=tuple(tags),
    )


def _in_words(money: Money) -> str:
    return f"{Decimal(money.minor).scaleb(-decimals(money.currency)):f} {money.currency}"


def settle(tx: Tx, tenant_id: int, call: ChangeCall, outcome: Outcome, now: int) -> None:
    """Record it; what changed meanwhile is owed next. Refused: a person's, and not tried again until it changes again."""
    order = _order(tx, tenant_id, call.intent)
    if isinstance(outcome, Accepted | Rejected):
        told = keeping_up.load_told(tx, tenant_id, [order.order_no]).get(order.order_no, {})
        told |= call.intent.payload["sent"]
        keeping_up.save_told(tx, tenant_id, order.order_no, told)
    if isinstance(outcome, Accepted):
        intents.settle(tx, tenant_id, call.intent, "DONE", now)
        close_task(tx, tenant_id, now, keeping_up.CHANGE, call.intent.entity)
        keeping_up.want_change(tx, tenant_id, order, told, now)
    elif isinstance(outcome, Rejected):
        fields = ", ".join(sorted(call.intent.payload["sent"])).replace("_", " ")
        what = f"Change hub order {call.hub_order_id} by hand: {fields}"
        intents.give_to_person(tx, tenant_id, call.intent, what, _why(outcome), now)
    else:
        intents.put_off(tx, tenant_id, call.intent, outcome, now)


def _why(outcome: Rejected) -> str:
    return outcome.reason if outcome == NO_ABILITY else f"Shopify refused it: {outcome.reason}"


def plan_fulfilment(tx: Tx, tenant_id: int, now: int) -> FulfilCall | None:
    """Return the next copy to fulfil because its marketplace says that it left, or None (S10.6)."""
    for intent in intents.due(tx, tenant_id, (keeping_up.FULFIL,), now, 20):
        order = _order(tx, tenant_id, intent)
        rows = load_shipments(tx, tenant_id, order.order_no)
        lines = [
            line for line in load_lines(tx, tenant_id, [order.order_no]).get(order.order_no, {}).values() if line.sku
        ]
        missing = keeping_up.missing_in_hub(order, lines, rows)
        if not missing or order.hub_order_id is None:
            intents.settle(tx, tenant_id, intent, "DONE", now, reason="its fulfilment is known")
            continue
        ours_open = any(row.state in (ShipmentState.SENT, ShipmentState.UNKNOWN) for row in rows)
        if ours_open or (intent.state == "UNKNOWN" and not _read_since(tx, tenant_id, order, intent, now)):
            why = "a parcel of ours is not settled" if ours_open else "the copy is read first"
            intents.settle(tx, tenant_id, intent, intent.state, now, reason=why, due_at=now + WAIT_S * SECOND)
            continue
        if any(len(parts) > 1 or _is_bundle(line_id, lines) for line_id, parts in missing.items()):
            what = f"Fulfil hub order {order.hub_order_id}: it was shipped at its marketplace"
            intents.give_to_person(
                tx, tenant_id, intent, what, "It has a bundle: say which pieces were in the parcel", now
            )
            continue
        intent.first_sent_at = None
        intents.sending(tx, tenant_id, intent, now)
        pieces = {line_id: sum(parts.values()) for line_id, parts in missing.items()}
        return FulfilCall(
            intent, order.hub_order_id, _parcel(order, intent, pieces, {r.tracking_number for r in rows}, now)
        )
    return None


def _is_bundle(line_id: str, lines: list[Any]) -> bool:
    return sum(line.line_id == line_id for line in lines) > 1


def _read_since(tx: Tx, tenant_id: int, order: OrderRow, intent: Intent, now: int) -> bool:
    """Whether the copy was read after the call; if not, ask for it."""
    row = tx.one(
        "SELECT c.account_id, c.fetched_at FROM orders c JOIN account a ON a.tenant_id = c.tenant_id AND a.account_id = c.account_id "
        "WHERE c.tenant_id = :t AND c.order_id = :h AND a.channel = 'shopify'",
        t=tenant_id,
        h=order.hub_order_id,
    )
    if row is None:
        return False
    if (row[1] or 0) > (intent.first_sent_at or now):
        return True
    entity = f"{row[0]}/{order.hub_order_id}"
    if not claims.has_open_intent(tx, tenant_id, ("fetch_order",), entity):
        claims.add_intent(tx, tenant_id, "fetch_order", entity, now, {"order_id": order.hub_order_id}, now, priority=3)
    return False


def _parcel(order: OrderRow, intent: Intent, pieces: dict[str, int], known: set[str], now: int) -> Parcel:
    """The parcel as the marketplace tells it; of several the newest that we do not know yet."""
    seen = msgspec.json.decode(order.document, type=OrderSeen)
    there = [s for s in seen.shipments if not s.cancelled and not any(same_number(s.tracking_number, n) for n in known)]
    there.sort(key=lambda s: s.created_at or from_us(now))
    last = there[-1] if there else ShipmentSeen("", None, {})
    return Parcel(
        key=intent.idempotency_key,
        units=pieces,
        shipped_at=last.created_at or from_us(now),
        carrier=last.carrier,
        tracking_number=last.tracking_number,
        tracking_url=last.tracking_url,
        more_tracking_numbers=last.more_tracking_numbers,
    )


def settle_fulfilment(tx: Tx, tenant_id: int, call: FulfilCall, outcome: Outcome, now: int) -> None:
    """Record it; the fulfilment comes back as the copy's own news, and moves the stock then."""
    if isinstance(outcome, Accepted):
        intents.settle(tx, tenant_id, call.intent, "DONE", now)
        close_task(tx, tenant_id, now, keeping_up.FULFIL, call.intent.entity)
    elif isinstance(outcome, Rejected):
        what = f"Fulfil hub order {call.hub_order_id} by hand: it was shipped at its marketplace"
        intents.give_to_person(tx, tenant_id, call.intent, what, _why(outcome), now)
    else:
        intents.put_off(tx, tenant_id, call.intent, outcome, now)
