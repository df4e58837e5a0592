"""Orders decided and durable per second, beside a bare loop that writes the same rows in the same run (DESIGN 6).

Two figures of two things: `figure` is the real way (booked in batches of 256 through the writer, one commit each); `reference` is
`executemany` of the very rows that it left behind, into the same tables, in transactions of the same size, with nothing decided.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from oneshelf.core.facts import Address, BuyerSeen, LineSeen, Money, OrderSeen, OrderTotals, Payment
from oneshelf.core.instants import to_us
from oneshelf.core.stock import Entry
from oneshelf.db.store import Store, store_for, transaction
from oneshelf.db.tx import Tx, in_chunks
from oneshelf.orders.batch import Heard
from oneshelf.orders.book import book
from oneshelf.stock import ledger
from oneshelf.tenants.accounts import FIRST_TENANT

BATCH = 256
START = datetime(2026, 11, 23, 14, 0, 0, tzinfo=UTC)
#: What booking an order writes; the reference loop writes the same rows.
TABLES = (
    *("orders", "order_line", "ledger_entry", "stock_level", "claim", "intent", "dirty_listing", "pace"),
    *("customer", "customer_sign", "customer_order", "stage_change"),
)
#: One order of three is by a buyer who bought before.
PEOPLE_AN_ORDER = 2 / 3


class Result(msgspec.Struct):
    """Orders a second. `ratio` = figure ÷ reference. `rows`: rows left in the tables by these orders."""

    figure: float
    reference: float
    ratio: float
    orders: int
    skus: int
    lines: int
    rows: int
    dialect: str
    hot: float | None = None
    hot_ratio: float | None = None


def run_orders(*, orders: int, skus: int, database_url: str | None) -> Result:
    """Measure. A fresh SQLite file in a temporary folder unless a database is given (it must be empty)."""
    with tempfile.TemporaryDirectory(prefix="oneshelf-bench-") as folder:
        url = database_url or f"sqlite:///{Path(folder) / 'bench.db'}"
        store = store_for(url)
        store.open()
        try:
            _lay_out(store, skus)
            batches = list(_batches(_orders(orders, skus, seed=7)))
            took, lines = _book_all(store, batches)
            rows = _rows(store)
            bare = _write_bare(store, rows, len(batches))
            hot = _book_all(store, list(_batches(_orders(orders // 4, 1, seed=8, first=orders))))[0]
        finally:
            store.close()
    figure, reference, hot_figure = orders / took, orders / bare, (orders // 4) / hot
    return Result(
        figure=round(figure),
        reference=round(reference),
        ratio=round(figure / reference, 3),
        orders=orders,
        skus=skus,
        lines=lines,
        rows=sum(len(some) for some in rows.values()),
        dialect=store.dialect,
        hot=round(hot_figure),
        hot_ratio=round(hot_figure / figure, 2),
    )


def _lay_out(store: Store, skus: int) -> None:
    """A shop with one location and a marketplace account whose listings are all linked."""
    now = to_us(START)
    t = FIRST_TENANT
    with transaction(store) as tx:
        tx.run("INSERT INTO tenant (tenant_id, name, created_at) VALUES (:t, 'bench', :now)", t=t, now=now)
        for account_id, channel in ((1, "shopify"), (2, "ebay"), (3, "etsy")):
            tx.run(
                """INSERT INTO account (tenant_id, account_id, channel, external_id, label, state, connected_at, live_at, opened_at)
                   VALUES (:t, :a, :c, 'bench', :c, 'LIVE', :now, :now, :now)""",
                t=t,
                a=account_id,
                c=channel,
                now=now,
            )
        tx.run("INSERT INTO location (tenant_id, location_id, name) VALUES (:t, 'L1', 'Shelf')", t=t)
        for chunk in in_chunks(((t, f"SKU-{i}", f"item-{i}") for i in range(skus)), 1000):
            tx.many("INSERT INTO item (tenant_id, sku, item_id) VALUES (?, ?, ?)", chunk)
        for account_id in (2, 3):
            base = account_id * 1_000_000
            tx.many(
                "INSERT INTO outlet (tenant_id, outlet_id, account_id, external_id, write_unit, found_at) VALUES (?, ?, ?, ?, ?, ?)",
                [(t, base + i, account_id, f"SKU-{i}", f"SKU-{i}", now) for i in range(skus)],
            )
            tx.many(
                "INSERT INTO listing_key (tenant_id, account_id, listing_key, outlet_id) VALUES (?, ?, ?, ?)",
                [(t, account_id, f"sku:SKU-{i}", base + i) for i in range(skus)],
            )
            tx.many(
                "INSERT INTO link (tenant_id, outlet_id, sku, units) VALUES (?, ?, ?, 1)",
                [(t, base + i, f"SKU-{i}") for i in range(skus)],
            )
        entries = [
            Entry(key=f"open:item-{i}:L1", sku=f"SKU-{i}", location_id="L1", reason="first count", on_hand=1_000_000)
            for i in range(skus)
        ]
        for start in range(0, skus, 1000):
            ledger.post(tx, t, entries[start : start + 1000], now)


def _orders(count: int, skus: int, *, seed: int, first: int = 0) -> Iterator[Heard]:
    """Paid orders of 1 to 3 lines over the SKUs, as a connector would have parsed them."""
    chance = random.Random(seed)
    for n in range(first, first + count):
        placed_at = START + timedelta(milliseconds=n + 1)
        names = [f"SKU-{chance.randrange(skus)}" for _ in range(chance.randint(1, 3))]
        lines = tuple(
            LineSeen(line_id=str(i), listing_keys=(f"sku:{sku}",), ordered=1, sku=sku, subtotal=Money(1999, "USD"))
            for i, sku in enumerate(names)
        )
        items, nothing = Money(1999 * len(lines), "USD"), Money(0, "USD")
        order = OrderSeen(
            order_id=f"O-{n}",
            payment=Payment.PAID,
            lines=lines,
            placed_at=placed_at,
            updated_at=placed_at,
            buyer=(buyer := _buyer(chance.randrange(1 + round(count * PEOPLE_AN_ORDER)))),
            ship_to=Address(name=buyer.name, line1="1 Road", city="Portland", postal_code="97205", country="US"),
            totals=OrderTotals(items=items, shipping=nothing, tax=nothing, discount=nothing, total=items),
        )
        received_at = to_us(placed_at) + 1000
        yield Heard(2, order, received_at, received_at, "webhook")


def _buyer(n: int) -> BuyerSeen:
    return BuyerSeen(
        channel_buyer_id=f"buyer-{n}",
        name=f"Ada Buyer{n}",
        email=f"ada{n}@example.com",
        phone=f"+1503555{n % 10_000:04d}",
    )


def _batches(orders: Iterator[Heard]) -> Iterator[list[Heard]]:
    batch: list[Heard] = []
    for heard in orders:
        batch.append(heard)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _book_all(store: Store, batches: list[list[Heard]]) -> tuple[float, int]:
    """Book every batch, one commit each; return the seconds and how many lines that were."""
    started = time.perf_counter()
    for batch in batches:
        with transaction(store) as tx:
            book(tx, FIRST_TENANT, batch, batch[-1].received_at)
    took = time.perf_counter() - started
    return took, sum(len(heard.order.lines) for batch in batches for heard in batch)


def _rows(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """What the orders left behind, table by table."""
    with transaction(store) as tx:
        return {table: _rows_of(tx, table) for table in TABLES}


def _rows_of(tx: Tx, table: str) -> list[tuple[Any, ...]]:
    if table == "ledger_entry":
        return tx.all("SELECT * FROM ledger_entry WHERE order_no IS NOT NULL ORDER BY entry_no")
    return tx.all(f"SELECT * FROM {table}")


def _write_bare(store: Store, rows: dict[str, list[tuple[Any, ...]]], transactions: int) -> float:
    """Write the same rows again under another tenant's number: no reading, nothing decided, the same number of commits."""
    other = FIRST_TENANT + 1
    again = {table: [(other, *row[1:]) for row in some] for table, some in rows.items()}
    sizes = {table: -(-len(some) // transactions) for table, some in again.items()}
    started = time.perf_counter()
    for n in range(transactions):
        with transaction(store) as tx:
            for table, some in again.items():
                part = some[n * sizes[table] : (n + 1) * sizes[table]]
                if part:
                    tx.many(f"INSERT INTO {table} VALUES ({', '.join('?' * len(part[0]))})", part)
    return time.perf_counter() - started


def tell_orders(result: Result, out: Console) -> None:
    """The result for people."""
    out.print(
        f"{result.figure:,.0f} orders a second decided and durable ({result.dialect}); a bare loop writing the same "
        f"{result.rows:,} rows: {result.reference:,.0f}. Ratio {result.ratio:.2f}. One hot SKU: {result.hot:,.0f}.",
        highlight=False,
    )
