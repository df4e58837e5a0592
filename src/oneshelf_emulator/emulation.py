"""The outside world, assembled: the four marketplaces with the same goods, their buyers, and how it starts anew.

In: a seed, a clock, products. Out: one ASGI app a marketplace, behind its fault gate.
Owns: the world and all marketplaces. Never: opens a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.types import Receive, Scope, Send

from .amazon import Amazon
from .amazon.limits import MARKETPLACES
from .breaking import BrokenStates
from .catalogue import demo_products
from .clock import Clock
from .courier import Deliver
from .ebay import Ebay
from .etsy import Etsy
from .shopify import Shopify
from .shoppers import Shoppers
from .throttle import FaultGate
from .world import Product, World

MARKETPLACE_CLASSES: dict[str, Any] = {"shopify": Shopify, "amazon": Amazon, "ebay": Ebay, "etsy": Etsy}
CHANNELS = tuple(MARKETPLACE_CLASSES)


#: A shop with more things than this has them as variations: more listings than that Etsy would not list page by page (offset_ceiling).
ETSY_SINGLES_MAX = 10_000


class Emulation:
    """One outside world. `apps[channel]` stays the same object when the world is reset."""

    def __init__(
        self,
        *,
        seed: int = 1,
        clock: Clock | None = None,
        products: Sequence[Product] | None = None,
        base_urls: Mapping[str, str] | None = None,
        switches: Mapping[str, Mapping[str, Any]] | None = None,
        channels: Sequence[str] = CHANNELS,
    ) -> None:
        self.clock = clock or Clock()
        self.base_urls = dict(base_urls or {})
        self.switches = {name: dict(each) for name, each in (switches or {}).items()}
        self.channels = tuple(channels)
        self.deliver: Deliver | None = None
        self.send_message: Any = None
        self.set_queue: Any = None
        self.queue: dict[str, str] = {}
        self.before_reset: Callable[[], None] = lambda: None
        self.products: list[Product] = list(products) if products is not None else demo_products(seed=seed)
        self.apps = {name: _Door(self, name) for name in self.channels}
        self.world: World
        self.marketplaces: dict[str, Any]
        self.broken = BrokenStates(self)
        self._build(seed)

    def _build(self, seed: int) -> None:
        self.broken.forget()
        self.world = World(seed=seed, clock=self.clock)
        self.marketplaces = {}
        for name in self.channels:
            base_url = self.base_urls.get(name, f"http://{name}.test")
            switches = {**_fitting(name, self.products), **self.switches.get(name, {})}
            marketplace = MARKETPLACE_CLASSES[name](self.world, base_url=base_url, **switches)
            marketplace.stock_up(self.products)
            self.marketplaces[name] = marketplace
            self.apps[name].gate = FaultGate(marketplace.app, self.world, name)
        self.shoppers = Shoppers(self.world, self.marketplaces, self.products)
        self.connect(self.deliver, self.send_message, self.queue)

    def connect(self, deliver: Deliver | None, send_message: Any, queue: dict[str, str]) -> None:
        """Say how webhooks travel, and how and where queue messages do (None: they are kept in `amazon.sent`)."""
        self.deliver, self.send_message, self.queue = deliver, send_message, dict(queue)
        self.world.courier.deliver = deliver
        amazon = self.marketplaces.get("amazon")
        if amazon is not None:
            amazon.queue = dict(queue)
            amazon.set_queue = self.set_queue
            if send_message is not None:
                amazon.send_message = send_message

    def set_base_url(self, channel: str, url: str) -> None:
        """Tell a marketplace under which address it is reached."""
        self.base_urls[channel] = url
        self.marketplaces[channel].base_url = url

    def reset(self, *, seed: int | None = None, products: Sequence[Product] | None = None) -> None:
        """Begin a new world: same addresses, all orders, tokens, webhooks and faults gone. Same seed, same ids."""
        self.shoppers.stop()
        old = self.world
        old.courier.stop()
        self.before_reset()
        if products is not None:
            self.products = list(products)
        self._build(old.seed if seed is None else seed)

    def credentials(self) -> dict[str, Any]:
        """Return what a client needs, by channel."""
        return {name: marketplace.credentials() for name, marketplace in self.marketplaces.items()}

    def state(self) -> dict[str, Any]:
        """Return everything that the control door shows of the world."""
        return {
            "seed": self.world.seed,
            "factor": self.clock.factor,
            "now": self.clock.now().isoformat(),
            "sales": len(self.world.sales),
            "messages_in_flight": self.world.courier.in_flight,
            "faults_injected": dict(self.world.faults.injected),
            "shoppers": self.shoppers.report(),
            "marketplaces": {name: marketplace.state() for name, marketplace in self.marketplaces.items()},
        }


class _Door:
    """Leads to whatever world is there now, so that a server outlives a reset."""

    def __init__(self, emulation: Emulation, channel: str) -> None:
        self.emulation = emulation
        self.channel = channel
        self.gate: FaultGate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.gate(scope, receive, send)


def _fitting(channel: str, products: Sequence[Product]) -> dict[str, Any]:
    """Return the switches by which a marketplace trades in the currency of the catalogue."""
    currency = products[0].currency if products else "USD"
    if channel == "shopify":
        return {"currency": currency, "taxes_included": currency not in ("USD", "CAD")}
    if channel == "amazon":
        places = [place.id for place in MARKETPLACES.values() if place.currency == currency]
        return {"marketplace_ids": tuple(places[:1])} if places else {}
    if channel == "etsy" and len(products) > ETSY_SINGLES_MAX:
        return {"group_by": "numbers"}
    return {}
