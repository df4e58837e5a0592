"""Channel accounts: connect, look, go live."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from oneshelf.core.instants import iso
from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, ask_service, err, out, print_json, reader, settings_of

group = typer.Typer(no_args_is_help=True, help="Channel accounts: connect, look, go live.")
app.add_typer(group, name="channels")


@group.command("list")
def channels_list(as_json: Json = False) -> None:
    """The connected accounts and how well they are heard."""
    with reader(settings_of()) as tx:
        rows = tx.all(
            "SELECT a.account_id, a.channel, a.external_id, a.label, a.state, f.complete_through_at, f.problem FROM account a "
            "LEFT JOIN feed f ON f.tenant_id = a.tenant_id AND f.account_id = a.account_id AND f.name = 'orders' "
            "WHERE a.tenant_id = :t ORDER BY a.account_id",
            t=FIRST_TENANT,
        )
    names = ("account_id", "channel", "external_id", "label", "state", "complete_through", "problem")
    found = [dict(zip(names, (*row[:5], iso(row[5]), row[6] or ""), strict=True)) for row in rows]
    if as_json:
        print_json(found)
        return
    table = Table()
    for name in names:
        table.add_column(name.replace("_", " "))
    for one in found:
        table.add_row(*(str(one[name] if one[name] is not None else "–") for name in names))
    out.print(table)


@group.command("connect")
def channels_connect(
    file: Annotated[
        Path,
        typer.Argument(
            help="JSON: {channel, settings, secret, app}; docs/how-to/connect-a-channel.md says what.", exists=True
        ),
    ],
    live: Annotated[
        bool, typer.Option(help="Go live at once if the preview sets at most 20 % of listings to 0.")
    ] = False,
    zeros: Annotated[bool, typer.Option(help="Go live even if more go to 0.")] = False,
    as_json: Json = False,
) -> None:
    """Connect an account: read its catalogue, tie listings by SKU, show what going live would change."""
    try:
        account = json.loads(file.read_text())
    except ValueError as error:
        err.print(f"{file} is not JSON: {error}")
        raise typer.Exit(2) from None
    done = ask_service("connect", {"account": account, "live": live, "zeros": zeros})
    if as_json:
        print_json(done)
        return
    for line in done["said"]:
        out.print(line)
    if not done["live"]:
        out.print(f"Look at the preview and go live: oneshelf channels live {done['account_id']} --yes")


@group.command("live")
def channels_live(
    account_id: Annotated[int, typer.Argument(help="The account's number, from `oneshelf channels list`.")],
    yes: Annotated[bool, typer.Option("--yes", help="Accept the preview.")] = False,
    zeros: Annotated[bool, typer.Option("--zeros", help="Accept that more than 20 % of the listings go to 0.")] = False,
    as_json: Json = False,
) -> None:
    """Show what going live would change; with --yes, go live."""
    shown = ask_service("live", {"account_id": account_id, "yes": yes, "zeros": zeros})
    if as_json:
        print_json(shown)
        return
    out.print(
        f"{shown['linked']} listings linked: {shown['right']} right, {shown['lower']} lower, {shown['to_zero']} to 0, {shown['higher']} higher; {shown['unlinked']} not linked."
    )
    out.print("Live." if shown["live"] else f"Go live: oneshelf channels live {account_id} --yes")


@group.command("link")
def channels_link(
    outlet_id: Annotated[int, typer.Argument(help="The listing's number, from its task or `oneshelf explain`.")],
    parts: Annotated[
        list[str], typer.Argument(help="What one unit takes from the shelf: SKU or SKU=pieces, several for a bundle.")
    ],
    as_json: Json = False,
) -> None:
    """Tie a listing to what one unit of it takes from the shelf; orders that waited for it are booked."""
    tied: dict[str, int] = {}
    for part in parts:
        sku, _, pieces = part.rpartition("=") if "=" in part else (part, "", "1")
        if not pieces.isdigit() or int(pieces) < 1:
            err.print(f"{part!r}: write SKU=pieces with at least 1 piece.")
            raise typer.Exit(2)
        tied[sku] = int(pieces)
    done = ask_service("link", {"outlet_id": outlet_id, "parts": tied})
    print_json(done) if as_json else out.print(f"Linked. {done['orders_booked']} waiting orders were booked.")
