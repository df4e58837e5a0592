"""Signatures of what we send to others' webhooks, by Standard Webhooks. Pure: identity, instant, secret and body are arguments.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, "Signature scheme" and
"Webhook headers".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"
#: The specification's bounds of a secret, bytes.
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64


def secret_of(random_bytes: bytes) -> str:
    """Return a secret in the form that is shown to its receiver. Raises ValueError outside 24 to 64 bytes."""
    if not SECRET_BYTES_MIN <= len(random_bytes) <= SECRET_BYTES_MAX:
        raise ValueError(f"a secret has {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes, got {len(random_bytes)}")
    return PREFIX + base64.b64encode(random_bytes).decode()


def headers_for(secrets: Sequence[str], message_id: str, sent_at_s: int, body: bytes) -> dict[str, str]:
    """Return the three headers of one message. Several secrets (while one is being replaced): a signature each, in their order.

    `message_id` is the same at every try of one message; `sent_at_s`: Unix seconds of this try. Raises ValueError on a bad secret.
    """
    signatures = " ".join(f"v1,{_sign(secret, message_id, sent_at_s, body)}" for secret in secrets)
    return {"webhook-id": message_id, "webhook-timestamp": str(sent_at_s), "webhook-signature": signatures}


def _sign(secret: str, message_id: str, sent_at_s: int, body: bytes) -> str:
    if "." in message_id:
        raise ValueError("a message's id holds no full stop: it parts what is signed")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a secret is whsec_ and base64") from None
    content = f"{message_id}.{sent_at_s}.".encode() + body
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
