"""A person's word on who is who: merge, take apart again, confirm or dismiss a suggestion (SEMANTICS 11.3).

A merge moves nothing: one profile points to another, orders and signs stay with the profile that their evidence chose. So taking apart is
exact, and an order that came in between goes where its own evidence put it.

In: profile numbers. Out: pointers, counters of both, a line in the journal. Never: merges in the shop; merges by itself.
"""

from __future__ import annotations

import json

import msgspec

from oneshelf.core.errors import NotThere, Park
from oneshelf.core.instants import iso
from oneshelf.core.plan import Capability
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.tenants.plan import require

from .counting import recount


class NotMerged(Park):
    """Profiles can't be merged or taken apart as asked."""


class Merged(msgspec.Struct, frozen=True):
    """What a merge did. `customer_no`: the profile that was merged; `into`: the one that shows both. `both_in_hub`: the shop has two
    customers for them, and keeps two."""

    customer_no: int
    into: int
    both_in_hub: bool


class Suggestion(msgspec.Struct, frozen=True):
    """Two customers that may be one. `why`: in words; `sure`: very likely, likely or possible; `conflict`: an order's signs point to both."""

    first_no: int
    second_no: int
    why: tuple[str, ...]
    sure: str
    conflict: bool
    channel: str
    order_id: str
    made_at: str
    state: str


#: Why, by the kind of sign.
_WHY = {
    "buyer": "the shop says that one buyer bought both",
    "relay": "the same forwarding address",
    "email": "the same e-mail",
    "phone": "the same phone",
    "home": "the same full name and postal code",
}


def merge(tx: Tx, tenant_id: int, customer_no: int, into: int, now: int, *, by: str) -> Merged:
    """Make `customer_no` a part of `into`. Raises NotMerged or NotInPlan with words."""
    require(tx, tenant_id, Capability.CUSTOMER_MATCHING)
    one, other = _root(tx, tenant_id, customer_no), _root(tx, tenant_id, into)
    if one == other:
        raise NotMerged(
            f"Customers {customer_no} and {into} are one already. `oneshelf customers show {other}` shows it."
        )
    stage, stage_at = _stage(tx, tenant_id, other)
    tx.run(
        "UPDATE customer SET merged_into = :into, merged_at = :now, over_stage = :s, over_stage_at = :at, stage_due_at = NULL "
        "WHERE tenant_id = :t AND customer_no = :c",
        into=other,
        now=now,
        s=stage,
        at=stage_at,
        t=tenant_id,
        c=one,
    )
    hub = tx.all(
        "SELECT DISTINCT root_no FROM customer WHERE tenant_id = :t AND root_no {in:both} AND in_hub = 1",
        t=tenant_id,
        both=[one, other],
    )
    tx.run(
        "UPDATE customer SET root_no = :into WHERE tenant_id = :t AND root_no = :one", into=other, t=tenant_id, one=one
    )
    recount(tx, tenant_id, [other], now)
    note(tx, tenant_id, now, by, "Customers merged", f"customer:{other}", merged=one)
    return Merged(one, other, len(hub) == 2)


def unmerge(tx: Tx, tenant_id: int, customer_no: int, now: int, *, by: str) -> Merged:
    """Take a merged profile out again: both are what they would be without the merge. Raises NotMerged with words."""
    row = tx.one(
        "SELECT merged_into, root_no, over_stage, over_stage_at FROM customer WHERE tenant_id = :t AND customer_no = :c",
        t=tenant_id,
        c=customer_no,
    )
    if row is None:
        raise NotThere(f"There is no customer {customer_no}. `oneshelf customers list` shows them.")
    parent, root_no, over_stage, over_stage_at = row
    if parent is None:
        parts = [number for number, _ in _parts(tx, tenant_id, customer_no) if number != customer_no]
        held = f" It holds {', '.join(map(str, parts))}: name the one to take out." if parts else ""
        raise NotMerged(f"Customer {customer_no} is not part of another.{held}")
    tx.run(
        "UPDATE customer SET merged_into = NULL, merged_at = NULL, over_stage = '', over_stage_at = NULL WHERE tenant_id = :t "
        "AND customer_no = :c",
        t=tenant_id,
        c=customer_no,
    )
    mine = _below(customer_no, _parts(tx, tenant_id, root_no))
    tx.run(
        "UPDATE customer SET root_no = :c WHERE tenant_id = :t AND customer_no {in:mine}",
        c=customer_no,
        t=tenant_id,
        mine=sorted(mine),
    )
    recount(tx, tenant_id, [customer_no, root_no], now)
    if parent == root_no:  # where the other stood before, it has stood since then
        tx.run(
            "UPDATE customer SET stage_at = :at WHERE tenant_id = :t AND customer_no = :c AND stage = :s",
            at=over_stage_at,
            t=tenant_id,
            c=root_no,
            s=over_stage,
        )
    _decide_between(tx, tenant_id, customer_no, root_no, "DISMISSED", now, by)
    note(tx, tenant_id, now, by, "Customers taken apart", f"customer:{root_no}", taken_out=customer_no)
    return Merged(customer_no, root_no, both_in_hub=False)


