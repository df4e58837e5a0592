"""Steps of telling: what is due becomes calls, an answer becomes a state. No network here.

In: events, answers. Out: signed calls; deliveries DONE, WAITING for their next try, or GIVEN_UP. Tables it owns: webhook_delivery.
Never: skips an event; gives one message two ids. A process that dies after a call repeats it, under the same `webhook-id`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import msgspec

from oneshelf.core.backoff import backoff_s
from oneshelf.core.errors import NotThere, OneshelfError
from oneshelf.core.instants import SECOND, iso
from oneshelf.core.standard_webhook import headers_for
from oneshelf.db import events
from oneshelf.db.journal import note, open_task
from oneshelf.db.tx import Tx
from oneshelf.tenants.seal import Sealer

from .endpoints import disable, secrets_of

#: Seconds before each further try: three days in all. Source: standard-webhooks.md, "Deliverability and reliability" (a schedule of this
#: kind is recommended there).
RETRIES_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: An endpoint that takes nothing rests between tries, doubling: so long at first and at most.
REST_S, REST_S_MAX = 5, 3_600
#: One that took nothing for so long is disabled, with a task.
DISABLED_AFTER_US = 3 * 86_400 * SECOND
#: How long a call may take, and after how long one without an end is tried again.
CALL_S = 15.0
LEASE_US = 60 * SECOND
#: Calls at once to one endpoint.
AT_ONCE = 8
#: Events that one step hands out to an endpoint.
HANDED_OUT = 500
#: How long an event can be sent again.
KEPT_US = 30 * 86_400 * SECOND
PROBLEM_MAX = 300


class Call(msgspec.Struct, frozen=True):
    """One try: POST `body` to `url`."""

    endpoint: int
    event: int
    url: str
    headers: dict[str, str]
    body: bytes


class Heard(msgspec.Struct, frozen=True):
    """What came of a try: the receiver's status (0: no answer), why not if so, and how long it asked us to wait."""

    status: int
    problem: str = ""
    wait_s: int = 0

    @property
    def taken(self) -> bool:
        return 200 <= self.status < 300


class Delivery(msgspec.Struct, frozen=True):
    """One event for one endpoint. `state`: WAITING (until `due_at`), DONE, GIVEN_UP. Instants as ISO 8601, UTC."""

    event: int
    kind: str
    at: str
    state: str
    tries: int
    status: int
    problem: str
    due_at: str | None
    done_at: str | None


def plan(tx: Tx, sealer: Sealer, tenant_id: int, under_way: Mapping[int, int], now: int) -> list[Call]:
    """1. Hand new events out to the endpoints.  2. Take what is due, as many as each may have at once.  3. Sign.

    `under_way`: calls that each endpoint has now. One that took nothing last time gets one call only, when it has rested.
    """
    calls: list[Call] = []
    for endpoint, url, kinds, failures, rest_until, next_event in tx.all(
        "SELECT endpoint_no, url, kinds, failures, rest_until, next_event FROM webhook_endpoint WHERE tenant_id = :t AND state = 'ACTIVE'",
        t=tenant_id,
    ):
        _hand_out(tx, tenant_id, endpoint, json.loads(kinds), next_event)
        free = (1 if failures else AT_ONCE) - under_way.get(endpoint, 0)
        if free <= 0 or rest_until > now:
            continue
        calls += _due(tx, sealer, tenant_id, endpoint, url, free, now)
    return calls


def _hand_out(tx: Tx, tenant_id: int, endpoint: int, kinds: Sequence[str], next_event: int) -> None:
    new = tx.all(
        "SELECT event_no, kind FROM event WHERE tenant_id = :t AND event_no >= :next ORDER BY event_no LIMIT :n",
        t=tenant_id,
        next=next_event,
        n=HANDED_OUT,
    )
    if not new:
        return
    tx.many(
        "INSERT INTO webhook_delivery (tenant_id, endpoint_no, event_no) VALUES (?, ?, ?) "
        "ON CONFLICT (tenant_id, endpoint_no, event_no) DO NOTHING",
        [(tenant_id, endpoint, event_no) for event_no, kind in new if not kinds or kind in kinds],
    )
    tx.run(
        "UPDATE webhook_endpoint SET next_event = :next WHERE tenant_id = :t AND endpoint_no = :no",
        next=new[-1][0] + 1,
        t=tenant_id,
        no=endpoint,
    )


