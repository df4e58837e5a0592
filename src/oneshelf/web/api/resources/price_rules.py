"""Price rules: set them, look at what they change first, sales, prices that wait for a word."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field

from oneshelf.core.instants import iso
from oneshelf.core.precedence import Selector
from oneshelf.core.price_terms import PriceRule
from oneshelf.db.tx import Tx
from oneshelf.pricing import rule_file
from oneshelf.pricing.rules import rules_of, sales_of
from oneshelf.pricing.what_if import WhatIf
from oneshelf.publish.price_waiting import WaitingPrice, waiting

from ..route import Asked, Call, DryCall, csv_of
from ..shapes import AccountQuery, BulkDone, Items, Moment, Number, NumberIn, each, moment
from .offer_rules import Body, RulePlace
from .prices import routes
from .sheets import RowProblem, problems_of

Formula = Annotated[str, Field(max_length=200)]


class PriceRuleIn(RulePlace):
    """A price rule, in the words of the command line: price "shop + 10%", rounding "ending .99", floor, ceiling, margin. `far`: agree
    to prices that move by more than their account's band."""

    price: Formula = ""
    rounding: Formula = ""
    floor: Formula = ""
    ceiling: Formula = ""
    margin: Formula = ""
    currency: Annotated[str, Field(max_length=3)] = ""
    rank: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    far: bool = False


class PriceRulesIn(Body):
    """Up to 1,000 price rules, each set or refused by itself."""

    items: Items[PriceRuleIn]


class PriceRuleDone(WhatIf, frozen=True):
    """What a change of price rules does; `done` False: it was only looked at. `rule`: its number."""

    done: bool
    rule: int = 0


class SaleShown(msgspec.Struct, frozen=True):
    """A sale: another price from a moment to before another. Instants as ISO 8601, UTC."""

    rule: int
    selector: Selector
    price: str
    starts_at: str
    ends_at: str


class PriceRulesShown(msgspec.Struct, frozen=True):
    """All price rules, and the sales."""

    rules: list[PriceRule]
    sales: list[SaleShown]


@routes.reads("/prices/rules")
async def list_price_rules(call: Call) -> PriceRulesShown:
    """Every price rule and sale. The narrowest rule that fits a listing counts."""

    def look(tx: Tx) -> PriceRulesShown:
        sales = [
            SaleShown(one.rule_no, one.selector, one.price, iso(one.starts_at) or "", iso(one.ends_at) or "")
            for one in sales_of(tx, call.tenant_id)
        ]
        return PriceRulesShown(rules_of(tx, call.tenant_id), sales)

    return await call.read(look)


async def _set(call: Asked, body: PriceRuleIn) -> dict[str, Any]:
    """Set a rule; a dry run looks at it, by the same calculation."""
    done: dict[str, Any] = await call.look_or_do("price_rule", body.model_dump(exclude_none=True))
    return done


@routes.writes("/prices/rules", method="PUT")
async def set_price_rule(call: DryCall, body: PriceRuleIn) -> PriceRuleDone:
    """Set a price rule, and say which listings change from what to what."""
    return msgspec.convert(await _set(call, body), PriceRuleDone)


@routes.writes("/prices/rules/bulk", status=207)
async def set_price_rules(call: DryCall, body: PriceRulesIn) -> BulkDone:
    """Set many price rules."""
    return await each(body.items, PriceRuleIn, lambda item: _set(call, item))


class PriceSaleIn(RulePlace):
    """Another price for a while."""

    price: Annotated[str, Field(min_length=1, max_length=200)]
    starts_at: Moment
    ends_at: Moment
    rounding: Formula = ""
    currency: Annotated[str, Field(max_length=3)] = ""
    far: bool = False


@routes.writes("/prices/sales")
async def set_price_sale(call: DryCall, body: PriceSaleIn) -> PriceRuleDone:
    """Set a sale; what it changes is worked out for its start."""
    times = {"starts_at": moment(body.starts_at, "/starts_at"), "ends_at": moment(body.ends_at, "/ends_at")}
    return msgspec.convert(await call.look_or_do("price_sale", {**body.model_dump(), **times}), PriceRuleDone)


@routes.writes("/prices/rules/{rule}", method="DELETE")
async def drop_price_rule(call: DryCall, rule: Number) -> PriceRuleDone:
    """Take a price rule or a sale back."""
    return msgspec.convert(await call.look_or_do("price_drop", {"rule": rule}), PriceRuleDone)


class PriceRulesImported(WhatIf, frozen=True):
    """What a file of price rules does."""

    done: bool
    kept: int
    taken_back: int
    unchanged: int
    problems: list[RowProblem]


@routes.sheet("/prices/rules.csv")
async def import_price_rules(call: DryCall) -> PriceRulesImported:
    """Make a CSV file the whole list of price rules. Rules that are not in it are taken back; not while a row has a problem."""
    done = await call.look_or_do("price_import", {"text": await csv_of(call)})
    return msgspec.convert({**done, "problems": problems_of(done)}, PriceRulesImported)


@routes.exports("/prices/rules.csv")
async def export_price_rules(call: Call) -> str:
    """Every price rule and sale as CSV."""
    return await call.read(lambda tx: rule_file.to_csv(tx, call.tenant_id))


@routes.writes("/prices/imports/last", method="DELETE")
async def undo_price_rules(call: DryCall) -> PriceRulesImported:
    """Bring the price rules back to how they were before the last file."""
    done = await call.look_or_do("price_undo", {})
    return msgspec.convert({**done, "problems": problems_of(done)}, PriceRulesImported)


@routes.reads("/prices/waiting")
async def list_waiting_prices(call: Call, account: AccountQuery = 0) -> list[WaitingPrice]:
    """Prices that are so far from what a listing asks that they wait for a person's word."""
    return await call.read(lambda tx: waiting(tx, call.tenant_id, account_id=account))


class PriceWordIn(Body):
    """Yes or no to the prices of these listings."""

    word: Literal["yes", "no"]
    listings: Annotated[list[NumberIn], Field(min_length=1, max_length=1_000)]


class PriceWordSaid(msgspec.Struct, frozen=True):
    """The word that was taken."""

    word: str


@routes.writes("/prices/waiting")
async def answer_waiting_prices(call: DryCall, body: PriceWordIn) -> PriceWordSaid:
    """Say yes or no to prices that wait."""
    done = await call.command("price_word", body)
    return PriceWordSaid(done["word"])
