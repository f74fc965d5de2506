"""coditect-license against the real server, from the login on."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from .. import forked
from .machine import Machine


def test_from_login_to_a_seat_around_a_command(machine: Machine, tmp_path: Path) -> None:
    license_ = machine.license(seats=2, features='{"cloud": true}')
    env = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "CODITECT_LICENSE_"))}
    env |= {"HOME": str(tmp_path), "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}

    def call(*words: str, stdin: str = "") -> str:
        done = forked.run(words, env, stdin=stdin)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    call("login", "--server", machine.url, "--product", "demo", "--trust-server", stdin=license_.key)
    inside = [sys.executable, "-m", "coditect_license"]
    status = json.loads(call("run", "--wait", "30s", "--", *inside, "status"))
    assert status["has_seat"] and status["seats_used"] == 1 and status["license"]["number"] == license_.number
    status = json.loads(call("status"))
    assert not status["has_seat"] and status["seats_used"] == 0
    doctor = json.loads(call("doctor", "--seat"))
    assert doctor["ok"], doctor
    kept = next(tmp_path.rglob("coditect-license/*.json"), None)
    assert kept is not None
    # While the seat is held its token is kept, and a seat given back takes its offline grace with it.
    copy = """
import os, pathlib, shutil
home = pathlib.Path(os.environ["HOME"])
shutil.copy(next(path for path in home.rglob("*.json") if "token" in path.read_text()), home / "copy")
"""
    call("run", "--wait", "30s", "--", sys.executable, "-c", copy)
    assert json.loads(call("verify", str(tmp_path / "copy")))["claims"]["features"] == {"cloud": True}
    assert not [path for path in tmp_path.rglob("*.json") if "token" in path.read_text()]
    assert machine.held(license_) == 0
