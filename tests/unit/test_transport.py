"""The transport against real sockets: what was sent is what was asked for, once; and whether it may have arrived is told truly."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import ThreadedResolver, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from oneshelf.channels.contract import NoAnswer, Request
from oneshelf.runtime.clock import SystemClock
from oneshelf.runtime.transport import AioHttp, is_public

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """A small site on a free port of loopback. `seen` holds (method, raw path, headers, body) of every request."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append((request.method, request.raw_path, {k.lower(): v for k, v in request.headers.items()}, body))
        path = request.path
        if path == "/redirect":
            return web.Response(status=302, headers={"Location": "/elsewhere"})
        if path == "/slow":
            await asyncio.sleep(5)
        if path == "/huge":
            return web.Response(body=b"x" * 300_000)
        if path == "/endless":
            stream = web.StreamResponse()
            await stream.prepare(request)
            while True:
                await stream.write(b"x" * 65_536)
        if path == "/lines":
            return web.Response(body=b"one\ntwo\n\n" + b"x" * 150_000 + b"\nlast")
        if path == "/export":  # 80 MiB, more than any answer that is read whole
            stream = web.StreamResponse()
            await stream.prepare(request)
            for _ in range(80 * 16):
                await stream.write((b'{"n":1}' + b" " * 1016 + b"\n") * 64)
            await stream.write_eof()
            return stream
        if path == "/cut":
            stream = web.StreamResponse(headers={"Content-Length": "100"})
            await stream.prepare(request)
            await stream.write(b"one\ntwo\n")
            assert request.transport is not None
            request.transport.close()
            return stream
        if path == "/bomb":
            return web.Response(body=gzip.compress(b"\0" * 5_000_000), headers={"Content-Encoding": "gzip"})
        if path == "/cookie":
            return web.Response(headers={"Set-Cookie": "a=b"})
        answer = web.Response(status=201, body=b"made", headers={"X-Amzn-RequestId": "r-1"})
        answer.headers.add("X-Twice", "one")
        answer.headers.add("X-Twice", "two")
        return answer


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    one = Server()
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{tail:.*}", one.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield one
    await runner.cleanup()


@pytest.fixture
async def http() -> AsyncIterator[AioHttp]:
    one = AioHttp(allow_private=True, max_body=200_000)
    yield one
    await one.close()


def ask(url: str, method: str = "GET", **more: object) -> Request:
    return Request(method=method, url=url, operation="test", **more)  # type: ignore[arg-type]


