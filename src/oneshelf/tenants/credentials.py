"""Where a session keeps its account's secret: opened once, stored sealed through the writer before it is used."""

from __future__ import annotations

from oneshelf.core.errors import SignInAgain
from oneshelf.core.instants import to_us
from oneshelf.core.secret import Secret
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from .accounts import load_secret, save_secret
from .seal import Sealer

#: So long a secret is used without looking whether the account was connected again meanwhile.
HELD_S = 5.0


class StoredCredentials:
    """The CredentialStore of one account."""

    def __init__(self, writer: Writer, sealer: Sealer, clock: Clock, tenant_id: int, account_id: int) -> None:
        self._writer = writer
        self._sealer = sealer
        self._clock = clock
        self._tenant_id = tenant_id
        self._account_id = account_id
        self._held: Secret | None = None
        self._held_at = 0.0

    async def load(self) -> Secret:
        """Return what is stored, at most HELD_S ago. Raises SignInAgain if nothing is."""
        if self._held is None or self._clock.monotonic() - self._held_at > HELD_S:
            self._held_at = self._clock.monotonic()
            self._held = await self._writer.do(
                lambda tx: load_secret(tx, self._sealer, self._tenant_id, self._account_id, "account")
            )
        if self._held is None:
            raise SignInAgain(f"Account {self._account_id} has no credentials. Connect it again.")
        return self._held

    async def save(self, secret: Secret, expected_version: int) -> Secret:
        """Store durably; if another worker was faster, return its newer one."""
        now = to_us(self._clock.now())
        self._held = await self._writer.do(
            lambda tx: save_secret(
                tx, self._sealer, self._tenant_id, self._account_id, "account", secret, expected_version, now
            )
        )
        return self._held


class HeldCredentials:
    """A secret in memory only: for the first call at connecting, before the account has a row."""

    def __init__(self, secret: Secret) -> None:
        self.secret = secret

    async def load(self) -> Secret:
        return self.secret

    async def save(self, secret: Secret, expected_version: int) -> Secret:
        self.secret = secret
        return secret
