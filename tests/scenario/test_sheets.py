"""Counts and links by spreadsheet: looked at first, a problem a row, taken back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.scenario.api import Asking, open_shop
from tests.scenario.service import Shop
from tests.scenario.test_api_resources import fill

import dashboard_seed
from oneshelf.core.stock import Entry
from oneshelf.stock import ledger

FILE = """sku;location;quantity;note
BLK-MUG-01;Leeds;12;two more
CND-FIG-220;Leeds;44;as it was
LMP-BRS-02;Leeds;;not counted
BRD-OAK-40;Leeds;many;
NOPE;Leeds;1;
WAL-HK-05;Mars;1;
WAL-HK-05;;1;
BLK-MUG-01;gid://shopify/Location/1;3;twice
"""


@pytest.fixture
async def shop(tmp_path: Path, sqlite_migrated: Path) -> AsyncIterator[Shop]:
    shop = await open_shop(tmp_path / "data", sqlite_migrated)
    await fill(shop)
    yield shop
    await shop.close()


@pytest.fixture
async def api(shop: Shop) -> AsyncIterator[Asking]:
    asking = await Asking.with_scopes(shop)
    yield asking
    await asking.close()


async def test_a_file_of_counts_is_looked_at_taken_in_and_taken_back(shop: Shop, api: Asking) -> None:
    looked = await api.post("/stock/counts.csv", FILE.encode("utf-16"), dry_run="true")
    assert looked.status == 200 and looked.body["done"] is False
    (count,) = looked.body["counts"]
    assert (count["row"], count["sku"], count["quantity"]) == (2, "BLK-MUG-01", 12)
    assert [one["row"] for one in looked.body["problems"]] == [5, 6, 7, 8, 9] and looked.body["same"] == 2
    assert await shop.one("SELECT COUNT(*) FROM intent WHERE kind = 'count'") == (0,)
    done = (await api.post("/stock/counts.csv", FILE.encode())).body
    assert done["done"] is True and await shop.one("SELECT COUNT(*) FROM intent WHERE kind = 'count'") == (1,)
    (change,) = (await api.get("/status/changes")).body["items"]
    assert (change["change"], change["kind"], change["changed"], change["by"]) == (
        done["change"],
        "counts",
        1,
        "api:test",
    )
    back = await api.ask("DELETE", f"/stock/counts/changes/{done['change']}")
    assert back.body == {"change": done["change"], "called_off": 1, "counted_back": 0, "stay": []}
    assert await shop.one("SELECT state, reason FROM intent WHERE kind = 'count'") == ("REFUSED", "taken back")
    assert (await api.ask("DELETE", f"/stock/counts/changes/{done['change']}")).kind == "not-possible"
    assert (await api.ask("DELETE", "/stock/counts/changes/99")).status == 404


async def test_what_was_sold_after_a_count_stays_sold_when_it_is_taken_back(shop: Shop, api: Asking) -> None:
    done = (await api.post("/stock/counts.csv", FILE.encode())).body
    row = await shop.one("SELECT intent_no, version FROM intent WHERE kind = 'count'")
    assert row is not None
    before = await shop.one(
        "SELECT on_hand FROM stock_level WHERE sku = 'BLK-MUG-01' AND location_id = :l", l=dashboard_seed.LEEDS
    )
    assert before is not None

    def carried_out(tx: object) -> None:
        entries = [
            Entry(
                key=f"edit:count:{row[0]}",
                sku="BLK-MUG-01",
                location_id=dashboard_seed.LEEDS,
                reason="counted",
                on_hand=12 - before[0],
            ),
            Entry(key="ship:x", sku="BLK-MUG-01", location_id=dashboard_seed.LEEDS, reason="shipped", on_hand=-5),
        ]
        ledger.post(tx, 1, entries, 1)  # type: ignore[arg-type]

    await shop.service.writer.do(carried_out)
    await shop.run("UPDATE intent SET state = 'DONE' WHERE kind = 'count'")
    back = await api.ask("DELETE", f"/stock/counts/changes/{done['change']}")
    assert back.body["counted_back"] == 1
    payload = await shop.one("SELECT payload FROM intent WHERE kind = 'count' AND state <> 'DONE'")
    assert payload is not None and json.loads(payload[0])["quantity"] == before[0] - 5


async def test_what_is_exported_may_be_sent_back_and_changes_nothing(shop: Shop, api: Asking) -> None:
    await shop.run("UPDATE item SET title = '=1+1' WHERE sku = 'BLK-MUG-01'")
    file = await api.get("/stock/counts.csv")
    assert file.headers["content-type"].startswith("text/csv") and b"'=1+1" in file.body
    again = await api.post("/stock/counts.csv", file.body)
    assert (again.body["counts"], again.body["problems"]) == ([], [])
    links = await api.get("/listings/links.csv")
    again = await api.post("/listings/links.csv", links.body)
    assert (again.body["links"], again.body["unlinks"], again.body["problems"]) == (0, 0, [])
    assert again.body["same"] > 3 and again.body["change"] is None


async def test_a_file_of_links_is_taken_back(shop: Shop, api: Asking) -> None:
    (listing,) = await shop.one("SELECT MIN(outlet_id) FROM link")  # type: ignore[misc]
    before = await shop.all("SELECT * FROM link ORDER BY outlet_id, sku")
    file = f"listing,parts\n{listing},BLK-MUG-01=2; CND-FIG-220=1\n"
    looked = await api.post("/listings/links.csv", file.encode(), dry_run="true")
    assert looked.body["links"] == 1 and await shop.all("SELECT * FROM link ORDER BY outlet_id, sku") == before
    done = await api.post("/listings/links.csv", file.encode())
    assert await shop.all("SELECT * FROM link ORDER BY outlet_id, sku") != before
    assert (await api.ask("DELETE", f"/listings/links/changes/{done.body['change']}")).body["listings"] == 1
    assert await shop.all("SELECT * FROM link ORDER BY outlet_id, sku") == before


async def test_a_file_that_is_no_table_is_refused_with_words(api: Asking) -> None:
    assert (await api.post("/stock/counts.csv", b"\x81\x8d")).kind == "not-valid"
    as_json = await api.ask("POST", "/stock/counts.csv", b"{}", headers={"Content-Type": "application/json"})
    assert (as_json.status, as_json.kind) == (415, "media-type")
    assert "no column sku" in str((await api.post("/stock/counts.csv", b"x\n1\n")).body["problems"])
