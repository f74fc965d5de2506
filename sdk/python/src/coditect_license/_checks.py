"""Settings as they were given, here or in the environment, and what a client may rely on.

What is wrong is a :class:`ConfigurationError` that names the setting.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from . import _identity as identity
from ._addresses import LOOPBACK
from ._clock import Clock
from ._errors import ConfigurationError
from ._settings import NOT_GIVEN, Settings

T = TypeVar("T")

PREFIX = "CODITECT_LICENSE_"
NEVER_IN_ENVIRONMENT = ("version", "installation", "project_root", "clock", "system")
"""What only the program itself can say."""
_SWITCHES = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)
"""What a variable may say that means yes or no."""
_PROXIES = ("http", "https", "socks5", "socks5h")


@dataclass(frozen=True)
class CheckedSettings:
    """Settings of which each can be used as it stands."""

    servers: tuple[str, ...]
    key: str
    product: str
    roots: Any
    issuer: str
    pool: str | None
    hardware_id: str | None
    instance_id: str | None
    installation: str | None
    project_root: str | None
    shown: Mapping[str, object]
    """What is only shown: it is changed where it cannot be shown, and never refused."""
    timeout: float
    max_retries: float
    offline: bool
    cache_dir: Path | None
    verify: Any
    proxy: Any
    clock: Clock
    system: identity.MachineSources


def checked(given: Settings, env: Mapping[str, str] | None = None) -> CheckedSettings:
    """The settings, each from the program, else from the environment, else its default.

    Raises :class:`ConfigurationError`. No file is read and nothing is asked.
    """
    found = _Found(given, os.environ if env is None else env)
    allow_http = found.switch("allow_http", False)
    servers = found.servers(allow_http)
    issuer = found.text("issuer")
    for part in ("installation", "project_root"):
        if given.hardware_id is not None and getattr(given, part) is not None:
            refuse_both("hardware_id", part, "a hardware_id is sent as it is.")
    clock, system = found.value("clock"), found.value("system")
    if clock is not None and not (callable(getattr(clock, "monotonic", 0)) and callable(getattr(clock, "wall", 0))):
        found.refuse("clock", "must be a coditect_license.Clock")
    if system is not None and not isinstance(system, identity.MachineSources):
        found.refuse("system", "must be None, or the sources that a test describes")
    return CheckedSettings(
        servers=servers,
        key=found.required("key"),
        product=found.required("product"),
        roots=found.roots(),
        issuer=issuer or servers[0],
        pool=found.text("pool"),
        hardware_id=found.id("hardware_id"),
        instance_id=found.id("instance_id"),
        installation=found.path("installation"),
        project_root=found.path("project_root"),
        shown={name: found.value(name) for name in ("version", "hostname", "deployment", "project", "user")},
        timeout=found.seconds("timeout", 10.0),
        max_retries=found.count("max_retries", 2),
        offline=found.switch("offline", True),
        cache_dir=None if (directory := found.path("cache_dir")) is None else Path(directory),
        verify=found.verify(),
        proxy=found.proxy(),
        clock=clock or Clock(),
        system=system or identity.this_system(),
    )


def seconds_or_refuse(name: str, value: object) -> float:
    """A number of seconds, 0 or more; infinity for ``None``. Raises :class:`ConfigurationError`."""
    if value is None:
        return math.inf
    number = number_of(value)
    if number is None or not number >= 0:
        raise ConfigurationError(f"{name} must be a number of seconds, 0 or more, and not {_named(value)}.")
    return number


def switch_or_refuse(name: str, value: object) -> bool:
    """True or False. Raises :class:`ConfigurationError`."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False, and not {_named(value)}.")
    return value


def callback_or_refuse(name: str, value: T) -> T:
    """A function or ``None``. Raises :class:`ConfigurationError`."""
    if value is not None and not callable(value):
        raise ConfigurationError(f"{name} must be a function, and not {_named(value)}.")
    return value


def refuse_both(one: str, other: str, why: str) -> NoReturn:
    """Refuse two arguments of which one would be ignored. Raises :class:`ConfigurationError` that names both."""
    raise ConfigurationError(f"{one} and {other} were both given, but {why} Leave one of them out.")


def refuse_ignored_ways(given: Settings, transport: object, http_client: object) -> None:
    """Refuse what would be ignored beside a way to the server of the program's own.

    What the environment says is no part of it: a program's own way is above it.
    """
    own = "http_client" if http_client is not None else "transport" if transport is not None else None
    if http_client is not None and transport is not None:
        refuse_both("transport", "http_client", "an http_client has a transport of its own.")
    if own is not None and given.proxy is not None:
        refuse_both("proxy", own, f"the way to the server is that of the {own}.")
    if own is not None and given.verify is not NOT_GIVEN:
        refuse_both("verify", own, f"certificates are checked by the {own}.")


