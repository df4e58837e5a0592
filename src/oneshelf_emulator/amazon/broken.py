"""What goes wrong at an Amazon seller account and stays wrong: `POST /_emulator/break`.

Each state is made of what Amazon or SQS does in it: 403 Unauthorized, invalid_grant, a subscription or a queue that is not there.
Source: models notifications and sellers; page connecting-to-the-selling-partner-api; page set-up-notifications-with-amazon-sqs (the
queue's policy); read 2026-11.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..broken import Broken, no_end
from .limits import ORDER_TRACKING, PRODUCT_LISTING

if TYPE_CHECKING:
    from .marketplace import Amazon


def _role_taken(amazon: Amazon, role: str = PRODUCT_LISTING) -> Sequence[str]:
    if role not in (PRODUCT_LISTING, ORDER_TRACKING):
        raise ValueError(f"there is no role {role!r} here; known: {PRODUCT_LISTING}, {ORDER_TRACKING}")
    before: Sequence[str] = amazon.switches["missing_roles"]
    amazon.switches["missing_roles"] = (*before, role)
    return before


def _role_given(amazon: Amazon, before: Sequence[str]) -> None:
    amazon.switches["missing_roles"] = before


def _subscription_deleted(amazon: Amazon, kind: str = "ORDER_CHANGE") -> None:
    amazon.notifications.subscriptions.pop(kind, None)


async def _queue(amazon: Amazon, state: str) -> None:
    if amazon.set_queue is None:
        raise ValueError("no queue is emulated here: start the emulator without --no-sqs")
    await amazon.set_queue(state)


async def _queue_right(amazon: Amazon, kept: None) -> None:
    await _queue(amazon, "")


STATES: dict[str, Broken] = {
    "role_taken": Broken(
        "the application lost a role (`role`): 403 Unauthorized on every operation of it", _role_taken, _role_given
    ),
    "revoked": Broken(
        "the seller has taken the application's rights away: 403, then invalid_grant; a new authorization ends it",
        lambda amazon: amazon.tokens.revoke(),
        lambda amazon, kept: amazon.tokens.grant_again(),
    ),
    "subscription_deleted": Broken(
        "a subscription (`kind`) is gone: 404; who wants it subscribes again", _subscription_deleted, no_end
    ),
    "queue_missing": Broken(
        "the queue was deleted: SQS answers QueueDoesNotExist, notifications are lost",
        lambda amazon: _queue(amazon, "missing"),
        _queue_right,
    ),
    "queue_not_allowed": Broken(
        "the queue's policy no longer lets Amazon write: notifications are lost without a word",
        lambda amazon: _queue(amazon, "not_allowed"),
        _queue_right,
    ),
}
