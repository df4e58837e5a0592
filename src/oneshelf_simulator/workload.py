"""What people do: buy, cancel, pay late, send parcels, restock, count, edit numbers by hand, and let subscriptions vanish.

In: options, chance. Out: happenings at the emulated marketplaces, told to the shelf. Never: touches the engine but by a person's way.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from oneshelf_emulator.people import Crowd
from oneshelf_emulator.world import Buyer, Sale

from .net import Net
from .options import Options
from .shelf import MARKETPLACES, Key, Shelf
from .trace import Trace

SHARES = {"shopify": 0.35, "amazon": 0.3, "ebay": 0.2, "etsy": 0.15}
#: How many buyers are regulars, where most are; and how many of those whom Amazon lends an address type it elsewhere too.
RETURNING, SELDOM, TYPES_LENT = 0.65, 0.3, 0.8
#: How many of those who want a SKU take a pack of it where there is one.
PACK_SHARE = 0.5


class Workload:
    """Everybody outside. `edited(channel, sku, pieces)`: told of each number that a hand changed; `received(sku)`: of pieces that came in at the
    shop; `sold(sale, buyer)`: of each purchase."""

    def __init__(
        self,
        net: Net,
        shelf: Shelf,
        options: Options,
        trace: Trace,
        *,
        count: Callable[[str], None],
        edited: Callable[[str, str, int], None],
        received: Callable[[str], None],
        sold: Callable[[Sale, Buyer], None],
    ) -> None:
        self.net = net
        self.loop = net.loop
        self.shelf = shelf
        self.options = options
        self.trace = trace
        self.count = count
        self.edited = edited
        self.received = received
        self.sold = sold
        self.rng = random.Random(f"{options.seed}:people")
        self.crowd = Crowd(
            random.Random(f"{options.seed}:crowd"), returning_chance=RETURNING if options.regulars else SELDOM
        )
        #: Who takes a pack: a stream of its own, so that a world without packs stays as it is.
        self.choice = random.Random(f"{options.seed}:choice")
        self.shops = net.emulation.marketplaces
        self.places = shelf.places
        self.weights = {sku: 1.0 / (place + 1) for place, sku in enumerate(shelf.skus)}
        self.open = False
        self._parcels = 0
        self.fulfil_at: dict[str, float] = {}

    # --- when ----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the doors."""
        self.open = True
        o = self.options
        self._often(lambda: self._rate() / 3600, self.buy)
        for per_h, act in (
            (o.restocks_per_h, self.restock),
            (o.edits_per_h, self.count_shelf),
            (o.cancels_per_h, self.cancel),
            (o.returns_per_h, self.give_back),
            (12.0, self.send_parcels),
        ):
            if per_h > 0:
                self._often(lambda per_h=per_h: per_h / 3600, act)  # type: ignore[misc]
        if self.places.several:
            self._often(lambda: self.options.carried_per_h / 3600, self.carry)
        if o.closes_at_s:
            self.loop.call_later(o.closes_at_s, self.close_place, context=self.net.outside)
        if o.opens_again_at_s:
            self.loop.call_later(o.opens_again_at_s, self.open_place_again, context=self.net.outside)

    def stop(self) -> None:
        """Nobody comes any more."""
        self.open = False

    def _rate(self) -> float:
        o, now = self.options, self.loop.time()
        flash = o.flash_s and o.flash_at_s <= now < o.flash_at_s + o.flash_s
        return o.orders_per_h * (o.flash_factor if flash else 1.0)

    def _often(self, per_s: Callable[[], float], act: Callable[[], None]) -> None:
        def due() -> None:
            if not self.open:
                return
            act()
            again()

        def again() -> None:
            wait = min(self.rng.expovariate(per_s()), 600.0)
            self.loop.call_later(wait, due if wait < 600.0 else again_if_open, context=self.net.outside)

        def again_if_open() -> None:
            if self.open:
                again()

        again()

    # --- buyers --------------------------------------------------------------------------------------------------------

    def buy(self) -> None:
        channel = self.rng.choices(list(SHARES), weights=list(SHARES.values()))[0]
        skus = self.rng.choices(
            list(self.weights), weights=list(self.weights.values()), k=self.rng.choice((1, 1, 1, 2))
        )
        self.buy_there(channel, dict.fromkeys(skus, 0))

    def buy_there(self, channel: str, cart: dict[str, int], pieces: int | None = None) -> bool:
        """A buyer takes 1 to 3 of each, as many as are shown; or packs of it, where it is sold so."""
        shop = self.shops[channel]
        cart = {self._listing(channel, sku): 0 for sku in cart}
        for sku in cart:
            cart[sku] = min(pieces or self.rng.choice((1, 1, 1, 2, 3)), int(shop.shown(sku)))
        cart = {sku: count for sku, count in cart.items() if count > 0}
        if not cart:
            self.trace.note("turned_away", channel)
            return False
        buyer = self._as_typed(channel, self.crowd.next())
        sale = shop.buy(buyer, cart)
        self.trace.note("sale" if sale else "refused_sale", channel, *sorted(cart.items()))
        if sale is not None:
            self.sold(sale, buyer)
        return sale is not None

    def _as_typed(self, channel: str, buyer: Buyer) -> Buyer:
        """What a regular types into the web shop: now and then the address that Amazon lends, and no phone."""
        if channel != "shopify" or not self.options.regulars:
            return buyer
        lent = [one.relay_email for one in self.shops["amazon"].book.orders.values() if one.buyer.key == buyer.key]
        if not lent or self.choice.random() >= TYPES_LENT:
            return buyer
        return replace(buyer, email=lent[0], address=replace(buyer.address, phone=None))

    def _listing(self, channel: str, sku: str) -> str:
        """Under which SKU somebody there finds it."""
        more = self.shelf.goods.that_take(channel, sku)
        return self.choice.choice(more).sku if more and self.choice.random() < PACK_SHARE else sku

    def cancel(self) -> None:
        """A buyer or the seller cancels at the channel's own site."""
        channel = self.rng.choice(("shopify", *MARKETPLACES))
        if channel == "etsy" and not self._etsy_may_cancel():
            return
        orders = [
            order for order in self.shops[channel].orders() if not order.get("imported") and not order.get("shipped")
        ]
        if not orders:
            return
        order = self.rng.choice(orders[-12:])
        actions: dict[str, list[tuple[str, dict[str, Any]]]] = {
            "amazon": [
                ("buyer_cancel", {"order_id": order["id"]}),
                ("cancel_order", {"order_id": order["id"], "reason": "GeneralAdjustment"}),
                ("fail_payment", {"order_id": order["id"]}),
            ],
            "ebay": [("cancel", {"order_id": order["id"], "restock": self.rng.random() < 0.3})],
            "etsy": [("cancel", {"order_id": order["id"], "restock": self.rng.random() < 0.3})],
            "shopify": [("cancel", {"order": order["gid"]} if "gid" in order else {}), ("part", {})],
        }
        action, arguments = self.rng.choice(actions[channel])
        if action == "part":
            self._take_off(order)
            return
        self.console(channel, action, **arguments)

    def _etsy_may_cancel(self) -> bool:
        """A cancel at Etsy may never show in its feed: open orders are read again each hour, and that has to fit in before the end."""
        return self.loop.time() < self.options.fault_s - 4_500.0

    def _take_off(self, order: dict[str, Any]) -> None:
        """The merchant takes a piece off a web order that was not sent (F25)."""
        sku = self.rng.choice(sorted(order["lines"]))
        if order["current"][sku] - order["fulfilled"][sku] > 0 and self.console(
            "shopify", "refund_lines", order=order["gid"], lines={sku: 1}, restock="CANCEL"
        ):
            self.count("quantity_changed")

    def console(self, channel: str, action: str, **arguments: Any) -> dict[str, Any] | None:
        """Do it if the channel's own site lets it be done."""
        try:
            done: dict[str, Any] = self.shops[channel].console(action, **arguments)
        except ValueError as refusal:
            self.trace.note("console_refused", channel, action, str(refusal)[:60].replace(" ", "_"))
            return None
        self.trace.note("console", channel, action, *sorted((k, str(v)) for k, v in arguments.items()))
        return done

    # --- the merchant --------------------------------------------------------------------------------------------------

    def restock(self) -> None:
        sku = self.rng.choice(self.shelf.skus)
        pieces = self.rng.randint(1, max(2, self.options.stock_max // 2)) + self.shelf.goods.most(sku) - 1
        place = self.places.any()
        if self.console("shopify", "receive", sku=sku, quantity=pieces, **self.places.named(place)):
            self.shelf.move(sku, place, pieces)
            self.received(sku)

    def carry(self) -> None:
        """The merchant carries pieces from one location to another."""
        carried = self.places.carry_some()
        if carried is not None:
            self.trace.note("carried", *carried)

    def close_place(self) -> None:
        """The merchant gives a location up."""
        if self.open:
            self.trace.note("closed", *self.places.close())

    def open_place_again(self) -> None:
        """And takes it again: what comes there is carried there."""
        if self.open:
            self.trace.note("opened", self.places.open_again())

    def count_shelf(self) -> None:
        """A count finds a piece more or less; or a piece is damaged."""
        sku, place = self.rng.choice(self.shelf.skus), self.places.any()
        if self.rng.random() < 0.3 and self.places.available(sku, place) > 0:
            if self.console("shopify", "move", sku=sku, quantity=1, **self.places.named(place)):
                self.shelf.damaged[sku] += 1
                self.edited("shelf", sku, 1)
            return
        delta = self.rng.choice((-1, -1, 1, 2))
        if delta < 0 and self.places.lies[sku, place] < 1:
            return
        if self.console("shopify", "adjust", sku=sku, delta=delta, **self.places.named(place)):
            self.shelf.move(sku, place, delta)
            if delta < 0:
                self.edited("shelf", sku, -delta)
            else:
                self.received(sku)

    def send_parcels(self) -> None:
        """The merchant packs what was ordered a while ago, from the shop's own list; now and then only a part, or at the marketplace."""
        now = self.loop.time()
        for order in self.shops["shopify"].orders():
            if order["state"] in ("cancelled", "fulfilled") or self.fulfil_at.get(order["gid"]) == 0.0:
                continue
            due = self.fulfil_at.get(order["gid"])
            if due is None:
                wanted = self.rng.random() < self.options.fulfil_share
                wait = self.rng.expovariate(1 / self.options.fulfil_after_s)
                self.fulfil_at[order["gid"]] = now + wait if wanted else 0.0
            elif due <= now:
                self.fulfil_at[order["gid"]] = 0.0
                self._fulfil(order)

    def _fulfil(self, order: dict[str, Any]) -> None:
        left = {sku: order["current"][sku] - order["fulfilled"][sku] for sku in sorted(order["lines"])}
        left = {sku: pieces for sku, pieces in left.items() if pieces > 0}
        if not left or any(self.shelf.on_hand[sku] < pieces for sku, pieces in left.items()):
            return
        if sum(left.values()) > 1 and self.rng.random() < 0.2:  # a first parcel; the rest follows
            sku = self.rng.choice(sorted(left))
            left = {sku: 1}
            self.fulfil_at[order["gid"]] = self.loop.time() + 900.0
        for parcel in self.places.parcels(order["gid"], left):
            self._send(order, parcel)

    def _send(self, order: dict[str, Any], left: dict[str, int]) -> None:
        """One parcel, from one location."""
        key = (order["source_name"], str(order["source_identifier"])) if order["source_identifier"] else None
        self._parcels += 1
        tracking = {"company": "UPS", "number": f"1Z{self._parcels:08d}", "url": ""}
        done = self.console("shopify", "fulfil", order=order["gid"], lines=left, tracking=tracking)
        if done is None:
            return
        if key is not None:
            if not self.shelf.owes(key, left):  # cancelled there meanwhile: the pieces leave without a sale
                for sku, pieces in left.items():
                    self.edited("shelf", sku, pieces)
            self.shelf.leave(key, self.places.left_from(done["fulfillments"]))
            if self.rng.random() < 0.3:
                self._cancel_crossing(key)
        else:
            self.shelf.send(self.places.left_from(done["fulfillments"]))

    def _cancel_crossing(self, key: Key) -> None:
        """The buyer cancels at the marketplace while the parcel leaves (F26)."""
        if not self.options.counts.get("cancel_crossings"):
            return
        channel, order_id = key
        if channel == "etsy" and not self._etsy_may_cancel():
            return
        action = {"amazon": "cancel_order", "ebay": "cancel", "etsy": "cancel"}[channel]
        if self.console(channel, action, order_id=order_id):
            self.count("cancel_crossings")

    def give_back(self) -> None:
        """A buyer sends a piece back; the merchant restocks it in the shop."""
        for order in reversed(self.shops["shopify"].orders()):
            for sku, sent in sorted(order["fulfilled"].items()):
                if sent > 0 and order["current"][sku] > 0 and self.rng.random() < 0.5:
                    done = self.console(
                        "shopify", "refund_lines", order=order["gid"], lines={sku: 1}, restock="RETURN", money=False
                    )
                    if done:
                        self.shelf.take_back(sku, self.places.came_back_to(done["refund"]), 1)
                    return

    def edit_by_hand(self, channel: str | None = None, sku: str | None = None) -> None:
        """Somebody types a number at a marketplace (F57)."""
        channel = channel or self.rng.choice(MARKETPLACES)
        sku = self._listing(channel, sku or self.rng.choice(self.shelf.skus))
        quantity = max(0, self.shelf.shown(channel, sku) + self.rng.choice((-2, -1, 1, 2, 3)))
        self.edited(channel, sku, 1)
        if self.console(channel, "set_quantity", sku=sku, quantity=quantity):
            self.count("hand_edits")
