"""Channel accounts: connect, look, go live."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from oneshelf.tenants.accounts import FIRST_TENANT
from oneshelf.watch.accounts import account_list

from .base import Json, app, ask_service, err, instant, out, print_json, reader, settings_of

group = typer.Typer(no_args_is_help=True, help="Channel accounts: connect, look, go live.")
app.add_typer(group, name="channels")


@group.command("list")
def channels_list(as_json: Json = False) -> None:
    """The connected accounts and how well they are heard."""
    with reader(settings_of()) as tx:
        found = account_list(tx, FIRST_TENANT)
    if as_json:
        print_json(found)
        return
    table = Table("account id", "channel", "external id", "label", "state", "complete through", "problem")
    for one in found:
        names = (str(one.account_id), one.channel, one.external_id, one.label, one.state)
        table.add_row(*names, one.complete_through or "–", one.problem)
    out.print(table)


@group.command("connect")
def channels_connect(
    what: Annotated[
        str,
        typer.Argument(
            help="shopify, amazon, ebay or etsy: sign in in the browser. Or a JSON file {channel, settings, secret, app}; "
            "docs/how-to/connect-a-channel.md says what."
        ),
    ],
    shop: Annotated[str | None, typer.Option(help="Shopify: the shop's address, x.myshopify.com.")] = None,
    app_file: Annotated[
        Path | None,
        typer.Option(help="JSON {settings, app}: your app at the channel. Without it, it is asked for.", exists=True),
    ] = None,
    live: Annotated[
        bool, typer.Option(help="Go live at once if the preview sets at most 20 % of listings to 0.")
    ] = False,
    zeros: Annotated[bool, typer.Option(help="Go live even if more go to 0.")] = False,
    as_json: Json = False,
) -> None:
    """Connect an account: read its catalogue, tie listings by SKU, show what going live would change."""
    from oneshelf.wiring import SIGN_INS

    if what in SIGN_INS:
        _sign_in(what, SIGN_INS[what].app_names, shop, app_file, as_json)
        return
    account = _read_json(Path(what))
    done = ask_service("connect", {"account": account, "live": live, "zeros": zeros})
    if as_json:
        print_json(done)
        return
    for line in done["said"]:
        out.print(line)
    if not done["live"]:
        out.print(f"Look at the preview and go live: oneshelf channels live {done['account_id']} --yes")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        err.print(f"{path} is neither a channel (shopify, amazon, ebay, etsy) nor a file.")
        raise typer.Exit(2) from None
    except ValueError as error:
        err.print(f"{path} is not JSON: {error}")
        raise typer.Exit(2) from None
    if not isinstance(found, dict):
        err.print(f"{path} holds no JSON object.")
        raise typer.Exit(2)
    return found


def _sign_in(channel: str, app_names: Sequence[str], shop: str | None, app_file: Path | None, as_json: bool) -> None:
    """Send the merchant to the channel, and tell what became of it. Secrets come from a file or a prompt, never from arguments."""
    file = app_file or settings_of().apps_file
    given = _read_json(file) if file is not None else {}
    given = given.get(channel, given)
    app_values = dict(given.get("app") or {})
    settings = dict(given.get("settings") or {})
    if shop:
        settings["shop"] = shop
    for name in app_names:
        if not app_values.get(name):
            if as_json or not sys.stdin.isatty():
                err.print(f"{channel.title()} needs its app's {name}: give --app-file or ONESHELF_APPS_FILE.")
                raise typer.Exit(2)
            app_values[name] = typer.prompt(f"{channel.title()} {name}", hide_input="secret" in name or "token" in name)
    begun = ask_service("sign_in", {"channel": channel, "settings": settings, "app": app_values})
    if as_json:
        print_json(begun)
        return
    out.print("Open this address and say yes; you come back to Oneshelf:", highlight=False)
    out.print(begun["url"], highlight=False, soft_wrap=True)
    said = 0
    while True:
        state = ask_service("sign_in_state", {"key": begun["key"]})
        for line in state["said"][said:]:
            out.print(line, highlight=False)
        said = len(state["said"])
        if state["state"] == "failed":
            err.print(f"Not connected: {state['problem']}", highlight=False)
            raise typer.Exit(1)
        if state["state"] == "done":
            out.print(state["next"], highlight=False)
            return
        time.sleep(1.0)


@group.command("check")
def channels_check(
    account_id: Annotated[int | None, typer.Argument(help="One account; without it, all.")] = None,
    as_json: Json = False,
) -> None:
    """What is missing: scopes, subscriptions, queue, locations, features, credentials, polls. Exit 1 if something is."""
    found = ask_service("channels_check", {"account_id": account_id})
    if as_json:
        print_json(found)
    else:
        for one in found:
            out.print(f"[bold]{one['account_id']} {one['channel']}[/bold] {one['label']}, {one['state']}")
            for finding in one["findings"]:
                which = f" ({finding['which']})" if finding.get("which") else ""
                out.print(f"  {'ok' if finding['ok'] else 'NOT'}  {finding['what']}{which}", highlight=False)
                if not finding["ok"]:
                    out.print(f"       {finding.get('todo', '')}", highlight=False)
        if not found:
            out.print("No account is connected.")
    raise typer.Exit(0 if found and all(one["ok"] for one in found) else 1)


@group.command("reread")
def channels_reread(
    account_id: Annotated[int, typer.Argument(help="The account's number, from `oneshelf channels list`.")],
    as_json: Json = False,
) -> None:
    """Read an account's whole catalogue again. A reading that was interrupted goes on where it stopped; Ctrl-C leaves it running."""
    state = ask_service("reread", {"account_id": account_id})
    shown = ""
    while state["busy"]:
        line = f"{state.get('read', 0)} of {state.get('total') or '?'} listings read"
        if line != shown and not as_json:
            out.print(line, highlight=False)
        shown = line
        time.sleep(0.5)
        state = ask_service("reread_state", {"account_id": account_id})
    if as_json:
        print_json(state)
    elif not state["problem"]:
        out.print(
            f"{state['read']} listings read: {state['new']} new, {state['linked']} linked, {state['gone']} gone; "
            f"{state['booked']} waiting orders booked."
        )
    if state["problem"]:
        err.print(f"Not read to the end: {state['problem']} It goes on by itself in ten minutes.", highlight=False)
        raise typer.Exit(1)


