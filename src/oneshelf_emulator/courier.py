"""Carries webhooks to their receivers: signed bytes, at least once, unordered, with the marketplace's retry ladder.

In: parcels from the marketplaces.
Out: POSTs by `deliver`, or by the parcel's own `carry` (a queue message).
Owns: what is under way, and the faults webhook_drop, webhook_double, webhook_delay and webhook_reorder.
Never: looks into a body.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .clock import Clock
from .faults import Faults

#: How late a parcel struck by webhook_delay comes, seconds (shortened by the clock factor).
LATE_S = (30.0, 900.0)
#: Longest wait of a parcel struck by webhook_reorder for another one to overtake it, seconds (shortened).
OVERTAKEN_S_MAX = 60.0
#: How far apart the copies of a doubled parcel may lie, seconds (shortened).
DOUBLED_S_MAX = 20.0


@dataclass(frozen=True)
class Parcel:
    """One message to deliver. `ladder` is the wait in seconds before each further try; `timeout_s` of one try.

    `carry`, if given, delivers this parcel in place of `Courier.deliver` (Amazon's queue). It returns a status too.
    """

    channel: str
    topic: str
    url: str
    headers: dict[str, str]
    body: bytes
    ladder: Sequence[float] = ()
    timeout_s: float = 5.0
    on_dead: Callable[[], None] | None = None  # every try failed
    on_delivered: Callable[[], None] | None = None
    carry: Deliver | None = None


class Deliver(Protocol):
    """POSTs a body and returns the status, or raises on no answer. HTTP in production, an ASGI app in process."""

    def __call__(self, url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> Awaitable[int]: ...


class Courier:
    """Sends parcels; faults webhook_drop, webhook_double, webhook_delay and webhook_reorder live here.

    `deliver` is set by the door (HTTP or in process) before the first parcel; without it every try fails.
    A try is delivered by any 2xx status. A parcel that was dropped calls neither `on_delivered` nor `on_dead`.
    """

    deliver: Deliver | None = None

    def __init__(self, clock: Clock, faults: Faults, rng: random.Random | None = None) -> None:
        self.clock = clock
        self.faults = faults
        self.rng = rng or random.Random("courier")
        self.in_flight = 0  # parcels sent and neither delivered nor dead (waiting ones included)
        self._held: dict[str, list[tuple[Parcel, float]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    def send(self, parcel: Parcel, delay_s: float = 0.0) -> None:
        """Queue one parcel; its first try is `delay_s` (real seconds, shortened by the clock factor) from now."""
        strikes = {name: self._strikes(name, parcel) for name in ("drop", "double", "delay", "reorder")}
        if strikes["drop"]:
            return
        if strikes["delay"]:
            delay_s += self.rng.uniform(*LATE_S)
        if strikes["double"]:
            for _ in range(self.rng.choice((1, 1, 2))):
                self._start(parcel, delay_s + self.rng.uniform(0.0, DOUBLED_S_MAX))
        if strikes["reorder"]:
            self._hold(parcel, delay_s)
            return
        self._start(parcel, delay_s)
        for held, held_delay_s in self._held.pop(parcel.channel, []):
            self.in_flight -= 1
            self._start(held, max(delay_s, held_delay_s) + self.rng.uniform(0.1, 2.0))

    async def idle(self) -> None:
        """Wait until every try that has begun is over (not for parcels whose time has not come)."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def stop(self) -> None:
        """Break off what is under way and send nothing more: the world ends."""
        self._stopped = True
        self._held.clear()
        for task in list(self._tasks):
            task.cancel()

    def _strikes(self, fault: str, parcel: Parcel) -> bool:
        return self.faults.roll(f"webhook_{fault}", parcel.channel, parcel.topic)

    def _hold(self, parcel: Parcel, delay_s: float) -> None:
        entry = (parcel, delay_s)
        self._held.setdefault(parcel.channel, []).append(entry)
        self.in_flight += 1

        def give_up() -> None:  # nobody came to overtake it
            waiting = self._held.get(parcel.channel, [])
            if any(each is entry for each in waiting):
                self._held[parcel.channel] = [each for each in waiting if each is not entry]
                self.in_flight -= 1
                self._start(parcel, 0.0)

        self.clock.after(delay_s + OVERTAKEN_S_MAX, give_up)

    def _start(self, parcel: Parcel, delay_s: float) -> None:
        self.in_flight += 1
        self.clock.after(delay_s, lambda: self._begin_try(parcel, 0))

    def _begin_try(self, parcel: Parcel, number: int) -> None:
        if self._stopped:
            return
        if parcel.carry is None and self.deliver is None:
            self._failed(parcel, number)
            return
        task = asyncio.get_running_loop().create_task(self._try(parcel, number))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _try(self, parcel: Parcel, number: int) -> None:
        deliver = parcel.carry or self.deliver
        assert deliver is not None
        try:
            status = await deliver(parcel.url, dict(parcel.headers), parcel.body, parcel.timeout_s)
        except Exception:  # no answer, refused, cut: to the sender all the same
            status = 0
        if not 200 <= status < 300:
            self._failed(parcel, number)
            return
        self.in_flight -= 1
        if parcel.on_delivered:
            parcel.on_delivered()

    def _failed(self, parcel: Parcel, number: int) -> None:
        if number < len(parcel.ladder):
            self.clock.after(parcel.ladder[number], lambda: self._begin_try(parcel, number + 1))
            return
        self.in_flight -= 1
        if parcel.on_dead:
            parcel.on_dead()
