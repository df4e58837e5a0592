"""Outlets, the names under which orders name them, and their ties to SKUs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence

import msgspec

from oneshelf.channels.contract import ListingFound
from oneshelf.core.ids import HUB
from oneshelf.db import events
from oneshelf.db.journal import close_task, open_task
from oneshelf.db.tx import Tx, next_values

from . import dirty

#: States of a listing that takes no number from us.
NOT_ON_SALE = ("ended", "draft", "gone")


class Tie(msgspec.Struct, frozen=True):
    """What one unit of a listing is made of: its outlet and pieces per SKU (one SKU, or a bundle's parts)."""

    outlet_id: int
    parts: dict[str, int]
    fulfilled_by_channel: bool = False


def ties_for(tx: Tx, tenant_id: int, account_id: int, listing_keys: Iterable[str]) -> dict[str, Tie]:
    """Return {listing key: tie} for those of these keys that are known; an unlinked outlet has no parts."""
    rows = tx.all(
        """SELECT n.listing_key, n.outlet_id, o.fulfilled_by_channel, k.sku, k.units
             FROM listing_key n JOIN outlet o ON o.tenant_id = n.tenant_id AND o.outlet_id = n.outlet_id
             LEFT JOIN link k ON k.tenant_id = n.tenant_id AND k.outlet_id = n.outlet_id
            WHERE n.tenant_id = :t AND n.account_id = :a AND n.listing_key {in:keys} ORDER BY n.listing_key, k.sku""",
        t=tenant_id,
        a=account_id,
        keys=list(listing_keys),
    )
    ties: dict[str, Tie] = {}
    for key, outlet_id, by_channel, sku, units in rows:
        tie = ties.get(key)
        if tie is None:
            tie = ties[key] = Tie(outlet_id, {}, bool(by_channel))
        if sku is not None:
            tie.parts[sku] = units
    return ties


def keep_listings(tx: Tx, tenant_id: int, account_id: int, found: Sequence[ListingFound], now: int) -> int:
    """Store what a catalogue shows: new outlets, changed states, further names. Returns how many outlets are new.

    Nothing is linked here and no number is believed: reads do that. An outlet that is ours to write again (relisted, no longer
    fulfilled by the channel) was passed over while it was not: it is marked, to be read first.
    """
    rows = tx.all(
        "SELECT outlet_id, external_id, state, fulfilled_by_channel FROM outlet "
        "WHERE tenant_id = :t AND account_id = :a AND external_id {in:ids}",
        t=tenant_id,
        a=account_id,
        ids=[listing.outlet_external_id for listing in found],
    )
    known = {external_id: outlet_id for outlet_id, external_id, _, _ in rows}
    passed_over = {external_id for _, external_id, state, by_channel in rows if by_channel or state in NOT_ON_SALE}
    fresh: dict[str, ListingFound] = {}
    for listing in found:
        if listing.outlet_external_id not in known:
            fresh.setdefault(listing.outlet_external_id, listing)
    if fresh:
        numbers = next_values(tx, tenant_id, "outlet", len(fresh))
        for outlet_id, external_id in zip(numbers, fresh, strict=True):
            known[external_id] = outlet_id
    tx.many(
        """INSERT INTO outlet (tenant_id, outlet_id, account_id, external_id, write_unit, sku_text, title, state,
                               fulfilled_by_channel, extra, ration_unit, found_at, seen_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (tenant_id, outlet_id) DO UPDATE SET write_unit = excluded.write_unit, sku_text = excluded.sku_text,
               title = excluded.title, state = excluded.state, fulfilled_by_channel = excluded.fulfilled_by_channel,
               extra = excluded.extra, ration_unit = excluded.ration_unit, seen_at = excluded.seen_at""",
        [
            (
                tenant_id,
                known[listing.outlet_external_id],
                account_id,
                listing.outlet_external_id,
                listing.write_unit,
                listing.sku or "",
                listing.title,
                listing.state,
                int(listing.fulfilled_by_channel or listing.untracked),
                json.dumps(listing.extra),
                listing.ration_unit,
                now,
                now,
            )
            for listing in found
        ],
    )
    tx.many(
        """INSERT INTO listing_key (tenant_id, account_id, listing_key, outlet_id) VALUES (?, ?, ?, ?)
           ON CONFLICT (tenant_id, account_id, listing_key) DO UPDATE SET outlet_id = excluded.outlet_id""",
        [
            (tenant_id, account_id, key, known[listing.outlet_external_id])
            for listing in found
            for key in listing.listing_keys
        ],
    )
    back = {known[listing.outlet_external_id] for listing in found if _is_back(listing, passed_over)}
    dirty.mark_outlets(tx, tenant_id, sorted(back), now, "on sale again", reread=True)
    return len(fresh)


def _is_back(listing: ListingFound, passed_over: set[str]) -> bool:
    ours = listing.state not in NOT_ON_SALE and not (listing.fulfilled_by_channel or listing.untracked)
    return ours and listing.outlet_external_id in passed_over


def link(tx: Tx, tenant_id: int, outlet_id: int, parts: dict[str, int], now: int, *, by: str) -> None:
    """Tie an outlet to what one unit of it takes from the shelf, in pieces per SKU. Replaces an earlier tie.

    Raises ValueError for no parts or a part below 1.
    """
    if not parts or any(units < 1 for units in parts.values()):
        raise ValueError(f"a listing must sell at least 1 piece of each of its SKUs, got {parts}")
    tx.run("DELETE FROM link WHERE tenant_id = :t AND outlet_id = :o", t=tenant_id, o=outlet_id)
    tx.many(
        "INSERT INTO link (tenant_id, outlet_id, sku, units) VALUES (?, ?, ?, ?)",
        [(tenant_id, outlet_id, sku, units) for sku, units in sorted(parts.items())],
    )
    dirty.mark_outlets(tx, tenant_id, [outlet_id], now, f"linked by {by}")
    events.tell(tx, tenant_id, now, "listing.changed", [{"listing": outlet_id}])
    close_task(tx, tenant_id, now, "unlinked_listing", str(outlet_id))


def bundle_parts(tx: Tx, tenant_id: int, skus: Iterable[str] | None = None) -> dict[str, dict[str, int]]:
    """Return {bundle SKU: {part: pieces}} of those of these SKUs that are bundles (None: all)."""
    some = "" if skus is None else "AND sku {in:skus}"
    found: dict[str, dict[str, int]] = {}
    for sku, part, units in tx.all(
        f"SELECT sku, part_sku, units FROM bundle_part WHERE tenant_id = :t {some} ORDER BY sku, part_sku",
        t=tenant_id,
        **({} if skus is None else {"skus": sorted(set(skus))}),
    ):
        found.setdefault(sku, {})[part] = units
    return found


class Matched(msgspec.Struct, frozen=True):
    """What matching by SKU did: how many were linked now, and what is left for a person."""

    linked: int
    unlinked: int
    ambiguous: int


def match_by_sku(tx: Tx, tenant_id: int, account_id: int, now: int, *, only: Collection[str] | None = None) -> Matched:
    """Tie every unlinked outlet of the account to the item, or the parts of the bundle, of exactly the same SKU. Nothing else is guessed
    (FC-E02, FC-E03).

    A SKU that stands on two hub variants is refused by the hub's catalogue reading and never linked here; a listing without a SKU or
    with one that the hub doesn't have gets a task. `only`: the external ids to look at.
    """
    these = "" if only is None else "AND o.external_id {in:only}"
    rows = tx.all(
        f"""SELECT o.outlet_id, o.sku_text, o.title, i.sku FROM outlet o
             LEFT JOIN item i ON i.tenant_id = o.tenant_id AND i.sku = o.sku_text AND i.deleted = 0 AND o.sku_text <> ''
             LEFT JOIN link k ON k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id
            WHERE o.tenant_id = :t AND o.account_id = :a {these} AND k.outlet_id IS NULL AND o.fulfilled_by_channel = 0
              AND o.state NOT IN ('ended', 'draft', 'gone') ORDER BY o.outlet_id""",
        t=tenant_id,
        a=account_id,
        **({} if only is None else {"only": list(only)}),
    )
    linked = 0
    made_of = bundle_parts(tx, tenant_id, {sku_text for _, sku_text, _, _ in rows}) if rows else {}
    for outlet_id, sku_text, title, sku in rows:
        if sku_text in made_of:
            link(tx, tenant_id, outlet_id, made_of[sku_text], now, by=f"the bundle {sku_text}")
            linked += 1
        elif sku is not None:
            link(tx, tenant_id, outlet_id, {sku: 1}, now, by="the same SKU")
            linked += 1
        else:
            why = f"its SKU {sku_text!r} is not in the shop" if sku_text else "it has no SKU"
            open_task(tx, tenant_id, now, "unlinked_listing", str(outlet_id), f"Link the listing “{title}”", why)
    return Matched(linked, len(rows) - linked, 0)


def hub_account(tx: Tx, tenant_id: int) -> int | None:
    """Return the account id of the tenant's hub, or None before it is connected."""
    row = tx.one(
        "SELECT account_id FROM account WHERE tenant_id = :t AND channel = :hub AND state <> 'DISCONNECTED'",
        t=tenant_id,
        hub=str(HUB),
    )
    return None if row is None else row[0]
