"""Who uses the services: staff that makes a plan, a person who registers, machines that hold seats."""

import dataclasses
import http.client
import itertools
import json
import time
import urllib.parse
import uuid

import wiring
from google import Issuer
from place import demand

PLAN, PRODUCT = "rehearsal", "rehearsal"


# Every machine comes from an address of its own, as those of different customers do.
_ADDRESSES = (f"127.0.{number // 250}.{number % 250 + 1}" for number in itertools.count(250))


def ask(method: str, url: str, *, body=None, bearer: str | None = None, address: str = "127.0.0.1") -> tuple:
    """One request from an address of this machine: its status, and what was answered as JSON."""
    where = urllib.parse.urlsplit(url)
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    if body is not None:
        headers["Content-Type"] = "application/json"
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=30, source_address=(address, 0))
    try:
        connection.request(method, where.path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        status, content = answer.status, answer.read()
    finally:
        connection.close()
    try:
        return status, json.loads(content or b"{}")
    except ValueError:
        return status, {"text": content.decode(errors="replace")}


def register(front: str, issuer: Issuer, organization: str, seats: int) -> str:
    """The key of a license with so many seats: staff makes the plan, and a person registers for it."""
    staff = wiring.PROD["staff"]
    by = issuer.id_token(staff["issuer"], staff["audience"], "staff@example.com")
    plan, product = f"{PLAN}-{seats}", f"{PRODUCT}-{seats}"
    terms = {"tier": "rehearsal", "seats": seats, "offline_policy": "none"}
    for path, body in ((f"plans/{plan}", terms), (f"products/{product}", {"registration_plan": plan})):
        status, said = ask("PUT", f"{front}/api/v1/staff/{path}", body=body, bearer=by)
        demand(status in (200, 201), f"staff could not make {path}: {status} {said}")
    person = issuer.id_token(
        wiring.IDENTITY["issuer"], wiring.IDENTITY["audience"], f"{organization.lower()}@example.com"
    )
    body = {"organization_name": organization, "product": product}
    status, said = ask("POST", f"{front}/api/v1/auth/register", body=body, bearer=person)
    demand(status == 201, f"registering answers {status} {said}")
    return said["license"]["key"]


@dataclasses.dataclass
class Holder:
    """A machine that wants a seat."""

    front: str
    key: str = dataclasses.field(repr=False)
    machine: str
    session: str | None = dataclasses.field(default=None, repr=False)
    seat: int | None = None
    believes_until: float = 0
    """Until when, on the clock of time.monotonic(), the machine may believe in its seat."""
    address: str = dataclasses.field(default_factory=lambda: next(_ADDRESSES))

    def _post(self, what: str, *, body=None, bearer: str | None = None) -> tuple:
        return ask("POST", f"{self.front}/api/v1/licenses/{what}", body=body or {}, bearer=bearer, address=self.address)

    def acquire(self) -> tuple:
        """Ask for a seat: the status and the problem's code."""
        body = {"license_key": self.key, "hardware_id": f"machine-{self.machine}-0001", "attempt": str(uuid.uuid4())}
        sent = time.monotonic()
        status, said = self._post("acquire", body=body)
        if status in (200, 201):
            self.session, self.seat, self.believes_until = said["session"], said["seat"], sent + said["expires_in"]
        return status, said.get("code", "")

    def sit(self) -> "Holder":
        """Ask for a seat that must be had."""
        status, code = self.acquire()
        demand(status == 201, f"{self.machine} was given no seat: {status} {code}")
        return self

    def heartbeat(self) -> tuple:
        """Keep the seat: the status, and why the session is over where it is."""
        sent = time.monotonic()
        status, said = self._post("heartbeat", bearer=self.session)
        if status == 200:
            self.believes_until = sent + said["expires_in"]
        return status, said.get("reason", said.get("code", ""))

    def keep(self):
        """Keep a seat that must be kept."""
        status, why = self.heartbeat()
        demand(status == 200, f"{self.machine} lost its seat: {status} {why}")

    def release(self):
        """Give the seat back."""
        status, said = self._post("release", bearer=self.session)
        demand(status == 200, f"{self.machine} could not give its seat back: {status} {said}")
