"""Cancels of web orders that can't be delivered: the whole order by a job, single lines by a refund of type CANCEL (SEMANTICS 7).

In: a wish by hub line ids. Out: an Outcome (it was taken), then how far it is. Never: for what has left or lies open no more; twice: the
order is read before, and a refund carries our key in its note.
Restock is true: it gives back a claim, so that `available` rises from −1 to 0 and nothing goes on sale. Money goes back by the way that it
came, as Shopify itself reckons it. `orderCancel` knows no idempotency key, a second call is refused as cancelled already.
Source: Shopify Admin GraphQL orderCancel, job, refundCreate, Order.suggestedRefund, 2026-10, read 2026-11.
"""

from __future__ import annotations

from typing import Any

from oneshelf.channels.abilities import CancelAbility, CancelState, CancelWish
from oneshelf.channels.contract import Http, NoAnswer
from oneshelf.channels.shopify import documents as docs
from oneshelf.channels.shopify import ids
from oneshelf.channels.shopify.copies import STAFF_NOTE_MAX, CopyKeeper, before_sending
from oneshelf.channels.shopify.form import record, records, text, whole
from oneshelf.channels.shopify.graphql import Failure, GraphQL, outcome_of, refusal, user_errors
from oneshelf.channels.shopify.removal import (
    CopyRead,
    RemovalProblem,
    already_done,
    marked,
    open_pieces,
    refund_lines,
    taken_lines,
)
from oneshelf.core.errors import Park, Retry
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Unknown

CANCELS = CancelAbility(how="job", lines=True)
#: What the buyer's order and its refund say to the merchant.
WORDS = "Sold out: others bought it first"


class Canceller:
    """Cancels the web orders of one shop."""

    def __init__(self, graphql: GraphQL, keeper: CopyKeeper) -> None:
        self._graphql = graphql
        self._keeper = keeper

    async def cancel(self, http: Http, wish: CancelWish) -> Outcome:
        """Read the order, then ask once. Accepted.reference: the job's id, or the refund's."""
        order_id = ids.gid("Order", wish.order_id)
        try:
            found = await self._keeper.read_order(http, order_id)
        except (Park, Retry, NoAnswer) as error:
            return before_sending(error)
        if found is None:
            return Rejected(f"the shop shows no order {wish.order_id}", "NOT_FOUND")
        if found.order.get("cancelledAt") is not None:
            return Accepted(None, {"already": True})
        if (done := already_done(found, wish.key)) is not None:
            return Accepted(done, {"already": True})
        try:
            taken = taken_lines(found, wish.lines, lambda line, line_id: hub_line(line) == line_id)
        except RemovalProblem as problem:
            return Rejected(f"{problem}: it has left, or was taken off meanwhile", "not_open")
        if is_whole(found, wish):
            return await self._cancel_order(http, order_id, wish.key)
        return await self._refund(http, order_id, found, taken, wish.key)

    async def _cancel_order(self, http: Http, order_id: str, key: str) -> Outcome:
        note = marked(WORDS, key)[:STAFF_NOTE_MAX]
        variables = {"orderId": order_id, "reason": "INVENTORY", "note": note, "notify": True}
        answer = await self._graphql.tell(http, docs.CANCEL_ORDER, variables)
        if isinstance(answer, Failure):
            return outcome_of(answer)
        payload = answer.data.get("orderCancel")
        if not isinstance(payload, dict):
            return Unknown("orderCancel gave no payload")
        errors = user_errors(payload, "orderCancelUserErrors")
        return refusal(errors) if errors else Accepted(text(record(payload.get("job")).get("id")))

    async def _refund(
        self, http: Http, order_id: str, found: CopyRead, taken: list[tuple[dict[str, Any], int]], key: str
    ) -> Outcome:
        """One refund of these pieces; what it pays back is asked of Shopify first (discounts, taxes, several payments)."""
        lines = [entry for line, count in taken for entry in refund_lines(found, line, count)]
        try:
            answer = await self._graphql.ask(http, docs.SUGGESTED_REFUND, {"id": order_id, "lines": lines})
            suggested = record(record(answer.data.get("order")).get("suggestedRefund"))
        except (Park, Retry, NoAnswer) as error:
            return before_sending(error)
        refund = {
            "orderId": order_id,
            "currency": found.order.get("presentmentCurrencyCode"),
            "notify": True,
            "note": marked(WORDS, key),
            "refundLineItems": lines,
            "transactions": [_transaction(order_id, one) for one in records(suggested.get("suggestedTransactions"))],
        }
        told = await self._graphql.tell(http, docs.REFUND_PIECES, {"input": refund, "key": key})
        if isinstance(told, Failure):
            return outcome_of(told)
        payload = told.data.get("refundCreate")
        if not isinstance(payload, dict):
            return Unknown("refundCreate gave no payload")
        errors = user_errors(payload)
        return refusal(errors) if errors else Accepted(text(record(payload.get("refund")).get("id")))

    async def state(self, http: Http, wish: CancelWish, reference: str | None) -> CancelState:
        """Read how far it is. The job first: an order that its job left as it was is read after the job's end."""
        running = False
        if reference is not None and "/Job/" in reference:
            job = (await self._graphql.ask(http, docs.JOB, {"id": reference})).data.get("job")
            running = job is not None and job.get("done") is not True
        found = await self._keeper.read_order(http, ids.gid("Order", wish.order_id))
        if found is None:
            raise Retry(f"the shop shows no order {wish.order_id} (any more)")
        if found.order.get("cancelledAt") is not None or already_done(found, wish.key) is not None:
            return CancelState("done")
        if running:
            return CancelState("running")
        if reference is not None and "/Job/" in reference:
            return CancelState("refused", "Shopify ended the job and left the order as it was; its page says why")
        return CancelState("none")


def is_whole(found: CopyRead, wish: CancelWish) -> bool:
    """Whether the wish takes all that is left of the order, and nothing of it has left: then the order is cancelled, shipping too."""
    for line in found.lines:
        current, unfulfilled = whole(line.get("currentQuantity")) or 0, whole(line.get("unfulfilledQuantity")) or 0
        if current > unfulfilled or open_pieces(line) > wish.lines.get(hub_line(line) or "", 0):
            return False
    return wish.whole


def hub_line(line: dict[str, Any]) -> str | None:
    """Return a web order's own line id."""
    return ids.number(line.get("id"))


def _transaction(order_id: str, suggested: dict[str, Any]) -> dict[str, Any]:
    return {
        "orderId": order_id,
        "kind": "REFUND",
        "gateway": suggested.get("gateway") or "",
        "amount": record(record(suggested.get("amountSet")).get("presentmentMoney")).get("amount"),
        "parentId": record(suggested.get("parentTransaction")).get("id"),
    }
