"""Price rules and sales as a CSV file: out, in again, and back to how they were before the last time.

In: rows of a file. Out: rules set and taken back; problems by row. Tables it owns: price_import. Never: takes a file in part; forgets
what stood there before.

The file is the whole list: a rule that is not in it is taken back, so that what was exported and brought back changes nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec

from oneshelf.core import spreadsheet
from oneshelf.core.instants import instant_of, iso
from oneshelf.core.precedence import GOODS, RANK_DEFAULT, Selector
from oneshelf.core.price_terms import PriceRule, PriceSale
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx

from .rules import drop_rule, mark_reach, named, rules_of, sales_of, set_rule, set_sale

SAYS = ("price", "rounding", "floor", "ceiling", "margin", "currency")
COLUMNS = ("kind", "account", "channel", "goods", "value", "rank", *SAYS, "starts_at", "ends_at")
ROWS_MAX = 20_000


class Line(msgspec.Struct, frozen=True):
    """One row: a rule, or with `starts_at` and `ends_at` (microseconds) a sale."""

    number: int
    selector: Selector
    says: dict[str, str]
    starts_at: int | None = None
    ends_at: int | None = None


class FileRead(msgspec.Struct, frozen=True):
    """What a file asks for. `problems`: (row number, what is wrong)."""

    lines: tuple[Line, ...]
    problems: tuple[tuple[int, str], ...]


class Imported(msgspec.Struct, frozen=True):
    """What an import did, in rules and sales. `selectors`: where prices may have changed."""

    kept: int
    taken_back: int
    same: int
    problems: tuple[tuple[int, str], ...]
    selectors: tuple[Selector, ...]


def to_csv(tx: Tx, tenant_id: int) -> str:
    """Return every rule and sale as a file."""
    rows = [
        ("rule", *_where(rule.selector), *(getattr(rule, name) for name in SAYS), "", "")
        for rule in rules_of(tx, tenant_id)
    ]
    rows += [
        (
            *("sale", *_where(sale.selector), sale.price, sale.rounding, "", "", "", sale.currency),
            *(iso(sale.starts_at) or "", iso(sale.ends_at) or ""),
        )
        for sale in sales_of(tx, tenant_id)
    ]
    return spreadsheet.write(COLUMNS, rows)


def _where(selector: Selector) -> tuple[object, ...]:
    return (selector.account_id or "", selector.channel, selector.goods, selector.value, selector.rank)


def read_csv(text: str) -> FileRead:
    """Read the rows of a file, without looking at the shelf."""
    lines: list[Line] = []
    problems: list[tuple[int, str]] = []
    needed = ("kind", "goods", "value", "price")
    try:
        rows = spreadsheet.read(text, needed, [one for one in COLUMNS if one not in needed]).rows
    except spreadsheet.SheetWrong as error:
        return FileRead((), ((1, str(error)),))
    if len(rows) > ROWS_MAX:
        return FileRead((), ((1, f"the file has more than {ROWS_MAX} rows"),))
    for row in rows:
        number = row.number
        try:
            lines.append(_line(number, row.cells))
        except ValueError as error:
            problems.append((number, str(error)))
    seen: list[Line] = []
    first: dict[tuple[Any, ...], int] = {}
    for line in lines:
        name = _name(line.selector, line.starts_at, line.ends_at)
        if name in first:
            problems.append((line.number, f"row {first[name]} speaks of the same"))
        else:
            first[name] = line.number
            seen.append(line)
    return FileRead(tuple(seen), tuple(sorted(problems)))


def _line(number: int, row: dict[str, str]) -> Line:
    kind, goods = row["kind"].lower(), row["goods"].lower() or "all"
    if kind not in ("rule", "sale"):
        raise ValueError(f"kind is rule or sale, not {row['kind']!r}")
    if goods not in GOODS:
        raise ValueError(f"goods is one of {', '.join(GOODS)}, not {row['goods']!r}")
    whole = {name: _whole(row, name, default) for name, default in (("account", 0), ("rank", RANK_DEFAULT))}
    selector = Selector(whole["account"], row.get("channel", "").lower(), goods, row["value"], whole["rank"])  # type: ignore[arg-type]
    says = {name: row.get(name, "") for name in SAYS}
    if kind == "rule":
        if row.get("starts_at") or row.get("ends_at"):
            raise ValueError("a rule has no start and end; write sale in the column kind")
        return Line(number, selector, says)
    return Line(number, selector, says, *(instant_of(row.get(name, "")) for name in ("starts_at", "ends_at")))


def _whole(row: dict[str, str], name: str, default: int) -> int:
    text = row.get(name, "")
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError(f"{name} {text!r} is no number")
    return int(text) if text else default


def apply(tx: Tx, tenant_id: int, file: FileRead, now: int, *, by: str, keep_before: bool = True) -> Imported:
    """Make the file's rules the only ones. A row that can't be kept is a problem; look at them before you let it stand.

    `keep_before`: what stands now is kept for `undo`.
    """
    before = to_csv(tx, tenant_id)
    there: dict[tuple[Any, ...], PriceRule | PriceSale] = {_name(one.selector): one for one in rules_of(tx, tenant_id)}
    there |= {_name(one.selector, one.starts_at, one.ends_at): one for one in sales_of(tx, tenant_id)}
    problems, selectors = list(file.problems), []
    kept = same = 0
    gone = dict(there)
    for line in file.lines:
        name = _name(line.selector, line.starts_at, line.ends_at)
        found = there.get(name)
        if found is not None and _says_the_same(line, found):
            del gone[name]
            same += 1
            continue
        if isinstance(found, PriceRule):
            del gone[name]  # it is replaced and keeps its number
        try:
            with tx.savepoint():
                _set(tx, tenant_id, line, now, by)
        except (ValueError, LookupError) as error:
            problems.append((line.number, str(error)))
            continue
        kept += 1
        selectors.append(line.selector)
    for one in gone.values():
        drop_rule(tx, tenant_id, one.rule_no, now, by=by)
        selectors.append(one.selector)
    mark_reach(tx, tenant_id, selectors, now, "price rules were imported")
    if keep_before:
        tx.run(
            """INSERT INTO price_import (tenant_id, imported_at, imported_by, before) VALUES (:t, :now, :by, :before)
               ON CONFLICT (tenant_id) DO UPDATE SET imported_at = excluded.imported_at, imported_by = excluded.imported_by,
                   before = excluded.before""",
            t=tenant_id,
            now=now,
            by=by,
            before=before,
        )
        note(tx, tenant_id, now, by, "Price rules were imported", kept=kept, taken_back=len(gone), same=same)
    return Imported(kept, len(gone), same, tuple(sorted(problems)), tuple(selectors))


def undo(tx: Tx, tenant_id: int, now: int, *, by: str) -> Imported:
    """Bring the rules back to how they were before the last import, once. Raises LookupError if there was none."""
    row = tx.one("SELECT before FROM price_import WHERE tenant_id = :t", t=tenant_id)
    if row is None:
        raise LookupError("no import is there to be undone")
    # Sales that are over by now can't be set again and need not be; those that are still kept stay.
    file = read_csv(row[0])
    kept = {_name(sale.selector, sale.starts_at, sale.ends_at) for sale in sales_of(tx, tenant_id)}
    lines = tuple(
        line
        for line in file.lines
        if line.ends_at is None or line.ends_at > now or _name(line.selector, line.starts_at, line.ends_at) in kept
    )
    done = apply(tx, tenant_id, msgspec.structs.replace(file, lines=lines), now, by=by, keep_before=False)
    tx.run("DELETE FROM price_import WHERE tenant_id = :t", t=tenant_id)
    note(
        tx, tenant_id, now, by, "The last import of price rules was undone", kept=done.kept, taken_back=done.taken_back
    )
    return done


def _name(selector: Selector, starts_at: int | None = None, ends_at: int | None = None) -> tuple[Any, ...]:
    return (*named(selector), starts_at, ends_at)


def _says_the_same(line: Line, found: PriceRule | PriceSale) -> bool:
    names = SAYS if line.starts_at is None else ("price", "rounding", "currency")
    return found.selector == line.selector and all(getattr(found, name) == line.says[name] for name in names)


def _set(tx: Tx, tenant_id: int, line: Line, now: int, by: str) -> None:
    if line.starts_at is None or line.ends_at is None:
        set_rule(tx, tenant_id, line.selector, line.says, now, by=by, mark=False)
        return
    for name in ("floor", "ceiling", "margin"):
        if line.says[name]:
            raise ValueError(f"a sale has no {name}: that of the rules holds")
    words = {name: line.says[name] for name in ("rounding", "currency")}
    set_sale(tx, tenant_id, line.selector, line.says["price"], line.starts_at, line.ends_at, now, by=by, **words)
