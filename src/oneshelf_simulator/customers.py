"""The judge of customers (I23): who is taken for one person, and what is counted for whom.

In: who bought what, as it was typed at the checkout; the marketplaces' own books; the database, by plain SQL. Out: words for a breach.
Never: imports the product.

Two purchases may be one customer's if they are of one channel's buyer, carry one real e-mail, or one phone with one family name. An address
that a marketplace lends is none of these, wherever it was typed (S11.1, S11.2).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from typing import Any

from oneshelf_emulator.world import Buyer, Sale

from .shelf import Key, Shelf, plain_id

#: Addresses that a marketplace lends.
LENT = ("@marketplace.amazon.", "@members.ebay.")
#: Where a buyer's own e-mail is shown.
SHOWS_EMAIL = ("shopify",)


class Customers:
    """`rows(sql, *parameters)` reads the database; `channel(account id)` names an account's channel."""

    def __init__(self, shelf: Shelf, rows: Callable[..., list[tuple[Any, ...]]], channel: Callable[[int], str]) -> None:
        self.shelf = shelf
        self.rows = rows
        self.channel = channel
        self.bought: list[tuple[Sale, Buyer]] = []

    def broken(self) -> list[str]:
        """What never may be: strangers in one profile, an order that counts twice, a counter that is not the sum of its orders."""
        found = []
        buyers = {(sale.channel, plain_id(sale.order_id)): buyer for sale, buyer in self.bought}
        of_root: dict[int, list[tuple[str, Buyer]]] = defaultdict(list)
        counted: dict[int, int] = defaultdict(int)
        stored = {plain_id(order_id) for (order_id,) in self.rows("SELECT order_id FROM orders WHERE copy_key = ''")}
        for account_id, order_id, copy_key, root_no, counts in self._orders():
            key = (self.channel(account_id), plain_id(order_id))
            # After a restore the copy of an order may be heard before the order: until then it is the one that counts.
            if copy_key and counts and plain_id(copy_key.rsplit(":", 1)[1]) in stored:
                found.append(f"I23 the copy {key[1]} counts beside the order that it copies")
            counted[root_no] += counts
            if not copy_key and key in buyers:
                of_root[root_no].append((key[0], buyers[key]))
        for root_no, orders in of_root.items():
            if len(_people(orders)) > 1:
                who = sorted({(channel, buyer.key, buyer.email) for channel, buyer in orders})
                found.append(f"I23 customer {root_no} is made of strangers: {who}")
        for root_no, purchases in self.rows("SELECT customer_no, purchases FROM customer WHERE root_no = customer_no"):
            if purchases != counted[root_no]:
                found.append(f"I23 customer {root_no} counts {purchases} purchases, {counted[root_no]} orders count")
        return found

    def off(self, unheard: Collection[Key]) -> list[str]:
        """At rest: each order that was paid and not cancelled counts, once, and no other. `unheard`: cancels that nobody can know of."""
        ours = {
            (self.channel(account_id), plain_id(order_id)): counts
            for account_id, order_id, copy_key, _, counts in self._orders()
            if not copy_key
        }
        found = []
        for key, counts in self._count().items():
            if key in ours and ours[key] != counts and key not in unheard:
                found.append(f"I23 {key[0]} order {key[1]} counts {ours[key]} times, it ought to {counts} times")
        return found

    def again_elsewhere(self) -> int:
        """How many people bought on two channels."""
        channels: dict[str, set[str]] = defaultdict(set)
        for sale, buyer in self.bought:
            channels[buyer.key].add(sale.channel)
        return sum(len(some) > 1 for some in channels.values())

    def lent(self) -> int:
        """How many typed an address into the web shop that a marketplace lends them."""
        return sum(sale.channel in SHOWS_EMAIL and _is_lent(buyer.email) for sale, buyer in self.bought)

    def _orders(self) -> list[tuple[Any, ...]]:
        return self.rows(
            "SELECT o.account_id, o.order_id, o.copy_key, c.root_no, w.counted FROM customer_order w "
            "JOIN orders o ON o.tenant_id = w.tenant_id AND o.order_no = w.order_no "
            "JOIN customer c ON c.tenant_id = w.tenant_id AND c.customer_no = w.customer_no"
        )

    def _count(self) -> dict[tuple[str, str], int]:
        """By the channels' books. One that was cancelled when a part of it had left, or came back, is left out."""
        found: dict[tuple[str, str], int] = {}
        for sale in self.shelf.sales():
            key = (sale.channel, plain_id(sale.order_id))
            found[key] = int(sale.paid_at is not None and sale.cancelled_at is None)
            if sale.cancelled_at is not None and (sale.shipped or (sale.channel, sale.order_id) in self.shelf.left):
                del found[key]
        for order in self.shelf.emulation.marketplaces["shopify"].orders():
            if not any(order["current"].values()):
                found.pop(("shopify", plain_id(order["id"])), None)
        return found


def _people(orders: list[tuple[str, Buyer]]) -> list[set[int]]:
    """Put those together that may be one person's."""
    groups: list[set[int]] = []
    for number, one in enumerate(orders):
        mine = [group for group in groups if any(_may_be_one(one, orders[other]) for other in group)]
        groups = [group for group in groups if group not in mine] + [{number}.union(*mine)]
    return groups


def _may_be_one(one: tuple[str, Buyer], other: tuple[str, Buyer]) -> bool:
    (channel, a), (elsewhere, b) = one, other
    if channel == elsewhere and a.key == b.key:
        return True
    shown = channel in SHOWS_EMAIL and elsewhere in SHOWS_EMAIL
    if shown and a.email == b.email and not _is_lent(a.email):
        return True
    return bool(a.address.phone and a.address.phone == b.address.phone and a.name.split()[-1] == b.name.split()[-1])


def _is_lent(email: str) -> bool:
    return any(word in email for word in LENT)
