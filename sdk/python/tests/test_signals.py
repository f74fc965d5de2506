"""Signals: those that the main thread of a waiting program cannot notice at once, and those of a terminal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .cli_world import World, world_at

SOON_SECONDS = 25.0
"""Much less than any wait here, and much more than a busy machine needs."""

TO_ANOTHER_THREAD = """
def send():
    signal.pthread_kill(threading.get_ident(), number)
"""
"""The system call in which the main thread waits is not interrupted: the handler runs when that call is over."""

INSIDE_A_FINALIZER = """
class Forgotten:
    def __del__(self):
        os.kill(os.getpid(), number)
        for _ in range(1000):  # the handler runs in here
            pass

def send():
    os.kill(os.getpid(), signal.SIGALRM)

signal.signal(signal.SIGALRM, lambda *_: Forgotten() and None)
"""
"""Python drops what is raised in a finalizer, and what its handler of a signal raises meanwhile."""

COMMAND_LINE = """
from coditect_license._cli import main
sys.exit(main(sys.argv[3:]))
"""

PROGRAM = """
from coditect_license import LicenseClient
signal.signal(number, lambda number, _: sys.exit(128 + number))
with LicenseClient() as client:
    client.seat(wait=60, on_wait=lambda *_: print("waits", file=sys.stderr, flush=True))
"""

SENDER = """
import os, pathlib, signal, sys, threading, time
number, mark = int(sys.argv[1]), pathlib.Path(sys.argv[2])
{send}
def send_at_mark():
    while not mark.exists():
        time.sleep(0.01)
    send()

threading.Thread(target=send_at_mark, daemon=True).start()
{program}
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_at(tmp_path / "home", seats=1) as world:
        world.server.occupy_seats()
        yield world


def wait_and_send(world: World, number: int, send: str, program: str, *words: str) -> tuple[int, str, float]:
    """The exit code and stderr of a program that waits for a seat, and the seconds from the signal until its end."""
    mark = world.home / "mark"
    text = SENDER.format(send=send, program=program)
    with subprocess.Popen(
        [sys.executable, "-c", text, str(int(number)), str(mark), *words],
        env=world.env,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            waits = process.stderr.readline()  # told of the refusal, for whose end the main thread waits
            mark.touch()
            began = time.monotonic()
            _, told = process.communicate(timeout=55)
            return process.returncode, waits + told, time.monotonic() - began
        finally:
            process.kill()


@pytest.mark.parametrize("send", [TO_ANOTHER_THREAD, INSIDE_A_FINALIZER], ids=["another thread", "a finalizer"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_that_waits_for_a_seat_ends_by_every_signal(world: World, number: signal.Signals, send: str) -> None:
    code, told, seconds = wait_and_send(world, number, send, COMMAND_LINE, "run", "--wait", "60", "--", "true")
    assert code == 128 + number, told
    assert told.startswith("coditect-license: no seat is free") and "Exception" not in told, told
    assert seconds < SOON_SECONDS


def test_a_program_that_waits_for_a_seat_runs_its_handlers_soon(world: World) -> None:
    code, told, seconds = wait_and_send(world, signal.SIGTERM, TO_ANOTHER_THREAD, PROGRAM)
    assert code == 128 + signal.SIGTERM and set(told.splitlines()) == {"waits"}, told
    assert seconds < SOON_SECONDS


PASSED_ON_LATE = """
import sys, time
from coditect_license._cli import main, run

on_signal = run.ChildCommand._on_signal
def late(self, number, frame):
    time.sleep(0.3)
    on_signal(self, number, frame)

run.ChildCommand._on_signal = late
sys.exit(main(sys.argv[1:]))
"""
"""Else the second signal may come before the first one was handled, and both would be one."""


def test_ctrl_c_reaches_the_command_once_wherever_its_input_comes_from(tmp_path: Path) -> None:
    """A terminal sends SIGINT to the command itself. Many programs take a second one for the wish to end at once."""
    counter = tmp_path / "counter.py"
    counter.write_text(
        "import signal, sys, time\n"
        "seen = []\n"
        "signal.signal(signal.SIGINT, lambda *_: seen.append(1))\n"
        "print('ready', flush=True)\n"
        "while not seen: time.sleep(0.01)\n"
        "time.sleep(1)\n"
        "sys.exit(40 + len(seen))\n"
    )
    with world_at(tmp_path / "home") as world:
        run = [sys.executable, "-c", PASSED_ON_LATE, "run", "--", sys.executable, str(counter)]
        child, terminal = pty.fork()
        if child == 0:
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.execve(sys.executable, run, world.env)
        try:
            shown = b""
            while b"ready" not in shown:
                shown += os.read(terminal, 1024)
            os.write(terminal, b"\x03")
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 41, shown
        finally:
            os.close(terminal)
