"""The answers of the server in memory, held against the document that the real server's code makes of its own."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx
import pytest

from coditect_license.testing import InMemoryServer
from coditect_license.testing._handles import open_handle
from coditect_license.testing._requests import FIELDS, REQUIRED

from .shared import shared

SCHEMAS = json.loads(shared("openapi.json").read_text("utf-8"))["components"]["schemas"]
MACHINE = {"hardware_id": "machine-0001"}
NONCE = "0123456789abcdef"


def fits(value: dict[str, Any], schema: str) -> None:
    """The members of an answer are those that the document names, and all that it demands."""
    known, demanded = set(SCHEMAS[schema]["properties"]), set(SCHEMAS[schema]["required"])
    assert demanded <= set(value) <= known, (schema, set(value) ^ demanded)


def ask(server: InMemoryServer, verb: str, session: str | None = None, **body: Any) -> httpx.Response:
    headers = {} if session is None else {"authorization": f"Bearer {session}"}
    url = f"{server.url}/api/v1/licenses/{verb}"
    return server.handle(httpx.Request("POST", url, json=body, headers=headers))


def acquire(server: InMemoryServer, **body: Any) -> httpx.Response:
    given = {"license_key": server.key, "attempt": str(uuid.uuid4()), "nonce": NONCE, **MACHINE, **body}
    return ask(server, "acquire", **given)


@pytest.mark.parametrize(
    ("verb", "schema"),
    [
        ("acquire", "AcquireRequest"),
        ("heartbeat", "HeartbeatRequest"),
        ("release", "ReleaseRequest"),
        ("validate", "ValidateRequest"),
    ],
)
def test_the_double_takes_the_fields_that_the_server_takes(verb: str, schema: str) -> None:
    assert set(FIELDS[verb]) == set(SCHEMAS[schema].get("properties", {}))
    assert set(REQUIRED.get(verb, ())) == set(SCHEMAS[schema].get("required", []))


def test_its_answers_have_the_members_of_the_servers() -> None:
    server = InMemoryServer()
    granted = acquire(server)
    seat = granted.json()
    assert granted.status_code == 201
    fits(seat, "Seat")
    fits(seat["license"], "LicenseFacts")
    beat = ask(server, "heartbeat", seat["session"], nonce=NONCE)
    fits(beat.json(), "Lease")
    known = ask(server, "heartbeat", seat["session"], nonce=NONCE, certificate_kid=f"x {server.signer.kid}")
    assert "certificate" in beat.json() and "certificate" not in known.json()
    valid = ask(server, "validate", license_key=server.key, **MACHINE).json()
    fits(valid, "ValidLicense")
    fits(valid["holders"][0], "SeatHolder")
    server.license_status = "suspended"
    fits(ask(server, "validate", license_key=server.key).json(), "RefusingLicense")
    fits(ask(server, "release", seat["session"]).json(), "ReleaseResponse")


@pytest.mark.parametrize("verb", ["acquire", "heartbeat"])
def test_its_refusals_have_the_members_of_the_servers(verb: str) -> None:
    server = InMemoryServer(seats=1)
    seat = acquire(server).json()
    server.kick()
    body = {"nonce": NONCE}
    answer = ask(server, "heartbeat", seat["session"], **body) if verb == "heartbeat" else acquire(server)
    said = answer.json()
    assert said["code"] == {"acquire": "no_seats_available", "heartbeat": "session_gone"}[verb]
    fits(said, "Problem")
    assert {"refusal", "certificate"} <= set(said)


def test_a_repeated_attempt_has_its_session_again_and_a_repeated_release_its_answer() -> None:
    server = InMemoryServer()
    attempt = str(uuid.uuid4())
    first, second = acquire(server, attempt=attempt), acquire(server, attempt=attempt)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["session"] == second.json()["session"]
    ends = [ask(server, "release", first.json()["session"]).json() for _ in range(2)]
    server.advance(10)
    ends.append(ask(server, "release", first.json()["session"]).json())
    assert ends[0] == ends[1] == ends[2]


def test_its_handles_are_the_servers_and_a_forged_one_is_nobodys() -> None:
    server = InMemoryServer()
    seat = acquire(server).json()
    contents = open_handle(seat["session"])
    assert contents is not None and (str(contents.session), contents.seat) == (seat["session_id"], seat["seat"])
    forged = ask(server, "heartbeat", f"{seat['session'][:-1]}!")
    assert (forged.status_code, forged.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')
    assert "refusal" not in forged.json()


def test_a_late_heartbeat_is_taken_while_nobody_else_was_given_the_seat() -> None:
    server = InMemoryServer(seats=1)
    seat = acquire(server).json()
    server.advance(4000)
    assert server.seats_used == 0
    assert ask(server, "heartbeat", seat["session"]).status_code == 200
    server.advance(4000)
    assert acquire(server, hardware_id="machine-0002").status_code == 201
    gone = ask(server, "heartbeat", seat["session"], nonce=NONCE)
    assert (gone.status_code, gone.json()["reason"]) == (410, "expired")
