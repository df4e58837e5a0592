"""What is held back from which listings."""

from __future__ import annotations

from typing import Annotated, Any

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
            "SELECT account_id, sku, safety_stock, safety_percent, cap, min_show, adaptive, cap_auto FROM offer_policy WHERE tenant_id = :t "
            "ORDER BY account_id, sku",
            t=FIRST_TENANT,
        )
    names = ("account_id", "sku", "safety_stock", "safety_percent", "cap", "min_show", "adaptive", "cap_auto")
    found = [dict(zip(names, row, strict=True)) for row in rows]
    for one in found:
        one["adaptive"], one["cap_auto"] = bool(one["adaptive"]), bool(one["cap_auto"])
    if as_json:
        print_json(found)
        return
    for one in found:
        where = f"account {one['account_id'] or 'any'}, SKU {one['sku'] or 'any'}"
        out.print(
            f"{where}: keep {one['safety_stock']} back, show from {one['min_show']} on{_more(one)}", highlight=False
        )


def _more(one: dict[str, Any]) -> str:
    """The rest of a rule in words."""
    words = []
    if one["safety_percent"] is not None:
        words.append(f"at most {one['safety_percent']} % of what is there")
    if one["cap"] is not None:
        words.append(f"never more than {one['cap']}")
    if one["cap_auto"]:
        words.append("a cap that follows the pace")
    if not one["adaptive"]:
        words.append("nothing set aside for other channels")
    return "".join(f", {word}" for word in words)


@group.command("set")
def rules_set(
    account: AccountOption = 0,
    sku: SkuOption = "",
    safety_stock: Annotated[int, typer.Option("--keep", help="Pieces never offered.", min=0)] = 0,
    safety_percent: Annotated[
        int | None, typer.Option("--percent", help="Offer at most this share of what is available.")
    ] = None,
    cap: Annotated[int | None, typer.Option("--cap", help="Offer at most so many pieces.")] = None,
    cap_auto: Annotated[
        bool, typer.Option("--cap-auto", help="Offer at most what sells in four windows, 20 or more.")
    ] = False,
    fixed: Annotated[
        bool, typer.Option("--fixed", help="The fixed buffer only: set nothing aside for what other channels may sell.")
    ] = False,
    min_show: Annotated[int, typer.Option("--from", help="Below this many listings show 0.")] = 1,
    as_json: Json = False,
) -> None:
    """Set a rule: keep pieces back, cap what is shown."""
    rule = {"safety_stock": safety_stock, "safety_percent": safety_percent, "cap": cap, "min_show": min_show}
    rule |= {"adaptive": not fixed, "cap_auto": cap_auto}
    done = ask_service("rule", {"account_id": account, "sku": sku, **rule})
    print_json(done) if as_json else out.print("Kept. The numbers are on their way.")


@group.command("drop")
def rules_drop(account: AccountOption = 0, sku: SkuOption = "", as_json: Json = False) -> None:
    """Take a rule back."""
    done = ask_service("rule", {"account_id": account, "sku": sku, "drop": True})
    print_json(done) if as_json else out.print("Taken back. The numbers are on their way.")


@group.command("strict")
def rules_strict(
    sku: Annotated[str | None, typer.Argument(help="The SKU; without it, those that are strict.")] = None,
    off: Annotated[bool, typer.Option("--off", help="It may be oversold again.")] = False,
    as_json: Json = False,
) -> None:
    """Never oversell this SKU: its pieces are dealt out, the shop's too, and no number rises before the others are counted."""
    if sku is None:
        from oneshelf.listings.risk import strict_skus

        with reader(settings_of()) as tx:
            found = sorted(strict_skus(tx, FIRST_TENANT))
        if as_json:
            print_json(found)
        else:
            out.print("\n".join(found) or "No SKU is strict.", highlight=False)
        return
    done = ask_service("strict", {"sku": sku, "strict": not off})
    if as_json:
        print_json(done)
    elif not done["changed"]:
        out.print("It was so already.")
    else:
        out.print("Kept. The numbers are on their way.")


@group.command("risk")
def rules_risk(
    margin: Annotated[
        int, typer.Option(help="What a piece that stays unsold loses, in the smallest unit (cents).", min=0)
    ] = 0,
    oversold: Annotated[int, typer.Option(help="What one oversold order costs, in the same unit.", min=0)] = 0,
    sku: SkuOption = "",
    drop: Annotated[bool, typer.Option("--drop", help="Take it back.")] = False,
    as_json: Json = False,
) -> None:
    """Say what an unsold piece and an oversold order cost: how much is set aside follows from both."""
    done = ask_service("risk", {"sku": sku, "margin": margin, "oversold": oversold, "drop": drop})
    chance = f"One stock-out in {round(1 / done['epsilon'])} may end in an oversold order."
    print_json(done) if as_json else out.print(f"Kept. {chance}")


@group.command("locations")
def rules_locations(
    account: Annotated[int, typer.Option("--account", help="The account (its number).")],
    only: Annotated[
        list[str] | None, typer.Option("--only", help="A location's id; may be given several times. None: all.")
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--except", help="A location's id that does not serve it; new ones do. May be given several times."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say which of the shop's locations serve an account."""
    done = ask_service("locations", {"account_id": account, "locations": only or [], "excluded": without or []})
    print_json(done) if as_json else out.print("Kept. The numbers are on their way.")
