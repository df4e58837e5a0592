"""Failures of real systems, B: duplicates, loss, order of arrival (docs/reference/failures.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.scenario.engine import AMAZON, EBAY, START, TENANT, World, order
from tests.scenario.test_shipping_worker import Here
from tests.scenario.town import CHANNELS, thing, town

from oneshelf.channels.contract import Cursor, Page
from oneshelf.core.errors import Park
from oneshelf.core.http import Request
from oneshelf.core.instants import SECOND
from oneshelf.core.tasks import kind_of
from oneshelf.db.store import Store, transaction
from oneshelf.db.tx import Tx
from oneshelf.intake.inbox import Raw, keep
from oneshelf.intake.poll import keep_failure, load_feed
from oneshelf.intake.rereading import CannotReread
from oneshelf.intake.worker import EMPTY_PAGES_MAX, poll_once
from oneshelf.runtime.bell import Bell


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 5)
    world.open()
    world.tick(60)
    return world


def test_FC_B02_what_was_heard_before_a_restart_is_known_after_it(world: World) -> None:
    """Nothing about duplicates is kept in memory: a retry that comes two days later changes nothing."""
    raw = Raw(TENANT, EBAY, "orders", "orders:delivery-1", "webhook", {}, b"[]", world.now)
    with transaction(world.store) as tx:
        assert keep(tx, [raw]) == ["stored"]
    placed = order("E-1", world.now, MUG=2)
    world.hear(EBAY, placed)
    world.store.close()
    world.store.open()
    world.tick(2 * 86_400)
    with transaction(world.store) as tx:
        assert keep(tx, [raw]) != ["stored"]
    world.hear(EBAY, placed)
    assert world.level("MUG") == (5, 2, 0, 0)
    assert world.value("SELECT COUNT(*) FROM orders") == 1


def test_FC_B09_a_message_that_becomes_visible_behind_a_later_one_is_handled(world: World) -> None:
    """The reader looks for what is new, not for what has a higher number than the last."""
    world.hear(EBAY, order("E-1", world.now, MUG=1), handled=False)
    [row] = world.rows("SELECT * FROM inbox WHERE state = 'NEW'")
    with transaction(world.store) as tx:
        tx.run("DELETE FROM inbox WHERE state = 'NEW'")
    world.hear(AMAZON, order("A-1", world.now, MUG=1))
    assert world.order(AMAZON, "A-1") == "OPEN"
    with transaction(world.store) as tx:  # the transaction with the lower number commits only now
        tx.many(f"INSERT INTO inbox VALUES ({', '.join('?' * len(row))})", [row])
    world.handle()
    assert world.order(EBAY, "E-1") == "OPEN"
    assert world.level("MUG") == (5, 2, 0, 0)


class Circles:
    """A channel whose pages lead nowhere: the page addresses of `ring` again and again, or ever new ones."""

    name = "ebay"

    def __init__(self, ring: int | None) -> None:
        self.ring = ring
        self.pages = 0

    async def fetch(self, http: Any, cursor: Cursor, now: Any) -> Page:
        self.pages += 1
        assert self.pages < 1_000, "it would go on for ever"
        token = self.pages if self.ring is None else self.pages % self.ring
        return Page((), Cursor(START, {"token": token}))


@pytest.mark.parametrize(("ring", "pages"), [(1, 2), (3, 4), (None, EMPTY_PAGES_MAX + 1)])
async def test_FC_B17_a_feed_that_leads_nowhere_ends_and_begins_anew(
    world: World, ring: int | None, pages: int
) -> None:
    channel, here = Circles(ring), Here(world)
    with pytest.raises(Park, match="begins anew") as ended:
        await poll_once(TENANT, EBAY, channel, None, here, here, world.now, Bell())  # type: ignore[arg-type]
    assert channel.pages == pages
    with transaction(world.store) as tx:
        keep_failure(tx, TENANT, EBAY, str(ended.value), world.now, forget_run=True)
        feed = load_feed(tx, TENANT, EBAY)
    assert feed.cursor is None, "the next run does not go on in the circle"
    assert world.value("SELECT problem FROM feed WHERE account_id = :a", a=EBAY) == str(ended.value)


def test_FC_B03_what_was_answered_is_booked_by_the_next_life_although_nobody_sends_it_again(tmp_path: Path) -> None:
    """The process dies in the moment after its answer; then the shop can't be reached: only our own inbox can know of the order."""
    with town(tmp_path, thing("MUG", 5), channels=("shopify", "ebay")) as there:

        def die(message_id: str, body: bytes) -> None:
            if there.engine.is_up and b'"line_items"' in body:
                there.kill()
                there.net.dark_until["shopify"] = there.loop.time() + 36_000

        there.net.on_stored = die
        web = there.buy("shopify", MUG=2)
        there.wait(10)
        assert not there.engine.is_up
        there.net.on_stored = lambda *_: None
        there.start()
        there.shows("MUG", 3, "ebay", within_s=60)
        assert there.rows("SELECT order_id, ordered FROM order_line") == [(web, 2)]
        assert there.level("MUG") == (5, 2, 0, 0)


