"""The requests and replies of docs/API.md. Each request is built here and each reply is read here, without any I/O.

A reader returns what was granted or raises an exception of :mod:`._errors`. What it returns is verified, except
:class:`Validation`, which the server does not sign.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeGuard

from . import _jws
from ._errors import ConfigurationError
from ._exchange import ClientIdentity, Reply, Request, not_from_server, parse_time
from ._refusals import read_holders, read_refusal, whole_seconds
from ._types import Lease, License, TokenClaims, Validation
from ._verify import ExpectedToken, certificate_is_over, certificate_kid, token_kid, verify_token

KNOWN_CERTIFICATES = 16
"""The most certificates that a heartbeat names: one for each instance of the server that answered lately."""


_SESSION = re.compile(rb'"session"\s*:\s*"([!#-\[\]-~]{1,4096})"')


def draw_nonce() -> str:
    """16 random bytes, for one request."""
    return secrets.token_urlsafe(16)


def acquire_request(identity: ClientIdentity, attempt: str, instance_id: str | None) -> Request:
    """Take a seat, join the seat that the machine holds, or get the answer to an earlier attempt again."""
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
    """Show that the session is alive. It names the certificates at hand, so that the reply need not carry one again."""
    nonce = draw_nonce()
    known = " ".join(certificate_kid(it) for it in (lease.certificate, *lease.other_certificates))
    body = {"nonce": nonce, "certificate_kid": known}
    return Request("/api/v1/licenses/heartbeat", body, lease.session, nonce)


def release_request(session: str) -> Request:
    """Give the session back."""
    return Request("/api/v1/licenses/release", {}, session)


def validate_request(identity: ClientIdentity) -> Request:
    """Ask what an acquire would answer now."""
    body: dict[str, Any] = {"license_key": identity.license_key, "hardware_id": identity.hardware_id}
    if "product" in identity.client:
        body["client"] = {"product": identity.client["product"]}
    if identity.pool is not None:
        body["pool"] = identity.pool
    return Request("/api/v1/licenses/validate", body)


def granted_session(reply: Reply) -> str | None:
    """The handle of the session that a reply grants, if it does; nothing is verified.

    It is enough to give the session back, whatever else is wrong with the reply, also where it was cut off.
    """
    if reply.status not in (200, 201):
        return None
    try:
        body = _jws.loads(reply.body)
    except ValueError:
        found = _SESSION.search(reply.body)
        body = {"session": found.group(1).decode("ascii")} if found else None
    session = body.get("session") if isinstance(body, dict) else None
    return session if _is_handle(session) else None


def read_acquire(reply: Reply, request: Request, expected: ExpectedToken, attempt: str, now: float) -> Lease:
    """The lease of a 200 or 201, verified. ``now`` is the wall clock in Unix seconds."""
    body = _granted_body(reply, request, expected, now)
    license_of = body.get("license")
    try:
        license_ = read_license(license_of) if isinstance(license_of, dict) else None
    except (KeyError, TypeError, ValueError):
        license_ = None  # for display only; what counts is signed
    session = body.get("session")
    if not _is_handle(session):
        raise not_from_server("an answer without a session")
    certificate = body.get("certificate")
    claims = _verified_claims(body, certificate, request, expected, now)
    return _lease(reply, body, claims, session=session, attempt=attempt, certificate=certificate, license_=license_)


def read_heartbeat(reply: Reply, request: Request, expected: ExpectedToken, lease: Lease, now: float) -> Lease:
    """The extended lease of a 200, verified."""
    body = _granted_body(reply, request, expected, now)
    known = (lease.certificate, *lease.other_certificates)
    certificate = body["certificate"] if "certificate" in body else _known_certificate(body.get("token"), known)
    claims = _verified_claims(body, certificate, request, expected, now)
    if claims.session_id != lease.session_id:
        raise not_from_server("a lease of another session")
    held, license_ = lease.session, lease.license
    extended = _lease(
        reply, body, claims, session=held, attempt=lease.attempt, certificate=certificate, license_=license_
    )
    others = [it for it in known if it != certificate and not certificate_is_over(it, now)]
    return replace(extended, other_certificates=tuple(others[: KNOWN_CERTIFICATES - 1]))


def read_release(reply: Reply, request: Request, expected: ExpectedToken, now: float) -> datetime:
    """When the session ended."""
    body = _granted_body(reply, request, expected, now)
    try:
        return parse_time(body["released_at"])
    except (KeyError, TypeError, ValueError) as error:
        raise not_from_server("a release without its time") from error


def read_validation(reply: Reply, request: Request, expected: ExpectedToken, now: float) -> Validation:
    """What an acquire would answer now."""
    body = _granted_body(reply, request, expected, now)
    try:
        return Validation(
            license=read_license(body["license"]),
            seats_used=body.get("seats_used"),
            holders=read_holders(body.get("holders", [])),
            has_seat=body.get("has_seat"),
            code=body["code"],
            since=None if body.get("since") is None else parse_time(body["since"]),
            retry_in=whole_seconds(body.get("retry_in")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise not_from_server("an answer without the license") from error


def _is_handle(session: object) -> TypeGuard[str]:
    return isinstance(session, str) and 0 < len(session) <= 4096 and session.isascii() and session.isprintable()


def read_license(raw: Mapping[str, Any]) -> License:
    """The license as a reply describes it. Raises KeyError, TypeError or ValueError if the reply does not."""
    expires_at = raw.get("expires_at")
    return License(
        number=str(raw["number"]),
        product=str(raw["product"]),
        tier=str(raw["tier"]),
        status=str(raw["status"]),
        seats_total=int(raw["seats_total"]),
        seats_used=None if raw.get("seats_used") is None else int(raw["seats_used"]),
        features=dict(raw["features"]),
        expires_at=None if expires_at is None else parse_time(expires_at),
        facts_version=int(raw["facts_version"]),
    )


def _granted_body(reply: Reply, request: Request, expected: ExpectedToken, now: float) -> dict[str, Any]:
    try:
        body = _jws.loads(reply.body)
    except ValueError:
        body = None
    if reply.status in (200, 201) and isinstance(body, dict):
        return body
    if reply.status in (200, 201):
        raise not_from_server("something that is not JSON")
    raise read_refusal(reply, body if isinstance(body, dict) else {}, request, expected, now)


def _known_certificate(token: object, known: tuple[str, ...]) -> str:
    """Which of the certificates at hand is that of the key that signed a token."""
    kid = token_kid(token)
    return next((it for it in known if certificate_kid(it) == kid), known[0])


def _verified_claims(
    body: Mapping[str, Any], certificate: object, request: Request, expected: ExpectedToken, now: float
) -> TokenClaims:
    if request.nonce is None:
        raise ConfigurationError("A lease can only be read with the nonce of its request.")
    return verify_token(body.get("token"), certificate, expected, request.nonce, now)


def _lease(
    reply: Reply,
    body: Mapping[str, Any],
    claims: TokenClaims,
    *,
    session: str,
    attempt: str,
    certificate: object,
    license_: License | None,
) -> Lease:
    # Only the token is signed. The members beside it may shorten the lease and set the pace, and nothing more.
    signed = claims.exp - claims.iat
    lease = min(_seconds_or(body.get("expires_in"), signed), signed)
    pace = min(max(_seconds_or(body.get("heartbeat_in"), lease * 0.3), 0.1), max(lease * 0.5, 0.1))
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


def _seconds_or(value: object, otherwise: float) -> float:
    # `True` is an int to Python, and no number in JSON.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e9:
        return float(otherwise)
    return float(value)
