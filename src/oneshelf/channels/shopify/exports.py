"""Bulk exports: all levels, or the whole catalogue, as one file.

In: nothing to start, an export's id to ask, its address to read. Out: ExportState, HubLevels, ListingFounds.
Never: waits for one (the worker asks again), or judges by it (it is as old as its start).
Source: Shopify docs, "Perform bulk operations with the GraphQL Admin API" (JSONL, `__parentId`, five at once since 2026-01), read 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

import msgspec

from oneshelf.channels.contract import ExportState, Http, HubLevel, ListingFound, Request
from oneshelf.channels.shopify import documents as docs
from oneshelf.channels.shopify import ids
from oneshelf.channels.shopify.form import instant, text, whole
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

DOWNLOAD_TIMEOUT_S = 300.0


class Exporter:
    """Starts, asks and reads exports of one shop."""

    def __init__(self, graphql: GraphQL, reader: Reader) -> None:
        self._graphql = graphql
        self._reader = reader

    async def start(self, http: Http, query: str) -> ExportState | Outcome:
        answer = await self._graphql.tell(http, docs.START_EXPORT, {"query": query})
        if isinstance(answer, Failure):
            return outcome_of(answer)
        payload = answer.data.get("bulkOperationRunQuery") or {}
        errors = user_errors(payload)
        if any(error.get("code") in BUSY_CODES for error in errors):
            return Throttled(BUSY_WAIT_S, str(errors[0].get("message")))
        if errors:
            return refusal(errors)
        export_id = text((payload.get("bulkOperation") or {}).get("id"))
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

    async def levels(self, http: Http, state: ExportState) -> list[HubLevel]:
        operation = await self._operation(http, state.export_id)
        started_at = instant(operation.get("createdAt"))
        if started_at is None:
            raise Retry(f"{state.export_id} does not say when it was started")
        return levels_of(await self._download(http, state), started_at)

    async def catalogue(self, http: Http, state: ExportState) -> list[ListingFound]:
        currency = await self._reader.currency(http)
        return [listing(row, currency) for row in rows_of(await self._download(http, state)) if _is_variant(row)]

    async def _operation(self, http: Http, export_id: str) -> dict[str, Any]:
        operation = (await self._graphql.ask(http, docs.EXPORT_STATE, {"id": export_id})).data.get("bulkOperation")
        if not isinstance(operation, dict):
            raise Retry(f"Shopify knows no export {export_id}")
        return operation

    async def _download(self, http: Http, state: ExportState) -> bytes:
        """Fetch the file from its pre-signed address; an export that found nothing has none. Raises Retry."""
        if state.status != "done":
            raise Retry(f"{state.export_id} is not done but {state.status}: {state.reason}")
        if state.url is None:
            return b""
        request = Request(
            method="GET", url=state.url, operation="bulk_download", timeout_s=DOWNLOAD_TIMEOUT_S, cost=0, bare=True
        )
        response = await http.request(request)
        if response.status != 200:
            raise Retry(f"the export's file answered HTTP {response.status}")
        return response.body


def rows_of(body: bytes) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSONL file. Raises Retry on a line that can't be read: half a file must not look whole."""
    for index, line in enumerate(body.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Retry(f"line {index} of the export can't be read: {error}") from error
        if not isinstance(row, dict):
            raise Retry(f"line {index} of the export is no object")
        yield row


def levels_of(body: bytes, started_at: datetime) -> list[HubLevel]:
    """Return the levels of tracked items. Children need not follow their parent: they are joined when all lines are read."""
    untracked: set[str] = set()
    levels: list[tuple[str, dict[str, Any]]] = []
    for row in rows_of(body):
        parent = text(row.get("__parentId"))
        if parent is not None:
            levels.append((parent, row))
        elif row.get("tracked") is False:
            untracked.add(str(row.get("id")))
    return [hub_level(parent, row, started_at) for parent, row in levels if parent not in untracked]


def _is_variant(row: dict[str, Any]) -> bool:
    return ids.number(row.get("id")) is not None and "inventoryItem" in row
