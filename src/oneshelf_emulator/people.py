"""Buyers: seeded people with names, addresses and e-mails, who come back now and then, on any marketplace.

In: chance. Out: buyers. Never: buys.
"""

from __future__ import annotations

import random

from .world import Address, Buyer

_FIRST = ("Ada", "Ben", "Carla", "Dev", "Elif", "Femi", "Grace", "Hugo", "Ines", "Jonah", "Kira", "Liam", "Maya", "Noor",
          "Omar", "Priya", "Quinn", "Rosa", "Sven", "Tara", "Uma", "Viktor", "Wen", "Ximena", "Yusuf", "Zoë")  # fmt: skip
_LAST = ("Abbott", "Berg", "Castillo", "Dang", "Eriksen", "Flores", "Gruber", "Haddad", "Ito", "Jensen", "Kowalski",
         "Lopez", "Müller", "Nakamura", "O’Neil", "Patel", "Reyes", "Schmidt", "Tran", "Ueda", "Weiss", "Young")  # fmt: skip
_STREETS = ("Maple Street", "5th Avenue", "Oak Lane", "Harbor Road", "Sunset Boulevard", "Mill Road", "Park Place")
_CITIES = (
    ("Portland", "OR", "97205", "503"),
    ("Austin", "TX", "78701", "512"),
    ("Seattle", "WA", "98101", "206"),
    ("Chicago", "IL", "60605", "312"),
    ("Boston", "MA", "02108", "617"),
    ("Denver", "CO", "80202", "303"),
    ("Brooklyn", "NY", "11201", "718"),
    ("Oakland", "CA", "94607", "510"),
)
_ASCII = str.maketrans({"ë": "e", "ü": "u", "’": ""})


class Crowd:
    """People who shop. One person has one key, e-mail and address on every marketplace."""

    def __init__(self, rng: random.Random, *, returning_chance: float = 0.3, remembered: int = 2_000) -> None:
        self.rng = rng
        self.returning_chance = returning_chance
        self.remembered = remembered
        self._known: list[Buyer] = []
        self._count = 0

    def next(self) -> Buyer:
        """Return who comes in next: a new face, or one seen before."""
        if self._known and self.rng.random() < self.returning_chance:
            return self.rng.choice(self._known)
        buyer = self._stranger()
        if len(self._known) < self.remembered:
            self._known.append(buyer)
        else:
            self._known[self.rng.randrange(self.remembered)] = buyer
        return buyer

    def _stranger(self) -> Buyer:
        self._count += 1
        rng = self.rng
        first, last = rng.choice(_FIRST), rng.choice(_LAST)
        city, region, postal_code, area = rng.choice(_CITIES)
        name = f"{first} {last}"
        mailbox = f"{first}.{last}{self._count}".lower().translate(_ASCII)
        address = Address(
            name=name,
            line1=f"{rng.randint(1, 999)} {rng.choice(_STREETS)}",
            line2=f"Apt {rng.randint(1, 40)}" if rng.random() < 0.25 else "",
            city=city,
            region=region,
            postal_code=postal_code,
            country="US",
            phone=f"+1{area}555{self._count % 10_000:04d}" if rng.random() < 0.85 else None,
        )
        return Buyer(f"buyer-{self._count}", name, f"{mailbox}@example.com", address)
