"""The engine's steps around a small shop, without a network: the harness of the scenario tests.

In: facts of four channels, a fake shop. Out: levels, claims, offers; and a checker of the invariants with arithmetic of its own.
Never: decides for the engine; it only calls its steps in the order in which the loops would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from tests.scenario.fake_hub import Cell, FakeHub

from oneshelf.channels.contract import Capabilities, Cursor, HubLevel, ListingFound, Page, RawMessage
from oneshelf.core.facts import (
    Fact,
    LineSeen,
    Money,
    OrderSeen,
    OrderTotals,
    Payment,
    ShipmentSeen,
)
from oneshelf.core.instants import SECOND, from_us, to_us
from oneshelf.core.outcome import Outcome, Throttled, Unknown
from oneshelf.db.store import Store, transaction
from oneshelf.imports import changes, copy_orders, moves, rerouting
from oneshelf.intake.handle import Handled, handle
from oneshelf.intake.inbox import Raw, delivery_key, keep
from oneshelf.intake.poll import keep_page
from oneshelf.listings import links, policy
from oneshelf.orders import intents, provisional
from oneshelf.orders.accounts import load_accounts
from oneshelf.publish import ticking
from oneshelf.publish.numbers import numbers_of
from oneshelf.publish.waking import wake
from oneshelf.reconcile import expectation, opening
from oneshelf.reconcile import hub as reconcile
from oneshelf.tenants.accounts import add_account, ensure_tenant, set_state

TENANT = 1
START = datetime(2026, 11, 20, 14, 0, 0, tzinfo=UTC)
SHOP, AMAZON, EBAY, ETSY = 1, 2, 3, 4
CHANNELS = {SHOP: "shopify", AMAZON: "amazon", EBAY: "ebay", ETSY: "etsy"}
EXTERNAL = {SHOP: "shop.example", AMAZON: "SELLER-eu", EBAY: "ebay-user", ETSY: "77"}
CAN = {
    SHOP: Capabilities("compare_and_set", 1, 250, 1.0, 10.0, 10.0, has_webhooks=True),
    AMAZON: Capabilities("absolute", 1, 20, 15.0, 150.0, 180.0, has_webhooks=False),
    EBAY: Capabilities("absolute", 25, 25, 2.0, 30.0, 20.0, has_webhooks=True),
    ETSY: Capabilities("absolute", 1, 100, 1.0, 30.0, 60.0, has_webhooks=True, max_quantity=999),
}
_facts = msgspec.json.Decoder(list[Fact])

#: What a test may do to a call: "ok"; "lost_answer": done, but nobody hears; "lost_request": never arrived; "throttle".
Fault = Callable[[str], str]


def no_fault(_kind: str) -> str:
    return "ok"


class FactParser:
    """Messages that are facts already: so that everything goes through the inbox and `handle`."""

    def parse(self, message: RawMessage) -> list[Fact]:
        return _facts.decode(message.body)


def key_of(account_id: int, order_id: str) -> str:
    return f"{CHANNELS[account_id]}:{EXTERNAL[account_id]}:{order_id}"


class World:
    """One tenant: a shop with two locations and one account on each marketplace."""

    def __init__(self, store: Store, *, says_location: bool = True) -> None:
        self.store = store
        self.now = to_us(START)
        self.hub = FakeHub(says_location)
        self.handled = Handled()
        self._reads = 0
        with transaction(store) as tx:
            ensure_tenant(tx, TENANT, "A shop", self.now)
            for account_id, channel in CHANNELS.items():
                made = add_account(
                    tx,
                    TENANT,
                    channel=channel,
                    external_id=EXTERNAL[account_id],
                    label=channel.title(),
                    settings={},
                    currency="EUR",
                    now=self.now,
                )
                assert made == account_id
            for priority, location_id in enumerate(("L1", "L2")):
                tx.run(
                    "INSERT INTO location (tenant_id, location_id, name, priority) VALUES (1, :l, :l, :p)",
                    l=location_id,
                    p=priority,
                )

    # --- setting up ---------------------------------------------------------------------------------------------------------

    def item(self, sku: str, on_hand: int | None = None, *, price_minor: int = 1000, **at: int) -> None:
        """Make a SKU in the shop, listed everywhere under its own name. `on_hand` lies at L1, or say L1=…, L2=…"""
        with transaction(self.store) as tx:
            tx.run(
                "INSERT INTO item (tenant_id, sku, title, variant_id, item_id, price_minor, currency) "
                "VALUES (1, :s, :s, :v, :i, :p, 'EUR')",
                s=sku,
                v=f"variant-{sku}",
                i=f"item-{sku}",
                p=price_minor,
            )
        for account_id in CHANNELS:
            self.list(account_id, sku, {sku: 1})
        for location_id, pieces in (at or {"L1": on_hand or 0}).items():
            self.hub.cell(sku, location_id).on_hand += pieces

    def list(self, account_id: int, name: str, parts: dict[str, int] | None, **more: Any) -> int:
        """Put a listing up on a channel and tie it to its parts (None: leave it unlinked). Returns the outlet's id."""
        found = ListingFound(
            outlet_external_id=name,
            write_unit=name,
            listing_keys=(f"sku:{name}",),
            sku=name,
            title=name,
            quantity=None,
            **more,
        )
        with transaction(self.store) as tx:
            links.keep_listings(tx, TENANT, account_id, [found], self.now)
        outlet_id = self.outlet(account_id, name)
        if parts is not None:
            self.link(outlet_id, parts)
        return outlet_id

    def link(self, outlet_id: int, parts: dict[str, int]) -> None:
        with transaction(self.store) as tx:
            links.link(tx, TENANT, outlet_id, parts, self.now, by="a test")

    def outlet(self, account_id: int, name: str) -> int:
        return int(
            self.value("SELECT outlet_id FROM outlet WHERE account_id = :a AND external_id = :e", a=account_id, e=name)
        )

    def live(self, *account_ids: int) -> None:
        with transaction(self.store) as tx:
            for account_id in account_ids or CHANNELS:
                set_state(tx, TENANT, account_id, "LIVE", self.now)

    def open(self, *account_ids: int) -> World:
        """First load of what the shop has now (S0.4, S0.5), then every account live. Two seconds pass."""
        self.open_stock()
        self.handle()
        self.settle_opening()
        self.live()
        self.read(*{sku for sku, _ in self.hub.cells})
        self.tick(2)
        return self

    def open_stock(self) -> None:
        with transaction(self.store) as tx:
            hub = load_accounts(tx, TENANT)[SHOP]
            opening.open_stock(tx, TENANT, hub, self._levels(), self.now)

    def settle_opening(self) -> None:
        with transaction(self.store) as tx:
            hub = load_accounts(tx, TENANT)[SHOP]
            opening.settle_opening(tx, TENANT, hub, self._read(self._levels()), self.now)

    def safety(self, account_id: int, pieces: int) -> None:
        with transaction(self.store) as tx:
            policy.set_rule(tx, TENANT, account_id, "", self.now, by="a test", safety_stock=pieces)

    # --- time and news ------------------------------------------------------------------------------------------------------

    def tick(self, seconds: float = 1) -> int:
        self.now += int(seconds * SECOND)
        return self.now

    def hear(self, account_id: int, *facts: Fact, handled: bool = True, source: str = "webhook") -> None:
        """A message with these facts arrives (each call another delivery), and is handled."""
        body = msgspec.json.encode(list(facts))
        key = delivery_key("orders", f"{self.value('SELECT COUNT(*) FROM inbox')}", body)
        with transaction(self.store) as tx:
            keep(tx, [Raw(TENANT, account_id, "orders", key, source, {}, body, self.now)])
        if handled:
            self.handle()

    def handle(self, limit: int = 256) -> Handled:
        with transaction(self.store) as tx:
            self.handled = handle(tx, TENANT, dict.fromkeys(CHANNELS, FactParser()), self.now, limit)
        return self.handled

    def hub_news(self) -> None:
        """Everything that changed in the shop is told, each order as it stands now."""
        changed, self.hub.changed = list(dict.fromkeys(self.hub.changed)), []
        for order_id in changed:
            self.hear(SHOP, self.hub.snapshot(order_id))

    def complete(
        self, *account_ids: int, through: int | None = None, handled: bool = True, searched: bool = True
    ) -> None:
        """A poll of these accounts (none: all) has finished: complete through an instant [now]. `searched`: orders that are looked for
        once more (9.4) are not there either."""
        page = Page((), Cursor(from_us(self.now)), from_us(self.now if through is None else through))
        with transaction(self.store) as tx:
            for account_id in account_ids or CHANNELS:
                keep_page(tx, TENANT, account_id, page, self.now)
        if handled:
            self.handle()
        if (
            handled
            and searched
            and self.rows("UPDATE intent SET state = 'DONE' WHERE kind = 'find_orders' RETURNING 1")
        ):
            self.handle()

    # --- reads of the hub ---------------------------------------------------------------------------------------------------

    def _levels(self, *skus: str) -> list[HubLevel]:
        return self.hub.levels(skus or {sku for sku, _ in self.hub.cells}, self.now)

    def _read(self, levels: list[HubLevel]) -> reconcile.Read:
        self._reads += 1
        return reconcile.Read(levels, self.now, f"r{self._reads}")

    def ask(self, *skus: str) -> reconcile.Read:
        """Read the shop; the answer is judged later."""
        return self._read(self._levels(*skus))

    def judge(self, read: reconcile.Read) -> reconcile.Told:
        with transaction(self.store) as tx:
            return reconcile.judge_read(tx, TENANT, load_accounts(tx, TENANT)[SHOP], read, self.now)

    def read(self, *skus: str) -> reconcile.Told:
        """Read the shop and judge it at once."""
        return self.judge(self.ask(*skus))

    def read_wanted(self) -> int:
        """What the loop of reconcile does: read what somebody wants read. Returns how many items."""
        with transaction(self.store) as tx:
            reconcile.want_due_reads(tx, TENANT, load_accounts(tx, TENANT)[SHOP])
            item_ids = reconcile.wanted_items(tx, TENANT)
        if item_ids:
            self.read(*(item_id.removeprefix("item-") for item_id in item_ids))
        return len(item_ids)

    def export(self) -> int:
        """A bulk export of all levels; returns how many differ from what is expected."""
        with transaction(self.store) as tx:
            return reconcile.compare_export(tx, TENANT, load_accounts(tx, TENANT)[SHOP], self._levels(), self.now)

    def missed_at(self, account_id: int, name: str, units: int) -> None:
        """A read of a marketplace outlet shows so many fewer than believed (publish calls this)."""
        self._reads += 1
        outlet_id = self.outlet(account_id, name)
        with transaction(self.store) as tx:
            provisional.hold_unseen(
                tx,
                TENANT,
                account_id=account_id,
                outlet_id=outlet_id,
                units=units,
                read_at=self.now,
                read_id=f"r{self._reads}",
                now=self.now,
            )

    # --- what we do in the hub ----------------------------------------------------------------------------------------------

    def plan_moves(self) -> moves.MoveCall | None:
        with transaction(self.store) as tx:
            moves.hold_what_waits(tx, TENANT, self.now)
            return moves.plan(tx, TENANT, self.now)

    def plan_import(self) -> copy_orders.CreateCall | copy_orders.FindCall | None:
        with transaction(self.store) as tx:
            return copy_orders.plan(tx, TENANT, self.now)

    def plan_correction(self) -> copy_orders.CorrectCall | None:
        with transaction(self.store) as tx:
            return copy_orders.plan_correction(tx, TENANT, self.now)

    def plan_change(self) -> changes.ChangeCall | None:
        with transaction(self.store) as tx:
            return changes.plan(tx, TENANT, self.now)

    def plan_fulfilment(self) -> changes.FulfilCall | None:
        with transaction(self.store) as tx:
            return changes.plan_fulfilment(tx, TENANT, self.now)

    def plan_reroute(self) -> rerouting.RerouteCall | None:
        with transaction(self.store) as tx:
            return rerouting.plan(tx, TENANT, self.now)

    def settle(self, call: Any, outcome: Outcome) -> None:
        step: Any = {
            rerouting.RerouteCall: rerouting.settle,
            changes.ChangeCall: changes.settle,
            changes.FulfilCall: changes.settle_fulfilment,
            moves.MoveCall: moves.settle,
            copy_orders.CreateCall: copy_orders.settle_create,
            copy_orders.CorrectCall: copy_orders.settle_correction,
        }[type(call)]
        with transaction(self.store) as tx:
            step(tx, TENANT, call, outcome, self.now)

    def settle_find(self, call: copy_orders.FindCall, problem: str = "") -> None:
        found = None if problem else self.hub.find_copy(call.external_key)
        with transaction(self.store) as tx:
            copy_orders.settle_find(tx, TENANT, call, found, problem, self.now)

    def do(self, call: Any) -> Outcome:
        """Let the shop do what a call asks; nobody has heard the answer yet."""
        if isinstance(call, moves.MoveCall):
            return self.hub.move(call.moves, call.batch.idempotency_key)
        if isinstance(call, copy_orders.CreateCall):
            return self.hub.create_order(call.draft, self.now, ignore_policy=call.ignore_policy)
        if isinstance(call, changes.ChangeCall):
            return self.hub.change_copy(call.hub_order_id, call.change, self.now)
        if isinstance(call, changes.FulfilCall):
            return self.hub.fulfil_copy(call.hub_order_id, call.parcel, self.now)
        if isinstance(call, rerouting.RerouteCall):
            return self.hub.move_copy(call.hub_order_id, call.wanted, self.now)
        if call.pieces is None:
            return self.hub.cancel_copy(call.hub_order_id, self.now)
        return self.hub.remove_pieces(call.hub_order_id, call.pieces, call.intent.idempotency_key, self.now)

    def carry_out(self, call: Any, fault: Fault = no_fault) -> None:
        kind = type(call).__name__
        if isinstance(call, copy_orders.FindCall):
            self.settle_find(call, "no answer" if fault(kind) != "ok" else "")
            return
        how = fault(kind)
        if how == "throttle":
            self.settle(call, Throttled(1.0, "slow down"))
        elif how == "lost_request":
            self.settle(call, Unknown("timed out"))
        else:
            outcome = self.do(call)
            self.settle(call, Unknown("timed out") if how == "lost_answer" else outcome)

    def run_hub(self, fault: Fault = no_fault, *, calls_max: int = 200) -> int:
        """Carry out everything that is due in the shop now. Returns how many calls that took."""
        for done in range(calls_max):
            call: Any = self.plan_moves() or self.plan_correction() or self.plan_import()
            call = call or self.plan_change() or self.plan_fulfilment() or self.plan_reroute()
            if call is None:
                return done
            self.carry_out(call, fault)
        raise AssertionError(f"still calling after {calls_max} calls")

    def restart(self) -> None:
        """The process died and starts again: what was under way may have been done (I17)."""
        with transaction(self.store) as tx:
            intents.recover(tx, TENANT)

    def to_rest(self, rounds: int = 40) -> None:
        """No outside facts any more: news arrives, feeds finish, calls are answered, reads are judged, until nothing moves."""
        for _ in range(rounds):
            self.tick(61)
            self.hub_news()
            self.complete()
            calls = self.run_hub()
            self.export()
            reads = self.read_wanted()
            if not calls and not reads and not self.hub.changed and self.quiet():
                return
        raise AssertionError(f"not at rest after {rounds} rounds: {self.open_intents()}")

    def quiet(self) -> bool:
        return not self.open_intents() and not self.value("SELECT COUNT(*) FROM provisional WHERE state = 'OPEN'")

    # --- what is there ------------------------------------------------------------------------------------------------------

    def rows(self, sql: str, **params: Any) -> list[tuple[Any, ...]]:
        with transaction(self.store) as tx:
            return tx.all(sql, **params)

    def value(self, sql: str, **params: Any) -> Any:
        return self.rows(sql, **params)[0][0]

    def level(self, sku: str, location_id: str | None = None) -> tuple[int, int, int, int]:
        """on_hand, committed, reserved, unavailable in the ledger, summed over the locations or of one."""
        rows = self.rows(
            "SELECT on_hand, committed, reserved, unavailable FROM stock_level WHERE sku = :s AND (CAST(:l AS TEXT) = '' OR location_id = :l)",
            s=sku,
            l=location_id or "",
        )
        return tuple(sum(row[i] for row in rows) for i in range(4))  # type: ignore[return-value]

    def k(self, sku: str, location_id: str | None = None) -> int:
        on_hand, committed, reserved, unavailable = self.level(sku, location_id)
        return on_hand - committed - reserved - unavailable

    def row(self, sku: str, location_id: str = "L1") -> str:
        """The shop's own row: on_hand/available/committed/reserved."""
        return self.hub.cells.get((sku, location_id), Cell()).row

    def offer(self, account_id: int, name: str) -> int:
        outlet_id = self.outlet(account_id, name)
        with transaction(self.store) as tx:
            return numbers_of(tx, TENANT, account_id, [outlet_id], CAN[account_id], self.now)[outlet_id].offer

    def wake(self) -> None:
        """What the loops of publish do first: every mark becomes a slot with its offer."""
        with transaction(self.store) as tx:
            for account_id in (AMAZON, EBAY, ETSY):
                wake(tx, TENANT, account_id, CAN[account_id], self.now)

    def heard(self, *, notified: bool = True) -> list[ticking.Heard]:
        return [ticking.Heard(a, can, can.poll_interval_s, notified) for a, can in CAN.items()]

    def planner_tick(self, *, dies: bool = False) -> tuple[list[str], int]:
        """What the planner's loop does at a step; `dies`: before it has planned. Returns (SKUs planned again, outlets that became dirty)."""
        with transaction(self.store) as tx:
            due = ticking.tick(tx, TENANT, self.heard(), self.now)
        if dies:
            return due.skus, 0
        with transaction(self.store) as tx:
            marked = ticking.plan_again(tx, TENANT, CAN, due.skus, self.now)
        with transaction(self.store) as tx:
            ticking.planned(tx, TENANT, due)
        return due.skus, marked

    def offers(self, name: str) -> tuple[int, int, int]:
        """What Amazon, eBay and Etsy ought to show."""
        return self.offer(AMAZON, name), self.offer(EBAY, name), self.offer(ETSY, name)

    def line(self, account_id: int, order_id: str, column: str = "state", sku: str = "") -> Any:
        """One column of the order's line (of the one of this SKU, or its only one)."""
        rows = self.rows(
            f"SELECT {column} FROM order_line WHERE account_id = :a AND order_id = :o AND (CAST(:s AS TEXT) = '' OR sku = :s)",
            a=account_id,
            o=order_id,
            s=sku,
        )
        assert len(rows) == 1, f"{len(rows)} lines of {order_id}"
        return rows[0][0]

    def order(self, account_id: int, order_id: str, column: str = "state") -> Any:
        return self.value(
            f"SELECT {column} FROM orders WHERE account_id = :a AND order_id = :o", a=account_id, o=order_id
        )

    def tasks(self, kind: str | None = None) -> list[str]:
        """Kinds of the tasks that are open (or those of one kind)."""
        rows = self.rows("SELECT kind FROM task WHERE closed_at IS NULL ORDER BY task_no")
        return [k for (k,) in rows if kind in (None, k)]

    def entries(self, prefix: str) -> list[str]:
        return [k for (k,) in self.rows("SELECT entry_key FROM ledger_entry ORDER BY entry_no") if k.startswith(prefix)]

    def open_intents(self) -> list[tuple[Any, ...]]:
        return self.rows(
            "SELECT kind, entity, state, reason FROM intent WHERE state IN ('WAITING', 'SENDING', 'UNKNOWN') "
            "AND kind <> 'fetch_order' ORDER BY intent_no"
        )

    def expected(self, sku: str, location_id: str = "L1") -> int:
        """What the engine expects the shop to show with nothing in flight (S9.5)."""
        with transaction(self.store) as tx:
            hub = load_accounts(tx, TENANT)[SHOP]
            return expectation.expected_at(tx, TENANT, hub, sku, location_id)


