"""What lies between this machine and the server: the proxy and the certificate, for ``doctor``."""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
from typing import Any
from urllib.parse import urlsplit

from .._addresses import LOOPBACK
from .._checks import PREFIX
from .lookups import Unreachable

CheckResult = tuple[str, str, str]
SCHEMES = ("http", "https", "socks5", "socks5h")
PROXY_SECONDS = 2.0


def check_proxy(found: dict[str, Any], unreachable: Unreachable | None) -> CheckResult:
    """Which proxy requests go through, and whether it is why the server was not reached."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(str(found.get("server") or "").split(",")[0].strip())
    given = found.get("proxy")
    proxies = getproxies()
    used = str(given) if given else proxies.get(parts.scheme or "https") or proxies.get("all")
    if not used:
        return "proxy", "ok", "none"
    if not given and parts.hostname and _is_bypassed(proxy_bypass, parts.hostname):
        return "proxy", "ok", "there is one, and the license server is reached without it (NO_PROXY)"
    if unreachable is not None:
        problem = _problem_of(used)
        if problem is not None:
            return "proxy", "failed", f"{problem}. Correct --proxy or the variable (ALL_PROXY, HTTPS_PROXY, HTTP_PROXY)"
    detail = f"requests go through {_named(used)}. If the license server is not reached, add it to NO_PROXY"
    return "proxy", "ok" if given and unreachable is None else "warning", detail


def refused_certificate(error: Unreachable) -> str | None:
    """What is said of a certificate that was refused; ``None`` if it was something else."""
    from .._tls import REFUSED_ADVICE

    if error.fault.advice != REFUSED_ADVICE:
        return None
    return f"{error.fault.reason}. {REFUSED_ADVICE}"


def check_certificate(found: dict[str, Any], options: argparse.Namespace) -> CheckResult:
    """How the connection that was made is protected."""
    parts = urlsplit(str(found["server"]).split(",")[0].strip())
    if parts.scheme != "https":
        if parts.hostname in LOOPBACK:
            return "certificate", "ok", "none is needed: the server is on this machine"
        return "certificate", "warning", "the connection is not encrypted: others can read the license key. Use https"
    authorities = found.get("verify") or os.environ.get(f"{PREFIX}VERIFY", "").strip()
    if str(authorities).lower() in ("0", "false", "no", "off"):
        return "certificate", "warning", f"it is not checked, since {PREFIX}VERIFY says so: give --ca-file instead"
    source = "the operating system" if str(authorities).lower() in ("", "1", "true", "yes", "on") else authorities
    return "certificate", "ok", f"trusted by the authorities of {source}"


def _is_bypassed(proxy_bypass: Any, host: str) -> bool:  # noqa: ANN401 - differs between the systems
    with contextlib.suppress(Exception):  # it may ask a resolver
        return bool(proxy_bypass(host))
    return False


def _named(url: str) -> str:
    """A proxy without its scheme, and without its credentials, which stand before the @."""
    return url.rpartition("@")[2].rpartition("://")[2]


def _problem_of(url: str) -> str | None:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port or {"https": 443}.get(parts.scheme, 80)
    except ValueError:
        parts, host, port = urlsplit(""), None, 0
    if parts.scheme not in SCHEMES:
        return f"{parts.scheme}:// is no kind of proxy that can be used: {', '.join(SCHEMES)} are"
    if not host:
        return f"{_named(url)} is no address of a proxy"
    try:
        socket.create_connection((host, port), PROXY_SECONDS).close()
    except OSError as error:
        return f"the proxy {host}:{port} does not answer ({error.strerror or error})"
    return None
