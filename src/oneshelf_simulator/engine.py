"""The product inside the simulator: the real service with its real loops, in a life of its own that can end between any two steps.

In: the world's clock, network and a folder. Out: a running service. Owns: its lives, one after the other, on the same file.
Never: takes a way into the engine that a merchant, a channel or the machine has not.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from starlette.applications import Starlette
from starlette.types import ASGIApp

from oneshelf.core.instants import to_us
from oneshelf.customers import worker as customers
from oneshelf.db.backup import back_up
from oneshelf.db.tx import Tx
from oneshelf.demo.emulator import entered
from oneshelf.imports import worker as imports_worker
from oneshelf.intake import worker as intake_worker
from oneshelf.intake.webhook import routes
from oneshelf.onboarding import follow_loop
from oneshelf.onboarding.bring_up import bring_up
from oneshelf.onboarding.marketplace import Preview
from oneshelf.publish import tick_loop
from oneshelf.publish import worker as publish_worker
from oneshelf.publish.recovery import retry
from oneshelf.reconcile import worker as reconcile_worker
from oneshelf.reconcile.sweep import sweep
from oneshelf.settings import Settings
from oneshelf.shipping import worker as shipping_worker
from oneshelf.tenants import credentials
from oneshelf.watch import alert_sending
from oneshelf.web.commands import COMMANDS
from oneshelf.wiring import Machine, Service, build_channel
from oneshelf.wiring import loops as account_loops
from oneshelf.wiring import service as wiring

from .loop import OWNER, SimLoop
from .net import Net, Queue
from .options import POLL_S
from .store import InlineWriter, SimStore

CHANNELS = ("shopify", "amazon", "ebay", "etsy")
SHOP_URL = "http://oneshelf.test"
#: How often the loops look when no bell rang and nothing is due, seconds. In production 0.5 to 5: there are hundreds of such looks a
#: simulated minute then, and a bell that somebody forgot to ring would not be noticed.
LOOK_EVERY_S = 300.0
#: Each outlet is read again in this time, seconds; in production six hours. Of a number typed at a channel there is no other news,
#: and the rest phase is half an hour: in it, it has to be found, its feed waited for (S9.3), and a number told and seen.
SWEEP_EVERY_S = 900.0
START = datetime(2026, 11, 23, 6, 0, 0, tzinfo=UTC)


class EngineClock:
    """The engine's own clock: the world's, wrong by `skew_s`. Its monotonic seconds are right, as on a real machine."""

    def __init__(self, loop: SimLoop, skew_s: float) -> None:
        self._loop = loop
        self.skew_s = skew_s

    def now(self) -> datetime:
        return START + timedelta(seconds=self._loop.time() + self.skew_s)

    def monotonic(self) -> float:
        return self._loop.time()


class Life:
    """One life of the engine: from a start to a crash or a stop."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.context = contextvars.copy_context()
        self.context.run(OWNER.set, number)
        self.waiting: set[asyncio.Future[Any]] = set()
        self.app: ASGIApp = Starlette()
        self.store: SimStore | None = None
        self.writer: InlineWriter | None = None
        self.service: Service | None = None
        self.tasks: list[asyncio.Task[Any]] = []


#: Which kind of a sweep's points stands at which moment of the store, and what strikes there.
_SWEPT = {"commit": ("before", "crash_before_commit"), "committed": ("after", "crash_after_commit")}


class Fates:
    """What strikes the present life: armed faults, each once, at the next moment where it can."""

    POINTS = {
        "begin": ("locked",),
        "statement": ("crash_in_statement",),
        "commit": ("crash_before_commit", "disk_full", "io_error"),
        "committed": ("crash_after_commit",),
    }

    def __init__(self, engine: Engine, rng: random.Random) -> None:
        self._engine = engine
        self._rng = rng
        self.armed: list[str] = []
        self.memory_chance = 0.0
        #: The sweep: which kind of point, every how many-th of them.
        self.sweep_point = ""
        self.sweep_every = 0
        self._passed = 0

    def sweep(self, point: str, every: int, offset: int) -> None:
        """Die at every `every`-th point of a kind from here on; 0: no more."""
        self.sweep_point, self.sweep_every, self._passed = point, every, offset

    def _sweeps(self, point: str) -> bool:
        if not self.sweep_every or point != self.sweep_point:
            return False
        self._passed += 1
        return self._passed % self.sweep_every == 0

    def at(self, point: str) -> str | None:
        if not self._engine.is_settled:
            return None
        swept = _SWEPT.get(point)
        if swept is not None and self._sweeps(swept[0]):
            self._engine.count(swept[1])
            return swept[1]
        for fault in self.POINTS.get(point, ()):
            if fault in self.armed and self._rng.random() < 0.3:
                self.armed.remove(fault)
                self._engine.count(fault)
                return fault
        if point == "statement" and self.memory_chance and self._rng.random() < self.memory_chance:
            self._engine.count("memory")
            return "memory"
        return None

    def strikes_await(self, owner: int) -> bool:
        if self.sweep_every and self._engine.is_settled and self._sweeps("await"):
            self._engine.count("crash_at_await")
            self._engine.die("crash_at_await")
            return True
        return self._strikes("crash_at_await", 0.05)

    def strikes_answer(self) -> bool:
        return self._strikes("crash_at_answer", 0.5)

    def _strikes(self, fault: str, chance: float) -> bool:
        if fault not in self.armed or not self._engine.is_settled or self._rng.random() >= chance:
            return False
        self.armed.remove(fault)
        self._engine.count(fault)
        self._engine.die(fault)
        return True

    def committed(self) -> None:
        self._engine.on_commit()

    def pick(self, most: int) -> int:
        return self._rng.randint(1, most)

    def die(self, how: str) -> None:
        self._engine.die(how)


