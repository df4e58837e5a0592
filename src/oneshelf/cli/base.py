"""What every command shares: the app, how it prints, how it asks the service or reads the database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from oneshelf.core import spreadsheet
from oneshelf.core.instants import instant_of
from oneshelf.db.store import store_for
from oneshelf.runtime.logs import configure_logs
from oneshelf.settings import Settings, load_settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="One shelf of stock, sold through many shops.",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output and nothing else.")]
out = Console()
err = Console(stderr=True)


def print_json(value: Any) -> None:
    """Print one value as JSON, at once: of a command that goes on running, who reads its output through a pipe waits for this line."""
    print(json.dumps(msgspec.to_builtins(value), default=str), flush=True)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end; Ctrl-C ends the command with 130."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def settings_of(**overrides: Any) -> Settings:
    """Return the settings; what was given on the command line goes before the environment."""
    return load_settings(**{name: value for name, value in overrides.items() if value is not None})


def ask_service(command: str, payload: dict[str, Any]) -> Any:
    """Carry out a command by the running service, or on the database at rest."""
    from oneshelf.web.asking import ask

    settings = settings_of()
    if command != "connect":
        needs_shelf(settings)
    configure_logs("error", "auto")
    return run(ask(settings, command, payload))


def needs_shelf(settings: Settings) -> None:
    """Say what to do when there is nothing to look at yet."""
    if settings.database.startswith("sqlite:///") and not Path(settings.database.removeprefix("sqlite:///")).exists():
        err.print(
            f"There is no shelf at {settings.database.removeprefix('sqlite:///')} yet. Start one: oneshelf serve (or look: oneshelf demo)."
        )
        raise typer.Exit(2)


def reader(settings: Settings) -> Any:
    """Return a read-only transaction."""
    needs_shelf(settings)
    return store_for(settings.database).reader()


def text_of(file: Path) -> str:
    """Return a CSV file's text, however a spreadsheet saved it. One that is no text ends the command with 2."""
    try:
        return spreadsheet.decoded(file.read_bytes())[0]
    except (OSError, spreadsheet.SheetWrong) as error:
        words = error.strerror if isinstance(error, OSError) else error
        err.print(f"{file} can't be read: {words}.", highlight=False)
        raise typer.Exit(2) from None


def instant(text: str) -> int:
    """Return a moment that was given on the command line, in microseconds; one that can't be read ends the command."""
    try:
        return instant_of(text)
    except ValueError as error:
        err.print(str(error), highlight=False)
        raise typer.Exit(2) from None
