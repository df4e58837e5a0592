"""Inbox: messages of the channels that could not be used."""

from __future__ import annotations

from typing import Annotated

import msgspec
from pydantic import Field

from oneshelf.intake.parked import ParkedMessage, parked

from ..route import Body, Call, DryCall, Routes
from ..shapes import NumberIn

routes = Routes("inbox", "Messages of the channels that could not be used: try again, set aside.")


@routes.reads("/inbox/parked")
async def list_parked(call: Call) -> list[ParkedMessage]:
    """What came and could not be used, the newest 500, and why. What it says is not shown: it may be about a person."""
    return await call.read(lambda tx: parked(tx, call.tenant_id))


class MessagesIn(Body):
    """Numbers of parked messages."""

    seqs: Annotated[list[NumberIn], Field(min_length=1, max_length=1_000)]


class MessagesDone(msgspec.Struct, frozen=True):
    """How many messages it concerns."""

    messages: int


@routes.writes("/inbox/parked/retry")
async def retry_parked(call: DryCall, body: MessagesIn) -> MessagesDone:
    """Let parked messages be handled again. One that fails again waits again."""
    return msgspec.convert(await call.command("inbox_retry", body), MessagesDone)


@routes.writes("/inbox/parked/set-aside")
async def set_parked_aside(call: DryCall, body: MessagesIn) -> MessagesDone:
    """Say that nothing is to be done with parked messages; their tasks end."""
    return msgspec.convert(await call.command("inbox_set_aside", body), MessagesDone)
