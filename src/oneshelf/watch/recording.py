"""A recording of the inbox: what came, as it came but without persons, and as much of the shelf as it takes to read it somewhere else.

In: the tables. Out: lines for a file, one JSON object each; the lines of a file. Never: a secret, a level, a word that it knows to be a
person's (customers/blanking); changes anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from oneshelf.channels.contract import RawMessage
from oneshelf.core.errors import Park
from oneshelf.core.facts import Fact, OrderHint, OrderSeen
from oneshelf.core.instants import from_us
from oneshelf.customers.blanking import without_person, words_of
from oneshelf.db.tx import Tx
from oneshelf.intake.handle import Parses

#: What the lines mean; a reader of another number refuses the file.
FORM = 1
#: Messages that are read at a time.
PAGE = 500


class Line(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind"):
    """One line of a recording."""


class Began(Line, frozen=True, tag="recording"):
    """The first line. `since`: messages received before it were not asked for; microseconds UTC, as all instants here."""

    form: int
    recorded_at: int
    since: int = 0


class AccountLine(Line, frozen=True, tag="account"):
    """A channel account. `settings` are the connector's plain strings: they name the account and hold no
    secret; an e-mail address among them stays here."""

    account_id: int
    channel: str
    external_id: str
    label: str
    currency: str
    connected_at: int
    settings: dict[str, str] = {}
    live_at: int | None = None
    opened_at: int | None = None


class LocationLine(Line, frozen=True, tag="location"):
    location_id: str
    name: str
    priority: int
    in_scope: bool = True


class ItemLine(Line, frozen=True, tag="item"):
    sku: str
    title: str = ""
    variant_id: str = ""
    item_id: str = ""
    product_id: str = ""


class ListingLine(Line, frozen=True, tag="listing"):
    """A listing, the names under which order lines name it, and the SKUs that it is tied to."""

    account_id: int
    external_id: str
    write_unit: str
    sku: str = ""
    title: str = ""
    fulfilled_by_channel: bool = False
    names: tuple[str, ...] = ()
    parts: dict[str, int] = {}


class MessageLine(Line, frozen=True, tag="message"):
    """One message. `body` as it came, as text, without the person."""

    account_id: int
    topic: str
    delivery_key: str
    source: str
    received_at: int
    body: str
    headers: dict[str, str] = {}


class Ended(Line, frozen=True, tag="end"):
    """The last line: what there was and was not given away, and where the shelf stood. `committed`: pieces by SKU that orders are owed."""

    messages: int
    erased: int = 0
    about_persons: int = 0
    unreadable: int = 0
    orders: int = 0
    committed: dict[str, int] = {}

    @property
    def left_out(self) -> int:
        return self.erased + self.about_persons + self.unreadable


AnyLine = Began | AccountLine | LocationLine | ItemLine | ListingLine | MessageLine | Ended
_decoder = msgspec.json.Decoder(AnyLine)


class NoRecording(Park):
    """The file is no recording that can be read here."""


def encode(line: AnyLine) -> bytes:
    """Return a line as it stands in the file."""
    return msgspec.json.encode(line) + b"\n"


def decode(lines: Iterable[bytes]) -> Iterator[AnyLine]:
    """Read the lines of a file. Raises NoRecording with the line that is wrong."""
    number = 0
    for number, raw in enumerate(lines, 1):
        try:
            line = _decoder.decode(raw)
        except msgspec.MsgspecError as error:
            raise NoRecording(f"Line {number} is no line of a recording: {error}") from error
        if (number == 1) != isinstance(line, Began):
            raise NoRecording("A recording begins with one line of the kind “recording”, and has no second one.")
        if isinstance(line, Began) and line.form != FORM:
            raise NoRecording(f"The recording has form {line.form}; this version reads form {FORM}.")
        yield line
    if not number:
        raise NoRecording("The file is empty.")


def record(tx: Tx, tenant_id: int, parsers: Mapping[int, Parses], now: int, *, since: int = 0) -> Iterator[AnyLine]:
    """Yield a recording of what came at `since` or later and has been handled or parked, in order of arrival.

    Left out, and counted: bodies that retention or an erasure emptied; messages about a person and nothing else; messages that can't be
    read here (of an account whose connector is not in `parsers`, too): of these nobody knows what is a person's.
    """
    yield Began(FORM, now, since)
    yield from _shelf(tx, tenant_id)
    counts = {"messages": 0, "erased": 0, "about_persons": 0, "unreadable": 0}
    after = 0
    while True:
        rows = tx.all(
            "SELECT seq, account_id, topic, delivery_key, source, headers, body, received_at FROM inbox "
            "WHERE tenant_id = :t AND seq > :after AND state <> 'NEW' AND received_at >= :since ORDER BY seq LIMIT :n",
            t=tenant_id,
            after=after,
            since=since,
            n=PAGE,
        )
        for row in rows:
            after = row[0]
            line = _message(tx, tenant_id, parsers, row[1:])
            if isinstance(line, MessageLine):
                counts["messages"] += 1
                yield line
            else:
                counts[line] += 1
        if len(rows) < PAGE:
            break
    yield Ended(**counts, orders=_orders(tx, tenant_id), committed=_committed(tx, tenant_id))


def _message(tx: Tx, tenant_id: int, parsers: Mapping[int, Parses], row: Sequence[object]) -> MessageLine | str:
    """One row as a line; or why it is left out."""
    account_id, topic, key, source, headers, body, received_at = row
    assert isinstance(account_id, int) and isinstance(received_at, int) and isinstance(body, bytes | memoryview)
    assert isinstance(topic, str) and isinstance(key, str) and isinstance(source, str) and isinstance(headers, str)
    message = RawMessage(topic, bytes(body), json.loads(headers), key, from_us(received_at))
    if message.body.startswith(b'{"erased":'):
        return "erased"
    parser = parsers.get(account_id)
    if parser is None:
        return "unreadable"
    try:
        facts = parser.parse(message)
    except Exception:  # whatever it was: what can't be read is not given away
        return "unreadable"
    left = without_person(message, facts, parser.parse, _known(tx, tenant_id, account_id, facts))
    if left is None:
        return "about_persons"
    return MessageLine(account_id, topic, key, source, received_at, left.decode(), message.headers)


def _known(tx: Tx, tenant_id: int, account_id: int, facts: Sequence[Fact]) -> set[str]:
    """Words that name the buyers of the orders that a message speaks of, as they are stored."""
    rows = tx.all(
        "SELECT person FROM orders WHERE tenant_id = :t AND account_id = :a AND order_id {in:ids} AND person <> '{}'",
        t=tenant_id,
        a=account_id,
        ids=sorted({fact.order_id for fact in facts if isinstance(fact, OrderSeen | OrderHint)}),
    )
    people = [json.loads(person) for (person,) in rows]
    return {word for one in people for part in ("buyer", "ship_to") for word in words_of(one.get(part) or {})}


def _shelf(tx: Tx, tenant_id: int) -> Iterator[AnyLine]:
    """Accounts, locations, items and listings, as they are now."""
    for row in tx.all(
        "SELECT account_id, channel, external_id, label, currency, connected_at, settings, live_at, opened_at FROM account "
        "WHERE tenant_id = :t ORDER BY account_id",
        t=tenant_id,
    ):
        settings = {name: value for name, value in json.loads(row[6]).items() if "email" not in name}
        yield AccountLine(*(*row[:6], settings, *row[7:]))
    for row in tx.all(
        "SELECT location_id, name, priority, in_scope FROM location WHERE tenant_id = :t ORDER BY location_id",
        t=tenant_id,
    ):
        yield LocationLine(row[0], row[1], row[2], bool(row[3]))
    for row in tx.all(
        "SELECT sku, title, variant_id, item_id, product_id FROM item WHERE tenant_id = :t AND deleted = 0 ORDER BY sku",
        t=tenant_id,
    ):
        yield ItemLine(*row)
    names = _by_outlet(tx, tenant_id, "SELECT outlet_id, listing_key, 0 FROM listing_key WHERE tenant_id = :t")
    parts = _by_outlet(tx, tenant_id, "SELECT outlet_id, sku, units FROM link WHERE tenant_id = :t")
    for row in tx.all(
        "SELECT outlet_id, account_id, external_id, write_unit, sku_text, title, fulfilled_by_channel FROM outlet "
        "WHERE tenant_id = :t ORDER BY outlet_id",
        t=tenant_id,
    ):
        mine = tuple(sorted(names.get(row[0], {})))
        yield ListingLine(*(*row[1:6], bool(row[6]), mine, parts.get(row[0], {})))


def _by_outlet(tx: Tx, tenant_id: int, sql: str) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    for outlet_id, name, units in tx.all(sql, t=tenant_id):
        found.setdefault(outlet_id, {})[name] = units
    return found


def _orders(tx: Tx, tenant_id: int) -> int:
    row = tx.one("SELECT COUNT(*) FROM orders WHERE tenant_id = :t", t=tenant_id)
    return int(row[0]) if row else 0


def _committed(tx: Tx, tenant_id: int) -> dict[str, int]:
    rows = tx.all(
        "SELECT sku, SUM(committed) FROM stock_level WHERE tenant_id = :t GROUP BY sku HAVING SUM(committed) <> 0 ORDER BY sku",
        t=tenant_id,
    )
    return {sku: int(pieces) for sku, pieces in rows}
