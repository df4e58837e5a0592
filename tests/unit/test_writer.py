"""The one thread that writes: many steps, few commits, each answered once it is durable (DESIGN D3, D4)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any

import psycopg
import pytest

from oneshelf.core.errors import Stop
from oneshelf.db.postgres import PostgresStore
from oneshelf.db.store import Store, StoreBroken
from oneshelf.db.tx import Tx
from oneshelf.runtime.writer import RERUNS_MAX, Writer, WriterStopped


@pytest.fixture
def writer(store: Store) -> Iterator[Writer]:
    store.close()  # the fixture has opened it; the writer opens it in its own thread
    writer = Writer(store)
    writer.start()
    yield writer
    writer.stop()
    assert not writer._thread.is_alive()
    store.open()


def add(tx: Tx, number: int) -> int:
    tx.run("INSERT INTO counter (tenant_id, name, value) VALUES (1, :n, :v)", n=str(number), v=number)
    return number


def kept(store: Store) -> list[int]:
    """What another connection sees."""
    with store.reader() as tx:
        return [value for (value,) in tx.all("SELECT value FROM counter ORDER BY value")]


class Pause:
    """Keeps the writer's thread in a step, so that what is submitted meanwhile arrives together."""

    def __init__(self, writer: Writer) -> None:
        self._go = threading.Event()
        begun = threading.Event()

        def step(tx: Tx) -> None:
            begun.set()
            assert self._go.wait(20)

        self.future = writer.submit(step)
        assert begun.wait(20)

    def over(self) -> None:
        self._go.set()
        self.future.result(20)


# --- group commit -----------------------------------------------------------------------------------------------------------


def test_D4_what_arrives_together_is_committed_once_and_answered_in_order(writer: Writer) -> None:
    pause = Pause(writer)
    futures = [writer.submit(lambda tx, n=n: add(tx, n)) for n in range(200)]
    pause.over()
    assert [future.result(20) for future in futures] == list(range(200))
    assert writer.batches == 2
    assert writer.steps == 201
    assert kept(writer.store) == list(range(200))


def test_D4_a_transaction_takes_256_steps_at_most(writer: Writer) -> None:
    pause = Pause(writer)
    futures = [writer.submit(lambda tx, n=n: add(tx, n)) for n in range(513)]
    pause.over()
    assert [future.result(20) for future in futures] == list(range(513))
    assert writer.batches == 4


def test_an_answer_comes_only_when_another_connection_sees_it(writer: Writer) -> None:
    pause = Pause(writer)
    first = writer.submit(lambda tx: add(tx, 1))
    hold = threading.Event()
    inside = threading.Event()

    def slow(tx: Tx) -> None:
        inside.set()
        assert hold.wait(20)

    last = writer.submit(slow)
    pause.over()
    assert inside.wait(20)
    time.sleep(0.05)
    assert not first.done()  # its step has run, its commit has not
    assert kept(writer.store) == []
    hold.set()
    assert first.result(20) == 1
    assert kept(writer.store) == [1]
    last.result(20)


def test_every_answer_is_durable_at_the_moment_it_is_given(writer: Writer) -> None:
    missing: list[int] = []

    def look(future: Future[int]) -> None:
        if future.result() not in kept(writer.store):
            missing.append(future.result())

    futures = [writer.submit(lambda tx, n=n: add(tx, n)) for n in range(8)]
    for future in futures:
        future.add_done_callback(look)
    for future in futures:
        future.result(20)
    writer.stop()
    assert missing == []


def test_steps_run_in_order_of_arrival_and_see_what_the_earlier_ones_of_their_batch_wrote(writer: Writer) -> None:
    pause = Pause(writer)
    seen = [writer.submit(lambda tx, n=n: (add(tx, n), tx.one("SELECT COUNT(*) FROM counter"))[1]) for n in range(5)]
    pause.over()
    assert [future.result(20) for future in seen] == [(1,), (2,), (3,), (4,), (5,)]


# --- one that fails -----------------------------------------------------------------------------------------------------------


def fail_after_writing(tx: Tx) -> None:
    add(tx, 1_000)
    raise KeyError("mine alone")


def break_a_key(tx: Tx) -> None:
    add(tx, 1_001)
    add(tx, 1_001)


@pytest.mark.parametrize("failing", [fail_after_writing, break_a_key])
def test_a_step_that_fails_is_undone_alone(writer: Writer, failing: Callable[[Tx], None]) -> None:
    pause = Pause(writer)
    before = writer.submit(lambda tx: add(tx, 1))
    bad = writer.submit(failing)
    after = writer.submit(lambda tx: add(tx, 2))
    pause.over()
    assert (before.result(20), after.result(20)) == (1, 2)
    assert type(bad.exception(20)).__name__ in ("KeyError", "IntegrityError", "UniqueViolation")
    assert kept(writer.store) == [1, 2]
    assert writer.broken is None
    assert writer.batches == 2  # in the same commit as the others


