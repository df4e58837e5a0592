"""A merchant's word on a short line: wait, backorder, or cancel (SEMANTICS 7.2).

In: an order, a line, a word. Out: the decision kept; for "cancel" the intent, and the line in X.
Never: cancels what is not short, not settled or within its grace (I10), or what its channel does not let a program cancel.
"""

from __future__ import annotations

from typing import Literal

from oneshelf.core.errors import Park
from oneshelf.core.instants import SECOND
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx

from . import short
from .accounts import Account, load_accounts
from .rows import OrderRow, load_orders_by_no

Word = Literal["wait", "backorder", "cancel"]

#: A line that its merchant lets wait is asked about again after so long.
WAIT_S = 24 * 3600


class NotDecided(Park):
    """The decision can't be taken; nothing was changed."""


def decide_line(
    tx: Tx,
    tenant_id: int,
    order_id: str,
    line_id: str,
    word: Word,
    channels: short.Channels,
    now: int,
    *,
    by: str,
    account_id: int = 0,
) -> str:
    """Take a merchant's word. `order_id`: the channel's id or number (`account_id`: of this account, 0: of any); `line_id` may be ''
    where only one line waits for a word.

    Returns what happens now, in words. Raises NotDecided.
    """
    order, account = order_of(tx, tenant_id, order_id, account_id)
    removed = short.removed_lines(tx, tenant_id, order)
    waiting = short.short_lines(tx, tenant_id, order)
    line_id = line_id or _only(order, sorted({*waiting, *removed}))
    if word == "cancel" and line_id in removed:
        return _tell_removal(tx, tenant_id, account, order, line_id, channels, now)
    if line_id not in waiting:
        raise NotDecided(
            f"Line {line_id} of order {order.order_id} is not short (any more); there is nothing to decide."
        )
    if word == "cancel":
        _may_cancel(tx, tenant_id, account, order, line_id, channels, now)
    _keep(tx, tenant_id, order, line_id, word, now, by)
    if word == "cancel":
        cost = short.cost_of_cancel(tx, tenant_id, account, channels.abilities.get(account.account_id), now)
        short.want_cancel(tx, tenant_id, order, [line_id], "merchant", now)
        return (
            f"{account.label} is asked to cancel line {line_id} of order {order.order_id} in {short.REVOKE_S} seconds; until then: "
            f"oneshelf conflicts revoke {order.order_id} {line_id}. {cost}"
        ).strip()
    short.close_tasks(tx, tenant_id, order, line_id, now)
    if word == "wait":
        return f"Line {line_id} of order {order.order_id} waits; you are asked again in {WAIT_S // 3600} hours if it is still short."
    return f"Line {line_id} of order {order.order_id} is a backorder: it gets the next pieces in its turn."


def take_back(tx: Tx, tenant_id: int, order_id: str, line_id: str, now: int, *, by: str, account_id: int = 0) -> str:
    """Take back "wait" or "backorder"; the line is asked about again as any that is short. Returns what happens, in words. Raises NotDecided."""
    order, _ = order_of(tx, tenant_id, order_id, account_id)
    rows = tx.all(
        "SELECT line_id, word FROM decision WHERE tenant_id = :t AND order_no = :o AND word IN ('wait', 'backorder') ORDER BY line_id",
        t=tenant_id,
        o=order.order_no,
    )
    words = dict(rows)
    line_id = line_id or _only(order, sorted(words))
    if line_id not in words:
        raise NotDecided(f"Nothing was said about line {line_id} of order {order.order_id} that could be taken back.")
    tx.run(
        "DELETE FROM decision WHERE tenant_id = :t AND order_no = :o AND line_id = :l",
        t=tenant_id,
        o=order.order_no,
        l=line_id,
    )
    note(tx, tenant_id, now, by, f"A word was taken back: {words[line_id]}", f"order:{order.order_no}", line=line_id)
    return f"{words[line_id].capitalize()} is taken back; line {line_id} of order {order.order_id} is asked about again if it is still short."


def order_of(tx: Tx, tenant_id: int, name: str, account_id: int = 0) -> tuple[OrderRow, Account]:
    """Return a live account's order by its channel's id or number (`account_id` 0: any account's). Raises NotDecided."""
    rows = tx.all(
        "SELECT order_no FROM orders WHERE tenant_id = :t AND (order_id = :n OR number = :n) AND standing = 'live' "
        "AND (:a = 0 OR account_id = :a)",
        t=tenant_id,
        n=name,
        a=account_id,
    )
    if len(rows) != 1:
        many = "There is no order" if not rows else "There are several orders"
        raise NotDecided(f"{many} {name}. Give the id that its channel shows.")
    order = load_orders_by_no(tx, tenant_id, [rows[0][0]])[rows[0][0]]
    account = load_accounts(tx, tenant_id).get(order.account_id)
    if account is None or account.state != "LIVE":
        raise NotDecided(f"The account of order {name} is not live.")
    return order, account


def _only(order: OrderRow, line_ids: list[str]) -> str:
    if len(line_ids) != 1:
        raise NotDecided(f"Say which line of order {order.order_id}: {', '.join(line_ids) or 'none waits for a word'}.")
    return line_ids[0]


def _may_cancel(
    tx: Tx, tenant_id: int, account: Account, order: OrderRow, line_id: str, channels: short.Channels, now: int
) -> None:
    """I10: only when short, settled and past grace; and only what a call can cancel."""
    why = short.why_not_at_all(tx, tenant_id, account, order, [line_id], channels)
    if why:
        link = channels.link(account.account_id, order.order_id)
        raise NotDecided(f"It can't be cancelled from here: {why}. Cancel it there{': ' + link if link else ''}.")
    if not short.is_settled(tx, tenant_id, order, load_accounts(tx, tenant_id)):
        raise NotDecided("Not every channel has been heard past this purchase yet; try again in a few minutes.")
    if not short.is_past_grace(tx, tenant_id, order, line_id, now):
        minutes = short.GRACE_S // 60
        raise NotDecided(f"It became short less than {minutes} minutes ago and may still be covered; try again then.")


def _tell_removal(
    tx: Tx, tenant_id: int, account: Account, order: OrderRow, line_id: str, channels: short.Channels, now: int
) -> str:
    why = short.why_not_removed(tx, tenant_id, account, order, [line_id], channels)
    if why:
        link = channels.link(account.account_id, order.order_id)
        raise NotDecided(f"It can't be cancelled from here: {why}. Cancel it there{': ' + link if link else ''}.")
    short.want_cancel(tx, tenant_id, order, [line_id], "removed", now)
    return f"{account.label} is asked to cancel what you took off its copy of order {order.order_id}."


def _keep(tx: Tx, tenant_id: int, order: OrderRow, line_id: str, word: Word, now: int, by: str) -> None:
    tx.run(
        """INSERT INTO decision (tenant_id, order_no, line_id, word, decided_at, until_at, actor)
           VALUES (:t, :o, :l, :w, :now, :until, :by) ON CONFLICT (tenant_id, order_no, line_id) DO UPDATE SET
               word = excluded.word, decided_at = excluded.decided_at, until_at = excluded.until_at, actor = excluded.actor""",
        t=tenant_id,
        o=order.order_no,
        l=line_id,
        w=word,
        now=now,
        until=now + WAIT_S * SECOND if word == "wait" else None,
        by=by,
    )
    note(tx, tenant_id, now, by, f"A short line: {word}", f"order:{order.order_no}", line=line_id)
