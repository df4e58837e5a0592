"""How many requests a token has left: a bucket that fills again over a minute. In memory: a restart fills all.

In: a token's number and the time. Out: how many are left and when there is one more.
"""

from __future__ import annotations

import math
from typing import NamedTuple

WINDOW_S = 60


class Left(NamedTuple):
    """`requests` left now; `wait_s` until there is one (0 while there is)."""

    requests: int
    wait_s: int


class Rate:
    """`per_minute` requests a token, all of them at once if it likes."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._buckets: dict[int, tuple[float, float]] = {}

    def take(self, token_no: int, now_s: float) -> Left:
        """Take one request, if there is one. `now_s`: seconds of a clock that only goes forward."""
        fill_s = self.per_minute / WINDOW_S
        have, at_s = self._buckets.get(token_no, (float(self.per_minute), now_s))
        have = min(float(self.per_minute), have + (now_s - at_s) * fill_s)
        if have < 1.0:
            self._buckets[token_no] = (have, now_s)
            return Left(0, math.ceil((1.0 - have) / fill_s))
        self._buckets[token_no] = (have - 1.0, now_s)
        return Left(int(have - 1.0), 0)

    def headers(self, left: Left) -> dict[str, str]:
        """Return the RateLimit fields. Source: draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4."""
        full_s = math.ceil((self.per_minute - left.requests) / self.per_minute * WINDOW_S)
        return {
            "ratelimit-policy": f'"token";q={self.per_minute};w={WINDOW_S}',
            "ratelimit": f'"token";r={left.requests};t={left.wait_s or full_s}',
        }
