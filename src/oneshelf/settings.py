"""Everything that can be set from outside, by environment variables ONESHELF_….

In: the environment. Out: one Settings, checked; the table of them for the documentation.
Never: reads a secret of a channel (those are entered at connecting, and sealed); changes while running.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from oneshelf.core.errors import Stop
from oneshelf.core.ids import ChannelName

PREFIX = "ONESHELF_"


class Settings(BaseSettings):
    """The settings of one process. Durations end in _s (seconds), sizes in _bytes."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore")

    data_dir: Path = Field(
        Path("oneshelf-data"), description="Folder for what is kept on this machine: the SQLite file and the key file."
    )
    database_url: str = Field(
        "",
        repr=False,
        description="Where the ledger is: `sqlite:///path/to/oneshelf.db` or `postgresql://user:password@host/database`. "
        "Empty: `oneshelf.db` in the data folder.",
    )
    key_file: Path | None = Field(
        None,
        description="File with the keys that credentials are sealed with. Empty: `oneshelf.key` in the data folder. Back it up.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on. `0.0.0.0` for all; put TLS in front then.")
    port: int = Field(8800, ge=0, le=65_535, description="Port to listen on; 0 lets the system choose.")
    public_url: str = Field(
        "",
        description="The https address under which the channels reach us, for webhooks and sign-in. Empty: no webhooks, polls only.",
    )
    apps_file: Path | None = Field(
        None,
        description="JSON file of your apps at the channels, `{channel: {settings, app}}`, for signing in in the browser. Keep it secret.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged.")
    log_form: Literal["auto", "json", "console"] = Field(
        "auto", description="How: JSON lines, or text for a terminal. `auto`: text if there is a terminal."
    )
    poll_shopify_s: float | None = Field(
        None, ge=1, le=86_400, description="Seconds between polls of Shopify. Empty: the connector's own interval."
    )
    poll_amazon_s: float | None = Field(
        None,
        ge=1,
        le=86_400,
        description="Seconds between order sweeps of Amazon. Empty: the connector's own interval.",
    )
    poll_ebay_s: float | None = Field(
        None, ge=1, le=86_400, description="Seconds between polls of eBay. Empty: the connector's own interval."
    )
    poll_etsy_s: float | None = Field(
        None, ge=1, le=86_400, description="Seconds between polls of Etsy. Empty: the connector's own interval."
    )
    webhook_body_bytes_max: int = Field(
        5 * 1024 * 1024,
        ge=1024,
        le=64 * 1024 * 1024,
        description="Largest webhook that is taken in, bytes; a larger one is answered 413.",
    )
    api_requests_per_minute: int = Field(
        600, ge=1, le=1_000_000, description="Requests that one API token may make a minute; more are answered 429."
    )
    webhooks_allow_private: bool = Field(
        False,
        description="Allow our own webhooks to go to private addresses and by plain http: to a receiver beside Oneshelf.",
    )
    answer_body_bytes_max: int = Field(
        64 * 1024 * 1024, ge=1024, le=1024 * 1024 * 1024, description="Largest answer of a channel that is read, bytes."
    )
    not_found_after_s: float = Field(
        60.0,
        ge=1,
        le=3600,
        description='Seconds after an unanswered import before "not found" counts and it is sent again (SEMANTICS 14.3).',
    )
    queue_wait_s: int = Field(20, ge=0, le=20, description="Seconds that one read of the message queue waits for news.")
    app_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Part of the app-wide channel budgets that this process may spend: 1 ÷ number of workers.",
    )
    smtp_host: str = Field(
        "", description="Mail server that alerts are sent through. Empty: none; alerts by e-mail wait."
    )
    smtp_port: int = Field(587, ge=1, le=65_535, description="Its port: 587 with `starttls`, 465 with `tls`.")
    smtp_tls: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the way to it is sealed. `none` only for a server on this machine."
    )
    smtp_user: str = Field("", description="User at the mail server; empty: none is asked for.")
    smtp_password: str = Field("", repr=False, description="Password at the mail server.")
    smtp_from: str = Field("", description="Sender of alerts: an address, or `Name <address>`.")
    allow_private_endpoints: bool = Field(
        False, description="Allow calls to private addresses and by plain http. Only for the emulator and demos."
    )

    @field_validator("public_url")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not value.startswith(("https://", "http://")):
            raise ValueError("an address begins with https://")
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        if value and not value.startswith(("sqlite:///", "postgresql://", "postgres://")):
            raise ValueError("a database is sqlite:///path or postgresql://user@host/database")
        return value

    @model_validator(mode="after")
    def _mail(self) -> Settings:
        if self.smtp_host and "@" not in self.smtp_from:
            raise ValueError("ONESHELF_SMTP_FROM: alerts need a sender's address")
        if self.smtp_host and self.smtp_password and self.smtp_tls == "none":
            raise ValueError("ONESHELF_SMTP_TLS: a password never goes to a mail server in the clear")
        return self

    @property
    def database(self) -> str:
        """Return the database's URL (it may hold a password: never log it)."""
        return self.database_url or f"sqlite:///{self.data_dir / 'oneshelf.db'}"

    @property
    def key_path(self) -> Path:
        """Return where the key file is."""
        return self.key_file or self.data_dir / "oneshelf.key"

    def poll_interval_s(self, channel: ChannelName, default_s: float) -> float:
        """Return the seconds between two polls of this channel: what was set, else the connector's `default_s`."""
        wanted: float | None = getattr(self, f"poll_{channel.value}_s")
        return default_s if wanted is None else wanted


def load_settings(**overrides: Any) -> Settings:
    """Read the environment; `overrides` (by field name) go first. Raises Stop naming each variable that is wrong, not its value."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        wrong = [
            (f"{PREFIX}{'.'.join(map(str, e['loc'])).upper()}: " if e["loc"] else "")
            + e["msg"].removeprefix("Value error, ")
            for e in error.errors()
        ]
        raise Stop("These settings can't be used:\n  " + "\n  ".join(wrong)) from None


def unknown_variables(environment: Mapping[str, str] | None = None) -> list[str]:
    """Return the ONESHELF_ variables that are no setting: most likely misspelt. For a warning at start."""
    environment = os.environ if environment is None else environment
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)


def settings_table() -> str:
    """Return all settings as a Markdown table: variable, kind and range, default, what it is."""
    rows = ["| variable | value | default | what |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "") else f"`{_plain(field.default)}`"
        rows.append(f"| `{PREFIX}{name.upper()}` | {_kind(name)} | {default} | {field.description} |")
    return "\n".join(rows) + "\n"


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _kind(name: str) -> str:
    """Return the kind of value and its range in words, from the field's JSON schema."""
    schema = Settings.model_json_schema()["properties"][name]
    schema = next((one for one in schema.get("anyOf", []) if one.get("type") != "null"), schema)
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true`, `false`"}
    word = "path" if schema.get("format") == "path" else words[schema["type"]]
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    if low is None:
        return word
    above = "above " if "exclusiveMinimum" in schema else ""
    return f"{word}, {above}{low:g} to {schema['maximum']:.15g}"
