"""By what a person is known again, and who an order's buyer is (SEMANTICS 11.1 to 11.3). Pure.

A sign is a fingerprint, never the address or number itself: what is compared for years must not be what is read. Fingerprints are made
with the tenant's number, so that no sign of one tenant is found at another (I20).

    buyer:CHANNEL  the channel's own id of the buyer            rule a
    relay:CHANNEL  the channel's forwarding address of the buyer  rule a: it names a buyer of that channel, and nobody elsewhere
    email          a real address                               rule b
    phone          a number in E.164                            rule c
    home           full name and postal code                    no rule: only a reason to ask a person
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Literal

import msgspec
import phonenumbers

from .facts import Address, BuyerSeen
from .relay import is_relay, real_email, relay_of, without_tag

Rule = Literal["a", "b", "c", "d"]
_NO_LETTER = re.compile(r"[^\w\s-]|_")
#: Words behind a family name that are none.
_AFTER_NAMES = frozenset(("jr", "sr", "ii", "iii", "iv"))
#: A phone or a home that more people than this share says nothing: a parcel shop, an office, a placeholder.
SHARED_MAX = 5


class Person(msgspec.Struct, frozen=True, gc=False):
    """The person of an order, as `orders.person` keeps it."""

    buyer: BuyerSeen | None = None
    ship_to: Address | None = None


class Sign(msgspec.Struct, frozen=True, gc=False):
    """One thing that names a person. `key`: kind, channel if it is one's, and fingerprint. `family`: of a phone, the fingerprint of the
    family name that it was told with ('' if none was)."""

    kind: str
    key: str
    family: str = ""


class Signs(msgspec.Struct, frozen=True, gc=False):
    """All signs of one order's buyer, in the order in which they decide. `named`: a name was told, so there is somebody."""

    all: tuple[Sign, ...]
    named: bool

    @property
    def somebody(self) -> bool:
        return self.named or bool(self.all)

    def of(self, *kinds: str) -> list[Sign]:
        return [sign for sign in self.all if sign.kind in kinds]


def fingerprint(tenant_id: int, text: str) -> str:
    """Return 24 hexadecimal digits that stand for a text, at this tenant only."""
    digest = _keyed(tenant_id).copy()  # half the time of making one with its key
    digest.update(text.encode())
    return digest.hexdigest()


@lru_cache(maxsize=64)
def _keyed(tenant_id: int) -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=12, key=f"oneshelf:{tenant_id}".encode())


def signs_of(tenant_id: int, channel: str, person: Person) -> Signs:
    """Return by what the buyer is known.

    The phone is the buyer's own; the parcel's only where the parcel goes to the buyer (no other family name): a present's phone is
    somebody else's.
    """
    buyer, ship_to = person.buyer or BuyerSeen(), person.ship_to or Address()
    found: list[Sign] = []

    def add(kind: str, value: str, family: str = "", *, of: str = "") -> None:
        found.append(Sign(kind, f"{kind}:{of}{fingerprint(tenant_id, value)}", family))

    if buyer.channel_buyer_id and (buyer_id := buyer.channel_buyer_id.strip()):
        add("buyer", buyer_id.casefold(), of=f"{channel}:")
    if buyer.email and (buyer.email_is_relay or is_relay(buyer.email)) and "@" in buyer.email:
        # A channel that calls any address its own (eBay) is believed; only one of its own domain names the buyer.
        if (relay := relay_of(buyer.email)) is not None and relay.channel == channel:
            add("relay", without_tag(buyer.email) if relay.tagged else buyer.email.strip().lower(), of=f"{channel}:")
    elif (email := real_email(buyer.email)) is not None:
        add("email", email)
    name = buyer.name or ship_to.name
    whose, phone = _phone(buyer, ship_to)
    if phone is not None:
        family = family_name(whose)
        add("phone", phone, fingerprint(tenant_id, family) if family else "")
    home = home_of(name, ship_to)
    if home is not None:
        add("home", home)
    return Signs(tuple(found), bool(words(name)))


def _phone(buyer: BuyerSeen, ship_to: Address) -> tuple[str | None, str | None]:
    if buyer.phone:
        return buyer.name or ship_to.name, e164(buyer.phone, ship_to.country)
    if ship_to.phone and (buyer.name is None or family_name(buyer.name) == family_name(ship_to.name)):
        return ship_to.name, e164(ship_to.phone, ship_to.country)
    return None, None


@lru_cache(maxsize=8192)
def e164(phone: str, country: str | None) -> str | None:
    """Return a phone number in E.164; without a + in front it is one of `country` (ISO 3166 alpha-2). None: no valid number, or one with an
    extension (marketplaces forward calls of many buyers through one number and tell them apart by it).

    >>> e164("(212) 555-0123", "US"), e164("+49 30 901820", None), e164("+1 212 555 0123 ext. 4711", "US"), e164("0000000000", "US")
    ('+12125550123', '+4930901820', None, None)
    """
    try:
        number = phonenumbers.parse(phone, (country or "").upper() or None)
    except phonenumbers.NumberParseException:
        return None
    if number.extension or not phonenumbers.is_valid_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


