"""The channel accounts as a person sees them: what they are called, whether they answer.

In: account, feed. Out: one row an account, the hub first. Tables: reads account, feed. Never: calls anybody.
"""

from __future__ import annotations

import msgspec

from oneshelf.core.ids import CHANNEL_RANK, HUB, ChannelName
from oneshelf.core.instants import SECOND, iso
from oneshelf.db.tx import Tx

#: An account whose order feed fails this long has "no answer": what its outlets show may have changed unheard.
SILENT_AFTER_S = 60

NAMES: dict[str, str] = {"shopify": "Shopify", "amazon": "Amazon", "ebay": "eBay", "etsy": "Etsy"}


class AccountNow(msgspec.Struct, frozen=True):
    """One account. Instants in microseconds UTC; `skew` in microseconds."""

    account_id: int
    channel: str
    label: str
    external_id: str
    state: str
    live_at: int | None
    skew: int
    complete_through_at: int | None
    polled_at: int | None
    failing_since: int | None
    problem: str

    @property
    def is_hub(self) -> bool:
        return self.channel == HUB

    @property
    def name(self) -> str:
        """The channel as people write it."""
        return NAMES.get(self.channel, self.channel.capitalize())

    @property
    def is_on(self) -> bool:
        """Whether its numbers count: live, or paused after it was."""
        return self.state in ("LIVE", "PAUSED")

    def silent_since(self, now: int | None) -> int | None:
        """Return since when the channel has not answered, or None while it does. `now` None: any failure counts."""
        if self.failing_since is None or self.state == "PAUSED":
            return None
        if now is not None and now - self.failing_since < SILENT_AFTER_S * SECOND:
            return None
        return self.failing_since


def accounts_now(tx: Tx, tenant_id: int) -> list[AccountNow]:
    """Return the connected accounts: the hub first, then by the rank of their channels."""
    rows = tx.all(
        """SELECT a.account_id, a.channel, a.label, a.external_id, a.state, a.live_at, a.skew_s, f.complete_through_at, f.polled_at,
                  f.failing_since, f.problem
             FROM account a LEFT JOIN feed f ON f.tenant_id = a.tenant_id AND f.account_id = a.account_id AND f.name = 'orders'
            WHERE a.tenant_id = :t AND a.state <> 'DISCONNECTED'""",
        t=tenant_id,
    )
    found = [
        AccountNow(
            no, channel, label, external_id, state, live, skew_s * SECOND, through, polled, failing, problem or ""
        )
        for no, channel, label, external_id, state, live, skew_s, through, polled, failing, problem in rows
    ]
    return sorted(found, key=lambda a: (not a.is_hub, _rank(a.channel), a.account_id))


def _rank(channel: str) -> int:
    return CHANNEL_RANK.get(ChannelName(channel), 99) if channel in NAMES else 99


class AccountListed(msgspec.Struct, frozen=True):
    """One account and how well it is heard. `complete_through`: every order up to then is known (ISO 8601, UTC)."""

    account_id: int
    channel: str
    external_id: str
    label: str
    state: str
    complete_through: str | None
    problem: str


def account_list(tx: Tx, tenant_id: int, account_id: int | None = None) -> list[AccountListed]:
    """Return all accounts by number, disconnected ones too; or one."""
    rows = tx.all(
        """SELECT a.account_id, a.channel, a.external_id, a.label, a.state, f.complete_through_at, f.problem FROM account a
             LEFT JOIN feed f ON f.tenant_id = a.tenant_id AND f.account_id = a.account_id AND f.name = 'orders'
            WHERE a.tenant_id = :t AND (CAST(:a AS BIGINT) IS NULL OR a.account_id = :a) ORDER BY a.account_id""",
        t=tenant_id,
        a=account_id,
    )
    return [AccountListed(*(*row[:5], iso(row[5]), row[6] or "")) for row in rows]
