"""eBay: a large catalogue joined with the Active Inventory Report, and what the report holds beside it."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections import Counter
from typing import Any

import msgspec
import pytest
from official import PRESENT
from test_ebay_connector_requests import NONE, Scripted, item, items, offer, offers, seller
from wire import Wire

from oneshelf.channels.abilities import Migrates, PriceOffer
from oneshelf.channels.contract import CataloguePage, ListingFound, NoAnswer, Outlet, Unmanaged
from oneshelf.channels.ebay import report
from oneshelf.channels.ebay.report import Row, parsed
from oneshelf.core.errors import Retry, SignInAgain, Unreadable
from oneshelf.core.facts import Money
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled
from oneshelf_emulator.world import Product

#: The form of a report recorded on 2026-09-22 (namespace, wrapper, order of fields), and the documented form of variations.
REPORT = b"""<?xml version="1.0" encoding="UTF-8"?>
<BulkDataExchangeResponses xmlns="urn:ebay:apis:eBLBaseComponents"><ActiveInventoryReport>
<SKUDetails>
        <SKU>MUG</SKU>
        <Price currencyID="USD">15.38</Price>
        <Quantity>7</Quantity>
        <ItemID>206349816749</ItemID>
</SKUDetails>
<SKUDetails><Price currencyID="USD">12.00</Price><Quantity>5</Quantity><ItemID>206349816964</ItemID>
 <Variations>
  <Variation><SKU>TEE-S</SKU><Price currencyID="USD">12.00</Price><Quantity>2</Quantity></Variation>
  <Variation><SKU>TEE-M</SKU><Price currencyID="USD">13.00</Price><Quantity>3</Quantity></Variation>
 </Variations></SKUDetails>
