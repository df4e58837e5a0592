"""What a change of rules, sales, rates or limits would do to prices: the change itself, carried out and taken back.

In: a change, the outlets that it may concern. Out: which of them would ask something else. Tables it owns: none.
Never: works out a price in another way than the one that is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from oneshelf.core.facts import Money
from oneshelf.core.precedence import Selector
from oneshelf.core.price import NoPrice, Priced, PricePolicy, beyond_band
from oneshelf.db.tx import Tx, rehearse

from .levels import PriceBook, book_of, prices_of
from .policy import policy_of
from .rules import reach

T = TypeVar("T")

#: How many outlets are looked at in one transaction.
LOOKED_AT_ONCE = 250


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


class Said(msgspec.Struct, frozen=True):
    """All that the merchant said about prices: rules, sales, rates, and the policy of each account."""

    book: PriceBook
    policies: dict[int, PricePolicy]


def said(tx: Tx, tenant_id: int, at: int) -> Said:
    """Return what is said now, as far as it matters at an instant."""
    accounts = tx.all("SELECT account_id FROM account WHERE tenant_id = :t AND channel <> 'shopify'", t=tenant_id)
    return Said(
        book_of(tx, tenant_id, None, at),
        {account_id: policy_of(tx, tenant_id, account_id) for (account_id,) in accounts},
    )


def said_after(tx: Tx, tenant_id: int, change: Callable[[Tx], T], at: int) -> tuple[Said, T]:
    """Return what would be said after a change, and what the change gives back. Nothing is changed. Raises what the change raises."""

    def after(tx: Tx) -> tuple[Said, T]:
        told = change(tx)
        return said(tx, tenant_id, at), told

    return rehearse(tx, after)


def reached_by(tx: Tx, tenant_id: int, selectors: Iterable[Selector]) -> list[int]:
    """Return the outlets that one of these selectors reaches, in order."""
    return sorted({outlet for selector in selectors for outlet in reach(tx, tenant_id, selector)})


def changes(tx: Tx, tenant_id: int, outlet_ids: Iterable[int], before: Said, after: Said, at: int) -> list[PriceChange]:
    """Return those of these outlets whose price at an instant is another after than before. Many: some hundred at a time, so that the
    writer is not held."""
    rows = tx.all(
        """SELECT o.outlet_id, o.account_id, a.channel, o.external_id, o.title, s.believed, s.currency FROM outlet o
             JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
             LEFT JOIN price_slot s ON s.tenant_id = o.tenant_id AND s.outlet_id = o.outlet_id
            WHERE o.tenant_id = :t AND o.outlet_id {in:ids} ORDER BY o.outlet_id""",
        t=tenant_id,
        ids=sorted(set(outlet_ids)),
    )
    of_account: dict[int, dict[int, str]] = {}
    for row in rows:
        of_account.setdefault(row[1], {})[row[0]] = row[6] or ""
    prices: list[dict[int, Priced | NoPrice]] = [{}, {}]
    for account_id, currencies in of_account.items():
        for asked, words in zip(prices, (before, after), strict=True):
            policy = words.policies[account_id]
            asked |= prices_of(tx, tenant_id, currencies, currencies, policy, at, book=words.book)
    found = []
    for outlet_id, account_id, channel, external_id, title, asks, currency in rows:
        was, will_be, band = prices[0][outlet_id], prices[1][outlet_id], after.policies[account_id].band
        if _minor(was) == _minor(will_be):
            continue
        priced = will_be if isinstance(will_be, Priced) else was
        found.append(
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
    return found


def counted(rows: Sequence[PriceChange], reached: int) -> WhatIf:
    """Return the changes of so many outlets, with their counts."""
    return WhatIf(
        reached=reached,
        same=reached - len(rows),
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
