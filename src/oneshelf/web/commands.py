"""Commands that change something or ask a channel: one function each, the same for the running service and for a file at rest.

In: a service and a payload of plain values. Out: plain values for JSON. Raises OneshelfError with words for the person who asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

import msgspec

from oneshelf.channels.abilities import Migrates
from oneshelf.channels.contract import HubLocation
from oneshelf.channels.session import Priority
from oneshelf.core.errors import NotThere, Park
from oneshelf.core.ids import HUB, ChannelName
from oneshelf.core.instants import iso, to_us
from oneshelf.customers import privacy
from oneshelf.db import undo
from oneshelf.db.tx import Tx
from oneshelf.imports import counts
from oneshelf.listings import links, mapping
from oneshelf.onboarding import checking, following, leaving, marketplace, signing_in, subscribing, unmanaged
from oneshelf.onboarding.bring_up import bring_up
from oneshelf.onboarding.connect import Entered
from oneshelf.orders import repairing
from oneshelf.pricing import marks
from oneshelf.publish import approving, pausing
from oneshelf.tenants import sign_ins
from oneshelf.tenants.accounts import load_secret
from oneshelf.watch.check import check
from oneshelf.wiring import SIGN_INS, Running, Service, build_channel

from . import (
    account_commands,
    alert_commands,
    bundle_commands,
    conflict_commands,
    customer_commands,
    offer_commands,
    order_commands,
    plan_commands,
    price_commands,
    price_rule_commands,
    routing_commands,
    rule_commands,
    safe_pause_commands,
    sheet_commands,
    task_commands,
    token_commands,
    truth_commands,
    webhook_commands,
)

Command = Callable[[Service, dict[str, Any]], Awaitable[Any]]


class NotPossible(Park):
    """The command can't be carried out as it was given."""


async def run_check(service: Service, payload: dict[str, Any]) -> Any:
    """Audit the books against the channels; with `repair` put right first what differs among our own."""
    repaired: list[str] = []
    if payload.get("repair"):
        now = to_us(service.clock.now())
        repaired = await service.writer.do(lambda tx: repairing.repair(tx, service.tenant_id, now, by=service.by))
        service.levels_bell.ring()
        service.wake_all()
    audit = await check(service.tenant_id, service.checked(), service.writer, service.clock)
    audit.repaired = repaired
    return msgspec.to_builtins(audit)


async def run_count(service: Service, payload: dict[str, Any]) -> Any:
    """Take up a count of one SKU at one location."""

    def step(tx: Tx) -> int:
        location = payload.get("location") or _only_location(tx, service.tenant_id)
        now = to_us(service.clock.now())
        return counts.enter(
            tx, service.tenant_id, payload["sku"], location, int(payload["quantity"]), now, by=service.by
        )

    number = await service.writer.do(step)
    service.hub_bell.ring()
    return {"count": number, "sku": payload["sku"], "quantity": int(payload["quantity"])}


def _only_location(tx: Tx, tenant_id: int) -> str:
    rows = tx.all("SELECT location_id, name FROM location WHERE tenant_id = :t AND in_scope = 1", t=tenant_id)
    if len(rows) != 1:
        names = ", ".join(f"{location_id} ({name})" for location_id, name in rows)
        raise NotPossible(
            f"Say where it was counted: --location with one of {names or 'none: connect the shop first'}."
        )
    return str(rows[0][0])


async def run_connect(service: Service, payload: dict[str, Any]) -> Any:
    """Connect an account; it goes live only with `live` (and `zeros` where many listings would go to 0)."""
    said: list[str] = []
    entered = msgspec.convert({"settings": {}, "secret": {}, "app": {}, **payload["account"]}, Entered)
    callback = service.callback_url(ChannelName(entered.channel))

    async def accept(preview: marketplace.Preview) -> bool:
        return bool(payload.get("live")) and (bool(payload.get("zeros")) or not preview.needs_second_yes)

    try:
        done = await bring_up(
            service, entered, build=build_channel, callback_url=callback, say=said.append, accept=accept
        )
    except ValueError as error:
        raise NotPossible(f"{error}. Correct it and connect again.") from error
    return {**msgspec.to_builtins(done), "said": said}


