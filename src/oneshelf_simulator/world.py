"""One run: a world is built from its options, faults rain on it for a while, then it has to come to rest.

In: options. Out: a Report. Never: lets chance in that does not come from the seed.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from oneshelf_emulator.clock import Clock
from oneshelf_emulator.emulation import Emulation
from oneshelf_emulator.world import Buyer, Happening, Sale

from .auditor import Auditor, Breach
from .engine import CHANNELS, START, Engine, log_lines, slow_looks
from .goods import MARKETPLACES, Goods, bundles_of, packs_of, products_of
from .loop import SimLoop
from .net import Net, queue_of
from .options import Options, expanded
from .oversold import LIE_S, Oversold
from .pace import check_pace
from .places import Places
from .restores import Restores
from .shelf import RENEWAL_S, Shelf
from .told import Told
from .trace import Trace
from .wishes import Wishes
from .workload import Workload

#: After the faults stop it must be at rest within this, seconds.
REST_S = 1_800.0
#: And then stay so, without a write, seconds.
QUIET_S = 1_800.0
#: How often the auditor looks at everything, seconds.
LOOK_S = 600.0
#: How often it looks whether the world is at rest, seconds: in no step with the sweeps, which read some listings every minute.
REST_LOOK_S = 37.0
#: After a death nothing can be told for so long at most, seconds (it stays down for `Options.down_s_max`).
DOWN_S_MAX = 240.0
#: How often a supervisor looks whether the service runs, seconds.
SUPERVISE_S = 5.0
#: How long a person takes to see that an account must be signed in again, or that a listing is parked, seconds.
PERSON_S = 300.0
#: Where files of a run lie: in memory if the machine has such a place.
MEMORY = Path("/dev/shm")

#: Faults that the emulated marketplaces inject themselves.
_THEIRS = frozenset(
    {
        "webhook_drop", "webhook_double", "webhook_delay", "webhook_reorder", "error_500", "error_503_html", "throttle",
        "expired_token", "partial_batch", "never_applied", "stale_read",
    }
)  # fmt: skip
_ARMED = (
    "crash_before_commit", "crash_after_commit", "crash_at_answer", "crash_at_await", "crash_in_statement", "disk_full",
    "io_error", "locked",
)  # fmt: skip


class Failure(msgspec.Struct):
    """A breach, with all that is needed to see it again."""

    rule: str
    what: str
    at_s: float
    seed: int
    options: dict[str, Any]
    last: list[str]
    levels: list[str]


class Report(msgspec.Struct):
    """What one run came to."""

    seed: int
    profile: str
    simulated_s: float
    trace_hash: str
    faults: dict[str, int]
    crashes: int
    sales: int
    oversold: dict[str, int]
    checks: dict[str, int]
    rest_s: float | None
    wishes: dict[str, int] = {}
    breach: Failure | None = None


class WorldClock(Clock):
    """The emulated marketplaces' clock: virtual, never shortened."""

    def __init__(self, loop: SimLoop) -> None:
        super().__init__(1.0)
        self._loop = loop
        self.context: Any = None

    def now(self) -> datetime:
        return START + timedelta(seconds=self._loop.time())

    def after(self, seconds: float, action: Callable[[], None], *, shortened: bool = True) -> None:
        self._loop.call_later(max(0.0, seconds), action, context=self.context)


