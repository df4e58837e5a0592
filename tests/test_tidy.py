"""What linters cannot see: who may ask the time, what every room says at its door, what no file may hold.

A rule that came late has a list of exceptions; it may only get shorter.
"""

from __future__ import annotations

import ast
import re
import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from oneshelf.db.tables import metadata

ROOT = Path(__file__).parent.parent
PRODUCT = ROOT / "src" / "oneshelf"
EMULATOR = ROOT / "src" / "oneshelf_emulator"

#: Code is read in one sitting; a file of tests is looked things up in.
LINES_MAX = {"src": 600, "tests": 1000}
#: Files that were longer when the rule came, and how long they may be at most.
LONG_FILES = {
    "tests/unit/emulator/test_ebay_emulator.py": 1050,
}
#: Who asks the machine for the time or for chance outside runtime/, and why that is right.
MAY_ASK = {"demo/scenarios.py": "times what buyers see from outside the service, so it needs a clock of its own"}
#: Who may speak on standard output: the command line and what it shows.
MAY_PRINT = ("cli/", "demo/")
#: Words of the glossary's "not" column, and words that say nothing. Connectors may use their marketplace's own.
NOT_OUR_WORDS = {"qty", "warehouse", "master", "helper", "helpers", "manager", "util", "utils"}


