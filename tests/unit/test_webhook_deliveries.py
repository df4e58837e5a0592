"""Events are written with what they tell of, handed out once, tried again on a schedule, and never forgotten while somebody waits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.seeding import NOW, TENANT, account, item, linked, location, stock

from oneshelf.core.errors import NotThere
from oneshelf.core.instants import SECOND
from oneshelf.db.events import events, tell
from oneshelf.db.journal import close_task, open_task
from oneshelf.db.store import Store, transaction
from oneshelf.db.tx import Tx
from oneshelf.tenants.accounts import ensure_tenant, set_state
from oneshelf.tenants.seal import Sealer
from oneshelf.webhooks import endpoints
from oneshelf.webhooks.deliveries import (
    AT_ONCE,
    DISABLED_AFTER_US,
    LEASE_US,
    RETRIES_S,
    Call,
    Heard,
    deliveries,
    forget,
    plan,
    replay,
    settle,
)
from oneshelf.webhooks.endpoints import EndpointRefused, checked_url

SEALER = Sealer(b"k" * 32)
URL = "https://erp.example.com/hook"
OK, NO = Heard(204), Heard(500, "it answered 500")


@pytest.fixture
def tx(store: Store) -> Iterator[Tx]:
    with transaction(store) as tx:
        ensure_tenant(tx, TENANT, "one", NOW)
        yield tx


def endpoint(tx: Tx, *kinds: str, url: str = URL) -> int:
    made = endpoints.create(tx, SEALER, TENANT, url, kinds, "", NOW, by="a test", allow_private=False)
    return made.endpoint


def happen(tx: Tx, *ids: int, kind: str = "listing.changed", now: int = NOW) -> None:
    tell(tx, TENANT, now, kind, [{"listing": n} for n in ids])


def due(tx: Tx, now: int = NOW, busy: int = 0, number: int = 1) -> list[Call]:
    return plan(tx, SEALER, TENANT, {number: busy}, now)


def states(tx: Tx, number: int = 1) -> list[tuple[int, str, int]]:
    return [(one.event, one.state, one.tries) for one in reversed(deliveries(tx, TENANT, number))]


def test_what_happens_is_written_in_the_transaction_that_does_it(tx: Tx) -> None:
    number = endpoint(tx)
    ebay = account(tx, state="LIVE")
    location(tx, "L1")
    item(tx, "MUG")
    stock(tx, 5)
    listing = linked(tx, ebay, "a", {"MUG": 1})
    set_state(tx, TENANT, ebay, "PAUSED", NOW)
    open_task(tx, TENANT, NOW, "x", "y", "Do it")
    close_task(tx, TENANT, NOW, "x", "y")
    close_task(tx, TENANT, NOW, "x", "y")
    assert [(one.kind, one.ids) for one in events(tx, TENANT)] == [
        ("account.state_changed", {"account": ebay, "state": "LIVE"}),
        ("stock.changed", {"sku": "MUG", "location": "L1"}),
        ("listing.changed", {"listing": listing}),
        ("account.state_changed", {"account": ebay, "state": "PAUSED"}),
        ("task.opened", {"task": 1, "kind": "x"}),
        ("task.closed", {"task": 1, "kind": "x"}),
    ]
    endpoints.remove(tx, TENANT, number, NOW, by="a test")
    open_task(tx, TENANT, NOW, "x", "z", "Nobody hears it")
    assert len(events(tx, TENANT)) == 6


def test_an_endpoint_hears_its_kinds_from_when_it_was_made(tx: Tx) -> None:
    endpoint(tx)
    happen(tx, 1)
    later = endpoint(tx, "price.changed")
    happen(tx, 2)
    happen(tx, 3, kind="price.changed")
    assert [(call.endpoint, call.event) for call in due(tx)] == [(1, 1), (1, 2), (1, 3), (later, 3)]
    assert due(tx) == [], "each is under way"


def test_a_taken_message_is_done_and_one_without_an_end_is_sent_again_under_its_id(tx: Tx) -> None:
    endpoint(tx)
    happen(tx, 1, 2)
    one, two = due(tx)
    settle(tx, TENANT, one, OK, NOW)
    assert due(tx, NOW + LEASE_US - 1) == []
    (again,) = due(tx, NOW + LEASE_US)
    assert again.headers["webhook-id"] == two.headers["webhook-id"] == "evt_1_2" and again.body == two.body
    assert again.headers["webhook-signature"] != two.headers["webhook-signature"], "another moment"
    assert states(tx) == [(1, "DONE", 1), (2, "WAITING", 2)]


def test_a_refused_message_is_tried_on_the_schedule_and_given_up_after_it(tx: Tx) -> None:
    endpoint(tx)
    happen(tx, 1)
    now = NOW
    for tried, wait_s in enumerate(RETRIES_S, 1):
        (call,) = due(tx, now)
        settle(tx, TENANT, call, NO, now)
        # Another message is taken, so the endpoint itself is well.
        happen(tx, 100 + tried, now=now)
        tx.run("UPDATE webhook_endpoint SET rest_until = 0, failures = 0, failing_since = NULL")
        (other,) = due(tx, now)
        settle(tx, TENANT, other, OK, now)
        assert due(tx, now + wait_s * SECOND - 1) == []
        now += wait_s * SECOND
    (call,) = due(tx, now)
    settle(tx, TENANT, call, NO, now)
    assert states(tx)[0] == (1, "GIVEN_UP", len(RETRIES_S) + 1)
    assert replay(tx, TENANT, 1, now, by="a test", event_nos=[1]) == 1
    assert [call.event for call in due(tx, now + 10 * SECOND)] == [1]


def test_one_that_takes_nothing_is_asked_once_at_a_time_less_and_less(tx: Tx) -> None:
    endpoint(tx)
    happen(tx, *range(20))
    first = due(tx)
    assert len(first) == AT_ONCE
    assert due(tx, busy=AT_ONCE) == []
    for call in first:
        settle(tx, TENANT, call, NO, NOW)
    rest = tx.one("SELECT failures, rest_until FROM webhook_endpoint")
    assert rest == (8, NOW + 5 * 2**6 * SECOND)
    assert due(tx, NOW + 60 * SECOND) == []
    (probe,) = due(tx, NOW + 320 * SECOND)
    assert due(tx, NOW + 320 * SECOND, busy=1) == []
    settle(tx, TENANT, probe, OK, NOW + 320 * SECOND)
    assert len(due(tx, NOW + 320 * SECOND)) == AT_ONCE


def test_it_waits_as_long_as_it_is_asked_to(tx: Tx) -> None:
    endpoint(tx)
    happen(tx, 1, 2)
    for call in due(tx):
        settle(tx, TENANT, call, Heard(429, "it answered 429", 900), NOW)
    assert tx.one("SELECT rest_until FROM webhook_endpoint") == (NOW + 900 * SECOND,)


def test_after_days_of_failing_it_is_disabled_with_a_task_and_enabling_it_sends_all(tx: Tx) -> None:
    endpoint(tx)
    happen(tx, 1)
    (call,) = due(tx)
    settle(tx, TENANT, call, NO, NOW)
    (call,) = due(tx, NOW + 400 * SECOND)
    settle(tx, TENANT, call, NO, NOW + DISABLED_AFTER_US)
    (shown,) = endpoints.endpoints(tx, TENANT)
    assert shown.state == "DISABLED" and shown.why.startswith("it took nothing since")
    happen(tx, 2, now=NOW + DISABLED_AFTER_US)
    assert due(tx, NOW + 2 * DISABLED_AFTER_US) == []
    assert tx.all("SELECT kind, subject FROM task WHERE closed_at IS NULL") == [("webhook_disabled", "1")]
    endpoints.enable(tx, TENANT, 1, NOW, by="a test")
    assert len(due(tx, NOW + 2 * DISABLED_AFTER_US)) == 4, "1, 2, and that its task was opened and closed"
    assert tx.all("SELECT kind FROM task WHERE closed_at IS NULL") == []


def test_410_means_no_more(tx: Tx) -> None:
    endpoint(tx)
    happen(tx, 1)
    settle(tx, TENANT, due(tx)[0], Heard(410, "it answered 410"), NOW)
    assert endpoints.endpoints(tx, TENANT)[0].state == "DISABLED"


def test_everything_since_a_moment_is_sent_again(tx: Tx) -> None:
    endpoint(tx, "listing.changed")
    for n in range(3):
        happen(tx, n, now=NOW + n * SECOND)
    happen(tx, 9, kind="price.changed", now=NOW + 3 * SECOND)
    for call in due(tx, NOW + 4 * SECOND):
        settle(tx, TENANT, call, OK, NOW + 4 * SECOND)
    assert replay(tx, TENANT, 1, NOW + 5 * SECOND, by="a test", since=NOW + SECOND) == 2
    assert [call.event for call in due(tx, NOW + 5 * SECOND)] == [2, 3]
    with pytest.raises(NotThere, match="no event 77"):
        replay(tx, TENANT, 1, NOW, by="a test", event_nos=[1, 77])
    with pytest.raises(NotThere, match="endpoint 5"):
        replay(tx, TENANT, 5, NOW, by="a test", event_nos=[1])
    with pytest.raises(NotThere, match="endpoint 1"):
        replay(tx, TENANT + 1, 1, NOW, by="a test", since=0)


def test_a_new_secret_signs_beside_the_older_one_for_a_day(tx: Tx) -> None:
    endpoint(tx)
    endpoints.rotate(tx, SEALER, TENANT, 1, NOW, by="a test")
    happen(tx, 1)
    assert due(tx)[0].headers["webhook-signature"].count("v1,") == 2
    assert due(tx, NOW + endpoints.OVERLAP_US)[0].headers["webhook-signature"].count("v1,") == 1
    sealed = tx.one("SELECT sealed FROM webhook_endpoint")
    assert sealed is not None and b"whsec" not in bytes(sealed[0])


def test_what_is_older_than_a_month_is_forgotten(tx: Tx) -> None:
    endpoint(tx)
    happen(tx, 1)
    due(tx)
    happen(tx, 2, now=NOW + SECOND)
    forget(tx, TENANT, NOW + SECOND + 30 * 86_400 * SECOND)
    assert [one.event for one in events(tx, TENANT)] == [2]
    assert tx.all("SELECT event_no FROM webhook_delivery") == []


@pytest.mark.parametrize(
    "url",
    [
        "http://erp.example.com/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://10.1.2.3/x",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost:8800/",
        "https://x.localhost/",
        "https://user:pw@erp.example.com/",
        "https://erp.example.com/#x",
        "ftp://erp.example.com/",
        "https://",
        "erp.example.com",
        "https://erp.example.com/\r\nX: y",
        "https://erp.example.com/" + "x" * 2_000,
    ],
)
def test_F50_an_address_that_must_not_be_called_is_refused_when_it_is_named(url: str) -> None:
    with pytest.raises(EndpointRefused):
        checked_url(url, allow_private=False)


def test_F50_a_receiver_beside_us_needs_the_setting() -> None:
    assert checked_url("http://127.0.0.1:9000/hook", allow_private=True) == "http://127.0.0.1:9000/hook"
