"""One planner per SKU: for all its outlets, what each must leave to the others, and its fair share (SEMANTICS 2.2, 2.3, 2.9, 2.11, 3).

In: paces, windows, announced sales, K. Out: numbers about the others, for publish/numbers to make offers of.
Tables: reads link, outlet, pace, channel_window, feed, strict_sku, risk, announced_sale. It owns channel_window and planner (ticking writes).
Never: looks at what an outlet shows; changes a row; lets time alone change an offer between two steps (core/pace).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from oneshelf.core import pace
from oneshelf.core.ids import CHANNEL_RANK, HUB, ChannelName
from oneshelf.core.instants import SECOND
from oneshelf.core.offer import NO_OTHERS, Others
from oneshelf.core.pace import Sold
from oneshelf.core.reserve import Risk, Seller, auto_cap, plan, plan_strict
from oneshelf.core.slot import PUBLISH_WINDOW_S
from oneshelf.db.tx import Tx
from oneshelf.listings.announced import factors_of
from oneshelf.listings.risk import risks_of, strict_skus
from oneshelf.orders.pace import HUB_OUTLET

#: S0.8: notice windows until the first measurement: with notifications; Amazon's poll and its search's delay without a queue.
NOTICE_START_S = {"shopify": 5.0, "amazon": 330.0, "ebay": 5.0, "etsy": 5.0}
_OTHER_NOTICE_S = 60.0
_OTHER_PUBLISH_S = 10.0
#: A channel that is not in the table of ranks goes last.
_LAST_RANK = 99


class Window(msgspec.Struct, frozen=True):
    """How late an account is, microseconds: `notice` (n, widened by blindness), `publish` (p). `blind`: by how much it is widened."""

    account_id: int
    channel: str
    notice: int
    publish: int
    absolute: bool
    median: float
    counted_since: int
    blind: int = 0

    @property
    def is_hub(self) -> bool:
        return self.channel == HUB

    @property
    def whole(self) -> int:
        return self.notice + self.publish

    @property
    def rank(self) -> int:
        return CHANNEL_RANK[ChannelName(self.channel)] if self.channel in NOTICE_START_S else _LAST_RANK


def windows_of(tx: Tx, tenant_id: int, now: int) -> dict[int, Window]:
    """Return the window of every connected account as of the last step (S3.1, S3.2, S3.4)."""
    at = pace.step_of(now)
    found = {}
    for account_id, channel, connected_at, notice, publish, grace, absolute, median, ahead, complete in tx.all(
        """SELECT a.account_id, a.channel, a.connected_at, w.notice, w.publish, w.grace, w.absolute, w.median, w.ahead, f.complete_through_at
             FROM account a
             LEFT JOIN channel_window w ON w.tenant_id = a.tenant_id AND w.account_id = a.account_id
             LEFT JOIN feed f ON f.tenant_id = a.tenant_id AND f.account_id = a.account_id AND f.name = 'orders'
            WHERE a.tenant_id = :t AND a.state <> 'DISCONNECTED' ORDER BY a.account_id""",
        t=tenant_id,
    ):
        if notice is None:
            notice = round(NOTICE_START_S.get(channel, _OTHER_NOTICE_S) * SECOND)
            publish = round(PUBLISH_WINDOW_S.get(channel, _OTHER_PUBLISH_S) * SECOND)
            grace, absolute, median, ahead = None, int(channel != HUB), 0.0, 0
        # Before its first whole poll nothing of the account is LIVE (S0.7), so nothing can be unheard. What is complete is by its clock.
        blind = max(0, at + ahead - complete - grace) if grace is not None and complete is not None else 0
        found[account_id] = Window(
            account_id, channel, notice + blind, publish, bool(absolute), median or 0.0, connected_at, blind
        )
    return found


class Planned(msgspec.Struct):
    """What was planned, by (outlet, SKU). `sellers`: its pace and windows; missing where nobody sells. `hub_share`: of strict SKUs."""

    others: dict[tuple[int, str], Others] = {}
    sellers: dict[tuple[int, str], Seller] = {}
    hub: dict[str, Seller] = {}
    hub_share: dict[str, int] = {}
    factors: dict[str, float] = {}

    def others_of(self, outlet_id: int, sku: str) -> Others:
        return self.others.get((outlet_id, sku), NO_OTHERS)

    def cap_of(self, outlet_id: int, sku: str) -> int:
        """S2.8 for this outlet."""
        seller = self.sellers.get((outlet_id, sku))
        return auto_cap(seller or Seller((0,), 0.0, 0.0, 0.0))


def plan_skus(
    tx: Tx, tenant_id: int, skus: Iterable[str], k: Mapping[str, int], now: int, *, everything: bool = False
) -> Planned:
    """Plan these SKUs from this moment's K. SKUs that nobody buys and that are not strict cost one query all together; `everything`:
    they are planned too, for who wants to see the terms."""
    wanted = sorted(set(skus))
    strict = strict_skus(tx, tenant_id, wanted)
    windows = windows_of(tx, tenant_id, now)
    sold = _sold(tx, tenant_id, wanted)
    news = any(window.median > 0.0 for window in windows.values())
    to_plan = wanted if everything or news else [sku for sku in wanted if sku in sold or sku in strict]
    planned = Planned()
    if not to_plan:
        return planned
    at = pace.step_of(now)
    ahead = max((window.whole for window in windows.values()), default=0)
    announced = factors_of(tx, tenant_id, to_plan, at, ahead)
    risks = risks_of(tx, tenant_id, to_plan)
    hub = next((window for window in windows.values() if window.is_hub), None)
    outlets = _outlets(tx, tenant_id, to_plan, windows)
    for sku in to_plan:
        of_sku = _Sku(sku, sold.get(sku, {}), outlets.get(sku, []), windows, hub, announced.get(sku, 1.0), at, now)
        planned.factors[sku] = of_sku.factor
        planned.sellers.update({(outlet_id, sku): seller for outlet_id, seller in of_sku.sellers.items()})
        if of_sku.hub_seller is not None:
            planned.hub[sku] = of_sku.hub_seller
        if sku in strict:
            share, others = plan_strict(k[sku], of_sku.hub_seller, of_sku.sellers)
            planned.hub_share[sku] = share
        else:
            others = plan(k[sku], of_sku.hub_seller, of_sku.sellers, risks.get(sku, Risk()))
        planned.others.update({(outlet_id, sku): one for outlet_id, one in others.items()})
    return planned


def _sold(tx: Tx, tenant_id: int, skus: list[str]) -> dict[str, dict[int, Sold]]:
    found: dict[str, dict[int, Sold]] = {}
    for sku, outlet_id, *sums in tx.all(
        "SELECT sku, outlet_id, orders, pieces, burst, burst_hour FROM pace WHERE tenant_id = :t AND sku {in:skus}",
        t=tenant_id,
        skus=skus,
    ):
        found.setdefault(sku, {})[outlet_id] = Sold(*sums)
    return found


def _outlets(
    tx: Tx, tenant_id: int, skus: list[str], windows: Mapping[int, Window]
) -> dict[str, list[tuple[int, int, int, int]]]:
    """Return {SKU: [(outlet, account, pieces a listing, found at)]} of everything on a marketplace that sells it."""
    found: dict[str, list[tuple[int, int, int, int]]] = {}
    for sku, *row in tx.all(
        # CROSS JOIN: SQLite joins in the order written, from the few links of these SKUs.
        """SELECT k.sku, o.outlet_id, o.account_id, k.units, o.found_at FROM link k CROSS JOIN outlet o
            WHERE k.tenant_id = :t AND k.sku {in:skus} AND o.tenant_id = k.tenant_id AND o.outlet_id = k.outlet_id
              AND o.fulfilled_by_channel = 0 AND o.state NOT IN ('ended', 'draft', 'gone')""",
        t=tenant_id,
        skus=skus,
    ):
        window = windows.get(row[1])
        if window is not None and not window.is_hub:
            found.setdefault(sku, []).append((row[0], row[1], row[2], row[3]))
    return found


class _Sku:
    """One SKU's sellers with their velocities of this moment."""

    def __init__(
        self,
        sku: str,
        sold: Mapping[int, Sold],
        outlets: list[tuple[int, int, int, int]],
        windows: Mapping[int, Window],
        hub: Window | None,
        announced: float,
        at: int,
        now: int,
    ) -> None:
        self.sku = sku
        self._day = pace.day_of(now)
        counter = sum(pace.burst_at(one.burst, one.burst_hour, at) for one in sold.values())
        orders = 0.0
        rates: dict[int, float] = {}
        for outlet_id, account_id, units, found_at in outlets:
            window = windows[account_id]
            orders_v, pieces_v = self._rates(sold.get(outlet_id), max(window.counted_since, found_at), window, units)
            orders += orders_v
            rates[outlet_id] = pieces_v
        hub_v = 0.0
        if hub is not None:
            hub_orders, hub_v = self._rates(sold.get(HUB_OUTLET), hub.counted_since, hub, 1)
            orders += hub_orders
        # An announced sale that really comes is not counted twice: the larger of the two.
        self.factor = max(pace.burst_factor(counter, orders), announced)
        self.sellers = {
            outlet_id: self._seller(windows[account_id], rates[outlet_id], outlet_id)
            for outlet_id, account_id, _, _ in sorted(outlets)
        }
        self.hub_seller = None if hub is None else self._seller(hub, hub_v, HUB_OUTLET)

    def _rates(self, sold: Sold | None, since: int, window: Window, units: int) -> tuple[float, float]:
        """Return (orders, pieces) a second. S3.5: one that is new sells at least as its channel's median SKU does."""
        orders = pieces = 0.0
        if sold is not None:
            orders, pieces = (pace.rate(total, since, self._day) for total in (sold.orders, sold.pieces))
        if window.median > pieces and since > window.counted_since and since > self._day - pace.HALF_LIFE:
            return max(orders, window.median / units), window.median
        return orders, pieces

    def _seller(self, window: Window, v: float, outlet_id: int) -> Seller:
        return Seller(
            (window.rank, window.account_id, outlet_id),
            v * self.factor,
            window.notice / SECOND,
            window.publish / SECOND,
            window.absolute,
        )
