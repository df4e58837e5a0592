"""Where a line stands while nobody else has said so: where most of its SKU is (SEMANTICS 5.7). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oneshelf.core.stock import Level


def choose_location(sku: str, levels: Mapping[tuple[str, str], Level], serving: Sequence[str]) -> str:
    """Return the location with most K_l among those that serve (given most important first); '' if there is none.

    A location where the SKU has a level beats one where it has none.
    """
    best: str = ""
    best_k: int | None = None
    for location_id in serving:
        level = levels.get((sku, location_id))
        if level is not None and (best_k is None or level.available > best_k):
            best, best_k = location_id, level.available
    return best or (serving[0] if serving else "")
