"""What comes to the front door and should not: forged, cut, too large, odd. Refused, or parked in sight; and the next good one is booked.

One running service takes all of it, so each test ends with `still_well`: a good order of Shopify's goes through the same door.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.requests import Request
from tests.conftest import _postgres_url
from tests.scenario.service import (
    SHOPIFY,
    Elsewhere,
    Knocking,
    Shop,
    connected,
    ebay_notice,
    on_sale,
    until,
)

from oneshelf.intake import webhook

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEVER_S = 86_400
LIMIT = 65_536
#: 401, eBay 412: it is not what it says it is.
REFUSED = {"shopify": 401, "ebay": 412, "etsy": 401}
ORDER = {
    "id": 450789469,
    "admin_graphql_api_id": "gid://shopify/Order/450789469",
    "name": "#1001",
    "created_at": "2026-11-20T10:00:00Z",
    "updated_at": "2026-11-20T10:00:00Z",
    "cancelled_at": None,
    "currency": "USD",
    "financial_status": "paid",
    "fulfillment_status": None,
    "total_price": "20.00",
    "subtotal_price": "20.00",
    "total_tax": "0.00",
    "total_discounts": "0.00",
    "line_items": [
        {
            "id": 466157049,
            "variant_id": 101,
            "sku": "MUG",
            "title": "Mug",
            "quantity": 2,
            "current_quantity": 2,
            "fulfillable_quantity": 2,
            "price": "10.00",
            "requires_shipping": True,
        }
    ],
    "fulfillments": [],
    "refunds": [],
    "shipping_lines": [],
}


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["sqlite", "postgresql"])
async def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Knocking]:
    """A running service with one account of each channel, on each database, and who knocks at it."""
    more: dict[str, Any] = {}
    if request.param == "postgresql":
        import psycopg

        server = request.getfixturevalue("postgres_server")
        with psycopg.connect(_postgres_url(server, "postgres"), autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS bad_input")
            connection.execute(f"CREATE DATABASE bad_input TEMPLATE {request.getfixturevalue('postgres_migrated')}")
        more["database_url"] = _postgres_url(server, "bad_input")
    elsewhere = Elsewhere()
    shop = await Shop.open(
        tmp_path_factory.mktemp("bad"),
        webhook_body_bytes_max=LIMIT,
        poll_shopify_s=NEVER_S,
        poll_amazon_s=NEVER_S,
        poll_ebay_s=NEVER_S,
        poll_etsy_s=NEVER_S,
        **more,
    )
    await connected(shop, elsewhere)
    await on_sale(shop, SHOPIFY, "variant:101", "MUG")
    knocking = Knocking(shop, elsewhere)
    yield knocking
    await knocking.close()
    await shop.close()
    await elsewhere.close()


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def still_well(door: Knocking) -> AsyncIterator[None]:
    """Begin with an empty inbox; at the end a good message right after is taken and booked, and nothing waits."""
    for table in ("inbox", "task", "orders", "order_line", "ledger_entry", "stock_level", "intent", "dirty_listing"):
        await door.shop.run(f"DELETE FROM {table}")
    door.shop.service.counts.__init__()  # type: ignore[misc]
    yield
    good = {**ORDER, "id": 999, "admin_graphql_api_id": "gid://shopify/Order/999"}
    assert await door.shopify("orders/create", json.dumps(good).encode()) == 200

    async def booked() -> bool:
        line = await door.shop.one("SELECT state, ordered, committed FROM order_line WHERE order_id = '999'")
        waiting = await door.shop.one("SELECT COUNT(*) FROM inbox WHERE state = 'NEW'")
        return line == ("O", 2, 2) and waiting == (0,)

    await until(booked, "the good order right after is booked")
    assert door.shop.service.health() is None


def signed(door: Knocking, channel: str) -> tuple[bytes, dict[str, str]]:
    """A genuine message of a channel."""
    if channel == "shopify":
        body = json.dumps(ORDER).encode()
        return body, door.shopify_headers("orders/create", body)
    if channel == "ebay":
        body = ebay_notice("ORDER_CONFIRMATION", {"user": {"userId": "ma8vp1jySJC"}, "order": {"orderId": "1-2"}}, "n")
        return body, door.ebay_headers(body)
    url = "https://openapi.etsy.com/v3/application/shops/12345/receipts/54321"
    body = json.dumps({"event_type": "order.paid", "resource_url": url, "shop_id": 12345}).encode()
    return body, door.etsy_headers(body)


async def nothing_kept(door: Knocking) -> None:
    assert await door.shop.all("SELECT topic FROM inbox") == []


# --- refused -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", ["shopify", "ebay", "etsy"])
async def test_one_byte_off_is_refused(door: Knocking, channel: str) -> None:
    body, headers = signed(door, channel)
    name = {"shopify": "X-Shopify-Hmac-Sha256", "ebay": "X-EBAY-SIGNATURE", "etsy": "webhook-signature"}[channel]
    forged: list[tuple[bytes, dict[str, str]]] = []
    for place in (1, len(body) // 2, len(body) - 1):
        forged.append((body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :], headers))
    again = json.dumps(json.loads(body), indent=1).encode()  # the same content, other bytes
    forged += [(again, headers), (body[:-1], headers), (body + b" ", headers), (b"", headers)]
    for value in ("", "é", "v1,", "AAAA", headers[name][:-8] + "AAAAAAA=", headers[name].swapcase()):
        forged.append((body, {**headers, name: value}))
    forged.append((body, {key: value for key, value in headers.items() if key != name}))
    for number, (sent, under) in enumerate(forged):
        assert await door.post(channel, sent, under) == REFUSED[channel], number
    await nothing_kept(door)
    assert door.shop.service.counts.forged == {channel: len(forged)}


async def test_what_is_signed_for_one_door_opens_no_other(door: Knocking) -> None:
    for ours in ("shopify", "ebay", "etsy"):
        for theirs in {"shopify", "ebay", "etsy"} - {ours}:
            assert await door.post(theirs, *signed(door, ours)) == REFUSED[theirs]
    await nothing_kept(door)


async def test_another_sellers_messages_are_refused(door: Knocking) -> None:
    """S0.1: eBay and Etsy sign for all sellers alike; who is named inside counts."""
    body, _ = signed(door, "shopify")
    for shop in ("other.myshopify.com", "front-door.myshopify.com.evil.example", "../front-door", "é"):
        assert await door.shopify("orders/create", body, shop=shop) == 401
    data = {"user": {"userId": "somebody_else"}, "order": {"orderId": "1-2"}}
    assert await door.ebay(ebay_notice("ORDER_CONFIRMATION", data, "1")) == 412
    for shop_id in (54321, "54321", "1234", 123450):
        assert await door.etsy(json.dumps({"event_type": "order.paid", "shop_id": shop_id}).encode()) == 401
    await nothing_kept(door)


async def test_ebays_keys_are_taken_from_ebay_only_and_asked_for_sparingly(door: Knocking) -> None:
    body, headers = signed(door, "ebay")
    other = ec.generate_private_key(ec.SECP256R1())
    ours, door.key = door.key, other  # a forger's own key under eBay's name
    try:
        assert await door.ebay(body) == 412
        for kid in ("", "../../oauth", "a b", "x" * 500, "é", "%2e%2e"):
            assert await door.ebay(body, kid=kid or " ") == 412
        before = dict(door.asked)
        statuses = await asyncio.gather(*(door.ebay(body, kid=f"00000000-{n:04d}") for n in range(60)))
        assert set(statuses) == {412}
        assert door.asked["public_key"] - before.get("public_key", 0) <= 5
    finally:
        door.key = ours
    before = door.asked["public_key"]
    for _ in range(3):
        assert await door.post("ebay", body, headers) == 200
    assert door.asked["public_key"] == before  # the key that is known is not asked for again
    await door.shop.handled(1)


async def test_etsys_old_and_early_messages_are_refused(door: Knocking) -> None:
    body, _ = signed(door, "etsy")
    for age_s in (301, 3600, -301, 10**9):
        assert await door.etsy(body, age_s=age_s) == 401
    headers = door.etsy_headers(body, delivery="msg_1")
    for changed in ({"webhook-id": "msg_2"}, {"webhook-timestamp": "1"}, {"webhook-timestamp": "x"}):
        assert await door.post("etsy", body, {**headers, **changed}) == 401
    await nothing_kept(door)


async def test_a_replay_changes_nothing(door: Knocking) -> None:
    """S4.3. Under another delivery id it is another message, of the same order."""
    body, headers = signed(door, "shopify")
    for _ in range(5):
        assert await door.post("shopify", body, headers) == 200
    assert await asyncio.gather(*(door.post("shopify", body, headers) for _ in range(20))) == [200] * 20
    assert await door.shop.handled(1) == [("orders/create", "DONE", "")]
    assert await door.shopify("orders/create", body) == 200
    await door.shop.handled(2)
    assert await door.shop.all("SELECT committed FROM stock_level") == [(2,)]
    assert await door.shop.one("SELECT COUNT(*) FROM ledger_entry") == (1,)


async def test_no_such_door(door: Knocking) -> None:
    body, headers = signed(door, "shopify")
    for channel in ("walmart", "amazon", "Shopify", "ebay%00", "%2e%2e/local/check", "shopify%0d%0aX: 1"):
        assert await door.post(channel, body, headers) in (403, 404), channel
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
        url = f"{door.shop.url}/webhooks/shopify"
        async with door.http.request(method, url, data=None if method == "GET" else body, headers=headers) as answer:
            assert answer.status == 405, method
    await nothing_kept(door)
    assert door.shop.service.counts.forged == {}


# --- too much, too slow, cut off -------------------------------------------------------------------------------------------


async def test_too_large_is_413_and_the_largest_is_taken(door: Knocking) -> None:
    largest = b'{"a":"' + b"x" * (LIMIT - 8) + b'"}'
    assert len(largest) == LIMIT
    assert await door.shopify("shop/update", largest) == 200
    assert await door.shopify("shop/update", largest + b" ") == 413
    headers = door.shopify_headers("shop/update", largest)

    async def in_parts() -> AsyncIterator[bytes]:  # no Content-Length
        for _ in range(20):
            yield b"x" * 10_000

    url = f"{door.shop.url}/webhooks/shopify"
    async with door.http.post(url, data=in_parts(), headers=headers) as answer:
        assert answer.status == 413
    # A bomb is only its own bytes: nothing is unpacked.
    bomb = gzip.compress(b"0" * 50_000_000)
    packed = {**door.shopify_headers("shop/update", bomb), "Content-Encoding": "gzip"}
    assert await door.post("shopify", bomb, packed) == 200
    rows = await door.shop.handled(2)
    assert [state for _, state, _ in rows] == ["DONE", "DONE"]


@pytest.mark.parametrize("told", [None, "70000", "10"])
async def test_no_more_is_read_than_may_be_kept(door: Knocking, told: str | None) -> None:
    pulled = 0

    async def receive() -> dict[str, Any]:
        nonlocal pulled
        pulled += 1
        return {"type": "http.request", "body": b"x" * 10_000, "more_body": pulled < 20}

    headers = [(b"content-length", told.encode())] if told else []
    scope = {"type": "http", "method": "POST", "path": "/webhooks/shopify", "headers": headers}
    assert await webhook._body(Request(scope, receive), LIMIT) is None
    assert pulled == (0 if told == "70000" else 7)  # the seventh is the first beyond 65,536


async def test_a_body_that_is_cut_off_is_nobodys_error(door: Knocking) -> None:
    parts = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> dict[str, Any]:
        return next(parts)

    service = door.shop.service
    [route] = webhook.routes(
        service, service.writer, service.clock, service.counts, body_max=LIMIT, public_url="", on_news=lambda: None
    )
    scope = {"type": "http", "method": "POST", "path": "/webhooks/etsy", "headers": [], "query_string": b""}
    answer = await route.endpoint(Request({**scope, "path_params": {"channel": "etsy"}}, receive))
    assert answer.status_code == 400
    await nothing_kept(door)


async def raw(door: Knocking, request: bytes, *, end: bool = False, wait_s: float = 5.0) -> int | None:
    """Send bytes as they are; return the status, None if there was none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.shop.port)
    try:
        writer.write(request)
        await writer.drain()
        if end:
            writer.write_eof()
        line = await asyncio.wait_for(reader.readline(), wait_s)
        return int(line.split()[1]) if line else None
    finally:
        writer.close()


