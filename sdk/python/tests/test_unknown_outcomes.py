"""A seat that was granted to somebody who does not know of it is found again and given back."""

from __future__ import annotations

import asyncio
import gzip
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from coditect_license import (
    AsyncLicenseClient,
    LicenseClient,
    LicenseError,
    SeatState,
    ServerUnreachable,
    VerificationFailed,
    _flows as flows,
    _seat_flows as seat_flows,
)
from coditect_license.testing import InMemoryServer, OutageKind

from .conftest import FakeClock, until
from .fake_server import ISSUER, FakeServer, Http
from .test_given_back import kept
from .test_lifecycle import Program

LOST = OutageKind.ANSWER_LOST


@pytest.fixture
def double() -> Iterator[InMemoryServer]:
    """The server as it is shipped."""
    with InMemoryServer(seats=1, processes_per_seat=1) as server:
        yield server


def ways(server: InMemoryServer, **settings: Any) -> dict[str, Callable[[Callable[[], object]], object]]:
    """A start that fails, then something else, then the end of the client: in both faces."""

    def by_thread(call: str) -> Callable[[Callable[[], object]], object]:
        def way(meanwhile: Callable[[], object]) -> None:
            with server.client(max_retries=0, **settings) as client:
                with pytest.raises(LicenseError):
                    getattr(client, call)()
                meanwhile()

        return way

    def by_task(call: str) -> Callable[[Callable[[], object]], object]:
        async def program(meanwhile: Callable[[], object]) -> None:
            async with server.async_client(max_retries=0, **settings) as client:
                with pytest.raises(LicenseError):
                    await getattr(client, call)()
                await asyncio.to_thread(meanwhile)

        return lambda meanwhile: asyncio.run(program(meanwhile))

    return {
        "seat": by_thread("seat"),
        "acquire": by_thread("acquire"),
        "async seat": by_task("seat"),
        "async acquire": by_task("acquire"),
    }


WAYS = ("seat", "acquire", "async seat", "async acquire")


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_that_was_lost_once_leaves_no_seat_behind(double: InMemoryServer, way: str) -> None:
    """The one answer was lost; whoever fails to start asks once more, though nobody waits for it."""
    handle = double.handle

    def lose_the_first(request: httpx.Request) -> httpx.Response:
        double.outage_kind = None if double.calls else LOST
        return handle(request)

    double.handle = lose_the_first  # type: ignore[method-assign]
    ways(double)[way](lambda: until(lambda: not double.own_sessions()))
    assert len({body["attempt"] for body in double.bodies("acquire")}) == 1
    assert double.verbs() == ["acquire", "acquire", "release"]


@pytest.mark.parametrize("way", WAYS)
def test_answers_that_are_lost_until_the_client_is_closed_leave_no_seat_behind(
    double: InMemoryServer, way: str
) -> None:
    def and_then_the_network_is_well() -> None:
        assert until(lambda: len(double.bodies("acquire")) == 2), "it is asked at once, in vain"
        assert len(double.own_sessions()) == 1
        time.sleep(0.1)
        double.outage_kind = None

    double.outage_kind = LOST
    ways(double)[way](and_then_the_network_is_well)
    assert double.own_sessions() == []
    assert len({body["attempt"] for body in double.bodies("acquire")}) == 1


@pytest.mark.parametrize("call", ["seat", "acquire"])
def test_answers_that_are_lost_until_the_program_ends_leave_no_seat_behind(
    http: Http, tmp_path: Path, call: str
) -> None:
    code = f"""
import asyncio
from coditect_license import AsyncLicenseClient, ServerUnreachable
client._context.max_retries = 0
try: client.{call}()
except ServerUnreachable: print("in vain", flush=True)
async def main():
    global other
    settings["hardware_id"] = "machine-0002"
    other = AsyncLicenseClient(client._context.server, max_retries=0, **settings)
    try: await other.{call}()
    except ServerUnreachable: print("in vain", flush=True)
    await asyncio.sleep(1)
    await other._http.close()
asyncio.run(main())
print("now", flush=True)
sys.stdin.readline()
"""
    http.fake.outage_kind = LOST
    program = Program(http, tmp_path, code)
    assert [program.line() for _ in range(3)] == ["in vain", "in vain", "now"]
    assert len(kept(http.fake)) == 2
    http.fake.outage_kind = None
    status, _, err = program.end()
    assert status == 0, err
    assert not kept(http.fake)


def test_a_program_that_tries_again_at_once_is_not_refused_for_its_own_lost_seat(double: InMemoryServer) -> None:
    handle, go = double.handle, threading.Event()

    def slowly(request: httpx.Request) -> httpx.Response:
        response = handle(request)
        if double.verbs() == ["acquire", "acquire"]:
            go.wait(60)  # the second one is that in the background
        return response

    double.handle = slowly  # type: ignore[method-assign]
    with double.client(max_retries=0) as client:
        with double.outage(LOST), pytest.raises(ServerUnreachable):
            client.seat()
        until(lambda: len(double.calls) == 2)
        threading.Timer(0.3, go.set).start()
        with client.seat() as seat:
            assert seat.state is SeatState.ONLINE
    assert double.own_sessions() == []


