"""How long to wait after failures in a row. Pure."""

from __future__ import annotations

#: Doubled no more often than this: the longest wait is reached long before, and a float holds no more than 2^1023.
_DOUBLED_MAX = 32


def backoff_s(first_s: float, failures: int, most_s: float) -> float:
    """Return the wait after the n-th failure in a row (1 or more): `first_s`, doubled each time, at most `most_s`.
    The unit is the caller's.

    >>> [backoff_s(5.0, n, 300.0) for n in (1, 2, 3, 9, 10_000)]
    [5.0, 10.0, 20.0, 300.0, 300.0]
    """
    return min(most_s, first_s * 2.0 ** min(max(0, failures - 1), _DOUBLED_MAX))
