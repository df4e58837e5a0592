"""Which SKU an unlinked listing most likely sells. A suggestion is never a link: a person says yes.

In: listings without a link, the shop's SKUs. Out: at most a few SKUs a listing, each with a reason and a score.
Never: compares every listing with every SKU: candidates come from indexes, so 100,000 SKUs take seconds, not hours.

    score 1.0    the same but for case        ("mug-blue" · "MUG-BLUE")
    0.95         but for blanks and signs     ("MUG BLUE", "MUG_BLUE")
    0.9          but for leading zeros
    0.6 to 0.85  one begins or ends with the other ("MUG-BLUE" · "FBM-MUG-BLUE"), the more of it the higher
    up to 0.8    titles alike (difflib's ratio, from TITLE_MIN on)
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

import msgspec

#: Suggestions a listing gets at most.
SUGGESTIONS_MAX = 3
#: Shorter texts begin too many others.
AFFIX_LETTERS_MIN = 4
#: How alike titles must be, and how many SKUs with rare words in common are compared letter by letter.
TITLE_MIN = 0.72
TITLES_COMPARED_MAX = 12
#: A word that stands in more titles than this says nothing about which product it is.
COMMON_WORD = 200
_SIGNS = re.compile(r"[\W_]+")
_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")
_UNITS = re.compile(
    r"(?:^|[\W_])(?:(?:pack|set|box|lot|bundle)[\W_]*(?:of)?[\W_]*(\d{1,3})|(\d{1,3})[\W_]*(?:pack|pk|pcs|x))(?=$|[\W_])",
    re.I,
)


class Suggestion(msgspec.Struct, frozen=True):
    """A SKU that a listing may sell. `score`: 0 to 1; `units`: pieces that one unit of the listing seems to hold."""

    sku: str
    score: float
    reason: str
    units: int = 1


class Unlinked(msgspec.Struct, frozen=True):
    """A listing without a link."""

    outlet_id: int
    sku_text: str
    title: str


def folded(text: str) -> str:
    """Return a text without case, blanks and signs.

    >>> folded("Müg_Blue 01")
    'mügblue01'
    """
    return _SIGNS.sub("", unicodedata.normalize("NFKC", text).casefold())


def units_in(*texts: str) -> int:
    """Return how many pieces a listing says it holds; 1 if it says nothing.

    >>> units_in("Mug, pack of 6"), units_in("MUG-2PK"), units_in("MUG 501")
    (6, 2, 1)
    """
    for text in texts:
        found = _UNITS.search(text)
        if found:
            return max(1, int(found.group(1) or found.group(2)))
    return 1


class Shop:
    """The shop's SKUs, indexed once for any number of questions."""

    def __init__(self, items: Iterable[tuple[str, str]]) -> None:
        """`items`: (SKU, title)."""
        self._titles = dict(items)
        self._by_case: dict[str, list[str]] = defaultdict(list)
        self._by_letters: dict[str, list[str]] = defaultdict(list)
        self._by_digits: dict[str, list[str]] = defaultdict(list)
        self._by_word: dict[str, list[str]] = defaultdict(list)
        self._lengths: Counter[int] = Counter()
        for sku, title in self._titles.items():
            letters = folded(sku)
            self._by_case[sku.casefold()].append(sku)
            self._by_letters[letters].append(sku)
            self._by_digits[_ZEROS.sub("", letters)].append(sku)
            self._lengths[len(letters)] += 1
            for word in _words(title):
                self._by_word[word].append(sku)

    def suggest(self, listing: Unlinked) -> list[Suggestion]:
        """Return what the listing may sell, the best first."""
        units = units_in(listing.sku_text, listing.title)
        found: dict[str, tuple[float, str]] = {}

        def add(skus: Sequence[str], score: float, reason: str) -> None:
            for sku in skus:
                if found.get(sku, (0.0, ""))[0] < score:
                    found[sku] = (score, reason)

        text = listing.sku_text.strip()
        if text:
            letters = folded(text)
            add(self._by_case.get(text.casefold(), []), 1.0, "the same but for upper and lower case")
            add(self._by_letters.get(letters, []), 0.95, "the same but for blanks and signs")
            add(self._by_digits.get(_ZEROS.sub("", letters), []), 0.9, "the same but for leading zeros")
            if not found:
                self._affixes(letters, add)
        if not any(score >= 0.9 for score, _ in found.values()):
            for sku, ratio in self._like_titles(listing.title):
                add([sku], round(0.8 * ratio, 2), "a title much alike")
        best = sorted(found.items(), key=lambda one: (-one[1][0], one[0]))[:SUGGESTIONS_MAX]
        return [Suggestion(sku, score, reason, units) for sku, (score, reason) in best]

    def _affixes(self, letters: str, add: Callable[[Sequence[str], float, str], None]) -> None:
        """Whole SKUs of the shop that the text begins or ends with: as many look-ups as it has letters."""
        size = len(letters)
        for length in range(size - 1, AFFIX_LETTERS_MIN - 1, -1):
            if not self._lengths.get(length):
                continue
            share = round(0.5 + 0.35 * length / size, 2)
            for part, where in ((letters[:length], "begins"), (letters[-length:], "ends")):
                skus = self._by_letters.get(part)
                if skus:
                    add(skus, max(0.6, share), f"its SKU {where} with this one")

    def _like_titles(self, title: str) -> list[tuple[str, float]]:
        shared: Counter[str] = Counter()
        for word in _words(title):
            skus = self._by_word.get(word, [])
            if len(skus) <= COMMON_WORD:
                shared.update(skus)
        mine = title.casefold()
        found = []
        matcher = difflib.SequenceMatcher(autojunk=False)
        matcher.set_seq2(mine)
        for sku, _ in shared.most_common(TITLES_COMPARED_MAX):
            matcher.set_seq1(self._titles[sku].casefold())
            if matcher.real_quick_ratio() >= TITLE_MIN and matcher.quick_ratio() >= TITLE_MIN:
                ratio = matcher.ratio()
                if ratio >= TITLE_MIN:
                    found.append((sku, ratio))
        return found


def _words(title: str) -> set[str]:
    return {word for word in _SIGNS.split(title.casefold()) if len(word) >= 3}
