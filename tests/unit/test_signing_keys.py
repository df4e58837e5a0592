"""Keys that webhooks name: asked for rarely, whoever names them; kept while they are good, dropped when they are not."""

from __future__ import annotations

import asyncio

from oneshelf.core.errors import Park, Retry, SignInAgain
from oneshelf.intake.signing_keys import ASKS_A_MINUTE, IDS_MAX, SigningKeys
from oneshelf.runtime.clock import ManualClock


class Ebay:
    """Answers in turn: a key, or an error."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self) -> str:
        self.asked += 1
        await asyncio.sleep(0)
        answer = self.answers[min(self.asked, len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_a_key_is_kept_for_an_hour_and_then_asked_for_again() -> None:
    clock, channel = ManualClock(), Ebay("old", "new")
    keys = SigningKeys(clock)
    assert [await keys.get("k", channel) for _ in range(3)] == ["old"] * 3
    clock.advance(3599)
    assert (await keys.get("k", channel), channel.asked) == ("old", 1)
    clock.advance(1)
    assert (await keys.get("k", channel), channel.asked) == ("new", 2)


async def test_many_who_name_one_key_ask_once() -> None:
    channel = Ebay("key")
    keys = SigningKeys(ManualClock())
    assert await asyncio.gather(*(keys.get("k", channel) for _ in range(50))) == ["key"] * 50
    assert channel.asked == 1


async def test_who_goes_away_takes_the_answer_from_nobody() -> None:
    channel = Ebay("key")
    keys = SigningKeys(ManualClock())
    first, second = asyncio.ensure_future(keys.get("k", channel)), asyncio.ensure_future(keys.get("k", channel))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second, channel.asked) == ("key", 1)


async def test_an_old_key_serves_while_the_channel_does_not_answer() -> None:
    clock = ManualClock()
    keys = SigningKeys(clock)
    channel = Ebay("key", Retry("503"), SignInAgain("401"), "new")
    assert await keys.get("k", channel) == "key"
    clock.advance(3600)
    assert [await keys.get("k", channel) for _ in range(20)] == ["key"] * 20
    assert channel.asked == 2
    clock.advance(60)
    assert (await keys.get("k", channel), channel.asked) == ("key", 3)
    clock.advance(60)
    assert (await keys.get("k", channel), channel.asked) == ("new", 4)


async def test_a_key_that_the_channel_withdrew_is_dropped() -> None:
    clock = ManualClock()
    keys = SigningKeys(clock)
    channel = Ebay("key", Park("195001"))
    assert await keys.get("k", channel) == "key"
    clock.advance(3600)
    assert await keys.get("k", channel) is None
    clock.advance(599)
    assert (await keys.get("k", channel), channel.asked) == (None, 2)


async def test_unknown_ids_cost_five_questions_a_minute_and_known_ones_go_on() -> None:
    clock = ManualClock()
    keys = SigningKeys(clock)
    good, bad = Ebay("key"), Ebay(Park("195001"))
    assert await keys.get("good", good) == "key"
    for number in range(200):
        assert await keys.get(f"forged-{number}", bad) is None
    assert bad.asked == ASKS_A_MINUTE - 1  # the good one was the first question of this minute
    assert await keys.get("good", good) == "key"
    clock.advance(60)
    assert await keys.get("late", Ebay("late")) == "late"


async def test_an_unknown_id_is_not_asked_for_again_for_ten_minutes() -> None:
    clock = ManualClock()
    keys = SigningKeys(clock)
    channel = Ebay(Park("195001"), "key")
    for _ in range(9):
        assert await keys.get("k", channel) is None
        clock.advance(66)
    assert channel.asked == 1
    clock.advance(6)
    assert (await keys.get("k", channel), channel.asked) == ("key", 2)


async def test_what_is_remembered_is_bounded() -> None:
    clock = ManualClock()
    keys = SigningKeys(clock)
    for number in range(IDS_MAX + 50):
        clock.advance(60)
        await keys.get(f"forged-{number}", Ebay(Park("195001")))
    assert len(keys._unknown) == IDS_MAX
