"""The whole way of an account, one call: connect, listen, read, preview, live. Progress is told line by line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec
import structlog

from oneshelf.channels.contract import Channel, Finding, Http, Hub
from oneshelf.channels.session import Priority, Session
from oneshelf.core.errors import Park
from oneshelf.core.ids import HUB
from oneshelf.core.instants import from_us, to_us
from oneshelf.db.tx import Tx
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer
from oneshelf.tenants.accounts import AccountRow, accounts
from oneshelf.tenants.seal import Sealer
from oneshelf.watch.accounts import NAMES

from . import hub as hub_load
from . import marketplace
from .connect import Entered, introduce

log = structlog.get_logger()

#: How long the first run of a feed may take before going live gives up waiting for it.
FEED_WITHIN_S = 600.0


class Runs(Protocol):
    """What a started account offers: given by wiring."""

    @property
    def account_id(self) -> int: ...

    @property
    def channel(self) -> Channel: ...
    @property
    def session(self) -> Session: ...
    @property
    def app(self) -> Mapping[str, str]: ...
    @property
    def row(self) -> AccountRow: ...


class Runner(Protocol):
    """The running service as connecting needs it."""

    @property
    def tenant_id(self) -> int: ...
    @property
    def http(self) -> Http: ...
    @property
    def writer(self) -> Writer: ...
    @property
    def sealer(self) -> Sealer: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def running(self) -> Mapping[int, Runs]: ...

    async def run_account(self, row: AccountRow) -> Runs: ...


class BroughtUp(msgspec.Struct):
    """What connecting one account came to."""

    account_id: int
    channel: str
    label: str
    skus: int = 0
    linked: int = 0
    unlinked: int = 0
    findings: list[Finding] = []
    preview: marketplace.Preview | None = None
    live: bool = False


Say = Callable[[str], None]


async def bring_up(
    runner: Runner,
    entered: Entered,
    *,
    build: Callable[[str, Mapping[str, str]], Channel],
    callback_url: str | None,
    say: Say,
    accept: Callable[[marketplace.Preview], Awaitable[bool]],
    look_every_s: float = 1.0,
) -> BroughtUp:
    """Connect one account and, if `accept` says yes to its preview, let it go live.

    Raises SignInAgain, AccountTaken, NotReady, Retry, NoAnswer: what is done so far stays, and calling again goes on from there.
    """
    account_id, who = await introduce(
        entered,
        tenant_id=runner.tenant_id,
        build=build,
        http=runner.http,
        writer=runner.writer,
        sealer=runner.sealer,
        clock=runner.clock,
    )
    say(f"{NAMES[entered.channel]}: connected as {who.label}")
    row = next(
        r for r in await runner.writer.do(lambda tx: accounts(tx, runner.tenant_id)) if r.account_id == account_id
    )
    one = await runner.run_account(row)  # its loops begin anew: credentials and settings may be others
    done = BroughtUp(account_id, entered.channel, who.label)
    http = one.session.with_priority(Priority.CATALOGUE)
    done.findings = await one.channel.subscribe(http, callback_url, one.app)
    for finding in done.findings:
        if not finding.ok:
            say(f"{NAMES[entered.channel]}: {finding.what}: {finding.todo}")
    if one.channel.name is HUB:
        await _bring_up_hub(runner, one, http, done, say, look_every_s)
    else:
        await _bring_up_marketplace(runner, one, http, done, say, accept)
    return done


async def _bring_up_hub(runner: Runner, one: Runs, http: Http, done: BroughtUp, say: Say, look_every_s: float) -> None:
    hub = one.channel
    assert isinstance(hub, Hub)
    where = (runner.tenant_id, one.account_id, hub, http, runner.writer, runner.clock)
    key = await hub.ensure_order_key(http)
    done.findings.append(key)
    if not key.ok:
        raise marketplace.NotReady(f"{key.what}: {key.todo}")
    done.skus = await hub_load.read_catalogue(*where, look_every_s=look_every_s)
    say(f"Shopify: {done.skus} SKUs read")
    levels = await hub_load.open_levels(*where)
    say(f"Shopify: {levels} levels counted")
    await _feed_complete(runner, one.account_id)
    rest = await hub_load.settle_opening(*where)
    if rest:
        say(f"Shopify: {rest} levels have older commitments; they are kept back")
    done.live = True


async def _bring_up_marketplace(
    runner: Runner,
    one: Runs,
    http: Http,
    done: BroughtUp,
    say: Say,
    accept: Callable[[marketplace.Preview], Awaitable[bool]],
) -> None:
    where = (runner.tenant_id, one.account_id, one.channel, http, runner.writer, runner.clock)
    matched = await marketplace.read_catalogue(*where)
    done.linked, done.unlinked = matched.linked, matched.unlinked
    say(f"{NAMES[one.channel.name]}: {matched.linked} listings linked by SKU, {matched.unlinked} not")
    await marketplace.read_numbers(*where)
    await _feed_complete(runner, one.account_id)

    def look(tx: Tx) -> marketplace.Preview:
        return marketplace.preview(tx, runner.tenant_id, one.account_id, one.channel.can, to_us(runner.clock.now()))

    done.preview = await runner.writer.do(look)
    held = marketplace.held_back(done.findings)
    if held:
        say(f"{one.channel.name.title()}: not live: {held}")
        return
    if await accept(done.preview):
        now = to_us(runner.clock.now())
        shown = done.preview

        def live(tx: Tx) -> None:
            marketplace.go_live(tx, runner.tenant_id, one.account_id, shown, now, accepted=True, accepted_zeros=True)

        await runner.writer.do(live)
        done.live = True
        say(
            f"{NAMES[one.channel.name]}: live ({shown.right} right, {shown.lower} lower, {shown.to_zero} to 0, {shown.higher} higher)"
        )


async def _feed_complete(runner: Runner, account_id: int) -> None:
    """S0.7: the feed has been read through its start, and what it brought is booked."""
    deadline = runner.clock.monotonic() + FEED_WITHIN_S
    while runner.clock.monotonic() < deadline:
        row = await runner.writer.do(
            lambda tx: tx.one(
                "SELECT complete_through_at, problem, (SELECT COUNT(*) FROM inbox i WHERE i.tenant_id = :t AND i.account_id = :a "
                "AND i.state = 'NEW') FROM feed WHERE tenant_id = :t AND account_id = :a AND name = 'orders'",
                t=runner.tenant_id,
                a=account_id,
            )
        )
        if row is not None and row[0] is not None and row[2] == 0:
            return
        await asyncio.sleep(0.1)
    problem = row[1] if row is not None and row[1] else "it did not end in time"
    raise Park(f"The order feed could not be read through {from_us(to_us(runner.clock.now())):%H:%M}: {problem}")
