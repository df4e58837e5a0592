"""The four ends of a call that asks a channel to do something. Each needs proof (STYLE: outcome policy).

`Rejected` only when the channel said no to this very request. A timeout, a 5xx, an unreadable answer, a failed batch without
per-item results: `Unknown`. A 429: `Throttled` only where the channel promises that nothing was done.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Accepted(msgspec.Struct, frozen=True, omit_defaults=True, tag="accepted"):
    """The channel said yes. `reference` is its own id for what was made or done; `detail` what else it answered."""

    reference: str | None = None
    detail: dict[str, Any] = {}


class Rejected(msgspec.Struct, frozen=True, omit_defaults=True, tag="rejected"):
    """The channel said no to this request. `code` is its own (or a stable one of ours); `reason` its words.

    `stale`: a compare-and-set found another number; read and decide anew.
    """

    reason: str
    code: str = ""
    stale: bool = False


class Throttled(msgspec.Struct, frozen=True, omit_defaults=True, tag="throttled"):
    """Nothing was done; come back after `wait_s` seconds (None: the channel does not say)."""

    wait_s: float | None = None
    reason: str = ""


class Unknown(msgspec.Struct, frozen=True, omit_defaults=True, tag="unknown"):
    """It may or may not have been done; only a read can tell."""

    reason: str


Outcome = Accepted | Rejected | Throttled | Unknown
