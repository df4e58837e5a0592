"""Price rules out (docs/concepts/prices.md, P13 to P19), on both databases: who is marked, what is told, what waits for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.scenario.price_bench import PriceBench
from tests.scenario.publish_bench import HUB, SHOP, T

from oneshelf.channels.contract import HubFacts
from oneshelf.core.facts import Money
from oneshelf.core.instants import SECOND
from oneshelf.core.precedence import Selector
from oneshelf.core.slot import SlotState
from oneshelf.db.store import Store
from oneshelf.pricing import rule_file
from oneshelf.pricing.rates import enter_rate
from oneshelf.pricing.rules import drop_rule, sale_ticks, set_rule, set_sale
from oneshelf.pricing.what_if import WhatIf, changes, counted, reached_by, said, said_after
from oneshelf.publish import recovery
from oneshelf.publish.price_waiting import NothingWaits, approve, refuse, waiting

MINUTE, HOUR = 60, 3_600
FACTS = {
    "MUG": HubFacts("Acme", "Cups", ("gift", "Blue"), Money(700, "EUR"), Money(1500, "EUR")),
    "POT": HubFacts("Acme", "Pots", (), Money(200, "EUR")),
    "PAN": HubFacts("Brand", "Pots", ("gift",), Money(1000, "EUR")),
}


@pytest.fixture
def bench(store: Store) -> PriceBench:
    """Three listings and a set of two of them; every one asks what the shop asks, and nothing is owed."""
    bench = PriceBench(store)
    bench.facts = dict(FACTS)
    for name, asks in (("MUG", 1250), ("POT", 500), ("PAN", 2000)):
        bench.listing(name, {name: 1}, asks)
        bench.stock(name, 5)
    bench.listing("SET", {"MUG": 1, "POT": 1}, 1750)
    bench.hub(MUG=1250, POT=500, PAN=2000)
    bench.mark_prices()
    bench.run(MINUTE)
    assert bench.rest() == []
    bench.prices.writes.clear()
    bench.tx(lambda tx: tx.run("UPDATE account SET currency = 'EUR' WHERE account_id = :a", a=HUB))
    return bench


def rule(bench: PriceBench, selector: Selector = Selector(), **says: str) -> int:
    return bench.tx(lambda tx: set_rule(tx, T, selector, says, bench.now, by="Ada"))  # type: ignore[return-value]


def marked(bench: PriceBench) -> set[str]:
    """Who is marked; the marks are worked off."""
    names = {outlet: name for name, outlet in bench.ids.items()}
    found = {names[row[0]] for row in bench.all("SELECT outlet_id FROM price_mark")}
    bench.run(MINUTE)
    return found


def tag(value: str, **more: Any) -> Selector:
    return Selector(goods="tag", value=value, **more)


def test_P13_a_rule_is_told_and_its_attempt_says_why(bench: PriceBench) -> None:
    number = rule(bench, price="shop + 10%", rounding="ending .99")
    bench.run(MINUTE)
    assert bench.asked() == {"MUG": 1399, "POT": 599, "PAN": 2199, "SET": 1899}
    [(why,)] = bench.all(f"SELECT why FROM price_attempt WHERE outlet_id = {bench.ids['MUG']}")
    assert '"step": "rounded: ending .99"' in why and f'"rule": {number}' in why
    assert bench.tx(lambda tx: drop_rule(tx, T, number, bench.now, by="Ada"))
    bench.run(MINUTE)
    assert bench.asked() == {"MUG": 1250, "POT": 500, "PAN": 2000, "SET": 1750} and bench.rest() == []


@pytest.mark.parametrize(
    ("selector", "reached"),
    [
        (Selector(), {"MUG", "POT", "PAN", "SET"}),
        (Selector(account_id=SHOP), {"MUG", "POT", "PAN", "SET"}),
        (Selector(channel="ebay"), {"MUG", "POT", "PAN", "SET"}),
        (Selector(channel="etsy"), set()),
        (Selector(goods="sku", value="MUG"), {"MUG"}),
        (tag("GIFT"), {"MUG", "PAN"}),
        (Selector(goods="vendor", value="acme"), {"MUG", "POT", "SET"}),
        (Selector(goods="type", value="Pots"), {"POT", "PAN"}),
    ],
)
def test_P14_a_rule_marks_exactly_the_listings_all_of_whose_items_it_fits(
    bench: PriceBench, selector: Selector, reached: set[str]
) -> None:
    number = rule(bench, selector, price="shop + 10%")
    assert marked(bench) == reached
    assert {name for name, asks in bench.asked().items() if asks not in (1250, 500, 2000, 1750)} == reached
    bench.tx(lambda tx: drop_rule(tx, T, number, bench.now, by="Ada"))
    assert marked(bench) == reached


def test_P14_the_narrowest_rule_that_says_a_word_speaks(bench: PriceBench) -> None:
    rule(bench, price="shop + 10%", margin="10")
    rule(bench, Selector(goods="vendor", value="Acme"), price="shop + 20%")
    rule(bench, Selector(goods="sku", value="MUG"), rounding="ending .99")
    rule(bench, Selector(account_id=SHOP, goods="type", value="Pots"), price="shop")
    bench.run(MINUTE)
    assert bench.asked() == {"MUG": 1499, "POT": 500, "PAN": 2000, "SET": 2100}


@pytest.mark.parametrize(
    ("changed", "rules", "reached"),
    [
        ({"cost": Money(800, "EUR")}, [("", "cost + 50%")], {"MUG", "SET"}),
        ({"cost": Money(800, "EUR")}, [("gift", "shop + 10%")], set()),
        ({"compare_at": None}, [("", "compare_at")], {"MUG", "SET"}),
        ({"compare_at": None}, [("", "cost + 50%")], set()),
        ({"tags": ("gift",)}, [("blue", "shop + 10%")], {"MUG", "SET"}),
        ({"tags": ("Blue", "new")}, [("gift", "shop + 10%")], {"MUG", "SET"}),
        ({"tags": ("Gift", "Blue")}, [("gift", "shop + 10%"), ("blue", "shop")], set()),
    ],
)
def test_P19_a_fact_of_the_shop_marks_only_where_a_rule_is_made_of_it(
    bench: PriceBench, changed: Mapping[str, Any], rules: list[tuple[str, str]], reached: set[str]
) -> None:
    for name, price in rules:
        rule(bench, tag(name) if name else Selector(), price=price)
    bench.run(MINUTE)
    before = {"vendor": "Acme", "product_type": "Cups", "tags": ("gift", "Blue")}
    before |= {"cost": Money(700, "EUR"), "compare_at": Money(1500, "EUR")}
    bench.facts["MUG"] = HubFacts(**{**before, **changed})
    bench.hub(MUG=1250, POT=500, PAN=2000)
    assert marked(bench) == reached and bench.rest() == []


def test_P15_a_rate_marks_who_asks_in_its_currency_and_no_rate_is_no_price(bench: PriceBench) -> None:
    bench.prices.asks["MUG"] = Money(1500, "USD")
    bench.mark_prices()
    bench.run(MINUTE)
    assert bench.price_slot("MUG").parked == "no_price/currency" and bench.open_tasks() == ["no_price_to_follow"]
    bench.tx(lambda tx: enter_rate(tx, T, "usd", "0.80", "ECB 2026-11-20", bench.now, by="Ada"))
    assert marked(bench) == {"MUG"} and bench.asked()["MUG"] == 1563 and bench.open_tasks() == []
    rule(bench, Selector(goods="sku", value="PAN"), price="20", currency="USD")
    bench.run(MINUTE)
    bench.tx(lambda tx: enter_rate(tx, T, "USD", "1.00", "ECB 2026-11-27", bench.now, by="Ada"))
    assert marked(bench) == {"MUG", "PAN"} and (bench.asked()["MUG"], bench.asked()["PAN"]) == (1250, 2000)


def sale(bench: PriceBench, price: str = "price - 20%", selector: Selector = tag("gift")) -> int:
    start, end = bench.now + HOUR * SECOND, bench.now + 2 * HOUR * SECOND
    return bench.tx(lambda tx: set_sale(tx, T, selector, price, start, end, bench.now, by="Ada"))  # type: ignore[return-value]


def tick(bench: PriceBench) -> int:
    return bench.tx(lambda tx: sale_ticks(tx, T, bench.now))  # type: ignore[return-value]


def test_P17_a_sale_begins_and_ends_by_the_clock_once_each(bench: PriceBench) -> None:
    sale(bench)
    assert tick(bench) == 0 and marked(bench) == set()
    bench.now += HOUR * SECOND
    assert tick(bench) == 1 and marked(bench) == {"MUG", "PAN"}
    assert bench.asked() == {"MUG": 1000, "POT": 500, "PAN": 1600, "SET": 1750}
    bench.hub(MUG=1300, POT=500, PAN=2000)
    bench.run(MINUTE)
    assert bench.asked()["MUG"] == 1040 and tick(bench) == 0
    bench.now += HOUR * SECOND
    assert tick(bench) == 1 and marked(bench) == {"MUG", "PAN"} and tick(bench) == 0
    assert bench.asked() == {"MUG": 1300, "POT": 500, "PAN": 2000, "SET": 1800} and bench.rest() == []


def test_P17_a_sale_whose_start_was_slept_through_is_told_and_one_that_is_over_leaves_nothing(
    bench: PriceBench,
) -> None:
    number = sale(bench)
    bench.now += HOUR * SECOND + 20 * MINUTE * SECOND
    bench.recover()
    assert tick(bench) == 1 and marked(bench) >= {"MUG", "PAN"} and bench.asked()["MUG"] == 1000
    bench.tx(lambda tx: drop_rule(tx, T, number, bench.now, by="Ada"))
    assert marked(bench) == {"MUG", "PAN"} and bench.asked()["MUG"] == 1250
    sale(bench)
    bench.now += 5 * HOUR * SECOND
    assert tick(bench) == 1
    marked(bench)
    assert bench.asked()["MUG"] == 1250 and tick(bench) == 0


def test_P18_a_price_far_from_what_is_asked_waits_and_only_that_price_is_approved(bench: PriceBench) -> None:
    bench.limits(band=50)
    bench.hub(MUG=1250, POT=500, PAN=200)  # a slip of the shop's: 2.00 for 20.00
    bench.run(MINUTE)
    assert bench.asked()["PAN"] == 2000 and bench.prices.writes == [] and bench.open_tasks() == ["price_waits"]
    slot = bench.price_slot("PAN")
    assert (slot.state, slot.parked) == (SlotState.PARKED, "waits")
    [one] = bench.tx(lambda tx: waiting(tx, T))  # type: ignore[misc]
    assert (one.asks, one.would_ask, one.currency) == (2000, 200, "EUR")
    bench.mark_prices()  # the sweep reads it again: it goes on waiting
    bench.run(MINUTE)
    assert bench.price_slot("PAN").parked == "waits"
    bench.tx(lambda tx: approve(tx, T, [one.listing], bench.now, by="Ada"))
    bench.hub(MUG=1250, POT=500, PAN=210)
    bench.run(MINUTE)
    assert bench.asked()["PAN"] == 2000, "another price than the one that was approved"
    bench.hub(MUG=1250, POT=500, PAN=200)
    bench.run(MINUTE)
    assert bench.asked()["PAN"] == 200 and bench.open_tasks() == [] and bench.rest() == []


def test_P18_a_refused_price_is_not_told_and_the_next_one_is_looked_at_anew(bench: PriceBench) -> None:
    bench.limits(band=50)
    bench.hub(MUG=1250, POT=500, PAN=200)
    bench.run(MINUTE)
    with pytest.raises(NothingWaits):
        bench.tx(lambda tx: refuse(tx, T, [bench.ids["POT"]], bench.now, by="Ada"))
    bench.tx(lambda tx: refuse(tx, T, [bench.ids["PAN"]], bench.now, by="Ada"))
    assert bench.open_tasks() == [] and bench.price_slot("PAN").parked == "said_no"
    bench.prices.reads.clear()
    bench.mark_prices()
    bench.run(MINUTE)
    assert bench.price_slot("PAN").parked == "said_no" and not any("PAN" in names for names in bench.prices.reads)
    bench.tx(lambda tx: recovery.retry_prices(tx, T, [bench.ids["PAN"]], bench.now, "Ada"))
    bench.run(MINUTE)
    assert bench.price_slot("PAN").parked == "said_no" and bench.open_tasks() == [] and bench.prices.writes == []
    bench.hub(MUG=1250, POT=500, PAN=1900)
    bench.run(MINUTE)
    assert bench.asked()["PAN"] == 1900 and bench.rest() == []


def test_P18_a_sale_ends_and_a_foreign_price_is_put_right_without_asking(bench: PriceBench) -> None:
    bench.limits(band=50)
    sale(bench, "price - 50%", Selector(goods="sku", value="MUG"))
    bench.now += HOUR * SECOND
    tick(bench)
    bench.run(MINUTE)
    assert bench.asked()["MUG"] == 625
    bench.now += HOUR * SECOND
    tick(bench)
    bench.run(MINUTE)
    assert bench.asked()["MUG"] == 1250, "back by 100 %"
    bench.prices.asks["MUG"] = Money(9900, "EUR")
    bench.mark_prices()
    bench.run(MINUTE)
    assert bench.asked()["MUG"] == 1250 and bench.open_tasks() == []


def test_P20_a_preview_changes_nothing_and_says_what_the_change_then_does(bench: PriceBench) -> None:
    bench.limits(band=50)
    bench.run(MINUTE)
    before = bench.all("SELECT COUNT(*) FROM journal"), bench.all("SELECT COUNT(*) FROM price_rule")
    where, says = Selector(goods="vendor", value="Acme"), {"price": "cost * 3", "ceiling": "20"}

    def look(tx: Any) -> WhatIf:
        reached = reached_by(tx, T, [where])
        after, _ = said_after(tx, T, lambda inner: set_rule(inner, T, where, says, bench.now, by="Ada"), bench.now)
        return counted(changes(tx, T, reached, said(tx, T, bench.now), after, bench.now), len(reached))

    shown: WhatIf = bench.tx(look)  # type: ignore[assignment]
    after = bench.all("SELECT COUNT(*) FROM journal"), bench.all("SELECT COUNT(*) FROM price_rule")
    assert after == before and bench.all("SELECT COUNT(*) FROM price_mark") == [(0,)]
    rows = {row.external_id: (row.asks, row.will_be, row.far) for row in shown.rows}
    assert rows == {"MUG": (1250, 2000, True), "POT": (500, 600, False), "SET": (1750, 2700, True)}
    assert (shown.reached, shown.rise, shown.fall, shown.same, shown.without, shown.far) == (3, 3, 0, 0, 0, 2)
    rule(bench, where, **says)
    bench.run(MINUTE)
    waits = {one.external_id: one.would_ask for one in bench.tx(lambda tx: waiting(tx, T))}  # type: ignore[attr-defined]
    assert waits == {"MUG": 2000, "SET": 2700} and bench.asked()["POT"] == 600


HEADING = "kind,account,channel,goods,value,rank,price,rounding,floor,ceiling,margin,currency,starts_at,ends_at\r\n"


def imported(bench: PriceBench, text: str) -> rule_file.Imported:
    return bench.tx(lambda tx: rule_file.apply(tx, T, rule_file.read_csv(text), bench.now, by="Ada"))  # type: ignore[return-value]


def test_P20_a_file_is_the_whole_list_and_undo_brings_back_what_was(bench: PriceBench) -> None:
    rule(bench, price="shop + 10%")
    rule(bench, tag("=gift"), floor="9.90")
    sale(bench, "5.00", Selector(goods="sku", value="PAN"))
    old: str = bench.tx(lambda tx: rule_file.to_csv(tx, T))  # type: ignore[assignment]
    assert "'=gift" in old and old.startswith(HEADING)
    done = imported(bench, old)
    assert (done.kept, done.taken_back, done.same, done.problems) == (0, 0, 3, ())
    done = imported(bench, HEADING + "rule,,,all,,,shop + 20%,ending .99,,,,,,\r\nrule,,,sku,POT,,,,none,,10,,,\r\n")
    assert (done.kept, done.taken_back, done.same, done.problems) == (2, 2, 0, ())
    bench.run(MINUTE)
    assert bench.asked()["POT"] == 599
    undone = bench.tx(lambda tx: rule_file.undo(tx, T, bench.now, by="Ada"))
    assert bench.tx(lambda tx: rule_file.to_csv(tx, T)) == old, undone
    bench.run(MINUTE)
    assert bench.asked()["POT"] == 550
    with pytest.raises(LookupError):
        bench.tx(lambda tx: rule_file.undo(tx, T, bench.now, by="Ada"))


def test_P20_every_row_that_can_t_be_kept_is_named(bench: PriceBench) -> None:
    rows = [
        "rule,,,all,,,shop +,,,,,,,",
        "rule,77,,all,,,shop,,,,,,,",
        "rule,,,sku,NOPE,,shop,,,,,,,",
        "rule,,,color,red,,shop,,,,,,,",
        "rule,x,,all,,,shop,,,,,,,",
        "sale,,,all,,,price - 10%,,,,,,2099-01-01,yesterday",
        "sale,,,all,,,price - 10%,,9,,,,2099-01-01,2099-01-02",
        "rule,,,tag,gift,,shop,,,,,,,",
        "rule,,,tag,Gift,,cost,,,,,,,",
        "thing,,,all,,,shop,,,,,,,",
    ]
    done = imported(bench, HEADING + "\r\n".join(rows))
    assert [number for number, _ in done.problems] == [2, 3, 4, 5, 6, 7, 8, 10, 11] and done.kept == 1
    assert imported(bench, "price\r\n").problems == (
        (1, "the file has no column kind, goods, value; it needs kind, goods, value, price"),
    )
