"""What the server refuses with, by code: the same status, title, text and headers as the real one.

``sdk/vectors/refusals.json`` was written by the real one, and a test holds this table against it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PROBLEM_TYPE = "/problems/"
"""Where the server has a page about each code; relative to the address that was asked."""
INVALID_TOKEN = 'Bearer error="invalid_token"'
ASK_AGAIN = (
    "The answer could not be found out just now; a change that was asked for may have been made. "
    "Keep what you have and try again after Retry-After."
)


@dataclass(frozen=True)
class ProblemRow:
    """What is said for a code."""

    status: int
    title: str
    detail: str
    retry_after: int | None = None
    challenge: str | None = None
    members: dict[str, Any] = field(default_factory=dict)
    """What is said beside it where nothing else is given."""


_STATE = {"license": "1XTSA1CTX2VZP"}

PROBLEMS: dict[str, ProblemRow] = {
    "invalid_request": ProblemRow(422, "The request is not valid", "The request is not valid."),
    "license_key_invalid": ProblemRow(
        401,
        "The license key is not valid",
        "No license has this key. It may have been replaced: ask whoever gave it to you for the present one.",
        challenge="LicenseKey",
    ),
    "token_invalid": ProblemRow(
        401,
        "The token is not valid",
        "The credential is not a session of this server. Send the session that acquire answered.",
        challenge=INVALID_TOKEN,
    ),
    "license_expired": ProblemRow(
        403, "The license has expired", "The license's term is over. Ask the vendor to extend it.", members=_STATE
    ),
    "license_suspended": ProblemRow(
        403,
        "The license is suspended",
        "The license is suspended and gives no seat. The vendor can say why, and resume it.",
        members=_STATE,
    ),
    "license_revoked": ProblemRow(
        403,
        "The license is revoked",
        "The license was revoked for good. Ask the vendor for another.",
        members=_STATE,
    ),
    "license_not_started": ProblemRow(
        403, "The license has not started", "The license's term has not begun.", members=_STATE
    ),
    "product_not_allowed": ProblemRow(
        403,
        "The license is for another product",
        "The license is for {product}. Use the license of the product you started.",
        members=_STATE | {"product": "another"},
    ),
    "not_found": ProblemRow(404, "Not found", "The license has no pool named {pool}."),
    "method_not_allowed": ProblemRow(405, "Method not allowed", "The path exists, and this method does not on it."),
    "request_timeout": ProblemRow(
        408,
        "The request body did not arrive in time",
        "The whole body had not arrived when its connection was needed for others, and nothing was done. "
        "Send the request again.",
    ),
    "no_seats_available": ProblemRow(
        409,
        "No seat is free",
        "No seat is free.",
        members={"seats_total": 5, "seats_used": 5, "seats_waiting": 0, "holders": []},
    ),
    "too_many_processes": ProblemRow(
        409,
        "Too many processes on one seat",
        "The machine's seat is full.",
        members={"processes": 32, "next_process_in": 51},
    ),
    "session_gone": ProblemRow(
        410,
        "The session is over",
        "This session is not known any more. Acquire again to go on.",
        members={"reason": "unknown"},
    ),
    "payload_too_large": ProblemRow(
        413,
        "The request body is too large",
        "The body is larger than 64 KiB, which no request of this API needs.",
    ),
    "unsupported_media_type": ProblemRow(
        415,
        "The request body is not declared as JSON",
        "The body is declared as something else than JSON. Send JSON with Content-Type: application/json.",
    ),
    "rate_limited": ProblemRow(
        429, "Too many requests", "There were too many requests. This one was not looked at.", retry_after=1
    ),
    "internal": ProblemRow(
        500,
        "Internal error",
        "The request could not be completed because of a fault on our side. Report the request_id if it happens again.",
    ),
    "seats_unavailable": ProblemRow(503, "The seat store cannot be reached", ASK_AGAIN, retry_after=2),
    "records_unavailable": ProblemRow(503, "The records cannot be reached", ASK_AGAIN, retry_after=2),
    "signer_unavailable": ProblemRow(503, "The signing key cannot be reached", ASK_AGAIN, retry_after=5),
}

GONE_DETAILS = {
    "kicked": "An administrator ended this session. Do not acquire again without being asked to.",
    "released": "This session was released. Acquire again to go on.",
    "expired": "This session's lease was not renewed in time, or its place was given to another. Acquire again to go "
    "on.",
}
"""What is said of a session that is over, by its reason."""

WHILE_SEATED = (
    " Leases are not renewed meanwhile: a session goes on if the license gives seats again before its lease ends, and "
    "else a new one begins. Keep asking."
)
"""What is said more to a session whose license gives no seat now, unless the license is revoked."""


WAITS = "until whoever had it before cannot be using it any more"


def detail_of(code: str, members: dict[str, Any], *, is_seated: bool = False) -> str:
    """The sentence for a code and what is said beside it; ``is_seated`` where a session is told."""
    if code == "session_gone":
        return GONE_DETAILS.get(str(members.get("reason")), PROBLEMS[code].detail)
    if code == "no_seats_available":
        return _full_detail(members)
    if code == "too_many_processes":
        return _too_many_detail(members)
    if code == "invalid_request" and "errors" in members:
        return "; ".join(f"{error['field']}: {error['problem']}" for error in members["errors"])
    row = PROBLEMS.get(code)
    if row is None:
        return f"It is {code}."
    detail = row.detail.format_map(_Said(members))
    if code == "license_not_started" and "since" in members:
        detail = f"The license's term has not begun: it begins at {members['since']}."
    is_lasting = code in ("license_suspended", "license_expired", "license_not_started")
    return detail + WHILE_SEATED if is_seated and is_lasting else detail


def span(seconds: int) -> str:
    """A time as people read it: ``51 s``, ``6 min 45 s``, ``3 h``."""
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 3600:
        whole, rest, unit, smaller = seconds // 60, seconds % 60, "min", "s"
    else:
        minutes = -(-seconds // 60)
        whole, rest, unit, smaller = minutes // 60, minutes % 60, "h", "min"
    return f"{whole} {unit} {rest} {smaller}" if rest else f"{whole} {unit}"


def _full_detail(members: dict[str, Any]) -> str:
    total, used, waiting = (members.get(name, 0) for name in ("seats_total", "seats_used", "seats_waiting"))
    if not total and not used:
        return "The license has no seats here at present. The vendor can add some."
    if waiting:
        within = f"in {span(members['next_seat_in'])}" if "next_seat_in" in members else "later"
        return (
            f"No seat is free: {used} of {total} in use, {waiting} waiting, each {WAITS}. "
            f"The first of those is free {within}; or close the program where it is not needed."
        )
    seats = "The license's only seat is" if total == 1 else f"All {total} seats are"
    return f"{seats} in use. Close the program where it is not needed, or try again later."


def _too_many_detail(members: dict[str, Any]) -> str:
    processes, next_in = members.get("processes", 0), members.get("next_process_in", 1)
    who = (
        "Another process of this machine has its seat"
        if processes == 1
        else f"{processes} processes of this machine share its seat"
    )
    return (
        f"{who} already, as many as the license allows. Close one. One that ended without giving its place back keeps "
        f"it until its lease ends: the first is over in {span(next_in)}, unless it gives a sign of life."
    )


class _Said(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return "that name" if name == "pool" else "some"
