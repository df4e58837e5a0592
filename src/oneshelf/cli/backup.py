"""A copy of the shelf, and putting one back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oneshelf.core.instants import from_us, to_us
from oneshelf.db import backup as copies
from oneshelf.db.store import store_for, transaction
from oneshelf.runtime.clock import SystemClock

from .base import Json, app, needs_shelf, out, print_json, settings_of


@app.command("backup")
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.")],
    as_json: Json = False,
) -> None:
    """Write a whole copy of the shelf to a file, also while the service runs. The key file is not in it. Exit 2: nothing was written."""
    settings = settings_of()
    needs_shelf(settings)
    now = to_us(SystemClock().now())
    size = copies.back_up(settings.database, file, now)
    if as_json:
        print_json(
            {"file": str(file), "bytes": size, "made_at": from_us(now).isoformat(), "key_file": str(settings.key_path)}
        )
        return
    out.print(f"{file}: {size / 1_000_000:.1f} MB. Keep {settings.key_path} too, and apart from it.", highlight=False)
    out.print(f"Put it back, with the service stopped: oneshelf restore {file}", highlight=False)


@app.command("restore")
def restore(
    file: Annotated[Path, typer.Argument(help="A file of `oneshelf backup`.")],
    as_json: Json = False,
) -> None:
    """Put a backup in the place of the shelf. The service must be stopped; the shelf that was there is kept beside it. Exit 2: nothing
    was changed."""
    settings = settings_of()
    now = to_us(SystemClock().now())
    made_at, kept = copies.put_back(settings.database, file, now)
    made = f"{from_us(made_at):%Y-%m-%d %H:%M} UTC"
    if as_json:
        print_json({"made_at": from_us(made_at).isoformat(), "kept": None if kept is None else str(kept)})
        return
    out.print(f"The shelf is that of {made} now." + (f" The one before: {kept}" if kept else ""), highlight=False)
    out.print(
        "Start the service: it reads everything before it writes, and its tasks say what you have to do.",
        highlight=False,
    )


@app.command("restored")
def restored(as_json: Json = False) -> None:
    """Say that the database was put back from a copy that another program made (pg_dump, a snapshot of the disk). The service must be
    stopped; when it starts it reads everything before it writes."""
    settings = settings_of()
    needs_shelf(settings)
    store = store_for(settings.database)
    store.open()
    try:
        with transaction(store) as tx:
            copies.mark_restored(tx, to_us(SystemClock().now()))
    finally:
        store.close()
    print_json({"marked": True}) if as_json else out.print("Noted. Start the service.")
