"""The storage behind pre-signed addresses: where feeds are put and results and reports are fetched.

In: content, and requests with the signature that an address was given. Out: content, or the storage's own refusals (XML).
Never: takes a marketplace token (a pre-signed address with one is refused).
Source: models feeds_2021-06-30 and reports_2021-06-30 (addresses live 5 minutes; enableContentEncodingUrlHeader), read 2026-11.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from .marketplace import Amazon

URL_LIFE_S = 300.0
DOCUMENT_BYTES_MAX = 10 * 1024 * 1024
#: Every path of the storage begins so.
PREFIX = "/feed-storage/"


@dataclass
class Document:
    """One document. `zipped`: its bytes are GZIP; whether a download says so in content-encoding is the address's choice."""

    id: str
    content_type: str
    signature: str
    dies_at: datetime
    content: bytes | None = None
    zipped: bool = False


class Storage:
    """The documents of one seller."""

    def __init__(self, amazon: Amazon, rng: random.Random) -> None:
        self.amazon = amazon
        self._rng = rng
        self.documents: dict[str, Document] = {}

    def routes(self) -> list[Route]:
        return [
            Route(PREFIX + "{id}", self.upload, methods=["PUT"]),
            Route(PREFIX + "{id}", self.download, methods=["GET"]),
        ]

    def new(self, content_type: str, content: bytes | None = None, *, zipped: bool = False) -> Document:
        """Make a document; without content it waits for an upload."""
        key = f"amzn1.tortuga.4.na.{self._rng.getrandbits(128):032x}"
        document = Document(key, content_type, "", self.amazon.world.clock.now(), content, zipped)
        self.documents[document.id] = document
        return document

    def filled(self, document_id: str) -> Document | None:
        """Return the document of this id if it has content."""
        document = self.documents.get(document_id)
        return document if document is not None and document.content is not None else None

    def address(self, document: Document, *, unpacks: bool = False) -> str:
        """Return a fresh pre-signed address; the one before it is dead. `unpacks`: the answer will say content-encoding gzip."""
        clock = self.amazon.world.clock
        document.signature = f"{self._rng.getrandbits(128):032x}"
        document.dies_at = clock.now() + timedelta(seconds=clock.shortened(URL_LIFE_S))
        encoding = "&response-content-encoding=gzip" if unpacks and document.zipped else ""
        return f"{self.amazon.base_url}{PREFIX}{document.id}?X-Amz-Signature={document.signature}{encoding}"

    def described(self, document: Document, name: str, *, unpacks: bool = False) -> dict[str, Any]:
        """Return what the API says of a document: its id under `name`, an address, how it is packed."""
        found = {name: document.id, "url": self.address(document, unpacks=unpacks)}
        if document.zipped:
            found["compressionAlgorithm"] = "GZIP"
        return found

    def _signed(self, request: Request) -> Document | None:
        """Return the document that a pre-signed address opens, or None: wrong, late, or with a marketplace token."""
        document = self.documents.get(request.path_params["id"])
        if document is None or request.query_params.get("X-Amz-Signature") != document.signature:
            return None
        late = document.dies_at <= self.amazon.world.clock.now()
        return None if late or "x-amz-access-token" in request.headers else document

    async def upload(self, request: Request) -> Response:
        document = self._signed(request)
        body = await request.body()
        if document is None or request.headers.get("content-type") != document.content_type:
            return _refused(403, "SignatureDoesNotMatch")
        if len(body) > DOCUMENT_BYTES_MAX:
            return _refused(400, "EntityTooLarge")
        document.content = body
        return Response(status_code=200)

    async def download(self, request: Request) -> Response:
        document = self._signed(request)
        if document is None or document.content is None:
            return _refused(403, "AccessDenied")
        headers = {"content-type": document.content_type}
        if request.query_params.get("response-content-encoding") == "gzip":
            headers["content-encoding"] = "gzip"
        return Response(document.content, headers=headers)


def _refused(status: int, code: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code></Error>'
    return Response(body, status, media_type="application/xml")
