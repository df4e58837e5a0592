"""What happens to an order at Etsy: placed, processed, paid, shipped, delivered, cancelled, refunded.

In: a buyer's basket; the seller's hand; the clock. Out: receipts in the shop, sales in the world, webhooks.
Never: answers HTTP. The stock of the listing falls here, at the instant of the order, before it is paid.
Source: Etsy Open API v3 document (ShopReceipt) and tutorials; behaviour reports etsy/open-api #604 #629 #806.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from ..world import Buyer, Sale, World
from .documents import CARRIER_KEYS
from .refused import Refused
from .shop import ListedProduct, Listing, Receipt, Refund, Shipment, Shop, Transaction
from .webhooks import Webhooks

#: US orders above this need a tracking number. Source: Open API document, createReceiptShipment.
US_TRACKING_ABOVE_MINOR = 1000
#: Sales tax that Etsy collects on US orders here, per mille.
US_TAX_PER_MILLE = 80


class Orders:
    """The order desk of one shop."""

    def __init__(
        self, world: World, shop: Shop, webhooks: Webhooks, rng: random.Random, switches: Mapping[str, Any]
    ) -> None:
        self.world = world
        self.shop = shop
        self.webhooks = webhooks
        self.rng = rng
        self.switches = switches
        self.sales: dict[int, Sale] = {}

    def checkout(self, buyer: Buyer, lines: Mapping[str, int]) -> Sale | None:
        """Place an order, or return None if one of the lines is not offered in that quantity."""
        if not lines or any(pieces < 1 or self.shop.offered(sku) < pieces for sku, pieces in lines.items()):
            return None
        picks = [(*found, pieces) for sku, pieces in lines.items() if (found := self.shop.find(sku))]
        if not self._fits(picks):
            return None
        now = self.world.clock.now()
        transactions = [self._line(listing, product, pieces) for listing, product, pieces in picks]
        for listing, product, pieces in picks:
            self.shop.take(listing, product, pieces, now, shared=str(self.switches["shared_quantity_sale"]))
            if product.quantity == 0:
                self._announce_out_of_stock(listing)
        receipt = self._receipt(buyer, transactions)
        self.shop.receipts[receipt.receipt_id] = receipt
        sale = Sale("etsy", str(receipt.receipt_id), now, dict(lines), buyer.key)
        self.sales[receipt.receipt_id] = sale
        self.world.sales.append(sale)
        self.world.note("etsy", "sold", order_id=sale.order_id, lines=sale.lines)
        self._go_on_to_payment(receipt)
        return sale

    def pay(self, receipt: Receipt) -> None:
        """The payment clears. Nothing if the order is no longer waiting for it."""
        if receipt.status not in ("open", "payment processing"):
            return
        receipt.status, receipt.paid_at = "paid", self.world.clock.now()
        receipt.payment_id = self.shop.ids.next("payment", 900_000_000)
        self._touch(receipt)
        self.sales[receipt.receipt_id].paid_at = receipt.paid_at
        self._announce("order.paid", receipt)

    def cancel(self, receipt: Receipt, *, restock: bool) -> None:
        """The seller cancels in the site; a paid order is refunded in full. Raises ValueError while payment is processing."""
        if receipt.status == "payment processing":
            raise ValueError("an order cannot be cancelled while its payment is processing")
        if receipt.status in ("canceled", "fully refunded"):
            raise ValueError(f"the order is already {receipt.status}")
        if receipt.paid_at:
            self._add_refund(receipt, receipt.grand_minor - receipt.refunded_minor, "Order canceled")
        self._close(receipt, restock=restock)

    def payment_failed(self, receipt: Receipt, *, restock: bool) -> None:
        """The payment never clears: Etsy cancels. Raises ValueError for a paid order."""
        if receipt.status not in ("open", "payment processing"):
            raise ValueError(f"the order is {receipt.status}")
        self._close(receipt, restock=restock)

    def refund(self, receipt: Receipt, amount_minor: int | None, reason: str) -> None:
        """Refund a part, or the rest (None). A full refund is not a cancel. Raises ValueError if there is less to refund."""
        left = receipt.grand_minor - receipt.refunded_minor
        amount = left if amount_minor is None else amount_minor
        if receipt.paid_at is None or not 0 < amount <= left:
            raise ValueError(f"{left if receipt.paid_at else 0} can be refunded, not {amount}")
        self._add_refund(receipt, amount, reason)
        receipt.status = "fully refunded" if amount == left else "partially refunded"
        self._touch(receipt, silent=True)

    def ship(self, receipt: Receipt, *, code: str, carrier: str, note: str = "") -> None:
        """Mark as shipped, with one more parcel if there is a code, and mail the buyer. Raises Refused."""
        if receipt.cancelled_at:
            raise Refused(409, "The receipt has been canceled")
        if receipt.paid_at is None:
            raise Refused(400, "The receipt has not been paid")
        domestic_us = receipt.country == "US" and self.switches["shop_country"] == "US"
        if not (code and carrier) and (
            receipt.country == "IN" or (domestic_us and receipt.grand_minor > US_TRACKING_ABOVE_MINOR)
        ):
            raise Refused(400, "A tracking number is required")
        now = self.world.clock.now()
        repeated = any(code and shipment.tracking_code == code for shipment in receipt.shipments)
        if repeated and self.switches["tracking_dedupe"]:
            raise Refused(409, "The tracking code was already submitted")
        if code or carrier:
            kept = carrier if carrier in CARRIER_KEYS else ""  # an unknown name is silently dropped
            receipt.shipments.append(Shipment(self.shop.ids.next("shipment", 1_000_000_000), kept, code, now))
        self.shop.mails.append((now, receipt.receipt_id, note))
        receipt.shipped_at = receipt.shipped_at or now
        if receipt.status == "paid":
            receipt.status = "completed"
        self._touch(receipt)
        sale = self.sales[receipt.receipt_id]
        sale.shipped = dict(sale.lines)
        self._announce("order.shipped", receipt)

    def deliver(self, receipt: Receipt) -> None:
        """The carrier hands the parcel over. Raises ValueError if nothing was shipped."""
        if receipt.shipped_at is None:
            raise ValueError("the order is not shipped")
        receipt.is_delivered = True
        self._announce("order.delivered", receipt)

    def _fits(self, picks: list[tuple[Listing, ListedProduct, int]]) -> bool:
        """Two lines may draw on one shared quantity: their sum must be there."""
        needed: dict[tuple[int, ...], tuple[int, int]] = {}
        for listing, product, pieces in picks:
            pool = tuple(each.product_id for each in listing.pool(product))
            needed[pool] = (product.quantity, needed.get(pool, (0, 0))[1] + pieces)
        return all(there >= wanted for there, wanted in needed.values())

    def _line(self, listing: Listing, product: ListedProduct, pieces: int) -> Transaction:
        return Transaction(
            transaction_id=self.shop.ids.next("transaction", 4_200_000_000),
            listing_id=listing.listing_id,
            product_id=product.product_id,
            sku=product.sku,
            title=listing.title,
            quantity=pieces,
            price_minor=product.price_minor,
            property_values=product.property_values,
        )

    def _receipt(self, buyer: Buyer, transactions: list[Transaction]) -> Receipt:
        now, address = self.world.clock.now(), buyer.address
        goods = sum(line.price_minor * line.quantity for line in transactions)
        return Receipt(
            receipt_id=self.shop.ids.next("receipt", 3_100_000_000),
            buyer_key=buyer.key,
            buyer_user_id=self.shop.buyer_user_id(buyer.key),
            email=buyer.email,
            name=address.name,
            line1=address.line1,
            line2=address.line2,
            city=address.city,
            region=address.region,
            postal_code=address.postal_code,
            country=address.country,
            currency=self.shop.currency,
            created_at=now,
            updated_at=now,
            transactions=transactions,
            shipping_minor=int(self.switches["shipping_minor"]),
            tax_minor=goods * US_TAX_PER_MILLE // 1000 if address.country == "US" else 0,
        )

    def _go_on_to_payment(self, receipt: Receipt) -> None:
        """open, then payment processing, then paid (or failed), each after its delay; delays of 0 happen at once."""
        open_s, processing_s = float(self.switches["open_s"]), float(self.switches["processing_s"])
        fails = self.rng.random() < float(self.switches["payment_fail_share"])

        def settle() -> None:
            if not fails:
                self.pay(receipt)
            elif receipt.status == "payment processing":
                self.payment_failed(receipt, restock=bool(self.switches["restock_on_failed_payment"]))

        def process() -> None:
            if receipt.status != "open":
                return
            receipt.status = "payment processing"
            self._touch(receipt)
            self._later(processing_s, settle)

        self._later(open_s, process)

    def _later(self, seconds: float, action: Any) -> None:
        if seconds > 0:
            self.world.clock.after(seconds, action)
        else:
            action()

    def _close(self, receipt: Receipt, *, restock: bool) -> None:
        now = self.world.clock.now()
        receipt.status, receipt.cancelled_at = "canceled", now
        self._touch(receipt, silent=True)
        if restock:
            for line in receipt.transactions:
                self.shop.give_back(line, now)
        self.sales[receipt.receipt_id].cancelled_at = now
        self.world.note("etsy", "cancelled", order_id=str(receipt.receipt_id), restock=restock)
        self._announce("order.canceled", receipt)

    def _add_refund(self, receipt: Receipt, amount_minor: int, reason: str) -> None:
        if amount_minor > 0:
            refund_id = self.shop.ids.next("refund", 700_000_000)
            receipt.refunds.append(Refund(amount_minor, self.world.clock.now(), reason, "", refund_id))

    def _touch(self, receipt: Receipt, *, silent: bool = False) -> None:
        """Move updated_timestamp; cancels and refunds do not while the switch "silent_change" is on."""
        if not (silent and self.switches["silent_change"]):
            receipt.updated_at = self.world.clock.now()

    def _announce(self, event: str, receipt: Receipt) -> None:
        shop_id = self.shop.shop_id
        self.webhooks.emit(event, f"/v3/application/shops/{shop_id}/receipts/{receipt.receipt_id}", shop_id)

    def _announce_out_of_stock(self, listing: Listing) -> None:
        path = f"/v3/application/listings/{listing.listing_id}/inventory"
        self.webhooks.emit("inventory.out_of_stock", path, self.shop.shop_id)