@lru_cache(maxsize=2048)
def words(name: str | None) -> tuple[str, ...]:
    """Return a name's words in small letters without accents and signs, first names first ("Doe, Jane" is turned round).

    >>> words("Doe-Smith, José Jr."), words("  ")
    (('jose', 'doe-smith'), ())
    """
    text = name or ""
    if not text.isascii():
        text = "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))
    family, comma, first = text.partition(",")
    found = _NO_LETTER.sub("", f"{first} {family}" if comma else text).casefold().split()
    return tuple(word for word in found if word.strip("-") and word not in _AFTER_NAMES)


def family_name(name: str | None) -> str:
    """Return the family name as it is compared: the last word, or all that stands before a comma. '' without one.

    >>> family_name("Jane Doe"), family_name("DOE, Jane"), family_name("Ludwig van Beethoven"), family_name("Jane")
    ('doe', 'doe', 'beethoven', '')
    """
    found = words(name)
    return found[-1] if len(found) > 1 else ""


def home_of(name: str | None, address: Address) -> str | None:
    """Return full name and postal code as one text; None without either."""
    found = words(name)
    code = "".join(sign for sign in (address.postal_code or "").upper() if sign.isalnum())
    if len(found) < 2 or not code:
        return None
    return f"{' '.join(sorted(found))}|{(address.country or '').upper()}|{code}"


# --- whose order is it ---------------------------------------------------------------------------------------------------


class Holder(msgspec.Struct, frozen=True, gc=False):
    """A profile that has a sign. `root_no`: the profile that it is part of, itself if it was not merged. `family`: as in Sign."""

    customer_no: int
    root_no: int
    in_hub: bool
    family: str = ""


class Rival(msgspec.Struct, frozen=True, gc=False):
    """Another person whom a sign points to, and by which kind of sign; `agrees`: a phone told with the same family name."""

    customer_no: int
    root_no: int
    kind: str
    agrees: bool = False


class Match(msgspec.Struct, frozen=True, gc=False):
    """Whose the order is: the profile's number, None for a new one (rule d), and the sign that decided."""

    customer_no: int | None
    rule: Rule
    by: Sign | None


def match(signs: Signs, holders: Mapping[str, Sequence[Holder]], emails: Mapping[int, frozenset[str]]) -> Match:
    """Decide in the order of S11.1, the first hit wins. `holders`: by sign key. `emails`: the e-mail signs of each root that has a phone.

    >>> jane = Holder(7, 7, in_hub=True, family="doe")
    >>> match(Signs((Sign("phone", "phone:1", "doe"),), True), {"phone:1": [jane]}, {}).rule
    'c'
    >>> match(Signs((Sign("phone", "phone:1", "roe"),), True), {"phone:1": [jane]}, {}).rule
    'd'
    """
    rule: Rule = "d"
    hit: Holder | None = None
    by: Sign | None = None
    for sign in signs.all:
        known = holders.get(sign.key)
        if not known:
            continue
        if sign.kind == "phone":
            hit, rule = _by_phone(sign, known, signs, emails), "c"
        elif sign.kind != "home":
            hit, rule = min(known, key=_number), "b" if sign.kind == "email" else "a"
        if hit is not None:
            by = sign
            break
    if hit is None:
        rule = "d"
    return Match(None if hit is None else hit.customer_no, rule, by)


def _number(holder: Holder) -> int:
    return holder.customer_no


def _by_phone(
    sign: Sign, holders: Sequence[Holder], signs: Signs, emails: Mapping[int, frozenset[str]]
) -> Holder | None:
    """S11.1 c: exactly one hub customer has the number and the family name agrees. A real e-mail that is not his says that it is somebody
    else in the same house (FAILURES FC-J07)."""
    in_hub = [holder for holder in holders if holder.in_hub]
    if (
        len({holder.root_no for holder in in_hub}) != 1
        or len({h.root_no for h in holders}) > SHARED_MAX
        or not sign.family
    ):
        return None
    theirs = emails.get(in_hub[0].root_no, frozenset())
    if theirs and any(mail.key not in theirs for mail in signs.of("email")):
        return None
    return min((holder for holder in in_hub if holder.family == sign.family), key=_number, default=None)


def rivals(signs: Signs, holders: Mapping[str, Sequence[Holder]], root_no: int | None) -> Iterable[Rival]:
    """Who else a person may be, whose profile is (part of) `root_no`. A sign that many share says nothing."""
    for sign in signs.all:
        known = holders.get(sign.key, ())
        others = {h.root_no: h for h in known if h.root_no != root_no} if known else None
        if not others or len(others) > SHARED_MAX:
            continue
        for other in others.values():
            agrees = sign.kind == "phone" and bool(sign.family) and sign.family == other.family
            yield Rival(other.customer_no, other.root_no, sign.kind, agrees)


def how_sure(found: Iterable[Rival]) -> str:
    """In words, how sure it is that two profiles are one person.

    >>> how_sure([Rival(1, 1, "phone"), Rival(1, 1, "home")])
    'very likely'
    >>> how_sure([Rival(1, 1, "phone")])
    'possible'
    """
    kinds = {rival.kind for rival in found}
    if {"phone", "home"} <= kinds:
        return "very likely"
    return "possible" if kinds == {"phone"} and not any(rival.agrees for rival in found) else "likely"