class World:
    """Everything of one run. `write`: takes each happening as a line, for looking at a run."""

    def __init__(self, options: Options, *, write: Callable[[str], None] | None = None) -> None:
        self.options = options
        self.loop = SimLoop(random.Random(f"{options.seed}:order"))
        self.trace = Trace(self.loop.time, write=write)
        self.faults: Counter[str] = Counter()
        self.rng = random.Random(f"{options.seed}:faults")
        self.is_raining = False
        self.failure: Breach | None = None
        self.logs: list[str] = []
        self.rest_at: float | None = None
        #: Refusals for pace less those that a fault made, by channel (I19).
        self.paced: Counter[str] = Counter()
        #: Payments and cancels at the marketplaces: news that may make us write.
        self.outside_facts = 0
        self.lies = 0  # old numbers that channels have shown as theirs
        clock = WorldClock(self.loop)
        goods = products_of(options)
        self.goods = Goods([*packs_of(options, goods), *bundles_of(options, goods)])
        self.products = self.goods.stocked(goods)
        self.emulation = Emulation(seed=options.seed, clock=clock, products=self.products, switches=_switches(options))
        for channel in MARKETPLACES:
            self.emulation.marketplaces[channel].stock_up(self.goods.to_list(channel, self.products))
        self.net = Net(self.loop, self.emulation, options, self.trace, self.strike)
        clock.context = self.net.outside
        self.emulation.marketplaces["ebay"].notifications.fetch = self.net.fetch
        self.emulation.world.listeners.append(self._noted)
        self.queue = queue_of(self.net, self.emulation)
        self.folder = Path(tempfile.mkdtemp(prefix="oneshelf-sim-", dir=MEMORY if MEMORY.is_dir() else None))
        self.engine = Engine(
            self.loop,
            self.net,
            self.queue,
            self.folder,
            seed=options.seed,
            skew_s=options.clock_skew_s,
            count=self.struck,
            on_death=self._died,
            on_commit=self._committed,
        )
        places = Places(self.emulation.marketplaces["shopify"], options, self.products)
        self.shelf = Shelf(self.emulation, self.products, self.goods, places)
        self.wishes = Wishes(options, self.products, self.goods, places.serving)
        self.auditor = Auditor(
            self.shelf, self.engine.database, self._now_us, adaptive=options.adaptive, strict=self.wishes.strict
        )
        self.workload = Workload(
            self.net,
            self.shelf,
            options,
            self.trace,
            count=self.struck,
            edited=self._edited,
            received=lambda sku: self.oversold.received(sku),
            sold=self._sold,
        )
        self.oversold = Oversold(
            self.shelf,
            self.auditor.heard_at,
            (self.auditor.put_back_at, self.auditor.put_back_heard_at),
            self._now_us,
            Told(self.auditor.rows, self.engine.database.exists),
        )
        self.restores = Restores(self.engine, self.auditor, options, self.trace, self._may_restore)
        self._wire()

    def _wire(self) -> None:
        self.net.on_delivered = self._delivered
        self.net.on_trouble = self.oversold.trouble
        faults, roll = self.emulation.world.faults, self.emulation.world.faults.roll

        def watched(name: str, channel: str, operation: str = "*") -> bool:
            struck = roll(name, channel, operation)
            if struck and name == "throttle":
                self.paced.subtract([channel])
            if struck and name in ("never_applied", "stale_read", "partial_batch"):
                self.oversold.trouble(channel, LIE_S)
            return struck

        faults.roll = watched  # type: ignore[method-assign]
        self.net.on_stored = self._webhook_answered
        self.net.on_answer = self._answered
        self.net.before_write = self._before_write

    def _now_us(self) -> int:
        return int((START + timedelta(seconds=self.loop.time())).timestamp() * 1_000_000)

    # --- what is told --------------------------------------------------------------------------------------------------

    def _noted(self, happening: Happening) -> None:
        detail = happening.detail
        match happening.what:
            case "order_id_changed":
                self.auditor.renamed("ebay", detail["before"], detail["after"])
            case "order_cancelled" | "cancelled" | "order_paid":
                self.outside_facts += 1
                order_id = str(detail.get("order") or detail.get("order_id"))
                if happening.what != "order_paid":  # what has left of it, untold, left without a sale
                    for sku, pieces in self.shelf.left.get((happening.channel, order_id), Counter()).items():
                        self._edited("shelf", sku, pieces)
                if detail.get("gives_back") or detail.get("restock"):
                    self.auditor.put_back(happening.channel, order_id)
                    self.auditor.strict.loosened(self.shelf.lines_of(happening.channel, order_id))
                if detail.get("by") in ("AMAZON", "BUYER"):
                    self.faults["pending_cancelled"] += 1

    def _sold(self, sale: Sale, buyer: Buyer) -> None:
        self.auditor.customers.bought.append((sale, buyer))
        self._judge(self.auditor.check_strict)
        self.oversold.sold(sale)
        self.wishes.sold(sale)
        if not self.shelf.is_listed(sale):
            self.faults["never_listed"] += 1
            self.auditor.strict.loosened(self.shelf.pieces(sale))  # unless its message comes, nobody can know of it
        if sale.channel == "ebay" and self.options.ebay_order_lag_s > 1:
            self.faults["listed_late"] += 1
        if self.oversold.late:
            self._judge(_breach, *self.oversold.late.pop(0))

    def _delivered(self, channel: str, body: bytes) -> None:
        self.auditor.delivered(channel, body)
        if channel == "shopify" and b'"THROTTLED"' in body:
            self.faults["throttle_in_200"] += 1

    def _died(self, how: str) -> None:
        self.trace.note("died", how)
        self.auditor.close()
        self.oversold.trouble("*", DOWN_S_MAX)

    def _committed(self) -> None:
        self._judge(self.auditor.after_commit)

    def _webhook_answered(self, message_id: str, body: bytes) -> None:
        self._judge(lambda: self.auditor.webhook_answered(message_id, body))

    def _answered(self, channel: str, request: Any, status: int | None) -> None:
        self.auditor.answered(channel, request.operation, status is not None and status < 300)
        if self.emulation.world.faults.injected.get("stale_read", 0) > self.lies:
            self.lies = self.emulation.world.faults.injected["stale_read"]
            self.auditor.strict.misled()
        if status == 429:
            self.paced[channel] += 1
        if status == 404 and request.operation in ("getOrder", "getShopReceipt"):
            self.faults["unreadable_yet"] += 1
        if request.operation == "updateListing" and status is not None and 400 <= status < 500:
            self.shelf.renewal(request.url.rsplit("/", 1)[1], refused=True)
        if request.operation == "patchListingsItem" and not self.options.apply_in_order:
            self.faults["out_of_order"] += 1

    def _edited(self, channel: str, sku: str, pieces: int) -> None:
        self.trace.note("edited", channel, sku)
        if channel == "shelf":
            self.auditor.strict.loosened([sku])
            self.oversold.edited(sku, pieces)
            return
        for part in self.shelf.parts_of_a_hand(channel, sku):
            self.auditor.strict.loosened([part])
            self.oversold.hand(channel, part)

    def _before_write(self, channel: str, request: Any) -> None:
        """A write has been decided on and is on its way: the moment in which a sale or a hand hurts most (F39, F57)."""
        if request.operation == "updateListing" and b"state=active" in request.body:
            self.shelf.renewal(request.url.rsplit("/", 1)[1], refused=False)
        if request.operation in ("CancelOrder", "RefundPieces"):
            for sku in self.shelf.on_shop_order(request.body.decode()):
                self.oversold.came_back(sku)
        if not self.workload.open or channel == "shopify":
            return
        if self.strike("buy_in_race", channel):
            sku = self.rng.choice(self.shelf.skus)
            named = [one for one in self.shelf.skus if one.encode() in request.body or one in request.url]
            self.workload.buy_there(channel, {self.rng.choice(named or [sku]): 0}, pieces=1)
        if self.strike("edit_in_race", channel):
            self.workload.edit_by_hand(channel)

    def _judge(self, check: Callable[..., Any], *what: Any) -> None:
        if self.failure is not None:
            return
        try:
            check(*what)
        except Breach as breach:
            self.failure = breach
            self.trace.note("breach", breach)

    def _logged(self, level: str, event: Mapping[str, Any]) -> None:
        line = " ".join(f"{name}={value}" for name, value in event.items())
        self.logs.append(line)
        self.trace.note("log", level, str(event.get("event")))

    # --- faults --------------------------------------------------------------------------------------------------------

    def struck(self, fault: str) -> None:
        self.faults[fault] += 1
        self.trace.note("fault", fault)

    def strike(self, fault: str, channel: str) -> bool:
        """Whether a fault of the network strikes now."""
        if fault == "all_lost_message":
            self.struck("all_lost")
            return True
        if not self.is_raining:
            return False
        chance = self.options.chances.get(fault, 0.0)
        if not chance or self.rng.random() >= chance:
            return False
        self.struck(fault)
        if fault in ("slow", "late_answer"):
            self.oversold.trouble(channel)
        return True

    def _let_it_rain(self) -> None:
        """From here on faults may strike."""
        self.is_raining = True
        self.engine.is_settled = True
        theirs = self.emulation.world.faults
        for name, chance in self.options.chances.items():
            if name in _THEIRS:
                for channel in _struck_by(name):
                    # When the answer to an Etsy token call is lost, so is the shop, until a person signs in again: that is played by
                    # `tokens_expired` and the network's own losses, not in every run.
                    theirs.set(name, chance, channel, spare="createToken" if channel == "etsy" else "")
        self.engine.fates.memory_chance = self.options.chances.get("memory", 0.0)
        self.engine.fates.sweep(self.options.crash_point, self.options.crash_every, self.options.crash_offset)
        for fault, times in self.options.counts.items():
            if fault == "restored":
                self.restores.plan(times)
                continue
            for _ in range(times):
                at = self.rng.uniform(0.0, self.options.fault_s)
                self.loop.call_later(at, self._happen, fault, context=self.net.outside)

    def _may_restore(self) -> bool:
        """Whether a database may be lost now; it is counted."""
        if not self.is_raining or self.failure is not None:
            return False
        self.struck("restored")
        return True

    def _stop_rain(self) -> None:
        self.is_raining = False
        self.emulation.world.faults.chance.clear()
        self.emulation.world.faults.once.clear()
        self.engine.fates.armed.clear()
        self.engine.fates.memory_chance = 0.0
        self.engine.fates.sweep("", 0, 0)
        self.net.dark_until.clear()
        self.net.slow_until = self.net.lost_until = 0.0

    def _happen(self, fault: str) -> None:
        if not self.is_raining:
            return
        now, rng = self.loop.time(), self.rng
        if fault in _ARMED:
            self.engine.fates.armed.append(fault)
            return
        match fault:
            case "dark":
                channel = rng.choice(CHANNELS)
                dark_s = rng.choice((300.0, 1_800.0, 7_200.0))
                self.net.dark_until[channel] = now + dark_s
                self.oversold.trouble(channel, dark_s + LIE_S)
            case "all_lost":
                self.net.lost_until = now + 3_600.0
                return  # counted by each message
            case "slow_hours":
                self.net.slow_until = now + 900.0
                self.oversold.trouble("*", 1_200.0)
            case "subscription_deleted":
                self.workload.console("shopify", "delete_subscription")
            case "tokens_expired":
                self.workload.console(rng.choice(CHANNELS), "expire_tokens")
            case "clock_set":
                self.engine.clock.skew_s -= rng.uniform(30.0, 299.0)
            case "hand_edits":
                self.workload.edit_by_hand()
                return
            case _:
                return
        self.struck(fault)

    # --- the run -------------------------------------------------------------------------------------------------------

    def run(self) -> Report:
        """Play it. A breach ends it."""
        try:
            with slow_looks(), log_lines(self._logged):
                self.loop.run(self._play())
        finally:
            self.auditor.close()
            shutil.rmtree(self.folder, ignore_errors=True)
        return self.report

    async def _play(self) -> None:
        await self.engine.start()
        await self.engine.connect(lambda line: self.trace.note("said", line.replace(" ", "_")))
        await self.wishes.ask(self.engine)
        self._let_it_rain()
        self.workload.start()
        watch = self.loop.create_task(self._supervise(), context=self.net.outside)
        ends = self.loop.time() + self.options.fault_s
        while self.loop.time() < ends and self.failure is None:
            await asyncio.sleep(min(LOOK_S, max(0.001, ends - self.loop.time())))
            if self.engine.is_up:
                self._judge(self.auditor.look)
        self.workload.stop()
        self._stop_rain()
        if self.failure is None:
            await self._come_to_rest()
        watch.cancel()
        self.report = self._report()

    async def _supervise(self) -> None:
        """What a machine's supervisor and a person do: start it again, sign in again, look at what is parked."""
        looked = self.loop.time()
        while True:
            await asyncio.sleep(SUPERVISE_S)
            if not self.engine.is_up:
                await self._start_again()
            elif self.engine.has_stopped_itself:
                self.engine.die("stopped_itself")
            elif self.loop.time() - looked > PERSON_S:
                looked = self.loop.time()
                await self._person_looks()

    async def _start_again(self) -> None:
        await asyncio.sleep(self.rng.uniform(1.0, self.options.down_s_max) if self.is_raining else 1.0)
        try:
            await self.engine.start()
        except (ConnectionError, Exception) as error:
            self.trace.note("start_failed", type(error).__name__)
            self.engine.die("start_failed")

    async def _person_looks(self) -> None:
        try:
            reserved = await self.engine.person_looks(parked=not self.is_raining)
            self.restores.give_back(self.workload, reserved)
        except Exception as error:
            self.trace.note("person_failed", type(error).__name__)

    async def _come_to_rest(self) -> None:
        began = self.loop.time()
        # At several locations a payment moves numbers, there and back: its copy may be served from another one.
        within_s = REST_S + (self.options.pending_s if self.options.locations > 1 else 0.0)
        reasons: list[str] = ["not looked at"]
        calm = 0
        while self.loop.time() - began < within_s and self.failure is None:
            await asyncio.sleep(REST_LOOK_S)
            if not self.engine.is_up or self.engine.has_stopped_itself:
                continue
            self._judge(self.auditor.look)
            reasons = self.auditor.why_no_rest()
            calm = calm + 1 if not reasons else 0
            if calm == 1:
                self.rest_at = self.loop.time() - began
            if calm == 3:
                break
        if self.failure is not None:
            return
        if reasons:
            self.failure = Breach(reasons[0].split()[0], "; ".join(reasons[:6]))
            return
        await self._stay_at_rest()

    async def _stay_at_rest(self) -> None:
        """I14: nothing that we write makes another write. A listing that is parked may be set going by a person; a sold-out one that had to
        wait for its hour is reopened, once, when it is over."""
        waiting = len(self.auditor.rest.waiting())
        to_come = waiting + self.auditor.rest.parked() * self.shelf.writes_a_fact()
        writes, explained, reads = self.auditor.writes(), self._explained_writes(), self.auditor.reads_by_id()
        await asyncio.sleep(QUIET_S)
        self._judge(self.auditor.look)
        more, allowed = self.auditor.writes() - writes, self._explained_writes() - explained + to_come
        if more > allowed and self.failure is None:
            self.failure = Breach("I14", f"{more} writes after everything was at rest, {allowed} explained")
        for order, times in (self.auditor.reads_by_id() - reads).items():
            if times > READ_AT_REST_MAX and self.failure is None:
                self.failure = Breach("I14", f"order {order} was read {times} times in half an hour of rest")
        await self._rest_again()
        if waiting:
            await asyncio.sleep(RENEWAL_S - QUIET_S)
            await self._rest_again()
        self._judge(check_pace, self.paced, self.engine.deaths + 1, self.net.busiest)
        self._judge(self._check_secrets)

    def _explained_writes(self) -> int:
        """How many writes at the most everything that has come from outside, or that we had cancelled, may have made. A payment or a cancel
        may make one a listing that takes its two SKUs (Etsy writes the other variation along). A channel that had to be signed in to again
        was not heard for a while, which moves offers of every SKU, there and back (3.2)."""
        facts = self.outside_facts + self.auditor.cancels() + len(self.shelf.skus) * self.faults["signed_in_again"]
        return facts * self.shelf.writes_a_fact()

    async def _rest_again(self) -> None:
        """It is at rest still. An hourly reading again may be under way at this very moment."""
        reasons = self.auditor.why_no_rest()
        for _ in range(10):
            if not reasons or self.failure is not None:
                return
            await asyncio.sleep(REST_LOOK_S)
            reasons = self.auditor.why_no_rest()
        if reasons and self.failure is None:
            self.failure = Breach(reasons[0].split()[0], "after rest: " + "; ".join(reasons[:6]))

    def _check_secrets(self) -> None:
        secrets = [
            value
            for credentials in self.emulation.credentials().values()
            for name, value in credentials.items()
            if isinstance(value, str) and len(value) > 8 and ("secret" in name or "token" in name) and "url" not in name
        ]
        people = sorted({buyer.email for buyer in self.workload.crowd._known})
        self.auditor.check_secrets(self.logs, secrets, people)

    def _report(self) -> Report:
        faults = self.faults + Counter(self.emulation.world.faults.injected)
        faults["overtaken"] = self.trace.counts["overtaken"]
        faults["clock_skew"] = int(self.options.clock_skew_s != 0.0)
        faults = +faults
        failure = None
        if self.failure is not None:
            failure = Failure(
                rule=self.failure.rule,
                what=self.failure.what,
                at_s=round(self.loop.time(), 3),
                seed=self.options.seed,
                options=expanded(self.options),
                last=list(self.trace.last),
                levels=self.auditor.picture() if self.engine.database.exists() else [],
            )
        return Report(
            seed=self.options.seed,
            profile=self.options.profile,
            simulated_s=round(self.loop.time(), 3),
            trace_hash=self.trace.digest,
            faults=dict(sorted(faults.items())),
            crashes=self.engine.deaths,
            sales=len(self.emulation.world.sales),
            oversold=dict(sorted(self.oversold.counts.items())),
            checks=dict(sorted(self.auditor.checks.items())),
            rest_s=self.rest_at,
            wishes=self.wishes.came_to(self.auditor) if self.engine.database.exists() else {},
            breach=failure,
        )


