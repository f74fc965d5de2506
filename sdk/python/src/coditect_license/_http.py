"""Requests carried out with httpx, with threads and with asyncio.

What goes wrong on a network is returned as a :class:`TransportFault` and never raised.
"""

from __future__ import annotations

import contextlib
import platform
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._aside import Aside
from ._context import Context
from ._errors import ConfigurationError, LicenseError
from ._exchange import MAX_REPLY_BYTES, Reply, Request, SendRequest, TransportFault, lowercase_names
from ._faults import fault_of, refused_certificate, refused_fault
from ._proxies import RequestWay
from ._trust import Trust

if TYPE_CHECKING:
    import httpx

LOOK_SECONDS = 2.0
"""How long it may take to look at a certificate that was refused."""


class SyncHttp:
    """Blocking requests over one pool of connections, which is made when it is first needed."""

    def __init__(
        self,
        context: Context,
        transport: httpx.BaseTransport | None,
        client: httpx.Client | None,
        trust: Trust | None = None,
    ) -> None:
        self._context, self._transport, self._given = context, transport, client
        self._trust = trust or Trust(context.settings.verify)
        self._own: httpx.Client | None = None
        self._making: dict[str, threading.Lock] = {}
        """The lock of whoever makes the pool, once somebody does.

        It is not made earlier: gevent replaces ``threading.Lock`` in a worker of gunicorn, after ``--preload`` has made
        the client. A lock of the former kind stops all of the worker where two requests need the pool at once.
        """
        self._looked_at: dict[str, str] = {}

    def send(self, effect: SendRequest) -> Reply | TransportFault:
        """The reply, or the reason why there is none. Raises :class:`ConfigurationError` for a wrong ``verify``."""
        way = _way_of(self._context, effect)
        try:
            if not self._is_ready(effect.timeout):
                return self._trust.unread(effect.request.request_id)
            client = self._client()
            # Not earlier, since making a client imports httpx, which would count against the lease; and not later.
            sent_at = self._context.clock.monotonic()
            trace = way.note if self._is_own else None
            with client.stream(**_stream_arguments(self._context, effect, trace)) as response:
                answer = _Answer(self._context, effect, response, sent_at, way)
                for chunk in response.iter_raw() if answer.is_packed else response.iter_bytes():
                    if not answer.take(chunk):
                        break
                return answer.result()
        except LicenseError:
            raise
        except Exception as error:  # noqa: BLE001 - a library may raise anything; no program may see it
            return self._fault(error, effect, way)

    def close(self) -> None:
        """Close the connections, if they are ours."""
        if self._own is not None:
            self._own.close()
            self._own = None

    def after_fork(self) -> None:
        """Leave the parent's connections to the parent. They are not closed, since that would end the parent's too."""
        self._own = None
        self._making = {}
        self._trust.after_fork()

    @property
    def _is_own(self) -> bool:
        """Whether it goes by the usual way, and not by one that the program gave."""
        return self._given is None and self._transport is None

    def _fault(self, error: Exception, effect: SendRequest, way: RequestWay) -> TransportFault:
        refused = refused_certificate(error)
        if refused is None:
            return fault_of(error, effect, way)
        address = effect.server or self._context.server
        if self._is_own and address not in self._looked_at:
            self._looked_at[address] = look_at_certificate(self._context, effect)
        return refused_fault(refused, self._looked_at.get(address, ""), effect, way)

    def _is_ready(self, seconds: float) -> bool:
        """Whether the certificate authorities are there, after at most so many seconds."""
        return not self._is_own or self._own is not None or self._trust.make_within(seconds)

    def _client(self) -> httpx.Client:
        if self._given is not None:
            return self._given
        with self._making.setdefault("lock", threading.Lock()):
            if self._own is None:
                self._own = _new_client(self._context, self._transport, self._trust)
            return self._own


