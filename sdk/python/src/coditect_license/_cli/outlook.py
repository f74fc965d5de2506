"""What ``run`` would meet now, found out without taking a seat: ``login``, ``status`` and ``doctor`` say it.

Validate says whether the license would give a seat, but its answer is not signed and the product is not compared. So a
seat is asked for once under the name of a product that no license is for. It is refused, and the refusal is signed: it
shows whether this machine believes what the server signs (root keys, issuer, clock).
"""

from __future__ import annotations

import dataclasses
import time
import uuid
from dataclasses import dataclass
from datetime import datetime

from .. import _errors as errors, _flows as flows, _wire
from .._client import LicenseClient
from .._context import Context
from .._errors import LicenseError
from .._exchange import Flow, Reply, Request
from .._jws import loads
from .._refusals import detail_of, refusal_of_code
from .._types import Validation
from .._verify import verify_refusal, verify_token
from .disk import in_time
from .output import span

NO_PRODUCT = "coditect-license asks whether answers are believed, and takes no seat"


@dataclass(frozen=True)
class Outlook:
    """What a start would meet now."""

    validation: Validation | None
    """What the server says of the license; ``None`` if it did not answer."""
    problem: LicenseError | None
    """What a start would raise; ``None`` where it would get a seat."""
    distrust: LicenseError | None = None
    """Why this machine does not believe the server's answers; ``None`` where it does, or where none came."""


def foresee(client: LicenseClient) -> Outlook:
    """Ask the server what a start would meet."""
    try:
        validation = client.validate()
    except LicenseError as error:
        return Outlook(None, error)
    problem = _problem_of(client, validation)
    try:
        refused = client._call(lambda over: _ask_for_refusal(client._context, over))
    except errors.VerificationFailed as distrust:
        if problem is None:
            return Outlook(validation, distrust, distrust)
        # A refusal that cannot be verified is not believed: to a program the server is not there.
        text = f"{problem} A program on this machine does not even believe that, since {_lowered(distrust)}"
        return Outlook(validation, errors.ServerUnreachable(text), distrust)
    except LicenseError as error:
        return Outlook(validation, error)
    if refused is not None and not isinstance(refused, errors.WrongProduct):
        problem = refused
    return Outlook(validation, problem)


def offline_left(client: LicenseClient, seconds: float) -> float | None:
    """The seconds for which a start without contact works by the kept token; ``None`` if it does not.

    The disk has ``seconds`` to give the token.
    """
    if not client._context.offline:
        return None
    try:
        kept = in_time(seconds, "The saved token", client._context.store.load)
    except LicenseError:
        return None
    if kept is None:
        return None
    now = max(time.time(), kept.seen)
    try:
        claims = verify_token(kept.token, kept.certificate, client._context.expected, None, now)
    except LicenseError:
        return None
    return max(claims.exp, claims.offline_until) - now


def _ask_for_refusal(context: Context, deadline: float) -> Flow[errors.Refusal | None]:
    """The signed refusal of a seat for a product that does not exist; ``None`` if it was not refused."""
    granted: list[tuple[str, str | None]] = []

    def build() -> Request:
        identity = dataclasses.replace(context.identity, client={"product": NO_PRODUCT})
        return _wire.acquire_request(identity, str(uuid.uuid4()), f"p-{uuid.uuid4()}")

    def read(reply: Reply, request: Request) -> errors.Refusal | None:
        session = _wire.granted_session(reply)
        if session is not None:
            granted.append((session, reply.server))
            return None
        return _read_refusal(context, reply, request)

    yield from flows.prepare(context, deadline)
    refused = yield from flows.ask(context, build, read, deadline, context.max_retries)
    for session, server in granted:
        yield from flows.release(context, session, deadline, 1, server)
    return refused


def _read_refusal(context: Context, reply: Reply, request: Request) -> errors.Refusal | None:
    """Verify a refusal, and raise what is wrong with it instead of calling the server unreachable."""
    try:
        body = loads(reply.body)
    except ValueError:
        body = None
    code = body.get("code") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(code, str) or not 401 <= reply.status <= 410 or reply.status == 408:
        _wire.read_acquire(reply, request, context.expected, "", context.clock.wall())  # raises what fits
        return None
    verify_refusal(body.get("refusal"), body.get("certificate"), context.expected, request.nonce or "", time.time())
    return refusal_of_code(code, detail_of(body, code), body, None)


def _problem_of(client: LicenseClient, told: Validation) -> LicenseError | None:
    """What validate foretells, as the error that a start would raise."""
    license_, product = told.license, client._context.settings.product
    states: dict[str, tuple[type[errors._LicenseStateRefusal], str]] = {
        "license_suspended": (errors.LicenseSuspended, "The license is suspended{since}. The vendor can resume it."),
        "license_expired": (errors.LicenseExpired, "The license's term is over{since}. Ask the vendor to extend it."),
        "license_revoked": (errors.LicenseRevoked, "The license was revoked for good{since}. Ask for another."),
        "license_not_started": (errors.LicenseNotStarted, "The license's term has not begun{since}."),
    }
    if told.code in states:
        kind, text = states[told.code]
        return kind(text.format(since=_since(told.since)), license=license_.number, since=told.since)
    if license_.product.strip().lower() != product.strip().lower():
        text = (
            f"The license is for {license_.product}, and not for {product}. "
            f"Use a key for {product}, or --product {license_.product} if that is the product you mean."
        )
        return errors.WrongProduct(text, product=license_.product, license=license_.number)
    if license_.product != product:
        return errors.VerificationFailed("license token", "audience", expected=product, found=license_.product)
    if told.code == errors.NoSeats.code:
        return _no_seats(told)
    if told.code == errors.TooManyProcesses.code:
        later = "later" if told.retry_in is None else f"in {span(told.retry_in)}"
        text = f"This machine's seat has as many processes as the license allows. Close one, or try again {later}."
        return errors.TooManyProcesses(text, processes=0, next_process_in=told.retry_in)
    if told.code is not None:
        refused = errors.Refusal(f"The license gives no seat now: {told.code}.")
        refused.code = told.code
        return refused
    return None


def _no_seats(told: Validation) -> errors.NoSeats:
    total = told.license.seats_total
    used = total if told.seats_used is None else told.seats_used
    waiting = total - used
    if total == 0:
        text = "The license has no seats here at present. The vendor can add some."
    elif waiting > 0:
        # After a kick or a restore somebody may still believe in a seat that nobody uses, as far as the server knows.
        later = "later" if told.retry_in is None else f"in {span(told.retry_in)}"
        text = (
            f"No seat is free: {used} of {total} in use, and {waiting} in nobody's use, "
            "but each of those waits until nobody who had it can count on it any more. "
            f"Closing a program does not help those: try again {later}, or run --wait 10m."
        )
    else:
        text = (
            f"No seat is free: {used} of {total} in use. Close the program where it is not needed, "
            "or wait for a seat: coditect-license run --wait 10m."
        )
    return errors.NoSeats(text, seats_total=total, seats_used=used, next_seat_in=told.retry_in, holders=told.holders)


def _since(when: datetime | None) -> str:
    return "" if when is None else f" ({when:%Y-%m-%d %H:%M} UTC)"


def _lowered(error: LicenseError) -> str:
    text = str(error)
    return text[:1].lower() + text[1:]
