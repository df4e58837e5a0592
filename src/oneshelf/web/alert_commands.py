"""Commands about alerts: who is told, and a test."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

from oneshelf.core.instants import to_us
from oneshelf.watch import alerts
from oneshelf.watch.alert_sending import Mail
from oneshelf.wiring import Service


async def run_alert_add(service: Service, payload: dict[str, Any]) -> Any:
    """Keep who is to be told. A webhook's secret is in this answer only."""
    way, mail = str(payload["way"]), Mail.of(service.settings)
    step = partial(
        alerts.add_receiver,
        tenant_id=service.tenant_id,
        way=way,
        address=str(payload["address"]).strip(),
        now=to_us(service.clock.now()),
        by=service.by,
        least=str(payload.get("least") or "warning"),
        quiet=str(payload.get("quiet") or ""),
        timezone=str(payload.get("timezone") or "UTC"),
        sealer=service.sealer,
        random_bytes=secrets.token_bytes(32),
        plain_http=service.settings.allow_private_endpoints,
    )
    number, secret = await service.writer.do(step)
    return {"receiver": number, "way": way, "secret": secret, "mail_server_set": mail is not None}


async def run_alert_remove(service: Service, payload: dict[str, Any]) -> Any:
    """Tell a receiver nothing any more."""
    number, now = int(payload["receiver"]), to_us(service.clock.now())
    await service.writer.do(
        partial(alerts.remove_receiver, tenant_id=service.tenant_id, receiver_no=number, now=now, by=service.by)
    )
    return {"receiver": number, "removed": True}


async def run_alert_test(service: Service, payload: dict[str, Any]) -> Any:
    """Send a receiver a test now, and say whether it was taken. One that was not is not tried again."""
    number, token = int(payload["receiver"]), secrets.token_hex(8)
    message = await service.writer.do(lambda tx: alerts.test_message(tx, service.tenant_id, number, token))
    problem = await service.alert_sender().send(message)
    return {"receiver": number, "taken": not problem, "problem": problem}


COMMANDS = {"alert_add": run_alert_add, "alert_remove": run_alert_remove, "alert_test": run_alert_test}
