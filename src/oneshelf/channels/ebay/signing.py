"""The digital signature that eBay asks of sellers domiciled in the EU or the UK when a call moves money.

In: a request that carries `signature-input` (its time), and the account's secret. Out: the request, signed. Pure.
Secret.values: signing_jwe, signing_private_key (PKCS #8, base64 without the PEM lines), both as createSigningKey gave them, once.
Source: developer.ebay.com/develop/guides/digital-signatures-for-apis (RFC 9421 form): Content-Digest, x-ebay-signature-key, @method,
@path, @authority, in this order; Ed25519; read 2026-11.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import datetime
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from oneshelf.channels.contract import Request, Secret
from oneshelf.core.errors import SignInAgain

#: errorIds of a missing or refused signature. Source: the same guide, 403 of domain ACCESS.
REFUSED = range(215000, 215123)


def wanted_at(at: datetime, *, body: bool) -> dict[str, str]:
    """Return the header that names what is to be signed and when; a secret without a key leaves it out again."""
    parts = ["content-digest"] if body else []
    parts += ["x-ebay-signature-key", "@method", "@path", "@authority"]
    named = " ".join(f'"{part}"' for part in parts)
    return {"signature-input": f"sig1=({named});created={int(at.timestamp())}"}


def signed(request: Request, secret: Secret) -> Request:
    """Return the request with its signature, where it asks for one and the secret has a key. Raises SignInAgain on a broken key."""
    asked = request.headers.get("signature-input", "")
    if not asked:
        return request
    headers = {name: value for name, value in request.headers.items() if name != "signature-input"}
    jwe, key = secret.values.get("signing_jwe", ""), secret.values.get("signing_private_key", "")
    if not jwe or not key:
        return msgspec.structs.replace(request, headers=headers)
    address, params = urlsplit(request.url), asked.removeprefix("sig1=")
    values = {
        "x-ebay-signature-key": jwe,
        "@method": request.method,
        "@path": address.path,
        "@authority": address.netloc,
    }
    if request.body:
        digest = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
        values["content-digest"] = headers["content-digest"] = f"sha-256=:{digest}:"
    named = params[1:].partition(")")[0].split()
    base = "\n".join([*(f"{part}: {values[part[1:-1]]}" for part in named), f'"@signature-params": {params}'])
    signature = base64.b64encode(_key(key).sign(base.encode())).decode()
    headers |= {"signature-input": asked, "signature": f"sig1=:{signature}:", "x-ebay-signature-key": jwe}
    return msgspec.structs.replace(request, headers=headers)


def _key(text: str) -> Ed25519PrivateKey:
    try:
        key = load_der_private_key(base64.b64decode(text, validate=True), None)
    except (ValueError, TypeError, binascii.Error) as bad:
        raise SignInAgain("eBay: signing_private_key is no Ed25519 key; enter it as createSigningKey gave it") from bad
    if not isinstance(key, Ed25519PrivateKey):
        raise SignInAgain("eBay: signing_private_key is no Ed25519 key; enter it as createSigningKey gave it")
    return key
