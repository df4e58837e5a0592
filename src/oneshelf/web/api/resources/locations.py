"""Locations, and which of them sends what."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import Path
from pydantic import Field

from oneshelf.routing.locations import LocationNow, locations
from oneshelf.routing.policy import Policy, policy_of

from ..route import Body, Call, DryCall, Routes
from ..shapes import Text

routes = Routes("locations", "Where pieces lie, and which location sends what.")

Location = Annotated[str, Path(min_length=1, max_length=255, description="Its name, or the last part of its id.")]
Part = Annotated[str, Field(max_length=255)] | None


@routes.reads("/locations")
async def list_locations(call: Call) -> list[LocationNow]:
    """Every location of the shop: where it is, what it can send a day, until when, at which cost, in which order, for which accounts."""
    return await call.read(lambda tx: locations(tx, call.tenant_id))


class LocationIn(Body):
    """What changes; what is left out stays. `cut_off`: HH:MM in `timezone`; `cost_minor`: of a parcel, in the shop's currency."""

    street: Part = None
    city: Part = None
    postal_code: Part = None
    region: Part = None
    country: Part = None
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    no_point: bool = False
    capacity: Annotated[int, Field(ge=0, le=1_000_000_000)] | None = None
    capacity_unit: Literal["orders", "pieces"] | None = None
    cut_off: Annotated[str, Field(max_length=5)] | None = None
    timezone: Annotated[str, Field(max_length=64)] | None = None
    cost_minor: Annotated[int, Field(ge=0, le=1_000_000_000)] | None = None
    priority: Annotated[int, Field(ge=0, le=1_000_000)] | None = None


@routes.writes("/locations/{location}", method="PATCH")
async def change_location(call: DryCall, location: Location, body: LocationIn) -> LocationNow:
    """Say what is true of a location."""
    return msgspec.convert(await call.command("location", body, location=location), LocationNow)


@routes.reads("/routing")
async def show_routing(call: Call) -> Policy:
    """Who routes the orders, by which criteria in which order, and whether an order may leave in several parcels."""
    return await call.read(lambda tx: policy_of(tx, call.tenant_id))


class RoutingIn(Body):
    """What changes; what is left out stays. The first criterion that tells two locations apart decides."""

    router: Literal["shopify", "oneshelf"] | None = None
    criteria: Annotated[list[Text], Field(max_length=10)] | None = None
    split: bool | None = None


@routes.writes("/routing", method="PATCH")
async def change_routing(call: DryCall, body: RoutingIn) -> Policy:
    """Say how orders are routed from now on."""
    done: dict[str, Any] = await call.command("routing", body)
    return msgspec.convert(done, Policy)
