"""The database is lost, and a backup of up to an hour ago takes its place (F11).

In: options; whether it may happen now. Out: an engine that knows nothing of what happened since, and a judge that does not hold it against it.
Owns: the copies, and which tasks a person has carried out. Never: lets marketplaces, shop or buyers forget anything.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

from .auditor import Auditor
from .engine import Engine, Reserved
from .options import Options
from .trace import Trace
from .workload import Workload

#: A backup is put back at most so long after it was made, seconds.
AGE_S_MAX = 3_600.0
#: What a judge keeps of the database: it goes back with it when a backup is put in its place.
_OF_THE_DATABASE = (
    "_sums", "_entry_row", "_entry_count", "_attempt_row", "_inbox_row", "_inbox_count", "_keys", "_through", "_feeds",
    "_open_attempts", "_channel_of", "_peak", "_possessed", "heard_at", "put_back_heard_at", "stored_ids",
)  # fmt: skip


def memory_of(judge: Auditor) -> dict[str, Any]:
    """What a judge knows of the database at this moment: it belongs to a copy that is made now."""
    found = {name: deepcopy(getattr(judge, name)) for name in _OF_THE_DATABASE}
    return found | {
        "_entries": judge._entries.copy(),
        "judged": judge.releases.judged,
        "edits": deepcopy(judge.edits.counts),
    }


def go_back(judge: Auditor, memory: dict[str, Any]) -> None:
    """The copy is the database now. What was stored since is forgotten there, so nobody may hold it against the engine that it is gone; what
    the marketplaces, the shop and the buyers remember is held against it as before."""
    judge.close()
    memory = dict(memory)
    judge.releases.judged = memory.pop("judged")
    judge.edits.counts = memory.pop("edits")
    judge.stored_ids.intersection_update(memory.pop("stored_ids"))
    for heard, before in (
        (judge.heard_at, memory.pop("heard_at")),
        (judge.put_back_heard_at, memory.pop("put_back_heard_at")),
    ):
        for key in [key for key in heard if key not in before]:
            del heard[key]
            if heard is judge.heard_at:
                judge._unheard[key[0]].add(key[1])
    for name, value in memory.items():
        setattr(judge, name, value)
    judge.strict.loosened(judge.strict.skus)


class Restores:
    """`may_happen` counts it."""

    def __init__(
        self, engine: Engine, auditor: Auditor, options: Options, trace: Trace, may_happen: Callable[[], bool]
    ) -> None:
        self.engine = engine
        self.auditor = auditor
        self.trace = trace
        self.may_happen = may_happen
        self.fault_s = options.fault_s
        self.rng = random.Random(f"{options.seed}:restored")
        self._given_back: set[int] = set()

    def plan(self, times: int) -> None:
        """A copy is made at some moment; at a later one the database is lost, and the copy takes its place."""
        for _ in range(times):
            made_s = self.rng.uniform(0.0, 0.7 * self.fault_s)
            age_s = self.rng.uniform(60.0, min(AGE_S_MAX, self.fault_s - made_s))
            self._later(made_s, self._back_up, age_s)

    def _later(self, seconds: float, act: Callable[..., None], *more: Any) -> None:
        self.engine.loop.call_later(seconds, act, *more, context=self.engine.net.outside)

    def _back_up(self, age_s: float) -> None:
        self.trace.note("backup_made")
        self._later(age_s, self._put_back, self.engine.back_up(), memory_of(self.auditor))

    def _put_back(self, copy: Path, memory: dict[str, Any]) -> None:
        if self.may_happen():
            self.engine.put_back(copy)
            go_back(self.auditor, memory)

    def give_back(self, people: Workload, tasks: Iterable[Reserved]) -> None:
        """A person is asked whose reserved pieces are. Nobody in the shop reserved them: they go back on sale."""
        for task_no, sku, pieces_at in tasks:
            if task_no not in self._given_back:
                self._given_back.add(task_no)
                for place, pieces in pieces_at.items():
                    back = {
                        "sku": sku,
                        "quantity": pieces,
                        "location": place,
                        "origin": "reserved",
                        "goal": "available",
                    }
                    people.console("shopify", "move", **back)
