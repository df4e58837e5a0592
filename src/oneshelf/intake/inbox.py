"""The inbox: raw news, kept, each once (SEMANTICS 4.1, 4.2)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Literal

import msgspec

from oneshelf.db.tx import Tx, next_values

Kept = Literal["stored", "already_done"]

#: Longest key or topic that is stored as it came, characters. An index of PostgreSQL takes some 2,700 bytes.
KEY_MAX = 400


class Raw(msgspec.Struct, frozen=True):
    """One message as it came. `source`: webhook, poll, queue or read. `received_at` in microseconds UTC."""

    tenant_id: int
    account_id: int
    topic: str
    delivery_key: str
    source: str
    headers: dict[str, str]
    body: bytes
    received_at: int


def delivery_key(topic: str, delivery_id: str | None, body: bytes) -> str:
    """Return the inbox key: topic + the channel's delivery id; none given: topic + SHA-256 of the raw body (S4.2)."""
    return f"{topic}:{delivery_id}" if delivery_id else f"{topic}:{hashlib.sha256(body).hexdigest()}"


def fitting(text: str) -> str:
    """Return a key or topic as it can be stored and indexed: one with control characters, or longer than KEY_MAX, by its SHA-256.

    >>> fitting("orders/create:7f0e")
    'orders/create:7f0e'
    """
    if len(text) <= KEY_MAX and text.isprintable():
        return text
    head = "".join(letter if letter.isprintable() else "?" for letter in text[:40])
    return f"{head}~{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"


def keep(tx: Tx, items: Sequence[Raw]) -> list[Kept]:
    """Store messages that are not there yet; one answer each, in order. A batch step of the writer."""
    items = [
        msgspec.structs.replace(item, topic=fitting(item.topic), delivery_key=fitting(item.delivery_key))
        for item in items
    ]
    answers: list[Kept] = ["stored"] * len(items)
    by_tenant: dict[int, list[int]] = {}
    for i, item in enumerate(items):
        by_tenant.setdefault(item.tenant_id, []).append(i)
    for tenant_id, places in by_tenant.items():
        known = {
            (account_id, key)
            for account_id, key in tx.all(
                "SELECT account_id, delivery_key FROM inbox WHERE tenant_id = :t AND delivery_key {in:keys} "
                "AND account_id {in:accounts}",
                t=tenant_id,
                keys=[items[i].delivery_key for i in places],
                accounts=sorted({items[i].account_id for i in places}),
            )
        }
        fresh: list[Raw] = []
        for i in places:
            key = (items[i].account_id, items[i].delivery_key)
            if key in known:
                answers[i] = "already_done"
            else:
                known.add(key)
                fresh.append(items[i])
        if not fresh:
            continue
        tx.many(
            "INSERT INTO inbox (tenant_id, seq, account_id, topic, delivery_key, source, headers, body, received_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    tenant_id,
                    seq,
                    raw.account_id,
                    raw.topic,
                    raw.delivery_key,
                    raw.source,
                    json.dumps(raw.headers) if raw.headers else "{}",
                    raw.body,
                    raw.received_at,
                )
                for seq, raw in zip(next_values(tx, tenant_id, "inbox", len(fresh)), fresh, strict=True)
            ],
        )
    return answers
