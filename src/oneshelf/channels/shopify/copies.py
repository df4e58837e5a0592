"""The hub's copies of marketplace orders: the key that keeps them unique, make, find, cancel, take pieces off.

In: drafts, hub order ids, pieces by marketplace line. Out: outcomes. Never: raises from a write for what the channel did; the reads
that a write needs first may end it as Throttled or Unknown before anything was sent.

`orderCreate` and `orderCancel` know no idempotency key: the caller finds the copy before it sends again (S14.3).
Source: Shopify Admin GraphQL orderCreate, orderCancel, refundCreate, orderByIdentifier, metafieldDefinitionCreate, 2026-10, read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from oneshelf.channels.contract import CopyPart, Finding, Http, HubCopy, HubOrderDraft, NoAnswer
from oneshelf.channels.shopify import documents as docs
from oneshelf.channels.shopify import draft as drafts
from oneshelf.channels.shopify import ids
from oneshelf.channels.shopify.form import record, records, text
from oneshelf.channels.shopify.graphql import Failure, GraphQL, outcome_of, refusal, user_errors
from oneshelf.channels.shopify.money import to_minor
from oneshelf.channels.shopify.reads import Reader
from oneshelf.channels.shopify.removal import CopyRead, RemovalProblem, already_done, line_key, refund_input
from oneshelf.core.errors import Park, Retry, SignInAgain
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled, Unknown

__all__ = ["CopyKeeper", "before_sending", "created", "line_key"]

CANCEL_REASONS = {"CUSTOMER", "DECLINED", "FRAUD", "INVENTORY", "OTHER", "STAFF"}
STAFF_NOTE_MAX = 255

#: How long to wait when orderCreate is refused for its pace (five a minute on development stores). The code of that refusal is not
#: documented, so its words are read; userErrors mean that no order was made.
PACE_WAIT_S = 60.0
_PACE = re.compile(r"too many|throttl|rate limit|per minute|limit .*(reached|exceeded)|exceeded .*limit", re.IGNORECASE)
_TAKEN = re.compile(r"taken|unique|already", re.IGNORECASE)

PAGES_MAX = 20


class CopyKeeper:
    """Keeps copies through one shop's endpoint. `source_name`: what `sourceName` says; None: the channel's name."""

    def __init__(self, graphql: GraphQL, reader: Reader, source_name: str | None) -> None:
        self._graphql = graphql
        self._reader = reader
        self._source_name = source_name

    async def ensure_order_key(self, http: Http) -> Finding:
        """Make the metafield definition; an existing one is as good (the namespace is ours alone)."""
        what = "unique key on copies of marketplace orders"
        definition = {
            "name": "Marketplace order",
            "namespace": drafts.METAFIELD_NAMESPACE,
            "key": drafts.METAFIELD_KEY,
            "type": drafts.METAFIELD_TYPE,
            "ownerType": "ORDER",
        }
        answer = await self._graphql.tell(http, docs.DEFINE_ORDER_KEY, {"definition": definition})
        if isinstance(answer, Failure):
            return Finding(what, ok=False, todo=f"try again: {answer.reason}")
        payload = record(answer.data.get("metafieldDefinitionCreate"))
        errors = user_errors(payload)
        if not errors or all(error.get("code") == "TAKEN" for error in errors):
            return Finding(what, ok=bool(errors) or bool(payload.get("createdDefinition")), todo="")
        return Finding(what, ok=False, todo=f"{errors[0].get('code')}: {errors[0].get('message')}")

    async def find_copy(self, http: Http, external_key: str) -> HubCopy | None:
        order = (await self._graphql.ask(http, docs.FIND_COPY, {"value": external_key})).data.get("orderByIdentifier")
        if order is None:
            return None
        return HubCopy(
            hub_order_id=ids.number(order.get("id")) or "",
            name=text(order.get("name")) or "",
            cancelled=order.get("cancelledAt") is not None,
        )

    async def create_order(self, http: Http, draft: HubOrderDraft, *, ignore_policy: bool) -> Outcome:
        try:
            currency = await self._reader.currency(http)
            name = draft.channel.value if self._source_name is None else self._source_name
            order = drafts.order_input(draft, currency, name)
        except drafts.DraftProblem as problem:
            return Rejected(str(problem), "draft_problem")
        except (Park, Retry, NoAnswer) as error:
            return before_sending(error)
        variables = {"order": order, "options": drafts.options(ignore_policy)}
        answer = await self._graphql.tell(http, docs.IMPORT_ORDER, variables)
        if isinstance(answer, Failure):
            return outcome_of(answer)
        return created(answer.data.get("orderCreate"))

    async def cancel_copy(self, http: Http, hub_order_id: str, reason: str, key: str) -> Outcome:
        """`key` names the intent for the caller; orderCancel takes none, a second call is refused as cancelled already."""
        order_id = ids.gid("Order", hub_order_id)
        code = reason.upper() if reason.upper() in CANCEL_REASONS else "OTHER"
        variables = {"orderId": order_id, "reason": code, "note": reason[:STAFF_NOTE_MAX], "notify": False}
        answer = await self._graphql.tell(http, docs.CANCEL_ORDER, variables)
        if isinstance(answer, Failure):
            return outcome_of(answer)
        payload = answer.data.get("orderCancel")
        if not isinstance(payload, dict):
            return Unknown("orderCancel gave no payload")
        errors = user_errors(payload, "orderCancelUserErrors")
        if not errors:
            job = record(payload.get("job"))
            return Accepted(job.get("id"), {"done": job.get("done") is True})
        return await self._cancel_refused(http, order_id, errors)

    async def _cancel_refused(self, http: Http, order_id: str, errors: list[dict[str, Any]]) -> Outcome:
        """ "Already cancelled" has no code of its own: read the order to tell."""
        refused = refusal(errors)
        if not isinstance(refused, Rejected):
            return refused
        try:
            order = (await self._graphql.ask(http, docs.ORDER_CANCELLED, {"id": order_id})).data.get("order")
        except (Park, Retry, NoAnswer):
            return refused
        if order is not None and order.get("cancelledAt") is not None:
            return Accepted(None, {"done": True, "already": True})
        return refused

    async def remove_pieces(
        self, http: Http, hub_order_id: str, pieces: Mapping[CopyPart, int], reason: str, key: str
    ) -> Outcome:
        """Read the copy, then refund the pieces with type CANCEL. The key stands in the refund's note too: a refund that
        carries it was made by this intent, whenever that was."""
        order_id = ids.gid("Order", hub_order_id)
        try:
            copy = await self.read_order(http, order_id)
        except (Park, Retry, NoAnswer) as error:
            return before_sending(error)
        if copy is None:
            return Rejected(f"the hub shows no order {hub_order_id}", "NOT_FOUND")
        done = already_done(copy, key)
        if done is not None:
            return Accepted(done, {"already": True})
        try:
            refund = refund_input(order_id, copy, pieces, reason, key)
        except RemovalProblem as problem:
            return Rejected(str(problem), "nothing_to_remove")
        answer = await self._graphql.tell(http, docs.REFUND_PIECES, {"input": refund, "key": key})
        if isinstance(answer, Failure):
            return outcome_of(answer)
        payload = answer.data.get("refundCreate")
        if not isinstance(payload, dict):
            return Unknown("refundCreate gave no payload")
        errors = user_errors(payload)
        return refusal(errors) if errors else Accepted(record(payload.get("refund")).get("id"))

    async def read_order(self, http: Http, order_id: str) -> CopyRead | None:
        """Read what is open of an order, and where; None if the shop shows none. Raises Park, Retry, NoAnswer."""
        order, lines = await self.pages(http, docs.COPY_LINES, order_id, "lineItems")
        if order is None:
            return None
        _, work = await self.work(http, order_id)
        return CopyRead(order, lines, work)

    async def work(self, http: Http, order_id: str) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        """Read an order's fulfilment orders, each with all its lines; (None, []) if there is no such order."""
        order, found = await self.pages(http, docs.WORK, order_id, "fulfillmentOrders")
        for one in found:
            lines = record(one.get("lineItems"))
            info = record(lines.get("pageInfo"))
            if info.get("hasNextPage"):
                _, more = await self.pages(http, docs.WORK_LINES, one["id"], "lineItems", info.get("endCursor"))
                one["lineItems"] = {"nodes": [*records(lines.get("nodes")), *more]}
        return order, found

    async def pages(
        self, http: Http, document: docs.Document, part_id: str, connection: str, after: str | None = None
    ) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        """Read all of one connection (the document calls its owner `part`), or what comes `after`; (None, []) without an owner."""
        order: dict[str, Any] | None = None
        nodes: list[dict[str, Any]] = []
        for _ in range(PAGES_MAX):
            part = (await self._graphql.ask(http, document, {"id": part_id, "cursor": after})).data.get("part")
            if part is None:
                return None, nodes
            order = order or part
            page = record(part.get(connection))
            nodes += records(page.get("nodes"))
            info = record(page.get("pageInfo"))
            if not info.get("hasNextPage"):
                return order, nodes
            after = info.get("endCursor")
        raise Retry(f"{part_id} has more than {PAGES_MAX} pages of {connection}")


