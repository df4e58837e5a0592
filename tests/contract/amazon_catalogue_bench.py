"""Time and memory of reading Amazon's whole catalogue by the report: `python tests/contract/amazon_catalogue_bench.py [listings]`.

All listings were created in one instant, so that the search does not reach them. The emulated Amazon is a process of its own, its budgets
refill 200 times faster; no database stores what is read, so that time and memory are the connector's and the transport's. Prints the calls,
the least seconds that Amazon's own limits allow for them, and the memory before, while the SKUs' names are held, and at its peak.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime

from oneshelf.channels.contract import BudgetSeen, Secret
from oneshelf.channels.session import Session
from oneshelf.demo.catalogue import bound_s
from oneshelf.demo.emulator import entered
from oneshelf.runtime.clock import SystemClock
from oneshelf.runtime.transport import AioHttp
from oneshelf.tenants.credentials import HeldCredentials
from oneshelf.wiring import build_channel
from oneshelf_emulator.catalogue import demo_products
from oneshelf_emulator.clock import Clock
from oneshelf_emulator.emulation import Emulation
from oneshelf_emulator.server import Addresses, run

FACTOR = 200.0


class Counting:
    """A limiter that counts what it lets through."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    async def acquire(self, operation: str, priority: int, cost: float = 1.0) -> None:
        self.calls[operation] += 1

    def answered(self, operation: str, now: datetime, seen: list[BudgetSeen]) -> None:
        """Nothing is learned."""


def memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def read(hello: dict) -> None:  # type: ignore[type-arg]
    clock = SystemClock()
    hello["credentials"]["amazon"]["sqs"] = {"queue_url": "", "queue_arn": "", "region": "", "endpoint_url": "",
                                             "access_key_id": "", "secret_access_key": ""}  # fmt: skip
    typed = entered("amazon", hello["credentials"]["amazon"], hello["amazon"], 1.0)
    channel = build_channel("amazon", typed.settings)
    http, paces = AioHttp(clock, allow_private=True), Counting()
    held = HeldCredentials(Secret(values=dict(typed.secret)))
    session = Session(http, channel.auth, held, paces, clock, budget_seen=channel.budget_seen)
    before, began, waited = memory_mb(), time.monotonic(), 0.0
    skus: set[int] = set()
    cursor, names_held = None, 0.0
    while True:
        page = await channel.catalogue(session, cursor)
        skus |= {hash(one.outlet_external_id) for one in page.listings}
        cursor = page.cursor
        if cursor is None:
            break
        if not names_held and cursor.get("report", {}).get("row"):
            names_held = memory_mb()
        waited += page.again_in_s
        await asyncio.sleep(page.again_in_s)
    seconds = time.monotonic() - began
    bound = bound_s(channel.limits, paces.calls, paces.calls)
    await http.close()
    print(f"{len(skus):,} listings, calls {dict(paces.calls)}")
    print(
        f"{seconds:.0f} s, of it {waited:.0f} s waiting for the report; Amazon's limits allow {bound:.0f} s at the least"
    )
    print(f"memory {before:.0f} MiB before, {names_held:.0f} with the report's names, {memory_mb():.0f} at its peak")


def main() -> None:
    count = sys.argv[1] if len(sys.argv) > 1 else "100000"
    server = subprocess.Popen([sys.executable, __file__, "serve", count], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        asyncio.run(read(json.loads(server.stdout.readline())))
    finally:
        server.terminate()


def serve(count: int) -> None:
    switches = {"amazon": {"created_apart_s": 0.0}}
    emulation = Emulation(
        clock=Clock(FACTOR), products=demo_products(count), channels=("amazon",), switches=switches
    )  # fmt: skip
    run(emulation, Addresses(with_queue=False), as_json=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]))
    else:
        main()
