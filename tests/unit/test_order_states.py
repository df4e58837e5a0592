"""The life of a line (SEMANTICS 5): the whole table as data, and what one snapshot does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.core.order import (
    ALERTS,
    LINE_TRANSITIONS,
    TOLD,
    Counts,
    LineEvent,
    LineState,
    Refused,
    Step,
    buckets,
    follow,
    order_state,
    transition,
)

# SEMANTICS 5, cell by cell. "-" and "refused": our own move is not allowed, or the channel can't say it there. "!" is an alert.
COLUMNS = (
    LineEvent.PLACED,
    LineEvent.PAID,
    LineEvent.CANCELLED,
    LineEvent.SHIPPED,
    LineEvent.RELEASE,
    LineEvent.CANCEL_WANTED,
    LineEvent.CANCEL_ACCEPTED,
    LineEvent.CANCEL_REFUSED,
    LineEvent.EXPIRED,
)
TABLE = """
none  P  O  C   S   -        -        -   -  -
P     P  O  C   S   refused  X        -   -  C
O     O  O  C   S   R        X        -   -  -
R     R  R  C!  S   R        refused  -   -  -
X     X  X  C   S!  refused  X        C   M  C
M     M  M  C   S   R        X        C   M  C
S     S  S  S   S   -        refused  S!  -  -
C     C  C  C   S!  -        -        C   -  C
"""
CELLS = [
    (row.split()[0], event, cell)
    for row in TABLE.strip().splitlines()
    for event, cell in zip(COLUMNS, row.split()[1:], strict=True)
]


@pytest.mark.parametrize(("state", "event", "cell"), CELLS)
def test_S5_every_cell_of_the_table(state: str, event: LineEvent, cell: str) -> None:
    before = None if state == "none" else LineState(state)
    if cell in ("-", "refused"):
        with pytest.raises(Refused):
            transition(before, event)
    else:
        assert transition(before, event) is LineState(cell.rstrip("!"))
    alert = None if before is None else ALERTS.get((before, event))
    assert (alert is not None) == cell.endswith("!")


def test_S5_the_table_has_no_cell_beside_these() -> None:
    written = {(LineState(s), e) for s, e, cell in CELLS if s != "none" and cell not in ("-", "refused")}
    assert set(LINE_TRANSITIONS) == written


@pytest.mark.parametrize("state", [None, *LineState])
@pytest.mark.parametrize("event", TOLD)
def test_S1_10_what_a_channel_tells_is_never_refused(state: LineState | None, event: LineEvent) -> None:
    assert transition(state, event) in LineState


@pytest.mark.parametrize("event", COLUMNS)
def test_S4_5_a_line_that_was_unlinked_begins_like_a_new_one(event: LineEvent) -> None:
    try:
        expected = transition(None, event)
    except Refused:
        with pytest.raises(Refused):
            transition(LineState.UNLINKED, event)
    else:
        assert transition(LineState.UNLINKED, event) is expected


def test_the_alerts_say_what_happened() -> None:
    assert ALERTS[(LineState.RELEASED, LineEvent.CANCELLED)] == "stop_the_parcel"
    assert ALERTS[(LineState.CANCELLED, LineEvent.SHIPPED)] == "shipped_after_cancel"
    assert ALERTS[(LineState.CANCEL_WANTED, LineEvent.SHIPPED)] == "shipped_after_cancel"
    assert ALERTS[(LineState.SHIPPED, LineEvent.CANCEL_ACCEPTED)] == "cancel_crossed_parcel"


# --- one snapshot ---------------------------------------------------------------------------------------------------------

P, O, R, S, C, X, M = (LineState(letter) for letter in "PORSCXM")  # noqa: E741


@pytest.mark.parametrize(
    ("before", "counts", "paid", "ended", "after"),
    [
        (None, Counts(1), False, False, P),
        (None, Counts(1), True, False, O),
        (None, Counts(1, told_shipped=1), True, False, S),
        (None, Counts(1, cancelled=1), True, False, C),
        (None, Counts(1), False, True, C),
        (P, Counts(1), True, False, O),
        (O, Counts(3, shipped=1), True, False, O),
        (O, Counts(3, cancelled=2, shipped=1), True, False, S),
        (O, Counts(3, shipped=3), True, False, S),
        (O, Counts(3, told_shipped=3), True, False, S),
        (O, Counts(3, cancelled=3), True, True, C),
        (R, Counts(2, shipped=1), True, False, R),
        (X, Counts(1), True, False, X),
        (M, Counts(1), True, False, M),
        (S, Counts(2, cancelled=2, shipped=2), True, True, S),
    ],
)
def test_what_a_snapshot_makes_of_a_line(
    before: LineState | None, counts: Counts, paid: bool, ended: bool, after: LineState
) -> None:
    assert follow(before, counts, paid=paid, ended=ended) == Step(after)


@pytest.mark.parametrize(
    ("before", "counts", "ended", "step"),
    [
        (R, Counts(1, cancelled=1), True, Step(C, ("stop_the_parcel",))),
        (X, Counts(1, told_shipped=1), False, Step(S, ("shipped_after_cancel",))),
        (C, Counts(1, told_shipped=1), False, Step(S, ("shipped_after_cancel",))),
        (C, Counts(1, cancelled=1, told_shipped=1), True, Step(S, ("shipped_after_cancel",))),
    ],
)
def test_a_snapshot_that_somebody_must_hear_of(before: LineState, counts: Counts, ended: bool, step: Step) -> None:
    assert follow(before, counts, paid=True, ended=ended) == step


def test_the_same_news_twice_alerts_once() -> None:
    counts = Counts(1, cancelled=1)
    first = follow(R, counts, paid=True, ended=True)
    assert first.alerts == ("stop_the_parcel",)
    assert follow(first.state, counts, paid=True, ended=True) == Step(C)


def test_S5_a_cancelled_line_comes_back_only_if_the_channel_shows_it_revived() -> None:
    assert follow(C, Counts(1), paid=True, ended=False).state is C
    assert follow(C, Counts(1), paid=True, ended=False, revived=True).state is O
    assert follow(C, Counts(1), paid=False, ended=False, revived=True).state is P
    assert follow(S, Counts(1, shipped=1), paid=True, ended=False, revived=True).state is S


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Counts, bool, bool]]:
    """Snapshots of one line as a channel may show them: pieces are paid, shipped, cancelled; an order may end."""
    ordered = draw(st.integers(1, 3))
    cancelled = told = 0
    paid = ended = False
    seen = []
    for what in draw(st.lists(st.sampled_from(["pay", "cancel", "ship", "end", "again"]), min_size=1, max_size=5)):
        if what == "pay":
            paid = True
        elif what == "cancel":
            cancelled = min(ordered, cancelled + draw(st.integers(1, 3)))
        elif what == "ship":
            paid, told = True, min(ordered, told + draw(st.integers(1, 3)))
        elif what == "end":
            ended, cancelled = True, max(cancelled, ordered - told)
        seen.append((Counts(ordered, cancelled, 0, told), paid, ended))
    return seen


@given(histories())
def test_I5_the_newest_snapshot_alone_leaves_the_same_state_as_all_of_them(
    history: list[tuple[Counts, bool, bool]],
) -> None:
    """Older ones may come late and are dropped (S4.3): so the way to a state must not matter."""
    state = None
    for counts, paid, ended in history:
        state = follow(state, counts, paid=paid, ended=ended).state
    counts, paid, ended = history[-1]
    assert follow(None, counts, paid=paid, ended=ended).state is state


@given(
    st.sampled_from([None, *LineState]),
    st.builds(Counts, st.integers(0, 4), st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_S1_10_no_snapshot_is_ever_refused(
    state: LineState | None, counts: Counts, paid: bool, ended: bool, revived: bool
) -> None:
    after = follow(state, counts, paid=paid, ended=ended, revived=revived).state
    again = follow(after, counts, paid=paid, ended=ended)
    assert again == Step(after)  # the same again changes nothing and alerts nobody


# --- what a line has in the ledger ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "paid", "reserved", "committed"),
    [
        (P, False, 2, 0),
        (P, True, 2, 0),
        (O, True, 0, 2),
        (R, True, 0, 2),
        (S, True, 0, 2),  # told shipped by its channel: the pieces stay committed until the hub's fulfilment (S10.6)
        (X, True, 0, 2),
        (X, False, 2, 0),
        (M, True, 0, 2),
        (M, False, 2, 0),
        (C, True, 0, 0),
        (LineState.UNLINKED, True, 0, 0),
    ],
)
def test_I3_open_pieces_are_reserved_or_committed_once(
    state: LineState, paid: bool, reserved: int, committed: int
) -> None:
    assert buckets(state, Counts(5, cancelled=2, shipped=1), paid=paid) == (reserved, committed)


@given(
    st.sampled_from(list(LineState)),
    st.builds(Counts, st.integers(0, 4), st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)),
    st.booleans(),
)
def test_I3_never_more_than_the_open_pieces_and_never_in_both(state: LineState, counts: Counts, paid: bool) -> None:
    reserved, committed = buckets(state, counts, paid=paid)
    assert 0 in (reserved, committed)
    assert reserved + committed in (0, max(0, counts.ordered - counts.cancelled - counts.shipped))


def test_S5_2_the_state_of_an_order() -> None:
    assert order_state([S, S]) == "SHIPPED"
    assert order_state([S, C]) == "PARTIAL"
    assert order_state([]) == "EMPTY"
