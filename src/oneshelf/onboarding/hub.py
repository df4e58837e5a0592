"""The hub's first load, in the order of SEMANTICS 0.4: news into the inbox first, then catalogue, then levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from oneshelf.channels.contract import ExportState, Http, Hub, HubFacts, HubLocation, ListingFound
from oneshelf.core.errors import Retry
from oneshelf.core.instants import to_us
from oneshelf.core.precedence import ItemFacts
from oneshelf.db.journal import open_task
from oneshelf.db.tx import Tx
from oneshelf.listings import links
from oneshelf.listings.policy import hear_facts
from oneshelf.orders.accounts import load_accounts
from oneshelf.pricing.levels import ItemTold, hear_hub
from oneshelf.reconcile import hub as judging
from oneshelf.reconcile import opening
from oneshelf.reconcile.worker import wait_for_export
from oneshelf.routing.locations import keep_hub_addresses
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer
from oneshelf.tenants.accounts import set_matched, set_state

from .bundles import components_of, keep_bundles


async def read_catalogue(
    tenant_id: int, account_id: int, hub: Hub, http: Http, writer: Writer, clock: Clock, look_every_s: float = 1.0
) -> int:
    """Read locations and all variants by one bulk operation; return how many SKUs the shop has."""
    places = await hub.locations(http)
    await writer.do(lambda tx: keep_locations(tx, tenant_id, places))
    started = await hub.start_catalogue_export(http)
    if not isinstance(started, ExportState):
        raise Retry(f"Shopify did not start the catalogue export: {started}")
    state = await wait_for_export(hub, http, started, look_every_s)
    found = [one async for batch in hub.catalogue_export(http, state) for one in batch]
    made_of = await components_of(hub, http, found)

    def keep(tx: Tx) -> int:
        now = to_us(clock.now())
        count = keep_items(tx, tenant_id, account_id, found, now)
        keep_bundles(tx, tenant_id, made_of, found, now)
        return count

    return await writer.do(keep)


def keep_locations(tx: Tx, tenant_id: int, places: Sequence[HubLocation]) -> None:
    """S0.2: in scope are active locations that fulfil online orders and are no other app's fulfilment service."""
    for priority, place in enumerate(places):
        tx.run(
            """INSERT INTO location (tenant_id, location_id, name, active, in_scope, priority) VALUES (:t, :l, :n, :a, :s, :p)
               ON CONFLICT (tenant_id, location_id) DO UPDATE SET name = excluded.name, active = excluded.active""",
            t=tenant_id,
            l=place.location_id,
            n=place.name,
            a=int(place.active),
            s=int(place.active and place.fulfils_online and not place.is_fulfillment_service),
            p=priority,
        )
    keep_hub_addresses(tx, tenant_id, places)


def keep_items(tx: Tx, tenant_id: int, account_id: int, found: Sequence[ListingFound], now: int) -> int:
    """Store the shop's SKUs and tie its variants to them. A SKU on two variants is refused and shown (FC-E03)."""
    by_sku: dict[str, list[ListingFound]] = {}
    for listing in found:
        by_sku.setdefault(listing.sku or "", []).append(listing)
    without = len(by_sku.pop("", []))
    if without:
        what = f"Give {without} product variants a SKU"
        open_task(
            tx, tenant_id, now, "hub_without_sku", str(account_id), what, "Without one they can't be sold elsewhere"
        )
    single: list[ListingFound] = []
    for sku, same in sorted(by_sku.items()):
        if len({listing.extra.get("item_id") for listing in same}) > 1:
            what = f"Give the SKU {sku} to one product only"
            open_task(
                tx, tenant_id, now, "duplicate_sku", sku, what, f"{len(same)} variants have it, so it can't be linked"
            )
        else:
            single.append(same[0])
    hear_facts(tx, tenant_id, {str(one.sku): _item_facts(one) for one in single}, now)
    hear_hub(tx, tenant_id, {str(one.sku): _told(one) for one in single}, now)
    tx.many(
        """INSERT INTO item (tenant_id, sku, title, variant_id, item_id, product_id, tracked, deleted, price_minor, currency,
               vendor, product_type, tags, cost_minor, cost_currency, compare_at_minor, barcode)
           VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (tenant_id, sku) DO UPDATE SET title = excluded.title, variant_id = excluded.variant_id,
               item_id = excluded.item_id, product_id = excluded.product_id, tracked = excluded.tracked, deleted = 0,
               price_minor = excluded.price_minor, currency = excluded.currency, vendor = excluded.vendor,
               product_type = excluded.product_type, tags = excluded.tags, cost_minor = excluded.cost_minor,
               cost_currency = excluded.cost_currency, compare_at_minor = excluded.compare_at_minor, barcode = excluded.barcode""",
        [
            (
                tenant_id,
                listing.sku,
                listing.title,
                listing.extra.get("variant_id", ""),
                listing.extra.get("item_id", ""),
                listing.extra.get("product_id", ""),
                int(not listing.untracked),
                listing.price_minor,
                listing.currency,
                *_facts(listing.facts or HubFacts()),
            )
            for listing in single
        ],
    )
    links.keep_listings(tx, tenant_id, account_id, single, now)
    _link_variants(tx, tenant_id, account_id, [listing.outlet_external_id for listing in single])
    return len(single)


