"""Everything once: seats taken, kept, denied and given back, keys that are wrong, a store that forgot, one that does
not answer, a program that stopped without a word, a message that makes no sense, and services that begin badly."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

from .run_of_services import Asked, Run, Services, services, until

# The example of README.md: well-formed, and of no license of this installation.
UNKNOWN_KEY = "CODI-6WRXP-457A6-0BTJ8-9VR2K-WAA0K-D0ECC"
# A lease long enough for the run of requests, short enough to see it end.
LEASE_SECONDS = 10


def key_of(answer: dict[str, Any]) -> str:
    """The name of the key that signed an answer's token: what a client says to have the certificate of."""
    head = answer["token"].split(".")[0]
    return json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]


def seats(it: Services) -> list[Asked]:
    """Five seats are taken, a sixth is denied, one is kept and given back. The four whose programs then fall silent."""
    attempt = str(uuid.uuid4())
    taken = [it.acquire(str(number), attempt=attempt if number == 0 else None) for number in range(5)]
    it.acquire("0", attempt=attempt)
    it.acquire("denied")
    it.acquire("unknown", key=UNKNOWN_KEY)
    it.ask("POST", "/api/v1/licenses/validate", {"license_key": it.key, "hardware_id": "machine-0-0001"})
    it.ask("GET", "/.well-known/license-keys")
    session = taken[0].answer["session"]
    first = it.heartbeat(session, {"nonce": "n" * 22, "certificate_kid": key_of(taken[0].answer)})
    it.heartbeat(session, {"nonce": "n" * 22, "certificate_kid": key_of(first.answer)})
    it.ask("POST", "/api/v1/licenses/release", None, session)
    it.heartbeat(session)
    return taken[1:]


def people(it: Services) -> None:
    token = it.ask("POST", "/token", {"email": "ada@example.com", "name": "Ada"}, at=it.at["issuer"], count=False)
    bearer = token.answer.get("id_token") or token.answer["token"]
    it.ask("POST", "/api/v1/auth/register", {"organization_name": "Ada's"}, bearer)
    it.ask("POST", "/api/v1/auth/register", None, bearer)
    it.ask("GET", "/api/v1/me", bearer=bearer)
    it.ask("GET", "/openapi.json")
    it.ask("GET", "/nowhere")
    it.ask("POST", "/tick", {}, at=it.at["reaper"])


def silence(it: Services, held: list[Asked]) -> None:
    """Until the reaper has ended the sessions of those who are not heard from."""

    def swept() -> bool:
        lines = [json.loads(line) for line in it.local.lines() if '"message":"swept"' in line]
        return sum(line["seats"] for line in lines) >= len(held)

    until(swept, "the seats of programs that stopped", 6 * LEASE_SECONDS)


def faults(it: Services) -> None:
    it.publish("reap", b"this is no share of a sweep")
    until(lambda: it.local.has("a poison message"), "the message that makes no sense")
    session = it.acquire("before-the-loss").answer["session"]
    it.redis("FLUSHALL")
    it.heartbeat(session)
    until(lambda: it.local.has("pool rebuilt"), "the pool made anew")
    # Longer than a request may take; the store then goes on with what it has.
    it.redis("CLIENT", "PAUSE", "6000", "ALL")
    refused = it.acquire("during-the-pause")
    assert refused.status == 503, f"a store that does not answer is a 503, not {refused.status} {refused.answer}"


def bad_beginnings(it: Services) -> None:
    nowhere = {"REDIS_URL": f"redis+unix://{it.folder}/nowhere.sock", "TRUSTED_PROXIES": "1"}
    with it.beside("acquire", **nowhere) as (at, process):
        until(lambda: process.has("not reachable at start"), "the store that is not there")
        it.ask("POST", "/api/v1/licenses/acquire", {
            "license_key": it.key, "hardware_id": "machine-x-0001", "attempt": str(uuid.uuid4()),
        }, at=at)
    closed = "http://127.0.0.1:9/keys.json"
    with it.beside("register", IDENTITY_JWKS_URL=closed, IDENTITY_ISSUER="https://securetoken.google.com/none",
                   IDENTITY_AUDIENCE="none") as (at, _):
        head = base64.urlsafe_b64encode(b'{"alg":"RS256","kid":"unknown","typ":"JWT"}').decode().rstrip("=")
        it.ask("POST", "/api/v1/auth/register", None, f"{head}.e30.c2ln", at=at)


def play() -> Run:
    """The run as a whole; its lines are read when everything has stopped."""
    settings: dict[str, Any] = {"SEAT_TTL_SECONDS": str(LEASE_SECONDS), "REAPER_PERIOD_SECONDS": "2"}
    with services(**settings) as it:
        held = seats(it)
        people(it)
        silence(it, held)
        faults(it)
        bad_beginnings(it)
    return it.run


if __name__ == "__main__":
    run = play()
    for asked in run.asked:
        print(asked.method, asked.path, asked.status, asked.code or "", asked.bytes_in, asked.bytes_out)
    print("\n".join(run.lines))
