"""Two processes that share an account renew its token once (RELIABILITY F42); one that dies in between blocks nobody for long.

Each process is a session with a store of its own over the same database: they share nothing in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.unit.seeding import NOW, TENANT
from tests.unit.test_session import PATCH, Auth, Channel, budget_seen

from oneshelf.channels import session as sessions
from oneshelf.channels.session import Session
from oneshelf.core.errors import SignInAgain
from oneshelf.core.secret import Secret
from oneshelf.db.store import Store
from oneshelf.publish.limiter import Limiter
from oneshelf.runtime.clock import ManualClock
from oneshelf.runtime.writer import Writer
from oneshelf.tenants.accounts import load_secret, save_secret
from oneshelf.tenants.credentials import LEASE_S, StoredCredentials
from oneshelf.tenants.seal import Sealer

SEALER = Sealer(b"k" * 32)


@pytest.fixture
async def writer(store: Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Writer]:
    monkeypatch.setattr(sessions, "LEASE_LOOK_S", 0.01)
    store.close()
    writer = Writer(store)
    await asyncio.to_thread(writer.start)
    first = Secret(values={"access": "old", "refresh": "r0"})
    await writer.do(lambda tx: save_secret(tx, SEALER, TENANT, 1, "account", first, None, NOW))
    yield writer
    await asyncio.to_thread(writer.stop)
    store.open()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def process(writer: Writer, channel: Channel, clock: ManualClock) -> Session:
    credentials = StoredCredentials(writer, SEALER, clock, TENANT, 1)
    return Session(channel, Auth(), credentials, Limiter((), clock), clock, budget_seen=budget_seen)


async def stored(writer: Writer) -> Secret | None:
    return await writer.do(lambda tx: load_secret(tx, SEALER, TENANT, 1, "account"))


async def test_two_processes_that_find_the_token_refused_renew_it_once(writer: Writer, clock: ManualClock) -> None:
    channel = Channel(clock)
    answers = await asyncio.gather(*(process(writer, channel, clock).request(PATCH) for _ in range(4)))
    assert [answer.status for answer in answers] == [200] * 4
    assert channel.renewals == 1
    kept = await stored(writer)
    assert kept is not None and kept.values == {"access": "a1", "refresh": "r1"}


async def test_one_that_waits_takes_what_the_other_has_stored(writer: Writer, clock: ManualClock) -> None:
    channel = Channel(clock)
    channel.gate = asyncio.Event()
    one, other = (asyncio.ensure_future(process(writer, channel, clock).request(PATCH)) for _ in range(2))
    await asyncio.sleep(0.1)
    channel.gate.set()
    assert [(await one).status, (await other).status] == [200, 200]
    assert channel.renewals == 1


async def test_a_process_that_dies_before_the_answer_is_waited_for_as_long_as_its_lease(
    writer: Writer, clock: ManualClock
) -> None:
    dead = StoredCredentials(writer, SEALER, clock, TENANT, 1)
    assert await dead.lease((await dead.load()).version)  # and is never heard of again
    channel = Channel(clock)
    waiting = asyncio.ensure_future(process(writer, channel, clock).request(PATCH))
    await asyncio.sleep(0.1)
    assert not waiting.done() and channel.renewals == 0
    clock.advance(LEASE_S + 1)
    assert (await waiting).status == 200
    assert channel.renewals == 1


async def test_an_answer_that_was_lost_in_a_crash_asks_a_person_and_frees_the_lease(
    writer: Writer, clock: ManualClock
) -> None:
    """The channel rotated, the process died before it stored: the refresh token that we know is void."""
    channel = Channel(clock)
    dead = StoredCredentials(writer, SEALER, clock, TENANT, 1)
    held = await dead.load()
    assert await dead.lease(held.version)
    channel.access, channel.refresh = "a9", "r9"  # what the dead process was told
    clock.advance(LEASE_S + 1)
    with pytest.raises(SignInAgain):
        await process(writer, channel, clock).request(PATCH)
    again = Secret(values={"access": "a9", "refresh": "r9"})  # connected again
    await writer.do(lambda tx: save_secret(tx, SEALER, TENANT, 1, "account", again, None, NOW))
    assert (await process(writer, channel, clock).request(PATCH)).status == 200


async def test_a_save_that_failed_is_made_up_for_before_anybody_renews_again(
    writer: Writer, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = Channel(clock)
    mine = process(writer, channel, clock)
    real = StoredCredentials.save
    broken = True

    async def save(self: StoredCredentials, secret: Secret, expected_version: int) -> Secret:
        if broken:
            raise OSError("disk full")
        return await real(self, secret, expected_version)

    monkeypatch.setattr(StoredCredentials, "save", save)
    with pytest.raises(OSError):
        await mine.request(PATCH)
    broken = False
    assert (await mine.request(PATCH)).status == 200
    assert channel.renewals == 1
    kept = await stored(writer)
    assert kept is not None and kept.values["refresh"] == "r1"


async def test_an_older_pair_never_replaces_a_newer_one(writer: Writer, clock: ManualClock) -> None:
    one, other = (StoredCredentials(writer, SEALER, clock, TENANT, 1) for _ in range(2))
    version = (await one.load()).version
    newer = await one.save(Secret(values={"access": "new", "refresh": "new"}), version)
    late = await other.save(Secret(values={"access": "late", "refresh": "late"}), version)
    assert late == newer and await stored(writer) == newer
    assert not await other.lease(version)  # of a version that is no longer there
