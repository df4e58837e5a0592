"""The merchant's word that a customer is to be erased: requests as a platform's, one an account, carried out by privacy.py.

In: a customer. Out: requests. Never: erases an order itself; reaches into the shop, whose own customer is the merchant's to erase there.
"""

from __future__ import annotations

import msgspec

from oneshelf.db.journal import note
from oneshelf.db.tx import Tx

from . import privacy, profiles
from .erasing import is_open
from .exporting import rows_of


class Erasing(msgspec.Struct, frozen=True):
    """What was asked for. `requests`: their numbers (`oneshelf privacy list` shows them); `waiting`: orders that are shipped first."""

    customer_no: int
    requests: tuple[int, ...]
    orders: int
    waiting: int


def erase(tx: Tx, tenant_id: int, customer_no: int, now: int, *, by: str) -> Erasing:
    """Ask for the person of a customer to be erased everywhere: a request an account, carried out as a platform's. What they are known by
    goes at once. Raises NoCustomer."""
    root_no = profiles.profile(tx, tenant_id, customer_no).customer.customer_no
    rows = rows_of(tx, tenant_id, root_no)
    tx.run(
        "DELETE FROM customer_sign WHERE tenant_id = :t AND customer_no IN "
        "(SELECT customer_no FROM customer WHERE tenant_id = :t AND root_no = :r)",
        t=tenant_id,
        r=root_no,
    )
    by_account: dict[int, list[str]] = {}
    for _, account_id, order_id, _, _ in rows:
        by_account.setdefault(account_id, []).append(order_id)
    numbers = [
        privacy.ask(tx, tenant_id, account_id, "erase", "", 0, now, order_ids, by=by)
        for account_id, order_ids in sorted(by_account.items())
    ]
    note(tx, tenant_id, now, by, "A customer is to be erased", f"customer:{root_no}")
    return Erasing(
        root_no,
        tuple(number for number in numbers if number is not None),
        len(rows),
        sum(1 for row in rows if is_open(row[3], row[4])),
    )
