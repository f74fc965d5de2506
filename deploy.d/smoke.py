"""The smoke test: what a customer does, asked of what was just deployed. The same against the cloud and one machine."""

import dataclasses
import http.client
import json
import pathlib
import secrets
import time
import urllib.error
import urllib.request
import uuid

import signed_token
from environments import functions
from failures import Failure
from license_keys import number_of, unknown_key
from reading import parse, read_text
from streams import say

HARDWARE = "deploy-smoke-test"
WRONG_KEYS = 11  # one more than RATE_UNKNOWN_KEYS lets an address try in a minute
# A fresh instance has no way to the stores for 20 to 40 s (Direct VPC egress).
READY_SECONDS = 90
TICK_SECONDS = 120


@dataclasses.dataclass
class SmokeTarget:
    """What is tested."""

    front: str | None
    """The address of all functions; None where each has only its own."""
    functions: dict
    """The address of each function that can be reached from here."""
    roots: signed_token.RootKeys
    license_key: str = dataclasses.field(repr=False)
    issuer: str = ""
    wrong_keys: int = WRONG_KEYS
    hidden: tuple = ()
    """Functions that must not be reachable from here."""

    def address(self, path: str) -> str:
        """Where a path is served."""
        if self.front:
            return self.front + path
        for name, row in functions().items():
            if path in row["paths"]:
                return self.functions[name] + path
        raise Failure("smoke", f"No function serves {path}.")


class Answer:
    """An answer over HTTP."""

    def __init__(self, status: int, headers, body: bytes):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> dict:
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Failure("smoke", f"An answer ({self.status}) is no JSON: {self.body[:200]!r}") from error

    @property
    def code(self) -> str:
        """The code of a problem, or nothing."""
        return self.json().get("code", "") if b'"code"' in self.body else ""


def ask(method: str, url: str, *, body=None, headers=None, patience: float = 60) -> Answer:
    """One request. A service that scaled to zero takes half a minute to answer its first one, which is no fault."""
    data = None if body is None else json.dumps(body).encode()
    headers = {**(headers or {}), **({} if data is None else {"Content-Type": "application/json"})}
    try:
        request = urllib.request.Request(url, data=data, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=patience) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read())
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        raise Failure("smoke", f"{url} does not answer: {getattr(error, 'reason', error)}.") from error


def _demand(condition: bool, message: str):
    if not condition:
        raise Failure("smoke", message)


