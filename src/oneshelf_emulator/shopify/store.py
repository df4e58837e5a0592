"""The shop's records by kind and id, and where new ids and timestamps come from."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

from ..clock import Clock
from .records import Record

_GID = re.compile(r"gid://shopify/([A-Za-z]+)/([^?/]+)(\?.*)?\Z")
#: First ids, in the size that real shops have them. All below 2**53, but not below 2**32.
_FIRST_ID = {
    "Product": 8_000_000_000_000,
    "ProductVariant": 42_000_000_000_000,
    "InventoryItem": 44_000_000_000_000,
    "Location": 61_000_000_000,
    "InventoryLevel": 110_000_000_000,
    "Order": 5_600_000_000_000,
    "LineItem": 14_000_000_000_000,
    "FulfillmentOrder": 6_500_000_000_000,
    "FulfillmentOrderLineItem": 13_500_000_000_000,
    "Fulfillment": 5_200_000_000_000,
    "Customer": 7_100_000_000_000,
    "WebhookSubscription": 1_300_000_000_000,
    "BulkOperation": 4_100_000_000_000,
}
R = TypeVar("R", bound=Record)


def split_gid(gid: Any) -> tuple[str, str] | None:
    """Return kind and bare id of a global id, or None if it is none."""
    match = _GID.match(gid) if isinstance(gid, str) else None
    return (match.group(1), match.group(2)) if match else None


class Store:
    """All records. Ids grow, so insertion order is id order."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self.clock = clock
        self.rng = rng
        self._tables: dict[str, dict[int, Record]] = {}
        self._last_id: dict[str, int] = {}

    def now(self) -> datetime:
        """The present in whole seconds, as Shopify stores it."""
        return self.clock.now().replace(microsecond=0)

    def new_id(self, kind: str) -> int:
        """Return the next id of a kind; the steps are uneven, as in a database that many shops share."""
        last = self._last_id.get(kind, _FIRST_ID.get(kind, 1_000_000_000_000))
        self._last_id[kind] = last + self.rng.randint(1, 65_536)
        return self._last_id[kind]

    def new_uuid(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def add(self, record: R) -> R:
        self._tables.setdefault(record.kind, {})[record.id] = record
        return record

    def drop(self, record: Record) -> None:
        self._tables.get(record.kind, {}).pop(record.id, None)

    def all(self, kind: type[R]) -> list[R]:
        """Return all records of a kind in order of id."""
        return list(self._tables.get(kind.kind, {}).values())  # type: ignore[arg-type]

    def get(self, kind: type[R], number: int) -> R | None:
        return self._tables.get(kind.kind, {}).get(number)  # type: ignore[return-value]

    def find(self, gid: Any, kind: type[R]) -> R | None:
        """Return the record of `kind` with this global id, or None (wrong kind, unknown, malformed)."""
        record = self.find_any(gid)
        return record if isinstance(record, kind) else None

    def find_any(self, gid: Any) -> Record | None:
        """Return the record with this global id, whatever it is."""
        parts = split_gid(gid)
        if parts is None:
            return None
        kind, bare = parts
        if kind == "Job":
            return next((job for job in self._tables.get("Job", {}).values() if job.gid == gid), None)
        return self._tables.get(kind, {}).get(int(bare)) if bare.isdigit() else None

    def count(self, kind: type[Record]) -> int:
        return len(self._tables.get(kind.kind, {}))

    def matching(self, kind: type[R], ids: Iterable[int]) -> list[R]:
        table = self._tables.get(kind.kind, {})
        return [table[number] for number in ids if number in table]  # type: ignore[misc]
