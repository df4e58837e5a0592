"""Sell Inventory: items, offers, locations, and the writes that a stock sync needs.

In: a Call that passed the gates. Out: the document that the answer carries, or Refused.
Never: checks tokens (wire.py did).
Source: Sell Inventory 1.18.5, read 2026-11; recorded paging behaviour (the offset is a page number).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from . import documents
from .bulk_update import SKU_LENGTH_MAX, failed_row
from .formats import is_number
from .refused import Refused, error_object
from .seller import Item, Offer
from .wire import Call, Operation, length_required

if TYPE_CHECKING:
    from .emulator import Ebay

BASE = "/sell/inventory/v1"
READ = ("sell.inventory", "sell.inventory.readonly")
WRITE = ("sell.inventory",)
LANGUAGES = frozenset(
    {
        "en-US", "en-GB", "en-AU", "en-CA", "en-IE", "fr-FR", "fr-CA", "fr-BE", "de-DE", "de-AT", "de-CH", "it-IT",
        "es-ES", "nl-NL", "nl-BE", "pl-PL", "zh-HK", "zh-TW",
    }
)  # fmt: skip
ITEM_FIELDS = (
    "availability", "condition", "conditionDescription", "conditionDescriptors", "packageWeightAndSize", "product",
)  # fmt: skip
OTHER_FIELDS = ("conditionDescription", "conditionDescriptors", "packageWeightAndSize")
ITEM_LIMIT_MAX, OFFER_LIMIT_MAX, LOCATION_LIMIT_MAX = 200, 100, 100
BULK_GET_MAX = 25
MIGRATE_MAX = 5


class InventoryApi:
    def __init__(self, ebay: Ebay) -> None:
        self.ebay = ebay

    def table(self) -> list[Operation]:
        def op(name: str, method: str, path: str, scopes: tuple[str, ...], handler: Any) -> Operation:
            return Operation(name, method, BASE + path, "sell.inventory", "user", scopes, handler)

        group = "/inventory_item_group/{inventoryItemGroupKey}"
        return [
            op("getInventoryItems", "GET", "/inventory_item", READ, self.get_items),
            op("getInventoryItem", "GET", "/inventory_item/{sku}", READ, self.get_item),
            op("createOrReplaceInventoryItem", "PUT", "/inventory_item/{sku}", WRITE, self.put_item),
            op("bulkGetInventoryItem", "POST", "/bulk_get_inventory_item", READ, self.bulk_get),
            op("bulkUpdatePriceQuantity", "POST", "/bulk_update_price_quantity", WRITE, self.bulk_update),
            op("bulkMigrateListing", "POST", "/bulk_migrate_listing", WRITE, self.migrate),
            op("getOffers", "GET", "/offer", READ, self.get_offers),
            op("getOffer", "GET", "/offer/{offerId}", READ, self.get_offer),
            op("publishOffer", "POST", "/offer/{offerId}/publish", WRITE, self.publish),
            op("withdrawOffer", "POST", "/offer/{offerId}/withdraw", WRITE, self.withdraw),
            op(
                "publishOfferByInventoryItemGroup", "POST", "/offer/publish_by_inventory_item_group", WRITE,
                self.publish_group,
            ),
            op("getInventoryItemGroup", "GET", group, READ, self.get_group),
            op("getInventoryLocations", "GET", "/location", READ, self.get_locations),
            op("getInventoryLocation", "GET", "/location/{merchantLocationKey}", READ, self.get_location),
        ]  # fmt: skip

    def get_items(self, call: Call) -> Any:
        query = call.query("limit", "offset")
        if call.request.headers.get("accept-language") not in LANGUAGES:
            raise Refused(25709, "header Accept-Language")
        return self._page(
            query,
            [item for item in self.ebay.seller.items.values() if item.managed],
            ITEM_LIMIT_MAX,
            "inventory_item",
            self._item,
        )

    def get_item(self, call: Call) -> Any:
        call.query()
        return self._item(self._find_item(call.part("sku")))

    def put_item(self, call: Call) -> Any:
        """Full replace: what the body leaves out is gone, quantity and texts alike."""
        sku, seller = call.part("sku"), self.ebay.seller
        if call.request.headers.get("content-language") not in LANGUAGES:
            raise Refused(25709, "header Content-Language")
        if not sku or len(sku) > SKU_LENGTH_MAX:
            raise Refused(25708, "A SKU has 1 to 50 characters")
        body = call.body(*ITEM_FIELDS)
        quantity, distributions = _availability(body.get("availability"))
        product = body.get("product")
        if product is not None and (not isinstance(product, dict) or not isinstance(product.get("title", ""), str)):
            raise Refused(25709, "product")
        old = seller.items.get(sku)
        if old and not old.managed:
            raise Refused(25002, "A listing outside of the Inventory API has this SKU: migrate it.")
        listings = [listing for offer in seller.offers_of(sku) if (listing := seller.listing_of(offer))]
        live = [listing for listing in listings if listing.status != "ENDED"]
        seller.check_revisable(live, self.ebay.world.clock.now())
        for listing in live:
            if not seller.may_revise(listing):
                raise Refused(25002, f"The revisions of today for listing {listing.listing_id} are used up.")
            seller.count_revision(listing)
        item = Item(
            sku,
            call.request.headers["content-language"].replace("-", "_"),
            quantity,
            distributions,
            product,
            body.get("condition"),
            {name: body[name] for name in OTHER_FIELDS if name in body},
            old.group_keys if old else [],
            old.quantity if old else None,
        )
        if not (old and self.ebay.strikes("never_applied", "createOrReplaceInventoryItem")):
            seller.items[sku] = item
            seller.settle(sku)
        return Response(status_code=204) if old else JSONResponse({}, 201)

    def bulk_get(self, call: Call) -> Any:
        requests = call.body("requests").get("requests")
        if not isinstance(requests, list) or not requests or not all(_is_sku(each) for each in requests):
            raise Refused(25709, "requests")
        if len(requests) > BULK_GET_MAX:
            raise Refused(25727, str(BULK_GET_MAX))
        skus = [each["sku"] for each in requests]
        if len(set(skus)) != len(skus):
            raise Refused(25734)
        rows = []
        for sku in skus:
            item = self.ebay.seller.known_item(sku)
            found = item and {"sku": sku, "statusCode": 200, "inventoryItem": self._item(item)}
            rows.append(found or failed_row(sku, 25702, 404, sku))
        failed = any(row["statusCode"] != 200 for row in rows)
        return JSONResponse({"responses": rows}, 207 if failed else 200)

    def bulk_update(self, call: Call) -> Any:
        status, answer = self.ebay.bulk.run(call.body("requests"))
        return JSONResponse(answer, status)

    def migrate(self, call: Call) -> Any:
        requests = call.body("requests").get("requests")
        if not isinstance(requests, list) or not 1 <= len(requests) <= MIGRATE_MAX:
            raise Refused(25709, f"requests. Give 1 to {MIGRATE_MAX} listingIds")
        if not all(isinstance(one, dict) and set(one) == {"listingId"} for one in requests):
            raise Refused(2004, "requests must hold objects of a listingId")
        ids = [one["listingId"] for one in requests]
        if not all(isinstance(one, str) for one in ids) or len(set(ids)) != len(ids):
            raise Refused(25709, "listingId")
        rows = [self.ebay.elsewhere.migrate(listing_id) for listing_id in ids]
        mixed = any(row["statusCode"] != 200 for row in rows)
        return JSONResponse({"responses": rows}, 207 if mixed else 200)

    def get_offers(self, call: Call) -> Any:
        query = call.query("sku", "marketplace_id", "format", "limit", "offset")
        sku = query.get("sku")
        if not sku:
            raise Refused(25709, "sku. The query parameter is missing")
        if query.get("format", "FIXED_PRICE") not in ("FIXED_PRICE", "AUCTION"):
            raise Refused(25709, "format")
        offers = [
            offer
            for offer in self.ebay.seller.known_offers(sku)
            if query.get("marketplace_id", offer.marketplace_id) == offer.marketplace_id
            and query.get("format", "FIXED_PRICE") == "FIXED_PRICE"
        ]
        if not offers:
            raise Refused(25713, f"SKU {sku}")
        return self._page(query, offers, OFFER_LIMIT_MAX, "offer", self._offer)

    def get_offer(self, call: Call) -> Any:
        return self._offer(self._find_offer(call))

    def publish(self, call: Call) -> Any:
        if not call.raw:
            return length_required()  # a body of {} is needed
        offer = self._find_offer(call)
        if offer.status == "PUBLISHED":
            return {"listingId": offer.listing_id, "warnings": [error_object(25402, "The offer is already published.")]}
        if offer.variation_id:
            raise Refused(25002, "The offer is part of a group: publish by inventory item group.")
        return {"listingId": self.ebay.seller.publish([offer]).listing_id}

    def withdraw(self, call: Call) -> Any:
        if not call.raw:
            return length_required()
        offer = self._find_offer(call)
        listing = self.ebay.seller.listing_of(offer)
        if offer.status != "PUBLISHED" or listing is None:
            raise Refused(25713, offer.offer_id)
        self.ebay.seller.end(listing)
        return {"listingId": listing.listing_id}

    def publish_group(self, call: Call) -> Any:
        body = call.body("inventoryItemGroupKey", "marketplaceId")
        seller = self.ebay.seller
        skus = seller.groups.get(str(body.get("inventoryItemGroupKey")))
        if skus is None or not isinstance(body.get("marketplaceId"), str):
            raise Refused(25709, "inventoryItemGroupKey or marketplaceId")
        offers = [o for sku in skus for o in seller.offers_of(sku) if o.marketplace_id == body["marketplaceId"]]
        if not offers:
            raise Refused(25713, str(body["inventoryItemGroupKey"]))
        if all(offer.status == "PUBLISHED" for offer in offers):
            warning = error_object(25402, "The offers are already published.")
            return {"listingId": offers[0].listing_id, "warnings": [warning]}
        return {"listingId": seller.publish(offers).listing_id}

    def get_group(self, call: Call) -> Any:
        key = call.part("inventoryItemGroupKey")
        skus = self.ebay.seller.groups.get(key)
        if skus is None:
            raise Refused(25702, key)
        return {
            "inventoryItemGroupKey": key,
            "title": key.replace("-", " ").title(),
            "variantSKUs": skus,
            "variesBy": {"specifications": [{"name": "Size", "values": [sku.rpartition("-")[2] for sku in skus]}]},
        }

    def get_locations(self, call: Call) -> Any:
        query = call.query("limit", "offset")
        limit = _number(query.get("limit"), 100, 1, LOCATION_LIMIT_MAX)
        return {
            "href": f"{BASE}/location?offset=0&limit={limit}",
            "limit": limit,
            "offset": _number(query.get("offset"), 0, 0, None),
            "total": 1,
            "locations": [self._location()],
        }

    def get_location(self, call: Call) -> Any:
        if call.part("merchantLocationKey") != self.ebay.switches["location_key"]:
            raise Refused(25805, "merchantLocationKey")
        return self._location()

    def _location(self) -> dict[str, Any]:
        address = {
            "addressLine1": "1 Market Street",
            "city": "San Francisco",
            "stateOrProvince": "CA",
            "postalCode": "94103",
            "country": "US",
        }
        return {
            "merchantLocationKey": self.ebay.switches["location_key"],
            "name": "Main",
            "phone": "+14155550100",
            "merchantLocationStatus": "ENABLED",
            "locationTypes": ["WAREHOUSE"],
            "location": {"locationId": "1000000001", "address": address},
        }

    def _page(
        self, query: dict[str, str], found: list[Any], limit_max: int, name: str, document: Any
    ) -> dict[str, Any]:
        """Return one page. The offset is a page number, not a record offset."""
        limit = _number(query.get("limit"), 25, 1, limit_max)
        page = _number(query.get("offset"), 0, 0, None)
        pages = max(1, -(-len(found) // limit))
        if page >= pages:
            raise Refused(25706, f"offset {page} is beyond the last page")
        rest = "".join(f"&{key}={value}" for key, value in query.items() if key not in ("limit", "offset"))
        results = [document(each) for each in found[page * limit : (page + 1) * limit]]
        answer: dict[str, Any] = {
            "href": f"{BASE}/{name}?offset={page}&limit={limit}{rest}",
            "total": len(found),
            "size": len(results),
            "limit": limit,
            {"inventory_item": "inventoryItems"}.get(name, "offers"): results,
        }
        if page + 1 < pages:
            answer["next"] = f"{BASE}/{name}?offset={page + 1}&limit={limit}{rest}"
        if page:
            answer["prev"] = f"{BASE}/{name}?offset={page - 1}&limit={limit}{rest}"
        return answer

    def _item(self, item: Item) -> dict[str, Any]:
        return documents.item_document(item, stale=self.ebay.strikes("stale_read", "getInventoryItem"))

    def _offer(self, offer: Offer) -> dict[str, Any]:
        return documents.offer_document(offer, self.ebay.seller)

    def _find_item(self, sku: str) -> Item:
        item = self.ebay.seller.known_item(sku)
        if item is None:
            raise Refused(25702, sku, sku=sku)
        return item

    def _find_offer(self, call: Call) -> Offer:
        offer = self.ebay.seller.offers.get(call.part("offerId"))
        if offer is None or self.ebay.seller.known_item(offer.sku) is None:
            raise Refused(25713, call.part("offerId"))
        return offer


def _availability(value: Any) -> tuple[int | None, list[dict[str, Any]]]:
    if value is None:
        return None, []
    ship_to = value.get("shipToLocationAvailability", {}) if isinstance(value, dict) else None
    if not isinstance(ship_to, dict) or not isinstance(ship_to.get("availabilityDistributions", []), list):
        raise Refused(25709, "availability")
    quantity = ship_to.get("quantity")
    if quantity is not None and (not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 0):
        raise Refused(25709, "quantity. Give a whole number of 0 or more")
    return quantity, [dict(place) for place in ship_to.get("availabilityDistributions", []) if isinstance(place, dict)]


def _is_sku(entry: Any) -> bool:
    return isinstance(entry, dict) and set(entry) == {"sku"} and isinstance(entry["sku"], str)


def _number(text: str | None, default: int, low: int, high: int | None) -> int:
    if text is None:
        return default
    if not is_number(text) or int(text) < low or (high is not None and int(text) > high):
        raise Refused(25706, f"limit lies between 1 and {high or 'any'}, offset is 0 or more")
    return int(text)
