"""``doctor``: checks of what might be wrong, each with what to do. It takes no seat unless asked to."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from .. import _errors as errors
from .._client import LicenseClient
from .._clock import Clock
from .._errors import LicenseError, ServerUnreachable
from .._exchange import MAX_REPLY_BYTES, Reply, lowercase_names
from .._identity import find_machine, this_system
from .._jws import loads
from .._roots import load_roots
from . import profile
from .output import describe_license, show, span

CheckResult = tuple[str, str, str]
"""The name of the check; ``ok``, ``warning`` or ``failed``; what was found and what to do."""


def fetch(server: str, path: str, timeout: float) -> Reply:
    """A public page of the server. Raises :class:`ServerUnreachable`."""
    import httpx

    sent_at = Clock().monotonic()
    try:
        with httpx.Client(timeout=timeout) as http:
            answer = http.get(server.rstrip("/") + path, headers={"Accept-Encoding": "identity"})
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise ServerUnreachable(
            f"{server} was not reached: {error}. Check the address, the network and any proxy."
        ) from error
    if answer.status_code != 200:
        raise ServerUnreachable(
            f"{server}{path} answered with HTTP status {answer.status_code}. Is it a license server?"
        )
    return Reply(answer.status_code, answer.content[:MAX_REPLY_BYTES], lowercase_names(answer.headers), sent_at)


def doctor(options: argparse.Namespace) -> int:
    """Run all checks. The exit code is 1 if one failed."""
    found = list(_run_checks(options))
    failed = any(result == "failed" for _, result, _ in found)
    value = {
        "ok": not failed,
        "checks": [{"check": name, "result": result, "detail": detail} for name, result, detail in found],
    }
    show(options, value, "Checks", [(name, f"{result}: {detail}") for name, result, detail in found])
    return 1 if failed else 0


def _run_checks(options: argparse.Namespace) -> Iterator[CheckResult]:
    machine = find_machine(this_system())
    good = machine.source in ("machine-id", "container", "ci", "own")
    yield (
        "machine",
        "ok" if good else "warning",
        f"known by its {machine.source}, a {machine.deployment}"
        + (
            ""
            if good
            else ". Give --hardware-id, or make this user's data directory writable, so that it stays the same"
        ),
    )
    try:
        settings = profile.find_settings(options)
    except LicenseError as error:
        yield "settings", "failed", str(error)
        return
    server = settings.get("server")
    yield _check_proxy(server)
    if not server:
        yield "settings", "failed", "no server is known. Log in: coditect-license login"
        return
    yield from _check_server(server, settings, options.timeout)
    try:
        client = profile.client_from(settings, options)
    except LicenseError as error:
        yield "settings", "failed", str(error)
        return
    with client:
        yield "settings", "ok", f"product {settings['product']}, license {client.license_number}"
        yield _check_store(client)
        yield _check_call("license key", lambda: describe_license(client.validate()))
        if options.seat:
            yield _check_call("a seat", lambda: _try_seat(client))


def _check_proxy(server: str | None) -> CheckResult:
    from urllib.request import getproxies, proxy_bypass

    proxies = {name: url for name, url in getproxies().items() if name in ("http", "https", "all")}
    if not proxies:
        return "proxy", "ok", "none"
    if server and proxy_bypass(urlsplit(server).hostname or ""):
        return "proxy", "ok", "there is one, and the license server is reached without it (NO_PROXY)"
    # Without its credentials, which stand before the @.
    names = ", ".join(sorted({url.rpartition("@")[2] for url in proxies.values()}))
    return "proxy", "warning", f"requests go through {names}. If the license server is not reached, add it to NO_PROXY"


def _check_server(server: str, settings: dict[str, Any], timeout: float) -> Iterator[CheckResult]:
    began = time.monotonic()
    try:
        reply = fetch(server, "/health/live", timeout)
    except ServerUnreachable as error:
        yield "connection", "failed", str(error)
        return
    took = time.monotonic() - began
    yield "connection", "ok" if took < 2 else "warning", f"{server} answered in {took * 1000:.0f} ms"
    yield _check_clock(reply, took)
    yield _check_keys(server, settings.get("roots"), timeout)


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


def _check_keys(server: str, given: object, timeout: float) -> CheckResult:
    try:
        published = [root.kid for root in load_roots(loads(fetch(server, "/.well-known/license-keys", timeout).body))]
    except (LicenseError, ValueError, TypeError) as error:
        return "keys", "failed", f"{server} shows no root keys ({error})"
    try:
        pinned = {root.kid for root in load_roots(given)}  # type: ignore[arg-type]
    except LicenseError as error:
        return "keys", "failed", str(error)
    if published[0] not in pinned:
        advice = "Upgrade the program, or log in again, if you trust the change"
        return "keys", "failed", f"the server signs under {published[0]}, which is not pinned. {advice}"
    missing = [kid for kid in published[1:] if kid not in pinned]
    if missing:
        return (
            "keys",
            "warning",
            f"the next root key {missing[0]} is not pinned yet. Upgrade before the server begins to use it",
        )
    return "keys", "ok", f"{published[0]} is pinned"


def _check_store(client: LicenseClient) -> CheckResult:
    store = client._context.store
    kept = store.load()
    if store.problem is not None:
        return "kept token", "warning", store.problem
    directory = store.path.parent
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    if not os.access(directory, os.W_OK):
        return "kept token", "warning", f"{directory} cannot be written: no use without contact after a restart"
    return "kept token", "ok", "none yet; the first seat keeps one" if kept is None else f"in {store.path}"


def _check_call(name: str, ask: Callable[[], str]) -> CheckResult:
    try:
        return name, "ok", ask()
    except (errors.NoSeats, errors.TooManyProcesses) as error:
        return name, "warning", str(error)
    except LicenseError as error:
        return name, "failed", str(error)


def _try_seat(client: LicenseClient) -> str:
    lease = client.acquire()
    client.release(lease)
    return f"seat {lease.seat} was taken, verified and given back"
