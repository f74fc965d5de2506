"""The license server in memory: it takes httpx's requests and answers them as the real one does."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ._answers import LicenseAnswers
from ._clock import ManualClock
from ._problems import PROBLEM_TYPE, PROBLEMS, detail_of
from ._requests import BadRequest, read_body
from ._scratch import ScratchDirectory
from ._scripts import OutageKind, ReceivedCall, fail_as_told, no_answer, refusal
from ._seats import HeldSession, SeatPool
from ._signing import CERTIFICATE_LIFE, InstanceSigner, jwk_set
from ._test_keys import LICENSE_KEY

if TYPE_CHECKING:
    import httpx

    from .._aio import AsyncLicenseClient
    from .._client import LicenseClient
    from ._loopback import LoopbackServer
    from ._routing import InMemoryTransport, Routing


class InMemoryServer(LicenseAnswers):
    """A license server for tests, with one license, in this process: no socket, no thread, no waiting.

    Use it as a context manager: in its block every client of this process whose server is :attr:`url` speaks to it,
    whichever way the program under test makes its clients, and their clocks are :attr:`clock`. The fixture
    ``license_server`` does this. Without the block, :meth:`client` makes clients that know it.

    Args:
        url: The address under which the program looks for its server. It is never looked up.
        product: The product that the license is of. Default: whichever the client names.
        seats: How many seats the license has.
        processes_per_seat: How many processes of one machine share a seat; ``None`` for any number.
        count_processes: Whether each process takes a seat of its own, instead of each machine.
        tier: The tier that the license says.
        features: What the license switches on.
        lease: The seconds of a lease as clients are told them.
        heartbeat_in: The seconds after which a heartbeat is wanted.
        grace: The seconds for which clients may go on without contact; 0 for none. A real server gives grace only
            after two heartbeats, unless its license says otherwise; this one gives it at once.
        clock: The clock of the server and of its clients. Default: one that goes on, and jumps when it is told to.
    """

    def __init__(
        self,
        *,
        url: str = "https://licenses.test",
        product: str | None = None,
        seats: int = 5,
        processes_per_seat: int | None = 32,
        count_processes: bool = False,
        tier: str = "pro",
        features: Mapping[str, Any] | None = None,
        lease: int = 355,
        heartbeat_in: int = 108,
        grace: int = 24 * 3600,
        clock: ManualClock | None = None,
    ) -> None:
        self.url: str = url.rstrip("/")
        """The address of the server."""
        self.issuer: str = self.url
        """What its tokens name as their issuer: its address."""
        self.addresses: list[str] = [self.url]
        """Every address that it had: :meth:`listen` gives it one more."""
        self.key = LICENSE_KEY
        """The license key, which opens this server and no other."""
        self.license_number = LICENSE_KEY.replace("-", "")[4:17]
        """The public number of the license: the first 13 symbols of the key."""
        self.product: str | None = product
        self.tier: str = tier
        self.features: dict[str, Any] = dict(features or {})
        self.lease: int = lease
        self.heartbeat_in: int = heartbeat_in
        self.grace: int = grace
        self.clock: ManualClock = clock or ManualClock()
        self.now: Callable[[], float] = self.clock.true_wall
        """The server's own clock, in seconds since 1970."""
        self.license_status = "active"
        """``active``, ``suspended``, ``revoked``, ``expired`` or ``not_started``. A test sets it as it likes."""
        self.count_processes = count_processes
        self.pool: SeatPool = SeatPool(self.license_number, seats, processes_per_seat, count_processes)
        """The seats and the sessions on them."""
        self.calls: list[ReceivedCall] = []
        """Every request that reached the server, in its order."""
        self.refuse: dict[str, tuple[int, str, dict[str, Any]]] = {}
        """The refusal that each request of a verb is given, as long as it stands here: status, code and members, as
        :func:`refusal` makes them."""
        self.released: list[str] = []
        """The handles that were given back, in the order of the requests."""
        self.outage_kind: OutageKind | None = None
        """In which way the server is not there now; ``None`` while it answers. :meth:`outage` sets it for a time."""
        self.answer_instead: Callable[[httpx.Request], httpx.Response] | None = None
        """Answers in the place of the server: for answers that no server gives."""
        self.sign_refusals = True
        """Whether refusals are signed, as those of a real server are."""
        self.wrong_claims: dict[str, Any] = {}
        """Claims that tokens and refusals are signed with in place of the right ones."""
        self.wrong_nonce: str | None = None
        """What signed answers repeat in place of the nonce of their request."""
        self.lock: threading.Lock = threading.Lock()
        """Held while a request is answered."""
        self.scratch: ScratchDirectory = ScratchDirectory()
        """Where root keys and kept tokens are, while there are any."""
        self._signer: InstanceSigner | None = None
        self.clock.on_advance(self._wake_seats)
        self._routing: Routing | None = None

    @property
    def roots(self) -> dict[str, list[dict[str, str]]]:
        """The JWK set that a client of this server pins. Its private half is public: it is for tests alone."""
        return jwk_set()

    @property
    def signer(self) -> InstanceSigner:
        """The key that signs answers. It is made anew, with a new certificate, when its time is over."""
        now = int(self.now())
        if self._signer is None or not 0 < self._signer.expires_at - now <= CERTIFICATE_LIFE:
            self._signer = self._draw_signer(now)
        return self._signer

    @signer.setter
    def signer(self, signer: InstanceSigner) -> None:
        self._signer = signer

    def _draw_signer(self, now: int) -> InstanceSigner:
        return InstanceSigner(now, issuer=self.issuer)

    @property
    def transport(self) -> InMemoryTransport:
        """A transport of httpx, for ``LicenseClient(…, transport=server.transport)`` and the same of asyncio."""
        from ._routing import InMemoryTransport

        return InMemoryTransport(self)

    # What a program is told of this server.

    def settings(self, **settings: Any) -> dict[str, Any]:  # noqa: ANN401 - those of the client
        """The settings of a client of this server, for ``LicenseClient(server.url, **server.settings())``."""
        usual = {"key": self.key, "product": self.product or "product", "roots": self.roots, "clock": self.clock}
        if not settings.keys() & {"installation", "project_root"}:
            usual["hardware_id"] = "machine-0001"
        return {**usual, "offline": False, **settings}

    def environment(self) -> dict[str, str]:
        """The variables by which programs and the command line find this server. The root keys are in a file."""
        values = {"SERVER": self.url, "KEY": self.key, "ROOTS": str(self.scratch.roots_file(self.roots))}
        if self.product is not None:
            values["PRODUCT"] = self.product
        return {f"CODITECT_LICENSE_{name}": value for name, value in values.items()}

    def client(self, **settings: Any) -> LicenseClient:  # noqa: ANN401 - those of the client
        """A client that speaks to this server. Another ``hardware_id=…`` makes it another machine's."""
        from .._client import LicenseClient

        return LicenseClient(self.url, transport=self.transport, **self.settings(**settings))

    def async_client(self, **settings: Any) -> AsyncLicenseClient:  # noqa: ANN401 - as above
        """The same for asyncio."""
        from .._aio import AsyncLicenseClient

        return AsyncLicenseClient(self.url, transport=self.transport, **self.settings(**settings))

    def listen(self) -> LoopbackServer:
        """Answer on a port of this machine too, for programs in processes of their own. Close what it returns.

        The server's address is that of the port from then on.
        """
        from ._loopback import LoopbackServer

        return LoopbackServer(self)

    # What happens to the server.

    def advance(self, seconds: float) -> None:
        """Let time pass for the server and its clients. See :meth:`ManualClock.advance`."""
        self.clock.advance(seconds)

    async def advance_async(self, seconds: float) -> None:
        """The same in asyncio: when it is awaited, the seats of this loop have sent what was due."""
        from ._waking import wake_tasks

        await wake_tasks(self.addresses)
        self.clock.jump(seconds)
        await wake_tasks(self.addresses)

    @contextlib.contextmanager
    def outage(self, kind: OutageKind | str = OutageKind.UNREACHABLE) -> Iterator[None]:
        """The server is not there while the block runs."""
        before, self.outage_kind = self.outage_kind, OutageKind(kind)
        try:
            yield
        finally:
            self.outage_kind = before

    @contextlib.contextmanager
    def refusing(self, verb: str, code: str, **members: Any) -> Iterator[None]:  # noqa: ANN401 - whatever JSON can say
        """Each request of ``verb`` is refused with ``code`` while the block runs. See :func:`refusal`."""
        before = self.refuse.get(verb)
        self.refuse[verb] = refusal(code, **members)
        try:
            yield
        finally:
            self.refuse.pop(verb, None)
            if before is not None:
                self.refuse[verb] = before

    def occupy_seats(self, count: int | None = None, *, label: str = "host") -> list[HeldSession]:
        """Have other machines take so many seats, or all that are free, and keep them until :meth:`vacate_seats`."""
        with self.lock:
            now = self.now()
            left = self.pool.total - len(self.pool.held_seats(now) | self.pool.seats_waiting(now))
            count = left if count is None else count
            taken = len(self.pool.sessions)
            return [self._occupy(f"{label}-{taken + number + 1}", now) for number in range(count)]

    def vacate_seats(self, count: int | None = None) -> None:
        """Have so many of those machines give their seats back, or all of them."""
        with self.lock:
            others = [session for session in self.pool.active() if session.is_kept_alive]
            for session in others[:count]:
                self.pool.end(session, "released", self.now())

    def kick(self, session: HeldSession | None = None) -> None:
        """End a session, or each one of the program's, as an administrator does."""
        with self.lock:
            for held in [session] if session is not None else self.own_sessions():
                self.pool.kick(held, self.now())

    # What the program did.

    def verbs(self) -> list[str]:
        """What was asked, in its order: ``["acquire", "heartbeat", "release"]``."""
        return [call.verb for call in self.calls]

    def bodies(self, verb: str) -> list[dict[str, Any]]:
        """The bodies of the requests of one verb."""
        return [call.body for call in self.calls if call.verb == verb]

    def own_sessions(self) -> list[HeldSession]:
        """The sessions of the program that are not over. Empty after a program that gave its seats back."""
        return [session for session in self.pool.active() if not session.is_kept_alive]

    @property
    def seats_used(self) -> int:
        """How many seats are held, by the program and by others."""
        return len(self.pool.held_seats(self.now()))

    def wait_until(self, condition: Callable[[], Any], timeout: float = 5.0) -> Any:  # noqa: ANN401 - what it became
        """Wait for what a seat's thread does, such as ``lambda: "heartbeat" in server.verbs()``. What it became.

        The timeout is one of real seconds. Raises :class:`AssertionError` when it is over.
        """
        over = time.monotonic() + timeout
        while not (value := condition()):
            if time.monotonic() > over:
                raise AssertionError(f"It did not come true within {timeout} s. The server received: {self.verbs()}")
            time.sleep(0.002)
        return value

    # Requests.

    def handle(self, request: httpx.Request) -> httpx.Response:
        """The answer to a request whose body was read."""
        with self.lock:
            response = self._handle(request)
            if self.outage_kind is OutageKind.ANSWER_LOST:
                raise no_answer(request)
            return response

    def _handle(self, request: httpx.Request) -> httpx.Response:
        import httpx

        verb = request.url.path.rsplit("/", 1)[-1]
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ") or None
        fail_as_told(self.outage_kind, request)
        body = _json_object(request.content)
        self.calls.append(ReceivedCall(verb, body, bearer))
        if self.answer_instead is not None:
            return self.answer_instead(request)
        if self.outage_kind is OutageKind.PORTAL:
            return httpx.Response(200, html="<html>Welcome. Please log in to the network.</html>")
        if self.outage_kind is OutageKind.UNAVAILABLE:
            return self.problem(503, "seats_unavailable", {}, nonce=None)
        if verb == "license-keys":
            return httpx.Response(200, json=self.roots)
        if verb == "live":
            return httpx.Response(200, json={"live": True})
        if verb not in ("acquire", "heartbeat", "release", "validate"):
            return self.problem(404, "not_found", {}, nonce=None)
        if request.method != "POST":
            return self.problem(405, "method_not_allowed", {}, nonce=None)
        if verb in self.refuse:
            return self.problem(*self.refuse[verb], nonce=body.get("nonce"), is_seated=verb == "heartbeat")
        try:
            read = read_body(verb, request.content)
        except BadRequest as wrong:
            return self.problem(wrong.status, wrong.code, wrong.members, nonce=None)
        answers = {"acquire": self._acquire, "heartbeat": self._heartbeat, "release": self._release}
        return answers.get(verb, self._validate)(read, bearer)

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
        """A problem document; with a ``nonce`` it is signed where the real server signs it.

        ``is_seated`` where a session is told of it. ``number`` is the license that was asked for, unless it is ours.
        """
        import httpx

        row = PROBLEMS.get(code)
        members = dict(members)
        wait = members.pop("retry_after", row.retry_after if row else None)
        wait = members.get("next_seat_in", members.get("next_process_in", wait))
        detail = members.pop("detail", None) or detail_of(code, members, is_seated=is_seated)
        said = self._problem_members(status, code, detail)
        if self.sign_refusals and nonce is not None and 401 <= status <= 410 and status != 408:
            said |= self._signed_refusal(code, members.get("reason"), nonce, number)
        headers = {"content-type": "application/problem+json", "x-request-id": said["request_id"]}
        if wait is not None:
            headers["retry-after"] = str(wait)
        if row is not None and row.challenge is not None:
            headers["www-authenticate"] = row.challenge
        return httpx.Response(status, json=said | members, headers=headers)

    def _problem_members(self, status: int, code: str, detail: str) -> dict[str, Any]:
        row = PROBLEMS.get(code)
        return {
            "type": f"{PROBLEM_TYPE}{code}",
            "title": row.title if row else code,
            "status": status,
            "detail": detail,
            "code": code,
            "request_id": f"r-{len(self.calls)}",
        }

    def is_asked_by(self, url: httpx.URL) -> bool:
        """Whether a request to ``url`` is for this server."""
        ports = {"https": 443, "http": 80}
        there = (url.scheme, url.host, url.port or ports.get(url.scheme))
        own = map(urlsplit, self.addresses)
        return any(there == (it.scheme, it.hostname, it.port or ports.get(it.scheme)) for it in own)

    # Routing.

    def forget_signer(self) -> None:
        """Sign with a new key and a new certificate from now on, as after a restart."""
        self._signer = None

    def _wake_seats(self) -> None:
        from ._waking import wake_seats

        wake_seats(self.addresses)

    def __enter__(self) -> InMemoryServer:
        from ._routing import Routing

        self._routing = Routing(self)
        self._routing.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        routing, self._routing = self._routing, None
        if routing is not None:
            routing.end()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}: {self.seats_used} of {self.pool.total} seats are held>"


def _json_object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