@group.command("reread-orders")
def channels_reread_orders(
    account_id: Annotated[int, typer.Argument(help="The account's number, from `oneshelf channels list`.")],
    since: Annotated[
        str, typer.Option(help="From when on: 2026-11-20 (its first moment, UTC), or a moment. At most 60 days back.")
    ],
    as_json: Json = False,
) -> None:
    """Read again every order that changed from a day on. What is known changes nothing. A reading that was interrupted goes on where it
    stopped; Ctrl-C leaves it running. Exit 1 if it stands."""
    wanted = {"account_id": account_id, "since": instant(since)}
    state = ask_service("orders_again", wanted)
    shown = ""
    while not state["done"] and not state["problem"]:
        line = f"{state['orders_read']} orders read on {state['pages']} pages"
        if line != shown and not as_json:
            out.print(line, highlight=False)
        shown = line
        time.sleep(0.5)
        state = ask_service("orders_again_state", wanted)
    if as_json:
        print_json(state)
    elif state["done"]:
        out.print(f"{state['orders_read']} orders read; {state['messages_new']} messages were not known yet.")
    if not state["done"]:
        err.print(
            f"It stands: {state['problem']}. It is tried again every minute while the service runs.", highlight=False
        )
        raise typer.Exit(1)


@group.command("disconnect")
def channels_disconnect(
    account_id: Annotated[int, typer.Argument(help="The account's number, from `oneshelf channels list`.")],
    yes: Annotated[bool, typer.Option("--yes", help="Disconnect now; what the listings show stays as it is.")] = False,
    zero: Annotated[bool, typer.Option("--zero", help="First let every listing of the account show 0.")] = False,
    as_json: Json = False,
) -> None:
    """Disconnect an account. Its orders, listings and links stay, its credentials are deleted; connecting again goes on with them."""
    if yes and zero:
        err.print("--zero comes first; when the listings show 0, disconnect with --yes.")
        raise typer.Exit(2)
    done = ask_service("disconnect", {"account_id": account_id, "yes": yes, "zero": zero})
    if as_json:
        print_json(done)
        return
    if done["disconnected"]:
        for finding in done["findings"]:
            if not finding["ok"]:
                out.print(f"{finding['what']}: {finding['todo']}", highlight=False)
        out.print(f"Disconnected. {done['showing']} listings go on showing a number above 0 that nobody corrects now.")
    elif zero:
        out.print(
            f"{done['showing']} listings are on their way to 0. Then: oneshelf channels disconnect {account_id} --yes"
        )
    else:
        out.print(
            f"{done['showing']} listings show a number above 0 and would keep it, and nobody would correct it.\n"
            f"Let them show 0 first: oneshelf channels disconnect {account_id} --zero\n"
            f"As they are: oneshelf channels disconnect {account_id} --yes"
        )


