"""Alerts: nobody is told twice, nothing is forgotten; gathered, quiet at night, louder as a deadline nears, over when it is over."""

from __future__ import annotations

import pytest
from tests.unit.seeding import NOW, TENANT

from oneshelf.core.alerts import GAP_S, GATHER_S, Told, compose, is_quiet, retry_wait_s
from oneshelf.core.errors import NotThere
from oneshelf.core.instants import SECOND, to_us
from oneshelf.db.journal import close_task, open_task
from oneshelf.db.store import Store, transaction
from oneshelf.db.tx import Tx
from oneshelf.tenants.seal import Sealer
from oneshelf.watch import alerts
from oneshelf.watch.alerts import NotTaken, Outgoing
from oneshelf.watch.tasks import snooze

HOUR = 3600 * SECOND
SEALER = Sealer(b"k" * 32)
URGENT, WARNING, NOTICE = "listing_refused", "listing_renamed", "duplicate_sku"


def add(tx: Tx, address: str = "shop@example.com", **how: object) -> int:
    return alerts.add_receiver(tx, TENANT, "email", address, NOW, by="merchant", **how)[0]  # type: ignore[arg-type]


def turn(tx: Tx, now: int, problem: str = "") -> list[list[str]]:
    """One turn of the loop. Returns what each message told."""
    alerts.notice(tx, TENANT, now)
    alerts.compose_due(tx, TENANT, now, "token")
    sent = alerts.outgoing(tx, TENANT, now)
    for message in sent:
        alerts.settle(tx, TENANT, message, problem, now)
    return [[f"{told.stage.partition('/')[0]} {told.what}" for told in message.told] for message in sent]


def test_no_alert_twice_and_the_row_is_written_with_the_task(store: Store) -> None:
    with transaction(store) as tx:
        add(tx)
    with pytest.raises(RuntimeError), transaction(store) as tx:
        open_task(tx, TENANT, NOW, URGENT, "outlet:7", "undone")
        raise RuntimeError("the transaction is taken back, and the alert with it")
    with transaction(store) as tx:
        open_task(tx, TENANT, NOW, URGENT, "outlet:7", "refused")
        open_task(tx, TENANT, NOW, URGENT, "outlet:7", "refused")
        assert turn(tx, NOW) == [["opened refused"]]
        assert turn(tx, NOW + HOUR) == []


def test_only_who_wants_to_hear_of_it_is_told_each_once_and_nobody_of_another_tenant(store: Store) -> None:
    with transaction(store) as tx:
        add(tx, "a@example.com", least="urgent")
        add(tx, "b@example.com", least="notice")
        open_task(tx, TENANT + 1, NOW, URGENT, "outlet:7", "another's")
        open_task(tx, TENANT, NOW, NOTICE, "MUG", "notice")
        open_task(tx, TENANT, NOW, URGENT, "outlet:7", "urgent")
        told = turn(tx, NOW)
        assert sorted(map(sorted, told)) == [["opened notice", "opened urgent"], ["opened urgent"]]


def test_what_is_not_urgent_is_gathered_into_one_message(store: Store) -> None:
    with transaction(store) as tx:
        add(tx)
        for number in range(3):
            open_task(tx, TENANT, NOW + number * SECOND, WARNING, str(number), f"renamed {number}")
        assert turn(tx, NOW + (GATHER_S - 1) * SECOND) == []
        assert turn(tx, NOW + GATHER_S * SECOND) == [["opened renamed 0", "opened renamed 1", "opened renamed 2"]]


def test_a_storm_of_urgent_ones_is_a_message_a_minute(store: Store) -> None:
    with transaction(store) as tx:
        add(tx)
        open_task(tx, TENANT, NOW, URGENT, "outlet:1", "first")
        assert turn(tx, NOW) == [["opened first"]]
        for number in range(2, 80):
            open_task(tx, TENANT, NOW + SECOND, URGENT, f"outlet:{number}", f"more {number}")
        assert turn(tx, NOW + (GAP_S - 1) * SECOND) == []
        alerts.compose_due(tx, TENANT, NOW + (GAP_S + 1) * SECOND, "token")
        (message,) = alerts.outgoing(tx, TENANT, NOW + (GAP_S + 1) * SECOND)
        assert (message.count, len(message.told)) == (78, 50)
        assert "And 28 more." in compose(message.told, message.count, "").text


def test_at_night_only_the_urgent_is_told_and_the_rest_in_the_morning(store: Store) -> None:
    night = to_us(__import__("datetime").datetime.fromisoformat("2026-11-23T23:30:00+01:00"))
    with transaction(store) as tx:
        add(tx, quiet="22:00-07:00", timezone="Europe/Berlin")
        open_task(tx, TENANT, night, WARNING, "1", "renamed")
        assert turn(tx, night + HOUR) == []
        open_task(tx, TENANT, night, URGENT, "outlet:7", "refused")
        assert turn(tx, night + HOUR) == [["opened refused"]]
        assert turn(tx, night + 7 * HOUR) == []
        assert turn(tx, night + 8 * HOUR) == [["opened renamed"]]


