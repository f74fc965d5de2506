"""Requests carried out with httpx, with threads and with asyncio.

What goes wrong on a network is returned as a :class:`TransportFault` and never raised.
"""

from __future__ import annotations

import platform
import threading
from typing import TYPE_CHECKING, Any

from ._aside import Aside
from ._context import Context
from ._errors import ConfigurationError, LicenseError
from ._exchange import MAX_REPLY_BYTES, Reply, Request, SendRequest, TransportFault, lowercase_names
from ._forks import no_fork

if TYPE_CHECKING:
    import httpx

LOOK_SECONDS = 2.0
"""How long it may take to look at a certificate that was refused."""


class SyncHttp:
    """Blocking requests over one pool of connections, which is made when it is first needed."""

    def __init__(self, context: Context, transport: httpx.BaseTransport | None, client: httpx.Client | None) -> None:
        self._context, self._transport, self._given = context, transport, client
        self._own: httpx.Client | None = None
        self._making: dict[str, threading.Lock] = {}
        """The lock of whoever makes the pool, once somebody does.

        It is not made earlier: gevent replaces ``threading.Lock`` in a worker of gunicorn, after ``--preload`` has made
        the client. A lock of the former kind stops all of the worker where two requests need the pool at once.
        """
        self._looked_at: dict[str, str] = {}

    def send(self, effect: SendRequest) -> Reply | TransportFault:
        """The reply, or the reason why there is none. Raises :class:`ConfigurationError` for a wrong ``verify``."""
        sent = effect.request.request_id
        try:
            client = self._client()
            # Not earlier, since making a client imports httpx, which would count against the lease; and not later.
            sent_at = self._context.clock.monotonic()
            over = sent_at + effect.timeout
            with client.stream(**_stream_arguments(self._context, effect)) as response:
                if _is_compressed(response):
                    return TransportFault("the answer is compressed, which was not asked for", None, sent)
                body = b""
                for chunk in response.iter_bytes():
                    body += chunk
                    if (fault := _body_fault(body, self._context.clock.monotonic() > over)) is not None:
                        return TransportFault(fault, None, sent)
                headers = lowercase_names(response.headers)
                return Reply(response.status_code, body, headers, sent_at, sent, effect.server)
        except LicenseError:
            raise
        except Exception as error:  # noqa: BLE001 - a library may raise anything; no program may see it
            return self._fault(error, effect)

    def close(self) -> None:
        """Close the connections, if they are ours."""
        if self._own is not None:
            self._own.close()
            self._own = None

    def after_fork(self) -> None:
        """Leave the parent's connections to the parent. They are not closed, since that would end the parent's too."""
        self._own = None
        self._making = {}

    def _fault(self, error: Exception, effect: SendRequest) -> TransportFault:
        refused = _refused_certificate(error)
        if refused is None:
            return TransportFault(_reason_of(error, effect), _advice_of(error), effect.request.request_id)
        own = self._given is None and self._transport is None
        address = effect.server or self._context.server
        if own and address not in self._looked_at:
            self._looked_at[address] = look_at_certificate(self._context, effect)
        return _refused_fault(refused, self._looked_at.get(address, ""), effect)

    def _client(self) -> httpx.Client:
        if self._given is not None:
            return self._given
        with self._making.setdefault("lock", threading.Lock()):
            if self._own is None:
                self._own = _new_client(self._context, self._transport)
            return self._own


