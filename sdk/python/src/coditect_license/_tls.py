"""Which certificate authorities are believed, and what is said of a certificate that none of them signed."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from ._errors import ConfigurationError, one_line
from ._forks import no_fork

MOST_BYTES = 16 * 1024 * 1024
"""The most that is read of a file of certificate authorities. Those of a whole system are a quarter of a megabyte."""
_CERTIFICATE = re.compile(r"-----BEGIN (?:X509 )?CERTIFICATE-----.*?-----END (?:X509 )?CERTIFICATE-----", re.DOTALL)
_OWN_FORM = "-----BEGIN TRUSTED CERTIFICATE-----"
"""A certificate with OpenSSL's own words behind it, for what it is trusted, and for what it is not. Read without them,
one that was distrusted would be believed."""

_NOT_PLAIN = (
    "its certificates begin with TRUSTED CERTIFICATE, which only OpenSSL itself reads; "
    "write each as a plain one: openssl x509 -in FILE -out NEW"
)

MakeContext = Callable[[], ssl.SSLContext]
"""Makes a TLS context of what was read before: it only computes."""


def tls_context(verify: Any) -> ssl.SSLContext:  # noqa: ANN401 - checked settings
    """The TLS context of a setting ``verify``. It reads files, which may take as long as their disks do.

    Raises :class:`ConfigurationError` if the file that it names holds no certificates.
    """
    if isinstance(verify, ssl.SSLContext):
        return verify
    if verify is False:
        return unverified_context()
    try:
        make = _system_authorities() if verify is True else _given_authorities(verify)
        with no_fork():  # not while a file is read: every fork would wait for a disk that hangs
            context = make()
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            f"verify: the certificate authorities cannot be read from {verify}: {reason}. It must be a file in PEM."
        ) from error
    _keep_key_log(context)
    return context


def _given_authorities(verify: str) -> MakeContext:
    if os.path.isdir(verify):  # noqa: PTH112 - text, as it was given
        return lambda: _context_of([], verify)
    text = _read_text(verify)
    certificates = _certificates_in(text)
    if not certificates:
        raise ValueError(_NOT_PLAIN if _OWN_FORM in text else "it holds no certificate")
    return lambda: _context_of(certificates)


def _system_authorities() -> MakeContext:
    """The authorities of the operating system, which a company's own are among where it inspects its network.

    The package ``truststore`` asks the system itself, where it is installed. Otherwise OpenSSL's usual places count,
    and on Windows the system's certificate store. A system without any, such as an empty container, gets those of the
    package certifi.
    """
    with contextlib.suppress(Exception):  # not installed, or not for this system
        context: ssl.SSLContext = import_module("truststore").SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return lambda: context
    if sys.platform == "win32":
        return ssl.create_default_context
    paths = ssl.get_default_verify_paths()
    certificates: list[str] = []
    with contextlib.suppress(OSError, ValueError):
        certificates = _certificates_in(_read_text(os.environ.get(paths.openssl_cafile_env, paths.openssl_cafile)))
    directories = os.environ.get(paths.openssl_capath_env, paths.openssl_capath)
    if not certificates and not _has_authorities(paths):
        with contextlib.suppress(Exception):
            certificates = _certificates_in(import_module("certifi").contents())

    def make() -> ssl.SSLContext:
        try:
            return _context_of(certificates, directories)
        except ssl.SSLError:  # one is damaged, which is no reason to believe none of the others
            return _context_of([one for one in certificates if _is_readable(one)], directories)

    return make


def _context_of(certificates: list[str], directories: str = "") -> ssl.SSLContext:
    """A context that believes these authorities, as ``ssl.create_default_context`` makes one, but reads no file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    if certificates:
        context.load_verify_locations(cadata="\n".join(certificates))
    if directories:  # OpenSSL looks into them when it meets a certificate
        context.load_verify_locations(capath=directories)
    return context


def _is_readable(certificate: str) -> bool:
    with contextlib.suppress(ssl.SSLError):
        _context_of([certificate])
        return True
    return False


def _read_text(path: str) -> str:
    with Path(path).open("rb") as file:
        return file.read(MOST_BYTES).decode("latin-1")


def _certificates_in(text: str) -> list[str]:
    """The certificates in a text in PEM, without what stands between them, which may be in any letters."""
    return [one for one in _CERTIFICATE.findall(text) if one.isascii()]


def _keep_key_log(context: ssl.SSLContext) -> None:
    """Write the keys of connections where ``SSLKEYLOGFILE`` says, as Python's own contexts do.

    It is an aid to those who look for a fault, and antivirus programs set it. Where it cannot be written, the
    connections are made without it.
    """
    path = os.environ.get("SSLKEYLOGFILE")
    if path and not sys.flags.ignore_environment:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            context.keylog_filename = path


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


def _has_authorities(paths: ssl.DefaultVerifyPaths) -> bool:
    with contextlib.suppress(OSError):
        return bool(paths.cafile) or bool(paths.capath and os.listdir(paths.capath))  # noqa: PTH208
    return False


def _short(text: str) -> str:
    return f"“{one_line(text[:120])}”"