class Raw:
    """A server that does with a connection what it is told to; counts connections and requests (heads read)."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests = 0

    async def start(self, then: Handler) -> str:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            try:
                await then(reader, writer)
            finally:
                writer.close()

        self.server = await asyncio.start_server(serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/"

    async def head(self, reader: asyncio.StreamReader) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1


@pytest.fixture
async def raw() -> AsyncIterator[Raw]:
    one = Raw()
    yield one
    one.server.close()


async def test_an_answer_comes_back_whole(http: AioHttp, server: Server) -> None:
    answer = await http.request(ask(server.url + "/a", "POST", body=b"{}", headers={"X-Mine": "1"}))
    assert (answer.status, answer.body) == (201, b"made")
    assert answer.headers["x-amzn-requestid"] == "r-1"
    assert answer.headers["x-twice"] == "one, two"
    assert answer.received_at.utcoffset() is not None
    method, path, headers, body = server.seen[0]
    assert (method, path, headers["x-mine"], body) == ("POST", "/a", "1", b"{}")


@pytest.mark.parametrize(
    "path",
    [
        "/inventory_item/A%2FB%20C%2B",
        "/orders?next=a%2Fb%3D%3D&x=1+2&y=%7E~%E2%82%AC",
        "/listings/2021-08-01/items/S%23KU%25",
        "/a/%2e%2e/b//c",
    ],
)
async def test_path_and_query_go_out_exactly_as_written(http: AioHttp, server: Server, path: str) -> None:
    await http.request(ask(server.url + path))
    assert server.seen[0][1] == path


async def test_nothing_is_added_that_a_signature_or_a_channel_could_stumble_over(http: AioHttp, server: Server) -> None:
    await http.request(ask(server.url + "/", "POST"))
    await http.request(ask(server.url + "/", "POST", body=b"x", headers={"User-Agent": "Mine/1"}))
    empty, full = server.seen[0][2], server.seen[1][2]
    assert empty["content-length"] == "0"
    assert "content-type" not in empty
    assert "content-type" not in full
    assert (empty["user-agent"], full["user-agent"]) == ("Oneshelf/0.1 (Language=Python)", "Mine/1")


async def test_a_redirect_is_an_answer(http: AioHttp, server: Server) -> None:
    answer = await http.request(ask(server.url + "/redirect"))
    assert (answer.status, answer.headers["location"]) == (302, "/elsewhere")
    assert len(server.seen) == 1


async def test_cookies_are_not_kept(http: AioHttp, server: Server) -> None:
    by_name = server.url.replace("127.0.0.1", "localhost")  # jars keep nothing for bare addresses
    await http.request(ask(by_name + "/cookie"))
    await http.request(ask(by_name + "/cookie"))
    assert "cookie" not in server.seen[1][2]


@pytest.mark.parametrize("path", ["/huge", "/endless", "/bomb"])
async def test_an_answer_without_end_is_given_up_at_the_bound(http: AioHttp, server: Server, path: str) -> None:
    with pytest.raises(NoAnswer, match="longer than 200000 bytes") as caught:
        await http.request(ask(server.url + path))
    assert caught.value.sent is True


async def test_a_timeout_after_sending_may_have_arrived(http: AioHttp, server: Server) -> None:
    started = time.monotonic()
    with pytest.raises(NoAnswer, match=r"no answer within 0.2 s") as caught:
        await http.request(ask(server.url + "/slow", "POST", body=b"x", timeout_s=0.2, writes=True))
    assert caught.value.sent is True
    assert time.monotonic() - started < 2
    assert len(server.seen) == 1


async def test_a_refused_connection_did_not_arrive(http: AioHttp) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    with pytest.raises(NoAnswer) as caught:
        await http.request(ask(url, "POST", writes=True))
    assert caught.value.sent is False


async def test_a_name_that_nobody_knows_did_not_arrive(http: AioHttp) -> None:
    with pytest.raises(NoAnswer) as caught:
        await http.request(ask("http://nobody.invalid/"))
    assert caught.value.sent is False


async def test_a_connection_that_never_comes_about_did_not_arrive(http: AioHttp) -> None:
    """A listener whose queue is full does not take the connection: the time runs out before anything was sent."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        crowd = [socket.socket() for _ in range(4)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        try:
            with pytest.raises(NoAnswer) as caught:
                await http.request(
                    ask(f"http://127.0.0.1:{full.getsockname()[1]}/", "POST", timeout_s=0.3, writes=True)
                )
        finally:
            for one in crowd:
                one.close()
    assert caught.value.sent is False


async def test_a_failed_tls_handshake_did_not_arrive(http: AioHttp, raw: Raw) -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    url = (await raw.start(garbage)).replace("http:", "https:")
    with pytest.raises(NoAnswer) as caught:
        await http.request(ask(url, "POST", writes=True))
    assert caught.value.sent is False


async def test_an_answer_cut_in_its_body_may_have_arrived(http: AioHttp, raw: Raw) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await raw.head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        await writer.drain()

    with pytest.raises(NoAnswer, match="cut off") as caught:
        await http.request(ask(await raw.start(half), "PUT", writes=True))
    assert caught.value.sent is True
    assert raw.requests == 1


