"""A broken state: what goes wrong at a marketplace and stays wrong until somebody mends it.

In: a marketplace. Out: the marketplace behaving as the real one does in that state, and back.
Never: tells the client; it finds out by what it is answered.
Each marketplace has its states in a `broken.py` of its own; breaking.py puts them on and off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Broken:
    """One broken state. `begin(marketplace, **how)` returns what `end(marketplace, kept)` needs to put it right.

    What only the client can put right again (a deleted subscription) has an `end` that restores nothing.
    """

    says: str
    begin: Callable[..., Any]
    end: Callable[[Any, Any], Any]


def no_end(marketplace: Any, kept: Any) -> None:
    """Nothing to put right here: the client makes it again, or a person connects anew."""