def test_a_request_that_reached_nobody_is_not_asked_for_again(double: InMemoryServer) -> None:
    asked: list[str] = []

    class Refused(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            asked.append(request.url.path)
            raise httpx.ConnectError("connection refused", request=request)

    client = LicenseClient(double.url, transport=Refused(), max_retries=0, **double.settings())
    with client, pytest.raises(ServerUnreachable):
        client.seat()
    assert len(asked) == 1


# Answers that are not read to their end.


class Changing(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A proxy that changes the answer to an acquire."""

    def __init__(self, server: FakeServer, change: Callable[[bytes], tuple[bytes, dict[str, str]]]) -> None:
        self.server, self.change = server, change

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.server.handle(request)
        if not request.url.path.endswith("acquire"):
            return response
        body, headers = self.change(response.content)
        return httpx.Response(response.status_code, headers=headers, stream=Pieces(body))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return self.handle_request(request)


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self.body = body

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self.body), 50_000):
            yield self.body[at : at + 50_000]

    async def __aiter__(self) -> Any:
        for piece in self:
            yield piece


def deflated(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


CHANGES: dict[str, Callable[[bytes], tuple[bytes, dict[str, str]]]] = {
    "gzip": lambda body: (gzip.compress(body), {"content-encoding": "gzip"}),
    "deflate": lambda body: (zlib.compress(body), {"content-encoding": "deflate"}),
    "deflate without a head": lambda body: (deflated(body), {"content-encoding": "deflate"}),
    "much that is packed": lambda body: (gzip.compress(body + b" " * 99_000_000), {"content-encoding": "gzip"}),
    "much": lambda body: (body[:-1] + b"," * 400_000, {}),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("call", ["seat", "acquire"])
def test_a_seat_in_an_answer_that_is_not_read_is_given_back(
    server: FakeServer, settings: dict[str, Any], call: str, change: str
) -> None:
    way = Changing(server, CHANGES[change])
    more = settings | {"clock": None, "max_retries": 0}
    server.now = time.time
    server.signer = type(server.signer)(int(time.time()))
    with LicenseClient(ISSUER, transport=way, **more) as client, pytest.raises(ServerUnreachable, match="answer is"):
        getattr(client, call)()
    assert len(server.sessions) == 1 and not kept(server)

    async def program() -> None:
        async with AsyncLicenseClient(ISSUER, transport=way, **more) as client:
            await getattr(client, call)()

    with pytest.raises(ServerUnreachable, match="answer is"):
        asyncio.run(program())
    assert len(server.sessions) == 2 and not kept(server)


def test_a_seat_in_an_answer_that_comes_too_slowly_is_given_back(
    server: FakeServer, clock: FakeClock, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(body: bytes) -> tuple[bytes, dict[str, str]]:
        return body, {}

    def late(self: Pieces) -> Iterator[bytes]:
        clock.advance(21)
        yield self.body

    monkeypatch.setattr(Pieces, "__iter__", late)
    more = settings | {"clock": clock, "max_retries": 0, "timeout": 20}
    with (
        LicenseClient(ISSUER, transport=Changing(server, slowly), **more) as client,
        pytest.raises(ServerUnreachable, match="in time"),
    ):
        client.acquire()
    assert not kept(server) and "release" in server.verbs()


# Errors are told at once.


@pytest.mark.parametrize("call", ["seat", "acquire"])
def test_a_give_back_that_takes_long_replaces_no_error(
    http: Http, settings: dict[str, Any], call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (flows, seat_flows):
        monkeypatch.setattr(module, "TRY_SECONDS", 60.0)
    http.fake.tweak = {"iss": "https://other.example.com"}
    release, go, asked = http.fake._release, threading.Event(), threading.Event()

    def slowly(*arguments: Any) -> httpx.Response:
        asked.set()
        http.fake.lock.release()
        try:
            assert go.wait(60)
        finally:
            http.fake.lock.acquire()
        return release(*arguments)

    monkeypatch.setattr(http.fake, "_release", slowly)

    async def program() -> None:
        client = AsyncLicenseClient(http.url, timeout=60, max_retries=0, **settings)
        await client.validate()
        began = time.monotonic()
        with pytest.raises(VerificationFailed, match="issuer"):
            await getattr(client, call)()
        assert time.monotonic() - began < 20
        await asyncio.to_thread(asked.wait, 60)
        go.set()
        await client.close()

    client = LicenseClient(http.url, timeout=60, max_retries=0, **settings)
    client.validate()
    began = time.monotonic()
    with pytest.raises(VerificationFailed, match="issuer"):
        getattr(client, call)()
    assert time.monotonic() - began < 20
    assert asked.wait(60)
    go.set()
    until(lambda: len(http.fake.sessions) == 1 and not kept(http.fake))
    go.clear()
    asked.clear()
    asyncio.run(program())
    until(lambda: len(http.fake.sessions) == 2 and not kept(http.fake))
    client.close()
