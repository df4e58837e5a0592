"""The docs say what the code does: links, settings, commands, dependencies, rooms and tables."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main

from oneshelf.cli import app
from oneshelf.core.ids import ChannelName
from oneshelf.db.tables import metadata
from oneshelf.settings import Settings

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.md")])


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", page, re.MULTILINE):
        kept = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(kept.strip().replace(" ", "-"))
    return found


def without_code(page: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there.read_text(encoding="utf-8"))):
            broken.append(target)
    assert broken == []


def test_the_anchor_of_a_heading_is_githubs() -> None:
    assert anchors("## What works and what does not yet\n### `a_b`: C, d") == {
        "what-works-and-what-does-not-yet",
        "a_b-c-d",
    }


@cache
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("page", "made_by"),
    [
        ("settings.md", "settings_page"),
        ("cli.md", "commands_page"),
        ("channels.md", "channels_page"),
        ("api.md", "api_page"),
        ("plans.md", "plans_page"),
        ("tasks.md", "tasks_page"),
    ],
)
def test_generated_pages_are_up_to_date(page: str, made_by: str) -> None:
    written = (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
    assert written == getattr(generator(), made_by)(), f"docs/reference/{page} is behind: make docs"


def test_every_setting_is_documented_and_does_something() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "oneshelf").rglob("*.py"))
    for name in Settings.model_fields:
        assert f"`ONESHELF_{name.upper()}`" in page
        assert re.search(rf"\.{name}\b", code) or name.startswith("poll_"), f"nothing reads {name}"


# --- commands ----------------------------------------------------------------------------------------------------------


def command_lines() -> Iterator[tuple[str, str]]:
    """Every line that a page tells its reader to type and that begins with oneshelf; in blocks, in tables and in sentences."""
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        text = page.read_text(encoding="utf-8")
        if page.name == "cli.md":
            continue
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            for line in block.splitlines():
                for part in re.split(r"&&|\|", line):
                    if part.strip().startswith("oneshelf "):
                        yield name_of(page), part.strip()
        for code in re.findall(r"`(oneshelf [^`\n]+)`", text):
            yield name_of(page), code


@cache
def all_commands() -> Any:
    return typer.main.get_command(app)


def find_command(words: list[str]) -> tuple[Any, list[str]]:
    command = all_commands()
    while words and not words[0].startswith("--") and getattr(command, "commands", None):
        assert words[0] in command.commands, f"there is no command {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize(("page", "line"), sorted(set(command_lines())))
def test_every_command_that_a_page_names_exists(page: str, line: str) -> None:
    words = [word for word in shlex.split(line, comments=True)[1:] if word != "…"]
    command, rest = find_command(words)
    itself = getattr(command, "commands", None) is None or command.invoke_without_command
    assert itself, "a group is no command"
    if command.name == "emulator":
        return  # its options are the emulator's own
    known = {name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]}
    assert {word for word in rest if word.startswith("--")} <= known


def test_the_emulators_options_that_pages_name_exist() -> None:
    source = (ROOT / "src" / "oneshelf_emulator" / "__main__.py").read_text(encoding="utf-8")
    named = set()
    for _, line in command_lines():
        if line.startswith("oneshelf emulator"):
            named |= {word for word in shlex.split(line, comments=True) if word.startswith("--")}
    ports = {f"--{name}-port" for name in ("shopify", "amazon", "ebay", "etsy", "control", "sqs")}
    assert named, "the tutorial starts the emulator with options"
    assert {one for one in named - ports if f'"{one}"' not in source} == {"--help-emulator"} & named


# --- dependencies ------------------------------------------------------------------------------------------------------

#: Packages that are imported under another name, and those that are not imported at all (with the reason in the page).
MODULE_OF = {
    "graphql-core": "graphql",
    "flask-cors": "flask_cors",
    "pydantic-settings": "pydantic_settings",
    "sqlalchemy": "sqlalchemy",
}
NOT_IMPORTED = {"flask", "flask-cors", "tzdata"}


def declared(extra: str | None = None) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    return {re.split(r"[\[>=<~! ]", line)[0] for line in lines}


def imported(top: str) -> set[str]:
    found = set()
    for path in (ROOT / "src" / top).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"oneshelf", "oneshelf_emulator", "oneshelf_simulator"}


def test_what_is_imported_is_declared_and_the_other_way_round() -> None:
    used = imported("oneshelf") | imported("oneshelf_emulator") | imported("oneshelf_simulator")
    assert {MODULE_OF.get(name, name) for name in declared() - NOT_IMPORTED} == used - declared("distances")
    assert declared("distances") <= used


def test_every_dependency_has_its_reason() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]+`) \| ([^|]+) \|", page, re.MULTILINE)
    named = {name for cell, reason in rows if reason.strip() for name in re.findall(r"`([^`]+)`", cell)}
    assert named == declared() | declared("test") | declared("browser") | declared("clients") | declared(
        "mutants"
    ) | declared("distances")


# --- rooms, tables, channels -------------------------------------------------------------------------------------------


def test_architecture_names_every_room_and_only_tables_that_exist() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = {path.parent.name for path in (ROOT / "src" / "oneshelf").glob("*/__init__.py")}
    assert {room for room in rooms if f"`{room}`" not in page} == set()
    section = page.split("## Rooms")[1].split("## The data model")[0]
    owned = {
        name
        for row in re.findall(r"^\| `.*\|([^|]*)\|$", section, re.MULTILINE)
        for name in re.findall(r"\b[a-z_]+\b", row)
    }
    owned -= {"left", "by", "others", "through", "db"}
    assert owned - set(metadata.tables) == set()
    assert set(metadata.tables) - owned == {"counter"}


def test_the_order_of_rooms_is_the_one_that_is_kept() -> None:
    """The same order stands in ARCHITECTURE, in ADR 0004 and in the contract that import-linter keeps."""
    contract = (ROOT / ".importlinter").read_text(encoding="utf-8")
    layers = re.search(r"^layers =\n((?:    .+\n)+)", contract, re.MULTILINE)
    assert layers is not None
    kept = [re.sub(r"[()]", "", line.strip()) for line in layers.group(1).splitlines()]
    for page in ("ARCHITECTURE.md", "docs/adr/0004-onboarding-and-demo-are-rooms.md"):
        told = re.search(r"^    (cli >.*\n.*> core)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
        assert told is not None, page
        assert [" ".join(part.split()) for part in told.group(1).split(">")] == kept, page


@pytest.mark.parametrize("channel", [channel.value for channel in ChannelName])
def test_every_channel_has_its_page_and_says_how_to_connect(channel: str) -> None:
    assert (ROOT / "src" / "oneshelf" / "channels" / channel / "README.md").exists()
    assert f"channels/{channel}/README.md" in (ROOT / "docs" / "how-to" / "connect-a-channel.md").read_text(
        encoding="utf-8"
    )


def test_every_decision_is_on_the_list() -> None:
    listed = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    pages = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert [page.name for page in pages if f"]({page.name})" not in listed] == []
    for page in pages:
        headings = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences", "What would change our mind"], page.name
