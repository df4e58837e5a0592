"""A shop to look at: a database filled with plausible rows, through the real functions where they exist.

`seed(store, now)` makes Northlight Home: four live channels, five SKUs, orders of the last minutes; one listing is on its way, one is
parked, one shows too many. Every number follows from `now`.
"""

from __future__ import annotations

import json
from datetime import timedelta

from oneshelf.channels.contract import ListingFound
from oneshelf.core.facts import LineSeen, OrderSeen, Payment
from oneshelf.core.instants import SECOND, from_us
from oneshelf.core.slot import SlotState
from oneshelf.core.stock import Entry
from oneshelf.db.journal import open_task
from oneshelf.db.store import Store
from oneshelf.db.tx import Tx
from oneshelf.listings import links
from oneshelf.listings.policy import set_rule
from oneshelf.orders.batch import Heard
from oneshelf.orders.book import book
from oneshelf.publish import slots
from oneshelf.publish.slots import Slot
from oneshelf.stock import ledger

TENANT = 1
SHOPIFY, AMAZON, EBAY, ETSY = 1, 2, 3, 4
LEEDS, ROTTERDAM = "gid://shopify/Location/1", "gid://shopify/Location/2"
ACCOUNTS = (
    (SHOPIFY, "shopify", "northlight-home.myshopify.com", "northlight-home"),
    (AMAZON, "amazon", "A1NORTH|eu", "Northlight EU"),
    (EBAY, "ebay", "northlight_home", "northlight_home"),
    (ETSY, "etsy", "48120031", "NorthlightHome"),
)
#: SKU, title, pieces in Leeds, pieces in Rotterdam.
ITEMS = (
    ("BLK-MUG-01", "Black stoneware mug, 350 ml", 9, 4),
    ("BRD-OAK-40", "Oak bread board, 40 cm", 3, 0),
    ("CND-FIG-220", "Fig candle, 220 g", 44, 0),
    ("LMP-BRS-02", "Brass desk lamp", 1, 0),
    ("LNN-APR-NAT", "Linen apron, natural", 18, 2),
    ("WAL-HK-05", "Walnut wall hook, set of 5", 8, 0),
)
DAY = 86_400 * SECOND


def seed(store: Store, now: int) -> None:
    """Fill an open, empty store."""
    tx = store.begin()
    _accounts(tx, now)
    _shelf(tx, now)
    _listings(tx, now)
    _orders(tx, now)
    _published(tx, now)
    _news(tx, now)
    store.commit()


def _accounts(tx: Tx, now: int) -> None:
    tx.run("INSERT INTO tenant (tenant_id, name, created_at) VALUES (1, 'Northlight Home', :at)", at=now - 30 * DAY)
    tx.many(
        "INSERT INTO account (tenant_id, account_id, channel, external_id, label, state, connected_at, live_at, opened_at) "
        "VALUES (1, ?, ?, ?, ?, 'LIVE', ?, ?, ?)",
        [(*row, now - 30 * DAY, now - 29 * DAY, now - 30 * DAY if row[0] == SHOPIFY else None) for row in ACCOUNTS],
    )
    tx.many(
        "INSERT INTO feed (tenant_id, account_id, name, complete_through_at, polled_at, pages) VALUES (1, ?, 'orders', ?, ?, 40)",
        [(row[0], now - 9 * SECOND, now - 4 * SECOND) for row in ACCOUNTS],
    )
    tx.many(
        "INSERT INTO location (tenant_id, location_id, name, priority) VALUES (1, ?, ?, ?)",
        [(LEEDS, "Leeds", 1), (ROTTERDAM, "Rotterdam", 2)],
    )


