"""Session handles and holders in the server's own form. To a client both are opaque.

A handle is the base64url of version, key version, tenant, license number, pool id, seat, session, machine hash, pool
name and the first 16 bytes of an HMAC-SHA-256 over all of it (docs/PROTOCOL.md, section 8).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from .._jws import base64url, unbase64url
from ._test_keys import HANDLE_KEY, HANDLE_KEY_VERSION

_FORM = struct.Struct(">BB16sQ16sI16s32s")
_VERSION = 1
_MAC_BYTES = 16
_MAX_CHARS = 200
_POOL_NAME = re.compile(rb"[a-z0-9-]{1,32}\Z")
_SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

TEST_KEYS: Mapping[int, bytes] = {HANDLE_KEY_VERSION: HANDLE_KEY}


@dataclass(frozen=True)
class HandleContents:
    """What a handle says."""

    tenant: uuid.UUID
    license: str
    pool: str
    pool_id: uuid.UUID
    seat: int
    session: uuid.UUID
    hw: bytes


def mint_handle(contents: HandleContents, version: int = HANDLE_KEY_VERSION, key: bytes = HANDLE_KEY) -> str:
    """The handle with these contents, under a key and its version."""
    body = _FORM.pack(
        _VERSION,
        version,
        contents.tenant.bytes,
        _number_of(contents.license),
        contents.pool_id.bytes,
        contents.seat,
        contents.session.bytes,
        contents.hw,
    )
    body += contents.pool.encode()
    return base64url(body + _mac(key, body))


def open_handle(text: str, keys: Mapping[int, bytes] = TEST_KEYS) -> HandleContents | None:
    """What a handle says; ``None`` for a text that was not made under one of ``keys``, which are named by version."""
    raw = unbase64url(text) if len(text) <= _MAX_CHARS else None
    if raw is None or len(raw) < _FORM.size + 1 + _MAC_BYTES or raw[0] != _VERSION:
        return None
    body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    key = keys.get(body[1])
    name = body[_FORM.size :]
    if key is None or not hmac.compare_digest(_mac(key, body), mac) or not _POOL_NAME.match(name):
        return None
    _, _, tenant, license_, pool_id, seat, session, hw = _FORM.unpack(body[: _FORM.size])
    return HandleContents(
        tenant=uuid.UUID(bytes=tenant),
        license=_text_of(license_),
        pool=name.decode(),
        pool_id=uuid.UUID(bytes=pool_id),
        seat=seat,
        session=uuid.UUID(bytes=session),
        hw=hw,
    )


def holder_of(license_number: str, hardware_id: str, instance_id: str | None = None) -> str:
    """What occupies a seat: the machine, or with ``instance_id`` one process of it. It is the token's ``sub``."""
    digest = hashlib.sha256(b"holder-v1")
    for part in (license_number, hardware_id, *([] if instance_id is None else [instance_id])):
        digest.update(len(part.encode()).to_bytes(4, "big") + part.encode())
    return base64url(digest.digest()[:16])


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.new(key, body, hashlib.sha256).digest()[:_MAC_BYTES]


def _number_of(text: str) -> int:
    number = 0
    for symbol in text:
        number = number << 5 | _SYMBOLS.index(symbol)
    return number


def _text_of(number: int) -> str:
    return "".join(_SYMBOLS[number >> at & 31] for at in range(60, -1, -5))
