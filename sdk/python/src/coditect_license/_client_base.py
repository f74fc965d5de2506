"""What both clients share: their settings, and what can be read of them without asking the server."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Generic, ParamSpec, TypeVar

from ._checks import callback_or_refuse, refuse_ignored_ways, seconds_or_refuse, switch_or_refuse
from ._clock import Clock
from ._context import Context
from ._errors import LicenseError
from ._identity import MachineSources
from ._roots import RootsLike
from ._settings import NOT_GIVEN, NotGiven, ProxyLike, Settings, VerifyLike, suggesting

P = ParamSpec("P")
R = TypeVar("R")
TransportT = TypeVar("TransportT")
HttpClientT = TypeVar("HttpClientT")


def ending_here(method: Callable[P, R]) -> Callable[P, R]:
    """A method whose errors end in the program's traceback with one frame of this package."""

    @functools.wraps(method)
    def outermost(*arguments: P.args, **keywords: P.kwargs) -> R:
        try:
            return method(*arguments, **keywords)
        except LicenseError as error:
            raise error.with_traceback(None)  # noqa: B904 - the same error, with a short traceback

    return outermost


def ending_here_later(method: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """The same for a coroutine function."""

    @functools.wraps(method)
    async def outermost(*arguments: P.args, **keywords: P.kwargs) -> R:
        try:
            return await method(*arguments, **keywords)
        except LicenseError as error:
            raise error.with_traceback(None)  # noqa: B904 - as above

    return outermost


class ClientBase(Generic[TransportT, HttpClientT]):
    """One license on one machine.

    Making a client checks its settings and does nothing else: no thread, no connection, no file is written, and the
    machine's identity is found out when it is first needed. Root keys in a file are read here, within the timeout; an
    :class:`AsyncLicenseClient` reads them with its first request, which then raises what is wrong with them.
    """

    _in_loops = False

    @suggesting
    def __init__(
        self,
        server: str | Sequence[str] | None = None,
        *,
        key: str | None = None,
        product: str | None = None,
        version: str | None = None,
        roots: RootsLike | None = None,
        issuer: str | None = None,
        pool: str | None = None,
        hardware_id: str | None = None,
        instance_id: str | None = None,
        installation: str | os.PathLike[str] | None = None,
        project_root: str | os.PathLike[str] | None = None,
        hostname: str | None = None,
        deployment: str | None = None,
        project: str | None = None,
        user: str | None = None,
        timeout: float | NotGiven | None = NOT_GIVEN,
        max_retries: float | NotGiven | None = NOT_GIVEN,
        offline: bool | NotGiven = NOT_GIVEN,
        cache_dir: str | os.PathLike[str] | None = None,
        allow_http: bool | NotGiven = NOT_GIVEN,
        verify: VerifyLike | NotGiven = NOT_GIVEN,
        proxy: ProxyLike | None = None,
        clock: Clock | None = None,
        system: MachineSources | None = None,
        transport: TransportT | None = None,
        http_client: HttpClientT | None = None,
    ) -> None:
        """Check the settings. :class:`Settings` describes each; ``transport`` and ``http_client`` are those of httpx.

        Either of them is a way to the server of its own, beside which ``proxy`` and ``verify`` are refused.

        Raises:
            ConfigurationError: A setting is wrong or missing; it is named. No request was sent.
            InvalidKey: The license key is mistyped. No request was sent.
            TypeError: An argument is no setting.
        """
        settings = Settings(
            server=server,
            key=key,
            product=product,
            version=version,
            roots=roots,
            issuer=issuer,
            pool=pool,
            hardware_id=hardware_id,
            instance_id=instance_id,
            installation=installation,
            project_root=project_root,
            hostname=hostname,
            deployment=deployment,
            project=project,
            user=user,
            timeout=timeout,
            max_retries=max_retries,
            offline=offline,
            cache_dir=cache_dir,
            allow_http=allow_http,
            verify=verify,
            proxy=proxy,
            clock=clock,
            system=system,
        )
        refuse_ignored_ways(settings, transport, http_client)
        self._context = Context(settings, in_loops=self._in_loops)
        self._open_way(transport, http_client)

    def _open_way(self, transport: TransportT | None, http_client: HttpClientT | None) -> None:
        raise NotImplementedError

    @property
    def license_number(self) -> str:
        """The license's public number: the first 13 symbols of the key."""
        return self._context.key.number

    @property
    @ending_here
    def hardware_id(self) -> str:
        """The text that is sent to tell this machine from others.

        Raises :class:`ConfigurationError` if it cannot be found out within the timeout. An
        :class:`AsyncLicenseClient` holds a running event loop up for 0.05 s at most: await a call first, after which
        it is known.
        """
        return self._context.hardware_id

    @property
    @ending_here
    def hw(self) -> str:
        """The machine's public hash under this license: what tokens say, and what the owner of the license sees.

        Raises as :attr:`hardware_id` does.
        """
        return self._context.hw

    @property
    @ending_here
    def deployment(self) -> str:
        """``desktop``, ``container`` or ``ci``, or the word that was given. Raises as :attr:`hardware_id` does."""
        return self._context.identity.client["deployment"]

    @property
    def store_problem(self) -> str | None:
        """Why the last token could not be kept or read, for people; ``None`` if all went well.

        Such a problem costs the start without contact, and nothing else.
        """
        return self._context.store.problem if self._context.is_found_out else None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._context.server} license {self.license_number}>"


def checked_seat_options(wait: object, on_wait: object, on_event: object, reacquire: object) -> float | None:
    """Check the arguments of ``seat()``; the seconds to wait. Raises :class:`ConfigurationError` that names one."""
    callback_or_refuse("on_wait", on_wait)
    callback_or_refuse("on_event", on_event)
    switch_or_refuse("reacquire", reacquire)
    return None if wait is None else seconds_or_refuse("wait", wait)
