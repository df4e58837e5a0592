"""Whatever arrives: altered signatures are refused, altered payloads and answers end in facts, an outcome, or a refusal by name.

The same seed makes the same alterations. How many: `ONESHELF_MUTATIONS` a payload (100), `ONESHELF_FORGERIES` in all (10,000).
"""

from __future__ import annotations

import base64
import json
import os
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from test_conformance import PAYLOADS, RECORDED, SETTINGS, knocked, topic_of
from test_wire import bought, listings_of, news_since, outlet_of
from wire import Wire

from oneshelf.channels import amazon
from oneshelf.channels.contract import Cursor, Hub, NoAnswer, Offer, RawMessage, RawRequest, Request, Response, Seen
from oneshelf.core.errors import OneshelfError, Park
from oneshelf.core.facts import Fact
from oneshelf.core.outcome import Outcome
from oneshelf.wiring import build_channel

MUTATIONS = int(os.environ.get("ONESHELF_MUTATIONS", "100"))
FORGERIES = int(os.environ.get("ONESHELF_FORGERIES", "10000"))
SIGNED = ("shopify", "ebay", "etsy")

# --- how something is altered -------------------------------------------------------------------------------------------

#: What a field may suddenly hold: another kind, nothing, too much, a word that nobody knows, a number as a text and the other way round.
_ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 10**30, -(10**30), "", "0", "-7", "NaN", "NEW_KIND", "é\u0000\ud7ff", "x" * 5_000, [], {}, [[]], [None],
    {"amount": None}, "2026-13-45T99:99:99Z", "1e400", "٣",
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, the document itself first."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield from places(one, (*path, key))


def altered(body: bytes, rng: random.Random) -> bytes:
    """The document with one to three things changed: a field odd, gone, doubled, renamed or swapped with another; else some bytes."""
    if rng.random() < 0.15:
        return _altered_bytes(body, rng)
    document = json.loads(body)
    for _ in range(rng.randint(1, 3)):
        document = _altered_once(document, rng)
    return json.dumps(document, ensure_ascii=rng.random() < 0.5).encode(errors="surrogatepass")


def _altered_once(document: Any, rng: random.Random) -> Any:
    inner = [path for path in places(document) if path]
    if not inner:
        return rng.choice(_ODD)
    *above, key = rng.choice(inner)
    changed = json.loads(json.dumps(document))
    parent = _at(changed, above)
    match rng.randrange(5):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, list):
            parent.insert(rng.randrange(len(parent) + 1), parent[key])
        case 1:
            parent[f"{key}_new"] = parent.pop(key)
        case 2:
            parent[key] = _at(document, rng.choice(inner))
        case _:
            parent[key] = rng.choice(_ODD)
    return changed


def _at(document: Any, path: Iterable[Any]) -> Any:
    for key in path:
        document = document[key]
    return document


def _altered_bytes(body: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(body))
    match rng.randrange(4):
        case 0:
            return body[:at]
        case 1:
            return body[:at] + bytes([rng.randrange(256)]) + body[at + 1 :]
        case 2:
            return body[:at] + rng.choice((b"[" * 10_000, b"\xff\xfe", b"\x00", b'{"a":' * 2_000)) + body[at:]
    return body[at:] + body[:at]


# --- payloads -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channel", "path"), RECORDED, ids=lambda one: getattr(one, "stem", one))
def test_an_altered_message_ends_in_facts_or_is_parked_by_name(channel: str, path: Path) -> None:
    name = path.name.removesuffix(".facts.json")
    body = path.with_name(f"{name}.json").read_bytes()
    settings = dict(SETTINGS[channel])
    if channel == "amazon" and name.startswith("notification_"):
        settings["seller_id"] = amazon.claim(body).seller_id or settings["seller_id"]
    connector = build_channel(channel, settings)
    rng = random.Random(f"{channel}/{name}")
    ends: Counter[str] = Counter()
    for _ in range(MUTATIONS):
        changed = altered(body, rng)
        try:
            facts = connector.parse(RawMessage(topic_of(channel, name), changed))
        except Park as refusal:
            assert str(refusal), changed
            ends["parked"] += 1
        else:
            # What is read can be kept and read back.
            assert msgspec.json.decode(msgspec.json.encode(facts), type=list[Fact]) == facts
            ends["read"] += 1
    assert ends.total() == MUTATIONS


def test_most_alterations_are_of_the_documents_and_not_of_their_form() -> None:
    """Else nothing beyond the JSON reader would be tried: some are read, and some of what is JSON still is refused."""
    path = PAYLOADS / "ebay" / "order_us_tax.json"
    connector, rng = build_channel("ebay", dict(SETTINGS["ebay"])), random.Random(1)
    read = refused = 0
    for _ in range(400):
        changed = altered(path.read_bytes(), rng)
        try:
            json.loads(changed)
        except (ValueError, RecursionError):
            continue
        try:
            connector.parse(RawMessage("poll:order", changed))
            read += 1
        except Park:
            refused += 1
    assert read > 100 and refused > 10, (read, refused)


# --- answers --------------------------------------------------------------------------------------------------------------