def test_FC_B10_all_pages_are_read_and_the_item_behind_the_full_page_is_there(tmp_path: Path) -> None:
    """101 goods and 101 orders, where Amazon gives 100 orders a page and Etsy 100 of each; all came while we did not listen."""
    goods = [thing(f"M{n:03}", 5) for n in range(101)]
    with town(tmp_path, *goods, channels=("shopify", "amazon", "etsy")) as there:
        listed = "SELECT a.channel, COUNT(*) FROM outlet o JOIN account a ON a.account_id = o.account_id GROUP BY 1"
        assert there.rows(listed + " ORDER BY 1") == [("amazon", 101), ("etsy", 101), ("shopify", 101)]
        there.kill()
        bought = {
            channel: {there.buy(channel, **{one.sku: 1}) for one in goods} for channel in ("shopify", "amazon", "etsy")
        }
        there.wait(3_600)
        there.start()
        there.wait(600)
        for channel, order_ids in bought.items():
            stored = "SELECT order_id FROM orders WHERE account_id = :a AND copy_key = ''"
            assert {one for (one,) in there.rows(stored, a=there.account[channel])} == order_ids
        there.true()


def test_FC_B11_a_run_asks_one_query_and_a_page_that_fails_is_asked_again(tmp_path: Path) -> None:
    """101 orders are two pages of Amazon's. The second fails five times, while the clock goes on and settings could move the window."""
    with town(tmp_path, thing("MUG", 200), channels=("shopify", "amazon")) as there:
        there.kill()
        bought = {there.buy("amazon", MUG=1) for _ in range(101)}
        there.wait(3_600)
        asked: list[dict[str, str]] = []

        def look(channel: str, request: Request) -> None:
            if request.operation == "searchOrders":
                query = dict(parse_qsl(urlsplit(request.url).query))
                asked.append(query)
                if "paginationToken" in query and len(asked) <= 6:
                    there.faults.arm("error_500", "amazon", "searchOrders")

        there.net.on_request = look
        through = "SELECT complete_through_at FROM feed WHERE account_id = :a"
        there.start()
        before = there.value(through, a=there.account["amazon"])
        there.until(lambda: len(asked) >= 4, "the second page was asked for")
        assert there.value(through, a=there.account["amazon"]) == before, "half a run proves nothing"
        there.until(lambda: there.value(through, a=there.account["amazon"]) > before, "the run came to its end")
        first, *again = asked[:7]
        assert "paginationToken" not in first and len({one["paginationToken"] for one in again}) == 1
        assert [{**one, "paginationToken": ""} for one in again] == [{**first, "paginationToken": ""}] * 6
        assert {one for (one,) in there.rows("SELECT order_id FROM orders WHERE copy_key = ''")} == bought


def test_FC_B13_two_days_without_the_service_are_read_from_where_it_stopped(tmp_path: Path) -> None:
    with town(tmp_path, thing("MUG", 50)) as there:
        there.kill()
        for _ in range(4):
            for channel in CHANNELS:
                there.buy(channel, MUG=1)
            there.wait(12 * 3_600)
        there.start()
        there.shows("MUG", 34)
        there.wait(3_600)
        assert there.value("SELECT COUNT(*) FROM orders WHERE copy_key = ''") == 16
        told = {kind for kind, _, _ in there.tasks()}
        assert told == {"sync_stopped", "ship_deadline"}, (
            "the merchant hears of the two days, and of nothing that is not so"
        )
        there.true()


