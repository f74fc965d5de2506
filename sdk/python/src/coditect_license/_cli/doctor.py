"""``doctor``: checks of what might be wrong, each with what to do, and what ``run`` would exit with.

It takes no seat unless asked to.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

from .. import _errors as errors
from .._client import LicenseClient
from .._errors import ConfigurationError, LicenseError, ServerUnreachable
from .._exchange import Reply
from .._roots import load_roots
from .._store import TokenStore
from . import profile
from .disk import in_time, patience
from .exits import exit_code_of
from .lookups import Unreachable, fetch, keys_of
from .machine import GIVEN, LASTING, SOURCES, machine_of
from .network import check_certificate, check_proxy, refused_certificate
from .outlook import Outlook, foresee, offline_left
from .output import describe_license, show, span
from .words import in_words

CheckResult = tuple[str, str, str]
"""The name of the check; ``ok``, ``warning`` or ``failed``; what was found and what to do."""


KINDS = {"desktop": "desktop or server", "container": "container", "ci": "CI job"}
WITHOUT_CONTACT = (errors.ServerUnreachable, errors.VerificationFailed, errors.InvalidRequest)
"""What a start gets over by the kept token."""


class _Examination:
    """The checks of one call, and what they foretell."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self.run_exits = 0
        """What ``run`` would exit with now, before its command is started; 0 if the command would be started."""

    def checks(self) -> Iterator[CheckResult]:
        """All checks, in the order in which one depends on another."""
        yield self._machine()
        try:
            found = profile.find_settings(self._options)
        except LicenseError as error:
            yield self._failed("settings", error)
            return
        if not found.get("server"):
            yield check_proxy(found, None)
            self.run_exits = 78
            yield "settings", "failed", "no server is known. Log in (coditect-license login), or give --server"
            return
        reply: Reply | None = None
        try:
            reply, took = self._look(found)
        except Unreachable as error:
            unreachable: ServerUnreachable | None = error
            yield check_proxy(found, error)
            yield from self._unreachable(error)
        except LicenseError as error:
            yield self._failed("settings", error)
            return
        else:
            unreachable = None
            yield check_proxy(found, None)
            yield "connection", "ok" if took < 2 else "warning", f"{found['server']} answered in {took * 1000:.0f} ms"
            yield check_certificate(found, self._options)
            yield _check_clock(reply, took)
        try:
            client = profile.client_from(found, self._options)
        except LicenseError as error:
            yield self._failed("settings", error)
            return
        with client:
            yield "settings", "ok", f"product {found['product']}, license {client.license_number}"
            outlook = Outlook(None, unreachable) if unreachable else foresee(client)
            if reply is not None:
                yield _check_keys(reply, client, outlook)
            yield from self._license(outlook)
            yield self._kept(client, outlook)
            if self._options.seat:
                yield self._seat(client)

    def _machine(self) -> CheckResult:
        given = profile.given_settings(self._options).get("hardware_id")
        if given is None:
            with contextlib.suppress(LicenseError):  # what is wrong with the settings is said by their own check
                given = profile.find_settings(self._options).get("hardware_id")
        try:
            machine = machine_of(self._options, given)
        except LicenseError as error:
            return self._failed("machine", error)
        if given is not None:
            return "machine", "ok", f"known by {GIVEN}; it is a {KINDS[machine.deployment]}"
        detail = f"known by {SOURCES[machine.source]}; it is a {KINDS[machine.deployment]}"
        if machine.source in LASTING:
            return "machine", "ok", detail
        advice = "Give --hardware-id, or make this user's data directory writable, so that it stays the same"
        return "machine", "warning", f"{detail}. {advice}"

    def _look(self, found: dict[str, Any]) -> tuple[Reply, float]:
        began = time.monotonic()
        return fetch(found, self._options), time.monotonic() - began

    def _failed(self, name: str, error: LicenseError) -> CheckResult:
        self.run_exits = exit_code_of(error)
        return name, "failed", in_words(error)

    def _unreachable(self, error: Unreachable) -> Iterator[CheckResult]:
        self.run_exits = exit_code_of(error)
        refused = refused_certificate(error)
        if refused is None:
            yield "connection", "failed", in_words(error)
        else:
            yield "connection", "failed", "it was not made, since the certificate is not trusted"
            yield "certificate", "failed", in_words(refused)

    def _license(self, outlook: Outlook) -> Iterator[CheckResult]:
        told, problem = outlook.validation, outlook.problem
        if problem is not None:
            self.run_exits = exit_code_of(problem)
        if told is None:
            if not isinstance(problem, Unreachable):  # else it was said
                yield "license key", "failed", in_words(problem)
            return
        if outlook.distrust is not None:
            yield "answers", "failed", in_words(outlook.distrust)
        elif isinstance(problem, (errors.ServerUnreachable, errors.VerificationFailed)):
            yield "answers", "failed", in_words(problem)
        else:
            yield "answers", "ok", "what the server signs is believed here"
        is_full = isinstance(problem, (errors.NoSeats, errors.TooManyProcesses))
        if isinstance(problem, (errors.Refusal, errors.ServerUnreachable)) and not is_full:
            yield "license key", "failed", in_words(problem)
        else:
            yield "license key", "ok", describe_license(told)
        if is_full:
            yield "seats", "failed", in_words(problem)
        elif problem is None:
            yield "seats", "ok", "this machine holds a seat" if told.has_seat else "one can be had"

    def _kept(self, client: LicenseClient, outlook: Outlook) -> CheckResult:
        seconds = patience(self._options)
        result = _check_store(client, seconds)
        left = offline_left(client, seconds) if isinstance(outlook.problem, WITHOUT_CONTACT) else None
        if left is None:
            return result
        self.run_exits = 0
        return (
            result[0],
            "warning",
            f"a start works without the server for another {span(left)}, by the token saved on this machine",
        )

    def _seat(self, client: LicenseClient) -> CheckResult:
        try:
            return "a seat", "ok", _try_seat(client)
        except WITHOUT_CONTACT as error:
            if self.run_exits == 0 and offline_left(client, patience(self._options)) is None:
                self.run_exits = exit_code_of(error)
            return "a seat", "failed", in_words(error)
        except LicenseError as error:
            return self._failed("a seat", error)


