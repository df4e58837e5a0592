"""Reports API 2021-06-30, with one report: all listings of the seller in one marketplace.

A report is what the listings were when it was worked on, or when an earlier one of the same kind was: Amazon gives the same content
again for some hours. Its text is Windows-1252, and what that does not have has become "?".
Source: Amazon model reports_2021-06-30; pages report-type-values-inventory (one marketplace a report, for its sibling; cached one to six
hours) and inventory-reports-attributes (columns); selling-partner-api-models issues 2748 and 4888 (encoding); read 2026-11.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .limits import MARKETPLACES, REPORTS
from .lists import Pages, Row
from .shelf import MERCHANT, Listing
from .wire import DENIED, Refusal, decimal_text, json_object, one, operation, parse_instant, stamp

if TYPE_CHECKING:
    from .marketplace import Amazon

ALL_LISTINGS = "GET_MERCHANT_LISTINGS_ALL_DATA"
CONTENT_TYPE = "text/plain; charset=Cp1252"
#: Reports are kept so long. Source: model reports_2021-06-30, createdSince.
KEPT_S = 90 * 86_400.0
COLUMNS = (
    "item-name", "item-description", "listing-id", "seller-sku", "price", "quantity", "open-date", "image-url", "item-is-marketplace",
    "product-id-type", "zshop-shipping-fee", "item-note", "item-condition", "zshop-category1", "zshop-browse-path",
    "zshop-storefront-feature", "asin1", "asin2", "asin3", "will-ship-internationally", "expedited-shipping", "zshop-boldface",
    "product-id", "bid-for-featured-placement", "add-delete", "pending-quantity", "fulfillment-channel", "merchant-shipping-group",
    "status",
)  # fmt: skip


@dataclass
class _Report:
    id: str
    kind: str
    marketplace_ids: list[str]
    created_at: datetime
    status: str = "IN_QUEUE"
    started_at: datetime | None = None
    ended_at: datetime | None = None
    document_id: str | None = None

    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "reportId": self.id,
            "reportType": self.kind,
            "marketplaceIds": self.marketplace_ids,
            "createdTime": stamp(self.created_at),
            "processingStatus": self.status,
        }
        if self.started_at:
            found["processingStartTime"] = stamp(self.started_at)
        if self.ended_at:
            found["processingEndTime"] = stamp(self.ended_at)
        if self.document_id:
            found["reportDocumentId"] = self.document_id
        return found


class ReportsApi:
    """Reports of one seller."""

    def __init__(self, amazon: Amazon) -> None:
        self.amazon = amazon
        self.reports: dict[str, _Report] = {}
        self._rng = amazon.world.rng("amazon:reports")
        self._pages = Pages(self._rng)
        self._cached: dict[str, tuple[datetime, bytes]] = {}  # marketplace → when it was made, what it says

    def routes(self) -> list[Route]:
        def route(path: str, method: str, name: str, handler: Any) -> Route:
            return Route(REPORTS + path, operation(self.amazon, name, handler), methods=[method])

        return [
            route("/reports", "GET", "getReports", self.get_reports),
            route("/reports", "POST", "createReport", self.create_report),
            route("/reports/{id}", "GET", "getReport", self.get_report),
            route("/reports/{id}", "DELETE", "cancelReport", self.cancel_report),
            route("/documents/{id}", "GET", "getReportDocument", self.get_document),
        ]

    async def create_report(self, request: Request) -> Response:
        body = await json_object(request)
        kind, places = body.get("reportType"), body.get("marketplaceIds")
        if kind != ALL_LISTINGS:
            raise Refusal(400, "Invalid input", f"reportType {kind} is not one that is made here", "400")
        if not isinstance(places, list) or not 1 <= len(places) <= 25:
            raise Refusal(400, "Invalid input", "marketplaceIds needs 1 to 25 ids", "400")
        if not set(places) <= set(self.amazon.marketplace_ids):
            raise Refusal(403, DENIED)
        options = body.get("reportOptions", {})
        if not isinstance(options, dict) or not all(isinstance(value, str) for value in options.values()):
            raise Refusal(400, "Invalid input", "reportOptions are texts by name", "400")
        for name in ("dataStartTime", "dataEndTime"):
            if name in body:
                parse_instant(str(body[name]), name)
        clock = self.amazon.world.clock
        # One marketplace a report: only the first that is named.
        report = _Report(str(self._rng.randint(10**10, 10**11)), kind, places[:1], clock.now())
        self.reports[report.id] = report
        low, high = self.amazon.switches["report_s"]
        total_s = self._rng.uniform(low, high)
        clock.after(total_s * 0.2, lambda: self._begin(report, total_s * 0.8))
        return JSONResponse({"reportId": report.id}, 202)

    def _begin(self, report: _Report, work_s: float) -> None:
        if report.status != "IN_QUEUE":
            return
        clock = self.amazon.world.clock
        report.status, report.started_at = "IN_PROGRESS", clock.now()
        clock.after(work_s, lambda: self._finish(report))

    def _finish(self, report: _Report) -> None:
        clock = self.amazon.world.clock
        where = report.marketplace_ids[0]
        if self.amazon.switches["report_fatal"]:
            report.status = "FATAL"
        elif not any(where in listing.attributes for listing in self.amazon.shelf.listings.values()):
            report.status = "CANCELLED"  # by itself where there is nothing to tell
        else:
            document = self.amazon.storage.new(CONTENT_TYPE, self._content(where), zipped=True)
            report.status, report.document_id = "DONE", document.id
        report.ended_at = clock.now()
        self.amazon.world.note("amazon", "report_finished", report=report.id, status=report.status)
        self.amazon.notifications.report_finished(report.document())

    def _content(self, where: str) -> bytes:
        clock = self.amazon.world.clock
        kept_s = clock.shortened(float(str(self.amazon.switches["report_cache_s"])))
        known = self._cached.get(where)
        if known is not None and clock.now() - known[0] < timedelta(seconds=kept_s):
            return known[1]
        lines = "\n".join("\t".join(row) for row in self._rows(where)) + "\n"
        content = gzip.compress(lines.encode("cp1252", errors="replace"), compresslevel=1)
        self._cached[where] = (clock.now(), content)
        return content

    def _rows(self, where: str) -> Iterator[tuple[str, ...]]:
        yield COLUMNS
        for listing in self.amazon.shelf.listings.values():
            if where in listing.attributes:
                told = self._told(listing, where)
                yield tuple(_plain(told.get(name, "")) for name in COLUMNS)

    def _told(self, listing: Listing, where: str) -> dict[str, str]:
        price = self.amazon.shelf.price_minor(listing, where)
        quantity = listing.live.get(MERCHANT)
        status = "Incomplete" if not listing.complete else "Active" if listing.buyable_pieces > 0 else "Inactive"
        return {
            "item-name": listing.title,
            "listing-id": f"{int(listing.created_at.timestamp()):011d}",
            "seller-sku": listing.sku,
            "price": "" if price is None else decimal_text(price, MARKETPLACES[where].currency),
            "quantity": "" if quantity is None else str(quantity),
            "open-date": f"{listing.created_at:%Y-%m-%d %H:%M:%S} UTC",
            "item-is-marketplace": "y",
            "item-condition": "11",
            "asin1": listing.asin or "",
            "product-id": listing.asin or "",
            "product-id-type": "1",
            "pending-quantity": "0",
            "fulfillment-channel": self.amazon.shelf.fba_code if listing.by_amazon else MERCHANT,
            "merchant-shipping-group": "Migrated Template",
            "status": status,
        }

    def _report(self, request: Request) -> _Report:
        report = self.reports.get(request.path_params["id"])
        if report is None:
            raise Refusal(404, "The report does not exist.", code="404")
        return report

    async def get_report(self, request: Request) -> Response:
        return JSONResponse(self._report(request).document())

    async def cancel_report(self, request: Request) -> Response:
        report = self._report(request)
        if report.status != "IN_QUEUE":
            raise Refusal(400, f"The report is {report.status} and cannot be cancelled.", code="400")
        report.status = "CANCELLED"
        return JSONResponse({})

    async def get_reports(self, request: Request) -> Response:
        kept_since = self.amazon.world.clock.now() - timedelta(seconds=KEPT_S)
        rows = [
            Row(each.kind, each.status, tuple(each.marketplace_ids), each.created_at, each.document())
            for each in self.reports.values()
        ]
        found, token = self._pages.answer(request, rows, "reportTypes", kept_since)
        return JSONResponse({"reports": found, **({"nextToken": token} if token else {})})

    async def get_document(self, request: Request) -> Response:
        document = self.amazon.storage.filled(request.path_params["id"])
        if document is None:
            raise Refusal(404, "The report document does not exist.", code="404")
        unpacks = one(request, "enableContentEncodingUrlHeader")
        if unpacks not in (None, "true", "false"):
            raise Refusal(400, "Invalid input", "enableContentEncodingUrlHeader is true or false", "400")
        storage = self.amazon.storage
        return JSONResponse(storage.described(document, "reportDocumentId", unpacks=unpacks == "true"))


def _plain(text: str) -> str:
    """A cell has no tab and no line end."""
    return " ".join(text.replace("\t", " ").splitlines())
