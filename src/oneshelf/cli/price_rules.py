"""Price rules: set them, look at what they would change before it does, agree to prices that are far from what is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from oneshelf.core.instants import to_us
from oneshelf.core.money import in_words
from oneshelf.runtime.clock import SystemClock
from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, ask_service, err, instant, out, print_json, reader, settings_of, text_of
from .prices import Account, group

OnlyAccount = Annotated[int, typer.Option("--account", help="Only this account's listings (its number).")]
OnlyChannel = Annotated[str, typer.Option("--channel", help="Only this channel's listings: amazon, ebay or etsy.")]
OnlySku = Annotated[str, typer.Option("--sku", help="Only this SKU.")]
OnlyTag = Annotated[str, typer.Option("--tag", help="Only products with this tag in the shop.")]
OnlyVendor = Annotated[str, typer.Option("--vendor", help="Only this vendor's products.")]
OnlyType = Annotated[str, typer.Option("--type", help="Only products of this type.")]
Rank = Annotated[int, typer.Option(help="Between rules that are equally narrow the smaller goes first.")]
Price = Annotated[str, typer.Option(help="A formula: shop + 10%, cost * 1.4 + 3.00, compare_at, 19.99.")]
Round = Annotated[
    str, typer.Option("--round", help="ending .99, or step 0.05; and after it up or down. none: no rounding.")
]
Currency = Annotated[str, typer.Option(help="The currency of the amounts; the shop's if not given.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without it, only look.")]
Far = Annotated[
    bool, typer.Option("--far", help="Agree to the prices shown that move by more than their account's band.")
]
Limit = Annotated[int, typer.Option(help="How many listings to name.", min=0, max=100_000)]


def _selector(account: int, channel: str, rank: int, **goods: str) -> dict[str, Any]:
    """Return what a rule speaks of, as the service takes it."""
    named = {kind: value for kind, value in goods.items() if value.strip()}
    if len(named) > 1:
        err.print("Name one of --sku, --tag, --vendor and --type, or none for everything.")
        raise typer.Exit(2)
    kind, value = next(iter(named.items()), ("all", ""))
    return {"account_id": account, "channel": channel, "goods": kind, "value": value, "rank": rank}


def _say(done: dict[str, Any], as_json: bool, limit: int, kept: str, do_it: str) -> None:
    """Tell what a change does to prices: the listings, the counts, and how to let it stand."""
    if as_json:
        print_json(done)
        return
    table = Table()
    for name in ("listing", "there", "title", "asks", "should ask", "would ask", ""):
        table.add_column(name)
    for row in done["rows"][:limit]:
        amounts = (in_words(row[name], row["currency"]) for name in ("asks", "was", "will_be"))
        note = row["why"] or ("waits for your word" if row["far"] else "")
        table.add_row(
            str(row["listing"]),
            escape(f"{row['channel']} {row['external_id']}"),
            escape(row["title"]),
            *amounts,
            escape(note),
        )
    if done["rows"][:limit]:
        out.print(table)
    verb = "will" if done["done"] else "would"
    out.print(
        f"Of {done['reached']} listings {done['rise']} {verb} ask more, {done['fall']} less, {done['same']} what they should ask now; "
        f"{done['without']} {verb} have no price and keep the one they have.",
        highlight=False,
    )
    if not done["reached"]:
        out.print("Rules are heard at accounts that follow the shop's prices; no listing of one is reached by this.")
    if done["far"]:
        out.print(
            f"{done['far']} of these prices are further away than the account's band and wait for your word: "
            "add --far to agree at once, or see oneshelf prices waiting.",
            highlight=False,
        )
    out.print(kept if done["done"] else f"Nothing was changed. Do it: {do_it}", highlight=False)


@group.command("rules")
def prices_rules(as_json: Json = False) -> None:
    """The price rules, the narrowest first, and the sales."""
    from oneshelf.watch.prices import rules

    with reader(settings_of()) as tx:
        found = rules(tx, FIRST_TENANT, to_us(SystemClock().now()))
    if as_json:
        print_json(found)
        return
    for one in found:
        out.print(f"{one.rule}  {one.where}: {one.says}", highlight=False, soft_wrap=True, markup=False)
    if not found:
        out.print("There are no price rules: accounts that follow ask what the shop asks.")


@group.command("set")
def prices_set(
    account: OnlyAccount = 0,
    channel: OnlyChannel = "",
    sku: OnlySku = "",
    tag: OnlyTag = "",
    vendor: OnlyVendor = "",
    type_: OnlyType = "",
    price: Price = "",
    rounding: Round = "",
    floor: Annotated[str, typer.Option(help="A piece is never sold for less: 9.90. none: no floor.")] = "",
    ceiling: Annotated[str, typer.Option(help="A piece is never sold for more. none: no ceiling.")] = "",
    margin: Annotated[
        str, typer.Option(help="What must remain after cost and fee, percent of the price. none: no minimum.")
    ] = "",
    currency: Currency = "",
    rank: Rank = 100,
    yes: Yes = False,
    far: Far = False,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """Set a price rule, after looking at what it changes. A rule for the same place and goods is replaced whole."""
    selector = _selector(account, channel, rank, sku=sku, tag=tag, vendor=vendor, type=type_)
    says = {"price": price, "rounding": rounding, "floor": floor, "ceiling": ceiling, "margin": margin}
    done = ask_service("price_rule", {**selector, **says, "currency": currency, "yes": yes, "far": far})
    _say(done, as_json, limit, f"Kept as rule {done['rule']}. The prices are on their way.", "the same with --yes")


@group.command("sale")
def prices_sale(
    price: Annotated[
        str, typer.Option(help="A formula that may begin with what is asked without the sale: price - 20%, or 9.99.")
    ],
    start: Annotated[str, typer.Option(help="When it begins: 2026-11-27T08:00 (UTC, or with an offset).")],
    end: Annotated[str, typer.Option(help="When it ends.")],
    account: OnlyAccount = 0,
    channel: OnlyChannel = "",
    sku: OnlySku = "",
    tag: OnlyTag = "",
    vendor: OnlyVendor = "",
    type_: OnlyType = "",
    rounding: Round = "",
    currency: Currency = "",
    rank: Rank = 100,
    yes: Yes = False,
    far: Far = False,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """Set a sale: lower prices from one instant to another, after looking at what they will be."""
    selector = _selector(account, channel, rank, sku=sku, tag=tag, vendor=vendor, type=type_)
    window = {"starts_at": instant(start), "ends_at": instant(end)}
    says = {"price": price, "rounding": rounding, "currency": currency}
    done = ask_service("price_sale", {**selector, **says, **window, "yes": yes, "far": far})
    _say(done, as_json, limit, f"Kept as sale {done['rule']}; it begins and ends by itself.", "the same with --yes")


@group.command("drop")
def prices_drop(
    rule: Annotated[int, typer.Argument(help="The number of the rule or sale, from `oneshelf prices rules`.")],
    yes: Yes = False,
    far: Far = False,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """Take a price rule or a sale back, after looking at what that changes."""
    done = ask_service("price_drop", {"rule": rule, "yes": yes, "far": far})
    _say(done, as_json, limit, "Taken back. The prices are on their way.", f"oneshelf prices drop {rule} --yes")


@group.command("limits")
def prices_limits(
    account: Account,
    band: Annotated[
        int | None, typer.Option(help="A price that moves by more percent waits for your word; 0: none does.", min=0)
    ] = None,
    fee: Annotated[
        str | None, typer.Option(help="What the channel takes of a price, in percent, with taxes that are in it.")
    ] = None,
    yes: Yes = False,
    far: Far = False,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """An account's band and fee; given anew, they are set after looking at what that changes."""
    done = ask_service("price_limits", {"account_id": account, "band": band, "fee": fee, "yes": yes, "far": far})
    if band is None and fee is None and not as_json:
        far_words = f"a price that moves by more than {done['band']} % waits" if done["band"] else "no price waits"
        out.print(f"Account {account}: {far_words}; the channel takes {done['fee']} %.", highlight=False)
        return
    _say(done, as_json, limit, "Kept.", "the same with --yes")


