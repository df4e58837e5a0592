"""What is kept of people goes away: when a platform asks, and when its time is up (SEMANTICS 11.5, RELIABILITY F56)."""

from __future__ import annotations

import json

import msgspec
import pytest
from tests.scenario.engine import AMAZON, EBAY, SHOP, TENANT, FactParser, World, changed, order

from oneshelf.core.facts import AccessLost, Address, BuyerSeen, ErasureAsked, Fact, Ignored, OrderHint, OrderSeen
from oneshelf.core.instants import SECOND
from oneshelf.customers import privacy, retention, worker
from oneshelf.db.store import Store, transaction
from oneshelf.db.tx import Tx
from oneshelf.intake.departed import handle_departed
from oneshelf.intake.inbox import Raw, keep
from oneshelf.tenants.accounts import set_state

DAY = 86_400 * SECOND


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 10)
    return world.open()


def by(seen: OrderSeen, buyer_id: str, name: str) -> OrderSeen:
    return msgspec.structs.replace(
        seen,
        buyer=BuyerSeen(channel_buyer_id=buyer_id, name=name, email=f"{name.lower()}@example.com"),
        ship_to=Address(name=name, line1="1 Road", city="Town"),
        note=f"for {name}",
    )


def work(world: World, *, most: int = 50) -> int:
    """Let the steps run until nothing is due; returns how many that were."""
    for done in range(most):
        with transaction(world.store) as tx:
            if not privacy.step(tx, TENANT, world.now):
                return done
    raise AssertionError("it never ends")


def everything(world: World) -> str:
    """All text in which a person could stand."""
    found = []
    for sql in (
        "SELECT person, document FROM orders",
        "SELECT payload, result, reason FROM intent",
        "SELECT what, subject, detail FROM journal",
        "SELECT what, why FROM task",
        "SELECT subject, progress FROM privacy_request",
    ):
        found += [str(row) for row in world.rows(sql)]
    found += [bytes(body).decode() for (body,) in world.rows("SELECT body FROM inbox")]
    return "\n".join(found)


