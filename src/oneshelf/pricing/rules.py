"""The merchant's price rules and sales, as they are kept.

In: his word. Out: rules and sales; marks of the outlets that they reach. Tables it owns: price_rule. Never: decides a price; keeps a
rule that can't be worked out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from oneshelf.core.ids import HUB, ChannelName
from oneshelf.core.instants import iso
from oneshelf.core.plan import Capability
from oneshelf.core.precedence import ItemFacts, Selector, check, fits, folded
from oneshelf.core.price_formula import parse_formula, parse_rounding
from oneshelf.core.price_terms import NONE, PriceRule, PriceSale, refuse_mistakes
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx, next_values
from oneshelf.tenants.plan import require
from oneshelf.tenants.rates import home_currency

from . import marks

#: A sale that is longer than this is a mistake of somebody's: a rule is what is meant.
SALE_DAYS_MAX = 366
_DAY = 86_400_000_000
_SELECTOR = "account_id, channel, goods, value, rank"
_SAYS = ("price", "rounding", "floor", "ceiling", "margin", "currency")


def rules_of(tx: Tx, tenant_id: int, skus: Iterable[str] | None = None) -> list[PriceRule]:
    """Return the rules, in order of their numbers; with `skus` without those that speak of another SKU."""
    rows = tx.all(
        f"""SELECT rule_no, {_SELECTOR}, {", ".join(_SAYS)} FROM price_rule
             WHERE tenant_id = :t AND kind = 'rule' AND (:every = 1 OR goods <> 'sku' OR value {{in:skus}}) ORDER BY rule_no""",
        t=tenant_id,
        every=int(skus is None),
        skus=sorted(skus or ()),
    )
    return [PriceRule(row[0], Selector(*row[1:6]), *row[6:]) for row in rows]


def sales_of(
    tx: Tx, tenant_id: int, skus: Iterable[str] | None = None, *, ending_after: int | None = None
) -> list[PriceSale]:
    """Return the sales, in order of their numbers; with `skus` without those that speak of another SKU, with `ending_after` without
    those that are over by then."""
    rows = tx.all(
        f"""SELECT rule_no, price, starts_at, ends_at, {_SELECTOR}, rounding, currency FROM price_rule
             WHERE tenant_id = :t AND kind = 'sale' AND (:every = 1 OR goods <> 'sku' OR value {{in:skus}}) AND ends_at > :after
             ORDER BY rule_no""",
        t=tenant_id,
        every=int(skus is None),
        skus=sorted(skus or ()),
        after=-1 if ending_after is None else ending_after,
    )
    return [PriceSale(row[0], row[1], row[2], row[3], Selector(*row[4:9]), row[9], row[10]) for row in rows]


def set_rule(
    tx: Tx, tenant_id: int, selector: Selector, says: Mapping[str, str], now: int, *, by: str, mark: bool = True
) -> int:
    """Keep a rule; one with the same selector is replaced whole and keeps its number. Every outlet that it reaches is marked, unless the
    caller does that (`mark`).

    `says`: price, rounding, floor, ceiling, margin, currency, as PriceRule has them. Returns its number. Raises ValueError with what is
    wrong, LookupError on an account that is not there, NotInPlan.
    """
    selector = msgspec.structs.replace(selector, value=selector.value.strip())
    _is_known(tx, tenant_id, selector)
    rule = PriceRule(0, selector, **_cleaned(tx, tenant_id, says))
    refuse_mistakes(rule)
    rule_no = _same(tx, tenant_id, selector) or next_values(tx, tenant_id, "price_rule")[0]
    _keep(tx, tenant_id, rule_no, "rule", rule, now, by)
    said = {name: getattr(rule, name) for name in _SAYS if getattr(rule, name)}
    note(tx, tenant_id, now, by, "Price rule set", f"price_rule:{rule_no}", **msgspec.to_builtins(selector), **said)
    if mark:
        mark_reach(tx, tenant_id, [selector], now, f"price rule {rule_no} changed")
    return rule_no


def named(selector: Selector) -> tuple[int, str, str, str]:
    """Return what a selector speaks of, whatever its rank: two rules of the same name would contradict each other."""
    value = selector.value if selector.goods == "sku" else folded(selector.value)
    return (selector.account_id, selector.channel, selector.goods, value)


def _same(tx: Tx, tenant_id: int, selector: Selector) -> int:
    """Return the number of the rule that speaks of the same; 0: there is none."""
    rows = tx.all(
        f"""SELECT rule_no, {_SELECTOR} FROM price_rule WHERE tenant_id = :t AND kind = 'rule' AND goods = :g
              AND account_id = :a AND channel = :c AND (goods <> 'sku' OR value = :v)""",
        t=tenant_id,
        g=selector.goods,
        a=selector.account_id,
        c=selector.channel,
        v=selector.value,
    )
    return next((int(row[0]) for row in rows if named(Selector(*row[1:])) == named(selector)), 0)


def set_sale(
    tx: Tx,
    tenant_id: int,
    selector: Selector,
    price: str,
    starts_at: int,
    ends_at: int,
    now: int,
    *,
    by: str,
    rounding: str = "",
    currency: str = "",
) -> int:
    """Keep a sale; returns its number. It begins and ends by `sale_ticks`. Raises ValueError, LookupError as `set_rule`."""
    selector = msgspec.structs.replace(selector, value=selector.value.strip())
    _is_known(tx, tenant_id, selector)
    if ends_at <= now:
        raise ValueError("a sale does not end in the past")
    if ends_at - starts_at > SALE_DAYS_MAX * _DAY:
        raise ValueError(f"a sale lasts at most {SALE_DAYS_MAX} days; for longer set a rule")
    said = _cleaned(tx, tenant_id, {"price": price, "rounding": rounding, "currency": currency})
    sale = PriceSale(0, said["price"], starts_at, ends_at, selector, said.get("rounding", ""), said.get("currency", ""))
    refuse_mistakes(sale)
    rule_no = next_values(tx, tenant_id, "price_rule")[0]
    _keep(tx, tenant_id, rule_no, "sale", sale, now, by)
    days = {"starts_at": iso(starts_at), "ends_at": iso(ends_at)}
    note(tx, tenant_id, now, by, "Price sale set", f"price_rule:{rule_no}", price=sale.price, **days)
    return rule_no


def drop_rule(tx: Tx, tenant_id: int, rule_no: int, now: int, *, by: str) -> bool:
    """Take a rule or sale back; a sale that is on ends. False: there is none of that number."""
    row = tx.one(
        f"SELECT kind, starts_at, {_SELECTOR} FROM price_rule WHERE tenant_id = :t AND rule_no = :no",
        t=tenant_id,
        no=rule_no,
    )
    if row is None:
        return False
    tx.run("DELETE FROM price_rule WHERE tenant_id = :t AND rule_no = :no", t=tenant_id, no=rule_no)
    what = "Price rule taken back" if row[0] == "rule" else "Price sale taken back"
    note(tx, tenant_id, now, by, what, f"price_rule:{rule_no}")
    if row[0] == "rule" or row[1] <= now:
        mark_reach(tx, tenant_id, [Selector(*row[2:])], now, f"price {row[0]} {rule_no} was taken back")
    return True


def selector_of(tx: Tx, tenant_id: int, rule_no: int) -> Selector:
    """Return what a rule or sale speaks of. Raises LookupError."""
    row = tx.one(f"SELECT {_SELECTOR} FROM price_rule WHERE tenant_id = :t AND rule_no = :no", t=tenant_id, no=rule_no)
    if row is None:
        raise LookupError(f"there is no price rule or sale {rule_no}: oneshelf prices rules shows them")
    return Selector(*row)


def sale_ticks(tx: Tx, tenant_id: int, now: int) -> int:
    """Tell of the sales that began or ended; call every second. Returns how many did. What was told is kept with each sale, so that
    after a crash, or a night without us, nothing is missed and nothing told twice."""
    due = tx.all(
        f"""SELECT rule_no, CASE WHEN ends_at <= :now THEN 'over' ELSE 'on' END AS is_now, {_SELECTOR} FROM price_rule
             WHERE tenant_id = :t AND kind = 'sale' AND ((phase = '' AND starts_at <= :now) OR (phase <> 'over' AND ends_at <= :now))
             ORDER BY rule_no""",
        t=tenant_id,
        now=now,
    )
    for rule_no, phase, *selector in due:
        tx.run(
            "UPDATE price_rule SET phase = :p WHERE tenant_id = :t AND rule_no = :no", t=tenant_id, p=phase, no=rule_no
        )
        what = "A price sale began" if phase == "on" else "A price sale is over"
        note(tx, tenant_id, now, "oneshelf", what, f"price_rule:{rule_no}")
        mark_reach(
            tx, tenant_id, [Selector(*selector)], now, f"sale {rule_no} {'began' if phase == 'on' else 'is over'}"
        )
    return len(due)


# --- whom it reaches ----------------------------------------------------------------------------------------------------


def mark_reach(tx: Tx, tenant_id: int, selectors: Iterable[Selector], now: int, why: str) -> int:
    """Mark every outlet of an account that follows which one of these selectors reaches. Returns how many."""
    found: set[int] = set()
    skus: dict[tuple[int, str], set[str]] = {}
    for selector in selectors:
        if selector.goods == "sku":  # a file may name thousands: they are looked for together
            skus.setdefault((selector.account_id, selector.channel), set()).add(selector.value)
        else:
            found.update(reach(tx, tenant_id, selector))
    for (account_id, channel), named_here in skus.items():
        found.update(_selling(tx, tenant_id, account_id, channel, named_here))
    marks.mark_outlets(tx, tenant_id, sorted(found), now, why)
    return len(found)


def reach(tx: Tx, tenant_id: int, selector: Selector) -> list[int]:
    """Return the outlets of accounts that follow all of whose SKUs a selector fits, in order."""
    if selector.goods == "sku":
        skus = {selector.value}
    elif selector.goods != "all":
        place = selector.account_id, selector.channel
        skus = {sku for sku, facts in facts_of(tx, tenant_id).items() if fits(selector, facts, *place)}
    else:
        rows = tx.all(
            f"""SELECT o.outlet_id FROM outlet o {_FOLLOWS} AND EXISTS
                  (SELECT 1 FROM link k WHERE k.tenant_id = o.tenant_id AND k.outlet_id = o.outlet_id) ORDER BY o.outlet_id""",
            t=tenant_id,
            a=selector.account_id,
            c=selector.channel,
        )
        return [outlet_id for (outlet_id,) in rows]
    return _selling(tx, tenant_id, selector.account_id, selector.channel, skus)


#: CROSS JOIN: SQLite joins in the order written, so it begins with the few links of some SKUs and not with every outlet.
_FOLLOWS = """CROSS JOIN account a CROSS JOIN price_policy p
            WHERE o.tenant_id = :t AND a.tenant_id = o.tenant_id AND a.account_id = o.account_id AND p.tenant_id = o.tenant_id
              AND p.account_id = o.account_id AND p.mode = 'follow' AND (:a = 0 OR o.account_id = :a) AND (:c = '' OR a.channel = :c)
              AND a.channel <> 'shopify' AND o.fulfilled_by_channel = 0 AND o.state NOT IN ('ended', 'draft', 'gone')"""


def _selling(tx: Tx, tenant_id: int, account_id: int, channel: str, skus: set[str]) -> list[int]:
    """Return the outlets at a place that sell some of these SKUs and no others."""
    wanted = [
        outlet_id
        for (outlet_id,) in tx.all(
            f"""SELECT DISTINCT o.outlet_id FROM link k CROSS JOIN outlet o {_FOLLOWS}
                   AND k.tenant_id = :t AND k.sku {{in:skus}} AND o.outlet_id = k.outlet_id ORDER BY o.outlet_id""",
            t=tenant_id,
            a=account_id,
            c=channel,
            skus=sorted(skus),
        )
    ]
    beside = {
        outlet_id
        for outlet_id, sku in tx.all(
            "SELECT outlet_id, sku FROM link WHERE tenant_id = :t AND outlet_id {in:ids}", t=tenant_id, ids=wanted
        )
        if sku not in skus
    }
    return [outlet_id for outlet_id in wanted if outlet_id not in beside]


def facts_of(tx: Tx, tenant_id: int, skus: Iterable[str] | None = None) -> dict[str, ItemFacts]:
    """Return {SKU: what rules may know of it} of these SKUs, or of all."""
    which = "" if skus is None else " AND sku {in:skus}"
    rows = tx.all(
        f"SELECT sku, tags, vendor, product_type FROM item WHERE tenant_id = :t{which}",
        **{"t": tenant_id, **({} if skus is None else {"skus": sorted(skus)})},
    )
    return {
        sku: ItemFacts(sku, tuple(msgspec.json.decode(tags, type=list[str])), vendor, kind)
        for sku, tags, vendor, kind in rows
    }


# --- keeping ------------------------------------------------------------------------------------------------------------


def _is_known(tx: Tx, tenant_id: int, selector: Selector) -> None:
    """Refuse a selector that can't be one, or that names an account, channel or SKU which is not there; a plan without price sync."""
    require(tx, tenant_id, Capability.PRICE_SYNC)
    check(selector)
    if selector.channel == HUB:
        raise ValueError("the shop's prices are what the rules start from; a rule is for the marketplaces")
    if selector.channel and selector.channel not in set(ChannelName):
        names = ", ".join(sorted(name for name in ChannelName if name != HUB))
        raise ValueError(f"there is no channel {selector.channel!r}: one of {names}")
    if selector.account_id:
        row = tx.one(
            "SELECT channel, state FROM account WHERE tenant_id = :t AND account_id = :a",
            t=tenant_id,
            a=selector.account_id,
        )
        if row is None or row[0] == "shopify" or row[1] == "DISCONNECTED":
            raise LookupError(
                f"there is no marketplace account {selector.account_id}: oneshelf channels list shows them"
            )
    if selector.goods == "sku" and not facts_of(tx, tenant_id, [selector.value]):
        raise LookupError(f"the shop has no SKU {selector.value}")


