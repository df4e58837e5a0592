"""Tasks: what only a person can do."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from oneshelf.core.instants import to_us
from oneshelf.runtime.clock import SystemClock
from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, ask_service, err, out, print_json, reader, settings_of

group = typer.Typer(no_args_is_help=True, help="Tasks: what only a person can do; done, or put off.")
app.add_typer(group, name="tasks")

Number = Annotated[int, typer.Argument(help="The task's number, from `oneshelf tasks list`.")]


@group.command("list")
def tasks_list(
    severity: Annotated[str, typer.Option(help="Only urgent, warning or notice.")] = "",
    channel: Annotated[str, typer.Option(help="Only of this channel.")] = "",
    kind: Annotated[str, typer.Option(help="Only of this kind.")] = "",
    snoozed: Annotated[bool, typer.Option("--snoozed", help="Those that were put off too.")] = False,
    closed: Annotated[bool, typer.Option("--closed", help="Those that are over instead, the last first.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    as_json: Json = False,
) -> None:
    """What only you can do, the most urgent first. Exit code 1 while something urgent is open."""
    from oneshelf.core.tasks import KINDS, SEVERITIES
    from oneshelf.watch.tasks import count, tasks

    for given, known in ((severity, SEVERITIES), (kind, tuple(KINDS))):
        if given and given not in known:
            err.print(f"{given!r} is none of: {', '.join(known)}", highlight=False)
            raise typer.Exit(2)
    now = to_us(SystemClock().now())
    with reader(settings_of()) as tx:
        found = tasks(
            tx,
            FIRST_TENANT,
            now,
            severity=severity,
            channel=channel,
            kind=kind,
            snoozed=snoozed,
            closed=closed,
            limit=limit,
        )
        counted = count(tx, FIRST_TENANT, now)
    if as_json:
        print_json({"open": counted, "tasks": found})
    else:
        table = Table("no", "how urgent", "what", "channel", "open for", "until", "what to do")
        for one in found:
            until = "" if one.due_at is None else f"{one.due_at:%m-%d %H:%M}{' OVERDUE' if one.overdue else ''}"
            table.add_row(
                str(one.task), one.severity, one.what, one.channel, _age(one.age_s), until, one.command or one.todo
            )
        out.print(table if found else "Nothing is asked of you.")
    if counted["urgent"] and not closed:
        raise typer.Exit(1)


def _age(seconds: int) -> str:
    for name, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {name}"
    return f"{seconds} s"


@group.command("show")
def tasks_show(task: Number, as_json: Json = False) -> None:
    """One task: what it is about, why, what to do, and what ends it."""
    from oneshelf.watch.tasks import task as load

    with reader(settings_of()) as tx:
        one = load(tx, FIRST_TENANT, task, to_us(SystemClock().now()))
    if as_json:
        print_json(one)
        return
    out.print(f"[bold]{one.task}[/bold] {one.severity}: ", end="")
    out.print(one.what, markup=False, highlight=False)
    lines = [
        ("why", one.why),
        ("what to do", one.todo),
        ("command", one.command),
        ("ends", one.ends or f"you say so: oneshelf tasks done {one.task}"),
        ("about", " ".join(filter(None, (one.channel, one.order and f"order {one.order}", one.sku)))),
        ("page", one.page),
        ("opened", f"{one.opened_at:%Y-%m-%d %H:%M} UTC, {_age(one.age_s)} ago"),
        ("until", "" if one.due_at is None else f"{one.due_at:%Y-%m-%d %H:%M} UTC"),
        ("put off until", "" if one.snoozed_until is None else f"{one.snoozed_until:%Y-%m-%d %H:%M} UTC"),
        ("over since", "" if one.closed_at is None else f"{one.closed_at:%Y-%m-%d %H:%M} UTC {one.closed_by}"),
    ]
    for name, text in lines:
        if text:
            out.print(f"  {name}: {text}", markup=False, highlight=False, soft_wrap=True)


@group.command("done")
def tasks_done(
    task: Number,
    anyway: Annotated[
        bool,
        typer.Option(
            "--anyway", help="It is done, and the channels will never say so. What is still so is asked again."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Say that it is done. What ends by itself is not ended by hand: then this says what ends it."""
    _say(ask_service("task_done", {"task": task, "anyway": anyway}), "Task {task} is over.", as_json)


@group.command("snooze")
def tasks_snooze(
    task: Number,
    hours: Annotated[float, typer.Option(help="For so long; 0: not any more.", min=0, max=2160)] = 24,
    as_json: Json = False,
) -> None:
    """Put a task off: it is not listed and not told until then, and told again after it. An overdue one is told all the same."""
    done = ask_service("task_snooze", {"task": task, "for_s": round(hours * 3600)})
    words = (
        "Task {task} is put off until {snoozed_until}."
        if done["snoozed_until"]
        else "Task {task} is not put off any more."
    )
    _say(done, words, as_json)


def _say(done: dict[str, Any], words: str, as_json: bool) -> None:
    print_json(done) if as_json else out.print(words.format(**done), highlight=False)
