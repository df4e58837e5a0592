"""Customers: who buys, and what we keep of people.

Profiles hold no name, address, e-mail or phone: what names a person is a fingerprint, what is shown is read from the orders that still
carry it. So a person who is erased from the orders is erased from the profile.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, text

from .form import Id, at, count, flag, table, words

# One person, across channels. merged_into: a person said that this one is part of another; nothing is moved, so it can be undone.
# root_no: the profile at the end of that way, itself if there is none. Counters and stage stand on the root.
customer = table(
    "customer",
    Column("customer_no", Id),
    count("root_no", None),
    Column("merged_into", BigInteger, nullable=True),
    at("merged_at"),
    words(
        "over_stage", ""
    ),  # the stage of the profile that it was merged into, and since when, so that a merge can be undone
    at("over_stage_at"),
    at("made_at", False),
    flag("in_hub"),  # 1: the shop knows the customer, by an order there or by its own id
    count("purchases"),
    count("pieces"),
    at("first_at"),
    at("last_at"),
    words("stage", ""),  # '' new active loyal vip at_risk lapsed
    words("stage_why", ""),
    at("stage_at"),
    at("stage_due_at"),  # when time alone changes the stage
    keys=2,
    indexes=(
        Index("customer_by_root", "tenant_id", "root_no"),
        Index(
            "customer_stage_due",
            "tenant_id",
            "stage_due_at",
            sqlite_where=text("stage_due_at IS NOT NULL"),
            postgresql_where=text("stage_due_at IS NOT NULL"),
        ),
    ),
)

# By what a customer is known again: kind and fingerprint (core/person), the order that told it first, and the rule by which that order
# was matched. family: of a phone, the fingerprint of the family name it was told with.
customer_sign = table(
    "customer_sign",
    words("sign"),
    Column("customer_no", Id),
    words("family"),
    count("order_no", None),
    words("rule"),
    at("seen_at", False),
    keys=4,
    indexes=(Index("customer_sign_by_customer", "tenant_id", "customer_no"),),
)

# Whose an order is, by which rule of S11.1 (copy: of the order that it copies), and what it counts: the customer's counters are the sum
# of these rows. told: a checksum of the person it was matched by, 0 once that is erased.
customer_order = table(
    "customer_order",
    Column("order_no", Id),
    count("customer_no", None),
    words("channel"),
    at("placed_at", False),
    words("rule"),
    at("matched_at", False),
    count("told"),
    flag("counted"),
    count("pieces"),
    words("currency", ""),
    count("spend_minor"),
    count("refunded_minor"),
    keys=2,
    indexes=(Index("customer_order_by_customer", "tenant_id", "customer_no"),),
)

# Two profiles that may be one person, for a person to say. why: the kinds of signs, JSON. state: OPEN CONFIRMED DISMISSED.
customer_suggestion = table(
    "customer_suggestion",
    Column("first_no", Id),  # the lower number
    Column("second_no", Id),
    words("why"),
    words("sure"),  # very likely | likely | possible
    flag("conflict"),  # 1: the order's signs point to two people (S11.3)
    count("order_no", None),
    words("state"),
    at("made_at", False),
    at("decided_at"),
    words("decided_by", ""),
    keys=3,
    indexes=(Index("customer_suggestion_by_state", "tenant_id", "state"),),
)

# Every change of a stage, from '' (no purchase counted before). Numbers grow over all customers.
stage_change = table(
    "stage_change",
    Column("customer_no", Id),
    Column("change_no", Id),
    words("before"),
    words("after"),
    words("why"),
    at("changed_at", False),
    keys=3,
)

# The merchant's rules for stages. No row: core/stage's own.
customer_rule = table(
    "customer_rule",
    count("new_days"),
    count("loyal_purchases"),
    count("vip_purchases"),
    Column("vip_spend_minor", BigInteger, nullable=True),
    words("vip_currency", ""),
    count("at_risk_days"),
    count("lapsed_days"),
    keys=1,
)

# A platform's request about one person or shop. kind: erase export erase_shop. state: WAITING SHIPPING DONE. subject: the channel's
# name of the person, emptied when done. progress: how far the steps are; a step that died is repeated.
privacy_request = table(
    "privacy_request",
    Column("request_no", Id),
    words("request_key"),
    count("account_id", None),
    words("kind"),
    words("subject", ""),
    words("order_ids", "[]"),  # orders of the account that the request names, JSON
    count("inbox_seq"),
    words("state"),
    words("progress", "{}"),
    at("asked_at", False),
    at("due_at", False),
    at("look_at", False),
    at("done_at"),
    count("orders_erased"),
    count("messages_erased"),
    keys=2,
    indexes=(Index("privacy_request_once", "tenant_id", "request_key", unique=True),),
)
