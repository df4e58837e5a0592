"""Pieces of a claim that its location has not, held where the hub has them (SEMANTICS 9.5, ADR 0027).

In: claims whose hold the hub refused; what it has at its other locations. Out: claims of their own there, one a location, and their holds.
Tables: writes claim, intent; reads stock_level, hub_level, location. Never: moves an entry of the ledger; spreads what a person holds at a
place that he named, or a strict SKU's share.

An order stands at one location and is held there. What that location has not, the web shop would sell from another until the order is
imported: its numbers are each location's. So the rest is held where pieces lie that no order there is owed, and given back when the
order's own location has them, or the import took them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from oneshelf.core.instants import SECOND
from oneshelf.db.tx import Tx
from oneshelf.stock.levels import locations_in_scope

from . import claims
from .claims import NOT_THERE, ClaimRow
from .rows import LineRow

PREFIX = "elsewhere:"
#: A location that refused is asked again after so long: its level was read by then.
ASK_AGAIN_S = 60

#: Pieces at a level `h` of the hub (with ours, `s`) that no order is owed there: K, and what orders that stand there have held at other
#: locations, less what is held there, or asked for, of orders that stand at others.
_FREE = f"""(s.on_hand - s.committed - s.reserved - s.unavailable + COALESCE((
    SELECT SUM(CASE WHEN e.location_id <> h.location_id THEN e.held WHEN e.claim_key LIKE '{PREFIX}%' THEN -e.want ELSE -e.held END)
      FROM claim e LEFT JOIN order_line l ON l.tenant_id = e.tenant_id AND l.order_no = e.order_no AND l.line_id = e.line_id AND l.sku = e.sku
     WHERE e.tenant_id = h.tenant_id AND e.sku = h.sku AND e.open = 1
       AND (e.location_id = h.location_id OR l.location_id = h.location_id)
       AND CASE WHEN l.location_id IS NULL THEN e.claim_key LIKE '{PREFIX}%' ELSE l.location_id <> e.location_id END), 0))"""
_LEVELS = """hub_level h JOIN stock_level s ON s.tenant_id = h.tenant_id AND s.sku = h.sku AND s.location_id = h.location_id"""
_STANDS_ELSEWHERE = """EXISTS (SELECT 1 FROM order_line l WHERE l.tenant_id = c.tenant_id AND l.order_no = c.order_no AND l.line_id = c.line_id
                     AND l.sku = c.sku AND l.location_id NOT IN ('', c.location_id))"""

#: Whether a claim `c` needs `spread`: more is held elsewhere than it lacks; or it was refused and its line has come to stand elsewhere; or
#: it lacks more and some other location has a piece that no order is owed there. A shop of one location has none such, and pays for this
#: with no read of its own.
IS_DUE = f"""(
    c.elsewhere > CASE WHEN c.want > c.held + c.imported THEN c.want - c.held - c.imported ELSE 0 END
    OR (c.refused = {NOT_THERE} AND c.held = 0 AND c.want > c.imported AND c.claim_key NOT LIKE '{PREFIX}%' AND {_STANDS_ELSEWHERE})
    OR (c.refused = {NOT_THERE} AND c.want - c.held - c.imported > c.elsewhere
        AND c.claim_key NOT LIKE 'strict:%' AND c.claim_key NOT LIKE 'manual:%'
        AND EXISTS (SELECT 1 FROM {_LEVELS} WHERE h.tenant_id = c.tenant_id AND h.sku = c.sku AND h.location_id <> c.location_id
                       AND h.available > 0 AND {_FREE} > 0)))"""


def key_of(claim_key: str, location_id: str) -> str:
    """Return the key of what is held of a claim at another location."""
    return f"{PREFIX}{claim_key}:{location_id}"


def owner_of(claim_key: str, location_id: str) -> str:
    """Return the key of the claim for which this one holds pieces at a location; '' if it holds them for itself.

    >>> owner_of("elsewhere:2/A-1/1/MUG:L2", "L2"), owner_of("2/A-1/1/MUG", "L1")
    ('2/A-1/1/MUG', '')
    """
    return claim_key[len(PREFIX) : -len(location_id) - 1] if claim_key.startswith(PREFIX) else ""


def spread(tx: Tx, tenant_id: int, due: Iterable[ClaimRow], now: int) -> None:
    """Bring what is held elsewhere to what claims lack at their own location. `due`: claims of which `IS_DUE` holds."""
    keys = {owner_of(claim.claim_key, claim.location_id) or claim.claim_key for claim in due}
    owners = claims.load(tx, tenant_id, sorted(keys))
    if not owners:
        return
    places = locations_in_scope(tx, tenant_id)
    moved = _follow_lines(tx, tenant_id, owners)
    rows = claims.load(tx, tenant_id, [key_of(key, place) for key in owners for place in places])
    was = {claim.claim_key: msgspec.structs.replace(claim) for claim in (*owners.values(), *rows.values())}
    free = _free(tx, tenant_id, sorted({owner.sku for owner in owners.values()}))
    changed: list[ClaimRow] = []
    away: set[str] = set()
    for key, owner in owners.items():
        mine = {place: row for place in places if (row := rows.get(key_of(key, place))) is not None}
        lacks = owner.lacks - _keep(mine, owner.lacks, free)
        if lacks and owner.refused == NOT_THERE:
            _place(owner, mine, lacks, free, now)
        owner.elsewhere = sum(row.want for row in mine.values())
        away |= {row.claim_key for row in mine.values()}
        changed += [claim for claim in (owner, *mine.values()) if claim != was.get(claim.claim_key)]
    claims.plan(tx, tenant_id, [claim for claim in changed if claim.claim_key in away], now, at_once=True)
    claims.save(tx, tenant_id, {claim.claim_key: claim for claim in (*changed, *moved)}.values())
    asked = [row for row in changed if row.claim_key in away and row.since_at == now]
    tx.many(  # when it was asked for: saving a claim leaves that as it was
        "UPDATE claim SET since_at = ? WHERE tenant_id = ? AND claim_key = ? AND sku = ?",
        [(now, tenant_id, row.claim_key, row.sku) for row in asked],
    )


def _follow_lines(tx: Tx, tenant_id: int, owners: Mapping[str, ClaimRow]) -> list[ClaimRow]:
    """Let claims that were refused lie where their lines stand by now: a hold was on its way when they moved. Returns those."""
    refused = {key: owner for key, owner in owners.items() if owner.refused == NOT_THERE and owner.order_no}
    if not refused:
        return []
    stands = {
        (order_no, line_id, sku): place
        for order_no, line_id, sku, place in tx.all(
            "SELECT order_no, line_id, sku, location_id FROM order_line WHERE tenant_id = :t AND order_no {in:nos}",
            t=tenant_id,
            nos=sorted({owner.order_no for owner in refused.values()}),
        )
    }
    moved = []
    for owner in refused.values():
        place = stands.get((owner.order_no, owner.line_id, owner.sku), "")
        if place not in ("", owner.location_id) and claims.may_move(tx, tenant_id, owner):
            come_to_stand(tx, tenant_id, owner, place)
            moved.append(owner)
    return moved


def _keep(mine: dict[str, ClaimRow], lacks: int, free: dict[tuple[str, str], int]) -> int:
    """Let go what is not lacked any more; return how many pieces of `lacks` stay where they are held or asked for."""
    kept = 0
    for place, row in mine.items():
        # What the hub had not there is not wanted there; what a person gave back there is not held again at a third place.
        want = min(row.held if row.refused == NOT_THERE else row.want, lacks - kept)
        free[row.sku, place] = free.get((row.sku, place), 0) + row.want - want
        row.want = want
        kept += want
    return kept


def _place(owner: ClaimRow, mine: dict[str, ClaimRow], lacks: int, free: dict[tuple[str, str], int], now: int) -> None:
    """Ask for `lacks` pieces where most are free, and go on where the next most are."""
    there = {place: pieces for (sku, place), pieces in free.items() if sku == owner.sku and place != owner.location_id}
    for place in sorted(there, key=lambda place: (-there[place], place)):
        row = mine.get(place)
        pieces = min(lacks, there[place])
        if pieces <= 0 or (row is not None and row.refused and not _may_ask_again(row, now)):
            continue
        if row is None:
            row = mine[place] = _new(owner, place, now)
        row.refused = 0
        row.want += pieces
        row.since_at = now
        free[owner.sku, place] -= pieces
        lacks -= pieces


def _may_ask_again(row: ClaimRow, now: int) -> bool:
    """Whether a location that had no pieces may be asked once more: what it had was read since. Not where a person gave them back."""
    return row.refused == NOT_THERE and now - row.since_at >= ASK_AGAIN_S * SECOND


def _free(tx: Tx, tenant_id: int, skus: Sequence[str]) -> dict[tuple[str, str], int]:
    """Return the pieces by (SKU, location in scope) that no order is owed there, of those that the hub had on sale when it was last read."""
    scope = set(locations_in_scope(tx, tenant_id))
    rows = tx.all(
        f"SELECT h.sku, h.location_id, h.available, CAST({_FREE} AS BIGINT) FROM {_LEVELS} WHERE h.tenant_id = :t AND h.sku {{in:skus}}",
        t=tenant_id,
        skus=skus,
    )
    return {(sku, place): min(on_sale, free) for sku, place, on_sale, free in rows if place in scope}


def come_to_stand(tx: Tx, tenant_id: int, claim: ClaimRow, location_id: str) -> None:
    """The order of a claim that has nothing held at its own location stands at this one now: what is held for it here becomes its own, and
    what the old one had not, this one may have. Saving the claim is the caller's."""
    claim.location_id = location_id
    claim.refused = 0
    if not claim.elsewhere:
        return
    for row in claims.load(tx, tenant_id, [key_of(claim.claim_key, location_id)]).values():
        claim.held += row.held
        claim.elsewhere -= row.want
        row.held = row.want = 0
        claims.save(tx, tenant_id, [row])


