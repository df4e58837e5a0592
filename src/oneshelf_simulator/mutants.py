"""Faults planted into the engine: a guard removed, a key dropped, a comparison turned. Each must be caught, or the simulator has no teeth.

In: nothing. Out: MUTANTS, by name, each with the rule that finds it. Never: plants one by itself; `teeth.py` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple
from unittest.mock import patch

import msgspec

from oneshelf.core import coverage, person
from oneshelf.core.instants import from_us
from oneshelf.core.outcome import Accepted, Unknown
from oneshelf.core.stock import Entry
from oneshelf.customers import counting, matching
from oneshelf.imports import draft
from oneshelf.imports import worker as imports_worker
from oneshelf.intake import poll, webhook
from oneshelf.intake import worker as intake_worker
from oneshelf.listings import dirty
from oneshelf.onboarding import bring_up as onboarding
from oneshelf.orders import book, claims, closing, elsewhere, intents, lines, parcels, provisional, shipments, short
from oneshelf.publish import numbers, planning, ticking
from oneshelf.publish import worker as publish_worker
from oneshelf.publish.slots import WriteCall
from oneshelf.reconcile import judge
from oneshelf.shipping import telling
from oneshelf.stock import ledger
from oneshelf.wiring import service as wiring


class Mutant(NamedTuple):
    """`what`: what is wrong now. `caught_by`: the rule that finds it. `needs`: options that give it its occasion."""

    what: str
    plant: Callable[[ExitStack], None]
    needs: dict[str, Any] = {}
    caught_by: str = ""


def _put(stack: ExitStack, owner: Any, name: str, value: Any) -> None:
    stack.enter_context(patch.object(owner, name, value))


def _every(n: int) -> Callable[[], bool]:
    count = 0

    def now() -> bool:
        nonlocal count
        count += 1
        return count % n == 0

    return now


# --- the mutants -----------------------------------------------------------------------------------------------------------


def _answer_without_storing(stack: ExitStack) -> None:
    now, keep = _every(9), webhook.keep
    _put(stack, webhook, "keep", lambda tx, items: ["stored"] * len(items) if now() else keep(tx, items))


def _level_without_entry(stack: ExitStack) -> None:
    now, write = _every(11), ledger._write

    def wrong(tx: Any, tenant_id: int, entries: Any, at: int) -> None:
        write(tx, tenant_id, entries, at)
        if entries and now():
            tx.run("UPDATE stock_level SET on_hand = on_hand + 1 WHERE sku = :s", s=entries[0].sku)

    _put(stack, ledger, "_write", wrong)


def _entry_rewritten(stack: ExitStack) -> None:
    now, write = _every(13), ledger._write

    def wrong(tx: Any, tenant_id: int, entries: Any, at: int) -> None:
        write(tx, tenant_id, entries, at)
        if entries and now():
            tx.run("UPDATE ledger_entry SET posted_at = posted_at + 1, reason = 'mended', on_hand = on_hand + 1 "
                   "WHERE entry_no = 1")  # fmt: skip

    _put(stack, ledger, "_write", wrong)


def _key_dropped(stack: ExitStack) -> None:
    """`ship:` is posted again with each reading of the copy."""
    count = iter(range(10**9))

    def wrong(batch: Any, order: Any, line: Any, shipment: Any, pieces: int) -> None:
        parcels.place(batch, line)
        if not shipment.cancelled:
            key = f"ship:{line.key}:{shipment.shipment_id}-{next(count)}"
            parcels._leave(batch, order, line, key, shipment, pieces, "shipped")

    _put(stack, parcels, "_post", wrong)


def _reserved_forgotten(stack: ExitStack) -> None:
    right = numbers.available_of

    def wrong(tx: Any, tenant_id: int, skus: Any) -> dict[str, int]:
        found = right(tx, tenant_id, skus)
        for sku, reserved in tx.all("SELECT sku, SUM(reserved) FROM stock_level GROUP BY sku"):
            if sku in found:
                found[sku] += reserved
        return found

    _put(stack, numbers, "available_of", wrong)


def _one_more(stack: ExitStack) -> None:
    right = numbers.explain_offer

    def wrong(*arguments: Any) -> Any:
        terms = right(*arguments)
        return msgspec.structs.replace(terms, offer=terms.offer + 1) if terms.offer > 0 else terms

    _put(stack, numbers, "explain_offer", wrong)


def _unknown_is_yes(stack: ExitStack) -> None:
    right = publish_worker.settle_write

    def wrong(tx: Any, t: int, a: int, can: Any, call: Any, outcomes: Any, now: int) -> Any:
        if isinstance(outcomes, list):
            outcomes = [Accepted() if isinstance(one, Unknown) else one for one in outcomes]
        return right(tx, t, a, can, call, outcomes, now)

    _put(stack, publish_worker, "settle_write", wrong)


def _slots_not_recovered(stack: ExitStack) -> None:
    _put(stack, wiring, "recover_slots", lambda *a, **k: 0)
    _put(stack, publish_worker, "recover", lambda *a, **k: 0)


def _intents_not_recovered(stack: ExitStack) -> None:
    _put(stack, intents, "recover", lambda *a, **k: None)


def _nobody_marked(stack: ExitStack) -> None:
    now, right = _every(3), dirty.mark
    _put(stack, dirty, "mark", lambda *a: None if now() else right(*a))


def _complete_too_soon(stack: ExitStack) -> None:
    right = poll.keep_page

    def wrong(tx: Any, tenant_id: int, account_id: int, page: Any, now: int) -> Any:
        if page.complete_through_at is not None:
            page = msgspec.structs.replace(page, complete_through_at=from_us(now))
        return right(tx, tenant_id, account_id, page, now)

    _put(stack, intake_worker.poll, "keep_page", wrong)


def _complete_goes_back(stack: ExitStack) -> None:
    right, now_and_then = poll.keep_page, _every(7)

    def wrong(tx: Any, tenant_id: int, account_id: int, page: Any, now: int) -> Any:
        answers = right(tx, tenant_id, account_id, page, now)
        if now_and_then():
            tx.run(
                "UPDATE feed SET complete_through_at = complete_through_at - 60000000 WHERE account_id = :a",
                a=account_id,
            )
        return answers

    _put(stack, intake_worker.poll, "keep_page", wrong)


def _no_overlap(stack: ExitStack) -> None:
    """Each poll begins ten minutes after where the last one ended."""
    _put(stack, poll, "OVERLAP_S", -600)


def _first_come(stack: ExitStack) -> None:
    """Coverage by order of arrival, not of purchase."""
    _put(stack, coverage.OpenLine, "key", property(lambda line: (line.order_no, line.line_id)))


def _cancel_keeps_pieces(stack: ExitStack) -> None:
    right = lines._post

    def wrong(batch: Any, account: Any, order: Any, line: Any, reserved: int, committed: int) -> None:
        if reserved + committed > 0 or line.state != "C":
            right(batch, account, order, line, reserved, committed)

    _put(stack, lines, "_post", wrong)


def _nothing_held(stack: ExitStack) -> None:
    """The hub is never told of what marketplaces sold."""
    _put(stack, claims, "plan", lambda *a, **k: None)


def _holds_kept(stack: ExitStack) -> None:
    """A hold is not moved back after its import."""
    right = claims.add_intents

    def wrong(tx: Any, tenant_id: int, kind: str, wanted: Any, *a: Any, **k: Any) -> int:
        return 0 if kind == "unhold" else right(tx, tenant_id, kind, wanted, *a, **k)

    _put(stack, claims, "add_intents", wrong)


def _suspicion_for_ever(stack: ExitStack) -> None:
    """What a lower read held is never consumed by its order nor released."""
    _put(stack, provisional, "consume", lambda *a, **k: 0)
    _put(stack, provisional, "settle_due", lambda *a, **k: 0)


def _told_again(stack: ExitStack) -> None:
    """A parcel whose answer was lost is told again without looking."""

    right = telling.settle

    def settle(tx: Any, tenant_id: int, call: Any, outcome: Any, now: int) -> None:
        right(tx, tenant_id, call, outcome, now)
        tx.run(
            "UPDATE shipment SET state = 'QUEUED', sent_version = 0, looked = 1, due_at = :now WHERE state IN ('UNKNOWN')",
            now=now,
        )

    _put(stack, telling, "settle", settle)


def _publishing_dawdles(stack: ExitStack) -> None:
    """Each turn of publishing begins ten minutes late."""
    right = publish_worker._Publisher.turn

    async def wrong(self: Any, calls_max: int) -> float:
        await asyncio.sleep(600.0)
        return await right(self, calls_max)

    _put(stack, publish_worker._Publisher, "turn", wrong)


def _clocks_not_minded(stack: ExitStack) -> None:
    """How blind a channel is goes by our own clock."""

    def wrong(self: Any, at: int) -> int:
        return at

    _put(stack, ticking.Heard, "there", wrong)


def _token_in_the_log(stack: ExitStack) -> None:
    right = onboarding.introduce

    async def wrong(entered: Any, **more: Any) -> Any:
        onboarding.log.warning("connecting", refresh_token=entered.secret.get("refresh_token", ""))
        return await right(entered, **more)

    _put(stack, onboarding, "introduce", wrong)


def _imports_forgotten(stack: ExitStack) -> None:
    """An import without an answer is given up. (That it was done would be found out as soon as its order is heard again.)"""
    right = imports_worker.copy_orders.settle_create

    def wrong(tx: Any, tenant_id: int, call: Any, outcome: Any, now: int) -> Any:
        if isinstance(outcome, Unknown):
            tx.run("UPDATE intent SET state = 'REFUSED' WHERE intent_no = :n", n=call.intent.intent_no)
            return None
        return right(tx, tenant_id, call, outcome, now)

    _put(stack, imports_worker.copy_orders, "settle_create", wrong)


def _two_writes_a_unit(stack: ExitStack) -> None:
    """A slot whose write is not answered may be written again."""
    right = publish_worker.plan

    def wrong(tx: Any, tenant_id: int, *arguments: Any, **more: Any) -> Any:
        call = right(tx, tenant_id, *arguments, **more)
        if isinstance(call, WriteCall):
            sql = "UPDATE slot SET state = 'WAITING', wait_until = NULL, verified = 1 WHERE outlet_id = :o"
            for item in call.items:
                tx.run(sql, o=item.outlet_id)
        return call

    _put(stack, publish_worker, "plan", wrong)


def _anybody_raises(stack: ExitStack) -> None:
    """A strict SKU's number is told whatever the others may still sell."""

    def wrong(tx: Any, tenant_id: int, wanted: Any, now: int) -> bool:
        return True

    _put(stack, planning, "room_for", wrong)


