"""Which location sends which line of an order: the merchant's criteria, asked one after the other (docs/concepts/routing.md, R1 to R9).

Each criterion looks at the plans that the ones before it left, and keeps the best. What it does not know of every plan that is left, it
leaves to the next one, and says so. A plan gives every line one location.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import combinations
from math import asin, cos, radians, sin, sqrt

import msgspec

#: What may be asked, in the order in which it is asked when the merchant says nothing.
CRITERIA = ("stock", "capacity", "parcels", "cut_off", "distance", "cost", "priority")
#: Plans of up to so many parcels are all looked at; one of more takes for each line the best place.
PARCELS_MAX = 3
#: Of more locations than this, only the most important are combined.
COMBINED_MAX = 12
#: Distances are kept and compared in steps of so many kilometres: no finer than is needed, no buyer's door.
STEP_KM = 10

EARTH_KM = 6371.0

Point = tuple[float, float]


class Wanted(msgspec.Struct, frozen=True):
    """What has to leave: `pieces` of a SKU. `line`: its key; parts of one bundle have the same `together`."""

    line: str
    sku: str
    pieces: int
    together: str = ""


class Candidate(msgspec.Struct, frozen=True):
    """A location as routing sees it now.

    `available`: K_l per SKU without this order's own pieces. `room_orders`, `room_pieces`: what it may still take today, None: no limit.
    `km`: rounded distance to the buyer, None: unknown. `cost_minor`: what a parcel from there costs, in the shop's currency, None: not
    entered. `excluded`: why it is not asked, '' if it is.
    """

    location_id: str
    name: str = ""
    available: Mapping[str, int] = {}
    room_orders: int | None = None
    room_pieces: int | None = None
    after_cut_off: bool = False
    km: int | None = None
    cost_minor: int | None = None
    priority: int = 0
    excluded: str = ""


class Said(msgspec.Struct, frozen=True):
    """What one criterion said. `verdict`: decided (it left fewer), equal (all the same), unknown (left to the next), alone (nothing to
    choose any more). `of`: in words, of each location."""

    criterion: str
    verdict: str
    of: dict[str, str]
    why: str = ""


class Route(msgspec.Struct, frozen=True):
    """The decision. `places`: line key → location id, '' where no location may serve. `short`: lines that no location has whole."""

    places: dict[str, str]
    said: list[Said]
    short: list[str] = []


class _Plan(msgspec.Struct):
    places: dict[str, str]
    short: list[str]
    missing: int = 0


def km_between(one: Point, other: Point) -> float:
    """Return the way as the crow flies between two (latitude, longitude) in degrees.

    >>> round(km_between((52.52, 13.41), (48.14, 11.58)))
    504
    """
    (lat, lon), (lat2, lon2) = one, other
    a = sin(radians(lat2 - lat) / 2) ** 2
    a += cos(radians(lat)) * cos(radians(lat2)) * sin(radians(lon2 - lon) / 2) ** 2
    return 2 * EARTH_KM * asin(sqrt(min(1.0, a)))


def rounded_km(km: float) -> int:
    """Return a distance in steps of STEP_KM; a half goes up.

    >>> rounded_km(504.2), rounded_km(4.9), rounded_km(5)
    (500, 0, 10)
    """
    return int((km + STEP_KM / 2) // STEP_KM) * STEP_KM


def decide(
    wanted: Sequence[Wanted],
    candidates: Sequence[Candidate],
    *,
    criteria: Sequence[str] = CRITERIA,
    split: bool = True,
    used: Collection[str] = (),
) -> Route:
    """Choose a location for every line.

    `split` False: one parcel, wherever most of it is. `used`: locations that send a part of the order anyway; another parcel from there
    costs none. Raises ValueError for a criterion that does not exist.
    """
    if unknown := [one for one in criteria if one not in CRITERIA]:
        raise ValueError(f"there is no criterion {', '.join(unknown)}; there are {', '.join(CRITERIA)}")
    open_ones = sorted((c for c in candidates if not c.excluded), key=lambda c: (c.priority, c.location_id))
    if not open_ones or not wanted:
        return Route({line.line: "" for line in wanted}, [], [line.line for line in wanted])
    by_id = {one.location_id: one for one in open_ones}
    plans = _plans(wanted, open_ones, split, criteria, frozenset(used))
    said: list[Said] = []
    for criterion in criteria:
        plans = _ask(criterion, plans, wanted, by_id, open_ones, frozenset(used), said)
    best = min(plans, key=lambda plan: sorted((by_id[p].priority, p) for p in plan.places.values()))
    return Route(best.places, said, best.short)


# --- plans ------------------------------------------------------------------------------------------------------------


def _plans(
    wanted: Sequence[Wanted], open_ones: Sequence[Candidate], split: bool, criteria: Sequence[str], used: frozenset[str]
) -> list[_Plan]:
    """Every plan that is looked at: each set of locations, its lines dealt out by the same criteria."""
    combined = open_ones[:COMBINED_MAX]
    sets: list[tuple[Candidate, ...]] = [(one,) for one in open_ones]
    if split:
        for size in range(2, min(PARCELS_MAX, len(wanted), len(combined)) + 1):
            sets += combinations(combined, size)
        if len(wanted) > 1 and len(open_ones) > PARCELS_MAX:
            sets.append(tuple(open_ones))
    found: dict[tuple[str, ...], _Plan] = {}
    for some in sets:
        plan = _deal(wanted, some, criteria, used)
        found.setdefault(tuple(plan.places[line.line] for line in wanted), plan)
    return list(found.values())


def _deal(wanted: Sequence[Wanted], some: Sequence[Candidate], criteria: Sequence[str], used: frozenset[str]) -> _Plan:
    """Give each line the best of these locations; a bundle's parts go together where one has them all."""
    left = {(one.location_id, sku): pieces for one in some for sku, pieces in one.available.items()}
    plan = _Plan({}, [])
    for group in _groups(wanted):
        whole = [one for one in some if all(_has(left, one, line, group) for line in group)]
        if whole:
            _put(plan, left, group, _best(whole, criteria, used))
            continue
        for line in group:
            having = [one for one in some if _has(left, one, line, [line])]
            most = max(left.get((one.location_id, line.sku), 0) for one in some)
            nearly = [one for one in some if left.get((one.location_id, line.sku), 0) == most]
            if not having:
                plan.short.append(line.line)
                plan.missing += line.pieces - max(0, most)
            _put(plan, left, [line], _best(having or nearly, criteria, used))
    return plan


