"""A small world for reads of the hub (SEMANTICS 9.1 to 9.5): calls and reads that overlap, sales heard late, edits by hand.

Marketplace sales are heard at once and held at the hub by a call (available −1); web sales take their piece at the hub and are heard later;
the merchant types. A read is asked for, taken somewhere in between, and judged: by `core.hub`. What our numbers have taken over since it
was asked for counts the other way round (reconcile/expectation); that and what follows a verdict (reconcile/judge) is written out here.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from oneshelf.core import hub

replace = msgspec.structs.replace


class Suspicion(msgspec.Struct, frozen=True, order=True):
    """Pieces reserved because a read showed fewer; `before`: the web sales it may be about; `due`: the feed was complete through it."""

    pieces: int
    before: tuple[int, ...]
    due: bool = False


class Read(msgspec.Struct, frozen=True):
    """A read on its way. `shown` and `before` once it was taken; `held` and `heard`: what our numbers took over since it was asked for."""

    shown: int | None = None
    before: tuple[int, ...] = ()
    held: int = 0
    heard: int = 0


class World(msgspec.Struct, frozen=True):
    """`shown`: the hub's `available`. Holds: asked for and not arrived, arrived and not answered, answered. `web`: was each heard?"""

    shown: int
    lines: int = 0
    calls: int = 0
    arrived: int = 0
    held: int = 0
    web: tuple[bool, ...] = ()
    edited: int = 0
    edits: int = 0
    posted: int = 0
    #: Oldest first: an order uses up the oldest that it may be meant by (orders/provisional).
    suspicions: tuple[Suspicion, ...] = ()
    odd: int = 0
    odd_due: bool = False
    read: Read | None = None


class Rules(msgspec.Struct, frozen=True):
    """The guards; each can be turned off."""

    #: S9.5: calls that are not answered may be in the read or not.
    in_flight: bool = True
    #: ADR 0006: what was answered after the read was asked for may be missing from it.
    overlap: bool = True
    #: The same for the hub's own orders that were booked meanwhile.
    booked: bool = True
    #: S9.2: the order that comes uses the reservation up.
    orders_consume: bool = True
    #: S9.1: a notification is a hint to read, never a command.
    hints_are_hints: bool = True


