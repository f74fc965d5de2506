"""The settings of a client, described once, and how a client takes them as keyword arguments."""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from ._clock import Clock
from ._errors import LicenseError
from ._identity import MachineSources
from ._roots import RootsLike

if TYPE_CHECKING:
    import ssl

    import httpx

    VerifyLike = bool | str | os.PathLike[str] | ssl.SSLContext
    ProxyLike = str | httpx.URL | httpx.Proxy
else:  # neither is imported before it is used
    VerifyLike = ProxyLike = Any

P = ParamSpec("P")
S = TypeVar("S")


class NotGiven(enum.Enum):
    """Tells a setting that was not given from one that was given as ``None``."""

    NOT_GIVEN = "NOT_GIVEN"

    def __repr__(self) -> str:
        return "NOT_GIVEN"

    def __bool__(self) -> bool:
        return False


NOT_GIVEN = NotGiven.NOT_GIVEN


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a client. They say who asks for a seat, which server is asked, and whose signatures are believed.

    A client takes them as keyword arguments, or as this object through ``from_settings``. The client checks them; this
    class does not. A changed copy is ``dataclasses.replace(settings, timeout=5.0)``.

    A setting that is not given is taken from the environment, from ``CODITECT_LICENSE_`` and its name in capitals:
    ``CODITECT_LICENSE_SERVER``, ``CODITECT_LICENSE_KEY`` and so on. Only ``version``, ``installation``,
    ``project_root``, ``clock`` and ``system`` are never looked for there. An empty variable counts as none.

    Attributes:
        server: The address of the license server, or the addresses of several fronts of one deployment, the preferred
            one first (in the environment with commas between them). Where one does not answer, the next is asked. They
            must be ``https``, except for this machine or with ``allow_http``. Required, here or in the environment.
        key: The license key, as it was printed, typed or pasted. Required, here or in the environment.
        product: The product that this program is. The license must be for it, and it salts the machine's id. Required,
            here or in the environment.
        version: The program's version, shown to the owner of the license. Default: none is sent.
        roots: The server's root keys: a JWK set (as a mapping or as text), PEM text, or the path of a file with either.
            Default: the keys that are built into this package.
        issuer: What tokens name as their issuer, where it is not the server's address. Default: the first ``server``.
        pool: The name of the pool of seats. Default: the server's pool ``default``.
        hardware_id: The text that tells this machine from others, 8 to 128 printable ASCII characters, sent as it is.
            It excludes ``installation`` and ``project_root``. Default: the id of the container or CI job, else the
            operating system's machine id, hashed with the product.
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
        timeout: The seconds that one call may take, its retries included; more than 0. ``None`` and infinity mean that
            only ``max_retries`` ends a call. Default: 10.0.
        max_retries: How often a request that got no answer is repeated within the timeout. ``None`` and infinity mean
            as often as the timeout allows. Default: 2.
        offline: Whether tokens are kept on disk, so that a kept one may start a seat within its signed grace. Default:
            True.
        cache_dir: The directory in which tokens are kept. Default: the platform's cache directory.
        allow_http: Whether the license key may be sent unencrypted to another machine. Default: False.
        verify: Which certificate authorities are believed, as httpx has it: True for those of the operating system, a
            path of a file or directory with others, an ``ssl.SSLContext``, or False for no check at all. It excludes
            ``transport`` and ``http_client``. Default: True.
        proxy: The proxy to the server, as httpx has it: ``http://``, ``https://`` or ``socks5://``. It excludes
            ``transport`` and ``http_client``. Default: that of the environment (``HTTPS_PROXY``, ``NO_PROXY`` and
            so on).
        clock: The clocks, for tests. Default: the machine's clocks.
        system: The sources of the machine's identity, for tests. Default: those of this machine.
    """

    server: str | Sequence[str] | None = None
    key: str | None = dataclasses.field(default=None, repr=False)
    product: str | None = None
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
    timeout: float | NotGiven | None = NOT_GIVEN
    max_retries: float | NotGiven | None = NOT_GIVEN
    offline: bool | NotGiven = NOT_GIVEN
    cache_dir: str | os.PathLike[str] | None = None
    allow_http: bool | NotGiven = NOT_GIVEN
    verify: VerifyLike | NotGiven = NOT_GIVEN
    proxy: ProxyLike | None = dataclasses.field(default=None, repr=False)
    clock: Clock | None = None
    system: MachineSources | None = None

    def keywords(self) -> dict[str, Any]:
        """Every setting by its name, as a client takes them."""
        return {setting.name: getattr(self, setting.name) for setting in dataclasses.fields(self)}


def suggesting(init: Callable[Concatenate[S, P], None]) -> Callable[Concatenate[S, P], None]:
    """A constructor that names the setting that was probably meant by an argument that is none (:class:`TypeError`)."""
    names = [*inspect.signature(init).parameters][1:]

    @functools.wraps(init)
    def checked(self: S, /, *arguments: P.args, **keywords: P.kwargs) -> None:
        for name in keywords:
            if name not in names:
                client = type(self).__name__
                raise TypeError(f"{client}() got an unexpected keyword argument {name!r}. {_suggestion(name, names)}")
        try:
            init(self, *arguments, **keywords)
        except LicenseError as error:
            raise error.with_traceback(None)  # noqa: B904 - the same error, with a short traceback

    return checked


def _suggestion(name: str, names: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, names, n=1)
    return f"Did you mean {near[0]!r}?" if near else "help(coditect_license.Settings) describes all settings."