def _groups(wanted: Sequence[Wanted]) -> list[list[Wanted]]:
    groups: dict[str, list[Wanted]] = {}
    for line in wanted:
        groups.setdefault(line.together or f"={line.line}", []).append(line)
    return list(groups.values())


def _has(left: Mapping[tuple[str, str], int], one: Candidate, line: Wanted, group: Sequence[Wanted]) -> bool:
    return left.get((one.location_id, line.sku), 0) >= sum(other.pieces for other in group if other.sku == line.sku)


def _put(plan: _Plan, left: dict[tuple[str, str], int], group: Sequence[Wanted], one: Candidate) -> None:
    for line in group:
        plan.places[line.line] = one.location_id
        left[(one.location_id, line.sku)] = left.get((one.location_id, line.sku), 0) - line.pieces


def _best(some: Sequence[Candidate], criteria: Sequence[str], used: frozenset[str]) -> Candidate:
    """The best place for a line among those that have it, by what can be said of a place alone."""
    left = list(some)
    for criterion in criteria:
        if len(left) == 1:
            break
        values = [_of_place(criterion, one, used) for one in left]
        if all(value is not None for value in values):
            least = min(value for value in values if value is not None)
            left = [one for one, value in zip(left, values, strict=True) if value == least]
    return left[0]


def _of_place(criterion: str, one: Candidate, used: frozenset[str]) -> int | None:
    if criterion == "capacity":
        return int((one.room_orders is not None and one.room_orders < 1) or one.room_pieces == 0)
    if criterion == "parcels":
        return int(one.location_id not in used)
    return {
        "stock": 0,
        "cut_off": int(one.after_cut_off),
        "distance": one.km,
        "cost": one.cost_minor,
        "priority": one.priority,
    }[criterion]


# --- criteria ---------------------------------------------------------------------------------------------------------


def _ask(
    criterion: str,
    plans: list[_Plan],
    wanted: Sequence[Wanted],
    by_id: Mapping[str, Candidate],
    open_ones: Sequence[Candidate],
    used: frozenset[str],
    said: list[Said],
) -> list[_Plan]:
    """Keep the plans that this criterion likes best, and write down what it said."""
    words = {one.location_id: _IN_WORDS[criterion](one, wanted, used) for one in open_ones}
    if len(plans) == 1:
        said.append(Said(criterion, "alone", words))
        return plans
    values = [_VALUE[criterion](plan, wanted, by_id, used) for plan in plans]
    if any(value is None for value in values):
        why = _UNKNOWN.get(criterion, "not known of every location")
        said.append(Said(criterion, "unknown", words, why))
        return plans
    best = min(value for value in values if value is not None)
    left = [plan for plan, value in zip(plans, values, strict=True) if value == best]
    said.append(Said(criterion, "decided" if len(left) < len(plans) else "equal", words))
    return left


