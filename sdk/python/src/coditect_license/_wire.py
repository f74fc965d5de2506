"""The requests and answers of docs/API.md: each is built once and read once, here, without any I/O.

A reader returns what was granted or raises an exception of :mod:`._errors`; nothing it returns is unverified, except :class:`Validation`,
which no answer of the server signs.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from . import _jws, _refusals
from ._errors import ConfigurationError, ServerUnreachable
from ._types import Lease, License, Validation
from ._verify import Expected, certificate_kid, verify_token

MAX_ANSWER = 256 * 1024
"""Bytes of an answer that are read; the server's largest are a tenth of it."""


@dataclass(frozen=True)
class Request:
    """A request to be sent, and what is needed to read its answer."""

    path: str
    body: Mapping[str, Any] | None = field(repr=False)
    session: str | None = field(default=None, repr=False)
    nonce: str | None = None
    method: str = "POST"


@dataclass(frozen=True)
class Reply:
    """An answer, whoever sent it."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str]
    """Names in lower case."""
    sent_at: float
    """When the request was sent, on the monotonic clock."""


@dataclass(frozen=True)
class Fault:
    """No answer: why, for people."""

    why: str


@dataclass(frozen=True)
class Identity:
    """What a client says of itself with every start."""

    license_key: str = field(repr=False)
    hardware_id: str
    pool: str | None
    client: Mapping[str, str]
    instance_id: str | None = None


def draw_nonce() -> str:
    """16 random bytes, for one request."""
    return secrets.token_urlsafe(16)


def acquire_request(identity: Identity, attempt: str, instance_id: str | None) -> Request:
    """Take a seat, join the machine's own, or repeat an answer."""
    nonce = draw_nonce()
    body: dict[str, Any] = {
        "license_key": identity.license_key,
        "hardware_id": identity.hardware_id,
        "attempt": attempt,
        "nonce": nonce,
        "client": dict(identity.client),
    }
    if identity.pool is not None:
        body["pool"] = identity.pool
    if instance_id is not None:
        body["instance_id"] = instance_id
    return Request("/api/v1/licenses/acquire", body, nonce=nonce)


def heartbeat_request(lease: Lease) -> Request:
    """Show that the session is alive. Says which certificate is held, so that the answer need not carry it again."""
    nonce = draw_nonce()
    body = {"nonce": nonce, "certificate_kid": certificate_kid(lease.certificate)}
    return Request("/api/v1/licenses/heartbeat", body, lease.session, nonce)


def release_request(session: str) -> Request:
    """Give the session back."""
    return Request("/api/v1/licenses/release", {}, session)


def validate_request(identity: Identity) -> Request:
    """Ask what an acquire would say."""
    body = {"license_key": identity.license_key, "hardware_id": identity.hardware_id}
    if identity.pool is not None:
        body["pool"] = identity.pool
    return Request("/api/v1/licenses/validate", body)


def read_acquire(reply: Reply, request: Request, expected: Expected, attempt: str, now: float) -> Lease:
    """The lease of a 200 or 201, verified. ``now`` is the wall clock in Unix seconds."""
    body = _granted(reply, request, expected, now)
    license_of = body.get("license")
    try:
        license_ = read_license(license_of) if isinstance(license_of, dict) else None
    except (KeyError, TypeError, ValueError):
        license_ = None  # for display only; what counts is signed
    session = body.get("session")
    if not isinstance(session, str) or not session.isascii() or not session.isprintable():
        raise not_ours("an answer without a session")
    return _lease(reply, body, request, expected, now, session, attempt, body.get("certificate"), license_)


def read_heartbeat(reply: Reply, request: Request, expected: Expected, lease: Lease, now: float) -> Lease:
    """The extended lease of a 200, verified."""
    body = _granted(reply, request, expected, now)
    certificate = body.get("certificate", lease.certificate)
    extended = _lease(reply, body, request, expected, now, lease.session, lease.attempt, certificate, lease.license)
    if extended.session_id != lease.session_id:
        raise not_ours("a lease of another session")
    return extended


def read_release(reply: Reply, request: Request, expected: Expected, now: float) -> datetime:
    """When the session ended."""
    body = _granted(reply, request, expected, now)
    try:
        return moment(body["released_at"])
    except (KeyError, TypeError, ValueError) as error:
        raise not_ours("a release without its time") from error


def read_validation(reply: Reply, request: Request, expected: Expected, now: float) -> Validation:
    """What an acquire would say."""
    body = _granted(reply, request, expected, now)
    try:
        return Validation(
            license=read_license(body["license"]),
            seats_used=body.get("seats_used"),
            holders=_refusals.holders(body.get("holders", [])),
            has_seat=body.get("has_seat"),
            code=body["code"],
            since=None if body.get("since") is None else moment(body["since"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise not_ours("an answer without the license") from error


def read_license(raw: Mapping[str, Any]) -> License:
    """The license as an answer describes it. Raises KeyError, TypeError or ValueError if it does not."""
    expires_at = raw.get("expires_at")
    return License(
        number=str(raw["number"]),
        product=str(raw["product"]),
        tier=str(raw["tier"]),
        status=str(raw["status"]),
        seats_total=int(raw["seats_total"]),
        seats_used=None if raw.get("seats_used") is None else int(raw["seats_used"]),
        features=dict(raw["features"]),
        expires_at=None if expires_at is None else moment(expires_at),
        facts_version=int(raw["facts_version"]),
    )


def moment(text: str) -> datetime:
    """An RFC 3339 time in UTC. Python before 3.11 reads neither a Z nor three to nine decimals by itself."""
    whole, _, rest = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{rest[:6]:0<6}" if rest else whole).replace(tzinfo=timezone.utc)


def not_ours(what: str, retry_after: float | None = None) -> ServerUnreachable:
    """Somebody answered who is not the server, or not well."""
    return ServerUnreachable(
        f"The license server was not reached: its address gave {what}. Check the address, and any proxy on the way.", retry_after
    )


def _granted(reply: Reply, request: Request, expected: Expected, now: float) -> dict[str, Any]:
    try:
        body = _jws.loads(reply.body)
    except ValueError:
        body = None
    if reply.status in (200, 201) and isinstance(body, dict):
        return body
    if reply.status in (200, 201):
        raise not_ours("something that is not JSON")
    raise _refusals.read(reply, body if isinstance(body, dict) else {}, request, expected, now)


def _lease(
    reply: Reply,
    body: Mapping[str, Any],
    request: Request,
    expected: Expected,
    now: float,
    session: str,
    attempt: str,
    certificate: object,
    license_: License | None,
) -> Lease:
    if request.nonce is None:
        raise ConfigurationError("A lease can only be read with the nonce of its request.")
    claims = verify_token(body.get("token"), certificate, expected, request.nonce, now)
    # Only the token is signed. What stands beside it may shorten the lease and pace us, and never more.
    signed = claims.exp - claims.iat
    lease = min(_seconds(body.get("expires_in"), signed), signed)
    pace = min(max(_seconds(body.get("heartbeat_in"), lease * 0.3), 0.1), max(lease * 0.5, 0.1))
    return Lease(
        session=session,
        session_id=claims.session_id,
        seat=claims.seat,
        attempt=attempt,
        sent_at=reply.sent_at,
        expires_in=lease,
        heartbeat_in=pace,
        claims=claims,
        token=str(body["token"]),
        certificate=str(certificate),
        license=license_,
    )


def _seconds(value: object, otherwise: float) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9 else float(otherwise)
