"""Counts entered here and carried to the hub: compare-and-set on what was read, at most five tries (SEMANTICS 8.3, 9.5)."""

from __future__ import annotations

import msgspec

from oneshelf.channels.contract import Http, Hub
from oneshelf.core.errors import NotThere, Park
from oneshelf.core.instants import SECOND
from oneshelf.core.outcome import Accepted, Outcome, Rejected
from oneshelf.core.stock import Entry
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx, next_values
from oneshelf.listings import dirty
from oneshelf.orders import claims, covering, intents
from oneshelf.orders.intents import Intent
from oneshelf.stock import ledger

KINDS = ("count",)
#: S8.3: how often a stale compare-and-set is read and tried again before it waits.
TRIES_MAX = 5
STALE_WAIT_S = 30


class CannotCount(Park):
    """The count can't be taken; nothing was changed."""


class CountCall(msgspec.Struct):
    """Write this on_hand to the hub if it still shows `expected`."""

    intent: Intent
    item_id: str
    location_id: str
    quantity: int
    expected: int


def enter(tx: Tx, tenant_id: int, sku: str, location_id: str, quantity: int, now: int, *, by: str) -> int:
    """Take up a count: `quantity` pieces lie at the location (0 or more). Returns the intent's number.
    Raises CannotCount, and NotThere for a SKU or a place that the shop does not have.

    The ledger moves when the hub has taken the number: it works there, and a count that it refuses never happened.
    """
    if quantity < 0:
        raise CannotCount(f"{sku}: {quantity} pieces can't lie on a shelf. Enter 0 or more.")
    item = tx.one("SELECT item_id FROM item WHERE tenant_id = :t AND sku = :s AND tracked = 1", t=tenant_id, s=sku)
    if item is None:
        raise NotThere(f"{sku} is not a tracked SKU of the shop.")
    place = tx.one("SELECT 1 FROM location WHERE tenant_id = :t AND location_id = :l", t=tenant_id, l=location_id)
    if place is None:
        raise NotThere(f"{location_id!r} is not a location of the shop. `oneshelf stock {sku}` lists them.")
    version = next_values(tx, tenant_id, "count")[0]
    payload = {"sku": sku, "location_id": location_id, "quantity": quantity, "item_id": item[0], "by": by}
    claims.add_intent(tx, tenant_id, "count", f"{sku}|{location_id}", version, payload, now, priority=2)
    return version


def plan(tx: Tx, tenant_id: int, now: int) -> CountCall | None:
    """Return the next count to write. Its expected value is the last number read there.

    One that got no answer goes out again as it was: a read of its level waits for that answer (S9.5), it must not wait for the read.
    """
    for intent in intents.due(tx, tenant_id, KINDS, now, 1):
        p = intent.payload
        seen = tx.one(
            "SELECT on_hand FROM hub_level WHERE tenant_id = :t AND sku = :s AND location_id = :l AND wanted = 0",
            t=tenant_id,
            s=p["sku"],
            l=p["location_id"],
        )
        if "expected" in p:
            seen = (p["expected"],)
        if seen is None:
            tx.run(
                "UPDATE hub_level SET wanted = 1 WHERE tenant_id = :t AND sku = :s AND location_id = :l",
                t=tenant_id,
                s=p["sku"],
                l=p["location_id"],
            )
            intents.settle(tx, tenant_id, intent, intent.state, now, reason="waits for a read", due_at=now + SECOND)
            continue
        p.setdefault("expected", seen[0])
        p["moves"] = [[p["sku"], p["location_id"], p["quantity"] - p["expected"]]]
        intents.sending(tx, tenant_id, intent, now)
        return CountCall(intent, p["item_id"], p["location_id"], p["quantity"], p["expected"])
    return None


async def send(hub: Hub, http: Http, call: CountCall) -> Outcome:
    """Make the call; the same key and body on every retry of one try."""
    key = f"{call.intent.idempotency_key}-{call.intent.payload.get('try', 0)}"
    reference = f"gid://oneshelf/Count/{call.intent.intent_no}"
    return await hub.set_on_hand(http, call.item_id, call.location_id, call.quantity, call.expected, key, reference)


def settle(tx: Tx, tenant_id: int, call: CountCall, outcome: Outcome, now: int) -> None:
    """Accepted: post the difference as an edit. Stale: read, then a new try with a new key."""
    intent, p = call.intent, call.intent.payload
    if isinstance(outcome, Accepted):
        intents.settle(tx, tenant_id, intent, "DONE", now)
        entry = Entry(
            key=f"edit:count:{intent.intent_no}",
            sku=p["sku"],
            location_id=call.location_id,
            reason="counted",
            on_hand=call.quantity - call.expected,
            source=p["by"],
        )
        if not entry.moves_nothing:
            ledger.post(tx, tenant_id, [entry], now)
            dirty.mark(tx, tenant_id, [p["sku"]], now, "counted")
            covering.recompute(tx, tenant_id, [p["sku"]], now)
        note(tx, tenant_id, now, p["by"], "Stock was counted", f"sku:{p['sku']}", pieces=call.quantity)
    elif isinstance(outcome, Rejected) and outcome.stale:
        p["try"] = p.get("try", 0) + 1
        p.pop("expected", None)
        p.pop("moves", None)
        tx.run(
            "UPDATE hub_level SET wanted = 1 WHERE tenant_id = :t AND sku = :s AND location_id = :l",
            t=tenant_id,
            s=p["sku"],
            l=call.location_id,
        )
        wait_s = 1 if p["try"] % TRIES_MAX else STALE_WAIT_S
        intents.settle(
            tx, tenant_id, intent, "WAITING", now, reason="the shop's number moved", due_at=now + wait_s * SECOND
        )
    elif isinstance(outcome, Rejected):
        p.pop("moves", None)
        intents.give_to_person(tx, tenant_id, intent, f"Enter the count of {p['sku']} in Shopify", outcome.reason, now)
    else:
        intents.put_off(tx, tenant_id, intent, outcome, now)
