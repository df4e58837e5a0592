"""Counts by spreadsheet: read with a problem a row, taken up together, taken back (SEMANTICS 8.3).

In: a CSV file. Out: count intents. Tables it owns: none. Never: takes up a row that has a problem; writes a level (the shop takes the count
first, as every other).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from oneshelf.core import spreadsheet
from oneshelf.db import undo
from oneshelf.db.tx import Tx, next_values
from oneshelf.orders import claims

#: The kind of a change by file.
COUNTS = "counts"
COLUMNS = ("sku", "location", "title", "on_hand", "quantity")
PIECES_MAX = 1_000_000_000


class CountRow(msgspec.Struct, frozen=True):
    """One count: so many pieces lie there. `on_hand`: what the ledger says now."""

    row: int
    sku: str
    location_id: str
    quantity: int
    on_hand: int


class WantedCounts(msgspec.Struct, frozen=True):
    """What a file asks for. `counts`: rows that change a number; `same`: rows that say what the ledger says, or nothing; `problems`:
    (row number, what is wrong)."""

    counts: list[CountRow]
    same: int
    problems: list[tuple[int, str]]


def read_csv(tx: Tx, tenant_id: int, file: bytes | str) -> WantedCounts:
    """Check every row of a file with the columns `sku` and `quantity`, and `location` (id or name) where the shop has several. A row
    without a quantity was not counted. The heading is row 1."""
    try:
        sheet = spreadsheet.read(file, ("sku", "quantity"), ("location",))
    except spreadsheet.SheetWrong as error:
        return WantedCounts([], 0, [(1, str(error))])
    skus = {row[0] for row in tx.all("SELECT sku FROM item WHERE tenant_id = :t AND tracked = 1", t=tenant_id)}
    places, usual = _places(tx, tenant_id)
    levels = {
        (sku, location_id): on_hand
        for sku, location_id, on_hand in tx.all(
            "SELECT sku, location_id, on_hand FROM stock_level WHERE tenant_id = :t AND sku {in:skus}",
            t=tenant_id,
            skus=sorted({row.cells["sku"] for row in sheet.rows} & skus),
        )
    }
    counts: list[CountRow] = []
    problems: list[tuple[int, str]] = []
    seen: dict[tuple[str, str], int] = {}
    same = 0
    for row in sheet.rows:
        sku, where, text = row.cells["sku"], row.cells["location"], row.cells["quantity"]
        if not text:
            same += 1
            continue
        quantity = spreadsheet.whole(text, 0, PIECES_MAX)
        location_id = places.get(where, "") if where else usual
        if sku not in skus:
            problems.append((row.number, f"{sku or 'nothing'} is not a tracked SKU of the shop"))
        elif quantity is None:
            problems.append((row.number, f"quantity {text!r} is no whole number of 0 to {PIECES_MAX}"))
        elif not location_id:
            what = f"the shop has no location {where}, or several of that name" if where else "say at which location"
            problems.append((row.number, what))
        elif (sku, location_id) in seen:
            problems.append((row.number, f"{sku} at this location stands in row {seen[sku, location_id]} too"))
        else:
            seen[sku, location_id] = row.number
            on_hand = levels.get((sku, location_id), 0)
            if quantity == on_hand:
                same += 1
            else:
                counts.append(CountRow(row.number, sku, location_id, quantity, on_hand))
    return WantedCounts(counts, same, problems)


def _places(tx: Tx, tenant_id: int) -> tuple[dict[str, str], str]:
    """Return {id or name: id}, without names that several have, and the only location that counts ("" for several)."""
    rows = tx.all("SELECT location_id, name, in_scope FROM location WHERE tenant_id = :t AND active = 1", t=tenant_id)
    names = [name for _, name, _ in rows]
    found = {name: location_id for location_id, name, _ in rows if names.count(name) == 1}
    counting = [location_id for location_id, _, in_scope in rows if in_scope]
    return found | {row[0]: row[0] for row in rows}, counting[0] if len(counting) == 1 else ""


def apply(tx: Tx, tenant_id: int, wanted: Sequence[CountRow], now: int, *, by: str) -> int | None:
    """Take the counts up; returns the change's number, to take it back, or None if there was nothing to do."""
    if not wanted:
        return None
    taken = _take_up(tx, tenant_id, [(one.sku, one.location_id, one.quantity) for one in wanted], now, by)
    return undo.keep(tx, tenant_id, COUNTS, len(taken), taken, now, by=by)


