"""Cancelling what we can't deliver: an order acknowledgement feed, Failure with NoInventory per line, and how it ended.

In: an Account and a wish. Out: an Outcome (the feed was taken), then how far it is. Never: for an order that is pending (Amazon refuses it).
There is no usable call: `cancelOrder` is in no current model. A feed is taken at once and worked on minutes later, so its answer proves
nothing; its result document and the order do.
Source: models feeds_2021-06-30, orders_2026-01-01; OrderAcknowledgement.xsd release 1.9; page order-feed-type-values; read 2026-11.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from oneshelf.channels.abilities import CancelAbility, CancelState, CancelWish
from oneshelf.channels.amazon import wire
from oneshelf.channels.amazon.account import Account, build, path_part
from oneshelf.channels.amazon.answers import body_of_read, decoded, outcome_of_refusal, outcome_of_silence
from oneshelf.channels.amazon.client import get_order
from oneshelf.channels.amazon.parse import parse
from oneshelf.channels.contract import Http, NoAnswer, Request
from oneshelf.core.errors import Park, Retry
from oneshelf.core.facts import OrderSeen
from oneshelf.core.outcome import Accepted, Outcome, Throttled, Unknown

#: Amazon counts over seven days. Source: Seller Central help 200285210, "Cancellation rate".
CANCELS = CancelAbility(
    how="job",
    lines=True,
    counts_against="Amazon counts it in the pre-fulfilment cancellation rate",
    limit_percent=2.5,
    rate_days=7,
)
FEED_TYPE = "POST_ORDER_ACKNOWLEDGEMENT_DATA"
CONTENT_TYPE = "text/xml; charset=UTF-8"
_FEEDS = "/feeds/2021-06-30"
#: A result document of one order is a few hundred bytes; a bomb is not unpacked.
_RESULT_BYTES_MAX = 1_000_000


def link(order_id: str) -> str:
    """Return where a person cancels the order in Seller Central."""
    return f"https://sellercentral.amazon.com/orders-v3/order/{path_part(order_id)}"


def envelope(seller_id: str, order_id: str, item_ids: list[str]) -> bytes:
    """Return the feed: one message, one order, NoInventory for each line. NoInventory does not put pieces back on sale."""
    items = "".join(
        f"<Item><AmazonOrderItemCode>{escape(one)}</AmazonOrderItemCode><CancelReason>NoInventory</CancelReason></Item>"
        for one in item_ids
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><AmazonEnvelope xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:noNamespaceSchemaLocation="amzn-envelope.xsd"><Header><DocumentVersion>1.01</DocumentVersion>'
        f"<MerchantIdentifier>{escape(seller_id)}</MerchantIdentifier></Header>"
        "<MessageType>OrderAcknowledgement</MessageType><Message><MessageID>1</MessageID><OrderAcknowledgement>"
        f"<AmazonOrderID>{escape(order_id)}</AmazonOrderID><StatusCode>Failure</StatusCode>{items}"
        "</OrderAcknowledgement></Message></AmazonEnvelope>"
    ).encode()


async def cancel(http: Http, account: Account, wish: CancelWish) -> Outcome:
    """Hand in the feed: 1. a place for the document.  2. The document.  3. The feed, the only one of the three that does something.

    Accepted.reference is the feed's id.
    """
    body = {"contentType": CONTENT_TYPE}
    made = build(account, "createFeedDocument", f"{_FEEDS}/documents", method="POST", body=body, writes=True)
    try:
        response = await http.request(made)
        if not 200 <= response.status < 300:
            return outcome_of_refusal(made, response) if response.status < 500 else _nothing_done(response.status)
        place = decoded(made, response.body, wire.FeedDocument)
        content = envelope(account.seller_id, wish.order_id, sorted(wish.lines))
        upload = Request("PUT", place.url, "feedUpload", {"content-type": CONTENT_TYPE}, content, bare=True)
        response = await http.request(upload)
    except NoAnswer as lost:
        return Throttled(wait_s=5.0, reason=lost.reason)
    except Retry as bad:
        return Throttled(wait_s=5.0, reason=str(bad))
    if not 200 <= response.status < 300:
        return _nothing_done(response.status)
    return await _create_feed(http, account, place.feed_document_id, wish.known)


async def _create_feed(http: Http, account: Account, document_id: str, known: Mapping[str, Any]) -> Outcome:
    body = {
        "feedType": FEED_TYPE,
        "marketplaceIds": [known.get("marketplace_id") or account.marketplace_ids[0]],
        "inputFeedDocumentId": document_id,
    }
    request = build(account, "createFeed", f"{_FEEDS}/feeds", method="POST", body=body, writes=True)
    try:
        response = await http.request(request)
    except NoAnswer as lost:
        return outcome_of_silence(lost)
    if response.status != 202:
        return outcome_of_refusal(request, response) if response.status >= 300 else Unknown(f"HTTP {response.status}")
    try:
        return Accepted(decoded(request, response.body, wire.FeedMade).feed_id)
    except Retry as bad:
        return Unknown(str(bad))


def _nothing_done(status: int) -> Outcome:
    """A document that was not taken cancels nothing."""
    return Throttled(wait_s=30.0, reason=f"Amazon took no document (HTTP {status})")


async def cancel_state(http: Http, account: Account, wish: CancelWish, reference: str | None) -> CancelState:
    """Read how far it is: the order's own word first, then the feed's. Raises Retry, SignInAgain, NoAnswer, Park."""
    if await _is_cancelled(http, account, wish):
        return CancelState("done")
    if reference is None:
        return CancelState("none", "the order is not cancelled")
    request = build(account, "getFeed", f"{_FEEDS}/feeds/{path_part(reference)}")
    response = await http.request(request)
    if response.status == 404:
        return CancelState("none", f"Amazon knows no feed {reference}")
    feed = decoded(request, body_of_read(request, response), wire.Feed)
    if feed.processing_status in ("IN_QUEUE", "IN_PROGRESS"):
        return CancelState("running", feed.processing_status)
    if feed.processing_status == "DONE" and feed.result_feed_document_id:
        problem = refusal_in(await _result(http, account, feed.result_feed_document_id))
        # A good report, and the order does not show it yet: it will.
        return CancelState("refused", problem) if problem else CancelState("running", "the feed is done")
    return CancelState("refused", f"the feed ended {feed.processing_status}")


async def _is_cancelled(http: Http, account: Account, wish: CancelWish) -> bool:
    message = await get_order(http, account, wish.order_id)
    if message is None:
        raise Park(f"Amazon does not know order {wish.order_id}")
    seen = next((fact for fact in parse(message) if isinstance(fact, OrderSeen)), None)
    return seen is not None and all_closed(seen, wish)


def all_closed(seen: OrderSeen, wish: CancelWish) -> bool:
    """Whether nothing of the wish's lines is open any more. The feed takes all of a line that is open, so units that were cancelled
    before say nothing about it. Pure."""
    still_open = {line.line_id: line.ordered - line.cancelled - line.shipped for line in seen.lines}
    return seen.cancelled or all(still_open.get(line_id, 1) <= 0 for line_id in wish.lines)


async def _result(http: Http, account: Account, document_id: str) -> bytes:
    """Read the processing report: its address lives five minutes and is asked without our token."""
    request = build(account, "getFeedDocument", f"{_FEEDS}/documents/{path_part(document_id)}")
    place = decoded(request, body_of_read(request, await http.request(request)), wire.FeedDocument)
    response = await http.request(Request("GET", place.url, "feedDownload", bare=True))
    if not 200 <= response.status < 300:
        raise Retry(f"Amazon's result document could not be read (HTTP {response.status})")
    if place.compression_algorithm != "GZIP":
        return response.body
    try:
        unpacked = zlib.decompressobj(wbits=31).decompress(response.body, _RESULT_BYTES_MAX)
    except zlib.error as bad:
        raise Retry("Amazon's result document is damaged") from bad
    return unpacked


def refusal_in(report: bytes) -> str:
    """Return what a processing report says against the message, "" if it took it. Raises Retry on what is no report.

    A document type or entities are not read: no report of Amazon's has them.
    """
    if b"<!DOCTYPE" in report or b"<!ENTITY" in report:
        raise Retry("Amazon's result document has a document type")
    try:
        tree = ElementTree.fromstring(report)
    except ElementTree.ParseError as bad:
        raise Retry("Amazon's result document is no XML") from bad
    summary = tree.find("Message/ProcessingReport/ProcessingSummary")
    if summary is None:
        raise Retry("Amazon's result document has no summary")
    said = [
        (result.findtext("ResultDescription") or "").strip()
        for result in tree.iter("Result")
        if (result.findtext("ResultCode") or "").strip() == "Error"
    ]
    failed = (summary.findtext("MessagesWithError") or "0").strip() != "0"
    return "; ".join(word for word in said if word)[:300] or ("Amazon refused it without words" if failed else "")
