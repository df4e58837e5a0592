"""Prices that are far from what their listings ask: they wait until a person agrees.

In: prices decided, what listings ask, his word. Out: price slots parked, a task an account; tried again after a yes. Tables it owns:
price_slot. Never: holds back what was agreed to, or a price that the listing asked before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from oneshelf.core.facts import Money
from oneshelf.core.money import in_words
from oneshelf.core.price import Priced, beyond_band
from oneshelf.core.slot import SlotEvent
from oneshelf.db.journal import note, open_task
from oneshelf.db.tx import Tx
from oneshelf.pricing.agreed import say, words_on

from .price_slots import SAID_NO, WAITS, WAITS_TASK, Following, PriceSlot, close_account_tasks, load, park, save
from .recovery import retry_prices
from .resting import subject_of
from .slots import Mark


class WaitingPrice(msgspec.Struct, frozen=True):
    """A price that waits for a person's yes. Minor units of `currency`; `asks`: what the listing was last seen to ask."""

    listing: int
    account: int
    channel: str
    external_id: str
    title: str
    asks: int | None
    would_ask: int
    currency: str


class NothingWaits(LookupError):
    """No price of these listings waits for a word."""


def hold_if_far(
    tx: Tx, tenant_id: int, slot: PriceSlot, price: Priced, whose: Following, mark: Mark | None, now: int
) -> bool:
    """Park a price that is beyond the account's band and that nobody agreed to. False: it may go.

    It is measured against what the listing asks, and, so that a sale ends and somebody else's price is put right without asking, against
    what it asked, without a sale, when that was last right.
    """
    policy = whose.policy
    if not policy.band or not beyond_band(slot.believed, price.price.minor, policy.band):
        return False
    if slot.rested is not None and not beyond_band(slot.rested, price.price.minor, policy.band):
        return False
    word = words_on(tx, tenant_id, [slot.outlet_id]).get((slot.outlet_id, price.price))
    if word == "yes":
        return False
    asks, would = in_words(slot.believed, slot.currency), in_words(price.price.minor, price.price.currency)
    if word == "no":
        park(tx, tenant_id, slot, SlotEvent.CLOSED, SAID_NO, f"you said no to {would}; it goes on asking {asks}", mark)
        return True
    reason = f"it asks {asks} and would ask {would}: more than {policy.band} % away, so it waits for your word"
    park(tx, tenant_id, slot, SlotEvent.CLOSED, WAITS, reason, mark)
    account = whose.account
    what = f"Prices of {account.channel.title()} would change by more than {policy.band} %"
    why = (
        f"For one of them, listing {slot.outlet_id}: {asks} to {would}. They keep the price they have until you agree: "
        f"oneshelf prices waiting, then oneshelf prices approve or refuse"
    )
    open_task(tx, tenant_id, now, WAITS_TASK, str(account.account_id), what, why)
    return True


def waiting(tx: Tx, tenant_id: int, *, account_id: int = 0, refused: bool = False) -> list[WaitingPrice]:
    """Return the prices that wait for a word, in order of account and listing; 0: of every account. `refused`: those with a no, too."""
    rows = tx.all(
        """SELECT s.outlet_id, s.account_id, a.channel, o.external_id, o.title, s.believed, s.offer, s.currency FROM price_slot s
             JOIN outlet o ON o.tenant_id = s.tenant_id AND o.outlet_id = s.outlet_id
             JOIN account a ON a.tenant_id = s.tenant_id AND a.account_id = s.account_id
            WHERE s.tenant_id = :t AND s.state = 'PARKED' AND s.parked {in:parked} AND (:a = 0 OR s.account_id = :a)
            ORDER BY s.account_id, s.outlet_id""",
        t=tenant_id,
        parked=[WAITS, SAID_NO] if refused else [WAITS],
        a=account_id,
    )
    return [WaitingPrice(*row) for row in rows]


def approve(tx: Tx, tenant_id: int, outlet_ids: Iterable[int], now: int, *, by: str) -> list[WaitingPrice]:
    """A person agrees to these prices, to none beside them: they are read and told; a no before is taken back. Raises NothingWaits."""
    found = _found(tx, tenant_id, outlet_ids, refused=True)
    say(tx, tenant_id, {one.listing: Money(one.would_ask, one.currency) for one in found}, "yes", now, by=by)
    retry_prices(tx, tenant_id, [one.listing for one in found], now, by)
    for account_id in {one.account for one in found}:
        close_account_tasks(tx, tenant_id, account_id, now)
    _note(tx, tenant_id, found, "A price far from the one before was approved", now, by)
    return found


def refuse(tx: Tx, tenant_id: int, outlet_ids: Iterable[int], now: int, *, by: str) -> list[WaitingPrice]:
    """A person says no to these prices: listings keep what they ask until there is another price for them. Raises NothingWaits."""
    found = _found(tx, tenant_id, outlet_ids)
    say(tx, tenant_id, {one.listing: Money(one.would_ask, one.currency) for one in found}, "no", now, by=by)
    slots = load(tx, tenant_id, [one.listing for one in found])
    for one in found:
        slot = slots[one.listing]
        slot.parked = SAID_NO
        slot.reason = f"you said no to {in_words(one.would_ask, one.currency)}; it keeps its price"
    save(tx, tenant_id, slots.values())
    for account_id in {one.account for one in found}:
        close_account_tasks(tx, tenant_id, account_id, now)
    _note(tx, tenant_id, found, "A price far from the one before was refused", now, by)
    return found


def _found(tx: Tx, tenant_id: int, outlet_ids: Iterable[int], *, refused: bool = False) -> list[WaitingPrice]:
    wanted = set(outlet_ids)
    found = [one for one in waiting(tx, tenant_id, refused=refused) if one.listing in wanted]
    if missing := sorted(wanted - {one.listing for one in found}) or not wanted:
        names = ", ".join(map(str, missing)) if isinstance(missing, list) else "any listing"
        raise NothingWaits(f"no price of {names} waits for a word: oneshelf prices waiting shows those that do")
    return found


def _note(tx: Tx, tenant_id: int, found: Sequence[WaitingPrice], what: str, now: int, by: str) -> None:
    for one in found:
        terms = {"asks": one.asks, "would_ask": one.would_ask, "currency": one.currency}
        note(tx, tenant_id, now, by, what, subject_of(one.listing), **terms)
