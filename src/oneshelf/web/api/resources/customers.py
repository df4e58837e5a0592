"""Customers: who buys, and where; who is who. Personal data: the scope `customers:read` is named, `read` does not open it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import Query
from pydantic import Field

from oneshelf.core.stage import StageRules
from oneshelf.customers import merging, profiles, stages
from oneshelf.customers.erasing_customer import Erasing
from oneshelf.customers.merging import Merged, Suggestion
from oneshelf.customers.profiles import Customer, Profile
from oneshelf.watch.time_travel import CustomerThen, customer_at

from ..paging import LIMIT, CursorText, Limit, Page
from ..route import Body, Call, DryCall, Routes
from ..shapes import AtQuery, Number, NumberIn, moment_of

routes = Routes("customers", "Who buys, and where; who is who. Not among the scopes of `read`: name it.")


@routes.reads("/customers")
async def list_customers(
    call: Call,
    stage: Annotated[str, Query(max_length=50)] = "",
    channel: Annotated[str, Query(max_length=50)] = "",
    several_channels: Annotated[bool, Query(description="Only who bought on two channels or more.")] = False,
    cursor: CursorText = "",
    limit: Limit = LIMIT,
) -> Page[Customer]:
    """Customers, the one who bought last first. A cursor counts here: who buys in between may move a row to another page."""
    passed = 0

    def look(tx: profiles.Tx, after: list[int] | None, n: int) -> list[Customer]:
        nonlocal passed
        passed = after[0] if after else 0
        return profiles.listed(
            tx,
            call.tenant_id,
            stage=stage,
            channel=channel,
            several_channels=several_channels,
            after=passed,
            limit=n,
        )

    return await call.page(cursor, limit, look, key=lambda row: (passed + limit,))


class FindIn(Body):
    """An e-mail, a phone (with +), a number of ours, or part of a name. It stands in no address and in no log."""

    find: Annotated[str, Field(min_length=1, max_length=255)]


@routes.asks("/customers/search")
async def find_customers(call: Call, body: FindIn) -> list[Customer]:
    """The first 50 customers that are like this."""
    return await call.read(lambda tx: profiles.listed(tx, call.tenant_id, find=body.find, limit=50))


@routes.reads("/customers/suggestions")
async def list_suggestions(call: Call, state: Literal["OPEN", "CONFIRMED", "DISMISSED"] = "OPEN") -> list[Suggestion]:
    """Customers that may be one, and why: the first 100."""
    return await call.read(lambda tx: merging.suggestions(tx, call.tenant_id, state=state, limit=100))


class PairIn(Body):
    """Two suggested customers, and whether they are one."""

    first: NumberIn
    second: NumberIn
    same: bool


class PairSaid(msgspec.Struct, frozen=True):
    """The word that was taken."""

    first: int
    second: int
    same: bool


@routes.writes("/customers/suggestions")
async def answer_suggestion(call: DryCall, body: PairIn) -> PairSaid:
    """Say that two suggested customers are one, or two. One that was dismissed is not suggested again."""
    name = "customers_confirm" if body.same else "customers_dismiss"
    await call.command(name, {"first_no": body.first, "second_no": body.second})
    return PairSaid(body.first, body.second, body.same)


@routes.reads("/customers/stages")
async def show_stages(call: Call) -> StageRules:
    """When a customer is new, loyal, VIP, at risk, lapsed."""
    return await call.read(lambda tx: stages.rules_of(tx, call.tenant_id))


Days = Annotated[int, Field(ge=1, le=100_000)]


class StagesIn(Body):
    """What changes; what is left out stays."""

    new_days: Days | None = None
    loyal_purchases: Days | None = None
    vip_purchases: Days | None = None
    vip_spend_minor: Annotated[int, Field(ge=1, le=2**53 - 1)] | None = None
    vip_currency: Annotated[str, Field(max_length=3)] | None = None
    at_risk_days: Days | None = None
    lapsed_days: Days | None = None


class StagesChanged(msgspec.Struct, frozen=True):
    """The rules, and how many customers stand, or would stand, in each stage."""

    rules: StageRules
    customers: dict[str, int]
    changed: bool


@routes.writes("/customers/stages", method="PATCH")
async def change_stages(call: DryCall, body: StagesIn) -> StagesChanged:
    """Change the rules for stages; every customer is looked at again."""
    return msgspec.convert(await call.command("customers_stages", body, dry_run=call.dry_run), StagesChanged)


@routes.reads("/customers/{customer}")
async def show_customer(call: Call, customer: Number) -> Profile:
    """One customer: counters, by what they are known and which order told it, every order, every stage."""
    return await call.read(lambda tx: profiles.profile(tx, call.tenant_id, customer))


class MergeIn(Body):
    """The customer that shows both from now on."""

    into: NumberIn


@routes.writes("/customers/{customer}/merge")
async def merge_customer(call: DryCall, customer: Number, body: MergeIn) -> Merged:
    """Make one customer a part of another. It can be taken apart again."""
    return msgspec.convert(await call.command("customers_merge", body, customer_no=customer), Merged)


@routes.writes("/customers/{customer}/merge", method="DELETE")
async def unmerge_customer(call: DryCall, customer: Number) -> Merged:
    """Take a merged customer out again; what came in between goes where its evidence says."""
    return msgspec.convert(await call.command("customers_unmerge", {"customer_no": customer}), Merged)


@routes.writes("/customers/{customer}/erase")
async def erase_customer(call: DryCall, customer: Number) -> Erasing:
    """Erase the person of a customer everywhere. Order keys, money and counters stay."""
    return msgspec.convert(await call.command("customers_erase", {"customer_no": customer}), Erasing)


@routes.reads("/customers/{customer}/then")
async def show_customer_then(call: Call, customer: Number, at: AtQuery) -> CustomerThen:
    """What a customer had bought by a moment, and in which stage they stood. Names nobody."""
    return await call.read(lambda tx: customer_at(tx, call.tenant_id, customer, moment_of(at)))
