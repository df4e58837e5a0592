"""Where integrators hear what happened: endpoints, their kinds and secrets.

In: a merchant's word. Out: rows; a secret, once. Tables it owns: webhook_endpoint.
Never: shows a secret twice; names an address that can't be called.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
from yarl import URL

from oneshelf.core.errors import NotThere, Park
from oneshelf.core.instants import SECOND, iso
from oneshelf.core.standard_webhook import secret_of
from oneshelf.db import events
from oneshelf.db.journal import close_task, note
from oneshelf.db.tx import Tx, next_values
from oneshelf.runtime.transport import is_public
from oneshelf.tenants.seal import Sealer

#: Endpoints of one tenant.
ENDPOINTS_MAX = 20
URL_MAX = 2_000
#: So long messages are signed with the older secret too, after a new one was made.
OVERLAP_US = 24 * 3_600 * SECOND
_SECRET_BYTES = 32
_SEAL = "webhook"


class EndpointRefused(Park):
    """The endpoint can't be kept as it was asked for."""


class Endpoint(msgspec.Struct, frozen=True):
    """One endpoint. `kinds` empty: every kind. `state`: ACTIVE, or DISABLED and `why`. `failures`: tries since the last one that was
    taken; `waiting`: deliveries that are still to be taken. Instants as ISO 8601, UTC."""

    endpoint: int
    url: str
    kinds: list[str]
    about: str
    state: str
    why: str
    failures: int
    failing_since: str | None
    waiting: int
    created_at: str


class NewSecret(msgspec.Struct, frozen=True):
    """A secret that messages are signed with (Standard Webhooks, `whsec_…`), shown this once."""

    endpoint: int
    secret: str


class Secrets(msgspec.Struct):
    """The secrets of one endpoint, the newest first; the older one signs beside it until `older_until` (microseconds)."""

    newest: str
    older: str = ""
    older_until: int = 0

    def at(self, now: int) -> list[str]:
        """Return those that sign at a moment."""
        return [self.newest, self.older] if self.older and now < self.older_until else [self.newest]


def checked_url(url: str, *, allow_private: bool) -> str:
    """Return an address that may be called. Raises EndpointRefused. What its name leads to is looked at when it is called."""
    try:
        parts = URL(url, encoded=True)
        host = parts.host or ""
    except ValueError:
        raise EndpointRefused("This is no address. Give one like https://erp.example.com/oneshelf.") from None
    if (
        len(url) > URL_MAX
        or not host
        or parts.scheme not in ("https", "http")
        or not url.isascii()
        or not url.isprintable()
    ):
        raise EndpointRefused("This is no address. Give one like https://erp.example.com/oneshelf.")
    if parts.user is not None or parts.password is not None or parts.fragment:
        raise EndpointRefused("An address holds no user name, password or fragment; the signature says who sends.")
    if allow_private:
        return url
    if parts.scheme != "https":
        raise EndpointRefused(
            "The address begins with https://. For a receiver beside Oneshelf: ONESHELF_WEBHOOKS_ALLOW_PRIVATE."
        )
    if host == "localhost" or host.endswith(".localhost") or _is_private(host):
        raise EndpointRefused(
            f"{host} is a private address. For a receiver beside Oneshelf: ONESHELF_WEBHOOKS_ALLOW_PRIVATE."
        )
    return url


