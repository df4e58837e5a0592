"""Changes that wait for a person, because they would empty or multiply many listings at once (core/guard).

Rules, links and locations wait before they are made: what stands goes on standing, and its numbers stay right. What the shop itself says
can't wait so: its numbers are held at the listings instead (publish/floods), zeros for a while only.

In: changes, a person's word. Out: tasks, the changes made. Tables it owns: guard, guard_outlet, guard_limits.
Never: holds a number that fell by orders; decides for the person.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from oneshelf.core import guard as rules
from oneshelf.core.guard import Limits
from oneshelf.core.instants import SECOND
from oneshelf.db.journal import close_task, note, open_task
from oneshelf.db.tx import Tx, next_values
from oneshelf.listings import dirty

from .resting import GUARDED

#: Kind of the task.
WAITS = "guard_waits"
#: How long zeros go on waiting after a person refused them, so that the shop can be put right.
REFUSED_S = 86_400


class Waiting(msgspec.Struct, frozen=True):
    """A change that waits, or waited. `effect`: what it does to each account. `held`: listings whose numbers wait (kind hub).
    Instants in microseconds."""

    guard_no: int
    kind: str
    account_id: int
    state: str
    what: str
    why: str
    effect: list[Any]
    asked_by: str
    opened_at: int
    lapses_at: int | None
    closed_at: int | None
    closed_by: str
    held: int


# --- limits -------------------------------------------------------------------------------------------------------------


def limits_of(tx: Tx, tenant_id: int) -> Limits:
    """Return when the guard speaks for this tenant."""
    row = tx.one("SELECT is_on, percent, least, factor, hold_s FROM guard_limits WHERE tenant_id = :t", t=tenant_id)
    return Limits() if row is None else Limits(bool(row[0]), *row[1:])


def set_limits(tx: Tx, tenant_id: int, limits: Limits, now: int, *, by: str) -> None:
    """Keep when the guard speaks. Raises ValueError."""
    rules.check(limits)
    tx.run(
        """INSERT INTO guard_limits (tenant_id, is_on, percent, least, factor, hold_s) VALUES (:t, :on, :p, :l, :f, :h)
           ON CONFLICT (tenant_id) DO UPDATE SET is_on = excluded.is_on, percent = excluded.percent, least = excluded.least,
               factor = excluded.factor, hold_s = excluded.hold_s""",
        t=tenant_id,
        on=int(limits.on),
        p=limits.percent,
        l=limits.least,
        f=limits.factor,
        h=limits.hold_s,
    )
    note(tx, tenant_id, now, by, "The guard's limits set", "guard", **msgspec.structs.asdict(limits))


def listings_of(tx: Tx, tenant_id: int, account_id: int) -> int:
    """How many listings an account has whose numbers are ours."""
    row = tx.one(
        """SELECT COUNT(DISTINCT o.outlet_id) FROM outlet o JOIN link k ON k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id
            WHERE o.tenant_id = :t AND o.account_id = :a AND o.fulfilled_by_channel = 0 AND o.state NOT IN ('ended', 'draft', 'gone')""",
        t=tenant_id,
        a=account_id,
    )
    return 0 if row is None else int(row[0])


# --- asking -------------------------------------------------------------------------------------------------------------


def ask(
    tx: Tx,
    tenant_id: int,
    kind: str,
    account_id: int,
    what: str,
    why: str,
    payload: dict[str, Any],
    effect: Sequence[Any],
    now: int,
    *,
    by: str,
    lapses_at: int | None = None,
) -> int:
    """Keep a change that waits, and tell a person. Returns its number."""
    number = next_values(tx, tenant_id, "guard")[0]
    tx.run(
        """INSERT INTO guard (tenant_id, guard_no, kind, account_id, what, payload, effect, asked_by, opened_at, lapses_at)
           VALUES (:t, :n, :kind, :a, :what, :payload, :effect, :by, :now, :lapses)""",
        t=tenant_id,
        n=number,
        kind=kind,
        a=account_id,
        what=f"{what}: {why}",
        payload=json.dumps(payload),
        effect=msgspec.json.encode(list(effect)).decode(),
        by=by,
        now=now,
        lapses=lapses_at,
    )
    words = f"{why}. Look: oneshelf guard show {number}. Then: oneshelf guard approve {number}, or refuse {number}"
    open_task(tx, tenant_id, now, WAITS, _subject(number), f"{what} waits for your word", words, due_at=lapses_at)
    note(tx, tenant_id, now, by, f"{what} waits for a person", _subject(number), why=why)
    return number


def waiting(tx: Tx, tenant_id: int, *, every: bool = False, limit: int = 100) -> list[Waiting]:
    """Return the changes that wait, newest first; `every`: those that are over too."""
    rows = tx.all(
        """SELECT g.guard_no, g.kind, g.account_id, g.state, g.what, g.effect, g.asked_by, g.opened_at, g.lapses_at, g.closed_at,
                  g.closed_by, (SELECT COUNT(*) FROM guard_outlet h WHERE h.tenant_id = g.tenant_id AND h.guard_no = g.guard_no)
             FROM guard g WHERE g.tenant_id = :t AND (:every = 1 OR g.state IN ('WAITING', 'REFUSED') AND g.closed_at IS NULL)
            ORDER BY g.guard_no DESC LIMIT :limit""",
        t=tenant_id,
        every=int(every),
        limit=limit,
    )
    found = []
    for number, kind, account_id, state, words, effect, *rest in rows:
        what, _, why = words.partition(": ")
        found.append(Waiting(number, kind, account_id, state, what, why, json.loads(effect), *rest))
    return found


def open_one(tx: Tx, tenant_id: int, number: int) -> tuple[str, dict[str, Any]]:
    """Return (kind, payload) of a change that can still be decided. Raises LookupError."""
    row = tx.one(
        "SELECT kind, payload FROM guard WHERE tenant_id = :t AND guard_no = :n AND closed_at IS NULL",
        t=tenant_id,
        n=number,
    )
    if row is None:
        raise LookupError(f"no change {number} waits: oneshelf guard list")
    return row[0], json.loads(row[1])


def close(tx: Tx, tenant_id: int, number: int, state: str, now: int, *, by: str) -> list[int]:
    """End a change's waiting, whichever way; the numbers it held are planned again. Returns those outlets."""
    held = [
        outlet_id
        for (outlet_id,) in tx.all(
            "SELECT outlet_id FROM guard_outlet WHERE tenant_id = :t AND guard_no = :n", t=tenant_id, n=number
        )
    ]
    tx.run("DELETE FROM guard_outlet WHERE tenant_id = :t AND guard_no = :n", t=tenant_id, n=number)
    tx.run(
        "UPDATE guard SET state = :state, closed_at = :now, closed_by = :by WHERE tenant_id = :t AND guard_no = :n",
        t=tenant_id,
        n=number,
        state=state,
        now=now,
        by=by,
    )
    tx.run(
        "UPDATE slot SET wait_until = NULL WHERE tenant_id = :t AND outlet_id {in:ids} AND reason = :reason",
        t=tenant_id,
        ids=held,
        reason=GUARDED,
    )
    dirty.mark_outlets(tx, tenant_id, held, now, f"the guard: {state.lower()}")
    close_task(tx, tenant_id, now, WAITS, _subject(number))
    note(tx, tenant_id, now, by, f"A change that waited was {state.lower()}", _subject(number), listings=len(held))
    return held


