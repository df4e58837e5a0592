"""Which hub copies may leave, and which are held until every channel has been heard (SEMANTICS 6.5).

1. An order that stands in the hub may leave when all its open lines are COVERED, and either every channel was heard past its purchase
(settled), or so much is left that nobody unheard can have wanted it (uncontested).  2. One that may leave at once is never held.
3. Held for longer than WAIT_S_MAX, and covered: it leaves, with a note.
In: lines, coverage, feeds, paces. Out: lines in R; intents `hold_copy`, `release_copy`. Tables: release, order_line, intent, through orders.
Never: takes back what was released (I8); releases a line that is short.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from oneshelf.core.order import LineEvent, LineState
from oneshelf.core.reserve import Risk, Seller, quantile
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.listings.risk import risks_of
from oneshelf.orders import claims, releases, short
from oneshelf.orders.accounts import Account, load_accounts
from oneshelf.orders.copies import entity
from oneshelf.orders.rows import LineRow, OrderRow, load_lines, load_orders_by_no
from oneshelf.stock.levels import available_of

from .planner import plan_skus

#: How many orders one look takes.
LOOKED_AT_MAX = 200


def release(tx: Tx, tenant_id: int, now: int) -> int:
    """Look at every copy that is not released yet. Returns how many changed."""
    waiting = releases.waiting(tx, tenant_id, LOOKED_AT_MAX)
    if not waiting:
        return 0
    accounts = load_accounts(tx, tenant_id)
    numbers = [order_no for order_no, _, _ in waiting]
    orders = load_orders_by_no(tx, tenant_id, numbers)
    stored = load_lines(tx, tenant_id, numbers)
    heard = short.heard_through(tx, tenant_id)
    left = _Left(tx, tenant_id, {line.sku for lines in stored.values() for line in lines.values() if line.sku}, now)
    changed = 0
    for order_no, state, since_at in waiting:
        lines = [line for line in stored.get(order_no, {}).values() if line.sku]
        still = [line for line in lines if line.line_state in (LineState.OPEN, LineState.MERCHANT) and line.counts.open]
        order = orders[order_no]
        if not still:
            pending = any(line.line_state is LineState.PENDING for line in lines)
            if not pending:
                _end(tx, tenant_id, order, state, "OVER", "nothing of it is open", now)
                changed += 1
            continue
        why = _may_leave(tx, tenant_id, order, still, accounts, heard, left, since_at, now)
        if why:
            for line_id in sorted({line.line_id for line in still}):
                short.move(tx, tenant_id, order_no, line_id, now, LineEvent.RELEASE)
            _end(tx, tenant_id, order, state, "RELEASED", why, now)
            changed += 1
        elif state == "NEW":
            _ask(tx, tenant_id, releases.HOLD, order, now)
            releases.became(tx, tenant_id, order_no, "HELD", now)
            note(
                tx,
                tenant_id,
                now,
                "release",
                "A copy is held until it is sure whose pieces these are",
                f"order:{order_no}",
            )
            changed += 1
    return changed


def _may_leave(
    tx: Tx,
    tenant_id: int,
    order: OrderRow,
    lines: Sequence[LineRow],
    accounts: Mapping[int, Account],
    heard: Mapping[int, int | None],
    left: _Left,
    since_at: int,
    now: int,
) -> str:
    """Return why the order may leave now, or ''. What waits for a person's word is released by him."""
    if any(line.coverage != "COVERED" or line.line_state is not LineState.OPEN for line in lines):
        return ""
    if short.is_settled(tx, tenant_id, order, accounts, heard):
        return "settled"
    if all(left.is_uncontested(line.sku, line.account_id) for line in lines):
        return "uncontested"
    if releases.waited_long(since_at, now):
        note(tx, tenant_id, now, "release", "Released although a channel was not heard", f"order:{order.order_no}")
        return "waited long enough"
    return ""


class _Left:
    """What is left of the SKUs of one look's orders, and how they sell: asked of the database once, when an order is not settled. A
    release moves no level."""

    def __init__(self, tx: Tx, tenant_id: int, skus: Iterable[str], now: int) -> None:
        self._tx = tx
        self._tenant_id = tenant_id
        self._skus = sorted(skus)
        self._now = now

    @cached_property
    def _k(self) -> dict[str, int]:
        return available_of(self._tx, self._tenant_id, self._skus)

    @cached_property
    def _risks(self) -> dict[str, Risk]:
        return risks_of(self._tx, self._tenant_id, self._skus)

    @cached_property
    def _sellers(self) -> dict[str, list[Seller]]:
        planned = plan_skus(self._tx, self._tenant_id, self._skus, self._k, self._now)
        found: dict[str, list[Seller]] = {sku: [] for sku in self._skus}
        for (_, sku), seller in planned.sellers.items():
            found[sku].append(seller)
        for sku, seller in planned.hub.items():
            found[sku].append(seller)
        return found

    def is_uncontested(self, sku: str, account_id: int) -> bool:
        """S6.5: whether what is left after this line is more than the earlier orders of other channels that may still be unheard; the
        last piece always waits."""
        k = self._k[sku]
        if k < 1:
            return False
        unheard = sum(one.v * one.notice_s for one in self._sellers[sku] if one.rank[1] != account_id)
        risk = self._risks[sku]
        return k >= max(1, quantile(unheard, risk.epsilon, risk.dispersion))


def _end(tx: Tx, tenant_id: int, order: OrderRow, was: str, state: str, why: str, now: int) -> None:
    """It is not waited for any more: a hold not yet sent is not needed, one that was sent is lifted."""
    releases.became(tx, tenant_id, order.order_no, state, now, why)
    if was != "HELD":
        return
    dropped = tx.run(
        "UPDATE intent SET state = 'DONE', settled_at = :now, due_at = :now, reason = 'not needed any more' "
        "WHERE tenant_id = :t AND kind = :k AND entity = :e AND state = 'WAITING' AND attempts = 0",
        t=tenant_id,
        k=releases.HOLD,
        e=entity(order),
        now=now,
    )
    if not dropped:
        _ask(tx, tenant_id, releases.RELEASE, order, now)


def _ask(tx: Tx, tenant_id: int, kind: str, order: OrderRow, now: int) -> None:
    row = tx.one(
        "SELECT COUNT(*) FROM intent WHERE tenant_id = :t AND kind = :k AND entity = :e",
        t=tenant_id,
        k=kind,
        e=entity(order),
    )
    payload = {"order_no": order.order_no, "hub_order_id": order.hub_order_id}
    version = int(row[0]) + 1 if row else 1
    claims.add_intent(tx, tenant_id, kind, entity(order), version, payload, now, priority=2)
