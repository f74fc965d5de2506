"""What this package answers with, as immutable values. Times are aware ``datetime`` in UTC, durations are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class SeatHolder:
    """A holder of a seat, as others may see it."""

    label: str
    """The name that the holder gave: a host name, or ``machine`` and a piece of its hash."""
    since: datetime
    seen_in: int
    """Seconds since its last request."""


@dataclass(frozen=True)
class License:
    """The license as the server describes it, for display. What is signed is in :class:`TokenClaims`."""

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
class TokenClaims:
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
    """A verified answer of acquire or heartbeat: the time that this process has on a seat."""

    session: str = field(repr=False)
    """The bearer string for heartbeat and release; a secret."""
    session_id: str
    seat: int
    attempt: str
    sent_at: float
    """When the request was sent, in seconds of this machine's monotonic clock. The lease counts from here."""
    expires_in: float
    """The length of the lease in seconds: the smaller of what the answer says and what the signed token says."""
    heartbeat_in: float
    """When the server expects the next heartbeat, in seconds after the answer; never more than half a lease."""
    claims: TokenClaims
    token: str = field(repr=False)
    certificate: str = field(repr=False)
    license: License | None = None
    """The license, where the answer described it (acquire)."""
    other_certificates: tuple[str, ...] = field(default=(), repr=False)
    """Certificates of other instances of the server that answered before, the latest first. The server need not send
    them again."""

    @property
    def ends_at(self) -> float:
        """The end of the lease on the monotonic clock of :class:`coditect_license.Clock`."""
        return self.sent_at + self.expires_in


@dataclass(frozen=True)
class Validation:
    """What an acquire would answer now. No seat is taken. It is not signed: use it for display, not for decisions."""

    license: License
    seats_used: int | None
    holders: tuple[SeatHolder, ...]
    has_seat: bool | None
    """Whether this machine holds a seat already."""
    code: str | None
    """``None`` where a seat would be given, else the code it would be refused with."""
    since: datetime | None
    retry_in: int | None = None
    """Where no seat is free: the seconds after which to ask again, if no holder gives a sign of life before."""