def test_a_step_that_swallows_a_database_error_takes_nobody_with_it(writer: Writer) -> None:
    """PostgreSQL would answer the COMMIT of such a transaction with a silent ROLLBACK, after which all were told "kept"."""

    def careless(tx: Tx) -> str:
        add(tx, 10)
        try:
            tx.run("SELECT nothing FROM nowhere")
        except Exception:
            pass
        return "fine"

    pause = Pause(writer)
    before = writer.submit(lambda tx: add(tx, 1))
    middle = writer.submit(careless)
    after = writer.submit(lambda tx: add(tx, 2))
    pause.over()
    assert (before.result(20), after.result(20)) == (1, 2)
    if writer.store.dialect == "sqlite":
        assert middle.result(20) == "fine"
        assert kept(writer.store) == [1, 2, 10]
    else:
        assert "swallowed" in str(middle.exception(20))
        assert kept(writer.store) == [1, 2]


def test_a_commit_that_was_taken_back_is_never_answered_as_kept(writer: Writer) -> None:
    """The same outside of any savepoint: the store itself must see it."""
    if writer.store.dialect == "sqlite":

        def spoil(tx: Tx) -> None:
            tx.connection.execute("ROLLBACK")  # type: ignore[attr-defined]
    else:

        def spoil(tx: Tx) -> None:
            with pytest.raises(psycopg.Error):
                tx.connection.execute("SELECT nothing FROM nowhere")  # type: ignore[attr-defined]

    real = writer._alone

    def without_savepoint(tx: Tx, step: Callable[[Tx], Any]) -> tuple[Any, BaseException | None]:
        return step(tx), None

    writer._alone = without_savepoint  # type: ignore[method-assign]
    pause = Pause(writer)
    first = writer.submit(lambda tx: add(tx, 1))
    second = writer.submit(spoil)
    pause.over()
    assert first.exception(20) is not None
    assert second.exception(20) is not None
    writer._alone = real  # type: ignore[method-assign]
    assert kept(writer.store) == []
    assert writer.submit(lambda tx: add(tx, 2)).result(20) == 2


# --- steps for many -----------------------------------------------------------------------------------------------------------


