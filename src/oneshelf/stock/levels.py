"""Reads levels: K per SKU, over the locations in scope (S0.2, S1.2)."""

from __future__ import annotations

from collections.abc import Iterable

from oneshelf.core.stock import Level
from oneshelf.db.tx import Tx

_COLUMNS = "s.on_hand, s.committed, s.reserved, s.foreign_reserved, s.unavailable, s.incoming"


def levels_of(tx: Tx, tenant_id: int, skus: Iterable[str]) -> dict[tuple[str, str], Level]:
    """Return {(sku, location id): level} of these SKUs at every location, in scope or not."""
    rows = tx.all(
        f"SELECT s.sku, s.location_id, {_COLUMNS} FROM stock_level s WHERE s.tenant_id = :t AND s.sku {{in:skus}}",
        t=tenant_id,
        skus=list(skus),
    )
    return {(row[0], row[1]): Level(*row[2:]) for row in rows}


def locations_in_scope(tx: Tx, tenant_id: int) -> list[str]:
    """Return the ids of the locations that count, most important first."""
    rows = tx.all(
        "SELECT location_id FROM location WHERE tenant_id = :t AND active = 1 AND in_scope = 1 "
        "ORDER BY priority, location_id",
        t=tenant_id,
    )
    return [location_id for (location_id,) in rows]


def available_of(
    tx: Tx, tenant_id: int, skus: Iterable[str], *, only_at: Iterable[str] | None = None
) -> dict[str, int]:
    """Return K of each of these SKUs over all locations in scope (`only_at`: those of them, K_c of S1.2); 0 for one without a level.
    May be negative."""
    wanted = list(skus)
    found = dict.fromkeys(wanted, 0)
    here = "" if only_at is None else "AND s.location_id {in:here}"
    rows = tx.all(
        f"""SELECT s.sku, CAST(SUM(s.on_hand - s.committed - s.reserved - s.unavailable) AS BIGINT)
             FROM stock_level s JOIN location l ON l.tenant_id = s.tenant_id AND l.location_id = s.location_id
            WHERE s.tenant_id = :t AND s.sku {{in:skus}} AND l.active = 1 AND l.in_scope = 1 {here} GROUP BY s.sku""",
        t=tenant_id,
        skus=wanted,
        **({} if only_at is None else {"here": sorted(only_at)}),
    )
    for sku, pieces in rows:
        found[sku] = int(pieces)
    return found
