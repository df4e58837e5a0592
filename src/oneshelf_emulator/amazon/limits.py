"""What Amazon meters, and its marketplaces, as data.

Source: Amazon models orders_2026-01-01, ordersV0, listingsItems_2021-08-01, notifications, sellers, feeds_2021-06-30
(usage plans in each operation's description) and the pages marketplace-ids and sp-api-endpoints, read 2026-11.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """One operation with its default usage plan. `rate_per_s` in real seconds; `path` with `{}` for one segment."""

    operation: str
    method: str
    path: str
    rate_per_s: float
    burst: int


LISTINGS = "/listings/2021-08-01/items"
ORDERS = "/orders/2026-01-01/orders"
FEEDS = "/feeds/2021-06-30"

PLANS = (
    Plan("searchOrders", "GET", ORDERS, 0.0056, 20),
    Plan("getOrder", "GET", ORDERS + "/{}", 0.5, 30),
    Plan("cancelOrder", "PUT", ORDERS + "/{}/cancellation", 1, 5),
    Plan("confirmShipment", "POST", "/orders/v0/orders/{}/shipmentConfirmation", 2, 10),
    Plan("getListingsItem", "GET", LISTINGS + "/{}/{}", 5, 10),
    Plan("searchListingsItems", "GET", LISTINGS + "/{}", 5, 5),
    Plan("patchListingsItem", "PATCH", LISTINGS + "/{}/{}", 5, 5),
    Plan("putListingsItem", "PUT", LISTINGS + "/{}/{}", 5, 10),
    Plan("deleteListingsItem", "DELETE", LISTINGS + "/{}/{}", 5, 5),
    Plan("getMarketplaceParticipations", "GET", "/sellers/v1/marketplaceParticipations", 0.016, 15),
    Plan("getDestinations", "GET", "/notifications/v1/destinations", 1, 5),
    Plan("createDestination", "POST", "/notifications/v1/destinations", 1, 5),
    Plan("getDestination", "GET", "/notifications/v1/destinations/{}", 1, 5),
    Plan("deleteDestination", "DELETE", "/notifications/v1/destinations/{}", 1, 5),
    Plan("getSubscription", "GET", "/notifications/v1/subscriptions/{}", 1, 5),
    Plan("createSubscription", "POST", "/notifications/v1/subscriptions/{}", 1, 5),
    Plan("getSubscriptionById", "GET", "/notifications/v1/subscriptions/{}/{}", 1, 5),
    Plan("deleteSubscriptionById", "DELETE", "/notifications/v1/subscriptions/{}/{}", 1, 5),
    Plan("createFeedDocument", "POST", FEEDS + "/documents", 0.5, 15),
    Plan("getFeedDocument", "GET", FEEDS + "/documents/{}", 0.0222, 10),
    Plan("getFeeds", "GET", FEEDS + "/feeds", 0.0222, 10),
    Plan("createFeed", "POST", FEEDS + "/feeds", 0.0083, 15),
    Plan("getFeed", "GET", FEEDS + "/feeds/{}", 2, 15),
    Plan("cancelFeed", "DELETE", FEEDS + "/feeds/{}", 2, 15),
)

#: JSON_LISTINGS_FEED has a limit of its own in place of createFeed's: 5 submissions per 5 minutes.
#: Source: Amazon announcement update-feed-size-and-rate-limit-changes-for-the-json_listings_feed.
LISTINGS_FEED_RATE_PER_S = 5 / 300
LISTINGS_FEED_BURST = 5

#: The rate header is promised on these answers only. Source: page response-format.
RATED_STATUSES = frozenset({200, 201, 202, 204, 400, 404})


@dataclass(frozen=True)
class Marketplace:
    """One Amazon store. `tax_included`: prices there contain the tax (VAT countries)."""

    id: str
    name: str
    country: str
    currency: str
    domain: str
    language: str
    region: str
    tax_included: bool = True


MARKETPLACES = {
    each.id: each
    for each in (
        Marketplace("ATVPDKIKX0DER", "Amazon.com", "US", "USD", "amazon.com", "en_US", "NA", False),
        Marketplace("A2EUQ1WTGCTBG2", "Amazon.ca", "CA", "CAD", "amazon.ca", "en_CA", "NA", False),
        Marketplace("A1AM78C64UM0Y8", "Amazon.com.mx", "MX", "MXN", "amazon.com.mx", "es_MX", "NA"),
        Marketplace("A1F83G8C2ARO7P", "Amazon.co.uk", "GB", "GBP", "amazon.co.uk", "en_GB", "EU"),
        Marketplace("A1PA6795UKMFR9", "Amazon.de", "DE", "EUR", "amazon.de", "de_DE", "EU"),
        Marketplace("A13V1IB3VIYZZH", "Amazon.fr", "FR", "EUR", "amazon.fr", "fr_FR", "EU"),
        Marketplace("APJ6JRA9NG5V4", "Amazon.it", "IT", "EUR", "amazon.it", "it_IT", "EU"),
        Marketplace("A1RKKUPIHCS9HS", "Amazon.es", "ES", "EUR", "amazon.es", "es_ES", "EU"),
        Marketplace("A1VC38T7YXB528", "Amazon.co.jp", "JP", "JPY", "amazon.co.jp", "ja_JP", "FE"),
    )
}

#: Codes of Amazon's own fulfilment network by region. That of the Far East is not published.
FBA_CODES = {"NA": "AMAZON_NA", "EU": "AMAZON_EU", "FE": "AMAZON_JP"}
