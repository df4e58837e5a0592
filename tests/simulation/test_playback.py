"""A recorded inbox: what is in it, what is not, and that it plays again to the same end."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from oneshelf.cli import app
from oneshelf.demo.stage import Stage, set_stage
from oneshelf.watch.recording import AnyLine, Ended, MessageLine, NoRecording, decode, encode
from oneshelf_simulator.__main__ import main
from oneshelf_simulator.playback import play_recording

BUYERS = (
    {"email": "jane.roe.1815@example.com", "name": "Ottilie Zauberflock", "phone": "+4915112345678"},
    {"email": "max.mustermann.99@example.com", "name": "Wenzeslaus Quirlig", "phone": "+4915187654321"},
)
WITHIN_S = 60.0


async def _bought(stage: Stage) -> None:
    """Each channel sells to each buyer; then everything comes to rest."""
    skus = [one["sku"] for one in (await stage.marketplaces.ask("GET", "/products"))["products"]]
    for number, (channel, buyer) in enumerate((c, b) for c in ("shopify", "amazon", "ebay", "etsy") for b in BUYERS):
        lines = {skus[number % len(skus)]: 1}
        await stage.marketplaces.ask("POST", "/buy", {"channel": channel, "lines": lines, "buyer": buyer})
    deadline = time.monotonic() + WITHIN_S
    while True:
        found = await stage.service.writer.do(
            lambda tx: tx.one(
                "SELECT (SELECT COUNT(*) FROM orders WHERE copy_of_order_no IS NULL AND payment = 'paid' AND complete = 1), "
                "(SELECT COUNT(*) FROM orders WHERE copy_of_order_no IS NOT NULL), "
                "(SELECT COUNT(*) FROM inbox WHERE state = 'NEW'), (SELECT COUNT(*) FROM provisional WHERE state = 'OPEN')"
            )
        )
        if found is not None and tuple(found) == (8, 6, 0, 0):
            return
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.3)


async def _made(folder: Path) -> Path:
    stage = await set_stage(seed=3, products=4, folder=folder)
    try:
        await stage.connect(lambda line: None)
        await _bought(stage)
    finally:
        await stage.strike()
    return folder


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A demo's shelf, at rest, and the recording of it."""
    folder = asyncio.run(_made(tmp_path_factory.mktemp("shelf")))
    file = folder / "inbox.jsonl"
    done = CliRunner().invoke(app, ["inbox", "record", str(file), "--json"], env={"ONESHELF_DATA_DIR": str(folder)})
    assert done.exit_code == 0, done.output
    return file, json.loads(done.stdout)


def _lines(file: Path) -> list[AnyLine]:
    return list(decode(file.read_bytes().splitlines()))


@pytest.mark.timeout(180)
def test_a_replay_ends_with_the_demos_own_orders_and_committed_pieces(recorded: tuple[Path, dict[str, Any]]) -> None:
    file, said = recorded
    assert (said["left_out"], said["orders"], sum(said["committed"].values())) == (0, 14, 8)
    played = play_recording(_lines(file))
    assert (played.handled, played.parked, played.new) == (said["messages"], 0, 0)
    assert (played.orders, played.committed) == (14, 8)
    assert {sku: one.committed for sku, one in played.levels.items()} == said["committed"]
    assert (played.as_recorded, played.differs, played.breaches) == (True, [], [])


@pytest.mark.timeout(180)
def test_two_replays_give_the_same_hash_and_a_message_less_another_one(
    recorded: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    file, _ = recorded
    hashes = []
    for _ in range(2):
        assert main(["--replay", str(file), "--json"]) == 0
        hashes.append(json.loads(capsys.readouterr().out)["hash"])
    assert hashes[0] == hashes[1]
    lines = _lines(file)
    first = next(place for place, line in enumerate(lines) if isinstance(line, MessageLine))
    assert play_recording(lines[:first] + lines[first + 1 :]).hash != hashes[0]


@pytest.mark.timeout(180)
def test_a_recording_names_no_buyer_and_only_its_owner_reads_it(recorded: tuple[Path, dict[str, Any]]) -> None:
    file, _ = recorded
    told = file.read_text()
    for buyer in BUYERS:
        for word in (*buyer.values(), *buyer["name"].split()):
            assert word not in told
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.timeout(180)
def test_a_file_that_is_there_is_not_written_over(recorded: tuple[Path, dict[str, Any]]) -> None:
    file, _ = recorded
    before = file.read_bytes()
    done = CliRunner().invoke(app, ["inbox", "record", str(file)], env={"ONESHELF_DATA_DIR": str(file.parent)})
    assert done.exit_code == 2
    assert file.read_bytes() == before


@pytest.mark.timeout(180)
def test_since_begins_later_and_is_not_compared_with_the_whole_shelf(
    recorded: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    file, said = recorded
    messages = [line for line in _lines(file) if isinstance(line, MessageLine)]
    later = tmp_path / "later.jsonl"
    middle = messages[len(messages) // 2].received_at
    moment = msgspec.json.decode(msgspec.json.encode(_iso(middle)))
    done = CliRunner().invoke(
        app,
        ["inbox", "record", str(later), "--since", moment, "--json"],
        env={"ONESHELF_DATA_DIR": str(file.parent)},
    )
    assert done.exit_code == 0, done.output
    assert 0 < json.loads(done.stdout)["messages"] < said["messages"]
    assert play_recording(_lines(later)).as_recorded is None


def _iso(us: int) -> str:
    from oneshelf.core.instants import from_us

    return from_us(us).isoformat()


@pytest.mark.timeout(180)
def test_a_file_that_is_cut_off_or_none_of_ours_is_refused_in_words(
    recorded: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    lines = _lines(recorded[0])
    with pytest.raises(NoRecording, match="no end"):
        play_recording(lines[:-1])
    with pytest.raises(NoRecording, match="begins with"):
        list(decode([encode(line) for line in lines[1:]]))
    with pytest.raises(NoRecording, match="Line 2"):
        list(decode([encode(lines[0]), b"{}"]))
    assert isinstance(lines[-1], Ended)
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(b"".join(encode(line) for line in lines[:-1]))
    assert main(["--replay", str(cut)]) == 2
