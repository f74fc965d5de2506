"""A license server of a page: signs like the real one, and does what a test tells it.

Speaks to httpx directly or over a socket.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from coditect_license import _jws
from coditect_license._verify import hw_of

KEY = "CODI-1XTSA-1CTX2-VZPGG-TKD9K-7F6PZ-J9HGM"
NUMBER = "1XTSA1CTX2VZP"
ISSUER = "https://licenses.example.com"
ROOT = rsa.generate_private_key(65537, 4096)
OTHER_ROOT = rsa.generate_private_key(65537, 4096)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwk_of(root: rsa.RSAPrivateKey) -> dict[str, str]:
    numbers = root.public_key().public_numbers()
    members = {"e": b64(numbers.e.to_bytes(3, "big")), "kty": "RSA", "n": b64(numbers.n.to_bytes(512, "big"))}
    return {**members, "alg": "RS256", "use": "sig", "kid": _jws.thumbprint(members)}


ROOTS = {"keys": [jwk_of(ROOT)]}


def jws(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    text = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{text}.{b64(sign(text.encode()))}"


class Signer:
    """An instance key and its certificate."""

    def __init__(self, now: int, root: rsa.RSAPrivateKey = ROOT, issuer: str = ISSUER, **claims: Any) -> None:
        self.key = ed25519.Ed25519PrivateKey.generate()
        self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(self.key.public_key().public_bytes_raw())}
        self.kid = _jws.thumbprint(self.jwk)
        said = {"iss": issuer, "iat": now, "nbf": now - 60, "exp": now - 60 + 86400, "cnf": {"jwk": self.jwk}}
        header = {"alg": "RS256", "typ": "license-cert+jwt", "kid": jwk_of(root)["kid"]}
        said |= {"max_token_ttl": 900, "max_grace": 604800} | claims
        self.certificate = jws(header, said, lambda text: root.sign(text, padding.PKCS1v15(), hashes.SHA256()))

    def token(self, claims: dict[str, Any], **header: Any) -> str:
        return jws({"alg": "EdDSA", "typ": "license-token+jwt", "kid": self.kid} | header, claims, self.key.sign)

    def refusal(self, claims: dict[str, Any], **header: Any) -> str:
        return jws({"alg": "EdDSA", "typ": "license-refusal+jwt", "kid": self.kid} | header, claims, self.key.sign)


def token_claims(
    now: int, *, hardware_id: str, nonce: str | None, lease: int = 355, grace: int = 86400, **more: Any
) -> dict[str, Any]:
    claims = {
        "iss": ISSUER,
        "aud": "studio",
        "sub": b64(hashlib.sha256(hardware_id.encode()).digest()[:16]),
        "jti": str(uuid.uuid4()),
        "iat": now,
        "exp": now + lease,
        "session_id": "01a217a2-53e6-74e2-879d-ebfb69f8e6b9",
        "license": NUMBER,
        "tenant": "01a21790-2ef2-76bd-b055-8c17ade36ae8",
        "seat": 0,
        "hw": hw_of(NUMBER, hardware_id),
        "tier": "pro",
        "features": {"cloud": True, "exports": 3, "beta": False},
        "offline_until": now + max(lease, grace),
        "facts_version": 1,
    } | more
    return claims if nonce is None else claims | {"nonce": nonce}


@dataclass
class FakeServer:
    """Grants seats without counting them, until a test says otherwise."""

    now: Callable[[], float]
    lease: int = 355
    heartbeat_in: int = 108
    grace: int = 86400
    issuer: str = ISSUER
    wants_instance: bool = False
    refuse: dict[str, tuple[int, str, dict[str, Any]]] = field(default_factory=dict)
    """Per verb: status, code and members of the next refusals."""
    broken: Callable[[httpx.Request], httpx.Response] | None = None
    """Answers in place of the server."""
    sign_refusals: bool = True
    calls: list[tuple[str, dict[str, Any], str | None]] = field(default_factory=list)
    """Verb, body and bearer of every request."""
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    released: list[str] = field(default_factory=list)
    tweak: dict[str, Any] = field(default_factory=dict)
    """Claims that are signed wrongly."""
    answer_nonce: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.signer = Signer(int(self.now()), issuer=self.issuer)

    def verbs(self) -> list[str]:
        return [verb for verb, _, _ in self.calls]

    def bodies(self, verb: str) -> list[dict[str, Any]]:
        return [body for said, body, _ in self.calls if said == verb]

    def handle(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            return self._handle(request)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        verb = request.url.path.rsplit("/", 1)[-1]
        body = json.loads(request.content or b"{}")
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ") or None
        self.calls.append((verb, body, bearer))
        if self.broken is not None:
            return self.broken(request)
        if verb == "license-keys":
            return httpx.Response(200, json=ROOTS)
        if verb == "live":
            return httpx.Response(200, json={"live": True})
        if verb in self.refuse:
            return self.problem(*self.refuse[verb], nonce=body.get("nonce"))
        if verb == "acquire" and self.wants_instance and "instance_id" not in body:
            members = {"errors": [{"field": "instance_id", "problem": "is required"}]}
            return self.problem(422, "invalid_request", members, nonce=None)
        return {
            "acquire": self._acquire,
            "heartbeat": self._heartbeat,
            "release": self._release,
            "validate": self._validate,
        }[verb](body, bearer)

    def problem(self, status: int, code: str, members: dict[str, Any], nonce: str | None) -> httpx.Response:
        said = {
            "type": f"https://docs.example/{code}",
            "title": code,
            "status": status,
            "detail": f"It is {code}.",
            "code": code,
        }
        if self.sign_refusals and nonce is not None and 401 <= status <= 410:
            now = int(self.now())
            claims = {
                "iss": self.issuer,
                "iat": now,
                "exp": now + 60,
                "nonce": self.answer_nonce or nonce,
                "code": code,
                "license": NUMBER,
            }
            if "reason" in members:
                claims["reason"] = members["reason"]
            said |= {"refusal": self.signer.refusal(claims | self.tweak), "certificate": self.signer.certificate}
        headers = {"content-type": "application/problem+json", "x-request-id": "r-1"}
        if "retry_after" in members:
            headers["retry-after"] = str(members["retry_after"])
        return httpx.Response(status, json=said | members, headers=headers)

    def _token(self, hardware_id: str, nonce: str | None, session_id: str) -> str:
        claims = token_claims(
            int(self.now()),
            hardware_id=hardware_id,
            nonce=self.answer_nonce or nonce,
            lease=self.lease,
            grace=self.grace,
        )
        return self.signer.token(claims | {"iss": self.issuer, "session_id": session_id} | self.tweak)

    def _acquire(self, body: dict[str, Any], _: str | None) -> httpx.Response:
        known = next(
            (s for s, held in self.sessions.items() if held["attempt"] == body["attempt"] and s not in self.released),
            None,
        )
        session = known or f"handle-{len(self.sessions)}"
        if known is None:
            self.sessions[session] = {
                "attempt": body["attempt"],
                "hardware_id": body["hardware_id"],
                "id": str(uuid.uuid4()),
            }
        answer = {
            "session_id": self.sessions[session]["id"],
            "session": session,
            "seat": 0,
            "expires_in": self.lease,
            "heartbeat_in": self.heartbeat_in,
            "license": self._license(),
            "token": self._token(body["hardware_id"], body.get("nonce"), self.sessions[session]["id"]),
            "certificate": self.signer.certificate,
            "offline": {"policy": "grace", "until": "2026-11-22T03:31:21Z"},
        }
        return httpx.Response(200 if known else 201, json=answer)

    def _heartbeat(self, body: dict[str, Any], bearer: str | None) -> httpx.Response:
        held = self.sessions.get(bearer or "")
        if held is None:
            return self.problem(401, "token_invalid", {}, nonce=None)
        if bearer in self.released:
            return self.problem(
                410, "session_gone", {"reason": "released", "session_id": held["id"]}, nonce=body.get("nonce")
            )
        answer = {
            "expires_in": self.lease,
            "heartbeat_in": self.heartbeat_in,
            "license": {"status": "active", "facts_version": 1, "expires_at": None},
            "token": self._token(held["hardware_id"], body.get("nonce"), held["id"]),
        }
        if self.signer.kid not in str(body.get("certificate_kid")).split():
            answer["certificate"] = self.signer.certificate
        return httpx.Response(200, json=answer)

    def _release(self, _: dict[str, Any], bearer: str | None) -> httpx.Response:
        if bearer is None or bearer not in self.sessions:
            return self.problem(401, "token_invalid", {}, nonce=None)
        self.released.append(bearer)
        return httpx.Response(
            200, json={"session_id": self.sessions[bearer]["id"], "released_at": "2026-11-21T03:10:48.508484Z"}
        )

    def _validate(self, _: dict[str, Any], __: str | None) -> httpx.Response:
        holders = [{"label": "host-1", "since": "2026-11-21T03:31:22.034Z", "seen_in": 7}]
        return httpx.Response(
            200, json={"license": self._license(), "seats_used": 1, "holders": holders, "has_seat": False, "code": None}
        )

    def _license(self) -> dict[str, Any]:
        return {
            "number": NUMBER,
            "product": "studio",
            "tier": "pro",
            "status": "active",
            "seats_total": 5,
            "seats_used": 1,
            "features": {"cloud": True},
            "expires_at": None,
            "facts_version": 1,
        }


class Http:
    """A fake server on a port of its own, for other processes."""

    def __init__(self, fake: FakeServer) -> None:
        self.fake = fake

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                request = httpx.Request(
                    self.command, f"http://x{self.path}", headers=dict(self.headers), content=self.rfile.read(length)
                )
                response = fake.handle(request)
                self.send_response(response.status_code)
                for name, value in response.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(response.content)

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                pass  # a client that went away in the middle of an answer is what some tests are about

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        fake.issuer = self.url
        fake.signer = Signer(int(fake.now()), issuer=self.url)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Stop; a second time does nothing."""
        if not self.thread.is_alive():
            return
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
