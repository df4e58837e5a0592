"""What each plan has, as the tests see it; who has none has everything; who asks for more is told what to do."""

from __future__ import annotations

import pytest
from tests.unit.plan_table import TABLE
from tests.unit.seeding import NOW, TENANT

from oneshelf.core.plan import PLANS, Capability, NotInPlan, PlanName
from oneshelf.db.store import Store, transaction
from oneshelf.tenants.plan import allows, require


@pytest.mark.parametrize(("capability", "plans"), sorted(TABLE.items()))
def test_each_plan_has_what_the_table_says(capability: str, plans: set[str]) -> None:
    assert {str(name) for name, has in PLANS.items() if Capability(capability) in has} == {*plans, "self-hosted"}


def test_the_table_speaks_of_every_capability() -> None:
    assert set(TABLE) == set(Capability)


def test_without_a_plan_everything_is_on_and_with_one_only_what_it_has(store: Store) -> None:
    with transaction(store) as tx:
        assert all(allows(tx, TENANT, one) for one in Capability)
        tx.run("INSERT INTO plan (tenant_id, name, since_at) VALUES (:t, 'pro', :now)", t=TENANT, now=NOW)
        assert allows(tx, TENANT, Capability.BUFFER_STOCK)
        assert not allows(tx, TENANT, Capability.ROUTING)
        assert allows(tx, TENANT + 1, Capability.ROUTING)  # another tenant's plan is not his


def test_what_a_plan_lacks_is_said_with_who_has_it_and_what_happens_meanwhile(store: Store) -> None:
    with transaction(store) as tx:
        tx.run("INSERT INTO plan (tenant_id, name, since_at) VALUES (:t, 'starter', :now)", t=TENANT, now=NOW)
        require(tx, TENANT, Capability.PRICE_SYNC)
        with pytest.raises(NotInPlan) as caught:
            require(tx, TENANT, Capability.BUFFER_STOCK)
    assert str(caught.value) == (
        "Buffer stock is not in the plan Starter; Pro, Agency and Enterprise have it. "
        "Meanwhile rules that are in force stay in force, and none can be changed. See: oneshelf plan show"
    )
    assert (caught.value.plan, caught.value.plans[0]) == (PlanName.STARTER, PlanName.PRO)
