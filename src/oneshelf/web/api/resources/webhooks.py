"""Webhooks that we send: who hears what happened; and the same list to be read."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import Query
from pydantic import Field

from oneshelf.db.events import Event, events
from oneshelf.webhooks.deliveries import Delivery, deliveries
from oneshelf.webhooks.endpoints import Endpoint, NewSecret, endpoints

from ..paging import LIMIT, CursorText, Limit, Page
from ..route import Asked, Body, Call, DryCall, Routes, found
from ..shapes import MaybeText, Moment, Number, NumberIn, moment

routes = Routes("webhooks", "What happened, told to your programs: endpoints, secrets, deliveries, sending again.")

Url = Annotated[str, Field(min_length=8, max_length=2_000)]
Kinds = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=50, description="None: every kind.")]
About = Annotated[str, Field(max_length=200)]


@routes.reads("/webhooks/events")
async def list_events(call: Call, kind: MaybeText = None, cursor: CursorText = "", limit: Limit = LIMIT) -> Page[Event]:
    """What happened, the oldest first. Kept for 30 days, while an endpoint is there to hear it."""
    return await call.page(
        cursor,
        limit,
        lambda tx, after, n: events(tx, call.tenant_id, kind=kind, after=after[0] if after else 0, limit=n),
        key=lambda row: (row.event,),
    )


@routes.reads("/webhooks/endpoints")
async def list_endpoints(call: Call) -> list[Endpoint]:
    """The endpoints, and how well they take what is sent. Their secrets are never shown again."""
    return await call.read(lambda tx: endpoints(tx, call.tenant_id))


async def _one(call: Asked, endpoint: int) -> Endpoint:
    rows = await call.read(lambda tx: endpoints(tx, call.tenant_id, endpoint))
    return found(rows[0] if rows else None, f"There is no webhook endpoint {endpoint}")


@routes.reads("/webhooks/endpoints/{endpoint}")
async def show_endpoint(call: Call, endpoint: Number) -> Endpoint:
    """One endpoint."""
    return await _one(call, endpoint)


class EndpointIn(Body):
    """Where to send which kinds of event."""

    url: Url
    kinds: Kinds = []
    about: About = ""


@routes.writes("/webhooks/endpoints")
async def create_endpoint(call: DryCall, body: EndpointIn) -> NewSecret:
    """Make an endpoint; it hears what happens from now on. Its secret is in this answer only; a repeated one has it empty."""
    return msgspec.convert(await call.command("webhook_create", body), NewSecret)


class EndpointChange(Body):
    """What is not named stays."""

    url: Url | None = None
    kinds: Kinds | None = None
    about: About | None = None


@routes.writes("/webhooks/endpoints/{endpoint}", method="PATCH")
async def change_endpoint(call: DryCall, endpoint: Number, body: EndpointChange) -> Endpoint:
    """Change an endpoint's address, kinds or words."""
    return msgspec.convert(await call.command("webhook_change", body, endpoint=endpoint), Endpoint)


class EndpointRemoved(msgspec.Struct, frozen=True):
    """The endpoint that is forgotten."""

    endpoint: int
    removed: bool


@routes.writes("/webhooks/endpoints/{endpoint}", method="DELETE")
async def remove_endpoint(call: DryCall, endpoint: Number) -> EndpointRemoved:
    """Forget an endpoint and what it still waits for."""
    return msgspec.convert(await call.command("webhook_remove", {"endpoint": endpoint}), EndpointRemoved)


@routes.writes("/webhooks/endpoints/{endpoint}/secret")
async def rotate_secret(call: DryCall, endpoint: Number) -> NewSecret:
    """Make a new secret; a repeated answer has it empty. For 24 hours each message is signed with both."""
    return msgspec.convert(await call.command("webhook_rotate", {"endpoint": endpoint}), NewSecret)


class EnabledIn(Body):
    """Whether anything is sent to it."""

    enabled: bool


@routes.writes("/webhooks/endpoints/{endpoint}/enabled", method="PUT")
async def enable_endpoint(call: DryCall, endpoint: Number, body: EnabledIn) -> Endpoint:
    """Send to an endpoint again, what it missed first; or send nothing to it for now."""
    return msgspec.convert(await call.command("webhook_enable", body, endpoint=endpoint), Endpoint)


class TestSent(msgspec.Struct, frozen=True):
    """The number of the test event."""

    endpoint: int
    event: int


@routes.writes("/webhooks/endpoints/{endpoint}/test")
async def test_endpoint(call: DryCall, endpoint: Number) -> TestSent:
    """Send a test event to an endpoint, signed as every other."""
    return msgspec.convert(await call.command("webhook_test", {"endpoint": endpoint}), TestSent)


@routes.reads("/webhooks/endpoints/{endpoint}/deliveries")
async def list_deliveries(
    call: Call,
    endpoint: Number,
    state: Annotated[str | None, Query(max_length=20, description="WAITING, DONE or GIVEN_UP.")] = None,
    cursor: CursorText = "",
    limit: Limit = LIMIT,
) -> Page[Delivery]:
    """Deliveries to an endpoint, the newest event first: what it answered, when the next try is."""
    await _one(call, endpoint)
    return await call.page(
        cursor,
        limit,
        lambda tx, after, n: deliveries(
            tx, call.tenant_id, endpoint, state=state, before=after[0] if after else None, limit=n
        ),
        key=lambda row: (row.event,),
    )


class ReplayIn(Body):
    """Events by number, or all from a moment on."""

    events: Annotated[list[NumberIn], Field(max_length=1_000)] = []
    since: Moment | None = None


class Replayed(msgspec.Struct, frozen=True):
    """How many events are on their way again."""

    endpoint: int
    events: int


@routes.writes("/webhooks/endpoints/{endpoint}/replay")
async def replay_events(call: DryCall, endpoint: Number, body: ReplayIn) -> Replayed:
    """Send events again, under the ids that they had. Neither events nor a moment: all that are kept."""
    asked = {"endpoint": endpoint, "events": body.events, "since": moment(body.since, "/since")}
    return msgspec.convert(await call.command("webhook_replay", asked), Replayed)
