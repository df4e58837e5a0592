"""Customers, to look at: one, and many. What names a person is read from the orders that still carry it, at that moment.

In: numbers, words to find. Out: structs of plain values. Never: writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from oneshelf.core.errors import NotThere
from oneshelf.core.instants import iso
from oneshelf.core.person import Person, e164, fingerprint
from oneshelf.core.relay import is_relay
from oneshelf.core.stage import STAGES
from oneshelf.db.tx import Tx

_person = msgspec.json.Decoder(Person).decode
#: How the rules of S11.1 are told.
RULES = {
    "a": "the channel's own buyer",
    "b": "the same e-mail",
    "c": "the same phone and family name",
    "d": "a new customer",
    "copy": "a copy in the shop",
}
LIMIT_MAX = 1_000


class NoCustomer(NotThere):
    """There is no such customer."""


class Money(msgspec.Struct, frozen=True):
    """What a customer spent in one currency, minor units. `average_minor`: spend a purchase, rounded to the nearest."""

    currency: str
    purchases: int
    spend_minor: int
    refunded_minor: int
    average_minor: int


class Customer(msgspec.Struct, frozen=True):
    """A customer in a list. `name`, `email`: as the latest order says that still carries them, '' once they are erased. `per_channel`:
    purchases. `favourite`: the channel of most purchases, of the latest where two are equal."""

    customer_no: int
    name: str
    email: str
    stage: str
    stage_why: str
    stage_at: str | None
    purchases: int
    per_channel: dict[str, int]
    pieces: int
    money: tuple[Money, ...]
    favourite: str
    first_at: str | None
    last_at: str | None
    in_hub: bool


class SignSeen(msgspec.Struct, frozen=True):
    """One thing that the customer is known by, and its evidence. `value`: as an order still carries it, '' once it is erased."""

    kind: str
    channel: str
    value: str
    rule: str
    from_channel: str
    from_order: str
    seen_at: str
    customer_no: int


class PurchaseSeen(msgspec.Struct, frozen=True):
    """One order of a customer. `counted`: it counts; not before it is paid, nor once all of it is cancelled."""

    channel: str
    order_id: str
    placed_at: str
    rule: str
    matched_at: str
    counted: bool
    pieces: int
    currency: str
    spend_minor: int
    refunded_minor: int
    customer_no: int


class StageSeen(msgspec.Struct, frozen=True):
    """A change of the stage."""

    changed_at: str
    before: str
    after: str
    why: str


class Profile(msgspec.Struct, frozen=True):
    """All of one customer. `parts`: the profiles that were merged into this one."""

    customer: Customer
    parts: tuple[int, ...]
    known_by: tuple[SignSeen, ...]
    orders: tuple[PurchaseSeen, ...]
    stages: tuple[StageSeen, ...]
    open_suggestions: int


def listed(
    tx: Tx,
    tenant_id: int,
    *,
    stage: str = "",
    channel: str = "",
    find: str = "",
    several_channels: bool = False,
    after: int = 0,
    limit: int = 50,
) -> list[Customer]:
    """Return customers, the one who bought last first. `find`: an e-mail, a phone (with +), a number of ours, or part of a name. `after`: how
    many to pass over. Raises NoCustomer for a stage that is none."""
    if stage and stage not in STAGES:
        raise NoCustomer(f"{stage!r} is no stage. There are: {', '.join(STAGES)}.")
    wanted = _found(tx, tenant_id, find) if find else []
    rows = tx.all(
        """SELECT c.customer_no FROM customer c WHERE c.tenant_id = :t AND c.merged_into IS NULL AND (:stage = '' OR c.stage = :stage)
              AND (:found = 0 OR c.customer_no {in:wanted})
              AND (:channel = '' OR EXISTS (SELECT 1 FROM customer p JOIN customer_order o ON o.tenant_id = p.tenant_id
                     AND o.customer_no = p.customer_no WHERE p.tenant_id = :t AND p.root_no = c.customer_no AND o.counted = 1
                     AND o.channel = :channel))
              AND (:several = 0 OR (SELECT COUNT(DISTINCT o.channel) FROM customer p JOIN customer_order o ON o.tenant_id = p.tenant_id
                     AND o.customer_no = p.customer_no WHERE p.tenant_id = :t AND p.root_no = c.customer_no AND o.counted = 1) > 1)
            ORDER BY COALESCE(c.last_at, 0) DESC, c.customer_no LIMIT :n OFFSET :after""",
        t=tenant_id,
        stage=stage,
        channel=channel,
        found=int(bool(find)),
        wanted=wanted,
        several=int(several_channels),
        n=max(1, min(limit, LIMIT_MAX)),
        after=max(0, after),
    )
    numbers = [number for (number,) in rows]
    made = _customers(tx, tenant_id, numbers)
    return [made[number] for number in numbers]


def _found(tx: Tx, tenant_id: int, find: str) -> list[int]:
    """Roots of the profiles that words name, exactly: what is kept of e-mail and phone are fingerprints."""
    text = find.strip()
    keys = [f"email:{fingerprint(tenant_id, text.lower())}"]
    if (phone := e164(text, None)) is not None:
        keys.append(f"phone:{fingerprint(tenant_id, phone)}")
    rows = tx.all(
        """SELECT DISTINCT c.root_no FROM customer c WHERE c.tenant_id = :t AND (c.customer_no = :no OR c.customer_no IN
             (SELECT s.customer_no FROM customer_sign s WHERE s.tenant_id = :t AND s.sign {in:keys}))""",
        t=tenant_id,
        no=int(text) if text.isdecimal() and len(text) < 18 else 0,
        keys=keys,
    )
    found = {root for (root,) in rows}
    if not found and text:
        found = _named(tx, tenant_id, text)
    return sorted(found)


def _named(tx: Tx, tenant_id: int, name: str) -> set[int]:
    """By name: orders that still carry one and hold the word. Slower: it reads persons, so only where nothing else was found."""
    like = json.dumps(name)[1:-1]
    for sign in "!%_":
        like = like.replace(sign, f"!{sign}")
    rows = tx.all(
        """SELECT DISTINCT c.root_no, o.person FROM orders o
             JOIN customer_order k ON k.tenant_id = o.tenant_id AND k.order_no = o.order_no
             JOIN customer c ON c.tenant_id = k.tenant_id AND c.customer_no = k.customer_no
            WHERE o.tenant_id = :t AND o.person <> '{}' AND LOWER(o.person) LIKE LOWER(:like) ESCAPE '!' LIMIT :n""",
        t=tenant_id,
        like=f"%{like}%",
        n=LIMIT_MAX,
    )
    wanted = name.casefold()
    found = set()
    for root_no, text in rows:
        person = _person(text)
        names = [one.name for one in (person.buyer, person.ship_to) if one is not None and one.name]
        if any(wanted in one.casefold() for one in names):
            found.add(root_no)
    return found


def profile(tx: Tx, tenant_id: int, customer_no: int) -> Profile:
    """Return one customer, by the number of any of its parts. Raises NoCustomer."""
    row = tx.one("SELECT root_no FROM customer WHERE tenant_id = :t AND customer_no = :c", t=tenant_id, c=customer_no)
    if row is None:
        raise NoCustomer(f"There is no customer {customer_no}. `oneshelf customers list` shows them.")
    root_no = int(row[0])
    parts = tx.all(
        "SELECT customer_no FROM customer WHERE tenant_id = :t AND root_no = :r AND customer_no <> :r ORDER BY customer_no",
        t=tenant_id,
        r=root_no,
    )
    changes = tx.all(
        "SELECT s.changed_at, s.before, s.after, s.why FROM stage_change s JOIN customer c ON c.tenant_id = s.tenant_id "
        "AND c.customer_no = s.customer_no WHERE s.tenant_id = :t AND s.customer_no = :r ORDER BY s.change_no",
        t=tenant_id,
        r=root_no,
    )
    waiting = tx.one(
        """SELECT COUNT(*) FROM customer_suggestion s
             JOIN customer a ON a.tenant_id = s.tenant_id AND a.customer_no = s.first_no
             JOIN customer b ON b.tenant_id = s.tenant_id AND b.customer_no = s.second_no
            WHERE s.tenant_id = :t AND s.state = 'OPEN' AND a.root_no <> b.root_no AND (a.root_no = :r OR b.root_no = :r)""",
        t=tenant_id,
        r=root_no,
    )
    return Profile(
        customer=_customers(tx, tenant_id, [root_no])[root_no],
        parts=tuple(number for (number,) in parts),
        known_by=tuple(_signs(tx, tenant_id, root_no)),
        orders=tuple(_orders(tx, tenant_id, root_no)),
        stages=tuple(StageSeen(iso(at) or "", before, after, why) for at, before, after, why in changes),
        open_suggestions=int(waiting[0]) if waiting else 0,
    )


def _customers(tx: Tx, tenant_id: int, numbers: list[int]) -> dict[int, Customer]:
    """Customers by their root's number, with what their orders make."""
    heads = tx.all(
        "SELECT customer_no, stage, stage_why, stage_at, purchases, pieces, first_at, last_at FROM customer WHERE tenant_id = :t "
        "AND customer_no {in:nos}",
        t=tenant_id,
        nos=numbers,
    )
    hub = {
        root_no
        for (root_no,) in tx.all(
            "SELECT DISTINCT root_no FROM customer WHERE tenant_id = :t AND root_no {in:nos} AND in_hub = 1",
            t=tenant_id,
            nos=numbers,
        )
    }
    per_channel: dict[int, dict[str, tuple[int, int]]] = {}
    money: dict[int, dict[str, list[int]]] = {}
    for root_no, channel, currency, purchases, spend, refunded, last_at in tx.all(
        """SELECT c.root_no, o.channel, o.currency, COUNT(*), SUM(o.spend_minor), SUM(o.refunded_minor), MAX(o.placed_at)
             FROM customer c JOIN customer_order o ON o.tenant_id = c.tenant_id AND o.customer_no = c.customer_no
            WHERE c.tenant_id = :t AND c.root_no {in:nos} AND o.counted = 1 GROUP BY c.root_no, o.channel, o.currency""",
        t=tenant_id,
        nos=numbers,
    ):
        counted, latest = per_channel.setdefault(root_no, {}).get(channel, (0, 0))
        per_channel[root_no][channel] = (counted + int(purchases), max(latest, last_at))
        if currency:
            sums = money.setdefault(root_no, {}).setdefault(currency, [0, 0, 0])
            for i, amount in enumerate((purchases, spend, refunded)):
                sums[i] += int(amount)
    people = names_of(tx, tenant_id, numbers)
    made = {}
    for number, stage, why, at, purchases, pieces, first_at, last_at in heads:
        channels = per_channel.get(number, {})
        name, email = people.get(number, ("", ""))
        made[number] = Customer(
            customer_no=number,
            name=name,
            email=email,
            stage=stage,
            stage_why=why,
            stage_at=iso(at),
            purchases=purchases,
            per_channel={one: n for one, (n, _) in sorted(channels.items(), key=lambda kv: (-kv[1][0], -kv[1][1]))},
            pieces=pieces,
            money=tuple(
                Money(currency, n, spend, refunded, (2 * spend + n) // (2 * n))
                for currency, (n, spend, refunded) in sorted(money.get(number, {}).items())
            ),
            favourite=max(channels, key=lambda one: channels[one], default=""),
            first_at=iso(first_at),
            last_at=iso(last_at),
            in_hub=number in hub,
        )
    return made


def names_of(tx: Tx, tenant_id: int, roots: Iterable[int]) -> dict[int, tuple[str, str]]:
    """Return {root: (name, e-mail)} as the latest orders say that still carry them; the shop's own order before a marketplace's."""
    rows = tx.all(
        """SELECT root_no, person FROM (
             SELECT c.root_no AS root_no, o.person AS person, ROW_NUMBER() OVER (PARTITION BY c.root_no ORDER BY
                    CASE WHEN k.channel = 'shopify' AND k.rule <> 'copy' THEN 0 ELSE 1 END, o.placed_at DESC, o.order_no DESC) AS place
               FROM customer c JOIN customer_order k ON k.tenant_id = c.tenant_id AND k.customer_no = c.customer_no
               JOIN orders o ON o.tenant_id = k.tenant_id AND o.order_no = k.order_no
              WHERE c.tenant_id = :t AND c.root_no {in:roots} AND o.person <> '{}' AND k.rule <> 'copy') AS told
            WHERE place <= 5 ORDER BY place""",
        t=tenant_id,
        roots=list(roots),
    )
    found: dict[int, tuple[str, str]] = {}
    for root_no, text in rows:
        person = _person(text)
        name, email = found.get(root_no, ("", ""))
        buyer = person.buyer
        if not name:
            name = (
                (buyer.name if buyer is not None else None) or (person.ship_to.name if person.ship_to else None) or ""
            )
        if not email and buyer is not None and buyer.email and not (buyer.email_is_relay or is_relay(buyer.email)):
            email = buyer.email
        found[root_no] = (name, email)
    return found


def _orders(tx: Tx, tenant_id: int, root_no: int) -> Iterable[PurchaseSeen]:
    for row in tx.all(
        """SELECT k.channel, o.order_id, k.placed_at, k.rule, k.matched_at, k.counted, k.pieces, k.currency, k.spend_minor,
                  k.refunded_minor, k.customer_no
             FROM customer c JOIN customer_order k ON k.tenant_id = c.tenant_id AND k.customer_no = c.customer_no
             JOIN orders o ON o.tenant_id = k.tenant_id AND o.order_no = k.order_no
            WHERE c.tenant_id = :t AND c.root_no = :r AND k.rule <> 'copy' ORDER BY k.placed_at DESC, k.order_no DESC""",
        t=tenant_id,
        r=root_no,
    ):
        channel, order_id, placed_at, rule, matched_at, counted, *rest = row
        yield PurchaseSeen(
            channel, order_id, iso(placed_at) or "", RULES[rule], iso(matched_at) or "", bool(counted), *rest
        )


def _signs(tx: Tx, tenant_id: int, root_no: int) -> Iterable[SignSeen]:
    rows = tx.all(
        """SELECT s.sign, s.rule, s.seen_at, s.customer_no, o.order_id, a.channel, o.person FROM customer c
             JOIN customer_sign s ON s.tenant_id = c.tenant_id AND s.customer_no = c.customer_no
             LEFT JOIN orders o ON o.tenant_id = s.tenant_id AND o.order_no = s.order_no
             LEFT JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
            WHERE c.tenant_id = :t AND c.root_no = :r ORDER BY s.seen_at, s.order_no, s.sign""",
        t=tenant_id,
        r=root_no,
    )
    for key, rule, seen_at, customer_no, order_id, channel, text in rows:
        kind, _, rest = key.partition(":")
        scope = rest.partition(":")[0] if ":" in rest else ""
        value = _value(kind, _person(text)) if text else ""
        yield SignSeen(kind, scope, value, RULES[rule], channel or "", order_id or "", iso(seen_at) or "", customer_no)


def _value(kind: str, person: Person) -> str:
    buyer, ship_to = person.buyer, person.ship_to
    told: dict[str, Any] = {
        "buyer": buyer.channel_buyer_id if buyer else None,
        "relay": buyer.email if buyer else None,
        "email": buyer.email if buyer else None,
        "phone": (buyer.phone if buyer else None) or (ship_to.phone if ship_to else None),
        "home": " ".join(filter(None, ((buyer.name if buyer else None) or (ship_to.name if ship_to else None), ship_to.postal_code if ship_to else None))),
    }  # fmt: skip
    return told[kind] or ""
