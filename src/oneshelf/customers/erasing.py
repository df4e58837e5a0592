"""Takes a person out of one order, and out of raw messages. Doing it twice is doing it once.

In: order numbers, words to look for. Out: the same rows without the person.
Never: removes a row; an order keeps its lines, money and keys, a message its key and topic.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import msgspec

from oneshelf.core.facts import OrderSeen
from oneshelf.core.instants import from_us
from oneshelf.db.tx import Tx

from .forgetting import forget

#: States of an order that is still to be shipped: the address is needed.
OPEN_STATES = ("PENDING", "OPEN", "PARTIAL", "RELEASED", "MERCHANT", "CANCEL_WANTED", "UNLINKED")
#: Standings of which nothing is to be shipped by us.
CLOSED_STANDINGS = ("history", "channel", "off_count")


def is_open(state: str, standing: str) -> bool:
    """Whether an order may still have to be shipped."""
    return state in OPEN_STATES and standing not in CLOSED_STANDINGS


def erase_orders(tx: Tx, tenant_id: int, order_nos: Iterable[int], now: int, *, asked: bool) -> int:
    """Erase the persons of these orders and of their hub copies, the buyer's note, what intents carry of them, and what their customers
    are known by from them alone. `asked`: because somebody asked, not because the time is up. Returns how many."""
    wanted = sorted(set(order_nos))
    rows = tx.all(
        "SELECT order_no, account_id, order_id, document FROM orders WHERE tenant_id = :t AND erased_at IS NULL "
        "AND (order_no {in:nos} OR copy_of_order_no {in:nos2})",
        t=tenant_id,
        nos=wanted,
        nos2=wanted,
    )
    tx.many(
        "UPDATE orders SET person = '{}', document = ?, erased_at = ? WHERE tenant_id = ? AND order_no = ?",
        [(_without_note(document), now, tenant_id, order_no) for order_no, _, _, document in rows],
    )
    tx.many(
        "UPDATE intent SET result = '{}', reason = '' WHERE tenant_id = ? AND entity = ? AND state IN ('DONE', 'REFUSED', 'TASK')",
        [(tenant_id, f"{account_id}/{order_id}") for _, account_id, order_id, _ in rows],
    )
    forget(tx, tenant_id, [row[0] for row in rows], asked=asked)
    return len(rows)


def _without_note(document: str) -> str:
    if document == "{}":
        return document
    try:
        seen = msgspec.json.decode(document, type=OrderSeen)
    except msgspec.MsgspecError:  # written by another version: better without it than with a person in it
        return "{}"
    return msgspec.json.encode(msgspec.structs.replace(seen, note="", buyer=None, ship_to=None)).decode()


def keep_address_only(tx: Tx, tenant_id: int, order_nos: Iterable[int]) -> None:
    """Of an open order keep what the parcel needs, and nothing else of the person."""
    rows = tx.all(
        "SELECT order_no, person FROM orders WHERE tenant_id = :t AND order_no {in:nos}",
        t=tenant_id,
        nos=list(order_nos),
    )
    changed = []
    for order_no, person in rows:
        kept = json.loads(person)
        buyer = kept.get("buyer") or {}
        # The id alone stays, so that the order is found again when it is shipped.
        less = {"buyer": {"channel_buyer_id": buyer.get("channel_buyer_id")}, "ship_to": kept.get("ship_to")}
        changed.append((json.dumps(less), tenant_id, order_no))
    tx.many("UPDATE orders SET person = ? WHERE tenant_id = ? AND order_no = ?", changed)


def stub(now: int) -> bytes:
    """What stands in place of an erased message."""
    return json.dumps({"erased": f"{from_us(now):%Y-%m-%dT%H:%M:%SZ}"}).encode()


def erase_messages(tx: Tx, tenant_id: int, seqs: Sequence[int], now: int) -> None:
    """Replace the bodies of these inbox rows; key, topic and what became of them stay."""
    body = stub(now)
    tx.many(
        "UPDATE inbox SET body = ?, headers = '{}' WHERE tenant_id = ? AND seq = ?",
        [(body, tenant_id, seq) for seq in seqs],
    )
