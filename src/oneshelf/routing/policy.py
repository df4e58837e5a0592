"""How a tenant's orders are routed: by Shopify, or by the merchant's criteria.

In: his words. Out: the policy in force. Tables it owns: routing_policy.
Never: decides an order; is in force where the tenant's plan has no routing (it stays stored).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

from oneshelf.core.plan import Capability
from oneshelf.core.routing import CRITERIA
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.tenants.plan import allows, require

ROUTERS = ("shopify", "oneshelf")


class Policy(msgspec.Struct, frozen=True):
    """`router` shopify: the shop decides where an order leaves from and we follow; oneshelf: we decide and tell the shop.

    `criteria`: what is asked, in this order; what is missing is not asked. `split`: an order may leave in several parcels.
    """

    router: str = "shopify"
    criteria: tuple[str, ...] = CRITERIA
    split: bool = True


def policy_of(tx: Tx, tenant_id: int) -> Policy:
    """Return what the merchant said, whether or not it is in force."""
    row = tx.one("SELECT router, criteria, split FROM routing_policy WHERE tenant_id = :t", t=tenant_id)
    return Policy() if row is None else Policy(row[0], tuple(json.loads(row[1])), bool(row[2]))


def in_force(tx: Tx, tenant_id: int) -> Policy | None:
    """Return the policy by which we decide, None if the shop does. The one place where a plan without routing stops it."""
    policy = policy_of(tx, tenant_id)
    return policy if policy.router == "oneshelf" and allows(tx, tenant_id, Capability.ROUTING) else None


def set_policy(
    tx: Tx,
    tenant_id: int,
    now: int,
    *,
    by: str,
    router: str | None = None,
    criteria: Sequence[str] | None = None,
    split: bool | None = None,
) -> Policy:
    """Keep what is named, leave the rest. It counts for orders that come from now on.

    Raises NotInPlan where the plan has no routing, ValueError for a router or criterion that does not exist, one that stands twice, or
    without `stock`.
    """
    before = policy_of(tx, tenant_id)
    wanted = Policy(
        before.router if router is None else router,
        before.criteria if criteria is None else tuple(criteria),
        before.split if split is None else split,
    )
    if router == "oneshelf":
        require(tx, tenant_id, Capability.ROUTING)
    if wanted.router not in ROUTERS:
        raise ValueError(f"{wanted.router!r} is no router; say {' or '.join(ROUTERS)}")
    if strange := [one for one in wanted.criteria if one not in CRITERIA]:
        raise ValueError(f"there is no criterion {', '.join(strange)}; there are {', '.join(CRITERIA)}")
    if len(set(wanted.criteria)) < len(wanted.criteria):
        raise ValueError("a criterion stands twice")
    if "stock" not in wanted.criteria:
        raise ValueError("stock can't be left out: an order would be sent to where nothing lies")
    tx.run(
        """INSERT INTO routing_policy (tenant_id, router, criteria, split) VALUES (:t, :r, :c, :s)
           ON CONFLICT (tenant_id) DO UPDATE SET router = excluded.router, criteria = excluded.criteria, split = excluded.split""",
        t=tenant_id,
        r=wanted.router,
        c=json.dumps(wanted.criteria),
        s=int(wanted.split),
    )
    note(
        tx,
        tenant_id,
        now,
        by,
        "The routing policy set",
        "routing",
        router=wanted.router,
        criteria=list(wanted.criteria),
        split=wanted.split,
    )
    return wanted
