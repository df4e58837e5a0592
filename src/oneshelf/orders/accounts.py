"""The accounts of a tenant as booking sees them."""

from __future__ import annotations

import msgspec

from oneshelf.core.ids import CHANNEL_RANK, HUB, ChannelName
from oneshelf.core.instants import SECOND
from oneshelf.db.tx import Tx


class Account(msgspec.Struct, frozen=True):
    """One channel account. `live_at`: orders placed before it are history or a question (S0.6); `opened_at`: the hub's T0 (S0.4); `ahead`:
    by how many microseconds its clock is ahead of ours, as last measured."""

    account_id: int
    channel: ChannelName
    external_id: str
    label: str
    state: str
    live_at: int | None
    opened_at: int | None
    skew_s: int
    ahead: int = 0

    def latest(self, at: int) -> int:
        """The latest instant, by its own clock, that it may have come to when ours shows `at`."""
        return at + (self.ahead + self.skew_s * SECOND if self.ahead > 0 else 0)

    @property
    def is_hub(self) -> bool:
        return self.channel is HUB

    @property
    def rank(self) -> int:
        return CHANNEL_RANK[self.channel]

    @property
    def is_live(self) -> bool:
        """PAUSED stops numbers going out, never intake, imports or holds (S8.14)."""
        return self.state in ("LIVE", "PAUSED")

    @property
    def is_connected(self) -> bool:
        return self.state != "DISCONNECTED"


def load_accounts(tx: Tx, tenant_id: int, *, disconnected: bool = False) -> dict[int, Account]:
    """Return the accounts by id. `disconnected`: those too that we no longer hear of; their orders are still on the shelf."""
    rows = tx.all(
        """SELECT a.account_id, a.channel, a.external_id, a.label, a.state, a.live_at, a.opened_at, a.skew_s, COALESCE(w.ahead, 0)
             FROM account a LEFT JOIN channel_window w ON w.tenant_id = a.tenant_id AND w.account_id = a.account_id
            WHERE a.tenant_id = :t AND (a.state <> 'DISCONNECTED' OR :all = 1) ORDER BY a.account_id""",
        t=tenant_id,
        all=int(disconnected),
    )
    return {row[0]: Account(row[0], ChannelName(row[1]), *row[2:]) for row in rows}


def external_key(account: Account, order_id: str) -> str:
    """The key under which a hub order names the marketplace order that it copies (S14.2)."""
    return f"{account.channel}:{account.external_id}:{order_id}"


def parse_external_key(key: str) -> tuple[str, str, str] | None:
    """Return (channel, account's external id, order id), or None if this is not a key of ours."""
    channel, _, rest = key.partition(":")
    account, _, order_id = rest.rpartition(":")
    if channel not in CHANNEL_RANK or not account or not order_id:
        return None
    return channel, account, order_id
