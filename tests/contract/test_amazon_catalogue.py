"""The whole catalogue of an Amazon seller where the search does not reach it: by the report of all listings, each SKU read live.

Most of it against the emulated marketplace, every call judged by Amazon's own models where they are at hand.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from wire import Wire

from oneshelf.channels.amazon import catalogue as catalogues
from oneshelf.channels.amazon import connect
from oneshelf.channels.contract import CataloguePage, ListingFound, NoAnswer, Offer, Outlet, Request, Response
from oneshelf.core.errors import Park, Retry
from oneshelf.core.outcome import Rejected
from oneshelf.wiring import build_channel
from oneshelf_emulator.world import Product

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
US, CA = "ATVPDKIKX0DER", "A2EUQ1WTGCTBG2"
#: More than paging reaches.
MANY = 1_060
ODD = ("COMMA,1", "SLASH/1", "HASH#1 ", "%41")


def goods(count: int = MANY) -> list[Product]:
    names = [*ODD, *(f"S{n:05d}" for n in range(count - len(ODD)))]
    return [Product(name, f"Thing {name}", 1200, "USD", 5) for name in names]


def at_once(count: int = MANY, **switches: Any) -> Wire:
    """A seller whose listings were all created in one instant."""
    return Wire("amazon", goods(count), created_apart_s=0.0, **{"report_cache_s": 0.0, **switches})


class Reading:
    """Reads a catalogue page by page; every cursor goes through JSON, as it is stored."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.found: list[ListingFound] = []
        self.cursor: dict[str, Any] | None = None
        self.calls: Counter[str] = Counter()
        self.waited_s = 0.0

    async def page(self) -> CataloguePage:
        page = await self.wire.channel.catalogue(self.wire, self.cursor)
        self.found += page.listings
        self.cursor = json.loads(json.dumps(page.cursor))
        self.waited_s += page.again_in_s
        self.wire.pass_time(page.again_in_s)
        return page

    async def until(self, word: str | None) -> None:
        """Read on until the cursor holds `word` in its report, or (None) to the end."""
        while True:
            await self.page()
            if self.cursor is None or (word and word in self.cursor.get("report", {})):
                return


async def test_quirk_thousand_a_creation_instant_the_report_names_what_the_search_cannot_reach() -> None:
    wire = at_once()
    reading = Reading(wire)
    await reading.until(None)
    assert {one.outlet_external_id for one in reading.found} == {one.sku for one in goods()}
    assert reading.waited_s >= 30, "the report was waited for, not asked for without a pause"
    assert wire.judge.violations == []
    asked = wire.judge.requests
    assert (asked["createReport"], asked["getReportDocument"]) == (1, 1) or not asked


async def test_where_the_search_reaches_everything_no_report_is_asked_for() -> None:
    wire = Wire("amazon", goods(), created_apart_s=1.0)
    reading = Reading(wire)
    await reading.until(None)
    assert {one.outlet_external_id for one in reading.found} == {one.sku for one in goods()}
    assert wire.market.reports.reports == {} and wire.judge.violations == []


async def test_a_reading_goes_on_after_a_restart_at_the_same_row() -> None:
    wire = at_once()
    reading = Reading(wire)
    await reading.until("document")
    for _ in range(3):
        await reading.page()
    assert reading.cursor is not None and reading.cursor["report"]["row"] == 60
    before = [one.outlet_external_id for one in reading.found]
    wire.channel = build_channel("amazon", vars_of(wire))  # another process: nothing is held any more
    await reading.until(None)
    after = [one.outlet_external_id for one in reading.found[len(before) :]]
    # Amazon answers the twenty SKUs of a page in an order of its own.
    assert len(after) == len(set(after)) == MANY - 60 and not set(after) & set(before[-60:])
    assert len(wire.market.reports.reports) == 1


def vars_of(wire: Wire) -> dict[str, str]:
    keys = wire.market.credentials()
    return {
        "seller_id": keys["seller_id"],
        "marketplace_ids": ",".join(keys["marketplace_ids"]),
        "endpoint": keys["endpoint"],
        "token_url": keys["token_url"],
    }


async def test_quirk_stale_report_a_sku_that_went_to_amazon_since_is_amazons() -> None:
    """A report is cached for hours. What it says of a SKU is never believed, and no quantity is sent to one that Amazon ships."""
    wire = at_once(report_cache_s=6 * 3600.0)
    warm = Reading(wire)
    await warm.until("document")
    wire.market.console("move_to_amazon", sku="S00007", quantity=4)
    reading = Reading(wire)
    await reading.until(None)
    told = {one.outlet_external_id: one for one in reading.found}
    one = told["S00007"]
    assert (one.fulfilled_by_channel, one.quantity) == (True, None)
    assert (told["S00008"].fulfilled_by_channel, told["S00008"].quantity) == (False, 5)
    offer = Offer(Outlet(one.outlet_external_id, one.write_unit, one.extra), 3)
    (outcome,) = await wire.channel.publish(wire, [offer])
    assert isinstance(outcome, Rejected) and outcome.code == "fulfilled_by_channel"
    assert wire.market.shelf.listings["S00007"].by_amazon


async def test_a_listing_that_came_only_with_the_report_is_told_with_its_live_number() -> None:
    wire = at_once()
    reading = Reading(wire)
    await reading.until("document")
    wire.market.console("set_quantity", sku="COMMA,1", quantity=2)
    await reading.until(None)
    odd = {one.outlet_external_id: one.quantity for one in reading.found if one.outlet_external_id in ODD}
    assert odd == {"COMMA,1": 2, "SLASH/1": 5, "HASH#1 ": 5, "%41": 5}


