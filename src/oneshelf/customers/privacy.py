"""Privacy requests of the platforms, acted on in small steps: each one transaction, each safe to repeat (RELIABILITY F56).

- Shopify `customers/redact`: erase one customer, and the orders that it lists (a guest has no customer's id; an order may name nobody
  that we could compare). `customers/data_request`: the same, the merchant answers within 30 days; we give him a file.
  `shop/redact`, 48 hours after the app was uninstalled: erase all persons
  (https://shopify.dev/docs/apps/build/compliance/privacy-law-compliance).
- eBay `MARKETPLACE_ACCOUNT_DELETION`: names any eBay user, whether he ever bought here or not
  (https://developer.ebay.com/marketplace-account-deletion).

In: what the parser read. Out: orders and messages without the person; a task where a person must act.
Never: erases what an open order needs to be shipped before it is shipped (a shop's own end excepted).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from oneshelf.core.instants import SECOND, iso
from oneshelf.db.journal import close_task, note, open_task
from oneshelf.db.tx import Tx, next_values

from . import exporting
from .erasing import erase_messages, erase_orders, is_open, keep_address_only
from .forgetting import forget_everybody, forget_person

DAY_US = 86_400 * SECOND
#: Both platforms give 30 days to answer or erase.
ANSWER_WITHIN_US = 30 * DAY_US
#: How often a request that waits for a shipment is looked at again.
LOOK_AGAIN_US = 3_600 * SECOND
#: Orders and messages one step looks at: a step is one transaction, and orders wait behind it.
ORDERS_A_STEP = 200
MESSAGES_A_STEP = 500
#: A name shorter than this is looked for in raw messages only as a whole JSON string.
SHORT_NAME = 8


class Request(msgspec.Struct, frozen=True):
    """One request. Instants as ISO 8601, UTC. It names no person."""

    request_no: int
    account_id: int
    channel: str
    kind: str
    state: str
    asked_at: str | None
    answer_by: str | None
    done_at: str | None
    orders_erased: int
    messages_erased: int


def ask(
    tx: Tx,
    tenant_id: int,
    account_id: int,
    kind: str,
    subject: str,
    inbox_seq: int,
    now: int,
    order_ids: Sequence[str] = (),
    by: str = "intake",
) -> int | None:
    """Keep a request about the person `subject` ('': none is named) and the orders `order_ids` of this account. Returns its number,
    None if it is known already. One that no message brought (`inbox_seq` 0) is told apart by when it was made."""
    key = f"{account_id}:{inbox_seq or f'at {now}'}:{kind}:{hashlib.sha256(subject.encode()).hexdigest()[:24]}"
    if tx.one("SELECT 1 FROM privacy_request WHERE tenant_id = :t AND request_key = :k", t=tenant_id, k=key):
        return None
    number = next_values(tx, tenant_id, "privacy_request")[0]
    tx.run(
        """INSERT INTO privacy_request (tenant_id, request_no, request_key, account_id, kind, subject, order_ids, inbox_seq, state,
                                        asked_at, due_at, look_at)
           VALUES (:t, :no, :k, :a, :kind, :s, :orders, :seq, 'WAITING', :now, :due, :now)""",
        t=tenant_id,
        no=number,
        k=key,
        a=account_id,
        kind=kind,
        s=subject,
        orders=json.dumps(list(order_ids)),
        seq=inbox_seq,
        now=now,
        due=now + ANSWER_WITHIN_US,
    )
    note(tx, tenant_id, now, by, "A privacy request arrived", f"account:{account_id}", kind=kind, request=number)
    if kind == "export":
        open_task(
            tx,
            tenant_id,
            now,
            "privacy_export",
            str(number),
            f"Give a customer what is kept of them (request {number})",
            f"Make the file: oneshelf privacy export {number}; send it to the customer yourself",
            due_at=now + ANSWER_WITHIN_US,
        )
    return number


def requests(tx: Tx, tenant_id: int, *, waiting: bool = False) -> list[Request]:
    """Return all requests, the newest first; `waiting`: those not done."""
    rows = tx.all(
        """SELECT p.request_no, p.account_id, a.channel, p.kind, p.state, p.asked_at, p.due_at, p.done_at, p.orders_erased,
                  p.messages_erased
             FROM privacy_request p LEFT JOIN account a ON a.tenant_id = p.tenant_id AND a.account_id = p.account_id
            WHERE p.tenant_id = :t AND (:all = 1 OR p.state <> 'DONE') ORDER BY p.request_no DESC""",
        t=tenant_id,
        all=int(not waiting),
    )
    return [Request(r[0], r[1], r[2] or "", r[3], r[4], iso(r[5]), iso(r[6]), iso(r[7]), r[8], r[9]) for r in rows]


class Wanted(msgspec.Struct, frozen=True):
    """Whom a request is about: everybody (a shop that ended), a person by the channel's name for him, orders of its account."""

    account_id: int
    everybody: bool
    subject: str
    order_ids: frozenset[str]

    def is_about(self, account_id: int, order_id: str, person: str) -> bool:
        return (
            self.everybody
            or (account_id == self.account_id and order_id in self.order_ids)
            or (bool(self.subject) and names(json.loads(person), self.subject))
        )