class Engine:
    """The lives of one installation. `count(fault)`: told of each fault that struck."""

    def __init__(
        self,
        loop: SimLoop,
        net: Net,
        queue: Queue,
        folder: Path,
        *,
        seed: int,
        skew_s: float,
        count: Callable[[str], None],
        on_death: Callable[[str], None],
        on_commit: Callable[[], None],
    ) -> None:
        self.loop = loop
        self.net = net
        self.queue = queue
        self.count = count
        self.on_death = on_death
        self.on_commit = on_commit
        self.clock = EngineClock(loop, skew_s)
        self.settings = Settings(
            data_dir=folder,
            public_url=SHOP_URL,
            allow_private_endpoints=True,
            log_level="error",
            poll_shopify_s=POLL_S["shopify"],
            poll_amazon_s=POLL_S["amazon"],
            poll_ebay_s=POLL_S["ebay"],
            poll_etsy_s=POLL_S["etsy"],
        )
        self.rng = random.Random(f"{seed}:engine")
        self.fates = Fates(self, self.rng)
        self.life: Life | None = None
        self.lives = 0
        #: Faults of the machine strike only an engine that has come up: a first start is tested elsewhere.
        self.is_settled = False
        self.deaths = 0
        self.to_sign_in: list[str] = []
        loop.strikes = self.fates.strikes_await
        net.kill_at_answer = self.fates.strikes_answer

    @property
    def database(self) -> Path:
        return self.settings.data_dir / "oneshelf.db"

    async def start(self) -> None:
        """Begin a new life on the same file."""
        self.lives += 1
        life = self.life = Life(self.lives)
        self.net.life = life
        await self.net.inside(life, self._begin(life))

    async def _begin(self, life: Life) -> None:
        def store(_: str) -> SimStore:
            life.store = SimStore(str(self.database), self.fates)
            return life.store

        def writer(kept: Any, **more: Any) -> InlineWriter:
            life.writer = InlineWriter(kept, delay=self.rng, **more)
            return life.writer

        machine = Machine(
            store=store,
            writer=writer,
            http=lambda clock, **_: self.net.http(life, clock.now),
            queue_client=lambda *_: self.queue,
        )
        service = life.service = Service(self.settings, clock=self.clock, machine=machine)
        await service.start()
        life.app = Starlette(
            routes=routes(
                service,
                service.writer,
                service.clock,
                service.counts,
                body_max=self.settings.webhook_body_bytes_max,
                public_url=SHOP_URL,
                on_news=service.news.ring,
            )
        )

    async def connect(self, say: Callable[[str], None]) -> None:
        """Connect the four channels by the way a merchant goes."""
        for channel in CHANNELS:
            if channel == "etsy":
                self.net.emulation.marketplaces["etsy"].set_webhook(f"{SHOP_URL}/webhooks/etsy")
            await self._sign_in_again(channel, say)

    async def offer_plainly(self) -> None:
        """The merchant switches adaptive offers off for every listing."""
        assert self.life is not None and self.life.service is not None
        await self.do(COMMANDS["rule"](self.life.service, {"adaptive": False}))

    async def make_strict(self, skus: Iterable[str]) -> None:
        """The merchant says that these must never be sold twice."""
        assert self.life is not None and self.life.service is not None
        for sku in skus:
            await self.do(COMMANDS["strict"](self.life.service, {"sku": sku, "strict": True}))

    async def link(self, channel: str, listing: str, parts: Mapping[str, int]) -> None:
        """The merchant says what one of a marketplace's listings takes from the shelf."""
        assert self.life is not None and self.life.service is not None
        service = self.life.service
        outlet_id = await self.do(service.writer.do(lambda tx: _outlet_of(tx, channel, listing)))
        await self.do(COMMANDS["link"](service, {"outlet_id": outlet_id, "parts": dict(parts)}))

    async def bundle(self, sku: str, parts: Mapping[str, int]) -> None:
        """The merchant defines a SKU that is made of others."""
        assert self.life is not None and self.life.service is not None
        await self.do(COMMANDS["bundle"](self.life.service, {"sku": sku, "parts": dict(parts)}))

    async def announce(self, skus: Iterable[str], starts_s: float, ends_s: float, factor: float) -> None:
        """The merchant says when these will sell how much faster; seconds of the world's clock."""
        assert self.life is not None and self.life.service is not None
        starts_at, ends_at = (to_us(START + timedelta(seconds=seconds)) for seconds in (starts_s, ends_s))
        wanted = {"name": "Rush", "skus": list(skus), "starts_at": starts_at, "ends_at": ends_at, "factor": factor}
        await self.do(COMMANDS["announce"](self.life.service, wanted))

    async def route_orders(self, *, split: bool) -> None:
        """The merchant has us say from which location an order leaves."""
        assert self.life is not None and self.life.service is not None
        await self.do(COMMANDS["routing"](self.life.service, {"router": "oneshelf", "split": split}))

    async def serve(self, channel: str, locations: Iterable[str]) -> None:
        """The merchant says from which of his locations a marketplace is served."""
        assert self.life is not None and self.life.service is not None
        service, shop = self.life.service, self.net.emulation.marketplaces["shopify"]
        ids = [shop.location(name).gid for name in locations]
        for account_id, one in sorted(service.running.items()):
            if one.row.channel == channel:
                done = await self.do(COMMANDS["locations"](service, {"account_id": account_id, "locations": ids}))
                if done["waits"]:
                    await self.do(COMMANDS["guard_decide"](service, {"guard": done["waits"], "approve": True}))

    async def leave_short(self) -> None:
        """The merchant leaves it to us to cancel what is short, at every account, whatever it cost."""
        assert self.life is not None and self.life.service is not None
        for account_id in sorted(self.life.service.running):
            wanted = {"account_id": account_id, "short": "auto", "value_max_minor": 10**9}
            await self.do(COMMANDS["leave"](self.life.service, wanted))

    async def _sign_in_again(self, channel: str, say: Callable[[str], None] = lambda line: None) -> None:
        assert self.life is not None and self.life.service is not None
        typed = entered(channel, self.net.emulation.marketplaces[channel].credentials(), f"http://{channel}.test", 1.0)
        work = bring_up(
            self.life.service,
            typed,
            build=build_channel,
            callback_url=None if channel == "amazon" else f"{SHOP_URL}/webhooks/{channel}",
            say=say,
            accept=_accept,
            look_every_s=1.0,
        )
        await self.do(work, timeout_s=900.0)

    @property
    def is_up(self) -> bool:
        return self.life is not None and self.life.service is not None

    @property
    def has_stopped_itself(self) -> bool:
        """A broken database, or a loop that ended: the service says that it is to be started again."""
        life = self.life
        return life is not None and life.service is not None and life.service.stopping.is_set()

    def die(self, how: str) -> None:
        """This life ends at this moment: nothing of it runs again, the file is as its last commit left it."""
        life = self.life
        if life is None:
            return
        self.deaths += 1
        self.loop.dead.add(life.number)
        if life.writer is not None:
            life.writer.dead = True
        if life.store is not None and not life.store.dead:
            life.store.abandon()
        self.life = self.net.life = None
        for future in list(life.waiting):
            if not future.done():
                future.set_exception(ConnectionError("the engine died"))
        self.on_death(how)

    def back_up(self) -> Path:
        """Make a copy of the database, as a merchant does it every night, whether the engine runs or not."""
        copy = self.settings.data_dir / f"backup-{self.loop.time():.6f}.db"
        back_up(self.settings.database, copy, to_us(self.clock.now()))
        return copy

    def put_back(self, copy: Path) -> None:
        """End this life and put a copy in the place of the database; whoever supervises starts it again."""
        self.die("restored")
        for name in ("", "-wal", "-shm"):
            self.database.with_name(self.database.name + name).unlink(missing_ok=True)
        copy.rename(self.database)

    async def person_looks(self, *, parked: bool) -> list[Reserved]:
        """A person signs in again where that is asked for, and (`parked`) tells parked listings to try again. Returns what is asked of her in
        the shop."""
        assert self.life is not None and self.life.service is not None
        service = self.life.service
        asked = await self.do(service.writer.do(_what_is_asked))
        for account_id in asked.accounts:
            channel = service.running[account_id].row.channel
            if channel not in self.to_sign_in:
                self.to_sign_in.append(channel)
        for channel in list(self.to_sign_in):  # one that failed half-way is begun again the next time
            self.count("signed_in_again")
            await self._sign_in_again(channel)
            self.to_sign_in.remove(channel)
        if parked and asked.parked:
            now = to_us(self.clock.now())
            await self.do(service.writer.do(lambda tx: retry(tx, service.tenant_id, asked.parked, now, "merchant")))
            service.wake_all()
        return asked.reserved

    async def do(self, work: Any, timeout_s: float = 60.0) -> Any:
        """Do something inside the engine, as a command of a person. Raises ConnectionError if it is down or dies meanwhile."""
        if self.life is None:
            raise ConnectionError("the engine is down")
        return await self.net.inside(self.life, work, timeout_s)


