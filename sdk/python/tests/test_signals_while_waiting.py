"""Signals that arrive while a program waits for a seat, and that its main thread cannot notice at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .cli_world import World, world_at

SOON_SECONDS = 5.0
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
    client.seat(wait=60)
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
            while "acquire" not in world.server.verbs():
                assert process.poll() is None
                time.sleep(0.01)
            time.sleep(0.3)  # the refusal has come, and the program waits
            mark.touch()
            began = time.monotonic()
            _, told = process.communicate(timeout=30)
            return process.returncode, told, time.monotonic() - began
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
    assert (code, told) == (128 + signal.SIGTERM, "")
    assert seconds < SOON_SECONDS
