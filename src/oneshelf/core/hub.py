"""What the hub ought to show, and how a read of it is judged (SEMANTICS 9.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

#: More different calls in flight at once than this on one (SKU, location) and the read is judged later, not now.
CALLS_JUDGED_MAX = 16


def expected(available: int, counted: int, claimed: int, held_back: int = 0) -> int:
    """The hub's `available` at a location when nothing is in flight.

    `available` is K_l; `counted` the pieces in it that the hub does not take by itself (marketplace lines, provisionals of
    marketplace outlets, holds made here); `claimed` the pieces held plus the pieces imported and still open there;
    `held_back` a strict SKU's share (S2.9).
    """
    return available + counted - claimed - held_back


def explained(value: int, in_flight: Iterable[int]) -> set[int] | None:
    """Every number that the hub may show while the calls in flight (each a change of `available`) are applied or not.

    None when there are too many to judge: read again when they are answered.
    """
    values = {value}
    changes = [change for change in in_flight if change]
    if len(changes) > CALLS_JUDGED_MAX:
        return None
    for change in changes:
        values |= {v + change for v in values}
    return values


class Judgement(msgspec.Struct, frozen=True):
    """How a read compares: `off` = read − nearest explained value (0: an echo); `settled`: equal with nothing in flight."""

    off: int
    settled: bool


def judge(read: int, value: int, in_flight: Iterable[int]) -> Judgement | None:
    """Compare a read with the explained values. None: can't be judged now.

    Between two equally near values the higher is taken: the read is then lower, which reserves at once, instead of higher, which only
    waits: the safe side.
    """
    changes = [change for change in in_flight if change]
    values = explained(value, changes)
    if values is None:
        return None
    if read in values:
        return Judgement(off=0, settled=not changes)
    nearest = min(values, key=lambda v: (abs(read - v), -v))
    return Judgement(off=read - nearest, settled=False)


class Apart(msgspec.Struct, frozen=True):
    """What differs at one location of several: pieces on hand, and pieces that orders take there."""

    on_hand: int
    committed: int


def apart(offs: Mapping[str, int], suspected: Mapping[str, int], lies: Mapping[str, int]) -> dict[str, Apart] | None:
    """Tell what was carried or counted from what is served from another location than we knew (SEMANTICS 5.7, ADR 0026).

    By location: `offs`, how many more the shop has available than was expected; `suspected`, pieces reserved there for sales of which no
    order came; `lies`, how many more it has on hand than we know of. None: there is no difference, or they do not go together.

    >>> apart({"A": -2, "B": 2}, {}, {"A": -2, "B": 2})  # carried
    {'A': Apart(on_hand=-2, committed=0), 'B': Apart(on_hand=2, committed=0)}
    >>> apart({"A": -2, "B": 2}, {}, {"A": 0, "B": 0})  # an order is served from A
    {'A': Apart(on_hand=0, committed=2), 'B': Apart(on_hand=0, committed=-2)}
    >>> apart({"A": -2, "B": 2, "C": 0}, {}, {"A": 0, "B": 0, "C": -1})["A"]  # the same, and a parcel has left C of which nobody has told
    Apart(on_hand=0, committed=2)
    >>> apart({"A": -2, "B": 1}, {}, {"A": 0, "B": 0}) is None  # somebody may have bought one
    True
    """
    found = {place: off - suspected.get(place, 0) for place, off in offs.items()}
    total = sum(found.values())
    if not any(found.values()) or (total and (total != sum(lies.values()) or min(offs.values()) < 0)):
        return None
    # A parcel or a return that is not known yet changes what lies there, and not what is available: where that is as expected it says
    # nothing of what was carried, and where that differs there is no word of it.
    where_odd = {place: pieces for place, pieces in lies.items() if found.get(place)}
    moved = next((some for some in (lies, where_odd) if sum(some.values()) == total), found)
    return {place: Apart(moved.get(place, 0), moved.get(place, 0) - off) for place, off in found.items()}
