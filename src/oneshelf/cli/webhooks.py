"""Webhooks that we send: who hears what happened, and what became of telling."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from oneshelf.db.events import KINDS, events
from oneshelf.tenants.accounts import FIRST_TENANT
from oneshelf.webhooks import deliveries, endpoints

from .base import Json, app, ask_service, err, instant, out, print_json, reader, settings_of

group = typer.Typer(no_args_is_help=True, help="Webhooks that Oneshelf sends to your programs.")
app.add_typer(group, name="webhooks")

Number = Annotated[int, typer.Argument(help="The endpoint's number, from `oneshelf webhooks list`.")]
Kinds = Annotated[
    list[str] | None, typer.Option("--kind", help="A kind of event; may be given several times. None: every kind.")
]


@group.command("create")
def webhooks_create(
    url: Annotated[str, typer.Argument(help="Where to send: https://erp.example.com/oneshelf.")],
    kind: Kinds = None,
    about: Annotated[str, typer.Option(help="A word for yourself: whose it is.")] = "",
    as_json: Json = False,
) -> None:
    """Make an endpoint. It hears what happens from now on; its secret is shown this once."""
    done = ask_service("webhook_create", {"url": url, "kinds": kind or [], "about": about})
    if as_json:
        print_json(done)
        return
    out.print(f"Endpoint {done['endpoint']}. Its messages are signed with:", highlight=False)
    out.print(done["secret"], highlight=False, soft_wrap=True)
    out.print(f"Keep it now; it is not shown again. Try it: oneshelf webhooks test {done['endpoint']}", highlight=False)


@group.command("list")
def webhooks_list(as_json: Json = False) -> None:
    """The endpoints, and how well they take what is sent."""
    with reader(settings_of()) as tx:
        found = endpoints.endpoints(tx, FIRST_TENANT)
    if as_json:
        print_json(found)
        return
    table = Table("no", "address", "kinds", "state", "waiting", "failed in a row", "why")
    for one in found:
        kinds = ", ".join(one.kinds) or "every"
        table.add_row(str(one.endpoint), one.url, kinds, one.state, str(one.waiting), str(one.failures), one.why)
    out.print(table if found else "There is no endpoint. Make one: oneshelf webhooks create https://…")


@group.command("show")
def webhooks_show(
    endpoint: Number,
    failing: Annotated[bool, typer.Option("--waiting", help="Only what is still to be taken.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: Json = False,
) -> None:
    """The newest deliveries to an endpoint: what it answered, when the next try is."""
    with reader(settings_of()) as tx:
        known = endpoints.endpoints(tx, FIRST_TENANT, endpoint)
        state = "WAITING" if failing else None
        found = deliveries.deliveries(tx, FIRST_TENANT, endpoint, state=state, limit=limit)
    if not known:
        err.print(f"There is no webhook endpoint {endpoint}. `oneshelf webhooks list` shows them.")
        raise typer.Exit(2)
    if as_json:
        print_json(found)
        return
    table = Table("event", "kind", "happened", "state", "tries", "answer", "next try", "why")
    for one in found:
        said = (str(one.tries), str(one.status or "–"), one.due_at or "–", one.problem)
        table.add_row(str(one.event), one.kind, one.at, one.state, *said)
    out.print(table if found else "Nothing happened yet that it hears of.")


@group.command("change")
def webhooks_change(
    endpoint: Number,
    url: Annotated[str | None, typer.Option(help="Another address.")] = None,
    kind: Kinds = None,
    every_kind: Annotated[bool, typer.Option("--every-kind", help="Every kind of event from now on.")] = False,
    about: Annotated[str | None, typer.Option(help="A word for yourself.")] = None,
    as_json: Json = False,
) -> None:
    """Change an endpoint's address or kinds. What is not named stays."""
    kinds = [] if every_kind else kind
    done = ask_service("webhook_change", {"endpoint": endpoint, "url": url, "kinds": kinds, "about": about})
    print_json(done) if as_json else out.print("Kept.")


@group.command("rotate")
def webhooks_rotate(endpoint: Number, as_json: Json = False) -> None:
    """Make a new secret. For 24 hours each message is signed with both."""
    done = ask_service("webhook_rotate", {"endpoint": endpoint})
    if as_json:
        print_json(done)
        return
    out.print(done["secret"], highlight=False, soft_wrap=True)
    out.print("Keep it now; it is not shown again. The older one signs beside it for 24 hours.")


@group.command("enable")
def webhooks_enable(endpoint: Number, as_json: Json = False) -> None:
    """Send to an endpoint again, what it missed first."""
    done = ask_service("webhook_enable", {"endpoint": endpoint, "enabled": True})
    print_json(done) if as_json else out.print("Enabled. What it missed is on its way.")


@group.command("disable")
def webhooks_disable(endpoint: Number, as_json: Json = False) -> None:
    """Send nothing to an endpoint for now. What happens is kept for it for 30 days."""
    done = ask_service("webhook_enable", {"endpoint": endpoint, "enabled": False})
    print_json(done) if as_json else out.print(f"Disabled. Go on: oneshelf webhooks enable {endpoint}")


@group.command("remove")
def webhooks_remove(endpoint: Number, as_json: Json = False) -> None:
    """Forget an endpoint and what it waits for."""
    done = ask_service("webhook_remove", {"endpoint": endpoint})
    print_json(done) if as_json else out.print("Removed.")


@group.command("test")
def webhooks_test(endpoint: Number, as_json: Json = False) -> None:
    """Send a test event to an endpoint, signed as every other."""
    done = ask_service("webhook_test", {"endpoint": endpoint})
    print_json(done) if as_json else out.print(
        f"Event {done['event']} is on its way. See: oneshelf webhooks show {endpoint}"
    )


@group.command("replay")
def webhooks_replay(
    endpoint: Number,
    event: Annotated[
        list[int] | None, typer.Option("--event", help="An event's number; may be given several times.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Everything from this moment on: 2026-11-29T08:00.")] = None,
    as_json: Json = False,
) -> None:
    """Send events again, under the ids that they had: some, or all since a moment."""
    if bool(event) == bool(since):
        err.print("Say which: --event NUMBER, or --since MOMENT.")
        raise typer.Exit(2)
    at = instant(since) if since else None
    done = ask_service("webhook_replay", {"endpoint": endpoint, "events": event or [], "since": at})
    print_json(done) if as_json else out.print(f"{done['events']} events are on their way again.")


@group.command("events")
def webhooks_events(
    kind: Annotated[str | None, typer.Option(help=f"Only this kind: {', '.join(KINDS)}.")] = None,
    after: Annotated[int, typer.Option(help="Only events after this number.", min=0)] = 0,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 50,
    as_json: Json = False,
) -> None:
    """What happened, the oldest first: kept for 30 days, while an endpoint is there."""
    with reader(settings_of()) as tx:
        found = events(tx, FIRST_TENANT, kind=kind, after=after, limit=limit)
    if as_json:
        print_json(found)
        return
    for one in found:
        ids = ", ".join(f"{name} {value}" for name, value in one.ids.items())
        out.print(f"{one.event}  {one.at}  {one.kind}: {ids}", highlight=False)
