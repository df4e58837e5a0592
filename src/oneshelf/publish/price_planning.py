"""Steps that decide which price call leaves: wake (marks → price slots), look (what is due), plan (one call).

In: marks, hub prices, price slots. Out: calls, written down before they are made. Tables it owns: price_slot, price_attempt.
Never: calls anybody; writes for an account that is not LIVE or not switched on; joins a call to a write unit that has one without answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import msgspec

from oneshelf.channels.abilities import PriceAbility, PriceSeen
from oneshelf.channels.contract import Capabilities, Outlet
from oneshelf.core.facts import Money
from oneshelf.core.instants import SECOND, to_us
from oneshelf.core.money import in_words
from oneshelf.core.price import PRICE_CALL, PRICE_CHANGED, PRICE_REPAIR, NoPrice, Priced
from oneshelf.core.slot import BASE_FRESH_S, SlotEvent, SlotState
from oneshelf.db.journal import open_task
from oneshelf.db.tx import Tx, next_values
from oneshelf.pricing import marks
from oneshelf.pricing.levels import prices_of

from . import carrying
from .planning import Due, WaitUntil, outlets_of
from .price_slots import (
    REFUSED,
    SAID_NO,
    WAITS,
    Following,
    PriceReadCall,
    PriceReadItem,
    PriceSlot,
    PriceWriteCall,
    PriceWriteItem,
    close_account_tasks,
    following,
    load,
    load_units,
    marks_of,
    park,
    park_for_no_price,
    rest,
    save,
)
from .price_waiting import hold_if_far
from .rations import USED_UP_WAIT_S, rations_of
from .resting import RATIONED, subject_of
from .slots import AccountRow, Mark
from .waking import WAKE_MAX

#: How often one plan looks for something to write among slots that turn out to be at rest already.
LOOKS_MAX = 8
_FRESH = round(BASE_FRESH_S * SECOND)
#: Parked for one of these, a price is tried again when it is another one.
_TRIED_WHEN_CHANGED = ("refused", "unseen", "sale", "unreadable", "not_on_sale", WAITS, SAID_NO)


# --- wake -------------------------------------------------------------------------------------------------------------


def wake(tx: Tx, tenant_id: int, account_id: int, now: int) -> int:
    """Look at every price mark set since the last time. Returns how many (at most WAKE_MAX; as many as that: call again).

    1. Marks newer than their slot.  2. Outlets whose price is not ours to tell: their mark goes.  3. Prices of this moment.  4. What is
    right already rests, what has no price is parked in sight.  5. The others wait to be read.
    """
    rows = tx.all(
        """SELECT d.outlet_id, d.generation, d.since_at, d.reread, d.why, o.write_unit, o.fulfilled_by_channel, o.state, a.channel
             FROM price_mark d
             JOIN outlet o ON o.tenant_id = d.tenant_id AND o.outlet_id = d.outlet_id
             JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
            WHERE d.tenant_id = :t AND d.generation > d.taken AND o.account_id = :a LIMIT :n""",
        t=tenant_id,
        a=account_id,
        n=WAKE_MAX,
    )
    if not rows:
        return 0
    ids = [row[0] for row in rows]
    marks.taken(tx, tenant_id, ids)
    whose = following(tx, tenant_id, account_id)
    slots = load(tx, tenant_id, ids)
    asked = prices_of(tx, tenant_id, ids, {o: s.currency for o, s in slots.items()}, whose.policy, now)
    changed = []
    for outlet_id, generation, since_at, reread, why, write_unit, by_channel, listing, channel in rows:
        mark = Mark(generation, since_at, bool(reread), why)
        slot, price = slots.get(outlet_id), asked[outlet_id]
        closed = by_channel or channel == "shopify" or listing in ("ended", "draft", "gone")
        if closed or (isinstance(price, NoPrice) and price.code in ("off", "not_linked")):
            marks.clear(tx, tenant_id, outlet_id, generation)
            if slot is not None and slot.state in (SlotState.QUIET, SlotState.WAITING, SlotState.PARKED):
                if isinstance(price, NoPrice) and not closed:
                    park_for_no_price(tx, tenant_id, slot, price, None, whose.account, now)
                else:
                    park(tx, tenant_id, slot, SlotEvent.CLOSED, "ended", f"not ours to price: {listing}", None)
                changed.append(slot)
            continue
        slot = slot or PriceSlot(outlet_id, account_id, write_unit)
        slot.write_unit, slot.generation = write_unit, generation
        _hear(tx, tenant_id, slot, mark, price, whose, now)
        changed.append(slot)
    save(tx, tenant_id, changed)
    close_account_tasks(tx, tenant_id, account_id, now)
    return len(rows)


def _hear(
    tx: Tx, tenant_id: int, slot: PriceSlot, mark: Mark, price: Priced | NoPrice, whose: Following, now: int
) -> None:
    """One price slot hears of its mark."""
    before = slot.offer
    if slot.state.value in ("READING", "SENDING", "APPLYING", "UNKNOWN"):
        slot.go(SlotEvent.DIRTY)  # decided again when the answer is there
        return
    if isinstance(price, NoPrice) and not (mark.reread and price.code == "currency"):
        park_for_no_price(tx, tenant_id, slot, price, mark, whose.account, now)
        return
    # In another currency when it was last read: asked to look again, a read says whether it still is.
    slot.offer = price.price.minor if isinstance(price, Priced) else None
    if slot.state is SlotState.PARKED:
        again = mark.reread or slot.parked.startswith("no_price") or slot.parked in ("closed", "ended")
        again = again and slot.parked != SAID_NO  # reading it changes nothing
        again = again or (slot.parked in _TRIED_WHEN_CHANGED and slot.offer != before)
        if not again or slot.parked == "fought":
            slot.go(SlotEvent.DIRTY)
            marks.clear(tx, tenant_id, slot.outlet_id, mark.generation)
            return
        slot.go(SlotEvent.RETRIED)
        slot.verified = slot.unseen = slot.attempts = 0
        slot.parked = slot.reason = ""
        slot.wait_until = None
    if mark.reread:
        slot.verified = 0
    if isinstance(price, Priced) and slot.verified == 1 and slot.believed == slot.offer:
        rest(tx, tenant_id, slot, price, mark, now)
        return
    slot.priority = PRICE_CHANGED if before is not None and before != slot.offer else PRICE_REPAIR
    slot.since_at = slot.since_at or mark.since_at
    if slot.attempts == 0:
        slot.wait_until = None
    slot.verified = min(slot.verified, 1)
    slot.go(SlotEvent.DIRTY)


# --- look -------------------------------------------------------------------------------------------------------------

_FREE = """(s.wait_until IS NULL OR s.wait_until <= :now)
           AND s.write_unit NOT IN (SELECT f.write_unit FROM price_slot f WHERE f.tenant_id = :t AND f.account_id = :a
                                      AND f.state IN ('READING', 'SENDING'))"""

_READ_DUE = f"""{_FREE} AND (s.state IN ('APPLYING', 'UNKNOWN')
    OR (:writes = 1 AND s.state = 'WAITING' AND (s.verified <> 1 OR s.believed_at < :fresh)))"""

#: The last condition: a price that carries the numbers of its listing waits until nothing about them is open (Etsy).
_WRITE_DUE = f"""{_FREE} AND :writes = 1 AND s.state = 'WAITING' AND s.verified = 1 AND s.believed_at >= :fresh
    AND (:carries = 0 OR NOT EXISTS (SELECT 1 FROM slot q WHERE q.tenant_id = :t AND q.account_id = :a
           AND q.write_unit = s.write_unit AND q.state IN ('READING', 'SENDING', 'APPLYING', 'UNKNOWN')))"""


def _terms(tenant_id: int, whose: Following, ability: PriceAbility, now: int) -> dict[str, int]:
    return {
        "t": tenant_id,
        "a": whose.account.account_id,
        "now": now,
        "fresh": whose.account.there(now) - _FRESH,
        "writes": int(whose.writes),
        "carries": int(ability.carries_quantity),
    }


def look(
    tx: Tx, tenant_id: int, account_id: int, ability: PriceAbility, now: int, account: AccountRow | None = None
) -> Due:
    """Say which price calls may be made now, without planning them. `account`: its row, for who has it already."""
    there = tx.one(
        "SELECT 1 FROM price_slot WHERE tenant_id = :t AND account_id = :a AND state IN ('WAITING', 'APPLYING', 'UNKNOWN') LIMIT 1",
        t=tenant_id,
        a=account_id,
    )
    whose = None if there is None else following(tx, tenant_id, account_id, account)
    if whose is None or not whose.account.reads:
        return Due(None, None, None)
    terms = _terms(tenant_id, whose, ability, now)
    later = tx.one(
        "SELECT MIN(wait_until) FROM price_slot WHERE tenant_id = :t AND account_id = :a "
        "AND (state IN ('APPLYING', 'UNKNOWN') OR (state = 'WAITING' AND :writes = 1)) AND wait_until > :now",
        t=tenant_id,
        a=account_id,
        now=now,
        writes=int(whose.writes),
    )
    read, write = (
        PRICE_CALL if _candidates(tx, condition, terms, 1) else None for condition in (_READ_DUE, _WRITE_DUE)
    )
    return Due(read, write, later[0] if later else None)


def _candidates(tx: Tx, condition: str, terms: dict[str, int], limit: int) -> list[tuple[int, str]]:
    """Return (outlet, write unit) of at most `limit` due price slots: what the shop changed first, then the longest waiting. It does not
    age: a price that waits does not become more urgent than a number."""
    rows = tx.all(
        f"""SELECT s.outlet_id, s.write_unit FROM price_slot s
             WHERE s.tenant_id = :t AND s.account_id = :a AND s.state IN ('WAITING', 'APPLYING', 'UNKNOWN') AND {condition}
             ORDER BY s.priority, s.since_at, s.outlet_id LIMIT :limit""",
        limit=limit,
        **terms,
    )
    return [(row[0], row[1]) for row in rows]


# --- plan -------------------------------------------------------------------------------------------------------------


def plan(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    can: Capabilities,
    ability: PriceAbility,
    now: int,
    *,
    fresh: Mapping[str, PriceSeen],
    kinds: Sequence[str] = ("write", "read"),
) -> PriceReadCall | PriceWriteCall | WaitUntil:
    """Take the next call of these kinds, move its slots, record its attempts. The price is decided here, at this moment.

    `fresh`: the last reads by the outlet's external id: a write takes along what stands beside the price. Returns when to look again
    if nothing is due.
    """
    for kind in kinds:
        call: PriceReadCall | PriceWriteCall | None
        if kind == "read":
            call = _plan_read(tx, tenant_id, account_id, ability, now)
        else:
            call = _plan_write(tx, tenant_id, account_id, can, ability, now, fresh)
        if call is not None:
            return call
    again = look(tx, tenant_id, account_id, ability, now)
    return WaitUntil(now if again.read is not None and "read" not in kinds else again.next_at)


def _plan_read(tx: Tx, tenant_id: int, account_id: int, ability: PriceAbility, now: int) -> PriceReadCall | None:
    """1. The most urgent outlets, whole units, a batch full.  2. Drop the wish to read them: this is it.  3. READING."""
    whose = following(tx, tenant_id, account_id)
    if not whose.account.reads:
        return None
    found = _candidates(tx, _READ_DUE, _terms(tenant_id, whose, ability, now), ability.read_batch)
    of_unit: dict[str, list[PriceSlot]] = {}
    for slot in load_units(tx, tenant_id, account_id, [unit for _, unit in found]):
        if slot.state is not SlotState.PARKED:
            of_unit.setdefault(slot.write_unit, []).append(slot)
    slots: list[PriceSlot] = []
    for unit in dict.fromkeys(unit for _, unit in found):
        if slots and len(slots) + len(of_unit[unit]) > ability.read_batch:
            break
        slots += of_unit[unit]
    if not slots:
        return None
    ids = [slot.outlet_id for slot in slots]
    marks.reread_taken(tx, tenant_id, ids)
    outlets = outlets_of(tx, tenant_id, ids)
    for slot in slots:
        slot.go(SlotEvent.READ)
        slot.wait_until = None
    save(tx, tenant_id, slots)
    return PriceReadCall(tenant_id, account_id, tuple(PriceReadItem(one, outlets[one]) for one in ids))


class _Told(msgspec.Struct):
    """A price to be told, before it is written down."""

    slot: PriceSlot
    price: Priced
    seen: PriceSeen
    mark: Mark | None


def _plan_write(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    can: Capabilities,
    ability: PriceAbility,
    now: int,
    fresh: Mapping[str, PriceSeen],
) -> PriceWriteCall | None:
    """1. The most urgent units.  2. Their prices at this moment; who asks his already rests.  3. Rations, and the numbers that go along.
    4. Attempts, SENDING."""
    whose = following(tx, tenant_id, account_id)
    most = 1 if ability.carries_quantity else ability.write_batch
    for _ in range(LOOKS_MAX):
        found = _candidates(tx, _WRITE_DUE, _terms(tenant_id, whose, ability, now), most)
        if not found:
            return None
        slots = load_units(tx, tenant_id, account_id, [unit for _, unit in found])
        outlets = outlets_of(tx, tenant_id, [slot.outlet_id for slot in slots])
        told = _prices_to_tell(tx, tenant_id, whose, slots, {outlet for outlet, _ in found}, outlets, fresh, now)
        told = _within_rations(tx, tenant_id, account_id, can, told, now)
        along = carrying.NOTHING
        if told and ability.carries_quantity:
            shown = {one.slot.outlet_id for one in told}
            along = carrying.take_along(tx, tenant_id, whose.account, found[0][1], shown, can, now)
            if along.shows_nothing:
                for one in told:
                    if one.slot.state is SlotState.WAITING:
                        why = "told when it is on sale: the channel takes no price of a listing that shows nothing"
                        park(tx, tenant_id, one.slot, SlotEvent.CLOSED, "not_on_sale", why, one.mark)
                told = []
            elif along.wait_until is not None:
                for one in told:
                    if one.slot.state is SlotState.WAITING:
                        one.slot.wait_until, one.slot.reason = along.wait_until, along.reason
                told = []
        save(tx, tenant_id, slots)
        if told:
            return _record(tx, tenant_id, whose, told, outlets, along, now)
    return None


def _prices_to_tell(
    tx: Tx,
    tenant_id: int,
    whose: Following,
    slots: Sequence[PriceSlot],
    due: set[int],
    outlets: Mapping[int, Outlet],
    fresh: Mapping[str, PriceSeen],
    now: int,
) -> list[_Told]:
    """Decide what each outlet is told now. Of a unit, those that are right go along: some variations share one price. Empty: none is
    needed."""
    ids = [slot.outlet_id for slot in slots]
    asked = prices_of(tx, tenant_id, ids, {slot.outlet_id: slot.currency for slot in slots}, whose.policy, now)
    marked = marks_of(tx, tenant_id, ids)
    told, needed = [], False
    for slot in slots:
        if slot.state not in (SlotState.WAITING, SlotState.QUIET):
            continue
        price, mark = asked[slot.outlet_id], marked.get(slot.outlet_id)
        waits = slot.state is SlotState.WAITING and slot.outlet_id in due
        if isinstance(price, NoPrice):
            if waits:
                park_for_no_price(tx, tenant_id, slot, price, mark, whose.account, now)
            continue
        slot.offer = price.price.minor
        seen = fresh.get(outlets[slot.outlet_id].external_id)
        if seen is None or to_us(seen.read_at) < whose.account.there(now) - _FRESH:
            if waits:  # the document that the write needs is gone: a restart
                slot.verified = 0
                return []
            continue
        if waits and slot.believed == slot.offer:
            rest(tx, tenant_id, slot, price, mark, now)
        elif waits and (why := _against_the_sale(seen, price.price)):
            park(tx, tenant_id, slot, SlotEvent.CLOSED, "sale", why, mark)
            what = "A listing's reduced price stands against its new price"
            open_task(tx, tenant_id, now, REFUSED, subject_of(slot.outlet_id), what, why)
        elif hold_if_far(tx, tenant_id, slot, price, whose, mark, now):
            continue
        else:
            needed = needed or waits
            told.append(_Told(slot, price, seen, mark))
    return told if needed else []


def _against_the_sale(seen: PriceSeen, price: Money) -> str:
    """A reduced price that is not over and not below the new price: the merchant says which of the two he means."""
    if seen.sale is None or seen.sale.ends_at <= seen.read_at or seen.sale.price.minor < price.minor:
        return ""
    until, reduced = seen.sale.ends_at.date().isoformat(), in_words(seen.sale.price.minor, seen.sale.price.currency)
    asked = in_words(price.minor, price.currency)
    return f"it is reduced to {reduced} until {until}, which is not below the new price {asked}: end or change that at the channel"


def _within_rations(
    tx: Tx, tenant_id: int, account_id: int, can: Capabilities, told: list[_Told], now: int
) -> list[_Told]:
    """Leave out what the channel lets us tell only so often: numbers and prices spend from one ration, and it waits in sight."""
    rations = rations_of(tx, tenant_id, account_id, can, [one.slot.outlet_id for one in told], now)
    kept = []
    for one in told:
        if rations.take(one.slot.outlet_id, urgent=False):
            kept.append(one)
        elif one.slot.state is SlotState.WAITING:
            one.slot.wait_until = now + USED_UP_WAIT_S * SECOND
            one.slot.reason = RATIONED
    return kept


def _record(
    tx: Tx,
    tenant_id: int,
    whose: Following,
    told: Sequence[_Told],
    outlets: Mapping[int, Outlet],
    along: carrying.Along,
    now: int,
) -> PriceWriteCall:
    """Write the attempts down and move the slots to SENDING: after the commit the call may be made, and a crash knows of it."""
    account = whose.account
    tx.run(
        "UPDATE price_attempt SET outcome = 'SUPERSEDED' WHERE tenant_id = :t AND outlet_id {in:ids} AND outcome IN ('ACCEPTED', 'UNKNOWN')",
        t=tenant_id,
        ids=[one.slot.outlet_id for one in told],
    )
    rows, items = [], []
    for attempt_no, one in zip(next_values(tx, tenant_id, "price_attempt", len(told)), told, strict=True):
        slot, price, mark = one.slot, one.price.price, one.mark
        measured = mark is not None and slot.reason != RATIONED
        dirty_at = max(slot.since_at or mark.since_at, account.live_at or 0) if mark and measured else None
        generation = mark.generation if mark else 0
        row = (tenant_id, attempt_no, slot.outlet_id, slot.account_id, price.minor, price.currency, slot.believed)
        rows.append((*row, generation, dirty_at, now, json.dumps(one.price.why)))
        outlet = outlets[slot.outlet_id]
        quantity = along.quantities.get(slot.outlet_id)
        items.append(
            PriceWriteItem(slot.outlet_id, outlet, price.minor, price.currency, attempt_no, one.seen, quantity)
        )
        slot.go(SlotEvent.SEND)
        slot.sent, slot.sent_at, slot.acked_at = price.minor, now, None
        slot.wait_until, slot.reason = None, ""
    tx.many(
        """INSERT INTO price_attempt (tenant_id, attempt_no, outlet_id, account_id, price_minor, currency, was, generation, dirty_at,
                                      started_at, why) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        rows,
    )
    save(tx, tenant_id, [one.slot for one in told])
    numbers = carrying.record(tx, tenant_id, account, along, now)
    return PriceWriteCall(tenant_id, account.account_id, tuple(items), numbers)
