"""A location that closes: what stands there, is held or is suspected there goes on elsewhere (SEMANTICS 5.7, 9.5; ADR 0029).

In: locations that serve nobody any more; what came to be reserved at another since. Out: lines, reservations and claims at locations that
serve; holds that came along, for claims that are owed one, or given back. Tables: writes provisional, claim, intent, hub_level (asks for reads).
Never: counts a piece of ours twice; gives back more than was held at the location that closed.

Shopify moves the inventory of a location that closes, and the orders that wait there, to one that the merchant names (locationDeactivate, Admin
GraphQL API 2026-10, read 2026-12). It tells nobody which, and not whether pieces that an app holds stay held. So a hold there is none any
more, its claim is owed another; and what comes to be reserved elsewhere within the hour is that hold, as far as it goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from oneshelf.core.instants import SECOND
from oneshelf.db.tx import Tx
from oneshelf.listings import hints
from oneshelf.listings.risk import strict_skus

from . import claims, covering, elsewhere, provisional, routing
from .claims import GIVEN_BACK, ClaimRow
from .provisional import best_place
from .rows import load_lines

#: So long after holds at a location were let go, seconds, what comes to be reserved at another may be what we held there.
COMES_ALONG_S = 3_600

#: What was held of a SKU at a location that closed, and may have come along.
_GONE = "closed:"
#: What came along and no claim is owed: given back where it lies now.
_CAME = "came:"
_STRICT = "strict:"


def leave(tx: Tx, tenant_id: int, location_ids: Iterable[str], now: int) -> None:
    """Leave these locations. What marketplaces sold and stands there is decided again; what no other location has stands where most is, so
    that it is counted."""
    closed = sorted(location_ids)
    if not closed:
        return
    let_holds_go(tx, tenant_id, closed, now)
    routing.leave_closed(tx, tenant_id, closed, now)
    _let_lines_stand(tx, tenant_id, closed, now)
    for prov in provisional.open_at(tx, tenant_id, closed):
        if prov.outlet_id != provisional.HUB_OUTLET:  # what the hub sold unseen, its next read settles
            provisional.stand_elsewhere(tx, tenant_id, prov, now)


def ask_which_are_open(
    tx: Tx, tenant_id: int, account_id: int, location_ids: Sequence[str], now: int, *, known_open: bool
) -> None:
    """A read tells nothing of these locations that we know as open (`known_open`), or anything new of one that we know as closed: the hub is
    asked which are open."""
    if tx.one(
        "SELECT 1 FROM location WHERE tenant_id = :t AND location_id {in:there} AND active = :open",
        t=tenant_id,
        there=list(location_ids),
        open=int(known_open),
    ):
        hints.want(tx, tenant_id, account_id, hints.LOCATIONS, now)


def cover_anew(tx: Tx, tenant_id: int, location_ids: Iterable[str], now: int) -> None:
    """These locations have opened or closed: what orders wait for of their SKUs is covered by more or by fewer pieces (S6.1)."""
    rows = tx.all(
        """SELECT DISTINCT l.sku FROM order_line l JOIN stock_level s ON s.tenant_id = l.tenant_id AND s.sku = l.sku
            WHERE l.tenant_id = :t AND l.reserved + l.committed > 0 AND s.location_id {in:there} ORDER BY l.sku""",
        t=tenant_id,
        there=sorted(location_ids),
    )
    covering.recompute(tx, tenant_id, [sku for (sku,) in rows], now)


def look_again(tx: Tx, tenant_id: int, now: int) -> None:
    """Leave what came to closed locations since: a hold was on its way when they closed. Forget what did not come along in time."""
    closed = [
        one for (one,) in tx.all("SELECT location_id FROM location WHERE tenant_id = :t AND active = 0", t=tenant_id)
    ]
    if not closed:
        return
    if _held_at(tx, tenant_id, closed):
        leave(tx, tenant_id, closed, now)
    _let_lines_stand(tx, tenant_id, closed, now, where_owed=True)
    late = [row for row in _gone(tx, tenant_id) if now - row.since_at > COMES_ALONG_S * SECOND]
    for row in late:
        row.held = 0
    claims.save(tx, tenant_id, late)


# --- what is held there -----------------------------------------------------------------------------------------------


def _held_at(tx: Tx, tenant_id: int, closed: Sequence[str], sku: str = "") -> dict[str, ClaimRow]:
    """The claims with pieces held there, of one SKU or of all, by key. One with a call that has no answer yet stays as it is until it has."""
    of_sku = "AND sku = :sku" if sku else ""
    found = claims.load_where(
        tx,
        tenant_id,
        f"open = 1 AND held > 0 {of_sku} AND location_id {{in:closed}}",
        closed=list(closed),
        **({"sku": sku} if sku else {}),
    )
    under_way = ("SENDING", "UNKNOWN")
    return {
        key: claim
        for key, claim in found.items()
        if not claims.has_open_intent(tx, tenant_id, ("hold", "unhold"), key, states=under_way)
    }


def let_holds_go(tx: Tx, tenant_id: int, closed: Sequence[str], now: int, *, sku: str = "") -> None:
    """Nothing is held there any more, of one SKU or of all. How much it was is kept, by SKU and location, for what comes along."""
    held = _held_at(tx, tenant_id, closed, sku)
    if not held:
        return
    owners = {key: elsewhere.owner_of(key, claim.location_id) for key, claim in held.items()}
    found = {**claims.load(tx, tenant_id, [owner for owner in owners.values() if owner]), **held}
    gone: dict[tuple[str, str], int] = {}
    for key, claim in held.items():
        place = (claim.sku, claim.location_id)
        gone[place] = gone.get(place, 0) + claim.held
        claim.held = claim.refused = 0
        if owners[key]:
            if (owner := found.get(owners[key])) is not None:
                owner.elsewhere -= claim.want
            claim.want = 0
        elif key.startswith(_STRICT):  # what is held back of a strict SKU is dealt out anew, over what serves
            claim.want = 0
    claims.save(tx, tenant_id, found.values())
    kept = {f"{_GONE}{sku}:{location}": (sku, location, n) for (sku, location), n in gone.items()}
    before = claims.load(tx, tenant_id, kept)
    rows = []
    for key, (sku, _, pieces) in kept.items():
        row = before.get(key) or ClaimRow(key, sku, "", 0, 0, 0, 0, 0, "", now, 0, 1)  # it lies nowhere
        row.held += pieces
        rows.append(row)
    claims.save(tx, tenant_id, rows)
    tx.many(  # saving a claim leaves since when as it was
        "UPDATE claim SET since_at = ? WHERE tenant_id = ? AND claim_key = ?", [(now, tenant_id, key) for key in kept]
    )
    tx.many(
        "UPDATE hub_level SET wanted = 1 WHERE tenant_id = ? AND sku = ?",
        [(tenant_id, sku) for sku in sorted({sku for sku, _ in gone})],
    )


def _gone(tx: Tx, tenant_id: int, sku: str = "") -> list[ClaimRow]:
    """What was held at closed locations and has not come along yet, of one SKU or of all, the oldest first."""
    of_sku = "AND sku = :sku" if sku else ""
    rows = claims.load_where(
        tx,
        tenant_id,
        f"order_no = 0 AND open = 1 AND held > 0 {of_sku} AND claim_key LIKE '{_GONE}%'",
        **({"sku": sku} if sku else {}),
    )
    return sorted(rows.values(), key=lambda row: (row.since_at, row.claim_key))


def came_along(tx: Tx, tenant_id: int, sku: str, location_id: str, pieces: int, now: int) -> int:
    """So many `pieces` of a SKU are reserved at a location beyond what is known there. Return how many are holds of ours that came there from
    a location that sells it no more. They are held for claims there that are owed one; what is left is given back, or held back if the
    SKU is strict."""
    gone = _gone(tx, tenant_id, sku)
    left = came = max(0, min(pieces, sum(row.held for row in gone)))
    if not came:
        return 0
    for row in gone:
        part = min(left, row.held)
        row.held, left = row.held - part, left - part
    owed = claims.load_where(
        tx, tenant_id, "sku = :sku AND location_id = :l AND open = 1 AND want > held + imported", sku=sku, l=location_id
    )
    takers = [claim for claim in owed.values() if claim.refused != GIVEN_BACK]
    left = came
    for claim in sorted(
        takers, key=lambda claim: (claim.claim_key.startswith(_STRICT), claim.since_at, claim.claim_key)
    ):
        part = min(left, claim.lacks)
        claim.held, left = claim.held + part, left - part
    rest: list[ClaimRow] = []
    if left:
        is_strict = bool(strict_skus(tx, tenant_id, {sku}))
        key = f"{_STRICT if is_strict else _CAME}{sku}:{location_id}"
        there = owed.get(key) or claims.load(tx, tenant_id, [key]).get(key)
        rest = [there or ClaimRow(key, sku, location_id, 0, 0, 0, 0, 0, "", now, 0, 1)]
        rest[0].held += left
        if not is_strict:
            claims.plan(tx, tenant_id, rest, now, at_once=True)
    claims.save(tx, tenant_id, {claim.claim_key: claim for claim in (*gone, *takers, *rest)}.values())
    return came


# --- what stands there ------------------------------------------------------------------------------------------------


def stand_at(tx: Tx, tenant_id: int, sku: str, origin: str, goal: str, now: int) -> int:
    """What lines of a SKU have at one location stands at another from now on. Returns how many pieces."""
    rows = tx.all(
        "SELECT DISTINCT order_no FROM order_line WHERE tenant_id = :t AND sku = :sku AND location_id = :l AND reserved + committed > 0 "
        "ORDER BY order_no",
        t=tenant_id,
        sku=sku,
        l=origin,
    )
    moved = 0
    for order_no, lines in load_lines(tx, tenant_id, [order_no for (order_no,) in rows]).items():
        standing = [line for line in lines.values() if (line.sku, line.location_id) == (sku, origin)]
        routing.stand_at(tx, tenant_id, order_no, {line.key: goal for line in standing}, now)
        moved += sum(line.reserved + line.committed for line in standing)
    return moved


def _let_lines_stand(tx: Tx, tenant_id: int, closed: Sequence[str], now: int, *, where_owed: bool = False) -> None:
    """Lines stand at a location that serves, though it may not have the pieces: at one that is closed nobody counts them, and they would be
    on offer once more. The hub's own word comes later. `where_owed`: only those at a closed location that has not their pieces."""
    owed = "AND s.on_hand - s.committed - s.reserved - s.unavailable < 0" if where_owed else ""
    # Levels first: a location may have been closed for years, and this is asked for every half minute.
    rows = tx.all(
        f"""SELECT DISTINCT l.order_no FROM stock_level s CROSS JOIN order_line l
             WHERE s.tenant_id = :t AND s.location_id {{in:closed}} {owed} AND l.tenant_id = s.tenant_id AND l.sku = s.sku
               AND l.location_id = s.location_id AND l.reserved + l.committed > 0 ORDER BY l.order_no""",
        t=tenant_id,
        closed=list(closed),
    )
    for order_no, lines in load_lines(tx, tenant_id, [order_no for (order_no,) in rows]).items():
        standing = [line for line in lines.values() if line.location_id in closed and line.reserved + line.committed]
        places = {line.key: best_place(tx, tenant_id, line.account_id, line.sku) for line in standing}
        routing.stand_at(tx, tenant_id, order_no, places, now)
