"""Answers that are no: which exception each becomes, and which are believed.

A refusal of acquire or heartbeat (401 to 410) counts only with its signed statement under our nonce. Without one, whoever sent it, the
server counts as unreachable.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import _errors as errors
from ._types import Holder
from ._verify import Expected, verify_refusal

if TYPE_CHECKING:
    from datetime import datetime

    from ._wire import Reply, Request

UNSIGNED_SESSION = "token_invalid"
"""The one code a heartbeat may meet that is never signed: the server does not know the handle, and so not the license."""


class UnknownSession(errors.ServerUnreachable):
    """An unsigned 401 ``token_invalid``: perhaps the server's handle key was replaced. Not believed, and a reason to acquire again."""


def read(reply: Reply, body: Mapping[str, Any], request: Request, expected: Expected, now: float) -> errors.LicenseError:
    """The exception an answer other than 200 and 201 stands for."""
    from ._wire import not_ours

    code, request_id = body.get("code"), reply.headers.get("x-request-id")
    retry_after = seconds(reply.headers.get("retry-after"))
    if not isinstance(code, str):
        return not_ours(f"HTTP status {reply.status} without a code of the license server", retry_after)
    detail = body.get("detail") if isinstance(body.get("detail"), str) else str(body.get("title", code))
    said = f"{detail} [{code}, request {request_id}]"
    if reply.status in (400, 413, 415, 422):
        return errors.InvalidRequest(f"The license server could not read the request: {said}", _fields(body))
    # 408: the connection was too slow for the request to arrive.
    if not 401 <= reply.status <= 410 or reply.status == 408:
        return errors.ServerUnreachable(f"The license server cannot answer now (HTTP {reply.status}): {said}", retry_after)
    if request.nonce is None:
        # release and validate: nothing is decided by their refusals, and the server does not sign them.
        return refused(code, str(detail), body, request_id)
    if code == UNSIGNED_SESSION and "refusal" not in body:
        return UnknownSession(f"The license server does not know this session: {said}", retry_after)
    try:
        claims = verify_refusal(body.get("refusal"), body.get("certificate"), expected, request.nonce, now)
    except errors.VerificationFailed as error:
        return errors.ServerUnreachable(f"Somebody refused ({code}) who is not provably the license server: {error}", retry_after)
    for name in ("code", "reason"):
        signed, plain = claims.get(name), body.get(name)
        if signed != plain:
            changed = f"Somebody changed the {name} of a refusal on its way: signed is {signed}, said was {plain}."
            return errors.ServerUnreachable(changed, retry_after)
    return refused(code, str(detail), body, request_id)


def refused(code: str, detail: str, body: Mapping[str, Any], request_id: str | None) -> errors.Refused:
    """The exception of a code, with its members as far as they are there. But for the reason none is signed: for display and pacing."""
    if code == errors.NoSeats.code:
        return errors.NoSeats(
            detail,
            seats_total=_count(body.get("seats_total")),
            seats_used=_count(body.get("seats_used")),
            next_seat_in=_whole(body.get("next_seat_in")),
            holders=holders(body.get("holders", [])),
            request_id=request_id,
        )
    if code == errors.TooManyProcesses.code:
        next_in = _whole(body.get("next_process_in"))
        return errors.TooManyProcesses(detail, processes=_count(body.get("processes")), next_process_in=next_in, request_id=request_id)
    if code == errors.Gone.code:
        return errors.Gone(detail, reason=_text(body.get("reason")) or "unknown", request_id=request_id)
    if code == errors.WrongProduct.code:
        return errors.WrongProduct(detail, product=_text(body.get("product")), license=_text(body.get("license")), request_id=request_id)
    for state in (errors.LicenseExpired, errors.Suspended, errors.Revoked, errors.NotStarted):
        if code == state.code:
            return state(detail, license=_text(body.get("license")), since=_since(body.get("since")), request_id=request_id)
    for plain in (errors.InvalidKey, errors.UnknownPool):
        if code == plain.code:
            return plain(detail, request_id=request_id)
    unknown = errors.Refused(f"{detail} [{code}]", request_id=request_id)
    unknown.code = code
    return unknown


def holders(raw: object) -> tuple[Holder, ...]:
    """Who holds seats, as far as it can be read."""
    from ._wire import moment

    found = []
    for entry in raw if isinstance(raw, list) else []:
        with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
            found.append(Holder(label=str(entry["label"]), since=moment(entry["since"]), seen_in=int(entry["seen_in"])))
    return tuple(found)


def seconds(value: object) -> float | None:
    """A number of seconds as a header or a member says it; ``None`` if it says none."""
    try:
        found = float(value) if isinstance(value, (int, float, str)) else None
    except ValueError:
        return None
    return found if found is not None and 0 <= found < 1e9 else None


def _fields(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    entries = body.get("errors")
    if not isinstance(entries, list):
        return []
    return [(str(e.get("field")), str(e.get("problem"))) for e in entries if isinstance(e, dict)]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: object) -> int:
    return value if type(value) is int else 0


def _whole(value: object) -> int | None:
    found = seconds(value)
    return None if found is None else int(found)


def _since(value: object) -> datetime | None:
    from ._wire import moment

    try:
        return moment(value) if isinstance(value, str) else None
    except ValueError:
        return None
