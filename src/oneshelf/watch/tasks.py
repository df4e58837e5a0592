"""Tasks: what only a person can do, with what each is about, how long it may wait, what to do and what ends it.

In: the tasks that rooms left, the table of kinds (core/tasks). Out: a list, one task; done or snoozed by a person. Tables: task, written
here and by db/journal. Never: says that the world is as a person says: a task that the world ends is not ended by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from oneshelf.core.errors import NotThere, Park
from oneshelf.core.ids import CHANNEL_RANK
from oneshelf.core.instants import SECOND, from_us
from oneshelf.core.tasks import KINDS, SEVERITIES, Named, Severity, command_for, kind_of, named
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx

#: How long a task may be put off, seconds.
SNOOZE_S_MAX = 90 * 24 * 3600


class NotSo(Park):
    """The task can't be ended or put off as asked; nothing was changed."""


class Task(msgspec.Struct, frozen=True):
    """One task. `what`, `why`: its own words; `todo`, `command`: what to do; `ends`: what ends it by itself, "" a person does.

    `age_s`: seconds since it was opened. Who it is about: `channel`, `account`, `order`, `line`, `listing`, `sku`, each "" or None where
    it names none; `page`: where it is shown, "" nowhere.
    """

    task: int
    kind: str
    severity: Severity
    what: str
    why: str
    todo: str
    command: str
    ends: str
    channel: str
    account: int | None
    order: str
    line: str
    listing: int | None
    sku: str
    page: str
    opened_at: datetime
    age_s: int
    due_at: datetime | None
    overdue: bool
    snoozed_until: datetime | None
    closed_at: datetime | None
    closed_by: str


_COLUMNS = "task_no, kind, subject, what, why, opened_at, due_at, snoozed_until, closed_at, closed_by"


def tasks(
    tx: Tx,
    tenant_id: int,
    now: int,
    *,
    severity: str = "",
    channel: str = "",
    kind: str = "",
    snoozed: bool = False,
    closed: bool = False,
    after: int = 0,
    limit: int = 100,
) -> list[Task]:
    """Return open tasks, the most urgent first, of equals the next due, then the oldest; with `after` those behind that task.

    `snoozed`: those that were put off too. `closed`: the ended ones instead, the last ended first.
    """
    kinds = [
        name for name, one in KINDS.items() if (not severity or one.severity == severity) and (not kind or name == kind)
    ]
    only_known = bool(severity or kind)
    rows = tx.all(
        f"""SELECT {_COLUMNS} FROM task WHERE tenant_id = :t AND (closed_at IS NOT NULL) = (:closed = 1)
              AND (:known = 0 OR kind {{in:kinds}}) AND (:closed = 1 OR :snoozed = 1 OR COALESCE(snoozed_until, 0) <= :now)""",
        t=tenant_id,
        closed=int(closed),
        known=int(only_known),
        kinds=kinds,
        snoozed=int(snoozed),
        now=now,
    )
    channels = _channels(tx, tenant_id)
    if closed:
        rows.sort(key=lambda row: (-row[8], row[0]))
    else:
        rows.sort(key=lambda row: (kind_of(row[1]).rank, row[6] is None, row[6] or row[5], row[0]))
    if after:
        places = [index for index, row in enumerate(rows) if row[0] == after]
        rows = rows[places[0] + 1 :] if places else rows
    outlets = _outlets(tx, tenant_id, rows)
    found: list[Task] = []
    for row in rows:
        one = _task(row, channels, outlets, now)
        if channel and one.channel != channel:
            continue
        found.append(one)
        if len(found) == limit:
            break
    return found


def count(tx: Tx, tenant_id: int, now: int) -> dict[str, int]:
    """Return {severity: open tasks that are not put off}."""
    found = dict.fromkeys(SEVERITIES, 0)
    for kind, number in tx.all(
        "SELECT kind, COUNT(*) FROM task WHERE tenant_id = :t AND closed_at IS NULL AND COALESCE(snoozed_until, 0) <= :now GROUP BY kind",
        t=tenant_id,
        now=now,
    ):
        found[kind_of(kind).severity] += number
    return found  # type: ignore[return-value]


def task(tx: Tx, tenant_id: int, task_no: int, now: int) -> Task:
    """Return one task, open or not. Raises NotThere."""
    row = _row(tx, tenant_id, task_no)
    return _task(row, _channels(tx, tenant_id), _outlets(tx, tenant_id, [row]), now)


