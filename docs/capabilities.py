"""Makes docs/reference/channels.md: what each channel can do, asked of the connectors themselves, and why not where it can't."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from oneshelf.channels import abilities
from oneshelf.channels.contract import Hub
from oneshelf.wiring import build_channel

CHANNELS = {
    "shopify": {"shop": "x.myshopify.com"},
    "amazon": {"seller_id": "A1", "marketplace_ids": "ATVPDKIKX0DER"},
    "ebay": {},
    "etsy": {"shop_id": "1"},
}

#: Why a channel can't. A cell that says no without a reason fails the build.
REASONS = {
    ("open orders read again by id", "shopify"): "a cancel moves its update time",
    ("open orders read again by id", "ebay"): "a cancel moves its update time",
    ("listings made elsewhere brought over", "shopify"): "all are within reach",
    ("listings made elsewhere brought over", "amazon"): "all are within reach",
    ("listings made elsewhere brought over", "etsy"): "all are within reach",
    ("numbers written", "shopify"): "the hub serves itself; only holds, copies and counts are written",
    ("show nothing", "shopify"): "the hub serves itself",
    ("struck-out price", "amazon"): "its list price is another attribute, set with the listing",
    ("struck-out price", "ebay"): "the bulk call takes the price only",
    ("struck-out price", "etsy"): "Etsy has none; sales are made on etsy.com",
    ("reduced price with start and end", "shopify"): "a variant has none",
    ("reduced price with start and end", "ebay"): "the marketing API, another scope",
    ("reduced price with start and end", "etsy"): "Etsy has none; sales are made on etsy.com",
    ("told what was shipped", "shopify"): "the merchant ships there",
    ("single lines and units of an order", "shopify"): "the merchant ships there",
    ("single lines and units of an order", "etsy"): "a receipt goes whole",
    ("several parcels an order", "shopify"): "the merchant ships there",
    ("tracking changed later", "shopify"): "the merchant ships there",
    ("tracking changed later", "ebay"): "a told parcel can't be changed; a person adds the right number",
    ("tracking changed later", "etsy"): "a told parcel can't be changed; a person adds the right number",
    ("a short order cancelled", "etsy"): "Etsy has no call: a person, by a link",
    ("single lines cancelled", "ebay"): "whole orders only",
    ("single lines cancelled", "etsy"): "Etsy has no call: a person, by a link",
    ("copies of marketplace orders, holds, counts", "amazon"): "that is the hub's",
    ("copies of marketplace orders, holds, counts", "ebay"): "that is the hub's",
    ("copies of marketplace orders, holds, counts", "etsy"): "that is the hub's",
}


def pushed(c: Any) -> str:
    if c.can.has_queue:
        return "yes, by a queue of ours (SQS)"
    return "yes, by webhook" if c.can.has_webhooks else ""


def polled(c: Any) -> str:
    return f"yes, every {c.can.poll_interval_s:g} s, seen {c.can.visibility_delay_s:g} s late"


def read_again(c: Any) -> str:
    every = c.can.rereads_open_orders_s
    return f"yes, every {every / 60:g} min" if every else ""


def numbers_read(c: Any) -> str:
    return f"yes, {c.can.read_batch} {'listings ' if c.can.reads_units else ''}a call"


def numbers_written(c: Any) -> str:
    if isinstance(c, Hub):
        return ""
    how = "compare-and-set" if c.can.write == "compare_and_set" else "absolute"
    first = ", after a read of the listing" if c.can.reads_before_write else ""
    return f"yes, {how}, {c.can.write_batch} a call, up to {c.can.max_quantity:,}{first}"


def zero(c: Any) -> str:
    if isinstance(c, Hub):
        return ""
    return "yes, the listing is closed" if c.can.zero_is_state else "yes, quantity 0"


def prices(c: Any) -> str:
    if not isinstance(c, abilities.Prices):
        return ""
    along = ", together with the quantity" if c.prices.carries_quantity else ""
    return f"yes, {c.prices.write_batch} a call{along}"


def compare_at(c: Any) -> str:
    return "yes" if isinstance(c, abilities.Prices) and c.prices.compare_at else ""


def sale(c: Any) -> str:
    return "yes" if isinstance(c, abilities.Prices) and c.prices.sale_window else ""


def followed(c: Any) -> str:
    return "yes" if isinstance(c, abilities.FollowsCatalogue) else ""


def migrates(c: Any) -> str:
    return f"yes, {c.migration.batch} a call, when a person asks" if isinstance(c, abilities.Migrates) else ""


def ships(c: Any) -> str:
    return "yes" if isinstance(c, abilities.Ships) else ""


def ship(name: str) -> Callable[[Any], str]:
    return lambda c: "yes" if isinstance(c, abilities.Ships) and getattr(c.ships, name) else ""


def cancels(c: Any) -> str:
    if not isinstance(c, abilities.Cancels) or c.cancels.how == "person":
        return ""
    return "yes, answered at once" if c.cancels.how == "call" else "yes, asked and looked after"


def cancels_lines(c: Any) -> str:
    return "yes" if isinstance(c, abilities.Cancels) and c.cancels.lines else ""


def checks(c: Any) -> str:
    return "yes" if isinstance(c, abilities.Checks) else ""


def signs_in(c: Any) -> str:
    module = importlib.import_module(f"oneshelf.channels.{c.name}")
    return "yes" if isinstance(getattr(module, "SIGN_IN", None), abilities.SignsIn) else ""


def copies(c: Any) -> str:
    return "yes" if isinstance(c, Hub) else ""


ROWS: dict[str, Callable[[Any], str]] = {
    "sign in with the browser": signs_in,
    "say what is missing (`channels check`)": checks,
    "orders by push": pushed,
    "orders by poll": polled,
    "open orders read again by id": read_again,
    "whole catalogue": lambda c: "yes",
    "a changed listing read again": followed,
    "listings made elsewhere brought over": migrates,
    "numbers read": numbers_read,
    "numbers written": numbers_written,
    "show nothing": zero,
    "prices": prices,
    "struck-out price": compare_at,
    "reduced price with start and end": sale,
    "told what was shipped": ships,
    "single lines and units of an order": ship("partial"),
    "several parcels an order": ship("several"),
    "tracking changed later": ship("edits"),
    "a short order cancelled": cancels,
    "single lines cancelled": cancels_lines,
    "copies of marketplace orders, holds, counts": copies,
}


def page() -> str:
    """Return the page. Raises ValueError for a no without a reason, or a reason for a yes."""
    made = {name: build_channel(name, settings) for name, settings in CHANNELS.items()}
    lines = [
        "| | " + " | ".join(name.title() if name != "ebay" else "eBay" for name in CHANNELS) + " |",
        "|---" * 5 + "|",
    ]
    unexplained, used = [], set()
    for row, say in ROWS.items():
        cells = []
        for name, channel in made.items():
            cell = say(channel)
            if not cell:
                used.add((row, name))
                reason = REASONS.get((row, name), "")
                unexplained += [] if reason else [(row, name)]
                cell = f"no: {reason}"
            cells.append(cell)
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    if unexplained or set(REASONS) - used:
        raise ValueError(f"no reason for {unexplained}; reasons for what is there: {sorted(set(REASONS) - used)}")
    return (
        "# What each channel can do\n\n"
        "Asked of the connectors themselves. Each connector's own page says more: ids, quirks with their source, scopes.\n\n"
        "This page is generated: `make docs`.\n\n" + "\n".join(lines) + "\n"
    )
