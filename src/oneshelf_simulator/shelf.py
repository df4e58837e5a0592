"""The truth outside: what lies on the physical shelf, and what each marketplace itself says that it sold.

In: the emulated marketplaces; every move of a piece, told by whoever moved it. Out: pieces on hand, pieces still owed, by SKU.
Never: imports the product, or asks it anything: two counts that share code share mistakes.

A marketplace counts what it lists: a pack as one. Here all is pieces of the shelf's SKUs (`goods`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from oneshelf_emulator.emulation import Emulation
from oneshelf_emulator.etsy.shop import LISTING_LIFE_S
from oneshelf_emulator.world import Product, Sale

from .goods import MARKETPLACES, Goods
from .places import Lies, Places

#: A sold-out listing is reopened at most once an hour; clocks differ by up to five minutes, twice that if one is put right.
RENEWAL_S = 3_600.0 + 660.0
Key = tuple[str, str]


def plain_id(order_id: object) -> str:
    """Shopify's ids come as numbers and as global ids."""
    return str(order_id).rsplit("/", 1)[-1]


class Shelf:
    """Pieces on hand by SKU, and which pieces of which marketplace order have left."""

    def __init__(self, emulation: Emulation, products: list[Product], goods: Goods, places: Places) -> None:
        self.emulation = emulation
        self.goods = goods
        self.places = places
        self.on_hand: Counter[str] = Counter({product.sku: product.stock for product in products})
        self.damaged: Counter[str] = Counter()
        self.left: dict[Key, Counter[str]] = {}
        #: Pieces by SKU that people brought, and that they took, beside all sales.
        self.brought: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()
        #: When we last asked Etsy to open a sold-out listing again, and were not told that it did not, by listing id.
        self._renewal_asked: dict[str, datetime] = {}

    @property
    def skus(self) -> list[str]:
        return list(self.on_hand)

    def move(self, sku: str, place: str, pieces: int) -> None:
        """Pieces come (above 0) or go, without a sale."""
        self.on_hand[sku] += pieces
        self.places.move(sku, place, pieces)
        (self.brought if pieces > 0 else self.taken)[sku] += abs(pieces)

    def take_back(self, sku: str, place: str, pieces: int) -> None:
        """A buyer has sent pieces back, and they are sold again: nobody's edit."""
        self.on_hand[sku] += pieces
        self.places.move(sku, place, pieces)

    def lines_of(self, channel: str, order_id: str) -> Mapping[str, int]:
        """What an order of a channel asked for, by SKU."""
        for sale in self.sales():
            if sale.channel == channel and plain_id(sale.order_id) == plain_id(order_id):
                return sale.lines
        return {}

    def send(self, left: Lies) -> None:
        """A parcel leaves."""
        for (sku, place), pieces in left.items():
            self.on_hand[sku] -= pieces
            self.places.move(sku, place, -pieces)

    def leave(self, key: Key, left: Lies) -> None:
        """A parcel of a marketplace order leaves: once, however many systems are told of it."""
        there = self.left.setdefault(key, Counter())
        for (sku, _), pieces in left.items():
            there[sku] += pieces
        self.send(left)

    def owes(self, key: Key, pieces: Mapping[str, int]) -> bool:
        """Whether the buyer of a marketplace order still waits for all of these."""
        owed = dict(self.owed_by_marketplaces()).get(key, Counter())
        return all(owed[sku] >= count for sku, count in pieces.items())

    def sales(self) -> Iterator[Sale]:
        """Every purchase that a marketplace accepted."""
        yield from self.emulation.world.sales

    def pieces(self, sale: Sale) -> Counter[str]:
        """Pieces by SKU that a purchase takes."""
        return self.goods.pieces(sale.channel, sale.lines)

    def owed(self) -> Counter[str]:
        """Pieces by SKU that buyers still wait for."""
        owed = self.owed_by_web()
        for _, pieces in self.owed_by_marketplaces():
            owed.update(pieces)
        return owed

    def owed_by_web(self) -> Counter[str]:
        owed: Counter[str] = Counter()
        for order in self.web_orders():
            for work in order.fulfillment_orders:
                if not work.cancelled:
                    for line in work.lines:
                        owed[line.line_item.sku] += line.remaining_quantity
        return owed

    def web_orders(self) -> list[Any]:
        shop = self.emulation.marketplaces["shopify"]
        return [shop.store.get(_order_class(shop), number) for number in shop.sales_by_order]

    def owed_by_marketplaces(self) -> Iterator[tuple[Key, Counter[str]]]:
        for channel in MARKETPLACES:
            for order in self.emulation.marketplaces[channel].orders():
                key = (channel, order["id"])
                owed = self.goods.pieces(channel, order["lines"])
                gone = order.get("cancelled")
                if isinstance(gone, Mapping):
                    owed.subtract(self.goods.pieces(channel, gone))
                elif gone or order.get("state") == "lapsed":
                    owed.clear()
                owed.subtract(self.left.get(key, {}))
                yield key, Counter({sku: count for sku, count in owed.items() if count > 0})

    def is_hidden(self, sale: Sale) -> bool:
        """A purchase that no call of its marketplace shows: an eBay checkout that is not paid."""
        if sale.channel != "ebay":
            return False
        order = self.emulation.marketplaces["ebay"].order_desk.orders.get(sale.order_id)
        return order is None or order.visible_at is None

    def seen_from(self, sale: Sale) -> int:
        """From which instant on its marketplace shows a purchase that is not hidden (microseconds): eBay shows a checkout once it is paid."""
        at = sale.placed_at
        if sale.channel == "ebay":
            order = self.emulation.marketplaces["ebay"].order_desk.orders.get(sale.order_id)
            at = max(at, order.visible_at) if order is not None and order.visible_at is not None else at
        return int(at.timestamp() * 1_000_000)

    def is_listed(self, sale: Sale) -> bool:
        """Whether the marketplace's own order feed ever shows it (Amazon's search misses some)."""
        if sale.channel != "amazon":
            return True
        return bool(self.emulation.marketplaces["amazon"].book.orders[sale.order_id].listed)

    def parts_of_a_hand(self, channel: str, sku: str) -> set[str]:
        """SKUs that are shown otherwise once a hand has typed a number for this listing: Etsy's that is sold out opens with all of its
        offerings."""
        names = [sku]
        found = self.emulation.marketplaces["etsy"].shop.find(sku) if channel == "etsy" else None
        if found is not None and found[0].state == "sold_out":
            names = [product.sku for product in found[0].products]
        return {part for name in names for part in self.goods.parts(channel, name)}

    def waits_for_its_hour(self, sku: str) -> bool:
        """Whether Etsy's listing of that SKU is sold out, and was renewed less than an hour ago, or a call to do so had no answer then:
        opening it again costs a fee (S8.16)."""
        etsy = self.emulation.marketplaces["etsy"]
        found = etsy.shop.find(sku)
        if found is None or found[0].state != "sold_out":
            return False
        renewed_at = found[0].ends_at - timedelta(seconds=LISTING_LIFE_S)
        asked_at = self._renewal_asked.get(str(found[0].listing_id), renewed_at)
        return bool(self.emulation.clock.now() < max(renewed_at, asked_at) + timedelta(seconds=RENEWAL_S))

    def opens_with_too_many(self, sku: str, room: Mapping[str, int]) -> bool:
        """Whether Etsy's listing of that SKU is sold out and offers strict SKUs of which fewer pieces are free than one of each offering
        takes (`room`: pieces of each strict SKU that are shown nowhere): opened again it shows one of any, so it may stay closed (I15)."""
        found = self.emulation.marketplaces["etsy"].shop.find(sku)
        if found is None or found[0].state != "sold_out" or len(found[0].products) < 2:
            return False
        takes: Counter[str] = Counter()
        for product in found[0].products:
            takes.update(self.goods.parts("etsy", product.sku))
        return any(takes[strict] > free for strict, free in room.items())

    def renewal(self, listing_id: str, *, refused: bool) -> None:
        """A call to open a listing of Etsy's is on its way, or was refused."""
        if refused:
            self._renewal_asked.pop(listing_id, None)
        else:
            self._renewal_asked[listing_id] = self.emulation.clock.now()

    def shown(self, channel: str, sku: str) -> int:
        """How many of a listing a buyer may take."""
        return int(self.emulation.marketplaces[channel].shown(sku))

    def shown_pieces(self, channel: str, sku: str) -> int:
        """How many pieces of a SKU buyers may take there, by all listings that take it."""
        more = self.goods.that_take(channel, sku)
        return max(0, self.shown(channel, sku)) + sum(self.shown(channel, one.sku) * one.parts[sku] for one in more)

    def writes_a_fact(self) -> int:
        """How many listings one order's change may move: of its two SKUs, each with what takes it, and Etsy's variation beside it."""
        beside = 1
        return 2 * (
            beside + max(sum(1 + len(self.goods.that_take(one, sku)) for one in MARKETPLACES) for sku in self.skus)
        )

    def listed(self, channel: str) -> list[str]:
        """The SKUs of all listings there."""
        return [*self.skus, *(one.sku for one in self.goods.offered.values() if one.channel == channel)]

    def hub_level(self, sku: str) -> dict[str, int]:
        """The shop's own numbers of a SKU, over its locations."""
        found: Counter[str] = Counter()
        for level in self.emulation.marketplaces["shopify"].state()["levels"]:
            if level["sku"] == sku:
                found.update({name: value for name, value in level.items() if isinstance(value, int)})
        return dict(found)

    def on_shop_order(self, named: str) -> set[str]:
        """The SKUs of the shop's order whose id stands in a text."""
        orders = self.emulation.marketplaces["shopify"].orders()
        return {sku for one in orders if f'{one["gid"]}"' in named for sku in one["lines"]}

    def copies(self) -> list[tuple[str, str, dict[str, Any]]]:
        """The shop's orders that say they are a marketplace's: (channel, order id, order)."""
        orders = self.emulation.marketplaces["shopify"].orders()
        return [(one["source_name"], str(one["source_identifier"]), one) for one in orders if one["source_identifier"]]


def _order_class(shop: Any) -> Any:
    from oneshelf_emulator.shopify.order_records import Order

    return Order
