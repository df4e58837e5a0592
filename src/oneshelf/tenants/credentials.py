"""Where a session keeps its account's secret: opened once, stored sealed through the writer before it is used."""

from __future__ import annotations

from oneshelf.core.errors import SignInAgain
from oneshelf.core.instants import SECOND, to_us
from oneshelf.core.secret import Secret
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from .accounts import load_secret, save_secret
from .seal import Sealer

#: So long a secret is used without looking whether the account was connected again meanwhile.
HELD_S = 5.0
#: So long a process that renews is waited for: longer than a token call may take. One that died is not waited for longer.
LEASE_S = 30


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

    async def fresh(self) -> Secret:
        """Return what is stored now, whatever was used so far: another process may have renewed. Raises SignInAgain if nothing is."""
        self._held = None
        return await self.load()

    async def lease(self, version: int) -> bool:
        """Take the right to renew the secret of this version, for LEASE_S. False: somebody else renews it, or has."""
        now = to_us(self._clock.now())
        taken = await self._writer.do(
            lambda tx: tx.run(
                "UPDATE credential SET lease_until = :until WHERE tenant_id = :t AND account_id = :a AND kind = 'account' "
                "AND version = :v AND lease_until <= :now",
                until=now + LEASE_S * SECOND,
                t=self._tenant_id,
                a=self._account_id,
                v=version,
                now=now,
            )
        )
        return taken == 1

    async def give_back(self, version: int) -> None:
        """The renewal did not happen: let another one try at once."""
        await self._writer.do(
            lambda tx: tx.run(
                "UPDATE credential SET lease_until = 0 WHERE tenant_id = :t AND account_id = :a AND kind = 'account' AND version = :v",
                t=self._tenant_id,
                a=self._account_id,
                v=version,
            )
        )

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
