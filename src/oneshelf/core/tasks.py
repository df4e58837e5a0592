"""The kinds of tasks: what each is about, how urgent it is, what to do, and what ends it. Pure data; the only table of kinds.

A task's own words (what, why) are its opener's; here is what is the same for all of a kind. A test holds it against every opener.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

import msgspec

#: urgent: money or an order is at stake now, told at night too. warning: something is wrong. notice: when there is time.
Severity = Literal["urgent", "warning", "notice"]
SEVERITIES: tuple[Severity, ...] = ("urgent", "warning", "notice")

HOUR_S = 3600
DAY_S = 24 * HOUR_S


class About(StrEnum):
    """What the subject of a task names; for PARCEL and LINE what follows its order is left out of links."""

    ACCOUNT = "account"  # 3
    CHANNEL = "channel"  # etsy
    ORDER = "order"  # 3/1234
    LINE = "line"  # 3/1234/5/MUG
    PARCEL = "parcel"  # 3/1234/gid://…
    LISTING = "listing"  # 17, or outlet:17
    REASON = "reason"  # 3:currency, an account and why
    SKU = "sku"  # MUG
    COUNT = "count"  # MUG|location
    ITEM = "item"  # the shop's own id of a variant's stock
    MESSAGE = "message"  # 4711, from `inbox list`
    REQUEST = "request"  # 7, from `privacy list`
    ENDPOINT = "endpoint"  # 2, from `webhooks list`
    GUARD = "guard"  # 2, from `guard list`
    SERVICE = "service"  # "", the service itself


class TaskKind(msgspec.Struct, frozen=True):
    """What is the same for all tasks of a kind.

    `due_s`: its deadline, seconds after it was opened, where its opener names none. `command`: with {subject}, {account}, {order},
    {line}, {listing}, {sku} for what the task names. `ends`: what ends it by itself; "": a person says that it is done.
    """

    about: About
    severity: Severity
    todo: str
    command: str = ""
    ends: str = ""
    due_s: int | None = None

    @property
    def by_person(self) -> bool:
        """Whether a person ends it: nothing that we hear of would."""
        return not self.ends

    @property
    def rank(self) -> int:
        """0 for urgent, 1 for warning, 2 for notice."""
        return SEVERITIES.index(self.severity)


def _order(severity: Severity, todo: str, command: str = "", ends: str = "", due_s: int | None = None) -> TaskKind:
    return TaskKind(About.ORDER, severity, todo, command, ends, due_s)


def _line(severity: Severity, todo: str, command: str = "", ends: str = "", due_s: int | None = None) -> TaskKind:
    return TaskKind(About.LINE, severity, todo, command, ends, due_s)


def _listing(severity: Severity, todo: str, command: str = "", ends: str = "", due_s: int | None = None) -> TaskKind:
    return TaskKind(About.LISTING, severity, todo, command, ends, due_s)


def _account(severity: Severity, todo: str, command: str = "", ends: str = "", due_s: int | None = None) -> TaskKind:
    return TaskKind(About.ACCOUNT, severity, todo, command, ends, due_s)


_DECIDE = "oneshelf orders decide {order} {line} wait|backorder|cancel"
_REREAD = "oneshelf channels reread {account}"
_SHOWS_RIGHT = "the listing shows its number"
_ASKS_RIGHT = "the listing asks its price"

KINDS: Mapping[str, TaskKind] = MappingProxyType(
    {
        # Short lines and cancels
        "short_line": _line("warning", "Move or order stock, or wait: it may still be covered", _DECIDE, "the line is covered, cancelled or shipped"),
        "short_decision": _line("urgent", "Say what happens: wait, backorder or cancel", _DECIDE, "you decide, or the line is covered, cancelled or shipped", DAY_S),
        "tell_marketplace": _line("urgent", "Cancel at the marketplace what you took off its copy", "oneshelf orders decide {order} {line} cancel", "the marketplace shows it cancelled", DAY_S),
        "buyer_asks_cancel": _order("urgent", "Hold the parcel and answer the buyer at the marketplace", "", "the buyer's wish is answered there", DAY_S),
        "stop_the_parcel": _line("urgent", "Stop the parcel: its order was cancelled after the release", "", "", 4 * HOUR_S),
        "shipped_after_cancel": _line("warning", "Settle it with the buyer: what was cancelled was shipped"),
        "cancel_crossed_parcel": _line("warning", "Settle it with the buyer: the cancel came after the parcel had left"),
        # Orders and their copies in the shop
        "order_before_live": _order("warning", "Say whether its pieces are off your count already", "oneshelf orders answer {order} new|off-count", "you answer, or its copy is found", DAY_S),
        "unlinked_order": _order("urgent", "Say what its listing sells, so that pieces are held for it", "oneshelf listings list", "all that was sold in it is linked, or it is cancelled", DAY_S),
        "import": _order("urgent", "Make the order in the shop by hand, or put right what it refused", "", "its copy is found in the shop", DAY_S),
        "fetch_order": _order("warning", "Look for the order at the channel", "", "the channel shows it"),
        "second_copy": _order("urgent", "Cancel the second copy in the shop", "", "", DAY_S),
        "add_to_copy": _order("warning", "Add the pieces to the order in the shop", "", "they stand on the copy"),
        "cancel_copy": _order("warning", "Cancel the order in the shop by hand", "", "", DAY_S),
        "remove": _order("warning", "Take the pieces off the order in the shop by hand", "", "", DAY_S),
        "change_copy": _order("warning", "Change the order in the shop by hand", "", "a later change is taken"),
        "fulfil_copy": _order("warning", "Fulfil the order in the shop by hand"),
        "release_copy": _order("urgent", "Release the order's hold in the shop by hand", "", "", 4 * HOUR_S),
        "fulfilment_cancelled": _line("urgent", "Say to the buyer what happens: the marketplace thinks that it is on its way", "", "", DAY_S),
        "choose_location": _order("urgent", "Say where the order leaves from, or move stock there", "", "a location has it, or nothing of it waits any more", DAY_S),
        "move_copy": _order("warning", "Move the order in the shop to its location by hand", "", "it stands there"),
        # Parcels
        "ship": TaskKind(About.PARCEL, "urgent", "Mark it as shipped at the marketplace by hand", "oneshelf orders parcels", "the marketplace has it", DAY_S),
        "ship_tracking": TaskKind(About.PARCEL, "warning", "Enter a tracking number in the shop", "", "the marketplace has it", DAY_S),
        "ship_tracking_changed": TaskKind(About.PARCEL, "notice", "Enter the new tracking number at the marketplace"),
        "ship_deadline": _order("urgent", "Ship it, or see why its parcel is not told", "oneshelf orders parcels", "all of it has left and is told, or its deadline is a week past"),
        # Listings and their numbers
        "unlinked_listing": _listing("notice", "Say what the listing sells; until then it is told nothing", "oneshelf listings link {listing} SKU", "the listing is linked"),
        "listing_renamed": _listing("warning", "Say whether it still sells the same goods", "oneshelf listings link {listing} SKU"),
        "listing_refused": _listing("urgent", "Put right at the channel what it says, then try again", "oneshelf listings retry {listing}", _SHOWS_RIGHT, DAY_S),
        "listing_closed": _listing("notice", "Put it on sale again there, or unlink it", "oneshelf listings unlink {listing}", _SHOWS_RIGHT),
        "write_never_seen": _listing("urgent", "See at the channel why it does not take its number, then try again", "oneshelf listings retry {listing}", _SHOWS_RIGHT, DAY_S),
        "someone_else_writes": _listing("urgent", "Stop the other program or person that writes this listing's number, then try again", "oneshelf listings retry {listing}", _SHOWS_RIGHT, DAY_S),
        "edited_at_the_channel": _listing("notice", "Change stock in the shop, not at the channel"),
        "unmanaged_listings": _account("warning", "Bring the listings within reach, or close them", "oneshelf listings migrate {account}", "none is out of reach any more"),
        "pinned_listings": _account("notice", "Clear the offers' own quantity at the channel", _REREAD, "none is held down any more"),
        # Prices
        "price_refused": _listing("warning", "Put right at the channel what it says, then try again", "oneshelf prices retry {listing}", _ASKS_RIGHT),
        "price_never_seen": _listing("warning", "See at the channel why it does not take its price, then try again", "oneshelf prices retry {listing}", _ASKS_RIGHT),
        "someone_else_prices": _listing("warning", "Stop the other program or person that sets this price, then try again", "oneshelf prices retry {listing}", _ASKS_RIGHT),
        "no_price_to_follow": TaskKind(About.REASON, "notice", "Put right what has no price, or leave the account's prices alone", "oneshelf prices list", "no listing of the account has this reason any more"),
        # Accounts
        "connect_again": _account("urgent", "Connect the account again: the channel refuses our keys", "oneshelf channels connect", "a call of the account is taken again", 4 * HOUR_S),
        "channel_silent": _account("urgent", "See why the channel can't be heard: its sales are not known", "oneshelf channels check {account}", "the channel is heard again", 2 * HOUR_S),
        "queue_not_usable": _account("warning", "Correct the queue; orders are polled meanwhile, later", "oneshelf channels check {account}", "the account is disconnected"),
        "subscriptions": _account("warning", "Put right what the channel says of its notices", "oneshelf channels check {account}", "its notices are in order"),
        "webhooks_refused": TaskKind(About.CHANNEL, "warning", "Enter the app's current secret", "oneshelf channels connect", "a genuine message came"),
        "catalogue_shrank": _account("warning", "Look at the channel's catalogue: nothing was changed yet", _REREAD, "a whole reading is as large as before"),
        # The shop's goods
        "duplicate_sku": TaskKind(About.SKU, "notice", "Give the SKU to one product only"),
        "hub_without_sku": _account("notice", "Give the variants a SKU"),
        "hub_sku_renamed": TaskKind(About.ITEM, "notice", "Link by hand what has the new name elsewhere", "", "it has its old name again"),
        "hub_untracked": TaskKind(About.SKU, "warning", "Track its stock again in the shop, or unlink its listings"),
        "hub_bundle": TaskKind(About.SKU, "notice", "Put the bundle right in the shop, or link its listings by hand", "", "it can be read"),
        "hub_deleted": TaskKind(About.SKU, "warning", "End its listings, or make it again in the shop"),
        "gone_from_hub": TaskKind(About.SKU, "warning", "Say what it is now"),
        "count": TaskKind(About.COUNT, "warning", "Enter the count in the shop by hand"),
        # Messages, people, the service
        "parked_message": TaskKind(About.MESSAGE, "warning", "Look at it; try it again or set it aside", "oneshelf inbox retry {subject}", "it is used or set aside"),
        "departed_message": _account("notice", "Connect the account again to have its orders read", "oneshelf inbox list", "its messages are set aside"),
        "privacy_export": TaskKind(About.REQUEST, "urgent", "Make the file and send it to the customer yourself", "oneshelf privacy export {subject}", "the request is closed"),
        "books_differ": TaskKind(About.SERVICE, "urgent", "Have the books put right: the ledger's sums are not its entries", "oneshelf check --repair", "the nightly look finds them equal", HOUR_S),
        "restored": TaskKind(About.SERVICE, "warning", "Enter again what was entered since the backup; connect again where a task asks for it", "oneshelf tasks list"),
        "reserved_since_backup": TaskKind(About.SKU, "warning", "See in the shop who reserved them, and give back what nobody did", "oneshelf explain {sku}", "the shop reserves no more of it"),
        "alerts_not_sent": TaskKind(About.SERVICE, "warning", "See why they are not taken", "oneshelf alerts list", "one is taken again"),
        "webhook_disabled": TaskKind(About.ENDPOINT, "warning", "See why its receiver takes nothing, then send it what it missed", "oneshelf webhooks enable {subject}", "it is enabled or removed"),
        "customers_differ": TaskKind(About.SERVICE, "warning", "Look at whose counters are not the sum of their orders", "oneshelf check", "the nightly look finds them equal"),
        "price_waits": TaskKind(About.ACCOUNT, "warning", "Look at the far prices, and say yes or no to each", "oneshelf prices waiting", "none waits any more"),
        "ours_slow": TaskKind(About.REASON, "warning", "See what keeps it: the machine, its disk, or a budget that is used up", "oneshelf channels check", "an hour's slowest are quick again"),
        "guard_waits": TaskKind(About.GUARD, "urgent", "Look at what it would change, and say yes or no", "oneshelf guard approve {subject}", "you approve or refuse it, or its time is over"),
        "sync_stopped": TaskKind(About.SERVICE, "urgent", "See why nothing was done meanwhile: was the machine off?", "oneshelf channels check", "", HOUR_S),
        "plan_lacks": TaskKind(About.SERVICE, "urgent", "Choose a plan that has it, or let listings show 0", "oneshelf plan show", "the plan has it", DAY_S),
    }
)  # fmt: skip

#: A kind that a newer version wrote.
UNKNOWN = TaskKind(About.SERVICE, "warning", "See what it says")


def kind_of(name: str) -> TaskKind:
    """Return what is the same for all tasks of this kind; of a kind that this version does not know, what can be said of any."""
    return KINDS.get(name, UNKNOWN)


class Named(msgspec.Struct, frozen=True):
    """What a task's subject names, as far as it does."""

    account_id: int | None = None
    channel: str = ""
    order_id: str = ""
    line_id: str = ""
    outlet_id: int | None = None
    sku: str = ""


