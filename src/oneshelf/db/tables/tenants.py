"""Tenants: who, where, with which keys."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, text

from .form import Id, at, count, flag, table, words

tenant = table("tenant", words("name"), at("created_at", False), keys=1)

# What a tenant's plan is; no row: self-hosted, everything. frozen: rules in force at a downgrade count on without buffer stock.
plan = table("plan", words("name"), at("since_at", False), words("changed_by", ""), flag("frozen"), keys=1)

# What was done on a day (UTC, days since 1970) for an account: orders, numbers, prices, calls. account_id 0: for none.
usage_day = table("usage_day", Column("day", Id), Column("account_id", Id), words("name"), count("count"), keys=4)

# One channel account. state: CONNECTED MATCHED PREVIEWED LIVE PAUSED DISCONNECTED (S0.7). settings: the connector's plain strings.
account = table(
    "account",
    Column("account_id", Id),
    words("channel"),
    words("external_id"),
    words("label"),
    words("state"),
    words("settings", "{}"),
    words("currency", ""),
    at("connected_at", False),
    at("live_at"),
    at("opened_at"),  # the hub: T0, the read_at of the first levels (S0.4)
    count("skew_s", "2"),
    keys=2,
    indexes=(
        Index(  # one account, one tenant (S0.1); a disconnected one keeps its history and may be connected elsewhere
            "account_by_external_id",
            "channel",
            "external_id",
            unique=True,
            sqlite_where=text("state <> 'DISCONNECTED'"),
            postgresql_where=text("state <> 'DISCONNECTED'"),
        ),
    ),
)

# Sealed secrets. kind: "account" (tokens) or "app" (webhook secrets). version only grows.
credential = table(
    "credential",
    Column("account_id", Id),
    words("kind"),
    Column("sealed", LargeBinary, nullable=False),
    count("version"),
    at("updated_at", False),
    count("lease_until"),  # somebody renews it until then; others wait for the new version
    keys=3,
)

# A sign-in in the browser that is under way. sealed: settings, app credentials, state and verifier. Taken once, then gone.
sign_in = table(
    "sign_in",
    words("state_hash"),  # SHA-256 of the state
    words("channel"),
    Column("sealed", LargeBinary, nullable=False),
    at("created_at", False),
    at("expires_at", False),
    keys=2,
)

# What is done over and over at an account, and where it stands. name: subscriptions catalogue retention audit.
upkeep = table(
    "upkeep",
    Column("account_id", Id),
    words("name"),
    words("state", "{}"),  # a run's cursor and counts, or the last findings
    at("started_at"),
    at("done_at"),
    count("due_at"),
    count("failures"),
    words("problem", ""),
    keys=3,
)

# The merchant's exchange rates: what one unit of a currency is worth in the shop's, for orders and for prices. No row: there is none.
exchange_rate = table(
    "exchange_rate",
    words("currency"),
    words("rate"),  # a decimal number
    words("source"),
    at("entered_at", False),
    keys=2,
)

# Counters per tenant and name (order_no, seq, …): given out by the writer, which owns the tenant.
counter = table("counter", words("name"), count("value"), keys=2)

# A key to the API. secret_hash: SHA-256 of 256 random bits that we do not keep. scopes: JSON list. used_at: to the hour.
api_token = table(
    "api_token",
    Column("token_no", Id),
    words("name"),
    words("scopes"),
    words("secret_hash"),
    at("created_at", False),
    at("used_at"),
    at("revoked_at"),
    keys=2,
)
