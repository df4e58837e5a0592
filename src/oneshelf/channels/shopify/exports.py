"""Bulk exports: all levels, or the whole catalogue, as one file.

In: nothing to start, an export's id to ask, its address to read. Out: ExportState, HubLevels, ListingFounds, as the file arrives.
Never: waits for one (the worker asks again), judges by it (it is as old as its start), or holds a file (of 100,000 items at two
locations it has 102 MiB).
Source: Shopify docs, "Perform bulk operations with the GraphQL Admin API" (JSONL, `__parentId`, five at once since 2026-01), read 2026-11.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import datetime
from typing import Any, Literal, cast

import msgspec

from oneshelf.channels.contract import ExportState, Http, HubLevel, ListingFound, NoAnswer, Request
from oneshelf.channels.shopify import documents as docs
from oneshelf.channels.shopify import ids
from oneshelf.channels.shopify.form import instant, record, text, whole
from oneshelf.channels.shopify.graphql import Failure, GraphQL, outcome_of, refusal, user_errors
from oneshelf.channels.shopify.reads import Reader, hub_level, listing
from oneshelf.core.errors import Retry
from oneshelf.core.outcome import Outcome, Throttled, Unknown

#: Source: Shopify Admin GraphQL BulkOperationStatus, 2026-10. Unknown ones still run.
STATUS: dict[str, Literal["running", "done", "failed"]] = {
    "CREATED": "running",
    "RUNNING": "running",
    "CANCELING": "running",
    "COMPLETED": "done",
    "CANCELED": "failed",
    "EXPIRED": "failed",
    "FAILED": "failed",
}
#: The shop runs as many exports as it may. Source: Shopify Admin GraphQL BulkOperationUserErrorCode, 2026-10.
BUSY_CODES = {"OPERATION_IN_PROGRESS", "LIMIT_REACHED"}
BUSY_WAIT_S = 30.0

#: How long the store of files may be silent.
DOWNLOAD_SILENT_S_MAX = 60.0
#: A level's line has 500 to 900 bytes, a variant's 300 and its title, which is 255 characters at most.
LINE_BYTES_MAX = 256 * 1024
#: 40 times what 100,000 items at two locations need.
FILE_BYTES_MAX = 4 * 1024**3
#: Levels or listings that are handed on together: what is held of a file at once.
BATCH = 1000


class Exporter:
    """Starts, asks and reads exports of one shop."""

    def __init__(self, graphql: GraphQL, reader: Reader) -> None:
        self._graphql = graphql
        self._reader = reader

    async def start(self, http: Http, query: str) -> ExportState | Outcome:
        answer = await self._graphql.tell(http, docs.START_EXPORT, {"query": query})
        if isinstance(answer, Failure):
            return outcome_of(answer)
        payload = record(answer.data.get("bulkOperationRunQuery"))
        errors = user_errors(payload)
        if any(error.get("code") in BUSY_CODES for error in errors):
            return Throttled(BUSY_WAIT_S, str(errors[0].get("message")))
        if errors:
            return refusal(errors)
        export_id = text(record(payload.get("bulkOperation")).get("id"))
        return ExportState(export_id, "running") if export_id else Unknown("the export has no id")

    async def state(self, http: Http, export_id: str) -> ExportState:
        operation = await self._operation(http, export_id)
        status = STATUS.get(str(operation.get("status")), "running")
        return ExportState(
            export_id=export_id,
            status=status,
            objects=whole(operation.get("objectCount")) or 0,
            url=text(operation.get("url")) if status == "done" else None,
            reason=(text(operation.get("errorCode")) or str(operation.get("status"))) if status == "failed" else "",
        )

    async def levels(self, http: Http, state: ExportState) -> AsyncIterator[list[HubLevel]]:
        """Give the levels of tracked items, BATCH at a time. Every line says whether its item is tracked: children need not follow
        their parent, and nothing is kept to join them."""
        operation = await self._operation(http, state.export_id)
        started_at = instant(operation.get("createdAt"))
        if started_at is None:
            raise Retry(f"{state.export_id} does not say when it was started")
        batch: list[HubLevel] = []
        async with aclosing(self._rows(http, state)) as rows:
            async for row in rows:
                level = level_of(row, started_at)
                if level is None:
                    continue
                batch.append(level)
                if len(batch) >= BATCH:
                    yield batch
                    batch = []
        if batch:
            yield batch

    async def catalogue(self, http: Http, state: ExportState) -> AsyncIterator[list[ListingFound]]:
        """Give the variants, BATCH at a time."""
        currency = await self._reader.currency(http)
        batch: list[ListingFound] = []
        async with aclosing(self._rows(http, state)) as rows:
            async for row in rows:
                if not _is_variant(row):
                    continue
                batch.append(listing(row, currency))
                if len(batch) >= BATCH:
                    yield batch
                    batch = []
        if batch:
            yield batch

    async def _operation(self, http: Http, export_id: str) -> dict[str, Any]:
        operation = (await self._graphql.ask(http, docs.EXPORT_STATE, {"id": export_id})).data.get("bulkOperation")
        if not isinstance(operation, dict):
            raise Retry(f"Shopify knows no export {export_id}")
        return operation

    async def _rows(self, http: Http, state: ExportState) -> AsyncGenerator[dict[str, Any]]:
        """Give the objects of the file at its pre-signed address; an export that found nothing has none. Raises Retry, also on a line
        that can't be read: half a file must not look whole."""
        if state.status != "done":
            raise Retry(f"{state.export_id} is not done but {state.status}: {state.reason}")
        if state.url is None:
            return
        request = Request(
            method="GET", url=state.url, operation="bulk_download", timeout_s=DOWNLOAD_SILENT_S_MAX, cost=0, bare=True
        )
        index = 0
        lines = http.lines(request, line_bytes_max=LINE_BYTES_MAX, bytes_max=FILE_BYTES_MAX)
        try:
            async with aclosing(cast("AsyncGenerator[bytes]", lines)):
                async for line in lines:
                    index += 1
                    if line.strip():
                        yield row_of(line, index)
        except NoAnswer as error:
            raise Retry(f"the export's file could not be read: {error.reason}") from error


def row_of(line: bytes, index: int) -> dict[str, Any]:
    """Return the object of a line of JSONL. Raises Retry."""
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Retry(f"line {index} of the export can't be read: {error}") from error
    if not isinstance(row, dict):
        raise Retry(f"line {index} of the export is no object")
    return row


def level_of(row: dict[str, Any], started_at: datetime) -> HubLevel | None:
    """Return the level of a line; None for an item's own line, and for a level of an item that is not tracked."""
    parent = text(row.get("__parentId"))
    if parent is None or record(row.get("item")).get("tracked") is False:
        return None
    return hub_level(parent, row, started_at)


def _is_variant(row: dict[str, Any]) -> bool:
    return ids.number(row.get("id")) is not None and "inventoryItem" in row
