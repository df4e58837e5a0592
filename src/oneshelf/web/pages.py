"""Pages as data: what each reads, its parts, and what of it may change while it is looked at.

In: a reader's transaction. Out: HTML by templates (whole pages, parts), and Frames for live.py. Never: decides or writes anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlencode

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from oneshelf.channels.contract import Capabilities
from oneshelf.core.instants import from_us
from oneshelf.db.tx import Tx
from oneshelf.watch.accounts import AccountNow, accounts_now
from oneshelf.watch.explain import explain
from oneshelf.watch.lines import OutletLine, lines_of
from oneshelf.watch.overview import overview

from . import answers, drawing, words

#: SKUs on one page of the stock list.
STOCK_PAGE = 50

#: The pages there are: (name, address, icon). Navigation shows only these.
NAVIGATION = (("Overview", "/", "pulse"), ("Stock", "/stock", "shelf"))


class State(Protocol):
    """What the pages need of the service."""

    tenant_id: int

    def reader(self) -> Any:
        """Return a context manager giving a Tx that reads."""

    def now(self) -> int:
        """Return this moment, microseconds UTC."""

    def health(self) -> str | None:
        """Return what is wrong with the service, or None."""


class Frame(msgspec.Struct):
    """What of a page may change: texts by id (with a tone), rows by table and id, parts by id. All rendered."""

    cells: dict[str, tuple[str, str]] = {}
    rows: dict[str, dict[str, str]] = {}
    parts: dict[str, str] = {}

    @property
    def digest(self) -> str:
        """Name this state of the page: equal digests, equal pages."""
        return hashlib.sha256(msgspec.msgpack.encode([self.cells, self.rows, self.parts])).hexdigest()[:16]


class Page(msgspec.Struct):
    """One page read at one moment. `topic`: its name for /live. `context`: what its templates see."""

    template: str
    topic: str
    context: dict[str, Any]
    frame: Frame


class Missing(LookupError):
    """There is nothing under this address."""


class Pages:
    """Reads and renders. One per app; usable from several threads."""

    def __init__(self, state: State, assets: Mapping[str, str], can: Mapping[str, Capabilities] | None = None) -> None:
        self._state = state
        self._can = can
        self._env = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._env.filters.update(num=words.number, signed=words.signed, secs=words.seconds)
        self._env.globals.update(
            assets=assets,
            navigation=NAVIGATION,
            count=words.count,
            letters=drawing.letters,
            cell_label=answers.cell_label,
            TONES=TONES,
        )

    # --- pages ---------------------------------------------------------------------------------------------------------

    def overview(self) -> Page:
        """Is every number true right now?"""
        now = self._state.now()
        with self._state.reader() as tx:
            o = overview(tx, self._state.tenant_id, now)
            shop = self._shop(tx)
        context = self._context(now, shop, o=o, answer=answers.overview_answer(o), finding=answers.latency_finding(o))
        context["silent"] = any(c.silent_since for c in o.channels)
        context["ripples"] = {(s.order_no, s.line_id, s.sku): drawing.ripple(s, o.at) for s in o.sales}
        frame = Frame(
            cells={name: (text, tone) for name, text, tone in _figures(o)},
            rows={
                "sales": {_sale_id(s): self._row("sale", context, s=s, id=_sale_id(s)) for s in o.sales},
                "channels": {f"channel-{c.account_id}": self._row("channel", context, c=c) for c in o.channels},
            },
            parts={part: self._part(f"overview_{part}", context) for part in ("answer", "tasks", "latency", "trouble")},
        )
        context["figures"] = dict(frame.cells)
        return self._page("overview.html", "overview", context, frame)

    def sku(self, sku: str) -> Page:
        """Why is this SKU's number what it is? Raises Missing."""
        now = self._state.now()
        with self._state.reader() as tx:
            try:
                e = explain(tx, self._state.tenant_id, sku, can=self._can, now=now)
            except LookupError as error:
                raise Missing(f"There is no SKU {sku}.") from error
            shop = self._shop(tx)
        context = self._context(now, shop, e=e, answer=answers.sku_answer(e, from_us(now)))
        context["channel_of"] = {line.outlet_id: line for line in e.outlets}
        context["where"] = {level.location_id: level.name for level in e.locations}
        frame = Frame(
            rows={
                "offers": {f"offer-{o.outlet_id}": self._row("offer", context, o=o) for o in e.outlets},
                "timeline": {f"entry-{n.entry_no}": self._row("entry", context, n=n) for n in e.entries},
            },
            parts={
                part: self._part(f"sku_{part}", context)
                for part in ("answer", "level", "places", "promised", "told", "tasks")
            },
        )
        return self._page("sku.html", f"sku:{sku}", context, frame)

    def why(self, outlet_id: int, sku: str) -> Page:
        """Why should this outlet show its number? Raises Missing."""
        now = self._state.now()
        with self._state.reader() as tx:
            sku = sku or self._sku_of(tx, outlet_id)
            try:
                e = explain(tx, self._state.tenant_id, sku, can=self._can, now=now)
            except LookupError as error:
                raise Missing(f"There is no SKU {sku}.") from error
            shop = self._shop(tx)
        line = next((line for line in e.outlets if line.outlet_id == outlet_id), None)
        if line is None:
            raise Missing("No listing of this SKU has this address.")
        attempts = [a for a in e.attempts if a.outlet_id == outlet_id]
        claims = e.claims if outlet_id == 0 else []
        sentence = answers.line_sentence(line, from_us(now))
        context = self._context(now, shop, e=e, o=line, attempts=attempts, claims=claims, sentence=sentence)
        frame = Frame(parts={"why": self._part("why_body", context)})
        return self._page("why.html", f"why:{outlet_id}:{sku}", context, frame)

    def stock(self, after: str, prefix: str) -> Page:
        """What do I have, and who shows what? Ordered by SKU, one page after `after`; `prefix`: only SKUs that begin so."""
        now = self._state.now()
        with self._state.reader() as tx:
            tenant_id = self._state.tenant_id
            rows = _stock_rows(tx, tenant_id, after, prefix, STOCK_PAGE + 1)
            more = len(rows) > STOCK_PAGE
            rows = rows[:STOCK_PAGE]
            accounts = accounts_now(tx, tenant_id)
            lines = lines_of(tx, tenant_id, [row.sku for row in rows], accounts, can=self._can, now=now)
            shop = self._shop(tx)
        context = self._context(now, shop, items=rows, accounts=accounts, after=after, prefix=prefix)
        context["next"] = rows[-1].sku if more and rows else ""
        context["cells_of"] = {row.sku: _by_account(lines[row.sku], accounts) for row in rows}
        frame = Frame(
            rows={"items": {_item_id(row.sku): self._row("item", context, r=row, id=_item_id(row.sku)) for row in rows}}
        )
        return self._page("stock.html", f"stock:{urlencode({'after': after, 'q': prefix})}", context, frame)

    def by_topic(self, topic: str) -> Page:
        """Read the page of a topic again. Raises Missing for a topic that is none."""
        name, _, rest = topic.partition(":")
        if name == "overview":
            return self.overview()
        if name == "sku":
            return self.sku(rest)
        if name == "why":
            outlet_id, _, sku = rest.partition(":")
            return self.why(int(outlet_id) if outlet_id.isdigit() else -1, sku)
        if name == "stock":
            query = parse_qs(rest)
            return self.stock(query.get("after", [""])[0], query.get("q", [""])[0])
        raise Missing(f"No page is called {name}.")

    # --- rendering -----------------------------------------------------------------------------------------------------

    def html(self, page: Page) -> str:
        """Render a whole page."""
        return self._env.get_template(page.template).render(page.context)

    def error(self, title: str, text: str) -> str:
        """Render the page that says what went wrong."""
        context = self._context(
            self._state.now(), "", answer=answers.Answer(title, text), topic="", digest="", section=""
        )
        return self._env.get_template("error.html").render(context)

    def sign_in(self, title: str, said: Sequence[str], text: str, command: str) -> str:
        """Render a page of a sign-in. It may be seen under the public name, where no other page opens: it leads nowhere."""
        context = self._context(self._state.now(), "", title=title, said=said, text=text, command=command)
        return self._env.get_template("sign_in.html").render(context)

    def _page(self, template: str, topic: str, context: dict[str, Any], frame: Frame) -> Page:
        section = "Overview" if topic == "overview" else "Stock"
        context |= {"topic": topic, "digest": frame.digest, "frame": frame, "section": section}
        return Page(template, topic, context, frame)

    def _context(self, now: int, shop: str, **more: Any) -> dict[str, Any]:
        at = from_us(now)
        clock: Callable[[datetime | None], str] = lambda instant: words.clock(instant, at)  # noqa: E731
        return {"now": at, "shop": shop, "clock": clock, "day": lambda instant: words.day(instant, at), **more}

    def _row(self, name: str, context: dict[str, Any], **more: Any) -> str:
        return self._env.get_template(f"rows/{name}.html").render(context | more)

    def _part(self, name: str, context: dict[str, Any]) -> str:
        return self._env.get_template(f"parts/{name}.html").render(context)

    def _shop(self, tx: Tx) -> str:
        row = tx.one("SELECT name FROM tenant WHERE tenant_id = :t", t=self._state.tenant_id)
        return "" if row is None else row[0]

    def _sku_of(self, tx: Tx, outlet_id: int) -> str:
        row = tx.one(
            "SELECT sku FROM link WHERE tenant_id = :t AND outlet_id = :o ORDER BY sku LIMIT 1",
            t=self._state.tenant_id,
            o=outlet_id,
        )
        if row is None:
            raise Missing("No listing of a SKU has this address.")
        return str(row[0])


