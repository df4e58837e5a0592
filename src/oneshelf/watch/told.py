"""An explanation in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from .explain import Explanation

#: How many entries a person is shown; --json has more.
ENTRIES_SHOWN = 12


def print_explanation(explanation: Explanation, out: Console) -> None:
    """Print the equation, each outlet's ladder, and the newest entries."""
    e = explanation.equation
    out.print(f"[bold]{explanation.sku}[/bold]  {explanation.title}", highlight=False)
    out.print(
        f"{e.on_hand} on hand − {e.committed} committed − {e.reserved} reserved − {e.unavailable} unavailable = "
        f"[bold]{e.available} available[/bold]" + (f"  (oversold by {e.oversold})" if e.oversold else ""),
        highlight=False,
    )
    for outlet in explanation.outlets:
        shows = "not known" if outlet.shows is None else str(outlet.shows)
        should = "–" if outlet.should is None else str(outlet.should)
        out.print(f"\n{outlet.channel_name} shows {shows}, should show {should}: {outlet.word}", highlight=False)
        if outlet.note:
            out.print(f"  {outlet.note}", highlight=False)
        if outlet.ladder is not None:
            for term in outlet.ladder.terms:
                out.print(
                    f"  {term.amount:>+6}  {term.name}{': ' + term.reason if term.reason else ''}", highlight=False
                )
            for rule in outlet.ladder.rules:
                lost = f"   ({rule.lost})" if rule.lost else ""
                sign = "·" if rule.lost else "▸"
                out.print(f"  {sign} {rule.for_what}: {rule.says}{lost}", highlight=False, markup=False)
            for change in outlet.ladder.would_change:
                out.print(f"  {change.setting} → {change.offer}", highlight=False, markup=False)
    for channel in explanation.not_linked:
        out.print(f"\n{channel.title()}: not linked", highlight=False)
    table = Table(title="What happened", title_justify="left")
    for name in ("when", "what", "on hand", "committed", "reserved", "by"):
        table.add_column(name)
    for entry in explanation.entries[:ENTRIES_SHOWN]:
        table.add_row(
            f"{entry.posted_at:%Y-%m-%d %H:%M:%S}",
            entry.reason,
            *(f"{n:+d}" if n else "" for n in (entry.on_hand, entry.committed, entry.reserved)),
            entry.source,
        )
    out.print(table)
    for task in explanation.tasks:
        out.print(f"◆ {task.what}: {task.why}", highlight=False)
