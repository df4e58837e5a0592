"""The accounts of a tenant as booking sees them."""

from __future__ import annotations

import msgspec

from oneshelf.core.ids import CHANNEL_RANK, HUB, ChannelName
from oneshelf.db.tx import Tx


class Account(msgspec.Struct, frozen=True):
    """One channel account. `live_at`: orders placed before it are history or a question (S0.6); `opened_at`: the hub's T0 (S0.4)."""

    account_id: int
    channel: ChannelName
    external_id: str
    label: str
    state: str
    live_at: int | None
    opened_at: int | None
    skew_s: int

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
        "SELECT account_id, channel, external_id, label, state, live_at, opened_at, skew_s FROM account "
        "WHERE tenant_id = :t AND (state <> 'DISCONNECTED' OR :all = 1) ORDER BY account_id",
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
