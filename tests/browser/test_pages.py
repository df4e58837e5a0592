"""Pages in a real browser: nothing jumps, numbers move by themselves, every width and theme holds (opt-in: -m browser)."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

import dashboard_seed as shop
from oneshelf.core.instants import SECOND
from oneshelf.db.sqlite import SqliteStore
from oneshelf.db.tx import Tx
from oneshelf.web.app import build

pytestmark = pytest.mark.browser

NOW = 1_795_443_792 * SECOND
CHROMIUM = "/usr/bin/chromium"
PATHS = ("/", "/sku/BLK-MUG-01", "/stock", "/why/1?sku=BLK-MUG-01")


class Shop:
    """A served shop. `tx` statements go through `change`, as the writer's would."""

    tenant_id = shop.TENANT

    def __init__(self, path: Path) -> None:
        self.store = SqliteStore(str(path))
        self.store.open()
        shop.seed(self.store, NOW)
        self.problem: str | None = None
        self.base = ""

    @contextmanager
    def reader(self) -> Iterator[Tx]:
        with self.store.reader() as tx:
            yield tx

    def now(self) -> int:
        return NOW

    def health(self) -> str | None:
        return self.problem

    def change(self, sql: str, **params: object) -> None:
        tx = self.store.begin()
        tx.run(sql, **params)
        self.store.commit()


@pytest.fixture
def served(tmp_path: Path, sqlite_migrated: Path) -> Iterator[Shop]:
    shutil.copy(sqlite_migrated, tmp_path / "look.db")
    state = Shop(tmp_path / "look.db")
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    state.base = f"http://127.0.0.1:{sock.getsockname()[1]}"
    server = uvicorn.Server(
        uvicorn.Config(build(state), log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield state
    state.problem = "The test is over."  # ends open streams
    server.should_exit = True
    thread.join(10)
    state.store.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no {CHROMIUM}")
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, served: Shop):  # type: ignore[no-untyped-def]
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.errors = []
    page.on("console", lambda message: page.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    yield page
    assert page.errors == []
    context.close()


def until(page, condition: str, within_s: float = 8.0) -> None:  # type: ignore[no-untyped-def]
    """Wait until a condition holds in the page. (Playwright's own waiting is forbidden there by the content security policy.)"""
    deadline = time.monotonic() + within_s
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(20)


def wait_live(page) -> None:  # type: ignore[no-untyped-def]
    until(page, "document.querySelector('.side [data-live-state] span').textContent === 'Live'")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 1000, 390, 320])
def test_no_page_scrolls_sideways_or_breaks_the_policy(browser, served: Shop, theme: str, width: int) -> None:  # type: ignore[no-untyped-def]
    """The console stays empty: what the content security policy forbids would be an error there."""
    served.change("UPDATE item SET title = :long WHERE sku = 'CND-FIG-220'", long="Unbreakable" * 18)
    context = browser.new_context(color_scheme=theme, viewport={"width": width, "height": 844})
    tab = context.new_page()
    errors: list[str] = []
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    for path in PATHS:
        tab.goto(served.base + path)
        tab.wait_for_timeout(250)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, path
    assert errors == []
    context.close()


def test_a_sale_moves_the_open_page_and_nothing_else_shifts(page, served: Shop) -> None:  # type: ignore[no-untyped-def]
    page.goto(served.base + "/sku/BLK-MUG-01")
    wait_live(page)
    page.evaluate(
        "window.shift = 0; new PerformanceObserver(l => l.getEntries().forEach(e => { window.shift += e.value })).observe({type: 'layout-shift'})"
    )
    row = page.locator("#offer-13")
    assert "On its way" in row.inner_text()
    began = time.monotonic()
    served.change("UPDATE slot SET state = 'QUIET', believed = offer, sent = NULL, verified = 1 WHERE outlet_id = 13")
    until(page, "document.querySelector('#offer-13').innerText.includes('True')")
    took_s = time.monotonic() - began
    until(page, "document.querySelector('h1').textContent === '9 to sell, and all 4 listings say so.'")
    assert page.evaluate("window.shift") == 0
    assert took_s < 1.5


