"""CSV: links and counts by spreadsheet, looked at first, taken in, taken back."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Query

from oneshelf.imports import count_sheet
from oneshelf.listings import mapping
from oneshelf.watch.listing import stock_rows

from ..route import Call, DryCall, Routes, csv_of
from ..shapes import AccountQuery, Number
from .listings import routes as listings
from .stock import routes as stock

# Before the routes of one listing, whose number would else be looked for in "links.csv".
links = Routes(listings.area, listings.about)
counts = Routes(stock.area, stock.about)


class RowProblem(msgspec.Struct, frozen=True):
    """A row that is wrong; it stops no other. The heading is row 1."""

    row: int
    what: str


def problems_of(done: dict[str, Any]) -> list[RowProblem]:
    """Return the wrong rows of a file as objects."""
    return [RowProblem(row, what) for row, what in done["problems"]]


class LinksImported(msgspec.Struct, frozen=True):
    """What a file links. `change`: takes it back; null: nothing was done. `waits`: too many numbers would go to 0 or multiply (`alarm`), so it
    waits for a person under this number."""

    links: int
    unlinks: int
    same: int
    problems: list[RowProblem]
    orders_booked: int
    done: bool
    change: int | None
    waits: int = 0
    alarm: str = ""


@links.sheet("/listings/links.csv")
async def import_links(call: DryCall) -> LinksImported:
    """Link listings by a CSV file with the columns `listing` and `parts` ("SKU=pieces; SKU=pieces", "-" unlinks)."""
    done = await call.command("import_links", {"text": await csv_of(call), "yes": True})
    return msgspec.convert(
        {**done, "problems": problems_of(done), "done": done["done"] and not call.dry_run}, LinksImported
    )


@links.exports("/listings/links.csv")
async def export_links(
    call: Call,
    account: AccountQuery = 0,
    suggest: Annotated[bool, Query(description="Fill in the best suggestion where nothing is linked.")] = False,
) -> str:
    """All listings and what they sell, as CSV. Change its column `parts`, then send it back."""
    return await call.read(
        lambda tx: mapping.to_csv(
            mapping.rows(tx, call.tenant_id, account_id=account, suggest=suggest, limit=10_000_000)
        )
    )


class LinksPutBack(msgspec.Struct, frozen=True):
    """How many listings are linked as they were."""

    change: int
    listings: int
    orders_booked: int


@links.writes("/listings/links/changes/{change}", method="DELETE")
async def undo_links(call: DryCall, change: Number) -> LinksPutBack:
    """Take a file of links back. Within 30 days, once."""
    return msgspec.convert(await call.command("undo_links", {"change": change}), LinksPutBack)


class CountsImported(msgspec.Struct, frozen=True):
    """What a file counts. `same`: rows that change nothing. `change`: takes it back; null: nothing was done."""

    counts: list[count_sheet.CountRow]
    same: int
    problems: list[RowProblem]
    done: bool
    change: int | None


@counts.sheet("/stock/counts.csv")
async def import_counts(call: DryCall) -> CountsImported:
    """Enter counts by a CSV file with the columns `sku`, `quantity`, and `location` where the shop has several."""
    done: dict[str, Any] = await call.command("import_counts", {"text": await csv_of(call), "yes": True})
    return msgspec.convert({**done, "problems": problems_of(done), "done": not call.dry_run}, CountsImported)


@counts.exports("/stock/counts.csv")
async def export_counts(call: Call, prefix: Annotated[str, Query(max_length=255)] = "") -> str:
    """A file to count with: every SKU and location, with what the ledger says. Fill in `quantity`, then send it back."""
    return await call.read(
        lambda tx: count_sheet.to_csv(
            (row.sku, row.location_id, row.title, row.on_hand)
            for row in stock_rows(tx, call.tenant_id, prefix=prefix, limit=10_000_000)
        )
    )


class Stays(msgspec.Struct, frozen=True):
    """A count that could not be taken back, and why."""

    sku: str
    why: str


class CountsPutBack(msgspec.Struct, frozen=True):
    """What taking a file of counts back did. `called_off`: had not gone to the shop yet; `counted_back`: are counted again, as today's number
    less what the file had changed."""

    change: int
    called_off: int
    counted_back: int
    stay: list[Stays]


@counts.writes("/stock/counts/changes/{change}", method="DELETE")
async def undo_counts(call: DryCall, change: Number) -> CountsPutBack:
    """Take a file of counts back; what was sold or received meanwhile stays. Within 30 days, once."""
    done = await call.command("undo_counts", {"change": change})
    stay = [Stays(sku, why) for sku, why in done["problems"]]
    return CountsPutBack(change, done["called_off"], done["counted_back"], stay)
