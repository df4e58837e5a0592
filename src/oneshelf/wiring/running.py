"""One connected account: its connector, what it may spend, its bells and its loops' tasks.

In: what the service opened for it. Out: the same, by name. Never: starts a loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from oneshelf.channels import amazon
from oneshelf.channels.contract import Channel, RawMessage
from oneshelf.channels.session import Session
from oneshelf.core.errors import OneshelfError
from oneshelf.publish.limiter import Limiter
from oneshelf.runtime.bell import Bell
from oneshelf.tenants.accounts import AccountRow


class Running:
    """One connected account and its loops."""

    def __init__(
        self, row: AccountRow, channel: Channel, session: Session, limiter: Limiter, app: dict[str, str]
    ) -> None:
        self.row = row
        self.channel = channel
        self.session = session
        self.limiter = limiter
        self.app = app
        self.poke_poll = Bell()
        self.poke_fetch = Bell()
        self.bell = Bell()
        self.catalogue_bell = Bell()
        self.reading_catalogue = asyncio.Lock()
        self.ship_bell = Bell()
        self.tasks: list[asyncio.Task[Any]] = []
        #: Calls to the channel that are in the tenant's usage already.
        self.calls_metered = 0

    @property
    def calls(self) -> int:
        """Calls to the channel since the start, of whatever kind."""
        return sum(one.calls for one in self.session.calls.values())

    @property
    def tenant_id(self) -> int:
        return self.row.tenant_id

    @property
    def account_id(self) -> int:
        return self.row.account_id

    def is_notified(self, callback_url: str | None) -> bool:
        """Whether its news comes by itself: webhooks that reach us, or a queue."""
        if isinstance(self.channel, amazon.Amazon):
            return bool(self.channel.account.queue.url)
        return self.channel.can.has_webhooks and callback_url is not None

    def app_secret(self) -> Mapping[str, str]:
        return self.app

    def wants(self, body: bytes) -> bool:
        assert isinstance(self.channel, amazon.Amazon)
        try:
            return self.channel.claims(amazon.claim(body))
        except OneshelfError:
            return False

    def names_nobody(self, body: bytes) -> bool:
        try:
            return amazon.claim(body).seller_id is None
        except OneshelfError:
            return True

    def message(self, body: bytes, message_id: str) -> RawMessage:
        return amazon.queue_message(body, message_id)
