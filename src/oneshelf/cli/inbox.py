"""Messages of the channels: those that could not be used (list them, try them again, set them aside), and a recording of all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from oneshelf.core.instants import to_us
from oneshelf.intake import parked
from oneshelf.runtime.clock import SystemClock
from oneshelf.tenants.accounts import FIRST_TENANT, accounts
from oneshelf.watch import recording

from .base import Json, app, ask_service, err, instant, out, print_json, reader, settings_of

group = typer.Typer(no_args_is_help=True, help="Messages of the channels: those that could not be used; a recording.")
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


@group.command("record")
def inbox_record(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.")],
    since: Annotated[str, typer.Option(help="Only what was received then or later, as 2026-11-20T14:00Z.")] = "",
    as_json: Json = False,
) -> None:
    """Write the messages as they came, without the persons in them, for `oneshelf sim --replay FILE`. What is left out is counted."""
    from oneshelf.wiring import build_channel

    start = instant(since) if since else 0
    with reader(settings_of()) as tx:
        try:
            opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            err.print(f"{file} can't be written: {error.strerror}. Name another file.", highlight=False)
            raise typer.Exit(2) from None
        parsers = {row.account_id: build_channel(row.channel, row.settings) for row in accounts(tx, FIRST_TENANT)}
        with open(opened, "wb") as target:
            for line in recording.record(tx, FIRST_TENANT, parsers, to_us(SystemClock().now()), since=start):
                target.write(recording.encode(line))
    assert isinstance(line, recording.Ended)
    if as_json:
        print_json({"file": str(file), "left_out": line.left_out, **msgspec.to_builtins(line)})
        return
    out.print(f"{line.messages} messages are in {file}. Play them again: oneshelf sim --replay {file}", highlight=False)
    if line.left_out:
        out.print(
            f"Left out: {line.erased} that were emptied when their time was up or a person asked, {line.about_persons} that are about "
            f"a person, {line.unreadable} that can't be read here (nobody knows what is a person's in them).",
            highlight=False,
        )
    out.print(
        "What remains of persons in it: docs/how-to/play-an-inbox-again.md. Look before you give it away.",
        highlight=False,
    )
