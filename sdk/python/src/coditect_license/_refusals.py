"""Refusals: which exception each becomes, and which of them are believed.

A refusal of acquire or heartbeat (401 to 410) counts only with a signed statement that repeats the request's nonce. A
refusal without one counts as an unreachable server, since anybody could have sent it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from . import _errors as errors
from ._exchange import Reply, Request, not_from_server, parse_seconds, parse_time
from ._types import SeatHolder
from ._verify import ExpectedToken, verify_refusal

UNSIGNED_SESSION = "token_invalid"
"""The one code of a heartbeat that is never signed: the server does not know the session's handle, and so not the
license."""


def read_refusal(
    reply: Reply, body: Mapping[str, Any], request: Request, expected: ExpectedToken, now: float
) -> errors.LicenseError:
    """The exception for a reply other than 200 and 201."""
    code, request_id = body.get("code"), request_id_of(reply)
    retry_after = parse_seconds(reply.headers.get("retry-after"))
    if not isinstance(code, str):
        return not_from_server(f"HTTP status {reply.status} without a code of the license server", retry_after)
    detail = detail_of(body, code)
    said = f"{detail} [{code}, request {request_id}]"
    if reply.status in (400, 413, 415, 422):
        return errors.InvalidRequest(f"The license server could not read the request: {said}", _field_problems(body))
    # 408: the connection was too slow for the request to arrive.
    if not 401 <= reply.status <= 410 or reply.status == 408:
        return errors.ServerUnreachable(
            f"The license server cannot answer now (HTTP {reply.status}): {said}", retry_after
        )
    if request.nonce is None:
        # release and validate: their refusals decide nothing, and the server does not sign them.
        return refusal_of_code(code, detail, body, request_id)
    if code == UNSIGNED_SESSION and "refusal" not in body:
        return errors.UnknownSession(f"The license server does not know this session: {said}", retry_after)
    try:
        claims = verify_refusal(body.get("refusal"), body.get("certificate"), expected, request.nonce, now)
    except errors.VerificationFailed as error:
        return errors.ServerUnreachable(
            f"A refusal ({code}) came that is not provably the license server's: {error}", retry_after
        )
    for name in ("code", "reason"):
        signed, plain = claims.get(name), body.get(name)
        if signed != plain:
            changed = f"The {name} of a refusal was changed on its way: {signed} was signed, {plain} arrived."
            return errors.ServerUnreachable(changed, retry_after)
    return refusal_of_code(code, detail, body, request_id)


def request_id_of(reply: Reply) -> str | None:
    """The id by which the server's logs name the request; ``None`` if the reply has none that can be shown."""
    found = reply.headers.get("x-request-id")
    return found if found and len(found) <= 64 and found.isascii() and found.isprintable() else None


def detail_of(body: Mapping[str, Any], code: str) -> str:
    """The sentence for a person. Nobody signs it, so it is shown without what a terminal would obey."""
    detail = body.get("detail")
    return errors.one_line(detail if isinstance(detail, str) else str(body.get("title", code)))


def refusal_of_code(code: str, detail: str, body: Mapping[str, Any], request_id: str | None) -> errors.Refusal:
    """The exception of a code, with the members that the body has.

    Only the code and the reason are signed. The other members are for display and for pacing.
    """
    if code == errors.NoSeats.code:
        return _no_seats(detail, body, request_id)
    if code == errors.TooManyProcesses.code:
        processes, next_in = _count_or_zero(body.get("processes")), whole_seconds(body.get("next_process_in"))
        return errors.TooManyProcesses(detail, processes=processes, next_process_in=next_in, request_id=request_id)
    if code == errors.SessionGone.code:
        return errors.SessionGone(detail, reason=_text_or_none(body.get("reason")) or "unknown", request_id=request_id)
    number = _text_or_none(body.get("license"))
    if code == errors.WrongProduct.code:
        product = _text_or_none(body.get("product"))
        return errors.WrongProduct(detail, product=product, license=number, request_id=request_id)
    for state in (errors.LicenseExpired, errors.LicenseSuspended, errors.LicenseRevoked, errors.LicenseNotStarted):
        if code == state.code:
            return state(detail, license=number, since=_time_or_none(body.get("since")), request_id=request_id)
    for plain in (errors.InvalidKey, errors.UnknownPool):
        if code == plain.code:
            return plain(detail, request_id=request_id)
    unknown = errors.Refusal(f"{detail} [{code}]", request_id=request_id)
    unknown.code = code
    return unknown


def _no_seats(detail: str, body: Mapping[str, Any], request_id: str | None) -> errors.NoSeats:
    return errors.NoSeats(
        detail,
        seats_total=_count_or_zero(body.get("seats_total")),
        seats_used=_count_or_zero(body.get("seats_used")),
        next_seat_in=whole_seconds(body.get("next_seat_in")),
        holders=read_holders(body.get("holders", [])),
        request_id=request_id,
    )


def read_holders(raw: object) -> tuple[SeatHolder, ...]:
    """The holders of seats, without those that cannot be read."""
    found = []
    for entry in raw if isinstance(raw, list) else []:
        with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
            label, since = errors.one_line(str(entry["label"])), parse_time(entry["since"])
            found.append(SeatHolder(label=label, since=since, seen_in=int(entry["seen_in"])))
    return tuple(found)


def _field_problems(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    entries = body.get("errors")
    if not isinstance(entries, list):
        return []
    return [(str(e.get("field")), str(e.get("problem"))) for e in entries if isinstance(e, dict)]


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _count_or_zero(value: object) -> int:
    return value if type(value) is int else 0


def whole_seconds(value: object) -> int | None:
    """A number of seconds that the server says; ``None`` where it says none."""
    found = parse_seconds(value)
    return None if found is None else int(found)


def _time_or_none(value: object) -> datetime | None:
    try:
        return parse_time(value) if isinstance(value, str) else None
    except ValueError:
        return None
