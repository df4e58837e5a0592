"""One order's route: what is known of each location, asked of core/routing, and kept with its reasons.

In: lines with their pieces, levels, the buyer's address. Out: a decision, stored by version; the newest is the one in force.
Tables it owns: route.
Never: keeps the address, or a distance finer than ten kilometres; moves anything.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from oneshelf.core import routing as rules
from oneshelf.core.facts import Address
from oneshelf.core.instants import SECOND
from oneshelf.core.routing import Candidate, Said, Wanted
from oneshelf.core.stock import Level
from oneshelf.db.tx import Tx
from oneshelf.listings.risk import locations_of

from . import locations, places, policy
from .locations import LocationNow
from .policy import Policy

#: States of a route. WANTED: the hub is to be told; the others are ends.
WANTED, DONE, REFUSED, OVERRULED, OVER = "WANTED", "DONE", "REFUSED", "OVERRULED", "OVER"


#: Why the way to the buyer is not known, when a later word of the marketplace may change that.
NO_ADDRESS = places.NO_ADDRESS


class Decision(msgspec.Struct):
    """One version of an order's route. `places`: line key → location id; `excluded`: location id → why it was not asked, of this order.

    `distance_from`: what the way was measured to ("city", "postal area"); '' unknown, with `distance_why`.
    """

    order_no: int
    version: int
    decided_at: int
    why: str
    places: dict[str, str]
    said: list[Said]
    excluded: dict[str, str] = {}
    distance_from: str = ""
    distance_why: str = ""
    state: str = WANTED
    reason: str | None = None
    settled_at: int | None = None
    short: list[str] = []


class _Reasons(msgspec.Struct):
    """What is kept in `said`: the criteria's words, and what could not be known."""

    criteria: list[Said]
    distance_why: str = ""
    short: list[str] = []


class Router:
    """What one batch of decisions needs, loaded once. Decisions made with it count against the day's capacity at once."""

    def __init__(self, tx: Tx, tenant_id: int, now: int, in_force: Policy) -> None:
        self.policy = in_force
        self.now = now
        self.locations = [one for one in locations.locations(tx, tenant_id) if one.counts]
        self._serving = locations_of(tx, tenant_id)
        self._taken = {
            one.location_id: _taken_today(tx, tenant_id, one, now) for one in self.locations if one.capacity is not None
        }

    def decide(
        self,
        order_no: int,
        account_id: int,
        wanted: Sequence[Wanted],
        levels: Mapping[tuple[str, str], Level],
        address: Address | None,
        why: str,
        *,
        version: int = 1,
        own: Mapping[tuple[str, str], int] | None = None,
        excluded: Mapping[str, str] | None = None,
        used: Collection[str] = (),
    ) -> Decision:
        """Decide for these lines. `own`: pieces of this very order at (SKU, location), which do not count against it; `used`:
        locations that send another part of it."""
        place = places.place_of(address) if "distance" in self.policy.criteria else places.Place(None)
        without = dict(excluded or {})
        candidates = [
            self._candidate(one, account_id, wanted, levels, place, own or {}, without.get(one.location_id, ""))
            for one in self.locations
        ]
        route = rules.decide(
            wanted, candidates, criteria=self.policy.criteria, split=self.policy.split, used=frozenset(used)
        )
        self._count(wanted, route.places, used)
        return Decision(
            order_no,
            version,
            self.now,
            why,
            route.places,
            route.said,
            excluded={one.location_id: one.excluded for one in candidates if one.excluded},
            distance_from=place.found_by,
            distance_why=place.why,
            # What may not be split and can't leave whole stays together, wherever it is (R3).
            short=[line.line for line in wanted] if route.short and not self.policy.split else route.short,
        )

    def _candidate(
        self,
        one: LocationNow,
        account_id: int,
        wanted: Sequence[Wanted],
        levels: Mapping[tuple[str, str], Level],
        place: places.Place,
        own: Mapping[tuple[str, str], int],
        excluded: str,
    ) -> Candidate:
        serving = self._serving.get(account_id)
        if serving is not None and one.location_id not in serving:
            excluded = excluded or "does not serve this channel"
        taken = self._taken.get(one.location_id, [0, 0])
        room = None if one.capacity is None else one.capacity - taken[one.capacity_unit == "pieces"]
        km = None
        if place.point is not None and one.point is not None:
            km = rules.rounded_km(rules.km_between(place.point, one.point))
        return Candidate(
            one.location_id,
            one.name,
            {
                line.sku: _available(levels, line.sku, one.location_id) + own.get((line.sku, one.location_id), 0)
                for line in wanted
            },
            room_orders=room if one.capacity_unit == "orders" else None,
            room_pieces=room if one.capacity_unit == "pieces" else None,
            after_cut_off=locations.leaves_tomorrow(one, self.now),
            km=km,
            cost_minor=one.cost_minor,
            priority=one.priority,
            excluded=excluded,
        )

    def _count(self, wanted: Sequence[Wanted], chosen: Mapping[str, str], used: Collection[str]) -> None:
        for where in set(chosen.values()) & self._taken.keys():
            self._taken[where][0] += where not in used
            self._taken[where][1] += sum(line.pieces for line in wanted if chosen[line.line] == where)


