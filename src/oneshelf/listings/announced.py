"""Sales that the merchant announces: some SKUs will sell faster for a while (SEMANTICS 3.7).

In: SKUs, start, end, factor. Out: the factor of each SKU at an instant. Tables it owns: announced_sale, announced_sku.
Never: changes a price; plans an offer (publish/ticking does, at both edges).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from oneshelf.db.journal import note
from oneshelf.db.tx import Tx, next_values

#: A factor beyond this is a mistake of somebody's.
FACTOR_MAX = 10_000.0


class AnnouncedSale(msgspec.Struct, frozen=True):
    """One announced sale. Instants in microseconds UTC; `factor`: times the normal pace, above 1."""

    sale_no: int
    name: str
    starts_at: int
    ends_at: int
    factor: float
    skus: tuple[str, ...]


def announce(
    tx: Tx,
    tenant_id: int,
    name: str,
    skus: Iterable[str],
    starts_at: int,
    ends_at: int,
    factor: float,
    now: int,
    *,
    by: str,
) -> int:
    """Keep an announced sale; returns its number. Raises ValueError on times or a factor that make no sense, LookupError on a SKU that
    is not on the shelf."""
    wanted = sorted(set(skus))
    if not wanted:
        raise ValueError("name at least one SKU")
    if ends_at <= starts_at or ends_at <= now:
        raise ValueError("a sale ends after it starts, and not in the past")
    if not 1.0 < factor <= FACTOR_MAX:
        raise ValueError(f"the factor is more than 1 and at most {FACTOR_MAX:g}, got {factor:g}")
    known = {
        row[0]
        for row in tx.all("SELECT sku FROM item WHERE tenant_id = :t AND sku {in:skus}", t=tenant_id, skus=wanted)
    }
    if missing := [sku for sku in wanted if sku not in known]:
        raise LookupError(f"there is no SKU {', '.join(missing)} on the shelf")
    sale_no = next_values(tx, tenant_id, "announced_sale")[0]
    tx.run(
        """INSERT INTO announced_sale (tenant_id, sale_no, name, starts_at, ends_at, factor)
           VALUES (:t, :no, :name, :starts, :ends, :factor)""",
        t=tenant_id,
        no=sale_no,
        name=name,
        starts=starts_at,
        ends=ends_at,
        factor=factor,
    )
    tx.many(
        "INSERT INTO announced_sku (tenant_id, sale_no, sku) VALUES (?, ?, ?)",
        [(tenant_id, sale_no, sku) for sku in wanted],
    )
    note(tx, tenant_id, now, by, "A sale was announced", f"sale:{sale_no}", name=name, skus=wanted, factor=factor)
    return sale_no


def call_off(tx: Tx, tenant_id: int, sale_no: int, now: int, *, by: str) -> list[str] | None:
    """Call an announced sale off. Returns its SKUs, whose numbers are due to be planned again; None: there is no such sale any more."""
    changed = tx.run(
        "UPDATE announced_sale SET called_off_at = :now WHERE tenant_id = :t AND sale_no = :no AND called_off_at IS NULL "
        "AND ends_at > :now",
        t=tenant_id,
        no=sale_no,
        now=now,
    )
    if changed != 1:
        return None
    note(tx, tenant_id, now, by, "An announced sale was called off", f"sale:{sale_no}")
    rows = tx.all("SELECT sku FROM announced_sku WHERE tenant_id = :t AND sale_no = :no", t=tenant_id, no=sale_no)
    return [sku for (sku,) in rows]


def announced(tx: Tx, tenant_id: int, now: int) -> list[AnnouncedSale]:
    """Return the sales that are under way or to come, the next first."""
    sales = tx.all(
        "SELECT sale_no, name, starts_at, ends_at, factor FROM announced_sale "
        "WHERE tenant_id = :t AND ends_at > :now AND called_off_at IS NULL ORDER BY starts_at, sale_no",
        t=tenant_id,
        now=now,
    )
    skus: dict[int, list[str]] = {}
    for sale_no, sku in tx.all(
        "SELECT sale_no, sku FROM announced_sku WHERE tenant_id = :t AND sale_no {in:nos} ORDER BY sale_no, sku",
        t=tenant_id,
        nos=[row[0] for row in sales],
    ):
        skus.setdefault(sale_no, []).append(sku)
    return [AnnouncedSale(row[0], row[1], row[2], row[3], row[4], tuple(skus.get(row[0], ()))) for row in sales]


def factors_of(tx: Tx, tenant_id: int, skus: Iterable[str], at: int, ahead: int) -> dict[str, float]:
    """Return {SKU: factor} of those in an announced sale at this instant, which begins `ahead` microseconds before its start: the
    largest, if there are several."""
    rows = tx.all(
        """SELECT s.sku, MAX(a.factor) FROM announced_sale a
             JOIN announced_sku s ON s.tenant_id = a.tenant_id AND s.sale_no = a.sale_no
            WHERE a.tenant_id = :t AND a.ends_at > :at AND a.starts_at <= :until AND a.called_off_at IS NULL AND s.sku {in:skus}
            GROUP BY s.sku""",
        t=tenant_id,
        at=at,
        until=at + ahead,
        skus=sorted(skus),
    )
    return {sku: float(factor) for sku, factor in rows}


def edges_between(tx: Tx, tenant_id: int, after: int, until: int, ahead: int) -> list[str]:
    """Return the SKUs of sales that begin (less `ahead`) or end after one instant and not after another."""
    rows = tx.all(
        """SELECT DISTINCT s.sku FROM announced_sale a
             JOIN announced_sku s ON s.tenant_id = a.tenant_id AND s.sale_no = a.sale_no
            WHERE a.tenant_id = :t AND a.ends_at > :after AND a.called_off_at IS NULL
              AND ((a.starts_at - :ahead > :after AND a.starts_at - :ahead <= :until) OR a.ends_at <= :until)""",
        t=tenant_id,
        after=after,
        until=until,
        ahead=ahead,
    )
    return [sku for (sku,) in rows]
