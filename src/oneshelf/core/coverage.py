"""Who gets the pieces: first by time of purchase (SEMANTICS 6). A pure function of the stored lines, never patched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from .instants import SECOND

Verdict = Literal["COVERED", "SHORT"]


class OpenLine(msgspec.Struct, frozen=True):
    """An open line as coverage sees it: `pieces` still on the shelf for it; `state` one of P O M R S (X holds nothing)."""

    order_no: int
    line_id: str
    sku: str
    pieces: int
    state: str
    placed_s: int
    rank: int
    account: str
    order_id: str
    pin: int = 0

    @property
    def key(self) -> tuple[int, int, int, str, str, str]:
        """S6.2 and S6.7: pinned lines first, lines given up last, then the time of purchase to the second, then the channel rank."""
        return (-self.pin, self.placed_s, self.rank, self.account, self.order_id, self.line_id)


def cover(free_pieces: int, lines: Iterable[OpenLine]) -> dict[tuple[int, str], Verdict]:
    """Walk the lines in order of their keys; one that fits takes its pieces, else it is SHORT and takes none (S6.1, S6.4).

    `free_pieces` = on_hand − unavailable − foreign reserved, over all locations in scope. Released lines (R) take theirs first:
    possession beats priority (S6.6). So do lines in S of which pieces are still on the books: their marketplace says that the parcel
    has left, the hub's fulfilment comes later (S10.6); nobody else can have those pieces.
    """
    waiting: list[OpenLine] = []
    verdicts: dict[tuple[int, str], Verdict] = {}
    free = free_pieces
    for line in lines:
        if line.state in ("R", "S"):
            free -= line.pieces
            verdicts[(line.order_no, line.line_id)] = "COVERED"
        elif line.state in ("P", "O", "M") and line.pieces > 0:
            waiting.append(line)
    waiting.sort(key=lambda line: line.key)
    for line in waiting:
        if line.pieces <= free:
            free -= line.pieces
            verdicts[(line.order_no, line.line_id)] = "COVERED"
        else:
            verdicts[(line.order_no, line.line_id)] = "SHORT"
    return verdicts


def why_before(winner: OpenLine, loser: OpenLine) -> str:
    """Say in words why one line got the pieces and the other did not (S6.2, S6.4, S6.6, S6.7). Both of one SKU."""
    if winner.state in ("R", "S"):
        return "it is released to fulfilment or has left: possession goes before everything"
    if winner.pin != loser.pin:
        return "it is pinned" if winner.pin > 0 else "the other is given up"
    if winner.key > loser.key:
        return f"it needs {winner.pieces}, the other {loser.pieces}: what was left did not suffice for that, and lines are not split"
    if winner.placed_s != loser.placed_s:
        return f"it was bought {loser.placed_s - winner.placed_s} s earlier, by the channels' own clocks"
    if winner.rank != loser.rank:
        return "both were bought in the same second; its channel goes first, where a cancel costs the seller more"
    return "both were bought in the same second on channels of equal rank; the order ids decide"


def is_settled(placed_at: int, heard: Iterable[tuple[int, int]]) -> bool:
    """S6.5: whether nobody who bought earlier can still come.

    `placed_at`: microseconds. `heard`: of every channel through which instant its orders are complete (microseconds, 0: never) and the
    seconds by which its clock may differ from ours. It must be past the whole second of the purchase: keys floor to it (S6.2).
    """
    second = placed_at // SECOND * SECOND
    return all(through >= second + (1 + skew_s) * SECOND for through, skew_s in heard)
