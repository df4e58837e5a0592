"""Whose order is it: every batch of booked orders is matched with the customers we know, set-based (SEMANTICS 11, DESIGN D4).

1. Load what the batch's signs point to.  2. Decide order by order, each seeing what the ones before it taught.  3. Write profiles, signs,
whose the orders are, suggestions.  4. Count anew whom it touched.

In: orders as booked. Out: rows. Never: merges two profiles (a person does); asks the network; keeps a name, an address or a number.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence

import msgspec

from oneshelf.core.person import (
    SHARED_MAX,
    Holder,
    Match,
    Person,
    Rival,
    Sign,
    Signs,
    how_sure,
    match,
    rivals,
    signs_of,
)
from oneshelf.core.plan import Capability
from oneshelf.core.purchase import NOTHING, Purchase
from oneshelf.core.stage import NOTHING_COUNTS
from oneshelf.db.tx import Tx, next_values
from oneshelf.tenants.plan import allows

from . import counting
from .bought import BoughtOrder

_person = msgspec.json.Decoder(Person).decode
#: Signs of which a profile is the only owner: two profiles with the same one are a conflict.
_OWNED = ("buyer", "relay", "email")


class Row(msgspec.Struct, gc=False):
    """One row of `customer_order`, in the order of its columns."""

    order_no: int
    customer_no: int
    channel: str
    placed_at: int
    rule: str
    matched_at: int
    told: int
    counted: int
    pieces: int
    currency: str
    spend_minor: int
    refunded_minor: int

    def take(self, counts: Purchase) -> bool:
        """Take over what the order counts now; False: as before."""
        before = (self.counted, self.pieces, self.currency, self.spend_minor, self.refunded_minor)
        after = (int(counts.counted), counts.pieces, counts.currency, counts.spend_minor, counts.refunded_minor)
        self.counted, self.pieces, self.currency, self.spend_minor, self.refunded_minor = after
        return before != after


#: What follows `matched_at` in a row that counts nothing yet.
_NO_COUNTS = (0, 0, 0, "", 0, 0)
_COLUMNS = ", ".join(Row.__struct_fields__)
_SAVE = (
    f"INSERT INTO customer_order (tenant_id, {_COLUMNS}) VALUES ({', '.join('?' * (1 + len(Row.__struct_fields__)))}) "
    "ON CONFLICT (tenant_id, order_no) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in Row.__struct_fields__ if name != "order_no")
)


def checksum(person: str) -> int:
    """A number that changes when an order's person was told anew; 0: nobody is told."""
    return 0 if person == "{}" else zlib.crc32(person.encode()) or 1


def follow(tx: Tx, tenant_id: int, orders: Sequence[BoughtOrder], now: int) -> None:
    """Match and count a batch of orders, in the order in which they were booked. The same again changes nothing."""
    if not orders:
        return
    decides = allows(
        tx, tenant_id, Capability.CUSTOMER_MATCHING
    )  # off: stored as ever, nothing is decided of the buyers
    work = _Matching(tx, tenant_id, orders, now, decides)
    for order in orders:
        if not order.copy_of:
            work.take(order)
    for order in orders:
        if order.copy_of:
            work.take_copy(order)
    work.write()
    counting.recount(tx, tenant_id, work.touched, now)