async def run_sign_in(service: Service, payload: dict[str, Any]) -> Any:
    """Begin a sign-in in the browser: where to go, and by which key to ask how it went."""
    channel = str(payload["channel"])
    if not service.local_url:
        raise NotPossible("The channel sends you back to the running service. Start it first: oneshelf serve")
    sign_in = SIGN_INS.get(channel)
    if sign_in is None:
        raise NotPossible(f"{channel.title()} can't be signed in to in the browser; connect it by a file.")
    address = service.settings.public_url or service.local_url.replace("127.0.0.1", "localhost")
    begun = await signing_in.begin(
        service, sign_in, channel, dict(payload.get("settings") or {}), dict(payload.get("app") or {}), address
    )
    return msgspec.to_builtins(begun)


async def run_sign_in_state(service: Service, payload: dict[str, Any]) -> Any:
    """How far a sign-in is: waiting (for the merchant), running, done or failed."""
    key = str(payload["key"])
    state = service.sign_ins.get(key)
    if state is not None:
        return msgspec.to_builtins(state)
    now = to_us(service.clock.now())
    if await service.writer.do(lambda tx: sign_ins.is_over(tx, service.tenant_id, key, now)):
        return {"state": "failed", "said": [], "problem": sign_ins.OVER}
    return {"state": "waiting", "said": []}


async def run_channels_check(service: Service, payload: dict[str, Any]) -> Any:
    """Look at one account or all: the channel's own word, and our side of it."""
    wanted = payload.get("account_id")
    if wanted is not None and int(wanted) not in service.running:
        raise NotThere(f"Account {wanted} is not connected. `oneshelf channels list` shows the accounts.")
    checked = []
    for one in service.running.values():
        if wanted is not None and one.account_id != int(wanted):
            continue
        channel = one.channel
        # A person waits: a few calls of the reserve are well spent on telling him that it is all that is left.
        http = one.session.with_priority(Priority.LOWER_UNSAFE).with_patience(checking.PATIENCE_S)
        found = await checking.ask_channel(channel, http, service.callback_url(channel.name), one.app)
        places = await checking.places_of(channel, http) if all(finding.ok for finding in found) else []
        queue = await service.queue_finding(one)
        found += [checking.clock(channel, one.session.clock_ahead_s), *([] if queue is None else [queue])]
        poll_s = service.settings.poll_interval_s(channel.name, channel.can.poll_interval_s)

        def ours(
            tx: Tx, one: Running = one, poll_s: float = poll_s, places: Sequence[HubLocation] = tuple(places)
        ) -> Any:
            secret = load_secret(tx, service.sealer, service.tenant_id, one.account_id, "account")
            now = service.clock.now()
            findings = checking.own_findings(tx, service.tenant_id, one.account_id, one.channel, poll_s, secret, now)
            findings += checking.locations(tx, service.tenant_id, places) if places else []
            state = tx.one(
                "SELECT state FROM account WHERE tenant_id = :t AND account_id = :a",
                t=service.tenant_id,
                a=one.account_id,
            )
            return findings, state[0] if state else ""

        findings, state = await service.writer.do(ours)
        findings = [*found, *checking.without_consequences(found, findings)]
        checked.append(
            checking.AccountChecked(
                account_id=one.account_id,
                channel=str(channel.name),
                label=one.row.label,
                state=state,
                ok=all(finding.ok for finding in findings),
                findings=findings,
            )
        )
    return msgspec.to_builtins(checked)


async def run_reread(service: Service, payload: dict[str, Any]) -> Any:
    """Read an account's whole catalogue again: beside the running service, or, where none runs, until it is done."""
    one = service.running.get(int(payload["account_id"]))
    if one is None:
        raise NotThere(
            f"Account {payload['account_id']} is not connected. `oneshelf channels list` shows the accounts."
        )
    tenant_id, account_id = service.tenant_id, one.account_id
    if not service.local_url:
        http = one.session.with_priority(Priority.CATALOGUE)
        await following.reread(tenant_id, account_id, one.channel, http, service.writer, service.clock)
    elif not one.reading_catalogue.locked():
        await service.writer.do(lambda tx: following.plan_next(tx, tenant_id, account_id, 0))
        one.catalogue_bell.ring()
    return await run_reread_state(service, payload)


