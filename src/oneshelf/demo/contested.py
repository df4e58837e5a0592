"""The last piece, sold by two to four channels within seconds, many times over: who gets it, and what everybody else is told.

In: a number of trials, a seed. Out: counts. Each trial is a SKU of its own with one piece; orders go the real way of booking, coverage,
settling, release and the word on a short line, on a real database. Only news and polls are played: each channel is as late as it is.
Never: decides a winner; who ought to win is counted here by the time of purchase alone, without the product's keys.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console

from oneshelf.core.facts import LineSeen, Money, OrderSeen, OrderTotals, Payment
from oneshelf.core.instants import SECOND, from_us, to_us
from oneshelf.core.stock import Entry
from oneshelf.db.store import Store, store_for, transaction
from oneshelf.db.tx import Tx, in_chunks
from oneshelf.orders import releases, short
from oneshelf.orders.batch import Heard
from oneshelf.orders.book import book
from oneshelf.publish.releasing import LOOKED_AT_MAX, release
from oneshelf.stock import ledger
from oneshelf.tenants.accounts import FIRST_TENANT

START = to_us(datetime(2026, 11, 23, 14, 0, 0, tzinfo=UTC))
HUB = 1
#: Account: channel, how late its news comes (seconds), its poll, and how long before it a purchase must lie to be in it.
CHANNELS = {
    HUB: ("shopify", (1.0, 5.0), 60.0, 10.0),
    2: ("amazon", (5.0, 130.0), 120.0, 10.0),
    3: ("ebay", (1.0, 30.0), 60.0, 30.0),
    4: ("etsy", (5.0, 400.0), 300.0, 30.0),
}
#: What a cancellation costs the seller: who loses least goes last (equal to the second).
COSTLIEST_FIRST = ("amazon", "ebay", "etsy", "shopify")
#: The buyers come within so many seconds.
WITHIN_S = 6.0
#: Trials under way at once: their held orders fit into one look.
WAVE = LOOKED_AT_MAX // 4
#: A copy stands in the shop so long after its order was heard, seconds.
IMPORT_S = 2.0
STEP_S = 15.0


class Result(msgspec.Struct):
    """`late_heard`: trials whose winner was not the first to be heard of. `violations`: what must not be, in words."""

    trials: int
    orders: int
    winners: int
    late_heard: int
    losers: int
    verdicts: dict[str, int]
    why: dict[str, int]
    violations: list[str]


class _Bid(msgspec.Struct):
    account_id: int
    order_id: str
    sku: str
    placed_at: int
    heard_at: int


def run(
    trials: int, seed: int, say: Callable[[str], None] = lambda line: None, database_url: str | None = None
) -> Result:
    """Play the trials. A fresh SQLite file in a temporary folder unless a database is given (it must be empty)."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="oneshelf-contested-") as folder:
        store = store_for(database_url or f"sqlite:///{Path(folder) / 'contested.db'}")
        store.open()
        try:
            _lay_out(store, trials)
            now, bids = START, []
            for first in range(0, trials, WAVE):
                wave = [bid for n in range(first, min(trials, first + WAVE)) for bid in _bids(chance, n, now)]
                bids += wave
                now = _play(store, wave, now)
                say(f"{min(trials, first + WAVE)}/{trials} trials sold, heard and settled")
            now += (short.GRACE_S + 60) * SECOND
            with transaction(store) as tx:
                _complete(tx, {account_id: now for account_id in CHANNELS}, now)
                short.decide(tx, FIRST_TENANT, short.Channels(abilities={}), now)
                return _judge(tx, trials, bids)
        finally:
            store.close()


