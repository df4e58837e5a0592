"""The emulated marketplaces as a process of their own, for client libraries that other people wrote.

Opt-in: `pip install '.[clients]'`, then `pytest -m clients`. What these libraries get is what they would get from the marketplace.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

#: Longest a thing that takes time at a marketplace may take here, seconds.
WITHIN_S = 20.0


class World:
    """The addresses and credentials that the emulator printed, and its control door."""

    def __init__(self, hello: dict[str, Any]) -> None:
        self.credentials: dict[str, dict[str, Any]] = hello.pop("credentials")
        self.urls: dict[str, str] = hello

    def control(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            f"{self.urls['control']}/_emulator{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def sku(self, index: int = 0) -> str:
        return str(self.control("GET", "/products")["products"][index]["sku"])

    def bought(self, channel: str, sku: str, pieces: int = 1) -> dict[str, Any]:
        """Somebody buys; return the marketplace's own word about the order."""
        before = {one["id"] for one in self.orders(channel)}
        buyer = {"email": "jane@example.com", "name": "Jane Roe"}
        self.control("POST", "/buy", {"channel": channel, "lines": {sku: pieces}, "buyer": buyer})
        return until(lambda: next((one for one in self.orders(channel) if one["id"] not in before), None))

    def orders(self, channel: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.control("GET", f"/orders?channel={channel}")["orders"]
        return found


def until(look: Callable[[], Any], within_s: float = WITHIN_S) -> Any:
    """Look until there is something; return it."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {within_s:g} s")


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    command = [sys.executable, "-m", "oneshelf_emulator", "--json", "--no-sqs", "--factor", "600", "--seed", "5"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield World(json.loads(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait(10)
