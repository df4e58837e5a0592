"""Tasks as a person sees them: in order of urgency, with what to do; done, put off; and the two that nobody else would open."""

from __future__ import annotations

import pytest
from tests.unit.seeding import NOW, TENANT, account, outlet
from tests.unit.seeding import found as listing

from oneshelf.core.errors import NotThere
from oneshelf.core.instants import SECOND, from_us
from oneshelf.db.journal import close_task, open_task
from oneshelf.db.store import Store, transaction
from oneshelf.db.tx import Tx
from oneshelf.listings import links
from oneshelf.watch import silence
from oneshelf.watch.tasks import NotSo, count, done, snooze, task, tasks

HOUR = 3600 * SECOND


def kinds(tx: Tx, now: int = NOW, **how: object) -> list[str]:
    return [one.kind for one in tasks(tx, TENANT, now, **how)]  # type: ignore[arg-type]


def test_the_most_urgent_first_then_the_next_due_then_the_oldest(store: Store) -> None:
    with transaction(store) as tx:
        open_task(tx, TENANT, NOW, "duplicate_sku", "MUG", "notice")
        open_task(tx, TENANT, NOW, "ship_deadline", "2/A-1", "late", due_at=NOW + 2 * HOUR)
        open_task(tx, TENANT, NOW - 1, "gone_from_hub", "CUP", "warning")
        open_task(tx, TENANT, NOW, "ship_deadline", "2/A-2", "later", due_at=NOW + 3 * HOUR)
        open_task(tx, TENANT, NOW, "listing_renamed", "7", "warning too")
        assert [one.what for one in tasks(tx, TENANT, NOW)] == ["late", "later", "warning", "warning too", "notice"]
        assert kinds(tx, severity="notice") == ["duplicate_sku"]
        assert [one.what for one in tasks(tx, TENANT, NOW, limit=2, after=2)] == ["later", "warning"]
        assert count(tx, TENANT, NOW) == {"urgent": 2, "warning": 2, "notice": 1}
        assert tasks(tx, TENANT + 1, NOW) == []


def test_a_task_says_what_it_is_about_and_what_to_do(store: Store) -> None:
    with transaction(store) as tx:
        ebay = account(tx)
        links.keep_listings(tx, TENANT, ebay, [listing("a mug")], NOW)
        number = outlet(tx, ebay, "a mug")
        open_task(tx, TENANT, NOW, "listing_refused", f"outlet:{number}", "It refuses")
        (one,) = tasks(tx, TENANT, NOW + HOUR, channel="ebay")
        assert (one.channel, one.account, one.listing, one.page) == ("ebay", ebay, number, f"/why/{number}")
        assert (one.severity, one.command, one.age_s) == ("urgent", f"oneshelf listings retry {number}", 3600)
        assert one.due_at == from_us(NOW + 24 * HOUR)  # its kind's own deadline
        assert tasks(tx, TENANT, NOW, channel="etsy") == []


def test_what_the_world_ends_is_not_ended_by_hand_and_what_a_person_ends_is(store: Store) -> None:
    with transaction(store) as tx:
        open_task(tx, TENANT, NOW, "unlinked_listing", "7", "Link it")
        open_task(tx, TENANT, NOW, "duplicate_sku", "MUG", "Give it to one only")
        with pytest.raises(
            NotSo, match=r"ends by itself when the listing is linked.*listings link 7 SKU.*tasks snooze 1"
        ):
            done(tx, TENANT, 1, NOW, by="merchant")
        assert done(tx, TENANT, 2, NOW + 1, by="merchant").closed_by == "merchant"
        assert done(tx, TENANT, 1, NOW, by="merchant", anyway=True).closed_at is not None
        assert kinds(tx) == []
        assert kinds(tx, closed=True) == ["duplicate_sku", "unlinked_listing"]
        with pytest.raises(NotThere, match="no task 9"):
            task(tx, TENANT, 9, NOW)
        with pytest.raises(NotThere):
            done(tx, TENANT + 1, 1, NOW, by="merchant")


def test_put_off_it_is_out_of_sight_until_then(store: Store) -> None:
    with transaction(store) as tx:
        open_task(tx, TENANT, NOW, "unlinked_listing", "7", "Link it")
        snooze(tx, TENANT, 1, 3600, NOW, by="merchant")
        assert (kinds(tx), kinds(tx, snoozed=True)) == ([], ["unlinked_listing"])
        assert count(tx, TENANT, NOW)["notice"] == 0
        assert kinds(tx, NOW + HOUR) == ["unlinked_listing"]
        assert snooze(tx, TENANT, 1, 0, NOW, by="merchant").snoozed_until is None
        assert kinds(tx) == ["unlinked_listing"]
        with pytest.raises(NotSo, match="up to 90 days"):
            snooze(tx, TENANT, 1, 91 * 86_400, NOW, by="merchant")
        close_task(tx, TENANT, NOW, "unlinked_listing", "7")
        with pytest.raises(NotSo, match="is over"):
            snooze(tx, TENANT, 1, 60, NOW, by="merchant")


# --- who listens ------------------------------------------------------------------------------------------------------


def feed(tx: Tx, account_id: int, polled_at: int, failing_since: int | None = None) -> None:
    tx.run(
        """INSERT INTO feed (tenant_id, account_id, name, polled_at, failing_since, problem) VALUES (:t, :a, 'orders', :p, :f, '')
           ON CONFLICT (tenant_id, account_id, name) DO UPDATE SET polled_at = excluded.polled_at, failing_since = excluded.failing_since""",
        t=TENANT,
        a=account_id,
        p=polled_at,
        f=failing_since,
    )


def test_a_channel_that_fails_or_is_not_asked_for_a_quarter_of_an_hour_is_silent_until_it_is_heard(
    store: Store,
) -> None:
    minute = 60 * SECOND
    with transaction(store) as tx:
        ebay = account(tx, state="LIVE")

        def silent(at: int, polled_at: int, failing_since: int | None = None, running_since: int = NOW) -> bool:
            feed(tx, ebay, polled_at, failing_since)
            silence.look(tx, TENANT, {ebay: 20.0}, running_since, at)
            return kinds(tx) == ["channel_silent"]

        assert not silent(NOW + 14 * minute, NOW + 14 * minute, NOW)
        assert silent(NOW + 16 * minute, NOW + 16 * minute, NOW)
        assert not silent(NOW + 17 * minute, NOW + 17 * minute)
        assert silent(NOW + 40 * minute, NOW + 17 * minute)  # the loop hangs
        assert not silent(NOW + 42 * minute, NOW + 17 * minute, running_since=NOW + 41 * minute)  # it has just begun
        tx.run("UPDATE account SET state = 'PAUSED'")
        assert not silent(NOW + 90 * minute, NOW + 17 * minute)


def test_a_service_that_stood_for_a_quarter_of_an_hour_says_so_at_its_next_start(store: Store) -> None:
    with transaction(store) as tx:
        account(tx, state="LIVE")
        silence.after_start(tx, TENANT, NOW)
        assert kinds(tx) == []  # the first start
        silence.after_start(tx, TENANT, NOW + 14 * 60 * SECOND)
        assert kinds(tx) == []
        silence.after_start(tx, TENANT, NOW + 14 * 60 * SECOND + HOUR)
        assert kinds(tx) == ["sync_stopped"]
