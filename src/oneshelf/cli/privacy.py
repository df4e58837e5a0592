"""Privacy requests of the platforms: what was asked, what became of it, and the file for a customer."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from oneshelf.customers import privacy
from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, ask_service, err, out, print_json, reader, settings_of

group = typer.Typer(no_args_is_help=True, help="Requests about personal data: list them, make a customer's file.")
app.add_typer(group, name="privacy")


@group.command("list")
def privacy_list(
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those not done.")] = False, as_json: Json = False
) -> None:
    """What the platforms asked to erase or export, the newest first. Names nobody."""
    with reader(settings_of()) as tx:
        found = privacy.requests(tx, FIRST_TENANT, waiting=waiting)
    if as_json:
        print_json(found)
    else:
        table = Table()
        for name in ("no", "channel", "asked for", "asked", "answer by", "state", "orders", "messages"):
            table.add_column(name)
        for one in found:
            cells = (one.request_no, one.channel, one.kind, one.asked_at, one.answer_by, one.state)
            table.add_row(*(str(cell) for cell in (*cells, one.orders_erased, one.messages_erased)))
        out.print(table)


@group.command("export")
def privacy_export(
    request: Annotated[int, typer.Argument(help="The request's number, from `oneshelf privacy list`.")],
    to: Annotated[Path | None, typer.Option(help="The file to write, readable by you only.")] = None,
    as_json: Json = False,
) -> None:
    """Write what is kept of a customer into a file for them; the request is then done, and we forget whom it was about."""
    path = to or Path(f"privacy-{request}.json")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        err.print(f"{path} is there already; name another with --to.")
        raise typer.Exit(2) from None
    try:
        found = ask_service("privacy_export", {"request": request})
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(found, file, ensure_ascii=False, indent=2)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    # Only when the file is safe is the request over.
    ask_service("privacy_export", {"request": request, "done": True})
    done = {"file": str(path), "orders": len(found["orders"])}
    print_json(done) if as_json else out.print(
        f"{done['orders']} orders in {path}. Send it to the customer, then delete it."
    )
