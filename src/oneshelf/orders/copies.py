"""The hub copy of a marketplace order: what happens on it happens to the order (SEMANTICS 5.5, 5.6, 10.6, 14)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from oneshelf.core.facts import LineSeen, Payment
from oneshelf.core.instants import SECOND
from oneshelf.core.order import LineState
from oneshelf.db import events
from oneshelf.db.journal import close_task, note, open_task
from oneshelf.db.tx import Tx

from . import claims, elsewhere, keeping_up, parcels, releases, routing, shipments
from .batch import Batch, Heard
from .lines import settle_line
from .rows import LineRow, OrderRow, load_lines

#: S14.1: an order waits for a link until so long before its ship-by.
LINK_BEFORE_SHIP_BY_S = 24 * 3600
#: States in which a line wants to stand in the hub as an order.
IMPORTABLE = frozenset(
    str(state)
    for state in (
        LineState.OPEN,
        LineState.RELEASED,
        LineState.MERCHANT,
        LineState.CANCEL_WANTED,
        LineState.SHIPPED,
    )
)


def entity(order: OrderRow) -> str:
    """How intents name an order."""
    return f"{order.account_id}/{order.order_id}"


def follow_copy(batch: Batch, source: OrderRow, copy: OrderRow, h: Heard) -> None:
    """Apply a snapshot of the hub copy to the order that it copies: fulfilments, removed pieces, the location that serves it."""
    if source.hub_order_id not in (None, copy.order_id):
        _second_copy(batch, source, copy)
        return
    _take_as_copy(batch, source, copy)
    hub = batch.accounts[h.account_id]
    stands_for: dict[str, tuple[LineRow, set[str]]] = {}
    for line, hub_lines in _pairs(batch, source, h):
        hub_line_ids = {hub_line.line_id for hub_line in hub_lines}
        stands_for[line.key] = (line, hub_line_ids)
        parcels.follow_word(batch, line, hub_line_ids, h)
        parcels.ship(batch, hub, source, line, h, hub_line_ids, 1)
        _follow_counts(batch, source, line, hub_lines, whole_cancelled=h.order.cancelled)
        account = batch.accounts[source.account_id]
        settle_line(batch, account, source, line, paid=source.payment == Payment.PAID, ended=bool(source.cancelled))
        for came_back in h.order.returns:
            if came_back.line_id in hub_line_ids:
                parcels.come_back(batch, hub, line, came_back)
    shipments.owe(batch, source, h, stands_for)
    if h.order.locations:
        routing.follow_hub(batch, source, h, {key: line.location_id for key, (line, _) in stands_for.items()})


def _second_copy(batch: Batch, source: OrderRow, copy: OrderRow) -> None:
    """I6: a marketplace order has one hub order; which of two is right only a person can say."""
    open_task(
        batch.tx,
        batch.tenant_id,
        batch.now,
        "second_copy",
        entity(source),
        f"Cancel hub order {copy.number or copy.order_id}: order {source.order_id} stands there twice",
        f"Its first copy is {source.hub_order_id}",
    )


def _take_as_copy(batch: Batch, source: OrderRow, copy: OrderRow) -> None:
    """Link the two; an order that we still asked about is answered by its copy: it is counted, once (S0.6)."""
    source.hub_order_id = copy.order_id
    copy.copy_of_order_no = source.order_no
    copy.standing = "copy"
    if source.imported_at is None:
        source.imported_at = batch.now
        ids = {"order": source.order_no, "hub_order_id": copy.order_id}
        events.tell(batch.tx, batch.tenant_id, batch.now, "order.imported", [ids])
        releases.want(batch.tx, batch.tenant_id, source.order_no, batch.now)
        if batch.router is not None:
            routing.want_move(batch.tx, batch.tenant_id, source, batch.now)
    if source.standing == "ask":
        source.standing = "live"
        close_task(batch.tx, batch.tenant_id, batch.now, "order_before_live", entity(source))
    batch.dirty_orders[source.order_no] = source
    _settle_import(batch.tx, batch.tenant_id, entity(source), batch.now)


def _follow_counts(
    batch: Batch, source: OrderRow, line: LineRow, hub_lines: list[LineSeen], *, whole_cancelled: bool
) -> None:
    """Pieces the merchant took off the copy are his decision on the line (S5.5).

    Pieces that its marketplace had cancelled before the import never stood there. Pieces that he added to the copy are his own: they
    stand for no piece of the line.
    """
    on_copy = sum(hub_line.ordered for hub_line in hub_lines)
    shipped = sum(hub_line.shipped for hub_line in hub_lines)
    taken_off = on_copy - shipped if whole_cancelled else sum(hub_line.cancelled for hub_line in hub_lines)
    added = max(0, on_copy - line.ordered)
    # What our corrections took off was the line's; of the rest he took his own pieces back first.
    own_back = min(added, max(0, taken_off - _taken_off_by_us(batch, source, line))) if added and taken_off else 0
    never_there = min(line.told_cancelled, max(0, line.ordered - on_copy))
    removed = min(taken_off - own_back + never_there, max(0, line.ordered - line.shipped))
    if removed > max(line.removed, line.told_cancelled):
        _merchant_removed(batch, source, line, removed - line.told_cancelled)
    line.removed = removed
    line.cancelled = max(line.told_cancelled, line.removed)
    still_there = max(0, on_copy - taken_off - shipped - (added - own_back))
    batch.on_copy[line.key] = min(still_there, max(0, line.ordered - line.shipped))


def _taken_off_by_us(batch: Batch, source: OrderRow, line: LineRow) -> int:
    """Return the pieces of a line that our corrections took, or may have taken, off the copy."""
    rows = batch.tx.all(
        "SELECT payload FROM intent WHERE tenant_id = :t AND entity = :e AND kind = 'remove' "
        "AND state IN ('SENDING', 'UNKNOWN', 'DONE')",
        t=batch.tenant_id,
        e=entity(source),
    )
    return sum(told_off(json.loads(payload)["pieces"], line.key, line.line_id) for (payload,) in rows)


def told_off(pieces: Mapping[str, int], claim_key: str, line_id: str) -> int:
    """Return how many pieces a correction takes off for a claim. Corrections of versions before 0017 name the line, not its part."""
    return pieces.get(claim_key, pieces.get(line_id, 0))


def _pairs(batch: Batch, source: OrderRow, h: Heard) -> list[tuple[LineRow, list[LineSeen]]]:
    """Which hub lines stand for which line: by our property, else (a copy made by somebody else) by SKU, each line once (FC-E05)."""
    ties = batch.ties.get(h.account_id, {})
    lines = [line for (_, sku), line in sorted(batch.lines.get(source.order_no, {}).items()) if sku]
    found: dict[str, tuple[LineRow, list[LineSeen]]] = {}
    for hub_line in h.order.lines:
        tie = next((ties[key] for key in hub_line.listing_keys if key in ties), None)
        skus = set(tie.parts) if tie is not None else {hub_line.sku}
        named = hub_line.copy_of_line_id
        fitting = [line for line in lines if line.sku in skus and named in (None, line.line_id)]
        if not fitting:
            continue
        if named is None:
            fitting.sort(key=lambda line: (line.key in found, abs(line.ordered - hub_line.ordered)))
        found.setdefault(fitting[0].key, (fitting[0], []))[1].append(hub_line)
    return list(found.values())


def _merchant_removed(batch: Batch, source: OrderRow, line: LineRow, pieces: int) -> None:
    """S5.5: the merchant took pieces off the copy. The stock follows; the marketplace must hear of it from him."""
    open_task(
        batch.tx,
        batch.tenant_id,
        batch.now,
        "tell_marketplace",
        line.key,
        f"Cancel {pieces} × {line.sku} of order {source.order_id} at the marketplace",
        "You removed it from its copy in Shopify; the marketplace still expects it",
        source.ship_by_at,
    )


def _settle_import(tx: Tx, tenant_id: int, name: str, now: int) -> None:
    """The copy is there, whoever answered first: its import intent is done (S14.2)."""
    tx.run(
        "UPDATE intent SET state = 'DONE', settled_at = :now, due_at = :now, reason = 'its hub order was seen' "
        "WHERE tenant_id = :t AND kind = 'import' AND entity = :e AND state IN ('WAITING', 'UNKNOWN', 'TASK')",
        t=tenant_id,
        e=name,
        now=now,
    )
    close_task(tx, tenant_id, now, "import", name)


def follow_up(batch: Batch, handed_over: dict[str, int]) -> None:
    """What the hub owes these orders now: claims, holds, an import, a correction of the copy."""
    orders = [
        order
        for order in batch.dirty_orders.values()
        if order.standing in ("live", "ask", "off_count") and not batch.accounts[order.account_id].is_hub
    ]
    if not orders or batch.hub is None:
        return
    lines = {order.order_no: [x for x in batch.lines.get(order.order_no, {}).values() if x.sku] for order in orders}
    found = claims.load(batch.tx, batch.tenant_id, [line.key for some in lines.values() for line in some])
    touched: list[claims.ClaimRow] = []
    importing: list[OrderRow] = []
    for order in orders:
        mine = _claims_of(batch, order, lines[order.order_no], found, handed_over)
        touched += mine
        if _hold_or_import(batch, order, mine):
            importing.append(order)
        if order.hub_order_id is not None and batch.accounts[order.account_id].is_live:
            correct_copy(batch.tx, batch.tenant_id, order, mine, batch.now)
        if order.hub_order_id is not None:
            _ask_to_add(batch, order, mine)
        keeping_up.want_fulfilment(batch.tx, batch.tenant_id, order, lines[order.order_no], batch.now)
    claims.save(batch.tx, batch.tenant_id, touched)
    _want_imports(batch, importing)
    keeping_up.follow(batch.tx, batch.tenant_id, orders, batch.accounts, batch.now)


def _claims_of(
    batch: Batch, order: OrderRow, lines: list[LineRow], found: dict[str, claims.ClaimRow], handed_over: dict[str, int]
) -> list[claims.ClaimRow]:
    """The claims of one order's lines as they are after this batch."""
    mine: list[claims.ClaimRow] = []
    for line in lines:
        want, key = line.reserved + line.committed, line.key
        held = handed_over.get(key, 0)
        claim = found.get(key)
        if claim is None:
            # A copy may stand of what was cancelled when we first heard of it: it is taken back as any other (S5.6, S14.2).
            cancelled_there = order.standing == "live" and line.line_state is LineState.CANCELLED
            if not want and not held and not (cancelled_there and batch.on_copy.get(key)):
                continue
            claim = claims.ClaimRow(
                key, line.sku, line.location_id, 0, 0, 0, 0, order.order_no, line.line_id, batch.now, 0, 1
            )
        if want != claim.want:
            claim.want = want
            claim.refused = 0
        if claim.location_id != line.location_id and claims.may_move(batch.tx, batch.tenant_id, claim):
            elsewhere.come_to_stand(batch.tx, batch.tenant_id, claim, line.location_id)
        claim.held += held
        claim.imported = batch.on_copy.get(key, claim.imported)
        mine.append(claim)
    return mine


