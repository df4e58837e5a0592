"""How this emulator of eBay says no: error numbers with their domain, category and text.

In: an errorId and what stands in its text. Out: the error object of an answer, or the exception that becomes one.
Source: x-response-codes of Sell Inventory 1.18.5, Sell Fulfillment 1.20.6 and Commerce Notification 1.6.7, read 2026-11.
"""

from __future__ import annotations

from typing import Any

#: errorId -> (domain, category, HTTP status, message). `{}` takes what the caller says.
CATALOGUE: dict[int, tuple[str, str, int, str]] = {
    1001: ("OAuth", "REQUEST", 401, "Invalid access token"),
    1002: ("OAuth", "REQUEST", 400, "Missing access token"),
    1100: ("ACCESS", "REQUEST", 403, "Access denied"),
    2001: ("ACCESS", "REQUEST", 429, "Too many requests."),
    2002: ("ACCESS", "REQUEST", 404, "Resource not found"),
    2003: ("ACCESS", "APPLICATION", 500, "Internal error"),
    2004: ("ACCESS", "REQUEST", 400, "Invalid request {}"),
    25001: ("API_INVENTORY", "APPLICATION", 500, "A system error has occurred. {}"),
    25002: ("API_INVENTORY", "REQUEST", 400, "Any User error. {}"),
    25025: ("API_INVENTORY", "APPLICATION", 500, "Concurrent access of the same inventory item or group. {}"),
    25402: ("API_INVENTORY", "REQUEST", 200, "System warning. {}"),
    25702: ("API_INVENTORY", "REQUEST", 404, "SKU {} could not be found or is not available in the system."),
    25706: ("API_INVENTORY", "REQUEST", 400, "You have provided invalid pagination values. {}"),
    25708: ("API_INVENTORY", "REQUEST", 400, "Invalid SKU. {}"),
    25709: ("API_INVENTORY", "REQUEST", 400, "Invalid value for {}."),
    25713: ("API_INVENTORY", "REQUEST", 404, "This Offer is not available : {}."),
    25718: ("API_INVENTORY", "REQUEST", 400, "Cannot migrate listing. {}"),
    25727: ("API_INVENTORY", "REQUEST", 400, "The number of InventoryItems in the request cannot exceed {}."),
    25734: ("API_INVENTORY", "REQUEST", 400, "SKU should be unique in the request. {}"),
    25805: ("API_INVENTORY", "REQUEST", 404, "{} Not Found."),
    30500: ("API_FULFILLMENT", "APPLICATION", 500, "System error"),
    30700: ("API_FULFILLMENT", "REQUEST", 400, "Invalid filter name: {}"),
    30800: ("API_FULFILLMENT", "REQUEST", 400, "Invalid filter value {}"),
    30810: ("API_FULFILLMENT", "REQUEST", 400, "Invalid date format"),
    30820: ("API_FULFILLMENT", "REQUEST", 400, "Start date is missing"),
    30830: (
        "API_FULFILLMENT", "REQUEST", 400,
        "Time range between start date and end date must be within '2' years.",
    ),
    30840: ("API_FULFILLMENT", "REQUEST", 400, "Start date should be before end date"),
    30850: ("API_FULFILLMENT", "REQUEST", 400, "Start and end dates can't be in the future"),
    30900: ("API_FULFILLMENT", "REQUEST", 400, "Exceeded maximum number of order IDs (the current limit is 50)"),
    31000: ("API_FULFILLMENT", "REQUEST", 400, "Invalid offset: {}"),
    31100: ("API_FULFILLMENT", "REQUEST", 400, "Invalid limit: {}"),
    32100: ("API_FULFILLMENT", "REQUEST", 404, "Invalid order ID: {}"),
    32110: ("API_FULFILLMENT", "REQUEST", 404, "Invalid shipping fulfillment ID: {}"),
    32200: ("API_FULFILLMENT", "REQUEST", 400, "Invalid line item id: {}"),
    32210: ("API_FULFILLMENT", "REQUEST", 400, "Duplicate line item in the request"),
    32300: ("API_FULFILLMENT", "REQUEST", 400, "Invalid shipment tracking number or carrier"),
    32500: ("API_FULFILLMENT", "REQUEST", 400, "Invalid shipped date"),
    32600: ("API_FULFILLMENT", "REQUEST", 400, "Invalid input data"),
    32800: ("API_FULFILLMENT", "REQUEST", 400, "Invalid field group: {}"),
    34100: ("API_FULFILLMENT", "REQUEST", 409, "Maximum tracking number for order is exceeded"),
    34902: ("API_FULFILLMENT", "REQUEST", 400, "Request can't be empty."),
    34903: ("API_FULFILLMENT", "REQUEST", 400, "The refund reason must be specified."),
    34905: ("API_FULFILLMENT", "REQUEST", 400, "Either orderLevelRefundAmount or refundItems must be specified."),
    34907: ("API_FULFILLMENT", "REQUEST", 400, "The amount value must be positive and within two decimals."),
    34909: ("API_FULFILLMENT", "REQUEST", 400, "The amount currency isn't correct."),
    34910: (
        "API_FULFILLMENT", "REQUEST", 400,
        "Either legacyReference or lineItemId must be specified for item level refund",
    ),
    34913: ("API_FULFILLMENT", "REQUEST", 404, "Can not find the order."),
    34914: ("API_FULFILLMENT", "REQUEST", 400, "Can't find the item in the order."),
    34915: ("API_FULFILLMENT", "REQUEST", 400, "The refund amount exceeds order amount."),
    34917: ("API_FULFILLMENT", "BUSINESS", 400, "This order was already refunded."),
    34921: ("API_FULFILLMENT", "REQUEST", 400, "The comment exceeds the length limit."),
    34922: ("API_FULFILLMENT", "REQUEST", 400, "Refund cannot be issued while previous refund is processing."),
    34929: (
        "API_FULFILLMENT", "REQUEST", 409,
        "You cannot refund this order yet since the buyer payment has not been processed. Please try again later.",
    ),
    160003: ("API_FEED", "REQUEST", 404, "Task {} does not exist."),
    160014: ("API_FEED", "REQUEST", 404, "No file found for task ID {}."),
    160017: ("API_FEED", "REQUEST", 400, "The 'feedType' is missing or invalid."),
    160018: ("API_FEED", "REQUEST", 400, "The 'schemaVersion' is invalid."),
    160019: ("API_FEED", "REQUEST", 400, "The 'filterCriteria' is invalid. {}"),
    160025: (
        "API_FEED", "BUSINESS", 409,
        "You have exceeded the maximum number of records or tasks that can be created or processed in the period "
        "(hourly or daily).",
    ),
    160027: ("API_FEED", "REQUEST", 400, "The X-EBAY-C-MARKETPLACE-ID header is missing or invalid."),
    215000: ("ACCESS", "REQUEST", 403, "Signature is missing"),
    215122: ("ACCESS", "REQUEST", 403, "Signature validation failed"),
    195002: ("API_NOTIFICATION", "REQUEST", 404, "Invalid or missing topic id."),
    195001: ("API_NOTIFICATION", "REQUEST", 404, "The specified key id is invalid."),
    195003: (
        "API_NOTIFICATION", "REQUEST", 409,
        "Please provide configurations required for notifications. Refer to /config",
    ),
    195004: ("API_NOTIFICATION", "REQUEST", 400, "Invalid limit. Supported ranges 10 - 100."),
    195005: ("API_NOTIFICATION", "REQUEST", 400, "Invalid continuation token."),
    195006: ("API_NOTIFICATION", "REQUEST", 400, "Invalid or missing subscription status."),
    195007: ("API_NOTIFICATION", "REQUEST", 400, "Invalid or missing destination id."),
    195008: (
        "API_NOTIFICATION", "REQUEST", 400,
        "Invalid or missing schema version. Please refer to /topic/{{topic_id}} for supported schema versions.",
    ),
    195009: ("API_NOTIFICATION", "REQUEST", 400, "Specified format is not supported for the topic."),
    195010: ("API_NOTIFICATION", "REQUEST", 400, "Invalid or missing protocol"),
    195011: ("API_NOTIFICATION", "REQUEST", 403, "Not authorized for this topic."),
    195012: ("API_NOTIFICATION", "REQUEST", 409, "Subscription already exists"),
    195013: ("API_NOTIFICATION", "REQUEST", 404, "The subscription id does not exist."),
    195015: (
        "API_NOTIFICATION", "REQUEST", 409,
        "The subscription cannot be enabled since the destination is not enabled.",
    ),
    195016: ("API_NOTIFICATION", "REQUEST", 400, "Invalid name. Markups or lengths greater than 64 not supported"),
    195017: ("API_NOTIFICATION", "REQUEST", 400, "Invalid or missing endpoint."),
    195018: (
        "API_NOTIFICATION", "REQUEST", 400,
        "Invalid or missing destination status. Supported values:[ENABLED,DISABLED]",
    ),
    195019: ("API_NOTIFICATION", "REQUEST", 400, "Invalid or missing verification token for this endpoint."),
    195020: ("API_NOTIFICATION", "REQUEST", 409, "Challenge verification failed for requested endpoint"),
    195021: ("API_NOTIFICATION", "REQUEST", 409, "Destination exists for this endpoint"),
    195022: ("API_NOTIFICATION", "REQUEST", 404, "Invalid or missing destination id."),
    195024: ("API_NOTIFICATION", "REQUEST", 409, "Destination is in use and cannot be deleted."),
    195025: ("API_NOTIFICATION", "REQUEST", 400, "Invalid or missing email."),
    195026: ("API_NOTIFICATION", "APPLICATION", 404, "Configuration Not Found."),
}  # fmt: skip
LONG_TEXTS = {
    1001: "Invalid access token. Check the value of the Authorization HTTP request header.",
    1002: "Access token is missing in the Authorization HTTP request header.",
    1100: "Insufficient permissions to fulfill the request.",
    2001: "The request limit has been reached for the resource.",
}


