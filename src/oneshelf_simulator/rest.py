"""The judge at rest: what keeps a world from it, in words.

In: the marketplaces' truth and the physical shelf; the database, by plain SQL. Out: reasons. Never: imports the product.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from .offers import Offers
from .shelf import MARKETPLACES, Key, Shelf, plain_id

#: {outlet: (least, most)}, in pieces.
Ought = dict[int, tuple[int, int]]
#: Open orders are read again every hour, at rest too: one that is younger is no unrest. Clocks may differ by five minutes.
REREAD_US = 900 * 1_000_000


class Rest:
    """`rows(sql, *parameters)` reads the database; `channel(account id)` names an account's channel; `now_us`: the world's instant in
    microseconds. `cancel_heard`: whether anything that was delivered named an order since its channel cancelled it. `adaptive`: offers are by pace and window, not the plain number. `strict`: SKUs whose pieces are dealt out."""

    def __init__(
        self,
        shelf: Shelf,
        rows: Callable[..., list[tuple[Any, ...]]],
        channel: Callable[[int], str],
        now_us: Callable[[], int],
        cancel_heard: Callable[[Key], bool],
        *,
        adaptive: bool,
        strict: frozenset[str],
    ) -> None:
        self.shelf = shelf
        self.rows = rows
        self.channel = channel
        self.now_us = now_us
        self.cancel_heard = cancel_heard
        self.adaptive = adaptive
        self.strict = strict

    def why_not(self) -> list[str]:
        """What keeps it from rest, in words; a breach that no waiting mends looks the same, and lasts."""
        return [
            *self._hardly_heard(),
            *self._unsettled(),
            *self._orders_missing(),
            *self._copies_missing(),
            *self._levels_off(),
            *self._numbers_off(),
        ]

    def _hardly_heard(self) -> list[str]:
        """Feeds that were read only once since a start with a clock that differs: until the second time they are complete as of minutes ago
        (F28). That channel counts as deaf before its next poll, and scarce numbers move, there and back (S3.2)."""
        return [
            f"I13 {self.channel(account_id)} is heard as of minutes ago"
            for (account_id,) in self.rows(
                "SELECT f.account_id FROM feed f JOIN channel_window w ON w.tenant_id = f.tenant_id AND w.account_id = f.account_id "
                "WHERE f.name = 'orders' AND f.polled_at + w.ahead - f.complete_through_at > w.grace / 2 ORDER BY f.account_id"
            )
        ]

    def _unsettled(self) -> list[str]:
        questions = {
            "I13 messages are not booked": "SELECT COUNT(*) FROM inbox WHERE state = 'NEW'",
            "I13 calls to the shop or reads of orders are under way": (
                "SELECT COUNT(*) FROM intent WHERE state IN ('WAITING', 'SENDING', 'UNKNOWN') AND "
                f"(kind <> 'fetch_order' OR (not_found < 6 AND created_at < {self.now_us() - REREAD_US})) "
                # A copy that is held for a person's word is moved when he has given it.
                "AND NOT (kind = 'move_copy' AND EXISTS (SELECT 1 FROM release r WHERE r.tenant_id = intent.tenant_id "
                "AND r.order_no = json_extract(intent.payload, '$.order_no') AND r.state = 'HELD'))"
            ),
            "I13 sales were seen whose orders are not there": "SELECT COUNT(*) FROM provisional WHERE state = 'OPEN'",
            "I13 outlets are under way": (
                f"SELECT COUNT(*) FROM slot WHERE state NOT IN ('QUIET', 'PARKED') AND outlet_id NOT IN ({_numbers(self.waiting())})"
            ),
            "I13 outlets are dirty": (
                "SELECT COUNT(*) FROM dirty_listing d JOIN slot s ON s.tenant_id = d.tenant_id AND s.outlet_id = d.outlet_id "
                "WHERE s.state = 'QUIET'"
            ),
            "I13 claims are not carried by the shop": (
                # What was held at a location that closed lies nowhere until it is found, or forgotten.
                "SELECT COUNT(*) FROM claim WHERE open = 1 AND refused = 0 AND want <> held + imported AND location_id <> ''"
            ),
            "I13 parcels are not told": "SELECT COUNT(*) FROM shipment WHERE state IN ('QUEUED', 'SENT', 'UNKNOWN')",
        }
        found = []
        for what, sql in questions.items():
            ((count,),) = self.rows(sql)
            if count:
                found.append(f"{what}: {count}")
        return found

    def parked(self) -> int:
        """How many listings wait for a person."""
        ((count,),) = self.rows("SELECT COUNT(*) FROM slot WHERE state = 'PARKED'")
        return int(count)

    def waiting(self) -> list[int]:
        """The outlets of sold-out listings that may not be reopened yet: S8.16 lets that be done once an hour, and not while it would show
        a piece of a strict SKU that is not there."""
        room = self._strict_room()
        waiting = [
            sku
            for sku in self.shelf.listed("etsy")
            if self.shelf.waits_for_its_hour(sku) or self.shelf.opens_with_too_many(sku, room)
        ]
        marks = ",".join("?" * len(waiting))
        rows = self.rows(
            "SELECT o.outlet_id FROM outlet o JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id "
            f"WHERE a.channel = 'etsy' AND o.sku_text IN ({marks})",
            *waiting,
        )
        return [outlet_id for (outlet_id,) in rows]

    def _strict_room(self) -> dict[str, int]:
        """Pieces of each strict SKU that buyers may take nowhere."""
        if not self.strict:
            return {}
        ks = self._ks()
        return {
            sku: max(0, ks[sku]) - sum(self.shelf.shown_pieces(channel, sku) for channel in ("shopify", *MARKETPLACES))
            for sku in self.strict
        }

    def _ks(self) -> dict[str, int]:
        """K of each SKU, by the shelf and what buyers wait for."""
        owed = self._owed()
        return {sku: self.shelf.on_hand[sku] - owed[sku] - self.shelf.damaged[sku] for sku in self.shelf.skus}

    def _owed(self) -> Counter[str]:
        """Pieces by SKU that buyers wait for, as far as anybody can know who goes by feeds and messages: of an order that no feed shows,
        whose message was lost or is hours late, nobody knows, nor that it was cancelled until it is read again the next day (F21)."""
        stored = {
            (self.channel(account_id), plain_id(order_id))
            for account_id, order_id in self.rows("SELECT account_id, order_id FROM orders WHERE copy_key = ''")
        }
        unlisted = {
            (sale.channel, plain_id(sale.order_id)): sale
            for sale in self.shelf.sales()
            if not self.shelf.is_listed(sale)
        }
        owed = self.shelf.owed_by_web()
        for (channel, order_id), pieces in self.shelf.owed_by_marketplaces():
            key = (channel, plain_id(order_id))
            if key not in unlisted or key in stored:
                owed.update(pieces)
        for key in sorted(self.cancels_unheard() & stored):
            sale = unlisted[key]
            owed.update(self.shelf.pieces(sale) - self.shelf.left.get((sale.channel, sale.order_id), Counter()))
        return owed

    def cancels_unheard(self) -> set[Key]:
        """Orders that no feed shows and that their channel has cancelled, by plain id, of which nothing was heard since."""
        return {
            key
            for sale in self.shelf.sales()
            if sale.cancelled_at and not self.shelf.is_listed(sale)
            if not self.cancel_heard(key := (sale.channel, plain_id(sale.order_id)))
        }

    def _orders_missing(self) -> list[str]:
        stored = {
            (self.channel(account_id), plain_id(order_id))
            for account_id, order_id in self.rows("SELECT account_id, order_id FROM orders WHERE copy_key = ''")
        }
        sales = {
            (sale.channel, plain_id(sale.order_id)) for sale in self.shelf.sales() if not self.shelf.is_hidden(sale)
        }
        listed = {
            (sale.channel, plain_id(sale.order_id)) for sale in self.shelf.sales() if not self.shelf.is_listed(sale)
        }
        missing = sales - stored - listed
        found = [f"I4 {channel} order {order_id} was placed and is not stored" for channel, order_id in sorted(missing)]
        return found + [
            f"I4 {channel} order {order_id} is stored and was never placed"
            for channel, order_id in sorted(stored - sales)
        ]

    def _copies_missing(self) -> list[str]:
        """Orders that are paid for, and stored, and were never brought into the shop. One from before its account went live waits for the
        merchant's word (S0.6); that one which no feed shows was paid for may be unheard (F21)."""
        copied = {(channel, plain_id(order_id)) for channel, order_id, _ in self.shelf.copies()}
        stored = {
            (self.channel(account_id), plain_id(order_id))
            for account_id, order_id in self.rows(
                "SELECT account_id, order_id FROM orders WHERE copy_key = '' AND standing <> 'ask'"
            )
        }
        due = {
            (sale.channel, plain_id(sale.order_id))
            for sale in self.shelf.sales()
            if sale.channel != "shopify" and sale.paid_at and not sale.cancelled_at and self.shelf.is_listed(sale)
        }
        return [
            f"I6 {channel} order {order_id} is paid for and is not in the shop"
            for channel, order_id in sorted((due & stored) - copied)
        ]

    def _levels_off(self) -> list[str]:
        """I2, I5: what is stored is the truth of shelf and buyers."""
        found = []
        owed = self._owed()
        levels: dict[str, Counter[str]] = defaultdict(Counter)
        for sku, on_hand, committed, reserved, unavailable in self.rows(
            "SELECT sku, on_hand, committed, reserved, unavailable FROM stock_level"
        ):
            levels[sku].update({"on_hand": on_hand, "owed": committed + reserved, "unavailable": unavailable})
        for sku in self.shelf.skus:
            truth = {
                "on_hand": self.shelf.on_hand[sku],
                "owed": owed[sku],
                "unavailable": self.shelf.damaged[sku],
            }
            ours = {name: levels[sku][name] for name in truth}
            if ours != truth:
                found.append(f"I5 {sku}: the ledger has {ours}, the truth is {truth}")
        return found or self._places_off()

    def _places_off(self) -> list[str]:
        """Of each location: its pieces are those that lie there, and the shop sells there what is left of them (S2.1), and nothing while
        an order's pieces wait to be held (S9.5)."""
        found = []
        unheld, waiting = self._unheld(), self._waiting()
        for sku, place, name, on_hand, left in self.rows(
            "SELECT s.sku, s.location_id, p.name, s.on_hand, s.on_hand - s.committed - s.reserved - s.unavailable FROM stock_level s "
            "JOIN location p ON p.tenant_id = s.tenant_id AND p.location_id = s.location_id ORDER BY s.sku, p.name"
        ):
            lies, sells = self.shelf.places.lies[sku, name], self.shelf.places.available(sku, name)
            if on_hand != lies:
                found.append(f"I5 {sku} at {name}: the ledger has {on_hand}, {lies} lie there")
            if sku not in self.strict and sells != left + unheld[sku, place]:
                found.append(
                    f"I13 the shop has {sells} of {sku} available at {name}, K there is {left}, unheld {unheld[sku, place]}"
                )
            if sku not in self.strict and sells > 0 and waiting[sku] > 0:
                found.append(
                    f"I13 {waiting[sku]} of {sku} wait to be held, and the shop has {sells} available at {name}"
                )
        return found

    def _unheld(self) -> Counter[tuple[str, str]]:
        """Pieces that wait for an order at a location, and that the shop has not taken there: it had them not, or they were held at
        another location before the order came to stand here."""
        found: Counter[tuple[str, str]] = Counter()
        for sku, held_at, stands_at, held, owed in self.rows(
            "SELECT c.sku, c.location_id, COALESCE(l.location_id, c.location_id), c.held, "
            # What is held for one elsewhere is of that one's pieces, not more of them.
            "CASE WHEN c.claim_key LIKE 'elsewhere:%' THEN 0 ELSE c.want - c.imported END FROM claim c "
            "LEFT JOIN order_line l ON l.tenant_id = c.tenant_id AND l.order_no = c.order_no AND l.line_id = c.line_id AND l.sku = c.sku "
            "WHERE c.open = 1"
        ):
            found[sku, held_at] -= held
            found[sku, stands_at] += owed
        return found

    def _waiting(self) -> Counter[str]:
        """Pieces of each SKU that the shop had not where they were to be held, and that are held nowhere else."""
        found: Counter[str] = Counter()
        for sku, pieces in self.rows(
            "SELECT sku, SUM(CASE WHEN claim_key LIKE 'elsewhere:%' THEN -held WHEN refused = 1 THEN want - held - imported ELSE 0 END) "
            "FROM claim WHERE open = 1 AND claim_key NOT LIKE 'strict:%' GROUP BY sku"
        ):
            found[sku] = pieces
        return found

    def _numbers_off(self) -> list[str]:
        offers = Offers(self.rows, self.now_us())
        bursting = offers.bursting() if self.adaptive else []
        if bursting:
            return [f"I13 {', '.join(bursting)} sell in a burst: their offers still move"]
        ks = self._ks()
        ought = {sku: self._ought(offers, sku, k) for sku, k in ks.items()}
        return [*self._shop_off(ks, ought), *self._outlets_off(ks, ought)]

    def _ought(self, offers: Offers, sku: str, k: int) -> Ought:
        """What each outlet of a SKU may show of it, in pieces: {outlet: (least, most)}; who is not named, K."""
        there = self._there(sku)
        if sku in self.strict:  # a rule may not switch a strict SKU's shares off
            return offers.dealt(sku, k, there)
        return (offers.ought if self.adaptive else offers.plain)(sku, k, there)

    def _there(self, sku: str) -> dict[str, int]:
        """K of the locations that serve a channel which not all of them serve (S2.14). The ledger's: it is the truth's, location by
        location, before this is asked."""
        serving = self.shelf.places.serving
        if not serving:
            return {}
        left = dict(
            self.rows(
                "SELECT p.name, s.on_hand - s.committed - s.reserved - s.unavailable FROM stock_level s "
                "JOIN location p ON p.tenant_id = s.tenant_id AND p.location_id = s.location_id WHERE s.sku = ?",
                sku,
            )
        )
        return {channel: sum(left.get(name, 0) for name in names) for channel, names in serving.items()}

    def _shop_off(self, ks: dict[str, int], ought: dict[str, Ought]) -> list[str]:
        found = []
        # What the shop had not to hold, at one location or at another; of a strict SKU what is held back there may stand for it.
        refused = dict(
            self.rows(
                "SELECT sku, MAX(0, SUM(CASE WHEN claim_key LIKE 'strict:%' OR claim_key LIKE 'elsewhere:%' THEN -held "
                "WHEN refused = 1 THEN want - held - imported "
                "ELSE 0 END)) FROM claim WHERE open = 1 GROUP BY sku"
            )
        )
        # With less than nothing left, what lies at one of several locations is held back there, beside what another owes.
        held_back = dict(
            self.rows(
                "SELECT c.sku, SUM(c.held) FROM claim c JOIN stock_level s ON s.tenant_id = c.tenant_id AND s.sku = c.sku "
                "AND s.location_id = c.location_id AND s.on_hand > 0 WHERE c.open = 1 AND c.claim_key LIKE 'strict:%' "
                "AND EXISTS (SELECT 1 FROM stock_level o WHERE o.tenant_id = s.tenant_id AND o.sku = s.sku "
                "AND o.location_id <> s.location_id AND o.on_hand < o.committed + o.reserved + o.unavailable) GROUP BY c.sku"
            )
        )
        for sku, k in ks.items():
            available = self.shelf.hub_level(sku).get("available", 0)
            if sku in self.strict and k >= 0:
                least, most = ought[sku][0]
                if not (available <= most if self.shelf.places.owes(sku) else least <= available <= most):
                    found.append(
                        f"I13 the shop has {available} of strict {sku} available, its share of {k} is {ought[sku][0]}"
                    )
            elif not -held_back.get(sku, 0) <= available - k - refused.get(sku, 0) <= 0:
                found.append(f"I13 the shop has {available} of {sku} available, K is {k}")
        return found

    def _outlets_off(self, ks: dict[str, int], ought: dict[str, Ought]) -> list[str]:
        """Each listing against what its parts let it show: of each part whole units only, of all parts the least (S1.11, S2.5)."""
        found, waiting = [], set(self.waiting())
        told = {sku: max(0, self.shelf.hub_level(sku).get("available", 0)) for sku in self.strict}
        rounded: Counter[str] = Counter()
        untold: set[str] = set()
        for outlet_id, account_id, offer, state, listing in self.rows(
            "SELECT s.outlet_id, s.account_id, s.offer, s.state, o.sku_text FROM slot s "
            "JOIN outlet o ON o.tenant_id = s.tenant_id AND o.outlet_id = s.outlet_id ORDER BY s.outlet_id"
        ):
            channel = self.channel(account_id)
            if channel == "shopify":
                continue
            parts = self.shelf.goods.parts(channel, listing)
            if state == "PARKED" or outlet_id in waiting:
                untold.update(parts)
                continue
            shown = self.shelf.shown(channel, listing)
            if shown != offer:
                found.append(f"I13 {channel} shows {shown} of {listing}, its offer is {offer} (outlet {outlet_id})")
            spans = {sku: ought[sku].get(outlet_id, (max(0, ks[sku]), max(0, ks[sku]))) for sku in parts}
            least, most = (min(spans[sku][end] // n for sku, n in parts.items()) for end in (0, 1))
            if not least <= shown <= most:
                of = {sku: ks[sku] for sku in parts}
                found.append(
                    f"I13 {channel} shows {shown} of {listing}, by its paces it ought to be {least} to {most} of {of} (outlet {outlet_id})"
                )
            for sku, n in parts.items():
                if not 0 <= offer * n <= max(0, ks[sku]):
                    found.append(f"I11 {channel} is offered {offer} of {listing}, K of {sku} is {ks[sku]}")
                told[sku] = told.get(sku, 0) + shown * n
                # What makes no whole pack is left; of a bundle another part may be what lacks.
                rounded[sku] += n - 1 if len(parts) == 1 else max(0, ks[sku])
        for sku in sorted(self.strict - untold):
            # Dealt out to the last piece otherwise.
            is_less = self.shelf.places.serving or self.shelf.places.owes(sku)
            least = 0 if is_less else max(0, ks[sku] - rounded[sku])
            if not least <= told[sku] <= max(0, ks[sku]):
                found.append(f"I13 {told[sku]} of strict {sku} are shown, K is {ks[sku]}")
        return found


def _numbers(numbers: list[int]) -> str:
    return ",".join(map(str, numbers))
