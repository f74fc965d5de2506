"""Signals that reach ``run`` while its main thread cannot notice them: the command gets them all the same."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .cli_world import World, world_at

UNNOTICED = """
import os, pathlib, signal, sys, threading, time
from coditect_license._cli import main

number, mark = int(sys.argv[1]), pathlib.Path(sys.argv[2])

def raise_it():
    while not mark.exists():
        time.sleep(0.01)
    for _ in range(int(sys.argv[3])):
        signal.pthread_kill(threading.get_ident(), number)

if int(sys.argv[4]):
    signal.signal(int(sys.argv[4]), signal.SIG_IGN)
threading.Thread(target=raise_it, daemon=True).start()
sys.exit(main(sys.argv[5:]))
"""
"""``run`` in a process of which another thread receives the signal.

Python runs handlers in the main thread alone, and the system call in which that thread waits is not interrupted. It is
the same for a signal that arrives after Python looked for one and before the system call begins: nothing but luck
decides when that happens, so here it happens always.
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_at(tmp_path / "home") as world:
        yield world


def run_unnoticed(world: World, number: int, times: int, script: str, ignored: int = 0) -> tuple[int, str]:
    """The exit code and stderr of ``run`` around a script. The signal comes ``times`` times once it got to MARK."""
    mark = world.home / "mark"
    run = ["run", "--", "sh", "-c", script.replace("MARK", f": > '{mark}'")]

    with subprocess.Popen(
        [sys.executable, "-c", UNNOTICED, str(int(number)), str(mark), str(times), str(int(ignored)), *run],
        env=world.env,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            _, told = process.communicate(timeout=30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # a script that got no signal goes on for ever
    return process.returncode, told


@pytest.mark.parametrize("ignored", [0, signal.SIGCHLD], ids=["", "SIGCHLD ignored"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_that_interrupts_no_system_call_reaches_the_command(
    world: World, number: signal.Signals, ignored: int
) -> None:
    script = f"trap 'exit 40' {number.name[3:]}; MARK; while :; do sleep 0.05; done"
    assert run_unnoticed(world, number, 1, script, ignored=ignored) == (40, "")
    assert world.server.verbs()[-1] == "release"


def test_a_crowd_of_signals_does_not_hide_the_end_of_the_command(world: World) -> None:
    script = "trap : USR1; MARK; sleep 0.5; sleep 0.5; exit 41"
    assert run_unnoticed(world, signal.SIGUSR1, 50_000, script) == (41, "")
