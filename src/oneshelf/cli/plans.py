"""The plan: what it has, another one, what was used."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.table import Table

from oneshelf.runtime.clock import SystemClock
from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, ask_service, err, out, print_json, reader, settings_of

group = typer.Typer(no_args_is_help=True, help="The plan: what it has and lacks, another one, what was used.")
app.add_typer(group, name="plan")


@group.command("show")
def plan_show(as_json: Json = False) -> None:
    """What the plan has and lacks, and what happens meanwhile. Self-hosted, without a plan, everything is on."""
    from oneshelf.watch.plan_change import show

    with reader(settings_of()) as tx:
        found = show(tx, FIRST_TENANT)
    if as_json:
        print_json(found)
        return
    out.print(f"Plan: {found.plan}{f' since {found.since}' if found.since else ''}", highlight=False)
    table = Table("capability", "", "plans that have it", "without it")
    for one in found.capabilities:
        table.add_row(one.name, "yes" if one.has else "no", ", ".join(one.plans), one.meanwhile)
    out.print(table)
    lacks = {one.capability for one in found.capabilities if not one.has}
    if "order_import" in lacks:
        out.print(f"{found.waiting.imports} orders wait to be made in the shop.", highlight=False)
    if found.frozen:
        out.print(
            f"{found.waiting.rules} rules from before stay in force. Numbers rise only when you say so: oneshelf plan accept-raise",
            highlight=False,
            soft_wrap=True,
        )


@group.command("set")
def plan_set(
    plan: Annotated[str, typer.Argument(help="free, starter, pro, agency, enterprise, or self-hosted (everything).")],
    preview: Annotated[bool, typer.Option("--preview", help="Only say what it would do (as without --yes).")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it, only look.")] = False,
    as_json: Json = False,
) -> None:
    """Change the plan. A downgrade raises no number: what would rise is shown, and waits for `oneshelf plan accept-raise`."""
    if preview and yes:
        err.print("--preview only looks; --yes does it. Give one of them.")
        raise typer.Exit(2)
    done = ask_service("plan_set", {"plan": plan, "yes": yes})
    if as_json:
        print_json(done)
        return
    verb = "is" if done["done"] else "would be"
    out.print(f"The plan {verb} {done['after']} (it was {done['before']}).", highlight=False)
    for word, names in (("gains", done["gains"]), ("loses", done["loses"])):
        if names:
            out.print(f"It {word}: {', '.join(names)}", highlight=False)
    for line in done["meanwhile"] + done["warnings"]:
        out.print(f"  {line}", highlight=False, soft_wrap=True)
    if done["frozen"]:
        _print_rises(done, "would rise once you accept the raise")
    if not done["done"]:
        out.print(f"Nothing was changed. Do it: oneshelf plan set {done['after']} --yes", highlight=False)


@group.command("accept-raise")
def plan_accept_raise(
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it, only look.")] = False, as_json: Json = False
) -> None:
    """Let the rules that a downgrade left in force count no more: the numbers named here rise."""
    done = ask_service("plan_accept_raise", {"yes": yes})
    if as_json:
        print_json(done)
        return
    if not done["frozen"]:
        out.print("No rule is frozen; there is nothing to accept.")
        return
    _print_rises(done, "rise now" if done["done"] else "would rise")
    if not done["done"]:
        out.print("Nothing was changed. Do it: oneshelf plan accept-raise --yes")


def _print_rises(done: dict[str, Any], verb: str) -> None:
    out.print(f"{done['would_rise']} numbers {verb}.", highlight=False)
    if not done["rises"]:
        return
    table = Table("listing", "channel", "there", "title", "shows", "would show")
    for one in done["rises"]:
        cells = (one["listing"], one["channel"], one["external_id"], one["title"], one["shows"], one["would_show"])
        table.add_row(*(str(cell) for cell in cells))
    out.print(table)


@group.command("usage")
def plan_usage(
    days: Annotated[int, typer.Option(help="How many days back, today included.", min=1, max=3660)] = 31,
    as_json: Json = False,
) -> None:
    """What was done on each day (UTC): orders taken, numbers and prices told, calls to each channel."""
    from oneshelf.tenants.usage import usage

    today = SystemClock().now().date()
    with reader(settings_of()) as tx:
        found = usage(tx, FIRST_TENANT, today - timedelta(days=days - 1), today)
    if as_json:
        print_json(found)
        return
    table = Table("day", "account", "channel", "orders", "numbers", "prices", "calls")
    for one in found:
        table.add_row(
            *(
                str(cell)
                for cell in (one.day, one.account_id, one.channel, one.orders, one.numbers, one.prices, one.calls)
            )
        )
    out.print(table if found else "Nothing was done in these days.")