def _always_settled(stack: ExitStack) -> None:
    """An order counts as settled before the others are heard."""

    _put(stack, short, "is_settled", lambda *_: True)


def _sale_taken_for_an_edit(stack: ExitStack) -> None:
    """Where the shop shows fewer than explained, nobody waits whether it was a sale."""

    def wrong(
        tx: Any, tenant_id: int, *, sku: str, location_id: str, pieces: int, read_id: str, now: int, **_: Any
    ) -> Any:
        key = f"edit:{sku}:{location_id}:{read_id}"
        ledger.post(tx, tenant_id, [Entry(key, sku, location_id, "counted in Shopify", on_hand=-pieces)], now)

    _put(stack, provisional, "hold_unseen_at_hub", wrong)


def _generation_ignored(stack: ExitStack) -> None:
    """Who clears a mark clears a newer one too."""
    right = dirty.clear

    def wrong(tx: Any, tenant_id: int, outlet_id: int, generation: int) -> Any:
        return right(tx, tenant_id, outlet_id, 10**9)

    _put(stack, dirty, "clear", wrong)


def _pack_is_a_piece(stack: ExitStack) -> None:
    """A sale takes one piece of each SKU, however many the listing sells."""
    right = book.new_line

    def wrong(account: Any, order: Any, seen: Any, sku: str, units: int, outlet_id: int) -> Any:
        return right(account, order, seen, sku, min(1, units), outlet_id)

    _put(stack, book, "new_line", wrong)


