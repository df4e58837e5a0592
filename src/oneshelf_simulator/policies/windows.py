"""How late each channel is heard and told, measured as the product measures it (S3.1, S3.4).

In: what was heard and seen. Out: windows, microseconds. Never: lets one shiver by less than the product does.
"""

from __future__ import annotations

from collections import deque

from oneshelf.core.instants import SECOND
from oneshelf.core.slot import (
    PUBLISH_WINDOW_S,
    PUBLISH_WINDOW_S_MAX,
    PUBLISH_WINDOW_S_MIN,
    VERIFY_FIRST_S,
    WINDOW_SAMPLES,
    WINDOW_SAMPLES_MIN,
)
from oneshelf.publish.ticking import MOVED, NOTICE_S_MAX, NOTICE_S_MIN

from .scenarios import World


class Windows:
    """By channel: `notice`, `publish`, and the last samples of each."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.notice = [self._floor(c) for c in range(len(self.world.channels))]
        self.publish = [round(PUBLISH_WINDOW_S[one.name] * SECOND) for one in self.world.channels]
        self.lateness: list[deque[int]] = [deque(maxlen=WINDOW_SAMPLES) for _ in self.world.channels]
        self.took: list[deque[tuple[int, int]]] = [deque(maxlen=WINDOW_SAMPLES) for _ in self.world.channels]

    def _floor(self, c: int) -> int:
        one = self.world.channels[c]
        return round((NOTICE_S_MIN if one.news_s is not None else one.poll_s + one.visible_s) * SECOND)

    def _measure(self, c: int) -> bool:
        late, took = sorted(self.lateness[c]), self.took[c]
        notice, publish = self._floor(c), self.publish[c]
        if len(late) >= WINDOW_SAMPLES_MIN:
            notice = min(round(NOTICE_S_MAX * SECOND), max(notice, late[min(len(late) - 1, len(late) * 99 // 100)]))
        if len(took) >= WINDOW_SAMPLES_MIN:
            all_of = sorted(one for one, _ in took)
            p99 = all_of[min(len(all_of) - 1, len(all_of) * 99 // 100)]
            publish = min(max(p99, round(PUBLISH_WINDOW_S_MIN * SECOND)), round(PUBLISH_WINDOW_S_MAX * SECOND))
        moved = False
        if abs(notice - self.notice[c]) > MOVED * self.notice[c]:
            self.notice[c], moved = notice, True
        if abs(publish - self.publish[c]) > MOVED * self.publish[c]:
            self.publish[c], moved = publish, True
        return moved

    def _first_look(self, c: int) -> int:
        least = round(VERIFY_FIRST_S * SECOND)
        if len(self.took[c]) < WINDOW_SAMPLES_MIN:
            return least
        shown = sorted(one for _, one in self.took[c])
        return max(least, min(shown[len(shown) // 2] // 2, self.publish[c]))
