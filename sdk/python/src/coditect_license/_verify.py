"""The offline verification of signed texts, in the order of docs/PROTOCOL.md section 8. Each failure names its check.

Size → ``typ`` → ``alg`` → certificate under a pinned root, valid at ``iat`` → the token's life and grace within the
certificate's → signature → issuer, audience, nonce, machine → times. The server's own reference does the same in the
same order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import _jws
from ._addresses import same_address
from ._errors import VerificationFailed
from ._forks import no_fork
from ._jws import CERTIFICATE, REFUSAL, TOKEN, JwsKind, ParsedJws
from ._roots import RootKey
from ._types import TokenClaims

MAX_CERTIFICATE_LIFE = 24 * 3600
REFUSAL_LIFE = 60
LEEWAY = 60
"""By how many seconds two honest clocks may differ, where only clocks say how old a text is."""
LEEWAY_WITH_NONCE = 24 * 3600
"""By how many seconds this machine's clock may be off where a nonce proves that the text was signed just now.

It is limited, since a stolen instance key could otherwise sign long after its certificate ended."""


@dataclass(frozen=True)
class ExpectedToken:
    """What the client knows beforehand, and what a signed text must therefore say."""

    roots: tuple[RootKey, ...]
    issuer: str
    audience: str
    license: str
    hw: str


@dataclass(frozen=True)
class _InstanceKey:
    """A key of a server instance as a root certified it, with the limits of what it may sign. Times are seconds."""

    kid: str
    key: bytes
    max_token_ttl: int
    max_grace: int


def hw_of(license_number: str, hardware_id: str) -> str:
    """The machine's public hash under one license, which is stored, signed and logged in place of the hardware id."""
    digest = hashlib.sha256(b"hw-v1")
    for part in (license_number.encode(), hardware_id.encode()):
        digest.update(len(part).to_bytes(4, "big") + part)
    return _jws.base64url(digest.digest())


def certificate_kid(certificate: str) -> str:
    """The name of the key a verified certificate is for."""
    return _confirmed_key(_jws.parse(CERTIFICATE, certificate).claims)[0]


def certificate_is_over(certificate: str, now: float) -> bool:
    """Whether a verified certificate ended before ``now`` (Unix seconds): its key signs nothing any more."""
    return float(_jws.parse(CERTIFICATE, certificate).claims["exp"]) < now


def token_kid(token: object) -> str:
    """The name of the key that a token says it is signed by; nothing is verified yet."""
    return _jws.parse(TOKEN, token).kid


def verify_token(
    token: object, certificate: object, expected: ExpectedToken, nonce: str | None, now: float
) -> TokenClaims:
    """The claims of a token that may be believed at ``now`` (Unix seconds).

    With a ``nonce`` the token answers a request made just now, and ``now`` may be a day off; without one it was kept
    from earlier, and its lease or grace must not be over. Raises :class:`VerificationFailed`.
    """
    parsed = _jws.parse(TOKEN, token)
    claims = _token_claims(parsed.claims)
    instance = _instance_key(certificate, expected, claims.iat)
    if not 0 <= claims.exp - claims.iat <= instance.max_token_ttl:
        raise VerificationFailed(TOKEN.name, "ttl")
    if claims.offline_until > max(claims.exp, claims.iat + instance.max_grace):
        raise VerificationFailed(TOKEN.name, "grace")
    _check_signature(TOKEN, parsed, instance)
    _check_equal(TOKEN, "issuer", claims.iss, expected.issuer)
    _check_equal(TOKEN, "audience", claims.aud, expected.audience)
    if nonce is not None:
        _check_equal(TOKEN, "nonce", claims.nonce, nonce)
    _check_equal(TOKEN, "hw", claims.hw, expected.hw)
    # The machine's hash holds the license's number already. It is checked again so that no error can hide behind a
    # hash.
    _check_equal(TOKEN, "license", claims.license, expected.license)
    if nonce is not None:
        _check_signed_now(TOKEN, claims.iat, now)
    else:
        _check_times(claims, now)
    return claims


def verify_refusal(
    refusal: object, certificate: object, expected: ExpectedToken, nonce: str, now: float
) -> Mapping[str, Any]:
    """The claims of a refusal of this request.

    Raises :class:`VerificationFailed`; the server then counts as unreachable.
    """
    parsed = _jws.parse(REFUSAL, refusal)
    claims = parsed.claims
    for name, kind in {"iss": str, "iat": int, "exp": int, "nonce": str, "code": str, "license": str}.items():
        if type(claims.get(name)) is not kind:
            raise VerificationFailed(REFUSAL.name, "form")
    if not isinstance(claims.get("reason", ""), str):
        raise VerificationFailed(REFUSAL.name, "form")
    instance = _instance_key(certificate, expected, claims["iat"])
    if not 0 <= claims["exp"] - claims["iat"] <= REFUSAL_LIFE:
        raise VerificationFailed(REFUSAL.name, "ttl")
    _check_signature(REFUSAL, parsed, instance)
    _check_equal(REFUSAL, "issuer", claims["iss"], expected.issuer)
    _check_equal(REFUSAL, "nonce", claims["nonce"], nonce)
    _check_equal(REFUSAL, "license", claims["license"], expected.license)
    _check_signed_now(REFUSAL, claims["iat"], now)
    return claims


