"""An account comes by a sign-in in the browser, is checked, kept subscribed, and goes: through the running service's own doors."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from tests.scenario.service import (
    EBAY,
    EBAY_APP,
    ETSY,
    SHOPIFY,
    TENANT,
    Elsewhere,
    Knocking,
    Shop,
    connected,
    on_sale,
    until,
)

from oneshelf import wiring
from oneshelf.channels.abilities import SignedIn, SignInWish
from oneshelf.channels.contract import AccountSeen, Finding, Http, NoAnswer
from oneshelf.core.errors import NotThere, Park, SignInAgain
from oneshelf.core.secret import Secret
from oneshelf.db.tx import Tx
from oneshelf.onboarding import subscribing
from oneshelf.tenants import sign_ins
from oneshelf.web import signing_in as pages
from oneshelf.web.commands import COMMANDS, NotPossible

pytestmark = pytest.mark.asyncio


class Consent:
    """A channel's sign-in as the protocol asks for: what it gives depends on the code that comes back."""

    app_names = ("client_id", "client_secret", "ru_name", "verification_token")

    def __init__(self) -> None:
        self.traded: list[str] = []

    def consent_url(self, wish: SignInWish) -> str:
        if not wish.settings.get("marketplace_id"):
            raise Park("Say which marketplace: setting marketplace_id.")
        return "https://consent.example/?" + urlencode({"state": wish.state, "redirect_uri": wish.redirect_uri})

    def code(self, wish: SignInWish, query: Mapping[str, str], now: datetime) -> str:
        if not hmac.compare_digest(wish.state, query.get("state", "")):
            raise Park("another state")
        if "error" in query:
            raise Park(f"You said no at the channel ({query['error']}).")
        return query["code"]

    async def signed_in(self, http: Http, wish: SignInWish, query: Mapping[str, str], now: datetime) -> SignedIn:
        self.traded.append(query["code"])
        return SignedIn(Secret(values={"refresh_token": "r", "access_token": "t", **wish.app}))


@pytest_asyncio.fixture
async def elsewhere() -> AsyncIterator[Elsewhere]:
    there = Elsewhere()
    yield there
    await there.close()


@pytest_asyncio.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    one = await Shop.open(tmp_path)
    yield one
    await one.close()


@pytest.fixture
def consent(monkeypatch: pytest.MonkeyPatch) -> Consent:
    one = Consent()
    monkeypatch.setitem(wiring.SIGN_INS, "ebay", one)
    return one


WISH = {
    "channel": "ebay",
    "settings": {"marketplace_id": "EBAY_US"},
    "app": {**EBAY_APP, "ru_name": "Shop-Shop-1"},
}


async def get(url: str, *, host: str | None = None) -> tuple[int, str, str]:
    """Status, body, where it sends us."""
    headers = {"Host": host} if host else {}
    async with (
        aiohttp.ClientSession() as http,
        http.get(url, headers=headers, allow_redirects=False) as answer,
    ):
        return answer.status, await answer.text(), answer.headers.get("location", "")


async def begin(shop: Shop, **more: Any) -> tuple[dict[str, str], str]:
    """Begin a sign-in; what the command said, and the state that the channel would send back."""
    begun = await COMMANDS["sign_in"](shop.service, {**WISH, **more})
    return begun, parse_qs(urlsplit(begun["url"]).query)["state"][0]


