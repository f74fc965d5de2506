"""Every exception of this package, as one tree.

::

    LicenseError
    ├── ConfigurationError           something the program was given is wrong; no request was sent
    ├── InvalidRequest               the server could not read a request (errors)
    ├── ServerUnreachable            nobody we trust answered (retry_after, offline)
    ├── VerificationFailed           an answer, or a kept token, failed a check (kind, check)
    └── Refused                      a signed answer: no (code, detail, request_id)
        ├── NoSeats                  next_seat_in, seats_total, seats_used, holders
        ├── TooManyProcesses         processes, next_process_in
        ├── InvalidKey
        ├── LicenseExpired, Suspended, Revoked, NotStarted, WrongProduct    license, since
        ├── UnknownPool
        └── Gone                     reason

A :class:`Refused` carries the server's signature over the refusal; what carries none is a :class:`ServerUnreachable`, so that a fake
server cannot lock anybody out unseen (docs/PROTOCOL.md, section 8). Codes are those of docs/ERRORS.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._types import Holder


class LicenseError(Exception):
    """The root of the tree. Its text says what happened and what to do."""


class ConfigurationError(LicenseError):
    """Something the program was given is wrong: an address, a root key, an identity. No request was sent. Correct it in the program."""


class InvalidRequest(LicenseError):
    """The server understood the address but not the request (400, 413, 415, 422).

    ``errors`` lists ``(field, problem)``. The same request would be refused again: correct the fields, or upgrade this package.
    """

    def __init__(self, message: str, errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)


class ServerUnreachable(LicenseError):
    """Nobody we trust answered: no network, a timeout, a fault of the server, or an answer that is not the server's.

    Try again later; ``retry_after`` is the server's own wish in seconds, if it said one. Where a seat was asked for, ``offline`` says why
    the last token did not help.
    """

    def __init__(self, message: str, retry_after: float | None = None, offline: str | None = None) -> None:
        super().__init__(message if offline is None else f"{message} Offline use is not possible either: {offline}")
        self.retry_after = retry_after
        self.offline = offline


class VerificationFailed(LicenseError):
    """An answer of the server, or a kept token, failed a check.

    ``kind`` is ``"license token"``, ``"certificate"`` or ``"refusal"``; ``check`` is the first check that failed, in the order of
    docs/PROTOCOL.md section 8: ``size``, ``form``, ``typ``, ``algorithm``, ``key``, ``signature``, ``validity``, ``ttl``, ``grace``,
    ``issuer``, ``audience``, ``nonce``, ``hw``, ``license``, ``not_yet_valid``, ``expired``.
    """

    _WORDS: ClassVar[dict[str, tuple[str, str]]] = {
        "size": ("is too large", "Whoever answers is not the license server: check its address and any proxy."),
        "form": ("is malformed", "Whoever answers is not the license server: check its address and any proxy."),
        "typ": ("has the wrong typ", "Whoever answers is not the license server: check its address and any proxy."),
        "algorithm": ("names an algorithm its key does not have", "Somebody may be forging answers."),
        "key": (
            "is signed by a key that is not pinned or certified",
            "Give LicenseClient the server's root keys (roots=…), or upgrade the program that pins them.",
        ),
        "signature": ("has a wrong signature", "Somebody may be changing answers on their way."),
        "validity": ("was not valid when the token was signed", "Report this to whoever runs the license server."),
        "ttl": ("lives longer than its certificate allows", "Report this to whoever runs the license server."),
        "grace": ("grants more grace than its certificate allows", "Report this to whoever runs the license server."),
        "issuer": ("is of another issuer", "Compare issuer=… with the server's TOKEN_ISSUER or PUBLIC_URL."),
        "audience": ("is for another product", "Compare product=… with the product of the license."),
        "nonce": ("answers another request", "Somebody may be repeating old answers."),
        "hw": ("is for another machine", "A copied token is good for its own machine only: connect to get one for this."),
        "license": ("is about another license", "Somebody may be repeating answers given to others."),
        "not_yet_valid": ("is not valid yet", "Set this machine's clock: it is behind."),
        "expired": ("has expired", "Connect to the license server; if it answers, set this machine's clock: it is ahead."),
    }

    def __init__(self, kind: str, check: str) -> None:
        what, advice = self._WORDS[check]
        super().__init__(f"The {kind} {what}. {advice}")
        self.kind = kind
        self.check = check


class Refused(LicenseError):
    """The server said no, and signed it.

    ``code`` is the word of docs/ERRORS.md, ``detail`` the server's own sentence, ``request_id`` what its log knows the request by.
    """

    code = "refused"

    def __init__(self, detail: str, *, request_id: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.request_id = request_id


class NoSeats(Refused):
    """No seat is free: each is in use, or waits for a lease to be over; ``detail`` says which.

    An answer, not a fault: wait for ``next_seat_in`` seconds, ask one of ``holders``, or buy seats.

    ``next_seat_in`` is ``None`` where nothing is known; it is when somebody new is seated *if no holder gives a sign of life*, so it promises
    nothing and keeps no order. ``holders`` are at most five, longest silent first, none where the license hides them.
    """

    code = "no_seats_available"

    def __init__(
        self,
        detail: str,
        *,
        seats_total: int,
        seats_used: int,
        next_seat_in: int | None = None,
        holders: Sequence[Holder] = (),
        request_id: str | None = None,
    ) -> None:
        super().__init__(detail, request_id=request_id)
        self.seats_total = seats_total
        self.seats_used = seats_used
        self.next_seat_in = next_seat_in
        self.holders = tuple(holders)


class TooManyProcesses(Refused):
    """This machine has its seat, and as many live ``processes`` on it as its license allows.

    End one, or wait for one that ended without giving its place back: ``next_process_in`` says after how many seconds the first of them
    is over, unless it gives a sign of life. ``None`` where the server does not say.
    """

    code = "too_many_processes"

    def __init__(self, detail: str, *, processes: int, next_process_in: int | None = None, request_id: str | None = None) -> None:
        super().__init__(detail, request_id=request_id)
        self.processes = processes
        self.next_process_in = next_process_in


class InvalidKey(Refused):
    """The license key is mistyped, unknown or replaced. Compare it with the one that was handed out, or ask for the present one."""

    code = "license_key_invalid"


class UnknownPool(Refused):
    """The license has no pool of that name. Check ``pool=…``."""

    code = "not_found"


class _LicenseState(Refused):
    """What the refusals about a license's state share: its public number, and since when (UTC) where that is known."""

    def __init__(
        self,
        detail: str,
        *,
        license: str | None = None,  # noqa: A002 - the server's own word
        since: datetime | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(detail, request_id=request_id)
        self.license = license
        self.since = since


class LicenseExpired(_LicenseState):
    """The license's term is over. The vendor can extend it; a seat that goes on asking is answered as soon as it is."""

    code = "license_expired"


class Suspended(_LicenseState):
    """The license is suspended. The vendor can resume it; a seat that goes on asking is answered as soon as it is."""

    code = "license_suspended"


class Revoked(_LicenseState):
    """The license is revoked for good. Ask the vendor for another."""

    code = "license_revoked"


class NotStarted(_LicenseState):
    """The license's term has not begun; ``since`` is when it begins."""

    code = "license_not_started"


class WrongProduct(_LicenseState):
    """The key belongs to a license of another product, named by ``product``. Use a key for this one."""

    code = "product_not_allowed"

    def __init__(
        self,
        detail: str,
        *,
        product: str | None = None,
        license: str | None = None,  # noqa: A002 - the server's own word
        request_id: str | None = None,
    ) -> None:
        super().__init__(detail, license=license, request_id=request_id)
        self.product = product


class Gone(Refused):
    """The session is over and never comes back.

    ``reason`` is ``"expired"``, ``"released"``, ``"kicked"`` (an administrator ended it: let a person decide before asking for a new
    seat) or ``"unknown"``; of this package's own making are ``"forked"`` (the seat belongs to the parent process) and ``"closed"``.
    """

    code = "session_gone"

    def __init__(self, detail: str, *, reason: str, request_id: str | None = None) -> None:
        super().__init__(detail, request_id=request_id)
        self.reason = reason
