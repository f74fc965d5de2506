"""Which certificate authorities are believed, and what is said of a certificate that none of them signed."""

from __future__ import annotations

import contextlib
import os
import ssl
import sys
from importlib import import_module
from typing import Any

from ._errors import ConfigurationError, one_line


def make_context(verify: Any) -> ssl.SSLContext:  # noqa: ANN401 - checked settings
    """The TLS context of a setting ``verify``. Raises :class:`ConfigurationError` if its file holds no certificates."""
    if isinstance(verify, ssl.SSLContext):
        return verify
    if verify is False:
        return unverified_context()
    if verify is True:
        return system_context()
    try:
        if os.path.isdir(verify):  # noqa: PTH112 - text, as it was given
            return ssl.create_default_context(capath=verify)
        return ssl.create_default_context(cafile=verify)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            f"verify: the certificate authorities cannot be read from {verify}: {reason}. It must be a file in PEM."
        ) from error


def system_context() -> ssl.SSLContext:
    """The authorities of the operating system, which a company's own are among where it inspects its network.

    The package ``truststore`` asks the system itself, where it is installed. Otherwise OpenSSL's usual places count,
    and on Windows the system's certificate store. A system without any, such as an empty container, gets those of the
    package certifi.
    """
    with contextlib.suppress(Exception):  # not installed, or not for this system
        context: ssl.SSLContext = import_module("truststore").SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return context
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"] and not _has_authorities():
        with contextlib.suppress(Exception):
            import certifi

            context.load_verify_locations(cafile=certifi.where())
    return context


def unverified_context() -> ssl.SSLContext:
    """A context that believes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def verification_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """The refused certificate that an exception of httpx comes from, if it does."""
    for _ in range(10):
        if error is None or isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None


def describe_certificate(data: bytes | None) -> str:
    """Whose a certificate is and who signed it, for people; empty if it cannot be read."""
    try:
        from cryptography import x509

        certificate = x509.load_der_x509_certificate(data or b"")
        subject, issuer = (_short(name.rfc4514_string()) for name in (certificate.subject, certificate.issuer))
    except Exception:  # noqa: BLE001 - a certificate of somebody else
        return ""
    return f" of {subject}, signed by {issuer},"


def refused_reason(error: ssl.SSLCertVerificationError, certificate: str) -> str:
    """What came in the server's place, as a phrase."""
    why = str(getattr(error, "verify_message", "") or error)
    return f"the certificate{certificate} that came is not trusted here ({why})"


REFUSED_ADVICE = (
    "If your network inspects encrypted traffic, its certificate authority must be trusted: have it installed in the "
    'operating system, or give its file in PEM as verify="company-ca.pem" (CODITECT_LICENSE_VERIFY). '
    "If not, somebody may be answering in the server's place, or the server's certificate is wrong: tell its operator."
)


def _has_authorities() -> bool:
    if sys.platform == "win32":
        return True
    paths = ssl.get_default_verify_paths()
    with contextlib.suppress(OSError):
        return bool(paths.cafile) or bool(paths.capath and os.listdir(paths.capath))  # noqa: PTH208
    return False


def _short(text: str) -> str:
    return f"“{one_line(text[:120])}”"
