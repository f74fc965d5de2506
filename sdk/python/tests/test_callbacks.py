"""The program's callbacks and its logging: whatever they do, heartbeats go on and a release is quick."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from coditect_license import AsyncLicenseClient, LicenseClient, NoSeats, SeatEvent, SeatState

from .conftest import until
from .fake_server import FakeServer, Http


def beaten(server: FakeServer, times: int) -> bool:
    return server.verbs().count("heartbeat") >= times


def provoke(server: FakeServer, seat: Any) -> None:
    """Make something happen that a seat tells of."""
    server.refuse["heartbeat"] = (403, "license_suspended", {})
    seat.retry_now()


def test_a_callback_that_blocks_stops_no_heartbeat_and_no_release(client: LicenseClient, server: FakeServer) -> None:
    shown, clicked = threading.Event(), threading.Event()

    def message_box(_: SeatEvent) -> None:
        shown.set()
        clicked.wait(120)

    seat = client.seat(on_event=message_box)
    provoke(server, seat)
    assert shown.wait(60)
    before = server.verbs().count("heartbeat")
    for more in (1, 2):
        seat.retry_now()
        until(partial(beaten, server, before + more))
    began = time.monotonic()
    try:
        assert seat.release(timeout=60) and time.monotonic() - began < 20
        assert server.verbs()[-1] == "release"
    finally:
        clicked.set()


BAD: dict[str, Callable[[Any, Any], object]] = {
    "raises": lambda _client, _seat: 1 / 0,
    "exits": lambda _client, _seat: sys.exit(1),
    "releases": lambda _client, seat: seat.release(),
    "closes the client": lambda client, _seat: client.close(),
    "takes another seat": lambda client, _seat: client.seat().release(),
    "asks the server": lambda client, _seat: client.validate(),
    "asks again": lambda _client, seat: seat.retry_now(),
}


@pytest.mark.parametrize("what", BAD)
def test_a_callback_may_do_what_it_likes(client: LicenseClient, server: FakeServer, what: str) -> None:
    held: list[Any] = []
    called = threading.Event()

    def on_event(_: SeatEvent) -> None:
        called.set()
        BAD[what](client, held[0])

    held.append(client.seat(on_event=on_event))
    provoke(server, held[0])
    assert called.wait(60)
    before = server.verbs().count("heartbeat")
    if what not in ("releases", "closes the client"):
        held[0].retry_now()
        until(lambda: server.verbs().count("heartbeat") > before)
    assert held[0].release(), "the server knows"
    until(lambda: len(server.released) == len(server.sessions))


def test_events_come_in_their_order_and_the_release_is_told_after_it_was_done(
    client: LicenseClient, server: FakeServer
) -> None:
    told: list[tuple[SeatState, bool]] = []
    seat = client.seat(on_event=lambda event: told.append((event.state, bool(server.released))))
    provoke(server, seat)
    until(lambda: told)
    seat.release()
    until(lambda: len(told) == 2)
    assert told == [(SeatState.ONLINE, False), (SeatState.GONE, True)]


def test_a_callback_of_a_wait_may_block_or_raise_too(http: Http, settings: dict[str, Any]) -> None:
    http.fake.refuse["acquire"] = (409, "no_seats_available", {"seats_total": 1, "seats_used": 1, "next_seat_in": 1})
    stop = threading.Event()
    with LicenseClient(http.url, timeout=60, **settings) as client:
        client.validate()
        callbacks: list[Any] = [lambda *_: stop.wait(), lambda *_: 1 / 0]
        try:
            for on_wait in callbacks:
                began = time.monotonic()
                with pytest.raises(NoSeats):
                    client.seat(wait=2.0, on_wait=on_wait)
                assert time.monotonic() - began < 25
        finally:
            stop.set()


def test_asyncio_callbacks_may_be_coroutines_and_do_what_they_like(http: Http, settings: dict[str, Any]) -> None:
    told: list[str] = []

    async def program() -> None:
        async with AsyncLicenseClient(http.url, **settings) as client:
            hang = asyncio.Event()

            async def on_event(event: SeatEvent) -> None:
                told.append(event.state.value)
                if event.kind == "problem":
                    await hang.wait()
                raise RuntimeError("the program's own")

            async with client.seat(on_event=on_event) as seat:
                provoke(http.fake, seat)
                while not told:
                    await asyncio.sleep(0.01)
                before = http.fake.verbs().count("heartbeat")
                while http.fake.verbs().count("heartbeat") == before:
                    seat.retry_now()
                    await asyncio.sleep(0.01)
            assert http.fake.verbs()[-1] == "release"
            hang.set()
            releases: list[asyncio.Future[Any]] = []
            released = await client.seat(on_event=lambda _: releases.append(asyncio.ensure_future(released.release())))
            provoke(http.fake, released)
            while released.state is not SeatState.GONE:
                await asyncio.sleep(0.01)
            await asyncio.gather(*releases)

    asyncio.run(asyncio.wait_for(program(), 60))
    assert len(http.fake.released) == 2


class Bad(logging.Handler):
    """A handler of log lines that fails, or that waits for somebody who waits for the seat."""

    def __init__(self, what: Callable[[], object]) -> None:
        super().__init__()
        self.what = what

    def handle(self, record: logging.LogRecord) -> bool:
        self.what()
        return True


@pytest.mark.parametrize("blocks", [False, True])
def test_a_logging_that_fails_or_blocks_costs_nobody_a_heartbeat(
    client: LicenseClient, server: FakeServer, blocks: bool
) -> None:
    go = threading.Event()

    def fail() -> None:
        raise OSError("the disk of the log is full")

    handler = Bad(lambda: go.wait() if blocks else fail())
    logger = logging.getLogger("coditect_license")
    logger.addHandler(handler)
    try:
        seat = client.seat()
        provoke(server, seat)
        until(lambda: seat.problem is not None)
        before = server.verbs().count("heartbeat")
        seat.retry_now()
        until(lambda: server.verbs().count("heartbeat") > before)
        began = time.monotonic()
        assert seat.release(timeout=60) and time.monotonic() - began < 20
    finally:
        go.set()
        logger.removeHandler(handler)


NOISE = """
import logging, sys, time
{setup}
from tests.conftest import LicenseClient, ROOTS, KEY
client = LicenseClient("http://127.0.0.1:9", key=KEY, product="studio", roots=ROOTS, timeout=0.5, max_retries=0,
                       hardware_id="machine-0001", cache_dir="/dev/null/none")
