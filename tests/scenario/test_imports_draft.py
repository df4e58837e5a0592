"""A marketplace order as it is to stand in the shop: whole pieces, sums that agree to the minor unit (SEMANTICS 14.5, 14.6)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scenario.engine import START

from oneshelf.channels.contract import HubOrderDraft
from oneshelf.core.facts import LineSeen, Money, OrderSeen, OrderTotals, Payment, TaxLine
from oneshelf.core.ids import ChannelName
from oneshelf.core.instants import from_us, to_us
from oneshelf.core.money import share_out, unit_prices
from oneshelf.core.rates import ExchangeRate
from oneshelf.imports.draft import CannotImport, HubItem, draft
from oneshelf.orders.rows import LineRow, OrderRow

_ITEMS = {sku: HubItem(sku, f"v-{sku}", sku, price) for sku, price in (("MUG", 1200), ("CUP", 800), ("FREE", 0))}


def row(line_id: str, sku: str, pieces: int, *, units: int = 1, cancelled: int = 0) -> LineRow:
    """A stored line of `pieces` pieces of which some were cancelled."""
    blank: dict[str, Any] = {name: 0 for name in LineRow.__struct_fields__}
    texts = dict.fromkeys(("listing_keys", "title", "location_id", "order_id", "coverage"), "")
    blank |= texts | {"state": "O", "line_id": line_id, "sku": sku, "units_per_listing": units}
    return LineRow(**{**blank, "ordered": pieces, "cancelled": cancelled})


def make(
    lines: list[LineSeen],
    rows: list[LineRow],
    *,
    total: int,
    shipping: int = 0,
    tax: int = 0,
    discount: int = 0,
    included: bool = False,
    shipping_taxes: tuple[TaxLine, ...] = (),
    currency: str = "EUR",
    rate: ExchangeRate | None = None,
) -> HubOrderDraft:
    def money(minor: int) -> Money:
        return Money(minor, currency)

    at = to_us(START)
    items = sum(line.subtotal.minor for line in lines if line.subtotal)
    totals = OrderTotals(
        money(items), money(shipping), money(tax), money(discount), money(total), included, shipping_taxes
    )
    seen = OrderSeen("E-1", Payment.PAID, tuple(lines), START, START, totals=totals)
    blank: dict[str, Any] = {name: 0 for name in OrderRow.__struct_fields__}
    order = OrderRow(**{**blank, "order_id": "E-1", "placed_at": at})
    return draft(
        order,
        seen,
        rows,
        _ITEMS,
        channel=ChannelName.EBAY,
        external_key="ebay:u:E-1",
        shop_currency="EUR",
        rate=rate,
    )


def line(
    line_id: str, units: int, subtotal: int, *, cancelled: int = 0, taxes: tuple[TaxLine, ...] = (), **more: Any
) -> LineSeen:
    currency = more.pop("currency", "EUR")
    return LineSeen(
        line_id, (), units, cancelled, subtotal=Money(subtotal, currency), taxes=taxes, title=line_id, **more
    )


def tax(minor: int, *, by_channel: bool = False) -> TaxLine:
    return TaxLine("VAT", Money(minor, "EUR"), "0.19", by_channel)


def priced(made: HubOrderDraft) -> list[tuple[str, int, int]]:
    return [(d.sku, d.pieces, d.unit_price_minor) for d in made.lines]


def adds_up(made: HubOrderDraft) -> bool:
    """Lines + shipping + tax − discount = total, by arithmetic of this test."""
    items = sum(d.pieces * d.unit_price_minor for d in made.lines)
    taxes = sum(t[2] for d in made.lines for t in d.taxes) + sum(t[2] for t in made.shipping_taxes)
    return items + made.shipping_minor + (0 if made.taxes_included else taxes) - made.discount_minor == made.total_minor


class TestPieces:
    def test_S14_6_a_price_that_does_not_divide_becomes_two_lines(self) -> None:
        made = make([line("l", 1, 1999)], [row("l", "MUG", 2, units=2)], total=1999)
        assert priced(made) == [("MUG", 1, 1000), ("MUG", 1, 999)]

    def test_S14_6_a_price_that_divides_is_one_line(self) -> None:
        assert priced(make([line("l", 1, 2000)], [row("l", "MUG", 2, units=2)], total=2000)) == [("MUG", 2, 1000)]

    def test_S14_6_a_bundle_becomes_its_parts_by_the_shops_prices(self) -> None:
        made = make([line("l", 1, 1700)], [row("l", "MUG", 1), row("l", "CUP", 1)], total=1700)
        assert priced(made) == [("MUG", 1, 1020), ("CUP", 1, 680)], "1700 × 1200 / 2000 and × 800 / 2000"

    def test_S14_6_the_remainder_goes_to_the_largest_fraction(self) -> None:
        made = make([line("l", 1, 1001)], [row("l", "MUG", 1), row("l", "CUP", 2)], total=1001)
        assert priced(made) == [("MUG", 1, 429), ("CUP", 2, 286)], "429.0 and 572.0"
        made = make([line("l", 1, 1000)], [row("l", "MUG", 1), row("l", "CUP", 2)], total=1000)
        assert priced(made) == [("MUG", 1, 429), ("CUP", 1, 286), ("CUP", 1, 285)], "428.6 and 571.4"

    def test_a_bundle_of_free_parts_shares_evenly(self) -> None:
        assert priced(make([line("l", 1, 500)], [row("l", "FREE", 1)], total=500)) == [("FREE", 1, 500)]

    def test_S14_6_each_piece_knows_its_marketplace_line(self) -> None:
        made = make([line("a", 1, 500), line("b", 1, 700)], [row("a", "MUG", 1), row("b", "CUP", 1)], total=1200)
        assert [d.marketplace_line_id for d in made.lines] == ["a", "b"]

    def test_a_price_of_nothing_is_a_price(self) -> None:
        assert priced(make([line("l", 2, 0)], [row("l", "MUG", 2)], total=0)) == [("MUG", 2, 0)]

    def test_a_sku_that_left_the_shop_is_a_persons_task(self) -> None:
        with pytest.raises(CannotImport, match="POT is not in the shop"):
            make([line("l", 1, 500)], [row("l", "POT", 1)], total=500)

    def test_a_line_without_a_price_is_a_persons_task(self) -> None:
        with pytest.raises(CannotImport, match="without a price"):
            make([LineSeen("l", (), 1)], [row("l", "MUG", 1)], total=0)


class TestSums:
    def test_S14_5_tax_on_top_shipping_and_discount_make_the_total(self) -> None:
        made = make(
            [line("l", 1, 1000, taxes=(tax(190),))],
            [row("l", "MUG", 1)],
            shipping=500,
            tax=285,
            discount=100,
            shipping_taxes=(tax(95),),
            total=1685,
        )
        assert (made.total_minor, made.shipping_minor, made.discount_minor) == (1685, 500, 100)
        assert adds_up(made)

    def test_S14_5_taxes_that_are_inside_the_prices_are_not_added(self) -> None:
        made = make([line("l", 1, 1190, taxes=(tax(190),))], [row("l", "MUG", 1)], tax=190, included=True, total=1190)
        assert (made.total_minor, made.taxes_included, adds_up(made)) == (1190, True, True)

    def test_S14_5_a_tax_is_shared_over_the_pieces_to_the_minor_unit(self) -> None:
        made = make([line("l", 1, 1999, taxes=(tax(101),))], [row("l", "MUG", 2, units=2)], tax=101, total=2100)
        assert [t[2] for d in made.lines for t in d.taxes] == [51, 50]

    def test_what_the_marketplace_keeps_of_the_tax_is_marked(self) -> None:
        made = make([line("l", 1, 1000, taxes=(tax(80, by_channel=True),))], [row("l", "MUG", 1)], tax=80, total=1080)
        assert made.lines[0].taxes == (("VAT", "0.19", 80, True),)

    @pytest.mark.parametrize(("told", "shipping", "discount"), [(1002, 2, 0), (998, 0, 2)])
    def test_FC_G04_its_rounding_goes_to_shipping_or_discount_and_is_at_most_two_a_line(
        self, told: int, shipping: int, discount: int
    ) -> None:
        made = make([line("l", 1, 1000)], [row("l", "MUG", 1)], total=told)
        assert (made.total_minor, made.shipping_minor, made.discount_minor) == (told, shipping, discount)
        assert adds_up(made)

    def test_S14_5_sums_that_do_not_agree_are_a_persons_task(self) -> None:
        with pytest.raises(CannotImport, match="make 1000, the marketplace says 1003"):
            make([line("l", 1, 1000)], [row("l", "MUG", 1)], total=1003)

    def test_S14_5_without_its_money_it_waits(self) -> None:
        blank: dict[str, Any] = {name: 0 for name in OrderRow.__struct_fields__}
        with pytest.raises(CannotImport, match="without its money"):
            draft(
                OrderRow(**{**blank, "order_id": "E-1"}),
                OrderSeen("E-1", Payment.PAID, (), START, START),
                [],
                _ITEMS,
                channel=ChannelName.EBAY,
                external_key="k",
                shop_currency="EUR",
                rate=None,
            )


class TestCurrency:
    def test_FC_G01_another_currency_without_a_rate_waits_never_1_to_1(self) -> None:
        with pytest.raises(CannotImport, match="no exchange rate"):
            make([line("l", 1, 1000, currency="PLN")], [row("l", "MUG", 1)], total=1000, currency="PLN")

    def test_S14_5_with_one_it_keeps_its_own_currency_and_names_the_rate(self) -> None:
        rate = ExchangeRate("0.2341", "ECB 2026-11-20")
        made = make([line("l", 1, 1000, currency="PLN")], [row("l", "MUG", 1)], total=1000, currency="PLN", rate=rate)
        assert (made.currency, made.total_minor, made.rate, made.rate_source) == (
            "PLN",
            1000,
            "0.2341",
            "ECB 2026-11-20",
        )

    def test_the_shops_own_currency_takes_no_rate(self) -> None:
        made = make([line("l", 1, 1000)], [row("l", "MUG", 1)], total=1000, rate=ExchangeRate("0.2341", "ECB"))
        assert (made.rate, made.rate_source) == (None, "")


class TestParts:
    """What was cancelled before the import, or is not ours to send."""

    def test_S5_3_pieces_cancelled_before_are_left_out_with_their_share_of_price_and_tax(self) -> None:
        made = make(
            [line("l", 3, 3000, cancelled=1, taxes=(tax(570),))],
            [row("l", "MUG", 3, cancelled=1)],
            tax=570,
            total=3570,
        )
        assert priced(made) == [("MUG", 2, 1000)]
        assert (made.total_minor, adds_up(made)) == (2380, True)

    def test_and_with_their_share_of_the_discount(self) -> None:
        made = make([line("l", 3, 3000, cancelled=2)], [row("l", "MUG", 3, cancelled=2)], discount=1500, total=1500)
        assert (made.discount_minor, made.total_minor) == (500, 500)

    def test_a_line_wholly_cancelled_before_is_left_out(self) -> None:
        rows = [row("a", "MUG", 1, cancelled=1), row("b", "CUP", 1)]
        made = make([line("a", 1, 1000, cancelled=1), line("b", 1, 700)], rows, total=1700)
        assert (priced(made), made.total_minor) == ([("CUP", 1, 700)], 700)

    def test_S1_12_a_line_that_is_not_ours_to_send_is_left_out(self) -> None:
        made = make(
            [line("fba", 1, 1000, fulfilled_by_channel=True), line("b", 1, 700)], [row("b", "CUP", 1)], total=1700
        )
        assert (priced(made), made.total_minor, adds_up(made)) == ([("CUP", 1, 700)], 700, True)

    def test_FC_F13_a_line_of_quantity_0_is_left_out_and_the_sums_still_agree(self) -> None:
        made = make([line("a", 0, 0), line("b", 1, 700)], [row("a", "MUG", 0), row("b", "CUP", 1)], total=700)
        assert (priced(made), made.total_minor) == ([("CUP", 1, 700)], 700)

    def test_an_order_of_nothing_is_a_persons_task(self) -> None:
        with pytest.raises(CannotImport, match="nothing of it"):
            make([line("a", 1, 700, cancelled=1)], [row("a", "MUG", 1, cancelled=1)], total=700)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 5000), st.integers(0, 900)),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 900),
    st.integers(0, 700),
    st.booleans(),
)
def test_S14_5_whatever_the_lines_the_sums_agree_to_the_minor_unit(
    told: list[tuple[int, int, int, int]], shipping: int, discount: int, included: bool
) -> None:
    lines = [line(str(i), units, price, taxes=(tax(vat),)) for i, (units, _, price, vat) in enumerate(told)]
    rows = [row(str(i), ("MUG", "CUP")[i % 2], units * per, units=per) for i, (units, per, _, _) in enumerate(told)]
    items, vat = sum(price for _, _, price, _ in told), sum(v for *_, v in told)
    total = items + shipping + (0 if included else vat) - discount
    made = make(lines, rows, total=total, shipping=shipping, tax=vat, discount=discount, included=included)
    assert adds_up(made) and made.total_minor == total
    assert sum(d.pieces for d in made.lines) == sum(units * per for units, per, _, _ in told)


class TestShares:
    def test_parts_add_up(self) -> None:
        assert share_out(1999, [1, 1]) == [1000, 999]
        assert share_out(-5, [3, 1]) == [-4, -1]
        assert share_out(7, [0, 0, 0]) == [3, 2, 2]

    def test_nobody_to_share_with(self) -> None:
        assert share_out(0, []) == []
        with pytest.raises(ValueError, match="among nobody"):
            share_out(1, [])
        with pytest.raises(ValueError, match="below 0"):
            share_out(1, [-1, 2])

    @given(st.integers(-(10**12), 10**12), st.lists(st.integers(0, 10**6), min_size=1, max_size=8))
    def test_largest_remainder_is_exact_and_fair(self, total: int, weights: list[int]) -> None:
        parts = share_out(total, weights)
        assert sum(parts) == total
        whole = sum(weights)
        if whole:
            assert all(abs(part * whole - total * weight) < whole for part, weight in zip(parts, weights, strict=True))

    @given(st.integers(0, 10**9), st.integers(1, 1000))
    def test_unit_prices_are_one_minor_unit_apart_at_most(self, subtotal: int, pieces: int) -> None:
        prices = unit_prices(subtotal, pieces)
        assert sum(n * price for n, price in prices) == subtotal
        assert sum(n for n, _ in prices) == pieces
        assert len(prices) <= 2 and max(p for _, p in prices) - min(p for _, p in prices) <= 1

    def test_a_price_for_no_pieces_is_refused(self) -> None:
        with pytest.raises(ValueError, match="0 pieces"):
            unit_prices(100, 0)


def test_the_draft_carries_the_time_of_purchase_and_its_key() -> None:
    made = make([line("l", 1, 1000)], [row("l", "MUG", 1)], total=1000)
    assert (made.placed_at, made.external_key) == (from_us(to_us(START)), "ebay:u:E-1")
    assert msgspec.structs.asdict(made)["tags"] == ("oneshelf", "ebay")
