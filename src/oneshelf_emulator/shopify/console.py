"""The merchant's hand in the Shopify admin: stock edits, fulfilment, cancels, refunds, locations, and mishaps.

Every action is a function of the shop and its named arguments and returns a JSON-able dict. `order` is a name
("#1001"), a number, a global id or a source identifier; `location` a name or id (left out: the first one).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..world import Product as Goods
from . import customers, fulfilment, orders, payloads
from . import records as r
from .fulfilment import Tracking
from .inventory import Move
from .money import Money
from .order_mutations import read_refund_line, why_not_cancel
from .order_records import Fulfillment, FulfillmentOrder, Hold, LineItem, Order, WorkLine

if TYPE_CHECKING:
    from .shop import Shopify

Answer = dict[str, Any]


def do(shop: Shopify, action: str, arguments: Mapping[str, Any]) -> Answer:
    """Run one action. Raises ValueError if it is unknown, or names something that does not exist."""
    act = ACTIONS.get(action)
    if act is None:
        raise ValueError(f"unknown Shopify console action {action!r}; known: {', '.join(sorted(ACTIONS))}")
    shop.world.note("shopify", f"console {action}", **{key: str(value) for key, value in arguments.items()})
    try:
        return act(shop, **arguments)
    except TypeError as problem:
        raise ValueError(f"Shopify console action {action}: {problem}") from problem
    except KeyError as problem:
        raise ValueError(str(problem.args[0])) from problem


def _place(shop: Shopify, name: str | None) -> r.Location:
    if name is None:
        return shop.store.all(r.Location)[0]
    found = shop.location(name)
    if found is None:
        raise ValueError(f"the Shopify emulator has no location {name!r}")
    return found


def _order(shop: Shopify, name: Any) -> Order:
    text = str(name)
    for order in reversed(shop.store.all(Order)):
        if text in (order.name, str(order.number), str(order.id), order.gid, order.source_identifier):
            return order
    raise ValueError(f"the Shopify emulator has no order {text!r}")


def _line(order: Order, key: str) -> LineItem:
    for line in order.line_items:
        if key in (line.sku, str(line.id), line.gid):
            return line
    raise ValueError(f"order {order.name} has no line {key!r}")


def _level(shop: Shopify, sku: str, location: str | None) -> r.InventoryLevel:
    return shop.ledger.level(shop.variant(sku).inventory_item, _place(shop, location))


def _numbers(level: r.InventoryLevel) -> Answer:
    return {"on_hand": level.quantity("on_hand"), **level.quantities}


# -- stock -----------------------------------------------------------------------------------------------------------


def set_available(shop: Shopify, sku: str, quantity: int, location: str | None = None) -> Answer:
    level = _level(shop, sku, location)
    shop.move_stock([Move(level, "available", quantity - level.quantity("available"))], "correction")
    return _numbers(level)


def set_on_hand(shop: Shopify, sku: str, quantity: int, location: str | None = None) -> Answer:
    """The difference goes to `available`."""
    level = _level(shop, sku, location)
    shop.move_stock([Move(level, "available", quantity - level.quantity("on_hand"))], "cycle_count_available")
    return _numbers(level)


def adjust(shop: Shopify, sku: str, delta: int, location: str | None = None, name: str = "available") -> Answer:
    level = _level(shop, sku, location)
    level.quantity(name)
    shop.move_stock([Move(level, name, delta)], "correction")
    return _numbers(level)


def receive(shop: Shopify, sku: str, quantity: int, location: str | None = None) -> Answer:
    level = _level(shop, sku, location)
    shop.move_stock([Move(level, "available", quantity)], "received")
    return _numbers(level)


def move(
    shop: Shopify,
    sku: str,
    quantity: int,
    origin: str = "available",
    goal: str = "damaged",
    location: str | None = None,
) -> Answer:
    """Move pieces between quantity names at one location ("mark as damaged")."""
    level = _level(shop, sku, location)
    level.quantity(origin), level.quantity(goal)
    shop.move_stock([Move(level, origin, -quantity), Move(level, goal, quantity)], "other")
    return _numbers(level)


def transfer(shop: Shopify, sku: str, quantity: int, origin: str, goal: str) -> Answer:
    """Carry pieces from one location to another, at once."""
    source, target = _level(shop, sku, origin), _level(shop, sku, goal)
    shop.move_stock([Move(source, "available", -quantity), Move(target, "available", quantity)], "movement_received")
    return {"origin": _numbers(source), "goal": _numbers(target)}


# -- orders ----------------------------------------------------------------------------------------------------------


def _parts(order: Order, lines: Mapping[str, int] | None) -> dict[FulfillmentOrder, dict[WorkLine, int]]:
    """Share the wanted pieces over the order's live fulfilment orders (all that remain if none are named)."""
    wanted = {_line(order, key): pieces for key, pieces in lines.items()} if lines else None
    result: dict[FulfillmentOrder, dict[WorkLine, int]] = {}
    for work in order.fulfillment_orders:
        for line in work.open_lines if work.is_live and not work.holds else ():
            pieces = line.remaining_quantity
            if wanted is not None:
                pieces = min(pieces, wanted.get(line.line_item, 0))
                wanted[line.line_item] = wanted.get(line.line_item, 0) - pieces
            if pieces:
                result.setdefault(work, {})[line] = pieces
    if not result or (wanted and any(rest > 0 for rest in wanted.values())):
        raise ValueError(f"order {order.name} has not that many pieces left to send (or they are on hold)")
    return result


