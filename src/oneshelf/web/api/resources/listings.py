"""Listings: what one unit of each takes from the shelf, and the tries to tell it its number."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Query
from pydantic import Field

from oneshelf.db.tx import Tx
from oneshelf.listings import mapping
from oneshelf.watch.history import AttemptOfList, attempts
from oneshelf.watch.time_travel import ListingThen, listing_at

from ..paging import LIMIT, CursorText, Limit, Page
from ..route import Body, Call, DryCall, Routes, found
from ..shapes import AccountQuery, AtQuery, BulkDone, Items, Moment, Number, NumberIn, Text, each, moment, moment_of

routes = Routes("listings", "What one unit of a listing takes from the shelf; what it was told.")


@routes.reads("/listings")
async def list_listings(
    call: Call,
    account: AccountQuery = 0,
    unlinked: Annotated[bool, Query(description="Only those that are tied to nothing.")] = False,
    suggest: Annotated[bool, Query(description="With SKUs that an unlinked one may be.")] = False,
    cursor: CursorText = "",
    limit: Limit = LIMIT,
) -> Page[mapping.Row]:
    """The marketplaces' listings, and why one is not linked."""

    def look(tx: Tx, after: list[Any] | None, n: int) -> list[mapping.Row]:
        return mapping.rows(
            tx, call.tenant_id, account_id=account, unlinked=unlinked, suggest=suggest, after=after, limit=n
        )

    return await call.page(cursor, limit, look, key=lambda row: (row.account, row.listing))


def _one(call: Call, listing: int) -> Any:
    def look(tx: Tx) -> mapping.Row:
        rows = mapping.rows(tx, call.tenant_id, listing=listing, suggest=True)
        return found(rows[0] if rows else None, f"There is no listing {listing}")

    return look


@routes.reads("/listings/{listing}")
async def show_listing(call: Call, listing: Number) -> mapping.Row:
    """One listing, with the SKUs that it may be if it is tied to nothing."""
    return await call.read(_one(call, listing))


@routes.reads("/listings/{listing}/then")
async def show_listing_then(call: Call, listing: Number, at: AtQuery) -> ListingThen:
    """What a listing had been told, and was last seen to show, at a moment."""
    return await call.read(lambda tx: listing_at(tx, call.tenant_id, listing, moment_of(at)))


@routes.reads("/listings/{listing}/attempts")
async def list_attempts(
    call: Call,
    listing: Number,
    as_of: Annotated[
        Moment | None, Query(description="Only tries begun by then: the first is what it was told last.")
    ] = None,
    cursor: CursorText = "",
    limit: Limit = LIMIT,
) -> Page[AttemptOfList]:
    """Every try to tell a listing its number, the newest first: sent, accepted, seen."""
    until = moment(as_of)
    await call.read(_one(call, listing))
    return await call.page(
        cursor,
        limit,
        lambda tx, after, n: attempts(
            tx, call.tenant_id, listing, until=until, before=after[0] if after else None, limit=n
        ),
        key=lambda row: (row.attempt_no,),
    )


Parts = Annotated[
    dict[Text, Annotated[int, Field(ge=1, le=10_000)]],
    Field(min_length=1, max_length=100, description="SKU → pieces that one unit takes; several for a bundle."),
]


class LinkIn(Body):
    """What one unit of a listing takes from the shelf."""

    parts: Parts


class LinkItem(Body):
    """What one unit of this listing takes from the shelf; no parts: it is linked to nothing any more."""

    listing: NumberIn
    parts: Parts | None = None


class LinksIn(Body):
    """Up to 1,000 listings, each linked or refused by itself."""

    items: Items[LinkItem]


class Linked(msgspec.Struct, frozen=True):
    """A listing that was linked; `orders_booked`: orders that had waited for it."""

    outlet_id: int
    orders_booked: int


class Unlinked(msgspec.Struct, frozen=True):
    """A listing that is linked to nothing any more. It keeps the number that it shows."""

    outlet_id: int


@routes.writes("/listings/{listing}/link", method="PUT")
async def link_listing(call: DryCall, listing: Number, body: LinkIn) -> Linked:
    """Tie a listing to what it sells. Orders that waited for it are booked."""
    return msgspec.convert(await call.command("link", body, outlet_id=listing), Linked)


@routes.writes("/listings/{listing}/link", method="DELETE")
async def unlink_listing(call: DryCall, listing: Number) -> Unlinked:
    """Take a listing's tie away: it is told nothing any more, its new orders wait for a link."""
    return msgspec.convert(await call.command("unlink", {"outlet_id": listing}), Unlinked)


@routes.writes("/listings/links/bulk", status=207)
async def link_listings(call: DryCall, body: LinksIn) -> BulkDone:
    """Tie many listings to what they sell, or to nothing."""

    async def one(item: LinkItem) -> Any:
        if item.parts is None:
            return await call.command("unlink", {"outlet_id": item.listing})
        return await call.command("link", {"outlet_id": item.listing, "parts": item.parts})

    return await each(body.items, LinkItem, one)


class ListingRetried(msgspec.Struct, frozen=True):
    """The listing whose number is tried again."""

    listing: int


@routes.writes("/listings/{listing}/retry")
async def retry_listing(call: DryCall, listing: Number) -> ListingRetried:
    """Try a parked listing's number again: it is read first."""
    return msgspec.convert(await call.command("listing_retry", {"outlet_id": listing}), ListingRetried)
