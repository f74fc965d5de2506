"""``status`` and ``doctor`` say what ``run`` says; a home that hangs; what a machine is known by."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from coditect_license._cli.machine import SOURCES

from .cli_world import World, world_at


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_at(tmp_path / "home", seats=1) as world:
        yield world


def kicked(world: World) -> None:
    """The only seat waits, since whoever was kicked may believe in it until the lease is over."""
    world.server.client(hardware_id="machine-0002", clock=None).acquire()
    world.server.kick()


def full(world: World) -> None:
    world.server.occupy_seats()


@pytest.mark.parametrize(("plant", "used"), [(kicked, 0), (full, 1)], ids=["kicked", "full"])
def test_status_and_doctor_say_of_the_seats_what_run_says(
    world: World, plant: Callable[[World], None], used: int
) -> None:
    plant(world)
    ran = world.run("run", "--", "true")
    status, doctor = world.answer("status"), world.answer("doctor")
    seats = next(check["detail"] for check in doctor["checks"] if check["check"] == "seats")
    assert (ran.returncode, status["exit"], doctor["run_exits"]) == (75, 75, 75)
    for told in (ran.stderr, status["problem"], seats):
        assert f"{used} of 1 in use" in told or "only seat is in use" in told, told
        # Closing a program frees a seat that is used, and none that waits.
        waits = "waiting" in told or "in nobody's use" in told
        assert waits is (used == 0), told
        if waits:
            assert re.search(r"\d+ (s|min)", told), told
    assert status["retry_in"] is not None and status["seats_used"] == used


def test_a_full_seat_of_a_machine_is_told_with_its_time(world: World) -> None:
    world.server.pool.processes_per_seat = 1
    kept = world.server.client(hardware_id="machine-0001", clock=None).acquire()
    status = world.answer("status")
    assert status["code"] == "too_many_processes" and status["retry_in"] > 0, kept
    assert re.search(r"again in \d+ (s|min)", status["problem"]), status


def test_waiting_for_a_place_on_a_full_seat_is_told_too(world: World) -> None:
    world.server.pool.processes_per_seat = 1
    client = world.server.client(hardware_id="machine-0001", clock=None)
    kept = client.acquire()
    command = [sys.executable, "-m", "coditect_license", "run", "--wait", "1m", "--", "echo", "done"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=world.env, start_new_session=True
    ) as process:
        assert process.stderr is not None and process.stdout is not None
        assert "process" in process.stderr.readline()
        client.release(kept)
        assert process.stdout.read() == "done\n" and process.wait(30) == 0


HANGING = [
    ["login"],
    ["logout"],
    ["status"],
    ["doctor"],
    ["fingerprint"],
    ["run", "--", "echo", "started"],
]


WAITED_FOR_BRIEFLY = """
import sys
from coditect_license._cli import disk, main, profile

def in_time(seconds, what, work):
    return disk.in_time(1.0 if what.startswith("The settings in ") else seconds, what, work)

profile.in_time = in_time
sys.exit(main(sys.argv[1:]))
"""
"""The command line, which waits for the disk of its settings for a second, and for all else as long as it is told."""


@pytest.fixture
def hanging(world: World) -> World:
    """The home's settings are a file that never ends: what a hung disk is to a program that reads it."""
    directory = world.home / ".config" / "coditect-license"
    directory.mkdir(parents=True)
    os.mkfifo(directory / "profile.json")
    world.env.pop("XDG_CONFIG_HOME", None)
    return world


@pytest.mark.parametrize("words", HANGING, ids=lambda words: words[0])
@pytest.mark.parametrize("given", [True, False], ids=["all in the environment", "nothing given"])
def test_a_home_that_hangs_stops_no_command(hanging: World, words: list[str], given: bool) -> None:
    if not given:
        hanging.set(server=None, product=None, key=None)
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", WAITED_FOR_BRIEFLY, *words],
        env=hanging.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert time.monotonic() - began < 25 and "Traceback" not in done.stderr
    told = done.stdout + done.stderr
    if given or words[0] == "logout":
        assert done.returncode == 0, done  # login replaces the file, and logout removes it
    elif words[0] == "login":
        assert done.returncode == 78 and "--server" in told, done
    else:
        assert done.returncode in (1, 78) and "profile.json" in told and "hangs" in told, done


def test_what_a_machine_is_known_by_is_a_sentence(world: World) -> None:
    given = world.answer("fingerprint")
    assert given["source"] == "given"
    machine = next(check for check in world.answer("doctor")["checks"] if check["check"] == "machine")
    assert (machine["result"], machine["detail"][:30]) == ("ok", "known by the hardware id that ")
    world.set(hardware_id=None)
    found = world.answer("fingerprint")
    told = world.run("fingerprint", "--text").stdout
    assert SOURCES[found["source"]] in told and found["hardware_id"] in told
    detail = next(check["detail"] for check in world.answer("doctor")["checks"] if check["check"] == "machine")
    assert SOURCES[found["source"]] in detail
    assert all(" " in words or words == "nothing" for words in SOURCES.values())


def test_a_seat_that_only_the_real_acquire_is_refused_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    acquire = world.server._acquire

    def taken_just_before(body: dict[str, Any], bearer: str | None) -> httpx.Response:
        if body["client"]["product"] == "studio":
            world.server._occupy("machine-0002", world.server.now())  # its lock is held already
        return acquire(body, bearer)

    monkeypatch.setattr(world.server, "_acquire", taken_just_before)
    told = world.answer("doctor", "--seat")
    results = {check["check"]: check["result"] for check in told["checks"]}
    assert (results["seats"], results["a seat"]) == ("ok", "failed"), told
    assert (told["exit"], told["run_exits"]) == (1, 75), told
