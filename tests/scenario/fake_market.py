"""A marketplace as shipments and cancels see it: a list of parcels an order, and what was asked to be cancelled. By its own arithmetic.

In: calls as a connector makes them. Out: outcomes, lists, how far a cancel is. Never: imports a rule of ours; answers what it was not told.
"""

from __future__ import annotations

from typing import Any

from tests.scenario.engine import AMAZON, EBAY, ETSY, SHOP, TENANT, Fault, World, no_fault

from oneshelf.channels.abilities import CancelAbility, CancelState, CancelWish, Parcel, ShipAbility, ShipmentTold
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled, Unknown
from oneshelf.db.store import transaction
from oneshelf.orders import decisions, short
from oneshelf.shipping import cancelling, looking, telling

SHIPS = {
    AMAZON: ShipAbility(partial=True, several=True, edits=True, needs_tracking=False, counts=True),
    EBAY: ShipAbility(partial=True, several=True, edits=False, needs_tracking=False, counts=True),
    ETSY: ShipAbility(partial=False, several=True, edits=False, needs_tracking=False, counts=False, more_numbers=True),
}
CANCELS = {
    SHOP: CancelAbility("job", lines=True),
    AMAZON: CancelAbility("job", lines=True, counts_against="a seller cancellation", limit_percent=2.5),
    EBAY: CancelAbility("call", lines=False, counts_against="a transaction defect", limit_percent=2.0),
    ETSY: CancelAbility("person", lines=False),
}


class FakeMarket:
    """All marketplaces: parcels by (account, order), each told once or changed by its key; mails sent to buyers; cancels."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.parcels: dict[tuple[int, str], dict[str, ShipmentTold]] = {}
        self.mails: list[tuple[int, str, str]] = []
        self.calls: list[Parcel] = []
        self.cancels: dict[tuple[int, str], CancelWish] = {}
        self.cancel_calls: list[CancelWish] = []
        self.job = CancelState("running")
        self.refuse: Rejected | None = None
        self.channels = short.Channels(CANCELS, lambda account, order_id: f"https://example.test/{account}/{order_id}")

    # --- the marketplace ---------------------------------------------------------------------------------------------------

    def ship(self, account_id: int, order_id: str, parcel: Parcel) -> Outcome:
        self.calls.append(parcel)
        if self.refuse is not None:
            return self.refuse
        mine = self.parcels.setdefault((account_id, order_id), {})
        edits = SHIPS[account_id].edits and parcel.key in mine
        reference = f"ref-{parcel.key}" if SHIPS[account_id].edits else f"ref-{len(mine) + 1}"
        mine[parcel.key if SHIPS[account_id].edits else reference] = ShipmentTold(
            reference, dict(parcel.units), parcel.carrier, parcel.tracking_number
        )
        if not edits:
            self.mails.append((account_id, order_id, parcel.tracking_number or ""))
        return Accepted(reference)

    def told(self, account_id: int, order_id: str) -> list[ShipmentTold]:
        return list(self.parcels.get((account_id, order_id), {}).values())

    # --- what the loops do -------------------------------------------------------------------------------------------------

    def plan(self, account_id: int) -> Any:
        with transaction(self.world.store) as tx:
            return telling.plan(tx, TENANT, account_id, SHIPS[account_id], self.world.now)

    def settle(self, call: Any, outcome: Outcome) -> None:
        with transaction(self.world.store) as tx:
            telling.settle(tx, TENANT, call, outcome, self.world.now)

    def look(self, call: Any, told: list[ShipmentTold] | None, problem: str = "") -> None:
        with transaction(self.world.store) as tx:
            looking.settle(tx, TENANT, call, told, problem, self.world.now)

    def run(self, account_id: int, fault: Fault = no_fault, *, calls_max: int = 50) -> int:
        """Carry out what is due of an account's parcels. Returns how many calls that took."""
        for done in range(calls_max):
            call = self.plan(account_id)
            if call is None:
                return done
            how = fault(type(call).__name__)
            if isinstance(call, telling.LookCall):
                found = self.told(account_id, call.order_id) if how == "ok" else None
                self.look(call, found, "" if how == "ok" else "no answer")
            elif how == "throttle":
                self.settle(call, Throttled(1.0, "slow down"))
            elif how == "lost_request":
                self.settle(call, Unknown("timed out"))
            else:
                outcome = self.ship(account_id, call.order_id, call.parcel)
                self.settle(call, Unknown("timed out") if how == "lost_answer" else outcome)
        raise AssertionError("still calling")

    def decide(self) -> set[int]:
        with transaction(self.world.store) as tx:
            return short.decide(tx, TENANT, self.channels, self.world.now)

    def word(self, order_id: str, line_id: str, word: Any) -> str:
        with transaction(self.world.store) as tx:
            return decisions.decide_line(
                tx, TENANT, order_id, line_id, word, self.channels, self.world.now, by="merchant"
            )

    def plan_cancel(self, account_id: int, *, after_s: float = short.REVOKE_S) -> Any:
        """The account's next cancel, once nobody can revoke it any more."""
        self.world.tick(after_s)
        with transaction(self.world.store) as tx:
            return cancelling.plan(tx, TENANT, account_id, self.world.now)

    def settle_cancel(self, account_id: int, call: Any, outcome: Outcome) -> None:
        with transaction(self.world.store) as tx:
            how = CANCELS[account_id].how
            cancelling.settle(tx, TENANT, call, outcome, how, "https://example.test", self.world.now)

    def follow_cancel(self, call: Any, state: CancelState | None, problem: str = "") -> None:
        with transaction(self.world.store) as tx:
            cancelling.settle_look(tx, TENANT, call, state, problem, "https://example.test", self.world.now)

    def ask_cancel(self, account_id: int, call: cancelling.CancelCall) -> Outcome:
        """Let the channel take a cancel; nobody has heard its answer yet."""
        self.cancel_calls.append(call.wish)
        if self.refuse is not None:
            return self.refuse
        self.cancels[(account_id, call.wish.order_id)] = call.wish
        return Accepted(f"job-{len(self.cancel_calls)}")

    def run_cancels(self, account_id: int, fault: Fault = no_fault, *, calls_max: int = 20) -> int:
        self.world.tick(short.REVOKE_S)
        for done in range(calls_max):
            call = self.plan_cancel(account_id, after_s=0)
            if call is None:
                return done
            if isinstance(call, cancelling.FollowCall):
                taken = (account_id, call.wish.order_id) in self.cancels
                self.follow_cancel(call, self.job if taken else CancelState("none"))
                continue
            how = fault("CancelCall")
            if how == "throttle":
                self.settle_cancel(account_id, call, Throttled(1.0, "slow down"))
            elif how == "lost_request":
                self.settle_cancel(account_id, call, Unknown("timed out"))
            else:
                outcome = self.ask_cancel(account_id, call)
                self.settle_cancel(account_id, call, Unknown("timed out") if how == "lost_answer" else outcome)
        raise AssertionError("still calling")
