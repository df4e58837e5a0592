"""Make sure that Amazon tells our queue of every order: destination once, subscription once a type. Safe to repeat.

In: an Account with `queue.arn`, the application's client id and secret. Out: Findings. Never: reading the queue.
Source: model notifications, commit 34dc93f; pages "Set up notifications (Amazon SQS)", "(Amazon EventBridge)", read 2026-11.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from oneshelf.channels.amazon import wire
from oneshelf.channels.amazon.account import Account, build, path_part
from oneshelf.channels.amazon.answers import body_of_read, decoded
from oneshelf.channels.amazon.auth import LoginWithAmazon
from oneshelf.channels.amazon.marketplaces import AWS_REGIONS
from oneshelf.channels.contract import Finding, Http, NoAnswer
from oneshelf.core.errors import Park, Retry

PAYLOAD_VERSION = "1.0"
#: Model: optional; one client got a 400 without it (abuzuhri/Amazon-SP-API-CSharp issue 621).
ORDER_CHANGE_DIRECTIVE = {
    "eventFilter": {
        "eventFilterType": "ORDER_CHANGE",
        "orderChangeTypes": ["OrderStatusChange", "BuyerRequestedChange"],
    }
}
#: Listing notices go to EventBridge only. The quantity one is the earliest sign of a sale.
EVENT_BRIDGE_TYPES = ("LISTINGS_ITEM_MFN_QUANTITY_CHANGE", "LISTINGS_ITEM_STATUS_CHANGE")


async def subscribe(
    http: Http, account: Account, auth: LoginWithAmazon, app_secret: Mapping[str, str]
) -> list[Finding]:
    """Make destination and subscriptions exist and point at our queue. One Finding each; never raises for what Amazon says."""
    if not account.queue.arn or not account.queue.url:
        todo = (
            "create a standard SQS queue (not FIFO), allow account 437568002678 SendMessage and GetQueueAttributes on it, "
            "and set queue_url and queue_arn"
        )
        return [Finding(what="order notifications", ok=False, todo=todo, code="queue")]
    wanted: list[tuple[dict[str, Any], tuple[str, ...]]] = [(resource_of(account, "sqs"), ("ORDER_CHANGE",))]
    if account.event_bridge_account_id:
        wanted.append((resource_of(account, "eventBridge"), EVENT_BRIDGE_TYPES))
    try:
        token = await auth.grantless_token(http, app_secret)
    except (Retry, Park) as refused:
        return [
            Finding(
                what="notification destination", ok=False, todo=str(refused), code="subscription", which="destination"
            )
        ]
    findings = []
    for resource, types in wanted:
        try:
            destination_id = await _destination(http, account, token, resource)
        except (Retry, Park, NoAnswer) as refused:
            findings.append(
                Finding(
                    what="notification destination",
                    ok=False,
                    todo=str(refused),
                    code="subscription",
                    which="destination",
                )
            )
            continue
        for kind in types:
            findings.append(await _subscription(http, account, token, kind, destination_id))
    return findings


def resource_of(account: Account, transport: str) -> dict[str, Any]:
    """Return what a destination points at: "sqs", our queue; "eventBridge", our AWS account in Amazon's region for this account's."""
    if transport == "sqs":
        return {"sqs": {"arn": account.queue.arn}}
    return {"eventBridge": {"region": AWS_REGIONS[account.region], "accountId": account.event_bridge_account_id}}


async def _destination(http: Http, account: Account, token: str, resource: dict[str, Any]) -> str:
    """Return the id of the application's destination for this queue or bus, made if it does not exist."""
    known = await known_destination(http, account, token, resource)
    if known:
        return known
    name = "oneshelf-" + hashlib.sha256(repr(sorted(resource.items())).encode()).hexdigest()[:12]
    request = build(
        account,
        "createDestination",
        "/notifications/v1/destinations",
        method="POST",
        body={"name": name, "resourceSpecification": resource},
        writes=True,
        token=token,
    )
    response = await http.request(request)
    if response.status == 409:
        # Somebody made it between our look and our call.
        known = await known_destination(http, account, token, resource)
        if known:
            return known
    answer = decoded(request, body_of_read(request, response), wire.DestinationAnswer)
    return answer.payload.destination_id


async def known_destination(http: Http, account: Account, token: str, resource: dict[str, Any]) -> str | None:
    """Return the id of the application's destination for `resource`, None where there is none. Raises as `body_of_read`."""
    request = build(account, "getDestinations", "/notifications/v1/destinations", token=token)
    answer = decoded(request, body_of_read(request, await http.request(request)), wire.DestinationsAnswer)
    for destination in answer.payload or []:
        known = destination.resource or wire.DestinationResource()
        if "sqs" in resource and known.sqs and known.sqs.arn == resource["sqs"]["arn"]:
            return destination.destination_id
        bus = known.event_bridge
        if "eventBridge" in resource and bus and bus.account_id == resource["eventBridge"]["accountId"]:
            return destination.destination_id
    return None


async def _subscription(http: Http, account: Account, token: str, kind: str, destination_id: str) -> Finding:
    """Make sure of one subscription. One that points elsewhere is replaced: a seller and application have one a type."""
    path = f"/notifications/v1/subscriptions/{kind}"
    try:
        look = build(account, "getSubscription", path, {"payloadVersion": PAYLOAD_VERSION})
        response = await http.request(look)
        if response.status != 404:
            known = decoded(look, body_of_read(look, response), wire.SubscriptionAnswer).payload
            if known.destination_id == destination_id:
                return Finding(what=f"notifications {kind}", ok=True, code="subscription", which=kind)
            drop = build(
                account,
                "deleteSubscriptionById",
                f"{path}/{path_part(known.subscription_id)}",
                method="DELETE",
                writes=True,
                token=token,
            )
            dropped = await http.request(drop)
            if dropped.status != 404:
                body_of_read(drop, dropped)
        body: dict[str, Any] = {"payloadVersion": PAYLOAD_VERSION, "destinationId": destination_id}
        if kind == "ORDER_CHANGE":
            body["processingDirective"] = ORDER_CHANGE_DIRECTIVE
        create = build(account, "createSubscription", path, method="POST", body=body, writes=True)
        response = await http.request(create)
        if response.status != 409:
            body_of_read(create, response)
    except (Retry, Park, NoAnswer) as refused:
        return Finding(what=f"notifications {kind}", ok=False, todo=str(refused), code="subscription", which=kind)
    return Finding(what=f"notifications {kind}", ok=True, code="subscription", which=kind)
