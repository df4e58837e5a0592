"""Is anybody listening? A channel that can't be heard, and hours in which the service itself did not run.

In: feeds, how often each account is polled, the service's own pulse. Out: tasks. Tables: upkeep (the row of account 0).
Never: takes a pause of the merchant's for silence; asks a channel.
"""

from __future__ import annotations

from collections.abc import Mapping

from oneshelf.core.instants import SECOND, from_us
from oneshelf.db.journal import close_task, note, open_task
from oneshelf.db.tx import Tx

from .accounts import accounts_now

#: How often it is looked, and the pulse is kept.
LOOK_EVERY_S = 60
#: A channel that was not heard for so long, or for so many polls if they are rarer, is silent. So long without a pulse the service stood.
SILENT_S = 15 * 60
POLLS_MISSED = 3
_PULSE = "pulse"


def look(tx: Tx, tenant_id: int, poll_s: Mapping[int, float], running_since: int, now: int) -> bool:
    """Keep the pulse, and open or close the task of each live account. At most every LOOK_EVERY_S; cheap before. Returns whether it looked.

    `poll_s`: seconds between two polls, by account. `running_since`: nobody is silent for what we slept through ourselves.
    """
    last = _last_pulse(tx, tenant_id)
    if last is not None and last <= now < last + LOOK_EVERY_S * SECOND:
        return False
    _keep_pulse(tx, tenant_id, now)
    for one in accounts_now(tx, tenant_id):
        after = round(max(SILENT_S, POLLS_MISSED * poll_s.get(one.account_id, 0.0))) * SECOND
        since = one.failing_since
        if since is None:
            since = max(one.polled_at or running_since, running_since)
        if one.state == "LIVE" and one.account_id in poll_s and since <= now - after:
            what = f"{one.name} can't be heard since {from_us(since):%Y-%m-%d %H:%M} UTC"
            why = one.problem or "It was not asked: the service is busy or stuck"
            open_task(tx, tenant_id, now, "channel_silent", str(one.account_id), what, why)
        else:
            close_task(tx, tenant_id, now, "channel_silent", str(one.account_id))
    return True


def after_start(tx: Tx, tenant_id: int, now: int) -> None:
    """At a start: say for how long nothing was done, if that was long and an account was live. Orders of that time are fetched now."""
    last = _last_pulse(tx, tenant_id)
    live = tx.one("SELECT 1 FROM account WHERE tenant_id = :t AND state = 'LIVE' LIMIT 1", t=tenant_id)
    if last is not None and live is not None and now - last >= SILENT_S * SECOND:
        span = f"{from_us(last):%Y-%m-%d %H:%M} to {from_us(now):%Y-%m-%d %H:%M} UTC"
        what = "Nothing was synchronised for a while"
        why = f"Oneshelf did not run from {span}. Orders of that time are fetched and numbers are told now"
        open_task(tx, tenant_id, now, "sync_stopped", "", what, why)
        note(tx, tenant_id, now, "oneshelf", "The service did not run for a while", "service", since=last)
    _keep_pulse(tx, tenant_id, now)


def _last_pulse(tx: Tx, tenant_id: int) -> int | None:
    row = tx.one(
        "SELECT done_at FROM upkeep WHERE tenant_id = :t AND account_id = 0 AND name = :n", t=tenant_id, n=_PULSE
    )
    return None if row is None else row[0]


def _keep_pulse(tx: Tx, tenant_id: int, now: int) -> None:
    tx.run(
        """INSERT INTO upkeep (tenant_id, account_id, name, done_at) VALUES (:t, 0, :n, :now)
           ON CONFLICT (tenant_id, account_id, name) DO UPDATE SET done_at = excluded.done_at""",
        t=tenant_id,
        n=_PULSE,
        now=now,
    )
