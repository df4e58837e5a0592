"""Makes docs/reference/plans.md, from the table that the tests hold the code against, and docs/reference/tasks.md, from the table of kinds."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from oneshelf.core.plan import WORDS, Capability
from oneshelf.core.tasks import KINDS

TABLE = Path(__file__).parent.parent / "tests" / "unit" / "plan_table.py"
PLANS = ("free", "starter", "pro", "agency", "enterprise")


def table() -> dict[str, set[str]]:
    """The table of the tests."""
    spec = importlib.util.spec_from_file_location("plan_table", TABLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, set[str]] = module.TABLE
    return found


def plans_page() -> str:
    rows = ["| | " + " | ".join(plan.title() for plan in PLANS) + " | without it |", "|---" * (len(PLANS) + 2) + "|"]
    for name, has in table().items():
        words, meanwhile = WORDS[Capability(name)]
        cells = " | ".join("yes" if plan in has else "–" for plan in PLANS)
        rows.append(f"| {words} (`{name}`) | {cells} | {meanwhile} |")
    return (
        "# Plans\n\n"
        "What each plan has. Self-hosted, without a plan, everything is on. What happens at a change stands in\n"
        "[the page about plans](../concepts/plans.md).\n\n"
        "This page is generated from the table that the tests hold the code against: `make docs`.\n\n"
        + "\n".join(rows)
        + "\n"
    )


def tasks_page() -> str:
    rows = ["| kind | how urgent | what to do | command | deadline | ends |", "|---|---|---|---|---|---|"]
    for name, kind in sorted(KINDS.items(), key=lambda pair: (pair[1].rank, pair[0])):
        command = f"`{kind.command}`".replace("|", "\\|") if kind.command else ""
        due = "" if kind.due_s is None else f"{kind.due_s // 3600} h"
        rows.append(f"| `{name}` | {kind.severity} | {kind.todo} | {command} | {due} | {kind.ends or 'you say so'} |")
    return (
        "# Kinds of tasks\n\n"
        "What only a person can do. `oneshelf tasks list` shows those that are open, [alerts](../how-to/alerts.md) tell of them. A deadline\n"
        "here holds where the task names none of its own (most of an order have the order's). What ends by itself is not ended by hand.\n\n"
        "This page is generated: `make docs`.\n\n" + "\n".join(rows) + "\n"
    )