def test_FC_B13_days_are_read_again_by_command_in_pages_and_what_is_known_counts_once(tmp_path: Path) -> None:
    """Orders of the first day are not in our books: they were lost with a disk. The service dies within the reading, which then goes on."""
    with town(tmp_path, thing("MUG", 250), channels=("shopify", "amazon")) as there:
        began = there.now_us()
        for _ in range(110):
            there.buy("amazon", MUG=1)
        there.until(lambda: there.level("MUG")[1:3] in ((0, 110), (110, 0)), "all are booked")
        there.wait()
        lost = "SELECT order_no FROM orders WHERE copy_key = '' ORDER BY order_no LIMIT 3"

        def lose(tx: Tx) -> None:
            gone = [order_no for (order_no,) in tx.all(lost)]
            for table in ("order_line", "ledger_entry", "orders"):
                tx.run(f"DELETE FROM {table} WHERE order_no {{in:gone}}", gone=gone)
            tx.run("DELETE FROM inbox")

        there.tx(lose)
        there.command("check", repair=True)
        assert there.value("SELECT COUNT(*) FROM orders WHERE copy_key = ''") == 107
        account, seen = (
            there.account["amazon"],
            there.value("SELECT complete_through_at FROM feed WHERE account_id = 2"),
        )
        with pytest.raises(CannotReread, match="one of the last 60 days"):
            there.command("orders_again", account_id=account, since=began - 90 * 86_400 * SECOND)

        def die_before_page_2(channel: str, request: Request) -> None:
            if "paginationToken" in request.url:
                there.net.on_request = lambda *_: None
                there.loop.call_soon(there.kill)

        there.net.on_request = die_before_page_2
        with pytest.raises(ConnectionError):
            there.command("orders_again", account_id=account, since=began)
        there.start()

        def state() -> dict[str, Any]:
            found: dict[str, Any] = there.command("orders_again_state", account_id=account)
            return found

        assert (state()["pages"], state()["done"]) == (1, False)
        there.until(lambda: state()["done"], "the reading goes on and ends")
        assert (state()["pages"], state()["problem"]) == (2, "") and state()["orders_read"] >= 110
        there.wait(600)
        assert there.value("SELECT COUNT(*) FROM orders WHERE copy_key = ''") == 110
        assert sum(there.level("MUG")[1:3]) == 110
        assert there.value("SELECT complete_through_at FROM feed WHERE account_id = 2") >= seen
        there.true()


def test_FC_B18_a_channel_that_was_silent_is_a_red_task_with_its_age_and_goes_on_by_itself(tmp_path: Path) -> None:
    """eBay refuses everything for two hours, hundreds of failures in a row; then it is as before, and nobody has pressed anything."""
    with town(tmp_path, thing("MUG", 5)) as there:
        there.faults.set("error_503_html", 1.0, "ebay")
        there.buy("etsy", MUG=1)
        there.wait(3_600)
        [(_, subject, what)] = there.tasks("channel_silent")
        assert subject == str(there.account["ebay"]) and what == "eBay can't be heard since 2026-11-23 06:01 UTC"
        assert kind_of("channel_silent").rank == 0, "urgent"
        assert there.shown("MUG") == {"shopify": 4, "amazon": 4, "ebay": 5, "etsy": 4}
        there.wait(3_600)
        there.faults.set("error_503_html", 0.0, "ebay")
        there.shows("MUG", 4, within_s=900)
        there.until(lambda: there.tasks() == [], "the task is over")
        sold = there.buy("ebay", MUG=1)
        there.shows("MUG", 3, within_s=120)
        assert there.value("SELECT COUNT(*) FROM orders WHERE order_id = :o", o=sold) == 1


def test_FC_B18_what_a_silent_channel_may_sell_unheard_closes_scarce_goods_elsewhere(tmp_path: Path) -> None:
    """S3.2: offers that adapt. The longer eBay is silent the more may have sold there; the others show less, then nothing of it."""
    with town(tmp_path, thing("MUG", 3), adaptive=True) as there:
        for _ in range(2):
            there.buy("ebay", MUG=1)
            there.wait(1_800)
        there.console("shopify", "receive", sku="MUG", quantity=2)
        there.wait(2 * 3_600)
        assert there.shown("MUG") == {"shopify": 3, "amazon": 3, "ebay": 3, "etsy": 3}
        there.net.dark_until["ebay"] = there.loop.time() + 6 * 3_600
        there.wait(5.5 * 3_600)
        closed = there.shown("MUG")
        assert (closed["shopify"], closed["amazon"], closed["etsy"]) == (3, 0, 0), closed
        there.wait(3 * 3_600)
        assert there.shown("MUG") == {"shopify": 3, "amazon": 3, "ebay": 3, "etsy": 3}
