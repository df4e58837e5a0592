"""Carries webhooks to their receivers: signed bytes, at least once, unordered, with the marketplace's retry ladder."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .clock import Clock
from .faults import Faults


@dataclass(frozen=True)
class Parcel:
    """One message to deliver. `ladder` is the wait in seconds before each further try; `timeout_s` of one try."""

    channel: str
    topic: str
    url: str
    headers: dict[str, str]
    body: bytes
    ladder: Sequence[float] = ()
    timeout_s: float = 5.0
    on_dead: Callable[[], None] | None = None  # every try failed
    on_delivered: Callable[[], None] | None = None


class Deliver(Protocol):
    """POSTs a body and returns the status, or raises on no answer. HTTP in production, an ASGI app in process."""

    def __call__(self, url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> Awaitable[int]: ...


class Courier:
    """Sends parcels; faults webhook_drop, webhook_double, webhook_delay and webhook_reorder live here.

    `deliver` is set by the door (HTTP or in process) before the first parcel.
    """

    deliver: Deliver | None = None

    def __init__(self, clock: Clock, faults: Faults) -> None:
        self.clock = clock
        self.faults = faults
        self.in_flight = 0

    def send(self, parcel: Parcel, delay_s: float = 0.0) -> None:
        """Queue one parcel; its first try is `delay_s` (real seconds, shortened by the clock factor) from now."""
        raise NotImplementedError
