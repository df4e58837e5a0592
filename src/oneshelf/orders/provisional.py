"""Provisional reservations: a read showed fewer than believed, so a sale happened whose order has not arrived (S1.9, S9.2)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import msgspec

from oneshelf.core.instants import SECOND
from oneshelf.core.stock import Entry
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.listings import dirty
from oneshelf.listings.risk import locations_of
from oneshelf.stock import ledger
from oneshelf.stock.levels import levels_of, locations_in_scope

from . import claims, elsewhere
from .placing import choose_location
from .rows import LineRow

#: Outlet id under which the hub's own provisionals stand.
HUB_OUTLET = 0
#: How far before the read its sale is looked for: four times the longest notice window (S3.1).
LOOK_BACK_S = 2 * 3600
#: Reservations that one search is for.
LOOKED_FOR_AT_ONCE = 200


class Provisional(msgspec.Struct):
    """An open provisional reservation of one SKU."""

    prov_id: str
    outlet_id: int
    sku: str
    location_id: str
    pieces: int
    account_id: int
    read_at: int


class Heir(msgspec.Struct, frozen=True):
    """The line whose sale a provisional reservation was, and the location where pieces are held for it."""

    line: LineRow
    holds_at: str


_COLUMNS = ", ".join(Provisional.__struct_fields__)


def open_for(tx: Tx, tenant_id: int, outlet_ids: Iterable[int], skus: Iterable[str] = ()) -> list[Provisional]:
    """Return the open provisionals of these outlets, oldest first; the hub's (outlet 0) only of `skus`."""
    rows = tx.all(
        f"SELECT {_COLUMNS} FROM provisional WHERE tenant_id = :t AND state = 'OPEN' AND outlet_id {{in:outlets}} "
        "ORDER BY read_at, prov_id",
        t=tenant_id,
        outlets=sorted(set(outlet_ids)),
    )
    wanted = set(skus)
    return [p for p in (Provisional(*row) for row in rows) if p.outlet_id != HUB_OUTLET or p.sku in wanted]


def open_at(tx: Tx, tenant_id: int, location_ids: Sequence[str]) -> list[Provisional]:
    """Return the open provisionals that stand at these locations, oldest first."""
    rows = tx.all(
        f"SELECT {_COLUMNS} FROM provisional WHERE tenant_id = :t AND state = 'OPEN' AND location_id {{in:there}} "
        "ORDER BY read_at, prov_id",
        t=tenant_id,
        there=list(location_ids),
    )
    return [Provisional(*row) for row in rows]


def stand_elsewhere(tx: Tx, tenant_id: int, prov: Provisional, now: int) -> None:
    """The location of a marketplace's unseen sale serves no more: it stands where most is, and its claim with it if nothing is held."""
    place = best_place(tx, tenant_id, prov.account_id, prov.sku)
    if place in ("", prov.location_id):
        return
    entries = [
        Entry(
            key=f"{prov.prov_id}:moved:{now}:{where}",
            sku=prov.sku,
            location_id=where,
            reason="served from another location",
            reserved=sign * prov.pieces,
            source=prov.prov_id,
        )
        for where, sign in ((prov.location_id, -1), (place, 1))
    ]
    ledger.post(tx, tenant_id, entries, now)
    prov.location_id = place
    tx.run(
        "UPDATE provisional SET location_id = :l WHERE tenant_id = :t AND prov_id = :id",
        l=place,
        t=tenant_id,
        id=prov.prov_id,
    )
    for claim in claims.load(tx, tenant_id, [prov.prov_id]).values():
        if claims.may_move(tx, tenant_id, claim):
            elsewhere.come_to_stand(tx, tenant_id, claim, place)
            claims.save(tx, tenant_id, [claim])
    dirty.mark(tx, tenant_id, [prov.sku], now, "served from another location")


def hold_unseen(
    tx: Tx, tenant_id: int, *, account_id: int, outlet_id: int, units: int, read_at: int, read_id: str, now: int
) -> None:
    """Reserve what `units` listings of a marketplace outlet take, because a read showed that many fewer than believed.

    Posts once per read; marks the SKUs' listings dirty; asks the hub to hold the pieces (S9.5).
    """
    parts = tx.all("SELECT sku, units FROM link WHERE tenant_id = :t AND outlet_id = :o", t=tenant_id, o=outlet_id)
    for sku, per_unit in parts:
        _reserve(tx, tenant_id, account_id, outlet_id, sku, units * per_unit, units, "", read_at, read_id, now)