class AsyncHttp:
    """Awaitable requests over one pool of connections, which is made when it is first needed."""

    def __init__(
        self, context: Context, transport: httpx.AsyncBaseTransport | None, client: httpx.AsyncClient | None
    ) -> None:
        self._context, self._transport, self._given = context, transport, client
        self.trust: Trust = Trust(context.settings.verify)
        self._own: httpx.AsyncClient | None = None
        self.aside: Aside = Aside("coditect-license-http")
        """Where :meth:`make_ready` is to be done."""
        self._looked_at: dict[str, str] = {}

    @property
    def is_ready(self) -> bool:
        """Whether a request can be sent without making something that takes long."""
        return self._given is not None or self._own is not None

    def make_ready(self) -> LicenseError | None:
        """Import httpx and read the certificate authorities, which may take long: not to be called in an event loop.

        A wrong ``verify`` is returned.
        """
        try:
            if not self.is_ready:
                self._own = _new_async_client(self._context, self._transport, self.trust)
        except LicenseError as error:
            return error
        except Exception:  # noqa: BLE001, S110 - it fails again where the request is sent, and is told there
            pass
        return None

    def way_of(self, effect: SendRequest) -> RequestWay:
        """Where the connection of a request leads that is sent with it, for who gives up waiting for it."""
        return _way_of(self._context, effect)

    async def send(self, effect: SendRequest, way: RequestWay) -> Reply | TransportFault:
        """The reply, or the reason why there is none."""
        try:
            client = self._client()
            # Not earlier, since making a client imports httpx, which would count against the lease; and not later.
            sent_at = self._context.clock.monotonic()
            trace = way.note_later if self._is_own else None
            async with client.stream(**_stream_arguments(self._context, effect, trace)) as response:
                answer = _Answer(self._context, effect, response, sent_at, way)
                async for chunk in response.aiter_raw() if answer.is_packed else response.aiter_bytes():
                    if not answer.take(chunk):
                        break
                return answer.result()
        except LicenseError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            refused = refused_certificate(error)
            if refused is not None:
                return refused_fault(refused, await self._certificate(effect), effect, way)
            return fault_of(error, effect, way)

    @property
    def _is_own(self) -> bool:
        return self._given is None and self._transport is None

    async def _certificate(self, effect: SendRequest) -> str:
        address = effect.server or self._context.server
        if self._is_own and address not in self._looked_at:
            from ._aio_aside import run_aside

            seen = await run_aside(
                Aside("coditect-license-look"), lambda: look_at_certificate(self._context, effect), 3
            )
            self._looked_at[address] = seen or ""
        return self._looked_at.get(address, "")

    async def close(self) -> None:
        """Close the connections, if they are ours."""
        if self._own is not None:
            own, self._own = self._own, None
            await own.aclose()

    def after_fork(self) -> None:
        """Leave the parent's connections to the parent."""
        self._own = None
        self.aside.after_fork()
        self.trust.after_fork()

    def without_loop(self) -> SyncHttp:
        """The same way to the server for blocking requests, when the event loop is over.

        A transport that only an event loop can drive is replaced by the usual one.
        """
        both = self._transport if hasattr(self._transport, "handle_request") else None
        return SyncHttp(self._context, both, None, self.trust)  # type: ignore[arg-type]

    def _client(self) -> httpx.AsyncClient:
        if self._given is not None:
            return self._given
        if self._own is None:
            self._own = _new_async_client(self._context, self._transport, self.trust)
        return self._own


def checked_way(client: str, transport: Any, http_client: Any, *, is_async: bool) -> None:  # noqa: ANN401 - as given
    """Check what was given as ``transport`` and ``http_client``. Raises :class:`ConfigurationError`."""
    method = "handle_async_request" if is_async else "handle_request"
    if transport is not None and not callable(getattr(transport, method, None)):
        kind = "AsyncBaseTransport" if is_async else "BaseTransport"
        raise ConfigurationError(f"transport of {client} must be an httpx.{kind}.")
    closing = "aclose" if is_async else "close"
    if http_client is not None and not (
        callable(getattr(http_client, "stream", None)) and callable(getattr(http_client, closing, None))
    ):
        kind = "AsyncClient" if is_async else "Client"
        raise ConfigurationError(f"http_client of {client} must be an httpx.{kind}.")


def look_at_certificate(context: Context, effect: SendRequest) -> str:
    """Whose certificate it is that was refused, for people; empty if that cannot be seen.

    A second connection is made for it, over which nothing of the license is sent.
    """
    try:
        import httpx

        from ._tls import describe_certificate, unverified_context

        proxy = context.settings.proxy
        address = effect.server or context.server
        with (
            httpx.Client(verify=unverified_context(), proxy=proxy, timeout=LOOK_SECONDS) as client,
            client.stream("HEAD", f"{address}/live") as response,
        ):
            stream = response.extensions.get("network_stream")
            tls = None if stream is None else stream.get_extra_info("ssl_object")
            return "" if tls is None else describe_certificate(tls.getpeercert(True))
    except Exception:  # noqa: BLE001 - only to say more of an error that is raised anyway
        return ""


