"""How requests of clients reach the server in memory: by a transport, or whatever client the program made."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any, Protocol

import httpx

from .. import _roots, _store
from .._clock import Clock
from .._context import Context
from ._clock import ManualClock
from ._scratch import ScratchDirectory
from ._waking import own_seats


class ReachableServer(Protocol):
    """What is behind a transport or a port."""

    url: str
    issuer: str
    addresses: list[str]
    clock: ManualClock
    scratch: ScratchDirectory

    @property
    def roots(self) -> dict[str, list[dict[str, str]]]:
        """What clients pin."""

    def handle(self, request: httpx.Request) -> httpx.Response:
        """The answer to a request."""

    def is_asked_by(self, url: httpx.URL) -> bool:
        """Whether a request to ``url`` is for this server."""

    def forget_signer(self) -> None:
        """Sign with a new key from now on."""


class InMemoryTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport whose other end is the server in memory."""

    def __init__(self, server: ReachableServer) -> None:
        self._server = server

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer to a request of a blocking client."""
        request.read()
        return self._server.handle(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer to a request of an asyncio client."""
        await request.aread()
        return self._server.handle(request)


class Routing:
    """While it lasts, every client of this process finds the server in memory under its address.

    Replaced are: httpx's transports, for requests to that address alone; the clocks of clients that were given none;
    the pauses before a request is repeated; the root keys that the package was built with; and the directory of kept
    tokens, by an empty one. All are put back at the end. What the program itself was given (``roots=``, ``clock=``,
    ``cache_dir=``) is not replaced.
    """

    def __init__(self, server: ReachableServer) -> None:
        self._server = server
        self._undo = contextlib.ExitStack()

    def begin(self) -> None:
        """Replace them."""
        server, transport = self._server, InMemoryTransport(self._server)
        sync, async_ = httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request

        def handle_request(own: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
            return transport.handle_request(request) if server.is_asked_by(request.url) else sync(own, request)

        async def handle_async_request(own: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
            if server.is_asked_by(request.url):
                return await transport.handle_async_request(request)
            return await async_(own, request)

        self._replace(httpx.HTTPTransport, "handle_request", handle_request)
        self._replace(httpx.AsyncHTTPTransport, "handle_async_request", handle_async_request)
        self._replace(Clock, "monotonic", lambda _: server.clock.monotonic())
        self._replace(Clock, "wall", lambda _: server.clock.wall())
        # A request that got no answer is repeated as often as ever, but nobody waits for it.
        self._replace(Context, "retry_pause", lambda *_: 0.0)
        self._replace(_roots, "packaged_text", lambda: json.dumps(server.roots))
        self._replace(_store, "default_directory", server.scratch.cache)

    def end(self) -> None:
        """Give back the seats that the program still holds, then put everything back."""
        for seat in own_seats(self._server.addresses):
            seat._begin_release()
            if hasattr(seat, "_thread"):
                seat._end_release(5.0)
        self._undo.close()
        self._server.scratch.remove()

    def _replace(self, owner: Any, name: str, value: Callable[..., Any]) -> None:  # noqa: ANN401 - a class or a module
        before = getattr(owner, name)
        setattr(owner, name, value)
        self._undo.callback(setattr, owner, name, before)
