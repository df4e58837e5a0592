"""The commands about orders, by a running service: what is left to us, and a word on a short line."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from tests.scenario.service import AMAZON, EBAY, TENANT, Elsewhere, Shop, connected
from typer.testing import CliRunner

from oneshelf.cli import app
from oneshelf.core.errors import Park
from oneshelf.core.facts import LineSeen, OrderSeen, Payment
from oneshelf.core.instants import to_us
from oneshelf.db.tx import Tx
from oneshelf.orders.batch import Heard
from oneshelf.orders.book import book
from oneshelf.web.commands import COMMANDS


@pytest_asyncio.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    elsewhere = Elsewhere()
    shop = await Shop.open(tmp_path)
    await connected(shop, elsewhere)
    yield shop
    await shop.close()
    await elsewhere.close()


async def settings_of(shop: Shop) -> dict[str, str]:
    row = await shop.one("SELECT settings FROM account WHERE account_id = :a", a=AMAZON)
    assert row is not None
    return dict(json.loads(row[0]))


@pytest.mark.asyncio
async def test_S7_2_what_is_left_to_us_is_an_accounts_setting_and_begins_with_nothing(shop: Shop) -> None:
    assert "cancel_short" not in await settings_of(shop)
    done = await COMMANDS["leave"](shop.service, {"account_id": AMAZON, "short": "auto", "value_max_minor": 5000})
    assert done == {"account_id": AMAZON, "cancel_short": "auto", "cancel_short_value_max_minor": "5000"}
    assert (await settings_of(shop))["cancel_short"] == "auto"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("command", "payload", "words"),
    [
        ("leave", {"account_id": 99, "short": "auto"}, "Account 99 is not connected"),
        ("leave", {"account_id": AMAZON, "short": "always"}, "ask or auto"),
        ("leave", {"account_id": AMAZON, "value_max_minor": -1}, "0 or more"),
        ("decide", {"order": "X", "line": "", "word": "burn"}, "wait, backorder, cancel"),
        ("decide", {"order": "X", "line": "", "word": "wait"}, "no order X"),
    ],
)
async def test_what_cannot_be_done_says_why(shop: Shop, command: str, payload: dict[str, object], words: str) -> None:
    with pytest.raises(Park, match=words):
        await COMMANDS[command](shop.service, payload)


async def asked(shop: Shop, order_id: str, account_id: int = AMAZON) -> None:
    """Book an order that was placed long before its account went live."""
    await shop.run("UPDATE account SET live_at = 1 WHERE account_id = :a", a=account_id)
    then = datetime(1969, 12, 31, tzinfo=UTC)
    line = LineSeen("l1", ("sku:MUG",), 1, sku="MUG")
    seen = OrderSeen(order_id, Payment.PAID, (line,), then, then, number=f"N-{order_id}")
    heard = Heard(account_id, seen, 5, 5, "poll")

    def step(tx: Tx) -> None:
        book(tx, TENANT, [heard], 5)

    await shop.service.writer.do(step)


@pytest.mark.asyncio
async def test_S0_6_the_merchant_answers_what_an_order_from_before_the_start_is(shop: Shop) -> None:
    for order_id in ("A-1", "A-2"):
        await asked(shop, order_id)
    [why] = {why for kind, _, why in await shop.tasks() if kind == "order_before_live" and "A-1" in why}
    assert "oneshelf orders answer A-1 new" in why and "off-count" in why
    done = await COMMANDS["answer"](shop.service, {"order": "A-1", "word": "new"})
    assert done == {"order": "A-1", "account_id": AMAZON, "word": "new"}
    await COMMANDS["answer"](shop.service, {"order": "N-A-2", "word": "off-count"})
    rows = await shop.all("SELECT order_id, standing FROM orders ORDER BY order_id")
    assert rows == [("A-1", "live"), ("A-2", "off_count")]
    assert not [kind for kind, _, _ in await shop.tasks() if kind == "order_before_live"]


@pytest.mark.asyncio
async def test_S0_6_an_answer_that_does_not_fit_says_why_and_changes_nothing(shop: Shop) -> None:
    await asked(shop, "A-1")
    await asked(shop, "A-1", EBAY)
    with pytest.raises(Park, match="new or off-count"):
        await COMMANDS["answer"](shop.service, {"order": "A-1", "word": "perhaps"})
    with pytest.raises(Park, match="waits for an answer"):
        await COMMANDS["answer"](shop.service, {"order": "A-9", "word": "new"})
    with pytest.raises(Park, match="--account"):
        await COMMANDS["answer"](shop.service, {"order": "A-1", "word": "new"})
    assert (await COMMANDS["answer"](shop.service, {"order": "A-1", "word": "new", "account_id": EBAY}))[
        "order"
    ] == "A-1"
    with pytest.raises(Park, match="waits for an answer"):
        await COMMANDS["answer"](shop.service, {"order": "A-1", "word": "new", "account_id": EBAY})


@pytest.mark.asyncio
async def test_every_account_with_a_loop_runs_on(shop: Shop) -> None:
    """The loop of short lines and deadlines is started, and nothing of it ends the service."""
    assert await shop.service.writer.do(shop.service._look_at_short_lines) == set()
    assert not shop.service.stopping.is_set()


def test_the_command_line_lists_short_lines_and_parcels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from oneshelf.db.sqlite import SqliteStore
    from oneshelf.db.store import transaction

    path = tmp_path / "oneshelf.db"
    store = SqliteStore(str(path))
    store.open()
    with transaction(store) as tx:
        tx.run(
            "INSERT INTO account (tenant_id, account_id, channel, external_id, label, state, connected_at) "
            "VALUES (1, 2, 'ebay', 'e', 'Ebay', 'LIVE', 0)"
        )
        tx.run(
            "INSERT INTO order_line (tenant_id, order_no, line_id, sku, state, account_id, order_id, coverage, short_since, committed) "
            "VALUES (1, 1, 'l1', 'MUG', 'O', 2, 'E-1', 'SHORT', 1000000, 2)"
        )
        tx.run(
            "INSERT INTO orders (tenant_id, order_no, account_id, order_id, placed_at, received_at, decided_at, payment, state) "
            "VALUES (1, 1, 2, 'E-1', :now, 0, 0, 'paid', 'OPEN')",
            now=to_us(datetime.now(UTC)),
        )
        tx.run(
            "INSERT INTO shipment (tenant_id, order_no, shipment_id, line_id, account_id, units, state, shipped_at, due_at, reason) "
            "VALUES (1, 1, 'F1', 'l1', 2, 1, 'REFUSED', 0, 0, 'no such carrier')"
        )
    store.close()
    monkeypatch.setenv("ONESHELF_DATA_DIR", str(tmp_path))
    short = json.loads(CliRunner().invoke(app, ["orders", "short", "--json"]).stdout)
    assert [(one["order_id"], one["pieces"], one["decision"]) for one in short] == [("E-1", 2, "")]
    rates = [(one["cancel_rate_now"], one["cancel_rate_after"], one["cancel_rate_limit"]) for one in short]
    assert rates == [(0.0, 100.0, 2.0)], "S7.5: before a cancel it stands there what it would do"
    assert "limit 2 %" in CliRunner().invoke(app, ["orders", "short"]).stdout
    parcels = json.loads(CliRunner().invoke(app, ["orders", "parcels", "--json"]).stdout)
    assert [(one["parcel"], one["state"], one["reason"]) for one in parcels] == [("F1", "REFUSED", "no such carrier")]
    orders = json.loads(CliRunner().invoke(app, ["orders", "--json"]).stdout)
    assert [one["order_id"] for one in orders] == ["E-1"], "without a further word it lists what was bought"


@pytest.mark.asyncio
async def test_S8_14_the_commands_pause_and_resume_an_account(shop: Shop) -> None:
    done = await COMMANDS["pause"](shop.service, {"account_id": AMAZON})
    assert (done["paused"], done["showing"], done["above_offer"]) == (True, 0, 0)
    assert await shop.one("SELECT state FROM account WHERE account_id = :a", a=AMAZON) == ("PAUSED",)
    assert (await COMMANDS["resume"](shop.service, {"account_id": AMAZON}))["paused"] is False
    assert await shop.one("SELECT state FROM account WHERE account_id = :a", a=AMAZON) == ("LIVE",)
    with pytest.raises(Park, match="Account 99 is not connected"):
        await COMMANDS["pause"](shop.service, {"account_id": 99})
