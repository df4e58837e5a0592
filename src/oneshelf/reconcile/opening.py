"""The first count of the hub, and what it had promised before we came (SEMANTICS 0.4, 0.5).

In: reads of all levels. Out: `open:` entries, each once. Tables it owns: none (entries go through the ledger's door).
Never: judges a difference: reads that come later do.
"""

from __future__ import annotations

from collections.abc import Sequence

from oneshelf.channels.contract import HubLevel
from oneshelf.core.instants import to_us
from oneshelf.core.stock import Entry
from oneshelf.db.tx import Tx
from oneshelf.listings import dirty
from oneshelf.orders import covering
from oneshelf.orders.accounts import Account
from oneshelf.stock import ledger
from oneshelf.stock.levels import levels_of

from .expectation import imported_at, remember, skus_of, want_reads
from .hub import Read


def open_stock(tx: Tx, tenant_id: int, hub: Account, levels: Sequence[HubLevel], now: int) -> int:
    """S0.4: the first count. `open:` entries post on_hand, unavailable and foreign reserved; orders open at T0 post later.

    T0 is the latest `read_at`. Returns how many levels were opened. Where a shop is connected again, a SKU that the books have is not
    counted again at any location: what came there since, they have by whichever entry, and what they do not have its next reads tell.
    """
    skus = skus_of(tx, tenant_id, levels)
    counted = {sku for sku, _ in levels_of(tx, tenant_id, set(skus.values()))}
    entries = []
    known = []
    for level in levels:
        sku = skus.get(level.item_id)
        if sku is None:
            continue
        if sku in counted:
            known.append((sku, level.location_id))
            continue
        entries.append(
            Entry(
                key=f"open:{level.item_id}:{level.location_id}",
                sku=sku,
                location_id=level.location_id,
                reason="first count",
                on_hand=level.on_hand,
                unavailable=level.unavailable,
                reserved=level.reserved,
                foreign_reserved=level.reserved,
                incoming=level.incoming,
                source="Shopify",
            )
        )
        remember(tx, tenant_id, sku, level, level.available, wanted=True)
    want_reads(tx, tenant_id, known)
    ledger.post(tx, tenant_id, entries, now)
    dirty.mark(tx, tenant_id, ledger.skus_of(entries), now, "first count")
    if hub.opened_at is None:
        t0 = max((to_us(level.read_at) for level in levels), default=now)
        tx.run(
            "UPDATE account SET opened_at = :t0 WHERE tenant_id = :t AND account_id = :a",
            t0=t0,
            t=tenant_id,
            a=hub.account_id,
        )
    return len(entries)


def settle_opening(tx: Tx, tenant_id: int, hub: Account, read: Read, now: int) -> int:
    """S0.5: what the hub has committed beyond our open lines (old orders, a missing scope) is committed under `open:` too.

    Returns how many levels that concerns.
    """
    skus = skus_of(tx, tenant_id, read.levels)
    entries: list[Entry] = []
    for level in read.levels:
        sku = skus.get(level.item_id)
        if sku is None:
            continue
        rest = level.committed - _committed_there(tx, tenant_id, hub, sku, level.location_id)
        if rest > 0:
            entries.append(
                Entry(
                    key=f"open:{level.item_id}:{level.location_id}:rest",
                    sku=sku,
                    location_id=level.location_id,
                    reason="committed in Shopify before Oneshelf, orders not readable",
                    committed=rest,
                    source="Shopify",
                )
            )
    for entry, posted in zip(entries, ledger.post(tx, tenant_id, entries, now), strict=True):
        if posted == "posted":
            _keep_pulled(tx, tenant_id, entry.sku, entry.location_id, entry.committed)
    dirty.mark(tx, tenant_id, ledger.skus_of(entries), now, "first count")
    covering.recompute(tx, tenant_id, ledger.skus_of(entries), now)
    return len(entries)


def shrink_rest(tx: Tx, tenant_id: int, hub: Account, read: Read, now: int) -> int:
    """S0.5, at the nightly audit: the older commitments shrink with the hub's number; on_hand follows, K stays.

    What became of the pieces, reads tell by `available`: shipped ones changed nothing there, cancelled ones came as an edit.
    Returns how many levels changed.
    """
    skus = skus_of(tx, tenant_id, read.levels)
    entries = []
    for level in read.levels:
        sku = skus.get(level.item_id)
        pulled = 0 if sku is None else _pulled(tx, tenant_id, sku, level.location_id)
        if sku is None or not pulled:
            continue
        left = max(0, level.committed - _committed_there(tx, tenant_id, hub, sku, level.location_id))
        gone = pulled - min(left, pulled)
        if gone:
            entries.append(
                Entry(
                    key=f"open:{level.item_id}:{level.location_id}:rest:{read.read_id}",
                    sku=sku,
                    location_id=level.location_id,
                    reason="older commitments have ended in Shopify",
                    on_hand=-gone,
                    committed=-gone,
                    source="Shopify",
                )
            )
            _keep_pulled(tx, tenant_id, sku, level.location_id, pulled - gone)
    ledger.post(tx, tenant_id, entries, now)
    covering.recompute(tx, tenant_id, ledger.skus_of(entries), now)
    return len(entries)


def _pulled(tx: Tx, tenant_id: int, sku: str, location_id: str) -> int:
    row = tx.one(
        "SELECT pull FROM hub_level WHERE tenant_id = :t AND sku = :s AND location_id = :l",
        t=tenant_id,
        s=sku,
        l=location_id,
    )
    return 0 if row is None else int(row[0])


def _keep_pulled(tx: Tx, tenant_id: int, sku: str, location_id: str, pieces: int) -> None:
    tx.run(
        "UPDATE hub_level SET pull = :p WHERE tenant_id = :t AND sku = :s AND location_id = :l",
        p=pieces,
        t=tenant_id,
        s=sku,
        l=location_id,
    )


def _committed_there(tx: Tx, tenant_id: int, hub: Account, sku: str, location_id: str) -> int:
    """Pieces that the hub itself has committed for orders that we know: its own, and imported copies."""
    own = tx.one(
        "SELECT CAST(COALESCE(SUM(committed + reserved), 0) AS BIGINT) FROM order_line "
        "WHERE tenant_id = :t AND account_id = :a AND sku = :s AND location_id = :l",
        t=tenant_id,
        a=hub.account_id,
        s=sku,
        l=location_id,
    )
    assert own is not None
    return int(own[0]) + imported_at(tx, tenant_id, sku, location_id)
