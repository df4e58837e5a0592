"""The first sentence of a page: its answer, computed from the figures it stands over. Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec

from oneshelf.watch.explain import Explanation
from oneshelf.watch.lines import OutletLine
from oneshelf.watch.overview import ChannelNow, Overview

from .words import clock, count, listed, number, seconds


class Answer(msgspec.Struct, frozen=True):
    """`tone`: of the mark before it ("" for none)."""

    title: str
    text: str
    tone: str = ""


def overview_answer(o: Overview) -> Answer:
    """Is every number true right now? The worst that is known comes first."""
    if not o.channels:
        return Answer(
            "Nothing is connected yet.",
            "Connect Shopify first, then the marketplaces. No number leaves before you accept a preview.",
        )
    live = [c for c in o.channels if c.state in ("LIVE", "PAUSED")]
    if not live:
        text = f"{count(len(o.channels), 'account is', 'accounts are')} connected. No number leaves before you accept its preview."
        return Answer("No channel is live yet.", text)
    silent = [c for c in live if c.silent_since is not None]
    if silent:
        return _silent(o, silent, [c for c in live if c.silent_since is None])
    tail = _known(live)
    if o.short_lines:
        tail += f" {count(o.short_lines, 'order line is', 'order lines are')} short."
    if o.late:
        text = f"{_right(o)} {count(o.late, 'has', 'have')} waited for more than a minute; we go on, most urgent first.{tail}"
        return Answer(f"{count(o.late, 'number is', 'numbers are')} late.", text, "bad")
    if o.parked:
        one = o.parked == 1
        title = (
            "1 listing does not take its number." if one else f"{number(o.parked)} listings do not take their numbers."
        )
        return Answer(title, f"{_right(o)} {'It waits' if one else 'They wait'} for you.{tail}", "warn")
    if o.unknown:
        text = f"{_right(o)} {count(o.unknown, 'was', 'were')} told and not answered; we read them back before we say more.{tail}"
        return Answer(f"{count(o.unknown, 'number is', 'numbers are')} being read back.", text, "unknown")
    if o.on_their_way:
        return Answer(
            "Every number is true or on its way.",
            f"{_right(o)} {count(o.on_their_way, 'is on its', 'are on their')} way.{tail}",
        )
    if not o.listed:
        return Answer("No listing is linked yet.", "Link listings to SKUs; their numbers appear here.")
    return Answer("Every number is true.", f"All {number(o.listed)} show what they should.{tail}")


def _right(o: Overview) -> str:
    return f"{number(o.right)} of {number(o.listed)} numbers are what they should be."


def _known(channels: list[ChannelNow]) -> str:
    known = [c.complete_through_at for c in channels]
    if any(at is None for at in known):
        return " Not every channel's orders have been read once."
    oldest = min((at for at in known if at is not None), default=None)
    return "" if oldest is None else f" Every order up to {oldest:%H:%M:%S} is known."


def _silent(o: Overview, silent: list[ChannelNow], others: list[ChannelNow]) -> Answer:
    since = min(c.silent_since for c in silent if c.silent_since is not None)
    names = listed(sorted({c.name for c in silent}, key=[c.name for c in silent].index))
    verb = "has" if len(silent) == 1 else "have"
    minutes = seconds_long((o.at - since).total_seconds())
    exposed = sum(c.listed for c in silent)
    text = (
        f"What {count(exposed, 'listing shows', 'listings show')} there is not known; we told them our number last. "
        f"What sells there comes in, in order, when {'it answers' if len(silent) == 1 else 'they answer'}."
    )
    if others:
        wrong = sum(c.late + c.parked + c.unknown for c in others)
        text += (
            " The other channels are true or on their way."
            if not wrong
            else f" Elsewhere {count(wrong, 'number is', 'numbers are')} not as they should be."
        )
    return Answer(f"{names} {verb} not answered for {minutes}.", text, "unknown")


def seconds_long(value: float) -> str:
    """Return a duration in words for a heading: `1 minute`, `14 minutes`, `3 hours`."""
    if value < 5_400:
        return count(max(1, round(value / 60)), "minute")
    return count(round(value / 3_600), "hour") if value < 172_800 else count(round(value / 86_400), "day")


def sku_answer(e: Explanation, now: datetime) -> Answer:
    """How many there are to sell, and who says so."""
    if not e.tracked:
        return Answer("Shopify does not count this item.", f"{e.title}. We never write a number for it.")
    asked = [line for line in e.outlets if line.state not in ("not_linked", "paused")]
    true = [line for line in asked if line.state == "true"]
    available = e.equation.available
    head = (
        f"Oversold by {number(-available)}"
        if available < 0
        else f"{number(available)} to sell"
        if available
        else "Nothing to sell"
    )
    if not asked:
        says = "and no channel shows it"
    elif len(true) == len(asked):
        says = {1: "and its one listing says so", 2: "and both listings say so"}.get(
            len(asked), f"and all {len(asked)} listings say so"
        )
    elif not true:
        says = "and no listing is known to say so" if len(asked) > 1 else "and its listing is not known to say so"
    else:
        says = f"and {len(true)} of {len(asked)} listings {'say' if len(true) > 1 else 'says'} so"
    text = f"{e.title}." if e.title else ""
    for line in asked:
        if line.state != "true":
            text = f"{text} {line_sentence(line, now)}".strip()
            break
    if e.provisional:
        text += (
            f" {count(e.provisional, 'piece is', 'pieces are')} set aside for sales we have seen and not yet heard of."
        )
    tone = "bad" if available < 0 or any(line.state == "shows_more" for line in asked) else ""
    return Answer(f"{head}, {says}.", text, tone)


def line_sentence(line: OutletLine, now: datetime) -> str:
    """Say in one sentence how one outlet stands."""
    name = line.channel_name
    shows = number(line.shows)
    if line.state == "true":
        return f"{name} shows {shows}, as it should."
    if line.state == "on_its_way" and line.told is not None and line.since_at is not None and line.outlet_id:
        return f"{name} was told {number(line.told)} at {clock(line.since_at, now)}: {line.note}."
    if line.state == "on_its_way":
        return f"{name} should show {number(line.should)}: {line.note}."
    if line.state == "not_known":
        told = "" if line.told is None else f"; our last number was {number(line.told)}"
        seen = "" if line.seen_at is None else f" since {clock(line.seen_at, now)}"
        return f"{name} is not known{seen}: {line.note}{told}."
    if line.state == "not_linked":
        return f"{name}: {line.note}."
    if line.state == "paused":
        return f"{name} is {line.word.lower()}: {line.note}."
    return f"{name} shows {shows}, should show {number(line.should)}: {line.note}."


def cell_label(line: OutletLine) -> str:
    """Name one outlet's number in full, for those who hear the page."""
    should = f", should show {number(line.should)}" if line.should is not None and line.shows != line.should else ""
    return f"{line.channel_name} shows {number(line.shows)}{should}, {line.word.lower()}"


def latency_finding(o: Overview) -> str:
    """Title of the latency table: what it found."""
    p = o.sold_to_shown
    if p["p50"] is None:
        return "No sale has travelled yet"
    return f"Half of the last {count(p['n'], 'sale')} showed everywhere within {seconds(p['p50'])}, 95 of 100 within {seconds(p['p95'])}"
