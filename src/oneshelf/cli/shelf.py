"""What is there, what was bought, and why a number is what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from oneshelf.core.instants import to_us
from oneshelf.runtime.clock import SystemClock
from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, ask_service, err, out, print_json, reader, settings_of, text_of


@app.command()
def stock(
    sku: Annotated[str | None, typer.Argument(help="One SKU; without it, all that begin with --prefix.")] = None,
    count: Annotated[int | None, typer.Option(help="Enter a count: so many pieces lie there.")] = None,
    location: Annotated[str | None, typer.Option(help="Where it was counted, by the location's id.")] = None,
    prefix: Annotated[str, typer.Option(help="Only SKUs that begin with this.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 200,
    as_json: Json = False,
) -> None:
    """What is there: on hand, committed, reserved, unavailable, available; or enter a count."""
    from oneshelf.watch.listing import stock_rows

    if count is not None:
        if sku is None:
            err.print("Say which SKU was counted: oneshelf stock SKU --count N.")
            raise typer.Exit(2)
        done = ask_service("count", {"sku": sku, "quantity": count, "location": location})
        print_json(done) if as_json else out.print(f"Taken up: {count} × {sku}. It counts when Shopify has taken it.")
        return
    with reader(settings_of()) as tx:
        rows = stock_rows(tx, FIRST_TENANT, sku=sku, prefix=prefix, limit=limit)
    if sku is not None and not rows:
        err.print(f"There is no SKU {sku} on the shelf.")
        raise typer.Exit(2)
    if as_json:
        print_json(rows)
        return
    table = Table()
    for name in ("SKU", "location", "on hand", "committed", "reserved", "unavailable", "available"):
        table.add_column(name, justify="left" if name in ("SKU", "location") else "right")
    for row in rows:
        table.add_row(
            row.sku,
            row.location,
            *(str(n) for n in (row.on_hand, row.committed, row.reserved, row.unavailable, row.available)),
        )
    out.print(table)


counts = typer.Typer(no_args_is_help=True, help="Counts by spreadsheet: a file to count with, taken up, taken back.")
app.add_typer(counts, name="counts")


@counts.command("export")
def counts_export(
    file: Annotated[Path, typer.Argument(help="The CSV file to write.")],
    prefix: Annotated[str, typer.Option(help="Only SKUs that begin with this.")] = "",
    as_json: Json = False,
) -> None:
    """Write a file to count with: every SKU and location, with what the ledger says. Fill in its column `quantity`, then import it."""
    from oneshelf.imports import count_sheet
    from oneshelf.watch.listing import stock_rows

    with reader(settings_of()) as tx:
        rows = stock_rows(tx, FIRST_TENANT, prefix=prefix, limit=10_000_000)
    found = [(row.sku, row.location_id, row.title, row.on_hand) for row in rows]
    file.write_text(count_sheet.to_csv(found), encoding="utf-8", newline="")
    done = {"file": str(file), "rows": len(found)}
    print_json(done) if as_json else out.print(f"{len(found)} rows in {file}.")


@counts.command("import")
def counts_import(
    file: Annotated[Path, typer.Argument(help="CSV with the columns sku, quantity and maybe location.", exists=True)],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it, only look.")] = False,
    as_json: Json = False,
) -> None:
    """Say what a file would count; with --yes take it up. A row that is wrong stops nothing else; exit 1 if there is one."""
    done = ask_service("import_counts", {"text": text_of(file), "yes": yes})
    if as_json:
        print_json(done)
    else:
        for number, problem in done["problems"][:50]:
            out.print(f"row {number}: {problem}", highlight=False)
        for one in [] if yes else done["counts"][:50]:
            out.print(f"{one['sku']}: {one['on_hand']} → {one['quantity']}", highlight=False)
        verb = "are taken up; they count when Shopify has taken them" if yes else "would be taken up"
        out.print(f"{len(done['counts'])} counts {verb}; {done['same']} stay; {len(done['problems'])} rows wrong.")
        if not yes and done["counts"]:
            out.print(f"Do it: oneshelf counts import {file} --yes")
        if done["change"] is not None:
            out.print(f"Take it back: oneshelf counts undo {done['change']}")
    raise typer.Exit(1 if done["problems"] else 0)


@counts.command("undo")
def counts_undo(
    change: Annotated[int, typer.Argument(help="The change's number, as the import said it.")], as_json: Json = False
) -> None:
    """Take a file of counts back; what was sold or received meanwhile stays. Exit 1 if some of it can't be."""
    done = ask_service("undo_counts", {"change": change})
    if as_json:
        print_json(done)
    else:
        for sku, problem in done["problems"][:50]:
            out.print(f"{sku}: {problem}", highlight=False)
        out.print(f"{done['called_off']} counts are called off, {done['counted_back']} are counted back.")
    raise typer.Exit(1 if done["problems"] else 0)


@app.command()
def explain(
    sku: Annotated[str, typer.Argument(help="The SKU.")],
    channel: Annotated[str | None, typer.Option(help="Only this channel's number.")] = None,
    as_json: Json = False,
) -> None:
    """Why is this number what it is: every term, and the events behind it."""
    from oneshelf.watch import explain as why

    with reader(settings_of()) as tx:
        known = tx.one("SELECT 1 FROM item WHERE tenant_id = :t AND sku = :s", t=FIRST_TENANT, s=sku)
        if known is None:
            err.print(f"There is no SKU {sku} on the shelf.")
            raise typer.Exit(2)
        explanation = why.explain(tx, FIRST_TENANT, sku, channel, now=to_us(SystemClock().now()))
    if as_json:
        print_json(explanation)
    else:
        from oneshelf.watch.told import print_explanation

        print_explanation(explanation, out)


@app.command()
def check(
    repair: Annotated[
        bool, typer.Option("--repair", help="Put right first what differs among our own books, each by an entry.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Audit: levels = sum of entries, orders at the channels = orders stored, every offer = what is shown. Exit 1 on a breach."""
    audit = ask_service("check", {"repair": repair})
    if as_json:
        print_json(audit)
    else:
        out.print(
            f"{audit['levels']} levels, {audit['entries']} entries: {'each level is the sum of its entries' if not any(b['rule'] == 'I1' for b in audit['breaches']) else 'NOT all levels are the sum of their entries'}"
        )
        for one in audit["channels"]:
            line = f"{one['channel']}: {one['orders_stored']} of {one['orders_there']} orders stored"
            if one["outlets_read"]:
                line += f", {one['outlets_right']} of {one['outlets_read']} numbers right, {one['on_their_way']} on their way"
            if one["prices_read"]:
                line += f", {one['prices_right']} of {one['prices_read']} prices right, {one['prices_on_their_way']} on their way"
                line += f", {one['prices_parked']} parked" if one["prices_parked"] else ""
            out.print(line + (f" ({one['problem']})" if one["problem"] else ""))
        for words in audit["repaired"]:
            out.print(f"Put right: {words}", highlight=False)
        if repair and not audit["repaired"]:
            out.print("Our own books agree; nothing was put right.")
        if any(breach["rule"] in ("I1", "I3") for breach in audit["breaches"]):
            out.print("Our own books differ. Put them right by entries: oneshelf check --repair")
        for breach in audit["breaches"]:
            out.print(f"[bold]{breach['rule']}[/bold] {breach['channel']} {breach['what']}", highlight=False)
    raise typer.Exit(1 if audit["breaches"] else 0)
