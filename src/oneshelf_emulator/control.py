"""The control door, `/_emulator/`: what tests, demos and people use to steer the world. No marketplace has it.

In: JSON. Out: JSON; errors say what to do.
Never: is reached through a marketplace's port; asks for a password (it listens where the emulator listens).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .catalogue import demo_products, parse_products
from .clock import VirtualClock
from .emulation import Emulation
from .faults import FAULTS
from .shoppers import Plan
from .world import Address, Buyer, Sale

PREFIX = "/_emulator"
#: Longest step of a virtual clock, seconds; in between, deliveries happen at their time.
STEP_S = 1.0
DIARY_PAGE = 1_000
PRODUCTS_MAX = 20_000

Handler = Callable[[Request], Awaitable[Response]]


class _Bad(Exception):
    """The caller asked for something that cannot be done; `do` says what to do instead."""

    def __init__(self, problem: str, do: str, status: int = 400) -> None:
        super().__init__(problem)
        self.do = do
        self.status = status


def control_app(emulation: Emulation) -> Starlette:
    """Return the control door of one emulation."""
    door = _Control(emulation)
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/state", door.get_state),
        ("GET", "/credentials", door.get_credentials),
        ("GET", "/products", door.get_products),
        ("GET", "/sales", door.get_sales),
        ("GET", "/orders", door.get_orders),
        ("GET", "/diary", door.get_diary),
        ("GET", "/faults", door.get_faults),
        ("POST", "/faults", door.set_fault),
        ("DELETE", "/faults", door.clear_faults),
        ("POST", "/arm", door.arm_fault),
        ("POST", "/clock", door.set_clock),
        ("POST", "/reset", door.reset),
        ("GET", "/shoppers", door.get_shoppers),
        ("POST", "/shoppers", door.start_shoppers),
        ("DELETE", "/shoppers", door.stop_shoppers),
        ("POST", "/buy", door.buy),
        ("POST", "/console", door.console),
        ("POST", "/etsy/webhooks", door.etsy_webhook),
        ("GET", "/break", door.get_broken),
        ("POST", "/break", door.set_broken),
        ("DELETE", "/break", door.mend_all),
    ]
    routes = [Route(PREFIX + path, _answered(handler), methods=[method]) for method, path, handler in table]

    async def no_route(request: Request, failure: Exception) -> Response:
        known = [f"{method} {PREFIX}{path}" for method, path, _ in table]
        problem = f"there is no {request.method} {request.url.path}"
        return JSONResponse({"error": problem, "do": "use one of these", "known": known}, 404)

    return Starlette(routes=routes, exception_handlers={HTTPException: no_route})


def _answered(handler: Handler) -> Handler:
    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request)
        except _Bad as bad:
            return JSONResponse({"error": str(bad), "do": bad.do}, bad.status)
        except (ValueError, KeyError, TypeError) as problem:
            text = problem.args[0] if problem.args else type(problem).__name__
            return JSONResponse({"error": str(text), "do": "correct the request; see the emulator's README"}, 400)

    return endpoint


class _Control:
    def __init__(self, emulation: Emulation) -> None:
        self.emulation = emulation

    # Reading

    async def get_state(self, request: Request) -> Response:
        return JSONResponse(self.emulation.state())

    async def get_credentials(self, request: Request) -> Response:
        return JSONResponse(self.emulation.credentials())

    async def get_products(self, request: Request) -> Response:
        return JSONResponse({"products": [asdict(product) for product in self.emulation.products]})

    async def get_sales(self, request: Request) -> Response:
        """All sales from number `since` on, oldest first; `next` is the `since` of the next call."""
        since = _whole(request.query_params.get("since", "0"), "since")
        sales = self.emulation.world.sales
        return JSONResponse({"next": len(sales), "sales": [_sale(sale) for sale in sales[since:]]})

    async def get_orders(self, request: Request) -> Response:
        marketplace = self._marketplace(request.query_params.get("channel"))
        return JSONResponse({"orders": marketplace.orders()})

    async def get_diary(self, request: Request) -> Response:
        """At most 1000 lines from number `since` on; `next` is the `since` of the next call."""
        since = _whole(request.query_params.get("since", "0"), "since")
        world = self.emulation.world
        start = max(0, since - world.diary_dropped)
        lines = world.diary[start : start + DIARY_PAGE]
        shown = [
            {"at": each.at.isoformat(), "channel": each.channel, "what": each.what, "detail": each.detail}
            for each in lines
        ]
        return _json({"next": world.diary_dropped + start + len(lines), "diary": shown})

    # Faults

    async def get_faults(self, request: Request) -> Response:
        faults = self.emulation.world.faults
        chances = [{"name": n, "channel": c, "chance": chance} for (n, c), chance in faults.chance.items() if chance]
        armed = [
            {"name": n, "channel": c, "operation": o, "times": left} for (n, c, o), left in faults.once.items() if left
        ]
        return JSONResponse({"known": FAULTS, "chances": chances, "armed": armed, "injected": faults.injected})

    async def set_fault(self, request: Request) -> Response:
        body = await _body(request, {"name", "chance", "channel", "spare"}, needed={"name", "chance"})
        channel = self._channel(body.get("channel", "*"))
        spare = str(body.get("spare", ""))
        self.emulation.world.faults.set(body["name"], float(body["chance"]), channel, spare=spare)
        return await self.get_faults(request)

    async def arm_fault(self, request: Request) -> Response:
        body = await _body(request, {"name", "channel", "operation", "times"}, needed={"name", "channel"})
        times = _whole(body.get("times", 1), "times")
        channel = self._channel(body["channel"])
        self.emulation.world.faults.arm(body["name"], channel, str(body.get("operation", "*")), times)
        return await self.get_faults(request)

    async def clear_faults(self, request: Request) -> Response:
        faults = self.emulation.world.faults
        faults.chance.clear()
        faults.once.clear()
        return await self.get_faults(request)

    # Broken states

    async def get_broken(self, request: Request) -> Response:
        return JSONResponse(self.emulation.broken.report())

    async def set_broken(self, request: Request) -> Response:
        """Put a marketplace into a broken state, or with `broken` false back. Other fields are the state's own."""
        body = await _body(request, None, needed={"channel", "state"})
        channel, state, broken = self._channel(body.pop("channel")), str(body.pop("state")), body.pop("broken", True)
        if not isinstance(broken, bool):
            raise _Bad(f"broken must be true or false, got {broken!r}", "send true to break it, false to mend it")
        if broken:
            await self.emulation.broken.begin(channel, state, body)
        else:
            await self.emulation.broken.end(channel, state)
        return await self.get_broken(request)

    async def mend_all(self, request: Request) -> Response:
        await self.emulation.broken.end_all()
        return await self.get_broken(request)

    def _channel(self, name: Any) -> str:
        if name != "*" and name not in self.emulation.channels:
            raise _Bad(f"there is no channel {name!r}", f"use one of {', '.join(self.emulation.channels)} or *")
        return str(name)

    # Time and beginning anew

    async def set_clock(self, request: Request) -> Response:
        body = await _body(request, {"factor", "advance_s"})
        clock = self.emulation.clock
        if "factor" in body:
            factor = float(body["factor"])
            if factor <= 0:
                raise _Bad(f"the factor must be above 0, got {factor}", "send a number above 0, 1 for real durations")
            clock.factor = factor
        if "advance_s" in body:
            if not isinstance(clock, VirtualClock):
                raise _Bad("this clock is the real one and cannot be moved", "send a factor to shorten durations")
            await self.advance(clock, float(body["advance_s"]))
        return JSONResponse({"now": clock.now().isoformat(), "factor": clock.factor})

    async def advance(self, clock: VirtualClock, seconds: float) -> None:
        """Move a virtual clock in small steps, and let deliveries finish in between."""
        while seconds > 0:
            clock.advance(min(STEP_S, seconds))
            seconds -= STEP_S
            await self.emulation.world.courier.idle()

    async def reset(self, request: Request) -> Response:
        body = await _body(request, {"seed", "products"})
        seed = _whole(body["seed"], "seed") if "seed" in body else None
        products = body.get("products")
        if isinstance(products, int):
            if not 1 <= products <= PRODUCTS_MAX:
                raise _Bad(f"{products} products are not possible", f"send 1 to {PRODUCTS_MAX}")
            products = demo_products(products, seed=self.emulation.world.seed if seed is None else seed)
        elif products is not None:
            products = parse_products(products)
        self.emulation.reset(seed=seed, products=products)
        return JSONResponse({"credentials": self.emulation.credentials(), "state": self.emulation.state()})

    # People

    async def get_shoppers(self, request: Request) -> Response:
        return JSONResponse(self.emulation.shoppers.report())

    async def start_shoppers(self, request: Request) -> Response:
        body = await _body(request, {field.name for field in fields(Plan)} | {"seed"})
        seed = _whole(body.pop("seed"), "seed") if "seed" in body else None
        self.emulation.shoppers.start(Plan(**body), seed)
        return JSONResponse(self.emulation.shoppers.report())

    async def stop_shoppers(self, request: Request) -> Response:
        self.emulation.shoppers.stop()
        return JSONResponse(self.emulation.shoppers.report())

    async def buy(self, request: Request) -> Response:
        body = await _body(request, {"channel", "buyer", "lines"}, needed={"channel", "lines"})
        marketplace, lines = self._marketplace(body["channel"]), body["lines"]
        if not isinstance(lines, dict) or not lines:
            raise _Bad("lines is empty", 'send {"SKU": pieces}')
        wanted = {str(sku): _whole(pieces, f"pieces of {sku}") for sku, pieces in lines.items()}
        sale = marketplace.buy(self._buyer(body.get("buyer")), wanted)
        if sale is None:
            shown = {sku: marketplace.shown(sku) for sku in wanted}
            return JSONResponse({"error": "sold out: the buyer is turned away", "do": "buy what is shown",
                                 "shown": shown}, 409)  # fmt: skip
        return JSONResponse(_sale(sale))

    def _buyer(self, given: Any) -> Buyer:
        if given is None:
            return self.emulation.shoppers.crowd.next()
        if not isinstance(given, dict) or not given.get("email"):
            raise _Bad("a buyer needs an e-mail", 'send {"email": …, "name": …, "address": {…}} or leave buyer out')
        name = str(given.get("name", "Jane Doe"))
        home = {"name": name, "line1": "1 Main Street", "city": "Portland", "region": "OR", "postal_code": "97205",
                "country": "US", "phone": "+15035550100"} | dict(given.get("address") or {})  # fmt: skip
        return Buyer(str(given.get("key", given["email"])), name, str(given["email"]), Address(**home))

    async def console(self, request: Request) -> Response:
        body = await _body(request, None, needed={"channel", "action"})
        marketplace, action = self._marketplace(body.pop("channel")), str(body.pop("action"))
        return _json(marketplace.console(action, **body) or {})

    async def etsy_webhook(self, request: Request) -> Response:
        body = await _body(request, {"url", "events"}, needed={"url"})
        events = body.get("events")
        etsy = self._marketplace("etsy")
        result = etsy.set_webhook(body["url"], events) if events is not None else etsy.set_webhook(body["url"])
        return _json({"url": body["url"], "events": events, "result": result})

    def _marketplace(self, channel: Any) -> Any:
        try:
            return self.emulation.marketplaces[channel]
        except (KeyError, TypeError):
            known = ", ".join(self.emulation.channels)
            raise _Bad(f"there is no channel {channel!r}", f"use one of {known}") from None


