"""Alerts: who is told of tasks, what is still to be told, and that it was. The outbox side; `watch/alert_sending` does the network.

1. A task leaves a row a receiver in its own transaction (db/journal).  2. Deadlines that near, tasks that are over or no more put off
leave theirs here.  3. A message is composed and kept with its key.  4. It is sent; it is recorded. Between 3 and 4 a crash sends it
once more, with the same key.
Tables it owns: alert_receiver, alert, alert_message. Never: tells one stage of a task twice; forgets one; sends anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from oneshelf.core.alerts import GAP_S, GATHER_S, NAMED_MAX, Told, is_quiet, nearing_at, retry_wait_s
from oneshelf.core.errors import NotThere, Park
from oneshelf.core.instants import SECOND, from_us
from oneshelf.core.standard_webhook import secret_of
from oneshelf.core.tasks import SEVERITIES, kind_of
from oneshelf.db.journal import close_task, note, open_task, tell
from oneshelf.db.tx import Tx, next_values
from oneshelf.tenants.seal import Sealer

Way = Literal["email", "webhook"]
#: A receiver whose message is not taken for so long is a task for those who can be told, seconds.
FAILING_S = 3600
_EMAIL = re.compile(r"[^@\s\x00-\x1f<>,;:\"()\[\]\\]+@[A-Za-z0-9.-]+\.[A-Za-z0-9-]{2,}")
_SECRET = "alert"


class NotTaken(Park):
    """The receiver can't be kept as it was given; nothing was changed."""


class Receiver(msgspec.Struct, frozen=True):
    """Who is told. `least`: the mildest severity that is told; `quiet_from`, `quiet_until`: minutes of the day in `timezone`, None: never
    quiet. Urgent ones are told at any hour. `waiting`: stages not told yet; `problem`: why the last try was not taken."""

    receiver: int
    way: Way
    address: str
    least: str
    quiet_from: int | None
    quiet_until: int | None
    timezone: str
    added_at: datetime
    last_told_at: datetime | None
    waiting: int
    problem: str


class Outgoing(msgspec.Struct, frozen=True):
    """A message to send now. `count`: of its stages, of which `told` holds the first; none of them: a test. `sealed`: a webhook's secret."""

    message_no: int
    message_key: str
    receiver_no: int
    way: Way
    address: str
    sealed: bytes | None
    told: list[Told]
    count: int
    attempts: int


# --- receivers -------------------------------------------------------------------------------------------------------------


def add_receiver(
    tx: Tx,
    tenant_id: int,
    way: str,
    address: str,
    now: int,
    *,
    by: str,
    least: str = "warning",
    quiet: str = "",
    timezone: str = "UTC",
    sealer: Sealer | None = None,
    random_bytes: bytes = b"",
    plain_http: bool = False,
) -> tuple[int, str]:
    """Keep who is to be told of tasks from now on. Returns its number and, for a webhook, the secret that its calls are signed with.

    `quiet`: "22:00-07:00", or "". `random_bytes`: 32, for the secret. Raises NotTaken with words.
    """
    if way == "email" and not _EMAIL.fullmatch(address):
        raise NotTaken(f"{address!r} is no e-mail address.")
    if way == "webhook":
        _check_url(address, plain_http)
    if way not in ("email", "webhook"):
        raise NotTaken(f"{way!r} is no way to tell anybody. Say email or webhook.")
    if least not in SEVERITIES:
        raise NotTaken(f"{least!r} is no severity. Say {', '.join(SEVERITIES)}.")
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise NotTaken(f"{timezone!r} is no time zone. Say one as Europe/Berlin.") from None
    quiet_from, quiet_until = _quiet(quiet)
    same = tx.one(
        "SELECT receiver_no FROM alert_receiver WHERE tenant_id = :t AND way = :w AND address = :a AND removed_at IS NULL",
        t=tenant_id,
        w=way,
        a=address,
    )
    if same is not None:
        raise NotTaken(f"Receiver {same[0]} is told there already. To change it, remove it first.")
    number = next_values(tx, tenant_id, "alert_receiver")[0]
    secret = secret_of(random_bytes) if way == "webhook" else ""
    sealed = sealer.seal(secret.encode(), tenant_id, number, _SECRET) if secret and sealer is not None else None
    tx.run(
        """INSERT INTO alert_receiver (tenant_id, receiver_no, way, address, least, quiet_from, quiet_until, timezone, sealed, added_at)
           VALUES (:t, :n, :w, :a, :least, :qf, :qu, :tz, :sealed, :now)""",
        t=tenant_id,
        n=number,
        w=way,
        a=address,
        least=SEVERITIES.index(least),  # type: ignore[arg-type]
        qf=quiet_from,
        qu=quiet_until,
        tz=timezone,
        sealed=sealed,
        now=now,
    )
    note(tx, tenant_id, now, by, "A receiver of alerts was added", f"alert_receiver:{number}", way=way, least=least)
    return number, secret


