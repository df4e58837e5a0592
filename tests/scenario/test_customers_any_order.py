"""Whatever is merged and taken apart again, and whatever is bought in between: in the end it is as if nobody had merged anything.

Two tenants hear the same orders; at one of them a person merges and takes apart in between. What names a person at one is nothing at the
other (I20), so only numbers are compared.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oneshelf.core.purchase import NOTHING, Purchase
from oneshelf.customers import counting, matching, merging
from oneshelf.customers.bought import BoughtOrder
from oneshelf.db.store import Store, transaction
from oneshelf.db.tx import Tx

NOW = 1_795_443_780_000_000
CHANNELS = ("shopify", "etsy", "ebay")
_tenants = itertools.count(100, 2)

orders = st.tuples(
    st.sampled_from(CHANNELS),
    st.sampled_from((None, "1", "2", "3")),  # the channel's own buyer
    st.sampled_from((None, "a@x.com", "b@x.com", "c@x.com")),
    st.booleans(),  # it counts
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("buy"), orders),
        st.tuples(st.just("merge"), st.tuples(st.integers(1, 6), st.integers(1, 6))),
        st.tuples(st.just("unmerge"), st.integers(1, 6)),
    ),
    min_size=2,
    max_size=24,
)


def bought(order_no: int, order: tuple[str, str | None, str | None, bool]) -> BoughtOrder:
    channel, buyer_id, email, counted = order
    person = {"buyer": {"channel_buyer_id": buyer_id, "email": email, "name": "Jane"}, "ship_to": None}
    counts = Purchase(True, order_no, "EUR", order_no * 100) if counted else NOTHING
    return BoughtOrder(order_no, channel, NOW + order_no, json.dumps(person), 0, counts)


def kept(tx: Tx, tenant_id: int) -> list[Any]:
    """Everything but when a stage began (a part of another has none of its own meanwhile), and the history."""
    return [
        tx.all(
            "SELECT customer_no, root_no, merged_into, merged_at, over_stage, over_stage_at, in_hub, purchases, pieces, first_at, last_at, "
            "stage, stage_why, stage_due_at FROM customer WHERE tenant_id = :t ORDER BY customer_no",
            t=tenant_id,
        ),
        tx.all(
            "SELECT order_no, customer_no, rule, counted FROM customer_order WHERE tenant_id = :t ORDER BY order_no",
            t=tenant_id,
        ),
        tx.all(
            "SELECT customer_no, order_no, rule, COUNT(*) FROM customer_sign WHERE tenant_id = :t GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            t=tenant_id,
        ),
    ]


def roots_are_ends(tx: Tx, tenant_id: int) -> bool:
    """Every profile's root is where its way of merges ends."""
    rows = tx.all("SELECT customer_no, root_no, merged_into FROM customer WHERE tenant_id = :t", t=tenant_id)
    way = {number: parent for number, _, parent in rows}

    def end(number: int) -> int:
        return number if way[number] is None else end(way[number])

    return all(root_no == end(number) for number, root_no, _ in rows)


def take_apart(tx: Tx, tenant_id: int, customer_no: int) -> None:
    try:
        merging.unmerge(tx, tenant_id, customer_no, NOW, by="test")
    except merging.NotMerged:
        pass


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps, st.permutations(range(1, 25)))
def test_merge_then_unmerge_is_the_identity_after_further_orders_too(
    store: Store, done: list[Any], last: list[int]
) -> None:
    merged_at, plain = (tenant := next(_tenants)), tenant + 1
    with transaction(store) as tx:
        for n, (what, how) in enumerate(done, start=1):
            if what == "buy":
                for tenant_id in (merged_at, plain):
                    matching.follow(tx, tenant_id, [bought(n, how)], NOW)
            elif what == "merge":
                try:
                    merging.merge(tx, merged_at, *how, NOW, by="test")
                except merging.NotMerged:
                    pass
            else:
                take_apart(tx, merged_at, how)
            assert counting.differing_sums(tx, merged_at) == [] and roots_are_ends(tx, merged_at)
        for customer_no in last:
            take_apart(tx, merged_at, customer_no)
        assert kept(tx, merged_at) == kept(tx, plain)
        assert counting.differing_sums(tx, merged_at) == []


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(orders, min_size=2, max_size=10), st.integers(1, 9))
def test_S4_4_one_batch_decides_as_many_do(store: Store, done: list[Any], cut: int) -> None:
    """Set-based matching is the same as one order after the other."""
    one_by_one, batched = (tenant := next(_tenants)), tenant + 1
    made = [bought(n, order) for n, order in enumerate(done, start=1)]
    with transaction(store) as tx:
        for order in made:
            matching.follow(tx, one_by_one, [order], NOW)
        for part in (made[:cut], made[cut:], made):
            matching.follow(tx, batched, part, NOW)
        assert kept(tx, one_by_one) == kept(tx, batched)
