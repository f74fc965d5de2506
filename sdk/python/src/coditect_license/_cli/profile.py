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

from .._client import LicenseClient
from .._errors import ConfigurationError
from .._files import write_private
from .._jws import loads

NAMES = ("server", "product", "key", "pool", "issuer", "roots", "hardware_id")
SERVICE = "coditect-license"


def path() -> Path:
    """The file in which the settings are saved."""
    import platformdirs

    return platformdirs.user_config_path("coditect-license", appauthor=False) / "profile.json"


def saved_settings() -> dict[str, Any]:
    """What ``login`` saved; empty if it was never called. Raises :class:`ConfigurationError` if it cannot be read."""
    try:
        value = loads(path().read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The settings in {path()} cannot be read ({error}). Log in again: coditect-license login."
        ) from error
    if not isinstance(value, dict):
        raise ConfigurationError(
            f"The settings in {path()} are of the wrong form. Log in again: coditect-license login."
        )
    if value.pop("key_in", None) == "keyring":
        value["key"] = _load_from_keyring(str(value.get("server")), str(value.get("product")))
    return value


def find_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that are known, each from the first source that has it."""
    found: dict[str, Any] = dict(saved_settings())
    for name in NAMES:
        # Variables are filled from files, and those end with a line break.
        given = getattr(options, name) or os.environ.get(f"CODITECT_LICENSE_{name.upper()}", "").strip()
        if given:
            found[name] = Path(given) if name == "roots" else given
    return found


def open_client(options: argparse.Namespace, **more: Any) -> LicenseClient:  # noqa: ANN401 - settings of LicenseClient
    """A client by these settings. Raises :class:`ConfigurationError` with what is missing."""
    found = find_settings(options)
    return client_from(found, options, **more)


def client_from(
    found: dict[str, Any],
    options: argparse.Namespace,
    **more: Any,  # noqa: ANN401 - as above
) -> LicenseClient:
    """A client by settings that were found. Raises :class:`ConfigurationError` with what is missing."""
    missing = [name for name in ("server", "product", "key") if not found.get(name)]
    if missing:
        names = ", ".join(f"--{name}" for name in missing)
        raise ConfigurationError(
            f"Not known yet: {names}. Log in once (coditect-license login), or give them here or in the environment."
        )
    usual: dict[str, Any] = {name: found.get(name) for name in NAMES if name != "server"}
    usual |= {"timeout": options.timeout, "allow_http": options.allow_http}
    return LicenseClient(found["server"], **usual | more)


def save_settings(found: dict[str, Any], *, keyring: bool) -> str:
    """Save settings for later.

    Returns where the key is saved: ``keyring`` or ``file``. Raises :class:`ConfigurationError`.
    """
    value = {name: found[name] for name in NAMES if found.get(name)}
    place = "keyring" if keyring and _save_to_keyring(value["server"], value["product"], value["key"]) else "file"
    if place == "keyring":
        del value["key"]
        value["key_in"] = place
    try:
        path().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path(), json.dumps(value, indent=2) + "\n")
    except OSError as error:
        raise ConfigurationError(f"The settings cannot be kept in {path()}: {error.strerror}.") from error
    return place


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
