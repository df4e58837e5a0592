"""The smaller APIs: Post-Order cancellation, identity, account privileges, rate limits, and two Trading calls.

In: a Call that passed the gates. Out: the document that the answer carries, or a refusal in that API's own shape.
Source: Post-Order v2.10.0 cancellation; Commerce Identity 2.0.0; Sell Account v1.9.3; Developer Analytics v1_beta.0.1;
Trading API GetUserPreferences and SetUserPreferences; read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from . import documents
from .cancellations import SELLER_REASONS, Cancellation
from .formats import instant, instant_of, is_number
from .orders import Order
from .refused import PostOrderRefused
from .wire import Call, Operation

if TYPE_CHECKING:
    from .emulator import Ebay

POST_ORDER = "/post-order/v2/cancellation"
XMLNS = "urn:ebay:apis:eBLBaseComponents"
#: Cancels that give money back. Source: digital signatures guide, "Post-Order cancel and refund calls".
SIGNED = frozenset({"createCancellation", "approveCancellationRequest"})
SEARCH_LIMIT_MAX = 200
SEARCH_KNOWN = frozenset(
    {
        "cancel_id", "legacy_order_id", "item_id", "transaction_id", "role", "sort", "limit", "offset",
        "creation_date_range_from", "creation_date_range_to",
    }
)  # fmt: skip


class OtherApis:
    def __init__(self, ebay: Ebay) -> None:
        self.ebay = ebay

    def table(self) -> list[Operation]:
        def case(name: str, method: str, path: str, handler: Any) -> Operation:
            api = "post-order.cancellation"
            signed = name in SIGNED
            return Operation(name, method, POST_ORDER + path, api, "user", (), handler, scheme="iaf", signed=signed)

        return [
            case("createCancellation", "POST", "", self.create),
            case("checkCancellationEligibility", "POST", "/check_eligibility", self.eligibility),
            case("searchCancellations", "GET", "/search", self.search),
            case("getCancellation", "GET", "/{cancelId}", self.get),
            case("approveCancellationRequest", "POST", "/{cancelId}/approve", self.approve),
            case("rejectCancellationRequest", "POST", "/{cancelId}/reject", self.reject),
            Operation(
                "getUser", "GET", "/commerce/identity/v1/user/", "commerce.identity", "user",
                ("commerce.identity.readonly",), self.get_user,
            ),
            Operation(
                "getPrivileges", "GET", "/sell/account/v1/privilege", "sell.account", "user",
                ("sell.account", "sell.account.readonly"), self.get_privileges,
            ),
            Operation(
                "getRateLimits", "GET", "/developer/analytics/v1_beta/rate_limit/", None, "application", ("",),
                self.get_rate_limits,
            ),
        ]  # fmt: skip

    # --- Post-Order ---------------------------------------------------------------------------------------------

    def create(self, call: Call) -> Any:
        body = self._post_order_body(
            call, {"legacyOrderId", "cancelReason", "buyerPaid", "buyerPaidDate", "relistLineItem", "relistOption"}
        )
        order = self._order(body.get("legacyOrderId"))
        if str(body.get("cancelReason")) not in SELLER_REASONS:
            raise PostOrderRefused(1616, "Invalid Input.", about={"cancelReason": str(body.get("cancelReason"))})
        if not isinstance(body.get("buyerPaid"), bool) or body["buyerPaid"] != (order.paid_at is not None):
            raise PostOrderRefused(1616, "Invalid Input.", about={"buyerPaid": str(body.get("buyerPaid"))})
        relist = body.get("relistLineItem")
        if relist is not None and (not isinstance(relist, list) or not all(isinstance(r, dict) for r in relist)):
            raise PostOrderRefused(1616, "Invalid Input.", about={"relistLineItem": ""})
        case = self.ebay.cancellations.create(order, reason=body["cancelReason"], relist=bool(relist))
        return JSONResponse({"cancelId": case.cancel_id}, 201)

    def eligibility(self, call: Call) -> Any:
        body = self._post_order_body(call, {"legacyOrderId"})
        order = self._order(body.get("legacyOrderId"))
        obstacle = self.ebay.cancellations.why_not(order)
        return {
            "legacyOrderId": order.legacy_order_id,
            "eligible": obstacle is None,
            "eligibleCancelReason": [] if obstacle else sorted(SELLER_REASONS),
            "failureReason": [obstacle] if obstacle else [],
        }

    def search(self, call: Call) -> Any:
        self._marketplace(call)
        query = dict(call.request.query_params)
        unknown = sorted(set(query) - SEARCH_KNOWN)
        if unknown:
            raise PostOrderRefused(1616, "Invalid Input.", about={unknown[0]: query[unknown[0]]})
        limit, offset = _page_number(query, "limit", 25), _page_number(query, "offset", 1)
        if limit > SEARCH_LIMIT_MAX:
            raise PostOrderRefused(1616, "Invalid Input.", about={"limit": str(limit)})
        found = [case for case in self.ebay.cancellations.cases.values() if self._fits(case, query)]
        page = found[(offset - 1) * limit : offset * limit]
        return {
            "cancellations": [self._document(case) for case in page],
            "total": len(found),
            "paginationOutput": {
                "limit": limit,
                "offset": offset,
                "totalEntries": len(found),
                "totalPages": max(1, -(-len(found) // limit)),
            },
        }

    def get(self, call: Call) -> Any:
        self._marketplace(call)
        return {"cancelDetail": self._document(self._case(call))}

    def approve(self, call: Call) -> Any:
        self._marketplace(call)
        self.ebay.cancellations.approve(self._case(call))
        return Response(status_code=200)

    def reject(self, call: Call) -> Any:
        self._post_order_body(call, {"shippedDate", "trackingNumber"})
        self.ebay.cancellations.reject(self._case(call))
        return Response(status_code=200)

    def _post_order_body(self, call: Call, known: set[str]) -> dict[str, Any]:
        self._marketplace(call)
        body = call.body()
        unknown = sorted(set(body) - known)
        if unknown:
            raise PostOrderRefused(1616, "Invalid Input.", about={unknown[0]: str(body[unknown[0]])[:40]})
        return body

    def _marketplace(self, call: Call) -> None:
        if call.request.headers.get("x-ebay-c-marketplace-id") != self.ebay.switches["marketplace_id"]:
            raise PostOrderRefused(1615, "The header X-EBAY-C-MARKETPLACE-ID is missing or invalid.")

    def _order(self, legacy_order_id: Any) -> Order:
        order = self.ebay.order_desk.find(legacy_order_id) if isinstance(legacy_order_id, str) else None
        if order is None:
            raise PostOrderRefused(
                1616, "Invalid Input.", status=404, about={"legacyOrderId": str(legacy_order_id)[:40]}
            )
        return order

    def _case(self, call: Call) -> Cancellation:
        case = self.ebay.cancellations.cases.get(call.part("cancelId"))
        if case is None:
            raise PostOrderRefused(1616, "Invalid Input.", status=404, about={"cancelId": call.part("cancelId")[:40]})
        return case

    def _document(self, case: Cancellation) -> dict[str, Any]:
        return documents.cancellation_document(case, self.ebay.cancellations.order_of(case), self.ebay.seller)

    def _fits(self, case: Cancellation, query: Mapping[str, str]) -> bool:
        order = self.ebay.cancellations.order_of(case)
        if query.get("cancel_id", case.cancel_id) != case.cancel_id:
            return False
        if query.get("legacy_order_id", order.legacy_order_id) not in (order.legacy_order_id, order.order_id):
            return False
        item_id, _, transaction_id = order.legacy_order_id.partition("-")
        if (query.get("item_id", item_id), query.get("transaction_id", transaction_id)) != (item_id, transaction_id):
            return False
        try:
            start, end = query.get("creation_date_range_from"), query.get("creation_date_range_to")
            after = start is None or case.requested_at >= instant_of(start)
            return after and (end is None or case.requested_at <= instant_of(end))
        except ValueError as error:
            raise PostOrderRefused(1616, "Invalid Input.", about={"creation_date_range": str(error)[:40]}) from None

    # --- identity, account, analytics -----------------------------------------------------------------------------

    def get_user(self, call: Call) -> Any:
        return {
            "userId": self.ebay.seller.user_id,
            "username": self.ebay.seller.username,
            "accountType": "BUSINESS",
            "registrationMarketplaceId": self.ebay.switches["marketplace_id"],
            "status": "CONFIRMED",
        }

    def get_privileges(self, call: Call) -> Any:
        limit = {"amount": {"value": "1000000.00", "currency": "USD"}, "quantity": 100_000}
        return {"sellerRegistrationCompleted": True, "sellingLimit": limit}

    def get_rate_limits(self, call: Call) -> Any:
        query = call.query("api_name", "api_context")
        document = self.ebay.quotas.document(query.get("api_name"), query.get("api_context"))
        return document if document["rateLimits"] else Response(status_code=204)

    # --- Trading --------------------------------------------------------------------------------------------------

    def trading(self, request: Request, raw: bytes) -> Response:
        """Answer GetUserPreferences and SetUserPreferences for OutOfStockControlPreference. Errors come as HTTP 200."""
        name = request.headers.get("x-ebay-api-call-name", "")
        access = self.ebay.tokens.check(request.headers.get("x-ebay-api-iaf-token", ""))
        if access is None or access.kind != "user":
            return self._xml(name or "Error", "Failure", _xml_error(21917053, "Expired or invalid IAF token."))
        if not self.ebay.quotas.take("trading"):
            return self._xml(name, "Failure", _xml_error(518, "Call usage limit has been reached."))
        versions = ("x-ebay-api-siteid", "x-ebay-api-compatibility-level")
        if not all(request.headers.get(header, "").isdigit() for header in versions):
            return self._xml(name, "Failure", _xml_error(10012, "Invalid site id or compatibility level header."))
        try:
            root = ElementTree.fromstring(raw)
        except ElementTree.ParseError:
            return self._xml(name, "Failure", _xml_error(5, "XML parse error."))
        if root.tag != f"{{{XMLNS}}}{name}Request" or name not in ("GetUserPreferences", "SetUserPreferences"):
            return self._xml(name or "Error", "Failure", _xml_error(2, "Unsupported API call."))
        if name == "SetUserPreferences":
            wish = root.findtext(f"{{{XMLNS}}}OutOfStockControlPreference")
            if wish not in ("true", "false"):
                return self._xml(name, "Failure", _xml_error(37, "OutOfStockControlPreference is invalid."))
            self.ebay.switches["out_of_stock_control"] = wish == "true"
            return self._xml(name, "Success", "")
        shown = root.findtext(f"{{{XMLNS}}}ShowOutOfStockControlPreference") == "true"
        value = "true" if self.ebay.switches["out_of_stock_control"] else "false"
        field = f"<OutOfStockControlPreference>{value}</OutOfStockControlPreference>"
        return self._xml(name, "Success", field if shown else "")

    def _xml(self, name: str, ack: str, inner: str) -> Response:
        now = instant(self.ebay.world.clock.now())
        tag = "".join(sign for sign in name if sign.isalnum()) or "Error"
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?><{tag}Response xmlns="{XMLNS}"><Timestamp>{now}</Timestamp>'
            f"<Ack>{ack}</Ack><Version>1395</Version>{inner}</{tag}Response>"
        )
        return Response(text, media_type="text/xml")


def _xml_error(code: int, message: str) -> str:
    text = escape(message)
    return (
        f"<Errors><ShortMessage>{text}</ShortMessage><LongMessage>{text}</LongMessage><ErrorCode>{code}</ErrorCode>"
        "<SeverityCode>Error</SeverityCode><ErrorClassification>RequestError</ErrorClassification></Errors>"
    )


def _page_number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not is_number(text) or int(text) < 1:
        raise PostOrderRefused(1616, "Invalid Input.", about={name: text[:40]})
    return int(text)
