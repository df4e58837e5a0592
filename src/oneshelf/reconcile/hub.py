"""Reads of the hub's levels, judged (SEMANTICS 0.3 to 0.5, 9.2, 9.3, 9.5).

An unexplained difference at the hub is always the merchant's: he works there. A lower read may be a web sale whose order has not
arrived: it is reserved at once and judged when the order feed is complete. A higher one waits for the feed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from oneshelf.channels.contract import HubLevel
from oneshelf.core import hub as rules
from oneshelf.core.instants import SECOND, to_us
from oneshelf.core.stock import Entry, Level
from oneshelf.db.journal import note, open_task
from oneshelf.db.tx import Tx
from oneshelf.imports import adopting
from oneshelf.listings import dirty
from oneshelf.orders import claims, covering, intents, provisional
from oneshelf.orders.accounts import Account
from oneshelf.orders.provisional import HUB_OUTLET, Provisional
from oneshelf.stock import ledger
from oneshelf.stock.levels import levels_of

from .expectation import claimed_at, expected, in_flight, remember, skus_of

#: Items one read call asks for at most: with a handful of locations each it stays within one query's cost.
ITEMS_A_READ = 50


class Read(msgspec.Struct, frozen=True):
    """One read of the hub. Whatever was in flight between asking and answering may or may not be in it.

    `asked_at`: by our clock, as our calls are; the levels' `read_at`: by the shop's, as its orders are.
    """

    levels: Sequence[HubLevel]
    asked_at: int
    read_id: str


class Told(msgspec.Struct):
    """What judging did: whether the order feed should be polled at once, and how many numbers were echoes or odd."""

    poll_hub: bool = False
    echoes: int = 0
    odd: int = 0
    edits: int = 0


def wanted_items(tx: Tx, tenant_id: int, limit: int = ITEMS_A_READ) -> list[str]:
    """Return the item ids that somebody wants read."""
    rows = tx.all(
        """SELECT i.item_id FROM hub_level h JOIN item i ON i.tenant_id = h.tenant_id AND i.sku = h.sku
            WHERE h.tenant_id = :t AND h.wanted = 1 AND i.item_id <> '' GROUP BY i.item_id ORDER BY MIN(h.read_at) LIMIT :limit""",
        t=tenant_id,
        limit=limit,
    )
    return [item_id for (item_id,) in rows]


def judge_read(tx: Tx, tenant_id: int, hub: Account, read: Read, now: int) -> Told:
    """Judge one read of some items at all their locations. Posts edits as facts; reserves what may be an unheard sale."""
    told = Told()
    skus = skus_of(tx, tenant_id, read.levels)
    by_sku: dict[str, list[HubLevel]] = {}
    for level in read.levels:
        if (sku := skus.get(level.item_id)) is not None:
            by_sku.setdefault(sku, []).append(level)
    known = levels_of(tx, tenant_id, by_sku)
    through = _complete_through(tx, tenant_id, hub)
    moved: set[str] = set()
    for sku, levels in by_sku.items():
        if _judge_sku(tx, tenant_id, hub, sku, levels, known, read, through, now, told):
            moved.add(sku)
    dirty.mark(tx, tenant_id, moved, now, "an edit in Shopify")
    covering.recompute(tx, tenant_id, moved, now)
    return told


def _judge_sku(
    tx: Tx,
    tenant_id: int,
    hub: Account,
    sku: str,
    levels: Sequence[HubLevel],
    known: dict[tuple[str, str], Level],
    read: Read,
    through: int,
    now: int,
    told: Told,
) -> bool:
    offs: dict[str, int] = {}
    unsure = False
    standing = _hub_provisionals(tx, tenant_id, sku)
    suspected: list[Provisional] = []
    entries: list[Entry] = []
    for level in levels:
        ours = known.setdefault((sku, level.location_id), Level())
        may_show, moves_in_flight = in_flight(tx, tenant_id, hub, sku, level.location_id, read.asked_at)
        restored = adopting.is_first_read(tx, tenant_id, sku, level.location_id)
        if not moves_in_flight:
            _holds_undone(tx, tenant_id, sku, level, now, by_us=restored)
            claims.ask_again(tx, tenant_id, [(sku, level.location_id, level.available)])
        held, _ = claimed_at(tx, tenant_id, sku, level.location_id)
        for entry in _posted_as_read(sku, level, ours, held, moves_in_flight, read.read_id, restored):
            entries.append(entry)
            ours.add(entry)
        value = expected(tx, tenant_id, hub, sku, level.location_id, ours)
        # What was held or given back since a backup is known from the first read that no call of ours crosses: until then it may be that
        # which differs.
        is_known = not (restored and moves_in_flight)
        verdict = rules.judge(level.available, value, may_show) if is_known else None
        remember(tx, tenant_id, sku, level, value, wanted=verdict is None or bool(may_show), known=is_known)
        unsure |= verdict is None or bool(may_show)
        if verdict is None:
            continue
        offs[level.location_id] = verdict.off
        if verdict.off == 0:
            told.echoes += 1
            if verdict.settled:
                # The feed is complete through their reads: no order has used them.
                suspected += [p for p in standing if p.location_id == level.location_id and _is_due(p, through, hub)]
                _clear_odd(tx, tenant_id, sku, level.location_id)
    several = len(levels) > 1
    lies = {level.location_id: level.on_hand - known[(sku, level.location_id)].on_hand for level in levels}
    apart = _apart(offs, standing, suspected, lies) if several and len(offs) == len(levels) and not unsure else None
    # Of several locations what one has more may be what another misses: it is counted first.
    if apart is None and not (several and (unsure or any(off > 0 for off in offs.values()))):
        entries += _edits_that_were_reserved(tx, tenant_id, sku, suspected, now, told)
    ledger.post(tx, tenant_id, entries, now)
    changed = bool(entries)
    if any(offs.values()):
        told.odd += 1
    if apart is not None:
        changed |= _judge_apart(tx, tenant_id, hub, sku, levels, offs, apart, suspected, read, through, now, told)
    elif any(offs.values()):
        missing = several and _is_missing(offs, standing, through, hub)
        changed |= _judge_offs(tx, tenant_id, hub, sku, levels, offs, unsure, missing, read, through, now, told)
    return changed


def _holds_undone(tx: Tx, tenant_id: int, sku: str, level: HubLevel, now: int, *, by_us: bool) -> None:
    """The hub has fewer pieces reserved than we hold there: somebody gave holds back by hand. They are no claim any more.

    They are not held again against him; the newest go first. `by_us`: it was we, before a backup was put back: what is still owed a hold is held.
    """
    held, _ = claimed_at(tx, tenant_id, sku, level.location_id)
    undone = held - level.reserved
    if undone <= 0:
        return
    rows = tx.all(
        "SELECT claim_key FROM claim WHERE tenant_id = :t AND sku = :s AND location_id = :l AND open = 1 AND held > 0 "
        "ORDER BY since_at DESC, claim_key DESC",
        t=tenant_id,
        s=sku,
        l=level.location_id,
    )
    found = claims.load(tx, tenant_id, [key for (key,) in rows])
    for (key,) in rows:
        part = min(undone, found[key].held)
        found[key].held -= part
        found[key].refused = claims.GIVEN_BACK if part and not by_us else found[key].refused
        undone -= part
    if by_us:
        claims.plan(tx, tenant_id, found.values(), now, at_once=True)
    claims.save(tx, tenant_id, found.values())
    if by_us:
        return
    note(
        tx,
        tenant_id,
        now,
        "merchant",
        "Held pieces were given back in Shopify",
        f"sku:{sku}",
        pieces=held - level.reserved,
    )


def _judge_offs(
    tx: Tx,
    tenant_id: int,
    hub: Account,
    sku: str,
    levels: Sequence[HubLevel],
    offs: dict[str, int],
    unsure: bool,
    missing: bool,
    read: Read,
    through: int,
    now: int,
    told: Told,
) -> bool:
    """The differences of one SKU, each location's by itself. What is more is not counted yet while a call in flight may hide that pieces
    were taken off, or carried from another location (`unsure`), or while it may be what another location misses (`missing`)."""
    changed = False
    for level in levels:
        off = offs.get(level.location_id, 0)
        if off == 0:
            continue
        if off < 0:
            provisional.hold_unseen_at_hub(
                tx,
                tenant_id,
                account_id=hub.account_id,
                sku=sku,
                location_id=level.location_id,
                pieces=-off,
                read_at=to_us(level.read_at),
                read_id=read.read_id,
                now=now,
            )
            told.poll_hub = True
            changed = True
            continue
        read_at = to_us(level.read_at)
        if unsure:
            _odd_since(tx, tenant_id, sku, level.location_id, off, read_at)
            told.poll_hub = True
            continue
        off -= _give_back(tx, tenant_id, sku, level.location_id, off, now)
        if off == 0:
            changed = True
            continue
        odd_since = _odd_since(tx, tenant_id, sku, level.location_id, off, read_at)
        if not missing and through >= odd_since + hub.skew_s * SECOND and read_at > odd_since:
            _post_edit(tx, tenant_id, sku, level.location_id, off, read.read_id, "counted in Shopify", now)
            _clear_odd(tx, tenant_id, sku, level.location_id)
            told.edits += 1
            changed = True
        else:
            told.poll_hub = True
    return changed


def _is_missing(offs: Mapping[str, int], standing: Iterable[Provisional], through: int, hub: Account) -> bool:
    """Whether a location shows fewer, or has something reserved on suspicion that it does not show again and that is not judged yet."""
    young: Counter[str] = Counter()
    for prov in standing:
        young[prov.location_id] += 0 if _is_due(prov, through, hub) else prov.pieces
    return any(off < 0 for off in offs.values()) or any(n > max(0, offs.get(place, 0)) for place, n in young.items())


def _apart(
    offs: Mapping[str, int],
    standing: Iterable[Provisional],
    suspected: Iterable[Provisional],
    lies: Mapping[str, int],
) -> dict[str, rules.Apart] | None:
    """Whether the differences of a SKU go together (ADR 0026). `standing`: all that is reserved on suspicion; `suspected`: those of it that no
    order has used."""
    # One that gives back what was reserved on suspicion: the sale that we suspect stands elsewhere now, and stays reserved there.
    if any(offs.get(prov.location_id, 0) > 0 for prov in standing):
        return None
    held = Counter[str]()
    for prov in suspected:
        held[prov.location_id] += prov.pieces
    return rules.apart(offs, held, lies)


def _judge_apart(
    tx: Tx,
    tenant_id: int,
    hub: Account,
    sku: str,
    levels: Sequence[HubLevel],
    offs: Mapping[str, int],
    apart: Mapping[str, rules.Apart],
    suspected: Sequence[Provisional],
    read: Read,
    through: int,
    now: int,
    told: Told,
) -> bool:
    """Differences that fit together are posted when the feed has nothing more to say, all locations at once."""
    read_at = max(to_us(level.read_at) for level in levels)
    since = max(
        (_odd_since(tx, tenant_id, sku, place, off, read_at) for place, off in offs.items() if off),
        default=max((prov.read_at for prov in suspected), default=read_at),
    )
    if through < since + hub.skew_s * SECOND or read_at <= since:
        told.poll_hub = True
        return False
    for prov in suspected:
        provisional.release(tx, tenant_id, prov, prov.pieces, "no order came", now)
    counted = sum(one.on_hand for one in apart.values())
    entries = []
    for place, one in apart.items():
        if one.on_hand:
            reason = "counted in Shopify" if counted else "moved in Shopify"
            _post_edit(tx, tenant_id, sku, place, one.on_hand, read.read_id, reason, now)
            told.edits += 1
        if one.committed:
            entries.append(
                Entry(
                    key=f"edit:{sku}:{place}:{read.read_id}:committed",
                    sku=sku,
                    location_id=place,
                    reason="served from another location, by Shopify's levels",
                    committed=one.committed,
                    source="Shopify",
                )
            )
        _clear_odd(tx, tenant_id, sku, place)
    ledger.post(tx, tenant_id, entries, now)
    return True


def _post_edit(
    tx: Tx, tenant_id: int, sku: str, location_id: str, pieces: int, read_id: str, reason: str, now: int
) -> None:
    entry = Entry(
        key=f"edit:{sku}:{location_id}:{read_id}",
        sku=sku,
        location_id=location_id,
        reason=reason,
        on_hand=pieces,
        source="Shopify",
    )
    ledger.post(tx, tenant_id, [entry], now)
    note(
        tx, tenant_id, now, "merchant", "Stock was edited in Shopify", f"sku:{sku}", pieces=pieces, location=location_id
    )


def _posted_as_read(
    sku: str, level: HubLevel, ours: Level, held: int, moves_in_flight: bool, read_id: str, restored: bool
) -> list[Entry]:
    """S0.3: unavailable, incoming and what the hub reserves for itself are never sales; they post as read."""
    entries = []
    where: dict[str, Any] = {"sku": sku, "location_id": level.location_id, "source": "Shopify"}
    if level.unavailable != ours.unavailable:
        entries.append(
            Entry(
                key=f"edit:{sku}:{level.location_id}:{read_id}:unavailable",
                reason="set apart in Shopify",
                unavailable=level.unavailable - ours.unavailable,
                **where,
            )
        )
    if level.incoming != ours.incoming:
        entries.append(
            Entry(
                key=f"edit:{sku}:{level.location_id}:{read_id}:incoming",
                reason="on its way, by Shopify",
                incoming=level.incoming - ours.incoming,
                **where,
            )
        )
    foreign = level.reserved - held
    if not moves_in_flight and foreign != ours.foreign_reserved:
        change = foreign - ours.foreign_reserved
        entries.append(
            Entry(
                key=f"edit:{sku}:{level.location_id}:{read_id}:reserved",
                reason=adopting.SINCE_BACKUP if restored else "reserved in Shopify",
                reserved=change,
                foreign_reserved=change,
                **where,
            )
        )
    return entries


def _is_due(prov: Provisional, through: int, hub: Account) -> bool:
    return prov.read_at + hub.skew_s * SECOND <= through


def _edits_that_were_reserved(
    tx: Tx, tenant_id: int, sku: str, suspected: Sequence[Provisional], now: int, told: Told
) -> list[Entry]:
    """S9.2 at the hub: no order used these reservations: the merchant took the pieces away."""
    entries: list[Entry] = []
    for prov in suspected:
        pieces = prov.pieces
        provisional.release(tx, tenant_id, prov, pieces, "no order came: edited in Shopify", now)
        entries.append(
            Entry(
                key=f"edit:{prov.prov_id}",
                sku=sku,
                location_id=prov.location_id,
                reason="taken off in Shopify",
                on_hand=-pieces,
                source="Shopify",
            )
        )
        note(tx, tenant_id, now, "merchant", "Stock was edited in Shopify", f"sku:{sku}", pieces=-pieces)
        told.edits += 1
    return entries


def _hub_provisionals(tx: Tx, tenant_id: int, sku: str) -> list[Provisional]:
    """What is reserved on suspicion at the hub."""
    return provisional.open_for(tx, tenant_id, [HUB_OUTLET], [sku])


def _give_back(tx: Tx, tenant_id: int, sku: str, location_id: str, pieces: int, now: int) -> int:
    """The hub shows more than explained: first what we had reserved there on suspicion is given back."""
    given = 0
    for prov in (one for one in _hub_provisionals(tx, tenant_id, sku) if one.location_id == location_id):
        part = min(pieces - given, prov.pieces)
        if part > 0:
            provisional.release(tx, tenant_id, prov, part, "the shop shows it again", now)
            given += part
    return given


def _complete_through(tx: Tx, tenant_id: int, hub: Account) -> int:
    """How far the hub's order feed is complete *and booked*; 0 while anything of it waits."""
    row = tx.one(
        """SELECT complete_through_at FROM feed f WHERE tenant_id = :t AND account_id = :a AND name = 'orders'
              AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.tenant_id = f.tenant_id AND i.state = 'NEW' AND i.account_id = f.account_id)
              AND NOT EXISTS (SELECT 1 FROM intent n WHERE n.tenant_id = f.tenant_id AND n.kind = 'fetch_order'
                              AND n.entity LIKE CAST(:a AS TEXT) || '/%' AND n.not_found < :most
                              AND n.state IN ('WAITING', 'SENDING', 'UNKNOWN'))""",
        t=tenant_id,
        most=intents.NOT_KNOWN_MAX,
        a=hub.account_id,
    )
    return 0 if row is None or row[0] is None else int(row[0])


