"""What the test server answers to the four operations of seats."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from .._jws import unbase64url
from .._verify import hw_of
from ._problems import PROBLEMS
from ._requests import read_key
from ._seats import HeldSession, PoolIsFull, SeatIsFull, SeatPool

if TYPE_CHECKING:
    import httpx

    from ._signing import InstanceSigner

SERVER_LEASE = 72 / 71
"""By what the server's own lease is longer than what it tells a client."""
NEEDS_INSTANCE = "is required by this license, which counts processes: name the process, the same for its retries"


class LicenseAnswers:
    """The operations, without what carries requests to them."""

    url: str
    issuer: str
    key: str
    license_number: str
    product: str | None
    tier: str
    features: dict[str, Any]
    lease: int
    heartbeat_in: int
    grace: int
    now: Callable[[], float]
    license_status: str
    count_processes: bool
    pool: SeatPool
    released: list[str]
    wrong_claims: dict[str, Any]
    wrong_nonce: str | None

    if TYPE_CHECKING:

        @property
        def signer(self) -> InstanceSigner: ...
        def problem(
            self,
            status: int,
            code: str,
            members: dict[str, Any],
            nonce: str | None,
            *,
            is_seated: bool = False,
            number: str | None = None,
        ) -> httpx.Response:
            """A refusal, signed where the request brought a nonce."""

    @property
    def _ttl(self) -> float:
        return self.lease * SERVER_LEASE

    def token_claims(self, session: HeldSession, nonce: str | None) -> dict[str, Any]:
        """What a token of this session says now."""
        now = int(self.now())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.product or "product",
            "sub": self.pool.holder(session),
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + self.lease,
            "session_id": session.id,
            "license": self.license_number,
            "tenant": str(self.pool.tenant),
            "seat": session.seat,
            "hw": hw_of(self.license_number, session.hardware_id),
            "tier": self.tier,
            "features": self.features,
            "offline_until": now + max(self.lease, self.grace),
            "facts_version": 1,
        }
        nonce = self.wrong_nonce or nonce
        return claims | ({} if nonce is None else {"nonce": nonce}) | self.wrong_claims

    def _signed_refusal(self, code: str, reason: object, nonce: str, number: str | None) -> dict[str, Any]:
        now = int(self.now())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "iat": now,
            "exp": now + 60,
            "nonce": self.wrong_nonce or nonce,
            "code": code,
            # That of the key that was sent, since nobody knows another where the key is wrong.
            "license": number or self.license_number,
        }
        if reason is not None:
            claims["reason"] = reason
        signer = self.signer
        return {"refusal": signer.refusal(claims | self.wrong_claims), "certificate": signer.certificate}

    def _acquire(self, body: dict[str, Any], _: str | None) -> httpx.Response:
        nonce, now = body.get("nonce"), self.now()
        refused = self._refused_key(body, nonce) or self._refused_product(body, nonce) or self._refused_state(nonce)
        if refused is not None:
            return refused
        if self.count_processes and "instance_id" not in body:
            return self._invalid("instance_id", NEEDS_INSTANCE)
        known = next((it for it in self.pool.active() if it.attempt == body["attempt"]), None)
        if known is not None:
            known.lease_end = now + self._ttl
            return self._seat_answer(200, known, nonce)
        client = body.get("client") if isinstance(body.get("client"), dict) else {}
        hw = hw_of(self.license_number, body["hardware_id"])
        session = HeldSession(
            attempt=body["attempt"],
            hardware_id=body["hardware_id"],
            instance_id=body.get("instance_id"),
            label=str((client or {}).get("hostname") or f"machine {hw[:8]}"),
            seat=-1,
            since=now,
            lease_end=now + self._ttl,
        )
        try:
            self.pool.take(self._named(session), unbase64url(hw) or b"", now, self._ttl)
        except PoolIsFull as full:
            return self.problem(409, "no_seats_available", self._full_members(full, now), nonce)
        except SeatIsFull as full:
            members = {"processes": full.processes, "next_process_in": math.ceil(full.next_process_in)}
            return self.problem(409, "too_many_processes", members, nonce)
        return self._seat_answer(201, session, nonce)

    def _named(self, session: HeldSession) -> HeldSession:
        """The session, whose handle may be given here; else it is made as the real server makes it."""
        return session

    def _seat_answer(self, status: int, session: HeldSession, nonce: str | None) -> httpx.Response:
        import httpx

        signer, claims = self.signer, self.token_claims(session, nonce)
        answer = {
            "session_id": session.id,
            "session": session.handle,
            "seat": session.seat,
            "expires_in": self.lease,
            "heartbeat_in": self.heartbeat_in,
            "license": self._license(),
            "token": signer.token(claims),
            "certificate": signer.certificate,
            "offline": {
                "policy": "grace" if self.grace else "none",
                "until": _rfc3339(self.now() + max(self.lease, self.grace)),
            },
        }
        return httpx.Response(status, json=answer)

    def _heartbeat(self, body: dict[str, Any], bearer: str | None) -> httpx.Response:
        import httpx

        nonce, now = body.get("nonce"), self.now()
        session = self.pool.sessions.get(bearer or "")
        if session is None:
            return self.problem(401, "token_invalid", {}, nonce=None)
        if session.end_reason is not None:
            return self._gone(session, nonce)
        refused = self._refused_state(nonce, is_seated=True)
        if refused is not None:
            return refused
        session.lease_end = now + self._ttl
        signer = self.signer
        answer = {
            "expires_in": self.lease,
            "heartbeat_in": self.heartbeat_in,
            "license": {"status": "active", "facts_version": 1, "expires_at": None},
            "token": signer.token(self.token_claims(session, nonce)),
        }
        if signer.kid not in str(body.get("certificate_kid")).split():
            answer["certificate"] = signer.certificate
        return httpx.Response(200, json=answer)

    def _gone(self, session: HeldSession, nonce: str | None) -> httpx.Response:
        members = {"reason": session.end_reason, "session_id": session.id}
        return self.problem(410, "session_gone", members, nonce)

    def _release(self, _: dict[str, Any], bearer: str | None) -> httpx.Response:
        import httpx

        session = self.pool.sessions.get(bearer or "")
        if session is None:
            return self.problem(401, "token_invalid", {}, nonce=None)
        self.released.append(session.handle)
        self.pool.end(session, "released", self.now())
        ended = _rfc3339(session.ended_at or self.now())
        return httpx.Response(200, json={"session_id": session.id, "released_at": ended})

    def _validate(self, body: dict[str, Any], _: str | None) -> httpx.Response:
        import httpx

        refused = self._refused_key(body, None)
        if refused is not None:
            return refused
        self._named_product(body)
        now = self.now()
        if self.license_status != "active":
            refused_with = f"license_{self.license_status}"
            return httpx.Response(200, json={"license": self._license(), "code": refused_with, "since": None})
        holder = self.pool.holder_for(body.get("hardware_id", ""), body.get("instance_id"))
        refusal = self.pool.refusal_for(holder, now, self._ttl)
        code: str | None = None
        wait: float | None = None
        if isinstance(refusal, PoolIsFull):
            code, wait = "no_seats_available", refusal.next_seat_in
        elif refusal is not None:
            code, wait = "too_many_processes", refusal.next_process_in
        answer = {
            "license": self._license(),
            "seats_used": len(self.pool.held_seats(now)),
            "holders": self._holders(now),
            "has_seat": any(self.pool.holder(session) == holder for session in self.pool.active()),
            "code": code,
            "retry_in": None if wait is None else max(math.ceil(wait), 1),
        }
        return httpx.Response(200, json=answer)

    def _refused_key(self, body: dict[str, Any], nonce: str | None) -> httpx.Response | None:
        key = read_key(body["license_key"])
        if key.text != self.key:
            return self.problem(401, "license_key_invalid", {}, nonce, number=key.number)
        if (pool := str(body.get("pool") or "default").strip()) != "default":
            return self.problem(404, "not_found", {"detail": f"The license has no pool named {pool}."}, nonce)
        return None

    def _refused_product(self, body: dict[str, Any], nonce: str | None) -> httpx.Response | None:
        named = self._named_product(body)
        if not isinstance(named, str) or named.strip().lower() == (self.product or "").lower():
            return None
        members = {"license": self.license_number, "product": self.product}
        return self.problem(403, "product_not_allowed", members, nonce)

    def _named_product(self, body: dict[str, Any]) -> object:
        """The product that a client names. It is the license's where that has none yet."""
        client = body.get("client")
        named = client.get("product") if isinstance(client, dict) else None
        if isinstance(named, str) and self.product is None:
            self.product = named
        return named

    def _refused_state(self, nonce: str | None, *, is_seated: bool = False) -> httpx.Response | None:
        if self.license_status == "active":
            return None
        code = f"license_{self.license_status}"
        if code not in PROBLEMS:
            raise ValueError(
                f"license_status is {self.license_status!r}. It is active, suspended, revoked, expired or not_started."
            )
        return self.problem(403, code, {"license": self.license_number}, nonce, is_seated=is_seated)

    def _invalid(self, field: str, problem: str) -> httpx.Response:
        return self.problem(422, "invalid_request", {"errors": [{"field": field, "problem": problem}]}, nonce=None)

    def _full_members(self, full: PoolIsFull, now: float) -> dict[str, Any]:
        members: dict[str, Any] = {
            "seats_total": self.pool.total,
            "seats_used": len(self.pool.held_seats(now)),
            "seats_waiting": len(self.pool.seats_waiting(now)),
            "holders": self._holders(now),
        }
        if full.next_seat_in is not None:
            members["next_seat_in"] = max(math.ceil(full.next_seat_in), 1)
        return members

    def _holders(self, now: float) -> list[dict[str, Any]]:
        return [
            {"label": it.label, "since": _rfc3339(it.since.timestamp()), "seen_in": it.seen_in}
            for it in self.pool.holders(now, self._ttl)
        ]

    def _occupy(self, label: str, now: float) -> HeldSession:
        session = HeldSession(
            attempt=str(uuid.uuid4()),
            hardware_id=f"other-machine-{uuid.uuid4()}",
            instance_id="instance-of-another" if self.count_processes else None,
            label=label,
            seat=-1,
            since=now,
            lease_end=now + self._ttl,
            is_kept_alive=True,
        )
        hw = unbase64url(hw_of(self.license_number, session.hardware_id)) or b""
        return self.pool.take(session, hw, now, self._ttl)

    def _license(self) -> dict[str, Any]:
        is_active = self.license_status == "active"
        return {
            "number": self.license_number,
            "product": self.product or "product",
            "tier": self.tier,
            "status": self.license_status,
            "seats_total": self.pool.total,
            "seats_used": len(self.pool.held_seats(self.now())) if is_active else None,
            "features": self.features,
            "expires_at": None,
            "facts_version": 1,
        }


def _rfc3339(seconds: float) -> str:
    at = datetime.fromtimestamp(seconds, timezone.utc)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
