"""Is our queue there, and may the channel write into it? Reads only.

In: where the queue is, our AWS keys, the account that writes into it. Out: a Finding. Never: touches a message.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from oneshelf.channels.contract import Finding

from .queue import Where, client_of

#: SQS has called a missing queue by both names. Source: Amazon SQS API reference, common errors; botocore's error shape.
_MISSING = ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")


async def look(where: Where, app: Mapping[str, str], sender: str) -> Finding:
    """Look once. `sender`: the AWS account whose SendMessage the queue's policy must allow."""
    what, queue_url = "The queue takes the channel's messages", where.url or ""
    try:
        client = await client_of(where, app)
    except (BotoCoreError, ValueError) as mistyped:
        todo = f"Correct queue_region or queue_url and connect the account again: {mistyped}"
        return Finding(what, False, todo, code="queue", which="address")
    try:
        answer = await asyncio.to_thread(
            client.get_queue_attributes, QueueUrl=queue_url, AttributeNames=["QueueArn", "Policy"]
        )
    except ClientError as refused:
        return Finding(what, False, _refused(refused, queue_url), code="queue", which=_which(refused))
    except (BotoCoreError, OSError) as silent:
        todo = (
            f"AWS can't be reached at {queue_url}: look at queue_url, queue_region and this machine's network ({silent}). Until then "
            "orders are heard by polling only."
        )
        return Finding(what, False, todo, code="queue", which="unreachable")
    if allows(answer.get("Attributes", {}).get("Policy", ""), sender):
        return Finding(what, True, code="queue", which="policy")
    todo = (
        f"Give the queue an access policy (AWS console → SQS → the queue → Access policy) that allows account {sender} the actions "
        "SendMessage and GetQueueAttributes. Until then its messages are lost without a word, and orders are heard by polling only."
    )
    return Finding(what, False, todo, code="queue", which="policy")


def _which(refused: ClientError) -> str:
    return "missing" if _code(refused) in _MISSING else "refused"


def _code(refused: ClientError) -> str:
    return str(refused.response.get("Error", {}).get("Code", ""))


def _refused(refused: ClientError, queue_url: str) -> str:
    if _code(refused) in _MISSING:
        return (
            f"There is no queue at {queue_url} any more: make it again under the same name (standard, not FIFO) with its access policy, "
            "or connect the account again with another queue_url and queue_arn. Until then orders are heard by polling only."
        )
    return (
        f"AWS does not let us look at the queue ({_code(refused)}): give our access key sqs:ReceiveMessage, sqs:DeleteMessage and "
        "sqs:GetQueueAttributes on it, or connect the account again with another key."
    )


def allows(policy: str, account: str) -> bool:
    """Return whether a queue's policy lets an AWS account send messages into it and look at it. Deny statements are not weighed."""
    try:
        statements = json.loads(policy or "{}").get("Statement", [])
    except (ValueError, AttributeError):
        return False
    may: set[str] = set()
    for one in statements if isinstance(statements, list) else [statements]:
        if isinstance(one, dict) and one.get("Effect") == "Allow" and _names(one.get("Principal"), account):
            actions = one.get("Action", [])
            may |= {str(each).lower() for each in (actions if isinstance(actions, list) else [actions])}
    return bool(may & {"*", "sqs:*"}) or {"sqs:sendmessage", "sqs:getqueueattributes"} <= may


def _names(principal: Any, account: str) -> bool:
    """A principal is "*", or {"AWS": …} with account ids or arn:aws:iam::ID:root, one or several."""
    given = principal.get("AWS", []) if isinstance(principal, dict) else principal
    every = [str(each) for each in (given if isinstance(given, list) else [given])]
    return any(each in ("*", account) or f"::{account}:" in each for each in every)
