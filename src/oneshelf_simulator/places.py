"""A shop of several locations: where its pieces lie, and what the merchant does so that each parcel leaves from where its work stands.

In: the emulated shop; a stream of chance of its own, so that a shop of one location stays as it is. Out: pieces by SKU and location.
Never: imports the product; counts what buyers bought.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from oneshelf_emulator.world import Product

from .options import Options

#: SKU and the name of a location.
Lies = Counter[tuple[str, str]]
#: In this share of SKUs all pieces lie at one location at first.
TOGETHER = 0.3


class Places:
    """`lies`: pieces on hand by SKU and location."""

    def __init__(self, shop: Any, options: Options, products: list[Product]) -> None:
        self.shop = shop
        self.rng = random.Random(f"{options.seed}:places")
        self.names = [place.name for place in shop.selling_locations()]
        self.carried: Counter[str] = Counter()
        self.lies: Lies = Counter({(product.sku, self.names[0]): product.stock for product in products})
        for number in range(2, options.locations + 1):
            self.names.append(shop.add_location(f"Warehouse {number}").name)
        self.several = len(self.names) > 1
        #: How many of them have closed.
        self.closed = 0
        #: Those that are closed at this moment.
        self.shut: list[str] = []
        #: From where marketplaces are served that not all locations serve.
        self.serving = {channel: [self.names[n] for n in some] for channel, some in options.served.items()}
        if self.several:
            self._spread(products)
        #: How many pieces of a SKU the merchant has carried since then.
        self.carried.clear()

    def _spread(self, products: list[Product]) -> None:
        """Deal the stock out: of some SKUs all to one location."""
        for product in products:
            some = self.names if self.rng.random() >= TOGETHER else [self.rng.choice(self.names)]
            dealt = Counter(self.rng.choice(some) for _ in range(product.stock))
            for place in self.names[1:]:
                if dealt[place]:
                    self.carry(product.sku, dealt[place], self.names[0], place)

    # --- which --------------------------------------------------------------------------------------------------------

    def any(self) -> str:
        """Where something happens."""
        return self.rng.choice(self.names) if self.several else self.names[0]

    def where(self, sku: str, pieces: int = 1) -> list[str]:
        """The locations where so many of a SKU lie."""
        return [place for place in self.names if self.lies[sku, place] >= pieces]

    def named(self, place: str) -> dict[str, str]:
        """How a hand in the shop names a location: not at all if there is but one."""
        return {"location": place} if self.several else {}

    def available(self, sku: str, place: str) -> int:
        """What the shop has to sell of a SKU at one location."""
        levels = self.shop.variant(sku).inventory_item.levels.values()
        return sum(int(level.quantity("available")) for level in levels if level.location.name == place)

    def owes(self, sku: str) -> bool:
        """Whether one of several locations has sold more than lies there. The shop then sells fewer of a strict SKU than its share: what is
        held back at the others stays so."""
        return self.several and min(self.available(sku, place) for place in self.names) < 0

    # --- what moves ---------------------------------------------------------------------------------------------------

    def move(self, sku: str, place: str, pieces: int) -> None:
        """Pieces come to a location (above 0) or go from it."""
        self.lies[sku, place] += pieces

    def carry(self, sku: str, pieces: int, origin: str, goal: str) -> None:
        """Pieces are carried from one location to another, and the shop is told."""
        self.carried[sku] += pieces
        self.shop.console("transfer", sku=sku, quantity=pieces, origin=origin, goal=goal)
        self.move(sku, origin, -pieces)
        self.move(sku, goal, pieces)

    def carry_some(self) -> tuple[str, int, str, str] | None:
        """The merchant evens out what lies where, now and then; returns what he carried, from where, to where."""
        sku = self.rng.choice(sorted({sku for sku, _ in self.lies}))
        origin, goal = self.rng.sample(self.names, 2)
        if self.lies[sku, origin] < 1:
            return None
        pieces = self.rng.randint(1, self.lies[sku, origin])
        self.carry(sku, pieces, origin, goal)
        return sku, pieces, origin, goal

    def close(self) -> tuple[str, str]:
        """One of the locations closes, and its pieces and orders go to another; returns which, and where to."""
        place, goal = self.rng.sample(self.names, 2)
        self.shop.console("deactivate_location", location=place, destination=goal)
        self.names.remove(place)
        self.closed += 1
        self.shut.append(place)
        for sku in sorted(sku for sku, where in self.lies if where == place):
            pieces = self.lies.pop((sku, place))
            self.lies[sku, goal] += pieces
            self.carried[sku] += abs(pieces)
        return place, goal

    def open_again(self) -> str:
        """The location that closed last opens again, with nothing in it; returns which."""
        place = self.shut.pop()
        self.shop.console("activate_location", location=place)
        self.names.append(place)
        return place

    # --- parcels ------------------------------------------------------------------------------------------------------

    def left_from(self, fulfillments: Iterable[str]) -> Lies:
        """From where the pieces of these parcels left, by SKU."""
        left: Lies = Counter()
        for gid in fulfillments:
            parcel = self.shop.store.find_any(gid)
            for piece in parcel.pieces:
                left[piece.line_item.sku, parcel.location.name] += piece.quantity
        return left

    def came_back_to(self, refund: str) -> str:
        """Where the pieces of a return were put back."""
        return str(self.shop.store.find_any(refund).lines[0].location.name)

    def parcels(self, order: str, wanted: dict[str, int]) -> list[dict[str, int]]:
        """These pieces of an order of the shop by the location that sends them; nothing if they do not lie where its work stands, and can't
        be brought there."""
        if not self.several:
            return [wanted]
        if not self._can_leave(order, wanted):
            return []
        parcels: dict[str, dict[str, int]] = {}
        for work, sku, pieces in self._work(order, wanted):
            parcels.setdefault(work.gid, {})[sku] = pieces
        return list(parcels.values())

    def _can_leave(self, order: str, wanted: Mapping[str, int]) -> bool:
        """What does not lie where its work stands, the merchant carries there, or he has the work done where it lies."""
        for work, sku, pieces in list(self._work(order, wanted)):
            missing = pieces - self.lies[sku, work.location.name]
            if missing <= 0:
                continue
            elsewhere = [place for place in self.where(sku, pieces) if place != work.location.name]
            if elsewhere and self.rng.random() < 0.5:
                try:
                    self.shop.console(
                        "move_fulfilment_order",
                        order=order,
                        location=elsewhere[0],
                        lines={sku: pieces},
                        fulfillment_order=work.gid,
                    )
                except ValueError:
                    return False
                continue
            for place in self.names:
                if missing > 0 and place != work.location.name and self.lies[sku, place] > 0:
                    some = min(missing, self.lies[sku, place])
                    self.carry(sku, some, place, work.location.name)
                    missing -= some
        needed: Lies = Counter()
        for work, sku, pieces in self._work(order, wanted):
            needed[sku, work.location.name] += pieces
        return all(self.lies[there] >= pieces for there, pieces in needed.items())

    def _work(self, order: str, wanted: Mapping[str, int]) -> Iterator[tuple[Any, str, int]]:
        """Which fulfilment order would send how many of which SKU, in the shop's own order."""
        left = dict(wanted)
        for work in self.shop.store.find_any(order).fulfillment_orders:
            for line in work.open_lines if work.is_live and not work.holds else ():
                pieces = min(line.remaining_quantity, left.get(line.line_item.sku, 0))
                if pieces > 0:
                    left[line.line_item.sku] -= pieces
                    yield work, line.line_item.sku, pieces
