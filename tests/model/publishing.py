"""A small world for publishing: outlets that sell by themselves, and an engine that reads and writes their numbers (SEMANTICS 8, 9).

Outlets sell whenever they show something; news of a sale comes later or with a poll; a write is taken and lands later, in any order, or its
answer or the whole call is lost. What a read means, which state follows, what is offered: `core.drift`, `core.slot`, `core.offer`. What is
between them (a few lines of publish/waking, planning, landing and concluding) is written out here without a database. The real steps walk
the same ways in `test_publishing_steps.py`, and what was found here has its own tests in `tests/scenario/test_publish_proof.py`.

Time: instants are small numbers; only their order counts, so a state keeps their ranks. How long anything takes is a choice of the world:
whoever waits may be made to wait, or to give up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from oneshelf.core.drift import Sales, Verdict, judge, judge_write
from oneshelf.core.offer import OfferPolicy, offer_quantity
from oneshelf.core.slot import SlotEvent, SlotState, next_state

S = SlotState
#: What happens to a write: the channel takes it and says so; takes it and the answer is lost; never gets it.
Fate = Literal["taken", "taken, no answer", "lost"]


class Outlet(msgspec.Struct, frozen=True):
    """One outlet: what is real (`shown`, `landing`: taken writes that are not applied yet), then our slot of it (publish/slots)."""

    shown: int
    landing: tuple[int, ...] = ()
    state: SlotState = S.QUIET
    believed: int | None = None
    believed_at: int = 0
    verified: bool = False
    fresh: bool = False
    sent: int | None = None
    base: int | None = None
    base_at: int = 0
    acked: bool = False
    late: tuple[tuple[int, int], ...] = ()
    odd: int = 0
    odd_heard: bool | None = None
    dirty: bool = False
    reread: bool = False
    #: It shows its offer, but a write that nobody waits for may still land: read once more when it must have (publish/resting).
    look: bool = False
    #: The last read was made when nothing could land any more.
    late_over: bool = True
    #: Writes (number, base at) that were seen so early that they may yet land: an own sale unheard may have made it look so.
    proofs: tuple[tuple[int, int], ...] = ()
    #: What only the world knows: a write was taken for seen that had not landed, because of an own sale unheard (or of nothing).
    mistaken: str = ""


class Sale(msgspec.Struct, frozen=True, order=True):
    """One piece sold by an outlet at an instant, and whether its order has arrived."""

    outlet: int
    placed: int
    heard: bool = False


class World(msgspec.Struct, frozen=True):
    """`sold`: pieces of sales long heard, of which nobody will ask the instant any more. `held`: (outlet, read at, pieces)."""

    outlets: tuple[Outlet, ...]
    sales: tuple[Sale, ...] = ()
    sold: int = 0
    held: tuple[tuple[int, int, int], ...] = ()
    faults: int = 0
    overwritten: bool = False

    @property
    def ever_sold(self) -> int:
        return self.sold + len(self.sales)

    def instants(self) -> set[int]:
        found = {sale.placed for sale in self.sales} | {read_at for _, read_at, _ in self.held}
        for one in self.outlets:
            found |= {one.believed_at, one.base_at, *(at for _, at in (*one.late, *one.proofs))}
        return found

    def with_outlet(self, c: int, **changes: object) -> World:
        one = msgspec.structs.replace(self.outlets[c], **changes)
        return msgspec.structs.replace(self, outlets=(*self.outlets[:c], one, *self.outlets[c + 1 :]))


replace = msgspec.structs.replace


class Rules(msgspec.Struct, frozen=True):
    """The guards; each can be turned off, and then something must be found."""

    #: Compare-and-set at the channel instead of a blind write.
    compare: bool = False
    #: The channel applies writes in the order in which it took them (Amazon's last one wins; some do not promise it: F38).
    in_order: bool = True
    #: Every listing is read from time to time (reconcile/sweep). Nothing below needs it to come to rest.
    sweep: bool = False
    #: S8.4: own sales between the read and the verify read may have been overwritten, or not.
    ambiguous: bool = True
    #: S8.5: only an own sale placed after the last fact has been counted by the channel itself.
    by_time: bool = True
    #: I18: a write without an answer is read before anything else is said about it.
    unknown_is_read: bool = True
    #: I12: what was accepted is looked for before the slot is quiet.
    accepted_is_seen: bool = True
    #: An own order that arrives after the verify read and was placed before it takes the proof back: the write may yet land.
    proof_is_doubted: bool = True
    #: S9.2: a fall that no order explains reserves its pieces.
    falls_are_held: bool = True
    #: S9.2: the order that comes uses its reservation up.
    orders_consume: bool = True
    #: S9.2: what no order used up is released when the feed is complete through the read.
    due_is_released: bool = True


class Engine:
    """What may happen in a world of `stock` pieces, shown by every outlet at the start, with at most `orders` sales and `faults`."""

    def __init__(self, stock: int, outlets: int, orders: int, faults: int, rules: Rules = Rules()) -> None:
        self.stock, self.orders, self.faults, self.rules = stock, orders, faults, rules
        quiet = Outlet(stock, believed=stock, verified=True)
        self.start = World((quiet,) * outlets)

    # --- what is true -----------------------------------------------------------------------------------------------------

    def available(self, world: World) -> int:
        """K: what lies there, less heard orders, less reservations for sales unheard."""
        heard = world.sold + sum(sale.heard for sale in world.sales)
        return self.stock - heard - sum(pieces for _, _, pieces in world.held)

    def offer(self, world: World) -> int:
        return offer_quantity(self.available(world), OfferPolicy())

    def _own(self, world: World, c: int) -> Sales:
        """The own sales of an outlet that we have heard of."""
        return Sales(tuple((sale.placed, 1) for sale in world.sales if sale.outlet == c and sale.heard))

    def _shows(self, world: World, c: int) -> int | None:
        """Believed, less own sales placed later (publish/resting.shown_range with clocks that agree)."""
        one = world.outlets[c]
        if one.believed is None:
            return None
        sales = self._own(world, c)
        return max(0, one.believed - sales.between(one.believed_at if self.rules.by_time else -1))

    @staticmethod
    def _quiet(world: World, c: int) -> bool:
        """Nobody has a reason to look at it, and nothing is on its way to it."""
        one = world.outlets[c]
        return one.state is S.QUIET and not one.dirty and not one.landing

    # --- what may happen --------------------------------------------------------------------------------------------------

    def moves(self, world: World) -> Iterator[tuple[str, World]]:
        now = max(world.instants()) + 1
        for c, one in enumerate(world.outlets):
            name = "AB"[c]
            if one.shown > 0 and world.ever_sold < self.orders:
                yield f"sell {name}", self._tidy(self._sell(world, c, now))
            for write in one.landing[: 1 if self.rules.in_order else None]:
                yield f"land {name}={write}", self._tidy(self._land(world, c, write))
            if any(sale.outlet == c and not sale.heard for sale in world.sales):
                first = next(n for n, sale in enumerate(world.sales) if sale.outlet == c and not sale.heard)
                last = max(n for n, sale in enumerate(world.sales) if sale.outlet == c and not sale.heard)
                yield f"hear {name}", self._tidy(self._hear(world, first))
                if last != first:
                    yield f"hear {name} last", self._tidy(self._hear(world, last))
            if any(outlet == c for outlet, _, _ in world.held) or one.odd_heard is False:
                yield f"poll {name}", self._tidy(self._poll(world, c))
            if self.rules.sweep and self._quiet(world, c) and one.shown != self._shows(world, c):
                yield f"sweep {name}", self._tidy(self._read(world, c, now, patient=True))
            for what, after in self._work(world, c, now):
                yield f"{what} {name}", self._tidy(after)

    def _sell(self, world: World, c: int, now: int) -> World:
        world = world.with_outlet(c, shown=world.outlets[c].shown - 1)
        return replace(world, sales=tuple(sorted((*world.sales, Sale(c, now)))))

    def _land(self, world: World, c: int, write: int) -> World:
        one = world.outlets[c]
        left = list(one.landing)
        left.remove(write)
        undone = one.base is not None and one.shown < one.base and write > one.shown
        return replace(world.with_outlet(c, shown=write, landing=tuple(left)), overwritten=world.overwritten or undone)

    def _hear(self, world: World, n: int) -> World:
        """An order arrives: it uses up a reservation that was read after it was placed, or takes a piece of K; all become dirty."""
        sale = world.sales[n]
        world = replace(world, sales=(*world.sales[:n], replace(sale, heard=True), *world.sales[n + 1 :]))
        one = world.outlets[sale.outlet]
        if self.rules.proof_is_doubted and sale.placed <= one.believed_at:
            doubted = tuple(write for write in one.proofs if write[1] < sale.placed)
            kept = tuple(write for write in one.proofs if write not in doubted)
            world = world.with_outlet(sale.outlet, late=(*one.late, *doubted), proofs=kept)
        if self.rules.orders_consume:
            for k, (outlet, read_at, pieces) in enumerate(world.held):
                if outlet == sale.outlet and sale.placed <= read_at:
                    rest = ((outlet, read_at, pieces - 1),) if pieces > 1 else ()
                    world = replace(world, held=(*world.held[:k], *rest, *world.held[k + 1 :]))
                    break
        return self._mark_all(world)

    def _poll(self, world: World, c: int) -> World:
        """The feed of c is read to the end: every order is heard; reservations that none used are released, and c is read again."""
        for n, sale in enumerate(world.sales):
            if sale.outlet == c and not sale.heard:
                world = self._hear(world, n)
        if world.outlets[c].odd_heard is False:
            world = world.with_outlet(c, odd_heard=True)
        if self.rules.due_is_released and any(outlet == c for outlet, _, _ in world.held):
            world = replace(world, held=tuple(one for one in world.held if one[0] != c))
            world = self._mark_all(world).with_outlet(c, reread=True)
        return world

    def _mark_all(self, world: World) -> World:
        """The SKU moved: every outlet owes the world a number; who shows it by itself rests at once (publish/waking)."""
        world = replace(world, outlets=tuple(replace(one, dirty=True) for one in world.outlets))
        for c, one in enumerate(world.outlets):
            if one.state in (S.QUIET, S.WAITING) and one.verified and not one.reread:
                if self._shows(world, c) == self.offer(world):
                    world = self._rest(world, c)
                elif one.look:
                    world = world.with_outlet(c, look=False)
        return world

    # --- the engine's work ------------------------------------------------------------------------------------------------

    def _work(self, world: World, c: int, now: int) -> Iterator[tuple[str, World]]:
        """The one call that may be made for an outlet now (publish/planning), with every end that it may have."""
        one = world.outlets[c]
        if one.state in (S.APPLYING, S.UNKNOWN):
            yield "read", self._read(world, c, now, patient=True)
            if one.acked and not one.landing:  # it has waited as long as a write may take
                yield "read, give up", self._read(world, c, now, patient=False)
            elif one.acked and world.faults < self.faults:
                yield "read, give up", self._read(replace(world, faults=world.faults + 1), c, now, patient=False)
            return
        if one.state is S.QUIET and not one.dirty:
            return
        if one.reread or not one.verified:
            if one.odd_heard is not False:
                yield "read", self._read(world, c, now, patient=True)
            return
        if one.look:
            if not one.landing:
                yield "look again", self._read(world, c, now, patient=True)
            return
        offer = self.offer(world)
        if self._shows(world, c) == offer:
            yield "rest", self._rest(world, c)
        elif offer == 0 or one.fresh:
            yield from self._write(world, c, offer, now)
        else:
            yield "read", self._read(world, c, now, patient=True)

    def _write(self, world: World, c: int, offer: int, now: int) -> Iterator[tuple[str, World]]:
        one = world.outlets[c]
        state = one.state if one.state is S.WAITING else next_state(one.state, SlotEvent.DIRTY)
        sending = next_state(state, SlotEvent.SEND)
        told = {"sent": offer, "base": one.believed, "base_at": one.believed_at, "fresh": False, "verified": False}
        fates: tuple[Fate, ...] = ("taken",)
        if world.faults < self.faults:
            fates = ("taken", "taken, no answer", "lost")
        for fate in fates:
            after = world if fate == "taken" else replace(world, faults=world.faults + 1)
            if self.rules.compare:
                yield f"write {offer} {fate}", self._compare_and_set(after, c, offer, now, fate, told, sending)
                continue
            landing = one.landing if fate == "lost" else (*one.landing, offer)
            if fate == "taken":
                after = after.with_outlet(
                    c, landing=landing, state=next_state(sending, SlotEvent.ACCEPTED), acked=True, **told
                )
                if not self.rules.accepted_is_seen:
                    after = self._believe(after, c, offer, now)
            else:
                after = after.with_outlet(
                    c, landing=landing, state=next_state(sending, SlotEvent.NO_ANSWER), acked=False, **told
                )
                if not self.rules.unknown_is_read:
                    after = self._believe(after, c, offer, now)
            yield f"write {offer} {fate}", after

    def _compare_and_set(
        self, world: World, c: int, offer: int, now: int, fate: Fate, told: dict[str, object], sending: SlotState
    ) -> World:
        """The channel changes its number only if it is the one that we last knew; its yes says what is shown (S8.3)."""
        one = world.outlets[c]
        same = one.shown == self._shows(world, c)
        if fate != "lost" and same:
            world = world.with_outlet(c, shown=offer)
        if fate != "taken":
            return world.with_outlet(c, state=next_state(sending, SlotEvent.NO_ANSWER), acked=False, **told)
        if not same:
            world = world.with_outlet(c, state=next_state(sending, SlotEvent.STALE), verified=False, fresh=False)
            return world
        world = world.with_outlet(c, state=next_state(sending, SlotEvent.SEEN_AT_ONCE))
        return self._believe(world, c, offer, now)

    def _believe(self, world: World, c: int, number: int, now: int) -> World:
        """A yes that is taken for the truth."""
        world = world.with_outlet(
            c, state=S.WAITING, believed=number, believed_at=now, verified=True, fresh=True, sent=None, acked=False
        )
        return self._rest(world, c) if self._shows(world, c) == self.offer(world) else world

    def _read(self, world: World, c: int, now: int, *, patient: bool) -> World:
        """The outlet is read, and the read taken in (publish/landing, publish/concluding)."""
        one = world.outlets[c]
        state = one.state if one.state is not S.QUIET else next_state(one.state, SlotEvent.DIRTY)
        reading = next_state(state, SlotEvent.READ)
        sales, seen = self._own(world, c), one.shown
        late, sent = one.late, one.sent
        proofs = one.proofs if one.landing else ()
        mistaken = one.mistaken if one.landing else ""
        if sent is None:
            verdict = self._plain(one, seen, sales, one.believed, one.believed_at)
        else:
            ambiguous = sales.between(one.base_at) if self.rules.ambiguous else 0
            verdict = judge_write(seen, sent=sent, base=one.base, ambiguous=ambiguous)
            if verdict.kind == "not_yet" and one.acked and patient:
                return world.with_outlet(c, state=next_state(reading, SlotEvent.NOT_YET), reread=False)
            if verdict.kind == "seen" and sent in one.landing:
                unheard = any(sale.outlet == c and not sale.heard for sale in world.sales)
                mistaken = "by a sale unheard" if unheard else "by an older write" if one.late else "by nothing"
            if verdict.kind == "seen" and one.landing:
                proofs = (*proofs, (sent, one.base_at))
            if verdict.kind != "seen":
                late = (*late, (sent, one.base_at))
            if verdict.kind == "not_yet":
                verdict = self._plain(one, seen, sales, one.base, one.base_at)
        if verdict.kind in ("missing", "excess"):
            for write in late:
                if write[0] - sales.between(write[1]) <= seen <= write[0]:
                    late = tuple(other for other in late if other != write)
                    proofs = (*proofs, write) if one.landing else proofs
                    verdict = Verdict("echo")
                    break
        world = world.with_outlet(
            c, state=reading, believed=seen, believed_at=now, verified=True, fresh=True, sent=None, base=None, base_at=0,
            acked=False, late=late, odd=0, odd_heard=None, reread=False, look=False,
            late_over=not one.landing, mistaken=mistaken, proofs=proofs,
        )  # fmt: skip
        if verdict.units and verdict.kind in ("missing", "seen", "doubtful") and self.rules.falls_are_held:
            held = tuple(sorted((*world.held, (c, now, verdict.units))))
            world = self._mark_all(replace(world, held=held))
        return self._conclude(world, c, verdict, one)

    def _plain(self, one: Outlet, seen: int, sales: Sales, believed: int | None, believed_at: int) -> Verdict:
        if believed is None:
            return Verdict("first")
        own = sales.between(believed_at if self.rules.by_time else -1)
        return judge(seen, max(0, believed - one.odd), certain=own, possible=own)

    def _conclude(self, world: World, c: int, verdict: Verdict, before: Outlet) -> World:
        one = world.outlets[c]
        if one.state is S.QUIET:  # came to rest when its reservation was made
            return world
        offer = self.offer(world)
        if offer == one.shown:
            return self._rest(world, c)
        waiting = next_state(one.state, SlotEvent.READ_DIFFERS)
        if verdict.kind == "excess" and offer == one.shown - verdict.units and before.odd_heard is not True:
            return world.with_outlet(c, state=waiting, verified=False, odd=verdict.units, odd_heard=False)
        return world.with_outlet(c, state=waiting)

    def _rest(self, world: World, c: int) -> World:
        """It shows its offer. While an earlier write may still land it is read once more instead (publish/resting)."""
        one = world.outlets[c]
        if one.late and not one.late_over:
            if one.state is S.READING:
                return world.with_outlet(c, state=next_state(one.state, SlotEvent.READ_DIFFERS), look=True)
            return world.with_outlet(c, state=next_state(one.state, SlotEvent.DIRTY), look=True)
        quiet = next_state(one.state, SlotEvent.EQUAL)
        return world.with_outlet(c, state=quiet, dirty=False, fresh=False, look=False, late=(), odd=0, odd_heard=None)

    # --- states that differ in nothing are one ---------------------------------------------------------------------------------

    def _tidy(self, world: World) -> World:
        """Forget what nobody will ask for any more, and keep of instants only their order."""
        kept = []
        sold = world.sold
        for sale in world.sales:
            one = world.outlets[sale.outlet]
            asked = [one.believed_at, *(at for _, at in (*one.late, *one.proofs))]
            if one.sent is not None:
                asked.append(one.base_at)
            if sale.heard and self.rules.by_time and all(sale.placed < at for at in asked):
                sold += 1
            else:
                kept.append(sale)
        world = replace(world, sales=tuple(kept), sold=sold)
        rank = {at: n for n, at in enumerate(sorted(world.instants()))}
        outlets = tuple(
            replace(
                one,
                believed_at=rank[one.believed_at],
                base_at=rank[one.base_at],
                late=tuple(sorted((q, rank[at]) for q, at in one.late)),
                proofs=tuple(sorted((q, rank[at]) for q, at in one.proofs)),
            )
            for one in world.outlets
        )
        return replace(
            world,
            outlets=outlets,
            sales=tuple(sorted(replace(sale, placed=rank[sale.placed]) for sale in world.sales)),
            held=tuple(sorted((c, rank[at], pieces) for c, at, pieces in world.held)),
        )

    # --- what must hold ---------------------------------------------------------------------------------------------------------

    def wrong(self, world: World) -> str | None:
        k, real = self.available(world), self.stock - world.ever_sold
        for c, one in enumerate(world.outlets):
            name = "AB"[c]
            unheard = any(sale.outlet == c and not sale.heard for sale in world.sales)
            if self._quiet(world, c) and not unheard and one.shown != self.offer(world):
                return f"I13: {name} is quiet and shows {one.shown}; its offer is {self.offer(world)}"
            if one.mistaken == "by nothing":
                return f"I12: {name} took a write for seen that has not landed"
            if one.fresh and one.state is S.UNKNOWN:
                return f"I18: {name} is unknown and believed"
        if k < real:
            return f"S9.1: a sale is counted twice: K is {k}, and {world.ever_sold} of {self.stock} were sold"
        if self.rules.compare and world.overwritten:
            return "S8.3: a sale was overwritten"
        return None

    def at_rest(self, world: World) -> bool:
        """Nothing is on its way and the truth is shown everywhere."""
        k = self.stock - world.ever_sold
        return (
            all(sale.heard for sale in world.sales)
            and not world.held
            and all(
                one.state is S.QUIET and not one.dirty and not one.landing and one.shown == max(0, k)
                for one in world.outlets
            )
        )
