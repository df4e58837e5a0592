"""Commands that change something or ask a channel: one function each, the same for the running service and for a file at rest.

In: a service and a payload of plain values. Out: plain values for JSON. Raises OneshelfError with words for the person who asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from oneshelf.channels.session import Priority
from oneshelf.core.errors import Park
from oneshelf.core.ids import HUB
from oneshelf.core.instants import to_us
from oneshelf.customers import privacy
from oneshelf.db.tx import Tx
from oneshelf.imports import counts
from oneshelf.listings import links
from oneshelf.listings.policy import EVERY_ACCOUNT, EVERY_SKU, drop_rule, set_rule
from oneshelf.onboarding import marketplace
from oneshelf.onboarding.bring_up import bring_up
from oneshelf.onboarding.connect import Entered
from oneshelf.tenants.accounts import accounts, change_setting
from oneshelf.watch.check import Checked, check
from oneshelf.wiring import Service, build_channel

from . import order_commands

Command = Callable[[Service, dict[str, Any]], Awaitable[Any]]


class NotPossible(Park):
    """The command can't be carried out as it was given."""


async def run_check(service: Service, payload: dict[str, Any]) -> Any:
    """Audit the books against the channels."""
    checked = [
        Checked(one.account_id, one.channel, one.session.with_priority(Priority.VERIFY), one.row.connected_at)
        for one in service.running.values()
    ]
    return msgspec.to_builtins(await check(service.tenant_id, checked, service.writer, service.clock))


async def run_count(service: Service, payload: dict[str, Any]) -> Any:
    """Take up a count of one SKU at one location."""

    def step(tx: Tx) -> int:
        location = payload.get("location") or _only_location(tx, service.tenant_id)
        now = to_us(service.clock.now())
        return counts.enter(
            tx, service.tenant_id, payload["sku"], location, int(payload["quantity"]), now, by="merchant"
        )

    number = await service.writer.do(step)
    service.hub_bell.ring()
    return {"count": number, "sku": payload["sku"], "quantity": int(payload["quantity"])}


def _only_location(tx: Tx, tenant_id: int) -> str:
    rows = tx.all("SELECT location_id, name FROM location WHERE tenant_id = :t AND in_scope = 1", t=tenant_id)
    if len(rows) != 1:
        names = ", ".join(f"{location_id} ({name})" for location_id, name in rows)
        raise NotPossible(
            f"Say where it was counted: --location with one of {names or 'none: connect the shop first'}."
        )
    return str(rows[0][0])


async def run_connect(service: Service, payload: dict[str, Any]) -> Any:
    """Connect an account; it goes live only with `live` (and `zeros` where many listings would go to 0)."""
    said: list[str] = []
    entered = msgspec.convert({"settings": {}, "secret": {}, "app": {}, **payload["account"]}, Entered)
    public = service.settings.public_url
    callback = f"{public}/webhooks/{entered.channel}" if public and entered.channel != "amazon" else None

    async def accept(preview: marketplace.Preview) -> bool:
        return bool(payload.get("live")) and (bool(payload.get("zeros")) or not preview.needs_second_yes)

    try:
        done = await bring_up(
            service, entered, build=build_channel, callback_url=callback, say=said.append, accept=accept
        )
    except ValueError as error:
        raise NotPossible(f"{error}. Correct it and connect again.") from error
    return {**msgspec.to_builtins(done), "said": said}


async def run_live(service: Service, payload: dict[str, Any]) -> Any:
    """Accept an account's preview: from now on numbers leave."""
    one = service.running.get(int(payload["account_id"]))
    if one is None:
        raise NotPossible(
            f"Account {payload['account_id']} is not connected. `oneshelf channels list` shows the accounts."
        )

    if one.channel.name is HUB:
        raise NotPossible("The shop goes live when it is connected; there is nothing to accept.")

    def step(tx: Tx) -> marketplace.Preview:
        shown = marketplace.preview(tx, service.tenant_id, one.account_id, one.channel.can)
        if payload.get("yes"):
            now = to_us(service.clock.now())
            marketplace.go_live(
                tx,
                service.tenant_id,
                one.account_id,
                shown,
                now,
                accepted=True,
                accepted_zeros=bool(payload.get("zeros")),
            )
        return shown

    shown = await service.writer.do(step)
    one.bell.ring()
    return {**msgspec.to_builtins(shown), "live": bool(payload.get("yes"))}


