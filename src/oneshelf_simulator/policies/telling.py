"""The grid for people: a table in Markdown, a picture, and the same as JSON.

In: lines. Out: text. Never: plays anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .bench import CAUSES, NAIVE, TITLES, Line, gap_closed
from .scenarios import SCENARIOS

#: What adaptive offers have to reach: oversold per 10,000 orders and percent of pieces lost in the flash, percent of the gap closed.
FLASH_PER_10K_MAX, FLASH_LOST_MAX, GAP_MIN = 3.0, 0.3, 95.0
_HEAD = (
    "| policy | oversold per 10,000 orders | window | late | race | hand | pieces lost | writes | cancel marks | cost | gap closed |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
)


def markdown(lines: Sequence[Line]) -> str:
    """A table a scenario. The causes are pieces, not rates."""
    parts = []
    for scenario in dict.fromkeys(line.scenario for line in lines):
        some = [line for line in lines if line.scenario == scenario]
        one = some[0]
        parts.append(f"**{SCENARIOS[scenario].title}**: {one.buyers:,} buyers, {one.best:,} pieces could be sold\n")
        parts.extend(_HEAD)
        parts.extend(_row(lines, line) for line in some)
        parts.append("| who knows the future | 0 | | | | | 0 % | | | 0 | 100 % |\n")
    found = bars(lines)
    if found:
        parts += ["**The bars**\n", "| bar | wanted | here | |", "|---|---|---|---|"]
        parts += [f"| {bar} | {wanted} | {here} | {'met' if met else 'not met'} |" for bar, wanted, here, met in found]
    return "\n".join(parts)


def bars(lines: Sequence[Line]) -> list[tuple[str, str, str, bool]]:
    """What the rules have to reach, as far as these lines say: (bar, wanted, here, met)."""
    found: list[tuple[str, str, str, bool]] = []
    adaptive = [line for line in lines if line.policy == "adaptive"]
    strict = [line for line in lines if line.policy == "strict"]
    for line in adaptive:
        if line.scenario == "flash":
            per, lost = line.oversold_per_10k, line.lost_percent
            found.append(
                ("oversold in the flash", f"≤ {FLASH_PER_10K_MAX:g} per 10,000", f"{per:.1f}", per <= FLASH_PER_10K_MAX)
            )
            found.append(("pieces lost in the flash", f"≤ {FLASH_LOST_MAX} %", f"{lost:.2f} %", lost <= FLASH_LOST_MAX))
    for line in adaptive:
        gap = gap_closed(lines, line, NAIVE)
        if gap is not None:
            title = SCENARIOS[line.scenario].title
            found.append((f"gap closed, {title}", f"≥ {GAP_MIN:g} %", f"{gap:.1f} %", gap >= GAP_MIN))
    if adaptive:
        late = sum(line.oversold.get("late", 0) for line in adaptive)
        orders = sum(line.orders for line in adaptive)
        found.append(("adaptive, late", "0", f"{late} in {orders:,} orders", late == 0))
    if strict:
        over, orders = sum(sum(line.oversold.values()) for line in strict), sum(line.orders for line in strict)
        found.append(("strict, oversold", "0", f"{over} in {orders:,} orders", over == 0))
    return found


def _row(lines: Sequence[Line], line: Line) -> str:
    gap = gap_closed(lines, line, NAIVE)
    causes = " | ".join(str(line.oversold.get(cause, 0)) for cause in CAUSES)
    return (
        f"| {TITLES[line.policy]} | {line.oversold_per_10k:.1f} | {causes} | {line.lost_percent:.2f} % | {line.writes:,} "
        f"| {line.marks} | {line.cost:.0f} | {'' if gap is None else f'{gap:.1f} %'} |"
    )


def as_json(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Every figure of the table, and the counts behind it."""
    return [
        {
            **{name: getattr(line, name) for name in line.__struct_fields__},
            "oversold_per_10k": round(line.oversold_per_10k, 2),
            "lost_percent": round(line.lost_percent, 3),
            "cost": round(line.cost, 1),
            "gap_closed_percent": None if (gap := gap_closed(lines, line, NAIVE)) is None else round(gap, 1),
        }
        for line in lines
    ]


_WIDTH, _LEFT, _TOP, _BAR, _SPACE = 860, 250, 46, 13, 14
_COLOURS = {"oversold": "#c2410c", "lost": "#94a3b8"}


def svg(lines: Sequence[Line]) -> str:
    """Bars of cost, one a policy, grouped by scenario: what oversold orders cost and what unsold pieces cost. Root scale, so that small
    ones can be seen."""
    most = max((line.cost for line in lines), default=1.0) or 1.0
    room = _WIDTH - _LEFT - 190

    def wide(cost: float) -> float:
        return room * (cost / most) ** 0.5

    y = _TOP
    parts = []
    for scenario in dict.fromkeys(line.scenario for line in lines):
        parts.append(f'<text x="12" y="{y + 11}" font-weight="600">{SCENARIOS[scenario].title}</text>')
        y += 18
        for line in (one for one in lines if one.scenario == scenario):
            whole = wide(line.cost)
            share = 1.0 - (10_000 * line.lost / max(1, line.buyers)) / line.cost if line.cost else 0.0
            label = f"{line.oversold_per_10k:.1f} oversold · {line.lost_percent:.2f} % lost"
            parts.append(f'<text x="{_LEFT - 8}" y="{y + 11}" text-anchor="end">{TITLES[line.policy]}</text>')
            parts.append(
                f'<rect x="{_LEFT}" y="{y}" width="{whole * share:.1f}" height="{_BAR}" fill="{_COLOURS["oversold"]}"/>'
                f'<rect x="{_LEFT + whole * share:.1f}" y="{y}" width="{whole * (1 - share):.1f}" height="{_BAR}" fill="{_COLOURS["lost"]}"/>'
                f'<text x="{_LEFT + whole + 6:.1f}" y="{y + 11}" fill="#475569">{label}</text>'
            )
            y += _BAR + 4
        y += _SPACE
    head = (
        '<text x="12" y="20" font-size="13" font-weight="600">Cost per 10,000 buyers: 10 × oversold + pieces lost (root scale)</text>'
        f'<rect x="12" y="28" width="10" height="10" fill="{_COLOURS["oversold"]}"/><text x="27" y="37">oversold</text>'
        f'<rect x="90" y="28" width="10" height="10" fill="{_COLOURS["lost"]}"/><text x="105" y="37">pieces lost</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" height="{y}" '
        'font-family="system-ui, sans-serif" font-size="11" fill="#0f172a">'
        f'<rect width="{_WIDTH}" height="{y}" fill="#ffffff"/>{head}{"".join(parts)}</svg>\n'
    )