def hold_unseen_at_hub(
    tx: Tx,
    tenant_id: int,
    *,
    account_id: int,
    sku: str,
    location_id: str,
    pieces: int,
    read_at: int,
    read_id: str,
    now: int,
) -> None:
    """The same for the hub: it took the pieces itself, so no hold is asked of it."""
    _reserve(tx, tenant_id, account_id, HUB_OUTLET, sku, pieces, pieces, location_id, read_at, read_id, now)


def _reserve(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    outlet_id: int,
    sku: str,
    pieces: int,
    units: int,
    location_id: str,
    read_at: int,
    read_id: str,
    now: int,
) -> None:
    # An outlet of the hub is an item at one location: one read may miss pieces at several.
    outlet = f"{outlet_id}:{sku}:{location_id}" if location_id else f"{outlet_id}:{sku}"
    location_id = location_id or best_place(tx, tenant_id, account_id, sku)
    prov_id = f"prov:{account_id}:{outlet}:{read_id}"
    entry = Entry(
        key=prov_id, sku=sku, location_id=location_id, reason="unseen sale", reserved=pieces, source=f"read {read_id}"
    )
    if ledger.post(tx, tenant_id, [entry], now) == ["already_done"]:
        return
    tx.run(
        """INSERT INTO provisional (tenant_id, prov_id, outlet_id, sku, location_id, pieces, units, account_id, read_at)
           VALUES (:t, :id, :outlet, :sku, :location, :pieces, :units, :account, :read_at)""",
        t=tenant_id,
        id=prov_id,
        outlet=outlet_id,
        sku=sku,
        location=location_id,
        pieces=pieces,
        units=units,
        account=account_id,
        read_at=read_at,
    )
    dirty.mark(tx, tenant_id, [sku], now, "a sale whose order has not arrived")
    if outlet_id != HUB_OUTLET:
        claim = claims.ClaimRow(prov_id, sku, location_id, pieces, 0, 0, 0, 0, "", now, 0, 1)
        claims.plan(tx, tenant_id, [claim], now, at_once=True)
        claims.save(tx, tenant_id, [claim])


def best_place(tx: Tx, tenant_id: int, account_id: int, sku: str) -> str:
    """Where a sale stands of which nothing better is known: where most is, of the locations that serve its account, or of all if these
    have closed; '' if there is none."""
    serving = locations_in_scope(tx, tenant_id)
    if len(serving) > 1 and (only := locations_of(tx, tenant_id).get(account_id)) is not None:
        serving = [one for one in serving if one in only] or serving
    return choose_location(sku, levels_of(tx, tenant_id, [sku]), serving)


def consume(
    tx: Tx, tenant_id: int, provisionals: list[Provisional], line: LineRow, placed_at: int, pieces: int, now: int
) -> int:
    """An own order has arrived: let it use up provisionals of its outlet that were read after it was placed.

    `pieces`: what the line newly takes. Returns the pieces taken over from provisionals that the hub already holds.
    """
    taken_held = 0
    for prov in provisionals:
        if pieces <= 0:
            break
        if prov.pieces <= 0 or prov.sku != line.sku or placed_at > prov.read_at:
            continue
        if prov.account_id != line.account_id or prov.outlet_id not in (line.outlet_id, HUB_OUTLET):
            continue
        used = min(pieces, prov.pieces)
        pieces -= used
        prov.pieces -= used
        # With what is left: one line may come back for more of the same reservation.
        key = f"{prov.prov_id}:{line.key}:{prov.pieces}"
        heir = Heir(line, _holds_at(tx, tenant_id, line))
        taken_held += _shrink(tx, tenant_id, prov, used, key, "its order arrived", "CONSUMED", now, heir=heir)
    return taken_held


def _holds_at(tx: Tx, tenant_id: int, line: LineRow) -> str:
    """Where pieces held for this line lie: a hold stays where it was made, whatever location the line has come to."""
    claim = claims.load(tx, tenant_id, [line.key]).get(line.key)
    if claim is None or claim.location_id == line.location_id or claims.may_move(tx, tenant_id, claim):
        return line.location_id
    return claim.location_id