def created(payload: object) -> Outcome:
    """Return what orderCreate's payload means."""
    if not isinstance(payload, dict):
        return Unknown("orderCreate gave no payload")
    errors = user_errors(payload)
    order = record(payload.get("order"))
    order_id = ids.number(order.get("id"))
    if order_id is not None:
        return Accepted(order_id, _detail(order))
    if not errors:
        return Unknown("orderCreate gave neither an order nor an error")
    if any(_is_key_taken(error) for error in errors):
        return Rejected(str(errors[0].get("message")), "KEY_TAKEN")
    if all(_names_customer(error) for error in errors):
        return Rejected(str(errors[0].get("message")), "CUSTOMER_REFUSED")
    if any(_PACE.search(str(error.get("message"))) for error in errors):
        return Throttled(PACE_WAIT_S, str(errors[0].get("message")))
    return refusal(errors)


def _is_key_taken(error: Mapping[str, Any]) -> bool:
    """The form of this refusal is not documented: code TAKEN, or the metafield in `field` and words that say so."""
    if error.get("code") == "TAKEN":
        return True
    named = "metafield" in " ".join(map(str, error.get("field") or [])).lower() + str(error.get("message")).lower()
    return named and bool(_TAKEN.search(str(error.get("message"))))


def _names_customer(error: Mapping[str, Any]) -> bool:
    """A refusal of the customer alone: the input field that it names is the customer's. userErrors mean that no order was made."""
    return any(str(part).lower() in ("customer", "customerid") for part in error.get("field") or [])


def _detail(order: Mapping[str, Any]) -> dict[str, Any]:
    money = record(record(order.get("totalPriceSet")).get("presentmentMoney"))
    currency = str(money.get("currencyCode") or "")
    return {
        "name": text(order.get("name")) or "",
        "financial_status": text(order.get("displayFinancialStatus")) or "",
        "total_minor": to_minor(money.get("amount"), currency),
        "currency": currency,
    }


def before_sending(error: Exception) -> Outcome:
    """Nothing was sent yet: a read that failed. Unless the shop says for how long, whoever asks waits longer each time."""
    if isinstance(error, SignInAgain):
        return Rejected(str(error), "unauthorized")
    if isinstance(error, Park):
        return Rejected(str(error), "unreadable")
    return Throttled(error.wait_s if isinstance(error, Retry) else None, str(error))
