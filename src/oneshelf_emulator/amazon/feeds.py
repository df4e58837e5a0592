"""Feeds API 2021-06-30: documents, the queue, and the storage that the pre-signed URLs lead to.

Feeds are worked on one after another. DONE does not mean without errors: those are in the processing report.
Source: Amazon model feeds_2021-06-30; pages feeds-api-best-practices, feed-type-values, listings-feed-type-values
(XML and flat-file listing feeds end FATAL since 2025-07-31); read 2026-11.
"""

from __future__ import annotations

import gzip
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..throttle import Bucket
from . import feed_contents
from .limits import FEEDS, LISTINGS_FEED_BURST, LISTINGS_FEED_RATE_PER_S
from .wire import Refusal, json_object, listed, number, one, operation, stamp

if TYPE_CHECKING:
    from .marketplace import Amazon

URL_LIFE_S = 300.0
DOCUMENT_BYTES_MAX = 10 * 1024 * 1024
#: Listing feeds of the old kind: accepted, then FATAL.
LEGACY = frozenset(
    {
        "POST_PRODUCT_DATA",
        "POST_INVENTORY_AVAILABILITY_DATA",
        "POST_PRODUCT_PRICING_DATA",
        "POST_FLAT_FILE_LISTINGS_DATA",
        "POST_FLAT_FILE_INVLOADER_DATA",
        "POST_FLAT_FILE_PRICEANDQUANTITYONLY_UPDATE_DATA",
    }
)
STATUSES = frozenset({"CANCELLED", "DONE", "FATAL", "IN_PROGRESS", "IN_QUEUE"})
#: What a feed of a kind does with its content; returns the report. Raises feed_contents.Unreadable: FATAL.
WORKERS: dict[str, Callable[..., bytes]] = {
    "JSON_LISTINGS_FEED": feed_contents.listings,
    "POST_ORDER_ACKNOWLEDGEMENT_DATA": feed_contents.acknowledgements,
}


@dataclass
class _Document:
    id: str
    content_type: str
    signature: str
    dies_at: datetime
    content: bytes | None = None
    zipped: bool = False


@dataclass
class _Feed:
    id: str
    kind: str
    marketplace_ids: list[str]
    input_id: str
    created_at: datetime
    status: str = "IN_QUEUE"
    started_at: datetime | None = None
    ended_at: datetime | None = None
    result_id: str | None = None

    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "feedId": self.id,
            "feedType": self.kind,
            "marketplaceIds": self.marketplace_ids,
            "createdTime": stamp(self.created_at),
            "processingStatus": self.status,
        }
        if self.started_at:
            found["processingStartTime"] = stamp(self.started_at)
        if self.ended_at:
            found["processingEndTime"] = stamp(self.ended_at)
        if self.result_id:
            found["resultFeedDocumentId"] = self.result_id
        return found


