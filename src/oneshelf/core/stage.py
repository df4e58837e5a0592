"""Where a customer stands: new, active, loyal, vip, at_risk, lapsed. Pure: the same purchases and the same day give the same stage.

Time goes before merit: whoever has bought nothing for long is at risk or lapsed, however much was bought before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from .instants import SECOND
from .money import in_words

Stage = Literal["", "new", "active", "loyal", "vip", "at_risk", "lapsed"]
#: In the order in which people read them; '' is a customer of whom no purchase counts (all cancelled, none paid).
STAGES: tuple[Stage, ...] = ("new", "active", "loyal", "vip", "at_risk", "lapsed")
#: Why a customer has no stage.
NOTHING_COUNTS = "no purchase counts"
DAY_US = 86_400 * SECOND


class StageRules(msgspec.Struct, frozen=True):
    """The merchant's rules. Days and purchases are 1 or more. `vip_spend_minor`: net of refunds, in `vip_currency` alone (nothing is
    converted); None: spend makes nobody a VIP."""

    new_days: int = 30
    loyal_purchases: int = 3
    vip_purchases: int = 10
    vip_spend_minor: int | None = None
    vip_currency: str = ""
    at_risk_days: int = 180
    lapsed_days: int = 365

    def __post_init__(self) -> None:
        """Raises ValueError, with words, for rules that contradict each other."""
        for name in ("new_days", "loyal_purchases", "vip_purchases", "at_risk_days", "lapsed_days"):
            if not 1 <= getattr(self, name) <= 100_000:
                raise ValueError(f"{name.replace('_', ' ')} is {getattr(self, name)}; it must be between 1 and 100000")
        if not self.new_days <= self.at_risk_days < self.lapsed_days:
            raise ValueError(
                f"a customer is new for {self.new_days} days, at risk after {self.at_risk_days}, lapsed after {self.lapsed_days}: "
                "each must be longer than the one before"
            )
        if self.loyal_purchases > self.vip_purchases:
            raise ValueError(
                f"loyal begins at {self.loyal_purchases} purchases, VIP at {self.vip_purchases}: VIP can't begin before loyal"
            )
        if self.vip_spend_minor is not None and (self.vip_spend_minor <= 0 or not self.vip_currency):
            raise ValueError("the spend that makes a VIP is an amount above 0 with its currency")


class Bought(msgspec.Struct, frozen=True, gc=False):
    """What counts of a customer. `spend`: net minor units by currency. Instants in microseconds, None if nothing counts."""

    purchases: int
    first_at: int | None
    last_at: int | None
    spend: Mapping[str, int] = {}


class Standing(msgspec.Struct, frozen=True, gc=False):
    """A stage, why, and when time alone will change it (None: never)."""

    stage: Stage
    why: str
    due_at: int | None


def standing(rules: StageRules, bought: Bought, now: int) -> Standing:
    """Return where a customer stands at `now`.

    >>> standing(StageRules(), Bought(1, 0, 0), now=DAY_US).stage
    'new'
    >>> standing(StageRules(), Bought(4, 0, 0), now=200 * DAY_US)
    Standing(stage='at_risk', why='no purchase for 180 days', due_at=31536000000000)
    """
    if not bought.purchases or bought.last_at is None:
        return Standing("", NOTHING_COUNTS, None)
    at_risk_at = bought.last_at + rules.at_risk_days * DAY_US
    lapsed_at = bought.last_at + rules.lapsed_days * DAY_US
    if now >= lapsed_at:
        return Standing("lapsed", f"no purchase for {rules.lapsed_days} days", None)
    if now >= at_risk_at:
        return Standing("at_risk", f"no purchase for {rules.at_risk_days} days", lapsed_at)
    if bought.purchases >= rules.vip_purchases:
        return Standing("vip", f"{rules.vip_purchases} purchases or more", at_risk_at)
    if rules.vip_spend_minor is not None and bought.spend.get(rules.vip_currency, 0) >= rules.vip_spend_minor:
        return Standing("vip", f"spent {in_words(rules.vip_spend_minor, rules.vip_currency)} or more", at_risk_at)
    if bought.purchases >= rules.loyal_purchases:
        return Standing("loyal", f"{rules.loyal_purchases} purchases or more", at_risk_at)
    old_at = bought.last_at + rules.new_days * DAY_US
    if bought.purchases == 1 and now < old_at:
        return Standing("new", "the first purchase", min(old_at, at_risk_at))
    why = f"{bought.purchases} purchases" if bought.purchases > 1 else f"bought within {rules.at_risk_days} days"
    return Standing("active", why, at_risk_at)
