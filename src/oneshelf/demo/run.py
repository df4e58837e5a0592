"""Runs a demo: shoppers buy for a while, then everything comes to rest, then it is counted."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.live import Live

from oneshelf.db.tx import Tx
from oneshelf.watch.rest import unrest

from . import pricing
from .stage import Stage, forget, set_stage
from .summary import Summary, summarize
from .view import render

#: After the shoppers stop, so long at most until everything is at rest.
REST_WITHIN_S = 60.0
#: Shoppers on all four channels together.
ORDERS_PER_S = 2.0

FAULTS = {
    "webhook_drop": 0.10,
    "webhook_double": 0.10,
    "webhook_reorder": 0.10,
    "error_500": 0.05,
    "timeout_after": 0.02,
}


async def run(
    *,
    seconds: float | None,
    seed: int,
    faults: bool,
    headless: bool,
    as_json: bool,
    port: int,
    orders_per_s: float = ORDERS_PER_S,
    folder: Path | None = None,
) -> Summary:
    """Play the demo. `seconds` None: until Ctrl-C. Raises Stop when it can't start."""
    console = Console(stderr=as_json, quiet=headless and as_json)
    console.print("Starting four marketplaces and a service…")
    stage = await set_stage(seed=seed, port=port, folder=folder)
    try:
        await stage.connect(console.print)
        await pricing.follow(stage)
        console.print(f"The shelf is live: {stage.url}")
        if faults:
            for name, chance in FAULTS.items():
                await stage.marketplaces.ask("POST", "/faults", {"name": name, "chance": chance, "channel": "*"})
            # Etsy's refresh tokens are single-use: when the answer to one is lost, the shop is lost to everybody until a person signs
            # in again. Tokens live a minute here instead of an hour, so that would happen in every run.
            lost = {
                "name": "timeout_after",
                "chance": FAULTS["timeout_after"],
                "channel": "etsy",
                "spare": "createToken",
            }
            await stage.marketplaces.ask("POST", "/faults", lost)
        changed: dict[str, int] = {}
        merchant = asyncio.ensure_future(pricing.change_now_and_then(stage, seed, changed))
        try:
            await _sell(stage, seconds, seed, orders_per_s, None if headless else console)
        finally:
            merchant.cancel()
        injected = await _calm(stage, faults)
        await _rest(stage)
        summary = await count(stage, changed)
        summary.faults = injected
        return summary
    finally:
        await stage.strike()
        if folder is None:
            forget(stage.service.settings.data_dir)


async def _sell(stage: Stage, seconds: float | None, seed: int, orders_per_s: float, console: Console | None) -> None:
    length = seconds if seconds is not None else 86_400
    await stage.marketplaces.ask(
        "POST", "/shoppers", {"mode": "steady", "orders_per_s": orders_per_s, "seconds": length, "seed": seed}
    )
    ends_at = asyncio.get_running_loop().time() + length
    if console is None:
        await asyncio.sleep(length)
    else:
        with Live(console=console, refresh_per_second=4) as live:
            try:
                while asyncio.get_running_loop().time() < ends_at and not stage.service.stopping.is_set():
                    live.update(await asyncio.to_thread(_picture, stage))
                    await asyncio.sleep(0.25)
            except (KeyboardInterrupt, asyncio.CancelledError):
                pass
    await stage.marketplaces.ask("DELETE", "/shoppers")


def _picture(stage: Stage) -> Any:
    with stage.service.store.reader() as tx:
        return render(tx, stage.service.tenant_id, stage.url)


async def _calm(stage: Stage, faults: bool) -> dict[str, int]:
    """Faults off: liveness is promised when the channels are healthy (I13). Returns what was injected."""
    if not faults:
        return {}
    injected = (await stage.marketplaces.ask("GET", "/faults")).get("injected", {})
    await stage.marketplaces.ask("DELETE", "/faults")
    return dict(injected)


async def _rest(stage: Stage) -> None:
    """Wait until nothing is under way, twice in a row, or REST_WITHIN_S have passed."""
    deadline = asyncio.get_running_loop().time() + REST_WITHIN_S
    calm = 0
    while asyncio.get_running_loop().time() < deadline and calm < 3:
        await asyncio.sleep(0.5)
        reasons = await stage.service.writer.do(lambda tx: unrest(tx, stage.service.tenant_id))
        calm = calm + 1 if not reasons and await _all_heard(stage) else 0


async def _all_heard(stage: Stage) -> bool:
    """Whether every sale that a marketplace accepted has been stored, and every one of them paid (or given up)."""
    sales = await stage.marketplaces.sales()
    row = await stage.service.writer.do(
        lambda tx: tx.one(
            "SELECT COUNT(*) FROM orders WHERE tenant_id = :t AND copy_key = ''", t=stage.service.tenant_id
        )
    )
    settled = all(sale.get("paid_at") or sale.get("cancelled_at") for sale in sales)
    return settled and row is not None and row[0] >= len(sales)


async def count(stage: Stage, changed: dict[str, int]) -> Summary:
    """Count it against the marketplaces' own books. `changed`: the prices that the merchant changed in the shop."""
    sales = await stage.marketplaces.sales()
    state = await stage.marketplaces.ask("GET", "/state")
    shown = {channel: _shown(state, channel) for channel in ("amazon", "ebay", "etsy")}
    orders = await stage.marketplaces.ask("GET", "/orders?channel=shopify")
    copies = [key for order in _listed(orders) if (key := order.get("source_identifier"))]

    asks = {channel: pricing.asked(state, channel) for channel in pricing.MARKETPLACES}

    def step(tx: Tx) -> Summary:
        return summarize(tx, stage.service.tenant_id, sales, shown, copies, changed, asks)

    return await stage.service.writer.do(step)


def _shown(state: dict[str, Any], channel: str) -> dict[str, int]:
    return dict(state["marketplaces"][channel]["stock"])


def _listed(answer: Any) -> list[dict[str, Any]]:
    return answer["orders"] if isinstance(answer, dict) else answer


def as_json(summary: Summary) -> str:
    """The summary on one line, as machines read it."""
    built = msgspec.to_builtins(summary)
    return json.dumps(built)


def tell(summary: Summary, out: Console) -> None:
    """The summary for people."""
    o, x = summary.orders, summary.oversold
    out.print(
        f"{o.placed} orders placed, {o.stored} stored; {o.due} due in Shopify, {o.imported} written there.",
        highlight=False,
    )
    out.print(
        f"Oversold: {x.window} before anybody could have known, {x.late} late, {x.race} by our own write, {x.hand} by hand.",
        highlight=False,
    )
    out.print(
        f"{summary.prices_changed} prices were changed in the shop, {sum(summary.price_writes.values())} told.",
        highlight=False,
    )
    out.print(
        "Every channel shows and asks what it should." if summary.converged else "Not at rest yet:", highlight=False
    )
    for line in [*summary.waiting_for, *summary.breaches]:
        out.print(f"  {line}", highlight=False)