def _root(tx: Tx, tenant_id: int, customer_no: int) -> int:
    row = tx.one("SELECT root_no FROM customer WHERE tenant_id = :t AND customer_no = :c", t=tenant_id, c=customer_no)
    if row is None:
        raise NotThere(f"There is no customer {customer_no}. `oneshelf customers list` shows them.")
    return int(row[0])


def _stage(tx: Tx, tenant_id: int, customer_no: int) -> tuple[str, int | None]:
    row = tx.one(
        "SELECT stage, stage_at FROM customer WHERE tenant_id = :t AND customer_no = :c", t=tenant_id, c=customer_no
    )
    assert row is not None
    return row[0], row[1]


def _parts(tx: Tx, tenant_id: int, root_no: int) -> list[tuple[int, int | None]]:
    """(profile, what it was merged into) of all that a customer is made of."""
    rows = tx.all(
        "SELECT customer_no, merged_into FROM customer WHERE tenant_id = :t AND root_no = :r ORDER BY customer_no",
        t=tenant_id,
        r=root_no,
    )
    return [(number, parent) for number, parent in rows]


def _below(top: int, parts: list[tuple[int, int | None]]) -> set[int]:
    """A profile and all that was merged into it, whichever way."""
    found = {top}
    while more := {number for number, parent in parts if parent in found} - found:
        found |= more
    return found


# --- suggestions ---------------------------------------------------------------------------------------------------------


def suggestions(tx: Tx, tenant_id: int, *, state: str = "OPEN", limit: int = 100) -> list[Suggestion]:
    """Return what waits for a person, the surest first; `state` DISMISSED or CONFIRMED: what was decided."""
    rows = tx.all(
        """SELECT a.root_no, b.root_no, s.why, s.sure, s.conflict, k.channel, o.order_id, s.made_at, s.state, s.first_no, s.second_no
             FROM customer_suggestion s
             JOIN customer a ON a.tenant_id = s.tenant_id AND a.customer_no = s.first_no
             JOIN customer b ON b.tenant_id = s.tenant_id AND b.customer_no = s.second_no
             LEFT JOIN orders o ON o.tenant_id = s.tenant_id AND o.order_no = s.order_no
             LEFT JOIN account k ON k.tenant_id = o.tenant_id AND k.account_id = o.account_id
            WHERE s.tenant_id = :t AND s.state = :s AND (a.root_no <> b.root_no OR s.state <> 'OPEN')
            ORDER BY CASE s.sure WHEN 'very likely' THEN 0 WHEN 'likely' THEN 1 ELSE 2 END, s.made_at, s.first_no, s.second_no
            LIMIT :n""",
        t=tenant_id,
        s=state,
        n=limit,
    )
    found = []
    for one, other, why, sure, conflict, channel, order_id, made_at, said, first_no, second_no in rows:
        pair = (first_no, second_no) if said != "OPEN" else (min(one, other), max(one, other))
        words = tuple(_WHY[kind] for kind in json.loads(why))
        at = iso(made_at) or ""
        found.append(Suggestion(*pair, words, sure, bool(conflict), channel or "", order_id or "", at, said))
    return found


def confirm(tx: Tx, tenant_id: int, first_no: int, second_no: int, now: int, *, by: str) -> Merged:
    """Take a suggestion: the younger profile becomes part of the older. Raises NotMerged with words."""
    one, other = sorted((_root(tx, tenant_id, first_no), _root(tx, tenant_id, second_no)))
    if not _decide_between(tx, tenant_id, one, other, "CONFIRMED", now, by):
        raise NotMerged(
            f"Nothing was suggested about customers {first_no} and {second_no}. "
            f"`oneshelf customers suggestions` shows what was; `oneshelf customers merge {second_no} {first_no}` merges them all the same."
        )
    return merge(tx, tenant_id, other, one, now, by=by)


def dismiss(tx: Tx, tenant_id: int, first_no: int, second_no: int, now: int, *, by: str) -> None:
    """Say that two customers are two: it is not suggested again. Raises NotMerged with words."""
    one, other = _root(tx, tenant_id, first_no), _root(tx, tenant_id, second_no)
    if not _decide_between(tx, tenant_id, one, other, "DISMISSED", now, by):
        raise NotMerged(
            f"Nothing was suggested about customers {first_no} and {second_no}. `oneshelf customers suggestions` shows what was."
        )
    note(
        tx,
        tenant_id,
        now,
        by,
        "A suggestion about customers was dismissed",
        f"customer:{min(one, other)}",
        other=max(one, other),
    )


def _decide_between(tx: Tx, tenant_id: int, one: int, other: int, state: str, now: int, by: str) -> int:
    """Write a decision on every suggestion between any parts of two customers. Returns how many there were."""
    return tx.run(
        """UPDATE customer_suggestion SET state = :s, decided_at = :now, decided_by = :by WHERE tenant_id = :t AND (
             (first_no IN (SELECT customer_no FROM customer WHERE tenant_id = :t AND root_no = :a)
              AND second_no IN (SELECT customer_no FROM customer WHERE tenant_id = :t AND root_no = :b))
          OR (first_no IN (SELECT customer_no FROM customer WHERE tenant_id = :t AND root_no = :b)
              AND second_no IN (SELECT customer_no FROM customer WHERE tenant_id = :t AND root_no = :a)))""",
        s=state,
        now=now,
        by=by,
        t=tenant_id,
        a=one,
        b=other,
    )