#: Which tone and shape each state of an outlet, channel or try has: (tone, shape).
TONES: dict[str, tuple[str, str]] = {
    "true": ("ok", "full"),
    "on_its_way": ("flow", "half"),
    "shows_less": ("warn", "down"),
    "shows_more": ("bad", "up"),
    "not_known": ("unknown", "dashed"),
    "parked": ("warn", "diamond"),
    "paused": ("quiet", "bars"),
    "not_linked": ("quiet", "ring"),
}


class StockRow(msgspec.Struct, frozen=True):
    """One SKU of the stock list, pieces over the locations in scope."""

    sku: str
    title: str
    on_hand: int
    committed: int
    reserved: int
    unavailable: int

    @property
    def available(self) -> int:
        return self.on_hand - self.committed - self.reserved - self.unavailable


def _stock_rows(tx: Tx, tenant_id: int, after: str, prefix: str, limit: int) -> list[StockRow]:
    # The range on the key lets SQLite start in its index; PostgreSQL may sort otherwise, so there only the prefix itself counts.
    by_range = "AND i.sku >= :prefix AND i.sku < :end" if prefix and tx.dialect == "sqlite" else ""
    rows = tx.all(
        f"""SELECT i.sku, i.title, CAST(COALESCE(SUM(s.on_hand), 0) AS BIGINT), CAST(COALESCE(SUM(s.committed), 0) AS BIGINT),
                   CAST(COALESCE(SUM(s.reserved), 0) AS BIGINT), CAST(COALESCE(SUM(s.unavailable), 0) AS BIGINT)
              FROM (SELECT i.tenant_id, i.sku, i.title FROM item i WHERE i.tenant_id = :t AND i.deleted = 0 AND i.sku > :after
                       AND substr(i.sku, 1, :length) = :prefix {by_range} ORDER BY i.sku LIMIT :n) i
              LEFT JOIN location l ON l.tenant_id = i.tenant_id AND l.active = 1 AND l.in_scope = 1
              LEFT JOIN stock_level s ON s.tenant_id = i.tenant_id AND s.sku = i.sku AND s.location_id = l.location_id
             GROUP BY i.sku, i.title ORDER BY i.sku""",
        t=tenant_id,
        after=after,
        prefix=prefix,
        length=len(prefix),
        n=limit,
        **({"end": prefix + "\U0010ffff"} if by_range else {}),
    )
    return [StockRow(row[0], row[1], *(int(n) for n in row[2:])) for row in rows]


