"""A parcel's states (SEMANTICS 10.1) as a whole table, and which units go with which parcel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.core.order import Refused
from oneshelf.core.shipment import (
    SHIPMENT_TRANSITIONS,
    Left,
    ShipmentEvent,
    ShipmentState,
    same_number,
    transition,
    units_by_parcel,
)

COLUMNS = [
    "fulfilled",
    "send",
    "accepted",
    "rejected",
    "throttled",
    "unanswered",
    "found",
    "not_found",
    "changed",
    "needless",
    "called_off",
]
TABLE = """
none        QUEUED -    -         -       -      -       -         -      -          -        -
QUEUED      QUEUED SENT -         -       -      -       CONFIRMED QUEUED QUEUED     RECORDED CALLED_OFF
SENT        -      -    CONFIRMED REFUSED QUEUED UNKNOWN -         -      SENT       -        -
UNKNOWN     -      -    -         -       -      -       CONFIRMED QUEUED UNKNOWN    -        -
CONFIRMED   -      -    -         -       -      -       -         -      QUEUED     -        -
REFUSED     -      -    -         -       -      -       -         -      QUEUED     -        -
RECORDED    -      -    -         -       -      -       -         -      RECORDED   -        -
CALLED_OFF  QUEUED -    -         -       -      -       -         -      CALLED_OFF -        -
"""
CELLS = [
    (row.split()[0], ShipmentEvent(event), cell)
    for row in TABLE.strip().splitlines()
    for event, cell in zip(COLUMNS, row.split()[1:], strict=True)
]


@pytest.mark.parametrize(("state", "event", "cell"), CELLS)
def test_S10_1_every_cell_of_the_table(state: str, event: ShipmentEvent, cell: str) -> None:
    before = None if state == "none" else ShipmentState(state)
    if cell == "-":
        with pytest.raises(Refused):
            transition(before, event)
    else:
        assert transition(before, event) is ShipmentState(cell)


def test_S10_1_the_table_has_no_cell_beside_these() -> None:
    written = {(None if s == "none" else ShipmentState(s), e) for s, e, cell in CELLS if cell != "-"}
    assert set(SHIPMENT_TRANSITIONS) == written


def test_S10_2_no_state_but_queued_is_sent() -> None:
    assert [state for state, event in SHIPMENT_TRANSITIONS if event is ShipmentEvent.SEND] == [ShipmentState.QUEUED]


def test_S10_5_units_of_a_cancelled_fulfilment_that_was_told_count_for_good() -> None:
    assert units_by_parcel({"CUP": 1}, 1, [Left("F2", {"CUP": 1})], {"F1": 1}) == {"F2": 0}


def test_S10_7_a_unit_goes_with_the_parcel_that_completes_it() -> None:
    parcels = [Left("F1", {"CUP": 1}), Left("F2", {"CUP": 2}), Left("F3", {"CUP": 1})]
    assert units_by_parcel({"CUP": 2}, 2, parcels, {}) == {"F1": 0, "F2": 1, "F3": 1}


def test_more_pieces_than_were_ordered_are_no_units() -> None:
    assert units_by_parcel({"CUP": 1}, 2, [Left("F1", {"CUP": 5})], {}) == {"F1": 2}


@given(
    st.dictionaries(st.sampled_from(["A", "B"]), st.integers(1, 3), min_size=1),
    st.integers(0, 6),
    st.lists(st.dictionaries(st.sampled_from(["A", "B"]), st.integers(0, 4)), max_size=6),
    st.data(),
)
def test_S10_3_units_never_exceed_the_line_nor_what_left(
    per_unit: dict[str, int], wanted: int, pieces: list[dict[str, int]], data: st.DataObject
) -> None:
    """Told parcel by parcel, in any order of telling, the whole is never more than was asked for or was complete."""
    parcels = [Left(f"F{n}", {sku: one.get(sku, 0) for sku in per_unit}) for n, one in enumerate(pieces)]
    told: dict[str, int] = {}
    complete = min(sum(p.pieces[sku] for p in parcels) // n for sku, n in per_unit.items())
    for _ in parcels:
        units = units_by_parcel(per_unit, wanted, parcels, told)
        assert set(units) == {p.shipment_id for p in parcels} - set(told)
        assert all(n >= 0 for n in units.values())
        assert sum(units.values()) + sum(told.values()) == min(wanted, complete)
        chosen = data.draw(st.sampled_from(sorted(units)))
        told[chosen] = units[chosen]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("1Z 99", "1z99", True), ("AB-1", "ab1", True), ("1", "2", False), (None, None, False), ("", "", False)],
)
def test_tracking_numbers_are_one_whatever_their_case_and_blanks(one: str, other: str, same: bool) -> None:
    assert same_number(one, other) is same