for call in (client.seat, client.validate):
    try: call()
    except Exception as error: assert type(error).__name__ == "ServerUnreachable", repr(error)
client.close()
"""


@pytest.mark.parametrize(
    "setup",
    [
        "",
        "logging.disable()",
        "sys.stdout = sys.stderr = None",
        "sys.stderr.close(); sys.stdout.close(); logging.basicConfig()",
        "sys.stderr = None; logging.basicConfig(handlers=[logging.StreamHandler(None)])",
    ],
)
def test_nothing_is_printed_and_nothing_needs_somewhere_to_print_to(setup: str) -> None:
    from pathlib import Path

    done = subprocess.run(
        [sys.executable, "-c", NOISE.format(setup=setup)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_logged_is_what_the_docstring_says(
    client: LicenseClient, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    from coditect_license import _log

    caplog.set_level(logging.INFO)
    raising: Any = lambda _: 1 / 0  # noqa: E731 - as short as it is
    seat = client.seat(on_event=raising)
    provoke(server, seat)
    until(lambda: len(caplog.records) >= 2)
    seat.release()
    until(lambda: any(record.getMessage().startswith("seat is gone") for record in caplog.records))
    for record in caplog.records:
        if record.name.startswith("coditect_license"):
            assert f"``{record.name}``" in (_log.__doc__ or "") and record.levelname in (_log.__doc__ or "")
            assert "CODI-" not in record.getMessage()
