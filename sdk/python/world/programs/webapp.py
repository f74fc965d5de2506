"""The same web application for WSGI and ASGI: it answers with the state of the seat of the worker that is asked.

SEAT_AT=import takes a seat when the module is imported, which is in gunicorn's master with --preload; otherwise the
first request of a worker does, or the start of its event loop. A worker whose seat was left to its parent by a fork
takes one of its own. uvicorn ends by the signal that stopped it, so a seat that is no part of its loop needs
release_on_signals.
"""

from __future__ import annotations

import os
import threading

from coditect_license import AsyncLicenseClient, AsyncSeat, LicenseClient, Seat, SeatState

client = LicenseClient()
locks: dict[str, threading.Lock] = {}
seat: Seat | None = None
if os.environ.get("SEAT_AT") == "import":
    seat = client.seat(release_on_signals=True)


def state() -> str:
    global seat
    # Made by the worker: gevent replaces threading.Lock in it, after --preload has imported this.
    with locks.setdefault("seat", threading.Lock()):
        if seat is None or seat.state is SeatState.GONE:
            seat = client.seat()
        return f"{os.getpid()} {seat.state.value}"


def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [state().encode()]


class Asgi:
    """As such programs do it: a seat of the event loop, from its start to its end."""

    def __init__(self) -> None:
        self.client: AsyncLicenseClient | None = None
        self.seat: AsyncSeat | None = None

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            await self.live(receive, send)
        elif scope["type"] == "http":
            said = f"{os.getpid()} {self.seat.state.value}" if self.seat else state()
            headers = [(b"content-type", b"text/plain")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": said.encode()})

    async def live(self, receive, send) -> None:
        await receive()
        if seat is None or seat.state is SeatState.GONE:
            self.client = AsyncLicenseClient()
            self.seat = await self.client.seat()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self.client is not None:
            await self.client.close()
        await send({"type": "lifespan.shutdown.complete"})


asgi = Asgi()