# --- agreeing -----------------------------------------------------------------------------------------------------------


@group.command("waiting")
def prices_waiting(
    account: Annotated[int, typer.Option("--account", help="Only this account's (its number).")] = 0,
    as_json: Json = False,
) -> None:
    """Prices that wait for your word because they are far from what is asked."""
    from oneshelf.publish.price_waiting import waiting

    with reader(settings_of()) as tx:
        found = waiting(tx, FIRST_TENANT, account_id=account)
    if as_json:
        print_json(found)
        return
    for one in found:
        asks, would = in_words(one.asks, one.currency), in_words(one.would_ask, one.currency)
        line = f"{one.listing}  {one.channel} {one.external_id} {one.title}: asks {asks}, would ask {would}"
        out.print(line, highlight=False, soft_wrap=True, markup=False)
    if found:
        out.print("Agree: oneshelf prices approve LISTING; or refuse LISTING; or --account for all of an account.")
    else:
        out.print("No price waits for your word.")


Listings = Annotated[list[int] | None, typer.Argument(help="The listings' numbers, from `oneshelf prices waiting`.")]
AllOf = Annotated[int, typer.Option("--account", help="All that wait at this account.")]


@group.command("approve")
def prices_approve(listings: Listings = None, account: AllOf = 0, as_json: Json = False) -> None:
    """Agree to prices that wait: exactly these prices, and no others, may be asked."""
    _word("yes", listings, account, as_json)


