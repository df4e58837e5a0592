"""A loop that ends while it waits for its queue hands back what it is still given."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import pytest

from oneshelf.intake import queue
from oneshelf.runtime.clock import SystemClock


class Queue:
    """What SQS does here: gives messages when told to, and remembers what was made visible again."""

    def __init__(self, bodies: list[str]) -> None:
        self.bodies = bodies
        self.asked, self.may_answer = threading.Event(), threading.Event()
        self.given_back: list[dict[str, Any]] = []

    def receive_message(self, **_: Any) -> dict[str, Any]:
        self.asked.set()
        assert self.may_answer.wait(10)
        return {"Messages": [{"MessageId": b, "ReceiptHandle": f"r-{b}", "Body": b} for b in self.bodies]}

    def change_message_visibility_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> None:
        assert QueueUrl == "http://queue"
        self.given_back += Entries


@pytest.mark.asyncio
@pytest.mark.parametrize("bodies", [["a", "b"], []])
async def test_I17_what_an_ended_loop_is_still_given_goes_back_at_once(bodies: list[str]) -> None:
    client = Queue(bodies)
    loop = asyncio.create_task(
        queue.run(
            client, "http://queue", list, cast(Any, None), SystemClock(), lambda: None, asyncio.Event(), wait_s=20
        )
    )
    assert await asyncio.to_thread(client.asked.wait, 10)
    loop.cancel()
    await asyncio.wait([loop])
    assert loop.cancelled()
    client.may_answer.set()
    async with asyncio.timeout(10):
        await asyncio.gather(*queue._handing_back)
    assert [(one["ReceiptHandle"], one["VisibilityTimeout"]) for one in client.given_back] == [
        (f"r-{body}", 0) for body in bodies
    ]
