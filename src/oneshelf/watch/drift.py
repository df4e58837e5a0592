"""Where numbers drifted from ours, by cause, and what is open now (SEMANTICS 9.4).

In: a span of time. Out: counts by cause, channel and day; the SKUs it happens to most; differences that are not explained yet.
Tables: reads journal, provisional, slot, hub_level, task. Never: calls a fact drift (a sale that a read showed first is none).
"""

from __future__ import annotations

import json
from collections import Counter
from typing import NamedTuple

import msgspec

from oneshelf.core.instants import from_us, iso
from oneshelf.db.tx import Tx
from oneshelf.publish.price_slots import FOUGHT as PRICE_FOUGHT
from oneshelf.publish.price_slots import NEVER_SEEN as PRICE_NEVER_SEEN
from oneshelf.publish.resting import EDITED, FOUGHT, NEVER_SEEN

from .accounts import accounts_now

#: SKUs that the report names.
NAMED_MAX = 10


class Cause(NamedTuple):
    """A cause of drift: what it is called, and what we do about it."""

    name: str
    words: str
    done: str


HUB_EDIT = Cause("hub_edit", "Stock was edited in Shopify", "taken over: the shelf moved, every listing followed")
HOLD_UNDONE = Cause("hold_undone", "Held pieces were given back in Shopify", "let be: they are not held again")
RAISED = Cause("raised", "A listing showed more than any order explains", "told its number again; stock did not move")
FALLEN = Cause(
    "fallen", "A listing showed fewer and no order came", "searched for an order, then told its number again"
)
PRICE = Cause("price", "A listing asked another price than it was told", "told its price again")
NOT_SEEN = Cause("not_seen", "A number or price was accepted three times and never shown", "parked with a task")
FOUGHT_OVER = Cause(
    "fought_over", "Someone or something else writes there", "parked with a task: nobody repairs for ever"
)

#: The journal's words → cause.
_JOURNAL = {
    "Stock was edited in Shopify": HUB_EDIT,
    "Held pieces were given back in Shopify": HOLD_UNDONE,
    "Drift +: a listing showed more than any order explains": RAISED,
    "Drift −: a listing showed fewer than believed and no order came": FALLEN,
    "A listing asked another price than it was told": PRICE,
}

#: Kinds of tasks → cause.
_TASKS = {
    FOUGHT: FOUGHT_OVER,
    EDITED: FOUGHT_OVER,
    PRICE_FOUGHT: FOUGHT_OVER,
    NEVER_SEEN: NOT_SEEN,
    PRICE_NEVER_SEEN: NOT_SEEN,
}


class Counted(msgspec.Struct, frozen=True):
    """How often one cause was found at one channel on one day (UTC). `pieces`: the sum of the differences where they are known."""

    cause: str
    words: str
    done: str
    channel: str
    day: str
    times: int
    pieces: int


class OpenNow(msgspec.Struct, frozen=True):
    """A difference that is not settled yet, and what it waits for."""

    channel: str
    what: str
    subject: str
    pieces: int
    since: str | None
    waits_for: str


class DriftReport(msgspec.Struct, frozen=True):
    """The whole report. `most`: [SKU or listing, times]. `sales_heard_by_number`: reads that showed a sale before its order came: no drift."""

    since: str
    until: str
    counted: list[Counted]
    most: list[tuple[str, int]]
    open_now: list[OpenNow]
    sales_heard_by_number: int


