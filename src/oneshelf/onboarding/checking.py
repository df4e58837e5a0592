"""Is an account as it should be? The channel's own word, and ours: is it heard, read and told.

In: a running account. Out: findings, each with what to do. Never: changes anything.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from oneshelf.channels.abilities import Checks
from oneshelf.channels.contract import Channel, Finding, Http, Hub, HubLocation, NoAnswer
from oneshelf.core.errors import Closed, Park, Retry, SignInAgain, UsedUp
from oneshelf.core.instants import SECOND, to_us
from oneshelf.core.secret import Secret
from oneshelf.db.tx import Tx
from oneshelf.watch.accounts import NAMES

#: A feed that was not complete for so many of its poll intervals is late; never less than the shortest.
LATE_AFTER_POLLS = 5
LATE_AFTER_S_MIN = 300.0
#: Messages that wait longer than this to be handled are too many, or nobody handles them.
INBOX_LATE_US = 300 * SECOND
#: Clocks further apart than this are told. Etsy's webhooks are refused from 5 minutes on.
CLOCK_OFF_S = 60.0
#: How long one call of a check may wait for a free call: a person waits for the answer.
PATIENCE_S = 15.0
#: A consent that ends within so many days is renewed by a person in time.
CONSENT_DAYS = 14


class AccountChecked(msgspec.Struct, frozen=True):
    """What one account's check found."""

    account_id: int
    channel: str
    label: str
    state: str
    ok: bool
    findings: list[Finding]


async def ask_channel(channel: Channel, http: Http, callback_url: str | None, app: Mapping[str, str]) -> list[Finding]:
    """Ask the channel itself: access, scopes, subscriptions, features. Never raises for what it answers."""
    try:
        if isinstance(channel, Checks):
            return await channel.check(http, callback_url, app)
        who = await channel.who(http)
        return [Finding(f"Signed in as {who.label}", True, code="access")]
    except SignInAgain as error:
        todo = f"Connect the account again: oneshelf channels connect {channel.name}. The channel said: {error}"
        return [Finding("The channel takes our credentials", False, todo, code="access")]
    except UsedUp as error:
        return [_used_up(channel, error)]
    except Closed as error:
        what, todo = (
            f"{_name(channel)} serves this account",
            f"Log in to {_name(channel)} and see what it asks of you: {error}",
        )
        return [Finding(what, False, todo, code="access", which="closed")]
    except (NoAnswer, Retry) as error:
        return [_no_answer(channel, error)]
    except Park as error:
        return [Finding("The channel can be asked", False, str(error), code="access")]


def _name(channel: Channel) -> str:
    return NAMES[channel.name]


async def places_of(channel: Channel, http: Http) -> list[HubLocation]:
    """Return the shop's locations, none for a marketplace or where they can't be read now (the channel's own findings say why)."""
    if not isinstance(channel, Hub):
        return []
    try:
        return await channel.locations(http)
    except (NoAnswer, Retry, Park):
        return []


def _used_up(channel: Channel, error: Retry) -> Finding:
    name, wait_s = _name(channel), error.wait_s
    when = "as soon as some are free" if wait_s is None else f"in {_span(wait_s)}"
    todo = (
        f"{name} lets us make no more calls for now, so no number and no order passes. It goes on by itself {when}. If this comes "
        f"often: poll it less (ONESHELF_POLL_{channel.name.upper()}_S), or ask {name} for more calls a day. It said: {error}"
    )
    return Finding(f"{name} lets us call", False, todo, code="quota")


def _no_answer(channel: Channel, error: Exception) -> Finding:
    name = _name(channel)
    todo = (
        f"Nothing to do but wait: {name} is down or can't be reached from here. Oneshelf keeps trying, and catches up with orders and "
        f"numbers by itself. Look again in a few minutes; if other channels are silent too, look at this machine's network. "
        f"What happened: {error}"
    )
    return Finding(f"{name} answers", False, todo, code="answer")


def clock(channel: Channel, ahead_s: float) -> Finding:
    """Compare our clock with the channel's (by the Date of its last answer)."""
    what, name = "This machine's clock is right", _name(channel)
    if abs(ahead_s) <= CLOCK_OFF_S:
        return Finding(what, True, code="clock")
    side = "behind" if ahead_s > 0 else "ahead of"
    todo = (
        f"It is {_span(abs(ahead_s))} {side} {name}'s: set it, and let it be kept right (timedatectl set-ntp true). Until then "
        "webhooks may be refused as too old, and sign-ins and orders may be taken for later or earlier than they were."
    )
    return Finding(what, False, todo, code="clock")


def locations(tx: Tx, tenant_id: int, places: Sequence[HubLocation]) -> list[Finding]:
    """Look whether every location that we count stock from is still open in the shop."""
    open_ids = {place.location_id for place in places if place.active}
    rows = tx.all(
        "SELECT location_id, name FROM location WHERE tenant_id = :t AND active = 1 AND in_scope = 1 ORDER BY priority",
        t=tenant_id,
    )
    return [
        Finding(
            f"Location {name} is open",
            location_id in open_ids,
            ""
            if location_id in open_ids
            else f"{name} is deactivated in Shopify, and Oneshelf still counts its pieces. Activate it in Shopify (Settings → "
            "Locations), or move its stock to a location that fulfils online orders and connect the shop again.",
            code="location",
            which=name,
        )
        for location_id, name in rows
    ]


#: The channel's own word on these explains why polls fail and why a task asks to connect again: it is said once.
_CAUSES = ("access", "answer", "quota")