def _wanted(account_id: int, kind: str, subject: str, order_ids: str) -> Wanted:
    return Wanted(account_id, kind == "erase_shop", subject, frozenset(json.loads(order_ids)))


#: Orders that may be what a request wants; `Wanted.is_about` says which are. Parameters: _sql_of.
_MAYBE = (
    "person <> '{}' AND (:every = 1 OR (:named = 1 AND person LIKE :like ESCAPE '!') "
    "OR (account_id = :account AND order_id {in:orders}))"
)


def _sql_of(wanted: Wanted) -> dict[str, Any]:
    return {
        "every": int(wanted.everybody),
        "named": int(bool(wanted.subject)),
        "like": _like(wanted.subject),
        "account": wanted.account_id,
        "orders": sorted(wanted.order_ids),
    }


# --- erasing, step by step ---------------------------------------------------------------------------------------------


class Progress(msgspec.Struct):
    """How far an erasure is. `after`: order number or inbox seq that was looked at last; `erased`: order ids; `open`: order numbers."""

    phase: str = "orders"
    after: int = 0
    erased: list[str] = []
    open: list[int] = []


def step(tx: Tx, tenant_id: int, now: int) -> bool:
    """Do one bounded piece of the request that has waited longest. False: nothing is due."""
    row = tx.one(
        "SELECT request_no, account_id, kind, subject, order_ids, inbox_seq, progress FROM privacy_request WHERE tenant_id = :t "
        "AND state IN ('WAITING', 'SHIPPING') AND kind <> 'export' AND look_at <= :now ORDER BY look_at, request_no LIMIT 1",
        t=tenant_id,
        now=now,
    )
    if row is None:
        return False
    request_no, account_id, kind, subject, order_ids, inbox_seq, kept = row
    wanted = _wanted(account_id, kind, subject, order_ids)
    progress = msgspec.json.decode(kept, type=Progress)
    accounts = _accounts(tx, tenant_id, account_id, kind)
    if progress.phase == "orders":
        orders = _orders_step(tx, tenant_id, accounts, wanted, progress, now)
        messages = 0
    else:
        orders = 0
        messages = _messages_step(tx, tenant_id, wanted, inbox_seq, progress, now)
    _keep_progress(tx, tenant_id, request_no, progress, orders, messages)
    if progress.phase == "done":
        _finish(tx, tenant_id, request_no, account_id, kind, progress, now)
    return True