def fulfil(
    shop: Shopify, order: Any, lines: Mapping[str, int] | None = None, tracking: Mapping[str, str] | None = None
) -> Answer:
    """Send the order, or {sku or line id: pieces} of it. `tracking`: company, number, url."""
    found = _order(shop, order)
    orders.routed(shop, found)
    given = tracking or {}
    parcel = Tracking(
        given.get("company"),
        (given["number"],) if given.get("number") else (),
        (given["url"],) if given.get("url") else (),
    )
    made = [
        fulfilment.fulfil(shop, found, parts, work.location, parcel) for work, parts in _parts(found, lines).items()
    ]
    return {
        "order": found.name,
        "fulfillments": [each.gid for each in made],
        "status": found.display_fulfillment_status,
    }


def cancel_fulfilment(shop: Shopify, order: Any, fulfillment: str | None = None) -> Answer:
    """Cancel a fulfilment of an order (left out: the last one that stands)."""
    found = _order(shop, order)
    standing = [f for f in found.fulfillments if not f.cancelled and fulfillment in (None, f.gid, str(f.id), f.name)]
    if not standing or not fulfilment.can_unsend(standing[-1]):
        raise ValueError(f"order {found.name} has no fulfilment that can be cancelled")
    victim: Fulfillment = standing[-1]
    fulfilment.unsend(shop, victim)
    return {"order": found.name, "fulfillment": victim.gid, "status": found.display_fulfillment_status}


def set_tracking(shop: Shopify, order: Any, company: str, number: str, url: str | None = None) -> Answer:
    """Replace the tracking data of an order's last fulfilment."""
    found = _order(shop, order)
    if not found.fulfillments:
        raise ValueError(f"order {found.name} has no fulfilment")
    fulfilment.track(shop, found.fulfillments[-1], Tracking(company, (number,), (url,) if url else ()))
    return {"order": found.name, "fulfillment": found.fulfillments[-1].gid}


def cancel(shop: Shopify, order: Any, restock: bool = True, reason: str = "CUSTOMER", refund: bool = True) -> Answer:
    """Cancel an order, at once."""
    found = _order(shop, order)
    problem, _ = why_not_cancel(shop, found, restock=restock)
    if problem is not None:
        raise ValueError(f"order {found.name}: {problem}")
    orders.cancel(shop, found, reason=reason, restock=restock, money=refund)
    return {"order": found.name, "status": "cancelled"}


def refund_lines(
    shop: Shopify,
    order: Any,
    lines: Mapping[str, int],
    restock: str = "CANCEL",
    location: str | None = None,
    money: bool = True,
) -> Answer:
    """Refund {sku or line id: pieces}; `restock`: CANCEL (unsent), RETURN (sent) or NO_RESTOCK."""
    found = _order(shop, order)
    place = _place(shop, location).gid if location else None
    wishes: list[orders.RefundWish] = []
    for key, pieces in lines.items():
        entry = {"lineItemId": _line(found, key).gid, "quantity": pieces, "restockType": restock, "locationId": place}
        wish = read_refund_line(shop, found, entry, wishes)
        if isinstance(wish, str):
            raise ValueError(f"order {found.name}: {wish}")
        wishes.append(wish)
    booked = orders.money_back(shop, found) if money else []
    if booked:
        worth = found.total([wish.line.net_of(wish.pieces) for wish in wishes])
        if not found.taxes_included:
            worth = worth + found.total([wish.line.tax_of(wish.pieces) for wish in wishes])
        if worth.shop_money.minor < booked[0].amount_set.shop_money.minor:
            booked[0].amount_set = worth
    result = orders.refund(shop, found, wishes, booked)
    return {"order": found.name, "refund": result.gid, "financial_status": found.display_financial_status}


