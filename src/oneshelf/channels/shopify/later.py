"""A copy's later life: what its marketplace said after it was made, and that it has left.

In: hub order ids, changes, parcels by marketplace line. Out: outcomes. Never: mails the buyer; takes away what the merchant wrote.
`orderUpdate` and `fulfillmentCreate` know no idempotency key. The first is safe to repeat: it is computed from what the order shows. The
second is not: who calls reads the copy after a call without answer (S10.6).
Source: Shopify Admin GraphQL orderUpdate, fulfillmentCreate, Order.fulfillmentOrders, 2026-10, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oneshelf.channels.abilities import CopyChange, Parcel
from oneshelf.channels.contract import Http, NoAnswer
from oneshelf.channels.shopify import documents as docs
from oneshelf.channels.shopify import ids
from oneshelf.channels.shopify.copies import CopyKeeper, before_sending, line_key
from oneshelf.channels.shopify.draft import mailing_address
from oneshelf.channels.shopify.form import WORK_DONE, text, whole
from oneshelf.channels.shopify.graphql import Failure, GraphQL, outcome_of, refusal, user_errors
from oneshelf.core.errors import Park, Retry
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Unknown

#: Longest note of an order, characters. Source: Shopify Admin GraphQL, OrderInput.note (5,000), read 2026-11.
NOTE_MAX = 5_000


class LaterLife:
    """Changes and fulfils the copies of one shop."""

    def __init__(self, graphql: GraphQL, keeper: CopyKeeper) -> None:
        self._graphql = graphql
        self._keeper = keeper

    async def change(self, http: Http, hub_order_id: str, change: CopyChange) -> Outcome:
        """Read the order, then set what differs. Nothing differs: Accepted without a call."""
        order_id = ids.gid("Order", hub_order_id)
        try:
            order = (await self._graphql.ask(http, docs.COPY_FACE, {"id": order_id})).data.get("order")
        except (Park, Retry, NoAnswer) as error:
            return before_sending(error)
        if order is None:
            return Rejected(f"the hub shows no order {hub_order_id}", "NOT_FOUND")
        fields = changed_fields(order, change)
        if not fields:
            return Accepted(hub_order_id, {"already": True})
        answer = await self._graphql.tell(http, docs.CHANGE_COPY, {"input": {"id": order_id, **fields}})
        if isinstance(answer, Failure):
            return outcome_of(answer)
        payload = answer.data.get("orderUpdate")
        if not isinstance(payload, dict):
            return Unknown("orderUpdate gave no payload")
        errors = user_errors(payload)
        return refusal(errors) if errors else Accepted(hub_order_id)

    async def fulfil(self, http: Http, hub_order_id: str, parcel: Parcel) -> Outcome:
        """Read what is open, then make one fulfilment at the one location that has all its pieces open."""
        order_id = ids.gid("Order", hub_order_id)
        try:
            _, lines = await self._keeper.pages(http, docs.COPY_LINES, order_id, "lineItems")
            found, work = await self._keeper.work(http, order_id)
        except (Park, Retry, NoAnswer) as error:
            return before_sending(error)
        if found is None:
            return Rejected(f"the hub shows no order {hub_order_id}", "NOT_FOUND")
        chosen = choose_work(lines, work, parcel.units)
        if chosen is None and any(_is_anothers(one) for one in work):
            why = "pieces of it are with another app's fulfilment service, which sends them itself: enter the parcel there"
            return Rejected(why, "not_ours")
        if chosen is None:
            return Rejected("fewer pieces are open in the shop than have left, or at several locations", "not_open")
        fulfillment: dict[str, Any] = {"lineItemsByFulfillmentOrder": chosen, "notifyCustomer": False}
        if parcel.tracking_number:
            fulfillment["trackingInfo"] = tracking_input(parcel)
        answer = await self._graphql.tell(http, docs.FULFIL_COPY, {"fulfillment": fulfillment})
        if isinstance(answer, Failure):
            return outcome_of(answer)
        payload = answer.data.get("fulfillmentCreate")
        if not isinstance(payload, dict):
            return Unknown("fulfillmentCreate gave no payload")
        errors = user_errors(payload)
        if errors:
            return refusal(errors)
        made = ids.number((payload.get("fulfillment") or {}).get("id"))
        return Accepted(made) if made else Unknown("fulfillmentCreate gave neither a fulfilment nor an error")


def tracking_input(parcel: Parcel) -> dict[str, Any]:
    """Return FulfillmentTrackingInput: one number with its address, or all numbers; addresses are matched by position, and the first's
    is the one we know. Source: Shopify Admin GraphQL FulfillmentTrackingInput, 2026-10."""
    made: dict[str, Any] = {"company": parcel.carrier} if parcel.carrier else {}
    if parcel.more_tracking_numbers:
        made["numbers"] = [parcel.tracking_number, *parcel.more_tracking_numbers]
        return {**made, "urls": [parcel.tracking_url]} if parcel.tracking_url else made
    made["number"] = parcel.tracking_number
    return {**made, "url": parcel.tracking_url} if parcel.tracking_url else made


def changed_fields(order: Mapping[str, Any], change: CopyChange) -> dict[str, Any]:
    """Return the fields of OrderInput that `change` asks for and the order does not show yet. Pure.

    Notes and tags are added to the merchant's own; one that stands there already is not added again.
    """
    fields: dict[str, Any] = {}
    note = text(order.get("note")) or ""
    missing = [line for line in change.notes if line not in note]
    if missing:
        # Where there is no room for all, the merchant's words stay and ours are cut.
        longer = "\n".join([part for part in (note, *missing) if part])[: max(NOTE_MAX, len(note))]
        if longer != note:
            fields["note"] = longer
    tags = [str(tag) for tag in order.get("tags") or []]
    new_tags = [tag for tag in change.tags if tag.lower() not in {one.lower() for one in tags}]
    if new_tags:
        fields["tags"] = [*tags, *new_tags]
    if change.email and change.email != text(order.get("email")):
        fields["email"] = change.email
    if change.phone and change.phone != text(order.get("phone")):
        fields["phone"] = change.phone
    if change.ship_to is not None:
        address = mailing_address(change.ship_to)
        if address and not _is_shown(address, order.get("shippingAddress") or {}):
            fields["shippingAddress"] = address
    return fields


def _is_shown(address: Mapping[str, str], shown: Mapping[str, Any]) -> bool:
    names = {"countryCode": "countryCodeV2"}
    return all(text(shown.get(names.get(name, name))) == value for name, value in address.items())


def choose_work(
    lines: list[dict[str, Any]], work: list[dict[str, Any]], units: Mapping[str, int]
) -> list[dict[str, Any]] | None:
    """Return FulfillmentOrderLineItemsInput for these pieces by marketplace line, all at one location; None if no location has them.

    One call makes one fulfilment, and a fulfilment leaves from one location. A marketplace line may be two hub lines (S14.6). Pure.
    """
    marketplace_line = {ids.number(line["id"]): line_key(line) for line in lines}
    for location in dict.fromkeys(_location(one) for one in work if _is_open(one)):
        left = {line: count for line, count in units.items() if count > 0}
        chosen = []
        for one in work:
            if _location(one) != location or not _is_open(one):
                continue
            taken = []
            for item in (one.get("lineItems") or {}).get("nodes") or []:
                key = marketplace_line.get(ids.number((item.get("lineItem") or {}).get("id"))) or ""
                count = min(left.get(key, 0), whole(item.get("remainingQuantity")) or 0)
                if count > 0:
                    left[key] -= count
                    taken.append({"id": item["id"], "quantity": count})
            if taken:
                chosen.append({"fulfillmentOrderId": one["id"], "fulfillmentOrderLineItems": taken})
        if chosen and not any(left.values()):
            return chosen
    return None


def _location(work: Mapping[str, Any]) -> str:
    return text(((work.get("assignedLocation") or {}).get("location") or {}).get("id")) or ""


def _is_open(work: Mapping[str, Any]) -> bool:
    """Whether we may send its pieces: Shopify says so, and since 2024-10 never those of another app's service.
    Source: Shopify changelog, "Order management apps can no longer fulfill orders that are assigned to a different fulfillment service"."""
    actions = {one.get("action") for one in work.get("supportedActions") or []}
    return "CREATE_FULFILLMENT" in actions and not _is_anothers(work)


def _is_anothers(work: Mapping[str, Any]) -> bool:
    place = (work.get("assignedLocation") or {}).get("location") or {}
    return place.get("isFulfillmentService") is True and str(work.get("status")).lower() not in WORK_DONE
