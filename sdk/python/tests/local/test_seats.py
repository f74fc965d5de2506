"""The whole client against the real server, with leases of six seconds."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coditect_license import (
    AsyncLicenseClient,
    AsyncSeat,
    Clock,
    LicenseClient,
    LicenseSuspended,
    NoSeats,
    Seat,
    SeatState,
    ServerUnreachable,
    SessionGone,
    TooManyProcesses,
    UnknownPool,
    WrongProduct,
    _flows as flows,
    _seat_flows as seat_flows,
)
from coditect_license._http import SyncHttp
from coditect_license._identity import this_system

from ..conftest import until
from .asks import Ask, note_asks, read_asks, whole_lines, wrongly_told_full
from .machine import TTL, Machine, NewLicense

Connect = Callable[..., LicenseClient]

HOLDER = """
import sys, time
from coditect_license import LicenseClient
from tests.local.asks import note_asks
server, roots, key, hardware, cache, asks = sys.argv[1:]
note_asks(open(asks, "w"))
names = dict(hardware_id=hardware, hostname=hardware)
client = LicenseClient(server, key=key, product="demo", roots=roots, cache_dir=cache, **names)
seat = client.seat()
print(seat.number, flush=True)
time.sleep(600)
"""


@contextlib.contextmanager
def holder(
    machine: Machine, license_: NewLicense, directory: Path, hardware_id: str
) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a seat until it is stopped. :func:`asks_of` is what it asked."""
    roots = directory / "roots.json"
    roots.write_text(json.dumps(machine.roots()))
    command = [
        sys.executable,
        "-c",
        HOLDER,
        machine.url,
        str(roots),
        license_.key,
        hardware_id,
        str(directory / "other-cache"),
        str(directory / "asks"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "0\n"
        yield process
        process.kill()


def asks_of(directory: Path, name: str = "asks") -> list[Ask]:
    """What a process wrote of its questions, without the line in which it was killed."""
    return list(read_asks(whole_lines(directory / name), name))


class ShiftedClock(Clock):
    """The real clocks, and what a test adds to them."""

    def __init__(self) -> None:
        self.slept, self.set = 0.0, 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.slept

    def wall(self) -> float:
        return super().wall() + self.slept + self.set


def renewed_at(seat: Seat | AsyncSeat) -> float:
    """When the lease was given that the seat has now, in Unix time of the server."""
    return 0.0 if seat.claims is None else seat.claims.iat


def test_a_seat_is_taken_verified_kept_over_leases_and_given_back(machine: Machine, connect: Connect) -> None:
    license_ = machine.license(features='{"cloud": true, "exports": 3}')
    client = connect(machine, license_)
    with client.seat() as seat:
        assert seat.state is SeatState.ONLINE and seat.number == 0
        assert seat.has("cloud") and seat.feature("exports") == 3 and not seat.has("teleport")
        assert seat.claims is not None and seat.claims.hw == client.hw
        first = seat.claims.jti
        until(lambda: seat.claims is not None and seat.claims.jti != first)
        session, granted = seat.session_id, seat.claims.iat
        # A lease that was renewed longer after the grant than any lease lasts: only heartbeats can have kept it.
        until(lambda: renewed_at(seat) > granted + TTL and seat.state is SeatState.ONLINE, 60)
        assert seat.session_id == session and machine.held(license_) == machine.open_sessions(license_) == 1
    assert machine.held(license_) == 0 and machine.open_sessions(license_) == 0
    assert seat.release(), "again and again the same"


def test_the_four_calls_by_hand(machine: Machine, connect: Connect) -> None:
    license_ = machine.license()
    client = connect(machine, license_)
    assert client.validate().code is None
    lease = client.acquire()
    longer = client.heartbeat(lease)
    assert longer.session_id == lease.session_id and longer.ends_at > lease.ends_at
    validation = client.validate()
    assert (validation.seats_used, validation.has_seat, len(validation.holders)) == (1, True, 1)
    ended = client.release(lease)
    assert client.release(lease) == ended
    with pytest.raises(SessionGone) as caught:
        client.heartbeat(lease)
    assert caught.value.reason == "released"


def test_the_asyncio_face_does_the_same(machine: Machine, tmp_path: Path) -> None:
    license_ = machine.license(features='{"cloud": true}')

    async def program() -> None:
        async with AsyncLicenseClient(
            machine.url,
            key=license_.key,
            product="demo",
            roots=machine.roots(),
            hardware_id="machine-0001",
            cache_dir=tmp_path,
        ) as client:
            lease = await client.acquire()
            assert (await client.heartbeat(lease)).session_id == lease.session_id
            await client.release(lease)
            async with client.seat() as seat:
                assert seat.has("cloud")
                session, granted = seat.session_id, renewed_at(seat)
                while renewed_at(seat) <= granted + TTL or seat.state is not SeatState.ONLINE:
                    await asyncio.sleep(0.05)
                assert seat.session_id == session and machine.open_sessions(license_) == 1
                assert (await client.validate()).has_seat
        assert machine.held(license_) == 0

    asyncio.run(asyncio.wait_for(program(), 120))


def test_a_full_pool_says_who_holds_it_and_the_next_seat_goes_to_who_waits(machine: Machine, connect: Connect) -> None:
    license_ = machine.license(seats=1)
    seat = connect(machine, license_, hostname="alice-laptop").seat()
    other = connect(machine, license_, "machine-0002")
    with pytest.raises(NoSeats) as caught:
        other.seat()
    assert caught.value.seats_total == 1 and [holder.label for holder in caught.value.holders] == ["alice-laptop"]
    assert caught.value.next_seat_in is not None and 0 < caught.value.next_seat_in <= TTL
    told: list[float] = []

    def tell(_: object, pause: float) -> None:
        told.append(pause)
        seat.release()

    waited = other.seat(wait=30, on_wait=tell)
    assert waited.state is SeatState.ONLINE and len(told) >= 1 and seat.state is SeatState.GONE


def test_refusals_of_the_real_server_are_verified_and_have_their_classes(machine: Machine, connect: Connect) -> None:
    license_ = machine.license(processes=1)
    with pytest.raises(UnknownPool):
        connect(machine, license_, pool="nowhere").seat()
    with pytest.raises(WrongProduct) as caught:
        connect(machine, license_, product="another").seat()
    assert caught.value.product == "demo"
    with connect(machine, license_).seat(), pytest.raises(TooManyProcesses) as many:
        connect(machine, license_).seat()
    assert many.value.processes == 1


def test_a_license_that_counts_processes_gets_an_instance_id_when_it_asks(
    machine: Machine, connect: Connect, tmp_path: Path
) -> None:
    license_ = machine.license(seats=2, holder_by="process")
    # A desktop, wherever the tests run: in a container or a CI job its own id would be the instance.
    desktop = dataclasses.replace(this_system(), env={}, root=tmp_path)
    with connect(machine, license_, system=desktop).seat(), connect(machine, license_, system=desktop).seat():
        assert machine.held(license_) == 2
        with pytest.raises(NoSeats):
            connect(machine, license_, system=desktop).seat()
    with (
        connect(machine, license_, instance_id="worker-1").seat(),
        connect(machine, license_, instance_id="worker-1").seat(),
    ):
        assert machine.held(license_) == 1


def test_two_processes_of_one_machine_share_a_seat_and_the_last_to_leave_frees_it(
    machine: Machine, connect: Connect, tmp_path: Path
) -> None:
    license_ = machine.license(seats=1)
    mine = connect(machine, license_).seat()
    with holder(machine, license_, tmp_path, "machine-0001") as other:
        assert mine.number == 0 and machine.open_sessions(license_) == 2
        mine.release()
        assert machine.held(license_) == 1
        other.terminate()  # without release_on_signals it dies as any program does: the seat goes with its lease
    until(lambda: machine.held(license_) == 0, 60)
    asks = asks_of(tmp_path)
    renewed = max(ask.sent for ask in asks if ask.status in (200, 201))
    (_, ended) = machine.ends(license_)
    assert all(ask.verb != "release" for ask in asks) and ended[0] == "expired"
    in_monotonic = time.monotonic() - time.time()
    assert ended[1] + in_monotonic >= renewed + TTL - 0.1, "not before its lease was over"


def test_a_suspension_is_heard_within_a_heartbeat_and_a_resumption_too(machine: Machine, connect: Connect) -> None:
    license_ = machine.license()
    seat = connect(machine, license_).seat()
    machine.suspend(license_)
    until(lambda: isinstance(seat.problem, LicenseSuspended))
    until(lambda: seat.state is SeatState.DEGRADED)  # no grace: the server itself said no
    machine.resume_license(license_)
    until(lambda: seat.state is SeatState.ONLINE, 60)
    assert seat.problem is None


def test_who_was_kicked_stays_away(machine: Machine, connect: Connect) -> None:
    license_ = machine.license()
    seat = connect(machine, license_).seat()
    machine.kick(license_, 0)
    until(lambda: seat.state is SeatState.GONE)
    assert isinstance(seat.problem, SessionGone) and seat.problem.reason == "kicked"
    assert machine.open_sessions(license_) == 0


def test_a_flushed_redis_costs_nobody_a_seat(machine: Machine, connect: Connect) -> None:
    license_ = machine.license(seats=2)
    seats = [connect(machine, license_, f"machine-000{n}").seat() for n in (1, 2)]
    sessions = [seat.session_id for seat in seats]
    for _ in range(3):
        machine.flush_redis()
        heard = [seat.claims.jti for seat in seats if seat.claims]
        for seat in seats:
            until(lambda s=seat, heard=heard: s.claims and s.claims.jti not in heard)  # type: ignore[misc]
    assert [seat.session_id for seat in seats] == sessions and all(seat.state is SeatState.ONLINE for seat in seats)


def test_a_server_that_is_killed_and_comes_back_finds_every_seat_where_it_was(
    machine: Machine, connect: Connect
) -> None:
    license_ = machine.license()
    states: list[SeatState] = []
    seat = connect(machine, license_).seat(
        on_event=lambda event: states.append(event.state) if event.kind == "state" else None
    )
    session = seat.session_id
    machine.kill()
    until(lambda: seat.state is SeatState.OFFLINE, 60)
    assert isinstance(seat.problem, ServerUnreachable)
    machine.start()
    seat.retry_now()
    until(lambda: seat.state is SeatState.ONLINE, 30)
    until(lambda: states == [SeatState.OFFLINE, SeatState.ONLINE])
    assert seat.session_id == session


def test_a_server_that_hangs_is_left_within_the_timeout(
    machine: Machine, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A request waits for a minute, where the timeout of its caller does not end it.
    for module in (flows, seat_flows):
        monkeypatch.setattr(module, "TRY_SECONDS", 60.0)
    license_ = machine.license(grace_hours=0)
    client, seat = connect(machine, license_, timeout=2.0), connect(machine, license_, timeout=60).seat()
    machine.pause()
    began = time.monotonic()
    with pytest.raises(ServerUnreachable):
        client.validate()
    assert time.monotonic() - began < 20
    until(lambda: seat.state is SeatState.DEGRADED, 30)
    began = time.monotonic()
    assert not seat.release(timeout=1.0)
    assert time.monotonic() - began < 20
    machine.resume()
    until(machine.serves, 30)


def test_a_laptop_that_slept_past_its_lease_gets_its_seat_again_or_hears_who_has_it(
    machine: Machine, connect: Connect
) -> None:
    license_ = machine.license(seats=1)
    clock = ShiftedClock()
    seat = connect(machine, license_, clock=clock).seat()
    clock.slept += 3600
    assert seat.state is not SeatState.ONLINE, "the lease is not believed in for a moment after waking"
    until(lambda: seat.state is SeatState.ONLINE)
    machine.kick(license_, 0)  # what the server sees of a sleep during which somebody else took the seat
    until(lambda: seat.state is SeatState.GONE)


def test_a_kept_token_starts_a_seat_without_a_server_and_a_clock_set_back_does_not_extend_it(
    machine: Machine, connect: Connect
) -> None:
    license_ = machine.license(features='{"cloud": true}')
    earlier = connect(machine, license_, timeout=3.0).seat()
    machine.stop()
    earlier.release()  # reaches nobody, so the token stays
    clock = ShiftedClock()
    settings = {"clock": clock, "timeout": 3.0}
    client = connect(machine, license_, **settings)
    with client.seat() as seat:
        assert seat.state is SeatState.OFFLINE and seat.has("cloud") and 86000 < seat.grace_left <= 86400
        clock.set += 23 * 3600
        assert 2400 < seat.grace_left < 3600
        clock.set -= 22 * 3600
    with client.seat() as seat:
        assert seat.grace_left < 3700, "the high-water mark was kept over the restart"
    clock.set = 0.0
    machine.start()
    with client.seat() as seat:
        assert seat.state is SeatState.ONLINE and seat.grace_left > 86000, "the server's time counts again"


def test_a_killed_process_gives_its_seat_back_after_its_lease(
    machine: Machine, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    license_ = machine.license(seats=1)
    with holder(machine, license_, tmp_path, "machine-0009") as process:
        other = connect(machine, license_)
        with pytest.raises(NoSeats):
            other.seat()
        process.send_signal(signal.SIGKILL)
        process.wait()
    with (tmp_path / "others").open("w") as log:
        monkeypatch.setattr(SyncHttp, "send", SyncHttp.send)  # and so it is put back
        note_asks(log)
        # It asks all the time, so that one question falls into every moment in which the seat may be free.
        monkeypatch.setattr(other._context, "poll_pause", lambda _: 0.25)
        with other.seat(wait=60) as seat:
            assert seat.state is SeatState.ONLINE
        asked = asks_of(tmp_path, "others")
    assert [ask for ask in asked if ask.is_told_full], "it had to wait"
    assert wrongly_told_full([*asks_of(tmp_path), *asked], seats=1, lease=TTL) == []
