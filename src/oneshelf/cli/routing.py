"""Which location sends what: the policy, and one order's route."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from oneshelf.core.routing import CRITERIA
from oneshelf.routing.policy import policy_of
from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, ask_service, err, out, print_json, reader, settings_of
from .orders import group as orders

group = typer.Typer(no_args_is_help=True, help="Which location sends which order.")
app.add_typer(group, name="routing")


@group.command("show")
def routing_show(as_json: Json = False) -> None:
    """Who routes the orders, and by what."""
    with reader(settings_of()) as tx:
        policy = policy_of(tx, FIRST_TENANT)
    if as_json:
        print_json(policy)
        return
    if policy.router == "shopify":
        out.print("Shopify routes the orders, and Oneshelf follows. Yours instead: oneshelf routing set --by oneshelf")
    else:
        out.print("Oneshelf routes the orders of marketplaces and moves them in Shopify.")
    off = [one for one in CRITERIA if one not in policy.criteria]
    out.print(f"Asked in this order: {', '.join(policy.criteria)}." + (f" Off: {', '.join(off)}." if off else ""))
    out.print("An order may leave in several parcels." if policy.split else "An order leaves in one parcel.")


@group.command("set")
def routing_set(
    by: Annotated[
        str | None, typer.Option("--by", help="oneshelf: by your criteria. shopify: Shopify decides.")
    ] = None,
    criteria: Annotated[
        str | None,
        typer.Option(
            help=f"What is asked, first to last, commas between: {','.join(CRITERIA)}. What is left out is off."
        ),
    ] = None,
    split: Annotated[
        bool | None, typer.Option("--split/--no-split", help="Whether an order may leave in several parcels.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say who routes orders, and by what. It counts for orders that come from now on."""
    wish = {
        "router": by,
        "criteria": None if criteria is None else [one.strip() for one in criteria.split(",") if one.strip()],
        "split": split,
    }
    if all(value is None for value in wish.values()):
        err.print("Say what is to change: oneshelf routing set --help")
        raise typer.Exit(2)
    done = ask_service("routing", {key: value for key, value in wish.items() if value is not None})
    if as_json:
        print_json(done)
        return
    who = "Oneshelf routes orders of marketplaces" if done["router"] == "oneshelf" else "Shopify routes the orders"
    out.print(f"Kept. {who}, from now on. Asked: {', '.join(done['criteria'])}.", highlight=False)


@orders.command("route")
def orders_route(
    order: Annotated[str, typer.Argument(help="The order's id or number as its channel shows it.")],
    again: Annotated[bool, typer.Option("--again", help="Decide it once more.")] = False,
    to: Annotated[str | None, typer.Option(help="Let all that is open of it leave from this location.")] = None,
    not_from: Annotated[
        list[str] | None, typer.Option("--not-from", help="Decide it once more without this location, for good.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it, only say what would be.")] = False,
    as_json: Json = False,
) -> None:
    """Why an order leaves from where it does: each criterion, and what it said of each location."""
    if to and not_from:
        err.print("Say where it leaves from, or where not, not both.")
        raise typer.Exit(2)
    changed = None
    if again or to or not_from:
        wish = {"order": order, "to": to, "not_from": not_from or [], "preview": not yes}
        done = ask_service("route", wish)
        route, changed = done["route"], done["changed"]
    else:
        from oneshelf.watch.routes import order_route

        with reader(settings_of()) as tx:
            try:
                route = msgspec.to_builtins(order_route(tx, FIRST_TENANT, order))
            except LookupError as error:
                err.print(f"Not found: {error.args[0]}.", highlight=False)
                raise typer.Exit(1) from None
    if as_json:
        print_json(route if changed is None else {"changed": changed, "done": yes, "route": route})
        return
    _show(route)
    if changed is False:
        out.print("Nothing changes: it stands right.")
    elif changed:
        out.print("It is on its way." if yes else "This is what would be. Do it: the same with --yes", highlight=False)


def _show(route: dict[str, Any]) -> None:
    table = Table("line", "SKU", "pieces", "state", "stands at", "decided")
    for line in route["lines"]:
        decided = line["decided"] or "–"
        decided += " (nobody has all of it)" if line["short"] else ""
        table.add_row(line["line_id"], line["sku"], str(line["pieces"]), line["state"], line["stands_at"], decided)
    out.print(table)
    if not route["versions"]:
        by = "Shopify routes the orders" if route["routed_by"] == "shopify" else "It was bought before routing was on"
        out.print(f"No decision of Oneshelf's. {by}.")
        return
    newest = route["versions"][0]
    reason = f": {newest['reason']}" if newest["reason"] else ""
    out.print(
        f"Decision {newest['version']}, {newest['decided_at']}, because {newest['why']}: {newest['state']}{reason}.",
        highlight=False,
    )
    for where, why in newest["excluded"].items():
        out.print(f"Not asked: {where}: {why}.", highlight=False)
    said = Table("asked", "it", "of each location")
    for one in newest["criteria"]:
        words = "\n".join(f"{where}: {text}" for where, text in one["of"].items())
        verdict = one["verdict"] + (f" ({one['why']}): left to the next" if one["verdict"] == "not known" else "")
        said.add_row(one["criterion"], verdict, words)
    out.print(said)
    if len(route["versions"]) > 1:
        earlier = "; ".join(f"{one['version']}: {one['why']}, {one['state']}" for one in route["versions"][1:])
        out.print(f"Earlier decisions: {earlier}.", highlight=False)