class TestSignIn:
    async def test_the_way_through(self, shop: Shop, consent: Consent, monkeypatch: pytest.MonkeyPatch) -> None:
        brought: list[Any] = []

        async def bring_up(service: Any, entered: Any, **how: Any) -> Any:
            brought.append(entered)
            how["say"]("eBay: connected as <b>Jane</b>")
            from oneshelf.onboarding.bring_up import BroughtUp

            return BroughtUp(7, "ebay", "Jane")

        monkeypatch.setattr(pages, "bring_up", bring_up)
        begun, state = await begin(shop)
        assert begun["redirect_uri"] == f"{shop.url}/connect/ebay/callback"
        assert (await COMMANDS["sign_in_state"](shop.service, {"key": begun["key"]}))["state"] == "waiting"
        url = f"{shop.url}/connect/ebay/callback?{urlencode({'state': state, 'code': 'c-1'})}"
        status, _, to = await get(url, host="shop.example.com")  # the channel knows us by our public name
        assert (status, to) == (303, f"/connect/state/{begun['key']}")
        await until(lambda: _done(shop, begun["key"]), "brought up")
        status, page, _ = await get(shop.url + to)
        assert status == 200 and "Connected." in page and "channels live 7" in page
        assert "<b>Jane" not in page and "&lt;b&gt;Jane" in page
        assert consent.traded == ["c-1"]
        assert brought[0].secret["refresh_token"] == "r" and brought[0].settings == {"marketplace_id": "EBAY_US"}

        again, _, same = await get(url)  # the back button, or a page that is loaded twice
        assert (again, same) == (303, to) and consent.traded == ["c-1"]
        assert (await COMMANDS["sign_in_state"](shop.service, {"key": begun["key"]}))["state"] == "done"

    async def test_nothing_is_stored_in_the_clear(self, shop: Shop, consent: Consent) -> None:
        _, state = await begin(shop)
        [row] = await shop.all("SELECT state_hash, sealed FROM sign_in")
        text = row[0].encode() + bytes(row[1])
        assert state.encode() not in text and EBAY_APP["client_secret"].encode() not in text

    async def test_a_no_and_a_foreign_state_are_said_plainly(self, shop: Shop, consent: Consent) -> None:
        _, state = await begin(shop)
        status, page, _ = await get(f"{shop.url}/connect/ebay/callback?error=access_denied&state={state}")
        assert status == 400 and "You said no at the channel" in page and "Nothing was stored" in page
        status, page, _ = await get(f"{shop.url}/connect/ebay/callback?code=c&state=forged")
        assert status == 400 and consent.traded == []
        assert '<h1 id="t">eBay is not connected.</h1>' in page
        assert "<code>oneshelf channels connect ebay</code>" in page
        status, _, _ = await get(f"{shop.url}/connect/nowhere/callback?code=c&state=forged")
        assert status == 404

    async def test_a_state_is_of_one_channel(
        self, shop: Shop, consent: Consent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(wiring.SIGN_INS, "etsy", consent)
        _, state = await begin(shop)
        status, _, _ = await get(f"{shop.url}/connect/etsy/callback?code=c&state={state}")
        assert status == 400 and consent.traded == []

    async def test_a_sign_in_ends_after_a_quarter_of_an_hour(self, shop: Shop, consent: Consent) -> None:
        _, state = await begin(shop)
        await shop.run("UPDATE sign_in SET expires_at = expires_at - :life", life=sign_ins.LIFE_US + 1)
        status, page, _ = await get(f"{shop.url}/connect/ebay/callback?code=c&state={state}")
        assert status == 400 and "15 minutes" in page and consent.traded == []

    async def test_who_waits_for_a_sign_in_hears_that_its_time_is_over(self, shop: Shop, consent: Consent) -> None:
        begun, _ = await begin(shop)
        await shop.run("UPDATE sign_in SET expires_at = expires_at - :life", life=sign_ins.LIFE_US + 1)
        state = await COMMANDS["sign_in_state"](shop.service, {"key": begun["key"]})
        assert state["state"] == "failed" and "15 minutes" in state["problem"]

    async def test_forged_callbacks_push_no_real_sign_in_out_of_sight(
        self, shop: Shop, consent: Consent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pages, "REMEMBERED_MAX", 3)
        shop.service.sign_ins["real"] = wiring.SignInState(state="running")
        for n in range(5):
            await get(f"{shop.url}/connect/ebay/callback?code=c&state=forged-{n}")
        assert "real" in shop.service.sign_ins and len(shop.service.sign_ins) == 3

    async def test_what_is_missing_is_said_before_anything_is_kept(self, shop: Shop, consent: Consent) -> None:
        with pytest.raises(Park, match="verification_token"):
            await begin(shop, app={**WISH["app"], "verification_token": ""})  # type: ignore[dict-item]
        with pytest.raises(Park, match="marketplace_id"):
            await begin(shop, settings={})
        assert await shop.all("SELECT 1 FROM sign_in") == []

    @pytest.mark.parametrize(
        ("channel", "first"),
        [("shopify", "client_id"), ("amazon", "application_id"), ("ebay", "client_id"), ("etsy", "keystring")],
    )
    async def test_each_connector_says_what_its_app_is_known_by(self, shop: Shop, channel: str, first: str) -> None:
        with pytest.raises(Park, match=f"{channel.title()} needs its app's {first}, "):
            await COMMANDS["sign_in"](shop.service, {"channel": channel})

    async def test_a_page_of_a_sign_in_is_whole_under_the_public_name_and_leads_nowhere_else(
        self, shop: Shop, consent: Consent
    ) -> None:
        """The style sheet opens there too, and nothing on the page is an address that does not."""
        _, page, _ = await get(f"{shop.url}/connect/ebay/callback?code=c&state=forged", host="shop.example.com")
        addresses = re.findall(r'(?:href|src|action)="([^"]+)"', page)
        assert len(addresses) == 2
        for address in addresses:
            assert (await get(shop.url + address, host="shop.example.com"))[0] == 200, address

    async def test_the_dashboard_stays_closed_to_other_hosts(self, shop: Shop, consent: Consent) -> None:
        assert (await get(shop.url + "/", host="shop.example.com"))[0] == 403


async def _done(shop: Shop, key: str) -> bool:
    return bool((await COMMANDS["sign_in_state"](shop.service, {"key": key}))["state"] == "done")


class Checking:
    """eBay, as it says of itself what is missing; everything else is the real connector's."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.missing: list[Finding] = []
        self.after: list[Finding] = []
        self.error: Exception | None = None
        self.subscribed = 0
        self.unsubscribed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def check(self, http: Http, callback_url: str | None, app: Mapping[str, str]) -> list[Finding]:
        if self.error is not None:
            raise self.error
        return self.missing or [Finding("It may read orders", True, code="scope")]

    async def subscribe(self, http: Http, callback_url: str | None, app: Mapping[str, str]) -> list[Finding]:
        self.subscribed += 1
        if self.error is not None:
            raise self.error
        return self.after

    async def unsubscribe(self, http: Http, callback_url: str | None, app: Mapping[str, str]) -> list[Finding]:
        self.unsubscribed += 1
        return []

    async def who(self, http: Http) -> AccountSeen:
        return AccountSeen("x", "x", "USD")


@pytest_asyncio.fixture
async def ebay(shop: Shop, elsewhere: Elsewhere) -> Checking:
    await connected(shop, elsewhere)
    one = shop.service.running[EBAY]
    one.channel = checking = Checking(one.channel)  # type: ignore[assignment]
    now = shop.service.clock.now()
    await shop.run(
        "INSERT INTO feed (tenant_id, account_id, name, polled_at, complete_through_at) VALUES (1, :a, 'orders', :now, :now) "
        "ON CONFLICT (tenant_id, account_id, name) DO UPDATE SET polled_at = :now, complete_through_at = :now, failing_since = NULL",
        a=EBAY,
        now=int(now.timestamp() * 1_000_000),
    )
    for task in one.tasks:  # nobody polls while a test looks
        task.cancel()
    await asyncio.gather(*one.tasks, return_exceptions=True)
    await shop.run("UPDATE feed SET failing_since = NULL, problem = '' WHERE account_id = :a", a=EBAY)
    return checking


async def check(shop: Shop, account_id: int = EBAY) -> dict[str, Any]:
    [one] = await COMMANDS["channels_check"](shop.service, {"account_id": account_id})
    return dict(one)


def wrong(one: dict[str, Any]) -> list[str]:
    return [finding["code"] for finding in one["findings"] if not finding["ok"]]


class TestCheck:
    async def test_all_is_well(self, shop: Shop, ebay: Checking) -> None:
        one = await check(shop)
        assert (one["ok"], wrong(one)) == (True, [])
        assert {finding["code"] for finding in one["findings"]} == {
            "scope",
            "credentials",
            "feed",
            "inbox",
            "catalogue",
            "clock",
        }

    async def test_the_channels_word_and_ours_are_both_said(self, shop: Shop, ebay: Checking) -> None:
        ebay.missing = [Finding("Topic ORDER_CONFIRMATION", False, "Subscribe.", code="subscription", which="ORDER")]
        await shop.run("UPDATE feed SET failing_since = polled_at, problem = 'HTTP 503' WHERE account_id = :a", a=EBAY)
        one = await check(shop)
        assert wrong(one) == ["subscription", "feed"]
        assert all(finding["todo"] for finding in one["findings"] if not finding["ok"])

    @pytest.mark.parametrize(
        ("error", "code"), [(SignInAgain("revoked"), "access"), (NoAnswer("timeout", sent=True), "answer")]
    )
    async def test_a_channel_that_refuses_or_is_silent(
        self, shop: Shop, ebay: Checking, error: Exception, code: str
    ) -> None:
        ebay.error = error
        assert wrong(await check(shop)) == [code]

    async def test_our_own_side(self, shop: Shop, ebay: Checking) -> None:
        hour = 3_600_000_000
        await shop.run(
            "UPDATE feed SET polled_at = polled_at - :h, complete_through_at = 0 WHERE account_id = :a", h=hour, a=EBAY
        )
        assert wrong(await check(shop)) == ["feed"]
        await shop.run("DELETE FROM credential WHERE account_id = :a AND kind = 'account'", a=EBAY)
        assert wrong(await check(shop)) == ["credentials", "feed"]

    async def test_an_account_that_is_not_there(self, shop: Shop, ebay: Checking) -> None:
        with pytest.raises(NotThere, match="channels list"):
            await check(shop, 99)


class TestSubscriptions:
    async def look(self, shop: Shop, ebay: Checking) -> None:
        one = shop.service.running[EBAY]
        await subscribing.look(
            TENANT,
            EBAY,
            ebay,
            one.session,
            "https://x",
            one.app,
            shop.service.writer,
            shop.service.clock,  # type: ignore[arg-type]
        )

    async def test_a_dropped_one_is_made_again_and_told(self, shop: Shop, ebay: Checking) -> None:
        ebay.missing = [Finding("Topic ORDER", False, "Subscribe.", code="subscription", which="ORDER")]
        await self.look(shop, ebay)
        assert ebay.subscribed == 1
        [(what, detail)] = await shop.all("SELECT what, detail FROM journal WHERE what LIKE '%made again%'")
        assert json.loads(detail) == {"which": "ORDER"}
        ebay.missing = []
        await self.look(shop, ebay)
        assert len(await shop.all("SELECT 1 FROM journal WHERE what LIKE '%made again%'")) == 1

    async def test_what_cannot_be_made_again_is_a_task_until_it_can(self, shop: Shop, ebay: Checking) -> None:
        bad = Finding("Topic ORDER", False, "Accept eBay's terms.", code="subscription", which="ORDER")
        ebay.missing, ebay.after = [bad], [bad]
        await self.look(shop, ebay)
        assert [kind for kind, _, _ in await shop.tasks()] == ["subscriptions"]
        assert "subscription" in wrong(await check(shop))
        ebay.missing, ebay.after = [], []
        await self.look(shop, ebay)
        assert [kind for kind, _, _ in await shop.tasks()] == []

    async def test_silence_is_no_reason_to_ask_a_person(self, shop: Shop, ebay: Checking) -> None:
        ebay.error = NoAnswer("timeout", sent=False)
        await self.look(shop, ebay)
        assert await shop.tasks() == []
        assert await shop.one(
            "SELECT failures, problem FROM upkeep WHERE name = 'subscriptions' AND account_id = 3"
        ) == (1, "timeout")


class TestDisconnect:
    async def test_history_stays_keys_go_loops_end(self, shop: Shop, ebay: Checking) -> None:
        outlet_id = await on_sale(shop, EBAY, "sku:MUG", "MUG")
        await shop.run(
            "INSERT INTO slot (tenant_id, outlet_id, account_id, write_unit, believed) VALUES (1, :o, :a, 'MUG', 5)",
            o=outlet_id,
            a=EBAY,
        )
        asked = await COMMANDS["disconnect"](shop.service, {"account_id": EBAY})
        assert asked == {"account_id": EBAY, "disconnected": False, "showing": 1}
        done = await COMMANDS["disconnect"](shop.service, {"account_id": EBAY, "yes": True})
        assert (done["disconnected"], done["listings_left_as_they_are"], ebay.unsubscribed) == (True, 1, 1)
        assert EBAY not in shop.service.running
        assert await shop.all("SELECT kind FROM credential WHERE account_id = 3") == [("app",)]
        assert await shop.one("SELECT state FROM account WHERE account_id = 3") == ("DISCONNECTED",)
        assert len(await shop.all("SELECT 1 FROM link WHERE outlet_id = :o", o=outlet_id)) == 1
        await shop.close()
        await shop.open_again()
        assert EBAY not in shop.service.running and EBAY in shop.service.departed

    async def test_the_shop_goes_last(self, shop: Shop, ebay: Checking) -> None:
        with pytest.raises(NotPossible, match="marketplaces first"):
            await COMMANDS["disconnect"](shop.service, {"account_id": SHOPIFY, "yes": True})

    async def test_zero_first(self, shop: Shop, ebay: Checking) -> None:
        outlet_id = await on_sale(shop, EBAY, "sku:MUG", "MUG")
        done = await COMMANDS["disconnect"](shop.service, {"account_id": EBAY, "zero": True})
        assert done["on_the_way_to_zero"] and EBAY in shop.service.running
        assert await shop.all("SELECT 1 FROM account WHERE account_id = 3 AND settings LIKE '%show_zero%'") == [(1,)]
        assert await shop.all("SELECT 1 FROM dirty_listing WHERE outlet_id = :o", o=outlet_id) == [(1,)]

    async def test_a_platform_is_heard_after_the_end(self, shop: Shop, elsewhere: Elsewhere) -> None:
        await connected(shop, elsewhere)
        for account_id in (2, EBAY, ETSY, SHOPIFY):
            await COMMANDS["disconnect"](shop.service, {"account_id": account_id, "yes": True})
        door = Knocking(shop, elsewhere)
        try:
            body = json.dumps({"shop_id": 1, "shop_domain": "front-door.myshopify.com"}).encode()
            assert await door.shopify("shop/redact", body) == 200
            assert await door.shopify("shop/redact", body + b" ", delivery="x") == 200
            shop.service.privacy_bell.ring()
            done = "SELECT kind, state FROM privacy_request WHERE state = 'DONE'"
            rows = await until(lambda: shop.all(done), "the shop's persons were erased")
            assert rows[0] == ("erase_shop", "DONE")
            assert await shop.all("SELECT 1 FROM credential WHERE account_id = 1") == []
        finally:
            await door.close()


class TestStopped:
    """I17: what an account's loops had under way when they ended may have been done: it is asked about when they run again."""

    async def under_way(self, shop: Shop) -> None:
        """Calls of all kinds on their way, for eBay (3), Etsy (4) and an account 33 whose number begins alike."""
        wanted = [("cancel", f"{a}/O") for a in (3, 4, 33)] + [("fetch_order", f"{a}/O") for a in (1, 3, 4)]
        wanted += [("import", "3/O"), ("cancel_copy", "3/O"), ("count", "MUG|1"), ("hold", "3/O/L/MUG")]

        def step(tx: Tx) -> None:
            for n, (kind, entity) in enumerate(wanted):
                tx.run(
                    "INSERT INTO intent (tenant_id, intent_no, kind, entity, version, idempotency_key, state, payload, created_at, due_at) "
                    "VALUES (1, :n, :k, :e, 1, :n, 'SENDING', '{}', 0, :later)",
                    n=str(900 + n),
                    k=kind,
                    e=entity,
                    later=2**62,
                )
            for account_id in (3, 4):
                tx.run(
                    "INSERT INTO shipment (tenant_id, order_no, shipment_id, line_id, account_id, units, state, shipped_at, due_at) "
                    "VALUES (1, :a, 'F', 'L', :a, 1, 'SENT', 0, :later)",
                    a=account_id,
                    later=2**62,
                )

        await shop.service.writer.do(step)

    async def unknown(self, shop: Shop) -> set[tuple[str, str]]:
        return set(
            await shop.all(
                "SELECT kind, entity FROM intent WHERE state = 'UNKNOWN' "
                "UNION SELECT 'shipment', CAST(account_id AS TEXT) FROM shipment WHERE state = 'UNKNOWN'"
            )
        )

    async def test_I17_a_marketplace_that_stops_leaves_nothing_on_its_way(
        self, shop: Shop, elsewhere: Elsewhere
    ) -> None:
        await connected(shop, elsewhere)
        await self.under_way(shop)
        await shop.service.stop_account(EBAY)
        assert await self.unknown(shop) == {("shipment", "3"), ("cancel", "3/O"), ("fetch_order", "3/O")}

    async def test_I17_the_shop_asks_about_its_own_calls_only(self, shop: Shop, elsewhere: Elsewhere) -> None:
        await connected(shop, elsewhere)
        await self.under_way(shop)
        await shop.service.stop_account(SHOPIFY)
        assert await self.unknown(shop) == {
            ("fetch_order", "1/O"),
            ("import", "3/O"),
            ("cancel_copy", "3/O"),
            ("count", "MUG|1"),
        }