def _instance_key(certificate: object, expected: ExpectedToken, iat: int) -> _InstanceKey:
    """The instance key of a certificate that a pinned root signed and that is valid for a text signed at ``iat``."""
    parsed = _jws.parse(CERTIFICATE, certificate)
    claims = parsed.claims
    for name in ("iat", "nbf", "exp", "max_token_ttl", "max_grace"):
        if type(claims.get(name)) is not int:
            raise VerificationFailed(CERTIFICATE.name, "form")
    kid, key = _confirmed_key(claims)
    root = next((root for root in expected.roots if root.kid == parsed.kid), None)
    if root is None:
        raise VerificationFailed(CERTIFICATE.name, "key")
    if not root.verifies(parsed.signing_input, parsed.signature):
        raise VerificationFailed(CERTIFICATE.name, "signature")
    _check_equal(CERTIFICATE, "issuer", claims.get("iss"), expected.issuer)
    short = claims["exp"] - claims["nbf"] <= MAX_CERTIFICATE_LIFE
    if not short or not claims["nbf"] <= iat < claims["exp"]:
        raise VerificationFailed(CERTIFICATE.name, "validity")
    return _InstanceKey(kid, key, claims["max_token_ttl"], claims["max_grace"])


def _confirmed_key(claims: Mapping[str, Any]) -> tuple[str, bytes]:
    """The name and the bytes of the Ed25519 key that a certificate is for (RFC 7800 section 3.2, RFC 8037)."""
    cnf = claims.get("cnf")
    jwk = cnf.get("jwk") if isinstance(cnf, dict) else None
    if not isinstance(jwk, dict) or jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519":
        raise VerificationFailed(CERTIFICATE.name, "form")
    key = _jws.unbase64url(jwk.get("x"))
    if key is None or len(key) != 32:
        raise VerificationFailed(CERTIFICATE.name, "form")
    return _jws.thumbprint({"crv": "Ed25519", "kty": "OKP", "x": jwk["x"]}), key


def _check_signature(kind: JwsKind, parsed: ParsedJws, instance: _InstanceKey) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if parsed.kid != instance.kid:
        raise VerificationFailed(kind.name, "key")
    try:
        with no_fork():
            Ed25519PublicKey.from_public_bytes(instance.key).verify(parsed.signature, parsed.signing_input)
    except (InvalidSignature, ValueError) as error:
        raise VerificationFailed(kind.name, "signature") from error


def _check_equal(kind: JwsKind, check: str, found: object, wanted: str) -> None:
    if check == "issuer" and isinstance(found, str) and same_address(found, wanted):
        return
    if found != wanted:
        if check in ("issuer", "audience"):
            raise VerificationFailed(kind.name, check, expected=wanted, found=found if isinstance(found, str) else None)
        raise VerificationFailed(kind.name, check)


def _check_signed_now(kind: JwsKind, iat: int, now: float) -> None:
    if now - iat > LEEWAY_WITH_NONCE:
        raise VerificationFailed(kind.name, "expired")
    if iat - now > LEEWAY_WITH_NONCE:
        raise VerificationFailed(kind.name, "not_yet_valid")


def _check_times(claims: TokenClaims, now: float) -> None:
    if claims.iat > now + LEEWAY:
        raise VerificationFailed(TOKEN.name, "not_yet_valid")
    over = now >= max(claims.exp, claims.offline_until)
    if over or (claims.license_exp is not None and now >= claims.license_exp):
        raise VerificationFailed(TOKEN.name, "expired")


_TEXT_CLAIMS = ("iss", "aud", "sub", "jti", "session_id", "license", "tenant", "hw", "tier")
_NUMBER_CLAIMS = ("iat", "exp", "seat", "offline_until", "facts_version")


def _token_claims(raw: Mapping[str, Any]) -> TokenClaims:
    texts = {name: raw.get(name) for name in _TEXT_CLAIMS}
    numbers = {name: raw.get(name) for name in _NUMBER_CLAIMS}
    features, license_exp, nonce = raw.get("features"), raw.get("license_exp"), raw.get("nonce")
    fits = (
        all(isinstance(value, str) for value in texts.values())
        # `True` is an int to Python, and no number in JSON.
        and all(type(value) is int for value in numbers.values())
        and isinstance(features, dict)
        and (license_exp is None or type(license_exp) is int)
        and (nonce is None or isinstance(nonce, str))
    )
    if not fits:
        raise VerificationFailed(TOKEN.name, "form")
    optional = {"license_exp": license_exp, "nonce": nonce}
    return TokenClaims(**texts, **numbers, features=features, **optional)  # type: ignore[arg-type]
