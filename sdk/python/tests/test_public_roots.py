"""The keys for tests, whose private halves everybody has, are believed in tests alone."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from coditect_license import AsyncLicenseClient, ConfigurationError, LicenseClient
from coditect_license.testing import InMemoryServer

from .fake_server import KEY, VECTORS

PUBLISHED = json.loads((VECTORS / "test-keys.json").read_text())
REAL = [
    "https://licenses.acme.io",
    "https://licenses.test.acme.io",
    "https://test",
    "https://example.com.acme.io",
    "https://myexample.com",
    "https://10.0.0.7",
    "https://[2001:db8::1]:8443",
    "https://127.0.0.1.nip.io",
]
RESERVED = [
    "http://localhost:8080",
    "http://127.0.0.1:8080",
    "https://[::1]:8443",
    "https://licenses.test",
    "https://licenses.test.:8443",
    "https://LICENSES.EXAMPLE.COM",
    "https://example.org",
    "https://a.b.example",
    "https://nowhere.invalid",
    "https://a.localhost",
]


@functools.cache  # loading a key checks it, which computes for a third of a second
def pem(name: str) -> str:
    private = load_pem_private_key(PUBLISHED[name]["private_key"].encode(), None)
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def make(client: type[Any], server: str | Sequence[str], roots: object) -> None:
    client(server, key=KEY, product="studio", roots=roots)


@pytest.mark.parametrize("server", REAL)
@pytest.mark.parametrize("client", [LicenseClient, AsyncLicenseClient])
@pytest.mark.parametrize("name", ["root", "other_root"])
def test_a_program_for_others_cannot_pin_a_root_that_everybody_can_sign_with(
    server: str, client: type[Any], name: str
) -> None:
    with pytest.raises(ConfigurationError, match="everybody has its private half") as raised:
        make(client, server, pem(name))
    assert PUBLISHED[name]["kid"] in str(raised.value)


def test_neither_beside_another_root_nor_from_a_file_nor_for_one_address_of_several(tmp_path: Path) -> None:
    beside = pem("root") + pem("other_root")
    kept = tmp_path / "roots.pem"
    kept.write_text(beside)
    jwk_set = InMemoryServer().roots
    for server, roots in [
        (REAL[0], beside),
        (REAL[0], kept),
        (REAL[0], jwk_set),
        ([RESERVED[0], REAL[0]], jwk_set),
    ]:
        with pytest.raises(ConfigurationError, match="everybody has its private half"):
            make(LicenseClient, server, roots)


@pytest.mark.parametrize("server", RESERVED)
def test_tests_pin_it_for_addresses_that_are_nobodys(server: str) -> None:
    make(LicenseClient, server, InMemoryServer().roots)
