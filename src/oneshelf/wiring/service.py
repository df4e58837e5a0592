"""The whole product in one process: writer, accounts, loops, and what the web needs of them.

In: settings. Out: a running service. Never: decides.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from oneshelf.channels import amazon, ebay
from oneshelf.channels.abilities import Cancels, Unsubscribes
from oneshelf.channels.contract import Capabilities, Channel, Door, Finding, NoAnswer
from oneshelf.channels.session import Priority, Session
from oneshelf.core.errors import OneshelfError, Stop
from oneshelf.core.ids import HUB, ChannelName
from oneshelf.core.instants import to_us
from oneshelf.core.secret import Secret
from oneshelf.customers import worker as customers
from oneshelf.db.store import Store, store_for
from oneshelf.db.tx import Tx
from oneshelf.intake import queue as queues
from oneshelf.intake import queue_look
from oneshelf.intake import worker as intake
from oneshelf.intake.departed import Departed, handle_departed
from oneshelf.intake.handle import Handled
from oneshelf.intake.signing_keys import SigningKeys
from oneshelf.intake.webhook import Counts, Receiver
from oneshelf.onboarding.leaving import forget_old_secrets, leave
from oneshelf.onboarding.restored import begin_if_restored
from oneshelf.onboarding.signing_in import SignInState as SignInState
from oneshelf.orders import intents, short
from oneshelf.publish import spent, tick_loop
from oneshelf.publish.limiter import AppBudgets, Limiter
from oneshelf.publish.recovery import recover as recover_slots
from oneshelf.publish.ticking import Heard
from oneshelf.routing import places
from oneshelf.routing.policy import in_force
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import Clock, SystemClock
from oneshelf.runtime.transport import AioHttp
from oneshelf.runtime.writer import Writer
from oneshelf.settings import Settings
from oneshelf.shipping import deadlines, telling
from oneshelf.tenants import usage
from oneshelf.tenants.accounts import FIRST_TENANT, AccountRow, accounts, departed_accounts, load_secret
from oneshelf.tenants.credentials import StoredCredentials
from oneshelf.tenants.seal import Sealer, new_key_file
from oneshelf.watch import probe, silence, slowness
from oneshelf.watch.alert_sending import Mail, Sender
from oneshelf.watch.check import Checked
from oneshelf.webhooks import worker as webhooks

from .connectors import build_channel
from .loops import loops_of
from .running import Running

log = structlog.get_logger()

#: How often short lines and deadlines are looked at.
SHORT_LOOK_S = 10.0
#: How long a stop waits for calls under way.
STOP_WITHIN_S = 8.0


def open_sealer(settings: Settings) -> Sealer:
    """Return what seals credentials; the key file is made on the very first start."""
    if not settings.key_path.exists() and not _database_exists(settings):
        settings.key_path.parent.mkdir(parents=True, exist_ok=True)
        return new_key_file(settings.key_path)
    return Sealer.from_file(settings.key_path)


def _database_exists(settings: Settings) -> bool:
    return settings.database.startswith("sqlite:///") and Path(settings.database.removeprefix("sqlite:///")).exists()


class Machine(NamedTuple):
    """What the service has of its machine. The simulator gives it another one, where all of it is virtual."""

    store: Callable[[str], Store] = store_for
    writer: Callable[..., Writer] = Writer
    http: Callable[..., Any] = AioHttp
    queue_client: Callable[..., Any] = queues.sqs_client


class Service:
    """The whole product in one process: writer, loops, and what the web needs of them. One tenant for now."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        tenant_id: int = FIRST_TENANT,
        machine: Machine = Machine(),
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.tenant_id = tenant_id
        #: Who is said to have done what is asked of us: the journal's actor.
        self.by = "merchant"
        self.machine = machine
        self.store: Store = machine.store(settings.database)
        self.writer = machine.writer(self.store, on_broken=self._on_broken)
        self.counts = Counts()
        self.news = Bell()
        self.hub_bell, self.levels_bell, self.privacy_bell, self.planner_bell = Bell(), Bell(), Bell(), Bell()
        self.webhooks_bell = Bell()
        self.stopping = asyncio.Event()
        #: Where the site listens on this machine, once it does.
        self.local_url = ""
        self.sign_ins: dict[str, SignInState] = {}
        self.running: dict[int, Running] = {}
        #: Accounts that were disconnected and of which the platform may still have something to say.
        self.departed: dict[int, Departed] = {}
        self.capabilities: dict[str, Capabilities] = {}
        self.started_at = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._apps: dict[ChannelName, AppBudgets] = {}
        self._keys = SigningKeys(self.clock)
        self._tasks: list[asyncio.Task[Any]] = []
        self._with_loops = True

    # --- life ----------------------------------------------------------------------------------------------------------

    async def start(self, *, loops: bool = True) -> None:
        """1. Key and database.  2. What was under way may have been done.  3. Accounts and their loops.  Raises Stop.

        `loops` False: for one command beside no running service; nothing is told or polled by itself.
        """
        self._with_loops = loops
        self.sealer = open_sealer(self.settings)
        await asyncio.to_thread(self.writer.start)
        self.http = self.machine.http(
            self.clock,
            allow_private=self.settings.allow_private_endpoints,
            max_body=self.settings.answer_body_bytes_max,
        )
        await self.writer.do(self._recover)
        self._running_since = to_us(self.clock.now())
        if loops:
            await self.writer.do(lambda tx: silence.after_start(tx, self.tenant_id, self._running_since))
            self._start_loop(
                intake.handle_loop(
                    self.tenant_id, self._parsers, self.writer, self.clock, self.news, self.stopping, self._on_handled
                )
            )
            self._start_loop(self._short_loop())
            self._start_loop(self.alert_sender().run(self.stopping))
            self._start_loop(
                customers.run(
                    self.tenant_id, self.writer, self.clock, self.privacy_bell, self.stopping, self._handle_departed
                )
            )
        for row in await self.writer.do(lambda tx: accounts(tx, self.tenant_id)):
            await self.run_account(row)
        await self.load_departed()
        if loops:
            self._start_loop(self._webhooks_loop())
            if await self.writer.do(lambda tx: in_force(tx, self.tenant_id)) is not None:
                await asyncio.to_thread(places.load)  # no order waits for the table of towns
            where = (self.tenant_id, self.heard, self.writer, self.clock, self.planner_bell)
            self._start_loop(tick_loop.run(*where, self.stopping, self.wake_numbers))
            probing = (self.tenant_id, self.checked, self.writer, self.clock)
            self._start_loop(probe.run(*probing, self.stopping, self.wake_all))

    def alert_sender(self) -> Sender:
        """What tells people of tasks."""
        where = (self.tenant_id, self.writer, self.clock, self.http, self.sealer)
        return Sender(*where, Mail.of(self.settings), self.settings.public_url or self.local_url)

    def heard(self) -> list[Heard]:
        """How each account is heard (S3.1, S3.2)."""
        return [
            Heard(
                one.account_id,
                one.channel.can,
                self.settings.poll_interval_s(one.channel.name, one.channel.can.poll_interval_s),
                notified=one.is_notified(self.callback_url(one.channel.name)),
                ahead_s=one.session.clock_ahead_s if one.session.clocks_compared else None,
            )
            for one in self.running.values()
        ]

    def checked(self) -> list[Checked]:
        """Return every account as an audit or a probe asks it: behind everything else in its budget."""
        return [
            Checked(one.account_id, one.channel, one.session.with_priority(Priority.VERIFY), one.row.connected_at)
            for one in self.running.values()
        ]

    def _recover(self, tx: Tx) -> None:
        begin_if_restored(tx, self.tenant_id, to_us(self.clock.now()))
        intents.recover(tx, self.tenant_id)
        telling.recover(tx, self.tenant_id)
        recover_slots(tx, self.tenant_id, to_us(self.clock.now()))

    async def _webhooks_loop(self) -> None:
        """Tell what happened, over connections of their own: what is allowed of them is another setting than for channels."""
        http = self.machine.http(
            self.clock, allow_private=self.settings.webhooks_allow_private, max_body=webhooks.ANSWER_MAX
        )
        try:
            await webhooks.run(
                self.tenant_id, http, self.sealer, self.writer, self.clock, self.webhooks_bell, self.stopping
            )
        finally:
            await http.close()

    async def stop(self) -> None:
        """Stop taking news, let calls under way end, keep what was submitted, close."""
        self.stopping.set()
        tasks = [*self._tasks, *(task for one in self.running.values() for task in one.tasks)]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=STOP_WITHIN_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._keep_budgets()
        if hasattr(self, "http"):
            await self.http.close()
        await asyncio.to_thread(self.writer.stop)

    def _on_broken(self, stop: Stop) -> None:
        log.error("database_stopped", problem=str(stop))
        self._loop.call_soon_threadsafe(self.stopping.set)

    def _start_loop(self, loop: Awaitable[Any], of: Running | None = None) -> None:
        task = asyncio.ensure_future(loop)
        (of.tasks if of is not None else self._tasks).append(task)
        task.add_done_callback(self._on_loop_end)

    def _on_loop_end(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled() or task.exception() is None:
            return
        log.error("loop_ended", problem=str(task.exception()))
        self.stopping.set()

    # --- accounts --------------------------------------------------------------------------------------------------------

    def background(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let something run to its end beside the loops; a stop ends it."""
        task = asyncio.ensure_future(work)
        self._tasks.append(task)
        task.add_done_callback(self._tasks.remove)

    def callback_url(self, channel: ChannelName) -> str | None:
        """Return where the channel sends its webhooks; None: nowhere (Amazon: to the queue)."""
        public = self.settings.public_url
        return f"{public}/webhooks/{channel}" if public and channel is not ChannelName.AMAZON else None

    async def stop_account(self, account_id: int) -> Running | None:
        """End an account's loops. What they had under way may have been done: it is looked at when the account runs again."""
        one = self.running.pop(account_id, None)
        if one is None:
            return None
        tasks, one.tasks = one.tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.writer.do(partial(self._recover_account, one=one))
        return one

    def _recover_account(self, tx: Tx, one: Running) -> None:
        recover_slots(tx, one.tenant_id, to_us(self.clock.now()), one.account_id)
        telling.recover(tx, one.tenant_id, one.account_id)
        intents.recover_account(tx, one.tenant_id, one.account_id, is_hub=one.channel.name is HUB)

    async def disconnect(self, account_id: int) -> tuple[list[Finding], int]:
        """Unsubscribe where that can be done, stop the loops, delete the keys, keep the history. Returns what unsubscribing said and
        how many linked listings keep their number."""
        one = self.running[account_id]
        said: list[Finding] = []
        if isinstance(one.channel, Unsubscribes):
            http = one.session.with_priority(Priority.CATALOGUE)
            try:
                said = await one.channel.unsubscribe(http, self.callback_url(one.channel.name), one.app)
            except (NoAnswer, OneshelfError) as error:
                said = [Finding("The channel was told to send nothing more", False, str(error), code="subscription")]
        await self.stop_account(account_id)
        now = to_us(self.clock.now())
        left = await self.writer.do(
            partial(leave, tenant_id=self.tenant_id, account_id=account_id, now=now, by="merchant")
        )
        await self.load_departed()
        return said, left

    async def run_account(self, row: AccountRow) -> Running:
        """Build the connector of a stored account and start its loops; those of an earlier connection end."""
        await self.stop_account(row.account_id)
        self.departed.pop(row.account_id, None)
        channel = build_channel(row.channel, row.settings)
        app = self._apps.setdefault(channel.name, AppBudgets(channel.limits, self.clock, share=self.settings.app_share))
        limiter = Limiter(channel.limits, self.clock, app)
        credentials = StoredCredentials(self.writer, self.sealer, self.clock, row.tenant_id, row.account_id)
        session = Session(self.http, channel.auth, credentials, limiter, self.clock, budget_seen=channel.budget_seen)
        secret = await self.writer.do(lambda tx: load_secret(tx, self.sealer, row.tenant_id, row.account_id, "app"))
        one = Running(row, channel, session, limiter, dict(secret.values) if secret else {})
        await self.writer.do(lambda tx: self._load_budgets(tx, one))
        self.running[row.account_id] = one
        self.capabilities[str(channel.name)] = channel.can
        if self._with_loops:
            for loop in loops_of(self, one):
                self._start_loop(loop, one)
            self.news.ring()  # what came before its connector was there
        return one

    async def load_departed(self) -> None:
        """Know the disconnected accounts whose webhook secret is still kept."""
        rows = await self.writer.do(lambda tx: departed_accounts(tx, self.tenant_id))
        self.departed = {}
        for row in rows:
            secret = await self.writer.do(partial(self._app_of, row=row))
            if secret is not None and row.account_id not in self.running:
                channel = build_channel(row.channel, row.settings)
                self.departed[row.account_id] = Departed(row, channel, dict(secret.values))

    def _app_of(self, tx: Tx, row: AccountRow) -> Secret | None:
        return load_secret(tx, self.sealer, row.tenant_id, row.account_id, "app")

    def _handle_departed(self, tx: Tx) -> int:
        forget_old_secrets(tx, self.tenant_id, to_us(self.clock.now()))
        parsers = {account_id: one.channel for account_id, one in self.departed.items()}
        return handle_departed(tx, self.tenant_id, parsers, to_us(self.clock.now()))

    async def queue_finding(self, one: Running) -> Finding | None:
        """Look whether the account's queue is there and open to its channel. None: it hears through no queue."""
        if not isinstance(one.channel, amazon.Amazon) or not one.channel.account.queue.url:
            return None
        return await queue_look.look(one.channel.account.queue, one.app, amazon.NOTIFICATIONS_ACCOUNT)

    def cancel_channels(self) -> short.Channels:
        """What decisions about short lines need of the connectors."""
        able = {account_id: one.channel for account_id, one in self.running.items() if isinstance(one.channel, Cancels)}

        def link(account_id: int, order_id: str) -> str:
            channel = able.get(account_id)
            return "" if channel is None else channel.cancel_link(order_id)

        return short.Channels({account_id: channel.cancels for account_id, channel in able.items()}, link)

    async def _short_loop(self) -> None:
        """S7, S10.4: short lines past their grace, and orders whose deadline is near."""
        pause = Bell()
        while not self.stopping.is_set():
            await pause.wait(SHORT_LOOK_S, self.stopping)
            try:
                asked, calls = await self.writer.do(lambda tx: (self._look_at_short_lines(tx), self._meter(tx)))
            except Stop:
                raise
            except Exception:
                log.exception("short_lines_failed")
                continue
            self._metered(calls)
            for account_id in asked & self.running.keys():
                self.running[account_id].ship_bell.ring()

    def _meter(self, tx: Tx) -> dict[int, int]:
        """Add the calls since the last time to the tenant's usage. Returns what is in it once this is committed."""
        calls = {one.account_id: one.calls for one in self.running.values()}
        fresh = [(number, count - self.running[number].calls_metered) for number, count in calls.items()]
        usage.add(tx, self.tenant_id, to_us(self.clock.now()), "calls", fresh)
        return calls

    def _metered(self, calls: Mapping[int, int]) -> None:
        for account_id in calls.keys() & self.running.keys():
            self.running[account_id].calls_metered = calls[account_id]

    def _look_at_short_lines(self, tx: Tx) -> set[int]:
        now = to_us(self.clock.now())
        polls = {one.account_id: one.poll_s for one in self.heard()}
        if silence.look(tx, self.tenant_id, polls, self._running_since, now):
            slowness.look(tx, self.tenant_id, now)
        deadlines.alert(tx, self.tenant_id, now)
        return short.decide(tx, self.tenant_id, self.cancel_channels(), now)

    def on_hub_written(self) -> None:
        """A call to the shop was answered: what waited for it is booked, and levels that it says nothing of are read."""
        self.news.ring()
        self.levels_bell.ring()

    def on_shipped(self) -> None:
        """A cancel that was taken is news for stock, hub and listings; the order is read back."""
        self.wake_all()
        for one in self.running.values():
            one.poke_fetch.ring()

    def _parsers(self) -> Mapping[int, Channel]:
        return {account_id: one.channel for account_id, one in self.running.items()}

    def _on_handled(self, done: Handled) -> None:
        """What was booked is news for everybody who tells numbers or parcels; that a feed was heard to its end is for the planner only."""
        self.planner_bell.ring()
        if done.privacy:
            self.privacy_bell.ring()
        if done.rows or done.tell:
            self.hub_bell.ring()
        for account_id, account in self.running.items():
            if account_id in done.tell:
                account.bell.ring()
            if account_id in done.ship:
                account.ship_bell.ring()
        if done.wake_hub:
            self.levels_bell.ring()
        for account_id in done.catalogue:
            if (one := self.running.get(account_id)) is not None:
                one.catalogue_bell.ring()
        for account_id in done.poll:
            if (one := self.running.get(account_id)) is not None:
                one.poke_fetch.ring()

    def on_catalogue(self) -> None:
        self.levels_bell.ring()
        self.wake_all()

    def on_settled(self, held: bool) -> None:
        """A number was read or told."""
        self.planner_bell.ring()
        if held:
            self.wake_numbers()

    def wake_numbers(self) -> None:
        """Levels or offers moved."""
        self.planner_bell.ring()
        self.hub_bell.ring()
        for one in self.running.values():
            one.bell.ring()

    def wake_all(self) -> None:
        self.wake_numbers()
        for one in self.running.values():
            one.ship_bell.ring()

    # --- budgets survive a restart -----------------------------------------------------------------------------------------

    def _load_budgets(self, tx: Tx, one: Running) -> None:
        one.limiter.load(spent.load(tx, one.tenant_id, one.account_id), self.clock.now())

    async def _keep_budgets(self) -> None:
        now = self.clock.now()
        rows = {(one.tenant_id, one.account_id): one.limiter.snapshot(now) for one in self.running.values()}
        if self.writer.broken is None and hasattr(self, "http"):
            if any(rows.values()):
                await self.writer.do(lambda tx: spent.keep(tx, rows))
            self._metered(await self.writer.do(self._meter))

    # --- what the front door needs (intake/webhook.Doors) --------------------------------------------------------------------

    def door(self, channel: ChannelName) -> Door | None:
        return next((one.channel.door for one in self.receivers(channel) if one.channel.can.has_webhooks), None)

    def receiver(self, channel: ChannelName, external_id: str) -> Running | Departed | None:
        return next((one for one in self.receivers(channel) if one.row.external_id == external_id), None)

    def receivers(self, channel: ChannelName) -> list[Running | Departed]:
        """Who may be meant, connected accounts first."""
        everybody: list[Running | Departed] = [*self.running.values(), *self.departed.values()]
        return [one for one in everybody if one.channel.name is channel]

    async def signing_key(self, channel: ChannelName, receiver: Receiver, key_id: str) -> str | None:
        """Return the public key that a webhook names, or None."""
        one = self.running.get(receiver.account_id) or self.departed.get(receiver.account_id)
        if one is None or not isinstance(one.channel, ebay.Ebay):
            return None
        return await self._keys.get(key_id, partial(one.channel.public_key, self.http, key_id, one.app))

    def health(self) -> str | None:
        """Return what is wrong with the service itself, or None."""
        return None if self.writer.broken is None else str(self.writer.broken)
