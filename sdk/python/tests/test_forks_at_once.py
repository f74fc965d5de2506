"""Two threads that fork at the same time: neither goes on while something must not be interrupted by a fork."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coditect_license import _forks, _process as process

PATIENCE = 60.0


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    _forks.forget()


def started(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def all_end(*threads: threading.Thread) -> bool:
    for thread in threads:
        thread.join(PATIENCE)
    return not any(thread.is_alive() for thread in threads)


def test_both_wait_for_the_end_of_a_moment_and_moments_begin_again() -> None:
    inside, go_on = threading.Event(), threading.Event()
    forked: list[int] = []

    def compute() -> None:
        with _forks.no_fork():
            inside.set()
            assert go_on.wait(PATIENCE)

    def fork() -> None:
        _forks.hold(PATIENCE)
        forked.append(_forks._moments.running)
        time.sleep(0.05)
        _forks.let_go()

    computing = started(compute)
    assert inside.wait(PATIENCE)
    forking = [started(fork), started(fork)]
    time.sleep(0.2)
    assert forked == []
    go_on.set()
    assert all_end(computing, *forking) and forked == [0, 0]
    assert all_end(started(compute))


def test_hooks_that_are_there_twice_let_go_all_the_same() -> None:
    """A fork may come while another thread puts them in place, and then in its own."""

    def compute() -> None:
        with _forks.no_fork():
            pass

    for step in (_forks.hold, _forks.hold):
        step(PATIENCE)
    for step_after in (_forks.let_go, _forks.let_go):
        step_after()
    assert all_end(started(compute))


def test_both_wait_for_what_is_being_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    (tmp_path / "imported_slowly.py").write_text("import builtins\nbuiltins.import_slowly()\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def import_slowly() -> None:
        begun.set()
        assert go_on.wait(PATIENCE)

    monkeypatch.setattr("builtins.import_slowly", import_slowly, raising=False)
    monkeypatch.setattr(process, "_late_imports", lambda: {"imported_slowly"})
    monkeypatch.setattr(process, "_importing", None)
    whole: list[bool] = []

    def fork() -> None:
        process._finish_imports()
        whole.append(go_on.is_set())

    first = started(fork)
    assert begun.wait(PATIENCE)
    second = started(fork)
    time.sleep(0.2)
    go_on.set()
    assert all_end(first, second)
    sys.modules.pop("imported_slowly")
    process._imported.discard("imported_slowly")
    assert whole == [True, True]