def done(tx: Tx, tenant_id: int, task_no: int, now: int, *, by: str, anyway: bool = False) -> Task:
    """End a task because a person says that it is done. Raises NotThere, NotSo where the world ends it.

    `anyway`: where the world will never say so (an order that he made in the shop himself). What is still so is asked again.
    """
    one = task(tx, tenant_id, task_no, now)
    if one.closed_at is not None:
        return one
    if one.ends and not anyway:
        raise NotSo(
            f"Task {task_no} ends by itself when {one.ends}. {one.todo}{f': {one.command}' if one.command else ''}. "
            f"To put it off: oneshelf tasks snooze {task_no} --hours 24. If it is done and can't be seen: oneshelf tasks done {task_no} --anyway"
        )
    tx.run(
        "UPDATE task SET closed_at = :now, closed_by = :by WHERE tenant_id = :t AND task_no = :n AND closed_at IS NULL",
        now=now,
        by=by,
        t=tenant_id,
        n=task_no,
    )
    note(tx, tenant_id, now, by, "A task was done", f"task:{task_no}", kind=one.kind)
    return task(tx, tenant_id, task_no, now)


def snooze(tx: Tx, tenant_id: int, task_no: int, for_s: int, now: int, *, by: str) -> Task:
    """Put an open task off for so many seconds (0: not any more). It is told again then. Raises NotThere, NotSo."""
    one = task(tx, tenant_id, task_no, now)
    if one.closed_at is not None:
        raise NotSo(f"Task {task_no} is over; there is nothing to put off.")
    if not 0 <= for_s <= SNOOZE_S_MAX:
        raise NotSo(f"A task is put off for up to {SNOOZE_S_MAX // 86_400} days.")
    tx.run(
        "UPDATE task SET snoozed_until = :until WHERE tenant_id = :t AND task_no = :n",
        until=now + for_s * SECOND if for_s else None,
        t=tenant_id,
        n=task_no,
    )
    what = "A task was put off" if for_s else "A task is not put off any more"
    note(tx, tenant_id, now, by, what, f"task:{task_no}", kind=one.kind, for_s=for_s)
    return task(tx, tenant_id, task_no, now)


def _row(tx: Tx, tenant_id: int, task_no: int) -> tuple[Any, ...]:
    row = tx.one(f"SELECT {_COLUMNS} FROM task WHERE tenant_id = :t AND task_no = :n", t=tenant_id, n=task_no)
    if row is None:
        raise NotThere(f"There is no task {task_no}. `oneshelf tasks list` shows them.")
    return row


def _channels(tx: Tx, tenant_id: int) -> dict[int, str]:
    return dict(tx.all("SELECT account_id, channel FROM account WHERE tenant_id = :t", t=tenant_id))  # type: ignore[arg-type]


def _outlets(tx: Tx, tenant_id: int, rows: list[tuple[Any, ...]]) -> dict[int, tuple[int, str]]:
    """Return {listing: (account, SKU or "")} of the listings that these tasks name."""
    ids = {number for row in rows if (number := named(kind_of(row[1]).about, row[2]).outlet_id) is not None}
    if not ids:
        return {}
    found = tx.all(
        """SELECT o.outlet_id, o.account_id, COALESCE(MIN(k.sku), '') FROM outlet o
             LEFT JOIN link k ON k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id
            WHERE o.tenant_id = :t AND o.outlet_id {in:ids} GROUP BY o.outlet_id, o.account_id""",
        t=tenant_id,
        ids=sorted(ids),
    )
    return {row[0]: (row[1], row[2]) for row in found}


def _task(row: tuple[Any, ...], channels: Mapping[int, str], outlets: Mapping[int, tuple[int, str]], now: int) -> Task:
    number, name, subject, what, why, opened_at, due_at, snoozed_until, closed_at, closed_by = row
    kind = kind_of(name)
    about = named(kind.about, subject)
    if about.outlet_id is not None and about.outlet_id in outlets:
        account_id, sku = outlets[about.outlet_id]
        about = Named(account_id=account_id, outlet_id=about.outlet_id, sku=sku)
    channel = channels.get(about.account_id, "") if about.account_id is not None else about.channel
    page = f"/why/{about.outlet_id}" if about.outlet_id is not None else f"/sku/{about.sku}" if about.sku else ""
    return Task(
        task=number,
        kind=name,
        severity=kind.severity,
        what=what,
        why=why,
        todo=kind.todo,
        command=command_for(kind, subject),
        ends=kind.ends,
        channel=channel if channel in CHANNEL_RANK else "",
        account=about.account_id,
        order=about.order_id,
        line=about.line_id,
        listing=about.outlet_id,
        sku=about.sku,
        page=page,
        opened_at=from_us(opened_at),
        age_s=max(0, (closed_at or now) - opened_at) // SECOND,
        due_at=None if due_at is None else from_us(due_at),
        overdue=due_at is not None and closed_at is None and due_at <= now,
        snoozed_until=None if snoozed_until is None else from_us(snoozed_until),
        closed_at=None if closed_at is None else from_us(closed_at),
        closed_by=closed_by,
    )