async def run_link(service: Service, payload: dict[str, Any]) -> Any:
    """Tie a listing to what one unit of it takes from the shelf; orders that waited for it are booked."""
    from oneshelf.orders.relink import relink

    def step(tx: Tx) -> int:
        now = to_us(service.clock.now())
        known = {
            sku
            for (sku,) in tx.all(
                "SELECT sku FROM item WHERE tenant_id = :t AND sku {in:skus}",
                t=service.tenant_id,
                skus=list(payload["parts"]),
            )
        }
        missing = sorted(set(payload["parts"]) - known)
        if missing:
            raise NotPossible(f"The shop has no SKU {', '.join(missing)}.")
        links.link(tx, service.tenant_id, int(payload["outlet_id"]), payload["parts"], now, by="merchant")
        return relink(tx, service.tenant_id, int(payload["outlet_id"]), now)

    booked = await service.writer.do(step)
    service.wake_all()
    return {"outlet_id": int(payload["outlet_id"]), "orders_booked": booked}


async def run_rate(service: Service, payload: dict[str, Any]) -> Any:
    """Enter an exchange rate: shop currency per one unit of another, with where it is from (S14.5)."""
    currency, rate, source = payload["currency"].upper(), payload["rate"], payload["source"]
    try:
        right = float(rate) > 0
    except ValueError:
        right = False
    if len(currency) != 3 or not right or not source:
        raise NotPossible(
            "Give a currency code, a rate above 0 and its source: oneshelf rates set EUR 1.0855 --source 'ECB 2026-11-20'."
        )

    def step(tx: Tx) -> int:
        hub = next((row for row in accounts(tx, service.tenant_id) if row.channel == "shopify"), None)
        if hub is None:
            raise NotPossible("Connect the shop first.")
        change_setting(tx, service.tenant_id, hub.account_id, f"rate_{currency}", f"{rate}|{source}")
        return tx.run(
            "UPDATE intent SET state = 'WAITING', due_at = :now WHERE tenant_id = :t AND kind = 'import' AND state = 'TASK'",
            t=service.tenant_id,
            now=to_us(service.clock.now()),
        )

    waiting = await service.writer.do(step)
    service.hub_bell.ring()
    return {"currency": currency, "rate": rate, "orders_tried_again": waiting}


async def run_rule(service: Service, payload: dict[str, Any]) -> Any:
    """Set (or with `drop` take back) what is held back at an account and for a SKU; 0 and "" mean all. The narrowest rule wins whole."""
    account_id, sku = int(payload.get("account_id") or EVERY_ACCOUNT), payload.get("sku") or EVERY_SKU
    if account_id and account_id not in service.running:
        raise NotPossible(f"Account {account_id} is not connected. `oneshelf channels list` shows the accounts.")
    now = to_us(service.clock.now())

    def step(tx: Tx) -> bool:
        if payload.get("drop"):
            return drop_rule(tx, service.tenant_id, account_id, sku, now, by="merchant")
        wanted = {
            name: payload[name]
            for name in ("safety_stock", "safety_percent", "cap", "min_show")
            if payload.get(name) is not None
        }
        set_rule(tx, service.tenant_id, account_id, sku, now, by="merchant", **wanted)
        return True

    try:
        done = await service.writer.do(step)
    except ValueError as error:
        raise NotPossible(f"The rule can't be kept: {error}.") from error
    if not done:
        raise NotPossible("There is no such rule.")
    service.wake_all()
    return {"account_id": account_id, "sku": sku, "dropped": bool(payload.get("drop"))}


async def run_privacy_export(service: Service, payload: dict[str, Any]) -> Any:
    """Give what is kept of the person of an export request; with `done` the request is over."""
    number = int(payload["request"])

    def step(tx: Tx) -> Any:
        found = privacy.export(tx, service.tenant_id, number)
        if found is not None and payload.get("done"):
            privacy.exported(tx, service.tenant_id, number, to_us(service.clock.now()))
        return found

    found = await service.writer.do(step)
    if found is None:
        raise NotPossible(f"There is no open export request {number}: oneshelf privacy list.")
    return found


COMMANDS: dict[str, Command] = {
    "privacy_export": run_privacy_export,
    "check": run_check,
    "count": run_count,
    "connect": run_connect,
    "live": run_live,
    "link": run_link,
    "rate": run_rate,
    "rule": run_rule,
    "decide": order_commands.run_decide,
    "leave": order_commands.run_leave,
}
