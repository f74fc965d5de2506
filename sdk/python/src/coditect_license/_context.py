"""What a client is made of, with threads and with asyncio: its checked settings, and what every request needs."""

from __future__ import annotations

import contextlib
import platform
import random
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from . import _errors as errors, _identity as identity
from ._aside import Aside
from ._checks import CheckedSettings, checked
from ._clock import Clock
from ._errors import ConfigurationError, LicenseError, ServerUnreachable
from ._exchange import ClientIdentity, EffectResult, Reply, TransportFault, seconds_in_words
from ._key import LicenseKey, parse_key
from ._proxies import RequestWay
from ._refusals import request_id_of
from ._roots import RootKey, is_path, load_roots, refuse_public_roots
from ._settings import Settings
from ._store import TokenStore
from ._verify import ExpectedToken, hw_of

T = TypeVar("T")

LOOP_SECONDS = 0.05
"""How long an event loop is held up at most for what is not known yet."""
POLL_SECONDS = 15.0
"""The longest pause between two looks at a full pool."""


@dataclass(frozen=True)
class MachineFacts:
    """What depends on the machine. It is found out when it is first needed, since some sources are slow or write."""

    machine: identity.MachineIdentity
    hardware_id: str
    hw: str
    identity: ClientIdentity
    expected: ExpectedToken
    store: TokenStore


