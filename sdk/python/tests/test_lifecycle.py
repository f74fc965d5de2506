"""How seats end with their process: exits, signals, forks, threads. In processes of their own, over a real port."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from .conftest import until
from .fake_server import KEY, ROOTS, Http

POSIX = pytest.mark.skipif(os.name != "posix", reason="the system has no such thing")

SLOW_STEP = re.compile(r"^Executing <.*> took [\d.]+ seconds\n", re.M)
"""In development mode asyncio says which of its steps took more than 0.1 s. On a busy machine each may."""
PRELUDE = """
import atexit, os, signal, sys, threading, time
from coditect_license import LicenseClient, SeatState
roots = {roots!r}
settings = dict(key={key!r}, product="studio", roots=roots, hardware_id="machine-0001", cache_dir={cache!r})
client = LicenseClient({url!r}, **settings)
"""


class Program:
    """A program that uses the client."""

    def __init__(self, http: Http, directory: Path, code: str) -> None:
        prelude = PRELUDE.format(url=http.url, key=KEY, roots=json.dumps(ROOTS), cache=str(directory))
        self.process = subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", "error", "-c", prelude + code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdin and self.process.stdout and self.process.stderr
        self.stdin, self.stdout, self.stderr = self.process.stdin, self.process.stdout, self.process.stderr
        self.watchdog = threading.Timer(120, self.kill)
        self.watchdog.start()

    def kill(self) -> None:
        """End it with its children: one that hangs would keep the output open, and the test with it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def line(self) -> str:
        return self.stdout.readline().strip()

    def end(self) -> tuple[int, str, str]:
        """Let it go on, and wait for its end: status, output, errors."""
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()
        out, err = self.stdout.read(), SLOW_STEP.sub("", self.stderr.read())
        status = self.process.wait()
        self.watchdog.cancel()
        self.stdout.close()
        self.stderr.close()
        return status, out, err


def run(http: Http, directory: Path, code: str) -> str:
    status, out, err = Program(http, directory, code).end()
    assert status == 0, err
    assert err == ""
    return out


def test_a_seat_left_open_is_given_back_at_exit(http: Http, tmp_path: Path) -> None:
    run(http, tmp_path, "seat = client.seat()")
    assert http.fake.verbs() == ["acquire", "release"]


def test_a_seat_is_given_back_when_the_program_fails(http: Http, tmp_path: Path) -> None:
    status, _, err = Program(http, tmp_path, "seat = client.seat()\n1/0").end()
    assert status == 1 and "ZeroDivisionError" in err
    assert http.fake.verbs() == ["acquire", "release"]


def test_sys_exit_in_a_with_block_is_the_programs_own(http: Http, tmp_path: Path) -> None:
    status, _, _ = Program(http, tmp_path, "with client.seat():\n    sys.exit(7)").end()
    assert status == 7 and http.fake.verbs() == ["acquire", "release"]


def test_an_exit_without_a_server_waits_once_and_not_for_each_seat(http: Http, tmp_path: Path) -> None:
    program = Program(
        http,
        tmp_path,
        "seats = [client.seat() for _ in range(10)]\nprint('held', flush=True)\nsys.stdin.read()\nprint(time.time())",
    )
    assert program.line() == "held"
    http.fake.lock.acquire()  # from now on it takes requests and answers none
    try:
        status, out, err = program.end()
        assert status == 0, err
        assert time.time() - float(out) < 20
    finally:
        http.fake.lock.release()


@POSIX
def test_a_signal_gives_the_seat_back_and_then_ends_the_program_as_it_would_have(http: Http, tmp_path: Path) -> None:
    program = Program(
        http, tmp_path, "seat = client.seat(release_on_signals=True)\nprint('held', flush=True)\ntime.sleep(60)"
    )
    assert program.line() == "held"
    program.process.send_signal(signal.SIGTERM)
    status, _, _ = program.end()
    assert status == -signal.SIGTERM and http.fake.verbs() == ["acquire", "release"]


@POSIX
def test_the_hosts_handler_is_called_after_ours_and_is_back_in_place_afterwards(http: Http, tmp_path: Path) -> None:
    code = """
def mine(number, frame): print("host", number, seat.state.value, flush=True)
signal.signal(signal.SIGTERM, mine)
seat = client.seat(release_on_signals=[signal.SIGTERM])
assert signal.getsignal(signal.SIGTERM) != mine
os.kill(os.getpid(), signal.SIGTERM)
seat.release()
assert signal.getsignal(signal.SIGTERM) == mine
"""
    assert run(http, tmp_path, code) == f"host {int(signal.SIGTERM)} gone\n"


