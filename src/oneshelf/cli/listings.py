"""Listings and what they sell: what is not linked, with suggestions; link, unlink, by hand or by spreadsheet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from oneshelf.listings import mapping
from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, ask_service, out, print_json, reader, settings_of, text_of
from .channels import channels_link

group = typer.Typer(no_args_is_help=True, help="Listings and what one unit of each takes from the shelf.")
app.add_typer(group, name="listings")
group.command("link")(channels_link)

#: Rows of a preview; --json has all.
SHOWN_MAX = 200

Account = Annotated[int, typer.Option("--account", help="Only this account's listings (its number); 0: all.")]


@group.command("list")
def listings_list(
    account: Account = 0,
    everything: Annotated[bool, typer.Option("--all", help="The linked ones too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000)] = 200,
    as_json: Json = False,
) -> None:
    """What is not linked and why, what it sold meanwhile, and the SKUs that it may be. Nothing here links by itself."""
    with reader(settings_of()) as tx:
        found = mapping.rows(tx, FIRST_TENANT, account_id=account, unlinked=not everything, suggest=True, limit=limit)
    if as_json:
        print_json(found)
        return
    table = Table()
    for name in (
        "listing",
        "channel",
        "SKU there",
        "title",
        "state",
        "sells" if everything else "why not",
        "sold so far",
        "it may be",
    ):
        table.add_column(name)
    for row in found:
        may_be = "\n".join(f"{s.sku}={s.units} ({s.score:.2f}: {s.reason})" for s in row.suggestions)
        sells = ", ".join(f"{units} × {sku}" for sku, units in row.parts.items()) or row.problem
        table.add_row(
            str(row.listing), row.channel, row.sku_text, row.title, row.state, sells, str(row.sold or "–"), may_be
        )
    out.print(table)


@group.command("unlink")
def listings_unlink(
    outlet_id: Annotated[int, typer.Argument(help="The listing's number, from `oneshelf listings list`.")],
    as_json: Json = False,
) -> None:
    """Take a listing's link away: it is told nothing any more and keeps the number it shows; its new orders wait for a link."""
    done = ask_service("unlink", {"outlet_id": outlet_id})
    print_json(done) if as_json else out.print("Unlinked. It keeps the number that it shows; nobody corrects it now.")


@group.command("retry")
def listings_retry(
    listing: Annotated[int, typer.Argument(help="The listing's number, from its task or `oneshelf explain`.")],
    as_json: Json = False,
) -> None:
    """Try the number of a parked listing again: it is read first."""
    done = ask_service("listing_retry", {"outlet_id": listing})
    print_json(done) if as_json else out.print("It is tried again.")


@group.command("migrate")
def listings_migrate(
    account_id: Annotated[int, typer.Argument(help="The account's number, from `oneshelf channels list`.")],
    listing: Annotated[
        list[str] | None, typer.Argument(help="The channel's numbers of the listings; none: all that can be.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Bring them over, for good; without it, only look.")] = False,
    as_json: Json = False,
) -> None:
    """Listings made at the channel itself or by another program, out of our reach: which they are; with --yes, bring them over.

    There is no way back. Each listing has its own outcome; exit 1 if one was not brought over.
    """
    done = ask_service("migrate", {"account_id": account_id, "listings": listing or [], "yes": yes})
    if as_json:
        print_json(done)
    else:
        _say_migration(account_id, listing or [], done, yes)
    raise typer.Exit(1 if any(one["outcome"] != "accepted" for one in done["outcomes"]) else 0)


def _say_migration(account_id: int, named: list[str], done: dict[str, Any], yes: bool) -> None:
    if not done["total"]:
        out.print(f"As of {done['read_at']} no listing is out of reach.", highlight=False)
        return
    if not yes:
        table = Table()
        for name in ("listing", "SKUs there", "what stands against it"):
            table.add_column(name)
        for one in done["listings"][:SHOWN_MAX]:
            skus = one.get("skus", [])
            shown = ", ".join(skus[:5]) + (f" and {len(skus) - 5} more" if len(skus) > 5 else "")
            table.add_row(one["listing_id"], shown, one.get("problem", ""))
        out.print(table)
        out.print(f"{done['total']} listings are out of reach, as of {done['read_at']}.", highlight=False)
        out.print(done["what"], highlight=False)
        if done["wanted"]:
            these = " ".join(["", *named])
            out.print(
                f"Bring {len(done['wanted'])} over, for good: oneshelf listings migrate {account_id}{these} --yes",
                highlight=False,
            )
        return
    for one in done["outcomes"]:
        if one["outcome"] != "accepted":
            out.print(f"{one['listing_id']}: {one['outcome']}: {one.get('reason', '')}", highlight=False)
    brought = sum(one["outcome"] == "accepted" for one in done["outcomes"])
    out.print(f"{brought} of {len(done['wanted'])} brought over.", highlight=False)
    if len(done["outcomes"]) < len(done["wanted"]):
        out.print("It stopped there; ask for the rest later by the same command.")
    if brought:
        out.print("The catalogue is being read again; they are linked by SKU and told their numbers then.")


@group.command("export")
def listings_export(
    file: Annotated[Path, typer.Argument(help="The CSV file to write.")],
    account: Account = 0,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Fill in the best suggestion where nothing is linked.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write all listings and what they sell as CSV. Change its column `parts`, then import it."""
    with reader(settings_of()) as tx:
        found = mapping.rows(tx, FIRST_TENANT, account_id=account, suggest=suggest, limit=10_000_000)
    file.write_text(mapping.to_csv(found), encoding="utf-8", newline="")
    done = {"file": str(file), "listings": len(found)}
    print_json(done) if as_json else out.print(f"{len(found)} listings in {file}.")


@group.command("import")
def listings_import(
    file: Annotated[Path, typer.Argument(help="CSV with the columns listing and parts.", exists=True)],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it, only look.")] = False,
    as_json: Json = False,
) -> None:
    """Say what a file would link; with --yes link it. A row that is wrong stops nothing else; exit 1 if there is one."""
    done = ask_service("import_links", {"text": text_of(file), "yes": yes})
    if as_json:
        print_json(done)
    else:
        for number, problem in done["problems"][:50]:
            out.print(f"row {number}: {problem}", highlight=False)
        verb = "linked" if done["done"] else "would be linked"
        out.print(
            f"{done['links']} listings {verb}, {done['unlinks']} unlinked, {done['same']} stay; {len(done['problems'])} rows wrong."
        )
        if not yes and done["links"] + done["unlinks"]:
            out.print(f"Do it: oneshelf listings import {file} --yes")
        if done["change"] is not None:
            out.print(f"Take it back: oneshelf listings undo {done['change']}")
        if done["waits"]:
            out.print(
                f"Nothing is linked yet: {done['alarm']}. Do it all the same: oneshelf guard approve {done['waits']}"
            )
    raise typer.Exit(1 if done["problems"] or done["waits"] else 0)


@group.command("undo")
def listings_undo(
    change: Annotated[int, typer.Argument(help="The change's number, as the import said it.")], as_json: Json = False
) -> None:
    """Take an import back: its listings are tied to what they were tied to before. Within 30 days, once."""
    done = ask_service("undo_links", {"change": change})
    print_json(done) if as_json else out.print(f"{done['listings']} listings are linked as they were before.")
