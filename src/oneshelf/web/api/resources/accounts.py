"""Accounts: how they are heard, pause and resume, going live."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from pydantic import Field

from oneshelf.onboarding.checking import AccountChecked
from oneshelf.onboarding.marketplace import Preview
from oneshelf.publish.pausing import TooMany
from oneshelf.watch.accounts import AccountListed, account_list

from ..route import Body, Call, DryCall, Routes, found
from ..shapes import Number, Text

routes = Routes("accounts", "Channel accounts: how they are heard, pause, go live, what is left to Oneshelf.")


@routes.reads("/accounts")
async def list_accounts(call: Call) -> list[AccountListed]:
    """The accounts and how well they are heard, disconnected ones too."""
    return await call.read(lambda tx: account_list(tx, call.tenant_id))


@routes.reads("/accounts/{account}")
async def show_account(call: Call, account: Number) -> AccountListed:
    """One account."""
    rows = await call.read(lambda tx: account_list(tx, call.tenant_id, account))
    return found(rows[0] if rows else None, f"There is no account {account}")


@routes.reads("/accounts/{account}/check")
async def check_account(call: Call, account: Number) -> AccountChecked:
    """Ask the channel itself what is missing: scopes, subscriptions, locations, polls. It spends a few calls there."""
    (checked,) = await call.command("channels_check", {"account_id": account})
    return msgspec.convert(checked, AccountChecked)


class PauseIn(Body):
    """`zero_first`: let every listing show 0 first; it is paused when all of them were seen there."""

    zero_first: bool = False


class Paused(msgspec.Struct, frozen=True):
    """`paused` False: its listings are on their way to 0. The rest says what goes on selling there."""

    account_id: int
    paused: bool
    showing: int
    pieces: int
    unread: int
    above_offer: int
    too_many: list[TooMany]


@routes.writes("/accounts/{account}/pause")
async def pause_account(call: DryCall, account: Number, body: PauseIn) -> Paused:
    """Let no number leave for an account. Its orders still come in; what its listings show goes on selling."""
    return msgspec.convert(await call.command("pause", body, account_id=account), Paused)


class Resumed(msgspec.Struct, frozen=True):
    """`to_be_read`: listings that are read before anything is written."""

    account_id: int
    paused: bool
    to_be_read: int


@routes.writes("/accounts/{account}/resume")
async def resume_account(call: DryCall, account: Number) -> Resumed:
    """Let an account's numbers leave again."""
    return msgspec.convert(await call.command("resume", {"account_id": account}), Resumed)


class LiveShown(Preview, frozen=True):
    """What going live would do, in listings; `live`: it was done."""

    live: bool


@routes.reads("/accounts/{account}/live")
async def preview_live(call: Call, account: Number) -> LiveShown:
    """What going live would change: how many numbers are right, lower, to 0, higher."""
    return msgspec.convert(await call.command("live", {"account_id": account}), LiveShown)


class LiveIn(Body):
    """`zeros`: accept that more than 20 % of the listings go to 0."""

    accept: Literal[True]
    zeros: bool = False


@routes.writes("/accounts/{account}/live")
async def go_live(call: DryCall, account: Number, body: LiveIn) -> LiveShown:
    """Accept the preview: from now on numbers leave."""
    done = await call.command("live", {"account_id": account, "yes": body.accept, "zeros": body.zeros})
    return msgspec.convert(done, LiveShown)


class LocationsIn(Body):
    """Ids of locations; none: all that count."""

    locations: Annotated[list[Text], Field(max_length=1_000)]


class LocationsSet(msgspec.Struct, frozen=True):
    """The locations that serve an account; none: all that count. `waits`: too many numbers would change (`alarm`), so it waits for a person
    under this number."""

    account_id: int
    locations: list[str]
    waits: int
    alarm: str


@routes.writes("/accounts/{account}/locations", method="PUT")
async def set_account_locations(call: DryCall, account: Number, body: LocationsIn) -> LocationsSet:
    """Say which of the shop's locations serve an account."""
    return msgspec.convert(await call.command("locations", body, account_id=account), LocationsSet)


class RereadState(msgspec.Struct, frozen=True):
    """How far the reading of a catalogue is. `problem`: why it stopped, if it did."""

    busy: bool
    problem: str
    read: int = 0
    total: int | None = None


@routes.reads("/accounts/{account}/catalogue")
async def show_catalogue_reading(call: Call, account: Number) -> RereadState:
    """How far the reading of an account's whole catalogue is."""
    await show_account(call, account)
    return msgspec.convert(await call.command("reread_state", {"account_id": account}), RereadState)


@routes.writes("/accounts/{account}/catalogue")
async def reread_catalogue(call: Call, account: Number) -> RereadState:
    """Read an account's whole catalogue again, beside everything else."""
    return msgspec.convert(await call.command("reread", {"account_id": account}), RereadState)


class LeaveIn(Body):
    """What is not named stays."""

    short: Literal["ask", "auto"] | None = None
    removed: Literal["ask", "auto"] | None = None
    whole_orders: Literal["first", "all"] | None = None
    value_max_minor: Annotated[int, Field(ge=0, le=10**15)] | None = None


class Left(msgspec.Struct, frozen=True):
    """The account, and the settings that were changed."""

    account_id: int
    changed: dict[str, str]


@routes.writes("/accounts/{account}/leave", method="PATCH")
async def leave_to_oneshelf(call: DryCall, account: Number, body: LeaveIn) -> Left:
    """Say what an account leaves to Oneshelf: cancels of short lines, of what you took off a copy, whole orders."""
    done = await call.command("leave", body, account_id=account)
    return Left(done.pop("account_id"), done)


class RateIn(Body):
    """How much of the shop's currency one unit of another is worth, and where that is from, with its date."""

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    rate: Annotated[str, Field(pattern=r"^[0-9]{1,12}(\.[0-9]{1,12})?$")]
    source: Annotated[str, Field(min_length=1, max_length=200)]


class RateSet(msgspec.Struct, frozen=True):
    """The rate; orders that had waited for it are tried again."""

    currency: str
    rate: str
    orders_tried_again: int


@routes.writes("/rates", method="PUT")
async def set_rate(call: DryCall, body: RateIn) -> RateSet:
    """Enter a dated exchange rate; orders that waited for it are imported."""
    return msgspec.convert(await call.command("rate", body), RateSet)
