"""``release_on_signals`` where a signal interrupts nothing, and what stays the host's own."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from .conftest import until
from .fake_server import Http
from .test_given_back import kept
from .test_lifecycle import Program, run

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux shows what threads do")

BLOCKED = {
    "a lock of multiprocessing": "from multiprocessing import Lock\nlock = Lock()\nlock.acquire()\nwait = lock.acquire",
    "a lock": "lock = threading.Lock()\nlock.acquire()\nwait = lock.acquire",
    "a lock, with more files than select knows": (
        "import resource\n"
        "most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))\n"
        "files = [os.dup(0) for _ in range(1100)]\n"
        "lock = threading.Lock()\nlock.acquire()\nwait = lock.acquire"
    ),
    "a pipe": "pipe = os.pipe()\nwait = lambda: os.read(pipe[0], 1)",
    "a child": "import subprocess\nchild = subprocess.Popen(['cat'], stdin=subprocess.PIPE)\nwait = child.wait",
}
SEND_ASIDE = """
def state_of_main():
    with open(f"/proc/self/task/{os.getpid()}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]

def send(number):
    # Only once the main thread sleeps in its system call, which this does not interrupt.
    while state_of_main() != "S":
        time.sleep(0)
    signal.pthread_kill(threading.get_ident(), number)
"""
"""A signal that another thread gets: like one that comes just before a system call begins, it does not interrupt it."""


@pytest.mark.parametrize("blocked", BLOCKED)
def test_a_signal_that_interrupts_nothing_gives_the_seat_back(http: Http, tmp_path: Path, blocked: str) -> None:
    code = f"""
{SEND_ASIDE}
{BLOCKED[blocked]}
seat = client.seat(release_on_signals=True)
began = time.monotonic()
print("held", flush=True)
threading.Thread(target=send, args=(signal.SIGTERM,), daemon=True).start()
wait()
print("not ended by the signal", time.monotonic() - began, flush=True)
"""
    program = Program(http, tmp_path, code)
    program.watchdog.cancel()
    assert program.line() == "held"
    try:
        assert program.process.wait(60) == -15
    finally:
        program.process.kill()
    _, out, err = program.end()
    assert (out, err) == ("", "") and http.fake.verbs() == ["acquire", "release"]


def test_a_handler_of_the_host_is_called_once_however_long_it_takes(http: Http, tmp_path: Path) -> None:
    """One that ours hands on to, also when a signal is sent again, and one that was put in the place of ours later."""
    code = f"""
{SEND_ASIDE}
calls = []
def mine(number, frame):
    calls.append(number)
    time.sleep(1.2)  # longer than a signal may stay unnoticed
signal.signal(signal.SIGTERM, mine)
seat = client.seat(release_on_signals=[signal.SIGTERM, signal.SIGHUP])
signal.signal(signal.SIGHUP, mine)
os.kill(os.getpid(), signal.SIGTERM)
os.kill(os.getpid(), signal.SIGHUP)
time.sleep(1.2)
assert sorted(calls) == sorted([signal.SIGTERM, signal.SIGHUP]), calls
sender = threading.Thread(target=send, args=(signal.SIGTERM,))
sender.start()
sender.join()
over = time.monotonic() + 1.5
while time.monotonic() < over:
    pass
assert calls.count(signal.SIGTERM) == 2, calls
"""
    run(http, tmp_path, code)


def test_what_it_takes_for_that_is_gone_with_the_seat(http: Http, tmp_path: Path) -> None:
    code = """
def surroundings():
    return len(os.listdir("/proc/self/fd")), signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1)

with client.seat():
    pass
before = surroundings()
for _ in range(3):
    first = client.seat(release_on_signals=True)
    second = client.seat(release_on_signals=[signal.SIGUSR1])
    first.release()
    fd = signal.set_wakeup_fd(-1)
    assert fd != -1, "the other seat needs it"
    signal.set_wakeup_fd(fd)
    second.release()
    over = time.monotonic() + 60
    while surroundings() != before:
        assert time.monotonic() < over, (before, surroundings())
        time.sleep(0.01)
"""
    run(http, tmp_path, code)


def test_the_wakeup_file_of_a_host_stays_its_own(http: Http, tmp_path: Path) -> None:
    code = """
import asyncio, socket
here, there = socket.socketpair()
there.setblocking(False)
signal.set_wakeup_fd(there.fileno())
with client.seat(release_on_signals=True):
    assert signal.set_wakeup_fd(there.fileno()) == there.fileno()
assert signal.set_wakeup_fd(-1) == there.fileno()

async def loop(seat):
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, told.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await told.wait()

