"""A bench for publishing: the real steps on a real database, and at the edge a marketplace in memory, whose writes may land late.

Time stands still unless the bench lets it pass. Instants are microseconds; `s` turns seconds since the bench's start into one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from oneshelf.channels.contract import Capabilities, NoAnswer, Offer, Seen
from oneshelf.core.facts import LineSeen, OrderSeen, Payment
from oneshelf.core.instants import SECOND, from_us, to_us
from oneshelf.core.outcome import Accepted, Outcome
from oneshelf.core.stock import Entry
from oneshelf.db.store import Store, transaction
from oneshelf.db.tx import Tx
from oneshelf.listings import dirty
from oneshelf.orders.batch import Heard
from oneshelf.orders.book import book
from oneshelf.publish.planning import WaitUntil, plan
from oneshelf.publish.reads import settle_read
from oneshelf.publish.recovery import at_rest, recover
from oneshelf.publish.slots import ReadCall, Slot, WriteCall, load
from oneshelf.publish.waking import wake
from oneshelf.publish.writes import settle_write
from oneshelf.stock import ledger

T = 1
HUB, SHOP = 1, 2
START = to_us(datetime(2026, 11, 23, 14, 0, 0, tzinfo=UTC))

EBAY = Capabilities(
    write="absolute",
    write_batch=25,
    read_batch=25,
    visible_after_s=10,
    visibility_delay_s=30,
    poll_interval_s=20,
    has_webhooks=True,
)
AMAZON = msgspec.structs.replace(EBAY, write_batch=1, read_batch=20)
ETSY = msgspec.structs.replace(EBAY, reads_before_write=True, zero_is_state=True, opens_with_one=True, max_quantity=999)
CAS = msgspec.structs.replace(EBAY, write="compare_and_set")

CAN = {"ebay": EBAY, "amazon": AMAZON, "etsy": ETSY}


class Market:
    """What the marketplace really shows. A write lands `lands_after` microseconds after its yes."""

    def __init__(self) -> None:
        self.shown: dict[str, int] = {}
        self.state: dict[str, str] = {}
        self.lands_after = 0
        self.landing: list[tuple[int, str, int]] = []
        self.reads: list[list[str]] = []
        self.writes: list[dict[str, int]] = []
        self.read_fails: BaseException | None = None
        #: (offer) → its end, None: the ordinary yes.
        self.answers: Callable[[Offer], Outcome | None] = lambda offer: None
        self.no_answer = False

    def let_land(self, now: int) -> None:
        for at, name, quantity in sorted(self.landing):
            if at <= now:
                self.shown[name] = quantity
        self.landing = [one for one in self.landing if one[0] > now]

    def read(self, names: Sequence[str], now: int, there: int) -> list[Seen]:
        """`there`: now, by the channel's clock."""
        self.let_land(now)
        self.reads.append(list(names))
        if self.read_fails is not None:
            raise self.read_fails
        return [
            Seen(
                name,
                self.shown[name],
                from_us(there),
                state=self.state.get(name, "live"),
                document={"all": dict(self.shown)},
            )
            for name in names
            if name in self.shown
        ]

    def publish(self, offers: Sequence[Offer], now: int) -> list[Outcome]:
        self.writes.append({offer.outlet.external_id: offer.quantity for offer in offers})
        outcomes: list[Outcome] = []
        for offer in offers:
            outcome = self.answers(offer)
            if outcome is None or isinstance(outcome, Accepted):
                self.landing.append((now + self.lands_after, offer.outlet.external_id, offer.quantity))
            outcomes.append(outcome or Accepted())
        self.let_land(now)
        if self.no_answer:
            raise NoAnswer("timed out", sent=True)
        return outcomes


