"""Whether a queue's access policy lets the channel write: as AWS writes policies, and as people do."""

from __future__ import annotations

import json

import pytest

from oneshelf.intake.queue_look import allows

AMAZON = "437568002678"
BOTH = ["SQS:SendMessage", "SQS:GetQueueAttributes"]


def policy(principal: object, action: object, effect: str = "Allow") -> str:
    return json.dumps({"Statement": [{"Effect": effect, "Principal": principal, "Action": action, "Resource": "*"}]})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (policy({"AWS": f"arn:aws:iam::{AMAZON}:root"}, BOTH), True),
        (policy({"AWS": AMAZON}, "sqs:*"), True),
        (policy({"AWS": ["111111111111", AMAZON]}, BOTH), True),
        (policy("*", BOTH), True),
        (policy({"AWS": f"arn:aws:iam::{AMAZON}:root"}, "SQS:SendMessage"), False),
        (policy({"AWS": "arn:aws:iam::111111111111:root"}, BOTH), False),
        (policy({"AWS": AMAZON}, BOTH, effect="Deny"), False),
        (json.dumps({"Statement": {"Effect": "Allow", "Principal": {"AWS": AMAZON}, "Action": BOTH}}), True),
        ("", False),
        ("{}", False),
        ("[]", False),
        ("no JSON", False),
    ],
)
def test_a_policy_is_read(text: str, expected: bool) -> None:
    assert allows(text, AMAZON) is expected