async def _accept(_: Preview) -> bool:
    return True


class Reserved(NamedTuple):
    """A task that asks for reserved pieces to be given back in the shop, if nobody there reserved them."""

    task_no: int
    sku: str
    pieces_at: dict[str, int]


def _outlet_of(tx: Tx, channel: str, listing: str) -> int:
    row = tx.one(
        "SELECT o.outlet_id FROM outlet o JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id "
        "WHERE a.channel = :c AND o.sku_text = :s",
        c=channel,
        s=listing,
    )
    assert row is not None, f"{channel} has no listing {listing}"
    return int(row[0])


class Asked(NamedTuple):
    """What waits for a person."""

    accounts: list[int]
    parked: list[int]
    reserved: list[Reserved]


_PIECES_AT = re.compile(r"(\d+) at ([^,.]+)")


def _what_is_asked(tx: Tx) -> Asked:
    accounts = tx.all("SELECT DISTINCT subject FROM task WHERE kind = 'connect_again' AND closed_at IS NULL ORDER BY 1")
    parked = tx.all("SELECT outlet_id FROM slot WHERE state = 'PARKED' ORDER BY 1")
    reserved = tx.all(
        "SELECT task_no, subject, why FROM task WHERE kind = 'reserved_since_backup' AND closed_at IS NULL ORDER BY 1"
    )
    return Asked(
        [int(subject) for (subject,) in accounts],
        [outlet_id for (outlet_id,) in parked],
        # As she reads it: "…: 2 at Main warehouse, 1 at Warehouse 2. …".
        [
            Reserved(number, sku, {place: int(pieces) for pieces, place in _PIECES_AT.findall(why)})
            for number, sku, why in reserved
        ],
    )