def _check_url(address: str, plain_http: bool) -> None:
    try:
        parts = urlsplit(address)
        fine = bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        fine = False
    if not fine or parts.scheme not in ("https", "http") or (parts.scheme == "http" and not plain_http):
        raise NotTaken("A webhook's address begins with https:// and holds no password.")


def _quiet(text: str) -> tuple[int | None, int | None]:
    if not text:
        return None, None
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", text)
    if found is None:
        raise NotTaken(f"{text!r} are no quiet hours. Write them as 22:00-07:00.")
    from_h, from_m, until_h, until_m = map(int, found.groups())
    return from_h * 60 + from_m, until_h * 60 + until_m


def remove_receiver(tx: Tx, tenant_id: int, receiver_no: int, now: int, *, by: str) -> None:
    """Tell a receiver nothing any more; what was not told yet is dropped. Raises NotThere."""
    gone = tx.run(
        "UPDATE alert_receiver SET removed_at = :now, sealed = NULL, address = '' "
        "WHERE tenant_id = :t AND receiver_no = :n AND removed_at IS NULL",
        now=now,
        t=tenant_id,
        n=receiver_no,
    )
    if not gone:
        raise NotThere(f"There is no receiver {receiver_no}. `oneshelf alerts list` shows them.")
    tx.run(
        "UPDATE alert SET state = 'DROPPED' WHERE tenant_id = :t AND receiver_no = :n AND state IN ('NEW', 'TAKEN')",
        t=tenant_id,
        n=receiver_no,
    )
    tx.run(
        "UPDATE alert_message SET state = 'DROPPED' WHERE tenant_id = :t AND receiver_no = :n AND state = 'WAITING'",
        t=tenant_id,
        n=receiver_no,
    )
    note(tx, tenant_id, now, by, "A receiver of alerts was removed", f"alert_receiver:{receiver_no}")
    _tell_failing(tx, tenant_id, now)


def receivers(tx: Tx, tenant_id: int) -> list[Receiver]:
    """Return who is told, and how that goes."""
    rows = tx.all(
        """SELECT r.receiver_no, r.way, r.address, r.least, r.quiet_from, r.quiet_until, r.timezone, r.added_at,
                  (SELECT MAX(m.sent_at) FROM alert_message m WHERE m.tenant_id = r.tenant_id AND m.receiver_no = r.receiver_no AND m.state = 'SENT'),
                  (SELECT COUNT(*) FROM alert a WHERE a.tenant_id = r.tenant_id AND a.receiver_no = r.receiver_no AND a.state IN ('NEW', 'TAKEN')),
                  (SELECT MAX(m.problem) FROM alert_message m WHERE m.tenant_id = r.tenant_id AND m.receiver_no = r.receiver_no AND m.state = 'WAITING')
             FROM alert_receiver r WHERE r.tenant_id = :t AND r.removed_at IS NULL ORDER BY r.receiver_no""",
        t=tenant_id,
    )
    return [
        Receiver(
            no, way, to, SEVERITIES[least], quiet_from, quiet_until, zone, from_us(added), _at(last), waiting, why or ""
        )
        for no, way, to, least, quiet_from, quiet_until, zone, added, last, waiting, why in rows
    ]


def _at(us: int | None) -> datetime | None:
    return None if us is None else from_us(us)


# --- what is to be told ---------------------------------------------------------------------------------------------------


def anybody(tx: Tx, tenant_id: int) -> bool:
    """Whether there is anybody to be told."""
    row = tx.one("SELECT 1 FROM alert_receiver WHERE tenant_id = :t AND removed_at IS NULL LIMIT 1", t=tenant_id)
    return row is not None


def notice(tx: Tx, tenant_id: int, now: int) -> None:
    """Leave word of what time or the world has done to tasks that are known: a deadline nears or has passed, a task is over, one is no
    more put off. Idempotent: a stage is a key."""
    for task_no, until in tx.all(
        "SELECT task_no, snoozed_until FROM task WHERE tenant_id = :t AND closed_at IS NULL AND snoozed_until <= :now",
        t=tenant_id,
        now=now,
    ):
        row = tx.one("SELECT kind FROM task WHERE tenant_id = :t AND task_no = :n", t=tenant_id, n=task_no)
        tx.run("UPDATE task SET snoozed_until = NULL WHERE tenant_id = :t AND task_no = :n", t=tenant_id, n=task_no)
        tell(tx, tenant_id, task_no, f"again/{until}", kind_of(row[0] if row else "").rank, now)
    for task_no, opened_at, due_at, snoozed in tx.all(
        "SELECT task_no, opened_at, due_at, snoozed_until FROM task WHERE tenant_id = :t AND closed_at IS NULL AND due_at <= :soon",
        t=tenant_id,
        soon=now + (now - nearing_at(now)),
    ):
        if due_at <= now:
            if opened_at < due_at:  # one that was late when it was opened said so then
                tell(tx, tenant_id, task_no, "overdue", 0, now)
        elif opened_at < nearing_at(due_at) and snoozed is None:
            tell(tx, tenant_id, task_no, "nearing", 0, now)
    _over(tx, tenant_id, now)


