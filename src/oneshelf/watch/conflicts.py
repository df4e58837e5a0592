"""Conflicts: more was bought of a SKU than there is. Who got the pieces and why, what else was tried, what a cancel costs (SEMANTICS 6, 7).

In: open lines, levels, feeds, cancels under way. Out: one Conflict a line that gets nothing, the oldest first.
Tables: reads order_line, orders, stock_level, feed, intent, decision. Never: changes a row; decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from oneshelf.channels.abilities import CancelAbility
from oneshelf.core.coverage import why_before
from oneshelf.core.instants import SECOND, iso
from oneshelf.db.tx import Tx
from oneshelf.orders import covering, intents, short
from oneshelf.orders.accounts import load_accounts
from oneshelf.orders.cancel_rate import rate_of
from oneshelf.orders.rows import WALKED, LineRow, OrderRow, load_open_lines, load_orders_by_no
from oneshelf.stock.levels import available_of

#: Orders that got the pieces which one conflict names; the others are counted.
WINNERS_MAX = 5


class Side(msgspec.Struct, frozen=True):
    """One order of a conflict. `placed_at`: its channel's clock; `received_at`: ours. `clock`: "" or why the first is not the channel's
    plain word (clamped: it lay in the future; missing). `place`: in the walk, 1 is first."""

    account_id: int
    account: str
    channel: str
    order_id: str
    line_id: str
    pieces: int
    state: str
    pin: int
    placed_at: str
    received_at: str
    clock: str
    place: int


class Exit(msgspec.Struct, frozen=True):
    """A way in which the line might still be covered, and the pieces found there; 0: tried, nothing there."""

    name: str
    pieces: int
    words: str


class Conflict(msgspec.Struct, frozen=True):
    """One line that gets nothing, and what can be done about it.

    `state`: "grace" (it may still be covered by itself), "open" (a word is due), "asked" (a person has been asked), "wait" or "backorder" (the
    merchant's word), "cancel_waits" (a cancel that may be revoked until `revoke_until`), "cancelling". `settled`: every channel has been heard past this
    purchase, so nobody earlier can still come. `heard_first`: this order was heard before a winner that was bought first.
    """

    sku: str
    oversold: int
    loser: Side
    winners: list[Side]
    winners_in_all: int
    verdict: str
    heard_first: bool
    settled: bool
    state: str
    short_since: str | None
    revoke_until: str | None
    exits: list[Exit]
    cancel_how: str
    rate_now_percent: float | None
    rate_after_percent: float | None
    rate_limit_percent: float | None
    cost: str


def conflicts(
    tx: Tx, tenant_id: int, abilities: Mapping[int, CancelAbility], now: int, *, sku: str = ""
) -> list[Conflict]:
    """Return the open conflicts, the oldest purchase first. `abilities`: what a cancel means, by account; `sku`: only its."""
    rows = tx.all(
        "SELECT DISTINCT sku FROM order_line WHERE tenant_id = :t AND (coverage = 'SHORT' OR state = 'X') AND (:s = '' OR sku = :s) "
        "AND sku <> '' ORDER BY sku",
        t=tenant_id,
        s=sku,
    )
    skus = [row[0] for row in rows]
    if not skus:
        return []
    lines: dict[str, list[LineRow]] = {one: [] for one in skus}
    for line in load_open_lines(tx, tenant_id, skus, states=(*WALKED, "X")):
        lines[line.sku].append(line)
    orders = load_orders_by_no(tx, tenant_id, sorted({line.order_no for some in lines.values() for line in some}))
    k = available_of(tx, tenant_id, skus)
    look = _Look(tx, tenant_id, abilities, orders, now)
    found = [
        look.conflict(line, lines[one], max(0, -k[one]))
        for one in skus
        for line in lines[one]
        if line.coverage == "SHORT" or line.state == "X"
    ]
    return sorted(found, key=lambda one: (one.loser.placed_at, one.loser.order_id, one.loser.line_id, one.sku))


class _Look:
    """What the conflicts of one answer share."""

    def __init__(
        self,
        tx: Tx,
        tenant_id: int,
        abilities: Mapping[int, CancelAbility],
        orders: Mapping[int, OrderRow],
        now: int,
    ) -> None:
        self.tx, self.tenant_id, self.now = tx, tenant_id, now
        self.orders = orders
        self.abilities = abilities
        self.accounts = load_accounts(tx, tenant_id, disconnected=True)
        self.connected = load_accounts(tx, tenant_id)
        self._exits: dict[str, tuple[int, ...]] = {}

    def conflict(self, loser: LineRow, lines: Sequence[LineRow], oversold: int) -> Conflict:
        walk = sorted(lines, key=lambda line: (line.state not in ("R", "S"), covering.open_line(line).key))
        place = {line.key: number for number, line in enumerate(walk, 1)}
        # Lines that hold pieces which this one asks for: all covered ones; the nearest in the walk are the ones it lost to.
        covered = [line for line in walk if line.coverage == "COVERED" and line.key != loser.key]
        nearest = sorted(covered, key=lambda line: (abs(place[line.key] - place[loser.key]), place[line.key]))
        rival = nearest[0] if nearest else None
        order = self.orders[loser.order_no]
        state, revoke_until = self._state(order, loser)
        ability = self.abilities.get(loser.account_id)
        rate = None if ability is None else rate_of(self.tx, self.tenant_id, loser.account_id, ability, self.now)
        counts = rate is not None and bool(rate.counts_against)
        return Conflict(
            sku=loser.sku,
            oversold=oversold,
            loser=self._side(loser, place[loser.key]),
            winners=[self._side(line, place[line.key]) for line in nearest[:WINNERS_MAX]],
            winners_in_all=len(covered),
            verdict=self._verdict(rival, loser),
            heard_first=any(
                self.orders[line.order_no].received_at > order.received_at and line.placed_s <= loser.placed_s
                for line in covered
            ),
            settled=short.is_settled(self.tx, self.tenant_id, order, self.connected),
            state=state,
            short_since=iso(loser.short_since),
            revoke_until=iso(revoke_until),
            exits=self._exits_of(loser, walk),
            cancel_how="person" if ability is None else ability.how,
            rate_now_percent=rate.now_percent if rate is not None and counts else None,
            rate_after_percent=rate.after_percent if rate is not None and counts else None,
            rate_limit_percent=rate.limit_percent if rate is not None else None,
            cost=rate.words() if rate is not None else "",
        )

    def _verdict(self, rival: LineRow | None, loser: LineRow) -> str:
        if rival is None:
            return "Nothing is on hand for anybody: the pieces that were sold are not there."
        won, lost = self.accounts[rival.account_id].label, self.accounts[loser.account_id].label
        why = why_before(covering.open_line(rival), covering.open_line(loser))
        return f"{won} order {rival.order_id} goes before {lost} order {loser.order_id}: {why}."

    def _side(self, line: LineRow, place: int) -> Side:
        order, account = self.orders[line.order_no], self.accounts[line.account_id]
        return Side(
            account_id=line.account_id,
            account=account.label,
            channel=str(account.channel),
            order_id=line.order_id,
            line_id=line.line_id,
            pieces=line.counts.open,
            state=line.state,
            pin=line.pin,
            placed_at=iso(order.placed_at) or "",
            received_at=iso(order.received_at) or "",
            clock=order.placed_note,
            place=place,
        )

    def _state(self, order: OrderRow, line: LineRow) -> tuple[str, int | None]:
        if line.state == "X":
            for intent in intents.of_entity(self.tx, self.tenant_id, "cancel", short.entity(order)):
                if intent.state == "WAITING" and not intent.attempts and line.line_id in intent.payload["lines"]:
                    return "cancel_waits", intent.due_at
            return "cancelling", None
        word = self.tx.one(
            "SELECT word FROM decision WHERE tenant_id = :t AND order_no = :o AND line_id = :l "
            "AND (until_at IS NULL OR until_at > :now)",
            t=self.tenant_id,
            o=line.order_no,
            l=line.line_id,
            now=self.now,
        )
        if word is not None and word[0] in ("wait", "backorder"):
            return str(word[0]), None
        if line.state == "M":
            return "asked", None
        in_grace = self.now < (line.short_since or self.now) + short.GRACE_S * SECOND
        return ("grace" if in_grace else "open"), None

    def _exits_of(self, loser: LineRow, walk: Sequence[LineRow]) -> list[Exit]:
        if loser.sku not in self._exits:
            self._exits[loser.sku] = self._pieces_of(loser.sku)
        elsewhere, incoming, unavailable, held = self._exits[loser.sku]
        key = covering.open_line(loser).key
        unpaid = sum(x.counts.open for x in walk if x.state == "P" and covering.open_line(x).key < key)
        return [
            Exit("other_location", elsewhere, "on hand at locations that do not count; bring them over and count them"),
            Exit("incoming", incoming, "expected; the line is covered by itself when they are on hand"),
            Exit("unavailable", unavailable, "on hand and set apart (damaged, quality control)"),
            Exit("held", held, "kept by hand; a sale goes before, the newest hold gives way by itself"),
            Exit("unpaid", unpaid, "of orders that go first and are not paid; they may lapse"),
            Exit(
                "buffer",
                0,
                "what a rule keeps off a marketplace counts as available: it was sold before this line was short",
            ),
        ]

    def _pieces_of(self, sku: str) -> tuple[int, ...]:
        """Return the pieces on hand elsewhere, incoming, unavailable, held by hand."""
        row = self.tx.one(
            """SELECT CAST(COALESCE(SUM(CASE WHEN counts = 1 THEN 0 ELSE free END), 0) AS BIGINT),
                      CAST(COALESCE(SUM(CASE WHEN counts = 1 THEN incoming ELSE 0 END), 0) AS BIGINT),
                      CAST(COALESCE(SUM(CASE WHEN counts = 1 THEN unavailable ELSE 0 END), 0) AS BIGINT),
                      (SELECT CAST(COALESCE(SUM(pieces), 0) AS BIGINT) FROM manual_hold
                        WHERE tenant_id = :t AND sku = :s AND state = 'OPEN')
                 FROM (SELECT s.incoming, s.unavailable, s.on_hand - s.committed - s.reserved - s.unavailable AS free,
                              CASE WHEN l.active = 1 AND l.in_scope = 1 THEN 1 ELSE 0 END AS counts
                         FROM stock_level s JOIN location l ON l.tenant_id = s.tenant_id AND l.location_id = s.location_id
                        WHERE s.tenant_id = :t AND s.sku = :s) places""",
            t=self.tenant_id,
            s=sku,
        )
        assert row is not None
        return (max(0, int(row[0])), int(row[1]), int(row[2]), int(row[3]))
