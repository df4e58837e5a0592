"""What is inside a feed: listing messages in JSON, order acknowledgements in XML.

In: the bytes of a feed. Out: the processing report; what the messages ask for is done at once.
Source: schemas listings-feed-schema-v2 and listings-feed-processing-report-schema-v2; OrderAcknowledgement.xsd release
1.9; page order-feed-type-values; thread amzn/selling-partner-api-models#4636 (malformed header); read 2026-11.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from .book import CANCEL_REASONS
from .patches import Malformed, issues_of_attribute, issues_of_patches, read_patches

if TYPE_CHECKING:
    from .marketplace import Amazon

MESSAGES_MAX = 25_000
MESSAGE_ID_MAX = 2_147_483_647


class Unreadable(ValueError):
    """The feed as a whole cannot be worked on: it ends FATAL."""


# Listings


def listings(amazon: Amazon, feed_id: str, marketplaces: Sequence[str], content: bytes) -> bytes:
    """Carry out a JSON_LISTINGS_FEED and return its processing report."""
    try:
        document = json.loads(content)
    except ValueError:
        raise Unreadable("the feed is not JSON") from None
    header = document.get("header") if isinstance(document, dict) else None
    messages = document.get("messages") if isinstance(document, dict) else None
    if not isinstance(messages, list) or len(messages) > MESSAGES_MAX:
        raise Unreadable(f"messages must be an array of at most {MESSAGES_MAX}")
    issues: list[dict[str, Any]] = []
    if not isinstance(header, dict) or header.get("sellerId") != amazon.seller_id or header.get("version") != "2.0":
        issues.append(_issue(0, "", "4002005", "Attribute 'Merchant' is required"))
        return _listings_report(amazon, feed_id, len(messages), 0, issues)
    accepted = 0
    seen: set[int] = set()
    for message in messages:
        found = list(_message_issues(message, seen, marketplaces))
        if not found and amazon.world.faults.roll("partial_batch", "amazon", "JSON_LISTINGS_FEED"):
            found = [_issue(message["messageId"], message["sku"], "90057", "The SKU could not be processed.")]
        if found:
            issues += found
            continue
        accepted += 1
        if not amazon.world.faults.roll("never_applied", "amazon", "JSON_LISTINGS_FEED"):
            _apply(amazon, message, marketplaces)
    return _listings_report(amazon, feed_id, len(messages), accepted, issues)


def _message_issues(message: Any, seen: set[int], marketplaces: Sequence[str]) -> Iterator[dict[str, Any]]:
    if not isinstance(message, dict):
        yield _issue(0, "", "4002000", "A message must be an object.")
        return
    number, sku, kind = message.get("messageId"), message.get("sku"), message.get("operationType")
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MESSAGE_ID_MAX or number in seen:
        yield _issue(0, str(sku or ""), "4002001", "messageId must be a whole number from 1, used once.")
        return
    seen.add(number)
    if not isinstance(sku, str) or not sku:
        yield _issue(number, "", "4002002", "sku is required.")
        return
    if kind not in ("UPDATE", "PARTIAL_UPDATE", "PATCH", "DELETE"):
        yield _issue(number, sku, "4002003", f"operationType {kind!r} is unknown.")
        return
    try:
        problems = _values_problems(message, str(kind), marketplaces)
    except Malformed as malformed:
        yield _issue(number, sku, "4002004", str(malformed))
        return
    for found in problems:
        yield _issue(number, sku, found["code"], found["message"], found["attributeNames"][0])


def _values_problems(message: Mapping[str, Any], kind: str, marketplaces: Sequence[str]) -> list[dict[str, Any]]:
    if kind == "DELETE":
        return []
    if kind == "PATCH":
        return issues_of_patches(read_patches(message)[1], marketplaces)
    attributes = message.get("attributes")
    if not isinstance(message.get("productType"), str) or not isinstance(attributes, dict):
        raise Malformed("productType and attributes are required")
    if not all(isinstance(each, list) and all(isinstance(e, dict) for e in each) for each in attributes.values()):
        raise Malformed("attributes must be arrays of objects by name")
    return [found for name, each in attributes.items() for found in issues_of_attribute(name, each, marketplaces)]


def _apply(amazon: Amazon, message: Mapping[str, Any], marketplaces: Sequence[str]) -> None:
    sku, kind = message["sku"], message["operationType"]
    if kind == "DELETE":
        amazon.shelf.delete(sku)
    elif kind == "UPDATE":
        for where in marketplaces:
            amazon.shelf.put(sku, message["productType"], message["attributes"], where, complete=True)
    else:
        patches = message["patches"] if kind == "PATCH" else [
            {"op": "replace", "path": f"/attributes/{name}", "value": entries}
            for name, entries in message["attributes"].items()
        ]  # fmt: skip
        amazon.shelf.apply_patches(sku, message["productType"], patches, marketplaces)


def _issue(number: int, sku: str, code: str, text: str, attribute: str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"messageId": number, "sku": sku, "code": code, "severity": "ERROR", "message": text}
    return found | ({"attributeName": attribute} if attribute else {})


def _listings_report(
    amazon: Amazon, feed_id: str, processed: int, accepted: int, issues: Sequence[Mapping[str, Any]]
) -> bytes:
    report = {
        "header": {"sellerId": amazon.seller_id, "version": "2.0", "feedId": feed_id},
        "issues": issues,
        "summary": {
            "errors": len(issues),
            "warnings": 0,
            "messagesProcessed": processed,
            "messagesAccepted": accepted,
            "messagesInvalid": processed - accepted,
        },
    }
    return json.dumps(report).encode()


# Order acknowledgements


def acknowledgements(amazon: Amazon, feed_id: str, marketplaces: Sequence[str], content: bytes) -> bytes:
    """Carry out a POST_ORDER_ACKNOWLEDGEMENT_DATA feed and return its processing report."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise Unreadable("a document type is not allowed")
    try:
        envelope = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise Unreadable(f"the feed is not XML: {error}") from None
    if envelope.tag != "AmazonEnvelope" or envelope.findtext("MessageType") != "OrderAcknowledgement":
        raise Unreadable("an AmazonEnvelope with MessageType OrderAcknowledgement is expected")
    if (envelope.findtext("Header/MerchantIdentifier") or "").strip() != amazon.seller_id:
        raise Unreadable("MerchantIdentifier is not this seller")
    messages = envelope.findall("Message")
    problems = []
    for message in messages:
        number = (message.findtext("MessageID") or "").strip()
        try:
            _acknowledge(amazon, message.find("OrderAcknowledgement"))
        except ValueError as problem:
            problems.append((number, str(problem)))
    return _xml_report(amazon, feed_id, len(messages), problems)


