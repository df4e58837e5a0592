"""The merchant's exchange rates, for orders and for prices (SEMANTICS 14.5): dated, with their source; none is ever assumed.

In: his word. Out: rates against the shop's currency. Tables it owns: exchange_rate. Never: fetches a rate; takes 1 where there is none.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from oneshelf.core.rates import ExchangeRate, Rates
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx


class RateEntered(msgspec.Struct, frozen=True):
    """One rate: what one unit of `currency` is worth in the shop's. `entered_at`: microseconds UTC."""

    currency: str
    rate: str
    source: str
    entered_at: int


def set_rate(tx: Tx, tenant_id: int, currency: str, rate: str, source: str, now: int, *, by: str) -> None:
    """Keep a rate. Raises ValueError with how to write one."""
    currency, rate, source = currency.strip().upper(), rate.strip(), source.strip()
    try:
        right = Decimal(rate).is_finite() and Decimal(rate) > 0 and "_" not in rate
    except ArithmeticError:
        right = False
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha()) or not right or not source:
        raise ValueError(
            "Give a currency code, a rate above 0 and its source: oneshelf rates set EUR 1.0855 --source 'ECB 2026-11-20'."
        )
    home = home_currency(tx, tenant_id)
    if currency == home:
        raise ValueError(f"{currency} is the shop's own currency: it needs no rate.")
    tx.run(
        """INSERT INTO exchange_rate (tenant_id, currency, rate, source, entered_at) VALUES (:t, :c, :r, :s, :now)
           ON CONFLICT (tenant_id, currency) DO UPDATE SET rate = excluded.rate, source = excluded.source,
               entered_at = excluded.entered_at""",
        t=tenant_id,
        c=currency,
        r=rate,
        s=source,
        now=now,
    )
    note(
        tx, tenant_id, now, by, "An exchange rate was entered", f"rate:{currency}", rate=rate, source=source, home=home
    )


def entered(tx: Tx, tenant_id: int) -> list[RateEntered]:
    """Return the rates, in order of their currency."""
    rows = tx.all(
        "SELECT currency, rate, source, entered_at FROM exchange_rate WHERE tenant_id = :t ORDER BY currency",
        t=tenant_id,
    )
    return [RateEntered(*row) for row in rows]


def rates_of(tx: Tx, tenant_id: int) -> Rates:
    """Return every rate, as calculations take them."""
    return Rates(
        home_currency(tx, tenant_id),
        {one.currency: ExchangeRate(one.rate, one.source) for one in entered(tx, tenant_id)},
    )


def home_currency(tx: Tx, tenant_id: int) -> str:
    """Return the shop's currency; "" where no shop is connected or it was not told."""
    row = tx.one(
        "SELECT currency FROM account WHERE tenant_id = :t AND channel = 'shopify' AND state <> 'DISCONNECTED'",
        t=tenant_id,
    )
    return str(row[0]) if row else ""
