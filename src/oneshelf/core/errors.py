"""What can go wrong, sorted by what to do about it. The docstring of each exception is its message."""

from __future__ import annotations


class OneshelfError(Exception):
    """Something went wrong."""


class Retry(OneshelfError):
    """The same call may succeed later."""

    def __init__(self, reason: str, *, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class UsedUp(Retry):
    """The channel lets us make no more calls for now; nothing was sent."""


class Closed(Retry):
    """The account is out of service at the channel until its owner puts that right; nothing was done."""


class Park(OneshelfError):
    """This one message or call can't go on by itself; it is kept in sight with its reason and stops nothing else."""


class NotThere(Park):
    """What was named is not there."""


class Stop(OneshelfError):
    """The process can't go on: what happened, and what a person can do."""


class Unreadable(Park):
    """A genuine message that we can't read."""


class SignInAgain(Park):
    """The channel refuses our credentials; a person must connect the account again."""
