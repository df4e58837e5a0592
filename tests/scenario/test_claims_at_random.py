"""Anything in any order: sales, cancels, parcels, edits, delayed news, lost answers, crashes; then rest (I1, I2, I3, I7, I13, I17).

After every step the invariants hold. When nothing happens any more, K is what lies on the shelf less what is promised, and the shop
shows what is expected of it. A failure prints the seed and the last steps.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest
from tests.scenario.engine import AMAZON, EBAY, ETSY, SHOP, TENANT, World, changed, key_of, order
from tests.scenario.fake_hub import HubOrder
from tests.scenario.invariants import check, check_claims_carried

from oneshelf.core.facts import OrderSeen, Payment
from oneshelf.core.instants import from_us
from oneshelf.core.outcome import Outcome, Throttled, Unknown
from oneshelf.db.store import Store, transaction
from oneshelf.imports.copy_orders import FindCall
from oneshelf.orders import routing
from oneshelf.orders.relink import relink
from oneshelf.reconcile.hub import Read
from oneshelf.routing import policy

_SKUS = ("MUG", "CUP")
_LISTINGS = {"MUG": {"MUG": 1}, "CUP": {"CUP": 1}, "MUG2": {"MUG": 2}, "SET": {"MUG": 1, "CUP": 2}, "POT": {"CUP": 1}}


class Market:
    """What one marketplace order really is, and its snapshots that nobody has heard yet."""

    def __init__(self, account_id: int, seen: OrderSeen, parts: dict[str, int]) -> None:
        self.account_id = account_id
        self.seen = seen
        self.parts = parts
        self.unheard = [seen]

    @property
    def units_open(self) -> int:
        line = self.seen.lines[0]
        return 0 if self.seen.cancelled else line.ordered - line.cancelled


class Chaos:
    """One run: a world, what its people did, and what is on its way. `routed`: we say where orders leave from."""

    def __init__(self, store: Store, seed: int, *, routed: bool = False) -> None:
        self.random = random.Random(seed)
        self.world = World(store, says_location=self.random.random() < 0.7)
        self.world.item("MUG", L1=4, L2=3)
        self.world.item("CUP", L1=3, L2=0)
        for account_id in (AMAZON, EBAY, ETSY):
            self.world.list(account_id, "MUG2", {"MUG": 2})
            self.world.list(account_id, "SET", {"MUG": 1, "CUP": 2})
            self.world.list(account_id, "POT", None)
        self.world.open()
        self.acts = _ACTS
        self.planners: list[Callable[[], object]] = [
            self.world.plan_moves,
            self.world.plan_import,
            self.world.plan_correction,
        ]
        if routed:
            with transaction(store) as tx:
                policy.set_policy(tx, TENANT, self.world.now, by="a test", router="oneshelf")
            self.acts = [*_ACTS, *[Chaos._leave_empty] * 2]
            self.planners.append(self.world.plan_reroute)
        self.markets: list[Market] = []
        self.flying: list[tuple[object, Outcome | None]] = []
        self.reads: list[Read] = []
        self.foreign: dict[tuple[str, str], int] = {}
        self.log: list[str] = []

    def pick(self, things: list[Market]) -> Market | None:
        return self.random.choice(things) if things else None

    def step(self) -> None:
        self.world.tick(self.random.choice([0.1, 1, 3, 30]))
        act = self.random.choice(self.acts)
        self.log.append(f"{act.__name__[1:]}: {act(self)}")
        check(self.world)

    # --- marketplaces ---------------------------------------------------------------------------------------------------

    def _market_sells(self) -> str:
        account_id, name = self.random.choice([AMAZON, EBAY, ETSY]), self.random.choice(list(_LISTINGS))
        units, paid = self.random.choice([1, 1, 2]), self.random.random() < 0.6
        seen = order(f"O-{len(self.markets)}", self.world.now, paid=paid, **{name: units})
        market = Market(account_id, seen, _LISTINGS[name])
        self.markets.append(market)
        if self.random.random() < 0.3:  # its listing is read before its order is heard
            self.world.missed_at(account_id, name, units)
        return f"{seen.order_id} {account_id} {units} × {name} {'paid' if paid else 'pending'}"

    def _market_changes(self) -> str:
        market = self.pick([m for m in self.markets if not m.seen.cancelled])
        if market is None:
            return "-"
        seen, now = market.seen, from_us(self.world.now)
        line = seen.lines[0]
        match self.random.choice(["pay", "pay", "cancel", "part", "ship"]):
            case "pay":
                seen = msgspec.structs.replace(seen, payment=Payment.PAID, updated_at=now)
            case "cancel" if not line.shipped:
                seen = msgspec.structs.replace(seen, cancelled=True, updated_at=now)
            case "part" if line.ordered - line.cancelled - line.shipped > 1 and len(market.parts) == 1:
                seen = changed(seen, self.world.now, cancelled_pieces=line.cancelled + 1)
            case "ship" if seen.payment is Payment.PAID and line.ordered - line.cancelled == 1:
                seen = changed(seen, self.world.now, shipped=1)
            case _:
                return "-"
        market.seen = seen
        market.unheard.append(seen)
        return f"{seen.order_id} {seen.payment} cancelled={seen.cancelled} {seen.lines[0]}"

    def _market_news(self) -> str:
        market = self.pick([m for m in self.markets if m.unheard])
        if market is None:
            return "-"
        heard = self.random.sample(market.unheard, self.random.randint(1, len(market.unheard)))
        market.unheard = [seen for seen in market.unheard if seen not in heard or self.random.random() < 0.2]
        for seen in heard:
            self.world.hear(
                market.account_id,
                seen,
                handled=self.random.random() < 0.7,
                source=self.random.choice(["webhook", "poll"]),
            )
        self.world.handle()
        return f"{market.seen.order_id}: {len(heard)} snapshots"

    def _link(self) -> str:
        """Somebody says what a POT is."""
        account_id = self.random.choice([AMAZON, EBAY, ETSY])
        self.link_pots(account_id)
        return f"POT of {account_id}"

    def link_pots(self, *account_ids: int) -> None:
        for account_id in account_ids:
            outlet_id = self.world.outlet(account_id, "POT")
            self.world.link(outlet_id, {"CUP": 1})
            with transaction(self.world.store) as tx:
                relink(tx, TENANT, outlet_id, self.world.now)

    # --- the shop ---------------------------------------------------------------------------------------------------------

    def _hub_sells(self) -> str:
        sku, where = self.random.choice(_SKUS), self.random.choice(["L1", "L1", "L2"])
        return f"{self.world.hub.sell(self.world.now, where, paid=self.random.random() < 0.8, **{sku: 1})} {sku} at {where}"

    def _some_hub_order(self) -> HubOrder | None:
        return self.random.choice(list(self.world.hub.orders.values())) if self.world.hub.orders else None

    def _hub_changes(self) -> str:
        found = self._some_hub_order()
        if found is None:
            return "-"
        hub, now, order_id = self.world.hub, self.world.now, found.order_id
        line = self.random.choice(found.lines)
        match self.random.choice(["fulfil", "fulfil", "cancel", "remove", "lose", "add", "move", "return", "undo"]):
            case "fulfil" if line.open:
                hub.fulfil(now, order_id, **({line.sku: 1} if self.random.random() < 0.5 else {}))
                return f"fulfil {order_id}"
            case "cancel" if not found.cancelled and not found.shipments:
                hub.cancel(now, order_id)
                return f"cancel {order_id}"
            case "remove" if line.open:
                hub.remove(now, order_id, line.line_id, 1)
                return f"remove 1 of {line.line_id}"
            case "lose" if line.open:
                hub.remove(now, order_id, line.line_id, 1, restock=False)
                return f"remove 1 of {line.line_id}, not restocked"
            case "add" if not found.cancelled:
                hub.add(now, order_id, line.line_id, 1)
                return f"add 1 to {line.line_id}"
            case "move" if line.open:
                hub.move_line(now, order_id, line.line_id, self.random.choice(["L1", "L2"]))
                return f"move {line.line_id} to {line.location_id}"
            case "return" if line.shipped and not found.returns:
                hub.take_back(now, order_id, line.line_id, 1)
                return f"return 1 of {line.line_id}"
            case "undo" if not found.returns and not found.cancelled:
                live = [s for s in found.shipments.values() if not s.cancelled]
                if live:
                    hub.cancel_fulfilment(now, order_id, live[-1].shipment_id)
                    return f"fulfilment {live[-1].shipment_id} of {order_id} cancelled"
        return "-"

    def _merchant_edits(self) -> str:
        where = self.random.choice([("MUG", "L1"), ("MUG", "L2"), ("CUP", "L1"), ("CUP", "L2")])
        cell, change = self.world.hub.cell(*where), self.random.choice([-2, -1, 1, 2])
        match self.random.choice(["on_hand", "on_hand", "transfer", "damaged", "reserved"]):
            case "on_hand":
                cell.on_hand += change
            case "transfer":
                cell.on_hand -= 1
                self.world.hub.cell(where[0], "L2" if where[1] == "L1" else "L1").on_hand += 1
            case "damaged":
                cell.unavailable = max(0, cell.unavailable + change)
            case "reserved":
                change = max(-self.foreign.get(where, 0), change)
                self.foreign[where] = self.foreign.get(where, 0) + change
                cell.reserved += change
        return f"{where} {cell.row}"

    def _hub_tells(self) -> str:
        changed_ids = list(dict.fromkeys(self.world.hub.changed))
        if not changed_ids:
            return "-"
        told = self.random.sample(changed_ids, self.random.randint(1, len(changed_ids)))
        self.world.hub.changed = [o for o in changed_ids if o not in told]
        for order_id in told:
            self.world.hear(SHOP, self.world.hub.snapshot(order_id))
        return ", ".join(told)

    # --- ourselves ----------------------------------------------------------------------------------------------------------

    def _call(self) -> str:
        planned = self.random.choice(self.planners)()
        if planned is None:
            return "-"
        if isinstance(planned, FindCall):
            self.world.settle_find(planned, "no answer" if self.random.random() < 0.3 else "")
            return f"find {planned.external_key}"
        self.flying.append((planned, None))
        return f"{type(planned).__name__} leaves"

    def _leave_empty(self) -> str:
        """What stands where K is below 0 is decided again (R7)."""
        with transaction(self.world.store) as tx:
            return str(routing.leave_empty(tx, TENANT, 0, self.world.now))

    def _shop_does(self) -> str:
        waiting = [i for i, (_, outcome) in enumerate(self.flying) if outcome is None]
        if not waiting:
            return "-"
        i = self.random.choice(waiting)
        call = self.flying[i][0]
        outcome = self.world.do(call)
        self.flying[i] = (call, outcome)
        return f"{type(call).__name__}: {outcome}"

    def _answer(self) -> str:
        if not self.flying:
            return "-"
        call, outcome = self.flying.pop(self.random.randrange(len(self.flying)))
        if outcome is None:
            outcome = Throttled(1.0) if self.random.random() < 0.3 else Unknown("lost on the way")
        elif self.random.random() < 0.3:
            outcome = Unknown("its answer was lost")
        self.world.settle(call, outcome)
        return f"{type(call).__name__}: {outcome}"

    def _crash(self) -> str:
        if self.random.random() < 0.7:
            return "-"
        lost, self.flying, self.reads = len(self.flying), [], []
        self.world.restart()
        return f"{lost} calls under way"

    def _ask(self) -> str:
        self.reads.append(self.world.ask(*_SKUS))
        return "read"

    def _judge(self) -> str:
        if not self.reads:
            return "-"
        return str(self.world.judge(self.reads.pop(0)))

    def _read_wanted(self) -> str:
        return f"{self.world.read_wanted()} items"

    def _poll_ends(self) -> str:
        """A poll brings everything of its account, and only then is it complete."""
        account_id = self.random.choice([SHOP, AMAZON, EBAY, ETSY])
        self.all_news(account_id)
        self.world.complete(account_id)
        return f"account {account_id}"

    def all_news(self, *account_ids: int) -> None:
        if SHOP in account_ids:
            self.world.hub_news()
        for market in self.markets:
            if market.account_id in account_ids:
                for seen in market.unheard:
                    self.world.hear(market.account_id, seen)
                market.unheard = []

    # --- the end ------------------------------------------------------------------------------------------------------------

    def settle_down(self) -> None:
        """Everything on its way arrives or is lost; then rest; then the truth."""
        for call, outcome in self.flying:
            self.world.settle(call, outcome or Unknown("lost on the way"))
        self.flying = []
        for read in self.reads:
            self.world.judge(read)
        self.all_news(SHOP, AMAZON, EBAY, ETSY)
        self.link_pots(AMAZON, EBAY, ETSY)
        self.world.to_rest()
        check(self.world)
        check_claims_carried(self.world)
        for sku in _SKUS:
            assert self.world.k(sku) == self.truth(sku), (
                f"K of {sku} is {self.world.k(sku)}, the truth is {self.truth(sku)}"
            )
        for (sku, where), cell in self.world.hub.cells.items():
            expected = self.world.expected(sku, where)
            assert expected == cell.available, f"{sku} at {where}: expected {expected}, shown {cell.available}"
            waiting = self.waiting(sku)
            assert not (waiting > 0 and cell.available > 0), (
                f"S9.5: {waiting} of {sku} wait to be held, and the shop sells {cell.available} at {where}"
            )

    def waiting(self, sku: str) -> int:
        """Pieces that are to be held, that their own location has not, and that are held nowhere else."""
        return int(
            self.world.value(
                "SELECT CAST(COALESCE(SUM(CASE WHEN claim_key LIKE 'elsewhere:%' THEN -held WHEN refused = 1 THEN want - held - imported "
                "ELSE 0 END), 0) AS BIGINT) FROM claim WHERE sku = :s AND open = 1",
                s=sku,
            )
        )

    def truth(self, sku: str) -> int:
        """What lies on the shelf for sale, less what the shop promised, less marketplace orders that do not stand in the shop."""
        there = sum(
            cell.on_hand - cell.unavailable - cell.committed - self.foreign.get(where, 0)
            for where, cell in self.world.hub.cells.items()
            if where[0] == sku
        )
        promised = sum(
            m.units_open * m.parts.get(sku, 0)
            for m in self.markets
            if key_of(m.account_id, m.seen.order_id) not in self.world.hub.by_key
        )
        return there - promised


_ACTS: list[Callable[[Chaos], str]] = [
    *[Chaos._market_sells] * 2,
    *[Chaos._market_changes] * 3,
    *[Chaos._market_news] * 5,
    Chaos._link,
    *[Chaos._hub_sells] * 2,
    *[Chaos._hub_changes] * 3,
    Chaos._merchant_edits,
    *[Chaos._hub_tells] * 4,
    *[Chaos._call] * 6,
    *[Chaos._shop_does] * 5,
    *[Chaos._answer] * 5,
    Chaos._crash,
    *[Chaos._ask] * 2,
    *[Chaos._judge] * 2,
    *[Chaos._read_wanted] * 2,
    *[Chaos._poll_ends] * 2,
]


@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_I13_after_any_story_everything_comes_to_rest_at_the_truth(store: Store, seed: int, routed: bool) -> None:
    chaos = Chaos(store, seed, routed=routed)
    steps = 70 if store.dialect == "sqlite" else 35
    try:
        for _ in range(steps):
            chaos.step()
        chaos.settle_down()
    except AssertionError as error:
        happened = "\n".join(chaos.log[-40:])
        raise AssertionError(f"seed {seed}: {error}\n{happened}") from error
