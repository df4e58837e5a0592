"""The safe pause: while something is wrong, all accounts at once are frozen, show 0, or keep more back; and one undo."""

from __future__ import annotations

from typing import Annotated

import typer

from .base import Json, app, ask_service, out, print_json

group = typer.Typer(
    no_args_is_help=True, help="While something is wrong: freeze all listings, show 0, or keep more back; and one undo."
)
app.add_typer(group, name="safe-pause")


@group.command("start")
def safe_pause_start(
    freeze: Annotated[bool, typer.Option("--freeze", help="No number leaves any more; orders still come in.")] = False,
    zero_first: Annotated[
        bool, typer.Option("--show-zero-first", help="Every listing shows 0, then it is frozen.")
    ] = False,
    pieces: Annotated[int, typer.Option("--widen", help="Keep so many pieces more off every listing.", min=0)] = 0,
    account: Annotated[
        list[int] | None, typer.Option("--account", help="Only this account; may be given several times.")
    ] = None,
    why: Annotated[str, typer.Option(help="What is wrong, for the journal; no names of people.")] = "",
    as_json: Json = False,
) -> None:
    """Begin a safe pause of all live marketplace accounts, or of some. Rules are not touched; the shop is not either."""
    done = ask_service(
        "safe_pause",
        {"freeze": freeze, "zero_first": zero_first, "pieces": pieces, "account_ids": account or [], "why": why},
    )
    if as_json:
        print_json(done)
        return
    if done["widened"]:
        out.print(f"{pieces} pieces more are kept off the listings of {len(done['widened'])} accounts.")
    if done["zero_first"]:
        out.print(f"The listings of {len(done['frozen'])} accounts are on their way to 0; then no number leaves.")
    for account_id, exposed in done["exposed"].items():
        if not done["zero_first"]:
            out.print(
                f"Account {account_id}: {exposed['showing']} listings go on selling {exposed['pieces']} pieces; "
                f"{exposed['above_offer']} show more than they should, of {exposed['unread']} nobody knows.",
                highlight=False,
            )
    out.print("Put everything back: oneshelf safe-pause undo")


@group.command("show")
def safe_pause_show(as_json: Json = False) -> None:
    """The safe pause that is on. Exit 1 if one is."""
    found = ask_service("safe_pause_state", {})
    if as_json:
        print_json(found)
    elif found is None:
        out.print("No safe pause is on.")
    else:
        why = f": {found['why']}" if found["why"] else ""
        out.print(f"On since {found['since_at']}, by {found['by']}{why}.", highlight=False)
        if found["frozen"]:
            out.print(f"Frozen{' after showing 0' if found['zero_first'] else ''}: accounts {_list(found['frozen'])}")
        if found["widened"]:
            out.print(f"{found['pieces']} pieces more kept back: accounts {_list(found['widened'])}")
    raise typer.Exit(0 if found is None else 1)


@group.command("undo")
def safe_pause_undo(as_json: Json = False) -> None:
    """Put back exactly what was. What you changed at an account meanwhile stays as you left it."""
    done = ask_service("safe_pause_undo", {})
    if as_json:
        print_json(done)
        return
    if done["resumed"]:
        out.print(f"Accounts {_list(done['resumed'])} are resumed: everything is read before a number leaves.")
    if done["narrowed"]:
        out.print(f"Accounts {_list(done['narrowed'])} keep back what their rules say, no more.")
    if done["left"]:
        out.print(f"Accounts {_list(done['left'])} were changed meanwhile and stay as they are.")


def _list(account_ids: list[int]) -> str:
    return ", ".join(str(one) for one in account_ids)
