"""Commands about counts by spreadsheet."""

from __future__ import annotations

from typing import Any

import msgspec

from oneshelf.core.instants import to_us
from oneshelf.db.tx import Tx
from oneshelf.imports import count_sheet
from oneshelf.wiring import Service


async def run_import_counts(service: Service, payload: dict[str, Any]) -> Any:
    """Check a CSV file of counts; with `yes` take its right rows up."""
    now = to_us(service.clock.now())

    def step(tx: Tx) -> tuple[count_sheet.WantedCounts, int | None]:
        wanted = count_sheet.read_csv(tx, service.tenant_id, payload["text"])
        if not payload.get("yes"):
            return wanted, None
        return wanted, count_sheet.apply(tx, service.tenant_id, wanted.counts, now, by=service.by)

    wanted, change_no = await service.writer.do(step)
    service.hub_bell.ring()
    return {**msgspec.to_builtins(wanted), "done": bool(payload.get("yes")), "change": change_no}


async def run_undo_counts(service: Service, payload: dict[str, Any]) -> Any:
    """Take a file of counts back."""
    change_no, now = int(payload["change"]), to_us(service.clock.now())
    done = await service.writer.do(
        lambda tx: count_sheet.put_back(tx, service.tenant_id, change_no, now, by=service.by)
    )
    service.hub_bell.ring()
    return {"change": change_no, **msgspec.to_builtins(done)}


COMMANDS = {"import_counts": run_import_counts, "undo_counts": run_undo_counts}
