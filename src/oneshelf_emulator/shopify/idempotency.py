"""`@idempotent(key:)`: kept keys, their fingerprints, and what a second use of a key is answered.

Source: contracts sheet shopify section 6 [D 20]; Shopify docs "idempotent requests". Kept 24 hours.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo
from graphql.execution import get_directive_values

from ..clock import Clock

KEPT_S = 86_400.0
MISMATCH = (
    "IDEMPOTENCY_KEY_PARAMETER_MISMATCH",
    "The same idempotency key cannot be used with different operation parameters.",
)
FAILED = (
    "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED",
    "A previous request with this idempotency key failed. Retry with a new idempotency key.",
)
RUNNING = ("IDEMPOTENCY_CONCURRENT_REQUEST", "This request is currently in progress, please try again.")


@dataclass
class _Kept:
    fingerprint: str
    until: datetime
    rebuild: Callable[[], dict[str, Any]] | None  # None: the attempt failed
    running_until: datetime | None = None


class Keys:
    """The keys of one app in one shop."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._kept: dict[str, _Kept] = {}
        self._stuck: dict[str, datetime] = {}

    def mark_running(self, key: str, seconds: float) -> None:
        """Pretend that a request with this key runs for a while (shortened): it answers CONCURRENT_REQUEST."""
        self._stuck[key] = self.clock.now() + timedelta(seconds=self.clock.shortened(seconds))

    def once(
        self,
        info: GraphQLResolveInfo[Any],
        arguments: Mapping[str, Any],
        run: Callable[[], tuple[dict[str, Any], Callable[[], dict[str, Any]]]],
        refuse: Callable[[str, str], dict[str, Any]],
    ) -> dict[str, Any]:
        """Run a mutation once for its key.

        `run` returns the answer and how to build it again from the present; `refuse(code, message)` makes the
        payload of a user error. Raises GraphQLError BAD_REQUEST if the directive is missing or its key is blank.
        """
        key = key_of(info)
        if key is None:
            raise GraphQLError(
                "The @idempotent directive is required for this mutation but was not provided.",
                extensions={"code": "BAD_REQUEST"},
            )
        if not key.strip():
            raise GraphQLError("The idempotency key cannot be blank.", extensions={"code": "BAD_REQUEST"})
        now = self.clock.now()
        # Input order counts: the arguments are written down as they came.
        fingerprint = info.field_name + json.dumps(arguments, default=str)
        if self._stuck.get(key, now) > now:
            return refuse(*RUNNING)
        kept = self._kept.get(key)
        if kept is not None and kept.until > now:
            if kept.fingerprint != fingerprint:
                return refuse(*MISMATCH)
            return refuse(*FAILED) if kept.rebuild is None else kept.rebuild()
        answer, rebuild = run()
        until = now + timedelta(seconds=self.clock.shortened(KEPT_S))
        self._kept[key] = _Kept(fingerprint, until, None if answer["userErrors"] else rebuild)
        if len(self._kept) > 50_000:
            self._kept = {name: each for name, each in self._kept.items() if each.until > now}
        return answer


def key_of(info: GraphQLResolveInfo[Any]) -> str | None:
    """Return the key of the directive on this mutation field, from a literal or a variable, or None."""
    directive = info.schema.get_directive("idempotent")
    assert directive is not None
    values = get_directive_values(directive, info.field_nodes[0], info.variable_values)
    return None if values is None else str(values["key"])
