"""What routing knows of the shop's locations: where they are, what they can do, when a parcel still leaves today.

In: the merchant's words, what the shop says. Out: locations as a list, changed. Tables it owns: location_profile; sets the priority of
`location`. Never: overwrites what the merchant said with what the shop says; changes which locations count (onboarding's).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from oneshelf.channels.contract import HubLocation
from oneshelf.core.facts import Address
from oneshelf.core.instants import from_us, to_us
from oneshelf.core.routing import Point
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.listings.risk import locations_of

from . import places

UNITS = ("orders", "pieces")
_ADDRESS = ("street", "city", "postal_code", "region", "country")
_COLUMNS = (
    *_ADDRESS,
    "address_source",
    "latitude",
    "longitude",
    "point_source",
    "capacity",
    "capacity_unit",
    "cut_off",
    "timezone",
    "cost_minor",
)


class LocationNow(msgspec.Struct, frozen=True):
    """One location. `counts`: its stock is offered (active and in scope). `serves`: accounts that it serves (all, unless said).

    `latitude`, `longitude` in degrees, `point_source` who said so. `capacity`: `capacity_unit` a day, None no limit. `cut_off`: "HH:MM"
    in `timezone`, '' none. `cost_minor`: of a parcel, in the shop's currency.
    """

    location_id: str
    name: str
    active: bool
    counts: bool
    priority: int
    serves: list[int] = []
    street: str = ""
    city: str = ""
    postal_code: str = ""
    region: str = ""
    country: str = ""
    address_source: str = ""
    latitude: float | None = None
    longitude: float | None = None
    point_source: str = ""
    capacity: int | None = None
    capacity_unit: str = "orders"
    cut_off: str = ""
    timezone: str = ""
    cost_minor: int | None = None

    @property
    def point(self) -> Point | None:
        return None if self.latitude is None or self.longitude is None else (self.latitude, self.longitude)


def locations(tx: Tx, tenant_id: int) -> list[LocationNow]:
    """Return the shop's locations, the most important first; closed ones last."""
    columns = ", ".join(f"COALESCE(p.{name}, {_DEFAULTS.get(name, 'NULL')})" for name in _COLUMNS)
    rows = tx.all(
        f"""SELECT l.location_id, l.name, l.active, l.in_scope, l.priority, {columns} FROM location l
              LEFT JOIN location_profile p ON p.tenant_id = l.tenant_id AND p.location_id = l.location_id
             WHERE l.tenant_id = :t ORDER BY l.active DESC, l.in_scope DESC, l.priority, l.location_id""",
        t=tenant_id,
    )
    accounts = [
        account_id
        for (account_id,) in tx.all(
            "SELECT account_id FROM account WHERE tenant_id = :t AND state <> 'DISCONNECTED' ORDER BY account_id",
            t=tenant_id,
        )
    ]
    limited = locations_of(tx, tenant_id)
    return [
        LocationNow(
            row[0],
            row[1],
            bool(row[2]),
            bool(row[2] and row[3]),
            row[4],
            [one for one in accounts if one not in limited or row[0] in limited[one]] if row[2] and row[3] else [],
            *row[5:],
        )
        for row in rows
    ]


_DEFAULTS = {name: "''" for name in (*_ADDRESS, "address_source", "point_source", "cut_off", "timezone")} | {
    "capacity_unit": "'orders'"
}


def find(tx: Tx, tenant_id: int, name: str) -> LocationNow:
    """Return the location of this id, number or name. Raises LookupError if there is none, or several."""
    found = [
        one
        for one in locations(tx, tenant_id)
        if name in (one.location_id, one.location_id.rpartition("/")[2]) or name.casefold() == one.name.casefold()
    ]
    if len(found) != 1:
        many = ", ".join(one.location_id for one in found)
        raise LookupError(
            f"several locations are called {name}: say which of {many}"
            if found
            else f"the shop has no location {name}; oneshelf locations list shows them"
        )
    return found[0]