async def test_broken_http_is_never_our_error(door: Knocking) -> None:
    head = b"POST /webhooks/shopify HTTP/1.1\r\n"
    for host in (b"[", b"x y", b"\x80\xff", b"..", b"::::", b"", b"a:99999", b"[::1", b"a@b"):
        assert await raw(door, head + b"Host: " + host + b"\r\nContent-Length: 2\r\n\r\n{}") == 401, host
    for length in (b"-5", b"9" * 40, b"1e3", b"\xb2", b"2, 2", b"0x2"):
        status = await raw(door, head + b"Host: a\r\nContent-Length: " + length + b"\r\n\r\n{}")
        assert status is not None and 400 <= status < 500, length
    assert await raw(door, head + b"Host: a\r\nContent-Length: 200\r\n\r\n{", end=True) in (None, 400)
    many = b"".join(b"X-%d: a\r\n" % n for n in range(3000))
    status = await raw(door, head + b"Host: a\r\n" + many + b"Content-Length: 2\r\n\r\n{}")
    assert status is not None and 400 <= status < 500
    query = b"GET /webhooks/ebay?challenge_code=%ff%00%0d%0a&challenge_code=2 HTTP/1.1\r\nHost: a\r\n\r\n"
    assert await raw(door, query) == 200
    await nothing_kept(door)


