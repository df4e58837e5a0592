"""Addresses that a marketplace forwards, and addresses that are nobody's (SEMANTICS 11.2). Pure.

The tables are data, each row with its source; a channel that forwards under a new domain needs a row here and nothing else.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec


class Relay(msgspec.Struct, frozen=True):
    """`domain`: what stands behind the @, a pattern. `channel`: whose buyers it names. `tagged`: what follows a + names an order or a
    thread, not the buyer, and is cut off (FAILURES FC-J03)."""

    domain: re.Pattern[str]
    channel: str
    tagged: bool
    source: str


RELAYS = (
    Relay(
        re.compile(r"marketplace\.amazon\.[a-z]{2,3}(\.[a-z]{2})?"),
        "amazon",
        True,
        "Orders API v2026-01-01, buyerEmail: 'the anonymized email address of the buyer'; Seller Central, Communication Guidelines",
    ),
    Relay(
        re.compile(r"members\.ebay\.[a-z]{2,3}(\.[a-z]{2})?"),
        "ebay",
        True,
        "Sell Fulfillment API v1, getOrder field notes: buyerRegistrationAddress.email is an alias for 14 days",
    ),
    Relay(
        re.compile(r"relay\.walmart\.com"),
        "walmart",
        True,
        "Walmart Marketplace Orders API, customerEmailId: a relay address; named here because other software imports such orders",
    ),
)

#: Local parts that stand for "no address" in what sellers' tools fill in: they are everybody's, so nobody's.
PLACEHOLDERS = frozenset(
    (
        "noreply",
        "no-reply",
        "no_reply",
        "donotreply",
        "do-not-reply",
        "noemail",
        "no-email",
        "none",
        "unknown",
        "invalid",
    )
)


def relay_of(email: str) -> Relay | None:
    """Return the row of the table that this address falls under, None for an address of the buyer's own.

    >>> relay_of("abc@marketplace.amazon.co.uk").channel
    'amazon'
    >>> relay_of("jane@x.com") is None
    True
    """
    return _forwards(email.rpartition("@")[2].strip().lower())


@lru_cache(maxsize=1024)
def _forwards(domain: str) -> Relay | None:
    return next((relay for relay in RELAYS if relay.domain.fullmatch(domain)), None)


def is_relay(email: str) -> bool:
    """Return whether a marketplace forwards this address."""
    return relay_of(email) is not None


def without_tag(email: str) -> str:
    """Return a relay address without what names an order or a thread, trimmed, in lower case.

    >>> without_tag(" Abc+111-22@marketplace.amazon.de")
    'abc@marketplace.amazon.de'
    """
    local, _, domain = email.strip().lower().rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def real_email(email: str | None) -> str | None:
    """Return the address as an identity: trimmed, lower case, nothing else folded (S11.1 b). None: withheld, a relay's, a placeholder's,
    or no address.

    >>> real_email(" Jane.Doe+shop@X.com ")
    'jane.doe+shop@x.com'
    """
    if email is None:
        return None
    address = email.strip().lower()
    local, at, domain = address.rpartition("@")
    if not at or not local or "." not in domain or len(address.split()) != 1:
        return None
    return None if local in PLACEHOLDERS or is_relay(address) else address