def _shelf(tx: Tx, now: int) -> None:
    tx.many(
        "INSERT INTO item (tenant_id, sku, title, variant_id, item_id, product_id) VALUES (1, ?, ?, ?, ?, '')",
        [(sku, title, f"variant-{i}", f"item-{i}") for i, (sku, title, _, _) in enumerate(ITEMS)],
    )
    entries = [
        Entry(f"open:{sku}:{place}", sku, place, "first count", on_hand=pieces, source="Shopify")
        for sku, _, leeds, rotterdam in ITEMS
        for place, pieces in ((LEEDS, leeds), (ROTTERDAM, rotterdam))
        if pieces
    ]
    ledger.post(tx, TENANT, entries, now - 2 * DAY)
    tx.many(
        "INSERT INTO hub_level (tenant_id, sku, location_id, on_hand, available, read_at) VALUES (1, ?, ?, ?, ?, ?)",
        [(e.sku, e.location_id, e.on_hand, e.on_hand, now - 40 * SECOND) for e in entries],
    )


def _listings(tx: Tx, now: int) -> None:
    for account_id, prefix in ((AMAZON, "B0C7NQ"), (EBAY, "20447198"), (ETSY, "15328804")):
        found = [
            ListingFound(f"{prefix}{i}", f"{prefix}{i}", (f"{prefix}{i}",), sku, title, None)
            for i, (sku, title, _, _) in enumerate(ITEMS)
            if not (account_id == ETSY and sku == "BRD-OAK-40")
        ]
        links.keep_listings(tx, TENANT, account_id, found, now - 29 * DAY)
        links.match_by_sku(tx, TENANT, account_id, now - 29 * DAY)
    pack = _outlet(tx, EBAY, "BLK-MUG-01")
    links.link(tx, TENANT, pack, {"BLK-MUG-01": 2}, now - 29 * DAY, by="hand")
    tx.many(
        "INSERT INTO listing_key (tenant_id, account_id, listing_key, outlet_id) VALUES (1, ?, ?, ?)",
        [(SHOPIFY, f"variant-{i}", 900 + i) for i in range(len(ITEMS))],
    )
    tx.many(
        "INSERT INTO link (tenant_id, outlet_id, sku, units) VALUES (1, ?, ?, 1)",
        [(900 + i, ITEMS[i][0]) for i in range(len(ITEMS))],
    )
    tx.many(
        "INSERT INTO outlet (tenant_id, outlet_id, account_id, external_id, write_unit, title, found_at) VALUES (1, ?, ?, ?, '', ?, ?)",
        [(900 + i, SHOPIFY, f"item-{i}|{LEEDS}", ITEMS[i][1], now - 30 * DAY) for i in range(len(ITEMS))],
    )
    set_rule(tx, TENANT, AMAZON, "BLK-MUG-01", now - DAY, by="Owner", safety_stock=5)


def _outlet(tx: Tx, account_id: int, sku: str) -> int:
    row = tx.one(
        "SELECT outlet_id FROM outlet WHERE tenant_id = 1 AND account_id = :a AND sku_text = :s", a=account_id, s=sku
    )
    assert row is not None
    return int(row[0])


#: Seconds ago, account, order id, SKU, listings, seconds until heard, paid.
SALES = (
    (30_000, ETSY, "3198412206", "BLK-MUG-01", 1, 2.4, True),
    (7_200, SHOPIFY, "#10467", "BLK-MUG-01", 2, 0.4, True),
    (260, SHOPIFY, "#10478", "CND-FIG-220", 1, 0.5, True),
    (201, AMAZON, "114-7756201-3348215", "LMP-BRS-02", 1, 3.0, True),
    (200, EBAY, "27-12880-45519", "LMP-BRS-02", 1, 1.0, True),
    (120, AMAZON, "114-2210077-1120033", "LNN-APR-NAT", 1, 1.2, True),
    (96, EBAY, "27-12880-45520", "WAL-HK-05", 1, 0.9, True),
    (55, SHOPIFY, "#10481", "LNN-APR-NAT", 1, 0.4, True),
    (31, AMAZON, "114-3941689-8772232", "BLK-MUG-01", 1, 0.6, False),
    (3, ETSY, "3198412301", "CND-FIG-220", 2, 1.1, True),
)