# --- facts ------------------------------------------------------------------------------------------------------------------


def order(
    order_id: str,
    at: int,
    *,
    paid: bool = True,
    updated: int | None = None,
    cancelled: bool = False,
    lines: Iterable[LineSeen] = (),
    price_minor: int = 1000,
    **pieces: int,
) -> OrderSeen:
    """A marketplace order of `pieces` units a listing, placed `at` (microseconds), last changed `updated` [at]. With its money."""
    made = tuple(lines) or tuple(
        LineSeen(name, (f"sku:{name}",), n, sku=name, title=name, subtotal=Money(price_minor * n, "EUR"))
        for name, n in pieces.items()
    )
    items = sum(line.subtotal.minor for line in made if line.subtotal)
    none = Money(0, "EUR")
    return OrderSeen(
        order_id=order_id,
        payment=Payment.PAID if paid else Payment.PENDING,
        lines=made,
        placed_at=from_us(at),
        updated_at=from_us(at if updated is None else updated),
        cancelled=cancelled,
        totals=OrderTotals(Money(items, "EUR"), none, none, none, Money(items, "EUR")),
    )


def changed(seen: OrderSeen, updated: int, *, cancelled_pieces: int = 0, shipped: int = 0, **more: Any) -> OrderSeen:
    """The same order later: pieces of its first line cancelled or shipped by its channel, other fields replaced."""
    first, *others = seen.lines
    if cancelled_pieces:
        first = msgspec.structs.replace(first, cancelled=cancelled_pieces)
    if shipped:
        first = msgspec.structs.replace(first, shipped=shipped)
        parcel = ShipmentSeen(f"P{updated}", from_us(updated), {first.line_id: shipped})
        more.setdefault("shipments", (*seen.shipments, parcel))
    return msgspec.structs.replace(seen, lines=(first, *others), updated_at=from_us(updated), **more)