@POSIX
def test_a_handler_the_host_sets_later_stays_and_an_ignored_signal_stays_ignored(http: Http, tmp_path: Path) -> None:
    code = """
signal.signal(signal.SIGHUP, signal.SIG_IGN)
seat = client.seat(release_on_signals=True)
assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
mine = lambda *a: None
signal.signal(signal.SIGTERM, mine)
seat.release()
assert signal.getsignal(signal.SIGTERM) is mine
"""
    run(http, tmp_path, code)


@POSIX
def test_two_seats_with_signals_released_in_any_order_still_hand_on_to_the_host(http: Http, tmp_path: Path) -> None:
    code = """
heard = []
signal.signal(signal.SIGTERM, lambda *a: heard.append(1))
first, second = client.seat(release_on_signals=True), client.seat(release_on_signals=True)
first.release()
os.kill(os.getpid(), signal.SIGTERM)
assert heard == [1] and second.state is SeatState.GONE
second.release()
os.kill(os.getpid(), signal.SIGTERM)
assert heard == [1, 1]
"""
    run(http, tmp_path, code)


@POSIX
def test_without_asking_no_handler_is_touched(http: Http, tmp_path: Path) -> None:
    code = """
before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
with client.seat():
    assert before == [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
"""
    run(http, tmp_path, code)


@POSIX
def test_ctrl_c_while_waiting_for_a_seat_ends_the_wait_and_leaves_no_seat_behind(http: Http, tmp_path: Path) -> None:
    http.fake.refuse["acquire"] = (409, "no_seats_available", {"seats_total": 1, "seats_used": 1, "next_seat_in": 1})
    code = "client.seat(wait=60, on_wait=lambda *a: print('waiting', flush=True))"
    program = Program(http, tmp_path, code)
    assert program.line() == "waiting"
    program.process.send_signal(signal.SIGINT)
    status, _, err = program.end()
    assert status == -signal.SIGINT and "KeyboardInterrupt" in err


@POSIX
def test_a_child_neither_beats_nor_releases_its_parents_seat_and_can_have_its_own(http: Http, tmp_path: Path) -> None:
    http.fake.lease, http.fake.heartbeat_in = 5, 1
    code = """
seat = client.seat()
pid = os.fork()
if pid == 0:
    assert threading.active_count() == 1
    assert seat.state is SeatState.GONE and seat.problem.reason == "forked", seat
    assert "parent" in str(seat.problem)
    assert not seat.has("cloud") and seat.lease_left == 0
    seat.release()
    seat.__exit__(None, None, None)
    with client.seat() as own:
        assert own.state is SeatState.ONLINE and own.session_id != seat.session_id
    sys.exit(0)  # runs atexit too
assert os.waitpid(pid, 0)[1] == 0
jti = seat.claims.jti
deadline = time.monotonic() + 60
while seat.claims.jti == jti: assert time.monotonic() < deadline; time.sleep(0.01)  # the parent's thread goes on
assert seat.state is SeatState.ONLINE
seat.release()
"""
    run(http, tmp_path, code)
    acquires, released = http.fake.bodies("acquire"), http.fake.released
    assert len({body["attempt"] for body in acquires}) == 2
    assert released == ["handle-1", "handle-0"], "the child's own first, the parent's by the parent"
    assert {bearer for verb, _, bearer in http.fake.calls if verb == "heartbeat"} <= {"handle-0", "handle-1"}


@POSIX
def test_a_fork_while_the_seats_thread_holds_its_lock_blocks_no_child(http: Http, tmp_path: Path) -> None:
    code = """
seat = client.seat()
held, go = threading.Event(), threading.Event()
def hold():
    with seat._core.lock:
        held.set(); go.wait()
threading.Thread(target=hold, daemon=True).start()
held.wait()
pid = os.fork()
if pid == 0:
    assert seat.state is SeatState.GONE
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
go.set()
"""
    status, _, err = Program(http, tmp_path, code).end()
    assert status == 0, err


