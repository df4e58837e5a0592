"""What is linked and what is not, as lists for a person and a spreadsheet; and links taken from one.

In: the tables, rows of a CSV file. Out: rows, problems by row. Never: links what has a problem in its row.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from oneshelf.core import spreadsheet
from oneshelf.db import events, undo
from oneshelf.db.journal import note, open_task
from oneshelf.db.tx import Tx

from . import dirty, links
from .suggest import Shop, Suggestion, Unlinked

#: The kind of a change by file.
LINKS = "links"
COLUMNS = ("listing", "account", "channel", "external_id", "sku_text", "title", "state", "parts")


class Row(msgspec.Struct, frozen=True):
    """One listing. `parts`: SKU → pieces that one unit takes; empty: not linked. `problem`: why not, as far as that is known. `sold`: units
    that were sold while it was not linked, and that no stock was taken for yet."""

    listing: int
    account: int
    channel: str
    external_id: str
    sku_text: str
    title: str
    state: str
    parts: dict[str, int]
    problem: str = ""
    suggestions: list[Suggestion] = []
    sold: int = 0


def rows(
    tx: Tx,
    tenant_id: int,
    *,
    account_id: int = 0,
    unlinked: bool = False,
    suggest: bool = False,
    listing: int = 0,
    after: Sequence[int] | None = None,
    limit: int = 100_000,
) -> list[Row]:
    """Return the marketplaces' listings, those of one account or all, in order; with suggestions for the unlinked where asked. Only
    one `listing`; those `after` an (account, listing)."""
    after_account, after_listing = after or (0, 0)
    found = tx.all(
        """SELECT o.outlet_id, o.account_id, a.channel, o.external_id, o.sku_text, o.title, o.state FROM outlet o
             JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
            WHERE o.tenant_id = :t AND a.channel <> 'shopify' AND a.state <> 'DISCONNECTED' AND o.fulfilled_by_channel = 0
              AND (:a = 0 OR o.account_id = :a) AND (:one = 0 OR o.outlet_id = :one)
              AND (o.account_id, o.outlet_id) > (:after_account, :after_listing) AND (:un = 0 OR (o.state NOT IN ('ended', 'draft', 'gone')
              AND NOT EXISTS (SELECT 1 FROM link k WHERE k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id)))
            ORDER BY o.account_id, o.outlet_id LIMIT :limit""",
        t=tenant_id,
        a=account_id,
        one=listing,
        after_account=after_account,
        after_listing=after_listing,
        un=int(unlinked),
        limit=limit,
    )
    parts: dict[int, dict[str, int]] = defaultdict(dict)
    if not unlinked:
        for outlet_id, sku, units in tx.all(
            "SELECT outlet_id, sku, units FROM link WHERE tenant_id = :t AND outlet_id {in:these}",
            t=tenant_id,
            these=[row[0] for row in found],
        ):
            parts[outlet_id][sku] = units
    shop = _shop(tx, tenant_id) if suggest else None
    twice = duplicates(tx, tenant_id)
    sold = _sold_unlinked(tx, tenant_id, [row[0] for row in found if row[0] not in parts])
    made = []
    for outlet_id, account, channel, external_id, sku_text, title, state in found:
        tied = parts.get(outlet_id, {})
        hints = [] if shop is None or tied else shop.suggest(Unlinked(outlet_id, sku_text, title))
        problem = "" if tied else _why_not(sku_text, twice)
        made.append(
            Row(outlet_id, account, channel, external_id, sku_text, title, state, tied, problem, hints, sold[outlet_id])
        )
    return made


def _sold_unlinked(tx: Tx, tenant_id: int, outlets: Sequence[int]) -> Counter[int]:
    """Units by listing of order lines that nothing is linked to; a line names its listing by any of its keys."""
    sold: Counter[int] = Counter()
    lines = tx.all(
        "SELECT account_id, listing_keys, ordered - cancelled FROM order_line WHERE tenant_id = :t AND sku = '' AND ordered > cancelled",
        t=tenant_id,
    )
    if not lines or not outlets:
        return sold
    keys = tx.all(
        "SELECT account_id, listing_key, outlet_id FROM listing_key WHERE tenant_id = :t AND outlet_id {in:these}",
        t=tenant_id,
        these=list(outlets),
    )
    outlet_of = {(account_id, key): outlet_id for account_id, key, outlet_id in keys}
    for account_id, named, units in lines:
        found = [outlet_of[account_id, key] for key in msgspec.json.decode(named) if (account_id, key) in outlet_of]
        if found:
            sold[found[0]] += units
    return sold


def _shop(tx: Tx, tenant_id: int) -> Shop:
    return Shop(
        tx.all("SELECT sku, title FROM item WHERE tenant_id = :t AND deleted = 0 AND tracked = 1", t=tenant_id)  # type: ignore[arg-type]
    )


def duplicates(tx: Tx, tenant_id: int) -> set[str]:
    """Return the SKUs that stand on two variants of the shop: refused until they stand on one."""
    rows = tx.all(
        "SELECT subject FROM task WHERE tenant_id = :t AND kind = 'duplicate_sku' AND closed_at IS NULL", t=tenant_id
    )
    return {sku for (sku,) in rows}


def _why_not(sku_text: str, twice: set[str]) -> str:
    if not sku_text:
        return "it has no SKU"
    if sku_text in twice:
        return "its SKU stands on two variants of the shop"
    return "its SKU is not in the shop"


def unlink(tx: Tx, tenant_id: int, outlet_id: int, now: int, *, by: str) -> bool:
    """Take a listing's tie away: it is told nothing any more, its new orders wait. False: it had none."""
    title = tx.one("SELECT title FROM outlet WHERE tenant_id = :t AND outlet_id = :o", t=tenant_id, o=outlet_id)
    if not tx.run("DELETE FROM link WHERE tenant_id = :t AND outlet_id = :o", t=tenant_id, o=outlet_id):
        return False
    dirty.mark_outlets(tx, tenant_id, [outlet_id], now, f"unlinked by {by}")
    events.tell(tx, tenant_id, now, "listing.changed", [{"listing": outlet_id}])
    what = f"Link the listing “{title[0] if title else outlet_id}”"
    open_task(tx, tenant_id, now, "unlinked_listing", str(outlet_id), what, "it was unlinked by hand")
    note(tx, tenant_id, now, by, "A listing was unlinked", f"outlet:{outlet_id}")
    return True