@pytest.mark.parametrize(("minute", "quiet"), [(0, True), (419, True), (420, False), (1319, False), (1320, True)])
def test_quiet_hours_reach_over_midnight(minute: int, quiet: bool) -> None:
    assert is_quiet(minute * 60 * SECOND, 22 * 60, 7 * 60, "UTC") is quiet


def test_a_deadline_is_told_again_two_hours_before_and_when_it_is_past_even_to_those_of_urgent_ones_only(
    store: Store,
) -> None:
    with transaction(store) as tx:
        add(tx, least="urgent", quiet="00:00-23:59")
        open_task(tx, TENANT, NOW, WARNING, "7", "renamed", due_at=NOW + 5 * HOUR)
        assert turn(tx, NOW + 2 * HOUR) == []
        assert turn(tx, NOW + 3 * HOUR + SECOND) == [["nearing renamed"]]
        assert turn(tx, NOW + 4 * HOUR) == []
        assert turn(tx, NOW + 5 * HOUR) == [["overdue renamed"]]
        assert turn(tx, NOW + 9 * HOUR) == []


def test_who_opened_it_late_says_it_once(store: Store) -> None:
    with transaction(store) as tx:
        add(tx)
        open_task(tx, TENANT, NOW, "ship_deadline", "2/A-1", "ship", due_at=NOW + HOUR)
        assert turn(tx, NOW) == [["opened ship"]]
        assert turn(tx, NOW + HOUR // 2) == []
        open_task(tx, TENANT, NOW, "ship_deadline", "2/A-2", "was late already", due_at=NOW - HOUR)
        assert turn(tx, NOW + HOUR // 2) == [["opened was late already"]]


def test_over_is_told_to_who_was_told_and_only_to_him(store: Store) -> None:
    with transaction(store) as tx:
        add(tx)
        open_task(tx, TENANT, NOW, WARNING, "1", "told")
        assert turn(tx, NOW + GATHER_S * SECOND) == [["opened told"]]
        open_task(tx, TENANT, NOW + GATHER_S * SECOND, WARNING, "2", "over before it was told")
        tx.run("UPDATE task SET closed_at = :now", now=NOW + HOUR)
        assert turn(tx, NOW + HOUR) == []
        assert turn(tx, NOW + HOUR + GATHER_S * SECOND) == [["closed told"]]
        assert turn(tx, NOW + 9 * HOUR) == []


def test_a_mere_notice_is_not_told_to_be_over(store: Store) -> None:
    with transaction(store) as tx:
        add(tx, least="notice")
        open_task(tx, TENANT, NOW, NOTICE, "MUG", "two variants")
        assert len(turn(tx, NOW + GATHER_S * SECOND)) == 1
        close_task(tx, TENANT, NOW + HOUR, NOTICE, "MUG")
        assert turn(tx, NOW + 2 * HOUR) == turn(tx, NOW + 3 * HOUR) == []


def test_opened_anew_it_is_told_anew(store: Store) -> None:
    with transaction(store) as tx:
        add(tx)
        open_task(tx, TENANT, NOW, URGENT, "outlet:7", "refused")
        turn(tx, NOW)
        close_task(tx, TENANT, NOW + HOUR, URGENT, "outlet:7")
        open_task(tx, TENANT, NOW + HOUR, URGENT, "outlet:7", "refused")
        assert sorted(turn(tx, NOW + HOUR)[0]) == ["closed refused", "opened refused"]


def test_put_off_it_is_told_again_then_and_its_deadline_is_not_told_meanwhile(store: Store) -> None:
    with transaction(store) as tx:
        add(tx)
        open_task(tx, TENANT, NOW, WARNING, "7", "renamed", due_at=NOW + 6 * HOUR)
        turn(tx, NOW + GATHER_S * SECOND)
        snooze(tx, TENANT, 1, 5 * 3600, NOW, by="merchant")
        assert turn(tx, NOW + 4 * HOUR + SECOND) == []
        assert turn(tx, NOW + 5 * HOUR) == [["nearing renamed", "again renamed"]]


def test_not_taken_it_is_tried_again_with_the_same_key_for_as_long_as_it_takes(store: Store) -> None:
    with transaction(store) as tx:
        add(tx)
        open_task(tx, TENANT, NOW, URGENT, "outlet:7", "refused")
        now, keys = NOW, set()
        for attempt in range(1, 12):
            alerts.compose_due(tx, TENANT, now, f"token {attempt}")
            (message,) = alerts.outgoing(tx, TENANT, now)
            keys.add(message.message_key)
            alerts.settle(tx, TENANT, message, "it answered 500", now)
            assert alerts.outgoing(tx, TENANT, now + retry_wait_s(attempt) * SECOND - 1) == []
            now += retry_wait_s(attempt) * SECOND
        assert len(keys) == 1
        (receiver,) = alerts.receivers(tx, TENANT)
        assert (receiver.waiting, receiver.problem) == (2, "it answered 500")  # and the task that says so
        assert tx.all("SELECT why FROM task WHERE kind = 'alerts_not_sent'") == [("receiver 1: it answered 500",)]
        turn(tx, now)
        assert tx.all("SELECT 1 FROM task WHERE kind = 'alerts_not_sent' AND closed_at IS NULL") == []


def test_killed_between_sending_and_recording_it_goes_once_more_with_the_same_key(store: Store) -> None:
    with transaction(store) as tx:
        add(tx)
        open_task(tx, TENANT, NOW, URGENT, "outlet:7", "refused")
        alerts.compose_due(tx, TENANT, NOW, "before")
        (before,) = alerts.outgoing(tx, TENANT, NOW)
    with transaction(store) as tx:  # sent, and nothing recorded
        alerts.compose_due(tx, TENANT, NOW, "after")
        (after,) = alerts.outgoing(tx, TENANT, NOW)
        assert after.message_key == before.message_key
        alerts.settle(tx, TENANT, after, "", NOW)
        assert alerts.outgoing(tx, TENANT, NOW + HOUR) == []


def test_who_is_removed_hears_nothing_more_and_is_forgotten(store: Store) -> None:
    with transaction(store) as tx:
        number = add(tx)
        open_task(tx, TENANT, NOW, URGENT, "outlet:7", "refused")
        alerts.compose_due(tx, TENANT, NOW, "token")
        alerts.remove_receiver(tx, TENANT, number, NOW, by="merchant")
        assert (alerts.outgoing(tx, TENANT, NOW), alerts.receivers(tx, TENANT)) == ([], [])
        assert tx.all("SELECT address, sealed FROM alert_receiver") == [("", None)]
        with pytest.raises(NotThere, match="no receiver 1"):
            alerts.remove_receiver(tx, TENANT, number, NOW, by="merchant")
        assert add(tx) == 2


@pytest.mark.parametrize(
    ("way", "address", "how", "says"),
    [
        ("email", "nobody", {}, "no e-mail address"),
        ("email", "a@example.com\nBcc: b@example.com", {}, "no e-mail address"),
        ("webhook", "http://example.com/x", {}, "begins with https"),
        ("webhook", "https://user:pw@example.com/x", {}, "holds no password"),
        ("pigeon", "roof", {}, "email or webhook"),
        ("email", "a@example.com", {"least": "loud"}, "no severity"),
        ("email", "a@example.com", {"quiet": "22-7"}, "22:00-07:00"),
        ("email", "a@example.com", {"timezone": "Berlin"}, "no time zone"),
        ("email", "a@example.com", {"timezone": "../../etc/passwd"}, "no time zone"),
    ],
)
def test_a_bad_receiver_is_refused_with_words(
    store: Store, way: str, address: str, how: dict[str, str], says: str
) -> None:
    with transaction(store) as tx, pytest.raises(NotTaken, match=says):
        alerts.add_receiver(tx, TENANT, way, address, NOW, by="merchant", sealer=SEALER, random_bytes=b"r" * 32, **how)  # type: ignore[arg-type]


def test_a_webhooks_secret_is_sealed_and_not_in_the_journal(store: Store) -> None:
    with transaction(store) as tx:
        number, secret = alerts.add_receiver(
            tx, TENANT, "webhook", "https://example.com/x", NOW, by="m", sealer=SEALER, random_bytes=b"r" * 32
        )
        (sealed,) = tx.one("SELECT sealed FROM alert_receiver") or (b"",)
        assert secret.startswith("whsec_") and secret.encode() not in bytes(sealed)
        message = Outgoing(1, "k", number, "webhook", "", bytes(sealed), [], 0, 0)
        assert alerts.secret_for(SEALER, TENANT, message) == secret
        assert "example.com" not in str(tx.all("SELECT subject, what, detail FROM journal"))


def test_a_text_of_a_channel_stays_on_its_line() -> None:
    evil = "Link “x”\r\nBcc: everybody@example.com\x1b[31m"
    told = Told(1, "opened", "unlinked_listing", "7", evil, "", NOW, None, None)
    message = compose([told], 1, "https://shelf.example")
    assert message.headline == "Oneshelf: To do: Link “x” Bcc: everybody@example.com [31m"
    assert message.text.splitlines()[0].endswith("(task 1)")
    assert message.data["alerts"][0]["command"] == "oneshelf listings link 7 SKU"
