"""What the answer to a call at the hub means, whichever call it was."""

from __future__ import annotations

from oneshelf.core.outcome import Outcome, Rejected, Throttled
from oneshelf.imports.worker import outcome_of


async def test_S9_5_a_shop_that_lets_us_in_no_more_has_refused_no_call() -> None:
    """A hold's return that counted as refused was never made: its piece lay reserved there for good."""

    async def said(outcome: Outcome) -> Outcome:
        return outcome

    assert await outcome_of(said(Rejected("HTTP 401", "unauthorized"))) == Throttled(60.0, "HTTP 401")
    assert await outcome_of(said(Rejected("not so many", "negative"))) == Rejected("not so many", "negative")
