"""Orders and lines as one batch holds them in memory: loaded set-based, changed in Python, written set-based (DESIGN D4)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from oneshelf.core.order import Counts, LineState
from oneshelf.db.tx import Tx


class OrderRow(msgspec.Struct, gc=False):
    """One row of `orders`, in the order of its columns. Instants in microseconds UTC."""

    order_no: int
    account_id: int
    order_id: str
    number: str
    placed_at: int
    placed_note: str
    received_at: int
    decided_at: int
    updated_at: int | None
    fetched_at: int | None
    was_read: int
    payment: str
    cancelled: int
    complete: int
    state: str
    source: str
    standing: str
    currency: str | None
    total_minor: int | None
    ship_by_at: int | None
    document: str
    person: str
    hub_order_id: str | None
    copy_of_order_no: int | None
    imported_at: int | None
    version: int
    copy_key: str
    erased_at: int | None = None


#: By value: a dictionary is asked in a fifth of the time that the enum takes, several times a line.
_STATES = {str(state): state for state in LineState}


class LineRow(msgspec.Struct, gc=False):
    """One row of `order_line`, in the order of its columns. Counts in pieces."""

    order_no: int
    line_id: str
    sku: str
    units_per_listing: int
    listing_keys: str
    title: str
    state: str
    ordered: int
    cancelled: int
    told_cancelled: int
    removed: int
    shipped: int
    told_shipped: int
    reserved: int
    committed: int
    location_id: str
    version: int
    outlet_id: int
    placed_s: int
    rank: int
    account_id: int
    order_id: str
    coverage: str
    short_since: int | None
    pin: int

    @property
    def key(self) -> str:
        """S4.2: channel account + order id + line id (+ SKU: a bundle's parts)."""
        return f"{self.account_id}/{self.order_id}/{self.line_id}/{self.sku}"

    @property
    def counts(self) -> Counts:
        return Counts(self.ordered, self.cancelled, self.shipped, self.told_shipped)

    @property
    def line_state(self) -> LineState:
        return _STATES[self.state]

    @property
    def in_order(self) -> LineState:
        """What it counts as in its order's state: what its channel shipped before it was linked is out of the house all the same."""
        gone = self.told_shipped > 0 and self.told_shipped >= self.ordered - self.cancelled
        return LineState.SHIPPED if gone and self.line_state is LineState.UNLINKED else self.line_state


_ORDER_COLUMNS = ", ".join(OrderRow.__struct_fields__)
_LINE_COLUMNS = ", ".join(LineRow.__struct_fields__)


def _upsert(table: str, fields: tuple[str, ...], keys: tuple[str, ...], fixed: tuple[str, ...]) -> str:
    columns = ("tenant_id", *fields)
    changes = ", ".join(f"{f} = excluded.{f}" for f in fields if f not in keys and f not in fixed)
    marks = ", ".join("?" * len(columns))
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) "
        f"ON CONFLICT (tenant_id, {', '.join(keys)}) DO UPDATE SET {changes}"
    )


_SAVE_ORDER = _upsert("orders", OrderRow.__struct_fields__, ("order_no",), ("account_id", "order_id", "received_at"))
_SAVE_LINE = _upsert(
    "order_line", LineRow.__struct_fields__, ("order_no", "line_id", "sku"), ("account_id", "order_id", "rank")
)


def load_orders(tx: Tx, tenant_id: int, keys: Iterable[tuple[int, str]]) -> dict[tuple[int, str], OrderRow]:
    """Return the stored orders of these (account id, order id)."""
    by_account: dict[int, list[str]] = {}
    for account_id, order_id in keys:
        by_account.setdefault(account_id, []).append(order_id)
    found: dict[tuple[int, str], OrderRow] = {}
    for account_id, order_ids in by_account.items():
        for row in tx.all(
            f"SELECT {_ORDER_COLUMNS} FROM orders WHERE tenant_id = :t AND account_id = :a AND order_id {{in:ids}}",
            t=tenant_id,
            a=account_id,
            ids=order_ids,
        ):
            order = OrderRow(*row)
            found[(account_id, order.order_id)] = order
    return found


def load_orders_by_no(tx: Tx, tenant_id: int, order_nos: Iterable[int]) -> dict[int, OrderRow]:
    """Return the stored orders of these numbers of ours."""
    rows = tx.all(
        f"SELECT {_ORDER_COLUMNS} FROM orders WHERE tenant_id = :t AND order_no {{in:nos}}",
        t=tenant_id,
        nos=list(order_nos),
    )
    return {row[0]: OrderRow(*row) for row in rows}


def load_lines(tx: Tx, tenant_id: int, order_nos: Iterable[int]) -> dict[int, dict[tuple[str, str], LineRow]]:
    """Return {order number: {(line id, sku): line}}."""
    found: dict[int, dict[tuple[str, str], LineRow]] = {}
    for row in tx.all(
        f"SELECT {_LINE_COLUMNS} FROM order_line WHERE tenant_id = :t AND order_no {{in:nos}}",
        t=tenant_id,
        nos=list(order_nos),
    ):
        line = LineRow(*row)
        found.setdefault(line.order_no, {})[(line.line_id, line.sku)] = line
    return found


#: States whose lines coverage walks (S6.1); X holds nothing.
WALKED = ("P", "O", "R", "M", "S")


def load_open_lines(tx: Tx, tenant_id: int, skus: Iterable[str], states: tuple[str, ...] = WALKED) -> list[LineRow]:
    """Return the lines that coverage walks: of these SKUs, in P, O, R, M or S, with pieces at a location in scope."""
    columns = ", ".join(f"l.{column}" for column in LineRow.__struct_fields__)
    rows = tx.all(
        f"""SELECT {columns} FROM order_line l JOIN location p ON p.tenant_id = l.tenant_id AND p.location_id = l.location_id
             WHERE l.tenant_id = :t AND l.sku {{in:skus}} AND l.state {{in:states}} AND l.reserved + l.committed > 0
               AND p.active = 1 AND p.in_scope = 1""",
        t=tenant_id,
        skus=list(skus),
        states=list(states),
    )
    return [LineRow(*row) for row in rows]


def save_orders(tx: Tx, tenant_id: int, orders: Iterable[OrderRow]) -> None:
    tx.many(_SAVE_ORDER, [(tenant_id, *msgspec.structs.astuple(order)) for order in orders])


def save_lines(tx: Tx, tenant_id: int, lines: Iterable[LineRow]) -> None:
    tx.many(_SAVE_LINE, [(tenant_id, *msgspec.structs.astuple(line)) for line in lines])