def drift_report(tx: Tx, tenant_id: int, since: int, until: int) -> DriftReport:
    """Report what drifted in [since, until), microseconds."""
    channel_of = {account.account_id: account.channel for account in accounts_now(tx, tenant_id)}
    counts: Counter[tuple[Cause, str, str]] = Counter()
    pieces: Counter[tuple[Cause, str, str]] = Counter()
    most: Counter[str] = Counter()
    rows = tx.all(
        "SELECT at, what, subject, detail FROM journal WHERE tenant_id = :t AND at >= :s AND at < :u AND what {in:known} ORDER BY line_no",
        t=tenant_id,
        s=since,
        u=until,
        known=sorted(_JOURNAL),
    )
    outlets = _outlets(tx, tenant_id, {subject for _, _, subject, _ in rows})
    for at, what, subject, detail in rows:
        said = json.loads(detail)
        account_id, name = outlets.get(subject, (0, subject.partition(":")[2]))
        channel = channel_of.get(account_id, "shopify" if subject.startswith("sku:") else "")
        where = (_JOURNAL[what], channel, f"{from_us(at):%Y-%m-%d}")
        counts[where] += 1
        pieces[where] += int(said.get("pieces") or said.get("listings") or 0)
        most[str(said.get("sku") or name)] += 1
    for kind, kind_at, subject in tx.all(
        "SELECT kind, opened_at, subject FROM task WHERE tenant_id = :t AND kind {in:kinds} AND opened_at >= :s AND opened_at < :u",
        t=tenant_id,
        kinds=sorted(_TASKS),
        s=since,
        u=until,
    ):
        account_id, _ = _outlets(tx, tenant_id, {subject}).get(subject, (0, ""))
        counts[_TASKS[kind], channel_of.get(account_id, ""), f"{from_us(kind_at):%Y-%m-%d}"] += 1
    heard = tx.one(
        "SELECT COUNT(*) FROM provisional WHERE tenant_id = :t AND state = 'CONSUMED' AND read_at >= :s AND read_at < :u",
        t=tenant_id,
        s=since,
        u=until,
    )
    return DriftReport(
        iso(since) or "",
        iso(until) or "",
        [
            Counted(cause.name, cause.words, cause.done, channel, day, times, pieces[cause, channel, day])
            for (cause, channel, day), times in sorted(
                counts.items(), key=lambda one: (one[0][2], one[0][1], one[0][0])
            )
        ],
        most.most_common(NAMED_MAX),
        _open_now(tx, tenant_id, channel_of),
        0 if heard is None else int(heard[0]),
    )


def _outlets(tx: Tx, tenant_id: int, subjects: set[str]) -> dict[str, tuple[int, str]]:
    """Return {"outlet:N": (account, its name at the channel)}."""
    ids = [int(subject[7:]) for subject in subjects if subject.startswith("outlet:")]
    rows = tx.all(
        "SELECT outlet_id, account_id, external_id FROM outlet WHERE tenant_id = :t AND outlet_id {in:ids}",
        t=tenant_id,
        ids=sorted(ids),
    )
    return {f"outlet:{outlet_id}": (account_id, name) for outlet_id, account_id, name in rows}


def _open_now(tx: Tx, tenant_id: int, channel_of: dict[int, str]) -> list[OpenNow]:
    found = []
    for account_id, sku, pieces, read_at in tx.all(
        "SELECT account_id, sku, pieces, read_at FROM provisional WHERE tenant_id = :t AND state = 'OPEN' ORDER BY read_at, prov_id",
        t=tenant_id,
    ):
        what = "shows fewer than any order explains; the pieces are reserved"
        waits = "its order, or a feed that is complete past the read"
        found.append(OpenNow(channel_of.get(account_id, ""), what, sku, -pieces, iso(read_at), waits))
    for account_id, name, odd, odd_since in tx.all(
        """SELECT s.account_id, o.external_id, s.odd, s.odd_since FROM slot s
             JOIN outlet o ON o.tenant_id = s.tenant_id AND o.outlet_id = s.outlet_id
            WHERE s.tenant_id = :t AND s.odd_since IS NOT NULL ORDER BY s.odd_since, s.outlet_id""",
        t=tenant_id,
    ):
        what = "shows more than any order explains"
        waits = "a cancel or a return that may be on its way"
        found.append(OpenNow(channel_of.get(account_id, ""), what, name, odd, iso(odd_since), waits))
    for sku, location_id, odd, odd_since in tx.all(
        "SELECT sku, location_id, odd, odd_since FROM hub_level WHERE tenant_id = :t AND odd_since IS NOT NULL ORDER BY odd_since, sku",
        t=tenant_id,
    ):
        what = f"the shop's number at {location_id} is beside every explanation"
        found.append(OpenNow("shopify", what, sku, odd, iso(odd_since), "a feed that is complete past the read"))
    return found
