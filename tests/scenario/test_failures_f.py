"""Failures of real systems, F: cancel, refund, ship (docs/reference/failures.md)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.scenario.engine import ETSY, TENANT, World, order
from tests.scenario.town import Town, thing, town

from oneshelf.core.instants import SECOND
from oneshelf.db.store import Store, transaction
from oneshelf.intake.worker import reread_open_orders

MARKETS = ("amazon", "ebay", "etsy")


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.item("MUG", 5)
    world.open()
    world.tick(60)
    return world


def copied(there: Town, times: int = 1) -> None:
    """Wait until so many marketplace orders stand in the shop; Amazon's are unpaid for half an hour."""
    there.until(lambda: len(there.copies()) == times, "the orders stand in the shop")
    there.wait(120)


def state(there: Town, order_id: str) -> str:
    return str(there.value("SELECT state FROM order_line WHERE order_id = :o", o=order_id))


def test_FC_F01_a_cancel_gives_back_what_is_on_the_shelf_and_never_what_has_left_it(tmp_path: Path) -> None:
    """S5.3 to 5.6. Unsent pieces never left: they are free. Sent ones come back by the merchant's word alone, damaged ones to no sale."""
    with town(tmp_path, thing("MUG", 5), channels=("shopify", "ebay")) as there:
        unsent, sent_one = there.buy("ebay", MUG=2), there.buy("ebay", MUG=1)
        copied(there, 2)
        there.console("shopify", "fulfil", order=sent_one, tracking={"company": "UPS", "number": "1Z1"})
        there.wait(300)
        assert there.level("MUG") == (4, 2, 0, 0)
        there.console("ebay", "cancel", order_id=unsent)
        there.shows("MUG", 4)
        assert (state(there, unsent), there.level("MUG")) == ("C", (4, 0, 0, 0))
        assert sorted(one["state"] for one in there.copies()) == ["cancelled", "fulfilled"]
        there.console("ebay", "refund", order_id=sent_one)
        there.wait(600)
        assert (state(there, sent_one), there.level("MUG")) == ("S", (4, 0, 0, 0)), "money went back, no mug"
        there.console("shopify", "refund_lines", order=sent_one, lines={"MUG": 1}, restock="RETURN", money=False)
        there.until(lambda: there.level("MUG") == (5, 0, 0, 0), "the merchant has it again")
        there.console("shopify", "move", sku="MUG", quantity=1)
        there.shows("MUG", 4, within_s=600)
        assert there.level("MUG") == (5, 0, 0, 1), "damaged: on hand, not for sale"
        there.true()


def test_FC_F02_an_order_that_its_feed_never_mentions_again_is_asked_for_by_its_id(world: World) -> None:
    """Etsy's cancel moves no update time: the feed is complete and silent, and the pieces would be held for good."""
    placed = order("T-1", world.now, MUG=2)
    world.hear(ETSY, placed)
    world.complete(ETSY)

    def ask() -> int:
        with transaction(world.store) as tx:
            return reread_open_orders(tx, TENANT, ETSY, world.now, every_s=3_600)

    world.tick(3_000)
    assert ask() == 0, "not before its hour"
    world.tick(700)
    assert ask() == 1
    assert world.rows("SELECT entity, state FROM intent WHERE kind = 'fetch_order'") == [(f"{ETSY}/T-1", "WAITING")]
    world.hear(ETSY, order("T-1", world.now - 3_700 * SECOND, updated=world.now, cancelled=True, MUG=2), source="read")
    assert (world.line(ETSY, "T-1"), world.level("MUG")) == ("C", (5, 0, 0, 0))
    with transaction(world.store) as tx:
        tx.run("UPDATE intent SET state = 'DONE' WHERE kind = 'fetch_order'")  # it was read
    world.tick(7_200)
    assert ask() == 0, "what is over is left alone"


