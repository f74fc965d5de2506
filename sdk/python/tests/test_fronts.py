"""Several addresses of one deployment, and addresses that are written in other ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from coditect_license import AsyncLicenseClient, LicenseClient, SeatState, ServerUnreachable, VerificationFailed
from coditect_license.testing import HeldSession

from .conftest import FakeClock, until
from .fake_server import ISSUER, FakeServer, Http

FIRST, SECOND = ISSUER, "https://second.example.com"


class Fronts:
    """Two addresses of one server, of which each can be away or another's."""

    def __init__(self, server: FakeServer) -> None:
        self.servers: dict[str, FakeServer | None] = {FIRST: server, SECOND: server}
        self.asked: list[tuple[str, str, str | None]] = []

    def handle(self, request: httpx.Request) -> httpx.Response:
        import json

        address = f"{request.url.scheme}://{request.url.host}"
        body = json.loads(request.content or b"{}")
        self.asked.append((address, request.url.path.rsplit("/", 1)[-1], body.get("attempt")))
        server = self.servers[address]
        if server is None:
            raise httpx.ConnectError("connection refused")
        return server.handle(request)


class Stranger(FakeServer):
    """Another deployment, whose handles are no other's."""

    def _named(self, session: HeldSession) -> HeldSession:
        named = super()._named(session)
        named.handle = f"of-a-stranger-{named.handle}"
        return named


@pytest.fixture
def fronts(server: FakeServer) -> Fronts:
    return Fronts(server)


@pytest.fixture
def client(fronts: Fronts, clock: FakeClock, settings: dict[str, Any]) -> LicenseClient:
    transport = httpx.MockTransport(fronts.handle)
    return LicenseClient([FIRST, SECOND], transport=transport, clock=clock, max_retries=0, **settings)


def test_where_the_first_address_is_away_the_next_gets_the_same_attempt(client: LicenseClient, fronts: Fronts) -> None:
    fronts.servers[FIRST] = None
    with client.seat() as seat:
        assert seat.state is SeatState.ONLINE
        assert [address for address, _, _ in fronts.asked] == [FIRST, SECOND]
        assert len({attempt for _, _, attempt in fronts.asked}) == 1
        seat.retry_now()
        until(lambda: fronts.asked[-1][:2] == (SECOND, "heartbeat"))
        assert fronts.asked[-2][0] == SECOND, "the one that answers is asked first from now on"
        fronts.servers[FIRST], fronts.servers[SECOND] = fronts.servers[SECOND], None
        seat.retry_now()
        until(lambda: fronts.asked[-1][:2] == (FIRST, "heartbeat"))
        until(lambda: seat.problem is None)
        fronts.servers[FIRST], fronts.servers[SECOND] = None, fronts.servers[FIRST]
    assert fronts.asked[-1][:2] == (SECOND, "release"), "a seat is released where any of them answers"


def test_an_asyncio_client_does_the_same(fronts: Fronts, clock: FakeClock, settings: dict[str, Any]) -> None:
    fronts.servers[FIRST] = None

    async def program() -> None:
        transport = httpx.MockTransport(fronts.handle)
        client = AsyncLicenseClient([FIRST, SECOND], transport=transport, clock=clock, **settings)
        async with client, client.seat() as seat:
            assert seat.state is SeatState.ONLINE

    asyncio.run(program())
    assert [address for address, _, _ in fronts.asked] == [FIRST, SECOND, SECOND]


def test_another_issuer_behind_an_address_is_refused_and_its_seat_given_back(
    client: LicenseClient, fronts: Fronts, server: FakeServer
) -> None:
    stranger = FakeServer(now=server.now, issuer="https://other.example.com")
    fronts.servers[SECOND] = stranger
    fronts.servers[FIRST] = None
    with pytest.raises(VerificationFailed, match="issuer"):
        client.seat()
    until(lambda: stranger.sessions and set(stranger.sessions) == set(stranger.released))
    fronts.servers[FIRST] = stranger
    fronts.servers[SECOND] = server
    with client.seat() as seat:
        assert seat.state is SeatState.ONLINE
    assert set(stranger.sessions) <= set(stranger.released) and set(server.sessions) == set(server.released)


