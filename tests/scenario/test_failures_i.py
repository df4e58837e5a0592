"""Failures of real systems, I: operations (docs/reference/failures.md)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.scenario.publish_bench import Bench
from tests.scenario.town import NUMBER_WRITES, Town, sent, thing, town

from oneshelf.core.http import Request
from oneshelf.core.outcome import Accepted, Throttled
from oneshelf.db.store import Store
from oneshelf.publish.safe_pause import CannotPause


def test_FC_I01_four_limits_in_a_row_delay_a_number_and_drop_none(store: Store) -> None:
    bench = Bench(store, "ebay")
    for name in ("A", "B", "C"):
        bench.outlet(name, {name: 1}, shown=0)
        bench.stock(name, 3)
    ends = [Throttled(30.0)] * 4
    bench.market.answers = lambda offer: ends.pop() if offer.outlet.external_id == "B" and ends else Accepted()
    bench.run(600)
    assert ends == []
    assert bench.market.shown == {"A": 3, "B": 3, "C": 3}
    assert [outcome for _, outcome in bench.attempts("B")] == ["THROTTLED"] * 4 + ["SEEN"]
    assert (bench.rest(), bench.open_tasks()) == ([], [])


def many(number: int, pieces: int = 5) -> list[str]:
    return [f"M{n:03}" for n in range(number)]


def receive(there: Town, skus: list[str], pieces: int = 2) -> None:
    for sku in skus:
        there.console("shopify", "receive", sku=sku, quantity=pieces)


def shown_everywhere(there: Town, skus: list[str], channel: str) -> set[int]:
    return {int(there.shops[channel].shown(sku)) for sku in skus}


def test_FC_I01_limits_while_an_account_is_connected_delay_it_and_it_goes_live(tmp_path: Path) -> None:
    """Nine pages of Amazon's catalogue and as many reads: some come faster than it lets through, and four in a row are refused."""

    def refuse_some(there: Town) -> None:
        def refuse(channel: str, request: Request) -> None:
            if request.operation == "searchListingsItems" and len(there.asked("amazon", request.operation)) in (3, 9):
                there.faults.arm("throttle", "amazon", "searchListingsItems", times=2)

        there.net.on_request = lambda channel, request: (
            there.calls.append((channel, request)),
            refuse(channel, request),
        )

    skus = many(160)
    with town(tmp_path, *(thing(sku, 5) for sku in skus), channels=("shopify", "amazon"), before=refuse_some) as there:
        assert there.rows("SELECT COUNT(*) FROM slot WHERE believed = 5") == [(160,)]
        assert there.emulation.world.faults.injected["throttle"] == 4
        there.buy("amazon", M100=1)
        there.shows("M100", 4)


def test_FC_I03_a_hundred_numbers_go_in_few_calls_and_one_that_fails_stops_no_other(tmp_path: Path) -> None:
    """eBay takes and gives 25 a call. The answer of one call is lost: what was in it is read, the rest is not told again."""
    skus = many(100)
    with town(tmp_path, *(thing(sku, 5) for sku in skus), channels=("shopify", "ebay")) as there:
        there.calls.clear()
        there.faults.arm("timeout_after", "ebay", "bulkUpdatePriceQuantity")
        receive(there, skus)
        there.command("guard_limits", enabled=False)
        there.until(lambda: shown_everywhere(there, skus, "ebay") == {7}, "all are told", 1_800)
        there.wait(600)
        told = [
            one["sku"] for each in there.writes("ebay", "bulkUpdatePriceQuantity") for one in sent(each)["requests"]
        ]
        assert sorted(told) == skus, "each once"
        assert len(there.writes("ebay", "bulkUpdatePriceQuantity")) <= 10
        assert len(there.asked("ebay", "bulkGetInventoryItem")) <= 30
        there.true()


def test_FC_I04_a_burst_is_paced_and_a_wait_that_the_channel_names_is_kept(tmp_path: Path) -> None:
    """Etsy lets ten calls a second through. Sixty listings change at once: none of the calls is refused for its pace; then one is."""
    skus = many(60)
    with town(tmp_path, *(thing(sku, 5) for sku in skus), channels=("shopify", "etsy")) as there:
        there.command("guard_limits", enabled=False)
        answers: list[tuple[float, int | None]] = []
        there.net.on_answer = lambda channel, request, status: answers.append((there.loop.time(), status))
        receive(there, skus)
        there.until(lambda: shown_everywhere(there, skus, "etsy") == {7}, "all are told", 1_800)
        assert [status for _, status in answers if status == 429] == []
        there.wait(120)
        there.faults.arm("throttle", "etsy", "updateListingInventory")
        there.buy("shopify", M000=1)
        there.shows("M000", 6, within_s=600)
        assert [status for _, status in answers].count(429) == 1
        assert there.tasks() == []


