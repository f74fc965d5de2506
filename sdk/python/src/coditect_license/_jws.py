"""The compact form of a JWS (RFC 7515 section 7.1), read as strictly as the server does.

Nothing is believed yet that is read here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from ._errors import VerificationFailed

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*\Z")


@dataclass(frozen=True)
class JwsKind:
    """A kind of JWS that the server makes.

    It fixes the ``typ``, the algorithm and the greatest size; the text chooses none of them.
    """

    name: str
    typ: str
    alg: str
    max_len: int


TOKEN = JwsKind("license token", "license-token+jwt", "EdDSA", 16 * 1024)
CERTIFICATE = JwsKind("certificate", "license-cert+jwt", "RS256", 4 * 1024)
REFUSAL = JwsKind("refusal", "license-refusal+jwt", "EdDSA", 4 * 1024)


@dataclass(frozen=True)
class ParsedJws:
    """The parts of a JWS whose form was checked and whose signature was not."""

    kid: str
    claims: dict[str, Any]
    signing_input: bytes
    signature: bytes


def parse(kind: JwsKind, text: object) -> ParsedJws:
    """Check the size, the form, ``typ`` and ``alg``, in that order. The signature is still to be checked.

    Raises :class:`VerificationFailed` with the first check that failed.
    """
    if not isinstance(text, str) or not text.isascii():
        raise VerificationFailed(kind.name, "form")
    if len(text) > kind.max_len:
        raise VerificationFailed(kind.name, "size")
    parts = text.split(".")
    header = _json_object(parts[0])
    # Three members and no more: `crit`, `jku`, `jwk`, `b64` … would ask a verifier for something the server never asks.
    if len(parts) != 3 or header is None or set(header) != {"alg", "typ", "kid"}:
        raise VerificationFailed(kind.name, "form")
    if header["typ"] != kind.typ:
        raise VerificationFailed(kind.name, "typ")
    if header["alg"] != kind.alg:
        raise VerificationFailed(kind.name, "algorithm")
    claims, signature = _json_object(parts[1]), unbase64url(parts[2])
    if claims is None or signature is None or not isinstance(header["kid"], str):
        raise VerificationFailed(kind.name, "form")
    return ParsedJws(header["kid"], claims, f"{parts[0]}.{parts[1]}".encode(), signature)


def base64url(data: bytes) -> str:
    """Bytes as base64url without padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unbase64url(text: object) -> bytes | None:
    """The bytes of a canonical base64url text without padding; ``None`` for anything else."""
    if not isinstance(text, str) or not _BASE64URL.match(text) or len(text) % 4 == 1:
        return None
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return data if base64url(data) == text else None


def thumbprint(members: dict[str, str]) -> str:
    """The name of a key: SHA-256 of its required members in lexical order without whitespace (RFC 7638 section 3)."""
    return base64url(hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest())


def loads(text: str | bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The value of untrusted JSON. Raises :class:`ValueError` whatever is wrong with it, deep nesting included."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _json_object(part: str) -> dict[str, Any] | None:
    data = unbase64url(part)
    if data is None:
        return None
    try:
        value = loads(data)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
