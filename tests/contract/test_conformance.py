"""What every connector must do, the same for each: recorded messages, signatures, errors, pages that shift, clocks that differ.

The marketplaces here are the emulated ones, in process and in virtual time; what only one channel has is tested beside its connector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from test_wire import NAMES, bought, listings_of, order, outlet_of
from wire import CALLBACK, Wire

from oneshelf.channels import amazon
from oneshelf.channels.abilities import Cancels, CancelWish, Parcel, PriceOffer, Prices, Ships
from oneshelf.channels.contract import (
    BudgetSeen,
    Cursor,
    Http,
    NoAnswer,
    Offer,
    RawMessage,
    RawRequest,
    Request,
    Response,
    Secret,
)
from oneshelf.channels.session import Session
from oneshelf.core.facts import Fact, Money, OrderSeen
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled, Unknown
from oneshelf.wiring import build_channel
from oneshelf_emulator.shopify.order_records import Order as ShopifyOrder
from oneshelf_emulator.world import Product

PAYLOADS = Path(__file__).parent / "payloads"
RECORDED = [(path.parent.name, path) for path in sorted(PAYLOADS.glob("*/*.facts.json"))]
SOLD_ALONE = [Product(f"P-{n}", f"Thing {n}", 1000 + n, "USD", 5_000) for n in range(3)]

# --- recorded messages --------------------------------------------------------------------------------------------------

#: What a recorded message came as, where its name does not say it.
TOPICS = {
    "order_confirmation": "ORDER_CONFIRMATION",
    "account_deletion": "MARKETPLACE_ACCOUNT_DELETION",
    "order_paid": "order.paid",
}


#: Whom the recorded messages are about.
SETTINGS = {
    "shopify": {"shop": "demo.myshopify.com"},
    "amazon": {"seller_id": "A3TH9S8BH6GOGM", "marketplace_ids": "ATVPDKIKX0DER"},
    "ebay": {"user_id": "ma8vp1jySJC"},
    "etsy": {"shop_id": "12345"},
}


def topic_of(channel: str, name: str) -> str:
    if channel == "shopify":
        return name.replace(".", "/")
    if name in TOPICS:
        return TOPICS[name]
    return "poll:order" if name.startswith(("order_", "receipt_")) else "queue:EXAMPLE"


@pytest.mark.parametrize(("channel", "path"), RECORDED, ids=lambda one: getattr(one, "stem", one))
def test_a_recorded_message_has_its_facts_and_says_them_twice_alike(channel: str, path: Path) -> None:
    """Parsing is pure: the same bytes are the same facts."""
    name = path.name.removesuffix(".facts.json")
    message = RawMessage(topic_of(channel, name), path.with_name(f"{name}.json").read_bytes())
    settings = dict(SETTINGS[channel])
    if channel == "amazon" and path.name.startswith("notification_"):
        settings["seller_id"] = amazon.claim(message.body).seller_id or settings["seller_id"]
    connector = build_channel(channel, settings)
    facts = connector.parse(message)
    assert facts == msgspec.json.decode(path.read_bytes(), type=list[Fact])
    assert connector.parse(message) == facts


def test_each_channel_has_recorded_messages() -> None:
    counts = {name: sum(1 for channel, _ in RECORDED if channel == name) for name in NAMES}
    assert min(counts.values()) >= 2, counts


# --- signatures ---------------------------------------------------------------------------------------------------------


async def knocked(name: str) -> tuple[Wire, RawRequest]:
    """Return the first message that a purchase sends to our door, as it came."""
    wire = Wire(name)
    came: list[RawRequest] = []

    async def deliver(url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> int:
        came.append(RawRequest("POST", url, {}, {k.lower(): v for k, v in headers.items()}, body))
        return 200

    wire.emulation.connect(deliver, None, {})
    if name == "etsy":
        wire.market.set_webhook("https://shelf.example/webhooks/etsy", ["order.paid"])
        app_secret = {"webhook_secret": wire.emulation.credentials()["etsy"]["webhook_secret"]}
        wire.app_secret = app_secret
    else:
        await wire.channel.subscribe(_Answering(wire), CALLBACK[name], wire.app_secret)
    wire.market.buy(wire.buyer(), {str((await listings_of(wire))[0].sku): 1})
    for _ in range(40):
        wire.clock.advance(30.0)
        await wire.emulation.world.courier.idle()
        if came:
            break
    key_id = wire.channel.door.key_id(came[0])
    if key_id is not None:
        channel: Any = wire.channel
        wire.app_secret = {**wire.app_secret, f"key:{key_id}": await channel.public_key(wire, key_id, wire.app_secret)}
    return wire, came[0]


class _Answering:
    """Subscribing asks our door back (eBay): this `Http` stands by, so that the door in the test can answer."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        if wire.name == "ebay":
            wire.market.notifications.fetch = self._challenged

    async def _challenged(self, url: str) -> tuple[int, str, bytes]:
        base, _, query = url.partition("?")
        asked = RawRequest("GET", base, dict([query.split("=", 1)]), {}, b"")
        answer = self._wire.channel.door.challenge(asked, self._wire.app_secret)
        assert answer is not None
        return answer

    async def request(self, request: Request) -> Response:
        return await self._wire.request(request)


