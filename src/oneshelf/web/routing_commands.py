"""Commands about locations and routing."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from oneshelf.db.tx import Tx
from oneshelf.orders import routing
from oneshelf.routing import locations, places, policy
from oneshelf.watch.routes import order_route
from oneshelf.wiring import Service

from .one_step import NotTaken, act


async def run_location(service: Service, payload: dict[str, Any]) -> Any:
    """Keep what the merchant says of a location; what is not named stays."""
    name, wish = str(payload["location"]), {k: v for k, v in payload.items() if k != "location" and v is not None}
    try:
        wanted = msgspec.convert(wish, locations.Wish)
    except msgspec.ValidationError as error:
        raise NotTaken(f"It was not taken: {error}.") from error
    done = await act(
        service, lambda tx, now: locations.set_location(tx, service.tenant_id, name, wanted, now, by=service.by)
    )
    return msgspec.to_builtins(done)


async def run_routing(service: Service, payload: dict[str, Any]) -> Any:
    """Keep how orders are routed; what is not named stays."""
    done = await act(
        service,
        lambda tx, now: policy.set_policy(
            tx,
            service.tenant_id,
            now,
            by=service.by,
            router=payload.get("router"),
            criteria=payload.get("criteria"),
            split=payload.get("split"),
        ),
    )
    if done.router == "oneshelf":
        await asyncio.to_thread(places.load)
    service.hub_bell.ring()
    return msgspec.to_builtins(done)


async def run_route(service: Service, payload: dict[str, Any]) -> Any:
    """Decide an order once more: from one location, or without some. With `preview` say what would be, and change nothing."""
    name = str(payload["order"])

    def step(tx: Tx, now: int) -> Any:
        def find(one: str) -> str:
            return locations.find(tx, service.tenant_id, one).location_id

        made = routing.route_by_hand(
            tx,
            service.tenant_id,
            name,
            now,
            by=service.by,
            to=find(payload["to"]) if payload.get("to") else "",
            not_from=[find(one) for one in payload.get("not_from") or ()],
        )
        route = order_route(tx, service.tenant_id, name)
        return {"changed": made is not None, "route": msgspec.to_builtins(route)}

    done = await act(service, step, preview=bool(payload.get("preview")))
    service.hub_bell.ring()
    return done


COMMANDS = {"location": run_location, "routing": run_routing, "route": run_route}
