"""Imports a marketplace order into the hub so that no crash or timeout makes two (SEMANTICS 14).

1. The intent is durable.  2. First try: create.  3. No answer: read by the order's key; "not found" counts after two reads, the second
at least NOT_FOUND_AFTER_S after the call was sent.  4. Only then create again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import msgspec

from oneshelf.channels.contract import CopyPart, HubCopy, HubOrderDraft
from oneshelf.core.facts import Address, BuyerSeen, OrderSeen
from oneshelf.core.instants import SECOND
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Unknown
from oneshelf.core.plan import Capability
from oneshelf.customers.hub_customer import hub_customer_of
from oneshelf.db import events
from oneshelf.db.journal import close_task, note
from oneshelf.db.tx import Tx
from oneshelf.orders import claims, copies, elsewhere, intents, keeping_up, releases, routing
from oneshelf.orders.accounts import Account, external_key, load_accounts
from oneshelf.orders.intents import Intent
from oneshelf.orders.rows import LineRow, OrderRow, load_lines, load_orders_by_no
from oneshelf.tenants.rates import rates_of

from . import adopting
from .draft import CannotImport, HubItem, draft

KIND = "import"
CORRECTIONS = ("cancel_copy", "remove")
#: How long after the call a "not found" may count for the second time (S14.3).
NOT_FOUND_AFTER_S = 60.0
#: A hold of the order's pieces is under way: wait so long, because it decides how the import claims (S14.4).
HOLD_WAIT_S = 0.5


class CreateCall(msgspec.Struct):
    """Create this hub order."""

    intent: Intent
    draft: HubOrderDraft
    ignore_policy: bool


class FindCall(msgspec.Struct):
    """Look whether the hub order is there."""

    intent: Intent
    external_key: str


class CorrectCall(msgspec.Struct):
    """Cancel the copy (`pieces` None) or take pieces off it."""

    intent: Intent
    hub_order_id: str
    pieces: dict[CopyPart, int] | None


def plan(tx: Tx, tenant_id: int, now: int) -> CreateCall | FindCall | None:
    """Return the next import call, or None. Without order import in the plan only those that had no answer are looked for."""
    intents.wait_for_plan(tx, tenant_id, Capability.ORDER_IMPORT, (KIND,), now)
    accounts = load_accounts(tx, tenant_id)
    for intent in intents.due(tx, tenant_id, (KIND,), now, 20):
        order = load_orders_by_no(tx, tenant_id, [intent.payload["order_no"]])[intent.payload["order_no"]]
        account = accounts.get(order.account_id)
        if account is None or not account.is_live:
            why = "its account is not live"
            intents.settle(tx, tenant_id, intent, "WAITING", now, reason=why, due_at=now + 60 * SECOND)
            continue
        key = external_key(account, order.order_id)
        if intent.state == "UNKNOWN":
            return FindCall(intent, key)
        call = _plan_create(tx, tenant_id, intent, order, key, accounts, now)
        if call is not None:
            return call
    return None


def _plan_create(
    tx: Tx, tenant_id: int, intent: Intent, order: OrderRow, key: str, accounts: dict[int, Account], now: int
) -> CreateCall | None:
    """Return the call that makes the hub order; None if it is not needed, not yet, or not possible."""
    lines = [line for line in load_lines(tx, tenant_id, [order.order_no]).get(order.order_no, {}).values() if line.sku]
    if not any(line.committed for line in lines):
        intents.settle(tx, tenant_id, intent, "DONE", now, reason="nothing of it is open any more")
        return None
    mine = claims.load(tx, tenant_id, [line.key for line in lines])
    wait = "a hold is under way" if any(_hold_under_way(tx, tenant_id, claim_key) for claim_key in mine) else ""
    if not wait and adopting.waits_for_read(tx, tenant_id, mine.values()):
        wait = "a level was not read since a backup was put back"
    if wait:
        due_at = now + int(HOLD_WAIT_S * SECOND)
        intents.settle(tx, tenant_id, intent, "WAITING", now, reason=wait, due_at=due_at)
        return None
    for claim in mine.values():
        adopting.adopt(tx, tenant_id, claim, claim.want - claim.held - claim.imported, str(intent.intent_no), now)
    claims.save(tx, tenant_id, mine.values())
    try:
        made = _draft(tx, tenant_id, order, lines, key, accounts, not intent.payload.get("without_customer"))
    except (CannotImport, ArithmeticError, LookupError, ValueError) as error:  # one odd order never stops the others
        what = f"Import order {order.order_id} from {accounts[order.account_id].label}"
        intents.give_to_person(tx, tenant_id, intent, what, str(error) or type(error).__name__, now)
        claims.plan(tx, tenant_id, mine.values(), now, at_once=True)
        claims.save(tx, tenant_id, mine.values())
        return None
    held = all(claim.held >= claim.want for claim in mine.values()) and bool(mine)
    where = {line.key: line.location_id for line in lines}
    intent.payload["pieces"] = {claim.claim_key: claim.want - claim.imported for claim in mine.values()}
    intent.payload["moves"] = [
        [claim.sku, where[claim.claim_key], claim.imported - claim.want] for claim in mine.values()
    ]
    intent.payload["told"] = keeping_up.said(order)
    intent.first_sent_at = None  # "not found" counts from this very call (S14.3), not from one that was put off
    intents.sending(tx, tenant_id, intent, now)
    return CreateCall(intent, made, held or bool(intent.payload.get("ignore_policy")))


def _hold_under_way(tx: Tx, tenant_id: int, claim_key: str) -> bool:
    row = tx.one(
        "SELECT 1 FROM intent WHERE tenant_id = :t AND entity = :e AND kind = 'hold' AND state IN ('SENDING', 'UNKNOWN')",
        t=tenant_id,
        e=claim_key,
    )
    return row is not None


def whole_order(order: OrderRow) -> OrderSeen:
    """Return the stored snapshot with its person."""
    seen = msgspec.json.decode(order.document, type=OrderSeen)
    person = json.loads(order.person)
    return msgspec.structs.replace(
        seen,
        buyer=msgspec.convert(person["buyer"], BuyerSeen) if person.get("buyer") else None,
        ship_to=msgspec.convert(person["ship_to"], Address) if person.get("ship_to") else None,
    )


def _draft(
    tx: Tx,
    tenant_id: int,
    order: OrderRow,
    lines: Sequence[LineRow],
    key: str,
    accounts: dict[int, Account],
    with_customer: bool,
) -> HubOrderDraft:
    items = {
        row[0]: HubItem(row[0], row[1], row[2], row[3] or 0)
        for row in tx.all(
            "SELECT sku, variant_id, title, price_minor FROM item WHERE tenant_id = :t AND sku {in:skus}",
            t=tenant_id,
            skus=sorted({line.sku for line in lines}),
        )
    }
    row = tx.one(
        "SELECT currency FROM account WHERE tenant_id = :t AND channel = 'shopify' AND state <> 'DISCONNECTED'",
        t=tenant_id,
    )
    if row is None:
        raise CannotImport("No shop is connected.")
    rate = rates_of(tx, tenant_id).of.get(order.currency or "")
    try:
        seen = whole_order(order)
    except msgspec.MsgspecError as error:
        raise CannotImport(f"Order {order.order_id}: its stored document can't be read ({error}).") from error
    return draft(
        order,
        seen,
        lines,
        items,
        channel=accounts[order.account_id].channel,
        external_key=key,
        shop_currency=row[0],
        rate=rate,
        customer_id=hub_customer_of(tx, tenant_id, order.order_no) if with_customer else None,
        with_customer=with_customer,
    )


def settle_create(tx: Tx, tenant_id: int, call: CreateCall, outcome: Outcome, now: int) -> None:
    """Record what the hub said to a create call."""
    intent = call.intent
    if isinstance(outcome, Accepted) and outcome.reference:
        _imported(tx, tenant_id, intent, outcome.reference, now)
    elif isinstance(outcome, Rejected) and outcome.code == "INVENTORY_CLAIM_FAILED":
        # S14.4: a web sale that we have not heard of. Read, and import all the same: the order is a fact.
        skus = [sku for sku, _, _ in intent.payload["moves"]]
        tx.run("UPDATE hub_level SET wanted = 1 WHERE tenant_id = :t AND sku {in:skus}", t=tenant_id, skus=skus)
        intent.payload["ignore_policy"] = True
        intent.payload.pop("moves")
        intents.settle(tx, tenant_id, intent, "WAITING", now, reason="the shop had too few: claimed all the same")
    elif isinstance(outcome, Rejected) and outcome.code == "KEY_TAKEN":
        intents.settle(tx, tenant_id, intent, "UNKNOWN", now, reason="the shop has an order with this key")
    elif isinstance(outcome, Rejected) and outcome.code == "CUSTOMER_REFUSED" and call.draft.with_customer:
        # Deleted or merged there meanwhile: the order is a fact, whose it is there is not worth its waiting.
        intent.payload["without_customer"] = True
        intent.payload.pop("moves")
        intents.settle(tx, tenant_id, intent, "WAITING", now, reason="the shop refused its customer: sent without one")
    elif isinstance(outcome, Rejected):
        intent.payload.pop("moves", None)
        what = f"Import order {call.draft.marketplace_order_id} from {call.draft.channel.title()} by hand"
        intents.give_to_person(tx, tenant_id, intent, what, f"Shopify refused it: {outcome.reason}", now)
    elif isinstance(outcome, Accepted):
        intents.put_off(tx, tenant_id, intent, Unknown("the shop said yes without naming the order"), now)
    else:
        if not isinstance(outcome, Unknown):
            intent.payload.pop("moves", None)
        intents.put_off(tx, tenant_id, intent, outcome, now)


def settle_find(
    tx: Tx,
    tenant_id: int,
    call: FindCall,
    found: HubCopy | None,
    problem: str,
    now: int,
    not_found_after_s: float = NOT_FOUND_AFTER_S,
) -> None:
    """Record whether the hub order is there. `problem`: the read itself had no answer."""
    intent = call.intent
    if found is not None:
        _imported(tx, tenant_id, intent, found.hub_order_id, now)
        return
    if problem:
        intent.attempts += 1
        intents.put_off(tx, tenant_id, intent, Unknown(problem), now)
        return
    intent.not_found += 1
    may_count_at = (intent.first_sent_at or now) + int(not_found_after_s * SECOND)
    if intent.not_found >= 2 and now >= may_count_at:
        intent.not_found = 0
        intent.payload.pop("moves", None)
        intent.payload.pop("maybe_done", None)
        intents.settle(tx, tenant_id, intent, "WAITING", now, reason="read twice: it is not there")
    else:
        due_at = max(may_count_at, now + SECOND) if intent.not_found >= 1 else now + SECOND
        intents.settle(tx, tenant_id, intent, "UNKNOWN", now, reason="not found yet", due_at=due_at)


def _imported(tx: Tx, tenant_id: int, intent: Intent, hub_order_id: str, now: int) -> None:
    """The hub order stands: link it, hand the pieces over from hold to import, give back what was held (S9.5)."""
    intents.settle(tx, tenant_id, intent, "DONE", now)
    order_no = intent.payload["order_no"]
    order = load_orders_by_no(tx, tenant_id, [order_no])[order_no]
    close_task(tx, tenant_id, now, "import", intent.entity)
    if order.hub_order_id is None:
        tx.run(
            "UPDATE orders SET hub_order_id = :h, imported_at = :now WHERE tenant_id = :t AND order_no = :no",
            h=hub_order_id,
            now=now,
            t=tenant_id,
            no=order_no,
        )
        order.hub_order_id = hub_order_id
        ids = {"order": order_no, "hub_order_id": hub_order_id}
        events.tell(tx, tenant_id, now, "order.imported", [ids])
        mine = claims.load(tx, tenant_id, intent.payload.get("pieces", {}))
        for claim in mine.values():
            claim.imported = intent.payload["pieces"][claim.claim_key]
        claims.plan(tx, tenant_id, mine.values(), now, at_once=True)
        claims.save(tx, tenant_id, mine.values())
        copies.correct_copy(tx, tenant_id, order, list(mine.values()), now)
        keeping_up.follow(tx, tenant_id, [order], load_accounts(tx, tenant_id, disconnected=True), now)
        releases.want(tx, tenant_id, order_no, now)
        routing.want_move(tx, tenant_id, order, now)
        note(
            tx,
            tenant_id,
            now,
            "imports",
            "An order was written into Shopify",
            f"order:{order_no}",
            hub_order=hub_order_id,
        )


def plan_correction(tx: Tx, tenant_id: int, now: int) -> CorrectCall | None:
    """S5.6: the next copy to cancel or to take pieces off."""
    for intent in intents.due(tx, tenant_id, CORRECTIONS, now, 1):
        told: dict[str, int] = intent.payload["pieces"]
        mine = tx.all(
            "SELECT claim_key, sku, location_id, line_id FROM claim WHERE tenant_id = :t AND order_no = :no "
            f"AND claim_key NOT LIKE '{elsewhere.PREFIX}%'",
            t=tenant_id,
            no=intent.payload["order_no"],
        )
        off = [(line, sku, location, copies.told_off(told, key, line)) for key, sku, location, line in mine]
        intent.payload["moves"] = [[sku, location, pieces] for _, sku, location, pieces in off]
        intents.sending(tx, tenant_id, intent, now)
        parts = None if intent.kind == "cancel_copy" else _parts([(line, sku, n) for line, sku, _, n in off])
        return CorrectCall(intent, intent.payload["hub_order_id"], parts)
    return None


def _parts(off: Sequence[tuple[str, str, int]]) -> dict[CopyPart, int]:
    """Name what is taken off as the hub knows it: by the marketplace's line, and by SKU where that line is of several. `off`: (line, SKU,
    pieces)."""
    times = Counter(line for line, _, _ in off)
    return {(line, sku if times[line] > 1 else ""): pieces for line, sku, pieces in off if pieces}


def settle_correction(tx: Tx, tenant_id: int, call: CorrectCall, outcome: Outcome, now: int) -> None:
    """Record it; what it did to the copy comes back as the copy's own news. What was cancelled meanwhile is corrected next."""
    if isinstance(outcome, Accepted):
        intents.settle(tx, tenant_id, call.intent, "DONE", now)
        for kind in ("cancel_copy", "remove"):  # a person was asked, and meanwhile it could be done
            close_task(tx, tenant_id, now, kind, call.intent.entity)
        _correct_again(tx, tenant_id, call, now)
        # What it gives back, a hold that was refused may have been waiting for (S9.5).
        claims.ask_again(tx, tenant_id, call.intent.payload.get("moves", ()))
    elif isinstance(outcome, Rejected):
        intents.settle(tx, tenant_id, call.intent, "REFUSED", now, reason=outcome.reason)
        if _correct_again(tx, tenant_id, call, now, if_it_left=True):
            return  # a parcel of it had left before it was asked: what is still open is taken off
        why = f"Shopify refused it: {outcome.reason}"
        intents.give_to_person(tx, tenant_id, call.intent, f"Cancel hub order {call.hub_order_id} by hand", why, now)
    else:
        intents.put_off(tx, tenant_id, call.intent, outcome, now)


def _correct_again(tx: Tx, tenant_id: int, call: CorrectCall, now: int, *, if_it_left: bool = False) -> bool:
    """Correct what is wrong with the copy after this call; `if_it_left`: only where a cancel was refused and a part of it has left."""
    order_no = call.intent.payload["order_no"]
    order = load_orders_by_no(tx, tenant_id, [order_no])[order_no]
    if if_it_left and (call.intent.kind != "cancel_copy" or not copies.left_from_hub(tx, tenant_id, order)):
        return False
    lines = load_lines(tx, tenant_id, [order_no]).get(order_no, {}).values()
    mine = claims.load(tx, tenant_id, [line.key for line in lines])
    return copies.correct_copy(tx, tenant_id, order, list(mine.values()), now)
