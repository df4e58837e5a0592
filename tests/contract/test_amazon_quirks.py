"""The connector's page: every quirk has a source and names a test that exists; every store has its Seller Central; settings are named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oneshelf.channels import amazon

ROOT = Path(__file__).parents[2]
PAGE = (Path(amazon.__file__).parent / "README.md").read_text(encoding="utf-8")


def rows(page: str) -> list[tuple[str, str, str]]:
    """The rows of the table of quirks: what, source, test."""
    section = page.split("\n## Quirks\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    found = []
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(cells) == 3, f"a row has three cells: {line}"
        found.append((cells[0], cells[1], cells[2]))
    return found


def known_tests() -> set[str]:
    return {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:    )?(?:async )?def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    }


def missing(page: str, there: set[str]) -> list[str]:
    wrong = []
    for what, source, test in rows(page):
        name = re.fullmatch(r"`(test_\w+)`", test)
        if not source:
            wrong.append(f"{what}: no source")
        if name is None or name[1] not in there:
            wrong.append(f"{what}: {test} is no test")
    return wrong


def test_every_quirk_has_a_source_and_a_test_that_exists() -> None:
    assert len(rows(PAGE)) >= 45
    assert missing(PAGE, known_tests()) == []


def test_every_test_named_for_a_quirk_of_amazons_is_in_the_page() -> None:
    named = {
        name
        for path in (ROOT / "tests").rglob("test_amazon*.py")
        for name in re.findall(r"def (test_quirk_\w+)\(", path.read_text(encoding="utf-8"))
    }
    assert named and named <= set(re.findall(r"`(test_\w+)`", PAGE))


@pytest.mark.parametrize(
    "planted", ["| a | b | `test_that_is_none` |", "| a |  | `test_read_errors` |", "| a | b | c |"]
)
def test_a_planted_row_is_found(planted: str) -> None:
    page = f"\n## Quirks\n\n| what | source | test |\n| --- | --- | --- |\n{planted}\n\n## Next\n"
    assert len(missing(page, known_tests())) == 1


@pytest.mark.parametrize("country", sorted({place.country for place in amazon.marketplaces.MARKETPLACES.values()}))
def test_every_marketplace_has_a_seller_central(country: str) -> None:
    assert amazon.signing_in.SELLER_CENTRALS[country].startswith("https://sellercentral")


def test_the_page_names_every_setting_of_the_sign_in() -> None:
    for word in ("application_state", "consent_url", "event_bridge_account_id", "queue_url", "queue_arn", "seller_id"):
        assert f"`{word}" in PAGE or f"{word}=" in PAGE, word
    assert "437568002678" in PAGE