def _breach(rule: str, what: str) -> None:
    raise Breach(rule, what)


#: So often an order may be read by its id in half an hour of rest: once in its hour, and for each message of a purchase that is just paid.
READ_AT_REST_MAX = 4

#: What a channel does not do. Shopify answers a mutation of quantities when it is done, and a level's quantities are read together
#: (S0.3); its emulator would draw stale_read for each quantity of a level by itself.
_NEVER = frozenset({("stale_read", "shopify"), ("never_applied", "shopify")})


def _struck_by(fault: str) -> tuple[str, ...]:
    return tuple(channel for channel in CHANNELS if (fault, channel) not in _NEVER)


def _switches(options: Options) -> dict[str, dict[str, Any]]:
    o = options
    return {
        "amazon": {
            "apply_in_order": o.apply_in_order,
            "list_miss_chance": o.list_miss,
            "get_order_lag_s": o.get_order_lag_s,
            "pending_s": o.pending_s,
            "pending_cancel_chance": o.pending_cancel_chance,
        },
        "ebay": {"order_lag_s": o.ebay_order_lag_s},
        "etsy": {"payment_fail_share": o.payment_fail_share},
    }


def play(options: Options, *, write: Callable[[str], None] | None = None) -> Report:
    """Play one run."""
    return World(options, write=write).run()