def _hold_or_import(batch: Batch, order: OrderRow, mine: list[claims.ClaimRow]) -> bool:
    """Whether the order is to be imported now; if not, what it holds is held in the hub by itself. Nothing leaves before LIVE."""
    if not batch.accounts[order.account_id].is_live:
        return False
    imports_now = importable(order, batch.lines.get(order.order_no, {}).values(), batch.now)
    owed = [claim for claim in mine if claim.held + claim.imported > claim.want] if imports_now else mine
    claims.plan(batch.tx, batch.tenant_id, owed, batch.now, at_once=True)
    return imports_now


def _ask_to_add(batch: Batch, order: OrderRow, mine: list[claims.ClaimRow]) -> None:
    """More was ordered after the import: its pieces are held; that the copy says so too only a person can do (an edit has its price)."""
    missing = [claim for claim in mine if claim.want > claim.imported]
    if missing and _made_by_us(batch, order):
        pieces = ", ".join(f"{c.want - c.imported} × {c.sku}" for c in missing)
        what = f"Add {pieces} to hub order {order.hub_order_id}"
        why = "It was ordered at the marketplace after the import; the pieces are held"
        open_task(batch.tx, batch.tenant_id, batch.now, "add_to_copy", entity(order), what, why, order.ship_by_at)
    elif not missing and any(claim.claim_key in batch.on_copy for claim in mine):
        close_task(batch.tx, batch.tenant_id, batch.now, "add_to_copy", entity(order))


