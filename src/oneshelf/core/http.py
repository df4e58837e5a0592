"""One HTTP call, as values: what is asked, what was answered, and that nothing was.

In: what a connector wants sent. Out: the same, for whoever sends it. Never: opens a socket (that is runtime/transport), or knows a
marketplace.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Protocol

import msgspec


class Request(msgspec.Struct, frozen=True):
    """One HTTP request. `operation` names what the channel meters it as (a key of the connector's `limits`)."""

    method: str
    url: str
    operation: str
    headers: dict[str, str] = {}
    body: bytes = b""
    timeout_s: float = 10.0
    cost: float = 1.0
    #: The request changes something: no answer means Unknown, and nobody below sends it again by itself.
    writes: bool = False
    #: Sent as it is: no authorization header is added (token calls, pre-signed addresses).
    bare: bool = False


class Response(msgspec.Struct, frozen=True):
    """One HTTP answer. Header names in lower case. `received_at` is by our clock, `channel_at` the same instant by the channel's, where
    that is known."""

    status: int
    headers: dict[str, str]
    body: bytes
    received_at: datetime
    channel_at: datetime | None = None

    @property
    def shown_at(self) -> datetime:
        """When what the answer shows was so, by the clock that stamps the channel's orders (F28): it is compared with theirs."""
        return self.channel_at or self.received_at


class NoAnswer(Exception):
    """The call had no readable answer: refused, timed out, cut. `sent`: whether the request may have arrived."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


class Http(Protocol):
    """Sends one request. Raises NoAnswer; never retries a request that writes."""

    async def request(self, request: Request) -> Response: ...

    def lines(self, request: Request, *, line_bytes_max: int, bytes_max: int) -> AsyncIterator[bytes]:
        """Fetch a large file from a pre-signed address (the request is `bare`) and give its lines, without their ends, as they arrive.

        `timeout_s` is how long the channel may be silent. Raises NoAnswer: no answer, another status than 200, cut off, a longer line
        or a longer file. What was given before that is part of a file that is not whole.
        """
