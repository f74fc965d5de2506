"""Carrying requests out with httpx, for both faces. What can go wrong on a network comes back as a :class:`Fault`, never as an exception."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._context import Context, lower, request_headers
from ._flows import Send
from ._wire import MAX_ANSWER, Fault, Reply

if TYPE_CHECKING:
    import httpx


class SyncHttp:
    """Blocking requests over one pool of connections, made when first needed."""

    def __init__(self, context: Context, transport: httpx.BaseTransport | None, client: httpx.Client | None) -> None:
        self._context, self._transport, self._given = context, transport, client
        self._own: httpx.Client | None = None

    def send(self, effect: Send) -> Reply | Fault:
        """The answer, or why there is none."""
        try:
            client = self._client()
            # Here and no earlier: making a client imports httpx, which would count against the lease. And no later than this.
            sent_at = self._context.clock.monotonic()
            over = sent_at + effect.timeout
            with client.stream(**_arguments(self._context, effect)) as response:
                if _packed(response):
                    return Fault("somebody sends a compressed answer, which was not asked for")
                body = b""
                for chunk in response.iter_bytes():
                    body += chunk
                    if (fault := _too_much(body, self._context.clock.monotonic() > over)) is not None:
                        return fault
                return Reply(response.status_code, body, lower(response.headers), sent_at)
        except Exception as error:  # noqa: BLE001 - any library below may raise anything about garbage; a host must not see it
            return Fault(_why(error, effect))

    def close(self) -> None:
        """Close the connections, if they are ours."""
        if self._own is not None:
            self._own.close()
            self._own = None

    def after_fork(self) -> None:
        """Leave the parent's connections to the parent: not closed, since that would say goodbye on them."""
        self._own = None

    def _client(self) -> httpx.Client:
        import httpx

        if self._given is not None:
            return self._given
        if self._own is None:
            self._own = httpx.Client(transport=self._transport, follow_redirects=False, limits=_no_idle())
        return self._own


class AsyncHttp:
    """The same for asyncio."""

    def __init__(self, context: Context, transport: httpx.AsyncBaseTransport | None, client: httpx.AsyncClient | None) -> None:
        self._context, self._transport, self._given = context, transport, client
        self._own: httpx.AsyncClient | None = None

    async def send(self, effect: Send) -> Reply | Fault:
        """The answer, or why there is none."""
        try:
            client = self._client()
            # Here and no earlier: making a client imports httpx, which would count against the lease. And no later than this.
            sent_at = self._context.clock.monotonic()
            over = sent_at + effect.timeout
            async with client.stream(**_arguments(self._context, effect)) as response:
                if _packed(response):
                    return Fault("somebody sends a compressed answer, which was not asked for")
                body = b""
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if (fault := _too_much(body, self._context.clock.monotonic() > over)) is not None:
                        return fault
                return Reply(response.status_code, body, lower(response.headers), sent_at)
        except Exception as error:  # noqa: BLE001 - as above
            return Fault(_why(error, effect))

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


def _arguments(context: Context, effect: Send) -> dict[str, Any]:
    request = effect.request
    return {
        "method": request.method,
        "url": context.server + request.path,
        "json": request.body,
        "headers": request_headers(request),
        "timeout": effect.timeout,
    }


def _no_idle() -> httpx.Limits:
    """Connections end with their answer: the next request is minutes away, and no child of a fork ever shares one with us."""
    import httpx

    return httpx.Limits(max_keepalive_connections=0)


def _packed(response: httpx.Response) -> bool:
    """Whether unpacking the answer could make much of little. Ours are sent as they are."""
    encoding: str = response.headers.get("content-encoding", "identity")
    return encoding.lower() != "identity"


def _too_much(body: bytes, late: bool) -> Fault | None:
    if len(body) > MAX_ANSWER:
        return Fault("somebody sends more than any answer of a license server")
    return Fault("the answer did not arrive in time") if late else None


def _why(error: Exception, effect: Send) -> str:
    import httpx

    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {effect.timeout:.1f} s"
    return str(error) or type(error).__name__
