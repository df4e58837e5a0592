"""Watch: what a person should know."""

from __future__ import annotations

from sqlalchemy import Column, Index

from .form import Id, at, count, table, words

# A thing only a person can do. One open row a (kind, subject).
task = table(
    "task",
    Column("task_no", Id),
    words("kind"),
    words("subject"),
    words("what"),
    words("why", ""),
    at("opened_at", False),
    at("due_at"),
    at("closed_at"),
    keys=2,
    indexes=(Index("task_open", "tenant_id", "closed_at", "kind", "subject"),),
)

# The audit trail: what happened, in the past tense, by whom.
journal = table(
    "journal",
    Column("line_no", Id),
    at("at", False),
    words("actor"),
    words("what"),
    words("subject", ""),
    words("detail", "{}"),
    keys=2,
    indexes=(Index("journal_by_subject", "tenant_id", "subject", "line_no"),),
)

# One active measurement of how long a number needs (S12.2): one piece held, every listing read until it shows, the piece given back.
# state: RUNNING DONE FAILED. seen: what was measured an account, JSON.
probe = table(
    "probe",
    Column("probe_no", Id),
    words("sku"),
    words("asked_by"),
    words("state", "RUNNING"),
    count("hold_no", None),
    at("began_at", False),
    at("ended_at"),
    words("seen", "[]"),
    words("problem", ""),
    keys=2,
)
