"""The identity of the machine, hashed with the product as salt, and how the program is deployed.

The id that leaves the machine is ``HMAC-SHA-256(machine id, product …)``. So two vendors cannot find out that they have
the same machine, and nobody can compute the machine's id from it (the construction of
sd_id128_get_machine_app_specific(3)).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import socket
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ._errors import ConfigurationError
from ._files import lacks_descriptors, write_private
from ._places import MachineSources, find_ci_job, find_container, machine_id_files, read_text

__all__ = ["MachineSources"]  # it belongs to what is found here, and is defined where all of this can use it

_PRINTABLE = re.compile(r"[\x20-\x7e]{8,128}\Z")


@dataclass(frozen=True)
class MachineIdentity:
    """The identity of a machine, and how it was found."""

    id: str
    """The raw id, for hashing. It is never sent, logged or shown."""
    source: str
    """Where the id was found, for people: ``machine-id``, ``container``, ``ci``, ``own`` …"""
    deployment: str
    """``desktop``, ``container`` or ``ci``."""
    instance: str | None
    """The platform's name for this container or job; ``None`` on a desktop."""


def this_system() -> MachineSources:
    """The machine this runs on."""
    return MachineSources(
        env=os.environ,
        root=Path("/"),
        platform=sys.platform,
        data_dir=_data_dir,
        hostname=socket.gethostname,
        registry=_windows_guid,
        ioreg=_macos_uuid,
    )


def find_machine(system: MachineSources) -> MachineIdentity:
    """The machine by the first of these: CI job, container, OS machine id, an own id, network card.

    A container's ``/etc/machine-id`` comes with its image and is the same wherever the image runs, so the id of
    the container counts. It never raises: a machine that has none of these is known by its host name. A source is only
    asked where those before it have nothing, since some write a file or ask the network card.
    """
    place = find_place(system)
    if place.id:
        return place
    for source, find in (("machine-id", _os_machine_id), ("own", _own_id), ("network card", _network_card)):
        found = _or_none(lambda find=find: find(system))  # type: ignore[misc]
        if found:
            return MachineIdentity(found, source, "desktop", None)
    return MachineIdentity(f"host:{host_name(system)}", "host name", "desktop", None)


def find_place(system: MachineSources) -> MachineIdentity:
    """The CI job or the container; elsewhere a desktop without an id. It reads files of the system and writes none."""
    for deployment, find in (("ci", find_ci_job), ("container", find_container)):
        found = _or_none(lambda find=find: find(system))  # type: ignore[misc]
        if found:
            return MachineIdentity(found, deployment, deployment, _instance(found))
    return MachineIdentity("", "none", "desktop", None)


def host_name(system: MachineSources) -> str:
    """The host's name, or nothing where it has none that can be read."""
    return _or_none(system.hostname) or ""


def _or_none(find: Callable[[], str | None]) -> str | None:
    """What a source says; ``None`` if it fails. What a machine lacks never reaches the program.

    Raises :class:`ConfigurationError` where a descriptor is missing: the source may have an id all the same.
    """
    try:
        return find()
    except Exception as error:  # a home that is none, a name in another encoding, a tool that is missing
        if lacks_descriptors(error):
            raise ConfigurationError(
                "This machine's identity cannot be found out now: this program has no file descriptor left. "
                "Have it close files that it does not need, or raise its limit (ulimit -n)."
            ) from error
        return None


def hardware_id(machine_id: str, product: str, *parts: str) -> str:
    """The salted hash that is sent as ``hardware_id``: 64 hexadecimal digits."""
    message = b"coditect-license/hardware-v1"
    for part in (product, *parts):
        # Paths may hold bytes that are no text of the locale; Python keeps them as surrogates.
        data = part.encode("utf-8", "surrogatepass")
        message += len(data).to_bytes(4, "big") + data
    return hmac.new(machine_id.encode("utf-8", "surrogatepass"), message, hashlib.sha256).hexdigest()


def installation_parts(
    installation: str | os.PathLike[str], project_root: str | os.PathLike[str] | None
) -> tuple[str, str, str]:
    """The parts that tell one installation from another on a machine: its resolved path and the project's root.

    Links are followed, so that several links to one installation are one installation and cost one seat.
    """
    try:
        resolved = os.path.normcase(os.path.realpath(installation))
        root = "" if project_root is None else os.path.normcase(os.path.realpath(project_root))
    except OSError as error:  # the folder that the program works in is gone
        raise ConfigurationError(
            f"installation or project_root cannot be resolved: {error.strerror}. Give an absolute path."
        ) from error
    return ("installation", resolved, root)


def checked_id(name: str, value: str) -> str:
    """``value`` if it may be sent as an id: 8 to 128 printable ASCII characters. Raises :class:`ConfigurationError`."""
    if not _PRINTABLE.match(value):
        raise ConfigurationError(
            f"{name} must be 8 to 128 printable ASCII characters. Give another one, or none to use the machine's own."
        )
    return value


def _instance(platform_id: str) -> str:
    """The hash of a platform's id as an ``instance_id``, since some of those ids hold the names of projects."""
    return "i-" + hashlib.sha256(platform_id.encode("utf-8", "surrogatepass")).hexdigest()


def _os_machine_id(system: MachineSources) -> str | None:
    if system.platform == "win32":
        found = system.registry()
    elif system.platform == "darwin":
        found = system.ioreg()
    else:
        texts = (read_text(system.root / name).strip() for name in machine_id_files(system))
        found = next((text for text in texts if text), "")
    # "uninitialized" is what systemd writes into images that are still to be started.
    return f"os:{found.lower()}" if found and found != "uninitialized" else None


def _own_id(system: MachineSources) -> str | None:
    """A UUID that this package made and keeps in the user's data directory; ``None`` where nothing can be kept."""
    try:
        path = system.data_dir() / "machine-id"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(path, f"{uuid.uuid4()}\n", replace=False)
        return f"own:{uuid.UUID(path.read_text('ascii').strip())}"
    except Exception as error:  # also a user without a home directory
        if lacks_descriptors(error):
            raise
        return None


def _network_card(system: MachineSources) -> str | None:
    node = system.node()
    # RFC 9562 section 6.10: a node id that was drawn has the multicast bit set, and is another one after the next
    # start.
    return None if node >> 40 & 1 else f"card:{node:012x}"


def _data_dir() -> Path:
    import platformdirs

    return platformdirs.user_data_path("coditect-license", appauthor=False)


def _windows_guid() -> str | None:
    if sys.platform != "win32":
        return None
    import winreg

    try:
        with winreg.OpenKey(
            winreg.HKEY_LOCAL_MACHINE, r"SOFTWARE\Microsoft\Cryptography", 0, winreg.KEY_READ | winreg.KEY_WOW64_64KEY
        ) as key:
            return str(winreg.QueryValueEx(key, "MachineGuid")[0])
    except OSError:
        return None


def _macos_uuid() -> str | None:
    import subprocess

    try:
        output = subprocess.run(
            ["/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        if lacks_descriptors(error):
            raise
        return None
    found = re.search(r'"IOPlatformUUID" = "([^"]+)"', output)
    return found.group(1) if found else None
