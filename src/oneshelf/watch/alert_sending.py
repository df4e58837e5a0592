"""Sends alerts: e-mail by SMTP, or a signed call of a webhook. At least once: a message that was sent and not recorded goes again with the
same Message-ID or webhook-id.

In: messages to send (watch/alerts). Out: what became of each. Tables: none of its own; steps run in the writer.
Never: decides who is told; holds a transaction while it sends; logs an address, a password or a text.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import smtplib
import ssl
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Literal

import msgspec
import structlog

from oneshelf.core.alerts import Message, compose
from oneshelf.core.errors import OneshelfError, Stop
from oneshelf.core.http import Http, NoAnswer, Request
from oneshelf.core.instants import to_us
from oneshelf.core.standard_webhook import headers_for
from oneshelf.db.tx import Tx
from oneshelf.runtime.bell import Bell
from oneshelf.runtime.clock import Clock
from oneshelf.runtime.writer import Writer
from oneshelf.settings import Settings
from oneshelf.tenants.seal import Sealer

from . import alerts
from .alerts import Outgoing

log = structlog.get_logger()

#: How often it is looked what is to be told.
LOOK_EVERY_S = 5.0
#: How long a mail server or a webhook may take for one message.
SEND_S_MAX = 20.0
TEST = Message(
    "Oneshelf: a test",
    "This is a test. Tasks of your shelf will be told here.\n",
    {"count": 0, "alerts": [], "test": True},
)


class Mail(msgspec.Struct, frozen=True):
    """The mail server. `tls`: "starttls", "tls" from the first byte, or "none"."""

    host: str
    port: int
    sender: str
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Mail | None:
        """Return the mail server that was set, or None."""
        if not settings.smtp_host:
            return None
        return cls(
            settings.smtp_host,
            settings.smtp_port,
            settings.smtp_from,
            settings.smtp_tls,
            settings.smtp_user,
            settings.smtp_password,
        )


class Sender:
    """Tells a tenant's receivers what is to be told. One a tenant."""

    def __init__(
        self, tenant_id: int, writer: Writer, clock: Clock, http: Http, sealer: Sealer, mail: Mail | None, base_url: str
    ) -> None:
        self.tenant_id = tenant_id
        self.writer = writer
        self.clock = clock
        self.http = http
        self.sealer = sealer
        self.mail = mail
        self.base_url = base_url

    async def run(self, stop: asyncio.Event) -> None:
        """Look, compose, send, record, until `stop`. Raises Stop when the database can't go on."""
        pause = Bell()
        while not stop.is_set():
            try:
                await self.turn()
            except Stop:
                raise
            except Exception:
                log.exception("alerts_broke")
            await pause.wait(LOOK_EVERY_S, stop)

    async def turn(self) -> int:
        """Send what is due once. Returns how many messages were taken."""
        found = await self.writer.do(self._due)
        taken = 0
        for message in found:
            problem = await self.send(message)
            await self.settle(message, problem)
            taken += not problem
        return taken

    async def settle(self, message: Outgoing, problem: str) -> None:
        """Record what became of a message."""
        if problem:
            log.warning("alert_not_taken", receiver=message.receiver_no, attempts=message.attempts + 1)
        await self.writer.do(lambda tx: alerts.settle(tx, self.tenant_id, message, problem, to_us(self.clock.now())))

    def _due(self, tx: Tx) -> list[Outgoing]:
        if not alerts.anybody(tx, self.tenant_id):
            return []
        now = to_us(self.clock.now())
        alerts.notice(tx, self.tenant_id, now)
        alerts.compose_due(tx, self.tenant_id, now, secrets.token_hex(8))
        return alerts.outgoing(tx, self.tenant_id, now)

    async def send(self, one: Outgoing) -> str:
        """Send one message. Returns "" when it was taken, else why not, in words."""
        message = compose(one.told, one.count, self.base_url) if one.told else TEST
        if one.way == "webhook":
            return await self._call(one, message)
        if self.mail is None:
            return "no mail server is set: ONESHELF_SMTP_HOST and ONESHELF_SMTP_FROM"
        try:
            await asyncio.to_thread(send_mail, self.mail, one, message, self.clock.now())
        except smtplib.SMTPAuthenticationError:
            return "the mail server refuses our user and password (ONESHELF_SMTP_USER, ONESHELF_SMTP_PASSWORD)"
        except smtplib.SMTPRecipientsRefused as refused:
            code = next(iter(refused.recipients.values()))[0] if refused.recipients else 0
            return f"the mail server refuses this address ({code})"
        except smtplib.SMTPResponseException as error:
            return f"the mail server answered {error.smtp_code}"
        except (smtplib.SMTPException, OSError, ssl.SSLError, ValueError) as error:
            return f"the mail server can't be used: {type(error).__name__}"
        return ""

    async def _call(self, one: Outgoing, message: Message) -> str:
        now = self.clock.now()
        body = json.dumps(
            {"type": "tasks.told", "timestamp": now.isoformat(), "data": message.data}, separators=(",", ":")
        ).encode()
        try:
            secret = alerts.secret_for(self.sealer, self.tenant_id, one)
            headers = headers_for([secret], one.message_key, int(now.timestamp()), body)
            answer = await self.http.request(
                Request(
                    "POST",
                    one.address,
                    "alert",
                    headers={"content-type": "application/json", **headers},
                    body=body,
                    timeout_s=SEND_S_MAX,
                    writes=True,
                    bare=True,
                )
            )
        except NoAnswer as error:
            return f"no answer: {error.reason}"
        except OneshelfError as error:
            return str(error)
        return "" if 200 <= answer.status < 300 else f"it answered {answer.status}"


def send_mail(mail: Mail, one: Outgoing, message: Message, at: datetime) -> None:
    """Hand one e-mail to the server; it has taken it when this returns. Raises smtplib.SMTPException, OSError."""
    letter = EmailMessage()
    letter["From"] = mail.sender
    letter["To"] = one.address
    letter["Subject"] = message.headline
    letter["Date"] = format_datetime(at)
    letter["Message-ID"] = f"<{one.message_key}@{parseaddr(mail.sender)[1].rpartition('@')[2] or 'oneshelf'}>"
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(message.text)
    tls = ssl.create_default_context() if mail.tls != "none" else None
    if mail.tls == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(mail.host, mail.port, timeout=SEND_S_MAX, context=tls)
    else:
        server = smtplib.SMTP(mail.host, mail.port, timeout=SEND_S_MAX)
    with server:
        if mail.tls == "starttls":
            server.starttls(context=tls)
        if mail.user:
            server.login(mail.user, mail.password)
        server.send_message(letter)
