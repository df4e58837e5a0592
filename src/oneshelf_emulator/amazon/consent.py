"""Seller Central's consent page: the seller says yes or no, and the browser goes back to the application.

In: the address that an application sent the browser to. Out: a page; then a redirect with spapi_oauth_code, selling_partner_id, state.
Never: trades the code (that is `tokens`).
Source: Amazon pages website-authorization-workflow (parameters both ways) and authorization-errors (MD1000: a draft application without
version=beta; MD5101: a redirect URI that is not the application's), read in excerpts 2026-11. U (unconfirmed): what is shown for other
mistakes, and what comes back after a no; here error=access_denied.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from .marketplace import Amazon

PATH = "/apps/authorize/consent"


class ConsentPage:
    """The page of one seller."""

    def __init__(self, amazon: Amazon) -> None:
        self.amazon = amazon

    def routes(self) -> list[Route]:
        return [Route(PATH, self.show, methods=["GET"]), Route(PATH, self.decide, methods=["POST"])]

    def _problem(self, request: Request) -> str:
        asked = request.query_params
        if asked.get("application_id") != self.amazon.application_id:
            return "MD9000: application_id names no application"
        if not asked.get("state"):
            return "MD9000: state is missing: the application cannot know its own sign-in again"
        address = urlsplit(asked.get("redirect_uri", ""))
        if address.scheme not in ("https", "http") or not address.netloc or address.fragment:
            return "MD5101: redirect_uri is missing or no address"
        if address.scheme == "http" and address.hostname not in ("127.0.0.1", "localhost", "app.test"):
            return "MD5101: redirect_uri must be https"
        draft = self.amazon.switches["application_state"] == "draft"
        if draft is not (asked.get("version") == "beta"):
            return "MD1000: a draft application is authorised with version=beta, a published one without"
        return ""

    async def show(self, request: Request) -> Response:
        """Show the page, or what is wrong with the address."""
        problem = self._problem(request)
        if problem:
            return HTMLResponse(f"<h1>Error</h1><p>{escape(problem)}</p>", 400)
        return HTMLResponse(
            f"<h1>Seller Central</h1><p>Let the application {escape(self.amazon.application_id)} see the account "
            f"{escape(self.amazon.seller_id)}?</p><form method='post'><button name='answer' value='confirm'>Confirm</button> "
            "<button name='answer' value='cancel'>Cancel</button></form>"
        )

    async def decide(self, request: Request) -> Response:
        """Send the browser back with the seller's answer."""
        problem = self._problem(request)
        if problem:
            return HTMLResponse(f"<h1>Error</h1><p>{escape(problem)}</p>", 400)
        asked = request.query_params
        answer = parse_qs((await request.body()).decode(errors="replace")).get("answer", [""])[0]
        back = {"state": asked["state"]}
        if answer == "confirm":
            code = self.amazon.tokens.authorize(asked["redirect_uri"])
            back |= {"selling_partner_id": self.amazon.seller_id, "spapi_oauth_code": code}
        else:
            back["error"] = "access_denied"
        glue = "&" if urlsplit(asked["redirect_uri"]).query else "?"
        return RedirectResponse(f"{asked['redirect_uri']}{glue}{urlencode(back)}", 302)
