"""The judge: keeps its own arithmetic and says which invariant does not hold.

In: the marketplaces' truth and the physical shelf; the database, by plain SQL. Out: breaches.
Never: imports the product. What it counts twice, it counts in another way.

`after_commit` looks at what the commit wrote; `look` at everything, every few simulated minutes; `rest` when the faults are over. INVARIANTS says of each invariant where it is checked.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .customers import Customers
from .edits import Edits
from .releases import Releases
from .rest import Rest
from .shelf import MARKETPLACES, Key, Shelf, plain_id
from .strict import Strict

#: What each invariant is checked by, and when.
INVARIANTS: dict[int, str] = {
    1: "after each commit: the moved levels against the sums of all entries seen; every look: all entries against the copy kept",
    2: "at rest: K by the levels against shelf less what buyers wait for",
    3: "every look: each line's reserved and committed against its own entries",
    4: "at rest: stored orders against the marketplaces' sales",
    5: "at rest: levels are those of the truth, whatever was doubled, lost or overtaken; after each commit: what counts as an edit against "
    "what people edited",
    6: "every look: copies in the shop an order, and their pieces; parcels at the marketplace a tracking number, and pieces: a pack or "
    "bundle is told when all of it has left",
    7: "every look: coverage walked again over the stored lines",
    8: "every look: a released or shipped line was not displaced, nor cancelled by us",
    9: "after each commit: what leaves as settled, against the marketplaces' sales of its SKUs before it: each is stored",
    10: "every look: cancels sent a line; what a cancelled or to be cancelled line still holds",
    11: "after each commit: each new attempt against the K that its transaction saw; at rest: each slot",
    12: "after each commit: unanswered write calls a write unit",
    13: "at rest: shown = offer, and as the judge's own arithmetic of section 2 has it from the measured paces and windows; the shop shows "
    "K; nothing dirty, provisional, unsettled, bursting",
    14: "after rest: half an hour without a write",
    15: "after each commit: each new attempt of a strict SKU, with all that is shown, against the shelf less what buyers wait for; every "
    "look and every sale: what is shown",
    16: "after each commit: as 11",
    17: "each answered webhook is stored when it is answered; every look: no stored message is gone; at rest: nothing is left over",
    18: "after each commit: an attempt is accepted only if a good answer to a write or read of numbers there was delivered since it began",
    19: "at rest: refusals for pace that no fault explains; no operation called more often than ten times a second",
    20: "elsewhere: one tenant lives here; tests/unit, tests/scenario/test_front_door.py",
    21: "at the end: log lines, tasks, journal and the database file searched for secrets; log lines for buyers",
    22: "after each commit: it never goes back, and passed no order that is not stored",
    23: "every look: who is one customer, by what was typed at the checkouts; counters against the orders that count; at rest: which orders "
    "count, by the channels' books",
    24: "elsewhere: tests/unit/test_instants.py; here clocks are wrong and set back (F28)",
}
ELSEWHERE = {20, 24}

#: The operations that write or read numbers of listings, as the channels name them.
NUMBERS = frozenset(
    {
        "patchListingsItem", "searchListingsItems", "getListingsItem", "bulkUpdatePriceQuantity", "bulkGetInventoryItem",
        "updateListingInventory", "getListingInventory", "getListingsInventoryByListingIds", "updateListing",
    }
)  # fmt: skip
#: What arrives this soon after a cancel may have been written before it.
ON_ITS_WAY_US = 1_000_000
LEVELS = "on_hand, committed, reserved, foreign_reserved, unavailable, incoming"
_MOVES = ("reserve:", "commit:", "release:", "ship:", "unship:", "alloc:")


class Breach(Exception):
    """An invariant does not hold. `rule`: its number, or a word."""

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(f"{rule}: {what}")
        self.rule = rule
        self.what = what


class Auditor:
    """One run's judge. `now_us`: the world's instant in microseconds. `adaptive`: offers are by pace and window, not the plain number.
    `strict`: the SKUs that must never be sold twice."""

    def __init__(
        self,
        shelf: Shelf,
        database: Path,
        now_us: Callable[[], int],
        *,
        adaptive: bool = True,
        strict: Iterable[str] = (),
    ) -> None:
        self.shelf = shelf
        self.database = database
        self.now_us = now_us
        self.strict = Strict(shelf, self.rows, now_us, strict)
        self.rest = Rest(
            shelf, self.rows, self.channel, now_us, self._cancel_heard, adaptive=adaptive, strict=self.strict.skus
        )
        self._connection: sqlite3.Connection | None = None
        self._sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * 6)
        self._entries = hashlib.sha256()
        self.edits = Edits(shelf)
        self._entry_row = 0
        self._entry_count = 0
        self._attempt_row = 0
        self._inbox_row = 0
        self._inbox_count = 0
        self._keys: set[str] = set()
        self._through: dict[int, int] = {}
        #: Every feed's instant, as it was when they were judged last.
        self._feeds: str | None = None
        self._open_attempts: dict[int, tuple[int, int]] = {}
        self._channel_of: dict[int, str] = {}
        #: The largest K of each SKU that the last commit moved, between two of its entries: its steps saw no larger one.
        self._peak: dict[str, int] = {}
        self._possessed: dict[tuple[int, str, str], str] = {}
        self._unheard: dict[str, set[str]] = defaultdict(set)
        self._known_sales = 0
        self.heard_at: dict[tuple[str, str], int] = {}
        #: Cancels after which the channel put the pieces back on sale: when, and when the engine had news of that order again.
        self.put_back_at: dict[tuple[str, str], int] = {}
        self.put_back_heard_at: dict[tuple[str, str], int] = {}
        self.stored_ids: set[tuple[str, str]] = set()
        self.customers = Customers(shelf, self.rows, self.channel)
        self.releases = Releases(shelf, self.rows, self.channel, self.stored_ids)
        #: When a good answer to a call about numbers was last delivered, by channel.
        self.proofs: dict[str, int] = {}
        self.checks: Counter[str] = Counter()

    # --- reading ---------------------------------------------------------------------------------------------------------

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        if self._connection is None:
            address = f"{self.database.absolute().as_uri()}?mode=ro"
            self._connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
        return self._connection.execute(sql, parameters).fetchall()

    def close(self) -> None:
        """Let go of the file: a dead engine's file is opened anew."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # --- what the world tells ----------------------------------------------------------------------------------------------

    def delivered(self, channel: str, body: bytes) -> None:
        """Something of a channel has reached the engine. Which orders does it name that it had not heard of?"""
        self._take_sales()
        for order_id in [one for one in self._unheard[channel] if one.encode() in body]:
            self._unheard[channel].discard(order_id)
            self.heard_at[(channel, order_id)] = self.now_us()
        for key, at in self.put_back_at.items():
            known = key in self.put_back_heard_at or self.now_us() < at + ON_ITS_WAY_US
            if key[0] == channel and not known and key[1].encode() in body:
                self.put_back_heard_at[key] = self.now_us()

    def _cancel_heard(self, key: Key) -> bool:
        """Whether anything that was delivered named an order since its channel cancelled it and put its pieces back."""
        return key not in self.put_back_at or key in self.put_back_heard_at

    def put_back(self, channel: str, order_id: str) -> None:
        """A channel has cancelled an order and put its pieces back on sale."""
        self.put_back_at.setdefault((channel, plain_id(order_id)), self.now_us())

    def _take_sales(self) -> None:
        sales = self.shelf.emulation.world.sales
        for sale in sales[self._known_sales :]:
            self._unheard[sale.channel].add(plain_id(sale.order_id))
        self._known_sales = len(sales)

    def renamed(self, channel: str, before: str, after: str) -> None:
        """eBay gives a checkout another id when it is paid."""
        self._unheard[channel].discard(before)
        self._unheard[channel].add(after)

    def answered(self, channel: str, operation: str, good: bool) -> None:
        """A good answer to a write of numbers, or to a read of them, was delivered: either may prove a write (I18)."""
        if good and operation in NUMBERS:
            self.proofs[channel] = self.now_us()

    def webhook_answered(self, message_id: str, body: bytes) -> None:
        """I17, S4.1: what was answered with yes is stored."""
        self._read_inbox()
        self.checks["17"] += 1
        if message_id not in self._keys:
            raise Breach("I17", f"a webhook was answered with yes and is not stored: {body[:120]!r}")

    # --- after each commit ---------------------------------------------------------------------------------------------------

    def after_commit(self) -> None:
        """First one question for all of them: most commits wrote nothing that is judged here."""
        self.strict.look()
        ((released, entry_row, attempt_row, feeds),) = self.rows(
            "SELECT (SELECT COUNT(*) FROM release WHERE why = 'settled'), (SELECT MAX(rowid) FROM ledger_entry), "
            "(SELECT MAX(rowid) FROM attempt), (SELECT GROUP_CONCAT(account_id || ':' || COALESCE(complete_through_at, '')) "
            "FROM (SELECT * FROM feed WHERE name = 'orders' ORDER BY account_id))"
        )
        self._check_releases(released)
        self._peak = {}
        if (entry_row or 0) > self._entry_row:
            self._check_entries()
        if (attempt_row or 0) > self._attempt_row:
            self._check_attempts()
        if self._open_attempts:
            self._check_outcomes()
        if feeds != self._feeds:
            self._feeds = feeds
            self._check_feeds()

    def _check_entries(self) -> None:
        new = self.rows(
            f"SELECT rowid, entry_key, sku, location_id, {LEVELS} FROM ledger_entry WHERE rowid > ? ORDER BY rowid",
            self._entry_row,
        )
        for row in new:
            self._entries.update(repr(row).encode())
            sums = self._sums[(row[2], row[3])]
            self._peak.setdefault(row[2], self._k(row[2]))
            for place, change in enumerate(row[4:]):
                sums[place] += change
            self._peak[row[2]] = max(self._peak[row[2]], self._k(row[2]))
        self._entry_row, self._entry_count = new[-1][0], self._entry_count + len(new)
        for what in self.edits.too_much([(key, sku, on_hand) for _, key, sku, _, on_hand, *_ in new]):
            self.checks["5"] += 1
            if what:
                raise Breach("I5", what)
        for sku, location_id in {(row[2], row[3]) for row in new}:
            self.checks["1"] += 1
            found = self.rows(
                f"SELECT {LEVELS} FROM stock_level WHERE sku = ? AND location_id = ? AND tenant_id = 1",
                sku,
                location_id,
            )
            if not found or list(found[0]) != self._sums[(sku, location_id)]:
                raise Breach(
                    "I1", f"{sku} at {location_id}: level {found}, its entries make {self._sums[(sku, location_id)]}"
                )

    def _k(self, sku: str) -> int:
        """K of a SKU by the entries: on_hand − committed − reserved − unavailable."""
        found = 0
        for (one, _), sums in self._sums.items():
            if one == sku:
                found += sums[0] - sums[1] - sums[2] - sums[4]
        return found

    def _check_attempts(self) -> None:
        new = self.rows(
            "SELECT a.rowid, a.attempt_no, a.outlet_id, a.account_id, a.quantity, a.outcome, k.sku, k.units "
            "FROM attempt a LEFT JOIN link k ON k.tenant_id = a.tenant_id AND k.outlet_id = a.outlet_id "
            "WHERE a.rowid > ? ORDER BY a.rowid",
            self._attempt_row,
        )
        told: Counter[str] = Counter()
        for row, number, outlet_id, account_id, quantity, outcome, sku, units in new:
            self._attempt_row = row
            self.checks["11"] += 1
            if outcome == "SENDING":
                self._open_attempts[number] = (account_id, self.now_us())
            if sku is None:
                continue
            told[sku] += quantity * units
            k = max(self._peak.get(sku, self._k(sku)), self._k(sku))
            if quantity < 0 or quantity * units > max(0, k):
                raise Breach("I11", f"outlet {outlet_id} is told {quantity} of {sku} while K is {k}")
        self._check_one_write_a_unit()
        self.check_strict(+told)

    def _check_releases(self, count: int) -> None:
        released = self.releases.new(count)
        if released:
            self._read_inbox()
        for channel, order_id, placed_at, sku in released:
            self.checks["9"] += self.releases.contested(sku, channel)
            unheard = self.releases.unheard(channel, placed_at, sku)
            if unheard:
                raise Breach(
                    "I9", f"{sku} of {channel} order {order_id} left as settled before {', '.join(unheard)} was heard"
                )

    def check_strict(self, told: Counter[str] | None = None) -> None:
        """I15. `told`: pieces by SKU in new attempts; None: whatever is shown at this moment."""
        self.checks["15"] += len(self.strict.promised & set(told)) if told is not None else len(self.strict.promised)
        for what in self.strict.broken(told):
            raise Breach("I15", what)

    def _check_one_write_a_unit(self) -> None:
        self.checks["12"] += 1
        ((unanswered,),) = self.rows("SELECT COUNT(*) FROM attempt WHERE outcome = 'SENDING'")
        if unanswered < 2:
            return  # it takes two
        for unit, calls in self.rows(
            "SELECT o.write_unit, COUNT(DISTINCT a.started_at) FROM attempt a "
            "JOIN outlet o ON o.tenant_id = a.tenant_id AND o.outlet_id = a.outlet_id "
            "WHERE a.outcome = 'SENDING' GROUP BY a.account_id, o.write_unit HAVING COUNT(DISTINCT a.started_at) > 1 "
            "UNION ALL SELECT 'outlet ' || outlet_id, COUNT(*) FROM attempt WHERE outcome = 'SENDING' "
            "GROUP BY outlet_id HAVING COUNT(*) > 1"
        ):
            raise Breach("I12", f"{calls} unanswered write calls of {unit}")

    def _check_outcomes(self) -> None:
        numbers = sorted(self._open_attempts)
        marks = ",".join("?" * len(numbers))
        for number, outcome in self.rows(
            f"SELECT attempt_no, outcome FROM attempt WHERE attempt_no IN ({marks})", *numbers
        ):
            if outcome == "SENDING":
                continue
            account_id, started_at = self._open_attempts.pop(number)
            self.checks["18"] += 1
            channel = self.channel(account_id)
            if outcome == "ACCEPTED" and self.proofs.get(channel, -1) < started_at:
                raise Breach("I18", f"attempt {number} at {channel} counts as accepted, and no yes was delivered")

    def channel(self, account_id: int) -> str:
        if account_id not in self._channel_of:
            self._channel_of = dict(self.rows("SELECT account_id, channel FROM account"))
        return self._channel_of[account_id]

    def _check_feeds(self) -> None:
        moved = False
        for account_id, through in self.rows("SELECT account_id, complete_through_at FROM feed WHERE name = 'orders'"):
            before = self._through.get(account_id)
            if before is not None and (through is None or through < before):
                raise Breach("I22", f"complete_through_at of account {account_id} went back from {before} to {through}")
            if through is not None and through != before:
                self._through[account_id] = through
                moved = True
        if moved:
            self._read_inbox()
            self._check_completeness()

    # --- every look ------------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        self._read_inbox()
        self._check_nothing_vanished()
        self._check_lines()
        self._check_coverage()
        self._check_possession()
        self._check_cancels()
        self._check_copies()
        self._check_parcels()
        self._check_completeness()
        self._check_customers()
        self.check_strict()

    def why_no_rest(self) -> list[str]:
        """What keeps it from rest, in words."""
        return [*self.rest.why_not(), *self.customers.off(self.rest.cancels_unheard())]

    def _read_inbox(self) -> None:
        self._take_sales()
        for row, account_id, delivery_key, body in self.rows(
            "SELECT rowid, account_id, delivery_key, body FROM inbox WHERE rowid > ? ORDER BY rowid", self._inbox_row
        ):
            self._inbox_row = row
            self._inbox_count += 1
            body = bytes(body)
            self._keys.add(delivery_key.rsplit(":", 1)[-1])
            channel = self.channel(account_id)
            for sale in self.shelf.emulation.world.sales:
                key = (channel, plain_id(sale.order_id))
                if sale.channel == channel and key not in self.stored_ids and key[1].encode() in body:
                    self.stored_ids.add(key)

    def _check_nothing_vanished(self) -> None:
        self.checks["17"] += 1
        ((count,),) = self.rows("SELECT COUNT(*) FROM inbox")
        if count < self._inbox_count:
            raise Breach("I17", f"{self._inbox_count - count} stored messages are gone")
        digest = hashlib.sha256()
        count = 0
        for row in self.rows(f"SELECT rowid, entry_key, sku, location_id, {LEVELS} FROM ledger_entry ORDER BY rowid"):
            digest.update(repr(row).encode())
            count += 1
        if count != self._entry_count or digest.digest() != self._entries.digest():
            raise Breach("I1", "an entry of the ledger was changed or deleted")
        levels = {
            (sku, place): list(level)
            for sku, place, *level in self.rows(f"SELECT sku, location_id, {LEVELS} FROM stock_level")
        }
        for key, sums in self._sums.items():
            if levels.get(key) != sums:
                raise Breach("I1", f"{key}: level {levels.get(key)}, its entries make {sums}")

    def _check_lines(self) -> None:
        self.checks["3"] += 1
        by_line: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for key, on_hand, committed, reserved in self.rows(
            "SELECT entry_key, on_hand, committed, reserved FROM ledger_entry"
        ):
            if key.startswith(_MOVES):
                parts = key.split(":", 1)[1].split("/")
                line = "/".join(parts[:3]) + "/" + parts[3].split(":")[0]
                by_line[line][0] += on_hand
                by_line[line][1] += committed
                by_line[line][2] += reserved
        for account_id, order_id, line_id, sku, state, ordered, cancelled, shipped, reserved, committed in self.rows(
            "SELECT account_id, order_id, line_id, sku, state, ordered, cancelled, shipped, reserved, committed "
            "FROM order_line WHERE sku <> ''"
        ):
            key = f"{account_id}/{order_id}/{line_id}/{sku}"
            on_hand, posted_committed, posted_reserved = by_line.pop(key, [0, 0, 0])
            if (posted_reserved, posted_committed) != (reserved, committed):
                raise Breach(
                    "I3", f"{key} holds {reserved}+{committed}, its entries {posted_reserved}+{posted_committed}"
                )
            if min(reserved, committed) < 0 or (reserved and committed):
                raise Breach("I3", f"{key} is reserved {reserved} and committed {committed}")
            still_open = max(0, ordered - cancelled - shipped)
            if reserved + committed not in (0, still_open):
                raise Breach("I3", f"{key} holds {reserved + committed} of {still_open} open pieces")
            if -on_hand > shipped:
                raise Breach("I3", f"{key} left the shelf {-on_hand} times, shipped {shipped}")
            if state == "C" and reserved + committed:
                raise Breach("I10", f"{key} is cancelled and holds {reserved + committed}")
        if by_line:
            raise Breach("I3", f"entries of lines that are not stored: {sorted(by_line)[:3]}")

    def _check_coverage(self) -> None:
        self.checks["7"] += 1
        free: dict[str, int] = defaultdict(int)
        closed = {place for (place,) in self.rows("SELECT location_id FROM location WHERE active = 0")}
        #: What still lies at a location that has closed, by the ledger: no read has told yet where it went.
        moving = {sku for (sku, place), sums in self._sums.items() if place in closed and any(sums)}
        for (sku, place), sums in self._sums.items():
            if place not in closed:
                free[sku] += sums[0] - sums[4] - sums[3]
        for sku, pull in self.rows("SELECT sku, pull FROM hub_level WHERE pull > 0"):
            free[sku] -= pull
        lines = self.rows(
            "SELECT sku, state, reserved + committed, pin, placed_s, rank, account_id, order_id, line_id, coverage "
            "FROM order_line WHERE sku <> '' AND reserved + committed > 0 AND state IN ('P', 'O', 'M', 'R', 'S') "
            "AND location_id NOT IN (SELECT location_id FROM location WHERE active = 0)"
        )
        for sku, state, pieces, *_ in lines:
            if state in "RS":
                free[sku] -= pieces
        key = lambda row: (row[0], -row[3], row[4], row[5], str(row[6]), row[7], row[8])  # noqa: E731
        for sku, state, pieces, _, _, _, _, order_id, _, coverage in sorted(lines, key=key):
            if sku in moving:
                continue
            if state in "RS":
                if coverage != "COVERED":
                    raise Breach("I7", f"{sku} of {order_id} is in hand and {coverage!r}")
                continue
            fits = pieces <= free[sku]
            if coverage != ("COVERED" if fits else "SHORT"):
                raise Breach("I7", f"{sku} of {order_id} is {coverage!r} while {free[sku]} are free for its {pieces}")
            if fits:
                free[sku] -= pieces

    def _check_possession(self) -> None:
        self.checks["8"] += 1
        for order_no, line_id, sku, state in self.rows("SELECT order_no, line_id, sku, state FROM order_line"):
            before = self._possessed.get((order_no, line_id, sku))
            if before == "S" and state in ("X", "P"):
                raise Breach("I8", f"line {line_id} of order {order_no} was shipped and is {state}")
            if before == "R" and state == "X":
                raise Breach("I8", f"line {line_id} of order {order_no} was released and is to be cancelled by us")
            self._possessed[(order_no, line_id, sku)] = state

    def _check_cancels(self) -> None:
        self.checks["10"] += 1
        for entity, line_id, count in self.rows(
            "SELECT i.entity, l.key, COUNT(*) FROM intent i, json_each(i.payload, '$.lines') l "
            "WHERE i.kind = 'cancel' AND i.state = 'DONE' GROUP BY i.entity, l.key HAVING COUNT(*) > 1"
        ):
            raise Breach("I10", f"line {line_id} of {entity} was sent to cancel {count} times")
        for order_id, line_id, coverage in self.rows(
            "SELECT order_id, line_id, coverage FROM order_line WHERE state = 'X' AND coverage <> ''"
        ):
            raise Breach("I10", f"{order_id}/{line_id} is to be cancelled and {coverage}")

    def _check_copies(self) -> None:
        self.checks["6"] += 1
        copies = Counter((channel, order_id) for channel, order_id, _ in self.shelf.copies())
        for key, count in sorted(copies.items()):
            if count > 1:
                raise Breach("I6", f"{key[0]} order {key[1]} stands in the shop {count} times")
        sold = {(sale.channel, plain_id(sale.order_id)): sale for sale in self.shelf.sales()}
        for channel, order_id, copy in self.shelf.copies():
            sale = sold.get((channel, plain_id(order_id)))
            pieces = self.shelf.pieces(sale) if sale is not None else Counter()
            if more := {sku: count for sku, count in copy["lines"].items() if count > pieces[sku]}:
                raise Breach(
                    "I6", f"the copy of {channel} order {order_id} has {more}, its buyer bought {dict(pieces)}"
                )

    def _check_customers(self) -> None:
        self.checks["23"] += 1
        for what in self.customers.broken():
            raise Breach("I23", what.removeprefix("I23 "))

    def _check_parcels(self) -> None:
        shops = self.shelf.emulation.marketplaces
        for order in shops["ebay"].order_desk.orders.values():
            _once("ebay", order.order_id, [parcel.tracking for parcel in order.fulfillments])
            for line in order.lines:
                if order.shipped_units(line.line_item_id) > line.quantity:
                    raise Breach("I6", f"ebay order {order.order_id} was told more pieces than were ordered")
            self._check_told("ebay", order.order_id, {x.sku: order.shipped_units(x.line_item_id) for x in order.lines})
        for receipt in shops["etsy"].shop.receipts.values():
            _once("etsy", str(receipt.receipt_id), [one.tracking_code for one in receipt.shipments])
        for one in shops["amazon"].book.orders.values():
            _once("amazon", one.order_id, [package.tracking for package in one.packages.values()])
            if any(item.shipped > item.quantity for item in one.items):
                raise Breach("I6", f"amazon order {one.order_id} was told more pieces than were ordered")
            self._check_told("amazon", one.order_id, {item.sku: item.shipped for item in one.items})

    def _check_told(self, channel: str, order_id: str, told: dict[str, int]) -> None:
        """S10.7: nothing is told as sent that has not left; a pack, when all its pieces have. (Etsy takes whole orders.)"""
        left = self.shelf.left.get((channel, order_id), Counter())
        for sku, pieces in self.shelf.goods.pieces(channel, told).items():
            if pieces > left[sku]:
                raise Breach("I6", f"{channel} order {order_id} was told {pieces} of {sku}, {left[sku]} have left")

    def _check_completeness(self) -> None:
        """I22: an order that was placed at or before the instant, and that the feed shows, is stored."""
        self.checks["22"] += 1
        through = {self.channel(account_id): at for account_id, at in self._through.items()}
        for sale in self.shelf.sales():
            key = (sale.channel, plain_id(sale.order_id))
            if (
                key not in self.stored_ids
                and self.shelf.seen_from(sale) <= through.get(sale.channel, -1)
                and not self.shelf.is_hidden(sale)
                and self.shelf.is_listed(sale)
            ):
                raise Breach(
                    "I22", f"the feed of {sale.channel} counts as complete past order {key[1]}, which is not stored"
                )

    # --- at the end ----------------------------------------------------------------------------------------------------------------

    def check_secrets(self, lines: list[str], secrets: list[str], people: list[str]) -> None:
        """I21: no secret in logs, tasks, journal, or readable in the file; no buyer in logs."""
        self.checks["21"] += 1
        told = [str(row) for row in self.rows("SELECT what, why FROM task UNION ALL SELECT what, detail FROM journal")]
        file = self.database.read_bytes()
        for secret in secrets:
            if any(secret in line for line in (*lines, *told)):
                raise Breach("I21", f"a secret stands in a log line, a task or the journal: {secret[:4]}…")
            if secret.encode() in file:
                raise Breach("I21", f"a secret stands readable in the database: {secret[:4]}…")
        for person in people:
            if any(person in line for line in lines):
                raise Breach("I21", "a buyer stands in a log line")

    def reads_by_id(self) -> Counter[str]:
        """How often each order was asked for by its id."""
        return Counter(
            dict(self.rows("SELECT entity, COUNT(*) FROM intent WHERE kind = 'fetch_order' GROUP BY entity"))
        )

    def writes(self) -> int:
        ((count,),) = self.rows("SELECT COUNT(*) FROM attempt")
        return int(count)

    def cancels(self) -> int:
        """How many orders or lines we have had cancelled: what was short when all was at rest is, a quarter of an hour later (7.1)."""
        ((count,),) = self.rows("SELECT COUNT(*) FROM intent WHERE kind = 'cancel' AND attempts > 0")
        return int(count)

    def picture(self) -> list[str]:
        """The levels, for a failure's report."""
        lines = []
        owed = self.shelf.owed()
        for sku in self.shelf.skus:
            level = self.rows(
                "SELECT SUM(on_hand), SUM(committed), SUM(reserved), SUM(unavailable) FROM stock_level WHERE sku = ?",
                sku,
            )
            shown = {channel: self.shelf.shown(channel, sku) for channel in ("shopify", *MARKETPLACES)}
            for one in self.shelf.goods.offered.values():
                if sku in one.parts:
                    shown[f"{one.channel} {one.sku}"] = self.shelf.shown(one.channel, one.sku)
            lines.append(
                f"{sku}: shelf {self.shelf.on_hand[sku]} owed {owed[sku]} damaged {self.shelf.damaged[sku]} | "
                f"ledger (on_hand, committed, reserved, unavailable) {level[0]} | shown {shown}"
            )
        return lines


def _once(channel: str, order_id: str, numbers: list[Any]) -> None:
    told = [number for number in numbers if number]
    if len(told) != len(set(told)):
        raise Breach("I6", f"a parcel of {channel} order {order_id} was told twice: {told}")
