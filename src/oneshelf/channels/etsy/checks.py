"""What is missing at an Etsy shop, and what to do about it. Reads only.

In: `Http`. Out: findings. Never: writes; whether a shop may ship through the API is told by withheld addresses, not by a try.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from oneshelf.channels.contract import Finding, Http, Response
from oneshelf.channels.etsy.auth import SCOPES
from oneshelf.channels.etsy.client import EtsyClient
from oneshelf.channels.etsy.limits import quota
from oneshelf.channels.etsy.parse import ORDER_EVENTS
from oneshelf.channels.etsy.wire import text, whole

#: Below this part of the day's calls only zero-outs are sure to be paid for (S8.11).
_RESERVE = 0.1
#: How far back receipts are looked at for withheld addresses, in seconds.
_LOOK_BACK_S = 30 * 86_400

_WHY = {
    "transactions_r": "orders are read with it",
    "transactions_w": "parcels are told with it",
    "listings_r": "listings and their numbers are read with it",
    "listings_w": "numbers are written with it",
    "shops_r": "the shop and its processing profiles are read with it",
}


async def check(
    client: EtsyClient, http: Http, shop_id: str, callback_url: str | None, app_secret: Mapping[str, str]
) -> list[Finding]:
    """Look at access, scopes, quota, shop, processing profiles, the right to ship, webhooks. Raises Retry, SignInAgain, Park, NoAnswer."""
    granted, answer = await client.token_scopes(http)
    found = [_scope(scope, granted) for scope in SCOPES]
    found.append(_quota(answer))
    if "shops_r" not in granted:
        return found
    me = await client.get_me(http)
    own = str(whole(me.get("shop_id")) or "")
    if not own or (shop_id and own != shop_id):
        todo = "Sign in as the owner of this shop: oneshelf channels connect etsy"
        return [Finding(f"Signed in to shop {own or 'of nobody'}", False, todo, code="access"), *found]
    shop = await client.get_shop(http, own)
    found = [Finding(f"Signed in as {text(shop.get('shop_name')) or own}", True, code="access"), *found]
    found += _of_shop(shop)
    found.append(_profiles(await client.get_readiness_states(http)))
    if "transactions_r" in granted:
        found.append(await _ships(client, http, answer.received_at))
    return [*found, webhooks(callback_url, app_secret)]


def webhooks(callback_url: str | None, app_secret: Mapping[str, str]) -> Finding:
    """Say what a person enters in the developer site. Polling covers what it lacks: never a failure.

    Source: Etsy developer documentation, essentials/webhooks, read 2026-11: no API, commercial apps only.
    """
    if callback_url is None or app_secret.get("webhook_secret"):
        return Finding("Etsy webhooks", ok=True, code="subscription")
    events = ", ".join(sorted(ORDER_EVENTS))
    todo = (
        f"Optional, commercial apps only: in the developer site set the webhook address {callback_url}, choose {events} and the "
        "inventory and listing events, and enter the signing secret (whsec_…) as webhook_secret. Until then orders are polled."
    )
    return Finding("Etsy webhooks", ok=True, todo=todo, code="subscription")


def _scope(scope: str, granted: frozenset[str]) -> Finding:
    ok = scope in granted
    todo = "" if ok else f"Connect the shop again and grant {scope}: {_WHY[scope]}."
    return Finding(f"Scope {scope}", ok, todo, code="scope", which=scope)


def _quota(answer: Response) -> Finding:
    left, limit = quota(answer)
    if left is None:
        return Finding("Etsy's quota of the day is not told", True, code="quota")
    of = "" if limit is None else f" of {limit:.0f}"
    ok = left > (0 if limit is None else limit * _RESERVE)
    todo = "" if ok else "Poll less often (poll_etsy_s), or ask Etsy for a higher limit; zero-outs keep the last tenth."
    return Finding(f"{left:.0f}{of} calls left in this day", ok, todo, code="quota")


def _of_shop(shop: dict[str, Any]) -> list[Finding]:
    away = shop.get("is_vacation") is True
    todo = (
        "End the vacation on etsy.com (Shop Manager, Settings, Options): nothing can be bought meanwhile."
        if away
        else ""
    )
    currency = text(shop.get("currency_code")) or ""
    missing = "" if currency else "Choose the shop's currency on etsy.com."
    return [
        Finding("The shop is open", not away, todo, code="feature", which="vacation"),
        Finding(f"Currency {currency or 'is not told'}", bool(currency), missing, code="currency", which=currency),
    ]


def _profiles(count: int) -> Finding:
    todo = "" if count else "Make a processing profile on etsy.com: writing a physical listing's numbers needs one."
    return Finding(f"{count} processing profiles", count > 0, todo, code="feature", which="processing_profiles")


async def _ships(client: EtsyClient, http: Http, now: datetime) -> Finding:
    """A shop outside the region programme is given no addresses and answers parcels with 403 (etsy/open-api #1439, #1611, #1681)."""
    end = int(now.timestamp())
    rows, _ = await client.get_shop_receipts(http, min_last_modified=end - _LOOK_BACK_S, offset=0)
    receipts = [one for one in map(_receipt, rows.results) if _physical(one)]
    gated = bool(receipts) and not any(text(one.get("first_line")) for one in receipts)
    todo = (
        "Etsy withholds addresses from this app, so it may refuse parcels: ask Etsy for access to shipping in your region, and "
        "enter tracking numbers on etsy.com until then."
        if gated
        else ""
    )
    return Finding("Parcels can be told through the API", not gated, todo, code="feature", which="shipping")


def _receipt(row: msgspec.Raw) -> dict[str, Any]:
    try:
        return msgspec.json.decode(row, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}


def _physical(receipt: dict[str, Any]) -> bool:
    lines = receipt.get("transactions")
    return isinstance(lines, list) and any(isinstance(one, dict) and one.get("is_digital") is not True for one in lines)