def _odd_since(tx: Tx, tenant_id: int, sku: str, location_id: str, off: int, read_at: int) -> int:
    """Return since when this very difference is seen; another difference begins anew."""
    row = tx.one(
        "UPDATE hub_level SET odd_since = CASE WHEN odd = :off AND odd_since IS NOT NULL THEN odd_since ELSE :at END, odd = :off "
        "WHERE tenant_id = :t AND sku = :s AND location_id = :l RETURNING odd_since",
        off=off,
        at=read_at,
        t=tenant_id,
        s=sku,
        l=location_id,
    )
    return read_at if row is None else int(row[0])


def _clear_odd(tx: Tx, tenant_id: int, sku: str, location_id: str) -> None:
    tx.run(
        "UPDATE hub_level SET odd = 0, odd_since = NULL WHERE tenant_id = :t AND sku = :s AND location_id = :l AND odd_since IS NOT NULL",
        t=tenant_id,
        s=sku,
        l=location_id,
    )


def want_due_reads(tx: Tx, tenant_id: int, hub: Account) -> int:
    """Ask for the reads that can now be judged: differences and reservations that the feed is complete through."""
    through = _complete_through(tx, tenant_id, hub) - hub.skew_s * SECOND
    return tx.run(
        """UPDATE hub_level SET wanted = 1 WHERE tenant_id = :t AND wanted = 0 AND (
               (odd_since IS NOT NULL AND odd_since <= :through)
               OR EXISTS (SELECT 1 FROM provisional p WHERE p.tenant_id = hub_level.tenant_id AND p.sku = hub_level.sku
                          AND p.location_id = hub_level.location_id AND p.outlet_id = 0 AND p.state = 'OPEN' AND p.read_at <= :through))""",
        t=tenant_id,
        through=through,
    )