def _cleaned(tx: Tx, tenant_id: int, says: Mapping[str, str]) -> dict[str, str]:
    """Return the texts in the form in which they are kept; amounts without a currency are in the shop's."""
    said = {name: says.get(name, "").strip() for name in _SAYS}
    formula = parse_formula(said["price"]) if said["price"] not in ("", NONE) else None
    if formula is not None:
        said["price"] = formula.text
    if said["rounding"] not in ("", NONE):
        said["rounding"] = parse_rounding(said["rounding"]).text
    said["margin"] = said["margin"].removesuffix("%").strip()
    said["currency"] = said["currency"].upper()
    amounts = any(said[name] not in ("", NONE) for name in ("floor", "ceiling"))
    if amounts or (formula is not None and formula.has_amount):
        said["currency"] = said["currency"] or home_currency(tx, tenant_id)
    else:
        said["currency"] = ""
    return said


def _keep(tx: Tx, tenant_id: int, rule_no: int, kind: str, rule: PriceRule | PriceSale, now: int, by: str) -> None:
    selector = rule.selector
    row: dict[str, Any] = {
        "rule_no": rule_no,
        "kind": kind,
        "account_id": selector.account_id,
        "channel": selector.channel,
        "goods": selector.goods,
        "value": selector.value,
        "rank": selector.rank,
        **{name: getattr(rule, name, "") for name in _SAYS},
        "starts_at": getattr(rule, "starts_at", None),
        "ends_at": getattr(rule, "ends_at", None),
        "changed_at": now,
        "changed_by": by,
    }
    names = ", ".join(row)
    kept = ", ".join(f"{name} = excluded.{name}" for name in row if name != "rule_no")
    tx.run(
        f"INSERT INTO price_rule (tenant_id, {names}) VALUES (:t, {', '.join(f':{name}' for name in row)}) "
        f"ON CONFLICT (tenant_id, rule_no) DO UPDATE SET {kept}",
        t=tenant_id,
        **row,
    )


def spoken_of(tx: Tx, tenant_id: int) -> set[tuple[str, str]]:
    """Return what rules and sales name, as (goods, value in the form in which it is compared), SKUs left out; and ("cost", ""),
    ("compare_at", "") where one is made of these."""
    found = {
        (goods, folded(value))
        for goods, value in tx.all(
            "SELECT DISTINCT goods, value FROM price_rule WHERE tenant_id = :t AND goods NOT IN ('sku', 'all')",
            t=tenant_id,
        )
    }
    for (price,) in tx.all("SELECT DISTINCT price FROM price_rule WHERE tenant_id = :t AND price <> ''", t=tenant_id):
        start = "" if price == NONE else parse_formula(price).start
        if start in ("cost", "compare_at"):
            found.add((start, ""))
    if tx.one("SELECT 1 FROM price_rule WHERE tenant_id = :t AND margin NOT IN ('', 'none') LIMIT 1", t=tenant_id):
        found.add(("cost", ""))
    return found
