"""Raw message → facts. Pure.

In: "poll:order" (one order document) and "queue:…" (one notification). Out: facts. Never: a call, a clock.
Notifications come at least once, in any order, sometimes not at all, and speak the v0 vocabulary: they hold stock at once and say
what to read; the document decides.
Source: Amazon notification schemas, commit 34dc93f; page "Notifications API v1 use case guide", read 2026-11.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from oneshelf.channels.amazon.orders import UNKNOWN_STANDING, Standing, instant, order_facts, standing_of, units
from oneshelf.channels.amazon.queue import Notification, text_of, unwrap, value_of
from oneshelf.channels.contract import RawMessage
from oneshelf.core.errors import Unreadable
from oneshelf.core.facts import CatalogueHint, Fact, Ignored, LineSeen, OrderHint, OrderSeen, OutletHint

#: Known kinds that say nothing to us, and why.
IGNORED = {
    "FEED_PROCESSING_FINISHED": "a feed is looked at while it is waited for",
    "REPORT_PROCESSING_FINISHED": "a report is looked at while it is waited for",
    "FBA_INVENTORY_AVAILABILITY_CHANGES": "Amazon's own stock is not on our shelf",
    "FBA_OUTBOUND_SHIPMENT_STATUS": "Amazon's own shipments",
    "ITEM_INVENTORY_EVENT_CHANGE": "a vendor's hourly figures",
    "ANY_OFFER_CHANGED": "other sellers' prices",
    "PRICING_HEALTH": "price advice",
    "TRANSACTION_UPDATE": "money movements",
    "ACCOUNT_STATUS_CHANGED": "account health",
    "BRANDED_ITEM_CONTENT_CHANGE": "catalogue texts",
    "ITEM_PRODUCT_TYPE_CHANGE": "catalogue types",
    "PRODUCT_TYPE_DEFINITIONS_CHANGE": "catalogue types",
}


def parse(message: RawMessage) -> list[Fact]:
    """Return the facts of one stored message. Raises Unreadable on what can't be read and on kinds we don't know."""
    if message.topic == "poll:order":
        return order_facts(message.body)
    if not message.topic.startswith("queue:"):
        raise Unreadable(f"unknown topic {message.topic[:80]!r}")
    notification = unwrap(message.body)
    if notification.type in IGNORED:
        return [Ignored(f"{notification.type}: {IGNORED[notification.type]}")]
    # Amazon's schema says …_CHANGED, its example and the subscription type …_CHANGE.
    if notification.type in ("LISTINGS_ITEM_STATUS_CHANGE", "LISTINGS_ITEM_STATUS_CHANGED"):
        return [_listing_changed(notification.payload)]
    if notification.type == "LISTINGS_ITEM_MFN_QUANTITY_CHANGE":
        return [_quantity_changed(notification.payload)]
    if notification.type == "LISTINGS_ITEM_ISSUES_CHANGE":
        return [OutletHint(_required(notification.payload, "Sku", trim=False))]
    if notification.type == "ORDER_CHANGE":
        return _order_changed(notification)
    raise Unreadable(f"unknown notification type {notification.type[:80]!r}")


def _listing_changed(payload: dict[str, Any]) -> Fact:
    status = value_of(payload, "Status")
    words = {str(word).upper() for word in status} if isinstance(status, list) else set()
    return CatalogueHint(_required(payload, "Sku", trim=False), deleted="DELETED" in words)


def _quantity_changed(payload: dict[str, Any]) -> Fact:
    channel = (text_of(payload, "FulfillmentChannelCode") or "DEFAULT").upper()
    if channel != "DEFAULT":
        return Ignored(f"a quantity of {channel[:40]}, which is Amazon's")
    return OutletHint(_required(payload, "Sku", trim=False))


def _order_changed(notification: Notification) -> list[Fact]:
    """Read an ORDER_CHANGE: hold its pieces from the summary alone, and read the order.

    Only a hint is made of what the summary can't tell: an order that Amazon ships (it may be a multi-channel order, which is no sale),
    and an item-level notice, whose items may be only the changed ones.
    """
    change = value_of(notification.payload, "OrderChangeNotification")
    if not isinstance(change, dict):
        raise Unreadable("ORDER_CHANGE without OrderChangeNotification")
    order_id = _required(change, "AmazonOrderId")
    hint = OrderHint(order_id)
    if (text_of(change, "OrderChangeType") or "") == "DeliveryTipChange":
        return [Ignored("ORDER_CHANGE: a delivery tip")]
    summary = value_of(change, "Summary")
    items = value_of(summary, "OrderItems")
    status = text_of(summary, "OrderStatus")
    by_amazon = (text_of(summary, "FulfillmentType") or "").upper() == "AFN"
    whole = (text_of(change, "NotificationLevel") or "").lower() == "orderlevel"
    standing = standing_of(status or "")
    if by_amazon or standing.not_ours or not whole or not status or not isinstance(items, list) or not items:
        return [hint]
    placed_at = instant(text_of(summary, "PurchaseDate"))
    updated_at = _change_instant(change, placed_at)
    return [
        OrderSeen(
            order_id=order_id,
            number=order_id,
            payment=standing.payment,
            lines=tuple(_line(item, standing) for item in items),
            placed_at=placed_at,
            updated_at=updated_at,
            cancelled=standing.cancelled,
            cancelled_at=updated_at if standing.cancelled else None,
            complete=False,
            marketplace_id=text_of(summary, "MarketplaceId"),
            ship_by_at=instant(text_of(summary, "LatestShipDate")),
            note=_note(status, standing, items),
        ),
        hint,
    ]


def _note(status: str, standing: Standing, items: list[Any]) -> str:
    asked = any(value_of(item, "IsBuyerRequestedCancel") in (True, "true", "True") for item in items)
    notes = [
        f"unknown status {status[:40]!r}" if standing is UNKNOWN_STANDING else "",
        "the buyer asks to cancel" if asked else "",
    ]
    return "; ".join(note for note in notes if note)


def _change_instant(change: dict[str, Any], placed_at: datetime | None) -> datetime | None:
    """Return an instant not after the change: the document read next must never look older than its own notification.

    TimeOfOrderChange in whole seconds (the Orders API may give no fractions); where it is null the purchase, not EventTime, which is
    when the notice was published, after the change.
    """
    trigger = value_of(change, "OrderChangeTrigger")
    changed_at = instant(text_of(trigger, "TimeOfOrderChange")) or placed_at
    return changed_at.replace(microsecond=0) if changed_at else None


def _line(item: Any, standing: Standing) -> LineSeen:
    sku = _required(item, "SellerSKU", trim=False)
    ordered = _count(item, "Quantity")
    counted = value_of(item, "QuantityShipped")
    if counted is None:
        shipped = ordered if standing.all_shipped else 0
    else:
        shipped = _count(item, "QuantityShipped")
    ordered = max(ordered, shipped)
    return LineSeen(
        line_id=_required(item, "OrderItemId"),
        listing_keys=(f"sku:{sku}",),
        ordered=ordered,
        cancelled=ordered - shipped if standing.cancelled else 0,
        shipped=shipped,
        sku=sku,
    )


def _count(item: Any, name: str) -> int:
    written = text_of(item, name)
    if written is None or not written.isdecimal():
        raise Unreadable(f"{name} is no count")
    return units(int(written) if len(written) < 10 else -1, name)


def _required(document: Any, name: str, *, trim: bool = True) -> str:
    value = value_of(document, name)
    if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).strip():
        raise Unreadable(f"{name} is missing")
    return str(value).strip() if trim else str(value)