def test_FC_I05_a_sold_out_number_goes_before_all_prices_of_a_change(tmp_path: Path) -> None:
    """A hundred prices change, one call each at Amazon, five a second; meanwhile the last mug is sold elsewhere."""
    skus = many(100)
    goods = [*(thing(sku, 5) for sku in skus), thing("MUG", 1)]
    with town(tmp_path, *goods, channels=("shopify", "amazon", "ebay")) as there:
        there.command("prices_follow", account_id=there.account["amazon"], yes=True, far=True)
        there.wait(600)
        there.calls.clear()
        for sku in skus:
            there.console("shopify", "set_price", sku=sku, price_minor=1_300)
        there.until(lambda: len(there.writes("amazon", "patchListingsItem")) >= 5, "prices are on their way")
        there.buy("ebay", MUG=1)
        there.until(lambda: any("/MUG" in one.url for one in there.writes("amazon")), "the number is told", 10)
        patched = there.writes("amazon", "patchListingsItem")
        assert len(patched) < 80, "most of the prices come after it"
        there.shows("MUG", 0, within_s=600)
        there.wait()
        assert len(there.writes("amazon", "patchListingsItem")) >= 101


def test_FC_I07_a_sale_costs_calls_about_its_own_listing_and_no_import_of_all(tmp_path: Path) -> None:
    skus = many(120)
    with town(tmp_path, *(thing(sku, 5) for sku in skus)) as there:
        there.wait()
        there.calls.clear()
        there.buy("ebay", M007=1)
        there.shows("M007", 4, within_s=300)
        numbers = [one for channel in ("amazon", "etsy") for one in there.writes(channel, *NUMBER_WRITES)]
        assert len(numbers) == 2
        whole = {"getListingsByShop", "getInventoryItems", "StartExport", "createInventoryTask", "Variants"}
        asked = [request.operation for _, request in there.calls]
        assert sum(operation in whole for operation in asked) <= 1, asked  # the levels' export of every 15 minutes
        written = [one for channel in ("amazon", "etsy", "ebay") for one in there.writes(channel, *NUMBER_WRITES)]
        assert not any(sku in one.url or sku.encode() in one.body for one in written for sku in skus if sku != "M007")
        assert len(there.calls) < 60, "beside the sale's own: polls, and the sweep's share of these minutes"


def test_FC_I08_a_wrong_import_into_the_shop_waits_for_a_person_and_sales_do_not(tmp_path: Path) -> None:
    """Forty goods are set to 0 in the shop, then to 5,000: neither goes out before it is looked at, or has had its quarter of an hour."""
    skus = many(40)
    with town(tmp_path, *(thing(sku, 5) for sku in skus), channels=("shopify", "ebay")) as there:
        there.wait(3_600)
        for sku in skus:
            there.console("shopify", "set_on_hand", sku=sku, quantity=0)
        there.until(lambda: there.tasks("guard_waits"), "it waits for a person")
        there.wait(120)
        still = [sku for sku in skus if there.shops["ebay"].shown(sku) == 5]
        assert len(still) >= 30
        for sku in skus:
            there.console("shopify", "set_on_hand", sku=sku, quantity=5)
        there.wait(1_800)
        assert shown_everywhere(there, skus, "ebay") == {5}
        for sku in skus:
            there.console("shopify", "set_on_hand", sku=sku, quantity=5_000)
        there.until(lambda: there.tasks("guard_waits"), "so do raises", 7_200)
        there.wait(7_200)
        assert sum(there.shops["ebay"].shown(sku) > 5 for sku in skus) <= 10
        sold = still[-1]
        there.buy("shopify", **{sold: 1})
        [(guard, *_)] = there.rows("SELECT guard_no FROM guard WHERE state = 'WAITING'")
        there.command("guard_decide", guard=guard, approve=True)
        there.until(lambda: min(shown_everywhere(there, skus, "ebay")) >= 4_999, "the yes lets them go", 1_800)


@pytest.mark.parametrize(
    ("wish", "shows"), [({"freeze": True}, 5), ({"zero_first": True}, 0), ({"pieces": 3}, 1)], ids=str
)
def test_FC_I09_a_pause_asks_what_goes_on_selling_and_says_so_until_it_is_undone(
    tmp_path: Path, wish: dict[str, bool | int], shows: int
) -> None:
    with town(tmp_path, thing("MUG", 5), channels=("shopify", "ebay")) as there:
        with pytest.raises(CannotPause, match="Say what it does"):
            there.command("safe_pause")
        made = there.command("safe_pause", why="a price list went wrong", **wish)
        there.wait(300)
        there.buy("shopify", MUG=1)
        there.wait(600)
        assert there.shown("MUG")["ebay"] == shows
        state = there.command("safe_pause_state")
        assert state["why"] == "a price list went wrong" and state["since_at"] == made["since_at"]
        assert there.level("MUG") == (5, 1, 0, 0), "orders still come in"
        there.command("safe_pause_undo")
        there.shows("MUG", 4, within_s=900)
        assert "pause" in " ".join(what.lower() for (what,) in there.rows("SELECT what FROM journal")), "it is kept"
