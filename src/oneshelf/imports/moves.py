"""Holds and their return: pieces moved between available and reserved at the hub (SEMANTICS 9.5).

1. Take what is due, with the pieces that the claim is owed at this moment.  2. One call for up to 250, under a durable key of its own.
3. Unknown: the same call again, same key and body.  4. Refused: one by one, each under its own key.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from oneshelf.channels.contract import Move
from oneshelf.core.instants import SECOND
from oneshelf.core.outcome import Accepted, Outcome, Rejected
from oneshelf.core.plan import Capability
from oneshelf.db.tx import Tx, next_values
from oneshelf.orders import claims, elsewhere, intents
from oneshelf.orders.intents import Intent

from . import adopting

KINDS = ("hold", "unhold")
BATCH_KIND = "move_batch"
ALL_KINDS = (*KINDS, BATCH_KIND)
#: Shopify refuses arrays of more than 250 entries. Source: Shopify API usage limits, read 2026-11.
MOVES_MAX = 250
#: Shopify forgets idempotency keys after 24 h; older than this we read instead of sending again (S4.2).
KEY_LIFE_S = 20 * 3600
#: What the hub showed so lately, seconds, is not asked for again because it refuses a claim's hold once more: it may do that for another
#: reason. The first refusal tells that what it had is gone, to holds of other claims or to a buyer.
JUST_READ_S = 60

#: [intent number, claim key, sku, location, pieces, item]: a list, because it is kept as JSON with the batch.
Member = list[Any]


class MoveCall(msgspec.Struct):
    """One call to make: the batch row that makes it durable, and its members (as [intent number, claim key, sku, location, pieces])."""

    batch: Intent
    moves: list[Move]
    members: list[Member]
    #: The batch may have been sent before: the hub answers from its key store.
    again: bool = False


def plan(tx: Tx, tenant_id: int, now: int) -> MoveCall | None:
    """Return the next call, or None. An unanswered batch goes before new ones. Without inventory sync in the plan nothing new is held."""
    for batch in intents.due(tx, tenant_id, (BATCH_KIND,), now, 1):
        if batch.first_sent_at is not None and now - batch.first_sent_at > KEY_LIFE_S * SECOND:
            _abandon(tx, tenant_id, batch, now)
            continue
        intents.sending(tx, tenant_id, batch, now)
        return MoveCall(batch, _moves(batch), batch.payload["members"], again=True)
    members: list[Member] = []
    refused = False
    intents.wait_for_plan(tx, tenant_id, Capability.INVENTORY_SYNC, ("hold",), now)
    for intent in intents.due(tx, tenant_id, KINDS, now, MOVES_MAX):
        alone = bool(intent.payload.get("alone"))
        if alone and members:
            continue
        member = _needed(tx, tenant_id, intent, now)
        if member is None:
            continue
        members.append(member)
        if alone:
            refused = True
            break
    if not members:
        return None
    return _new_batch(tx, tenant_id, members, now, alone=refused)


def _needed(tx: Tx, tenant_id: int, intent: Intent, now: int) -> Member | None:
    """What the claim is owed now; nothing any more → done."""
    claim = claims.load(tx, tenant_id, [intent.payload["claim_key"]]).get(intent.payload["claim_key"])
    item = tx.one("SELECT item_id FROM item WHERE tenant_id = :t AND sku = :s", t=tenant_id, s=intent.payload["sku"])
    if claim is None or item is None:
        intents.settle(tx, tenant_id, intent, "DONE", now, reason="nothing to hold")
        return None
    missing = claim.want - claim.held - claim.imported
    pieces = missing if intent.kind == "hold" else -min(claim.held, max(0, -missing))
    if pieces == 0 or (pieces > 0) != (intent.kind == "hold"):
        intents.settle(tx, tenant_id, intent, "DONE", now, reason="not needed any more")
        _plan_next(tx, tenant_id, claim, now)
        return None
    if pieces > 0 and adopting.waits_for_read(tx, tenant_id, [claim]):
        why = "its level was not read since a backup was put back"
        intents.settle(tx, tenant_id, intent, "WAITING", now, reason=why, due_at=now + 2 * SECOND)
        return None
    if pieces > 0 and _import_under_way(tx, tenant_id, claim):
        intents.settle(tx, tenant_id, intent, "WAITING", now, reason="its import has begun", due_at=now + 2 * SECOND)
        return None
    if pieces > 0 and (adopted := adopting.adopt(tx, tenant_id, claim, pieces, str(intent.intent_no), now)):
        claims.save(tx, tenant_id, [claim])
        pieces -= adopted
        if pieces == 0:
            intents.settle(tx, tenant_id, intent, "DONE", now, reason="was held before the backup was put back")
            return None
    if pieces > 1:
        pieces = min(pieces, _there(tx, tenant_id, claim, pieces))
    # S9.5: at the location that the hub knows it by; a held claim stays where it was held.
    return [intent.intent_no, claim.claim_key, claim.sku, claim.location_id, pieces, item[0]]


def _plan_next(tx: Tx, tenant_id: int, claim: claims.ClaimRow, now: int) -> None:
    """A claim that wanted less while its hold was on its way got no return then: one at a time (I13)."""
    claims.plan(tx, tenant_id, [claim], now, at_once=True)
    claims.save(tx, tenant_id, [claim])


def _there(tx: Tx, tenant_id: int, claim: claims.ClaimRow, wanted: int) -> int:
    """Return how many of the wanted pieces the hub had when it was last read: a hold of more is refused whole, and a web buyer takes what
    is there. All of them where it had none, or was never read."""
    row = tx.one(
        "SELECT available FROM hub_level WHERE tenant_id = :t AND sku = :s AND location_id = :l",
        t=tenant_id,
        s=claim.sku,
        l=claim.location_id,
    )
    return int(row[0]) if row is not None and row[0] > 0 else wanted


def _import_under_way(tx: Tx, tenant_id: int, claim: claims.ClaimRow) -> bool:
    row = tx.one(
        "SELECT 1 FROM intent n JOIN orders o ON o.tenant_id = n.tenant_id AND o.order_no = :no "
        "WHERE n.tenant_id = :t AND n.kind = 'import' AND n.entity = CAST(o.account_id AS TEXT) || '/' || o.order_id "
        "AND n.state IN ('SENDING', 'UNKNOWN')",
        t=tenant_id,
        no=claim.order_no,
    )
    return row is not None


def _new_batch(tx: Tx, tenant_id: int, members: list[Member], now: int, *, alone: bool) -> MoveCall:
    number = next_values(tx, tenant_id, "intent")[0]
    entity = f"{members[0][0]}-{members[-1][0]}"
    payload = {
        "members": members,
        "moves": [[sku, location, -pieces] for _, _, sku, location, pieces, _ in members],
        "alone": alone,
    }
    key = claims.idempotency_key(tenant_id, BATCH_KIND, entity, number)
    tx.run(
        """INSERT INTO intent (tenant_id, intent_no, kind, entity, version, idempotency_key, state, priority, payload, created_at, due_at)
           VALUES (:t, :no, :kind, :entity, :no, :key, 'WAITING', 2, :payload, :now, :now)""",
        t=tenant_id,
        no=number,
        kind=BATCH_KIND,
        entity=entity,
        key=key,
        payload=json.dumps(payload),
        now=now,
    )
    batch = Intent(number, BATCH_KIND, entity, number, key, "WAITING", payload, 0, 0, now, now, None)
    intents.sending(tx, tenant_id, batch, now)
    tx.run(
        "UPDATE intent SET state = 'SENDING' WHERE tenant_id = :t AND intent_no {in:nos}",
        t=tenant_id,
        nos=[member[0] for member in members],
    )
    return MoveCall(batch, _moves(batch), members)


def _moves(batch: Intent) -> list[Move]:
    return [
        Move(item_id=item_id, location_id=location, pieces=abs(pieces), hold=pieces > 0)
        for _, _, _, location, pieces, item_id in batch.payload["members"]
    ]


def settle(tx: Tx, tenant_id: int, call: MoveCall, outcome: Outcome, now: int) -> None:
    """Record what the hub said, move the claims, and write the next intent that each is owed."""
    if isinstance(outcome, Accepted):
        intents.settle(tx, tenant_id, call.batch, "DONE", now)
        _end_members(tx, tenant_id, call.members, "DONE", now)
        _change_claims(tx, tenant_id, call.members, now)
    elif isinstance(outcome, Rejected):
        intents.settle(tx, tenant_id, call.batch, "REFUSED", now, reason=outcome.reason)
        if len(call.members) == 1:
            _end_members(tx, tenant_id, call.members, "REFUSED", now, outcome.reason)
            _refuse(tx, tenant_id, call.members[0], now)
        else:
            _take_apart(tx, tenant_id, call.members, now)
    else:
        intents.put_off(tx, tenant_id, call.batch, outcome, now)


def _end_members(tx: Tx, tenant_id: int, members: list[Member], state: str, now: int, reason: str = "") -> None:
    tx.run(
        "UPDATE intent SET state = :s, settled_at = :now, reason = :r WHERE tenant_id = :t AND intent_no {in:nos}",
        s=state,
        now=now,
        r=reason[:500],
        t=tenant_id,
        nos=[member[0] for member in members],
    )


def _take_apart(tx: Tx, tenant_id: int, members: list[Member], now: int) -> None:
    """One of them is not possible; nothing was done. Each goes alone, so that the others are not kept waiting (FC-D10)."""
    for number, claim_key, sku, location, pieces, _ in members:
        payload = {"claim_key": claim_key, "sku": sku, "location_id": location, "pieces": abs(pieces), "alone": True}
        tx.run(
            "UPDATE intent SET state = 'WAITING', payload = :p, due_at = :now WHERE tenant_id = :t AND intent_no = :no",
            p=json.dumps(payload),
            now=now,
            t=tenant_id,
            no=number,
        )


def _change_claims(tx: Tx, tenant_id: int, members: list[Member], now: int) -> None:
    found = claims.load(tx, tenant_id, [member[1] for member in members])
    for _, claim_key, _, _, pieces, _ in members:
        found[claim_key].held = max(0, found[claim_key].held + pieces)
    claims.plan(tx, tenant_id, found.values(), now, at_once=True)
    claims.save(tx, tenant_id, found.values())
    tx.many(  # what a read showed before is not there any more: with it, one piece would be given back twice (S8.7)
        "UPDATE hub_level SET wanted = 1 WHERE tenant_id = ? AND sku = ? AND location_id = ? "
        "AND EXISTS (SELECT 1 FROM strict_sku s WHERE s.tenant_id = hub_level.tenant_id AND s.sku = hub_level.sku)",
        [(tenant_id, sku, location) for _, _, sku, location, pieces, _ in members if pieces < 0],
    )
    # What one gives back another may lack.
    claims.ask_again(tx, tenant_id, [(sku, location, -pieces) for _, _, sku, location, pieces, _ in members])


def _refuse(tx: Tx, tenant_id: int, member: Member, now: int) -> None:
    """A hold larger than what is there is refused: a read tells how many are, and these are asked for (S9.5).

    A return that is refused gives back what the hub doesn't reserve any more: the pieces are not held; a read tells what is there. Of
    several locations it also tells whether this one has closed and its holds have come to another (ADR 0029).
    """
    found = claims.load(tx, tenant_id, [member[1]])
    for claim in found.values():
        if member[4] > 0:
            # A read that came while it was asked for may have told already: then what is there is asked for at once.
            claim.refused = claims.NOT_THERE if _there(tx, tenant_id, claim, member[4]) >= member[4] else 0
            _plan_next(tx, tenant_id, claim, now)
        elif not _has_others(tx, tenant_id, claim.location_id):
            claim.held = max(0, claim.held + member[4])
        tx.run(
            "UPDATE hub_level SET wanted = 1 WHERE tenant_id = :t AND sku = :s AND location_id = :l AND (:back = 1 OR read_at < :fresh "
            "OR 1 = (SELECT COUNT(*) FROM intent n WHERE n.tenant_id = :t AND n.kind = 'hold' AND n.entity = :key "
            "AND n.state = 'REFUSED' AND n.settled_at >= :fresh))",
            t=tenant_id,
            s=claim.sku,
            l=claim.location_id,
            back=int(member[4] < 0),
            fresh=now - JUST_READ_S * SECOND,
            key=claim.claim_key,
        )
    claims.save(tx, tenant_id, found.values())


def _has_others(tx: Tx, tenant_id: int, location_id: str) -> bool:
    row = tx.one(
        "SELECT 1 FROM location WHERE tenant_id = :t AND location_id <> :l LIMIT 1", t=tenant_id, l=location_id
    )
    return row is not None


def _abandon(tx: Tx, tenant_id: int, batch: Intent, now: int) -> None:
    """The hub may have forgotten the key: sending again could move twice. Read the levels; what differs is judged there."""
    intents.settle(tx, tenant_id, batch, "REFUSED", now, reason="unanswered for longer than the hub keeps keys")
    _end_members(tx, tenant_id, batch.payload["members"], "REFUSED", now, "unanswered too long")
    skus = [member[2] for member in batch.payload["members"]]
    tx.run("UPDATE hub_level SET wanted = 1 WHERE tenant_id = :t AND sku {in:skus}", t=tenant_id, skus=skus)


def hold_what_waits(tx: Tx, tenant_id: int, now: int) -> None:
    """S9.5: an import that has not begun within HOLD_AFTER_S leaves its pieces on sale in the hub; hold them. What a location has not is
    held where it lies."""
    bound = now - int(claims.HOLD_AFTER_S * SECOND)
    rows = tx.all(
        "SELECT claim_key FROM claim c WHERE tenant_id = :t AND open = 1 "
        f"AND ((refused = 0 AND want > held + imported AND since_at <= :bound) OR {elsewhere.IS_DUE}) LIMIT 250",
        t=tenant_id,
        bound=bound,
    )
    if not rows:
        return
    found = claims.load(tx, tenant_id, [key for (key,) in rows]).values()
    waiting = [
        claim
        for claim in found
        if not claim.refused
        and claim.lacks > 0
        and claim.since_at <= bound
        and not _import_under_way(tx, tenant_id, claim)
        and _is_live(tx, tenant_id, claim)
    ]
    claims.plan(tx, tenant_id, waiting, now, at_once=True)
    claims.save(tx, tenant_id, waiting)
    if due := [claim for claim in found if claim.refused or claim.elsewhere > claim.lacks]:
        elsewhere.spread(tx, tenant_id, due, now)


def next_wait_ends_at(tx: Tx, tenant_id: int, now: int) -> int | None:
    """When `hold_what_waits` may have something to do next."""
    wait = int(claims.HOLD_AFTER_S * SECOND)
    row = tx.one(
        "SELECT MIN(since_at) FROM claim WHERE tenant_id = :t AND open = 1 AND refused = 0 AND want > held + imported "
        "AND since_at > :bound",
        t=tenant_id,
        bound=now - wait,
    )
    return None if row is None or row[0] is None else row[0] + wait


def _is_live(tx: Tx, tenant_id: int, claim: claims.ClaimRow) -> bool:
    """Nothing leaves for an account that is not live (S0.7)."""
    if not claim.order_no:
        return True
    row = tx.one(
        "SELECT a.state FROM orders o JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id "
        "WHERE o.tenant_id = :t AND o.order_no = :no",
        t=tenant_id,
        no=claim.order_no,
    )
    return row is not None and row[0] in ("LIVE", "PAUSED")
