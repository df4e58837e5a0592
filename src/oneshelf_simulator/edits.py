"""What counts as an edit against what people edited: a sale is none, and a return is none (I5, S9.2).

In: entries of the ledger as they come; the shelf's own count of what people brought, took and carried. Out: what is too much, in words.
Never: imports the product.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from .shelf import Shelf


class Counts(NamedTuple):
    """Pieces by SKU that edits took off, that they added, and that they carried from one location to another."""

    taken: Counter[str]
    added: Counter[str]
    carried: Counter[str]


class Edits:
    """What the engine has counted as edits so far."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        #: How many by SKU: they go back with the database when a backup is put in its place.
        self.counts = Counts(Counter(), Counter(), Counter())

    def too_much(self, new: list[tuple[str, str, int]]) -> Iterator[str]:
        """Take new entries (key, SKU, pieces on hand); say of each SKU that was edited "" or what is wrong. What one read took at one
        location and added at another was carried (S5.7)."""
        reads: dict[tuple[str, str], list[int]] = defaultdict(list)
        for key, sku, pieces in new:
            if key.startswith("edit:"):
                reads[sku, key.rsplit(":", 1)[1]].append(pieces)
        for (sku, _), moves in sorted(reads.items()):
            net = sum(moves)
            (self.counts.added if net > 0 else self.counts.taken)[sku] += abs(net)
            self.counts.carried[sku] += (sum(map(abs, moves)) - abs(net)) // 2
            yield self._what(sku)

    def _what(self, sku: str) -> str:
        taken, added, carried = (count[sku] for count in self.counts)
        people = self.shelf.taken[sku], self.shelf.brought[sku], self.shelf.places.carried[sku]
        left = people[2] - carried  # one read may have seen only where they came from, another where they went
        if left >= 0 and taken <= people[0] + left and added <= people[1] + left:
            return ""
        return f"edits of {sku} took {taken}, added {added} and carried {carried} pieces, people {people[0]}, {people[1]} and {people[2]}"