def test_S4_6_orders_that_a_channel_does_not_show_keep_no_others_from_being_read(world: World) -> None:
    """Asked for in vain every hour, they were the longest unread for good, and as many as a look takes."""
    for name in ("T-1", "T-2"):
        world.hear(ETSY, order(name, world.tick(), MUG=1))
    world.tick(3_700)
    for asked in (["T-1"], ["T-1", "T-2"], ["T-1", "T-2"]):
        with transaction(world.store) as tx:
            reread_open_orders(tx, TENANT, ETSY, world.now, every_s=3_600, limit=1)
        rows = world.rows("SELECT entity FROM intent WHERE kind = 'fetch_order' ORDER BY intent_no")
        assert [entity for (entity,) in rows] == [f"{ETSY}/{name}" for name in asked]


#: What happens to an order at its channel, and whether it is cancelled then. Amazon's buyer only asks once it is paid.
ENDS = (
    ("amazon", "fail_payment", {}, "C"),
    ("amazon", "buyer_cancel", {}, "C"),
    ("amazon", "pay+cancel_order", {}, "C"),
    ("amazon", "pay+buyer_cancel", {}, "R"),
    ("ebay", "cancel", {}, "C"),
    ("ebay", "request_cancel", {}, "R"),
    ("ebay", "refund", {}, "R"),
    ("etsy", "cancel", {}, "C"),
    ("etsy", "refund", {"amount_minor": 100}, "R"),
)


def test_FC_F04_every_way_in_which_a_channel_says_cancelled_is_read_and_no_other(tmp_path: Path) -> None:
    with town(tmp_path, thing("MUG", 40)) as there:
        ended: dict[tuple[str, str], str] = {}
        for channel, actions, how, _ in ENDS:
            order_id = there.buy(channel, MUG=1)
            there.wait(60)
            for action in actions.split("+"):
                there.console(channel, action, order_id=order_id, **how)
                there.wait(60)
            ended[channel, actions] = order_id
        there.wait(2 * 3_600)
        assert {way: state(there, order_id) for way, order_id in ended.items()} == {
            (channel, actions): end for channel, actions, _, end in ENDS
        }
        still = sum(end == "R" for *_, end in ENDS)
        assert there.level("MUG") == (40, still, 0, 0)
        assert {subject.split("/")[0] for _, subject, _ in there.tasks("buyer_asks_cancel")} != set()


def test_FC_F05_a_refund_before_anything_was_sent_frees_the_pieces_and_leaves_the_shelf(tmp_path: Path) -> None:
    with town(tmp_path, thing("MUG", 5), channels=("shopify", "ebay")) as there:
        web = there.buy("shopify", MUG=3)
        there.shows("MUG", 2)
        there.console("shopify", "refund_lines", order=web, lines={"MUG": 1}, restock="CANCEL")
        there.shows("MUG", 3, within_s=120)
        assert there.level("MUG") == (5, 2, 0, 0)
        there.console("shopify", "refund_lines", order=web, lines={"MUG": 2}, restock="CANCEL")
        there.shows("MUG", 5, within_s=120)
        assert (there.level("MUG"), state(there, web), there.tasks()) == ((5, 0, 0, 0), "C", [])
        there.true()


def test_FC_F06_money_and_goods_come_back_each_by_itself(tmp_path: Path) -> None:
    """Refund without return, return without refund, and an exchange: the one comes back, another is sent by a new order."""
    with town(tmp_path, thing("MUG", 5), thing("CUP", 3), channels=("shopify", "ebay")) as there:
        web = there.buy("shopify", MUG=2)
        there.wait(60)
        there.console("shopify", "fulfil", order=web)
        there.until(lambda: there.level("MUG") == (3, 0, 0, 0), "both have left")
        there.console("shopify", "refund_lines", order=web, lines={"MUG": 1}, restock="NO_RESTOCK")
        there.wait(600)
        assert there.level("MUG") == (3, 0, 0, 0), "money only"
        there.console("shopify", "refund_lines", order=web, lines={"MUG": 1}, restock="RETURN", money=False)
        there.until(lambda: there.level("MUG") == (4, 0, 0, 0), "goods only")
        there.console("shopify", "fulfil", order=there.buy("shopify", CUP=1))
        there.shows("CUP", 2)
        there.shows("MUG", 4)
        assert there.level("CUP") == (2, 0, 0, 0)
        there.true()


