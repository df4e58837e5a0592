"""The merchant's rules for what an outlet may offer. The narrowest rule wins whole; rules are not added up.

In: account and SKUs; rules to keep. Out: the rule of each, and why it is that one. Tables it owns: offer_rule.
Never: computes an offer. Who changes rules for a person comes through publish/rule_changes, which looks at what the change would do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from oneshelf.core import offer_rule, precedence
from oneshelf.core.ids import HUB, ChannelName
from oneshelf.core.offer_rule import NO_RULE, Numbers, OfferRule
from oneshelf.core.precedence import Book, Fitting, ItemFacts, Selector, folded
from oneshelf.db.journal import note
from oneshelf.db.tx import Tx
from oneshelf.tenants.plan import plan_of

from . import dirty, items

#: In a selector: the rule is for every account, or for every SKU.
EVERY_ACCOUNT = 0
EVERY_SKU = ""

_COLUMNS = (
    "account_id, channel, goods, value, rank, safety_stock, safety_percent, cap, exactly, min_show, adaptive, cap_auto, low_at, low, "
    "except_locations"
)
#: Goods that rules know by what the hub tells of an item, so that an item may come to fit or cease to.
_BY_FACTS = ("tag", "vendor", "type")
#: How many outlets or SKUs one statement marks.
_AT_ONCE = 1_000


class Change(msgspec.Struct, frozen=True):
    """A rule to keep in the place of its selector; `rule` None: take it back."""

    selector: Selector
    rule: OfferRule | None


class Rules:
    """The rules that hold at one account, for some SKUs, with what decides between them."""

    def __init__(self, account_id: int, channel: str, rules: Iterable[OfferRule], facts: dict[str, ItemFacts]) -> None:
        self.account_id = account_id
        self.channel = channel
        self._book = Book(rules)
        self._facts = facts
        self._found: dict[str, OfferRule] = {}

    def of(self, sku: str) -> OfferRule:
        """Return the rule of a SKU; of EVERY_SKU: that of the account, or of all."""
        found = self._found.get(sku)
        if found is None:
            found = self._book.winner(self._item(sku), self.account_id, self.channel) or NO_RULE
            self._found[sku] = found
        return found

    def trace(self, sku: str) -> list[Fitting[OfferRule]]:
        """Return every rule that fits, the one that speaks first, and why each of the others lost."""
        return self._book.trace(self._item(sku), self.account_id, self.channel)

    def _item(self, sku: str) -> ItemFacts:
        return self._facts.get(sku) or ItemFacts(sku)


def rules_for(tx: Tx, tenant_id: int, account_id: int, skus: Iterable[str], changes: Sequence[Change] = ()) -> Rules:
    """Return the rules of these SKUs at this account; none where the plan has no buffer stock and the raise was accepted.

    `changes`: as if these had been made (for who asks what they would do).
    """
    if not plan_of(tx, tenant_id).rules_count:
        return Rules(account_id, "", [], {})
    wanted = sorted(set(skus))
    row = tx.one("SELECT channel FROM account WHERE tenant_id = :t AND account_id = :a", t=tenant_id, a=account_id)
    channel = row[0] if row is not None else ""
    rows = tx.all(
        f"""SELECT {_COLUMNS} FROM offer_rule WHERE tenant_id = :t AND account_id {{in:accounts}} AND channel {{in:channels}}
               AND goods IN ('all', 'tag', 'vendor', 'type')
             UNION ALL
            SELECT {_COLUMNS} FROM offer_rule WHERE tenant_id = :t AND account_id {{in:accounts}} AND channel {{in:channels}}
               AND goods = 'sku' AND value {{in:skus}}""",
        t=tenant_id,
        accounts=[account_id, EVERY_ACCOUNT],
        channels=[channel, ""],
        skus=wanted,
    )
    found = changed([_rule(row) for row in rows], changes)
    facts = {}
    if any(rule.selector.goods in _BY_FACTS for rule in found):
        facts = items.facts_of(tx, tenant_id, [sku for sku in wanted if sku])
    return Rules(account_id, channel, found, facts)


def all_rules(tx: Tx, tenant_id: int) -> list[OfferRule]:
    """Return every rule, in the order of precedence."""
    rows = tx.all(f"SELECT {_COLUMNS} FROM offer_rule WHERE tenant_id = :t", t=tenant_id)
    return sorted((_rule(row) for row in rows), key=lambda rule: precedence.key(rule.selector))


def changed(rules: Sequence[OfferRule], changes: Sequence[Change]) -> list[OfferRule]:
    """Return these rules as they would be after the changes."""
    if not changes:
        return list(rules)
    kept = {place_of(rule.selector): rule for rule in rules}
    for change in changes:
        kept.pop(place_of(change.selector), None)
        if change.rule is not None:
            kept[place_of(change.selector)] = change.rule
    return list(kept.values())


def place_of(selector: Selector) -> tuple[int, str, str, str]:
    """What makes two selectors the same place: everything but the rank and the spelling of words."""
    value = selector.value if selector.goods == "sku" else folded(selector.value)
    return (selector.account_id, selector.channel, selector.goods, value)


def _rule(row: Sequence[Any]) -> OfferRule:
    (
        account_id,
        channel,
        goods,
        value,
        rank,
        safety,
        percent,
        cap,
        exactly,
        min_show,
        adaptive,
        cap_auto,
        low_at,
        low,
        places,
    ) = row
    return OfferRule(
        Selector(account_id, channel, goods, value, rank),
        Numbers(safety, percent, cap, exactly, min_show, bool(adaptive), bool(cap_auto)),
        low_at,
        offer_rule.PLAIN if low == "{}" else msgspec.json.decode(low, type=Numbers),
        () if places == "[]" else tuple(msgspec.json.decode(places, type=list[str])),
    )


# --- changing -----------------------------------------------------------------------------------------------------------


class Known(msgspec.Struct, frozen=True):
    """What rules may name: {account: channel}, locations, and the shop's SKUs."""

    accounts: dict[int, str]
    locations: set[str]
    skus: set[str]