# --- by spreadsheet ----------------------------------------------------------------------------------------------------


def to_csv(found: Iterable[Row]) -> str:
    """Return rows as CSV; `parts` is "SKU=pieces" parts, a blank between them."""
    return spreadsheet.write(COLUMNS, (_cells(row) for row in found))


def _cells(row: Row) -> tuple[str | int, ...]:
    parts = row.parts or ({row.suggestions[0].sku: row.suggestions[0].units} if row.suggestions else {})
    text = "; ".join(f"{sku}={units}" for sku, units in sorted(parts.items()))
    return (row.listing, row.account, row.channel, row.external_id, row.sku_text, row.title, row.state, text)


class Wanted(msgspec.Struct, frozen=True):
    """What a CSV file asks for. `links`: listing → parts; `same`: rows that change nothing; `problems`: (row number, what is wrong)."""

    links: dict[int, dict[str, int]]
    unlinks: list[int]
    same: int
    problems: list[tuple[int, str]]


def read_csv(tx: Tx, tenant_id: int, file: bytes | str) -> Wanted:
    """Check every row of a file with the columns `listing` and `parts` (others are ignored). An empty `parts` leaves a listing as it
    is, "-" unlinks it. The heading is row 1."""
    try:
        sheet = spreadsheet.read(file, ("listing", "parts"))
    except spreadsheet.SheetWrong as error:
        return Wanted({}, [], 0, [(1, str(error))])
    outlets = {
        outlet_id
        for (outlet_id,) in tx.all(
            "SELECT o.outlet_id FROM outlet o JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id "
            "WHERE o.tenant_id = :t AND a.channel <> 'shopify'",
            t=tenant_id,
        )
    }
    skus = {sku for (sku,) in tx.all("SELECT sku FROM item WHERE tenant_id = :t AND deleted = 0", t=tenant_id)}
    now_tied: dict[int, dict[str, int]] = defaultdict(dict)
    for outlet_id, sku, units in tx.all("SELECT outlet_id, sku, units FROM link WHERE tenant_id = :t", t=tenant_id):
        now_tied[outlet_id][sku] = units
    tied: dict[int, dict[str, int]] = {}
    unlinks: list[int] = []
    seen: dict[int, int] = {}
    problems: list[tuple[int, str]] = []
    same = 0
    for row in sheet.rows:
        number, listing, parts = row.number, row.cells["listing"], row.cells["parts"]
        if not parts:
            same += 1
            continue
        outlet_id = spreadsheet.whole(listing, 1, 10**15)
        if outlet_id is None:
            problems.append((number, f"listing {listing!r} is no number"))
        elif outlet_id not in outlets:
            problems.append((number, f"there is no listing {outlet_id}"))
        elif outlet_id in seen:
            problems.append((number, f"listing {outlet_id} stands in row {seen[outlet_id]} too"))
        elif parts == "-":
            seen[outlet_id] = number
            unlinks += [outlet_id] if outlet_id in now_tied else []
        else:
            seen[outlet_id] = number
            wanted, wrong = _parts(parts, skus)
            if wrong:
                problems.append((number, wrong))
            elif now_tied.get(outlet_id) == wanted:
                same += 1
            else:
                tied[outlet_id] = wanted
    return Wanted(tied, unlinks, same, problems)


