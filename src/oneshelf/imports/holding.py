"""Holds of hub copies and their release, carried out (SEMANTICS 6.5). Both are safe to repeat: no answer → the same again.

In: intents `hold_copy`, `release_copy`. Out: calls, their ends. Never: decides who may leave; releases before its hold is answered.
"""

from __future__ import annotations

import msgspec

from oneshelf.core.instants import SECOND
from oneshelf.core.outcome import Accepted, Outcome, Rejected
from oneshelf.db.tx import Tx
from oneshelf.orders import claims, intents, releases
from oneshelf.orders.intents import Intent

KINDS = (releases.HOLD, releases.RELEASE)
#: Its hold has no answer yet: look again after so long.
WAIT_S = 2


class HoldCall(msgspec.Struct):
    """Hold this copy, or release it."""

    intent: Intent
    hub_order_id: str

    @property
    def holds(self) -> bool:
        return self.intent.kind == releases.HOLD


def plan(tx: Tx, tenant_id: int, now: int) -> HoldCall | None:
    """Return the next copy to hold or to release, or None."""
    for intent in intents.due(tx, tenant_id, KINDS, now, 20):
        if intent.kind == releases.HOLD:
            never_sent = intent.attempts == 0
            if never_sent and releases.state_of(tx, tenant_id, intent.payload["order_no"]) != "HELD":
                intents.settle(tx, tenant_id, intent, "DONE", now, reason="not needed any more")
                continue
        elif claims.has_open_intent(tx, tenant_id, (releases.HOLD,), intent.entity):
            why = "its hold is not answered"
            intents.settle(tx, tenant_id, intent, intent.state, now, reason=why, due_at=now + WAIT_S * SECOND)
            continue
        intents.sending(tx, tenant_id, intent, now)
        return HoldCall(intent, intent.payload["hub_order_id"])
    return None


def settle(tx: Tx, tenant_id: int, call: HoldCall, outcome: Outcome, now: int) -> None:
    """Record it. A hold that the hub refuses is let be: the order can't be held there (it left, or is closed); a release that it refuses
    is a person's."""
    if isinstance(outcome, Accepted):
        intents.settle(tx, tenant_id, call.intent, "DONE", now)
    elif isinstance(outcome, Rejected) and call.holds:
        intents.settle(tx, tenant_id, call.intent, "REFUSED", now, reason=outcome.reason)
    elif isinstance(outcome, Rejected):
        what = f"Release the hold of hub order {call.hub_order_id} by hand"
        intents.give_to_person(tx, tenant_id, call.intent, what, f"Shopify refused it: {outcome.reason}", now)
    else:
        intents.put_off(tx, tenant_id, call.intent, outcome, now)
