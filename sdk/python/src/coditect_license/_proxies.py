"""Which proxy a request went through, for those who must find out why it got no answer."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

SETTING = "CODITECT_LICENSE_PROXY"
KINDS = ("http", "https", "socks5", "socks5h")
"""The schemes of proxies that can be used."""
_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_GIVEN = "proxy=…"
_SYSTEM = "the settings of the operating system"


class RequestWay:
    """Where the connection of one request leads. It is noted by a trace of httpx, which knows what was really asked."""

    def __init__(self, address: str, given: Any) -> None:  # noqa: ANN401 - a setting proxy, as httpx has it
        self.address: str = address
        self._given: Any = given
        self._connected: tuple[str, int] | None = None

    def note(self, event: str, info: Mapping[str, Any]) -> None:
        """The trace of a client with threads."""
        if event.endswith("connect_tcp.started"):
            with contextlib.suppress(Exception):  # it is for a message, and must not cost the request
                host = info["host"]
                self._connected = (host if isinstance(host, str) else bytes(host).decode("ascii"), int(info["port"]))

    async def note_later(self, event: str, info: Mapping[str, Any]) -> None:
        """The trace of a client for asyncio."""
        self.note(event, info)

    @property
    def proxy(self) -> str | None:
        """The proxy and where it was taken from, as a phrase; ``None`` if none was asked."""
        if self._connected is None or self._connected == _server_of(self.address):
            return None
        host, port = self._connected
        return f"the proxy {f'[{host}]' if ':' in host else host}:{port} (from {self._origin})"

    @property
    def advice(self) -> str:
        """What to do about that proxy."""
        origin = self._origin
        if origin in (_GIVEN, SETTING):
            return f"Check that proxy and {origin}."
        return f"Check that proxy and {origin}. If the license server is reached without one, add it to NO_PROXY."

    def in_words(self) -> str | None:
        """The same in sentences, for an answer that may be that of a proxy; ``None`` if none was asked."""
        return None if self.proxy is None else f"The answer came through {self.proxy}. {self.advice}"

    @property
    def _origin(self) -> str:
        if self._given is not None:
            return SETTING if os.environ.get(SETTING, "").strip() == self._given else _GIVEN
        scheme = _parts_of(self.address).scheme
        return next((name for name, _ in _variables(scheme, "all")), _SYSTEM)


def unusable_proxy() -> tuple[str, str] | None:
    """A proxy of the environment of a kind that cannot be used, as a reason and what to do; ``None`` if none is.

    It fails each request, also those that would not go through it.
    """
    for name, value in _variables("http", "https", "all"):
        parts = _parts_of(value)
        if parts.scheme not in KINDS:
            kinds = ", ".join(f"{kind}://" for kind in KINDS)
            place = parts.netloc.rpartition("@")[2]
            return f"the proxy {place} (from {name}) is of a kind that cannot be used", f"Correct {name}: {kinds} can."
    return None


def _variables(*schemes: str) -> list[tuple[str, str]]:
    """The variables that name a proxy, in the order in which they count: of two spellings the small letters do."""
    names = [spelled for scheme in schemes for spelled in (f"{scheme}_proxy", f"{scheme}_proxy".upper())]
    return [(name, value) for name in names if (value := os.environ.get(name, "").strip())]


def _server_of(address: str) -> tuple[str, int] | None:
    import httpx

    url = httpx.URL(address)
    return url.raw_host.decode("ascii"), url.port or _PORTS.get(url.scheme, 0)


def _parts_of(url: str) -> SplitResult:
    try:
        return urlsplit(url if "://" in url else f"http://{url}")
    except ValueError:
        return urlsplit("http://")
