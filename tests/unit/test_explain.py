"""Every number explains itself: terms add up, states are proven, null is never 0 (SEMANTICS 1, 2.10)."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dashboard_seed as shop
from oneshelf.core.instants import SECOND
from oneshelf.core.offer import NO_CAP, OfferPolicy, Others, bundle_available, explain_offer, limit_of, offer_quantity
from oneshelf.core.stock import Level
from oneshelf.db.store import Store
from oneshelf.listings import links
from oneshelf.watch.accounts import AccountNow
from oneshelf.watch.explain import equation_of, explain
from oneshelf.watch.ladder import ladder_of
from oneshelf.watch.overview import overview
from oneshelf.watch.shown import HubLevelNow, OutletNow, judge, judge_hub

NOW = 1_795_443_792 * SECOND
LIVE = AccountNow(2, "amazon", "Northlight EU", "A1", "LIVE", 0, 2 * SECOND, NOW, NOW, None, "")
HUB = msgspec.structs.replace(LIVE, account_id=1, channel="shopify")

pieces = st.integers(0, 400)
policies = st.builds(
    OfferPolicy,
    safety_stock=st.integers(0, 40),
    safety_percent=st.none() | st.integers(0, 100),
    cap=st.just(NO_CAP) | st.integers(0, 60),
    units_per_listing=st.integers(1, 7),
    channel_max=st.sampled_from([999, 12, 1_000_000]),
    min_show=st.integers(1, 6),
    exactly=st.none() | st.integers(0, 12),
)


# --- terms ---------------------------------------------------------------------------------------------------------------


@given(st.integers(-30, 2_000), policies, st.builds(Others, reserve=st.integers(0, 50), floor=st.integers(0, 50)))
def test_the_terms_of_a_ladder_add_up_to_its_number(available: int, policy: OfferPolicy, others: Others) -> None:
    why = msgspec.structs.asdict(explain_offer(available, policy, others))
    ladder = ladder_of(why, available, "rule", policy=policy, others=others)
    assert sum(term.amount for term in ladder.terms) == ladder.offer * ladder.units_per_listing
    assert ladder.offer == offer_quantity(available, policy, others)
    assert ladder.terms[0].amount == available
    assert all(change.offer != ladder.offer for change in ladder.would_change)
    assert len(ladder.would_change) <= 3


@given(
    st.dictionaries(st.sampled_from("ABC"), st.tuples(st.integers(-5, 90), st.integers(1, 4)), min_size=2),
    st.integers(0, 9),
    st.integers(1, 4),
)
def test_the_terms_of_a_bundle_add_up_too(parts: dict[str, tuple[int, int]], safety: int, min_show: int) -> None:
    k = {sku: available for sku, (available, _) in parts.items()}
    units = {sku: n for sku, (_, n) in parts.items()}
    left = {sku: limit_of(k[sku], OfferPolicy(safety_stock=safety)) if k[sku] > 0 else k[sku] for sku in parts}
    why = msgspec.structs.asdict(explain_offer(bundle_available(left, units), OfferPolicy(min_show=min_show)))
    why["parts"] = {sku: {"available": k[sku], "left": left[sku], "units": units[sku]} for sku in parts}
    ladder = ladder_of(why, bundle_available(k, units), "rule")
    assert ladder.unit == "bundles"
    assert sum(term.amount for term in ladder.terms) == ladder.offer
    assert {part.sku for part in ladder.parts} == set(parts)


@given(st.lists(st.builds(Level, on_hand=pieces, committed=pieces, reserved=pieces, unavailable=pieces), max_size=5))
def test_the_equation_adds_up_over_locations(levels: list[Level]) -> None:
    e = equation_of(levels)
    assert e.on_hand - e.committed - e.reserved - e.unavailable == e.available
    assert e.available == sum(level.available for level in levels)
    assert e.oversold == max(0, -e.available)


# --- states --------------------------------------------------------------------------------------------------------------


def outlet(**changes: object) -> OutletNow:
    at_rest = OutletNow(
        7,
        2,
        "MUG",
        "Mug",
        "live",
        False,
        "QUIET",
        3,
        NOW - 9 * SECOND,
        True,
        None,
        None,
        None,
        None,
        "",
        None,
        {"MUG": 1},
    )
    return msgspec.structs.replace(at_rest, **changes)


@pytest.mark.parametrize(
    ("changes", "account", "expected"),
    [
        ({}, {}, ("true", 3, None)),
        ({"believed": 5, "sold_surely": 2, "sold_perhaps": 2}, {}, ("true", 3, None)),
        ({"believed": 4, "sold_perhaps": 1, "dirty_since": NOW - SECOND}, {}, ("on_its_way", 4, None)),
        ({"believed": 5, "dirty_since": NOW - SECOND}, {}, ("on_its_way", 5, None)),
        ({"believed": 5, "dirty_since": NOW - 61 * SECOND}, {}, ("shows_more", 5, None)),
        ({"believed": 1, "dirty_since": NOW - 61 * SECOND}, {}, ("shows_less", 1, None)),
        ({"believed": 5}, {}, ("shows_more", 5, None)),
        ({"believed": 4, "sent": 3, "sent_at": NOW, "slot_state": "SENDING"}, {}, ("on_its_way", 4, 3)),
        ({"believed": 4, "sent": 3, "acked_at": NOW, "slot_state": "APPLYING"}, {}, ("on_its_way", 4, 3)),
        ({"believed": 4, "sent": 3, "slot_state": "UNKNOWN"}, {}, ("not_known", None, 3)),
        ({"verified": False}, {}, ("not_known", None, 3)),
        ({"believed": None, "believed_at": None}, {}, ("not_known", None, None)),
        ({"believed": None, "believed_at": None, "slot_state": None, "dirty_since": NOW}, {}, ("on_its_way", None, None)),
        ({"slot_state": "PARKED", "reason": "refused"}, {}, ("parked", 3, None)),
        ({"outlet_state": "ended"}, {}, ("not_linked", None, None)),
        ({"parts": {}}, {}, ("not_linked", None, None)),
        ({"by_channel": True}, {}, ("not_linked", None, None)),
        ({}, {"state": "PAUSED"}, ("paused", 3, None)),
        ({}, {"state": "MATCHED"}, ("paused", 3, None)),
        ({}, {"failing_since": NOW - 61 * SECOND}, ("not_known", None, 3)),
        ({}, {"failing_since": NOW - 30 * SECOND}, ("true", 3, None)),
        ({"slot_state": "PARKED"}, {"failing_since": NOW - 840 * SECOND}, ("not_known", None, 3)),
    ],
)  # fmt: skip
def test_what_an_outlet_shows_is_said_only_as_far_as_it_is_proven(
    changes: dict[str, object], account: dict[str, object], expected: tuple[object, ...]
) -> None:
    shown = judge(outlet(**changes), 3, msgspec.structs.replace(LIVE, **account), NOW)
    assert (shown.state, shown.quantity, shown.told) == expected


def level(**changes: object) -> HubLevelNow:
    return msgspec.structs.replace(HubLevelNow("L1", 5, 5, 5, NOW - SECOND, 0, None, False, False, False), **changes)


@pytest.mark.parametrize(
    ("levels", "state", "quantity"),
    [
        ([level()], "true", 5),
        ([level(should=-1, expected=0)], "true", 0),  # the shop sells nothing either way
        ([level(should=4, claims_open=True)], "on_its_way", 5),
        ([level(odd=2, odd_since=NOW - SECOND)], "on_its_way", 7),
        ([level(odd=2, odd_since=NOW - 301 * SECOND)], "shows_more", 7),
        ([level(should=4)], "shows_more", 5),
        ([level(read=None, read_at=None)], "not_known", None),
        ([], "not_known", None),
    ],
)
def test_the_hub_is_true_when_it_shows_what_is_explained(
    levels: list[HubLevelNow], state: str, quantity: int | None
) -> None:
    shown = judge_hub(levels, HUB, NOW)
    assert (shown.state, shown.quantity) == (state, quantity)


# --- the whole, from a database --------------------------------------------------------------------------------------------


@pytest.fixture
def seeded(store: Store) -> Store:
    shop.seed(store, NOW)
    return store


def test_a_sku_is_explained_whole(seeded: Store) -> None:
    with seeded.reader() as tx:
        e = explain(tx, shop.TENANT, "BLK-MUG-01", now=NOW)
    assert msgspec.structs.astuple(e.equation) == (13, 3, 1, 0, 9, 0, 0)
    assert [(line.channel, line.should, line.shows, line.told, line.state) for line in e.outlets] == [
        ("shopify", 9, 9, None, "true"),
        ("amazon", 4, 4, None, "true"),
        ("ebay", 4, 4, None, "true"),
        ("etsy", 9, 10, 9, "on_its_way"),
    ]
    amazon = e.outlets[1].ladder
    assert amazon is not None
    assert [(t.name, t.amount) for t in amazon.terms[:2]] == [("Available", 9), ("Kept off by the buffer", -5)]
    assert amazon.terms[1].reason == "rule for BLK-MUG-01 on Amazon"
    assert [(c.setting, c.offer) for c in amazon.would_change] == [
        ("Without the buffer", 9),
        ("Keep 6 pieces off it", 3),
        ("1 more piece on hand", 5),
    ]
    pack = e.outlets[2].ladder
    assert pack is not None and (pack.units_per_listing, sum(t.amount for t in pack.terms)) == (2, 8)
    assert [(n.change, n.available_after) for n in e.entries] == [(-1, 9), (-2, 10), (-1, 12), (4, 13), (9, 9)]
    assert e.entries_total == 5
    assert [(o.order_id, o.pieces, o.hub_order_id is not None) for o in e.orders] == [
        ("114-3941689-8772232", 1, False),
        ("#10467", 2, False),
        ("3198412206", 1, True),
    ]
    assert [(c.order_id, c.want, c.held, c.imported) for c in e.claims] == [
        ("114-3941689-8772232", 1, 1, 0),
        ("3198412206", 1, 0, 1),
    ]
    first = e.attempts[0]
    assert (first.channel, first.quantity, first.accepted_at is not None, first.seen_at) == ("etsy", 9, True, None)
    assert msgspec.json.decode(msgspec.json.encode(e))["equation"]["available"] == 9


def test_each_entry_leads_from_one_available_to_the_next(seeded: Store) -> None:
    with seeded.reader() as tx:
        for sku, *_ in shop.ITEMS:
            e = explain(tx, shop.TENANT, sku, now=NOW)
            assert e.entries[0].available_after == e.equation.available
            for newer, older in zip(e.entries, e.entries[1:], strict=False):
                assert newer.available_after - newer.change == older.available_after
            assert e.entries[-1].available_after == e.entries[-1].change


def test_a_location_out_of_scope_is_shown_and_does_not_count(seeded: Store) -> None:
    tx = seeded.begin()
    tx.run("UPDATE location SET in_scope = 0 WHERE location_id = :l", l=shop.ROTTERDAM)
    seeded.commit()
    with seeded.reader() as tx:
        e = explain(tx, shop.TENANT, "BLK-MUG-01", now=NOW)
    assert (e.equation.on_hand, e.equation.available) == (9, 5)
    assert [(level.name, level.counts, level.available) for level in e.locations] == [
        ("Leeds", True, 5),
        ("Rotterdam", False, 4),
    ]
    # The count at Rotterdam, entry 2, moved nothing that counts.
    assert [n.available_after for n in e.entries] == [5, 6, 8, 9, 9]


def test_a_call_to_the_hub_under_way_is_no_difference(seeded: Store) -> None:
    tx = seeded.begin()
    tx.run("UPDATE claim SET held = 0, refused = 1 WHERE want = held AND sku = 'BLK-MUG-01'")
    seeded.commit()
    with seeded.reader() as tx:
        refused = explain(tx, shop.TENANT, "BLK-MUG-01", "shopify", now=NOW).outlets[0]
    tx = seeded.begin()
    tx.run(
        """INSERT INTO intent (tenant_id, intent_no, kind, entity, version, idempotency_key, state, payload, created_at, due_at)
           VALUES (1, 9000, 'move_batch', 'x', 1, 'k', 'SENDING', :p, 0, 0)""",
        p=msgspec.json.encode({"moves": [["BLK-MUG-01", shop.LEEDS, -1]]}).decode(),
    )
    seeded.commit()
    with seeded.reader() as tx:
        under_way = explain(tx, shop.TENANT, "BLK-MUG-01", "shopify", now=NOW).outlets[0]
    assert (refused.state, refused.should, refused.shows) == ("shows_more", 9, 10)
    assert (under_way.state, under_way.shows, under_way.told) == ("on_its_way", 10, 9)


def test_an_oversold_sku_names_the_task_and_the_short_order(seeded: Store) -> None:
    with seeded.reader() as tx:
        e = explain(tx, shop.TENANT, "LMP-BRS-02", now=NOW)
    assert (e.equation.available, e.equation.oversold) == (-1, 1)
    assert [(o.order_id, o.coverage) for o in e.orders] == [
        ("27-12880-45519", "SHORT"),
        ("114-7756201-3348215", "COVERED"),
    ]
    assert [task.what for task in e.tasks] == ["Decide about order 27-12880-45519: LMP-BRS-02 is sold out"]
    ladder = next(line.ladder for line in e.outlets if line.channel == "etsy")
    assert ladder is not None and (ladder.offer, sum(t.amount for t in ladder.terms)) == (0, 0)


def test_one_channel_only_when_asked_and_none_that_is_not_linked(seeded: Store) -> None:
    with seeded.reader() as tx:
        e = explain(tx, shop.TENANT, "BRD-OAK-40", "ebay", now=NOW)
        whole = explain(tx, shop.TENANT, "BRD-OAK-40", now=NOW)
        with pytest.raises(LookupError):
            explain(tx, shop.TENANT, "NO-SUCH-SKU", now=NOW)
    assert [(line.channel, line.state, line.note) for line in e.outlets] == [
        ("ebay", "parked", "eBay refused the number: the listing is closed")
    ]
    assert [task.kind for task in e.tasks] == ["listing_refused"]
    assert whole.not_linked == ["Etsy"]


def test_a_bundle_stands_under_each_of_its_parts(seeded: Store) -> None:
    tx = seeded.begin()
    row = tx.one("SELECT outlet_id FROM outlet WHERE account_id = :a AND sku_text = 'CND-FIG-220'", a=shop.ETSY)
    assert row is not None
    links.link(tx, shop.TENANT, row[0], {"CND-FIG-220": 2, "WAL-HK-05": 3}, NOW, by="hand")
    seeded.commit()
    with seeded.reader() as tx:
        under = [explain(tx, shop.TENANT, sku, "etsy", now=NOW).outlets for sku in ("CND-FIG-220", "WAL-HK-05")]
    line = next(line for line in under[0] if line.outlet_id == row[0])
    assert line in under[1]
    assert line.ladder is not None
    assert (line.should, line.ladder.unit, [(p.sku, p.left, p.units) for p in line.ladder.parts]) == (
        2,
        "bundles",
        [("CND-FIG-220", 41, 2), ("WAL-HK-05", 7, 3)],
    )


# --- the overview ----------------------------------------------------------------------------------------------------------


def test_every_order_of_the_day_is_in_one_place_and_every_number_in_one_state(seeded: Store) -> None:
    with seeded.reader() as tx:
        o = overview(tx, shop.TENANT, NOW)
    orders = o.orders
    assert (orders.total, orders.in_shopify, orders.on_their_way, orders.unpaid) == (10, 8, 1, 1)
    assert orders.total == sum(
        (orders.in_shopify, orders.on_their_way, orders.unpaid, orders.waiting_for_person, orders.elsewhere)
    )
    assert (o.listed, o.right, o.on_their_way, o.late, o.parked, o.unknown) == (25, 19, 4, 1, 1, 0)
    assert [(c.channel, c.listed, c.right, c.waiting) for c in o.channels] == [
        ("shopify", 8, 7, 1), ("amazon", 6, 4, 2), ("ebay", 6, 4, 1), ("etsy", 5, 4, 0),
    ]  # fmt: skip
    assert not o.all_true
    assert (o.short_lines, o.short_pieces, o.tasks_open) == (1, 1, 2)
    assert sum(o.oversold.values()) == 1


def test_a_sale_is_followed_to_every_channel_that_had_to_hear(seeded: Store) -> None:
    with seeded.reader() as tx:
        sales = {s.order_id: s for s in overview(tx, shop.TENANT, NOW).sales}
    mug = sales["114-3941689-8772232"]
    # The 2-pack on eBay still shows 4, so nobody had to tell it.
    assert [(s.channel, s.state) for s in mug.stops] == [("shopify", "shown"), ("etsy", "accepted")]
    assert (mug.left_before, mug.left, mug.open, mug.everywhere_s) == (10, 9, 1, None)
    apron = sales["#10481"]
    assert [(s.channel, s.state, s.after_s) for s in apron.stops] == [
        ("amazon", "shown", 3.9), ("ebay", "shown", 2.1), ("etsy", "shown", 3.4),
    ]  # fmt: skip
    assert (apron.left_before, apron.left, apron.everywhere_s) == (19, 18, 3.9)
    candle = sales["3198412301"]
    assert [(s.channel, s.state) for s in candle.stops] == [
        ("shopify", "waiting"),
        ("amazon", "waiting"),
        ("ebay", "waiting"),
    ]


def test_a_sale_is_no_news_to_the_listing_that_sold_it(seeded: Store) -> None:
    """A write to the selling outlet itself (it was overwritten, say) is not a channel that had to hear."""
    tx = seeded.begin()
    row = tx.one(
        "SELECT order_no, outlet_id, decided_at FROM order_line JOIN orders USING (tenant_id, order_no) WHERE orders.order_id = '114-3941689-8772232'"
    )
    assert row is not None
    tx.run(
        """INSERT INTO attempt (tenant_id, attempt_no, outlet_id, account_id, quantity, dirty_at, started_at, accepted_at, seen_at, outcome)
           VALUES (1, 9000, :o, 2, 4, :at, :at, :at, :at, 'ACCEPTED')""",
        o=row[1],
        at=row[2],
    )
    seeded.commit()
    with seeded.reader() as tx:
        mug = next(s for s in overview(tx, shop.TENANT, NOW).sales if s.order_no == row[0])
    assert [s.channel for s in mug.stops] == ["shopify", "etsy"]


def test_a_silent_channel_makes_its_numbers_unknown_not_true(seeded: Store) -> None:
    tx = seeded.begin()
    tx.run(
        "UPDATE feed SET failing_since = :at, problem = '503' WHERE account_id = :a", at=NOW - 840 * SECOND, a=shop.EBAY
    )
    seeded.commit()
    with seeded.reader() as tx:
        o = overview(tx, shop.TENANT, NOW)
        e = explain(tx, shop.TENANT, "BLK-MUG-01", "ebay", now=NOW)
    ebay = next(c for c in o.channels if c.channel == "ebay")
    assert (ebay.right, ebay.unknown, ebay.silent_since is not None) == (0, 6, True)
    assert not o.all_true
    tx = seeded.begin()
    tx.run("UPDATE slot SET state = 'QUIET', believed = offer, sent = NULL")
    tx.run("DELETE FROM slot WHERE account_id = :a", a=shop.EBAY)
    tx.run("DELETE FROM dirty_listing")
    seeded.commit()
    with seeded.reader() as tx:
        nothing_there = overview(tx, shop.TENANT, NOW)
    assert (nothing_there.unknown, nothing_there.all_true) == (0, False)
    assert (e.outlets[0].state, e.outlets[0].shows, e.outlets[0].told) == ("not_known", None, 4)


def test_all_is_true_only_when_nothing_waits_too_long_is_parked_or_unknown(seeded: Store) -> None:
    tx = seeded.begin()
    tx.run("UPDATE slot SET state = 'QUIET', believed = offer, verified = 1, sent = NULL, since_at = NULL")
    seeded.commit()
    with seeded.reader() as tx:
        o = overview(tx, shop.TENANT, NOW)
    assert (o.all_true, o.late, o.parked, o.on_their_way) == (True, 0, 0, 3)
