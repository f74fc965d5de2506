"""Runs one command, waits until everything that it started has ended, and writes what all of it used.

supervise.py REPORT COMMAND...: REPORT becomes a line with the seconds of processor time. A test's PostgreSQL and Redis end a moment after
the test does, because they see that their parent is gone: here they are waited for and counted, and the next job finds a machine that is free
again. The exit status is the command's.

Must be started as the leader of a session of its own. Asked to stop, or when what started it is gone, it asks everything in it to stop.
"""

import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
import time

# prctl(2), on Linux: a signal for when the parent dies; and orphans among the descendants become children of this process.
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
# Seconds that a process which was left behind has to end: a keeper gives its server fewer (local/src/stores/keeper.rs).
LEFT_BEHIND = 30


def stop_everything(_number: int, _frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)


def be_the_parent_of_all() -> None:
    for asked in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(asked, stop_everything)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def children() -> list[int]:
    listed = f"/proc/self/task/{os.getpid()}/children"
    if not os.path.exists(listed):
        return []
    with open(listed, encoding="ascii") as file:
        return [int(process) for process in file.read().split()]


def wait_for(command: int) -> int:
    """Waits for the command, and for each orphan as it ends: a dead process that nobody waits for would seem to be alive.

    Python runs handlers between two instructions, and a signal that comes just before os.wait() begins does not interrupt it: it would be
    noticed when the command ends. So this waits for a pipe, into which each signal is written at once.
    """
    noticed, written = os.pipe()
    for end in (noticed, written):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        process, status = os.waitpid(-1, os.WNOHANG)
        if process == command:
            return os.waitstatus_to_exitcode(status)
        if process == 0:
            select.select([noticed], [], [])
            os.read(noticed, 4096)


def wait_for_the_rest() -> None:
    """Waits until no child is left. What stays too long is killed: the command's own status has judged it already."""
    until = time.monotonic() + LEFT_BEHIND
    while True:
        try:
            process, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if process != 0:
            continue
        if time.monotonic() > until:
            for left in children():
                print(f"Process {left} was left behind for {LEFT_BEHIND} s and is killed", flush=True)
                os.kill(left, signal.SIGKILL)
        time.sleep(0.02)


def main(report: str, command: list[str]) -> int:
    be_the_parent_of_all()
    # Waited for below and nowhere else: a Popen that is forgotten would wait for its process by itself.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    status = wait_for(child.pid)
    wait_for_the_rest()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(report, "w", encoding="ascii") as file:
        file.write(f"{used.ru_utime + used.ru_stime:.2f}\n")
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
