"""The bodies that the test server takes, checked field by field as the real one checks them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

from .. import _jws
from .._errors import InvalidKey
from .._key import LicenseKey, parse_key

FIELDS = {
    "acquire": ("license_key", "hardware_id", "attempt", "instance_id", "pool", "nonce", "client"),
    "heartbeat": ("nonce", "certificate_kid"),
    "release": (),
    "validate": ("license_key", "hardware_id", "instance_id", "pool", "client"),
}
REQUIRED = {"acquire": ("license_key", "hardware_id", "attempt"), "validate": ("license_key",)}
MAX_BODY = 64 * 1024


class BadRequest(Exception):
    """The request is refused before anything is looked up."""

    def __init__(self, status: int, code: str, errors: list[tuple[str, str]]) -> None:
        super().__init__(code)
        self.status, self.code = status, code
        self.members = {"errors": [{"field": name, "problem": problem} for name, problem in errors]} if errors else {}


def read_key(text: str) -> LicenseKey:
    """The key. Raises :class:`ValueError` with the server's words for what is wrong."""
    try:
        return parse_key(text)
    except InvalidKey as error:
        form = "must be CODI- followed by six groups of five letters and digits"
        raise ValueError("mistyped" if "mistyped" in str(error) else form) from error


def _reader(pattern: str, problem: str) -> Callable[[str], object]:
    form = re.compile(pattern)

    def read(text: str) -> str:
        if not form.match(text):
            raise ValueError(problem)
        return text

    return read


def _read_uuid(text: str) -> object:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise ValueError("must be a UUID") from error


_PART = _reader(r"[\x20-\x7e]{8,128}\Z", "must be 8 to 128 printable ASCII characters")
READERS: dict[str, Callable[[str], object]] = {
    "license_key": read_key,
    "hardware_id": _PART,
    "instance_id": _PART,
    "attempt": _read_uuid,
    "pool": _reader(r"\s*[a-z0-9-]{1,32}\s*\Z", "must be 1 to 32 of a-z, 0-9 and -"),
    "nonce": _reader(r"[A-Za-z0-9_-]{16,64}\Z", "must be 16 to 64 base64url characters"),
}


def read_body(verb: str, content: bytes) -> dict[str, Any]:
    """The fields of a request. Raises :class:`BadRequest` that names every field that is wrong."""
    body = _read_object(verb, content)
    unknown = [name for name in body if name not in FIELDS[verb]]
    if unknown:
        raise BadRequest(422, "invalid_request", [(unknown[0], "is not a field of this request")])
    required = REQUIRED.get(verb, ())
    problems = [(name, _problem_of(name, body.get(name), is_required=name in required)) for name in FIELDS[verb]]
    errors = [(name, problem) for name, problem in problems if problem is not None]
    if errors:
        raise BadRequest(422, "invalid_request", errors)
    return body


def _read_object(verb: str, content: bytes) -> dict[str, Any]:
    if len(content) > MAX_BODY:
        raise BadRequest(413, "payload_too_large", [])
    if not content.strip():
        if verb in REQUIRED:
            raise BadRequest(400, "invalid_request", [("body", "is empty; send a JSON object")])
        return {}
    try:
        body = _jws.loads(content)
    except ValueError as error:
        raise BadRequest(400, "invalid_request", [("body", "is not JSON")]) from error
    if not isinstance(body, dict):
        raise BadRequest(422, "invalid_request", [("body", "must be a JSON object")])
    return body


def _problem_of(name: str, value: object, *, is_required: bool) -> str | None:
    """What is wrong with a field, in the server's words; ``None`` if nothing is."""
    if value is None:
        return "is required" if is_required else None
    if name not in READERS:
        return None
    if not isinstance(value, str):
        return "must be a string"
    try:
        READERS[name](value)
    except ValueError as error:
        return str(error)
    return None