def _is_private(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False  # a name
    return not is_public(host)


def _checked_kinds(kinds: Sequence[str]) -> list[str]:
    if strange := [kind for kind in kinds if kind not in events.KINDS]:
        raise EndpointRefused(f"There is no kind {strange[0]!r}. Choose of: {', '.join(events.KINDS)}.")
    return sorted(set(kinds))


def create(
    tx: Tx,
    sealer: Sealer,
    tenant_id: int,
    url: str,
    kinds: Sequence[str],
    about: str,
    now: int,
    *,
    by: str,
    allow_private: bool,
) -> NewSecret:
    """Keep an endpoint; it hears what happens from now on. Raises EndpointRefused."""
    url, wanted = checked_url(url, allow_private=allow_private), _checked_kinds(kinds)
    count = tx.one("SELECT COUNT(*) FROM webhook_endpoint WHERE tenant_id = :t", t=tenant_id)
    assert count is not None
    if count[0] >= ENDPOINTS_MAX:
        raise EndpointRefused(f"There are {ENDPOINTS_MAX} endpoints already. Remove one that nobody needs.")
    number = next_values(tx, tenant_id, "webhook_endpoint")[0]
    counted = tx.one("SELECT value FROM counter WHERE tenant_id = :t AND name = 'event'", t=tenant_id)
    made = Secrets(secret_of(secrets.token_bytes(_SECRET_BYTES)))
    tx.run(
        """INSERT INTO webhook_endpoint (tenant_id, endpoint_no, url, kinds, about, sealed, next_event, created_at)
           VALUES (:t, :no, :url, :kinds, :about, :sealed, :next, :now)""",
        t=tenant_id,
        no=number,
        url=url,
        kinds=json.dumps(wanted),
        about=about,
        sealed=_seal(sealer, tenant_id, number, made),
        next=(counted[0] if counted else 0) + 1,
        now=now,
    )
    note(tx, tenant_id, now, by, "A webhook endpoint was made", f"webhook:{number}", kinds=wanted)
    return NewSecret(number, made.newest)


def change(
    tx: Tx,
    tenant_id: int,
    endpoint: int,
    now: int,
    *,
    by: str,
    allow_private: bool,
    url: str | None = None,
    kinds: Sequence[str] | None = None,
    about: str | None = None,
) -> None:
    """Change what is named of an endpoint. Raises EndpointRefused, NotThere."""
    _known(tx, tenant_id, endpoint)
    changes: dict[str, Any] = {}
    if url is not None:
        changes["url"] = checked_url(url, allow_private=allow_private)
    if kinds is not None:
        changes["kinds"] = json.dumps(_checked_kinds(kinds))
    if about is not None:
        changes["about"] = about
    for name, value in changes.items():
        tx.run(
            f"UPDATE webhook_endpoint SET {name} = :v WHERE tenant_id = :t AND endpoint_no = :no",
            v=value,
            t=tenant_id,
            no=endpoint,
        )
    note(tx, tenant_id, now, by, "A webhook endpoint was changed", f"webhook:{endpoint}", changed=sorted(changes))


def rotate(tx: Tx, sealer: Sealer, tenant_id: int, endpoint: int, now: int, *, by: str) -> NewSecret:
    """Make a new secret; for a day messages carry a signature of each. Raises NotThere."""
    before = secrets_of(tx, sealer, tenant_id, endpoint)
    made = Secrets(secret_of(secrets.token_bytes(_SECRET_BYTES)), before.newest, now + OVERLAP_US)
    tx.run(
        "UPDATE webhook_endpoint SET sealed = :s WHERE tenant_id = :t AND endpoint_no = :no",
        s=_seal(sealer, tenant_id, endpoint, made),
        t=tenant_id,
        no=endpoint,
    )
    note(tx, tenant_id, now, by, "A webhook endpoint has a new secret", f"webhook:{endpoint}")
    return NewSecret(endpoint, made.newest)


def enable(tx: Tx, tenant_id: int, endpoint: int, now: int, *, by: str) -> None:
    """Send to it again, what it missed first. Raises NotThere."""
    _known(tx, tenant_id, endpoint)
    tx.run(
        """UPDATE webhook_endpoint SET state = 'ACTIVE', why = '', failures = 0, failing_since = NULL, rest_until = 0
            WHERE tenant_id = :t AND endpoint_no = :no""",
        t=tenant_id,
        no=endpoint,
    )
    close_task(tx, tenant_id, now, "webhook_disabled", str(endpoint))
    note(tx, tenant_id, now, by, "A webhook endpoint was enabled", f"webhook:{endpoint}")


def disable(tx: Tx, tenant_id: int, endpoint: int, why: str, now: int, *, by: str) -> None:
    """Send nothing to it until it is enabled. What happens meanwhile is kept for it for 30 days. Raises NotThere."""
    _known(tx, tenant_id, endpoint)
    tx.run(
        "UPDATE webhook_endpoint SET state = 'DISABLED', why = :w WHERE tenant_id = :t AND endpoint_no = :no",
        w=why,
        t=tenant_id,
        no=endpoint,
    )
    note(tx, tenant_id, now, by, "A webhook endpoint was disabled", f"webhook:{endpoint}", why=why)


def remove(tx: Tx, tenant_id: int, endpoint: int, now: int, *, by: str) -> None:
    """Forget an endpoint and what it still waits for. Raises NotThere."""
    _known(tx, tenant_id, endpoint)
    for name in ("webhook_delivery", "webhook_endpoint"):
        tx.run(f"DELETE FROM {name} WHERE tenant_id = :t AND endpoint_no = :no", t=tenant_id, no=endpoint)
    close_task(tx, tenant_id, now, "webhook_disabled", str(endpoint))
    note(tx, tenant_id, now, by, "A webhook endpoint was removed", f"webhook:{endpoint}")


def endpoints(tx: Tx, tenant_id: int, endpoint: int = 0) -> list[Endpoint]:
    """Return all endpoints, or one."""
    rows = tx.all(
        """SELECT e.endpoint_no, e.url, e.kinds, e.about, e.state, e.why, e.failures, e.failing_since, e.created_at,
                  (SELECT COUNT(*) FROM webhook_delivery d WHERE d.tenant_id = e.tenant_id AND d.endpoint_no = e.endpoint_no
                      AND d.state = 'WAITING')
             FROM webhook_endpoint e WHERE e.tenant_id = :t AND (:one = 0 OR e.endpoint_no = :one) ORDER BY e.endpoint_no""",
        t=tenant_id,
        one=endpoint,
    )
    return [
        Endpoint(no, url, json.loads(kinds), about, state, why, failures, iso(since), waiting, iso(made) or "")
        for no, url, kinds, about, state, why, failures, since, made, waiting in rows
    ]


def secrets_of(tx: Tx, sealer: Sealer, tenant_id: int, endpoint: int) -> Secrets:
    """Return the opened secrets. Raises NotThere, and what `Sealer.open` raises."""
    row = tx.one(
        "SELECT sealed FROM webhook_endpoint WHERE tenant_id = :t AND endpoint_no = :no", t=tenant_id, no=endpoint
    )
    if row is None:
        raise _missing(endpoint)
    return msgspec.json.decode(sealer.open(bytes(row[0]), tenant_id, endpoint, _SEAL), type=Secrets)


def _seal(sealer: Sealer, tenant_id: int, endpoint: int, made: Secrets) -> bytes:
    return sealer.seal(msgspec.json.encode(made), tenant_id, endpoint, _SEAL)


def _known(tx: Tx, tenant_id: int, endpoint: int) -> None:
    if (
        tx.one("SELECT 1 FROM webhook_endpoint WHERE tenant_id = :t AND endpoint_no = :no", t=tenant_id, no=endpoint)
        is None
    ):
        raise _missing(endpoint)


def _missing(endpoint: int) -> NotThere:
    return NotThere(f"There is no webhook endpoint {endpoint}. `oneshelf webhooks list` shows them.")
