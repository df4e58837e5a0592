"""The slot's table, priorities and waits (SEMANTICS 8.2, 8.9)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.core.backoff import backoff_s
from oneshelf.core.slot import (
    IN_FLIGHT,
    SLOT_TRANSITIONS,
    SlotEvent,
    SlotState,
    next_look_s,
    next_state,
    priority_of,
    urgency,
)

S, E = SlotState, SlotEvent


def test_every_state_hears_of_a_mark_and_of_a_restart() -> None:
    for state in SlotState:
        next_state(state, E.DIRTY)
        next_state(state, E.RESTARTED)


def test_I17_a_restart_leaves_only_what_is_quiet_or_parked() -> None:
    for state in SlotState:
        kept = state if state in (S.QUIET, S.PARKED) else S.UNKNOWN
        assert SLOT_TRANSITIONS[(state, E.RESTARTED)] is kept


def test_I17_every_state_leads_to_quiet() -> None:
    def reachable(state: SlotState) -> set[SlotState]:
        seen, todo = {state}, [state]
        while todo:
            here = todo.pop()
            for (at, _), then in SLOT_TRANSITIONS.items():
                if at is here and then not in seen:
                    seen.add(then)
                    todo.append(then)
        return seen

    for state in SlotState:
        assert S.QUIET in reachable(state), state


def test_I12_a_call_in_flight_is_never_joined_by_another() -> None:
    for state, event in itertools.product(IN_FLIGHT, (E.READ, E.SEND)):
        assert (state, event) not in SLOT_TRANSITIONS


def test_I18_unknown_can_only_be_read() -> None:
    leads = {event: then for (at, event), then in SLOT_TRANSITIONS.items() if at is S.UNKNOWN and then is not S.UNKNOWN}
    assert leads == {E.READ: S.READING}


def test_an_event_that_can_t_happen_is_refused() -> None:
    with pytest.raises(ValueError, match="QUIET can't be accepted"):
        next_state(S.QUIET, E.ACCEPTED)


@pytest.mark.parametrize(
    ("believed", "offer", "available", "priority"),
    [
        (3, 0, 0, 1),
        (1, 0, 0, 1),
        (None, 0, 0, 1),
        (5, 4, 4, 2),  # 5 on sale, 4 there
        (0, 2, 2, 3),
        (5, 4, 9, 4),  # a rule lowers it: nothing can be oversold
        (2, 5, 5, 5),
        (None, 5, 5, 5),
        (5, 5, 5, 6),
    ],
)
def test_S8_9_priorities(believed: int | None, offer: int, available: int, priority: int) -> None:
    assert priority_of(believed, offer, believed_pieces=believed or 0, available=available) == priority


def test_S8_9_lowering_is_unsafe_only_beside_the_reserve_and_the_exposure() -> None:
    assert priority_of(5, 4, believed_pieces=5, available=6, reserve=2, exposed=9) == 2
    assert priority_of(5, 4, believed_pieces=5, available=6, reserve=2, exposed=6) == 4
    assert priority_of(5, 4, believed_pieces=5, available=6, reserve=1, exposed=9) == 4
    assert priority_of(5, 4, believed_pieces=5, available=5, exposed=9) == 4  # nothing is set aside


def test_S0_7_the_raises_of_the_first_fill_come_last_but_not_its_zeros() -> None:
    assert priority_of(0, 5, believed_pieces=0, available=5, first_fill=True) == 6
    assert priority_of(2, 5, believed_pieces=2, available=5, first_fill=True) == 6
    assert priority_of(None, 5, believed_pieces=0, available=5, first_fill=True) == 6
    assert priority_of(2, 0, believed_pieces=2, available=0, first_fill=True) == 1
    assert priority_of(2, 1, believed_pieces=2, available=1, first_fill=True) == 2


@given(st.integers(0, 50), st.integers(0, 50), st.integers(-5, 50), st.integers(0, 5))
def test_lowering_always_goes_before_raising(believed: int, offer: int, available: int, reserve: int) -> None:
    priority = priority_of(believed, offer, believed_pieces=believed, available=available, reserve=reserve)
    assert 1 <= priority <= 6
    assert (priority in (1, 2, 4)) == (offer < believed)
    assert (priority == 1) == (offer == 0 and believed > 0)


def test_S8_9_inside_priority_2_the_largest_share_too_many_goes_first() -> None:
    assert urgency(2, 10, 1) > urgency(2, 10, 8) > urgency(2, 100, 95)
    assert [urgency(2, 10, offer) for offer in (1, 2, 8)] == pytest.approx([9 / 2, 8 / 3, 2 / 9])
    assert urgency(2, 3, 0) == 3.0  # as with the velocity not known
    assert urgency(2, 10, 1, v=2.0) == 2 * urgency(2, 10, 1, v=1.0)
    assert urgency(1, 10, 0) == 0.0
    assert urgency(1, 10, 0, v=2.0) > urgency(1, 10, 0, v=1.0)
    assert urgency(5, 0, 9, v=2.0) == 0.0


def test_waits_double_and_have_an_end() -> None:
    assert [backoff_s(1.0, n, 300.0) for n in (0, 1, 2, 3, 4, 10, 10_000)] == [1, 1, 2, 4, 8, 300, 300]


@given(st.floats(0, 1_000), st.floats(0.5, 60), st.floats(2, 600))
def test_the_next_look_is_later_and_not_after_the_deadline(since: float, first: float, deadline: float) -> None:
    look = next_look_s(since, first, deadline)
    assert look <= deadline
    assert look > since or look == deadline
