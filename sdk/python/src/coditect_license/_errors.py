"""Every exception of this package, as one tree.

::

    LicenseError
    ├── ConfigurationError           something the program was given is wrong; no request was sent
    ├── InvalidRequest               the server could not read a request (errors)
    ├── ServerUnreachable            no trusted answer came (retry_after, offline)
    ├── VerificationFailed           an answer, or a kept token, failed a check (kind, check)
    └── Refusal                      the server refused, and signed it (code, detail, request_id)
        ├── NoSeats                  next_seat_in, seats_total, seats_used, holders
        ├── TooManyProcesses         processes, next_process_in
        ├── InvalidKey
        ├── LicenseExpired, LicenseSuspended, LicenseRevoked, LicenseNotStarted, WrongProduct    license, since
        ├── UnknownPool
        └── SessionGone                     reason

A :class:`Refusal` carries the server's signature over the refusal; what carries none is a :class:`ServerUnreachable`,
so that a fake server cannot lock anybody out unseen (docs/PROTOCOL.md, section 8). Codes are those of docs/ERRORS.md.

Every error has a ``request_id``, and survives copying, pickling and being raised again in another process.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._types import SeatHolder


E = TypeVar("E", bound="LicenseError")


def _restored(kind: type[E], arguments: tuple[Any, ...], members: dict[str, Any]) -> E:
    """An error as it was pickled. Its constructor is not called, since its arguments are not those of the error."""
    error = kind.__new__(kind)
    error.args = arguments
    error.__dict__.update(members)
    return error


class LicenseError(Exception):
    """The root of the tree. The text says what happened and what to do.

    ``request_id`` is the id of the request in the server's logs, where the error is about one: tell it to the operator
    of the server. ``None`` where nothing was sent.
    """

    request_id: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, dict(self.__dict__))


class ConfigurationError(LicenseError):
    """Something the program was given is wrong: an address, a root key, an identity.

    No request was sent. Correct it in the program.
    """


class InvalidRequest(LicenseError):
    """The server understood the address but not the request (400, 413, 415, 422).

    ``errors`` lists ``(field, problem)``. The same request would be refused again: correct the fields, or upgrade this
    package.
    """

    def __init__(self, message: str, errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.errors: tuple[tuple[str, str], ...] = tuple(errors)


class ServerUnreachable(LicenseError):
    """No trusted answer came: there is no network, a timeout, a fault of the server, or somebody else's answer.

    Try again later; ``retry_after`` is the server's own wish in seconds, if it named one. Where a seat was asked for,
    ``offline`` says why the kept token did not help.
    """

    def __init__(self, message: str, retry_after: float | None = None, offline: str | None = None) -> None:
        super().__init__(message if offline is None else f"{message} Offline use is not possible either: {offline}")
        self.retry_after = retry_after
        self.offline = offline


def with_offline(error: ServerUnreachable, why_not: str) -> ServerUnreachable:
    """The same error, which also says why the kept token did not help."""
    told = ServerUnreachable(str(error), error.retry_after, why_not)
    told.request_id = error.request_id
    return told


class UnknownSession(ServerUnreachable):
    """A heartbeat was answered with an unsigned 401 ``token_invalid``, perhaps since the server's handle key changed.

    It is not believed, since anybody could have sent it, but the seat is acquired again. A program sees a
    :class:`ServerUnreachable`.
    """


class VerificationFailed(LicenseError):
    """An answer of the server, or a kept token, failed a check.

    ``kind`` is ``"license token"``, ``"certificate"`` or ``"refusal"``; ``check`` is the first check that failed, in
    the order of docs/PROTOCOL.md section 8: ``size``, ``form``, ``typ``, ``algorithm``, ``key``, ``signature``,
    ``validity``, ``ttl``, ``grace``, ``issuer``, ``audience``, ``nonce``, ``hw``, ``license``, ``not_yet_valid``,
    ``expired``. ``expected`` and ``found`` are the two issuers or products where those differ.
    """

    _CHECKS: ClassVar[dict[str, tuple[str, str]]] = {
        "size": ("is too large", "The answer is not the license server's: check its address and any proxy."),
        "form": ("is malformed", "The answer is not the license server's: check its address and any proxy."),
        "typ": ("has the wrong typ", "The answer is not the license server's: check its address and any proxy."),
        "algorithm": ("names an algorithm its key does not have", "Somebody may be forging answers."),
        "key": (
            "is signed by a key that is not pinned or certified",
            "Give LicenseClient the server's root keys (roots=…), or upgrade the program that pins them.",
        ),
        "signature": ("has a wrong signature", "Somebody may be changing answers on their way."),
        "validity": ("was not valid when the token was signed", "Report this to the operator of the license server."),
        "ttl": ("lives longer than its certificate allows", "Report this to the operator of the license server."),
        "grace": (
            "grants more grace than its certificate allows",
            "Report this to the operator of the license server.",
        ),
        "issuer": (
            "is of another issuer",
            "Use the server's own address, or issuer=… if the one that was found is right.",
        ),
        "audience": ("is for another product", "Compare product=… with the product of the license."),
        "nonce": ("answers another request", "Somebody may be repeating old answers."),
        "hw": (
            "is for another machine",
            "A copied token is good for its own machine only: connect to get one for this.",
        ),
        "license": ("is about another license", "Somebody may be repeating answers given to others."),
        "not_yet_valid": ("is not valid yet", "Set this machine's clock: it is behind."),
        "expired": (
            "has expired",
            "Connect to the license server; if it answers, set this machine's clock: it is ahead.",
        ),
    }

    def __init__(self, kind: str, check: str, *, expected: str | None = None, found: str | None = None) -> None:
        what, advice = self._CHECKS[check]
        compared = "" if expected is None else f": expected {_shown(expected)}, found {_shown(found)}"
        super().__init__(f"The {kind} {what}{compared}. {advice}")
        self.kind = kind
        self.check = check
        self.expected = expected
        self.found = found


class Refusal(LicenseError):
    """The server refused, and signed it.

    ``code`` is a code of docs/ERRORS.md, ``detail`` the server's own sentence, ``request_id`` the request's id in the
    server's logs.
    """

    code = "refused"

    def __init__(self, detail: str, *, request_id: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.request_id = request_id


class NoSeats(Refusal):
    """No seat is free: each is in use, or waits for a lease to be over; ``detail`` says which.

    This is an answer and no fault: wait for ``next_seat_in`` seconds, ask one of ``holders``, or buy seats.

    ``next_seat_in`` is the time until a seat becomes free *if no holder sends a heartbeat*. It promises nothing and
    keeps no order, and is ``None`` where nothing is known. ``holders`` are at most five, the longest silent first; none
    where the license hides them.
    """

    code = "no_seats_available"

    def __init__(
        self,
        detail: str,
        *,
        seats_total: int,
        seats_used: int,
        next_seat_in: int | None = None,
        holders: Sequence[SeatHolder] = (),
        request_id: str | None = None,
    ) -> None:
        super().__init__(detail, request_id=request_id)
        self.seats_total = seats_total
        """How many seats the license has."""
        self.seats_used = seats_used
        """How many of them have a holder. The others wait for a lease to be over."""
        self.next_seat_in = next_seat_in
        self.holders: tuple[SeatHolder, ...] = tuple(holders)


class TooManyProcesses(Refusal):
    """This machine has its seat, and as many live ``processes`` on it as its license allows.

    End one, or wait for one that ended without giving its place back: ``next_process_in`` is the seconds until the
    first of them is over, unless it sends a heartbeat; ``None`` where the server does not say.
    """

    code = "too_many_processes"

    def __init__(
        self, detail: str, *, processes: int, next_process_in: int | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(detail, request_id=request_id)
        self.processes = processes
        self.next_process_in = next_process_in


class InvalidKey(Refusal):
    """The license key is mistyped, unknown or replaced.

    Compare it with the one that was handed out, or ask for the present one.
    """

    code = "license_key_invalid"


class UnknownPool(Refusal):
    """The license has no pool of that name. Check ``pool=…``."""

    code = "not_found"


class _LicenseStateRefusal(Refusal):
    """A refusal because of the license's state: its public number, and since when (UTC) where that is known."""

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
        """The license's public number, where the server named it."""
        self.since = since
        """Since when the license is so (UTC), where that is known."""