def named(about: About, subject: str) -> Named:
    """Take a subject apart.

    >>> named(About.LINE, "3/1234/5/MUG/BLUE").sku
    'MUG/BLUE'
    >>> named(About.LISTING, "outlet:17").outlet_id
    17
    """
    parts = subject.split("/", 3)
    match about:
        case About.ACCOUNT | About.REASON:
            return Named(account_id=_number(subject.partition(":")[0]))
        case About.CHANNEL:
            return Named(channel=subject)
        case About.ORDER | About.PARCEL | About.LINE if len(parts) > 1:
            whole = about is About.LINE and len(parts) == 4
            line_id, sku = (parts[2], parts[3]) if whole else ("", "")
            return Named(account_id=_number(parts[0]), order_id=parts[1], line_id=line_id, sku=sku)
        case About.LISTING:
            return Named(outlet_id=_number(subject.removeprefix("outlet:")))
        case About.SKU:
            return Named(sku=subject)
        case _:
            return Named()


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() else None


def command_for(kind: TaskKind, subject: str) -> str:
    """Return what to type, with the names of this task in their places; "" where nothing is to be typed."""
    what = named(kind.about, subject)
    names = {
        "subject": subject,
        "account": what.account_id,
        "order": what.order_id,
        "line": what.line_id,
        "listing": what.outlet_id,
        "sku": what.sku,
    }
    said = kind.command
    for name, value in names.items():
        said = said.replace(f"{{{name}}}", "" if value is None else str(value))
    return said
