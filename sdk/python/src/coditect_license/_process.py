"""What happens to seats when a process exits or forks.

Nothing here is set up before the first seat: importing this package and making clients leaves the process as it was.
"""

from __future__ import annotations

import atexit

# It is imported by httpx, and has hooks of its own for forks: one that first ran after a fork would let go of a lock
# that nobody took. Imported here, so that no fork meets a thread that imports it.
import concurrent.futures.thread  # noqa: F401
import contextlib
import importlib
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from . import _forks
from ._aside import start_thread
from ._errors import NoSeats, ServerUnreachable, TooManyProcesses

if TYPE_CHECKING:
    from ._context import Context

OWN_PLACES = (
    "A seat is held while anything refers to it, in a notebook also Out[…] after a cell that ends with it: "
    "seat.release() gives it back."
)
"""What is the likely reason where a program is refused by what it holds itself."""
EXIT_SECONDS = 3.0
"""How many seconds an ending process waits until all its seats are given back. The others are free when their leases
are over."""


IMPORTED_LATE = (
    "certifi",
    "encodings.idna",  # in which every host is looked up
    "coditect_license._aio_aside",
    "coditect_license._tls",
    "coditect_license._version",
    "concurrent.futures.thread",
    "cryptography.exceptions",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "cryptography.hazmat.primitives.asymmetric.padding",
    "cryptography.hazmat.primitives.asymmetric.rsa",
    "cryptography.hazmat.primitives.hashes",
    "cryptography.hazmat.primitives.serialization",
    "cryptography.x509",
    "httpcore",
    "httpx",
    "platformdirs",
)
"""What this package imports when it is first needed, maybe in a thread of its own."""
IMPORTED_LATE_IN_LOOPS = (
    "anyio.to_thread",
    "anyio._backends._asyncio",
    "anyio.streams.tls",
    "concurrent.futures.thread",
)
"""What is imported besides once an event loop is used."""
FORK_SECONDS = 10.0
"""How many seconds a fork waits at most until all of that is imported, and for what must not be interrupted by one."""


class ForkAware(Protocol):
    """An object that must know when it finds itself in a forked child."""

    def _after_fork(self) -> None: ...


class HeldSeat(ForkAware, Protocol):
    """A seat that must be given back before the process ends."""

    def _begin_release(self, seconds: float = ...) -> None:
        """Begin to give it back. The process waits for it so many seconds."""

    def _end_release(self, timeout: float) -> bool: ...


_held_seats: set[HeldSeat] = set()
_remainders: deque[HeldSeat] = deque(maxlen=16)
"""What clients do not know of their last starts: few, since those of long ago are free by themselves."""
_fork_aware: weakref.WeakSet[ForkAware] = weakref.WeakSet()
_exit_hooks_of: int | None = None
"""The process that has the hooks of its exit."""
_fork_hook_installed = False
_installing: dict[int, threading.Lock] = {}
"""By the id of a process what its threads hold while they put the hooks in place."""
_ending_thread: int | None = None
"""The thread in which the process ends, once it does."""
_imported: set[str] = set()
"""What need not be imported before the next fork."""
_importing: threading.Thread | None = None
_importing_hangs = False
"""Whether that thread was waited for in vain."""


def register_seat(seat: HeldSeat) -> None:
    """Give this seat back when the process ends.

    Raises :class:`ServerUnreachable` in a daemon thread of a process that is giving its last seats back.
    """
    register_for_forks(seat)
    _held_seats.add(seat)
    # Looked at after the seat was added, so that either it is given back with the others or it is refused.
    if _ending_thread not in (None, threading.get_ident()):
        _held_seats.discard(seat)
        raise ServerUnreachable("The license server was not asked: this program is ending.")


def note_remainder(remainder: HeldSeat, *, is_left: bool) -> None:
    """Have the process ask, before it ends, what became of some starts of a client; or no more, if nothing is left."""
    with contextlib.suppress(ValueError):
        _remainders.remove(remainder)
    if is_left:
        register_for_forks(remainder)
        _remainders.append(remainder)


def note_own_places(error: BaseException, context: Context) -> None:
    """Say in a refusal how much of what is missing this process has itself, which people do not expect.

    Where a license counts processes, that is a seat; else it is a place on the machine's seat.
    """
    if not isinstance(error, (TooManyProcesses, NoSeats)):
        return
    own = 0
    for core in [getattr(seat, "core", None) for seat in list(_held_seats)]:
        held = None if core is None else core.lease
        own += held is not None and (held.claims.license, held.claims.hw) == (context.key.number, context.hw)
    told = error.detail
    if isinstance(error, TooManyProcesses):
        which = {0: "None of these places is", 1: "1 of these places is"}.get(own, f"{own} of these places are")
        told = f"{told} {which} held by seats of this process itself."
    elif own:
        told = f"{told} {own} of the seats {'is' if own == 1 else 'are'} held by this process itself."
    if own:
        told = f"{told} {OWN_PLACES}"
    error.args = (told,)


def unregister_seat(seat: HeldSeat) -> None:
    """Note that this seat was given back."""
    _held_seats.discard(seat)


