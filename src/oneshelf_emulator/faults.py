"""Misbehaviour on demand. Each fault has a name, a probability (or a count of times left), and a counter."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

#: Every fault that can be switched on, and what it does. Chance 0 by default.
FAULTS = {
    "webhook_drop": "a webhook or queue message is never sent",
    "webhook_double": "a webhook or queue message is delivered twice or more",
    "webhook_delay": "a webhook or queue message comes late",
    "webhook_reorder": "a webhook or queue message is overtaken by later ones",
    "throttle": "429 (Shopify: THROTTLED in a 200) although the budget is not used up",
    "error_500": "500 before anything is done",
    "error_500_after": "done, but the answer is 500",
    "slow_answer": "done, but the answer comes 2 s late",
    "error_503_html": "503 with an HTML page before anything is done",
    "timeout_before": "no answer, nothing done",
    "timeout_after": "done, but the answer is lost",
    "cut_answer": "done, but the answer ends in the middle",
    "partial_batch": "one entry of a batch fails",
    "stale_read": "a read shows the quantity of some time ago",
    "expired_token": "a valid token is refused as expired",
    "never_applied": "a write is accepted and never applied",
}


@dataclass
class Faults:
    """Which faults are on. `roll` says whether one strikes now and counts it if so."""

    rng: random.Random
    chance: dict[tuple[str, str], float] = field(default_factory=dict)
    once: dict[tuple[str, str, str], int] = field(default_factory=dict)
    injected: dict[str, int] = field(default_factory=dict)
    spared: dict[tuple[str, str], str] = field(default_factory=dict)

    def set(self, name: str, chance: float, channel: str = "*", *, spare: str = "") -> None:
        """Let fault `name` strike with probability `chance` (0 to 1) on `channel` ("*": all).

        `spare`: a shell pattern over operations that it does not strike by chance (armed, it still does).
        """
        if name not in FAULTS:
            raise KeyError(f"unknown fault {name!r}; known: {', '.join(FAULTS)}")
        if not 0 <= chance <= 1:
            raise ValueError(f"the chance of {name} must lie between 0 and 1, got {chance}")
        self.chance[(name, channel)] = chance
        self.spared[(name, channel)] = spare

    def arm(self, name: str, channel: str, operation: str = "*", times: int = 1) -> None:
        """Let fault `name` strike the next `times` calls of `operation` on `channel`, for certain.

        `operation` is a shell pattern over the names that the marketplace gives its operations ("*": any).
        """
        if name not in FAULTS:
            raise KeyError(f"unknown fault {name!r}; known: {', '.join(FAULTS)}")
        self.once[(name, channel, operation)] = times

    def roll(self, name: str, channel: str, operation: str = "*") -> bool:
        """Return True if fault `name` strikes this time, and count it."""
        for armed, left in self.once.items():
            fault, on, pattern = armed
            if left > 0 and fault == name and on in (channel, "*") and fnmatchcase(operation, pattern):
                self.once[armed] = left - 1
                self.injected[name] = self.injected.get(name, 0) + 1
                return True
        where = (name, channel) if (name, channel) in self.chance else (name, "*")
        chance = self.chance.get(where, 0.0)
        if chance and fnmatchcase(operation, self.spared.get(where, "")):
            return False
        if chance and self.rng.random() < chance:
            self.injected[name] = self.injected.get(name, 0) + 1
            return True
        return False