async def test_who_sends_too_slowly_is_let_go(door: Knocking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "BODY_WITHIN_S", 0.2)
    assert await raw(door, b"POST /webhooks/etsy HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{") == 408
    await nothing_kept(door)


# --- genuine, but odd ------------------------------------------------------------------------------------------------------

DEEP = b"[" * 10_000 + b"]" * 10_000
ODD_BODIES: dict[str, bytes] = {
    "deep": DEEP,
    "deep inside": b'{"id":1,"line_items":' + DEEP + b"}",
    "not UTF-8": b'{"id":"\xff\xfe"}',
    "UTF-16": '{"id":1}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"id":1}',
    "nothing": b"",
    "null": b"null",
    "list": b"[]",
    "text": b'"x"',
    "number": b"1e999",
    "empty": b"{}",
    "NUL byte": b'{"id":1}\x00',
    "NUL in a text": b'{"id":"1\\u0000"}',
    "lone surrogate": b'{"id":"\\ud800"}',
    "huge number": b'{"id":' + b"9" * 5000 + b"}",
    "NaN": b'{"id":NaN}',
    "twice the same": b'{"id":1,"id":2}',
    "cut": b'{"id":1,"line_items":[{"id"',
    "HTML": b"<html><body>502 Bad Gateway</body></html>",
    "CRLF": b'{"id":"1\\r\\nX-Injected: 1"}',
    "SQL": b'{"id":"1\'; DROP TABLE orders; --"}',
}


