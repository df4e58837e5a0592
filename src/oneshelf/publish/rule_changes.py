"""The one place where rules are set: what a change would do is looked at first, and one that is too large waits for a person.

In: changes of rules. Out: their effect, listing by listing; the change made, or kept as a question (publish/guard).
Tables: reads outlet, link; listings/policy keeps the rules. Never: computes a number in a way of its own (publish/numbers does).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from oneshelf.channels.contract import Capabilities
from oneshelf.core.guard import Weighed, alarm, weigh
from oneshelf.core.plan import Capability
from oneshelf.db.tx import Tx
from oneshelf.listings import policy
from oneshelf.listings.policy import Change
from oneshelf.tenants.plan import require

from . import guard
from .numbers import numbers_of

#: How many outlets are looked at in one step: a bound on one transaction.
LOOKED_AT_ONCE = 500


class Effect(msgspec.Struct, frozen=True):
    """One listing whose number changes: what it ought to show now and under the change, in listings."""

    outlet_id: int
    account_id: int
    external_id: str
    title: str
    was: int
    would: int


class AccountEffect(msgspec.Struct, frozen=True):
    """What a change does to one account. `concerned`: listings it speaks of; `alarm`: why a person should look first, "" if not."""

    account_id: int
    channel: str
    label: str
    concerned: int
    weighed: Weighed
    alarm: str


class Looked(msgspec.Struct, frozen=True):
    """What a change would do. `effects`: the listings that change, by account, those that go to 0 first."""

    accounts: list[AccountEffect]
    effects: list[Effect]

    @property
    def alarm(self) -> str:
        return "; ".join(f"{one.label or one.channel}: {one.alarm}" for one in self.accounts if one.alarm)


class Changed(msgspec.Struct, frozen=True):
    """What became of a change. `guard_no`: it waits under this number; 0: it was made. `missing`: rules to drop that are not there."""

    looked: Looked
    guard_no: int = 0
    missing: int = 0


def concerned(tx: Tx, tenant_id: int, changes: Sequence[Change]) -> dict[int, list[int]]:
    """Return {account: its outlets} that the changes may move."""
    found: dict[int, set[int]] = {}
    for change in changes:
        for account_id, outlets in policy.outlets_of(tx, tenant_id, change.selector).items():
            found.setdefault(account_id, set()).update(outlets)
    return {account_id: sorted(outlets) for account_id, outlets in sorted(found.items())}


def effects_of(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    outlet_ids: Sequence[int],
    can: Capabilities,
    changes: Sequence[Change],
    now: int,
) -> list[Effect]:
    """Return the outlets whose number the changes move, by the planner's own arithmetic; give it at most LOOKED_AT_ONCE."""
    before = numbers_of(tx, tenant_id, account_id, outlet_ids, can, now)
    after = numbers_of(tx, tenant_id, account_id, outlet_ids, can, now, changes=changes)
    pairs = {o: (before[o].offer, number.offer) for o, number in after.items() if number.offer != before[o].offer}
    return effects_named(tx, tenant_id, pairs)


def effects_named(tx: Tx, tenant_id: int, pairs: Mapping[int, tuple[int, int]]) -> list[Effect]:
    """Give {outlet: (was, would)} their names."""
    rows = tx.all(
        "SELECT outlet_id, account_id, external_id, title FROM outlet WHERE tenant_id = :t AND outlet_id {in:ids} ORDER BY outlet_id",
        t=tenant_id,
        ids=sorted(pairs),
    )
    return [Effect(row[0], row[1], row[2], row[3], *pairs[row[0]]) for row in rows]


def weighed(tx: Tx, tenant_id: int, of_account: Mapping[int, Sequence[int]], effects: Sequence[Effect]) -> Looked:
    """Add effects up by account and ask whether a person should look first. `of_account`: the outlets concerned."""
    limits = guard.limits_of(tx, tenant_id)
    names = {
        row[0]: row[1:]
        for row in tx.all("SELECT account_id, channel, label FROM account WHERE tenant_id = :t", t=tenant_id)
    }
    accounts = []
    for account_id, outlets in of_account.items():
        numbers = [(one.was, one.would) for one in effects if one.account_id == account_id]
        counted = weigh(numbers, guard.listings_of(tx, tenant_id, account_id), limits.factor)
        channel, label = names.get(account_id, ("", ""))
        accounts.append(AccountEffect(account_id, channel, label, len(outlets), counted, alarm(counted, limits)))
    ordered = sorted(effects, key=lambda one: (one.account_id, one.would > 0, one.would >= one.was, one.outlet_id))
    return Looked(accounts, ordered)


def look(tx: Tx, tenant_id: int, changes: Sequence[Change], can: Mapping[int, Capabilities], now: int) -> Looked:
    """Say what changes of rules would do, in one go. `can`: of every marketplace account that is connected."""
    of_account = concerned(tx, tenant_id, changes)
    found: list[Effect] = []
    for account_id, outlets in of_account.items():
        for some in chunks(outlets) if account_id in can else []:
            found += effects_of(tx, tenant_id, account_id, some, can[account_id], changes, now)
    return weighed(tx, tenant_id, of_account, found)


def chunks(outlets: Sequence[int]) -> list[Sequence[int]]:
    return [outlets[i : i + LOOKED_AT_ONCE] for i in range(0, len(outlets), LOOKED_AT_ONCE)]


def check(tx: Tx, tenant_id: int, changes: Sequence[Change]) -> None:
    """Raise ValueError with words if a rule can't be kept, LookupError if the only thing asked is to drop what is not there, and NotInPlan
    if the plan has no buffer stock."""
    require(tx, tenant_id, Capability.BUFFER_STOCK)
    skus = [change.selector.value for change in changes if change.selector.goods == "sku"]
    known = policy.known(tx, tenant_id, skus)
    for change in changes:
        if change.rule is not None:
            policy.check(change.rule, known)
    drops = [change for change in changes if change.rule is None]
    if (
        drops
        and len(drops) == len(changes)
        and not any(policy.same_place(tx, tenant_id, one.selector) for one in drops)
    ):
        raise LookupError("there is no such rule")


def decide(tx: Tx, tenant_id: int, changes: Sequence[Change], looked: Looked, now: int, *, by: str) -> Changed:
    """Make the changes, or ask first where what was `looked` at is too large. Raises ValueError, LookupError."""
    check(tx, tenant_id, changes)
    if looked.alarm:
        payload = {"changes": msgspec.to_builtins(list(changes))}
        number = guard.ask(
            tx, tenant_id, "rules", 0, "A change of rules", looked.alarm, payload, looked.accounts, now, by=by
        )
        return Changed(looked, number)
    return Changed(looked, missing=make(tx, tenant_id, changes, now, by=by))


def make(tx: Tx, tenant_id: int, changes: Sequence[Change], now: int, *, by: str) -> int:
    """Make the changes without asking. Returns how many rules that were to be dropped were not there. Raises NotInPlan."""
    require(tx, tenant_id, Capability.BUFFER_STOCK)
    missing = 0
    for change in changes:
        if change.rule is not None:
            policy.keep(tx, tenant_id, change.rule, now, by=by)
        elif not policy.drop(tx, tenant_id, change.selector, now, by=by):
            missing += 1
    return missing
