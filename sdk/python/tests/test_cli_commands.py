"""What each command of the command line promises, beside what ``doctor`` foretells."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
import zipapp
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coditect_license._cli.arguments import COMMANDS
from coditect_license._cli.exits import EXIT_CODES, RUN_EXITS, exit_codes_of
from coditect_license._cli.words import in_words

from .cli_world import World, world_at
from .conftest import SRC, until
from .test_cli_surroundings import on_a_terminal

SLEEP = ["sh", "-c", "echo started; exec sleep 60"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_at(tmp_path / "home") as world:
        yield world


def started(world: World, *words: str, **more: Any) -> subprocess.Popen[str]:
    usual: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": world.env}
    return subprocess.Popen([sys.executable, "-m", "coditect_license", *words], **(usual | more))


# Messages.


def texts_of_the_library() -> Iterator[tuple[str, str]]:
    """Every text of the library that names a setting as Python does."""
    for path in sorted((SRC / "coditect_license").glob("*.py")):
        if path.name in ("_settings.py", "_log.py"):
            continue
        tree = ast.parse(path.read_text("utf-8"))
        documentation = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) and id(node) not in documentation else None
            if isinstance(text, str) and " " in text and re.search(r'\b[a-z_]+=(…|True|"|$)', text):
                yield path.name, text


def test_every_text_of_the_library_is_told_in_options() -> None:
    texts = list(texts_of_the_library())
    assert len(texts) > 8
    for name, text in texts:
        told = in_words(text)
        assert not re.search(r'\b[a-z_]+=(…|True|")', told), (name, told)
    assert in_words("server http://a is not encrypted: use allow_http=True.") == (
        "--server http://a is not encrypted: use --allow-http."
    )
    assert in_words("timeout (from CODITECT_LICENSE_TIMEOUT) must be a number") == (
        "--timeout (from CODITECT_LICENSE_TIMEOUT) must be a number"
    )
    assert in_words("this user has no home directory: give cache_dir=") == (
        "this user has no home directory: give CODITECT_LICENSE_CACHE_DIR"
    )
    assert in_words("https://a/?key=1 is an address") == "https://a/?key=1 is an address"


# Help and exit codes.


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_examples_and_exit_codes(world: World, command: str) -> None:
    text = world.run(command, "--help").stdout
    assert "examples:" in text and f"  coditect-license {command}" in text and "exit codes:" in text
    for row in exit_codes_of(command):
        assert f"{row.code:>3}  {row.meaning}" in text
    assert command == "logout" or ("CODITECT_LICENSE_SERVER" in text and "HTTPS_PROXY" in text)


def test_the_examples_of_the_help_are_command_lines_that_can_be_read() -> None:
    import shlex

    from coditect_license._cli.arguments import parser

    for _, _, examples in COMMANDS.values():
        for example in examples:
            words = shlex.split(example.partition(" < ")[0])
            parser().parse_args(words[1:])


def test_the_readme_has_the_table_of_exit_codes() -> None:
    readme = (SRC.parent / "README.md").read_text("utf-8")
    rows = [(int(code), meaning) for code, meaning in re.findall(r"^\| (\d+) \| (.+?) \|$", readme, re.M)]
    assert rows == [(row.code, row.meaning) for row in EXIT_CODES]
    assert RUN_EXITS.removeprefix("Otherwise ") in " ".join(readme.split())


# login, status, logout.


def test_login_takes_the_key_from_the_environment_and_says_where_one_can_come_from(world: World) -> None:
    key = world.env["CODITECT_LICENSE_KEY"]
    assert world.run("login").returncode == 0 and world.profile is not None
    assert json.loads(world.profile.read_text())["key"] == key
    world.set(key=None)
    for stdin in ("", "\n\n"):
        done = world.run("login", stdin=stdin)
        assert done.returncode == 78 and "CODITECT_LICENSE_KEY" in done.stderr and "Log in" not in done.stderr
    assert world.run("login", stdin=key).returncode == 0


def test_status_says_what_a_seat_would_be_refused_with_and_fails(world: World) -> None:
    assert world.answer("status")["ok"]
    with started(world, "run", "--", *SLEEP) as process:
        assert process.stdout is not None and process.stdout.readline() == "started\n"
        text = world.run("status", "--text").stdout
        assert "this machine  holds a seat" in text and "a seat now    ok" in text
        process.terminate()
    world.server.license_status = "expired"
    told = world.answer("status")
    assert (told["exit"], told["ok"]) == (77, False) and "extend" in told["problem"]
    done = world.run("status", "--text")
    assert (done.stdout + done.stderr).count("Ask the vendor to extend it") == 1, "each thing once"


@pytest.mark.parametrize("keyring", [False, True])
def test_logout_removes_what_login_kept_and_may_be_repeated(world: World, keyring: bool) -> None:
    if keyring:
        ring = world.home / "ring.json"
        (world.home / "fake_ring.py").write_text(
            "import json, pathlib\n"
            "from keyring.backend import KeyringBackend\n"
            f"FILE = pathlib.Path({str(ring)!r})\n"
            "read = lambda: json.loads(FILE.read_text()) if FILE.exists() else {}\n"
            "class Ring(KeyringBackend):\n"
            "    priority = 5\n"
            "    def set_password(self, s, u, p): FILE.write_text(json.dumps(read() | {u: p}))\n"
            "    def get_password(self, s, u): return read().get(u)\n"
            "    def delete_password(self, s, u):\n"
            "        FILE.write_text(json.dumps({name: p for name, p in read().items() if name != u}))\n"
        )
        path = os.pathsep.join([str(world.home), os.environ["PYTHONPATH"]])
        world.env |= {"PYTHON_KEYRING_BACKEND": "fake_ring.Ring", "PYTHONPATH": path}
    assert world.run("login").returncode == 0
    assert world.profile is not None and (world.server.key in world.profile.read_text()) is not keyring
    # A program is killed, so that its token stays.
    with started(world, "run", "--", *SLEEP) as process:
        assert process.stdout is not None and process.stdout.readline() == "started\n"
        until(lambda: any("token" in it.read_text() for it in world.home.rglob("coditect-license/*.json")))
        process.kill()
    for name in ("server", "product", "key", "roots", "hardware_id"):
        world.set(**{name: None})
    told = world.answer("logout")
    assert told["exit"] == 0 and len(told["removed"]) == (3 if keyring else 2), told
    assert list(world.home.rglob("coditect-license/*.json")) == []
    assert world.run("status").returncode == 78
    assert not keyring or world.server.key not in (world.home / "ring.json").read_text()
    again = world.run("logout", "--text")
    assert (again.returncode, again.stdout) == (0, "Nothing was kept\n")


def test_logout_removes_a_profile_that_cannot_be_read(world: World) -> None:
    assert world.run("login").returncode == 0 and world.profile is not None
    world.profile.write_text("{")
    assert world.run("status").returncode == 78 and world.run("logout").returncode == 0
    assert world.profile is None


# run.


def test_run_says_each_thing_once_and_nothing_where_it_is_quiet(world: World) -> None:
    world.server.lease, world.server.heartbeat_in = 3, 1
    for words in ([], ["--quiet"]):
        with started(world, "run", *words, "--timeout", "30", "--", *SLEEP) as process:
            assert process.stdout is not None and process.stderr is not None
            assert process.stdout.readline() == "started\n"
            with world.server.lock:
                world.server.license_status = "suspended"
            over = time.monotonic() + world.server.lease
            until(lambda over=over: time.monotonic() > over)  # type: ignore[misc]
            # Between two heartbeats the command hears of what has changed, here of the end of its lease.
            beaten = world.server.verbs().count("heartbeat")
            until(lambda beaten=beaten: world.server.verbs().count("heartbeat") >= beaten + 2)  # type: ignore[misc]
            lines = [process.stderr.readline().rstrip()] if words == [] else []
            world.server.license_status = "active"
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 128 + signal.SIGTERM
            lines += process.stderr.read().splitlines()
        assert len(lines) == len(set(lines)) and (lines != []) is (words == []), lines
        assert sum("suspended" in line for line in lines) == (1 if words == [] else 0), lines


def test_waiting_is_one_line_on_a_terminal_and_none_of_it_elsewhere(world: World) -> None:
    import pty

    world.server.occupy_seats()
    done = world.run("run", "--wait", "1s", "--", "true")
    assert done.returncode == 75 and "\r" not in done.stderr and "\x1b" not in done.stderr
    parent, child = pty.openpty()
    with started(world, "run", "--wait", "1m", "--", "echo", "done", stderr=child) as process:
        os.close(child)
        seen = b""
        while seen.count(b"waiting ") < 2:
            seen += os.read(parent, 65536)
        world.server.vacate_seats()
        assert process.stdout is not None and process.stdout.read() == "done\n" and process.wait(30) == 0
        try:
            while chunk := os.read(parent, 65536):
                seen += chunk
        except OSError:  # Linux ends a terminal nobody writes to with EIO
            pass
    os.close(parent)
    assert b"3 of 3 in use" in seen and b"\n" not in seen and seen.endswith(b"\r\x1b[K"), seen


def test_no_argument_of_a_process_is_the_key(world: World) -> None:
    key = world.env["CODITECT_LICENSE_KEY"]
    world.set(key=None)
    for words in (["--key", key], [f"--key={key}"]):
        mark = f"mark-{uuid.uuid4()}"
        show = f"env; echo started; exec sleep 60; : {mark}"
        with started(world, "run", *words, "--", "sh", "-c", show, "--key", "x") as process:
            assert process.stdout is not None
            seen = ""
            while not seen.endswith("started\n"):
                seen += process.stdout.readline()
            listed = subprocess.run(["ps", "-axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
            process.terminate()
            assert process.wait(30) == 128 + signal.SIGTERM
        mine = [line for line in listed.splitlines() if mark in line]
        assert len(mine) >= 1 and all(key not in line and "--key x" in line for line in mine), mine
        assert key not in seen, "nor does the command inherit it"


# verify and fingerprint.


def test_verify_names_the_option_that_it_needs(world: World) -> None:
    lease = world.server.client(hardware_id="my-laptop-0001", clock=None).acquire()
    answer = world.home / "answer.json"
    answer.write_text(json.dumps({"token": lease.token, "certificate": lease.certificate}))
    right = {"hardware_id": "my-laptop-0001"}
    world.set(**right)
    assert world.answer("verify", str(answer))["valid"]
    wrong = {
        "hardware_id": ("machine-0002", "--hardware-id"),
        "product": ("other", "--product"),
        "issuer": ("https://a.example", "--issuer"),
        "key": ("CODI-752KJ-Y5EZQ-1CW0A-1B2C3-D4EHJ-KMNP8", "--"),
    }
    for name, (value, option) in wrong.items():
        before = world.env.get(f"CODITECT_LICENSE_{name.upper()}")
        world.set(**{name: value})
        told = world.answer("verify", str(answer))
        assert told["exit"] == 65 and option in told["detail"] and "=…" not in told["detail"], told
        world.set(**{name: before})
    for file in ("/no/such/file", str(world.home), "a\0b"[:1] + "b"):
        assert world.run("verify", file).returncode == 78
    for text in ("", "[]", "null", "1", "{}", '{"token": 1, "certificate": 2}', '"x"'):
        assert world.run("verify", "-", stdin=text).returncode in (65, 78), text


@pytest.mark.parametrize("columns", [200, 80, 40, 10])
def test_fingerprint_shows_the_id_whole_however_narrow_the_terminal_is(world: World, columns: int) -> None:
    world.set(hardware_id=None)
    whole = world.answer("fingerprint")["hardware_id"]
    done = on_a_terminal(columns)(world, ["fingerprint"])
    assert done.code == 0 and len(whole) == 64 and whole in done.out
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.out)
    assert all(len(line) <= max(columns, 24) or " " not in line.strip() for line in plain.splitlines()), plain


# A zipped program.


def test_a_zipped_program_has_the_exit_codes_too(world: World, tmp_path: Path) -> None:
    source, target = tmp_path / "app", tmp_path / "app.pyz"
    source.mkdir()
    import shutil

    shutil.copytree(SRC / "coditect_license", source / "coditect_license")
    zipapp.create_archive(source, target, main="coditect_license._cli:main")
    env = {name: value for name, value in world.env.items() if name != "PYTHONPATH"}

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(target), *words]
        return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)

    assert json.loads(call("doctor", "--seat").stdout)["ok"]
    assert call("run", "--", "sh", "-c", "exit 7").returncode == 7
    world.server.license_status = "suspended"
    assert (call("status").returncode, call("doctor").returncode) == (77, 1)
