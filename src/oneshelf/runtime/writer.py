"""The one thread that writes. It drains what has arrived, runs it in one transaction, commits once, then answers (DESIGN D3, D4).

In: steps, plain synchronous functions of (tx). Out: what they return, once it is durable. Tables it owns: none.
Never: runs a step twice after a commit, answers before the commit, lets one failing step undo another's work, leaves a step without an
answer. Who no longer waits (a cancelled future) is skipped before its step begins and ignored after; it stops nobody else.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import structlog

from oneshelf.core.errors import Stop
from oneshelf.db.store import Store, StoreBroken
from oneshelf.db.tx import Tx

log = structlog.get_logger()

T = TypeVar("T")
Step = Callable[[Tx], Any]
#: A step for many of a kind: given the transaction and the items that arrived together, one result an item.
BatchStep = Callable[[Tx, list[Any]], Sequence[Any]]

#: How many steps one transaction takes at most: a bound on how long the first of them waits for its answer.
BATCH_MAX = 256
#: How often a batch that met a deadlock or serialization failure is run again before it is taken apart.
RERUNS_MAX = 3
#: After how long a step that takes in an answer is tried again, seconds.
TAKE_IN_AGAIN_S = (1.0, 5.0, 30.0)


class WriterStopped(Stop):
    """The writer has stopped; nothing is kept any more."""


class Job:
    """A step with who waits for it: `future` has `set_running_or_notify_cancel`, `set_result` and `set_exception`."""

    __slots__ = ("batch", "future", "item", "step")

    def __init__(self, step: Step | None, batch: BatchStep | None, item: Any, future: Any) -> None:
        self.step = step
        self.batch = batch
        self.item = item
        self.future = future


class Writer:
    """Owns the writing connection. `submit` and `submit_item` may be called from any thread; results come after the commit."""

    def __init__(self, store: Store, *, on_broken: Callable[[StoreBroken], None] | None = None) -> None:
        self.store = store
        self.batches = 0
        self.steps = 0
        self.broken: Stop | None = None
        self._on_broken = on_broken
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._started = threading.Event()
        self._failed_to_open: BaseException | None = None
        #: Between "is it broken?" and "put it in the queue" the queue must not be emptied for the last time.
        self._door = threading.Lock()

    def start(self) -> None:
        """Open the store in the writer's thread and begin. Raises what opening raises."""
        self._thread.start()
        self._started.wait()
        if self._failed_to_open is not None:
            raise self._failed_to_open
        threading.Thread(target=self._check_rest, name="check", daemon=True).start()

    def stop(self) -> None:
        """Finish what was submitted, then close the store."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()

    def submit(self, step: Callable[[Tx], T]) -> Future[T]:
        """Run one step in the next transaction."""
        future: Future = Future()
        self._put(Job(step, None, None, future))
        return future

    def submit_item(self, batch: BatchStep, item: Any) -> Future:
        """Give one item to a step for many; items of the same function that arrive together go through one call."""
        future: Future = Future()
        self._put(Job(None, batch, item, future))
        return future

    async def do(self, step: Callable[[Tx], T]) -> T:
        """Run one step from asyncio and return its result, durable."""
        return await asyncio.wrap_future(self.submit(step))

    async def take_in(self, step: Callable[[Tx], T]) -> T:
        """Run the step that takes in what a call has brought: that is known here only, so one that breaks is tried again, after
        TAKE_IN_AGAIN_S each. Raises what it raised last."""
        for wait_s in TAKE_IN_AGAIN_S:
            try:
                return await self.do(step)
            except Stop:
                raise
            except Exception:
                log.exception("answer_not_taken_in")
                await asyncio.sleep(wait_s)
        return await self.do(step)

    async def do_item(self, batch: BatchStep, item: Any) -> Any:
        return await asyncio.wrap_future(self.submit_item(batch, item))

    def _put(self, job: Job) -> None:
        with self._door:
            if self.broken is None:
                self._jobs.put(job)
                return
        job.future.set_exception(self.broken)

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self.store.open()
        except BaseException as error:
            self._failed_to_open = error
            self._refuse_the_rest()
            self._started.set()
            return
        self._started.set()
        try:
            while True:
                jobs, last = self._drain()
                jobs = [job for job in jobs if job.future.set_running_or_notify_cancel()]
                if jobs:
                    self._transact(jobs)
                if last or self.broken is not None:
                    return
        finally:
            self._refuse_the_rest()
            self.store.close()

    def _drain(self) -> tuple[list[Job], bool]:
        """1. Wait for the first job.  2. Take what else has arrived, at most BATCH_MAX."""
        jobs: list[Job] = []
        job = self._jobs.get()
        while True:
            if job is None:
                return jobs, True
            jobs.append(job)
            if len(jobs) >= BATCH_MAX:
                return jobs, False
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return jobs, False

    def _transact(self, jobs: list[Job]) -> None:
        """3. One transaction for all.  4. One commit.  5. Answer."""
        for attempt in range(RERUNS_MAX + 1):
            try:
                tx = self.store.begin()
                ends = self._carry_out(tx, jobs)
                self.store.commit()
                break
            except BaseException as error:
                again = self._after_failure(error)
                if again and attempt < RERUNS_MAX:
                    continue
                if again and len(jobs) > 1:
                    self._one_by_one(jobs)
                    return
                failure = self.broken or error
                for job in jobs:
                    job.future.set_exception(failure)
                return
        self.batches += 1
        self.steps += len(jobs)
        for job, (result, failed) in zip(jobs, ends, strict=True):
            if failed is not None:
                job.future.set_exception(failed)
            else:
                job.future.set_result(result)

    def _one_by_one(self, jobs: list[Job]) -> None:
        """A batch that keeps meeting somebody else is taken apart, so that only the steps in the way fail."""
        for job in jobs:
            if self.broken is None:
                self._transact([job])
            else:
                job.future.set_exception(self.broken)

    def _after_failure(self, error: BaseException) -> bool:
        """Undo; say whether to run again. A store that can't go on stops the writer."""
        stop = self.store.must_stop(error)
        try:
            self.store.rollback()
        except Exception as rollback_error:
            stop = stop or StoreBroken(f"The database did not take a rollback: {rollback_error}. Start again.")
        if stop is not None:
            self._break(stop)
            return False
        return self.store.is_transient(error)

    def _carry_out(self, tx: Tx, jobs: list[Job]) -> list[tuple[Any, BaseException | None]]:
        """Run the jobs in order of arrival; neighbours of one batch function in one call."""
        ends: list[tuple[Any, BaseException | None]] = []
        start = 0
        while start < len(jobs):
            stop = start + 1
            batch = jobs[start].batch
            if batch is None:
                step = jobs[start].step
                assert step is not None
                ends.append(self._alone(tx, step))
            else:
                while stop < len(jobs) and jobs[stop].batch is batch:
                    stop += 1
                ends.extend(self._together(tx, batch, [job.item for job in jobs[start:stop]]))
            start = stop
        return ends

    def _alone(self, tx: Tx, step: Step) -> tuple[Any, BaseException | None]:
        """A step that fails alone is undone alone."""
        try:
            with tx.savepoint():
                return step(tx), None
        except Exception as error:
            if self.store.must_stop(error) or self.store.is_transient(error):
                raise
            return None, error

    def _together(self, tx: Tx, batch: BatchStep, items: list[Any]) -> list[tuple[Any, BaseException | None]]:
        """Many at once; if that fails, halves, down to the one that fails alone."""
        try:
            with tx.savepoint():
                results = list(batch(tx, items))
                if len(results) != len(items):
                    raise ValueError(f"{len(results)} answers for {len(items)} items")
            return [(result, None) for result in results]
        except Exception as error:
            if self.store.must_stop(error) or self.store.is_transient(error):
                raise
            if len(items) == 1:
                return [(None, error)]
        middle = len(items) // 2
        return self._together(tx, batch, items[:middle]) + self._together(tx, batch, items[middle:])

    def _break(self, stop: StoreBroken) -> None:
        self.broken = stop
        if self._on_broken is None:
            return
        try:
            self._on_broken(stop)
        except Exception:
            log.exception("on_broken_failed")  # whoever is told must not keep those who wait from being answered

    def _check_rest(self) -> None:
        """A file that is too large to be read whole before the start is read to its end beside the work."""
        problem = self.store.check_rest()
        if problem is not None and self.broken is None:
            self._break(problem)

    def _refuse_the_rest(self) -> None:
        with self._door:
            self.broken = self.broken or WriterStopped("The service is stopping; nothing was kept of this.")
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            if job is not None and job.future.set_running_or_notify_cancel():
                job.future.set_exception(self.broken)