class AsyncHttp:
    """Awaitable requests over one pool of connections, which is made when it is first needed."""

    def __init__(
        self, context: Context, transport: httpx.AsyncBaseTransport | None, client: httpx.AsyncClient | None
    ) -> None:
        self._context, self._transport, self._given = context, transport, client
        self._own: httpx.AsyncClient | None = None
        self.aside = Aside("coditect-license-http")
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
                self._own = _new_async_client(self._context, self._transport)
        except LicenseError as error:
            return error
        except Exception:  # noqa: BLE001, S110 - it fails again where the request is sent, and is told there
            pass
        return None

    async def send(self, effect: SendRequest) -> Reply | TransportFault:
        """The reply, or the reason why there is none."""
        sent = effect.request.request_id
        try:
            client = self._client()
            # Not earlier, since making a client imports httpx, which would count against the lease; and not later.
            sent_at = self._context.clock.monotonic()
            over = sent_at + effect.timeout
            async with client.stream(**_stream_arguments(self._context, effect)) as response:
                if _is_compressed(response):
                    return TransportFault("the answer is compressed, which was not asked for", None, sent)
                body = b""
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if (fault := _body_fault(body, self._context.clock.monotonic() > over)) is not None:
                        return TransportFault(fault, None, sent)
                headers = lowercase_names(response.headers)
                return Reply(response.status_code, body, headers, sent_at, sent, effect.server)
        except LicenseError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            refused = _refused_certificate(error)
            if refused is not None:
                return _refused_fault(refused, await self._certificate(effect), effect)
            return TransportFault(_reason_of(error, effect), _advice_of(error), sent)

    async def _certificate(self, effect: SendRequest) -> str:
        address = effect.server or self._context.server
        if self._given is None and self._transport is None and address not in self._looked_at:
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

    def without_loop(self) -> SyncHttp:
        """The same way to the server for blocking requests, when the event loop is over.

        A transport that only an event loop can drive is replaced by the usual one.
        """
        both = self._transport if hasattr(self._transport, "handle_request") else None
        return SyncHttp(self._context, both, None)  # type: ignore[arg-type]

    def _client(self) -> httpx.AsyncClient:
        if self._given is not None:
            return self._given
        if self._own is None:
            self._own = _new_async_client(self._context, self._transport)
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


def _new_client(context: Context, transport: httpx.BaseTransport | None) -> httpx.Client:
    import httpx

    if transport is not None:
        return httpx.Client(transport=transport, follow_redirects=False)
    return httpx.Client(**_client_arguments(context))


def _new_async_client(context: Context, transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    import httpx

    if transport is not None:
        return httpx.AsyncClient(transport=transport, follow_redirects=False)
    return httpx.AsyncClient(**_client_arguments(context))


def _client_arguments(context: Context) -> dict[str, Any]:
    """What both kinds of client of httpx are made with."""
    from ._tls import make_context

    with no_fork():
        verify = make_context(context.settings.verify)
    return {
        "verify": verify,
        "proxy": context.settings.proxy,
        "follow_redirects": False,
        "limits": _no_idle(),
    }


def _stream_arguments(context: Context, effect: SendRequest) -> dict[str, Any]:
    request = effect.request
    return {
        "method": request.method,
        "url": (effect.server or context.server) + request.path,
        "json": request.body,
        "headers": request_headers(request),
        "timeout": effect.timeout,
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


def _is_compressed(response: httpx.Response) -> bool:
    """Whether the reply is compressed, so that unpacking could make it very large. The server compresses none."""
    encoding: str = response.headers.get("content-encoding", "identity")
    return encoding.lower() != "identity"


def _body_fault(body: bytes, late: bool) -> str | None:
    if len(body) > MAX_REPLY_BYTES:
        return "the answer is larger than any answer of a license server"
    return "the answer did not arrive in time" if late else None


def _refused_certificate(error: Exception) -> Any:  # noqa: ANN401 - ssl is not imported before it is used
    from ._tls import verification_error

    return verification_error(error)


def _refused_fault(refused: Any, certificate: str, effect: SendRequest) -> TransportFault:  # noqa: ANN401 - as above
    from ._tls import REFUSED_ADVICE, refused_reason

    return TransportFault(refused_reason(refused, certificate), REFUSED_ADVICE, effect.request.request_id)


def _reason_of(error: Exception, effect: SendRequest) -> str:
    try:
        import httpx
    except ImportError as missing:
        return f"the package httpx cannot be loaded ({missing})"
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {effect.timeout:.1f} s"
    return str(error) or type(error).__name__


def _advice_of(error: Exception) -> str | None:
    if "proxy" in f"{type(error).__name__} {error}".lower() or "socks" in str(error).lower():
        return "Check proxy=…, or the proxy variables of the environment (ALL_PROXY, HTTPS_PROXY, NO_PROXY)."
    return None
