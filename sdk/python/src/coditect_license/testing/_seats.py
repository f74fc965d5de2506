"""Who holds which seat of the test server's license. The rules are those of the real one, without its stores.

A seat belongs to a machine, whose processes share it. A lease that is over takes no seat away by itself: the session
may still send a heartbeat, until its seat is given to another machine.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from .._types import SeatHolder
from ._handles import HandleContents, holder_of, mint_handle


@dataclass
class HeldSession:
    """A session that the server gave, and what became of it."""

    attempt: str
    hardware_id: str
    instance_id: str | None
    label: str
    seat: int
    since: float
    """When it began, in Unix seconds of the server's clock, as all times here."""
    lease_end: float
    is_kept_alive: bool = False
    """Whether it stands for somebody else's program, which never misses a heartbeat."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    handle: str = field(default="", repr=False)
    end_reason: str | None = None
    """``released``, ``expired`` or ``kicked``; ``None`` while it is not over."""
    ended_at: float | None = None


class PoolIsFull(Exception):
    """No seat is free."""

    def __init__(self, next_seat_in: float | None) -> None:
        super().__init__("no seat is free")
        self.next_seat_in: float | None = next_seat_in


class SeatIsFull(Exception):
    """The machine's seat has as many processes as it may have."""

    def __init__(self, processes: int, next_process_in: float) -> None:
        super().__init__("the seat is full")
        self.processes: int = processes
        self.next_process_in: float = next_process_in


class SeatPool:
    """The seats of one license. Times are Unix seconds of the server's clock."""

    def __init__(self, license_number: str, total: int, processes_per_seat: int | None, by_process: bool) -> None:
        self.license_number: str = license_number
        self.total: int = total
        self.processes_per_seat: int | None = processes_per_seat
        self.by_process: bool = by_process
        self.tenant: uuid.UUID = uuid.uuid4()
        self.pool_id: uuid.UUID = uuid.uuid4()
        self.sessions: dict[str, HeldSession] = {}
        """Every session that there ever was, by its handle."""
        self.waiting_until: dict[int, float] = {}
        """Seats that an administrator freed: their holders may believe in their leases until then."""

    def active(self) -> list[HeldSession]:
        """The sessions that are not over."""
        return [session for session in self.sessions.values() if session.end_reason is None]

    def is_live(self, session: HeldSession, now: float) -> bool:
        """Whether a session's lease is not over."""
        return session.is_kept_alive or session.lease_end > now

    def held_seats(self, now: float) -> set[int]:
        """The numbers of the seats with a live lease."""
        return {session.seat for session in self.active() if self.is_live(session, now)}

    def seats_waiting(self, now: float) -> set[int]:
        """The numbers of the seats that are nobody's and not free yet."""
        return {seat for seat, until in self.waiting_until.items() if until > now} - self.held_seats(now)

    def holder(self, session: HeldSession) -> str:
        """What occupies the session's seat."""
        return self.holder_for(session.hardware_id, session.instance_id)

    def holder_for(self, hardware_id: str, instance_id: str | None) -> str:
        """What would occupy the seat of this machine and process."""
        return holder_of(self.license_number, hardware_id, instance_id if self.by_process else None)

    def take(self, session: HeldSession, hw: bytes, now: float, ttl: float) -> HeldSession:
        """Give a new session its seat. Raises :class:`PoolIsFull` or :class:`SeatIsFull`."""
        holder = self.holder(session)
        own = [held for held in self.active() if self.holder(held) == holder]
        for lapsed in [held for held in own if not self.is_live(held, now)]:
            self.end(lapsed, "expired", now)
        refused = self.refusal_for(holder, now, ttl)
        if refused is not None:
            raise refused
        own = [held for held in own if held.end_reason is None]
        session.seat = own[0].seat if own else self._take_free_seat(now)
        session.handle = session.handle or self._handle_of(session, hw)
        self.sessions[session.handle] = session
        return session

    def refusal_for(self, holder: str, now: float, ttl: float) -> PoolIsFull | SeatIsFull | None:
        """Why this holder would get no place on a seat now; ``None`` if it would."""
        own = [held for held in self.active() if self.holder(held) == holder and self.is_live(held, now)]
        if own and self.processes_per_seat is not None and len(own) >= self.processes_per_seat:
            return SeatIsFull(len(own), min(self._lease_end(held, now, ttl) for held in own) - now)
        if own or self._free_seats(now):
            return None
        taken = self.held_seats(now) | self.seats_waiting(now)
        ends = [self._lease_end(held, now, ttl) for held in self.active() if held.seat in taken]
        ends += [until for seat, until in self.waiting_until.items() if seat in taken and until > now]
        return PoolIsFull(min(ends) - now if ends and self.total else None)

    @staticmethod
    def _lease_end(held: HeldSession, now: float, ttl: float) -> float:
        return now + ttl if held.is_kept_alive else held.lease_end

    def end(self, session: HeldSession, reason: str, now: float) -> None:
        """End a session, unless it is over."""
        if session.end_reason is None:
            session.end_reason, session.ended_at = reason, now

    def kick(self, session: HeldSession, now: float) -> None:
        """End a session as an administrator does: its seat waits until its client cannot believe in it any more."""
        until = now if session.is_kept_alive else session.lease_end
        self.end(session, "kicked", now)
        self.waiting_until[session.seat] = max(self.waiting_until.get(session.seat, 0.0), until)

    def holders(self, now: float, ttl: float) -> list[SeatHolder]:
        """At most five holders as others see them, the longest silent first."""
        from datetime import datetime, timezone

        live = sorted((it for it in self.active() if self.is_live(it, now)), key=lambda it: it.lease_end)
        return [
            SeatHolder(
                label=session.label,
                since=datetime.fromtimestamp(session.since, timezone.utc),
                seen_in=0 if session.is_kept_alive else int(max(now - (session.lease_end - ttl), 0)),
            )
            for session in live[:5]
        ]

    def _free_seats(self, now: float) -> list[int]:
        taken = self.held_seats(now) | self.seats_waiting(now)
        return [seat for seat in range(self.total) if seat not in taken]

    def _take_free_seat(self, now: float) -> int:
        free = self._free_seats(now)[0]
        for displaced in [it for it in self.active() if it.seat == free]:
            self.end(displaced, "expired", now)
        return free

    def _handle_of(self, session: HeldSession, hw: bytes) -> str:
        return mint_handle(
            HandleContents(
                tenant=self.tenant,
                license=self.license_number,
                pool="default",
                pool_id=self.pool_id,
                seat=session.seat,
                session=uuid.UUID(session.id),
                hw=hw,
            )
        )
