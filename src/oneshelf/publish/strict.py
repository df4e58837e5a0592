"""Strict SKUs: no number is told that could promise a piece twice; the hub is held back too (SEMANTICS 2.9, 8.7, 8.8).

In: numbers about to be told, exposures. Out: the number, or 0, or a wait; claims and holds for the hub. Tables: writes slot, claim, intent, hub_level (asks for a read).
Never: delays a zero; gives a piece back to the hub before the other outlets have let go of it.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from oneshelf.core.instants import SECOND
from oneshelf.db.tx import Tx
from oneshelf.listings.risk import strict_skus
from oneshelf.orders import claims
from oneshelf.stock.levels import available_of

from .exposure import exposures, hub_available
from .planner import plan_skus
from .resting import CLOSES, WAITS
from .slots import Slot

#: A number that must wait for the others is looked at again after so long, later the longer it has waited: each look may cost a read.
LOOK_AGAIN_S = 3
LOOK_AGAIN_S_MAX = 300

#: How many SKUs one look takes in turn, and as many again that owe a number: the writer is not held for longer than they cost.
LOOKED_AT_MAX = 250

_PREFIX = "strict:"


def close_or_wait(slots: Iterable[Slot], now: int) -> set[int]:
    """S8.8: these outlets may not be told their numbers. Those that show something are told 0 first; the others wait. Returns the ids of
    those to be told 0."""
    closing = set()
    for slot in slots:
        if slot.believed or slot.sent is not None:
            closing.add(slot.outlet_id)
            slot.reason = CLOSES
        else:
            waited = now - (slot.since_at or now)
            slot.wait_until = now + min(max(LOOK_AGAIN_S * SECOND, waited // 4), LOOK_AGAIN_S_MAX * SECOND)
            slot.reason = WAITS
    return closing


class Turn(msgspec.Struct, frozen=True):
    """SKUs to look at now. `after`: what to ask for the next ones with. `more`: there are some in this round."""

    skus: frozenset[str]
    after: str = ""
    more: bool = False


def next_turn(tx: Tx, tenant_id: int, after: str = "", limit: int = LOOKED_AT_MAX) -> Turn:
    """Return the next strict SKUs in turn, and those that are strict no more and of which something is held back yet, `limit` at most of
    each. Where one look does not hold all that are strict, it also takes as many that owe a number: whose K, share or rules moved."""
    in_turn = _names(
        tx,
        "SELECT sku FROM strict_sku WHERE tenant_id = :t AND sku > :after ORDER BY sku LIMIT :n",
        t=tenant_id,
        after=after,
        n=limit,
    )
    ended = _names(
        tx,
        # order_no = 0: what the index claim_of_no_order holds, the few that no order has.
        f"""SELECT DISTINCT c.sku FROM claim c
             WHERE c.tenant_id = :t AND c.order_no = 0 AND c.open = 1 AND c.claim_key LIKE '{_PREFIX}%' AND (c.want <> 0 OR c.held <> 0)
               AND NOT EXISTS (SELECT 1 FROM strict_sku s WHERE s.tenant_id = c.tenant_id AND s.sku = c.sku) LIMIT :n""",
        t=tenant_id,
        n=limit,
    )
    more = len(in_turn) == limit
    owing = []
    if after or more:
        owing = _names(
            tx,
            """SELECT DISTINCT k.sku FROM dirty_listing d CROSS JOIN link k CROSS JOIN strict_sku s
                WHERE d.tenant_id = :t AND k.tenant_id = d.tenant_id AND k.outlet_id = d.outlet_id
                  AND s.tenant_id = k.tenant_id AND s.sku = k.sku LIMIT :n""",
            t=tenant_id,
            n=limit,
        )
    return Turn(frozenset((*in_turn, *ended, *owing)), in_turn[-1] if more else "", more or len(ended) == limit)


def _names(tx: Tx, sql: str, **params: object) -> list[str]:
    return [sku for (sku,) in tx.all(sql, **params)]


def hold_back(tx: Tx, tenant_id: int, now: int, skus: Iterable[str]) -> int:
    """Bring what the hub holds back of these strict SKUs to what it should be (2.9); one that is strict no more gets all back.

    A hold only lowers what the hub shows and goes out at once; a return waits until the other outlets have let go (8.7), and may be done
    in part. So does what the hub gets back of an order that was cancelled: the marketplace may have put it back on sale itself. Returns how
    many claims changed.
    """
    skus = set(skus)
    if not skus:
        return 0
    strict = strict_skus(tx, tenant_id, skus)
    k = available_of(tx, tenant_id, skus)
    shares = plan_skus(tx, tenant_id, strict, k, now).hub_share if strict else {}
    at_hub = hub_available(tx, tenant_id, skus)
    bare = at_hub.bare
    # One that was given back whole is closed. It goes on with its versions: with the first ones again, its calls would be those made before.
    held = claims.load(tx, tenant_id, [f"{_PREFIX}{sku}:{location}" for sku, location in sorted(bare)])
    promised = exposures(tx, tenant_id, strict, now, k=k, at_hub=at_hub.most)
    read = _read_there(tx, tenant_id, skus)
    changed, surplus, to_read = [], [], []
    for sku in sorted(skus):
        places = sorted((place for place in bare if place[0] == sku), key=lambda place: (-bare[place], place))
        left = shares.get(sku, sum(max(0, bare[place]) for place in places))
        room = promised[sku].room() + sum(at_hub.returning.get(place, 0) for place in places) if sku in strict else None
        for place in places:
            shows = min(max(0, bare[place]), left)
            left -= shows
            want = max(0, bare[place]) - shows
            key = f"{_PREFIX}{sku}:{place[1]}"
            claim = held.get(key) or claims.ClaimRow(key, sku, place[1], 0, 0, 0, 0, 0, "", now, 0, 1)
            was = claim.want
            if claim.refused:  # what the hub had not is not held: to want it no more puts nothing on sale
                claim.want = max(min(want, was), claim.held)
            rise = claim.want - want + at_hub.returning.get(place, 0)
            if rise > 0 and room is not None:
                # Imported beside what is held back, the hub stands below 0: up to 0 a return puts nothing on sale. Pieces that have come
                # in there, and that nobody has heard of, would make that wrong: a read has to show it below 0.
                below = max(0, min(claim.want, claim.held) - max(0, bare[place]))
                free = min(below, max(0, -read.get(place, 0)))
                if free < below:
                    to_read.append((tenant_id, *place))
                elif below and len(places) > 1 and not _is_settled(tx, tenant_id, sku):
                    # What is missing here may have been carried to where it is on sale.
                    free = 0
                # The shop sells what all locations have together: with more on sale at one than may be, what another lacks is as good as held.
                allowed = min(rise, free + max(0, room) if len(places) == 1 else max(0, free + room))
                want += rise - allowed
                room -= max(0, allowed - free)
            if want != was:
                claim.want, claim.refused, claim.since_at = want, 0, now
                changed.append(claim)
            # What came along from a location that closed (ADR 0029).
            elif claim.held > want and _is_settled(tx, tenant_id, sku):
                surplus.append(claim)
    tx.many("UPDATE hub_level SET wanted = 1 WHERE tenant_id = ? AND sku = ? AND location_id = ?", to_read)
    claims.plan(tx, tenant_id, (*changed, *surplus), now, at_once=True)
    claims.save(tx, tenant_id, (*changed, *surplus))
    return len(changed)


def _is_settled(tx: Tx, tenant_id: int, sku: str) -> bool:
    """Whether the hub's levels of a SKU are explained: what is held there beyond our numbers may be pieces that these do not have yet."""
    odd = tx.one(
        """SELECT 1 FROM hub_level h WHERE h.tenant_id = :t AND h.sku = :s AND (h.odd_since IS NOT NULL OR h.wanted = 1)
           UNION ALL SELECT 1 FROM provisional p WHERE p.tenant_id = :t AND p.sku = :s AND p.state = 'OPEN' AND p.outlet_id = 0""",
        t=tenant_id,
        s=sku,
    )
    return odd is None


def _read_there(tx: Tx, tenant_id: int, skus: Iterable[str]) -> dict[tuple[str, str], int]:
    """Return {(SKU, location): what the last read of the hub showed available there}. One that is wanted again says nothing any more: what
    was given back since then is not in it."""
    rows = tx.all(
        "SELECT sku, location_id, available FROM hub_level WHERE tenant_id = :t AND sku {in:skus} AND wanted = 0",
        t=tenant_id,
        skus=sorted(skus),
    )
    return {(sku, location): available for sku, location, available in rows}
