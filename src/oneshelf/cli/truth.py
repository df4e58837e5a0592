"""Is it true, and was it: drift by cause, and what we knew at a moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.table import Table

from oneshelf.core.instants import SECOND, to_us
from oneshelf.core.money import in_words
from oneshelf.runtime.clock import SystemClock
from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, err, instant, out, print_json, reader, settings_of

group = typer.Typer(no_args_is_help=True, help="What we knew at a moment: of a SKU, a listing, an order, a customer.")
app.add_typer(group, name="as-of")

Moment = Annotated[str, typer.Argument(help="2026-11-29T14:23:01 (UTC), with an offset, or a day: its first moment.")]


@app.command()
def drift(
    days: Annotated[int, typer.Option(help="So many days back from now.", min=1, max=366)] = 7, as_json: Json = False
) -> None:
    """Where numbers drifted from ours, by cause, and what is not settled now. Exit 1 if something or someone else writes there."""
    from oneshelf.watch.drift import FOUGHT_OVER, drift_report

    now = to_us(SystemClock().now())
    with reader(settings_of()) as tx:
        found = drift_report(tx, FIRST_TENANT, now - days * 86_400 * SECOND, now)
    if as_json:
        print_json(found)
    else:
        table = Table("day", "channel", "what was found", "times", "pieces", "what was done")
        for one in found.counted:
            table.add_row(one.day, one.channel, one.words, str(one.times), str(one.pieces or "–"), one.done)
        out.print(table if found.counted else f"Nothing drifted in {days} days.")
        if found.most:
            out.print("Most often: " + ", ".join(f"{name} ({times})" for name, times in found.most), highlight=False)
        out.print(
            f"{found.sales_heard_by_number} sales were seen by a number before their order came; that is no drift."
        )
        for open_one in found.open_now:
            out.print(
                f"Open: {open_one.channel} {open_one.subject} {open_one.what} ({open_one.pieces:+d} since {open_one.since}); "
                f"waits for {open_one.waits_for}.",
                highlight=False,
            )
    raise typer.Exit(1 if any(one.cause == FOUGHT_OVER.name for one in found.counted) else 0)


def past(text: str) -> int:
    """Return a moment that has been; one to come ends the command."""
    moment = instant(text)
    if moment > to_us(SystemClock().now()):
        err.print(f"{text} is still to come. Nobody knows it yet.", highlight=False)
        raise typer.Exit(2)
    return moment


def _then(read: Callable[[Any], Any], as_json: bool) -> Any:
    with reader(settings_of()) as tx:
        found = read(tx)
    if as_json:
        print_json(found)
    return found


@group.command("stock")
def stock_then(sku: Annotated[str, typer.Argument(help="The SKU.")], at: Moment, as_json: Json = False) -> None:
    """What was on the books of a SKU."""
    from oneshelf.watch.time_travel import stock_at

    moment = past(at)
    found = _then(lambda tx: stock_at(tx, FIRST_TENANT, sku, moment), as_json)
    if as_json:
        return
    names = ("on_hand", "committed", "reserved", "unavailable", "incoming", "available")
    table = Table("location", *(name.replace("_", " ") for name in names))
    for level in found.levels:
        table.add_row(level.location_id, *(str(getattr(level, name)) for name in names))
    out.print(table)
    out.print(
        f"{found.available} of {sku} were available at {found.at}; {found.entries} entries, the last of {found.last_entry}, "
        f"the next of {found.next_entry or 'no later moment'}.",
        highlight=False,
    )


@group.command("listing")
def listing_then(
    outlet_id: Annotated[int, typer.Argument(help="The listing's number, from `oneshelf listings list --all`.")],
    at: Moment,
    as_json: Json = False,
) -> None:
    """What a listing had been told, and what it had been seen to show."""
    from oneshelf.watch.time_travel import listing_at

    moment = past(at)
    found = _then(lambda tx: listing_at(tx, FIRST_TENANT, outlet_id, moment), as_json)
    if as_json:
        return
    seen = (
        "Nothing had been read there yet."
        if found.seen is None
        else f"It had been seen to show {found.seen} at {found.seen_at}"
    )
    if found.seen is not None:
        seen += f", and sold {found.sold_since} since." if found.sold_since else "."
    told = (
        "No number had been told."
        if found.told is None
        else f"Told {found.told} at {found.told_at}: {found.told_state}."
    )
    out.print(f"{found.external_id} (account {found.account_id}) at {found.at}. {seen} {told}", highlight=False)


@group.command("order")
def order_then(
    order: Annotated[str, typer.Argument(help="The order's id or number as its channel shows it.")],
    at: Moment,
    account: Annotated[int, typer.Option(help="Whose order, where several accounts have one of this name.")] = 0,
    as_json: Json = False,
) -> None:
    """How an order stood with us, and what had happened to it."""
    from oneshelf.watch.time_travel import order_at

    moment = past(at)
    found = _then(lambda tx: order_at(tx, FIRST_TENANT, order, moment, account_id=account), as_json)
    if as_json:
        return
    for sku, pieces in found.pieces.items():
        said = ", ".join(f"{count} {name}" for name, count in pieces.items() if count)
        out.print(f"{sku}: {said or 'nothing held'}", highlight=False)
    out.print(f"In Shopify: {found.hub_order_id or 'not yet'}", highlight=False)
    for one in found.happened:
        out.print(f"{one.at}  {one.what}", highlight=False)


@group.command("customer")
def customer_then(
    customer: Annotated[int, typer.Argument(help="The customer's number, from `oneshelf customers list`.")],
    at: Moment,
    as_json: Json = False,
) -> None:
    """What a customer had bought, and in which stage they stood. Names nobody."""
    from oneshelf.watch.time_travel import customer_at

    moment = past(at)
    found = _then(lambda tx: customer_at(tx, FIRST_TENANT, customer, moment), as_json)
    if as_json:
        return
    where = ", ".join(f"{channel} {count}" for channel, count in found.per_channel.items()) or "nothing yet"
    spent = ", ".join(in_words(one.spend_minor, one.currency) for one in found.money) or "nothing"
    stage = f"{found.stage} since {found.stage_at} ({found.stage_why})" if found.stage else "in no stage yet"
    out.print(
        f"Customer {found.customer_no} at {found.at}: {found.purchases} purchases ({where}), {spent} spent, {stage}.",
        highlight=False,
    )
