"""What an outlet shows, as far as we can prove it, beside what it should show. Pure.

In: a slot's row, own sales since, the offer, the account. Out: a number (or none), one of eight states, the words for it.
Never: calls a number true that nobody saw; turns "not known" into 0.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from oneshelf.core.instants import SECOND

from .accounts import AccountNow

State = Literal["true", "on_its_way", "shows_less", "shows_more", "not_known", "parked", "paused", "not_linked"]

#: A difference that waits longer than this for its turn is called by its name: shows more, shows less.
ON_ITS_WAY_S = 60

WORDS: dict[State, str] = {
    "true": "True",
    "on_its_way": "On its way",
    "shows_less": "Shows less",
    "shows_more": "Shows more",
    "not_known": "Not known",
    "parked": "Parked",
    "paused": "Paused",
    "not_linked": "Not linked",
}

#: Outlet states in which a listing sells nothing and takes no number.
CLOSED = ("ended", "draft", "gone")


class OutletNow(msgspec.Struct, frozen=True):
    """One outlet with its slot (None where it has none) and mark. Numbers are listings, instants microseconds UTC.

    `sold_surely`, `sold_perhaps`: own listings sold since `believed_at`, without and with those too near to it to tell.
    """

    outlet_id: int
    account_id: int
    external_id: str
    title: str
    outlet_state: str
    by_channel: bool
    slot_state: str | None
    believed: int | None
    believed_at: int | None
    verified: bool
    sent: int | None
    sent_at: int | None
    acked_at: int | None
    slot_since: int | None
    reason: str
    dirty_since: int | None
    parts: dict[str, int] = {}
    sold_surely: int = 0
    sold_perhaps: int = 0


class Shown(msgspec.Struct, frozen=True):
    """What an outlet shows. `quantity` None: not known. `told`: a number sent and not yet seen there. `at`: of the read behind it."""

    state: State
    word: str
    note: str = ""
    quantity: int | None = None
    told: int | None = None
    at: int | None = None
    verified: bool = False


def judge(outlet: OutletNow, should: int | None, account: AccountNow, now: int | None) -> Shown:
    """Say what the outlet shows and how that stands to what it should show. `now` None: nothing is late yet."""
    if outlet.by_channel:
        return Shown("not_linked", "Not ours", f"{account.name} ships it from its own stock")
    if outlet.outlet_state in CLOSED:
        return Shown("not_linked", "Ended", f"the listing is {outlet.outlet_state} at {account.name}")
    if not outlet.parts or should is None:
        return Shown("not_linked", WORDS["not_linked"], "no SKU is tied to it, so a sale there lowers nothing here")
    low, high = _range(outlet)
    seen: dict[str, Any] = {
        "quantity": high,
        "told": outlet.sent,
        "at": outlet.believed_at,
        "verified": outlet.verified,
    }
    silent_since = account.silent_since(now)
    if account.state == "PAUSED":
        return Shown("paused", WORDS["paused"], "orders still come in, no number goes out", **seen)
    if not account.is_on:
        return Shown("paused", "Not live", f"nothing goes out before {account.name} is live", **seen)
    if silent_since is not None:
        last = outlet.sent if outlet.sent is not None else high
        return Shown(
            "not_known", WORDS["not_known"], f"{account.name} does not answer", told=last, at=outlet.believed_at
        )
    if outlet.slot_state == "PARKED":
        return Shown("parked", WORDS["parked"], outlet.reason or "a person has to look", **seen)
    if outlet.slot_state == "UNKNOWN":
        note = "told, no answer; being read back" if outlet.sent is not None else "being read after a restart"
        return Shown("not_known", WORDS["not_known"], note, told=outlet.sent, at=outlet.believed_at)
    if outlet.sent is not None:
        note = "accepted, not seen yet" if outlet.acked_at is not None else "told, no answer yet"
        return Shown("on_its_way", WORDS["on_its_way"], note, **seen)
    return _at_rest(outlet, should, low, high, now, seen)


def _range(outlet: OutletNow) -> tuple[int | None, int | None]:
    if outlet.believed is None:
        return None, None
    return max(0, outlet.believed - outlet.sold_perhaps), max(0, outlet.believed - outlet.sold_surely)


def _at_rest(
    outlet: OutletNow, should: int, low: int | None, high: int | None, now: int | None, seen: dict[str, Any]
) -> Shown:
    """Nothing of ours is unseen there."""
    pending = outlet.dirty_since is not None or outlet.slot_state in ("WAITING", "READING", "SENDING", "APPLYING")
    if low is None or high is None:
        note = "its first read is due" if pending else "never read"
        return Shown("on_its_way" if pending else "not_known", "Being read" if pending else WORDS["not_known"], note)
    if high == should and (outlet.verified or not pending):
        if outlet.verified:
            return Shown("true", WORDS["true"], "", **seen)
        return Shown("not_known", WORDS["not_known"], "not seen since we wrote it", told=high, at=outlet.believed_at)
    since = min((at for at in (outlet.dirty_since, outlet.slot_since) if at is not None), default=None)
    late = not pending or (now is not None and since is not None and now - since > ON_ITS_WAY_S * SECOND)
    if not late or low <= should <= high:
        word = "Being read" if low <= should <= high else WORDS["on_its_way"]
        return Shown("on_its_way", word, outlet.reason or "waits for its turn", **seen)
    state: State = "shows_more" if high > should else "shows_less"
    return Shown(
        state, WORDS[state], outlet.reason or ("has waited too long" if pending else "nobody works on it"), **seen
    )


class HubLevelNow(msgspec.Struct, frozen=True):
    """The hub at one location. Pieces. `expected`: what it shows while claims are unsettled (S9.5); `in_flight`: calls are unanswered."""

    location_id: str
    should: int
    expected: int
    read: int | None
    read_at: int | None
    odd: int
    odd_since: int | None
    wanted: bool
    in_flight: bool
    claims_open: bool


def judge_hub(levels: list[HubLevelNow], account: AccountNow, now: int | None) -> Shown:
    """Say what the hub shows over these locations. Below 0 it sells nothing, as at 0: no difference."""
    read = [level for level in levels if level.read_at]
    if not read:
        return Shown("not_known", WORDS["not_known"], "never read")
    at = min(level.read_at for level in read if level.read_at is not None)
    quantity = sum(level.expected + level.odd for level in levels)
    should = sum(level.should for level in levels)
    if account.silent_since(now) is not None:
        return Shown("not_known", WORDS["not_known"], f"{account.name} does not answer", told=quantity, at=at)
    if not account.is_on:
        return Shown("paused", "Not live", f"nothing goes out before {account.name} is live", quantity=quantity, at=at)
    working = any(level.in_flight or level.wanted for level in levels)
    claims = any(level.claims_open for level in levels)
    off = [level for level in levels if level.odd]
    same = all(max(0, level.expected + level.odd) == max(0, level.should) for level in levels)
    if same:
        return Shown("true", WORDS["true"], "", quantity=quantity, at=at, verified=not off)
    if off:
        late = now is not None and now - min(level.odd_since or now for level in off) > 5 * ON_ITS_WAY_S * SECOND
        if not late:
            note = "a difference is being told apart from a sale not yet heard of"
            return Shown("on_its_way", "Being read", note, quantity=quantity, at=at)
    if working or claims:
        note = "pieces are being held for marketplace orders"
        return Shown("on_its_way", WORDS["on_its_way"], note, quantity=quantity, told=should, at=at)
    state: State = "shows_more" if quantity > should else "shows_less"
    note = "not explained by any order" if off else "it refused to hold pieces sold elsewhere"
    return Shown(state, WORDS[state], note, quantity=quantity, at=at)