def _made_by_us(batch: Batch, order: OrderRow) -> bool:
    row = batch.tx.one(
        "SELECT 1 FROM intent WHERE tenant_id = :t AND kind = 'import' AND entity = :e AND state = 'DONE' "
        "AND first_sent_at IS NOT NULL",
        t=batch.tenant_id,
        e=entity(order),
    )
    return row is not None


def _want_imports(batch: Batch, orders: list[OrderRow]) -> None:
    """One import an order; a further version only if the last one ended without a hub order (nothing was open, then it revived)."""
    if not orders:
        return
    last: dict[str, tuple[int, str]] = {}
    for name, version, state in batch.tx.all(
        "SELECT entity, version, state FROM intent WHERE tenant_id = :t AND kind = 'import' AND entity {in:names} "
        "ORDER BY version",
        t=batch.tenant_id,
        names=[entity(order) for order in orders],
    ):
        last[name] = (int(version), state)
    wanted = []
    for order in orders:
        version, state = last.get(entity(order), (0, "DONE"))
        if state == "DONE":
            wanted.append((entity(order), version + 1, {"order_no": order.order_no}))
    claims.add_intents(batch.tx, batch.tenant_id, "import", wanted, batch.now, priority=2)


def importable(order: OrderRow, lines: Iterable[LineRow], now: int) -> bool:
    """S14.1: paid, whole, all lines linked that are wanted, something still open, and not there yet. When it must leave soon it waits
    for a link no longer: the rest of it is sent."""
    lines = list(lines)
    return (
        order.standing == "live"
        and bool(order.complete)
        and order.payment == Payment.PAID
        and order.hub_order_id is None
        and bool(lines)
        and (must_leave_soon(order, now) or all(line.sku or line.line_state is LineState.CANCELLED for line in lines))
        and any(line.state in IMPORTABLE and line.committed > 0 for line in lines)
    )


