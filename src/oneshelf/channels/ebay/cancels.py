"""Cancelling an order that can't be delivered, by Post-Order.

In: a wish. Out: an outcome; how far a cancel is. Never: cancels single lines (eBay cancels whole orders), asks eBay to relist (S7.4).
Post-Order knows orders by their legacy id: the order is read first, and what it says decides.
Source: Post-Order v2 cancellation 2.10.0 (create, check_eligibility, get, search, approve), read 2026-11.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from oneshelf.channels.abilities import CancelAbility, CancelState, CancelWish
from oneshelf.channels.contract import Http, NoAnswer, Response
from oneshelf.channels.ebay import signing
from oneshelf.channels.ebay.answers import body_of_read, outcome_of_refusal
from oneshelf.channels.ebay.client import EbayClient
from oneshelf.channels.ebay.wire import decoded, explained_body, inside, objects, text, whole
from oneshelf.core.errors import Park, Retry, SignInAgain, Unreadable
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled, Unknown

#: eBay looks at three months, or at twelve where fewer than 400 were sold in three. Source: eBay, seller performance policy,
#: export.ebay.com/en/customer-service/seller-level-and-sales/seller-performance-policy, "evaluation period".
ABILITY = CancelAbility(
    how="call",
    lines=False,
    counts_against="a transaction defect (out of stock or cannot fulfil); limit 2 %, 0.5 % for top rated sellers",
    limit_percent=2.0,
    rate_days=90,
    few_orders=400,
    rate_days_of_few=365,
)

REASON = "OUT_OF_STOCK_OR_CANNOT_FULFILL"
#: cancelStatus → how far. Source: Post-Order CancelStatusEnum. FOR_COMMITMENT does not say whether the order lives: the order does.
STATES = {
    "CANCEL_REQUESTED": "running",
    "CANCEL_PENDING": "running",
    "CANCEL_REJECTED": "refused",
    "CANCEL_CLOSED_WITH_REFUND": "done",
    "CANCEL_CLOSED_NO_REFUND": "done",
    "CANCEL_CLOSED_UNKNOWN_REFUND": "done",
    "INVALID": "refused",
}
_PAID = {"PAID", "PARTIALLY_REFUNDED", "FULLY_REFUNDED"}


class _Order(NamedTuple):
    legacy_id: str
    marketplace_id: str
    cancelled: bool
    in_progress: bool
    paid: bool
    paid_at: str | None
    units: dict[str, int]
    read_at: datetime


class Cancels:
    """Cancels of one seller."""

    def __init__(self, client: EbayClient, marketplace_id: str) -> None:
        self._client = client
        self._marketplace_id = marketplace_id

    async def cancel(self, http: Http, wish: CancelWish) -> Outcome:
        """1. Read the order.  2. A buyer who asks for it gets a yes.  3. Ask whether eBay lets us.  4. Cancel, once."""
        if not wish.whole:
            return _LINES
        try:
            order = await self._order(http, wish.order_id)
            if order is None:
                return Rejected("eBay does not know this order", code="unknown_order")
            if order.cancelled:
                return Accepted()
            if any(units > wish.lines.get(line_id, 0) for line_id, units in order.units.items()):
                return _LINES
            asked = await self._buyers_wish(http, order) if order.in_progress else None
            why_not = None if asked else await self._why_not(http, order)
        except NoAnswer as gone:
            return Throttled(reason=f"nothing was asked yet: {gone.reason}")
        except Retry as later:
            return Throttled(wait_s=later.wait_s, reason=str(later))
        except SignInAgain as refused:
            return Rejected(str(refused), code="unauthorized")
        except Park as refused:
            return Rejected(str(refused), code="unread")
        if why_not is not None:
            return Rejected(f"eBay does not allow this cancel: {why_not}", code="not_eligible")
        return await self._ask(http, order, asked)

    async def cancel_state(self, http: Http, wish: CancelWish, reference: str | None) -> CancelState:
        """Read the case by its id, or by the order. Raises Retry, NoAnswer, SignInAgain, Park."""
        order = None
        if reference is None:
            order = await self._order(http, wish.order_id)
            if order is None:
                return CancelState("none", "eBay does not know this order")
            if order.cancelled:
                return CancelState("done")
            case = await self._newest(http, order)
        else:
            case = await self._case(http, reference, text(wish.known.get("marketplace_id")) or self._marketplace_id)
        if case is None:
            return CancelState("none")
        word = (text(case.get("cancelStatus")) or "").upper()
        state = STATES.get(word)
        if state == "done":
            return CancelState("done", word)
        if state == "refused":
            return CancelState("refused", word)
        if state is None:
            # A word that does not say it: the order does.
            order = order or await self._order(http, wish.order_id)
            if order is not None and order.cancelled:
                return CancelState("done", word)
            if word == "CANCEL_CLOSED_FOR_COMMITMENT":
                return CancelState("refused", word)
        return CancelState("running", word)

    # --- steps ---------------------------------------------------------------------------------------------------

    async def _order(self, http: Http, order_id: str) -> _Order | None:
        response = await self._client.get_order(http, order_id)
        if response is None:
            return None
        try:
            found = decoded(response.body, dict[str, Any], "order")
        except Unreadable as bad:
            raise Retry(str(bad)) from bad
        state = (text(inside(found, "cancelStatus", "cancelState")) or "").upper()
        lines = objects(found.get("lineItems"))
        payments = objects(inside(found, "paymentSummary", "payments"))
        legacy = text(found.get("legacyOrderId"))
        return _Order(
            legacy_id=legacy or order_id,
            marketplace_id=next(
                (site for one in lines if (site := text(one.get("listingMarketplaceId")))), self._marketplace_id
            ),
            cancelled=state == "CANCELED",
            in_progress=state == "IN_PROGRESS",
            paid=(text(found.get("orderPaymentStatus")) or "").upper() in _PAID,
            paid_at=next((at for one in payments if (at := text(one.get("paymentDate")))), None),
            units={text(one.get("lineItemId")) or "?": whole(one.get("quantity")) or 0 for one in lines},
            read_at=response.received_at,
        )

    async def _buyers_wish(self, http: Http, order: _Order) -> str | None:
        """Return the id of a buyer's open wish: agreeing to it is no defect of the seller's."""
        for case in await self._search(http, order):
            if text(case.get("requestorType")) == "BUYER" and text(case.get("cancelStatus")) == "CANCEL_REQUESTED":
                return text(case.get("cancelId"))
        return None

    async def _why_not(self, http: Http, order: _Order) -> str | None:
        body = {"legacyOrderId": order.legacy_id}
        request, response = await self._client.post_order(
            http, "POST", "/check_eligibility", "checkCancellationEligibility", order.marketplace_id, body
        )
        answer = body_of_read(request, response, dict[str, Any])
        if answer.get("eligible") is not False:
            return None
        reasons = answer.get("failureReason")
        words = [text(one) or text(inside(one, "message")) for one in reasons] if isinstance(reasons, list) else []
        return "; ".join(word for word in words if word) or "no reason given"

    async def _ask(self, http: Http, order: _Order, asked: str | None) -> Outcome:
        path, operation = "", "createCancellation"
        body: dict[str, Any] | None = {
            "legacyOrderId": order.legacy_id,
            "cancelReason": REASON,
            "buyerPaid": order.paid,
            **({"buyerPaidDate": {"value": order.paid_at}} if order.paid and order.paid_at else {}),
        }
        if asked is not None:
            path, operation, body = f"/{quote(asked, safe='')}/approve", "approveCancellationRequest", None
        signs = signing.wanted_at(order.read_at, body=body is not None)
        try:
            _, response = await self._client.post_order(
                http, "POST", path, operation, order.marketplace_id, body, signs
            )
        except NoAnswer as gone:
            return Unknown(gone.reason) if gone.sent else Throttled(reason=gone.reason)
        return _outcome(response, asked)

    async def _case(self, http: Http, cancel_id: str, marketplace_id: str) -> dict[str, Any] | None:
        request, response = await self._client.post_order(
            http, "GET", f"/{quote(cancel_id, safe='')}?fieldgroups=FULL", "getCancellation", marketplace_id, None
        )
        if response.status == 404:
            return None
        answer = body_of_read(request, response, dict[str, Any])
        detail = answer.get("cancelDetail")
        return detail if isinstance(detail, dict) else answer

    async def _newest(self, http: Http, order: _Order) -> dict[str, Any] | None:
        mine = [case for case in await self._search(http, order) if text(case.get("requestorType")) != "BUYER"]
        return max(mine, key=lambda case: text(inside(case, "cancelRequestDate", "value")) or "", default=None)

    async def _search(self, http: Http, order: _Order) -> list[dict[str, Any]]:
        query = urlencode({"legacy_order_id": order.legacy_id, "limit": 25, "offset": 1})
        request, response = await self._client.post_order(
            http, "GET", f"/search?{query}", "searchCancellations", order.marketplace_id, None
        )
        answer = body_of_read(request, response, dict[str, Any])
        if not isinstance(answer.get("cancellations"), list):
            raise Retry("eBay searchCancellations answered without a list")
        return objects(answer["cancellations"])


_LINES = Rejected("eBay cancels whole orders only, and not all of this one is to be cancelled", code="lines")


def _outcome(response: Response, asked: str | None) -> Outcome:
    if 200 <= response.status < 300:
        if asked is not None:
            page = response.body.lstrip().startswith(b"<")
            return Unknown("a page came in place of eBay's answer") if page else Accepted(reference=asked)
        try:
            answer = decoded(response.body, dict[str, Any], "cancellation")
        except Unreadable:
            answer = {}
        made = text(answer.get("cancelId"))
        if made is None and inside(answer, "orderEligibilityResult", "eligible") is False:
            return Rejected("eBay does not allow this cancel any more", code="not_eligible")
        return Accepted(reference=made) if made else Unknown("eBay took the cancel without naming its case")
    error = explained_body(response.body)
    if response.status == 403 and error.error_id in signing.REFUSED:
        todo = "eBay asks EU and UK sellers for a digital signature: enter signing_jwe and signing_private_key"
        return Rejected(f"{todo} ({error.error_id} {error.words})", code="signature")
    return outcome_of_refusal(response)
