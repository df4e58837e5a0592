"""Intake: raw news, kept."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary

from .form import Id, at, count, table, words

# seq: order of arrival, given by the writer. state: NEW DONE PARKED. source: webhook poll queue read.
inbox = table(
    "inbox",
    Column("seq", Id),
    count("account_id"),
    words("topic"),
    words("delivery_key"),
    words("source"),
    words("headers", "{}"),
    Column("body", LargeBinary, nullable=False),
    at("received_at", False),
    words("state", "NEW"),
    words("note", ""),
    at("handled_at"),
    keys=2,
    indexes=(
        Index("inbox_once", "tenant_id", "account_id", "delivery_key", unique=True),
        Index("inbox_by_state", "tenant_id", "state", "seq"),
    ),
)

# One feed of one account: where it stands, and through which instant of placing it is complete (S3.3; it never goes back).
feed = table(
    "feed",
    Column("account_id", Id),
    words("name"),
    words("cursor", "{}"),
    at("complete_through_at"),
    at("polled_at"),
    at("failing_since"),
    words("problem", ""),
    count("pages"),
    keys=3,
)
