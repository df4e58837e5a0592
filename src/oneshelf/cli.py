"""The command line. Each command says what it did, has --json for machines, and an exit code that means something.

0: done and true. 1: something is not as it should be (a breach, an outcome that is not the user's). 2: the command was wrong or can't run.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from oneshelf import __version__
from oneshelf.core.errors import OneshelfError
from oneshelf.core.instants import iso
from oneshelf.db.store import store_for
from oneshelf.runtime.logs import configure_logs
from oneshelf.settings import Settings, load_settings
from oneshelf.tenants.accounts import FIRST_TENANT

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="One shelf of stock, sold through many shops.",
)
channels_app = typer.Typer(no_args_is_help=True, help="Channel accounts: connect, look, go live.")
key_app = typer.Typer(no_args_is_help=True, help="The key that credentials are sealed with.")
bench_app = typer.Typer(no_args_is_help=True, help="Benchmarks, each beside a reference in the same run.")
rates_app = typer.Typer(no_args_is_help=True, help="Exchange rates for orders in another currency than the shop's.")
app.add_typer(channels_app, name="channels")
app.add_typer(key_app, name="key")
app.add_typer(bench_app, name="bench")
rules_app = typer.Typer(no_args_is_help=True, help="What is held back from which listings.")
app.add_typer(rates_app, name="rates")
app.add_typer(rules_app, name="rules")

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output and nothing else.")]
out = Console()
err = Console(stderr=True)


def _on_terminate(*_: Any) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run a command; what stops it is said in one line, not in a traceback. SIGTERM ends it as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _on_terminate)
    try:
        app(standalone_mode=True)
    except OneshelfError as error:
        err.print(f"[bold]Stopped.[/bold] {error}", highlight=False)
        sys.exit(2)


def _print(value: Any) -> None:
    sys.stdout.write(json.dumps(msgspec.to_builtins(value), default=str) + "\n")


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _settings(**overrides: Any) -> Settings:
    return load_settings(**{name: value for name, value in overrides.items() if value is not None})


def _ask(command: str, payload: dict[str, Any]) -> Any:
    """Carry out a command by the running service, or on the database at rest."""
    from oneshelf.web.local import ask

    settings = _settings()
    if command != "connect":
        _needs_shelf(settings)
    configure_logs("error", "auto")
    return _run(ask(settings, command, payload))


def _needs_shelf(settings: Settings) -> None:
    """Say what to do when there is nothing to look at yet."""
    if settings.database.startswith("sqlite:///") and not Path(settings.database.removeprefix("sqlite:///")).exists():
        err.print(
            f"There is no shelf at {settings.database.removeprefix('sqlite:///')} yet. Start one: oneshelf serve (or look: oneshelf demo)."
        )
        raise typer.Exit(2)


def _reader(settings: Settings) -> Any:
    """Return a read-only transaction."""
    _needs_shelf(settings)
    return store_for(settings.database).reader()


@app.command()
def version(as_json: Json = False) -> None:
    """Say which version this is."""
    _print({"version": __version__}) if as_json else out.print(__version__)


@app.command()
def demo(
    seconds: Annotated[
        float | None, typer.Option(help="Let shoppers buy for so long; without it until Ctrl-C.", min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help="One seed, one crowd of shoppers.")] = 7,
    faults: Annotated[
        bool, typer.Option(help="Drop, double and reorder 10 % of webhooks, fail 5 % of calls, lose 2 % of answers.")
    ] = False,
    headless: Annotated[bool, typer.Option(help="No live picture.")] = False,
    scenario: Annotated[str | None, typer.Option(help="Play one story instead: last-unit or buffer.")] = None,
    port: Annotated[int, typer.Option(help="Port of the page; 0 lets the system choose.")] = 0,
    orders_per_s: Annotated[
        float, typer.Option(help="How fast the shoppers buy, on all channels together.", min=0.1, max=100)
    ] = 2.0,
    as_json: Json = False,
) -> None:
    """Four marketplaces, one shelf, on this machine: watch it sell. Exit 0 only if every order is stored and imported and nothing was oversold late."""
    from oneshelf.demo import run as play
    from oneshelf.demo import scenarios

    configure_logs("error", "auto")
    if scenario is not None:
        story = _run(scenarios.play(scenario, seed=seed, say=(lambda line: None) if as_json else out.print))
        if as_json:
            _print(story.timeline)
        elif story.problem:
            out.print(f"[bold]Not as it should be:[/bold] {story.problem}")
        else:
            out.print("As it should be.")
        raise typer.Exit(1 if story.problem else 0)
    summary = _run(
        play.run(
            seconds=seconds,
            seed=seed,
            faults=faults,
            headless=headless,
            as_json=as_json,
            port=port,
            orders_per_s=orders_per_s,
        )
    )
    if as_json:
        sys.stdout.write(play.as_json(summary) + "\n")
    else:
        play.tell(summary, out)
    raise typer.Exit(0 if summary.is_good else 1)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 lets the system choose.")] = None,
    as_json: Json = False,
) -> None:
    """Run the service: web, writer and workers in one process. Settings come from ONESHELF_… variables."""
    from oneshelf.web.serve import serve as run_service

    settings = _settings(host=host, port=port)
    configure_logs(settings.log_level, settings.log_form)
    problem = _run(
        run_service(
            settings, on_ready=lambda url: _print({"url": url}) if as_json else out.print(f"Oneshelf listens at {url}")
        )
    )
    if problem:
        err.print(problem)
        raise typer.Exit(2)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def emulator(context: typer.Context) -> None:
    """Run the four marketplaces alone. Options are the emulator's own: oneshelf emulator --help-emulator."""
    arguments = ["--help" if a == "--help-emulator" else a for a in context.args]
    os.execv(sys.executable, [sys.executable, "-m", "oneshelf_emulator", *arguments])