class TestErase:
    def test_a_shipped_order_loses_its_person_and_keeps_its_numbers(self, world: World) -> None:
        mine = by(order("E-1", world.now, MUG=2), "jane_7", "Jane")
        world.hear(EBAY, mine, by(order("E-2", world.now, MUG=1), "jane_77", "Other"))
        world.hear(EBAY, changed(mine, world.tick(), shipped=2))
        level, entries = world.level("MUG"), world.rows("SELECT * FROM ledger_entry ORDER BY entry_no")
        world.hear(EBAY, ErasureAsked("erase", "jane_7"))
        assert "Jane" in everything(world)
        work(world)
        assert "Jane" not in everything(world) and '"jane_7"' not in everything(world)
        assert "Other" in everything(world)  # whose id only begins alike
        assert (world.level("MUG"), world.rows("SELECT * FROM ledger_entry ORDER BY entry_no")) == (level, entries)
        assert world.order(EBAY, "E-1", "total_minor") == 2000
        assert world.rows("SELECT state, subject, orders_erased FROM privacy_request") == [("DONE", "", 1)]
        assert all(key for (key,) in world.rows("SELECT delivery_key FROM inbox"))

    def test_a_guests_orders_are_erased_by_their_ids(self, world: World) -> None:
        """Shopify names a guest by his orders alone. An order of another account with the same id is somebody else's."""
        guest = msgspec.structs.replace(by(order("1001", world.now, MUG=1), "", "Jane"), buyer=None)
        world.hear(SHOP, guest, by(order("1002", world.now, MUG=1), "c2", "Other"))
        world.hear(EBAY, by(order("1001", world.now, MUG=1), "e1", "Third"))
        world.hear(SHOP, changed(guest, world.tick(), shipped=1), ErasureAsked("erase", "", ("1001", "9999")))
        world.hear(EBAY, changed(by(order("1001", world.now, MUG=1), "e1", "Third"), world.tick(), shipped=1))
        work(world)
        assert world.rows("SELECT account_id, person = '{}' FROM orders ORDER BY account_id, order_id") == [
            (SHOP, 1), (SHOP, 0), (EBAY, 0)
        ]  # fmt: skip
        assert "Jane" not in everything(world)
        assert world.rows("SELECT state, subject, order_ids, orders_erased FROM privacy_request") == [
            ("DONE", "", "[]", 1)
        ]
        assert world.order(SHOP, "1002", "person") != "{}"

    def test_an_order_named_by_its_id_is_shipped_first(self, world: World) -> None:
        guest = msgspec.structs.replace(by(order("1001", world.now, MUG=1), "", "Jane"), buyer=None)
        world.hear(SHOP, guest, ErasureAsked("erase", "", ("1001",)))
        work(world)
        assert json.loads(world.order(SHOP, "1001", "person"))["ship_to"]["line1"] == "1 Road"
        world.tick(10)
        world.hear(SHOP, changed(guest, world.now, shipped=1))
        world.tick(3_600)
        work(world)
        assert "Jane" not in everything(world)

    def test_what_is_told_of_the_person_later_is_not_kept(self, world: World) -> None:
        mine = by(order("E-1", world.now, MUG=1), "jane_7", "Jane")
        world.hear(EBAY, changed(mine, world.tick(), shipped=1), ErasureAsked("erase", "jane_7"))
        work(world)
        later = changed(mine, world.tick(), shipped=1)
        world.hear(EBAY, later)
        assert world.order(EBAY, "E-1", "person") == "{}"
        assert "Jane" not in world.order(EBAY, "E-1", "document")

    def test_an_open_order_keeps_its_address_until_it_is_shipped(self, world: World) -> None:
        mine = by(order("E-1", world.now, MUG=1), "jane_7", "Jane")
        world.hear(EBAY, mine, ErasureAsked("erase", "jane_7"))
        work(world)
        person = json.loads(world.order(EBAY, "E-1", "person"))
        assert person["ship_to"]["line1"] == "1 Road" and person["buyer"] == {"channel_buyer_id": "jane_7"}
        assert world.rows("SELECT state FROM privacy_request") == [("SHIPPING",)]
        world.tick(10)
        world.hear(EBAY, changed(mine, world.now, shipped=1))
        world.tick(3_600)
        work(world)
        assert "Jane" not in everything(world)
        assert world.rows("SELECT state FROM privacy_request") == [("DONE",)]

    @pytest.mark.parametrize("dies_after", range(4))
    def test_F56_a_process_that_dies_half_way_begins_where_it_was(self, world: World, dies_after: int) -> None:
        mine = by(order("E-1", world.now, MUG=1), "jane_7", "Jane")
        world.hear(EBAY, changed(mine, world.tick(), shipped=1), ErasureAsked("erase", "jane_7"))
        for _ in range(dies_after):
            with transaction(world.store) as tx:
                privacy.step(tx, TENANT, world.now)
        with pytest.raises(ZeroDivisionError), transaction(world.store) as tx:
            privacy.step(tx, TENANT, world.now)
            raise ZeroDivisionError  # the process is gone before the commit
        work(world)
        assert "Jane" not in everything(world)
        assert world.rows("SELECT state, orders_erased FROM privacy_request") == [("DONE", 1)]

    def test_any_user_of_ebay_may_be_named(self, world: World) -> None:
        world.hear(EBAY, ErasureAsked("erase", "nobody_we_know"))
        work(world)
        assert world.rows("SELECT state, orders_erased FROM privacy_request") == [("DONE", 0)]

    def test_the_same_message_twice_is_one_request(self, world: World) -> None:
        for _ in range(2):
            with transaction(world.store) as tx:
                privacy.ask(tx, TENANT, EBAY, "erase", "x", 5, world.now)
        assert world.value("SELECT COUNT(*) FROM privacy_request") == 1