class Context:
    """Everything about one license on one machine that does not change while a client lives."""

    def __init__(self, settings: Settings, *, in_loops: bool = False) -> None:
        """Check the settings. Raises :class:`ConfigurationError` or :class:`InvalidKey`; no request is sent.

        ``in_loops`` says that the client is one for event loops.
        """
        found = checked(settings)
        self.settings: CheckedSettings = found
        self.key: LicenseKey = parse_key(found.key)
        self.clock: Clock = found.clock
        self.timeout: float = found.timeout
        self.offline: bool = found.offline
        self.max_retries: float = found.max_retries
        self.rng: random.Random = random.Random()  # noqa: S311 - spreads requests over time; nothing secret
        self._servers = found.servers
        # Loaded here and not at the first reply, so that a program without a pinned key fails on its first day.
        # A client of an event loop reads a file later, since the loop must not wait for a disk.
        self._in_loops = in_loops
        self._roots = () if in_loops and is_path(found.roots) else _load_roots(found)
        refuse_public_roots(self._roots, self._servers)
        self._facts: MachineFacts | None = None
        self._finding_error: LicenseError | None = None
        self.aside: Aside = Aside("coditect-license-machine")
        """Where what depends on the machine is found out."""
        self._instance_needed = False
        self._instance_drawn: str | None = None
        self.unsettled: dict[str, bool] = {}
        """Attempts whose outcome is not known, each with whether the next start may repeat it, and get the session that
        it may have made. The server is asked what became of the others when a start finds no seat free, before the
        client is closed and before the process ends.
        """
        self.on_unsettled: Callable[[], None] = lambda: None
        """Called when an attempt is added to them or taken from them."""
        self.last_way: RequestWay | None = None
        """The way of the last request, to be told where it got no answer in time."""
        self.settling: set[object] = set()
        """What is being asked for or given back now: it may be in the way of a new start for a moment."""

    @property
    def server(self) -> str:
        """The address whose signed answer came last; before the first one, the preferred one."""
        return self._servers[0]

    @property
    def servers(self) -> tuple[str, ...]:
        """The addresses in the order in which they are asked: the one whose signed answer came last is the first."""
        return self._servers

    def prefer_server(self, address: str) -> None:
        """Note that a signed answer came from this address, so that it is asked first from now on."""
        if self._servers[0] != address:
            self._servers = (address, *(other for other in self._servers if other != address))

    def find_out(self) -> None:
        """Find out what depends on the machine, which takes as long as its sources do. It never raises."""
        if self._facts is not None:
            return
        try:
            if not self._roots:
                roots = load_roots(self.settings.roots)
                refuse_public_roots(roots, self._servers)
                self._roots = roots
            self._facts = _machine_facts(self.settings, self.key, self._roots)
        except LicenseError as error:
            self._finding_error = error
        except Exception as error:  # noqa: BLE001 - whatever this machine lacks, the program gets a documented error
            text = f"This machine's identity cannot be found out: {error!r}. Give hardware_id=…."
            self._finding_error = ConfigurationError(text)

    @property
    def is_found_out(self) -> bool:
        """Whether what depends on the machine is known, so that reading it takes no time."""
        return self._facts is not None

    @property
    def facts(self) -> MachineFacts:
        """What depends on the machine. Raises :class:`ConfigurationError`, at the latest after the timeout.

        Where an event loop runs, which must not be held up, that is after :data:`LOOP_SECONDS`.
        """
        if self._facts is None:
            patience = self._patience()
            self.aside.run(self.find_out, patience)
            if self._facts is None and self._finding_error is None and patience < self.timeout:
                raise ConfigurationError(
                    "This machine's identity is not known yet. Await a call of the client first, such as validate(), "
                    "or give hardware_id=…."
                )
        return self.found_facts()

    def found_facts(self) -> MachineFacts:
        """What was found out. Raises :class:`ConfigurationError` if nothing was, or not in time."""
        if self._facts is None:
            what, advice = f"The root keys in {self.settings.roots!r}", "Try again, or check roots=…."
            if self._roots:
                what, advice = "This machine's identity", "Try again, or give hardware_id=…."
            raise self._finding_error or ConfigurationError(
                f"{what} could not be read {seconds_in_words(self.timeout)}, perhaps because a disk hangs. {advice}"
            )
        return self._facts

    def _patience(self) -> float:
        if self._in_loops:
            import asyncio

            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop()
                return min(self.timeout, LOOP_SECONDS)
        return self.timeout

    @property
    def machine(self) -> identity.MachineIdentity:
        """The machine; its id is empty where ``hardware_id`` was given."""
        return self.facts.machine

    @property
    def hardware_id(self) -> str:
        """The text that tells this machine from others."""
        return self.facts.hardware_id

    @property
    def hw(self) -> str:
        """The machine's public hash under this license."""
        return self.facts.hw

    @property
    def identity(self) -> ClientIdentity:
        """What the client says of itself."""
        return self.facts.identity

    @property
    def expected(self) -> ExpectedToken:
        """What answers must say."""
        return self.facts.expected

    @property
    def store(self) -> TokenStore:
        """The kept token."""
        return self.facts.store

    @property
    def instance_id(self) -> str | None:
        """What tells this process from others: the setting, else an id of its own once a license has asked for one."""
        given = self.settings.instance_id
        if given is not None or not self._instance_needed:
            return given
        if self._instance_drawn is None:
            self._instance_drawn = self.machine.instance or f"p-{uuid.uuid4()}"
        return self._instance_drawn

    def require_instance_id(self) -> bool:
        """Note that the license counts processes. False if that was known, so that a repeat would change nothing."""
        known = self.settings.instance_id is not None or self._instance_needed
        self._instance_needed = True
        return not known

    def after_fork(self) -> None:
        """Start anew in a forked child, which needs attempts, an instance id and random numbers of its own."""
        self.unsettled.clear()
        self.settling.clear()
        self._instance_drawn = None
        self.rng = random.Random()  # noqa: S311 - as above
        self.aside.after_fork()
        if self._facts is not None:
            self._facts.store.aside.after_fork()

    def draw_attempt(self) -> str:
        """An attempt whose outcome is not known, if there is one that may be repeated, else a new one."""
        for attempt, repeatable in list(self.unsettled.items()):
            if repeatable and self.claim_unsettled(attempt):  # else another thread has taken it
                return attempt
        return str(uuid.uuid4())

    def leave_unsettled(self, attempt: str, *, repeatable: bool) -> None:
        """Note that the outcome of an attempt is not known.

        It is not ``repeatable`` by another start where a session of it was given back: a release that arrives late
        would end the session that the start is given again (docs/PROTOCOL.md). It is asked for to be given back only.
        """
        self.unsettled[attempt] = repeatable
        self.on_unsettled()

    def claim_unsettled(self, attempt: str) -> bool:
        """Take this attempt back, which nobody else may repeat from now on. False if somebody has it already."""
        if self.unsettled.pop(attempt, None) is None:
            return False
        self.on_unsettled()
        return True

    def read(self, result: EffectResult, reader: Callable[[Reply], T], server: str | None = None) -> T:
        """What ``reader`` makes of a reply. Raises :class:`ServerUnreachable` where there is no reply.

        Every error carries the id of the request.
        """
        if isinstance(result, Reply):
            try:
                return reader(result)
            except LicenseError as error:
                if error.request_id is None:
                    error.request_id = request_id_of(result) or result.request_id
                if isinstance(error, ServerUnreachable) and result.proxy is not None:
                    # Perhaps the proxy said it and not the server.
                    error.args = (f"{error} {result.proxy}",)
                raise
        fault = result if isinstance(result, TransportFault) else TransportFault("no answer")
        advice = fault.advice or "Check the network and try again."
        unreachable = ServerUnreachable(
            f"The license server at {server or self.server} was not reached: {fault.reason}. {advice}"
        )
        unreachable.request_id = fault.request_id
        raise unreachable

    def retry_pause(self, tries: int, retry_after: float | None) -> float:
        """Seconds before the next try: half a second after the first, doubled with each, and at most 8 s.

        Half to all of it is taken at random. The pause is never shorter than what the server asks for.
        """
        pause: float = min(0.5 * 2.0 ** min(tries - 1, 8), 8.0) * self.rng.uniform(0.5, 1.0)
        return max(pause, retry_after or 0.0)

    def poll_pause(self, next_in: int | None) -> float:
        """Seconds before the next look at a full pool: the smaller of ``next_in`` and 15 s, and up to a quarter more.

        The quarter is taken at random. So no client looks before the lease ends, and not all look at once.
        """
        base = POLL_SECONDS if next_in is None else min(float(next_in), POLL_SECONDS)
        return max(base, 0.5) * self.rng.uniform(1.0, 1.25)


