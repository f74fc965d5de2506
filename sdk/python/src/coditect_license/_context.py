"""What a client is made of, the same for the sync and the asyncio face: settings checked once, and what flows need to ask a server."""

from __future__ import annotations

import os
import platform
import random
import sys
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from . import _identity as identity
from ._clock import Clock
from ._errors import ConfigurationError, ServerUnreachable
from ._key import parse_key
from ._roots import RootsLike, load_roots
from ._store import TokenStore
from ._verify import Expected, hw_of
from ._wire import Fault, Identity, Reply, Request

T = TypeVar("T")

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Context:
    """Everything about one license on one machine that does not change while a client lives."""

    def __init__(
        self,
        server: str,
        *,
        key: str,
        product: str,
        version: str | None,
        roots: RootsLike | None,
        issuer: str | None,
        pool: str | None,
        hardware_id: str | None,
        instance_id: str | None,
        installation: str | os.PathLike[str] | None,
        project_root: str | os.PathLike[str] | None,
        hostname: str | None,
        deployment: str | None,
        project: str | None,
        user: str | None,
        timeout: float,
        max_retries: int,
        offline: bool,
        cache_dir: str | os.PathLike[str] | None,
        allow_http: bool,
        clock: Clock | None,
        system: identity.System | None = None,
    ) -> None:
        # Settings come from files and variables, and those end with a line.
        product, pool = product.strip(), pool.strip() if pool else pool
        self.server = _address(server, allow_http)
        self.key = parse_key(key)
        self.clock = clock or Clock()
        self.rng = random.Random()  # noqa: S311 - spreads requests over time; nothing secret
        self.timeout, self.max_retries, self.offline = float(timeout), max_retries, offline
        if not self.timeout > 0:
            raise ConfigurationError("timeout must be above 0 seconds.")
        machine = identity.find_machine(system or identity.this_system())
        self.machine = machine
        if hardware_id is None:
            parts = () if installation is None else identity.installation_parts(installation, project_root)
            hardware_id = identity.hardware_id(machine.id, product, *parts)
        self.hardware_id = identity.checked("hardware_id", hardware_id)
        self.hw = hw_of(self.key.number, self.hardware_id)
        self._instance_given = None if instance_id is None else identity.checked("instance_id", instance_id)
        self._instance_needed = False
        self._instance_drawn: str | None = None
        self._roots = roots
        self._expected: Expected | None = None
        self._audience, self._issuer = product, (issuer or "").strip() or self.server
        facts = {
            "product": product,
            "version": version,
            "platform": f"{sys.platform}-{platform.machine().lower()}",
            "hostname": _host_name() if hostname is None else hostname,
            "deployment": _plain(deployment) or machine.deployment,
            "project": project,
            "user": user,
        }
        client = {name: text for name, value in facts.items() if (text := _plain(value))}
        self.identity = Identity(self.key.text, self.hardware_id, pool, client)
        names = (self.key.number, product, pool or "default", self._issuer, self.hw)
        self.store = TokenStore(None if cache_dir is None else Path(cache_dir), *names)
        self.unsettled: deque[str] = deque()
        """Attempts whose outcome is not known: the next start repeats one, and gets the session it may have."""

    @property
    def expected(self) -> Expected:
        """What answers must say. Raises :class:`ConfigurationError` if no root key is pinned; asked for when a client is made."""
        if self._expected is None:
            self._expected = Expected(load_roots(self._roots), self._issuer, self._audience, self.key.number, self.hw)
        return self._expected

    @property
    def instance_id(self) -> str | None:
        """What tells this process from others: as given, else only after a license that counts processes has asked for it."""
        if self._instance_given is not None or not self._instance_needed:
            return self._instance_given
        if self._instance_drawn is None:
            self._instance_drawn = self.machine.instance or f"p-{uuid.uuid4()}"
        return self._instance_drawn

    def need_instance(self) -> bool:
        """Note that the license counts processes; false if that was known, and asking again would change nothing."""
        known = self._instance_given is not None or self._instance_needed
        self._instance_needed = True
        return not known

    def after_fork(self) -> None:
        """Start anew in a child: another process, with its own attempts, its own instance and its own random numbers."""
        self.unsettled.clear()
        self._instance_drawn = None
        self.rng = random.Random()  # noqa: S311 - as above

    def draw_attempt(self) -> str:
        """A new attempt, or one whose outcome is not known."""
        return self.unsettled.popleft() if self.unsettled else str(uuid.uuid4())

    def read(self, answer: Reply | Fault | None, reader: Callable[[Reply], T]) -> T:
        """What an answer grants; raises what it refuses, or :class:`ServerUnreachable` where there is none."""
        if not isinstance(answer, Reply):
            why = answer.why if isinstance(answer, Fault) else "no answer"
            raise ServerUnreachable(f"The license server at {self.server} was not reached: {why}. Check the network and try again.")
        return reader(answer)


def request_headers(request: Request) -> dict[str, str]:
    """The headers of a request."""
    from ._version import __version__

    headers = {
        "Accept": "application/json",
        # Compressed answers could be bombs, and ours are small.
        "Accept-Encoding": "identity",
        "User-Agent": f"coditect-license-client/{__version__} python/{platform.python_version()}",
    }
    if request.session is not None:
        headers["Authorization"] = f"Bearer {request.session}"
    return headers


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers with names in lower case."""
    return {name.lower(): value for name, value in headers.items()}


def _address(server: str, allow_http: bool) -> str:
    try:
        parts = urlsplit(server.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = None, None
    if parts is None or parts.scheme not in ("https", "http") or not host or parts.query or parts.fragment or parts.username:
        raise ConfigurationError(f"{server!r} is no address of a license server: it looks like https://licenses.example.com.")
    if parts.scheme == "http" and host not in _LOOPBACK and not allow_http:
        raise ConfigurationError(
            f"{server} is not encrypted: the license key would be sent in the clear. Use https, or allow_http=True on a trusted network."
        )
    return server.strip().rstrip("/")


def _host_name() -> str:
    import socket

    return socket.gethostname()


def _plain(value: object) -> str | None:
    """A fact about the client as people are shown it: one line of at most 255 characters. It never keeps a program from starting."""
    if value is None:
        return None
    line = "".join(c if c.isprintable() else " " for c in str(value))
    return " ".join(line.split())[:255].strip() or None
