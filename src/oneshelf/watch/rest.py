"""Is everything at rest: every channel told, every message booked, every call settled (I13)?"""

from __future__ import annotations

from oneshelf.db.tx import Tx
from oneshelf.publish.recovery import at_rest


def unrest(tx: Tx, tenant_id: int) -> list[str]:
    """Return what is still under way, in words; empty: at rest. Parked messages and tasks wait for a person and don't count."""
    reasons = list(at_rest(tx, tenant_id))
    for what, sql in _COUNTS.items():
        row = tx.one(sql, t=tenant_id)
        if row is not None and row[0]:
            reasons.append(f"{row[0]} {what}")
    return reasons


_COUNTS = {
    "messages not yet booked": "SELECT COUNT(*) FROM inbox WHERE tenant_id = :t AND state = 'NEW'",
    "calls to Shopify or reads of orders under way": (
        "SELECT COUNT(*) FROM intent WHERE tenant_id = :t AND state IN ('WAITING', 'SENDING', 'UNKNOWN')"
    ),
    "sales seen whose order has not arrived": "SELECT COUNT(*) FROM provisional WHERE tenant_id = :t AND state = 'OPEN'",
    "levels of Shopify to be read": (
        "SELECT COUNT(*) FROM hub_level h JOIN item i ON i.tenant_id = h.tenant_id AND i.sku = h.sku "
        "WHERE h.tenant_id = :t AND (h.wanted = 1 OR h.odd_since IS NOT NULL)"
    ),
    "claims that Shopify does not carry yet": (
        "SELECT COUNT(*) FROM claim c JOIN orders o ON o.tenant_id = c.tenant_id AND o.order_no = c.order_no "
        "WHERE c.tenant_id = :t AND c.open = 1 AND c.refused = 0 AND c.want <> c.held + c.imported"
    ),
}
