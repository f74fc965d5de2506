"""What is known of an address without asking anybody."""

from __future__ import annotations

from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""The names under which a machine reaches itself. They are one issuer."""
_PORTS = {"http": 80, "https": 443}
_NOBODYS = (".test", ".invalid", ".localhost", ".example", ".example.com", ".example.net", ".example.org")
"""The ends of the names that no server on a network has (RFC 6761 section 6, RFC 2606)."""


def same_address(one: str, other: str) -> bool:
    """Whether two issuers are one address that is written in two ways, such as ``localhost`` and ``127.0.0.1``."""
    return one == other or (_plain_address(one) is not None and _plain_address(one) == _plain_address(other))


def is_nobodys(address: str) -> bool:
    """Whether only this machine or nobody can answer at this address: it is of tests and examples."""
    plain = _plain_address(address)
    if plain is None:
        return False
    host = plain[1]
    # A name without a dot is completed by the network's search domains, so `test` may be somebody's server.
    return host in LOOPBACK or host.endswith(_NOBODYS) or host in ("example.com", "example.net", "example.org")


def _plain_address(issuer: str) -> tuple[str, str, int, str] | None:
    try:
        parts = urlsplit(issuer)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not host or parts.query or parts.fragment or parts.username is not None:
        return None
    place = "localhost" if host in LOOPBACK else host.removesuffix(".")
    return parts.scheme, place, port or _PORTS[parts.scheme], parts.path.rstrip("/")
