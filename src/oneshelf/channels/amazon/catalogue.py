"""All listings of a seller: by search as far as it reaches, then by the report's SKUs.

Paging reaches 1,000 items. Behind them a new search starts at the creation date of the last one read; more than 1,000 listings of one
instant can't be reached so. Then the report of all listings names every SKU, a marketplace a report, and each is read by its name: what
the catalogue tells is always what is live now, never what a report said hours ago.
In: an Account, `Http`, a cursor (plain JSON, good after a restart). Out: CataloguePages. Never: a wait (the page says how long).
Source: model listingsItems_2021-08-01 (pagination, createdAfter), page of searchListingsItems (1,000 items); reports.py; read 2026-11.
"""

from __future__ import annotations

from typing import Any

from oneshelf.channels.amazon import listings, reports, wire
from oneshelf.channels.amazon.account import Account, QueryValue, build
from oneshelf.channels.amazon.answers import body_of_read, decoded
from oneshelf.channels.contract import CataloguePage, Http
from oneshelf.core.errors import Park

#: How often a report is looked at, and how long it may take: an hour. Amazon names no time; minutes are usual.
LOOK_EVERY_S = 15.0
LOOKS_MAX = 240
_RUNNING = ("IN_QUEUE", "IN_PROGRESS")


class KeptSkus:
    """The SKUs of the report that is being read, between two pages. Lost at a restart: then the document is fetched again."""

    def __init__(self) -> None:
        self._document_id: str | None = None
        self._skus: list[str] = []

    async def of(self, http: Http, account: Account, document_id: str) -> list[str]:
        """Return the document's SKUs, fetched once. Raises as `reports.report_skus`."""
        if self._document_id != document_id:
            self.forget()
            self._skus = await reports.report_skus(http, account, document_id)
            self._document_id = document_id
        return self._skus

    def forget(self) -> None:
        self._document_id, self._skus = None, []


async def catalogue(http: Http, account: Account, cursor: dict[str, Any] | None, kept: KeptSkus) -> CataloguePage:
    """Read the next part of all listings. Raises Retry, Park, SignInAgain, NoAnswer."""
    if cursor and "report" in cursor:
        return await _by_report(http, account, cursor, kept)
    return await _by_search(http, account, cursor)


async def _by_search(http: Http, account: Account, cursor: dict[str, Any] | None) -> CataloguePage:
    """Read one page of the search, oldest first. Windows overlap at their creation date."""
    state: dict[str, Any] = dict(cursor) if cursor else {"read": 0}
    query: dict[str, QueryValue] = {
        "marketplaceIds": account.marketplace_ids,
        "includedData": listings.CATALOGUE_DATA,
        "sortBy": "createdDate",
        "sortOrder": "ASC",
        "pageSize": listings.PAGE_SIZE,
    }
    if state.get("created_after"):
        query["createdAfter"] = state["created_after"]
    if state.get("token"):
        query["pageToken"] = state["token"]
    request = build(account, "searchListingsItems", listings.items_path(account), query)
    answer = decoded(request, body_of_read(request, await http.request(request)), wire.SearchListingsAnswer)
    total = state.setdefault("total", answer.number_of_results)
    if answer.items:
        # Each marketplace has its own date; the earliest one never skips a listing, at the price of a wider overlap.
        dates = [s.created_date for s in answer.items[-1].summaries or [] if s.created_date]
        state["last_created"] = min(dates, default=state.get("last_created"))
    state["read"] += len(answer.items)
    state["token"] = answer.pagination.next_token if answer.pagination else None
    found = tuple(listings.found_of(item, account) for item in answer.items)
    return CataloguePage(listings=found, cursor=_next_of(state, answer, account), total=total)


def _next_of(state: dict[str, Any], answer: wire.SearchListingsAnswer, account: Account) -> dict[str, Any] | None:
    """Return where to go on: the next page, the next window behind the 1,000th item, the report where no later date helps, None."""
    if state["token"]:
        return state
    if (answer.number_of_results or 0) <= state["read"]:
        return None
    last_created = state.get("last_created")
    if last_created and last_created > state.get("created_after", ""):
        return {"read": 0, "total": state["total"], "created_after": last_created}
    return {"report": {"left": list(account.marketplace_ids)}, "total": state["total"]}


async def _by_report(http: Http, account: Account, cursor: dict[str, Any], kept: KeptSkus) -> CataloguePage:
    """Take one step: ask for a marketplace's report, look how far it is, or read 20 of its SKUs."""
    state: dict[str, Any] = dict(cursor["report"])
    if "id" not in state:
        state |= {"id": await reports.create_report(http, account, state["left"][0]), "looks": 0}
        return _page(cursor, state, again_in_s=LOOK_EVERY_S)
    if "document" not in state:
        return await _look(http, account, cursor, state, kept)
    skus = await kept.of(http, account, state["document"])
    row = state.get("row", 0)
    found = await listings.find_listings(http, account, skus[row : row + listings.PAGE_SIZE])
    state["row"] = row + listings.PAGE_SIZE
    if state["row"] < len(skus):
        return _page(cursor, state, found)
    return _page(cursor, _next_marketplace(state, kept), found)


async def _look(
    http: Http, account: Account, cursor: dict[str, Any], state: dict[str, Any], kept: KeptSkus
) -> CataloguePage:
    report = await reports.get_report(http, account, state["id"])
    status = report.processing_status
    if status in _RUNNING and state["looks"] < LOOKS_MAX:
        return _page(cursor, {**state, "looks": state["looks"] + 1}, again_in_s=LOOK_EVERY_S)
    if status == "DONE" and report.report_document_id:
        return _page(cursor, {**state, "document": report.report_document_id})
    if status == "CANCELLED":  # by itself where there is nothing to tell
        return _page(cursor, _next_marketplace(state, kept))
    raise Park(f"Amazon's report of all listings in {state['left'][0]} is {status}; the catalogue is read again later")


def _next_marketplace(state: dict[str, Any], kept: KeptSkus) -> dict[str, Any] | None:
    kept.forget()
    left = state["left"][1:]
    return {"left": left} if left else None


def _page(
    cursor: dict[str, Any], state: dict[str, Any] | None, found: list[Any] | None = None, again_in_s: float = 0.0
) -> CataloguePage:
    total = cursor.get("total")
    following = None if state is None else {"report": state, "total": total}
    return CataloguePage(listings=tuple(found or ()), cursor=following, total=total, again_in_s=again_in_s)
