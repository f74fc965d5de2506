"""Whoever is granted a lease and does not take it over gives it back, on every way out."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from coditect_license import (
    AsyncLicenseClient,
    AsyncSeat,
    ConfigurationError,
    LicenseClient,
    LicenseError,
    Seat,
    SeatState,
    VerificationFailed,
    _process as process,
)
from coditect_license._seat_core import SeatCore

from .conftest import until
from .fake_server import ISSUER, OTHER_ROOT, FakeServer, Http, Signer
from .test_lifecycle import POSIX, Program, run

WRONG: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://other.example.com"},
    "another product": {"aud": "other"},
    "another machine": {"hw": "x"},
    "another nonce": {"nonce": "x"},
    "a life that is too long": {"exp": 4_000_000_000},
    "a claim of the wrong type": {"seat": "0"},
}


def kept(server: FakeServer) -> set[str]:
    """The sessions that were granted and not given back."""
    return set(server.sessions) - set(server.released)


ANOTHER_ROOT = "a root that is not pinned"


@pytest.mark.parametrize("wrong", [*WRONG, ANOTHER_ROOT])
def test_a_lease_that_fails_verification_is_given_back_in_both_faces(
    client: LicenseClient, async_client: AsyncLicenseClient, server: FakeServer, wrong: str
) -> None:
    usual = server.signer
    server.tweak = WRONG.get(wrong, {})
    if wrong == ANOTHER_ROOT:
        server.signer = Signer(int(server.now()), OTHER_ROOT)

    async def by_task() -> None:
        async with async_client.seat():
            pass

    for ask in (
        client.seat,
        client.acquire,
        lambda: asyncio.run(by_task()),
        lambda: asyncio.run(async_client.acquire()),
    ):
        with pytest.raises(VerificationFailed) as caught:
            ask()
        assert (caught.value.check == "key") == (wrong == ANOTHER_ROOT)
        until(lambda: not kept(server))
    assert len(server.sessions) == 4, "each start has an attempt of its own, since the one before was given back"
    server.tweak, server.signer = {}, usual
    assert client.seat().state is SeatState.ONLINE


def test_a_seat_that_is_asked_for_again_and_fails_verification_is_given_back(
    client: LicenseClient, server: FakeServer
) -> None:
    with client.seat() as seat:
        server.released.append(next(iter(server.sessions)))
        server.tweak = {"aud": "other"}
        server.sign_refusals = True
        seat.retry_now()
        until(lambda: isinstance(seat.problem, VerificationFailed) or len(server.sessions) > 1)
        server.tweak = {}
        seat.retry_now()
        until(lambda: seat.state is SeatState.ONLINE and seat.problem is None)
    assert not kept(server)


class Slowly(httpx.AsyncBaseTransport):
    """A way to the server with many steps, at each of which a program may be cancelled."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        for _ in range(3):
            await asyncio.sleep(0)
        await request.aread()
        response = self.server.handle(request)
        for _ in range(3):
            await asyncio.sleep(0)
        return response


async def take_a_seat(client: AsyncLicenseClient) -> None:
    async with client, client.seat():
        await asyncio.sleep(0)


async def await_a_seat(client: AsyncLicenseClient) -> None:
    seat = await client.seat()
    await asyncio.sleep(0)
    await seat.release()


async def acquire_by_hand(client: AsyncLicenseClient) -> None:
    lease = await client.acquire()
    await client.release(lease)


@pytest.mark.parametrize("end", ["the loop goes on", "the loop ends"])
@pytest.mark.parametrize("program", [take_a_seat, await_a_seat, acquire_by_hand])
def test_a_program_that_is_cancelled_at_any_await_leaves_no_seat_taken(
    server: FakeServer, settings: dict[str, Any], program: Callable[[AsyncLicenseClient], Awaitable[None]], end: str
) -> None:
    """It is cancelled after one step, after two, and so on, until it comes to its end."""
    settings |= {"offline": False}
    others = set(process._held_seats)  # what earlier tests of this process left for its end
    server.now = time.time
    server.signer = type(server.signer)(int(time.time()))

    async def cancelled_after(steps: int) -> bool:
        client = AsyncLicenseClient(ISSUER, transport=Slowly(server), **settings)
        client._http.make_ready()  # importing takes as many steps as it likes
        task = asyncio.ensure_future(program(client))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        came_to_its_end = False
        try:
            await task
            came_to_its_end = True
        except asyncio.CancelledError:
            pass
        if end == "the loop goes on":
            await client.close()
            for _ in range(200):
                if not kept(server):
                    break
                await asyncio.sleep(0.01)
        return came_to_its_end

    gone_through = False
    for steps in range(400):
        gone_through = asyncio.run(cancelled_after(steps))
        assert not kept(server), f"cancelled after {steps} steps"
        if gone_through:
            break
    assert gone_through and server.sessions
    assert set(process._held_seats) <= others


