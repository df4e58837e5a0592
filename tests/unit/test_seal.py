"""Secrets at rest: unreadable without the key, tied to their row, still readable after a change of keys."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.core.errors import Stop
from oneshelf.tenants.seal import KeyMissing, OtherKey, SealBroken, Sealer, new_key_file, rotate_key_file

KEY, OTHER = b"k" * 32, b"o" * 32
TOKEN = b'{"access_token":"shpat_0123456789abcdef"}'


@given(st.binary(max_size=2000), st.integers(0, 2**40), st.integers(0, 2**40))
def test_what_is_sealed_for_a_row_opens_for_that_row(text: bytes, tenant: int, account: int) -> None:
    one = Sealer(KEY)
    assert one.open(one.seal(text, tenant, account), tenant, account) == text


def test_a_sealed_value_shows_nothing_and_is_never_the_same_twice() -> None:
    one = Sealer(KEY)
    first, second = one.seal(TOKEN, 1, 2), one.seal(TOKEN, 1, 2)
    assert b"shpat" not in first
    assert first != second


@pytest.mark.parametrize("row", [(1, 3, "account"), (2, 2, "account"), (1, 2, "app"), (12, 0, "account")])
def test_a_row_that_was_moved_does_not_open(row: tuple[int, int, str]) -> None:
    one = Sealer(KEY)
    with pytest.raises(SealBroken, match="another account"):
        one.open(one.seal(TOKEN, 1, 2), *row)


def test_a_value_with_any_bit_changed_or_cut_does_not_open() -> None:
    one = Sealer(KEY)
    sealed = one.seal(b"x", 1, 2)
    for at in range(len(sealed)):
        with pytest.raises((SealBroken, OtherKey)):
            one.open(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], 1, 2)
        with pytest.raises((SealBroken, OtherKey)):
            one.open(sealed[:at], 1, 2)


def test_another_key_is_told_apart_with_what_to_do() -> None:
    with pytest.raises(OtherKey, match=r"sealed with another key .*Put the key file of this database back") as caught:
        Sealer(OTHER).open(Sealer(KEY).seal(TOKEN, 1, 2), 1, 2)
    assert isinstance(caught.value, Stop)
    assert "kkkk" not in str(caught.value)


def test_older_keys_open_and_the_newest_seals() -> None:
    old = Sealer(KEY).seal(TOKEN, 1, 2)
    both = Sealer(OTHER, KEY)
    assert both.open(old, 1, 2) == TOKEN
    assert not both.is_current(old)
    new = both.seal(TOKEN, 1, 2)
    assert both.is_current(new)
    assert Sealer(OTHER).open(new, 1, 2) == TOKEN


def test_a_new_key_file_is_for_its_owner_only_and_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "oneshelf.key"
    before = os.umask(0)
    try:
        sealed = new_key_file(path).seal(TOKEN, 1, 2)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    with pytest.raises(Stop, match="there already"):
        new_key_file(path)
    assert path.read_text() == text
    assert Sealer.from_file(path).open(sealed, 1, 2) == TOKEN
    assert [p.name for p in path.parent.iterdir()] == ["oneshelf.key"]


def test_rotating_keeps_old_values_readable(tmp_path: Path) -> None:
    path = tmp_path / "oneshelf.key"
    old = new_key_file(path).seal(TOKEN, 1, 2)
    rotated = rotate_key_file(path)
    assert rotated.open(old, 1, 2) == TOKEN
    assert not rotated.is_current(old)
    assert rotated.is_current(rotated.seal(TOKEN, 1, 2))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_text().splitlines()) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["oneshelf.key"]


def test_a_missing_key_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(KeyMissing, match="put it back from your backup"):
        Sealer.from_file(tmp_path / "gone.key")
    with pytest.raises(KeyMissing):
        rotate_key_file(tmp_path / "gone.key")


@pytest.mark.parametrize("text", ["", "\n# only words\n", "not base64!\n", "c2hvcnQ=\n", "schlüssel\n"])
def test_a_file_that_is_no_key_file_stops_without_showing_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "oneshelf.key"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Stop) as caught:
        Sealer.from_file(path)
    assert "not base64!" not in str(caught.value)
    assert not isinstance(caught.value, KeyMissing)
