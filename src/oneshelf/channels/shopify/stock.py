"""Stock written into the hub: holds, and counts entered here. Nothing else (S9.5).

In: moves and counts with their durable keys. Out: outcomes. Never: raises for what the channel did, or makes up a key.

Both mutations need `@idempotent(key:)` and an explicit `changeFromQuantity` (null: no compare) at run time since 2026-04, though the
schema shows them optional. Source: Shopify changelog, "Making idempotency mandatory for inventory adjustments and refund mutations"
and "Making changeFromQuantity field required", read 2026-11.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from oneshelf.channels.contract import Http, Move
from oneshelf.channels.shopify import documents as docs
from oneshelf.channels.shopify import ids
from oneshelf.channels.shopify.graphql import Answer, Failure, GraphQL, outcome_of, refusal, user_errors
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Unknown

#: What the pieces in `reserved` are booked on: one ledger for all our holds, so that what is given back was there, and a batch
#: never has more than the two ledger documents that Shopify allows. The single hold is named by the reference document.
HOLDS_LEDGER = "gid://oneshelf/Ledger/holds"

#: Source: Shopify docs, "Manage inventory quantities and states" (possible reasons), read 2026-11.
REASON_HOLD, REASON_GIVE_BACK, REASON_BOTH = "reservation_created", "reservation_deleted", "reservation_updated"
REASON_COUNT = "correction"


class StockWriter:
    """Writes through one shop's endpoint."""

    def __init__(self, graphql: GraphQL) -> None:
        self._graphql = graphql

    async def move(self, http: Http, moves: Sequence[Move], key: str, reference: str) -> Outcome:
        """Hold or give back, all or nothing."""
        if not moves:
            return Accepted()
        problem = _problem(moves)
        if problem:
            return Rejected(problem, "invalid")
        answer = await self._graphql.tell(http, docs.MOVE, {"input": move_input(moves, reference), "key": key})
        return _outcome(answer, "inventoryMoveQuantities")

    async def set_on_hand(
        self, http: Http, item_id: str, location_id: str, quantity: int, expected: int, key: str, reference: str
    ) -> Outcome:
        """Write a count, compare-and-set."""
        entry = {
            "inventoryItemId": ids.gid("InventoryItem", item_id),
            "locationId": ids.gid("Location", location_id),
            "quantity": quantity,
            "changeFromQuantity": expected,
        }
        written = {
            "name": "on_hand",
            "reason": REASON_COUNT,
            "referenceDocumentUri": uri(reference),
            "quantities": [entry],
        }
        answer = await self._graphql.tell(http, docs.SET_QUANTITIES, {"input": written, "key": key})
        return _outcome(answer, "inventorySetQuantities")


def _problem(moves: Sequence[Move]) -> str:
    if len(moves) > docs.ARRAY_MAX:
        return f"{len(moves)} moves, more than {docs.ARRAY_MAX} in one call"
    if any(move.pieces <= 0 for move in moves):
        return "a move of no pieces"
    return ""


def move_input(moves: Sequence[Move], reference: str) -> dict[str, Any]:
    """Return InventoryMoveQuantitiesInput. A ledger document stands on the reserved side only: on `available` it is forbidden,
    on every other name required."""
    holds = {move.hold for move in moves}
    reason = REASON_BOTH if len(holds) == 2 else REASON_HOLD if True in holds else REASON_GIVE_BACK
    return {
        "reason": reason,
        "referenceDocumentUri": uri(reference),
        "changes": [_change(move) for move in moves],
    }


def _change(move: Move) -> dict[str, Any]:
    location = ids.gid("Location", move.location_id)
    available = {"locationId": location, "name": "available", "changeFromQuantity": None}
    reserved = {
        "locationId": location,
        "name": "reserved",
        "changeFromQuantity": None,
        "ledgerDocumentUri": HOLDS_LEDGER,
    }
    return {
        "inventoryItemId": ids.gid("InventoryItem", move.item_id),
        "quantity": move.pieces,
        "from": available if move.hold else reserved,
        "to": reserved if move.hold else available,
    }


def uri(reference: str) -> str:
    """Return the reference as a URI; a plain one becomes gid://oneshelf/Document/<reference>.

    >>> uri("hold 7"), uri("gid://oneshelf/Hold/7")
    ('gid://oneshelf/Document/hold%207', 'gid://oneshelf/Hold/7')
    """
    return reference if "://" in reference else f"gid://oneshelf/Document/{quote(reference, safe='-._~:')}"


def _outcome(answer: Answer | Failure, name: str) -> Outcome:
    if isinstance(answer, Failure):
        return outcome_of(answer)
    payload = answer.data.get(name)
    if not isinstance(payload, dict):
        return Unknown(f"{name} gave no payload")
    errors = user_errors(payload)
    if errors:
        return refusal(errors)
    group = payload.get("inventoryAdjustmentGroup") or {}  # null when nothing changed
    return Accepted(group.get("id"))
