"""docs/reference/channels.md says of each channel what its connector offers: every cell, read from the page as a reader does.

The page is generated; this asks the connectors again by the ability protocols, without the generator.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneshelf.channels.abilities import Cancels, Checks, FollowsCatalogue, Migrates, Prices, Ships, SignsIn
from oneshelf.channels.contract import Hub
from oneshelf.wiring import build_channel

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "channels.md"
SETTINGS = {
    "shopify": {"shop": "x.myshopify.com"},
    "amazon": {"seller_id": "A1", "marketplace_ids": "ATVPDKIKX0DER"},
    "ebay": {},
    "etsy": {"shop_id": "1"},
}
CHANNELS = {name: build_channel(name, settings) for name, settings in SETTINGS.items()}


def cells() -> dict[tuple[str, str], str]:
    """(row, channel) → the words of its cell."""
    rows = [line.strip("|").split("|") for line in PAGE.read_text().splitlines() if line.startswith("|")]
    head = [word.strip().lower() for word in rows[0][1:]]
    return {
        (row[0].strip(), channel): words.strip()
        for row in rows[2:]
        for channel, words in zip(head, row[1:], strict=True)
    }


CELLS = cells()


def _signs_in(c: Any) -> bool:
    return isinstance(getattr(importlib.import_module(f"oneshelf.channels.{c.name}"), "SIGN_IN", None), SignsIn)


def _ship(name: str) -> Callable[[Any], bool]:
    return lambda c: isinstance(c, Ships) and bool(getattr(c.ships, name))


def _cancels(c: Any) -> bool:
    return isinstance(c, Cancels) and c.cancels.how in ("call", "job")


#: Row → whether the connector can.
CAN: dict[str, Callable[[Any], bool]] = {
    "sign in with the browser": _signs_in,
    "say what is missing (`channels check`)": lambda c: isinstance(c, Checks),
    "orders by push": lambda c: c.can.has_webhooks or c.can.has_queue,
    "orders by poll": lambda c: callable(c.fetch) and c.can.poll_interval_s > 0,
    "open orders read again by id": lambda c: callable(c.fetch_order) and c.can.rereads_open_orders_s is not None,
    "whole catalogue": lambda c: isinstance(c, Hub) or callable(c.catalogue),
    "a changed listing read again": lambda c: isinstance(c, FollowsCatalogue),
    "listings made elsewhere brought over": lambda c: isinstance(c, Migrates),
    "numbers read": lambda c: callable(c.read) and c.can.read_batch >= 1,
    "numbers written": lambda c: callable(c.publish) and not isinstance(c, Hub),
    "show nothing": lambda c: callable(c.publish) and not isinstance(c, Hub),
    "prices": lambda c: isinstance(c, Prices),
    "struck-out price": lambda c: isinstance(c, Prices) and c.prices.compare_at,
    "reduced price with start and end": lambda c: isinstance(c, Prices) and c.prices.sale_window,
    "told what was shipped": lambda c: isinstance(c, Ships),
    "single lines and units of an order": _ship("partial"),
    "several parcels an order": _ship("several"),
    "tracking changed later": _ship("edits"),
    "a short order cancelled": _cancels,
    "single lines cancelled": lambda c: _cancels(c) and c.cancels.lines,
    "copies of marketplace orders, holds, counts": lambda c: isinstance(c, Hub),
}
#: Row → the numbers that stand in its cell, in their order.
NUMBERS: dict[str, Callable[[Any], list[float]]] = {
    "orders by poll": lambda c: [c.can.poll_interval_s, c.can.visibility_delay_s],
    "open orders read again by id": lambda c: [c.can.rereads_open_orders_s / 60],
    "numbers read": lambda c: [c.can.read_batch],
    "numbers written": lambda c: [c.can.write_batch, c.can.max_quantity],
    "prices": lambda c: [c.prices.write_batch],
}
#: Row → words that stand in its cell exactly where the connector says so.
WORDS: dict[str, dict[str, Callable[[Any], bool]]] = {
    "orders by push": {"queue": lambda c: c.can.has_queue, "webhook": lambda c: c.can.has_webhooks},
    "numbers written": {
        "absolute": lambda c: c.can.write == "absolute",
        "after a read": lambda c: c.can.reads_before_write,
    },
    "numbers read": {"listings": lambda c: c.can.reads_units},
    "show nothing": {"closed": lambda c: c.can.zero_is_state, "quantity 0": lambda c: not c.can.zero_is_state},
    "prices": {"together with the quantity": lambda c: c.prices.carries_quantity},
    "a short order cancelled": {
        "at once": lambda c: c.cancels.how == "call",
        "looked after": lambda c: c.cancels.how == "job",
    },
}


def test_every_row_and_channel_of_the_page_is_asked() -> None:
    assert {row for row, _ in CELLS} == set(CAN)
    assert {channel for _, channel in CELLS} == set(CHANNELS)


@pytest.mark.parametrize(("row", "channel"), sorted(CELLS), ids=lambda word: word.replace(" ", "_"))
def test_a_cell_says_what_the_connector_offers(row: str, channel: str) -> None:
    words, c = CELLS[(row, channel)], CHANNELS[channel]
    assert words.startswith(("yes", "no: "))
    assert words.startswith("yes") is bool(CAN[row](c))
    if words.startswith("no: "):
        assert len(words.removeprefix("no: ")) > 10, "a no has its reason"
        return
    if row in NUMBERS:
        said = [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", words)]
        assert said == NUMBERS[row](c)
    for word, holds in WORDS.get(row, {}).items():
        assert (word in words) is bool(holds(c)), word
