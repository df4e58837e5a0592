"""Commands about customers: merge, take apart, say yes or no to a suggestion, rules for stages, erase. One function each, as in commands.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from oneshelf.core.instants import to_us
from oneshelf.core.stage import StageRules
from oneshelf.customers import erasing_customer, merging, stages, ticking
from oneshelf.db.tx import Tx
from oneshelf.wiring import Service

from .one_step import NotTaken


async def _change(service: Service, step: Callable[..., Any], *numbers: int) -> Any:
    """Carry out a change of two customers (or one), by the merchant."""
    now = to_us(service.clock.now())
    return await service.writer.do(lambda tx: step(tx, service.tenant_id, *numbers, now, by=service.by))


async def run_merge(service: Service, payload: dict[str, Any]) -> Any:
    """Make one customer a part of another."""
    return msgspec.to_builtins(await _change(service, merging.merge, int(payload["customer_no"]), int(payload["into"])))


async def run_unmerge(service: Service, payload: dict[str, Any]) -> Any:
    """Take a merged customer out again."""
    return msgspec.to_builtins(await _change(service, merging.unmerge, int(payload["customer_no"])))


async def run_confirm(service: Service, payload: dict[str, Any]) -> Any:
    """Say that two suggested customers are one."""
    return msgspec.to_builtins(
        await _change(service, merging.confirm, int(payload["first_no"]), int(payload["second_no"]))
    )


async def run_dismiss(service: Service, payload: dict[str, Any]) -> Any:
    """Say that two suggested customers are two."""
    first_no, second_no = int(payload["first_no"]), int(payload["second_no"])
    await _change(service, merging.dismiss, first_no, second_no)
    return {"first_no": first_no, "second_no": second_no, "state": "DISMISSED"}


async def run_stages(service: Service, payload: dict[str, Any]) -> Any:
    """Change the rules for stages: what is named changes, the rest stays. `dry_run`: say only how many would stand where."""
    changes = {name: value for name, value in payload.items() if name in StageRules.__struct_fields__}
    now = to_us(service.clock.now())
    tenant_id = service.tenant_id

    def step(tx: Tx) -> Any:
        try:
            rules = msgspec.structs.replace(stages.rules_of(tx, tenant_id), **changes)
        except ValueError as error:
            raise NotTaken(f"These rules contradict each other: {error}.") from error
        counts = ticking.preview(tx, tenant_id, rules, now)
        if not payload.get("dry_run"):
            stages.set_rules(tx, tenant_id, rules, now, by=service.by)
        return {"rules": msgspec.to_builtins(rules), "customers": counts, "changed": not payload.get("dry_run")}

    return await service.writer.do(step)


async def run_erase(service: Service, payload: dict[str, Any]) -> Any:
    """Have the person of a customer erased from everything that is kept here."""
    return msgspec.to_builtins(await _change(service, erasing_customer.erase, int(payload["customer_no"])))


COMMANDS = {
    "customers_merge": run_merge,
    "customers_unmerge": run_unmerge,
    "customers_confirm": run_confirm,
    "customers_dismiss": run_dismiss,
    "customers_stages": run_stages,
    "customers_erase": run_erase,
}