seat = client.seat(release_on_signals=True)
asyncio.run(loop(seat))
seat.release()
assert signal.set_wakeup_fd(-1) == -1
here.close()
there.close()
"""
    run(http, tmp_path, code)


def test_a_forked_child_has_the_handlers_that_its_parent_had_before(http: Http, tmp_path: Path) -> None:
    """A pool ends its workers by SIGTERM and waits for them. They end as they would without a seat of their parent."""
    code = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
mine = lambda *_: None
signal.signal(signal.SIGHUP, mine)
seat = client.seat(release_on_signals=True)
child = os.fork()
if child == 0:
    had = (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP), signal.set_wakeup_fd(-1))
    own = client.seat(release_on_signals=True)
    os._exit(0 if had == (signal.SIG_DFL, mine, -1) else 1)
assert os.waitpid(child, 0)[1] == 0
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
"""
    status, _, err = Program(http, tmp_path, code).end()
    assert status == -15 and err == "", err


def test_a_childs_signal_is_none_of_its_parents(http: Http, tmp_path: Path) -> None:
    """Also where the handlers are still there, since another thread than the main one released the seat."""
    code = """
import gc, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
seat = client.seat(release_on_signals=True)
releasing = threading.Thread(target=seat.release)
releasing.start()
releasing.join()
del seat, releasing, client
gc.collect()
assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
child = os.fork()
if child == 0:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
    os._exit(1)
assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGTERM
time.sleep(1.2)  # longer than a signal may stay unnoticed
"""
    run(http, tmp_path, code)


EVERY = 15
"""A signal comes at each so many lines of this package that the main thread runs."""
AT_EVERY_LINE = """
import os, signal, sys, time, warnings
from coditect_license import LicenseClient
from coditect_license.testing import InMemoryServer
warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
server = InMemoryServer(seats=1000, processes_per_seat=None)
server.listen()
settings = {name: value for name, value in server.settings().items() if name != "clock"}

def live(last):
    lines = 0
    def trace(frame, event, arg):
        nonlocal lines
        lines += 1
        if lines == last:
            sys.settrace(None)
            os.kill(os.getpid(), signal.SIGTERM)
        return trace
    ours = os.path.dirname(sys.modules["coditect_license"].__file__)
    client = LicenseClient(server.url, cache_dir=sys.argv[1], **settings)
    sys.settrace(lambda frame, *_: trace if frame.f_code.co_filename.startswith(ours) else None)
    client.seat(release_on_signals=True).release()
    sys.settrace(None)
    return lines

def fork(last):
    child = os.fork()
    if child:
        return child
    try:
        live(last)
    finally:
        os._exit(0)

total = live(-1)
left = set()
for last in range(1, total, int(sys.argv[2])):
    left.add(fork(last))
    if len(left) >= 8:
        pid, status = os.wait()
        left.discard(pid)
        print("status", status)
while left:
    pid, status = os.wait()
    left.discard(pid)
    print("status", status)
print("lines", total, "left", len(server.own_sessions()), flush=True)
os._exit(0)
"""


def test_a_signal_leaves_no_seat_taken_wherever_it_comes(tmp_path: Path) -> None:
    """From before the server is asked to after the seat was given back."""
    command = [sys.executable, "-c", AT_EVERY_LINE, str(tmp_path), str(EVERY)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    *statuses, last = done.stdout.splitlines()
    _, lines, _, left = last.split()
    assert len(statuses) > int(lines) // EVERY - 2 > 20, done
    assert left == "0" and statuses.count("status 15") > len(statuses) * 0.9, done


GOES_ON = """
came = []
signal.signal(signal.SIGTERM, lambda *_: came.append("handled"))
seat = client.seat(release_on_signals=True)
print(*came, seat.state.value)
with client.seat() as again:
    print(again.state.value)
"""


def test_a_signal_during_a_start_whose_handler_of_the_host_returns_leaves_a_seat_that_is_gone(
    http: Http, tmp_path: Path
) -> None:
    arrived, answer, handle = threading.Event(), threading.Event(), http.fake.handle

    def handle_late(request: httpx.Request) -> httpx.Response:
        arrived.set()
        assert answer.wait(60)
        return handle(request)

    http.fake.handle = handle_late  # type: ignore[method-assign]
    program = Program(http, tmp_path, GOES_ON)
    assert arrived.wait(60)
    program.process.send_signal(signal.SIGTERM)
    # The handler has begun once the signal is no longer pending; it waits for the answer then.
    until(lambda: not pending(program.process.pid))
    answer.set()
    status, out, err = program.end()
    assert (status, out.split()) == (0, ["handled", "gone", "online"]), err
    assert len(http.fake.sessions) == 2 and not kept(http.fake)


def pending(pid: int) -> bool:
    shown = Path(f"/proc/{pid}/status").read_text("ascii")
    masks = [int(line.split()[1], 16) for line in shown.splitlines() if line.startswith(("SigPnd:", "ShdPnd:"))]
    return any(mask >> (signal.SIGTERM - 1) & 1 for mask in masks)
