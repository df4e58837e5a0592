"""What a listing ought to ask, and why; or why there is no price for it. Pure: the one place where a price is decided.

In: what the listing sells and what the hub asks for it, the listing's currency, the account's policy. Out: a price with its terms, or a
reason. Never: gives a price of 0 or less, or one in another currency than the listing's; looks at what the listing asks now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from .facts import Money


class HubPart(msgspec.Struct, frozen=True):
    """One SKU of a listing. `units`: pieces of it that one unit of the listing sells; `price`: what the hub asks for a piece, None where it
    is not known; `deleted`: it does not exist in the hub any more."""

    sku: str
    units: int
    price: Money | None
    deleted: bool = False


class PricePolicy(msgspec.Struct, frozen=True):
    """What the merchant lets us do with an account's prices. `follows`: ask what the hub asks."""

    follows: bool = False


OFF = PricePolicy()
FOLLOW = PricePolicy(follows=True)


class Priced(msgspec.Struct, frozen=True):
    """Ask this. `why`: the terms as they are kept with an attempt, plain JSON values."""

    price: Money
    why: dict[str, Any]


#: Why there is no price. The listing keeps the one it has.
NoPriceCode = Literal["off", "not_linked", "deleted", "unknown", "mixed", "currency", "not_positive"]


class NoPrice(msgspec.Struct, frozen=True):
    """There is nothing to ask, and why: `code` for machines, `reason` for the merchant."""

    code: NoPriceCode
    reason: str


def decide_price(parts: Sequence[HubPart], currency: str | None, policy: PricePolicy) -> Priced | NoPrice:
    """Return what a listing asks under this policy. `currency`: the listing's own; None: it was never read, so the hub's is taken.

    Following: the hub's price of every piece that one unit sells, added up, to the minor unit.

    >>> mug = HubPart("MUG", 2, Money(1250, "EUR"))
    >>> decide_price([mug], "EUR", FOLLOW).price
    Money(minor=2500, currency='EUR')
    >>> decide_price([mug], "USD", FOLLOW).code
    'currency'
    """
    if not policy.follows:
        return NoPrice("off", "this account's prices are left alone")
    if not parts:
        return NoPrice("not_linked", "no SKU is tied to it")
    total, currencies = 0, set()
    for part in parts:
        if part.deleted:
            return NoPrice("deleted", f"{part.sku} was deleted in the shop")
        if part.price is None:
            return NoPrice("unknown", f"the shop's price of {part.sku} is not known")
        total += part.units * part.price.minor
        currencies.add(part.price.currency)
    if len(currencies) > 1:
        return NoPrice("mixed", f"its SKUs are priced in {' and '.join(sorted(currencies))}")
    hub_currency = currencies.pop()
    if currency is not None and currency != hub_currency:
        return NoPrice(
            "currency", f"it asks in {currency}, the shop in {hub_currency}, and there is no rate for prices"
        )
    if total <= 0:
        return NoPrice("not_positive", "the shop's price is 0 or less, which is never sent")
    terms = [
        {"sku": part.sku, "units": part.units, "hub_price": part.price.minor if part.price else None} for part in parts
    ]
    return Priced(Money(total, hub_currency), {"policy": "follow", "currency": hub_currency, "parts": terms})


# --- how urgent, how patient -------------------------------------------------------------------------------------------

#: Prices among themselves: what the shop changed goes before first fills and repairs.
PRICE_CHANGED = 5
PRICE_REPAIR = 6
#: What every price call asks the limiter with. It does not age: a price never overtakes a number.
PRICE_CALL = 6
#: The third time within this many days that somebody else's price is found stops the repairs.
REPAIR_DAYS = 7
