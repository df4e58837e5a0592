"""Which rule speaks (core/precedence): the order written out, and that it is total and unambiguous whatever the rules are."""

from __future__ import annotations

from itertools import permutations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.core.precedence import Book, ItemFacts, Selector, check, fits, key, why_lost


class Rule(msgspec.Struct, frozen=True):
    selector: Selector


MUG = ItemFacts("MUG", ("Kitchen", "sale"), "Kiln & Clay", "Tableware")
#: Narrowest first, at account 7 of Amazon.
ORDER = [
    Selector(7, "", "sku", "MUG"),
    Selector(7, "", "tag", "sale", 1),
    Selector(7, "", "tag", "kitchen"),
    Selector(7, "", "tag", "sale"),
    Selector(7, "", "vendor", "kiln & clay "),
    Selector(7, "", "type", "TABLEWARE"),
    Selector(7),
    Selector(0, "amazon", "sku", "MUG"),
    Selector(0, "amazon"),
    Selector(0, "", "sku", "MUG"),
    Selector(0, "", "type", "Tableware"),
    Selector(),
]
texts = st.sampled_from(("MUG", "mug", "Sale", "sale ", "SALE", "Kitchen", "ß", "SS"))
selectors = st.builds(
    lambda place, goods, value, rank: Selector(*place, goods, "" if goods == "all" else value, rank),
    st.sampled_from(((0, ""), (7, ""), (8, ""), (0, "amazon"), (0, "etsy"))),
    st.sampled_from(("sku", "tag", "vendor", "type", "all")),
    texts,
    st.integers(0, 3),
)
items = st.builds(ItemFacts, texts, st.lists(texts, max_size=3).map(tuple), texts, texts)


def test_the_narrowest_wins_whole_and_every_loser_says_why() -> None:
    book = Book([Rule(one) for one in reversed(ORDER)] + [Rule(Selector(8)), Rule(Selector(0, "", "tag", "garden"))])
    trace = book.trace(MUG, 7, "amazon")
    assert [one.rule.selector for one in trace] == ORDER
    assert trace[0].lost == "" and all(one.lost for one in trace[1:])
    assert trace[8].lost == "a rule for one account goes before one for one channel"
    assert why_lost(ORDER[2], ORDER[1]) == "rank 1 goes before rank 100"
    assert why_lost(ORDER[3], ORDER[2]) == "of equal rank, 'kitchen' goes before 'sale' by the alphabet"


def test_the_four_places_of_before_keep_their_order() -> None:
    """This account and SKU, this account, this SKU everywhere, everything."""
    four = [Selector(7, "", "sku", "MUG"), Selector(7), Selector(0, "", "sku", "MUG"), Selector()]
    for some in permutations(four):
        assert [r.selector for r in Book([Rule(one) for one in some]).fitting(MUG, 7, "amazon")] == four


def test_a_sku_is_compared_letter_by_letter_and_words_are_not() -> None:
    assert not fits(Selector(0, "", "sku", "mug"), MUG, 7, "amazon")
    assert fits(Selector(0, "", "tag", " KITCHEN"), MUG, 7, "amazon")
    assert not fits(Selector(0, "", "vendor", ""), ItemFacts("CUP"), 7, "amazon")
    assert Book([Rule(Selector(0, "", "sku", "mug"))]).winner(MUG, 7, "amazon") is None


@given(st.lists(selectors, max_size=12, unique=True), items, st.sampled_from(((7, "amazon"), (8, "etsy"))))
def test_the_order_is_total_and_unambiguous(rules: list[Selector], item: ItemFacts, at: tuple[int, str]) -> None:
    """Two different selectors never tie, so that the winner depends on no order of storing; and nothing that fits is left out."""
    assert len({key(one) for one in rules}) == len(rules)
    forward, backward = Book([Rule(one) for one in rules]), Book([Rule(one) for one in reversed(rules)])
    assert forward.trace(item, *at) == backward.trace(item, *at)
    found = [one.rule.selector for one in forward.trace(item, *at)]
    assert sorted(found, key=key) == found
    assert set(found) == {one for one in rules if fits(one, item, *at)}
    winner = forward.winner(item, *at)
    assert (winner.selector if winner else None) == (found[0] if found else None)


@pytest.mark.parametrize(
    ("selector", "words"),
    (
        (Selector(7, "amazon"), "not both"),
        (Selector(goods="tag"), "name the tag"),
        (Selector(value="MUG"), "names nothing"),
        (Selector(rank=-1), "rank"),
        (Selector(-1), "above 0"),
    ),
)
def test_what_is_no_selector_is_refused_in_words(selector: Selector, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check(selector)
