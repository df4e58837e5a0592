"""The last days under other rules: which oversells they would have avoided, which sales withheld (the assumptions: core/replay).

In: changes of rules; ledger entries, orders, links as they are stored. Out: sums, and the SKUs that would feel it most.
Tables: reads ledger_entry, orders, order_line, stock_level, link. Never: changes a row; makes an offer in a way of its own: rules, planner and
core/offer are those that publishing uses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from oneshelf.channels.contract import Capabilities
from oneshelf.core.instants import SECOND
from oneshelf.core.offer import NO_CAP, NO_OTHERS, offer_quantity
from oneshelf.core.pace import DAY
from oneshelf.core.replay import HUB, Event, Offer, Outcome, walk
from oneshelf.core.reserve import Risk, plan, plan_strict
from oneshelf.db.tx import Tx
from oneshelf.listings.policy import Change, rules_for
from oneshelf.listings.risk import locations_of, risks_of, strict_skus
from oneshelf.publish.planner import Planned, plan_skus, windows_of
from oneshelf.publish.rule_changes import concerned
from oneshelf.stock.levels import available_of, levels_of, locations_in_scope

DAYS = 30
#: The SKUs that sold most are walked; how many were left out is said.
SKUS_MAX = 2_000
SKUS_AT_ONCE = 50
#: How many SKUs are named.
NAMED_MAX = 20


class SkuReplayed(msgspec.Struct, frozen=True):
    """One SKU: as it really went, under the rules of now, and under the changed ones."""

    sku: str
    happened: Outcome
    now: Outcome
    changed: Outcome

    @property
    def felt(self) -> int:
        return abs(self.now.oversold - self.changed.oversold) + abs(self.now.withheld - self.changed.withheld)


class Replayed(msgspec.Struct, frozen=True):
    """All of it. `avoided`: pieces oversold under the rules of now and not under the changed ones (below 0: more are oversold);
    `withheld`: pieces sold now that would not have been shown. `left_out`: SKUs that sold less and were not walked."""

    days: int = DAYS
    skus: int = 0
    happened: Outcome = Outcome()
    now: Outcome = Outcome()
    changed: Outcome = Outcome()
    avoided: int = 0
    withheld: int = 0
    left_out: int = 0
    most: tuple[SkuReplayed, ...] = ()

    def plus(self, other: Replayed) -> Replayed:
        most = sorted((*self.most, *other.most), key=lambda one: (-one.felt, one.sku))[:NAMED_MAX]
        return Replayed(
            self.days,
            self.skus + other.skus,
            self.happened.plus(other.happened),
            self.now.plus(other.now),
            self.changed.plus(other.changed),
            self.avoided + other.avoided,
            self.withheld + other.withheld,
            self.left_out + other.left_out,
            tuple(most),
        )


class Wanted(msgspec.Struct, frozen=True):
    """The SKUs to walk, most sold first, and how many are left out."""

    skus: list[str]
    left_out: int

    def chunks(self) -> list[list[str]]:
        return [self.skus[i : i + SKUS_AT_ONCE] for i in range(0, len(self.skus), SKUS_AT_ONCE)]


def skus_to_replay(tx: Tx, tenant_id: int, changes: Sequence[Change], now: int) -> Wanted:
    """Return the SKUs that the changes concern and that sold within the days."""
    outlets = {outlet_id for some in concerned(tx, tenant_id, changes).values() for outlet_id in some}
    skus = {
        sku
        for (sku,) in tx.all(
            "SELECT DISTINCT sku FROM link WHERE tenant_id = :t AND outlet_id {in:ids}",
            t=tenant_id,
            ids=sorted(outlets),
        )
    }
    rows = tx.all(
        """SELECT l.sku, COUNT(*) FROM orders o JOIN order_line l ON l.tenant_id = o.tenant_id AND l.order_no = o.order_no
            WHERE o.tenant_id = :t AND o.placed_at >= :since AND l.state <> 'U' GROUP BY l.sku""",
        t=tenant_id,
        since=now - DAYS * DAY,
    )
    sold = [sku for sku, _ in sorted(rows, key=lambda row: (-row[1], row[0])) if sku in skus]
    return Wanted(sold[:SKUS_MAX], max(0, len(sold) - SKUS_MAX))


def replay(tx: Tx, tenant_id: int, changes: Sequence[Change], can: Mapping[int, Capabilities], now: int) -> Replayed:
    """Walk all SKUs concerned in one go. `can`: of every connected marketplace account."""
    wanted = skus_to_replay(tx, tenant_id, changes, now)
    total = Replayed(left_out=wanted.left_out)
    for some in wanted.chunks():
        total = total.plus(replayed(tx, tenant_id, some, changes, can, now))
    return total


def replayed(
    tx: Tx, tenant_id: int, skus: Sequence[str], changes: Sequence[Change], can: Mapping[int, Capabilities], now: int
) -> Replayed:
    """Walk these SKUs: as it happened, under the rules of now, under the changed ones."""
    places = locations_in_scope(tx, tenant_id)
    starts, events = _history(tx, tenant_id, skus, places, now)
    now_offered, changed_offered = (Offers(tx, tenant_id, skus, places, can, some, now) for some in ((), changes))
    total = Replayed()
    for sku in skus:
        history = (starts[sku], events[sku])
        happened = walk(*history, None, {})
        as_now, as_changed = (
            walk(*history, offers.of(sku), offers.window_of) for offers in (now_offered, changed_offered)
        )
        one = SkuReplayed(sku, happened, as_now, as_changed)
        avoided, withheld = one.now.oversold - one.changed.oversold, one.changed.withheld - one.now.withheld
        named = (one,) if one.felt else ()
        total = total.plus(Replayed(DAYS, 1, happened, as_now, as_changed, avoided, withheld, 0, named))
    return total


# --- what happened ------------------------------------------------------------------------------------------------------


def _history(
    tx: Tx, tenant_id: int, skus: Sequence[str], places: Sequence[str], now: int
) -> tuple[dict[str, list[int]], dict[str, list[Event]]]:
    """Return {SKU: pieces at each place when the days began} and {SKU: what happened}, in order.

    A sale counts when the buyer bought, not when we heard of it. Reservations for sales not yet heard (`prov:`) are left out: each ends
    in its order, or in nothing.
    """
    since = now - DAYS * DAY
    index = {place: i for i, place in enumerate(places)}
    starts = {sku: [0] * len(places) for sku in skus}
    for (sku, place), level in levels_of(tx, tenant_id, skus).items():
        if place in index:
            starts[sku][index[place]] = level.available
    outlets = _outlets_of_lines(tx, tenant_id, skus, since)
    found: dict[str, list[tuple[int, int, Event]]] = {sku: [] for sku in skus}
    for number, sku, place, key, order_no, posted_at, placed_at, change in tx.all(
        """SELECT e.entry_no, e.sku, e.location_id, e.entry_key, e.order_no, e.posted_at, o.placed_at,
                  e.on_hand - e.committed - e.reserved - e.unavailable
             FROM ledger_entry e LEFT JOIN orders o ON o.tenant_id = e.tenant_id AND o.order_no = e.order_no
            WHERE e.tenant_id = :t AND e.sku {in:skus} AND e.posted_at >= :since
              AND e.on_hand - e.committed - e.reserved - e.unavailable <> 0 ORDER BY e.entry_no""",
        t=tenant_id,
        skus=list(skus),
        since=since,
    ):
        if place not in index:
            continue
        starts[sku][index[place]] -= change
        if key.startswith("prov:"):
            continue
        at, sale, bought = (
            posted_at,
            f"{order_no}" if order_no is not None else "",
            key.startswith(("commit:", "reserve:")),
        )
        outlet_id, units = outlets.get((order_no, sku), (HUB, 1))
        if bought and change < 0:
            at = max(since, placed_at) if placed_at is not None else posted_at
            event = Event(at, "sale", index[place], -change, sale, outlet_id, units)
        elif sale and change > 0 and key.startswith("release:"):
            event = Event(at, "back", index[place], change, sale)
        else:
            event = Event(at, "move", index[place], change, sale)
        found[sku].append((at, number, event))
    return starts, {
        sku: [event for *_, event in sorted(of_sku, key=lambda one: one[:2])] for sku, of_sku in found.items()
    }


def _outlets_of_lines(
    tx: Tx, tenant_id: int, skus: Sequence[str], since: int
) -> dict[tuple[int, str], tuple[int, int]]:
    """Return {(order, SKU): (outlet, pieces a unit)} of marketplace orders."""
    rows = tx.all(
        """SELECT l.order_no, l.sku, l.outlet_id, l.units_per_listing FROM order_line l JOIN account a ON a.tenant_id = l.tenant_id AND a.account_id = l.account_id
            WHERE l.tenant_id = :t AND l.sku {in:skus} AND l.placed_s >= :since AND a.channel <> 'shopify'""",
        t=tenant_id,
        skus=list(skus),
        since=since // SECOND - DAY // SECOND,
    )
    return {(order_no, sku): (outlet_id, max(1, units)) for order_no, sku, outlet_id, units in rows}


# --- what would have been shown -----------------------------------------------------------------------------------------


class Offers:
    """How each outlet's offer follows from the pieces at each place, under the rules of now with `changes` made."""

    def __init__(
        self,
        tx: Tx,
        tenant_id: int,
        skus: Sequence[str],
        places: Sequence[str],
        can: Mapping[int, Capabilities],
        changes: Sequence[Change],
        now: int,
    ) -> None:
        self._can = can
        self._places = list(places)
        self._serve = locations_of(tx, tenant_id)
        self._strict = strict_skus(tx, tenant_id, skus)
        self._risks = risks_of(tx, tenant_id, skus)
        k = available_of(tx, tenant_id, skus)
        self._planned: Planned = plan_skus(tx, tenant_id, skus, k, now, everything=True)
        self._rules = {account_id: rules_for(tx, tenant_id, account_id, skus, changes) for account_id in can}
        self._outlets: dict[str, dict[int, tuple[int, int]]] = {sku: {} for sku in skus}
        for sku, outlet_id, account_id, units in tx.all(
            """SELECT k.sku, k.outlet_id, o.account_id, k.units FROM link k JOIN outlet o ON o.tenant_id = k.tenant_id AND o.outlet_id = k.outlet_id
                WHERE k.tenant_id = :t AND k.sku {in:skus}""",
            t=tenant_id,
            skus=list(skus),
        ):
            self._outlets[sku][outlet_id] = (account_id, units)
        windows = windows_of(tx, tenant_id, now)
        notice = max((window.notice for window in windows.values()), default=0)
        #: How late an outlet's number is: the slowest news, and its own telling.
        self.window_of = {
            outlet_id: notice + windows[account_id].publish
            for of_sku in self._outlets.values()
            for outlet_id, (account_id, _) in of_sku.items()
            if account_id in windows
        }

    def of(self, sku: str) -> Offer:
        """Return what each of the SKU's outlets would show at given pieces. An outlet that is gone, or of an account that is
        disconnected, shows what there is."""
        hub = self._planned.hub.get(sku)
        outlets = self._outlets[sku]
        sellers = {o: seller for o in outlets if (seller := self._planned.sellers.get((o, sku))) is not None}
        served = {o: self._served(account_id, sku) for o, (account_id, _) in outlets.items()}

        def offer(outlet_id: int, at_places: Sequence[int]) -> int:
            account_id, units = outlets.get(outlet_id, (0, 1))
            k = sum(at_places)
            if account_id not in self._can:
                return max(0, k) // units
            here = sum(at_places[i] for i in served[outlet_id])
            numbers = self._rules[account_id].of(sku).numbers_at(here)
            if sku in self._strict:
                others = plan_strict(k, hub, sellers)[1].get(outlet_id, NO_OTHERS)
            elif numbers.sets_aside:
                others = plan(k, hub, sellers, self._risks.get(sku, Risk())).get(outlet_id, NO_OTHERS)
            else:
                others = NO_OTHERS
            cap = self._planned.cap_of(outlet_id, sku) if numbers.cap_auto else NO_CAP
            policy = numbers.policy(
                units_per_listing=units, channel_max=self._can[account_id].max_quantity, auto_cap=cap, closed=False
            )
            return offer_quantity(here, policy, others)

        return offer

    def _served(self, account_id: int, sku: str) -> list[int]:
        rules = self._rules.get(account_id)
        left_out = rules.of(sku).except_locations if rules is not None else ()
        here = self._serve.get(account_id)
        return [i for i, place in enumerate(self._places) if (here is None or place in here) and place not in left_out]
