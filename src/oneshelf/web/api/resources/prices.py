"""Prices: which accounts follow the shop, why a listing asks what it asks."""

from __future__ import annotations

import msgspec

from oneshelf.core.errors import NotThere
from oneshelf.db.tx import Tx
from oneshelf.onboarding.price_preview import PricePreview
from oneshelf.watch.listing import has_sku
from oneshelf.watch.prices import AccountPrices, ListingPrice, by_account, show

from ..route import Body, Call, DryCall, Routes
from ..shapes import BulkDone, Items, Number, NumberIn, TextQuery, each

routes = Routes("prices", "Prices at the marketplaces: followed from the shop, or left alone.")


@routes.reads("/prices/accounts")
async def list_account_prices(call: Call) -> list[AccountPrices]:
    """Which accounts follow the shop's prices, and how far their listings are."""
    return await call.read(lambda tx: by_account(tx, call.tenant_id))


@routes.reads("/prices")
async def show_prices(call: Call, sku: TextQuery) -> list[ListingPrice]:
    """Why each listing of a SKU asks what it asks: the terms, what was last seen, every try."""

    def look(tx: Tx) -> list[ListingPrice]:
        if not has_sku(tx, call.tenant_id, sku):
            raise NotThere(f"There is no SKU {sku} on the shelf.")
        return show(tx, call.tenant_id, sku, call.now)

    return await call.read(look)


class FollowShown(PricePreview, frozen=True):
    """What following would change; `follows`: it was switched on."""

    account_id: int
    follows: bool


@routes.reads("/prices/accounts/{account}/preview")
async def preview_follow(call: Call, account: Number) -> FollowShown:
    """What would change if this account's listings asked the shop's prices. Reads them at the channel."""
    return msgspec.convert(await call.command("prices_follow", {"account_id": account}), FollowShown)


class FollowIn(Body):
    """`far`: yes, some listings shall ask less than half of what they ask."""

    far: bool = False


@routes.writes("/prices/accounts/{account}/follow")
async def follow_prices(call: Call, account: Number, body: FollowIn) -> FollowShown:
    """Let an account's listings ask the shop's prices from now on. Look at the preview first."""
    done = await call.command("prices_follow", {"account_id": account, "yes": True, "far": body.far})
    return msgspec.convert(done, FollowShown)


class PricesOff(msgspec.Struct, frozen=True):
    """The account, whose prices are left alone now."""

    account_id: int
    follows: bool


@routes.writes("/prices/accounts/{account}/off")
async def leave_prices(call: DryCall, account: Number) -> PricesOff:
    """Leave an account's prices alone from now on. Its listings keep what they ask."""
    return msgspec.convert(await call.command("prices_off", {"account_id": account}), PricesOff)


class PriceRetried(msgspec.Struct, frozen=True):
    """The listing whose price is tried again."""

    outlet_id: int


@routes.writes("/prices/listings/{listing}/retry")
async def retry_price(call: DryCall, listing: Number) -> PriceRetried:
    """Try a parked price again: it is read first."""
    return msgspec.convert(await call.command("prices_retry", {"outlet_id": listing}), PriceRetried)


class PriceItem(Body):
    """One listing whose parked price is to be tried again."""

    listing: NumberIn


class PricesIn(Body):
    """Up to 1,000 listings."""

    items: Items[PriceItem]


@routes.writes("/prices/retries/bulk", status=207)
async def retry_prices(call: DryCall, body: PricesIn) -> BulkDone:
    """Try many parked prices again."""
    return await each(body.items, PriceItem, lambda item: call.command("prices_retry", {"outlet_id": item.listing}))
