"""Orders: what was bought."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, text

from .form import Id, at, count, flag, maybe, real, table, words

# An order of any channel. state is derived from its lines (S5.2). document: the latest complete snapshot, sealed text is not
# needed here because personal data has its own column `person`, which retention empties (S11.5).
orders = table(
    "orders",
    Column("order_no", Id),
    count("account_id"),
    words("order_id"),
    words("number", ""),
    at("placed_at", False),
    words("placed_note", ""),  # "clamped" or "missing": S6.3
    at("received_at", False),
    at("decided_at", False),
    at("updated_at"),
    at("fetched_at"),
    flag("was_read"),  # the newest snapshot was asked for, not sent (S4.3; ADR 0024)
    words("payment"),
    flag("cancelled"),
    flag("complete"),
    words("state"),
    words("source", ""),  # which way it was first heard: webhook poll queue read
    words("standing", "live"),  # live | history | ask | off_count (S0.6)
    maybe("currency"),
    Column("total_minor", BigInteger, nullable=True),
    at("ship_by_at"),
    words("document", "{}"),
    words("person", "{}"),
    maybe("hub_order_id"),  # the hub order that is its copy
    Column("copy_of_order_no", BigInteger, nullable=True),  # for a hub order: the marketplace order it copies
    at("imported_at"),
    count("version"),
    words("copy_key", ""),  # for a hub order: the marketplace order that it names (S14.2)
    at("closed_at"),  # first known to be shipped or cancelled whole: retention counts from here (S11.5)
    at("erased_at"),  # the personal data was erased; what comes later of it is not kept
    keys=2,
    indexes=(
        Index("orders_once", "tenant_id", "account_id", "order_id", unique=True),
        Index("orders_by_time", "tenant_id", "placed_at"),
        Index(
            "orders_by_deadline",
            "tenant_id",
            "ship_by_at",
            sqlite_where=text("ship_by_at IS NOT NULL"),
            postgresql_where=text("ship_by_at IS NOT NULL"),
        ),
        Index(
            "orders_by_copy",
            "tenant_id",
            "copy_key",
            sqlite_where=text("copy_key <> ''"),
            postgresql_where=text("copy_key <> ''"),
        ),
        Index(
            "orders_with_person",
            "tenant_id",
            "order_no",
            sqlite_where=text("person <> '{}'"),
            postgresql_where=text("person <> '{}'"),
        ),
    ),
)

# One SKU of one order line (a bundle line has a row a part). Counts are pieces. state: P O R S C X M (SEMANTICS 5), or U: unlinked.
# rank + placed_s + account + order + line are the key of first-wins (S6.2).
order_line = table(
    "order_line",
    Column("order_no", Id),
    words("line_id"),
    words("sku"),  # '' while unlinked
    count("units_per_listing", "1"),
    words("listing_keys", "[]"),
    words("title", ""),
    words("state"),
    count("ordered"),
    count("cancelled"),  # the larger of the next two
    count("told_cancelled"),  # pieces that its own channel no longer asks for
    count("removed"),  # pieces that the merchant took off the hub copy (S5.5)
    count("shipped"),  # pieces that left by hub fulfilments (S10.6), or at the hub itself
    count("told_shipped"),  # pieces that the channel itself calls shipped
    count("reserved"),  # pieces this line has in `reserved` now
    count("committed"),  # pieces this line has in `committed` now
    words("location_id", ""),
    count("version"),
    count("outlet_id"),
    count("placed_s"),
    count("rank"),
    count("account_id"),
    words("order_id"),
    words("coverage", ""),  # COVERED | SHORT | '' (S6.1)
    at("short_since"),
    count("pin"),  # 1 pinned, -1 given up, 0 none (S6.7)
    keys=4,
    indexes=(
        Index("order_line_by_sku", "tenant_id", "sku", "state"),
        Index("order_line_by_outlet", "tenant_id", "outlet_id", "placed_s"),
        Index(
            "order_line_short",
            "tenant_id",
            "sku",
            sqlite_where=text("coverage = 'SHORT'"),
            postgresql_where=text("coverage = 'SHORT'"),
        ),
        Index(
            "order_line_removed",
            "tenant_id",
            sqlite_where=text("removed > told_cancelled"),
            postgresql_where=text("removed > told_cancelled"),
        ),
        Index(
            "order_line_unlinked",
            "tenant_id",
            "account_id",
            sqlite_where=text("state = 'U'"),
            postgresql_where=text("state = 'U'"),
        ),
    ),
)

# What a person decided about a short line: wait (until `until_at`) | backorder | cancel (S7.2).
decision = table(
    "decision",
    Column("order_no", Id),
    words("line_id"),
    words("word"),
    at("decided_at", False),
    at("until_at"),
    words("actor", ""),
    keys=3,
)

# How fast an outlet sells a SKU: sums that only grow, each sale weighted by its instant (core/pace). outlet_id 0: the hub.
pace = table(
    "pace",
    words("sku"),
    Column("outlet_id", Id),
    count("account_id", None),
    real("orders", None),
    real("pieces", None),
    real("burst", None),
    count("burst_hour", None),
    keys=3,
    indexes=(Index("pace_bursting", "tenant_id", "burst_hour"), Index("pace_by_account", "tenant_id", "account_id")),
)

# A hub copy that is not released to fulfilment yet (S6.5). state: NEW HELD RELEASED OVER. why: settled, uncontested, waited long enough.
release = table(
    "release",
    Column("order_no", Id),
    words("state"),
    at("since_at", False),
    at("released_at"),
    words("why", ""),
    keys=2,
    indexes=(Index("release_waiting", "tenant_id", "state", "order_no"),),
)

# Pieces a person, or the probe, holds back from sale until a moment: the one reservation that expires by time. state: OPEN RELEASED EXPIRED
# GAVE_WAY (its pieces were sold elsewhere meanwhile: a sale is a fact).
manual_hold = table(
    "manual_hold",
    Column("hold_no", Id),
    words("sku"),
    words("location_id"),
    count("pieces", None),
    words("why", ""),
    words("actor", ""),
    at("since_at", False),
    at("until_at", False),
    words("state", "OPEN"),
    at("ended_at"),
    keys=2,
    indexes=(Index("manual_hold_open", "tenant_id", "state", "until_at"),),
)