def _acknowledge(amazon: Amazon, entry: ElementTree.Element | None) -> None:
    """Do what one acknowledgement says. Raises ValueError with the text for the report."""
    if entry is None:
        raise ValueError("The message holds no OrderAcknowledgement.")

    def text(name: str, where: ElementTree.Element) -> str:
        return (where.findtext(name) or "").strip()

    order = amazon.book.orders.get(text("AmazonOrderID", entry))
    if order is None:
        raise ValueError("The AmazonOrderID is not an order of this seller.")
    status = text("StatusCode", entry)
    if status == "Success":
        amazon.book.acknowledge(order, text("MerchantOrderID", entry) or None)
        return
    if status != "Failure":
        raise ValueError("StatusCode must be Success or Failure.")
    if order.by_amazon or order.status not in ("UNSHIPPED", "PARTIALLY_SHIPPED"):
        raise ValueError(f"The order cannot be cancelled in its state ({order.status}).")
    if amazon.world.faults.roll("partial_batch", "amazon", "POST_ORDER_ACKNOWLEDGEMENT_DATA"):
        raise ValueError("We could not process this message. Please try again.")
    reasons: dict[str, str] = {}
    for item in entry.findall("Item"):
        code, reason = text("AmazonOrderItemCode", item), text("CancelReason", item)
        if order.item(code) is None:
            raise ValueError(f"The AmazonOrderItemCode {code} is not part of order {order.order_id}.")
        if reason not in CANCEL_REASONS:
            raise ValueError(f"The CancelReason {reason} is not valid.")
        reasons[code] = reason
    if not reasons:
        raise ValueError("A failed acknowledgement needs its items with their CancelReason.")
    for reason in sorted(set(reasons.values())):
        only = {code for code, each in reasons.items() if each == reason}
        amazon.book.cancel(order, "MERCHANT", reason, gives_back=reason != "NoInventory", only=only)


def _xml_report(amazon: Amazon, feed_id: str, processed: int, problems: Sequence[tuple[str, str]]) -> bytes:
    results = "".join(
        f"<Result><MessageID>{escape(number)}</MessageID><ResultCode>Error</ResultCode>"
        f"<ResultMessageCode>6024</ResultMessageCode><ResultDescription>{escape(text)}</ResultDescription></Result>"
        for number, text in problems
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><AmazonEnvelope><Header><DocumentVersion>1.02</DocumentVersion>'
        f"<MerchantIdentifier>{escape(amazon.seller_id)}</MerchantIdentifier></Header>"
        "<MessageType>ProcessingReport</MessageType><Message><MessageID>1</MessageID><ProcessingReport>"
        f"<DocumentTransactionID>{escape(feed_id)}</DocumentTransactionID><StatusCode>Complete</StatusCode>"
        f"<ProcessingSummary><MessagesProcessed>{processed}</MessagesProcessed>"
        f"<MessagesSuccessful>{processed - len(problems)}</MessagesSuccessful>"
        f"<MessagesWithError>{len(problems)}</MessagesWithError><MessagesWithWarning>0</MessagesWithWarning>"
        f"</ProcessingSummary>{results}</ProcessingReport></Message></AmazonEnvelope>"
    ).encode()
