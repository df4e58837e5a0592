"""Commands about rules for offers, and about changes that wait for a person (publish/rule_changes, publish/guard)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from oneshelf.channels.contract import Capabilities
from oneshelf.core.errors import NotThere, Park
from oneshelf.core.guard import Limits
from oneshelf.core.instants import to_us
from oneshelf.core.offer_rule import Numbers, OfferRule
from oneshelf.core.precedence import Selector
from oneshelf.db.tx import Tx
from oneshelf.listings import rule_sheet as sheet
from oneshelf.listings.policy import Change
from oneshelf.publish import approving, guard, rule_changes
from oneshelf.publish.rule_changes import Changed, Looked
from oneshelf.watch import replay, rules
from oneshelf.wiring import Service

#: How many changed listings an answer names, unless more are asked for.
PAGE = 50
PAGE_MAX = 1_000


Result = TypeVar("Result")


class NotKept(Park):
    """The rule can't be kept as it was given."""


def change_of(payload: dict[str, Any]) -> Change:
    """Read what a rule speaks of and says. Raises ValueError, KeyError, msgspec.ValidationError."""
    sku = payload.get("sku") or ""
    goods, value = payload.get("goods") or ("sku" if sku else "all"), payload.get("value") or sku
    place = {"account_id": int(payload.get("account_id") or 0), "channel": payload.get("channel") or ""}
    rank = {} if payload.get("rank") is None else {"rank": int(payload["rank"])}
    selector = msgspec.convert({**place, "goods": goods, "value": value, **rank}, Selector)
    if payload.get("drop"):
        return Change(selector, None)
    given = {name: payload[name] for name in Numbers.__struct_fields__ if payload.get(name) is not None}
    low = payload.get("low") or {}
    rule = OfferRule(
        selector,
        msgspec.convert(given, Numbers),
        payload.get("low_at"),
        msgspec.convert(low, Numbers),
        tuple(payload.get("except_locations") or ()),
    )
    return Change(selector, rule)


async def _read(service: Service, step: Callable[[Tx], Result]) -> Result:
    """Read on a connection of its own, in a thread: looking at a large shop must not keep sales from being booked."""

    def work() -> Result:
        with service.store.reader() as tx:
            return step(tx)

    return await asyncio.to_thread(work)


async def _looked(service: Service, changes: Sequence[Change]) -> Looked:
    """What the changes would do."""
    can, now = _can(service), to_us(service.clock.now())
    return await _read(service, lambda tx: rule_changes.look(tx, service.tenant_id, changes, can, now))


def _can(service: Service) -> dict[int, Capabilities]:
    return {one.account_id: one.can for one in service.heard()}


async def change(service: Service, changes: Sequence[Change], payload: dict[str, Any]) -> dict[str, Any]:
    """Look at changes of rules; unless only a `preview` is asked for, make them, or keep them waiting where they are too large."""
    try:
        await _read(service, lambda tx: rule_changes.check(tx, service.tenant_id, changes))
        looked = await _looked(service, changes)
        if payload.get("preview"):
            answer = _answer(looked, payload)
            if payload.get("replay", True):
                answer["replay"] = await _replayed(service, changes)
            return answer
        now = to_us(service.clock.now())
        done: Changed = await service.writer.do(
            lambda tx: rule_changes.decide(tx, service.tenant_id, changes, looked, now, by=service.by)
        )
    except (ValueError, LookupError) as error:
        raise NotKept(f"The rule can't be kept: {error.args[0]}.") from error
    service.wake_all()
    return {**_answer(looked, payload), "waits": done.guard_no, "made": not done.guard_no}


def _answer(looked: Looked, payload: dict[str, Any]) -> dict[str, Any]:
    after, limit = int(payload.get("after") or 0), min(PAGE_MAX, int(payload.get("limit") or PAGE))
    page = looked.effects[after : after + limit]
    return {
        "accounts": msgspec.to_builtins(looked.accounts),
        "listings": msgspec.to_builtins(page),
        "changed": len(looked.effects),
        "next_after": after + limit if after + limit < len(looked.effects) else None,
        "alarm": looked.alarm,
        "preview": bool(payload.get("preview")),
    }


async def _replayed(service: Service, changes: Sequence[Change]) -> Any:
    """The last days under the changed rules."""
    can, now = _can(service), to_us(service.clock.now())
    return msgspec.to_builtins(await _read(service, lambda tx: replay.replay(tx, service.tenant_id, changes, can, now)))