def _orders(tx: Tx, now: int) -> None:
    for ago_s, account_id, order_id, sku, listings, heard_s, paid in SALES:
        placed = now - ago_s * SECOND
        received = placed + int(heard_s * SECOND)
        number = next(i for i, item in enumerate(ITEMS) if item[0] == sku)
        prefix = {AMAZON: "B0C7NQ", EBAY: "20447198", ETSY: "15328804"}.get(account_id, "variant-")
        order = OrderSeen(
            order_id=order_id,
            number=order_id,
            payment=Payment.PAID if paid else Payment.PENDING,
            lines=(LineSeen("1", (f"{prefix}{number}",), listings, title=ITEMS[number][1]),),
            placed_at=from_us(placed),
            updated_at=from_us(placed),
            ship_by_at=from_us(now) + timedelta(days=2),
        )
        book(tx, TENANT, [Heard(account_id, order, received, received, "webhook")], received + SECOND // 500)
    _at_the_hub(tx, now)


def _at_the_hub(tx: Tx, now: int) -> None:
    """Paid marketplace orders older than ten seconds stand in Shopify; the unpaid one is held there."""
    for order_no, account_id, order_id, placed_at, payment in tx.all(
        "SELECT order_no, account_id, order_id, placed_at, payment FROM orders WHERE account_id <> :hub AND placed_at < :old",
        hub=SHOPIFY,
        old=now - 10 * SECOND,
    ):
        at = placed_at + 1_900_000
        if payment == "paid":
            tx.run("UPDATE orders SET hub_order_id = :h, imported_at = :at WHERE tenant_id = 1 AND order_no = :o", h=f"#{10_400 + order_no}", at=at, o=order_no)  # fmt: skip
            tx.run("UPDATE claim SET imported = want WHERE tenant_id = 1 AND order_no = :o", o=order_no)
            tx.run(
                "UPDATE intent SET state = 'DONE', settled_at = :at, attempts = 1 WHERE tenant_id = 1 AND kind = 'import' AND entity = :e",
                at=at,
                e=f"{account_id}/{order_id}",
            )
        else:
            tx.run("UPDATE claim SET held = want WHERE tenant_id = 1 AND order_no = :o", o=order_no)
            tx.run(
                "UPDATE intent SET state = 'DONE', settled_at = :at, attempts = 1 WHERE tenant_id = 1 AND kind = 'hold' AND entity LIKE :e",
                at=at,
                e=f"{account_id}/{order_id}/%",
            )


def _published(tx: Tx, now: int) -> None:
    """Every outlet rests at its offer, then the stories: Etsy was told about the mug, Amazon's candle is too high, eBay's board is parked."""
    from oneshelf.watch.accounts import accounts_now
    from oneshelf.watch.lines import lines_of

    accounts = accounts_now(tx, TENANT)
    rested = []
    for sku, lines in lines_of(tx, TENANT, [item[0] for item in ITEMS], accounts, now=now).items():
        for line in lines:
            if not line.outlet_id or line.should is None:
                continue
            slot = Slot(
                line.outlet_id, line.account_id, line.external_id, offer=line.should, believed=line.should, verified=1
            )
            slot.believed_at = now - 2 * SECOND
            if sku == "CND-FIG-220":
                slot.believed_at = now - 30 * SECOND
                slot.believed = line.should + (2 if line.account_id == ETSY else 0)
            rested.append(slot)
    by_outlet = {slot.outlet_id: slot for slot in rested}
    tx.run("DELETE FROM dirty_listing WHERE tenant_id = 1")
    _attempts(tx, now, by_outlet)
    etsy_mug = by_outlet[_outlet(tx, ETSY, "BLK-MUG-01")]
    etsy_mug.state, etsy_mug.believed, etsy_mug.sent = SlotState.APPLYING, etsy_mug.offer + 1, etsy_mug.offer
    etsy_mug.sent_at, etsy_mug.acked_at, etsy_mug.verified = now - 29 * SECOND, now - 28 * SECOND, 0
    amazon_lamp = by_outlet[_outlet(tx, AMAZON, "WAL-HK-05")]
    amazon_lamp.state, amazon_lamp.believed, amazon_lamp.since_at = (
        SlotState.WAITING,
        amazon_lamp.offer + 2,
        now - 90 * SECOND,
    )
    amazon_lamp.reason = "Amazon lets us call again soon"
    ebay_board = by_outlet[_outlet(tx, EBAY, "BRD-OAK-40")]
    ebay_board.state, ebay_board.reason = SlotState.PARKED, "eBay refused the number: the listing is closed"
    for account_id in (AMAZON, EBAY):
        slot = by_outlet[_outlet(tx, account_id, "CND-FIG-220")]
        slot.state, slot.believed, slot.since_at = SlotState.WAITING, slot.offer + 2, now - 2 * SECOND
        tx.run(
            "INSERT INTO dirty_listing (tenant_id, outlet_id, generation, since_at, why) VALUES (1, :o, 1, :at, 'an order')",
            o=slot.outlet_id,
            at=now - 2 * SECOND,
        )
    slots.save(tx, TENANT, rested)
    open_task(
        tx,
        TENANT,
        now - 600 * SECOND,
        "listing_refused",
        f"outlet:{ebay_board.outlet_id}",
        "A listing refuses its number",
        ebay_board.reason,
    )


def _attempts(tx: Tx, now: int, by_outlet: dict[int, Slot]) -> None:
    """The writes that the sales led to: told within a second, accepted soon, seen when the channel shows it."""
    number = 0
    delay_s = {AMAZON: 2.6, EBAY: 0.6, ETSY: 1.7}
    for ago_s, account_id, _, sku, _, heard_s, _ in SALES:
        for other in (AMAZON, EBAY, ETSY):
            row = tx.one(
                "SELECT outlet_id FROM outlet WHERE tenant_id = 1 AND account_id = :a AND sku_text = :s", a=other, s=sku
            )
            if other == account_id or row is None or ago_s < 10 or (sku == "BLK-MUG-01" and other == EBAY):
                continue
            number += 1
            dirty = now - ago_s * SECOND + int(heard_s * SECOND)
            started = dirty + SECOND // 5
            accepted = started + SECOND // 2
            seen = accepted + int(delay_s[other] * SECOND) + number % 7 * SECOND // 5
            open_still = other == ETSY and ago_s == 31
            offer = by_outlet[row[0]].offer
            tx.run(
                """INSERT INTO attempt (tenant_id, attempt_no, outlet_id, account_id, quantity, was, generation, dirty_at, started_at, accepted_at,
                       seen_at, outcome, why) VALUES (1, :no, :o, :a, :q, :was, 1, :dirty, :started, :accepted, :seen, 'ACCEPTED', :why)""",
                no=number,
                o=row[0],
                a=other,
                q=offer,
                was=offer + 1,
                dirty=dirty,
                started=started,
                accepted=accepted,
                seen=None if open_still else seen,
                why="{}",
            )


def _news(tx: Tx, now: int) -> None:
    tx.many(
        "INSERT INTO inbox (tenant_id, seq, account_id, topic, delivery_key, source, body, received_at, state) VALUES (1, ?, ?, '', ?, ?, ?, ?, 'DONE')",
        [
            (i, row[0], f"k{i}", "queue" if row[1] == "amazon" else "webhook", b"{}", now - (2 + i * 7) * SECOND)
            for i, row in enumerate(ACCOUNTS, 1)
        ],
    )
    for account_id, level in ((SHOPIFY, 1_580), (AMAZON, 6.2), (EBAY, 0.9), (ETSY, 8.8)):
        size = 2_000 if account_id == SHOPIFY else 10
        state = {"at": from_us(now).isoformat(), "rate_per_s": size / 20, "burst": size, "level": level, "paused_s": 0}
        tx.run(
            "INSERT INTO budget (tenant_id, account_id, name, state) VALUES (1, :a, 'calls', :s)",
            a=account_id,
            s=json.dumps(state),
        )
