"""How long news and numbers take, measured on what really happened (SEMANTICS 12.1).

In: orders, attempts. Out: per channel the percentiles of notice, decide, publish, effect, in seconds.
Never: counts orders from before the account was live, or instants that a channel did not give; says 0 where nothing was measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from oneshelf.core.instants import SECOND
from oneshelf.db.tx import Tx

from .accounts import accounts_now

#: How many measurements are looked at, per channel and kind.
LAST = 1_000
#: Among how many of the newest orders of the tenant a channel's are looked for: a channel that sells rarely is measured on fewer.
LOOKED_AT = 8

KINDS = ("notice", "decide", "publish", "effect")


class Percentiles(TypedDict):
    """Of `n` measurements, in seconds. None: nothing was measured."""

    p50: float | None
    p95: float | None
    p99: float | None
    n: int


def percentile(sorted_values: list[int], percent: float) -> int:
    """Return the smallest value that at least `percent` of all are not above (nearest rank). Raises IndexError for none.

    >>> percentile([1, 2, 3, 4], 50), percentile([1, 2, 3, 4], 95)
    (2, 4)
    """
    rank = -(-len(sorted_values) * percent // 100)
    return sorted_values[max(0, int(rank) - 1)]


def percentiles(durations_us: Iterable[int]) -> Percentiles:
    """Return p50, p95 and p99 of durations in microseconds, as seconds with three decimals."""
    values = sorted(max(0, d) for d in durations_us)
    if not values:
        return Percentiles(p50=None, p95=None, p99=None, n=0)
    p50, p95, p99 = (round(percentile(values, p) / SECOND, 3) for p in (50, 95, 99))
    return Percentiles(p50=p50, p95=p95, p99=p99, n=len(values))


def latency(tx: Tx, tenant_id: int, last: int = LAST) -> dict[str, dict[str, Percentiles]]:
    """Return {channel: {"notice", "decide", "publish", "effect"}} over the last `last` orders and writes of each channel.

    notice = received − placed (the channel's own clock and second), decide = decided − received, publish = accepted − dirty,
    effect = seen − accepted. The first and the last are the channel's, the middle two ours.
    """
    accounts = accounts_now(tx, tenant_id)
    found: dict[str, dict[str, list[int]]] = {a.channel: {kind: [] for kind in KINDS} for a in accounts}
    live_at = {a.account_id: a.live_at for a in accounts}
    channel_of = {a.account_id: a.channel for a in accounts}
    for account_id, placed_at, placed_note, received_at, decided_at in tx.all(
        """SELECT account_id, placed_at, placed_note, received_at, decided_at FROM orders
            WHERE tenant_id = :t AND standing = 'live' ORDER BY order_no DESC LIMIT :n""",
        t=tenant_id,
        n=last * LOOKED_AT,
    ):
        channel, live = channel_of.get(account_id), live_at.get(account_id)
        if channel is None or live is None or placed_at < live:
            continue
        times = found[channel]
        if not placed_note and len(times["notice"]) < last:
            times["notice"].append(received_at - placed_at)
        if len(times["decide"]) < last:
            times["decide"].append(decided_at - received_at)
    for account in accounts:
        times = found[account.channel]
        for dirty_at, accepted_at, seen_at in tx.all(
            """SELECT dirty_at, accepted_at, seen_at FROM attempt WHERE tenant_id = :t AND account_id = :a AND accepted_at IS NOT NULL
                ORDER BY started_at DESC LIMIT :n""",
            t=tenant_id,
            a=account.account_id,
            n=last,
        ):
            if dirty_at is not None:
                times["publish"].append(accepted_at - dirty_at)
            if seen_at is not None:
                times["effect"].append(seen_at - accepted_at)
        if account.is_hub:
            times["publish"] += _imports(tx, tenant_id, last)
    return {channel: {kind: percentiles(times[kind]) for kind in KINDS} for channel, times in found.items()}


def _imports(tx: Tx, tenant_id: int, last: int) -> list[int]:
    """The hub is told of a marketplace sale by its import: meant → done. It shows it at once, so there is no effect to measure."""
    rows = tx.all(
        """SELECT created_at, settled_at FROM intent WHERE tenant_id = :t AND kind = 'import' AND state = 'DONE' AND settled_at IS NOT NULL
            ORDER BY intent_no DESC LIMIT :n""",
        t=tenant_id,
        n=last,
    )
    return [settled_at - created_at for created_at, settled_at in rows]
