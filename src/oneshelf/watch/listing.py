"""Plain lists for the command line and integrators: stock and orders."""

from __future__ import annotations

from collections.abc import Sequence

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
    channel: str
    order_id: str
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


def order_rows(
    tx: Tx,
    tenant_id: int,
    *,
    channel: str | None = None,
    state: str | None = None,
    short: bool = False,
    limit: int = 50,
) -> list[OrderOfList]:
    """Return orders, newest first, without the hub copies of marketplace orders."""
    rows = tx.all(
        """SELECT o.order_no, a.channel, o.order_id, o.state, o.payment, o.standing, o.placed_at, o.received_at, o.hub_order_id
             FROM orders o JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
            WHERE o.tenant_id = :t AND o.copy_key = '' AND (CAST(:c AS TEXT) IS NULL OR a.channel = :c)
              AND (CAST(:s AS TEXT) IS NULL OR o.state = :s)
              AND (CAST(:short AS INTEGER) = 0 OR EXISTS (SELECT 1 FROM order_line x WHERE x.tenant_id = o.tenant_id
                   AND x.order_no = o.order_no AND x.coverage = 'SHORT'))
            ORDER BY o.placed_at DESC, o.order_no DESC LIMIT :limit""",
        t=tenant_id,
        c=channel,
        s=state,
        short=int(short),
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
        OrderOfList(
            no, on, order_id, stands, paid, life, iso(placed) or "", iso(received) or "", hub_id, lines.get(no, [])
        )
        for no, on, order_id, stands, paid, life, placed, received, hub_id in rows
    ]
