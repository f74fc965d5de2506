"""What a test may tell the server to do next, and what the server tells the test that it received."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, NamedTuple

from ._problems import PROBLEMS

if TYPE_CHECKING:
    import httpx


class ReceivedCall(NamedTuple):
    """A request that the server received."""

    verb: str
    """``acquire``, ``heartbeat``, ``release``, ``validate`` or ``license-keys``."""
    body: dict[str, Any]
    """What was sent, as JSON; empty where nothing was."""
    session: str | None
    """The handle that was sent with it."""


class ScriptedRefusal(NamedTuple):
    """A refusal that the server gives because a test says so. :func:`refusal` makes one from its code."""

    status: int
    """The status of HTTP."""
    code: str
    """One of the codes of the seat operations."""
    members: dict[str, Any]
    """What is said beside the code, such as ``seats_total``; ``retry_after`` becomes the header."""


class OutageKind(str, enum.Enum):
    """A way in which a server is not there."""

    UNREACHABLE = "unreachable"
    """Nobody listens at its address."""
    SILENT = "silent"
    """No answer comes. The client's own timeout is not waited for."""
    UNAVAILABLE = "unavailable"
    """The server answers 503: its stores are away."""
    PORTAL = "portal"
    """Somebody else answers with a page, as in a hotel's network."""
    ANSWER_LOST = "answer_lost"
    """The server does what it is asked, and its answer is lost on the way: a seat may be held that no client knows of.
    The client's own timeout is not waited for."""


def refusal(code: str, **members: Any) -> ScriptedRefusal:  # noqa: ANN401 - whatever JSON can say
    """The refusal of a code of docs/ERRORS.md, with the members that are given and else those that are usual.

    Raises :class:`ValueError` for a code that no seat operation answers with.
    """
    row = PROBLEMS.get(code)
    if row is None:
        raise ValueError(f"{code!r} is no code of the seat operations. There are: {', '.join(PROBLEMS)}.")
    return ScriptedRefusal(row.status, code, {**row.members, **members})


def fail_as_told(kind: OutageKind | None, request: httpx.Request) -> None:
    """Raise what httpx tells a client whose request reaches nobody."""
    import httpx

    if kind is OutageKind.UNREACHABLE:
        raise httpx.ConnectError("Connection refused", request=request)
    if kind is OutageKind.SILENT:
        raise no_answer(request)


def no_answer(request: httpx.Request) -> httpx.ReadTimeout:
    """What a client is told by httpx when no answer came in time."""
    import httpx

    return httpx.ReadTimeout("The read operation timed out", request=request)
