"""The last piece goes to who bought first, whoever is heard of first (SEMANTICS 6.2, 6.5, 7; I9)."""

from __future__ import annotations

from typing import Any

import pytest

from oneshelf.core.coverage import OpenLine
from oneshelf.demo import contested


def test_I9_the_winner_is_the_first_by_time_of_purchase_and_every_loser_is_told() -> None:
    found = contested.run(150, 2)  # so many that the short ones alone would fill a look at what may leave
    assert found.violations == []
    assert found.winners == 150 and found.losers == found.orders - 150
    assert sum(found.verdicts.values()) == found.losers
    assert found.late_heard > 10, "the news of the winner came later than that of others"
    assert set(found.why) == {"settled"}


def test_the_same_seed_gives_the_same_counts() -> None:
    assert contested.run(20, 2) == contested.run(20, 2)


def test_I9_first_come_first_served_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenLine, "key", property(lambda line: (line.order_no,)))
    assert any("bought first" in line for line in contested.run(40, 2).violations)


def test_I9_a_release_before_everybody_was_heard_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def at_once(*arguments: Any) -> bool:
        return True

    monkeypatch.setattr("oneshelf.orders.short.is_settled", at_once)
    assert any("bought first" in line for line in contested.run(40, 2).violations)
