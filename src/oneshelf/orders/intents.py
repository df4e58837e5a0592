"""What every intent has in common: taken up, settled, put off, given to a person."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from oneshelf.core.backoff import backoff_s
from oneshelf.core.instants import SECOND
from oneshelf.core.outcome import Throttled, Unknown
from oneshelf.core.plan import Capability
from oneshelf.db.journal import open_task
from oneshelf.db.tx import Tx
from oneshelf.tenants.plan import allows

#: How long an unanswered call is left before it is looked at again, doubling.
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 300.0
#: A channel that says "slow down" without saying for how long, or that nobody reaches; doubling.
THROTTLED_WAIT_S = 2.0
THROTTLED_WAIT_S_MAX = 20.0
#: How long what the plan lacks is put off, and what is said of it meanwhile.
PLAN_WAIT_S = 60
NOT_IN_PLAN = "waits: the plan does not have it"
#: An order that a hint named and that its channel does not know: so many such answers, then a person looks, and nobody waits for it.
NOT_KNOWN_MAX = 6

#: Kinds that the account carries out with whose number the entity begins; every other kind is the hub's, whatever account it names.
OF_ITS_ACCOUNT = ("cancel", "fetch_order", "find_orders")


class Intent(msgspec.Struct):
    """One row of `intent`. Instants in microseconds UTC."""

    intent_no: int
    kind: str
    entity: str
    version: int
    idempotency_key: str
    state: str
    payload: dict[str, Any]
    attempts: int
    not_found: int
    created_at: int
    due_at: int
    first_sent_at: int | None


_COLUMNS = "intent_no, kind, entity, version, idempotency_key, state, payload, attempts, not_found, created_at, due_at, first_sent_at"


def due(tx: Tx, tenant_id: int, kinds: tuple[str, ...], now: int, limit: int, *, entity: str = "") -> list[Intent]:
    """Return the intents of these kinds that may be carried out now, most urgent first."""
    rows = tx.all(
        f"SELECT {_COLUMNS} FROM intent WHERE tenant_id = :t AND state IN ('WAITING', 'UNKNOWN') AND due_at <= :now "
        "AND kind {in:kinds} AND (CAST(:e AS TEXT) = '' OR entity LIKE :e) ORDER BY priority, due_at, intent_no LIMIT :limit",
        t=tenant_id,
        now=now,
        kinds=list(kinds),
        e=entity,
        limit=limit,
    )
    return [_of_row(row) for row in rows]


def of_entity(tx: Tx, tenant_id: int, kind: str, entity: str) -> list[Intent]:
    """Return every intent of a kind for one entity, oldest first, whatever became of it."""
    rows = tx.all(
        f"SELECT {_COLUMNS} FROM intent WHERE tenant_id = :t AND kind = :k AND entity = :e ORDER BY version",
        t=tenant_id,
        k=kind,
        e=entity,
    )
    return [_of_row(row) for row in rows]


def _of_row(row: tuple[Any, ...]) -> Intent:
    return Intent(**{**dict(zip(Intent.__struct_fields__, row, strict=True)), "payload": json.loads(row[6])})


def wait_for_plan(tx: Tx, tenant_id: int, capability: Capability, kinds: tuple[str, ...], now: int) -> None:
    """Where the tenant's plan lacks this, put off what was not begun, in sight; what had no answer is looked after all the same."""
    if allows(tx, tenant_id, capability):
        return
    tx.run(
        "UPDATE intent SET due_at = :later, reason = :why WHERE tenant_id = :t AND kind {in:kinds} AND state = 'WAITING' AND due_at <= :now",
        later=now + PLAN_WAIT_S * SECOND,
        why=NOT_IN_PLAN,
        t=tenant_id,
        kinds=list(kinds),
        now=now,
    )


def go_on_by_plan(tx: Tx, tenant_id: int, now: int) -> int:
    """The plan has more now: what was put off for it is due. Returns how many."""
    return tx.run(
        "UPDATE intent SET due_at = :now WHERE tenant_id = :t AND state = 'WAITING' AND due_at > :now AND reason = :why",
        now=now,
        t=tenant_id,
        why=NOT_IN_PLAN,
    )


def first_due_at(tx: Tx, tenant_id: int, kinds: tuple[str, ...]) -> dict[str, int]:
    """Return {kind: when the earliest intent of it may be carried out}, for kinds that have one."""
    rows = tx.all(
        "SELECT kind, MIN(due_at) FROM intent WHERE tenant_id = :t AND state IN ('WAITING', 'UNKNOWN') AND kind {in:kinds} "
        "GROUP BY kind",
        t=tenant_id,
        kinds=list(kinds),
    )
    return {kind: due_at for kind, due_at in rows}


