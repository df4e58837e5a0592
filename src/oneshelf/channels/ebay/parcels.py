"""Parcels told to eBay: createShippingFulfillment, and the list of what eBay knows.

In: an order's id, a parcel. Out: an Outcome; parcels told. Never: a second call for a parcel that is in the list.
Source: eBay Sell Fulfillment 1.20.6 (createShippingFulfillment, getShippingFulfillments, errors 32100 to 34500), read 2026-11.
"""

from __future__ import annotations

import re
from typing import Any

from oneshelf.channels.abilities import Parcel, ShipAbility, ShipmentTold
from oneshelf.channels.contract import Http, NoAnswer
from oneshelf.channels.ebay.answers import outcome_of_refusal
from oneshelf.channels.ebay.client import EbayClient
from oneshelf.channels.ebay.wire import decoded, explained_body, instant, iso, objects, text, whole
from oneshelf.core.errors import Retry, Unreadable
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled, Unknown

#: A parcel can't be changed or taken back: a wrong number is corrected by another parcel, the first stays.
SHIPS = ShipAbility(partial=True, several=True, edits=False, needs_tracking=False, counts=True)

#: eBay's carrier codes by the carrier's name as shops write it, lower case without signs; anything else is sent by its name.
#: Source: Trading GeteBayDetails, ShippingCarrierDetails (USPS, UPS, FedEx, DHL …).
CARRIERS = {
    "ups": "UPS",
    "usps": "USPS",
    "unitedstatespostalservice": "USPS",
    "unitedparcelservice": "UPS",
    "fedex": "FedEx",
    "federalexpress": "FedEx",
    "dhl": "DHL",
    "dhlexpress": "DHL",
}

#: 34500 "Please use PUT operation for updating shipping fulfillment": there is one of this number (and no PUT).
_EXISTS = {34500}
#: What the path of the new parcel ends with.
_LOCATION = re.compile(r"/shipping_fulfillment/([^/?]+)$")


def tracking_of(number: str | None) -> str:
    """Return a tracking number as eBay takes it: letters and digits only."""
    return re.sub(r"[^A-Za-z0-9]", "", number or "")


def carrier_of(name: str | None) -> str:
    """Return eBay's carrier code, else the carrier's own name, else "Other"."""
    plain = re.sub(r"[^a-z0-9]", "", (name or "").lower())
    return CARRIERS.get(plain) or (name or "").strip() or "Other"


async def ship(client: EbayClient, http: Http, order_id: str, parcel: Parcel) -> Outcome:
    """Tell one parcel. Accepted.reference is the fulfilment's id: its tracking number, or a number of eBay's without one.

    A parcel that eBay knows can't be changed: version 2 and later are refused (code "no_edit").
    """
    if parcel.version > 1 and parcel.reference:
        return Rejected("eBay can't change a parcel that it was told; add the right number on eBay", code="no_edit")
    tracking = tracking_of(parcel.tracking_number)
    body: dict[str, Any] = {
        "lineItems": [{"lineItemId": line, "quantity": units} for line, units in parcel.units.items() if units > 0],
        "shippedDate": iso(parcel.shipped_at),
    }
    if not body["lineItems"]:
        return Rejected("the parcel holds nothing of this order", code="empty")
    if tracking:  # carrier and number only together (32300)
        body |= {"shippingCarrierCode": carrier_of(parcel.carrier), "trackingNumber": tracking}
    try:
        response = await client.create_shipping_fulfillment(http, order_id, body)
    except NoAnswer as lost:
        return Unknown(lost.reason) if lost.sent else Throttled(reason=lost.reason)
    if response.status == 201:
        made = _LOCATION.search(response.headers.get("location", ""))
        return Accepted(made[1] if made else tracking or None)
    if 200 <= response.status < 300:  # not eBay's yes: something in between answered
        return Unknown(f"HTTP {response.status} where 201 was promised")
    if response.status == 409 or explained_body(response.body).error_id in _EXISTS:
        # Maybe by a try of ours; the list of parcels tells.
        return Unknown(f"eBay answered {response.status}: the parcel may be known already")
    return outcome_of_refusal(response)


async def shipments(client: EbayClient, http: Http, order_id: str) -> list[ShipmentTold]:
    """Return the parcels that eBay knows of an order. Raises Park, Retry, SignInAgain, NoAnswer."""
    raw, _ = await client.get_shipping_fulfillments(http, order_id)
    try:
        found = decoded(bytes(raw), list[dict[str, Any]], "shipping fulfillments")
    except Unreadable as bad:  # what can't be read proves no absence
        raise Retry(str(bad)) from bad
    return [_told(one) for one in found]


def _told(parcel: dict[str, Any]) -> ShipmentTold:
    counts = [(text(line.get("lineItemId")), whole(line.get("quantity"))) for line in objects(parcel.get("lineItems"))]
    # A line without its count: eBay does not say what is in the parcel.
    units = {line: count for line, count in counts if line is not None and count is not None}
    units = units if len(units) == len(counts) else {}
    return ShipmentTold(
        reference=text(parcel.get("fulfillmentId")) or "",
        units=units or None,
        carrier=text(parcel.get("shippingCarrierCode")),
        tracking_number=text(parcel.get("shipmentTrackingNumber")),
        shipped_at=instant(parcel.get("shippedDate")),
    )
