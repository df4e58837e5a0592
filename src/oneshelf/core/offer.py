"""What an outlet may show (SEMANTICS 2). One pure function; the numbers about other channels come in as arguments."""

from __future__ import annotations

import msgspec

#: No cap: larger than any stock.
NO_CAP = 1 << 60


class OfferPolicy(msgspec.Struct, frozen=True):
    """The merchant's rules for one outlet. Pieces, except `channel_max`, `min_show` and `exactly`, which are listings.

    `safety_stock`: pieces never offered. `safety_percent`: offer at most this share of what is available (0 to 100, None: all).
    `exactly`: show this number as long as there is so much, whatever is left beyond it (None: show what there is).
    """

    safety_stock: int = 0
    safety_percent: int | None = None
    cap: int = NO_CAP
    units_per_listing: int = 1
    channel_max: int = 1_000_000
    min_show: int = 1
    exactly: int | None = None

    @property
    def most(self) -> int:
        """The most listings that are shown, whatever there is."""
        return self.channel_max if self.exactly is None else min(self.channel_max, self.exactly)


class Others(msgspec.Struct, frozen=True):
    """What the other channels may do before we hear of it, in pieces (S2.2, S2.3): set aside `reserve`, but show at least
    `floor`.

    The others say where the two come from: the `mean` (mu) behind the reserve, the fair `share` and the `own` sales taken off it. `strict`
    (S2.9): only the share is shown.
    """

    reserve: int = 0
    floor: int = 0
    mean: float = 0.0
    share: int = 0
    own: int = 0
    strict: bool = False


NO_OTHERS = Others()


class OfferTerms(msgspec.Struct, frozen=True):
    """Every term of one offer, in the order in which they were taken (S2.10). They add up:

    `available − safety − reserve − capped − rounding = pieces of offer` with each subtraction never below 0.
    """

    available: int
    safety: int
    reserve: int
    capped: int
    pieces: int
    units_per_listing: int
    rounding: int
    hidden: int
    offer: int


def limit_of(available: int, policy: OfferPolicy) -> int:
    """S2.1: what the merchant's buffer leaves, in pieces, never negative."""
    limit = available - policy.safety_stock
    if policy.safety_percent is not None:
        limit = min(limit, available * policy.safety_percent // 100)
    return max(0, limit)


def shared_of(available: int, policy: OfferPolicy, others: Others) -> int:
    """S2.4: the pieces that an outlet may show, before packs and the channel's maximum. Never negative.

    `available`: K of the locations that serve the outlet (2.14), so that neither share nor floor ever shows more than is there.
    """
    return max(0, min(limit_of(available, policy), max(others.floor, available - others.reserve), policy.cap))


def offer_quantity(available: int, policy: OfferPolicy, others: Others = NO_OTHERS) -> int:
    """Return the quantity an outlet may show now.

    Counts listings, not pieces: a two-pack of 5 available pieces shows 2. Never negative. Does not look at other channels: what
    they may sell comes in as `others.reserve` and `others.floor` (SEMANTICS 2.2 to 2.5, 2.11).

    >>> offer_quantity(8, OfferPolicy(safety_stock=5))
    3
    >>> offer_quantity(5, OfferPolicy(units_per_listing=2))
    2
    >>> [offer_quantity(k, OfferPolicy(exactly=2)) for k in (9, 2, 1, -1)]
    [2, 2, 1, 0]
    """
    pieces = shared_of(available, policy, others)
    quantity = min(pieces // policy.units_per_listing, policy.most)
    return quantity if quantity >= policy.min_show else 0


def explain_offer(available: int, policy: OfferPolicy, others: Others = NO_OTHERS) -> OfferTerms:
    """Return the same number as `offer_quantity`, with every piece that it left out and why."""
    offer = offer_quantity(available, policy, others)
    start = max(0, available)
    limit = limit_of(available, policy)
    shared = max(0, min(limit, max(others.floor, available - others.reserve)))
    pieces = min(shared, max(0, policy.cap))
    listings = pieces // policy.units_per_listing
    shown = min(listings, policy.most)
    return OfferTerms(
        available=available,
        safety=start - limit,
        reserve=limit - shared,
        capped=(shared - pieces) + (listings - shown) * policy.units_per_listing,
        pieces=pieces,
        units_per_listing=policy.units_per_listing,
        rounding=pieces - listings * policy.units_per_listing,
        hidden=(shown - offer) * policy.units_per_listing,
        offer=offer,
    )


def bundle_available(available_of_part: dict[str, int], parts: dict[str, int]) -> int:
    """How many whole bundles the parts make: min over parts of floor(available ÷ n), negative kept (S1.11)."""
    return min(available_of_part.get(sku, 0) // n for sku, n in parts.items())
