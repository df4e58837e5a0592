"""What one run of the simulator is made of: a profile's ranges, drawn by the seed into one flat set of options.

In: seed, profile, days. Out: `Options`, printable whole and readable again. Never: draws anything after that.
"""

from __future__ import annotations

import random
from typing import Any

import msgspec

MARKETPLACES = ("amazon", "ebay", "etsy")
PROFILES = ("calm", "busy", "flash", "hostile")
DAY_S = 86_400.0
#: In this share of hostile worlds a backup is put back.
RESTORED_SHARE = 0.05
#: Polls, seconds. Three to six times as long as by default: each costs the emulated marketplace some milliseconds.
POLL_S = {"shopify": 60.0, "amazon": 180.0, "ebay": 90.0, "etsy": 180.0}


class Options(msgspec.Struct):
    """All of one run. `fault_s`: the safety phase; the rest phase comes after it. Rates are per hour."""

    seed: int
    profile: str
    fault_s: float
    skus: int = 10
    orders_per_h: float = 17.0
    stock_max: int = 12
    #: Offers by pace and window (S2.2 to 2.8). False: the plain number, as a merchant who switched them off.
    adaptive: bool = True
    #: So many of the SKUs must never be sold twice (S2.9).
    strict: int = 0
    #: The merchant has announced the rush (S3.7); he leaves it to us to cancel what is short (S7.2).
    announced: bool = False
    cancels_short: bool = False
    #: So many listings at marketplaces sell packs (S1.7).
    packs: int = 0
    #: So many SKUs are made of others (S1.11), each listed at one to three marketplaces.
    bundles: int = 0
    #: So many locations of the shop, with the stock dealt out to them; and whether the merchant has us say where an order leaves from
    #: (S5.7), in one parcel or in several.
    locations: int = 1
    routed: bool = False
    split: bool = True
    #: How often the merchant of such a shop carries pieces from one to another.
    carried_per_h: float = 2.0
    #: When one of them closes, seconds from the start; 0: none does.
    closes_at_s: float = 0.0
    #: When that one opens again, with nothing in it; 0: it stays closed.
    opens_again_at_s: float = 0.0
    #: Marketplaces that only some of the locations serve, by their place in the list (S2.14).
    served: dict[str, list[int]] = {}
    #: Most buyers come back, on any channel, and some type an address into the web shop that a marketplace lends them (S11.2).
    regulars: bool = False
    restocks_per_h: float = 1.5
    edits_per_h: float = 0.7
    cancels_per_h: float = 1.0
    returns_per_h: float = 0.4
    fulfil_share: float = 0.6
    fulfil_after_s: float = 2_400.0
    flash_at_s: float = 0.0
    flash_s: float = 0.0
    flash_factor: float = 1.0
    #: The emulated channels' own undocumented ways.
    apply_in_order: bool = True
    list_miss: float = 0.0
    get_order_lag_s: float = 0.0
    ebay_order_lag_s: float = 1.0
    payment_fail_share: float = 0.0
    pending_s: float = 1_800.0
    pending_cancel_chance: float = 0.02
    clock_skew_s: float = 0.0
    #: The process dies at every so many-th point of this kind (before a commit, after one, at an await), counted from an offset; 0: off.
    crash_every: int = 0
    crash_offset: int = 0
    crash_point: str = "before"
    #: How long it stays down at most, seconds.
    down_s_max: float = 240.0
    #: Faults by name: chances a message or call, counts a run. What is not named is off.
    chances: dict[str, float] = {}
    counts: dict[str, int] = {}

    def without(self, fault: str) -> Options:
        """The same run with one fault switched off."""
        chances = {name: value for name, value in self.chances.items() if name != fault}
        counts = {name: value for name, value in self.counts.items() if name != fault}
        return msgspec.structs.replace(self, chances=chances, counts=counts)

    def switched_on(self) -> list[str]:
        return [name for name, value in {**self.chances, **self.counts}.items() if value]

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()


def read_options(text: str | bytes) -> Options:
    """Raises msgspec.ValidationError naming what is wrong."""
    return msgspec.json.decode(text, type=Options)


def draw(seed: int, profile: str, days: float, locations: int = 1) -> Options:
    """Expand a profile: each seed has its own mixture, some faults are off in most seeds and heavy in a few (swarm testing)."""
    options = _drawn(seed, profile, days)
    if locations > 1:
        rng = random.Random(f"{seed}:locations:{profile}")
        options.locations = locations
        options.routed, options.split = rng.random() < 0.5, rng.random() < 0.7
        if rng.random() < 0.5:
            some = rng.sample(range(locations), rng.randint(1, locations - 1))
            options.served = {rng.choice(MARKETPLACES): sorted(some)}
        if locations > 2 and rng.random() < 0.5:
            options.closes_at_s = round(options.fault_s * rng.uniform(0.3, 0.8), 3)
            if rng.random() < 0.5:
                left_s = options.fault_s - options.closes_at_s
                options.opens_again_at_s = round(options.closes_at_s + left_s * rng.uniform(0.05, 0.6), 3)
    return options


