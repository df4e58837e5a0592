"""SQLite begins with the few links of a SKU, not with every outlet of the tenant."""

from __future__ import annotations

from pathlib import Path

from oneshelf.db.sqlite import SqliteStore
from oneshelf.db.store import transaction


def _plan(store: SqliteStore, sql: str) -> str:
    with transaction(store) as tx:
        return " | ".join(row[3] for row in tx.all(f"EXPLAIN QUERY PLAN {sql}"))


def test_a_set_of_keys_beats_the_tenant(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "x.db"))
    store.open()
    try:
        plan = _plan(
            store,
            """SELECT o.outlet_id FROM link k JOIN outlet o ON o.tenant_id = k.tenant_id AND o.outlet_id = k.outlet_id
                WHERE k.tenant_id = 1 AND k.sku IN (SELECT value FROM json_each('["MUG"]'))""",
        )
        assert "SEARCH k USING" in plan and "link_by_sku (tenant_id=? AND sku=?)" in plan
        assert "SCAN" not in plan.replace("SCAN json_each", "")
    finally:
        store.close()
