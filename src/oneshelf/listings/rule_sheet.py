"""Rules by spreadsheet: all of them out, some of them in, and the last import taken back.

In: rules, rows of a CSV file. Out: rows, problems by row, changes. Tables it owns: rule_import.
Never: keeps a rule that has a problem in its row; touches a rule that the file does not name.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from oneshelf.core import offer_rule, precedence, spreadsheet
from oneshelf.core.offer_rule import PLAIN, Numbers, OfferRule
from oneshelf.core.precedence import RANK_DEFAULT, Selector
from oneshelf.db.tx import Tx, next_values

from . import policy
from .policy import Change

#: A file longer than this is split: every row is a rule to look at.
ROWS_MAX = 10_000

#: Columns of a rule's numbers → their name in core/offer_rule.Numbers.
_NUMBERS = {
    "keep": "safety_stock",
    "percent": "safety_percent",
    "cap": "cap",
    "exactly": "exactly",
    "from": "min_show",
    "set_aside": "adaptive",
    "cap_by_pace": "cap_auto",
}
COLUMNS = (
    *("action", "account", "channel", "goods", "value", "rank"),
    *_NUMBERS,
    "low_at",
    *(f"low_{name}" for name in _NUMBERS),
    "except_locations",
)
_WORDS = {"yes": True, "no": False, "true": True, "false": False, "1": True, "0": False}


class WantedRules(msgspec.Struct, frozen=True):
    """What a file asks for. `same`: rows that change nothing; `problems`: (row number, what is wrong)."""

    changes: list[Change]
    same: int
    problems: list[tuple[int, str]]


class Undo(msgspec.Struct, frozen=True):
    """The last import, the other way round. `changed_since`: rules that somebody changed after it; they are left alone."""

    import_no: int
    changes: list[Change]
    changed_since: list[Selector]


class _Kept(msgspec.Struct, frozen=True):
    """One row of an import as it is kept: what stood there before, and after."""

    selector: Selector
    before: OfferRule | None
    after: OfferRule | None


def to_csv(rules: Sequence[OfferRule]) -> str:
    """Return rules as CSV, in the order given. An empty number says nothing."""
    rows = []
    for rule in rules:
        s = rule.selector
        low: list[str | int | None] = (
            ["", *[""] * len(_NUMBERS)] if rule.low_at is None else [rule.low_at, *_cells(rule.low)]
        )
        places = " ".join(rule.except_locations)
        rows.append(["", s.account_id or "", s.channel, s.goods, s.value, s.rank, *_cells(rule.numbers), *low, places])
    return spreadsheet.write(COLUMNS, rows)


def _cells(numbers: Numbers) -> list[str | int | None]:
    found: list[str | int | None] = []
    for name in _NUMBERS.values():
        value = getattr(numbers, name)
        found.append({True: "yes", False: "no"}[value] if isinstance(value, bool) else value)
    return found


def read_csv(tx: Tx, tenant_id: int, text: str) -> WantedRules:
    """Check every row of a file with the columns `goods` and `value` and any of COLUMNS (others are ignored). `action` "drop" takes the
    rule of the row back; rules that the file does not name stay. The heading is row 1."""
    try:
        rows = spreadsheet.read(
            text, ("goods", "value"), [one for one in COLUMNS if one not in ("goods", "value")]
        ).rows
    except spreadsheet.SheetWrong as error:
        return WantedRules([], 0, [(1, str(error))])
    if len(rows) > ROWS_MAX:
        return WantedRules([], 0, [(1, f"the file has {len(rows)} rows; split it: {ROWS_MAX} at most")])
    known = policy.known(tx, tenant_id)
    now = {policy.place_of(rule.selector): rule for rule in policy.all_rules(tx, tenant_id)}
    changes: list[Change] = []
    problems: list[tuple[int, str]] = []
    seen: dict[tuple[int, str, str, str], int] = {}
    same = 0
    for sheet_row in rows:
        number = sheet_row.number
        try:
            change = _change(sheet_row.cells)
            precedence.check(change.selector)
            place = policy.place_of(change.selector)
            if place in seen:
                raise ValueError(f"row {seen[place]} speaks of the same")
            seen[place] = number
            if change.rule is None and place not in now:
                raise ValueError("there is no such rule to drop")
            if change.rule is not None:
                policy.check(change.rule, known)
        except ValueError as error:
            problems.append((number, str(error)))
            continue
        if now.get(place) == change.rule:
            same += 1
        else:
            changes.append(change)
    return WantedRules(changes, same, problems)


def _change(row: dict[str, str]) -> Change:
    account, rank = _whole(row, "account"), _whole(row, "rank")
    goods, value = row.get("goods") or ("sku" if row.get("value") else "all"), row.get("value") or ""
    if goods not in precedence.GOODS:
        raise ValueError(f"goods are {', '.join(precedence.GOODS)}, not {goods!r}")
    selector = Selector(
        account or 0, (row.get("channel") or "").lower(), goods, value, RANK_DEFAULT if rank is None else rank
    )
    action = (row.get("action") or "set").lower()
    if action not in ("set", "drop"):
        raise ValueError(f"the action is set or drop, not {action!r}")
    if action == "drop":
        return Change(selector, None)
    numbers, low, low_at = _numbers(row, ""), _numbers(row, "low_"), _whole(row, "low_at")
    rule = OfferRule(selector, numbers, low_at, low, tuple((row.get("except_locations") or "").split()))
    offer_rule.check(rule)
    return Change(selector, rule)


def _numbers(row: dict[str, str], before: str) -> Numbers:
    given: dict[str, int | bool] = {}
    for column, name in _NUMBERS.items():
        cell = (row.get(before + column) or "").lower()
        if not cell:
            continue
        if isinstance(getattr(PLAIN, name), bool):
            if cell not in _WORDS:
                raise ValueError(f"{before}{column} is yes or no, not {cell!r}")
            given[name] = _WORDS[cell]
        else:
            given[name] = _whole(row, before + column) or 0
    return Numbers(**given)  # type: ignore[arg-type]


def _whole(row: dict[str, str], column: str) -> int | None:
    cell = row.get(column) or ""
    if not cell:
        return None
    if not cell.isascii() or not cell.isdigit() or len(cell) > 12:
        raise ValueError(f"{column} is a whole number of 0 or more, not {cell!r}")
    return int(cell)


# --- the last import ----------------------------------------------------------------------------------------------------


def remember(tx: Tx, tenant_id: int, changes: Sequence[Change], now: int, *, by: str) -> int:
    """Keep what stands in the places of an import, before it is made. Returns the import's number."""
    rows = [_Kept(one.selector, policy.same_place(tx, tenant_id, one.selector), one.rule) for one in changes]
    number = next_values(tx, tenant_id, "rule_import")[0]
    tx.run(
        "INSERT INTO rule_import (tenant_id, import_no, made_at, made_by, changes) VALUES (:t, :n, :now, :by, :changes)",
        t=tenant_id,
        n=number,
        now=now,
        by=by,
        changes=msgspec.json.encode(rows).decode(),
    )
    return number


def last_import(tx: Tx, tenant_id: int) -> Undo | None:
    """Return how the newest import that stands is taken back; None: there is none."""
    row = tx.one(
        "SELECT import_no, changes FROM rule_import WHERE tenant_id = :t AND undone_at IS NULL ORDER BY import_no DESC LIMIT 1",
        t=tenant_id,
    )
    if row is None:
        return None
    changes, since = [], []
    for one in msgspec.json.decode(row[1], type=list[_Kept]):
        if policy.same_place(tx, tenant_id, one.selector) == one.after:
            changes.append(Change(one.selector, one.before))
        else:
            since.append(one.selector)
    return Undo(row[0], changes, since)


def undone(tx: Tx, tenant_id: int, import_no: int, now: int) -> None:
    """The import has been taken back."""
    tx.run(
        "UPDATE rule_import SET undone_at = :now WHERE tenant_id = :t AND import_no = :n",
        t=tenant_id,
        n=import_no,
        now=now,
    )
