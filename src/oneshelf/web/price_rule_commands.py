"""Commands about price rules: look what they would change, set, take back, agree. One function each, as in commands.py.

A change is looked at by being carried out and taken back; what it says is then worked out as it would be told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec

from oneshelf.core.errors import NotThere
from oneshelf.core.precedence import RANK_DEFAULT, Selector
from oneshelf.db.tx import Tx
from oneshelf.pricing import rule_file
from oneshelf.pricing.agreed import say
from oneshelf.pricing.policy import policy_of, set_limits
from oneshelf.pricing.rates import concerned_by, enter_rate
from oneshelf.pricing.rules import drop_rule, selector_of, set_rule, set_sale
from oneshelf.pricing.what_if import (
    LOOKED_AT_ONCE,
    PriceChange,
    Said,
    changes,
    counted,
    far_prices,
    reached_by,
    said,
    said_after,
)
from oneshelf.publish.price_waiting import approve, refuse, waiting
from oneshelf.wiring import Service

from .one_step import act


async def _look_or_do(
    service: Service,
    payload: dict[str, Any],
    reached: Callable[[Tx], Iterable[int]],
    change: Callable[[Tx, int], Any],
    *,
    at: int | None = None,
) -> dict[str, Any]:
    """Say what a change would do to prices; with `yes` let it stand, with `far` agree to the far prices that are shown.

    `at`: the instant to look at, where it is not now. `change` gives what is answered beside the preview.
    1. Whom it reaches, and what would be said after it.  2. Their prices, some hundred a transaction.  3. With `yes`, the change.
    """
    tenant_id, yes = service.tenant_id, bool(payload.get("yes"))

    def look(tx: Tx, now: int) -> tuple[list[int], Said, Said, Any, int]:
        shown_at = max(at or now, now)
        after, told = said_after(tx, tenant_id, lambda inner: change(inner, now), shown_at)
        return sorted(reached(tx)), said(tx, tenant_id, shown_at), after, told, shown_at

    found, before, after, told, shown_at = await act(service, look)
    rows: list[PriceChange] = []
    for start in range(0, len(found), LOOKED_AT_ONCE):
        some = found[start : start + LOOKED_AT_ONCE]
        rows += await service.writer.do(
            partial(changes, tenant_id=tenant_id, outlet_ids=some, before=before, after=after, at=shown_at)
        )
    shown = counted(rows, len(found))

    def stand(tx: Tx, now: int) -> Any:
        if payload.get("far"):
            say(tx, tenant_id, far_prices(shown), "yes", now, by=service.by)
        return change(tx, now)

    told = await act(service, stand) if yes else told
    return {**msgspec.to_builtins(shown), **told, "done": yes}


def _selector(payload: dict[str, Any]) -> Selector:
    return Selector(
        int(payload.get("account_id") or 0),
        payload.get("channel") or "",
        payload.get("goods") or "all",
        payload.get("value") or "",
        int(payload.get("rank") or RANK_DEFAULT),
    )


async def run_price_rule(service: Service, payload: dict[str, Any]) -> Any:
    """Set a price rule: `price`, `rounding`, `floor`, `ceiling`, `margin`, `currency` for what the selector speaks of."""
    tenant_id, selector = service.tenant_id, _selector(payload)
    says = {name: str(payload.get(name) or "") for name in rule_file.SAYS}

    def change(tx: Tx, now: int) -> dict[str, Any]:
        return {"rule": set_rule(tx, tenant_id, selector, says, now, by=service.by)}

    return await _look_or_do(service, payload, lambda tx: reached_by(tx, tenant_id, [selector]), change)


async def run_price_sale(service: Service, payload: dict[str, Any]) -> Any:
    """Set a sale from `starts_at` to before `ends_at` (microseconds); the preview looks at its start."""
    tenant_id, selector = service.tenant_id, _selector(payload)
    starts_at, ends_at = int(payload["starts_at"]), int(payload["ends_at"])
    words = {name: str(payload.get(name) or "") for name in ("rounding", "currency")}

    def change(tx: Tx, now: int) -> dict[str, Any]:
        no = set_sale(
            tx, tenant_id, selector, str(payload.get("price") or ""), starts_at, ends_at, now, by=service.by, **words
        )
        return {"rule": no}

    return await _look_or_do(service, payload, lambda tx: reached_by(tx, tenant_id, [selector]), change, at=starts_at)


async def run_price_drop(service: Service, payload: dict[str, Any]) -> Any:
    """Take a rule or sale back."""
    tenant_id, rule_no = service.tenant_id, int(payload["rule"])

    def reached(tx: Tx) -> list[int]:
        return reached_by(tx, tenant_id, [selector_of(tx, tenant_id, rule_no)])

    def change(tx: Tx, now: int) -> dict[str, Any]:
        drop_rule(tx, tenant_id, rule_no, now, by=service.by)
        return {"rule": rule_no}

    return await _look_or_do(service, payload, reached, change)


async def run_price_limits(service: Service, payload: dict[str, Any]) -> Any:
    """Set an account's band (percent; 0: none) and its channel's fee (percent of the price)."""
    tenant_id, account_id = service.tenant_id, int(payload["account_id"])
    one = service.running.get(account_id)
    if one is None or one.channel.name == "shopify":
        raise NotThere(
            f"Account {account_id} is no connected marketplace. `oneshelf channels list` shows the accounts."
        )
    band = None if payload.get("band") is None else int(payload["band"])
    fee = None if payload.get("fee") is None else str(payload["fee"])

    def change(tx: Tx, now: int) -> dict[str, Any]:
        if band is None and fee is None:
            policy = policy_of(tx, tenant_id, account_id)
        else:
            policy = set_limits(tx, tenant_id, account_id, now, by=service.by, band=band, fee=fee)
        return {"account_id": account_id, "band": policy.band, "fee": policy.fee}

    def reached(tx: Tx) -> list[int]:
        return reached_by(tx, tenant_id, [Selector(account_id=account_id)])

    return await _look_or_do(service, payload, reached, change)


async def run_rate(service: Service, payload: dict[str, Any]) -> Any:
    """Enter an exchange rate: shop currency per one unit of another, with where it is from (S14.5). With `preview`, only look."""
    tenant_id = service.tenant_id
    currency, rate, source = (str(payload[name]) for name in ("currency", "rate", "source"))

    def change(tx: Tx, now: int) -> dict[str, Any]:
        listings = enter_rate(tx, tenant_id, currency, rate, source, now, by=service.by)
        again = tx.run(
            # What was sent and refused is a person's by now: sent again it might stand there twice.
            "UPDATE intent SET state = 'WAITING', due_at = :now WHERE tenant_id = :t AND kind = 'import' AND state = 'TASK' "
            "AND first_sent_at IS NULL AND entity IN (SELECT CAST(o.account_id AS TEXT) || '/' || o.order_id FROM orders o "
            "WHERE o.tenant_id = :t AND o.currency = :c)",
            t=tenant_id,
            now=now,
            c=currency.strip().upper(),
        )
        return {
            "currency": currency.strip().upper(),
            "rate": rate.strip(),
            "orders_tried_again": again,
            "listings": listings,
        }

    wish = {"yes": not payload.get("preview")}
    done = await _look_or_do(service, wish, lambda tx: concerned_by(tx, tenant_id, currency.strip().upper()), change)
    service.hub_bell.ring()
    return done


async def run_price_import(service: Service, payload: dict[str, Any]) -> Any:
    """Look at a file of price rules, or with `yes` make it the whole list; not while a row has a problem."""
    tenant_id, file = service.tenant_id, rule_file.read_csv(str(payload["text"]))

    def change(tx: Tx, now: int) -> dict[str, Any]:
        done = rule_file.apply(tx, tenant_id, file, now, by=service.by)
        if payload.get("yes") and done.problems:
            number, words = done.problems[0]
            raise ValueError(f"{len(done.problems)} rows have a problem; the first is row {number}: {words}")
        return _imported(done)

    return await _look_or_do(service, payload, lambda tx: reached_by(tx, tenant_id, [Selector()]), change)


async def run_price_undo(service: Service, payload: dict[str, Any]) -> Any:
    """Bring the rules back to how they were before the last import."""
    tenant_id = service.tenant_id

    def change(tx: Tx, now: int) -> dict[str, Any]:
        return _imported(rule_file.undo(tx, tenant_id, now, by=service.by))

    return await _look_or_do(service, payload, lambda tx: reached_by(tx, tenant_id, [Selector()]), change)


def _imported(done: rule_file.Imported) -> dict[str, Any]:
    return {"kept": done.kept, "taken_back": done.taken_back, "unchanged": done.same, "problems": list(done.problems)}


async def run_price_word(service: Service, payload: dict[str, Any]) -> Any:
    """Say yes or no to prices that wait: of these listings, or of all of an account's."""
    tenant_id = service.tenant_id
    decide = {"yes": approve, "no": refuse}[payload["word"]]

    def step(tx: Tx, now: int) -> Any:
        listings = [int(one) for one in payload.get("listings") or ()]
        if payload.get("account_id"):
            listings += [one.listing for one in waiting(tx, tenant_id, account_id=int(payload["account_id"]))]
        return decide(tx, tenant_id, listings, now, by=service.by)

    return {"word": payload["word"], "prices": msgspec.to_builtins(await act(service, step))}


COMMANDS = {
    "rate": run_rate,
    "price_rule": run_price_rule,
    "price_sale": run_price_sale,
    "price_drop": run_price_drop,
    "price_limits": run_price_limits,
    "price_import": run_price_import,
    "price_undo": run_price_undo,
    "price_word": run_price_word,
}
