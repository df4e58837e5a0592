"""What a tenant's plan lets us decide: the one place where that is asked.

In: the plan that was given to a tenant. Out: yes or no, or an error with the words. Tables it owns: plan.
Never: keeps anything from being stored and counted; limits a self-hosted merchant (no row: everything).
"""

from __future__ import annotations

import msgspec

from oneshelf.core.plan import PLANS, Capability, NotInPlan, PlanName
from oneshelf.db.tx import Tx


class Plan(msgspec.Struct, frozen=True):
    """A tenant's plan. `frozen`: the rules that were in force at a downgrade count on, though the plan has no buffer stock."""

    name: PlanName = PlanName.SELF_HOSTED
    since_at: int | None = None
    frozen: bool = False

    def allows(self, capability: Capability) -> bool:
        return capability in PLANS[self.name]


#: Who has no row: a self-hosted merchant.
NO_PLAN = Plan()


def plan_of(tx: Tx, tenant_id: int) -> Plan:
    """Return the tenant's plan; without one he has everything."""
    row = tx.one("SELECT name, since_at, frozen FROM plan WHERE tenant_id = :t", t=tenant_id)
    return NO_PLAN if row is None else Plan(PlanName(row[0]), row[1], bool(row[2]))


def allows(tx: Tx, tenant_id: int, capability: Capability) -> bool:
    """Whether the tenant's plan has this. Ask before a decision, never before storing."""
    return plan_of(tx, tenant_id).allows(capability)


def require(tx: Tx, tenant_id: int, capability: Capability) -> None:
    """Raise NotInPlan, with words for the merchant, where the plan lacks this. For what a person asks for."""
    plan = plan_of(tx, tenant_id)
    if not plan.allows(capability):
        raise NotInPlan(capability, plan.name)
