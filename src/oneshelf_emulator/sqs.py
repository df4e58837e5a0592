"""A real queue by Amazon's own protocol, for notifications: moto's server in a thread of its own.

In: messages. Out: an endpoint that any SQS client can read. Never: listens beyond `host`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

QUEUE_NAME = "oneshelf-notifications"
REGION = "us-east-1"
#: moto takes any keys; these are what the credentials say.
ACCESS_KEY_ID, SECRET_ACCESS_KEY = "emulator", "emulator"


#: The account that Amazon's notifications come from. Source: page set-up-notifications-with-amazon-sqs, read 2026-11.
AMAZON_ACCOUNT = "437568002678"


def policy(queue_arn: str) -> dict[str, Any]:
    """Return the policy by which a seller lets Amazon write into a queue."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{AMAZON_ACCOUNT}:root"},
                "Action": ["SQS:SendMessage", "SQS:GetQueueAttributes"],
                "Resource": queue_arn,
            }
        ],
    }


class QueueServer:
    """One SQS endpoint with one standard queue. Visibility timeout and retention are SQS's own defaults."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.port = port
        self.url = ""
        self.queue: dict[str, str] = {}
        self._server: Any = None
        self._client: Any = None
        self._urls: dict[str, str] = {}
        self.not_allowed = False

    def start(self) -> None:
        """Start the server and create the queue. Takes a second: moto and boto3 are large."""
        import boto3
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(ip_address=self.host, port=self.port, verbose=False)
        self._server.start()
        _, self.port = self._server.get_host_and_port()
        self.url = f"http://{self.host}:{self.port}"
        self._client = boto3.client(
            "sqs",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY_ID,
            aws_secret_access_key=SECRET_ACCESS_KEY,
        )
        queue_url = self._client.create_queue(QueueName=QUEUE_NAME)["QueueUrl"]
        attributes = self._client.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]
        self._allow(queue_url, attributes["QueueArn"])
        self.queue = {
            "endpoint_url": self.url,
            "queue_url": queue_url,
            "queue_arn": attributes["QueueArn"],
            "region": REGION,
            "access_key_id": ACCESS_KEY_ID,
            "secret_access_key": SECRET_ACCESS_KEY,
        }
        self._urls = {attributes["QueueArn"]: queue_url}

    def stop(self) -> None:
        """Stop the server; the queue and its messages are gone."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def purge(self) -> None:
        """Throw all messages away; the queue is as it should be then."""
        self._set_state("")
        self._client.purge_queue(QueueUrl=self.queue["queue_url"])

    def _allow(self, queue_url: str, arn: str) -> None:
        """Let Amazon's notifications in, as the seller does when setting the queue up."""
        self._client.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": json.dumps(policy(arn))})

    async def set_state(self, state: str) -> None:
        """Delete the queue ("missing"), take its policy away ("not_allowed"), or ("") put it right. Raises ValueError."""
        await asyncio.to_thread(self._set_state, state)

    def _set_state(self, state: str) -> None:
        if state not in ("", "missing", "not_allowed"):
            raise ValueError(f"a queue is missing, not_allowed or as it should be, not {state!r}")
        queue_url, arn = self.queue["queue_url"], self.queue["queue_arn"]
        self.not_allowed = state == "not_allowed"
        if state == "missing":
            self._client.delete_queue(QueueUrl=queue_url)
            return
        self._client.create_queue(QueueName=QUEUE_NAME)  # is there: nothing happens
        if state == "not_allowed":
            self._client.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": ""})
        else:
            self._allow(queue_url, arn)

    async def send(self, queue_arn: str, body: str) -> None:
        """Put one message into the queue of this ARN. Raises if there is none."""
        await asyncio.to_thread(self._send, queue_arn, body)

    def _send(self, queue_arn: str, body: str) -> None:
        if self.not_allowed and queue_arn == self.queue["queue_arn"]:
            raise PermissionError(f"the policy of {queue_arn} does not let Amazon write")
        if queue_arn not in self._urls:  # a queue that the client made on this server
            name = queue_arn.rsplit(":", 1)[-1]
            self._urls[queue_arn] = self._client.get_queue_url(QueueName=name)["QueueUrl"]
        self._client.send_message(QueueUrl=self._urls[queue_arn], MessageBody=body)
