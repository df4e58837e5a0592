"""The document against the service: whatever is sent, no answer is a fault of ours, and each is one that the document knows.

A change runs a few requests an operation, always the same; `make api-fuzz` many, at random (ONESHELF_FUZZ says how many).
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from tests.scenario.api import Asking, open_shop
from tests.scenario.test_api_resources import fill

EXAMPLES = int(os.environ.get("ONESHELF_FUZZ", "3"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def _operations(document: dict[str, Any]) -> list[Any]:
    return [result.ok() for result in schemathesis.openapi.from_dict(document).get_all_operations()]


def _ask(operation: Any, api: Asking, problems: list[str]) -> None:
    """Ask one operation with what its document allows, and some of what it does not."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize="ONESHELF_FUZZ" not in os.environ,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        headers = {"Authorization": f"Bearer {api.secret}"}
        case.call_and_validate(base_url=f"{api.shop.url}/api/v1", headers=headers, checks=CHECKS)

    try:
        ask()
    except Exception as error:  # each operation is asked, whatever the others said
        problems.append(f"{operation.method.upper()} {operation.path}: {error}"[:2_000])


async def test_nothing_that_is_sent_is_answered_by_a_fault_of_ours(tmp_path: Path, sqlite_migrated: Path) -> None:
    shop = await open_shop(tmp_path / "data", sqlite_migrated, api_requests_per_minute=1_000_000)
    await fill(shop)
    api = await Asking.with_scopes(shop)
    document = (await api.get("/openapi.json")).body
    problems: list[str] = []
    operations = _operations(document)
    assert len(operations) > 60
    for operation in operations:
        await asyncio.to_thread(_ask, operation, api, problems)
    assert problems == []
    assert shop.service.health() is None
    await api.close()
    await shop.close()