def register_for_forks(object_: ForkAware) -> None:
    """Call ``_after_fork`` of this object in every forked child."""
    _fork_aware.add(object_)
    _install_hooks()


def release_all() -> None:
    """Give all seats of this process back at the same time, and wait at most EXIT_SECONDS for all together."""
    timeout = EXIT_SECONDS
    seats = [*_held_seats, *_remainders]
    for seat in seats:
        with contextlib.suppress(Exception):
            seat._begin_release(timeout)
    over = time.monotonic() + timeout
    for seat in seats:
        with contextlib.suppress(Exception):
            seat._end_release(max(over - time.monotonic(), 0.0))


def release_at_exit() -> None:
    """Give all seats back since the process ends. Its daemon threads, which still run, get none any more."""
    global _ending_thread  # noqa: PLW0603 - one process, one end
    _ending_thread = threading.get_ident()
    release_all()


def _install_hooks() -> None:
    global _exit_hooks_of, _fork_hook_installed  # noqa: PLW0603 - one process, one set of hooks
    if _exit_hooks_of == os.getpid():
        return
    # Nobody goes on before they are in place: a fork would leave the child with what its threads hold. Each process has
    # a lock of its own, since a fork may come while another thread holds this one.
    with _installing.setdefault(os.getpid(), threading.Lock()):
        if _exit_hooks_of == os.getpid():
            return
        if hasattr(os, "register_at_fork") and not _fork_hook_installed:
            os.register_at_fork(before=_before_fork, after_in_parent=_forks.let_go, after_in_child=_after_fork_in_child)
            _fork_hook_installed = True
        # A child of multiprocessing begins without its parent's hooks.
        atexit.unregister(release_at_exit)
        atexit.register(release_at_exit)
        _finalize_with_multiprocessing()
        _exit_hooks_of = os.getpid()


def _finalize_with_multiprocessing() -> None:
    """Give seats back when a child of multiprocessing ends, or of billiard, which is Celery's copy of it.

    Such a child ends by ``os._exit``, before Python 3.13 without running what atexit has.
    """
    for name in ("multiprocessing.util", "billiard.util"):
        util = sys.modules.get(name)
        if util is not None:
            with contextlib.suppress(Exception):
                util.Finalize(None, release_at_exit, exitpriority=100)
    _finalize_with_billiard_pool()


def _finalize_with_billiard_pool() -> None:
    """Give seats back when a worker of billiard's pool ends, as each of Celery's does.

    It runs neither what atexit has nor finalizers: it calls ``on_exit`` of its worker, and then ``os._exit``.
    """
    billiard = sys.modules.get("billiard.process")
    worker: Any = getattr(getattr(billiard, "_current_process", None), "_target", None)
    if worker is None or not hasattr(worker, "on_exit"):
        return
    former = worker.on_exit

    def on_exit(pid: int, exitcode: int) -> None:
        release_at_exit()
        if former is not None:
            former(pid, exitcode)

    with contextlib.suppress(Exception):
        worker.on_exit = on_exit


def _before_fork() -> None:
    with contextlib.suppress(Exception):
        _finish_imports()
        _forks.hold(FORK_SECONDS)


def _finish_imports() -> None:
    """Import before a fork what this package may need.

    Another thread may be about to, and a forked child would have half of it for ever. It is done aside, since a disk
    may hang, and the thread that forks may be importing the same. A disk that hangs is waited for once,
    and not at every fork.
    """
    global _importing, _importing_hangs  # noqa: PLW0603 - modules are those of the process
    missing = _late_imports() - _imported
    if not missing or _is_importing(missing):
        return
    importing = _importing
    with contextlib.suppress(RuntimeError):  # no thread can be had any more, or this one is it
        if importing is None or not importing.is_alive():
            _importing = importing = start_thread(lambda: _import_all(missing), "coditect-license-imports")
            _importing_hangs = False
        if not _importing_hangs:
            # Waited for to its end: who forks beside another thread is warned by Python.
            importing.join(FORK_SECONDS)
            _importing_hangs = importing.is_alive()


def _is_importing(names: Iterable[str]) -> bool:
    """Whether this thread itself is in the midst of importing one of these packages, and forks within.

    A thread that imports them would wait for this one, and this one for it. httpx imports trio where it is installed,
    which starts a program; gevent forks for that.
    """
    packages = {name.partition(".")[0] for name in names}
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if frame.f_code.co_name == "<module>" and module.partition(".")[0] in packages:
            return True
        frame = frame.f_back
    return False


def _late_imports() -> set[str]:
    in_loops = IMPORTED_LATE_IN_LOOPS if f"{__package__}._aio" in sys.modules else ()
    return {*IMPORTED_LATE, *in_loops}


def _import_all(names: Iterable[str]) -> None:
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    _imported.update(names)


def _after_fork_in_child() -> None:
    global _ending_thread  # noqa: PLW0603 - as above
    _ending_thread = None
    _forks.forget()
    for object_ in list(_fork_aware):
        with contextlib.suppress(Exception):
            object_._after_fork()
    _held_seats.clear()
    _remainders.clear()
