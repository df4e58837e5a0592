"""Listings that are on sale at a channel and out of our reach until a person brings them over.

In: what a whole reading of the catalogue told; a person's yes. Out: a task that is true, outcomes one by one.
Tables it owns: the row `unmanaged` of upkeep. Never: brings anything over by itself: there is no way back.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

from oneshelf.channels.abilities import Migrates
from oneshelf.channels.contract import Channel, Http, Unmanaged
from oneshelf.core.errors import OneshelfError, Retry
from oneshelf.core.instants import to_us
from oneshelf.core.outcome import Accepted, Outcome, Rejected, Throttled
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer

from .pinned import renew_task

TASK = "unmanaged_listings"
#: Of more than so many, only so many are kept by name: the rest is told by the next reading, when these are done.
KEPT_MAX = 20_000
#: Examples that the task names.
NAMED_MAX = 5


class Known(msgspec.Struct, frozen=True):
    """What is known: as of when (microseconds, None: never told), how many there were, and which, at most KEPT_MAX."""

    read_at: int | None
    total: int
    listings: tuple[Unmanaged, ...]


class Ended(msgspec.Struct, frozen=True):
    """What became of one listing: `outcome` accepted, rejected, throttled or unknown."""

    listing_id: str
    outcome: str
    reason: str = ""
    code: str = ""


class _Kept(msgspec.Struct):
    total: int
    listings: list[Unmanaged]


def known(tx: Tx, tenant_id: int, account_id: int) -> Known:
    """Return what the last whole reading told."""
    row = tx.one(
        "SELECT state, done_at FROM upkeep WHERE tenant_id = :t AND account_id = :a AND name = 'unmanaged'",
        t=tenant_id,
        a=account_id,
    )
    if row is None:
        return Known(None, 0, ())
    kept = msgspec.json.decode(row[0], type=_Kept)
    return Known(row[1], kept.total, tuple(kept.listings))


def keep(
    tx: Tx, tenant_id: int, account_id: int, channel: Channel, found: Sequence[Unmanaged] | None, now: int
) -> None:
    """Keep what a whole reading told, and let the task say it. None: it could not tell; what was known stays."""
    if found is not None and isinstance(channel, Migrates):
        _store(tx, tenant_id, account_id, _Kept(len(found), list(found[:KEPT_MAX])), now)
        _tell(tx, tenant_id, account_id, channel.name.title(), len(found), found, now)


def _store(tx: Tx, tenant_id: int, account_id: int, kept: _Kept, now: int) -> None:
    tx.run(
        """INSERT INTO upkeep (tenant_id, account_id, name, state, done_at) VALUES (:t, :a, 'unmanaged', :s, :now)
           ON CONFLICT (tenant_id, account_id, name) DO UPDATE SET state = excluded.state, done_at = excluded.done_at""",
        t=tenant_id,
        a=account_id,
        s=msgspec.json.encode(kept).decode(),
        now=now,
    )


def _tell(
    tx: Tx, tenant_id: int, account_id: int, channel: str, total: int, found: Sequence[Unmanaged], now: int
) -> None:
    """One task for all of them; it is opened anew when what it says is not true any more."""
    subject = str(account_id)
    names = ", ".join(one.listing_id for one in found[:NAMED_MAX])
    what = f"{total} listings on {channel} are out of reach"
    why = (
        f"They were made on {channel} itself or by another program: their numbers are not kept right and they may be sold twice "
        f"({names}{' …' if total > NAMED_MAX else ''}). See which and bring them over: oneshelf listings migrate {account_id}"
    )
    renew_task(tx, tenant_id, now, TASK, subject, what, why, wanted=total > 0)


async def bring_over(
    tenant_id: int, account_id: int, channel: Channel, http: Http, writer: Writer, clock: Clock, wanted: Sequence[str]
) -> list[Ended]:
    """Bring these listings over, a batch a call. Stops at the first batch that the channel lets wait or does not let us ask.

    One that may have been brought over stays in the list until the next reading of the catalogue tells.
    """
    assert isinstance(channel, Migrates)
    ended: list[Ended] = []
    size = channel.migration.batch
    for start in range(0, len(wanted), size):
        batch = list(wanted[start : start + size])
        outcomes = await _batch(channel, http, batch)
        ended += [_ended(listing_id, outcome) for listing_id, outcome in zip(batch, outcomes, strict=True)]
        await writer.do(
            partial(
                _brought,
                tenant_id=tenant_id,
                account_id=account_id,
                channel=channel,
                done={one.listing_id for one in ended if one.outcome == "accepted"},
                now=to_us(clock.now()),
            )
        )
        if any(isinstance(one, Throttled) or getattr(one, "code", "") == "unauthorized" for one in outcomes):
            break
    done = sum(one.outcome == "accepted" for one in ended)
    await writer.do(
        lambda tx: note(
            tx,
            tenant_id,
            to_us(clock.now()),
            "merchant",
            "Listings were brought over",
            f"account:{account_id}",
            asked=len(wanted),
            done=done,
        )
    )
    return ended


async def _batch(channel: Migrates, http: Http, batch: Sequence[str]) -> list[Outcome]:
    try:
        return await channel.migrate(http, batch)
    except Retry as later:
        return [Throttled(later.wait_s, str(later)) for _ in batch]
    except OneshelfError as bad:
        return [Rejected(str(bad), code="unauthorized") for _ in batch]


def _brought(tx: Tx, *, tenant_id: int, account_id: int, channel: Channel, done: set[str], now: int) -> None:
    before = known(tx, tenant_id, account_id)
    left = [one for one in before.listings if one.listing_id not in done]
    total = before.total - (len(before.listings) - len(left))
    _store(tx, tenant_id, account_id, _Kept(total, left), before.read_at or now)
    _tell(tx, tenant_id, account_id, channel.name.title(), total, left, now)


def _ended(listing_id: str, outcome: Outcome) -> Ended:
    reason = "" if isinstance(outcome, Accepted) else outcome.reason
    code = outcome.code if isinstance(outcome, Rejected) else ""
    return Ended(listing_id, type(outcome).__name__.lower(), reason, code)
