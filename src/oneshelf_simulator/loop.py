"""An event loop without a selector: time is virtual and jumps to the next timer, chance decides which ready task runs first.

In: coroutines. Out: the same run for the same seed. Never: opens a socket, starts a thread, asks the machine for the time.

Every handle carries the context it was made in, and the context says who it belongs to: the world, or one life of the engine. What
belongs to a dead life is put aside and never runs again: a crash is not a cancel, no `finally` block of it runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import random
from asyncio import base_events
from collections.abc import Callable
from typing import Any

#: Whose handle it is: 0 the world, n the n-th life of the engine.
OWNER: contextvars.ContextVar[int] = contextvars.ContextVar("owner", default=0)


class Deadlock(RuntimeError):
    """Nothing is ready and no timer runs: whoever waits would wait for ever."""


class SimLoop(base_events.BaseEventLoop):
    """One thread, one clock. `shuffle` draws the order of the tasks that are ready at the same moment; callbacks keep theirs."""

    def __init__(self, shuffle: random.Random, start: float = 0.0) -> None:
        super().__init__()
        self._now = start
        self._shuffle = shuffle
        self.dead: set[int] = set()
        #: What a dead life would still have done. It is kept, so that its coroutines are not closed (that would run `finally`).
        self.graveyard: list[Any] = []
        #: Asked before each handle of a living engine; True: it died at this moment.
        self.strikes: Callable[[int], bool] = lambda owner: False
        self.steps = 0
        self.set_exception_handler(self._keep_quiet)
        self.problems: list[str] = []

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        scheduled, ready = self._scheduled, self._ready  # type: ignore[attr-defined]
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
        if not ready:
            if not scheduled:
                raise Deadlock("nothing is ready and no timer runs")
            self._now = max(self._now, scheduled[0]._when)
        while scheduled and scheduled[0]._when <= self._now:
            timer = heapq.heappop(scheduled)
            timer._scheduled = False
            if not timer._cancelled:
                ready.append(timer)
        batch = list(ready)
        ready.clear()
        self._mix(batch)
        for handle in batch:
            if handle._cancelled:
                continue
            owner = handle._context.get(OWNER, 0)
            if owner:
                if owner in self.dead or self.strikes(owner):
                    self.graveyard.append(handle)
                    continue
                self.steps += 1
            handle._run()

    def _mix(self, batch: list[Any]) -> None:
        if len(batch) < 2:
            return
        places = [at for at, handle in enumerate(batch) if isinstance(_owner_of(handle), asyncio.Task)]
        if len(places) > 1:
            tasks = [batch[at] for at in places]
            self._shuffle.shuffle(tasks)
            for at, handle in zip(places, tasks, strict=True):
                batch[at] = handle

    def _keep_quiet(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A task of a dead life is no news; anything else is kept for the report."""
        error = context.get("exception")
        if error is not None:
            self.problems.append(f"{context.get('message')}: {error!r}")

    # The next three are asyncio's own without its debug mode: half of what they cost otherwise, and they are called all the time.

    def get_debug(self) -> bool:
        return False

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        if self._closed:  # type: ignore[attr-defined]
            raise RuntimeError("Event loop is closed")
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:  # type: ignore[override]
        if self._closed:  # type: ignore[attr-defined]
            raise RuntimeError("Event loop is closed")
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run it here and now. A function that returns a future (a call that waits) is waited for."""
        future: asyncio.Future[Any] = self.create_future()
        try:
            result = func(*args)
        except Exception as error:
            future.set_exception(error)
            return future
        if isinstance(result, asyncio.Future):
            return result
        future.set_result(result)
        return future

    def _process_events(self, event_list: Any) -> None:
        raise NotImplementedError("there are no sockets here")

    def _write_to_self(self) -> None:
        return

    def run(self, main: Any) -> Any:
        """Run `main` to its end as the world, then bury whatever still waits."""
        try:
            return self.run_until_complete(main)
        finally:
            self._bury()
            self.close()

    def _bury(self) -> None:
        """Close what still waits while the loop can still take what their `finally` blocks ask of it; none of it is carried out."""
        for task in asyncio.all_tasks(self):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            with contextlib.suppress(BaseException):
                task.get_coro().close()  # type: ignore[union-attr]
        self.graveyard.clear()
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]


def _owner_of(handle: Any) -> Any:
    return getattr(handle._callback, "__self__", None)
