"""Forks beside threads that ask for a seat, or that import what the client needs."""

from __future__ import annotations

import _thread
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from coditect_license import LicenseClient, _http

from .fake_server import KEY, ROOTS, Http
from .test_given_back import kept
from .test_lifecycle import POSIX, Program, run


@POSIX
def test_a_fork_while_a_request_is_under_way_costs_no_seat(http: Http, tmp_path: Path) -> None:
    code = """
print("asking", flush=True)
threading.Thread(target=lambda: globals().update(seat=client.seat()), daemon=True).start()
lease = []
threading.Thread(target=lambda: lease.append(client.acquire()), daemon=True).start()
sys.stdin.readline()
pid = os.fork()
if pid == 0:
    with client.seat() as own:
        assert own.state is SeatState.ONLINE
    sys.exit(0)
print("forked", flush=True)
assert os.waitpid(pid, 0)[1] == 0
while not lease or "seat" not in globals(): time.sleep(0.01)
client.release(lease[0])
seat.release()
"""
    program = Program(http, tmp_path, code)
    assert program.line() == "asking"
    with http.fake.lock:
        program.stdin.write("fork\n")
        program.stdin.flush()
        assert program.line() == "forked"
    status, _, err = program.end()
    assert status == 0, err
    assert http.fake.released and len(http.fake.sessions) == 3


@POSIX
def test_a_fork_while_another_thread_imports_what_the_client_needs_leaves_the_child_whole(
    http: Http, tmp_path: Path
) -> None:
    code = """
import importlib.abc
from coditect_license import _process as process
begun, forking = threading.Event(), threading.Event()
class Held(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "httpx._models":
            begun.set()
            assert forking.wait(60)
sys.meta_path.insert(0, Held())
process.register_for_forks(client)  # hooks that were registered later run before
os.register_at_fork(before=forking.set)
threading.Thread(target=client.acquire, daemon=True).start()
assert begun.wait(60)
pid = os.fork()
if pid == 0:
    with client.seat() as own:
        assert own.state is SeatState.ONLINE
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""
    run(http, tmp_path, code)


@POSIX
def test_a_fork_within_an_import_that_the_client_needs_waits_for_nothing(http: Http, tmp_path: Path) -> None:
    code = """