def known(tx: Tx, tenant_id: int, skus: Iterable[str] | None = None) -> Known:
    """Return what rules may name; `skus`: of the SKUs only these are looked for (None: all)."""
    accounts = tx.all(
        "SELECT account_id, channel FROM account WHERE tenant_id = :t AND state <> 'DISCONNECTED'", t=tenant_id
    )
    places = tx.all("SELECT location_id FROM location WHERE tenant_id = :t", t=tenant_id)
    if skus is None:
        found = tx.all("SELECT sku FROM item WHERE tenant_id = :t", t=tenant_id)
    else:
        found = tx.all(
            "SELECT sku FROM item WHERE tenant_id = :t AND sku {in:skus}", t=tenant_id, skus=sorted(set(skus))
        )
    return Known({row[0]: row[1] for row in accounts}, {row[0] for row in places}, {row[0] for row in found})


def check(rule: OfferRule, known: Known) -> None:
    """Raise ValueError with words if the rule can't be kept: a number that can't be, an account, SKU or location that is not there."""
    precedence.check(rule.selector)
    offer_rule.check(rule)
    selector = rule.selector
    if selector.account_id and selector.account_id not in known.accounts:
        raise ValueError(f"account {selector.account_id} is not connected; oneshelf channels list shows the accounts")
    if HUB in (selector.channel, known.accounts.get(selector.account_id)):
        raise ValueError("the shop shows what there is: rules are for marketplaces")
    if selector.channel and selector.channel not in tuple(ChannelName):
        raise ValueError(
            f"there is no channel {selector.channel!r}: {', '.join(one for one in ChannelName if one != HUB)}"
        )
    if selector.goods == "sku" and selector.value not in known.skus:
        raise ValueError(f"the shop has no SKU {selector.value}")
    if missing := [one for one in rule.except_locations if one not in known.locations]:
        raise ValueError(f"the shop has no location {', '.join(missing)}")


def same_place(tx: Tx, tenant_id: int, selector: Selector) -> OfferRule | None:
    """Return the rule that stands where this selector would, or None."""
    rows = (
        tx.all(
            f"SELECT {_COLUMNS} FROM offer_rule WHERE tenant_id = :t AND account_id = :a AND channel = :c AND goods = :g",
            t=tenant_id,
            a=selector.account_id,
            c=selector.channel,
            g=selector.goods,
        )
        if selector.goods != "sku"
        else tx.all(
            f"""SELECT {_COLUMNS} FROM offer_rule WHERE tenant_id = :t AND account_id = :a AND channel = :c AND goods = 'sku'
               AND value = :v""",
            t=tenant_id,
            a=selector.account_id,
            c=selector.channel,
            v=selector.value,
        )
    )
    return next((rule for rule in map(_rule, rows) if place_of(rule.selector) == place_of(selector)), None)


def keep(tx: Tx, tenant_id: int, rule: OfferRule, now: int, *, by: str) -> None:
    """Keep a rule in the place of its selector and mark every outlet dirty that it may concern."""
    before = same_place(tx, tenant_id, rule.selector)
    if before is not None:
        _delete(tx, tenant_id, before.selector)
    s, n = rule.selector, rule.numbers
    row = (s.account_id, s.channel, s.goods, s.value.strip() if s.goods != "sku" else s.value, s.rank)
    numbers = (n.safety_stock, n.safety_percent, n.cap, n.exactly, n.min_show, int(n.adaptive), int(n.cap_auto))
    low = (rule.low_at, _json(rule.low), _json(rule.except_locations))
    tx.many(
        f"INSERT INTO offer_rule (tenant_id, {_COLUMNS}) VALUES ({', '.join('?' * 16)})",
        [(tenant_id, *row, *numbers, *low)],
    )
    note(tx, tenant_id, now, by, "Offer rule set", subject_of(s), rule=msgspec.to_builtins(rule))
    _mark(tx, tenant_id, s, now)


