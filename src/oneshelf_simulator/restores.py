"""The database is lost, and a backup of up to an hour ago takes its place (F11).

In: options; whether it may happen now. Out: an engine that knows nothing of what happened since, and a judge that does not hold it against it.
Owns: the copies, and which tasks a person has carried out. Never: lets marketplaces, shop or buyers forget anything.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .auditor import Auditor
from .engine import Engine, Reserved
from .options import Options
from .trace import Trace
from .workload import Workload

#: A backup is put back at most so long after it was made, seconds.
AGE_S_MAX = 3_600.0


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
        self._later(age_s, self._put_back, self.engine.back_up(), self.auditor.memory())

    def _put_back(self, copy: Path, memory: dict[str, Any]) -> None:
        if self.may_happen():
            self.engine.put_back(copy)
            self.auditor.go_back(memory)

    def give_back(self, people: Workload, tasks: Iterable[Reserved]) -> None:
        """A person is asked whose reserved pieces are. Nobody in the shop reserved them: they go back on sale."""
        for task_no, sku, pieces in tasks:
            if task_no not in self._given_back:
                self._given_back.add(task_no)
                people.console("shopify", "move", sku=sku, quantity=pieces, origin="reserved", goal="available")
