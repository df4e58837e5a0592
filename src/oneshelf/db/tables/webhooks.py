"""Webhooks that we send: what happened, who hears it, what became of telling."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary

from .form import Id, at, count, table, words

# One thing that happened; ids only (JSON). Kept for 30 days, while somebody hears.
event = table(
    "event",
    Column("event_no", Id),
    words("kind"),
    at("at", False),
    words("ids"),
    keys=2,
    indexes=(Index("event_by_time", "tenant_id", "at"),),
)

# Where an integrator hears it. kinds: JSON list, [] for all. sealed: its secrets. state: ACTIVE, or DISABLED with why. next_event: the
# first event that it was not given yet. failures: since the last success; nothing is sent before rest_until.
webhook_endpoint = table(
    "webhook_endpoint",
    Column("endpoint_no", Id),
    words("url"),
    words("kinds", "[]"),
    words("about", ""),
    Column("sealed", LargeBinary, nullable=False),
    words("state", "ACTIVE"),
    words("why", ""),
    count("next_event", "1"),
    count("failures"),
    at("failing_since"),
    count("rest_until"),
    at("created_at", False),
    keys=2,
)

# One event for one endpoint. state: WAITING DONE GIVEN_UP. due_at: the next try. status: the receiver's last answer, 0 for none.
webhook_delivery = table(
    "webhook_delivery",
    Column("endpoint_no", Id),
    Column("event_no", Id),
    words("state", "WAITING"),
    count("tries"),
    count("due_at"),
    count("status"),
    words("problem", ""),
    at("done_at"),
    keys=3,
    indexes=(Index("webhook_delivery_due", "tenant_id", "endpoint_no", "state", "due_at"),),
)
