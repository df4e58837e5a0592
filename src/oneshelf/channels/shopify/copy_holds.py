"""Holds on the fulfilment of a copy: nobody packs it until it is sure whose pieces these are (SEMANTICS 6.5).

In: hub order ids. Out: outcomes. Never: lifts a hold of the merchant's or of another app; mails anybody.
Neither mutation knows an idempotency key. A hold carries our handle, which an app may use once a fulfilment order: a second try is refused
as DUPLICATE_FULFILLMENT_HOLD_HANDLE, which says that it is held. A release names our holds; what is gone needs none.
Shopify makes fulfilment orders itself, a moment after the order: until then there is nothing to hold, and the call is put off.
Source: Shopify Admin GraphQL fulfillmentOrderHold, fulfillmentOrderReleaseHold, FulfillmentHold, 2026-10, read 2026-11.
"""

from __future__ import annotations

from typing import Any

from oneshelf.channels.contract import Http, NoAnswer
from oneshelf.channels.shopify import documents as docs
from oneshelf.channels.shopify import ids
from oneshelf.channels.shopify.copies import CopyKeeper, before_sending
from oneshelf.channels.shopify.form import WORK_DONE, records
from oneshelf.channels.shopify.graphql import Failure, GraphQL, outcome_of, refusal, user_errors
from oneshelf.core.errors import Park, Retry
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled, Unknown

#: Ours, one a fulfilment order.
HANDLE = "oneshelf-release"
#: What the merchant reads in his order.
REASON = "INVENTORY_OUT_OF_STOCK"
NOTES = "Oneshelf: another channel may have sold these pieces first. Released as soon as that is known."
DUPLICATE = "DUPLICATE_FULFILLMENT_HOLD_HANDLE"
#: No fulfilment order yet: try again after so long.
ROUTING_WAIT_S = 2.0


class CopyHolds:
    """Holds and releases the copies of one shop."""

    def __init__(self, graphql: GraphQL, keeper: CopyKeeper) -> None:
        self._graphql = graphql
        self._keeper = keeper

    async def hold(self, http: Http, hub_order_id: str) -> Outcome:
        """Hold every open fulfilment order of the copy. Accepted: all are held by us, now or before."""
        work = await self._work(http, hub_order_id)
        if not isinstance(work, list):
            return work
        if not work:
            return Throttled(ROUTING_WAIT_S, "its fulfilment orders are not made yet")
        live = [one for one in work if str(one.get("status")).lower() not in WORK_DONE]
        if not live:
            return Rejected("nothing of it is left to send", "not_open")
        hold = {"reason": REASON, "reasonNotes": NOTES, "notifyMerchant": False, "handle": HANDLE}
        for one in live:
            if not _ours(one):
                outcome = await self._tell(
                    http, docs.HOLD_COPY, "fulfillmentOrderHold", {"id": one["id"], "hold": hold}
                )
                if not isinstance(outcome, Accepted) and not (
                    isinstance(outcome, Rejected) and outcome.code == DUPLICATE
                ):
                    return outcome
        return Accepted(hub_order_id)

    async def release(self, http: Http, hub_order_id: str) -> Outcome:
        """Lift our holds, no others. Accepted: none of ours is left."""
        work = await self._work(http, hub_order_id)
        if not isinstance(work, list):
            return work
        for one in work:
            if held := _ours(one):
                variables = {"id": one["id"], "holdIds": held}
                outcome = await self._tell(http, docs.RELEASE_COPY, "fulfillmentOrderReleaseHold", variables)
                if not isinstance(outcome, Accepted):
                    return outcome
        return Accepted(hub_order_id)

    async def _work(self, http: Http, hub_order_id: str) -> list[dict[str, Any]] | Outcome:
        try:
            found, work = await self._keeper.pages(
                http, docs.HOLD_WORK, ids.gid("Order", hub_order_id), "fulfillmentOrders"
            )
        except (Park, Retry, NoAnswer) as error:
            return before_sending(error)
        return work if found is not None else Rejected(f"the hub shows no order {hub_order_id}", "NOT_FOUND")

    async def _tell(self, http: Http, document: docs.Document, name: str, variables: dict[str, Any]) -> Outcome:
        answer = await self._graphql.tell(http, document, variables)
        if isinstance(answer, Failure):
            return outcome_of(answer)
        payload = answer.data.get(name)
        if not isinstance(payload, dict):
            return Unknown(f"{name} gave no payload")
        errors = user_errors(payload)
        return refusal(errors) if errors else Accepted()


def _ours(work: dict[str, Any]) -> list[str]:
    """The ids of our holds on one fulfilment order."""
    holds = records(work.get("fulfillmentHolds"))
    return [hold["id"] for hold in holds if hold.get("heldByRequestingApp") and hold.get("handle") == HANDLE]