def _over(tx: Tx, tenant_id: int, now: int) -> None:
    """A task that ended before it was told is not told. One that was told is told to be over, but for mere notices."""
    ended = tx.all(
        """SELECT a.receiver_no, a.task_no, a.stage, a.state, k.kind FROM alert a
             JOIN task k ON k.tenant_id = a.tenant_id AND k.task_no = a.task_no
            WHERE a.tenant_id = :t AND a.state IN ('NEW', 'TOLD') AND a.stage <> 'closed' AND k.closed_at IS NOT NULL""",
        t=tenant_id,
    )
    tx.many(
        "UPDATE alert SET state = ? WHERE tenant_id = ? AND receiver_no = ? AND task_no = ? AND stage = ?",
        [("OVER" if row[3] == "TOLD" else "DROPPED", tenant_id, *row[:3]) for row in ended],
    )
    told = {(row[0], row[1]) for row in ended if row[3] == "TOLD" and kind_of(row[4]).severity != "notice"}
    tx.many(
        """INSERT INTO alert (tenant_id, receiver_no, task_no, stage, urgent, created_at) VALUES (?, ?, ?, 'closed', 0, ?)
           ON CONFLICT (tenant_id, receiver_no, task_no, stage) DO NOTHING""",
        [(tenant_id, receiver_no, task_no, now) for receiver_no, task_no in sorted(told)],
    )


def compose_due(tx: Tx, tenant_id: int, now: int, token: str) -> int:
    """Make a message for every receiver who is to be told something now and has none on its way. Returns how many.

    Urgent: at once, at any hour. The rest is gathered for GATHER_S and not told in quiet hours; when something urgent goes by day, it goes
    along. `token`: random, so that no other installation makes the same key.
    """
    made = 0
    for number, quiet_from, quiet_until, timezone in tx.all(
        """SELECT r.receiver_no, r.quiet_from, r.quiet_until, r.timezone FROM alert_receiver r
            WHERE r.tenant_id = :t AND r.removed_at IS NULL
              AND EXISTS (SELECT 1 FROM alert a WHERE a.tenant_id = r.tenant_id AND a.state = 'NEW' AND a.receiver_no = r.receiver_no)
              AND NOT EXISTS (SELECT 1 FROM alert_message m WHERE m.tenant_id = r.tenant_id AND m.receiver_no = r.receiver_no
                                AND (m.state = 'WAITING' OR m.sent_at > :gap)) ORDER BY r.receiver_no""",
        t=tenant_id,
        gap=now - GAP_S * SECOND,
    ):
        row = tx.one(
            "SELECT MAX(urgent), MIN(created_at) FROM alert WHERE tenant_id = :t AND receiver_no = :n AND state = 'NEW'",
            t=tenant_id,
            n=number,
        )
        assert row is not None
        quiet = is_quiet(now, quiet_from, quiet_until, timezone)
        if not row[0] and (quiet or row[1] > now - GATHER_S * SECOND):
            continue
        message_no = _new_message(tx, tenant_id, number, now, token)
        tx.run(
            "UPDATE alert SET state = 'TAKEN', message_no = :m "
            "WHERE tenant_id = :t AND receiver_no = :n AND state = 'NEW' AND (urgent = 1 OR :quiet = 0)",
            m=message_no,
            t=tenant_id,
            n=number,
            quiet=int(quiet),
        )
        made += 1
    return made


def _new_message(tx: Tx, tenant_id: int, receiver_no: int, now: int, token: str) -> int:
    """Keep a message with its key, before any try."""
    message_no = next_values(tx, tenant_id, "alert_message")[0]
    tx.run(
        """INSERT INTO alert_message (tenant_id, message_no, receiver_no, message_key, created_at, due_at)
           VALUES (:t, :m, :n, :key, :now, :now)""",
        t=tenant_id,
        m=message_no,
        n=receiver_no,
        key=f"alert-{tenant_id}-{message_no}-{token}",
        now=now,
    )
    return message_no