class Bench:
    """One tenant, a hub, one marketplace account, all stock at one location."""

    def __init__(self, store: Store, channel: str = "ebay", *, state: str = "LIVE", ahead_s: int = 0) -> None:
        self.store = store
        self.market = Market()
        self.can = CAN[channel]
        self.now = START
        self.ahead = ahead_s * SECOND  # by how much the channel's clock is ahead of ours
        self.spread = False  # the day's calls have run short
        self.fresh: dict[str, Seen] = {}
        self.ids: dict[str, int] = {}
        self._orders = 0
        with transaction(store) as tx:
            tx.run("INSERT INTO tenant (tenant_id, name, created_at) VALUES (1, 'Mugs', 0)")
            for account_id, name, st in ((HUB, "shopify", "LIVE"), (SHOP, channel, state)):
                tx.run(
                    "INSERT INTO account (tenant_id, account_id, channel, external_id, label, state, connected_at, live_at, opened_at) "
                    "VALUES (1, :a, :c, :x, 'x', :s, 0, :live, :live)",
                    a=account_id,
                    c=name,
                    x=f"x{account_id}",
                    s=st,
                    live=START - 86_400 * SECOND,
                )
            tx.run("INSERT INTO location (tenant_id, location_id, name) VALUES (1, 'L1', 'Shelf')")
            if ahead_s:
                tx.run(
                    "INSERT INTO channel_window (tenant_id, account_id, notice, publish, grace, absolute, ahead, measured_at) "
                    "VALUES (1, :a, 5000000, 10000000, 3600000000, 1, :n, 0)",
                    a=SHOP,
                    n=self.ahead,
                )

    # --- the world ----------------------------------------------------------------------------------------------------

    @property
    def there(self) -> int:
        """Now, by the channel's clock."""
        return self.now + self.ahead

    def tx(self, step: Callable[[Tx], object]) -> object:
        with transaction(self.store) as tx:
            return step(tx)

    def outlet(
        self,
        name: str,
        parts: dict[str, int],
        shown: int,
        *,
        unit: str | None = None,
        by_channel: bool = False,
        ration: str = "",
    ) -> int:
        """List something at the marketplace and link it; it is not dirty yet."""
        outlet_id = len(self.ids) + 1
        self.ids[name] = outlet_id
        self.market.shown[name] = shown

        def step(tx: Tx) -> None:
            tx.run(
                "INSERT INTO outlet (tenant_id, outlet_id, account_id, external_id, write_unit, found_at, fulfilled_by_channel, "
                "ration_unit) VALUES (1, :o, :a, :n, :u, 0, :f, :r)",
                o=outlet_id,
                a=SHOP,
                n=name,
                u=unit or name,
                f=int(by_channel),
                r=ration,
            )
            tx.run(
                "INSERT INTO listing_key (tenant_id, account_id, listing_key, outlet_id) VALUES (1, :a, :k, :o)",
                a=SHOP,
                k=f"sku:{name}",
                o=outlet_id,
            )
            for sku, units in parts.items():
                tx.run(
                    "INSERT INTO link (tenant_id, outlet_id, sku, units) VALUES (1, :o, :s, :u)",
                    o=outlet_id,
                    s=sku,
                    u=units,
                )

        self.tx(step)
        return outlet_id

    def stock(self, sku: str, pieces: int) -> None:
        """The merchant finds (or loses) pieces: K moves, its listings become dirty."""

        def step(tx: Tx) -> None:
            self._orders += 1
            entry = Entry(key=f"edit:{self._orders}", sku=sku, location_id="L1", reason="count", on_hand=pieces)
            ledger.post(tx, T, [entry], self.now)
            dirty.mark(tx, T, [sku], self.now, "count")

        self.tx(step)

    def sell(self, name: str, units: int = 1, *, heard: bool = True) -> Callable[[], None]:
        """Somebody buys at the marketplace now: its number falls by itself. Returns how to hear of it (heard at once unless told)."""
        self.market.let_land(self.now)
        self.market.shown[name] = max(0, self.market.shown[name] - units)
        self._orders += 1
        order_id, placed = f"o{self._orders}", self.there
        hear = lambda **more: self.hear(order_id, name, units, placed, **more)  # noqa: E731
        if heard:
            hear()
        return hear

    def hear(
        self, order_id: str, name: str, units: int, placed: int, *, cancelled: int = 0, sku: str | None = None
    ) -> None:
        line = LineSeen("1", (f"sku:{name}",), ordered=units, cancelled=cancelled, sku=sku)
        order = OrderSeen(
            order_id, Payment.PAID, (line,), from_us(placed), from_us(self.there), cancelled=cancelled >= units
        )
        self.tx(lambda tx: book(tx, T, [Heard(SHOP, order, self.now, self.now, "webhook")], self.now))

    def complete_through(self, at: int) -> None:
        """The order feed has been polled to the end."""
        self.tx(
            lambda tx: tx.run(
                "INSERT INTO feed (tenant_id, account_id, name, complete_through_at) VALUES (1, :a, 'orders', :at) "
                "ON CONFLICT (tenant_id, account_id, name) DO UPDATE SET complete_through_at = excluded.complete_through_at",
                a=SHOP,
                at=at,
            )
        )

    def searched(self) -> None:
        """What is looked for once more is not there (9.4)."""
        self.all("UPDATE intent SET state = 'DONE' WHERE kind = 'find_orders' RETURNING 1")

    def mark(self, name: str, *, reread: bool = False, why: str = "test") -> None:
        self.tx(lambda tx: dirty.mark_outlets(tx, T, [self.ids[name]], self.now, why, reread=reread))

    def account(self, state: str) -> None:
        self.tx(
            lambda tx: tx.run("UPDATE account SET state = :s WHERE tenant_id = 1 AND account_id = :a", s=state, a=SHOP)
        )

    # --- the engine ---------------------------------------------------------------------------------------------------

    def wake(self) -> int:
        return self.tx(lambda tx: wake(tx, T, SHOP, self.can, self.now))  # type: ignore[return-value]

    def plan(self, kinds: Sequence[str] | None = None) -> ReadCall | WriteCall | WaitUntil:
        return self.tx(
            lambda tx: plan(tx, T, SHOP, self.can, self.now, fresh=self.fresh, kinds=kinds, spread=self.spread)
        )  # type: ignore[return-value]

    def call(self, call: ReadCall | WriteCall) -> None:
        """Make a call and take in its answer."""
        if isinstance(call, ReadCall):
            try:
                result: Sequence[Seen] | BaseException = self.market.read(
                    [item.outlet.external_id for item in call.items], self.now, self.there
                )
                self.fresh.update((seen.external_id, seen) for seen in result)  # type: ignore[union-attr]
            except Exception as error:
                result = error
            self.tx(lambda tx: settle_read(tx, T, SHOP, self.can, call, result, self.now))
            return
        offers = [Offer(i.outlet, i.quantity, self.fresh.get(i.outlet.external_id)) for i in call.items]
        try:
            outcomes: Sequence[Outcome] | BaseException = self.market.publish(offers, self.now)
        except Exception as error:
            outcomes = error
        self.tx(lambda tx: settle_write(tx, T, SHOP, self.can, call, outcomes, self.now))

    def step(self) -> str:
        """Wake, plan, call, settle: one call. Returns "read …", "write …", or "wait"."""
        self.wake()
        call = self.plan()
        if isinstance(call, WaitUntil):
            return "wait"
        self.call(call)
        if isinstance(call, ReadCall):
            return "read " + " ".join(sorted(i.outlet.external_id for i in call.items))
        return "write " + " ".join(sorted(f"{i.outlet.external_id}={i.quantity}" for i in call.items))

    def run(self, seconds: float = 0.0, *, most: int = 200) -> list[str]:
        """Work until nothing is due, letting at most `seconds` pass. Returns what was done."""
        done = []
        until = self.now + round(seconds * SECOND)
        for _ in range(most):
            self.wake()
            call = self.plan()
            if isinstance(call, WaitUntil):
                if call.at is None or call.at > until:
                    self.now = until
                    return done
                self.now = call.at
                continue
            self.call(call)
            kind = "read" if isinstance(call, ReadCall) else "write"
            done.append(kind)
        raise AssertionError(f"not at rest after {most} calls: {self.rest()}")

    def recover(self) -> None:
        self.fresh = {}
        self.tx(lambda tx: recover(tx, T, self.now))

    def rest(self) -> list[str]:
        return self.tx(lambda tx: at_rest(tx, T))  # type: ignore[return-value]

    # --- looking ------------------------------------------------------------------------------------------------------

    def slot(self, name: str) -> Slot:
        return self.tx(lambda tx: load(tx, T, [self.ids[name]])[self.ids[name]])  # type: ignore[return-value]

    def all(self, sql: str) -> list[tuple]:
        return self.tx(lambda tx: tx.all(sql))  # type: ignore[return-value]

    def generation(self, name: str) -> int | None:
        rows = self.all(f"SELECT generation FROM dirty_listing WHERE outlet_id = {self.ids[name]}")
        return rows[0][0] if rows else None

    def provisional(self) -> int:
        return int(self.all("SELECT COALESCE(SUM(pieces), 0) FROM provisional WHERE state = 'OPEN'")[0][0])

    def open_tasks(self) -> list[str]:
        return [kind for (kind,) in self.all("SELECT kind FROM task WHERE closed_at IS NULL ORDER BY task_no")]

    def attempts(self, name: str) -> list[tuple]:
        return self.all(f"SELECT quantity, outcome FROM attempt WHERE outlet_id = {self.ids[name]} ORDER BY attempt_no")
