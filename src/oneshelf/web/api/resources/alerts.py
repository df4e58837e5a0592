"""Alerts: who is told of tasks, and how that goes."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from pydantic import Field

from oneshelf.watch.alerts import Receiver, receivers

from ..route import Body, Call, Routes
from ..shapes import Number, Text

routes = Routes("alerts", "Who is told of tasks, by e-mail or signed webhook.")


@routes.reads("/alerts/receivers")
async def list_receivers(call: Call) -> list[Receiver]:
    """Who is told, from which severity on, when not, and whether the last try was taken."""
    return await call.read(lambda tx: receivers(tx, call.tenant_id))


class ReceiverIn(Body):
    """`quiet`: HH:MM-HH:MM in `timezone`, in which only what is urgent is told; "": never quiet."""

    way: Literal["email", "webhook"]
    address: Text
    least: Literal["urgent", "warning", "notice"] = "warning"
    quiet: Annotated[str, Field(max_length=11)] = ""
    timezone: Annotated[str, Field(max_length=64)] = "UTC"


class ReceiverAdded(msgspec.Struct, frozen=True):
    """`secret`: a webhook's, shown this once. `mail_server_set`: whether mail can leave at all."""

    receiver: int
    way: str
    secret: str | None
    mail_server_set: bool


@routes.writes("/alerts/receivers", status=201)
async def add_receiver(call: Call, body: ReceiverIn) -> ReceiverAdded:
    """Tell somebody from now on."""
    return msgspec.convert(await call.command("alert_add", body), ReceiverAdded)


class ReceiverRemoved(msgspec.Struct, frozen=True):
    """Who is told nothing any more."""

    receiver: int
    removed: bool


@routes.writes("/alerts/receivers/{number}", method="DELETE")
async def remove_receiver(call: Call, number: Number) -> ReceiverRemoved:
    """Tell a receiver nothing any more."""
    return msgspec.convert(await call.command("alert_remove", {"receiver": number}), ReceiverRemoved)


class Tested(msgspec.Struct, frozen=True):
    """Whether the test was taken, and if not, why."""

    receiver: int
    taken: bool
    problem: str


@routes.writes("/alerts/receivers/{number}/test")
async def test_receiver(call: Call, number: Number) -> Tested:
    """Send a receiver a test now. One that is not taken is not tried again."""
    return msgspec.convert(await call.command("alert_test", {"receiver": number}), Tested)
