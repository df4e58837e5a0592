"""How often the engine calls, judged when a run is over (I19).

In: what was refused for its pace; of each operation the most calls in one minute. Out: a Breach, or nothing. Never: imports the product.
"""

from __future__ import annotations

from collections.abc import Mapping

from .auditor import Breach

#: So many refusals for pace may follow a crash: a new life has forgotten what was spent in the last seconds of the one before.
REFUSED_A_LIFE = 5
#: Nobody has a reason to call one operation ten times a second, in shops as small as these: who does goes round in circles.
CALLS_A_MINUTE = 600


def check_pace(refused: Mapping[str, int], lives: int, busiest: Mapping[tuple[str, str], int]) -> None:
    """Raise Breach of I19. `refused`: by channel; `lives`: of the process; `busiest`: by channel and operation, calls in its fullest minute."""
    for channel, count in sorted(refused.items()):
        if count > REFUSED_A_LIFE * (lives - 1):
            raise Breach("I19", f"{channel} refused {count} calls for their pace, in {lives} lives")
    for (channel, operation), times in sorted(busiest.items()):
        if times > CALLS_A_MINUTE:
            raise Breach("I19", f"{channel} was asked {operation} {times} times in one minute")
