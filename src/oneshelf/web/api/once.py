"""A write that is sent twice is done once: its answer is kept under the caller's Idempotency-Key.

In: token, key, fingerprint of the request. Out: what to do with it. Tables it owns: api_answer.
Never: carries out a request whose first try may have been done. Only what was done is kept: a refusal changed nothing, and its key may
be used again.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from oneshelf.core.instants import SECOND
from oneshelf.db.tx import Tx

from .problems import ApiError

#: How long an answer is kept.
KEPT_US = 24 * 3_600 * SECOND
KEY_MAX = 255


class Kept(NamedTuple):
    """The answer that was given."""

    status: int
    body: bytes


def checked(key: str) -> str:
    """Return a key that can be used. Raises ApiError."""
    if not 0 < len(key) <= KEY_MAX or not key.isascii() or not key.isprintable():
        raise ApiError(
            "not-valid", f"header:Idempotency-Key: 1 to {KEY_MAX} printable ASCII characters, new for each write."
        )
    return key


def fingerprint(method: str, address: str, body: bytes) -> str:
    """Return what tells one request from another. `address`: path and query."""
    return hashlib.sha256(b"\n".join((method.encode(), address.encode(), body))).hexdigest()


def begin(tx: Tx, tenant_id: int, token_no: int, key: str, print_: str, now: int) -> Kept | None:
    """Take the key for this request: None, carry it out; else the answer it got. Raises ApiError while it can't be known."""
    tx.run("DELETE FROM api_answer WHERE tenant_id = :t AND created_at < :then", t=tenant_id, then=now - KEPT_US)
    taken = tx.run(
        """INSERT INTO api_answer (tenant_id, token_no, idempotency_key, fingerprint, state, created_at)
           VALUES (:t, :no, :k, :f, 'RUNNING', :now) ON CONFLICT (tenant_id, token_no, idempotency_key) DO NOTHING""",
        t=tenant_id,
        no=token_no,
        k=key,
        f=print_,
        now=now,
    )
    if taken == 1:
        return None
    row = tx.one(
        "SELECT fingerprint, state, status, body FROM api_answer WHERE tenant_id = :t AND token_no = :no AND idempotency_key = :k",
        t=tenant_id,
        no=token_no,
        k=key,
    )
    assert row is not None
    if row[0] != print_:
        raise ApiError("key-used", "This Idempotency-Key came with another request. Use a new key for each write.")
    if row[1] == "DONE":
        return Kept(row[2], bytes(row[3]))
    if row[1] == "LOST":
        raise ApiError(
            "interrupted",
            "The service ended while it carried this out. Look whether it was done; if not, ask again with a new key.",
        )
    raise ApiError("under-way", "The first request with this key is being carried out.", headers={"retry-after": "1"})


def end(tx: Tx, tenant_id: int, token_no: int, key: str, answer: Kept | None) -> None:
    """Keep what was answered; None: nothing was done, the key is free again."""
    if answer is None:
        tx.run(
            "DELETE FROM api_answer WHERE tenant_id = :t AND token_no = :no AND idempotency_key = :k AND state = 'RUNNING'",
            t=tenant_id,
            no=token_no,
            k=key,
        )
        return
    tx.run(
        """UPDATE api_answer SET state = 'DONE', status = :s, body = :b
            WHERE tenant_id = :t AND token_no = :no AND idempotency_key = :k""",
        s=answer.status,
        b=answer.body,
        t=tenant_id,
        no=token_no,
        k=key,
    )


def lose(tx: Tx, tenant_id: int, token_no: int | None = None, key: str = "") -> int:
    """Say of one request, or at a start of all that were being carried out, that nobody knows whether it was done."""
    return tx.run(
        """UPDATE api_answer SET state = 'LOST' WHERE tenant_id = :t AND state = 'RUNNING'
            AND (CAST(:no AS BIGINT) IS NULL OR (token_no = :no AND idempotency_key = :k))""",
        t=tenant_id,
        no=token_no,
        k=key,
    )