class TestExport:
    def test_the_merchant_gets_a_file_and_thirty_days(self, world: World) -> None:
        world.hear(SHOP, by(order("1001", world.now, MUG=1), "gid://shopify/Customer/7", "Jane"))
        world.hear(SHOP, ErasureAsked("export", "7"))
        assert world.tasks("privacy_export") == ["privacy_export"]
        assert world.value("SELECT due_at FROM task WHERE kind = 'privacy_export'") == world.now + 30 * DAY
        with transaction(world.store) as tx:
            found = privacy.export(tx, TENANT, 1)
            assert found is not None
            assert [one["buyer"]["email"] for one in found["orders"]] == ["jane@example.com"]
            privacy.exported(tx, TENANT, 1, world.now)
            assert privacy.export(tx, TENANT, 1) is None
        assert world.tasks("privacy_export") == []

    def test_a_guest_is_exported_by_his_orders(self, world: World) -> None:
        world.hear(
            SHOP, by(order("1001", world.now, MUG=1), "c1", "Jane"), by(order("1002", world.now, MUG=1), "c2", "O")
        )
        world.hear(SHOP, ErasureAsked("export", "", ("1001",)))
        with transaction(world.store) as tx:
            found = privacy.export(tx, TENANT, 1)
        assert found is not None and [one["order_id"] for one in found["orders"]] == ["1001"]


class TestShopEnds:
    def test_a_shop_that_is_gone_is_heard_and_everybody_in_it_erased(self, world: World) -> None:
        world.hear(AMAZON, by(order("A-1", world.now, MUG=1), "a1", "Ada"))
        with transaction(world.store) as tx:
            set_state(tx, TENANT, SHOP, "DISCONNECTED", world.now)
        world.hear(SHOP, ErasureAsked("erase_shop", "shop.example"), order("9", world.now, MUG=1))
        assert world.value("SELECT COUNT(*) FROM privacy_request") == 0  # handling leaves it alone

        def take(tx: Tx) -> int:
            return handle_departed(tx, TENANT, {SHOP: FactParser()}, world.now)

        with transaction(world.store) as tx:
            assert take(tx) == 1
            assert take(tx) == 0
        work(world)
        assert "Ada" not in everything(world)
        assert world.value("SELECT COUNT(*) FROM orders WHERE order_id = '9'") == 0

    def gone(self, world: World, *messages: list[Fact] | bytes) -> list[tuple[str, str]]:
        """Disconnect the shop, let these messages come, take them; returns state and note of each."""
        with transaction(world.store) as tx:
            set_state(tx, TENANT, SHOP, "DISCONNECTED", world.now)
            for n, message in enumerate(messages):
                body = message if isinstance(message, bytes) else msgspec.json.encode(message)
                keep(tx, [Raw(TENANT, SHOP, "a/topic", f"gone-{n}", "webhook", {}, body, world.now)])
        with transaction(world.store) as tx:
            assert handle_departed(tx, TENANT, {SHOP: FactParser()}, world.now) == len(messages)
            assert handle_departed(tx, TENANT, {SHOP: FactParser()}, world.now) == 0
        return world.rows("SELECT state, note FROM inbox WHERE delivery_key LIKE 'gone-%' ORDER BY seq")

    def test_F56_what_breaks_the_parser_is_parked_and_the_next_is_heard(self, world: World) -> None:
        told = self.gone(world, b"no json at all", [ErasureAsked("erase", "c1")])
        assert [state for state, _ in told] == ["PARKED", "DONE"]
        assert "DecodeError" in told[0][1]
        assert world.value("SELECT COUNT(*) FROM privacy_request") == 1
        [(why, subject)] = world.rows("SELECT why, subject FROM task WHERE kind = 'departed_message'")
        assert "a/topic" in why and subject == str(SHOP)

    def test_an_order_for_an_account_that_is_gone_is_parked_in_sight_and_not_booked(self, world: World) -> None:
        told = self.gone(world, [order("9", world.now, MUG=1)], [OrderHint("8")], [OrderHint("7")])
        assert [state for state, _ in told] == ["PARKED"] * 3
        assert world.value("SELECT COUNT(*) FROM orders WHERE order_id = '9'") == 0
        assert world.value("SELECT COUNT(*) FROM task WHERE kind = 'departed_message' AND closed_at IS NULL") == 1

    def test_what_says_nothing_to_us_asks_nobody(self, world: World) -> None:
        told = self.gone(world, [Ignored("a known kind")], [AccessLost("uninstalled")])
        assert [state for state, _ in told] == ["DONE", "DONE"]
        assert world.value("SELECT COUNT(*) FROM task WHERE kind = 'departed_message'") == 0

    def test_without_a_key_to_read_it_by_nothing_is_called_done(self, world: World) -> None:
        with transaction(world.store) as tx:
            set_state(tx, TENANT, SHOP, "DISCONNECTED", world.now)
        world.hear(SHOP, order("9", world.now, MUG=1))
        with transaction(world.store) as tx:
            assert handle_departed(tx, TENANT, {}, world.now) == 1
        assert world.rows("SELECT state FROM inbox ORDER BY seq DESC LIMIT 1") == [("PARKED",)]

    def test_one_that_the_database_can_not_keep_holds_up_no_other(self, world: World) -> None:
        told = self.gone(world, [ErasureAsked("erase", "a\0b")], [ErasureAsked("erase", "c1")])
        assert told[1] == ("DONE", "")  # SQLite keeps the NUL of the first, PostgreSQL does not


