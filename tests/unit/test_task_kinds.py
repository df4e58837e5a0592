"""The table of task kinds knows every kind that is opened anywhere, and says what can be typed."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import typer.main

from oneshelf.cli import app
from oneshelf.core.tasks import KINDS, About, Named, command_for, kind_of, named
from oneshelf.orders.lines import _ALERT_TASKS

PRODUCT = Path(__file__).parent.parent.parent / "src" / "oneshelf"

#: Where the kind is worked out, and the kinds that it can be.
WORKED_OUT = {
    "orders/intents.py:intent.kind": {"import", "cancel_copy", "remove", "change_copy", "fulfil_copy", "release_copy", "count"},
    "imports/rerouting.py:intent.kind": {"move_copy"},
    "orders/lines.py:alert": set(_ALERT_TASKS),
    "onboarding/pinned.py:kind": {"pinned_listings", "unmanaged_listings"},
    "shipping/cancelling.py:kind": {"short_decision", "tell_marketplace"},
}  # fmt: skip


def opened() -> tuple[dict[str, set[str]], set[str]]:
    """Return {kind: the files that open it} and the places where it is worked out."""
    trees = {p.relative_to(PRODUCT).as_posix(): ast.parse(p.read_text(encoding="utf-8")) for p in PRODUCT.rglob("*.py")}
    constants: dict[str, set[str]] = {}
    own: dict[tuple[str, str], str] = {}
    for name, tree in trees.items():
        for node in tree.body:
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        own[name, target.id] = node.value.value
                        constants.setdefault(target.id, set()).add(node.value.value)
    found: dict[str, set[str]] = {}
    worked_out: set[str] = set()
    for name, tree in trees.items():
        imported = {
            a.asname or a.name: (node.module or "", a.name)
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for a in node.names
        }
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "open_task"):
                continue
            kind = node.args[3]
            said = ast.unparse(kind)
            if isinstance(kind, ast.Constant):
                found.setdefault(str(kind.value), set()).add(name)
            elif (name, said) in own:
                found.setdefault(own[name, said], set()).add(name)
            elif said in imported:
                module, original = imported[said]
                file = next(f for f in trees if f.endswith(f"{module.rpartition('.')[2]}.py") and (f, original) in own)
                found.setdefault(own[file, original], set()).add(name)
            else:
                worked_out.add(f"{name}:{said}")
    return found, worked_out


def test_every_kind_that_is_opened_is_in_the_table() -> None:
    found, worked_out = opened()
    assert worked_out - set(WORKED_OUT) == set(), "say which kinds it can be"
    kinds = set(found).union(*WORKED_OUT.values())
    assert kinds - set(KINDS) == set(), "say in core/tasks.py what is the same for all tasks of this kind"


@cache
def commands() -> set[str]:
    def walk(command: object, name: str) -> set[str]:
        inner = getattr(command, "commands", None) or {}
        return {name}.union(*(walk(sub, f"{name} {part}") for part, sub in inner.items()))

    return walk(typer.main.get_command(app), "oneshelf")


@pytest.mark.parametrize("name", sorted(KINDS))
def test_what_is_to_be_typed_is_a_command(name: str) -> None:
    kind = KINDS[name]
    plain = [word for word in kind.command.split() if re.fullmatch(r"[a-z][a-z-]*", word)]
    if kind.command:
        assert " ".join(plain[:3]) in commands()
    assert set(re.findall(r"\{(\w+)\}", kind.command)) <= {"subject", "account", "order", "line", "listing", "sku"}
    assert kind.todo and not kind.todo.endswith(".")


@pytest.mark.parametrize(
    ("about", "subject", "what"),
    [
        (About.ACCOUNT, "3", Named(account_id=3)),
        (About.REASON, "3:currency", Named(account_id=3)),
        (About.CHANNEL, "etsy", Named(channel="etsy")),
        (About.ORDER, "3/11-22", Named(account_id=3, order_id="11-22")),
        (About.LINE, "3/11-22/7/MUG/BLUE", Named(account_id=3, order_id="11-22", line_id="7", sku="MUG/BLUE")),
        (About.PARCEL, "3/11-22/gid://shopify/Fulfillment/9", Named(account_id=3, order_id="11-22")),
        (About.LISTING, "outlet:17", Named(outlet_id=17)),
        (About.LISTING, "17", Named(outlet_id=17)),
        (About.SKU, "MUG/BLUE", Named(sku="MUG/BLUE")),
        (About.SERVICE, "", Named()),
        (About.ORDER, "odd", Named()),
        (About.LISTING, "odd", Named()),
    ],
)
def test_a_subject_is_taken_apart(about: About, subject: str, what: Named) -> None:
    assert named(about, subject) == what


def test_the_command_names_what_the_task_is_about() -> None:
    assert (
        command_for(KINDS["short_decision"], "3/11-22/7/MUG") == "oneshelf orders decide 11-22 7 wait|backorder|cancel"
    )
    assert command_for(KINDS["listing_refused"], "outlet:17") == "oneshelf listings retry 17"
    assert command_for(KINDS["buyer_asks_cancel"], "3/11-22") == ""


def test_a_kind_of_a_newer_version_is_shown_all_the_same() -> None:
    assert (kind_of("from_the_future").severity, kind_of("from_the_future").ends) == ("warning", "")
