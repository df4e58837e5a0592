"""Secrets at rest: sealed by AES-256-GCM, tied to the row they belong to (I21).

In: bytes and whose they are. Out: sealed bytes, and back.
Never: logs or keeps what it sealed; opens a row that was moved to another account.

A sealed value is: format (1 byte) · key id (8 bytes, of SHA-256 of the key) · nonce (12 bytes, random) · text and tag. The key file
holds one key a line in Base64, the newest first: that one seals, all of them open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from oneshelf.core.errors import Park, Stop

_FORMAT = b"\x01"
_KEY_BYTES = 32
_ID_BYTES = 8
_NONCE_BYTES = 12
_HEAD_BYTES = len(_FORMAT) + _ID_BYTES + _NONCE_BYTES


class KeyMissing(Stop):
    """The key that secrets are sealed with is not there."""


class OtherKey(Stop):
    """This database was sealed with another key."""


class SealBroken(Park):
    """A sealed value was changed, cut, or moved from another row; connect the account again."""


class Sealer:
    """Seals with `key`, opens with `key` and the `older` ones. Keys are 32 random bytes. Usable from several threads."""

    def __init__(self, key: bytes, *older: bytes) -> None:
        for one in (key, *older):
            if len(one) != _KEY_BYTES:
                raise ValueError(f"a key has {_KEY_BYTES} bytes, not {len(one)}")
        self._id = _key_id(key)
        self._by_id = {_key_id(one): AESGCM(one) for one in (*older, key)}

    @classmethod
    def from_file(cls, path: Path) -> Sealer:
        """Read the key file. Raises KeyMissing when there is none, and Stop when it can't be read as one."""
        try:
            lines = path.read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            raise KeyMissing(
                f"The key file {path} is not there. Stored credentials can't be opened without it: put it back from your backup, or "
                "point ONESHELF_KEY_FILE to it. Only for a new, empty installation: make one with `oneshelf key new`."
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise Stop(f"The key file {path} can't be read: {reason}.") from error
        keys = [_decoded(line, path) for line in lines if line.strip() and not line.startswith("#")]
        if not keys:
            raise Stop(f"The key file {path} holds no key. Put it back from your backup.")
        return cls(*keys)

    def seal(self, text: bytes, tenant_id: int, account_id: int, kind: str = "account") -> bytes:
        """Return `text` sealed for this row. The same text never gives the same bytes twice."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        box = self._by_id[self._id].encrypt(nonce, text, _row(tenant_id, account_id, kind))
        return _FORMAT + self._id + nonce + box

    def open(self, sealed: bytes, tenant_id: int, account_id: int, kind: str = "account") -> bytes:
        """Return what was sealed for this row. Raises OtherKey (Stop) and SealBroken (Park)."""
        if len(sealed) <= _HEAD_BYTES or sealed[:1] != _FORMAT:
            raise SealBroken("this is not a sealed value")
        key_id, nonce = sealed[1 : 1 + _ID_BYTES], sealed[1 + _ID_BYTES : _HEAD_BYTES]
        box = self._by_id.get(key_id)
        if box is None:
            raise OtherKey(
                f"This database was sealed with another key (id {key_id.hex()}; the key file has "
                f"{', '.join(sorted(i.hex() for i in self._by_id))}). Put the key file of this database back (ONESHELF_KEY_FILE), or "
                "add its key as a further line. If it is lost, every account has to be connected again."
            )
        try:
            return box.decrypt(nonce, sealed[_HEAD_BYTES:], _row(tenant_id, account_id, kind))
        except InvalidTag:
            raise SealBroken(
                "a sealed value was changed, or belongs to another account; connect the account again"
            ) from None

    def is_current(self, sealed: bytes) -> bool:
        """Return True if the newest key sealed this; else it is time to seal it anew."""
        return sealed[1 : 1 + _ID_BYTES] == self._id


def new_key_file(path: Path) -> Sealer:
    """Make a key file (mode 0600) and return its sealer. Whole or not at all. Raises Stop when one is there already."""
    if not _write_new(path, _line(secrets.token_bytes(_KEY_BYTES))):
        raise Stop(
            f"The key file {path} is there already; it is never overwritten. To change keys: `oneshelf key rotate`."
        )
    return Sealer.from_file(path)


def rotate_key_file(path: Path) -> Sealer:
    """Put a new key on top of an existing key file; the older ones stay and open what they sealed. Raises Stop."""
    Sealer.from_file(path)
    older = path.read_text(encoding="ascii")
    draft = _draft(path, _line(secrets.token_bytes(_KEY_BYTES)) + older)
    try:
        os.replace(draft, path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)
    return Sealer.from_file(path)


def _row(tenant_id: int, account_id: int, kind: str) -> bytes:
    return f"oneshelf credential {tenant_id:d} {account_id:d} {kind}".encode()


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"oneshelf key id " + key).digest()[:_ID_BYTES]


def _line(key: bytes) -> str:
    return base64.b64encode(key).decode("ascii") + "\n"


def _decoded(line: str, path: Path) -> bytes:
    try:
        key = base64.b64decode(line.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _KEY_BYTES:
        raise Stop(
            f"The key file {path} has a line that is not a key of {_KEY_BYTES} bytes in Base64. Put it back from your backup."
        )
    return key


def _write_new(path: Path, text: str) -> bool:
    """Write a file that must not exist yet; return whether it was ours to make."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft(path, text)
    try:
        os.link(draft, path)  # unlike a rename, this fails if somebody else was first
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    _sync_folder(path.parent)
    return True


def _draft(path: Path, text: str) -> Path:
    """Write `text` durably into a file of mode 0600 beside `path`."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it 0600
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
