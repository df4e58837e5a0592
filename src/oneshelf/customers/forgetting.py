"""Takes away what customers are known by, when the orders that told it lose their persons (SEMANTICS 11.5).

In: orders that were erased, a person's name at a channel. Out: profiles with fewer signs. Never: touches whose an order is, or what it
counts; a profile without a sign keeps its purchases and is nobody's any more.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from oneshelf.core.person import Person, fingerprint, signs_of
from oneshelf.core.relay import without_tag
from oneshelf.db.tx import Tx

_person = msgspec.json.Decoder(Person).decode
#: What outlives an order whose time is up: the channel's own number of a buyer, as a fingerprint, so that who comes back is one customer.
#: Whoever asks to be erased loses it too.
_OUTLIVES = ("buyer",)


def forget(tx: Tx, tenant_id: int, order_nos: Iterable[int], *, asked: bool) -> None:
    """Drop the signs of these orders' customers that no order carries any more. `asked`: as in erase_orders."""
    owners = [
        number
        for (number,) in tx.all(
            "SELECT DISTINCT customer_no FROM customer_order WHERE tenant_id = :t AND order_no {in:nos}",
            t=tenant_id,
            nos=list(order_nos),
        )
    ]
    if not owners:
        return
    carried: set[tuple[int, str, str]] = set()
    for number, rule, channel, text in tx.all(
        """SELECT k.customer_no, k.rule, k.channel, o.person FROM customer_order k
             JOIN orders o ON o.tenant_id = k.tenant_id AND o.order_no = k.order_no
            WHERE k.tenant_id = :t AND k.customer_no {in:owners} AND o.person <> '{}'""",
        t=tenant_id,
        owners=owners,
    ):
        for sign in signs_of(tenant_id, channel, _person(text)).all:
            if rule != "copy" or sign.kind == "buyer":
                carried.add((number, sign.key, sign.family))
    kept = tx.all(
        "SELECT customer_no, sign, family FROM customer_sign WHERE tenant_id = :t AND customer_no {in:owners}",
        t=tenant_id,
        owners=owners,
    )
    tx.many(
        "DELETE FROM customer_sign WHERE tenant_id = ? AND customer_no = ? AND sign = ? AND family = ?",
        [
            (tenant_id, number, key, family)
            for number, key, family in kept
            if (number, key, family) not in carried and (asked or key.partition(":")[0] not in _OUTLIVES)
        ],
    )
    tx.run(
        "UPDATE customer_order SET told = 0 WHERE tenant_id = :t AND order_no IN "
        "(SELECT order_no FROM orders WHERE tenant_id = :t AND order_no {in:nos} AND person = '{}')",
        t=tenant_id,
        nos=list(order_nos),
    )


def forget_person(tx: Tx, tenant_id: int, account_ids: Iterable[int], subject: str) -> None:
    """Drop the signs that a channel's own name of a person makes, whose orders may have lost their persons long ago."""
    name = subject.strip()
    if not name:
        return
    channels = tx.all(
        "SELECT DISTINCT channel FROM account WHERE tenant_id = :t AND account_id {in:ids}",
        t=tenant_id,
        ids=list(account_ids),
    )
    keys = [f"email:{fingerprint(tenant_id, name.lower())}", f"phone:{fingerprint(tenant_id, name)}"]
    for (channel,) in channels:
        ids = (
            {name.casefold(), f"gid://shopify/customer/{name}".casefold()}
            if channel == "shopify"
            else {name.casefold()}
        )
        keys += [f"buyer:{channel}:{fingerprint(tenant_id, one)}" for one in ids]
        if "@" in name:
            keys += [f"relay:{channel}:{fingerprint(tenant_id, one)}" for one in {without_tag(name), name.lower()}]
    tx.run("DELETE FROM customer_sign WHERE tenant_id = :t AND sign {in:keys}", t=tenant_id, keys=keys)


def forget_everybody(tx: Tx, tenant_id: int) -> None:
    """A shop has ended: no profile knows anybody any more."""
    tx.run("DELETE FROM customer_sign WHERE tenant_id = :t", t=tenant_id)
