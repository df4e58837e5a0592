"""Pages say what is true, in a frame that runs nothing foreign and opens to nobody else (dashboard without a login)."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message

import dashboard_seed as shop
from oneshelf.core.instants import SECOND
from oneshelf.db.sqlite import SqliteStore
from oneshelf.db.tx import Tx
from oneshelf.web import live as streams
from oneshelf.web import words
from oneshelf.web.app import CSP, build
from oneshelf.web.live import Live, difference
from oneshelf.web.pages import Frame, Missing, Pages

NOW = 1_795_443_792 * SECOND  # 2026-11-23 14:23:12 UTC
STATIC = Path(words.__file__).parent / "static"


class State:
    """A service to look at, without one."""

    tenant_id = shop.TENANT

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.problem: str | None = None
        self.at = NOW

    @contextmanager
    def reader(self) -> Iterator[Tx]:
        with self.store.reader() as tx:
            yield tx

    def now(self) -> int:
        return self.at

    def health(self) -> str | None:
        return self.problem


@pytest.fixture
def state(tmp_path: Path, sqlite_migrated: Path) -> Iterator[State]:
    shutil.copy(sqlite_migrated, tmp_path / "look.db")
    store = SqliteStore(str(tmp_path / "look.db"))
    store.open()
    shop.seed(store, NOW)
    yield State(store)
    store.close()


class Answer:
    """What came back."""

    def __init__(self, messages: list[Message]) -> None:
        start = messages[0]
        self.status_code: int = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        self.content = b"".join(message.get("body", b"") for message in messages[1:])

    @property
    def text(self) -> str:
        return self.content.decode()

    def json(self) -> object:
        return json.loads(self.content)


class Web:
    """Calls the app as a server would, without one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def get(self, address: str, host: str = "localhost:8800", method: str = "GET") -> Answer:
        path, _, query = address.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"host", host.encode())] if host else [],
            "server": ("127.0.0.1", 8800),
            "client": ("127.0.0.1", 50_000),
        }
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        async def call() -> None:
            try:
                await self._app(scope, receive, send)
            except Exception:  # Starlette answers 500 and lets the server see the cause too
                if not sent:
                    raise

        asyncio.run(call())
        return Answer(sent)

    def post(self, address: str, host: str = "localhost:8800") -> Answer:
        return self.get(address, host, "POST")


@pytest.fixture
def web(state: State) -> Web:
    return Web(build(state))


def change(state: State, sql: str, **params: object) -> None:
    tx = state.store.begin()
    tx.run(sql, **params)
    state.store.commit()


