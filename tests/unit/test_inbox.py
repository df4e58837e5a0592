"""Raw news is kept, each message once (S4.1, S4.2, I5, I17)."""

from __future__ import annotations

import hashlib

import pytest

from oneshelf.db.store import Store, transaction
from oneshelf.intake.inbox import KEY_MAX, Raw, delivery_key, fitting, keep

NOW = 1_795_443_780_000_000


def raw(key: str, *, tenant_id: int = 1, account_id: int = 1, body: bytes = b"{}", topic: str = "orders/create") -> Raw:
    return Raw(tenant_id, account_id, topic, key, "webhook", {}, body, NOW)


def kept(store: Store) -> list[tuple[int, int, str, bytes]]:
    with store.reader() as tx:
        rows = tx.all("SELECT tenant_id, seq, delivery_key, body FROM inbox ORDER BY tenant_id, seq")
    return [(tenant, seq, key, bytes(body)) for tenant, seq, key, body in rows]


def test_S4_2_the_key_is_the_topic_with_the_delivery_id_or_with_the_hash_of_the_body() -> None:
    assert delivery_key("orders/create", "7f0e", b"x") == "orders/create:7f0e"
    assert delivery_key("orders/create", None, b"x") == f"orders/create:{hashlib.sha256(b'x').hexdigest()}"
    assert delivery_key("a", "1", b"x") != delivery_key("b", "1", b"x")  # topics share ids
    assert delivery_key("a", None, b"x") != delivery_key("a", None, b"y")


def test_messages_are_kept_whole_and_numbered_in_order_of_arrival(store: Store) -> None:
    body = bytes(range(256))
    with transaction(store) as tx:
        message = Raw(1, 4, "orders/create", "k1", "poll", {"X-Shop": "größe", "x": 'a"b'}, body, NOW)
        assert keep(tx, [message, raw("k2")]) == ["stored", "stored"]
        assert tx.one(
            "SELECT account_id, topic, source, headers, received_at, state, handled_at FROM inbox WHERE seq = 1"
        ) == (4, "orders/create", "poll", '{"X-Shop": "gr\\u00f6\\u00dfe", "x": "a\\"b"}', NOW, "NEW", None)
    assert kept(store) == [(1, 1, "k1", body), (1, 2, "k2", b"{}")]


def test_F14_a_message_delivered_fifty_times_is_one_row_with_its_first_body(store: Store) -> None:
    with transaction(store) as tx:
        first = [raw("k1", body=b"first")] + [raw("k1", body=b"again")] * 9
        assert keep(tx, first) == ["stored"] + ["already_done"] * 9
    for _ in range(4):
        with transaction(store) as tx:
            assert keep(tx, [raw("k1", body=b"later")] * 10) == ["already_done"] * 10
    assert kept(store) == [(1, 1, "k1", b"first")]


def test_answers_come_in_the_order_of_the_items_whatever_their_tenant(store: Store) -> None:
    with transaction(store) as tx:
        keep(tx, [raw("known"), raw("known", tenant_id=2)])
        items = [
            raw("a", tenant_id=2),
            raw("known"),
            raw("a"),
            raw("known", tenant_id=2),
            raw("a"),
            raw("b", tenant_id=2),
        ]
        assert keep(tx, items) == ["stored", "already_done", "stored", "already_done", "already_done", "stored"]
    assert [(tenant, seq, key) for tenant, seq, key, _ in kept(store)] == [
        (1, 1, "known"),
        (1, 2, "a"),
        (2, 1, "known"),
        (2, 2, "a"),
        (2, 3, "b"),
    ]


def test_the_same_key_at_two_accounts_is_two_messages(store: Store) -> None:
    with transaction(store) as tx:
        assert keep(tx, [raw("k", account_id=1), raw("k", account_id=2)]) == ["stored", "stored"]
        assert keep(tx, [raw("k", account_id=2), raw("k2", account_id=1)]) == ["already_done", "stored"]


def test_a_key_of_another_account_in_the_same_batch_is_not_mistaken(store: Store) -> None:
    with transaction(store) as tx:
        keep(tx, [raw("x", account_id=1), raw("y", account_id=2)])
        assert keep(tx, [raw("y", account_id=1), raw("x", account_id=2)]) == ["stored", "stored"]


def test_what_was_undone_is_not_kept_and_may_come_again(store: Store) -> None:
    with pytest.raises(RuntimeError), transaction(store) as tx:
        keep(tx, [raw("k")])
        raise RuntimeError
    assert kept(store) == []
    with transaction(store) as tx:
        assert keep(tx, [raw("k")]) == ["stored"]
    assert kept(store) == [(1, 1, "k", b"{}")]


def test_nothing_is_nothing(store: Store) -> None:
    with transaction(store) as tx:
        assert keep(tx, []) == []


@pytest.mark.parametrize("odd", ["nul\x00", "k" * 10_000, "line\nbreak", "\ud800", "größe 🧦" * 90])
def test_F46_a_key_that_no_index_could_hold_is_kept_once_all_the_same(store: Store, odd: str) -> None:
    with transaction(store) as tx:
        assert keep(tx, [raw(odd, topic=odd), raw(odd, topic=odd), raw(odd + "2")]) == [
            "stored",
            "already_done",
            "stored",
        ]
        assert keep(tx, [raw(odd)]) == ["already_done"]


def test_keys_that_fit_stay_as_they_are_and_others_stay_apart() -> None:
    assert fitting("orders/create:7f0e") == "orders/create:7f0e"
    assert fitting("k" * KEY_MAX) == "k" * KEY_MAX
    long = "k" * (KEY_MAX + 1)
    assert len(fitting(long)) <= KEY_MAX and fitting(long) == fitting(long)
    assert fitting(long) != fitting(long + "k")
    assert fitting("a\x00") != fitting("a\x01")
    assert fitting(long).startswith("kkkk")


def test_F47_a_body_of_some_megabytes_comes_back_as_it_was(store: Store) -> None:
    body = b"\x00\xff" * 2_000_000
    with transaction(store) as tx:
        keep(tx, [raw("k", body=body)])
    assert kept(store)[0][3] == body
