"""A town: the real service with its real connectors among the four emulated marketplaces, in one thread and in virtual time.

In: goods, and which channels are connected. Out: what a merchant and buyers do there, and what each channel shows of it.
Hours pass in seconds, nothing goes wrong by itself, and the same story takes the same way each time. Never: reaches into the engine
otherwise than by its commands and its database, or into a marketplace otherwise than by its own site.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from oneshelf.core.http import Request
from oneshelf.core.instants import to_us
from oneshelf.db.tx import Tx
from oneshelf.web.commands import COMMANDS
from oneshelf_emulator.emulation import Emulation
from oneshelf_emulator.people import Crowd
from oneshelf_emulator.world import Buyer, Product
from oneshelf_simulator import engine, world
from oneshelf_simulator.engine import CHANNELS, SHOP_URL, START, Engine, log_lines, slow_looks
from oneshelf_simulator.loop import SimLoop
from oneshelf_simulator.net import Net, queue_of
from oneshelf_simulator.options import Options
from oneshelf_simulator.trace import Trace
from oneshelf_simulator.world import WorldClock

#: How often the loops look where a story waits for what no bell tells of, seconds; elsewhere as seldom as in the simulator.
OFTEN_S = 20.0
#: What writes a number, by channel.
NUMBER_WRITES = ("patchListingsItem", "bulkUpdatePriceQuantity", "updateListingInventory")
#: Longer than any poll, delay or processing of a channel, seconds; shorter than Amazon's pending of half an hour.
A_WHILE_S = 900.0


class Town:
    """One shop and its marketplaces. `account[channel]` is the account's number, once it is connected."""

    def __init__(
        self, folder: Path, goods: Sequence[Product], switches: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        self.loop = SimLoop(random.Random(1))
        self.calls: list[tuple[str, Request]] = []
        clock = WorldClock(self.loop)
        self.emulation = Emulation(seed=1, clock=clock, products=goods, switches=switches)
        self.net = Net(
            self.loop,
            self.emulation,
            Options(seed=1, profile="calm", fault_s=0.0),
            Trace(self.loop.time),
            lambda fault, channel: False,
        )
        clock.context = self.net.outside
        self.net.on_request = lambda channel, request: self.calls.append((channel, request))
        self.emulation.marketplaces["ebay"].notifications.fetch = self.net.fetch
        self.faults = self.emulation.world.faults
        self.shops = self.emulation.marketplaces
        self.account: dict[str, int] = {}
        self.crowd = Crowd(random.Random(1), returning_chance=0.0)
        self.engine = Engine(
            self.loop,
            self.net,
            queue_of(self.net, self.emulation),
            folder,
            seed=1,
            skew_s=0.0,
            count=lambda fault: None,
            on_death=lambda how: None,
            on_commit=lambda: None,
        )

    # --- time ---------------------------------------------------------------------------------------------------------

    def do(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def wait(self, seconds: float = A_WHILE_S) -> None:
        self.do(asyncio.sleep(seconds))

    def now_us(self) -> int:
        return to_us(self.emulation.clock.now())

    def until(self, there: Callable[[], Any], what: str, within_s: float = 3_600.0) -> Any:
        """Let time pass until `there` gives something true; return it."""
        for _ in range(int(within_s) + 1):
            if found := there():
                return found
            self.wait(1.0)
        raise AssertionError(f"not within {within_s:g} s: {what}")

    # --- the merchant -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self.do(self.engine.start())

    def kill(self) -> None:
        """The process dies at this moment; `start` begins a new life on the same file."""
        self.engine.die("killed")

    def connect(self, *channels: str) -> None:
        """Sign in there as a merchant does, and go live; offers are plain numbers, so that a story follows one."""
        for channel in channels:
            if channel == "etsy":
                self.shops["etsy"].set_webhook(f"{SHOP_URL}/webhooks/etsy")
            self.do(self.engine._sign_in_again(channel))
        for account_id, channel in self.rows("SELECT account_id, channel FROM account"):
            self.account[channel] = account_id

    def command(self, name: str, **payload: Any) -> Any:
        """What the service answers to a command of the command line or of a page."""
        assert self.engine.life is not None and self.engine.life.service is not None
        return self.do(self.engine.do(COMMANDS[name](self.engine.life.service, payload)))

    def console(self, channel: str, action: str, **arguments: Any) -> dict[str, Any]:
        """Do something in the channel's own site."""
        done: dict[str, Any] = self.shops[channel].console(action, **arguments)
        return done

    # --- buyers -------------------------------------------------------------------------------------------------------

    def buy(self, channel: str, buyer: Buyer | None = None, **lines: int) -> str:
        """Somebody buys there now; returns the order's id as the channel tells it."""
        sale = self.shops[channel].buy(buyer or self.crowd.next(), lines)
        assert sale is not None, f"{channel} has sold out of {lines}"
        return str(sale.order_id).rsplit("/", 1)[-1]

    # --- what is there ------------------------------------------------------------------------------------------------

    def shown(self, sku: str) -> dict[str, int]:
        """What buyers see of a SKU at each connected channel."""
        return {channel: int(self.shops[channel].shown(sku)) for channel in CHANNELS if channel in self.account}

    def shows(self, sku: str, pieces: int, *channels: str, within_s: float = 3_600.0) -> None:
        """Let time pass until these channels (none: all that are connected) show this number."""

        def there() -> bool:
            shown = self.shown(sku)
            return all(shown[channel] == pieces for channel in channels or shown)

        try:
            self.until(there, "", within_s)
        except AssertionError:
            raise AssertionError(f"{sku} should be {pieces} on {channels or 'all'}, is {self.shown(sku)}") from None

    def tx(self, step: Callable[[Tx], Any]) -> Any:
        """Ask the service's database something."""
        assert self.engine.life is not None and self.engine.life.service is not None
        return self.do(self.engine.do(self.engine.life.service.writer.do(step)))

    def rows(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self.tx(lambda tx: [tuple(row) for row in tx.all(sql, **values)])
        return found

    def value(self, sql: str, **values: Any) -> Any:
        return self.rows(sql, **values)[0][0]

    def tasks(self, kind: str | None = None) -> list[tuple[str, str, str]]:
        """Kind, subject, what of every open task."""
        found = self.rows("SELECT kind, subject, what FROM task WHERE closed_at IS NULL ORDER BY task_no")
        return [one for one in found if kind in (None, one[0])]

    def level(self, sku: str) -> tuple[int, int, int, int]:
        """On hand, committed, reserved, unavailable over all locations."""
        sums = "SUM(on_hand), SUM(committed), SUM(reserved), SUM(unavailable)"
        (found,) = self.rows(f"SELECT {sums} FROM stock_level WHERE sku = :s", s=sku)
        return tuple(found)  # type: ignore[return-value]

    def copies(self) -> list[dict[str, Any]]:
        """The orders that we made in the shop."""
        return [order for order in self.shops["shopify"].orders() if order["imported"]]

    def asked(self, channel: str, operation: str = "") -> list[Request]:
        """The requests made to a channel since the start."""
        return [request for name, request in self.calls if name == channel and operation in ("", request.operation)]

    def writes(self, channel: str, *operations: str) -> list[Request]:
        """The requests that changed something there, of these operations or of all."""
        return [one for one in self.asked(channel) if one.writes and (not operations or one.operation in operations)]

    def true(self) -> None:
        """`oneshelf check`: the books are whole, and every channel's own word agrees with them."""
        assert self.command("check")["breaches"] == []


def sent(request: Request) -> Any:
    """The JSON that a request carried."""
    return json.loads(request.body)


def thing(sku: str, pieces: int, price_minor: int = 1_200, **more: Any) -> Product:
    return Product(sku, more.pop("title", sku.title()), price_minor, more.pop("currency", "USD"), pieces, **more)


@contextmanager
def town(
    folder: Path,
    *goods: Product,
    channels: Sequence[str] = CHANNELS,
    switches: Mapping[str, Mapping[str, Any]] | None = None,
    adaptive: bool = False,
    looks_s: float = engine.LOOK_EVERY_S,
    start: datetime = START,
    before: Callable[[Town], Any] = lambda there: None,
) -> Iterator[Town]:
    """A town with these goods, these channels connected and live. `start`: the first moment. `before`: what was done at the channels
    before that."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(engine, "LOOK_EVERY_S", looks_s)
        for module in (engine, world):
            patch.setattr(module, "START", start)
        stack.enter_context(slow_looks())
        stack.enter_context(log_lines(lambda level, event: None))
        there = Town(folder, goods, switches)
        stack.callback(there.loop.close)
        stack.callback(there.loop._bury)
        before(there)
        there.start()
        there.connect(*channels)
        if not adaptive:
            there.do(there.engine.offer_plainly())
        there.wait(60.0)
        yield there