def drop(tx: Tx, tenant_id: int, selector: Selector, now: int, *, by: str) -> bool:
    """Take the rule of this place back. False: there was none."""
    before = same_place(tx, tenant_id, selector)
    if before is None:
        return False
    _delete(tx, tenant_id, before.selector)
    note(tx, tenant_id, now, by, "Offer rule taken back", subject_of(selector), rule=msgspec.to_builtins(before))
    _mark(tx, tenant_id, selector, now)
    return True


def _delete(tx: Tx, tenant_id: int, s: Selector) -> None:
    tx.run(
        "DELETE FROM offer_rule WHERE tenant_id = :t AND account_id = :a AND channel = :c AND goods = :g AND value = :v",
        t=tenant_id,
        a=s.account_id,
        c=s.channel,
        g=s.goods,
        v=s.value,
    )


def set_rule(tx: Tx, tenant_id: int, account_id: int, sku: str, now: int, *, by: str, **numbers: Any) -> None:
    """Keep a rule for an account (0: all) and a SKU ("": all); `numbers` as core/offer_rule.Numbers. Raises ValueError."""
    rule = OfferRule(plain_selector(account_id, sku), Numbers(**numbers))
    offer_rule.check(rule)
    keep(tx, tenant_id, rule, now, by=by)


def drop_rule(tx: Tx, tenant_id: int, account_id: int, sku: str, now: int, *, by: str) -> bool:
    """Take back the rule for an account (0: all) and a SKU ("": all). False: there was none."""
    return drop(tx, tenant_id, plain_selector(account_id, sku), now, by=by)


def plain_selector(account_id: int, sku: str) -> Selector:
    return Selector(account_id, "", "sku" if sku else "all", sku)


def subject_of(selector: Selector) -> str:
    """How the journal names a rule."""
    return f"rule:{selector.account_id or selector.channel or 'all'}:{selector.goods}:{selector.value}"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


# --- who is concerned ---------------------------------------------------------------------------------------------------


def outlets_of(tx: Tx, tenant_id: int, selector: Selector) -> dict[int, list[int]]:
    """Return {account: its outlets} that a rule of this place may concern: marketplace outlets whose number is ours, at this account,
    channel or anywhere, that sell such goods."""
    skus = items.skus_of(tx, tenant_id, selector)
    query = """SELECT DISTINCT o.account_id, o.outlet_id FROM link k CROSS JOIN outlet o CROSS JOIN account a
                WHERE k.tenant_id = :t {skus} AND o.tenant_id = k.tenant_id AND o.outlet_id = k.outlet_id
                  AND a.tenant_id = o.tenant_id AND a.account_id = o.account_id AND a.channel <> 'shopify'
                  AND a.state <> 'DISCONNECTED' AND o.fulfilled_by_channel = 0 AND o.state NOT IN ('ended', 'draft', 'gone')
                  AND (:every_account = 1 OR o.account_id = :a) AND (:every_channel = 1 OR a.channel = :c)"""
    at: dict[str, Any] = {
        "t": tenant_id,
        "a": selector.account_id,
        "c": selector.channel,
        "every_account": int(selector.account_id == EVERY_ACCOUNT),
        "every_channel": int(not selector.channel),
    }
    found: dict[int, set[int]] = {}
    for some in [None] if skus is None else [skus[i : i + _AT_ONCE] for i in range(0, len(skus), _AT_ONCE)]:
        named = {} if some is None else {"some": some}
        for account_id, outlet_id in tx.all(
            query.replace("{skus}", "" if some is None else "AND k.sku {in:some}"), **at, **named
        ):
            found.setdefault(account_id, set()).add(outlet_id)
    return {account_id: sorted(outlets) for account_id, outlets in sorted(found.items())}


def _mark(tx: Tx, tenant_id: int, selector: Selector, now: int) -> None:
    for outlets in outlets_of(tx, tenant_id, selector).values():
        dirty.mark_outlets(tx, tenant_id, outlets, now, "an offer rule changed")


def hear_facts(tx: Tx, tenant_id: int, told: dict[str, ItemFacts], now: int) -> int:
    """Compare what the hub tells of items with what is stored: call it before it is stored. Where rules speak of tags, vendors or types,
    the outlets of changed items are planned again. Returns how many items that were."""
    if (
        not told
        or tx.one(
            "SELECT 1 FROM offer_rule WHERE tenant_id = :t AND goods IN ('tag', 'vendor', 'type') LIMIT 1", t=tenant_id
        )
        is None
    ):
        return 0
    skus = items.changed(tx, tenant_id, told)
    dirty.mark(tx, tenant_id, skus, now, "what the shop says of it changed, and a rule may speak of that")
    return len(skus)
