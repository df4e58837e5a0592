"""Why an order leaves from where it does: each decision, each criterion, what it said of each location (docs/concepts/routing.md).

In: the tables. Out: structs of plain values, names instead of ids. Never: an address, or a way finer than ten kilometres.
"""

from __future__ import annotations

import msgspec

from oneshelf.core.instants import iso
from oneshelf.db.tx import Tx
from oneshelf.orders.routing import find_order
from oneshelf.orders.rows import load_lines
from oneshelf.routing import deciding, locations
from oneshelf.routing.policy import in_force

_STATES = {
    deciding.WANTED: "to be carried out",
    deciding.DONE: "done",
    deciding.REFUSED: "refused by the shop",
    deciding.OVERRULED: "changed by hand in the shop",
    deciding.OVER: "over",
}
_VERDICTS = {
    "decided": "decided",
    "equal": "all the same",
    "unknown": "not known",
    "alone": "nothing left to choose",
}


class LineNow(msgspec.Struct, frozen=True):
    """Where a line stands, and where it was decided to leave from ('' undecided). `short`: no location has it whole."""

    line_id: str
    sku: str
    pieces: int
    state: str
    stands_at: str
    decided: str
    short: bool


class CriterionSaid(msgspec.Struct, frozen=True):
    """`verdict` in words; `of`: location → what the criterion said of it; `why`: what was not known."""

    criterion: str
    verdict: str
    of: dict[str, str]
    why: str = ""


class RouteVersion(msgspec.Struct, frozen=True):
    """One decision. `excluded`: location → why it was not asked. `distance`: what the way was measured to, or why it is not known."""

    version: int
    decided_at: str
    why: str
    state: str
    reason: str
    places: dict[str, str]
    excluded: dict[str, str]
    distance: str
    criteria: list[CriterionSaid]


class OrderRoute(msgspec.Struct, frozen=True):
    """Everything about where an order leaves from. `routed_by`: "shopify" or "oneshelf"; `versions`: the newest first."""

    order_no: int
    order_id: str
    hub_order_id: str | None
    routed_by: str
    lines: list[LineNow]
    versions: list[RouteVersion]


def order_route(tx: Tx, tenant_id: int, order_name: str) -> OrderRoute:
    """Return the route of the order that its channel calls so. Raises LookupError."""
    order = find_order(tx, tenant_id, order_name)
    names = {one.location_id: one.name or one.location_id for one in locations.locations(tx, tenant_id)}
    found = deciding.versions(tx, tenant_id, order.order_no)
    newest = found[0] if found else None
    lines = [line for line in load_lines(tx, tenant_id, [order.order_no]).get(order.order_no, {}).values() if line.sku]
    by_key = {line.key: f"{line.line_id} {line.sku}" for line in lines}
    return OrderRoute(
        order.order_no,
        order.order_id,
        order.hub_order_id,
        "shopify" if in_force(tx, tenant_id) is None else "oneshelf",
        [
            LineNow(
                line.line_id,
                line.sku,
                line.ordered - line.cancelled,
                line.state,
                names.get(line.location_id, line.location_id),
                names.get(newest.places.get(line.key, ""), "") if newest else "",
                newest is not None and line.key in newest.short,
            )
            for line in sorted(lines, key=lambda line: (line.line_id, line.sku))
        ],
        [_version(one, names, by_key) for one in found],
    )


def _version(one: deciding.Decision, names: dict[str, str], by_key: dict[str, str]) -> RouteVersion:
    return RouteVersion(
        one.version,
        iso(one.decided_at) or "",
        one.why,
        _STATES.get(one.state, one.state),
        one.reason or "",
        {by_key.get(key, key): names.get(where, where) for key, where in one.places.items()},
        {names.get(where, where): why for where, why in one.excluded.items()},
        f"to the buyer's {one.distance_from}" if one.distance_from else one.distance_why or "not asked",
        [
            CriterionSaid(
                said.criterion,
                _VERDICTS[said.verdict],
                {names.get(where, where): words for where, words in said.of.items()},
                said.why or (one.distance_why if said.criterion == "distance" else ""),
            )
            for said in one.said
        ],
    )