def _load_roots(settings: CheckedSettings) -> tuple[RootKey, ...]:
    if not is_path(settings.roots):
        return load_roots(settings.roots)

    def load() -> tuple[RootKey, ...] | LicenseError:
        try:
            return load_roots(settings.roots)
        except LicenseError as error:
            return error

    found = Aside("coditect-license-roots").run(load, settings.timeout)
    if isinstance(found, LicenseError):
        raise found.with_traceback(None)
    if found is None:
        wait = seconds_in_words(settings.timeout)
        raise ConfigurationError(f"The root keys could not be read from {settings.roots!r} {wait}. Check roots=….")
    return found


def _machine_facts(settings: CheckedSettings, key: LicenseKey, roots: tuple[RootKey, ...]) -> MachineFacts:
    number = key.number
    find = identity.find_machine if settings.hardware_id is None else identity.find_place
    machine = find(settings.system)
    hardware_id = settings.hardware_id
    if hardware_id is None:
        parts: tuple[str, ...] = ()
        if settings.installation is not None:
            parts = identity.installation_parts(settings.installation, settings.project_root)
        hardware_id = identity.hardware_id(machine.id, settings.product, *parts)
    hw = hw_of(number, hardware_id)
    details = _client_details(settings, machine)
    pool, issuer = settings.pool, settings.issuer
    return MachineFacts(
        machine=machine,
        hardware_id=hardware_id,
        hw=hw,
        identity=ClientIdentity(key.text, hardware_id, pool, details),
        expected=ExpectedToken(roots, issuer, settings.product, number, hw),
        store=TokenStore(settings.cache_dir, number, settings.product, pool or "default", issuer, hw),
    )


def _client_details(settings: CheckedSettings, machine: identity.MachineIdentity) -> dict[str, str]:
    """The details that the owner of the license is shown, without those that are not known."""
    shown = settings.shown
    details = {
        "product": settings.product,
        "version": shown["version"],
        "platform": f"{sys.platform}-{platform.machine().lower()}",
        "hostname": identity.host_name(settings.system) if shown["hostname"] is None else shown["hostname"],
        "deployment": _display_text(shown["deployment"]) or machine.deployment,
        "project": shown["project"],
        "user": shown["user"],
    }
    return {name: text for name, value in details.items() if (text := _display_text(value))}


def _display_text(value: object) -> str | None:
    """A detail about the client as people are shown it: one line of at most 255 characters.

    It changes what cannot be shown instead of refusing it, since a detail must never keep a program from starting.
    """
    if value is None:
        return None
    try:
        text = str(value)
    except Exception:  # noqa: BLE001 - an object of the program
        return None
    return " ".join(errors.one_line(text).split())[:255].strip() or None
