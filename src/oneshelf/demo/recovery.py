"""How soon a service decides again that was ended with kill -9, with an inbox of a million messages, beside the same with a small one.

In: how many messages. Out: seconds from the start of the process to its first decision, with and without them. The service is a process of
its own against emulated marketplaces; what it is to decide was bought while it lay dead, and is found by its polls.
Never: measures what a marketplace's delay costs: an order counts from the start of the process, and the emulated ones answer at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import msgspec
from rich.console import Console

from oneshelf.core.errors import Stop
from oneshelf.core.instants import SECOND, to_us
from oneshelf.db.store import Store, store_for, transaction
from oneshelf.db.tx import next_values
from oneshelf.runtime.clock import SystemClock
from oneshelf.settings import PREFIX
from oneshelf.tenants.accounts import FIRST_TENANT

from .emulator import Marketplaces
from .stage import CHANNELS, Stage, forget, set_stage

#: Shoppers before each kill, a second, and for how long.
ORDERS_PER_S, SELL_S = 3.0, 3.0
#: So long at most from a start to the first decision.
DECIDES_WITHIN_S = 120.0
#: Copies of messages that one transaction writes.
AT_ONCE = 5_000
LOOK_EVERY_S = 0.05


class Result(msgspec.Struct):
    """Seconds from the start of the process to its first decision: `figure` with `messages` in the inbox, `reference` with `few`.
    `listening`: of the figure, until it answers webhooks. `ratio` = figure ÷ reference. `bytes`: of the database file."""

    figure: float
    reference: float
    ratio: float
    listening: float
    reference_listening: float
    messages: int
    few: int
    bytes: int
    lives: int


class Life(msgspec.Struct):
    """One start: seconds until it listened, and until it decided."""

    listening: float
    decided: float


async def run(messages: int, lives: int, say: Callable[[str], None]) -> Result:
    """Measure in a temporary folder; each figure is the middle one of so many lives. Raises Stop when the service does not start, or
    decides nothing."""
    folder = Path(tempfile.mkdtemp(prefix="oneshelf-recovery-"))
    say("Starting four marketplaces and a service…")
    stage = await set_stage(seed=7, folder=folder, products=40)
    try:
        await stage.connect(lambda line: None)
        await stage.close()
        few, small = await _live(stage, lives, say)
        say(f"Copying what the inbox holds until it holds {messages:,} messages…")
        await asyncio.to_thread(_fill, folder, messages)
        many, large = await _live(stage, lives, say)
        return Result(
            figure=large.decided,
            reference=small.decided,
            ratio=round(large.decided / small.decided, 2),
            listening=large.listening,
            reference_listening=small.listening,
            messages=many,
            few=few,
            bytes=_file(folder).stat().st_size,
            lives=lives,
        )
    finally:
        await stage.strike()
        forget(folder)


async def _live(stage: Stage, times: int, say: Callable[[str], None]) -> tuple[int, Life]:
    """Start, sell, kill, again and again. Return how many messages there were at the last start, and the middle life."""
    lives = []
    await _buy(stage.marketplaces)
    process, _ = await _start(stage)
    try:
        for _ in range(times):
            await stage.marketplaces.ask(
                "POST", "/shoppers", {"mode": "steady", "orders_per_s": ORDERS_PER_S, "seconds": SELL_S, "seed": 7}
            )
            await asyncio.sleep(SELL_S)
            process.kill()
            await process.wait()
            await _buy(stage.marketplaces)
            process, life = await _start(stage)
            lives.append(life)
            say(f"Listening after {life.listening:.2f} s, first decision after {life.decided:.2f} s.")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    store = store_for(_url(stage.service.settings.data_dir))
    with store.reader() as tx:
        count = tx.one("SELECT COUNT(*) FROM inbox WHERE tenant_id = :t", t=FIRST_TENANT)
    assert count is not None
    return count[0], Life(
        round(median(one.listening for one in lives), 2), round(median(one.decided for one in lives), 2)
    )


async def _buy(marketplaces: Marketplaces) -> None:
    """One purchase on each channel, of whatever is on sale there."""
    state = await marketplaces.ask("GET", "/state")
    for channel in CHANNELS:
        stock = state["marketplaces"][channel]["stock"]
        sku = max(stock, key=lambda one: (stock[one], one))
        await marketplaces.ask("POST", "/buy", {"channel": channel, "lines": {sku: 1}})


async def _start(stage: Stage) -> tuple[asyncio.subprocess.Process, Life]:
    """Start a service and wait for its first decision. Raises Stop when it ends, or decides nothing in time."""
    settings, clock = stage.service.settings, SystemClock()
    named = settings.model_dump(mode="json", exclude_defaults=True) | {"port": urlsplit(stage.url).port}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment |= {f"{PREFIX}{name}".upper(): _as_text(value) for name, value in named.items()}
    began = to_us(clock.now())
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "oneshelf.cli", "serve", "--json"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(DECIDES_WITHIN_S):
            line = await process.stdout.readline()
            if not line:
                raise Stop(f"The service ended at its start, exit code {await process.wait()}.")
            listening = to_us(clock.now())
            decided = await _first_decision(store_for(_url(settings.data_dir)), began)
    except BaseException as problem:
        if process.returncode is None:
            process.kill()
            await process.wait()
        if isinstance(problem, TimeoutError):
            raise Stop(f"The service decided nothing within {DECIDES_WITHIN_S:.0f} s of its start.") from problem
        raise
    return process, Life((listening - began) / SECOND, (decided - began) / SECOND)


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _file(folder: Path) -> Path:
    return folder / "oneshelf.db"


def _url(folder: Path) -> str:
    return f"sqlite:///{_file(folder)}"


async def _first_decision(store: Store, began: int) -> int:
    """When the first order since then was decided."""

    def look() -> int | None:
        with store.reader() as tx:
            row = tx.one(
                "SELECT MIN(decided_at) FROM orders WHERE tenant_id = :t AND decided_at >= :b", t=FIRST_TENANT, b=began
            )
        return None if row is None else row[0]

    while True:
        if (decided := await asyncio.to_thread(look)) is not None:
            return decided
        await asyncio.sleep(LOOK_EVERY_S)


def _fill(folder: Path, messages: int) -> None:
    """Copies of the messages that are there, handled like them, each under a key and a number of its own."""
    store = store_for(_url(folder))
    store.open()
    try:
        with transaction(store) as tx:
            kept = tx.all(
                """SELECT account_id, topic, delivery_key, source, headers, body, received_at, state, note, handled_at
                   FROM inbox WHERE tenant_id = :t AND state = 'DONE' ORDER BY seq""",
                t=FIRST_TENANT,
            )
        for first in range(0, messages, AT_ONCE):
            with transaction(store) as tx:
                count = min(AT_ONCE, messages - first)
                rows = []
                for n, seq in enumerate(next_values(tx, FIRST_TENANT, "inbox", count), first):
                    account_id, topic, key, *rest = kept[n % len(kept)]
                    rows.append((FIRST_TENANT, seq, account_id, topic, f"{key}:{n}", *rest))
                tx.many(
                    """INSERT INTO inbox (tenant_id, seq, account_id, topic, delivery_key, source, headers, body, received_at, state, note,
                       handled_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                    rows,
                )
    finally:
        store.close()


def tell(result: Result, out: Console) -> None:
    """The result for people."""
    out.print(
        f"First decision {result.figure:.2f} s after the start of the process with {result.messages:,} messages in the inbox "
        f"({result.bytes / 1e9:.1f} GB); {result.reference:.2f} s with {result.few:,}. Ratio {result.ratio:.2f}. "
        f"Listening after {result.listening:.2f} s and {result.reference_listening:.2f} s.",
        highlight=False,
    )
