"""The shop's locations as routing sees them."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from oneshelf.routing.locations import LocationNow, find, locations
from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, ask_service, err, out, print_json, reader, settings_of

group = typer.Typer(no_args_is_help=True, help="The shop's locations: where they are, what they can do in a day.")
app.add_typer(group, name="locations")

Name = Annotated[str, typer.Argument(help="The location's name, number or id.")]


@group.command("list")
def locations_list(as_json: Json = False) -> None:
    """All locations, the most important first."""
    with reader(settings_of()) as tx:
        found = locations(tx, FIRST_TENANT)
    if as_json:
        print_json(found)
        return
    table = Table("location", "id", "sends", "priority", "where", "a day", "cut-off", "a parcel", "serves accounts")
    for one in found:
        sends = "yes" if one.counts else "closed" if not one.active else "not in scope"
        serves = ", ".join(map(str, one.serves)) or "–"
        number = one.location_id.rpartition("/")[2]
        table.add_row(
            one.name, number, sends, str(one.priority), _where(one), _capacity(one), _cut_off(one), _cost(one), serves
        )
    out.print(table if found else "No location is known yet: connect the shop first.")


@group.command("show")
def locations_show(name: Name, as_json: Json = False) -> None:
    """One location, with where each word is from."""
    with reader(settings_of()) as tx:
        try:
            one = find(tx, FIRST_TENANT, name)
        except LookupError as error:
            err.print(f"Not found: {error.args[0]}.", highlight=False)
            raise typer.Exit(1) from None
    if as_json:
        print_json(one)
        return
    rows = {
        "id": one.location_id,
        "sends orders": "yes" if one.counts else "no: it is closed" if not one.active else "no: not in scope",
        "priority": f"{one.priority} (0 first)",
        "address": ", ".join(p for p in (one.street, one.postal_code, one.city, one.region, one.country) if p) or "–",
        "said by": one.address_source or "–",
        "coordinates": "not known" if one.point is None else f"{one.latitude}, {one.longitude} (by {one.point_source})",
        "capacity": _capacity(one),
        "cut-off": _cut_off(one),
        "a parcel costs": _cost(one),
        "serves accounts": ", ".join(map(str, one.serves)) or "none",
    }
    table = Table(one.name, "", show_header=True)
    for label, text in rows.items():
        table.add_row(label, text)
    out.print(table)


def _where(one: LocationNow) -> str:
    place = ", ".join(part for part in (one.city or one.postal_code, one.country) if part)
    return (place or "not known") + ("" if one.point else " (no coordinates)" if place else "")


def _capacity(one: LocationNow) -> str:
    return "no limit" if one.capacity is None else f"{one.capacity} {one.capacity_unit}"


def _cut_off(one: LocationNow) -> str:
    return f"{one.cut_off} {one.timezone}" if one.cut_off else "–"


def _cost(one: LocationNow) -> str:
    return "not entered" if one.cost_minor is None else f"{one.cost_minor} (smallest unit)"


@group.command("set")
def locations_set(
    name: Name,
    street: Annotated[str | None, typer.Option(help="Street and number.")] = None,
    city: Annotated[str | None, typer.Option(help="Town.")] = None,
    postal_code: Annotated[str | None, typer.Option(help="Postal code.")] = None,
    region: Annotated[str | None, typer.Option(help="State or province, its code.")] = None,
    country: Annotated[str | None, typer.Option(help="Country, two letters (DE, US).")] = None,
    at: Annotated[
        str | None, typer.Option(help='Coordinates in degrees, "48.14,11.58"; "none": from the address again.')
    ] = None,
    orders_a_day: Annotated[int | None, typer.Option(help="Orders that it can pack in a day; -1: no limit.")] = None,
    pieces_a_day: Annotated[int | None, typer.Option(help="Pieces that it can pack in a day; -1: no limit.")] = None,
    cut_off: Annotated[
        str | None, typer.Option(help='Orders after this time leave the next day, "14:00"; "none": no cut-off.')
    ] = None,
    timezone: Annotated[str | None, typer.Option(help="Its timezone, Europe/Berlin; its day begins by it.")] = None,
    cost: Annotated[
        int | None, typer.Option(help="What a parcel from there costs, in cents of the shop's currency; -1: unknown.")
    ] = None,
    priority: Annotated[int | None, typer.Option(help="0 is asked first.")] = None,
    as_json: Json = False,
) -> None:
    """Say where a location is and what it can do. What is not named stays; what you say goes before what Shopify says."""
    wish: dict[str, Any] = {
        "street": street,
        "city": city,
        "postal_code": postal_code,
        "region": region,
        "country": country,
        "timezone": timezone,
        "cost_minor": cost,
        "priority": priority,
        "cut_off": "" if cut_off == "none" else cut_off,
    }
    if orders_a_day is not None and pieces_a_day is not None:
        err.print("Capacity counts orders or pieces, not both.")
        raise typer.Exit(2)
    if orders_a_day is not None or pieces_a_day is not None:
        wish["capacity"] = orders_a_day if orders_a_day is not None else pieces_a_day
        wish["capacity_unit"] = "orders" if orders_a_day is not None else "pieces"
    if at == "none":
        wish["no_point"] = True
    elif at is not None:
        try:
            wish["latitude"], wish["longitude"] = (float(part) for part in at.split(","))
        except ValueError:
            err.print(f"{at!r}: write latitude and longitude in degrees with a comma between: 48.14,11.58")
            raise typer.Exit(2) from None
    named = {key: value for key, value in wish.items() if value is not None}
    if not named:
        err.print("Say what is to change: oneshelf locations set --help")
        raise typer.Exit(2)
    done = ask_service("location", {"location": name, **named})
    if as_json:
        print_json(done)
        return
    where = (
        "" if done["latitude"] is not None else " Its coordinates are not known: the way to a buyer can't be compared."
    )
    out.print(f"Kept for {done['name']}.{where} It counts for orders that come from now on.", highlight=False)
