"""Pausing a channel: its writes stop, its news never; resuming begins with reads (SEMANTICS 8.14).

In: an account. Out: LIVE ↔ PAUSED, what is exposed meanwhile. Tables: reads slot; account through tenants/accounts; marks.
Never: stops intake, imports or holds; pauses before every listing shows 0 where that was asked for.
"""

from __future__ import annotations

import msgspec

from oneshelf.channels.contract import Capabilities
from oneshelf.core.errors import Park
from oneshelf.core.ids import HUB
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.listings import dirty
from oneshelf.pricing import marks
from oneshelf.tenants.accounts import SHOW_ZERO, change_setting, set_state

from .numbers import numbers_of
from .slots import AccountRow, account_row

#: Listings that one answer names; the others are counted.
NAMED_MAX = 20


class NotPaused(Park):
    """The account can't be paused or resumed as it is; nothing was changed."""


class TooMany(msgspec.Struct, frozen=True):
    """A listing that shows more than its offer. Both in listings."""

    listing: str
    shows: int
    offer: int


class Exposed(msgspec.Struct, frozen=True):
    """What a paused account may sell: linked listings that show more than 0, the pieces behind their numbers, those of which nobody
    knows what they show, and how many show more than their offer (`too_many`: the first of them by how much)."""

    showing: int
    pieces: int
    unread: int
    above_offer: int
    too_many: list[TooMany]


def exposed(tx: Tx, tenant_id: int, account_id: int, can: Capabilities, now: int) -> Exposed:
    """Say what would go on selling. Own sales since the last read are not taken off: the unsafe side."""
    rows = _ours(tx, tenant_id, account_id)
    numbers = numbers_of(tx, tenant_id, account_id, [row[0] for row in rows], can, now)
    too_many = []
    pieces = 0
    for outlet_id, name, shown, units in rows:
        pieces += (shown or 0) * units
        number = numbers.get(outlet_id)
        if number is not None and shown is not None and shown > number.offer:
            too_many.append(TooMany(name, shown, number.offer))
    too_many.sort(key=lambda one: (one.offer - one.shows, one.listing))
    return Exposed(
        showing=sum(1 for row in rows if row[2]),
        pieces=pieces,
        unread=sum(1 for row in rows if row[2] is None),
        above_offer=len(too_many),
        too_many=too_many[:NAMED_MAX],
    )


def _ours(tx: Tx, tenant_id: int, account_id: int) -> list[tuple[int, str, int | None, int]]:
    """Return (outlet, its name at the channel, what it shows or may show, pieces a listing) of the outlets that are ours to write."""
    rows = tx.all(
        """SELECT o.outlet_id, o.external_id, s.believed, CASE WHEN s.sent > s.believed THEN s.sent ELSE s.believed END,
                  CAST(SUM(k.units) AS BIGINT)
             FROM outlet o
             JOIN link k ON k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id
             LEFT JOIN slot s ON s.tenant_id = o.tenant_id AND s.outlet_id = o.outlet_id
            WHERE o.tenant_id = :t AND o.account_id = :a AND o.fulfilled_by_channel = 0 AND o.state NOT IN ('ended', 'draft', 'gone')
            GROUP BY o.outlet_id, o.external_id, s.believed, s.sent ORDER BY o.outlet_id""",
        t=tenant_id,
        a=account_id,
    )
    return [(row[0], row[1], None if row[2] is None else int(row[3]), int(row[4])) for row in rows]


def pause(tx: Tx, tenant_id: int, account_id: int, now: int, *, zero_first: bool, by: str) -> bool:
    """Stop an account's writes; with `zero_first` only when every listing shows 0. Returns whether it is paused now. Raises NotPaused."""
    account = _marketplace(tx, tenant_id, account_id)
    if account.state != "LIVE":
        raise NotPaused(f"Account {account_id} is {account.state}; only a LIVE one can be paused.")
    if zero_first:
        change_setting(tx, tenant_id, account_id, SHOW_ZERO, "1")
        mark_listings(tx, tenant_id, account_id, now, "shows 0 before its account is paused", reread=False)
        note(tx, tenant_id, now, by, "The account is to show 0, then to be paused", f"account:{account_id}")
        return pause_when_zero(tx, tenant_id, account_id, now)
    _pause(tx, tenant_id, account_id, now, by)
    return True


def pause_when_zero(tx: Tx, tenant_id: int, account_id: int, now: int, account: AccountRow | None = None) -> bool:
    """Pause an account that was told to show 0 first, once all of it does: seen, not only told. Parked listings hold nobody up: they
    stand in sight with their reason, and no write of ours would change them. `account`: its row, for who has it already."""
    account = account or account_row(tx, tenant_id, account_id)
    if not account.writes or not account.shows_zero:
        return False
    open_yet = tx.one(
        """SELECT 1 FROM outlet o
             LEFT JOIN slot s ON s.tenant_id = o.tenant_id AND s.outlet_id = o.outlet_id
            WHERE o.tenant_id = :t AND o.account_id = :a AND o.fulfilled_by_channel = 0 AND o.state NOT IN ('ended', 'draft', 'gone')
              AND EXISTS (SELECT 1 FROM link k WHERE k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id)
              AND (s.outlet_id IS NULL OR (s.state <> 'PARKED' AND (s.state <> 'QUIET' OR COALESCE(s.believed, 1) > 0))) LIMIT 1""",
        t=tenant_id,
        a=account_id,
    )
    if open_yet is not None:
        return False
    _pause(tx, tenant_id, account_id, now, "publish")
    return True


def _pause(tx: Tx, tenant_id: int, account_id: int, now: int, by: str) -> None:
    set_state(tx, tenant_id, account_id, "PAUSED", now)
    note(
        tx,
        tenant_id,
        now,
        by,
        "The account was paused: no number goes out, orders still come in",
        f"account:{account_id}",
    )


def resume(tx: Tx, tenant_id: int, account_id: int, now: int, *, by: str) -> int:
    """Let an account's writes begin again; every listing and price is read first. Returns how many are. Raises NotPaused.

    One that was told to show 0 first and has not got there yet is called back the same way.
    """
    account = _marketplace(tx, tenant_id, account_id)
    if account.state != "PAUSED" and not (account.writes and account.shows_zero):
        raise NotPaused(f"Account {account_id} is {account.state}; it is not paused.")
    change_setting(tx, tenant_id, account_id, SHOW_ZERO, "")
    set_state(tx, tenant_id, account_id, "LIVE", now)
    marks.mark_account(tx, tenant_id, account_id, now, "resumed")
    note(
        tx,
        tenant_id,
        now,
        by,
        "The account was resumed: everything is read before a number leaves",
        f"account:{account_id}",
    )
    return mark_listings(tx, tenant_id, account_id, now, "resumed", reread=True)


def mark_listings(tx: Tx, tenant_id: int, account_id: int, now: int, why: str, *, reread: bool) -> int:
    """Mark every listing of an account that is ours to write. Returns how many."""
    outlets = [row[0] for row in _ours(tx, tenant_id, account_id)]
    dirty.mark_outlets(tx, tenant_id, outlets, now, why, reread=reread)
    return len(outlets)


def _marketplace(tx: Tx, tenant_id: int, account_id: int) -> AccountRow:
    try:
        account = account_row(tx, tenant_id, account_id)
    except LookupError:
        raise NotPaused(f"There is no account {account_id}. `oneshelf channels list` shows the accounts.") from None
    if account.channel == HUB:
        raise NotPaused("The shop can't be paused: what is written there keeps sold pieces from being sold again.")
    return account
