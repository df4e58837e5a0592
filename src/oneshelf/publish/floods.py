"""Numbers that the shop itself says, all at once: very many listings of an account to 0, or to several times as much (ADR 0015).

A raise waits until a person has looked: late it is safe. A zero waits for a while only, and not at all once its SKU sells: late it
may sell what is not there.

In: what a step of planning moved. Out: outlets whose number waits, and until when. Tables it owns: guard_outlet (with publish/guard).
Never: holds what orders took; holds a strict SKU; holds a number back that is lower than what is shown and above 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from oneshelf.core.guard import FACTOR_MIN, Way, is_too_many, way_of
from oneshelf.core.instants import SECOND
from oneshelf.db.tx import Tx
from oneshelf.orders.pace import HUB_OUTLET

from . import guard

#: Within this time what the shop changes counts as one flood, and a sale of a SKU speaks for its zero.
TOGETHER_S = 600
#: A raise that is held is looked at again so often.
LOOK_AGAIN_S = 3_600
#: How many of a SKU's newest entries are looked at.
ENTRIES_MAX = 50
#: How the mark of a location that opened or closed begins (onboarding/shop).
_PLACES = "a location "
#: In `guard_outlet`: seen, but alone it holds nothing.
_ALONE = 0


class Moved(msgspec.Struct, frozen=True):
    """An outlet whose offer moved: what it ought to have shown before, and now. `why`: of its mark."""

    outlet_id: int
    was: int
    would: int
    why: str


class Held(msgspec.Struct, frozen=True):
    """A number that waits. `until`: when it is looked at again, microseconds."""

    way: Way
    until: int


def hear(tx: Tx, tenant_id: int, account_id: int, moved: Sequence[Moved], now: int) -> int:
    """Look at what moved in one step; hold what is part of a flood from the shop. Returns how many outlets are held by it."""
    if not moved:
        return 0
    if tx.one("SELECT 1 FROM guard_outlet WHERE tenant_id = :t LIMIT 1", t=tenant_id) is not None:
        _forget_what_came_back(tx, tenant_id, moved)
    if all(way_of(one.was, one.would, FACTOR_MIN) is None for one in moved):
        return 0
    limits = guard.limits_of(tx, tenant_id)
    if not limits.on:
        return 0
    ways = {one.outlet_id: way for one in moved if (way := way_of(one.was, one.would, limits.factor)) is not None}
    if not ways:
        return 0
    by_place = {one.outlet_id for one in moved if one.why.startswith(_PLACES)}
    ours = _by_hand(tx, tenant_id, list(ways), by_place, now)
    fresh = [(tenant_id, o, account_id, _ALONE, ways[o], now) for o in ours]
    tx.run(
        "DELETE FROM guard_outlet WHERE tenant_id = :t AND guard_no = 0 AND at < :old",
        t=tenant_id,
        old=now - TOGETHER_S * SECOND,
    )
    tx.many(
        """INSERT INTO guard_outlet (tenant_id, outlet_id, account_id, guard_no, way, at) VALUES (?, ?, ?, ?, ?, ?)
           ON CONFLICT (tenant_id, outlet_id) DO UPDATE SET way = excluded.way, at = excluded.at""",
        fresh,
    )
    listings = guard.listings_of(tx, tenant_id, account_id) if fresh else 0
    held = 0
    for way in sorted({row[4] for row in fresh}):
        together = tx.all(
            """SELECT h.outlet_id, h.guard_no, g.state FROM guard_outlet h
                 LEFT JOIN guard g ON g.tenant_id = h.tenant_id AND g.guard_no = h.guard_no
                WHERE h.tenant_id = :t AND h.account_id = :a AND h.way = :way AND h.at >= :since ORDER BY h.outlet_id""",
            t=tenant_id,
            a=account_id,
            way=way,
            since=now - TOGETHER_S * SECOND,
        )
        if not is_too_many(len(together), listings, limits) or (way == "zero" and not limits.hold_s):
            continue
        number = max((number for _, number, state in together if state == "WAITING"), default=_ALONE)
        if number == _ALONE:
            number = _ask(tx, tenant_id, account_id, way, len(together), listings, limits.factor, limits.hold_s, now)
        alone = [outlet_id for outlet_id, one, _ in together if one == _ALONE]
        tx.run(
            "UPDATE guard_outlet SET guard_no = :n WHERE tenant_id = :t AND outlet_id {in:ids}",
            t=tenant_id,
            n=number,
            ids=alone,
        )
        held += len(alone)
    return held


def _forget_what_came_back(tx: Tx, tenant_id: int, moved: Sequence[Moved]) -> None:
    """The shop has taken its change back, or some of it: there is nothing left to ask about these."""
    for way, back in (
        ("zero", [one for one in moved if one.would > 0]),
        ("multiply", [one for one in moved if one.would < one.was]),
    ):
        if back:
            tx.run(
                "DELETE FROM guard_outlet WHERE tenant_id = :t AND way = :way AND outlet_id {in:ids}",
                t=tenant_id,
                way=way,
                ids=[one.outlet_id for one in back],
            )


def _ask(
    tx: Tx, tenant_id: int, account_id: int, way: str, count: int, listings: int, factor: int, hold_s: int, now: int
) -> int:
    what = "show 0" if way == "zero" else f"show {factor} times as much or more"
    why = f"{count} of {listings} listings would {what}, because the shop changed its stock"
    lapses_at = now + hold_s * SECOND if way == "zero" else None
    effect = [{"account_id": account_id, "way": way, "listings": listings, "count": count}]
    return guard.ask(
        tx, tenant_id, "hub", account_id, "Stock from the shop", why, {}, effect, now, by="shopify", lapses_at=lapses_at
    )


def _by_hand(tx: Tx, tenant_id: int, outlet_ids: Sequence[int], by_place: set[int], now: int) -> list[int]:
    """Return those whose number moved by the shop's own hand, and of none of whose SKUs anything was sold meanwhile.

    A count that falls is first taken for a sale that is not heard yet (S9.2), so that such a reservation at the hub counts too: if it
    was a sale, its order comes within seconds and frees the outlet.
    """
    skus_of = _skus_of(tx, tenant_id, outlet_ids)
    skus = {sku for of_outlet in skus_of.values() for sku in of_outlet}
    entries = _entries_since(tx, tenant_id, skus, now - TOGETHER_S * SECOND)
    hand = {sku for sku, key in entries if _is_hand(key)}
    sold = {sku for sku, key in entries if _is_sale(key)}
    return [
        outlet_id
        for outlet_id, of_outlet in skus_of.items()
        if not of_outlet & sold and (of_outlet & hand or outlet_id in by_place)
    ]


def _skus_of(tx: Tx, tenant_id: int, outlet_ids: Sequence[int]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for outlet_id, sku in tx.all(
        "SELECT outlet_id, sku FROM link WHERE tenant_id = :t AND outlet_id {in:ids}",
        t=tenant_id,
        ids=sorted(outlet_ids),
    ):
        found.setdefault(outlet_id, set()).add(sku)
    return found


def _entries_since(tx: Tx, tenant_id: int, skus: set[str], since: int) -> list[tuple[str, str]]:
    """Return (SKU, key) of the newest entries: of one that has so many more in a few minutes, some are sales."""
    return [
        (sku, key)
        for sku in sorted(skus)
        for key, posted_at in tx.all(
            "SELECT entry_key, posted_at FROM ledger_entry WHERE tenant_id = :t AND sku = :s ORDER BY entry_no DESC LIMIT :n",
            t=tenant_id,
            s=sku,
            n=ENTRIES_MAX,
        )
        if posted_at >= since
    ]


def _is_hand(key: str) -> bool:
    """Whether a ledger entry is the merchant's own, or may be: see the keys of S4.2."""
    kind, _, rest = key.partition(":")
    return kind == "edit" or (kind == "prov" and rest.split(":")[1:2] == [str(HUB_OUTLET)])


