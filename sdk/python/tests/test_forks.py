"""Forks beside threads that ask for a seat, or that import what the client needs."""

from __future__ import annotations

from pathlib import Path

from .fake_server import Http
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
    assert not kept(http.fake) and len(http.fake.sessions) == 3


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
            assert forking.wait(20)
sys.meta_path.insert(0, Held())
process.register_for_forks(client)  # hooks that were registered later run before
os.register_at_fork(before=forking.set)
threading.Thread(target=client.acquire, daemon=True).start()
assert begun.wait(20)
pid = os.fork()
if pid == 0:
    with client.seat() as own:
        assert own.state is SeatState.ONLINE
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""
    run(http, tmp_path, code)