def error_object(error_id: int, what: str = "", **parameters: str) -> dict[str, Any]:
    """Return one entry of `errors` (or `warnings`)."""
    domain, category, _, text = CATALOGUE[error_id]
    message = text.format(what).strip()
    error: dict[str, Any] = {
        "errorId": error_id,
        "domain": domain,
        "category": category,
        "message": message,
        "longMessage": LONG_TEXTS.get(error_id, message),
    }
    if parameters:
        error["parameters"] = [{"name": name, "value": value} for name, value in parameters.items()]
    return error


class Refused(Exception):
    """A call that eBay refuses as a whole, with one of its error numbers."""

    def __init__(self, error_id: int, what: str = "", *, status: int | None = None, **parameters: str) -> None:
        super().__init__(f"{error_id} {CATALOGUE[error_id][3].format(what)}")
        self.error_id = error_id
        self.status = status or CATALOGUE[error_id][2]
        self.error = error_object(error_id, what, **parameters)


class TokenRefused(Exception):
    """What the token endpoint refuses: `error` and `error_description`."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.description = description


class PostOrderRefused(Exception):
    """What a Post-Order call refuses: another wrapper, key `error`, with httpStatusCode."""

    def __init__(self, error_id: int, message: str, *, status: int = 400, about: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error = {
            "errorId": error_id,
            "domain": "cancellationErrorDomain",
            "severity": "ERROR",
            "category": "REQUEST",
            "message": message,
            "parameter": [{"value": value, "name": name} for name, value in (about or {}).items()],
            "longMessage": message,
            "inputRefIds": [],
            "httpStatusCode": status,
        }
