"""The one way in which this emulator of Etsy says no."""

from __future__ import annotations


class Refused(Exception):
    """A request that Etsy answers with an error: `status` and the sentence of the body."""

    def __init__(self, status: int, error: str, description: str | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.description = description
