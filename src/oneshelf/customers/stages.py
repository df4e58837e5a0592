"""Where customers stand: the merchant's rules, the history (core/stage decides, ticking.py lets time pass).

In: rules, changes. Out: a row a change, a line in the journal. Tables: stage_change, customer_rule.
Never: names a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from oneshelf.core.stage import STAGES, StageRules
from oneshelf.db import events
from oneshelf.db.journal import note, notes
from oneshelf.db.tx import Tx, next_values

_FIELDS = StageRules.__struct_fields__


class Change(msgspec.Struct, frozen=True):
    """A customer's stage changed. '' is no stage: nothing counts."""

    customer_no: int
    before: str
    after: str
    why: str


def rules_of(tx: Tx, tenant_id: int) -> StageRules:
    """Return the merchant's rules, or core's own."""
    row = tx.one(f"SELECT {', '.join(_FIELDS)} FROM customer_rule WHERE tenant_id = :t", t=tenant_id)
    return StageRules() if row is None else StageRules(*row)


def set_rules(tx: Tx, tenant_id: int, rules: StageRules, now: int, *, by: str) -> None:
    """Take the merchant's rules; every customer is looked at again by the tick."""
    values: dict[str, Any] = msgspec.to_builtins(rules)
    tx.run(
        f"INSERT INTO customer_rule (tenant_id, {', '.join(values)}) VALUES (:t, {', '.join(f':{name}' for name in values)}) "
        f"ON CONFLICT (tenant_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in values)}",
        t=tenant_id,
        **values,
    )
    tx.run(
        "UPDATE customer SET stage_due_at = :now WHERE tenant_id = :t AND merged_into IS NULL AND purchases > 0",
        now=now,
        t=tenant_id,
    )
    note(tx, tenant_id, now, by, "The rules for customer stages changed", "customers", **values)


def counts(tx: Tx, tenant_id: int) -> dict[str, int]:
    """Return how many customers stand where now."""
    rows = tx.all(
        "SELECT stage, COUNT(*) FROM customer WHERE tenant_id = :t AND merged_into IS NULL GROUP BY stage", t=tenant_id
    )
    return {**dict.fromkeys(STAGES, 0), **{stage: int(n) for stage, n in rows if stage}}


def announce(tx: Tx, tenant_id: int, changes: Sequence[Change], now: int) -> None:
    """Write down that stages changed. The one place through which every change goes, the first ('' to new) too: what tells others of it
    (the journal, webhooks) stands here."""
    if not changes:
        return
    numbers = next_values(tx, tenant_id, "stage_change", len(changes))
    tx.many(
        "INSERT INTO stage_change (tenant_id, customer_no, change_no, before, after, why, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (tenant_id, change.customer_no, number, change.before, change.after, change.why, now)
            for number, change in zip(numbers, changes, strict=True)
        ],
    )
    # A first purchase is no change of a stage to the reader of the journal: an order a line would drown the rest.
    told = [
        (f"customer:{change.customer_no}", {"before": change.before, "after": change.after, "why": change.why})
        for change in changes
        if change.before
    ]
    notes(tx, tenant_id, now, "oneshelf", "Customer stage changed", told)
    ids = [{"customer": change.customer_no, "stage": change.after} for change in changes]
    events.tell(tx, tenant_id, now, "customer.stage_changed", ids)