async def run_reread_state(service: Service, payload: dict[str, Any]) -> Any:
    """How far the reading of an account's catalogue is, and why it stopped if it did."""
    account_id = int(payload["account_id"])
    run, due_at = await service.writer.do(lambda tx: following.load_run(tx, service.tenant_id, account_id))
    row = await service.writer.do(
        lambda tx: tx.one(
            "SELECT problem FROM upkeep WHERE tenant_id = :t AND account_id = :a AND name = 'catalogue'",
            t=service.tenant_id,
            a=account_id,
        )
    )
    one = service.running.get(account_id)
    busy = due_at == 0 or (one is not None and one.reading_catalogue.locked())
    return {**(msgspec.to_builtins(run) if run else {}), "busy": busy, "problem": row[0] if row else ""}


async def run_migrate(service: Service, payload: dict[str, Any]) -> Any:
    """Say which listings of an account are out of reach; with `yes` bring over those of `listings` (none named: all that can be)."""
    account_id = int(payload["account_id"])
    one = service.running.get(account_id)
    if one is None:
        raise NotThere(f"Account {account_id} is not connected. `oneshelf channels list` shows the accounts.")
    channel = one.channel
    if not isinstance(channel, Migrates):
        raise NotPossible(f"{channel.name.title()} has no listings out of reach; nothing has to be brought over.")
    known = await service.writer.do(lambda tx: unmanaged.known(tx, service.tenant_id, account_id))
    if known.read_at is None:
        raise NotPossible(
            f"It is not known which listings are out of reach. Read them: oneshelf channels reread {account_id}"
        )
    by_id = {each.listing_id: each for each in known.listings}
    named = list(dict.fromkeys(str(each) for each in payload.get("listings") or ()))
    strange = [each for each in named if each not in by_id]
    if strange:
        raise NotPossible(
            f"{', '.join(strange[:5])}: not among the listings out of reach. See them: oneshelf listings migrate {account_id}"
        )
    wanted = named or [each.listing_id for each in known.listings if not each.problem]
    ended: list[unmanaged.Ended] = []
    if payload.get("yes") and wanted:
        http = one.session.with_priority(Priority.CATALOGUE)
        ended = await unmanaged.bring_over(
            service.tenant_id, account_id, channel, http, service.writer, service.clock, wanted
        )
        # What came over is found, linked and told its number by the next reading: now.
        await service.writer.do(lambda tx: following.plan_next(tx, service.tenant_id, account_id, 0))
        one.catalogue_bell.ring()
    return {
        "account_id": account_id,
        "what": channel.migration.what,
        "read_at": iso(known.read_at),
        "total": known.total,
        "listings": msgspec.to_builtins(known.listings),
        "wanted": wanted,
        "outcomes": msgspec.to_builtins(ended),
    }


async def run_disconnect(service: Service, payload: dict[str, Any]) -> Any:
    """Disconnect an account with `yes`; with `zero` let it show 0 everywhere first; with neither say what would be."""
    account_id = int(payload["account_id"])
    one = service.running.get(account_id)
    if one is None:
        raise NotThere(f"Account {account_id} is not connected. `oneshelf channels list` shows the accounts.")
    tenant_id, now = service.tenant_id, to_us(service.clock.now())
    shown = await service.writer.do(lambda tx: leaving.showing_more_than_zero(tx, tenant_id, account_id))
    if payload.get("zero"):
        await service.writer.do(
            lambda tx: pausing.pause(tx, tenant_id, account_id, now, zero_first=True, by=service.by)
        )
        service.wake_all()
        return {"account_id": account_id, "disconnected": False, "showing": shown, "on_the_way_to_zero": True}
    if not payload.get("yes"):
        return {"account_id": account_id, "disconnected": False, "showing": shown}
    if one.channel.name is HUB and len(service.running) > 1:
        raise NotPossible("Disconnect the marketplaces first: without the shop nobody counts for them.")
    said, left = await service.disconnect(account_id)
    return {
        "account_id": account_id,
        "disconnected": True,
        "showing": shown,
        "listings_left_as_they_are": left,
        "findings": msgspec.to_builtins(said),
    }


