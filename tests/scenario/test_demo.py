"""The user's scenarios and the first minute, as commands that anybody can type."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest


def _oneshelf(*args: str) -> tuple[int, Any]:
    done = subprocess.run([sys.executable, "-m", "oneshelf.cli", *args], capture_output=True, timeout=170)
    assert done.stdout, done.stderr.decode()
    return done.returncode, json.loads(done.stdout)


def _shown(timeline: list[dict[str, Any]], channel: str) -> list[int]:
    return [line["shown"] for line in timeline if line["channel"] == channel and line["what"] == "shows"]


@pytest.mark.timeout(180)
def test_scenario_A_the_last_unit_is_sold_on_amazon_and_nobody_else_can_buy_it() -> None:
    code, timeline = _oneshelf("demo", "--scenario", "last-unit", "--json")
    assert code == 0
    assert [line["channel"] for line in timeline if line["what"] == "sells 1"] == ["amazon"]
    for channel in ("shopify", "amazon", "ebay", "etsy"):
        assert _shown(timeline, channel) == [1, 0]
    refused = [line["channel"] for line in timeline if line["what"] == "refuses a buyer of 1"]
    assert refused == ["shopify", "ebay", "etsy", "amazon"]
    assert [line["at"] for line in timeline] == sorted(line["at"] for line in timeline)


@pytest.mark.timeout(180)
def test_scenario_B_jane_of_the_shop_is_one_customer_on_four_channels() -> None:
    code, timeline = _oneshelf("demo", "--scenario", "B", "--json")
    assert code == 0
    told = [line["what"] for line in timeline if line["channel"] in ("oneshelf", "merchant")]
    assert told == [
        "customer 1 by a new customer: purchases 1 (Shopify 1)",
        "stage new: the first purchase",
        "customer 1 by the same e-mail: purchases 2 (Etsy 1 · Shopify 1)",
        "stage active: 2 purchases",
        "customer 1 by the same phone and family name: purchases 3 (Amazon 1 · Etsy 1 · Shopify 1)",
        "stage loyal: 3 purchases or more",
        "customers 1 and 2 may be one (likely): the same full name and postal code",
        "says: they are one",
        "customer 1 by the merchant's word: purchases 4 (Amazon 1 · eBay 1 · Etsy 1 · Shopify 1)",
        "stage loyal: 3 purchases or more",
    ]


@pytest.mark.timeout(180)
def test_scenario_C_a_buffer_of_five_shows_three_of_eight_and_none_of_five() -> None:
    code, timeline = _oneshelf("demo", "--scenario", "buffer", "--json")
    assert code == 0
    assert _shown(timeline, "shopify") == [8, 5]
    for channel in ("amazon", "ebay", "etsy"):
        assert _shown(timeline, channel) == [8, 3, 0]


@pytest.mark.timeout(180)
def test_a_short_demo_ends_with_books_that_agree_with_the_marketplaces() -> None:
    code, summary = _oneshelf("demo", "--headless", "--seconds", "8", "--seed", "11", "--json")
    orders = summary["orders"]
    assert orders["placed"] > 5
    assert orders["stored"] == orders["placed"]
    assert orders["imported"] == orders["due"]
    assert summary["oversold"]["late"] == 0
    assert summary["breaches"] == []
    assert summary["converged"] is True
    assert code == 0
    assert set(summary["latency_s"]) == {"shopify", "amazon", "ebay", "etsy"}