def load_whole(tx: Tx, tenant_id: int, claim_key: str, sku: str) -> tuple[ClaimRow | None, list[ClaimRow]]:
    """Return a claim (None: there is none) and what is held for it elsewhere, in one read."""
    found = claims.load_where(
        tx,
        tenant_id,
        f"claim_key = :k OR (sku = :s AND open = 1 AND claim_key LIKE '{PREFIX}%')",
        k=claim_key,
        s=sku,
    )
    away = [row for key, row in found.items() if owner_of(key, row.location_id) == claim_key]
    return found.get(claim_key), away


def pass_on(
    tx: Tx,
    tenant_id: int,
    claim: ClaimRow,
    away: Sequence[ClaimRow],
    line: LineRow,
    lies_at: str,
    pieces: int,
    now: int,
) -> int:
    """A suspected sale is a line's now: what is held for it, at most `pieces`, goes over to the line where it lies. Given back and held
    again, it would be on sale in between. `claim`, `away`: the suspicion's; they are changed, saving the claim is the caller's.

    Returns how many of them lie where the line itself is held (`lies_at`): these are the caller's to hand over.
    """
    surplus = claim.held + sum(row.held for row in away) - claim.want
    parts: list[tuple[ClaimRow, int]] = []
    for source in sorted((claim, *away), key=lambda source: source.location_id != lies_at):
        part = max(0, min(source.held, pieces, surplus))
        pieces, surplus = pieces - part, surplus - part
        source.held -= part
        if source is not claim:
            was, source.want = source.want, max(0, source.want - part)
            claim.elsewhere -= was - source.want
        if part:
            parts.append((source, part))
    if away:
        claims.save(tx, tenant_id, away)
    there = 0
    apart: dict[str, int] = {}
    for source, part in parts:
        if source.location_id == lies_at:
            there += part
        else:
            apart[source.location_id] = apart.get(source.location_id, 0) + part
    if apart:
        _take_over(tx, tenant_id, line, apart, now)
    return there


def _take_over(tx: Tx, tenant_id: int, line: LineRow, held: dict[str, int], now: int) -> None:
    """Let what is held at these locations, pieces by location, be held for this line."""
    own = claims.load(tx, tenant_id, [line.key, *(key_of(line.key, place) for place in held)])
    heir = own.get(line.key) or ClaimRow(
        line.key, line.sku, line.location_id, 0, 0, 0, 0, line.order_no, line.line_id, now, 0, 1
    )
    touched = [heir]
    for place, pieces in held.items():
        row = own.get(key_of(line.key, place)) or _new(heir, place, now)
        row.want += pieces
        row.held += pieces
        heir.elsewhere += pieces
        touched.append(row)
    claims.save(tx, tenant_id, touched)


def _new(owner: ClaimRow, place: str, now: int) -> ClaimRow:
    key = key_of(owner.claim_key, place)
    return ClaimRow(key, owner.sku, place, 0, 0, 0, 0, owner.order_no, owner.line_id, now, 0, 1)