@pytest.mark.parametrize("what", ODD_BODIES)
async def test_an_odd_message_of_shopify_is_kept_in_sight(door: Knocking, what: str) -> None:
    for topic in ("orders/create", "refunds/create", "inventory_levels/update", "products/update"):
        assert await door.shopify(topic, ODD_BODIES[what]) == 200, topic
    rows = await door.shop.handled(4)
    parked = [(topic, note) for topic, state, note in rows if state == "PARKED"]
    assert all(note and "our parser failed" not in note and "\x00" not in note for _, note in parked), parked
    tasks = [kind for kind, _, _ in await door.shop.tasks()]
    assert tasks.count("parked_message") == len(parked)
    assert ("orders/create" in dict(parked)) and await door.shop.one("SELECT COUNT(*) FROM orders") == (0,)


@pytest.mark.parametrize("what", ODD_BODIES)
async def test_an_odd_message_of_ebay_or_etsy_is_taken_once_it_is_signed(door: Knocking, what: str) -> None:
    """S4.1: genuine but unreadable is answered 2xx and parked: a refusal would cost the subscription."""
    assert await door.ebay(ODD_BODIES[what]) == 200
    assert await door.etsy(ODD_BODIES[what]) == 200
    rows = await door.shop.handled(2)
    assert [(topic, state) for topic, state, _ in rows] == [("webhook:unreadable", "PARKED")] * 2
    assert all(note for _, _, note in rows)
    assert door.shop.service.counts.unreadable == {"ebay": 1, "etsy": 1}
    assert [kind for kind, _, _ in await door.shop.tasks()] == ["parked_message"] * 2


