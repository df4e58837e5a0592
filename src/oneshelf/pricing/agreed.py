"""What a person said to a price that is far from what its listing asks: yes, it may ask that; or no.

In: his word on one price of one listing. Out: the same. Tables it owns: price_word. Never: takes a yes to one price for a yes to another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from oneshelf.core.facts import Money
from oneshelf.db.tx import Tx

Word = Literal["yes", "no"]


def say(tx: Tx, tenant_id: int, prices: Mapping[int, Money], word: Word, now: int, *, by: str) -> None:
    """Keep a word on these listings' prices; a later one on the same price takes its place."""
    tx.many(
        """INSERT INTO price_word (tenant_id, outlet_id, price_minor, currency, word, said_at, said_by) VALUES (?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (tenant_id, outlet_id, price_minor, currency) DO UPDATE SET word = excluded.word,
               said_at = excluded.said_at, said_by = excluded.said_by""",
        [(tenant_id, outlet, price.minor, price.currency, word, now, by) for outlet, price in sorted(prices.items())],
    )


def words_on(tx: Tx, tenant_id: int, outlet_ids: Iterable[int]) -> dict[tuple[int, Money], Word]:
    """Return {(outlet, price): the word on it}."""
    rows = tx.all(
        "SELECT outlet_id, price_minor, currency, word FROM price_word WHERE tenant_id = :t AND outlet_id {in:ids}",
        t=tenant_id,
        ids=sorted(outlet_ids),
    )
    return {(outlet_id, Money(minor, currency)): word for outlet_id, minor, currency, word in rows}
