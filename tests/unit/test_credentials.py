"""A session's secret: opened once, durable before it is used, never older than what another worker stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.unit.seeding import NOW

from oneshelf.core.errors import SignInAgain
from oneshelf.core.secret import Secret
from oneshelf.db.store import Store
from oneshelf.runtime.clock import ManualClock
from oneshelf.runtime.writer import Writer
from oneshelf.tenants.accounts import load_secret, save_secret
from oneshelf.tenants.credentials import HeldCredentials, StoredCredentials
from oneshelf.tenants.seal import Sealer

SEALER = Sealer(b"k" * 32)


@pytest.fixture
async def writer(store: Store) -> AsyncIterator[Writer]:
    store.close()
    writer = Writer(store)
    await asyncio.to_thread(writer.start)
    yield writer
    await asyncio.to_thread(writer.stop)
    store.open()


def credentials(writer: Writer, account_id: int = 1) -> StoredCredentials:
    return StoredCredentials(writer, SEALER, ManualClock(), 1, account_id)


async def put(writer: Writer, token: str, account_id: int = 1) -> None:
    await writer.do(
        lambda tx: save_secret(tx, SEALER, 1, account_id, "account", Secret(values={"t": token}), None, NOW)
    )


async def test_an_account_without_credentials_must_be_connected_again(writer: Writer) -> None:
    with pytest.raises(SignInAgain, match="Account 1 has no credentials. Connect it again"):
        await credentials(writer).load()


async def test_what_is_stored_is_loaded_and_opened_once(writer: Writer) -> None:
    await put(writer, "one")
    mine = credentials(writer)
    assert (await mine.load()).values == {"t": "one"}
    steps = writer.steps
    assert (await mine.load()).values == {"t": "one"}
    assert writer.steps == steps


async def test_a_renewed_secret_is_durable_when_it_is_returned(writer: Writer) -> None:
    await put(writer, "one")
    mine = credentials(writer)
    held = await mine.load()
    renewed = await mine.save(Secret(values={"t": "two"}), held.version)
    assert (renewed.values, renewed.version) == ({"t": "two"}, 1)
    with writer.store.reader() as tx:
        assert load_secret(tx, SEALER, 1, 1, "account") == renewed
    assert await mine.load() == renewed
    assert await credentials(writer).load() == renewed


async def test_F42_of_two_workers_that_renew_at_once_both_go_on_with_the_same_secret(writer: Writer) -> None:
    await put(writer, "one")
    here, there = credentials(writer), credentials(writer)
    version = (await here.load()).version
    assert (await there.load()).version == version
    ends = await asyncio.gather(
        here.save(Secret(values={"t": "here"}), version), there.save(Secret(values={"t": "there"}), version)
    )
    assert ends[0] == ends[1]
    assert await here.load() == await there.load() == ends[0]


async def test_accounts_have_secrets_of_their_own(writer: Writer) -> None:
    await put(writer, "one", 1)
    await put(writer, "two", 2)
    assert (await credentials(writer, 1).load()).values == {"t": "one"}
    assert (await credentials(writer, 2).load()).values == {"t": "two"}


async def test_before_an_account_has_a_row_its_secret_is_held_in_memory() -> None:
    held = HeldCredentials(Secret(values={"t": "one"}))
    assert (await held.load()).values == {"t": "one"}
    await held.save(Secret(values={"t": "two"}), 0)
    assert (await held.load()).values == {"t": "two"}
