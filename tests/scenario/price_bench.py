"""The bench of publishing with prices beside: the same marketplace in memory asks prices too, and carries both in one write where told so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.scenario.publish_bench import HUB, SHOP, Bench, T

from oneshelf.channels.abilities import PriceAbility, PriceOffer, PriceSeen, Sale
from oneshelf.channels.contract import HubFacts, ListingFound, NoAnswer
from oneshelf.core.facts import Money
from oneshelf.core.instants import SECOND, from_us
from oneshelf.core.outcome import Accepted, Outcome, Rejected
from oneshelf.db.store import Store
from oneshelf.db.tx import Tx
from oneshelf.onboarding.hub import keep_items
from oneshelf.pricing.policy import set_limits, switch
from oneshelf.publish import price_planning
from oneshelf.publish.planning import WaitUntil
from oneshelf.publish.price_settling import settle_price_read, settle_price_write
from oneshelf.publish.price_slots import PriceReadCall, PriceSlot, PriceWriteCall, load
from oneshelf.publish.price_worker import offer_of

_CALLS = {"read": "read_prices", "write": "write_prices"}
ABILITY = {
    "ebay": PriceAbility(25, 10, 10.0, _CALLS),
    "amazon": PriceAbility(1, 20, 120.0, _CALLS, reads_before_write=True, sale_window=True),
    "etsy": PriceAbility(100, 100, 5.0, _CALLS, reads_before_write=True, carries_quantity=True),
}


class PriceMarket:
    """What listings ask. A write lands `lands_after` microseconds after its yes. `before_write`: what happens between read and write."""

    def __init__(self, bench: PriceBench) -> None:
        self.bench = bench
        self.asks: dict[str, Money] = {}
        self.sales: dict[str, Sale] = {}
        self.compare_at: dict[str, Money] = {}
        self.state: dict[str, str] = {}
        self.lands_after = 0
        self.landing: list[tuple[int, str, Money]] = []
        self.reads: list[list[str]] = []
        self.writes: list[dict[str, int]] = []
        self.carried: list[dict[str, int]] = []
        self.read_fails: BaseException | None = None
        self.answers: Callable[[PriceOffer], Outcome | None] = lambda offer: None
        self.no_answer = False
        self.before_write: Callable[[], None] = lambda: None

    def let_land(self) -> None:
        for at, name, price in sorted(self.landing, key=lambda one: one[0]):
            if at <= self.bench.now:
                self.asks[name] = price
        self.landing = [one for one in self.landing if one[0] > self.bench.now]

    def read(self, names: Sequence[str]) -> list[PriceSeen]:
        self.let_land()
        self.reads.append(list(names))
        if self.read_fails is not None:
            raise self.read_fails
        return [
            PriceSeen(
                name,
                self.asks.get(name),
                from_us(self.bench.now),
                self.compare_at.get(name),
                self.sales.get(name),
                state=self.state.get(name, "live"),  # type: ignore[arg-type]
            )
            for name in names
        ]

    def publish(self, offers: Sequence[PriceOffer], carries: bool) -> list[Outcome]:
        self.before_write()
        market = self.bench.market
        self.writes.append({offer.outlet.external_id: offer.price.minor for offer in offers})
        outcomes: list[Outcome] = []
        for offer in offers:
            name, outcome = offer.outlet.external_id, self.answers(offer)
            if outcome is None or isinstance(outcome, Accepted):
                self.landing.append((self.bench.now + self.lands_after, name, offer.price))
                for kept, said in ((self.sales, offer.sale), (self.compare_at, offer.compare_at)):
                    kept.pop(name, None)  # what is left out is taken away
                    if said is not None:
                        kept[name] = said  # type: ignore[index]
            outcomes.append(outcome or Accepted())
        if carries and not any(isinstance(one, Rejected) for one in outcomes):
            market.let_land(self.bench.now)
            along = {
                o.outlet.external_id: min(o.quantity, market.shown[o.outlet.external_id])
                for o in offers
                if o.quantity is not None
            }
            self.carried.append(along)
            for name, quantity in along.items():
                market.landing.append((self.bench.now + self.lands_after, name, quantity))
            market.let_land(self.bench.now)
        self.let_land()
        if self.no_answer:
            raise NoAnswer("timed out", sent=True)
        return outcomes


class PriceBench(Bench):
    """A bench whose account's prices follow the hub's, unless told otherwise."""

    def __init__(self, store: Store, channel: str = "ebay", *, follow: bool = True) -> None:
        super().__init__(store, channel)
        self.ability = ABILITY[channel]
        self.prices = PriceMarket(self)
        self.fresh_prices: dict[str, PriceSeen] = {}
        self.facts: dict[str, HubFacts] = {}
        if follow:
            self.switch(follow=True)

    def switch(self, *, follow: bool) -> None:
        """Switch its prices; without a band: a story of one has its own."""
        self.tx(lambda tx: switch(tx, T, SHOP, follow=follow, now=self.now, by="Ada"))
        self.limits(band=0)

    def limits(self, **limits: Any) -> None:
        self.tx(lambda tx: set_limits(tx, T, SHOP, self.now, by="Ada", **limits))

    def hub(self, **prices: int | None) -> None:
        """A reading of the shop's catalogue: what each SKU asks now."""
        self.hub_in("EUR", **prices)

    def hub_in(self, currency: str, **prices: int | None) -> None:
        found = [
            ListingFound(
                f"{sku}|L1",
                f"{sku}|L1",
                (f"sku:{sku}",),
                sku,
                sku,
                None,
                price_minor=minor,
                currency=currency,
                facts=self.facts.get(sku),
                extra={"item_id": f"i-{sku}", "variant_id": f"v-{sku}", "product_id": "p"},
            )
            for sku, minor in prices.items()
        ]
        self.tx(lambda tx: tx.run("INSERT INTO counter VALUES (1, 'outlet', 1000) ON CONFLICT DO NOTHING"))
        self.tx(lambda tx: keep_items(tx, T, HUB, found, self.now))

    def listing(
        self, name: str, parts: dict[str, int], asks: int | None, *, shown: int = 5, unit: str | None = None
    ) -> None:
        """A listing that asks this price, in EUR, and shows a number that is right."""
        self.outlet(name, parts, shown, unit=unit)
        if asks is not None:
            self.prices.asks[name] = Money(asks, "EUR")

    def mark_prices(self) -> None:
        from oneshelf.pricing.marks import mark_account

        self.tx(lambda tx: mark_account(tx, T, SHOP, self.now, "test"))

    # --- the engine ---------------------------------------------------------------------------------------------------

    def plan_price(self, kinds: Sequence[str] = ("write", "read")) -> PriceReadCall | PriceWriteCall | WaitUntil:
        def step(tx: Tx) -> object:
            price_planning.wake(tx, T, SHOP, self.now)
            return price_planning.plan(
                tx, T, SHOP, self.can, self.ability, self.now, fresh=self.fresh_prices, kinds=kinds
            )

        return self.tx(step)  # type: ignore[return-value]

    def call_price(self, call: PriceReadCall | PriceWriteCall) -> None:
        names = [item.outlet.external_id for item in call.items]
        if isinstance(call, PriceReadCall):
            try:
                result: Sequence[PriceSeen] | BaseException = self.prices.read(names)
                self.fresh_prices.update((seen.external_id, seen) for seen in result)  # type: ignore[union-attr]
            except Exception as error:
                result = error
            self.tx(lambda tx: settle_price_read(tx, T, SHOP, call, result, self.now))
            return
        try:
            outcomes: Sequence[Outcome] | BaseException = self.prices.publish(
                [offer_of(item) for item in call.items], self.ability.carries_quantity
            )
        except Exception as error:
            outcomes = error
        for name in names:
            self.fresh_prices.pop(name, None)
            self.fresh.pop(name, None)
        self.tx(lambda tx: settle_price_write(tx, T, SHOP, self.can, call, outcomes, self.now))

    def step_price(self) -> str:
        call = self.plan_price()
        if isinstance(call, WaitUntil):
            return "wait"
        self.call_price(call)
        if isinstance(call, PriceReadCall):
            return "read " + " ".join(sorted(item.outlet.external_id for item in call.items))
        return "write " + " ".join(sorted(f"{i.outlet.external_id}={i.price_minor}" for i in call.items))

    def run(self, seconds: float = 0.0, *, most: int = 300) -> list[str]:
        """As the loop: numbers first, then prices, until nothing is due within this time. Returns what was done."""
        done = []
        until = self.now + round(seconds * SECOND)
        for _ in range(most):
            self.wake()
            call = self.plan()
            if not isinstance(call, WaitUntil):
                self.call(call)
                done.append("number")
                continue
            step = self.step_price()
            if step != "wait":
                done.append(step)
                continue
            price = self.plan_price()
            assert isinstance(price, WaitUntil)
            next_at = min((at for at in (call.at, price.at) if at is not None), default=None)
            if next_at is None or next_at > until:
                self.now = until
                return done
            self.now = max(self.now, next_at)
        raise AssertionError(f"not at rest after {most} calls: {self.rest()}")

    def recover(self) -> None:
        super().recover()
        self.fresh_prices = {}

    def price_slot(self, name: str) -> PriceSlot:
        return self.tx(lambda tx: load(tx, T, [self.ids[name]])[self.ids[name]])  # type: ignore[return-value]

    def asked(self) -> dict[str, int]:
        self.prices.let_land()
        return {name: money.minor for name, money in self.prices.asks.items()}

    def price_attempts(self, name: str) -> list[tuple]:
        return self.all(
            f"SELECT price_minor, outcome FROM price_attempt WHERE outlet_id = {self.ids[name]} ORDER BY attempt_no"
        )
