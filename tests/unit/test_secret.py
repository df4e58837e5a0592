"""When an access token is replaced: in its last minute, or the last tenth of a short life (core/secret)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from oneshelf.core.secret import Secret

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("lives_s", "kept_until_s", "replaced_from_s"),
    [
        (3600.0, 3539, 3540),  # an hour, as Etsy and Amazon give it: a minute before
        (600.0, 539, 540),
        (60.0, 53, 54),  # a whole minute before would be at once, and at each call after
        (1.0, 0.8, 0.9),
        (0.0, None, 0),
        (-5.0, None, 0),
    ],
)
def test_a_token_is_replaced_in_its_last_minute_or_its_last_tenth(
    lives_s: float, kept_until_s: float | None, replaced_from_s: float
) -> None:
    secret = Secret({"refresh_token": "r"}).renewed({"access_token": "a", "refresh_token": "r"}, lives_s, NOW)
    if kept_until_s is not None:
        assert not secret.ends_soon(NOW + timedelta(seconds=kept_until_s))
    assert secret.ends_soon(NOW + timedelta(seconds=replaced_from_s))


def test_a_token_without_a_known_end_does_not_end_and_a_renewal_counts() -> None:
    first = Secret({"access_token": "a"}, NOW, version=4)
    second = first.renewed({"access_token": "b"}, None, NOW)
    assert (second.values, second.expires_at, second.version) == ({"access_token": "b"}, None, 5)
    assert not second.ends_soon(NOW + timedelta(days=1000))


def test_one_that_was_stored_without_its_life_is_replaced_a_minute_before_its_end() -> None:
    stored = Secret({"access_token": "a"}, NOW + timedelta(seconds=90))
    assert not stored.ends_soon(NOW + timedelta(seconds=29))
    assert stored.ends_soon(NOW + timedelta(seconds=30))
