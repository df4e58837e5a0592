"""Stock: what we have."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, text

from .form import at, count, flag, maybe, table, words

# One entry; never changed, never deleted. The columns are changes of the buckets in pieces. foreign_reserved is the part of
# `reserved` that the hub holds for reasons of its own (S0.3).
ledger_entry = table(
    "ledger_entry",
    words("entry_key"),
    count("entry_no", None),
    words("sku"),
    words("location_id"),
    count("on_hand"),
    count("committed"),
    count("reserved"),
    count("foreign_reserved"),
    count("unavailable"),
    count("incoming"),
    words("reason"),
    words("source", ""),
    Column("order_no", BigInteger, nullable=True),
    at("posted_at", False),
    keys=2,
    indexes=(Index("ledger_entry_by_sku", "tenant_id", "sku", "entry_no"),),
)

stock_level = table(
    "stock_level",
    words("sku"),
    words("location_id"),
    count("on_hand"),
    count("committed"),
    count("reserved"),
    count("foreign_reserved"),
    count("unavailable"),
    count("incoming"),
    keys=3,
)

location = table(
    "location",
    words("location_id"),
    words("name"),
    flag("active", "1"),
    flag("in_scope", "1"),
    count("priority"),
    keys=2,
)

# One SKU of the hub's catalogue.
item = table(
    "item",
    words("sku"),
    words("title", ""),
    words("variant_id", ""),
    words("item_id", ""),
    words("product_id", ""),
    flag("tracked", "1"),
    flag("deleted"),
    Column("price_minor", BigInteger, nullable=True),
    maybe("currency"),
    # What the hub keeps about it beside: rules speak of these (core/precedence).
    words("vendor", ""),
    words("product_type", ""),
    words("tags", "[]"),  # JSON list, as the hub spells them
    Column("cost_minor", BigInteger, nullable=True),  # of one piece; null: not told, which is not 0
    maybe("cost_currency"),
    Column("compare_at_minor", BigInteger, nullable=True),  # of `currency`
    words("barcode", ""),
    keys=2,
    indexes=(
        Index("item_by_item_id", "tenant_id", "item_id"),
        Index("item_by_product_id", "tenant_id", "product_id"),
    ),
)

# The hub's number of one (SKU, location) as last read, and how it is explained (S9.5).
hub_level = table(
    "hub_level",
    words("sku"),
    words("location_id"),
    count("on_hand"),
    count("available"),
    count("committed"),
    count("reserved"),
    count("unavailable"),
    count("incoming"),
    at("read_at", False),
    at("odd_since"),  # first read beside all explained values that is still unexplained
    count("odd"),  # by how much (read − nearest explained)
    flag("wanted"),  # somebody asked for a fresh read
    count("pull"),  # 0.5: pieces the hub had committed beyond our open lines
    keys=3,
    indexes=(Index("hub_level_wanted", "tenant_id", "wanted"),),
)

# Pieces held because a read showed fewer than believed: a sale whose order has not arrived (S1.9, S9.2).
provisional = table(
    "provisional",
    words("prov_id"),
    count("outlet_id"),  # 0: the hub
    words("sku"),
    words("location_id"),
    count("pieces"),
    count("units"),  # listings at the outlet
    count("account_id"),
    at("read_at", False),
    words("state", "OPEN"),  # OPEN CONSUMED RELEASED EDIT
    keys=2,
    indexes=(Index("provisional_open", "tenant_id", "state", "outlet_id"),),
)

# How a marketplace line's (or provisional's) pieces are taken out of the hub's `available` (S9.5). want: pieces it should take.
claim = table(
    "claim",
    words("claim_key"),
    words("sku"),
    words("location_id"),
    count("want"),
    count("held"),
    count("imported"),
    count("version"),
    count("order_no"),
    words("line_id", ""),
    at("since_at", False),
    flag("refused"),  # 1: the hub had not so many, 2: given back by hand
    flag("open", "1"),
    count("elsewhere"),  # of want: held, or asked for, at other locations, each by a claim of its own
    keys=3,
    indexes=(
        Index("claim_open", "tenant_id", sqlite_where=text("open = 1"), postgresql_where=text("open = 1")),
        Index("claim_by_sku", "tenant_id", "sku", "open"),
        Index(
            "claim_of_no_order",
            "tenant_id",
            "sku",
            sqlite_where=text("order_no = 0 AND open = 1"),
            postgresql_where=text("order_no = 0 AND open = 1"),
        ),
    ),
)
