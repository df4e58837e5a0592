"""Rules for offers: what is held back where, looked at first; and the guard, which lets large changes wait for a person."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query
from pydantic import Field

from oneshelf.core.guard import Limits
from oneshelf.core.instants import iso
from oneshelf.db.tx import Tx
from oneshelf.listings import policy, rule_sheet
from oneshelf.publish import guard
from oneshelf.publish.rule_changes import AccountEffect, Effect
from oneshelf.watch.replay import Replayed
from oneshelf.watch.rules import RuleLine, rule_lines

from ..route import Asked, Body, Call, DryCall, csv_of, found
from ..shapes import AccountQuery, BulkDone, Items, Number, Text, each
from .rules import routes
from .sheets import RowProblem, problems_of

Goods = Literal["sku", "tag", "vendor", "type", "all"]
Pieces = Annotated[int, Field(ge=0, le=1_000_000_000)]


class NumbersIn(Body):
    """What a rule says. Pieces, except `min_show` and `exactly` (listings) and `safety_percent` (at most this share is offered)."""

    safety_stock: Pieces | None = None
    safety_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    cap: Pieces | None = None
    exactly: Pieces | None = None
    min_show: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    adaptive: bool | None = None
    cap_auto: bool | None = None


class RulePlace(Body):
    """Where a rule holds: an account, a channel or everywhere; a SKU, a tag, a vendor, a type or everything."""

    account_id: Annotated[int, Field(ge=0, le=2**53 - 1)] = 0
    channel: Annotated[str, Field(max_length=50)] = ""
    goods: Goods = "all"
    value: Annotated[str, Field(max_length=255)] = ""


class RuleIn(RulePlace, NumbersIn):
    """A rule; it replaces the one that speaks of the same. `low_at`: from so many pieces on downwards `low` holds instead."""

    rank: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    low_at: Pieces | None = None
    low: NumbersIn | None = None
    except_locations: Annotated[list[Text], Field(max_length=100)] = []


class RulesIn(Body):
    """Up to 1,000 rules, each kept or refused by itself."""

    items: Items[RuleIn]


class RuleDone(msgspec.Struct, frozen=True):
    """What a change of rules does: the first listings that change, and how many do in all. `made` False with `waits`: too many numbers would
    go to 0 or multiply (`alarm`), so it waits for a person under this number."""

    accounts: list[AccountEffect]
    listings: list[Effect]
    changed: int
    alarm: str
    preview: bool
    made: bool = False
    waits: int = 0
    replay: Replayed | None = None


@routes.reads("/rules")
async def list_rules(call: Call) -> list[RuleLine]:
    """Every rule, the narrowest first, in which order they are asked. The first that fits a listing counts whole."""
    return await call.read(lambda tx: rule_lines(tx, call.tenant_id))


async def _change(call: Asked, payload: dict[str, Any]) -> dict[str, Any]:
    """Change a rule; a dry run is its preview, by the same calculation."""
    done: dict[str, Any] = await call.command("rule", payload, preview=call.dry_run, replay=False)
    return done


@routes.writes("/rules", method="PUT")
async def set_rule(call: DryCall, body: RuleIn) -> RuleDone:
    """Keep a rule, or let it wait for a person where it would zero or multiply too many numbers."""
    return msgspec.convert(await _change(call, body.model_dump(exclude_none=True)), RuleDone)


@routes.writes("/rules/preview")
async def preview_rule(call: Call, body: RuleIn) -> RuleDone:
    """What a rule would change, and how the last 30 days would have gone under it. Nothing is kept."""
    done = await call.command("rule", body.model_dump(exclude_none=True), preview=True, replay=True)
    return msgspec.convert(done, RuleDone)


@routes.writes("/rules", method="DELETE")
async def drop_rule(
    call: DryCall,
    account: AccountQuery = 0,
    channel: Annotated[str, Query(max_length=50)] = "",
    goods: Goods = "all",
    value: Annotated[str, Query(max_length=255)] = "",
) -> RuleDone:
    """Take the rule back that speaks of exactly this."""
    place = RulePlace(account_id=account, channel=channel, goods=goods, value=value).model_dump()
    await call.read(
        lambda tx: found(
            policy.same_place(tx, call.tenant_id, msgspec.convert(place, policy.Selector)), "There is no such rule"
        )
    )
    return msgspec.convert(await _change(call, {**place, "drop": True}), RuleDone)


@routes.writes("/rules/bulk", status=207)
async def set_rules(call: DryCall, body: RulesIn) -> BulkDone:
    """Keep many rules, each looked at by itself."""
    return await each(body.items, RuleIn, lambda item: _change(call, item.model_dump(exclude_none=True)))


class RulesImported(msgspec.Struct, frozen=True):
    """What a file of rules changes. `waits`: the number under which it waits for a person; 0: it does not."""

    rules: int
    same: int
    problems: list[RowProblem]
    made: bool
    waits: int


@routes.sheet("/rules/rules.csv")
async def import_rules(call: DryCall) -> RulesImported:
    """Keep rules from a CSV file as the export writes it; `action` drop takes a rule back. Rules that it does not name stay."""
    done = await call.command("rules_import", {"text": await csv_of(call), "yes": not call.dry_run, "replay": False})
    return msgspec.convert({**done, "problems": problems_of(done)}, RulesImported)


@routes.exports("/rules/rules.csv")
async def export_rules(call: Call) -> str:
    """Every rule as CSV."""
    return await call.read(lambda tx: rule_sheet.to_csv(policy.all_rules(tx, call.tenant_id)))


class RulesPutBack(msgspec.Struct, frozen=True):
    """What taking the last file back does. `changed_since`: rules that somebody changed after it; they are left alone."""

    import_no: int
    rules: int
    changed_since: int
    made: bool = False
    waits: int = 0


@routes.writes("/rules/imports/last", method="DELETE")
async def undo_rules(call: DryCall) -> RulesPutBack:
    """Take the last file of rules back."""
    return msgspec.convert(await call.command("rules_undo", {"preview": call.dry_run, "replay": False}), RulesPutBack)


class GuardChange(msgspec.Struct, frozen=True):
    """A change that waits for a person, or waited. Instants as ISO 8601, UTC. `effect`: what it does to each account."""

    guard: int
    kind: str
    account_id: int
    state: str
    what: str
    why: str
    effect: list[Any]
    asked_by: str
    opened_at: str
    lapses_at: str | None
    closed_at: str | None


class GuardShown(msgspec.Struct, frozen=True):
    """What waits, and when the guard speaks."""

    waiting: list[GuardChange]
    limits: Limits


@routes.reads("/rules/guard")
async def list_guarded(
    call: Call, every: Annotated[bool, Query(description="Those that are over, too.")] = False
) -> GuardShown:
    """Changes that would zero or multiply too many numbers at once, and so wait for a person."""

    def look(tx: Tx) -> GuardShown:
        waiting = [
            GuardChange(
                one.guard_no, one.kind, one.account_id, one.state, one.what, one.why, one.effect, one.asked_by,
                iso(one.opened_at) or "", iso(one.lapses_at), iso(one.closed_at),
            )
            for one in guard.waiting(tx, call.tenant_id, every=every)
        ]  # fmt: skip
        return GuardShown(waiting, guard.limits_of(tx, call.tenant_id))

    return await call.read(look)


class GuardWordIn(Body):
    """Whether it shall be made."""

    approve: bool


class GuardDecided(msgspec.Struct, frozen=True):
    """The word that was taken."""

    guard: int
    approved: bool


@routes.writes("/rules/guard/{guarded}")
async def decide_guarded(call: DryCall, guarded: Number, body: GuardWordIn) -> GuardDecided:
    """Say yes or no to a change that waits."""
    return msgspec.convert(await call.command("guard_decide", body, guard=guarded), GuardDecided)


class GuardLimitsIn(Body):
    """What is not named stays."""

    on: bool | None = None
    percent: Annotated[int, Field(ge=0, le=100)] | None = None
    least: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    factor: Annotated[int, Field(ge=2, le=1_000_000)] | None = None
    hold_s: Annotated[int, Field(ge=0, le=604_800)] | None = None


@routes.writes("/rules/guard", method="PATCH")
async def set_guard_limits(call: DryCall, body: GuardLimitsIn) -> Limits:
    """Say when the guard speaks."""
    return msgspec.convert(await call.command("guard_limits", body), Limits)
