"""Failures of real systems, D: traps in channel APIs (docs/reference/failures.md)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from tests.scenario.town import OFTEN_S, Town, sent, thing, town

from oneshelf.core.http import Request
from oneshelf.watch.latency import latency
from oneshelf_simulator.engine import SHOP_URL


def test_FC_D01_a_count_that_a_checkout_or_an_edit_overtakes_brings_no_piece_back(tmp_path: Path) -> None:
    """Nine are counted. While that is on its way a web order is placed; while the next is, the merchant takes two off in the shop."""
    with town(tmp_path, thing("MUG", 5), channels=("shopify", "ebay"), looks_s=OFTEN_S) as there:
        meanwhile = [lambda: there.buy("shopify", MUG=1)]

        def overtake(channel: str, request: Request) -> None:
            if request.operation == "SetQuantities" and meanwhile:
                meanwhile.pop()()

        there.net.before_write = overtake
        there.command("count", sku="MUG", quantity=9)
        there.shows("MUG", 8, within_s=300)
        assert there.level("MUG") == (9, 1, 0, 0)
        meanwhile.append(lambda: there.console("shopify", "adjust", sku="MUG", delta=-2))  # type: ignore[arg-type,return-value]
        there.calls.clear()
        there.command("count", sku="MUG", quantity=6)
        there.shows("MUG", 5, within_s=300)
        tries = [sent(one)["variables"]["input"]["quantities"][0] for one in there.writes("shopify", "SetQuantities")]
        assert [(one["changeFromQuantity"], one["quantity"]) for one in tries] == [(9, 6), (7, 6)], (
            "read again, then once more"
        )
        there.true()


def test_FC_D03_a_number_of_one_size_leaves_the_other_sizes_as_they_are(tmp_path: Path) -> None:
    """Etsy replaces a whole listing. A sale elsewhere lowers S; M sells at Etsy in the moment before our write."""
    with town(tmp_path, thing("TEE-S", 5), thing("TEE-M", 4, 1_900), channels=("shopify", "ebay", "etsy")) as there:
        before = there.shops["etsy"].state()
        there.buy("ebay", **{"TEE-S": 2})
        there.shows("TEE-S", 3)
        assert there.shown("TEE-M") == {"shopify": 4, "ebay": 4, "etsy": 4}
        after = there.shops["etsy"].state()
        assert (after["prices"], after["listings"]) == (before["prices"], before["listings"])
        [write] = there.writes("etsy", "updateListingInventory")
        told = {one["sku"]: one["offerings"][0]["quantity"] for one in sent(write)["products"]}
        assert told == {"TEE-S": 3, "TEE-M": 4}
        there.true()


def test_FC_D06_a_quantity_leaves_the_handling_time_and_all_else_of_the_listing(tmp_path: Path) -> None:
    with town(tmp_path, thing("MUG", 5), channels=("shopify", "amazon")) as there:
        [of_place] = there.shops["amazon"].shelf.listings["MUG"].attributes.values()
        of_place["fulfillment_availability"][0]["lead_time_to_ship_max_days"] = 3
        before = json.loads(json.dumps(of_place))
        there.buy("shopify", MUG=2)
        there.shows("MUG", 3)
        before["fulfillment_availability"][0]["quantity"] = 3
        [after] = there.shops["amazon"].shelf.listings["MUG"].attributes.values()
        assert after == before


def test_FC_D08_what_is_accepted_and_never_shown_is_told_again_and_then_is_red(tmp_path: Path) -> None:
    with town(tmp_path, thing("MUG", 5), channels=("shopify", "ebay")) as there:
        there.faults.arm("never_applied", "ebay", "*", times=1)
        there.buy("shopify", MUG=1)
        there.shows("MUG", 4, within_s=600)
        outcomes = "SELECT outcome FROM attempt ORDER BY attempt_no"
        there.until(lambda: there.rows(outcomes) == [("UNSEEN",), ("SEEN",)], "the second was seen")
        there.faults.arm("never_applied", "ebay", "*", times=3)
        there.buy("shopify", MUG=1)
        there.until(lambda: there.tasks("write_never_seen"), "a person is asked")
        assert there.shown("MUG") == {"shopify": 3, "ebay": 4}
        [breach] = there.command("check")["breaches"]
        assert (breach["rule"], breach["what"]) == ("I13", "MUG shows 4, it should be 3")
        there.command("listing_retry", outlet_id=there.value("SELECT outlet_id FROM slot"))
        there.shows("MUG", 3, within_s=600)
        there.until(lambda: there.tasks() == [], "nobody is asked any more")


def test_FC_D11_a_price_that_is_refused_is_parked_in_sight_and_not_tried_for_ever(tmp_path: Path) -> None:
    """Etsy takes nothing below 0.20. The next price of the shop is tried by itself."""
    with town(tmp_path, thing("MUG", 5, 30), channels=("shopify", "etsy")) as there:
        there.command("prices_follow", account_id=there.account["etsy"], yes=True, far=True)
        there.wait(120)
        there.calls.clear()
        there.console("shopify", "set_price", sku="MUG", price_minor=19)
        there.until(lambda: there.tasks(), "a person hears of it")
        there.wait(6 * 3_600)
        assert [kind for kind, _, _ in there.tasks()] == ["price_refused"]
        assert len(there.writes("etsy", "updateListingInventory")) == 1
        assert there.shops["etsy"].state()["prices"] == {"MUG": 30}
        there.console("shopify", "set_price", sku="MUG", price_minor=25)
        there.until(lambda: there.shops["etsy"].state()["prices"] == {"MUG": 25}, "the next price is told")
        there.until(lambda: there.tasks() == [], "nobody is asked any more")


def test_FC_D13_a_notice_without_a_quantity_is_read_and_not_taken_for_0(tmp_path: Path) -> None:
    """Amazon's own notice of a number that changed, with the number taken out of it."""
    with town(tmp_path, thing("MUG", 5), channels=("shopify", "amazon", "ebay")) as there:
        seller = there.shops["amazon"].credentials()["seller_id"]
        change = {"SellerId": seller, "FulfillmentChannelCode": "DEFAULT", "Sku": "MUG"}
        notice = {
            "NotificationVersion": "1.0",
            "NotificationType": "LISTINGS_ITEM_MFN_QUANTITY_CHANGE",
            "PayloadVersion": "1.0",
            "EventTime": "2026-11-23T06:01:30.000Z",
            "Payload": change,
        }
        queue = there.engine.queue
        there.do(queue.send(queue.credentials["queue_arn"], json.dumps(notice)))
        there.wait(3_600)
        assert there.rows("SELECT state, note FROM inbox WHERE source = 'queue'") == [("DONE", "")]
        assert there.rows("SELECT believed FROM slot") != []
        assert there.shown("MUG") == {"shopify": 5, "amazon": 5, "ebay": 5}
        assert there.level("MUG") == (5, 0, 0, 0)
        assert there.value("SELECT COUNT(*) FROM attempt") == 0


