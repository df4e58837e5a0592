"""Listings: who must hear of it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, text

from .form import Id, at, count, flag, real, table, words

# The smallest thing on a channel that has a number of its own (S1.4).
outlet = table(
    "outlet",
    Column("outlet_id", Id),
    count("account_id"),
    words("external_id"),
    words("write_unit"),
    words("sku_text", ""),
    words("title", ""),
    words("state", "live"),
    flag("fulfilled_by_channel"),
    words("extra", "{}"),
    at("found_at", False),
    count("seen_at"),  # when the catalogue last showed it
    words("ration_unit", ""),  # what the channel counts writes by, where that is more than the outlet
    keys=2,
    indexes=(
        Index("outlet_once", "tenant_id", "account_id", "external_id", unique=True),
        Index("outlet_by_unit", "tenant_id", "account_id", "write_unit"),
        Index("outlet_by_sku_text", "tenant_id", "sku_text"),
        Index("outlet_by_ration", "tenant_id", "account_id", "ration_unit"),
    ),
)

# A listing or product that changed at its channel and is to be read again; several hints are one row.
listing_hint = table(
    "listing_hint",
    Column("account_id", Id),
    words("external_id"),
    count("generation", "1"),
    at("since_at", False),
    at("due_at", False),
    count("empty"),  # how often the channel has said that it does not exist
    count("failures"),
    keys=3,
)

# The names under which an order line may name an outlet.
listing_key = table("listing_key", Column("account_id", Id), words("listing_key"), count("outlet_id"), keys=3)

# The tie of an outlet to a SKU; several rows are a bundle's parts (S1.11). units: pieces of the SKU a listing sells.
link = table(
    "link",
    Column("outlet_id", Id),
    words("sku"),
    count("units", "1"),
    keys=3,
    indexes=(Index("link_by_sku", "tenant_id", "sku"),),
)

# A bundle that the merchant or the shop defined: a SKU that is made of others (B1). Listings of that SKU are linked to the parts.
# source: merchant | shopify.
bundle_part = table(
    "bundle_part",
    words("sku"),
    words("part_sku"),
    count("units", None),
    words("source"),
    keys=3,
    indexes=(Index("bundle_part_by_part", "tenant_id", "part_sku"),),
)

# The merchant's rule for offers, by what it speaks of (core/precedence): account_id 0 and channel '': everywhere; goods: sku tag vendor
# type all; value '' for all. The narrowest row that fits wins whole.
offer_rule = table(
    "offer_rule",
    Column("account_id", Id),
    words("channel"),
    words("goods"),
    words("value"),
    count("rank", "100"),  # between rules that are equally narrow: smaller goes first
    count("safety_stock"),
    Column("safety_percent", Integer, nullable=True),  # percent of K offered at most
    Column("cap", BigInteger, nullable=True),
    Column("exactly", BigInteger, nullable=True),  # listings: show this number while there is so much
    count("min_show", "1"),
    flag("adaptive", "1"),  # 0: the fixed buffer only, nothing is set aside for other channels
    flag("cap_auto"),  # the cap follows the pace (S2.8)
    Column("low_at", BigInteger, nullable=True),  # while K is so much or less, `low` holds instead
    words("low", "{}"),  # JSON, core/offer_rule.Numbers
    words("except_locations", "[]"),  # JSON list: their pieces are not offered
    keys=5,
)

# Rules taken from a file: what stood there before each row, so that the last one can be undone.
rule_import = table(
    "rule_import",
    Column("import_no", Id),
    at("made_at", False),
    words("made_by"),
    words("changes"),  # JSON: [selector, the rule before or null, the rule after or null]
    at("undone_at"),
    keys=2,
)

# A SKU that must never be oversold (S2.9): its pieces are dealt out, the hub's too.
strict_sku = table("strict_sku", words("sku"), at("since_at", False), keys=2)

# What an unsold piece and an oversold order cost, minor units of one currency (S2.7); sku '': every SKU.
risk = table("risk", words("sku"), count("margin_minor", None), count("oversold_minor", None), keys=2)

# A sale that the merchant announced: these SKUs will sell `factor` times as fast (S3.7).
announced_sale = table(
    "announced_sale",
    Column("sale_no", Id),
    words("name"),
    at("starts_at", False),
    at("ends_at", False),
    real("factor", None),
    at("called_off_at"),
    keys=2,
    indexes=(Index("announced_sale_by_end", "tenant_id", "ends_at"),),
)
announced_sku = table(
    "announced_sku",
    Column("sale_no", Id),
    words("sku"),
    keys=3,
    indexes=(Index("announced_sku_by_sku", "tenant_id", "sku"),),
)

# Which locations serve an account (S0.2); no row: all in scope. excluded 1: this one does not, and new ones do.
account_location = table("account_location", Column("account_id", Id), words("location_id"), flag("excluded"), keys=3)

dirty_listing = table(
    "dirty_listing",
    Column("outlet_id", Id),
    count("generation"),
    at("since_at", False),
    words("why", ""),
    flag("reread"),  # what we believe is out of date (own cancel, hint, hand edit): read before anything else
    count("taken"),  # the generation that publish has looked at; what is newer is news, and only news is in the index
    keys=2,
    indexes=(
        Index(
            "dirty_listing_news",
            "tenant_id",
            "outlet_id",
            sqlite_where=text("generation > taken"),
            postgresql_where=text("generation > taken"),
        ),
    ),
)
