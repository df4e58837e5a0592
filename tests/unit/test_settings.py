"""Settings: read from the environment, checked with words that help, and documented as a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneshelf.core.errors import Stop
from oneshelf.core.ids import ChannelName
from oneshelf.settings import Settings, load_settings, settings_table, unknown_variables


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"ONESHELF_{name.upper()}", raising=False)


def test_without_any_setting_it_is_private_and_local() -> None:
    one = load_settings()
    assert one.host == "127.0.0.1"
    assert one.allow_private_endpoints is False
    assert one.database == "sqlite:///oneshelf-data/oneshelf.db"
    assert one.key_path == Path("oneshelf-data/oneshelf.key")
    assert one.webhook_body_bytes_max == 5_242_880
    assert (one.queue_wait_s, one.not_found_after_s) == (20, 60.0)


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONESHELF_DATA_DIR", "/srv/shelf")
    monkeypatch.setenv("ONESHELF_POLL_ETSY_S", "450")
    monkeypatch.setenv("ONESHELF_ALLOW_PRIVATE_ENDPOINTS", "true")
    monkeypatch.setenv("ONESHELF_PUBLIC_URL", "https://shelf.example/")
    one = load_settings()
    assert one.database == "sqlite:////srv/shelf/oneshelf.db"
    assert one.key_path == Path("/srv/shelf/oneshelf.key")
    assert one.poll_interval_s(ChannelName.ETSY, 60) == 450
    assert one.poll_interval_s(ChannelName.EBAY, 60) == 60
    assert one.allow_private_endpoints is True
    assert one.public_url == "https://shelf.example"


def test_an_empty_variable_is_as_if_it_were_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONESHELF_POLL_ETSY_S", "")
    monkeypatch.setenv("ONESHELF_KEY_FILE", "")
    one = load_settings()
    assert one.poll_etsy_s is None
    assert one.key_path == Path("oneshelf-data/oneshelf.key")


def test_every_channel_has_a_poll_interval() -> None:
    one = load_settings(poll_amazon_s=700.0)
    assert [one.poll_interval_s(channel, 5) for channel in ChannelName] == [5, 700, 5, 5]


def test_wrong_values_are_named_all_at_once_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONESHELF_PORT", "70000")
    monkeypatch.setenv("ONESHELF_QUEUE_WAIT_S", "many")
    monkeypatch.setenv("ONESHELF_DATABASE_URL", "mysql://root:hunter2@db")
    with pytest.raises(Stop) as caught:
        load_settings()
    message = str(caught.value)
    assert "ONESHELF_PORT: Input should be less than or equal to 65535" in message
    assert "ONESHELF_QUEUE_WAIT_S" in message
    assert "ONESHELF_DATABASE_URL: a database is sqlite:///path or postgresql://" in message
    assert "hunter2" not in message


def test_the_databases_password_is_not_in_the_settings_text() -> None:
    one = load_settings(database_url="postgresql://shelf:hunter2@db/shelf")
    assert one.database == "postgresql://shelf:hunter2@db/shelf"
    assert "hunter2" not in repr(one)
    assert "hunter2" not in str(one)


def test_a_misspelt_variable_is_found() -> None:
    around = {"ONESHELF_PROT": "1", "ONESHELF_PORT": "2", "PATH": "/bin"}
    assert unknown_variables(around) == ["ONESHELF_PROT"]


def test_each_setting_is_in_the_table_with_its_range_and_default() -> None:
    table = settings_table()
    assert table.count("\n") == len(Settings.model_fields) + 2
    for name, field in Settings.model_fields.items():
        assert f"| `ONESHELF_{name.upper()}` |" in table
        assert field.description and field.description.endswith((".", ";"))
    assert "| `ONESHELF_PORT` | whole number, 0 to 65535 | `8800` |" in table
    assert "| `ONESHELF_APP_SHARE` | number, above 0 to 1 | `1.0` |" in table
    assert "| `ONESHELF_POLL_ETSY_S` | number, 1 to 86400 |  |" in table
