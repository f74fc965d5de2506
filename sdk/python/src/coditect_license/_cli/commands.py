"""``login``, ``logout``, ``status``, ``verify`` and ``fingerprint``."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import os
import sys
import time
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import _errors as errors
from .._checks import checked
from .._context import _machine_facts
from .._errors import ConfigurationError, InvalidKey, LicenseError, VerificationFailed
from .._identity import hardware_id
from .._jws import loads
from .._key import KEY_SYMBOLS, parse_key
from .._roots import load_roots
from .._settings import Settings
from .._verify import hw_of, verify_token
from . import profile
from .disk import in_time, patience
from .exits import exit_code_of
from .lookups import fetch, keys_of
from .machine import GIVEN, SOURCES, machine_of
from .outlook import Outlook, foresee
from .output import describe_license, holders_lines, show, span
from .words import in_words

TEMPORARY = (
    errors.LicenseSuspended,
    errors.LicenseExpired,
    errors.LicenseRevoked,
    errors.LicenseNotStarted,
    errors.NoSeats,
    errors.TooManyProcesses,
)
"""What may change without another login: the settings are right, and are kept."""
OPTION_OF_CHECK = {"license": "--key, or CODITECT_LICENSE_KEY"}
"""What to give where a check failed whose advice names no option."""


def login(options: argparse.Namespace) -> int:
    """Save the settings, after asking the server whether a seat could be had with them."""
    seconds = patience(options)
    found = _with_saved(profile.given_settings(options), seconds)
    for name in ("server", "product"):
        if not found.get(name):
            raise ConfigurationError(f"--{name} is needed to log in.")
    found["key"] = found.get("key") or _ask_for_key()
    if options.verify:
        found["verify"] = os.path.abspath(options.verify)  # noqa: PTH100 - Path would follow links
    if options.trust_server:
        found["roots"] = _fetch_roots(found, options)
    elif isinstance(found.get("roots"), Path):
        try:
            file = found["roots"]
            found["roots"] = in_time(seconds, f"The file {file}", lambda: file.read_text("utf-8-sig"))
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise ConfigurationError(f"The root keys cannot be read from {found['roots']}: {reason}.") from error
    with profile.client_from(found, options) as client:
        found["key"] = client._context.key.text
        outlook = Outlook(None, None) if options.no_check else foresee(client)
        if outlook.problem is not None and not isinstance(outlook.problem, TEMPORARY):
            raise outlook.problem
        place = profile.save_settings(found, keyring=not options.no_keyring, seconds=seconds)
        kids = [root.kid for root in client._context.expected.roots]
    problem = outlook.problem
    value = {
        "server": found["server"],
        "product": found["product"],
        "license": client.license_number,
        "roots": kids,
        "key_in": place,
        "problem": None if problem is None else in_words(problem),
    }
    where = "the OS keyring" if place == "keyring" else f"{profile.path()} (readable by you alone)"
    rows = [("license", client.license_number), ("key kept in", where), ("pinned root", ", ".join(kids))]
    if outlook.validation is not None:
        rows.insert(1, ("status", describe_license(outlook.validation)))
        rows.append(("a seat now", "ok: one can be had" if problem is None else f"failed: {in_words(problem)}"))
    show(options, value, f"Logged in to {found['server']} for {found['product']}", rows)
    # A full license is no failure of the login: whoever waits gets a seat.
    if problem is None or isinstance(problem, (errors.NoSeats, errors.TooManyProcesses)):
        return 0
    return exit_code_of(problem)


def _with_saved(given: dict[str, Any], seconds: float) -> dict[str, Any]:
    """What was given, and of what an earlier login kept what still fits. A key is asked for anew."""
    try:
        saved = profile.read_profile(seconds)
    except ConfigurationError:
        return given  # what cannot be read is replaced
    for name in ("key", "key_in"):
        saved.pop(name, None)
    is_other = given.get("server") not in (None, saved.get("server"))
    return given if is_other else saved | given


def logout(options: argparse.Namespace) -> int:
    """Remove what ``login`` kept, and the kept token of this machine."""
    removed: list[str] = []
    problems: list[str] = []
    seconds = patience(options)
    try:
        saved, readable = profile.read_profile(seconds), True
    except ConfigurationError:
        saved, readable = {}, False
    if saved.get("key_in") == "keyring":
        told = profile.saved_settings(seconds)
        if profile.delete_from_keyring(saved):
            removed.append("the license key in the OS keyring")
        else:
            problems.append(f"The license key is still in the OS keyring, under {profile.SERVICE}: unlock it.")
        saved = told
    if saved:
        _forget_token(saved, removed, problems, seconds)
    if saved or not readable:
        file = profile.path()
        try:
            in_time(seconds, f"The file {file}", file.unlink)
            removed.append(f"the settings in {file}")
        except ConfigurationError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"The settings cannot be removed from {file}: {error.strerror}.")
    title = "Logged out" if removed else "Nothing was kept"
    show(options, {"removed": removed, "problems": problems}, title, [("removed", text) for text in removed])
    if problems:
        raise ConfigurationError(" ".join(problems))
    return 0


def _forget_token(saved: dict[str, Any], removed: list[str], problems: list[str], seconds: float) -> None:
    names = ("product", "pool", "issuer", "hardware_id")
    usual = {name: saved[name] for name in names if saved.get(name)}
    try:
        settings = checked(Settings(server=saved.get("server"), key=saved.get("key"), allow_http=True, **usual))
        facts = in_time(
            seconds, "This machine's identity", lambda: _machine_facts(settings, parse_key(settings.key), ())
        )
        store = facts.store
        file = store.path
        if not in_time(seconds, f"The file {file}", file.exists):
            return
        in_time(seconds, f"The file {file}", store.forget)
    except (LicenseError, OSError) as error:
        problems.append(f"The saved token was not found: {in_words(error)}")
        return
    if store.problem is None:
        removed.append(f"the saved token in {file}")
    else:
        problems.append(f"{store.problem}.")


def _ask_for_key() -> str:
    key = ""
    if sys.stdin is None:
        pass
    elif sys.stdin.isatty():
        from getpass import getpass

        try:
            key = getpass("License key: ")
        except (EOFError, OSError, ValueError):
            key = ""
    else:
        key = _read_piped_key()
    if not key.strip():
        raise ConfigurationError(
            "No license key was given: type it when asked, pipe it in, or set CODITECT_LICENSE_KEY in the environment."
        )
    return key


def _read_piped_key() -> str:
    """The key from a pipe: lines are read until there are as many letters and digits as a key has, in any encoding."""
    raw = b""
    try:
        while line := sys.stdin.buffer.readline(4096):
            raw += line
            if sum(c.isalnum() for c in _decode_text(raw)) >= KEY_SYMBOLS or len(raw) > 4096:
                break
    except OSError as error:
        raise ConfigurationError(f"The license key cannot be read from standard input: {error.strerror}.") from error
    return _decode_text(raw)


def _decode_text(raw: bytes) -> str:
    """The text of a short file of any system. PowerShell writes UTF-16, Notepad a byte order mark."""
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return raw.decode("utf-16" if wide else "utf-8", errors="ignore")


def _fetch_roots(found: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """The keys that the server publishes. They are trusted because the person at the keyboard asked for it."""
    reply = fetch(found, options)
    try:
        keys = keys_of(reply)
        load_roots(keys)
    except (ValueError, ConfigurationError) as error:
        raise ConfigurationError(
            f"{found['server']} shows no root keys (HTTP status {reply.status}): is it a license server?"
        ) from error
    return dict(keys)


def status(options: argparse.Namespace) -> int:
    """Show the license, the seats in use, who holds them, and whether this machine has or could have a seat."""
    with profile.open_client(options) as client:
        outlook = foresee(client)
    if outlook.validation is None:
        raise outlook.problem or AssertionError("no answer and no reason")
    validation, problem = outlook.validation, outlook.problem
    license_ = validation.license
    used = "?" if validation.seats_used is None else validation.seats_used
    rows = [
        ("product", license_.product),
        ("tier", license_.tier),
        ("status", license_.status if license_.status == "active" else f"failed: {license_.status}"),
        ("seats in use", f"{used} of {license_.seats_total}"),
        ("ends", "never" if license_.expires_at is None else f"{license_.expires_at:%Y-%m-%d %H:%M} UTC"),
        ("this machine", "holds a seat" if validation.has_seat else "holds no seat"),
        ("a seat now", "ok: one can be had" if problem is None else f"failed: {in_words(problem)}"),
    ]
    rows += [(f"feature {name}", str(value)) for name, value in sorted(license_.features.items())]
    server = client._context.server
    value = {
        **asdict(validation),
        "server": server,
        "ok": problem is None,
        "problem": None if problem is None else in_words(problem),
    }
    show(options, value, f"License {license_.number} at {server}", rows, holders_lines(validation.holders))
    return 0 if problem is None else exit_code_of(problem)


def verify(options: argparse.Namespace) -> int:
    """Check a token without a server: a kept file of this machine, or a saved answer of acquire."""
    try:
        raw = sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
        value = loads(raw)
        token, certificate = value["token"], value["certificate"]
    except OSError as error:
        raise ConfigurationError(f"{options.file} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{options.file} is no JSON with a token and a certificate.") from error
    with profile.open_client(options) as client:
        expected = client._context.expected
    try:
        claims = verify_token(token, certificate, expected, None, time.time())
    except VerificationFailed as failure:
        detail = in_words(failure)
        if failure.check in OPTION_OF_CHECK:
            detail = f"{detail} The option is {OPTION_OF_CHECK[failure.check]}."
        answer = {"valid": False, "kind": failure.kind, "check": failure.check, "detail": detail}
        rows = [("failed check", f"{failure.kind}: {failure.check}"), ("detail", detail)]
        show(options, answer, "Not valid", rows)
        return 65
    left = max(claims.exp, claims.offline_until) - time.time()
    rows = [
        ("license", f"{claims.license} for {claims.aud}, tier {claims.tier}"),
        ("machine", claims.hw),
        ("seat", str(claims.seat)),
        ("signed", f"{_moment(claims.iat)} by {claims.iss}"),
        ("good until", f"{_moment(max(claims.exp, claims.offline_until))} ({span(left)} left)"),
    ]
    rows += [(f"feature {name}", str(value)) for name, value in sorted(claims.features.items())]
    show(options, {"valid": True, "claims": asdict(claims)}, "Valid", rows)
    return 0


def fingerprint(options: argparse.Namespace) -> int:
    """Show what tells this machine from others, without asking a server."""
    found = profile.find_settings(options)
    given = found.get("hardware_id")
    machine = machine_of(options, given)
    product = found.get("product")
    sent = given or (None if product is None else hardware_id(machine.id, product))
    hw = None
    if sent is not None and found.get("key"):
        with contextlib.suppress(InvalidKey):
            hw = hw_of(parse_key(found["key"]).number, sent)
    value = {
        "hardware_id": sent,
        "hw": hw,
        "source": "given" if given else machine.source,
        "deployment": machine.deployment,
        "product": product,
    }
    rows = [
        ("hardware id", sent or "not known without a product: --product"),
        ("shown to others as", f"machine {hw[:8]}" if hw else "not known without a license key"),
        ("made from", GIVEN if given else f"{SOURCES[machine.source]}, hashed with the product's name"),
        ("deployment", machine.deployment),
    ]
    show(options, value, "This machine", rows)
    return 0


def _moment(unix: float) -> str:
    return f"{datetime.fromtimestamp(unix, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