def _shrink(
    tx: Tx,
    tenant_id: int,
    prov: Provisional,
    pieces: int,
    key: str,
    reason: str,
    end: str,
    now: int,
    *,
    heir: Heir | None = None,
) -> int:
    """Give back part of a provisional. What is held for it goes over to `heir`; returns how many pieces that line's claim is to take over
    as held where it stands."""
    ledger.post(
        tx,
        tenant_id,
        [
            Entry(
                key=key,
                sku=prov.sku,
                location_id=prov.location_id,
                reason=reason,
                reserved=-pieces,
                source=prov.prov_id,
            )
        ],
        now,
    )
    tx.run(
        "UPDATE provisional SET pieces = :left, state = CASE WHEN :left = 0 THEN :end ELSE state END "
        "WHERE tenant_id = :t AND prov_id = :id",
        left=prov.pieces,
        end=end,
        t=tenant_id,
        id=prov.prov_id,
    )
    if prov.outlet_id == HUB_OUTLET:
        return 0
    claim, away = elsewhere.load_whole(tx, tenant_id, prov.prov_id, prov.sku)
    if claim is None:
        return 0
    claim.want = prov.pieces
    passed_on = 0
    if heir is not None:
        passed_on = elsewhere.pass_on(tx, tenant_id, claim, away, heir.line, heir.holds_at, pieces, now)
    claims.plan(tx, tenant_id, [claim], now, at_once=True)
    claims.save(tx, tenant_id, [claim])
    return passed_on


def release(tx: Tx, tenant_id: int, prov: Provisional, pieces: int, reason: str, now: int) -> None:
    """Give back `pieces` of a provisional that no order will use; the SKU's listings become dirty."""
    pieces = min(pieces, prov.pieces)
    prov.pieces -= pieces
    _shrink(tx, tenant_id, prov, pieces, f"{prov.prov_id}:release:{prov.pieces}", reason, "RELEASED", now)
    dirty.mark(tx, tenant_id, [prov.sku], now, reason)


def settle_due(tx: Tx, tenant_id: int, account_id: int, complete_through_at: int, skew_s: int, now: int) -> int:
    """S9.2: the feed is complete through the read and no order used what is left: at a marketplace that is drift −.

    1. Its orders are looked for once more (S9.4): an intent `find_orders`, one an account at a time.  2. When that has been looked and
    what it found is booked (who calls sees to that), the reservation is released and the outlet read again; repair follows if it shows
    too few. Returns how many ended. The hub's own provisionals are judged with a fresh read (reconcile/judge).
    """
    rows = tx.all(
        f"SELECT {_COLUMNS} FROM provisional WHERE tenant_id = :t AND account_id = :a AND state = 'OPEN' "
        "AND outlet_id <> 0 AND read_at <= :bound ORDER BY read_at, prov_id",
        t=tenant_id,
        a=account_id,
        bound=complete_through_at - skew_s * SECOND,
    )
    due = [Provisional(*row) for row in rows]
    looked_for = _looked_for(tx, tenant_id, account_id, due)
    for prov in due:
        if prov.prov_id not in looked_for:
            continue
        note(
            tx,
            tenant_id,
            now,
            "reconcile",
            "Drift −: a listing showed fewer than believed and no order came",
            f"outlet:{prov.outlet_id}",
            sku=prov.sku,
            pieces=prov.pieces,
        )
        release(tx, tenant_id, prov, prov.pieces, "no order came: drift", now)
        dirty.mark_outlets(tx, tenant_id, [prov.outlet_id], now, "drift −", reread=True)
    _look_for(tx, tenant_id, account_id, [prov for prov in due if prov.prov_id not in looked_for], now)
    return len(looked_for)


def _looked_for(tx: Tx, tenant_id: int, account_id: int, due: list[Provisional]) -> set[str]:
    """Return which of these have been looked for, in vain or not."""
    if not due:
        return set()
    rows = tx.all(
        "SELECT payload FROM intent WHERE tenant_id = :t AND kind = 'find_orders' AND entity = :e "
        "AND state IN ('DONE', 'REFUSED') AND created_at >= :since",
        t=tenant_id,
        e=f"{account_id}/orders",
        since=min(prov.read_at for prov in due) - LOOK_BACK_S * SECOND,
    )
    named = {prov_id for (payload,) in rows for prov_id in json.loads(payload)["provisionals"]}
    return named & {prov.prov_id for prov in due}


def _look_for(tx: Tx, tenant_id: int, account_id: int, provisionals: list[Provisional], now: int) -> None:
    entity = f"{account_id}/orders"
    if not provisionals or claims.has_open_intent(tx, tenant_id, ("find_orders",), entity):
        return
    some = provisionals[:LOOKED_FOR_AT_ONCE]
    since = min(prov.read_at for prov in some) - LOOK_BACK_S * SECOND
    payload = {"since": since, "provisionals": [prov.prov_id for prov in some]}
    claims.add_intent(tx, tenant_id, "find_orders", entity, now, payload, now, priority=3)