_Value = Callable[[_Plan, Sequence[Wanted], Mapping[str, Candidate], frozenset[str]], tuple[int, ...] | None]


def _short(
    plan: _Plan, wanted: Sequence[Wanted], by_id: Mapping[str, Candidate], used: frozenset[str]
) -> tuple[int, ...]:
    """Lines that their location has not whole, the pieces that are missing; then bundles that are torn apart."""
    torn = sum(len({plan.places[line.line] for line in group}) > 1 for group in _groups(wanted))
    return (len(plan.short), plan.missing, torn)


def _too_much(
    plan: _Plan, wanted: Sequence[Wanted], by_id: Mapping[str, Candidate], used: frozenset[str]
) -> tuple[int, ...]:
    """Locations that this plan would give more than they can do today."""
    pieces: dict[str, int] = {}
    for line in wanted:
        pieces[plan.places[line.line]] = pieces.get(plan.places[line.line], 0) + line.pieces
    full = 0
    for where, count in pieces.items():
        one = by_id[where]
        no_order = one.room_orders is not None and one.room_orders < 1 and where not in used
        full += int(no_order or (one.room_pieces is not None and one.room_pieces < count))
    return (full,)


def _parcels(
    plan: _Plan, wanted: Sequence[Wanted], by_id: Mapping[str, Candidate], used: frozenset[str]
) -> tuple[int, ...]:
    return (len(set(plan.places.values()) - used),)


def _late(
    plan: _Plan, wanted: Sequence[Wanted], by_id: Mapping[str, Candidate], used: frozenset[str]
) -> tuple[int, ...]:
    return (sum(by_id[where].after_cut_off for where in set(plan.places.values())),)


def _way(
    plan: _Plan, wanted: Sequence[Wanted], by_id: Mapping[str, Candidate], used: frozenset[str]
) -> tuple[int, ...] | None:
    return _sum(by_id[where].km for where in set(plan.places.values()))


def _cost(
    plan: _Plan, wanted: Sequence[Wanted], by_id: Mapping[str, Candidate], used: frozenset[str]
) -> tuple[int, ...] | None:
    return _sum(by_id[where].cost_minor for where in set(plan.places.values()))


def _priority(
    plan: _Plan, wanted: Sequence[Wanted], by_id: Mapping[str, Candidate], used: frozenset[str]
) -> tuple[int, ...]:
    return tuple(sorted(by_id[where].priority for where in set(plan.places.values())))


def _sum(numbers: Iterable[int | None]) -> tuple[int, ...] | None:
    total = 0
    for one in numbers:
        if one is None:
            return None
        total += one
    return (total,)


_VALUE: dict[str, _Value] = {
    "stock": _short,
    "capacity": _too_much,
    "parcels": _parcels,
    "cut_off": _late,
    "distance": _way,
    "cost": _cost,
    "priority": _priority,
}
_UNKNOWN = {
    "distance": "the way to the buyer is not known from every location that is left",
    "cost": "a parcel's cost is not entered for every location that is left",
}


def _stock_words(one: Candidate, wanted: Sequence[Wanted], used: frozenset[str]) -> str:
    has = {sku: min(one.available.get(sku, 0), n) for sku, n in _per_sku(wanted).items()}
    return ", ".join(f"{max(0, has[sku])} of {n} {sku}" for sku, n in _per_sku(wanted).items())


def _per_sku(wanted: Sequence[Wanted]) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in wanted:
        found[line.sku] = found.get(line.sku, 0) + line.pieces
    return found


def _capacity_words(one: Candidate, wanted: Sequence[Wanted], used: frozenset[str]) -> str:
    if one.room_orders is not None:
        return f"room for {max(0, one.room_orders)} orders today"
    if one.room_pieces is not None:
        return f"room for {max(0, one.room_pieces)} pieces today"
    return "no limit entered"


_IN_WORDS: dict[str, Callable[[Candidate, Sequence[Wanted], frozenset[str]], str]] = {
    "stock": _stock_words,
    "capacity": _capacity_words,
    "parcels": lambda one, wanted, used: "sends a part of it anyway" if one.location_id in used else "a parcel",
    "cut_off": lambda one, wanted, used: "leaves the next day" if one.after_cut_off else "leaves today",
    "distance": lambda one, wanted, used: "not known" if one.km is None else f"about {one.km} km",
    "cost": lambda one, wanted, used: "not entered" if one.cost_minor is None else f"{one.cost_minor} a parcel",
    "priority": lambda one, wanted, used: f"priority {one.priority}",
}