@cache
def modules(top: Path) -> list[tuple[str, ast.Module]]:
    """Each module of a folder, parsed once for all rules."""
    paths = sorted(top.rglob("*.py"))
    return [(path.relative_to(top).as_posix(), ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


@pytest.fixture(scope="module", autouse=True)
def _modules_are_kept_for_this_file_only() -> Iterator[None]:
    yield
    modules.cache_clear()


def dotted(node: ast.expr) -> str:
    """`a.b.c` of an attribute chain, "" of anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""


def asks_the_machine(module: ast.Module) -> list[str]:
    """What in this module reads the wall clock or makes chance, with its line."""
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            if name == "random.Random" and node.args:
                continue  # seeded: chance as an argument
            if re.search(r"(^|\.)(datetime|date)\.(now|utcnow|today)$", name) or re.search(
                r"^(time\.time(_ns)?|random\.\w+|uuid\.uuid[14]|uuid[14])$", name
            ):
                found.append(f"{node.lineno}: {name}")
        elif isinstance(node, ast.ImportFrom) and node.module in ("random", "time"):
            found += [f"{node.lineno}: from {node.module} import {a.name}" for a in node.names if a.name != "monotonic"]
    return found


def test_only_the_runtime_asks_the_machine_for_time_and_chance() -> None:
    asking = {
        name: asked
        for name, module in modules(PRODUCT)
        if not name.startswith("runtime/") and (asked := asks_the_machine(module))
    }
    assert set(asking) - set(MAY_ASK) == set(), f"`now` and chance are arguments: {asking}"
    assert set(MAY_ASK) - set(asking) == set(), "no exception is needed there any more: take it off the list"


@pytest.mark.parametrize(
    "line", ["datetime.now(UTC)", "time.time()", "random.random()", "uuid4()", "dt.datetime.utcnow()"]
)
def test_the_machine_is_recognised(line: str) -> None:
    assert asks_the_machine(ast.parse(line)) == [f"1: {line.split('(')[0]}"]


def test_who_waits_no_longer_than_so_long_starts_no_task_for_it() -> None:
    """wait_for makes a task of what it waits for on Python 3.11, and none from 3.12 on: the simulator would play a seed differently on
    two machines. `async with asyncio.timeout(...)` makes none anywhere."""
    waiting = [
        f"{name}:{node.lineno}"
        for top in (PRODUCT, EMULATOR)
        for name, module in modules(top)
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and dotted(node.func).endswith("wait_for")
    ]
    assert waiting == []


def test_only_the_command_line_prints() -> None:
    printing = [
        f"{name}:{node.lineno}"
        for name, module in modules(PRODUCT)
        if not name.startswith(MAY_PRINT)
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and dotted(node.func) in ("print", "sys.stdout.write")
    ]
    assert printing == []


def rooms() -> list[Path]:
    connectors = [p for p in (PRODUCT / "channels").iterdir() if (p / "__init__.py").exists()]
    return [p for p in sorted(PRODUCT.iterdir()) if (p / "__init__.py").exists()] + sorted(connectors)


@pytest.mark.parametrize("room", rooms(), ids=lambda room: room.name)
def test_every_room_has_a_door_plate(room: Path) -> None:
    plate = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""
    missing = [word for word in ("In:", "Out:", "Never:") if word not in plate]
    assert missing == [], f"{room.name}/__init__.py does not say: {missing}"


def test_every_room_is_a_room() -> None:
    """A folder of code without __init__.py would be found by Python and missed by every rule here."""
    without = {
        p.parent.relative_to(ROOT).as_posix() for p in PRODUCT.rglob("*.py") if not (p.parent / "__init__.py").exists()
    }
    assert without <= {"src/oneshelf/db/migrations", "src/oneshelf/db/migrations/versions"}


def test_a_module_is_read_in_one_sitting() -> None:
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for top, most in LINES_MAX.items()
        for path in (ROOT / top).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > most
    }
    grown = {name: lines for name, lines in long.items() if lines > LONG_FILES.get(name, 0)}
    assert grown == {}, f"longer than {LINES_MAX} lines: split it"
    assert set(LONG_FILES) - set(long) == set(), "short enough now: take it off the list"


def test_product_and_emulator_are_strangers() -> None:
    """One mistake must not be made on both sides. import-linter says so too; this also sees imports inside functions and strings."""
    for top, stranger in ((PRODUCT, "oneshelf_emulator"), (EMULATOR, "oneshelf")):
        for name, module in modules(top):
            for node in ast.walk(module):
                imported = []
                if isinstance(node, ast.Import):
                    imported = [a.name for a in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    imported = [node.module or ""]
                elif isinstance(node, ast.Call) and dotted(node.func).endswith("import_module") and node.args:
                    imported = [str(getattr(node.args[0], "value", ""))]
                assert stranger not in [one.split(".")[0] for one in imported], f"{top.name}/{name} imports {stranger}"


def test_our_own_words_are_used() -> None:
    wrong = []
    for name, module in modules(PRODUCT):
        if name.startswith("channels/"):
            continue
        for node in ast.walk(module):
            names = [name.rsplit("/", 1)[-1].removesuffix(".py")] if isinstance(node, ast.Module) else []
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                names = [re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.name)]
            elif isinstance(node, ast.arg):
                names = [node.arg]
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names = [node.id]
            wrong += [f"{name}: {one}" for one in names if NOT_OUR_WORDS & set(one.lower().split("_"))]
    assert wrong == [], "see docs/glossary.md for the word"


# --- the data model ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(metadata.tables))
def test_every_key_begins_with_the_tenant(name: str) -> None:
    assert [c.name for c in metadata.tables[name].primary_key.columns][0] == "tenant_id"


def test_the_migrations_make_the_model_that_the_page_shows(sqlite_migrated: Path) -> None:
    with sqlite3.connect(sqlite_migrated) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        tables = {name for name in tables if name != "alembic_version" and not name.startswith("sqlite_")}
        made = {
            table: {row[1]: row[5] for row in database.execute(f"SELECT * FROM pragma_table_info('{table}')")}
            for table in tables
        }
    database.close()
    assert tables == set(metadata.tables)
    for table, columns in made.items():
        shown = metadata.tables[table]
        assert set(columns) == {column.name for column in shown.columns}, table
        keys = sorted((place, column) for column, place in columns.items() if place)
        assert [column for _, column in keys] == [column.name for column in shown.primary_key.columns], table


# --- what no file may hold ---------------------------------------------------------------------------------------------

#: Each word has one letter in brackets, so that this file does not hold what it looks for.
WORKPLACE = re.compile(
    r"/wor[k]/|/tmp/brie[f]|/tmp/[v]/|sub-?agen[t]|\bclaud[e]\b|\b(?-i:TOD[O]|FIXM[E])\b", re.IGNORECASE
)
READ = {".py", ".md", ".toml", ".html", ".css", ".js", ".cfg", ".ini", ".yml", ".yaml", ".sh", ""}
SKIPPED = {".git", ".venv", "node_modules", "__pycache__", "build", "dist"}


def own_files() -> Iterator[Path]:
    tops = [
        ROOT / one
        for one in (
            "src",
            "tests",
            "docs",
            ".ci",
            "README.md",
            "ARCHITECTURE.md",
            "CHANGELOG.md",
            "Makefile",
            "pyproject.toml",
            ".importlinter",
        )
    ]
    for top in tops:
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and path.suffix in READ and not SKIPPED & set(path.parts):
                yield path


def test_no_file_speaks_of_the_workplace_or_of_later() -> None:
    found = []
    for path in own_files():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if WORKPLACE.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert found == []


def test_nobody_is_promised_what_is_not_there() -> None:
    """No stubs: a function that only raises NotImplementedError is a lie in the contract."""
    stubs = [
        f"{top.name}/{name}:{node.lineno}"
        for top in (PRODUCT, EMULATOR)
        for name, module in modules(top)
        for node in ast.walk(module)
        if isinstance(node, ast.Name) and node.id == "NotImplementedError"
    ]
    assert stubs == []
