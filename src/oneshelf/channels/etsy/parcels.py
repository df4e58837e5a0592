"""Parcels told to Etsy: a tracking number for a whole receipt, and what the receipt knows.

In: a receipt's id, a parcel. Out: an Outcome; parcels told. Never: tells a changed parcel without having read what the receipt says:
every success mails the buyer, and an earlier version may have been told without our knowing.
Source: Etsy Open API v3, createReceiptShipment; etsy/open-api #135, #201, #451, #589; read 2026-11.
"""

from __future__ import annotations

import re
from typing import Any

from oneshelf.channels.abilities import Parcel, ShipAbility, ShipmentTold
from oneshelf.channels.contract import Http, NoAnswer
from oneshelf.channels.etsy.answers import outcome_of_refusal
from oneshelf.channels.etsy.client import EtsyClient
from oneshelf.channels.etsy.shelf import not_sent
from oneshelf.channels.etsy.wire import decoded, instant, text, whole
from oneshelf.core.errors import Park, Retry, Unreadable
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled, Unknown

#: The first parcel marks the whole receipt shipped; a later one is a number more. Nothing can be changed or taken back.
SHIPS = ShipAbility(partial=False, several=True, edits=False, needs_tracking=False, counts=False, more_numbers=True)

#: Etsy's carrier keys by the carrier's name as shops write it, lower case without signs. A name that is not Etsy's is silently dropped
#: (#135), so everything else is "other". Source: fulfillment tutorial.
CARRIERS = {"ups": "ups", "usps": "usps", "unitedstatespostalservice": "usps", "fedex": "fedex"}


def carrier_of(name: str | None) -> str:
    """Return Etsy's key of a carrier, "other" for those that it has none for."""
    return CARRIERS.get(re.sub(r"[^a-z0-9]", "", (name or "").lower()), "other")


async def ship(client: EtsyClient, http: Http, order_id: str, parcel: Parcel) -> Outcome:
    """Tell one parcel. Without a tracking number the receipt is only marked shipped. `parcel.units` can't be told: a receipt goes whole.

    Rejected(code="not_allowed"): the shop or the app has no right to ship through the API; a person enters it on etsy.com.
    """
    if parcel.version > 1 and parcel.reference:
        return Rejected("Etsy can't change a parcel that it was told; add the right number on Etsy", code="no_edit")
    if parcel.version > 1 and (told_before := await _told_before(client, http, order_id, parcel)) is not None:
        return told_before
    body: dict[str, Any] = {"send_bcc": False}
    if parcel.tracking_number:
        body |= {"tracking_code": parcel.tracking_number, "carrier_name": carrier_of(parcel.carrier)}
    if parcel.more_tracking_numbers:  # a further call would be a parcel and a mail more
        body["note_to_buyer"] = f"Further tracking numbers: {', '.join(parcel.more_tracking_numbers)}"
    try:
        response = await client.create_receipt_shipment(http, order_id, body)
    except NoAnswer as lost:
        return Unknown(lost.reason) if lost.sent else Throttled(reason=lost.reason)
    if response.status == 403:
        return Rejected("Etsy lets this shop or app ship by hand only", code="not_allowed")
    if not 200 <= response.status < 300:
        return outcome_of_refusal(response)
    try:
        told = _all(decoded(response.body, dict[str, Any], "receipt"))
    except Unreadable as bad:  # a page in between says 200 too
        return Unknown(str(bad))
    mine = [one for one in told if one.tracking_number == parcel.tracking_number] or told
    return Accepted(mine[-1].reference if mine else order_id)


def _plain(number: str | None) -> str:
    """A tracking number as two people would write it alike."""
    return re.sub(r"[^A-Z0-9]", "", (number or "").upper())


async def _told_before(client: EtsyClient, http: Http, order_id: str, parcel: Parcel) -> Outcome | None:
    """Look whether a changed parcel, or an earlier version of it, is on the receipt (S10.2); None: nothing is, it may be told.

    The receipt knows no key of ours: any other parcel on it may be the earlier version, and the receipt is shipped as a whole by it.
    """
    try:
        told = await shipments(client, http, order_id)
    except (Retry, NoAnswer, Park) as bad:
        return not_sent(bad)
    wanted = _plain(parcel.tracking_number)
    mine = [one for one in told if _plain(one.tracking_number) == wanted]
    if mine:
        return Accepted(mine[-1].reference)
    if told:
        return Rejected(
            "Etsy knows a parcel of this order already and can't change it; add the number on Etsy", code="no_edit"
        )
    return None


async def shipments(client: EtsyClient, http: Http, order_id: str) -> list[ShipmentTold]:
    """Return the parcels on a receipt. Raises Park when Etsy does not know it; Retry, SignInAgain, NoAnswer."""
    response = await client.get_shop_receipt(http, order_id)
    if response is None:
        raise Park(f"Etsy does not know receipt {order_id}")
    return _all(decoded(response.body, dict[str, Any], "receipt"))


def _all(receipt: dict[str, Any]) -> list[ShipmentTold]:
    """The parcels of a receipt; one that was only marked shipped has none, and counts as one without a number."""
    found = [one for one in receipt.get("shipments") or [] if isinstance(one, dict)]
    told = [
        ShipmentTold(
            reference=str(whole(one.get("receipt_shipping_id")) or text(one.get("tracking_code")) or place),
            units=None,
            carrier=text(one.get("carrier_name")),
            tracking_number=text(one.get("tracking_code")),
            shipped_at=instant(one.get("shipment_notification_timestamp")),
        )
        for place, one in enumerate(found, 1)
    ]
    if not told and receipt.get("is_shipped") is True:
        told.append(ShipmentTold(reference="shipped", units=None))
    return told
