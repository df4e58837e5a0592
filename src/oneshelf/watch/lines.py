"""Every outlet of some SKUs with what it should show and shows; a handful of queries, however many SKUs.

In: links, slots, marks, levels, orders, claims. Out: one line an outlet, the hub's first. Tables: reads them all, owns none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from oneshelf.channels.contract import Capabilities
from oneshelf.core import hub as hub_rules
from oneshelf.core.instants import from_us
from oneshelf.core.precedence import Selector
from oneshelf.db.tx import Tx
from oneshelf.listings.policy import EVERY_SKU, Rules, rules_for
from oneshelf.publish.numbers import Number, numbers_of
from oneshelf.stock.levels import levels_of, locations_in_scope

from .accounts import AccountNow
from .ladder import Ladder, Term, ladder_of
from .rules import for_what, location_names, trace_lines
from .shown import HubLevelNow, OutletNow, Shown, State, judge, judge_hub

#: What is taken for a channel whose connector nobody named: no bound on the number.
PLAIN = Capabilities(
    write="absolute",
    write_batch=1,
    read_batch=1,
    visible_after_s=0.0,
    visibility_delay_s=0.0,
    poll_interval_s=60.0,
    has_webhooks=False,
)


class OutletLine(msgspec.Struct, frozen=True):
    """One outlet of a SKU. `outlet_id` 0: the hub, over all its locations. `should`, `shows`, `told` in listings (the hub: pieces).

    `shows` None: not known. `told`: the newest number that was sent and is not seen yet. `seen_at`: of the read behind `shows`.
    """

    outlet_id: int
    account_id: int
    channel: str
    channel_name: str
    account: str
    external_id: str
    title: str
    should: int | None
    shows: int | None
    told: int | None
    seen_at: datetime | None
    verified: bool
    state: State
    word: str
    note: str
    since_at: datetime | None
    ladder: Ladder | None


def lines_of(
    tx: Tx,
    tenant_id: int,
    skus: Sequence[str],
    accounts: Sequence[AccountNow],
    *,
    now: int,
    can: Mapping[str, Capabilities] | None = None,
) -> dict[str, list[OutletLine]]:
    """Return {SKU: its outlets}, in the order of `accounts`. A bundle stands under each of its parts.

    `can`: what each channel can do, by its name (the largest number it takes); None: no bounds.
    """
    found: dict[str, list[OutletLine]] = {sku: [] for sku in skus}
    outlets = _outlets(tx, tenant_id, skus, accounts)
    places = location_names(tx, tenant_id)
    for account in accounts:
        if account.is_hub:
            for sku, line in _hub_lines(tx, tenant_id, skus, account, now).items():
                found[sku].append(line)
            continue
        mine = {o.outlet_id: o for o in outlets if o.account_id == account.account_id}
        if not mine:
            continue
        numbers = numbers_of(
            tx, tenant_id, account.account_id, mine, (can or {}).get(account.channel, PLAIN), now, everything=True
        )
        rules = rules_for(tx, tenant_id, account.account_id, {*(s for o in mine.values() for s in o.parts), EVERY_SKU})
        for outlet in mine.values():
            line = _line(outlet, numbers.get(outlet.outlet_id), account, rules, places, can, now)
            for sku in outlet.parts:
                if sku in found:
                    found[sku].append(line)
    return found


def _line(
    outlet: OutletNow,
    number: Number | None,
    account: AccountNow,
    rules: Rules,
    places: Mapping[str, str],
    can: Mapping[str, Capabilities] | None,
    now: int | None,
) -> OutletLine:
    should = None if number is None else number.offer
    ladder = (
        None if number is None else _ladder(number, account, rules, places, (can or {}).get(account.channel, PLAIN))
    )
    shown = judge(outlet, should, account, now)
    since = outlet.sent_at if outlet.sent is not None else outlet.dirty_since or outlet.slot_since
    return _made(outlet.outlet_id, account, outlet.external_id, outlet.title, should, shown, since, ladder)


def _made(
    outlet_id: int,
    account: AccountNow,
    external_id: str,
    title: str,
    should: int | None,
    shown: Shown,
    since: int | None,
    ladder: Ladder | None,
) -> OutletLine:
    return OutletLine(
        outlet_id=outlet_id,
        account_id=account.account_id,
        channel=account.channel,
        channel_name=account.name,
        account=account.label,
        external_id=external_id,
        title=title,
        should=should,
        shows=shown.quantity,
        told=shown.told,
        seen_at=from_us(shown.at) if shown.at else None,
        verified=shown.verified,
        state=shown.state,
        word=shown.word,
        note=shown.note,
        since_at=from_us(since) if since else None,
        ladder=ladder,
    )


def _ladder(number: Number, account: AccountNow, rules: Rules, places: Mapping[str, str], can: Capabilities) -> Ladder:
    at, names = number.why["rule"], {account.account_id: account.name}
    words = f"rule for {for_what(msgspec.convert(at['selector'], Selector), names)}"
    if at["low"]:
        words = f"{words}, its numbers for low stock"
    closed = bool(number.why["closed"])
    if closed:
        words = f"{account.name} shows 0 until it is resumed"
    elif number.why["wider"]:
        words = f"{words}, and {number.why['wider']} more while buffers are widened"
    sku = number.why.get("sku", EVERY_SKU)
    trace = trace_lines(rules.trace(sku), names, places)
    if "parts" in number.why:
        return ladder_of(number.why, number.available, words, trace=trace)
    numbers = rules.of(sku).numbers_at(number.available)
    policy = numbers.policy(
        units_per_listing=number.units,
        channel_max=can.max_quantity,
        auto_cap=number.why["cap"],
        closed=closed,
        wider=number.why["wider"],
    )
    if not closed and numbers.cap_auto and numbers.cap != number.why["cap"]:
        words = f"{words}: the cap follows the pace"
    elif not closed and numbers.cap is None and numbers.exactly is None and number.why["capped"]:
        words = f"{account.name} takes at most {can.max_quantity}"
    return ladder_of(number.why, number.available, words, policy=policy, trace=trace)


# --- marketplaces ------------------------------------------------------------------------------------------------------


def _outlets(tx: Tx, tenant_id: int, skus: Sequence[str], accounts: Sequence[AccountNow]) -> list[OutletNow]:
    rows = tx.all(
        """SELECT o.outlet_id, o.account_id, o.external_id, o.title, o.state, o.fulfilled_by_channel, s.state, s.believed, s.believed_at,
                  s.verified, s.sent, s.sent_at, s.acked_at, s.since_at, s.reason, d.since_at, p.sku, p.units
             FROM outlet o
             JOIN link p ON p.tenant_id = o.tenant_id AND p.outlet_id = o.outlet_id
             LEFT JOIN slot s ON s.tenant_id = o.tenant_id AND s.outlet_id = o.outlet_id
             LEFT JOIN dirty_listing d ON d.tenant_id = o.tenant_id AND d.outlet_id = o.outlet_id
            WHERE o.tenant_id = :t AND o.outlet_id IN (SELECT k.outlet_id FROM link k WHERE k.tenant_id = :t AND k.sku {in:skus})
            ORDER BY o.outlet_id, p.sku""",
        t=tenant_id,
        skus=list(skus),
    )
    parts: dict[int, dict[str, int]] = {}
    firsts: dict[int, tuple[Any, ...]] = {}
    for row in rows:
        firsts.setdefault(row[0], row)
        parts.setdefault(row[0], {})[row[16]] = row[17]
    skew = {account.account_id: account.skew for account in accounts}
    sales = _own_sales(tx, tenant_id, firsts)
    found = []
    for outlet_id, row in firsts.items():
        believed_at = row[8]
        clock = skew.get(row[1], 0)
        placed = sales.get(outlet_id, ()) if believed_at is not None else ()
        found.append(
            OutletNow(
                outlet_id,
                row[1],
                row[2],
                row[3],
                row[4],
                by_channel=bool(row[5]),
                slot_state=row[6],
                believed=row[7],
                believed_at=believed_at,
                verified=bool(row[9]),
                sent=row[10],
                sent_at=row[11],
                acked_at=row[12],
                slot_since=row[13],
                reason=row[14] or "",
                dirty_since=row[15],
                parts=parts[outlet_id],
                sold_surely=sum(units for at, units in placed if at > believed_at + clock),
                sold_perhaps=sum(units for at, units in placed if at > believed_at - clock),
            )
        )
    return found


def _own_sales(tx: Tx, tenant_id: int, outlet_ids: Iterable[int]) -> dict[int, list[tuple[int, int]]]:
    """Return {outlet: [(placed_at, listings)]} of sales since about the last read, each line once (a bundle has a row a part)."""
    rows = tx.all(
        """SELECT l.outlet_id, o.placed_at, MAX(l.ordered / l.units_per_listing)
             FROM slot s
             JOIN order_line l ON l.tenant_id = s.tenant_id AND l.outlet_id = s.outlet_id AND l.placed_s >= s.believed_at / 1000000 - 60
             JOIN orders o ON o.tenant_id = l.tenant_id AND o.order_no = l.order_no
            WHERE s.tenant_id = :t AND s.outlet_id {in:ids} AND s.believed_at IS NOT NULL AND l.state <> 'U'
            GROUP BY l.outlet_id, l.order_no, l.line_id, o.placed_at""",
        t=tenant_id,
        ids=sorted(outlet_ids),
    )
    found: dict[int, list[tuple[int, int]]] = {}
    for outlet_id, placed_at, units in rows:
        found.setdefault(outlet_id, []).append((placed_at, int(units)))
    return found


# --- the hub -----------------------------------------------------------------------------------------------------------


def _hub_lines(
    tx: Tx, tenant_id: int, skus: Sequence[str], account: AccountNow, now: int | None
) -> dict[str, OutletLine]:
    items = {
        row[0]: row
        for row in tx.all(
            "SELECT sku, title, variant_id, tracked FROM item WHERE tenant_id = :t AND sku {in:skus} AND deleted = 0",
            t=tenant_id,
            skus=list(skus),
        )
    }
    levels = hub_levels_of(tx, tenant_id, account, skus)
    held_back = _held_back(tx, tenant_id, list(skus))
    found = {}
    for sku, (_, title, variant_id, tracked) in items.items():
        if not tracked:
            shown = Shown("not_linked", "Not tracked", "Shopify does not count this item")
            found[sku] = _made(0, account, variant_id, title, None, shown, None, None)
            continue
        here = levels.get(sku, [])
        should = sum(level.should for level in here)
        back = sum(held_back.get((sku, level.location_id), 0) for level in here)
        terms = [Term("Available", should + back, "" if back else "the shop shows what there is; nothing is held back")]
        if back:
            terms.append(Term("Dealt out to the other outlets", -back, "never oversell: they show these pieces"))
        ladder = Ladder("pieces", terms, 1, should)
        found[sku] = _made(0, account, variant_id, title, should, judge_hub(here, account, now), None, ladder)
    return found


def hub_levels_of(tx: Tx, tenant_id: int, hub: AccountNow, skus: Sequence[str]) -> dict[str, list[HubLevelNow]]:
    """Return {SKU: the hub's levels at the locations in scope}: what each should show, is expected to show now, and was read."""
    wanted = list(skus)
    ours = levels_of(tx, tenant_id, wanted)
    scope = locations_in_scope(tx, tenant_id)
    reads = {
        (row[0], row[1]): row[2:]
        for row in tx.all(
            "SELECT sku, location_id, available, read_at, odd, odd_since, wanted FROM hub_level WHERE tenant_id = :t AND sku {in:skus}",
            t=tenant_id,
            skus=wanted,
        )
    }
    counted = _counted(tx, tenant_id, hub, wanted)
    claims = {
        (row[0], row[1]): row[2:]
        for row in tx.all(
            """SELECT sku, location_id, CAST(SUM(held + imported) AS BIGINT), MAX(CASE WHEN want <> held + imported AND refused = 0 THEN 1 ELSE 0 END)
                 FROM claim WHERE tenant_id = :t AND sku {in:skus} AND open = 1 GROUP BY sku, location_id""",
            t=tenant_id,
            skus=wanted,
        )
    }
    in_flight = _in_flight(tx, tenant_id)
    held_back = _held_back(tx, tenant_id, wanted)
    found: dict[str, list[HubLevelNow]] = {}
    for sku in wanted:
        for location_id in scope:
            where = (sku, location_id)
            if where not in ours and where not in reads:
                continue
            k = ours[where].available if where in ours else 0
            should = k - held_back.get(where, 0)
            claimed, claims_open = claims.get(where, (0, 0))
            read, read_at, odd, odd_since, asked = reads.get(where, (None, None, 0, None, 0))
            expected = hub_rules.expected(k, counted.get(where, 0), int(claimed))
            found.setdefault(sku, []).append(
                HubLevelNow(
                    location_id,
                    should,
                    expected,
                    read,
                    read_at or None,
                    odd if odd_since is not None else 0,
                    odd_since,
                    bool(asked),
                    where in in_flight,
                    bool(claims_open),
                )
            )
    return found


def _held_back(tx: Tx, tenant_id: int, skus: list[str]) -> dict[tuple[str, str], int]:
    """Pieces of strict SKUs that the hub is not to show, because other outlets do (S2.9)."""
    rows = tx.all(
        "SELECT sku, location_id, want FROM claim WHERE tenant_id = :t AND sku {in:skus} AND open = 1 AND claim_key LIKE 'strict:%'",
        t=tenant_id,
        skus=skus,
    )
    return {(sku, location): want for sku, location, want in rows}


def _counted(tx: Tx, tenant_id: int, hub: AccountNow, skus: list[str]) -> dict[tuple[str, str], int]:
    """S9.5: pieces in reserved and committed that the hub does not take by itself: marketplace lines and provisionals."""
    found: dict[tuple[str, str], int] = {}
    for sku, location_id, pieces in tx.all(
        """SELECT sku, location_id, CAST(SUM(reserved + committed) AS BIGINT) FROM order_line
            WHERE tenant_id = :t AND sku {in:skus} AND account_id <> :hub AND state NOT IN ('C', 'U') GROUP BY sku, location_id""",
        t=tenant_id,
        skus=skus,
        hub=hub.account_id,
    ) + tx.all(
        """SELECT sku, location_id, CAST(SUM(pieces) AS BIGINT) FROM provisional
            WHERE tenant_id = :t AND state = 'OPEN' AND outlet_id <> 0 AND sku {in:skus} GROUP BY sku, location_id""",
        t=tenant_id,
        skus=skus,
    ):
        where = (sku, location_id)
        found[where] = found.get(where, 0) + int(pieces or 0)
    return found


def _in_flight(tx: Tx, tenant_id: int) -> set[tuple[str, str]]:
    """Where calls to the hub are unanswered now: (SKU, location)."""
    rows = tx.all(
        "SELECT payload FROM intent WHERE tenant_id = :t AND state IN ('SENDING', 'UNKNOWN') "
        "AND kind IN ('move_batch', 'import', 'cancel_copy', 'remove', 'count') LIMIT 500",
        t=tenant_id,
    )
    return {
        (move[0], move[1]) for (payload,) in rows for move in msgspec.json.decode(payload).get("moves", ()) if move[2]
    }
