"""``release_on_signals`` where a signal interrupts nothing, and what stays the host's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from .fake_server import Http
from .test_lifecycle import Program, run

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux shows what threads do")

BLOCKED = {
    "a lock of multiprocessing": "from multiprocessing import Lock\nlock = Lock()\nlock.acquire()\nwait = lock.acquire",
    "a lock": "lock = threading.Lock()\nlock.acquire()\nwait = lock.acquire",
    "a pipe": "pipe = os.pipe()\nwait = lambda: os.read(pipe[0], 1)",
    "a child": "import subprocess\nchild = subprocess.Popen(['sleep', '30'])\nwait = child.wait",
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
        assert program.process.wait(10) == -15
    finally:
        program.process.kill()
    _, out, err = program.end()
    assert (out, err) == ("", "") and http.fake.verbs() == ["acquire", "release"]


def test_a_handler_of_the_host_is_called_once_however_long_it_takes(http: Http, tmp_path: Path) -> None:
    """Ours in front of it, another one put in its place later, and one that a wakeup file of the host belongs to."""
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
    over = time.monotonic() + 10
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
