"""The settings of a client: how they are given, what they default to, and what is wrong with them."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from coditect_license import AsyncLicenseClient, ConfigurationError, InvalidKey, LicenseClient, Settings
from coditect_license._settings import NOT_GIVEN

from .fake_server import ISSUER, KEY, ROOTS, FakeServer, Http

CLIENTS = [LicenseClient, AsyncLicenseClient]


DEFAULTS = {"timeout": 10.0, "max_retries": 2, "offline": True, "allow_http": False, "verify": True}
"""What stands for a setting that is given neither by the program nor by the environment, where that is not None."""


def described_settings() -> dict[str, str]:
    """Each setting's text in the docstring of the class."""
    assert Settings.__doc__ is not None
    # Python 3.13 takes the indentation of docstrings away by itself.
    section = inspect.cleandoc(Settings.__doc__).split("Attributes:\n")[1]
    entries = re.split(r"^    (?=\w+: )", section, flags=re.M)[1:]
    return {name: " ".join(text.split()) for name, _, text in (entry.partition(": ") for entry in entries)}


def test_every_setting_is_described_and_its_default_is_the_one_that_is_named() -> None:
    described = described_settings()
    assert list(described) == [setting.name for setting in dataclasses.fields(Settings)]
    for setting in dataclasses.fields(Settings):
        text = described[setting.name]
        if setting.name in DEFAULTS:
            assert text.endswith(f" Default: {DEFAULTS[setting.name]}."), setting.name
            assert setting.default is NOT_GIVEN
        else:
            assert text.endswith(" Required, here or in the environment.") or " Default: " in text, setting.name
            assert setting.default is None


@pytest.mark.parametrize("client", CLIENTS)
def test_the_keyword_arguments_are_the_settings(client: type[LicenseClient | AsyncLicenseClient]) -> None:
    parameters = list(inspect.signature(client).parameters.values())
    fields = dataclasses.fields(Settings)
    assert [parameter.name for parameter in parameters] == [
        *(field.name for field in fields),
        "transport",
        "http_client",
    ]
    for parameter, field in zip(parameters, fields, strict=False):
        assert (parameter.annotation, parameter.default) == (field.type, field.default), field.name


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_by_an_object_is_the_client_by_keyword_arguments(
    client: type[LicenseClient | AsyncLicenseClient], settings: dict[str, Any], server: FakeServer
) -> None:
    more: dict[str, Any] = {"pool": "night", "timeout": 3.0, "max_retries": 5, "offline": False, "user": "bob"}
    by_keywords = client(ISSUER, **settings | more)._context
    by_object = client.from_settings(Settings(server=ISSUER, **settings | more))._context
    for name in ("server", "key", "identity", "expected", "timeout", "max_retries", "offline"):
        assert getattr(by_keywords, name) == getattr(by_object, name), name
    assert by_keywords.store.path == by_object.store.path


def test_an_object_of_settings_takes_the_transport_too(settings: dict[str, Any], server: FakeServer) -> None:
    kept = Settings(server=ISSUER, **settings | {"system": None})
    transport = httpx.MockTransport(server.handle)
    with LicenseClient.from_settings(dataclasses.replace(kept, offline=False), transport=transport) as client:
        client.validate()
    assert server.verbs() == ["validate"]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_wrong_keyword_argument_is_named_with_the_one_that_was_meant(
    client: type[LicenseClient | AsyncLicenseClient], settings: dict[str, Any]
) -> None:
    name = client.__name__
    for wrong, meant in (("prodct", "product"), ("time_out", "timeout"), ("transprt", "transport")):
        with pytest.raises(TypeError, match=rf"^{name}\(\) got .* '{wrong}'\. Did you mean '{meant}'\?$"):
            client(ISSUER, **settings | {wrong: 1})
    with pytest.raises(TypeError, match=r"'zzz'\. help\(coditect_license\.Settings\)"):
        client(ISSUER, **settings | {"zzz": 1})


def test_a_type_checker_sees_the_keyword_arguments() -> None:
    # mypy runs with warn_unused_ignores: it fails here as soon as it would let one of these pass.
    with pytest.raises(TypeError):
        LicenseClient(ISSUER, key=KEY, product="studio", prodct="studio")  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match="timeout"):
        LicenseClient(ISSUER, key=KEY, product="studio", roots=ROOTS, timeout="soon")  # type: ignore[arg-type]


def test_settings_print_no_key() -> None:
    assert KEY not in repr(Settings(server=ISSUER, key=KEY, product="studio"))


def test_a_wrong_setting_is_told_before_anything_is_sent(settings: dict[str, Any]) -> None:
    for wrong in ("", "licenses.example.com", "ftp://x", "https://", "https://user:pw@x", "http://[", "https://x?y"):
        with pytest.raises(ConfigurationError, match="address"):
            LicenseClient(wrong, **settings)
    with pytest.raises(ConfigurationError, match="not encrypted"):
        LicenseClient("http://licenses.example.com", **settings)
    LicenseClient("http://licenses.example.com", allow_http=True, **settings)
    for hardware_id in ("short", "x" * 129, "tab\tinside", "umlaut-ä-inside"):
        with pytest.raises(ConfigurationError, match="hardware_id"):
            LicenseClient(ISSUER, **settings | {"hardware_id": hardware_id})
    with pytest.raises(ConfigurationError, match="timeout"):
        LicenseClient(ISSUER, timeout=0, **settings)


