"""Conflicts: more was bought than there is. Who got the pieces and why, and what to do about the others."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .base import Json, app, ask_service, err, out, print_json

group = typer.Typer(no_args_is_help=True, help="Orders that lost their pieces to others: why, and what to do.")
app.add_typer(group, name="conflicts")

Order = Annotated[str, typer.Argument(help="The order's id or number as its channel shows it.")]
Line = Annotated[str, typer.Argument(help="Its line; may be left out if only one waits.")]

_STATES = {
    "grace": "may still be covered by itself",
    "open": "a word is due",
    "asked": "you are asked",
    "wait": "you let it wait",
    "backorder": "a backorder",
    "cancel_waits": "a cancel goes out in seconds",
    "cancelling": "its cancel is under way",
}


@group.command("list")
def conflicts_list(sku: Annotated[str, typer.Option(help="Only this SKU.")] = "", as_json: Json = False) -> None:
    """The open conflicts, the oldest purchase first. Exit 1 if a word is due."""
    found = ask_service("conflicts", {"sku": sku})
    if as_json:
        print_json(found)
    else:
        for one in found:
            _print(one)
        if not found:
            out.print("No conflict is open: everybody gets what he bought.")
    raise typer.Exit(1 if any(one["state"] in ("open", "asked") for one in found) else 0)


@group.command("show")
def conflicts_show(order: Order, as_json: Json = False) -> None:
    """One order's conflicts, with both clocks, the exits that were tried, and what a cancel costs."""
    found = [one for one in ask_service("conflicts", {}) if one["loser"]["order_id"] == order]
    if not found:
        err.print(f"Order {order} has no open conflict. `oneshelf conflicts list` shows those that are.")
        raise typer.Exit(2)
    if as_json:
        print_json(found)
        return
    for one in found:
        _print(one)
        for side, name in ((one["loser"], "gets nothing"), *((won, "goes before") for won in one["winners"])):
            clock = f" ({side['clock']} clock)" if side["clock"] else ""
            out.print(
                f"  {side['place']}. {side['account']} {side['order_id']}, {side['pieces']} pieces, {name}: bought {side['placed_at']}"
                f"{clock}, heard {side['received_at']}",
                highlight=False,
            )
        if one["heard_first"]:
            out.print("  It was heard before an order that was bought earlier.")
        for way in one["exits"]:
            out.print(f"  {way['name'].replace('_', ' ')}: {way['pieces']} {way['words']}", highlight=False)
        if one["cost"]:
            out.print(f"  {one['cost']}", highlight=False)


def _print(one: dict[str, Any]) -> None:
    loser = one["loser"]
    until = f" (revoke until {one['revoke_until']})" if one["revoke_until"] else ""
    settled = "" if one["settled"] else "; not every channel is heard past this purchase yet"
    out.print(
        f"[bold]{one['sku']}[/bold] {loser['pieces']} × of {loser['account']} order {loser['order_id']} line {loser['line_id']}: "
        f"{_STATES[one['state']]}{until}{settled}.",
        highlight=False,
    )
    out.print(f"  {one['verdict']}", highlight=False)


@group.command("approve")
def conflicts_approve(order: Order, line: Line = "", as_json: Json = False) -> None:
    """Cancel a line that gets nothing. It is sent in ten seconds; until then `conflicts revoke` takes it back."""
    done = ask_service("conflict_approve", {"order": order, "line": line})
    print_json(done) if as_json else out.print(done["said"], highlight=False)


@group.command("revoke")
def conflicts_revoke(order: Order, line: Line = "", as_json: Json = False) -> None:
    """Take back a cancel that was not sent yet, yours or one that Oneshelf decided."""
    done = ask_service("conflict_revoke", {"order": order, "line": line})
    print_json(done) if as_json else out.print(done["said"], highlight=False)


@group.command("undo")
def conflicts_undo(order: Order, line: Line = "", as_json: Json = False) -> None:
    """Take back "wait" or "backorder" (`oneshelf orders decide`); a pin is taken back by `oneshelf orders unpin`."""
    done = ask_service("conflict_undo", {"order": order, "line": line})
    print_json(done) if as_json else out.print(done["said"], highlight=False)


@group.command("pin")
def conflicts_pin(order: Order, line: Line = "", as_json: Json = False) -> None:
    """Give this line its pieces before all that are not pinned; another line becomes short instead."""
    done = ask_service("pin", {"order": order, "line": line, "word": 1})
    print_json(done) if as_json else out.print(done["said"], highlight=False)