class TestRetention:
    def retain(self, world: World) -> None:
        while True:
            with transaction(world.store) as tx:
                if not worker.retain(tx, TENANT, world.now):
                    return

    def test_S11_5_a_person_stays_thirty_days_after_the_parcel_left(self, world: World) -> None:
        mine = by(order("A-1", world.now, MUG=1), "a1", "Ada")
        world.hear(AMAZON, by(order("A-2", world.now, MUG=1), "a2", "Open"), changed(mine, world.tick(), shipped=1))
        world.hear(SHOP, by(order("1001", world.now, MUG=1), "c1", "Hubert"))
        self.retain(world)
        world.tick(29 * 86_400)
        self.retain(world)
        assert "Ada" in world.order(AMAZON, "A-1", "person")
        world.tick(86_400)
        self.retain(world)
        assert "Ada" not in everything(world)
        assert "Open" in everything(world) and "Hubert" in everything(world)
        assert world.order(AMAZON, "A-1", "total_minor") == 1000

    def test_raw_messages_stay_a_week(self, world: World) -> None:
        world.hear(AMAZON, by(order("A-2", world.now, MUG=1), "a2", "Open"))
        world.tick(6 * 86_400)
        self.retain(world)
        assert b"Open" in b"".join(bytes(body) for (body,) in world.rows("SELECT body FROM inbox"))
        world.tick(2 * 86_400)
        self.retain(world)
        bodies = [bytes(body) for (body,) in world.rows("SELECT body FROM inbox WHERE account_id = 2")]
        assert bodies and all(body.startswith(b'{"erased"') for body in bodies)
        assert "Open" in world.order(AMAZON, "A-2", "person")

    def test_a_parked_message_stays_a_month_while_its_task_is_open(self, world: World) -> None:
        with transaction(world.store) as tx:
            keep(tx, [Raw(TENANT, AMAZON, "orders", "bad", "webhook", {}, b"unreadable order of Ada", world.now)])
        world.handle()
        world.hear(AMAZON, by(order("A-2", world.now, MUG=1), "a2", "Open"))
        parked = "SELECT state, body FROM inbox WHERE delivery_key = 'bad'"
        world.tick(8 * 86_400)
        self.retain(world)
        assert [(state, bytes(body)) for state, body in world.rows(parked)] == [("PARKED", b"unreadable order of Ada")]
        after = world.value("SELECT body FROM inbox WHERE account_id = 2 AND delivery_key <> 'bad'")
        assert bytes(after).startswith(b'{"erased"'), "it does not hold up the others"
        world.tick(23 * 86_400)
        self.retain(world)
        assert b"Ada" not in bytes(world.rows(parked)[0][1])

    def test_parked_messages_are_emptied_once_each_and_all_of_them(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "MESSAGES_A_STEP", 2)
        with transaction(world.store) as tx:
            keep(tx, [Raw(TENANT, AMAZON, "o", f"bad{n}", "webhook", {}, b"of Ada", world.now) for n in range(5)])
        world.handle()
        world.tick(31 * 86_400)
        self.retain(world)
        assert "of Ada" not in everything(world)
        first = world.rows("SELECT seq, body FROM inbox ORDER BY seq")
        world.tick(86_400)
        self.retain(world)
        assert world.rows("SELECT seq, body FROM inbox ORDER BY seq") == first
