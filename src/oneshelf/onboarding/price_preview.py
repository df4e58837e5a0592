"""What switching an account's prices on would change, read at the channel now; and the switch itself.

In: linked listings, the hub's prices. Out: a preview; the switch, once the merchant said yes to it. Tables it owns: none.
Never: tells a price; switches on what was not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from oneshelf.channels.abilities import Prices, PriceSeen
from oneshelf.channels.contract import Http, Outlet
from oneshelf.core.errors import Park
from oneshelf.core.facts import Money
from oneshelf.core.price import NoPrice, PricePolicy, beyond_band
from oneshelf.db.tx import Tx
from oneshelf.pricing.levels import prices_of
from oneshelf.pricing.policy import policy_of
from oneshelf.runtime.writer import Writer

from .marketplace import linked_outlets


class PriceRow(msgspec.Struct, frozen=True):
    """One listing. `asks`, `would_ask`: minor units of `currency`; None: not known, or no price to follow and `why` says so."""

    listing: int
    external_id: str
    title: str
    asks: int | None
    would_ask: int | None
    currency: str
    why: str = ""
    reduced: bool = False
    far: bool = False


class PricePreview(msgspec.Struct, frozen=True):
    """What switching on would do, in listings. `none`: have no price to follow and keep theirs. `far`: would change by more than `band`
    percent of what they ask."""

    linked: int
    right: int
    rise: int
    fall: int
    far: int
    none: int
    unread: int
    band: int
    rows: tuple[PriceRow, ...]


async def preview(
    tenant_id: int, account_id: int, channel: Prices, http: Http, writer: Writer, at: int
) -> PricePreview:
    """Read what every linked listing asks and say what it would ask at this instant. Raises Retry, NoAnswer, SignInAgain."""
    outlets = await writer.do(lambda tx: linked_outlets(tx, tenant_id, account_id))
    before = await writer.do(lambda tx: policy_of(tx, tenant_id, account_id))
    policy = msgspec.structs.replace(before, follows=True)
    size, rows = channel.prices.read_batch, []
    for start in range(0, len(outlets), size):
        some = outlets[start : start + size]
        seen = {one.external_id: one for one in await channel.read_prices(http, [outlet for _, outlet in some])}
        rows += await writer.do(partial(_rows, tenant_id=tenant_id, some=some, seen=seen, policy=policy, at=at))
    return _counted(rows, policy.band)


def _rows(
    tx: Tx,
    tenant_id: int,
    some: Sequence[tuple[int, Outlet]],
    seen: Mapping[str, PriceSeen],
    policy: PricePolicy,
    at: int,
) -> list[PriceRow]:
    ids = [outlet_id for outlet_id, _ in some]
    titles = dict(
        tx.all("SELECT outlet_id, title FROM outlet WHERE tenant_id = :t AND outlet_id {in:ids}", t=tenant_id, ids=ids)
    )
    shown = {outlet_id: seen.get(outlet.external_id) for outlet_id, outlet in some}
    currencies = {outlet_id: one.price.currency for outlet_id, one in shown.items() if one is not None and one.price}
    wanted = prices_of(tx, tenant_id, ids, currencies, policy, at)
    rows = []
    for outlet_id, outlet in some:
        price, one = wanted[outlet_id], shown[outlet_id]
        asks = one.price.minor if one is not None and one.price else None
        row: dict[str, Any] = {"asks": asks, "reduced": one is not None and one.sale is not None}
        if isinstance(price, NoPrice):
            row |= {"would_ask": None, "currency": currencies.get(outlet_id, ""), "why": price.reason}
        else:
            row |= {"would_ask": price.price.minor, "currency": price.price.currency}
            row |= {"why": one.problem if one is not None and asks is None else ""}
            row |= {"far": bool(policy.band) and beyond_band(asks, price.price.minor, policy.band)}
        rows.append(PriceRow(outlet_id, outlet.external_id, titles.get(outlet_id, ""), **row))
    return rows


def _counted(rows: Sequence[PriceRow], band: int) -> PricePreview:
    counts = dict.fromkeys(("right", "rise", "fall", "far", "none", "unread"), 0)
    for row in rows:
        if row.would_ask is None:
            counts["none"] += 1
        elif row.asks is None:
            counts["unread"] += 1
        elif row.asks == row.would_ask:
            counts["right"] += 1
        else:
            counts["rise" if row.would_ask > row.asks else "fall"] += 1
            counts["far"] += int(row.far)
    changing = sorted(rows, key=lambda row: (row.would_ask is None, -_change(row), row.listing))
    return PricePreview(linked=len(rows), rows=tuple(changing), band=band, **counts)


def _change(row: PriceRow) -> float:
    """How much a price would change, as a share of what is asked: what is most surprising comes first."""
    if row.asks is None or row.would_ask is None:
        return 0.0
    return abs(row.would_ask - row.asks) / max(1, row.asks)


class PricesNotReady(Park):
    """The prices can't be switched on yet."""


def accept(shown: PricePreview, *, yes: bool, far: bool) -> None:
    """Raise PricesNotReady with what is missing for switching on."""
    if not yes:
        raise PricesNotReady("Look at the preview, then say yes: oneshelf prices follow ACCOUNT --yes.")
    if shown.far and not far:
        raise PricesNotReady(
            f"{shown.far} of {shown.linked} listings would change by more than {shown.band} % of what they ask. "
            "If that is right: oneshelf prices follow ACCOUNT --yes --far."
        )


def agreed(shown: PricePreview) -> dict[int, Money]:
    """Return the far prices that were looked at: {listing: price}. The second yes is a yes to these, and to no others."""
    return {
        row.listing: Money(row.would_ask, row.currency) for row in shown.rows if row.far and row.would_ask is not None
    }
