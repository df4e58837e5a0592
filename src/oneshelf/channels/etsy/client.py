"""Etsy's endpoints, one method each, under Etsy's names.

In: ids, bodies. Out: requests (without authorization) and, for reads, decoded answers. Never: retries or waits.
Source: Etsy Open API v3 document (info.version 3.0.0, read 2026-08), prefix /v3/application.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

from oneshelf.channels.contract import Http, Request, Response
from oneshelf.channels.etsy.answers import body_of_read
from oneshelf.core.errors import Park

#: Lists give at most so many rows; batch reads take at most so many ids. Source: getShopReceipts `limit`, getListingsByListingIds.
ROWS_MAX = 100


class Rows(msgspec.Struct):
    """A list answer. `results` stay as raw bytes: an order is stored as it came."""

    results: list[msgspec.Raw] = []
    count: int | None = None


class Listings(msgspec.Struct):
    """A list of listings, each with `inventory` when asked for."""

    results: list[dict[str, Any]] = []
    count: int | None = None


class EtsyClient:
    """Requests to one shop."""

    def __init__(self, endpoint: str, shop_id: str) -> None:
        self._base = f"{endpoint.rstrip('/')}/v3/application"
        self._shop_id = shop_id

    @property
    def _shop(self) -> str:
        if not self._shop_id:
            raise Park("Etsy: the account has no shop_id yet; connect the shop again")
        return f"{self._base}/shops/{self._shop_id}"

    # --- who -----------------------------------------------------------------------------------------------------

    async def get_me(self, http: Http) -> dict[str, Any]:
        """GET /users/me → {user_id, shop_id}. Scope shops_r."""
        request = Request(method="GET", url=f"{self._base}/users/me", operation="getMe")
        return body_of_read(request, await http.request(request), dict[str, Any])

    async def get_shop(self, http: Http, shop_id: str) -> dict[str, Any]:
        """GET /shops/{shop_id}."""
        request = Request(method="GET", url=f"{self._base}/shops/{shop_id}", operation="getShop")
        return body_of_read(request, await http.request(request), dict[str, Any])

    async def token_scopes(self, http: Http) -> tuple[frozenset[str], Response]:
        """POST /scopes, form `token` (put in by EtsyAuth.authorized, which has it) → {"scopes": […]}. Changes nothing."""
        request = Request(
            method="POST",
            url=f"{self._base}/scopes",
            operation="tokenScopes",
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        response = await http.request(request)
        given = body_of_read(request, response, dict[str, Any]).get("scopes")
        return frozenset(map(str, given if isinstance(given, list) else ())), response

    async def get_readiness_states(self, http: Http) -> int:
        """GET /shops/{shop}/readiness-state-definitions → how many processing profiles there are. Scope shops_r."""
        request = Request(
            method="GET",
            url=f"{self._shop}/readiness-state-definitions?limit=1",
            operation="getShopReadinessStateDefinitions",
        )
        answer = body_of_read(request, await http.request(request), Rows)
        return len(answer.results) if answer.count is None else answer.count

    # --- orders --------------------------------------------------------------------------------------------------

    async def get_shop_receipts(self, http: Http, *, min_last_modified: int, offset: int) -> tuple[Rows, datetime]:
        """GET /shops/{shop}/receipts, oldest change first, whatever their state. Unix seconds, inclusive."""
        asked = {
            "min_last_modified": min_last_modified,
            "sort_on": "updated",
            "sort_order": "asc",
            "limit": ROWS_MAX,
            "offset": offset,
        }
        request = Request(method="GET", url=f"{self._shop}/receipts?{urlencode(asked)}", operation="getShopReceipts")
        response = await http.request(request)
        return body_of_read(request, response, Rows), response.received_at

    async def get_shop_receipt(self, http: Http, receipt_id: str) -> Response | None:
        """GET /shops/{shop}/receipts/{receipt_id}; None on 404 (cancelled ones have answered 404: #338, #160)."""
        request = Request(method="GET", url=f"{self._shop}/receipts/{receipt_id}", operation="getShopReceipt")
        response = await http.request(request)
        if response.status == 404:
            return None
        body_of_read(request, response, dict[str, Any])
        return response

    async def create_receipt_shipment(self, http: Http, receipt_id: str, body: Mapping[str, Any]) -> Response:
        """POST /shops/{shop}/receipts/{receipt_id}/tracking, JSON (under a form's content type fields are lost: #201). Mails the buyer."""
        request = Request(
            method="POST",
            url=f"{self._shop}/receipts/{receipt_id}/tracking",
            operation="createReceiptShipment",
            headers={"content-type": "application/json"},
            body=msgspec.json.encode(body),
            writes=True,
        )
        return await http.request(request)

    # --- listings ------------------------------------------------------------------------------------------------

    async def get_listings_by_shop(self, http: Http, state: str, offset: int) -> Listings:
        """GET /shops/{shop}/listings?state=…&includes=Inventory: one state a call."""
        asked = {"state": state, "limit": ROWS_MAX, "offset": offset, "includes": "Inventory"}
        request = Request(
            method="GET", url=f"{self._shop}/listings?{urlencode(asked)}", operation="getListingsByShop", timeout_s=60.0
        )
        return body_of_read(request, await http.request(request), Listings)

    async def get_listings_inventory_by_listing_ids(
        self, http: Http, listing_ids: Sequence[str]
    ) -> tuple[Listings, datetime] | None:
        """GET /listings/batch/inventory?listing_ids=1,2 (at most 100). None on 404: one unknown id fails them all."""
        asked = urlencode({"listing_ids": ",".join(listing_ids)}, safe=",")
        request = Request(
            method="GET",
            url=f"{self._base}/listings/batch/inventory?{asked}",
            operation="getListingsInventoryByListingIds",
            timeout_s=60.0,
        )
        response = await http.request(request)
        if response.status == 404:
            return None
        return body_of_read(request, response, Listings), response.shown_at

    async def get_listing_inventory(self, http: Http, listing_id: str) -> tuple[dict[str, Any], datetime] | None:
        """GET /listings/{id}/inventory?includes=Listing. None on 404: no such listing, or one without an inventory record."""
        request = Request(
            method="GET",
            url=f"{self._base}/listings/{listing_id}/inventory?includes=Listing",
            operation="getListingInventory",
        )
        response = await http.request(request)
        if response.status == 404:
            return None
        return body_of_read(request, response, dict[str, Any]), response.shown_at

    async def get_listing(self, http: Http, listing_id: str) -> tuple[dict[str, Any] | None, datetime]:
        """GET /listings/{id}. None: 404."""
        request = Request(method="GET", url=f"{self._base}/listings/{listing_id}", operation="getListing")
        response = await http.request(request)
        if response.status == 404:
            return None, response.shown_at
        return body_of_read(request, response, dict[str, Any]), response.shown_at

    async def update_listing_inventory(
        self, http: Http, listing_id: str, body: Mapping[str, Any], *, three_variations: bool
    ) -> Response:
        """PUT /listings/{id}/inventory, JSON: the whole truth, no version, no condition."""
        query = "?max_variations_supported=3" if three_variations else ""
        request = Request(
            method="PUT",
            url=f"{self._base}/listings/{listing_id}/inventory{query}",
            operation="updateListingInventory",
            headers={"content-type": "application/json"},
            body=msgspec.json.encode(body),
            writes=True,
        )
        return await http.request(request)

    async def update_listing(self, http: Http, listing_id: str, state: str) -> Response:
        """PATCH /shops/{shop}/listings/{id}, form: `state` active or inactive. Price and quantity would be ignored (#582)."""
        request = Request(
            method="PATCH",
            url=f"{self._shop}/listings/{listing_id}",
            operation="updateListing",
            headers={"content-type": "application/x-www-form-urlencoded"},
            body=urlencode({"state": state}).encode(),
            writes=True,
        )
        return await http.request(request)
