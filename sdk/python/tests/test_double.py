"""The server in memory that is shipped for the tests of vendors."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from coditect_license import (
    AsyncLicenseClient,
    Clock,
    InvalidKey,
    LicenseClient,
    LicenseError,
    NoSeats,
    SeatState,
    ServerUnreachable,
    SessionGone,
    TooManyProcesses,
    VerificationFailed,
    WrongProduct,
    _errors,
    _flows as flows,
    _roots,
    _store,
)
from coditect_license.testing import InMemoryServer, ManualClock, OutageKind, refusal

OFFLINE_STATES = (SeatState.OFFLINE, SeatState.DEGRADED)


def clients_own(server: InMemoryServer, **settings: Any) -> LicenseClient:
    """A client as a program makes it, which knows nothing of the double."""
    return LicenseClient(server.url, key=server.key, product="studio", roots=server.roots, **settings)


# What is left behind.


def open_sockets() -> set[str]:
    return {
        target
        for entry in Path("/proc/self/fd").iterdir()
        if (target := _target(entry)) is not None and target.startswith("socket:")
    }


def _target(entry: Path) -> str | None:
    try:
        return str(entry.readlink())
    except OSError:
        return None


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux shows what a process has open")
def test_it_leaves_no_thread_and_no_socket_behind() -> None:
    gc.collect()
    threads, sockets = set(threading.enumerate()), open_sockets()
    with InMemoryServer() as server:
        assert set(threading.enumerate()) == threads, "the server in memory has none"
        held = clients_own(server).seat()  # nobody releases it
        assert server.seats_used == 1 and open_sockets() == sockets
        with server.listen() as port:
            host, _, number = port.url.removeprefix("http://").partition(":")
            with socket.create_connection((host, int(number))) as connection:
                connection.sendall(b"GET /.well-known/license-keys HTTP/1.1\r\nHost: x\r\n\r\n")
                assert connection.recv(100).startswith(b"HTTP/1.1 200")
                assert open_sockets() > sockets
                # The client keeps its connection open while the port is closed.
                port.close()
    assert held.state is SeatState.GONE
    gc.collect()
    assert set(threading.enumerate()) == threads and open_sockets() == sockets


def test_a_request_that_hangs_does_not_keep_the_port_from_closing() -> None:
    server = InMemoryServer()
    with server.listen() as port:
        server.lock.acquire()
        try:
            with pytest.raises(httpx.ReadTimeout):
                httpx.get(f"{port.url}/health/live", timeout=0.2)
        finally:
            server.lock.release()


def test_everything_is_put_back() -> None:
    def replaced() -> list[object]:
        return [
            httpx.HTTPTransport.handle_request,
            httpx.AsyncHTTPTransport.handle_async_request,
            Clock.monotonic,
            Clock.wall,
            _roots.packaged_text,
            _store.default_directory,
        ]

    before = replaced()
    with pytest.raises(ZeroDivisionError), InMemoryServer():
        inside = replaced()
        assert all(old is not new for old, new in zip(before, inside, strict=True))
        raise ZeroDivisionError
    assert replaced() == before


def test_two_servers_and_other_addresses_are_told_apart(http: Any) -> None:
    with InMemoryServer(url="https://one.test") as one, InMemoryServer(url="https://two.test") as two:
        with clients_own(one) as first, clients_own(two) as second:
            first.validate()
            second.validate()
            second.validate()
        assert (len(one.calls), len(two.calls)) == (1, 2)
        assert httpx.get(f"{http.url}/.well-known/license-keys").status_code == 200
        assert (len(one.calls), len(two.calls)) == (1, 2)


# The wire.


def test_a_program_that_knows_nothing_of_the_double_takes_its_seat_there() -> None:
    with InMemoryServer(features={"cloud": True}) as server:
        # As in a package that was built with its own root keys.
        with LicenseClient(server.url, key=server.key, product="studio") as client, client.seat() as seat:
            assert seat.has("cloud") and seat.license is not None and seat.license.seats_used == 1
        assert server.verbs() == ["acquire", "release"] and server.own_sessions() == []


def test_its_signatures_are_real() -> None:
    with InMemoryServer() as server:
        for wrong, check in (({"hw": "x"}, "hw"), ({"iss": "https://other"}, "issuer"), ({"exp": 1}, "ttl")):
            server.wrong_claims = wrong
            with clients_own(server) as client, pytest.raises(VerificationFailed) as caught:
                client.acquire()
            assert caught.value.check == check


def test_the_asyncio_client_takes_its_seat_there_too() -> None:
    async def run(server: InMemoryServer) -> None:
        client = AsyncLicenseClient(server.url, key=server.key, product="studio", roots=server.roots)
        async with client, client.seat() as seat:
            for beats in range(1, 5):
                await server.advance_async(110)
                assert server.verbs().count("heartbeat") == beats
            with server.outage():
                await server.advance_async(400)
                assert seat.state.value == "offline"
            await server.advance_async(400)
            assert seat.state.value == "online"

    with InMemoryServer() as server:
        asyncio.run(run(server))
        assert server.verbs() == ["acquire", *["heartbeat"] * 5, "release"]


# Contention.


def test_a_full_license_refuses_and_one_that_is_freed_does_not() -> None:
    with InMemoryServer(seats=2) as server, clients_own(server) as client:
        server.occupy_seats()
        with pytest.raises(NoSeats) as caught:
            client.seat()
        assert [holder.label for holder in caught.value.holders] == ["host-1", "host-2"]
        assert (caught.value.seats_total, caught.value.seats_used) == (2, 2)
        server.vacate_seats(1)
        with client.seat() as seat:
            assert seat.number == 0


def test_machines_take_seats_and_processes_share_them() -> None:
    with InMemoryServer(seats=2, processes_per_seat=2) as server:
        one, two = server.client(hardware_id="machine-1"), server.client(hardware_id="machine-2")
        seats = [one.seat(), one.seat(), two.seat()]
        assert [seat.number for seat in seats] == [0, 0, 1] and server.seats_used == 2
        with pytest.raises(TooManyProcesses):
            one.seat()
        with pytest.raises(NoSeats):
            server.client(hardware_id="machine-3").seat()
        seats[2].release()
        server.client(hardware_id="machine-3").seat()


def test_a_license_that_counts_processes_gives_each_its_own_seat() -> None:
    with InMemoryServer(seats=2, count_processes=True) as server:
        seats = [clients_own(server, instance_id=f"process-{number}").seat() for number in range(2)]
        assert {seat.number for seat in seats} == {0, 1}
        with pytest.raises(NoSeats):
            clients_own(server, instance_id="process-3").seat()
        assert len(server.bodies("acquire")) == 3


def test_a_client_that_waits_is_seated_when_a_seat_is_free() -> None:
    with InMemoryServer(seats=1) as server, clients_own(server) as client:
        server.occupy_seats()
        waits: list[float] = []

        def on_wait(_: object, pause: float) -> None:
            waits.append(pause)
            server.vacate_seats()
            threading.Thread(target=server.advance, args=(pause,)).start()

        assert client.seat(wait=600, on_wait=on_wait).state is SeatState.ONLINE
        assert len(waits) == 1


def test_a_lease_that_is_over_may_be_given_to_another_and_its_session_is_gone() -> None:
    with InMemoryServer(seats=1) as server:
        seat = clients_own(server, hardware_id="machine-1").seat(reacquire=False)
        with server.outage():
            server.advance(400)
        assert seat.state in OFFLINE_STATES
        server.client(hardware_id="machine-2").acquire()
        server.advance(30)
        assert seat.state is SeatState.GONE
        assert isinstance(seat.problem, SessionGone) and seat.problem.reason == "expired"


def test_a_kicked_seat_waits_for_the_lease_of_who_had_it() -> None:
    with InMemoryServer(seats=1) as server:
        seat = clients_own(server, hardware_id="machine-1").seat()
        server.kick()
        server.advance(110)
        assert isinstance(seat.problem, SessionGone) and seat.problem.reason == "kicked"
        with pytest.raises(NoSeats) as caught:
            server.client(hardware_id="machine-2").acquire()
        assert (caught.value.seats_used, caught.value.next_seat_in) == (0, 250)
        server.advance(251)
        server.client(hardware_id="machine-2").acquire()


# Refusals, outages and clocks.

CODES = {
    cls.code: cls
    for cls in vars(_errors).values()
    if isinstance(cls, type) and issubclass(cls, _errors.Refusal) and cls is not _errors.Refusal and "code" in vars(cls)
}


@pytest.mark.parametrize("code", CODES)
def test_every_refusal_can_be_told_and_is_believed(code: str) -> None:
    with InMemoryServer() as server, clients_own(server) as client:
        refusing = server.refusing("acquire", code)
        with refusing, pytest.raises(CODES[code]):
            client.acquire()


def test_a_code_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="no_seats_available"):
        refusal("no_seats")


def test_a_refusal_that_is_not_signed_is_not_believed() -> None:
    with InMemoryServer() as server, clients_own(server, max_retries=0) as client:
        server.sign_refusals = False
        with server.refusing("acquire", "license_revoked"), pytest.raises(ServerUnreachable):
            client.acquire()


@pytest.mark.parametrize("status", ["suspended", "expired", "revoked", "not_started"])
def test_the_state_of_the_license_is_told_to_starts_and_heartbeats(status: str) -> None:
    with InMemoryServer() as server, clients_own(server) as client:
        seat = client.seat()
        server.license_status = status
        with pytest.raises(CODES[f"license_{status}"]):
            server.client(hardware_id="machine-2").acquire()
        assert client.validate().code == f"license_{status}"
        server.advance(110)
        assert isinstance(seat.problem, CODES[f"license_{status}"])
        server.license_status = "active"
        server.advance(110)
        assert (seat.state is SeatState.ONLINE) == (status != "revoked")


def test_wrong_keys_pools_and_products_are_refused() -> None:
    other_key = "CODI-752KJ-Y5EZQ-1CW0A-1B2C3-D4EHJ-KMNP8"
    with InMemoryServer(product="studio") as server:
        with pytest.raises(InvalidKey):
            server.client(key=other_key).validate()
        with pytest.raises(WrongProduct) as caught:
            server.client(product="other").acquire()
        assert caught.value.product == "studio"
        with pytest.raises(LicenseError, match="no pool named beta"):
            server.client(pool="beta").acquire()


@pytest.mark.parametrize("kind", list(OutageKind))
def test_in_an_outage_a_held_seat_stays_and_no_seat_is_given(kind: OutageKind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "TRY_SECONDS", 60.0)
    with InMemoryServer() as server, clients_own(server) as client:
        seat = client.seat()
        with server.outage(kind):
            server.advance(120)
            assert seat.state is SeatState.ONLINE and isinstance(seat.problem, ServerUnreachable)
            began = time.monotonic()
            with pytest.raises(ServerUnreachable):
                server.client(hardware_id="machine-2", max_retries=0, timeout=60).acquire()
            assert time.monotonic() - began < 20
            server.advance(400)
            assert seat.state.value == "offline"
        server.advance(3600)
        assert seat.state.value == "online" and seat.problem is None


def test_a_clock_that_is_advanced_sends_each_heartbeat_before_it_returns() -> None:
    with InMemoryServer() as server, clients_own(server) as client, client.seat():
        for beats in range(1, 20):
            server.advance(110)
            assert server.verbs().count("heartbeat") == beats


def test_a_certificate_is_made_anew_when_its_day_is_over() -> None:
    with InMemoryServer() as server, clients_own(server) as client, client.seat() as seat:
        first = server.signer.kid
        for _ in range(30):
            server.advance(3600)
            assert seat.state is SeatState.ONLINE
        assert server.signer.kid != first


def test_a_clients_wall_clock_may_be_wrong() -> None:
    with InMemoryServer() as server, clients_own(server, max_retries=0) as client:
        server.clock.set_wrong(seconds=-20 * 3600)
        client.seat().release()
        server.clock.set_wrong(seconds=-25 * 3600)
        with pytest.raises(VerificationFailed) as caught:
            client.acquire()
        assert caught.value.check == "not_yet_valid"


def test_a_frozen_clock_stands_still_and_no_clock_goes_back() -> None:
    clock = ManualClock(frozen=True, wall=1_800_000_000.0)
    before = clock.monotonic()
    assert (clock.wall(), clock.monotonic()) == (1_800_000_000.0, before)
    clock.advance(5)
    assert (clock.wall(), clock.monotonic()) == (1_800_000_005.0, before + 5)
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)


def test_a_condition_that_does_not_come_true_says_what_the_server_received() -> None:
    with pytest.raises(AssertionError, match=r"received: \[\]"):
        InMemoryServer().wait_until(lambda: False, timeout=0.01)


# Requests that no client of ours sends.


@pytest.mark.parametrize(
    ("path", "content", "status", "field"),
    [
        ("/api/v1/licenses/acquire", b"", 400, "body"),
        ("/api/v1/licenses/acquire", b"{", 400, "body"),
        ("/api/v1/licenses/acquire", b"[]", 422, "body"),
        ("/api/v1/licenses/acquire", b"{}", 422, "license_key"),
        ("/api/v1/licenses/acquire", b'{"licence_key": "x"}', 422, "licence_key"),
        ("/api/v1/licenses/heartbeat", b'{"nonce": "short"}', 422, "nonce"),
        ("/api/v1/licenses/release", b'{"a": 1}', 422, "a"),
        ("/api/v1/licenses/acquire", b" " * 70_000, 413, None),
        ("/api/v1/licenses/borrow", b"{}", 404, None),
    ],
)
def test_a_request_that_is_wrong_is_refused_as_the_server_refuses_it(
    path: str, content: bytes, status: int, field: str | None
) -> None:
    server = InMemoryServer()
    answer = server.handle(httpx.Request("POST", f"{server.url}{path}", content=content))
    assert answer.status_code == status
    errors = answer.json().get("errors", [])
    assert (errors[0]["field"] if errors else None) == field
