"""The command line. Each command says what it did, has --json for machines, and an exit code that means something.

0: done and true. 1: something is not as it should be (a breach, an outcome that is not the user's). 2: the command was wrong or can't run.

In: arguments and ONESHELF_ settings. Out: words for people, JSON for machines.
Tables it owns: none (a command that changes something is carried out by `web/commands`).
Never: writes beside a running service; takes a secret as an argument.
Read next: base.py; one module a group of commands.
"""

# ruff: noqa: F401  (what is imported is a group of commands)

from __future__ import annotations

import signal
import sys
from typing import Any

from oneshelf.core.errors import OneshelfError

# The order of the help.
from . import (
    alerts,
    backup,
    bench,
    bundles,
    channels,
    conflicts,
    customers,
    guard,
    holds,
    inbox,
    key,
    listings,
    locations,
    orders,
    plans,
    price_rules,
    prices,
    privacy,
    probe,
    rates,
    routing,
    rules,
    running,
    safe_pause,
    sales,
    shelf,
    sim,
    tasks,
    tokens,
    truth,
    webhooks,
)
from .base import app, err

__all__ = ["app", "main"]


def _on_terminate(*_: Any) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run a command; what stops it is said in one line, not in a traceback. SIGTERM ends it as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _on_terminate)
    try:
        app(standalone_mode=True)
    except OneshelfError as error:
        err.print(f"[bold]Stopped.[/bold] {error}", highlight=False)
        sys.exit(2)