def test_what_is_only_shown_keeps_no_program_from_starting(settings: dict[str, Any]) -> None:
    said: Any
    for said, sent in (
        ("web-1\n", "web-1"),
        ("", None),
        ("x" * 300, "x" * 255),
        ("\ud800\0", None),
        ("kubernetes", "kubernetes"),
        (1.4, "1.4"),
    ):
        facts: dict[str, Any] = dict.fromkeys(("version", "hostname", "project", "user"), said)
        client = LicenseClient(ISSUER, **settings | facts | {"deployment": said or None})
        kept = client._context.identity.client
        assert [kept.get(fact) for fact in facts] == [sent] * 4
        assert kept["deployment"] and (sent is None or kept["deployment"] == sent)


def test_settings_are_read_as_files_end(settings: dict[str, Any]) -> None:
    exact = LicenseClient(ISSUER, **settings | {"pool": "night", "issuer": ISSUER})._context
    read = LicenseClient(
        f"{ISSUER}\n",
        **settings | {"pool": " night\n", "issuer": f"{ISSUER}\r\n", "product": f"{settings['product']}\n"},
    )._context
    assert (read.server, read.hw, read.identity, read.expected) == (
        exact.server,
        exact.hw,
        exact.identity,
        exact.expected,
    )


def test_a_key_is_read_as_people_type_it_and_a_mistyped_one_is_told_at_once(settings: dict[str, Any]) -> None:
    typed = [
        KEY.lower(),
        KEY.replace("-", ""),
        KEY.replace("-", " "),
        f"  {KEY}\n",
        KEY.replace("0", "O").replace("1", "l"),
    ]
    for text in typed:
        assert LicenseClient(ISSUER, **settings | {"key": text})._context.key.text == KEY
    wrong = KEY[:-1] + ("0" if KEY[-1] != "0" else "1")
    with pytest.raises(InvalidKey, match="mistyped"):
        LicenseClient(ISSUER, **settings | {"key": wrong})
    for text in ("", "CODI", "CODI-" + "U" * 30, "XXXX" + KEY[4:], "C" * 5000):
        with pytest.raises(InvalidKey) as caught:
            LicenseClient(ISSUER, **settings | {"key": text})
        assert len(text) < 10 or text not in str(caught.value)


def test_without_a_pinned_key_a_client_cannot_be_made(settings: dict[str, Any]) -> None:
    wrong: tuple[Any, ...] = (
        None,
        {"keys": []},
        "no keys at all {",
        "/no/such/file",
        {"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]},
    )
    for roots in wrong:
        with pytest.raises(ConfigurationError, match=r"root key|roots="):
            LicenseClient(ISSUER, **settings | {"roots": roots})


def test_roots_are_taken_as_json_as_pem_and_from_a_file(settings: dict[str, Any], tmp_path: Path) -> None:
    import json

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from coditect_license._roots import load_roots

    from .fake_server import ROOT, ROOTS

    pem = ROOT.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "roots.pem").write_bytes(pem)
    for given in (
        ROOTS,
        json.dumps(ROOTS),
        json.dumps(ROOTS).encode(),
        pem,
        pem.decode(),
        tmp_path / "roots.pem",
        str(tmp_path / "roots.pem"),
    ):
        assert [root.kid for root in load_roots(given)] == [ROOTS["keys"][0]["kid"]]


def test_nothing_secret_is_printed(client: LicenseClient) -> None:
    lease = client.acquire()
    printed = f"{client!r} {lease!r} {client._context.identity!r} {client._context.key!r}"
    assert KEY not in printed and lease.session not in printed and lease.token not in printed


def test_what_a_client_says_of_itself(client: LicenseClient, server: FakeServer) -> None:
    client.acquire()
    body = server.bodies("acquire")[0]
    assert set(body) == {"license_key", "hardware_id", "attempt", "nonce", "client"}, (
        "no instance id unless a license asks for it"
    )
    assert body["client"].keys() == {"product", "version", "platform", "hostname", "deployment"}, (
        "nobody's name unless given"
    )


def test_whose_seat_it_is_and_what_for_is_told_if_given(http: Http, settings: dict[str, Any]) -> None:
    with LicenseClient(http.url, user="bob@example.com", project="turbine", **settings) as client:
        client.acquire()
    told = http.fake.bodies("acquire")[0]["client"]
    assert (told["user"], told["project"]) == ("bob@example.com", "turbine")


IGNORED: list[dict[str, Any]] = [
    {"http_client": "own", "proxy": "http://proxy.example.com:3128"},
    {"http_client": "own", "verify": False},
    {"http_client": "own", "transport": "own"},
    {"transport": "own", "proxy": "http://proxy.example.com:3128"},
    {"transport": "own", "verify": True},
    {"hardware_id": "machine-0001", "installation": "/opt/studio"},
    {"hardware_id": "machine-0001", "project_root": "/srv/project"},
]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("both", IGNORED, ids=" and ".join)
def test_what_would_be_ignored_is_refused_by_name(
    client: type[LicenseClient | AsyncLicenseClient], both: dict[str, Any]
) -> None:
    made = httpx.Client() if client is LicenseClient else httpx.AsyncClient()
    own: dict[str, Any] = {"http_client": made, "transport": httpx.MockTransport(lambda _: httpx.Response(200))}
    given = {name: own[name] if value == "own" else value for name, value in both.items()}
    with pytest.raises(ConfigurationError) as caught:
        client(ISSUER, key=KEY, product="studio", roots=ROOTS, **given)
    assert all(name in str(caught.value) for name in both)


def test_what_the_environment_says_stands_back_behind_the_programs_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PROXY": "http://proxy.example.com:3128",
        "VERIFY": "false",
        "HARDWARE_ID": "machine-1",
    }.items():
        monkeypatch.setenv(f"CODITECT_LICENSE_{name}", value)
    own = httpx.MockTransport(lambda _: httpx.Response(200))
    LicenseClient(ISSUER, key=KEY, product="studio", roots=ROOTS, installation="/opt/studio", transport=own)
