"""Bundles, kits and packs: what one unit of a SKU takes from the shelf."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import Path
from pydantic import Field

from oneshelf.listings.bundles import Bundle, bundles
from oneshelf.orders.bundles import BundleChange

from ..route import Body, Call, DryCall, Routes
from ..shapes import Text

routes = Routes("bundles", "Bundles, kits and packs.")


@routes.reads("/bundles")
async def list_bundles(call: Call) -> list[Bundle]:
    """Every bundle: its parts, who defined it, its listings, and how many can be made of what is there."""
    return await call.read(lambda tx: bundles(tx, call.tenant_id))


class BundleIn(Body):
    """`parts`: SKU → pieces. `retake`: open orders that took other pieces, and are not in the shop yet, take these."""

    sku: Text
    parts: Annotated[dict[Text, Annotated[int, Field(ge=1, le=1_000_000)]], Field(min_length=1, max_length=100)]
    retake: bool = False


@routes.writes("/bundles", method="PUT")
async def define_bundle(call: DryCall, body: BundleIn) -> BundleChange:
    """Define a bundle; every listing of its SKU is tied to its parts. Says what changes, listing by listing and order by order."""
    return msgspec.convert(await call.command("bundle", body), BundleChange)


class BundleDropped(msgspec.Struct, frozen=True):
    """`listings`: how many stay tied to its parts."""

    sku: str
    listings: int


@routes.writes("/bundles/{sku}", method="DELETE")
async def drop_bundle(call: DryCall, sku: Annotated[str, Path(min_length=1, max_length=255)]) -> BundleDropped:
    """Forget a bundle. Its listings stay tied to its parts."""
    return msgspec.convert(await call.command("drop_bundle", {"sku": sku}), BundleDropped)
