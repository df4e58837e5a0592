"""The user's scenarios, played on the emulated marketplaces and timed by what their buyers see.

last-unit (A): the last unit is sold on Amazon; Shopify shows 0 before the next buyer pays.
one-customer (B): Jane, known from Shopify, buys on Etsy with her real e-mail, on Amazon with her phone, on eBay with neither.
buffer (C): a buffer of 5: Shopify 8 → marketplaces 3; Shopify 5 → 0.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from oneshelf.core.errors import Stop
from oneshelf.core.instants import to_us
from oneshelf.customers import merging, profiles
from oneshelf.listings.policy import set_rule
from oneshelf.watch.accounts import NAMES

from .stage import CHANNELS, Stage, set_stage

#: So long at most until an order is its customer's: the slowest channel is heard by its poll, and Amazon names a buyer once he has paid.
KNOWN_WITHIN_S = 60.0
#: So long at most until every channel shows what it should; Amazon's own processing (up to 120 s there, shortened) is within.
SHOWN_WITHIN_S = 30.0
LOOK_EVERY_S = 0.05
MARKETPLACES = ("amazon", "ebay", "etsy")
LETTERS = {"A": "last-unit", "B": "one-customer", "C": "buffer"}
#: Jane as each channel gets to know her: the emulated Amazon and eBay forward her mail, so her e-mail is told on Shopify and Etsy alone.
JANE = {
    "key": "jane",
    "name": "Jane Doe",
    "email": "jane@x.com",
    "address": {
        "line1": "7 Mill Road",
        "city": "New York",
        "region": "NY",
        "postal_code": "10001",
        "phone": "+12125550123",
    },
}


class Story(msgspec.Struct):
    """What happened, in order. `problem`: why the outcome is not the user's, "" if it is."""

    timeline: list[dict[str, Any]]
    problem: str = ""


class Teller:
    """Writes the timeline, and watches what each channel's buyers see."""

    def __init__(self, stage: Stage, sku: str, say: Callable[[str], None]) -> None:
        self.stage = stage
        self.sku = sku
        self.say = say
        self.story = Story([])
        self.shown: dict[str, int] = {}

    def tell(self, channel: str, what: str, shown: int | None = None) -> None:
        at = datetime.now(UTC)
        self.story.timeline.append(
            {"at": at.isoformat(timespec="milliseconds"), "channel": channel, "what": what, "shown": shown}
        )
        self.say(f"{at:%H:%M:%S.%f}"[:-3] + f"  {channel:<8} {what}" + ("" if shown is None else f": {shown}"))

    async def look(self) -> dict[str, int]:
        """What buyers see now on every channel; changes go into the timeline."""
        state = await self.stage.marketplaces.ask("GET", "/state")
        for channel in CHANNELS:
            shown = int(state["marketplaces"][channel]["stock"].get(self.sku, 0))
            if self.shown.get(channel) != shown:
                self.tell(channel, "shows", shown)
            self.shown[channel] = shown
        return self.shown

    async def until(self, wanted: dict[str, int]) -> bool:
        """Look until every channel shows what is wanted; False when that took too long."""
        deadline = asyncio.get_running_loop().time() + SHOWN_WITHIN_S
        while asyncio.get_running_loop().time() < deadline:
            shown = await self.look()
            if all(shown[channel] == n for channel, n in wanted.items()):
                return True
            await asyncio.sleep(LOOK_EVERY_S)
        for channel, n in wanted.items():
            if self.shown[channel] != n:
                self.story.problem = f"{channel} shows {self.shown[channel]}, it should show {n}"
        return False

    async def buy(self, channel: str, pieces: int = 1, buyer: dict[str, Any] | None = None) -> bool:
        """A buyer (none given: anybody) pays; False when the channel refuses because it shows too few."""
        wish: dict[str, Any] = {"channel": channel, "lines": {self.sku: pieces}}
        try:
            await self.stage.marketplaces.ask("POST", "/buy", wish if buyer is None else {**wish, "buyer": buyer})
        except Stop:
            self.tell(channel, f"refuses a buyer of {pieces}", self.shown.get(channel))
            return False
        self.tell(channel, f"sells {pieces}")
        return True


async def play(name: str, *, seed: int, say: Callable[[str], None]) -> Story:
    """Play one scenario by its name or letter. Raises Stop for a name that is none."""
    stories = {
        "last-unit": (_last_unit, "MUG-LAST", 1),
        "one-customer": (_one_customer, "MUG-JANE", 12),
        "buffer": (_buffer, "MUG-EIGHT", 8),
    }
    name = LETTERS.get(name.upper(), name)
    if name not in stories:
        known = ", ".join(f"{letter} ({story})" for letter, story in LETTERS.items())
        raise Stop(f"There is no scenario {name!r}. There are: {known}.")
    tell_story, sku, pieces = stories[name]
    with tempfile.TemporaryDirectory(prefix="oneshelf-story-") as folder:
        shop = Path(folder) / "products.json"
        others = [
            {"sku": f"PLATE-{i}", "title": f"Plate {i}", "price_minor": 1500, "currency": "USD", "stock": 20}
            for i in range(3)
        ]
        mug = {"sku": sku, "title": "The mug", "price_minor": 1999, "currency": "USD", "stock": pieces}
        shop.write_text(json.dumps([mug, *others]))
        stage = await set_stage(seed=seed, products_file=str(shop), folder=Path(folder) / "data")
        try:
            await stage.connect(say)
            teller = Teller(stage, sku, say)
            await teller.look()
            await tell_story(teller)
            return teller.story
        finally:
            await stage.strike()


