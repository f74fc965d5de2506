"""``login``, ``status``, ``verify`` and ``fingerprint``."""

from __future__ import annotations

import argparse
import codecs
import sys
import time
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .._errors import ConfigurationError, VerificationFailed
from .._identity import find_machine, hardware_id, this_system
from .._jws import loads
from .._key import KEY_SYMBOLS
from .._roots import load_roots
from .._verify import verify_token
from . import profile
from .output import describe_license, holders_lines, show, span


def login(options: argparse.Namespace) -> int:
    """Save the settings, after asking the server whether they are right."""
    found = {name: value for name, value in profile.find_settings(options).items() if name != "key" or options.key}
    for name in ("server", "product"):
        if not found.get(name):
            raise ConfigurationError(f"--{name} is needed to log in.")
    found["key"] = found.get("key") or _ask_for_key()
    if options.trust_server:
        found["roots"] = _fetch_roots(found["server"], options.timeout)
    elif isinstance(found.get("roots"), Path):
        try:
            found["roots"] = found["roots"].read_text("utf-8")
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"The root keys cannot be read from {found['roots']}: {error}.") from error
    with profile.client_from(found, options) as client:
        found["key"] = client._context.key.text
        validation = None if options.no_check else client.validate()
        place = profile.save_settings(found, keyring=not options.no_keyring)
        kids = [root.kid for root in client._context.expected.roots]
    value = {
        "server": found["server"],
        "product": found["product"],
        "license": client.license_number,
        "roots": kids,
        "key_in": place,
    }
    where = "the OS keyring" if place == "keyring" else f"{profile.path()} (readable by you alone)"
    rows = [("license", client.license_number), ("key kept in", where), ("pinned root", ", ".join(kids))]
    if validation is not None:
        rows.insert(
            1,
            (
                "status",
                describe_license(validation),
            ),
        )
    show(options, value, f"Logged in to {found['server']} for {found['product']}", rows)
    return 0


def _ask_for_key() -> str:
    if sys.stdin.isatty():
        from getpass import getpass

        return getpass("License key: ")
    return _read_piped_key()


def _read_piped_key() -> str:
    """The key from a pipe: lines are read until there are as many letters and digits as a key has, in any encoding."""
    raw = b""
    while line := sys.stdin.buffer.readline(4096):
        raw += line
        if sum(c.isalnum() for c in _decode_text(raw)) >= KEY_SYMBOLS or len(raw) > 4096:
            break
    return _decode_text(raw)


def _decode_text(raw: bytes) -> str:
    """The text of a short file of any system. PowerShell writes UTF-16, Notepad a byte order mark."""
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return raw.decode("utf-16" if wide else "utf-8", errors="ignore")


def _fetch_roots(server: str, timeout: float) -> dict[str, Any]:
    """The keys that the server publishes. They are trusted because the person at the keyboard asked for it."""
    from .doctor import fetch

    reply = fetch(server, "/.well-known/license-keys", timeout)
    try:
        keys = loads(reply.body)
        load_roots(keys)
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{server} shows no root keys: is it a license server?") from error
    return dict(keys)


def status(options: argparse.Namespace) -> int:
    """Show the license, the seats in use, and who holds them."""
    with profile.open_client(options) as client:
        validation = client.validate()
    license_ = validation.license
    used = "?" if validation.seats_used is None else validation.seats_used
    rows = [
        ("product", license_.product),
        ("tier", license_.tier),
        ("status", license_.status),
        ("seats in use", f"{used} of {license_.seats_total}"),
        ("ends", "never" if license_.expires_at is None else f"{license_.expires_at:%Y-%m-%d %H:%M} UTC"),
        ("this machine", "holds a seat" if validation.has_seat else "holds no seat"),
    ]
    if validation.code is not None:
        rows.append(("an acquire now", f"failed: {validation.code}"))
    rows += [(f"feature {name}", str(value)) for name, value in sorted(license_.features.items())]
    value = {**asdict(validation), "server": client._context.server}
    show(
        options,
        value,
        f"License {license_.number} at {client._context.server}",
        rows,
        holders_lines(validation.holders),
    )
    return 0


def verify(options: argparse.Namespace) -> int:
    """Check a token without a server: a kept file of this machine, or a saved answer of acquire."""
    try:
        raw = sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
        value = loads(raw)
        token, certificate = value["token"], value["certificate"]
    except OSError as error:
        raise ConfigurationError(f"{options.file} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{options.file} is no JSON with a token and a certificate.") from error
    with profile.open_client(options) as client:
        expected = client._context.expected
    try:
        claims = verify_token(token, certificate, expected, None, time.time())
    except VerificationFailed as failure:
        answer = {"valid": False, "kind": failure.kind, "check": failure.check, "detail": str(failure)}
        show(
            options,
            answer,
            "Not valid",
            [("failed check", f"{failure.kind}: {failure.check}"), ("detail", str(failure))],
        )
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
    machine = find_machine(this_system())
    found = profile.find_settings(options)
    product = found.get("product")
    sent = found.get("hardware_id") or (None if product is None else hardware_id(machine.id, product))
    hw = None
    if sent is not None and found.get("key"):
        from .._key import parse_key
        from .._verify import hw_of

        hw = hw_of(parse_key(found["key"]).number, sent)
    value = {
        "hardware_id": sent,
        "hw": hw,
        "source": machine.source,
        "deployment": machine.deployment,
        "product": product,
    }
    rows = [
        ("hardware id", sent or "not known without a product: --product"),
        ("shown to others as", f"machine {hw[:8]}" if hw else "not known without a license key"),
        ("made from", f"{machine.source}, hashed with the product's name"),
        ("deployment", machine.deployment),
    ]
    show(options, value, "This machine", rows)
    return 0


def _moment(unix: float) -> str:
    return f"{datetime.fromtimestamp(unix, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