def test_a_seat_is_given_back_to_its_deployment_though_another_one_answered_last(
    client: LicenseClient, fronts: Fronts, server: FakeServer
) -> None:
    stranger = Stranger(now=server.now, issuer="https://other.example.com")
    fronts.servers[FIRST] = stranger
    with client.seat():
        until(lambda: stranger.sessions and set(stranger.sessions) == set(stranger.released))
        client.validate()  # which nobody signs
    assert set(server.sessions) == set(server.released)
    # Also where the other one is asked first, which refuses a handle that it does not know.
    lease = client.acquire()
    client._context.prefer_server(FIRST)
    client.release(lease)
    assert set(server.sessions) == set(server.released)


def test_an_asyncio_client_does_the_same_where_another_issuer_is_behind_the_first_address(
    fronts: Fronts, clock: FakeClock, settings: dict[str, Any], server: FakeServer
) -> None:
    stranger = Stranger(now=server.now, issuer="https://other.example.com")
    fronts.servers[FIRST] = stranger

    async def program() -> None:
        transport = httpx.MockTransport(fronts.handle)
        client = AsyncLicenseClient([FIRST, SECOND], transport=transport, clock=clock, max_retries=0, **settings)
        async with client:
            async with client.seat() as seat:
                assert seat.state is SeatState.ONLINE
            # Not at the end of the loop only.
            await until_in_loop(lambda: set(stranger.sessions) == set(stranger.released))
            assert stranger.sessions and set(server.sessions) == set(server.released)
            lease = await client.acquire()
            await until_in_loop(lambda: set(stranger.sessions) == set(stranger.released))
            assert set(server.sessions) - set(server.released) == {lease.session}
            fronts.servers[FIRST], fronts.servers[SECOND] = server, None  # the other address of the same deployment
            await client.release(lease)

    asyncio.run(asyncio.wait_for(program(), 30))
    assert set(server.sessions) == set(server.released)


def test_an_asyncio_seat_is_released_through_the_other_address_in_its_running_loop(
    fronts: Fronts, clock: FakeClock, settings: dict[str, Any], server: FakeServer
) -> None:
    async def program() -> None:
        transport = httpx.MockTransport(fronts.handle)
        client = AsyncLicenseClient([FIRST, SECOND], transport=transport, clock=clock, **settings)
        async with client:
            seat = await client.seat()
            fronts.servers[FIRST] = None
            assert await seat.release() and set(server.sessions) == set(server.released)
            fronts.servers[FIRST] = server
            client._context.prefer_server(FIRST)
            async with client.seat():
                fronts.servers[FIRST] = None
            assert set(server.sessions) == set(server.released)

    asyncio.run(asyncio.wait_for(program(), 30))
    assert [address for address, verb, _ in fronts.asked if verb == "release"] == [FIRST, SECOND, FIRST, SECOND]


async def until_in_loop(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def test_where_no_address_answers_the_error_says_so(client: LicenseClient, fronts: Fronts) -> None:
    fronts.servers = dict.fromkeys(fronts.servers)
    for ask in (client.seat, client.acquire, client.validate):
        with pytest.raises(ServerUnreachable):
            ask()


@pytest.mark.parametrize("spelled", ["http://localhost:{}", "http://LOCALHOST:{}/", "http://127.0.0.1:{}"])
def test_the_address_that_people_type_for_this_machine_works(
    http: Http, settings: dict[str, Any], spelled: str
) -> None:
    with LicenseClient(spelled.format(http.url.rsplit(":", 1)[-1]), **settings) as client, client.seat() as seat:
        assert seat.state is SeatState.ONLINE


def test_one_address_written_in_two_ways_is_one_issuer() -> None:
    from coditect_license._addresses import same_address

    for one, other in (
        ("https://licenses.example.com", "https://Licenses.Example.com:443/"),
        ("http://localhost:8080", "http://[::1]:8080"),
        ("any text", "any text"),
    ):
        assert same_address(one, other) and same_address(other, one)
    for one, other in (
        ("https://licenses.example.com", "http://licenses.example.com"),
        ("https://licenses.example.com", "https://licenses.example.com/x"),
        ("https://licenses.example.com", "https://licenses.example.com:8443"),
        ("http://localhost:8080", "http://localhost:8081"),
        ("https://licenses.example.com", "https://licenses.example.com?x"),
        ("https://licenses.example.com", "https://user@licenses.example.com"),
        ("http://localhost", "http://example.com"),
        ("some text", "other text"),
    ):
        assert not same_address(one, other)