async def _last_unit(teller: Teller) -> None:
    """Scenario A."""
    if not await teller.buy("amazon"):
        teller.story.problem = "Amazon refused the buyer of the last unit"
        return
    if not await teller.until(dict.fromkeys(CHANNELS, 0)):
        return
    for channel in ("shopify", "ebay", "etsy", "amazon"):
        if await teller.buy(channel):
            teller.story.problem = f"{channel} sold the last unit a second time"
            return
    sales = await teller.stage.marketplaces.sales()
    if len(sales) != 1:
        teller.story.problem = f"{len(sales)} orders were accepted for one unit"


async def _buffer(teller: Teller) -> None:
    """Scenario C."""
    service = teller.stage.service
    now = to_us(service.clock.now())

    def keep_five(tx: Any) -> None:
        for one in service.running.values():
            if one.row.channel in MARKETPLACES:
                set_rule(tx, service.tenant_id, one.account_id, teller.sku, now, by="merchant", safety_stock=5)

    await service.writer.do(keep_five)
    service.wake_all()
    teller.tell("oneshelf", "keeps 5 off Amazon, eBay and Etsy")
    if not await teller.until({"shopify": 8, **dict.fromkeys(MARKETPLACES, 3)}):
        return
    if not await teller.buy("shopify", 3):
        teller.story.problem = "Shopify refused a buyer of 3 of 8"
        return
    await teller.until({"shopify": 5, **dict.fromkeys(MARKETPLACES, 0)})


async def _one_customer(teller: Teller) -> None:
    """Scenario B: one person on four channels is one customer, and who can't be known is asked about."""
    # Etsy tells a buyer's e-mail to apps that it has approved for it; this story is of one of them.
    approved = {"channel": "etsy", "action": "approve_buyer_email"}
    await teller.stage.marketplaces.ask("POST", "/console", approved)
    without_phone = {**JANE, "address": {**JANE["address"], "phone": None}}  # type: ignore[dict-item]
    for purchases, (channel, buyer) in enumerate((("shopify", JANE), ("etsy", JANE), ("amazon", JANE)), start=1):
        if not await teller.buy(channel, 1, buyer):
            teller.story.problem = f"{channel} refused Jane"
            return
        if not await _until_known(teller, channel, purchases):
            return
    if not await teller.buy("ebay", 1, without_phone) or not await _until_suggested(teller):
        teller.story.problem = teller.story.problem or "ebay refused Jane"
        return
    await _until_known(teller, "ebay", 4)


async def _until_known(teller: Teller, channel: str, purchases: int) -> bool:
    """Look until Jane is one customer of so many purchases; tell how she was known."""
    service = teller.stage.service
    deadline = asyncio.get_running_loop().time() + KNOWN_WITHIN_S
    while asyncio.get_running_loop().time() < deadline:
        with service.store.reader() as tx:
            found = profiles.listed(tx, service.tenant_id, find=JANE["email"])  # type: ignore[arg-type]
            if len(found) == 1 and found[0].purchases == purchases:
                jane = profiles.profile(tx, service.tenant_id, found[0].customer_no)
                order = next(order for order in jane.orders if order.channel == channel)
                rule = order.rule if order.customer_no == found[0].customer_no else "the merchant's word"
                counters = " · ".join(f"{NAMES[one]} {n}" for one, n in sorted(found[0].per_channel.items()))
                teller.tell(
                    "oneshelf", f"customer {found[0].customer_no} by {rule}: purchases {purchases} ({counters})"
                )
                teller.tell("oneshelf", f"stage {found[0].stage}: {found[0].stage_why}")
                return True
        await asyncio.sleep(LOOK_EVERY_S)
    teller.story.problem = f"Jane's purchase on {channel} is not hers after {KNOWN_WITHIN_S:.0f} s"
    return False


async def _until_suggested(teller: Teller) -> bool:
    """Look until a person is asked about the last order, and let the person say yes."""
    service = teller.stage.service
    deadline = asyncio.get_running_loop().time() + KNOWN_WITHIN_S
    while asyncio.get_running_loop().time() < deadline:
        with service.store.reader() as tx:
            found = merging.suggestions(tx, service.tenant_id)
        if found:
            one = found[0]
            teller.tell(
                "oneshelf",
                f"customers {one.first_no} and {one.second_no} may be one ({one.sure}): {', '.join(one.why)}",
            )
            now = to_us(service.clock.now())
            confirm = partial(
                merging.confirm, tenant_id=service.tenant_id, first_no=one.first_no, second_no=one.second_no
            )
            await service.writer.do(partial(confirm, now=now, by="merchant"))
            teller.tell("merchant", "says: they are one")
            return True
        await asyncio.sleep(LOOK_EVERY_S)
    teller.story.problem = f"nobody was asked about the order on eBay after {KNOWN_WITHIN_S:.0f} s"
    return False