def test_a_mistake_between_the_grant_and_the_seat_gives_it_back(
    client: LicenseClient, async_client: AsyncLicenseClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistake(*_: object) -> bool:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(SeatCore, "on_lease", mistake)

    async def by_task() -> None:
        async with async_client.seat():
            pass

    for ask in (client.seat, lambda: asyncio.run(by_task())):
        with pytest.raises(RuntimeError):
            ask()
        until(lambda: not kept(server))
    assert len(server.sessions) == 2


@POSIX
def test_a_caller_that_is_interrupted_leaves_nothing_taken(
    http: Http, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived, handle = threading.Event(), http.fake.handle

    def note(request: httpx.Request) -> httpx.Response:
        arrived.set()
        return handle(request)

    monkeypatch.setattr(http.fake, "handle", note)
    code = """
def late():
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=late, daemon=True).start()
try:
    getattr(client, CALL)()
except KeyboardInterrupt:
    print("interrupted", flush=True)
deadline = time.monotonic() + 20
while not __import__("pathlib").Path(CACHE).exists(): assert time.monotonic() < deadline; time.sleep(0.01)
"""
    for call in ("acquire", "seat"):
        mark = tmp_path / f"go-{call}"
        program = Program(http, tmp_path / "cache", f"CALL, CACHE = {call!r}, {str(mark)!r}\n{code}")
        arrived.clear()
        with http.fake.lock:
            assert arrived.wait(60)
            program.stdin.write("interrupt\n")
            program.stdin.flush()
            assert program.line() == "interrupted"
        until(lambda: http.fake.sessions and not kept(http.fake))
        mark.touch()
        assert program.end()[0] == 0
        http.fake.sessions.clear()


_held: Seat | AsyncSeat


def hold_in_child(url: str, settings: dict[str, Any]) -> None:
    global _held  # noqa: PLW0603 - as programs do: it lives as long as the child
    _held = LicenseClient(url, **settings).seat()


def hold_in_loop_of_child(url: str, settings: dict[str, Any]) -> None:
    async def hold() -> None:
        global _held  # noqa: PLW0603 - as above
        _held = await AsyncLicenseClient(url, **settings).seat()

    loop = asyncio.new_event_loop()
    _loops.append(loop)  # it is neither run to its end nor closed, as where the child ends within a task
    loop.run_until_complete(hold())


_loops: list[asyncio.AbstractEventLoop] = []
HOLDERS: dict[str, Callable[[str, dict[str, Any]], None]] = {"thread": hold_in_child, "task": hold_in_loop_of_child}


@POSIX
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.parametrize("kind", ["process", "pool", "executor"])
@pytest.mark.parametrize("face", HOLDERS)
def test_a_child_of_multiprocessing_gives_its_seat_back(
    http: Http, settings: dict[str, Any], method: str, kind: str, face: str
) -> None:
    from concurrent.futures import ProcessPoolExecutor

    context: Any = multiprocessing.get_context(method)
    hold = HOLDERS[face]
    with LicenseClient(http.url, **settings).seat():  # the parent has hooks of its own, which a child inherits
        if kind == "process":
            child = context.Process(target=hold, args=(http.url, settings))
            child.start()
            child.join(30)
            assert child.exitcode == 0
        elif kind == "pool":
            pool = context.Pool(1)
            pool.apply(hold, (http.url, settings))
            pool.close()
            pool.join()
        else:
            with ProcessPoolExecutor(1, mp_context=context) as executor:
                executor.submit(hold, http.url, settings).result(30)
    until(lambda: len(http.fake.sessions) == 2 and not kept(http.fake))


def test_a_seat_that_nobody_refers_to_is_given_back_with_a_warning(client: LicenseClient, server: FakeServer) -> None:
    for _ in range(3):
        seat: Any = client.seat()
        with pytest.warns(ResourceWarning, match="forgotten"):
            del seat
            gc.collect()
    until(lambda: len(server.released) == 3)


def test_an_asyncio_seat_that_nobody_refers_to_is_given_back_with_a_warning(
    async_client: AsyncLicenseClient, server: FakeServer
) -> None:
    async def program() -> None:
        seat: Any = await async_client.seat()
        with pytest.warns(ResourceWarning, match="forgotten"):
            del seat
            gc.collect()
        while not server.released:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(program(), 60))


def test_a_seat_that_was_released_or_never_taken_is_forgotten_without_a_word(
    client: LicenseClient, async_client: AsyncLicenseClient, server: FakeServer
) -> None:
    client.seat().release()
    async_client.seat()
    server.refuse["acquire"] = (409, "no_seats_available", {})
    with pytest.raises(LicenseError):
        client.seat()
    gc.collect()  # a warning is an error here


def test_a_forgotten_seat_stops_no_collector(client: LicenseClient, server: FakeServer) -> None:
    """The collector may run anywhere, also where another thread holds the seat's lock."""
    seat: Any = client.seat()
    core, held, go = seat._core, threading.Event(), threading.Event()

    def hold() -> None:
        with core.lock:
            held.set()
            go.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with pytest.warns(ResourceWarning):
        del seat
        gc.collect()
    assert not core.lock.acquire(blocking=False), "the lock is held, so the collector did not wait for it"
    go.set()
    thread.join()
    until(lambda: server.released)


@POSIX
def test_signals_that_cannot_be_handled_are_said_so_and_cost_no_seat(client: LicenseClient, server: FakeServer) -> None:
    import signal

    wrong: Any
    for wrong in (15, "SIGTERM", [0], [99999], [signal.SIGKILL], ["x"], None, 1.5):
        with pytest.raises(ConfigurationError, match="release_on_signals"):
            client.seat(release_on_signals=wrong)
    assert server.calls == []
    with pytest.warns(RuntimeWarning, match="main thread"):
        thread = threading.Thread(target=lambda: client.seat(release_on_signals=True).release())
        thread.start()
        thread.join()


@POSIX
def test_a_notebook_cell_that_is_run_again_and_again_holds_one_seat(http: Http, tmp_path: Path) -> None:
    code = """
import warnings
warnings.simplefilter("ignore")
for _ in range(33):
    cell = LicenseClient(client._context.server, **settings)
    seat = cell.seat()
"""
    run(http, tmp_path, code)
    assert len(http.fake.sessions) == 33 and not kept(http.fake)
