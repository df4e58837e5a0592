"""Alerts: who is told of tasks, by e-mail or webhook."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, ask_service, out, print_json, reader, settings_of

group = typer.Typer(no_args_is_help=True, help="Alerts: who is told of tasks, by e-mail or by a signed call.")
app.add_typer(group, name="alerts")

Number = Annotated[int, typer.Argument(help="The receiver's number, from `oneshelf alerts list`.")]


@group.command("add")
def alerts_add(
    way: Annotated[str, typer.Argument(help="email or webhook.")],
    address: Annotated[str, typer.Argument(help="The e-mail address, or the https address that is called.")],
    least: Annotated[str, typer.Option(help="The mildest that is told: urgent, warning or notice.")] = "warning",
    quiet: Annotated[str, typer.Option(help="Hours in which only the urgent is told: 22:00-07:00.")] = "",
    timezone: Annotated[str, typer.Option(help="Of the quiet hours: Europe/Berlin.")] = "UTC",
    as_json: Json = False,
) -> None:
    """Tell somebody of tasks from now on. A webhook's signing secret is shown this once."""
    asked = {"way": way, "address": address, "least": least, "quiet": quiet, "timezone": timezone}
    done = ask_service("alert_add", asked)
    if as_json:
        print_json(done)
        return
    out.print(
        f"Receiver {done['receiver']} is told from now on. Try it: oneshelf alerts test {done['receiver']}",
        highlight=False,
    )
    if done["secret"]:
        out.print(f"Its calls are signed with: {done['secret']}", highlight=False, soft_wrap=True)
        out.print("Keep it now; it is not shown again.")
    elif not done["mail_server_set"]:
        out.print("No mail server is set yet: ONESHELF_SMTP_HOST, ONESHELF_SMTP_FROM; until then it waits.")


@group.command("list")
def alerts_list(as_json: Json = False) -> None:
    """Who is told, of what, and how that goes. Exit code 1 while something is not taken."""
    from oneshelf.watch.alerts import receivers

    with reader(settings_of()) as tx:
        found = receivers(tx, FIRST_TENANT)
    if as_json:
        print_json(found)
    else:
        table = Table("no", "way", "address", "from", "quiet hours", "told last", "waiting", "problem")
        for one in found:
            quiet = "–"
            if one.quiet_from is not None and one.quiet_until is not None:
                clock = "{:02d}:{:02d}-{:02d}:{:02d}"
                quiet = clock.format(*divmod(one.quiet_from, 60), *divmod(one.quiet_until, 60)) + f" {one.timezone}"
            last = "never" if one.last_told_at is None else f"{one.last_told_at:%Y-%m-%d %H:%M} UTC"
            table.add_row(
                str(one.receiver), one.way, one.address, one.least, quiet, last, str(one.waiting), one.problem
            )
        out.print(table if found else "Nobody is told. Add somebody: oneshelf alerts add email you@example.com")
    if any(one.problem for one in found):
        raise typer.Exit(1)


@group.command("test")
def alerts_test(receiver: Number, as_json: Json = False) -> None:
    """Send a test now, and say whether it was taken."""
    done = ask_service("alert_test", {"receiver": receiver})
    if as_json:
        print_json(done)
    else:
        out.print("It was taken." if done["taken"] else f"It was not taken: {done['problem']}", highlight=False)
    if not done["taken"]:
        raise typer.Exit(1)


@group.command("remove")
def alerts_remove(receiver: Number, as_json: Json = False) -> None:
    """Tell this receiver nothing any more. Its address and secret are forgotten."""
    done = ask_service("alert_remove", {"receiver": receiver})
    print_json(done) if as_json else out.print(f"Receiver {done['receiver']} is told nothing any more.")
