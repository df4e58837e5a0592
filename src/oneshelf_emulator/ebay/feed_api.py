"""Sell Feed, as far as it gives the Active Inventory Report: a task, its state, its file.

In: a Call that passed the gates; the clock. Out: documents, and the report as a zipped XML file. Never: takes uploads.
Source: Sell Feed 1.3.1 (createInventoryTask, getInventoryTask, getResultFile); XML Reference for Sell Feed LMS Feed Types,
ActiveInventoryReport; a report recorded on 2026-09-22; read 2026-11.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from starlette.responses import Response

from .formats import amount, instant
from .refused import Refused
from .seller import Listing, Offer
from .wire import Call, Operation

if TYPE_CHECKING:
    from .emulator import Ebay

BASE = "/sell/feed/v1"
FEED_TYPE = "LMS_ACTIVE_INVENTORY_REPORT"
FORMATS = ("AUCTION", "FIXED_PRICE")
SITES = frozenset(
    f"EBAY_{site}" for site in ("US", "MOTORS_US", "CA", "GB", "AU", "DE", "AT", "CH", "FR", "BE", "IT", "ES", "NL", "IE", "PL")
)  # fmt: skip


@dataclass
class Task:
    task_id: str
    created_at: datetime
    listing_format: str | None
    fails: bool
    file: bytes | None = None


class FeedApi:
    def __init__(self, ebay: Ebay) -> None:
        self.ebay = ebay
        self.tasks: dict[str, Task] = {}

    def table(self) -> list[Operation]:
        scopes = ("sell.inventory",)
        return [
            Operation(
                "createInventoryTask", "POST", f"{BASE}/inventory_task", "sell.feed", "user", scopes, self.create
            ),
            Operation(
                "getInventoryTask", "GET", f"{BASE}/inventory_task/{{task_id}}", "sell.feed", "user", scopes, self.get
            ),
            Operation(
                "getResultFile", "GET", f"{BASE}/task/{{task_id}}/download_result_file", "sell.feed", "user", scopes,
                self.download,
            ),
        ]  # fmt: skip

    def create(self, call: Call) -> Any:
        call.query()
        body = call.body("feedType", "schemaVersion", "filterCriteria")
        if call.request.headers.get("x-ebay-c-marketplace-id") not in SITES:
            raise Refused(160027)
        if body.get("feedType") != FEED_TYPE:
            raise Refused(160017)
        if body.get("schemaVersion") != "1.0":
            raise Refused(160018)
        criteria = body.get("filterCriteria", {})
        if not isinstance(criteria, dict) or set(criteria) - {"listingFormat"}:
            raise Refused(160019)
        if criteria.get("listingFormat", FORMATS[0]) not in FORMATS:
            raise Refused(160019, "listingFormat")
        if not self.ebay.quotas.take("lms_task"):
            raise Refused(160025)
        now, number = self.ebay.world.clock.now(), 10_000_000 + len(self.tasks)
        share = float(self.ebay.switches["failed_report_share"])
        fails = share > 0 and self.ebay.rng.random() < share
        task = Task(f"task-10-{number}", now, criteria.get("listingFormat"), fails)
        self.tasks[task.task_id] = task
        href = f"https://api.ebay.com{BASE}/inventory_task/{task.task_id}"
        return Response(status_code=202, headers={"location": href})

    def get(self, call: Call) -> Any:
        call.query()
        task = self._task(call)
        status = self._status(task)
        document: dict[str, Any] = {
            "taskId": task.task_id,
            "status": status,
            "feedType": FEED_TYPE,
            "creationDate": instant(task.created_at),
            "schemaVersion": "1.0",
            "detailHref": f"https://api.ebay.com{BASE}/inventory_task/{task.task_id}",
        }
        if task.listing_format:
            document["filterCriteria"] = {"listingFormat": task.listing_format}
        if status == "COMPLETED":
            document["completionDate"] = instant(task.created_at + self._takes())
        return document

    def download(self, call: Call) -> Any:
        call.query()
        task = self._task(call)
        if self._status(task) != "COMPLETED":
            raise Refused(160014, task.task_id)
        if task.file is None:
            task.file = self._file(task)
        name = f"{task.task_id}.zip"
        headers = {"content-disposition": f"attachment; filename={name}"}
        return Response(task.file, media_type="application/octet-stream", headers=headers)

    def _task(self, call: Call) -> Task:
        task = self.tasks.get(call.part("task_id"))
        if task is None:
            raise Refused(160003, call.part("task_id"))
        return task

    def _takes(self) -> timedelta:
        return timedelta(seconds=self.ebay.world.clock.shortened(float(self.ebay.switches["report_s"])))

    def _status(self, task: Task) -> str:
        elapsed, takes = self.ebay.world.clock.now() - task.created_at, self._takes()
        if elapsed < takes:
            return "QUEUED" if elapsed < takes / 2 else "IN_PROCESS"
        return "FAILED" if task.fails else "COMPLETED"

    def _file(self, task: Task) -> bytes:
        """Return the zipped report of what is on sale at the first look."""
        rows = "\n".join(self._details(listing) for listing in self._listings(task.listing_format))
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<BulkDataExchangeResponses xmlns="urn:ebay:apis:eBLBaseComponents">'
            f"<ActiveInventoryReport>\n{rows}\n</ActiveInventoryReport></BulkDataExchangeResponses>"
        )
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{task.task_id}.xml", text)
        return packed.getvalue()

    def _listings(self, listing_format: str | None) -> list[Listing]:
        states = {"ACTIVE", "OUT_OF_STOCK"} if self.ebay.switches["report_has_out_of_stock"] else {"ACTIVE"}
        return [
            listing
            for listing in self.ebay.seller.listings.values()
            if listing.status in states
            and (listing_format is None or listing.fixed_price == (listing_format == "FIXED_PRICE"))
        ]

    def _details(self, listing: Listing) -> str:
        offers = [self.ebay.seller.offers[offer_id] for offer_id in listing.offer_ids]
        if not any(offer.variation_id for offer in offers):
            return f"<SKUDetails>{self._row(offers[0])}<ItemID>{listing.listing_id}</ItemID></SKUDetails>"
        rows = "".join(f"<Variation>{self._row(offer)}</Variation>" for offer in offers)
        price = self._price(min(offers, key=lambda offer: offer.price_minor))
        total = sum(self.ebay.seller.could_show(offer) for offer in offers)
        return (
            f"<SKUDetails>{price}<Quantity>{total}</Quantity><ItemID>{listing.listing_id}</ItemID>"
            f"<Variations>{rows}</Variations></SKUDetails>"
        )

    def _row(self, offer: Offer) -> str:
        named = self.ebay.seller.items[offer.sku].named
        sku = f"<SKU>{escape(offer.sku)}</SKU>" if named else ""
        return f"{sku}{self._price(offer)}<Quantity>{self.ebay.seller.could_show(offer)}</Quantity>"

    def _price(self, offer: Offer) -> str:
        value = amount(offer.price_minor, offer.currency)["value"]
        return f'<Price currencyID="{offer.currency}">{value}</Price>'