async def test_each_marketplace_has_a_report_of_its_own() -> None:
    wire = at_once(marketplace_ids=(US, CA))
    for sku, listing in wire.market.shelf.listings.items():
        listing.attributes.pop(CA if sku < "S00500" else US, None)
    reading = Reading(wire)
    await reading.until(None)
    assert {one.outlet_external_id for one in reading.found} == {one.sku for one in goods()}
    assert [each.marketplace_ids for each in wire.market.reports.reports.values()] == [[US], [CA]]
    assert wire.judge.violations == []


# --- what a report can come to ----------------------------------------------------------------------------------------

CHANNEL = {"seller_id": "S", "marketplace_ids": f"{US},{CA}"}
GO_ON = {"report": {"left": [US, CA], "id": "8", "looks": 3}, "total": 9}
READ = {"report": {"left": [US], "id": "8", "looks": 3, "document": "d"}, "total": 9}
PLACE = (200, {"reportDocumentId": "d", "url": "https://storage.example/d"})


class Desk:
    """An Http that answers by operation; `file` is what the storage gives, line by line, an exception in it is raised there."""

    def __init__(self, file: tuple[bytes | NoAnswer, ...] = (), **answers: tuple[int, Any]) -> None:
        self.file, self.answers = file, answers
        self.asked: list[Request] = []
        self.downloads = 0

    async def request(self, request: Request) -> Response:
        self.asked.append(request)
        status, body = self.answers[request.operation]
        return Response(status, {}, json.dumps(body).encode(), NOW)

    async def lines(self, request: Request, *, line_bytes_max: int, bytes_max: int) -> AsyncIterator[bytes]:
        self.downloads += 1
        assert request.bare and "x-amz-access-token" not in request.headers
        for line in self.file:
            if isinstance(line, NoAnswer):
                raise line
            yield line


def status(word: str) -> dict[str, tuple[int, Any]]:
    return {"getReport": (200, {"reportId": "8", "processingStatus": word})}


async def test_a_report_with_nothing_to_tell_leads_to_the_next_marketplace() -> None:
    page = await connect(CHANNEL).catalogue(Desk(**status("CANCELLED")), GO_ON)
    assert page.cursor == {"report": {"left": [CA]}, "total": 9} and page.again_in_s == 0


@pytest.mark.parametrize(
    "answers",
    [status("FATAL"), status("DONE"), status("SOMETHING_NEW"), {"getReport": (404, {"errors": []})}],
    ids=["fatal", "done without a document", "unknown", "not found"],
)
async def test_a_report_that_came_to_nothing_parks_the_reading(answers: dict[str, tuple[int, Any]]) -> None:
    with pytest.raises(Park):
        await connect(CHANNEL).catalogue(Desk(**answers), GO_ON)


async def test_a_report_that_is_never_done_parks_the_reading() -> None:
    looked = {"report": {**GO_ON["report"], "looks": catalogues.LOOKS_MAX}, "total": 9}  # type: ignore[dict-item]
    with pytest.raises(Park, match="IN_PROGRESS"):
        await connect(CHANNEL).catalogue(Desk(**status("IN_PROGRESS")), looked)


async def test_without_the_role_it_is_said_which_one_is_missing() -> None:
    with pytest.raises(Park, match="Product Listing"):
        await connect(CHANNEL).catalogue(Desk(createReport=(403, {"errors": []})), {"report": {"left": [US]}})


async def test_a_document_that_breaks_off_is_fetched_again_whole() -> None:
    channel = connect(CHANNEL)
    answers = {"getReportDocument": PLACE, "searchListingsItems": (200, {"items": [{"sku": "A"}, {"sku": "B"}]})}
    broken = Desk((b"seller-sku", b"A", NoAnswer("cut off", sent=True)), **answers)
    with pytest.raises(Retry, match="did not come whole"):
        await channel.catalogue(broken, READ)
    whole = Desk((b"seller-sku", b"A", b"B"), **answers)
    page = await channel.catalogue(whole, READ)
    assert [one.outlet_external_id for one in page.listings] == ["A", "B"] and page.cursor is None


async def test_the_document_is_fetched_once_for_all_its_pages() -> None:
    channel = connect(CHANNEL)
    rows = (b"seller-sku\tquantity", *(b"S%d\t1" % n for n in range(45)))
    desk = Desk(rows, getReportDocument=PLACE, searchListingsItems=(200, {"items": []}))
    cursor: dict[str, Any] | None = READ
    pages = 0
    while cursor is not None:
        cursor = (await channel.catalogue(desk, cursor)).cursor
        pages += 1
    assert (pages, desk.downloads) == (3, 1)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ((), "empty"),
        ((b"sku\tprice", b"A\t1"), "no column seller-sku"),
        (("出品者SKU\t価格".encode("cp932"), b"A\t1"), "no column seller-sku"),
        ((b"\x1f\x8b\x08\x00",), "no column seller-sku"),
        ((b"price\tseller-sku", b"1"), "too few columns"),
    ],
    ids=["empty", "another report", "headings translated", "still packed", "a line cut short"],
)
async def test_what_is_not_the_report_parks_the_reading(file: tuple[bytes, ...], words: str) -> None:
    with pytest.raises(Park, match=words):
        await connect(CHANNEL).catalogue(Desk(file, getReportDocument=PLACE), READ)


async def test_quirk_report_encoding_a_sku_is_read_as_windows_1252_or_utf_8() -> None:
    rows = (b"\xef\xbb\xbfitem-name\tseller-sku\r", b"x\tCAF\xc9\r", "x\tCAFÉ-8\r".encode(), b"x\t\r", b"")
    desk = Desk(rows, getReportDocument=PLACE, searchListingsItems=(200, {"items": []}))
    await connect(CHANNEL).catalogue(desk, READ)
    assert "identifiers=CAF%C3%89,CAF%C3%89-8&" in desk.asked[-1].url
