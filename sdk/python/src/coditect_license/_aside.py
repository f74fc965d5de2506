"""What may take long or never end is done aside: by a thread that exists only while there is something to do.

Disks hang, and so do callbacks of the program and handlers of its logging. Neither the threads of the program nor those
of a seat may wait for them longer than they say.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from . import _forks

T = TypeVar("T")

MOST_JOBS = 1000
"""How many jobs may wait for one that hangs. Further ones are dropped."""
NOTICE_SECONDS = 0.5
"""How long a signal may stay unnoticed that did not interrupt the wait of the main thread."""


class Latch:
    """An event that happens once and that can be awaited, also by a signal handler that interrupts a wait for it.

    ``threading.Event`` may deadlock there: its lock is not reentrant, and a handler runs inside whatever the main
    thread does. Handlers run between two instructions of the main thread, and a signal that comes just before its wait
    begins, or to another thread, does not interrupt the wait. So it waits in slices.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        """Note that it happened. A second time changes nothing."""
        with contextlib.suppress(RuntimeError):
            self._lock.release()

    def wait(self, timeout: float) -> bool:
        """Whether it happened, after at most ``timeout`` seconds; infinity waits for ever."""
        over = time.monotonic() + timeout
        while True:
            left = over - time.monotonic()
            happened = self._lock.acquire(timeout=longest_wait(min(left, NOTICE_SECONDS)))
            if happened:
                self.set()
            if happened or left <= NOTICE_SECONDS:
                return happened


class Wake:
    """Wakes one waiting thread. It may be called from signal handlers and by the garbage collector."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wake(self) -> None:
        """End the present wait, or the next one if nobody waits now."""
        with contextlib.suppress(RuntimeError):
            self._lock.release()

    def wait(self, timeout: float) -> None:
        """Wait until woken, at most ``timeout`` seconds."""
        self._lock.acquire(timeout=longest_wait(timeout))


def longest_wait(seconds: float) -> float:
    """A wait as the operating system can have it: not negative, and not longer than it can count."""
    return min(max(seconds, 0.0), threading.TIMEOUT_MAX)


def start_thread(work: Callable[[], None], name: str) -> threading.Thread:
    """A thread that does not keep the program from ending. Raises :class:`RuntimeError` where no thread can be had.

    Interpreters inside an interpreter may forbid daemon threads (PEP 684). They get a usual one; :func:`is_ending` says
    when it must end.
    """

    def until_its_end() -> None:
        try:
            work()
        finally:
            _forks.note_end()

    try:
        thread = threading.Thread(target=until_its_end, name=name, daemon=True)
        thread.start()
    except RuntimeError as error:
        if "daemon" not in str(error):
            raise
        thread = threading.Thread(target=until_its_end, name=name, daemon=False)
        thread.start()
    return thread


def is_ending() -> bool:
    """Whether the interpreter is about to end and only waits for threads that are no daemons, such as this one."""
    return not threading.current_thread().daemon and not threading.main_thread().is_alive()


class Job(Generic[T]):
    """Something that is done aside."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self.done: Latch = Latch()
        self.value: T | None = None
        self.then: Callable[[], None] | None = None
        """Called in the other thread when it is done."""

    def run(self) -> None:
        """Do it. What it raises is dropped, so it must handle its own errors."""
        # Also the exit of a callback that thinks it is the program: it would end the jobs that come after it.
        with contextlib.suppress(BaseException):
            self.value = self._work()
        self.done.set()
        if self.then is not None:
            with contextlib.suppress(Exception):
                self.then()


class Aside:
    """Jobs that are done one after the other by a thread of their own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.after_fork()

    def after_fork(self) -> None:
        """Forget the jobs of the parent: its thread does them."""
        # Reentrant, since a signal handler may put a job while its thread puts another.
        self._lock = threading.RLock()
        self._jobs: deque[Callable[[], object]] = deque()
        self._working = False
        self._stuck: Job[Any] | None = None

    def put(self, work: Callable[[], object]) -> None:
        """Have it done some time. Returns at once and never raises."""
        self.begin(Job(work))

    def begin(self, job: Job[T]) -> Job[T]:
        """Have a job done some time. It is done here and now where no thread can be started any more."""
        with self._lock:
            if len(self._jobs) >= MOST_JOBS:
                return job
            self._jobs.append(job.run)
            if self._working:
                return job
            self._working = True
        try:
            start_thread(self._work, self._name)
        except RuntimeError:  # the interpreter is ending, or the process has no thread left
            self._work()
        return job

    def run(self, work: Callable[[], T], seconds: float) -> T | None:
        """What ``work`` returns, or ``None`` if it takes longer than so many seconds; it then goes on."""
        job = self.begin(Job(work))
        if not job.done.wait(self.patience(seconds)) and seconds > 0:
            self.note_slow(job)  # not where nobody waited: it may be quick all the same
        return job.value

    def patience(self, seconds: float) -> float:
        """How long it is worth to wait: not at all behind a job that was waited for in vain and still goes on."""
        stuck = self._stuck is not None and not self._stuck.done.wait(0)
        return 0.0 if stuck else seconds

    def note_slow(self, job: Job[Any]) -> None:
        """Note that a job was waited for in vain."""
        if self._stuck is None or self._stuck.done.wait(0):
            self._stuck = job

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._jobs:
                    self._working = False
                    return
                job = self._jobs.popleft()
            job()
