"""The lines that nothing on hand stands behind, with what was decided and what a cancel would cost (SEMANTICS 7.2, 7.5)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from oneshelf.channels.abilities import CancelAbility
from oneshelf.core.instants import iso
from oneshelf.db.tx import Tx
from oneshelf.orders.cancel_rate import rate_of


class ShortLine(msgspec.Struct, frozen=True):
    """One short line. `decision`: wait, backorder, cancel or "". The rates are the account's, in percent: now, after one more cancel,
    and the channel's limit; None: not counted there, or nothing sold yet. `cost`: the same in words."""

    account: str
    order_id: str
    line_id: str
    sku: str
    pieces: int
    state: str
    short_since: str | None
    decision: str
    cancel_rate_now: float | None
    cancel_rate_after: float | None
    cancel_rate_limit: float | None
    cost: str


def short_lines(tx: Tx, tenant_id: int, abilities: Mapping[int, CancelAbility], now: int) -> list[ShortLine]:
    """Return them, oldest first. `abilities`: what a cancel means, by account."""
    rows = tx.all(
        """SELECT l.account_id, a.label, l.order_id, l.line_id, l.sku, l.reserved + l.committed, l.state, l.short_since,
                  COALESCE(d.word, '')
             FROM order_line l JOIN account a ON a.tenant_id = l.tenant_id AND a.account_id = l.account_id
             LEFT JOIN decision d ON d.tenant_id = l.tenant_id AND d.order_no = l.order_no AND d.line_id = l.line_id
            WHERE l.tenant_id = :t AND l.coverage = 'SHORT' ORDER BY l.short_since, l.order_id, l.line_id, l.sku""",
        t=tenant_id,
    )
    rates = {
        account_id: rate_of(tx, tenant_id, account_id, abilities[account_id], now)
        for account_id in {row[0] for row in rows} & abilities.keys()
    }
    found = []
    for account_id, label, order_id, line_id, sku, pieces, state, since, word in rows:
        rate = rates.get(account_id)
        counts = rate is not None and rate.counts_against != ""
        found.append(
            ShortLine(
                label,
                order_id,
                line_id,
                sku,
                pieces,
                state,
                iso(since) if since else None,
                word,
                rate.now_percent if rate is not None and counts else None,
                rate.after_percent if rate is not None and counts else None,
                rate.limit_percent if rate is not None else None,
                rate.words() if rate is not None else "",
            )
        )
    return found