def _told(listing: ListingFound) -> ItemTold:
    """What prices may depend on."""
    facts = listing.facts or HubFacts()
    return ItemTold(
        (listing.price_minor, listing.currency),
        (facts.cost.minor, facts.cost.currency) if facts.cost else (None, None),
        facts.compare_at.minor if facts.compare_at else None,
        _item_facts(listing),
    )


def _item_facts(found: ListingFound) -> ItemFacts:
    facts = found.facts or HubFacts()
    return ItemFacts(str(found.sku), facts.tags, facts.vendor, facts.product_type)


def _facts(facts: HubFacts) -> tuple[Any, ...]:
    """The last columns of an item's row: what the hub keeps about it beside its price."""
    return (
        facts.vendor,
        facts.product_type,
        msgspec.json.encode(facts.tags).decode(),
        facts.cost.minor if facts.cost else None,
        facts.cost.currency if facts.cost else None,
        facts.compare_at.minor if facts.compare_at else None,
        facts.barcode,
    )


def _link_variants(tx: Tx, tenant_id: int, account_id: int, external_ids: Sequence[str]) -> None:
    """The shop's own variants sell one piece of their own SKU."""
    tx.run(
        """INSERT INTO link (tenant_id, outlet_id, sku, units)
           SELECT o.tenant_id, o.outlet_id, o.sku_text, 1 FROM outlet o
             JOIN item i ON i.tenant_id = o.tenant_id AND i.sku = o.sku_text AND i.tracked = 1
            WHERE o.tenant_id = :t AND o.account_id = :a AND o.external_id {in:ids} AND o.sku_text <> ''
           ON CONFLICT (tenant_id, outlet_id, sku) DO NOTHING""",
        t=tenant_id,
        a=account_id,
        ids=list(external_ids),
    )


async def open_levels(tenant_id: int, account_id: int, hub: Hub, http: Http, writer: Writer, clock: Clock) -> int:
    """Read every level directly (T0 is the instant of the read) and post the first count; returns how many levels."""
    item_ids = [
        item_id
        for (item_id,) in await writer.do(
            lambda tx: tx.all(
                "SELECT item_id FROM item WHERE tenant_id = :t AND tracked = 1 AND deleted = 0 AND item_id <> '' ORDER BY item_id",
                t=tenant_id,
            )
        )
    ]
    levels = []
    for start in range(0, len(item_ids), judging.ITEMS_A_READ):
        levels += await hub.levels(http, item_ids[start : start + judging.ITEMS_A_READ])

    def post(tx: Tx) -> int:
        now = to_us(clock.now())
        account = load_accounts(tx, tenant_id)[account_id]
        count = opening.open_stock(tx, tenant_id, account, levels, now)
        set_matched(tx, tenant_id, account_id, now)
        return count

    return await writer.do(post)


async def settle_opening(tenant_id: int, account_id: int, hub: Hub, http: Http, writer: Writer, clock: Clock) -> int:
    """S0.5, when the open orders are booked: what the shop has committed beyond them. Then the hub is live."""
    item_ids = [
        item_id
        for (item_id,) in await writer.do(
            lambda tx: tx.all(
                "SELECT item_id FROM item WHERE tenant_id = :t AND tracked = 1 AND item_id <> ''", t=tenant_id
            )
        )
    ]
    added = 0
    for start in range(0, len(item_ids), judging.ITEMS_A_READ):
        asked_at = to_us(clock.now())
        levels = await hub.levels(http, item_ids[start : start + judging.ITEMS_A_READ])
        read = judging.Read(levels, asked_at, f"open:{asked_at}")

        def settle(tx: Tx, read: judging.Read = read) -> int:
            now = to_us(clock.now())
            return opening.settle_opening(tx, tenant_id, load_accounts(tx, tenant_id)[account_id], read, now)

        added += await writer.do(settle)
    await writer.do(lambda tx: set_state(tx, tenant_id, account_id, "LIVE", to_us(clock.now())))
    return added
