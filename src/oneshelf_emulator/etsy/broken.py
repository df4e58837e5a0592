"""What goes wrong at an Etsy shop and stays wrong: `POST /_emulator/break`.

Each state is made of what Etsy itself does in it: refusals of wire.py and oauth.py, headers of limits.py, documents.
Source: developers.etsy.com essentials/authentication and rate-limits, read 2026-11; region gate: etsy/open-api #1439, #1611, #1681.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..broken import Broken, no_end
from . import oauth

if TYPE_CHECKING:
    from .emulator import Etsy


def _scope_taken(etsy: Etsy, scope: str = "transactions_w") -> str:
    if scope not in oauth.SCOPES:
        raise ValueError(f"Etsy has no scope {scope!r}; known: {', '.join(sorted(oauth.SCOPES))}")
    etsy.tokens.change_scopes(taken=frozenset({scope}))
    return scope


def _switched(name: str, value: Any) -> Broken:
    def begin(etsy: Etsy) -> Any:
        before, etsy.switches[name] = etsy.switches[name], value
        return before

    def end(etsy: Etsy, before: Any) -> None:
        etsy.switches[name] = before

    return Broken(_SAYS[name], begin, end)


_SAYS = {
    "vacation": "the seller has put the shop on vacation: nothing can be bought, the API goes on",
    "region_gate": "the app may not ship through the API: no addresses, no e-mail, 403 on tracking",
}

STATES: dict[str, Broken] = {
    "scope_taken": Broken(
        "the seller's consent lacks a scope (`scope`): 403 insufficient_scope on what needs it",
        _scope_taken,
        lambda etsy, scope: etsy.tokens.change_scopes(given=frozenset({scope})),
    ),
    "refresh_expired": Broken(
        "90 days without a refresh: both tokens have run out, 400 invalid_grant; a new consent ends it",
        lambda etsy: etsy.tokens.expire_all(),
        no_end,
    ),
    "disconnected": Broken(
        "the seller has disconnected the app in the account settings: 401, then 400 invalid_grant; a new consent ends it",
        lambda etsy: etsy.tokens.revoke_all(),
        no_end,
    ),
    "vacation": _switched("vacation", True),
    "no_shipping": _switched("region_gate", True),
    "quota_used_up": Broken(
        "the app's calls of the sliding day are used up but for `left` (0): 429 with retry-after until `frees_in_s` (3600)",
        lambda etsy, left=0, frees_in_s=3600.0: etsy.budget.use_up(int(left), float(frees_in_s)),
        lambda etsy, before: etsy.budget.put_back(before),
    ),
}
