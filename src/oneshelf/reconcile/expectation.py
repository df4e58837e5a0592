"""What the hub ought to show, and what it last showed (SEMANTICS 9.5).

In: levels, claims, calls and sales under way. Out: the expected `available`, and what a read may or may not show beside it.
Tables: reads claim, order_line, provisional, intent, ledger_entry; writes hub_level.
Never: judges; posts an entry.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from oneshelf.channels.contract import HubLevel
from oneshelf.core import hub as rules
from oneshelf.core.instants import SECOND, to_us
from oneshelf.core.stock import Level
from oneshelf.db.tx import Tx
from oneshelf.imports.moves import BATCH_KIND
from oneshelf.orders import claims
from oneshelf.orders.accounts import Account
from oneshelf.orders.manual_holds import held_at
from oneshelf.orders.routing import MOVE
from oneshelf.stock.levels import levels_of

#: The call that makes a copy: from which location the hub serves it is the hub's own choice (ADR 0017).
IMPORT = "import"
#: Calls whose effect our numbers take over when they are answered.
_TAKEN_OVER = (BATCH_KIND, IMPORT, "count", MOVE)
#: Calls whose effect comes back as the copy's own news, some time after the answer.
_COMES_BACK = ("cancel_copy", "remove")
#: Longer than this its news is not waited for, seconds: polls bring it within minutes.
COMES_BACK_S_MAX = 3_600
#: How many of a SKU's newest entries are looked at for sales that were booked while a read was on its way.
_ENTRIES_LOOKED_AT = 100


def skus_of(tx: Tx, tenant_id: int, levels: Sequence[HubLevel]) -> dict[str, str]:
    """Return {item id: SKU} of the tracked items among these levels."""
    rows = tx.all(
        "SELECT item_id, sku FROM item WHERE tenant_id = :t AND item_id {in:ids} AND tracked = 1",
        t=tenant_id,
        ids=sorted({level.item_id for level in levels}),
    )
    return {item_id: sku for item_id, sku in rows}


def expected_at(tx: Tx, tenant_id: int, hub: Account, sku: str, location_id: str) -> int:
    """Return what the hub ought to show there as `available` when no call is in flight (S9.5)."""
    ours = levels_of(tx, tenant_id, [sku]).get((sku, location_id), Level())
    return expected(tx, tenant_id, hub, sku, location_id, ours)


def expected(tx: Tx, tenant_id: int, hub: Account, sku: str, location_id: str, ours: Level) -> int:
    """The same, with the level in hand."""
    _, claimed = claimed_at(tx, tenant_id, sku, location_id)
    return rules.expected(ours.available, _counted(tx, tenant_id, hub, sku, location_id), claimed)


def claimed_at(tx: Tx, tenant_id: int, sku: str, location_id: str) -> tuple[int, int]:
    """Return (held, held + imported). Held pieces lie where they were held; imported ones where their line stands (S5.7)."""
    held = tx.one(
        "SELECT CAST(COALESCE(SUM(held), 0) AS BIGINT) FROM claim WHERE tenant_id = :t AND sku = :s AND location_id = :l AND open = 1",
        t=tenant_id,
        s=sku,
        l=location_id,
    )
    assert held is not None
    return int(held[0]), int(held[0]) + imported_at(tx, tenant_id, sku, location_id)


def imported_at(tx: Tx, tenant_id: int, sku: str, location_id: str) -> int:
    """Return the pieces of hub copies that are still open there."""
    row = tx.one(
        """SELECT CAST(COALESCE(SUM(c.imported), 0) AS BIGINT) FROM claim c
             JOIN order_line l ON l.tenant_id = c.tenant_id AND l.order_no = c.order_no AND l.line_id = c.line_id AND l.sku = c.sku
            WHERE c.tenant_id = :t AND c.sku = :s AND c.open = 1 AND c.imported > 0 AND l.location_id = :l""",
        t=tenant_id,
        s=sku,
        l=location_id,
    )
    assert row is not None
    return int(row[0])


def _counted(tx: Tx, tenant_id: int, hub: Account, sku: str, location_id: str) -> int:
    """Pieces in K_l's reserved and committed that the hub doesn't take by itself."""
    lines = tx.one(
        "SELECT CAST(COALESCE(SUM(reserved + committed), 0) AS BIGINT) FROM order_line "
        "WHERE tenant_id = :t AND sku = :s AND location_id = :l AND account_id <> :hub AND state NOT IN ('C', 'U')",
        t=tenant_id,
        s=sku,
        l=location_id,
        hub=hub.account_id,
    )
    unseen = tx.one(
        "SELECT CAST(COALESCE(SUM(pieces), 0) AS BIGINT) FROM provisional "
        "WHERE tenant_id = :t AND sku = :s AND location_id = :l AND state = 'OPEN' AND outlet_id <> 0",
        t=tenant_id,
        s=sku,
        l=location_id,
    )
    assert lines is not None and unseen is not None
    return int(lines[0]) + int(unseen[0]) + held_at(tx, tenant_id, sku, location_id)


def in_flight(
    tx: Tx, tenant_id: int, hub: Account, sku: str, location_id: str, asked_at: int
) -> tuple[list[int], bool]:
    """Return the changes of `available` that this read may show beside what is expected, and whether one is a hold or its return.

    Calls that are unanswered may have been done. Calls answered, and own sales of the hub booked, after the read was asked for are
    in our numbers already and may not be in the read: they count the other way round.
    """
    changes: list[int] = []
    holds = False
    for kind, state, payload in tx.all(
        # due_at of what is done is when it was settled; it stands in the index, so that years of old intents cost nothing.
        """SELECT kind, state, payload FROM intent WHERE tenant_id = :t AND state IN ('SENDING', 'UNKNOWN')
              AND kind {in:kinds} AND payload LIKE :sku ESCAPE '!'
           UNION ALL
           SELECT kind, state, payload FROM intent WHERE tenant_id = :t AND state = 'DONE' AND due_at >= :asked
              AND kind {in:kinds} AND payload LIKE :sku ESCAPE '!'""",
        t=tenant_id,
        kinds=[*_TAKEN_OVER, *_COMES_BACK],
        asked=asked_at,
        sku=f"%{_quoted(sku)}%",
    ):
        taken_over = state == "DONE" and kind in _TAKEN_OVER
        for moved_sku, where, change in json.loads(payload).get("moves", ()):
            if moved_sku != sku or not change:
                continue
            if where == location_id:
                changes.append(-change if taken_over else change)
                holds |= kind == BATCH_KIND
            elif (
                kind == IMPORT and state != "UNKNOWN"
            ):  # without an answer the safe side: it may as well be an unheard sale
                changes.append(change)
    changes += _come_back_unheard(tx, tenant_id, sku, location_id, asked_at)
    return changes + _booked_since(tx, tenant_id, hub, sku, location_id, asked_at), holds


def _come_back_unheard(tx: Tx, tenant_id: int, sku: str, location_id: str, asked_at: int) -> list[int]:
    """What corrections of copies gave back that were answered before the read was asked for, and whose copies have not told us yet."""
    found = []
    for (payload,) in tx.all(
        "SELECT payload FROM intent WHERE tenant_id = :t AND state = 'DONE' AND due_at >= :since AND due_at < :asked "
        "AND kind {in:kinds} AND payload LIKE :sku ESCAPE '!'",
        t=tenant_id,
        kinds=list(_COMES_BACK),
        since=asked_at - COMES_BACK_S_MAX * SECOND,
        asked=asked_at,
        sku=f"%{_quoted(sku)}%",
    ):
        pieces: dict[str, int] = json.loads(payload)["pieces"]
        for claim in claims.load(tx, tenant_id, pieces).values():
            if (claim.sku, claim.location_id) == (sku, location_id) and claim.imported > claim.want:
                found.append(min(pieces[claim.claim_key], claim.imported - claim.want))
    return found


def _quoted(sku: str) -> str:
    """The SKU as it stands in a payload, as a LIKE pattern of itself."""
    text = json.dumps(sku)
    for character in "!%_":
        text = text.replace(character, "!" + character)
    return text


def _booked_since(tx: Tx, tenant_id: int, hub: Account, sku: str, location_id: str, asked_at: int) -> list[int]:
    """What the hub's own orders took or gave back in our numbers since the read was asked for: it may be older than they are."""
    rows = tx.all(
        """SELECT e.committed + e.reserved + e.unavailable - e.on_hand
             FROM (SELECT * FROM ledger_entry WHERE tenant_id = :t AND sku = :s ORDER BY entry_no DESC LIMIT :n) e
             JOIN orders o ON o.tenant_id = e.tenant_id AND o.order_no = e.order_no
            WHERE e.location_id = :l AND e.posted_at > :asked AND o.account_id = :hub""",
        t=tenant_id,
        s=sku,
        n=_ENTRIES_LOOKED_AT,
        l=location_id,
        asked=asked_at,
        hub=hub.account_id,
    )
    return [int(took) for (took,) in rows if took]