def text_of(html: str) -> str:
    """What a reader reads: no tags, single spaces."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split()).replace(" .", ".")


def heading(html: str) -> str:
    found = re.search(r"<h1>(.*?)</h1>", html, re.S)
    assert found is not None
    return text_of(found.group(1))


# --- the answers ---------------------------------------------------------------------------------------------------------


def test_the_overview_answers_with_the_worst_that_is_known(web: Web, state: State) -> None:
    assert heading(web.get("/").text) == "1 number is late."
    change(state, "UPDATE slot SET state = 'QUIET', believed = offer WHERE state = 'WAITING' AND reason <> ''")
    assert heading(web.get("/").text) == "1 listing does not take its number."
    change(state, "UPDATE slot SET state = 'UNKNOWN' WHERE state = 'PARKED'")
    assert heading(web.get("/").text) == "1 number is being read back."
    change(state, "UPDATE slot SET state = 'QUIET', believed = offer, sent = NULL WHERE state = 'UNKNOWN'")
    page = web.get("/").text
    assert heading(page) == "Every number is true or on its way."
    assert "21 of 25 numbers are what they should be. 4 are on their way." in text_of(page)
    change(state, "UPDATE slot SET state = 'QUIET', believed = offer, sent = NULL")
    change(state, "DELETE FROM dirty_listing")
    change(state, "UPDATE claim SET held = want - imported")
    assert heading(web.get("/").text) == "Every number is true."
    change(state, "UPDATE feed SET failing_since = :at WHERE account_id = :a", at=NOW - 840 * SECOND, a=shop.EBAY)
    assert heading(web.get("/").text) == "eBay has not answered for 14 minutes."
    change(state, "DELETE FROM account")
    assert heading(web.get("/").text) == "Nothing is connected yet."


def test_a_sku_page_answers_how_many_and_who_says_so(web: Web, state: State) -> None:
    page = web.get("/sku/BLK-MUG-01").text
    assert heading(page) == "9 to sell, and 3 of 4 listings say so."
    assert "Etsy was told 9 at 14:22:43: accepted, not seen yet." in text_of(page)
    assert heading(web.get("/sku/LMP-BRS-02").text) == "Oversold by 1, and all 4 listings say so."
    change(state, "UPDATE item SET tracked = 0 WHERE sku = 'BLK-MUG-01'")
    assert heading(web.get("/sku/BLK-MUG-01").text) == "Shopify does not count this item."


def test_not_known_is_never_shown_as_zero(web: Web, state: State) -> None:
    change(state, "UPDATE slot SET believed = NULL, believed_at = NULL, sent = NULL, state = 'QUIET'")
    change(state, "DELETE FROM dirty_listing")
    row = re.search(r'<tr id="offer-13">.*?</tr>', web.get("/sku/BLK-MUG-01").text, re.S)
    assert row is not None
    assert "not known" in row.group()
    assert "Etsy shows not known, should show 9, not known" in row.group()
    change(state, "DELETE FROM attempt")
    change(state, "UPDATE orders SET imported_at = NULL")
    change(state, "UPDATE intent SET settled_at = NULL")
    assert ">not known</dd>" in web.get("/").text  # sold → shown: nothing measured is not 0 s


def test_the_why_adds_up_and_can_be_linked_to(web: Web) -> None:
    page = web.get("/why/1?sku=BLK-MUG-01").text
    assert heading(page) == "Amazon should show 4."
    said = text_of(page)
    assert "Available 9 Kept off by the buffer rule for BLK-MUG-01 on Amazon − 5" in said
    assert "Without the buffer → 9" in said
    fragment = web.get("/why/1?sku=BLK-MUG-01&part=why").text
    assert "<html" not in fragment and "Should show" in fragment
    assert heading(web.get("/why/0?sku=BLK-MUG-01").text) == "Shopify should show 9."
    assert heading(web.get("/why/7").text) == "eBay should show 4."  # its SKU is found by itself


def test_what_is_held_at_another_location_is_said_with_its_order(web: Web, state: State) -> None:
    change(
        state, "UPDATE claim SET want = 3, held = 2, refused = 1, elsewhere = 1 WHERE sku = 'BLK-MUG-01' AND held = 1"
    )
    change(
        state,
        "INSERT INTO claim (tenant_id, claim_key, sku, location_id, want, held, order_no, line_id, since_at) "
        "SELECT 1, 'elsewhere:' || claim_key || ':B', sku, 'B', 1, 1, order_no, line_id, since_at FROM claim WHERE elsewhere = 1",
    )
    why = web.get("/why/0?sku=BLK-MUG-01").text
    assert "2 held, 1 held at another location, 0 imported of 3<" in why
    assert "114-3941689-8772232" in why and why.count("imported of") == 2, "two orders, each once"
    assert "3 held" in web.get("/sku/BLK-MUG-01").text


def test_the_stock_list_pages_by_sku_and_finds_by_prefix(
    web: Web, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oneshelf.web.pages.STOCK_PAGE", 4)
    seen, address = [], "/stock"
    while address:
        page = web.get(address).text
        seen += re.findall(r'<small class="mono">(.*?)</small>', page)
        found = re.search(r'<a class="btn" href="(/stock\?after=[^"]+)">Next', page)
        address = found.group(1) if found else ""
    assert seen == [item[0] for item in shop.ITEMS]
    assert re.findall(r'<small class="mono">(.*?)</small>', web.get("/stock?q=B").text) == ["BLK-MUG-01", "BRD-OAK-40"]
    assert heading(web.get("/stock?q=blk").text) == "No SKU begins with “blk”."


# --- safety ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8800", "localhost.evil.example", "127.0.0.1.nip.io", "192.168.1.5:8800", ""]
)
@pytest.mark.parametrize("path", ["/", "/sku/BLK-MUG-01", "/live?on=overview", "/stock", "/healthz", "/local/anything"])
def test_a_page_is_refused_to_any_host_but_this_machine(web: Web, host: str, path: str) -> None:
    answer = web.get(path, host=host)
    assert answer.status_code == 403
    assert "Northlight" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8800", "[::1]:8800", "shelf.lan:443"])
def test_this_machine_and_named_hosts_see_pages(state: State, host: str) -> None:
    web = Web(build(state, hosts=["shelf.lan"]))
    assert web.get("/", host=host).status_code == 200


def test_a_channels_door_is_open_to_any_host_and_nothing_else_is(state: State) -> None:
    async def knock(request: object) -> PlainTextResponse:
        return PlainTextResponse("kept")

    doors = [Route("/webhooks/{channel}", knock, methods=["POST"]), Route("/local/{command}", knock, methods=["POST"])]
    web = Web(build(state, extra_routes=doors))
    assert web.post("/webhooks/etsy", host="shop.example").text == "kept"
    assert web.post("/local/stop", host="shop.example").status_code == 403
    assert web.post("/local/stop", host="127.0.0.1").text == "kept"


@pytest.mark.parametrize(
    "path", ["/", "/sku/BLK-MUG-01", "/sku/NONE", "/stock", "/why/1", "/healthz", "/nowhere", "/static/nothing.js"]
)
def test_every_answer_carries_the_security_headers(web: Web, path: str) -> None:
    headers = web.get(path).headers
    assert headers["content-security-policy"] == CSP
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert "'unsafe" not in CSP and CSP.startswith("default-src 'none'")


class _Inline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._script = tag == "script"
        if tag == "style" or (tag == "script" and "src" not in dict(attrs)):
            self.found.append(tag)
        self.found += [f"{tag} {name}" for name, _ in attrs if name == "style" or name.startswith("on")]
        for name, value in attrs:
            if name in ("src", "href") and value and not value.startswith(("/", "#")):
                self.found.append(f"{tag} {name}={value}")

    def handle_data(self, data: str) -> None:
        if self._script and data.strip():
            self.found.append("script text")
        self._script = False


@pytest.mark.parametrize("path", ["/", "/sku/BLK-MUG-01", "/stock", "/why/1", "/nowhere"])
def test_no_page_has_anything_inline_or_from_elsewhere(web: Web, path: str) -> None:
    parser = _Inline()
    parser.feed(web.get(path).text)
    assert parser.found == []


def test_a_title_can_not_become_markup(web: Web, state: State) -> None:
    bad = '<script>alert(1)</script>"><img src=x onerror=y>'
    change(state, "UPDATE item SET title = :bad WHERE sku = 'CND-FIG-220'", bad=bad)
    change(state, "UPDATE outlet SET title = :bad, external_id = external_id || :bad", bad=bad)
    change(state, "UPDATE task SET what = :bad, why = :bad", bad=bad)
    change(state, "UPDATE account SET label = :bad", bad=bad)
    change(state, "UPDATE slot SET reason = :bad", bad=bad)
    for path in ("/", "/sku/CND-FIG-220", "/stock", "/why/3", "/sku/%3Cscript%3E", "/stock?q=%22%3E%3Cscript%3E"):
        page = web.get(path).text
        assert "<script>" not in page.replace("<script src=", "")
        assert "<img" not in page
        parser = _Inline()
        parser.feed(page)
        assert parser.found == []


def test_a_sku_with_odd_characters_has_its_page(web: Web, state: State) -> None:
    odd = "A/B?c=d&e #1% <x>"
    change(state, "UPDATE item SET sku = :odd WHERE sku = 'WAL-HK-05'", odd=odd)
    link = re.search(r'href="(/sku/A[^"]+)"', web.get("/stock").text)
    assert link is not None
    answer = web.get(link.group(1))
    assert (answer.status_code, "A/B?c=d&amp;e #1% &lt;x&gt;" in answer.text) == (200, True)


def test_health_says_when_the_writer_has_stopped(web: Web, state: State) -> None:
    assert (web.get("/healthz").status_code, web.get("/healthz").json()) == (200, {"ok": True})
    state.problem = "The disk is full."
    assert (web.get("/healthz").status_code, web.get("/healthz").json()) == (
        503,
        {"ok": False, "why": "The disk is full."},
    )


def test_a_page_that_can_not_be_built_says_so_and_shows_no_cause(web: Web, state: State) -> None:
    change(state, "ALTER TABLE orders RENAME TO orders_away")
    answer = web.get("/")
    assert answer.status_code == 500
    assert heading(answer.text) == "This page could not be built."
    assert "no such table" not in answer.text and "Reference " in answer.text


# --- size ------------------------------------------------------------------------------------------------------------------


def test_pages_and_files_keep_their_budgets(web: Web) -> None:
    for path in ("/", "/sku/BLK-MUG-01", "/stock", "/why/1"):
        html = web.get(path).content
        assert len(html) <= 60 * 1024 and len(gzip.compress(html)) <= 12 * 1024, path
    css = (STATIC / "tokens.css").read_bytes() + (STATIC / "app.css").read_bytes()
    script = (STATIC / "app.js").read_bytes()
    assert len(css) <= 30 * 1024 and len(gzip.compress(css)) <= 8 * 1024
    assert len(script) <= 12 * 1024 and len(gzip.compress(script)) <= 4 * 1024


def test_files_are_named_by_their_content_and_kept_for_ever(web: Web) -> None:
    page = web.get("/").text
    for address in set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page)):
        answer = web.get(address)
        assert answer.status_code == 200, address
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert re.fullmatch(r"/static/\w+\.[0-9a-f]{12}\.(css|js|svg)", address)


def _colours() -> dict[str, tuple[str, str]]:
    css = (STATIC / "tokens.css").read_text()
    return {
        name: (light, dark) for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", css)
    }


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _ratio(one: str, other: str) -> float:
    a, b = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (a + 0.05) / (b + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_every_text_colour_can_be_read_on_every_ground(theme: int) -> None:
    """WCAG 2 contrast: text 4.5 on all grounds and its own, marks 3."""
    colours = {name: pair[theme] for name, pair in _colours().items()}
    grounds = [colours[name] for name in ("bg", "surface", "sunken", "raised", "hover", "selected")]
    tones = ("ok", "flow", "warn", "bad", "unknown", "quiet")
    for name in ("ink", "ink-2", "ink-3", "link", *tones):
        assert min(_ratio(colours[name], ground) for ground in grounds) >= 4.5, name
    for tone in tones:
        assert _ratio(colours[tone], colours[f"{tone}-bg"]) >= 4.5, tone
        assert min(_ratio(colours[f"{tone}-dot"], ground) for ground in grounds) >= 3, tone
    for channel in ("shopify", "amazon", "ebay", "etsy"):
        assert _ratio(colours[f"ch-{channel}"], colours["on-solid"]) >= 4.5, channel


# --- words -----------------------------------------------------------------------------------------------------------------


def test_numbers_and_durations_as_a_page_says_them() -> None:
    assert [words.number(n) for n in (None, 0, -1, 12_477)] == ["not known", "0", "−1", "12,477"]
    assert [words.seconds(s) for s in (None, 0.002, 0.84, 9.94, 9.96, 41.2, 99.4, 99.6, 840, 7_200, 200_000)] == [
        "not known", "2 ms", "0.8 s", "9.9 s", "10 s", "41 s", "99 s", "2 min", "14 min", "2 h", "2 d",
    ]  # fmt: skip


# --- live ------------------------------------------------------------------------------------------------------------------


def events_of(stream: str) -> list[tuple[str, dict]]:
    return [(name, json.loads(data)) for name, data in re.findall(r"event: (\w+)\ndata: (.*)\n\n", stream)]


def test_only_what_changed_is_told() -> None:
    old = Frame({"a": ("1", ""), "b": ("2", "")}, {"t": {"r1": "<tr>1", "r2": "<tr>2"}}, {"p": "x", "q": "y"})
    new = Frame({"a": ("1", ""), "b": ("3", "bad")}, {"t": {"r3": "<tr>3", "r1": "<tr>1"}}, {"p": "x", "q": "z"})
    assert events_of(difference(old, new)) == [
        ("cells", {"b": {"t": "3", "state": "bad"}}),
        ("rows", {"in": "t", "put": [{"id": "r3", "html": "<tr>3"}], "drop": ["r2"]}),
        ("stale", {"ids": ["q"]}),
    ]
    assert difference(old, old) == ""
    assert difference(old, new).count(f"id: {new.digest}\n") == 3


def test_a_page_says_in_which_state_it_was_drawn(web: Web, state: State) -> None:
    def digest(path: str) -> str:
        found = re.search(r'data-digest="(\w+)"', web.get(path).text)
        assert found is not None
        return found.group(1)

    before = digest("/sku/BLK-MUG-01")
    assert digest("/sku/BLK-MUG-01") == before
    change(state, "UPDATE slot SET believed = believed + 1 WHERE outlet_id = 1")
    assert digest("/sku/BLK-MUG-01") != before


async def _listen(
    live: Live, have: str, until: int, topic: str = "overview", version: str = "v1"
) -> list[tuple[str, dict]]:
    heard = ""
    stream = live.stream(topic, have, version)
    try:
        async with asyncio.timeout(10):
            async for part in stream:
                heard += part
                if len(events_of(heard)) >= until:
                    break
    finally:
        await stream.aclose()
    return events_of(heard)


class Source:
    """A page that changes when told to."""

    def __init__(self) -> None:
        self.frame = Frame({"n": ("1", "")})
        self.reads = 0
        self.stopped = False

    def read(self, topic: str) -> Frame:
        self.reads += 1
        if topic != "overview":
            raise Missing(topic)
        return Frame(dict(self.frame.cells))

    def live(self) -> Live:
        return Live(self.read, lambda: "2026-11-23T14:23:12Z", "v1", lambda: self.stopped)


async def test_a_stream_tells_changes_and_one_reading_serves_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "READ_EVERY_S", 0.02)
    source = Source()
    live = source.live()
    have = source.frame.digest
    listeners = [asyncio.create_task(_listen(live, have, 2)) for _ in range(5)]
    await asyncio.sleep(0.3)
    reads = source.reads
    source.frame = Frame({"n": ("2", "")})
    heard = await asyncio.gather(*listeners)
    assert all(one[-1] == ("cells", {"n": {"t": "2", "state": ""}}) for one in heard)
    assert [name for name, _ in heard[0]] == ["clock", "cells"]
    assert reads < 40  # not five times as many
    assert live.streams == 0
    await asyncio.sleep(0.1)
    after = source.reads
    await asyncio.sleep(0.2)
    assert source.reads == after  # nobody looks: nothing is read


async def test_a_stream_that_missed_something_is_told_to_read_anew() -> None:
    source = Source()
    live = source.live()
    assert (await _listen(live, "older", 2))[1] == ("reset", {"why": "gap"})
    assert (await _listen(live, source.frame.digest, 2, version="v0"))[1] == ("reset", {"why": "version"})
    assert [name for name, _ in await _listen(live, "", 2, topic="nowhere")] == ["clock"]


async def test_a_stream_ends_when_the_service_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LOOK_EVERY_S", 0.02)
    source = Source()
    listening = asyncio.create_task(_listen(source.live(), source.frame.digest, 99))
    await asyncio.sleep(0.1)
    source.stopped = True
    assert [name for name, _ in await listening] == ["clock"]


async def test_a_slow_browser_is_let_go_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "READ_EVERY_S", 0.005)
    monkeypatch.setattr(streams, "WAITING_MAX", 2)
    source = Source()
    live = source.live()
    slow = live.stream("overview", source.frame.digest, "v1")
    await anext(slow)
    waiting = asyncio.create_task(anext(slow))
    await asyncio.sleep(0.05)
    source.frame = Frame({"n": ("2", "")})
    await waiting  # it takes the first change, then nothing more
    for n in range(3, 9):
        source.frame = Frame({"n": (str(n), "")})
        await asyncio.sleep(0.05)
    with pytest.raises(StopAsyncIteration):
        await anext(slow)
    assert (await _listen(live, source.frame.digest, 1))[0][0] == "clock"


def test_pages_are_found_by_their_topic(state: State) -> None:
    pages = Pages(state, {"app.css": "", "app.js": "", "icon.svg": "", "version": ""})
    for page in (pages.overview(), pages.sku("BLK-MUG-01"), pages.stock("BLK", "B"), pages.why(1, "BLK-MUG-01")):
        assert pages.by_topic(page.topic).frame.digest == page.frame.digest
    for topic in ("", "nothing", "why:x:BLK-MUG-01", "sku:none"):
        with pytest.raises(Missing):
            pages.by_topic(topic)
