"""Subscriptions are looked at every hour and made again when the channel dropped them.

In: a running account. Out: its findings, kept; a journal line when something was made again; a task when that can't be done.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
import structlog

from oneshelf.channels.abilities import Checks
from oneshelf.channels.contract import Channel, Finding, Http, NoAnswer
from oneshelf.core.errors import Park, Retry, Stop
from oneshelf.core.instants import SECOND, to_us
from oneshelf.db.journal import close_task, note, open_task
from oneshelf.db.tx import Tx
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer
from oneshelf.watch.accounts import NAMES

log = structlog.get_logger()

EVERY_S = 3_600.0
#: An account was set up a moment ago: its first look need not come at once, nor in an hour.
FIRST_S = 60.0
FAILED_WAIT_S = 300.0
#: Codes of findings that subscribing can mend.
MENDED_BY_SUBSCRIBING = ("subscription", "callback", "queue")


async def run(
    tenant_id: int,
    account_id: int,
    channel: Channel,
    http: Http,
    callback_url: str | None,
    app: Mapping[str, str],
    writer: Writer,
    clock: Clock,
    stop: asyncio.Event,
) -> None:
    """Look every hour, from the last look on, whoever looked (a restart does not begin anew)."""
    pause = Bell()
    first_at = to_us(clock.now()) + round(FIRST_S * SECOND)
    while not stop.is_set():
        row = await writer.do(
            lambda tx: tx.one(
                "SELECT due_at FROM upkeep WHERE tenant_id = :t AND account_id = :a AND name = 'subscriptions'",
                t=tenant_id,
                a=account_id,
            )
        )
        due_at = first_at if row is None else row[0]
        wait_s = (due_at - to_us(clock.now())) / SECOND
        if wait_s > 0:
            await pause.wait(wait_s, stop)
            continue
        try:
            await look(tenant_id, account_id, channel, http, callback_url, app, writer, clock)
        except Stop:
            raise
        except Exception:
            log.exception("subscriptions_not_looked_at", account_id=account_id)
            await pause.wait(FAILED_WAIT_S, stop)


async def look(
    tenant_id: int,
    account_id: int,
    channel: Channel,
    http: Http,
    callback_url: str | None,
    app: Mapping[str, str],
    writer: Writer,
    clock: Clock,
) -> list[Finding]:
    """Look once, mend, keep what was found; returns it."""
    problem, findings, missing = "", [], []
    try:
        if isinstance(channel, Checks):
            before = await channel.check(http, callback_url, app)
            missing = [one for one in before if not one.ok and one.code in MENDED_BY_SUBSCRIBING]
        findings = await channel.subscribe(http, callback_url, app)
    except (NoAnswer, Retry, Park) as error:
        problem = str(error) or type(error).__name__
    await writer.do(
        partial(
            _keep,
            tenant_id=tenant_id,
            account_id=account_id,
            channel=channel,
            findings=findings,
            missing=missing,
            problem=problem,
            now=to_us(clock.now()),
        )
    )
    return findings


def _keep(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    channel: Channel,
    findings: Sequence[Finding],
    missing: Sequence[Finding],
    problem: str,
    now: int,
) -> None:
    wait_s = FAILED_WAIT_S if problem else EVERY_S
    tx.run(
        """INSERT INTO upkeep (tenant_id, account_id, name, state, done_at, due_at, failures, problem)
           VALUES (:t, :a, 'subscriptions', :s, :now, :due, :failed, :p)
           ON CONFLICT (tenant_id, account_id, name) DO UPDATE SET state = excluded.state, done_at = excluded.done_at,
               due_at = excluded.due_at, problem = excluded.problem,
               failures = CASE WHEN excluded.problem = '' THEN 0 ELSE upkeep.failures + 1 END""",
        t=tenant_id,
        a=account_id,
        s=json.dumps({"findings": msgspec.to_builtins(list(findings))}),
        now=now,
        due=now + round(wait_s * SECOND),
        failed=int(bool(problem)),
        p=problem[:500],
    )
    name, subject = NAMES[channel.name], str(account_id)
    if problem:
        return
    bad = [one for one in findings if not one.ok]
    mended = [one for one in missing if not any((b.code, b.which) == (one.code, one.which) for b in bad)]
    for one in mended:
        what = f"{name}: a dropped subscription was made again"
        note(tx, tenant_id, now, "oneshelf", what, f"account:{account_id}", which=one.which or one.what)
    if bad:
        why = "; ".join(f"{one.what}: {one.todo}" for one in bad)
        news = any(one.code in MENDED_BY_SUBSCRIBING for one in bad)
        what = f"{name} does not send us all of its news" if news else f"{name} is not set up as it has to be"
        # What it was about may be in order by now, and something else not.
        tx.run(
            "UPDATE task SET closed_at = :now WHERE tenant_id = :t AND kind = 'subscriptions' AND subject = :s "
            "AND closed_at IS NULL AND what <> :w",
            now=now,
            t=tenant_id,
            s=subject,
            w=what,
        )
        open_task(tx, tenant_id, now, "subscriptions", subject, what, why[:500])
    else:
        close_task(tx, tenant_id, now, "subscriptions", subject)