async def test_an_answer_that_is_not_http_may_have_arrived(http: AioHttp, raw: Raw) -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await raw.head(reader)
        writer.write(b"\x00\x01 what?\r\n\r\n")
        await writer.drain()

    with pytest.raises(NoAnswer) as caught:
        await http.request(ask(await raw.start(nonsense), "POST", writes=True))
    assert caught.value.sent is True


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
async def test_a_write_on_a_kept_connection_that_broke_is_sent_once(http: AioHttp, raw: Raw, method: str) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await raw.head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await raw.head(reader)  # the second request arrives, is done perhaps, and nothing comes back

    url = await raw.start(once)
    assert (await http.request(ask(url))).status == 200
    with pytest.raises(NoAnswer) as caught:
        await http.request(ask(url, method, writes=True))
    assert caught.value.sent is True
    assert (raw.connections, raw.requests) == (1, 2)


async def test_a_read_on_a_kept_connection_that_broke_is_read_again(http: AioHttp, raw: Raw) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await raw.head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await raw.head(reader)

    url = await raw.start(once)
    assert [(await http.request(ask(url))).status for _ in range(2)] == [200, 200]
    assert raw.connections == 2


# --- where it does not go ----------------------------------------------------------------------------------------------


@pytest.fixture
async def strict() -> AsyncIterator[AioHttp]:
    one = AioHttp()
    yield one
    await one.close()


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:{port}/", "https://[::1]:{port}/", "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:127.0.0.1]/", "https://0.0.0.0:{port}/", "https://192.168.1.1/", "https://[fd00::1]/",
    ],
)  # fmt: skip
async def test_private_addresses_are_not_called(strict: AioHttp, server: Server, url: str) -> None:
    with pytest.raises(NoAnswer, match="private address") as caught:
        await strict.request(ask(url.format(port=server.url.rsplit(":", 1)[1])))
    assert caught.value.sent is False
    assert server.seen == []


@pytest.mark.parametrize("url", ["https://localhost:{port}/", "https://127.1:{port}/", "https://2130706433:{port}/"])
async def test_names_and_odd_spellings_that_lead_to_private_addresses_are_not_called(
    strict: AioHttp, raw: Raw, url: str
) -> None:
    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    port = (await raw.start(note)).rsplit(":", 1)[1].rstrip("/")
    with pytest.raises(NoAnswer) as caught:
        await strict.request(ask(url.format(port=port)))
    assert caught.value.sent is False
    assert raw.connections == 0


async def test_a_name_with_one_private_address_among_public_ones_is_not_called(raw: Raw) -> None:
    class Mixed(ThreadedResolver):
        async def resolve(self, host, port=0, family=socket.AF_INET):  # type: ignore[no-untyped-def]
            row = {"hostname": host, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}
            return [{**row, "host": "127.0.0.1"}, {**row, "host": "93.184.216.34"}]

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    port = (await raw.start(note)).rsplit(":", 1)[1].rstrip("/")
    one = AioHttp(resolver=Mixed())
    try:
        with pytest.raises(NoAnswer, match="leads to the private address 127.0.0.1"):
            await one.request(ask(f"https://rebinding.example:{port}/"))
    finally:
        await one.close()
    assert raw.connections == 0


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.com/", "plain http is not used"),
        ("https://u:p@example.com/", "user name or password"),
        ("https://u@example.com/", "user name or password"),
        ("ftp://example.com/", "not an address"),
        ("//example.com/", "not an address"),
        ("", "not an address"),
        ("https://", "not an address"),
        ("https://[x/", "not an address"),
    ],
)
async def test_what_is_not_a_safe_address_is_not_called(strict: AioHttp, url: str, why: str) -> None:
    with pytest.raises(NoAnswer, match=why) as caught:
        await strict.request(ask(url))
    assert caught.value.sent is False