def test_a_number_of_the_overview_moves_and_a_new_sale_enters_on_top(page, served: Shop) -> None:  # type: ignore[no-untyped-def]
    page.goto(served.base + "/")
    wait_live(page)
    page.mouse.move(5, 5)
    first = page.locator("#sales tr").first.get_attribute("id")
    served.change(
        "INSERT INTO orders (tenant_id, order_no, account_id, order_id, placed_at, received_at, decided_at, payment, state, standing) "
        "VALUES (1, 99, 1, '#10490', :at, :at, :at, 'paid', 'OPEN', 'live')",
        at=NOW - SECOND,
    )
    until(page, "document.querySelector('#fig-orders').textContent === '11'")
    assert "moved" in page.locator("#fig-orders").get_attribute("class").split()
    served.change(
        "INSERT INTO order_line (tenant_id, order_no, line_id, sku, state, ordered, account_id, order_id) "
        "VALUES (1, 99, '1', 'WAL-HK-05', 'O', 1, 1, '#10490')"
    )
    until(page, f"document.querySelector('#sales tr').id !== '{first}'")
    assert "Walnut wall hook" in page.locator("#sales tr").first.inner_text()
    assert page.locator("#sales tr").count() == 8


def test_a_row_under_the_pointer_stays_and_a_pill_waits(page, served: Shop) -> None:  # type: ignore[no-untyped-def]
    page.goto(served.base + "/")
    wait_live(page)
    page.hover("#sales tr:nth-child(3)")
    before = page.locator("#sales tr").nth(2).get_attribute("id")
    for statement in (
        "INSERT INTO orders (tenant_id, order_no, account_id, order_id, placed_at, received_at, decided_at, payment, state, standing) "
        "VALUES (1, 99, 1, '#10490', :at, :at, :at, 'paid', 'OPEN', 'live')",
        "INSERT INTO order_line (tenant_id, order_no, line_id, sku, state, ordered, account_id, order_id, placed_s) "
        "VALUES (1, 99, '1', 'WAL-HK-05', 'O', 1, 1, '#10490', :at / 1000000)",
    ):
        served.change(statement, at=NOW - SECOND)
    pill = page.locator(".pill")
    pill.wait_for()
    assert page.locator("#sales tr").nth(2).get_attribute("id") == before
    page.wait_for_timeout(1_500)  # what waits is looked at twice a second: the pointer is still there
    assert (pill.count(), page.locator("#sales tr").nth(2).get_attribute("id")) == (1, before)
    page.mouse.move(5, 5)
    until(page, "!document.querySelector('.pill')")
    assert page.locator("#sales tr").nth(3).get_attribute("id") == before


def test_why_opens_on_the_spot_closes_with_escape_and_gives_focus_back(page, served: Shop) -> None:  # type: ignore[no-untyped-def]
    page.goto(served.base + "/sku/BLK-MUG-01")
    link = page.locator("#offer-1 a[data-why]")
    link.focus()
    page.keyboard.press("Enter")
    page.locator("#why:popover-open").wait_for()
    assert "Why Amazon should show 4" in page.locator("#why").inner_text()
    assert page.locator("#why .sum dd").inner_text() == "4"
    page.keyboard.press("Escape")
    page.locator("#why:popover-open").wait_for(state="detached")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "/why/1?sku=BLK-MUG-01"


def test_held_still_nothing_changes_until_it_goes_on(page, served: Shop) -> None:  # type: ignore[no-untyped-def]
    page.goto(served.base + "/sku/BLK-MUG-01")
    wait_live(page)
    page.click("[data-hold]")
    served.change("UPDATE slot SET state = 'QUIET', believed = offer, sent = NULL, verified = 1 WHERE outlet_id = 13")
    until(page, "document.querySelector('.side [data-live-state] span').textContent.startsWith('Held still · ')")
    assert "On its way" in page.locator("#offer-13").inner_text()
    page.click("[data-hold]")
    until(page, "document.querySelector('#offer-13').innerText.includes('True')")


def test_what_was_missed_while_away_is_read_anew(page, served: Shop) -> None:  # type: ignore[no-untyped-def]
    """The page's own digest says what it shows; another state at the server's end makes it fetch everything once."""
    page.route("**/live?*", lambda route: route.abort())
    page.goto(served.base + "/sku/BLK-MUG-01")
    served.change("UPDATE slot SET state = 'QUIET', believed = offer, sent = NULL, verified = 1 WHERE outlet_id = 13")
    page.wait_for_timeout(400)
    assert "On its way" in page.locator("#offer-13").inner_text()
    page.unroute("**/live?*")
    until(page, "document.querySelector('#offer-13').innerText.includes('True')", within_s=15)
    page.errors.clear()  # the cut stream is an error in the console, and was meant


def test_without_script_every_page_and_link_works(browser, served: Shop) -> None:  # type: ignore[no-untyped-def]
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(served.base + "/stock")
    tab.click("text=Black stoneware mug")
    assert "9 to sell" in tab.inner_text("h1")
    tab.click("#offer-1 a[data-why]")
    assert tab.inner_text("h1") == "Amazon should show 4."
    context.close()
