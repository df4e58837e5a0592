"""Prices: which accounts follow the shop, what that would change, and why a listing asks what it asks."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from oneshelf.core.instants import to_us
from oneshelf.core.money import in_words
from oneshelf.runtime.clock import SystemClock
from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, ask_service, err, out, print_json, reader, settings_of

group = typer.Typer(no_args_is_help=True, help="Prices at the marketplaces: followed from the shop, or left alone.")
app.add_typer(group, name="prices")

Account = Annotated[int, typer.Argument(help="The account's number, from `oneshelf channels list`.")]


@group.command("list")
def prices_list(as_json: Json = False) -> None:
    """Which accounts follow the shop's prices, and how far their listings are."""
    from oneshelf.watch.prices import by_account

    with reader(settings_of()) as tx:
        found = by_account(tx, FIRST_TENANT)
    if as_json:
        print_json(found)
        return
    for one in found:
        word = "follows the shop" if one.follows else "left alone"
        out.print(
            f"{one.account} {one.channel} {one.label}: {word}; {one.right} right, {one.on_the_way} on their way, {one.parked} parked",
            highlight=False,
        )
        for reason, listings in sorted(one.reasons.items(), key=lambda pair: -pair[1])[:20]:
            out.print(f"   {listings} × {reason}", highlight=False)


@group.command("follow")
def prices_follow(
    account: Account,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it, only look.")] = False,
    far: Annotated[
        bool, typer.Option("--far", help="Yes, some listings shall change by more than the account's band.")
    ] = False,
    limit: Annotated[int, typer.Option(help="How many listings to name.", min=0, max=100_000)] = 50,
    as_json: Json = False,
) -> None:
    """What would change if this account's listings asked the shop's prices; with --yes let them from now on."""
    done = ask_service("prices_follow", {"account_id": account, "yes": yes, "far": far})
    if as_json:
        print_json(done)
        return
    table = Table()
    for name in ("listing", "there", "title", "asks", "would ask", ""):
        table.add_column(name)
    changing = [row for row in done["rows"] if row["asks"] != row["would_ask"]]
    for row in changing[:limit]:
        asks, would = (in_words(row[name], row["currency"]) for name in ("asks", "would_ask"))
        note = row["why"] or ("is reduced now; that stays" if row["reduced"] else "")
        table.add_row(str(row["listing"]), row["external_id"], row["title"], asks, would, note)
    if changing[:limit]:
        out.print(table)
    verb = "will" if done["follows"] else "would"
    out.print(
        f"Of {done['linked']} listings {done['rise']} {verb} ask more, {done['fall']} less ({done['far']} change by more than {done['band']} %), "
        f"{done['right']} the same; {done['none']} have no price to follow, {done['unread']} could not be read.",
        highlight=False,
    )
    if not done["follows"]:
        out.print(f"Nothing was changed. Do it: oneshelf prices follow {account} --yes")


@group.command("off")
def prices_off(account: Account, as_json: Json = False) -> None:
    """Leave this account's prices alone from now on. Its listings keep what they ask."""
    done = ask_service("prices_off", {"account_id": account})
    print_json(done) if as_json else out.print("Its prices are left alone from now on.")


@group.command("show")
def prices_show(sku: Annotated[str, typer.Argument(help="The SKU.")], as_json: Json = False) -> None:
    """Why each listing of a SKU asks what it asks: the terms, what was last seen, every try."""
    from oneshelf.watch.prices import show

    with reader(settings_of()) as tx:
        known = tx.one(
            "SELECT price_minor, currency FROM item WHERE tenant_id = :t AND sku = :s", t=FIRST_TENANT, s=sku
        )
        found = show(tx, FIRST_TENANT, sku, to_us(SystemClock().now()))
    if known is None:
        err.print(f"There is no SKU {sku} on the shelf.")
        raise typer.Exit(2)
    if as_json:
        print_json({"sku": sku, "hub_price": known[0], "currency": known[1], "listings": found})
        return
    out.print(f"{sku}: the shop asks {in_words(known[0], known[1] or '')}", highlight=False, soft_wrap=True)
    for one in found:
        asks, should = in_words(one.asks, one.currency), in_words(one.should, one.currency)
        line = f"{one.channel} {one.external_id} (listing {one.listing}): should ask {should}, asks {asks}"
        out.print(f"{line}; {one.state}{f': {one.note}' if one.note else ''}", highlight=False, soft_wrap=True)
        parts = " + ".join(
            f"{p['units']} × {p['sku']} at {in_words(p['hub_price'], one.currency)}" for p in one.why.get("parts", ())
        )
        if parts:
            out.print(f"   {one.why['policy']}: {parts}", highlight=False, soft_wrap=True)
        for step in one.why.get("steps", ()):
            of_rule = f" (rule {step['rule']})" if "rule" in step else ""
            line = f"     {step['step']} → {step['gives']} {step['currency']}{of_rule}"
            out.print(line, highlight=False, soft_wrap=True)
        for told in one.attempts:
            told_line = f"   {told.started_at} told {in_words(told.price, one.currency)}: {told.outcome.lower()}"
            out.print(told_line + (f" ({told.reason})" if told.reason else ""), highlight=False, soft_wrap=True)


@group.command("retry")
def prices_retry(
    listing: Annotated[int, typer.Argument(help="The listing's number, from `oneshelf prices show SKU`.")],
    as_json: Json = False,
) -> None:
    """Try a parked price again: it is read first."""
    done = ask_service("prices_retry", {"outlet_id": listing})
    print_json(done) if as_json else out.print("It is tried again.")
