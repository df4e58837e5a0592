"""Bundles, kits and packs."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from oneshelf.listings.bundles import bundles
from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, ask_service, err, out, print_json, reader, settings_of

group = typer.Typer(no_args_is_help=True, help="Bundles, kits and packs: SKUs that are made of others.")
app.add_typer(group, name="bundles")

Sku = Annotated[str, typer.Argument(help="The bundle's SKU, as its listings have it.")]


def _words(parts: dict[str, int]) -> str:
    return " + ".join(f"{units} × {sku}" for sku, units in sorted(parts.items())) or "not linked"


@group.command("list")
def bundles_list(as_json: Json = False) -> None:
    """Every bundle: its parts, who defined it, its listings, how many can be made of what is there."""
    with reader(settings_of()) as tx:
        found = bundles(tx, FIRST_TENANT)
    if as_json:
        print_json(found)
        return
    table = Table("bundle", "parts", "defined by", "listings", "of them linked", "can be made")
    for one in found:
        table.add_row(one.sku, _words(one.parts), one.source, str(one.listings), str(one.linked), str(one.makes))
    out.print(table if found else "No bundle is defined. One: oneshelf bundles set SKU --part MUG=2 --part CUP=1")


@group.command("set")
def bundles_set(
    sku: Sku,
    part: Annotated[list[str], typer.Option("--part", help="SKU=pieces that one bundle takes; several for a kit.")],
    retake: Annotated[
        bool, typer.Option("--retake", help="Open orders that took other pieces take these, where they can.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it, only say what would change.")] = False,
    as_json: Json = False,
) -> None:
    """Define a bundle, or define it anew. Listings of its SKU are tied to its parts; orders that waited for that are booked."""
    parts: dict[str, int] = {}
    for one in part:
        name, _, pieces = one.rpartition("=") if "=" in one else (one, "", "1")
        if not name or not pieces.isascii() or not pieces.isdigit() or name in parts:
            err.print(f"{one!r}: write SKU=pieces, each SKU once.")
            raise typer.Exit(2)
        parts[name] = int(pieces)
    done = ask_service("bundle", {"sku": sku, "parts": parts, "retake": retake, "preview": not yes})
    if as_json:
        print_json({**done, "done": yes})
        return
    _say(done, retake)
    out.print("Kept. The numbers are on their way." if yes else "Nothing is changed yet. Do it: the same with --yes")


def _say(done: dict[str, Any], retake: bool) -> None:
    out.print(
        f"{done['sku']} is {_words(done['parts'])}. {done['makes']} can be made of what is there.", highlight=False
    )
    if done["listings"]:
        table = Table("listing", "channel", "title", "sells now", "will sell")
        for one in done["listings"]:
            table.add_row(
                str(one["listing"]), one["channel"], one["title"], _words(one["before"]), _words(one["after"])
            )
        out.print(table)
    if done["booked"]:
        out.print(f"Orders that waited for this link: {done['booked']}.")
    if done["open_orders"]:
        table = Table("open order", "line", "took", "would take", "")
        for one in done["open_orders"]:
            word = one["why_not"] or ("takes them anew" if one["taken_anew"] else "keeps what it took")
            table.add_row(one["order_id"], one["line_id"], _words(one["took"]), _words(one["would_take"]), word)
        out.print(table)
        if not retake and any(not one["why_not"] for one in done["open_orders"]):
            out.print("Let them take the new parts: add --retake")


@group.command("drop")
def bundles_drop(sku: Sku, as_json: Json = False) -> None:
    """Forget a bundle. Its listings go on selling its parts until they are linked to something else."""
    done = ask_service("drop_bundle", {"sku": sku})
    print_json(done) if as_json else out.print(
        f"Dropped. {done['listings']} listings stay tied to its parts; take that away: oneshelf listings unlink LISTING"
    )
