"""What changes in the hub's catalogue after the first load: new SKUs, renamed, untracked, deleted ones; locations that come and go.

In: variants as they are now. Out: items, links of the listings that waited for them, reads of their levels.
Never: changes our key of a SKU: a name that is changed in the shop would tear orders, links and ledger apart.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from oneshelf.channels.contract import HubLocation, ListingFound
from oneshelf.db.journal import close_task, note, open_task
from oneshelf.db.tx import Tx
from oneshelf.intake.handle import want_hub_read
from oneshelf.listings import dirty, links
from oneshelf.orders import closing
from oneshelf.orders.relink import relink_account

from . import hub


class Kept(msgspec.Struct, frozen=True):
    """What keeping variants did: new SKUs, listings linked to them, waiting orders booked."""

    new: int
    linked: int
    booked: int


def keep_places(tx: Tx, tenant_id: int, places: Sequence[HubLocation], now: int) -> None:
    """Store locations. One that opened or closed changes every number; one that is not told any more is closed."""
    before = dict(tx.all("SELECT location_id, active FROM location WHERE tenant_id = :t", t=tenant_id))
    hub.keep_locations(tx, tenant_id, places)
    here = {place.location_id for place in places}
    tx.many(
        "UPDATE location SET active = 0 WHERE tenant_id = ? AND location_id = ?",
        [(tenant_id, one) for one, active in before.items() if active and one not in here],
    )
    after = dict(tx.all("SELECT location_id, active FROM location WHERE tenant_id = :t", t=tenant_id))
    changed = [one for one in after if before.get(one) != after[one]]
    if not changed or not before:
        return
    skus = [sku for (sku,) in tx.all("SELECT sku FROM item WHERE tenant_id = :t AND tracked = 1", t=tenant_id)]
    for start in range(0, len(skus), 1000):
        dirty.mark(tx, tenant_id, skus[start : start + 1000], now, "a location opened or closed")
    for one in changed:
        opened = bool(after[one])
        note(tx, tenant_id, now, "shopify", f"A location {'opened' if opened else 'closed'}", f"location:{one}")
        if not opened:
            continue
        for (item_id,) in tx.all(
            "SELECT item_id FROM item WHERE tenant_id = :t AND tracked = 1 AND deleted = 0 AND item_id <> ''",
            t=tenant_id,
        ):
            want_hub_read(tx, tenant_id, f"{item_id}|{one}")
    closing.leave(tx, tenant_id, [one for one in changed if not after[one]], now)
    closing.cover_anew(tx, tenant_id, changed, now)


def keep_variants(tx: Tx, tenant_id: int, account_id: int, found: Sequence[ListingFound], now: int) -> Kept:
    """Store the variants of one product or of the whole shop."""
    here = {str(one.extra.get("item_id", "")) for one in found}
    ours = _known(tx, tenant_id, found, here)
    holders = {sku: item_id for item_id, (sku, _) in ours.items()}
    kept: list[ListingFound] = []
    for one in found:
        item_id = str(one.extra.get("item_id", ""))
        known = ours.get(item_id)
        if known is not None and one.sku != known[0]:
            _ask_renamed(tx, tenant_id, item_id, known[0], one.sku or "", now)
            kept.append(msgspec.structs.replace(one, sku=known[0]))
        elif known is None and one.sku and holders.get(one.sku, item_id) != item_id and holders[one.sku] not in here:
            what = f"Give the SKU {one.sku} to one product only"
            open_task(tx, tenant_id, now, "duplicate_sku", one.sku, what, "A new variant has it too; it is not linked")
        else:
            if known is not None:
                close_task(tx, tenant_id, now, "hub_sku_renamed", item_id)
            kept.append(one)
    hub.keep_items(tx, tenant_id, account_id, kept, now)
    news = {one.sku: one for one in kept if one.sku and str(one.extra.get("item_id", "")) not in ours}
    for one in kept:
        item_id = str(one.extra.get("item_id", ""))
        was = ours.get(item_id)
        if one.sku and not one.untracked and (was is None or not was[1]):
            want_hub_read(tx, tenant_id, item_id)
        if was is not None and was[1] and one.untracked:
            _ask_untracked(tx, tenant_id, was[0], now)
    linked, booked = _link_waiting(tx, tenant_id, sorted(sku for sku in news if sku), now)
    booked += relink_account(tx, tenant_id, account_id, now) if news else 0
    return Kept(len(news), linked, booked)


def _known(tx: Tx, tenant_id: int, found: Sequence[ListingFound], here: Collection[str]) -> dict[str, tuple[str, bool]]:
    """Return {item id: (our SKU, tracked)} of what was found and of whoever has one of its SKUs: a product changes with nearly every
    sale, so that the whole shelf is not looked at for it."""
    rows = [
        *tx.all(
            "SELECT sku, item_id, tracked FROM item WHERE tenant_id = :t AND item_id {in:ids} AND deleted = 0",
            t=tenant_id,
            ids=[item_id for item_id in here if item_id],
        ),
        *tx.all(
            "SELECT sku, item_id, tracked FROM item WHERE tenant_id = :t AND sku {in:skus} AND deleted = 0 AND item_id <> ''",
            t=tenant_id,
            skus=[one.sku for one in found if one.sku],
        ),
    ]
    return {item_id: (sku, bool(tracked)) for sku, item_id, tracked in rows}


def _ask_renamed(tx: Tx, tenant_id: int, item_id: str, old: str, new: str, now: int) -> None:
    what = f"The SKU {old} is called {new or 'nothing'} in the shop now"
    why = f"Oneshelf goes on calling it {old}; orders and numbers are right. Listings named {new or 'so'} elsewhere: link them by hand"
    open_task(tx, tenant_id, now, "hub_sku_renamed", item_id, what, why)


def _ask_untracked(tx: Tx, tenant_id: int, sku: str, now: int) -> None:
    what = f"Shopify does not track the stock of {sku} any more"
    why = "Its listings keep the last number. Track it again, or unlink them: oneshelf listings unlink LISTING"
    open_task(tx, tenant_id, now, "hub_untracked", sku, what, why)


def _link_waiting(tx: Tx, tenant_id: int, skus: Sequence[str], now: int) -> tuple[int, int]:
    """Tie marketplace listings of these SKUs that waited for them; book the orders that waited for the listings."""
    if not skus:
        return 0, 0
    rows = tx.all(
        """SELECT o.account_id, o.external_id FROM outlet o
             JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
             LEFT JOIN link k ON k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id
            WHERE o.tenant_id = :t AND a.channel <> 'shopify' AND a.state <> 'DISCONNECTED' AND k.outlet_id IS NULL
              AND o.sku_text {in:skus}""",
        t=tenant_id,
        skus=list(skus),
    )
    linked = booked = 0
    for account_id in sorted({row[0] for row in rows}):
        only = {name for account, name in rows if account == account_id}
        linked += links.match_by_sku(tx, tenant_id, account_id, now, only=only).linked
        booked += relink_account(tx, tenant_id, account_id, now)
    return linked, booked


def missing_items(tx: Tx, tenant_id: int, here: Collection[str], of: str = "") -> list[str]:
    """Return the SKUs whose variant is not among `here` (item ids); `of`: only those of this product or item."""
    all_of_it = "SELECT sku, item_id FROM item WHERE tenant_id = :t AND deleted = 0 AND item_id <> ''"
    if of:  # two questions, each with an index, where one with OR would read every item
        rows = tx.all(f"{all_of_it} AND product_id = :of UNION {all_of_it} AND item_id = :of", t=tenant_id, of=of)
    else:
        rows = tx.all(all_of_it, t=tenant_id)
    return [sku for sku, item_id in rows if item_id not in here]


def delete_items(tx: Tx, tenant_id: int, account_id: int, skus: Sequence[str], now: int) -> int:
    """These SKUs do not exist in the shop any more: their listings elsewhere go to 0, and a person says what becomes of them."""
    if not skus:
        return 0
    tx.run("UPDATE item SET deleted = 1 WHERE tenant_id = :t AND sku {in:skus}", t=tenant_id, skus=list(skus))
    tx.run(
        "UPDATE outlet SET state = 'gone' WHERE tenant_id = :t AND account_id = :a AND sku_text {in:skus}",
        t=tenant_id,
        a=account_id,
        skus=list(skus),
    )
    dirty.mark(tx, tenant_id, skus, now, "deleted in the shop")
    linked = tx.all(
        "SELECT DISTINCT k.sku FROM link k JOIN outlet o ON o.tenant_id = k.tenant_id AND o.outlet_id = k.outlet_id "
        "WHERE k.tenant_id = :t AND k.sku {in:skus} AND o.account_id <> :a AND o.state <> 'gone'",
        t=tenant_id,
        skus=list(skus),
        a=account_id,
    )
    for (sku,) in linked:
        what = f"{sku} was deleted in the shop and is still on sale elsewhere"
        why = "Its listings are told 0. End them, or link them to another SKU: oneshelf listings list"
        open_task(tx, tenant_id, now, "hub_deleted", sku, what, why)
    return len(skus)
