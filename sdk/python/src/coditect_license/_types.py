"""What this package answers with: plain, immutable values. Times are aware ``datetime`` in UTC, durations are seconds."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ._errors import LicenseError


class State(str, enum.Enum):
    """Where a seat stands."""

    ONLINE = "online"
    """The lease is valid: the seat is held."""
    OFFLINE = "offline"
    """The lease is over without contact, and the signed grace is not: the program may go on."""
    DEGRADED = "degraded"
    """Neither lease nor grace. The program decides what it still does; the seat goes on asking and comes back by itself."""
    GONE = "gone"
    """Over for good: released, kicked, revoked, or left behind by a fork. Ask for a new seat, if a person wants one."""


@dataclass(frozen=True)
class Holder:
    """Who holds a seat, as others may see it."""

    label: str
    """What the holder calls itself: a host name, or ``machine`` and a piece of its hash."""
    since: datetime
    seen_in: int
    """Seconds since it was last heard of."""


@dataclass(frozen=True)
class License:
    """The license as the server describes it. For display: what is signed is in :class:`Claims`."""

    number: str
    """The public number: the first 13 symbols of the key."""
    product: str
    tier: str
    status: str
    """``active``, ``suspended``, ``revoked``, ``expired`` or ``not_started``."""
    seats_total: int
    seats_used: int | None
    features: Mapping[str, Any]
    expires_at: datetime | None
    facts_version: int


@dataclass(frozen=True)
class Claims:
    """A verified license token (docs/PROTOCOL.md, section 8). Times are Unix seconds by the server's clock."""

    iss: str
    aud: str
    sub: str
    jti: str
    iat: int
    exp: int
    """The end of the lease."""
    session_id: str
    license: str
    tenant: str
    seat: int
    hw: str
    tier: str
    features: Mapping[str, Any]
    offline_until: int
    """Until when the program may go on without contact."""
    facts_version: int
    license_exp: int | None = None
    nonce: str | None = None


@dataclass(frozen=True)
class Lease:
    """A verified answer of acquire or heartbeat: this process's time on a seat."""

    session: str = field(repr=False)
    """The bearer string for heartbeat and release; a secret."""
    session_id: str
    seat: int
    attempt: str
    sent_at: float
    """When the request was sent, on this machine's monotonic clock: the lease counts from here."""
    expires_in: float
    """The lease in seconds: the smaller of what the answer and what the signed token say."""
    heartbeat_in: float
    """When the server wants to hear from us next, in seconds after the answer; never more than half a lease."""
    claims: Claims
    token: str = field(repr=False)
    certificate: str = field(repr=False)
    license: License | None = None
    """The license, where the answer described it (acquire)."""

    @property
    def ends_at(self) -> float:
        """The end of the lease on the monotonic clock of :class:`coditect_license.Clock`."""
        return self.sent_at + self.expires_in


@dataclass(frozen=True)
class Validation:
    """What an acquire would say now, without taking a seat. Not signed: for display, not for decisions."""

    license: License
    seats_used: int | None
    holders: tuple[Holder, ...]
    has_seat: bool | None
    """Whether this machine holds a seat already."""
    code: str | None
    """``None`` where a seat would be given, else the code it would be refused with."""
    since: datetime | None


@dataclass(frozen=True)
class SeatEvent:
    """Something a program may want to tell its user. Given to ``on_event``."""

    kind: str
    """``state`` (it changed), ``problem`` (the reason changed) or ``grace_ending`` (two days of grace or less are left)."""
    state: State
    previous: State
    problem: LicenseError | None
    """Why the seat is not simply online; ``None`` when all is well."""
    grace_left: float | None
    """Seconds of signed grace left, where the seat is offline."""