class _Found:
    """The settings by their names, and where each came from."""

    def __init__(self, given: Settings, env: Mapping[str, str]) -> None:
        self._given, self._env = given, env

    def value(self, name: str) -> Any:  # noqa: ANN401 - not checked yet
        value = getattr(self._given, name)
        if value is not None and value is not NOT_GIVEN:
            return value
        if value is None and getattr(type(self._given), name, None) is NOT_GIVEN:
            return None  # said by the program, where it means "for ever"
        return self._variable(name) or value

    def refuse(self, name: str, wish: str) -> NoReturn:
        value = getattr(self._given, name)
        origin = f" (from {PREFIX}{name.upper()})" if value is None or value is NOT_GIVEN else ""
        found = "" if name == "key" else f", and not {_named(self.value(name))}"
        raise ConfigurationError(f"{name}{origin} {wish}{found}.")

    def text(self, name: str) -> str | None:
        value = self.value(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.refuse(name, "must be a text")
        # Settings come from files and variables, and those end with a line break.
        line = value.strip()
        if not line:
            self.refuse(name, "must not be empty")
        if not _can_be_sent(line):
            self.refuse(name, "must be a text of one line without control characters")
        return line

    def required(self, name: str) -> str:
        value = self.value(name)
        if value is None:
            _missing(name)
        if name == "key" and isinstance(value, str):
            return value  # read as it was pasted, and judged by what it says
        return self.text(name) or _missing(name)

    def id(self, name: str) -> str | None:
        value = self.value(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.refuse(name, "must be a text")
        return identity.checked_id(name, value)

    def servers(self, allow_http: bool) -> tuple[str, ...]:
        value = self.value("server")
        if value is None:
            _missing("server")
        if isinstance(value, str):
            # No address holds a comma, so several can stand in one variable.
            value = [part for part in value.split(",") if part.strip()] or [value]
        if not isinstance(value, Sequence) or isinstance(value, (bytes, bytearray)) or not value:
            self.refuse("server", "must be an address, or a list of addresses of one deployment")
        return tuple(dict.fromkeys(_address(one, allow_http) for one in value))

    def roots(self) -> Any:  # noqa: ANN401 - as it was given
        value = self.value("roots")
        if value is None or isinstance(value, (Mapping, str, bytes, os.PathLike)):
            if isinstance(value, (str, bytes)) and not value.strip():
                self.refuse("roots", "must not be empty")
            return value
        self.refuse("roots", "must be a JWK set, PEM text or a path")

    def path(self, name: str) -> str | None:
        value = self.value(name)
        if value is None:
            return None
        try:
            found = os.fspath(value)
        except TypeError:
            found = None
        if not isinstance(found, str):
            self.refuse(name, "must be a path")
        if not found.strip() or "\0" in found:
            self.refuse(name, "must be a path that can exist")
        return found

    def switch(self, name: str, default: bool) -> bool:
        value = self._parsed(name, default, _SWITCHES.__getitem__)
        if not isinstance(value, bool):
            self.refuse(name, "must be True or False")
        return value

    def seconds(self, name: str, default: float) -> float:
        value = self._parsed(name, default, _number_of_text)
        number = math.inf if value is None else number_of(value)
        if number is None or not number > 0:
            self.refuse(name, "must be a number of seconds above 0, or None for no limit")
        return number

    def count(self, name: str, default: int) -> float:
        value = self._parsed(name, default, _number_of_text)
        number = math.inf if value is None else number_of(value)
        if number is None or not number >= 0 or (number != math.inf and number != int(number)):
            self.refuse(name, "must be a whole number, 0 or more, or None for no limit")
        return number

    def verify(self) -> Any:  # noqa: ANN401 - a type of another package
        value = self._parsed("verify", True, _SWITCHES.__getitem__)
        if isinstance(value, bool):
            return value
        ssl = sys.modules.get("ssl")  # whoever has a context has imported it
        if ssl is not None and isinstance(value, ssl.SSLContext):
            return value
        if not isinstance(value, (str, os.PathLike)):
            self.refuse("verify", "must be True, False, a path or an ssl.SSLContext")
        return self.path("verify")

    def proxy(self) -> Any:  # noqa: ANN401 - as above
        value = self.value("proxy")
        if value is None:
            return None
        httpx = sys.modules.get("httpx")
        if httpx is not None and isinstance(value, (httpx.Proxy, httpx.URL)):
            return value
        try:
            parts = urlsplit(value.strip()) if isinstance(value, str) else None
            usable = parts is not None and parts.scheme in _PROXIES and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            # It may hold a password, so it is not shown.
            raise ConfigurationError(
                "proxy must be an address such as http://proxy.example.com:3128: http, https or socks5."
            )
        return value.strip()

    def _variable(self, name: str) -> str | None:
        if name in NEVER_IN_ENVIRONMENT:
            return None
        return self._env.get(PREFIX + name.upper(), "").strip() or None

    def _parsed(self, name: str, default: T, read: Callable[[str], Any]) -> Any:  # noqa: ANN401 - not checked yet
        value = getattr(self._given, name)
        if value is not NOT_GIVEN:
            return value
        text = self._variable(name)
        if text is None:
            return default
        try:
            return read(text.lower())
        except (KeyError, ValueError):
            return text


def _missing(name: str) -> NoReturn:
    raise ConfigurationError(
        f"{name} is missing. Give it as an argument ({name}=…), or set {PREFIX}{name.upper()} in the environment."
    )


def _named(value: object) -> str:
    """A wrong value in a message: short, and never longer than a line."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - an object of somebody else
        text = f"an object of type {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}…"


def number_of(value: object) -> float | None:
    """A number as a float; ``None`` for what is none, also for True and NaN."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        number = float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else number


def _number_of_text(text: str) -> float | None:
    return None if text == "none" else float(text)


def _can_be_sent(text: str) -> bool:
    return text.isprintable() and not any("\ud800" <= c <= "\udfff" for c in text)


def _address(server: object, allow_http: bool) -> str:
    try:
        text = server.strip() if isinstance(server, str) else ""
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = None, None
    usable = parts is not None and parts.scheme in ("https", "http") and host and _can_be_sent(text) and " " not in text
    if parts is None or not usable or parts.query or parts.fragment or parts.username:
        shown = "" if parts is not None and (parts.username or parts.password) else f" {_named(server)}"
        raise ConfigurationError(
            f"server{shown} is no address of a license server: it looks like https://licenses.example.com."
        )
    if parts.scheme == "http" and host not in LOOPBACK and not allow_http:
        raise ConfigurationError(
            f"server {text} is not encrypted: the license key would be sent in the clear. "
            "Use https, or allow_http=True on a trusted network."
        )
    return text.rstrip("/")