def doctor(options: argparse.Namespace) -> int:
    """Run all checks. The exit code is 1 if one failed."""
    examination = _Examination(options)
    found = list(examination.checks())
    failed = any(result == "failed" for _, result, _ in found)
    exits = examination.run_exits
    value = {
        "ok": not failed,
        "run_exits": exits,
        "checks": [{"check": name, "result": result, "detail": detail} for name, result, detail in found],
    }
    last = "ok: run would start its command" if exits == 0 else f"failed: run would exit with {exits}"
    rows = [*((name, f"{result}: {detail}") for name, result, detail in found), ("so", last)]
    show(options, value, "Checks", rows)
    return 1 if failed else 0


def _check_clock(reply: Reply, took: float) -> CheckResult:
    try:
        theirs = parsedate_to_datetime(reply.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return "clock", "warning", "the server did not say what time it is"
    # The header has whole seconds and is some part of the round trip old.
    off = time.time() - theirs
    near = abs(off) <= 2 + took
    word = "ahead" if off > 0 else "behind"
    if near:
        return "clock", "ok", "agrees with the server's"
    detail = f"{span(abs(off))} {word} of the server's"
    if abs(off) <= 60:
        return "clock", "ok", detail
    if abs(off) < 24 * 3600:
        return "clock", "warning", f"{detail}. Seats work; the time for use without contact is counted wrongly. Set it"
    return "clock", "failed", f"{detail}. No answer is believed with a clock a day off. Set it"


def _check_keys(reply: Reply, client: LicenseClient, outlook: Outlook) -> CheckResult:
    pinned = {root.kid for root in client._context._roots}
    server = client._context.server
    try:
        published = [root.kid for root in load_roots(keys_of(reply))]
    except (ConfigurationError, ValueError, TypeError):
        # What lies before the server may show nothing but the API.
        detail = f"{server} shows no root keys (HTTP status {reply.status}). Is it a license server?"
        return "keys", "failed" if outlook.problem is not None else "warning", detail
    if published[0] not in pinned:
        advice = "Upgrade the program, or log in again with --trust-server, if you trust the change"
        return "keys", "failed", f"the server signs under {published[0]}, which is not pinned. {advice}"
    missing = [kid for kid in published[1:] if kid not in pinned]
    if missing:
        advice = "Upgrade before the server begins to use it"
        return "keys", "warning", f"the next root key {missing[0]} is not pinned yet. {advice}"
    return "keys", "ok", f"{published[0]} is pinned"


def _check_store(client: LicenseClient, seconds: float) -> CheckResult:
    try:
        return in_time(seconds, "The directory of the saved token", lambda: _examine_store(client._context.store))
    except (LicenseError, OSError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or in_words(error)
        return "offline start", "warning", f"{in_words(reason)}: no use without contact after a restart"


def _examine_store(store: TokenStore) -> CheckResult:
    kept = store.load()
    directory = store.path.parent
    if store.problem is not None:
        return "offline start", "warning", in_words(store.problem)
    while not os.path.exists(directory) and directory != directory.parent:  # noqa: PTH110 - it never raises
        directory = directory.parent
    if not os.access(directory, os.W_OK):
        return "offline start", "warning", f"{directory} cannot be written: no use without contact after a restart"
    return "offline start", "ok", "none yet; the first seat keeps one" if kept is None else f"in {store.path}"


def _try_seat(client: LicenseClient) -> str:
    lease = client.acquire()
    client.release(lease)
    return f"seat {lease.seat} was taken, verified and given back"
