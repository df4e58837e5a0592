"""The invariants that must hold after every step, by arithmetic of the checker's own (SEMANTICS 13: I1, I2, I3, I6, I7, I10).

I1  level = sum of ledger entries, per SKU, location, bucket.
I2  K = on_hand − committed − reserved − unavailable, over the locations in scope.
I3  of one order line's pieces each is reserved and committed at most once, and shipped or released at most once.
I6  one hub fulfilment makes at most one shipment a line at the marketplace.
I7  coverage is the walk of 6.1 over what is stored; possession first, then by key.
I10 a line is sent to cancel at most once and holds no stock afterwards.
At rest also: the ledger's K is the world's truth, and every level of the shop is what is expected of it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tests.scenario.engine import SHOP, TENANT, World

from oneshelf.db.store import transaction
from oneshelf.orders import repairing

if TYPE_CHECKING:
    from tests.scenario.fake_market import FakeMarket

_MOVES = ("reserve:", "commit:", "release:", "ship:", "unship:", "alloc:")


def check(world: World) -> None:
    """Assert I1, I2, I3 and I7 from the rows themselves."""
    sums = _levels_are_sums(world)
    _k_is_the_difference(world, sums)
    _pieces_count_once(world)
    _coverage_is_the_walk(world, sums)
    with transaction(world.store) as tx:
        assert repairing.drifted(tx, TENANT) == [], "I3: `oneshelf check` counts it otherwise"


def _levels_are_sums(world: World) -> dict[tuple[str, str], list[int]]:
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * 6)
    buckets = "on_hand, committed, reserved, foreign_reserved, unavailable, incoming"
    for sku, location_id, *changes in world.rows(f"SELECT sku, location_id, {buckets} FROM ledger_entry"):
        assert location_id, f"an entry of {sku} without a location"
        for i, change in enumerate(changes):
            sums[(sku, location_id)][i] += change
    for sku, location_id, *level in world.rows(f"SELECT sku, location_id, {buckets} FROM stock_level"):
        assert level == sums[(sku, location_id)], (
            f"I1: {sku} at {location_id}: level {level}, entries {sums[(sku, location_id)]}"
        )
    return sums


def _k_is_the_difference(world: World, sums: dict[tuple[str, str], list[int]]) -> None:
    in_scope = {place for (place,) in world.rows("SELECT location_id FROM location WHERE active = 1 AND in_scope = 1")}
    k: dict[str, int] = defaultdict(int)
    for (sku, location_id), (on_hand, committed, reserved, _, unavailable, _) in sums.items():
        if location_id in in_scope:
            k[sku] += on_hand - committed - reserved - unavailable
    for sku, pieces in k.items():
        found = sum(world.k(sku, location_id) for location_id in in_scope)
        assert found == pieces, f"I2: K of {sku} is {found}, the entries say {pieces}"


def _pieces_count_once(world: World) -> None:
    by_line: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for key, on_hand, committed, reserved in world.rows(
        "SELECT entry_key, on_hand, committed, reserved FROM ledger_entry"
    ):
        if key.startswith(_MOVES):
            line_key = "/".join(key.split(":", 1)[1].split("/")[:3]) + "/" + key.split("/")[3].split(":")[0]
            by_line[line_key][0] += on_hand
            by_line[line_key][1] += committed
            by_line[line_key][2] += reserved
    for account_id, order_id, line_id, sku, state, ordered, cancelled, shipped, reserved, committed in world.rows(
        "SELECT account_id, order_id, line_id, sku, state, ordered, cancelled, shipped, reserved, committed FROM order_line WHERE sku <> ''"
    ):
        key = f"{account_id}/{order_id}/{line_id}/{sku}"
        on_hand, posted_committed, posted_reserved = by_line.pop(key, [0, 0, 0])
        assert (posted_reserved, posted_committed) == (reserved, committed), f"I3: {key} holds what its entries do not"
        assert min(reserved, committed) == 0 <= max(reserved, committed), f"I3: {key} is reserved and committed"
        still_open = max(0, ordered - cancelled - shipped)
        assert reserved + committed in (0, still_open), f"I3: {key} holds {reserved + committed} of {still_open} open"
        assert -on_hand <= shipped, f"I3: {key} left the shelf {-on_hand} times, shipped {shipped}"
        if state == "C":
            assert reserved + committed == 0, f"I3: {key} is cancelled and holds pieces"
    by_line = {
        key: sums for key, sums in by_line.items() if any(sums)
    }  # one that was taken anew gave its parts back (B4)
    assert not by_line, f"entries of lines that are not stored: {dict(by_line)}"


def _coverage_is_the_walk(world: World, sums: dict[tuple[str, str], list[int]]) -> None:
    free: dict[str, int] = defaultdict(int)
    for (sku, _), (on_hand, _, _, foreign, unavailable, _) in sums.items():
        free[sku] += on_hand - unavailable - foreign
    lines = world.rows(
        "SELECT sku, state, reserved + committed, pin, placed_s, rank, account_id, order_id, line_id, coverage "
        "FROM order_line WHERE sku <> '' AND reserved + committed > 0 AND state IN ('P', 'O', 'M', 'R', 'S')"
    )
    promised = world.rows("SELECT sku, pull FROM hub_level WHERE pull > 0")
    for sku, pieces in promised:
        free[sku] -= pieces
    covered: dict[str, int] = defaultdict(int)
    for sku, state, pieces, *_ in lines:
        if state in "RS":
            free[sku] -= pieces
    for sku, state, pieces, _, _, _, _, order_id, _, coverage in sorted(
        lines, key=lambda row: (row[0], -row[3], row[4], row[5], str(row[6]), row[7], row[8])
    ):
        if state in "RS":
            assert coverage == "COVERED", f"I7: {sku} of {order_id} is in hand and {coverage!r}"
            continue
        fits = pieces <= free[sku]
        assert coverage == ("COVERED" if fits else "SHORT"), f"I7: {sku} of {order_id}: {coverage}, free {free[sku]}"
        if fits:
            free[sku] -= pieces
            covered[sku] += pieces
    idle = world.rows("SELECT order_id, coverage FROM order_line WHERE reserved + committed = 0 AND coverage <> ''")
    assert not idle, f"lines that hold nothing and are covered or short: {idle}"


def check_at_rest(world: World, open_pieces: dict[str, int]) -> None:
    """Everything is settled: K is the truth of shelf and orders, the shop shows what is expected, no claim is owed.

    `open_pieces`: pieces per SKU that marketplace orders still ask for and that have not left, by the test's own count.
    """
    check(world)
    check_claims_carried(world)
    own = {o for (o,) in world.rows("SELECT order_id FROM orders WHERE account_id = :a AND standing <> 'copy'", a=SHOP)}
    for sku in {sku for sku, _ in world.hub.cells}:
        shelf = sum(cell.on_hand - cell.unavailable for (s, _), cell in world.hub.cells.items() if s == sku)
        web = sum(line.open for o in own for line in world.hub.orders[o].lines if line.sku == sku)
        truth = shelf - web - open_pieces.get(sku, 0)
        assert world.k(sku) == truth, f"K of {sku} is {world.k(sku)}, the truth is {truth}"
    for (sku, location_id), cell in world.hub.cells.items():
        assert world.expected(sku, location_id) == cell.available, (
            f"{sku} at {location_id}: the shop shows {cell.available}, expected {world.expected(sku, location_id)}"
        )


def check_claims_carried(world: World) -> None:
    """Assert that the shop carries every claim, except holds that it refused."""
    owed = {
        (claim_key, want, held, imported)
        for claim_key, want, held, imported, refused in world.rows(
            "SELECT claim_key, want, held, imported, refused FROM claim WHERE open = 1"
        )
        if want != held + imported and not refused
    }
    assert not owed, f"claims that the shop does not carry: {owed}"


def check_shipments(world: World, market: FakeMarket) -> None:
    """I6: one fulfilment, at most one shipment a line at the marketplace; together never more units than were asked for."""
    told: dict[tuple[int, str], int] = defaultdict(int)
    for (account_id, order_id), parcels in market.parcels.items():
        numbers = [one.tracking_number for one in parcels.values() if one.tracking_number]
        assert len(numbers) == len(set(numbers)), f"I6: a parcel of {order_id} was told twice: {numbers}"
        for one in parcels.values():
            for line_id, units in (one.units or {}).items():
                told[(account_id, f"{order_id}/{line_id}")] += units
    for account_id, order_id, line_id, ordered in world.rows(
        "SELECT account_id, order_id, line_id, MIN(ordered / units_per_listing) FROM order_line GROUP BY 1, 2, 3"
    ):
        units = told.pop((account_id, f"{order_id}/{line_id}"), 0)
        assert units <= ordered, f"I6: {order_id}/{line_id} was told {units} of {ordered} units"
    assert not told, f"I6: told of lines that are not stored: {dict(told)}"


def check_cancels(world: World, market: FakeMarket) -> None:
    """I10: a line is sent to cancel at most once; afterwards it holds no stock; nothing in R or S is cancelled by us (I8)."""
    sent: dict[tuple[str, str], int] = defaultdict(int)
    for wish in market.cancel_calls:
        for line_id in wish.lines:
            sent[(wish.order_id, line_id)] += 1
    twice = {key: times for key, times in sent.items() if times > 1}
    assert not twice, f"I10: sent to cancel more than once: {twice}"
    for order_id, line_id in sent:
        for state, holds, coverage in world.rows(
            "SELECT state, reserved + committed, coverage FROM order_line WHERE order_id = :o AND line_id = :l",
            o=order_id,
            l=line_id,
        ):
            assert state in ("X", "M", "C", "S"), f"I8: {order_id}/{line_id} is {state} and was sent to cancel"
            assert state != "X" or not coverage, f"I10: {order_id}/{line_id} is wanted cancelled and {coverage}"
            assert state != "C" or not holds, f"I10: {order_id}/{line_id} is cancelled and holds {holds}"
