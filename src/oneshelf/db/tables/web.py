"""Web: what integrators were answered."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary

from .form import Id, at, count, table, words

# A write that came to the API with an Idempotency-Key. state: RUNNING DONE LOST (the service ended while it was carried out).
# fingerprint: SHA-256 of method, address and body. Kept for a day.
api_answer = table(
    "api_answer",
    Column("token_no", Id),
    words("idempotency_key"),
    words("fingerprint"),
    words("state"),
    count("status"),
    Column("body", LargeBinary, nullable=True),
    at("created_at", False),
    keys=3,
    indexes=(Index("api_answer_by_age", "tenant_id", "created_at"),),
)
