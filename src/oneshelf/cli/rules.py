"""What is held back from which listings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from oneshelf.core.precedence import RANK_DEFAULT
from oneshelf.tenants.accounts import FIRST_TENANT

from .base import Json, app, ask_service, err, out, print_json, reader, settings_of, text_of

group = typer.Typer(no_args_is_help=True, help="What is held back from which listings.")
app.add_typer(group, name="rules")


AccountOption = Annotated[int, typer.Option("--account", help="Only this account's listings (its number); 0: all.")]
ChannelOption = Annotated[str, typer.Option("--channel", help="Only this channel's accounts: amazon, ebay, etsy.")]
SkuOption = Annotated[str, typer.Option("--sku", help="Only this SKU; empty: all.")]
TagOption = Annotated[str, typer.Option("--tag", help="Only products with this tag in the shop.")]
VendorOption = Annotated[str, typer.Option("--vendor", help="Only products of this vendor.")]
TypeOption = Annotated[str, typer.Option("--type", help="Only products of this type.")]
PreviewOption = Annotated[
    bool,
    typer.Option(
        "--preview", help="Change nothing: say which listings would change, and how the last 30 days would have gone."
    ),
]
AfterOption = Annotated[int, typer.Option("--after", help="List changed listings after so many.", min=0)]
LimitOption = Annotated[int, typer.Option("--limit", help="How many changed listings to list.", min=1, max=1000)]


def _place(account: int, channel: str, sku: str, tag: str, vendor: str, kind: str) -> dict[str, Any]:
    """What a rule speaks of, as the command takes it. Ends with 2 where two things are named."""
    named = {"sku": sku, "tag": tag, "vendor": vendor, "type": kind}
    given = [(goods, value) for goods, value in named.items() if value]
    if len(given) > 1:
        err.print(
            f"A rule speaks of one of SKU, tag, vendor, type, not of {' and '.join(goods for goods, _ in given)}."
        )
        raise typer.Exit(2)
    goods, value = given[0] if given else ("all", "")
    return {"account_id": account, "channel": channel.lower(), "goods": goods, "value": value}


@group.command("list")
def rules_list(as_json: Json = False) -> None:
    """The rules, narrowest first; the first that fits a listing wins whole."""
    from oneshelf.watch.rules import rule_lines

    with reader(settings_of()) as tx:
        found = rule_lines(tx, FIRST_TENANT)
    if as_json:
        print_json(found)
        return
    for one in found:
        rank = f" [rank {one.rule.selector.rank}]" if one.rule.selector.rank != RANK_DEFAULT else ""
        out.print(f"{one.for_what}{rank}: {one.says}", highlight=False, markup=False)
    if not found:
        out.print(
            "No rules: every listing shows what the others leave. Set one: oneshelf rules set --keep 2", highlight=False
        )


@group.command("set")
def rules_set(
    account: AccountOption = 0,
    channel: ChannelOption = "",
    sku: SkuOption = "",
    tag: TagOption = "",
    vendor: VendorOption = "",
    kind: TypeOption = "",
    rank: Annotated[
        int | None, typer.Option("--rank", help="Between rules that are equally narrow (two tags): smaller goes first.")
    ] = None,
    safety_stock: Annotated[int, typer.Option("--keep", help="Pieces never offered.", min=0)] = 0,
    safety_percent: Annotated[
        int | None, typer.Option("--percent", help="Offer at most this share of what is available.")
    ] = None,
    cap: Annotated[int | None, typer.Option("--cap", help="Offer at most so many pieces.")] = None,
    cap_auto: Annotated[
        bool, typer.Option("--cap-auto", help="Offer at most what sells in four windows, 20 or more.")
    ] = False,
    exactly: Annotated[
        int | None, typer.Option("--exactly", help="Show this number as long as buffer and stock allow.", min=0)
    ] = None,
    fixed: Annotated[
        bool, typer.Option("--fixed", help="The fixed buffer only: set nothing aside for what other channels may sell.")
    ] = False,
    min_show: Annotated[int, typer.Option("--from", help="Below this many listings show 0.")] = 1,
    low_at: Annotated[
        int | None,
        typer.Option("--low-at", help="When so many pieces or fewer are left, the --low- numbers hold instead."),
    ] = None,
    low_keep: Annotated[int, typer.Option("--low-keep", help="Pieces never offered then.", min=0)] = 0,
    low_percent: Annotated[int | None, typer.Option("--low-percent", help="Share offered at most then.")] = None,
    low_cap: Annotated[int | None, typer.Option("--low-cap", help="Pieces offered at most then.")] = None,
    low_exactly: Annotated[int | None, typer.Option("--low-exactly", help="The number shown then.")] = None,
    low_fixed: Annotated[bool, typer.Option("--low-fixed", help="Set nothing aside then.")] = False,
    low_from: Annotated[int, typer.Option("--low-from", help="Below this many listings show 0 then.")] = 1,
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--except", help="A location (its name or id) whose pieces are not offered; may be given several times."
        ),
    ] = None,
    preview: PreviewOption = False,
    after: AfterOption = 0,
    limit: LimitOption = 20,
    as_json: Json = False,
) -> None:
    """Set a rule: keep pieces back, cap what is shown. It takes the place of the rule that spoke of the same."""
    rule: dict[str, Any] = {
        "safety_stock": safety_stock,
        "safety_percent": safety_percent,
        "cap": cap,
        "exactly": exactly,
    }
    rule |= {"min_show": min_show, "adaptive": not fixed, "cap_auto": cap_auto, "rank": rank, "low_at": low_at}
    low = {"safety_stock": low_keep, "safety_percent": low_percent, "cap": low_cap, "exactly": low_exactly}
    low |= {"min_show": low_from, "adaptive": not low_fixed}
    if (
        low_at is not None
        or low_keep
        or low_fixed
        or low_from != 1
        or any(v is not None for v in (low_percent, low_cap, low_exactly))
    ):
        rule["low"] = low
    rule["except_locations"] = location_ids(without or [])
    payload = {**_place(account, channel, sku, tag, vendor, kind), **rule}
    done = ask_service("rule", {**payload, "preview": preview, "after": after, "limit": limit})
    print_json(done) if as_json else tell(done, "Kept. The numbers are on their way.")
    _end(done, preview)


@group.command("drop")
def rules_drop(
    account: AccountOption = 0,
    channel: ChannelOption = "",
    sku: SkuOption = "",
    tag: TagOption = "",
    vendor: VendorOption = "",
    kind: TypeOption = "",
    preview: PreviewOption = False,
    after: AfterOption = 0,
    limit: LimitOption = 20,
    as_json: Json = False,
) -> None:
    """Take a rule back."""
    payload = {**_place(account, channel, sku, tag, vendor, kind), "drop": True}
    done = ask_service("rule", {**payload, "preview": preview, "after": after, "limit": limit})
    print_json(done) if as_json else tell(done, "Taken back. The numbers are on their way.")
    _end(done, preview)


def _end(done: dict[str, Any], preview: bool) -> None:
    """1: it was not made, a person has to look first."""
    if not preview and done.get("waits"):
        raise typer.Exit(1)


def location_ids(names: list[str]) -> list[str]:
    """Return the ids of locations given by name or id; one that is unknown is passed on as it is, to be refused by name."""
    if not names:
        return []
    with reader(settings_of()) as tx:
        of_name = dict(tx.all("SELECT name, location_id FROM location WHERE tenant_id = :t", t=FIRST_TENANT))
    return [of_name.get(one, one) for one in names]


@group.command("export")
def rules_export(
    file: Annotated[
        Path | None, typer.Argument(help="Where to write the CSV file; without it, standard output.")
    ] = None,
) -> None:
    """Write all rules as a CSV file for a spreadsheet."""
    from oneshelf.listings.policy import all_rules
    from oneshelf.listings.rule_sheet import to_csv

    with reader(settings_of()) as tx:
        rules = all_rules(tx, FIRST_TENANT)
    if file is None:
        sys.stdout.write(to_csv(rules))
    else:
        file.write_text(to_csv(rules), encoding="utf-8", newline="")
        out.print(f"{len(rules)} rules written to {file}.", highlight=False)


@group.command("import")
def rules_import(
    file: Annotated[
        Path, typer.Argument(help="A CSV file as `rules export` writes it; action `drop` takes a rule back.")
    ],
    yes: Annotated[
        bool, typer.Option("--yes", help="Keep the right rows; without it, only say what they would do.")
    ] = False,
    after: AfterOption = 0,
    limit: LimitOption = 20,
    as_json: Json = False,
) -> None:
    """Take rules from a CSV file. Rules that it does not name stay."""
    done = ask_service("rules_import", {"text": text_of(file), "yes": yes, "after": after, "limit": limit})
    if as_json:
        print_json(done)
    else:
        out.print(f"{done['rules']} rules change, {done['same']} are so already.", highlight=False)
        for row, problem in done["problems"]:
            out.print(f"  row {row}: {problem}", highlight=False, markup=False)
        if done["rules"]:
            tell(done, "Kept. The numbers are on their way. Take it back: oneshelf rules undo")
        if done["rules"] and not yes:
            out.print("Nothing was kept. Keep the right rows: the same with --yes", highlight=False)
    if done["problems"] or done["waits"]:
        raise typer.Exit(1)


@group.command("undo")
def rules_undo(
    preview: PreviewOption = False, after: AfterOption = 0, limit: LimitOption = 20, as_json: Json = False
) -> None:
    """Take the last import of rules back. Rules that were changed since are left alone."""
    done = ask_service("rules_undo", {"preview": preview, "after": after, "limit": limit})
    if as_json:
        print_json(done)
    else:
        if done["changed_since"]:
            out.print(
                f"{done['changed_since']} rules were changed after the import and stay as they are.", highlight=False
            )
        tell(done, f"{done['rules']} rules are as they were before the import. The numbers are on their way.")
    _end(done, preview)


def tell(done: dict[str, Any], made: str) -> None:
    """Say what a change of rules does, or would do."""
    for one in done.get("accounts", []):
        counts = one["weighed"]
        words = [
            f"{counts[name]} {word}"
            for name, word in (("to_zero", "to 0"), ("lower", "lower"), ("higher", "raised"))
            if counts[name]
        ]
        out.print(
            f"{one['label'] or one['channel']}: of {one['concerned']} listings concerned {', '.join(words) or 'none changes'}",
            highlight=False,
            markup=False,
        )
    for one in done.get("listings", []) if done.get("preview") else []:
        out.print(
            f"  {one['external_id']}  {one['was']} → {one['would']}  {one['title']}", highlight=False, markup=False
        )
    if done.get("preview") and done.get("next_after"):
        out.print(f"  … {done['changed']} in all; more: --after {done['next_after']}", highlight=False)
    if done.get("replay"):
        _tell_replay(done["replay"])
    if done.get("preview"):
        if done["alarm"]:
            out.print(f"It would wait for your word: {done['alarm']}.", highlight=False, markup=False)
    elif done.get("waits"):
        number = done["waits"]
        out.print(f"Nothing is changed yet: {done['alarm']}.", highlight=False, markup=False)
        out.print(
            f"Do it all the same: oneshelf guard approve {number}. Forget it: oneshelf guard refuse {number}",
            highlight=False,
        )
    elif done.get("made"):
        out.print(made, highlight=False)


def _tell_replay(replay: dict[str, Any]) -> None:
    happened, now, changed = replay["happened"], replay["now"], replay["changed"]
    out.print(f"The last {replay['days']} days again, {replay['skus']} SKUs that sold:", highlight=False)
    out.print(
        f"  as it happened:    {happened['sold']} pieces sold, {happened['oversold']} of them oversold", highlight=False
    )
    for name, one in (("rules of now:", now), ("changed rules:", changed)):
        out.print(
            f"  {name:<18} {one['sold']} sold, {one['oversold']} oversold, {one['withheld']} wanted and not shown",
            highlight=False,
        )
    avoided, withheld = replay["avoided"], replay["withheld"]
    words = [f"{avoided} oversold pieces avoided" if avoided >= 0 else f"{-avoided} pieces more oversold"]
    words.append(f"{withheld} pieces that were sold withheld" if withheld >= 0 else f"{-withheld} pieces more sold")
    if replay["left_out"]:
        words.append(f"{replay['left_out']} SKUs that sell less were not looked at")
    out.print(f"  so {', '.join(words)}", highlight=False)


@group.command("strict")
def rules_strict(
    sku: Annotated[str | None, typer.Argument(help="The SKU; without it, those that are strict.")] = None,
    off: Annotated[bool, typer.Option("--off", help="It may be oversold again.")] = False,
    as_json: Json = False,
) -> None:
    """Never oversell this SKU: its pieces are dealt out, the shop's too, and no number rises before the others are counted."""
    if sku is None:
        from oneshelf.listings.risk import strict_skus

        with reader(settings_of()) as tx:
            found = sorted(strict_skus(tx, FIRST_TENANT))
        if as_json:
            print_json(found)
        else:
            out.print("\n".join(found) or "No SKU is strict.", highlight=False)
        return
    done = ask_service("strict", {"sku": sku, "strict": not off})
    if as_json:
        print_json(done)
    elif not done["changed"]:
        out.print("It was so already.")
    else:
        out.print("Kept. The numbers are on their way.")