def move_fulfilment_order(
    shop: Shopify,
    order: Any,
    location: str,
    lines: Mapping[str, int] | None = None,
    fulfillment_order: str | None = None,
) -> Answer:
    """Have an order's work (or {sku or line id: pieces} of it) done at another location."""
    found, goal = _order(shop, order), _place(shop, location)
    orders.routed(shop, found)
    live = [w for w in found.fulfillment_orders if w.is_live and w.location is not goal]
    works = [w for w in live if fulfillment_order in (None, w.gid, str(w.id))]
    if not works:
        raise ValueError(f"order {found.name} has nothing to move to {goal.name}")
    chosen = None
    if lines:
        wanted = {_line(found, key): pieces for key, pieces in lines.items()}
        chosen = {
            x: min(wanted[x.line_item], x.remaining_quantity) for x in works[0].open_lines if x.line_item in wanted
        }
    moved = fulfilment.move(shop, works[0], goal, chosen)
    return {"order": found.name, "fulfillment_order": moved.gid, "location": goal.name}


def report_progress(shop: Shopify, order: Any) -> Answer:
    """Say that an order's work is being packed: what stands there can't be moved any more."""
    found = _order(shop, order)
    orders.routed(shop, found)
    for work in found.fulfillment_orders:
        if work.is_live:
            fulfilment.report_progress(shop, work)
    return {"order": found.name}


def hold(shop: Shopify, order: Any, reason: str = "OTHER", notes: str | None = None) -> Answer:
    """Put an order's work on hold, as the merchant."""
    found = _order(shop, order)
    orders.routed(shop, found)
    made = []
    for work in found.fulfillment_orders:
        if work.is_live:
            made.append(Hold(shop.store.new_id("FulfillmentHold"), reason, "", notes, by_app=False))
            fulfilment.put_on_hold(shop, work, made[-1])
    return {"order": found.name, "holds": [each.gid for each in made]}


def release_hold(shop: Shopify, order: Any) -> Answer:
    """Release every hold of an order."""
    found = _order(shop, order)
    for work in found.fulfillment_orders:
        if work.holds:
            fulfilment.release(shop, work)
    return {"order": found.name, "status": found.display_fulfillment_status}


# -- catalogue and locations -----------------------------------------------------------------------------------------


def add_product(
    shop: Shopify, sku: str, title: str, price_minor: int, stock: int, location: str | None = None
) -> Answer:
    goods = Goods(sku, title, price_minor, shop.currency, stock)
    variant = shop.add_product(goods, {location: stock} if location else None)
    return {"product": variant.product.gid, "variant": variant.gid, "inventory_item": variant.inventory_item.gid}


def delete_product(shop: Shopify, sku: str) -> Answer:
    product = shop.variant(sku).product
    shop.remove_product(product)
    return {"product": product.gid}


def set_price(shop: Shopify, sku: str, price_minor: int) -> Answer:
    variant = shop.variant(sku)
    variant.price, variant.updated_at = Money(price_minor, shop.currency), shop.store.now()
    shop.index.touch(variant)
    shop.ledger.touch_product(variant.product)
    return {"variant": variant.gid, "price": variant.price.text}


def set_facts(
    shop: Shopify, sku: str, vendor: str | None = None, product_type: str | None = None, tags: list[str] | None = None,
    cost_minor: int | None = None, compare_at_minor: int | None = None,
) -> Answer:  # fmt: skip
    """Change what the merchant keeps about a product: vendor, type, tags; and the variant's cost and struck-out price."""
    variant = shop.variant(sku)
    product, item = variant.product, variant.inventory_item
    product.vendor = product.vendor if vendor is None else vendor
    product.product_type = product.product_type if product_type is None else product_type
    product.tags = product.tags if tags is None else sorted(tags)
    if compare_at_minor is not None:
        variant.compare_at_price = Money(compare_at_minor, shop.currency)
    if cost_minor is not None:
        item.unit_cost, item.updated_at = Money(cost_minor, shop.currency), shop.store.now()
        shop.index.touch(item)
        shop.webhooks.emit("inventory_items/update", item.gid, lambda: payloads.inventory_item(item))
    variant.updated_at = shop.store.now()
    shop.index.touch(variant)
    shop.ledger.touch_product(product)
    return {"product": product.gid}