@pytest.mark.parametrize("odd", ["1\r\n2", "a\x00b", "x" * 20_000, "\u202e\u2028", "../../etc", "'; --", "🛒" * 900])
async def test_odd_ids_are_kept_once_and_end_in_sight(door: Knocking, odd: str) -> None:
    """In every id that a signed message names: topic, delivery, order, listing."""
    seller = {"user": {"userId": "ma8vp1jySJC"}}
    for _ in range(2):
        order = {**seller, "order": {"orderId": "1-2"}}
        assert await door.ebay(ebay_notice("ORDER_CONFIRMATION", order, odd)) == 200
        assert await door.ebay(ebay_notice("ORDER_CONFIRMATION", {**seller, "order": {"orderId": odd}}, "n1")) == 200
        assert await door.ebay(ebay_notice(odd, {**seller, "order": {"orderId": "1"}}, "n2")) == 200
        for event in ({"event_type": odd}, {"event_type": "order.paid", "resource_url": odd}):
            delivery = f"msg-{len(event)}"
            assert await door.etsy(json.dumps({"shop_id": 12345, **event}).encode(), delivery=delivery) == 200
    rows = await door.shop.handled(5)
    for topic, state, note in rows:
        assert topic.isprintable() and (state == "DONE" or note), (topic, state, note)
    assert [state for topic, state, _ in rows if topic not in ("ORDER_CONFIRMATION",)] == ["PARKED"] * 3


# --- orders that say odd things ---------------------------------------------------------------------------------------------


def order(**changed: Any) -> bytes:
    return json.dumps({**ORDER, **changed}).encode()


def line(**changed: Any) -> dict[str, Any]:
    return {**ORDER["line_items"][0], **changed}  # type: ignore[index]


async def heard(door: Knocking, body: bytes) -> tuple[str, str]:
    assert await door.shopify("orders/create", body) == 200
    [(_, state, note)] = await door.shop.handled(1)
    return state, note


@pytest.mark.parametrize("quantity", [-1, -(10**9), 10**12, 10**30, "many", 2.5, [], {}, "9" * 400])
async def test_a_count_that_is_none_is_parked_with_its_reason(door: Knocking, quantity: Any) -> None:
    state, note = await heard(
        door, order(line_items=[line(quantity=quantity, current_quantity=quantity, fulfillable_quantity=quantity)])
    )
    assert state == "PARKED" and len(note) <= 500
    assert await door.shop.lines(SHOPIFY) == []
    assert await door.shop.all("SELECT committed FROM stock_level WHERE committed <> 0") == []
    [(kind, _, why)] = await door.shop.tasks()
    assert kind == "parked_message" and why.startswith(f"{note}. Then: oneshelf inbox retry ")


async def test_a_line_of_nothing_holds_nothing(door: Knocking) -> None:
    zero = line(quantity=0, current_quantity=0, fulfillable_quantity=0)
    assert await heard(door, order(line_items=[zero])) == ("DONE", "")
    assert await door.shop.all("SELECT sku FROM stock_level WHERE committed <> 0") == []


