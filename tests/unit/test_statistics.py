"""SQLite begins with the few links of a SKU, not with every outlet of the tenant; and what looks often reads no table whole that grows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from oneshelf.core.instants import SECOND
from oneshelf.db.sqlite import SqliteStore
from oneshelf.db.store import transaction
from oneshelf.db.tx import Tx
from oneshelf.imports import moves
from oneshelf.listings import dirty
from oneshelf.orders import intents, manual_holds, routing, shipments, short
from oneshelf.publish import strict
from oneshelf.reconcile import hub
from oneshelf.shipping import deadlines


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


#: Tables that grow with each sale, each message or each listing: what looks every few seconds may not read them whole.
GROWING = {
    "orders",
    "order_line",
    "ledger_entry",
    "intent",
    "inbox",
    "attempt",
    "claim",
    "outlet",
    "link",
    "journal",
    "shipment",
    "event",
}
#: Indexes of a part of a table, and that part is most of it.
NOT_FEW = {"orders_by_deadline", "orders_with_person"}

NOW = 1_800_000_000 * SECOND

LOOKS: dict[str, Callable[[Tx], object]] = {
    "what was marked": lambda tx: dirty.accounts_marked(tx, 1),
    "parcels that are due": lambda tx: shipments.accounts_due(tx, 1, NOW),
    "orders near their deadline": lambda tx: deadlines.alert(tx, 1, NOW),
    "short lines": lambda tx: short.decide(tx, 1, short.Channels({}, lambda account_id, order_id: ""), NOW),
    "claims that wait": lambda tx: moves.hold_what_waits(tx, 1, NOW),
    "when a claim's wait ends": lambda tx: moves.next_wait_ends_at(tx, 1, NOW),
    "holds by hand": lambda tx: manual_holds.end_due(tx, 1, NOW),
    "calls that are due": lambda tx: intents.first_due_at(tx, 1, ("hold", "import")),
    "locations that ran out": lambda tx: routing.leave_empty(tx, 1, 0, NOW),
    "levels to read": lambda tx: hub.wanted_items(tx, 1),
    "strict SKUs in turn": lambda tx: strict.next_turn(tx, 1),
}


class _Recorder:
    """The transaction, with what it was asked."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._tx, name)
        if name not in ("all", "one", "run"):
            return found

        def asked(sql: str, **params: Any) -> Any:
            self.asked.append((sql, params))
            return found(sql, **params)

        return asked


@pytest.mark.parametrize("name", LOOKS)
def test_what_looks_every_few_seconds_reads_no_growing_table_whole(tmp_path: Path, name: str) -> None:
    store = SqliteStore(str(tmp_path / "x.db"))
    store.open()
    try:
        of_index = {
            index: (table, partial)
            for index, table, partial in store.connection.execute(
                "SELECT name, tbl_name, COALESCE(sql, '') LIKE '% WHERE %' FROM sqlite_master WHERE type = 'index'"
            )
        }
        with transaction(store) as tx:
            recorder = _Recorder(tx)
            LOOKS[name](cast(Tx, recorder))
            assert recorder.asked
            whole = [
                f"{step} of {' '.join(sql.split())}"
                for sql, params in recorder.asked
                for *_, step in tx.all(f"EXPLAIN QUERY PLAN {sql}", **params)
                if _reads_whole(step, sql, of_index)
            ]
        assert not whole, whole
    finally:
        store.close()


def _reads_whole(step: str, sql: str, of_index: dict[str, tuple[str, bool]]) -> bool:
    """Whether a step of a query plan goes through all rows of a growing table."""
    if found := re.search(r"INDEX (\w+) \(tenant_id=\?\)$", step):
        table, partial = of_index[found[1]]
        return table in GROWING and (not partial or found[1] in NOT_FEW)
    if found := re.match(r"SCAN (\w+)", step):
        named = re.search(rf"(?:FROM|JOIN) (\w+) (?:AS )?{found[1]}\b", sql)
        return (named[1] if named else found[1]) in GROWING
    return False
