"""What goes wrong at an eBay account and stays wrong: `POST /_emulator/break`.

Each state is made of what eBay itself does in it: errorIds 1001, 1100 and 2001, invalid_grant, subscriptions that are not there.
Source: Sell and Commerce Notification contracts, developer.ebay.com oauth-tokens and api-call-limits, read 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..broken import Broken, no_end
from .oauth import ROOT, SCOPES
from .quotas import CALLS_PER_DAY

if TYPE_CHECKING:
    from .emulator import Ebay

ELSEWHERE = "https://old.example/webhooks/ebay"


def _scope_taken(ebay: Ebay, scope: str = "sell.account") -> frozenset[str]:
    """The readonly twin of a scope goes with it."""
    taken = frozenset({f"{ROOT}/{scope}", f"{ROOT}/{scope}.readonly"}) & SCOPES
    if not taken:
        raise ValueError(f"eBay has no scope {scope!r}")
    ebay.tokens.change_scopes(taken=taken)
    return taken


def _subscription_deleted(ebay: Ebay, topic: str = "ORDER_CONFIRMATION") -> None:
    every = ebay.notifications.subscriptions
    for key in [key for key, each in every.items() if each.topic_id == topic]:
        del every[key]


def _subscription_disabled(ebay: Ebay, topic: str = "ORDER_CONFIRMATION") -> None:
    for each in ebay.notifications.subscriptions.values():
        if each.topic_id == topic:
            each.status = "DISABLED"


def _callback_elsewhere(ebay: Ebay, url: str = ELSEWHERE) -> None:
    """The developer has typed another address for the destination: what is subscribed goes there."""
    for each in ebay.notifications.destinations.values():
        each.endpoint = url


def _marked_down(ebay: Ebay) -> None:
    for each in ebay.notifications.destinations.values():
        each.status = "MARKED_DOWN"


def _quota_used_up(ebay: Ebay, api: str = "sell.inventory", left: int = 0) -> tuple[str, int]:
    if api not in CALLS_PER_DAY:
        raise ValueError(f"eBay counts no calls of {api!r}; known: {', '.join(CALLS_PER_DAY)}")
    before = ebay.quotas.used(api)
    ebay.quotas.count(api, ebay.quotas.limit(api) - int(left))
    return api, before


def _out_of_stock_control(ebay: Ebay, *, on: bool) -> bool:
    before: bool = ebay.switches["out_of_stock_control"]
    ebay.switches["out_of_stock_control"] = on
    return before


STATES: dict[str, Broken] = {
    "scope_taken": Broken(
        "the seller's consent lacks a scope (`scope`, short name): 403, errorId 1100",
        _scope_taken,
        lambda ebay, taken: ebay.tokens.change_scopes(given=taken),
    ),
    "refresh_expired": Broken(
        "the consent of 18 months has run out: 401, then invalid_grant; a new consent ends it",
        lambda ebay: ebay.tokens.expire_all(),
        no_end,
    ),
    "revoked": Broken(
        "the seller has withdrawn the consent: tokens die, AUTHORIZATION_REVOCATION goes out; a new consent ends it",
        lambda ebay: ebay.console("revoke"),
        no_end,
    ),
    "subscription_deleted": Broken(
        "a subscription (`topic`) is gone; who wants it subscribes again", _subscription_deleted, no_end
    ),
    "subscription_disabled": Broken(
        "a subscription (`topic`) is DISABLED; who wants it enables it again", _subscription_disabled, no_end
    ),
    "callback_elsewhere": Broken(
        "the destination has another address (`url`); who wants the news makes one of its own",
        _callback_elsewhere,
        no_end,
    ),
    "marked_down": Broken(
        "the destination did not answer for long and is MARKED_DOWN; who wants the news enables it again",
        _marked_down,
        no_end,
    ),
    "out_of_stock_control_off": Broken(
        "the seller's out-of-stock control is off: a listing ends at 0",
        lambda ebay: _out_of_stock_control(ebay, on=False),
        lambda ebay, before: _out_of_stock_control(ebay, on=before),
    ),
    "quota_used_up": Broken(
        "today's calls of an API (`api`) are used up but for `left` (0): 429, errorId 2001, until midnight Pacific",
        _quota_used_up,
        lambda ebay, kept: ebay.quotas.count(*kept),
    ),
}
