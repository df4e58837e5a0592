"""Commands about how much is offered: strict SKUs, what an oversell costs, locations of an account, announced sales."""

from __future__ import annotations

from typing import Any

from oneshelf.core.errors import NotThere
from oneshelf.db.tx import Tx
from oneshelf.listings import announced, risk
from oneshelf.publish import approving
from oneshelf.publish.ticking import plan_again
from oneshelf.wiring import Service

from .one_step import act as _do


async def run_strict(service: Service, payload: dict[str, Any]) -> Any:
    """Make a SKU strict, or no more."""
    sku, strict = payload["sku"], bool(payload["strict"])
    changed = await _do(
        service, lambda tx, now: risk.set_strict(tx, service.tenant_id, sku, strict, now, by=service.by)
    )
    return {"sku": sku, "strict": strict, "changed": changed}


async def run_risk(service: Service, payload: dict[str, Any]) -> Any:
    """Keep what an unsold piece and an oversold order cost, or take it back."""
    sku = payload.get("sku") or ""
    money = None if payload.get("drop") else (int(payload["margin"]), int(payload["oversold"]))
    epsilon = await _do(service, lambda tx, now: risk.set_risk(tx, service.tenant_id, sku, money, now, by=service.by))
    if epsilon is None:
        raise NotThere("There is nothing to take back.")
    return {"sku": sku, "epsilon": epsilon, "dropped": money is None}


async def run_locations(service: Service, payload: dict[str, Any]) -> Any:
    """Say which locations serve an account: those named, or all but those excluded."""
    account_id, wanted, without = int(payload["account_id"]), list(payload["locations"]), payload.get("excluded") or []
    if account_id not in service.running:
        raise NotThere(f"Account {account_id} is not connected. `oneshelf channels list` shows the accounts.")
    can = {one.account_id: one.can for one in service.heard()}
    done = await _do(
        service,
        lambda tx, now: approving.change_locations(
            tx, service.tenant_id, account_id, wanted, can, now, by=service.by, excluded=without
        ),
    )
    said = {"locations": wanted, "excluded": list(without)}
    return {"account_id": account_id, **said, "waits": done.guard_no, "alarm": done.alarm}


async def run_announce(service: Service, payload: dict[str, Any]) -> Any:
    """Announce a sale; if it begins now, its SKUs are planned again at once."""

    def step(tx: Tx, now: int) -> int:
        sale_no = announced.announce(
            tx,
            service.tenant_id,
            payload["name"],
            payload["skus"],
            int(payload["starts_at"]),
            int(payload["ends_at"]),
            float(payload["factor"]),
            now,
            by=service.by,
        )
        _plan_again(service, tx, payload["skus"], now)
        return sale_no

    return {"sale": await _do(service, step)}


async def run_call_off(service: Service, payload: dict[str, Any]) -> Any:
    """Call an announced sale off."""
    sale_no = int(payload["sale"])

    def step(tx: Tx, now: int) -> bool:
        skus = announced.call_off(tx, service.tenant_id, sale_no, now, by=service.by)
        _plan_again(service, tx, skus or [], now)
        return skus is not None

    if not await _do(service, step):
        raise NotThere(f"There is no announced sale {sale_no} any more.")
    return {"sale": sale_no}


def _plan_again(service: Service, tx: Tx, skus: list[str], now: int) -> None:
    plan_again(tx, service.tenant_id, {one.account_id: one.can for one in service.heard()}, skus, now)