def set_variant(
    shop: Shopify, sku: str, policy: str | None = None, tracked: bool | None = None, new_sku: str | None = None,
    status: str | None = None, bundle: bool | None = None,
) -> Answer:  # fmt: skip
    """Change a variant's policy (DENY, CONTINUE), tracking, SKU, bundle mark, or its product's status."""
    variant = shop.variant(sku)
    item = variant.inventory_item
    variant.inventory_policy = policy or variant.inventory_policy
    item.tracked = item.tracked if tracked is None else tracked
    item.is_bundle = item.is_bundle if bundle is None else bundle
    variant.product.status = status or variant.product.status
    if new_sku:
        shop.rename(variant, new_sku)
    variant.updated_at = item.updated_at = shop.store.now()
    shop.index.touch(variant)
    shop.index.touch(item)
    shop.webhooks.emit("inventory_items/update", item.gid, lambda: payloads.inventory_item(item))
    shop.ledger.touch_product(variant.product)
    return {"variant": variant.gid}


def set_components(shop: Shopify, sku: str, components: Mapping[str, int]) -> Answer:
    """Make a variant a bundle of others ({sku: pieces}); a component of a bundle can't be one itself."""
    variant = shop.variant(sku)
    parts = [(shop.variant(part), pieces) for part, pieces in components.items()]
    if not 1 <= len(parts) <= 30 or any(part.requires_components or part is variant for part, _ in parts):
        raise ValueError("a bundle has 1 to 30 components, none of them a bundle")
    variant.inventory_item.is_bundle = True
    variant.components = [
        shop.store.add(r.Component(shop.store.new_id("ProductVariantComponent"), part, pieces))
        for part, pieces in parts
    ]
    variant.updated_at = shop.store.now()
    shop.index.touch(variant)
    shop.ledger.touch_product(variant.product)
    return {"variant": variant.gid}


def set_address(
    shop: Shopify, location: str, address1: str | None = None, city: str | None = None, zip: str | None = None,
    province_code: str | None = None, country_code: str | None = None,
    latitude: float | None = None, longitude: float | None = None,
) -> Answer:  # fmt: skip
    """Enter where a location is; what is left out is not known."""
    place = _place(shop, location)
    place.address1, place.city, place.zip, place.province_code = address1, city, zip, province_code
    place.country_code = country_code or place.country_code
    place.latitude, place.longitude = latitude, longitude
    place.updated_at = shop.store.now()
    shop.webhooks.emit("locations/update", place.gid, lambda: payloads.location(place))
    return {"location": place.gid}


def add_location(shop: Shopify, name: str, online: bool = True, service: bool = False) -> Answer:
    place = shop.add_location(name, online=online, service=service)
    shop.webhooks.emit("locations/create", place.gid, lambda: payloads.location(place))
    return {"location": place.gid}


def deactivate_location(shop: Shopify, location: str, destination: str | None = None) -> Answer:
    """Close a location. With `destination`, what it stocks and the orders that wait there move to that location in the same instant.

    Source: locationDeactivate, Admin GraphQL API 2026-10, read 2026-12: it moves inventory and pending orders to the destination.
    """
    if destination is not None:
        _relocate(shop, _place(shop, location), _place(shop, destination))
    return _switch_location(shop, location, active=False)


def _relocate(shop: Shopify, place: r.Location, goal: r.Location) -> None:
    if goal is place or not goal.is_active:
        raise ValueError(f"{goal.name} is the location that closes, or is not active")
    for order in shop.store.all(Order):
        orders.routed(shop, order)
        for work in list(order.fulfillment_orders):
            if work.is_live and work.location is place:
                fulfilment.move(shop, work, goal)
    moves = []
    for level in [level for level in shop.store.all(r.InventoryLevel) if level.location is place]:
        for name in r.STORED_NAMES:
            if pieces := level.quantity(name):
                there = shop.ledger.level(level.item, goal)
                moves += [Move(level, name, -pieces), Move(there, name, pieces)]
    if moves:
        shop.move_stock(moves, "movement_received")


