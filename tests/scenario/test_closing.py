"""A location closes, and Shopify moves what lies there, and its orders, to another (SEMANTICS 5.7, 9.5; ADR 0029)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scenario.town import Town, thing, town

HOME, NORTH = "Main warehouse", "North"


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Town]:
    """Four MUGs at home, six in the north."""

    def carry(place: Town) -> None:
        place.console("shopify", "add_location", name=NORTH)
        place.console("shopify", "transfer", sku="MUG", quantity=6, origin=HOME, goal=NORTH)

    with town(tmp_path, thing("MUG", 10), before=carry) as found:
        yield found


def close(there: Town) -> None:
    there.console("shopify", "deactivate_location", location=NORTH, destination=HOME)


def reserved_in_the_shop(there: Town) -> int:
    levels = there.shops["shopify"].variant("MUG").inventory_item.levels.values()
    return sum(level.quantity("reserved") for level in levels)


def lies(there: Town) -> dict[str, tuple[int, int]]:
    """On hand and K of MUG, by location."""
    rows = there.rows(
        "SELECT p.name, s.on_hand, s.on_hand - s.committed - s.reserved - s.unavailable FROM stock_level s "
        "JOIN location p ON p.tenant_id = s.tenant_id AND p.location_id = s.location_id WHERE s.sku = 'MUG'"
    )
    return {name: (on_hand, k) for name, on_hand, k in rows}


def test_S9_5_what_is_held_at_a_location_that_closes_is_held_where_its_pieces_went_and_given_back_once(
    there: Town,
) -> None:
    """Two unpaid sales at Amazon are held in the north. An hour later they are paid and imported, and nothing is reserved any more."""
    for _ in range(2):
        there.buy("amazon", MUG=1)
    there.wait(300)
    assert reserved_in_the_shop(there) == 2
    close(there)
    there.wait(300)
    assert reserved_in_the_shop(there) == 2
    there.shows("MUG", 8)
    there.wait(3_600)
    assert (reserved_in_the_shop(there), len(there.copies())) == (0, 2)
    assert lies(there) == {HOME: (10, 8), NORTH: (0, 0)}
    there.shows("MUG", 8)
    there.true()


def test_S2_9_what_is_held_back_of_a_strict_sku_stays_held_back_and_is_dealt_out_again(there: Town) -> None:
    there.command("strict", sku="MUG", strict=True)
    there.wait(900)
    for _ in range(2):
        there.buy("amazon", MUG=1)
    there.wait(300)
    close(there)
    for _ in range(400):  # at no moment more than there is
        there.wait(10)
        assert sum(there.shown("MUG").values()) <= 8, there.shown("MUG")
    assert sum(there.shown("MUG").values()) == 8
    assert lies(there) == {HOME: (10, 8), NORTH: (0, 0)}
    there.true()


def test_S5_7_a_closing_whose_message_is_lost_counts_no_piece_twice(there: Town) -> None:
    """Shopify says only that there are more at home. That there are none in the north any more, a read tells by not telling of it."""
    there.faults.set("webhook_drop", 1.0)
    close(there)
    there.wait(5)
    there.faults.set("webhook_drop", 0.0)
    there.console("shopify", "restock", sku="MUG", quantity=1)
    for _ in range(60):
        there.wait(60)
        assert max(there.shown("MUG").values()) <= 11, there.shown("MUG")
    assert there.value("SELECT COUNT(*) FROM location WHERE active = 0") == 1
    assert lies(there) == {HOME: (11, 11), NORTH: (0, 0)}
    there.shows("MUG", 11)
    there.true()


def test_S2_14_what_a_channel_sold_from_its_only_location_counts_when_that_is_closed(there: Town) -> None:
    (north,) = [one for (one,) in there.rows("SELECT location_id FROM location WHERE name = :n", n=NORTH)]
    there.command("locations", account_id=there.account["amazon"], locations=[north])
    there.wait(300)
    there.buy("amazon", MUG=2)
    there.wait(300)
    close(there)
    there.wait(900)
    assert there.shown("MUG") == {"shopify": 8, "amazon": 0, "ebay": 8, "etsy": 8}
    there.wait(3_600)
    assert there.shown("MUG") == {"shopify": 8, "amazon": 0, "ebay": 8, "etsy": 8}


@pytest.mark.parametrize("heard", [True, False])
def test_S5_7_a_location_that_opens_again_counts_what_is_carried_back_once(there: Town, heard: bool) -> None:
    """With an order that waited there, and a hold; whether its message comes or the locations are read."""
    for _ in range(2):
        there.buy("amazon", MUG=1)
    there.wait(120)
    close(there)
    there.wait(3_600)
    if not heard:
        there.faults.set("webhook_drop", 1.0)
    there.console("shopify", "activate_location", location=NORTH)
    there.console("shopify", "transfer", sku="MUG", quantity=3, origin=HOME, goal=NORTH)
    there.wait(5)
    there.faults.set("webhook_drop", 0.0)
    for _ in range(120):
        there.wait(60)
        assert max(there.shown("MUG").values()) <= 8, there.shown("MUG")
    there.shows("MUG", 8)
    assert lies(there) == {HOME: (7, 5), NORTH: (3, 3)}
    there.true()
    close(there)  # and once more
    there.wait(3_600)
    there.shows("MUG", 8)
    assert lies(there) == {HOME: (10, 8), NORTH: (0, 0)}
    there.true()


def test_S2_9_a_location_that_closes_and_opens_again_while_nobody_listens_takes_no_hold_with_it(there: Town) -> None:
    """Found by the simulator: what was held back there counted as given back by hand, and where it had gone as another app's, for good."""
    there.command("strict", sku="MUG", strict=True)
    there.buy("amazon", MUG=1)
    there.wait(900)
    there.kill()
    close(there)
    there.console("shopify", "activate_location", location=NORTH)
    there.wait(300)
    there.start()
    there.wait(3_600)
    assert lies(there) == {HOME: (10, 9), NORTH: (0, 0)}
    assert sum(there.shown("MUG").values()) == 9
    assert there.value("SELECT SUM(foreign_reserved) FROM stock_level") == 0
    there.true()
