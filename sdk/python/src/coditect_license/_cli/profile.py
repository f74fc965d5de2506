"""The settings of the command line: arguments, else the environment, else what ``login`` saved.

``login`` saves them in ``profile.json`` in the platform's configuration directory, mode 0600; the license key goes into
the operating system's keyring instead where the ``keyring`` package finds one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from pathlib import Path
from typing import Any

from .._checks import PREFIX
from .._client import LicenseClient
from .._errors import ConfigurationError
from .._files import write_private
from .._jws import loads
from .._roots import is_path
from .disk import DiskHangs, in_time, patience

NAMES = ("server", "product", "key", "pool", "issuer", "roots", "hardware_id", "verify", "proxy", "allow_http")
"""What ``login`` keeps. Each is also a variable of the environment."""
SERVICE = "coditect-license"


def path() -> Path:
    """The file in which the settings are saved. Raises :class:`ConfigurationError` where the user has no home."""
    import platformdirs

    try:
        return platformdirs.user_config_path("coditect-license", appauthor=False) / "profile.json"
    except Exception as error:  # no passwd entry and no HOME: RuntimeError, KeyError, by the version of Python
        raise ConfigurationError(
            "This user has no home directory, so nothing can be kept. Set HOME or XDG_CONFIG_HOME, "
            f"or give the settings in the environment ({PREFIX}SERVER, {PREFIX}KEY and so on)."
        ) from error


def read_profile(seconds: float) -> dict[str, Any]:
    """The saved settings as they stand in the file; empty if there is none.

    Raises :class:`ConfigurationError` if it cannot be read within so many seconds.
    """
    try:
        file = path()
    except ConfigurationError:
        return {}
    try:
        value = loads(in_time(seconds, f"The settings in {file}", file.read_bytes))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ConfigurationError(
            f"The settings in {file} cannot be read ({reason}). Log in again: coditect-license login."
        ) from error
    if not isinstance(value, dict):
        raise ConfigurationError(f"The settings in {file} are of the wrong form. Log in again: coditect-license login.")
    return value


def saved_settings(seconds: float) -> dict[str, Any]:
    """What ``login`` saved; empty if it was never called. Raises :class:`ConfigurationError` if it cannot be read."""
    value = read_profile(seconds)
    if value.pop("key_in", None) == "keyring":
        value["key"] = _load_from_keyring(*_entry(value))
    return value


def given_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The settings of the command line and of the environment, without what ``login`` saved."""
    found: dict[str, Any] = {}
    for name in NAMES:
        # Variables are filled from files, and those end with a line break.
        given = getattr(options, name) or os.environ.get(f"{PREFIX}{name.upper()}", "").strip()
        if name in ("verify", "allow_http") and not getattr(options, name):
            continue  # a variable may also say yes or no here, which the library reads
        if given:
            found[name] = Path(given) if name == "roots" and is_path(given) else given
    return found


def find_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that are known, each from the first source that has it.

    Raises :class:`ConfigurationError` where what was saved cannot be read and is needed.
    """
    given = given_settings(options)
    try:
        saved = saved_settings(patience(options))
    except DiskHangs:
        if not {"server", "product", "key"} <= given.keys():
            raise
        return given  # a home that hangs does not stop who gave everything
    kept = {
        name: value
        for name, value in saved.items()
        if name not in ("verify", "allow_http") or not os.environ.get(f"{PREFIX}{name.upper()}", "").strip()
    }
    return kept | given


def open_client(options: argparse.Namespace) -> LicenseClient:
    """A client by these settings. Raises :class:`ConfigurationError` with what is missing."""
    return client_from(find_settings(options), options)


def client_from(found: dict[str, Any], options: argparse.Namespace) -> LicenseClient:
    """A client by settings that were found. Raises :class:`ConfigurationError` with what is missing."""
    missing = [name for name in ("server", "product", "key") if not found.get(name)]
    if missing:
        names = ", ".join(f"--{name}" for name in missing)
        raise ConfigurationError(
            f"Not known yet: {names}. Log in once (coditect-license login), or give them here or in the environment."
        )
    return LicenseClient(found["server"], **client_settings(found, options))


def client_settings(found: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of a client. What is not known is left out, so that the library looks for it."""
    usual = {name: found[name] for name in NAMES if name != "server" and found.get(name) is not None}
    if options.timeout is not None:
        usual["timeout"] = options.timeout
    return usual


def save_settings(found: dict[str, Any], *, keyring: bool, seconds: float) -> str:
    """Save settings for later. The disk has so many seconds for it.

    Returns where the key is saved: ``keyring`` or ``file``. Raises :class:`ConfigurationError`.
    """
    file = path()
    value = {name: found[name] for name in NAMES if found.get(name)}
    with contextlib.suppress(ConfigurationError):
        before = read_profile(seconds)
        if before.get("key_in") == "keyring" and _entry(before) != _entry(value):
            delete_from_keyring(before)
    place = "keyring" if keyring and _save_to_keyring(*_entry(value), value["key"]) else "file"
    if place == "keyring":
        del value["key"]
        value["key_in"] = place
    try:
        in_time(seconds, f"The directory {file.parent}", lambda: _write(file, json.dumps(value, indent=2) + "\n"))
    except OSError as error:
        raise ConfigurationError(f"The settings cannot be kept in {file}: {error.strerror}.") from error
    return place


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(file, text)


def _entry(value: dict[str, Any]) -> tuple[str, str]:
    return str(value.get("server")), str(value.get("product"))


def _save_to_keyring(server: str, product: str, key: str) -> bool:
    """Save the key in the keyring.

    False if there is none, or if it is locked or broken: then the key is saved in the file.
    """
    with contextlib.suppress(Exception):
        import keyring

        if keyring.get_keyring().priority >= 1:
            keyring.set_password(SERVICE, f"{product}@{server}", key)
            return keyring.get_password(SERVICE, f"{product}@{server}") == key
    return False


def _load_from_keyring(server: str, product: str) -> str | None:
    with contextlib.suppress(Exception):
        import keyring

        return keyring.get_password(SERVICE, f"{product}@{server}")
    return None


def delete_from_keyring(value: dict[str, Any]) -> bool:
    """Remove the key of saved settings from the keyring. False if it may still be there."""
    server, product = _entry(value)
    with contextlib.suppress(Exception):
        import keyring

        if keyring.get_password(SERVICE, f"{product}@{server}") is None:
            return True
        keyring.delete_password(SERVICE, f"{product}@{server}")
        return keyring.get_password(SERVICE, f"{product}@{server}") is None
    return False
