"""Messages that could not be used: listed, tried again, or set aside by a person (SEMANTICS 4.1).

In: a person's word. Out: the rows NEW again, or DONE; their tasks closed. Never: forgets a message; books anything itself.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from oneshelf.core.errors import NotThere, Park
from oneshelf.core.instants import iso
from oneshelf.db.journal import close_task, note
from oneshelf.db.tx import Tx

#: Rows that one answer lists, the newest first.
LISTED_MAX = 500


class NotParked(Park):
    """The message can't be tried again or set aside; nothing was changed."""


class ParkedMessage(msgspec.Struct, frozen=True):
    """One message that waits for a person. `connected`: whether its account is, so that it can be tried again."""

    seq: int
    account_id: int
    account: str
    connected: bool
    topic: str
    source: str
    received_at: str | None
    why: str


def parked(tx: Tx, tenant_id: int) -> list[ParkedMessage]:
    """Return them, the newest first. What they say is not shown: it may be about a person."""
    rows = tx.all(
        """SELECT i.seq, i.account_id, COALESCE(a.label, ''), COALESCE(a.state, 'DISCONNECTED'), i.topic, i.source, i.received_at, i.note
             FROM inbox i LEFT JOIN account a ON a.tenant_id = i.tenant_id AND a.account_id = i.account_id
            WHERE i.tenant_id = :t AND i.state = 'PARKED' ORDER BY i.seq DESC LIMIT :n""",
        t=tenant_id,
        n=LISTED_MAX,
    )
    return [
        ParkedMessage(seq, account_id, label, state != "DISCONNECTED", topic, source, iso(at), why)
        for seq, account_id, label, state, topic, source, at, why in rows
    ]


def retry(tx: Tx, tenant_id: int, seqs: Collection[int], now: int, *, by: str) -> int:
    """Let these be handled again (none named: all whose account is connected); one that fails again is parked again, with its task.
    Returns how many. Raises NotParked, NotThere."""
    found = _named(tx, tenant_id, seqs)
    lost = [seq for seq, _, connected in found if not connected]
    if lost and seqs:
        raise NotParked(f"Message {lost[0]}: its account is no longer connected. Connect it again, then try again.")
    return _end(tx, tenant_id, [one for one in found if one[2]], "NEW", "A parked message is tried again", now, by)


def set_aside(tx: Tx, tenant_id: int, seqs: Collection[int], now: int, *, by: str) -> int:
    """A person has looked: nothing is to be done with these. Their tasks end, the messages stay. Returns how many. Raises NotParked, NotThere."""
    if not seqs:
        raise NotParked("Say which: oneshelf inbox set-aside SEQ. `oneshelf inbox list` shows them.")
    return _end(tx, tenant_id, _named(tx, tenant_id, seqs), "DONE", "A parked message was set aside", now, by)


def _named(tx: Tx, tenant_id: int, seqs: Collection[int]) -> list[tuple[int, int, bool]]:
    """Return (seq, account, whether it is connected) of the parked messages named, of all if none is."""
    rows = tx.all(
        """SELECT i.seq, i.account_id, COALESCE(a.state, 'DISCONNECTED') FROM inbox i
             LEFT JOIN account a ON a.tenant_id = i.tenant_id AND a.account_id = i.account_id
            WHERE i.tenant_id = :t AND i.state = 'PARKED' ORDER BY i.seq""",
        t=tenant_id,
    )
    found = [(seq, account_id, state != "DISCONNECTED") for seq, account_id, state in rows]
    missing = sorted(set(seqs) - {seq for seq, _, _ in found})
    if missing:
        raise NotThere(f"Message {missing[0]} is not parked. `oneshelf inbox list` shows those that are.")
    return [one for one in found if not seqs or one[0] in seqs]


def _end(
    tx: Tx, tenant_id: int, messages: list[tuple[int, int, bool]], state: str, what: str, now: int, by: str
) -> int:
    tx.run(
        "UPDATE inbox SET state = :s, handled_at = :at WHERE tenant_id = :t AND seq {in:seqs}",
        s=state,
        at=now if state == "DONE" else None,
        t=tenant_id,
        seqs=[seq for seq, _, _ in messages],
    )
    for seq, _, _ in messages:
        close_task(tx, tenant_id, now, "parked_message", str(seq))
        note(tx, tenant_id, now, by, what, f"message:{seq}")
    for account_id in sorted({account_id for _, account_id, _ in messages}):
        left = tx.one(
            "SELECT 1 FROM inbox WHERE tenant_id = :t AND account_id = :a AND state = 'PARKED' LIMIT 1",
            t=tenant_id,
            a=account_id,
        )
        if left is None:
            close_task(tx, tenant_id, now, "departed_message", str(account_id))
    return len(messages)
