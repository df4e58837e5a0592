"""Two importers and one order: one intent, one call, one hub order (I6). Without the guards there are several."""

from __future__ import annotations

import threading

import pytest
from tests.race.together import at_once, connections_at_once, only_postgresql, writing

from oneshelf.db.store import Store, transaction
from oneshelf.db.tx import Tx
from oneshelf.orders import claims, intents

TENANT = 1
NOW = 1_795_443_780_000_000
IMPORTERS = 8
ORDER = "2/A-1"


class TinyHub:
    """Makes an order each time it is asked to; knows no keys."""

    def __init__(self) -> None:
        self.orders: list[str] = []

    def create_order(self, order: str) -> None:
        self.orders.append(order)


def intend(tx: Tx) -> bool:
    return claims.add_intent(tx, TENANT, "import", ORDER, 1, {"order_no": 1}, NOW)


def count(store: Store) -> int:
    with store.reader() as tx:
        row = tx.one("SELECT COUNT(*) FROM intent")
    assert row is not None
    return int(row[0])


# --- one intent -----------------------------------------------------------------------------------------------------------


def test_many_that_mean_the_same_write_one_intent(store: Store) -> None:
    with writing(store) as writer:
        ends = at_once(IMPORTERS, lambda _: writer.submit(intend).result(20))
    assert sorted(map(str, ends)) == ["False"] * (IMPORTERS - 1) + ["True"]
    assert count(store) == 1


@pytest.mark.parametrize("unique", [True, False])
def test_twin_asking_first_and_writing_later_is_saved_by_the_index_alone(store: Store, unique: bool) -> None:
    if not unique:
        with transaction(store) as tx:
            tx.run("DROP INDEX intent_once")
    hub = TinyHub()
    everyone_has_asked = threading.Barrier(IMPORTERS)

    def blind_insert(tx: Tx) -> None:
        number = tx.one("SELECT COALESCE(MAX(intent_no), 0) + 1 FROM intent")
        assert number is not None
        tx.run(
            "INSERT INTO intent (tenant_id, intent_no, kind, entity, version, idempotency_key, created_at, due_at) "
            "VALUES (1, :no, 'import', :e, 1, '', 0, 0)",
            no=number[0],
            e=ORDER,
        )

    with writing(store) as writer:

        def importer(_: int) -> None:
            there = writer.submit(lambda tx: claims.has_open_intent(tx, TENANT, ("import",), ORDER)).result(20)
            everyone_has_asked.wait(20)
            if not there:
                writer.submit(blind_insert).result(20)
                hub.create_order(ORDER)

        at_once(IMPORTERS, importer)
    assert len(hub.orders) == count(store) == (1 if unique else IMPORTERS)


def test_from_several_connections_one_intent_is_written(store: Store) -> None:
    only_postgresql(store)

    def ask_then_intend(tx: Tx, _: int) -> bool:
        assert not claims.has_open_intent(tx, TENANT, ("import",), ORDER)  # nobody has, when all ask
        return intend(tx)

    ends = connections_at_once(store, 4, "intent", ask_then_intend)
    assert sorted(map(str, ends)) == ["False", "False", "False", "True"]
    assert count(store) == 1


# --- one call -------------------------------------------------------------------------------------------------------------


def test_importers_that_take_up_the_intent_in_one_step_create_one_hub_order(store: Store) -> None:
    with transaction(store) as tx:
        intend(tx)
    hub = TinyHub()

    def take(tx: Tx) -> list[str]:
        mine = intents.due(tx, TENANT, ("import",), NOW, 1)
        for intent in mine:
            intents.sending(tx, TENANT, intent, NOW)
        return [intent.entity for intent in mine]

    with writing(store) as writer:

        def importer(_: int) -> None:
            for order in writer.submit(take).result(20):
                hub.create_order(order)

        at_once(IMPORTERS, importer)
    assert hub.orders == [ORDER]


def test_twin_importers_that_look_in_one_step_and_take_in_another_create_several(store: Store) -> None:
    with transaction(store) as tx:
        intend(tx)
    hub = TinyHub()
    everyone_has_looked = threading.Barrier(IMPORTERS)
    with writing(store) as writer:

        def importer(_: int) -> None:
            mine = writer.submit(lambda tx: intents.due(tx, TENANT, ("import",), NOW, 1)).result(20)
            everyone_has_looked.wait(20)
            for intent in mine:
                writer.submit(lambda tx, intent=intent: intents.sending(tx, TENANT, intent, NOW)).result(20)
                hub.create_order(intent.entity)

        at_once(IMPORTERS, importer)
    assert hub.orders == [ORDER] * IMPORTERS


def test_a_call_under_way_at_a_crash_is_read_before_it_is_made_again(store: Store) -> None:
    """I17, I18: what was SENDING comes back as UNKNOWN, never as WAITING."""
    with transaction(store) as tx:
        intend(tx)
        (intent,) = intents.due(tx, TENANT, ("import",), NOW, 1)
        intents.sending(tx, TENANT, intent, NOW)
        assert intents.due(tx, TENANT, ("import",), NOW, 1) == []
        assert intents.recover(tx, TENANT) == 1
        (again,) = intents.due(tx, TENANT, ("import",), NOW, 1)
        assert (again.state, again.attempts, again.first_sent_at) == ("UNKNOWN", 1, NOW)
        assert intents.recover(tx, TENANT) == 0
