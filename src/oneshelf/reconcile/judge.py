"""One SKU of a read of the hub, judged over all its locations (SEMANTICS 0.3, 9.2, 9.3, 9.5; ADR 0006, 0007, 0026).

In: its levels as read, ours as known. Out: entries for what the merchant did, reservations for what may be an unheard sale, marks of what is odd.
Tables: writes hub_level, claim, provisional (by their rooms); entries go through the ledger's door.
Never: takes fewer for anything but a sale until the order feed has said that there was none; counts more while it may hide a sale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from oneshelf.channels.contract import HubLevel
from oneshelf.core import hub as rules
from oneshelf.core.instants import SECOND, to_us
from oneshelf.core.stock import Entry, Level
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.imports import adopting
from oneshelf.orders import claims, closing, provisional
from oneshelf.orders.accounts import Account
from oneshelf.orders.provisional import HUB_OUTLET, Provisional
from oneshelf.stock import ledger

from .expectation import claimed_at, expected, in_flight, remember


class Read(msgspec.Struct, frozen=True):
    """One read of the hub. Whatever was in flight between asking and answering may or may not be in it.

    `asked_at`: by our clock, as our calls are; the levels' `read_at`: by the shop's, as its orders are.
    """

    levels: Sequence[HubLevel]
    asked_at: int
    read_id: str


class Told(msgspec.Struct):
    """What judging did: whether the order feed should be polled at once, and how many numbers were echoes or odd."""

    poll_hub: bool = False
    echoes: int = 0
    odd: int = 0
    edits: int = 0


class Judge:
    """Judges one SKU of one read. `through`: how far the hub's order feed is complete and booked, by the hub's clock."""

    def __init__(
        self,
        tx: Tx,
        tenant_id: int,
        hub: Account,
        sku: str,
        levels: Sequence[HubLevel],
        read: Read,
        through: int,
        now: int,
        told: Told,
    ) -> None:
        self.tx = tx
        self.tenant_id = tenant_id
        self.hub = hub
        self.sku = sku
        self.levels = levels
        self.read = read
        #: What was bought until then, the feed has told: the clocks' doubt is taken off.
        self.heard_through = through - hub.skew_s * SECOND
        self.now = now
        self.told = told

    def judge(self, known: dict[tuple[str, str], Level]) -> bool:
        """Judge it. `known`: our levels, brought up to what is posted. Returns whether any number of ours moved."""
        gone = self._not_told(known)
        left = [*(one.location_id for one in gone), *self._let_holds_go_that_came_along(known)]
        self.levels = [*gone, *self.levels]
        # A hold there that has got no answer may be what came to be reserved elsewhere; so may what could not be let go for it.
        held_in_flight = any(
            self._in_flight(place)[1] or claimed_at(self.tx, self.tenant_id, self.sku, place)[0] for place in left
        )
        offs: dict[str, int] = {}
        unsure = False
        standing = self._suspicions()
        suspected: list[Provisional] = []
        entries: list[Entry] = []
        for level in self.levels:
            place = level.location_id
            ours = known.setdefault((self.sku, place), Level())
            may_show, moves_in_flight = self._in_flight(place)
            moves_in_flight |= held_in_flight
            restored = adopting.is_first_read(self.tx, self.tenant_id, self.sku, place)
            if not moves_in_flight:
                self._holds_undone(level, by_us=restored)
                claims.ask_again(self.tx, self.tenant_id, [(self.sku, place, level.available)])
            held, _ = claimed_at(self.tx, self.tenant_id, self.sku, place)
            for entry in self._posted_as_read(level, ours, held, moves_in_flight, restored):
                entries.append(entry)
                ours.add(entry)
            value = expected(self.tx, self.tenant_id, self.hub, self.sku, place, ours)
            # What was held or given back since a backup is known from the first read that no call of ours crosses: until then it may be
            # that which differs.
            is_known = not (restored and moves_in_flight)
            verdict = rules.judge(level.available, value, may_show) if is_known else None
            waits = verdict is None or bool(may_show)
            remember(self.tx, self.tenant_id, self.sku, level, value, wanted=waits, known=is_known)
            unsure |= waits
            if verdict is None:
                continue
            offs[place] = verdict.off
            if verdict.off == 0:
                self.told.echoes += 1
                if verdict.settled:
                    # The feed is complete through their reads: no order has used them.
                    suspected += [prov for prov in standing if prov.location_id == place and self._is_due(prov)]
                    self._clear_odd(place)
        several = len(self.levels) > 1
        lies = {one.location_id: one.on_hand - known[(self.sku, one.location_id)].on_hand for one in self.levels}
        differs = [
            level.location_id
            for level in self.levels[len(gone) :]
            if lies[level.location_id] or offs.get(level.location_id)
        ]
        if differs:
            closing.ask_which_are_open(
                self.tx, self.tenant_id, self.hub.account_id, differs, self.now, known_open=False
            )
        apart = None
        if several and len(offs) == len(self.levels) and not unsure:
            apart = _apart(offs, standing, suspected, lies)
        # Of several locations what one has more may be what another misses: it is counted first.
        if apart is None and not (several and (unsure or any(off > 0 for off in offs.values()))):
            entries += self._edits_that_were_reserved(suspected)
        ledger.post(self.tx, self.tenant_id, entries, self.now)
        changed = bool(entries)
        if any(offs.values()):
            self.told.odd += 1
        if apart is not None:
            changed |= self._post_apart(offs, apart, suspected)
        elif (
            gone
            and not any(offs.values())
            and not unsure
            and not standing
            and any(lies.values())
            and not sum(lies.values())
        ):
            # What lay there lies elsewhere now, with what was owed there: K of neither moves.
            stand = self._stand_where_it_lies(lies)
            self._post_moved({place: rules.Apart(pieces, pieces - stand[place]) for place, pieces in lies.items()})
            changed = True
        elif any(offs.values()):
            missing = several and self._is_missing(offs, standing)
            changed |= self._judge_each(offs, unsure=unsure, missing=missing)
        return changed

    def _in_flight(self, location_id: str) -> tuple[list[int], bool]:
        return in_flight(self.tx, self.tenant_id, self.hub, self.sku, location_id, self.read.asked_at)

    def _not_told(self, known: dict[tuple[str, str], Level]) -> list[HubLevel]:
        """Locations of which we know pieces, and that the read does not tell: the hub has none there, or sells from there no more. A location
        that closes goes so, whose pieces then lie at another (ADR 0029). What is held there is held no more; whether it has closed, the hub is
        asked."""
        told = {level.location_id for level in self.levels}
        gone = sorted(
            place for (sku, place), level in known.items() if sku == self.sku and place not in told and level != Level()
        )
        if gone:
            closing.let_holds_go(self.tx, self.tenant_id, gone, self.now, sku=self.sku)
            closing.ask_which_are_open(self.tx, self.tenant_id, self.hub.account_id, gone, self.now, known_open=True)
        item_id, read_at = self.levels[0].item_id, self.levels[0].read_at
        return [HubLevel(item_id, place, 0, 0, 0, 0, 0, 0, read_at) for place in gone]

    def _let_holds_go_that_came_along(self, known: Mapping[tuple[str, str], Level]) -> list[str]:
        """A location that has closed and opened again while nobody listened: nothing lies there, and nothing is reserved; what we held there
        is reserved at another location. One that was emptied by hand has its holds given back there, and none elsewhere. Returns which."""
        if len(self.levels) < 2:
            return []
        held = {
            one.location_id: claimed_at(self.tx, self.tenant_id, self.sku, one.location_id)[0] for one in self.levels
        }
        emptied = [
            one.location_id
            for one in self.levels
            if not (one.on_hand or one.reserved or one.unavailable) and held[one.location_id]
        ]
        if not emptied or not any(
            one.reserved > held[one.location_id] + known.get((self.sku, one.location_id), Level()).foreign_reserved
            for one in self.levels
        ):
            return []
        closing.let_holds_go(self.tx, self.tenant_id, emptied, self.now, sku=self.sku)
        return emptied

    def _stand_where_it_lies(self, lies: Mapping[str, int]) -> Counter[str]:
        """What lay at one location and was owed there lies at another now: its lines stand there too, if that is one. Their own news of it,
        when it comes, then moves nothing. Returns what they brought each location, in pieces."""
        brought = Counter[str]()
        goals = [place for place, pieces in lies.items() if pieces > 0]
        for place, pieces in lies.items():
            if pieces < 0 and len(goals) == 1:
                moved = closing.stand_at(self.tx, self.tenant_id, self.sku, place, goals[0], self.now)
                brought[place] -= moved
                brought[goals[0]] += moved
        return brought

    # --- each location by itself ----------------------------------------------------------------------------------------

    def _judge_each(self, offs: Mapping[str, int], *, unsure: bool, missing: bool) -> bool:
        """The differences, each location's by itself. What is more is not counted yet while a call in flight may hide that pieces were taken
        off, or carried from another location (`unsure`), or while it may be what another location misses (`missing`)."""
        changed = False
        for level in self.levels:
            off = offs.get(level.location_id, 0)
            if off == 0:
                continue
            read_at = to_us(level.read_at)
            if off < 0:
                provisional.hold_unseen_at_hub(
                    self.tx,
                    self.tenant_id,
                    account_id=self.hub.account_id,
                    sku=self.sku,
                    location_id=level.location_id,
                    pieces=-off,
                    read_at=read_at,
                    read_id=self.read.read_id,
                    now=self.now,
                )
                self.told.poll_hub = True
                changed = True
                continue
            if unsure:
                self._odd_since(level.location_id, off, read_at)
                self.told.poll_hub = True
                continue
            off -= self._give_back(level.location_id, off)
            if off == 0:
                changed = True
                continue
            odd_since = self._odd_since(level.location_id, off, read_at)
            if not missing and self.heard_through >= odd_since and read_at > odd_since:
                self._post_edit(level.location_id, off, "counted in Shopify")
                self._clear_odd(level.location_id)
                changed = True
            else:
                self.told.poll_hub = True
        return changed

    def _is_missing(self, offs: Mapping[str, int], standing: Iterable[Provisional]) -> bool:
        """Whether a location shows fewer, or has something reserved on suspicion that it does not show again and that is not judged yet."""
        all_of_it, young = Counter[str](), Counter[str]()
        for prov in standing:
            all_of_it[prov.location_id] += prov.pieces
            young[prov.location_id] += 0 if self._is_due(prov) else prov.pieces
        # What it shows again is given back from the oldest on: what is left is the youngest.
        return any(off < 0 for off in offs.values()) or any(
            young[place] > 0 and n > max(0, offs.get(place, 0)) for place, n in all_of_it.items()
        )

    # --- all of them together -------------------------------------------------------------------------------------------

    def _post_apart(
        self, offs: Mapping[str, int], apart: Mapping[str, rules.Apart], suspected: Sequence[Provisional]
    ) -> bool:
        """Differences that fit together are posted when the feed has nothing more to say, all locations at once."""
        read_at = max(to_us(level.read_at) for level in self.levels)
        since = max(
            (self._odd_since(place, off, read_at) for place, off in offs.items() if off),
            default=max((prov.read_at for prov in suspected), default=read_at),
        )
        if self.heard_through < since or read_at <= since:
            self.told.poll_hub = True
            return False
        for prov in suspected:
            provisional.release(self.tx, self.tenant_id, prov, prov.pieces, "no order came", self.now)
        self._post_moved(apart)
        return True

    def _post_moved(self, apart: Mapping[str, rules.Apart]) -> None:
        counted = sum(one.on_hand for one in apart.values())
        entries = []
        for place, one in apart.items():
            if one.on_hand:
                self._post_edit(place, one.on_hand, "counted in Shopify" if counted else "moved in Shopify")
            if one.committed:
                entries.append(
                    Entry(
                        key=f"edit:{self.sku}:{place}:{self.read.read_id}:committed",
                        sku=self.sku,
                        location_id=place,
                        reason="served from another location, by Shopify's levels",
                        committed=one.committed,
                        source="Shopify",
                    )
                )
            self._clear_odd(place)
        ledger.post(self.tx, self.tenant_id, entries, self.now)

    # --- what the merchant did ------------------------------------------------------------------------------------------

    def _post_edit(self, location_id: str, pieces: int, reason: str) -> None:
        entry = Entry(
            key=f"edit:{self.sku}:{location_id}:{self.read.read_id}",
            sku=self.sku,
            location_id=location_id,
            reason=reason,
            on_hand=pieces,
            source="Shopify",
        )
        ledger.post(self.tx, self.tenant_id, [entry], self.now)
        self._note_edit(pieces=pieces, location=location_id)
        self.told.edits += 1

    def _note_edit(self, **details: object) -> None:
        what = "Stock was edited in Shopify"
        note(self.tx, self.tenant_id, self.now, "merchant", what, f"sku:{self.sku}", **details)

    def _edits_that_were_reserved(self, suspected: Sequence[Provisional]) -> list[Entry]:
        """S9.2 at the hub: no order used these reservations: the merchant took the pieces away."""
        entries: list[Entry] = []
        for prov in suspected:
            pieces = prov.pieces
            reason = "no order came: edited in Shopify"
            provisional.release(self.tx, self.tenant_id, prov, pieces, reason, self.now)
            entries.append(
                Entry(
                    key=f"edit:{prov.prov_id}",
                    sku=self.sku,
                    location_id=prov.location_id,
                    reason="taken off in Shopify",
                    on_hand=-pieces,
                    source="Shopify",
                )
            )
            self._note_edit(pieces=-pieces)
            self.told.edits += 1
        return entries

    def _posted_as_read(
        self, level: HubLevel, ours: Level, held: int, moves_in_flight: bool, restored: bool
    ) -> list[Entry]:
        """S0.3: unavailable, incoming and what the hub reserves for itself are never sales; they post as read."""
        entries = []
        key = f"edit:{self.sku}:{level.location_id}:{self.read.read_id}"
        where: dict[str, Any] = {"sku": self.sku, "location_id": level.location_id, "source": "Shopify"}
        if level.unavailable != ours.unavailable:
            change = level.unavailable - ours.unavailable
            entries.append(Entry(key=f"{key}:unavailable", reason="set apart in Shopify", unavailable=change, **where))
        if level.incoming != ours.incoming:
            change = level.incoming - ours.incoming
            entries.append(Entry(key=f"{key}:incoming", reason="on its way, by Shopify", incoming=change, **where))
        change = level.reserved - held - ours.foreign_reserved
        if not moves_in_flight and change > 0:
            change -= closing.came_along(self.tx, self.tenant_id, self.sku, level.location_id, change, self.now)
        if not moves_in_flight and change:
            reason = adopting.SINCE_BACKUP if restored else "reserved in Shopify"
            entries.append(
                Entry(key=f"{key}:reserved", reason=reason, reserved=change, foreign_reserved=change, **where)
            )
        return entries

    def _holds_undone(self, level: HubLevel, *, by_us: bool) -> None:
        """The hub has fewer pieces reserved than we hold there: somebody gave holds back by hand. They are no claim any more.

        They are not held again against him; the newest go first. `by_us`: it was we, before a backup was put back: what is still owed a hold
        is held.
        """
        held, _ = claimed_at(self.tx, self.tenant_id, self.sku, level.location_id)
        undone = held - level.reserved
        if undone <= 0:
            return
        rows = self.tx.all(
            "SELECT claim_key FROM claim WHERE tenant_id = :t AND sku = :s AND location_id = :l AND open = 1 AND held > 0 "
            "ORDER BY since_at DESC, claim_key DESC",
            t=self.tenant_id,
            s=self.sku,
            l=level.location_id,
        )
        found = claims.load(self.tx, self.tenant_id, [key for (key,) in rows])
        for (key,) in rows:
            part = min(undone, found[key].held)
            found[key].held -= part
            found[key].refused = claims.GIVEN_BACK if part and not by_us else found[key].refused
            undone -= part
        if by_us:
            claims.plan(self.tx, self.tenant_id, found.values(), self.now, at_once=True)
        claims.save(self.tx, self.tenant_id, found.values())
        if by_us:
            return
        what = "Held pieces were given back in Shopify"
        pieces = held - level.reserved
        note(self.tx, self.tenant_id, self.now, "merchant", what, f"sku:{self.sku}", pieces=pieces)

    # --- what stands on suspicion, and what is odd ----------------------------------------------------------------------

    def _suspicions(self) -> list[Provisional]:
        """What is reserved on suspicion at the hub."""
        return provisional.open_for(self.tx, self.tenant_id, [HUB_OUTLET], [self.sku])

    def _is_due(self, prov: Provisional) -> bool:
        """Whether the feed has told all that was bought until its read."""
        return prov.read_at <= self.heard_through

    def _give_back(self, location_id: str, pieces: int) -> int:
        """The hub shows more than explained: first what we had reserved there on suspicion is given back."""
        given = 0
        for prov in (one for one in self._suspicions() if one.location_id == location_id):
            part = min(pieces - given, prov.pieces)
            if part > 0:
                provisional.release(self.tx, self.tenant_id, prov, part, "the shop shows it again", self.now)
                given += part
        return given

    def _odd_since(self, location_id: str, off: int, read_at: int) -> int:
        """Return since when this very difference is seen; another difference begins anew."""
        row = self.tx.one(
            "UPDATE hub_level SET odd_since = CASE WHEN odd = :off AND odd_since IS NOT NULL THEN odd_since ELSE :at END, odd = :off "
            "WHERE tenant_id = :t AND sku = :s AND location_id = :l RETURNING odd_since",
            off=off,
            at=read_at,
            t=self.tenant_id,
            s=self.sku,
            l=location_id,
        )
        return read_at if row is None else int(row[0])

    def _clear_odd(self, location_id: str) -> None:
        self.tx.run(
            "UPDATE hub_level SET odd = 0, odd_since = NULL WHERE tenant_id = :t AND sku = :s AND location_id = :l AND odd_since IS NOT NULL",
            t=self.tenant_id,
            s=self.sku,
            l=location_id,
        )


def _apart(
    offs: Mapping[str, int],
    standing: Iterable[Provisional],
    suspected: Iterable[Provisional],
    lies: Mapping[str, int],
) -> dict[str, rules.Apart] | None:
    """Whether the differences of a SKU go together (ADR 0026). `standing`: all that is reserved on suspicion; `suspected`: those of it that no
    order has used."""
    # One that gives back what was reserved on suspicion: the sale that we suspect stands elsewhere now, and stays reserved there.
    if any(offs.get(prov.location_id, 0) > 0 for prov in standing):
        return None
    held = Counter[str]()
    for prov in suspected:
        held[prov.location_id] += prov.pieces
    return rules.apart(offs, held, lies)
