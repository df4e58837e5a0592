"""What proves who we are at one account, as a value. In and out: that value. Never: sealed or opened here (that is tenants/seal)."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Secret(msgspec.Struct, frozen=True, omit_defaults=True):
    """What proves who we are at one account. Stored sealed; `values` by the connector's own names.

    `expires_at` is the access token's end; `version` counts renewals, so that a durable newer pair is never overwritten.
    """

    values: dict[str, str]
    expires_at: datetime | None = None
    version: int = 0
