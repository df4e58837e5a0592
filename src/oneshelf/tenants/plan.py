"""What a tenant's plan lets us decide: the one place where that is asked.

In: the plan that was given to a tenant. Out: yes or no, or an error with the words. Tables it owns: plan.
Never: keeps anything from being stored and counted; limits a self-hosted merchant (no row: everything).
"""

from __future__ import annotations

import msgspec

from oneshelf.core.errors import Park
from oneshelf.core.plan import PLANS, Capability, NotInPlan, PlanName
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx


class NoSuchPlan(Park):
    """There is no plan of this name."""


class Plan(msgspec.Struct, frozen=True):
    """A tenant's plan. `frozen`: the rules that were in force at a downgrade count on, though the plan has no buffer stock."""

    name: PlanName = PlanName.SELF_HOSTED
    since_at: int | None = None
    frozen: bool = False

    @classmethod
    def named(cls, name: str | None, since_at: int | None = None, frozen: int = 0) -> Plan:
        """Return the plan of a stored row; None: there is none, he has everything."""
        return cls() if name is None else cls(PlanName(name), since_at, bool(frozen))

    def allows(self, capability: Capability) -> bool:
        return capability in PLANS[self.name]

    @property
    def rules_count(self) -> bool:
        """Whether the merchant's rules for numbers count: by the plan, or frozen as they were at a downgrade."""
        return self.frozen or self.allows(Capability.BUFFER_STOCK)


def plan_of(tx: Tx, tenant_id: int) -> Plan:
    """Return the tenant's plan; without one he has everything."""
    row = tx.one("SELECT name, since_at, frozen FROM plan WHERE tenant_id = :t", t=tenant_id)
    return Plan() if row is None else Plan.named(*row)


def allows(tx: Tx, tenant_id: int, capability: Capability) -> bool:
    """Whether the tenant's plan has this. Ask before a decision, never before storing."""
    return plan_of(tx, tenant_id).allows(capability)


def require(tx: Tx, tenant_id: int, capability: Capability) -> None:
    """Raise NotInPlan, with words for the merchant, where the plan lacks this. For what a person asks for."""
    plan = plan_of(tx, tenant_id)
    if not plan.allows(capability):
        raise NotInPlan(capability, plan.name)


def plan_named(name: str) -> PlanName:
    """Return the plan of this name. Raises NoSuchPlan with the names there are."""
    try:
        return PlanName(name.strip().lower())
    except ValueError:
        raise NoSuchPlan(f"There is no plan {name!r}. The plans: {', '.join(PlanName)}.") from None


def give(tx: Tx, tenant_id: int, name: PlanName, now: int, *, rules: bool, by: str) -> Plan:
    """Give a tenant a plan and return it. `rules`: he has rules for numbers, which stay in force where the new plan has no buffer stock
    and they were in force until now. Who else must hear of it is `watch/plan_change`'s to say."""
    before = plan_of(tx, tenant_id)
    has_buffer = Capability.BUFFER_STOCK in PLANS[name]
    after = Plan(name, now, frozen=not has_buffer and before.rules_count and rules)
    if name is PlanName.SELF_HOSTED:
        tx.run("DELETE FROM plan WHERE tenant_id = :t", t=tenant_id)
    else:
        _keep(tx, tenant_id, after, by)
    note(tx, tenant_id, now, by, "The plan changed", "plan", before=before.name, after=name, frozen=after.frozen)
    return after


def thaw(tx: Tx, tenant_id: int, now: int, *, by: str) -> bool:
    """Let frozen rules count no more: numbers rise. False: none were frozen."""
    plan = plan_of(tx, tenant_id)
    if not plan.frozen:
        return False
    _keep(tx, tenant_id, msgspec.structs.replace(plan, frozen=False), by)
    note(tx, tenant_id, now, by, "The raise after a downgrade was accepted: rules for numbers count no more", "plan")
    return True


def _keep(tx: Tx, tenant_id: int, plan: Plan, by: str) -> None:
    tx.run(
        """INSERT INTO plan (tenant_id, name, since_at, changed_by, frozen) VALUES (:t, :name, :since, :by, :frozen)
           ON CONFLICT (tenant_id) DO UPDATE SET name = excluded.name, since_at = excluded.since_at,
               changed_by = excluded.changed_by, frozen = excluded.frozen""",
        t=tenant_id,
        name=str(plan.name),
        since=plan.since_at or 0,
        by=by,
        frozen=int(plan.frozen),
    )
