"""Parcels told to Amazon: confirmShipment (Orders v0; the newer Orders API has no successor), and what Amazon knows of an order's packages.

In: an Account, an order's id, a parcel. Out: an Outcome; packages told. Never: two package numbers for one parcel of ours.
Source: model ordersV0 (confirmShipment), orders_2026-01-01 (packages), commit 34dc93f; sheet of the shipment errors: issues
selling-partner-api-models #5037, #5094; read 2026-11.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from oneshelf.channels.abilities import Parcel, ShipAbility, ShipmentTold
from oneshelf.channels.amazon import wire
from oneshelf.channels.amazon.account import Account, build, path_part
from oneshelf.channels.amazon.answers import body_of_read, decoded, outcome_of_refusal, outcome_of_silence
from oneshelf.channels.amazon.client import timestamp
from oneshelf.channels.amazon.orders import instant
from oneshelf.channels.contract import Http, NoAnswer
from oneshelf.core.errors import Park
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Unknown

#: The same package number edits the package; partial shipments are further numbers.
SHIPS = ShipAbility(partial=True, several=True, edits=True, needs_tracking=True, counts=True)

#: Carrier codes by the carrier's name as shops write it, lower case without signs. The model takes free text; these are the usual
#: values, anything else goes as "Other" with its name. Source: model ordersV0, carrierCode and carrierName.
CARRIERS = {
    "ups": "UPS",
    "usps": "USPS",
    "unitedstatespostalservice": "USPS",
    "fedex": "FedEx",
    "dhl": "DHL",
    "dhlexpress": "DHL",
    "royalmail": "Royal Mail",
}

#: Package numbers are positive; Amazon names no upper bound: this keeps them within 15 digits.
_PACKAGE_MAX = 10**15


def package_reference(key: str) -> str:
    """Return the positive number, as text, under which Amazon keeps this parcel: the same for the same key, on every machine.

    A key that ends in a number (the hub's fulfilment id) is that number, so that a person finds it again.

    >>> package_reference("gid://shopify/Fulfillment/901")
    '901'
    """
    number = re.search(r"(\d{1,15})$", key)
    if number and int(number[1]) > 0:
        return str(int(number[1]))
    return str(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % (_PACKAGE_MAX - 1) + 1)


def carrier_of(name: str | None) -> tuple[str, str | None]:
    """Return (carrierCode, carrierName): a code of the table, else "Other" and the name (S10.4)."""
    plain = re.sub(r"[^a-z0-9]", "", (name or "").lower())
    if plain in CARRIERS:
        return CARRIERS[plain], None
    return "Other", (name or "").strip() or "Other"


async def ship(http: Http, account: Account, order_id: str, parcel: Parcel, known: Mapping[str, Any]) -> Outcome:
    """Confirm one package: one call. Amazon mails the buyer; the same parcel again edits the same package.

    `known["marketplace_id"]` is the order's marketplace. Accepted.reference is the package number.
    """
    if not parcel.tracking_number:
        return Rejected("Amazon takes no parcel without a tracking number; enter it in the shop", code="no_tracking")
    code, name = carrier_of(parcel.carrier)
    reference = package_reference(parcel.key)
    body: dict[str, Any] = {
        "marketplaceId": known.get("marketplace_id") or account.marketplace_ids[0],
        "packageDetail": {
            "packageReferenceId": reference,
            "carrierCode": code,
            **({"carrierName": name} if name else {}),
            "trackingNumber": parcel.tracking_number,
            "shipDate": timestamp(parcel.shipped_at),
            "orderItems": [{"orderItemId": line, "quantity": units} for line, units in parcel.units.items()],
        },
    }
    request = build(
        account,
        "confirmShipment",
        f"/orders/v0/orders/{path_part(order_id)}/shipmentConfirmation",
        method="POST",
        body=body,
        writes=True,
    )
    try:
        response = await http.request(request)
    except NoAnswer as lost:
        return outcome_of_silence(lost)
    if response.status == 204:
        return Accepted(reference)
    if 200 <= response.status < 300:  # not Amazon's yes: something in between answered
        return Unknown(f"HTTP {response.status} where 204 was promised")
    return outcome_of_refusal(request, response)


async def shipments(http: Http, account: Account, order_id: str) -> list[ShipmentTold]:
    """Return the packages that Amazon knows of an order. Raises Park when it does not know the order; Retry, SignInAgain, NoAnswer."""
    path = f"/orders/2026-01-01/orders/{path_part(order_id)}"
    request = build(account, "getOrder", path, {"includedData": ["FULFILLMENT", "PACKAGES"]})
    response = await http.request(request)
    if response.status == 404:
        raise Park(f"Amazon does not know order {order_id}")
    answer = decoded(request, body_of_read(request, response), wire.GetOrderAnswer)
    order = wire.informing(answer.order, wire.OrderPackages)
    return [_told(package) for package in (order.packages if order and order.packages else [])]


def _told(package: wire.Package) -> ShipmentTold:
    units = {str(item.order_item_id): item.quantity for item in package.package_items or [] if item.quantity}
    return ShipmentTold(
        reference=wire.text(package.package_reference_id) or "",
        units=units or None,
        carrier=wire.text(package.carrier),
        tracking_number=wire.text(package.tracking_number),
        shipped_at=instant(package.ship_time),
    )
