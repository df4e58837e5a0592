"""Counts a demo: what the marketplaces say they sold against what the service stored, imported and told."""

from __future__ import annotations

from typing import Any

import msgspec

from oneshelf.db.tx import Tx
from oneshelf.stock import ledger
from oneshelf.watch.latency import latency
from oneshelf.watch.oversold import Oversold, by_cause
from oneshelf.watch.rest import unrest

from . import pricing


class Orders(msgspec.Struct):
    placed: int
    stored: int
    imported: int
    due: int
    cancelled: int


class Summary(msgspec.Struct):
    """What a demo came to. `breaches`: rules that did not hold, in words."""

    orders: Orders
    oversold: Oversold
    latency_s: dict[str, Any]
    writes: dict[str, int]
    prices_changed: int
    price_writes: dict[str, int]
    converged: bool
    breaches: list[str]
    waiting_for: list[str] = []
    faults: dict[str, int] = {}

    @property
    def is_good(self) -> bool:
        o = self.orders
        return (
            o.stored == o.placed
            and o.imported == o.due
            and self.oversold.late == 0
            and self.converged
            and not self.breaches
        )


def summarize(
    tx: Tx,
    tenant_id: int,
    sales: list[dict[str, Any]],
    shown: dict[str, dict[str, int]],
    copies: list[str],
    changed: dict[str, int],
    asks: dict[str, dict[str, int]],
) -> Summary:
    """`sales`: the marketplaces' own list. `shown`: {channel: {sku: what buyers see}}. `copies`: the external keys of the shop's orders.
    `changed`: prices changed in the shop, minor units by SKU; `asks`: {channel: {sku: what it asks}}."""
    stored = {
        (channel, order_id): (state, imported, payment, standing)
        for channel, order_id, state, imported, payment, standing in tx.all(
            "SELECT a.channel, o.order_id, o.state, o.hub_order_id, o.payment, o.standing FROM orders o "
            "JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id "
            "WHERE o.tenant_id = :t AND o.copy_key = ''",
            t=tenant_id,
        )
    }
    placed = {(sale["channel"], str(sale["order_id"]).rsplit("/", 1)[-1]) for sale in sales}
    paid = {
        (sale["channel"], str(sale["order_id"]))
        for sale in sales
        if sale["channel"] != "shopify" and sale.get("paid_at") and not _cancelled_before_paid(sale)
    }
    imported = {key for key, value in stored.items() if value[1] is not None and key[0] != "shopify"}
    breaches = _breaches(tx, tenant_id, copies)
    breaches += [
        f"{channel} order {order_id} was placed and is not stored"
        for channel, order_id in sorted(placed - stored.keys())
    ]
    breaches += [
        f"{channel} order {order_id} is stored and was never placed"
        for channel, order_id in sorted(stored.keys() - placed)
    ]
    waiting = unrest(tx, tenant_id)
    different = [] if waiting else _different(tx, tenant_id, shown)
    different += [] if waiting else pricing.different(changed, asks, _not_on_sale(tx, tenant_id))
    return Summary(
        orders=Orders(
            placed=len(placed),
            stored=len(placed & stored.keys()),
            imported=len(imported & paid),
            due=len(paid),
            cancelled=sum(1 for sale in sales if sale.get("cancelled_at")),
        ),
        oversold=by_cause(tx, tenant_id),
        latency_s=latency(tx, tenant_id),
        writes=_writes(tx, tenant_id, "attempt"),
        prices_changed=len(changed),
        price_writes=_writes(tx, tenant_id, "price_attempt"),
        converged=not waiting and not different,
        breaches=breaches,
        waiting_for=waiting + different,
    )


def _writes(tx: Tx, tenant_id: int, attempts: str) -> dict[str, int]:
    """How often each channel was told a number ("attempt") or a price ("price_attempt")."""
    rows = tx.all(
        f"SELECT a.channel, COUNT(*) FROM {attempts} t JOIN account a ON a.tenant_id = t.tenant_id AND a.account_id = t.account_id "
        "WHERE t.tenant_id = :t GROUP BY a.channel ORDER BY a.channel",
        t=tenant_id,
    )
    return {channel: count for channel, count in rows}


def _not_on_sale(tx: Tx, tenant_id: int) -> set[tuple[str, str]]:
    """(channel, SKU) of listings whose price is told when they are on sale again."""
    rows = tx.all(
        "SELECT a.channel, k.sku FROM price_slot s JOIN account a ON a.tenant_id = s.tenant_id AND a.account_id = s.account_id "
        "JOIN link k ON k.tenant_id = s.tenant_id AND k.outlet_id = s.outlet_id WHERE s.tenant_id = :t AND s.parked = 'not_on_sale'",
        t=tenant_id,
    )
    return {(channel, sku) for channel, sku in rows}


def _cancelled_before_paid(sale: dict[str, Any]) -> bool:
    return bool(sale.get("cancelled_at")) and sale["cancelled_at"] <= (sale.get("paid_at") or "")


def _breaches(tx: Tx, tenant_id: int, copies: list[str]) -> list[str]:
    """I1, and I6 as the shop itself sees it."""
    found = [
        f"{sku} at {location}: {bucket} is {level}, its entries make {total} (I1)"
        for sku, location, bucket, level, total in ledger.differences(tx, tenant_id)
    ]
    twice = {key for key in copies if copies.count(key) > 1}
    return found + [f"{key} stands in the shop {copies.count(key)} times (I6)" for key in sorted(twice)]


def _different(tx: Tx, tenant_id: int, shown: dict[str, dict[str, int]]) -> list[str]:
    """At rest every outlet shows its offer (I13), by the marketplaces' own word."""
    found = []
    for channel, sku, offer in tx.all(
        "SELECT a.channel, k.sku, s.offer FROM slot s JOIN account a ON a.tenant_id = s.tenant_id AND a.account_id = s.account_id "
        "JOIN link k ON k.tenant_id = s.tenant_id AND k.outlet_id = s.outlet_id WHERE s.tenant_id = :t AND s.state <> 'PARKED'",
        t=tenant_id,
    ):
        there = shown.get(channel, {}).get(sku)
        if there is not None and there != offer:
            found.append(f"{channel} shows {there} of {sku}, it should be {offer}")
    return found
