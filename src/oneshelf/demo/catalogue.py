"""How a large catalogue is read: time and memory of ours beside the least time that the channel's own limits allow.

In: how many products. Out: a row a channel. Each channel is read by a process of its own, so that its memory is its own, through the
same steps as at connecting, into a fresh SQLite file. The marketplaces are the emulated ones; their budgets refill faster, and ours
is not paced: `bound_s` is what the channel's real budgets make of the same calls.
"""

from __future__ import annotations

import asyncio
import json
import math
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from oneshelf.channels.contract import BudgetSeen, Hub, RateLimit, Secret
from oneshelf.channels.session import Session
from oneshelf.db.sqlite import SqliteStore
from oneshelf.onboarding import hub as hub_load
from oneshelf.onboarding import marketplace
from oneshelf.onboarding.connect import Entered
from oneshelf.runtime.clock import SystemClock
from oneshelf.runtime.logs import configure_logs
from oneshelf.runtime.transport import AioHttp
from oneshelf.runtime.writer import Writer
from oneshelf.tenants.accounts import FIRST_TENANT, add_account, ensure_tenant
from oneshelf.tenants.credentials import HeldCredentials
from oneshelf.wiring import build_channel

from .emulator import Marketplaces, entered
from .stage import CHANNELS

#: The emulated marketplaces' budgets refill this many times faster, and their tokens live this many times shorter.
FACTOR = 200.0


class Read(msgspec.Struct, frozen=True):
    """One channel's catalogue, read. `bound_s`: the least its real budgets allow; None: they don't bound it. Memory in MB."""

    channel: str
    listings: int
    calls: dict[str, int]
    seconds: float
    bound_s: float
    memory_before_mb: float
    memory_peak_mb: float


class _Counting:
    """A limiter that counts what it lets through."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.cost: Counter[str] = Counter()

    async def acquire(self, operation: str, priority: int, cost: float = 1.0) -> None:
        self.calls[operation] += 1
        self.cost[operation] += max(1, round(cost))

    def answered(self, operation: str, now: datetime, seen: list[BudgetSeen]) -> None:
        """Nothing is learned: the emulated budgets are not the real ones."""


def bound_s(limits: Sequence[RateLimit], calls: Counter[str], cost: Counter[str]) -> float:
    """Return the least seconds that these calls take under the channel's limits: what exceeds a burst waits for its refill.

    A day's limit bounds too: what exceeds it waits for another day.
    """
    longest = 0.0
    for limit in limits:
        spent = calls if limit.counts == "calls" else cost
        used = sum(n for name, n in spent.items() if name in limit.operations or "*" in limit.operations)
        if limit.rate_per_s:
            longest = max(longest, (used - limit.burst) / limit.rate_per_s)
        if limit.per_day and used > limit.per_day:
            longest = max(longest, (math.ceil(used / limit.per_day) - 1) * 86_400.0)
    return max(0.0, longest)


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def read_one(typed: Entered) -> Read:
    """Read one channel's whole catalogue into a fresh database."""
    clock = SystemClock()
    channel = build_channel(typed.channel, typed.settings)
    http = AioHttp(clock, allow_private=True)
    held, paces = HeldCredentials(Secret(values=dict(typed.secret))), _Counting()
    session = Session(http, channel.auth, held, paces, clock, budget_seen=channel.budget_seen)
    with tempfile.TemporaryDirectory(prefix="oneshelf-catalogue-") as folder:
        writer = Writer(SqliteStore(str(Path(folder) / "oneshelf.db")), on_broken=lambda stop: None)
        await asyncio.to_thread(writer.start)
        try:
            who = await channel.who(session)

            def store(tx: Any) -> int:
                ensure_tenant(tx, FIRST_TENANT, "Bench", 0)
                return add_account(
                    tx,
                    FIRST_TENANT,
                    channel=typed.channel,
                    external_id=who.external_id,
                    label=who.label,
                    settings=typed.settings,
                    currency=who.currency,
                    now=0,
                )

            account_id = await writer.do(store)
            before, began = _memory_mb(), time.monotonic()
            if isinstance(channel, Hub):
                await hub_load.read_catalogue(FIRST_TENANT, account_id, channel, session, writer, clock, 0.2)
            else:
                await marketplace.read_catalogue(FIRST_TENANT, account_id, channel, session, writer, clock)
            seconds = time.monotonic() - began
            (found,) = await writer.do(
                lambda tx: tx.one("SELECT COUNT(*) FROM outlet WHERE tenant_id = :t", t=FIRST_TENANT) or (0,)
            )
        finally:
            await http.close()
            await asyncio.to_thread(writer.stop)
    return Read(
        channel=typed.channel,
        listings=int(found),
        calls=dict(paces.calls),
        seconds=round(seconds, 1),
        bound_s=round(bound_s(channel.limits, paces.calls, paces.cost), 1),
        memory_before_mb=round(before, 1),
        memory_peak_mb=round(_memory_mb(), 1),
    )


async def run(skus: int, channels: Sequence[str] = CHANNELS, say: Any = lambda line: None) -> list[Read]:
    """Start the marketplaces with `skus` products and read each catalogue in a process of its own."""
    say(f"The marketplaces stock {skus:,} products …")
    marketplaces = await Marketplaces.start(seed=1, factor=FACTOR, products=skus, within_s=60 + skus / 500)
    found = []
    try:
        for channel in channels:
            say(f"Reading {channel} …")
            typed = entered(channel, marketplaces.credentials[channel], marketplaces.urls[channel], 1.0)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", __name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            told, _ = await process.communicate(msgspec.json.encode(typed))
            if process.returncode != 0:
                raise RuntimeError(f"{channel}'s catalogue could not be read; its words are above")
            found.append(msgspec.json.decode(told.splitlines()[-1], type=Read))
    finally:
        await marketplaces.stop()
    return found


def tell(reads: Sequence[Read], out: Console) -> None:
    """Print a row a channel."""
    table = Table()
    for name in ("channel", "listings", "calls", "ours, s", "channel's limits, s", "memory, MB", "of it read, MB"):
        table.add_column(name, justify="left" if name == "channel" else "right")
    for one in reads:
        grown = one.memory_peak_mb - one.memory_before_mb
        cells = (f"{one.listings:,}", f"{sum(one.calls.values()):,}", f"{one.seconds:,.1f}", f"{one.bound_s:,.1f}")
        table.add_row(one.channel, *cells, f"{one.memory_peak_mb:.0f}", f"{grown:.0f}")
    out.print(table)


def main() -> None:
    """Read the account that stands on standard input; write its row as the last line on standard output."""
    configure_logs("error", "auto")
    typed = msgspec.json.decode(sys.stdin.buffer.read(), type=Entered)
    sys.stdout.write(json.dumps(msgspec.to_builtins(asyncio.run(read_one(typed)))))


if __name__ == "__main__":
    main()
