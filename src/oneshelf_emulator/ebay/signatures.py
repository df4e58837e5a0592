"""The digital signature that eBay asks of sellers domiciled in the EU or the UK, verified.

In: a request, its body. Out: nothing, or Refused 2151xx. Never: signs.
Switch `signatures_required`: this seller is one of them. The key pair is made here, as Key Management's createSigningKey would.
Source: developer.ebay.com/develop/guides/digital-signatures-for-apis (RFC 9421 form), read 2026-11. The numbers within 215000 to 215122
are not published one by one: 215000 stands for a missing part, 215122 for one that does not hold.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import random
import re
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.requests import Request

from ..clock import Clock
from .refused import Refused

INPUT = re.compile(r'sig1=(\((?P<parts>"[^()]+")\);created=(?P<created>\d{10}))')
VALUE = re.compile(r"sig1=:(?P<value>[A-Za-z0-9+/=]+):")
#: How far a signature's time may be from eBay's. Ours: not published.
AGE_S_MAX = 900


class Signatures:
    """The signing key of one application, and what its requests must carry."""

    def __init__(self, clock: Clock, rng: random.Random, switches: Mapping[str, Any]) -> None:
        self.clock = clock
        self.switches = switches
        self._key = Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
        self._jwe = f"eyJ6aXAiOiJERUYi.{rng.getrandbits(64):016x}.emulated"

    def credentials(self) -> dict[str, str]:
        """Return what createSigningKey gave, once; nothing where it is not asked for."""
        if not self.switches["signatures_required"]:
            return {}
        private = self._key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {"signing_jwe": self._jwe, "signing_private_key": base64.b64encode(private).decode()}

    def check(self, request: Request, raw: bytes) -> None:
        """Raise Refused unless the request is signed as the guide asks (or needs no signature here)."""
        if not self.switches["signatures_required"]:
            return
        headers = request.headers
        said, signed = (
            INPUT.fullmatch(headers.get("signature-input", "")),
            VALUE.fullmatch(headers.get("signature", "")),
        )
        if said is None or signed is None or headers.get("x-ebay-signature-key") != self._jwe:
            raise Refused(215000)
        values = {
            "x-ebay-signature-key": self._jwe,
            "@method": request.method,
            "@path": request.url.path,
            "@authority": headers.get("host", ""),
        }
        if raw:
            digest = base64.b64encode(hashlib.sha256(raw).digest()).decode()
            values = {"content-digest": f"sha-256=:{digest}:", **values}
            if headers.get("content-digest") != values["content-digest"]:
                raise Refused(215122)
        parts = said["parts"].split()
        if parts != [f'"{name}"' for name in values]:
            raise Refused(215122)
        if abs(self.clock.now().timestamp() - int(said["created"])) > AGE_S_MAX:
            raise Refused(215122)
        base = "\n".join([*(f'"{name}": {value}' for name, value in values.items()), f'"@signature-params": {said[1]}'])
        try:
            self._key.public_key().verify(base64.b64decode(signed["value"], validate=True), base.encode())
        except (InvalidSignature, binascii.Error, ValueError):
            raise Refused(215122) from None
