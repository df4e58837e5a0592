"""Pieces that you hold back by hand for a while."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.table import Table

from oneshelf.core.instants import iso
from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, ask_service, instant, out, print_json, reader, settings_of

group = typer.Typer(no_args_is_help=True, help="Pieces that you hold back from sale by hand for a while.")
app.add_typer(group, name="holds")


@group.command("list")
def holds_list(
    every: Annotated[bool, typer.Option("--all", help="Ended ones too.")] = False, as_json: Json = False
) -> None:
    """What is held by hand, and until when."""
    from oneshelf.orders.manual_holds import list_holds

    with reader(settings_of()) as tx:
        holds = list_holds(tx, FIRST_TENANT, every=every)
    found = [
        {
            **msgspec.to_builtins(one),
            "since_at": iso(one.since_at),
            "until_at": iso(one.until_at),
            "ended_at": iso(one.ended_at),
        }
        for one in holds
    ]
    if as_json:
        print_json(found)
        return
    table = Table("no", "SKU", "location", "pieces", "until", "state", "by", "why")
    for one in found:
        table.add_row(
            *(
                str(one[name])
                for name in ("hold_no", "sku", "location_id", "pieces", "until_at", "state", "actor", "why")
            )
        )
    out.print(table if found else "Nothing is held by hand.")


@group.command("set")
def holds_set(
    sku: Annotated[str, typer.Argument(help="The SKU.")],
    pieces: Annotated[int, typer.Argument(help="So many pieces.", min=1)],
    until: Annotated[str, typer.Option(help="Until when: 2026-11-30T18:00 (UTC, or with an offset).")],
    why: Annotated[str, typer.Option(help="For whom or for what; no names of people.")] = "",
    location: Annotated[str, typer.Option(help="At which location; without it, where most are available.")] = "",
    as_json: Json = False,
) -> None:
    """Hold pieces back from every channel until a moment. A sale goes before: what it needs is given back."""
    wanted = {"sku": sku, "pieces": pieces, "until_at": instant(until), "why": why, "location": location}
    done = ask_service("hold", wanted)
    print_json(done) if as_json else out.print(
        f"Held: {pieces} × {sku} until {iso(done['until_at'])}. Give it back: oneshelf holds release {done['hold_no']}"
    )


@group.command("release")
def holds_release(
    hold_no: Annotated[int, typer.Argument(help="Its number, from `oneshelf holds list`.")], as_json: Json = False
) -> None:
    """Give held pieces back before their time."""
    done = ask_service("release_hold", {"hold_no": hold_no})
    print_json(done) if as_json else out.print(f"Given back: {done['pieces']} × {done['sku']}.")
