"""Instants are whole microseconds in UTC (I24)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.core.instants import SECOND, from_us, iso, to_us, to_us_or_none, until_s

zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
aware = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=zones)  # noqa: DTZ001


def test_one_instant_written_out() -> None:
    assert to_us(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) == SECOND
    assert to_us(datetime(2026, 11, 23, 14, 23, 1, 250_000, tzinfo=UTC)) == 1_795_443_781_250_000
    assert iso(1_795_443_781_250_000) == "2026-11-23T14:23:01.250Z"


def test_an_instant_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        to_us(datetime(2026, 11, 23, 14, 23))  # noqa: DTZ001


def test_none_stays_none() -> None:
    assert to_us_or_none(None) is None
    assert iso(None) is None
    assert to_us_or_none(datetime(1970, 1, 1, tzinfo=UTC)) == 0


@given(aware)
def test_there_and_back_is_the_same_instant_in_utc(at: datetime) -> None:
    back = from_us(to_us(at))
    assert back == at
    assert back.utcoffset() == timedelta(0)


@given(aware, aware)
def test_integers_sort_as_the_instants_do(a: datetime, b: datetime) -> None:
    assert (to_us(a) < to_us(b)) == (a < b)


def test_an_hour_that_the_clocks_repeat_is_two_instants() -> None:
    """Daylight saving: 01:30 summer time comes an hour before 01:30 winter time (F28)."""
    summer = datetime(2026, 10, 25, 2, 30, tzinfo=timezone(timedelta(hours=2)))
    winter = datetime(2026, 10, 25, 2, 30, tzinfo=timezone(timedelta(hours=1)))
    assert to_us(winter) - to_us(summer) == 3_600 * SECOND


def test_the_wait_ends_at_the_earliest_instant_to_come() -> None:
    now = 100 * SECOND
    assert until_s([None, now - SECOND, now + 7 * SECOND, now + 3 * SECOND], now, 5.0) == 3.0
    assert until_s([now, None], now, 5.0) == until_s([], now, 5.0) == 5.0
