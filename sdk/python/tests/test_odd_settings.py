"""Every setting with every odd value: it is accepted for what it means, or refused by its name. Nothing else."""

from __future__ import annotations

import dataclasses
import decimal
import fractions
import math
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from coditect_license import (
    AsyncLicenseClient,
    ConfigurationError,
    InvalidKey,
    LicenseClient,
    LicenseError,
    NoSeats,
    Settings,
)

from .fake_server import ISSUER, KEY, FakeServer

CLIENTS = [LicenseClient, AsyncLicenseClient]


class Odd:
    """An object that cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


ODD: dict[str, Any] = {
    "None": None,
    "an empty text": "",
    "a blank": " ",
    "a line break": "\n",
    "NUL": "a\0b",
    "a lone surrogate": "abcdefgh\ud800",
    "a very long text": "x" * 100_000,
    "bytes": b"abcdefgh",
    "True": True,
    "False": False,
    "0": 0,
    "-1": -1,
    "1.5": 1.5,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "not a number": math.nan,
    "a huge number": 10**400,
    "a huge negative number": -(10**400),
    "a complex number": 1j,
    "a decimal": decimal.Decimal(5),
    "a fraction": fractions.Fraction(5, 2),
    "a list": [],
    "a list of odd things": [None, 5],
    "a dictionary": {},
    "a dictionary of odd things": {"keys": 5},
    "a class": int,
    "a function": len,
    "an object": object(),
    "an object that cannot be shown": Odd(),
    "a path": Path("/nowhere/at/all"),
    "a text": "something",
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("setting", [field.name for field in dataclasses.fields(Settings)])
def test_each_setting_takes_each_odd_value_or_refuses_it_by_its_name(
    client: type[LicenseClient | AsyncLicenseClient], setting: str, settings: dict[str, Any]
) -> None:
    for what, value in ODD.items():
        given = {"server": ISSUER, **settings, setting: value}
        try:
            made = client(**given)
            assert made.license_number and made.hw and made.deployment and repr(made), what
        except InvalidKey as error:
            assert setting == "key" and isinstance(value, str), what
            assert len(str(error)) < 300
        except ConfigurationError as error:
            assert setting in str(error) or (setting == "roots" and "root key" in str(error)), f"{what}: {error}"
            assert len(str(error)) < 400 and "\n" not in str(error), what


REFUSED: dict[str, list[str]] = {
    "key": ["None", "bytes", "0"],
    "product": ["None", "an empty text", "a blank", "bytes", "0", "True", "NUL", "a lone surrogate"],
    "server": ["None", "an empty text", "bytes", "0", "a list", "a list of odd things", "a text"],
    "pool": ["an empty text", "bytes", "0"],
    "timeout": ["0", "-1", "not a number", "True", "a text", "minus infinity", "a complex number", "a list"],
    "max_retries": ["-1", "1.5", "not a number", "True", "a text"],
    "offline": ["None", "0", "a text"],
    "allow_http": ["None", "0", "a text"],
    "verify": ["None", "0", "1.5", "bytes", "a list"],
    "proxy": ["an empty text", "a text", "0", "a list"],
    "hardware_id": ["an empty text", "bytes", "0"],
    "cache_dir": ["an empty text", "NUL", "bytes", "0"],
    "roots": ["0", "an empty text", "a list", "a dictionary", "a path"],
    "clock": ["0", "a text"],
    "system": ["0", "a text"],
}


@pytest.mark.parametrize("setting", REFUSED)
def test_what_makes_no_sense_is_refused(setting: str, settings: dict[str, Any]) -> None:
    for what in REFUSED[setting]:
        with pytest.raises(ConfigurationError, match="roots|root key" if setting == "roots" else setting):
            LicenseClient(**{"server": ISSUER, **settings, setting: ODD[what]})


@pytest.mark.parametrize("forever", [None, math.inf, 10**400], ids=["None", "infinity", "a huge number"])
def test_none_and_infinity_mean_for_ever(server: FakeServer, settings: dict[str, Any], forever: Any) -> None:
    transport = httpx.MockTransport(server.handle)
    client = LicenseClient(ISSUER, transport=transport, **settings | {"timeout": forever, "max_retries": forever})
    assert client._context.timeout == client._context.max_retries == math.inf
    server.now = time.time
    server.signer = type(server.signer)(int(server.now()))
    seat = client.seat(wait=math.inf)
    assert seat.release(timeout=forever)
    assert client.release(client.acquire()) and client.validate()


@pytest.mark.parametrize("option", ["wait", "on_wait", "on_event", "reacquire", "release_on_signals"])
def test_each_option_of_a_seat_takes_each_odd_value_or_refuses_it_by_its_name(
    client: LicenseClient, async_client: AsyncLicenseClient, server: FakeServer, option: str
) -> None:
    server.refuse["acquire"] = (409, "no_seats_available", {})
    refused = 0
    for what, value in ODD.items():
        if option == "wait" and what in ("infinity", "a huge number", "a decimal", "a fraction", "1.5"):
            continue  # these wait, as they should
        for ask in (client.seat, async_client.seat):
            if option == "release_on_signals" and ask != client.seat:
                continue
            try:
                ask(**{option: value})
            except NoSeats:
                pass
            except ConfigurationError as error:
                assert option in str(error), f"{what}: {error}"
                refused += 1
    assert refused > 10


@pytest.mark.parametrize("timeout", ODD)
def test_a_release_never_raises_whatever_its_timeout_is(client: LicenseClient, timeout: str) -> None:
    seat = client.seat()
    assert seat.release(ODD[timeout]) in (True, False)
    assert seat.release()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_is_made_from_the_environment_alone(
    client: type[LicenseClient | AsyncLicenseClient],
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    import json

    (tmp_path / "roots.json").write_text(json.dumps(settings["roots"]))
    said = {
        "SERVER": f"{ISSUER}, https://second.example.com\n",
        "KEY": f'"{KEY}"\n',
        "PRODUCT": "studio\n",
        "ROOTS": str(tmp_path / "roots.json"),
        "POOL": "night",
        "TIMEOUT": "2.5",
        "MAX_RETRIES": "none",
        "OFFLINE": "no",
        "ALLOW_HTTP": "TRUE",
        "VERIFY": "/etc/company.pem",
        "PROXY": "http://proxy.example.com:3128",
        "HARDWARE_ID": "machine-0002",
        "ISSUER": "",
        "HOSTNAME": "ws-7",
    }
    for name, value in said.items():
        monkeypatch.setenv(f"CODITECT_LICENSE_{name}", value)
    context = client()._context
    assert context.servers == (ISSUER, "https://second.example.com") and context.key.text == KEY
    assert (context.timeout, context.max_retries, context.offline) == (2.5, math.inf, False)
    found = context.settings
    assert (found.product, found.pool, found.issuer) == ("studio", "night", ISSUER)
    assert (found.verify, found.proxy) == ("/etc/company.pem", "http://proxy.example.com:3128")
    assert (context.hardware_id, context.identity.client["hostname"]) == ("machine-0002", "ws-7")
    argument = client(ISSUER, timeout=1.0, offline=True, verify=True, hardware_id="machine-0003")._context
    assert (argument.servers, argument.timeout, argument.offline) == ((ISSUER,), 1.0, True), "what is given comes first"
    assert client(timeout=None)._context.timeout == math.inf
    for name, wrong in {"TIMEOUT": "soon", "MAX_RETRIES": "1.5", "OFFLINE": "maybe", "PROXY": "x"}.items():
        with monkeypatch.context() as patch:
            patch.setenv(f"CODITECT_LICENSE_{name}", wrong)
            with pytest.raises(ConfigurationError, match=name.lower()):
                client()
    for name in ("SERVER", "KEY", "PRODUCT"):
        with monkeypatch.context() as patch:
            patch.delenv(f"CODITECT_LICENSE_{name}")
            with pytest.raises(ConfigurationError, match=rf"{name.lower()} is missing.*CODITECT_LICENSE_{name} "):
                client()


def test_nothing_secret_stands_in_a_refusal(settings: dict[str, Any]) -> None:
    secrets: list[dict[str, Any]] = [
        {"server": "https://user:hunter2@licenses.example.com"},
        {"key": [KEY]},
        {"key": KEY.encode()},
        {"proxy": "ftp://user:hunter2@proxy"},
    ]
    for given in secrets:
        with pytest.raises(LicenseError) as caught:
            LicenseClient(**{"server": ISSUER, **settings, **given})
        assert "hunter2" not in str(caught.value) and KEY not in str(caught.value)


def test_a_way_to_the_server_of_the_wrong_kind_is_refused(settings: dict[str, Any]) -> None:
    wrong: Any
    for wrong in (httpx.AsyncClient(), 5, "x"):
        with pytest.raises(ConfigurationError, match="http_client"):
            LicenseClient(ISSUER, http_client=wrong, **settings)
    for wrong in (5, object()):
        with pytest.raises(ConfigurationError, match="transport"):
            LicenseClient(ISSUER, transport=wrong, **settings)
        with pytest.raises(ConfigurationError, match="http_client"):
            AsyncLicenseClient(ISSUER, http_client=wrong, **settings)
