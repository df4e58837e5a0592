"""Steps beside the ordinary way: after a restart, after a broken answer, by hand; and what keeps publishing from rest.

Tables it owns: slot, attempt, price_slot, price_attempt. Never: guesses what a call that was under way has done; a read tells.
"""

from __future__ import annotations

from collections.abc import Sequence

from oneshelf.core.backoff import backoff_s
from oneshelf.core.slot import IN_FLIGHT, UNKNOWN_READ_S, UNKNOWN_READ_S_MAX, SlotEvent, SlotState
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.listings import dirty
from oneshelf.pricing import marks

from .price_slots import PriceReadCall, PriceWriteCall
from .price_slots import load as load_prices
from .price_slots import save as save_prices
from .resting import REASON_MAX, subject_of, us
from .slots import ReadCall, WriteCall, load, save


def recover(tx: Tx, tenant_id: int, now: int, account_id: int | None = None) -> int:
    """After a start: every slot, of numbers and of prices, that is not QUIET or PARKED is UNKNOWN and read first (8.2). Returns how many.

    What was on its way may have been done; what was sent and read before is kept, so that the read can tell.
    """
    accounts = [account_id] if account_id is not None else _accounts(tx, tenant_id)
    for attempts in ("attempt", "price_attempt"):
        tx.run(
            f"UPDATE {attempts} SET outcome = 'UNKNOWN', reason = 'the service stopped before the answer' "
            "WHERE tenant_id = :t AND account_id {in:accounts} AND outcome = 'SENDING'",
            t=tenant_id,
            accounts=accounts,
        )
    recovered = 0
    for slots in ("slot", "price_slot"):
        recovered += tx.run(
            f"""UPDATE {slots} SET state = 'UNKNOWN', verified = 0, wait_until = NULL,
                      reason = CASE WHEN state = 'SENDING' THEN 'the service stopped before the answer' ELSE reason END
                WHERE tenant_id = :t AND account_id {{in:accounts}} AND state NOT IN ('QUIET', 'PARKED')""",
            t=tenant_id,
            accounts=accounts,
        )
    return recovered


def _accounts(tx: Tx, tenant_id: int) -> list[int]:
    return [row[0] for row in tx.all("SELECT account_id FROM account WHERE tenant_id = :t", t=tenant_id)]


def abandon(tx: Tx, tenant_id: int, call: ReadCall | WriteCall, reason: str, now: int) -> None:
    """The answer of a call could not be taken in: its slots are UNKNOWN and read again later. Nothing stays on its way for ever."""
    slots = [s for s in load(tx, tenant_id, [i.outlet_id for i in call.items]).values() if s.state in IN_FLIGHT]
    for slot in slots:
        slot.go(SlotEvent.RESTARTED)
        slot.attempts += 1
        slot.verified = 0
        slot.wait_until = now + us(backoff_s(UNKNOWN_READ_S, slot.attempts, UNKNOWN_READ_S_MAX))
        slot.reason = reason[:REASON_MAX]
    if isinstance(call, WriteCall):
        tx.many(
            "UPDATE attempt SET outcome = 'UNKNOWN', reason = ? WHERE tenant_id = ? AND attempt_no = ? AND outcome = 'SENDING'",
            [(reason[:REASON_MAX], tenant_id, item.attempt_no) for item in call.items],
        )
    save(tx, tenant_id, slots)


def retry(tx: Tx, tenant_id: int, outlet_ids: Sequence[int], now: int, by: str) -> int:
    """A person (or a change of the listing) says: try again. Returns how many were parked; they are read first."""
    slots = [s for s in load(tx, tenant_id, outlet_ids).values() if s.state is SlotState.PARKED]
    for slot in slots:
        slot.go(SlotEvent.RETRIED)
        slot.verified = slot.attempts = slot.unseen = slot.repairs = 0
        slot.repairs_since = now
        slot.wait_until = None
        note(tx, tenant_id, now, by, "Told a parked listing to try again", subject_of(slot.outlet_id), was=slot.reason)
    dirty.mark_outlets(tx, tenant_id, [slot.outlet_id for slot in slots], now, f"tried again by {by}", reread=True)
    save(tx, tenant_id, slots)
    return len(slots)


