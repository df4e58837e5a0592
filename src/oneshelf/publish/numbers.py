"""The number that each outlet ought to show at this moment, with every term of it (SEMANTICS 2).

In: levels, links, rules, what the planner says of the others. Out: offers. Tables: reads link, stock_level, offer_rule.
Never: stores what it computes; lets what an outlet shows change its number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from oneshelf.channels.contract import Capabilities
from oneshelf.core.offer import (
    NO_CAP,
    NO_OTHERS,
    OfferPolicy,
    OfferTerms,
    Others,
    bundle_available,
    explain_offer,
    shared_of,
)
from oneshelf.core.offer_rule import OfferRule
from oneshelf.core.reserve import Seller
from oneshelf.db.tx import Tx
from oneshelf.listings.policy import EVERY_SKU, Change, Rules, rules_for
from oneshelf.listings.risk import locations_of
from oneshelf.stock.levels import available_of, locations_in_scope

from .exposure import shown_of
from .planner import Planned, plan_skus
from .slots import account_row


class Number(msgspec.Struct, frozen=True):
    """One outlet's offer. `available`: K_c in pieces of its SKU, for a bundle in whole bundles; `units`: pieces a listing sells (1 for
    a bundle). `why`: the terms as they are kept with an attempt (2.10).

    `exposed`: pieces that all marketplace outlets of the SKU may sell (8.6; 0: nobody needs to know). `v`: listings a second; `rush`: how many of them sell within the outlet's windows (8.9, 8.10).
    """

    outlet_id: int
    offer: int
    available: int
    units: int
    reserve: int
    why: dict[str, Any]
    v: float = 0.0
    rush: float = 0.0
    exposed: int = 0
    strict: bool = False


def numbers_of(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    outlet_ids: Iterable[int],
    can: Capabilities,
    now: int,
    *,
    everything: bool = False,
    changes: Sequence[Change] = (),
) -> dict[int, Number]:
    """Return {outlet: number} from this moment's levels; outlets that are tied to no SKU are left out.

    `everything`: the terms of slow SKUs are worked out too, which changes no number (for who explains one). `changes`: as if these rules
    had been changed (for who asks what that would do).
    """
    parts_of: dict[int, dict[str, int]] = {}
    for outlet_id, sku, units in tx.all(
        "SELECT outlet_id, sku, units FROM link WHERE tenant_id = :t AND outlet_id {in:ids}",
        t=tenant_id,
        ids=sorted(outlet_ids),
    ):
        parts_of.setdefault(outlet_id, {})[sku] = units
    skus = {sku for parts in parts_of.values() for sku in parts}
    if not skus:
        return {}
    work = _Work(tx, tenant_id, account_id, skus, can, now, everything, changes)
    return {
        outlet_id: work.bundle(outlet_id, parts) if len(parts) > 1 else work.single(outlet_id, parts)
        for outlet_id, parts in parts_of.items()
    }


class _Work:
    """What the numbers of one call share."""

    def __init__(
        self,
        tx: Tx,
        tenant_id: int,
        account_id: int,
        skus: set[str],
        can: Capabilities,
        now: int,
        everything: bool,
        changes: Sequence[Change],
    ) -> None:
        self.can = can
        self.rules: Rules = rules_for(tx, tenant_id, account_id, {*skus, EVERY_SKU}, changes)
        k = available_of(tx, tenant_id, sorted(skus))
        self.everywhere = k
        #: K of the locations that serve this account (2.14), without those that the SKU's rule leaves out.
        self.k = self._served(tx, tenant_id, account_id, k)
        for (sku,) in tx.all(
            "SELECT sku FROM item WHERE tenant_id = :t AND deleted = 1 AND sku {in:skus}",
            t=tenant_id,
            skus=sorted(skus),
        ):
            k[sku] = min(k[sku], 0)  # deleted in the shop: nobody can ship it from there
            self.k[sku] = min(self.k[sku], 0)
        account = account_row(tx, tenant_id, account_id)
        #: Told to show 0 whatever is there, before a pause (8.14).
        self.closed = account.shows_zero
        #: Pieces kept off for a while beside what rules keep off (publish/safe_pause).
        self.wider = account.wider
        self.planned: Planned = plan_skus(tx, tenant_id, skus, k, now, everything=everything)

        scarce = [sku for (_, sku), others in self.planned.others.items() if others.reserve]
        self.exposed = shown_of(tx, tenant_id, set(scarce)) if scarce else {}

    def _served(self, tx: Tx, tenant_id: int, account_id: int, k: Mapping[str, int]) -> dict[str, int]:
        here = locations_of(tx, tenant_id).get(account_id)
        of_places: dict[tuple[str, ...], list[str]] = {}
        for sku in k:
            of_places.setdefault(self.rules.of(sku).except_locations, []).append(sku)
        found: dict[str, int] = {}
        for left_out, skus in of_places.items():
            if here is None and not left_out:
                found.update({sku: k[sku] for sku in skus})
                continue
            places = set(locations_in_scope(tx, tenant_id) if here is None else here) - set(left_out)
            there = available_of(tx, tenant_id, sorted(skus), only_at=places)
            # Never more than K (I11): what another location owes is covered from here (S6.1).
            found.update({sku: min(pieces, k[sku]) for sku, pieces in there.items()})
        return found

    def policy(self, outlet_id: int, sku: str, units: int) -> OfferPolicy:
        numbers = self.rules.of(sku).numbers_at(self.k[sku])
        return numbers.policy(
            units_per_listing=units,
            channel_max=self.can.max_quantity,
            auto_cap=self.planned.cap_of(outlet_id, sku) if numbers.cap_auto else NO_CAP,
            closed=self.closed,
            wider=self.wider,
        )

    def others(self, outlet_id: int, sku: str, *, part: bool = False) -> Others:
        """What the planner says; a rule may switch it off, but not for a strict SKU. An exact number of a part says nothing of a bundle."""
        others = self.planned.others_of(outlet_id, sku)
        numbers = self.rules.of(sku).numbers_at(self.k[sku])
        wanted = numbers.adaptive if part else numbers.sets_aside
        return others if wanted or others.strict else NO_OTHERS

    def single(self, outlet_id: int, parts: dict[str, int]) -> Number:
        ((sku, units),) = parts.items()
        others, policy = self.others(outlet_id, sku), self.policy(outlet_id, sku, units)
        terms = explain_offer(self.k[sku], policy, others)
        seller = self.planned.sellers.get((outlet_id, sku))
        why = {
            "sku": sku,
            "cap": policy.cap,
            "closed": self.closed,
            "wider": self.wider,
            "everywhere": self.everywhere[sku],
            **self._words(terms, self.rules.of(sku), self.k[sku]),
            **_of_others(others),
        }
        return Number(
            outlet_id,
            terms.offer,
            self.k[sku],
            units,
            others.reserve,
            why,
            v=_v(seller, units),
            rush=_rush(seller, units),
            exposed=self.exposed.get(sku, 0),
            strict=others.strict,
        )

    def bundle(self, outlet_id: int, parts: dict[str, int]) -> Number:
        """S1.11: each part gives what its own rule and its other outlets leave of it; the bundle shows the least."""
        others = {sku: self.others(outlet_id, sku, part=True) for sku in parts}
        left = {
            sku: shared_of(self.k[sku], self.policy(outlet_id, sku, 1), others[sku]) if self.k[sku] > 0 else self.k[sku]
            for sku in parts
        }
        available = bundle_available(left, parts)
        whole, scarcest = self.rules.of(EVERY_SKU), min(self.k[sku] for sku in parts)
        numbers = whole.numbers_at(scarcest)
        policy = OfferPolicy(channel_max=self.can.max_quantity, min_show=numbers.min_show, exactly=numbers.exactly)
        policy = msgspec.structs.replace(policy, cap=0) if self.closed else policy
        terms = explain_offer(available, policy, NO_OTHERS)
        why = {
            "parts": {
                sku: {"available": self.k[sku], "left": left[sku], "units": units, **_of_others(others[sku])}
                for sku, units in parts.items()
            },
            **self._words(terms, whole, scarcest),
            "closed": self.closed,
            "wider": self.wider,
        }
        bundles = bundle_available(self.k, parts)
        sellers = [(self.planned.sellers.get((outlet_id, sku)), units) for sku, units in parts.items()]
        # Whoever's part is scarcest says how many bundles are to be set aside.
        reserve = max(0, max(bundles - self._spared(sku, others[sku]) // units for sku, units in parts.items()))
        return Number(
            outlet_id,
            terms.offer,
            bundles,
            1,
            reserve,
            why,
            v=max(_v(*one) for one in sellers),
            rush=max(_rush(*one) for one in sellers),
            strict=any(one.strict for one in others.values()),
        )

    def _spared(self, sku: str, others: Others) -> int:
        return self.k[sku] - others.reserve

    @staticmethod
    def _words(terms: OfferTerms, rule: OfferRule, available: int) -> dict[str, Any]:
        """The terms, and whose rule they follow: its selector, and what of it holds at this K."""
        numbers = rule.numbers_at(available)
        at = {"selector": msgspec.to_builtins(rule.selector), "low": rule.is_low(available)}
        at |= {"adaptive": numbers.adaptive, "cap_auto": numbers.cap_auto, "exactly": numbers.exactly}
        return {**msgspec.structs.asdict(terms), "rule": at}


def _of_others(others: Others) -> dict[str, Any]:
    """What the planner said, as it is kept with an attempt."""
    return {"others": msgspec.structs.asdict(others)}


def _v(seller: Seller | None, units: int) -> float:
    return 0.0 if seller is None else seller.v / units


def _rush(seller: Seller | None, units: int) -> float:
    return 0.0 if seller is None else seller.v / units * (seller.notice_s + seller.publish_s)
