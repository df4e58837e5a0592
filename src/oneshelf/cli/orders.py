"""Orders: what was bought, short lines that wait for a word, parcels told to their marketplaces."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.table import Table

from oneshelf.core.instants import to_us
from oneshelf.runtime.clock import SystemClock
from oneshelf.tenants.accounts import FIRST_TENANT, accounts

from .base import Json, app, ask_service, out, print_json, reader, settings_of

group = typer.Typer()
app.add_typer(group, name="orders")


@group.callback(invoke_without_command=True)
def orders(
    context: typer.Context,
    channel: Annotated[str | None, typer.Option(help="Only this channel.")] = None,
    state: Annotated[
        str | None, typer.Option(help="Only this state: PENDING, OPEN, SHIPPED, CANCELLED, PARTIAL, UNLINKED …")
    ] = None,
    short: Annotated[bool, typer.Option("--short", help="Only orders that nothing on hand stands behind.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 50,
    as_json: Json = False,
) -> None:
    """What was bought, newest first, and where it stands in Shopify."""
    if context.invoked_subcommand is not None:
        return
    from oneshelf.watch.listing import order_rows

    with reader(settings_of()) as tx:
        rows = order_rows(tx, FIRST_TENANT, channel=channel, state=state, short=short, limit=limit)
    if as_json:
        print_json(rows)
        return
    table = Table()
    for name in ("placed", "channel", "order", "state", "in Shopify", "lines"):
        table.add_column(name)
    for row in rows:
        lines = ", ".join(
            f"{line.pieces} × {line.sku or 'not linked'}{' SHORT' if line.coverage == 'SHORT' else ''}"
            for line in row.lines
        )
        table.add_row(row.placed_at, row.channel, row.order_id, row.state, row.hub_order_id or "–", lines)
    out.print(table)


@group.command("short")
def orders_short(as_json: Json = False) -> None:
    """The lines that are short, oldest first, what was decided about them, and what a cancel would do to your rate there."""
    from oneshelf.channels.abilities import Cancels
    from oneshelf.watch.short_lines import short_lines
    from oneshelf.wiring import build_channel

    with reader(settings_of()) as tx:
        connected = {row.account_id: build_channel(row.channel, row.settings) for row in accounts(tx, FIRST_TENANT)}
        abilities = {number: channel.cancels for number, channel in connected.items() if isinstance(channel, Cancels)}
        found = msgspec.to_builtins(short_lines(tx, FIRST_TENANT, abilities, to_us(SystemClock().now())))
    if as_json:
        print_json(found)
        return
    names = ("account", "order_id", "line_id", "sku", "pieces", "state", "short_since", "decision")
    table = Table("account", "order", "line", "SKU", "pieces", "state", "short since", "decided")
    for one in found:
        table.add_row(*(str(one[name]) for name in names))
    out.print(table if found else "No line is short.")
    for account, cost in sorted({(one["account"], one["cost"]) for one in found if one["cost"]}):
        out.print(f"{account}. {cost}", highlight=False)


@group.command("decide")
def orders_decide(
    order: Annotated[str, typer.Argument(help="The order's id or number as its channel shows it.")],
    line: Annotated[str, typer.Argument(help="Its line (`oneshelf orders short` lists them).")],
    word: Annotated[str, typer.Argument(help="wait, backorder or cancel.")],
    as_json: Json = False,
) -> None:
    """Say what happens to a short line: let it wait a day, keep it as a backorder, or cancel it at its channel."""
    done = ask_service("decide", {"order": order, "line": line, "word": word})
    print_json(done) if as_json else out.print(done["said"], highlight=False)


@group.command("answer")
def orders_answer(
    order: Annotated[str, typer.Argument(help="The order's id or number as its channel shows it.")],
    word: Annotated[
        str, typer.Argument(help="new: take and import it as any order. off-count: its pieces left already.")
    ],
    account: Annotated[int, typer.Option(help="Whose order, where several accounts have one of this name.")] = 0,
    as_json: Json = False,
) -> None:
    """Say what an order is that was placed before its account went live. Until then its pieces are reserved and it is not imported."""
    done = ask_service("answer", {"order": order, "word": word, "account_id": account})
    text = (
        "It is imported as any order." if word == "new" else "It takes nothing; what was reserved for it is free again."
    )
    print_json(done) if as_json else out.print(text)


@group.command("pin")
def orders_pin(
    order: Annotated[str, typer.Argument(help="The order's id or number as its channel shows it.")],
    line: Annotated[str, typer.Argument(help="Its line; may be left out if it has one.")] = "",
    give_up: Annotated[bool, typer.Option("--give-up", help="The other way: it gets pieces after all others.")] = False,
    as_json: Json = False,
) -> None:
    """Give a line its pieces before all that are not pinned. What is released or shipped keeps its own."""
    done = ask_service("pin", {"order": order, "line": line, "word": -1 if give_up else 1})
    print_json(done) if as_json else out.print(done["said"], highlight=False)


@group.command("unpin")
def orders_unpin(
    order: Annotated[str, typer.Argument(help="The order's id or number as its channel shows it.")],
    line: Annotated[str, typer.Argument(help="Its line; may be left out if it has one.")] = "",
    as_json: Json = False,
) -> None:
    """Take a pin, or a giving up, back: the time of purchase decides again."""
    done = ask_service("pin", {"order": order, "line": line, "word": 0})
    print_json(done) if as_json else out.print(done["said"], highlight=False)


@group.command("leave")
def orders_leave(
    account: Annotated[int, typer.Argument(help="The account's number (`oneshelf channels list`).")],
    short: Annotated[str | None, typer.Option(help="Short lines after their grace: ask [default] or auto.")] = None,
    removed: Annotated[
        str | None,
        typer.Option(help="What you take off a hub copy, cancelled at its marketplace: ask [default] or auto."),
    ] = None,
    value_max: Annotated[
        int | None, typer.Option(help="Auto cancels no order worth more, in cents (its currency's smallest unit).")
    ] = None,
    whole_orders: Annotated[
        str | None,
        typer.Option(help="A marketplace of whole orders hears of the first parcel [first], or of the last [all]."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what an account leaves to Oneshelf. Nothing is cancelled by itself unless you say so here."""
    asked = {"short": short, "removed": removed, "value_max_minor": value_max, "whole_orders": whole_orders}
    done = ask_service("leave", {"account_id": account, **asked})
    print_json(done) if as_json else out.print("Kept." if len(done) > 1 else "Nothing was named; nothing changed.")


