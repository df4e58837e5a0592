"""The safe pause: while something is wrong, listings are frozen, show 0 first, or keep more back; one undo puts back exactly what was.

In: accounts, how much. Out: accounts paused (publish/pausing), a wider buffer beside the rules. Tables: writes account, upkeep; marks.
Never: touches a rule; starts over another safe pause; undoes what a person did meanwhile; stops intake.
"""

from __future__ import annotations

import json

import msgspec

from oneshelf.core.errors import Park
from oneshelf.core.ids import HUB
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.tenants.accounts import WIDER, change_setting

from . import pausing
from .slots import AccountRow, account_row

#: Among the tenant's own rows in `upkeep` (account 0).
_NAME = "safe_pause"
#: More would be an account paused by another name.
WIDER_MAX = 1_000_000


class CannotPause(Park):
    """The safe pause can't begin or end as it is; nothing was changed."""


class SafePause(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one safe pause did, and so what its undo takes back. `frozen`: accounts that it paused, or is pausing once they show 0
    (`zero_first`). `widened`: accounts whose listings keep `pieces` more back."""

    since_at: int
    by: str
    why: str = ""
    frozen: list[int] = []
    zero_first: bool = False
    widened: list[int] = []
    pieces: int = 0


class Undone(msgspec.Struct, frozen=True):
    """`resumed`, `narrowed`: accounts that are as before. `left`: accounts that a person changed meanwhile, and which stay as he left them."""

    resumed: list[int]
    narrowed: list[int]
    left: list[int]


def current(tx: Tx, tenant_id: int) -> SafePause | None:
    """Return the safe pause that is on, or None."""
    row = tx.one("SELECT state FROM upkeep WHERE tenant_id = :t AND account_id = 0 AND name = :n", t=tenant_id, n=_NAME)
    said = {} if row is None else json.loads(row[0])
    return msgspec.convert(said, SafePause) if said else None


def start(
    tx: Tx,
    tenant_id: int,
    now: int,
    *,
    by: str,
    freeze: bool = False,
    zero_first: bool = False,
    pieces: int = 0,
    account_ids: list[int] | None = None,
    why: str = "",
) -> SafePause:
    """Begin a safe pause of these marketplace accounts (None: all that are live).

    `freeze`: no number leaves any more; `zero_first`: every listing shows 0 before that; `pieces` (0 to WIDER_MAX): kept back beside every
    rule, for accounts that are not frozen or not yet. Raises CannotPause.
    """
    if current(tx, tenant_id) is not None:
        raise CannotPause("A safe pause is on. Undo it first: oneshelf safe-pause undo")
    if not (freeze or zero_first or pieces):
        raise CannotPause("Say what it does: --freeze, --show-zero-first or --widen PIECES.")
    if not 0 <= pieces <= WIDER_MAX:
        raise CannotPause(f"{pieces} pieces can't be kept back. Say 1 to {WIDER_MAX}.")
    chosen = _chosen(tx, tenant_id, account_ids)
    frozen = chosen if freeze or zero_first else []
    for account_id in chosen if pieces else []:
        change_setting(tx, tenant_id, account_id, WIDER, str(pieces))
        pausing.mark_listings(tx, tenant_id, account_id, now, "buffers are widened", reread=False)
    for account_id in frozen:
        pausing.pause(tx, tenant_id, account_id, now, zero_first=zero_first, by=by)
    made = SafePause(now, by, why, frozen, zero_first, chosen if pieces else [], pieces)
    _save(tx, tenant_id, msgspec.to_builtins(made), now)
    said = {"frozen": frozen, "zero_first": zero_first, "widened": made.widened, "pieces": pieces}
    note(tx, tenant_id, now, by, "A safe pause began", "", **said)
    return made


def undo(tx: Tx, tenant_id: int, now: int, *, by: str) -> Undone:
    """End the safe pause: every account that is still as it left it is as it was before; numbers are read before any leaves. Raises CannotPause."""
    made = current(tx, tenant_id)
    if made is None:
        raise CannotPause("No safe pause is on; there is nothing to undo.")
    narrowed, resumed, left = [], [], []
    for account_id in made.widened:
        account = _account(tx, tenant_id, account_id)
        if account is not None and account.wider == made.pieces:
            change_setting(tx, tenant_id, account_id, WIDER, "")
            pausing.mark_listings(tx, tenant_id, account_id, now, "buffers are as before", reread=False)
            narrowed.append(account_id)
        else:
            left.append(account_id)
    for account_id in made.frozen:
        account = _account(tx, tenant_id, account_id)
        closing = account is not None and account.state == "LIVE" and account.shows_zero
        if account is not None and (account.state == "PAUSED" or closing):
            pausing.resume(tx, tenant_id, account_id, now, by=by)
            resumed.append(account_id)
        elif account_id not in left:
            left.append(account_id)
    _save(tx, tenant_id, {}, now)
    note(tx, tenant_id, now, by, "A safe pause was undone", "", resumed=resumed, narrowed=narrowed, left=left)
    return Undone(resumed, narrowed, left)


def _chosen(tx: Tx, tenant_id: int, account_ids: list[int] | None) -> list[int]:
    rows = dict(
        tx.all("SELECT account_id, state FROM account WHERE tenant_id = :t AND channel <> :hub", t=tenant_id, hub=HUB)
    )
    if account_ids is None:
        chosen = sorted(account_id for account_id, state in rows.items() if state == "LIVE")
        if not chosen:
            raise CannotPause("No marketplace account is live: nothing leaves anyway.")
        return chosen
    for account_id in account_ids:
        if rows.get(account_id) != "LIVE":
            raise CannotPause(
                f"Account {account_id} is no live marketplace account. `oneshelf channels list` shows the accounts."
            )
    return sorted(set(account_ids))


def _account(tx: Tx, tenant_id: int, account_id: int) -> AccountRow | None:
    try:
        return account_row(tx, tenant_id, account_id)
    except LookupError:
        return None


def _save(tx: Tx, tenant_id: int, state: object, now: int) -> None:
    tx.run(
        """INSERT INTO upkeep (tenant_id, account_id, name, state, started_at) VALUES (:t, 0, :n, :s, :now)
           ON CONFLICT (tenant_id, account_id, name) DO UPDATE SET state = excluded.state, started_at = excluded.started_at""",
        t=tenant_id,
        n=_NAME,
        s=json.dumps(state),
        now=now,
    )
