"""Messages for accounts that are no longer connected: only what the law of a platform asks for is still heard.

Shopify sends `shop/redact` 48 hours after the app was uninstalled, eBay tells of a closed account to whoever has its application.

In: stored messages of a disconnected account. Out: privacy requests. Never: books an order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from oneshelf.channels.contract import Channel, RawMessage
from oneshelf.core.errors import Park
from oneshelf.core.facts import ErasureAsked
from oneshelf.customers import privacy
from oneshelf.db.tx import Tx
from oneshelf.tenants.accounts import AccountRow

from .handle import HANDLE_MAX, Parses


class Departed:
    """An account that is no longer connected: what its platform still asks by law is heard (`intake/departed`)."""

    def __init__(self, row: AccountRow, channel: Channel, app: dict[str, str]) -> None:
        self.row = row
        self.channel = channel
        self.app = app

    @property
    def tenant_id(self) -> int:
        return self.row.tenant_id

    @property
    def account_id(self) -> int:
        return self.row.account_id

    def app_secret(self) -> Mapping[str, str]:
        return self.app


def handle_departed(tx: Tx, tenant_id: int, parsers: Mapping[int, Parses], now: int, limit: int = HANDLE_MAX) -> int:
    """Handle the oldest new rows of disconnected accounts; returns how many rows there were."""
    rows = tx.all(
        """SELECT i.seq, i.account_id, i.topic, i.headers, i.body, i.delivery_key FROM inbox i
             JOIN account a ON a.tenant_id = i.tenant_id AND a.account_id = i.account_id
            WHERE i.tenant_id = :t AND i.state = 'NEW' AND a.state = 'DISCONNECTED' ORDER BY i.seq LIMIT :limit""",
        t=tenant_id,
        limit=limit,
    )
    for seq, account_id, topic, headers, body, key in rows:
        asked = 0
        parser = parsers.get(account_id)
        if parser is not None:
            message = RawMessage(topic=topic, body=bytes(body), headers=json.loads(headers), delivery_key=key)
            try:
                facts = parser.parse(message)
            except Park:
                facts = []
            for fact in facts:
                if isinstance(fact, ErasureAsked):
                    privacy.ask(tx, tenant_id, account_id, fact.kind, fact.subject, seq, now, fact.order_ids)
                    asked += 1
        tx.run(
            "UPDATE inbox SET state = 'DONE', note = :n, handled_at = :now WHERE tenant_id = :t AND seq = :s",
            n="" if asked else "its account is no longer connected",
            now=now,
            t=tenant_id,
            s=seq,
        )
    return len(rows)
