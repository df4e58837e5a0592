"""Plain lists for the command line and integrators: stock, orders, parcels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from oneshelf.core.instants import iso
from oneshelf.db.tx import Tx


class StockRow(msgspec.Struct, frozen=True):
    """The buckets of one (SKU, location), in pieces."""

    sku: str
    title: str
    location_id: str
    location: str
    on_hand: int
    committed: int
    reserved: int
    unavailable: int
    incoming: int
    available: int


class LineOfOrder(msgspec.Struct, frozen=True):
    line_id: str
    sku: str
    pieces: int
    state: str
    coverage: str


class OrderOfList(msgspec.Struct, frozen=True):
    """One order. Instants as ISO 8601, UTC."""

    order_no: int
    account_id: int
    channel: str
    order_id: str
    number: str
    state: str
    payment: str
    standing: str
    placed_at: str
    received_at: str
    hub_order_id: str | None
    lines: list[LineOfOrder]


def stock_rows(
    tx: Tx,
    tenant_id: int,
    *,
    sku: str | None = None,
    prefix: str = "",
    after: Sequence[str] | None = None,
    limit: int = 200,
) -> list[StockRow]:
    """Return levels by SKU and location, at most `limit`; those `after` a (SKU, location)."""
    after_sku, after_location = after or ("", "")
    rows = tx.all(
        """SELECT s.sku, COALESCE(i.title, ''), s.location_id, COALESCE(l.name, ''), s.on_hand, s.committed, s.reserved, s.unavailable,
                  s.incoming, s.on_hand - s.committed - s.reserved - s.unavailable
             FROM stock_level s LEFT JOIN item i ON i.tenant_id = s.tenant_id AND i.sku = s.sku
             LEFT JOIN location l ON l.tenant_id = s.tenant_id AND l.location_id = s.location_id
            WHERE s.tenant_id = :t AND (CAST(:sku AS TEXT) IS NULL OR s.sku = :sku) AND substr(s.sku, 1, :n) = :prefix
              AND (s.sku, s.location_id) > (:after_sku, :after_location)
            ORDER BY s.sku, s.location_id LIMIT :limit""",
        t=tenant_id,
        sku=sku,
        after_sku=after_sku,
        after_location=after_location,
        n=len(prefix),
        prefix=prefix,
        limit=limit,
    )
    return [StockRow(*row) for row in rows]


def has_sku(tx: Tx, tenant_id: int, sku: str) -> bool:
    """Whether the shop has or had this SKU."""
    return tx.one("SELECT 1 FROM item WHERE tenant_id = :t AND sku = :s", t=tenant_id, s=sku) is not None


def order_rows(
    tx: Tx,
    tenant_id: int,
    *,
    channel: str | None = None,
    state: str | None = None,
    short: bool = False,
    after: int | None = None,
    order_no: int | None = None,
    limit: int = 50,
) -> list[OrderOfList]:
    """Return orders, newest first, without the hub copies of marketplace orders; those `after` an order (its number of ours), or one."""
    rows = tx.all(
        """SELECT o.order_no, o.account_id, a.channel, o.order_id, o.number, o.state, o.payment, o.standing, o.placed_at, o.received_at, o.hub_order_id
             FROM orders o JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
            WHERE o.tenant_id = :t AND o.copy_key = '' AND (CAST(:c AS TEXT) IS NULL OR a.channel = :c)
              AND (CAST(:s AS TEXT) IS NULL OR o.state = :s)
              AND (CAST(:short AS INTEGER) = 0 OR EXISTS (SELECT 1 FROM order_line x WHERE x.tenant_id = o.tenant_id
                   AND x.order_no = o.order_no AND x.coverage = 'SHORT'))
              AND (CAST(:one AS BIGINT) IS NULL OR o.order_no = :one)
              AND (CAST(:after AS BIGINT) IS NULL OR (o.placed_at, o.order_no) <
                   ((SELECT p.placed_at FROM orders p WHERE p.tenant_id = :t AND p.order_no = :after), :after))
            ORDER BY o.placed_at DESC, o.order_no DESC LIMIT :limit""",
        t=tenant_id,
        c=channel,
        s=state,
        short=int(short),
        one=order_no,
        after=after,
        limit=limit,
    )
    lines: dict[int, list[LineOfOrder]] = {}
    for order_no, line_id, sku, pieces, line_state, coverage in tx.all(
        "SELECT order_no, line_id, sku, ordered - cancelled, state, coverage FROM order_line "
        "WHERE tenant_id = :t AND order_no {in:nos} ORDER BY order_no, line_id, sku",
        t=tenant_id,
        nos=[row[0] for row in rows],
    ):
        lines.setdefault(order_no, []).append(LineOfOrder(line_id, sku, pieces, line_state, coverage))
    return [
        OrderOfList(*(*row[:8], iso(row[8]) or "", iso(row[9]) or "", row[10], lines.get(row[0], []))) for row in rows
    ]


class Parcel(msgspec.Struct, frozen=True):
    """What left for one line of a marketplace order, and whether its marketplace was told. Instants as ISO 8601, UTC."""

    account: str
    order_no: int
    order_id: str
    parcel: str
    line_id: str
    units: int
    state: str
    tracking_number: str
    shipped_at: str
    reason: str


def parcels(
    tx: Tx,
    tenant_id: int,
    *,
    every: bool = False,
    order_no: int | None = None,
    after: Sequence[Any] | None = None,
    limit: int = 10_000,
) -> list[Parcel]:
    """Return parcels that their marketplace has not confirmed (`every`: all; those of one order), by order; those `after` an
    (order, parcel, line)."""
    after_order, after_parcel, after_line = after or (0, "", "")
    rows = tx.all(
        """SELECT a.label, s.order_no, o.order_id, s.shipment_id, s.line_id, s.units, s.state, s.tracking_number, s.shipped_at, s.reason
             FROM shipment s JOIN orders o ON o.tenant_id = s.tenant_id AND o.order_no = s.order_no
             JOIN account a ON a.tenant_id = s.tenant_id AND a.account_id = s.account_id
            WHERE s.tenant_id = :t AND (:every = 1 OR s.state IN ('QUEUED', 'SENT', 'UNKNOWN', 'REFUSED'))
              AND (CAST(:one AS BIGINT) IS NULL OR s.order_no = :one)
              AND (s.order_no, s.shipment_id, s.line_id) > (:after_order, :after_parcel, :after_line)
            ORDER BY s.order_no, s.shipment_id, s.line_id LIMIT :n""",
        t=tenant_id,
        every=int(every),
        one=order_no,
        after_order=after_order,
        after_parcel=after_parcel,
        after_line=after_line,
        n=limit,
    )
    return [Parcel(*(*row[:8], iso(row[8]) or "", row[9])) for row in rows]
