"""Commands about orders: a merchant's word on a short line, and what an account leaves to us."""

from __future__ import annotations

from functools import partial
from typing import Any

from oneshelf.core.errors import NotThere
from oneshelf.core.instants import to_us
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.orders import decisions, pins, relink, short
from oneshelf.shipping.telling import WHOLE_ORDERS
from oneshelf.tenants.accounts import change_setting
from oneshelf.wiring import Service

from .one_step import NotTaken

_WORDS = ("wait", "backorder", "cancel")
#: What `orders leave` may set, by its own name: account setting, what it takes.
_LEFT_TO_US = {
    "short": (short.MODE_SHORT, ("ask", "auto")),
    "removed": (short.MODE_REMOVED, ("ask", "auto")),
    "whole_orders": (WHOLE_ORDERS, ("first", "all")),
}


#: What an order from before an account went live may be, by the command's word (S0.6).
_ANSWERS: dict[str, relink.Answer] = {"new": "new", "off-count": "off_count"}


async def run_decide(service: Service, payload: dict[str, Any]) -> Any:
    """Take a merchant's word on a short line."""
    word = payload["word"]
    if word not in _WORDS:
        raise NotTaken(f"{word!r} is no decision. Say one of {', '.join(_WORDS)}.")
    step = partial(
        decisions.decide_line,
        tenant_id=service.tenant_id,
        order_id=payload["order"],
        line_id=payload.get("line") or "",
        word=word,
        channels=service.cancel_channels(),
        now=to_us(service.clock.now()),
        by=service.by,
        account_id=int(payload.get("account_id") or 0),
    )
    said = await service.writer.do(step)
    service.wake_all()
    return {"order": payload["order"], "line": payload.get("line") or "", "word": word, "said": said}


async def run_answer(service: Service, payload: dict[str, Any]) -> Any:
    """Say what an order from before its account went live is: new (as any order), or off the count already."""
    name, word = str(payload["order"]), str(payload["word"])
    said = _ANSWERS.get(word)
    if said is None:
        raise NotTaken(f"{word!r} is no answer. Say new or off-count.")
    account_id = int(payload.get("account_id") or 0)
    now = to_us(service.clock.now())

    def step(tx: Tx) -> tuple[str, int]:
        rows = tx.all(
            "SELECT order_no, order_id, account_id FROM orders WHERE tenant_id = :t AND standing = 'ask' "
            "AND (order_id = :n OR number = :n) AND (account_id = :a OR :a = 0) ORDER BY account_id",
            t=service.tenant_id,
            n=name,
            a=account_id,
        )
        if not rows:
            raise NotThere(f"No order {name} waits for an answer. `oneshelf orders` shows what was bought.")
        if len(rows) > 1:
            accounts = ", ".join(str(row[2]) for row in rows)
            raise NotTaken(f"Several accounts have an order {name}. Say whose: --account with one of {accounts}.")
        order_no, order_id, whose = rows[0]
        relink.answer(tx, service.tenant_id, order_no, said, now, by=service.by)
        return order_id, whose

    order_id, whose = await service.writer.do(step)
    service.wake_all()
    return {"order": order_id, "account_id": whose, "word": word}


async def run_pin(service: Service, payload: dict[str, Any]) -> Any:
    """Pin a line (1), give it up (-1), or take either back (0)."""
    order, line = payload["order"], payload.get("line") or ""
    said_words: dict[int, pins.Pin] = {1: 1, 0: 0, -1: -1}
    word = said_words.get(payload["word"])
    if word is None:
        raise NotTaken(f"{payload['word']} is no pin. Say 1, 0 or -1.")
    step = partial(
        pins.pin_line,
        tenant_id=service.tenant_id,
        order_name=order,
        line_id=line,
        word=word,
        now=to_us(service.clock.now()),
        by=service.by,
        account_id=int(payload.get("account_id") or 0),
    )
    try:
        said = await service.writer.do(step)
    except ValueError as error:
        raise NotTaken(f"It was not taken: {error.args[0]}.") from error
    except LookupError as error:
        raise NotThere(f"It was not taken: {error.args[0]}.") from error
    service.wake_all()
    return {"order": order, "line": line, "word": word, "said": said}


async def run_leave(service: Service, payload: dict[str, Any]) -> Any:
    """Say what one account leaves to us; what is not named stays."""
    account_id = int(payload["account_id"])
    if account_id not in service.running:
        raise NotThere(f"Account {account_id} is not connected. `oneshelf channels list` shows the accounts.")
    changes: dict[str, str] = {}
    for name, (setting, takes) in _LEFT_TO_US.items():
        value = payload.get(name)
        if value is None:
            continue
        if value not in takes:
            raise NotTaken(f"{name.replace('_', '-')} takes {' or '.join(takes)}, not {value!r}.")
        changes[setting] = value
    if payload.get("value_max_minor") is not None:
        if int(payload["value_max_minor"]) < 0:
            raise NotTaken("The value limit is 0 or more, in the smallest unit of the order's currency (cents).")
        changes[short.VALUE_SETTING] = str(int(payload["value_max_minor"]))
    now = to_us(service.clock.now())

    def step(tx: Tx) -> None:
        for setting, value in changes.items():
            change_setting(tx, service.tenant_id, account_id, setting, value)
        note(
            tx,
            service.tenant_id,
            now,
            service.by,
            "What is left to Oneshelf changed",
            f"account:{account_id}",
            **changes,
        )

    if changes:
        await service.writer.do(step)
    return {"account_id": account_id, **changes}
