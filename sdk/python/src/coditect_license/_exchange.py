"""One exchange with the license server as values: a request, its reply, and the effects by which a flow asks for them.

This module does no I/O. Everything that builds requests, reads replies or carries them out stands above it.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, TypeVar

from ._aside import Aside
from ._errors import ServerUnreachable

T = TypeVar("T")

MAX_REPLY_BYTES = 256 * 1024
"""The most bytes of a reply that are read. The largest reply of the server is a tenth of it."""


@dataclass(frozen=True)
class ClientIdentity:
    """What a client says of itself when it asks for a seat or looks at its license."""

    license_key: str = field(repr=False)
    hardware_id: str
    pool: str | None
    client: Mapping[str, str]
    """Details for the owner of the license: product, version, platform, host name and so on. For display only."""


@dataclass(frozen=True)
class Request:
    """A request to be sent, and what is needed to read its reply."""

    path: str
    body: Mapping[str, Any] | None = field(repr=False)
    session: str | None = field(default=None, repr=False)
    """The bearer string of the session that the request is about."""
    nonce: str | None = None
    """The random text that a signed reply must repeat; ``None`` where the reply is not signed."""
    method: str = "POST"
    request_id: str = field(default_factory=lambda: f"c-{uuid.uuid4()}")
    """The name under which the server's logs have the request, also where no reply comes."""


@dataclass(frozen=True)
class Reply:
    """An HTTP reply. Nothing says yet that the license server sent it."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str]
    """The names are in lower case."""
    sent_at: float
    """When the request was sent, in seconds of the monotonic clock."""
    request_id: str | None = None
    """The id that the request was sent with."""
    server: str | None = None
    """The address that it came from."""
    proxy: str | None = None
    """Which proxy it came through and what to do if that is at fault, in sentences; ``None`` if there was none."""


@dataclass(frozen=True)
class TransportFault:
    """The reason why there is no reply, as a phrase for people."""

    reason: str
    advice: str | None = None
    """What to do, where something better is known than to check the network."""
    request_id: str | None = None
    may_have_arrived: bool = True
    """Whether the server may have got the request and have done what was asked."""
    reply: Reply | None = None
    """What came all the same. It is not believed: only what it grants is read, so that it can be given back."""


@dataclass(frozen=True)
class SendRequest:
    """An effect: send this request, and resume the flow with its reply or with the fault."""

    request: Request
    timeout: float
    """In seconds."""
    server: str | None = None
    """The address to send it to; ``None`` for the preferred one."""


@dataclass(frozen=True)
class Pause:
    """An effect: resume the flow after so many seconds, or earlier if the seat is woken."""

    seconds: float


@dataclass(frozen=True)
class DoAside:
    """An effect: have something done by another thread, and resume the flow when it is done or the time is over.

    It is for disks, which may be slow or hang. What was begun goes on, so it must be of use whenever it ends.
    """

    work: Callable[[], object]
    aside: Aside
    seconds: float


Effect = SendRequest | Pause | DoAside
EffectResult = Reply | TransportFault | None
"""What a flow is resumed with: a reply or a fault after :class:`SendRequest`, else ``None``."""
Flow = Generator[Effect, EffectResult, T]
"""A conversation with the server that does no I/O by itself."""


def lowercase_names(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with their names in lower case."""
    return {name.lower(): value for name, value in headers.items()}


def parse_time(text: str) -> datetime:
    """An RFC 3339 time in UTC. Python before 3.11 reads neither a Z nor three to nine decimals by itself."""
    whole, _, rest = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{rest[:6]:0<6}" if rest else whole).replace(tzinfo=timezone.utc)


def seconds_in_words(seconds: float) -> str:
    """A time limit in a message: a short one to two places."""
    if math.isinf(seconds):
        return "in time"
    return f"within {seconds:.0f} s" if seconds >= 10 else f"within {seconds:.2g} s"


def parse_seconds(value: object) -> float | None:
    """A number of seconds from a header or from a member of a body; ``None`` if the value is no such number."""
    try:
        found = float(value) if isinstance(value, (int, float, str)) else None
    except ValueError:
        return None
    return found if found is not None and 0 <= found < 1e9 else None


def not_from_server(found: str, retry_after: float | None = None) -> ServerUnreachable:
    """The exception for a reply that no healthy license server sends. ``found`` says what the reply was."""
    return ServerUnreachable(
        f"The license server was not reached: its address gave {found}. Check the address, and any proxy on the way.",
        retry_after,
    )
