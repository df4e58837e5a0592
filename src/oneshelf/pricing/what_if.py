"""What a change of rules, sales, rates or limits would do to prices: the change itself, carried out and taken back.

In: a change, the outlets that it may concern. Out: which of them would ask something else. Tables it owns: none.
Never: works out a price in another way than the one that is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from oneshelf.core.facts import Money
from oneshelf.core.precedence import Selector
from oneshelf.core.price import NoPrice, Priced, beyond_band
from oneshelf.db.tx import Tx

from .levels import prices_of
from .policy import policy_of
from .rules import reach


class PriceChange(msgspec.Struct, frozen=True):
    """One listing whose price would be another. Minor units of `currency`. `asks`: as it was last seen, None: never read. `was`,
    `will_be`: what it ought to ask before and after; None: nothing, and `why` says why. `far`: it would wait for a person's word."""

    listing: int
    account: int
    channel: str
    external_id: str
    title: str
    asks: int | None
    was: int | None
    will_be: int | None
    currency: str
    why: str
    far: bool


class WhatIf(msgspec.Struct, frozen=True):
    """What a change would do, in listings of the accounts that follow. `reached`: were looked at; `same`: would ask what they ought to
    ask now; `without`: would have no price, and keep theirs. `rows`: the others, the largest change first."""

    reached: int
    same: int
    rise: int
    fall: int
    without: int
    far: int
    rows: tuple[PriceChange, ...]


class _TakenBack(Exception):
    """Ends the savepoint of a change that was only looked at."""


def reached_by(tx: Tx, tenant_id: int, selectors: Iterable[Selector]) -> list[int]:
    """Return the outlets that one of these selectors reaches, in order."""
    return sorted({outlet for selector in selectors for outlet in reach(tx, tenant_id, selector)})


def what_if(tx: Tx, tenant_id: int, outlet_ids: Iterable[int], change: Callable[[Tx], object], at: int) -> WhatIf:
    """Return what these outlets would ask at an instant after a change. Nothing is changed. Raises what the change raises."""
    wanted = sorted(set(outlet_ids))
    before = _asked(tx, tenant_id, wanted, at)
    after: dict[int, tuple[Priced | NoPrice, int]] = {}
    try:
        with tx.savepoint():
            change(tx)
            after = _asked(tx, tenant_id, wanted, at)
            raise _TakenBack
    except _TakenBack:
        pass
    return _counted(tx, tenant_id, before, after)


def _asked(tx: Tx, tenant_id: int, wanted: list[int], at: int) -> dict[int, tuple[Priced | NoPrice, int]]:
    """Return {outlet: (its price or why there is none, the band of its account)}."""
    of_account: dict[int, dict[int, str]] = {}
    for outlet_id, account_id, currency in tx.all(
        """SELECT o.outlet_id, o.account_id, s.currency FROM outlet o
             LEFT JOIN price_slot s ON s.tenant_id = o.tenant_id AND s.outlet_id = o.outlet_id
            WHERE o.tenant_id = :t AND o.outlet_id {in:ids}""",
        t=tenant_id,
        ids=wanted,
    ):
        of_account.setdefault(account_id, {})[outlet_id] = currency or ""
    found = {}
    for account_id, currencies in of_account.items():
        policy = policy_of(tx, tenant_id, account_id)
        for outlet_id, price in prices_of(tx, tenant_id, currencies, currencies, policy, at).items():
            found[outlet_id] = (price, policy.band)
    return found


def _counted(
    tx: Tx,
    tenant_id: int,
    before: dict[int, tuple[Priced | NoPrice, int]],
    after: dict[int, tuple[Priced | NoPrice, int]],
) -> WhatIf:
    changed = [outlet_id for outlet_id in before if _minor(before[outlet_id][0]) != _minor(after[outlet_id][0])]
    rows = []
    for outlet_id, account_id, channel, external_id, title, asks, currency in tx.all(
        """SELECT o.outlet_id, o.account_id, a.channel, o.external_id, o.title, s.believed, s.currency FROM outlet o
             JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
             LEFT JOIN price_slot s ON s.tenant_id = o.tenant_id AND s.outlet_id = o.outlet_id
            WHERE o.tenant_id = :t AND o.outlet_id {in:ids} ORDER BY o.outlet_id""",
        t=tenant_id,
        ids=changed,
    ):
        (was, _), (will_be, band) = before[outlet_id], after[outlet_id]
        priced = will_be if isinstance(will_be, Priced) else was
        rows.append(
            PriceChange(
                outlet_id,
                account_id,
                channel,
                external_id,
                title,
                asks,
                _minor(was),
                _minor(will_be),
                currency or (priced.price.currency if isinstance(priced, Priced) else ""),
                will_be.reason if isinstance(will_be, NoPrice) else "",
                isinstance(will_be, Priced) and bool(band) and beyond_band(asks, will_be.price.minor, band),
            )
        )
    return WhatIf(
        reached=len(before),
        same=len(before) - len(rows),
        rise=sum(_moves(row) > 0 for row in rows),
        fall=sum(_moves(row) < 0 for row in rows),
        without=sum(row.will_be is None for row in rows),
        far=sum(row.far for row in rows),
        rows=tuple(sorted(rows, key=lambda row: (row.will_be is None, -abs(_moves(row)), row.listing))),
    )


def _minor(price: Priced | NoPrice) -> int | None:
    return price.price.minor if isinstance(price, Priced) else None


def _moves(row: PriceChange) -> float:
    """Return by which share of what it asks, or else ought to ask, a listing's price moves; 0: it has none afterwards."""
    base = row.asks if row.asks is not None else row.was
    return 0.0 if row.will_be is None else (row.will_be - (base or 0)) / max(1, base or 0)


def far_prices(shown: WhatIf) -> dict[int, Money]:
    """Return the far prices that were looked at: {listing: price}."""
    return {row.listing: Money(row.will_be, row.currency) for row in shown.rows if row.far and row.will_be is not None}