def _lay_out(store: Store, trials: int) -> None:
    t = FIRST_TENANT
    with transaction(store) as tx:
        tx.run(
            "INSERT INTO tenant (tenant_id, name, created_at) VALUES (:t, 'contested', :now)", t=t, now=START - SECOND
        )
        tx.run("INSERT INTO location (tenant_id, location_id, name) VALUES (:t, 'L1', 'Shelf')", t=t)
        for account_id, (channel, *_) in CHANNELS.items():
            tx.run(
                """INSERT INTO account (tenant_id, account_id, channel, external_id, label, state, connected_at, live_at, opened_at)
                   VALUES (:t, :a, :c, 'contested', :c, 'LIVE', :at, :at, :at)""",
                t=t,
                a=account_id,
                c=channel,
                at=START - SECOND,
            )
        for chunk in in_chunks(((t, f"LAST-{n}", f"item-{n}") for n in range(trials)), 1000):
            tx.many("INSERT INTO item (tenant_id, sku, item_id) VALUES (?, ?, ?)", chunk)
        for account_id in CHANNELS:
            base = account_id * 1_000_000
            tx.many(
                "INSERT INTO outlet (tenant_id, outlet_id, account_id, external_id, write_unit, found_at) VALUES (?, ?, ?, ?, ?, ?)",
                [(t, base + n, account_id, f"LAST-{n}", f"LAST-{n}", START - SECOND) for n in range(trials)],
            )
            tx.many(
                "INSERT INTO listing_key (tenant_id, account_id, listing_key, outlet_id) VALUES (?, ?, ?, ?)",
                [(t, account_id, f"sku:LAST-{n}", base + n) for n in range(trials)],
            )
            tx.many(
                "INSERT INTO link (tenant_id, outlet_id, sku, units) VALUES (?, ?, ?, 1)",
                [(t, base + n, f"LAST-{n}") for n in range(trials)],
            )
        entries = [
            Entry(key=f"open:item-{n}:L1", sku=f"LAST-{n}", location_id="L1", reason="first count", on_hand=1)
            for n in range(trials)
        ]
        for start in range(0, trials, 1000):
            ledger.post(tx, t, entries[start : start + 1000], START - SECOND)


def _bids(chance: random.Random, n: int, start: int) -> Iterator[_Bid]:
    """Two to four channels sell the last piece of a SKU within seconds."""
    begin = start + round(chance.uniform(0.0, 60.0) * SECOND)
    for account_id in chance.sample(sorted(CHANNELS), chance.randint(2, 4)):
        _, (least, most), poll_s, visible_s = CHANNELS[account_id]
        placed_at = begin + round(chance.uniform(0.0, WITHIN_S) * SECOND)
        every = round(poll_s * SECOND)
        shown = placed_at + round(visible_s * SECOND)
        due = shown + (START - shown) % every
        heard_at = min(due, placed_at + round(chance.uniform(least, most) * SECOND))
        yield _Bid(account_id, f"T{n}-{account_id}", f"LAST-{n}", placed_at, heard_at)


def _play(store: Store, wave: list[_Bid], start: int) -> int:
    """Hear the wave's orders as they come, poll, release what may leave. Returns the instant at which all of it is settled."""
    coming = sorted(wave, key=lambda bid: (bid.heard_at, bid.order_id))
    until = max(bid.placed_at for bid in wave) + round(420 * SECOND)
    now, place, imports = start, 0, []
    complete = dict.fromkeys(CHANNELS, 0)
    while now < until:
        now += round(STEP_S * SECOND)
        with transaction(store) as tx:
            first = place
            while place < len(coming) and coming[place].heard_at <= now:
                place += 1
            if place > first:
                heard = [_heard(bid) for bid in coming[first:place]]
                book(tx, FIRST_TENANT, heard, now)
                imports += [bid for bid in coming[first:place] if bid.account_id != HUB]
            told = {
                account_id: (now - START) // round(poll_s * SECOND) * round(poll_s * SECOND)
                + START
                - round(visible_s * SECOND)
                for account_id, (_, _, poll_s, visible_s) in CHANNELS.items()
            }
            if place == first and told == complete:
                continue
            complete = told
            _complete(tx, complete, now)
            ready = [bid for bid in imports if bid.heard_at + round(IMPORT_S * SECOND) <= now]
            imports = [bid for bid in imports if bid not in ready]
            for bid in ready:
                _stands_in_the_hub(tx, bid, now)
            release(tx, FIRST_TENANT, now)
    return now


def _heard(bid: _Bid) -> Heard:
    items, nothing = Money(1999, "USD"), Money(0, "USD")
    order = OrderSeen(
        order_id=bid.order_id,
        payment=Payment.PAID,
        lines=(LineSeen(line_id="1", listing_keys=(f"sku:{bid.sku}",), ordered=1, sku=bid.sku, subtotal=items),),
        placed_at=from_us(bid.placed_at),
        updated_at=from_us(bid.placed_at),
        totals=OrderTotals(items=items, shipping=nothing, tax=nothing, discount=nothing, total=items),
    )
    return Heard(bid.account_id, order, bid.heard_at, bid.heard_at, "webhook")


