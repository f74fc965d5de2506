"""The server in memory where a test leaves something behind: a loop that was closed, a rule that it removed itself."""

from __future__ import annotations

import asyncio
import gc
import time
import warnings
from collections.abc import Iterator

import pytest

from coditect_license import AsyncLicenseClient, AsyncSeat
from coditect_license.testing import InMemoryServer, _waking


@pytest.fixture
def server() -> Iterator[InMemoryServer]:
    with InMemoryServer(product="studio") as server:
        yield server


@pytest.fixture
def left_behind(server: InMemoryServer) -> Iterator[AsyncSeat]:
    """A seat whose event loop is closed."""

    async def take() -> tuple[AsyncLicenseClient, AsyncSeat]:
        client = server.async_client()
        return client, await client.seat()

    loop = asyncio.new_event_loop()
    client, seat = loop.run_until_complete(take())
    loop.close()
    yield seat
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tasks and sockets of a loop that nobody ended
        del client, seat
        gc.collect()


def test_time_passes_beside_a_seat_whose_loop_is_closed(server: InMemoryServer, left_behind: AsyncSeat) -> None:
    before = server.now()
    server.advance(200)
    assert server.now() >= before + 200


def test_nobody_waits_for_the_seats_of_another_loop(
    server: InMemoryServer, left_behind: AsyncSeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_waking, "PATIENCE", 60.0)
    began = time.monotonic()
    asyncio.run(server.advance_async(200))
    assert time.monotonic() - began < 20


def test_a_refusal_that_the_block_removed_itself_is_removed(server: InMemoryServer) -> None:
    with server.refusing("acquire", "no_seats_available"):
        server.refuse.clear()
    assert server.refuse == {}
