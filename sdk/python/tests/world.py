"""A seat's flows driven by hand: no thread, no network, and a clock that jumps over the waiting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from coditect_license import (
    LicenseClient,
    LicenseError,
    SeatEvent,
    SeatState,
    _flows as flows,
    _seat_flows as seat_flows,
)
from coditect_license._context import Context
from coditect_license._exchange import (
    DoAside,
    Effect,
    EffectResult,
    Flow,
    Pause,
    Reply,
    SendRequest,
    TransportFault,
)
from coditect_license._http import request_headers
from coditect_license._seat_core import SeatCore

from .conftest import FakeClock
from .fake_server import FakeServer


@dataclass
class World:
    """One seat, its server and the clock."""

    context: Context
    server: FakeServer
    clock: FakeClock
    reacquire: bool = True
    down: bool = False
    delay: float = 0.0
    """Seconds that pass between a request and its answer."""
    during: Callable[[], None] | None = None
    """Happens while a request is under way."""
    events: list[SeatEvent] = field(default_factory=list)
    sent: list[tuple[float, str]] = field(default_factory=list)
    """When which verb was sent, also those nobody answered."""
    waits: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.core = SeatCore(self.context, reacquire=self.reacquire, on_event=self.events.append)
        self._keep: Flow[None] | None = None

    @classmethod
    def of(cls, client: LicenseClient, server: FakeServer, clock: FakeClock, **more: Any) -> World:
        return cls(client._context, server, clock, **more)

    @classmethod
    def of_context(cls, other: World) -> World:
        """Another start of the same client."""
        return cls(other.context, other.server, other.clock)

    def start(self, *, wait: float | None = None) -> None:
        until = None if wait is None else self.clock.mono + wait
        first = seat_flows.open_seat(self.core, self.clock.mono + self.context.timeout, until, None)
        try:
            flows.drive(first, self._send, self._wait)
        except LicenseError:
            seat_flows.give_up(self.core)  # as the thread and the task do
            raise

    def state(self) -> SeatState:
        return self.core.state

    def run(self, seconds: float) -> None:
        """Let the seat live for so long, by the monotonic clock.

        A wait that is not over by then goes on in the next run.
        """
        over = self.clock.mono + seconds
        if self._keep is None:
            self._keep = seat_flows.keep_seat(self.core)
            self._resume(None)
        while self._effect is not None:
            if isinstance(self._effect, SendRequest):
                self._resume(self._send(self._effect))
            elif isinstance(self._effect, DoAside):
                self._effect.work()
                self._resume(None)
            elif self._awake > over:
                break
            else:
                self.waits.append(self._effect.seconds)
                self.clock.advance(max(self._awake - self.clock.mono, 0))
                self._resume(None)
        self.clock.advance(max(over - self.clock.mono, 0))

    def _resume(self, answer: EffectResult) -> None:
        assert self._keep is not None
        try:
            self._effect: Effect | None = self._keep.send(answer)
        except StopIteration:
            self._effect = None
        if isinstance(self._effect, Pause):
            self._awake = self.clock.mono + self._effect.seconds

    def give_back(self) -> bool:
        self.core.close()
        flows.drive(seat_flows.give_seat_back(self.core, self.clock.mono + 6), self._send, self._wait)
        return self.core.release_confirmed

    def states(self) -> list[SeatState]:
        return [event.state for event in self.events if event.kind == "state"]

    def times(self, verb: str) -> list[float]:
        return [at for at, said in self.sent if said == verb]

    def _send(self, effect: SendRequest) -> Reply | TransportFault:
        sent_at = self.clock.mono
        verb = effect.request.path.rsplit("/", 1)[-1]
        self.sent.append((sent_at, verb))
        if self.during is not None:
            during, self.during = self.during, None
            during()
        if self.down:
            self.clock.advance(min(effect.timeout, 1.0))
            return TransportFault("connection refused")
        request = httpx.Request(
            "POST",
            self.context.server + effect.request.path,
            json=effect.request.body,
            headers=request_headers(effect.request),
        )
        response = self.server.handle(request)
        self.clock.advance(self.delay)
        return Reply(
            response.status_code, response.content, {k.lower(): v for k, v in response.headers.items()}, sent_at
        )

    def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.advance(seconds)
