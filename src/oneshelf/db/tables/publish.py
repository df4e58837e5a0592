"""Publish: inside → outside."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index

from .form import Id, at, count, flag, real, table, words

# An outlet's publishing state (S8). Numbers are listings, not pieces.
slot = table(
    "slot",
    Column("outlet_id", Id),
    count("account_id"),
    words("write_unit"),
    words("state", "QUIET"),
    count("offer"),
    count("priority", "6"),
    at("since_at"),
    at("wait_until"),
    Column("believed", BigInteger, nullable=True),
    at("believed_at"),
    flag("verified"),
    Column("sent", BigInteger, nullable=True),  # the last number sent and not yet seen
    Column("base", BigInteger, nullable=True),  # what was read before it was sent
    at("base_at"),
    at("sent_at"),
    at("acked_at"),
    count("exposure"),
    count("unsettled"),  # the exposure of writes that were seen, until every sale before that read is told (S8.6)
    at("unsettled_until"),
    count("attempts"),
    count("unseen"),
    at("odd_since"),  # first read higher than believed that no order explains yet (S9.3)
    count("odd"),  # by how many listings
    count("generation"),
    count("repairs"),
    at("repairs_since"),
    words("reason", ""),
    real("v"),  # listings it sells a second: who is told first (S8.9)
    at("swept_at"),  # when the sweep last asked for it (S9.7)
    keys=2,
    indexes=(Index("slot_waiting", "tenant_id", "account_id", "state", "priority", "since_at"),),
)

# How late we hear of an account's sales and how long a number needs (S3.1, S3.4), as the planner last measured it; microseconds.
channel_window = table(
    "channel_window",
    Column("account_id", Id),
    count("notice", None),
    count("publish", None),
    count("grace", None),  # silence of the feed that is usual; what is longer widens the window (S3.2)
    flag("absolute", "1"),
    words("deaf", "[]"),  # spans in which we could not hear it, [from, until] each: no measure of how late news is
    real("median"),  # pieces a second of the account's median SKU (S3.5)
    count("ahead"),  # by how much its clock is ahead of ours, when that was last known
    at("measured_at", False),
    keys=2,
)

# Where the planner's tick stands (S3.8): up to when all is planned again. moved: accounts whose window moved since.
planner = table("planner", count("ticked_at"), count("nightly_at"), words("moved", "[]"), keys=1)

# One try to tell an outlet a number. outcome: SENDING ACCEPTED SEEN REJECTED THROTTLED UNKNOWN, and of what may land although nobody
# waits for it: SUPERSEDED UNSEEN DOUBTED (seen, but a sale that was heard later may have made it look so).
attempt = table(
    "attempt",
    Column("attempt_no", Id),
    count("outlet_id"),
    count("account_id"),
    count("quantity"),
    Column("was", BigInteger, nullable=True),
    count("generation"),
    at("dirty_at"),
    at("started_at", False),
    at("accepted_at"),
    at("seen_at"),
    words("outcome", "SENDING"),
    words("reason", ""),
    words("why", "{}"),  # the terms of the number
    flag("renews"),  # reopens a sold-out listing: its channel takes a fee (S8.16)
    flag("spread"),  # told or looked at while a day's calls had to be waited for: no measure of the channel (S3.4)
    keys=2,
    indexes=(
        Index("attempt_by_outlet", "tenant_id", "outlet_id", "attempt_no"),
        Index("attempt_by_account", "tenant_id", "account_id", "started_at"),
    ),
)

# What we mean to do: written before the call, settled after it (S4.2). At the hub: import hold unhold move_batch cancel_copy remove count
# change_copy fulfil_copy; at a marketplace: cancel fetch_order find_orders.
# state: WAITING SENDING UNKNOWN DONE REFUSED TASK.
intent = table(
    "intent",
    Column("intent_no", Id),
    words("kind"),
    words("entity"),
    count("version"),
    words("idempotency_key"),
    words("state", "WAITING"),
    count("priority", "3"),
    words("payload", "{}"),
    words("result", "{}"),
    count("attempts"),
    count("not_found"),
    at("created_at", False),
    at("due_at", False),
    at("first_sent_at"),
    at("settled_at"),
    words("reason", ""),
    keys=2,
    indexes=(
        Index("intent_once", "tenant_id", "kind", "entity", "version", unique=True),
        Index("intent_due", "tenant_id", "state", "due_at"),
    ),
)

# What a marketplace last said of an order, as far as its hub copy was told: a digest a field, so that no person stands here (S11.5).
copy_told = table("copy_told", Column("order_no", Id), words("told", "{}"), keys=2)

# Day counters of the channels' budgets, so that a restart does not forget what was spent.
budget = table("budget", Column("account_id", Id), words("name"), words("state", "{}"), keys=3)

# A change so large that a person looks first (core/guard). kind: rules links locations (kept in `payload`, made on yes), hub (its numbers
# wait, guard_outlet). state: WAITING APPROVED REFUSED LAPSED OVER.
guard = table(
    "guard",
    Column("guard_no", Id),
    words("kind"),
    Column("account_id", Id, nullable=False),  # 0: several
    words("state", "WAITING"),
    words("what"),
    words("payload", "{}"),
    words("effect", "[]"),  # JSON: what it does to each account
    words("asked_by", ""),
    at("opened_at", False),
    at("lapses_at"),  # zeros from the shop go out then, whatever was said
    at("closed_at"),
    words("closed_by", ""),
    keys=2,
    indexes=(Index("guard_open", "tenant_id", "state"),),
)

# A number from the shop that waits for a person, or (guard_no 0) that would, if many more of its kind came soon. way: zero multiply.
guard_outlet = table(
    "guard_outlet",
    Column("outlet_id", Id),
    Column("account_id", Id, nullable=False),
    Column("guard_no", Id, nullable=False),
    words("way"),
    at("at", False),
    keys=2,
    indexes=(Index("guard_outlet_by_guard", "tenant_id", "guard_no"),),
)

# When the guard speaks; no row: as core/guard says.
guard_limits = table(
    "guard_limits",
    flag("is_on", "1"),
    count("percent", "20"),
    count("least", "10"),
    count("factor", "3"),
    count("hold_s", "900"),
    keys=1,
)
