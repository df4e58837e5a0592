"""The page that a channel sends the merchant back to, and the one that says how far connecting is.

In: the channel's callback. Out: plain pages. Open to any Host, as the doors are: what comes in is believed only by its state.
Never: shows a secret, or who somebody is, to who does not know the state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from oneshelf.channels.contract import NoAnswer
from oneshelf.core.errors import OneshelfError
from oneshelf.core.ids import ChannelName
from oneshelf.onboarding import signing_in
from oneshelf.onboarding.bring_up import bring_up
from oneshelf.onboarding.marketplace import Preview
from oneshelf.tenants.sign_ins import SignInOver, hash_of
from oneshelf.watch.accounts import NAMES
from oneshelf.wiring import SIGN_INS, Service, SignInState, build_channel

log = structlog.get_logger()

#: Below this address the channels send the merchant back.
CALLBACKS = "/connect/"
REFRESH_S = 2
#: So many of the latest steps are shown.
SAID_MAX = 8
#: So many sign-ins are remembered for their page; older ones are forgotten.
REMEMBERED_MAX = 50


#: Makes a page of: title, what was done so far, a text, a command to type.
Page = Callable[[str, Sequence[str], str, str], str]


def routes(service: Service, page: Page) -> list[Route]:
    """Return the routes below CALLBACKS."""

    def answer(
        title: str, text: str, status: int = 200, refresh: str = "", said: Sequence[str] = (), command: str = ""
    ) -> Response:
        headers = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
        if refresh:
            headers["refresh"] = f"{REFRESH_S}; url={refresh}"
        return HTMLResponse(page(title, said, text, command), status, headers=headers)

    def to_state(key: str) -> Response:
        return Response(status_code=303, headers={"location": f"{CALLBACKS}state/{key}", "cache-control": "no-store"})

    async def callback(request: Request) -> Response:
        channel = request.path_params["channel"]
        sign_in = SIGN_INS.get(channel)
        if sign_in is None:
            return answer("There is nothing here.", "No channel of this name sends anybody here.", 404)
        query = dict(request.query_params)
        key = hash_of(query.get("state", ""))
        try:
            entered = await signing_in.finish(service, sign_in, channel, query)
        except (OneshelfError, NoAnswer) as error:
            known = service.sign_ins.get(key)
            if isinstance(error, SignInOver) and known is not None and known.state != "failed":
                return to_state(key)  # the page was loaded twice; what it began goes on
            log.warning("sign_in_failed", channel=channel, problem=type(error).__name__)
            _remember(service, key, SignInState(state="failed", problem=str(error)))
            text = f"{error} Nothing was stored."
            return answer(
                f"{NAMES[channel]} is not connected.", text, 400, command=f"oneshelf channels connect {channel}"
            )
        state = SignInState(state="running", said=[f"{NAMES[channel]}: signed in"])
        _remember(service, key, state)
        service.background(_bring_up(service, entered, state))
        return to_state(key)

    async def state_page(request: Request) -> Response:
        key = request.path_params["key"]
        state = service.sign_ins.get(key)
        if state is None:
            text = "This sign-in is over, or it never began. This shows which accounts are connected:"
            return answer("There is nothing here.", text, 404, command="oneshelf channels list")
        said = state.said[-SAID_MAX:]
        if state.state == "running":
            text = "You may close this page: it goes on by itself."
            return answer("Connecting.", text, refresh=request.url.path, said=said)
        if state.state == "failed":
            text = f"It stopped: {state.problem} What is done stays; connecting again goes on from there."
            return answer("Not all of it worked.", text, said=said)
        before, _, command = state.next.partition(": ")
        return answer("Connected.", f"{before}." if command else before, said=said, command=command)

    return [
        Route("/connect/{channel}/callback", callback),
        Route("/connect/state/{key}", state_page),
    ]


def _remember(service: Service, key: str, state: SignInState) -> None:
    service.sign_ins[key] = state
    while len(service.sign_ins) > REMEMBERED_MAX:  # failed ones first: anybody can make one
        failed = (other for other, one in service.sign_ins.items() if one.state == "failed" and other != key)
        service.sign_ins.pop(next(failed, next(iter(service.sign_ins))))


async def _bring_up(service: Service, entered: signing_in.Entered, state: SignInState) -> None:
    """Go on as if the credentials had been entered by hand; nothing goes live by itself."""

    async def accept(_: Preview) -> bool:
        return False

    try:
        done = await bring_up(
            service,
            entered,
            build=build_channel,
            callback_url=service.callback_url(ChannelName(entered.channel)),
            say=state.said.append,
            accept=accept,
        )
    except asyncio.CancelledError:
        state.state, state.problem = "failed", "the service was stopped."
        raise
    except (OneshelfError, NoAnswer, ValueError) as error:
        state.state, state.problem = "failed", str(error)
        return
    except Exception as error:
        log.exception("bring_up_failed", channel=entered.channel)
        state.state, state.problem = "failed", f"{type(error).__name__}; the log has the cause."
        return
    state.account_id = done.account_id
    state.next = (
        "The shop is live; connect the marketplaces now."
        if done.live
        else f"Nothing is written before you accept what would change: oneshelf channels live {done.account_id}"
    )
    state.state = "done"
