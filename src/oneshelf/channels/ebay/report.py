"""The Active Inventory Report: every active listing of a seller with its SKUs, prices and numbers, whoever made it. Pure.

In: the result file of a feed task. Out: rows by SKU. Never: network; takes half a file for a whole one.
Seen in the wild: zip, gzip and plain XML, under a content type that is none of them, so the first bytes decide.
Source: XML Reference for Sell Feed LMS Feed Types, ActiveInventoryReport (SKUDetails: ItemID, Price, Quantity, SKU, Variations); a report
recorded on 2026-09-22; read 2026-11. It has no titles, offers, variation ids or sites. Unconfirmed: whether Quantity counts sold pieces
too, and whether a listing that is out of stock is in it.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, NamedTuple
from xml.etree import ElementTree

from oneshelf.channels.ebay.wire import money, text, whole
from oneshelf.core.errors import Unreadable

#: A report is never longer than this unpacked. 100,000 SKUs are about 20 MB.
UNPACKED_MAX = 1 << 30
_CHUNK = 1 << 16
_NS = "{urn:ebay:apis:eBLBaseComponents}"


class Row(NamedTuple):
    """One SKU of a listing as the report shows it."""

    listing_id: str
    quantity: int | None
    price_minor: int | None
    currency: str | None


class Report:
    """Rows by SKU (a SKU may be in several listings), and the listings of which a part has no SKU."""

    def __init__(self) -> None:
        self.by_sku: dict[str, tuple[Row, ...]] = {}
        self.nameless: set[str] = set()

    def add(self, sku: str | None, row: Row) -> None:
        if sku is None:
            self.nameless.add(row.listing_id)
        else:
            self.by_sku[sku] = (*self.by_sku.get(sku, ()), row)


def parsed(body: bytes) -> Report:
    """Read a result file. Raises Unreadable if it is no whole report."""
    report, there = Report(), False
    parents: list[ElementTree.Element] = []
    parser: Any = ElementTree.XMLPullParser(events=("start", "end"))
    try:
        for chunk in _unpacked(body):
            parser.feed(chunk)
            for event, element in parser.read_events():
                if event == "start":
                    parents.append(element)
                    continue
                parents.pop()
                name = element.tag.removeprefix(_NS)
                if name == "SKUDetails":
                    _details(report, element)
                    parents[-1].remove(element)  # a large report must not be kept as a tree
                elif name == "Ack" and (element.text or "").strip() == "Failure":
                    raise Unreadable("eBay's active inventory report says Failure")
                there = there or name == "ActiveInventoryReport"
        parser.close()
    except (ElementTree.ParseError, zipfile.BadZipFile, zlib.error, OSError, EOFError, IndexError) as bad:
        raise Unreadable(f"eBay's active inventory report can't be read: {bad}") from bad
    if not there:
        raise Unreadable("eBay's file holds no ActiveInventoryReport")
    return report


def _unpacked(body: bytes) -> Iterator[bytes]:
    source: IO[bytes] | gzip.GzipFile = io.BytesIO(body)
    if body.startswith(b"PK\x03\x04"):
        archive = zipfile.ZipFile(source)
        source = archive.open([name for name in archive.namelist() if not name.endswith("/")][0])
    elif body.startswith(b"\x1f\x8b"):
        source = gzip.GzipFile(fileobj=source)
    left = UNPACKED_MAX
    while chunk := source.read(_CHUNK):
        left -= len(chunk)
        if left < 0:
            raise Unreadable(f"eBay's active inventory report is longer than {UNPACKED_MAX} bytes")
        yield chunk


def _details(report: Report, details: ElementTree.Element) -> None:
    listing_id = _said(details, "ItemID")
    if listing_id is None:
        return
    variations = details.findall(f"{_NS}Variations/{_NS}Variation") or details.findall("Variations/Variation")
    for one in variations or [details]:
        report.add(_said(one, "SKU"), _row(listing_id, one))


def _row(listing_id: str, one: ElementTree.Element) -> Row:
    asked = _child(one, "Price")
    price = None
    if asked is not None:
        try:
            price = money({"value": asked.text, "currency": asked.get("currencyID")})
        except Unreadable:  # a price that is none does not hide the listing
            price = None
    quantity = whole(_said(one, "Quantity"))
    return Row(listing_id, quantity, price.minor if price else None, price.currency if price else None)


def _child(one: ElementTree.Element, name: str) -> ElementTree.Element | None:
    found = one.find(f"{_NS}{name}")
    return one.find(name) if found is None else found


def _said(one: ElementTree.Element, name: str) -> str | None:
    found = _child(one, name)
    return None if found is None else text(found.text)
