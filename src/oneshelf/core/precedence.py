"""Which rule speaks for an item at an account: one total order of selectors, and a trace of it. Blind to what a rule holds.

A selector is a place (one account, a channel's accounts, all accounts) × goods (one SKU, a tag, a vendor, a product type,
everything). Of all rules that fit, the narrowest wins whole; rules are never added up. Narrower first:

1. the place: one account, then a channel, then all accounts;
2. the goods: a SKU, then a tag, then a vendor, then a product type, then everything;
3. the merchant's own `rank`, smaller first: an item may have several tags that rules speak of;
4. the alphabet.

The place goes before the goods: what is said of Amazon alone stands above what is said of a SKU everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Literal, Protocol, TypeVar

import msgspec

Goods = Literal["sku", "tag", "vendor", "type", "all"]

#: How narrow, narrowest first.
GOODS: tuple[Goods, ...] = ("sku", "tag", "vendor", "type", "all")
PLACES = ("account", "channel", "all")
RANK_DEFAULT = 100
RANK_MAX = 1_000_000


class Selector(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a rule holds. `account_id` 0 and `channel` "": everywhere; never both. `value` "" where `goods` is "all".

    `rank` decides between rules that are equally narrow, smaller first. A SKU is compared letter by letter; tags, vendors and types
    without regard to case and outer spaces, as shops do.
    """

    account_id: int = 0
    channel: str = ""
    goods: Goods = "all"
    value: str = ""
    rank: int = RANK_DEFAULT

    @property
    def place(self) -> Literal["account", "channel", "all"]:
        return "account" if self.account_id else "channel" if self.channel else "all"


class ItemFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What rules may know of an item."""

    sku: str
    tags: tuple[str, ...] = ()
    vendor: str = ""
    product_type: str = ""


class Ruled(Protocol):
    """Anything with a selector."""

    @property
    def selector(self) -> Selector: ...


R = TypeVar("R", bound=Ruled)


class Fitting(msgspec.Struct, Generic[R], frozen=True):
    """A rule that fits. `lost`: why it does not speak; "" for the one that does."""

    rule: R
    lost: str


def folded(value: str) -> str:
    """Return the form in which tags, vendors and types are compared.

    >>> folded(" Sale ") == folded("SALE")
    True
    """
    return value.strip().casefold()


def check(selector: Selector) -> None:
    """Raise ValueError with words if a selector can't be one."""
    if selector.account_id and selector.channel:
        raise ValueError("a rule is for one account or for a channel, not both")
    if selector.account_id < 0:
        raise ValueError("an account's number is above 0")
    if selector.goods not in GOODS:
        raise ValueError(f"a rule speaks of {', '.join(GOODS)}, not of {selector.goods!r}")
    if (selector.goods == "all") != (not selector.value.strip()):
        what = "a rule for everything names nothing" if selector.goods == "all" else f"name the {selector.goods}"
        raise ValueError(what)
    if not 0 <= selector.rank <= RANK_MAX:
        raise ValueError(f"a rank is 0 to {RANK_MAX}, smaller goes first")


def key(selector: Selector) -> tuple[int, int, int, str, str, int, str]:
    """Return the place of a selector in the order, narrowest first. Equal keys are equal selectors: the order is total."""
    return (
        PLACES.index(selector.place),
        GOODS.index(selector.goods),
        selector.rank,
        _compared(selector),
        selector.value,
        selector.account_id,
        selector.channel,
    )


def fits(selector: Selector, item: ItemFacts, account_id: int, channel: str) -> bool:
    """Whether a rule speaks of this item at this account."""
    if selector.account_id not in (0, account_id) or selector.channel not in ("", channel):
        return False
    return (selector.goods, _compared(selector)) in _names(item)


class Book(Generic[R]):
    """Rules, found by what they speak of: deciding for an item looks at the few that name it, however many there are."""

    def __init__(self, rules: Iterable[R]) -> None:
        self._by_name: dict[tuple[Goods, str], list[R]] = {}
        for rule in rules:
            self._by_name.setdefault((rule.selector.goods, _compared(rule.selector)), []).append(rule)

    def fitting(self, item: ItemFacts, account_id: int, channel: str) -> list[R]:
        """Return the rules that fit, in the order of precedence."""
        found = [
            rule
            for name in _names(item)
            for rule in self._by_name.get(name, ())
            if rule.selector.account_id in (0, account_id) and rule.selector.channel in ("", channel)
        ]
        return sorted(found, key=lambda rule: key(rule.selector)) if len(found) > 1 else found

    def winner(self, item: ItemFacts, account_id: int, channel: str) -> R | None:
        """Return the rule that speaks; None: none fits."""
        return next(iter(self.fitting(item, account_id, channel)), None)

    def trace(self, item: ItemFacts, account_id: int, channel: str) -> list[Fitting[R]]:
        """Return every rule that fits, in order, the winner first, and why each of the others lost to it."""
        found = self.fitting(item, account_id, channel)
        return [
            Fitting(rule, why_lost(rule.selector, found[0].selector) if place else "")
            for place, rule in enumerate(found)
        ]


def why_lost(loser: Selector, winner: Selector) -> str:
    """Say in words what decided between two rules that both fit."""
    if loser.place != winner.place:
        names = {"account": "one account", "channel": "one channel", "all": "all accounts"}
        return f"a rule for {names[winner.place]} goes before one for {names[loser.place]}"
    if loser.goods != winner.goods:
        names = {"sku": "a SKU", "tag": "a tag", "vendor": "a vendor", "type": "a product type", "all": "everything"}
        return f"a rule for {names[winner.goods]} goes before one for {names[loser.goods]}"
    if loser.rank != winner.rank:
        return f"rank {winner.rank} goes before rank {loser.rank}"
    return f"of equal rank, {winner.value!r} goes before {loser.value!r} by the alphabet"


def _compared(selector: Selector) -> str:
    return selector.value if selector.goods == "sku" else folded(selector.value)


def _names(item: ItemFacts) -> set[tuple[Goods, str]]:
    """Everything that a rule may call this item by."""
    names: set[tuple[Goods, str]] = {("sku", item.sku), ("all", "")}
    names.update(("tag", folded(tag)) for tag in item.tags if tag.strip())
    if item.vendor.strip():
        names.add(("vendor", folded(item.vendor)))
    if item.product_type.strip():
        names.add(("type", folded(item.product_type)))
    return names