def knock(there: Town, method: str, body: bytes, headers: dict[str, str]) -> int:
    return int(there.do(there.net.knock(method, f"{SHOP_URL}/webhooks/shopify", headers, body, 5.0)).status)


def told(there: Town, topic: str, body: bytes, key: str) -> dict[str, str]:
    """The headers of a notification of Shopify's, signed with `key`."""
    mac = base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()
    return {
        "X-Shopify-Topic": topic,
        "X-Shopify-Hmac-Sha256": mac,
        "X-Shopify-Shop-Domain": there.value("SELECT external_id FROM account WHERE channel = 'shopify'"),
        "X-Shopify-API-Version": "2026-10",
        "X-Shopify-Webhook-Id": topic,
    }


def test_FC_D14_what_is_not_signed_is_refused_and_what_is_signed_is_only_a_reason_to_read(tmp_path: Path) -> None:
    with town(tmp_path, thing("MUG", 5), channels=("shopify", "ebay")) as there:
        item = there.value("SELECT item_id FROM item")
        place = there.value("SELECT location_id FROM location")
        claim: dict[str, Any] = {
            "inventory_item_id": int(item.rsplit("/", 1)[1]),
            "location_id": int(place.rsplit("/", 1)[1]),
            "available": 0,
            "updated_at": "2026-11-23T06:02:00Z",
        }
        body, before = json.dumps(claim).encode(), there.value("SELECT COUNT(*) FROM inbox")
        for method in ("HEAD", "GET", "PUT"):
            assert knock(there, method, body, {}) == 405
        forged = told(there, "inventory_levels/update", body, "not the secret")
        assert knock(there, "POST", body, forged) == 401
        assert knock(there, "POST", body, {**forged, "X-Shopify-Hmac-Sha256": ""}) == 401
        assert there.value("SELECT COUNT(*) FROM inbox") == before
        there.calls.clear()
        genuine = told(there, "inventory_levels/update", body, there.shops["shopify"].client_secret)
        assert knock(there, "POST", body, genuine) == 200
        there.wait(300)
        assert there.asked("shopify", "ItemLevels") != [], "it was read"
        assert there.shown("MUG") == {"shopify": 5, "ebay": 5}, "and the 0 was not believed"
        assert there.level("MUG") == (5, 0, 0, 0)


def test_FC_D15_the_marketplaces_own_minutes_are_told_apart_from_ours(tmp_path: Path) -> None:
    """Amazon takes a number at once and shows it two minutes later: accepted is ours, shown is theirs, and meanwhile it is under way."""
    with town(tmp_path, thing("MUG", 5)) as there:
        there.buy("etsy", MUG=1)
        there.shows("MUG", 4, "ebay", within_s=30)
        assert there.shown("MUG")["amazon"] == 5
        assert there.rows("SELECT state FROM slot WHERE account_id = :a", a=there.account["amazon"]) == [("APPLYING",)]
        there.shows("MUG", 4, within_s=300)
        there.wait(120)
        measured = there.tx(lambda tx: latency(tx, 1))
        assert measured["amazon"]["publish"]["p99"] < 2 < 60 < measured["amazon"]["effect"]["p99"]
        assert measured["ebay"]["publish"]["p99"] < 2 and measured["ebay"]["effect"]["p99"] < 20