def next_due_at(tx: Tx, tenant_id: int, kinds: tuple[str, ...], *, entity: str = "") -> int | None:
    """When the earliest of these intents may be carried out."""
    row = tx.one(
        "SELECT MIN(due_at) FROM intent WHERE tenant_id = :t AND state IN ('WAITING', 'UNKNOWN') AND kind {in:kinds} "
        "AND (CAST(:e AS TEXT) = '' OR entity LIKE :e)",
        t=tenant_id,
        kinds=list(kinds),
        e=entity,
    )
    return None if row is None else row[0]


def sending(tx: Tx, tenant_id: int, intent: Intent, now: int) -> None:
    """The call begins after this commit. `moves` in the payload say what it may change at the hub (S9.5)."""
    if intent.state == "UNKNOWN":
        intent.payload["maybe_done"] = True
    intent.attempts += 1
    intent.first_sent_at = intent.first_sent_at or now
    intent.state = "SENDING"
    tx.run(
        "UPDATE intent SET state = 'SENDING', attempts = :n, first_sent_at = :first, payload = :p WHERE tenant_id = :t AND intent_no = :no",
        n=intent.attempts,
        first=intent.first_sent_at,
        p=json.dumps(intent.payload),
        t=tenant_id,
        no=intent.intent_no,
    )


def settle(
    tx: Tx, tenant_id: int, intent: Intent, state: str, now: int, *, reason: str = "", due_at: int | None = None
) -> None:
    """Record how the call ended. DONE and REFUSED are ends; WAITING and UNKNOWN come again at `due_at`."""
    ended = state in ("DONE", "REFUSED", "TASK")
    tx.run(
        "UPDATE intent SET state = :s, reason = :r, due_at = :due, settled_at = :settled, not_found = :nf, payload = :p "
        "WHERE tenant_id = :t AND intent_no = :no AND state <> 'DONE'",
        s=state,
        r=reason[:500],
        due=now if due_at is None else due_at,
        settled=now if ended else None,
        nf=intent.not_found,
        p=json.dumps(intent.payload),
        t=tenant_id,
        no=intent.intent_no,
    )


def wait_s(attempts: int) -> float:
    """The wait before the next look, doubling from FIRST_WAIT_S to LONGEST_WAIT_S."""
    return backoff_s(FIRST_WAIT_S, attempts, LONGEST_WAIT_S)


def put_off(tx: Tx, tenant_id: int, intent: Intent, outcome: Throttled | Unknown, now: int) -> None:
    """Throttled: nothing was done, come back when the channel says. Unknown: it may have been done (I18).

    A throttled repetition says nothing about the call that had no answer: it stays unknown.
    """
    if isinstance(outcome, Throttled):
        wait = outcome.wait_s
        if wait is None:
            wait = backoff_s(THROTTLED_WAIT_S, intent.attempts, THROTTLED_WAIT_S_MAX)
        state = "UNKNOWN" if intent.payload.get("maybe_done") else "WAITING"
        settle(tx, tenant_id, intent, state, now, reason=outcome.reason, due_at=now + int(wait * SECOND))
    else:
        due_at = now + int(wait_s(intent.attempts) * SECOND)
        settle(tx, tenant_id, intent, "UNKNOWN", now, reason=outcome.reason, due_at=due_at)


def give_to_person(tx: Tx, tenant_id: int, intent: Intent, what: str, why: str, now: int) -> None:
    """The channel said no for good: in sight, with its own words, and nothing else stops."""
    settle(tx, tenant_id, intent, "TASK", now, reason=why)
    open_task(tx, tenant_id, now, intent.kind, intent.entity, what, why)


def recover(tx: Tx, tenant_id: int) -> int:
    """At start: a call that was under way may have been done (I17). Returns how many.

    Holds and their returns are members of a batch: its row is asked again, under its key, and ends them. Asked for by themselves they
    would be moved twice.
    """
    return tx.run(
        "UPDATE intent SET state = 'UNKNOWN' WHERE tenant_id = :t AND state = 'SENDING' AND kind NOT IN ('hold', 'unhold')",
        t=tenant_id,
    )


def recover_account(
    tx: Tx, tenant_id: int, account_id: int, *, is_hub: bool, own: Sequence[str] = OF_ITS_ACCOUNT
) -> int:
    """The same for what one account's loops carry out (`own`: of these kinds), when they have ended; those of other accounts are still at
    theirs."""
    return tx.run(
        "UPDATE intent SET state = 'UNKNOWN' WHERE tenant_id = :t AND state = 'SENDING' AND kind NOT IN ('hold', 'unhold') "
        "AND CASE WHEN kind {in:own} THEN entity LIKE :mine ELSE :hub = 1 END",
        t=tenant_id,
        own=list(own),
        mine=f"{account_id}/%",
        hub=int(is_hub),
    )
