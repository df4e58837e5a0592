"""Looks at every state that a small world can reach, the nearest first, so that a counterexample is the shortest there is.

In: a start, the moves of a state (a name and the state after it), what is wrong with a state. Out: how many states there are; the
shortest way to one that is wrong, or to one from which rest can't be reached any more.
Never: chooses at random; knows what a state means. States are immutable and hashable; equal states are one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

State = TypeVar("State", bound=Hashable)

#: A world of more states than this is no small world: the model has a number in it that grows for ever.
STATES_MAX = 5_000_000


class Counterexample(AssertionError):
    """`wrong` after the moves of `path`, the fewest that lead there."""

    def __init__(self, wrong: str, path: list[str], state: object) -> None:
        self.wrong, self.path, self.state = wrong, path, state
        steps = "\n".join(f"{n:3}. {move}" for n, move in enumerate(path, 1))
        super().__init__(f"{wrong}, after {len(path)} steps:\n{steps}\n{state}")


class Graph(Generic[State]):
    """Every state that can be reached, in the order in which they were found, and what follows each."""

    def __init__(self) -> None:
        self.states: list[State] = []
        self.came_from: list[tuple[int, str]] = []
        self.after: list[list[int]] = []

    def __len__(self) -> int:
        return len(self.states)

    def path(self, number: int) -> list[str]:
        """Return the moves from the start to a state, the fewest."""
        moves: list[str] = []
        while number:
            number, move = self.came_from[number]
            moves.append(move)
        return moves[::-1]

    def require_always_possible(self, goal: Callable[[State], bool], what: str) -> None:
        """Raise Counterexample for the nearest state from which no state with `goal` can be reached: a trap."""
        before: list[list[int]] = [[] for _ in self.states]
        for number, follow in enumerate(self.after):
            for other in follow:
                before[other].append(number)
        possible = [goal(state) for state in self.states]
        todo = [number for number, yes in enumerate(possible) if yes]
        while todo:
            for other in before[todo.pop()]:
                if not possible[other]:
                    possible[other] = True
                    todo.append(other)
        for number, yes in enumerate(possible):
            if not yes:
                raise Counterexample(f"never again {what}", self.path(number), self.states[number])

    def paths(self, every: int) -> Iterator[list[str]]:
        """Yield the way to every n-th state: the same ones each time."""
        for number in range(every - 1, len(self.states), every):
            yield self.path(number)


def explore(
    start: State, moves: Callable[[State], Iterable[tuple[str, State]]], wrong: Callable[[State], str | None]
) -> Graph[State]:
    """Return the graph of all states. Raises Counterexample at the nearest one with which something is wrong."""
    graph: Graph[State] = Graph()
    number_of = {start: 0}
    graph.states.append(start)
    graph.came_from.append((0, ""))
    for number, state in enumerate(graph.states):  # grows while it is walked: breadth first
        if (what := wrong(state)) is not None:
            raise Counterexample(what, graph.path(number), state)
        follow = []
        for move, other in moves(state):
            found = number_of.get(other)
            if found is None:
                found = number_of[other] = len(graph.states)
                graph.states.append(other)
                graph.came_from.append((number, move))
                if found >= STATES_MAX:
                    raise AssertionError(f"more than {STATES_MAX} states")
            follow.append(found)
        graph.after.append(follow)
    return graph