class Adding:
    """A step for many that refuses item 13, and remembers how it was called."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def __call__(self, tx: Tx, items: list[int]) -> list[int]:
        self.calls.append(list(items))
        for item in items:
            add(tx, item)
        if 13 in items:
            raise ValueError("13")
        return [item * 10 for item in items]


def test_items_of_one_function_that_arrive_together_go_through_one_call(writer: Writer) -> None:
    adding = Adding()
    pause = Pause(writer)
    futures = [writer.submit_item(adding, n) for n in range(6)]
    between = writer.submit(lambda tx: len(adding.calls))
    more = [writer.submit_item(adding, n) for n in (6, 7)]
    pause.over()
    assert [future.result(20) for future in futures] == [0, 10, 20, 30, 40, 50]
    assert [future.result(20) for future in more] == [60, 70]
    assert adding.calls == [[0, 1, 2, 3, 4, 5], [6, 7]]
    assert between.result(20) == 1


def test_D7b_a_batch_that_fails_is_halved_down_to_the_one_that_fails_alone(writer: Writer) -> None:
    adding = Adding()
    pause = Pause(writer)
    futures = {n: writer.submit_item(adding, n) for n in range(10, 18)}
    pause.over()
    with pytest.raises(ValueError, match="13"):
        futures.pop(13).result(20)
    assert {n: future.result(20) for n, future in futures.items()} == {n: n * 10 for n in futures}
    assert kept(writer.store) == [10, 11, 12, 14, 15, 16, 17]
    assert writer.batches == 2
    assert len(adding.calls) == 7  # 8 → 4 4 → 2 2 → 1 1: not one by one


def test_a_batch_function_with_too_few_answers_fails_and_keeps_nothing_unanswered(writer: Writer) -> None:
    def forgetful(tx: Tx, items: list[int]) -> list[int]:
        for item in items:
            add(tx, item)
        return items[1:]

    pause = Pause(writer)
    futures = [writer.submit_item(forgetful, n) for n in range(3)]
    after = writer.submit(lambda tx: add(tx, 9))
    pause.over()
    for future in futures:
        with pytest.raises(ValueError, match="0 answers for 1 items"):
            future.result(20)
    assert after.result(20) == 9
    assert kept(writer.store) == [9]


def test_answers_that_are_made_lazily_are_made_inside_the_transaction(writer: Writer) -> None:
    def lazy(tx: Tx, items: list[int]) -> Any:
        return (add(tx, item) for item in items)

    assert writer.submit_item(lazy, 5).result(20) == 5
    assert kept(writer.store) == [5]


# --- who no longer waits --------------------------------------------------------------------------------------------------------


async def test_F13_a_cancelled_request_stops_nobody_else(writer: Writer) -> None:
    pause = await asyncio.to_thread(Pause, writer)
    gone = asyncio.ensure_future(writer.do(lambda tx: add(tx, 1)))
    stays = asyncio.ensure_future(writer.do(lambda tx: add(tx, 2)))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    await asyncio.to_thread(pause.over)
    assert await asyncio.wait_for(stays, 20) == 2
    assert await asyncio.wait_for(writer.do(lambda tx: add(tx, 3)), 20) == 3
    assert kept(writer.store) == [2, 3]  # it was taken back before it began: never half done
    assert writer.broken is None


async def test_F13_a_request_cancelled_while_its_step_runs_is_kept_and_stops_nobody(writer: Writer) -> None:
    inside, go = threading.Event(), threading.Event()

    def slow(tx: Tx) -> None:
        add(tx, 1)
        inside.set()
        assert go.wait(20)

    gone = asyncio.ensure_future(writer.do(slow))
    await asyncio.to_thread(inside.wait, 20)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    go.set()
    assert await asyncio.wait_for(writer.do(lambda tx: add(tx, 2)), 20) == 2
    assert kept(writer.store) == [1, 2]


async def test_items_from_asyncio(writer: Writer) -> None:
    adding = Adding()
    assert await asyncio.gather(*(writer.do_item(adding, n) for n in range(4))) == [0, 10, 20, 30]


# --- starting, stopping, breaking -------------------------------------------------------------------------------------------------


def test_stopping_finishes_what_was_submitted_and_refuses_what_comes_after(writer: Writer) -> None:
    pause = Pause(writer)
    futures = [writer.submit(lambda tx, n=n: add(tx, n)) for n in range(600)]
    stopping = threading.Thread(target=writer.stop)
    stopping.start()
    pause.over()
    stopping.join(20)
    assert not stopping.is_alive()
    assert [future.result(0) for future in futures] == list(range(600))
    with pytest.raises(WriterStopped):
        writer.submit(lambda tx: add(tx, 1_000)).result(5)
    assert kept(writer.store) == list(range(600))
    writer.stop()  # twice is once


def test_every_step_gets_an_answer_whoever_submits_while_it_stops(writer: Writer) -> None:
    futures: list[Future[int]] = []
    go = threading.Event()

    def submit() -> None:
        go.wait()
        futures.extend(writer.submit(lambda tx: 1) for _ in range(300))

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    go.set()
    writer.stop()
    for thread in threads:
        thread.join()
    ends = [future.exception(5) for future in futures]
    assert len(ends) == 1_200
    assert all(end is None or isinstance(end, WriterStopped) for end in ends)


def test_a_store_that_can_not_be_opened_fails_the_start_and_answers_everybody() -> None:
    writer = Writer(PostgresStore("postgresql://nobody@127.0.0.1:1/nothing"))
    early = writer.submit(lambda tx: 1)
    with pytest.raises(Stop, match="does not answer"):
        writer.start()
    assert isinstance(early.exception(5), WriterStopped)
    assert isinstance(writer.submit(lambda tx: 1).exception(5), WriterStopped)
    writer.stop()


def test_a_broken_store_stops_the_writer_once_and_refuses_the_rest(store: Store) -> None:
    store.close()
    told: list[StoreBroken] = []

    def on_broken(stop: StoreBroken) -> None:
        told.append(stop)
        raise RuntimeError("whoever hears of it fails too")

    writer = Writer(store, on_broken=on_broken)
    writer.start()
    writer.submit(lambda tx: add(tx, 1)).result(20)

    def pull_the_plug(tx: Tx) -> None:
        add(tx, 3)
        raise StoreBroken("the disk is gone")

    real = store.must_stop
    store.must_stop = lambda error: error if isinstance(error, StoreBroken) else real(error)  # type: ignore[method-assign]
    pause = Pause(writer)
    ends = [
        writer.submit(lambda tx: add(tx, 2)),
        writer.submit(pull_the_plug),
        writer.submit(lambda tx: add(tx, 4)),
    ]
    pause.over()
    assert [str(end.exception(20)) for end in ends] == ["the disk is gone"] * 3
    assert len(told) == 1
    writer._thread.join(20)
    assert not writer._thread.is_alive()
    with pytest.raises(StoreBroken, match="the disk is gone"):
        writer.submit(lambda tx: add(tx, 5)).result(5)
    assert kept(store) == [1]
    store.open()


# --- once more ----------------------------------------------------------------------------------------------------------------------


def test_what_may_succeed_the_second_time_is_run_again_whole(writer: Writer) -> None:
    class Busy(Exception):
        """Somebody was in the way."""

    writer.store.is_transient = lambda error: isinstance(error, Busy)  # type: ignore[method-assign]
    tries: list[int] = []

    def stumbles(tx: Tx) -> int:
        add(tx, 2)
        tries.append(1)
        if len(tries) <= RERUNS_MAX:
            raise Busy
        return len(tries)

    pause = Pause(writer)
    first = writer.submit(lambda tx: add(tx, 1))
    second = writer.submit(stumbles)
    pause.over()
    assert first.result(20) == 1
    assert second.result(20) == RERUNS_MAX + 1
    assert kept(writer.store) == [1, 2]


def test_one_that_is_always_in_the_way_fails_alone(writer: Writer) -> None:
    class Busy(Exception):
        """Somebody is in the way."""

    writer.store.is_transient = lambda error: isinstance(error, Busy)  # type: ignore[method-assign]

    def never(tx: Tx) -> None:
        add(tx, 1_000)
        raise Busy

    pause = Pause(writer)
    first = writer.submit(lambda tx: add(tx, 1))
    second = writer.submit(never)
    third = writer.submit(lambda tx: add(tx, 3))
    pause.over()
    assert (first.result(20), third.result(20)) == (1, 3)
    assert isinstance(second.exception(20), Busy)
    assert kept(writer.store) == [1, 3]


def test_D7b_a_real_deadlock_is_run_again(writer: Writer) -> None:
    """Another connection takes two rows in the other order; one of the two is chosen by the server and must be us."""
    if writer.store.dialect == "sqlite":
        pytest.skip("SQLite has one writer: nobody to meet")
    for name in ("a", "b"):
        writer.submit(
            lambda tx, name=name: tx.run("INSERT INTO counter (tenant_id, name, value) VALUES (2, :n, 0)", n=name)
        ).result(20)
    update = "UPDATE counter SET value = value + 1 WHERE tenant_id = 2 AND name = '{}'"
    tries: list[int] = []
    with psycopg.connect(writer.store.url) as other:
        other.execute("SET deadlock_timeout = '10s'")  # the writer notices first and is the one undone
        other.execute(update.format("b"))
        crossed = threading.Event()

        def cross(tx: Tx) -> int:
            tries.append(1)
            tx.run("SET LOCAL deadlock_timeout = '50ms'")
            tx.run(update.format("a"))
            crossed.set()
            tx.run(update.format("b"))
            return len(tries)

        first = writer.submit(cross)
        assert crossed.wait(20)
        other.execute(update.format("a"))
        other.commit()
        assert first.result(20) == 2
    assert writer.submit(lambda tx: tx.all("SELECT value FROM counter WHERE tenant_id = 2")).result(20) == [(2,), (2,)]


def test_D7b_a_real_serialization_failure_is_run_again(writer: Writer) -> None:
    if writer.store.dialect == "sqlite":
        pytest.skip("SQLite has one writer: nobody to meet")
    writer.submit(lambda tx: add(tx, 1)).result(20)
    tries: list[int] = []

    def step(tx: Tx) -> int:
        tries.append(1)
        (value,) = tx.one("SELECT value FROM counter WHERE tenant_id = 1") or (0,)
        if len(tries) == 1:
            with psycopg.connect(writer.store.url, autocommit=True) as other:
                other.execute("UPDATE counter SET value = value + 100 WHERE tenant_id = 1")
        tx.run("UPDATE counter SET value = :v WHERE tenant_id = 1", v=value + 1)
        return len(tries)

    writer.submit(
        lambda tx: tx.connection.execute("SET default_transaction_isolation = 'repeatable read'") and None  # type: ignore[attr-defined]
    ).result(20)
    assert writer.submit(step).result(20) == 2
    assert kept(writer.store) == [102]


def test_cancelled_futures_say_so(writer: Writer) -> None:
    pause = Pause(writer)
    gone = writer.submit(lambda tx: add(tx, 1))
    assert gone.cancel()
    pause.over()
    with pytest.raises(CancelledError):
        gone.result(5)
    writer.submit(lambda tx: add(tx, 2)).result(20)
    assert kept(writer.store) == [2]
