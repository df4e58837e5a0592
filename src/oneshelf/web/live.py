"""What changed on a page that somebody looks at, as server-sent events.

In: a way to read a page again. Out: one stream a browser; one reading a topic, however many look.
Never: reads a topic that nobody looks at; reads more often than four times a second, or more than a tenth of the time.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool

from .pages import Frame, Missing

log = structlog.get_logger()

#: The shortest time between two readings of a topic, and how many times its own length a reading rests.
READ_EVERY_S = 0.25
REST_TIMES = 9
#: After a reading that failed.
REST_FAILED_S = 2.0
#: How often a stream says what time it is; a browser that hears nothing for longer knows that it is cut off.
CLOCK_EVERY_S = 5.0
#: How often a stream looks whether the service stops.
LOOK_EVERY_S = 1.0
#: Streams at the same time, and changes that wait for a slow browser before it is told to read anew.
STREAMS_MAX = 200
WAITING_MAX = 32


def event(name: str, body: Any, key: str = "") -> str:
    """Return one server-sent event."""
    return f"{f'id: {key}{chr(10)}' if key else ''}event: {name}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n"


def difference(old: Frame, new: Frame) -> str:
    """Return the events that lead from one state of a page to the next, the last of them named by the new state's digest."""
    events: list[tuple[str, Any]] = []
    cells = {
        name: {"t": text, "state": tone}
        for name, (text, tone) in new.cells.items()
        if old.cells.get(name) != (text, tone)
    }
    if cells:
        events.append(("cells", cells))
    for table, rows in new.rows.items():
        before = old.rows.get(table, {})
        put = [{"id": key, "html": html} for key, html in rows.items() if before.get(key) != html]
        drop = [key for key in before if key not in rows]
        if put or drop:
            events.append(("rows", {"in": table, "put": put, "drop": drop}))
    stale = [part for part, html in new.parts.items() if old.parts.get(part) != html]
    if stale:
        events.append(("stale", {"ids": stale}))
    return "".join(event(name, body, new.digest) for name, body in events)


class _Topic:
    """One page that somebody looks at."""

    def __init__(self) -> None:
        self.frame: Frame | None = None
        self.looking: set[asyncio.Queue[str | None]] = set()
        self.task: asyncio.Task[None] | None = None


class Live:
    """The streams of one app. `read`: a page's frame by its topic (in a thread; raises Missing). `stopped`: whether to end."""

    def __init__(
        self, read: Callable[[str], Frame], now: Callable[[], str], version: str, stopped: Callable[[], bool]
    ) -> None:
        self._read = read
        self._now = now
        self._version = version
        self._stopped = stopped
        self._topics: dict[str, _Topic] = {}
        self.streams = 0

    async def stream(self, name: str, have: str, version: str) -> AsyncIterator[str]:
        """Tell one browser what changes. `have`: the digest of what it shows; another than ours makes it read anew.

        The caller has seen that fewer than STREAMS_MAX are open.
        """
        self.streams += 1
        topic = self._topics.setdefault(name, _Topic())
        queue: asyncio.Queue[str | None] = asyncio.Queue(WAITING_MAX)
        try:
            yield f"retry: 2000\n\n{self._clock()}"
            if version != self._version:
                yield event("reset", {"why": "version"})
                return
            frame = topic.frame if topic.frame is not None and topic.looking else await self._frame(name)
            if frame is None:
                return
            if topic.frame is None or not topic.looking:
                topic.frame = frame
            topic.looking.add(queue)
            if topic.task is None or topic.task.done():
                topic.task = asyncio.create_task(self._watch(name, topic))
            if have != frame.digest:
                yield event("reset", {"why": "gap"}, frame.digest)
            async for events in self._follow(queue):
                yield events
        finally:
            self.streams -= 1
            topic.looking.discard(queue)
            if not topic.looking:
                if topic.task is not None:
                    topic.task.cancel()
                if self._topics.get(name) is topic:
                    del self._topics[name]

    async def _follow(self, queue: asyncio.Queue[str | None]) -> AsyncIterator[str]:
        told_at = time.monotonic()
        while not self._stopped():
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    events = await queue.get()
            except TimeoutError:
                events = ""
            if events is None:
                return
            if time.monotonic() - told_at >= CLOCK_EVERY_S:
                told_at = time.monotonic()
                events += self._clock()
            if events:
                yield events

    def _clock(self) -> str:
        return event("clock", {"now": self._now()})

    async def _frame(self, name: str) -> Frame | None:
        try:
            return await run_in_threadpool(self._read, name)
        except Missing:
            return None

    async def _watch(self, name: str, topic: _Topic) -> None:
        """Read the topic while somebody looks at it, and pass on what changed."""
        while topic.looking:
            began = time.monotonic()
            rest_s = READ_EVERY_S
            try:
                frame = await self._frame(name)
                if frame is None:
                    self._tell(topic, None)
                    return
                assert topic.frame is not None
                changes = difference(topic.frame, frame)
                topic.frame = frame
                if changes:
                    self._tell(topic, changes)
                rest_s = max(READ_EVERY_S, REST_TIMES * (time.monotonic() - began))
            except (
                Exception
            ):  # a page that can't be read now (a locked or stopped database) must not end the stream for good
                log.exception("live_read_failed", topic=name.partition(":")[0])
                rest_s = REST_FAILED_S
            await asyncio.sleep(rest_s)

    @staticmethod
    def _tell(topic: _Topic, changes: str | None) -> None:
        for queue in list(topic.looking):
            if queue.full():  # too slow: it comes back by itself and reads anew
                topic.looking.discard(queue)
                while not queue.empty():
                    queue.get_nowait()
                changes_for = None
            else:
                changes_for = changes
            queue.put_nowait(changes_for)
