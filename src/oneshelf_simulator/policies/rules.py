"""The rules that are compared, and what is kept of a SKU.

In: nothing. Out: `POLICIES`. Never: decides a number.
"""

from __future__ import annotations

from dataclasses import dataclass

from oneshelf.core.offer import Others

from .market import Sale


@dataclass(frozen=True)
class Policy:
    """A rule as a merchant sets it. `planted`: a fault for the tests: "no_reserve" lets everybody show everything, and says it does not."""

    name: str
    title: str
    adaptive: bool = True
    buffer: int = 0
    strict: bool = False
    planted: str = ""


POLICIES: dict[str, Policy] = {
    one.name: one
    for one in (
        Policy("mirror", "plain mirroring, urgent first", adaptive=False),
        Policy("buffer2", "fixed buffer 2", adaptive=False, buffer=2),
        Policy("buffer5", "fixed buffer 5", adaptive=False, buffer=5),
        Policy("adaptive", "adaptive"),
        Policy("strict", "strict", strict=True),
    )
}


class Item:
    """One SKU: what is counted of it, and what was planned for it last."""

    __slots__ = (
        "burst",
        "burst_hour",
        "factor",
        "heard",
        "hub_heard",
        "k",
        "key",
        "market",
        "others",
        "provs",
        "share",
    )

    def __init__(self, k: int) -> None:
        self.k = k
        self.heard: list[Sale] = []
        self.hub_heard = 0
        #: Pieces sold or suspected at marketplaces: what the hub does not take off by itself.
        self.market = 0
        self.provs: list[list[int]] = []  # [channel, read at, pieces]
        self.burst = 0.0
        self.burst_hour = 0
        self.factor = 1.0
        self.key: tuple[float, ...] = ()
        self.others: dict[int, Others] = {}
        self.share = 0