@dataclass
class FeedsApi:
    """Feeds of one seller."""

    amazon: Amazon
    documents: dict[str, _Document] = field(default_factory=dict)
    feeds: dict[str, _Feed] = field(default_factory=dict)
    waiting: deque[_Feed] = field(default_factory=deque)
    busy: bool = False

    def __post_init__(self) -> None:
        world = self.amazon.world
        self._rng = world.rng("amazon:feeds")
        self._pages: dict[str, tuple[list[_Feed], int]] = {}
        self._listings_bucket = Bucket(LISTINGS_FEED_RATE_PER_S, LISTINGS_FEED_BURST, world.clock)

    def routes(self) -> list[Route]:
        def route(path: str, method: str, name: str, handler: Any) -> Route:
            return Route(FEEDS + path, operation(self.amazon, name, handler), methods=[method])

        return [
            route("/documents", "POST", "createFeedDocument", self.create_document),
            route("/documents/{id}", "GET", "getFeedDocument", self.get_document),
            route("/feeds", "GET", "getFeeds", self.get_feeds),
            route("/feeds", "POST", "createFeed", self.create_feed),
            route("/feeds/{id}", "GET", "getFeed", self.get_feed),
            route("/feeds/{id}", "DELETE", "cancelFeed", self.cancel_feed),
            Route("/feed-storage/{id}", self.upload, methods=["PUT"]),
            Route("/feed-storage/{id}", self.download, methods=["GET"]),
        ]

    # Documents

    def _new_document(self, content_type: str) -> _Document:
        document = _Document(
            f"amzn1.tortuga.4.na.{self._rng.getrandbits(128):032x}", content_type, "", self.amazon.world.clock.now()
        )
        self.documents[document.id] = document
        return document

    def _url(self, document: _Document) -> str:
        clock = self.amazon.world.clock
        document.signature = f"{self._rng.getrandbits(128):032x}"
        document.dies_at = clock.now() + timedelta(seconds=clock.shortened(URL_LIFE_S))
        return f"{self.amazon.base_url}/feed-storage/{document.id}?X-Amz-Signature={document.signature}"

    async def create_document(self, request: Request) -> Response:
        content_type = (await json_object(request)).get("contentType")
        if not isinstance(content_type, str) or not content_type:
            raise Refusal(400, "contentType is required", code="400")
        document = self._new_document(content_type)
        return JSONResponse({"feedDocumentId": document.id, "url": self._url(document)}, 201)

    async def get_document(self, request: Request) -> Response:
        document = self.documents.get(request.path_params["id"])
        if document is None or document.content is None:
            raise Refusal(404, "The feed document does not exist.", code="404")
        found = {"feedDocumentId": document.id, "url": self._url(document)}
        if document.zipped:
            found["compressionAlgorithm"] = "GZIP"
        return JSONResponse(found)

    def _signed(self, request: Request) -> _Document | None:
        """Return the document that a pre-signed URL opens, or None: wrong, late, or with a marketplace token."""
        document = self.documents.get(request.path_params["id"])
        if document is None or request.query_params.get("X-Amz-Signature") != document.signature:
            return None
        late = document.dies_at <= self.amazon.world.clock.now()
        return None if late or "x-amz-access-token" in request.headers else document

    async def upload(self, request: Request) -> Response:
        document = self._signed(request)
        body = await request.body()
        if document is None or request.headers.get("content-type") != document.content_type:
            return _storage_error(403, "SignatureDoesNotMatch")
        if len(body) > DOCUMENT_BYTES_MAX:
            return _storage_error(400, "EntityTooLarge")
        document.content = body
        return Response(status_code=200)

    async def download(self, request: Request) -> Response:
        document = self._signed(request)
        if document is None or document.content is None:
            return _storage_error(403, "AccessDenied")
        return Response(document.content, media_type="application/octet-stream")

    # Feeds

    async def create_feed(self, request: Request) -> Response:
        body = await json_object(request)
        kind, places = body.get("feedType"), body.get("marketplaceIds")
        if kind == "JSON_LISTINGS_FEED":  # a limit of its own in place of the general one
            self.amazon.buckets["createFeed"].give_back(1)
            if not self._listings_bucket.take():
                raise Refusal(429, "You exceeded your quota for the requested resource.")
        if not isinstance(places, list) or not 1 <= len(places) <= 25:
            raise Refusal(400, "marketplaceIds needs 1 to 25 ids", code="400")
        if not set(places) <= set(self.amazon.marketplace_ids):
            raise Refusal(403, "Access to requested resource is denied.")
        if kind not in WORKERS and kind not in LEGACY:
            raise Refusal(400, f"Invalid feed type {kind}", code="400")
        document = self.documents.get(str(body.get("inputFeedDocumentId")))
        if document is None or document.content is None:
            raise Refusal(400, "inputFeedDocumentId is unknown or nothing was uploaded", code="400")
        feed = _Feed(str(self._rng.randint(10**10, 10**11)), str(kind), places, document.id,
                     self.amazon.world.clock.now())  # fmt: skip
        self.feeds[feed.id] = feed
        self.waiting.append(feed)
        self._start_next()
        return JSONResponse({"feedId": feed.id}, 202)

    async def get_feeds(self, request: Request) -> Response:
        """List feeds, the youngest first. A nextToken stands alone; createdSince and createdUntil are not emulated (refused)."""
        given = set(request.query_params)
        token = one(request, "nextToken")
        unknown = given - {"feedTypes", "marketplaceIds", "processingStatuses", "pageSize", "nextToken"}
        if unknown or (token is not None and given != {"nextToken"}):
            raise Refusal(400, f"these parameters are not taken together: {', '.join(sorted(given))}", code="400")
        if token is not None:
            if token not in self._pages:
                raise Refusal(400, "nextToken is unknown or was used", code="400")
            return self._page(*self._pages.pop(token))
        kinds = listed(request, "feedTypes", most=10)
        places = listed(request, "marketplaceIds", most=10)
        states = listed(request, "processingStatuses", allowed=STATUSES)
        if kinds is None:
            raise Refusal(400, "feedTypes is required without a nextToken", code="400")
        found = [
            feed
            for feed in reversed(self.feeds.values())
            if feed.kind in kinds
            and (places is None or set(places) & set(feed.marketplace_ids))
            and (states is None or feed.status in states)
        ]
        return self._page(found, number(request, "pageSize", 10, 1, 100))

    def _page(self, found: list[_Feed], size: int) -> Response:
        answer: dict[str, Any] = {"feeds": [feed.document() for feed in found[:size]]}
        if len(found) > size:
            answer["nextToken"] = f"{self._rng.getrandbits(128):032x}"
            self._pages[answer["nextToken"]] = (found[size:], size)
        return JSONResponse(answer)

    def _feed(self, request: Request) -> _Feed:
        feed = self.feeds.get(request.path_params["id"])
        if feed is None:
            raise Refusal(404, "The feed does not exist.", code="404")
        return feed

    async def get_feed(self, request: Request) -> Response:
        return JSONResponse(self._feed(request).document())

    async def cancel_feed(self, request: Request) -> Response:
        feed = self._feed(request)
        if feed.status != "IN_QUEUE":
            raise Refusal(400, f"The feed is {feed.status} and cannot be cancelled.", code="400")
        feed.status = "CANCELLED"
        self.waiting.remove(feed)
        return JSONResponse({})

    def _start_next(self) -> None:
        if self.busy or not self.waiting:
            return
        self.busy = True
        clock, rng = self.amazon.world.clock, self._rng
        total_s = rng.uniform(*self.amazon.switches["feed_s"])
        queue_s = total_s * rng.uniform(0.2, 0.6)

        def begin() -> None:
            if not self.waiting:  # the last one was cancelled meanwhile
                self.busy = False
                return
            feed = self.waiting.popleft()
            feed.status, feed.started_at = "IN_PROGRESS", clock.now()
            clock.after(total_s - queue_s, lambda: self._finish(feed))

        clock.after(queue_s, begin)

    def _finish(self, feed: _Feed) -> None:
        content = self.documents[feed.input_id].content or b""
        try:
            worker = WORKERS.get(feed.kind)
            if worker is None:
                raise feed_contents.Unreadable(f"{feed.kind} is no longer supported")
            result = self._new_document("application/octet-stream")
            result.content, result.zipped = (
                gzip.compress(worker(self.amazon, feed.id, feed.marketplace_ids, content)),
                True,
            )
            feed.result_id, feed.status = result.id, "DONE"
        except feed_contents.Unreadable as problem:
            feed.status = "FATAL"
            self.amazon.world.note("amazon", "feed_fatal", feed=feed.id, why=str(problem))
        feed.ended_at = self.amazon.world.clock.now()
        self.amazon.world.note("amazon", "feed_finished", feed=feed.id, kind=feed.kind, status=feed.status)
        self.amazon.notifications.feed_finished(feed.document())
        self.busy = False
        self._start_next()


def _storage_error(status: int, code: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code></Error>'
    return Response(body, status, media_type="application/xml")
