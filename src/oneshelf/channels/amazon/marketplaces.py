"""Amazon's regions and marketplaces, as data.

In: a region or marketplace id. Out: host, country, currency. Never: what one seller takes part in (that is asked at run time).
Source: Amazon pages "Marketplace IDs" and "SP-API Endpoints", read 2026-11; currencies are the countries' own.
"""

from __future__ import annotations

from typing import NamedTuple


class Marketplace(NamedTuple):
    """One Amazon store: its API region, country (ISO 3166) and currency (ISO 4217)."""

    region: str
    country: str
    currency: str


ENDPOINTS = {
    "na": "https://sellingpartnerapi-na.amazon.com",
    "eu": "https://sellingpartnerapi-eu.amazon.com",
    "fe": "https://sellingpartnerapi-fe.amazon.com",
}

#: Where the region's queue and event bus live by default.
AWS_REGIONS = {"na": "us-east-1", "eu": "eu-west-1", "fe": "us-west-2"}

MARKETPLACES = {
    "A2EUQ1WTGCTBG2": Marketplace("na", "CA", "CAD"),
    "ATVPDKIKX0DER": Marketplace("na", "US", "USD"),
    "A1AM78C64UM0Y8": Marketplace("na", "MX", "MXN"),
    "A2Q3Y263D00KWC": Marketplace("na", "BR", "BRL"),
    "A28R8C7NBKEWEA": Marketplace("eu", "IE", "EUR"),
    "A1RKKUPIHCS9HS": Marketplace("eu", "ES", "EUR"),
    "A1F83G8C2ARO7P": Marketplace("eu", "GB", "GBP"),
    "A13V1IB3VIYZZH": Marketplace("eu", "FR", "EUR"),
    "AMEN7PMS3EDWL": Marketplace("eu", "BE", "EUR"),
    "A1805IZSGTT6HS": Marketplace("eu", "NL", "EUR"),
    "A1PA6795UKMFR9": Marketplace("eu", "DE", "EUR"),
    "APJ6JRA9NG5V4": Marketplace("eu", "IT", "EUR"),
    "A2NODRKZP88ZB9": Marketplace("eu", "SE", "SEK"),
    "AE08WJ6YKNBMC": Marketplace("eu", "ZA", "ZAR"),
    "A1C3SOZRARQ6R3": Marketplace("eu", "PL", "PLN"),
    "ARBP9OOSHTCHU": Marketplace("eu", "EG", "EGP"),
    "A33AVAJ2PDY3EV": Marketplace("eu", "TR", "TRY"),
    "A17E79C6D8DWNP": Marketplace("eu", "SA", "SAR"),
    "A2VIGQ35RCS4UG": Marketplace("eu", "AE", "AED"),
    "A21TJRUUN4KGV": Marketplace("eu", "IN", "INR"),
    "A19VAU5U5O7RUS": Marketplace("fe", "SG", "SGD"),
    "A39IBJ37TRP1C6": Marketplace("fe", "AU", "AUD"),
    "A1VC38T7YXB528": Marketplace("fe", "JP", "JPY"),
}