def activate_location(shop: Shopify, location: str) -> Answer:
    return _switch_location(shop, location, active=True)


def _switch_location(shop: Shopify, location: str, *, active: bool) -> Answer:
    place = _place(shop, location)
    place.is_active, place.updated_at = active, shop.store.now()
    place.deactivated_at = None if active else place.updated_at
    shop.index.touch(place)
    for level in shop.store.all(r.InventoryLevel):
        if level.location is place:  # it stocks nothing while it is closed; its numbers stay
            level.is_active, level.updated_at = active, place.updated_at
            for variant in level.item.variants:
                shop.index.touch(variant)
    topic = "locations/activate" if active else "locations/deactivate"
    shop.webhooks.emit(topic, place.gid, lambda: payloads.location(place))
    return {"location": place.gid, "active": active}


# -- mishaps ---------------------------------------------------------------------------------------------------------


def delete_subscription(shop: Shopify, topic: str | None = None, id: str | None = None) -> Answer:
    """Lose webhook subscriptions without a word: one by id, all of a topic (ORDERS_CREATE), or all."""
    gone = [
        each
        for each in shop.store.all(r.WebhookSubscription)
        if (topic is None or each.topic == topic) and id in (None, each.gid)
    ]
    for each in gone:
        shop.store.drop(each)
    return {"deleted": [each.gid for each in gone]}


def expire_tokens(shop: Shopify) -> Answer:
    shop.auth.expire_all()
    return {}


def register_redirect_uri(shop: Shopify, uri: str) -> Answer:
    """Allow an address to which the consent page may send the merchant back."""
    shop.consent.redirect_uris.add(uri)
    return {"redirect_uris": sorted(shop.consent.redirect_uris)}


def session_token(shop: Shopify) -> Answer:
    """What an embedded page of the app is given by App Bridge; it lives a minute."""
    return {"session_token": shop.consent.session_token()}


def uninstall(shop: Shopify) -> Answer:
    """The merchant removes the app: tokens die, subscriptions go, app/uninstalled is sent last."""
    shop.webhooks.emit("app/uninstalled", "shop", lambda: payloads.shop(shop))
    shop.auth.revoke_all()
    shop.installed = False
    theirs = list(shop.store.all(r.WebhookSubscription))  # not what an installation that comes soon after asks for

    def forget() -> None:
        for each in theirs:
            shop.store.drop(each)

    shop.later(float(shop.switches["webhook_assembly_s"]) + 1.0, forget)  # type: ignore[arg-type]
    return {}


def set_shop_status(shop: Shopify, status: int | None = None) -> Answer:
    """Close the shop to API calls with an HTTP status (402 frozen, 403, 404, 423 locked), or open it again."""
    shop.shop_status = status
    return {"status": status}


def set_scopes(shop: Shopify, scopes: list[str]) -> Answer:
    """Change what the app may do; tokens given out before keep their scopes until they expire."""
    before, shop.granted_scopes = sorted(shop.granted_scopes), frozenset(scopes)
    document = {
        "id": shop.app_id,
        "shop_id": f"gid://shopify/Shop/{shop.shop_id}",
        "previous": before,
        "current": sorted(scopes),
        "updated_at": shop.store.now().strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    }
    shop.webhooks.emit("app/scopes_update", "shop", lambda: document)
    return {"scopes": sorted(scopes)}


def occupy_key(shop: Shopify, key: str, seconds: float = 60.0) -> Answer:
    """Let an idempotency key look as if its request were still running."""
    shop.keys.mark_running(key, seconds)
    return {"key": key}


def delete_customer(shop: Shopify, email: str) -> Answer:
    customers.delete(shop, email)
    return {"deleted": email}


ACTIONS: dict[str, Callable[..., Answer]] = {
    act.__name__: act
    for act in (
        set_available, set_on_hand, adjust, receive, move, transfer, fulfil, cancel_fulfilment, set_tracking, cancel,
        refund_lines, move_fulfilment_order, hold, release_hold, add_product, delete_product, set_price, set_facts,
        set_variant,
        report_progress, set_components, set_address, add_location, deactivate_location, activate_location, delete_subscription, expire_tokens, uninstall, register_redirect_uri, session_token,
        set_shop_status, set_scopes, occupy_key, delete_customer,
    )
}  # fmt: skip
ACTIONS["restock"] = receive
