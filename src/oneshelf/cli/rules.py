"""What is held back from which listings."""

from __future__ import annotations

from typing import Annotated

import typer

from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, ask_service, out, print_json, reader, settings_of

group = typer.Typer(no_args_is_help=True, help="What is held back from which listings.")
app.add_typer(group, name="rules")


AccountOption = Annotated[int, typer.Option("--account", help="Only this account's listings (its number); 0: all.")]
SkuOption = Annotated[str, typer.Option("--sku", help="Only this SKU; empty: all.")]


@group.command("list")
def rules_list(as_json: Json = False) -> None:
    """The rules; the narrowest that fits a listing wins whole."""
    with reader(settings_of()) as tx:
        rows = tx.all(
            "SELECT account_id, sku, safety_stock, safety_percent, cap, min_show FROM offer_policy WHERE tenant_id = :t "
            "ORDER BY account_id, sku",
            t=FIRST_TENANT,
        )
    names = ("account_id", "sku", "safety_stock", "safety_percent", "cap", "min_show")
    found = [dict(zip(names, row, strict=True)) for row in rows]
    if as_json:
        print_json(found)
        return
    for one in found:
        where = f"account {one['account_id'] or 'any'}, SKU {one['sku'] or 'any'}"
        out.print(f"{where}: keep {one['safety_stock']} back, show from {one['min_show']} on", highlight=False)


@group.command("set")
def rules_set(
    account: AccountOption = 0,
    sku: SkuOption = "",
    safety_stock: Annotated[int, typer.Option("--keep", help="Pieces never offered.", min=0)] = 0,
    safety_percent: Annotated[
        int | None, typer.Option("--percent", help="Offer at most this share of what is available.")
    ] = None,
    cap: Annotated[int | None, typer.Option("--cap", help="Offer at most so many pieces.")] = None,
    min_show: Annotated[int, typer.Option("--from", help="Below this many listings show 0.")] = 1,
    as_json: Json = False,
) -> None:
    """Set a rule: keep pieces back, cap what is shown."""
    rule = {"safety_stock": safety_stock, "safety_percent": safety_percent, "cap": cap, "min_show": min_show}
    done = ask_service("rule", {"account_id": account, "sku": sku, **rule})
    print_json(done) if as_json else out.print("Kept. The numbers are on their way.")


@group.command("drop")
def rules_drop(account: AccountOption = 0, sku: SkuOption = "", as_json: Json = False) -> None:
    """Take a rule back."""
    done = ask_service("rule", {"account_id": account, "sku": sku, "drop": True})
    print_json(done) if as_json else out.print("Taken back. The numbers are on their way.")
