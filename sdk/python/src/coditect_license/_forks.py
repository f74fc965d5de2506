"""Moments at which this process must not fork, since a library holds a lock of the whole process.

A forked child has only the thread that forked. A lock that another thread held then is held for ever in the child:
whatever needs it there hangs. OpenSSL has such locks, and it does not renew them in children.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Iterator

END_SECONDS = 1.0
"""How many seconds a fork waits at most for threads that are about to end."""


class _Moments:
    """How many threads are in such a moment. A fork waits until none is, and none begins while the process forks."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.running = 0
        self.ending: deque[int] = deque(maxlen=64)
        """Threads whose work is done, by the ids of the system. They may not have ended yet."""


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


def note_end() -> None:
    """The work of this thread is done.

    What libraries keep for it is dropped only then, and OpenSSL has a lock meanwhile.
    """
    with _moments.changed:
        _moments.ending.append(threading.get_native_id())


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
            _wait_for_ends(moments.ending)
        finally:
            _forking = me  # while this one waited, another may have begun to


def _wait_for_ends(ending: deque[int]) -> None:
    """Joining is not enough: a thread is joined before the system has ended it. Only Linux says when that is."""
    over = time.monotonic() + END_SECONDS
    while ending:
        thread = ending.popleft()
        while os.path.exists(f"/proc/self/task/{thread}") and time.monotonic() < over:  # noqa: PTH110 - it is light
            time.sleep(0.0005)


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
