"""What every test may use: a clock that tests move, a server that signs, and clients of it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from coditect_license import AsyncLicenseClient, Clock, LicenseClient
from coditect_license._identity import MachineSources

from .fake_server import ISSUER, KEY, ROOTS, FakeServer, Http
from .pulse import BEAT_SECONDS, Pulse

SRC = Path(__file__).resolve().parents[1] / "src"
# Programs that tests start find the package as it stands here, installed or not.
os.environ["PYTHONPATH"] = os.pathsep.join([str(SRC), str(SRC.parent), *filter(None, [os.environ.get("PYTHONPATH")])])

START = 1_795_700_000.0
SOON_SECONDS = 10.0
"""Much less than what would be waited for in vain (a minute), and much more than a busy machine needs."""
Make = Callable[..., MachineSources]


class FakeClock(Clock):
    """Two clocks that stand still until a test moves them."""

    def __init__(self) -> None:
        self.mono, self.unix = 1000.0, START

    def monotonic(self) -> float:
        return self.mono

    def wall(self) -> float:
        return self.unix

    def advance(self, seconds: float) -> None:
        self.mono += seconds
        self.unix += seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def server(clock: FakeClock) -> FakeServer:
    true = (clock.mono, clock.unix)
    # The server's clock is right whatever a test does to the client's wall clock.
    return FakeServer(now=lambda: true[1] + clock.mono - true[0])


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    return {
        "key": KEY,
        "product": "studio",
        "version": "1.2.3",
        "roots": ROOTS,
        "hardware_id": "machine-0001",
        "cache_dir": tmp_path / "cache",
    }


@pytest.fixture
def client(clock: FakeClock, server: FakeServer, settings: dict[str, Any]) -> Iterator[LicenseClient]:
    with LicenseClient(ISSUER, transport=httpx.MockTransport(server.handle), clock=clock, **settings) as client:
        yield client


@pytest.fixture
def async_client(clock: FakeClock, server: FakeServer, settings: dict[str, Any]) -> AsyncLicenseClient:
    return AsyncLicenseClient(ISSUER, transport=httpx.MockTransport(server.handle), clock=clock, **settings)


@pytest.fixture
def http() -> Iterator[Http]:
    """A fake server on a real port, by the real clock."""
    http = Http(FakeServer(now=time.time))
    yield http
    http.close()


def until(condition: Callable[[], Any], timeout: float = 60.0) -> Any:
    """Wait for a condition; what it became. Fails when it does not come true in time."""
    over = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > over:
            raise AssertionError(f"did not come true within {timeout} s")
        time.sleep(0.01)


async def until_in_loop(is_true: Callable[[], bool]) -> None:
    """Wait for a condition without holding the event loop up."""
    end = time.monotonic() + 60
    while not is_true():
        assert time.monotonic() < end, "did not come true within 60 s"
        await asyncio.sleep(0.01)


@pytest.fixture
def system(tmp_path: Path) -> Make:
    """A machine as a test describes it: files by their path, and its environment."""

    def make(files: dict[str, str] | None = None, **more: Any) -> MachineSources:
        root = tmp_path / "root"
        for name, text in (files or {}).items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        usual: dict[str, Any] = {
            "env": {},
            "root": root,
            "platform": "linux",
            "data_dir": lambda: tmp_path / "data",
            "hostname": lambda: "box",
            "node": lambda: 0x021122334455,
        }
        return MachineSources(**usual | more)

    return make


def longest_standstill(program: Callable[[], Awaitable[None]]) -> float:
    """Run a program in a loop; the seconds for which the loop stood still at the longest while the process was run."""
    beats: list[tuple[float, float]] = []

    async def beat() -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(BEAT_SECONDS)
            beats.append((began, time.monotonic()))

    async def watched() -> None:
        beating = asyncio.ensure_future(beat())
        await asyncio.sleep(0.05)
        await program()
        await asyncio.sleep(0.05)
        beating.cancel()

    with Pulse() as pulse:
        asyncio.run(watched())
    return max(ended - began - pulse.missed(began, ended) for began, ended in beats)
