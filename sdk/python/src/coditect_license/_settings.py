"""The settings of a client, described once: as a class, and as the keyword arguments that clients take."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, TypedDict

from ._clock import Clock
from ._identity import MachineSources
from ._roots import RootsLike


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a client. They say who asks for a seat, which server is asked, and whose signatures are believed.

    A client takes them as keyword arguments, or as this object through ``from_settings``. The client checks them; this
    class does not. A changed copy is ``dataclasses.replace(settings, timeout=5.0)``.

    Attributes:
        server: The address of the license server. It must be ``https``, except for this machine or with ``allow_http``.
            Required.
        key: The license key, as it was printed, typed or pasted. Required.
        product: The product that this program is. The license must be for it, and it salts the machine's id. Required.
        version: The program's version, shown to the owner of the license. Default: none is sent.
        roots: The server's root keys: a JWK set (as a mapping or as text), PEM text, or the path of a file with either.
            Default: the keys that are built into this package.
        issuer: What tokens name as their issuer, where it is not the server's address. Default: ``server``.
        pool: The name of the pool of seats. Default: the server's pool ``default``.
        hardware_id: The text that tells this machine from others, 8 to 128 printable ASCII characters, sent as it is.
            Default: the id of the container or CI job, else the operating system's machine id, hashed with the product.
        instance_id: The text that tells this process from others, 8 to 128 printable ASCII characters, for licenses
            that count processes. Default: the platform's id or a random one, sent only to a license that asks for it.
        installation: A path of the installed program. Several links to one installation are then one machine and cost
            one seat.
            Default: the installation is no part of the machine's identity.
        project_root: The path of the project for which the installation is used, part of the same identity. It counts
            only with ``installation``. Default: no project.
        hostname: The name by which others see who holds a seat; ``""`` shows a piece of the machine's hash. Default:
            the host's name.
        deployment: ``desktop``, ``container``, ``ci`` or a word of your own. Default: recognized from the machine.
        project: A project's name, shown to the owner of the license. Default: none is sent.
        user: The address of the person who works here. It is shown to the owner of the license, and members find their
            own sessions by it. Default: none is sent.
        timeout: The seconds that one call may take, its retries included; more than 0. Default: 10.0.
        max_retries: How often a request that got no answer is repeated within the timeout. Default: 2.
        offline: Whether tokens are kept on disk, so that a kept one may start a seat within its signed grace. Default:
            True.
        cache_dir: The directory in which tokens are kept. Default: the platform's cache directory.
        allow_http: Whether the license key may be sent unencrypted to another machine. Default: False.
        clock: The clocks, for tests. Default: the machine's clocks.
        system: The sources of the machine's identity, for tests. Default: those of this machine.
    """

    server: str
    key: str = dataclasses.field(repr=False)
    product: str
    version: str | None = None
    roots: RootsLike | None = dataclasses.field(default=None, repr=False)
    issuer: str | None = None
    pool: str | None = None
    hardware_id: str | None = None
    instance_id: str | None = None
    installation: str | os.PathLike[str] | None = None
    project_root: str | os.PathLike[str] | None = None
    hostname: str | None = None
    deployment: str | None = None
    project: str | None = None
    user: str | None = None
    timeout: float = 10.0
    max_retries: int = 2
    offline: bool = True
    cache_dir: str | os.PathLike[str] | None = None
    allow_http: bool = False
    clock: Clock | None = None
    system: MachineSources | None = None

    def keywords(self) -> dict[str, Any]:
        """Every setting by its name, as a client takes them."""
        return {setting.name: getattr(self, setting.name) for setting in dataclasses.fields(self)}


class _RequiredKeywords(TypedDict):
    key: str
    product: str


class SettingsKeywords(_RequiredKeywords, total=False):
    """The settings beside ``server`` as keyword arguments.

    A test holds their names and types against :class:`Settings`.
    """

    version: str | None
    roots: RootsLike | None
    issuer: str | None
    pool: str | None
    hardware_id: str | None
    instance_id: str | None
    installation: str | os.PathLike[str] | None
    project_root: str | os.PathLike[str] | None
    hostname: str | None
    deployment: str | None
    project: str | None
    user: str | None
    timeout: float
    max_retries: int
    offline: bool
    cache_dir: str | os.PathLike[str] | None
    allow_http: bool
    clock: Clock | None
    system: MachineSources | None


def settings_from_keywords(client: str, server: str, keywords: Mapping[str, Any]) -> Settings:
    """The settings that were given to a class named ``client`` as keyword arguments.

    Raises :class:`TypeError` for an argument that is no setting, with the setting that was probably meant, and for one
    that is missing.
    """
    names = [setting.name for setting in dataclasses.fields(Settings)]
    for name in keywords:
        if name not in names:
            raise TypeError(f"{client}() got an unexpected keyword argument {name!r}. {_suggestion(name, names)}")
    missing = [repr(name) for name in SettingsKeywords.__required_keys__ if name not in keywords]
    if missing:
        raise TypeError(f"{client}() needs the keyword argument {' and '.join(sorted(missing))}.")
    return Settings(server=server, **keywords)


def _suggestion(name: str, names: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, [*names, "transport", "http_client"], n=1)
    return f"Did you mean {near[0]!r}?" if near else "help(coditect_license.Settings) describes all settings."
