"""What happens to a listing at Etsy: made, replaced as a whole, switched on and off, edited by hand.

In: judged replacements, state wishes, the seller's hand. Out: changed listings, fees, webhooks.
Never: answers HTTP, sells (orders.py does).
Source: Etsy Open API v3 document, updateListing and updateListingInventory; contracts sheet etsy sections 9 and 10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from ..world import Product, World
from .inventory import VALUES_PER_PROPERTY_MAX, Replacement
from .refused import Refused
from .shop import LISTING_LIFE_S, QUANTITY_MAX, ListedProduct, Listing, PropertyValue, Shop
from .webhooks import Webhooks

#: The property along which grouped products differ ("Size", free values).
SIZE_PROPERTY_ID = 62_809_790_503
TEXT_FIELDS = frozenset(
    {
        "title", "description", "materials", "should_auto_renew", "shipping_profile_id", "return_policy_id",
        "shop_section_id", "item_weight", "item_length", "item_width", "item_height", "item_weight_unit",
        "item_dimensions_unit", "is_taxable", "taxonomy_id", "tags", "who_made", "when_made", "featured_rank",
        "is_personalizable", "personalization_is_required", "personalization_char_count_max",
        "personalization_instructions", "state", "is_supply", "production_partner_ids", "type", "image_ids",
    }
)  # fmt: skip
#: Fields that updateListing silently ignores since 2022-06-06. Source: etsy/open-api #582.
IGNORED_FIELDS = frozenset({"price", "quantity"})


class Listings:
    """The shelf manager of one shop."""

    def __init__(self, world: World, shop: Shop, webhooks: Webhooks, switches: Mapping[str, Any]) -> None:
        self.world = world
        self.shop = shop
        self.webhooks = webhooks
        self.switches = switches

    def stock_up(self, products: Sequence[Product]) -> None:
        """Make listings. Skus that share what stands before their last "-" become one listing with sizes.

        A numeric last part groups nothing (MUG-1 and MUG-2 are two things), unless the switch `group_by` is `numbers`. Stock 0 all
        over: a sold_out listing.
        """
        for group in _grouped(products, str(self.switches["group_by"])):
            self._make(group)

    def get(self, listing_id: int) -> Listing | None:
        """Return a listing as it is now (renewed or expired if its time is over)."""
        listing = self.shop.listings.get(listing_id)
        if listing:
            self.shop.age(listing, self.world.clock.now(), self._life_s())
        return listing

    def all(self) -> list[Listing]:
        """Return every listing as it is now."""
        return [listing for listing_id in list(self.shop.listings) if (listing := self.get(listing_id))]

    def replace_inventory(self, listing: Listing, replacement: Replacement) -> None:
        """Put `replacement` in place of all products: what it leaves out is deleted. Last write wins."""
        before = {product.combination(): product for product in listing.products}
        after = {product.combination() for product in replacement.products}
        keep_ids = self.switches["new_ids_on_put"] == "structure" and after == set(before)
        products = [
            self._with_ids(product, before.get(product.combination()), keep_ids) for product in replacement.products
        ]
        gone = [product for key, product in before.items() if key not in after]
        for product in gone:
            product.is_deleted = True
        changed = [p for p in products if (old := before.get(p.combination())) and _differs(old, p)]
        emptied = [p for p in products if p.quantity == 0 and (old := before.get(p.combination())) and old.quantity]
        new = after - set(before)
        listing.deleted.extend(gone)
        listing.products = products
        for name, property_ids in replacement.on_property.items():
            setattr(listing, name, property_ids)
        if changed or gone or new or self.switches["quantity_moves_updated"]:
            listing.updated_at = self.world.clock.now()
        self.shop.index(listing)
        for event, happened in (("created", new), ("deleted", gone), ("updated", changed), ("out_of_stock", emptied)):
            if happened:
                self._announce_inventory(event, listing)

    def set_state(self, listing: Listing, wish: str) -> None:
        """Make a listing active or inactive, with the fees that this costs. Raises Refused."""
        if wish not in ("active", "inactive"):
            raise Refused(400, "Invalid value for 'state': must be one of active, inactive")
        if wish == listing.state:
            return
        now = self.world.clock.now()
        if wish == "inactive":
            if listing.state != "active":
                raise Refused(400, f"A listing that is {listing.state} cannot be deactivated")
        elif listing.state == "sold_out":
            self._reset_to_one(listing)
            self._renew(listing, "renew_sold_out")
        elif not any(p.is_enabled and p.quantity for p in listing.products):
            raise Refused(400, "quantity cannot be empty")
        elif listing.state in ("expired", "draft") or now >= listing.ends_at:
            self._renew(listing, f"renew_{listing.state}")
        self.shop.move(listing, wish, now)
        self._announce_listing("updated", listing)
        self._announce_inventory("updated", listing)

    def set_quantity(self, sku: str, quantity: int) -> None:
        """The seller types a number into the site. Raises ValueError where the site would refuse it."""
        listing, product = self._find(sku)
        if not 0 <= quantity <= QUANTITY_MAX:
            raise ValueError(f"the quantity must lie between 0 and {QUANTITY_MAX}, got {quantity}")
        pool = listing.pool(product)
        others = sum(p.quantity for p in listing.products if p.is_enabled and all(p is not each for each in pool))
        if quantity + others == 0:
            raise ValueError("One offering must have quantity greater than 0")
        had = product.quantity
        for each in pool:
            each.set_quantity(quantity)
        if self.switches["quantity_moves_updated"]:
            listing.updated_at = self.world.clock.now()
        if listing.state == "sold_out":
            self._renew(listing, "renew_sold_out")
            self.shop.move(listing, "active", self.world.clock.now())
        if had and quantity == 0:
            self._announce_inventory("out_of_stock", listing)

    def set_price(self, sku: str, price_minor: int) -> None:
        """The seller types a price; the products that must share it follow."""
        listing, product = self._find(sku)
        along = frozenset(listing.price_on_property)
        for each in listing.products:
            if each.values_on(along) == product.values_on(along):
                each.price_minor = price_minor
        listing.updated_at = self.world.clock.now()
        self._announce_inventory("updated", listing)

    def delete(self, sku: str) -> int:
        """The seller deletes the whole listing of `sku`; returns its id."""
        listing, _ = self._find(sku)
        del self.shop.listings[listing.listing_id]
        self._announce_listing("deleted", listing)
        return listing.listing_id

    def of_sku(self, sku: str) -> Listing:
        return self._find(sku)[0]

    def _find(self, sku: str) -> tuple[Listing, ListedProduct]:
        found = self.shop.find(sku)
        if found is None:
            raise ValueError(f"no listing carries {sku!r}")
        self.get(found[0].listing_id)
        return found

    def _make(self, group: Sequence[Product]) -> None:
        now = self.world.clock.now()
        self.shop.currency = group[0].currency
        readiness = next(iter(self.shop.readiness_states))
        prefix = group[0].sku.rpartition("-")[0]
        products = []
        for product in group:
            product_id, offering_id = self.shop.new_product_ids()
            size = product.sku.rpartition("-")[2]
            values = (self._size(size),) if len(group) > 1 else ()
            stock = min(product.stock, QUANTITY_MAX)
            products.append(
                ListedProduct(product_id, offering_id, product.sku, product.price_minor, stock, True, readiness, values)
            )
        sizes = (SIZE_PROPERTY_ID,) if len(group) > 1 else ()
        listing = Listing(
            listing_id=self.shop.ids.next("listing", 1_400_000_000),
            title=group[0].title if len(group) == 1 else prefix.replace("-", " ").title(),
            currency=group[0].currency,
            created_at=now,
            updated_at=now,
            state_at=now,
            ends_at=now + timedelta(seconds=self._life_s()),
            products=products,
            state="active" if any(p.quantity for p in products) else "sold_out",
            should_auto_renew=bool(self.switches["auto_renew"]),
            price_on_property=sizes if len({p.price_minor for p in products}) > 1 else (),
            quantity_on_property=sizes,
            sku_on_property=sizes,
        )
        self.shop.index(listing)
        self.shop.charge(now, 1, "listing")
        self._announce_listing("created", listing)

    def _size(self, text: str) -> PropertyValue:
        return PropertyValue(SIZE_PROPERTY_ID, "Size", (text,), (self._value_id(text),))

    def _value_id(self, text: str) -> int:
        return self.shop.value_ids.setdefault(text, 2_000 + len(self.shop.value_ids))

    def _with_ids(self, product: ListedProduct, old: ListedProduct | None, keep_ids: bool) -> ListedProduct:
        """Give a product of a PUT its ids: new ones on every PUT, unless `keep_ids`."""
        ids = (old.product_id, old.offering_id) if old and keep_ids else self.shop.new_product_ids()
        values = tuple(
            v if v.value_ids else replace(v, value_ids=tuple(self._value_id(text) for text in v.values))
            for v in product.property_values
        )
        seen_before = old.quantity if old and old.quantity != product.quantity else None
        return replace(product, product_id=ids[0], offering_id=ids[1], property_values=values, shown_before=seen_before)

    def _reset_to_one(self, listing: Listing) -> None:
        """A sold_out listing comes back with quantity 1: on its first enabled product (and those that share with it)."""
        first = next((p for p in listing.products if p.is_enabled), listing.products[0])
        pool = listing.pool(first)
        for product in listing.products:
            product.set_quantity(1 if any(product is each for each in pool) else 0)

    def _renew(self, listing: Listing, why: str) -> None:
        now = self.world.clock.now()
        self.shop.charge(now, 1, why)
        listing.ends_at = now + timedelta(seconds=self._life_s())

    def _life_s(self) -> float:
        return self.world.clock.shortened(LISTING_LIFE_S)

    def _announce_inventory(self, event: str, listing: Listing) -> None:
        path = f"/v3/application/listings/{listing.listing_id}/inventory"
        self.webhooks.emit(f"inventory.{event}", path, self.shop.shop_id)

    def _announce_listing(self, event: str, listing: Listing) -> None:
        self.webhooks.emit(f"listing.{event}", f"/v3/application/listings/{listing.listing_id}", self.shop.shop_id)


def _differs(old: ListedProduct, new: ListedProduct) -> bool:
    """Whether price, readiness state, SKU or state changed (quantity is not in Etsy's list for inventory.updated)."""
    return (old.sku, old.price_minor, old.readiness_state_id, old.is_enabled) != (
        new.sku,
        new.price_minor,
        new.readiness_state_id,
        new.is_enabled,
    )


def _grouped(products: Sequence[Product], group_by: str) -> list[list[Product]]:
    """Return the products that become one listing, in the order of their first one."""
    groups: dict[str, list[Product]] = {}
    full: dict[str, int] = {}
    for product in products:
        prefix, _, last = product.sku.rpartition("-")
        if group_by == "numbers":  # MUG, MUG-2, MUG-3 … are one listing, and after 70 of them another
            stem = prefix if last.isdigit() and prefix else product.sku
            place = full[stem] = full.get(stem, -1) + 1
            groups.setdefault(f"{stem}:{place // VALUES_PER_PROPERTY_MAX}:{product.currency}", []).append(product)
            continue
        alone = group_by == "none" or not prefix or last.isdigit() or "(" in last or ")" in last
        key = f"sku:{product.sku}" if alone else f"prefix:{prefix}:{product.currency}"
        if len(groups.get(key, ())) >= VALUES_PER_PROPERTY_MAX:
            key = f"sku:{product.sku}"
        groups.setdefault(key, []).append(product)
    return list(groups.values())