@group.command("risk")
def rules_risk(
    margin: Annotated[
        int, typer.Option(help="What a piece that stays unsold loses, in the smallest unit (cents).", min=0)
    ] = 0,
    oversold: Annotated[int, typer.Option(help="What one oversold order costs, in the same unit.", min=0)] = 0,
    sku: SkuOption = "",
    drop: Annotated[bool, typer.Option("--drop", help="Take it back.")] = False,
    as_json: Json = False,
) -> None:
    """Say what an unsold piece and an oversold order cost: how much is set aside follows from both."""
    done = ask_service("risk", {"sku": sku, "margin": margin, "oversold": oversold, "drop": drop})
    chance = f"One stock-out in {round(1 / done['epsilon'])} may end in an oversold order."
    print_json(done) if as_json else out.print(f"Kept. {chance}")


@group.command("locations")
def rules_locations(
    account: Annotated[int, typer.Option("--account", help="The account (its number).")],
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="A location, by its name or id; may be given several times. None: all."),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--except", help="A location, by its name or id, that does not serve it; new ones do."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say which of the shop's locations serve an account."""
    wish = {"locations": location_ids(only or []), "excluded": location_ids(without or [])}
    done = ask_service("locations", {"account_id": account, **wish})
    print_json(done) if as_json else tell({**done, "made": not done["waits"]}, "Kept. The numbers are on their way.")
    _end(done, False)
