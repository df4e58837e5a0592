"""The most pieces that each outlet of a SKU may still sell without our knowing (SEMANTICS 8.6), and what a strict SKU may be told (8.7).

In: slots, late writes, levels, claims. Out: pieces. Tables: reads slot, dirty_listing, channel_window, link, feed, stock_level, order_line,
provisional, claim.
Never: counts less than may be sold: what is not known counts as everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from oneshelf.core.drift import NO_SALES
from oneshelf.core.ids import HUB
from oneshelf.core.instants import SECOND
from oneshelf.db.tx import Tx
from oneshelf.orders.sales import cancelled_of, sales_of
from oneshelf.stock.levels import available_of, locations_in_scope

from .slots import CALL_S_MAX, LATE_MAX_S, account_row, windows

#: An outlet that nobody has read shows nobody knows what.
UNKNOWN = 1 << 40


class Exposure(msgspec.Struct):
    """Of one SKU, in pieces: K, what the hub may sell, what each marketplace outlet may sell."""

    k: int
    hub: int
    outlets: dict[int, int]
    units: dict[int, int]

    @property
    def total(self) -> int:
        return self.hub + sum(self.outlets.values())

    def room(self) -> int:
        """Pieces that may yet be shown somewhere without promising one twice (8.7); below 0: more is promised than is there."""
        return max(0, self.k) - self.total


def of_slot(
    believed: int | None,
    sent: int | None,
    stored: int,
    unsettled: int,
    unsettled_until: int | None,
    complete: int | None,
) -> int:
    """S8.6, in listings. `stored`: what was promised while a write is not seen; `unsettled`: the same until the feed has told every sale
    before the read that saw it; `complete`: through when that is."""
    promised = believed or 0
    if sent is not None:
        promised = max(stored, promised)
    if unsettled_until is not None and (complete is None or complete < unsettled_until):
        promised = max(promised, unsettled)
    return promised


def exposures(
    tx: Tx,
    tenant_id: int,
    skus: Iterable[str],
    now: int,
    *,
    k: Mapping[str, int] | None = None,
    at_hub: Mapping[tuple[str, str], int] | None = None,
) -> dict[str, Exposure]:
    """Return the exposure of each SKU, all its outlets on connected accounts counted. `k`, `at_hub`: K, and the most that the hub may
    show, of these SKUs at least, for who has them already."""
    wanted = sorted(set(skus))
    k = available_of(tx, tenant_id, wanted) if k is None else k
    hub = _over_locations(hub_available(tx, tenant_id, wanted).most if at_hub is None else at_hub)
    found = {sku: Exposure(k[sku], hub.get(sku, 0), {}, {}) for sku in wanted}
    rows = tx.all(
        """SELECT k.sku, k.units, o.outlet_id, s.state, s.believed, s.sent, s.exposure, s.unsettled, s.unsettled_until, f.complete_through_at,
                  s.believed_at, a.skew_s, COALESCE(w.ahead, 0), s.verified = 0 OR s.state = 'READING' OR COALESCE(d.reread, 0) = 1
             FROM link k CROSS JOIN outlet o CROSS JOIN account a
             LEFT JOIN slot s ON s.tenant_id = o.tenant_id AND s.outlet_id = o.outlet_id
             LEFT JOIN dirty_listing d ON d.tenant_id = o.tenant_id AND d.outlet_id = o.outlet_id
             LEFT JOIN channel_window w ON w.tenant_id = a.tenant_id AND w.account_id = a.account_id
             LEFT JOIN feed f ON f.tenant_id = a.tenant_id AND f.account_id = a.account_id AND f.name = 'orders'
            WHERE k.tenant_id = :t AND k.sku {in:skus} AND o.tenant_id = k.tenant_id AND o.outlet_id = k.outlet_id
              AND a.tenant_id = o.tenant_id AND a.account_id = o.account_id AND a.channel <> :hub AND a.state <> 'DISCONNECTED'
              AND o.fulfilled_by_channel = 0 AND o.state NOT IN ('ended', 'draft', 'gone')""",
        t=tenant_id,
        skus=wanted,
        hub=str(HUB),
    )
    late = _late(tx, tenant_id, {row[2] for row in rows}, now)
    sales = sales_of(tx, tenant_id, {row[2]: row[10] for row in rows if row[10] is not None})
    put_back = _put_back(tx, tenant_id, rows)
    for sku, units, outlet_id, state, believed, *rest, believed_at, skew_s, _, _ in rows:
        if believed is not None and believed_at is not None:  # what it took off by itself (8.5), if that is sure
            believed -= min(believed, sales.get(outlet_id, NO_SALES).between(believed_at + skew_s * SECOND))
        never_read = state is None or (believed is None and state != "PARKED")
        listings = UNKNOWN if never_read else of_slot(believed, *rest)
        listings = max(listings, (believed or 0) + late.get(outlet_id, 0)) + put_back.get(outlet_id, 0)
        found[sku].outlets[outlet_id] = listings * units
        found[sku].units[outlet_id] = units
    return found


def shown_of(tx: Tx, tenant_id: int, skus: Iterable[str]) -> dict[str, int]:
    """Return what all marketplace outlets of each SKU may sell together, in pieces, as their slots have it: for telling what is urgent."""
    rows = tx.all(
        """SELECT k.sku, CAST(SUM(s.exposure * k.units) AS BIGINT) FROM link k CROSS JOIN slot s
            WHERE k.tenant_id = :t AND k.sku {in:skus} AND s.tenant_id = k.tenant_id AND s.outlet_id = k.outlet_id GROUP BY k.sku""",
        t=tenant_id,
        skus=sorted(set(skus)),
    )
    return {sku: int(pieces) for sku, pieces in rows}


def _late(tx: Tx, tenant_id: int, outlet_ids: set[int], now: int) -> dict[int, int]:
    """Return {outlet: listings} of writes that were overtaken or given up and may land yet: they put their whole number back on sale
    (8.1)."""
    rows = tx.all(
        """SELECT outlet_id, account_id, quantity, COALESCE(accepted_at, started_at + :call) FROM attempt
            WHERE tenant_id = :t AND outlet_id {in:ids} AND outcome IN ('SUPERSEDED', 'UNSEEN')
              AND started_at > :since AND quantity > 0""",
        t=tenant_id,
        ids=sorted(outlet_ids),
        call=CALL_S_MAX * SECOND,
        since=now - LATE_MAX_S * SECOND,
    )
    lands_within = {a: windows(tx, tenant_id, account_row(tx, tenant_id, a)).late for a in {row[1] for row in rows}}
    found: dict[int, int] = {}
    for outlet_id, account_id, quantity, taken_at in rows:
        if taken_at + lands_within[account_id] > now:
            found[outlet_id] = found.get(outlet_id, 0) + quantity
    return found


def _put_back(tx: Tx, tenant_id: int, rows: Iterable[tuple[Any, ...]]) -> dict[int, int]:
    """Return {outlet: listings} that the channel may have put back by itself, of own orders that were cancelled there: an own cancel asks
    for a read, and until then nobody knows (8.5). By whichever clock it is the later: a read that was before the cancel says nothing."""
    unread = {
        outlet_id: believed_at - skew_s * SECOND - max(0, ahead)
        for _, _, outlet_id, *_, believed_at, skew_s, ahead, is_unread in rows
        if is_unread and believed_at is not None
    }
    return cancelled_of(tx, tenant_id, unread)


def put_back_of_strict(tx: Tx, tenant_id: int, since: Mapping[int, int]) -> dict[int, int]:
    """Return {outlet: listings that the channel may have put back by itself after the outlet's instant}, of those that sell a strict SKU:
    of nothing else is a piece promised only once. A read that shows none of them may have come after they were sold again (8.6)."""
    rows = tx.all(
        """SELECT DISTINCT k.outlet_id FROM link k JOIN strict_sku s ON s.tenant_id = k.tenant_id AND s.sku = k.sku
            WHERE k.tenant_id = :t AND k.outlet_id {in:ids}""",
        t=tenant_id,
        ids=sorted(since),
    )
    return cancelled_of(tx, tenant_id, {outlet_id: since[outlet_id] for (outlet_id,) in rows})


def _over_locations(at_hub: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """What the hub may sell of each SKU: what stands available there, over its locations, as if every hold on its way failed and every
    return were done."""
    found: dict[str, int] = {}
    for (sku, _), pieces in at_hub.items():
        found[sku] = found.get(sku, 0) + max(0, pieces)
    return found


class AtHub(msgspec.Struct, frozen=True):
    """By (SKU, location in scope): `most` that the hub may show as available; `bare`: if nothing of strict SKUs were held back;
    `returning`: pieces of `most` that it gets back of orders and suspected sales, and may not have yet."""

    most: dict[tuple[str, str], int]
    bare: dict[tuple[str, str], int]
    returning: dict[tuple[str, str], int]


def hub_available(tx: Tx, tenant_id: int, skus: Iterable[str]) -> AtHub:
    """Return what the hub may show of these SKUs at this moment."""
    wanted, scope = sorted(set(skus)), set(locations_in_scope(tx, tenant_id))
    found = {
        (sku, location): int(pieces)
        for sku, location, pieces in tx.all(
            "SELECT sku, location_id, on_hand - committed - reserved - unavailable FROM stock_level "
            "WHERE tenant_id = :t AND sku {in:skus}",
            t=tenant_id,
            skus=wanted,
        )
        if location in scope
    }
    # S9.5: what our levels count and the hub does not take by itself, less what claims have taken from it for sure.
    for sku, location, pieces in [
        *tx.all(
            """SELECT l.sku, l.location_id, CAST(SUM(l.reserved + l.committed) AS BIGINT) FROM order_line l
                 JOIN account a ON a.tenant_id = l.tenant_id AND a.account_id = l.account_id
                WHERE l.tenant_id = :t AND l.sku {in:skus} AND a.channel <> :hub AND l.state NOT IN ('C', 'U')
                GROUP BY l.sku, l.location_id""",
            t=tenant_id,
            skus=wanted,
            hub=str(HUB),
        ),
        *tx.all(
            """SELECT sku, location_id, CAST(SUM(pieces) AS BIGINT) FROM provisional
                WHERE tenant_id = :t AND sku {in:skus} AND state = 'OPEN' AND outlet_id <> 0 GROUP BY sku, location_id""",
            t=tenant_id,
            skus=wanted,
        ),
    ]:
        if (sku, location) in found:
            found[(sku, location)] += int(pieces)
    most = dict(found)
    returning: dict[tuple[str, str], int] = {}
    for sku, location, is_strict, pieces, back in tx.all(
        """SELECT sku, location_id, claim_key LIKE 'strict:%',
                  CAST(SUM(CASE WHEN want < held + imported THEN want ELSE held + imported END) AS BIGINT),
                  CAST(SUM(CASE WHEN want < held + imported THEN held + imported - want ELSE 0 END) AS BIGINT)
             FROM claim WHERE tenant_id = :t AND sku {in:skus} AND open = 1
            GROUP BY sku, location_id, claim_key LIKE 'strict:%'""",
        t=tenant_id,
        skus=wanted,
    ):
        if (sku, location) in found:
            most[(sku, location)] -= int(pieces)
            if not is_strict:
                found[(sku, location)] -= int(pieces)
                returning[(sku, location)] = int(back)
    return AtHub(most, found, returning)


def room_for(tx: Tx, tenant_id: int, wanted: Mapping[int, int], now: int) -> bool:
    """S8.7: whether these outlets may be told these numbers (listings) together: what each may have sold of its old number, and the new
    one, and everybody else's, are not more than there is of each strict SKU that they sell."""
    skus = {
        sku
        for (sku,) in tx.all(
            """SELECT DISTINCT k.sku FROM link k JOIN strict_sku s ON s.tenant_id = k.tenant_id AND s.sku = k.sku
                WHERE k.tenant_id = :t AND k.outlet_id {in:ids}""",
            t=tenant_id,
            ids=sorted(wanted),
        )
    }
    return all(
        sum(quantity * one.units.get(outlet_id, 0) for outlet_id, quantity in wanted.items()) <= one.room()
        for one in exposures(tx, tenant_id, skus, now).values()
    )
