"""The operations of the Etsy Open API v3 that a stock and order sync uses, one method each, by operationId.

In: a Call that passed the gates. Out: the document that the answer carries, or Refused.
Never: checks key, budget or token (wire.py did).
Source: Etsy Open API v3 document, parameters and schemas of each operation, read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import documents
from .inventory import judge
from .listings import IGNORED_FIELDS, TEXT_FIELDS
from .query import BOOLEANS, EPOCH_MIN, Query, form_of, is_json, json_of
from .refused import Refused
from .shop import Listing, Receipt
from .wire import Call, Operation

if TYPE_CHECKING:
    from .emulator import Etsy

A = "/v3/application"
STATES = ("active", "inactive", "sold_out", "draft", "expired")
SHOP_INCLUDES = frozenset(
    {"Shipping", "Images", "Shop", "User", "Translations", "Inventory", "Videos", "Personalization", "BuyerPrice"}
)
LISTING_INCLUDES = SHOP_INCLUDES - {"Shipping", "Inventory"}
BATCH_MAX = 100
ASCENDING = ("asc", "ascending", "up")
ORDERS = (*ASCENDING, "desc", "descending", "down")
FILTERS = ("min_created", "max_created", "min_last_modified", "max_last_modified")
FLAGS = ("was_paid", "was_shipped", "was_delivered", "was_canceled")
TRACKING_STRINGS = (
    "tracking_code", "carrier_name", "note_to_buyer", "mail_class", "weight_units", "dimension_units",
    "shipping_label_currency", "revenue_eligibility", "ship_from_country", "ship_to_country", "incoterm",
    "duty_currency", "ship_date",
)  # fmt: skip
TRACKING_NUMBERS = ("weight", "length", "width", "height", "shipping_label_cost", "duty_amount")


class Operations:
    """The handlers. Each method bears the operationId in snake case."""

    def __init__(self, etsy: Etsy) -> None:
        self.etsy = etsy

    def table(self) -> list[Operation]:
        shop, receipt = f"{A}/shops/{{shop_id}}", f"{A}/shops/{{shop_id}}/receipts/{{receipt_id}}"
        listing, readiness = f"{A}/listings/{{listing_id}}", f"{shop}/readiness-state-definitions"
        return [
            Operation("ping", "GET", f"{A}/openapi-ping", None, self.ping),
            Operation("tokenScopes", "POST", f"{A}/scopes", None, self.token_scopes),
            Operation("getMe", "GET", f"{A}/users/me", "shops_r", self.get_me),
            Operation("getShop", "GET", shop, None, self.get_shop),
            Operation("getListingsByShop", "GET", f"{shop}/listings", "listings_r", self.get_listings_by_shop),
            Operation("updateListing", "PATCH", f"{shop}/listings/{{listing_id}}", "listings_w", self.update_listing),
            Operation("getListingsByListingIds", "GET", f"{A}/listings/batch", None, self.get_listings_by_ids),
            Operation(
                "getListingsInventoryByListingIds", "GET", f"{A}/listings/batch/inventory", "listings_r",
                self.get_inventories,
            ),
            Operation("getListing", "GET", listing, None, self.get_listing),
            Operation("getListingInventory", "GET", f"{listing}/inventory", "listings_r", self.get_inventory),
            Operation("updateListingInventory", "PUT", f"{listing}/inventory", "listings_w", self.update_inventory),
            Operation("getShopReceipts", "GET", f"{shop}/receipts", "transactions_r", self.get_receipts),
            Operation("getShopReceipt", "GET", receipt, "transactions_r", self.get_receipt),
            Operation("updateShopReceipt", "PUT", receipt, "transactions_w", self.update_receipt),
            Operation(
                "createReceiptShipment", "POST", f"{receipt}/tracking", "transactions_w", self.create_shipment
            ),
            Operation(
                "getShopReceiptTransactionsByReceipt", "GET", f"{receipt}/transactions", "transactions_r",
                self.get_transactions,
            ),
            Operation(
                "getShopPaymentByReceiptId", "GET", f"{receipt}/payments", "transactions_r", self.get_payments
            ),
            Operation(
                "getShopReceiptTransaction", "GET", f"{shop}/transactions/{{transaction_id}}", "transactions_r",
                self.get_transaction,
            ),
            Operation("getShopReadinessStateDefinitions", "GET", readiness, "shops_r", self.get_readiness_states),
            Operation(
                "getShopReadinessStateDefinition", "GET", f"{readiness}/{{readiness_state_definition_id}}", "shops_r",
                self.get_readiness_state,
            ),
            Operation("getShippingCarriers", "GET", f"{A}/shipping-carriers", None, self.get_carriers),
        ]  # fmt: skip

    def ping(self, call: Call) -> Any:
        Query(call.request, ())
        return {"application_id": self.etsy.application_id}

    def token_scopes(self, call: Call) -> Any:
        token = form_of(call.request, call.body).get("token")
        if not token:
            raise Refused(400, "Missing required parameter 'token'")
        return {"scopes": sorted(self.etsy.tokens.check(token))}

    def get_me(self, call: Call) -> Any:
        return {"user_id": self.etsy.shop.user_id, "shop_id": self.etsy.shop.shop_id}

    def get_shop(self, call: Call) -> Any:
        if call.number("shop_id") != self.etsy.shop.shop_id:
            raise Refused(404, "Resource not found")
        country = str(self.etsy.switches["shop_country"])
        away = bool(self.etsy.switches["vacation"])
        return documents.shop_document(self.etsy.shop, self.etsy.opened_at, country, on_vacation=away)

    def get_listings_by_shop(self, call: Call) -> Any:
        self._own_shop(call)
        query = Query(call.request, ("state", "limit", "offset", "sort_on", "sort_order", "includes"))
        state = query.choice("state", STATES, "active")
        query.choice("sort_on", ("created", "price", "updated", "score"), "created")
        query.choice("sort_order", ORDERS, "desc")
        includes = query.subset("includes", SHOP_INCLUDES)
        found = sorted(
            (each for each in self.etsy.listings.all() if each.state == state),
            key=lambda each: (each.created_at, each.listing_id),
            reverse=True,
        )
        return self._page(query, found, lambda each: self._listing(each, includes, "getListingsByShop"))

    def get_listings_by_ids(self, call: Call) -> Any:
        query = Query(call.request, ("listing_ids", "includes", "currency", "buyer_country"))
        includes = query.subset("includes", LISTING_INCLUDES)
        found = [
            each for each in map(self.etsy.listings.get, _listing_ids(query)) if each and self._visible(each, call)
        ]
        return {"count": len(found), "results": [self._listing(each, includes) for each in found]}

    def get_inventories(self, call: Call) -> Any:
        ids = _listing_ids(Query(call.request, ("listing_ids",)))
        found = [self._own_listing(listing_id) for listing_id in ids]  # one missing id fails the whole call
        results = [self._listing(each, {"Inventory"}, "getListingsInventoryByListingIds") for each in found]
        return {"count": len(results), "results": results}

    def get_listing(self, call: Call) -> Any:
        query = Query(call.request, ("includes", "allow_suggested_title", "currency", "buyer_country"))
        includes = query.subset("includes", LISTING_INCLUDES)
        listing = self.etsy.listings.get(call.number("listing_id"))
        if listing is None or not self._visible(listing, call):
            raise Refused(404, "Resource not found")
        return self._listing(listing, includes)

    def update_listing(self, call: Call) -> Any:
        self._own_shop(call)
        listing = self._own_listing(call.number("listing_id"))
        form = form_of(call.request, call.body)
        unknown = sorted(set(form) - TEXT_FIELDS - IGNORED_FIELDS)
        if unknown:
            raise Refused(400, f"Unknown parameter: {', '.join(unknown)}")
        renew = form.get("should_auto_renew")
        if renew is not None and renew not in BOOLEANS:
            raise Refused(400, "Expected boolean value for 'should_auto_renew'")
        if self.etsy.strikes("never_applied", "updateListing"):
            return documents.bare_listing_document(listing, self.etsy.shop)
        if "state" in form:
            self.etsy.listings.set_state(listing, form["state"])
        if renew is not None:
            listing.should_auto_renew = BOOLEANS[renew]
        listing.title = form.get("title", listing.title)
        listing.texts.update({name: form[name] for name in ("description",) if name in form})
        listing.updated_at = self.etsy.world.clock.now()
        return documents.bare_listing_document(listing, self.etsy.shop)

    def get_inventory(self, call: Call) -> Any:
        query = Query(call.request, ("show_deleted", "includes"))
        listing = self._own_listing(call.number("listing_id"))
        includes = query.subset("includes", frozenset({"Listing"}))
        stale = self.etsy.strikes("stale_read", "getListingInventory")
        deleted = bool(query.boolean("show_deleted"))
        document = documents.inventory_document(listing, show_deleted=deleted, stale=stale)
        if "Listing" in includes:
            document["listing"] = documents.bare_listing_document(listing, self.etsy.shop)
        return document

    def update_inventory(self, call: Call) -> Any:
        query = Query(call.request, ("max_variations_supported",))
        variations_max = int(query.choice("max_variations_supported", ("2", "3"), "2"))
        listing = self._own_listing(call.number("listing_id"))
        if not is_json(call.request):
            raise Refused(400, "Missing required parameter 'products'")  # a form body has no fields here
        switches = self.etsy.switches
        replacement = judge(
            json_of(call.body),
            self.etsy.shop,
            currency=listing.currency,
            variations_max=variations_max,
            sku_max=int(switches["sku_length_max"]),
            sum_max=switches["listing_sum_max"],
        )
        if listing.state == "expired":
            raise Refused(400, "An expired listing cannot be edited")
        if self.etsy.rng.random() < float(switches["put_conflict_share"]):
            raise Refused(409, "The listing was changed by another request")
        if not self.etsy.strikes("never_applied", "updateListingInventory"):
            self.etsy.listings.replace_inventory(listing, replacement)
        return documents.inventory_document(listing)

    def get_receipts(self, call: Call) -> Any:
        self._own_shop(call)
        query = Query(call.request, (*FILTERS, *FLAGS, "limit", "offset", "sort_on", "sort_order"))
        bounds = {name: query.integer(name, low=EPOCH_MIN) for name in FILTERS}
        flags = {name: query.boolean(name) for name in FLAGS}
        sort_on = query.choice("sort_on", ("created", "updated", "receipt_id"), "created")
        ascending = query.choice("sort_order", ORDERS, "desc") in ASCENDING
        found = [each for each in self.etsy.shop.receipts.values() if _within(each, bounds) and _flagged(each, flags)]
        keys = {
            "created": lambda each: (each.created_at, each.receipt_id),
            "updated": lambda each: (each.updated_at, each.receipt_id),
            "receipt_id": lambda each: (each.receipt_id,),
        }
        found.sort(key=keys[sort_on], reverse=not ascending)
        return self._page(query, found, self._receipt_document)

    def get_receipt(self, call: Call) -> Any:
        Query(call.request, ())
        return self._receipt_document(self._own_receipt(call))

    def update_receipt(self, call: Call) -> Any:
        receipt = self._own_receipt(call)
        form = form_of(call.request, call.body)
        unknown = sorted(set(form) - {"was_shipped", "was_paid"})
        if unknown:
            raise Refused(400, f"Unknown parameter: {', '.join(unknown)}")
        wishes = {name: BOOLEANS.get(value) for name, value in form.items()}
        if wishes.get("was_shipped") and receipt.shipped_at is None:
            self.etsy.orders_desk.ship(receipt, code="", carrier="")
        return self._receipt_document(receipt)

    def create_shipment(self, call: Call) -> Any:
        receipt = self._own_receipt(call)
        if self.etsy.switches["region_gate"]:
            raise Refused(403, "Unauthorized")
        body = json_of(call.body) if is_json(call.request) and call.body else {}  # a form body loses its fields
        if not isinstance(body, dict):
            raise Refused(400, "Expected object value for the body")
        _check_tracking(body)
        code, carrier = body.get("tracking_code") or "", body.get("carrier_name") or ""
        if not self.etsy.strikes("never_applied", "createReceiptShipment"):
            self.etsy.orders_desk.ship(receipt, code=code, carrier=carrier, note=body.get("note_to_buyer") or "")
        return self._receipt_document(receipt)

    def get_transactions(self, call: Call) -> Any:
        receipt = self._own_receipt(call)
        shop = self.etsy.shop
        results = [documents.transaction_document(line, receipt, shop) for line in receipt.transactions]
        return {"count": len(results), "results": results}

    def get_transaction(self, call: Call) -> Any:
        self._own_shop(call)
        wanted = call.number("transaction_id")
        for receipt in self.etsy.shop.receipts.values():
            for line in receipt.transactions:
                if line.transaction_id == wanted:
                    return documents.transaction_document(line, receipt, self.etsy.shop)
        raise Refused(404, "Resource not found")

    def get_payments(self, call: Call) -> Any:
        receipt = self._own_receipt(call)
        results = [documents.payment_document(receipt, self.etsy.shop)] if receipt.paid_at else []
        return {"count": len(results), "results": results}

    def get_readiness_states(self, call: Call) -> Any:
        self._own_shop(call)
        query = Query(call.request, ("limit", "offset"))
        shop = self.etsy.shop
        return self._page(query, list(shop.readiness_states), lambda each: documents.readiness_document(shop, each))

    def get_readiness_state(self, call: Call) -> Any:
        self._own_shop(call)
        readiness_state_id = call.number("readiness_state_definition_id")
        if readiness_state_id not in self.etsy.shop.readiness_states:
            raise Refused(404, "Resource not found")
        return documents.readiness_document(self.etsy.shop, readiness_state_id)

    def get_carriers(self, call: Call) -> Any:
        country = Query(call.request, ("origin_country_iso",)).text("origin_country_iso")
        if not country or len(country) != 2 or not country.isalpha() or not country.isupper():
            raise Refused(400, "Invalid or missing parameter 'origin_country_iso'")
        return documents.carriers_document(country)

    def _page(self, query: Query, found: list[Any], document: Any) -> dict[str, Any]:
        ceiling = int(self.etsy.switches["offset_ceiling"])
        limit = query.integer("limit", low=1, high=100, default=25) or 25
        offset = query.integer("offset", low=0, high=ceiling, default=0) or 0
        return {"count": len(found), "results": [document(each) for each in found[offset : offset + limit]]}

    def _listing(self, listing: Listing, includes: Iterable[str], operation: str = "getListing") -> dict[str, Any]:
        inventory = "Inventory" in includes
        stale = inventory and self.etsy.strikes("stale_read", operation)
        return documents.listing_document(
            listing, self.etsy.shop, inventory=inventory, images="Images" in includes, stale=stale
        )

    def _receipt_document(self, receipt: Receipt) -> dict[str, Any]:
        return documents.receipt_document(receipt, self.etsy.shop, self.etsy.switches)

    def _own_shop(self, call: Call) -> None:
        if call.number("shop_id") != self.etsy.shop.shop_id:
            raise Refused(403, "User does not own the shop")

    def _own_listing(self, listing_id: int) -> Listing:
        listing = self.etsy.listings.get(listing_id)
        if listing is None:
            raise Refused(404, "Resource not found")
        return listing

    def _visible(self, listing: Listing, call: Call) -> bool:
        """Anyone with a key sees active listings; the owner with listings_r sees all."""
        return listing.state == "active" or "listings_r" in call.scopes

    def _own_receipt(self, call: Call) -> Receipt:
        self._own_shop(call)
        receipt = self.etsy.shop.receipts.get(call.number("receipt_id"))
        if receipt is None or (receipt.cancelled_at and self.etsy.switches["cancelled_receipt_404"]):
            raise Refused(404, "Resource not found")
        return receipt


def _listing_ids(query: Query) -> list[int]:
    raw = query.items("listing_ids")
    if not raw or not all(re.fullmatch(r"[1-9][0-9]{0,18}", each) for each in raw):
        raise Refused(400, "Expected array of positive int values for 'listing_ids'")
    if len(raw) > BATCH_MAX:
        raise Refused(400, f"There was a problem with /listing_ids : at most {BATCH_MAX} ids")
    return list(dict.fromkeys(int(each) for each in raw))


def _within(receipt: Receipt, bounds: dict[str, int | None]) -> bool:
    created, updated = documents.stamp(receipt.created_at) or 0, documents.stamp(receipt.updated_at) or 0
    windows = (
        (created, bounds["min_created"], bounds["max_created"]),
        (updated, bounds["min_last_modified"], bounds["max_last_modified"]),
    )
    return all((low is None or low <= at) and (high is None or at <= high) for at, low, high in windows)


def _flagged(receipt: Receipt, flags: dict[str, bool | None]) -> bool:
    """Whether the receipt is what every given flag says. Without flags all pass, the cancelled ones too."""
    truth = {
        "was_paid": receipt.paid_at is not None,
        "was_shipped": receipt.shipped_at is not None,
        "was_delivered": receipt.is_delivered,
        "was_canceled": receipt.cancelled_at is not None,
    }
    return all(flag is None or truth[name] == flag for name, flag in flags.items())


def _check_tracking(body: dict[str, Any]) -> None:
    known = {*TRACKING_STRINGS, *TRACKING_NUMBERS, "send_bcc", "customs_data"}
    unknown = sorted(set(body) - known)
    if unknown:
        raise Refused(400, f"Unknown parameter: {', '.join(unknown)}")
    for name in TRACKING_STRINGS:
        if not isinstance(body.get(name, ""), str | None):
            raise Refused(400, f"Expected string value for '{name}'")
    for name in TRACKING_NUMBERS:
        if isinstance(body.get(name), bool) or not isinstance(body.get(name, 0), int | float | None):
            raise Refused(400, f"Expected float value for '{name}'")
    if not isinstance(body.get("send_bcc", False), bool):
        raise Refused(400, "Expected boolean value for 'send_bcc'")