def _accounts(tx: Tx, tenant_id: int, account_id: int, kind: str) -> list[int]:
    """Whose orders a request is about: all accounts of the channel (eBay names no seller); of a shop that ended, all there are."""
    rows = tx.all(
        "SELECT account_id FROM account WHERE tenant_id = :t AND (:every = 1 OR channel = "
        "(SELECT channel FROM account WHERE tenant_id = :t AND account_id = :a))",
        t=tenant_id,
        a=account_id,
        every=int(kind == "erase_shop"),
    )
    return [one for (one,) in rows]


def _orders_step(tx: Tx, tenant_id: int, accounts: list[int], wanted: Wanted, progress: Progress, now: int) -> int:
    """Erase a page of the orders that name the person; the next phase when there are no more."""
    rows = tx.all(
        "SELECT order_no, order_id, state, standing, person, account_id FROM orders WHERE tenant_id = :t "
        f"AND account_id {{in:accounts}} AND order_no > :after AND {_MAYBE} ORDER BY order_no LIMIT :limit",
        t=tenant_id,
        accounts=accounts,
        after=progress.after,
        limit=ORDERS_A_STEP,
        **_sql_of(wanted),
    )
    mine = [row for row in rows if wanted.is_about(row[5], row[1], row[4])]
    closed = [row for row in mine if wanted.everybody or not is_open(row[2], row[3])]
    waiting = [row[0] for row in mine if row not in closed]
    if wanted.everybody:
        forget_everybody(tx, tenant_id)
    elif not progress.after:
        forget_person(tx, tenant_id, accounts, wanted.subject)
    erased = erase_orders(tx, tenant_id, [row[0] for row in closed], now, asked=True)
    keep_address_only(tx, tenant_id, waiting)
    progress.erased += [row[1] for row in closed]
    progress.open += waiting
    if len(rows) < ORDERS_A_STEP:
        progress.phase, progress.after = "messages", 0
    else:
        progress.after = rows[-1][0]
    return erased


def _like(subject: str) -> str:
    text = json.dumps(subject)[1:-1]
    for sign in "!%_":
        text = text.replace(sign, f"!{sign}")
    return f"%{text}%"


def names(person: dict[str, Any], subject: str) -> bool:
    """Whether a stored person is the one that the channel names: by the channel's id, e-mail or phone; letters' case means nothing.

    >>> names({"buyer": {"channel_buyer_id": "gid://shopify/Customer/7"}}, "7")
    True
    >>> names({"buyer": {"channel_buyer_id": "77"}}, "7")
    False
    """
    wanted = subject.strip().casefold()
    buyer = person.get("buyer") or {}
    told = [buyer.get("channel_buyer_id"), buyer.get("email"), buyer.get("phone")]
    told.append((person.get("ship_to") or {}).get("phone"))
    return bool(wanted) and any(
        wanted in (one.strip().casefold(), one.rsplit("/", 1)[-1].casefold()) for one in told if isinstance(one, str)
    )


def _messages_step(tx: Tx, tenant_id: int, wanted: Wanted, inbox_seq: int, progress: Progress, now: int) -> int:
    """Empty a page of the raw messages that name the person or one of the erased orders, the request itself too."""
    rows = tx.all(
        "SELECT seq, body FROM inbox WHERE tenant_id = :t AND seq > :after AND state <> 'NEW' ORDER BY seq LIMIT :limit",
        t=tenant_id,
        after=progress.after,
        limit=MESSAGES_A_STEP,
    )
    if wanted.everybody:
        found = [seq for seq, _ in rows]
    else:
        words = [order_id.encode() for order_id in progress.erased]
        if name := wanted.subject:
            words.append(name.encode() if len(name) >= SHORT_NAME else json.dumps(name).encode())
        found = [seq for seq, body in rows if seq == inbox_seq or any(word in bytes(body) for word in words)]
    erase_messages(tx, tenant_id, found, now)
    if len(rows) < MESSAGES_A_STEP:
        progress.phase = "done"
    else:
        progress.after = rows[-1][0]
    return len(found)


