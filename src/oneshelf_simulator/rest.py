"""The judge at rest: what keeps a world from it, in words.

In: the marketplaces' truth and the physical shelf; the database, by plain SQL. Out: reasons. Never: imports the product.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from .offers import Offers
from .shelf import Shelf, plain_id

#: Open orders are read again every hour, at rest too: one that is younger is no unrest. Clocks may differ by five minutes.
REREAD_US = 900 * 1_000_000


class Rest:
    """`rows(sql, *parameters)` reads the database; `channel(account id)` names an account's channel; `now_us`: the world's instant in
    microseconds. `adaptive`: offers are by pace and window, not the plain number. `strict`: SKUs whose pieces are dealt out."""

    def __init__(
        self,
        shelf: Shelf,
        rows: Callable[..., list[tuple[Any, ...]]],
        channel: Callable[[int], str],
        now_us: Callable[[], int],
        *,
        adaptive: bool,
        strict: frozenset[str],
    ) -> None:
        self.shelf = shelf
        self.rows = rows
        self.channel = channel
        self.now_us = now_us
        self.adaptive = adaptive
        self.strict = strict

    def why_not(self) -> list[str]:
        """What keeps it from rest, in words; a breach that no waiting mends looks the same, and lasts."""
        return [*self._unsettled(), *self._orders_missing(), *self._levels_off(), *self._numbers_off()]

    def _unsettled(self) -> list[str]:
        questions = {
            "I13 messages are not booked": "SELECT COUNT(*) FROM inbox WHERE state = 'NEW'",
            "I13 calls to the shop or reads of orders are under way": (
                "SELECT COUNT(*) FROM intent WHERE state IN ('WAITING', 'SENDING', 'UNKNOWN') AND "
                f"(kind <> 'fetch_order' OR (not_found < 6 AND created_at < {self.now_us() - REREAD_US}))"
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
                "SELECT COUNT(*) FROM claim WHERE open = 1 AND refused = 0 AND want <> held + imported"
            ),
            "I13 parcels are not told": "SELECT COUNT(*) FROM shipment WHERE state IN ('QUEUED', 'SENT', 'UNKNOWN')",
        }
        found = []
        for what, sql in questions.items():
            ((count,),) = self.rows(sql)
            if count:
                found.append(f"{what}: {count}")
        return found

    def waiting(self) -> list[int]:
        """The outlets of sold-out listings that may not be reopened yet: S8.16 lets that be done once an hour."""
        waiting = [sku for sku in self.shelf.skus if self.shelf.waits_for_its_hour(sku)]
        marks = ",".join("?" * len(waiting))
        rows = self.rows(
            "SELECT k.outlet_id FROM link k JOIN outlet o ON o.tenant_id = k.tenant_id AND o.outlet_id = k.outlet_id "
            f"JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id WHERE a.channel = 'etsy' AND k.sku IN ({marks})",
            *waiting,
        )
        return [outlet_id for (outlet_id,) in rows]

    def _owed(self) -> Counter[str]:
        """Pieces by SKU that buyers wait for, but those of an order that no feed shows and whose message was lost or is hours late: nobody
        can know of it (F21)."""
        stored = {
            (self.channel(account_id), plain_id(order_id))
            for account_id, order_id in self.rows("SELECT account_id, order_id FROM orders WHERE copy_key = ''")
        }
        unknown = {
            (sale.channel, plain_id(sale.order_id)) for sale in self.shelf.sales() if not self.shelf.is_listed(sale)
        } - stored
        owed = self.shelf.owed_by_web()
        for (channel, order_id), pieces in self.shelf.owed_by_marketplaces():
            if (channel, plain_id(order_id)) not in unknown:
                owed.update(pieces)
        return owed

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
        return found

    def _numbers_off(self) -> list[str]:
        found = []
        owed = self._owed()
        waiting = set(self.waiting())
        offers = Offers(self.rows, self.now_us()) if self.adaptive else None
        bursting = offers.bursting() if offers else []
        if bursting:
            return [f"I13 {', '.join(bursting)} sell in a burst: their offers still move"]
        refused = dict(
            self.rows("SELECT sku, SUM(want - held - imported) FROM claim WHERE open = 1 AND refused = 1 GROUP BY sku")
        )
        for sku in self.shelf.skus:
            k = self.shelf.on_hand[sku] - owed[sku] - self.shelf.damaged[sku]
            available = self.shelf.hub_level(sku).get("available", 0)
            total, all_told = max(0, available), True
            if sku in self.strict:
                # A rule may not switch a strict SKU's shares off.
                ought = (offers or Offers(self.rows, self.now_us())).dealt(sku, k)
                if k >= 0 and not ought[0][0] <= available <= ought[0][1]:
                    found.append(
                        f"I13 the shop has {available} of strict {sku} available, its share of {k} is {ought[0]}"
                    )
            else:
                ought = offers.ought(sku, k) if offers else {}
            if (sku not in self.strict or k < 0) and available != k + refused.get(sku, 0):
                found.append(f"I13 the shop has {available} of {sku} available, K is {k}")
            for outlet_id, account_id, offer, state in self.rows(
                "SELECT s.outlet_id, s.account_id, s.offer, s.state FROM slot s JOIN link l "
                "ON l.tenant_id = s.tenant_id AND l.outlet_id = s.outlet_id WHERE l.sku = ? AND l.units = 1",
                sku,
            ):
                channel = self.channel(account_id)
                if channel == "shopify":
                    continue
                if state == "PARKED" or outlet_id in waiting:
                    all_told = False
                    continue
                shown = self.shelf.shown(channel, sku)
                total += shown
                if shown != offer:
                    found.append(f"I13 {channel} shows {shown} of {sku}, its offer is {offer} (outlet {outlet_id})")
                least, most = ought.get(outlet_id, (max(0, k), max(0, k)))
                if not least <= shown <= most:
                    found.append(
                        f"I13 {channel} shows {shown} of {sku}, by its paces it ought to be {least} to {most} of {k} (outlet {outlet_id})"
                    )
                if not 0 <= offer <= max(0, k):
                    found.append(f"I11 {channel} is offered {offer} of {sku}, K is {k} (outlet {outlet_id})")
            if sku in self.strict and all_told and total != max(0, k):
                found.append(f"I13 {total} of strict {sku} are shown, K is {k}")
        return found


def _numbers(numbers: list[int]) -> str:
    return ",".join(map(str, numbers))
