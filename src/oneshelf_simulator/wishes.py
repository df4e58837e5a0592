"""What the merchant asks for beside selling: strict SKUs, packs and bundles, announced rushes, short orders left to us, where orders leave from and what serves whom; and what came of it.

In: the run's options and products. Out: commands to the engine once all is connected; counts. Never: judges.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

from oneshelf_emulator.world import Product, Sale

from .auditor import Auditor
from .engine import Engine
from .goods import Goods
from .options import Options


class Wishes:
    """One run's. `counts`: what was asked for, and what buyers took of it."""

    def __init__(
        self, options: Options, products: list[Product], goods: Goods, serving: Mapping[str, list[str]]
    ) -> None:
        self.options = options
        self.serving = serving
        self.goods = goods
        self.skus = [product.sku for product in products]
        self.strict = _strict(options, self.skus)
        self.counts: Counter[str] = Counter()

    async def ask(self, engine: Engine) -> None:
        """Say all of it."""
        o = self.options
        if not o.adaptive:
            await engine.offer_plainly()
        await engine.make_strict(self.strict)
        self.counts["strict"] = len(self.strict)
        await self._offer(engine)
        if o.routed:
            await engine.route_orders(split=o.split)
            self.counts["routed"] = 1
        for channel, locations in self.serving.items():
            await engine.serve(channel, locations)
            self.counts["served_apart"] += 1
        if o.announced:
            await engine.announce(self.skus, o.flash_at_s, o.flash_at_s + o.flash_s, o.flash_factor)
            self.counts["announced"] = 1
        if o.cancels_short:
            await engine.leave_short()

    async def _offer(self, engine: Engine) -> None:
        bundles: dict[str, dict[str, int]] = {}
        for one in self.goods.offered.values():
            if one.is_pack:
                await engine.link(one.channel, one.sku, one.parts)
                self.counts["packs"] += 1
            else:
                bundles[one.sku] = one.parts
        for sku, parts in bundles.items():
            await engine.bundle(sku, parts)
            self.counts["bundles"] += 1

    def sold(self, sale: Sale) -> None:
        """Of what is sold by several pieces, somebody may have bought."""
        for listing, count in sale.lines.items():
            made = self.goods.offered.get((sale.channel, listing))
            if made is not None:
                self.counts["packs_sold" if made.is_pack else "bundles_sold"] += count

    def came_to(self, auditor: Auditor) -> dict[str, int]:
        """The counts, with what the engine did of it."""
        rows, customers = auditor.rows, auditor.customers
        ((cancelled,),) = rows("SELECT COUNT(*) FROM intent WHERE kind = 'cancel' AND state = 'DONE'")
        ((settled,),) = rows("SELECT COUNT(*) FROM release WHERE why = 'settled'")
        found = self.counts + Counter(cancelled_short=cancelled, released_settled=settled)
        found += Counter(carried=auditor.shelf.places.carried.total(), closed=auditor.shelf.places.closed)
        found += Counter(bought_elsewhere_too=customers.again_elsewhere(), lent_address_typed=customers.lent())
        return dict(sorted(found.items()))


def _strict(options: Options, skus: list[str]) -> list[str]:
    """The SKUs that must never be sold twice."""
    rng = random.Random(f"{options.seed}:strict")
    return sorted(rng.sample(skus, min(options.strict, len(skus))))
