"""Outgoing calls: one request, one answer, or a clear word on whether it may have arrived.

In: Request. Out: Response, or NoAnswer(sent).
Never: follows a redirect, repeats a request that writes, re-encodes a path, keeps cookies, reads proxies from the environment,
calls a private address unless told that it may (addresses come out of answers: F48).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from oneshelf.core.http import NoAnswer, Request, Response

from .clock import Clock, SystemClock

#: Largest answer that is read, bytes (after decompression).
MAX_BODY = 64 * 1024 * 1024
#: Longest wait for a connection (name, TCP, TLS), seconds.
CONNECT_S_MAX = 10.0
#: Longest download of a file that is read line by line, seconds: the reader stores what it reads meanwhile.
DOWNLOAD_S_MAX = 3600.0
#: Connections at once, in all and to one host.
CONNECTIONS_MAX = 200
CONNECTIONS_PER_HOST_MAX = 50

Handler = Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]


class PrivateAddress(OSError):
    """The address is not a public one."""


class _PublicOnly(AbstractResolver):
    """Resolves names, and refuses those that lead to a private address: checked on the very address that is connected to."""

    def __init__(self, inner: AbstractResolver) -> None:
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for one in found:
            if not is_public(one["host"]):
                raise PrivateAddress(f"{host} leads to the private address {one['host']}")
        return found

    async def close(self) -> None:
        await self._inner.close()


def is_public(address: str) -> bool:
    """Return True if this IP address may be called from a server: not loopback, private, link-local, multicast or reserved."""
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


class AioHttp:
    """`Http` over one aiohttp session. Made inside a running event loop; closed by `close`.

    `allow_private`: loopback and private addresses, and plain http, are allowed (emulator, tests). `max_body`: bytes.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        allow_private: bool = False,
        max_body: int = MAX_BODY,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._allow_private = allow_private
        self._max_body = max_body
        inner = resolver or aiohttp.ThreadedResolver()
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(_connected)
        trace.on_connection_reuseconn.append(_connected)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=CONNECTIONS_MAX,
                limit_per_host=CONNECTIONS_PER_HOST_MAX,
                resolver=inner if allow_private else _PublicOnly(inner),
                ttl_dns_cache=30,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            trace_configs=[trace],
            skip_auto_headers=("Content-Type", "User-Agent"),
            headers={"User-Agent": "Oneshelf/0.1 (Language=Python)"},
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def request(self, request: Request) -> Response:
        """Send one request; `timeout_s` is for all of it. Redirects come back as answers.

        Raises NoAnswer: `sent` is False only if no byte of the request can have arrived.
        """
        url = self._checked(request.url)
        reached: dict[str, bool] = {}
        try:
            async with self._session.request(
                request.method,
                url,
                headers=request.headers,
                data=request.body if request.body else None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=request.timeout_s, connect=min(CONNECT_S_MAX, request.timeout_s), ceil_threshold=1e9
                ),
                trace_request_ctx=reached,
                middlewares=(_never_again,) if request.writes else None,
            ) as answer:
                body = await self._body(answer)
                return Response(
                    status=answer.status,
                    headers=_lower(answer.headers.items()),
                    body=body,
                    received_at=self._clock.now(),
                )
        except NoAnswer:
            raise
        except TimeoutError as error:
            sent = bool(reached) and not isinstance(error, aiohttp.ConnectionTimeoutError)
            raise NoAnswer(f"{url.host}: no answer within {request.timeout_s:g} s", sent=sent) from error
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswer(f"{url.host}: {_why(error)}", sent=bool(reached)) from error

    async def lines(self, request: Request, *, line_bytes_max: int, bytes_max: int) -> AsyncIterator[bytes]:
        """As `Http.lines`. Holds one line and what the network had ready, however long the file is. Bounds count what is unpacked."""
        if not request.bare or request.writes:
            raise ValueError(f"{request.operation}: only a bare read is given line by line")
        url = self._checked(request.url)
        reached: dict[str, bool] = {}
        try:
            async with self._session.request(
                request.method,
                url,
                headers=request.headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=DOWNLOAD_S_MAX,
                    connect=min(CONNECT_S_MAX, request.timeout_s),
                    sock_read=request.timeout_s,
                    ceil_threshold=1e9,
                ),
                trace_request_ctx=reached,
            ) as answer:
                if answer.status != 200:
                    raise NoAnswer(f"{url.host}: HTTP {answer.status} instead of the file", sent=True)
                split = _Lines(line_bytes_max, bytes_max, str(url.host))
                async for chunk in answer.content.iter_any():
                    for line in split.add(chunk):
                        yield line
                for line in split.rest():
                    yield line
        except NoAnswer:
            raise
        except TimeoutError as error:
            raise NoAnswer(f"{url.host}: the file did not come within its time", sent=bool(reached)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswer(f"{url.host}: {_why(error)}", sent=bool(reached)) from error

    def _checked(self, address: str) -> URL:
        """Return the address, its path and query exactly as written."""
        try:
            url = URL(address, encoded=True)
            host = url.host
        except ValueError as error:
            raise NoAnswer(f"not an address: {error}", sent=False) from error
        if url.scheme not in ("http", "https") or not host:
            raise NoAnswer("not an address: http(s)://host/… is needed", sent=False)
        if url.user is not None or url.password is not None:
            raise NoAnswer(f"{host}: an address with a user name or password is not called", sent=False)
        if self._allow_private:
            return url
        if url.scheme != "https":
            raise NoAnswer(f"{host}: plain http is not used (ONESHELF_ALLOW_PRIVATE_ENDPOINTS)", sent=False)
        try:
            private = not is_public(host)
        except ValueError:
            return url  # a name: the resolver looks at what it leads to
        if private:
            raise NoAnswer(f"{host} is a private address (ONESHELF_ALLOW_PRIVATE_ENDPOINTS)", sent=False)
        return url

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        """Read the body, at most `max_body` bytes, whatever its headers say."""
        chunks: list[bytes] = []
        size = 0
        async for chunk in answer.content.iter_any():
            size += len(chunk)
            if size > self._max_body:
                answer.close()
                raise NoAnswer(f"{answer.url.host}: the answer is longer than {self._max_body} bytes", sent=True)
            chunks.append(chunk)
        return b"".join(chunks)


class _Lines:
    """Cuts what arrives into lines, within the bounds. Raises NoAnswer beyond them."""

    def __init__(self, line_bytes_max: int, bytes_max: int, host: str) -> None:
        self._line_bytes_max = line_bytes_max
        self._bytes_max = bytes_max
        self._host = host
        self._size = 0
        self._begun = b""

    def add(self, chunk: bytes) -> Iterator[bytes]:
        self._size += len(chunk)
        if self._size > self._bytes_max:
            raise NoAnswer(f"{self._host}: the file is longer than {self._bytes_max} bytes", sent=True)
        *whole, self._begun = (self._begun + chunk).split(b"\n")
        for line in whole:
            yield self._checked(line)
        self._checked(self._begun)

    def rest(self) -> Iterator[bytes]:
        if self._begun:
            yield self._begun

    def _checked(self, line: bytes) -> bytes:
        if len(line) > self._line_bytes_max:
            raise NoAnswer(f"{self._host}: a line is longer than {self._line_bytes_max} bytes", sent=True)
        return line


async def _connected(_session: aiohttp.ClientSession, context: Any, _params: Any) -> None:
    """From here on the request may arrive."""
    reached = getattr(context, "trace_request_ctx", None)
    if reached is not None:
        reached["connected"] = True


async def _never_again(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a PUT or DELETE a second time when a kept-alive connection broke: it may have been done."""
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise  # never connected
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise NoAnswer(f"{request.url.host}: {_why(error)}", sent=True) from error


def _lower(headers: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        name = name.lower()
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _why(error: BaseException) -> str:
    """Return a short reason without the address's path and query (they may hold secrets)."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, PrivateAddress):
        return str(error.os_error)
    if isinstance(error, aiohttp.InvalidURL):
        return "not an address"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer was cut off"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
