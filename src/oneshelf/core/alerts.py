"""When a person is told, and in which words. Pure: instants, zones and tasks are arguments.

In: what is to be told. Out: quiet or not, a subject and a text, plain values for a webhook. Never: holds a person's data beyond what the
task says; lets a text of a channel into a header.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from .backoff import backoff_s
from .instants import SECOND, from_us, iso
from .tasks import command_for, kind_of

#: What is not urgent is gathered for so long, and then told in one message.
GATHER_S = 300
#: Two messages to one receiver are at least so far apart; an urgent one too.
GAP_S = 60
#: A deadline is told again so long before it.
NEARING_S = 2 * 3600
#: How many tasks one message names; the others are counted.
NAMED_MAX = 50
#: Waits between tries of one message: doubled from the first to the last, for as long as it is not taken.
RETRY_S_FIRST, RETRY_S_MAX = 30, 3600
_TEXT_MAX = 500


class Told(msgspec.Struct, frozen=True):
    """One stage of one task, as it is told. Instants in microseconds."""

    task: int
    stage: str
    kind: str
    subject: str
    what: str
    why: str
    opened_at: int
    due_at: int | None
    closed_at: int | None

    @property
    def urgent(self) -> bool:
        return self.stage in ("nearing", "overdue") or (self.stage != "closed" and kind_of(self.kind).rank == 0)


class Message(msgspec.Struct, frozen=True):
    """What is sent. `headline` is one line; `data` the same for programs."""

    headline: str
    text: str
    data: dict[str, Any]


def is_quiet(now: int, quiet_from: int | None, quiet_until: int | None, timezone: str) -> bool:
    """Whether this instant lies in the quiet hours: minutes of the local day, the first included, over midnight where they say so.

    >>> is_quiet(0, 22 * 60, 7 * 60, "UTC")
    True
    """
    if quiet_from is None or quiet_until is None or quiet_from == quiet_until:
        return False
    local = from_us(now).astimezone(ZoneInfo(timezone))
    minute = local.hour * 60 + local.minute
    if quiet_from < quiet_until:
        return quiet_from <= minute < quiet_until
    return minute >= quiet_from or minute < quiet_until


def retry_wait_s(attempts: int) -> int:
    """Return the wait after so many tries that were not taken (1 or more), seconds."""
    return int(backoff_s(RETRY_S_FIRST, attempts, RETRY_S_MAX))


def compose(told: Sequence[Told], count: int, base_url: str) -> Message:
    """Make one message of these, the most urgent first. `count`: how many there are in all; `base_url`: where the pages are, or ""."""
    ordered = sorted(
        told, key=lambda one: (not one.urgent, _STAGES.get(one.stage, 0), one.due_at or one.opened_at, one.task)
    )
    urgent = sum(one.urgent for one in ordered)
    if count == 1:
        headline = f"{_stage_words(ordered[0])}: {_line(ordered[0].what, 120)}"
    else:
        headline = f"{count} tasks" + (f", {urgent} urgent" if urgent else "")
    parts = [_paragraph(one) for one in ordered[:NAMED_MAX]]
    if count > len(parts):
        parts.append(f"And {count - len(parts)} more.")
    parts.append("All of them: oneshelf tasks list" + (f", {base_url}/" if base_url else ""))
    return Message(
        headline=f"Oneshelf: {headline}",
        text="\n\n".join(parts) + "\n",
        data={"count": count, "alerts": [_plain(one) for one in ordered[:NAMED_MAX]]},
    )


_STAGES = {"overdue": 0, "nearing": 1, "opened": 2, "closed": 4}


def _stage_words(one: Told) -> str:
    if one.stage == "overdue":
        return "Overdue"
    if one.stage == "nearing":
        return f"Due {_when(one.due_at)}"
    if one.stage == "closed":
        return "Over"
    return "Still to do" if one.stage.startswith("again") else "To do"


def _when(at: int | None) -> str:
    return "" if at is None else f"{from_us(at):%Y-%m-%d %H:%M} UTC"


def _paragraph(one: Told) -> str:
    lines = [f"{_stage_words(one)}: {_line(one.what)} (task {one.task})"]
    if one.stage == "closed":
        return lines[0]
    kind = kind_of(one.kind)
    if one.why:
        lines.append(_line(one.why))
    lines.append(f"What to do: {kind.todo}.")
    if command := command_for(kind, one.subject):
        lines.append(f"  {_line(command)}")
    if one.due_at is not None and one.stage != "nearing":
        lines.append(f"Until {_when(one.due_at)}.")
    return "\n".join(lines)


def _plain(one: Told) -> dict[str, Any]:
    kind = kind_of(one.kind)
    return {
        "task": one.task,
        "stage": one.stage.partition("/")[0],
        "kind": one.kind,
        "severity": kind.severity,
        "urgent": one.urgent,
        "what": _line(one.what),
        "why": _line(one.why),
        "todo": kind.todo,
        "command": command_for(kind, one.subject),
        "subject": one.subject,
        "opened_at": iso(one.opened_at),
        "due_at": iso(one.due_at),
        "closed_at": iso(one.closed_at),
    }


def _line(text: str, most: int = _TEXT_MAX) -> str:
    """One line of it, without control characters: titles and reasons are others' texts."""
    plain = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+", " ", text).strip()
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def nearing_at(due_at: int) -> int:
    """Return when a deadline is told again."""
    return due_at - NEARING_S * SECOND