def _available(levels: Mapping[tuple[str, str], Level], sku: str, location_id: str) -> int:
    level = levels.get((sku, location_id))
    return 0 if level is None else level.available


def _taken_today(tx: Tx, tenant_id: int, one: LocationNow, now: int) -> list[int]:
    """Return [orders, pieces] that were bought today and stand at a location."""
    row = tx.one(
        """SELECT COUNT(DISTINCT l.order_no), CAST(COALESCE(SUM(l.ordered - l.cancelled), 0) AS BIGINT)
             FROM orders o JOIN order_line l ON l.tenant_id = o.tenant_id AND l.order_no = o.order_no
            WHERE o.tenant_id = :t AND o.placed_at >= :since AND l.location_id = :l AND l.state NOT IN ('C', 'U')""",
        t=tenant_id,
        since=locations.day_began_at(one, now) // SECOND * SECOND,
        l=one.location_id,
    )
    return [0, 0] if row is None else [int(row[0]), int(row[1])]


def router(tx: Tx, tenant_id: int, now: int, *, least: int = 2) -> Router | None:
    """Return what decides; None where the shop routes its orders, or where fewer than `least` locations send any."""
    in_force = policy.in_force(tx, tenant_id)
    if in_force is None:
        return None
    made = Router(tx, tenant_id, now, in_force)
    return made if len(made.locations) >= least else None


# --- kept -------------------------------------------------------------------------------------------------------------

_COLUMNS = (
    "order_no, version, decided_at, why, places, said, excluded, distance_from, state, reason, settled_at"  # as _row
)


def save(tx: Tx, tenant_id: int, decisions: Iterable[Decision]) -> None:
    """Store decisions; what an order had before is over."""
    made = list(decisions)
    tx.many(
        "UPDATE route SET state = 'OVER' WHERE tenant_id = ? AND order_no = ? AND version < ? AND state = 'WANTED'",
        [(tenant_id, one.order_no, one.version) for one in made],
    )
    tx.many(
        f"INSERT INTO route (tenant_id, {_COLUMNS}) VALUES ({', '.join('?' * 12)}) "
        "ON CONFLICT (tenant_id, order_no, version) DO NOTHING",
        [
            (
                tenant_id,
                one.order_no,
                one.version,
                one.decided_at,
                one.why,
                json.dumps(one.places),
                msgspec.json.encode(_Reasons(one.said, one.distance_why, one.short)).decode(),
                json.dumps(one.excluded),
                one.distance_from,
                one.state,
                one.reason,
                one.settled_at,
            )
            for one in made
        ],
    )


def newest(tx: Tx, tenant_id: int, order_nos: Iterable[int]) -> dict[int, Decision]:
    """Return the route in force of each of these orders that has one."""
    rows = tx.all(
        f"SELECT {_COLUMNS} FROM route WHERE tenant_id = :t AND order_no {{in:nos}} ORDER BY order_no, version",
        t=tenant_id,
        nos=list(order_nos),
    )
    return {row[0]: _decision(row) for row in rows}


def versions(tx: Tx, tenant_id: int, order_no: int) -> list[Decision]:
    """Return every route that an order had, the newest first."""
    rows = tx.all(
        f"SELECT {_COLUMNS} FROM route WHERE tenant_id = :t AND order_no = :o ORDER BY version DESC",
        t=tenant_id,
        o=order_no,
    )
    return [_decision(row) for row in rows]


def _decision(row: tuple[object, ...]) -> Decision:
    order_no, version, decided_at, why, where, said, excluded, distance_from, state, reason, settled_at = row
    reasons = msgspec.json.decode(str(said), type=_Reasons)
    return Decision(
        int(str(order_no)),
        int(str(version)),
        int(str(decided_at)),
        str(why),
        json.loads(str(where)),
        reasons.criteria,
        json.loads(str(excluded)),
        str(distance_from),
        reasons.distance_why,
        str(state),
        None if reason is None else str(reason),
        None if settled_at is None else int(str(settled_at)),
        reasons.short,
    )


def became(tx: Tx, tenant_id: int, order_no: int, version: int, state: str, now: int, reason: str = "") -> None:
    """Keep how a route ended."""
    tx.run(
        "UPDATE route SET state = :s, reason = :r, settled_at = :now WHERE tenant_id = :t AND order_no = :o AND version = :v",
        s=state,
        r=reason[:500],
        now=now,
        t=tenant_id,
        o=order_no,
        v=version,
    )
