"""Exchange rates as calculations take them (SEMANTICS 14.5). Pure, exact. Never: takes 1 where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import msgspec


class ExchangeRate(msgspec.Struct, frozen=True):
    """What one unit of a currency is worth in the shop's; `source`: where that is from, with its date."""

    value: str
    source: str


class Rates(msgspec.Struct, frozen=True):
    """The merchant's rates against the shop's currency `home`."""

    home: str = ""
    of: Mapping[str, ExchangeRate] = {}

    def between(self, have: str, want: str) -> Fraction | None:
        """Return how many units of `want` one unit of `have` is; None where a rate is missing: never 1.

        >>> Rates("EUR", {"USD": ExchangeRate("0.9", "ECB 2026-11-20")}).between("EUR", "USD")
        Fraction(10, 9)
        """
        if have == want:
            return Fraction(1)
        worth = {name: self._worth(name) for name in (have, want)}
        first, second = worth[have], worth[want]
        return None if first is None or second is None else first / second

    def missing(self, *currencies: str) -> list[str]:
        return [name for name in currencies if self._worth(name) is None]

    def words(self, have: str, want: str) -> str:
        """Return the rates that were used, for a trace."""
        used = [name for name in dict.fromkeys((have, want)) if name != self.home]
        return "; ".join(f"1 {name} = {self.of[name].value} {self.home} ({self.of[name].source})" for name in used)

    def _worth(self, currency: str) -> Fraction | None:
        if self.home and currency == self.home:
            return Fraction(1)
        rate = self.of.get(currency)
        return None if rate is None else Fraction(rate.value)
