"""A preferred address that takes connections and answers nothing costs no seat, however a program ends."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coditect_license import LicenseClient

from .conftest import until
from .fake_server import Http
from .test_given_back import kept
from .test_lifecycle import POSIX, Program


class Front:
    """An address before a server, which hangs once it is told to."""

    def __init__(self, behind: str) -> None:
        self.hangs, self.taken = False, 0
        self._behind = int(behind.rsplit(":", 1)[-1])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._open.append(near)
                self.taken += self.hangs
                if not self.hangs:
                    far = socket.create_connection(("127.0.0.1", self._behind))
                    self._open.append(far)
                    for one, other in ((near, far), (far, near)):
                        threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for it in (self._listener, *self._open):
            it.close()


@pytest.fixture
def front(http: Http) -> Iterator[Front]:
    front = Front(http.url)
    yield front
    front.close()


START = """
import asyncio
from coditect_license import AsyncLicenseClient, _flows as flows, _process as process
process.EXIT_SECONDS = 12.0  # which both addresses share
flows.TRY_SECONDS = 60.0
front, issuer, face = {front!r}, client._context.server, {face!r}
settings |= dict(server=[front, issuer], issuer=issuer, offline=False)
if face == "thread":
    seat = LicenseClient(**settings).seat(release_on_signals=True)
else:
    async def main():
        other = AsyncLicenseClient(**settings)
        global seat
        seat = await other.seat()
        await other._http.close()
        print("held", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
    asyncio.run(main())
if face == "thread":
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("face", ["thread", "task"])
def test_a_program_that_ends_gives_its_seat_back_elsewhere(http: Http, front: Front, tmp_path: Path, face: str) -> None:
    program = Program(http, tmp_path, START.format(front=front.url, face=face))
    assert program.line() == "held"
    front.hangs = True
    status, _, err = program.end()
    assert status == 0, err
    assert not kept(http.fake) and front.taken


@POSIX
def test_a_signal_gives_the_seat_back_elsewhere(http: Http, front: Front, tmp_path: Path) -> None:
    program = Program(http, tmp_path, START.format(front=front.url, face="thread"))
    assert program.line() == "held"
    front.hangs = True
    program.process.send_signal(signal.SIGTERM)
    status, _, _ = program.end()
    assert status == -signal.SIGTERM and not kept(http.fake) and front.taken


def test_a_release_gives_the_seat_back_elsewhere(http: Http, front: Front, settings: dict[str, Any]) -> None:
    with LicenseClient([front.url, http.url], issuer=http.url, **settings) as client:
        seat = client.seat()
        front.hangs = True
        assert seat.release() and not kept(http.fake) and front.taken
        front.hangs = False
        with client.seat():
            client._context.prefer_server(front.url)
            front.hangs = True
    until(lambda: not kept(http.fake))
