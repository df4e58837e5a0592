"""A recorded inbox, played again into an empty shelf in virtual time: the moment of a message is the one at which it was received.

In: a file of `oneshelf inbox record`. Out: what became of its messages, the orders and the levels, and a hash over all of it.
Never: asks the machine for the time, a channel for anything, or writes a number: what was read meanwhile is in the recording too.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from oneshelf.channels.contract import ListingFound
from oneshelf.core.instants import SECOND
from oneshelf.db.store import Store, transaction
from oneshelf.db.tx import Tx
from oneshelf.intake.handle import Parses, handle
from oneshelf.intake.inbox import Raw, keep
from oneshelf.listings.links import keep_listings, link
from oneshelf.stock import ledger
from oneshelf.tenants.accounts import FIRST_TENANT, add_account, ensure_tenant
from oneshelf.watch.recording import (
    AccountLine,
    AnyLine,
    Began,
    Ended,
    ItemLine,
    ListingLine,
    LocationLine,
    MessageLine,
    NoRecording,
)
from oneshelf.wiring import build_channel

from .store import empty_store

#: What two replays have to agree in, row by row.
_HASHED = (
    "SELECT account_id, delivery_key, state, note, handled_at FROM inbox ORDER BY seq",
    "SELECT account_id, order_id, state, standing, payment, copy_of_order_no, hub_order_id FROM orders ORDER BY order_no",
    "SELECT order_no, line_id, sku, state, ordered, shipped, cancelled, reserved, committed FROM order_line ORDER BY order_no, line_id, sku",
    "SELECT entry_key, sku, location_id, on_hand, committed, reserved, posted_at FROM ledger_entry ORDER BY entry_no",
    "SELECT sku, location_id, on_hand, committed, reserved, unavailable FROM stock_level ORDER BY sku, location_id",
    "SELECT kind, entity, version, payload FROM intent ORDER BY intent_no",
)


class Levels(msgspec.Struct):
    """Pieces of a SKU over its locations. The shelf was empty: `on_hand` is what parcels took from it and returns brought back."""

    on_hand: int = 0
    committed: int = 0
    reserved: int = 0


class Played(msgspec.Struct):
    """How a replay ended. `handled` messages were used, `parked` were not; `new`: of an account that is never handled. `as_recorded`:
    orders and committed pieces are what the recorded shelf had; None: the recording does not begin with the first message."""

    messages: int = 0
    repeated: int = 0
    handled: int = 0
    parked: int = 0
    new: int = 0
    simulated_s: float = 0.0
    orders: int = 0
    orders_by_state: dict[str, int] = {}
    committed: int = 0
    levels: dict[str, Levels] = {}
    as_recorded: bool | None = None
    differs: list[str] = []
    breaches: list[str] = []
    hash: str = ""


def is_recording(file: Path) -> bool:
    """Whether a file given to --replay is a recorded inbox, and not a failure of the simulator."""
    with file.open("rb") as source:
        return source.readline().startswith(b'{"kind":"recording"')


def play_recording(lines: Iterable[AnyLine]) -> Played:
    """Play it. Raises NoRecording when the file contradicts itself."""
    with tempfile.TemporaryDirectory(prefix="oneshelf-replay-") as folder:
        store = empty_store(Path(folder))
        try:
            return _Player(store).play(lines)
        finally:
            store.close()


class _Player:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.done = Played()
        #: Recorded account → its number here, and its parser.
        self.accounts: dict[int, int] = {}
        self.parsers: dict[int, Parses] = {}
        self.began_at = 0
        self.now = 0
        self.all_of_it = True

    def play(self, lines: Iterable[AnyLine]) -> Played:
        """1. The shelf.  2. Each message at its moment, and what it makes.  3. The counts."""
        ended: Ended | None = None
        waiting: list[MessageLine] = []
        shelf: list[AnyLine] = []
        for line in lines:
            if isinstance(line, Began):
                self.all_of_it = line.since == 0
            elif isinstance(line, MessageLine):
                if shelf:
                    self._set_up(shelf)
                    shelf = []
                if waiting and line.received_at != waiting[0].received_at:
                    self._hear(waiting)
                    waiting = []
                waiting.append(line)
            elif isinstance(line, Ended):
                ended = line
            else:
                shelf.append(line)
        if shelf:
            self._set_up(shelf)
        if waiting:
            self._hear(waiting)
        if ended is None:
            raise NoRecording("The recording has no end: it was cut off. Record it again.")
        with transaction(self.store) as tx:
            self._count(tx, ended)
        return self.done

    def _set_up(self, lines: list[AnyLine]) -> None:
        """Accounts, places, goods and listings as they were when it was recorded; no piece and no order."""
        with transaction(self.store) as tx:
            ensure_tenant(tx, FIRST_TENANT, "A recording", 0)
            for line in lines:
                match line:
                    case AccountLine():
                        self._account(tx, line)
                    case LocationLine():
                        tx.run(
                            "INSERT INTO location (tenant_id, location_id, name, priority, in_scope) VALUES (:t, :l, :n, :p, :s)",
                            t=FIRST_TENANT,
                            l=line.location_id,
                            n=line.name,
                            p=line.priority,
                            s=int(line.in_scope),
                        )
                    case ItemLine():
                        tx.run(
                            "INSERT INTO item (tenant_id, sku, title, variant_id, item_id, product_id) "
                            "VALUES (:t, :sku, :title, :variant, :item, :product)",
                            t=FIRST_TENANT,
                            sku=line.sku,
                            title=line.title,
                            variant=line.variant_id,
                            item=line.item_id,
                            product=line.product_id,
                        )
                    case ListingLine():
                        self._listing(tx, line)

    def _account(self, tx: Tx, line: AccountLine) -> None:
        """It is live from the start, whatever it was later: intake heard it as such; `live_at` says which orders are history."""
        number = add_account(
            tx,
            FIRST_TENANT,
            channel=line.channel,
            external_id=line.external_id,
            label=line.label,
            settings=line.settings,
            currency=line.currency,
            now=line.connected_at,
        )
        tx.run(
            "UPDATE account SET live_at = :live, opened_at = :opened, state = :state WHERE tenant_id = :t AND account_id = :a",
            live=line.live_at,
            opened=line.opened_at,
            state="CONNECTED" if line.live_at is None else "LIVE",
            t=FIRST_TENANT,
            a=number,
        )
        self.accounts[line.account_id] = number
        self.parsers[number] = build_channel(line.channel, line.settings)

    def _listing(self, tx: Tx, line: ListingLine) -> None:
        account_id = self._here(line.account_id)
        found = ListingFound(
            outlet_external_id=line.external_id,
            write_unit=line.write_unit,
            listing_keys=line.names,
            sku=line.sku,
            title=line.title,
            quantity=None,
            fulfilled_by_channel=line.fulfilled_by_channel,
        )
        keep_listings(tx, FIRST_TENANT, account_id, [found], 0)
        row = tx.one(
            "SELECT outlet_id FROM outlet WHERE tenant_id = :t AND account_id = :a AND external_id = :e",
            t=FIRST_TENANT,
            a=account_id,
            e=line.external_id,
        )
        if line.parts and row is not None:
            link(tx, FIRST_TENANT, row[0], line.parts, 0, by="the recording")

    def _here(self, account_id: int) -> int:
        if account_id not in self.accounts:
            raise NoRecording(f"Account {account_id} is named and nowhere described.")
        return self.accounts[account_id]

    def _hear(self, messages: list[MessageLine]) -> None:
        """What was received at one moment is kept together, and handled before the next."""
        self.began_at = self.began_at or messages[0].received_at
        self.now = max(self.now, messages[0].received_at)
        self.done.messages += len(messages)
        raw = [
            Raw(
                FIRST_TENANT,
                self._here(one.account_id),
                one.topic,
                one.delivery_key,
                one.source,
                one.headers,
                one.body.encode(),
                one.received_at,
            )
            for one in messages
        ]
        with transaction(self.store) as tx:
            self.done.repeated += keep(tx, raw).count("already_done")
        while True:
            with transaction(self.store) as tx:
                if not handle(tx, FIRST_TENANT, self.parsers, self.now).rows:
                    return

    def _count(self, tx: Tx, ended: Ended) -> None:
        done = self.done
        states = Counter(dict(tx.all("SELECT state, COUNT(*) FROM inbox WHERE tenant_id = 1 GROUP BY state")))
        done.handled, done.parked, done.new = states["DONE"], states["PARKED"], states["NEW"]
        done.simulated_s = (self.now - self.began_at) / SECOND
        done.orders_by_state = dict(
            tx.all("SELECT state, COUNT(*) FROM orders WHERE tenant_id = 1 GROUP BY state ORDER BY state")
        )
        done.orders = sum(done.orders_by_state.values())
        for sku, *pieces in tx.all(
            "SELECT sku, SUM(on_hand), SUM(committed), SUM(reserved) FROM stock_level WHERE tenant_id = 1 GROUP BY sku ORDER BY sku"
        ):
            if any(pieces):
                done.levels[sku] = Levels(*pieces)
        committed = {sku: level.committed for sku, level in done.levels.items() if level.committed}
        done.committed = sum(committed.values())
        done.breaches = [f"I1 {one}" for one in ledger.differences(tx, FIRST_TENANT)]
        if self.all_of_it and not ended.left_out:
            done.differs = _differences(done.orders, committed, ended)
            done.as_recorded = not done.differs
        digest = hashlib.sha256()
        for sql in _HASHED:
            for row in tx.all(sql):
                digest.update(json.dumps(row).encode())
        done.hash = digest.hexdigest()


def _differences(orders: int, committed: dict[str, int], ended: Ended) -> list[str]:
    said = [f"orders: {orders} here, {ended.orders} recorded"] if orders != ended.orders else []
    skus = sorted(committed.keys() | ended.committed.keys())
    pairs = [(sku, committed.get(sku, 0), ended.committed.get(sku, 0)) for sku in skus]
    return said + [f"{sku}: {here} committed here, {there} recorded" for sku, here, there in pairs if here != there]


def tell(played: Played) -> str:
    """What happened, for people."""
    said = [
        f"{played.messages} messages of {played.simulated_s / 3600:.2f} h: {played.handled} used, {played.parked} parked"
        + (f", {played.repeated} there already" if played.repeated else "")
        + (f", {played.new} not looked at" if played.new else ""),
        f"{played.orders} orders ("
        + ", ".join(f"{count} {state.lower()}" for state, count in played.orders_by_state.items())
        + f"), {played.committed} pieces committed",
        "SKU: on hand, committed, reserved (from an empty shelf)",
    ]
    said += [f"  {sku}: {one.on_hand}, {one.committed}, {one.reserved}" for sku, one in played.levels.items()]
    if played.as_recorded is None:
        said.append("Not compared with the recorded shelf: some of its messages are not in the recording.")
    elif played.as_recorded:
        said.append("Orders and committed pieces are those of the recorded shelf.")
    else:
        said += ["It is not the recorded shelf:", *(f"  {one}" for one in played.differs)]
    said += [f"BREACH {one}" for one in played.breaches]
    return "\n".join([*said, f"Hash {played.hash[:16]}"])
