"""Puts marketplaces into broken states and back: `/_emulator/break`.

In: a channel, a state's name, what the state takes. Out: which are broken. `down` and `clock_off` are states of any marketplace.
Never: knows what a state of a marketplace means.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from .broken import Broken

if TYPE_CHECKING:
    from .emulation import Emulation

#: How far `clock_off` moves the clock, seconds.
CLOCK_OFF_S = 300.0


def _states(emulation: Emulation, channel: str) -> dict[str, Broken]:
    def down(marketplace: Any) -> None:
        emulation.world.faults.set("error_503_html", 1.0, channel)

    def up(marketplace: Any, kept: Any) -> None:
        emulation.world.faults.set("error_503_html", 0.0, channel)

    def clock_off(marketplace: Any, seconds: float = CLOCK_OFF_S) -> float:
        emulation.clock.ahead_s += float(seconds)
        return float(seconds)

    def clock_right(marketplace: Any, kept: float) -> None:
        emulation.clock.ahead_s -= kept

    return {
        "down": Broken("every call is answered 503 with a page of HTML", down, up),
        "clock_off": Broken(
            "the clock of the outside world is five minutes ahead (`seconds`): all marketplaces share it",
            clock_off,
            clock_right,
        ),
        **emulation.marketplaces[channel].broken_states(),
    }


class BrokenStates:
    """Which marketplace is in which broken state. A reset of the world ends them all."""

    def __init__(self, emulation: Emulation) -> None:
        self.emulation = emulation
        self._kept: dict[tuple[str, str], Any] = {}

    def report(self) -> dict[str, Any]:
        """Return the states that each marketplace knows, with what they mean, and those it is in."""
        known = {
            channel: {name: state.says for name, state in _states(self.emulation, channel).items()}
            for channel in self.emulation.channels
        }
        return {"known": known, "broken": [{"channel": c, "state": s} for c, s in self._kept]}

    async def begin(self, channel: str, name: str, how: Mapping[str, Any]) -> None:
        """Put `channel` into a state; in it already: nothing changes. Raises ValueError."""
        state = self._state(channel, name)
        if (channel, name) in self._kept:
            return
        try:
            begun = state.begin(self.emulation.marketplaces[channel], **how)
        except TypeError as problem:
            raise ValueError(f"{name}: {problem}") from problem
        self._kept[(channel, name)] = await _done(begun)
        self.emulation.world.note(channel, f"broken {name}", **{key: str(value) for key, value in how.items()})

    async def end(self, channel: str, name: str) -> None:
        """Put it right; not in it: nothing changes. Raises ValueError."""
        state = self._state(channel, name)
        if (channel, name) not in self._kept:
            return
        await _done(state.end(self.emulation.marketplaces[channel], self._kept.pop((channel, name))))
        self.emulation.world.note(channel, f"mended {name}")

    async def end_all(self) -> None:
        """Put everything right, the latest first."""
        for channel, name in reversed(list(self._kept)):
            await self.end(channel, name)

    def forget(self) -> None:
        """The world begins anew: nothing is broken in it."""
        self.emulation.clock.ahead_s = 0.0
        self._kept.clear()

    def _state(self, channel: str, name: str) -> Broken:
        if channel not in self.emulation.channels:
            raise ValueError(f"there is no channel {channel!r}; known: {', '.join(self.emulation.channels)}")
        states = _states(self.emulation, channel)
        if name not in states:
            raise ValueError(f"{channel} knows no state {name!r}; known: {', '.join(states)}")
        return states[name]


async def _done(result: Any) -> Any:
    awaited: Awaitable[Any] | Any = result
    return await awaited if isawaitable(awaited) else awaited
