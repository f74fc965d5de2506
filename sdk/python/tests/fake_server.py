"""The shipped double under the names that these tests have always used, and without what would get in their way."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from coditect_license._jws import base64url as b64
from coditect_license._verify import hw_of
from coditect_license.testing import HeldSession, InMemoryServer, InstanceSigner, LoopbackServer
from coditect_license.testing._signing import jwk_set, public_jwk as jwk_of, root_key, sign_jws as jws
from coditect_license.testing._test_keys import LICENSE_KEY as KEY

from .shared import shared

__all__ = [
    "ISSUER",
    "KEY",
    "NUMBER",
    "OTHER_ROOT",
    "ROOT",
    "ROOTS",
    "FakeServer",
    "Http",
    "Signer",
    "b64",
    "jwk_of",
    "jws",
]

NUMBER = "1XTSA1CTX2VZP"
ISSUER = "https://licenses.example.com"
VECTORS = shared("sdk/vectors")


def _other_root() -> RSAPrivateKey:
    keys = json.loads((VECTORS / "test-keys.json").read_text("utf-8"))
    key = load_pem_private_key(keys["other_root"]["private_key"].encode(), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, RSAPrivateKey)
    return key


ROOT = root_key()
OTHER_ROOT = _other_root()
ROOTS = jwk_set()


class Signer(InstanceSigner):
    """An instance key and its certificate."""

    def __init__(self, now: int, root: RSAPrivateKey = ROOT, issuer: str = ISSUER, **claims: Any) -> None:
        super().__init__(now, root, issuer, **claims)


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


class FakeServer(InMemoryServer):
    """Grants seats to any number of processes, by a clock that the tests hold, with handles that can be counted."""

    def __init__(self, now: Callable[[], float], issuer: str = ISSUER, **attributes: Any) -> None:
        features = {"cloud": True, "exports": 3, "beta": False}
        super().__init__(url=issuer, processes_per_seat=None, features=features)
        self.now = now
        # Drawn here, so that the certificate is as old as the server.
        self.signer = self._draw_signer(int(now()))
        for name, value in attributes.items():
            setattr(self, name, value)

    @property
    def tweak(self) -> dict[str, Any]:
        return self.wrong_claims

    @tweak.setter
    def tweak(self, claims: dict[str, Any]) -> None:
        self.wrong_claims = claims

    @property
    def answer_nonce(self) -> str | None:
        return self.wrong_nonce

    @answer_nonce.setter
    def answer_nonce(self, nonce: str | None) -> None:
        self.wrong_nonce = nonce

    @property
    def broken(self) -> Callable[[httpx.Request], httpx.Response] | None:
        return self.answer_instead

    @broken.setter
    def broken(self, answer: Callable[[httpx.Request], httpx.Response] | None) -> None:
        self.answer_instead = answer

    @property
    def wants_instance(self) -> bool:
        return self.count_processes

    @wants_instance.setter
    def wants_instance(self, wanted: bool) -> None:
        self.count_processes = self.pool.by_process = wanted

    @property
    def sessions(self) -> dict[str, HeldSession]:
        return self.pool.sessions

    def _draw_signer(self, now: int) -> Signer:
        return Signer(now, issuer=self.issuer)

    def _problem_members(self, status: int, code: str, detail: str) -> dict[str, Any]:
        """Those of the server, with a text that shows in what a program prints where it came from."""
        return super()._problem_members(status, code, f"It is {code}.")

    def _validate(self, body: dict[str, Any], _: str | None) -> httpx.Response:
        """Somebody else always holds a seat."""
        self._named_product(body)
        holders = [{"label": "host-1", "since": "2026-11-21T03:31:22.034Z", "seen_in": 7}]
        license_ = self._license() | {"product": self.product or "studio", "seats_used": 1}
        answer = {"license": license_, "seats_used": 1, "holders": holders, "has_seat": False, "code": None}
        return httpx.Response(200, json=answer)

    def _named(self, session: HeldSession) -> HeldSession:
        session.handle = f"handle-{len(self.pool.sessions)}"
        return session


class Http:
    """A fake server on a port of its own, for other processes."""

    def __init__(self, fake: FakeServer) -> None:
        self.fake = fake
        self.loopback: LoopbackServer = fake.listen()
        self.url = self.loopback.url
        self.server = self.loopback._listener
        """What listens, for tests that wrap its socket."""

    def close(self) -> None:
        self.loopback.close()
