"""Listings Items API 2021-08-01: read, search, patch, put, delete.

A write is checked and answered at once, and applied later: ACCEPTED is neither done nor proof that the SKU exists.
Source: Amazon model listingsItems_2021-08-01; thread amzn/selling-partner-api-docs#3748, read 2026-11.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .limits import LISTINGS, MARKETPLACES
from .patches import Issue, Malformed, issue, issues_of_attribute, issues_of_patches, read_patches
from .shelf import MERCHANT, Listing
from .wire import DENIED, Refusal, json_object, listed, money, number, one, operation, parse_instant, stamp

if TYPE_CHECKING:
    from .marketplace import Amazon

READABLE = frozenset(
    {
        "summaries",
        "attributes",
        "issues",
        "offers",
        "fulfillmentAvailability",
        "procurement",
        "relationships",
        "productTypes",
    }
)
SKU_LENGTH_MAX = 40
#: Paging reaches this many items. Source: page of searchListingsItems.
REACHABLE = 1000
IDENTIFIER_TYPES = frozenset({"ASIN", "EAN", "FNSKU", "GTIN", "ISBN", "JAN", "MINSAN", "SKU", "UPC"})
REQUIREMENTS = ("LISTING", "LISTING_PRODUCT_ONLY", "LISTING_OFFER_ONLY")
#: Without these an offer on an existing ASIN is INVALID.
OFFER_NEEDS = ("condition_type", "merchant_suggested_asin", "purchasable_offer")


class ListingsApi:
    """The five operations on one seller's listings."""

    def __init__(self, amazon: Amazon) -> None:
        self.amazon = amazon
        self._rng = amazon.world.rng("amazon:listings")
        self._applied_at: dict[str, datetime] = {}  # per SKU: when its latest accepted write takes effect
        #: token → the search it belongs to, where its page begins, and what that search had found.
        self.pages: dict[str, tuple[str, int, list[Listing]]] = {}

    def routes(self) -> list[Route]:
        def route(path: str, method: str, name: str, handler: Any) -> Route:
            return Route(LISTINGS + path, operation(self.amazon, name, handler), methods=[method])

        return [
            route("/{seller}/{sku}", "GET", "getListingsItem", self.get),
            route("/{seller}/{sku}", "PATCH", "patchListingsItem", self.patch),
            route("/{seller}/{sku}", "PUT", "putListingsItem", self.put),
            route("/{seller}/{sku}", "DELETE", "deleteListingsItem", self.delete),
            route("/{seller}", "GET", "searchListingsItems", self.search),
        ]

    # What every operation reads from the request

    def _seller(self, request: Request) -> None:
        if unquote(request.path_params["seller"]) != self.amazon.seller_id:
            raise Refusal(403, DENIED)

    def _sku(self, request: Request) -> str:
        sku = unquote(request.path_params["sku"])
        if not sku.strip() or len(sku) > SKU_LENGTH_MAX:
            raise Refusal(400, "Invalid input", f"a SKU has 1 to {SKU_LENGTH_MAX} characters", "BAD_REQUEST")
        return sku

    def _marketplaces(self, request: Request, most: int | None = None) -> list[str]:
        ids = listed(request, "marketplaceIds", most=most)
        if ids is None:
            raise Refusal(400, "Invalid input", "marketplaceIds is required", "BAD_REQUEST")
        for each in ids:
            if each not in MARKETPLACES:
                raise Refusal(400, "Invalid input", f"'{each}' is not a marketplace id", "BAD_REQUEST")
            if each not in self.amazon.marketplace_ids:
                raise Refusal(403, DENIED, f"the seller does not sell in {each}")
        return ids

    # Reading

    async def get(self, request: Request) -> Response:
        self._seller(request)
        sku, ids = self._sku(request), self._marketplaces(request)
        parts = listed(request, "includedData", allowed=READABLE) or ["summaries"]
        listing = self.amazon.shelf.listings.get(sku)
        if listing is None or not any(each in listing.attributes for each in ids):
            raise Refusal(404, f"SKU '{sku}' not found in marketplace {', '.join(ids)}")
        return JSONResponse(self.render(listing, ids, parts))

    async def search(self, request: Request) -> Response:
        self._seller(request)
        ids = self._marketplaces(request)
        parts = listed(request, "includedData", allowed=READABLE) or ["summaries"]
        size = number(request, "pageSize", 10, 1, 20)
        asked = str(sorted((name, value) for name, value in request.query_params.items() if name != "pageToken"))
        token = one(request, "pageToken")
        start, found = self._page_of(token, asked) if token is not None else (0, self._found(request, ids))
        page = found[start : start + size]
        answer: dict[str, Any] = {
            "numberOfResults": len(found),
            "items": [self.render(listing, ids, parts) for listing in page],
        }
        pagination = {}
        if start + size < min(len(found), REACHABLE):
            pagination["nextToken"] = self._page_token(asked, start + size, found)
        if start:
            pagination["previousToken"] = self._page_token(asked, max(0, start - size), found)
        if pagination:
            answer["pagination"] = pagination
        return JSONResponse(answer)

    def _page_of(self, token: str, asked: str) -> tuple[int, list[Listing]]:
        """Return where a page begins and what its search had found, less what has been deleted since."""
        known = self.pages.get(token)
        if known is None or known[0] != asked:
            raise Refusal(400, "Invalid input", "pageToken does not belong to these parameters", "BAD_REQUEST")
        there = self.amazon.shelf.listings
        return known[1], known[2] if all(each.sku in there for each in known[2]) else [
            e for e in known[2] if e.sku in there
        ]

    def _page_token(self, asked: str, start: int, found: list[Listing]) -> str:
        token = f"{self._rng.getrandbits(160):040x}"
        self.pages[token] = (asked, start, found)
        while len(self.pages) > 10_000:
            self.pages.pop(next(iter(self.pages)))
        return token

    def _found(self, request: Request, ids: list[str]) -> list[Listing]:
        listings = [each for each in self._identified(request) if any(id_ in each.attributes for id_ in ids)]
        for name, keep in self._filters(request, ids):
            if one(request, name) is not None:
                listings = [each for each in listings if keep(each)]
        by = one(request, "sortBy") or "lastUpdatedDate"
        order = one(request, "sortOrder") or "DESC"
        keys: dict[str, Callable[[Listing], Any]] = {
            "sku": lambda each: each.sku,
            "createdDate": lambda each: (each.created_at, each.sku),
            "lastUpdatedDate": lambda each: (each.updated_at, each.sku),
        }
        if by not in keys or order not in ("ASC", "DESC"):
            raise Refusal(400, "Invalid input", "sortBy or sortOrder is unknown", "BAD_REQUEST")
        return sorted(listings, key=keys[by], reverse=order == "DESC")

    def _identified(self, request: Request) -> list[Listing]:
        wanted = listed(request, "identifiers", most=20)
        kind = one(request, "identifiersType")
        if (wanted is None) != (kind is None):
            raise Refusal(400, "Invalid input", "identifiers and identifiersType go together", "BAD_REQUEST")
        listings = self.amazon.shelf.listings
        if wanted is None:
            return list(listings.values())
        if kind not in IDENTIFIER_TYPES:
            raise Refusal(400, "Invalid input", f"identifiersType {kind} is unknown", "BAD_REQUEST")
        # A SKU may hold a comma, which the comma-joined list cannot carry: such a SKU is not found here.
        names = dict.fromkeys(wanted)
        if kind == "SKU":
            return [listings[name] for name in names if name in listings]
        return [each for each in listings.values() if kind == "ASIN" and each.asin in names]

    def _filters(self, request: Request, ids: list[str]) -> list[tuple[str, Callable[[Listing], bool]]]:
        def after(name: str) -> datetime:
            return parse_instant(one(request, name) or "", name)

        def statuses(name: str) -> set[str]:
            return set(listed(request, name, allowed=("BUYABLE", "DISCOVERABLE")) or [])

        def severities() -> set[str]:
            return set(listed(request, "withIssueSeverity", allowed=("WARNING", "ERROR")) or [])

        return [
            ("createdAfter", lambda each: each.created_at >= after("createdAfter")),
            ("createdBefore", lambda each: each.created_at <= after("createdBefore")),
            ("lastUpdatedAfter", lambda each: each.updated_at >= after("lastUpdatedAfter")),
            ("lastUpdatedBefore", lambda each: each.updated_at <= after("lastUpdatedBefore")),
            ("withStatus", lambda each: bool(statuses("withStatus") & set(self.status_of(each, ids[0])))),
            ("withoutStatus", lambda each: not statuses("withoutStatus") & set(self.status_of(each, ids[0]))),
            ("withIssueSeverity", lambda each: any(found["severity"] in severities() for found in each.issues)),
        ]

    def status_of(self, listing: Listing, where: str) -> list[str]:
        """Return what a listing is in one marketplace: buyable, found, or nothing."""
        if not listing.complete or listing.closed or self.amazon.shelf.price_minor(listing, where) is None:
            return []
        return (["BUYABLE"] if listing.buyable_pieces > 0 else []) + ["DISCOVERABLE"]

    def render(self, listing: Listing, ids: list[str], parts: list[str]) -> dict[str, Any]:
        """Return the Item document with the data sets asked for."""
        here = [each for each in ids if each in listing.attributes]
        item: dict[str, Any] = {"sku": listing.sku}
        if "summaries" in parts:
            item["summaries"] = [self._summary(listing, where) for where in here]
        if "attributes" in parts:
            item["attributes"] = _joined_attributes(listing, here)
        if "issues" in parts:
            item["issues"] = listing.issues
        if "offers" in parts:
            item["offers"] = [offer for where in here if (offer := self._offer(listing, where))]
        if "fulfillmentAvailability" in parts:
            item["fulfillmentAvailability"] = self._availability(listing)
        if "productTypes" in parts:
            item["productTypes"] = [{"marketplaceId": where, "productType": listing.product_type} for where in here]
        if "relationships" in parts:
            item["relationships"] = [{"marketplaceId": where, "relationships": []} for where in here]
        return item

    def _summary(self, listing: Listing, where: str) -> dict[str, Any]:
        summary: dict[str, Any] = {
            "marketplaceId": where,
            "productType": listing.product_type,
            "conditionType": listing.condition,
            "status": self.status_of(listing, where),
            "createdDate": stamp(listing.created_at),
            "lastUpdatedDate": stamp(listing.updated_at),
        }
        if listing.asin:
            summary |= {"asin": listing.asin, "itemName": listing.title}
        return summary

    def _offer(self, listing: Listing, where: str) -> dict[str, Any] | None:
        price = self.amazon.shelf.price_minor(listing, where)
        if price is None:
            return None
        return {
            "marketplaceId": where,
            "offerType": "B2C",
            "price": money(price, MARKETPLACES[where].currency),
            "audience": {"value": "ALL", "displayName": "Sell on Amazon"},
        }

    def _availability(self, listing: Listing) -> list[dict[str, Any]]:
        stale = MERCHANT in listing.live and self.amazon.world.faults.roll("stale_read", "amazon", "getListingsItem")
        found = []
        for code, quantity in listing.live.items():
            if code == MERCHANT and stale:
                quantity = self.amazon.shelf.stale_live(listing)
            found.append({"fulfillmentChannelCode": code} | ({} if quantity is None else {"quantity": quantity}))
        return found

    # Writing

    async def patch(self, request: Request) -> Response:
        self._seller(request)
        sku, ids = self._sku(request), self._marketplaces(request)
        preview = self._mode(request)
        try:
            product_type, patches = read_patches(await json_object(request))
        except Malformed as malformed:
            raise Refusal(400, "Invalid input", str(malformed), "BAD_REQUEST") from None
        issues = issues_of_patches(patches, ids)
        return self._answer(
            request,
            sku,
            ids,
            issues,
            preview,
            lambda: self.amazon.shelf.apply_patches(sku, product_type, patches, ids),
        )

    async def put(self, request: Request) -> Response:
        self._seller(request)
        sku, ids = self._sku(request), self._marketplaces(request, most=1)
        preview = self._mode(request)
        body = await json_object(request)
        product_type, attributes = body.get("productType"), body.get("attributes")
        requirements = body.get("requirements", "LISTING")
        if not isinstance(product_type, str) or not product_type or requirements not in REQUIREMENTS:
            raise Refusal(400, "Invalid input", "productType or requirements is missing or unknown", "BAD_REQUEST")
        if not isinstance(attributes, dict) or not all(
            isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)
            for entries in attributes.values()
        ):
            raise Refusal(400, "Invalid input", "attributes must be arrays of objects by name", "BAD_REQUEST")
        issues = [found for name, entries in attributes.items() for found in issues_of_attribute(name, entries, ids)]
        needs = OFFER_NEEDS if requirements == "LISTING_OFFER_ONLY" else ("item_name",)
        issues += [
            issue("90220", f"'{name}' is required but not supplied.", name, "MISSING_ATTRIBUTE")
            for name in needs
            if not attributes.get(name)
        ]
        complete = requirements != "LISTING_PRODUCT_ONLY"
        return self._answer(
            request,
            sku,
            ids,
            issues,
            preview,
            lambda: self.amazon.shelf.put(sku, product_type, attributes, ids[0], complete=complete),
        )

    async def delete(self, request: Request) -> Response:
        self._seller(request)
        sku, ids = self._sku(request), self._marketplaces(request, most=1)
        return self._answer(request, sku, ids, [], False, lambda: self.amazon.shelf.delete(sku))

    def _mode(self, request: Request) -> bool:
        mode = one(request, "mode")
        if mode not in (None, "VALIDATION_PREVIEW"):
            raise Refusal(400, "Invalid input", f"mode {mode} is unknown", "BAD_REQUEST")
        return mode is not None

    def _answer(
        self, request: Request, sku: str, ids: list[str], issues: list[Issue], preview: bool, action: Callable[[], Any]
    ) -> Response:
        parts = listed(request, "includedData", allowed=("identifiers", "issues")) or ["issues"]
        invalid = any(each["severity"] == "ERROR" for each in issues)
        status = "INVALID" if invalid else ("VALID" if preview else "ACCEPTED")
        submission = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        if status == "ACCEPTED":
            self.accept(sku, submission, action)
        answer: dict[str, Any] = {"sku": sku, "status": status, "submissionId": submission}
        if "issues" in parts:
            answer["issues"] = issues
        if "identifiers" in parts and preview:
            listing = self.amazon.shelf.listings.get(sku)
            answer["identifiers"] = [{"marketplaceId": each, "asin": listing.asin} for each in ids if listing]
        return JSONResponse(answer)

    def accept(self, sku: str, submission: str, action: Callable[[], Any]) -> None:
        """Let an accepted write take effect later: 15 to 120 s by default (switches `apply_s`, `apply_in_order`)."""
        world = self.amazon.world
        if world.faults.roll("never_applied", "amazon", "patchListingsItem"):
            world.note("amazon", "submission_never_applied", sku=sku, submission=submission)
            return
        now = world.clock.now()
        low, high = self.amazon.switches["apply_s"]
        wait_s = self._rng.uniform(low, high)
        if self.amazon.switches["apply_in_order"]:
            earliest_s = (self._applied_at.get(sku, now) - now).total_seconds() * world.clock.factor
            wait_s = max(wait_s, earliest_s + 0.001)

        def take_effect() -> None:
            listing = self.amazon.shelf.listings.get(sku)
            was_amazons = listing is not None and listing.by_amazon
            action()
            listing = self.amazon.shelf.listings.get(sku)
            live = listing.live.get(MERCHANT) if listing else None
            world.note("amazon", "submission_applied", sku=sku, submission=submission, live=live)
            if was_amazons and listing is not None and not listing.by_amazon:
                world.note("amazon", "fba_stranded", sku=sku, pieces=listing.fba_stock)

        self._applied_at[sku] = now + timedelta(seconds=world.clock.shortened(wait_s))
        world.clock.after(wait_s, take_effect)


def _joined_attributes(listing: Listing, ids: list[str]) -> dict[str, Any]:
    """Return the submitted attributes; entries of the availability say for which marketplace they were submitted."""
    joined: dict[str, list[dict[str, Any]]] = {}
    for where in ids:
        for name, entries in listing.attributes[where].items():
            shown = [{**entry, "marketplace_id": entry.get("marketplace_id", where)} for entry in entries]
            joined.setdefault(name, []).extend(shown)
    return joined
