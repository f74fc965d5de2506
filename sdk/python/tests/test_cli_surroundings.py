"""Every command in every surrounding: a sentence and an exit code, and never a traceback."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import pty
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from struct import pack
from typing import Any, NamedTuple

import pytest

from coditect_license._cli.arguments import COMMANDS

from . import forked
from .cli_world import PREFIX, World, world_at
from .conftest import SRC
from .test_cli_doctor import over_tls

one_python = pytest.mark.one_python
WORDS: dict[str, list[str]] = {
    "login": ["login", "--no-keyring"],
    "logout": ["logout"],
    "run": ["run", "--", "true"],
    "status": ["status"],
    "verify": ["verify", "answer.json"],
    "fingerprint": ["fingerprint"],
    "doctor": ["doctor", "--seat"],
    "--help": ["--help"],
    **{f"{command} --help": [command, "--help"] for command in COMMANDS},
}
ASKING = ("login", "run", "status", "doctor")


class Done(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_at(tmp_path_factory.mktemp("cli") / "home") as world:
        client = world.server.client(hardware_id="machine-0001", clock=None)
        lease = client.acquire()
        answer = {"token": lease.token, "certificate": lease.certificate}
        (world.home / "answer.json").write_text(json.dumps(answer))
        client.release(lease)
        yield world


def loads_most(words: list[str]) -> bool:
    """Whether no other command imports more. In each surrounding this one imports it there, in no fork."""
    return words[0] == "doctor"


def call(world: World, words: list[str], **more: Any) -> Done:
    words = [str(world.home / word) if word == "answer.json" else word for word in words]
    env = world.env | more.pop("env", {})
    done = forked.run(words, env, alone=loads_most(words), **more)
    return Done(done.returncode, done.stdout, done.stderr)


def in_environment(**variables: str) -> Callable[[World, list[str]], Done]:
    return lambda world, words: call(world, words, env=variables)


def on_a_terminal(columns: int) -> Callable[[World, list[str]], Done]:
    def run(world: World, words: list[str]) -> Done:
        parent, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, pack("HHHH", 24, columns, 0, 0))
        words = [str(world.home / word) if word == "answer.json" else word for word in words]
        env = world.env | {"TERM": "xterm"}
        reading, writing = os.pipe()
        process = forked.start(words, env, [child, child, writing], alone=loads_most(words))
        os.close(child)
        os.close(writing)
        seen = b""
        with contextlib.suppress(OSError):  # Linux ends a terminal nobody writes to with EIO
            while chunk := os.read(parent, 65536):
                seen += chunk
        with os.fdopen(reading) as file:
            err = file.read()
        code = process.wait(60)
        os.close(parent)
        return Done(code, seen.decode().replace("\r\n", "\n"), err)

    return run


def nobody_reads(world: World, words: list[str]) -> Done:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return call(world, words, stdout=writing)
    finally:
        os.close(writing)


def closed(streams: str) -> Callable[[World, list[str]], Done]:
    redirections = " ".join(f"{number}>&-" for number in streams)
    shell = ["sh", "-c", f'exec "$@" {redirections}', "sh"]
    return lambda world, words: call(world, words, before=shell, closed=streams)


def full(stream: str) -> Callable[[World, list[str]], Done]:
    def run(world: World, words: list[str]) -> Done:
        with Path("/dev/full").open("w") as disk:
            return call(world, words, **{stream: disk.fileno()})

    return run


NOBODY = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
# Whoever runs the tests may have the interpreter in a home that others may not read.
NOBODY += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


def of_nobody(world: World, words: list[str]) -> Done:
    """A user without an entry in passwd and without HOME, as `docker run -u 12345` makes one."""
    env = {name: value for name, value in world.env.items() if name != "HOME"}
    return call(dataclasses.replace(world, env=env), words, before=NOBODY)


def fine(_: str) -> int:
    return 0


def unwritten(command: str) -> int:
    """`run` itself writes nothing."""
    return 0 if command == "run" else 74


def unread(command: str) -> int:
    return 0 if command == "run" else 141


def unreachable(command: str) -> int:
    return {"doctor": 1}.get(command, 69 if command in ASKING else 0)


def homeless(command: str) -> int:
    return 78 if command == "login" else 0


class Surrounding(NamedTuple):
    run: Callable[[World, list[str]], Done]
    exits: Callable[[str], int]


DEAD = "http://127.0.0.1:9"
SURROUNDINGS: dict[str, Surrounding] = {
    "LC_ALL=C": Surrounding(in_environment(LC_ALL="C"), fine),
    "ASCII": Surrounding(in_environment(LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING="ascii"), fine),
    "a terminal of 40 columns": Surrounding(on_a_terminal(40), fine),
    "a terminal of 4 columns": Surrounding(on_a_terminal(4), fine),
    "COLUMNS=0": Surrounding(in_environment(COLUMNS="0"), fine),
    "nobody who reads": Surrounding(nobody_reads, unread),
    "a closed stdin": Surrounding(closed("0"), fine),
    "a closed stdout": Surrounding(closed("1"), fine),
    "a closed stderr": Surrounding(closed("2"), fine),
    "all closed": Surrounding(closed("012"), fine),
    "a full disk": Surrounding(full("stdout"), unwritten),
    "a full disk for errors": Surrounding(full("stderr"), fine),
    "a dead proxy": Surrounding(in_environment(HTTP_PROXY=DEAD, ALL_PROXY=DEAD), unreachable),
    "a proxy of a kind that is none": Surrounding(in_environment(ALL_PROXY="socks://127.0.0.1:9"), unreachable),
    "a home that is missing": Surrounding(in_environment(HOME="/proc/nobody"), homeless),
    "a home that is a file": Surrounding(in_environment(HOME="/dev/null"), homeless),
    "no colours": Surrounding(in_environment(NO_COLOR="1", TERM="dumb"), fine),
    "an optimized interpreter": Surrounding(in_environment(PYTHONOPTIMIZE="2"), fine),
}


# argparse, the encodings of the streams and ssl are not the same in every Python: one surrounding of each kind, and the
# commands that differ most, are tried in all of them (./dev sdk world).
EVERYWHERE = {
    "an encoding": "ASCII",
    "a terminal": "a terminal of 40 columns",
    "no reader": "nobody who reads",
    "a closed stream": "a closed stdout",
    "a full disk": "a full disk",
    "a network": "a proxy of a kind that is none",
    "an option of Python": "an optimized interpreter",
}
EVERYWHERE_WORDS = ("run", "status", "--help")


@one_python
@pytest.mark.parametrize("name", SURROUNDINGS)
def test_no_surrounding_brings_a_traceback_out_of_any_command(world: World, name: str) -> None:
    surrounding = SURROUNDINGS[name]
    # Where every question is answered nothing lasts longer for it, and a busy machine has the time that it needs.
    check(patient(world) if surrounding.exits is fine else world, surrounding, WORDS)


@pytest.mark.parametrize("kind", EVERYWHERE)
def test_one_surrounding_of_each_kind_brings_none_on_any_python(world: World, kind: str) -> None:
    # Several Pythons run side by side.
    check(patient(world), SURROUNDINGS[EVERYWHERE[kind]], {command: WORDS[command] for command in EVERYWHERE_WORDS})


def patient(world: World) -> World:
    return dataclasses.replace(world, env=world.env | {f"{PREFIX}TIMEOUT": "20"})


def check(world: World, surrounding: Surrounding, commands: dict[str, list[str]]) -> None:
    wrong = []
    for command, words in commands.items():
        done = surrounding.run(world, words)
        if "Traceback" in done.out + done.err or "Exception ignored" in done.err:
            wrong.append((command, done))
        if done.code != surrounding.exits(command):
            wrong.append((command, done))
        if done.code in (69, 74, 78) and not done.err.startswith("coditect-license: "):
            wrong.append((command, done))
    assert wrong == []
    assert world.server.own_sessions() == []


@one_python
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="becoming nobody needs root and setpriv")
def test_a_user_who_is_nobody_gets_sentences_too(world: World) -> None:
    for command, words in WORDS.items():
        done = of_nobody(world, words)
        assert "Traceback" not in done.err and done.code == homeless(command), (command, done)
        assert command != "login" or "home directory" in done.err


SCARCE = {
    "a folder that is gone": ('folder=$(mktemp -d) && cd "$folder" && rmdir "$folder"', 0),
    "few descriptors": ("ulimit -n 6", 126),  # too few to start another program
    "a key log that cannot be written": ("export SSLKEYLOGFILE=/proc/nobody/keys", 0),
}


@one_python
@pytest.mark.parametrize("name", SCARCE)
def test_what_the_shell_before_it_left_scarce_costs_a_sentence_at_most(world: World, name: str) -> None:
    begin, code_of_run = SCARCE[name]
    shell = ["sh", "-c", f'{begin} && exec "$@"', "sh"]
    env = world.env | {
        "PYTHONPATH": str(SRC)
    }  # Python itself does not start in such a folder with a relative path there
    for command in ASKING:
        # No fork: that of a Python which waits would have more files and another folder.
        done = forked.run(WORDS[command], env, before=shell, alone=True)
        assert done.returncode == (code_of_run if command == "run" else 0), (command, done)
        assert "Traceback" not in done.stderr and (done.returncode == 0 or "Too many open files" in done.stderr)
    assert world.server.own_sessions() == []


@one_python
def test_an_inspected_network_is_named_by_every_command_that_asks(tmp_path: Path) -> None:
    with world_at(tmp_path / "home") as world:
        over_tls(world)
        for command in ASKING:
            done = call(world, WORDS[command])
            said = done.out + done.err
            assert done.code == unreachable(command) and "Traceback" not in said, (command, done)
            assert "Example Inspection" in said and "--ca-file" in said and "operating system" in said, (command, said)
            assert call(world, [WORDS[command][0], "--ca-file", "/no/such.pem", *WORDS[command][1:]]).code in (1, 78)
        made = str(world.home / "ca" / "ca.pem")
        assert call(world, ["login", "--no-keyring", "--ca-file", made]).code == 0
        # It is kept, so that the next command needs no option.
        for command in ASKING:
            done = call(world, WORDS[command])
            assert done.code == 0, (command, done)


@one_python
def test_a_pipe_to_head_ends_quietly(world: World) -> None:
    for words in (["--help"], ["status"], ["run", "--help"]):
        command = f'"{sys.executable}" -m coditect_license {" ".join(words)} | head -1'
        done = subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, env=world.env, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "") and done.stdout.count("\n") == 1


@one_python
def test_a_proxy_without_an_answer_is_waited_for_no_longer_than_the_timeout(world: World) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        proxy = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        done = call(world, ["doctor", "--timeout", "1"], env={"HTTP_PROXY": proxy})
        assert done.code == 1 and time.monotonic() - began < 20, done
        assert call(world, ["run", "--timeout", "1", "--", "true"], env={"HTTP_PROXY": proxy}).code == 69
