"""How long a number really needs to every channel, tried out."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from oneshelf.core.instants import iso
from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, ask_service, out, print_json, reader, settings_of

group = typer.Typer(no_args_is_help=True, help="How long a number really needs to every channel, tried out.")
app.add_typer(group, name="probe")

_WORDS = {
    "shown": "shows it",
    "not_shown": "did not show it in time",
    "unchanged": "its number would not change by one piece",
    "not_live": "is not live",
    "not_linked": "has no listing of it",
    "no_answer": "gave no answer",
}


@group.command("run")
def probe_run(
    sku: Annotated[str, typer.Argument(help="A SKU of which at least one piece is available.")], as_json: Json = False
) -> None:
    """Hold one piece, read every channel until it shows, give the piece back. Exit 1 if one needed more than 30 s."""
    begun = ask_service("probe", {"sku": sku})
    told: set[int] = set()
    while True:
        state = ask_service("probe_state", {"probe_no": begun["probe_no"]})
        if not as_json:
            for seen in state["seen"]:
                if seen["account_id"] not in told:
                    told.add(seen["account_id"])
                    out.print(_line(seen), highlight=False)
        if state["state"] != "RUNNING":
            break
        time.sleep(1.0)
    if as_json:
        print_json(state)
    elif state["problem"]:
        out.print(f"Not finished: {state['problem']}.")
    else:
        out.print(
            "Every number was there within 30 s." if state["within_goal"] else "Not every number was there within 30 s."
        )
    raise typer.Exit(0 if state["within_goal"] else 1)


def _line(seen: dict[str, Any]) -> str:
    line = f"{seen['channel']} (account {seen['account_id']}): {_WORDS[seen['verdict']]}"
    if seen["shown_s"] is not None:
        line += f" after {seen['shown_s']:.1f} s"
    if seen["told_s"] is not None:
        line += (
            f": told after {seen['told_s']:.1f} s (ours), then {seen['effect_s']:.1f} s until it showed (the channel's)"
        )
    return line + (f"; {seen['note']}" if seen["note"] else "")


@group.command("list")
def probe_list(as_json: Json = False) -> None:
    """The probes that were made, the newest first, and which SKU is probed by itself."""
    from oneshelf.watch import probe

    with reader(settings_of()) as tx:
        found, by_itself = probe.probes(tx, FIRST_TENANT), probe.schedule(tx, FIRST_TENANT)
    if as_json:
        next_one = None if by_itself is None else {**msgspec.to_builtins(by_itself), "due_at": iso(by_itself.due_at)}
        print_json({"probes": msgspec.to_builtins(found), "by_itself": next_one})
        return
    table = Table("no", "began", "SKU", "asked by", "state", "seconds until it showed")
    for one in found:
        seconds = ", ".join(
            f"{seen.channel} {seen.shown_s:.1f}"
            if seen.shown_s is not None
            else f"{seen.channel} – {_WORDS[seen.verdict]}"
            for seen in one.seen
        )
        table.add_row(str(one.probe_no), one.began_at, one.sku, one.asked_by, one.state, seconds or one.problem)
    out.print(table if found else "No probe was made yet: oneshelf probe run SKU")
    if by_itself is not None:
        out.print(f"{by_itself.sku} is probed every {by_itself.every_days} days, next at {iso(by_itself.due_at)}.")


@group.command("schedule")
def probe_schedule(
    sku: Annotated[str, typer.Argument(help="The SKU to probe; left out with --off.")] = "",
    every_days: Annotated[int, typer.Option("--days", help="Every so many days.", min=1, max=365)] = 30,
    off: Annotated[bool, typer.Option("--off", help="Probe nothing by itself any more.")] = False,
    as_json: Json = False,
) -> None:
    """Probe a SKU by itself, every thirty days."""
    if bool(sku) == off:
        raise typer.BadParameter("name a SKU, or say --off.")
    done = ask_service("probe_schedule", {"sku": sku, "every_days": every_days})
    words = (
        f"{sku} is probed every {every_days} days, first within the hour." if sku else "Nothing is probed by itself."
    )
    print_json(done) if as_json else out.print(words)
