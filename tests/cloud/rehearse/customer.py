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


def _by_staff(issuer: Issuer) -> str:
    staff = wiring.PROD["staff"]
    return issuer.id_token(staff["issuer"], staff["audience"], "staff@example.com")


class Organization:
    """A customer: the person who registered it, and its license of so many seats, whose plan staff makes."""

    def __init__(self, front: str, issuer: Issuer, name: str, seats: int):
        self.front, self.issuer, self.email = front, issuer, f"{name.lower()}@example.com"
        plan, product = f"{PLAN}-{seats}", f"{PRODUCT}-{seats}"
        terms = {"tier": "rehearsal", "seats": seats, "offline_policy": "none"}
        for path, body in ((f"plans/{plan}", terms), (f"products/{product}", {"registration_plan": plan})):
            status, said = ask("PUT", f"{front}/api/v1/staff/{path}", body=body, bearer=_by_staff(issuer))
            demand(status in (200, 201), f"staff could not make {path}: {status} {said}")
        body = {"organization_name": name, "product": product}
        status, said = ask("POST", f"{front}/api/v1/auth/register", body=body, bearer=self._person())
        demand(status == 201, f"registering answers {status} {said}")
        self.key, self.id = said["license"]["key"], said["organization"]["id"]
        self.license, self.number = said["license"]["id"], said["license"]["number"]

    def _person(self) -> str:
        return self.issuer.id_token(wiring.IDENTITY["issuer"], wiring.IDENTITY["audience"], self.email)

    def look_around(self):
        """What a person and staff look at through the management API, and one change: each must be answered."""
        own = f"/api/v1/organizations/{self.id}"
        looks = ["/api/v1/me", own, *(f"{own}/{what}" for what in ("licenses", "sessions", "people", "audit-log"))]
        for path in [*looks, f"{own}/audit-log/verify", f"{own}/licenses/{self.license}"]:
            status, said = ask("GET", self.front + path, bearer=self._person())
            demand(status == 200, f"GET {path} answers {status} {said}")
        status, said = ask("GET", f"{self.front}/api/v1/staff/licenses/{self.number}", bearer=_by_staff(self.issuer))
        demand(status == 200, f"staff looks for a license, and the answer is {status} {said}")
        path = f"{own}/licenses/{self.license}"
        for verb in ("suspend", "resume"):
            status, said = ask("POST", f"{self.front}{path}/{verb}", body={}, bearer=_by_staff(self.issuer))
            demand(status == 200, f"{verb} answers {status} {said}")


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