@group.command("refuse")
def prices_refuse(listings: Listings = None, account: AllOf = 0, as_json: Json = False) -> None:
    """Say no to prices that wait: their listings keep what they ask until there is another price for them."""
    _word("no", listings, account, as_json)


def _word(word: str, listings: list[int] | None, account: int, as_json: bool) -> None:
    if not listings and not account:
        err.print("Name listings, or an account with --account: oneshelf prices waiting shows them.")
        raise typer.Exit(2)
    done = ask_service("price_word", {"word": word, "listings": listings or [], "account_id": account})
    if as_json:
        print_json(done)
        return
    for one in done["prices"]:
        price = in_words(one["would_ask"], one["currency"])
        text = (
            "is told" if word == "yes" else f"is not told; it goes on asking {in_words(one['asks'], one['currency'])}"
        )
        out.print(f"{one['channel']} {one['external_id']}: {price} {text}.", highlight=False)


# --- by file ------------------------------------------------------------------------------------------------------------


@group.command("export")
def prices_export(file: Annotated[Path, typer.Argument(help="The CSV file to write.")], as_json: Json = False) -> None:
    """Write every price rule and sale as CSV. Change it, then import it."""
    from oneshelf.pricing.rule_file import to_csv

    with reader(settings_of()) as tx:
        text = to_csv(tx, FIRST_TENANT)
    file.write_text(text, encoding="utf-8", newline="")
    done = {"file": str(file), "rules": len(text.splitlines()) - 1}
    print_json(done) if as_json else out.print(f"{done['rules']} rules and sales in {file}.", highlight=False)


@group.command("import")
def prices_import(
    file: Annotated[Path, typer.Argument(help="A CSV file as `prices export` writes it: the whole list.", exists=True)],
    yes: Yes = False,
    far: Far = False,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """Make a file the whole list of price rules, after looking at what that changes. Rules that are not in it are taken back."""
    done = ask_service("price_import", {"text": text_of(file), "yes": yes, "far": far})
    if not as_json:
        for number, words in done["problems"]:
            out.print(f"row {number}: {words}", highlight=False, soft_wrap=True, markup=False)
        _count(done)
    do_it = f"oneshelf prices import {file} --yes" if not done["problems"] else "mend the rows first"
    _say(done, as_json, limit, "Imported. Back again: oneshelf prices undo --yes.", do_it)
    if done["problems"]:
        raise typer.Exit(1)


@group.command("undo")
def prices_undo(yes: Yes = False, far: Far = False, limit: Limit = 50, as_json: Json = False) -> None:
    """Bring the price rules back to how they were before the last import, after looking at what that changes."""
    done = ask_service("price_undo", {"yes": yes, "far": far})
    if not as_json:
        _count(done)
    _say(done, as_json, limit, "The rules are as they were.", "oneshelf prices undo --yes")


def _count(done: dict[str, Any]) -> None:
    verb = "are" if done["done"] else "would be"
    out.print(
        f"{done['kept']} rules {verb} set, {done['taken_back']} taken back; {done['unchanged']} are there already.",
        highlight=False,
    )