async def _body(request: Request, known: set[str] | None, needed: set[str] | None = None) -> dict[str, Any]:
    """Return the JSON object of the body. Raises _Bad on unknown or missing fields; `known` None takes any."""
    raw = await request.body()
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        raise _Bad("the body is not JSON", "send a JSON object") from None
    if not isinstance(body, dict):
        raise _Bad("the body is not a JSON object", "send a JSON object")
    missing = (needed or set()) - body.keys()
    if missing:
        raise _Bad(f"missing: {', '.join(sorted(missing))}", "add what is missing")
    unknown = body.keys() - known if known is not None else set()
    if unknown:
        raise _Bad(f"unknown: {', '.join(sorted(unknown))}", f"known are {', '.join(sorted(known or ()))}")
    return body


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not str(value).isascii() or not str(value).isdigit():
        raise _Bad(f"{name} must be a whole number of 0 or more, got {value!r}", "send a whole number")
    return int(value)


def _sale(sale: Sale) -> dict[str, Any]:
    return {
        "channel": sale.channel,
        "order_id": sale.order_id,
        "placed_at": sale.placed_at.isoformat(),
        "lines": sale.lines,
        "buyer": sale.buyer_key,
        "paid_at": sale.paid_at.isoformat() if sale.paid_at else None,
        "cancelled_at": sale.cancelled_at.isoformat() if sale.cancelled_at else None,
        "shipped": sale.shipped,
    }


def _json(content: Mapping[str, Any]) -> Response:
    """Answer with what a marketplace or the diary says, where an instant or a set may hide in it."""
    return Response(json.dumps(content, default=str), media_type="application/json")
