"""The whole catalogue: inventory items, and which listing each is in.

In: a cursor. Out: pages of listings found; on the last one the listings that Sell Inventory does not have. Never: waits.

getOffers answers for one SKU a call and there is no list of offers, so a catalogue of 100,000 SKUs would be 100,000 calls. The Active
Inventory Report names the listing, price and number of all active listings in one file: up to ONE_BY_ONE_MAX items are asked for their
offers one by one, more are joined with the report. What the report leaves open is asked after all: a SKU that is not in it (out of
stock, unpublished), one that is in several listings, one whose listing shows less than the item has (an offer-level pin). The report
also holds what was made in Seller Hub or by Trading: what is left of it at the end is out of our reach until migrated.

Cursor: `by` "offers" | "report" | "rest", `page`, `task` (the report's, "" without one), `looks` (how often it was not ready).
Source: eBay Sell Feed 1.3.1 (createInventoryTask, getInventoryTask, getResultFile); Sell Inventory 1.18.5, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from oneshelf.channels.contract import CataloguePage, Http, ListingFound, NoAnswer, Unmanaged
from oneshelf.channels.ebay.client import EbayClient, Items
from oneshelf.channels.ebay.report import Report, Row, parsed
from oneshelf.channels.ebay.shelf import item_quantity, listing_found
from oneshelf.channels.ebay.wire import amount, text
from oneshelf.core.errors import Park, Retry, SignInAgain, Unreadable
from oneshelf.core.facts import Money

#: Up to so many items, the offers of each are asked: it is quicker than to wait for a report, and says more.
ONE_BY_ONE_MAX = 200
#: Items a step: where each costs a call for its offers, and where the report has them.
ITEMS_A_STEP, ITEMS_A_PAGE = 25, 200
#: How long to wait before another look at a report that is being made, and how often at most: about a quarter of an hour.
LOOK_FIRST_S, LOOK_LATER_S, LOOKS_QUICK, LOOKS_MAX = 2.0, 15.0, 10, 70

_BEING_MADE = {"CREATED", "QUEUED", "IN_PROCESS"}
_MADE = {"COMPLETED", "COMPLETED_WITH_ERROR"}


class _Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    by: Literal["offers", "report", "rest"] = "offers"
    page: int = 0
    task: str = ""
    looks: int = 0


class Catalogue:
    """The catalogue of one seller. Remembers the report that is being joined until it is used up."""

    def __init__(self, client: EbayClient, marketplace_id: str, currency: str) -> None:
        self._client = client
        self._marketplace_id = marketplace_id
        self._currency = currency
        self._kept: tuple[str, Report] | None = None

    async def page(self, http: Http, cursor: dict[str, Any] | None) -> CataloguePage:
        """Read one part. Raises Retry, SignInAgain, Park, NoAnswer."""
        if cursor is None:
            return await self._begin(http)
        at = msgspec.convert(cursor, _Cursor)
        if at.by == "report":
            return await self._joined_page(http, at)
        if at.by == "rest":
            return await self._rest(http, at)
        items = await self._client.get_inventory_items(http, limit=ITEMS_A_STEP, page=at.page)
        return await self._offers_page(http, at, items)

    async def first(self, http: Http) -> list[ListingFound]:
        """Read the first few items with their offers."""
        items = await self._client.get_inventory_items(http, limit=ITEMS_A_STEP, page=0)
        return list((await self._offers_page(http, _Cursor(), items)).listings)

    async def _begin(self, http: Http) -> CataloguePage:
        items = await self._client.get_inventory_items(http, limit=ITEMS_A_STEP, page=0)
        few = items.total is None or items.total <= ONE_BY_ONE_MAX
        try:
            task = await self._client.create_inventory_task(http, self._marketplace_id)
        except (Retry, NoAnswer):
            if not few:
                raise
            task = ""
        if task and not few:
            return _not_yet(_Cursor("report", 0, task), items.total)
        return await self._offers_page(http, _Cursor("offers", 0, task), items)

    # --- one by one ----------------------------------------------------------------------------------------------

    async def _offers_page(self, http: Http, at: _Cursor, items: Items) -> CataloguePage:
        found = []
        for item in items.inventory_items:
            sku = text(item.get("sku"))
            if sku is not None:
                found.append(await self._with_offers(http, item, sku))
        read = at.page * ITEMS_A_STEP + len(items.inventory_items)
        more = read < items.total if items.total is not None else bool(items.next)
        after: _Cursor | None = None
        if more and items.inventory_items:
            after = _Cursor("offers", at.page + 1, at.task)
        elif at.task:
            after = _Cursor("rest", 0, at.task)
        return CataloguePage(tuple(found), _plain(after), total=items.total)

    async def _with_offers(self, http: Http, item: dict[str, Any], sku: str) -> ListingFound:
        offers, problem = [], ""
        try:
            offers = await self._client.get_offers(http, sku)
        except SignInAgain:
            raise
        except Park as bad:
            # One SKU that eBay's own address does not take must not hide the others.
            problem = str(bad)
        return listing_found(item, sku, offers, self._marketplace_id, problem)

    async def _rest(self, http: Http, at: _Cursor) -> CataloguePage:
        """What the report holds beside the items, where these are few."""
        report = await self._report(http, at)
        if isinstance(report, CataloguePage):
            return report
        self._kept = None
        if report is None:
            return CataloguePage((), None)
        items = await self._client.get_inventory_items(http, limit=ITEMS_A_PAGE, page=0)
        if items.total is not None and items.total > len(items.inventory_items):
            return CataloguePage((), None, items.total)  # they became many meanwhile: another reading will tell
        for item in items.inventory_items:
            report.by_sku.pop(text(item.get("sku")) or "", None)
        return CataloguePage((), None, items.total, unmanaged=_left(report))

    # --- joined with the report -----------------------------------------------------------------------------------

    async def _joined_page(self, http: Http, at: _Cursor) -> CataloguePage:
        page = at.page
        if self._kept is None or self._kept[0] != at.task:
            page = 0  # after a restart nobody knows what of the report was met: from the first item again
        report = await self._report(http, at)
        if isinstance(report, CataloguePage):
            return report
        if report is None:
            return CataloguePage((), _plain(_Cursor("offers", 0)))
        items = await self._client.get_inventory_items(http, limit=ITEMS_A_PAGE, page=page)
        found, met = [], []
        for item in items.inventory_items:
            sku = text(item.get("sku"))
            if sku is not None:
                found.append(await self._joined(http, item, sku, report.by_sku.get(sku, ())))
                met.append(sku)
        for sku in met:
            report.by_sku.pop(sku, None)
        read = page * ITEMS_A_PAGE + len(items.inventory_items)
        more = read < items.total if items.total is not None else bool(items.next)
        if more and items.inventory_items:
            return CataloguePage(tuple(found), _plain(_Cursor("report", page + 1, at.task)), items.total)
        self._kept = None
        return CataloguePage(tuple(found), None, items.total, unmanaged=_left(report))

    async def _joined(self, http: Http, item: dict[str, Any], sku: str, rows: Sequence[Row]) -> ListingFound:
        quantity = item_quantity(item)
        alone = len(rows) == 1 and rows[0].currency == self._currency
        if not alone or (quantity is not None and (rows[0].quantity or 0) < quantity):
            return await self._with_offers(http, item, sku)
        return listing_found(item, sku, [_as_offer(rows[0], self._marketplace_id)], self._marketplace_id)

    async def _report(self, http: Http, at: _Cursor) -> Report | CataloguePage | None:
        """Return the report, or the page that asks to come again, or None: there will be none."""
        if self._kept is not None and self._kept[0] == at.task:
            return self._kept[1]
        status = await self._client.get_inventory_task(http, at.task)
        if status in _BEING_MADE and at.looks < LOOKS_MAX:
            return _not_yet(msgspec.structs.replace(at, looks=at.looks + 1), None)
        body = await self._client.get_result_file(http, at.task) if status in _MADE else None
        if body is None:
            return None
        try:
            report = parsed(body)
        except Unreadable as bad:
            raise Retry(str(bad)) from bad
        self._kept = (at.task, report)
        return report


def _plain(cursor: _Cursor | None) -> dict[str, Any] | None:
    return None if cursor is None else {"page": cursor.page, **msgspec.to_builtins(cursor)}


def _not_yet(cursor: _Cursor, total: int | None) -> CataloguePage:
    wait_s = LOOK_FIRST_S if cursor.looks < LOOKS_QUICK else LOOK_LATER_S
    return CataloguePage((), _plain(cursor), total, again_in_s=wait_s)


def _as_offer(row: Row, marketplace_id: str) -> dict[str, Any]:
    """Return what a row of the report says, in the form of an offer; it has no offer id."""
    price = None if row.price_minor is None or row.currency is None else amount(Money(row.price_minor, row.currency))
    return {
        "status": "PUBLISHED",
        "marketplaceId": marketplace_id,
        "listing": {"listingId": row.listing_id, "listingStatus": "ACTIVE"},
        "pricingSummary": {"price": price},
    }


def _left(report: Report) -> tuple[Unmanaged, ...]:
    """Return the listings of what nobody met, each once."""
    skus: dict[str, list[str]] = {listing_id: [] for listing_id in sorted(report.nameless)}
    for sku, rows in report.by_sku.items():
        for row in rows:
            skus.setdefault(row.listing_id, []).append(sku)
    why = "It, or one of its variations, has no SKU: give each one on eBay first."
    return tuple(
        Unmanaged(listing_id, tuple(names), why if listing_id in report.nameless else "")
        for listing_id, names in sorted(skus.items())
    )
