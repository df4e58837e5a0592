"""Takes the person out of a raw message that leaves the house, and nothing else.

In: a message, what its parser reads in it, words that are known to be a person's. Out: the same message without them; None if that can't
be known. Never: keeps anything.

What is a person's is told in two ways: by the value, because the parser or a stored order calls it a buyer, an address or a note (what
erasing erases); and by the field's name, because the four channels call such fields so. Then the parser must still read the same in it,
but for the person: a message of which that is not so is not given away.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from oneshelf.channels.contract import RawMessage
from oneshelf.core.errors import Park
from oneshelf.core.facts import ErasureAsked, Fact, OrderSeen

#: A person's word shorter than this is looked for only as the whole text of a field: shorter ones stand in other words too.
INSIDE_MIN = 8
#: Text of a field shorter than this is not looked for in a buyer's note.
NOTE_MIN = 3

#: Fields of which everything below speaks of a person, letters and digits only and small (Shopify 2026-10 webhooks and documents, Amazon
#: Orders 2026-01-01, eBay Fulfillment v1, Etsy receipts).
_ABOUT_A_PERSON = """
    customer defaultaddress shippingaddress billingaddress clientdetails destination
    recipient deliveryaddress deliverypreference extendedfields
    buyer shipto contactaddress taxaddress taxidentifier buyerregistrationaddress finaldestinationaddress primaryphone
"""
#: Fields that are a person's wherever they stand, besides every one that ends in "email"; tokens and addresses open a page that shows one.
_A_PERSONS = """
    phone phonenumber
    firstname lastname fullname buyername companyname buyercompanyname legalname
    address1 address2 addressline1 addressline2 addressline3 firstline secondline formattedaddress
    city municipality districtorcounty zip zipcode postalcode destinationpostalcode latitude longitude
    browserip useragent landingsite referringsite taxid taxregistrationnumber
    orderstatusurl token carttoken checkouttoken
    note messagefrombuyer buyercheckoutnotes giftmessage giftsender giftmessagetext giftsendername
"""
ABOUT_A_PERSON = frozenset(_ABOUT_A_PERSON.split())
A_PERSONS = frozenset(_A_PERSONS.split())
#: Below `ABOUT_A_PERSON`, and yet nobody's: countries, ids, kinds, instants, amounts.
_NOBODYS = ("country", "currency", "kind", "type", "at", "id", "date", "state", "code", "amount", "count")


def without_person(
    message: RawMessage, facts: Sequence[Fact], parse: Callable[[RawMessage], list[Fact]], known: Iterable[str] = ()
) -> bytes | None:
    """Return the message's body without the person. `facts`: what its parser reads in it; `known`: words that are told to be this
    person's (a stored order's).

    None: it is about a person and nothing else, or its parser would read something else in what is left.
    """
    if any(isinstance(fact, ErasureAsked) for fact in facts):
        return None
    needed = _texts(msgspec.to_builtins([_bare(fact) for fact in facts]))
    told = {word for fact in facts for word in _told_by(fact)} | {word for word in known if word}
    notes = "\n".join(fact.note for fact in facts if isinstance(fact, OrderSeen))
    try:
        document = json.loads(message.body)
        blank = _Blank(told - needed, notes, needed).of(document)
        body = json.dumps(blank, ensure_ascii=False, separators=(",", ":")).encode()
        read = parse(msgspec.structs.replace(message, body=body))
    except (ValueError, Park):
        return None
    return body if [_bare(fact) for fact in read] == [_bare(fact) for fact in facts] else None


def _told_by(fact: Fact) -> Iterator[str]:
    if not isinstance(fact, OrderSeen):
        return
    for part in (fact.buyer, fact.ship_to):
        yield from words_of(msgspec.to_builtins(part) if part is not None else {})


def words_of(person: dict[str, Any]) -> Iterator[str]:
    """Yield the words of one part of a stored person that name them; a country or a number that the channel gave them does not."""
    for name, value in person.items():
        if name == "country" or not isinstance(value, str):
            continue
        if name == "channel_buyer_id" and value.rsplit("/", 1)[-1].isdecimal():
            continue
        yield value


def _bare(fact: Fact) -> Fact:
    """A fact without the person: of what erasing erases nothing, of the rest everything."""
    if isinstance(fact, OrderSeen):
        return msgspec.structs.replace(fact, buyer=None, ship_to=None, note="")
    return fact


def _texts(value: Any) -> set[str]:
    match value:
        case str():
            return {value}
        case dict():
            return {text for one in value.values() for text in _texts(one)} | set(value)
        case list() | tuple():
            return {text for one in value for text in _texts(one)}
    return set()


class _Blank:
    """Empties the texts of one document that are a person's."""

    def __init__(self, told: set[str], notes: str, needed: set[str]) -> None:
        self.told = {word.strip().casefold() for word in told}
        self.inside = sorted((word for word in told if len(word) >= INSIDE_MIN), key=len, reverse=True)
        self.notes = notes
        self.needed = needed

    def of(self, value: Any, *, persons: bool = False) -> Any:
        """Return the value as it may be given away. `persons`: it stands below a field that speaks of one."""
        match value:
            case dict():
                return {name: self._field(name, one, persons) for name, one in value.items()}
            case list():
                return [self.of(one, persons=persons) for one in value]
            case str():
                return "" if persons else self._text(value)
            case float() | int() if persons and not isinstance(value, bool):
                return 0
        return value

    def _field(self, name: str, value: Any, persons: bool) -> Any:
        plain = "".join(letter for letter in name.casefold() if letter.isalnum())
        own = plain in A_PERSONS or plain.endswith("email")
        nobodys = not own and not isinstance(value, dict | list) and plain.endswith(_NOBODYS)
        return self.of(value, persons=(persons or own or plain in ABOUT_A_PERSON) and not nobodys)

    def _text(self, text: str) -> str:
        if text in self.needed:
            return text
        if text.strip().casefold() in self.told or (len(text) >= NOTE_MIN and text in self.notes):
            return ""
        for word in self.inside:
            text = text.replace(word, "")
        return text
