"""Plans: which capabilities each has. Pure data, and the words for who asks for more than his plan has.

A self-hosted merchant has no plan, and everything. A plan that lacks a capability stops us deciding, never storing: every order is
still kept and counted in the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from .errors import Park


class Capability(StrEnum):
    """What a plan may or may not have."""

    INVENTORY_SYNC = "inventory_sync"
    PRICE_SYNC = "price_sync"
    ORDER_IMPORT = "order_import"
    CUSTOMER_MATCHING = "customer_matching"
    CONFLICT_DETECTION = "conflict_detection"
    BUFFER_STOCK = "buffer_stock"
    ROUTING = "routing"


class PlanName(StrEnum):
    """The plans, from the smallest up; `SELF_HOSTED` is who has none."""

    FREE = "free"
    STARTER = "starter"
    PRO = "pro"
    AGENCY = "agency"
    ENTERPRISE = "enterprise"
    SELF_HOSTED = "self-hosted"


_STARTER = frozenset(
    {
        Capability.INVENTORY_SYNC,
        Capability.PRICE_SYNC,
        Capability.ORDER_IMPORT,
        Capability.CUSTOMER_MATCHING,
        Capability.CONFLICT_DETECTION,
    }
)
_PRO = _STARTER | {Capability.BUFFER_STOCK}
_AGENCY = _PRO | {Capability.ROUTING}

#: What each plan has. Nothing else in the product knows.
PLANS: Mapping[PlanName, frozenset[Capability]] = MappingProxyType(
    {
        PlanName.FREE: frozenset(),
        PlanName.STARTER: _STARTER,
        PlanName.PRO: _PRO,
        PlanName.AGENCY: _AGENCY,
        PlanName.ENTERPRISE: _AGENCY,
        PlanName.SELF_HOSTED: frozenset(Capability),
    }
)

#: A capability's name for people, and what happens while a plan lacks it.
WORDS: Mapping[Capability, tuple[str, str]] = MappingProxyType(
    {
        Capability.INVENTORY_SYNC: (
            "Inventory sync",
            "sales are kept and counted, and no number is told: listings keep the one they show",
        ),
        Capability.PRICE_SYNC: ("Price sync", "listings keep the price they ask"),
        Capability.ORDER_IMPORT: (
            "Order import",
            "marketplace orders are kept and counted, and wait to be made in the shop",
        ),
        Capability.CUSTOMER_MATCHING: (
            "Customer matching",
            "every order is kept with its buyer, and nobody is matched",
        ),
        Capability.CONFLICT_DETECTION: (
            "Conflict detection",
            "short lines are shown, and neither cancelled nor asked about",
        ),
        Capability.BUFFER_STOCK: ("Buffer stock", "rules that are in force stay in force, and none can be changed"),
        Capability.ROUTING: ("Multi-warehouse routing", "orders leave from where Shopify puts them"),
    }
)


class NotInPlan(Park):
    """The plan lacks a capability: which, who has it, what happens meanwhile."""

    def __init__(self, capability: Capability, plan: PlanName) -> None:
        self.capability, self.plan = capability, plan
        #: The plans that have it, the smallest first.
        self.plans = plans_with(capability)
        name, meanwhile = WORDS[capability]
        have = [one.title() for one in self.plans]
        super().__init__(
            f"{name} is not in the plan {plan.title()}; {' and '.join([', '.join(have[:-1]), have[-1]])} have it. "
            f"Meanwhile {meanwhile}. See: oneshelf plan show"
        )


def plans_with(capability: Capability) -> list[PlanName]:
    """Return the plans that one can choose which have this, the smallest first.

    >>> [str(one) for one in plans_with(Capability.ROUTING)]
    ['agency', 'enterprise']
    """
    return [name for name, has in PLANS.items() if capability in has and name is not PlanName.SELF_HOSTED]
