"""Changes that wait for a person, because they would empty or multiply many listings at once."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from oneshelf.core.instants import from_us

from .base import Json, app, ask_service, err, out, print_json

group = typer.Typer(no_args_is_help=True, help="Changes that are so large that a person looks first.")
app.add_typer(group, name="guard")

Number = Annotated[int, typer.Argument(help="The change's number, from `guard list`.")]


@group.command("list")
def guard_list(
    every: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False, as_json: Json = False
) -> None:
    """The changes that wait, newest first."""
    found = ask_service("guard_list", {"every": every})
    if as_json:
        print_json(found)
        return
    for one in found["waiting"]:
        _tell(one)
    if not found["waiting"]:
        out.print("Nothing waits.")
    limits = found["limits"]
    if not limits["on"]:
        out.print("The guard is off: oneshelf guard limits --on")
        return
    words = f"more than {limits['percent']} % of an account's listings, and {limits['least']} or more"
    out.print(f"It speaks when {words}, would show 0, or {limits['factor']} times as much.", highlight=False)


@group.command("show")
def guard_show(number: Number, as_json: Json = False) -> None:
    """One change: what it does to each account."""
    found = ask_service("guard_list", {"every": True})["waiting"]
    one = next((one for one in found if one["guard_no"] == number), None)
    if one is None:
        err.print(f"There is no change {number}: oneshelf guard list --all")
        raise typer.Exit(1)
    if as_json:
        print_json(one)
        return
    _tell(one)
    for account in one["effect"]:
        counts = account.get("weighed")
        if counts:
            words = f"{counts['to_zero']} to 0, {counts['lower']} lower, {counts['higher']} raised"
            out.print(f"  {account['label'] or account['channel']}: {words}", highlight=False, markup=False)
    if one["held"]:
        out.print(f"  {one['held']} listings show their old number meanwhile.", highlight=False)


def _tell(one: dict[str, Any]) -> None:
    """One change in words."""
    ended = f", {one['state'].lower()} by {one['closed_by']}" if one["state"] != "WAITING" else ""
    until = (
        f", until {from_us(one['lapses_at']):%Y-%m-%d %H:%M} UTC" if one["lapses_at"] and not one["closed_at"] else ""
    )
    out.print(f"{one['guard_no']}  {one['what']}: {one['why']}{until}{ended}", highlight=False, markup=False)


@group.command("approve")
def guard_approve(number: Number, as_json: Json = False) -> None:
    """Let a change that waits happen."""
    done = ask_service("guard_decide", {"guard": number, "approve": True})
    print_json(done) if as_json else out.print("It is done. The numbers are on their way.")


@group.command("refuse")
def guard_refuse(number: Number, as_json: Json = False) -> None:
    """Say no. A change of yours is forgotten; numbers from the shop go on waiting, zeros for a day at most: put the shop right."""
    done = ask_service("guard_decide", {"guard": number, "approve": False})
    if as_json:
        print_json(done)
    elif done["over"]:
        out.print("It is forgotten; nothing was changed.")
    else:
        out.print(
            "The listings keep their numbers until the shop says others, zeros for a day at most. Put the stock right there."
        )


@group.command("limits")
def guard_limits(
    percent: Annotated[
        int | None, typer.Option(help="Speak above this share of an account's listings.", min=0, max=100)
    ] = None,
    least: Annotated[int | None, typer.Option(help="And not below so many listings.", min=1)] = None,
    factor: Annotated[int | None, typer.Option(help="So many times as much counts as multiplied.", min=2)] = None,
    hold_s: Annotated[
        int | None,
        typer.Option(
            "--hold-s", help="Seconds that zeros from the shop wait for you, then go out; 0: not at all.", min=0
        ),
    ] = None,
    on: Annotated[bool | None, typer.Option("--on/--off", help="Whether the guard speaks at all.")] = None,
    as_json: Json = False,
) -> None:
    """Say when the guard speaks; without options, see it."""
    given = {"percent": percent, "least": least, "factor": factor, "hold_s": hold_s, "on": on}
    limits = ask_service("guard_limits", given)
    if as_json:
        print_json(limits)
        return
    words = (
        f"above {limits['percent']} % and {limits['least']} listings or more; ×{limits['factor']} counts as multiplied"
    )
    out.print(
        f"{'On' if limits['on'] else 'Off'}: {words}; zeros from the shop wait {limits['hold_s']} s.", highlight=False
    )