class _Matching:
    """What one batch has loaded, and what it will write."""

    def __init__(self, tx: Tx, tenant_id: int, orders: Sequence[BoughtOrder], now: int, decides: bool) -> None:
        self.tx = tx
        self.tenant_id = tenant_id
        self.now = now
        self.touched: set[int] = set()  # profiles whose counters may have moved
        self.rows = self._load_rows({o.order_no for o in orders} | {o.copy_of for o in orders if o.copy_of})
        self.signs: dict[int, Signs] = {}
        for order in orders:
            row = self.rows.get(order.order_no)
            if decides and order.person != "{}" and (row is None or row.told != checksum(order.person)):
                self.signs[order.order_no] = signs_of(tenant_id, order.channel, _person(order.person))
        keys = {sign.key for signs in self.signs.values() for sign in signs.all}
        self.holders = self._load_holders(keys)
        self.emails = self._load_emails()
        self.roots = {h.customer_no: h.root_no for some in self.holders.values() for h in some}
        self.in_hub = {h.customer_no: h.in_hub for some in self.holders.values() for h in some}
        self._load_owners({row.customer_no for row in self.rows.values()} - self.roots.keys())
        self.fresh: list[int] = []
        self.new_signs: dict[tuple[str, int, str], tuple[int, str]] = {}
        self.dirty: dict[int, Row] = {}
        self.seen_in_hub: set[int] = set()
        self.gone: set[int] = set()
        self.suggested: dict[tuple[int, int], tuple[list[Rival], bool, int]] = {}

    # --- loading ------------------------------------------------------------------------------------------------------

    def _load_rows(self, order_nos: Iterable[int]) -> dict[int, Row]:
        rows = self.tx.all(
            f"SELECT {_COLUMNS} FROM customer_order WHERE tenant_id = :t AND order_no {{in:nos}}",
            t=self.tenant_id,
            nos=list(order_nos),
        )
        return {row[0]: Row(*row) for row in rows}

    def _load_holders(self, keys: Iterable[str]) -> dict[str, list[Holder]]:
        found: dict[str, list[Holder]] = {}
        wanted = list(keys)
        if wanted:
            for key, number, root_no, in_hub, family in self.tx.all(
                """SELECT s.sign, s.customer_no, c.root_no, c.in_hub, s.family FROM customer_sign s
                     JOIN customer c ON c.tenant_id = s.tenant_id AND c.customer_no = s.customer_no
                    WHERE s.tenant_id = :t AND s.sign {in:keys} ORDER BY s.customer_no""",
                t=self.tenant_id,
                keys=wanted,
            ):
                found.setdefault(key, []).append(Holder(number, root_no, bool(in_hub), family))
        return found

    def _load_emails(self) -> dict[int, frozenset[str]]:
        """The e-mails of whoever a phone may decide for, where an order brings both."""
        roots = {
            holder.root_no
            for signs in self.signs.values()
            for sign in signs.all
            if sign.kind == "phone" and sign.key in self.holders and signs.of("email")
            for holder in self.holders[sign.key]
        }
        found: dict[int, frozenset[str]] = {}
        if roots:
            for root_no, key in self.tx.all(
                """SELECT c.root_no, s.sign FROM customer c
                     JOIN customer_sign s ON s.tenant_id = c.tenant_id AND s.customer_no = c.customer_no
                    WHERE c.tenant_id = :t AND c.root_no {in:roots} AND s.sign LIKE 'email:%'""",
                t=self.tenant_id,
                roots=sorted(roots),
            ):
                found[root_no] = found.get(root_no, frozenset()) | {key}
        return found

    def _load_owners(self, numbers: set[int]) -> None:
        if numbers:
            for number, root_no, in_hub in self.tx.all(
                "SELECT customer_no, root_no, in_hub FROM customer WHERE tenant_id = :t AND customer_no {in:nos}",
                t=self.tenant_id,
                nos=sorted(numbers),
            ):
                self.roots[number], self.in_hub[number] = root_no, bool(in_hub)

    # --- deciding -----------------------------------------------------------------------------------------------------

    def take(self, order: BoughtOrder) -> None:
        """An order for itself: whose it is, and what it counts."""
        row, signs = self.rows.get(order.order_no), self.signs.get(order.order_no)
        if signs is not None and signs.somebody:
            if row is None:
                row = self._begin(order, match(signs, self.holders, self.emails))
            elif row.rule == "d":
                self._match_again(row, signs)
            self._learn(row, signs, order)
            self._suggest(row, signs)
            row.told = checksum(order.person)
            self.dirty[row.order_no] = row
        if row is not None:
            self._count(row, order.purchase, order.placed_at)

    def _begin(self, order: BoughtOrder, found: Match) -> Row:
        number = found.customer_no
        if number is None:
            # Seen now, taken when written: the writer owns the tenant, so nobody else takes one in between.
            number = self.fresh[-1] + 1 if self.fresh else next_values(self.tx, self.tenant_id, "customer", 0).start
            self.fresh.append(number)
            self.roots[number], self.in_hub[number] = number, False
        row = Row(order.order_no, number, order.channel, order.placed_at, found.rule, self.now, *_NO_COUNTS)
        self.rows[order.order_no] = row
        return row

    def _count(self, row: Row, counts: Purchase, placed_at: int) -> None:
        if row.take(counts) or row.placed_at != placed_at:
            row.placed_at = placed_at
            self.dirty[row.order_no] = row
            self.touched.add(row.customer_no)

    def _match_again(self, row: Row, signs: Signs) -> None:
        """S14.7: a person who is told more of later is matched again, while the profile is this order's alone and nobody merged it."""
        mine = row.customer_no
        others = {key: [h for h in some if h.customer_no != mine] for key, some in self.holders.items()}
        found = match(signs, others, self.emails)
        if found.customer_no is None or not self._is_alone(row):
            return
        self.gone.add(mine)
        self.holders = others
        row.customer_no, row.rule, row.matched_at = found.customer_no, found.rule, self.now
        self.dirty[row.order_no] = row
        self.touched.add(row.customer_no)

    def _is_alone(self, row: Row) -> bool:
        mine = row.customer_no
        kept = self.tx.one(
            """SELECT (SELECT COUNT(*) FROM customer_order WHERE tenant_id = :t AND customer_no = :c AND rule <> 'copy'),
                      (SELECT COUNT(*) FROM customer WHERE tenant_id = :t AND (root_no = :c OR merged_into = :c)),
                      (SELECT COUNT(*) FROM customer WHERE tenant_id = :t AND customer_no = :c AND merged_into IS NULL)""",
            t=self.tenant_id,
            c=mine,
        )
        in_batch = {no for no, other in self.rows.items() if other.customer_no == mine and other.rule != "copy"}
        return kept == (1, 1, 1) and in_batch == {row.order_no}

    def _learn(self, row: Row, signs: Signs, order: BoughtOrder) -> None:
        """What the order says of its buyer is the profile's from now on, where it is not another's."""
        if order.in_hub:
            self.seen_in_hub.add(row.customer_no)
        for sign in signs.all:
            self._learn_one(row, sign, order.in_hub)

    def _learn_one(self, row: Row, sign: Sign, in_hub: bool) -> bool:
        """False: the sign is another's."""
        number, root_no = row.customer_no, self.roots[row.customer_no]
        known = self.holders.setdefault(sign.key, [])
        if sign.kind in _OWNED and known:  # a part that was merged keeps its own, so that it can be taken apart again
            return all(holder.root_no == root_no for holder in known)
        in_hub = in_hub or self.in_hub[number]
        if in_hub and not self.in_hub[number]:
            self.in_hub[number] = True
            for key, holders in self.holders.items():
                self.holders[key] = [
                    msgspec.structs.replace(h, in_hub=True) if h.customer_no == number else h for h in holders
                ]
            known = self.holders[sign.key]
        for holder in known:
            if holder.customer_no == number and holder.family == sign.family:
                return True
        if len(known) > SHARED_MAX and len({holder.root_no for holder in known} | {root_no}) > SHARED_MAX + 1:
            return True
        known.append(Holder(number, root_no, in_hub, sign.family))
        if sign.kind == "email" and root_no in self.emails:
            self.emails[root_no] |= {sign.key}
        elif sign.kind == "email":
            self.emails[root_no] = frozenset({sign.key})
        self.new_signs[(sign.key, number, sign.family)] = (row.order_no, row.rule)
        return True

    def _suggest(self, row: Row, signs: Signs) -> None:
        """S11.3: signs that point to somebody else are flagged; a person says whether the two are one."""
        root_no = self.roots[row.customer_no]
        by_other: dict[int, list[Rival]] = {}
        for rival in rivals(signs, self.holders, root_no):
            by_other.setdefault(rival.customer_no, []).append(rival)
        for other, found in by_other.items():
            conflict = row.rule != "d" and any(rival.kind != "home" for rival in found)
            self._keep_suggestion(row, other, found, conflict)

    def _keep_suggestion(self, row: Row, other: int, found: list[Rival], conflict: bool) -> None:
        pair = (min(row.customer_no, other), max(row.customer_no, other))
        before = self.suggested.get(pair)
        self.suggested[pair] = (
            found + (before[0] if before else []),
            conflict or bool(before and before[1]),
            row.order_no,
        )

    def take_copy(self, order: BoughtOrder) -> None:
        """A hub copy is its source's customer's and counts nothing. Who the shop says it is, is a sign of that customer."""
        source, row = self.rows.get(order.copy_of), self.rows.get(order.order_no)
        if source is None or source.customer_no in self.gone:
            if row is not None:
                row.rule = "copy"
                self._count(row, NOTHING, order.placed_at)
            return
        if row is None:
            row = Row(order.order_no, source.customer_no, order.channel, order.placed_at, "copy", self.now, *_NO_COUNTS)
            self.rows[order.order_no] = row
            self.dirty[row.order_no] = row
        elif row.customer_no != source.customer_no or row.rule != "copy":
            self.touched.add(row.customer_no)
            row.customer_no, row.rule, row.matched_at = source.customer_no, "copy", self.now
            self.dirty[row.order_no] = row
        self._count(row, NOTHING, order.placed_at)
        signs = self.signs.get(order.order_no)
        for sign in signs.of("buyer") if signs is not None else ():
            if self._learn_one(row, sign, True):
                self.seen_in_hub.add(row.customer_no)
                continue
            for holder in self.holders[sign.key]:
                found = [Rival(holder.customer_no, holder.root_no, sign.kind)]
                self._keep_suggestion(row, holder.customer_no, found, conflict=True)
        if signs is not None:
            row.told = checksum(order.person)
            self.dirty[row.order_no] = row

    # --- writing ------------------------------------------------------------------------------------------------------

    def write(self) -> None:
        tx, t, now = self.tx, self.tenant_id, self.now
        if self.fresh:
            next_values(tx, t, "customer", len(self.fresh))
        hub = self.seen_in_hub
        tx.many(
            "INSERT INTO customer (tenant_id, customer_no, root_no, made_at, in_hub, stage_why) VALUES (?, ?, ?, ?, ?, ?)",
            [(t, number, number, now, int(number in hub), NOTHING_COUNTS) for number in self.fresh],
        )
        fresh = set(self.fresh)
        tx.many(
            "UPDATE customer SET in_hub = 1 WHERE tenant_id = ? AND customer_no = ? AND in_hub = 0",
            [(t, number) for number in sorted(hub - fresh)],
        )
        tx.many(
            "INSERT INTO customer_sign (tenant_id, sign, customer_no, family, order_no, rule, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            [
                (t, key, number, family, order_no, rule, now)
                for (key, number, family), (order_no, rule) in self.new_signs.items()
                if number not in self.gone
            ],
        )
        tx.many(_SAVE, [(t, *msgspec.structs.astuple(row)) for row in self.dirty.values()])
        self._drop_gone()
        self._write_suggestions()

    def _drop_gone(self) -> None:
        """A profile whose only order turned out to be somebody's we know."""
        for table, column in (
            ("customer_sign", "customer_no"),
            ("stage_change", "customer_no"),
            ("customer_suggestion", "first_no"),
            ("customer_suggestion", "second_no"),
            ("customer", "customer_no"),
        ):
            self.tx.many(
                f"DELETE FROM {table} WHERE tenant_id = ? AND {column} = ?",
                [(self.tenant_id, number) for number in sorted(self.gone)],
            )
        self.touched -= self.gone

    def _write_suggestions(self) -> None:
        pairs = {pair: told for pair, told in self.suggested.items() if not self.gone & set(pair)}
        if not pairs:
            return
        known = said(self.tx, self.tenant_id, {self.roots[number] for pair in pairs for number in pair})
        rows = []
        for (first, second), (found, conflict, order_no) in pairs.items():
            one, other = sorted((self.roots[first], self.roots[second]))
            if one != other and (one, other) not in known:
                known[(one, other)] = "OPEN"
                kinds = json.dumps(sorted({rival.kind for rival in found}))
                rows.append((self.tenant_id, first, second, kinds, how_sure(found), int(conflict), order_no, self.now))
        self.tx.many(
            "INSERT INTO customer_suggestion (tenant_id, first_no, second_no, why, sure, conflict, order_no, state, made_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, 'OPEN', ?) ON CONFLICT DO NOTHING",
            rows,
        )


def said(tx: Tx, tenant_id: int, roots: Iterable[int]) -> dict[tuple[int, int], str]:
    """Return what was suggested or decided between any parts of these profiles: {(lower root, higher root): state}."""
    wanted = sorted(set(roots))
    return {
        (min(one, other), max(one, other)): state
        for one, other, state in tx.all(
            """SELECT a.root_no, b.root_no, s.state FROM customer_suggestion s
                 JOIN customer a ON a.tenant_id = s.tenant_id AND a.customer_no = s.first_no
                 JOIN customer b ON b.tenant_id = s.tenant_id AND b.customer_no = s.second_no
                WHERE s.tenant_id = :t AND a.root_no {in:roots} AND b.root_no {in:roots2}""",
            t=tenant_id,
            roots=wanted,
            roots2=wanted,
        )
    }
