"""Decides what each outlet is told, with the product's own functions: offers, reserves, priorities, states, what a read means, exposure.

In: sales as they are heard, polls, time. Out: reads, writes, moves in the shop. What the product keeps in tables stands here in lists; the
order of its steps (wake, look, plan, settle) is kept. Clocks are exact here and calls do not fail: skew and its second looks are left out.
Never: sees what a channel shows but by a read; decides by arithmetic of its own where the product has a function for it.
"""

from __future__ import annotations

from oneshelf.core import pace
from oneshelf.core.drift import Sales, Verdict, judge, judge_write
from oneshelf.core.instants import SECOND
from oneshelf.core.offer import NO_CAP, NO_OTHERS, OfferPolicy, offer_quantity
from oneshelf.core.reserve import NO_WORD, Seller, plan, plan_strict
from oneshelf.core.slot import (
    AGED_S,
    BASE_FRESH_S,
    IN_FLIGHT,
    LOWER_UNSAFE,
    PUBLISH_WINDOW_S,
    REOPEN,
    REPAIR,
    URGENT_MAX,
    SlotEvent,
    SlotState,
    next_look_s,
    urgency,
)
from oneshelf.publish.exposure import Exposure, of_slot
from oneshelf.publish.numbers import Number
from oneshelf.publish.resting import left_alone, shown_range, weigh
from oneshelf.publish.slots import LOOK_AGAIN, AccountRow, Mark, Slot
from oneshelf.publish.strict import close_or_wait

from .budgets import Purse
from .day import Day
from .market import Sale
from .rules import Item, Policy
from .scenarios import CALL_S, HUB, NAMES
from .windows import Windows

_CALL = round(CALL_S * SECOND)
_FRESH = round(BASE_FRESH_S * SECOND)
_AGED = AGED_S * SECOND
#: A read shows the listing as it was this long before its answer.
_ANSWER = round(0.1 * SECOND)
#: S6.2, as the product ranks them: what a cancellation costs the seller.
RANK = {"amazon": 0, "ebay": 1, "etsy": 2, "shopify": 3}
_BUSY = (SlotState.WAITING, SlotState.APPLYING, SlotState.UNKNOWN)


