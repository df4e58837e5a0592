"""What a person approved is carried out, by the same functions that would have done it at once.

In: a person's word, changes of links and locations. Out: the change made, or a question (publish/guard). Tables: none of its own.
Never: makes a change twice; approves by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from oneshelf.channels.contract import Capabilities
from oneshelf.db.tx import Tx
from oneshelf.listings import mapping, risk
from oneshelf.listings import rule_sheet as sheet
from oneshelf.listings.mapping import Wanted
from oneshelf.listings.policy import Change
from oneshelf.listings.rule_sheet import Undo
from oneshelf.orders.relink import relink
from oneshelf.pricing import marks

from . import guard, rule_changes
from .numbers import numbers_of
from .rule_changes import Looked


class _TooLarge(Exception):
    """The change was made inside a savepoint only to see what it does; it is taken back."""


class Done(msgspec.Struct, frozen=True):
    """What became of a change. `guard_no`: it waits under this number; 0: it was made. `orders_booked`: that waited for links."""

    guard_no: int = 0
    orders_booked: int = 0
    alarm: str = ""


# --- rules by file ------------------------------------------------------------------------------------------------------


def import_rules(tx: Tx, tenant_id: int, changes: Sequence[Change], looked: Looked, now: int, *, by: str) -> int:
    """Keep the rules of a file so that they can be taken back together, or let them wait. Returns the guard's number, 0 if made."""
    payload = {"changes": msgspec.to_builtins(list(changes)), "import": True}
    if looked.alarm:
        return guard.ask(
            tx, tenant_id, "rules", 0, "An import of rules", looked.alarm, payload, looked.accounts, now, by=by
        )
    _make_rules(tx, tenant_id, payload, now, by=by)
    return 0


def undo_import(tx: Tx, tenant_id: int, undo: Undo, looked: Looked, now: int, *, by: str) -> int:
    """Take an import back, or let that wait. Returns the guard's number, 0 if made."""
    payload = {"changes": msgspec.to_builtins(undo.changes), "undo": undo.import_no}
    if looked.alarm:
        return guard.ask(
            tx, tenant_id, "rules", 0, "Undoing an import", looked.alarm, payload, looked.accounts, now, by=by
        )
    _make_rules(tx, tenant_id, payload, now, by=by)
    return 0


def _make_rules(tx: Tx, tenant_id: int, payload: Mapping[str, Any], now: int, *, by: str) -> None:
    changes = msgspec.convert(payload["changes"], list[Change])
    if changes:
        rule_changes.check(tx, tenant_id, changes)
    if payload.get("import"):
        sheet.remember(tx, tenant_id, changes, now, by=by)
    rule_changes.make(tx, tenant_id, changes, now, by=by)
    if payload.get("undo"):
        sheet.undone(tx, tenant_id, int(payload["undo"]), now)


# --- links and locations ------------------------------------------------------------------------------------------------


def change_links(tx: Tx, tenant_id: int, wanted: Wanted, can: Mapping[int, Capabilities], now: int, *, by: str) -> Done:
    """Carry out links from a file and book the orders that waited for them; if too many numbers would go to 0 or multiply, ask first."""
    outlets = [*wanted.links, *wanted.unlinks]
    rows = tx.all(
        "SELECT account_id, outlet_id FROM outlet WHERE tenant_id = :t AND outlet_id {in:ids}", t=tenant_id, ids=outlets
    )
    of_account: dict[int, list[int]] = {}
    for account_id, outlet_id in rows:
        of_account.setdefault(account_id, []).append(outlet_id)
    payload = {"links": [[o, parts] for o, parts in wanted.links.items()], "unlinks": wanted.unlinks}
    return _guarded(
        tx, tenant_id, "links", 0, "Links from a file", of_account, can, lambda: _make_links(tx, tenant_id, payload, now, by=by), payload, now, by=by
    )  # fmt: skip


def _make_links(tx: Tx, tenant_id: int, payload: Mapping[str, Any], now: int, *, by: str) -> int:
    wanted = Wanted({int(o): parts for o, parts in payload["links"]}, list(payload["unlinks"]), 0, [])
    mapping.apply(tx, tenant_id, wanted, now, by=by)
    marks.mark_outlets(tx, tenant_id, [*wanted.links, *wanted.unlinks], now, "linked by a file")
    return sum(relink(tx, tenant_id, outlet_id, now) for outlet_id in wanted.links)


def change_locations(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    locations: Sequence[str],
    can: Mapping[int, Capabilities],
    now: int,
    *,
    by: str,
    excluded: Sequence[str] = (),
) -> Done:
    """Say which locations serve an account, or which do not; if too many numbers would go to 0 or multiply, ask first. Raises LookupError."""
    rows = tx.all(
        """SELECT DISTINCT o.outlet_id FROM outlet o JOIN link k ON k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id
            WHERE o.tenant_id = :t AND o.account_id = :a AND o.fulfilled_by_channel = 0""",
        t=tenant_id,
        a=account_id,
    )
    payload = {"account_id": account_id, "locations": list(locations), "excluded": list(excluded)}
    return _guarded(
        tx, tenant_id, "locations", account_id, "Other locations for an account", {account_id: [row[0] for row in rows]}, can,
        lambda: _make_locations(tx, tenant_id, payload, now, by=by), payload, now, by=by,
    )  # fmt: skip


def _make_locations(tx: Tx, tenant_id: int, payload: Mapping[str, Any], now: int, *, by: str) -> int:
    without = payload.get("excluded") or ()
    risk.set_locations(tx, tenant_id, int(payload["account_id"]), payload["locations"], now, by=by, excluded=without)
    return 0


def _guarded(
    tx: Tx,
    tenant_id: int,
    kind: str,
    account_id: int,
    what: str,
    of_account: Mapping[int, Sequence[int]],
    can: Mapping[int, Capabilities],
    make: Callable[[], int],
    payload: dict[str, Any],
    now: int,
    *,
    by: str,
) -> Done:
    """Make the change inside a savepoint, compare the numbers before and after, and take it back if a person should look first."""

    def offers() -> dict[int, int]:
        return {
            outlet_id: number.offer
            for account, outlets in of_account.items()
            if account in can
            for some in rule_changes.chunks(outlets)
            for outlet_id, number in numbers_of(tx, tenant_id, account, some, can[account], now).items()
        }

    before = offers()
    looked = Looked([], [])
    try:
        with tx.savepoint():
            booked = make()
            after = offers()
            pairs = {o: (before[o], offer) for o, offer in after.items() if o in before and before[o] != offer}
            looked = rule_changes.weighed(tx, tenant_id, of_account, rule_changes.effects_named(tx, tenant_id, pairs))
            if looked.alarm:
                raise _TooLarge
    except _TooLarge:
        number = guard.ask(tx, tenant_id, kind, account_id, what, looked.alarm, payload, looked.accounts, now, by=by)
        return Done(number, alarm=looked.alarm)
    return Done(orders_booked=booked)


# --- a person's yes -----------------------------------------------------------------------------------------------------


def approve(tx: Tx, tenant_id: int, number: int, now: int, *, by: str) -> int:
    """Say yes: make the change, or let the shop's numbers go. Returns how many listings were held. Raises LookupError, and ValueError if the
    change can't be made any more (then it waits on: refuse it)."""
    kind, payload = guard.open_one(tx, tenant_id, number)
    makes = {"rules": _make_rules, "links": _make_links, "locations": _make_locations}
    if kind in makes:
        makes[kind](tx, tenant_id, payload, now, by=by)
    return len(guard.close(tx, tenant_id, number, "APPROVED", now, by=by))