def want_reads(tx: Tx, tenant_id: int, places: Iterable[tuple[str, str]]) -> None:
    """Ask for a fresh read of the hub's levels, (SKU, location) each; one that was never read is asked for too."""
    tx.many(
        "INSERT INTO hub_level (tenant_id, sku, location_id, read_at, wanted) VALUES (?, ?, ?, 0, 1) "
        "ON CONFLICT (tenant_id, sku, location_id) DO UPDATE SET wanted = 1",
        [(tenant_id, sku, location_id) for sku, location_id in places],
    )


def remember(
    tx: Tx, tenant_id: int, sku: str, level: HubLevel, ought: int, *, wanted: bool, known: bool = True
) -> None:
    """Keep what the hub showed. `ought`: what we expected there. If that has risen since a difference was seen, what came was that
    difference (S9.3), and one of the same size is another. `wanted`: it must be read again; `known` False: as if it had not been read yet."""
    tx.run(
        """INSERT INTO hub_level (tenant_id, sku, location_id, on_hand, available, committed, reserved, unavailable, incoming, read_at, wanted)
           VALUES (:t, :sku, :loc, :on_hand, :available, :committed, :reserved, :unavailable, :incoming, :read_at, :wanted)
           ON CONFLICT (tenant_id, sku, location_id) DO UPDATE SET on_hand = excluded.on_hand, available = excluded.available,
               committed = excluded.committed, reserved = excluded.reserved, unavailable = excluded.unavailable,
               incoming = excluded.incoming, read_at = excluded.read_at, wanted = excluded.wanted,
               odd_since = CASE WHEN :ought <= hub_level.available - hub_level.odd THEN hub_level.odd_since END""",
        t=tenant_id,
        sku=sku,
        loc=level.location_id,
        on_hand=level.on_hand,
        available=level.available,
        committed=level.committed,
        reserved=level.reserved,
        unavailable=level.unavailable,
        incoming=level.incoming,
        read_at=to_us(level.read_at) if known else 0,
        wanted=int(wanted),
        ought=ought,
    )