def must_leave_soon(order: OrderRow, now: int) -> bool:
    """Whether its ship-by is so near that it is imported without what is not linked."""
    return order.ship_by_at is not None and now >= order.ship_by_at - LINK_BEFORE_SHIP_BY_S * SECOND


def _last_correction_unseen(tx: Tx, tenant_id: int, order: OrderRow) -> bool:
    """Whether the copy as we know it does not show the last correction yet: its own news, still to come, says what it has now.

    Told by the pieces that are off it, not by time: its news may come before the answer of the call.
    """
    row = tx.one(
        "SELECT payload FROM intent WHERE tenant_id = :t AND entity = :e AND kind IN ('cancel_copy', 'remove') "
        "AND state = 'DONE' ORDER BY intent_no DESC LIMIT 1",
        t=tenant_id,
        e=entity(order),
    )
    if row is None:
        return False
    payload = json.loads(row[0])
    off = _off_copy(tx, tenant_id, order)
    told: dict[str, int] = payload["pieces"]
    return any(off[key] < payload["off"].get(key, 0) + n for key, n in told.items() if key in off)


def _off_copy(tx: Tx, tenant_id: int, order: OrderRow) -> dict[str, int]:
    """Return {line's key: pieces that are off the copy as we know it}."""
    lines = load_lines(tx, tenant_id, [order.order_no]).get(order.order_no, {})
    return {line.key: line.removed for line in lines.values()}


def correct_copy(tx: Tx, tenant_id: int, order: OrderRow, mine: list[claims.ClaimRow], now: int) -> bool:
    """S5.6: what the marketplace no longer asks for is taken off the hub copy: the whole order, or some pieces. Returns whether anything is
    to be done that was not asked for yet."""
    too_many = {c.claim_key: c.imported - c.want for c in mine if c.imported > c.want}
    if not too_many or claims.has_open_intent(tx, tenant_id, ("cancel_copy", "remove"), entity(order)):
        return False
    if _last_correction_unseen(tx, tenant_id, order):
        return False
    whole = all(claim.want == 0 for claim in mine) and not left_from_hub(tx, tenant_id, order)
    kind = "cancel_copy" if whole else "remove"
    payload = {
        "order_no": order.order_no,
        "hub_order_id": order.hub_order_id,
        "pieces": too_many,
        "off": _off_copy(tx, tenant_id, order),
    }
    if not claims.add_intent(tx, tenant_id, kind, entity(order), order.version, payload, now, priority=3):
        return False
    note(tx, tenant_id, now, "orders", "The hub copy is taken back", f"order:{order.order_no}", pieces=too_many)
    return True


def left_from_hub(tx: Tx, tenant_id: int, order: OrderRow) -> bool:
    """Whether a piece has left by a fulfilment of the copy: Shopify cancels such an order no more, but still takes off what is open."""
    sql = "SELECT 1 FROM order_line WHERE tenant_id = :t AND order_no = :no AND shipped > 0 LIMIT 1"
    return tx.one(sql, t=tenant_id, no=order.order_no) is not None
