"""What happened, in order: a hash over all of it, the last lines of it, and how often each thing happened.

In: happenings. Out: `digest`, equal for equal runs. Never: takes in what differs between two runs of one seed.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

#: How many of the last happenings a failure shows.
LAST = 40


class Trace:
    """`now` gives seconds of the virtual clock since the start of the world."""

    def __init__(self, now: Callable[[], float], *, write: Callable[[str], None] | None = None) -> None:
        self._now = now
        self._write = write
        self._hash = hashlib.sha256()
        self.last: deque[str] = deque(maxlen=LAST)
        self.counts: Counter[str] = Counter()

    def note(self, kind: str, *details: Any) -> None:
        """One happening. Details are plain values."""
        line = f"{self._now():12.6f} {kind} {' '.join(map(str, details))}"
        self._hash.update(line.encode())
        self._hash.update(b"\n")
        self.last.append(line)
        self.counts[kind] += 1
        if self._write is not None:
            self._write(line)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()