#: Where the product keeps how often its loops look.
_LOOKERS = (
    (imports_worker, "LOOK_EVERY_S"),
    (intake_worker, "LOOK_EVERY_S"),
    (publish_worker, "LOOK_EVERY_S"),
    (tick_loop, "LOOK_EVERY_S"),
    (reconcile_worker, "LOOK_EVERY_S"),
    (shipping_worker, "LOOK_EVERY_S"),
    (follow_loop, "LOOK_EVERY_S"),
    (wiring, "SHORT_LOOK_S"),
    (account_loops, "REREAD_LOOK_S"),
    (customers, "LOOK_EVERY_S"),
    (alert_sending, "LOOK_EVERY_S"),
    (credentials, "HELD_S"),
)


@contextmanager
def slow_looks() -> Iterator[None]:
    """Let the loops look seldom when nothing rang, and the sweep go round often."""
    before = [getattr(module, name) for module, name in _LOOKERS]
    assert sweep.__kwdefaults__ is not None
    usual = dict(sweep.__kwdefaults__)
    sweep.__kwdefaults__.update(every_s=SWEEP_EVERY_S)
    for module, name in _LOOKERS:
        setattr(module, name, LOOK_EVERY_S)
    try:
        yield
    finally:
        for (module, name), seconds in zip(_LOOKERS, before, strict=True):
            setattr(module, name, seconds)
        sweep.__kwdefaults__.update(usual)


@contextmanager
def log_lines(take: Callable[[str, Mapping[str, Any]], None]) -> Iterator[None]:
    """Hand the product's log lines to `take(level, event)` in place of writing them."""

    def keep(_logger: Any, method: str, event: MutableMapping[str, Any]) -> Any:
        take(method, event)
        raise structlog.DropEvent

    before = structlog.get_config()
    logging.disable(logging.CRITICAL)
    structlog.configure(
        processors=[structlog.processors.format_exc_info, keep],
        wrapper_class=structlog.BoundLogger,
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        structlog.configure(**before)
