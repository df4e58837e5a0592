"""Listings that sell more than one piece: packs of one SKU, bundles of several. What each takes from the shelf.

In: the seed's options, the products. Out: what is listed where, as products for the marketplaces and as pieces for the judge.
Never: imports the product; draws anything from a stream that others draw from.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from oneshelf_emulator.catalogue import demo_products
from oneshelf_emulator.world import Product, Sale

from .options import MARKETPLACES, Options

#: Pieces of a pack (S1.7), small ones more often.
PACK_OF = (2, 2, 2, 3, 3, 4, 5, 6)
#: Who sells a thing by several has so many times that many more of it.
STOCKED = 2


class Offered(NamedTuple):
    """A listing at one marketplace under a SKU of its own. `parts`: pieces of the shelf's SKUs that one of it takes."""

    channel: str
    sku: str
    parts: dict[str, int]

    @property
    def is_pack(self) -> bool:
        return len(self.parts) == 1


def products_of(options: Options) -> list[Product]:
    """A few hot products; stock is short."""
    rng = random.Random(f"{options.seed}:stock")
    goods = demo_products(options.skus, seed=options.seed)
    return [
        Product(one.sku, one.title, one.price_minor, one.currency, rng.randint(1, options.stock_max), one.weight)
        for one in goods
    ]


def packs_of(options: Options, products: list[Product]) -> list[Offered]:
    """Draw the packs: mostly of what sells most, each at one marketplace."""
    rng = random.Random(f"{options.seed}:packs")
    found: dict[tuple[str, str], Offered] = {}
    for _ in range(options.packs):
        product = rng.choices(products, weights=[1.0 / (place + 2) for place in range(len(products))])[0]
        channel, pieces = rng.choice(MARKETPLACES), rng.choice(PACK_OF)
        sku = f"{product.sku}-PACK{pieces}"
        found[(channel, sku)] = Offered(channel, sku, {product.sku: pieces})
    return list(found.values())


def bundles_of(options: Options, products: list[Product]) -> list[Offered]:
    """Draw the bundles: two or three SKUs each, one or two pieces of each, under one SKU at one to three marketplaces."""
    rng = random.Random(f"{options.seed}:bundles")
    found = []
    for number in range(options.bundles):
        some = rng.sample(products[: max(4, len(products) // 2)], rng.choice((2, 2, 3)))
        parts = {product.sku: rng.choice((1, 1, 2)) for product in some}
        for channel in sorted(rng.sample(MARKETPLACES, rng.choice((1, 2, 3)))):
            found.append(Offered(channel, f"SET-{'ABCDEFGH'[number]}", parts))
    return found


class Goods:
    """Everything that takes several pieces. A listing that it does not know sells one piece of its own SKU."""

    def __init__(self, offered: Iterable[Offered] = ()) -> None:
        self.offered = {(one.channel, one.sku): one for one in offered}

    def parts(self, channel: str, sku: str) -> dict[str, int]:
        """Pieces by SKU that one of this listing takes."""
        known = self.offered.get((channel, sku))
        return {sku: 1} if known is None else known.parts

    def pieces(self, channel: str, lines: Mapping[str, int]) -> Counter[str]:
        """Pieces by SKU of so many of each listing there."""
        if not self.offered:
            return Counter(lines)
        taken: Counter[str] = Counter()
        for listing, count in lines.items():
            for sku, pieces in self.parts(channel, listing).items():
                taken[sku] += count * pieces
        return taken

    def most(self, sku: str) -> int:
        """How many pieces of a SKU one listing takes at most."""
        return max((one.parts.get(sku, 1) for one in self.offered.values()), default=1)

    def stocked(self, products: list[Product]) -> list[Product]:
        """The products, with enough on the shelf for a few packs."""
        return [
            replace(product, stock=product.stock + STOCKED * most) if (most := self.most(product.sku)) > 1 else product
            for product in products
        ]

    def listings(self, sale: Sale, sku: str) -> list[str]:
        """The listings of a purchase that take this SKU."""
        return [listing for listing in sale.lines if sku in self.parts(sale.channel, listing)]

    def that_take(self, channel: str, sku: str) -> list[Offered]:
        """The packs and bundles there that take this SKU."""
        return [one for one in self.offered.values() if one.channel == channel and sku in one.parts]

    def to_list(self, channel: str, products: list[Product]) -> list[Product]:
        """What this marketplace lists beside the single products. A pack costs a cent less than its pieces, so that few prices divide."""
        by_sku = {product.sku: product for product in products}
        found = []
        for one in self.offered.values():
            if one.channel != channel:
                continue
            price = sum(by_sku[sku].price_minor * pieces for sku, pieces in one.parts.items()) - 1
            stock = min(by_sku[sku].stock // pieces for sku, pieces in one.parts.items())
            first = by_sku[next(iter(one.parts))]
            found.append(Product(one.sku, f"{first.title} ({one.sku})", price, first.currency, stock, 0.0))
        return found