<SKUDetails><SKU></SKU><Price currencyID="USD">2.00</Price><Quantity>1</Quantity><ItemID>300</ItemID></SKUDetails>
<SKUDetails><SKU>TWICE</SKU><Price currencyID="USD">2.00</Price><Quantity>7</Quantity><ItemID>401</ItemID></SKUDetails>
<SKUDetails><SKU>TWICE</SKU><Price currencyID="USD">2.00</Price><Quantity>7</Quantity><ItemID>402</ItemID></SKUDetails>
<SKUDetails><SKU>PIN</SKU><Price currencyID="USD">2.00</Price><Quantity>3</Quantity><ItemID>500</ItemID></SKUDetails>
<SKUDetails><SKU>OLD</SKU><Price currencyID="USD">2.00</Price><Quantity>3</Quantity><ItemID>600</ItemID></SKUDetails>
</ActiveInventoryReport></BulkDataExchangeResponses>"""

TASK = (202, b"", {"location": "https://api.ebay.com/sell/feed/v1/inventory_task/task-10-1"})


def state(status: str) -> tuple[int, dict[str, Any]]:
    return 200, {"taskId": "task-10-1", "status": status, "feedType": "LMS_ACTIVE_INVENTORY_REPORT"}


def zipped(body: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("task-10-1.xml", body)
    return packed.getvalue()


FILE = (200, zipped(REPORT))
FIRST = items([item("MUG")], 201)


def report_cursor(**more: object) -> dict[str, Any]:
    return {"page": 0, "by": "report", "task": "task-10-1", **more}


# --- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [REPORT, zipped(REPORT), gzip.compress(REPORT)], ids=["plain", "zip", "gzip"])
def test_quirk_a_report_comes_zipped_gzipped_or_plain(body: bytes) -> None:
    found = parsed(body)
    assert found.by_sku["MUG"] == (Row("206349816749", 7, 1538, "USD"),)
    assert found.by_sku["TEE-M"] == (Row("206349816964", 3, 1300, "USD"),)
    assert [row.listing_id for row in found.by_sku["TWICE"]] == ["401", "402"]
    assert found.nameless == {"300"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Service Unavailable</body></html>",
        REPORT[:-40],
        zipped(REPORT)[:-60],
        gzip.compress(REPORT)[:-9],
        b"PK\x03\x04 no archive",
        b"SKU,Price\nMUG,15.38\n",
        REPORT.replace(b"<SKUDetails><SKU>OLD", b"<Ack>Failure</Ack><SKUDetails><SKU>OLD"),
    ],
)
def test_half_a_report_is_none(body: bytes) -> None:
    """Read as empty it would say that the seller has ended every listing."""
    with pytest.raises(Unreadable):
        parsed(body)


def test_a_report_is_not_unpacked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "UNPACKED_MAX", 1_000)
    with pytest.raises(Unreadable, match="longer than 1000 bytes"):
        parsed(gzip.compress(REPORT))


# --- few items --------------------------------------------------------------------------------------------------------


async def test_few_items_are_asked_one_by_one_and_the_rest_is_told() -> None:
    http = Scripted(
        items([item("MUG")], 1),
        TASK,
        offers(offer()),
        state("QUEUED"),
        state("COMPLETED"),
        FILE,
        items([item("MUG")], 1),
    )
    ebay = seller()
    page = await ebay.catalogue(http, None)
    assert [one.sku for one in page.listings] == ["MUG"] and page.unmanaged is None
    waits = await ebay.catalogue(http, page.cursor)
    assert waits.again_in_s > 0 and waits.cursor is not None and waits.cursor != page.cursor
    end = await ebay.catalogue(http, waits.cursor)
    assert end.cursor is None and end.listings == ()
    assert end.unmanaged == (
        Unmanaged("206349816964", ("TEE-S", "TEE-M")),
        Unmanaged("300", (), "It, or one of its variations, has no SKU: give each one on eBay first."),
        Unmanaged("401", ("TWICE",)),
        Unmanaged("402", ("TWICE",)),
        Unmanaged("500", ("PIN",)),
        Unmanaged("600", ("OLD",)),
    )
    asked = http.asked[1]
    assert json.loads(asked.body) == {
        "feedType": "LMS_ACTIVE_INVENTORY_REPORT",
        "schemaVersion": "1.0",
        "filterCriteria": {"listingFormat": "FIXED_PRICE"},
    }
    assert asked.headers["x-ebay-c-marketplace-id"] == "EBAY_US"
    assert isinstance(ebay, Migrates) and ebay.migration.batch == 5


@pytest.mark.parametrize(
    "refused", [(403, {"errors": [{"errorId": 160022}]}), (409, {"errors": [{"errorId": 160025}]}), (500, {})]
)
async def test_without_a_report_few_items_are_found_all_the_same(refused: tuple[int, dict[str, Any]]) -> None:
    page = await seller().catalogue(Scripted(items([item("MUG")], 1), refused, offers(offer())), None)
    assert [one.sku for one in page.listings] == ["MUG"]
    assert (page.cursor, page.unmanaged) == (None, None)  # not known is not none


# --- many items -------------------------------------------------------------------------------------------------------


async def joined(*answers: object, cursor: dict[str, Any] | None = None) -> tuple[CataloguePage, Scripted]:
    http = Scripted(*answers)
    return await seller().catalogue(http, cursor if cursor is not None else report_cursor()), http


async def test_many_items_are_joined_with_the_report() -> None:
    ebay = seller()
    begun = await ebay.catalogue(Scripted(FIRST, TASK), None)
    assert begun.listings == () and begun.again_in_s > 0 and begun.cursor == report_cursor()
    found = items([item("MUG"), item("TEE-S", 2, inventoryItemGroupKeys=["TEE"])], 2)
    http = Scripted(state("COMPLETED"), FILE, found)
    page = await ebay.catalogue(http, begun.cursor)
    assert [one.operation for one in http.asked] == ["getInventoryTask", "getResultFile", "getInventoryItems"]
    mug, tee = page.listings
    assert mug.listing_keys == ("listing:206349816749/", "sku:MUG")
    assert (mug.quantity, mug.state, mug.price_minor, mug.currency) == (7, "live", 1538, "USD")
    assert (mug.ration_unit, mug.title, mug.extra["pinned"]) == ("206349816749", "Tee MUG", False)
    assert (tee.listing_keys, tee.ration_unit, tee.quantity) == (("sku:TEE-S",), "206349816964", 2)
    assert page.cursor is None and {one.listing_id for one in page.unmanaged or ()} == {
        "206349816964", "300", "401", "402", "500", "600",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("found", "asked", "listing"),
    [
        (item("GONE"), offers(offer("700", listing={"listingId": "700", "listingStatus": "OUT_OF_STOCK"})), "700"),
        (item("TWICE"), offers(offer("402"), offer("401", marketplaceId="EBAY_CA")), "402"),
        (item("PIN"), offers(offer("500", available=3)), "500"),
    ],
    ids=["not in it", "in two listings", "shows less than the item has"],
)
async def test_quirk_what_the_report_leaves_open_is_asked(
    found: dict[str, Any], asked: tuple[int, dict[str, Any]], listing: str
) -> None:
    """That a listing is not in the report is weak evidence: whether one that is out of stock is in it is unconfirmed."""
    page, http = await joined(state("COMPLETED"), FILE, items([found], 1), asked)
    [one] = page.listings
    assert one.ration_unit == listing and http.asked[-1].operation == "getOffers"
    assert one.extra["pinned"] == (listing == "500") and one.state != "draft"


async def test_pages_of_items_follow_without_asking_for_the_report_again() -> None:
    ebay = seller()
    many = items([item(f"X{n}") for n in range(200)], 201)
    first = await ebay.catalogue(Scripted(state("COMPLETED"), FILE, many, *[NONE] * 200), report_cursor())
    assert first.cursor == report_cursor(page=1) and first.unmanaged is None
    http = Scripted(items([item("MUG")], 201))
    last = await ebay.catalogue(http, first.cursor)
    assert http.asked[0].url.endswith("limit=200&offset=1") and last.cursor is None
    assert "206349816749" not in {one.listing_id for one in last.unmanaged or ()}


async def test_after_a_restart_the_join_begins_with_the_first_item_again() -> None:
    """Nobody knows what of the report was met: what is told as unmanaged must not be what the earlier pages had."""
    page, http = await joined(state("COMPLETED"), FILE, items([item("MUG")], 1), cursor=report_cursor(page=3))
    assert http.asked[-1].url.endswith("offset=0") and page.listings[0].sku == "MUG"


@pytest.mark.parametrize(
    "ends", [state("FAILED"), state("PARTIALLY_PROCESSED"), (404, {"errors": [{"errorId": 160003}]})]
)
async def test_a_report_that_fails_sends_back_to_one_by_one(ends: tuple[int, dict[str, Any]]) -> None:
    page, _ = await joined(ends)
    assert page == CataloguePage((), {"page": 0})
    found, _ = await joined(items([item("MUG")], 1), offers(offer()), cursor=page.cursor)
    assert found.cursor is None


async def test_a_report_is_not_waited_for_for_ever() -> None:
    looks = [(await joined(state("IN_PROCESS"), cursor=report_cursor(looks=n)))[0] for n in (0, 20, 70)]
    assert [page.again_in_s for page in looks[:2]] == [2.0, 15.0]
    assert looks[1].cursor == report_cursor(looks=21)
    assert looks[2].cursor == {"page": 0}, "one by one"


async def test_a_report_that_cannot_be_read_is_tried_again() -> None:
    with pytest.raises(Retry, match="can't be read"):
        await joined(state("COMPLETED"), (200, REPORT[:-40]))
    with pytest.raises(SignInAgain):
        await joined((401, {}))
    with pytest.raises(Retry):
        await seller().catalogue(Scripted(FIRST, (500, {})), None)  # many: a call for each would be too much


# --- a price whose offer nobody has named yet --------------------------------------------------------------------------


async def price_told(*answers: object) -> tuple[Outcome, Scripted]:
    page, _ = await joined(state("COMPLETED"), FILE, items([item("MUG")], 1))
    [mug] = page.listings
    http = Scripted(*answers)
    outlet = Outlet(mug.outlet_external_id, mug.write_unit, mug.extra)
    [outcome] = await seller().publish_prices(http, [PriceOffer(outlet, Money(1_600, "USD"))])
    return outcome, http


async def test_a_price_asks_for_the_offer_that_the_report_does_not_name() -> None:
    outcome, http = await price_told(
        offers(offer()), (200, {"responses": [{"sku": "MUG", "offerId": "36445435465", "statusCode": 200}]})
    )
    assert isinstance(outcome, Accepted)
    [entry] = json.loads(http.asked[1].body)["requests"]
    assert entry["offers"] == [{"offerId": "36445435465", "price": {"value": "16.00", "currency": "USD"}}]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(NONE, Rejected), ((503, b""), Throttled), (NoAnswer("gone", sent=True), Throttled), ((401, {}), Rejected)],
)
async def test_a_price_whose_offer_can_not_be_asked_is_not_told(answer: object, kind: type) -> None:
    outcome, http = await price_told(answer)
    assert isinstance(outcome, kind) and len(http.asked) == 1


# --- both ways, against the emulated eBay -------------------------------------------------------------------------------


async def whole(wire: Wire, cursor: dict[str, Any] | None) -> dict[str, ListingFound]:
    found: dict[str, ListingFound] = {}
    while True:
        page = await wire.channel.catalogue(wire, cursor)
        found |= {one.outlet_external_id: one for one in page.listings}
        if page.cursor is None:
            return found
        wire.pass_time(page.again_in_s)
        cursor = page.cursor


async def test_the_join_says_what_one_by_one_says() -> None:
    goods = [Product(f"MUG-{n}", f"Mug {n}", 1_000 + n, "USD", 5) for n in range(240)]
    goods += [Product(f"TEE-{size}", "Tee", 2_000, "USD", 2) for size in ("S", "M", "L")]
    wire = Wire("ebay", goods)
    wire.market.console("set_offer_quantity", sku="MUG-7", quantity=2)
    wire.market.console("set_quantity", sku="MUG-8", quantity=0)
    wire.market.console("end_listing", sku="MUG-9")
    joined = await whole(wire, None)
    asked = Counter(wire.judge.requests)
    one_by_one = await whole(wire, {"page": 0})
    if PRESENT:
        assert wire.judge.violations == []
        assert asked["getOffers"] == 3, "the pinned, the sold out and the ended one"
    assert len(joined) == 243 and set(joined) == set(one_by_one)
    for sku, listing in joined.items():
        other = one_by_one[sku]
        strip = {**other.extra, "offers": listing.extra["offers"]}
        assert listing == msgspec.structs.replace(other, extra=strip), sku
    assert (
        joined["MUG-7"].extra["pinned"] and joined["MUG-8"].state == "out_of_stock" and joined["MUG-9"].state == "draft"
    )
    assert len({joined[f"TEE-{size}"].ration_unit for size in "SML"}) == 1
