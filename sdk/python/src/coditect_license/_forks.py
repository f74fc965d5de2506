"""Moments at which this process must not fork, since a library holds a lock of the whole process.

A forked child has only the thread that forked. A lock that another thread held then is held for ever in the child:
whatever needs it there hangs. OpenSSL has such locks, and it does not renew them in children.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class _Moments:
    """How many threads are in such a moment. A fork waits until none is, and none begins while the process forks."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.running = 0


_moments = _Moments()
_forking: int | None = None
"""The thread that forks, which keeps new moments from beginning. Others that fork as well wait until it has forked."""


@contextlib.contextmanager
def no_fork() -> Iterator[None]:
    """A short moment of computing, at whose end a fork may go on that began meanwhile."""
    moments = _moments
    with moments.changed:
        moments.running += 1
    try:
        yield
    finally:
        with moments.changed:
            moments.running -= 1
            moments.changed.notify_all()


def hold(seconds: float) -> None:
    """Wait before a fork until no thread is in such a moment, at most ``seconds``, and let none begin."""
    global _forking  # noqa: PLW0603 - a process forks as a whole
    me, moments = threading.get_ident(), _moments
    if _forking == me:  # the hooks are there twice: a fork came while another thread put them in place
        return
    if moments.changed.acquire(timeout=seconds):
        _forking = me
        try:
            moments.changed.wait_for(lambda: moments.running == 0, seconds)
        finally:
            _forking = me  # while this one waited, another may have begun to


def let_go() -> None:
    """Let moments begin again after a fork, in the process that forked."""
    global _forking  # noqa: PLW0603 - a process forks as a whole
    if _forking == threading.get_ident():
        _forking = None
        _moments.changed.release()


def forget() -> None:
    """Begin anew in a forked child, which has none of its parent's threads."""
    global _moments, _forking
    _moments, _forking = _Moments(), None