class LicenseExpired(_LicenseStateRefusal):
    """The license's term is over. The vendor can extend it; a seat that goes on asking is answered as soon as it is."""

    code = "license_expired"


class LicenseSuspended(_LicenseStateRefusal):
    """The license is suspended. The vendor can resume it; a seat that goes on asking is answered as soon as it is."""

    code = "license_suspended"


class LicenseRevoked(_LicenseStateRefusal):
    """The license is revoked for good. Ask the vendor for another."""

    code = "license_revoked"


class LicenseNotStarted(_LicenseStateRefusal):
    """The license's term has not begun; ``since`` is when it begins."""

    code = "license_not_started"


class WrongProduct(_LicenseStateRefusal):
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


class SessionGone(Refusal):
    """The session is over and never comes back.

    ``reason`` is ``"expired"``, ``"released"``, ``"kicked"`` (an administrator ended it: let a person decide before
    asking for a new seat) or ``"unknown"``; of this package's own making are ``"forked"`` (the seat belongs to the
    parent process) and ``"closed"``.
    """

    code = "session_gone"

    def __init__(self, detail: str, *, reason: str, request_id: str | None = None) -> None:
        super().__init__(detail, request_id=request_id)
        self.reason = reason


def short(error: LicenseError) -> LicenseError:
    """The error without the frames of this package, for the program's own traceback to be short."""
    return error.with_traceback(None)


def one_line(text: str) -> str:
    """A text of somebody else as terminals and logs may show it: what is not printable becomes a blank."""
    return "".join(c if c.isprintable() else " " for c in text)


def _shown(text: str | None) -> str:
    """A text of somebody else as a message may show it: short, and without line breaks or control characters."""
    return "none" if text is None else ascii(text[:200])[1:-1]


def _publish() -> None:
    """Name the classes by the module from which programs import them, in tracebacks and pickles alike."""
    for value in list(globals().values()):
        if isinstance(value, type) and issubclass(value, LicenseError) and not value.__name__.startswith("_"):
            value.__module__ = __name__.rpartition(".")[0]


_publish()
# Not public: a program sees a ServerUnreachable.
UnknownSession.__module__ = __name__
