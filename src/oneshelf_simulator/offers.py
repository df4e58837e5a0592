"""The judge's own arithmetic of offers (SEMANTICS 2.2 to 2.6, 2.9, 3.5): what an outlet ought to show once nothing moves any more.

In: K, and as the engine has measured them: who sells how much, how late each channel is. Out: the least and the most that is right.
Never: imports the product; knows more of a burst than that there is one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

#: S2.6, S3.5, S3.6: as the specification has them.
EPSILON, DISPERSION = 0.01, 0.25
DAY_US = 86_400_000_000
HALF_LIFE_US = 14 * DAY_US
BURST_TAU_S, BURST_MIN = 300.0, 3.0
#: The engine's sums weigh a sale by its time since this instant: 2026-01-01.
LANDMARK_US = 1_767_225_600_000_000
#: Who goes first among equals (S6.2).
RANKS = {"amazon": 0, "ebay": 1, "etsy": 2, "shopify": 3}
#: By so much a velocity may be off: two ways to add up are not equal to the last bit.
SLACK = 1e-6


class Seller(NamedTuple):
    """An outlet, or the hub. `v`: pieces a second; `heard`, `told`: seconds until its sales are heard, until it is told."""

    channel: str
    outlet_id: int
    v: float
    heard: float
    told: float
    absolute: bool


def set_aside(mean: float) -> int:
    """S2.6: the smallest b with P(X > b) ≤ ε, X negative binomial."""
    if mean <= 0:
        return 0
    size = 1 / DISPERSION
    so_far, b = 0.0, 0
    while True:
        so_far += math.exp(
            math.lgamma(b + size) - math.lgamma(size) - math.lgamma(b + 1)
            + size * math.log(size / (size + mean)) + b * math.log(mean / (size + mean))
        )  # fmt: skip
        if 1 - so_far <= EPSILON:
            return b
        b += 1


def offers_of(k: int, sellers: list[Seller], there: Mapping[str, int]) -> dict[int, int]:
    """Return {outlet: its offer} of one SKU, without limits, caps and packs. `there`: K of what serves a channel that not all locations
    serve (S2.14); never more than K is shown of it (I11)."""
    outlets = [one for one in sellers if one.channel != "shopify"]
    slowest = max((one.told for one in outlets), default=0.0)
    hub = sum(set_aside(one.v * (one.heard + slowest)) for one in sellers if one.channel == "shopify")
    shares = _shared(max(0, k - hub), outlets, lambda one: one.v / (one.heard + one.told))
    found = {}
    for one in outlets:
        own = one.v * one.told if one.absolute else 0.0
        others = sum(d.v * (d.heard + one.told) for d in sellers if d is not one)
        floor = max(0, shares[one.outlet_id] - set_aside(own))
        here = min(k, there.get(one.channel, k))
        found[one.outlet_id] = max(0, min(here, max(floor, here - set_aside(others + own))))
    return found


def _shared(pieces: int, outlets: list[Seller], weight: Callable[[Seller], float]) -> dict[int, int]:
    """S2.3: by largest remainder; where nobody sells, equal."""
    weights = {one.outlet_id: weight(one) for one in outlets}
    total = sum(weights.values())
    parts = {o: round(pieces * (w / total if total else 1 / len(outlets)), 9) for o, w in weights.items()}
    shares = {o: math.floor(part) for o, part in parts.items()}
    ranked = sorted(outlets, key=lambda one: (shares[one.outlet_id] - parts[one.outlet_id], RANKS[one.channel]))
    for one in ranked[: pieces - sum(shares.values())]:
        shares[one.outlet_id] += 1
    return shares


class Offers:
    """Reads what the engine has measured, by plain SQL (`rows`)."""

    def __init__(self, rows: Callable[..., list[tuple[Any, ...]]], now_us: int) -> None:
        self._rows = rows
        self._now = now_us
        self._windows = {
            account_id: (channel, notice / 1e6, publish / 1e6, absolute, since, median)
            for account_id, channel, notice, publish, absolute, since, median in rows(
                "SELECT a.account_id, a.channel, w.notice, w.publish, w.absolute, a.connected_at, w.median "
                "FROM account a JOIN channel_window w ON w.tenant_id = a.tenant_id AND w.account_id = a.account_id"
            )
        }  # fmt: skip

    def bursting(self) -> list[str]:
        """The SKUs that sold so fast lately that their velocities are multiplied (S3.6): their offers still move."""
        counters: dict[str, float] = {}
        for sku, burst, hour in self._rows("SELECT sku, burst, burst_hour FROM pace"):
            age_s = self._now / 1e6 - hour * 3600
            counters[sku] = counters.get(sku, 0.0) + (burst * math.exp(-age_s / BURST_TAU_S) if age_s < 43_200 else 0.0)
        return sorted(sku for sku, counter in counters.items() if counter >= BURST_MIN)

    def ought(self, sku: str, k: int, there: Mapping[str, int]) -> dict[int, tuple[int, int]]:
        """Return {outlet: (least, most)} that this SKU's outlets ought to show."""
        found = [offers_of(k, self._sellers(sku, factor), there) for factor in (1 - SLACK, 1.0, 1 + SLACK)]
        return {o: (min(one[o] for one in found), max(one[o] for one in found)) for o in found[0]}

    def plain(self, sku: str, k: int, there: Mapping[str, int]) -> dict[int, tuple[int, int]]:
        """Return the same where adaptive offers are switched off."""
        shows = {one.outlet_id: max(0, min(k, there.get(one.channel, k))) for one in self._sellers(sku, 1.0)}
        return {outlet_id: (pieces, pieces) for outlet_id, pieces in shows.items()}

    def dealt(self, sku: str, k: int, there: Mapping[str, int]) -> dict[int, tuple[int, int]]:
        """Return the same of a strict SKU, the shop among them as outlet 0 (S2.9): its share of K by pace, or a piece beside it, as two
        equal remainders are not equal to the last bit."""
        sellers = self._sellers(sku, 1.0)
        shares = _shared(max(0, k), sellers, lambda one: one.v)
        most = {one.outlet_id: max(0, there.get(one.channel, k)) for one in sellers}
        return {o: (min(most[o], max(0, share - 1)), min(most[o], share + 1)) for o, share in shares.items()}

    def _sellers(self, sku: str, factor: float) -> list[Seller]:
        sold = {
            (account_id, outlet_id): pieces
            for account_id, outlet_id, pieces in self._rows(
                "SELECT account_id, outlet_id, pieces FROM pace WHERE sku = ?", sku
            )
        }
        outlets = self._rows(
            "SELECT o.account_id, o.outlet_id, o.found_at FROM outlet o JOIN link k ON k.tenant_id = o.tenant_id "
            "AND k.outlet_id = o.outlet_id WHERE k.sku = ? AND o.state NOT IN ('ended', 'draft', 'gone') ORDER BY o.outlet_id",
            sku,
        )
        hubs = [(account_id, 0, 0) for account_id, window in self._windows.items() if window[0] == "shopify"]
        sellers = []
        for account_id, outlet_id, found_at in [*outlets, *hubs]:
            if account_id not in self._windows:
                continue
            channel, heard, told, absolute, connected_at, median = self._windows[account_id]
            if channel == "shopify" and outlet_id:
                continue
            since = max(connected_at, found_at)
            v = self._pieces_a_second(sold.get((account_id, outlet_id), 0.0), since)
            if since > connected_at:
                v = max(v, median)
            sellers.append(Seller(channel, outlet_id, v * factor, heard, told, bool(absolute)))
        return sellers

    def _pieces_a_second(self, total: float, since: int) -> float:
        """S3.5: a decayed count over the time that it was counted for, at least a day; it stands still within a day."""
        day = self._now // DAY_US * DAY_US
        counted = max(DAY_US, day - since)
        pieces = total / float(2.0 ** ((day - LANDMARK_US) / HALF_LIFE_US))
        return pieces * math.log(2) / (1 - float(2.0 ** (-counted / HALF_LIFE_US))) / (HALF_LIFE_US / 1e6)
