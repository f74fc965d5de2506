"""Both faces over a server that answers well, badly, slowly or not at all."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from coditect_license import (
    AsyncLicenseClient,
    InvalidKey,
    InvalidRequest,
    LicenseClient,
    LicenseError,
    LicenseExpired,
    LicenseNotStarted,
    LicenseRevoked,
    LicenseSuspended,
    NoSeats,
    Refusal,
    SeatState,
    ServerUnreachable,
    TooManyProcesses,
    UnknownPool,
    VerificationFailed,
    WrongProduct,
)
from coditect_license._exchange import SendRequest
from coditect_license._http import AsyncHttp, SyncHttp
from coditect_license._proxies import RequestWay
from coditect_license._seat_thread import SeatThread

from .conftest import SOON_SECONDS, FakeClock, until
from .fake_server import ISSUER, FakeServer, Http
from .pulse import within

REFUSALS: list[tuple[int, str, dict[str, Any], type[LicenseError]]] = [
    (401, "license_key_invalid", {}, InvalidKey),
    (403, "license_expired", {"license": "1XTSA1CTX2VZP", "since": "2026-11-21T03:10:48Z"}, LicenseExpired),
    (403, "license_suspended", {}, LicenseSuspended),
    (403, "license_revoked", {}, LicenseRevoked),
    (403, "license_not_started", {}, LicenseNotStarted),
    (403, "product_not_allowed", {"product": "other"}, WrongProduct),
    (403, "something_new", {}, Refusal),
    (404, "not_found", {}, UnknownPool),
    (408, "request_timeout", {}, ServerUnreachable),
    (409, "no_seats_available", {"seats_total": 5, "seats_used": 5}, NoSeats),
    (409, "too_many_processes", {"processes": 32}, TooManyProcesses),
    (422, "invalid_request", {"errors": [{"field": "pool", "problem": "is wrong"}]}, InvalidRequest),
    (500, "internal", {}, ServerUnreachable),
    (503, "seats_unavailable", {"retry_after": 2}, ServerUnreachable),
    (429, "rate_limited", {"retry_after": 1}, ServerUnreachable),
]


@pytest.mark.parametrize(("status", "code", "members", "kind"), REFUSALS)
def test_each_refusal_is_its_exception_in_both_faces(
    client: LicenseClient,
    async_client: AsyncLicenseClient,
    server: FakeServer,
    status: int,
    code: str,
    members: dict[str, Any],
    kind: type[LicenseError],
) -> None:
    server.refuse["acquire"] = (status, code, members)
    client._context.max_retries = async_client._context.max_retries = 0
    for ask in (client.acquire, client.seat, lambda: asyncio.run(async_client.acquire())):
        with pytest.raises(kind) as caught:
            ask()
        assert type(caught.value) is kind
        assert isinstance(caught.value, LicenseError)


def test_a_refusal_says_what_a_program_needs(client: LicenseClient, server: FakeServer) -> None:
    holders = [{"label": "host-1", "since": "2026-11-21T03:31:22.034Z", "seen_in": 7}, {"label": "garbled"}]
    members = {"seats_total": 5, "seats_used": 5, "next_seat_in": 41, "holders": holders}
    server.refuse["acquire"] = (409, "no_seats_available", members)
    with pytest.raises(NoSeats) as caught:
        client.seat()
    error = caught.value
    assert (error.next_seat_in, error.seats_total, error.request_id) == (41, 5, "r-1")
    assert [(holder.label, holder.seen_in) for holder in error.holders] == [("host-1", 7)]
    assert error.holders[0].since.utcoffset() is not None


def test_a_machine_full_of_its_own_processes_is_told_when_the_first_is_over(
    client: LicenseClient, server: FakeServer
) -> None:
    server.refuse["acquire"] = (409, "too_many_processes", {"processes": 32, "next_process_in": 17})
    with pytest.raises(TooManyProcesses) as caught:
        client.seat()
    assert (caught.value.processes, caught.value.next_process_in) == (32, 17)


def test_a_409_is_an_answer_and_not_repeated(client: LicenseClient, server: FakeServer) -> None:
    server.refuse["acquire"] = (409, "no_seats_available", {})
    with pytest.raises(NoSeats):
        client.acquire()
    assert server.verbs() == ["acquire"]


def test_a_503_is_repeated_with_the_same_attempt_and_no_sooner_than_the_server_wishes(
    server: FakeServer, settings: dict[str, Any]
) -> None:
    def recovering(request: httpx.Request) -> httpx.Response:
        server.broken = None
        return server.problem(503, "seats_unavailable", {"retry_after": 1}, nonce=None)

    server.broken = recovering
    client = LicenseClient(ISSUER, transport=httpx.MockTransport(server.handle), clock=None, **settings)
    server.now = time.time
    server.signer = type(server.signer)(int(time.time()))
    began = time.monotonic()
    lease = client.acquire()
    assert time.monotonic() - began >= 1.0
    first, second = server.bodies("acquire")
    assert first["attempt"] == second["attempt"] == lease.attempt and first["nonce"] != second["nonce"]


FULL: list[tuple[int, str, dict[str, Any]]] = [
    (409, "no_seats_available", {"seats_total": 1, "seats_used": 1, "next_seat_in": 1}),
    (409, "too_many_processes", {"processes": 1, "next_process_in": 1}),
]


@pytest.mark.parametrize("full", FULL)
@pytest.mark.parametrize(("wait", "looks"), [(0.0, 1), (1.0, 1), (2.0, 2)])
def test_waiting_for_a_seat_ends_when_it_should(
    client: LicenseClient,
    server: FakeServer,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    wait: float,
    looks: int,
    full: tuple[int, str, dict[str, Any]],
) -> None:
    """It looks again where there is time to, and never when its time is over."""
    began, asked, handle = clock.monotonic(), [], server.handle

    def note(request: httpx.Request) -> httpx.Response:
        asked.append(clock.monotonic() - began)
        return handle(request)

    monkeypatch.setattr(SeatThread, "_wait", lambda _, seconds: clock.advance(seconds))
    server.refuse["acquire"] = full
    client._http._transport = httpx.MockTransport(note)
    with pytest.raises((NoSeats, TooManyProcesses)):
        client.seat(wait=wait)
    assert len(asked) == looks and all(at < max(wait, 0.1) for at in asked), asked
    assert clock.monotonic() - began <= wait


def test_a_process_without_a_thread_left_is_told_so(client: LicenseClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    with pytest.raises(ServerUnreachable, match="no thread left"):
        client.seat()
    assert client.acquire().seat == 0, "a single call goes on without one"


GARBAGE: dict[str, Callable[[httpx.Request], httpx.Response]] = {
    "an HTML page": lambda _: httpx.Response(200, text="<html>Please log in to the hotel's network</html>"),
    "no body": lambda _: httpx.Response(200),
    "a list": lambda _: httpx.Response(200, json=[1, 2]),
    "empty JSON": lambda _: httpx.Response(200, json={}),
    "deep JSON": lambda _: httpx.Response(200, text="[" * 100_000),
    "half of UTF-8": lambda _: httpx.Response(200, content=b'{"session": "\xc3'),
    "a huge number": lambda _: httpx.Response(200, text='{"session": "x", "token": ' + "9" * 10_000 + "}"),
    "a redirect": lambda _: httpx.Response(302, headers={"location": "https://evil.example/"}),
    "a page of errors": lambda _: httpx.Response(502, text="<html>Bad Gateway</html>"),
    "a problem of somebody else": lambda _: httpx.Response(403, json={"title": "Forbidden", "status": 403}),
    "a code that is no text": lambda _: httpx.Response(403, json={"code": ["license_revoked"]}),
    "a teapot": lambda _: httpx.Response(418, json={"code": "teapot"}),
    "more than any answer": lambda _: httpx.Response(200, content=b" " * (300 * 1024)),
    "wrong types everywhere": lambda _: httpx.Response(
        201, json={"session": 7, "token": [], "certificate": {}, "license": [], "expires_in": "x", "heartbeat_in": None}
    ),
    "a bomb": lambda _: httpx.Response(
        200, headers={"content-encoding": "gzip"}, content=gzip.compress(b" " * 10_000_000)
    ),
    "nothing but a session": lambda _: httpx.Response(201, json={"session": "s"}),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_a_server_that_was_not_reached_and_never_anything_else(
    client: LicenseClient, async_client: AsyncLicenseClient, server: FakeServer, name: str
) -> None:
    server.broken = GARBAGE[name]
    client._context.max_retries = async_client._context.max_retries = 0
    calls: list[Callable[[], object]] = [
        client.acquire,
        client.validate,
        client.seat,
        lambda: asyncio.run(async_client.acquire()),
    ]
    for call in calls:
        with pytest.raises((ServerUnreachable, VerificationFailed)):
            call()


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_in_place_of_a_heartbeat_costs_nothing_while_the_lease_lasts(
    client: LicenseClient, server: FakeServer, name: str, clock: FakeClock
) -> None:
    with client.seat() as seat:
        server.broken = GARBAGE[name]
        seat.retry_now()
        until(lambda: seat.problem is not None)
        assert isinstance(seat.problem, (ServerUnreachable, VerificationFailed))
        assert seat.state is SeatState.ONLINE and seat.has("cloud")
        server.broken = None
        seat.retry_now()
        until(lambda: seat.problem is None)


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(params=["header", "body"])
def dripping(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that sends its header, or its body, a byte at a time, for ever: no timeout of a socket ever runs out."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                if request.param == "body":
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while not stop.wait(0.05):
                    try:
                        connection.sendall(b"H" if request.param == "header" else b" ")
                    except OSError:
                        return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        stop.set()
        thread.join(5)


SentRequests = list[tuple[threading.Thread, str, float]]
"""Which thread sent a request of which id, and the seconds that it was given."""


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> SentRequests:
    given: SentRequests = []
    send, send_async = SyncHttp.send, AsyncHttp.send

    def note(self: SyncHttp, effect: SendRequest) -> Any:
        given.append((threading.current_thread(), effect.request.request_id, effect.timeout))
        return send(self, effect)

    async def note_async(self: AsyncHttp, effect: SendRequest, way: RequestWay) -> Any:
        given.append((threading.current_thread(), effect.request.request_id, effect.timeout))
        return await send_async(self, effect, way)

    monkeypatch.setattr(SyncHttp, "send", note)
    monkeypatch.setattr(AsyncHttp, "send", note_async)
    return given


LEAST_SECONDS = 0.05
"""What a request is given at least, if its time is over just as it is sent."""


def ends_in_time(call: Callable[[], object], timeout: float, given: SentRequests) -> ServerUnreachable:
    """What a call raises whose requests all take as long as they may. Its last one is named by what it raises."""
    with pytest.raises(ServerUnreachable) as caught:
        within(SOON_SECONDS, call)
    sender = next(thread for thread, name, _ in given if name == caught.value.request_id)
    seconds: list[float] = []
    for thread, name, timeout_given in given:
        if thread is sender:
            seconds.append(timeout_given)
            if name == caught.value.request_id:
                break
    assert sum(seconds) <= timeout + LEAST_SECONDS * (len(seconds) - 1), seconds
    return caught.value


def test_nobody_waits_longer_than_the_timeout_for_a_silent_server(
    silent: str, settings: dict[str, Any], given: SentRequests
) -> None:
    with LicenseClient(silent, timeout=1.0, **settings) as client:
        for call in (client.acquire, client.validate, client.seat):
            assert "1" in str(ends_in_time(call, 1.0, given))
    async_client = AsyncLicenseClient(silent, timeout=1.0, **settings)
    ends_in_time(lambda: asyncio.run(async_client.acquire()), 1.0, given)


def test_nobody_waits_longer_than_the_timeout_for_a_server_that_drips(
    dripping: str, settings: dict[str, Any], given: SentRequests
) -> None:
    client = LicenseClient(dripping, timeout=1.0, max_retries=0, **settings)
    ends_in_time(client.seat, 1.0, given)


def test_an_unreachable_server_is_said_so_in_words_for_people(settings: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    client = LicenseClient(url, timeout=60.0, max_retries=0, **settings)
    with client, pytest.raises(ServerUnreachable) as caught:
        within(SOON_SECONDS, client.seat)  # nothing is waited for where the connection is refused
    error = caught.value
    assert url in str(error) and "refused" in str(error) and "no token was kept" in str(error)


def test_a_resolver_that_hangs_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], given: SentRequests
) -> None:
    """Getaddrinfo has no timeout; on a train it takes half a minute."""
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(60))
    client = LicenseClient("https://licenses.example.com", timeout=1.0, **settings)
    for call in (client.seat, client.acquire, client.validate):
        ends_in_time(call, 1.0, given)
    release.set()


def test_an_instance_id_is_sent_to_a_license_that_asks_for_it_and_then_stays(
    client: LicenseClient, server: FakeServer
) -> None:
    server.wants_instance = True
    client.acquire()
    client.acquire()
    first, second, third = server.bodies("acquire")
    assert "instance_id" not in first and second["instance_id"] == third["instance_id"]
    assert first["attempt"] == second["attempt"] != third["attempt"]


def test_the_asyncio_seat_keeps_itself_and_gives_itself_back(http: Http, settings: dict[str, Any]) -> None:
    http.fake.lease, http.fake.heartbeat_in = 5, 1

    async def program() -> None:
        async with AsyncLicenseClient(http.url, **settings) as client, client.seat() as seat:
            assert seat.state is SeatState.ONLINE and seat.has("cloud") and not seat.has("beta")
            while http.fake.verbs().count("heartbeat") < 2:
                await asyncio.sleep(0.05)
            waited = await client.seat()
            assert await waited.release() and await waited.release()
            assert waited.state is SeatState.GONE

    asyncio.run(asyncio.wait_for(program(), 60))
    assert http.fake.verbs().count("release") == 2 and len(set(http.fake.released)) == 2


def test_the_asyncio_face_starts_offline_from_a_kept_token(http: Http, settings: dict[str, Any]) -> None:
    earlier = LicenseClient(http.url, timeout=2.0, **settings).seat()
    http.close()
    earlier.release()  # reaches nobody, so the token stays

    async def program() -> None:
        client = AsyncLicenseClient(http.url, timeout=2.0, **settings)
        async with client.seat() as seat:
            assert seat.state is SeatState.OFFLINE and seat.has("cloud")
        await client.close()

    asyncio.run(asyncio.wait_for(program(), 60))
