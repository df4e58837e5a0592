"""How many outlets one read takes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from .contract import Capabilities

T = TypeVar("T")


def read_batches(rows: Sequence[tuple[str, T]], can: Capabilities) -> Iterator[list[T]]:
    """Give (write unit, outlet) rows, those of one unit side by side, as batches that one `Channel.read` takes."""
    batch: list[T] = []
    units: set[str] = set()
    for unit, row in rows:
        full = unit not in units and len(units) >= can.read_batch if can.reads_units else len(batch) >= can.read_batch
        if full:
            yield batch
            batch, units = [], set()
        batch.append(row)
        units.add(unit)
    if batch:
        yield batch
