"""A sign-in in the browser: from the consent address to an account that is brought up.

In: app credentials that a person entered, the channel's callback. Out: what `bring_up` takes.
Never: trades a code of a state that is not ours, or twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import partial

import msgspec

from oneshelf.channels.abilities import SignInWish, SignsIn
from oneshelf.core.errors import Park
from oneshelf.core.instants import to_us
from oneshelf.db.tx import Tx
from oneshelf.tenants import sign_ins

from .bring_up import Runner
from .connect import Entered

#: A state or verifier: 48 random bytes are 64 letters (RFC 7636 wants 43 to 128).
_RANDOM_BYTES = 48


class Begun(msgspec.Struct, frozen=True):
    """A sign-in that was begun. `url`: where the merchant says yes. `key`: how to ask what became of it."""

    url: str
    key: str
    redirect_uri: str


class SignInState(msgspec.Struct):
    """What became of a sign-in: `state` is running, done or failed. `said`: the steps so far, for people."""

    state: str
    said: list[str] = []
    problem: str = ""
    next: str = ""
    account_id: int | None = None


async def begin(
    service: Runner, sign_in: SignsIn, channel: str, settings: dict[str, str], app: dict[str, str], address: str
) -> Begun:
    """Keep the sign-in, then say where to go. `address`: where this service is reached by the merchant's browser.

    Raises Park naming what is missing of `sign_in.app_names`, or what the channel's consent address lacks.
    """
    missing = [name for name in sign_in.app_names if not app.get(name)]
    if missing:
        raise Park(f"{channel.title()} needs its app's {', '.join(missing)}.")
    pending = sign_ins.Pending(
        channel=channel,
        settings=settings,
        app=app,
        redirect_uri=f"{address}/connect/{channel}/callback",
        state=secrets.token_urlsafe(_RANDOM_BYTES),
        verifier=secrets.token_urlsafe(_RANDOM_BYTES),
    )
    url = sign_in.consent_url(_wish(pending))  # before it is kept: what is missing is said now

    def store(tx: Tx) -> str:
        return sign_ins.keep(tx, service.sealer, service.tenant_id, pending, to_us(service.clock.now()))

    return Begun(url, await service.writer.do(store), pending.redirect_uri)


async def finish(service: Runner, sign_in: SignsIn, channel: str, query: Mapping[str, str]) -> Entered:
    """Take the channel's callback and trade its code. Raises Park, Retry, NoAnswer with what to do."""
    now = service.clock.now()
    pending = await service.writer.do(
        partial(
            sign_ins.take,
            sealer=service.sealer,
            tenant_id=service.tenant_id,
            channel=channel,
            state=query.get("state", ""),
            now=to_us(now),
        )
    )
    wish = _wish(pending)
    sign_in.code(wish, query, now)
    got = await sign_in.signed_in(service.http, wish, query, now)
    return Entered(
        channel=channel,
        settings={**pending.settings, **got.settings},
        secret=dict(got.secret.values),
        app=pending.app,
        expires_at=got.secret.expires_at,
    )


def _wish(pending: sign_ins.Pending) -> SignInWish:
    return SignInWish(
        settings=pending.settings,
        app=pending.app,
        redirect_uri=pending.redirect_uri,
        state=pending.state,
        verifier=pending.verifier,
    )