def _complete(tx: Tx, through: dict[int, int], now: int) -> None:
    for account_id, at in through.items():
        tx.run(
            """INSERT INTO feed (tenant_id, account_id, name, cursor, complete_through_at, polled_at, problem, pages)
               VALUES (:t, :a, 'orders', '{}', :at, :now, '', 0)
               ON CONFLICT (tenant_id, account_id, name) DO UPDATE SET complete_through_at = excluded.complete_through_at,
                   polled_at = excluded.polled_at""",
            t=FIRST_TENANT,
            a=account_id,
            at=at,
            now=now,
        )


def _stands_in_the_hub(tx: Tx, bid: _Bid, now: int) -> None:
    """The shop has taken the copy: played, the shop is no part of this."""
    row = tx.one(
        "SELECT order_no FROM orders WHERE tenant_id = :t AND account_id = :a AND order_id = :o",
        t=FIRST_TENANT,
        a=bid.account_id,
        o=bid.order_id,
    )
    if row is None:
        raise LookupError(f"{bid.order_id} was booked and is not there")
    tx.run(
        "UPDATE orders SET hub_order_id = :h, imported_at = :now WHERE tenant_id = :t AND order_no = :o",
        t=FIRST_TENANT,
        h=f"copy-{bid.order_id}",
        now=now,
        o=row[0],
    )
    releases.want(tx, FIRST_TENANT, row[0], now)


def _judge(tx: Tx, trials: int, bids: list[_Bid]) -> Result:
    """Read what was decided, and hold it against the times of purchase."""
    stored = {
        order_id: (coverage, state)
        for order_id, coverage, state in tx.all(
            """SELECT o.order_id, l.coverage, l.state FROM orders o JOIN order_line l
                 ON l.tenant_id = o.tenant_id AND l.order_no = o.order_no WHERE o.tenant_id = :t""",
            t=FIRST_TENANT,
        )
    }
    why = dict(
        tx.all(
            "SELECT why, COUNT(*) FROM release WHERE tenant_id = :t AND state = 'RELEASED' GROUP BY why ORDER BY why",
            t=FIRST_TENANT,
        )
    )
    found = Result(trials, len(bids), 0, 0, 0, {}, why, [])
    of_sku: dict[str, list[_Bid]] = {}
    for bid in bids:
        of_sku.setdefault(bid.sku, []).append(bid)
    for sku, some in of_sku.items():
        some.sort(key=lambda bid: (bid.placed_at // SECOND, COSTLIEST_FIRST.index(CHANNELS[bid.account_id][0])))
        winner = some[0]
        found.late_heard += min(some, key=lambda bid: bid.heard_at) is not winner
        covered = [bid.order_id for bid in some if stored.get(bid.order_id, ("", ""))[0] == "COVERED"]
        if covered != [winner.order_id]:
            found.violations.append(
                f"{sku}: {', '.join(covered) or 'nobody'} got the piece, {winner.order_id} bought first"
            )
            continue
        found.winners += 1
        state = stored[winner.order_id][1]
        if winner.account_id != HUB and state != "R":
            found.violations.append(f"{sku}: {winner.order_id} won and was not released (state {state})")
        for loser in some[1:]:
            coverage, state = stored.get(loser.order_id, ("none", "none"))
            word = {"M": "a person is asked", "X": "a cancel is asked for"}.get(state, state)
            found.losers += 1
            found.verdicts[word] = found.verdicts.get(word, 0) + 1
            if coverage != "SHORT" or state not in ("M", "X"):
                found.violations.append(f"{sku}: {loser.order_id} lost and was not told so ({coverage}, {state})")
    return found


def tell(result: Result, out: Console) -> None:
    """The result for people."""
    verdicts = ", ".join(f"{count:,} {word}" for word, count in sorted(result.verdicts.items()))
    released = ", ".join(f"{count:,} {word}" for word, count in result.why.items())
    out.print(
        f"{result.trials:,} last pieces, {result.orders:,} orders. Who bought first got it: {result.winners:,}; in {result.late_heard:,} of "
        f"them somebody else was heard of first. Released: {released or 'none'}. Losers: {result.losers:,}: {verdicts}.",
        highlight=False,
    )
    for line in result.violations[:20]:
        out.print(line, style="red", highlight=False)
    if result.violations:
        out.print(f"{len(result.violations):,} times it was not so.", style="red", highlight=False)