def without_consequences(asked: Sequence[Finding], own: Sequence[Finding]) -> list[Finding]:
    """Return our own findings but those that follow from what the channel said of itself."""
    if not any(one.code in _CAUSES and not one.ok for one in asked):
        return list(own)
    return [
        one
        for one in own
        if one.ok
        or not (one.code in ("feed", "catalogue", "subscription") or (one.code, one.which) == ("access", "task"))
    ]


def own_findings(
    tx: Tx, tenant_id: int, account_id: int, channel: Channel, poll_s: float, secret: Secret | None, now: datetime
) -> list[Finding]:
    """Look at our side of an account: credentials, feed, queue of messages, subscriptions, and what waits for a person."""
    at = to_us(now)
    return [
        _credentials(secret, now),
        _feed(tx, tenant_id, account_id, channel, poll_s, at),
        _inbox(tx, tenant_id, account_id, at),
        *_subscriptions(tx, tenant_id, account_id),
        *_tasks(tx, tenant_id, account_id),
        _catalogue(tx, tenant_id, account_id),
    ]


def _credentials(secret: Secret | None, now: datetime) -> Finding:
    what = "Credentials are stored"
    if secret is None:
        return Finding(what, False, "Connect the account again.", code="credentials")
    ends = secret.values.get("refresh_expires_at", "")
    try:
        left = None if not ends else (datetime.fromisoformat(ends) - now).total_seconds() / 86_400
    except (ValueError, TypeError):
        left = None
    if left is not None and left < CONSENT_DAYS:
        todo = f"The consent ends in {max(0, round(left))} days: connect the account again before."
        return Finding(what, False, todo, code="credentials")
    return Finding(what, True, code="credentials")


def _feed(tx: Tx, tenant_id: int, account_id: int, channel: Channel, poll_s: float, now: int) -> Finding:
    row = tx.one(
        "SELECT complete_through_at, polled_at, failing_since, problem FROM feed WHERE tenant_id = :t AND account_id = :a "
        "AND name = 'orders'",
        t=tenant_id,
        a=account_id,
    )
    what = "Orders are heard by polling"
    if row is None or row[1] is None:
        return Finding(what, False, "No poll has ended yet: is the service running? oneshelf serve", code="feed")
    complete, polled_at, failing_since, problem = row
    if failing_since is not None:
        return Finding(what, False, f"It fails since {_ago(failing_since, now)}: {problem}", code="feed")
    late_us = round(max(LATE_AFTER_S_MIN, LATE_AFTER_POLLS * poll_s + channel.can.visibility_delay_s) * SECOND)
    if now - max(polled_at, complete or 0) > late_us:
        return Finding(
            what, False, f"The last poll was {_ago(polled_at, now)} ago: is the service running?", code="feed"
        )
    return Finding(what, True, code="feed")


def _ago(at: int, now: int) -> str:
    return _span(max(0, now - at) / SECOND)


def _span(seconds: float) -> str:
    if seconds < 59.5:
        return f"{math.ceil(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{round(minutes / 60)} h"


def _inbox(tx: Tx, tenant_id: int, account_id: int, now: int) -> Finding:
    row = tx.one(
        "SELECT COUNT(*), MIN(received_at) FROM inbox WHERE tenant_id = :t AND state = 'NEW' AND account_id = :a",
        t=tenant_id,
        a=account_id,
    )
    what = "Messages are handled"
    if row is not None and row[1] is not None and now - row[1] > INBOX_LATE_US:
        todo = f"{row[0]} wait, the oldest for {_ago(row[1], now)}: is the service running, is the shop connected?"
        return Finding(what, False, todo, code="inbox")
    return Finding(what, True, code="inbox")


def _subscriptions(tx: Tx, tenant_id: int, account_id: int) -> list[Finding]:
    row = tx.one(
        "SELECT state, problem FROM upkeep WHERE tenant_id = :t AND account_id = :a AND name = 'subscriptions'",
        t=tenant_id,
        a=account_id,
    )
    if row is None:
        return []
    kept: dict[str, Any] = json.loads(row[0])
    # A feature (eBay's out-of-stock control) is asked for at every check: what it was an hour ago says nothing any more.
    bad = [one for one in kept.get("findings", []) if not one["ok"] and one.get("code", "") != "feature"]
    if row[1] or bad:
        todo = row[1] or "; ".join(f"{one['what']}: {one.get('todo', '')}" for one in bad)
        return [Finding("Subscriptions were there at the last hourly look", False, todo, code="subscription")]
    return [Finding("Subscriptions were there at the last hourly look", True, code="subscription")]


def _tasks(tx: Tx, tenant_id: int, account_id: int) -> list[Finding]:
    rows = tx.all(
        "SELECT kind, what, why FROM task WHERE tenant_id = :t AND closed_at IS NULL AND subject = :a "
        "AND kind IN ('connect_again', 'queue_not_usable') ORDER BY task_no",
        t=tenant_id,
        a=str(account_id),
    )
    codes = {"connect_again": "access", "queue_not_usable": "queue"}
    return [Finding(what, False, why or what, code=codes[kind], which="task") for kind, what, why in rows]


def _catalogue(tx: Tx, tenant_id: int, account_id: int) -> Finding:
    row = tx.one(
        "SELECT problem, failures FROM upkeep WHERE tenant_id = :t AND account_id = :a AND name = 'catalogue'",
        t=tenant_id,
        a=account_id,
    )
    what = "The catalogue is read again every night"
    if row is not None and row[0]:
        return Finding(what, False, f"It stopped {row[1]} times: {row[0]}", code="catalogue")
    return Finding(what, True, code="catalogue")