def _due(tx: Tx, sealer: Sealer, tenant_id: int, endpoint: int, url: str, free: int, now: int) -> list[Call]:
    rows = tx.all(
        """SELECT d.event_no, e.kind, e.at, e.ids FROM webhook_delivery d
             JOIN event e ON e.tenant_id = d.tenant_id AND e.event_no = d.event_no
            WHERE d.tenant_id = :t AND d.endpoint_no = :no AND d.state = 'WAITING' AND d.due_at <= :now
            ORDER BY d.due_at, d.event_no LIMIT :n""",
        t=tenant_id,
        no=endpoint,
        now=now,
        n=free,
    )
    if not rows:
        return []
    try:
        secrets = secrets_of(tx, sealer, tenant_id, endpoint).at(now)
    except OneshelfError as error:
        _disable(
            tx,
            tenant_id,
            endpoint,
            url,
            f"its secret can't be opened: {error}. Make a new one: oneshelf webhooks rotate {endpoint}",
            now,
        )
        return []
    tx.many(
        "UPDATE webhook_delivery SET tries = tries + 1, due_at = ? WHERE tenant_id = ? AND endpoint_no = ? AND event_no = ?",
        [(now + LEASE_US, tenant_id, endpoint, event_no) for event_no, *_ in rows],
    )
    calls = []
    for event_no, kind, at, ids in rows:
        body = msgspec.json.encode({"type": kind, "timestamp": iso(at), "data": json.loads(ids)})
        signed = headers_for(secrets, message_id(tenant_id, event_no), now // SECOND, body)
        calls.append(Call(endpoint, event_no, url, {"content-type": "application/json", **signed}, body))
    return calls


def message_id(tenant_id: int, event_no: int) -> str:
    """Return the id of an event's message: the same at every try and to every endpoint."""
    return f"evt_{tenant_id}_{event_no}"


def settle(tx: Tx, tenant_id: int, call: Call, heard: Heard, now: int) -> None:
    """Take in what came of a try."""
    if heard.taken:
        _end(tx, tenant_id, call, "DONE", heard, now)
        tx.run(
            """UPDATE webhook_endpoint SET failures = 0, failing_since = NULL, rest_until = 0
                WHERE tenant_id = :t AND endpoint_no = :no AND failures > 0""",
            t=tenant_id,
            no=call.endpoint,
        )
        return
    row = tx.one(
        """SELECT d.tries, p.failures, p.failing_since FROM webhook_delivery d
             JOIN webhook_endpoint p ON p.tenant_id = d.tenant_id AND p.endpoint_no = d.endpoint_no
            WHERE d.tenant_id = :t AND d.endpoint_no = :no AND d.event_no = :e AND d.state = 'WAITING'""",
        t=tenant_id,
        no=call.endpoint,
        e=call.event,
    )
    if row is None:
        return  # its endpoint was removed meanwhile
    tries, failures, since = row[0], row[1] + 1, row[2] if row[2] is not None else now
    if tries > len(RETRIES_S):
        _end(tx, tenant_id, call, "GIVEN_UP", heard, now)
    else:
        _put_off(tx, tenant_id, call, heard, now + RETRIES_S[tries - 1] * SECOND)
    rest_s = max(heard.wait_s, int(backoff_s(REST_S, failures - 1, REST_S_MAX)) if failures > 1 else 0)
    tx.run(
        "UPDATE webhook_endpoint SET failures = :f, failing_since = :since, rest_until = :rest WHERE tenant_id = :t AND endpoint_no = :no",
        f=failures,
        since=since,
        rest=now + min(rest_s, REST_S_MAX) * SECOND,
        t=tenant_id,
        no=call.endpoint,
    )
    if heard.status == 410:
        _disable(tx, tenant_id, call.endpoint, call.url, "it answered 410, it wants no more", now)
    elif now - since >= DISABLED_AFTER_US:
        _disable(tx, tenant_id, call.endpoint, call.url, f"it took nothing since {iso(since)}: {heard.problem}", now)


def _end(tx: Tx, tenant_id: int, call: Call, state: str, heard: Heard, now: int) -> None:
    tx.run(
        """UPDATE webhook_delivery SET state = :s, status = :status, problem = :p, done_at = :now
            WHERE tenant_id = :t AND endpoint_no = :no AND event_no = :e""",
        s=state,
        status=heard.status,
        p=heard.problem[:PROBLEM_MAX],
        now=now,
        t=tenant_id,
        no=call.endpoint,
        e=call.event,
    )


def _put_off(tx: Tx, tenant_id: int, call: Call, heard: Heard, due_at: int) -> None:
    tx.run(
        """UPDATE webhook_delivery SET due_at = :due, status = :status, problem = :p
            WHERE tenant_id = :t AND endpoint_no = :no AND event_no = :e""",
        due=due_at,
        status=heard.status,
        p=heard.problem[:PROBLEM_MAX],
        t=tenant_id,
        no=call.endpoint,
        e=call.event,
    )


def _disable(tx: Tx, tenant_id: int, endpoint: int, url: str, why: str, now: int) -> None:
    disable(tx, tenant_id, endpoint, why[:PROBLEM_MAX], now, by="webhooks")
    open_task(
        tx,
        tenant_id,
        now,
        "webhook_disabled",
        str(endpoint),
        f"Look at webhook endpoint {endpoint}: nothing is sent to it any more",
        f"{why[:PROBLEM_MAX]}. What happens is kept for it for 30 days; send it all: oneshelf webhooks enable {endpoint}",
    )


def replay(
    tx: Tx,
    tenant_id: int,
    endpoint: int,
    now: int,
    *,
    by: str,
    since: int | None = None,
    event_nos: Sequence[int] = (),
) -> int:
    """Send events again: these, or all of the endpoint's kinds that happened at `since` (microseconds) or later. Returns how many.

    Raises NotThere for an endpoint or an event that is not kept. The messages have the ids that they had.
    """
    row = tx.one(
        "SELECT kinds FROM webhook_endpoint WHERE tenant_id = :t AND endpoint_no = :no", t=tenant_id, no=endpoint
    )
    if row is None:
        raise NotThere(f"There is no webhook endpoint {endpoint}. `oneshelf webhooks list` shows them.")
    kinds = json.loads(row[0])
    if event_nos:
        rows = tx.all(
            "SELECT event_no, kind FROM event WHERE tenant_id = :t AND event_no {in:nos}",
            t=tenant_id,
            nos=list(event_nos),
        )
        if missing := sorted(set(event_nos) - {no for no, _ in rows}):
            raise NotThere(
                f"There is no event {missing[0]}; after 30 days none is kept. `oneshelf webhooks events` shows them."
            )
        found = [no for no, _ in rows]
    else:
        rows = tx.all(
            "SELECT event_no, kind FROM event WHERE tenant_id = :t AND at >= :since", t=tenant_id, since=since or 0
        )
        found = [no for no, kind in rows if not kinds or kind in kinds]
    tx.many(
        "INSERT INTO webhook_delivery (tenant_id, endpoint_no, event_no, state, due_at) VALUES (?, ?, ?, 'WAITING', ?) "
        "ON CONFLICT (tenant_id, endpoint_no, event_no) DO UPDATE SET state = 'WAITING', tries = 0, due_at = excluded.due_at, done_at = NULL",
        [(tenant_id, endpoint, no, now) for no in found],
    )
    note(tx, tenant_id, now, by, "Webhook events are sent again", f"webhook:{endpoint}", events=len(found))
    return len(found)


def send_test(tx: Tx, tenant_id: int, endpoint: int, now: int) -> int:
    """Send one event of the kind `webhook.test` to an endpoint, whatever its kinds; returns its number. Raises NotThere."""
    (number,) = events.keep(tx, tenant_id, now, "webhook.test", [{"endpoint": endpoint}])
    return number if replay(tx, tenant_id, endpoint, now, by="webhooks", event_nos=[number]) else 0


def deliveries(
    tx: Tx, tenant_id: int, endpoint: int, *, state: str | None = None, before: int | None = None, limit: int = 50
) -> list[Delivery]:
    """Return deliveries to an endpoint, the newest event first; those `before` an event's number."""
    rows = tx.all(
        """SELECT d.event_no, e.kind, e.at, d.state, d.tries, d.status, d.problem, d.due_at, d.done_at FROM webhook_delivery d
             JOIN event e ON e.tenant_id = d.tenant_id AND e.event_no = d.event_no
            WHERE d.tenant_id = :t AND d.endpoint_no = :no AND (CAST(:s AS TEXT) IS NULL OR d.state = :s)
              AND (CAST(:before AS BIGINT) IS NULL OR d.event_no < :before) ORDER BY d.event_no DESC LIMIT :n""",
        t=tenant_id,
        no=endpoint,
        s=state,
        before=before,
        n=limit,
    )
    return [
        Delivery(
            no, kind, iso(at) or "", state, tries, status, problem, iso(due) if state == "WAITING" else None, iso(done)
        )
        for no, kind, at, state, tries, status, problem, due, done in rows
    ]


def forget(tx: Tx, tenant_id: int, now: int) -> None:
    """Forget events that are too old to be sent, and their deliveries; and all, where nobody hears any more."""
    then = now - KEPT_US if has_endpoints(tx, tenant_id) else now
    last = tx.one("SELECT MAX(event_no) FROM event WHERE tenant_id = :t AND at < :then", t=tenant_id, then=then)
    if last is None or last[0] is None:
        return
    for name in ("webhook_delivery", "event"):
        tx.run(f"DELETE FROM {name} WHERE tenant_id = :t AND event_no <= :last", t=tenant_id, last=last[0])


def has_endpoints(tx: Tx, tenant_id: int) -> bool:
    """Whether anybody hears."""
    return tx.one("SELECT 1 FROM webhook_endpoint WHERE tenant_id = :t LIMIT 1", t=tenant_id) is not None
