"""What a client is made of, with threads and with asyncio: its checked settings, and what every request needs."""

from __future__ import annotations

import platform
import random
import socket
import sys
import uuid
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from . import _identity as identity
from ._clock import Clock
from ._errors import ConfigurationError, ServerUnreachable
from ._exchange import ClientIdentity, EffectResult, Reply, TransportFault
from ._key import parse_key
from ._roots import load_roots
from ._settings import Settings
from ._store import TokenStore
from ._verify import ExpectedToken, hw_of

T = TypeVar("T")

POLL_SECONDS = 15.0
"""The longest pause between two looks at a full pool."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Context:
    """Everything about one license on one machine that does not change while a client lives."""

    def __init__(self, settings: Settings) -> None:
        """Check the settings. Raises :class:`ConfigurationError` or :class:`InvalidKey`; no request is sent."""
        # Settings come from files and variables, and those end with a line break.
        product, pool = settings.product.strip(), settings.pool.strip() if settings.pool else settings.pool
        self.server = _checked_address(settings.server, settings.allow_http)
        self.key = parse_key(settings.key)
        self.clock = settings.clock or Clock()
        self.rng = random.Random()  # noqa: S311 - spreads requests over time; nothing secret
        self.timeout, self.max_retries, self.offline = float(settings.timeout), settings.max_retries, settings.offline
        if not self.timeout > 0:
            raise ConfigurationError("timeout must be above 0 seconds.")
        self.machine = identity.find_machine(settings.system or identity.this_system())
        self.hardware_id = _hardware_id(settings, product, self.machine)
        self.hw = hw_of(self.key.number, self.hardware_id)
        given = settings.instance_id
        self._instance_given = None if given is None else identity.checked_id("instance_id", given)
        self._instance_needed = False
        self._instance_drawn: str | None = None
        details = _client_details(settings, product, self.machine)
        self.identity = ClientIdentity(self.key.text, self.hardware_id, pool, details)
        issuer = (settings.issuer or "").strip() or self.server
        directory = None if settings.cache_dir is None else Path(settings.cache_dir)
        self.store = TokenStore(directory, self.key.number, product, pool or "default", issuer, self.hw)
        # Loaded here and not at the first reply, so that a program without a pinned key fails on its first day.
        self.expected = ExpectedToken(load_roots(settings.roots), issuer, product, self.key.number, self.hw)
        self.unsettled: deque[str] = deque()
        """Attempts whose outcome is not known. The next start repeats one, and gets the session that it may have made.
        """

    @property
    def instance_id(self) -> str | None:
        """What tells this process from others: the setting, else an id of its own once a license has asked for one."""
        if self._instance_given is not None or not self._instance_needed:
            return self._instance_given
        if self._instance_drawn is None:
            self._instance_drawn = self.machine.instance or f"p-{uuid.uuid4()}"
        return self._instance_drawn

    def require_instance_id(self) -> bool:
        """Note that the license counts processes. False if that was known, so that a repeat would change nothing."""
        known = self._instance_given is not None or self._instance_needed
        self._instance_needed = True
        return not known

    def after_fork(self) -> None:
        """Start anew in a forked child, which needs attempts, an instance id and random numbers of its own."""
        self.unsettled.clear()
        self._instance_drawn = None
        self.rng = random.Random()  # noqa: S311 - as above

    def draw_attempt(self) -> str:
        """An attempt whose outcome is not known, if there is one, else a new one."""
        return self.unsettled.popleft() if self.unsettled else str(uuid.uuid4())

    def read(self, result: EffectResult, reader: Callable[[Reply], T]) -> T:
        """What ``reader`` makes of a reply. Raises :class:`ServerUnreachable` where there is no reply."""
        if isinstance(result, Reply):
            return reader(result)
        reason = result.reason if isinstance(result, TransportFault) else "no answer"
        raise ServerUnreachable(
            f"The license server at {self.server} was not reached: {reason}. Check the network and try again.",
        )

    def retry_pause(self, tries: int, retry_after: float | None) -> float:
        """Seconds before the next try: half a second after the first, doubled with each, and at most 8 s.

        Half to all of it is taken at random. The pause is never shorter than what the server asks for.
        """
        pause: float = min(0.5 * 2.0 ** (tries - 1), 8.0) * self.rng.uniform(0.5, 1.0)
        return max(pause, retry_after or 0.0)

    def poll_pause(self, next_in: int | None) -> float:
        """Seconds before the next look at a full pool: the smaller of ``next_in`` and 15 s, and up to a quarter more.

        The quarter is taken at random. So no client looks before the lease ends, and not all look at once.
        """
        base = POLL_SECONDS if next_in is None else min(float(next_in), POLL_SECONDS)
        return max(base, 0.5) * self.rng.uniform(1.0, 1.25)


def _hardware_id(settings: Settings, product: str, machine: identity.MachineIdentity) -> str:
    if settings.hardware_id is not None:
        return identity.checked_id("hardware_id", settings.hardware_id)
    parts: tuple[str, ...] = ()
    if settings.installation is not None:
        parts = identity.installation_parts(settings.installation, settings.project_root)
    return identity.hardware_id(machine.id, product, *parts)


def _client_details(settings: Settings, product: str, machine: identity.MachineIdentity) -> dict[str, str]:
    """The details that the owner of the license is shown, without those that are not known."""
    details = {
        "product": product,
        "version": settings.version,
        "platform": f"{sys.platform}-{platform.machine().lower()}",
        "hostname": socket.gethostname() if settings.hostname is None else settings.hostname,
        "deployment": _display_text(settings.deployment) or machine.deployment,
        "project": settings.project,
        "user": settings.user,
    }
    return {name: text for name, value in details.items() if (text := _display_text(value))}


def _checked_address(server: str, allow_http: bool) -> str:
    try:
        parts = urlsplit(server.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = None, None
    usable = parts is not None and parts.scheme in ("https", "http") and host
    if parts is None or not usable or parts.query or parts.fragment or parts.username:
        raise ConfigurationError(
            f"{server!r} is no address of a license server: it looks like https://licenses.example.com."
        )
    if parts.scheme == "http" and host not in _LOOPBACK and not allow_http:
        raise ConfigurationError(
            f"{server} is not encrypted: the license key would be sent in the clear. "
            "Use https, or allow_http=True on a trusted network."
        )
    return server.strip().rstrip("/")


def _display_text(value: object) -> str | None:
    """A detail about the client as people are shown it: one line of at most 255 characters.

    It changes what cannot be shown instead of refusing it, since a detail must never keep a program from starting.
    """
    if value is None:
        return None
    line = "".join(c if c.isprintable() else " " for c in str(value))
    return " ".join(line.split())[:255].strip() or None
