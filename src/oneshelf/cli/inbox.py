"""Messages of the channels that could not be used: list them, try them again, set them aside."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.table import Table

from oneshelf.intake import parked
from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, ask_service, out, print_json, reader, settings_of

group = typer.Typer(no_args_is_help=True, help="Messages that could not be used: list, try again, set aside.")
app.add_typer(group, name="inbox")


@group.command("list")
def inbox_list(as_json: Json = False) -> None:
    """What came and could not be used, the newest first, and why."""
    with reader(settings_of()) as tx:
        found = msgspec.to_builtins(parked.parked(tx, FIRST_TENANT))
    if as_json:
        print_json(found)
        return
    table = Table("no", "account", "topic", "came by", "received", "why")
    for one in found:
        account = one["account"] if one["connected"] else f"{one['account']} (not connected)"
        table.add_row(str(one["seq"]), account, one["topic"], one["source"], one["received_at"], one["why"])
    out.print(table if found else "Every message was used.")


@group.command("retry")
def inbox_retry(
    seqs: Annotated[
        list[int] | None, typer.Argument(help="Their numbers; none: all whose account is connected.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Try messages again, after an update or when what they named is there now. One that fails again waits again."""
    done = ask_service("inbox_retry", {"seqs": seqs or []})
    print_json(done) if as_json else out.print(f"{done['messages']} are tried again.")


@group.command("set-aside")
def inbox_set_aside(
    seqs: Annotated[list[int], typer.Argument(help="Their numbers, from `oneshelf inbox list`.")],
    as_json: Json = False,
) -> None:
    """Say that nothing is to be done with these messages; their tasks end."""
    done = ask_service("inbox_set_aside", {"seqs": seqs})
    print_json(done) if as_json else out.print(f"{done['messages']} are set aside.")
