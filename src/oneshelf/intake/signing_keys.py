"""Public keys that webhooks name, asked for as rarely as can be: anyone may name any key.

In: a key's id and how to ask the channel for it. Out: the key, or None. Never: asks for an unknown id again and again, or more often
than ASKS_A_MINUTE for ids that never were good, so that a forger can't spend the day's calls.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from oneshelf.core.errors import Park, SignInAgain
from oneshelf.runtime.clock import Clock

log = structlog.get_logger()

#: A key is asked for again after so long. Source: eBay Notification API, getPublicKey ("cache it, about an hour").
KEY_KEPT_S = 3600.0
#: An id that the channel does not know is not asked for again before.
UNKNOWN_KEPT_S = 600.0
#: The channel gave no answer about a key that was good: it is asked again after so long.
ASK_AGAIN_S = 60.0
#: So many ids are remembered, known and unknown.
IDS_MAX = 256
#: Questions for ids that never gave a key. eBay's budget for these calls is 10,000 a day and application.
ASKS_A_MINUTE = 5

Ask = Callable[[], Awaitable[str]]
V = TypeVar("V")


class SigningKeys:
    """The keys of one application. For one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, str]] = {}
        self._unknown: dict[str, float] = {}
        self._asked_at: deque[float] = deque(maxlen=ASKS_A_MINUTE)
        self._asking: dict[str, asyncio.Task[str | None]] = {}

    async def get(self, key_id: str, ask: Ask) -> str | None:
        """Return the key: kept for an hour, then asked for again; the old one is used on while the channel gives no answer.

        None: the channel does not know the id, gave no answer, or has been asked for too many that it does not know.
        """
        now = self._clock.monotonic()
        known = self._known.get(key_id)
        if known is not None and now - known[0] < KEY_KEPT_S:
            return known[1]
        if key_id not in self._asking:
            if known is None and not self._may_ask(key_id, now):
                return None
            task = asyncio.ensure_future(self._ask(key_id, ask))
            self._asking[key_id] = task
            task.add_done_callback(lambda _: self._asking.pop(key_id, None))
        # Shielded: who named the key may go away, others wait for the same answer.
        return await asyncio.shield(self._asking[key_id])

    def _may_ask(self, key_id: str, now: float) -> bool:
        if now - self._unknown.get(key_id, -UNKNOWN_KEPT_S) < UNKNOWN_KEPT_S:
            return False
        if len(self._asked_at) == ASKS_A_MINUTE and now - self._asked_at[0] < 60.0:
            return False
        self._asked_at.append(now)
        return True

    async def _ask(self, key_id: str, ask: Ask) -> str | None:
        try:
            key = await ask()
        except Exception as error:
            log.warning("signing_key_unavailable", problem=type(error).__name__)
            return self._without_answer(key_id, error)
        self._unknown.pop(key_id, None)
        _keep(self._known, key_id, (self._clock.monotonic(), key))
        return key

    def _without_answer(self, key_id: str, error: Exception) -> str | None:
        """The id is wrong: remember that. Anything else may be better soon: an old key is used on till then."""
        now = self._clock.monotonic()
        if isinstance(error, Park) and not isinstance(error, SignInAgain):
            self._known.pop(key_id, None)
            _keep(self._unknown, key_id, now)
            return None
        known = self._known.get(key_id)
        if known is None:
            return None
        self._known[key_id] = (now - KEY_KEPT_S + ASK_AGAIN_S, known[1])
        return known[1]


def _keep(where: dict[str, V], key_id: str, value: V) -> None:
    where.pop(key_id, None)
    where[key_id] = value
    while len(where) > IDS_MAX:
        del where[next(iter(where))]
