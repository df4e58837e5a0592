"""Customers: who buys, and where; merge, take apart, suggestions, stages, a person's file, erasing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from oneshelf.core.money import decimals, in_words
from oneshelf.core.stage import STAGES, StageRules
from oneshelf.customers import exporting, merging, profiles, stages
from oneshelf.tenants.accounts import FIRST_TENANT
from oneshelf.watch.accounts import NAMES

from .base import Json, app, ask_service, err, out, print_json, reader, settings_of

group = typer.Typer(no_args_is_help=True, help="Customers across channels: who buys, how often, and who is who.")
app.add_typer(group, name="customers")

Number = Annotated[int, typer.Argument(help="The customer's number (`oneshelf customers list`).", min=1)]


def _purchases(customer: profiles.Customer) -> str:
    """The counter as it stands beside a name: all, and each channel's."""
    channels = " · ".join(f"{NAMES.get(channel, channel)} {n}" for channel, n in customer.per_channel.items())
    return f"{customer.purchases}" + (f" ({channels})" if channels else "")


def _name(customer: profiles.Customer) -> str:
    return customer.name or customer.email or "(erased or never told)"


@group.command("list")
def customers_list(
    find: Annotated[
        str, typer.Argument(help="An e-mail, a phone (with +), a number, or part of a name; nothing: all.")
    ] = "",
    stage: Annotated[str, typer.Option(help=f"Only this stage: {', '.join(STAGES)}.")] = "",
    channel: Annotated[str, typer.Option(help="Only who bought on this channel.")] = "",
    several: Annotated[
        bool, typer.Option("--several-channels", help="Only who bought on two channels or more.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=profiles.LIMIT_MAX)] = 50,
    after: Annotated[int, typer.Option(min=0, help="Pass over so many.")] = 0,
    as_json: Json = False,
) -> None:
    """Customers, the one who bought last first: purchases, stage, spend."""
    with reader(settings_of()) as tx:
        found = profiles.listed(
            tx,
            FIRST_TENANT,
            stage=stage,
            channel=channel,
            find=find,
            several_channels=several,
            after=after,
            limit=limit,
        )
    if as_json:
        print_json(found)
        return
    if not found:
        out.print(
            "No customer is like that." if find or stage or channel or several else "No order has named a customer yet."
        )
        return
    table = Table("no", "name", "stage", "purchases", "spend", "last")
    for one in found:
        spend = ", ".join(in_words(money.spend_minor, money.currency) for money in one.money)
        table.add_row(
            str(one.customer_no), _name(one), one.stage or "–", _purchases(one), spend, (one.last_at or "–")[:10]
        )
    out.print(table)


@group.command("show")
def customers_show(customer: Number, as_json: Json = False) -> None:
    """One customer: counters, by what they are known and which order told it, every order and why it is theirs."""
    with reader(settings_of()) as tx:
        found = profiles.profile(tx, FIRST_TENANT, customer)
    if as_json:
        print_json(found)
        return
    one = found.customer
    parts = f", with {', '.join(map(str, found.parts))} merged in" if found.parts else ""
    out.print(f"[bold]{_name(one)}[/bold]  customer {one.customer_no}{parts}", highlight=False)
    out.print(
        f"Purchases {_purchases(one)}, {one.pieces} pieces; most on {NAMES.get(one.favourite, 'no channel')}",
        highlight=False,
    )
    for money in one.money:
        back = f", {in_words(money.refunded_minor, money.currency)} given back" if money.refunded_minor else ""
        out.print(
            f"Spent {in_words(money.spend_minor, money.currency)} in {money.purchases}, "
            f"{in_words(money.average_minor, money.currency)} on average{back}",
            highlight=False,
        )
    out.print(f"First {one.first_at or '–'}, last {one.last_at or '–'}", highlight=False)
    out.print(f"Stage {one.stage or 'none'} since {one.stage_at or '–'}: {one.stage_why}", highlight=False)
    known = Table("known by", "value", "told by", "rule", "since")
    for sign in found.known_by:
        kind = f"{sign.kind} ({sign.channel})" if sign.channel else sign.kind
        known.add_row(
            kind, sign.value or "(erased)", f"{sign.from_channel} {sign.from_order}", sign.rule, sign.seen_at[:16]
        )
    out.print(known)
    orders = Table("placed", "channel", "order", "theirs by", "counts", "pieces", "money")
    for order in found.orders:
        money_of = in_words(order.spend_minor, order.currency) if order.currency else "–"
        counts = "yes" if order.counted else "no"
        orders.add_row(
            order.placed_at[:16], order.channel, order.order_id, order.rule, counts, str(order.pieces), money_of
        )
    out.print(orders)
    for change in found.stages:
        out.print(
            f"{change.changed_at[:16]}  {change.before or '–'} → {change.after or '–'}: {change.why}", highlight=False
        )
    if found.open_suggestions:
        out.print(f"{found.open_suggestions} suggested to be the same person: oneshelf customers suggestions")


@group.command("merge")
def customers_merge(
    customer: Number,
    into: Annotated[int, typer.Argument(help="The customer that it becomes a part of.", min=1)],
    as_json: Json = False,
) -> None:
    """Say that two customers are one person. Nothing is moved: `unmerge` takes them apart exactly."""
    done = ask_service("customers_merge", {"customer_no": customer, "into": into})
    print_json(done) if as_json else _tell_merged(done)


def _tell_merged(done: dict[str, Any]) -> None:
    out.print(
        f"Customer {done['customer_no']} is part of {done['into']} now. Take it out again: oneshelf customers unmerge {done['customer_no']}",
        highlight=False,
    )
    if done["both_in_hub"]:
        out.print("Your shop has two customers for them and keeps two: merge them there yourself if you want one.")


@group.command("unmerge")
def customers_unmerge(customer: Number, as_json: Json = False) -> None:
    """Take a merged customer out again. Orders that came in between go to whom their own evidence names."""
    done = ask_service("customers_unmerge", {"customer_no": customer})
    text = f"Customer {done['customer_no']} stands for itself again, beside {done['into']}."
    print_json(done) if as_json else out.print(text, highlight=False)


@group.command("suggestions")
def customers_suggestions(
    state: Annotated[str, typer.Option(help="OPEN, CONFIRMED or DISMISSED.")] = "OPEN",
    limit: Annotated[int, typer.Option(min=1, max=profiles.LIMIT_MAX)] = 100,
    as_json: Json = False,
) -> None:
    """Customers that may be one person: why, how sure, and which order says so. Only you can know."""
    if state not in ("OPEN", "CONFIRMED", "DISMISSED"):
        err.print(f"{state} is no state: OPEN, CONFIRMED or DISMISSED.", highlight=False)
        raise typer.Exit(2)
    with reader(settings_of()) as tx:
        found = merging.suggestions(tx, FIRST_TENANT, state=state, limit=limit)
        names = profiles.names_of(tx, FIRST_TENANT, {no for one in found for no in (one.first_no, one.second_no)})
    if as_json:
        print_json(found)
        return
    if not found:
        out.print("Nothing is suggested." if state == "OPEN" else f"No suggestion is {state.lower()}.")
        return
    table = Table("customers", "names", "how sure", "why", "told by")
    for one in found:
        who = " / ".join(names.get(number, ("", ""))[0] or "?" for number in (one.first_no, one.second_no))
        why = "; ".join(one.why) + (" (but another sign says otherwise)" if one.conflict else "")
        table.add_row(f"{one.first_no} {one.second_no}", who, one.sure, why, f"{one.channel} {one.order_id}")
    out.print(table)
    if state == "OPEN":
        out.print(
            "The same person: oneshelf customers confirm A B. Two: oneshelf customers dismiss A B.", highlight=False
        )


@group.command("confirm")
def customers_confirm(
    first: Number, second: Annotated[int, typer.Argument(help="The other one.", min=1)], as_json: Json = False
) -> None:
    """Say that two suggested customers are one: the younger becomes part of the older."""
    done = ask_service("customers_confirm", {"first_no": first, "second_no": second})
    print_json(done) if as_json else _tell_merged(done)


@group.command("dismiss")
def customers_dismiss(
    first: Number, second: Annotated[int, typer.Argument(help="The other one.", min=1)], as_json: Json = False
) -> None:
    """Say that two suggested customers are two people. It is not suggested again."""
    done = ask_service("customers_dismiss", {"first_no": first, "second_no": second})
    text = f"Customers {first} and {second} stay two; it is not suggested again."
    print_json(done) if as_json else out.print(text, highlight=False)


@group.command("stages")
def customers_stages(
    new_days: Annotated[int | None, typer.Option(help="So long after the first purchase a customer is new.")] = None,
    loyal: Annotated[int | None, typer.Option(help="Purchases from which on a customer is loyal.")] = None,
    vip: Annotated[int | None, typer.Option(help="Purchases from which on a customer is a VIP.")] = None,
    vip_spend: Annotated[
        str | None, typer.Option(help="Spend that makes a VIP too: '1000.00 EUR'; none: spend does not.")
    ] = None,
    at_risk_days: Annotated[int | None, typer.Option(help="At risk after so many days without a purchase.")] = None,
    lapsed_days: Annotated[int | None, typer.Option(help="Lapsed after so many days without a purchase.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many would stand where.")] = False,
    as_json: Json = False,
) -> None:
    """How many customers stand where, and by which rules; with options: change the rules."""
    given = {
        "new_days": new_days,
        "loyal_purchases": loyal,
        "vip_purchases": vip,
        "at_risk_days": at_risk_days,
        "lapsed_days": lapsed_days,
    }
    payload: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if vip_spend is not None:
        payload["vip_spend_minor"], payload["vip_currency"] = _amount(vip_spend)
    if payload or dry_run:
        found = ask_service("customers_stages", {**payload, "dry_run": dry_run})
    else:
        with reader(settings_of()) as tx:
            rules = stages.rules_of(tx, FIRST_TENANT)
            found = {"rules": rules, "customers": stages.counts(tx, FIRST_TENANT), "changed": False}
    if as_json:
        print_json(found)
        return
    rules = found["rules"] if isinstance(found["rules"], StageRules) else StageRules(**found["rules"])
    table = Table("stage", "who", "customers")
    for stage, who in _in_words(rules).items():
        table.add_row(stage, who, str(found["customers"].get(stage, 0)))
    out.print(table)
    if found["changed"]:
        out.print("These are the rules now; every customer is looked at again.")
    elif dry_run:
        out.print("Nothing was changed.")


def _in_words(rules: StageRules) -> dict[str, str]:
    spend = f", or {in_words(rules.vip_spend_minor, rules.vip_currency)} spent" if rules.vip_spend_minor else ""
    return {
        "new": f"one purchase, within {rules.new_days} days",
        "active": f"bought within {rules.at_risk_days} days",
        "loyal": f"{rules.loyal_purchases} purchases or more",
        "vip": f"{rules.vip_purchases} purchases or more{spend}",
        "at_risk": f"no purchase for {rules.at_risk_days} days",
        "lapsed": f"no purchase for {rules.lapsed_days} days",
    }


def _amount(text: str) -> tuple[int | None, str]:
    """'1000.00 EUR' → minor units and currency. Exits with 2 for anything else."""
    from decimal import Decimal, InvalidOperation

    if text.strip().lower() == "none":
        return None, ""
    amount, _, currency = text.strip().partition(" ")
    try:
        minor = Decimal(amount).scaleb(decimals(currency))
        if len(currency.strip()) == 3 and minor == minor.to_integral_value() and 0 < minor < 10**15:
            return int(minor), currency.strip().upper()
    except InvalidOperation:
        pass
    err.print(f"{text!r} is no amount. Say it with its currency: --vip-spend '1000.00 EUR', or none.", highlight=False)
    raise typer.Exit(2)


@group.command("export")
def customers_export(
    customer: Number,
    to: Annotated[Path | None, typer.Option(help="The file to write, readable by you only.")] = None,
    as_json: Json = False,
) -> None:
    """Write everything that is kept of a customer into a file for them."""
    with reader(settings_of()) as tx:
        found = exporting.export(tx, FIRST_TENANT, customer)
    path = to or Path(f"customer-{customer}.json")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        err.print(f"{path} is there already; name another with --to.", highlight=False)
        raise typer.Exit(2) from None
    except OSError as error:
        err.print(f"{path} can't be written ({error.strerror}); name another with --to.", highlight=False)
        raise typer.Exit(2) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(found, file, ensure_ascii=False, indent=2)
    done = {"file": str(path), "orders": len(found["orders"])}
    print_json(done) if as_json else out.print(
        f"{done['orders']} orders in {path}. Send it to the customer, then delete it.", highlight=False
    )


@group.command("erase")
def customers_erase(
    customer: Number,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; it can't be taken back.")] = False,
    as_json: Json = False,
) -> None:
    """Erase a person from everything kept here; their orders, money and counters stay, as nobody's."""
    if not yes:
        with reader(settings_of()) as tx:
            one = profiles.profile(tx, FIRST_TENANT, customer).customer
        err.print(
            f"This erases {_name(one)} (customer {one.customer_no}, {one.purchases} purchases) for good. "
            f"Do it: oneshelf customers erase {customer} --yes",
            highlight=False,
        )
        raise typer.Exit(2)
    done = ask_service("customers_erase", {"customer_no": customer})
    if as_json:
        print_json(done)
        return
    soon = done["orders"] - done["waiting"]
    out.print(
        f"Customer {done['customer_no']} is known by nothing any more. Their person goes from {soon} orders within minutes, from "
        f"{done['waiting']} that are still to be shipped afterwards. How far it is: oneshelf privacy list. Your shop's own customer is yours "
        "to erase in Shopify.",
        highlight=False,
    )
