"""What the hub ought to show, and how a read of it is judged (SEMANTICS 9.5)."""

from __future__ import annotations

from collections.abc import Iterable

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