async def run_live(service: Service, payload: dict[str, Any]) -> Any:
    """Accept an account's preview: from now on numbers leave."""
    one = service.running.get(int(payload["account_id"]))
    if one is None:
        raise NotThere(
            f"Account {payload['account_id']} is not connected. `oneshelf channels list` shows the accounts."
        )

    if one.channel.name is HUB:
        raise NotPossible("The shop goes live when it is connected; there is nothing to accept.")
    if payload.get("yes"):
        http, callback = one.session.with_priority(Priority.VERIFY), service.callback_url(one.channel.name)
        where = (service.tenant_id, one.account_id, one.channel, http, callback, one.app, service.writer, service.clock)
        held = marketplace.held_back(await subscribing.look(*where))
        if held:
            raise NotPossible(f"It can't go live yet. {held}")

    def step(tx: Tx) -> marketplace.Preview:
        shown = marketplace.preview(tx, service.tenant_id, one.account_id, one.channel.can, to_us(service.clock.now()))
        if payload.get("yes"):
            now = to_us(service.clock.now())
            marketplace.go_live(
                tx,
                service.tenant_id,
                one.account_id,
                shown,
                now,
                accepted=True,
                accepted_zeros=bool(payload.get("zeros")),
            )
        return shown

    shown = await service.writer.do(step)
    one.bell.ring()
    return {**msgspec.to_builtins(shown), "live": bool(payload.get("yes"))}


async def run_link(service: Service, payload: dict[str, Any]) -> Any:
    """Tie a listing to what one unit of it takes from the shelf; orders that waited for it are booked."""
    from oneshelf.orders.relink import relink

    outlet_id = int(payload["outlet_id"])

    def step(tx: Tx) -> int:
        now = to_us(service.clock.now())
        known = {
            sku
            for (sku,) in tx.all(
                "SELECT sku FROM item WHERE tenant_id = :t AND sku {in:skus} AND deleted = 0",
                t=service.tenant_id,
                skus=list(payload["parts"]),
            )
        }
        missing = sorted(set(payload["parts"]) - known)
        if missing:
            raise NotThere(f"The shop has no SKU {', '.join(missing)}.")
        if not _is_marketplace_listing(tx, service.tenant_id, outlet_id):
            raise NotThere(f"There is no listing {outlet_id}: oneshelf listings list --all.")
        links.link(tx, service.tenant_id, outlet_id, payload["parts"], now, by=service.by)
        marks.mark_outlets(tx, service.tenant_id, [outlet_id], now, "linked")
        return relink(tx, service.tenant_id, outlet_id, now)

    booked = await service.writer.do(step)
    service.wake_all()
    return {"outlet_id": outlet_id, "orders_booked": booked}


def _is_marketplace_listing(tx: Tx, tenant_id: int, outlet_id: int) -> bool:
    """Whether it is there and a person may say what it sells. Raises NotPossible for one of the shop's own."""
    row = tx.one(
        "SELECT a.channel FROM outlet o JOIN account a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id "
        "WHERE o.tenant_id = :t AND o.outlet_id = :o",
        t=tenant_id,
        o=outlet_id,
    )
    if row is not None and row[0] == HUB:
        raise NotPossible(f"Listing {outlet_id} is the shop's own variant: it sells its own SKU.")
    return row is not None


async def run_unlink(service: Service, payload: dict[str, Any]) -> Any:
    """Take a listing's link away."""
    outlet_id, now = int(payload["outlet_id"]), to_us(service.clock.now())

    def step(tx: Tx) -> bool:
        if not _is_marketplace_listing(tx, service.tenant_id, outlet_id):
            return False
        marks.mark_outlets(tx, service.tenant_id, [outlet_id], now, "unlinked")
        return mapping.unlink(tx, service.tenant_id, outlet_id, now, by=service.by)

    if not await service.writer.do(step):
        raise NotThere(f"Listing {outlet_id} is not linked.")
    service.wake_all()
    return {"outlet_id": outlet_id}