def _parts(text: str, skus: set[str]) -> tuple[dict[str, int], str]:
    """Read "SKU=pieces; SKU=pieces"; a SKU that holds "=" is one too, where the shop has it."""
    parts: dict[str, int] = {}
    for one in (part.strip() for part in text.split(";")):
        sku, pieces = (one, "1") if one in skus else (one.rpartition("=")[0].strip(), one.rpartition("=")[2].strip())
        if not sku or not pieces.isascii() or not pieces.isdigit() or not 1 <= int(pieces) <= 10_000:
            return {}, f"{one!r}: write SKU=pieces with 1 to 10000 pieces"
        if sku not in skus:
            return {}, f"the shop has no SKU {sku!r}"
        if sku in parts:
            return {}, f"{sku!r} stands twice"
        parts[sku] = int(pieces)
    return parts, ""


def apply(tx: Tx, tenant_id: int, wanted: Wanted, now: int, *, by: str) -> int | None:
    """Carry out what was read; returns the change's number, to take it back, or None if there was nothing to do. The caller books the
    orders that waited."""
    before: dict[int, dict[str, int]] = {outlet_id: {} for outlet_id in [*wanted.links, *wanted.unlinks]}
    for outlet_id, sku, units in tx.all(
        "SELECT outlet_id, sku, units FROM link WHERE tenant_id = :t AND outlet_id {in:these}",
        t=tenant_id,
        these=list(before),
    ):
        before[outlet_id][sku] = units
    for outlet_id, parts in wanted.links.items():
        links.link(tx, tenant_id, outlet_id, parts, now, by=by)
    for outlet_id in wanted.unlinks:
        unlink(tx, tenant_id, outlet_id, now, by=by)
    if not before:
        return None
    return undo.keep(tx, tenant_id, LINKS, len(before), list(before.items()), now, by=by)


def put_back(tx: Tx, tenant_id: int, change_no: int, now: int, *, by: str) -> tuple[list[int], list[int]]:
    """Tie listings to what they were tied to before a file changed them, whatever happened since; returns which are linked now, and
    which are not. Raises NotThere, AlreadyUndone. Orders that were booked meanwhile stay as they are; the caller books those that waited."""
    linked, unlinked = [], []
    known = {sku for (sku,) in tx.all("SELECT sku FROM item WHERE tenant_id = :t AND deleted = 0", t=tenant_id)}
    for outlet_id, parts in undo.take(tx, tenant_id, LINKS, change_no, now, by=by):
        if parts and parts.keys() <= known:
            links.link(tx, tenant_id, outlet_id, parts, now, by=by)
            linked.append(outlet_id)
        else:  # it was not linked, or to something that the shop no longer has
            unlink(tx, tenant_id, outlet_id, now, by=by)
            unlinked.append(outlet_id)
    return linked, unlinked
