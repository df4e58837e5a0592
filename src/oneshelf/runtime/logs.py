"""Log lines that may be shown to anybody: no secrets, no buyers (I21).

In: events of our code (structlog) and of libraries (logging). Out: JSON lines, or coloured text on a terminal.
Never: writes a token, key, e-mail address, phone number, or a value under a personal name; a traceback's text is cleaned too.

Cleaning is the last net. Code still logs ids and counts, never documents.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO

import structlog

REDACTED = "[redacted]"
#: How deep nested values are looked into; deeper ones are replaced.
DEPTH_MAX = 8
#: The longest text of one value; the rest is cut, so that cleaning stays quick.
TEXT_MAX = 20_000

#: A value is replaced when its key contains one of these (case, "-" and "_" don't matter).
PERSONAL_OR_SECRET = (
    "token", "secret", "password", "passwd", "authorization", "cookie", "signature", "hmac", "apikey", "credential",
    "privatekey", "sealed", "email", "phone", "address", "buyer", "customername", "firstname", "lastname", "fullname",
    "recipient", "shipto", "postalcode", "zipcode", "street", "birthday", "taxid", "vatnumber",
)  # fmt: skip

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # Shopify: shpat_ shpca_ shpss_ shprt_ …
    (re.compile(r"\bshp[a-z]{1,4}_[A-Za-z0-9_-]{8,}"), REDACTED),
    # Amazon: access and refresh tokens, client secrets; AWS key ids
    (re.compile(r"\bAtz[a-z]\|[^\s\"'&,;]+"), REDACTED),
    (re.compile(r"\bamzn1\.(?:oa2-cs|application-oa2-client)\.[A-Za-z0-9._-]+"), REDACTED),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), REDACTED),
    # eBay: user and application tokens, also in percent-encoding; refresh tokens begin alike
    (re.compile(r"\bv(?:\^|%5[Ee])1\.1(?:#|%23)[^\s\"',;]+"), REDACTED),
    # Etsy: user id, a dot, the token; webhook secrets
    (re.compile(r"\b\d{4,}\.[A-Za-z0-9_-]{24,}"), REDACTED),
    (re.compile(r"\bwhsec_[A-Za-z0-9+/=_-]+"), REDACTED),
    # anybody's
    (re.compile(r"\b(Bearer|Basic|bearer|basic|BEARER|BASIC)\s+[^\s\"',;]+"), r"\1 " + REDACTED),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"), REDACTED),
    (re.compile(r"(://)[^\s/@:]*:[^\s/@]*@"), r"\1" + REDACTED + "@"),
    (
        re.compile(
            r"(?i)([?&\s\"'{,]|^)([\w.-]*(?:token|secret|password|signature|hmac|api[_-]?key|credential)[\w.-]*|code|state)"
            r"(=|\"\s*:\s*\"|'\s*:\s*')[^\s&\"',;}]+"
        ),
        r"\1\2\3" + REDACTED,
    ),
    (re.compile(r"[A-Za-z0-9._%+'-]{1,64}(?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"), REDACTED),
    (re.compile(r"(?<![\w.])\+\d[\d ()/.-]{6,18}\d(?![\w.])"), REDACTED),
)


def redact_text(text: str) -> str:
    """Return the text with everything replaced that looks like a secret, an e-mail address or an international phone number."""
    if len(text) > TEXT_MAX:
        text = text[:TEXT_MAX] + "… (cut)"
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def redact(value: Any, depth: int = 0) -> Any:
    """Return the value cleaned, by key and by pattern; what is neither text, number, nor a collection becomes text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth > DEPTH_MAX:
        return REDACTED
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return redact_text(bytes(value).decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return {redact_text(str(k)): REDACTED if _is_private(k, v) else redact(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(one, depth + 1) for one in value]
    return redact_text(str(value) if isinstance(value, BaseException) else repr(value))


def _is_private(key: object, value: object) -> bool:
    if value is None or isinstance(value, bool):
        return False
    plain = re.sub(r"[^a-z]", "", str(key).lower())
    return any(word in plain for word in PERSONAL_OR_SECRET)


def redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor."""
    for key in list(event):
        if not key.startswith("_"):  # structlog's own: _record, _from_structlog
            event[key] = REDACTED if _is_private(key, event[key]) else redact(event[key])
    return event


def configure_logs(
    level: str = "info", form: Literal["json", "console", "auto"] = "auto", stream: TextIO | None = None
) -> None:
    """Send all log lines, ours and the libraries', through the cleaning to `stream` (default: standard error).

    `form` auto: console on a terminal, else JSON lines with `at` (ISO 8601, UTC), `level`, `logger`, `event`. Safe to call again.
    """
    stream = stream or sys.stderr
    if form == "auto":
        form = "console" if stream.isatty() else "json"
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
        structlog.stdlib.ExtraAdder(),
    ]
    last: Any = structlog.processors.JSONRenderer(sort_keys=False, ensure_ascii=False)
    if form == "console":
        last = structlog.dev.ConsoleRenderer(colors=stream.isatty(), timestamp_key="at")
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                # the traceback becomes text first, so that it is cleaned like everything else
                structlog.processors.format_exc_info,
                redact_event,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                last,
            ],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.access", "uvicorn.error"):  # they bring handlers of their own
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    # one line a request is what the metrics are for; a migration says what it did when it fails
    for name in ("aiohttp.access", "alembic", "botocore", "boto3", "urllib3", "asyncio"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
