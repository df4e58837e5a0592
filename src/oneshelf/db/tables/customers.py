"""Customers: what we keep of people."""

from __future__ import annotations

from sqlalchemy import Column, Index

from .form import Id, at, count, table, words

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
