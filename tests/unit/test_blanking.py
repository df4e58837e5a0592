"""What of a person stands in a message that is given away: nothing that its parser or a stored order calls one (customers/blanking)."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from oneshelf.channels.contract import RawMessage
from oneshelf.core.facts import Fact, OrderHint, OrderSeen
from oneshelf.customers.blanking import without_person
from oneshelf.wiring import build_channel

PAYLOADS = Path(__file__).parents[1] / "contract" / "payloads"
PARSERS = {
    "shopify": build_channel("shopify", {"shop": "an-example.myshopify.com"}),
    "amazon": build_channel("amazon", {"seller_id": "A3TH9S8BH6GOGM", "marketplace_ids": "A2Q3Y263D00KWC"}),
    "ebay": build_channel("ebay", {"marketplace_id": "EBAY_DE"}),
    "etsy": build_channel("etsy", {"shop_id": "12345"}),
}
#: Message, and words of the official example that name a person.
PEOPLE = [
    ("etsy/receipt_completed", "poll:order", ["MARIA EXAMPLE", "CALLE DE EJEMPLO", "PRIMERO D", "28028", "MADRID", "buyer@"]),
    ("amazon/order_unshipped_business_br", "poll:order", ["Oliveira", "Paulista", "Sala 301", "01310-100", "91234", "buyer-email"]),
    ("amazon/order_unshipped_gift_br", "poll:order", ["Maria Silva", "Flores", "Apartamento 45", "98765-4321", "Madalena"]),
    ("ebay/order_two_parcels", "poll:order", ["Muster", "93149", "9000000575", "members.ebay.com", "buyer_946"]),
    ("shopify/orders.create", "orders/create", []),
    ("shopify/fulfillments.create", "fulfillments/create", []),
]  # fmt: skip


def message(name: str, topic: str) -> RawMessage:
    return RawMessage(topic, (PAYLOADS / f"{name}.json").read_bytes())


def parse(name: str, message: RawMessage) -> list[Fact]:
    return PARSERS[name.split("/", 1)[0]].parse(message)


def blanked(name: str, message: RawMessage, known: tuple[str, ...] = ()) -> bytes | None:
    def read(one: RawMessage) -> list[Fact]:
        return parse(name, one)

    return without_person(message, read(message), read, known)


def order_of(facts: list[Fact]) -> OrderSeen:
    return next(fact for fact in facts if isinstance(fact, OrderSeen))


@pytest.mark.parametrize(("name", "topic", "words"), PEOPLE, ids=[name for name, _, _ in PEOPLE])
def test_the_parser_reads_the_same_and_no_word_of_the_person_is_left(name: str, topic: str, words: list[str]) -> None:
    before = message(name, topic)
    body = blanked(name, before)
    assert body is not None
    after = parse(name, msgspec.structs.replace(before, body=body))
    for one, other in zip(parse(name, before), after, strict=True):
        if isinstance(one, OrderSeen):
            assert isinstance(other, OrderSeen)
            assert other.lines == one.lines
            assert (other.totals, other.payment, other.shipments) == (one.totals, one.payment, one.shipments)
            assert all(not value for value in _named(other).values())
        else:
            assert other == one
    for word in words:
        assert word in before.body.decode()
        assert word not in body.decode()


def _named(order: OrderSeen) -> dict[str, str | None]:
    buyer, to = order.buyer, order.ship_to
    return {
        "name": buyer.name if buyer else None,
        "email": buyer.email if buyer else None,
        "phone": buyer.phone if buyer else None,
        "ship_to": (to.name or to.line1 or to.line2 or to.city or to.postal_code or to.phone) if to else None,
    }


def receipt(**changes: object) -> RawMessage:
    document = json.loads((PAYLOADS / "etsy" / "receipt_completed.json").read_text())
    return RawMessage("poll:order", json.dumps({**document, **changes}).encode())


def test_a_buyers_words_and_what_he_had_engraved_are_a_persons() -> None:
    document = json.loads(receipt(message_from_buyer="Please ring at Ottilie's").body)
    document["transactions"][0]["variations"] = [
        {"property_id": 54, "value_id": None, "formatted_name": "Personalization", "formatted_value": "For Wenzeslaus"}
    ]
    before = RawMessage("poll:order", json.dumps(document).encode())
    assert "Wenzeslaus" in order_of(parse("etsy", before)).note
    body = blanked("etsy", before)
    assert body is not None
    assert b"Wenzeslaus" not in body
    assert b"Ottilie" not in body


def test_a_product_that_is_called_like_its_buyer_keeps_its_title() -> None:
    title = order_of(parse("etsy", receipt())).lines[0].title
    body = blanked("etsy", receipt(name=title))
    assert body is not None
    assert order_of(parse("etsy", RawMessage("poll:order", body))).lines[0].title == title
    assert json.loads(body)["first_line"] == ""


def test_a_stored_orders_person_is_blanked_in_a_message_that_only_hints_at_it() -> None:
    hint = RawMessage(
        "refunds/create", b'{"id": 1, "order_id": 450789469, "reason": "Zauberflock, Ottilie was not at home"}'
    )
    [fact] = parse("shopify/", hint)
    assert isinstance(fact, OrderHint)
    body = blanked("shopify/", hint, ("Zauberflock, Ottilie",))
    assert json.loads(body or b"")["reason"] == " was not at home"


@pytest.mark.parametrize(
    "name", ["shopify/customers.redact", "shopify/customers.data_request", "ebay/account_deletion"]
)
def test_a_message_that_is_about_a_person_and_nothing_else_is_not_given_away(name: str) -> None:
    topic = name.split("/")[1].replace(".", "/") if name.startswith("shopify") else "MARKETPLACE_ACCOUNT_DELETION"
    assert blanked(name, message(name, topic)) is None


def test_a_message_that_would_read_otherwise_is_not_given_away() -> None:
    before = receipt()

    def reads_the_city(one: RawMessage) -> list[Fact]:
        return [OrderHint(f"order of {json.loads(one.body)['city']}")]

    assert without_person(before, reads_the_city(before), reads_the_city) is None
