"""The command line, as people and scripts call it, over a real port."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from coditect_license import LicenseClient

from . import forked
from .conftest import until
from .fake_server import KEY, NUMBER, ROOTS, Http


class Cli:
    """`coditect-license` in a home of its own."""

    def __init__(self, http: Http, home: Path) -> None:
        self.http, self.home = http, home
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CODITECT_LICENSE_", "XDG_")) and "proxy" not in name.lower()
        }
        # No keyring of the machine the tests run on: they must not leave a key there.
        self.env = clean | {
            "HOME": str(home),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "CODITECT_LICENSE_HARDWARE_ID": "machine-0001",
        }
        (home / "roots.json").write_text(json.dumps(ROOTS))
        self.settings = ["--server", http.url, "--product", "studio", "--roots", str(home / "roots.json")]

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "coditect_license", *words]

    def run(self, *words: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        return forked.run(words, self.env | env, stdin=stdin)

    def json(self, *words: str, code: int = 0, env: dict[str, str] | None = None) -> dict[str, Any]:
        done = self.run(*words, **env or {})
        assert done.returncode == code, done.stderr
        assert done.stderr == ""
        return dict(json.loads(done.stdout))

    def login(self) -> None:
        done = self.run("login", *self.settings, stdin=KEY + "\n")
        assert done.returncode == 0, done.stderr

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.env,
            start_new_session=True,
        )


@pytest.fixture
def cli(http: Http, tmp_path: Path) -> Cli:
    return Cli(http, tmp_path)


def profile(cli: Cli) -> Path:
    return next(cli.home.rglob("profile.json"))


def test_login_keeps_the_key_for_its_owner_alone_and_checks_it(cli: Cli) -> None:
    done = cli.run("login", *cli.settings, stdin=KEY.lower() + "\n")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["license"] == NUMBER and KEY not in done.stdout
    assert stat.S_IMODE(profile(cli).stat().st_mode) == 0o600
    assert json.loads(profile(cli).read_text())["key"] == KEY
    # The second asks for a signed refusal, and takes nothing.
    assert cli.http.fake.verbs() == ["validate", "acquire"] and cli.http.fake.sessions == {}


def test_login_with_a_wrong_key_keeps_nothing(cli: Cli) -> None:
    cli.http.fake.refuse["validate"] = (401, "license_key_invalid", {})
    done = cli.run("login", *cli.settings, stdin=KEY)
    assert done.returncode == 77 and "license_key_invalid" in done.stderr
    assert list(cli.home.rglob("profile.json")) == []
    done = cli.run("login", *cli.settings, stdin=KEY[:-1] + "0")
    assert done.returncode == 77 and "mistyped" in done.stderr and KEY[:-1] not in done.stderr


def test_login_pins_what_the_server_shows_only_when_told_to_trust_it(cli: Cli) -> None:
    settings = cli.settings[:4]
    done = cli.run("login", *settings, stdin=KEY)
    assert done.returncode == 78 and "No root key is pinned" in done.stderr
    done = cli.run("login", *settings, "--trust-server", stdin=KEY)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["roots"] == [ROOTS["keys"][0]["kid"]]
    assert cli.json("status")["license"]["number"] == NUMBER


def test_login_uses_the_keyring_where_there_is_one(cli: Cli) -> None:
    (cli.home / "fake_keyring.py").write_text(
        "import json, pathlib\n"
        "from keyring.backend import KeyringBackend\n"
        f"FILE = pathlib.Path({str(cli.home / 'ring.json')!r})\n"
        "class Ring(KeyringBackend):\n"
        "    priority = 5\n"
        "    def set_password(self, s, u, p): FILE.write_text(json.dumps([s, u, p]))\n"
        "    def get_password(self, s, u): return json.loads(FILE.read_text())[2] if FILE.exists() else None\n"
    )
    cli.env |= {
        "PYTHON_KEYRING_BACKEND": "fake_keyring.Ring",
        "PYTHONPATH": os.pathsep.join([str(cli.home), os.environ["PYTHONPATH"]]),
    }
    cli.login()
    assert KEY not in profile(cli).read_text() and json.loads((cli.home / "ring.json").read_text())[2] == KEY
    assert cli.json("status")["license"]["number"] == NUMBER


def test_status_is_json_off_a_terminal_and_text_on_one(cli: Cli) -> None:
    cli.login()
    told = cli.json("status")
    assert (told["license"]["seats_total"], told["seats_used"], told["holders"][0]["label"]) == (5, 1, "host-1")
    assert told["holders"][0]["since"].endswith("Z")
    text = cli.run("status", "--text").stdout
    assert "1 of 5" in text and "held by host-1" in text
    parent, child = pty.openpty()
    with subprocess.Popen(
        cli.command("status"), stdout=child, stderr=subprocess.PIPE, env=cli.env | {"TERM": "xterm"}
    ) as process:
        os.close(child)
        seen = b""
        with contextlib.suppress(OSError):  # Linux ends a terminal nobody writes to with EIO
            while chunk := os.read(parent, 65536):
                seen += chunk
        assert process.wait(30) == 0
    os.close(parent)
    assert b"1 of 5" in seen and b"\x1b[" in seen, "with colours"


def test_without_a_login_it_says_what_to_do(cli: Cli) -> None:
    done = cli.run("status")
    assert done.returncode == 78 and "coditect-license login" in done.stderr


def test_a_damaged_profile_says_what_to_do(cli: Cli) -> None:
    cli.login()
    profile(cli).write_text("{")
    done = cli.run("status")
    assert done.returncode == 78 and "Log in again" in done.stderr


def test_settings_come_from_the_environment_too(cli: Cli) -> None:
    env = {"SERVER": cli.http.url, "PRODUCT": "studio", "KEY": KEY, "ROOTS": str(cli.home / "roots.json")}
    assert cli.json("status", env={f"CODITECT_LICENSE_{name}": value for name, value in env.items()})["seats_used"] == 1


def test_an_unreachable_server_is_69(cli: Cli) -> None:
    cli.login()
    cli.http.close()
    done = cli.run("status")
    assert done.returncode == 69 and "was not reached" in done.stderr


def test_run_holds_a_seat_around_a_command_and_passes_its_exit_code(cli: Cli) -> None:
    cli.login()
    done = cli.run(
        "run", "--", sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert cli.http.fake.verbs()[2:] == ["acquire", "release"]
    assert cli.run("run", "--", "/no/such/command").returncode == 127
    assert cli.run("run", "--", "/").returncode == 126
    assert cli.run("run", "--").returncode == 2
    assert cli.run("run", "--", "sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM
    assert len(cli.http.fake.sessions) == len(cli.http.fake.released) > 1


def test_run_gives_the_command_its_arguments_and_its_input_untouched(cli: Cli) -> None:
    cli.login()
    code = "import sys; print(sys.argv[1:], sys.stdin.read())"
    done = cli.run("run", "--", sys.executable, "-c", code, "--wait", "--", "-x", "a b", stdin="in")
    assert done.stdout == "['--wait', '--', '-x', 'a b'] in\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_run_passes_signals_to_the_command_and_gives_the_seat_back(cli: Cli, number: signal.Signals) -> None:
    cli.login()
    code = (
        f"import signal, sys, time; signal.signal({int(number)}, lambda n, f: sys.exit(40)); "
        "print('ready', flush=True); time.sleep(60)"
    )
    with cli.start("run", "--", sys.executable, "-c", code) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(30) == 40
    assert cli.http.fake.verbs()[-1] == "release"


def test_run_waits_says_who_holds_the_seats_and_takes_the_first_that_is_free(cli: Cli) -> None:
    cli.login()
    holders = [{"label": "alice-laptop", "since": "2026-11-21T03:31:22.034Z", "seen_in": 7}]
    full = (409, "no_seats_available", {"seats_total": 5, "seats_used": 5, "next_seat_in": 1, "holders": holders})
    cli.http.fake.refuse["acquire"] = full
    with cli.start("run", "--wait", "1m", "--", "echo", "done") as process:
        assert process.stderr is not None and process.stdout is not None
        assert "no seat is free (5 of 5 in use); looking again in 1 s" in process.stderr.readline()
        assert "alice-laptop" in process.stderr.readline()
        cli.http.fake.refuse.clear()
        assert process.stdout.read() == "done\n"
        assert process.wait(30) == 0
    cli.http.fake.refuse["acquire"] = full
    done = cli.run("run", "--", "echo", "done")
    assert done.returncode == 75 and done.stdout == "" and "alice-laptop" in done.stderr


def test_run_stopped_while_waiting_leaves_nothing_behind(cli: Cli) -> None:
    cli.login()
    cli.http.fake.refuse["acquire"] = (
        409,
        "no_seats_available",
        {"seats_total": 5, "seats_used": 5, "next_seat_in": 1},
    )
    with cli.start("run", "--wait", "1m", "--", "echo", "done") as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
    assert cli.http.fake.sessions == {}


def test_run_goes_on_through_an_outage_and_says_so(cli: Cli) -> None:
    cli.http.fake.lease, cli.http.fake.heartbeat_in = 3, 1
    cli.login()
    with cli.start("run", "--", "sleep", "50") as process:
        until(lambda: cli.http.fake.sessions)
        cli.http.fake.broken = lambda _: httpx.Response(500)
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(2)]
        assert any("the seat is offline" in line for line in lines), lines
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM


def test_verify_checks_a_kept_token_without_a_server(cli: Cli) -> None:
    cli.login()
    kept: dict[str, Any] = {
        "key": KEY,
        "product": "studio",
        "roots": ROOTS,
        "hardware_id": "machine-0001",
        "cache_dir": cli.home / "cache",
    }
    seat = LicenseClient(cli.http.url, **kept).seat()
    file = next((cli.home / "cache").iterdir())
    cli.http.close()
    seat.release()  # reaches nobody, so the token stays
    told = cli.json("verify", str(file))
    assert told["valid"] and told["claims"]["license"] == NUMBER
    assert "good until" in cli.run("verify", "--text", str(file)).stdout
    assert cli.run("verify", "-", stdin=file.read_text()).returncode == 0
    bad = cli.json("verify", str(file), "--hardware-id", "machine-0002", code=65)
    assert (bad["valid"], bad["check"]) == (False, "hw")
    file.write_text("{}")
    assert cli.run("verify", str(file)).returncode == 78


def test_fingerprint_asks_nobody_and_shows_no_raw_id(cli: Cli) -> None:
    del cli.env["CODITECT_LICENSE_HARDWARE_ID"]
    told = cli.json("fingerprint", "--product", "studio")
    assert len(told["hardware_id"]) == 64 and told["deployment"] in ("desktop", "container", "ci")
    assert cli.json("fingerprint", "--product", "other")["hardware_id"] != told["hardware_id"]
    machine_id = Path("/etc/machine-id")
    if machine_id.exists() and machine_id.read_text().strip():
        assert machine_id.read_text().strip() not in json.dumps(told)
    assert cli.http.fake.calls == []


def test_doctor_finds_nothing_where_all_is_well(cli: Cli) -> None:
    cli.login()
    told = cli.json("doctor", "--seat")
    assert told["ok"], told
    checks = {check["check"]: check["result"] for check in told["checks"]}
    assert (
        checks["connection"]
        == checks["clock"]
        == checks["keys"]
        == checks["proxy"]
        == checks["license key"]
        == checks["a seat"]
        == "ok"
    )
    assert cli.http.fake.verbs()[-2:] == ["acquire", "release"]


def test_doctor_tells_a_server_that_is_away_and_a_proxy(cli: Cli) -> None:
    cli.login()
    cli.http.close()
    told = cli.json(
        "doctor", code=1, env={"HTTP_PROXY": "http://user:secret@proxy.example:3128", "NO_PROXY": "127.0.0.1"}
    )
    found = {check["check"]: check for check in told["checks"]}
    assert found["connection"]["result"] == "failed" and "without it" in found["proxy"]["detail"]
    told = cli.json("doctor", code=1, env={"HTTP_PROXY": "http://user:secret@proxy.example:3128"})
    proxy = next(check for check in told["checks"] if check["check"] == "proxy")
    assert proxy["result"] == "failed" and "proxy.example:3128" in proxy["detail"] and "secret" not in json.dumps(told)


def test_doctor_tells_a_root_key_that_is_not_pinned(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from .fake_server import OTHER_ROOT, jwk_of

    cli.login()
    other = cli.home / "other.json"
    other.write_text(json.dumps({"keys": [jwk_of(OTHER_ROOT)]}))
    told = cli.json("doctor", "--roots", str(other), code=1)
    assert next(check for check in told["checks"] if check["check"] == "keys")["result"] == "failed"


def test_doctor_tells_a_wrong_clock() -> None:
    from email.utils import formatdate

    from coditect_license._cli.doctor import _check_clock
    from coditect_license._exchange import Reply

    def at(shift: float) -> tuple[str, str, str]:
        return _check_clock(Reply(200, b"", {"date": formatdate(time.time() + shift, usegmt=True)}, 0.0), 0.1)

    assert at(0)[1] == at(-30)[1] == "ok"
    assert at(7200)[1] == "warning" and "behind" in at(7200)[2]
    assert at(-2 * 86400)[1] == "failed" and "ahead" in at(-2 * 86400)[2]


def test_a_wrong_command_line_is_2_and_help_names_every_command(cli: Cli) -> None:
    assert cli.run().returncode == 2
    assert cli.run("run", "--wait", "soon", "--", "true").returncode == 2
    text = cli.run("--help").stdout
    assert all(name in text for name in ("login", "status", "run", "verify", "fingerprint", "doctor"))