async def run_import_links(service: Service, payload: dict[str, Any]) -> Any:
    """Check a CSV file of links; with `yes` carry out its right rows (or let them wait), and book the orders that waited."""
    can = {one.account_id: one.can for one in service.heard()}

    def step(tx: Tx) -> tuple[mapping.Wanted, approving.Done, int | None]:
        wanted = mapping.read_csv(tx, service.tenant_id, payload["text"])
        if not payload.get("yes"):
            return wanted, approving.Done(), None
        now = to_us(service.clock.now())
        done = approving.change_links(tx, service.tenant_id, wanted, can, now, by=service.by)
        made = not done.guard_no and (wanted.links or wanted.unlinks)
        return wanted, done, undo.changes(tx, service.tenant_id, limit=1)[0].change if made else None

    wanted, done, change_no = await service.writer.do(step)
    service.wake_all()
    return {
        "links": len(wanted.links),
        "unlinks": len(wanted.unlinks),
        "same": wanted.same,
        "problems": wanted.problems,
        "orders_booked": done.orders_booked,
        "done": bool(payload.get("yes")) and not done.guard_no,
        "change": change_no,
        "waits": done.guard_no,
        "alarm": done.alarm,
    }


async def run_undo_links(service: Service, payload: dict[str, Any]) -> Any:
    """Tie listings to what they were tied to before a file changed them."""
    change_no, now = int(payload["change"]), to_us(service.clock.now())

    def step(tx: Tx) -> tuple[int, int]:
        linked, unlinked = mapping.put_back(tx, service.tenant_id, change_no, now, by=service.by)
        return len(linked) + len(unlinked), _after_linking(tx, service.tenant_id, linked, unlinked, now)

    listings, booked = await service.writer.do(step)
    service.wake_all()
    return {"change": change_no, "listings": listings, "orders_booked": booked}


def _after_linking(tx: Tx, tenant_id: int, linked: Collection[int], unlinked: Collection[int], now: int) -> int:
    """Prices of these listings are looked at again, and orders that waited for a link are booked; returns how many."""
    from oneshelf.orders.relink import relink

    marks.mark_outlets(tx, tenant_id, [*linked, *unlinked], now, "linked by a file")
    return sum(relink(tx, tenant_id, outlet_id, now) for outlet_id in linked)


async def run_privacy_export(service: Service, payload: dict[str, Any]) -> Any:
    """Give what is kept of the person of an export request; with `done` the request is over."""
    number = int(payload["request"])

    def step(tx: Tx) -> Any:
        found = privacy.export(tx, service.tenant_id, number)
        if found is not None and payload.get("done"):
            privacy.exported(tx, service.tenant_id, number, to_us(service.clock.now()))
        return found

    found = await service.writer.do(step)
    if found is None:
        raise NotThere(f"There is no open export request {number}: oneshelf privacy list.")
    return found


COMMANDS: dict[str, Command] = {
    "sign_in": run_sign_in,
    "sign_in_state": run_sign_in_state,
    "channels_check": run_channels_check,
    "disconnect": run_disconnect,
    "inbox_retry": account_commands.run_inbox_retry,
    "inbox_set_aside": account_commands.run_inbox_set_aside,
    "orders_again": account_commands.run_orders_again,
    "orders_again_state": account_commands.run_orders_again_state,
    "pause": account_commands.run_pause,
    "resume": account_commands.run_resume,
    "unlink": run_unlink,
    "import_links": run_import_links,
    "undo_links": run_undo_links,
    "reread": run_reread,
    "reread_state": run_reread_state,
    "migrate": run_migrate,
    "privacy_export": run_privacy_export,
    "check": run_check,
    "count": run_count,
    "connect": run_connect,
    "live": run_live,
    "link": run_link,
    "strict": offer_commands.run_strict,
    "risk": offer_commands.run_risk,
    "locations": offer_commands.run_locations,
    "announce": offer_commands.run_announce,
    "call_off": offer_commands.run_call_off,
    "decide": order_commands.run_decide,
    "answer": order_commands.run_answer,
    "pin": order_commands.run_pin,
    "leave": order_commands.run_leave,
    **routing_commands.COMMANDS,
    **bundle_commands.COMMANDS,
    "prices_follow": price_commands.run_prices_follow,
    "prices_off": price_commands.run_prices_off,
    "prices_retry": price_commands.run_prices_retry,
    **price_rule_commands.COMMANDS,
    **rule_commands.COMMANDS,
    **customer_commands.COMMANDS,
    **conflict_commands.COMMANDS,
    **safe_pause_commands.COMMANDS,
    **truth_commands.COMMANDS,
    **token_commands.COMMANDS,
    **sheet_commands.COMMANDS,
    **webhook_commands.COMMANDS,
    **plan_commands.COMMANDS,
    **task_commands.COMMANDS,
    **alert_commands.COMMANDS,
}