@group.command("pause")
def channels_pause(
    account_id: Annotated[int, typer.Argument(help="The account's number, from `oneshelf channels list`.")],
    zero_first: Annotated[
        bool, typer.Option("--show-zero-first", help="First let every listing of the account show 0.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Let no number leave for an account. Its orders still come in; what its listings show goes on selling."""
    done = ask_service("pause", {"account_id": account_id, "zero_first": zero_first})
    if as_json:
        print_json(done)
        return
    if done["paused"]:
        out.print("Paused. Orders still come in; no number goes out.")
    else:
        out.print(
            f"{done['showing']} listings are on their way to 0; the account is paused once all of them were seen there."
        )
    if done["paused"] and done["showing"]:
        out.print(f"{done['showing']} listings go on showing a number above 0, {done['pieces']} pieces in all.")
    if done["paused"] and done["unread"]:
        out.print(f"{done['unread']} listings were never read; nobody knows what they show.")
    if done["paused"] and done["above_offer"]:
        named = ", ".join(f"{one['listing']} ({one['shows']}, should be {one['offer']})" for one in done["too_many"])
        out.print(f"{done['above_offer']} show more than they should: {named}", highlight=False)
    out.print(f"Resume: oneshelf channels resume {account_id}")


@group.command("resume")
def channels_resume(
    account_id: Annotated[int, typer.Argument(help="The account's number, from `oneshelf channels list`.")],
    as_json: Json = False,
) -> None:
    """Let an account's numbers leave again. Every listing is read before anything is written."""
    done = ask_service("resume", {"account_id": account_id})
    print_json(done) if as_json else out.print(
        f"Resumed. {done['to_be_read']} listings are read before a number leaves."
    )


@group.command("live")
def channels_live(
    account_id: Annotated[int, typer.Argument(help="The account's number, from `oneshelf channels list`.")],
    yes: Annotated[bool, typer.Option("--yes", help="Accept the preview.")] = False,
    zeros: Annotated[bool, typer.Option("--zeros", help="Accept that more than 20 % of the listings go to 0.")] = False,
    as_json: Json = False,
) -> None:
    """Show what going live would change; with --yes, go live."""
    shown = ask_service("live", {"account_id": account_id, "yes": yes, "zeros": zeros})
    if as_json:
        print_json(shown)
        return
    out.print(
        f"{shown['linked']} listings linked: {shown['right']} right, {shown['lower']} lower, {shown['to_zero']} to 0, {shown['higher']} higher; {shown['unlinked']} not linked."
    )
    out.print("Live." if shown["live"] else f"Go live: oneshelf channels live {account_id} --yes")


@group.command("link")
def channels_link(
    outlet_id: Annotated[int, typer.Argument(help="The listing's number, from its task or `oneshelf explain`.")],
    parts: Annotated[
        list[str], typer.Argument(help="What one unit takes from the shelf: SKU or SKU=pieces, several for a bundle.")
    ],
    as_json: Json = False,
) -> None:
    """Tie a listing to what one unit of it takes from the shelf; orders that waited for it are booked."""
    tied: dict[str, int] = {}
    for part in parts:
        sku, _, pieces = part.rpartition("=") if "=" in part else (part, "", "1")
        if not pieces.isdigit() or int(pieces) < 1:
            err.print(f"{part!r}: write SKU=pieces with at least 1 piece.")
            raise typer.Exit(2)
        tied[sku] = int(pieces)
    done = ask_service("link", {"outlet_id": outlet_id, "parts": tied})
    print_json(done) if as_json else out.print(f"Linked. {done['orders_booked']} waiting orders were booked.")
