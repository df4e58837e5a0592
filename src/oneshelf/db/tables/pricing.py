"""Pricing: what a listing ought to ask."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, text

from .form import Id, at, count, flag, table, words

# What the merchant lets us do with an account's prices. No row: nothing, which is how every account begins. mode: off follow.
price_policy = table(
    "price_policy",
    Column("account_id", Id),
    words("mode"),
    at("changed_at", False),
    words("changed_by", ""),
    count("band", "50"),  # percent of what is asked, beyond which a person has to agree; 0: never
    words("fee", "0"),  # the channel's, percent of the price
    keys=2,
)

# A price rule, or a sale (kind: rule sale). Where it holds: core/precedence. What it says: core/price_terms; '' says nothing.
price_rule = table(
    "price_rule",
    Column("rule_no", Id),
    words("kind"),
    count("account_id"),
    words("channel", ""),
    words("goods"),
    words("value", ""),
    count("rank", "100"),
    words("price", ""),
    words("rounding", ""),
    words("floor", ""),
    words("ceiling", ""),
    words("margin", ""),
    words("currency", ""),
    at("starts_at"),  # sales only
    at("ends_at"),
    words("phase", ""),  # sales: what the tick has told of, to come: '', on, over
    at("changed_at", False),
    words("changed_by", ""),
    keys=2,
    indexes=(Index("price_rule_by_goods", "tenant_id", "goods", "value"),),
)

# What a person agreed to although it is far from what the listing asks: this listing may ask this. word: yes no.
price_word = table(
    "price_word",
    Column("outlet_id", Id),
    count("price_minor", None),
    words("currency"),
    words("word"),
    at("said_at", False),
    words("said_by", ""),
    keys=4,
)

# The rules as they were before the last import, as a file: what undo imports. One row a tenant.
price_import = table(
    "price_import",
    at("imported_at", False),
    words("imported_by", ""),
    words("before"),
    keys=1,
)

# An outlet that may owe the world a price; as dirty_listing, apart from it, so that neither waits for the other.
price_mark = table(
    "price_mark",
    Column("outlet_id", Id),
    count("generation"),
    at("since_at", False),
    words("why", ""),
    flag("reread"),  # read what it asks before anything is decided
    count("taken"),  # the generation that publish has looked at
    keys=2,
    indexes=(
        Index(
            "price_mark_news",
            "tenant_id",
            "outlet_id",
            sqlite_where=text("generation > taken"),
            postgresql_where=text("generation > taken"),
        ),
    ),
)

# An outlet's price, published by the same states as its number (publish owns it). Amounts are minor units of `currency`, the listing's own.
price_slot = table(
    "price_slot",
    Column("outlet_id", Id),
    count("account_id"),
    words("write_unit"),
    words("state", "QUIET"),
    Column("offer", BigInteger, nullable=True),
    words("currency", ""),  # '' until it was read
    count("priority", "6"),
    at("since_at"),
    at("wait_until"),
    Column("believed", BigInteger, nullable=True),  # what it was last seen to ask
    at("believed_at"),
    flag("verified"),
    Column("rested", BigInteger, nullable=True),  # what it asked without a sale when it was last right
    Column("sent", BigInteger, nullable=True),  # the last price sent and not yet seen
    at("sent_at"),
    at("acked_at"),
    count("attempts"),
    count("unseen"),
    count("generation"),
    count("repairs"),
    at("repairs_since"),
    words("parked", ""),  # why, for machines: no_price/… refused fought unseen sale unreadable ended closed not_on_sale
    words("reason", ""),
    at("swept_at"),  # when the sweep last asked for it
    keys=2,
    indexes=(
        Index("price_slot_waiting", "tenant_id", "account_id", "state", "priority", "since_at"),
        Index("price_slot_by_unit", "tenant_id", "account_id", "write_unit"),
    ),
)

# One try to tell an outlet a price.
price_attempt = table(
    "price_attempt",
    Column("attempt_no", Id),
    count("outlet_id"),
    count("account_id"),
    count("price_minor", None),
    words("currency"),
    Column("was", BigInteger, nullable=True),
    count("generation"),
    at("dirty_at"),
    at("started_at", False),
    at("accepted_at"),
    at("seen_at"),
    words("outcome", "SENDING"),
    words("reason", ""),
    words("why", "{}"),  # the terms of the price
    keys=2,
    indexes=(
        Index("price_attempt_by_outlet", "tenant_id", "outlet_id", "attempt_no"),
        Index("price_attempt_by_account", "tenant_id", "account_id", "started_at"),
    ),
)
