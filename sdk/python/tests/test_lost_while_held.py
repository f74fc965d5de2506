"""The answer to an acquire is lost while its seat is held: after the session's end, and where it starts offline."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from coditect_license import LicenseError, SeatState, ServerUnreachable
from coditect_license._context import Context
from coditect_license._seat_core import SeatCore
from coditect_license.testing import InMemoryServer, OutageKind

from .conftest import until
from .test_unknown_outcomes import LOST, double

__all__ = ["double"]


def hold(server: InMemoryServer, face: str, program: Callable[[Any], Any], **settings: Any) -> None:
    """Take a seat and hand it to a function, in one of both faces."""
    if face == "thread":
        with server.client(**settings) as client, client.seat() as seat:
            program(seat)
        return

    async def task() -> None:
        async with server.async_client(**settings) as client, client.seat() as seat:
            await asyncio.to_thread(program, seat)

    asyncio.run(task())


FACES = ("thread", "task")


@pytest.mark.parametrize("face", FACES)
def test_the_lost_answer_of_a_seat_that_comes_back_leaves_no_seat_behind(double: InMemoryServer, face: str) -> None:
    def program(seat: Any) -> None:
        for session in double.own_sessions():
            double.pool.end(session, "expired", double.now())
        handle, acquires = double.handle, len(double.bodies("acquire"))

        def lose_acquires(request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("acquire") and len(double.bodies("acquire")) == acquires:
                with double.outage(LOST):
                    return handle(request)
            return handle(request)

        double.handle = lose_acquires  # type: ignore[method-assign]
        seat._keeper._loop.call_soon_threadsafe(seat.retry_now) if face == "task" else seat.retry_now()
        until(lambda: isinstance(seat.problem, ServerUnreachable))
        assert len(double.own_sessions()) == 1

    hold(double, face, program)
    assert double.own_sessions() == []


def release_in_vain(
    double: InMemoryServer, face: str, meanwhile: Callable[[Callable[[], Any]], object] = lambda _: None
) -> None:
    """Hold a seat whose session is lost, ask again and lose the answer, and release it while nobody answers.

    Then everything is answered again, something else is done with who takes another seat, and the client is closed.
    """
    handle = double.handle

    def lose_acquires(request: httpx.Request) -> httpx.Response:
        with double.outage(LOST if request.url.path.endswith("acquire") else OutageKind.UNREACHABLE):
            return handle(request)

    def program(seat: Any) -> None:
        for session in double.own_sessions():
            double.pool.end(session, "expired", double.now())
        seat._core.session_lost = True  # as a heartbeat would say
        double.handle = lose_acquires  # type: ignore[method-assign]
        call = seat._keeper._loop.call_soon_threadsafe if face == "task" else lambda now: now()
        call(seat.retry_now)
        until(lambda: isinstance(seat.problem, ServerUnreachable) and len(double.own_sessions()) == 1)

    def by_thread() -> None:
        with double.client() as client:
            seat = client.seat()
            program(seat)
            assert not seat.release()
            assert double.own_sessions()
            double.handle = handle  # type: ignore[method-assign]
            meanwhile(client.seat)

    async def by_task() -> None:
        async with double.async_client() as client:
            seat = await client.seat()
            await asyncio.to_thread(program, seat)
            assert not await seat.release()
            assert double.own_sessions()
            double.handle = handle  # type: ignore[method-assign]
            loop = asyncio.get_running_loop()

            async def start() -> Any:
                return await client.seat()

            await asyncio.to_thread(meanwhile, lambda: asyncio.run_coroutine_threadsafe(start(), loop).result(60))

    asyncio.run(by_task()) if face == "task" else by_thread()


@pytest.mark.parametrize("face", FACES)
def test_a_seat_that_is_released_while_nobody_answers_leaves_what_it_was_granted_to_its_client(
    double: InMemoryServer, face: str
) -> None:
    """Its answer was lost and its last question too: the client asks when it is closed."""
    release_in_vain(double, face)
    assert double.own_sessions() == []


@pytest.mark.parametrize("face", FACES)
def test_a_start_after_a_release_repeats_no_attempt_of_the_released_seat(double: InMemoryServer, face: str) -> None:
    """The release may still arrive, and would end what the repeated attempt was given (docs/PROTOCOL.md).

    Yet the start is not refused for what the released seat was granted: that is given back for it.
    """
    states = []

    def meanwhile(start: Callable[[], Any]) -> None:
        released = {body["attempt"] for body in double.bodies("acquire")}
        seat = start()
        states.append(seat.state)
        assert seat._core.attempt not in released and len(double.own_sessions()) == 1

    release_in_vain(double, face, meanwhile)
    assert states == [SeatState.ONLINE] and double.own_sessions() == []


def keep_a_token(double: InMemoryServer, folder: Path) -> dict[str, Any]:
    """Settings with which a client finds the token of an earlier run, which did not end by a release."""
    settings = {"offline": True, "cache_dir": folder, "max_retries": 0}
    client = double.client(**settings)
    first = client.seat()
    kept_token = until(lambda: {path: path.read_bytes() for path in folder.rglob("*.json") if path.is_file()})
    first.release()
    client.close()
    for path, content in kept_token.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return settings


@pytest.mark.parametrize("face", FACES)
def test_the_lost_answer_of_a_seat_that_starts_offline_leaves_no_seat_behind(
    double: InMemoryServer, face: str, tmp_path: Path
) -> None:
    settings = keep_a_token(double, tmp_path)
    double.outage_kind = LOST

    def program(seat: Any) -> None:
        assert seat.state is SeatState.OFFLINE and len(double.own_sessions()) == 1
        double.outage_kind = None

    hold(double, face, program, **settings)
    assert double.own_sessions() == []


@pytest.mark.parametrize("face", FACES)
def test_a_seat_that_starts_offline_shares_its_attempt_with_no_other_start(
    double: InMemoryServer, face: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other start comes while the first one reads what the disk has: one session would be two seats'."""
    settings = keep_a_token(double, tmp_path)
    read, drawn = SeatCore.read_kept, set[str]()

    def read_while_another_starts(core: SeatCore) -> None:
        drawn.add(core.context.draw_attempt())
        read(core)

    monkeypatch.setattr(SeatCore, "read_kept", read_while_another_starts)
    double.outage_kind = LOST

    def program(seat: Any) -> None:
        assert seat.state is SeatState.OFFLINE and drawn
        double.outage_kind = None
        seat._keeper._loop.call_soon_threadsafe(seat.retry_now) if face == "task" else seat.retry_now()
        until(lambda: seat.state is SeatState.ONLINE)
        assert double.bodies("acquire")[-1]["attempt"] not in drawn

    hold(double, face, program, **settings)


