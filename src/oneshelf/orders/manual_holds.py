"""Manual holds: pieces kept from sale by a person's word, until a moment he names. The one reservation that expires by time.

In: a SKU, a location, pieces, until when. Out: `reserved` in the ledger, a claim on the hub (SEMANTICS 9.5), dirty listings.
Tables it owns: manual_hold. Never: holds what is not there; outlives its time; stands against a sale, which is a fact (1.10): what a
sale needs is given back, the newest hold first.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from oneshelf.core.errors import NotThere, Park
from oneshelf.core.instants import SECOND
from oneshelf.core.stock import Entry
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx, next_values
from oneshelf.listings import dirty
from oneshelf.stock import ledger
from oneshelf.stock.levels import available_of, levels_of, locations_in_scope

from . import claims
from .placing import choose_location

#: Nothing is held for longer by one word: 90 days, in microseconds.
LONGEST = 90 * 86_400 * SECOND

_PREFIX = "manual:"


class CannotHold(Park):
    """The pieces can't be held, or the hold can't be ended; nothing was changed."""


class ManualHold(msgspec.Struct, frozen=True):
    """One hold. `pieces` above 0; instants in microseconds. `state`: OPEN RELEASED EXPIRED GAVE_WAY."""

    hold_no: int
    sku: str
    location_id: str
    pieces: int
    why: str
    actor: str
    since_at: int
    until_at: int
    state: str
    ended_at: int | None


_COLUMNS = ", ".join(ManualHold.__struct_fields__)


def hold(
    tx: Tx,
    tenant_id: int,
    sku: str,
    pieces: int,
    until_at: int,
    now: int,
    *,
    by: str,
    why: str = "",
    location: str = "",
) -> ManualHold:
    """Keep `pieces` of a SKU (1 or more, no more than are available there) from sale until `until_at`.

    `location` "": where most are available. Raises CannotHold.
    """
    if tx.one("SELECT 1 FROM item WHERE tenant_id = :t AND sku = :s AND tracked = 1", t=tenant_id, s=sku) is None:
        raise CannotHold(f"{sku} is not a tracked SKU of the shop, so there is nothing to hold.")
    if pieces < 1:
        raise CannotHold(f"{sku}: {pieces} pieces can't be held. Hold 1 or more.")
    if not now < until_at <= now + LONGEST:
        raise CannotHold("Say until when it is held: a moment to come, within 90 days.")
    levels, places = levels_of(tx, tenant_id, [sku]), locations_in_scope(tx, tenant_id)
    if location and location not in places:
        raise CannotHold(f"{location!r} is no location of yours that counts. `oneshelf stock {sku}` shows them.")
    place = location or choose_location(sku, levels, places)
    number = next_values(tx, tenant_id, "manual_hold")[0]
    held = ManualHold(number, sku, place, pieces, why, by, now, until_at, "OPEN", None)
    entry = _entry(held, pieces, claim_key(number), "held by hand")
    try:
        ledger.post_decision(tx, tenant_id, entry, now)
    except ledger.InsufficientStock:
        level = levels.get((sku, place))
        there = 0 if level is None else max(0, level.available)
        where = f"at {place}" if place else "anywhere"
        raise CannotHold(f"{sku}: {there} available {where}, so {pieces} can't be held.") from None
    dirty.mark(tx, tenant_id, [sku], now, "held by hand")
    tx.run(
        f"INSERT INTO manual_hold (tenant_id, {_COLUMNS}) "
        "VALUES (:t, :hold_no, :sku, :location_id, :pieces, :why, :actor, :since_at, :until_at, :state, :ended_at)",
        t=tenant_id,
        **msgspec.structs.asdict(held),
    )
    claim = claims.ClaimRow(claim_key(number), sku, place, pieces, 0, 0, 0, 0, "", now, 0, 1)
    claims.plan(tx, tenant_id, [claim], now, at_once=True)
    claims.save(tx, tenant_id, [claim])
    note(tx, tenant_id, now, by, "Pieces were held", f"sku:{sku}", hold=number, pieces=pieces, until=until_at)
    return held


def release(tx: Tx, tenant_id: int, hold_no: int, now: int, *, by: str) -> ManualHold:
    """End a hold before its time. Raises NotThere if it is over or never was."""
    rows = _find(tx, tenant_id, "hold_no = :no AND state = 'OPEN'", no=hold_no)
    if not rows:
        raise NotThere(f"Hold {hold_no} is not open. `oneshelf holds list` shows those that are.")
    return _end(tx, tenant_id, rows[0], "RELEASED", "released by hand", now, by)


def end_due(tx: Tx, tenant_id: int, now: int) -> list[ManualHold]:
    """End the holds whose time is over, and as many, the newest first, as stand against a sale. Returns them as they were."""
    if tx.one("SELECT 1 FROM manual_hold WHERE tenant_id = :t AND state = 'OPEN' LIMIT 1", t=tenant_id) is None:
        return []
    over = _find(tx, tenant_id, "state = 'OPEN' AND until_at <= :now", now=now)
    for held in over:
        _end(tx, tenant_id, held, "EXPIRED", "its time is over", now, "oneshelf")
    left = _find(tx, tenant_id, "state = 'OPEN'")
    short = {sku: -k for sku, k in available_of(tx, tenant_id, {held.sku for held in left}).items() if k < 0}
    for held in sorted(left, key=lambda one: -one.hold_no):
        if short.get(held.sku, 0) > 0:
            short[held.sku] -= held.pieces
            over.append(held)
            _end(tx, tenant_id, held, "GAVE_WAY", "sold meanwhile", now, "oneshelf")
    return over


def next_ends_at(tx: Tx, tenant_id: int) -> int | None:
    """When the time of the first open hold is over."""
    row = tx.one("SELECT MIN(until_at) FROM manual_hold WHERE tenant_id = :t AND state = 'OPEN'", t=tenant_id)
    return None if row is None else row[0]


def list_holds(tx: Tx, tenant_id: int, *, every: bool = False) -> list[ManualHold]:
    """Return the open holds, those that end first before the others; with `every` ended ones too."""
    return _find(tx, tenant_id, "1 = 1" if every else "state = 'OPEN'")


def claim_key(hold_no: int) -> str:
    """Return the key of a hold's claim on the hub."""
    return f"{_PREFIX}{hold_no}"


