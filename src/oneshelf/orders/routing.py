"""Which location a line takes its pieces from, until the hub's fulfilment order has the last word (SEMANTICS 5.7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oneshelf.core.stock import Level


def choose_location(sku: str, levels: Mapping[tuple[str, str], Level], in_scope: Sequence[str]) -> str:
    """Return the location with most K_l among those in scope (given most important first); '' if there is none.

    A location where the SKU has a level beats one where it has none.
    """
    best: str = ""
    best_k: int | None = None
    for location_id in in_scope:
        level = levels.get((sku, location_id))
        if level is not None and (best_k is None or level.available > best_k):
            best, best_k = location_id, level.available
    return best or (in_scope[0] if in_scope else "")