def test_a_subprocess_leaves_the_seat_alone(http: Http, tmp_path: Path) -> None:
    code = """
import subprocess
with client.seat() as seat:
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    assert seat.state is SeatState.ONLINE
"""
    run(http, tmp_path, code)
    assert http.fake.verbs() == ["acquire", "release"]


@POSIX
def test_a_seat_costs_one_thread_that_sleeps(http: Http, tmp_path: Path) -> None:
    """What wakes up costs CPU: how much, depends on the machine, but not how often."""
    code = """
import resource
def woken():
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
threads = threading.active_count()
seat = client.seat()
deadline, quiet = time.monotonic() + 60, False
while not quiet:  # what a start leaves to others is done soon
    assert time.monotonic() < deadline
    before = woken()
    time.sleep(0.5)
    quiet = woken() - before <= 2
assert threading.active_count() == threads + 1, threading.enumerate()
used, before = time.process_time(), woken()
time.sleep(5)
print(time.process_time() - used, woken() - before, threading.active_count() - threads)
seat.release()
deadline = time.monotonic() + 60
while threading.active_count() > threads: assert time.monotonic() < deadline; time.sleep(0.01)
"""
    used, woken, threads = run(http, tmp_path, code).split()
    assert threads == "1"
    assert int(woken) <= 5, f"woken {woken} times in 5 s of holding a seat, the program's own sleep included"
    assert float(used) < 0.25, "and it does not go on without a pause"


def test_seats_of_many_threads_are_their_own(http: Http, tmp_path: Path) -> None:
    code = """
from concurrent.futures import ThreadPoolExecutor
def use(_):
    with client.seat() as seat:
        assert seat.state is SeatState.ONLINE
        return seat.session_id
with ThreadPoolExecutor(16) as pool:
    assert len(set(pool.map(use, range(64)))) == 64
"""
    run(http, tmp_path, code)
    assert len(set(http.fake.released)) == 64


def test_an_asyncio_seat_left_open_is_given_back_at_exit(http: Http, tmp_path: Path) -> None:
    code = """
import asyncio
from coditect_license import AsyncLicenseClient
async def main():
    c = AsyncLicenseClient(client._context.server, key=settings["key"], product="studio", roots=roots, offline=False)
    global seat
    seat = await c.seat()
    await c._http.close()
asyncio.run(main())
"""
    status, _, err = Program(http, tmp_path, code).end()  # not run(): in dev mode asyncio tells of slow imports
    assert status == 0, err
    assert http.fake.verbs() == ["acquire", "release"]


def test_released_by_its_own_callback_a_seat_goes(http: Http, tmp_path: Path) -> None:
    http.fake.lease, http.fake.heartbeat_in = 5, 1
    code = """
def on_event(event):
    print(event.kind, flush=True)
    seat.release()
seat = client.seat(on_event=on_event)
print("held", flush=True)
sys.stdin.readline()
deadline = time.monotonic() + 60
while seat.state is not SeatState.GONE: assert time.monotonic() < deadline; time.sleep(0.01)
"""
    program = Program(http, tmp_path, code)
    assert program.line() == "held"
    http.fake.refuse["heartbeat"] = (403, "license_suspended", {})
    until(lambda: "release" in http.fake.verbs())
    status, out, err = program.end()
    assert status == 0, err
    assert out.splitlines()[0] == "problem"


@POSIX
def test_a_disk_that_takes_nothing_costs_a_program_only_the_offline_start(http: Http, tmp_path: Path) -> None:
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # every write to a file fails now, as on a full disk
with client.seat() as seat:
    assert seat.state is SeatState.ONLINE and seat.problem is None
    print(client.store_problem)
"""
    status, out, err = Program(http, tmp_path, code).end()
    assert status == 0, err
    assert "cannot be kept" in out and list(tmp_path.iterdir()) == [], "and nothing half-written is left"


@POSIX
def test_a_home_that_is_none_costs_a_program_only_the_offline_start(http: Http, tmp_path: Path) -> None:
    code = """
for name in [n for n in os.environ if n.startswith("XDG_")]: del os.environ[name]
os.environ["HOME"] = "/dev/null"
homeless = LicenseClient(client._context.server, key=client._context.key.text, product="studio", roots=roots)
with homeless.seat() as seat:
    assert seat.state is SeatState.ONLINE and seat.problem is None
    print(homeless.store_problem)
"""
    status, out, err = Program(http, tmp_path, code).end()
    assert status == 0, err
    assert "cannot be" in out and "/dev/null" in out