def _keep_progress(tx: Tx, tenant_id: int, request_no: int, progress: Progress, orders: int, messages: int) -> None:
    tx.run(
        "UPDATE privacy_request SET progress = :p, orders_erased = orders_erased + :o, messages_erased = messages_erased + :m "
        "WHERE tenant_id = :t AND request_no = :no",
        p=msgspec.json.encode(progress).decode(),
        o=orders,
        m=messages,
        t=tenant_id,
        no=request_no,
    )


def _finish(tx: Tx, tenant_id: int, request_no: int, account_id: int, kind: str, progress: Progress, now: int) -> None:
    """Done; or, while an order waits to be shipped, again from the beginning in an hour."""
    if progress.open:
        tx.run(
            "UPDATE privacy_request SET state = 'SHIPPING', progress = '{}', look_at = :at WHERE tenant_id = :t AND request_no = :no",
            at=now + LOOK_AGAIN_US,
            t=tenant_id,
            no=request_no,
        )
        return
    tx.run(
        "UPDATE privacy_request SET state = 'DONE', subject = '', order_ids = '[]', progress = '{}', done_at = :now "
        "WHERE tenant_id = :t AND request_no = :no",
        now=now,
        t=tenant_id,
        no=request_no,
    )
    note(
        tx, tenant_id, now, "oneshelf", "A privacy request was carried out", f"account:{account_id}", request=request_no
    )
    if kind == "erase_shop":
        tx.run(
            "DELETE FROM credential WHERE tenant_id = :t AND account_id = :a AND EXISTS (SELECT 1 FROM account a "
            "WHERE a.tenant_id = :t AND a.account_id = :a AND a.state = 'DISCONNECTED')",
            t=tenant_id,
            a=account_id,
        )


# --- what the merchant gives to a customer -----------------------------------------------------------------------------


def export(tx: Tx, tenant_id: int, request_no: int) -> dict[str, Any] | None:
    """Return what is kept of the person of an export request; None: there is no such request, or it is done."""
    row = tx.one(
        "SELECT account_id, subject, asked_at, order_ids FROM privacy_request WHERE tenant_id = :t AND request_no = :no "
        "AND kind = 'export' AND state <> 'DONE'",
        t=tenant_id,
        no=request_no,
    )
    if row is None:
        return None
    account_id, subject, asked_at, order_ids = row
    wanted = _wanted(account_id, "export", subject, order_ids)
    found = tx.all(
        "SELECT order_no, order_id, person, account_id FROM orders "
        f"WHERE tenant_id = :t AND account_id {{in:accounts}} AND {_MAYBE} ORDER BY order_no",
        t=tenant_id,
        accounts=_accounts(tx, tenant_id, account_id, "export"),
        **_sql_of(wanted),
    )
    mine = [row for row in found if wanted.is_about(row[3], row[1], row[2])]
    return {
        "request": request_no,
        "asked_at": iso(asked_at),
        "person": subject,
        "orders": exporting.orders_of(tx, tenant_id, [row[0] for row in mine]),
        "customers": exporting.customers_of(tx, tenant_id, [row[0] for row in mine]),
    }


def exported(tx: Tx, tenant_id: int, request_no: int, now: int) -> None:
    """The merchant has the file: the request is done, and our note of whom it was about goes."""
    row = tx.one(
        "SELECT inbox_seq FROM privacy_request WHERE tenant_id = :t AND request_no = :no", t=tenant_id, no=request_no
    )
    tx.run(
        "UPDATE privacy_request SET state = 'DONE', subject = '', order_ids = '[]', done_at = :now WHERE tenant_id = :t "
        "AND request_no = :no AND kind = 'export'",
        now=now,
        t=tenant_id,
        no=request_no,
    )
    if row is not None:
        erase_messages(tx, tenant_id, [row[0]], now)
    close_task(tx, tenant_id, now, "privacy_export", str(request_no))
    note(tx, tenant_id, now, "merchant", "A customer's data was exported", f"privacy:{request_no}")