async def test_an_unknown_sku_is_stored_unlinked_with_a_task(door: Knocking) -> None:
    """S4.5."""
    unknown = line(id=2, variant_id=777, sku="NEVER-SEEN", title="Teapot")
    assert await heard(door, order(line_items=[line(), unknown])) == ("DONE", "")
    assert await door.shop.lines(SHOPIFY) == [
        ("450789469", "2", "", "U", 2, 0, 0),
        ("450789469", "466157049", "MUG", "O", 2, 0, 0),
    ]
    assert await door.shop.all("SELECT sku, committed FROM stock_level") == [("MUG", 2)]
    [(subject, why)] = [task[1:] for task in await door.shop.tasks() if task[0] == "unlinked_order"]
    assert subject == "1/450789469" and "Teapot" in why


async def test_an_order_for_a_deleted_listing_is_a_sale_all_the_same(door: Knocking) -> None:
    """S1.10."""
    await on_sale(door.shop, SHOPIFY, "variant:102", "VASE")
    await door.shop.run("UPDATE outlet SET state = 'gone' WHERE external_id = '102'")
    assert await heard(door, order(line_items=[line(variant_id=102, sku="VASE")])) == ("DONE", "")
    assert await door.shop.all("SELECT sku, committed FROM stock_level") == [("VASE", 2)]


@pytest.mark.parametrize("field", ["created_at", "updated_at", "processed_at"])
@pytest.mark.parametrize("value", [None, "", "yesterday", "2026-13-45T99:99:99Z", 0, "9999-12-31T23:59:59Z"])
async def test_an_order_without_a_sound_date_is_a_sale_all_the_same(door: Knocking, field: str, value: Any) -> None:
    assert await heard(door, order(**{field: value})) == ("DONE", "")
    assert await door.shop.all("SELECT sku, committed FROM stock_level") == [("MUG", 2)]
    row = await door.shop.one("SELECT placed_at, received_at, decided_at FROM orders")
    assert row is not None and row[0] <= row[1] <= row[2]


@pytest.mark.parametrize("currency", ["ZZZ", "", None, "usd", "💰", 5, "US\x00"])
async def test_money_in_an_unknown_currency_keeps_no_stock_from_being_held(door: Knocking, currency: Any) -> None:
    state, note = await heard(door, order(currency=currency, presentment_currency=currency))
    assert (state, note) == ("DONE", "")
    assert await door.shop.all("SELECT sku, committed FROM stock_level") == [("MUG", 2)]


async def test_texts_are_kept_as_texts(door: Knocking) -> None:
    """F51, F53: what a buyer typed is data everywhere, NUL and all."""
    title = "<script>alert(1)</script>'; DROP TABLE orders; --\x00\u202e=HYPERLINK(1)"
    assert await heard(door, order(name=title, note=title, line_items=[line(title=title)])) == ("DONE", "")
    [(kept,)] = await door.shop.all("SELECT title FROM order_line")
    assert kept.startswith("<script>alert(1)</script>'; DROP TABLE orders; --")


async def test_hundreds_of_lines_are_one_order(door: Knocking) -> None:
    short = {"variant_id": 101, "sku": "MUG", "quantity": 1, "current_quantity": 1, "fulfillable_quantity": 1}
    lines = [{"id": 1000 + number, **short} for number in range(500)]
    assert await heard(door, order(line_items=lines)) == ("DONE", "")
    assert await door.shop.all("SELECT sku, committed FROM stock_level") == [("MUG", 500)]


async def test_a_batch_with_one_bad_order_books_the_others(door: Knocking) -> None:
    """FC-B15: sent at once, so that they are handled together."""
    bodies = [order(id=n, admin_graphql_api_id=f"gid://shopify/Order/{n}") for n in range(1, 41)]
    bad = [line(quantity=-7, current_quantity=-7, fulfillable_quantity=-7)]
    bodies[20] = order(id=21, admin_graphql_api_id="gid://shopify/Order/21", line_items=bad)
    bodies[30] = DEEP
    assert await asyncio.gather(*(door.shopify("orders/create", body) for body in bodies)) == [200] * 40
    rows = await door.shop.handled(40)
    assert sorted(state for _, state, _ in rows).count("PARKED") == 2
    assert await door.shop.all("SELECT committed FROM stock_level") == [(76,)]
