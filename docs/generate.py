"""Writes the pages that are generated: docs/reference/settings.md, cli.md, api.md, channels.md, plans.md and tasks.md,
docs/concepts/simulation.md. Run it when a
setting, a command, what a channel can do, or what the simulator checks changed.

tests/docs fails while a page is behind.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer.main

# Beside this file, whoever runs or loads it.
sys.path.insert(0, str(Path(__file__).parent))

import api
import capabilities
import plan_pages

import simulation
from oneshelf.cli import app
from oneshelf.settings import settings_table

REFERENCE = Path(__file__).parent / "reference"
CONCEPTS = Path(__file__).parent / "concepts"


def settings_page() -> str:
    return (
        "# Settings\n\n"
        "Everything that can be set from outside, by environment variables. A process reads them at its start; a wrong one stops it with\n"
        "its name. Secrets of channels are none of these: they are entered at connecting, and sealed.\n\n"
        "This page is generated: `make docs`.\n\n" + settings_table()
    )


def commands(command: Any, name: str) -> list[tuple[str, Any]]:
    """Every command that does something, by its full name, in the order of the help."""
    inner = getattr(command, "commands", None)
    if inner is None:
        return [(name, command)]
    itself = [(name, command)] if getattr(command, "invoke_without_command", False) else []
    return itself + [one for part, sub in inner.items() for one in commands(sub, f"{name} {part}")]


def cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def argument(parameter: Any) -> str:
    """`SKU`, `[SKU]` where it may be left out, `PARTS...` where there may be several."""
    name = parameter.name.upper() + ("..." if parameter.nargs == -1 else "")
    return name if parameter.required else f"[{name}]"


def command_section(name: str, command: Any) -> str:
    arguments = [argument(p) for p in command.params if p.param_type_name == "argument"]
    rows = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            names = f"`{argument(parameter)}`"
        else:
            names = ", ".join(f"`{one}`" for one in [*parameter.opts, *parameter.secondary_opts])
        plain = parameter.default in (None, False, (), "") or callable(parameter.default)
        rows.append(f"| {names} | {'' if plain else f'`{parameter.default}`'} | {cell(parameter.help)} |")
    lines = [f"## {name}\n", f"{cell(command.help)}\n", f"```text\n{' '.join([name, *arguments, '[options]'])}\n```\n"]
    if rows:
        lines.append("\n".join(["| argument or option | default | what |", "|---|---|---|", *rows]) + "\n")
    return "\n".join(lines)


def commands_page() -> str:
    found = commands(typer.main.get_command(app), "oneshelf")
    return (
        "# Commands\n\n"
        "Every command has `--json` for machines. Exit codes: 0 done and true; 1 something is not as it should be; 2 the command was wrong\n"
        "or can't run.\n\n"
        "This page is generated: `make docs`.\n\n"
        + "\n".join(command_section(name, command) for name, command in found)
    )


def channels_page() -> str:
    return capabilities.page()


def api_page() -> str:
    return api.page()


def plans_page() -> str:
    return plan_pages.plans_page()


def tasks_page() -> str:
    return plan_pages.tasks_page()


def main() -> None:
    (REFERENCE / "api.md").write_text(api_page(), encoding="utf-8")
    (REFERENCE / "settings.md").write_text(settings_page(), encoding="utf-8")
    (REFERENCE / "channels.md").write_text(channels_page(), encoding="utf-8")
    (REFERENCE / "plans.md").write_text(plan_pages.plans_page(), encoding="utf-8")
    (REFERENCE / "tasks.md").write_text(plan_pages.tasks_page(), encoding="utf-8")
    (REFERENCE / "cli.md").write_text(commands_page(), encoding="utf-8")
    (CONCEPTS / "simulation.md").write_text(simulation.page(), encoding="utf-8")


if __name__ == "__main__":
    main()