def give_up_reading(tx: Tx, tenant_id: int, item_ids: Iterable[str], now: int) -> None:
    """The hub no longer knows these items: stop asking, and tell a person (FC-E06)."""
    for sku, item_id in tx.all(
        "SELECT sku, item_id FROM item WHERE tenant_id = :t AND item_id {in:ids}", t=tenant_id, ids=sorted(item_ids)
    ):
        tx.run("UPDATE hub_level SET wanted = 0 WHERE tenant_id = :t AND sku = :s", t=tenant_id, s=sku)
        open_task(
            tx, tenant_id, now, "gone_from_hub", sku, f"Say what {sku} is now", f"Shopify no longer knows {item_id}"
        )


def compare_export(tx: Tx, tenant_id: int, hub: Account, levels: Sequence[HubLevel], asked_at: int) -> int:
    """S4.6: a bulk export is a hint. Every level that differs from what we expect is wanted for a read of its own; returns how many."""
    skus = skus_of(tx, tenant_id, levels)
    known = levels_of(tx, tenant_id, set(skus.values()))
    wanted = []
    for level in levels:
        sku = skus.get(level.item_id)
        if sku is None:
            continue
        ours = known.get((sku, level.location_id), Level())
        value = expected(tx, tenant_id, hub, sku, level.location_id, ours)
        if level.available != value or level.unavailable != ours.unavailable:
            wanted.append((tenant_id, sku, level.location_id))
    tx.many(
        """INSERT INTO hub_level (tenant_id, sku, location_id, read_at, wanted) VALUES (?, ?, ?, 0, 1)
           ON CONFLICT (tenant_id, sku, location_id) DO UPDATE SET wanted = 1""",
        wanted,
    )
    return len(wanted)
