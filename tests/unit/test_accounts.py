"""Channel accounts: one account, one tenant; states; secrets sealed to their row (S0.1, S0.7, I20, I21)."""

from __future__ import annotations

import pytest
from tests.unit.seeding import NOW, TENANT, account

from oneshelf.core.secret import Secret
from oneshelf.db.store import Store, transaction
from oneshelf.db.tx import Tx
from oneshelf.tenants.accounts import (
    AccountTaken,
    account_by_external_id,
    accounts,
    add_account,
    change_setting,
    ensure_tenant,
    load_secret,
    save_secret,
    set_state,
)
from oneshelf.tenants.seal import OtherKey, SealBroken, Sealer

SEALER = Sealer(b"k" * 32)
TOKEN = Secret(values={"refresh_token": "r-123", "access_token": "a-456"})


def connect(tx: Tx, tenant_id: int = 1, external_id: str = "seller-1", **more: str) -> int:
    ensure_tenant(tx, tenant_id, "somebody", NOW)
    return add_account(
        tx,
        tenant_id,
        channel="ebay",
        external_id=external_id,
        label=more.pop("label", "eBay"),
        settings=more,
        currency="EUR",
        now=NOW,
    )


def test_an_account_is_stored_as_it_was_given(store: Store) -> None:
    with transaction(store) as tx:
        account_id = connect(tx, label="My eBay", marketplace="EBAY_DE")
        (row,) = accounts(tx, TENANT)
        assert (row.tenant_id, row.account_id, row.channel, row.external_id) == (1, account_id, "ebay", "seller-1")
        assert (row.label, row.state, row.settings, row.currency) == (
            "My eBay",
            "CONNECTED",
            {"marketplace": "EBAY_DE"},
            "EUR",
        )
        assert (row.connected_at, row.live_at, row.opened_at) == (NOW, None, None)
        assert account_by_external_id(tx, "ebay", "seller-1") == row
        assert account_by_external_id(tx, "etsy", "seller-1") is None


def test_a_tenant_is_made_once(store: Store) -> None:
    with transaction(store) as tx:
        ensure_tenant(tx, 1, "first", NOW)
        ensure_tenant(tx, 1, "second", NOW + 1)
        assert tx.all("SELECT tenant_id, name, created_at FROM tenant") == [(1, "first", NOW)]


def test_connecting_again_keeps_the_id_and_the_state_and_takes_the_new_settings(store: Store) -> None:
    with transaction(store) as tx:
        account_id = connect(tx, label="old")
        set_state(tx, TENANT, account_id, "LIVE", NOW + 5)
        assert connect(tx, label="new", marketplace="EBAY_GB") == account_id
        (row,) = accounts(tx, TENANT)
        assert (row.label, row.settings, row.state, row.live_at) == ("new", {"marketplace": "EBAY_GB"}, "LIVE", NOW + 5)


def test_a_disconnected_account_is_gone_from_sight_and_comes_back_with_its_id(store: Store) -> None:
    with transaction(store) as tx:
        account_id = connect(tx)
        set_state(tx, TENANT, account_id, "DISCONNECTED", NOW)
        assert accounts(tx, TENANT) == []
        assert account_by_external_id(tx, "ebay", "seller-1") is None
        assert connect(tx) == account_id
        assert [row.state for row in accounts(tx, TENANT)] == ["CONNECTED"]


def test_S0_1_an_account_that_another_tenant_has_is_refused_until_it_is_disconnected_there(store: Store) -> None:
    with transaction(store) as tx:
        theirs = connect(tx, 1)
        with pytest.raises(AccountTaken, match="belongs to another merchant here. Disconnect it there first"):
            connect(tx, 2)
        set_state(tx, 1, theirs, "DISCONNECTED", NOW)
        mine = connect(tx, 2)
        found = account_by_external_id(tx, "ebay", "seller-1")
        assert found is not None and (found.tenant_id, found.account_id) == (2, mine)
        with pytest.raises(AccountTaken):  # and not back while it is in use here
            connect(tx, 1)
        set_state(tx, 2, mine, "DISCONNECTED", NOW)
        assert connect(tx, 1) == theirs


