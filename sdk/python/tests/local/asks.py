"""What client processes asked the server and when, and whether it told one "full" while a seat was free.

The way to the server is the product's own; what goes over it is written down beside it. All processes of one machine
have one monotonic clock.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from coditect_license import _http as http
from coditect_license._clock import Clock

FREE_SECONDS = 1.0
"""A seat that is free is granted to who asks so much later (docs/PROTOCOL.md, L1)."""
ANSWER_SECONDS = 10.0
"""Until when at the latest the server has acted on a request whose answer nobody heard: it answers within 5 s or not at
all (docs/API.md), and a busy machine may hold it up as long again."""

CREATED, OK, CONFLICT = 201, 200, 409


@dataclass(frozen=True)
class Ask:
    """One request. It was not sent before ``sent``, and its answer was there by ``answered``; infinity is never."""

    holder: str
    verb: str
    session: str
    """What it was about, or what it granted; empty if that is not known."""
    sent: float
    answered: float
    status: int
    code: str = ""

    @property
    def is_told_full(self) -> bool:
        return self.status == CONFLICT and self.code == "no_seats_available"


def note_asks(log: TextIO) -> None:
    """Write down what this process asks from now on."""
    usual, clock, count = http.SyncHttp.send, Clock(), 0

    def send(self: http.SyncHttp, effect: Any) -> Any:
        nonlocal count
        count += 1
        name, request = f"{id(effect)}-{count}", effect.request
        session = request.session or "-"
        print(f"asked {name} {clock.monotonic():.6f} {request.path.rsplit('/', 1)[-1]} {session}", file=log, flush=True)
        reply = usual(self, effect)
        status, body = getattr(reply, "status", 0), getattr(reply, "body", b"")
        told: Any = json.loads(body) if status in (CREATED, OK, CONFLICT) else {}
        granted = told.get("session", "-") if status == CREATED else "-"
        answer = f"{status} {granted} {told.get('code') or '-'}"
        print(f"answered {name} {clock.monotonic():.6f} {answer}", file=log, flush=True)
        return reply

    http.SyncHttp.send = send  # type: ignore[method-assign]


def whole_lines(path: Path) -> list[str]:
    """The lines of a file, without one that its process was killed in."""
    return [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def read_asks(lines: Iterable[str], holder: str) -> Iterator[Ask]:
    """What one process of a holder wrote, maybe among other things."""
    asked: dict[str, tuple[float, str, str]] = {}
    for line in lines:
        match line.split():
            case ["asked", name, sent, verb, session]:
                asked[name] = float(sent), verb, session
            case ["answered", name, answered, status, granted, code]:
                at, verb, session = asked.pop(name)
                about = (granted if session == "-" else session).strip("-")
                yield Ask(holder, verb, about, at, float(answered), int(status), code.strip("-"))
    for sent_at, verb, session in asked.values():
        yield Ask(holder, verb, session.strip("-"), sent_at, math.inf, 0)


@dataclass
class Claim:
    """From when until when at most a session may keep a seat from others."""

    holder: str
    begins: float
    ends: float


def claims_of(asks: Iterable[Ask], lease: float) -> list[Claim]:
    """What is in doubt is a claim."""
    by_session: dict[str, Claim] = {}
    claims: list[Claim] = []
    ended: dict[str, float] = {}
    for ask in sorted(asks, key=lambda ask: ask.sent):
        if ask.verb not in ("acquire", "heartbeat", "release"):
            continue
        if ask.verb == "release":
            if ask.status == OK:
                ended[ask.session] = min(ask.answered, ended.get(ask.session, math.inf))
            continue
        if ask.status == CONFLICT:
            continue
        is_known = ask.status in (CREATED, OK)
        ends = (ask.answered if is_known else ask.sent + ANSWER_SECONDS) + lease
        if ask.session and ask.session in by_session:
            by_session[ask.session].ends = max(by_session[ask.session].ends, ends)
            continue
        claims.append(Claim(ask.holder, ask.sent, ends))
        if ask.session:
            by_session[ask.session] = claims[-1]
    for session, at in ended.items():
        if session in by_session:
            by_session[session].ends = min(by_session[session].ends, at)
    return claims


def wrongly_told_full(asks: Iterable[Ask], *, seats: int, lease: float) -> list[str]:
    """Who was told "full" although a seat had been free for a second when it asked, and still was (L1).

    One holder has one seat. Where fewer others than there are seats may have had one at any time from a second before
    the question until the answer, one seat was free all the while.
    """
    everything = list(asks)
    claims = claims_of(everything, lease)
    wrong: list[str] = []
    for ask in everything:
        if not ask.is_told_full:
            continue
        began = ask.sent - FREE_SECONDS
        others: dict[str, float] = defaultdict(float)
        for claim in claims:
            if claim.holder != ask.holder and claim.begins <= ask.answered and claim.ends >= began:
                others[claim.holder] = max(others[claim.holder], claim.ends)
        if len(others) < seats:
            wrong.append(
                f"{ask.holder} asked at {ask.sent:.2f} and was told full at {ask.answered:.2f}, while at most "
                f"{len(others)} of {seats} seats were held by others"
            )
    return wrong
