"""A seat that nobody refers to is given back, also where its callbacks refer to it."""

from __future__ import annotations

import asyncio
import gc
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from coditect_license import LicenseError, NoSeats, SeatEvent, SeatState, TooManyProcesses
from coditect_license.testing import InMemoryServer

from .conftest import until


class Window:
    """A part of a program that has a seat and wants to know what becomes of it."""

    def __init__(self) -> None:
        self.seat: Any = None
        self.told: list[object] = []

    def changed(self, *what: object) -> None:
        self.told.append(what)


def by_method(window: Window) -> dict[str, Any]:
    return {"on_event": window.changed}


def by_closure(window: Window) -> dict[str, Any]:
    return {"on_event": lambda event: window.told.append((window.seat, event))}


def by_wait(window: Window) -> dict[str, Any]:
    return {"wait": 0.0, "on_wait": window.changed}


CALLBACKS = [by_method, by_closure, by_wait]


@pytest.fixture(autouse=True)
def _without_a_word() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield


@pytest.mark.parametrize("callbacks", CALLBACKS)
def test_a_seat_whose_callbacks_refer_to_it_is_given_back(callbacks: Callable[[Window], dict[str, Any]]) -> None:
    with InMemoryServer(seats=1, processes_per_seat=2) as server, server.client() as client:
        for _ in range(3):
            window = Window()
            window.seat = client.seat(**callbacks(window))
            del window
            gc.collect()
            until(lambda: not server.own_sessions())


@pytest.mark.parametrize("callbacks", CALLBACKS)
def test_an_asyncio_seat_whose_callbacks_refer_to_it_is_given_back(
    callbacks: Callable[[Window], dict[str, Any]],
) -> None:
    async def program() -> None:
        async with server.async_client() as client:
            for _ in range(3):
                window = Window()
                window.seat = await client.seat(**callbacks(window))
                del window
                gc.collect()
                over = time.monotonic() + 60
                while server.own_sessions():
                    assert time.monotonic() < over
                    await asyncio.sleep(0.01)

    with InMemoryServer(seats=1, processes_per_seat=2) as server:
        asyncio.run(program())


def test_callbacks_of_a_seat_that_is_held_are_called_until_its_end() -> None:
    """Also where the last that the program does with it is its release."""
    told: list[SeatEvent] = []
    with InMemoryServer() as server, server.client() as client:
        window = Window()
        window.seat = client.seat(on_event=window.changed)
        gc.collect()
        with server.outage():
            server.advance(400)
        until(lambda: window.told)
        client.seat(on_event=told.append).release(timeout=0)
        gc.collect()
        until(lambda: told)
        assert told[-1].state is SeatState.GONE

        async def program() -> None:
            async with server.async_client() as other:
                seat = await other.seat(on_event=told.append)
                told.clear()
                await seat.release(timeout=0)
                del seat
                gc.collect()
                while not told:
                    await asyncio.sleep(0.01)

        asyncio.run(asyncio.wait_for(program(), 60))


def test_a_refusal_of_one_process_more_says_how_many_places_are_the_programs_own() -> None:
    with InMemoryServer(processes_per_seat=2) as server, server.client() as client:
        kept = [client.seat()]
        with client.seat(), pytest.raises(TooManyProcesses, match="2 of these places are held by seats of this pro"):
            client.seat()
        lease = client.acquire()
        with pytest.raises(TooManyProcesses, match="1 of these places is held by seats of this process") as caught:
            client.acquire()
        assert "itself" not in caught.value.detail

        async def program() -> None:
            async with server.async_client() as other:
                for ask in (other.seat, other.acquire):
                    with pytest.raises(TooManyProcesses, match="1 of these places is held"):
                        await ask()

        asyncio.run(program())
        client.release(lease)
        assert kept[0].release()


@pytest.mark.parametrize("counts_processes", [True, False])
def test_a_refusal_says_what_to_do_where_this_very_process_holds_what_is_missing(counts_processes: bool) -> None:
    """As where a cell of a notebook ends with ``client.seat()``: Jupyter keeps what it shows in ``Out``."""
    more: dict[str, Any] = {"count_processes": True} if counts_processes else {"processes_per_seat": 1}
    kind = NoSeats if counts_processes else TooManyProcesses
    with InMemoryServer(seats=1, **more) as server:
        out = [server.client(hardware_id="machine-0001", instance_id="process-0001").seat()]
        again = server.client(hardware_id="machine-0001", instance_id="process-0002")
        with pytest.raises(kind, match=r"this process itself.*seat\.release\(\)") as caught:
            again.seat()
        assert "Out[…]" in str(caught.value) and str(caught.value).startswith(caught.value.detail)

        async def start() -> None:
            async with (
                server.async_client(hardware_id="machine-0001", instance_id="process-0003") as client,
                client.seat(),
            ):
                pass

        with pytest.raises(kind, match=r"this process itself.*seat\.release\(\)"):
            asyncio.run(start())
        out.pop().release()
        with again.seat():
            pass
        server.occupy_seats()
        with pytest.raises(LicenseError) as others:
            again.seat()
        assert "seat.release()" not in str(others.value), "somebody else holds it"
