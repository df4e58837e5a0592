"""What a plan has and lacks, and what a change of it would do; the change itself, with everyone told who waits for it.

In: the plan that a tenant is to have. Out: what it gains and loses, which numbers would rise; marks. Tables: reads many; plan through
tenants/plan. Never: raises a number because of a downgrade before the merchant has accepted the raise.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from oneshelf.channels.contract import Capabilities
from oneshelf.core.instants import iso
from oneshelf.core.plan import WORDS, Capability, PlanName, plans_with
from oneshelf.db.journal import close_task, open_task
from oneshelf.db.tx import Tx, rehearse
from oneshelf.listings import dirty
from oneshelf.orders import intents
from oneshelf.pricing import marks
from oneshelf.publish.numbers import Number, numbers_of
from oneshelf.tenants import plan as plans

#: How many numbers that would rise are named; the others are counted.
NAMED_MAX = 100
#: How many listings are looked at in one transaction.
LOOKED_AT_ONCE = 500


class Has(msgspec.Struct, frozen=True):
    """One capability: whether the plan has it, which plans do, and what happens without it."""

    capability: str
    name: str
    has: bool
    plans: list[str]
    meanwhile: str


class Waiting(msgspec.Struct, frozen=True):
    """What a plan may keep waiting. `imports`: orders to be made in the shop; `showing`: linked listings that show more than 0;
    `short_lines`: open lines that are short; `rules`: rules for numbers."""

    imports: int
    showing: int
    short_lines: int
    rules: int


class PlanNow(msgspec.Struct, frozen=True):
    """A tenant's plan. `frozen`: rules made before a downgrade stay in force until the raise is accepted."""

    plan: str
    since: str | None
    frozen: bool
    capabilities: list[Has]
    waiting: Waiting


class PlanChange(msgspec.Struct, frozen=True):
    """From one plan to another. `meanwhile`: what happens without each capability that is lost. `warnings`: what to do first."""

    before: str
    after: str
    gains: list[str]
    loses: list[str]
    frozen: bool
    meanwhile: list[str]
    warnings: list[str]


class Rise(msgspec.Struct, frozen=True):
    """A listing whose number would rise when its rules count no more. Numbers are listings."""

    listing: int
    channel: str
    external_id: str
    title: str
    shows: int
    would_show: int


def show(tx: Tx, tenant_id: int) -> PlanNow:
    """Return the tenant's plan with everything it has and lacks."""
    plan = plans.plan_of(tx, tenant_id)
    has = [
        Has(str(one), WORDS[one][0], plan.allows(one), [str(name) for name in plans_with(one)], WORDS[one][1])
        for one in Capability
    ]
    return PlanNow(str(plan.name), iso(plan.since_at), plan.frozen, has, waiting(tx, tenant_id))


def waiting(tx: Tx, tenant_id: int) -> Waiting:
    """Count what waits, or would."""
    counts = [
        "SELECT COUNT(*) FROM intent WHERE tenant_id = :t AND kind = 'import' AND state = 'WAITING'",
        """SELECT COUNT(*) FROM slot s WHERE s.tenant_id = :t AND COALESCE(s.believed, 0) > 0
              AND EXISTS (SELECT 1 FROM link k WHERE k.tenant_id = s.tenant_id AND k.outlet_id = s.outlet_id)""",
        "SELECT COUNT(*) FROM order_line WHERE tenant_id = :t AND coverage = 'SHORT' AND state IN ('O', 'M')",
        "SELECT COUNT(*) FROM offer_rule WHERE tenant_id = :t",
    ]
    return Waiting(*(int((tx.one(sql, t=tenant_id) or (0,))[0]) for sql in counts))


