"""A tenant with accounts, locations, items and linked outlets, as few statements as a test needs. Used by tests of the tables."""

from __future__ import annotations

from oneshelf.channels.contract import ListingFound
from oneshelf.core.stock import Entry
from oneshelf.db.tx import Tx
from oneshelf.listings import links
from oneshelf.stock import ledger
from oneshelf.tenants.accounts import add_account, ensure_tenant, set_state

TENANT = 1
NOW = 1_795_443_780_000_000


def account(
    tx: Tx, channel: str = "ebay", external_id: str = "seller-1", *, tenant_id: int = TENANT, state: str = ""
) -> int:
    """An account of the tenant, which is made too; returns its id."""
    ensure_tenant(tx, tenant_id, f"tenant {tenant_id}", NOW)
    account_id = add_account(
        tx, tenant_id, channel=channel, external_id=external_id, label=channel, settings={}, currency="EUR", now=NOW
    )
    if state:
        set_state(tx, tenant_id, account_id, state, NOW)
    return account_id


def location(
    tx: Tx, location_id: str, *, tenant_id: int = TENANT, active: int = 1, in_scope: int = 1, priority: int = 0
) -> None:
    tx.run(
        "INSERT INTO location (tenant_id, location_id, name, active, in_scope, priority) VALUES (:t, :l, :l, :a, :s, :p)",
        t=tenant_id,
        l=location_id,
        a=active,
        s=in_scope,
        p=priority,
    )


def item(tx: Tx, sku: str, *, tenant_id: int = TENANT, deleted: int = 0) -> None:
    tx.run("INSERT INTO item (tenant_id, sku, deleted) VALUES (:t, :s, :d)", t=tenant_id, s=sku, d=deleted)


def found(external_id: str, sku: str | None = None, **more: object) -> ListingFound:
    """A listing as a catalogue shows it; one name, "key:" + its id."""
    return ListingFound(
        outlet_external_id=external_id,
        write_unit=external_id,
        listing_keys=more.pop("keys", (f"key:{external_id}",)),  # type: ignore[arg-type]
        sku=sku,
        title=external_id.title(),
        quantity=None,
        **more,  # type: ignore[arg-type]
    )


def outlet(tx: Tx, account_id: int, external_id: str, *, tenant_id: int = TENANT) -> int:
    """The id of a stored outlet."""
    row = tx.one(
        "SELECT outlet_id FROM outlet WHERE tenant_id = :t AND account_id = :a AND external_id = :e",
        t=tenant_id,
        a=account_id,
        e=external_id,
    )
    assert row is not None
    return int(row[0])


def linked(
    tx: Tx, account_id: int, external_id: str, parts: dict[str, int], *, tenant_id: int = TENANT, **more: object
) -> int:
    """An outlet, tied to what it sells, with no mark on it; returns its id."""
    links.keep_listings(tx, tenant_id, account_id, [found(external_id, **more)], NOW)
    outlet_id = outlet(tx, account_id, external_id, tenant_id=tenant_id)
    links.link(tx, tenant_id, outlet_id, parts, NOW, by="test")
    tx.run("DELETE FROM dirty_listing WHERE tenant_id = :t AND outlet_id = :o", t=tenant_id, o=outlet_id)
    return outlet_id


def entry(key: str, sku: str = "MUG", location_id: str = "L1", **buckets: int) -> Entry:
    return Entry(key=key, sku=sku, location_id=location_id, reason="test", **buckets)


def stock(tx: Tx, pieces: int, sku: str = "MUG", location_id: str = "L1", *, tenant_id: int = TENANT) -> None:
    """Open a level with so many pieces."""
    ledger.post(tx, tenant_id, [entry(f"open:{sku}:{location_id}", sku, location_id, on_hand=pieces)], NOW)


def marks(tx: Tx, *, tenant_id: int = TENANT) -> dict[int, int]:
    """{outlet id: generation} of every dirty mark."""
    return dict(tx.all("SELECT outlet_id, generation FROM dirty_listing WHERE tenant_id = :t", t=tenant_id))  # type: ignore[arg-type]
