"""Keys to the API: make them, list them, take them back."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from oneshelf.tenants import api_tokens
from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, ask_service, out, print_json, reader, settings_of

group = typer.Typer(no_args_is_help=True, help="Keys to the API: make, list, revoke.")
app.add_typer(group, name="tokens")


@group.command("create")
def tokens_create(
    name: Annotated[str, typer.Argument(help="Who uses it: erp, till, report.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope", help="What it opens: read, all, or stock:read, stock:write …; may be given several times."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a token. It is shown this once: we keep only its hash."""
    done = ask_service("token_create", {"name": name, "scopes": scope or []})
    if as_json:
        print_json(done)
        return
    out.print(f"Token {done['token']} for {done['name']}: {api_tokens.in_short(done['scopes'])}", highlight=False)
    out.print(done["secret"], highlight=False, soft_wrap=True)
    out.print("Keep it now; it is not shown again. Send it as `Authorization: Bearer …` to /api/v1.", highlight=False)


@group.command("list")
def tokens_list(as_json: Json = False) -> None:
    """The tokens, what each opens, and when it was last used (to the hour)."""
    with reader(settings_of()) as tx:
        found = api_tokens.tokens(tx, FIRST_TENANT)
    if as_json:
        print_json(found)
        return
    table = Table("no", "name", "opens", "made", "last used", "revoked")
    for one in found:
        seen = (one.created_at, one.last_used_at or "never", one.revoked_at or "–")
        table.add_row(str(one.token), one.name, api_tokens.in_short(one.scopes), *seen)
    out.print(table if found else "There is no token. Make one: oneshelf tokens create NAME --scope read")


@group.command("revoke")
def tokens_revoke(
    token: Annotated[int, typer.Argument(help="Its number, from `oneshelf tokens list`.")], as_json: Json = False
) -> None:
    """Take a token back, for good. The next call with it is refused."""
    done = ask_service("token_revoke", {"token": token})
    print_json(done) if as_json else out.print(f"Token {done['token']} opens nothing any more.")
