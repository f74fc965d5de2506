"""The library's errors in the words of the command line: options in place of keyword arguments."""

from __future__ import annotations

import re

from .._settings import Settings

OPTIONS = {
    "server": "--server",
    "product": "--product",
    "key": "--key",
    "pool": "--pool",
    "issuer": "--issuer",
    "roots": "--roots",
    "hardware_id": "--hardware-id",
    "allow_http": "--allow-http",
    "timeout": "--timeout",
    "verify": "--ca-file",
    "proxy": "--proxy",
}
"""The option of each setting that has one."""

_SENTENCES = (
    # Where a person at a keyboard does something else than a programmer.
    (
        "Pass roots=… (the JSON of the server's /.well-known/license-keys, fetched once and kept in your program), "
        "or build the package with its roots.json filled in.",
        "Give --roots FILE (the server's /.well-known/license-keys, fetched once over a network you trust), or log in "
        "with --trust-server, which pins the keys that the server shows now.",
    ),
    (
        "Give LicenseClient the server's root keys (roots=…), or upgrade the program that pins them.",
        "Give the server's root keys (--roots FILE), or log in again with --trust-server if you trust the change.",
    ),
    (
        "A copied token is good for its own machine only: connect to get one for this.",
        "A token is good for its own "
        "machine only. If it was given for another hardware id, name that: --hardware-id ID.",
    ),
    ('verify="company-ca.pem" (CODITECT_LICENSE_VERIFY)', "--ca-file company-ca.pem"),
    ("upgrade this package", "upgrade coditect-license"),
)
_NAMES = "|".join(Settings.__dataclass_fields__)
_ARGUMENT = re.compile(rf"\b({_NAMES})=(?:…|True|False|None|\"[^\"]*\")?(?![\w/])")
_SUBJECT = re.compile(rf"^({_NAMES})(?=:| must | \(from | is missing| is not encrypted| is no address| ['\"h])")


def in_words(text: object) -> str:
    """An error's text, with the options of the command line in place of the settings of the library."""
    told = str(text)
    for sentence, replacement in _SENTENCES:
        told = told.replace(sentence, replacement)
    told = _SUBJECT.sub(lambda match: _option(match[1]), told)
    return _ARGUMENT.sub(lambda match: _option(match[1]), told)


def _option(name: str) -> str:
    return OPTIONS.get(name) or f"CODITECT_LICENSE_{name.upper()}"
