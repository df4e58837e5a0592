"""The page docs/concepts/simulation.md, with the tables as the simulator has them."""

from __future__ import annotations

from oneshelf_simulator import faults, mutants
from oneshelf_simulator.auditor import INVARIANTS

TEXT = """\
# The simulator: trying to break it

`oneshelf sim` plays the real service against the emulated marketplaces for simulated hours in seconds, in one thread, on a virtual clock.
One seed decides everything: who buys what, what the network loses, when the process dies, which of two ready tasks runs first. The same
seed gives the same bytes, so that a failure found once is a failure kept.

    oneshelf sim --seed 7 --profile hostile            # one world: six hours of faults, then it has to come to rest
    oneshelf sim --runs 100 --profile busy --json      # a hundred seeds in two processes
    oneshelf sim --replay oneshelf-sim-7.json          # a failure again
    oneshelf sim --replay friday.jsonl                 # a recorded inbox again: ../how-to/play-an-inbox-again.md
    oneshelf sim --runs 20 --locations 3               # shops of three locations
    oneshelf sim --teeth                               # plant faults into the engine and see each caught
    oneshelf sim --crash-points 2000                   # the process dies at 2,000 commits and awaits, and nothing else goes wrong; with --locations 3 too
    oneshelf sim --runs 20 --seed 100 --twice          # each seed twice: the traces have to be equal, byte by byte
    make sim-release                                   # all of it, for a night

Exit code 1 is a breach: an invariant did not hold (or, with `--twice`, a seed was not the same). What is printed then is the seed, every option, the last forty happenings and the levels,
of a run that was made smaller first: shorter, and without every fault that it does not need.

## What is real and what is not

| real | played |
|---|---|
| the service's loops, steps, connectors, limiter, writer's code | the clock, and the order of what is ready together |
| SQLite, one file, opened again after each crash | the disk under it keeps its word (power cuts have tests of their own) |
| the emulated marketplaces, their strictness and their delays | the network between: lost, late, cut, doubled, refused, dark |
| bring-up and sign-in, as a merchant does them | the merchant, buyers, hands in consoles, a supervisor that starts it again |

In a run, loops that no bell rang and for which nothing is due look every five minutes, polls are three to six times as far apart as by
default, and the sweep goes round every quarter of an hour in place of six hours: a seed costs seconds that way, a bell that somebody forgot to
ring is found, and a number typed by hand is found within the rest phase.

A *crash sweep* lets the process die before every 97th commit, after every 97th, or at every 1,009th await, each run from another point on,
for an hour of a busy shop. Nothing else goes wrong there: what breaks is the crash's own.

A backup is put back in one hostile world of twenty: a copy by `oneshelf backup`'s own code, up to an hour old. What the judge knows of the database goes
back with it: appended entries, stored messages, answered webhooks, how far a feed is complete. Marketplaces, shop and buyers remember everything:
no order twice in the shop, no parcel told twice, none lost, levels true at rest. A strict SKU is promised again from when the engine knows of it all.

Not mended there: an order that was imported and then cancelled at its marketplace since the backup, whose copy in the shop is heard of before
the order and was not cancelled yet: the copy stays open (hostile seed 19). Nobody is sent
anything twice by that; the piece is off sale until a person cancels the copy.

First the *safety phase*: people buy, faults strike, the process dies between statements, around commits, at answers and at awaits. The
auditor looks after each commit and, every ten simulated minutes, at everything. Then the *rest phase*: no faults, no buyers; within thirty
minutes every channel has to show its offer, every order has to be stored, the ledger has to be the truth of shelf and buyers. Then half an
hour without a write. A sold-out Etsy listing costs a fee to reopen and may have to wait for its hour (S8.16): it is judged when that is over.

Offers are adaptive, as by default. At rest they stand still: no SKU sells in a burst any more, every channel is heard. Then each outlet has to
show what `offers.py`, the judge's own arithmetic of section 2, makes of K, of the measured windows and of what was sold. With `"adaptive": false`
in a run's options the merchant has switched that off, and K is what each has to show.

In most worlds up to three SKUs are strict, chosen by the seed. Of these, what all outlets show together is never more than there is, from
when they are dealt out on; a number typed by hand, a piece lost on the shelf, an order that no search shows, and a cancel that puts back
what has left end that until the engine knows of it. In half of the worlds the merchant leaves it to us to cancel what is short, and the rush of most `flash` worlds is
announced. What was asked for, and what came of it, is counted (`wishes` in `--json`).

In about half of the worlds a few listings at marketplaces are packs of two to six pieces, and in half a SKU or two are bundles of two or three
others, listed at one to three marketplaces. Buyers take them like anything else; hands type their numbers. The judge counts pieces: a listing
shows whole packs, a bundle the least that its parts make.

`--locations N` makes it a shop of several locations. The stock is dealt out to them, the merchant carries pieces from one to another, and moves
the work of an order, or what it lacks, so that each parcel leaves from where its pieces lie; in about half of the worlds he has us say where
an order leaves from. The judge knows what lies where: at rest the ledger has to have each location's pieces, and the shop has to sell at each
what K is there. In half of the worlds one marketplace is served by some of the locations only (S2.14). In half of the
worlds of three and more, one of them closes, and its stock and its orders go to another; in half of these it opens again, empty.

In half of the worlds most buyers come back, on any channel, and some type an address into the web shop that Amazon lends them. The judge knows
who typed what: two purchases may be one customer's by one channel's buyer, one real e-mail, or one phone with one family name.

Profiles: `calm` (a slow shop, few losses), `busy`, `flash` (a rush on all products), `hostile` (every fault, often). Each seed draws its own
mixture: in most runs some faults are off, in some a few are heavy.

## How much is played

Hostile worlds of six hours of faults, and of 72 minutes (`--days 0.05`). A change of the engine or of how often its loops look makes other worlds of
the same seeds: what is found is mended and its seed passes, but a number of worlds says something only of the state that played them.

| command | worlds | simulated | sales | crashes | breaches |
|---|---|---|---|---|---|
| `oneshelf sim --runs 1000 --profile hostile`, seeds 195 to 478, on one engine (152 too) | 285 | about 80 days | 22,509 | 2,991 | 0 |
| the same, seeds 1 to 194, on the engine before; 320 to 334 before a shop that is connected again was no longer counted again | 209 | about 59 days | 15,844 | 2,392 | 1, the engine's (152), mended since |
| the same, seeds 1 to 319, on the engine before; what a read showed before a return was still believed of strict SKUs | 319 | about 90 days | 24,125 | 3,501 | 2, the engine's (177, 253), mended since |
| `oneshelf sim --profile hostile --days 0.04 --locations 3`, seeds 41 to 310, on several states: what broke was mended, and its seed played again | 270 | 10.8 days | 9,367 | 1,450 | 10: the engine's (45, 68, 78, 122, 131, 228, 231), the judge's (66, 220, 285); all mended |
| the same, of seeds 41 to 344 those in which a closed location opens again | 73 | 2.9 days | 2,558 | 431 | 5, the engine's (67, 68, 117, 261, 342), mended |
| earlier: of seeds 41 to 100 those in which a location closes | 31 | 2.5 days | 996 | 186 | 3 (71, 83, 99): they pass on the engine of now, as on the one before; their causes were not looked for again |
| the first, seeds 855 to 1000, on the same engine as 1 to 319 | 146 | about 41 days | 11,624 | 1,671 | 1, the judge's (923, mended since) |
| the same, seeds 1 to 854, on the one before that: what could not be read before a call to the shop was tried every second; 1 to 265 and 758 to 854 before waits past the 1,024th had an end | 854 | about 240 days | 65,404 | 9,287 | 2: the judge's (107), the engine's (727), both mended since |
| earlier: the same, seeds 266 to 757; a copy whose cancel was refused because a part had left was a person's | 492 | about 139 days | 37,722 | 5,347 | 1, the judge's (502, mended since) |
| earlier: the same, seeds 1 to 267; a refused hold was asked about less | 267 | about 76 days | 20,026 | 2,978 | 0 |
| `oneshelf sim --runs 24 --profile hostile --days 0.04 --locations 3`, seeds 41 and 300 on | 48 | 3.8 days | 1,690 | 255 | 0 |
| `oneshelf sim --runs 30 --seed 200 --profile hostile --days 0.04 --locations 2` | 30 | 2.4 days | 1,062 | 170 | 0 |
| earlier: hostile, six hours, seeds 1 to 474 on one engine, 475 to 603 on the next | 603 | about 170 days | 46,213 | 6,621 | 1, the engine's (584, mended since) |
| earlier: three locations, seeds 41 to 64 | 24 | 1.8 days | 807 | 141 | 1, the engine's (48, mended since) |
| earlier: the first, stopped, mended and begun again at each breach, on seven states | 1,170 | about 336 days | 89,861 | 12,907 | 16, of which 10 the engine's |
| earlier: six hours, seeds 1 to 70 | 72 | about 22 days | 5,447 | 801 | 2 |
| earlier: `--days 0.05`, seeds 1 to 466 | 466 | about 39 days | 18,313 | 2,417 | 4 |
| `oneshelf sim --runs 20 --seed 100 --profile hostile --days 0.05 --twice` | 20, each twice | 2 × 1.7 days | 675 | 113 | 0 |
| `oneshelf sim --profile flash --days 0.05`, seeds 1 to 40 | 40 | about 3 days | 1,656 | 32 | 0 |
| `oneshelf sim --crash-points 2000` | 36 | 2.7 days | 918 | 2,065 | 0 |

What they found:

| breach | cause | whose |
|---|---|---|
| I18 (152) | an account at work was connected again: the answer of its first reads came 29 s late and was believed over what had been written and seen since; one in time would have hidden a sale that nobody had told yet | the engine's |
| I15 (253) | a buyer at Amazon cancelled, Amazon put the piece back on sale itself and sold it again, unheard; heard of the cancel, and reading 0 there, we told it 1: a raise waits now until the feed has told every sale before that read ([0030](../adr/0030-what-came-back-may-have-been-sold-before-it-was-read.md)) | the engine's |
| I5, three locations (45, and others) | a shop was connected again: what reads had brought to another location since the first count was opened there once more, and stood twice until the next looks | the engine's |
| I15, three locations (68, 228) | pieces that were held back for a strict SKU were carried to another location, and stood on sale there; where they were missing as many were given back, which a shop that sells what all locations have together shows too | the engine's |
| I5, three locations (78) | a person was asked to give reserved pieces back and not told at which location | the engine's |
| I5, three locations (122) | what was owed at a location that closed moved by its levels, and once more by its order's news; until the feed was complete, six too few were on offer | the engine's |
| I5, three locations (131) | of two suspicions at a location the older was given back, and the younger, what was left of it, was not waited for: the other half of a split line counted as brought in | the engine's |
| I5, three locations (231) | an unheard parcel at a third location made a line that was served from another look like a piece carried | the engine's |
| I11, three locations (67, 117) | a closed location opened again, and its message was lost: what Shopify let it serve was owed nowhere, and one was told while K was -3 | the engine's |
| I5, three locations (68) | it had closed and opened again while the service was down: what we had held there counted as given back by hand, and where it had gone as another app's, for good | the engine's |
| I5, three locations (261, 342) | the same while a call there had no answer | the engine's |
| late, three locations (285) | two pieces of a cancelled order had left, Etsy was dark, and the judge counted one of them as unknown | the judge's |
| I13, three locations (66, 220) | with less than nothing left of a strict SKU, what lies at one location is held back beside what another owes; and a payment half an hour after the last fault moves numbers there and back | the judge's |
| I15 (177) | an order's hold was given back after its import, and by the read from before that a strict SKU's share too | the engine's |
| I5, I11, I13, I15, shops that close a location | what Shopify moved was counted at both locations when the message was lost; orders that stood at the closed one were counted nowhere; what was held there stayed reserved for nobody ([0029](../adr/0029-a-location-that-is-not-told-has-nothing.md)) | the engine's |
| late, shops of three locations | of an order of more pieces than its location has the rest was held nowhere, and the web shop sold it again ([0027](../adr/0027-what-one-location-has-not-is-held-at-another.md)) | the engine's |
| by random stories, where we route | an order was moved while its hold had no answer: its pieces counted as held at the new location, and stayed reserved at the old one for nobody | the engine's |
| by reading, with one location too | two orders' holds in one breath: what the first left was not asked for again, and stayed on sale | the engine's |
| I5, shops of three locations | a copy that Shopify serves from another location than we knew, or a line sent from two, counted as pieces carried or counted by hand ([0026](../adr/0026-what-was-carried-is-what-the-shop-has-on-hand.md)) | the engine's |
| I5, the same | pieces were carried away from where a hold of ours had got no answer: their arrival counted, their departure not | the engine's |
| by reading, for the same | one read that missed pieces at two locations reserved them at one; a suspected sale that stood elsewhere since was given back; a channel served by some locations was offered what another one owed | the engine's |
| by reading | what was more than a hold without an answer left, with one location too, counted at once: pieces taken off meanwhile stayed hidden | the engine's |
| I5 | a difference at the shop was a return; its news came, and a second one of the same size, a cancel unheard, was taken for the first grown old, and counted | the engine's |
| I13, two worlds of several locations | an import's claim at another location was suspected as a sale, and a strict SKU dealt out anew | the engine's |
| I13, the same | a held copy whose location ran out was decided again every half minute | the engine's |
| late, four worlds | a listing that somebody else writes too is parked, and took all of its account's turns in the sweep: no other listing there was read again | the engine's |
| I15, two worlds | a zero of ours that had got no answer, seventeen minutes before, "explained" a sale that nobody had heard of: the last piece was told again | the engine's |
| I15 | a marketplace order was cancelled: Amazon put its pieces back on sale, and the shop got some of the same back | the engine's |
| late | a read had found the piece that Amazon put back of a cancelled order, and waited for the feed; the cancel was heard, and it waited on for four minutes | the engine's |
| late | with our clock five minutes behind, each purchase lay in the future and was dated back: the proof that a number had landed stood although a sale had only made it look so ([0025](../adr/0025-a-purchase-lies-in-the-future-by-its-channels-clock.md)) | the engine's |
| I13 | the same clock: how long ago a listing was read was reckoned by ours, and the sweep came that much later | the engine's |
| I13 | a strict listing that was planned to wait was looked at only when somebody rang | the engine's |
| I15 | a hold that was refused waited for the next look at the shop's levels | the engine's |
| I13 | a late write of ours was looked for only when none could land any more, after an outage for twenty minutes | the engine's |
| I5 | a message from before a cancel, late, of the same second, stood for good ([0024](../adr/0024-of-one-update-time-a-read-goes-before-a-message.md)) | the engine's |
| I5 | holds given back since a backup were taken for the merchant's edit while a call of ours was in flight | the engine's |
| late | the engine should have known of an order that no search shows and of which no message came (F21) | the judge's |
| late, two worlds | a parcel had left of an order that was cancelled at Etsy, and the shop was dark for hours: nobody could know that its piece was gone | the judge's |
| I15 | a hand opened a sold-out Etsy listing of two offerings, and the other one showed its piece too | the judge's |
| I14 | a line that was short when all was at rest was cancelled a quarter of an hour later, as it should be, and that moved numbers | the judge's |
| I5, I23 | a cancel at Amazon, unheard, of an order that no search shows (F21): it is read again the next day | the judge's |
| by a world that took long (796) | waits doubled without end: the 1,024th is no number any more, so that an import without an answer was looked for again at once, ninety times a second, for the hours that the shop was away; and after three and a half days of a marketplace that is away, its poll's loop ended, and the service with it. I19 counts calls since | the engine's |
| I14 | a feed that was read only once since a start, with clocks that differ, is complete as of minutes ago: its channel counted as deaf before the next poll, and a scarce number moved, there and back, when all was thought to be at rest | the judge's |
| I15 | a piece of a strict SKU was bought at Amazon while it was told 0, in an order that no search shows (F21) and whose message was lost | the judge's |
| I19 | what could not be read before a call to the shop was tried again every second, for each order: 780 calls in a minute (727) | the engine's |
| late | an order that no search shows (F21) and no message told of: after the next number that Amazon was told, its pieces were on sale there once more | the judge's |

Beside a run, and judged since: after its first hour an open order was read by its id at every look.

## The bars

What should hold with each change. Measured on two shared cores. What a release is to show beyond that is left running: `make sim-release`.

| bar | by | last measured |
|---|---|---|
| 75 simulated days with every fault, within ten minutes | `make sim` | not reached: a hostile world of six hours costs ten to thirty seconds of a core, as quick as it is; `make sim` plays 60 of 72 minutes |
| rest within 30 minutes after the last fault, shown = offer | each run | in all that were mended; the longest of seeds 1 to 1000 took 1,665 s |
| 2,000 crashes before and after commits and at awaits | `oneshelf sim --crash-points 2000` | 2,065 in five and a half minutes, nothing broken |
| 50 times `kill -9` under load | `make kill` | 50 in nine minutes: 228 sales, none lost, none double, 131 imported once; five times with each change |
| the same seed twice is the same trace, 20 seeds | `oneshelf sim --runs 20 --seed 100 --profile hostile --days 0.05 --twice` | 20 of 20, in fresh processes; seeds 100 to 105, `--days 0.03`, the same on Python 3.11 and 3.13, 501 and 503, `--days 0.05`, on 3.11, 3.14 and 3.15 |
| sold twice: late; by a race with compare-and-set | `oversold` in `--json` of each run | 0; 0 |
| oversold and lost in the flash; strict SKUs | [What each rule costs](policies.md) | 1.3 per 10,000 and 0.15 %; 0 in 74,725 |
| planted faults caught | `oneshelf sim --teeth` | 41 of 41, within four runs each (the last, `no_patience`, by itself) |
| 10,000 forged or altered signatures refused | `pytest tests/contract/test_mutations.py` (`ONESHELF_FORGERIES`) | 10,002 of 10,002 |
| every recorded payload altered a hundred times ends in facts or a refusal by name | the same (`ONESHELF_MUTATIONS`) | 48 payloads, 4,800; 1,800 calls with altered answers |
| 20,000 requests without a fault of ours | `make api-fuzz` | a few an operation with each change |
| every interleaving of small worlds | `make model` | [Every interleaving of a small world](model-checks.md) |
| decided within 2 s and told within 5 s (p99, what is ours) at ten times 20,000 orders a day | `oneshelf demo --headless --seconds 60 --orders-per-s 2.3 --json` (`latency_s`) | decided 0.07 s, told 2.6 s (Etsy's own pace with it), two simulations beside |
| first decision within 5 s of a start after `kill -9` | `oneshelf bench recovery` | 2.2 s |
| another tenant's ids in every route | `pytest tests/scenario/test_api_resources.py -k F54` | every route of the API, every page, every command beside a twin under the same numbers: nothing shown, nothing changed |

## What a release is to show

Each bar of the larger column, but the last of these, has a command that can be left running. What was shown of it so far:

| bar | command | shown so far |
|---|---|---|
| 20,000 worlds of six hours | `oneshelf sim --runs 20000 --profile hostile --json` | 1,000, as above |
| 20,000 crashes at commits and awaits | `oneshelf sim --crash-points 20000 --json` | 2,065 |
| 1,000 times `kill -9` under load | `make kill KILLS=1000` | 50 |
| 1,000 seeds twice, and on two machines | `oneshelf sim --runs 1000 --profile hostile --twice --json`; `trace_hash` | 20, six on two Pythons, two on three |
| no strict SKU oversold in a million orders | `oneshelf bench policies --policy strict --scale 1 --seeds 10 --json` | 0 in 74,725 |
| a million requests without a fault of ours | `ONESHELF_FUZZ=10000 pytest tests/scenario/test_api_fuzz.py -n0 --timeout 0` | a few an operation |
| a million forged signatures refused | `ONESHELF_FORGERIES=1000000 pytest tests/contract/test_mutations.py -n0 --timeout 0` | 10,002 |
| 100,000 altered payloads | `ONESHELF_MUTATIONS=2100 pytest tests/contract/test_mutations.py -n0 --timeout 0` | 4,800 |
| 90 of 100 wrong lines noticed | `make mutants` | [97](mutants.md), of seven modules |
| every interleaving, six orders | `make model` | [all](model-checks.md) |
| first decision within 5 s with a million messages in the inbox | `oneshelf bench recovery` | 2.8 s, 3.2 GB ([0028](../adr/0028-a-large-file-is-read-to-its-end-beside-the-work.md)) |
| decided within 2 s and what is urgent told within 5 s at a hundred times 20,000 orders a day | `oneshelf demo --headless --seconds 30 --orders-per-s 23 --json` | decided 0.14 s; told 7.4 s at Etsy, 5.6 s at Amazon, of every urgency and with the channels' own pace: what is urgent was not told apart |
| ten million messages, a fifth of them doubled | the worlds above, added up | no command of its own |

## Who judges

`auditor.py` imports nothing of the product. It counts the physical shelf by what people did to it, what buyers wait for by the marketplaces'
own books, and reads the database by plain SQL.
"""