def _new_client(context: Context, transport: httpx.BaseTransport | None, trust: Trust) -> httpx.Client:
    import httpx

    if transport is not None:
        return httpx.Client(transport=transport, follow_redirects=False)
    return httpx.Client(**_client_arguments(context, trust))


def _new_async_client(context: Context, transport: httpx.AsyncBaseTransport | None, trust: Trust) -> httpx.AsyncClient:
    import httpx

    if transport is not None:
        return httpx.AsyncClient(transport=transport, follow_redirects=False)
    return httpx.AsyncClient(**_client_arguments(context, trust))


def _client_arguments(context: Context, trust: Trust) -> dict[str, Any]:
    """What both kinds of client of httpx are made with."""
    return {
        "verify": trust.context(),
        "proxy": context.settings.proxy,
        "follow_redirects": False,
        "limits": _no_idle(),
    }


def _way_of(context: Context, effect: SendRequest) -> RequestWay:
    context.last_way = way = RequestWay(effect.server or context.server, context.settings.proxy)
    return way


def _stream_arguments(context: Context, effect: SendRequest, trace: Callable[..., Any] | None) -> dict[str, Any]:
    request = effect.request
    more: dict[str, Any] = {} if trace is None else {"extensions": {"trace": trace}}
    return {
        "method": request.method,
        "url": (effect.server or context.server) + request.path,
        "json": request.body,
        "headers": request_headers(request),
        "timeout": effect.timeout,
        **more,
    }


def request_headers(request: Request) -> dict[str, str]:
    """The headers of a request."""
    from ._version import __version__

    headers = {
        "Accept": "application/json",
        # Compressed replies could be made to unpack to anything, and the server's are small.
        "Accept-Encoding": "identity",
        "User-Agent": f"coditect-license-client/{__version__} python/{platform.python_version()}",
        # The server's logs name the request by it, also where its answer is lost.
        "X-Request-Id": request.request_id,
    }
    if request.session is not None:
        headers["Authorization"] = f"Bearer {request.session}"
    return headers


def _no_idle() -> httpx.Limits:
    """Limits by which a connection ends with its reply.

    The next request is minutes away, and no forked child ever shares a connection.
    """
    import httpx

    return httpx.Limits(max_keepalive_connections=0)


class _Answer:
    """A reply while it comes. What is wrong with it makes it a fault, which still says what it grants."""

    def __init__(
        self, context: Context, effect: SendRequest, response: httpx.Response, sent_at: float, way: RequestWay
    ) -> None:
        self._clock, self._effect, self._response, self._sent_at = context.clock, effect, response, sent_at
        self._way = way
        encoding: str = response.headers.get("content-encoding", "identity")
        is_compressed = encoding.lower() != "identity"
        # Unpacking could make it very large. The server compresses none, so only the beginning is looked at.
        self._fault = "the answer is compressed, which was not asked for" if is_compressed else None
        self.is_packed: bool = is_compressed and not response.is_stream_consumed
        """Whether it is to be read as it came."""
        self._body = b""

    def take(self, chunk: bytes) -> bool:
        """Add a piece. False if no further one is wanted."""
        self._body += chunk
        if len(self._body) > MAX_REPLY_BYTES:
            self._fault = self._fault or "the answer is larger than any answer of a license server"
        elif self._clock.monotonic() > self._sent_at + self._effect.timeout:
            self._fault = self._fault or "the answer did not arrive in time"
        else:
            return True
        return False

    def result(self) -> Reply | TransportFault:
        """The reply, or what is wrong with it."""
        sent, server = self._effect.request.request_id, self._effect.server
        body = _unpacked(self._body) if self.is_packed else self._body[: MAX_REPLY_BYTES + 1]
        headers = lowercase_names(self._response.headers)
        reply = Reply(self._response.status_code, body, headers, self._sent_at, sent, server, self._way.in_words())
        return reply if self._fault is None else TransportFault(self._fault, None, sent, reply=reply)


def _unpacked(packed: bytes) -> bytes:
    """The beginning of what was packed by gzip or deflate; nothing if it was packed in another way."""
    import zlib

    for form in (32 + zlib.MAX_WBITS, -zlib.MAX_WBITS):  # gzip and zlib; deflate without a head
        with contextlib.suppress(zlib.error):
            return zlib.decompressobj(form).decompress(packed, MAX_REPLY_BYTES)
    return b""
