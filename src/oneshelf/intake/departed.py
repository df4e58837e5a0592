"""Messages for accounts that are no longer connected: only what the law of a platform asks for is still heard.

Shopify sends `shop/redact` 48 hours after the app was uninstalled, eBay tells of a closed account to whoever has its application.

In: stored messages of a disconnected account. Out: privacy requests; what else came, parked in sight. Never: books an order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import structlog

from oneshelf.channels.contract import Channel, RawMessage
from oneshelf.core.errors import Park
from oneshelf.core.facts import AccessLost, ErasureAsked, Ignored
from oneshelf.customers import privacy
from oneshelf.db.journal import open_task
from oneshelf.db.tx import Tx
from oneshelf.tenants.accounts import AccountRow

from .handle import HANDLE_MAX, Parses, is_about_one, words

log = structlog.get_logger()

#: What says all that it has to say: a word of the law, and that we have no access (which we know).
_HEARD = (ErasureAsked, Ignored, AccessLost)


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
    """Handle the oldest new rows of disconnected accounts; returns how many rows there were.

    Nothing of them is booked, and nothing goes away unseen: what can't be read, an order, a hint are parked, with one task an account.
    """
    rows = tx.all(
        """SELECT i.seq, i.account_id, a.label, i.topic, i.headers, i.body, i.delivery_key FROM inbox i
             JOIN account a ON a.tenant_id = i.tenant_id AND a.account_id = i.account_id
            WHERE i.tenant_id = :t AND i.state = 'NEW' AND a.state = 'DISCONNECTED' ORDER BY i.seq LIMIT :limit""",
        t=tenant_id,
        limit=limit,
    )
    for seq, account_id, label, topic, headers, body, key in rows:
        message = RawMessage(topic=topic, body=bytes(body), headers=json.loads(headers), delivery_key=key)
        state, why = _take(tx, tenant_id, account_id, parsers.get(account_id), message, seq, now)
        tx.run(
            "UPDATE inbox SET state = :s, note = :n, handled_at = :now WHERE tenant_id = :t AND seq = :seq",
            s=state,
            n=words(why),
            now=now,
            t=tenant_id,
            seq=seq,
        )
        if state == "PARKED":
            what = f"Look at what came for {label} after it was disconnected"
            more = (
                f"{words(why)} (message {seq}, {topic}). Nothing was booked; connect it again to have its orders read"
            )
            open_task(tx, tenant_id, now, "departed_message", str(account_id), what, more)
    return len(rows)


def _take(
    tx: Tx, tenant_id: int, account_id: int, parser: Parses | None, message: RawMessage, seq: int, now: int
) -> tuple[str, str]:
    """Hear what is asked by law; return the row's state and note."""
    if parser is None:
        return "PARKED", "its account is no longer connected, and its key is gone"
    try:
        facts = parser.parse(message)
        with tx.savepoint():
            for fact in facts:
                if isinstance(fact, ErasureAsked):
                    privacy.ask(tx, tenant_id, account_id, fact.kind, fact.subject, seq, now, fact.order_ids)
    except Park as error:
        return "PARKED", str(error)
    except (
        Exception
    ) as error:  # our mistake, or a character that the database does not keep: this message alone waits for a person
        if not is_about_one(error):
            raise
        log.exception("departed_message_failed", topic=message.topic, seq=seq)
        return "PARKED", f"it could not be taken: {type(error).__name__}"
    if any(not isinstance(fact, _HEARD) for fact in facts):
        return "PARKED", "its account is no longer connected"
    return "DONE", "" if any(isinstance(fact, ErasureAsked) for fact in facts) else "its account is no longer connected"