def _by_account(lines: list[OutletLine], accounts: list[AccountNow]) -> list[tuple[OutletLine | None, int]]:
    """Return, for each account, the outlet to show (one that is not true first) and how many more it has."""
    cells: list[tuple[OutletLine | None, int]] = []
    for account in accounts:
        mine = sorted(
            (line for line in lines if line.account_id == account.account_id), key=lambda line: line.state == "true"
        )
        cells.append((mine[0] if mine else None, max(0, len(mine) - 1)))
    return cells


def _sale_id(sale: Any) -> str:
    return "sale-" + hashlib.sha256(f"{sale.order_no}/{sale.line_id}/{sale.sku}".encode()).hexdigest()[:10]


def _item_id(sku: str) -> str:
    return "item-" + hashlib.sha256(sku.encode()).hexdigest()[:10]


def _figures(o: Any) -> list[tuple[str, str, str]]:
    """The strip of figures: (id, text, tone). A second line has `-s` at its id's end."""
    orders, p = o.orders, o.sold_to_shown
    rest = [
        (orders.on_their_way, "on the way"),
        (orders.unpaid, "unpaid"),
        (orders.waiting_for_person, "for you"),
        (orders.elsewhere, "not imported"),
    ]
    where = [f"{words.number(orders.in_shopify)} in Shopify", *(f"{words.number(n)} {what}" for n, what in rest if n)]
    by = o.oversold
    causes = ", ".join(f"{n} {cause}" for cause, n in by.items() if n)
    waiting = sum(c.waiting for c in o.channels)
    return [
        ("fig-orders", words.number(orders.total), ""),
        ("fig-orders-s", ", ".join(where) if orders.total else "none came in", ""),
        ("fig-shown", words.seconds(p["p50"]), "unknown" if p["p50"] is None else ""),
        (
            "fig-shown-s",
            "no sale measured yet" if p["p50"] is None else f"half of them; 95 of 100 within {words.seconds(p['p95'])}",
            "",
        ),
        ("fig-oversold", words.number(sum(by.values())), "bad" if sum(by.values()) else ""),
        ("fig-oversold-s", f"pieces short: {causes}" if causes else "no buyer waits for a piece we lack", ""),
        ("fig-true", words.number(o.right), ""),
        ("fig-true-s", f"of {words.number(o.listed)} numbers, {words.number(o.on_their_way)} on their way", ""),
        ("fig-waiting", words.number(waiting), ""),
        ("fig-waiting-s", "zero first, then what is unsafe" if waiting else "nothing waits to be told", ""),
    ]