def outgoing(tx: Tx, tenant_id: int, now: int) -> list[Outgoing]:
    """Return the messages to send now."""
    rows = tx.all(
        """SELECT m.message_no, m.message_key, m.receiver_no, r.way, r.address, r.sealed, m.attempts,
                  (SELECT COUNT(*) FROM alert a WHERE a.tenant_id = m.tenant_id AND a.receiver_no = m.receiver_no AND a.message_no = m.message_no)
             FROM alert_message m JOIN alert_receiver r ON r.tenant_id = m.tenant_id AND r.receiver_no = m.receiver_no
            WHERE m.tenant_id = :t AND m.state = 'WAITING' AND m.due_at <= :now AND r.removed_at IS NULL ORDER BY m.message_no""",
        t=tenant_id,
        now=now,
    )
    return [
        Outgoing(
            no, key, whose, way, to, None if sealed is None else bytes(sealed), _told(tx, tenant_id, no), count, tries
        )
        for no, key, whose, way, to, sealed, tries, count in rows
    ]


def _told(tx: Tx, tenant_id: int, message_no: int) -> list[Told]:
    rows = tx.all(
        """SELECT a.task_no, a.stage, k.kind, k.subject, k.what, k.why, k.opened_at, k.due_at, k.closed_at FROM alert a
             JOIN task k ON k.tenant_id = a.tenant_id AND k.task_no = a.task_no
            WHERE a.tenant_id = :t AND a.message_no = :m ORDER BY a.urgent DESC, a.task_no LIMIT :n""",
        t=tenant_id,
        m=message_no,
        n=NAMED_MAX,
    )
    return [Told(*row) for row in rows]


def settle(tx: Tx, tenant_id: int, message: Outgoing, problem: str, now: int) -> None:
    """Record that a message was taken (`problem` ""), or when it is tried again: for as long as it takes."""
    if not problem:
        tx.run(
            "UPDATE alert_message SET state = 'SENT', sent_at = :now, problem = '', attempts = attempts + 1 "
            "WHERE tenant_id = :t AND message_no = :m AND state = 'WAITING'",
            now=now,
            t=tenant_id,
            m=message.message_no,
        )
        tx.run(
            "UPDATE alert SET state = CASE WHEN stage = 'closed' THEN 'OVER' ELSE 'TOLD' END "
            "WHERE tenant_id = :t AND receiver_no = :n AND message_no = :m AND state = 'TAKEN'",
            t=tenant_id,
            n=message.receiver_no,
            m=message.message_no,
        )
    else:
        tx.run(
            "UPDATE alert_message SET attempts = attempts + 1, due_at = :due, problem = :p "
            "WHERE tenant_id = :t AND message_no = :m AND state = 'WAITING'",
            due=now + retry_wait_s(message.attempts + 1) * SECOND,
            p=problem[:300],
            t=tenant_id,
            m=message.message_no,
        )
    _tell_failing(tx, tenant_id, now)


def _tell_failing(tx: Tx, tenant_id: int, now: int) -> None:
    """Who can't be told for an hour is a task, for those who can and for the pages."""
    late: Sequence[tuple[Any, ...]] = tx.all(
        "SELECT receiver_no, problem FROM alert_message WHERE tenant_id = :t AND state = 'WAITING' AND attempts > 0 AND created_at <= :since",
        t=tenant_id,
        since=now - FAILING_S * SECOND,
    )
    if late:
        what = "Alerts are not taken"
        why = "; ".join(f"receiver {number}: {problem}" for number, problem in late[:5])
        open_task(tx, tenant_id, now, "alerts_not_sent", "", what, why)
    else:
        close_task(tx, tenant_id, now, "alerts_not_sent", "")


def test_message(tx: Tx, tenant_id: int, receiver_no: int, token: str) -> Outgoing:
    """Make a message that tells nothing and is not kept. Raises NotThere."""
    row = tx.one(
        "SELECT way, address, sealed FROM alert_receiver WHERE tenant_id = :t AND receiver_no = :n AND removed_at IS NULL",
        t=tenant_id,
        n=receiver_no,
    )
    if row is None:
        raise NotThere(f"There is no receiver {receiver_no}. `oneshelf alerts list` shows them.")
    sealed = None if row[2] is None else bytes(row[2])
    return Outgoing(0, f"test-{tenant_id}-{receiver_no}-{token}", receiver_no, row[0], row[1], sealed, [], 0, 0)


def secret_for(sealer: Sealer, tenant_id: int, message: Outgoing) -> str:
    """Return the secret that calls to this receiver are signed with."""
    assert message.sealed is not None
    return sealer.open(message.sealed, tenant_id, message.receiver_no, _SECRET).decode()
