"""Alerts arrive: at a real mail server, sealed and not, and at a real receiver of signed calls; and a crash sends one again, recognisably."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.unit.seeding import TENANT

from oneshelf.core.instants import to_us
from oneshelf.db.journal import open_task
from oneshelf.db.sqlite import SqliteStore
from oneshelf.runtime.clock import SystemClock
from oneshelf.runtime.transport import AioHttp
from oneshelf.runtime.writer import Writer
from oneshelf.tenants.seal import Sealer
from oneshelf.watch import alerts
from oneshelf.watch.alert_sending import Mail, Sender

SEALER = Sealer(b"k" * 32)
SENDER = "Shelf <alerts@shelf.example>"


class Postbox:
    """What the mail server took. `says`: its answer to the next letters, "" takes them."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.says = ""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.says:
            return self.says
        letter = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(letter, EmailMessage)
        self.letters.append(letter)
        return "250 OK"


def sign_in(server: Any, session: Any, envelope: Any, mechanism: str, auth: Any) -> AuthResult:
    return AuthResult(success=isinstance(auth, LoginPassword) and auth.password == b"right", handled=False)


@asynccontextmanager
async def mail_server(postbox: Postbox, **how: Any) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(postbox, **how), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.fixture
async def writer(sqlite_migrated: Path, tmp_path: Path) -> AsyncIterator[Writer]:
    path = shutil.copy(sqlite_migrated, tmp_path / "oneshelf.db")
    writer = Writer(SqliteStore(str(path)))
    await asyncio.to_thread(writer.start)
    yield writer
    await asyncio.to_thread(writer.stop)


@pytest.fixture
async def sender(writer: Writer) -> AsyncIterator[Callable[[Mail | None], Sender]]:
    http = AioHttp(allow_private=True)
    yield lambda mail: Sender(TENANT, writer, SystemClock(), http, SEALER, mail, "https://shelf.example")
    await http.close()


async def receiver(writer: Writer, way: str, address: str) -> str:
    step = lambda tx: alerts.add_receiver(  # noqa: E731
        tx, TENANT, way, address, 0, by="m", sealer=SEALER, random_bytes=b"r" * 32, plain_http=True
    )
    return (await writer.do(step))[1]


async def refused(writer: Writer, subject: str = "outlet:7") -> None:
    now = to_us(datetime.now(UTC))
    await writer.do(lambda tx: open_task(tx, TENANT, now, "listing_refused", subject, "A listing refuses “Bécher”"))


async def states(writer: Writer) -> list[tuple[Any, ...]]:
    return await writer.do(lambda tx: tx.all("SELECT state, problem FROM alert_message ORDER BY message_no"))


