"""Who and where: one seller's settings, read once, and the requests built from them.

In: the plain strings stored with the account. Out: an `Account`, and `Request`s without authorization. Never: secrets, network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import msgspec

from oneshelf import __version__
from oneshelf.channels.amazon.marketplaces import AWS_REGIONS, ENDPOINTS, MARKETPLACES
from oneshelf.channels.contract import Request

#: Amazon asks for an application name, version and platform. Source: page "Connecting to the Selling Partner API", read 2026-11.
USER_AGENT = f"Oneshelf/{__version__} (Language=Python)"
TOKEN_URL = "https://api.amazon.com/auth/o2/token"

QueryValue = str | int | Sequence[str]


class Queue(msgspec.Struct, frozen=True):
    """Our SQS queue: `url` to read from, `arn` to name to Amazon, `endpoint` None for AWS itself."""

    url: str | None
    arn: str | None
    region: str
    endpoint: str | None


#: How late the order search shows a change. Amazon hides the last two minutes; sellers measured up to three.
#: Source: Orders API 2026-01-01 model (lastUpdatedBefore); selling-partner-api-docs issue 2131, read 2026-11.
VISIBILITY_DELAY_S = 150.0


class Account(msgspec.Struct, frozen=True):
    """One seller in one region."""

    seller_id: str
    region: str
    marketplace_ids: tuple[str, ...]
    endpoint: str
    token_url: str
    queue: Queue
    event_bridge_account_id: str | None = None
    visibility_delay_s: float = VISIBILITY_DELAY_S

    @property
    def external_id(self) -> str:
        """The account's own id: seller id + region (S0.1), "A3TH9S8BH6GOGM:na"."""
        return f"{self.seller_id}:{self.region}"


def account_of(settings: Mapping[str, str]) -> Account:
    """Read the settings (documented at `connect`). Raises ValueError naming the key that is missing or wrong."""
    seller_id = settings.get("seller_id", "").strip()
    if not seller_id:
        raise ValueError("Amazon settings: seller_id is missing")
    marketplace_ids = tuple(m for m in (part.strip() for part in settings.get("marketplace_ids", "").split(",")) if m)
    if not marketplace_ids:
        raise ValueError("Amazon settings: marketplace_ids is missing (comma-joined, the main one first)")
    region = settings.get("region", "").strip().lower() or _region_of(marketplace_ids[0])
    if region not in ENDPOINTS:
        raise ValueError(f"Amazon settings: region must be one of {', '.join(ENDPOINTS)}, not {region!r}")
    return Account(
        seller_id=seller_id,
        region=region,
        marketplace_ids=marketplace_ids,
        endpoint=(settings.get("endpoint") or ENDPOINTS[region]).rstrip("/"),
        token_url=settings.get("token_url") or TOKEN_URL,
        queue=Queue(
            url=settings.get("queue_url") or None,
            arn=settings.get("queue_arn") or None,
            region=settings.get("queue_region") or AWS_REGIONS[region],
            endpoint=settings.get("queue_endpoint") or None,
        ),
        event_bridge_account_id=settings.get("event_bridge_account_id") or None,
        visibility_delay_s=float(settings.get("visibility_delay_s") or VISIBILITY_DELAY_S),
    )


def path_part(text: str) -> str:
    """Percent-encode one part of a path wholly: an unencoded "/" or "#" in a SKU gets a 403.

    Source: Listings Items API 2021-08-01; selling-partner-api-models issue 4429, read 2026-11.

    >>> path_part("A/1")
    'A%2F1'
    """
    return quote(text, safe="")


def query_string(query: Mapping[str, QueryValue]) -> str:
    """Join parameters; arrays comma-joined (collectionFormat csv), every value percent-encoded by itself."""
    parts = []
    for name, value in query.items():
        values = [str(value)] if isinstance(value, str | int) else list(value)
        parts.append(f"{name}={','.join(quote(each, safe='') for each in values)}")
    return "&".join(parts)


def build(
    account: Account,
    operation: str,
    path: str,
    query: Mapping[str, QueryValue] | None = None,
    *,
    method: str = "GET",
    body: object = None,
    writes: bool = False,
    token: str | None = None,
) -> Request:
    """Build one SP-API request. `path` is already encoded. `token`: a grantless token; the request is then sent as it is."""
    headers = {"accept": "application/json", "user-agent": USER_AGENT}
    if token is not None:
        headers["x-amz-access-token"] = token
    if body is not None:
        headers["content-type"] = "application/json"
    return Request(
        method=method,
        url=account.endpoint + path + (f"?{query_string(query)}" if query else ""),
        operation=operation,
        headers=headers,
        body=b"" if body is None else msgspec.json.encode(body),
        writes=writes,
        bare=token is not None,
    )


def _region_of(marketplace_id: str) -> str:
    place = MARKETPLACES.get(marketplace_id)
    return place.region if place else ""