def refuse(tx: Tx, tenant_id: int, number: int, now: int, *, by: str) -> bool:
    """Say no. A change that was not made is forgotten (True). Numbers that the shop says go on being held until the shop says others:
    zeros for a day at most, because by then what is sold there may not exist (False). Raises LookupError."""
    kind, _ = open_one(tx, tenant_id, number)
    if kind != "hub":
        close(tx, tenant_id, number, "REFUSED", now, by=by)
        return True
    tx.run(
        """UPDATE guard SET state = 'REFUSED', closed_by = :by, lapses_at = CASE WHEN lapses_at IS NULL THEN NULL ELSE :until END
            WHERE tenant_id = :t AND guard_no = :n""",
        t=tenant_id,
        n=number,
        by=by,
        until=now + REFUSED_S * SECOND,
    )
    close_task(tx, tenant_id, now, WAITS, _subject(number))
    note(tx, tenant_id, now, by, "Numbers from the shop were refused", _subject(number))
    return False


def lapse(tx: Tx, tenant_id: int, now: int) -> int:
    """End what has waited long enough, and what holds nothing any more. Returns how many outlets may go on."""
    freed = 0
    for number, lapses_at, held in tx.all(
        """SELECT g.guard_no, g.lapses_at, (SELECT COUNT(*) FROM guard_outlet h WHERE h.tenant_id = g.tenant_id AND h.guard_no = g.guard_no)
             FROM guard g WHERE g.tenant_id = :t AND g.state IN ('WAITING', 'REFUSED') AND g.closed_at IS NULL AND g.kind = 'hub'""",
        t=tenant_id,
    ):
        if lapses_at is not None and lapses_at <= now:
            freed += len(close(tx, tenant_id, number, "LAPSED", now, by="the guard"))
        elif not held:
            close(tx, tenant_id, number, "OVER", now, by="the guard")
    return freed


def _subject(number: int) -> str:
    return f"guard:{number}"
