"""Capabilities × plans, as the tests see them. docs/reference/plans.md is made from this table, not from the code."""

from __future__ import annotations

TABLE: dict[str, set[str]] = {
    "inventory_sync": {"starter", "pro", "agency", "enterprise"},
    "price_sync": {"starter", "pro", "agency", "enterprise"},
    "order_import": {"starter", "pro", "agency", "enterprise"},
    "customer_matching": {"starter", "pro", "agency", "enterprise"},
    "conflict_detection": {"starter", "pro", "agency", "enterprise"},
    "buffer_stock": {"pro", "agency", "enterprise"},
    "routing": {"agency", "enterprise"},
}
