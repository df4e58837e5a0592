"""What a read of a marketplace outlet means (SEMANTICS 8.4, 9.2 to 9.4). Pure. All numbers are listings, not pieces.

In: what was believed or sent, the own sales we know of, what is seen. Out: a verdict.
Never: decides what to write, or whether the feed has told everything yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec


class Sales(msgspec.Struct, frozen=True):
    """Own sales of one outlet, by the channel's own time of purchase: (instant in microseconds, listings)."""

    placed: tuple[tuple[int, int], ...] = ()

    def between(self, after: int, until: int | None = None) -> int:
        """Return the listings sold later than `after` and not later than `until` (None: without end)."""
        return sum(units for at, units in self.placed if at > after and (until is None or at <= until))


NO_SALES = Sales()


class Verdict(msgspec.Struct, frozen=True):
    """What a read says.

    "first": nothing was believed. "echo": nothing new (9.4). "missing": fewer by `units`: a sale unheard (9.2). "excess": more by
    `units` (9.3). Of a write not seen before: "seen", with `units` missing beside it (8.4); "not_yet"; or "doubtful": own sales make it
    look the same before and after.
    """

    kind: Literal["first", "echo", "missing", "excess", "seen", "not_yet", "doubtful"]
    units: int = 0


def judge(seen: int, believed: int | None, *, certain: int, possible: int) -> Verdict:
    """Judge a read of an outlet without an unseen write.

    `certain`: own sales surely placed between the last fact and this read; `possible`: those and the ones so near to either that the
    two clocks can't tell (both 0 or more). What they explain is an echo; the rest is missing or excess, the smaller claim.
    """
    if believed is None:
        return Verdict("first")
    low = max(0, believed - possible)
    high = max(low, believed - certain)
    if seen < low:
        return Verdict("missing", low - seen)
    if seen > high:
        return Verdict("excess", seen - high)
    return Verdict("echo")


def judge_write(seen: int, *, sent: int, base: int | None, ambiguous: int) -> Verdict:
    """Judge a read while a write of `sent` is not yet seen.

    `base` was read before it was sent. `ambiguous`: own sales placed after the base: each may have been counted before the write
    landed (then it was overwritten) or after. So the write, applied, shows `sent` less any part of them, and not applied `base` less
    any part of them. What lies beside both is explained by the nearer, with the smaller claim of sales unheard.
    """
    applied = sent - ambiguous <= seen <= sent
    if base is not None and base - ambiguous <= seen <= base:
        return Verdict("doubtful" if applied else "not_yet")
    if applied:
        return Verdict("seen")
    if seen < sent - ambiguous and (base is None or sent <= base or seen > base):
        return Verdict("seen", sent - max(0, ambiguous) - seen)
    return Verdict("not_yet")


def judge_unit(verdicts: Iterable[tuple[Verdict, bool]]) -> Literal["landed", "not_yet", "doubtful"]:
    """Whether a write of a whole unit has landed (8.15): it lands for all of its outlets at once.

    Each verdict comes with "the write changed this outlet's number"; only those can tell, the others look the same before and after.
    """
    kinds = {verdict.kind for verdict, changed in verdicts if changed}
    if "not_yet" in kinds:
        return "not_yet"
    return "landed" if "seen" in kinds else "doubtful"
