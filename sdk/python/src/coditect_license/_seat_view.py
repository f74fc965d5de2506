"""What can be read of a seat, whoever keeps it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from ._errors import LicenseError, NoSeats, TooManyProcesses
from ._seat_core import SeatCore
from ._seat_state import SeatEvent, SeatState
from ._types import License, TokenClaims
from ._version import __version__


class Callbacks:
    """What the program wants to be called. The seat that the program has owns them.

    Whoever keeps the seat refers to them weakly: a callback mostly refers to the seat, which would never be forgotten.
    """

    def __init__(
        self,
        on_event: Callable[[SeatEvent], Any] | None,
        on_wait: Callable[[NoSeats | TooManyProcesses, float], Any] | None,
    ) -> None:
        self.on_event: Callable[[SeatEvent], Any] | None = on_event
        self.on_wait: Callable[[NoSeats | TooManyProcesses, float], Any] | None = on_wait


class SeatView:
    """What can be read of a seat, with threads and with asyncio. Reading never asks the server and never blocks."""

    def __init__(self, core: SeatCore, callbacks: Callbacks | None = None) -> None:
        self._core, self._callbacks = core, callbacks

    @property
    def state(self) -> SeatState:
        """Where the seat stands now: online, offline (within the signed grace), degraded or gone."""
        return self._core.state

    @property
    def problem(self) -> LicenseError | None:
        """Why the seat is not simply online: the last refusal or fault; ``None`` when all is well."""
        return self._core.problem

    @property
    def number(self) -> int | None:
        """The number of the seat within its pool, from 0."""
        claims = self._core.claims
        return None if claims is None else claims.seat

    @property
    def session_id(self) -> str | None:
        """The session's name in the server's logs; gives no power."""
        claims = self._core.claims
        return None if claims is None else claims.session_id

    @property
    def claims(self) -> TokenClaims | None:
        """The last verified license token."""
        return self._core.claims

    @property
    def license(self) -> License | None:
        """The license as the last acquire described it; ``None`` for a seat that started offline. For display."""
        lease = self._core.lease
        return None if lease is None else lease.license

    @property
    def lease_left(self) -> float:
        """Seconds of lease left; 0 when it is over."""
        return self._core.lease_left

    @property
    def grace_left(self) -> float:
        """Seconds of signed grace left for going on without contact; 0 where there is none."""
        return self._core.grace_left

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What an *About* box shows of the license and the seat, as values that JSON has too.

        ``license`` (its public number), ``product``, ``tier``, ``features``, ``license_expires_at`` and
        ``offline_until`` (RFC 3339, or ``None``), ``seat``, ``session_id``, ``state``, ``problem``, ``machine`` (the
        public hash), ``server`` and ``client_version``. What stands in the license is signed. Before the first lease
        what the license says is ``None``.
        """
        core, claims = self._core, self._core.claims
        problem = core.problem
        return {
            "license": core.context.key.number,
            "product": core.context.settings.product,
            "tier": None if claims is None else claims.tier,
            "features": {} if claims is None else dict(claims.features),
            "license_expires_at": None if claims is None else _rfc3339(claims.license_exp),
            "offline_until": None if claims is None else _rfc3339(claims.offline_until),
            "seat": None if claims is None else claims.seat,
            "session_id": None if claims is None else claims.session_id,
            "state": core.state.value,
            "problem": None if problem is None else str(problem),
            "machine": None if claims is None else claims.hw,
            "server": core.context.server,
            "client_version": __version__,
        }

    def has(self, feature: str) -> bool:
        """Whether the license includes ``feature`` and the seat may be used now, online or offline."""
        return bool(self.feature(feature))

    def feature(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - whatever the plan says
        """The value of a feature, signed; ``default`` if the license lacks it or the seat may not be used now."""
        claims = self._core.claims
        if claims is None or self.state not in (SeatState.ONLINE, SeatState.OFFLINE):
            return default
        features: Mapping[str, Any] = claims.features
        return features.get(name, default)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.number} {self.state.value}>"


def _rfc3339(unix: int | None) -> str | None:
    try:
        return None if unix is None else datetime.fromtimestamp(unix, timezone.utc).isoformat().replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return None  # after the year 9999: for ever
