"""Keys to the API: made once, shown once, kept as a hash, taken back.

In: a name and scopes. Out: the token's text, once; later who a text belongs to. Tables it owns: api_token.
Never: keeps a token so that a reader of the database could use it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable

import msgspec

from oneshelf.core.errors import NotThere, Park
from oneshelf.core.instants import SECOND, iso
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx, next_values

#: What a token may open. `AREA:write` opens `AREA:read` too.
AREAS = (
    "customers",
    "accounts",
    "inbox",
    "listings",
    "orders",
    "prices",
    "privacy",
    "rules",
    "status",
    "stock",
    "tasks",
    "webhooks",
)
SCOPES = tuple(f"{area}:{word}" for area in AREAS for word in ("read", "write"))
#: Areas about persons: no word for several opens them but `all`.
PERSONAL = ("customers:", "privacy:")
#: Several scopes in one word. `read` leaves out personal data, which is asked for by name.
GROUPS: dict[str, tuple[str, ...]] = {
    "read": tuple(scope for scope in SCOPES if scope.endswith(":read") and not scope.startswith(PERSONAL)),
    "all": SCOPES,
}
NAME_MAX = 100
#: Tokens that are not revoked, of one tenant.
TOKENS_MAX = 1_000
#: How exactly "last used" is known.
USED_WITHIN_US = 3_600 * SECOND
_BYTES = 32
_TEXT = re.compile(r"oneshelf_([1-9][0-9]{0,17})_([A-Za-z0-9_-]{43})")


class TokenRefused(Park):
    """The token can't be made as it was asked for."""


class Caller(msgspec.Struct, frozen=True):
    """Who calls the API. `scopes`: all that the token opens, reads of its writes among them."""

    tenant_id: int
    token_no: int
    name: str
    scopes: frozenset[str]
    used_at: int | None

    @property
    def actor(self) -> str:
        """Return how the journal names it."""
        return f"api:{self.name}"


class Token(msgspec.Struct, frozen=True):
    """A token without its secret. `last_used_at` to the hour; instants as ISO 8601, UTC."""

    token: int
    name: str
    scopes: list[str]
    created_at: str
    last_used_at: str | None
    revoked_at: str | None


class NewToken(msgspec.Struct, frozen=True):
    """A new token. `secret` is its text for `Authorization: Bearer`, shown this once."""

    token: int
    name: str
    scopes: list[str]
    secret: str


def in_short(scopes: Iterable[str]) -> str:
    """Return scopes in words, a group by its name."""
    have = set(scopes)
    name = next((name for name in ("all", "read") if have == set(GROUPS[name])), None)
    return name or ", ".join(sorted(have))


def create(tx: Tx, tenant_id: int, name: str, scopes: Iterable[str], now: int, *, by: str) -> NewToken:
    """Make a token. Raises TokenRefused on a name that is taken or none, and on scopes that nobody knows."""
    name = name.strip()
    if not 0 < len(name) <= NAME_MAX or not name.isprintable():
        raise TokenRefused(f"A token's name has 1 to {NAME_MAX} printable characters; it says who uses it.")
    wanted = sorted({scope for word in scopes for scope in GROUPS.get(word, (word,))})
    if strange := [scope for scope in wanted if scope not in SCOPES]:
        raise TokenRefused(f"There is no scope {strange[0]!r}. Choose of: {', '.join([*GROUPS, *SCOPES])}.")
    if not wanted:
        raise TokenRefused(f"Name at least one scope: {', '.join([*GROUPS, *SCOPES])}.")
    live = {one.name for one in tokens(tx, tenant_id) if one.revoked_at is None}
    if name in live:
        raise TokenRefused(f"There is a token {name!r} already. Revoke it first, or choose another name.")
    if len(live) >= TOKENS_MAX:
        raise TokenRefused(f"There are {TOKENS_MAX} tokens already. Revoke those that nobody uses.")
    token_no = next_values(tx, tenant_id, "api_token")[0]
    secret = secrets.token_urlsafe(_BYTES)
    tx.run(
        """INSERT INTO api_token (tenant_id, token_no, name, scopes, secret_hash, created_at)
           VALUES (:t, :no, :name, :scopes, :hash, :now)""",
        t=tenant_id,
        no=token_no,
        name=name,
        scopes=json.dumps(wanted),
        hash=_hash(secret),
        now=now,
    )
    note(tx, tenant_id, now, by, "An API token was made", f"token:{token_no}", name=name, scopes=wanted)
    return NewToken(token_no, name, wanted, f"oneshelf_{token_no}_{secret}")


def revoke(tx: Tx, tenant_id: int, token_no: int, now: int, *, by: str) -> None:
    """Take a token back, for good. Raises NotThere."""
    changed = tx.run(
        "UPDATE api_token SET revoked_at = :now WHERE tenant_id = :t AND token_no = :no AND revoked_at IS NULL",
        now=now,
        t=tenant_id,
        no=token_no,
    )
    if changed != 1:
        raise NotThere(f"There is no token {token_no} that opens anything. `oneshelf tokens list` shows them.")
    note(tx, tenant_id, now, by, "An API token was revoked", f"token:{token_no}")


def tokens(tx: Tx, tenant_id: int) -> list[Token]:
    """Return all tokens, the newest first, revoked ones too."""
    rows = tx.all(
        "SELECT token_no, name, scopes, created_at, used_at, revoked_at FROM api_token WHERE tenant_id = :t ORDER BY token_no DESC",
        t=tenant_id,
    )
    return [
        Token(token_no, name, json.loads(scopes), iso(made) or "", iso(used), iso(revoked))
        for token_no, name, scopes, made, used, revoked in rows
    ]


def caller_of(tx: Tx, tenant_id: int, text: str) -> Caller | None:
    """Return whose token this text is, or None. Compared in constant time; the number before it is no secret."""
    parts = _TEXT.fullmatch(text)
    if parts is None:
        return None
    row = tx.one(
        "SELECT token_no, name, scopes, secret_hash, used_at FROM api_token "
        "WHERE tenant_id = :t AND token_no = :no AND revoked_at IS NULL",
        t=tenant_id,
        no=int(parts[1]),
    )
    if row is None or not hmac.compare_digest(_hash(parts[2]), row[3]):
        return None
    scopes = set(json.loads(row[2]))
    opened = scopes | {f"{scope.removesuffix(':write')}:read" for scope in scopes if scope.endswith(":write")}
    return Caller(tenant_id, row[0], row[1], frozenset(opened), row[4])


def note_used(tx: Tx, tenant_id: int, token_no: int, now: int) -> None:
    """Keep that a token was used, to the hour."""
    tx.run(
        "UPDATE api_token SET used_at = :hour WHERE tenant_id = :t AND token_no = :no",
        hour=now - now % USED_WITHIN_US,
        t=tenant_id,
        no=token_no,
    )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