def _drawn(seed: int, profile: str, days: float) -> Options:
    if profile not in PROFILES:
        raise ValueError(f"there is no profile {profile!r}: one of {', '.join(PROFILES)}")
    rng = random.Random(f"{seed}:options:{profile}")
    options = Options(seed=seed, profile=profile, fault_s=round(days * DAY_S, 3))
    options.skus = rng.randint(6, 12)
    options.orders_per_h = rng.uniform(12, 22)
    options.stock_max = rng.choice((4, 8, 12, 20))
    options.fulfil_share = rng.uniform(0.3, 0.9)
    if profile == "calm":
        options.orders_per_h = rng.uniform(3, 8)
        options.chances = _some(rng, {"webhook_drop": 0.01, "webhook_double": 0.05}, all_of=True)
        return options
    if profile in ("busy", "flash"):
        options.orders_per_h *= 3 if profile == "busy" else 1
    if profile == "hostile":
        options.orders_per_h, options.cancels_per_h = rng.uniform(25, 45), rng.uniform(1, 5)
    if profile == "flash":
        options.flash_at_s = round(options.fault_s * rng.uniform(0.2, 0.5), 3)
        options.flash_s, options.flash_factor = 900.0, rng.uniform(20, 60)
    _draw_wishes(random.Random(f"{seed}:wishes:{profile}"), options)
    _draw_goods(options)
    _draw_channels(rng, options)
    _draw_faults(rng, options, heavy=3.0 if profile == "hostile" else 1.0)
    if profile == "hostile" and random.Random(f"{seed}:restores:{profile}").random() < RESTORED_SHARE:
        options.counts["restored"] = 1
    return options


def _some(rng: random.Random, usual: dict[str, float], *, all_of: bool = False) -> dict[str, float]:
    return {name: value for name, value in usual.items() if all_of or rng.random() < 0.5}


def _draw_wishes(rng: random.Random, options: Options) -> None:
    """What the merchant asks for."""
    options.strict = rng.choice((0, 1, 2, 3))
    options.announced = bool(options.flash_s) and rng.random() < 0.6
    options.cancels_short = rng.random() < 0.5


def _draw_goods(options: Options) -> None:
    """What lives in only some worlds, each by a stream of its own: who has it not stays as he was."""
    options.packs = max(0, random.Random(f"{options.seed}:packs:{options.profile}").randint(-2, 4))
    options.regulars = random.Random(f"{options.seed}:regulars:{options.profile}").random() < 0.5
    options.bundles = max(0, random.Random(f"{options.seed}:bundles:{options.profile}").randint(-1, 2))


def _draw_channels(rng: random.Random, options: Options) -> None:
    options.apply_in_order = rng.random() < 0.7
    options.list_miss = rng.choice((0.0, 0.0, 0.05))
    options.get_order_lag_s = rng.choice((0.0, 0.0, 20.0))
    options.ebay_order_lag_s = rng.choice((1.0, 1.0, 8.0))
    options.payment_fail_share = rng.choice((0.0, 0.05))
    options.pending_s = rng.choice((1_800.0, 1_800.0, 600.0))
    options.pending_cancel_chance = rng.choice((0.02, 0.15))
    options.clock_skew_s = rng.choice((0.0, 0.0, 0.0, 120.0, -120.0, 299.0, -299.0))


def _draw_faults(rng: random.Random, options: Options, *, heavy: float) -> None:
    usual = {
        "webhook_drop": 0.03, "webhook_double": 0.1, "webhook_delay": 0.05, "webhook_reorder": 0.1,
        "webhook_late": 0.01, "webhook_flood": 0.005,
        "error_500": 0.02, "error_503_html": 0.01, "throttle": 0.01, "expired_token": 0.005, "partial_batch": 0.03,
        "never_applied": 0.02, "stale_read": 0.01, "refused": 0.01, "timeout_before": 0.01, "timeout_after": 0.02,
        "cut_answer": 0.01, "wrong_answer": 0.005, "slow": 0.01, "late_answer": 0.02, "buy_in_race": 0.15,
        "edit_in_race": 0.03, "memory": 0.0005,
    }  # fmt: skip
    options.chances = {
        name: round(value * rng.uniform(0.3, heavy), 5) for name, value in usual.items() if rng.random() < 0.6
    }
    hours = max(3.0 if options.profile == "hostile" else 1.0, options.fault_s / 3600)
    crashes = ("crash_before_commit", "crash_after_commit", "crash_at_answer", "crash_at_await", "crash_in_statement")
    often = {name: 0.25 for name in crashes} | {
        "disk_full": 0.12, "io_error": 0.12, "locked": 0.12, "dark": 0.1, "all_lost": 0.08,
        "subscription_deleted": 0.08, "tokens_expired": 0.2, "clock_set": 0.06, "hand_edits": 0.25,
        "cancel_crossings": 0.2, "slow_hours": 0.05,
    }  # fmt: skip
    for name, per_h in often.items():
        if rng.random() < 0.6:
            options.counts[name] = max(0, round(rng.expovariate(1 / (per_h * hours * (1 + heavy) / 2))))
    options.counts = {name: value for name, value in options.counts.items() if value}


def expanded(options: Options) -> dict[str, Any]:
    """The whole set, for a failure's report."""
    found: dict[str, Any] = msgspec.to_builtins(options)
    return found
