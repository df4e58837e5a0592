"""What booking costs grows with the batch, never with what was sold before."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from oneshelf.core.facts import Payment
from oneshelf.core.purchase import purchase
from oneshelf.db.store import store_for, transaction
from oneshelf.db.tx import SqliteTx
from oneshelf.demo import bench
from oneshelf.orders import claims
from oneshelf.orders.rows import load_orders_by_no


def test_no_statement_of_a_batch_reads_a_whole_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads are by key, with the statistics that every file is opened with. A scan of all orders is cheap until there are many."""
    store = store_for(f"sqlite:///{tmp_path / 'x.db'}")
    store.open()
    scans: list[str] = []

    def explained(name: str) -> None:
        as_it_is = getattr(SqliteTx, name)

        def execute(tx: SqliteTx, sql: str, **params: Any) -> Any:
            for row in _ALL(tx, f"EXPLAIN QUERY PLAN {sql}", **params):
                if row[3].startswith("SCAN") and "json_each" not in row[3]:
                    scans.append(f"{row[3]}: {' '.join(sql.split())}")
            return as_it_is(tx, sql, **params)

        monkeypatch.setattr(SqliteTx, name, execute)

    try:
        bench._lay_out(store, 50)
        for name in ("all", "one", "run"):
            explained(name)
        bench._book_all(store, list(bench._batches(bench._orders(300, 50, seed=1))))
    finally:
        store.close()
    assert scans == []


_ALL = SqliteTx.all


def test_S4_2_an_intents_key_is_the_uuid_of_its_name() -> None:
    """By RFC 9562, as any other program would make it: keys that went out before an upgrade are the same after it."""
    for version in range(200):
        name = f"7\nimport\n2/Ö-{version}\n{version}"
        assert claims.idempotency_key(7, "import", f"2/Ö-{version}", version) == str(uuid.uuid5(claims._KEYS, name))


def test_I23_an_order_counts_the_same_from_memory_and_from_its_row(tmp_path: Path) -> None:
    """Booking counts from the snapshot that it has just written; the nightly recount from what is stored."""
    store = store_for(f"sqlite:///{tmp_path / 'x.db'}")
    store.open()
    try:
        bench._lay_out(store, 5)
        heard = list(bench._orders(3, 5, seed=2))
        bench._book_all(store, [heard])
        with transaction(store) as tx:
            stored = load_orders_by_no(tx, 1, range(1, 4))
    finally:
        store.close()
    for order, h in zip(stored.values(), heard, strict=True):
        money = {"payment": Payment.PAID, "currency": order.currency, "total_minor": order.total_minor}
        from_row = purchase(**money, document=order.document, wanted={})
        assert from_row.counted and from_row.pieces == len(h.order.lines)
        assert purchase(**money, document=h.order, wanted={}) == from_row
