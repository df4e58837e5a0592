"""Rules: how careful to be with which SKU, and sales that are announced."""

from __future__ import annotations

from typing import Annotated

import msgspec
from pydantic import Field

from oneshelf.core.instants import iso
from oneshelf.db.tx import Tx
from oneshelf.listings.announced import announced
from oneshelf.listings.risk import strict_skus

from ..route import Body, Call, DryCall, Routes
from ..shapes import Moment, Number, Text, moment

routes = Routes("rules", "What is held back, which SKUs are never oversold, announced sales.")


@routes.reads("/rules/strict")
async def list_strict(call: Call) -> list[str]:
    """The SKUs that must never be oversold."""
    return await call.read(lambda tx: sorted(strict_skus(tx, call.tenant_id)))


class StrictIn(Body):
    """Whether a SKU must never be oversold."""

    sku: Text
    strict: bool


class StrictSet(msgspec.Struct, frozen=True):
    """`changed` False: it was so already."""

    sku: str
    strict: bool
    changed: bool


@routes.writes("/rules/strict", method="PUT")
async def set_strict(call: DryCall, body: StrictIn) -> StrictSet:
    """Never oversell a SKU, or take that back: its pieces are dealt out, and no number rises before the others are counted."""
    return msgspec.convert(await call.command("strict", body), StrictSet)


class RiskIn(Body):
    """What an unsold piece and an oversold order cost, in the currency's smallest unit. No SKU: every SKU."""

    margin: Annotated[int, Field(ge=0, le=10**12)]
    oversold: Annotated[int, Field(ge=0, le=10**12)]
    sku: Text | None = None


class RiskSet(msgspec.Struct, frozen=True):
    """`epsilon`: the part of stock-outs that may end in an oversold order."""

    sku: str
    epsilon: float
    dropped: bool


@routes.writes("/rules/risk", method="PUT")
async def set_risk(call: DryCall, body: RiskIn) -> RiskSet:
    """Say what an unsold piece and an oversold order cost: how much is set aside follows from both."""
    return msgspec.convert(await call.command("risk", body), RiskSet)


class Sale(msgspec.Struct, frozen=True):
    """An announced sale. `factor`: how many times faster than usual its SKUs will sell. Instants as ISO 8601, UTC."""

    sale: int
    name: str
    starts_at: str
    ends_at: str
    factor: float
    skus: list[str]


@routes.reads("/rules/sales")
async def list_sales(call: Call) -> list[Sale]:
    """The announced sales that are under way or to come."""

    def look(tx: Tx) -> list[Sale]:
        return [
            Sale(one.sale_no, one.name, iso(one.starts_at) or "", iso(one.ends_at) or "", one.factor, list(one.skus))
            for one in announced(tx, call.tenant_id, call.now)
        ]

    return await call.read(look)


class SaleIn(Body):
    """A sale to come."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    skus: Annotated[list[Text], Field(min_length=1, max_length=10_000)]
    starts_at: Moment
    ends_at: Moment
    factor: Annotated[float, Field(gt=1, le=10_000, strict=False)]


class SaleNumber(msgspec.Struct, frozen=True):
    """The number of an announced sale."""

    sale: int


@routes.writes("/rules/sales")
async def announce_sale(call: DryCall, body: SaleIn) -> SaleNumber:
    """Announce a sale, so that enough is set aside before it begins."""
    times = {"starts_at": moment(body.starts_at, "/starts_at"), "ends_at": moment(body.ends_at, "/ends_at")}
    done = await call.command("announce", {**body.model_dump(), **times})
    return msgspec.convert(done, SaleNumber)


@routes.writes("/rules/sales/{sale}", method="DELETE")
async def call_sale_off(call: DryCall, sale: Number) -> SaleNumber:
    """Call an announced sale off."""
    return msgspec.convert(await call.command("call_off", {"sale": sale}), SaleNumber)
