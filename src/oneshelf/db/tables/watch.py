"""Watch: what a person should know."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary

from .form import Id, at, count, flag, table, words

# A thing only a person can do. One open row a (kind, subject). closed_by: who said that it is done; "": the world has changed.
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
    words("closed_by", ""),
    at("snoozed_until"),
    keys=2,
    indexes=(Index("task_open", "tenant_id", "closed_at", "kind", "subject"),),
)

# Who is told of tasks. way: email or webhook. least: the rank of the mildest severity that is told (0 urgent, 1 warning, 2 notice).
# quiet_from, quiet_until: minutes of the day in `timezone`; null: never quiet. sealed: a webhook's secret.
alert_receiver = table(
    "alert_receiver",
    Column("receiver_no", Id),
    words("way"),
    words("address"),
    count("least"),
    Column("quiet_from", Id),
    Column("quiet_until", Id),
    words("timezone", "UTC"),
    Column("sealed", LargeBinary),
    at("added_at", False),
    at("removed_at"),
    keys=2,
)

# The outbox: one row a receiver, task and stage (opened, nearing, overdue, again/…, closed), written with what it tells.
# state: NEW → TAKEN (into a message) → TOLD → OVER; or DROPPED.
alert = table(
    "alert",
    Column("receiver_no", Id),
    Column("task_no", Id),
    words("stage"),
    flag("urgent"),
    at("created_at", False),
    words("state", "NEW"),
    Column("message_no", Id),
    keys=4,
    indexes=(Index("alert_by_state", "tenant_id", "state", "receiver_no"),),
)

# One e-mail or one call of a webhook; at most one WAITING a receiver. message_key: the same at every try (Message-ID, webhook-id).
alert_message = table(
    "alert_message",
    Column("message_no", Id),
    Column("receiver_no", Id, nullable=False),
    words("message_key"),
    words("state", "WAITING"),  # WAITING SENT DROPPED
    at("created_at", False),
    at("due_at", False),
    count("attempts"),
    at("sent_at"),
    words("problem", ""),
    keys=2,
    indexes=(Index("alert_message_by_state", "tenant_id", "state", "receiver_no"),),
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

# Many things changed at once, by a file or a list, and how they were before. kind: links rules prices …; before: JSON that only the room
# which made it reads. undone_at: taken back.
bulk_change = table(
    "bulk_change",
    Column("change_no", Id),
    words("kind"),
    words("actor"),
    count("changed"),
    words("before"),
    at("made_at", False),
    at("undone_at"),
    keys=2,
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