def test_S0_1_the_database_itself_keeps_an_account_to_one_tenant(store: Store) -> None:
    with transaction(store) as tx:
        connect(tx, 1)
        with pytest.raises(Exception, match=r"(?i)unique"), tx.savepoint():
            tx.run(
                "INSERT INTO account (tenant_id, account_id, channel, external_id, label, state, connected_at) "
                "VALUES (2, 1, 'ebay', 'seller-1', '', 'LIVE', 0)"
            )


def test_the_hub_comes_first(store: Store) -> None:
    with transaction(store) as tx:
        account(tx, "ebay", "a")
        account(tx, "shopify", "a.myshopify.com")
        account(tx, "amazon", "A:eu")
        assert [row.channel for row in accounts(tx, TENANT)] == ["shopify", "ebay", "amazon"]
        assert accounts(tx, 2) == []


def test_S0_7_live_since_is_the_first_time(store: Store) -> None:
    with transaction(store) as tx:
        account_id = connect(tx)
        for state, at in [("MATCHED", 1), ("PREVIEWED", 2), ("LIVE", 3), ("PAUSED", 4), ("LIVE", 5)]:
            set_state(tx, TENANT, account_id, state, NOW + at)
            assert accounts(tx, TENANT)[0].state == state
        assert accounts(tx, TENANT)[0].live_at == NOW + 3


def test_one_setting_changes_and_the_others_stay(store: Store) -> None:
    with transaction(store) as tx:
        one, other = connect(tx, a="1", b="2"), connect(tx, external_id="seller-2", a="1")
        change_setting(tx, TENANT, one, "b", "3")
        change_setting(tx, TENANT, one, "c", "größe")
        assert {row.account_id: row.settings for row in accounts(tx, TENANT)} == {
            one: {"a": "1", "b": "3", "c": "größe"},
            other: {"a": "1"},
        }


# --- secrets --------------------------------------------------------------------------------------------------------------


def test_I21_a_secret_comes_back_and_lies_sealed(store: Store) -> None:
    with transaction(store) as tx:
        assert load_secret(tx, SEALER, 1, 1, "account") is None
        assert save_secret(tx, SEALER, 1, 1, "account", TOKEN, None, NOW).version == 0
        found = load_secret(tx, SEALER, 1, 1, "account")
        assert found is not None and found.values == TOKEN.values
        row = tx.one("SELECT sealed FROM credential")
        assert row is not None
        assert b"r-123" not in bytes(row[0]) and b"refresh" not in bytes(row[0])
        assert load_secret(tx, SEALER, 1, 1, "app") is None
        assert load_secret(tx, SEALER, 1, 2, "account") is None


def test_F42_the_first_of_two_renewals_wins_and_the_second_is_given_it(store: Store) -> None:
    with transaction(store) as tx:
        save_secret(tx, SEALER, 1, 1, "account", TOKEN, None, NOW)
        first = save_secret(tx, SEALER, 1, 1, "account", Secret(values={"t": "first"}), 0, NOW)
        assert (first.values, first.version) == ({"t": "first"}, 1)
        second = save_secret(tx, SEALER, 1, 1, "account", Secret(values={"t": "second"}), 0, NOW)
        assert (second.values, second.version) == ({"t": "first"}, 1)
        assert load_secret(tx, SEALER, 1, 1, "account") == first


def test_a_person_who_connects_again_replaces_whatever_is_there(store: Store) -> None:
    with transaction(store) as tx:
        for version in range(3):
            assert save_secret(tx, SEALER, 1, 1, "account", TOKEN, None, NOW).version == version


def test_a_secret_whose_key_is_lost_can_be_replaced_but_not_read(store: Store) -> None:
    other = Sealer(b"o" * 32)
    with transaction(store) as tx:
        save_secret(tx, SEALER, 1, 1, "account", TOKEN, None, NOW)
        with pytest.raises(OtherKey):
            load_secret(tx, other, 1, 1, "account")
        assert save_secret(tx, other, 1, 1, "account", Secret(values={"t": "new"}), None, NOW).version == 1
        found = load_secret(tx, other, 1, 1, "account")
        assert found is not None and found.values == {"t": "new"}


def test_I20_a_sealed_row_moved_to_another_account_does_not_open(store: Store) -> None:
    with transaction(store) as tx:
        save_secret(tx, SEALER, 1, 1, "account", TOKEN, None, NOW)
        tx.run("UPDATE credential SET tenant_id = 2")
        with pytest.raises(SealBroken):
            load_secret(tx, SEALER, 2, 1, "account")