class SmokeTest:
    """The checks in their order. Each prints a line when it passed, and the first that fails ends the test."""

    def __init__(self, target: SmokeTarget):
        self.target = target
        self.passed = 0
        self.marker = f"deploy-smoke-{secrets.token_hex(4)}"
        """The request id of what this test asks for a seat: by it, the lines of the answers are found."""
        self.server_time = 0
        """When the seat was given, by the server's clock, in seconds since 1970."""

    def run(self):
        for check in (self.health, self.keys, self.seat, self.forged_address, self.push):
            self.passed_check(check)

    def passed_check(self, check):
        """Make one, count it and print what passed. An answer that is not as it must be is what it looks for."""
        try:
            what = check()
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise Failure("smoke", f"An answer lacks what it must have: {type(error).__name__} {error}.") from error
        self.passed += 1
        say(f"  ok  {what}")

    def health(self) -> str:
        """Every function reaches its stores."""
        for name, address in self.target.functions.items():
            if name in self.target.hidden:
                continue
            deadline = time.monotonic() + READY_SECONDS
            answer = ask("GET", f"{address}/health/ready")
            while answer.status == 503 and time.monotonic() < deadline:
                time.sleep(1)
                answer = ask("GET", f"{address}/health/ready")
            _demand(
                answer.status == 200,
                f"{name} is not ready ({answer.status}): {answer.body[:300].decode(errors='replace')}",
            )
        return (
            f"health: {', '.join(name for name in self.target.functions if name not in self.target.hidden)} are ready"
        )

    def keys(self) -> str:
        """The published keys hold a pinned one."""
        answer = ask("GET", self.target.address("/.well-known/license-keys"))
        _demand(answer.status == 200, f"/.well-known/license-keys answers {answer.status}.")
        published = {key.get("kid") for key in answer.json().get("keys", [])}
        pinned = set(self.target.roots.keys)
        _demand(
            bool(published & pinned),
            f"None of the published keys ({', '.join(sorted(map(str, published)))}) is pinned: clients would refuse.",
        )
        return f"keys: {len(published)} published, {len(published & pinned)} of them pinned"

    def seat(self) -> str:
        """A canary takes a seat, keeps it and gives it back; both tokens are verified offline."""
        nonce = secrets.token_urlsafe(16)
        asked = {
            "license_key": self.target.license_key,
            "hardware_id": HARDWARE,
            "attempt": str(uuid.uuid4()),
            "nonce": nonce,
            "client": {"deployment": "smoke", "hostname": "deploy-smoke"},
        }
        started = time.monotonic()
        marked = {"X-Request-Id": self.marker}
        granted = ask("POST", self.target.address("/api/v1/licenses/acquire"), body=asked, headers=marked)
        _demand(granted.status in (200, 201), f"acquire answers {granted.status} {granted.code}.")
        lease = granted.json()
        bearer = {**marked, "Authorization": f"Bearer {lease['session']}"}
        try:
            self.server_time = self._verify(lease["token"], lease["certificate"], nonce)["iat"]
            nonce = secrets.token_urlsafe(16)
            kept = ask("POST", self.target.address("/api/v1/licenses/heartbeat"), body={"nonce": nonce}, headers=bearer)
            _demand(kept.status == 200, f"heartbeat answers {kept.status} {kept.code}.")
            renewed = kept.json()
            self._verify(renewed["token"], renewed.get("certificate", lease["certificate"]), nonce)
        finally:
            # Given back whatever was found, so that a red test takes no seat from the next one.
            released = ask("POST", self.target.address("/api/v1/licenses/release"), body={}, headers=bearer)
        _demand(released.status in (200, 204), f"release answers {released.status} {released.code}.")
        again = ask("POST", self.target.address("/api/v1/licenses/heartbeat"), body={}, headers=bearer)
        _demand(again.status == 410, f"A heartbeat after the release answers {again.status} and not 410.")
        took = round((time.monotonic() - started) * 1000)
        return f"seat: acquired, kept, released; both tokens verified offline with the pinned root ({took} ms)"

    def _verify(self, token: str, certificate: str, nonce: str) -> dict:
        hardware = signed_token.hardware_hash(number_of(self.target.license_key), HARDWARE)
        return signed_token.verify(
            token,
            certificate,
            self.target.roots,
            issuer=self.target.issuer,
            nonce=nonce,
            hardware=hardware,
            now=time.time(),
        )

    def forged_address(self) -> str:
        """An X-Forwarded-For that a client invents is not believed (TRUSTED_PROXIES is not too high).

        Wrong license keys are counted by address. If the invented addresses counted, each would have tries of its own.
        """
        url = self.target.address("/api/v1/licenses/acquire")
        for tried in range(self.target.wrong_keys):
            body = {"license_key": unknown_key(), "hardware_id": HARDWARE, "attempt": str(uuid.uuid4())}
            invented = f"203.0.113.{secrets.randbelow(254) + 1}, 198.51.100.{tried + 1}, 192.0.2.{tried + 1}"
            answer = ask("POST", url, body=body, headers={"X-Forwarded-For": invented})
            if answer.status == 429 and answer.code == "rate_limited":
                return f"forged address: after {tried} wrong keys the true address was refused (429)"
            _demand(answer.status == 401, f"A wrong license key is answered {answer.status} {answer.code} and not 401.")
        raise Failure(
            "smoke",
            f"{self.target.wrong_keys} wrong license keys with invented X-Forwarded-For were all tried: addresses that "
            "clients invent are believed. TRUSTED_PROXIES is too high (front.trusted_proxies in services.tfvars).",
        )

    def push(self) -> str:
        """Nobody without a token makes the reaper work."""
        address = self.target.functions.get("reaper")
        answer = ask("POST", f"{address}/tick" if address else f"{self.target.front}/tick", body={})
        if "reaper" in self.target.hidden:
            _demand(answer.status in (401, 403, 404), f"The reaper answers {answer.status} to a push from outside.")
            return f"push: a push from outside does not reach the reaper ({answer.status})"
        _demand(answer.status == 401, f"A push without a token is answered {answer.status} and not 401.")
        return "push: one without a token is refused (401)"


def await_tick(read_lines, what: str) -> str:
    """A sweep that began after this was called, seen in the lines of the reaper."""
    deadline = time.monotonic() + TICK_SECONDS
    while time.monotonic() < deadline:
        lines = read_lines()
        if lines:
            return f"tick: swept ({lines[0].get('outcome', 'ok')}; {what})"
        time.sleep(2)
    raise Failure(
        "smoke",
        f'No tick was swept within {TICK_SECONDS} s. DEPLOYING.md, "The reaper does not tick", says where to look.',
    )


def ticks_in(path: pathlib.Path, offset: int) -> list:
    """The ticks that were swept, among the lines that a server on this machine has written since the offset."""
    with path.open("rb") as file:
        file.seek(offset)
        text = file.read().decode("utf-8", "replace")
    found = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # what people read, or a line that is still being written
        if not isinstance(entry, dict) or entry.get("metric") != "reaper/tick_requests":
            continue
        if str(entry.get("httpRequest", {}).get("status", "")).startswith("2"):
            found.append(entry)
    return found


def read_local(data: pathlib.Path) -> SmokeTarget:
    """The target that license-local describes in its data directory."""
    path, way = data / "endpoints.json", "Start the server first, which writes it: ./dev run"
    endpoints = parse(read_text(path, "machine", way), {"front": str}, "machine", f"{path} holds", way)
    known = {name: address for name, address in endpoints.items() if name in functions()}
    return SmokeTarget(
        front=endpoints["front"],
        functions=known,
        roots=signed_token.RootKeys(data / "root.pem"),
        license_key=read_text(data / "license-key", "machine", way).strip(),
        # The front's own address, unless clients know it by another one (PUBLIC_URL, TOKEN_ISSUER).
        issuer=endpoints.get("token_issuer", endpoints["front"]),
    )
