"""What proves who we are at one account, as a value. In and out: that value. Never: sealed or opened here (that is tenants/seal)."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

#: An access token is replaced so long before its end, seconds: a call that begins with it is to arrive with it.
RENEW_BEFORE_S = 60.0
#: One that lives less than ten minutes is replaced in its last tenth: with a whole minute, one of a minute would be replaced at each call.
RENEW_BEFORE_SHARE = 0.1


class Secret(msgspec.Struct, frozen=True, omit_defaults=True):
    """What proves who we are at one account. Stored sealed; `values` by the connector's own names.

    `expires_at` is the access token's end (None: it has none, or the channel did not say), `lives_s` how many seconds it had when it
    was given; `version` counts renewals, so that a durable newer pair is never overwritten.
    """

    values: dict[str, str]
    expires_at: datetime | None = None
    version: int = 0
    lives_s: float | None = None

    def renewed(self, values: dict[str, str], lives_s: float | None, now: datetime) -> Secret:
        """Return the secret with the new tokens in `values`, one version on. `lives_s`: seconds from `now`; None: no end is known."""
        if lives_s is None:
            return Secret(values, None, self.version + 1)
        lives_s = max(0.0, lives_s)
        return Secret(values, now + timedelta(seconds=lives_s), self.version + 1, lives_s)

    def ends_soon(self, now: datetime) -> bool:
        """Return True in the access token's last minute, or last tenth if that is shorter. False without a known end."""
        if self.expires_at is None:
            return False
        before_s = RENEW_BEFORE_S
        if self.lives_s is not None:
            before_s = min(before_s, self.lives_s * RENEW_BEFORE_SHARE)
        return self.expires_at - now <= timedelta(seconds=before_s)