@pytest.mark.parametrize("channel", MARKETS)
def test_FC_F10_a_parcel_whose_telling_got_no_answer_is_looked_for_before_it_is_told_again(
    tmp_path: Path, channel: str
) -> None:
    """Of labels this would be money: Oneshelf buys none. What it tells is told once all the same, and the buyer gets one mail."""
    with town(tmp_path, thing("MUG", 5), channels=("shopify", channel)) as there:
        order_id = there.buy(channel, MUG=1)
        if channel == "amazon":
            there.console("amazon", "pay", order_id=order_id)
        copied(there)
        tells = {"amazon": "confirmShipment", "ebay": "createShippingFulfillment", "etsy": "createReceiptShipment"}
        there.faults.arm("timeout_after", channel, tells[channel])
        there.console("shopify", "fulfil", order=order_id, tracking={"company": "UPS", "number": "1Z999AA10123456784"})
        there.until(
            lambda: there.rows("SELECT state FROM shipment") == [("CONFIRMED",)], "the parcel is known there", 7_200
        )
        assert len(there.writes(channel, tells[channel])) == 1
        if channel != "amazon":
            [told] = there.shops[channel].orders()
            assert len(told["tracking"]) == 1 and there.tasks() == []
        if channel == "etsy":
            assert there.shops["etsy"].state()["mails"] == 1


def test_FC_F11_what_was_shipped_in_the_channels_console_is_recorded_and_not_told_again(tmp_path: Path) -> None:
    with town(tmp_path, thing("MUG", 5), channels=("shopify", "ebay")) as there:
        order_id = there.buy("ebay", MUG=1)
        copied(there)
        there.console("ebay", "ship", order_id=order_id, tracking="1Z999AA10123456784", carrier="UPS")
        there.until(lambda: state(there, order_id) == "S", "it is heard")
        there.console("shopify", "fulfil", order=order_id, tracking={"company": "UPS", "number": "1Z999AA10123456795"})
        there.wait(1_800)
        [told] = there.shops["ebay"].orders()
        assert told["tracking"] == ["1Z999AA10123456784"], "the first one stands, nobody is mailed again"
        assert there.writes("ebay", "createShippingFulfillment") == []
        assert (state(there, order_id), there.level("MUG")) == ("S", (4, 0, 0, 0))
        assert [one["state"] for one in there.copies()] == ["fulfilled"]
        there.true()


def test_FC_F12_a_pending_order_holds_its_pieces_and_becomes_an_order_of_the_shop_when_it_is_whole(
    tmp_path: Path,
) -> None:
    with town(tmp_path, thing("MUG", 5), channels=("shopify", "amazon", "ebay")) as there:
        order_id = there.buy("amazon", MUG=2)
        there.shows("MUG", 3)
        there.wait()
        assert there.rows("SELECT payment, total_minor FROM orders WHERE order_id = :o", o=order_id) == [
            ("pending", None)
        ]
        assert (there.level("MUG"), there.copies()) == ((5, 0, 2, 0), [])
        there.console("amazon", "pay", order_id=order_id)
        copied(there)
        assert there.level("MUG") == (5, 2, 0, 0)
        [copy] = there.copies()
        assert (copy["lines"], copy["financial_status"]) == ({"MUG": 2}, "paid")
        total = there.value("SELECT total_minor FROM orders WHERE order_id = :o", o=order_id)
        assert total >= 2 * 1_200 and there.shows("MUG", 3) is None
        there.true()
