"""Sales that you announce, so that enough is set aside before they begin."""

from __future__ import annotations

from typing import Annotated

import typer

from oneshelf.core.instants import from_us, to_us
from oneshelf.runtime.clock import SystemClock
from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, ask_service, instant, out, print_json, reader, settings_of

group = typer.Typer(
    no_args_is_help=True, help="Sales that you announce, so that enough is set aside before they begin."
)
app.add_typer(group, name="sales")


@group.command("list")
def sales_list(as_json: Json = False) -> None:
    """The announced sales that are under way or to come."""
    from oneshelf.listings.announced import announced

    with reader(settings_of()) as tx:
        found = announced(tx, FIRST_TENANT, to_us(SystemClock().now()))
    if as_json:
        print_json([_plain(one.sale_no, one.name, one.starts_at, one.ends_at, one.factor, one.skus) for one in found])
        return
    for one in found:
        when = f"{from_us(one.starts_at):%Y-%m-%d %H:%M} to {from_us(one.ends_at):%Y-%m-%d %H:%M} UTC"
        out.print(
            f"{one.sale_no}  {one.name}: {when}, {one.factor:g} times as fast, {len(one.skus)} SKUs", highlight=False
        )


def _plain(
    sale_no: int, name: str, starts_at: int, ends_at: int, factor: float, skus: tuple[str, ...]
) -> dict[str, object]:
    return {
        "sale": sale_no,
        "name": name,
        "starts_at": from_us(starts_at),
        "ends_at": from_us(ends_at),
        "factor": factor,
        "skus": list(skus),
    }


@group.command("announce")
def sales_announce(
    name: Annotated[str, typer.Argument(help="What you call it.")],
    sku: Annotated[list[str], typer.Option("--sku", help="A SKU on sale; may be given several times.")],
    start: Annotated[str, typer.Option(help="When it begins: 2026-11-27T08:00 (UTC, or with an offset).")],
    end: Annotated[str, typer.Option(help="When it ends.")],
    factor: Annotated[float, typer.Option(help="How many times faster than usual these SKUs will sell.")],
    as_json: Json = False,
) -> None:
    """Announce a sale: more is set aside of these SKUs from shortly before its start until its end."""
    payload = {"name": name, "skus": sku, "factor": factor, "starts_at": instant(start), "ends_at": instant(end)}
    done = ask_service("announce", payload)
    print_json(done) if as_json else out.print(
        f"Announced: sale {done['sale']}. Call it off: oneshelf sales call-off {done['sale']}."
    )


@group.command("call-off")
def sales_call_off(
    sale: Annotated[int, typer.Argument(help="The sale's number, as `sales list` shows it.")], as_json: Json = False
) -> None:
    """Call an announced sale off, or end it early."""
    done = ask_service("call_off", {"sale": sale})
    print_json(done) if as_json else out.print("Called off. The numbers are on their way.")
