"""An answer that comes after its caller has gone, over real connections: the seat that it grants is given back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from coditect_license import LicenseClient, LicenseError, ServerUnreachable
from coditect_license._exchange import Reply, SendRequest, TransportFault

from .conftest import until
from .fake_server import Http
from .test_given_back import kept


def answers(client: LicenseClient) -> bool:
    with contextlib.suppress(ServerUnreachable):
        client.validate()
        return True
    return False


def read_in_order(http: Http, client: LicenseClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the server answer the requests of a client in the order in which they were sent.

    Each connection has a thread of the server, so one request may overtake another. An acquire that is read only after
    the session of its attempt was released takes the seat for a lease, and no client can prevent it.
    """
    send, handle = client._http.send, http.fake.handle
    under_way: list[str] = []

    def note(effect: SendRequest) -> Reply | TransportFault:
        under_way.append(effect.request.request_id)
        result = send(effect)
        if isinstance(result, TransportFault) and not result.may_have_arrived:
            under_way.remove(effect.request.request_id)
        return result

    def in_order(request: httpx.Request) -> httpx.Response:
        mine = request.headers["x-request-id"]
        until(lambda: under_way[0] == mine)
        try:
            return handle(request)
        finally:
            under_way.remove(mine)

    monkeypatch.setattr(client._http, "send", note)
    monkeypatch.setattr(http.fake, "handle", in_order)


def test_an_answer_that_comes_after_the_caller_has_gone_is_given_back(
    http: Http, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = LicenseClient(http.url, timeout=0.5, max_retries=0, **settings)
    # The first question also reads the certificate authorities, which may take longer than that on a busy machine.
    until(lambda: answers(client))
    read_in_order(http, client, monkeypatch)
    asks: list[Callable[[], Any]] = [client.acquire, client.seat]
    for ask in asks:
        # The timeout of the socket ends the request, so it is asked once more in the background, with the same attempt.
        with http.fake.lock, pytest.raises(LicenseError):
            ask()
    client._context.timeout = 30.0
    with client.seat():
        pass
    until(lambda: http.fake.sessions and not kept(http.fake))