class Altered:
    """`Http` whose answers are altered, each by chance."""

    def __init__(self, wire: Wire, rng: random.Random) -> None:
        self._wire = wire
        self._rng = rng
        self.altered = 0

    async def request(self, request: Request) -> Response:
        response = await self._wire.request(request)
        if request.bare or not response.body or self._rng.random() < 0.2:
            return response
        self.altered += 1
        try:
            body = altered(response.body, self._rng)
        except ValueError:
            body = _altered_bytes(response.body, self._rng)
        return msgspec.structs.replace(response, body=body)


@pytest.mark.parametrize("name", ["shopify", "amazon", "ebay", "etsy"])
async def test_an_altered_answer_ends_in_what_was_asked_for_or_in_a_refusal_by_name(name: str) -> None:
    """Reads, writes, feed pages, catalogue pages, one order: never another exception, never another outcome than one of the four."""
    wire = Wire(name)
    found = [one for one in await listings_of(wire) if not one.fulfilled_by_channel and one.sku]
    since = wire.clock.now()
    order_id = bought(wire, [str(found[0].sku)])
    await news_since(wire, Cursor(since=since))
    outlet = outlet_of(found[0])
    http = Altered(wire, random.Random(name))
    channel: Any = wire.channel
    seen: list[Seen | None] = [None]

    async def read() -> None:
        got = await channel.read(http, [outlet])
        assert all(isinstance(one, Seen) and (one.quantity is None or isinstance(one.quantity, int)) for one in got)
        seen[0] = next(iter(got), seen[0])

    async def publish() -> None:
        (outcome,) = await channel.publish(http, [Offer(outlet, 3, seen[0])])
        assert isinstance(outcome, Outcome), outcome

    async def fetch() -> None:
        page = await channel.fetch(http, Cursor(since=since), wire.clock.now())
        for message in page.messages:
            try:
                channel.parse(message)
            except Park:
                continue

    async def catalogue() -> None:
        await channel.catalogue(http, None)

    async def one_order() -> None:
        message = await channel.fetch_order(http, order_id)
        if message is not None:
            channel.parse(message)

    asked = [fetch, catalogue, one_order] + ([] if isinstance(channel, Hub) else [read, publish])
    ends: Counter[str] = Counter()
    for turn in range(MUTATIONS):
        for ask in asked:
            wire.clock.advance(200.0)
            try:
                await ask()
            except (OneshelfError, NoAnswer) as refusal:
                assert str(refusal), ask.__name__
                ends["refused"] += 1
            else:
                ends["answered"] += 1
        if turn % 20 == 0:
            wire.pass_time()
    assert (
        ends.total() == MUTATIONS * len(asked) and http.altered > MUTATIONS and min(ends.values()) > MUTATIONS // 10
    ), ends


# --- signatures -----------------------------------------------------------------------------------------------------------


def forged(request: RawRequest, name: str, rng: random.Random) -> RawRequest:
    """The request with its body or its signature altered, so that it is not what the channel signed."""
    if rng.random() < 0.6:
        body = request.body
        while body == request.body:
            body = altered(request.body, rng) if rng.random() < 0.5 else _altered_bytes(request.body, rng)
        return msgspec.structs.replace(request, body=body)
    header = {
        "shopify": "x-shopify-hmac-sha256",
        "ebay": "x-ebay-signature",
        "etsy": rng.choice(("webhook-signature", "webhook-id", "webhook-timestamp")),
    }[name]
    value = request.headers[header]
    match header:
        case "x-ebay-signature":
            told = json.loads(base64.b64decode(value))
            told["signature"] = base64.b64encode(_flipped(base64.b64decode(told["signature"]), rng)).decode()
            value = base64.b64encode(json.dumps(told).encode()).decode()
        case "x-shopify-hmac-sha256":
            value = base64.b64encode(_flipped(base64.b64decode(value), rng)).decode()
        case "webhook-signature":
            value = "v1," + base64.b64encode(_flipped(base64.b64decode(value.split(",")[1]), rng)).decode()
        case "webhook-timestamp":
            value = str(int(value) + rng.choice((-1, 1)) * rng.randint(1, 400))
        case _:
            value = value[:-1] + rng.choice([one for one in "abcdef0123456789" if one != value[-1]])
    return msgspec.structs.replace(request, headers={**request.headers, header: value})


def _flipped(signature: bytes, rng: random.Random) -> bytes:
    """Another signature: a bit turned, cut short, or all of it drawn."""
    match rng.randrange(3):
        case 0:
            at = rng.randrange(len(signature))
            return signature[:at] + bytes([signature[at] ^ (1 << rng.randrange(8))]) + signature[at + 1 :]
        case 1:
            return signature[: rng.randrange(len(signature))]
    return rng.randbytes(len(signature))


@pytest.mark.parametrize("name", SIGNED)
async def test_no_forged_or_altered_signature_is_accepted(name: str) -> None:
    wire, genuine = await knocked(name)
    door = wire.channel.door
    assert door.verify(genuine, wire.app_secret, wire.clock.now())
    rng = random.Random(name)
    for _ in range(-(-FORGERIES // len(SIGNED))):
        other = forged(genuine, name, rng)
        assert not door.verify(other, wire.app_secret, wire.clock.now()), other
    assert door.verify(genuine, wire.app_secret, wire.clock.now())
