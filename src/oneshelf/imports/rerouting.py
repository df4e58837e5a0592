"""Fulfilment orders of hub copies, moved to where routing decided (SEMANTICS 5.7; R6, R7). Safe to repeat: no answer → the same again.

1. What is still wanted is looked up when the call goes.  2. The connector reads where everything stands and moves what stands elsewhere.
3. Its answer says where everything stands now: so do the lines.  4. Refused: that location is left out, and it is decided again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from oneshelf.channels.abilities import IN_PROGRESS, NOT_OPEN, NOT_THERE, Placed
from oneshelf.core.instants import SECOND
from oneshelf.core.outcome import Accepted, Outcome, Rejected
from oneshelf.db.journal import close_task, note, open_task
from oneshelf.db.tx import Tx
from oneshelf.orders import intents, releases, routing
from oneshelf.orders.intents import Intent
from oneshelf.orders.rows import LineRow, load_lines, load_orders_by_no
from oneshelf.routing import deciding

#: A copy that is held until it is sure whose pieces these are is not moved: a moved part would lose the hold.
HELD_WAIT_S = 5
#: How often orders are looked for whose location ran out.
LOOK_EVERY_S = 30


class RerouteCall(msgspec.Struct):
    """Let this copy's lines leave from these locations."""

    intent: Intent
    hub_order_id: str
    wanted: tuple[Placed, ...]


def plan(tx: Tx, tenant_id: int, now: int) -> RerouteCall | None:
    """Return the next copy to move, or None."""
    for intent in intents.due(tx, tenant_id, (routing.MOVE,), now, 20):
        order_no = intent.payload["order_no"]
        order = load_orders_by_no(tx, tenant_id, [order_no])[order_no]
        decision = deciding.newest(tx, tenant_id, [order_no]).get(order_no)
        lines = [line for line in load_lines(tx, tenant_id, [order_no]).get(order_no, {}).values() if line.committed]
        if decision is None or decision.version != intent.payload["version"] or decision.state != deciding.WANTED:
            intents.settle(tx, tenant_id, intent, "DONE", now, reason="not wanted any more")
            continue
        wanted = _wanted(decision, lines)
        if order.hub_order_id is None or not wanted:
            intents.settle(tx, tenant_id, intent, "DONE", now, reason="nothing of it is to be moved")
            deciding.became(tx, tenant_id, order_no, decision.version, deciding.OVER, now, "nothing is to be moved")
            continue
        if releases.state_of(tx, tenant_id, order_no) == "HELD":
            why = "it is held until it is sure whose pieces these are"
            intents.settle(tx, tenant_id, intent, intent.state, now, reason=why, due_at=now + HELD_WAIT_S * SECOND)
            continue
        intent.payload["moves"] = _moves(lines, decision)
        intents.sending(tx, tenant_id, intent, now)
        return RerouteCall(intent, order.hub_order_id, wanted)
    return None


def _wanted(decision: deciding.Decision, lines: Iterable[LineRow]) -> tuple[Placed, ...]:
    """A line that no location has whole is left to the hub, which may share it out (R3)."""
    return tuple(
        Placed(line.line_id, line.sku, decision.places[line.key])
        for line in sorted(lines, key=lambda line: line.key)
        if decision.places.get(line.key) and line.key not in decision.short
    )


def _moves(lines: Sequence[LineRow], decision: deciding.Decision) -> list[tuple[str, str, int]]:
    """What it may change of `available` in the hub, as far as our lines know (S9.5)."""
    moves: list[tuple[str, str, int]] = []
    for line in lines:
        goal = decision.places.get(line.key, "")
        if goal and goal != line.location_id and line.key not in decision.short:
            moves += [(line.sku, line.location_id, line.committed), (line.sku, goal, -line.committed)]
    return moves


def settle(tx: Tx, tenant_id: int, call: RerouteCall, outcome: Outcome, now: int) -> None:
    """Record it; the lines stand where the hub says they stand."""
    intent, order_no, version = call.intent, call.intent.payload["order_no"], call.intent.payload["version"]
    if isinstance(outcome, Accepted):
        intents.settle(tx, tenant_id, intent, "DONE", now)
        close_task(tx, tenant_id, now, intent.kind, intent.entity)
        lines = load_lines(tx, tenant_id, [order_no]).get(order_no, {})
        where = _where(outcome.detail.get("where") or ())
        stand = {line.key: most for line in lines.values() if (most := where.get((line.line_id, line.sku)))}
        routing.stand_at(tx, tenant_id, order_no, stand, now)
        deciding.became(tx, tenant_id, order_no, version, deciding.DONE, now)
        note(tx, tenant_id, now, "routing", "A copy leaves from where it was decided", f"order:{order_no}")
    elif isinstance(outcome, Rejected):
        _refused(tx, tenant_id, call, outcome, now)
    else:
        intents.put_off(tx, tenant_id, intent, outcome, now)


def _where(told: Iterable[Sequence[object]]) -> dict[tuple[str, str], str]:
    """Return {(line id, SKU): the location with most of its pieces}."""
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for line_id, sku, location_id, pieces in told:
        here = counts.setdefault((str(line_id), str(sku)), {})
        here[str(location_id)] = here.get(str(location_id), 0) + int(str(pieces))
    return {line: max(here, key=lambda one: (here[one], one)) for line, here in counts.items()}


def _refused(tx: Tx, tenant_id: int, call: RerouteCall, outcome: Rejected, now: int) -> None:
    intent, order_no, version = call.intent, call.intent.payload["order_no"], call.intent.payload["version"]
    intents.settle(tx, tenant_id, intent, "REFUSED", now, reason=outcome.reason)
    deciding.became(tx, tenant_id, order_no, version, deciding.REFUSED, now, outcome.reason)
    if outcome.code.startswith(NOT_THERE):
        where = outcome.code.removeprefix(NOT_THERE)
        reason = f"{routing.REFUSED_IT}: {outcome.reason}"
        routing.decide_again(tx, tenant_id, [order_no], "a location refused it", now, exclude={where: reason})
        note(tx, tenant_id, now, "shopify", "A location refused an order", f"order:{order_no}", location=where)
    elif outcome.code in (IN_PROGRESS, NOT_OPEN):
        what = "An order leaves from where Shopify put it"
        note(tx, tenant_id, now, "shopify", what, f"order:{order_no}", why=outcome.reason)
    else:
        what = f"Move hub order {call.hub_order_id} to its location by hand"
        open_task(tx, tenant_id, now, intent.kind, intent.entity, what, f"Shopify refused it: {outcome.reason}")