CAUSES = """
## Oversold, by cause

A piece sold twice is sorted: *window* (sold before anybody could have known), *race* (a write of ours had put it back), *hand* (somebody
typed a number), *late* (we had known, and had had the time). *Late* is a breach, and so is a race where a write names the number that it is to
replace (`race_compare_and_set`); `--json` has the pieces of each. A channel has the time from the first news, or from when its poll was due,
plus five seconds, its call and its processing; time in which it, the other channel or the engine was in trouble does not count. What a channel
puts back on sale by itself, when an order of its own is cancelled, is such news too. What a cancelled copy gives back
stands in the shop for the seconds until the holds that waited for it take it: window.

## The faults

"""


def page() -> str:
    """Return the page."""
    invariants = "| I | checked |\n|---|---|\n" + "".join(f"| {n} | {how} |\n" for n, how in INVARIANTS.items())
    teeth = "| planted fault | what is wrong | caught by |\n|---|---|---|\n" + "".join(
        f"| `{name}` | {mutant.what} | {mutant.caught_by} |\n" for name, mutant in mutants.MUTANTS.items()
    )
    return (
        TEXT
        + "\n"
        + invariants
        + CAUSES
        + faults.table()
        + "\n## Its teeth\n\nEach of these was planted into the engine and caught within four seeds:\n\n"
        + teeth
        + "\nThis page is generated: `make docs`.\n"
    )