def _is_sale(key: str) -> bool:
    return key.startswith(("commit:", "reserve:"))


def held_of(tx: Tx, tenant_id: int, numbers: Mapping[int, tuple[int | None, int, bool]], now: int) -> dict[int, Held]:
    """Return which of these outlets' numbers wait now. `numbers`: outlet → (what it shows, its offer, whether it is strict).

    One that the flood does not speak of any more is forgotten: its number came back, or its SKU has sold since.
    """
    rows = tx.all(
        """SELECT h.outlet_id, h.way, g.opened_at, g.lapses_at FROM guard_outlet h JOIN guard g ON g.tenant_id = h.tenant_id AND g.guard_no = h.guard_no
            WHERE h.tenant_id = :t AND h.outlet_id {in:ids} AND (g.lapses_at IS NULL OR g.lapses_at > :now)""",
        t=tenant_id,
        ids=sorted(numbers),
        now=now,
    )
    if not rows:
        return {}
    zeros = [row[0] for row in rows if row[1] == "zero"]
    sold = _sold_since(tx, tenant_id, zeros, min(row[2] for row in rows)) if zeros else set()
    found: dict[int, Held] = {}
    over: list[int] = []
    for outlet_id, way, _, lapses_at in rows:
        shows, offer, strict = numbers[outlet_id]
        if way == "zero":
            waits = offer == 0 and not strict and outlet_id not in sold
        else:
            waits = offer > (shows or 0)
        if waits:
            found[outlet_id] = Held(way, lapses_at or now + LOOK_AGAIN_S * SECOND)
        else:
            over.append(outlet_id)
    tx.run("DELETE FROM guard_outlet WHERE tenant_id = :t AND outlet_id {in:ids}", t=tenant_id, ids=over)
    return found


def _sold_since(tx: Tx, tenant_id: int, outlet_ids: Sequence[int], since: int) -> set[int]:
    skus_of = _skus_of(tx, tenant_id, outlet_ids)
    skus = {sku for of_outlet in skus_of.values() for sku in of_outlet}
    sold = {sku for sku, key in _entries_since(tx, tenant_id, skus, since) if _is_sale(key)}
    return {outlet_id for outlet_id, of_outlet in skus_of.items() if of_outlet & sold}
