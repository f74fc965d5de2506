"""Where a seat stands, and the events that tell a program about it."""

from __future__ import annotations

import enum
import logging
from dataclasses import dataclass

from ._errors import LicenseError

HOUR = 3600.0


class SeatState(str, enum.Enum):
    """Where a seat stands."""

    ONLINE = "online"
    """The lease is valid: the seat is held."""
    OFFLINE = "offline"
    """The lease ended without contact, and the signed grace has not ended: the program may go on."""
    DEGRADED = "degraded"
    """Neither a lease nor grace is left. The program decides what it still does; the seat goes on asking and recovers
    by itself."""
    GONE = "gone"
    """The seat is over for good: released, kicked, revoked, or left behind by a fork. Ask for a new seat if a person
    wants one."""


@dataclass(frozen=True)
class SeatEvent:
    """A change of a seat that a program may want to tell its user. It is given to ``on_event``."""

    kind: str
    """``state`` (the state changed), ``problem`` (the reason changed) or ``grace_ending`` (two days of grace or less
    are left)."""
    state: SeatState
    previous: SeatState
    problem: LicenseError | None
    """Why the seat is not simply online; ``None`` when all is well."""
    grace_left: float | None
    """Seconds of signed grace left, where the seat is offline."""


def log_line(event: SeatEvent) -> tuple[int, str, object, object]:
    """What is logged of a change: the level, the text and its values."""
    if event.kind == "grace_ending":
        hours = (event.grace_left or 0) / HOUR
        return logging.WARNING, "%s hours are left before the license server must be reached%s", f"{hours:.1f}", ""
    level = logging.WARNING if event.state in (SeatState.OFFLINE, SeatState.DEGRADED) else logging.INFO
    return level, "seat is %s%s", event.state.value, f": {event.problem}" if event.problem else ""
