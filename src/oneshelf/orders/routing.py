"""Where the lines of an order stand: by the merchant's policy, by the hub's word, again when a location fails (SEMANTICS 5.7; R1 to R9).

In: an order that is booked, a location that closed or refused, a person's word. Out: lines at their location, decisions with reasons,
intents to move the fulfilment orders of a copy. Never: moves pieces of a line that has left; routes the hub's own orders, which it does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from oneshelf.core.facts import Address, LineSeen
from oneshelf.core.routing import Wanted
from oneshelf.core.stock import Entry, Level
from oneshelf.db.journal import close_task, note, open_task
from oneshelf.db.tx import Tx
from oneshelf.listings import dirty
from oneshelf.routing import deciding
from oneshelf.routing.deciding import Decision
from oneshelf.stock import ledger
from oneshelf.stock.levels import levels_of

from . import claims, covering, elsewhere
from .accounts import Account
from .batch import Batch, Heard
from .parcels import move_line
from .rows import LineRow, OrderRow, load_lines, load_orders_by_no, save_lines

#: The kind of intent that has a copy's fulfilment orders moved.
MOVE = "move_copy"
TASK = "choose_location"
#: Orders that are decided again in one go.
AGAIN_MAX = 100

_TAKING = ("live", "ask")


# --- while it is booked -----------------------------------------------------------------------------------------------


def place(batch: Batch, account: Account, order: OrderRow, h: Heard, due: Sequence[tuple[LineRow, LineSeen]]) -> None:
    """Decide where the lines of a marketplace order stand, before the first of them takes a piece. Once; again when the address, which
    was not known, has come and nothing stands in the hub yet."""
    if account.is_hub or order.standing not in _TAKING or batch.router is None:
        return
    wanted = [_wanted(line, pieces, due) for line, seen in due if (pieces := _open(line, seen)) > 0]
    fresh = {line.key for line, _ in due if not line.location_id}
    before = batch.routes.get(order.order_no)
    if not any(one.line in fresh for one in wanted):
        if before is None or order.hub_order_id is not None or not _knows_more(batch, before, h):
            return
        fresh = {one.line for one in wanted}
    wanted = [one for one in wanted if one.line in fresh]
    staying = {line.location_id for line, seen in due if line.key not in fresh and _open(line, seen) > 0}
    decision = batch.router.decide(
        order.order_no,
        account.account_id,
        wanted,
        batch.levels,
        h.order.ship_to,
        "bought" if before is None else "its address came" if not staying else "a line was added",
        version=1 if before is None else before.version + 1,
        own=_own_of(line for line, _ in due if line.key in fresh),
        used=staying - {""},
    )
    if before is not None:
        decision.places = {**before.places, **decision.places}
    for line, _ in due:
        if line.key in fresh and (where := decision.places.get(line.key)):
            move_line(batch, line, where)
    batch.routes[order.order_no] = decision
    batch.decided[order.order_no] = decision


def _wanted(line: LineRow, pieces: int, due: Sequence[tuple[LineRow, LineSeen]]) -> Wanted:
    bundle = sum(other.line_id == line.line_id for other, _ in due) > 1
    return Wanted(line.key, line.sku, pieces, line.line_id if bundle else "")


def _open(line: LineRow, seen: LineSeen) -> int:
    return max(0, seen.ordered - max(seen.cancelled, 0) - seen.shipped) * line.units_per_listing


def _knows_more(batch: Batch, before: Decision, h: Heard) -> bool:
    """Whether the way to the buyer was unknown when it was decided, and can be known now."""
    asked = batch.router is not None and "distance" in batch.router.policy.criteria
    address = h.order.ship_to
    return (
        asked and not before.distance_from and address is not None and bool(address.postal_code or address.city)
    ) and before.distance_why == deciding.NO_ADDRESS


def _own_of(lines: Iterable[LineRow]) -> dict[tuple[str, str], int]:
    own: dict[tuple[str, str], int] = {}
    for line in lines:
        if line.location_id:
            where = (line.sku, line.location_id)
            own[where] = own.get(where, 0) + line.reserved + line.committed
    return own


# --- carried out in the hub -------------------------------------------------------------------------------------------


def want_move(tx: Tx, tenant_id: int, order: OrderRow, now: int) -> None:
    """The order stands in the hub: have its fulfilment orders moved to where it was decided. Once a decision."""
    decision = deciding.newest(tx, tenant_id, [order.order_no]).get(order.order_no)
    if decision is None or decision.state != deciding.WANTED:
        return
    payload = {"order_no": order.order_no, "version": decision.version}
    claims.add_intent(
        tx, tenant_id, MOVE, f"{order.account_id}/{order.order_id}", decision.version, payload, now, priority=3
    )


def follow_hub(batch: Batch, source: OrderRow, h: Heard, stands: Mapping[str, str]) -> None:
    """The hub has the last word: a copy that was moved by hand after we had moved it stays there. `stands`: line key → location id."""
    decision = batch.routes.get(source.order_no)
    if decision is None or decision.state != deciding.DONE or h.fetched_at <= (decision.settled_at or 0):
        return
    elsewhere = {key: where for key, where in stands.items() if decision.places.get(key, where) != where}
    if elsewhere:
        deciding.became(
            batch.tx, batch.tenant_id, source.order_no, decision.version, deciding.OVERRULED, batch.now, "moved there"
        )
        batch.routes[source.order_no] = msgspec.structs.replace(decision, state=deciding.OVERRULED)
        what = "A copy was moved to another location in Shopify"
        note(batch.tx, batch.tenant_id, batch.now, "merchant", what, f"order:{source.order_no}")


def stand_at(tx: Tx, tenant_id: int, order_no: int, places: Mapping[str, str], now: int) -> None:
    """Let the lines of an order stand at these locations (line key → location id): what they hold moves along, K unchanged (`alloc:`)."""
    lines = [line for line in load_lines(tx, tenant_id, [order_no]).get(order_no, {}).values() if line.key in places]
    moved = [line for line in lines if places[line.key] not in ("", line.location_id)]
    entries: list[Entry] = []
    for line in moved:
        line.version += 1
        for where, sign in ((line.location_id, -1), (places[line.key], 1)):
            entries.append(
                Entry(
                    key=f"alloc:{line.key}:{line.version}:{where}",
                    sku=line.sku,
                    location_id=where,
                    reason="served from another location",
                    reserved=sign * line.reserved,
                    committed=sign * line.committed,
                    source=f"order {line.order_id}",
                    order_no=order_no,
                )
            )
        line.location_id = places[line.key]
    if not moved:
        return
    ledger.post(tx, tenant_id, [entry for entry in entries if entry.location_id and not entry.moves_nothing], now)
    save_lines(tx, tenant_id, moved)
    found = claims.load(tx, tenant_id, [line.key for line in moved])
    for claim in found.values():
        if claims.may_move(tx, tenant_id, claim):
            elsewhere.come_to_stand(tx, tenant_id, claim, places[claim.claim_key])
    claims.save(tx, tenant_id, found.values())
    skus = sorted({line.sku for line in moved})
    dirty.mark(tx, tenant_id, skus, now, "served from another location")
    covering.recompute(tx, tenant_id, skus, now)


# --- decided again ----------------------------------------------------------------------------------------------------


def decide_again(
    tx: Tx,
    tenant_id: int,
    order_nos: Sequence[int],
    why: str,
    now: int,
    *,
    exclude: Mapping[str, str] | None = None,
    places: Mapping[str, str] | None = None,
) -> list[Decision]:
    """Decide once more for what is still open of these marketplace orders, and have it carried out. `exclude`: location id → why it is not
    asked any more; what an order was refused before stays so. `places`: a person's own choice (line key → location id).

    Returns the decisions that change something.
    """
    router = deciding.router(tx, tenant_id, now, least=1)
    if router is None or not order_nos:
        return []
    orders = load_orders_by_no(tx, tenant_id, order_nos)
    lines = load_lines(tx, tenant_id, orders)
    before = deciding.newest(tx, tenant_id, orders)
    skus = {line.sku for some in lines.values() for line in some.values() if line.sku}
    levels = levels_of(tx, tenant_id, skus)
    made: list[Decision] = []
    for order_no, order in sorted(orders.items()):
        open_lines = [line for line in lines.get(order_no, {}).values() if line.sku and line.reserved + line.committed]
        if order.standing not in _TAKING or not open_lines:
            continue
        last = before.get(order_no)
        without = {**(_lasting(last) if last else {}), **(exclude or {})}
        decision = router.decide(
            order_no,
            order.account_id,
            [
                Wanted(
                    line.key,
                    line.sku,
                    line.reserved + line.committed,
                    line.line_id if sum(o.line_id == line.line_id for o in open_lines) > 1 else "",
                )
                for line in open_lines
            ],
            levels,
            _address(order),
            why,
            version=1 if last is None else last.version + 1,
            own=_own_of(open_lines),
            excluded=without,
        )
        decision.excluded = {**decision.excluded, **without}
        if places:
            decision.places = {**decision.places, **places}
            decision.short = [key for key in decision.short if key not in places]  # a person may know better
        asked = {one.location_id for one in router.locations} - decision.excluded.keys()
        if _settle_again(tx, tenant_id, order, open_lines, decision, last, levels, asked, now):
            made.append(decision)
    return made


#: Reasons for which a location is left out of one order for good begin so.
REFUSED_IT = "refused this order"


def _lasting(last: Decision) -> dict[str, str]:
    return {where: why for where, why in last.excluded.items() if why.startswith((REFUSED_IT, NOT_FROM))}


NOT_FROM = "you said: not from there"


def _settle_again(
    tx: Tx,
    tenant_id: int,
    order: OrderRow,
    open_lines: Sequence[LineRow],
    decision: Decision,
    last: Decision | None,
    levels: dict[tuple[str, str], Level],
    asked: set[str],
    now: int,
) -> bool:
    """Keep a second decision and have it carried out. False: everything stands there already, or the last one says the same and is not
    carried out yet (a held copy waits). `asked`: the locations that may serve."""
    name = f"{order.account_id}/{order.order_id}"
    stuck = [line for line in open_lines if line.key in decision.short and line.location_id not in asked]
    if stuck:
        what = f"Say where order {order.order_id} leaves from: {', '.join(sorted({line.sku for line in stuck}))}"
        why = f"No other location has it: {decision.why}. Move stock, or: oneshelf orders route {order.order_id} --to LOCATION"
        open_task(tx, tenant_id, now, TASK, name, what, why, order.ship_by_at)
    else:
        close_task(tx, tenant_id, now, TASK, name)
    moving = [
        line
        for line in open_lines
        if decision.places.get(line.key)
        and decision.places[line.key] != line.location_id
        and line.key not in decision.short
    ]
    if not moving or _is_wanted_already(last, decision, moving):
        return False
    if order.hub_order_id is None:
        stand_at(tx, tenant_id, order.order_no, {line.key: decision.places[line.key] for line in moving}, now)
    deciding.save(tx, tenant_id, [decision])
    if order.hub_order_id is not None:
        want_move(tx, tenant_id, order, now)
    for line in moving:  # the next order of this batch sees what this one takes
        for where, sign in ((line.location_id, -1), (decision.places[line.key], 1)):
            if where:
                taken = sign * (line.reserved + line.committed)
                level = levels.setdefault((line.sku, where), Level())
                level.add(Entry("", line.sku, where, "", committed=taken))
    what = "An order leaves from elsewhere"
    note(tx, tenant_id, now, "routing", what, f"order:{order.order_no}", why=decision.why, version=decision.version)
    return True


def _is_wanted_already(last: Decision | None, decision: Decision, moving: Sequence[LineRow]) -> bool:
    return (
        last is not None
        and last.state == deciding.WANTED
        and decision.excluded.keys() <= last.excluded.keys()
        and all(last.places.get(line.key) == decision.places[line.key] for line in moving)
    )


def _address(order: OrderRow) -> Address | None:
    told = json.loads(order.person).get("ship_to")
    return msgspec.convert(told, Address) if told else None


def leave_closed(tx: Tx, tenant_id: int, location_ids: Iterable[str], now: int) -> int:
    """These locations serve nobody any more: what marketplaces sold and stands there is decided again. Returns how many orders moved."""
    rows = tx.all(
        f"""SELECT DISTINCT l.order_no FROM order_line l {_OF_MARKETPLACES}
              AND l.location_id {{in:here}} AND l.state IN ('P', 'O', 'R', 'M') AND l.reserved + l.committed > 0 ORDER BY l.order_no""",
        t=tenant_id,
        here=sorted(location_ids),
    )
    numbers = [order_no for (order_no,) in rows]
    return sum(
        len(decide_again(tx, tenant_id, numbers[i : i + AGAIN_MAX], "its location closed", now))
        for i in range(0, len(numbers), AGAIN_MAX)
    )


_OF_MARKETPLACES = (
    "JOIN account a ON a.tenant_id = l.tenant_id AND a.account_id = l.account_id AND a.channel <> 'shopify' "
    "WHERE l.tenant_id = :t"
)


def leave_empty(tx: Tx, tenant_id: int, after: int, now: int) -> int:
    """Orders that stand where K_l is below 0 while another location has their pieces are decided again, AGAIN_MAX at a time, those after
    order number `after`. Returns the last one looked at, 0 when all were."""
    if deciding.router(tx, tenant_id, now) is None:
        return 0
    rows = tx.all(
        f"""SELECT DISTINCT l.order_no FROM stock_level s
              JOIN order_line l ON l.tenant_id = s.tenant_id AND l.sku = s.sku AND l.location_id = s.location_id
                   AND l.state IN ('P', 'O', 'R', 'M') AND l.reserved + l.committed > 0 {_OF_MARKETPLACES}
               AND s.on_hand - s.committed - s.reserved - s.unavailable < 0 AND l.order_no > :after
               AND EXISTS (SELECT 1 FROM stock_level e JOIN location p ON p.tenant_id = e.tenant_id AND p.location_id = e.location_id
                            WHERE e.tenant_id = s.tenant_id AND e.sku = s.sku AND e.location_id <> s.location_id
                              AND p.active = 1 AND p.in_scope = 1
                              AND e.on_hand - e.committed - e.reserved - e.unavailable >= l.reserved + l.committed)
             ORDER BY l.order_no LIMIT :n""",
        t=tenant_id,
        after=after,
        n=AGAIN_MAX,
    )
    numbers = [order_no for (order_no,) in rows]
    decide_again(tx, tenant_id, numbers, "its location ran out", now)
    return numbers[-1] if len(numbers) == AGAIN_MAX else 0


# --- by hand ----------------------------------------------------------------------------------------------------------


def find_order(tx: Tx, tenant_id: int, name: str) -> OrderRow:
    """Return the order that its channel calls so (id or number), or our own number. Raises LookupError if there is none, or several."""
    rows = tx.all(
        "SELECT order_no FROM orders WHERE tenant_id = :t AND copy_key = '' AND (order_id = :n OR number = :n) ORDER BY order_no",
        t=tenant_id,
        n=name,
    )
    if len(rows) != 1:
        raise LookupError(
            f"there {'are several orders' if rows else 'is no order'} {name}; give the id that its channel shows"
        )
    return load_orders_by_no(tx, tenant_id, [rows[0][0]])[rows[0][0]]


def route_by_hand(
    tx: Tx,
    tenant_id: int,
    order_name: str,
    now: int,
    *,
    by: str,
    to: str = "",
    not_from: Sequence[str] = (),
) -> Decision | None:
    """Decide an order once more: all of it from location `to`, or by the policy without the locations `not_from` (ids). Returns what
    changes, None if it stands right already. Raises LookupError for no such order, ValueError where it can't be decided."""
    order = find_order(tx, tenant_id, order_name)
    if order.account_id in {
        a for (a,) in tx.all("SELECT account_id FROM account WHERE tenant_id = :t AND channel = 'shopify'", t=tenant_id)
    }:
        raise ValueError(f"order {order_name} was bought in the shop itself, which routes it: move it there")
    lines = [line for line in load_lines(tx, tenant_id, [order.order_no]).get(order.order_no, {}).values() if line.sku]
    open_lines = [line for line in lines if line.reserved + line.committed]
    if not open_lines:
        raise ValueError(f"nothing of order {order_name} is left to send")
    router = deciding.router(tx, tenant_id, now)
    if router is None:
        raise ValueError("Shopify routes the orders: oneshelf routing set --by oneshelf, with two locations or more")
    counting = {one.location_id: one.name for one in router.locations}
    if strange := [one for one in (*not_from, *([to] if to else [])) if one not in counting]:
        raise ValueError(f"{', '.join(strange)} sends no orders: it is closed or not in scope")
    note(
        tx, tenant_id, now, by, "An order is routed by hand", f"order:{order.order_no}", to=to, not_from=list(not_from)
    )
    made = decide_again(
        tx,
        tenant_id,
        [order.order_no],
        f"you said: from {counting[to]}" if to else "you asked",
        now,
        exclude=dict.fromkeys(not_from, NOT_FROM),
        places={line.key: to for line in open_lines} if to else None,
    )
    return made[0] if made else None
