"""From where a copy leaves: its fulfilment orders moved to another location (SEMANTICS 5.7).

In: hub order ids, locations by marketplace line and SKU. Out: outcomes. Never: moves what stands there already, what has left, or what
another app's service is at; splits pieces of one line.
`fulfillmentOrderMove` knows no idempotency key. It is safe to repeat all the same: each call is made of what the order shows at that
moment, and it shows where everything stands. A part that is moved becomes a fulfilment order of its own, or joins (in a new one) what the
order has at the goal already, so ids are read anew after every call. Shopify makes fulfilment orders itself, a moment after the order.
Source: Shopify Admin GraphQL fulfillmentOrderMove, FulfillmentOrderMoveFulfillmentOrderMoveUserErrorCode, 2026-10, read 2026-11. Only
reported progress has a code; a location that does not stock the item is told in words, at the field of the location.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from oneshelf.channels.abilities import IN_PROGRESS, NOT_OPEN, NOT_THERE, Placed
from oneshelf.channels.contract import Http, NoAnswer
from oneshelf.channels.shopify import documents as docs
from oneshelf.channels.shopify import ids
from oneshelf.channels.shopify.copies import CopyKeeper, before_sending, line_key
from oneshelf.channels.shopify.form import WORK_DONE, record, records, text, whole
from oneshelf.channels.shopify.graphql import Failure, GraphQL, outcome_of, refusal, user_errors
from oneshelf.core.errors import Park, Retry
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled, Unknown

PROGRESS_CODE = "CANNOT_MOVE_FULFILLMENT_ORDER_WITH_REPORTED_PROGRESS"
#: No fulfilment order yet: try again after so long.
ROUTING_WAIT_S = 2.0
#: Calls for one copy: one a (fulfilment order, location).
CALLS_MAX = 20

#: Marketplace line id and SKU.
Key = tuple[str, str]


class Step(msgspec.Struct, frozen=True):
    """One call: this fulfilment order to that location; `items` None: all that is open of it."""

    work: dict[str, Any]
    location_id: str
    items: list[dict[str, Any]] | None


class CopyMoves:
    """Moves the copies of one shop."""

    def __init__(self, graphql: GraphQL, keeper: CopyKeeper) -> None:
        self._graphql = graphql
        self._keeper = keeper

    async def move(self, http: Http, hub_order_id: str, wanted: Sequence[Placed]) -> Outcome:
        """Read where the copy stands, move one fulfilment order, read again, until all stands where it is wanted."""
        order_id = ids.gid("Order", hub_order_id)
        try:
            found, lines = await self._keeper.pages(http, docs.COPY_LINES, order_id, "lineItems")
            if found is None:
                return Rejected(f"the hub shows no order {hub_order_id}", "NOT_FOUND")
            keys = keys_of(lines, wanted)
            for _ in range(CALLS_MAX):
                _, work = await self._keeper.work(http, order_id)
                if not work:
                    return Throttled(ROUTING_WAIT_S, "its fulfilment orders are not made yet")
                live = [one for one in work if str(one.get("status")).lower() not in WORK_DONE]
                if not live:
                    return Rejected("nothing of it is left to send", NOT_OPEN)
                step = next_step(keys, live, wanted)
                if step is None:
                    return Accepted(hub_order_id, {"where": standing(keys, live)})
                if "MOVE" not in {one.get("action") for one in records(step.work.get("supportedActions"))}:
                    return Rejected(f"its fulfilment order is {step.work.get('status')} there", IN_PROGRESS)
                outcome = await self._tell(http, step)
                if not isinstance(outcome, Accepted):
                    return outcome
        except (Park, Retry, NoAnswer) as error:
            return before_sending(error)
        return Unknown(f"still not where it is wanted after {CALLS_MAX} calls")

    async def _tell(self, http: Http, step: Step) -> Outcome:
        variables = {"id": step.work["id"], "location": step.location_id, "items": step.items}
        answer = await self._graphql.tell(http, docs.MOVE_COPY, variables)
        if isinstance(answer, Failure):
            return outcome_of(answer)
        payload = answer.data.get("fulfillmentOrderMove")
        if not isinstance(payload, dict):
            return Unknown("fulfillmentOrderMove gave no payload")
        errors = user_errors(payload)
        if not errors:
            return (
                Accepted() if payload.get("movedFulfillmentOrder") else Unknown("it moved nothing, and said no error")
            )
        outcome = refusal(errors)
        if not isinstance(outcome, Rejected):
            return outcome
        if any(error.get("code") == PROGRESS_CODE for error in errors):
            return Rejected(outcome.reason, IN_PROGRESS)
        if any("newLocationId" in (error.get("field") or []) for error in errors):
            return Rejected(outcome.reason, NOT_THERE + step.location_id)
        return outcome


def keys_of(lines: Iterable[Mapping[str, Any]], wanted: Sequence[Placed]) -> dict[str, Key]:
    """Return {hub line id: the marketplace line and SKU that it stands for}. A copy that somebody else made names no lines: there a SKU
    that is wanted once is the line. Pure."""
    by_sku: dict[str, list[Placed]] = {}
    for one in wanted:
        by_sku.setdefault(one.sku, []).append(one)
    found: dict[str, Key] = {}
    for line in lines:
        number, sku = ids.number(line.get("id")), text(line.get("sku")) or ""
        named = line_key(line)
        same = by_sku.get(sku, [])
        if number is not None and named is not None:
            found[number] = (named, sku)
        elif number is not None and len(same) == 1:
            found[number] = (same[0].line_id, sku)
    return found


def _open_items(work: Mapping[str, Any]) -> list[tuple[dict[str, Any], str, int]]:
    """Return (item, hub line id, pieces still to be sent) of one fulfilment order."""
    nodes = records(record(work.get("lineItems")).get("nodes"))
    rows = [
        (item, ids.number(record(item.get("lineItem")).get("id")) or "", whole(item.get("remainingQuantity")) or 0)
        for item in nodes
    ]
    return [row for row in rows if row[2] > 0]


def _location(work: Mapping[str, Any]) -> str:
    return text(record(record(work.get("assignedLocation")).get("location")).get("id")) or ""


def next_step(keys: Mapping[str, Key], live: Sequence[dict[str, Any]], wanted: Sequence[Placed]) -> Step | None:
    """Return the next call, None when everything stands where it is wanted. Pure."""
    goals = {(one.line_id, one.sku): one.location_id for one in wanted}
    for work in live:
        here, items = _location(work), _open_items(work)
        moving: dict[str, list[dict[str, Any]]] = {}
        for item, hub_line, pieces in items:
            goal = goals.get(keys.get(hub_line, ("", "")), here)
            if goal != here:
                moving.setdefault(goal, []).append({"id": item["id"], "quantity": pieces})
        for goal, some in sorted(moving.items()):
            return Step(work, goal, None if len(some) == len(items) else some)
    return None


def standing(keys: Mapping[str, Key], live: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """Return [line id, SKU, location id, pieces] of what is open. Pure."""
    return [
        [*keys[hub_line], _location(work), pieces]
        for work in live
        for _, hub_line, pieces in _open_items(work)
        if hub_line in keys
    ]