def at_rest(tx: Tx, tenant_id: int) -> list[str]:
    """Say what keeps publishing from rest, a line each; empty: every linked outlet of a LIVE account shows its offer or is parked in
    sight."""
    reasons = [
        f"outlet {outlet_id} is {state}: offer {offer}, believed {believed}{f' ({reason})' if reason else ''}"
        for outlet_id, state, offer, believed, reason in tx.all(
            """SELECT s.outlet_id, s.state, s.offer, s.believed, s.reason FROM slot s
                 JOIN account a ON a.tenant_id = s.tenant_id AND a.account_id = s.account_id
                WHERE s.tenant_id = :t AND a.state = 'LIVE' AND s.state NOT IN ('QUIET', 'PARKED') ORDER BY s.outlet_id""",
            t=tenant_id,
        )
    ]
    reasons += [
        f"outlet {outlet_id} is dirty and not yet looked at"
        for (outlet_id,) in tx.all(
            """SELECT d.outlet_id FROM dirty_listing d
                 JOIN outlet o ON o.tenant_id = d.tenant_id AND o.outlet_id = d.outlet_id
                 JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
                 LEFT JOIN slot s ON s.tenant_id = d.tenant_id AND s.outlet_id = d.outlet_id
                WHERE d.tenant_id = :t AND a.state = 'LIVE'
                  AND (s.outlet_id IS NULL OR s.state = 'QUIET' OR (s.state = 'PARKED' AND d.generation > d.taken))
                ORDER BY d.outlet_id""",
            t=tenant_id,
        )
    ]
    return reasons + _prices_at_rest(tx, tenant_id)


def _prices_at_rest(tx: Tx, tenant_id: int) -> list[str]:
    """The same of the prices of LIVE accounts that follow."""
    follows = """JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id AND a.state = 'LIVE'
                 JOIN price_policy p ON p.tenant_id = o.tenant_id AND p.account_id = o.account_id AND p.mode = 'follow'"""
    reasons = [
        f"the price of outlet {outlet_id} is {state}: offer {offer}, believed {believed}{f' ({reason})' if reason else ''}"
        for outlet_id, state, offer, believed, reason in tx.all(
            f"""SELECT o.outlet_id, o.state, o.offer, o.believed, o.reason FROM price_slot o {follows}
                 WHERE o.tenant_id = :t AND o.state NOT IN ('QUIET', 'PARKED') ORDER BY o.outlet_id""",
            t=tenant_id,
        )
    ]
    reasons += [
        f"the price of outlet {outlet_id} is marked and not yet looked at"
        for (outlet_id,) in tx.all(
            f"""SELECT o.outlet_id FROM outlet o {follows}
                 JOIN price_mark d ON d.tenant_id = o.tenant_id AND d.outlet_id = o.outlet_id
                 LEFT JOIN price_slot s ON s.tenant_id = d.tenant_id AND s.outlet_id = d.outlet_id
                WHERE o.tenant_id = :t AND (s.outlet_id IS NULL OR s.state = 'QUIET' OR d.generation > d.taken)
                ORDER BY o.outlet_id""",
            t=tenant_id,
        )
    ]
    return reasons


# --- prices -----------------------------------------------------------------------------------------------------------


def abandon_price(tx: Tx, tenant_id: int, call: PriceReadCall | PriceWriteCall, reason: str, now: int) -> None:
    """As `abandon`, for a price call; numbers that went along are unknown with it."""
    slots = [s for s in load_prices(tx, tenant_id, [i.outlet_id for i in call.items]).values() if s.state in IN_FLIGHT]
    for slot in slots:
        slot.go(SlotEvent.RESTARTED)
        slot.attempts += 1
        slot.verified = 0
        slot.wait_until = now + us(backoff_s(UNKNOWN_READ_S, slot.attempts, UNKNOWN_READ_S_MAX))
        slot.reason = reason[:REASON_MAX]
    save_prices(tx, tenant_id, slots)
    if isinstance(call, PriceWriteCall):
        tx.many(
            "UPDATE price_attempt SET outcome = 'UNKNOWN', reason = ? WHERE tenant_id = ? AND attempt_no = ? AND outcome = 'SENDING'",
            [(reason[:REASON_MAX], tenant_id, item.attempt_no) for item in call.items],
        )
        if call.along:
            abandon(tx, tenant_id, WriteCall(tenant_id, call.account_id, call.priority, call.along), reason, now)


def retry_prices(tx: Tx, tenant_id: int, outlet_ids: Sequence[int], now: int, by: str) -> int:
    """A person says: try these prices again. Returns how many were parked; they are read first."""
    slots = [s for s in load_prices(tx, tenant_id, outlet_ids).values() if s.state is SlotState.PARKED]
    for slot in slots:
        slot.go(SlotEvent.RETRIED)
        slot.verified = slot.attempts = slot.unseen = slot.repairs = 0
        slot.repairs_since, slot.wait_until, slot.since_at = now, None, now
        what = "Told a parked price to try again"
        note(tx, tenant_id, now, by, what, subject_of(slot.outlet_id), was=slot.reason)
        slot.parked = slot.reason = ""
    marks.mark_outlets(tx, tenant_id, [slot.outlet_id for slot in slots], now, f"tried again by {by}", reread=True)
    save_prices(tx, tenant_id, slots)
    return len(slots)