@group.command("parcels")
def orders_parcels(
    every: Annotated[bool, typer.Option("--all", help="Confirmed ones too.")] = False, as_json: Json = False
) -> None:
    """Parcels that their marketplace has not confirmed yet, and why."""
    from oneshelf.watch.listing import parcels

    with reader(settings_of()) as tx:
        found = parcels(tx, FIRST_TENANT, every=every)
    if as_json:
        print_json(found)
        return
    table = Table("account", "order", "parcel", "line", "units", "state", "number", "left", "why")
    for one in found:
        whose = (one.account, one.order_id, one.parcel, one.line_id, str(one.units))
        table.add_row(*whose, one.state, one.tracking_number, one.shipped_at, one.reason)
    out.print(table if found else "Every parcel is told.")


@group.command("proof")
def orders_proof(
    days: Annotated[int, typer.Option(help="Today and so many days less one before it (UTC).", min=1, max=90)] = 1,
    account: Annotated[int | None, typer.Option(help="Only this account (its number).")] = None,
    as_json: Json = False,
) -> None:
    """That no order is lost: per channel and day, what it lists = imported + waiting + ignored, with reasons. Exit 1 if not proved."""
    done = ask_service("proof", {"days": days, "account_id": account})
    if as_json:
        print_json(done)
        raise typer.Exit(0 if done["proved"] else 1)
    table = Table("day", "channel", "listed there", "imported", "waiting", "ignored", "lost")
    for row in done["days"]:
        waiting = ", ".join(f"{n} {why}" for why, n in row["waiting"].items())
        ignored = ", ".join(f"{n} {why}" for why, n in row["ignored"].items())
        lost = ", ".join(row["lost"] + [f"{one} (unexplained)" for one in row["unexplained"]])
        table.add_row(
            row["day"],
            row["channel"],
            str(row["there"]),
            str(row["imported"]),
            waiting or "0",
            ignored or "0",
            lost or "0",
        )
    out.print(table)
    for name, why in done["unread"].items():
        out.print(f"Account {name} was not read: {why}", highlight=False)
    young = sum(row["too_young"] for row in done["days"])
    if young:
        out.print(f"{young} orders of the last moments are not judged yet.")
    out.print(
        "No order is lost."
        if done["proved"]
        else "NOT proved: look at the orders named above, or the accounts not read."
    )
    raise typer.Exit(0 if done["proved"] else 1)
