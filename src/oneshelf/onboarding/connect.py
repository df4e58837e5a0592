"""Asks a channel whom the credentials belong to, and stores the account with its secrets sealed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from oneshelf.channels.contract import AccountSeen, Channel, Http, Secret
from oneshelf.channels.session import Session
from oneshelf.core.instants import to_us
from oneshelf.db.journal import close_task, note
from oneshelf.db.tx import Tx
from oneshelf.publish.limiter import Limiter
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer
from oneshelf.tenants.accounts import add_account, ensure_tenant, save_secret
from oneshelf.tenants.credentials import HeldCredentials
from oneshelf.tenants.seal import Sealer


class Entered(msgspec.Struct, frozen=True):
    """What a person entered to connect an account. `settings`: plain; `secret`: the account's own; `app`: webhook and app secrets."""

    channel: str
    settings: dict[str, str]
    secret: dict[str, str]
    app: dict[str, str]
    #: When the access token in `secret` ends, where that is known.
    expires_at: datetime | None = None


async def introduce(
    entered: Entered,
    *,
    tenant_id: int,
    build: Callable[[str, Mapping[str, str]], Channel],
    http: Http,
    writer: Writer,
    sealer: Sealer,
    clock: Clock,
) -> tuple[int, AccountSeen]:
    """1. Ask the channel who this is.  2. Store account and secrets in one transaction.  Returns (account id, who).

    Raises SignInAgain when the channel refuses the credentials, AccountTaken when another tenant has the account.
    """
    channel = build(entered.channel, entered.settings)
    held = HeldCredentials(Secret(values=dict(entered.secret), expires_at=entered.expires_at))
    session = Session(http, channel.auth, held, Limiter(channel.limits, clock), clock, budget_seen=channel.budget_seen)
    who = await channel.who(session)

    def store(tx: Tx) -> int:
        now = to_us(clock.now())
        ensure_tenant(tx, tenant_id, "My shop", now)
        account_id = add_account(
            tx,
            tenant_id,
            channel=entered.channel,
            external_id=who.external_id,
            label=who.label,
            settings=entered.settings,
            currency=who.currency,
            now=now,
        )
        save_secret(tx, sealer, tenant_id, account_id, "account", held.secret, None, now)
        save_secret(tx, sealer, tenant_id, account_id, "app", Secret(values=dict(entered.app)), None, now)
        close_task(tx, tenant_id, now, "connect_again", str(account_id))
        note(tx, tenant_id, now, "merchant", f"{entered.channel.title()} was connected", f"account:{account_id}")
        return account_id

    return await writer.do(store), who
