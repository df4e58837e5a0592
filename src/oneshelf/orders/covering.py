"""Recomputes coverage of SKUs whose numbers moved (SEMANTICS 6.1); never patches it.

While K ≥ 0 every open line fits, whatever the order: nothing is walked unless somebody was short before.
"""

from __future__ import annotations

from collections.abc import Iterable

from oneshelf.core.coverage import OpenLine, cover
from oneshelf.core.plan import Capability
from oneshelf.db import events
from oneshelf.db.journal import close_task, note, open_task
from oneshelf.db.tx import Tx
from oneshelf.stock.levels import available_of
from oneshelf.tenants.plan import allows

from .rows import LineRow, load_open_lines


def recompute(tx: Tx, tenant_id: int, skus: Iterable[str], now: int) -> None:
    """Walk the open lines of every SKU that is oversold or had a short line, and store what changed."""
    wanted = set(skus)
    if not wanted:
        return
    k = available_of(tx, tenant_id, wanted)
    short_before = {
        sku
        for (sku,) in tx.all(
            "SELECT DISTINCT sku FROM order_line WHERE tenant_id = :t AND sku {in:skus} AND coverage = 'SHORT'",
            t=tenant_id,
            skus=sorted(wanted),
        )
    }
    to_walk = sorted(sku for sku in wanted if k[sku] < 0 or sku in short_before)
    if not to_walk:
        return
    lines: dict[str, list[LineRow]] = {sku: [] for sku in to_walk}
    for line in load_open_lines(tx, tenant_id, to_walk):
        lines[line.sku].append(line)
    free = _free_pieces(tx, tenant_id, to_walk)
    for sku in to_walk:
        _store(tx, tenant_id, sku, lines[sku], walk(free.get(sku, 0), lines[sku]), now)


def walk(free_pieces: int, lines: Iterable[LineRow]) -> dict[tuple[int, str], str]:
    """The walk of 6.1 over stored lines of one SKU."""
    return dict(cover(free_pieces, map(open_line, lines)))


def open_line(line: LineRow) -> OpenLine:
    """Return a stored line as coverage sees it."""
    return OpenLine(
        order_no=line.order_no,
        line_id=line.line_id,
        sku=line.sku,
        pieces=line.reserved + line.committed,
        state=line.state,
        placed_s=line.placed_s,
        rank=line.rank,
        account=str(line.account_id),
        order_id=line.order_id,
        pin=line.pin,
    )


def would_cover(tx: Tx, tenant_id: int, line: LineRow, lines: Iterable[LineRow]) -> bool:
    """Whether the walk over these lines of its SKU covers this one. Nothing is stored."""
    verdicts = walk(_free_pieces(tx, tenant_id, [line.sku]).get(line.sku, 0), lines)
    return verdicts.get((line.order_no, line.line_id)) == "COVERED"


def _free_pieces(tx: Tx, tenant_id: int, skus: list[str]) -> dict[str, int]:
    """on_hand − unavailable − foreign reserved, over all locations in scope (S6.1), less what the hub had promised to orders older
    than ours (S0.5: they were first). Unseen sales (provisionals) are no lines: they take nothing until their order is here."""
    rows = tx.all(
        """SELECT s.sku, CAST(SUM(s.on_hand - s.unavailable - s.foreign_reserved - COALESCE(h.pull, 0)) AS BIGINT)
             FROM stock_level s JOIN location l ON l.tenant_id = s.tenant_id AND l.location_id = s.location_id
             LEFT JOIN hub_level h ON h.tenant_id = s.tenant_id AND h.sku = s.sku AND h.location_id = s.location_id
            WHERE s.tenant_id = :t AND s.sku {in:skus} AND l.active = 1 AND l.in_scope = 1 GROUP BY s.sku""",
        t=tenant_id,
        skus=skus,
    )
    return {sku: int(pieces) for sku, pieces in rows}


def _store(
    tx: Tx, tenant_id: int, sku: str, lines: list[LineRow], verdicts: dict[tuple[int, str], str], now: int
) -> None:
    rows = []
    asks = "SHORT" not in verdicts.values() or allows(tx, tenant_id, Capability.CONFLICT_DETECTION)
    for line in lines:
        verdict = verdicts.get((line.order_no, line.line_id), "")
        if verdict == line.coverage:
            continue
        rows.append((verdict, now if verdict == "SHORT" else None, tenant_id, line.order_no, line.line_id, sku))
        if verdict == "SHORT":
            note(tx, tenant_id, now, "coverage", "A line became short", f"sku:{sku}", order=line.order_id)
            ids = {"order": line.order_no, "line": line.line_id, "sku": sku}
            events.tell(tx, tenant_id, now, "order.short", [ids])
            if line.state == "M" or not asks:  # its merchant is asked already, or his plan does not ask him
                continue
            open_task(
                tx,
                tenant_id,
                now,
                "short_line",
                line.key,
                f"Decide about order {line.order_id}: {sku} is sold out",
                "Others bought it first",
            )
        elif line.coverage == "SHORT":
            note(tx, tenant_id, now, "coverage", "A short line is covered now", f"sku:{sku}", order=line.order_id)
            close_task(tx, tenant_id, now, "short_line", line.key)
            close_task(tx, tenant_id, now, "short_decision", line.key)
    tx.many(
        "UPDATE order_line SET coverage = ?, short_since = ? WHERE tenant_id = ? AND order_no = ? AND line_id = ? AND sku = ?",
        rows,
    )
