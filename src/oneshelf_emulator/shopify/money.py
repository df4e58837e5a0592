"""Money as Shopify counts it here: integer minor units with a currency, and the texts that go on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

#: Digits after the point where they are not two. Source: ISO 4217.
_DIGITS = {"JPY": 0, "KRW": 0, "CLP": 0, "VND": 0, "ISK": 0, "KWD": 3, "BHD": 3, "JOD": 3, "OMR": 3, "TND": 3}


def digits_of(currency: str) -> int:
    """Return how many digits after the point amounts in `currency` have."""
    return _DIGITS.get(currency, 2)


@dataclass(frozen=True)
class Money:
    """`minor` units of `currency`."""

    minor: int
    currency: str

    @classmethod
    def of(cls, amount: str | Decimal, currency: str) -> Money:
        """Read a decimal amount of major units; more digits than the currency has are rounded half up."""
        scaled = Decimal(amount).scaleb(digits_of(currency))
        return cls(int(scaled.quantize(Decimal(1), ROUND_HALF_UP)), currency)

    @property
    def text(self) -> str:
        """The amount with all its digits: `19.90` (scalar Money, webhook payloads)."""
        digits = digits_of(self.currency)
        return f"{Decimal(self.minor).scaleb(-digits):.{digits}f}"

    @property
    def amount(self) -> str:
        """The amount as MoneyV2 prints it: `19.9`, `20.0`. Clients must read it as a decimal, not compare text."""
        text = self.text.rstrip("0") if "." in self.text else self.text + "."
        return text + "0" if text.endswith(".") else text

    @property
    def currency_code(self) -> str:
        return self.currency

    def __add__(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        return self + Money(-other.minor, other.currency)

    def __mul__(self, times: int) -> Money:
        return Money(self.minor * times, self.currency)


def _largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    whole = sum(weights)
    if not whole:
        weights, whole = [1] * len(weights), len(weights)
    parts = [total * weight // whole for weight in weights]
    by_rest = sorted(range(len(weights)), key=lambda i: -(total * weights[i] % whole))
    for i in by_rest[: total - sum(parts)]:
        parts[i] += 1
    return parts


@dataclass(frozen=True)
class Bag:
    """One amount in the shop's currency and in the buyer's (MoneyBag)."""

    shop_money: Money
    presentment_money: Money

    @classmethod
    def zero(cls, shop_currency: str, presentment_currency: str) -> Bag:
        return cls(Money(0, shop_currency), Money(0, presentment_currency))

    def __add__(self, other: Bag) -> Bag:
        return Bag(self.shop_money + other.shop_money, self.presentment_money + other.presentment_money)

    def __sub__(self, other: Bag) -> Bag:
        return Bag(self.shop_money - other.shop_money, self.presentment_money - other.presentment_money)

    def __mul__(self, times: int) -> Bag:
        return Bag(self.shop_money * times, self.presentment_money * times)

    def share(self, part: int, whole: int) -> Bag:
        """Return `part` of `whole` equal pieces, rounded half up."""
        return Bag(
            *(
                Money((m.minor * part * 2 + whole) // (2 * whole), m.currency)
                for m in (self.shop_money, self.presentment_money)
            )
        )

    def at_least_zero(self) -> Bag:
        return Bag(*(Money(max(0, m.minor), m.currency) for m in (self.shop_money, self.presentment_money)))

    def split(self, weights: Sequence[int]) -> list[Bag]:
        """Split this amount by `weights`, to the minor unit: the parts add up. Weights of 0 throughout share alike."""
        moneys = []
        for money in (self.shop_money, self.presentment_money):
            parts = _largest_remainder(money.minor, weights)
            moneys.append([Money(part, money.currency) for part in parts])
        return [Bag(shop, presentment) for shop, presentment in zip(*moneys, strict=True)]

    def document(self) -> dict[str, dict[str, str]]:
        """Return the form that webhook payloads carry."""
        return {
            name: {"amount": money.text, "currency_code": money.currency}
            for name, money in (("shop_money", self.shop_money), ("presentment_money", self.presentment_money))
        }