def _take_up(
    tx: Tx, tenant_id: int, counts: Sequence[tuple[str, str, int]], now: int, by: str
) -> list[tuple[str, str, int]]:
    """Write the intents; returns (SKU, location, version) of each."""
    items = {
        sku: item_id
        for sku, item_id in tx.all(
            "SELECT sku, item_id FROM item WHERE tenant_id = :t AND sku {in:skus}",
            t=tenant_id,
            skus=sorted({sku for sku, _, _ in counts}),
        )
    }
    versions = next_values(tx, tenant_id, "count", len(counts))
    intents = []
    for version, (sku, location_id, quantity) in zip(versions, counts, strict=True):
        payload = {"sku": sku, "location_id": location_id, "quantity": quantity, "item_id": items[sku], "by": by}
        intents.append((f"{sku}|{location_id}", version, payload))
    claims.add_intents(tx, tenant_id, "count", intents, now, priority=2)
    return [(sku, location_id, version) for version, (sku, location_id, _) in zip(versions, counts, strict=True)]


class PutBack(msgspec.Struct, frozen=True):
    """What taking a file back did. `called_off`: counts that had not gone to the shop; `counted_back`: new counts, today's number less what
    the file had changed; `problems`: (SKU, why it stays)."""

    called_off: int
    counted_back: int
    problems: list[tuple[str, str]]


def put_back(tx: Tx, tenant_id: int, change_no: int, now: int, *, by: str) -> PutBack:
    """Take a file of counts back; what was sold or received meanwhile stays. Raises NotThere, AlreadyUndone."""
    taken = undo.take(tx, tenant_id, COUNTS, change_no, now, by=by)
    states = {
        (entity, version): (intent_no, state, first_sent_at)
        for intent_no, entity, version, state, first_sent_at in tx.all(
            "SELECT intent_no, entity, version, state, first_sent_at FROM intent WHERE tenant_id = :t AND kind = 'count' "
            "AND version {in:versions}",
            t=tenant_id,
            versions=[version for _, _, version in taken],
        )
    }
    off: list[int] = []
    back: dict[tuple[str, str], int] = {}
    problems: list[tuple[str, str]] = []
    for sku, location_id, version in taken:
        intent_no, state, first_sent_at = states.get((f"{sku}|{location_id}", version), (0, "", None))
        if state == "WAITING" and first_sent_at is None:
            off.append(intent_no)
        elif state == "DONE":
            back[sku, location_id] = intent_no
        else:
            problems.append((sku, "the shop was being told, or a person was asked: count it again by hand"))
    tx.run(
        "UPDATE intent SET state = 'REFUSED', reason = 'taken back', settled_at = :now WHERE tenant_id = :t AND intent_no {in:nos}",
        now=now,
        t=tenant_id,
        nos=off,
    )
    counts, gone = _numbers_before(tx, tenant_id, back)
    problems += [(sku, "so many have been sold since that none would be left: count it again by hand") for sku in gone]
    if counts:
        _take_up(tx, tenant_id, counts, now, by)
    return PutBack(len(off), len(counts), problems)


def _numbers_before(
    tx: Tx, tenant_id: int, back: dict[tuple[str, str], int]
) -> tuple[list[tuple[str, str, int]], list[str]]:
    """Return the counts that take back what these intents changed, and the SKUs whose number would fall below 0."""
    changed = dict(
        tx.all(
            "SELECT entry_key, on_hand FROM ledger_entry WHERE tenant_id = :t AND entry_key {in:keys}",
            t=tenant_id,
            keys=[f"edit:count:{intent_no}" for intent_no in back.values()],
        )
    )
    levels = {
        (sku, location_id): on_hand
        for sku, location_id, on_hand in tx.all(
            "SELECT sku, location_id, on_hand FROM stock_level WHERE tenant_id = :t AND sku {in:skus}",
            t=tenant_id,
            skus=sorted({sku for sku, _ in back}),
        )
    }
    counts, gone = [], []
    for (sku, location_id), intent_no in back.items():
        change = changed.get(f"edit:count:{intent_no}", 0)
        number = levels.get((sku, location_id), 0) - change
        if number < 0:
            gone.append(sku)
        elif change:
            counts.append((sku, location_id, number))
    return counts, gone


def to_csv(rows: Iterable[tuple[str, str, str, int]]) -> str:
    """Return a file to count with: (SKU, location, title, on hand); the column `quantity` is empty."""
    return spreadsheet.write(COLUMNS, ((sku, place, title, on_hand, None) for sku, place, title, on_hand in rows))