async def run_rule(service: Service, payload: dict[str, Any]) -> Any:
    """Set (or with `drop` take back) one rule; with `preview` only say what that would do."""
    try:
        wanted = change_of(payload)
    except (ValueError, TypeError, msgspec.ValidationError) as error:
        raise NotKept(f"The rule can't be kept: {error}.") from error
    done = await change(service, [wanted], payload)
    s = wanted.selector
    return {
        "account_id": s.account_id,
        "sku": s.value if s.goods == "sku" else "",
        "dropped": wanted.rule is None,
        **done,
    }


async def run_rules_list(service: Service, _payload: dict[str, Any]) -> Any:
    """Every rule, narrowest first."""
    return msgspec.to_builtins(await service.writer.do(lambda tx: rules.rule_lines(tx, service.tenant_id)))


async def run_rules_import(service: Service, payload: dict[str, Any]) -> Any:
    """Read rules from a CSV file. With `yes` keep its right rows (or let them wait); without, say what they would do."""
    wanted = await service.writer.do(lambda tx: sheet.read_csv(tx, service.tenant_id, payload["text"]))
    said = {"rules": len(wanted.changes), "same": wanted.same, "problems": wanted.problems}
    if not wanted.changes:
        return {**said, "made": False, "waits": 0}
    if not payload.get("yes"):
        return {
            **said,
            "made": False,
            "waits": 0,
            **await change(service, wanted.changes, {**payload, "preview": True}),
        }
    looked = await _looked(service, wanted.changes)
    now = to_us(service.clock.now())
    waits = await service.writer.do(
        lambda tx: approving.import_rules(tx, service.tenant_id, wanted.changes, looked, now, by=service.by)
    )
    service.wake_all()
    return {**said, **_answer(looked, payload), "made": not waits, "waits": waits}


async def run_rules_undo(service: Service, payload: dict[str, Any]) -> Any:
    """Take the last import of rules back; with `preview` only say what that would do."""
    undo = await service.writer.do(lambda tx: sheet.last_import(tx, service.tenant_id))
    if undo is None:
        raise NotThere("No import of rules is left to undo.")
    said = {"import_no": undo.import_no, "rules": len(undo.changes), "changed_since": len(undo.changed_since)}
    if payload.get("preview"):
        return {**said, **await change(service, undo.changes, payload)} if undo.changes else said
    looked = await _looked(service, undo.changes)
    now = to_us(service.clock.now())
    waits = await service.writer.do(
        lambda tx: approving.undo_import(tx, service.tenant_id, undo, looked, now, by=service.by)
    )
    service.wake_all()
    return {**said, **_answer(looked, payload), "made": not waits, "waits": waits}


# --- the guard ----------------------------------------------------------------------------------------------------------


async def run_guard_list(service: Service, payload: dict[str, Any]) -> Any:
    """The changes that wait for a person; with `every` those that are over too."""

    def step(tx: Tx) -> Any:
        found = guard.waiting(tx, service.tenant_id, every=bool(payload.get("every")))
        return {"waiting": found, "limits": guard.limits_of(tx, service.tenant_id)}

    return msgspec.to_builtins(await service.writer.do(step))


async def run_guard_decide(service: Service, payload: dict[str, Any]) -> Any:
    """Say yes (`approve`) or no to a change that waits."""
    number, yes, now = int(payload["guard"]), bool(payload["approve"]), to_us(service.clock.now())
    word = approving.approve if yes else guard.refuse
    try:
        done = await service.writer.do(lambda tx: word(tx, service.tenant_id, number, now, by=service.by))
    except ValueError as error:
        raise NotKept(f"That can't be done: {error.args[0]}.") from error
    except LookupError as error:
        raise NotThere(f"That can't be done: {error.args[0]}.") from error
    service.wake_all()
    return {"guard": number, "approved": yes, "over": bool(done) if not yes else True}


async def run_guard_limits(service: Service, payload: dict[str, Any]) -> Any:
    """Set when the guard speaks; what is not given stays."""
    now = to_us(service.clock.now())

    def step(tx: Tx) -> Limits:
        given = {name: payload[name] for name in Limits.__struct_fields__ if payload.get(name) is not None}
        limits = msgspec.structs.replace(guard.limits_of(tx, service.tenant_id), **given)
        if given:
            guard.set_limits(tx, service.tenant_id, limits, now, by=service.by)
        return limits

    try:
        return msgspec.to_builtins(await service.writer.do(step))
    except ValueError as error:
        raise NotKept(f"That can't be: {error}.") from error


COMMANDS = {
    "rule": run_rule,
    "rules_list": run_rules_list,
    "rules_import": run_rules_import,
    "rules_undo": run_rules_undo,
    "guard_list": run_guard_list,
    "guard_decide": run_guard_decide,
    "guard_limits": run_guard_limits,
}