def test_a_seat_whose_caller_went_on_without_an_answer_keeps_its_attempt(
    double: InMemoryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is lost later, and the disk does not say any more that the seat may go on. It goes on all the same."""
    settings = keep_a_token(double, tmp_path) | {"timeout": 0.2}
    go, start, why, left = threading.Event(), SeatCore.start_offline, [None, "the disk hangs."], list[str]()

    def lose_late(request: httpx.Request) -> httpx.Response:
        go.wait(60)
        raise httpx.ReadError("the connection was lost", request=request)

    def start_once(core: SeatCore, error: LicenseError) -> str | None:
        start(core, error)
        return why.pop(0)

    monkeypatch.setattr(SeatCore, "start_offline", start_once)
    monkeypatch.setattr(Context, "leave_unsettled", lambda _, attempt, **__: left.append(attempt))
    double.handle = lose_late  # type: ignore[method-assign]

    def program(seat: Any) -> None:
        assert seat.state is SeatState.OFFLINE
        go.set()
        until(lambda: not why and seat._keeper._opened.wait(1))
        assert seat.state is SeatState.OFFLINE and not left

    hold(double, "thread", program, **settings)


@pytest.mark.parametrize("face", FACES)
def test_a_start_that_fails_leaves_its_attempt_to_the_next_one_before_it_asks_again(
    double: InMemoryServer, face: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a program that tries again at once repeats it, and one whose loop ends at once waits for nothing."""
    left: list[str] = []
    at_acquire: list[list[str]] = []
    leave, handle = Context.leave_unsettled, double.handle

    def note(context: Context, attempt: str, *, repeatable: bool) -> None:
        left.append(attempt)
        leave(context, attempt, repeatable=repeatable)

    def lose(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("acquire"):
            at_acquire.append([*left])
        with double.outage(LOST):
            return handle(request)

    monkeypatch.setattr(Context, "leave_unsettled", note)
    double.handle = lose  # type: ignore[method-assign]
    with pytest.raises(ServerUnreachable):
        hold(double, face, lambda _: None, max_retries=0)
    until(lambda: len(at_acquire) > 1)
    assert at_acquire[:2] == [[], [double.bodies("acquire")[0]["attempt"]]]
