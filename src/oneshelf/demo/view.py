"""The live picture of a demo in the terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from oneshelf.db.tx import Tx
from oneshelf.stock.levels import available_of
from oneshelf.watch.latency import latency
from oneshelf.watch.oversold import by_cause

#: How many SKUs the picture shows: those with the newest sales.
ROWS = 10


def render(tx: Tx, tenant_id: int, url: str) -> Group:
    """Return what the terminal shows now."""
    return Group(_figures(tx, tenant_id, url), _shelf(tx, tenant_id), _latency(tx, tenant_id))


def _figures(tx: Tx, tenant_id: int, url: str) -> Text:
    row = tx.one("SELECT COUNT(*), COUNT(hub_order_id) FROM orders WHERE tenant_id = :t AND copy_key = ''", t=tenant_id)
    waiting = tx.one("SELECT COUNT(*) FROM dirty_listing WHERE tenant_id = :t", t=tenant_id)
    assert row is not None and waiting is not None
    o = by_cause(tx, tenant_id)
    sold = f"oversold {o.window + o.late + o.race + o.hand} (window {o.window}, late {o.late}, race {o.race}, hand {o.hand})"
    return Text(
        f"{row[0]} orders · {row[1]} written into Shopify · {waiting[0]} numbers on their way · {sold}\n{url}  Ctrl-C ends"
    )


def _shelf(tx: Tx, tenant_id: int) -> Table:
    table = Table(title="The shelf", title_justify="left")
    for name in ("SKU", "available", "amazon", "ebay", "etsy"):
        table.add_column(name, justify="left" if name == "SKU" else "right")
    skus = [
        sku
        for (sku,) in tx.all(
            "SELECT sku FROM order_line WHERE tenant_id = :t AND sku <> '' GROUP BY sku ORDER BY MAX(placed_s) DESC LIMIT :n",
            t=tenant_id,
            n=ROWS,
        )
    ]
    k = available_of(tx, tenant_id, skus)
    cells: dict[tuple[str, str], str] = {}
    for sku, channel, believed, offer, verified in tx.all(
        "SELECT l.sku, a.channel, s.believed, s.offer, s.verified FROM slot s "
        "JOIN link l ON l.tenant_id = s.tenant_id AND l.outlet_id = s.outlet_id "
        "JOIN account a ON a.tenant_id = s.tenant_id AND a.account_id = s.account_id WHERE s.tenant_id = :t AND l.sku {in:skus}",
        t=tenant_id,
        skus=skus,
    ):
        shown = "not known" if believed is None else str(believed)
        cells[(sku, channel)] = shown if verified and believed == offer else f"{shown} → {offer}"
    for sku in skus:
        table.add_row(sku, str(k[sku]), *(cells.get((sku, c), "–") for c in ("amazon", "ebay", "etsy")))
    return table


def _latency(tx: Tx, tenant_id: int) -> Table:
    table = Table(title="Seconds, half of all within · 99 of 100 within", title_justify="left")
    for name in ("channel", "hear (theirs)", "decide (ours)", "tell (ours)", "apply (theirs)"):
        table.add_column(name)
    for channel, parts in latency(tx, tenant_id).items():
        cells = []
        for part in ("notice", "decide", "publish", "effect"):
            p = parts.get(part)
            cells.append("–" if p is None or p["p50"] is None else f"{p['p50']:.2f} · {p['p99']:.2f}")
        table.add_row(channel, *cells)
    return table