def certificate(folder: Path) -> ssl.SSLContext:
    """A server of the name localhost, and its certificate in folder/ca.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (folder / "ca.pem").write_bytes(pem)
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


async def test_a_task_arrives_as_an_e_mail_once(writer: Writer, sender: Callable[[Mail | None], Sender]) -> None:
    postbox = Postbox()
    async with mail_server(postbox) as port:
        await receiver(writer, "email", "shop@example.com")
        await refused(writer)
        mine = sender(Mail("127.0.0.1", port, SENDER, "none"))
        assert (await mine.turn(), await mine.turn()) == (1, 0)
    (letter,) = postbox.letters
    assert (letter["From"], letter["To"], letter["Auto-Submitted"]) == (SENDER, "shop@example.com", "auto-generated")
    assert letter["Subject"] == "Oneshelf: To do: A listing refuses “Bécher”"
    assert letter["Message-ID"].endswith("@shelf.example>")
    text = letter.get_content()
    assert "oneshelf listings retry 7" in text and "https://shelf.example/" in text


async def test_the_way_to_the_mail_server_is_sealed_and_its_word_is_checked(
    writer: Writer, sender: Callable[[Mail | None], Sender], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    postbox, context = Postbox(), certificate(tmp_path)
    async with mail_server(postbox, tls_context=context, require_starttls=True, authenticator=sign_in) as port:
        await receiver(writer, "email", "shop@example.com")
        await refused(writer)
        assert await sender(Mail("localhost", port, SENDER, "starttls", "me", "right")).turn() == 0
        assert await states(writer) == [("WAITING", "the mail server can't be used: SSLCertVerificationError")]
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        await writer.do(lambda tx: tx.run("UPDATE alert_message SET due_at = 0"))
        assert await sender(Mail("localhost", port, SENDER, "starttls", "me", "wrong")).turn() == 0
        assert "refuses our user and password" in (await states(writer))[0][1]
        await writer.do(lambda tx: tx.run("UPDATE alert_message SET due_at = 0"))
        assert await sender(Mail("localhost", port, SENDER, "starttls", "me", "right")).turn() == 1
    assert len(postbox.letters) == 1


async def test_a_mail_server_that_is_away_or_refuses_loses_nothing(
    writer: Writer, sender: Callable[[Mail | None], Sender]
) -> None:
    postbox = Postbox()
    await receiver(writer, "email", "shop@example.com")
    await refused(writer)
    assert await sender(None).turn() == 0
    assert "ONESHELF_SMTP_HOST" in (await states(writer))[0][1]
    async with mail_server(postbox) as port:
        postbox.says = "451 come back later"
        mine = sender(Mail("127.0.0.1", port, SENDER, "none"))
        await writer.do(lambda tx: tx.run("UPDATE alert_message SET due_at = 0"))
        assert (await mine.turn(), await mine.turn()) == (0, 0)  # the second is not due yet
        assert await states(writer) == [("WAITING", "the mail server answered 451")]
        postbox.says = ""
        await writer.do(lambda tx: tx.run("UPDATE alert_message SET due_at = 0"))
        assert await mine.turn() == 1
    assert len(postbox.letters) == 1


async def test_killed_before_it_was_recorded_the_letter_comes_again_under_the_same_id(
    writer: Writer, sender: Callable[[Mail | None], Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    postbox = Postbox()
    async with mail_server(postbox) as port:
        await receiver(writer, "email", "shop@example.com")
        await refused(writer)
        mine = sender(Mail("127.0.0.1", port, SENDER, "none"))
        with monkeypatch.context() as killed:

            async def die(*_: Any) -> None:
                raise ConnectionAbortedError

            killed.setattr(mine, "settle", die)
            with pytest.raises(ConnectionAbortedError):
                await mine.turn()
        again = sender(Mail("127.0.0.1", port, SENDER, "none"))
        assert (await again.turn(), await again.turn()) == (1, 0)
    assert len(postbox.letters) == 2
    assert len({letter["Message-ID"] for letter in postbox.letters}) == 1


async def test_a_webhook_is_called_signed_and_again_with_the_same_id(
    writer: Writer, sender: Callable[[Mail | None], Sender]
) -> None:
    calls: list[tuple[dict[str, str], bytes]] = []
    answers = iter([500, 302, 204])

    async def take(request: web.Request) -> web.Response:
        calls.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return web.Response(status=next(answers), headers={"Location": "http://127.0.0.1:9/"})

    site = web.Application()
    site.router.add_post("/hook", take)
    runner = web.AppRunner(site)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        secret = await receiver(writer, "webhook", f"http://127.0.0.1:{runner.addresses[0][1]}/hook")
        await refused(writer)
        taken = []
        for _ in range(3):
            taken.append(await sender(None).turn())
            await writer.do(lambda tx: tx.run("UPDATE alert_message SET due_at = 0"))
    finally:
        await runner.cleanup()
    assert taken == [0, 0, 1]
    assert len({headers["webhook-id"] for headers, _ in calls}) == 1
    for headers, body in calls:  # by the specification's own words, not by our code
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        right = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
        assert headers["webhook-signature"] == f"v1,{base64.b64encode(right).decode()}"
    told = json.loads(calls[0][1])
    assert (told["type"], told["data"]["count"]) == ("tasks.told", 1)
    assert told["data"]["alerts"][0]["command"] == "oneshelf listings retry 7"


async def test_a_webhook_at_a_private_address_is_not_called(writer: Writer) -> None:
    http = AioHttp()
    try:
        await receiver(writer, "webhook", "https://127.0.0.1/hook")
        await refused(writer)
        assert await Sender(TENANT, writer, SystemClock(), http, SEALER, None, "").turn() == 0
        assert "private" in (await states(writer))[0][1]
    finally:
        await http.close()
