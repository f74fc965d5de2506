"""Requests carried out with httpx, with threads and with asyncio.

What goes wrong on a network is returned as a :class:`TransportFault` and never raised.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

from ._context import Context
from ._exchange import MAX_REPLY_BYTES, Reply, Request, SendRequest, TransportFault, lowercase_names

if TYPE_CHECKING:
    import httpx


class SyncHttp:
    """Blocking requests over one pool of connections, which is made when it is first needed."""

    def __init__(self, context: Context, transport: httpx.BaseTransport | None, client: httpx.Client | None) -> None:
        self._context, self._transport, self._given = context, transport, client
        self._own: httpx.Client | None = None

    def send(self, effect: SendRequest) -> Reply | TransportFault:
        """The reply, or the reason why there is none."""
        try:
            client = self._client()
            # Not earlier, since making a client imports httpx, which would count against the lease; and not later.
            sent_at = self._context.clock.monotonic()
            over = sent_at + effect.timeout
            with client.stream(**_stream_arguments(self._context, effect)) as response:
                if _is_compressed(response):
                    return TransportFault("the answer is compressed, which was not asked for")
                body = b""
                for chunk in response.iter_bytes():
                    body += chunk
                    if (fault := _body_fault(body, self._context.clock.monotonic() > over)) is not None:
                        return fault
                return Reply(response.status_code, body, lowercase_names(response.headers), sent_at)
        except Exception as error:  # noqa: BLE001 - a library may raise anything; no program may see it
            return TransportFault(_reason_of(error, effect))

    def close(self) -> None:
        """Close the connections, if they are ours."""
        if self._own is not None:
            self._own.close()
            self._own = None

    def after_fork(self) -> None:
        """Leave the parent's connections to the parent. They are not closed, since that would end the parent's too."""
        self._own = None

    def _client(self) -> httpx.Client:
        import httpx

        if self._given is not None:
            return self._given
        if self._own is None:
            self._own = httpx.Client(transport=self._transport, follow_redirects=False, limits=_no_idle())
        return self._own


class AsyncHttp:
    """Awaitable requests over one pool of connections, which is made when it is first needed."""

    def __init__(
        self, context: Context, transport: httpx.AsyncBaseTransport | None, client: httpx.AsyncClient | None
    ) -> None:
        self._context, self._transport, self._given = context, transport, client
        self._own: httpx.AsyncClient | None = None

    async def send(self, effect: SendRequest) -> Reply | TransportFault:
        """The reply, or the reason why there is none."""
        try:
            client = self._client()
            # Not earlier, since making a client imports httpx, which would count against the lease; and not later.
            sent_at = self._context.clock.monotonic()
            over = sent_at + effect.timeout
            async with client.stream(**_stream_arguments(self._context, effect)) as response:
                if _is_compressed(response):
                    return TransportFault("the answer is compressed, which was not asked for")
                body = b""
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if (fault := _body_fault(body, self._context.clock.monotonic() > over)) is not None:
                        return fault
                return Reply(response.status_code, body, lowercase_names(response.headers), sent_at)
        except Exception as error:  # noqa: BLE001 - as above
            return TransportFault(_reason_of(error, effect))

    async def close(self) -> None:
        """Close the connections, if they are ours."""
        if self._own is not None:
            own, self._own = self._own, None
            await own.aclose()

    def after_fork(self) -> None:
        """Leave the parent's connections to the parent."""
        self._own = None

    def _client(self) -> httpx.AsyncClient:
        import httpx

        if self._given is not None:
            return self._given
        if self._own is None:
            self._own = httpx.AsyncClient(transport=self._transport, follow_redirects=False, limits=_no_idle())
        return self._own


def _stream_arguments(context: Context, effect: SendRequest) -> dict[str, Any]:
    request = effect.request
    return {
        "method": request.method,
        "url": context.server + request.path,
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


def _body_fault(body: bytes, late: bool) -> TransportFault | None:
    if len(body) > MAX_REPLY_BYTES:
        return TransportFault("the answer is larger than any answer of a license server")
    return TransportFault("the answer did not arrive in time") if late else None


def _reason_of(error: Exception, effect: SendRequest) -> str:
    import httpx

    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {effect.timeout:.1f} s"
    return str(error) or type(error).__name__
