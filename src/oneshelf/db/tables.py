"""The data model on one page. Every key begins with tenant_id, so that it can be partitioned by tenant (DESIGN D6).

Instants are UTC, stored as microseconds since 1970 (one form on both databases, exact, sortable). Quantities are whole pieces
unless a column says units or listings. Money is integer minor units with its currency beside it. JSON is text that we only read
whole. The room that writes a table stands over it; others read.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, MetaData, Table, Text, text

metadata = MetaData()
_Id = BigInteger().with_variant(Integer, "sqlite")


def _table(name: str, *columns: Column, keys: int, indexes: tuple[Index, ...] = ()) -> Table:
    """Make a table whose primary key is its first `keys` columns, tenant_id first."""
    for column in columns[: keys - 1]:
        column.primary_key = True
        column.nullable = False
    return Table(name, metadata, Column("tenant_id", _Id, primary_key=True, nullable=False), *columns, *indexes)


def _text(name: str, default: str | None = None) -> Column:
    return Column(name, Text, nullable=False, server_default=default)


def _int(name: str, default: str | None = "0") -> Column:
    return Column(name, BigInteger, nullable=False, server_default=default)


def _at(name: str, nullable: bool = True) -> Column:
    return Column(name, BigInteger, nullable=nullable)


def _flag(name: str, default: str = "0") -> Column:
    return Column(name, Integer, nullable=False, server_default=default)


def _maybe(name: str) -> Column:
    return Column(name, Text, nullable=True)


def _real(name: str, default: str | None = "0") -> Column:
    return Column(name, Double, nullable=False, server_default=default)


# --- tenants: who, where, with which keys ------------------------------------------------------------------------------

tenant = _table("tenant", _text("name"), _at("created_at", False), keys=1)

# One channel account. state: CONNECTED MATCHED PREVIEWED LIVE PAUSED DISCONNECTED (S0.7). settings: the connector's plain strings.
account = _table(
    "account",
    Column("account_id", _Id),
    _text("channel"),
    _text("external_id"),
    _text("label"),
    _text("state"),
    _text("settings", "{}"),
    _text("currency", ""),
    _at("connected_at", False),
    _at("live_at"),
    _at("opened_at"),  # the hub: T0, the read_at of the first levels (S0.4)
    _int("skew_s", "2"),
    keys=2,
    indexes=(
        Index(  # one account, one tenant (S0.1); a disconnected one keeps its history and may be connected elsewhere
            "account_by_external_id",
            "channel",
            "external_id",
            unique=True,
            sqlite_where=text("state <> 'DISCONNECTED'"),
            postgresql_where=text("state <> 'DISCONNECTED'"),
        ),
    ),
)

# Sealed secrets. kind: "account" (tokens) or "app" (webhook secrets). version only grows.
credential = _table(
    "credential",
    Column("account_id", _Id),
    _text("kind"),
    Column("sealed", LargeBinary, nullable=False),
    _int("version"),
    _at("updated_at", False),
    _int("lease_until"),  # somebody renews it until then; others wait for the new version
    keys=3,
)

# A sign-in in the browser that is under way. sealed: settings, app credentials, state and verifier. Taken once, then gone.
sign_in = _table(
    "sign_in",
    _text("state_hash"),  # SHA-256 of the state
    _text("channel"),
    Column("sealed", LargeBinary, nullable=False),
    _at("created_at", False),
    _at("expires_at", False),
    keys=2,
)

# What is done over and over at an account, and where it stands. name: subscriptions catalogue retention audit.
upkeep = _table(
    "upkeep",
    Column("account_id", _Id),
    _text("name"),
    _text("state", "{}"),  # a run's cursor and counts, or the last findings
    _at("started_at"),
    _at("done_at"),
    _int("due_at"),
    _int("failures"),
    _text("problem", ""),
    keys=3,
)

# --- intake: raw news, kept --------------------------------------------------------------------------------------------

# seq: order of arrival, given by the writer. state: NEW DONE PARKED. source: webhook poll queue read.
inbox = _table(
    "inbox",
    Column("seq", _Id),
    _int("account_id"),
    _text("topic"),
    _text("delivery_key"),
    _text("source"),
    _text("headers", "{}"),
    Column("body", LargeBinary, nullable=False),
    _at("received_at", False),
    _text("state", "NEW"),
    _text("note", ""),
    _at("handled_at"),
    keys=2,
    indexes=(
        Index("inbox_once", "tenant_id", "account_id", "delivery_key", unique=True),
        Index("inbox_by_state", "tenant_id", "state", "seq"),
    ),
)

# One feed of one account: where it stands, and through which instant of placing it is complete (S3.3; it never goes back).
feed = _table(
    "feed",
    Column("account_id", _Id),
    _text("name"),
    _text("cursor", "{}"),
    _at("complete_through_at"),
    _at("polled_at"),
    _at("failing_since"),
    _text("problem", ""),
    _int("pages"),
    keys=3,
)

# --- orders: what was bought -------------------------------------------------------------------------------------------

# An order of any channel. state is derived from its lines (S5.2). document: the latest complete snapshot, sealed text is not
# needed here because personal data has its own column `person`, which retention empties (S11.5).
orders = _table(
    "orders",
    Column("order_no", _Id),
    _int("account_id"),
    _text("order_id"),
    _text("number", ""),
    _at("placed_at", False),
    _text("placed_note", ""),  # "clamped" or "missing": S6.3
    _at("received_at", False),
    _at("decided_at", False),
    _at("updated_at"),
    _at("fetched_at"),
    _text("payment"),
    _flag("cancelled"),
    _flag("complete"),
    _text("state"),
    _text("source", ""),  # which way it was first heard: webhook poll queue read
    _text("standing", "live"),  # live | history | ask | off_count (S0.6)
    _maybe("currency"),
    Column("total_minor", BigInteger, nullable=True),
    _at("ship_by_at"),
    _text("document", "{}"),
    _text("person", "{}"),
    _maybe("hub_order_id"),  # the hub order that is its copy
    Column("copy_of_order_no", BigInteger, nullable=True),  # for a hub order: the marketplace order it copies
    _at("imported_at"),
    _int("version"),
    _text("copy_key", ""),  # for a hub order: the marketplace order that it names (S14.2)
    _at("closed_at"),  # first known to be shipped or cancelled whole: retention counts from here (S11.5)
    _at("erased_at"),  # the personal data was erased; what comes later of it is not kept
    keys=2,
    indexes=(
        Index("orders_once", "tenant_id", "account_id", "order_id", unique=True),
        Index("orders_by_time", "tenant_id", "placed_at"),
        Index(
            "orders_by_deadline",
            "tenant_id",
            "ship_by_at",
            sqlite_where=text("ship_by_at IS NOT NULL"),
            postgresql_where=text("ship_by_at IS NOT NULL"),
        ),
        Index(
            "orders_by_copy",
            "tenant_id",
            "copy_key",
            sqlite_where=text("copy_key <> ''"),
            postgresql_where=text("copy_key <> ''"),
        ),
        Index(
            "orders_with_person",
            "tenant_id",
            "order_no",
            sqlite_where=text("person <> '{}'"),
            postgresql_where=text("person <> '{}'"),
        ),
    ),
)

# One SKU of one order line (a bundle line has a row a part). Counts are pieces. state: P O R S C X M (SEMANTICS 5), or U: unlinked.
# rank + placed_s + account + order + line are the key of first-wins (S6.2).
order_line = _table(
    "order_line",
    Column("order_no", _Id),
    _text("line_id"),
    _text("sku"),  # '' while unlinked
    _int("units_per_listing", "1"),
    _text("listing_keys", "[]"),
    _text("title", ""),
    _text("state"),
    _int("ordered"),
    _int("cancelled"),  # the larger of the next two
    _int("told_cancelled"),  # pieces that its own channel no longer asks for
    _int("removed"),  # pieces that the merchant took off the hub copy (S5.5)
    _int("shipped"),  # pieces that left by hub fulfilments (S10.6), or at the hub itself
    _int("told_shipped"),  # pieces that the channel itself calls shipped
    _int("reserved"),  # pieces this line has in `reserved` now
    _int("committed"),  # pieces this line has in `committed` now
    _text("location_id", ""),
    _int("version"),
    _int("outlet_id"),
    _int("placed_s"),
    _int("rank"),
    _int("account_id"),
    _text("order_id"),
    _text("coverage", ""),  # COVERED | SHORT | '' (S6.1)
    _at("short_since"),
    _int("pin"),  # 1 pinned, -1 given up, 0 none (S6.7)
    keys=4,
    indexes=(
        Index("order_line_by_sku", "tenant_id", "sku", "state"),
        Index("order_line_by_outlet", "tenant_id", "outlet_id", "placed_s"),
        Index(
            "order_line_short",
            "tenant_id",
            "sku",
            sqlite_where=text("coverage = 'SHORT'"),
            postgresql_where=text("coverage = 'SHORT'"),
        ),
        Index(
            "order_line_unlinked",
            "tenant_id",
            "account_id",
            sqlite_where=text("state = 'U'"),
            postgresql_where=text("state = 'U'"),
        ),
    ),
)

# What a person decided about a short line: wait (until `until_at`) | backorder | cancel (S7.2).
decision = _table(
    "decision",
    Column("order_no", _Id),
    _text("line_id"),
    _text("word"),
    _at("decided_at", False),
    _at("until_at"),
    _text("actor", ""),
    keys=3,
)

# How fast an outlet sells a SKU: sums that only grow, each sale weighted by its instant (core/pace). outlet_id 0: the hub.
pace = _table(
    "pace",
    _text("sku"),
    Column("outlet_id", _Id),
    _int("account_id", None),
    _real("orders", None),
    _real("pieces", None),
    _real("burst", None),
    _int("burst_hour", None),
    keys=3,
    indexes=(Index("pace_bursting", "tenant_id", "burst_hour"), Index("pace_by_account", "tenant_id", "account_id")),
)

# A hub copy that is not released to fulfilment yet (S6.5). state: NEW HELD RELEASED OVER. why: settled, uncontested, waited long enough.
release = _table(
    "release",
    Column("order_no", _Id),
    _text("state"),
    _at("since_at", False),
    _at("released_at"),
    _text("why", ""),
    keys=2,
    indexes=(Index("release_waiting", "tenant_id", "state", "order_no"),),
)

# --- customers: what we keep of people ---------------------------------------------------------------------------------

# A platform's request about one person or shop. kind: erase export erase_shop. state: WAITING SHIPPING DONE. subject: the channel's
# name of the person, emptied when done. progress: how far the steps are; a step that died is repeated.
privacy_request = _table(
    "privacy_request",
    Column("request_no", _Id),
    _text("request_key"),
    _int("account_id", None),
    _text("kind"),
    _text("subject", ""),
    _text("order_ids", "[]"),  # orders of the account that the request names, JSON
    _int("inbox_seq"),
    _text("state"),
    _text("progress", "{}"),
    _at("asked_at", False),
    _at("due_at", False),
    _at("look_at", False),
    _at("done_at"),
    _int("orders_erased"),
    _int("messages_erased"),
    keys=2,
    indexes=(Index("privacy_request_once", "tenant_id", "request_key", unique=True),),
)

# --- stock: what we have -----------------------------------------------------------------------------------------------

# One entry; never changed, never deleted. The columns are changes of the buckets in pieces. foreign_reserved is the part of
# `reserved` that the hub holds for reasons of its own (S0.3).
ledger_entry = _table(
    "ledger_entry",
    _text("entry_key"),
    _int("entry_no", None),
    _text("sku"),
    _text("location_id"),
    _int("on_hand"),
    _int("committed"),
    _int("reserved"),
    _int("foreign_reserved"),
    _int("unavailable"),
    _int("incoming"),
    _text("reason"),
    _text("source", ""),
    Column("order_no", BigInteger, nullable=True),
    _at("posted_at", False),
    keys=2,
    indexes=(Index("ledger_entry_by_sku", "tenant_id", "sku", "entry_no"),),
)

stock_level = _table(
    "stock_level",
    _text("sku"),
    _text("location_id"),
    _int("on_hand"),
    _int("committed"),
    _int("reserved"),
    _int("foreign_reserved"),
    _int("unavailable"),
    _int("incoming"),
    keys=3,
)

location = _table(
    "location",
    _text("location_id"),
    _text("name"),
    _flag("active", "1"),
    _flag("in_scope", "1"),
    _int("priority"),
    keys=2,
)

# One SKU of the hub's catalogue.
item = _table(
    "item",
    _text("sku"),
    _text("title", ""),
    _text("variant_id", ""),
    _text("item_id", ""),
    _text("product_id", ""),
    _flag("tracked", "1"),
    _flag("deleted"),
    Column("price_minor", BigInteger, nullable=True),
    _maybe("currency"),
    keys=2,
    indexes=(
        Index("item_by_item_id", "tenant_id", "item_id"),
        Index("item_by_product_id", "tenant_id", "product_id"),
    ),
)

# The hub's number of one (SKU, location) as last read, and how it is explained (S9.5).
hub_level = _table(
    "hub_level",
    _text("sku"),
    _text("location_id"),
    _int("on_hand"),
    _int("available"),
    _int("committed"),
    _int("reserved"),
    _int("unavailable"),
    _int("incoming"),
    _at("read_at", False),
    _at("odd_since"),  # first read beside all explained values that is still unexplained
    _int("odd"),  # by how much (read − nearest explained)
    _flag("wanted"),  # somebody asked for a fresh read
    _int("pull"),  # 0.5: pieces the hub had committed beyond our open lines
    keys=3,
    indexes=(Index("hub_level_wanted", "tenant_id", "wanted"),),
)

# Pieces held because a read showed fewer than believed: a sale whose order has not arrived (S1.9, S9.2).
provisional = _table(
    "provisional",
    _text("prov_id"),
    _int("outlet_id"),  # 0: the hub
    _text("sku"),
    _text("location_id"),
    _int("pieces"),
    _int("units"),  # listings at the outlet
    _int("account_id"),
    _at("read_at", False),
    _text("state", "OPEN"),  # OPEN CONSUMED RELEASED EDIT
    keys=2,
    indexes=(Index("provisional_open", "tenant_id", "state", "outlet_id"),),
)

# How a marketplace line's (or provisional's) pieces are taken out of the hub's `available` (S9.5). want: pieces it should take.
claim = _table(
    "claim",
    _text("claim_key"),
    _text("sku"),
    _text("location_id"),
    _int("want"),
    _int("held"),
    _int("imported"),
    _int("version"),
    _int("order_no"),
    _text("line_id", ""),
    _at("since_at", False),
    _flag("refused"),  # 1: the hub had not so many, 2: given back by hand
    _flag("open", "1"),
    keys=3,
    indexes=(Index("claim_by_sku", "tenant_id", "sku", "open"),),
)

# --- listings: who must hear of it -------------------------------------------------------------------------------------

# The smallest thing on a channel that has a number of its own (S1.4).
outlet = _table(
    "outlet",
    Column("outlet_id", _Id),
    _int("account_id"),
    _text("external_id"),
    _text("write_unit"),
    _text("sku_text", ""),
    _text("title", ""),
    _text("state", "live"),
    _flag("fulfilled_by_channel"),
    _text("extra", "{}"),
    _at("found_at", False),
    _int("seen_at"),  # when the catalogue last showed it
    _text("ration_unit", ""),  # what the channel counts writes by, where that is more than the outlet
    keys=2,
    indexes=(
        Index("outlet_once", "tenant_id", "account_id", "external_id", unique=True),
        Index("outlet_by_unit", "tenant_id", "account_id", "write_unit"),
        Index("outlet_by_sku_text", "tenant_id", "sku_text"),
        Index("outlet_by_ration", "tenant_id", "account_id", "ration_unit"),
    ),
)

# A listing or product that changed at its channel and is to be read again; several hints are one row.
listing_hint = _table(
    "listing_hint",
    Column("account_id", _Id),
    _text("external_id"),
    _int("generation", "1"),
    _at("since_at", False),
    _at("due_at", False),
    _int("empty"),  # how often the channel has said that it does not exist
    _int("failures"),
    keys=3,
)

# The names under which an order line may name an outlet.
listing_key = _table("listing_key", Column("account_id", _Id), _text("listing_key"), _int("outlet_id"), keys=3)

# The tie of an outlet to a SKU; several rows are a bundle's parts (S1.11). units: pieces of the SKU a listing sells.
link = _table(
    "link",
    Column("outlet_id", _Id),
    _text("sku"),
    _int("units", "1"),
    keys=3,
    indexes=(Index("link_by_sku", "tenant_id", "sku"),),
)

# The merchant's rule for one channel account and SKU; '' and 0 mean all. The narrowest row wins whole.
offer_policy = _table(
    "offer_policy",
    Column("account_id", _Id),
    _text("sku"),
    _int("safety_stock"),
    Column("safety_percent", Integer, nullable=True),  # percent of K offered at most
    Column("cap", BigInteger, nullable=True),
    _int("min_show", "1"),
    _flag("adaptive", "1"),  # 0: the fixed buffer only, nothing is set aside for other channels
    _flag("cap_auto"),  # the cap follows the pace (S2.8)
    keys=3,
)

# A SKU that must never be oversold (S2.9): its pieces are dealt out, the hub's too.
strict_sku = _table("strict_sku", _text("sku"), _at("since_at", False), keys=2)

# What an unsold piece and an oversold order cost, minor units of one currency (S2.7); sku '': every SKU.
risk = _table("risk", _text("sku"), _int("margin_minor", None), _int("oversold_minor", None), keys=2)

# A sale that the merchant announced: these SKUs will sell `factor` times as fast (S3.7).
announced_sale = _table(
    "announced_sale",
    Column("sale_no", _Id),
    _text("name"),
    _at("starts_at", False),
    _at("ends_at", False),
    _real("factor", None),
    _at("called_off_at"),
    keys=2,
    indexes=(Index("announced_sale_by_end", "tenant_id", "ends_at"),),
)
announced_sku = _table(
    "announced_sku",
    Column("sale_no", _Id),
    _text("sku"),
    keys=3,
    indexes=(Index("announced_sku_by_sku", "tenant_id", "sku"),),
)

# Which locations serve an account (S0.2); no row: all in scope.
account_location = _table("account_location", Column("account_id", _Id), _text("location_id"), keys=3)

dirty_listing = _table(
    "dirty_listing",
    Column("outlet_id", _Id),
    _int("generation"),
    _at("since_at", False),
    _text("why", ""),
    _flag("reread"),  # what we believe is out of date (own cancel, hint, hand edit): read before anything else
    _int("taken"),  # the generation that publish has looked at; what is newer is news, and only news is in the index
    keys=2,
    indexes=(
        Index(
            "dirty_listing_news",
            "tenant_id",
            "outlet_id",
            sqlite_where=text("generation > taken"),
            postgresql_where=text("generation > taken"),
        ),
    ),
)

# --- publish: inside → outside -----------------------------------------------------------------------------------------

# An outlet's publishing state (S8). Numbers are listings, not pieces.
slot = _table(
    "slot",
    Column("outlet_id", _Id),
    _int("account_id"),
    _text("write_unit"),
    _text("state", "QUIET"),
    _int("offer"),
    _int("priority", "6"),
    _at("since_at"),
    _at("wait_until"),
    Column("believed", BigInteger, nullable=True),
    _at("believed_at"),
    _flag("verified"),
    Column("sent", BigInteger, nullable=True),  # the last number sent and not yet seen
    Column("base", BigInteger, nullable=True),  # what was read before it was sent
    _at("base_at"),
    _at("sent_at"),
    _at("acked_at"),
    _int("exposure"),
    _int("unsettled"),  # the exposure of writes that were seen, until every sale before that read is told (S8.6)
    _at("unsettled_until"),
    _int("attempts"),
    _int("unseen"),
    _at("odd_since"),  # first read higher than believed that no order explains yet (S9.3)
    _int("odd"),  # by how many listings
    _int("generation"),
    _int("repairs"),
    _at("repairs_since"),
    _text("reason", ""),
    _real("v"),  # listings it sells a second: who is told first (S8.9)
    keys=2,
    indexes=(Index("slot_waiting", "tenant_id", "account_id", "state", "priority", "since_at"),),
)

# How late we hear of an account's sales and how long a number needs (S3.1, S3.4), as the planner last measured it; microseconds.
channel_window = _table(
    "channel_window",
    Column("account_id", _Id),
    _int("notice", None),
    _int("publish", None),
    _int("grace", None),  # silence of the feed that is usual; what is longer widens the window (S3.2)
    _flag("absolute", "1"),
    _text("deaf", "[]"),  # spans in which we could not hear it, [from, until] each: no measure of how late news is
    _real("median"),  # pieces a second of the account's median SKU (S3.5)
    _at("measured_at", False),
    keys=2,
)

# Where the planner's tick stands (S3.8).
planner = _table("planner", _int("ticked_at"), _int("nightly_at"), keys=1)

# One try to tell an outlet a number. outcome: SENDING ACCEPTED SEEN REJECTED THROTTLED UNKNOWN, and of what may land although nobody
# waits for it: SUPERSEDED UNSEEN DOUBTED (seen, but a sale that was heard later may have made it look so).
attempt = _table(
    "attempt",
    Column("attempt_no", _Id),
    _int("outlet_id"),
    _int("account_id"),
    _int("quantity"),
    Column("was", BigInteger, nullable=True),
    _int("generation"),
    _at("dirty_at"),
    _at("started_at", False),
    _at("accepted_at"),
    _at("seen_at"),
    _text("outcome", "SENDING"),
    _text("reason", ""),
    _text("why", "{}"),  # the terms of the number
    keys=2,
    indexes=(
        Index("attempt_by_outlet", "tenant_id", "outlet_id", "attempt_no"),
        Index("attempt_by_account", "tenant_id", "account_id", "started_at"),
    ),
)

# What we mean to do: written before the call, settled after it (S4.2). At the hub: import hold unhold move_batch cancel_copy remove count
# change_copy fulfil_copy; at a marketplace: cancel fetch_order find_orders.
# state: WAITING SENDING UNKNOWN DONE REFUSED TASK.
intent = _table(
    "intent",
    Column("intent_no", _Id),
    _text("kind"),
    _text("entity"),
    _int("version"),
    _text("idempotency_key"),
    _text("state", "WAITING"),
    _int("priority", "3"),
    _text("payload", "{}"),
    _text("result", "{}"),
    _int("attempts"),
    _int("not_found"),
    _at("created_at", False),
    _at("due_at", False),
    _at("first_sent_at"),
    _at("settled_at"),
    _text("reason", ""),
    keys=2,
    indexes=(
        Index("intent_once", "tenant_id", "kind", "entity", "version", unique=True),
        Index("intent_due", "tenant_id", "state", "due_at"),
    ),
)

# What a marketplace last said of an order, as far as its hub copy was told: a digest a field, so that no person stands here (S11.5).
copy_told = _table("copy_told", Column("order_no", _Id), _text("told", "{}"), keys=2)

# --- shipping: parcels told to marketplaces ------------------------------------------------------------------------------

# One hub fulfilment and one marketplace line (S10.1); orders writes the row, shipping carries it out. units: of the listing.
# state: QUEUED SENT UNKNOWN CONFIRMED REFUSED RECORDED CALLED_OFF. version: of its tracking; sent, told: the versions that were.
shipment = _table(
    "shipment",
    Column("order_no", _Id),
    _text("shipment_id"),
    _text("line_id"),
    _int("account_id"),
    _int("units"),
    _text("state", "QUEUED"),
    _int("version", "1"),
    _int("sent_version"),
    _int("told_version"),
    _text("carrier", ""),
    _text("tracking_number", ""),
    _text("tracking_url", ""),
    _text("more_numbers", ""),  # tracking numbers beside the first, a line each
    _at("shipped_at", False),
    _text("reference", ""),  # the marketplace's id of it
    _flag("cancelled"),  # the hub cancelled the fulfilment
    _flag("looked"),  # the marketplace's own list was read before the first call
    _int("attempts"),
    _int("not_found"),
    _at("due_at", False),
    _at("first_sent_at"),
    _at("settled_at"),
    _text("reason", ""),
    _text("sent_number", ""),  # the tracking number of sent_version: by it the marketplace's list is read
    keys=4,
    indexes=(Index("shipment_due", "tenant_id", "account_id", "state", "due_at"),),
)

# --- pricing: what a listing ought to ask ----------------------------------------------------------------------------------

# What the merchant lets us do with an account's prices. No row: nothing, which is how every account begins. mode: off follow.
price_policy = _table(
    "price_policy",
    Column("account_id", _Id),
    _text("mode"),
    _at("changed_at", False),
    _text("changed_by", ""),
    keys=2,
)

# An outlet that may owe the world a price; as dirty_listing, apart from it, so that neither waits for the other.
price_mark = _table(
    "price_mark",
    Column("outlet_id", _Id),
    _int("generation"),
    _at("since_at", False),
    _text("why", ""),
    _flag("reread"),  # read what it asks before anything is decided
    _int("taken"),  # the generation that publish has looked at
    keys=2,
    indexes=(
        Index(
            "price_mark_news",
            "tenant_id",
            "outlet_id",
            sqlite_where=text("generation > taken"),
            postgresql_where=text("generation > taken"),
        ),
    ),
)

# An outlet's price, published by the same states as its number (publish owns it). Amounts are minor units of `currency`, the listing's own.
price_slot = _table(
    "price_slot",
    Column("outlet_id", _Id),
    _int("account_id"),
    _text("write_unit"),
    _text("state", "QUIET"),
    Column("offer", BigInteger, nullable=True),
    _text("currency", ""),  # '' until it was read
    _int("priority", "6"),
    _at("since_at"),
    _at("wait_until"),
    Column("believed", BigInteger, nullable=True),  # what it was last seen to ask
    _at("believed_at"),
    _flag("verified"),
    Column("sent", BigInteger, nullable=True),  # the last price sent and not yet seen
    _at("sent_at"),
    _at("acked_at"),
    _int("attempts"),
    _int("unseen"),
    _int("generation"),
    _int("repairs"),
    _at("repairs_since"),
    _text("parked", ""),  # why, for machines: no_price/… refused fought unseen sale unreadable ended closed not_on_sale
    _text("reason", ""),
    keys=2,
    indexes=(
        Index("price_slot_waiting", "tenant_id", "account_id", "state", "priority", "since_at"),
        Index("price_slot_by_unit", "tenant_id", "account_id", "write_unit"),
    ),
)

# One try to tell an outlet a price.
price_attempt = _table(
    "price_attempt",
    Column("attempt_no", _Id),
    _int("outlet_id"),
    _int("account_id"),
    _int("price_minor", None),
    _text("currency"),
    Column("was", BigInteger, nullable=True),
    _int("generation"),
    _at("dirty_at"),
    _at("started_at", False),
    _at("accepted_at"),
    _at("seen_at"),
    _text("outcome", "SENDING"),
    _text("reason", ""),
    _text("why", "{}"),  # the terms of the price
    keys=2,
    indexes=(
        Index("price_attempt_by_outlet", "tenant_id", "outlet_id", "attempt_no"),
        Index("price_attempt_by_account", "tenant_id", "account_id", "started_at"),
    ),
)

# Day counters of the channels' budgets, so that a restart does not forget what was spent.
budget = _table("budget", Column("account_id", _Id), _text("name"), _text("state", "{}"), keys=3)

# --- watch: what a person should know ----------------------------------------------------------------------------------

# A thing only a person can do. One open row a (kind, subject).
task = _table(
    "task",
    Column("task_no", _Id),
    _text("kind"),
    _text("subject"),
    _text("what"),
    _text("why", ""),
    _at("opened_at", False),
    _at("due_at"),
    _at("closed_at"),
    keys=2,
    indexes=(Index("task_open", "tenant_id", "closed_at", "kind", "subject"),),
)

# The audit trail: what happened, in the past tense, by whom.
journal = _table(
    "journal",
    Column("line_no", _Id),
    _at("at", False),
    _text("actor"),
    _text("what"),
    _text("subject", ""),
    _text("detail", "{}"),
    keys=2,
    indexes=(Index("journal_by_subject", "tenant_id", "subject", "line_no"),),
)

# Counters per tenant and name (order_no, seq, …): given out by the writer, which owns the tenant.
counter = _table("counter", _text("name"), _int("value"), keys=2)