def change(tx: Tx, tenant_id: int, name: PlanName, now: int, *, by: str) -> PlanChange:
    """Give the tenant another plan. No number rises by it: rules that were in force stay so (`accept_raise`).

    What was lost stops being decided with this commit; what is gained begins with what waited meanwhile.
    """
    before, counts = plans.plan_of(tx, tenant_id), waiting(tx, tenant_id)
    after = plans.give(tx, tenant_id, name, now, rules=counts.rules > 0, by=by)
    gains = [one for one in Capability if after.allows(one) and not before.allows(one)]
    loses = [one for one in Capability if before.allows(one) and not after.allows(one)]
    if after.rules_count and not before.rules_count:
        _mark_all(tx, tenant_id, now, "the plan has buffer stock again")
    if Capability.PRICE_SYNC in gains:
        for (account_id,) in tx.all(
            "SELECT account_id FROM price_policy WHERE tenant_id = :t AND mode = 'follow'", t=tenant_id
        ):
            marks.mark_account(tx, tenant_id, account_id, now, "the plan has price sync again")
    intents.go_on_by_plan(tx, tenant_id, now)
    if Capability.INVENTORY_SYNC in gains:
        close_task(tx, tenant_id, now, "plan_lacks", Capability.INVENTORY_SYNC)
    if Capability.INVENTORY_SYNC in loses and counts.showing:
        what = "Listings are not told of sales any more"
        why = f"{counts.showing} of them show more than 0 and the plan {name.title()} has no inventory sync"
        open_task(tx, tenant_id, now, "plan_lacks", Capability.INVENTORY_SYNC, what, why)
    return PlanChange(
        str(before.name),
        str(name),
        [str(one) for one in gains],
        [str(one) for one in loses],
        after.frozen,
        [f"{WORDS[one][0]}: {WORDS[one][1]}" for one in loses],
        _warnings(loses, counts, after.frozen),
    )


def _warnings(loses: Sequence[Capability], counts: Waiting, frozen: bool) -> list[str]:
    said = []
    if Capability.INVENTORY_SYNC in loses and counts.showing:
        said.append(
            f"{counts.showing} listings show more than 0 and will not hear of sales: they may sell what is gone. "
            "Let them show 0 first: oneshelf channels pause ACCOUNT --show-zero-first"
        )
    if Capability.ORDER_IMPORT in loses:
        said.append(
            "Orders of the marketplaces are not made in the shop: ship them from their marketplace's own pages."
        )
    if frozen:
        said.append(
            f"Your {counts.rules} rules stay in force and can't be changed; no number rises. "
            "To let numbers rise: oneshelf plan accept-raise"
        )
    return said


# --- the raise -----------------------------------------------------------------------------------------------------------


def outlets_under_rules(tx: Tx, tenant_id: int) -> dict[int, list[int]]:
    """Return {marketplace account: its linked outlets} where there is any rule."""
    if not waiting(tx, tenant_id).rules:
        return {}
    found: dict[int, list[int]] = {}
    for account_id, outlet_id in tx.all(
        """SELECT DISTINCT o.account_id, o.outlet_id FROM outlet o
             JOIN link k ON k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id
             JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
            WHERE o.tenant_id = :t AND a.channel <> 'shopify' AND a.state <> 'DISCONNECTED' AND o.fulfilled_by_channel = 0
            ORDER BY o.account_id, o.outlet_id""",
        t=tenant_id,
    ):
        found.setdefault(account_id, []).append(outlet_id)
    return found


def rises(
    tx: Tx, tenant_id: int, account_id: int, outlet_ids: Sequence[int], can: Capabilities, now: int
) -> list[Rise]:
    """Return which of these listings would show more if no rule counted: the same numbers, with the rules and without, nothing kept."""
    with_rules = numbers_of(tx, tenant_id, account_id, outlet_ids, can, now)

    def without_rules(tx: Tx) -> dict[int, Number]:
        plans.give(tx, tenant_id, PlanName.FREE, now, rules=False, by="rehearsal")
        return numbers_of(tx, tenant_id, account_id, outlet_ids, can, now)

    without = rehearse(tx, without_rules)
    higher = {o: (n.offer, without[o].offer) for o, n in with_rules.items() if without[o].offer > n.offer}
    rows = tx.all(
        """SELECT o.outlet_id, a.channel, o.external_id, o.title FROM outlet o
             JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
            WHERE o.tenant_id = :t AND o.outlet_id {in:ids} ORDER BY o.outlet_id""",
        t=tenant_id,
        ids=sorted(higher),
    )
    return [Rise(no, channel, there, title, *higher[no]) for no, channel, there, title in rows]


def accept_raise(tx: Tx, tenant_id: int, now: int, *, by: str) -> bool:
    """Let the rules that a downgrade froze count no more. False: none are frozen."""
    if not plans.thaw(tx, tenant_id, now, by=by):
        return False
    _mark_all(tx, tenant_id, now, "the raise after a downgrade was accepted")
    return True


def _mark_all(tx: Tx, tenant_id: int, now: int, why: str) -> None:
    outlets = [outlet_id for mine in outlets_under_rules(tx, tenant_id).values() for outlet_id in mine]
    dirty.mark_outlets(tx, tenant_id, outlets, now, why)
