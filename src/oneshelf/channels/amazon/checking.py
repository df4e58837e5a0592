"""What is missing at Amazon: access, roles, marketplaces, queue, subscriptions. Reads only.

In: an Account, the application's client id and secret. Out: Findings. Never: a write.
A role shows only by what is refused without it: each family of operations is asked for something small.
Source: models sellers, orders_2026-01-01, listingsItems_2021-08-01, feeds_2021-06-30, notifications; roles: pages
get-orders-with-filtering-criteria (any of twelve), inventory-and-order-tracking-role, order-feed-type-values, announcement of
searchListingsItems (Product Listing); read 2026-11. U (unconfirmed): whether the application's page writes the names just so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from oneshelf.channels.amazon import listings, wire
from oneshelf.channels.amazon.account import Account, build
from oneshelf.channels.amazon.answers import body_of_read, decoded
from oneshelf.channels.amazon.auth import LoginWithAmazon
from oneshelf.channels.amazon.cancels import FEED_TYPE
from oneshelf.channels.amazon.marketplaces import MARKETPLACES
from oneshelf.channels.amazon.notifications import EVENT_BRIDGE_TYPES, PAYLOAD_VERSION, known_destination, resource_of
from oneshelf.channels.amazon.queue import NOTIFICATIONS_ACCOUNT
from oneshelf.channels.contract import Finding, Http, Request
from oneshelf.core.errors import Park, Retry, SignInAgain, UsedUp

_ARN = re.compile(r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,80}(\.fifo)?")
#: An order that nobody has: what is asked is whether we may ask.
_NO_ORDER = "000-0000000-0000000"


async def check(http: Http, account: Account, login: LoginWithAmazon, app_secret: Mapping[str, str]) -> list[Finding]:
    """Look at everything once. Raises NoAnswer, Retry, SignInAgain (nothing at all may be asked)."""
    findings = [Finding("Amazon takes our credentials", True, code="access")]
    findings += await _marketplaces(http, account)
    findings += [await _role(http, request, role) for request, role in _probes(account)]
    queue = _queue(account)
    findings.append(queue)
    if queue.ok:
        findings += await _subscriptions(http, account, login, app_secret)
    return findings


async def _marketplaces(http: Http, account: Account) -> list[Finding]:
    request = build(account, "getMarketplaceParticipations", "/sellers/v1/marketplaceParticipations")
    answer = decoded(request, body_of_read(request, await http.request(request)), wire.ParticipationsAnswer)
    seen = {each.marketplace.id: each for each in answer.payload}
    findings = []
    for id_ in account.marketplace_ids:
        place = seen.get(id_)
        takes_part = place.participation if place else None
        todo = ""
        if takes_part is None or not takes_part.is_participating:
            todo = f"Take part in marketplace {id_} in Seller Central, or connect again without it in marketplace_ids."
        elif takes_part.has_suspended_listings:
            todo = f"In Seller Central → Settings → Account Info set the listing status of {id_} to active: its offers are suspended."
        elif (known := MARKETPLACES.get(id_)) and known.region != account.region:
            todo = f"Connect {id_} as an account of its own: it belongs to region {known.region}, this account to {account.region}."
        name = (place.marketplace.name if place else "") or id_
        findings.append(Finding(f"The seller sells at {name}", not todo, todo, code="location", which=id_))
    return findings


def _probes(account: Account) -> list[tuple[Request, str]]:
    return [
        (
            build(account, "getOrder", f"/orders/2026-01-01/orders/{_NO_ORDER}", {"includedData": ["FULFILLMENT"]}),
            "Inventory and Order Tracking",
        ),
        (
            build(
                account,
                "searchListingsItems",
                listings.items_path(account),
                {"marketplaceIds": account.marketplace_ids, "pageSize": 1},
            ),
            "Product Listing",
        ),
        (
            build(account, "getFeeds", "/feeds/2021-06-30/feeds", {"feedTypes": [FEED_TYPE], "pageSize": 1}),
            "Inventory and Order Tracking",
        ),
    ]


async def _role(http: Http, request: Request, role: str) -> Finding:
    """Ask; 401 and 403 are the only answers that tell of a role. Raises Retry on what may pass."""
    what = f"Amazon lets us ask {request.operation}"
    try:
        response = await http.request(request)
    except UsedUp as busy:
        # Some of these are allowed once in 45 s: that others have just asked says nothing about a role.
        return Finding(what, True, f"Not asked this time: {busy}", code="scope", which=request.operation)
    refused = response.status in (401, 403)
    if response.status == 429:
        return Finding(what, True, "Not asked this time: too many calls", code="scope", which=request.operation)
    if response.status >= 500:
        raise Retry(f"Amazon {request.operation} answered {response.status}")
    todo = (
        f"Give the application the role {role!r} in Seller Central → Develop Apps, then sign in to Amazon again: oneshelf channels "
        "connect amazon"
        if refused
        else ""
    )
    return Finding(what, not refused, todo, code="scope", which=request.operation)


def _queue(account: Account) -> Finding:
    arn, url = account.queue.arn or "", account.queue.url or ""
    todo = ""
    if not arn or not url:
        todo = (
            f"Create a standard SQS queue (not FIFO), allow account {NOTIFICATIONS_ACCOUNT} SendMessage and GetQueueAttributes on it, "
            "and connect again with queue_url and queue_arn. Until then orders are heard by polling only."
        )
    elif not _ARN.fullmatch(arn):
        todo = "Correct queue_arn: it is no ARN of an SQS queue (arn:aws:sqs:<region>:<account>:<name>)."
    elif arn.endswith(".fifo"):
        todo = "Make a standard queue: Amazon sends nothing to a FIFO one, without a word."
    elif url.rstrip("/").rsplit("/", 1)[-1] != arn.rsplit(":", 1)[-1]:
        todo = "Correct queue_url or queue_arn: they name two different queues."
    return Finding("A queue for Amazon's notifications", not todo, todo, code="queue")


async def _subscriptions(
    http: Http, account: Account, login: LoginWithAmazon, app_secret: Mapping[str, str]
) -> list[Finding]:
    """Look whether each type goes to our destination. The listing types go through EventBridge only, and only where it is set."""
    try:
        token = await login.grantless_token(http, app_secret)
    except SignInAgain as refused:
        return [Finding("The application's own token", False, str(refused), code="access", which="notifications")]
    wanted: list[tuple[str, tuple[str, ...]]] = [("sqs", ("ORDER_CHANGE",))]
    findings = []
    if account.event_bridge_account_id:
        wanted.append(("eventBridge", EVENT_BRIDGE_TYPES))
    else:
        findings.append(Finding("Listing notices are not set up (event_bridge_account_id)", True, code="feature"))
    for transport, kinds in wanted:
        destination_id = await known_destination(http, account, token, resource_of(account, transport))
        for kind in kinds:
            ok = bool(destination_id) and await _subscribed_to(http, account, kind) == destination_id
            todo = (
                ""
                if ok
                else f"Amazon does not send {kind} to our queue. Oneshelf subscribes again within the hour by itself; to have it at once, "
                "connect the account again. Until then it is heard by polling only."
            )
            findings.append(Finding(f"Amazon tells us {kind}", ok, todo, code="subscription", which=kind))
    return findings


async def _subscribed_to(http: Http, account: Account, kind: str) -> str | None:
    path = f"/notifications/v1/subscriptions/{kind}"
    request = build(account, "getSubscription", path, {"payloadVersion": PAYLOAD_VERSION})
    response = await http.request(request)
    if response.status == 404:
        return None
    try:
        return decoded(request, body_of_read(request, response), wire.SubscriptionAnswer).payload.destination_id
    except (SignInAgain, Park):
        return None
