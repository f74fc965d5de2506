"""``doctor`` foretells ``run`` against the real server too."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from coditect_license import LicenseClient, Seat

from .. import forked
from ..fake_server import OTHER_ROOT, jwk_of
from .machine import Machine, NewLicense

OTHER_KEY = "CODI-752KJ-Y5EZQ-1CW0A-1B2C3-D4EHJ-KMNP8"
Plant = Callable[[Machine, NewLicense, dict[str, str]], Seat | None]
"""What makes the fault, and the seat that it is made of."""


class Fault(NamedTuple):
    plant: Plant
    exits: int
    check: str
    says: str


def set_to(**variables: str) -> Plant:
    return lambda _machine, _license, env: env.update(
        {f"CODITECT_LICENSE_{name.upper()}": value for name, value in variables.items()}
    )


def other_roots(_machine: Machine, _license: NewLicense, env: dict[str, str]) -> None:
    Path(env["CODITECT_LICENSE_ROOTS"]).write_text(json.dumps({"keys": [jwk_of(OTHER_ROOT)]}))


def held(hardware_id: str) -> Plant:
    def plant(machine: Machine, license_: NewLicense, _: dict[str, str]) -> Seat:
        settings: dict[str, Any] = {"key": license_.key, "product": "demo", "roots": machine.roots(), "offline": False}
        return LicenseClient(machine.url, hardware_id=hardware_id, **settings).seat()

    return plant


FAULTS: dict[str, Fault] = {
    "another product": Fault(set_to(product="studio"), 77, "license key", "--product demo"),
    "the product in capitals": Fault(set_to(product="DEMO"), 65, "answers", "found demo"),
    "an unknown key": Fault(set_to(key=OTHER_KEY), 77, "license key", "No license has this key"),
    "suspended": Fault(lambda machine, license_, _: machine.suspend(license_), 77, "license key", "suspended"),
    "full": Fault(held("machine-0002"), 75, "seats", "--wait"),
    "all processes": Fault(held("machine-0001"), 75, "seats", "processes"),
    "no such pool": Fault(set_to(pool="gpu"), 77, "license key", "no pool named gpu"),
    "another issuer": Fault(set_to(issuer="https://a.example"), 65, "answers", "--issuer"),
    "other root keys": Fault(other_roots, 65, "keys", "not pinned"),
    "nobody listens": Fault(set_to(server="http://127.0.0.1:9"), 69, "connection", "Check the address"),
}


@pytest.mark.parametrize("name", [None, *FAULTS])
def test_doctor_login_and_status_foretell_what_run_meets(machine: Machine, tmp_path: Path, name: str | None) -> None:
    license_ = machine.license(seats=1, processes=1)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "CODITECT_LICENSE_"))}
    env |= {"HOME": str(tmp_path), "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    (tmp_path / "roots.json").write_text(json.dumps(machine.roots()))
    plant = set_to(
        server=machine.url,
        key=license_.key,
        product="demo",
        roots=str(tmp_path / "roots.json"),
        hardware_id="machine-0001",
        max_retries="0",
    )
    plant(machine, license_, env)
    fault = Fault(lambda *_: None, 0, "", "") if name is None else FAULTS[name]
    taken = fault.plant(machine, license_, env)
    before = machine.open_sessions(license_)

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return forked.run(words, env)

    doctor, status, login = call("doctor"), call("status"), call("login")
    assert machine.open_sessions(license_) == before, "nothing is taken"
    done = call("run", "--", "true")
    assert done.returncode == status.returncode == fault.exits, (done, status)
    told = json.loads(doctor.stdout)
    assert (told["ok"], told["run_exits"]) == (name is None, fault.exits), told
    assert doctor.returncode == (0 if name is None else 1)
    red = {check["check"]: check["detail"] for check in told["checks"] if check["result"] == "failed"}
    assert (red == {}) if name is None else fault.says in red[fault.check], red
    assert login.returncode == (0 if fault.exits == 75 else fault.exits), login
    if taken is not None:
        taken.release()
