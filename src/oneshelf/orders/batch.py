"""What one batch of order news has loaded, and what it will write: the table that the steps of booking work on.

In: the news, rows. Out: rows and entries changed in memory. Never: decides; writes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from oneshelf.core.facts import OrderSeen
from oneshelf.core.stock import Entry, Level
from oneshelf.db.tx import Tx, next_values
from oneshelf.listings.links import Tie, ties_for
from oneshelf.listings.risk import locations_of
from oneshelf.routing import deciding
from oneshelf.stock.levels import levels_of, locations_in_scope

from .accounts import Account, external_key, load_accounts, parse_external_key
from .pace import Counter
from .rows import LineRow, OrderRow, load_lines, load_orders, load_orders_by_no

#: What a hub order must stand for so that it is a copy: an order that our ledger counts. Else it counts itself (S0.6, S14.2).
_COPIED = ("live", "ask")


class Heard(msgspec.Struct, frozen=True, gc=False):
    """An order snapshot with how and when it reached us."""

    account_id: int
    order: OrderSeen
    received_at: int
    fetched_at: int
    source: str
    #: Book it although this very snapshot was seen (a listing was linked meanwhile).
    again: bool = False

    @property
    def was_read(self) -> bool:
        """Whether we asked for it; else the channel sent it, when the order changed, and it may have been long on its way."""
        return self.source in ("poll", "read")


def heard_again(order: OrderRow) -> Heard:
    """What is kept of a stored order, as if it were heard once more: to book what the world around it has changed."""
    return Heard(
        account_id=order.account_id,
        order=msgspec.json.decode(order.document, type=OrderSeen),
        received_at=order.received_at,
        fetched_at=order.fetched_at or order.received_at,
        source=order.source,
        again=True,
    )


class Batch:
    """What one batch has loaded, and what it will write."""

    def __init__(self, tx: Tx, tenant_id: int, heard: Sequence[Heard], now: int) -> None:
        self.tx = tx
        self.tenant_id = tenant_id
        self.now = now
        self.accounts = load_accounts(tx, tenant_id, disconnected=True)
        self.by_external = {(a.channel, a.external_id): a for a in self.accounts.values()}
        self.hub = next((a for a in self.accounts.values() if a.is_hub and a.is_connected), None)
        self.in_scope = locations_in_scope(tx, tenant_id)
        #: What decides where lines stand; None: the hub does, or there is one location.
        self.router = deciding.router(tx, tenant_id, now) if len(self.in_scope) > 1 else None
        self._serving = locations_of(tx, tenant_id) if len(self.in_scope) > 1 else {}
        self.decided: dict[int, deciding.Decision] = {}
        self.entries: list[Entry] = []
        self.new_takers: list[tuple[LineRow, int, int]] = []  # line, placed_at, pieces newly taken
        self.dirty_lines: dict[tuple[int, str, str], LineRow] = {}
        self.dirty_orders: dict[int, OrderRow] = {}
        self.gone_lines: list[tuple[int, str]] = []
        self.reread_outlets: set[int] = set()
        self.documents: dict[int, OrderSeen] = {}  # order number → its document, of those that this batch wrote
        self.new_orders: list[OrderRow] = []
        #: SKUs of which the hub sends pieces from elsewhere than we knew: its levels may have told us so before.
        self.moved_by_hub: set[str] = set()
        self.touched: set[str] = set()  # SKUs of which a line changed, with or without an entry
        self.paces = Counter()
        self._kept_back: dict[tuple[str, str], int] | None = None
        self._ahead: dict[int, int] = {}
        self.on_copy: dict[str, int] = {}  # line key → pieces still open on its hub copy
        #: Hub orders that were booked for themselves, before the order that they copy was heard (S14.2): booked again after this batch.
        self.heard_first: list[int] = []
        self._load(heard)

    def _load(self, heard: Sequence[Heard]) -> None:
        keys = {(h.account_id, h.order.order_id) for h in heard}
        self._heard_keys = keys
        self._named_plainly = self._orders_named_plainly(heard)
        copied = {key for h in heard if (key := self.copied_order(h)) is not None}
        self.orders = load_orders(self.tx, self.tenant_id, keys | copied)
        numbers = [order.order_no for order in self.orders.values()]
        self.lines = load_lines(self.tx, self.tenant_id, numbers)
        self.routes = deciding.newest(self.tx, self.tenant_id, numbers) if self.router is not None and numbers else {}
        fresh = sorted(keys - self.orders.keys())
        self.numbers = dict(
            zip(fresh, next_values(self.tx, self.tenant_id, "orders", len(fresh)) if fresh else (), strict=True)
        )
        self.naming = self._hub_orders_that_name(fresh)
        self.ties = self._load_ties(heard)
        skus = {sku for ties in self.ties.values() for tie in ties.values() for sku in tie.parts}
        skus |= {sku for lines in self.lines.values() for _, sku in lines if sku}
        self.levels: dict[tuple[str, str], Level] = levels_of(self.tx, self.tenant_id, skus)
        self.shipped_keys = self._known_shipments(heard)

    def _load_ties(self, heard: Sequence[Heard]) -> dict[int, dict[str, Tie]]:
        names: dict[int, set[str]] = {}
        for h in heard:
            names.setdefault(h.account_id, set()).update(key for line in h.order.lines for key in line.listing_keys)
        return {
            account_id: ties_for(self.tx, self.tenant_id, account_id, sorted(keys))
            for account_id, keys in names.items()
        }

    def _orders_named_plainly(self, heard: Sequence[Heard]) -> dict[str, tuple[int, str]]:
        """S14.2: a copy made by somebody else names its order by the marketplace's own id. Only an id that one account has counts."""
        names = {
            h.order.copy_of_key
            for h in heard
            if h.order.copy_of_key
            and self.accounts[h.account_id].is_hub
            and not parse_external_key(h.order.copy_of_key)
        }
        return {
            order_id: (account_ids.pop(), order_id)
            for order_id, account_ids in self._marketplaces_with(names).items()
            if len(account_ids) == 1
        }

    def _marketplaces_with(self, order_ids: Collection[str]) -> dict[str, set[int]]:
        """Return the marketplace accounts that have an order of such an id, stored or heard in this batch."""
        if not order_ids:
            return {}
        stored = self.tx.all(
            "SELECT account_id, order_id FROM orders WHERE tenant_id = :t AND order_id {in:ids}",
            t=self.tenant_id,
            ids=sorted(order_ids),
        )
        found: dict[str, set[int]] = {}
        for account_id, order_id in [*stored, *self._heard_keys]:
            if order_id in order_ids and not self.accounts[account_id].is_hub:
                found.setdefault(order_id, set()).add(account_id)
        return found

    def _hub_orders_that_name(self, fresh: Sequence[tuple[int, str]]) -> dict[str, tuple[int, str]]:
        """Return the stored hub orders (number, id) that name a marketplace order which we only now hear of, by the name that they use
        (S0.6, S14.2)."""
        ours = [(a, order_id) for a, order_id in fresh if not self.accounts[a].is_hub]
        keys = [key for a, order_id in ours for key in (external_key(self.accounts[a], order_id), order_id)]
        if not keys:
            return {}
        rows = self.tx.all(
            "SELECT copy_key, order_no, order_id FROM orders WHERE tenant_id = :t AND copy_key {in:keys} AND copy_key <> ''",
            t=self.tenant_id,
            keys=keys,
        )
        return {key: (order_no, order_id) for key, order_no, order_id in rows}

    def _known_shipments(self, heard: Sequence[Heard]) -> set[str]:
        """Which of the shipments that these snapshots show have moved stock already."""
        ids = {s.shipment_id for h in heard if self.accounts[h.account_id].is_hub for s in h.order.shipments}
        if not ids:
            return set()
        keys = []
        for h in heard:
            for shipment in h.order.shipments:
                for line in self._lines_shipped_with(h):
                    keys += [f"ship:{line.key}:{shipment.shipment_id}", f"unship:{line.key}:{shipment.shipment_id}"]
        rows = self.tx.all(
            "SELECT entry_key FROM ledger_entry WHERE tenant_id = :t AND entry_key {in:keys}",
            t=self.tenant_id,
            keys=keys,
        )
        return {key for (key,) in rows}

    def _lines_shipped_with(self, h: Heard) -> list[LineRow]:
        """The stored lines that the fulfilments of this hub order may ship: its own, and those of the order that it names."""
        found: list[LineRow] = []
        for key in ((h.account_id, h.order.order_id), self.copied_order(h)):
            order = None if key is None else self.orders.get(key)
            if order is not None:
                found += self.lines.get(order.order_no, {}).values()
        return found

    def copied_order(self, h: Heard) -> tuple[int, str] | None:
        """Return (account id, order id) of the marketplace order that this hub order names, if it is one of ours."""
        if h.order.copy_of_key is None or not self.accounts[h.account_id].is_hub:
            return None
        parsed = parse_external_key(h.order.copy_of_key)
        if parsed is None:
            return self._named_plainly.get(h.order.copy_of_key)
        account = self.by_external.get((parsed[0], parsed[1]))  # type: ignore[arg-type]
        return None if account is None else (account.account_id, parsed[2])

    def serving(self, account_id: int) -> list[str]:
        """Return the locations that serve an account (S0.2), the most important first; all, if those that do have closed: what is sold is
        counted somewhere."""
        only = self._serving.get(account_id)
        return self.in_scope if only is None else [one for one in self.in_scope if one in only] or self.in_scope

    def source_of(self, h: Heard) -> OrderRow | None:
        """Return the stored marketplace order that this hub order is the copy of, None if it counts by itself."""
        copied = self.copied_order(h)
        source = None if copied is None else self.orders.get(copied)
        return source if source is not None and source.standing in _COPIED else None

    def kept_back(self, sku: str, location_id: str) -> int:
        """Return how many pieces the shop had committed before us, for orders that we have not heard of (S0.5)."""
        if self._kept_back is None:
            rows = self.tx.all(
                "SELECT sku, location_id, pull FROM hub_level WHERE tenant_id = :t AND pull > 0", t=self.tenant_id
            )
            self._kept_back = {(sku, place): pull for sku, place, pull in rows}
        return self._kept_back.get((sku, location_id), 0)

    def named_by(self, account: Account, order_id: str) -> tuple[int, str] | None:
        """Return the hub order (its number, its id) that was heard before this marketplace order and names it: by our key, or by the
        marketplace's own id where no other account has such an order."""
        by_key = self.naming.get(external_key(account, order_id))
        if by_key is not None or order_id not in self.naming:
            return by_key
        is_its_alone = self._marketplaces_with({order_id}).get(order_id, set()) <= {account.account_id}
        return self.naming[order_id] if is_its_alone else None

    def may_stand_for_another(self, order_no: int) -> bool:
        """Whether this hub order, booked for itself, may still become the copy of the order that it names: no parcel has left it."""
        own = next((order for order in self.orders.values() if order.order_no == order_no), None)
        order = own or load_orders_by_no(self.tx, self.tenant_id, [order_no])[order_no]
        lines = self.lines.get(order_no) or load_lines(self.tx, self.tenant_id, [order_no]).get(order_no, {})
        return order.standing == "live" and not any(line.shipped for line in lines.values())

    def ahead(self, account_id: int) -> int:
        """Return by how much a channel's clock is ahead of ours, when that was last known, microseconds."""
        if account_id not in self._ahead:
            row = self.tx.one(
                "SELECT ahead FROM channel_window WHERE tenant_id = :t AND account_id = :a",
                t=self.tenant_id,
                a=account_id,
            )
            self._ahead[account_id] = 0 if row is None else int(row[0])
        return self._ahead[account_id]

    def let_go(self, sku: str, location_id: str, pieces: int) -> None:
        """So many of these are kept back no more."""
        assert self._kept_back is not None
        self._kept_back[(sku, location_id)] -= pieces
        self.tx.run(
            "UPDATE hub_level SET pull = pull - :n WHERE tenant_id = :t AND sku = :s AND location_id = :l",
            n=pieces,
            t=self.tenant_id,
            s=sku,
            l=location_id,
        )

    def move(self, entry: Entry) -> None:
        """Take an entry up: it will be posted, and later choices in this batch see it."""
        if entry.moves_nothing:
            return
        self.entries.append(entry)
        where = (entry.sku, entry.location_id)
        level = self.levels.get(where)
        if level is None:
            level = self.levels[where] = Level()
        level.add(entry)
