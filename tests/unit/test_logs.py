"""Log lines: planted secrets and buyers never come out, however they got in."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from oneshelf.runtime.logs import REDACTED, configure_logs, redact, redact_text

# Made up, in each channel's form; joined here so that scanners of the source find no token.
SECRETS = {
    "Shopify access token": "shpat_" + "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    "Shopify app secret": "shpss_" + "00112233445566778899aabbccddeeff",
    "Shopify refresh token": "shprt_" + "9f8e7d6c5b4a39281706f5e4d3c2b1a0",
    "Amazon access token": "Atza|" + "IwEBIJ-k_Zx0/9+qwertyuiop==",
    "Amazon refresh token": "Atzr|" + "IwEBIAAbCdEfGh",
    "Amazon client secret": "amzn1.oa2-cs.v1." + "0123456789abcdef",
    "AWS key id": "AKIA" + "ABCDEFGHIJKLMNOP",
    "eBay user token": "v^1.1#" + "i^1#r^0#p^3#I^3#f^0#t^H4sIAAAAAAAAAOVXbWwURRju",
    "eBay user token in a query": "v%5E1.1%23" + "i%5E1%23r%5E0",
    "Etsy access token": "12345678." + "jKBPLnOiYt7vpWlsny_lDKqINn4Ny_jwH89hA4IZgggyzqmV",
    "webhook secret": "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "JWT": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "bearer": "Bearer " + "anything-at-all.123",
    "basic": "Basic " + "dXNlcjpwYXNzd29yZA==",
    "e-mail": "jane.doe+shop@mail.example.org",
    "relay e-mail": "9x8y7z@marketplace.amazon.co.uk",
    "phone": "+49 (0)170 1234-567",
    "database URL": "postgresql://shelf:hunter2@db.example/shelf",
    "query": "https://host.example/cb?code=authcode-77&state=abc&shop=x",
    "form": "grant_type=refresh_token&refresh_token=rrr-999&client_secret=sss-888",
    "JSON": '{"access_token": "ttt-777", "expires_in": 3600}',
}
LEAKS = {
    "bearer": "anything-at-all", "basic": "dXNlcjpw", "database URL": "hunter2", "query": "authcode-77", "form": "rrr-999",
    "JSON": "ttt-777",
}  # fmt: skip


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    configure_logs("debug", "json", stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("what", SECRETS)
def test_a_planted_secret_never_comes_out(what: str, lines: io.StringIO) -> None:
    secret = SECRETS[what]
    leak = LEAKS.get(what, secret)
    log = structlog.get_logger("test")
    log.info(f"calling with {secret} now")
    log.info("key", note=secret, many=[{"deep": (secret,)}], raw=secret.encode(), thing=ValueError(secret))
    logging.getLogger("library").warning("got %s", secret)
    logging.getLogger("library").warning("got it", extra={"note": secret})
    try:
        raise RuntimeError(f"no: {secret}")
    except RuntimeError:
        log.exception("failed")
        logging.getLogger("library").exception("failed")
    text = lines.getvalue()
    assert leak not in text
    assert text.count(REDACTED) >= 8
    assert len(text.splitlines()) == 6
    assert "RuntimeError" in text


@pytest.mark.parametrize(
    "key",
    [
        "access_token", "Authorization", "x-api-key", "clientSecret", "password", "Set-Cookie", "email", "buyerName", "buyer_email",
        "phone", "shippingAddress", "recipient_name", "first_name", "lastName", "X-Shopify-Hmac-Sha256", "postal_code",
    ],
)  # fmt: skip
def test_values_under_private_names_never_come_out(key: str, lines: io.StringIO) -> None:
    structlog.get_logger("test").info("seen", **{key: "Planted Value"})
    structlog.get_logger("test").info("seen", order={"lines": [{key: {"a": "Planted Value"}}]})
    structlog.get_logger("test").info("seen", order={key: 4915112345678})
    text = lines.getvalue()
    assert "Planted" not in text
    assert "4915112345678" not in text


def test_what_is_needed_to_understand_a_line_stays(lines: io.StringIO) -> None:
    structlog.get_logger("oneshelf.publish").info(
        "sent",
        sku="MUG-1",
        account_id=7,
        order="114-3941689-8772232",
        quantity=3,
        wait_s=0.25,
        gid="gid://shopify/Order/123456789012",
    )
    line = json.loads(lines.getvalue())
    assert line["event"] == "sent"
    assert line["logger"] == "oneshelf.publish"
    assert line["level"] == "info"
    assert line["at"].endswith("Z")
    assert (line["sku"], line["account_id"], line["order"]) == ("MUG-1", 7, "114-3941689-8772232")
    assert (line["quantity"], line["wait_s"], line["gid"]) == (3, 0.25, "gid://shopify/Order/123456789012")


@pytest.mark.parametrize(
    "text",
    [
        "GET /orders/v0/orders?MarketplaceIds=A1PA6795UKMFR9&NextToken=x 200",
        "2026-11-23T14:23:00.123456Z took 12.345678901234 s",
        "1.2.3.4:8080 -> 10 of 20 (50.000%)",
        "error_code=17 status=404",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    if "NextToken" in text:
        assert redact_text(text).endswith(f"NextToken={REDACTED} 200")
    else:
        assert redact_text(text) == text


def test_the_console_form_is_cleaned_too() -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        configure_logs("info", "console", stream)
        try:
            raise ValueError(SECRETS["Shopify access token"])
        except ValueError:
            structlog.get_logger("t").exception("failed", buyer="Jane", note=SECRETS["e-mail"])
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        structlog.reset_defaults()
    assert "failed" in stream.getvalue()
    assert "ValueError" in stream.getvalue()
    for leak in ("shpat_", "Jane", "jane.doe"):
        assert leak not in stream.getvalue()


def test_the_level_is_kept(lines: io.StringIO) -> None:
    configure_logs("warning", "json", lines)
    structlog.get_logger("t").info("quiet")
    logging.getLogger("t").info("quiet")
    structlog.get_logger("t").warning("loud")
    assert [json.loads(line)["event"] for line in lines.getvalue().splitlines()] == ["loud"]


def test_nothing_is_too_deep_or_too_long_to_clean() -> None:
    deep: object = "shpat_0123456789abcdef"
    for _ in range(100_000):
        deep = [deep]
    assert "shpat" not in str(redact(deep))
    assert len(redact_text("a" * 1_000_000)) < 25_000