def _pack_shown_in_pieces(stack: ExitStack) -> None:
    """A pack's listing is told pieces."""
    right = numbers._Work.policy

    def wrong(self: Any, outlet_id: int, sku: str, units: int) -> Any:
        return right(self, outlet_id, sku, 1)

    _put(stack, numbers._Work, "policy", wrong)


def _pack_told_at_its_first_piece(stack: ExitStack) -> None:
    """A pack is told as sent when a piece of it has left."""
    right = shipments.units_by_parcel

    def wrong(per_unit: Any, *arguments: Any) -> Any:
        return right(dict.fromkeys(per_unit, 1), *arguments)

    _put(stack, shipments, "units_by_parcel", wrong)


def _bundle_takes_one_part(stack: ExitStack) -> None:
    """A bundle's sale takes one of its parts only."""
    right = book._tie_of

    def wrong(batch: Any, account_id: int, seen: Any) -> Any:
        tie = right(batch, account_id, seen)
        return tie and msgspec.structs.replace(tie, parts=dict(list(tie.parts.items())[:1]))

    _put(stack, book, "_tie_of", wrong)


def _bundle_by_its_richest_part(stack: ExitStack) -> None:
    """A bundle shows what the part makes of which there is most."""

    def wrong(available: dict[str, int], parts: dict[str, int]) -> int:
        return max(available.get(sku, 0) // n for sku, n in parts.items())

    _put(stack, numbers, "bundle_available", wrong)


def _bundle_without_its_last_part(stack: ExitStack) -> None:
    """A bundle is written into the shop without its last part."""
    right = draft._line_drafts

    def wrong(seen: Any, mine: Any, *arguments: Any) -> Any:
        return right(seen, list(mine)[: max(1, len(mine) - 1)], *arguments)

    _put(stack, draft, "_line_drafts", wrong)


def _purchase_counted_twice(stack: ExitStack) -> None:
    """A customer's counter counts each purchase twice."""
    right = counting.sums_of

    def wrong(*arguments: Any) -> Any:
        sums = right(*arguments)
        for one in sums.values():
            one.purchases *= 2
        return sums

    _put(stack, counting, "sums_of", wrong)


def _lent_address_joins(stack: ExitStack) -> None:
    """An address that a marketplace lends is taken for a person's own."""
    right = person.signs_of

    def wrong(tenant_id: int, channel: Any, whose: Any) -> Any:
        buyer = whose.buyer and msgspec.structs.replace(whose.buyer, email_is_relay=False)
        return right(tenant_id, channel, msgspec.structs.replace(whose, buyer=buyer))

    _put(stack, matching, "signs_of", wrong)
    _put(stack, person, "is_relay", lambda address: False)
    _put(stack, person, "real_email", lambda address: address and address.strip().lower())


def _cancelled_counts(stack: ExitStack) -> None:
    """What was counted once is not taken back by a cancel."""
    right = matching.Row.take

    def wrong(self: Any, counts: Any) -> bool:
        return right(self, counts) if counts.counted or not self.counted else False

    _put(stack, matching.Row, "take", wrong)


def _carried_taken_for_served(stack: ExitStack) -> None:
    right = judge.rules.apart

    def wrong(*args: Any) -> Any:
        found = right(*args)
        return found and {place: judge.rules.Apart(0, one.committed - one.on_hand) for place, one in found.items()}

    _put(stack, judge.rules, "apart", wrong)


def _parcel_from_the_wrong_place(stack: ExitStack) -> None:
    right = parcels._leave

    def wrong(batch: Any, order: Any, line: Any, key: str, shipment: Any, pieces: int, reason: str) -> None:
        right(batch, order, line, key, msgspec.structs.replace(shipment, location_id=""), pieces, reason)

    _put(stack, parcels, "_leave", wrong)


def _rest_of_a_hold_forgotten(stack: ExitStack) -> None:
    _put(stack, elsewhere, "spread", lambda *a, **k: None)


def _closed_place_counts(stack: ExitStack) -> None:
    _put(stack, judge.Judge, "_not_told", lambda self, known: [])


def _held_for_nobody(stack: ExitStack) -> None:
    _put(stack, closing, "came_along", lambda *a, **k: 0)


def _no_patience(stack: ExitStack) -> None:
    _put(stack, intents, "backoff_s", lambda first_s, failures, most_s: 0.0)


_LOSSY = {"timeout_after": 0.08}
_LOCATIONS = {"locations": 3}
#: One of them closes while orders wait there.
_CLOSING: dict[str, Any] = {**_LOCATIONS, "closes_at_s": 900.0, "pending_s": 1_800.0}
_REGULARS = {"regulars": True}
_BUNDLES = {"bundles": 3, "stock_max": 20}
#: Many buyers of few pieces.
_CONTESTED: dict[str, Any] = {"orders_per_h": 80.0, "stock_max": 3}
_PACKS = {"packs": 6}
_CRASHY = {"crash_at_await": 4, "crash_at_answer": 4, "crash_after_commit": 3}

MUTANTS: dict[str, Mutant] = {
    "answer_without_storing": Mutant("a webhook is answered and not stored", _answer_without_storing, caught_by="I17"),
    "level_without_entry": Mutant("a level moves without an entry", _level_without_entry, caught_by="I1"),
    "entry_rewritten": Mutant("an entry is changed afterwards", _entry_rewritten, caught_by="I1"),
    "key_dropped": Mutant("a parcel's entry has a new key each time", _key_dropped, caught_by="I5"),
    "reserved_forgotten": Mutant("an offer forgets what is reserved", _reserved_forgotten, caught_by="I11"),
    "one_more": Mutant("an offer is one too many", _one_more, caught_by="I11"),
    "unknown_is_yes": Mutant("no answer counts as a yes", _unknown_is_yes, {"chances": _LOSSY}, caught_by="I18"),
    "slots_not_recovered": Mutant(
        "slots under way stay so after a crash", _slots_not_recovered, {"counts": _CRASHY}, caught_by="late"
    ),
    "intents_not_recovered": Mutant(
        "calls to the hub under way stay so after a crash", _intents_not_recovered, {"counts": _CRASHY}, caught_by="I13"
    ),
    "nobody_marked": Mutant("every third change marks no listing", _nobody_marked, _CONTESTED, "late"),
    "complete_too_soon": Mutant(
        "a feed counts as complete up to now", _complete_too_soon, {"chances": {"webhook_drop": 0.5}}, "I22"
    ),
    "complete_goes_back": Mutant("a feed's completeness goes back", _complete_goes_back, caught_by="I22"),
    "no_overlap": Mutant("polls leave gaps", _no_overlap, {"chances": {"webhook_drop": 0.5}}, caught_by="I22"),
    "first_come": Mutant("first wins by arrival", _first_come, {**_CONTESTED, "chances": {"webhook_drop": 0.5}}, "I7"),
    "cancel_keeps_pieces": Mutant("a cancelled line keeps its pieces", _cancel_keeps_pieces, caught_by="I5"),
    "nothing_held": Mutant("nothing is held at the hub", _nothing_held, caught_by="late"),
    "holds_kept": Mutant("a hold stays after its import", _holds_kept, caught_by="I13"),
    "suspicion_for_ever": Mutant("a suspected sale is held for ever", _suspicion_for_ever, caught_by="I13"),
    "told_again": Mutant(
        "a parcel without an answer is told again", _told_again, {"chances": {"timeout_after": 0.35}}, "I6"
    ),
    "publishing_dawdles": Mutant("numbers leave ten minutes late", _publishing_dawdles, caught_by="late"),
    "clocks_not_minded": Mutant(
        "how blind a channel is goes by our own clock", _clocks_not_minded, {"clock_skew_s": 299.0}, "late"
    ),
    "sale_taken_for_an_edit": Mutant(
        "a sale at the shop that was not heard yet counts as an edit",
        _sale_taken_for_an_edit,
        {"chances": {"webhook_drop": 0.3}},
        "I5",
    ),
    "generation_ignored": Mutant("who clears a mark clears a newer one too", _generation_ignored, caught_by="I13"),
    "anybody_raises": Mutant(
        "a strict SKU is raised whatever the others may sell",
        _anybody_raises,
        {"strict": 99, "restocks_per_h": 12.0},
        "I15",
    ),
    "always_settled": Mutant(
        "an order counts as settled before the others are heard",
        _always_settled,
        {"chances": {"webhook_drop": 0.5}},
        "I9",
    ),
    "token_in_the_log": Mutant("a refresh token stands in a log line", _token_in_the_log, caught_by="I21"),
    "two_writes_a_unit": Mutant("a second write before the first is answered", _two_writes_a_unit, caught_by="I12"),
    "imports_forgotten": Mutant(
        "an import without an answer is given up, and nobody told",
        _imports_forgotten,
        {"chances": {"timeout_before": 0.1}},
        "I6",
    ),
    "pack_is_a_piece": Mutant("a pack's sale takes one piece", _pack_is_a_piece, _PACKS, "late"),
    "pack_shown_in_pieces": Mutant("a pack's listing is told pieces", _pack_shown_in_pieces, _PACKS, "I11"),
    "pack_told_at_its_first_piece": Mutant(
        "a pack is told as sent when a piece of it has left", _pack_told_at_its_first_piece, _PACKS, "I5"
    ),
    "bundle_takes_one_part": Mutant(
        "a bundle's sale takes one of its parts only", _bundle_takes_one_part, _BUNDLES, "late"
    ),
    "bundle_by_its_richest_part": Mutant(
        "a bundle shows what its richest part makes", _bundle_by_its_richest_part, _BUNDLES, "I11"
    ),
    "bundle_without_its_last_part": Mutant(
        "a bundle stands in the shop without its last part", _bundle_without_its_last_part, _BUNDLES, "I5"
    ),
    "purchase_counted_twice": Mutant(
        "a customer's counter counts each purchase twice", _purchase_counted_twice, _REGULARS, "I23"
    ),
    "lent_address_joins": Mutant(
        "an address that a marketplace lends counts as a person's own", _lent_address_joins, _REGULARS, "I23"
    ),
    "cancelled_counts": Mutant("a cancel takes no purchase back", _cancelled_counts, _REGULARS, "I23"),
    "carried_taken_for_served": Mutant(
        "pieces carried to another location are taken for orders that leave from there",
        _carried_taken_for_served,
        {**_LOCATIONS, "carried_per_h": 10.0},
        "I5",
    ),
    "rest_of_a_hold_forgotten": Mutant(
        "what an order's location has not is held nowhere",
        _rest_of_a_hold_forgotten,
        {**_LOCATIONS, "stock_max": 9, "pending_s": 14_400.0},
        "I13",
    ),
    "closed_place_counts": Mutant(
        "what lay at a location that has closed still counts there",
        _closed_place_counts,
        {**_CLOSING, "chances": {"webhook_drop": 0.5}},
        "I5",
    ),
    "held_for_nobody": Mutant(
        "what we held at a location that has closed stays held where it went", _held_for_nobody, _CLOSING, "I5"
    ),
    "no_patience": Mutant("a shop that is away is asked again at once", _no_patience, {"counts": {"dark": 30}}, "I19"),
    "parcel_from_the_wrong_place": Mutant(
        "a parcel leaves from where its line stands, wherever it was packed",
        _parcel_from_the_wrong_place,
        _LOCATIONS,
        "I5",
    ),
}