class Wish(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the merchant says of a location; None leaves it as it is, '' (and -1 for numbers) takes it back."""

    street: str | None = None
    city: str | None = None
    postal_code: str | None = None
    region: str | None = None
    country: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    no_point: bool = False
    capacity: int | None = None
    capacity_unit: str | None = None
    cut_off: str | None = None
    timezone: str | None = None
    cost_minor: int | None = None
    priority: int | None = None


def set_location(tx: Tx, tenant_id: int, name: str, wish: Wish, now: int, *, by: str) -> LocationNow:
    """Keep what the merchant says of a location. Returns it as it is now.

    Raises LookupError for a location that the shop does not have, ValueError for what can't be.
    """
    was = find(tx, tenant_id, name)
    _refuse_nonsense(was, wish)
    address = {part: getattr(wish, part) for part in _ADDRESS}
    said = any(value is not None for value in address.values())
    changes: dict[str, object] = {part: value.strip() for part, value in address.items() if value is not None}
    if "country" in changes:
        changes["country"] = str(changes["country"]).upper()
    if said:
        changes["address_source"] = "merchant"
    if wish.no_point or wish.latitude is not None:
        changes |= {"latitude": wish.latitude, "longitude": wish.longitude}
        changes["point_source"] = "" if wish.no_point else "merchant"
    for number in ("capacity", "cost_minor"):
        value = getattr(wish, number)
        if value is not None:
            changes[number] = None if value < 0 else value
    for word in ("capacity_unit", "cut_off", "timezone"):
        value = getattr(wish, word)
        if value is not None:
            changes[word] = value
    is_now = _kept(tx, tenant_id, msgspec.structs.replace(was, **changes))
    if wish.priority is not None:
        tx.run(
            "UPDATE location SET priority = :p WHERE tenant_id = :t AND location_id = :l",
            p=wish.priority,
            t=tenant_id,
            l=was.location_id,
        )
        is_now = msgspec.structs.replace(is_now, priority=wish.priority)
    names = sorted(
        {*changes, *(["priority"] if wish.priority is not None else [])} - {"address_source", "point_source"}
    )
    note(tx, tenant_id, now, by, "What is known of a location changed", f"location:{was.location_id}", changed=names)
    return is_now


def _refuse_nonsense(was: LocationNow, wish: Wish) -> None:
    if (wish.latitude is None) != (wish.longitude is None):
        raise ValueError("give both, latitude and longitude")
    if not (-90 <= (wish.latitude or 0) <= 90 and -180 <= (wish.longitude or 0) <= 180):
        raise ValueError("latitude is -90 to 90, longitude -180 to 180, in degrees")
    if wish.country and not re.fullmatch(r"[A-Za-z]{2}", wish.country.strip()):
        raise ValueError(f"{wish.country!r} is no country code of two letters (DE, US)")
    if wish.capacity_unit is not None and wish.capacity_unit not in UNITS:
        raise ValueError(f"capacity counts {' or '.join(UNITS)} a day, not {wish.capacity_unit!r}")
    if wish.cut_off and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", wish.cut_off):
        raise ValueError(f"{wish.cut_off!r} is no time of day: write HH:MM, from 00:00 to 23:59")
    if wish.timezone:
        _zone(wish.timezone)
    cut_off = was.cut_off if wish.cut_off is None else wish.cut_off
    if cut_off and not (was.timezone if wish.timezone is None else wish.timezone):
        raise ValueError("a cut-off needs its timezone (Europe/Berlin)")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"there is no timezone {name!r} here; write one as Europe/Berlin") from error


def _kept(tx: Tx, tenant_id: int, one: LocationNow) -> LocationNow:
    """Store a profile. Coordinates that nobody entered follow from its address, as far as the tables know."""
    if one.point_source != "merchant" and not (one.point_source == "shopify" and one.address_source == "shopify"):
        address = Address(city=one.city, region=one.region, postal_code=one.postal_code, country=one.country)
        place = places.place_of(address if one.country else None)
        lat, lon = place.point or (None, None)
        one = msgspec.structs.replace(one, latitude=lat, longitude=lon, point_source=place.found_by)
    changes = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS)
    tx.run(
        f"INSERT INTO location_profile (tenant_id, location_id, {', '.join(_COLUMNS)}) "
        f"VALUES (:t, :l, {', '.join(f':{name}' for name in _COLUMNS)}) "
        f"ON CONFLICT (tenant_id, location_id) DO UPDATE SET {changes}",
        t=tenant_id,
        l=one.location_id,
        **{name: getattr(one, name) for name in _COLUMNS},
    )
    return one


def keep_hub_addresses(tx: Tx, tenant_id: int, found: Sequence[HubLocation]) -> None:
    """Take up the addresses that the shop tells. What the merchant said here stays."""
    told = [one for one in found if one.address is not None]
    if not told:
        return
    known = {one.location_id: one for one in locations(tx, tenant_id)}
    for place in told:
        was, address = known.get(place.location_id), place.address
        if was is None or address is None or was.address_source == "merchant":
            continue
        news = {
            "street": address.line1 or "",
            "city": address.city or "",
            "postal_code": address.postal_code or "",
            "region": address.region or "",
            "country": (address.country or "").upper(),
        }
        point = place.point if was.point_source != "merchant" else was.point
        same = all(getattr(was, name) == value for name, value in news.items())
        if same and (point == was.point or (place.point is None and was.point_source in ("city", "postal area"))):
            continue
        lat, lon = point or (None, None)
        source = was.point_source if was.point_source == "merchant" else "shopify" if point else ""
        is_now = msgspec.structs.replace(
            was, **news, address_source="shopify", latitude=lat, longitude=lon, point_source=source
        )
        _kept(tx, tenant_id, is_now)


def leaves_tomorrow(one: LocationNow, now: int) -> bool:
    """Whether today's cut-off is over there. Without one nothing is over."""
    if not one.cut_off:
        return False
    hour, minute = one.cut_off.split(":")
    return from_us(now).astimezone(_zone(one.timezone)).time() >= time(int(hour), int(minute))


def day_began_at(one: LocationNow, now: int) -> int:
    """Return when the location's day began (its capacity counts by it): midnight in its timezone, else UTC. Microseconds."""
    here = from_us(now).astimezone(_zone(one.timezone or "UTC"))
    return to_us(datetime.combine(here.date(), time(), here.tzinfo))
