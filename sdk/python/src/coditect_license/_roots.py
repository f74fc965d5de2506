"""The root public keys that a client pins: RSA-4096 keys from the program, else those built into this package.

What a server publishes at ``/.well-known/license-keys`` is for pinning beforehand. At run time it proves nothing.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._addresses import is_nobodys
from ._errors import ConfigurationError
from ._forks import no_fork
from ._jws import base64url, loads, thumbprint, unbase64url

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

PUBLIC_ROOTS = frozenset(
    {
        "MYp_5Fkwje5YiDPdnlD-Hm1OIOn4Q2xK_D4jsqvHR0k",
        "vmjrU4E03AcmL7lmnnSSC7h_FF7xeP8zc2imxvqKiFc",
    }
)
"""The names of the root keys for tests. Their private halves are published, so everybody signs what they verify."""

RootsLike = Mapping[str, Any] | str | bytes | os.PathLike[str]
"""A JWK set as a mapping, its JSON text, PEM text, or the path of a file with either."""


@dataclass(frozen=True)
class RootKey:
    """One pinned key. Its name is computed from the key and never taken from the text."""

    kid: str
    public: RSAPublicKey

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is this key's over ``message`` (RS256, RFC 7518 section 3.3)."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        try:
            with no_fork():
                self.public.verify(signature, message, PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True


def packaged_text() -> str:
    """The key set that this package was built with. A vendor replaces ``roots.json`` in its own build.

    The loader of the package is asked, since a frozen or zipped program has no such file.
    """
    import pkgutil

    try:
        found = pkgutil.get_data(__name__.rpartition(".")[0], "roots.json")
    except (OSError, ValueError, ImportError):
        found = None  # a frozen program that was built without the package's data
    return found.decode("utf-8") if found else '{"keys": []}'


def is_path(given: RootsLike | None) -> bool:
    """Whether root keys are given as the path of a file, which may take as long to read as a disk does."""
    return isinstance(given, os.PathLike) or (isinstance(given, str) and "{" not in given and "-----" not in given)


def load_roots(given: RootsLike | None) -> tuple[RootKey, ...]:
    """The keys to trust, at least one.

    Raises :class:`ConfigurationError` if there is none, or one is no RSA key of 4096 bits.
    """
    text: str | bytes | Mapping[str, Any]
    if given is None:
        text = packaged_text()
    elif is_path(given):
        try:
            text = Path(given).read_bytes()  # type: ignore[arg-type]
        except (OSError, ValueError, TypeError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise ConfigurationError(
                f"The root keys cannot be read from {str(given)[:200]!r}: {reason}. Check roots=…."
            ) from error
    else:
        text = given  # type: ignore[assignment]
    try:
        keys = _read_keys(text)
    except ImportError as error:  # a frozen program without it, or an interpreter inside an interpreter
        raise ConfigurationError(
            f"The package cryptography cannot be loaded here, so no answer could be verified: {error}. "
            "Install it, or build it into your program."
        ) from error
    if not keys:
        raise ConfigurationError(
            "No root key is pinned, so no answer could be believed. Pass roots=… (the JSON of the server's "
            "/.well-known/license-keys, fetched once and kept in your program), "
            "or build the package with its roots.json filled in."
        )
    return keys


def refuse_public_roots(roots: tuple[RootKey, ...], servers: tuple[str, ...]) -> None:
    """Refuse a key for tests where one of the ``servers`` may be a real one. Raises :class:`ConfigurationError`."""
    public = next((root for root in roots if root.kid in PUBLIC_ROOTS), None)
    real = next((server for server in servers if not is_nobodys(server)), None)
    if public and real:
        raise ConfigurationError(
            f"The root key {public.kid} is a key for tests, and everybody has its private half. Whoever pins it for "
            f"{real} believes everybody. Pin the root keys of that server: check roots=…."
        )


def _read_keys(given: str | bytes | Mapping[str, Any]) -> tuple[RootKey, ...]:
    if isinstance(given, Mapping):
        return _keys_of_jwk_set(given)
    # Windows PowerShell writes files in UTF-16, and Notepad begins them with a mark.
    text = _decoded(given) if isinstance(given, bytes) else given.removeprefix("\ufeff")
    if "-----BEGIN" in text:
        return _keys_of_pem(text)
    try:
        value = loads(text)
    except ValueError as error:
        raise ConfigurationError("The root keys are neither a JWK set nor PEM. Check roots=….") from error
    if not isinstance(value, dict):
        raise ConfigurationError(
            "The root keys are no JWK set: it is a JSON object with a list named keys. Check roots=…."
        )
    return _keys_of_jwk_set(value)


def _decoded(data: bytes) -> str:
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if utf16 else "utf-8-sig", "replace")


def _keys_of_jwk_set(value: Mapping[str, Any]) -> tuple[RootKey, ...]:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    keys = value.get("keys")
    if not isinstance(keys, list):
        raise ConfigurationError(
            "The root keys are no JWK set: it is a JSON object with a list named keys. Check roots=…."
        )
    roots = []
    for jwk in keys:
        n, e = (unbase64url(jwk.get(name)) if isinstance(jwk, Mapping) else None for name in ("n", "e"))
        if not n or not e:
            raise ConfigurationError("A root key is no RSA key with n and e. Check roots=….")
        try:
            public = RSAPublicNumbers(int.from_bytes(e, "big"), int.from_bytes(n, "big")).public_key()
        except ValueError as error:
            raise ConfigurationError("A root key is no usable RSA key. Check roots=….") from error
        roots.append(_root_key(public))
    return tuple(roots)


def _keys_of_pem(text: str) -> tuple[RootKey, ...]:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    roots = []
    for block in text.split("-----BEGIN ")[1:]:
        try:
            public = load_pem_public_key(f"-----BEGIN {block}".encode())
        except ValueError as error:
            raise ConfigurationError("A root key is no PEM public key. Check roots=….") from error
        if not isinstance(public, RSAPublicKey):
            raise ConfigurationError("A root key is no RSA key. Check roots=….")
        roots.append(_root_key(public))
    return tuple(roots)


def _root_key(public: RSAPublicKey) -> RootKey:
    if public.key_size != 4096:
        raise ConfigurationError(f"A root key has {public.key_size} bits; ours have 4096. Check roots=….")
    numbers = public.public_numbers()
    e = base64url(numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8, "big"))
    kid = thumbprint({"e": e, "kty": "RSA", "n": base64url(numbers.n.to_bytes(512, "big"))})
    return RootKey(kid, public)
