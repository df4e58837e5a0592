"""The same message from webhook, poll and queue at once is one row; without the unique key it is several."""

from __future__ import annotations

import threading

import psycopg
import pytest
from tests.race.together import at_once, connections_at_once, only_postgresql, writing

from oneshelf.db.store import Store, transaction
from oneshelf.db.tx import Tx, next_values
from oneshelf.intake.inbox import Raw, keep

AT_ONCE = 10
MESSAGE = Raw(1, 1, "orders/create", "orders/create:7f0e", "webhook", {}, b"{}", 0)


def rows(store: Store) -> int:
    with store.reader() as tx:
        found = tx.one("SELECT COUNT(*) FROM inbox")
    assert found is not None
    return int(found[0])


def forget_the_key(store: Store) -> None:
    with transaction(store) as tx:
        tx.run("DROP INDEX inbox_once")


def test_the_same_message_at_once_through_the_writer_is_kept_once(store: Store) -> None:
    with writing(store) as writer:
        ends = at_once(AT_ONCE, lambda _: writer.submit_item(keep, MESSAGE).result(20))
        steps = [writer.submit(lambda tx: keep(tx, [MESSAGE])) for _ in range(AT_ONCE)]
        ends += [step.result(20)[0] for step in steps]
    assert sorted(map(str, ends)) == ["already_done"] * (2 * AT_ONCE - 1) + ["stored"]
    assert rows(store) == 1


def is_there(tx: Tx) -> bool:
    return tx.one("SELECT 1 FROM inbox WHERE delivery_key = :k", k=MESSAGE.delivery_key) is not None


def put(tx: Tx) -> str:
    tx.run(
        "INSERT INTO inbox (tenant_id, seq, account_id, topic, delivery_key, source, body, received_at) "
        "VALUES (1, :seq, 1, 'orders/create', :k, 'webhook', :body, 0)",
        seq=next_values(tx, 1, "inbox")[0],
        k=MESSAGE.delivery_key,
        body=MESSAGE.body,
    )
    return "stored"


@pytest.mark.parametrize("unique_key", [True, False])
def test_twin_asking_first_and_storing_later_is_saved_by_the_key_alone(store: Store, unique_key: bool) -> None:
    if not unique_key:
        forget_the_key(store)
    everyone_has_asked = threading.Barrier(AT_ONCE)
    with writing(store) as writer:

        def ask_then_store(_: int) -> str:
            there = writer.submit(is_there).result(20)
            everyone_has_asked.wait(20)
            return "already_done" if there else writer.submit(put).result(20)

        ends = at_once(AT_ONCE, ask_then_store)
    assert ends.count("stored") == rows(store) == (1 if unique_key else AT_ONCE)


@pytest.mark.parametrize("unique_key", [True, False])
def test_the_same_message_from_several_connections_and_its_twin_without_the_unique_key(
    store: Store, unique_key: bool
) -> None:
    only_postgresql(store)
    if not unique_key:
        forget_the_key(store)
    ends = connections_at_once(store, 4, "inbox", lambda tx, _: keep(tx, [MESSAGE])[0])
    if unique_key:
        assert ends.count("stored") == 1
        assert all(end == "stored" or isinstance(end, psycopg.errors.UniqueViolation) for end in ends), ends
        assert rows(store) == 1
    else:
        assert ends == ["stored"] * 4
        assert rows(store) == 4  # one message, handled four times
