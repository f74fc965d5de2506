"""The signatures of the test server: made as the real one makes them, with keys that everybody has."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from .. import _jws
from .._jws import CERTIFICATE, REFUSAL, TOKEN, JwsKind
from ._test_keys import ROOT_PEM

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

BACKDATED = 60
"""By how many seconds a certificate begins before it is made."""
CERTIFICATE_LIFE = 24 * 3600


@cache
def root_key() -> RSAPrivateKey:
    """The private root key of the test server."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    # The check of the key would take a quarter of a second, and the key is a constant.
    key = load_pem_private_key(ROOT_PEM, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError("The root key of the test server is no RSA key. Install this package anew.")
    return key


def public_jwk(root: RSAPrivateKey) -> dict[str, str]:
    """The public half of a root key as clients pin it."""
    numbers = root.public_key().public_numbers()
    e = numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8, "big")
    n = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
    members = {"e": _jws.base64url(e), "kty": "RSA", "n": _jws.base64url(n)}
    return {**members, "alg": "RS256", "use": "sig", "kid": _jws.thumbprint(members)}


def jwk_set() -> dict[str, list[dict[str, str]]]:
    """What a client of the test server pins."""
    return {"keys": [public_jwk(root_key())]}


def sign_jws(header: Mapping[str, Any], claims: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A JWS in compact form with any header and any claims."""
    parts = (json.dumps(part, separators=(",", ":"), ensure_ascii=False).encode() for part in (header, claims))
    text = ".".join(_jws.base64url(part) for part in parts)
    return f"{text}.{_jws.base64url(sign(text.encode()))}"


class InstanceSigner:
    """The key of one instance of the server, and the certificate that a root signed for it.

    ``claims`` are put in place of the certificate's own, for certificates that are wrong. ``seed`` are the 32 bytes of
    the key; without them a new key is drawn.
    """

    def __init__(
        self,
        now: int,
        root: RSAPrivateKey | None = None,
        issuer: str = "https://licenses.test",
        *,
        seed: bytes | None = None,
        **claims: Any,  # noqa: ANN401 - wrong ones too
    ) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        root = root or root_key()
        drawn = Ed25519PrivateKey.generate() if seed is None else Ed25519PrivateKey.from_private_bytes(seed)
        self.key: Ed25519PrivateKey = drawn
        """The private key that signs answers."""
        public = _jws.base64url(self.key.public_key().public_bytes_raw())
        self.jwk: dict[str, str] = {"kty": "OKP", "crv": "Ed25519", "x": public}
        """Its public half (RFC 8037)."""
        self.kid: str = _jws.thumbprint(self.jwk)
        """Its name: the thumbprint of the public half (RFC 7638)."""
        self.expires_at: int = now - BACKDATED + CERTIFICATE_LIFE
        """When its certificate ends, in seconds since 1970."""
        said = {"iss": issuer, "iat": now, "nbf": now - BACKDATED, "exp": self.expires_at, "cnf": {"jwk": self.jwk}}
        said |= {"max_token_ttl": 900, "max_grace": 7 * 24 * 3600} | claims
        header = self._header(CERTIFICATE, public_jwk(root)["kid"])
        self.certificate: str = sign_jws(header, said, lambda text: _sign_rs256(root, text))
        """What the root key signed about it."""

    def token(self, claims: Mapping[str, Any], **header: Any) -> str:  # noqa: ANN401 - wrong ones too
        """A license token with these claims, whatever they are."""
        return sign_jws(self._header(TOKEN, self.kid) | header, claims, self.key.sign)

    def refusal(self, claims: Mapping[str, Any], **header: Any) -> str:  # noqa: ANN401 - wrong ones too
        """A signed refusal with these claims, whatever they are."""
        return sign_jws(self._header(REFUSAL, self.kid) | header, claims, self.key.sign)

    @staticmethod
    def _header(kind: JwsKind, kid: str) -> dict[str, str]:
        return {"alg": kind.alg, "typ": kind.typ, "kid": kid}


def _sign_rs256(root: RSAPrivateKey, text: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    return root.sign(text, PKCS1v15(), SHA256())
