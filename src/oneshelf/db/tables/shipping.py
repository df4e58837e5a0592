"""Shipping: parcels told to marketplaces."""

from __future__ import annotations

from sqlalchemy import Column, Index

from .form import Id, at, count, flag, table, words

# One hub fulfilment and one marketplace line (S10.1); orders writes the row, shipping carries it out. units: of the listing.
# state: QUEUED SENT UNKNOWN CONFIRMED REFUSED RECORDED CALLED_OFF. version: of its tracking; sent, told: the versions that were.
shipment = table(
    "shipment",
    Column("order_no", Id),
    words("shipment_id"),
    words("line_id"),
    count("account_id"),
    count("units"),
    words("state", "QUEUED"),
    count("version", "1"),
    count("sent_version"),
    count("told_version"),
    words("carrier", ""),
    words("tracking_number", ""),
    words("tracking_url", ""),
    words("more_numbers", ""),  # tracking numbers beside the first, a line each
    at("shipped_at", False),
    words("reference", ""),  # the marketplace's id of it
    flag("cancelled"),  # the hub cancelled the fulfilment
    flag("looked"),  # the marketplace's own list was read before the first call
    count("attempts"),
    count("not_found"),
    at("due_at", False),
    at("first_sent_at"),
    at("settled_at"),
    words("reason", ""),
    words("sent_number", ""),  # the tracking number of sent_version: by it the marketplace's list is read
    keys=4,
    indexes=(Index("shipment_due", "tenant_id", "account_id", "state", "due_at"),),
)