class Shop:
    """All that may happen at a hub of `stock` pieces with so many marketplace sales, web sales and edits by hand."""

    def __init__(self, stock: int, lines: int, web: int, edits: int, rules: Rules = Rules()) -> None:
        self.stock, self.lines, self.web, self.edits, self.rules = stock, lines, web, edits, rules
        self.start = World(stock)

    def available(self, world: World) -> int:
        """K: the count with the edits we know of, less marketplace lines, heard web sales, and what is reserved on suspicion."""
        suspected = sum(one.pieces for one in world.suspicions)
        return self.stock + world.posted - world.lines - sum(world.web) - suspected

    def expected(self, world: World) -> int:
        return hub.expected(self.available(world), counted=world.lines, claimed=world.held)

    # --- what may happen --------------------------------------------------------------------------------------------------

    def moves(self, world: World) -> Iterator[tuple[str, World]]:
        if world.lines < self.lines:
            yield "a marketplace sells", replace(world, lines=world.lines + 1)
        if world.calls + world.arrived + world.held < world.lines:
            yield "hold", replace(world, calls=world.calls + 1)
        if world.calls:
            yield (
                "the hold arrives",
                replace(world, calls=world.calls - 1, arrived=world.arrived + 1, shown=world.shown - 1),
            )
        if world.arrived:
            read = world.read and replace(world.read, held=world.read.held + 1)
            yield "the hold is answered", replace(world, arrived=world.arrived - 1, held=world.held + 1, read=read)
        if len(world.web) < self.web:
            yield "the web sells", replace(world, web=(*world.web, False), shown=world.shown - 1)
        for n, heard in enumerate(world.web):
            if not heard:
                yield f"hear web {n}", self._hear(world, n)
        if world.edits < self.edits:
            for change in (-1, 1):
                yield (
                    f"the merchant types {change:+}",
                    replace(world, edits=world.edits + 1, edited=world.edited + change, shown=world.shown + change),
                )
        if any(not one.due for one in world.suspicions) or (world.odd and not world.odd_due):
            yield "poll", self._poll(world)
        yield from self._reading(world)

    def _reading(self, world: World) -> Iterator[tuple[str, World]]:
        unheard = tuple(n for n, heard in enumerate(world.web) if not heard)
        if not self.rules.hints_are_hints:
            off = world.shown - self.expected(world)
            if off:
                yield "told the number", replace(world, posted=world.posted + off)
            return
        if world.read is None:
            yield "ask", replace(world, read=Read())
        elif world.read.shown is None:
            yield "read", replace(world, read=replace(world.read, shown=world.shown, before=unheard))
        else:
            yield "judge", self._judge(replace(world, read=None), world.read)

    def _hear(self, world: World, n: int) -> World:
        web = (*world.web[:n], True, *world.web[n + 1 :])
        read = world.read and replace(world.read, heard=world.read.heard + 1)
        world = replace(world, web=web, read=read)
        if self.rules.orders_consume:
            for k, one in enumerate(world.suspicions):
                if n in one.before:
                    rest = (replace(one, pieces=one.pieces - 1),) if one.pieces > 1 else ()
                    return replace(world, suspicions=(*world.suspicions[:k], *rest, *world.suspicions[k + 1 :]))
        return world

    def _poll(self, world: World) -> World:
        """The hub's order feed is read to the end."""
        for n, heard in enumerate(world.web):
            if not heard:
                world = self._hear(world, n)
        suspicions = tuple(replace(one, due=True) for one in world.suspicions)
        return replace(world, suspicions=suspicions, odd_due=bool(world.odd))

    def _judge(self, world: World, read: Read) -> World:
        changes: list[int] = []
        if self.rules.in_flight:
            changes += [-1] * (world.calls + world.arrived)
        if self.rules.overlap:
            changes += [1] * read.held
        if self.rules.booked:
            changes += [1] * read.heard
        assert read.shown is not None
        verdict = hub.judge(read.shown, self.expected(world), changes)
        assert verdict is not None, "more calls than can be judged"
        if verdict.off == 0:
            return self._edits_that_were_reserved(world) if verdict.settled else world
        if verdict.off < 0:
            suspicion = Suspicion(-verdict.off, tuple(n for n in read.before if not world.web[n]))
            return replace(world, suspicions=(*world.suspicions, suspicion))
        return self._more(world, verdict.off)

    def _edits_that_were_reserved(self, world: World) -> World:
        due = sum(one.pieces for one in world.suspicions if one.due)
        left = tuple(one for one in world.suspicions if not one.due)
        return replace(world, suspicions=left, posted=world.posted - due, odd=0, odd_due=False)

    def _more(self, world: World, off: int) -> World:
        """First what was reserved on suspicion is given back (ADR 0007); the rest waits for the feed and is then the merchant's."""
        left: list[Suspicion] = []
        for one in world.suspicions:
            part = min(off, one.pieces)
            off -= part
            if one.pieces > part:
                left.append(replace(one, pieces=one.pieces - part))
        world = replace(world, suspicions=tuple(left))
        if off and world.odd == off and world.odd_due:
            return replace(world, posted=world.posted + off, odd=0, odd_due=False)
        if off and world.odd != off:
            return replace(world, odd=off, odd_due=False)
        return world

    # --- what must hold -----------------------------------------------------------------------------------------------------

    def wrong(self, world: World) -> str | None:
        if not self.edits and world.posted:
            return f"S9.4: an edit of {world.posted:+} was posted and nobody edited anything"
        if not self.edits and self.available(world) < self.stock - world.lines - len(world.web):
            return f"S9.1: a sale is counted twice: K is {self.available(world)}"
        return None

    def at_rest(self, world: World) -> bool:
        """Everything is heard and held, nothing is suspected; the ledger says what is true and the hub shows what is expected."""
        return (
            all(world.web)
            and world.held == world.lines
            and not (world.suspicions or world.odd)
            and world.posted == world.edited
            and world.shown == self.expected(world)
        )
