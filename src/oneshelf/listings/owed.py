"""Marks of outlets that owe the world something: a generation each, cleared by it and never by time.

In: outlets. Out: marks. Tables: the one that its user names (dirty_listing, price_mark). Never: decides who is marked.
"""

from __future__ import annotations

from collections.abc import Iterable

from oneshelf.db.tx import Tx


class Marks:
    """The marks of one table."""

    def __init__(self, table: str) -> None:
        self._table = table

    def mark_outlets(
        self, tx: Tx, tenant_id: int, outlet_ids: Iterable[int], now: int, why: str, *, reread: bool = False
    ) -> None:
        """Mark these outlets; one that is marked already gets a new generation and keeps its age.

        `reread`: what we believe of them is out of date; read before anything is decided (S8.5, S9.1).
        """
        tx.many(
            f"""INSERT INTO {self._table} (tenant_id, outlet_id, generation, since_at, why, reread) VALUES (?, ?, 1, ?, ?, ?)
                ON CONFLICT (tenant_id, outlet_id) DO UPDATE SET generation = {self._table}.generation + 1,
                    reread = CASE WHEN excluded.reread = 1 THEN 1 ELSE {self._table}.reread END""",
            [(tenant_id, outlet_id, now, why, int(reread)) for outlet_id in outlet_ids],
        )

    def clear(self, tx: Tx, tenant_id: int, outlet_id: int, generation: int) -> bool:
        """Clear a mark if it is still of this generation. False: it was marked again meanwhile and stays."""
        cleared = tx.run(
            f"DELETE FROM {self._table} WHERE tenant_id = :t AND outlet_id = :o AND generation = :g",
            t=tenant_id,
            o=outlet_id,
            g=generation,
        )
        return cleared == 1

    def taken(self, tx: Tx, tenant_id: int, outlet_ids: Iterable[int]) -> None:
        """These marks, as they stand now, have been looked at; what is set from now on is news."""
        tx.run(
            f"UPDATE {self._table} SET taken = generation WHERE tenant_id = :t AND outlet_id {{in:ids}} AND generation > taken",
            t=tenant_id,
            ids=list(outlet_ids),
        )

    def reread_taken(self, tx: Tx, tenant_id: int, outlet_ids: Iterable[int]) -> None:
        """A read of these outlets is on its way: the wish to read them is granted. One that comes from now on is a new wish."""
        tx.run(
            f"UPDATE {self._table} SET reread = 0 WHERE tenant_id = :t AND outlet_id {{in:ids}} AND reread = 1",
            t=tenant_id,
            ids=list(outlet_ids),
        )