async def test_reasons_do_not_hold_the_address_with_its_secrets(http: AioHttp) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for url in (
        f"http://127.0.0.1:{port}/?token=hunter2",
        "http://nobody.invalid/?token=hunter2",
        "http://h:x/?token=hunter2",
    ):
        with pytest.raises(NoAnswer) as caught:
            await http.request(ask(url))
        assert "hunter2" not in caught.value.reason


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1::1", True), ("127.0.0.1", False), ("100.64.0.1", False), ("224.0.0.1", False),
        ("::1", False), ("fe80::1%eth0", False), ("::ffff:10.0.0.1", False), ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False),
        ("255.255.255.255", False), ("0.0.0.0", False), ("::", False), ("ff0e::1", False),
    ],
)  # fmt: skip
def test_what_counts_as_public(address: str, public: bool) -> None:
    assert is_public(address) is public


async def test_a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_sent(
    http: AioHttp, tmp_path: Path
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    day = timedelta(days=1)
    now = SystemClock().now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "both.pem"
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(plain + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    read: list[bytes] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        read.append(await reader.read(10))
        writer.close()

    listener = await asyncio.start_server(note, "127.0.0.1", 0, ssl=context)
    try:
        with pytest.raises(NoAnswer, match="(?i)certificate") as caught:
            await http.request(ask(f"https://localhost:{listener.sockets[0].getsockname()[1]}/", "POST", writes=True))
    finally:
        listener.close()
    assert caught.value.sent is False
    assert read in ([], [b""])


# --- files, line by line ------------------------------------------------------------------------------------------------


async def lines(http: AioHttp, url: str, line_max: int = 200_000, whole_max: int = 1_000_000) -> list[bytes]:
    found = http.lines(ask(url, bare=True), line_bytes_max=line_max, bytes_max=whole_max)
    return [line async for line in found]


async def test_a_file_comes_line_by_line(http: AioHttp, server: Server) -> None:
    assert await lines(http, server.url + "/lines") == [b"one", b"two", b"", b"x" * 150_000, b"last"]


@pytest.mark.parametrize(
    ("path", "line_max", "whole_max", "words"),
    (
        ("/lines", 100_000, 1_000_000, "a line is longer than 100000 bytes"),
        ("/lines", 200_000, 100_000, "the file is longer than 100000 bytes"),
        ("/endless", 100_000, 1_000_000_000, "a line is longer"),
        ("/bomb", 100_000, 1_000_000_000, "a line is longer"),
        ("/cut", 100_000, 1_000_000, "the answer was cut off"),
        ("/redirect", 100_000, 1_000_000, "HTTP 302 instead of the file"),
    ),
)
async def test_a_file_beyond_its_bounds_or_cut_is_no_answer(
    http: AioHttp, server: Server, path: str, line_max: int, whole_max: int, words: str
) -> None:
    with pytest.raises(NoAnswer, match=words) as problem:
        await lines(http, server.url + path, line_max, whole_max)
    assert problem.value.sent


async def test_only_a_bare_read_is_given_line_by_line(http: AioHttp, server: Server) -> None:
    for request in (ask(server.url, bare=False), ask(server.url, bare=True, writes=True)):
        with pytest.raises(ValueError, match="bare read"):
            _ = [line async for line in http.lines(request, line_bytes_max=10, bytes_max=10)]
    assert server.seen == []


async def test_a_file_larger_than_any_answer_is_read_in_flat_memory(http: AioHttp, server: Server) -> None:
    """80 MiB through a client whose answers may have 200,000 bytes: what is held at once stays far below that of the file."""
    count = 0
    tracemalloc.start()
    try:
        async for line in http.lines(ask(server.url + "/export", bare=True), line_bytes_max=2048, bytes_max=2**30):
            count += len(line) == 1023
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 80 * 1024
    assert peak < 4 * 2**20, f"{peak / 2**20:.1f} MiB at most"


async def test_a_silent_file_ends(http: AioHttp, server: Server) -> None:
    with pytest.raises(NoAnswer, match="did not come within its time"):
        _ = [
            line
            async for line in http.lines(
                ask(server.url + "/slow", bare=True, timeout_s=0.2), line_bytes_max=10, bytes_max=10
            )
        ]