class Keeper(Windows):
    """The shop's count, and who is told what."""

    def __init__(self, day: Day, policy: Policy) -> None:
        super().__init__(day.world)
        self.day, self.market, self.policy = day, day.market, policy
        self.rule = OfferPolicy(safety_stock=policy.buffer, cap=NO_CAP)
        self.markets = range(1, len(self.world.channels))
        self.items = [Item(stock) for stock in self.world.stock]
        self.slots = [
            [Slot(sku * 4 + c, c, str(sku)) for sku in self.world.skus] for c in range(len(self.world.channels))
        ]
        self.own: dict[int, list[int]] = {}  # outlet: own sales that were heard, by time of purchase
        self.dirty: dict[int, Mark] = {}
        self.busy: list[dict[int, None]] = [{} for _ in self.world.channels]
        self.late: dict[int, list[tuple[int, int, int]]] = {}  # outlet: (number, sent at, may land until)
        self.told_dirty_at: dict[int, int | None] = {}  # None: no sample
        self.accounts = [AccountRow(c, one.name, "LIVE", 0, -1) for c, one in enumerate(self.world.channels)]
        self.complete = [0] * len(self.world.channels)
        self.purses = [Purse(one) for one in self.world.channels]
        self.looks_at = [0] * len(self.world.channels)
        self.version = 0
        self.bursting: set[int] = set()
        #: Pieces moved in the shop, and those on their way there, by SKU: for sales elsewhere, and held back (strict).
        self.moved = [0] * len(self.world.stock)
        self.moving: list[list[int]] = [[] for _ in self.world.stock]
        self.held_back = [0] * len(self.world.stock)
        self.hub_due: dict[int, None] = {}
        self.hub_waits = False

    # --- news ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Everything shows its offer, and was read."""
        for sku in self.world.skus:
            item = self.items[sku]
            for c in self.markets:
                slot = self.slots[c][sku]
                shown = self.number(c, sku).offer
                self.market.shown[c][sku] = shown
                slot.believed, slot.believed_at, slot.verified, slot.offer, slot.exposure = shown, 0, 1, shown, shown
            self.market.shown[HUB][sku] = item.k
            if self.policy.strict:
                self.held_back[sku] = self.moved[sku] = item.k - item.share
                self.market.move(sku, -self.moved[sku])

    def heard(self, sale: Sale, now: int) -> None:
        """Book it: a provisional that its piece was taken by, the count, the pace; everybody's number may be another now."""
        item, c = self.items[sale.sku], sale.channel
        item.heard.append(sale)
        self.lateness[c].append(now - sale.at)
        hour, added = pace.hour_of(sale.at), pace.burst_weight(sale.at)
        if hour > item.burst_hour:
            item.burst, item.burst_hour = item.burst * pace.BURST_FADE ** (hour - item.burst_hour), hour
        item.burst += added * pace.BURST_FADE ** (item.burst_hour - hour)
        if c == HUB:
            item.hub_heard += 1
            item.k -= 1
        else:
            self.own.setdefault(sale.sku * 4 + c, []).append(sale.at)
            prov = next((p for p in item.provs if p[0] == c and sale.at <= p[1]), None)
            if prov is None:
                item.k -= 1
                item.market += 1
            else:
                self._shrink(item, prov, 1)
        self._changed(sale.sku, now)

    @staticmethod
    def _shrink(item: Item, prov: list[int], pieces: int) -> None:
        prov[2] -= pieces
        if prov[2] <= 0:
            item.provs.remove(prov)

    def _changed(self, sku: int, now: int) -> None:
        for c in self.markets:
            self._mark(c, sku, now)
        self._hub(sku)
        for c in self.markets:
            self.pump(c)

    def polled(self, channel: int, complete: int, now: int) -> None:
        """The feed is complete through an instant: what was suspected before it and not told is given back (S9.2)."""
        self.complete[channel] = complete
        if channel == HUB:
            return
        for sku, item in enumerate(self.items):
            for prov in [p for p in item.provs if p[0] == channel and p[1] <= complete]:
                item.k += prov[2]
                item.market -= prov[2]
                item.provs.remove(prov)
                self._changed(sku, now)
        if self.policy.strict:
            for sku in list(self.hub_due):
                self._hub(sku)
        self.pump(channel)

    def resend(self, now: int) -> None:
        """Somebody marks everything dirty."""
        for c in self.markets:
            for sku in self.world.skus:
                self._mark(c, sku, now)
            self.pump(c)

    # --- time ---------------------------------------------------------------------------------------------------------

    def tick(self, now: int) -> None:
        """Measure the windows; plan again what time may have moved (S3.8)."""
        moved = False
        for c in range(len(self.world.channels)):
            moved |= self._measure(c)
        self.version += moved
        live = {s for s, item in enumerate(self.items) if self._counter(item, now) >= pace.BURST_MIN}
        again = self.world.skus if moved else sorted(live | self.bursting)
        self.bursting = live
        for sku in again:
            for c in self.markets:
                if self.number(c, sku).offer != self.slots[c][sku].offer:
                    self._mark(c, sku, now)
            if self.policy.strict:
                self._hub(sku)
        for c in self.markets:
            self.pump(c)

    @staticmethod
    def _counter(item: Item, now: int) -> float:
        return pace.burst_at(item.burst, item.burst_hour, pace.step_of(now)) if item.burst else 0.0

    # --- numbers ------------------------------------------------------------------------------------------------------

    def _plan(self, sku: int) -> Item:
        """What everybody must leave to the others, of this moment's K and paces."""
        item, now = self.items[sku], self.day.now
        counter = self._counter(item, now)
        v = self.world.pace[sku]
        item.factor = pace.burst_factor(counter, sum(v)) if counter >= pace.BURST_MIN else 1.0
        key = (item.k, item.factor, self.version)
        if key == item.key:
            return item
        item.key = key
        hub, *others = (
            Seller(
                (RANK[NAMES[c]], c),
                v[c] * item.factor,
                self.notice[c] / SECOND,
                self.publish[c] / SECOND,
                absolute=c != HUB,
            )
            for c in range(len(v))
        )
        outlets = dict(zip(self.markets, others, strict=True))
        if self.policy.strict:
            item.share, item.others = plan_strict(item.k, hub, outlets)
        else:
            item.others = plan(item.k, hub, outlets, NO_WORD)
        return item

    def number(self, c: int, sku: int) -> Number:
        item = self._plan(sku)
        planned = item.others[c]
        ruled = planned if self.policy.adaptive and self.policy.planted != "no_reserve" else NO_OTHERS
        exposed = 0
        if any(one.reserve for one in item.others.values()):
            exposed = sum(self.slots[d][sku].exposure for d in self.markets)
        v = self.world.pace[sku][c] * item.factor
        rush = v * (self.notice[c] + self.publish[c]) / SECOND
        offer = offer_quantity(item.k, self.rule, ruled)
        return Number(
            sku * 4 + c,
            offer,
            item.k,
            1,
            ruled.reserve,
            {},
            v=v,
            rush=rush,
            exposed=exposed,
            strict=planned.strict,
        )

    def sales(self, slot: Slot) -> Sales:
        return Sales(tuple((at, 1) for at in self.own.get(slot.outlet_id, ())))

    def shown(self, slot: Slot) -> int:
        return shown_range(slot, self.sales(slot), 0)[1]

    # --- wake ---------------------------------------------------------------------------------------------------------

    def _mark(self, c: int, sku: int, now: int) -> None:
        """An outlet hears that its number may be another (publish/waking)."""
        slot = self.slots[c][sku]
        mark = self.dirty.get(slot.outlet_id)
        if mark is None:
            mark = self.dirty[slot.outlet_id] = Mark(1, now, False, "")
        number, account = self.number(c, sku), self.accounts[c]
        if slot.state in IN_FLIGHT or slot.state is SlotState.APPLYING:
            slot.go(SlotEvent.DIRTY)
            under_way = slot.believed if slot.sent is None else max(slot.sent, slot.base or 0)
            weigh(slot, number, under_way, account, mark, now)
            if slot.sent is not None and slot.offer == slot.sent:
                slot.priority = REPAIR
            elif slot.state is SlotState.APPLYING and slot.priority <= URGENT_MAX:
                slot.wait_until = None
            return
        high = self.shown(slot)
        weigh(slot, number, high, account, mark, now)
        if slot.verified and high == slot.offer:
            self._rest_or_look_again(slot, mark, now)
            return
        slot.verified = min(slot.verified, 1)
        slot.wait_until = None
        if slot.odd_since is not None and slot.offer != max(0, high - slot.odd):
            slot.odd_since, slot.odd = None, 0
        slot.since_at = slot.since_at or mark.since_at
        slot.go(SlotEvent.DIRTY)
        self.busy[c][sku] = None
        left_alone(slot, number, high, True, now)

    def _rest_or_look_again(self, slot: Slot, mark: Mark | None, now: int) -> None:
        late = max((until for _, _, until in self.late.get(slot.outlet_id, ())), default=0)
        c, sku = slot.account_id, slot.outlet_id // 4
        if late > (slot.believed_at or 0):
            slot.go(SlotEvent.READ_DIFFERS if slot.state is SlotState.READING else SlotEvent.DIRTY)
            slot.verified, slot.priority, slot.wait_until = LOOK_AGAIN, REPAIR, max(late, now)
            slot.since_at = slot.since_at or (mark.since_at if mark else now)
            self.busy[c][sku] = None
            return
        slot.go(SlotEvent.EQUAL)
        self.dirty.pop(slot.outlet_id, None)
        self.busy[c].pop(sku, None)
        slot.since_at = slot.wait_until = slot.odd_since = None
        slot.odd = slot.attempts = slot.unseen = 0
        slot.exposure = slot.believed or 0
        slot.priority = REPAIR
        slot.verified = min(slot.verified, 1)

    # --- look, plan ---------------------------------------------------------------------------------------------------

    def pump(self, c: int) -> None:
        """Make every call at this channel that is due and may be paid; come again when the next one is."""
        now, purse = self.day.now, self.purses[c]
        while True:
            read, write, later = self._due(c, now)
            kinds = [
                (found[0][0], place, kind) for place, kind, found in ((0, "write", write), (1, "read", read)) if found
            ]
            made = False
            for priority, _, kind in sorted(kinds):
                wait = purse.wait(kind, priority, now)
                if wait:
                    later = min(later or now + wait, now + wait)
                    continue
                purse.take(kind, now)
                due = [s for _, _, _, s in (write if kind == "write" else read)]
                made = self._write(c, due) if kind == "write" else self._read(c, due)
                self.market.calls += made
                if not made:
                    purse.give_back(kind, now)
                break
            else:
                self._come_again(c, later)
                return
            if not made:
                continue  # planning found that it is at rest, or needs another look: the slots say so now

    def _come_again(self, c: int, at: int | None) -> None:
        if at is None or (self.looks_at[c] > self.day.now and self.looks_at[c] <= at):
            return
        self.looks_at[c] = at
        self.day.at(at, self._look, c, at)

    def _look(self, c: int, at: int) -> None:
        if self.looks_at[c] == at:
            self.looks_at[c] = 0
            self.pump(c)

    def _due(
        self, c: int, now: int
    ) -> tuple[list[tuple[int, float, int, int]], list[tuple[int, float, int, int]], int | None]:
        """Return the reads and the writes that are due, most urgent first, and when the next will be."""
        reads, writes, later = [], [], None
        first = self.world.channels[c].reads_first
        for sku in self.busy[c]:
            slot = self.slots[c][sku]
            if slot.state not in _BUSY:
                continue
            if slot.wait_until is not None and slot.wait_until > now:
                later = min(later or slot.wait_until, slot.wait_until)
                continue
            fresh = (slot.believed_at or 0) >= now - _FRESH
            priority = slot.priority
            if priority > LOWER_UNSAFE and slot.since_at is not None and slot.since_at <= now - _AGED:
                priority -= 1
            row = (priority, -urgency(slot.priority, slot.believed, slot.offer, slot.v), slot.since_at or 0, sku)
            if slot.state is not SlotState.WAITING or slot.verified == LOOK_AGAIN:
                reads.append(row)
            elif slot.verified == 0:
                if slot.odd_since is None or slot.odd_since <= self.complete[c]:
                    reads.append(row)
            elif (slot.offer > 0 or first) and not fresh:
                reads.append(row)
            else:
                writes.append(row)
        return sorted(reads), sorted(writes), later

    def _read(self, c: int, skus: list[int]) -> bool:
        chosen = skus[: self.world.channels[c].read_batch]
        for sku in chosen:
            slot = self.slots[c][sku]
            slot.go(SlotEvent.READ)
            slot.wait_until = None
        now = self.day.now
        self.day.at(now + _CALL - _ANSWER, self._look_at, c, chosen, self.purses[c].is_spread(now))
        return True

    def _look_at(self, c: int, skus: list[int], spread: bool) -> None:
        seen = [self.market.shown[c][sku] for sku in skus]
        self.day.at(self.day.now + _ANSWER, self._settle_read, c, skus, seen, self.day.now, spread)

    def _write(self, c: int, skus: list[int]) -> bool:
        """The numbers of this moment; who is right already rests (publish/planning)."""
        now, account, told = self.day.now, self.accounts[c], []
        first = self.world.channels[c].reads_first
        for sku in skus[: self.world.channels[c].write_batch]:
            slot, number, mark = self.slots[c][sku], self.number(c, sku), self.dirty.get(sku * 4 + c)
            high = self.shown(slot)
            weigh(slot, number, high, account, mark, now)
            quantity = slot.offer
            if high == quantity:
                self._rest_or_look_again(slot, mark, now)
                continue
            if left_alone(slot, number, high, True, now):
                continue
            if (quantity > 0 or first) and (slot.believed_at or 0) < now - _FRESH:
                continue  # it is another number than the one that was to go, and needs a read
            if number.strict and quantity and quantity > self._room(sku):
                if slot.outlet_id not in close_or_wait([slot], now):
                    continue
                quantity = 0
                if high == 0:
                    slot.wait_until = now + 3 * SECOND
                    continue
            told.append((sku, slot, quantity, mark))
        for sku, slot, quantity, mark in told:
            self._tell(c, sku, slot, quantity, mark, now)
        if told:
            self.market.writes += len(told)
            skus = [sku for sku, *_ in told]
            self.day.at(now + _CALL, self._settle_write, c, skus)
        return bool(told)

    def _tell(self, c: int, sku: int, slot: Slot, quantity: int, mark: Mark | None, now: int) -> None:
        if slot.sent is not None:
            self._may_land_late(slot)
        owed = slot.since_at or (mark.since_at if mark else now)
        spread = self.purses[c].is_spread(now)
        self.told_dirty_at[slot.outlet_id] = None if spread else now if slot.priority > REOPEN else owed
        slot.go(SlotEvent.SEND)
        old = of_slot(slot.believed, slot.sent, slot.exposure, slot.unsettled, slot.unsettled_until, self.complete[c])
        slot.exposure = old + quantity
        slot.sent, slot.sent_at, slot.acked_at = quantity, now, None
        slot.base, slot.base_at = slot.believed, slot.believed_at
        slot.wait_until = slot.odd_since = None
        slot.odd = 0
        lands = self.market.land_at(c, sku, now + _CALL)
        self.day.at(lands, self._land, c, sku, quantity, now, slot.base_at or 0)

    def _land(self, c: int, sku: int, quantity: int, sent: int, base_at: int) -> None:
        self.market.land(c, sku, quantity, sent, base_at, self.day.now)

    # --- settle -------------------------------------------------------------------------------------------------------

    def _settle_write(self, c: int, skus: list[int]) -> None:
        now = self.day.now
        for sku in skus:
            slot = self.slots[c][sku]
            slot.go(SlotEvent.ACCEPTED)
            slot.verified, slot.acked_at, slot.priority = 0, now, REPAIR
            slot.wait_until = now + self._first_look(c)
            mark = self.dirty.get(slot.outlet_id)
            if mark is not None and self.number(c, sku).offer != slot.sent:
                self._mark(c, sku, now)
        self.pump(c)

    def _may_land_late(self, slot: Slot) -> None:
        """A write that nobody waits for any more."""
        start = round(2 * PUBLISH_WINDOW_S[NAMES[slot.account_id]] * SECOND)
        until = (slot.acked_at or slot.sent_at or 0) + start
        self.late.setdefault(slot.outlet_id, []).append((slot.sent or 0, slot.sent_at or 0, until))

    def _settle_read(self, c: int, skus: list[int], seen: list[int], read_at: int, spread: bool) -> None:
        """What a read means (publish/landing, publish/concluding)."""
        suspected = []
        for sku, shown in zip(skus, seen, strict=True):
            slot = self.slots[c][sku]
            if self._judge(slot, sku, shown, read_at, spread):
                suspected.append(sku)
        for sku in suspected:
            self._changed(sku, self.day.now)
        self.pump(c)

    def _judge(self, slot: Slot, sku: int, shown: int, read_at: int, spread: bool) -> bool:
        """Judge one read; return whether it showed a sale unheard."""
        now, c = self.day.now, slot.account_id
        sales, wrote = self.sales(slot), slot.sent is not None
        if slot.sent is None:
            verdict = self._plain(slot, slot.believed, slot.believed_at, shown, read_at, sales)
        else:
            ambiguous = sales.between(slot.base_at or 0, read_at)
            verdict = judge_write(shown, sent=slot.sent, base=slot.base, ambiguous=ambiguous)
            if verdict.kind == "doubtful":
                self._may_land_late(slot)
                slot.unseen, slot.sent, slot.acked_at = 0, None, None
            elif verdict.kind == "seen":
                acked = slot.acked_at or now
                owed = self.told_dirty_at[slot.outlet_id]
                if owed is not None and not spread:
                    self.took[c].append((read_at - owed, max(0, read_at - acked)))
                slot.unseen, slot.since_at, slot.sent, slot.acked_at = 0, slot.sent_at, None, None
            elif self._wait_for_it(slot, now):
                return False
            else:
                verdict = self._plain(slot, slot.base, slot.base_at, shown, read_at, sales)
        if verdict.kind in ("missing", "excess"):
            for quantity, sent_at, _ in self.late.get(slot.outlet_id, ()):
                if quantity - sales.between(sent_at, read_at) <= shown <= quantity:
                    verdict = Verdict("echo")
                    break
        self.late[slot.outlet_id] = [one for one in self.late.get(slot.outlet_id, ()) if one[2] > read_at]
        held = verdict.units if verdict.kind in ("missing", "seen") else 0
        if held:
            item = self.items[sku]
            item.provs.append([c, read_at, held])
            item.k -= held
            item.market += held
        waited = slot.odd_since
        slot.believed, slot.believed_at, slot.verified = shown, read_at, 1
        if wrote:
            slot.unsettled, slot.unsettled_until = slot.exposure, read_at
        slot.exposure, slot.odd_since, slot.odd = shown, None, 0
        kept = [at for at in self.own.get(slot.outlet_id, ()) if at > read_at]
        self.own[slot.outlet_id] = kept
        self._next(slot, sku, verdict, waited, now)
        return bool(held)

    @staticmethod
    def _plain(
        slot: Slot, believed: int | None, believed_at: int | None, shown: int, read_at: int, sales: Sales
    ) -> Verdict:
        certain = sales.between(believed_at or 0, read_at)
        return judge(shown, max(0, (believed or 0) - slot.odd), certain=certain, possible=certain)

    def _wait_for_it(self, slot: Slot, now: int) -> bool:
        urgent = slot.priority <= URGENT_MAX and slot.offer != slot.sent
        deadline = 2 * self.publish[slot.account_id]
        if slot.acked_at is not None and not urgent and now < slot.acked_at + deadline:
            first = self._first_look(slot.account_id)
            look_s = next_look_s((now - slot.acked_at) / SECOND, first / SECOND, deadline / SECOND)
            slot.go(SlotEvent.NOT_YET)
            slot.wait_until = max(now + SECOND // 2, slot.acked_at + round(look_s * SECOND))
            return True
        self._may_land_late(slot)
        slot.sent = slot.acked_at = None
        return False

    def _next(self, slot: Slot, sku: int, verdict: Verdict, waited: int | None, now: int) -> None:
        c, mark = slot.account_id, self.dirty.get(slot.outlet_id)
        number, high = self.number(c, sku), self.shown(slot)
        weigh(slot, number, high, self.accounts[c], mark, now)
        if slot.offer == high:
            self._rest_or_look_again(slot, mark, now)
            return
        slot.go(SlotEvent.READ_DIFFERS)
        slot.since_at = slot.since_at or (mark.since_at if mark else now)
        slot.wait_until = None
        self.busy[c][sku] = None
        if verdict.kind == "excess":
            if slot.offer == slot.believed - verdict.units and (waited is None or waited > self.complete[c]):  # type: ignore[operator]
                slot.odd, slot.odd_since, slot.verified = verdict.units, waited or slot.believed_at, 0
            return
        left_alone(slot, number, high, True, now)

    # --- strict, and the shop ----------------------------------------------------------------------------------------

    def _room(self, sku: int) -> int:
        """Pieces that may yet be shown somewhere (S8.7)."""
        outlets = {}
        for c in self.markets:
            slot = self.slots[c][sku]
            certain = max(0, (slot.believed or 0) - self.sales(slot).between(slot.believed_at or 0))
            late = sum(number for number, _, until in self.late.get(slot.outlet_id, ()) if until > self.day.now)
            promised = of_slot(
                certain, slot.sent, slot.exposure, slot.unsettled, slot.unsettled_until, self.complete[c]
            )
            outlets[c] = max(promised, (slot.believed or 0) + late if late else 0)
        item = self.items[sku]
        returned = self.moved[sku] + sum(one for one in self.moving[sku] if one < 0)
        returned = min(returned, item.market + self.held_back[sku])  # also what is not called for yet
        hub = max(0, self.world.stock[sku] - item.hub_heard - returned)
        return Exposure(item.k, hub, outlets, dict.fromkeys(outlets, 1)).room()

    def _hub(self, sku: int) -> None:
        """What the shop must not show: sold or suspected elsewhere, and, strict, everybody else's shares (publish/strict, S9.5)."""
        item = self.items[sku]
        if self.policy.strict:
            self._plan(sku)
            want = max(0, item.k) - min(max(0, item.k), item.share)
            if want < self.held_back[sku]:
                back = min(self.held_back[sku] - want, max(0, self._room(sku)))
                want = self.held_back[sku] - back
                self.hub_due[sku] = None  # what could not be given back yet is looked at again
            self.held_back[sku] = want
        if item.market + self.held_back[sku] != self.moved[sku] + sum(self.moving[sku]):
            self.hub_due[sku] = None
        if self.hub_due and not self.hub_waits:
            self._call_hub()

    def _call_hub(self) -> None:
        """One call moves pieces of up to a batch of SKUs, those of which nothing is left first."""
        c, now = self.world.channels[HUB], self.day.now
        order = sorted(self.hub_due, key=lambda sku: (self.items[sku].k > 0, sku))[: c.write_batch]
        moves = []
        for sku in order:
            del self.hub_due[sku]
            pieces = self.items[sku].market + self.held_back[sku] - self.moved[sku] - sum(self.moving[sku])
            if pieces:
                self.moving[sku].append(pieces)
                moves.append((sku, pieces))
        self.hub_waits = True
        self.day.at(now + round(c.interval_s * SECOND), self._hub_again)
        if moves:
            self.market.writes += len(moves)
            self.market.calls += 1
            lands = self.market.land_at(HUB, moves[0][0], now + _CALL)
            self.day.at(lands, self._moved, moves)

    def _hub_again(self) -> None:
        self.hub_waits = False
        if self.hub_due:
            self._call_hub()

    def _moved(self, moves: list[tuple[int, int]]) -> None:
        for sku, pieces in moves:
            self.moving[sku].remove(pieces)
            self.moved[sku] += pieces
            self.market.move(sku, -pieces)
        if self.policy.strict:
            for sku, _ in moves:
                self._changed(sku, self.day.now)
