"""The faults F1 to F60: what each is, and by which counter of the simulator it is shown to happen, or by which test elsewhere.

In: nothing. Out: FAULTS, and the table of it for the page. A counter that stays 0 over the seeds of CI fails a test.
"""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """`counters`: names in a report's `faults`; any of them shows it. `elsewhere`: the test that covers it, or why none does yet."""

    what: str
    counters: tuple[str, ...] = ()
    elsewhere: str = ""


FAULTS: dict[int, Fault] = {
    1: Fault("crash before a commit", ("crash_before_commit", "crash_in_statement")),
    2: Fault("crash after a commit, before the next step", ("crash_after_commit",)),
    3: Fault("crash between an answer of the network and its recording", ("crash_at_answer",)),
    4: Fault("crash at an await", ("crash_at_await",)),
    5: Fault(
        "real kill -9 of the service under load", elsewhere="tests/scenario/test_kill.py, tests/unit/test_store.py"
    ),
    6: Fault(
        "two workers with the same right",
        elsewhere="tests/unit/test_store.py, tests/unit/test_renewal_between_processes.py",
    ),
    7: Fault("database locked", ("locked",)),
    8: Fault("disk full on write", ("disk_full",)),
    9: Fault("I/O error on writing", ("io_error",)),
    10: Fault("damaged or truncated database file", elsewhere="tests/unit/test_store.py"),
    11: Fault("backup of an hour ago restored", ("restored",)),
    12: Fault("restart in the middle of a migration", elsewhere="tests/unit/test_migrations.py"),
    13: Fault("out of memory; a task cancelled", ("memory",)),
    14: Fault("webhook doubled, up to 50 times", ("webhook_double", "webhook_flood")),
    15: Fault("webhook late, by minutes and hours", ("webhook_delay", "webhook_late")),
    16: Fault("webhooks overtake each other", ("webhook_reorder",)),
    17: Fault("webhook lost; all of an hour lost", ("webhook_drop", "all_lost")),
    18: Fault("subscriptions vanish without a word", ("subscription_deleted",)),
    19: Fault("webhook before the order can be read", ("unreadable_yet",)),
    20: Fault(
        "a poll's pages shift while paging",
        elsewhere="tests/contract/test_ebay_connector.py, tests/contract/test_etsy_connector.py",
    ),
    21: Fault("an order that the feed shows late, or never", ("never_listed", "listed_late")),
    22: Fault("cursor at the same second as an order", elsewhere="tests/contract/test_conformance.py"),
    23: Fault("an older snapshot after a newer one", ("overtaken", "stale_read")),
    24: Fault("an order for a SKU that is not linked", elsewhere="tests/scenario/test_bad_input.py"),
    25: Fault("quantity changed after the purchase", ("quantity_changed",)),
    26: Fault("a cancel crosses the parcel", ("cancel_crossings",)),
    27: Fault("pending for long, then cancelled", ("pending_cancelled",)),
    28: Fault("clocks differ by up to 5 minutes; ours is set back", ("clock_set", "clock_skew")),
    29: Fault("429", ("throttle",)),
    30: Fault("5xx, and 503 with a page", ("error_500", "error_503_html")),
    31: Fault("connection refused, no such name", ("refused",)),
    32: Fault("timeout before the request arrived", ("timeout_before",)),
    33: Fault("timeout after success", ("timeout_after",)),
    34: Fault("answer cut, or something else than JSON", ("cut_answer", "wrong_answer")),
    35: Fault("batch with failed items", ("partial_batch",)),
    36: Fault("200 with errors inside", ("throttle_in_200",)),
    37: Fault("accepted, never applied", ("never_applied",)),
    38: Fault("writes applied out of order", ("out_of_order",)),
    39: Fault("a sale between read and write", ("buy_in_race",)),
    40: Fault(
        "compare-and-set stale 20 times",
        elsewhere="tests/scenario/test_publish.py; counts are the only such writes yet",
    ),
    41: Fault("daily quota exhausted", elsewhere="tests/unit/test_limiter.py"),
    42: Fault("token expired or revoked", ("expired_token", "tokens_expired")),
    43: Fault("scopes reduced", elsewhere="tests/contract/test_shopify_connector.py"),
    44: Fault("answers take 29 s", ("slow", "slow_hours")),
    45: Fault("channel down for hours, then a flood", ("dark",)),
    46: Fault("unknown, missing, odd fields", elsewhere="tests/contract, tests/scenario/test_bad_input.py"),
    47: Fault("giant bodies", elsewhere="tests/scenario/test_bad_input.py, tests/unit/test_transport.py"),
    48: Fault("forged, replayed, stale signatures", elsewhere="tests/scenario/test_bad_input.py"),
    49: Fault("path traversal and line breaks in ids", elsewhere="tests/contract/test_wire.py"),
    50: Fault("private addresses through callbacks", elsewhere="tests/unit/test_transport.py"),
    51: Fault("script in titles and names", elsewhere="tests/unit/test_pages.py"),
    52: Fault("formulas in exports", elsewhere="tests/unit/test_mapping.py"),
    53: Fault("SQL in every field", elsewhere="tests/unit/test_store.py"),
    54: Fault("another tenant's id in a request", elsewhere="one tenant so far; tests/scenario/test_bad_input.py"),
    55: Fault("secrets or people in logs", elsewhere="tests/unit/test_logs.py; here I21"),
    56: Fault("retention dies half-way", elsewhere="tests/scenario/test_privacy.py"),
    57: Fault("a hand edits at the channel during a write", ("edit_in_race", "hand_edits")),
    58: Fault("a second app fights for the same number", elsewhere="tests/scenario/test_publish_drift.py"),
    59: Fault("a SKU is linked anew while orders are open", elsewhere="tests/scenario/test_booking.py"),
    60: Fault("paused for a day in a sale, then resumed", elsewhere="tests/scenario/test_pausing.py"),
}


def never_injected(counts: dict[str, int]) -> list[int]:
    """The faults that belong into the simulator and did not happen in these runs."""
    return [
        number
        for number, fault in FAULTS.items()
        if fault.counters and not any(counts.get(name, 0) for name in fault.counters)
    ]


def table() -> str:
    """The faults as a Markdown table."""
    rows = ["| F | fault | shown by |", "|---|---|---|"]
    for number, fault in FAULTS.items():
        shown = ", ".join(f"`{name}`" for name in fault.counters) or fault.elsewhere
        rows.append(f"| {number} | {fault.what} | {shown} |")
    return "\n".join(rows) + "\n"
