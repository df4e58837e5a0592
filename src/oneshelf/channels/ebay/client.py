"""eBay's endpoints, one method each, under eBay's names.

In: ids, bodies. Out: requests (without authorization) and, for reads, decoded answers. Never: retries or waits.
Source: eBay Sell Inventory 1.18.5, Sell Fulfillment 1.20.6, Identity 2.0.0, read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote, urlencode

import msgspec

from oneshelf.channels.contract import Http, Request, Response
from oneshelf.channels.ebay.answers import body_of_read
from oneshelf.channels.ebay.wire import explained_body, objects, text
from oneshelf.core.errors import Retry

#: Source: getOrders `limit`, at most 200; bulk calls take at most 25.
ORDERS_MAX = 200
BULK_MAX = 25

#: errorId "offer not available" (an inventory item without one); "Invalid order ID".
_NO_OFFER = 25713
#: errorIds that say: there is no such SKU.
NO_SKU = {25702, 25710}
_NO_ORDER = 32100
_JSON = {"content-type": "application/json"}
#: What the address of a new feed task ends with.
_TASK = re.compile(r"/inventory_task/([^/?]+)$")

#: Content language of each site. Source: eBay Sell Inventory, LocaleEnum.
LOCALES = {
    "EBAY_GB": "en-GB",
    "EBAY_AU": "en-AU",
    "EBAY_CA": "en-CA",
    "EBAY_IE": "en-IE",
    "EBAY_DE": "de-DE",
    "EBAY_AT": "de-AT",
    "EBAY_CH": "de-CH",
    "EBAY_FR": "fr-FR",
    "EBAY_BE": "fr-BE",
    "EBAY_IT": "it-IT",
    "EBAY_ES": "es-ES",
    "EBAY_NL": "nl-NL",
    "EBAY_PL": "pl-PL",
}


class Orders(msgspec.Struct):
    """A page of orders; each stays as raw bytes."""

    orders: list[msgspec.Raw] = []
    total: int | None = None
    next: str | None = None


class Items(msgspec.Struct, rename="camel"):
    """A page of inventory items."""

    inventory_items: list[dict[str, Any]] = []
    total: int | None = None
    next: str | None = None


class EbayClient:
    """Requests for one seller."""

    def __init__(self, endpoint: str, apiz_endpoint: str, locale: str) -> None:
        self._api = endpoint.rstrip("/")
        self._apiz = apiz_endpoint.rstrip("/")
        self._inventory = f"{self._api}/sell/inventory/v1"
        self._fulfillment = f"{self._api}/sell/fulfillment/v1"
        self._feed = f"{self._api}/sell/feed/v1"
        # Live refuses inventory reads without a valid Accept-Language.
        self._language = {"accept-language": locale}

    # --- who -----------------------------------------------------------------------------------------------------

    async def get_user(self, http: Http) -> dict[str, Any]:
        """GET apiz /commerce/identity/v1/user/ → {userId, username, registrationMarketplaceId}."""
        request = Request(method="GET", url=f"{self._apiz}/commerce/identity/v1/user/", operation="getUser")
        return body_of_read(request, await http.request(request), dict[str, Any])

    async def trading(self, http: Http, call: str, inner: str) -> Response:
        """One Trading call. Its errors come with HTTP 200. `inner` is the request's content, escaped."""
        request = Request(
            method="POST",
            url=f"{self._api}/ws/api.dll",
            operation=call,
            headers={
                "content-type": "text/xml",
                "x-ebay-api-call-name": call,
                "x-ebay-api-siteid": "0",
                "x-ebay-api-compatibility-level": "1193",
            },
            body=(
                f'<?xml version="1.0" encoding="utf-8"?><{call}Request xmlns="urn:ebay:apis:eBLBaseComponents">'
                f"{inner}</{call}Request>"
            ).encode(),
            timeout_s=60.0,
        )
        return await http.request(request)

    # --- orders --------------------------------------------------------------------------------------------------

    async def get_orders(self, http: Http, *, start: str, offset: int) -> tuple[Orders, datetime]:
        """GET /order by last change since `start`, inclusive, oldest creation first. `offset` counts records."""
        asked = {
            "filter": f"lastmodifieddate:[{start}..]",
            "fieldGroups": "TAX_BREAKDOWN",
            "limit": ORDERS_MAX,
            "offset": offset,
        }
        request = Request(
            method="GET",
            url=f"{self._fulfillment}/order?{urlencode(asked, quote_via=quote, safe='')}",
            operation="getOrders",
            timeout_s=60.0,
        )
        response = await http.request(request)
        return body_of_read(request, response, Orders), response.received_at

    async def get_order(self, http: Http, order_id: str) -> Response | None:
        """GET /order/{orderId}; only here cancelRequests are filled. None: eBay does not know the id."""
        request = Request(
            method="GET",
            url=f"{self._fulfillment}/order/{quote(order_id, safe='')}?fieldGroups=TAX_BREAKDOWN",
            operation="getOrder",
        )
        response = await http.request(request)
        unknown = response.status == 400 and explained_body(response.body).error_id == _NO_ORDER
        if response.status == 404 or unknown:
            return None
        body_of_read(request, response, dict[str, Any])
        return response

    async def get_shipping_fulfillments(self, http: Http, order_id: str) -> tuple[msgspec.Raw, datetime]:
        """GET /order/{orderId}/shipping_fulfillment → the list of parcels, as it came."""
        request = Request(
            method="GET",
            url=f"{self._fulfillment}/order/{quote(order_id, safe='')}/shipping_fulfillment",
            operation="getShippingFulfillments",
        )
        response = await http.request(request)
        found = body_of_read(request, response, dict[str, msgspec.Raw])
        if "fulfillments" not in found:
            # The list is required: an answer without it proves no absence.
            raise Retry(f"eBay getShippingFulfillments answered without a list for order {order_id}")
        return found["fulfillments"], response.received_at

    async def create_shipping_fulfillment(self, http: Http, order_id: str, body: Mapping[str, Any]) -> Response:
        """POST /order/{orderId}/shipping_fulfillment: one parcel. 201 without a body; Location ends in its fulfillmentId."""
        request = Request(
            method="POST",
            url=f"{self._fulfillment}/order/{quote(order_id, safe='')}/shipping_fulfillment",
            operation="createShippingFulfillment",
            headers=dict(_JSON),
            body=msgspec.json.encode(body),
            writes=True,
        )
        return await http.request(request)

    # --- cancels (Post-Order) ------------------------------------------------------------------------------------

    async def post_order(
        self,
        http: Http,
        method: str,
        path: str,
        operation: str,
        marketplace_id: str,
        body: Mapping[str, Any] | None,
        signs: Mapping[str, str] | None = None,
    ) -> tuple[Request, Response]:
        """Ask /post-order/v2/cancellation…; its token goes as `IAF`. `signs`: the header that names what is to be signed."""
        request = Request(
            method=method,
            url=f"{self._api}/post-order/v2/cancellation{path}",
            operation=operation,
            headers={"x-ebay-c-marketplace-id": marketplace_id, **({} if body is None else _JSON), **(signs or {})},
            body=b"" if body is None else msgspec.json.encode(body),
            writes=method == "POST" and operation != "checkCancellationEligibility",
        )
        return request, await http.request(request)

    # --- listings ------------------------------------------------------------------------------------------------

    async def get_inventory_items(self, http: Http, *, limit: int, page: int) -> Items:
        """GET /inventory_item. `offset` is a PAGE number here, not a record number."""
        request = Request(
            method="GET",
            url=f"{self._inventory}/inventory_item?{urlencode({'limit': limit, 'offset': page})}",
            operation="getInventoryItems",
            headers=dict(self._language),
        )
        return body_of_read(request, await http.request(request), Items)

    async def get_offers(self, http: Http, sku: str) -> list[dict[str, Any]]:
        """GET /offer?sku=…; an item without an offer answers 404 (25713)."""
        return (await self.get_offers_at(http, sku))[0]

    async def get_offers_at(self, http: Http, sku: str) -> tuple[list[dict[str, Any]], datetime]:
        """The same, with the instant of the answer."""
        asked = urlencode({"sku": sku, "limit": 100, "offset": 0}, quote_via=quote, safe="")
        request = Request(
            method="GET",
            url=f"{self._inventory}/offer?{asked}",
            operation="getOffers",
            headers=dict(self._language),
        )
        response = await http.request(request)
        if response.status == 404 or (response.status == 400 and explained_body(response.body).error_id == _NO_OFFER):
            return [], response.shown_at
        found = body_of_read(request, response, dict[str, Any]).get("offers")
        return objects(found), response.shown_at

    async def get_inventory_item(self, http: Http, sku: str) -> dict[str, Any] | None:
        """GET /inventory_item/{sku}. None: eBay says that there is none."""
        request = Request(
            method="GET",
            url=f"{self._inventory}/inventory_item/{quote(sku, safe='')}",
            operation="getInventoryItem",
            headers=dict(self._language),
        )
        response = await http.request(request)
        if response.status == 404 or (response.status == 400 and explained_body(response.body).error_id in NO_SKU):
            return None
        return body_of_read(request, response, dict[str, Any])

    # --- the report of all active listings (Sell Feed) -------------------------------------------------------------

    async def create_inventory_task(self, http: Http, marketplace_id: str) -> str:
        """POST /inventory_task: ask for the Active Inventory Report; return the task's id, "" if eBay does not give this seller one.

        400 a day, feed type and seller (160025); a refusal says nothing about the account.
        """
        request = Request(
            method="POST",
            url=f"{self._feed}/inventory_task",
            operation="createInventoryTask",
            headers={**_JSON, "x-ebay-c-marketplace-id": marketplace_id},
            body=msgspec.json.encode(
                {
                    "feedType": "LMS_ACTIVE_INVENTORY_REPORT",
                    "schemaVersion": "1.0",
                    "filterCriteria": {"listingFormat": "FIXED_PRICE"},
                }
            ),
            writes=True,
        )
        response = await http.request(request)
        if response.status in (400, 403, 404, 409):
            return ""
        if not 200 <= response.status < 300:
            body_of_read(request, response, dict[str, Any])
        made = _TASK.search(response.headers.get("location", ""))
        return unquote(made[1]) if made else ""

    async def get_inventory_task(self, http: Http, task_id: str) -> str | None:
        """GET /inventory_task/{task_id} → its status (FeedStatusEnum); None: eBay does not know the task."""
        request = Request(
            method="GET",
            url=f"{self._feed}/inventory_task/{quote(task_id, safe='')}",
            operation="getInventoryTask",
        )
        response = await http.request(request)
        if response.status in (400, 403, 404):
            return None
        return text(body_of_read(request, response, dict[str, Any]).get("status"))

    async def get_result_file(self, http: Http, task_id: str) -> bytes | None:
        """GET /task/{task_id}/download_result_file → the file as it came; None: there is none."""
        request = Request(
            method="GET",
            url=f"{self._feed}/task/{quote(task_id, safe='')}/download_result_file",
            operation="getResultFile",
            timeout_s=120.0,
        )
        response = await http.request(request)
        if response.status in (400, 403, 404):
            return None
        if not 200 <= response.status < 300:
            body_of_read(request, response, dict[str, Any])
        return response.body

    # --- listings made elsewhere -----------------------------------------------------------------------------------

    async def bulk_migrate_listing(self, http: Http, listing_ids: Sequence[str]) -> Response:
        """POST /bulk_migrate_listing: 1 to 5 listings made elsewhere come under Sell Inventory, for good."""
        request = Request(
            method="POST",
            url=f"{self._inventory}/bulk_migrate_listing",
            operation="bulkMigrateListing",
            headers=dict(_JSON),
            body=msgspec.json.encode({"requests": [{"listingId": one} for one in listing_ids]}),
            writes=True,
            timeout_s=60.0,
        )
        return await http.request(request)

    async def bulk_get_inventory_item(self, http: Http, skus: Sequence[str]) -> tuple[Request, Response]:
        """POST /bulk_get_inventory_item: up to 25 different SKUs. It only reads."""
        request = Request(
            method="POST",
            url=f"{self._inventory}/bulk_get_inventory_item",
            operation="bulkGetInventoryItem",
            headers={**_JSON, **self._language},
            body=msgspec.json.encode({"requests": [{"sku": sku} for sku in skus]}),
        )
        return request, await http.request(request)

    async def bulk_update_price_quantity(self, http: Http, entries: Sequence[Mapping[str, Any]]) -> Response:
        """POST /bulk_update_price_quantity: up to 25 entries, one a SKU; what an entry leaves out stays as it is."""
        request = Request(
            method="POST",
            url=f"{self._inventory}/bulk_update_price_quantity",
            operation="bulkUpdatePriceQuantity",
            headers=dict(_JSON),
            body=msgspec.json.encode({"requests": entries}),
            writes=True,
        )
        return await http.request(request)