@pytest.mark.parametrize("name", ["shopify", "ebay", "etsy"])
async def test_a_signature_or_body_off_by_one_byte_is_refused(name: str) -> None:
    wire, came = await knocked(name)
    door, secret, now = wire.channel.door, wire.app_secret, wire.clock.now()
    assert door.verify(came, secret, now)
    for at in (0, len(came.body) // 2, len(came.body) - 1):
        body = bytearray(came.body)
        body[at] ^= 1
        assert not door.verify(msgspec.structs.replace(came, body=bytes(body)), secret, now)
    signed = next(h for h in came.headers if "signature" in h or "hmac" in h)
    text = came.headers[signed]
    for at in (4, len(text) // 2):
        other = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        assert not door.verify(msgspec.structs.replace(came, headers={**came.headers, signed: other}), secret, now)
    assert not door.verify(came, {}, now)


# --- errors and what they prove -----------------------------------------------------------------------------------------


def answer(status: int, body: bytes, kind: str = "application/json") -> Callable[[Wire], Response]:
    return lambda wire: Response(status, {"content-type": kind}, body, wire.clock.now())


#: What happened to the write → which outcomes may be concluded from it.
ENDS: dict[str, tuple[Callable[[Wire], Response] | NoAnswer, tuple[type, ...]]] = {
    "no answer": (NoAnswer("timed out", sent=True), (Unknown,)),
    "500": (answer(500, b'{"errors": [{"message": "oops"}]}'), (Unknown,)),
    "502 with a page": (answer(502, b"<html>bad gateway</html>", "text/html"), (Unknown,)),
    "503": (answer(503, b""), (Unknown,)),
    "a yes cut in the middle": (answer(200, b'{"data": {"orderCanc'), (Unknown,)),
    "a page for a yes": (answer(200, b"<html>welcome</html>", "text/html"), (Unknown,)),
    "429": (answer(429, b'{"errors": [{"code": "QuotaExceeded", "message": "slow down"}]}'), (Throttled,)),
    "400": (
        answer(400, b'{"errors": [{"code": "InvalidInput", "errorId": 25709, "message": "no"}]}'),
        (Rejected, Unknown),
    ),
}


@dataclass
class Striking:
    """`Http` of a wire on which every call that writes ends as told; what only reads goes through."""

    wire: Wire
    end: Callable[[Wire], Response] | NoAnswer
    struck: int = 0

    async def request(self, request: Request) -> Response:
        if request.bare or not request.writes:
            return await self.wire.request(request)
        self.struck += 1
        if isinstance(self.end, NoAnswer):
            raise self.end
        return self.end(self.wire)


async def concluded(http: Striking) -> dict[str, Outcome]:
    """Make one call of each kind that changes something; return what the connector concluded."""
    wire, channel = http.wire, http.wire.channel
    found = [one for one in await listings_of(wire) if not one.fulfilled_by_channel and one.sku]
    ended: dict[str, Outcome] = {}
    outlet = outlet_of(found[0])
    if wire.name != "shopify":
        (seen,) = await channel.read(wire, [outlet])
        (ended["number"],) = await channel.publish(http, [Offer(outlet, (seen.quantity or 0) + 1, seen)])
    if isinstance(channel, Prices):
        (asked,) = await channel.read_prices(wire, [outlet])
        assert asked.price is not None
        price = Money(asked.price.minor + 100, asked.price.currency)
        quantity = seen.quantity if channel.prices.carries_quantity else None
        (ended["price"],) = await channel.publish_prices(
            http, [PriceOffer(outlet, price, quantity=quantity, seen=asked)]
        )
    order_id = bought(wire, [str(found[1].sku)])
    placed = await order(wire, order_id)
    units = {line.line_id: line.ordered for line in placed.lines}
    known = {"marketplace_id": placed.marketplace_id}
    if isinstance(channel, Ships):
        parcel = Parcel("gid://shopify/Fulfillment/7", units, wire.clock.now(), "UPS", "1Z999AA10123456784")
        ended["parcel"] = await channel.ship(http, order_id, parcel, known)
    if isinstance(channel, Cancels) and channel.cancels.how != "person":
        wish = CancelWish(order_id, units, True, "6f1c1f60-4f4c-5f6e-9d52-6a8b0f9b6a10", known)
        ended["cancel"] = await channel.cancel(http, wish)
    return ended


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("end", ENDS)
async def test_an_outcome_is_concluded_from_proof_only(name: str, end: str) -> None:
    """I18: no answer, a 5xx, an unreadable yes are neither yes nor no; a 429 was not done; nothing of it is a yes."""
    told, allowed = ENDS[end]
    http = Striking(Wire(name), told)
    ended = await concluded(http)
    wrong = {what: outcome for what, outcome in ended.items() if not isinstance(outcome, allowed)}
    # Amazon's cancel begins by asking for a place to put the document: that it was not given is proof that nothing was done.
    if name == "amazon" and isinstance(wrong.get("cancel"), Throttled):
        del wrong["cancel"]
    assert wrong == {}
    assert not any(isinstance(outcome, Accepted) for outcome in ended.values())
    assert http.struck >= len(ended)


# --- pages that shift, clocks that differ -------------------------------------------------------------------------------

MANY = {"shopify": 17, "amazon": 120, "ebay": 130, "etsy": 120}


def buy_many(wire: Wire, count: int) -> None:
    for n in range(count):
        assert wire.market.buy(wire.buyer(), {f"P-{n % 3}": 1}) is not None
        wire.clock.advance(1.0)


def all_orders(wire: Wire) -> set[str]:
    return {str(one["id"]) for one in wire.market.orders()}


async def run(
    wire: Wire,
    cursor: Cursor,
    between: Callable[[int], None] = lambda n: None,
    *,
    http: Http | None = None,
    now: Callable[[], datetime] | None = None,
) -> tuple[set[str], Cursor]:
    """One run of the feed; `between` happens after each page. It is complete through no instant that has not come."""
    heard: set[str] = set()
    for n in range(60):
        page = await wire.channel.fetch(http or wire, cursor, (now or wire.clock.now)())
        heard |= {f.order_id for m in page.messages for f in wire.channel.parse(m) if isinstance(f, OrderSeen)}
        cursor = page.cursor
        if cursor.run is None:
            assert page.complete_through_at is None or page.complete_through_at <= wire.clock.now()
            return heard, cursor
        between(n)
    raise AssertionError("a run of the feed never ends")


@pytest.mark.parametrize("name", NAMES)
async def test_orders_that_come_and_change_while_paging_are_all_heard(name: str) -> None:
    wire = Wire(name, SOLD_ALONE)
    began = wire.clock.now() - timedelta(minutes=5)
    buy_many(wire, MANY[name])
    wire.pass_time()

    def more(page: int) -> None:
        buy_many(wire, 3)
        if page == 0:
            wire.pass_time(300.0)

    heard, cursor = await run(wire, Cursor(since=began), between=more)
    assert len(heard) >= MANY[name] - 5
    for _ in range(3):
        wire.pass_time(3600.0)
        again, cursor = await run(wire, Cursor(since=cursor.since - timedelta(minutes=15)))
        heard |= again
    assert heard == all_orders(wire)


def change_the_youngest(wire: Wire, count: int) -> None:
    """The `count` youngest orders change at the marketplace now, whatever it is that changes."""
    now, market = wire.clock.now(), wire.market
    if wire.name == "ebay":
        for sold in list(market.order_desk.orders.values())[-count:]:
            sold.modified_at = now
    elif wire.name == "etsy":
        for receipt in list(market.shop.receipts.values())[-count:]:
            receipt.updated_at = now
    else:
        for sold in market.store.all(ShopifyOrder)[-count:]:
            sold.updated_at = now
            market.index.touch(sold)


@pytest.mark.parametrize(("name", "count"), [("shopify", 17), ("ebay", 210), ("etsy", 120)])
async def test_I22_a_run_counts_as_complete_past_no_order_that_changed_while_we_paged(name: str, count: int) -> None:
    """It has left every window that ends at the run's first page; the run would say that it was told."""
    wire = Wire(name, SOLD_ALONE)
    began = wire.clock.now() - timedelta(minutes=5)
    buy_many(wire, count)
    wire.pass_time(60.0)
    pages = 0

    def change(page: int) -> None:
        nonlocal pages
        pages = page + 1
        if page == 0:
            wire.pass_time(60.0)
            change_the_youngest(wire, 5)
            wire.pass_time(10.0)

    heard, _ = await run(wire, Cursor(since=began), between=change)
    assert pages and heard == all_orders(wire)


class Skewed:
    """Our clock, `skew_s` beside the marketplace's."""

    def __init__(self, wire: Wire, skew_s: float) -> None:
        self._wire, self._skew = wire, timedelta(seconds=skew_s)

    def now(self) -> datetime:
        return self._wire.clock.now() + self._skew

    def monotonic(self) -> float:
        return self._wire.clock.now().timestamp()


class Dated:
    """The wire as a server answers on it: with the marketplace's Date, taken in by our clock."""

    def __init__(self, wire: Wire, ours: Skewed) -> None:
        self._wire, self._ours = wire, ours

    async def request(self, request: Request) -> Response:
        got = await self._wire.sent(request)
        said = format_datetime(self._wire.clock.now().replace(microsecond=0), usegmt=True)
        return Response(got.status, {**got.headers, "date": said}, got.body, self._ours.now())


class Kept:
    """The account's secret, kept in memory."""

    def __init__(self, secret: Secret) -> None:
        self.secret = secret

    async def load(self) -> Secret:
        return self.secret

    async def save(self, secret: Secret, expected_version: int) -> Secret:
        self.secret = secret
        return secret


class Unpaced:
    """A limiter that lets everything through."""

    async def acquire(self, operation: str, priority: int, cost: float = 1.0) -> None: ...

    def answered(self, operation: str, now: datetime, seen: list[BudgetSeen]) -> None: ...


@pytest.mark.parametrize("skew_s", [-300.0, 300.0])
@pytest.mark.parametrize("name", NAMES)
async def test_F28_a_clock_five_minutes_off_loses_no_order(name: str, skew_s: float) -> None:
    wire = Wire(name, SOLD_ALONE)
    ours = Skewed(wire, skew_s)
    channel = wire.channel
    session = Session(
        Dated(wire, ours), channel.auth, Kept(wire.secret), Unpaced(), ours, budget_seen=channel.budget_seen
    )
    await channel.who(session)
    cursor, heard = Cursor(since=wire.clock.now() - timedelta(minutes=10)), set()
    for _ in range(5):
        buy_many(wire, 2)
        wire.pass_time(1800.0)
        # The caller overlaps every poll by 10 minutes and twice the notice (S4.6).
        since = Cursor(since=cursor.since - timedelta(minutes=15))
        found, cursor = await run(wire, since, http=session, now=session.channel_now)
        heard |= found
    assert heard == all_orders(wire)
    assert abs(session.clock_ahead_s + skew_s) < 3


@pytest.mark.parametrize("name", NAMES)
async def test_F28_a_number_is_read_at_an_instant_of_the_channels_clock(name: str) -> None:
    """By ours it would be compared with when orders were placed there: a sale before the read would count as one after it."""
    wire = Wire(name)
    ours = Skewed(wire, 300.0)
    channel = wire.channel
    session = Session(
        Dated(wire, ours), channel.auth, Kept(wire.secret), Unpaced(), ours, budget_seen=channel.budget_seen
    )
    listing = next(one for one in await listings_of(wire) if not one.fulfilled_by_channel and one.sku)
    (seen,) = await channel.read(session, [outlet_of(listing)])
    read_at = [seen.read_at]
    if name == "shopify":
        hub: Any = channel
        item_id = outlet_of(listing).external_id.split("|")[0]
        read_at += [level.read_at for level in await hub.levels(session, [item_id])]
    assert all(abs(at - wire.clock.now()) < timedelta(seconds=3) for at in read_at), read_at


# --- the capability table is true -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["amazon", "ebay", "etsy"])
async def test_the_capability_table_is_true(name: str) -> None:
    """The largest number is taken and one more is not; a full batch is read in one call of each kind; zero is what it says."""
    wire = Wire(name)
    channel, can = wire.channel, wire.channel.can
    found = [one for one in await listings_of(wire) if not one.fulfilled_by_channel and one.sku]
    outlet = outlet_of(found[0])
    for quantity in (can.max_quantity, 0):
        (seen,) = await channel.read(wire, [outlet])
        (outcome,) = await channel.publish(wire, [Offer(outlet, quantity, seen)])
        assert isinstance(outcome, Accepted), (quantity, outcome)
        wire.pass_time()
    (seen,) = await channel.read(wire, [outlet])
    assert seen.quantity == 0
    assert can.zero_is_state is (seen.state == "inactive")
    batch = [outlet_of(one) for one in found[: can.read_batch]]
    assert [one.external_id for one in await channel.read(wire, batch)] == [one.external_id for one in batch]
    operations: Any = channel
    metered = {name for limit in channel.limits for name in limit.operations}
    assert set(operations.operations.values()) <= metered or "*" in metered