def held_at(tx: Tx, tenant_id: int, sku: str, location_id: str) -> int:
    """Return the pieces that are held by hand there now."""
    row = tx.one(
        "SELECT CAST(COALESCE(SUM(pieces), 0) AS BIGINT) FROM manual_hold "
        "WHERE tenant_id = :t AND state = 'OPEN' AND sku = :s AND location_id = :l",
        t=tenant_id,
        s=sku,
        l=location_id,
    )
    return 0 if row is None else int(row[0])


def _find(tx: Tx, tenant_id: int, where: str, **values: int) -> list[ManualHold]:
    rows: Iterable[tuple[object, ...]] = tx.all(
        f"SELECT {_COLUMNS} FROM manual_hold WHERE tenant_id = :t AND {where} ORDER BY until_at, hold_no",
        t=tenant_id,
        **values,
    )
    return [ManualHold(*row) for row in rows]  # type: ignore[arg-type]


def _end(tx: Tx, tenant_id: int, held: ManualHold, state: str, why: str, now: int, by: str) -> ManualHold:
    tx.run(
        "UPDATE manual_hold SET state = :s, ended_at = :now WHERE tenant_id = :t AND hold_no = :no",
        s=state,
        now=now,
        t=tenant_id,
        no=held.hold_no,
    )
    key = claim_key(held.hold_no)
    ledger.post(tx, tenant_id, [_entry(held, -held.pieces, f"{key}:end", why)], now)
    dirty.mark(tx, tenant_id, [held.sku], now, why)
    for claim in claims.load(tx, tenant_id, [key]).values():
        claim.want = 0
        claims.plan(tx, tenant_id, [claim], now, at_once=True)
        claims.save(tx, tenant_id, [claim])
    note(tx, tenant_id, now, by, "A hold ended", f"sku:{held.sku}", hold=held.hold_no, pieces=held.pieces, why=why)
    return msgspec.structs.replace(held, state=state, ended_at=now)


def _entry(held: ManualHold, pieces: int, key: str, why: str) -> Entry:
    source = f"hold {held.hold_no}"
    return Entry(key=key, sku=held.sku, location_id=held.location_id, reason=why, reserved=pieces, source=source)