@app.command()
def stock(
    sku: Annotated[str | None, typer.Argument(help="One SKU; without it, all that begin with --prefix.")] = None,
    count: Annotated[int | None, typer.Option(help="Enter a count: so many pieces lie there.")] = None,
    location: Annotated[str | None, typer.Option(help="Where it was counted, by the location's id.")] = None,
    prefix: Annotated[str, typer.Option(help="Only SKUs that begin with this.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 200,
    as_json: Json = False,
) -> None:
    """What is there: on hand, committed, reserved, unavailable, available; or enter a count."""
    from oneshelf.watch.listing import stock_rows

    if count is not None:
        if sku is None:
            err.print("Say which SKU was counted: oneshelf stock SKU --count N.")
            raise typer.Exit(2)
        done = _ask("count", {"sku": sku, "quantity": count, "location": location})
        _print(done) if as_json else out.print(f"Taken up: {count} × {sku}. It counts when Shopify has taken it.")
        return
    with _reader(_settings()) as tx:
        rows = stock_rows(tx, FIRST_TENANT, sku=sku, prefix=prefix, limit=limit)
    if sku is not None and not rows:
        err.print(f"There is no SKU {sku} on the shelf.")
        raise typer.Exit(2)
    if as_json:
        _print(rows)
        return
    table = Table()
    for name in ("SKU", "location", "on hand", "committed", "reserved", "unavailable", "available"):
        table.add_column(name, justify="left" if name in ("SKU", "location") else "right")
    for row in rows:
        table.add_row(
            row.sku,
            row.location,
            *(str(n) for n in (row.on_hand, row.committed, row.reserved, row.unavailable, row.available)),
        )
    out.print(table)


@app.command()
def orders(
    channel: Annotated[str | None, typer.Option(help="Only this channel.")] = None,
    state: Annotated[
        str | None, typer.Option(help="Only this state: PENDING, OPEN, SHIPPED, CANCELLED, PARTIAL, UNLINKED …")
    ] = None,
    short: Annotated[bool, typer.Option("--short", help="Only orders that nothing on hand stands behind.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 50,
    as_json: Json = False,
) -> None:
    """What was bought, newest first, and where it stands in Shopify."""
    from oneshelf.watch.listing import order_rows

    with _reader(_settings()) as tx:
        rows = order_rows(tx, FIRST_TENANT, channel=channel, state=state, short=short, limit=limit)
    if as_json:
        _print(rows)
        return
    table = Table()
    for name in ("placed", "channel", "order", "state", "in Shopify", "lines"):
        table.add_column(name)
    for row in rows:
        lines = ", ".join(
            f"{line.pieces} × {line.sku or 'not linked'}{' SHORT' if line.coverage == 'SHORT' else ''}"
            for line in row.lines
        )
        table.add_row(row.placed_at, row.channel, row.order_id, row.state, row.hub_order_id or "–", lines)
    out.print(table)


@app.command()
def explain(
    sku: Annotated[str, typer.Argument(help="The SKU.")],
    channel: Annotated[str | None, typer.Option(help="Only this channel's number.")] = None,
    as_json: Json = False,
) -> None:
    """Why is this number what it is: every term, and the events behind it."""
    from oneshelf.watch import explain as why

    with _reader(_settings()) as tx:
        known = tx.one("SELECT 1 FROM item WHERE tenant_id = :t AND sku = :s", t=FIRST_TENANT, s=sku)
        if known is None:
            err.print(f"There is no SKU {sku} on the shelf.")
            raise typer.Exit(2)
        explanation = why.explain(tx, FIRST_TENANT, sku, channel)
    if as_json:
        _print(explanation)
    else:
        from oneshelf.watch.told import print_explanation

        print_explanation(explanation, out)


@app.command()
def check(as_json: Json = False) -> None:
    """Audit: levels = sum of entries, orders at the channels = orders stored, every offer = what is shown. Exit 1 on a breach."""
    audit = _ask("check", {})
    if as_json:
        _print(audit)
    else:
        out.print(
            f"{audit['levels']} levels, {audit['entries']} entries: {'each level is the sum of its entries' if not any(b['rule'] == 'I1' for b in audit['breaches']) else 'NOT all levels are the sum of their entries'}"
        )
        for one in audit["channels"]:
            line = f"{one['channel']}: {one['orders_stored']} of {one['orders_there']} orders stored"
            if one["outlets_read"]:
                line += f", {one['outlets_right']} of {one['outlets_read']} numbers right, {one['on_their_way']} on their way"
            out.print(line + (f" ({one['problem']})" if one["problem"] else ""))
        for breach in audit["breaches"]:
            out.print(f"[bold]{breach['rule']}[/bold] {breach['channel']} {breach['what']}", highlight=False)
    raise typer.Exit(1 if audit["breaches"] else 0)


@channels_app.command("list")
def channels_list(as_json: Json = False) -> None:
    """The connected accounts and how well they are heard."""
    with _reader(_settings()) as tx:
        rows = tx.all(
            "SELECT a.account_id, a.channel, a.external_id, a.label, a.state, f.complete_through_at, f.problem FROM account a "
            "LEFT JOIN feed f ON f.tenant_id = a.tenant_id AND f.account_id = a.account_id AND f.name = 'orders' "
            "WHERE a.tenant_id = :t ORDER BY a.account_id",
            t=FIRST_TENANT,
        )
    names = ("account_id", "channel", "external_id", "label", "state", "complete_through", "problem")
    found = [dict(zip(names, (*row[:5], iso(row[5]), row[6] or ""), strict=True)) for row in rows]
    if as_json:
        _print(found)
        return
    table = Table()
    for name in names:
        table.add_column(name.replace("_", " "))
    for one in found:
        table.add_row(*(str(one[name] if one[name] is not None else "–") for name in names))
    out.print(table)


@channels_app.command("connect")
def channels_connect(
    file: Annotated[
        Path,
        typer.Argument(
            help="JSON: {channel, settings, secret, app}; docs/how-to/connect-a-channel.md says what.", exists=True
        ),
    ],
    live: Annotated[
        bool, typer.Option(help="Go live at once if the preview sets at most 20 % of listings to 0.")
    ] = False,
    zeros: Annotated[bool, typer.Option(help="Go live even if more go to 0.")] = False,
    as_json: Json = False,
) -> None:
    """Connect an account: read its catalogue, tie listings by SKU, show what going live would change."""
    try:
        account = json.loads(file.read_text())
    except ValueError as error:
        err.print(f"{file} is not JSON: {error}")
        raise typer.Exit(2) from None
    done = _ask("connect", {"account": account, "live": live, "zeros": zeros})
    if as_json:
        _print(done)
        return
    for line in done["said"]:
        out.print(line)
    if not done["live"]:
        out.print(f"Look at the preview and go live: oneshelf channels live {done['account_id']} --yes")


@channels_app.command("live")
def channels_live(
    account_id: Annotated[int, typer.Argument(help="The account's number, from `oneshelf channels list`.")],
    yes: Annotated[bool, typer.Option("--yes", help="Accept the preview.")] = False,
    zeros: Annotated[bool, typer.Option("--zeros", help="Accept that more than 20 % of the listings go to 0.")] = False,
    as_json: Json = False,
) -> None:
    """Show what going live would change; with --yes, go live."""
    shown = _ask("live", {"account_id": account_id, "yes": yes, "zeros": zeros})
    if as_json:
        _print(shown)
        return
    out.print(
        f"{shown['linked']} listings linked: {shown['right']} right, {shown['lower']} lower, {shown['to_zero']} to 0, {shown['higher']} higher; {shown['unlinked']} not linked."
    )
    out.print("Live." if shown["live"] else f"Go live: oneshelf channels live {account_id} --yes")


@channels_app.command("link")
def channels_link(
    outlet_id: Annotated[int, typer.Argument(help="The listing's number, from its task or `oneshelf explain`.")],
    parts: Annotated[
        list[str], typer.Argument(help="What one unit takes from the shelf: SKU or SKU=pieces, several for a bundle.")
    ],
    as_json: Json = False,
) -> None:
    """Tie a listing to what one unit of it takes from the shelf; orders that waited for it are booked."""
    tied: dict[str, int] = {}
    for part in parts:
        sku, _, pieces = part.rpartition("=") if "=" in part else (part, "", "1")
        if not pieces.isdigit() or int(pieces) < 1:
            err.print(f"{part!r}: write SKU=pieces with at least 1 piece.")
            raise typer.Exit(2)
        tied[sku] = int(pieces)
    done = _ask("link", {"outlet_id": outlet_id, "parts": tied})
    _print(done) if as_json else out.print(f"Linked. {done['orders_booked']} waiting orders were booked.")


@rates_app.command("set")
def rates_set(
    currency: Annotated[str, typer.Argument(help="The order's currency, e.g. EUR.")],
    rate: Annotated[str, typer.Argument(help="How much of the shop's currency one unit is worth.")],
    source: Annotated[str, typer.Option(help="Where the rate is from, with its date.")],
    as_json: Json = False,
) -> None:
    """Enter a dated exchange rate; orders that waited for it are imported."""
    done = _ask("rate", {"currency": currency, "rate": rate, "source": source})
    _print(done) if as_json else out.print(
        f"1 {done['currency']} = {done['rate']} ({source}). {done['orders_tried_again']} orders are tried again."
    )


AccountOption = Annotated[int, typer.Option("--account", help="Only this account's listings (its number); 0: all.")]
SkuOption = Annotated[str, typer.Option("--sku", help="Only this SKU; empty: all.")]


@rules_app.command("list")
def rules_list(as_json: Json = False) -> None:
    """The rules; the narrowest that fits a listing wins whole."""
    with _reader(_settings()) as tx:
        rows = tx.all(
            "SELECT account_id, sku, safety_stock, safety_percent, cap, min_show FROM offer_policy WHERE tenant_id = :t "
            "ORDER BY account_id, sku",
            t=FIRST_TENANT,
        )
    names = ("account_id", "sku", "safety_stock", "safety_percent", "cap", "min_show")
    found = [dict(zip(names, row, strict=True)) for row in rows]
    if as_json:
        _print(found)
        return
    for one in found:
        where = f"account {one['account_id'] or 'any'}, SKU {one['sku'] or 'any'}"
        out.print(f"{where}: keep {one['safety_stock']} back, show from {one['min_show']} on", highlight=False)


@rules_app.command("set")
def rules_set(
    account: AccountOption = 0,
    sku: SkuOption = "",
    safety_stock: Annotated[int, typer.Option("--keep", help="Pieces never offered.", min=0)] = 0,
    safety_percent: Annotated[
        int | None, typer.Option("--percent", help="Offer at most this share of what is available.")
    ] = None,
    cap: Annotated[int | None, typer.Option("--cap", help="Offer at most so many pieces.")] = None,
    min_show: Annotated[int, typer.Option("--from", help="Below this many listings show 0.")] = 1,
    as_json: Json = False,
) -> None:
    """Set a rule: keep pieces back, cap what is shown."""
    rule = {"safety_stock": safety_stock, "safety_percent": safety_percent, "cap": cap, "min_show": min_show}
    done = _ask("rule", {"account_id": account, "sku": sku, **rule})
    _print(done) if as_json else out.print("Kept. The numbers are on their way.")


@rules_app.command("drop")
def rules_drop(account: AccountOption = 0, sku: SkuOption = "", as_json: Json = False) -> None:
    """Take a rule back."""
    done = _ask("rule", {"account_id": account, "sku": sku, "drop": True})
    _print(done) if as_json else out.print("Taken back. The numbers are on their way.")


@key_app.command("new")
def key_new(as_json: Json = False) -> None:
    """Make the key file. Never overwrites one."""
    from oneshelf.tenants.seal import new_key_file

    settings = _settings()
    settings.key_path.parent.mkdir(parents=True, exist_ok=True)
    new_key_file(settings.key_path)
    _print({"key_file": str(settings.key_path)}) if as_json else out.print(
        f"{settings.key_path} made. Back it up apart from the database."
    )


@key_app.command("rotate")
def key_rotate(as_json: Json = False) -> None:
    """Put a new key before the old ones; what is sealed from now on uses it."""
    from oneshelf.tenants.seal import rotate_key_file

    settings = _settings()
    rotate_key_file(settings.key_path)
    _print({"key_file": str(settings.key_path)}) if as_json else out.print(
        f"{settings.key_path} has a new key. Restart the service."
    )


@bench_app.command("orders")
def bench_orders(
    orders: Annotated[int, typer.Option(help="How many orders.", min=100)] = 20_000,
    skus: Annotated[int, typer.Option(help="How many SKUs they name.", min=1)] = 10_000,
    database_url: Annotated[str | None, typer.Option(help="Another database than a fresh SQLite file.")] = None,
    as_json: Json = False,
) -> None:
    """Orders decided and durable per second, beside a bare loop that writes the same rows."""
    from oneshelf.demo.bench import run_orders, tell_orders

    configure_logs("error", "auto")
    result = run_orders(orders=orders, skus=skus, database_url=database_url)
    _print(result) if as_json else tell_orders(result, out)


if __name__ == "__main__":
    main()