import importlib.abc
from coditect_license import _process as process
took = []
class Forking(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "httpx._models" and not took:
            began = time.monotonic()
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
            took.append(time.monotonic() - began)
sys.meta_path.insert(0, Forking())
process.FORK_SECONDS = 60.0
process.register_for_forks(client)
with client.seat() as seat:
    assert seat.state is SeatState.ONLINE
assert len(took) == 1 and took[0] < 20, took
"""
    run(http, tmp_path, code)


def test_a_daemon_thread_gets_no_seat_while_the_program_ends(http: Http, tmp_path: Path) -> None:
    code = """
from coditect_license import ServerUnreachable
refused = []
def ask(call):
    try:
        call()
    except ServerUnreachable as error:
        assert "ending" in str(error)
        refused.append(call)
def outlive():
    for call in (client.seat, client.acquire):
        thread = threading.Thread(target=ask, args=[call], daemon=True)
        thread.start()
        thread.join(20)
    assert len(refused) == 2
    with client.seat() as late:  # the program's own end may still ask
        assert late.state is SeatState.ONLINE
    print("outlived", flush=True)
seat = client.seat()
from coditect_license import _process as process
process.release_at_exit()
outlive()
"""
    assert run(http, tmp_path, code).strip() == "outlived"
    assert len(http.fake.sessions) == 2 and not kept(http.fake)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux shows the threads of a process")
def test_a_fork_waits_for_a_thread_that_is_about_to_end(http: Http, tmp_path: Path) -> None:
    """OpenSSL holds a lock while it drops what it kept for a thread, which is after the thread was joined."""
    code = """
import ctypes, warnings
from coditect_license import _forks as forks, _process as process
from coditect_license._aside import start_thread
forks.END_SECONDS = 20.0
warnings.simplefilter("ignore", DeprecationWarning)
libc, key, ended = ctypes.CDLL(None), ctypes.c_uint(), []

@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def end(_):  # the system calls it as the thread ends, as it calls OpenSSL's
    time.sleep(0.3)
    ended.append(True)

assert libc.pthread_key_create(ctypes.byref(key), end) == 0
process.register_for_forks(client)
process._import_all(process._late_imports())
thread = start_thread(lambda: libc.pthread_setspecific(key, ctypes.c_void_p(1)), "a-short-one")
thread.join()
pid = os.fork()
if pid == 0:
    os._exit(0 if ended else 1)
assert os.waitpid(pid, 0)[1] == 0
"""
    run(http, tmp_path, code)


ONE_LIFE = """
import asyncio
from coditect_license import LicenseError, _process as process
process._import_all(process._late_imports())
imported = set(sys.modules)
unreachable = ["https://localhost:1", "http://127.0.0.1:1", "https://nowhere.invalid"]
settings["timeout"] = 5.0

def live():
    with client.seat() as seat:
        seat.metadata
        seat.retry_now()
    lease = client.acquire()
    client.heartbeat(lease)
    client.release(lease)
    client.validate()
    for server in unreachable:
        try:
            LicenseClient(server, **settings).acquire()
        except LicenseError:
            pass

async def live_in_a_loop():
    async with AsyncLicenseClient(client._context.server, **settings) as asking:
        async with asking.seat():
            await asking.validate()
    for server in unreachable:
        try:
            await AsyncLicenseClient(server, **settings).acquire()
        except LicenseError:
            pass
"""


@POSIX
@pytest.mark.parametrize(
    ("used", "life"), [("LicenseClient", "live()"), ("AsyncLicenseClient", "asyncio.run(live_in_a_loop())")]
)
def test_nothing_is_imported_later_than_a_fork(http: Http, tmp_path: Path, used: str, life: str) -> None:
    """A child that is forked while another thread imports a module waits for that module for ever."""
    code = f"from coditect_license import {used}\n{ONE_LIFE}\n{life}\nprint(sorted(set(sys.modules) - imported))"
    assert run(http, tmp_path, code) == "[]\n"


LOCKED = """
import types
from cryptography.hazmat.primitives.asymmetric import ed25519
from coditect_license import _process as process, _roots, _tls as tls
lock, begun, go_on = threading.Lock(), threading.Event(), threading.Event()
parent = os.getpid()
def locked(inner):  # with a lock of the whole process, which a child does not renew
    def call(*args):
        with lock:
            begun.set()
            assert os.getpid() != parent or go_on.wait(60)
            return inner(*args)
    return call
def with_locked_key(root):
    return _roots.RootKey(root.kid, types.SimpleNamespace(verify=locked(root.public.verify)))
"""
PLACES = {
    "the TLS context": "tls._context_of = locked(tls._context_of)",
    "a root's signature": "client._context._roots = tuple(map(with_locked_key, client._context._roots))",
    "an instance's signature": "read = locked(ed25519.Ed25519PublicKey.from_public_bytes)\n"
    "ed25519.Ed25519PublicKey = types.SimpleNamespace(from_public_bytes=read)",
}


@POSIX
@pytest.mark.parametrize("place", PLACES)
def test_a_fork_waits_until_no_thread_holds_a_lock_of_the_whole_process(http: Http, tmp_path: Path, place: str) -> None:
    code = f"""{LOCKED}
{PLACES[place]}
process.register_for_forks(client)
threading.Thread(target=client.acquire, daemon=True).start()
assert begun.wait(60)
os.register_at_fork(before=lambda: threading.Timer(0.2, go_on.set).start())  # registered later, it runs before
pid = os.fork()
if pid == 0:
    with client.seat() as own:
        assert own.state is SeatState.ONLINE
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""
    run(http, tmp_path, code)


BILLIARD_WORKER = """
import os, sys, types
from coditect_license import LicenseClient

# What billiard's pool makes of a worker process: it ends by os._exit, after a call of the worker's on_exit.
worker = types.SimpleNamespace(on_exit={on_exit})
current = types.SimpleNamespace(_target=worker)
sys.modules["billiard.process"] = types.SimpleNamespace(_current_process=current)
settings = {"key": sys.argv[2], "product": "studio", "roots": sys.argv[3], "offline": False}
client = LicenseClient(sys.argv[1], **settings)
seat = client.seat()
if worker.on_exit is not None:
    worker.on_exit(os.getpid(), 0)
os._exit(0)
"""


@POSIX
@pytest.mark.parametrize(("on_exit", "said"), [("None", ""), ("lambda pid, code: os.write(1, b'former')", "former")])
def test_a_worker_of_billiards_pool_gives_its_seat_back(http: Http, tmp_path: Path, on_exit: str, said: str) -> None:
    roots = tmp_path / "roots.json"
    roots.write_text(json.dumps(ROOTS))
    command = [sys.executable, "-c", BILLIARD_WORKER.replace("{on_exit}", on_exit), http.url, KEY, str(roots)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert (done.stdout, done.stderr) == (said, "")
    assert len(http.fake.sessions) == 1 and not kept(http.fake)


@POSIX
def test_no_call_goes_on_before_the_hooks_for_forks_are_in_place(http: Http, tmp_path: Path) -> None:
    """A fork would leave its child with whatever the call's thread holds."""
    code = """
begun, go_on = threading.Event(), threading.Event()
register = os.register_at_fork
def slowly(**hooks):
    begun.set()
    assert go_on.wait(60)
    register(**hooks)
os.register_at_fork = slowly
first, second = (threading.Thread(target=client.validate) for _ in range(2))
first.start()
assert begun.wait(60)
second.start()
second.join(1)
assert second.is_alive()
go_on.set()
first.join()
second.join()
"""
    run(http, tmp_path, code)
    assert len(http.fake.calls) == 2


class LaterLock:
    """What ``threading.Lock`` is once gevent has replaced it."""

    entered: ClassVar[list[int]] = []
    """The threads that are within one."""

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self.acquire, self.release, self.locked = self._lock.acquire, self._lock.release, self._lock.locked

    def __enter__(self) -> None:
        self._lock.acquire()
        LaterLock.entered.append(threading.get_ident())

    def __exit__(self, *_: object) -> None:
        LaterLock.entered.remove(threading.get_ident())
        self._lock.release()


@pytest.mark.parametrize("used_before", [False, True])
def test_the_pool_of_connections_is_made_within_a_lock_of_the_process_that_makes_it(
    client: LicenseClient, monkeypatch: pytest.MonkeyPatch, used_before: bool
) -> None:
    """As in a worker of gunicorn, whose locks gevent replaces after ``--preload`` has made the client.

    A lock of the former kind stops all greenlets where two requests need the pool at once.
    """
    if used_before:
        client.validate()
        client._after_fork()
    monkeypatch.setattr(threading, "Lock", LaterLock)
    made, within = _http._new_client, []

    def noticed(*arguments: Any) -> httpx.Client:
        within.append(LaterLock.entered.count(threading.get_ident()))
        return made(*arguments)

    monkeypatch.setattr(_http, "_new_client", noticed)
    client.validate()
    assert within == [1]
